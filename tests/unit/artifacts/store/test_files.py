"""Artefacts are whole or absent, and refuse what is not whole."""

import os
import stat

import numpy as np
import pandas as pd
import pytest

from boldflow.artifacts.store import arrays, leaderboard, receipts, sidecars, stimuli, tables, weights
from boldflow.artifacts.store.atomic import atomic


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic(path) as temporary:
        temporary.write_text("new")
        raise RuntimeError
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_full_disk_is_told_with_the_free_bytes(tmp_path):
    with pytest.raises(OSError) as caught, atomic(tmp_path / "a.txt"):
        raise OSError(28, "No space left on device")
    assert "bytes are free there" in caught.value.__notes__[0]
    assert not list(tmp_path.iterdir())


def no_hash(image):
    return "00"


def make(kind, path):
    if kind == "array":
        arrays.write(path, np.arange(2000.0))
    elif kind == "table":
        tables.write(path, pd.DataFrame({"a": range(5000)}))
    elif kind == "weights":
        weights.write(path, {"w": np.arange(2000.0)})
    else:
        sidecars.write(path, {"a": list(range(100))})


READ = {"array": arrays.read, "table": tables.read, "weights": weights.read, "sidecar": sidecars.read}


@pytest.mark.parametrize("kind", READ)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.95])
def test_a_truncated_file_is_refused_by_name(tmp_path, kind, share):
    path = tmp_path / "file"
    make(kind, path)
    READ[kind](path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=r"file \(\d+ "):
        READ[kind](path)


@pytest.mark.parametrize("kind", READ)
def test_the_same_content_is_the_same_bytes(tmp_path, kind):
    for name in ("one", "two"):
        make(kind, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_an_array_that_is_not_finite_is_not_written(tmp_path):
    with pytest.raises(ValueError, match=r"1 of 6 values are not finite, the first at \(1, 2\)"):
        arrays.write(tmp_path / "a.npy", np.array([[0, 1, 2], [3, 4, np.inf]]))
    assert not list(tmp_path.iterdir())


def test_object_arrays_are_never_unpickled(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"run": "this"}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"not whole \.npy"):
        arrays.read(tmp_path / "a.npy")


def test_a_table_carries_its_sidecar_and_names_missing_columns(tmp_path):
    tables.write(tmp_path / "t.parquet", pd.DataFrame({"a": [1]}), {"units": "s"})
    assert tables.sidecar(tmp_path / "t.parquet") == {"units": "s"}
    with pytest.raises(ValueError, match=r"lacks columns \['b'\]; there are: \['a'\]"):
        tables.read(tmp_path / "t.parquet", ["b"])


def test_pictures_of_any_size_come_back_as_they_were(tmp_path):
    rng = np.random.default_rng(0)
    images = {
        f"i{n}": rng.integers(0, 256, (h, w, 3), dtype=np.uint8) for n, (h, w) in enumerate([(4, 6), (5, 5), (4, 6)])
    }
    images["same"] = images["i1"]
    table = stimuli.write(
        tmp_path / "s.h5", [(name, image, {"category": "x"}) for name, image in images.items()], no_hash
    )
    assert table.groupby("sha256")["image_id"].agg(list).tolist().count(["i1", "same"]) == 1
    with stimuli.Pack(tmp_path / "s.h5", table) as pack:
        for name, image in images.items():
            np.testing.assert_array_equal(pack.read(name), image)


def test_stimuli_without_pictures_make_an_empty_pack(tmp_path):
    table = stimuli.write(tmp_path / "s.h5", [("b1", None, {"category": "face"})], no_hash)
    assert table.loc[0, ["height", "width", "sha256", "label_category"]].tolist() == [0, 0, "", "face"]


def test_a_picture_twice_or_of_another_type_is_refused(tmp_path):
    image = np.zeros((2, 2, 3), np.uint8)
    with pytest.raises(ValueError, match="'a' comes twice"):
        stimuli.write(tmp_path / "s.h5", [("a", image, {}), ("a", image, {})], no_hash)
    with pytest.raises(ValueError, match="float64"):
        stimuli.write(tmp_path / "s.h5", [("a", image.astype(float), {})], no_hash)
    assert not list(tmp_path.iterdir())


def test_the_leaderboard_refuses_a_column_it_does_not_know():
    with pytest.raises(ValueError, match=r"no columns \['valu'\]"):
        leaderboard.tidy([{"valu": 1.0}])
    assert list(leaderboard.tidy([{"value": 1.0}]).columns) == leaderboard.COLUMNS


def test_content_is_digested_by_path_and_checksum_not_by_place(tmp_path):
    for name, root in (("a", "/x"), ("b", "/y")):
        sidecars.write(tmp_path / name, {"root": root, "files": [{"path": "p", "checksum": "md5:1"}]})
    sidecars.write(tmp_path / "c", {"root": "/x", "files": [{"path": "p", "checksum": "md5:2"}]})
    digests = [receipts.content_digest(tmp_path / name) for name in "abc"]
    assert digests[0] == digests[1] != digests[2]


def test_files_can_be_read_by_whom_the_users_umask_lets(tmp_path):
    """A lab shares its results: safetensors' own writer would let nobody else read."""
    before = os.umask(0o027)
    try:
        weights.write(tmp_path / "w.safetensors", {"w": np.arange(3.0)})
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "w.safetensors").stat().st_mode) == 0o640


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_any_order_are_written_in_c_order_piece_by_piece(tmp_path, monkeypatch, order):
    monkeypatch.setattr(arrays, "BLOCK_BYTES", 100)
    values = np.asarray(np.random.default_rng(0).normal(size=(41, 7)).astype(np.float32), order=order)
    for some in (values, values[:, ::2], values[:0], values.reshape(41, 7, 1)):
        arrays.write(tmp_path / "a.npy", some)
        np.save(tmp_path / "wanted.npy", np.ascontiguousarray(some))
        assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "wanted.npy").read_bytes()
    values[30, 2] = values[33, 1] = np.nan
    with pytest.raises(ValueError, match=r"2 of 287 values are not finite, the first at \(30, 2\)"):
        arrays.write(tmp_path / "b.npy", values)


@pytest.mark.parametrize("wanted", [[7, 3, 3, 0], [], [4, 5, 6], "mask"])
def test_rows_of_a_mapped_array_come_as_asked_and_the_system_hears_of_each_once(tmp_path, monkeypatch, wanted):
    values = np.random.default_rng(0).normal(size=(9, 5))
    arrays.write(tmp_path / "a.npy", values)
    wanted = np.arange(9) % 4 == 1 if wanted == "mask" else np.array(wanted, dtype=int)
    heard = []
    monkeypatch.setattr(os, "posix_fadvise", lambda _, start, length, how: heard.append((start, length)), raising=False)
    mapped = arrays.read(tmp_path / "a.npy")
    for one in (mapped, values, mapped[:, :3]):
        np.testing.assert_array_equal(arrays.rows(one, wanted), one[wanted])
    content = (tmp_path / "a.npy").read_bytes()
    found = b"".join(content[start : start + length] for start, length in heard)
    assert found == values[np.unique(np.arange(9)[wanted])].tobytes()
