"""Progress on disk: newest whole one, bounded number, one piece of work only."""

import re
import shutil
import subprocess

import numpy as np
import pytest

from boldflow.artifacts.store import progress_files

ROWS = [{"epoch": 1, "mse": 0.1 + 0.2}]


def state(step):
    return {"w": np.full((2, 3), step / 3), "n": np.array([step])}


def test_what_is_kept_is_found_again_to_the_bit(tmp_path):
    assert progress_files.newest(tmp_path, "a") is None
    progress_files.write(tmp_path, "a", 7, state(7), ROWS)
    step, found, rows = progress_files.newest(tmp_path, "a")
    assert (step, rows) == (7, ROWS)
    np.testing.assert_array_equal(found["w"], state(7)["w"])


def test_the_number_of_files_is_bounded_and_the_newest_stay(tmp_path):
    for step in (1, 2, 9, 10, 100):
        progress_files.write(tmp_path, "a", step, state(step), [], keep=2)
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        "step-00000010.safetensors",
        "step-00000100.safetensors",
    ]
    with pytest.raises(ValueError, match="keep"):
        progress_files.write(tmp_path, "a", 101, state(1), [], keep=0)


def test_a_damaged_file_gives_way_to_the_one_before_it(tmp_path, caplog):
    progress_files.write(tmp_path, "a", 1, state(1), [])
    newest = progress_files.write(tmp_path, "a", 2, state(2), [])
    newest.write_bytes(newest.read_bytes()[:-20])
    step, _, _ = progress_files.newest(tmp_path, "a")
    assert step == 1 and "step-00000002" in caplog.text and not newest.exists()


def test_another_works_files_are_removed(tmp_path):
    path = progress_files.write(tmp_path, "a", 5, state(5), [])
    assert progress_files.newest(tmp_path, "b") is None
    assert not path.exists()


def test_a_disk_that_fills_in_a_checkpoint_is_told_of_and_what_was_kept_is_whole(tmp_path):
    """The folder is a file system of 1 MB: one checkpoint of 400 kB fits, and a second, not a third beside them."""
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "boldflow-test", str(place)]
    if not shutil.which("mount") or (done := subprocess.run(command, capture_output=True, check=False)).returncode:
        pytest.skip(
            f"a small file system cannot be mounted here: {done.stderr.decode() if shutil.which('mount') else ''}"
        )
    try:
        state = {"weights": np.arange(100_000, dtype=np.float32)}
        for step in (1, 2):
            progress_files.write(place / "fit", "ticket", step, state, [])
        with pytest.raises(Exception, match="No space left") as caught:
            progress_files.write(place / "fit", "ticket", 3, state, [])
        told = "\n".join(caught.value.__notes__)
        assert "400000 bytes of arrays were to be written" in told
        assert re.search(r"while writing .*step-00000003.safetensors: \d+ bytes are free there", told)
        assert sorted(path.name for path in (place / "fit").iterdir()) == [
            f"step-0000000{n}.safetensors" for n in (1, 2)
        ]
        subprocess.run(["mount", "-o", "remount,size=4m", str(place)], check=True)
        step, found, _ = progress_files.newest(place / "fit", "ticket")
        assert step == 2
        np.testing.assert_array_equal(found["weights"], state["weights"])
        progress_files.write(place / "fit", "ticket", 3, state, [])
        assert progress_files.newest(place / "fit", "ticket")[0] == 3
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=False)
