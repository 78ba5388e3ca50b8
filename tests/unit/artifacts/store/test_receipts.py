"""Receipts: the same arrival is the same file, small enough for Snakemake to compare."""

import json
from pathlib import Path

import pytest

from boldflow.artifacts.store import receipts


def rows(number: int, checksum: str = "md5:1") -> list[dict[str, str]]:
    return [{"path": f"pictures/{n:05d}.png", "checksum": checksum} for n in range(number)]


@pytest.mark.parametrize("number", [3, 5000])
def test_a_receipt_stays_small_and_covers_its_whole_list(tmp_path: Path, number: int):
    path = tmp_path / "stimuli.json"
    content = {"what": "stimuli", "root": "r", "files": rows(number)}
    receipts.write(path, content)
    first = path.read_bytes()
    assert len(first) < 100_000 and receipts.read(path)["files"] == rows(number)
    receipts.write(path, content)
    assert path.read_bytes() == first
    changed = [*rows(number - 1), {"path": rows(number)[-1]["path"], "checksum": "md5:2"}]
    receipts.write(path, {**content, "files": changed})
    assert path.read_bytes() != first and receipts.read(path)["files"] == changed
    assert len(list(tmp_path.iterdir())) == (1 if number == 3 else 2), "the list before is gone"


def test_a_list_that_is_not_the_receipts_is_refused(tmp_path: Path):
    path = tmp_path / "stimuli.json"
    receipts.write(path, {"what": "stimuli", "root": "r", "files": rows(5000)})
    (beside,) = tmp_path.glob("stimuli.files-*.json")
    beside.write_text(json.dumps(rows(5000, "md5:2")))
    with pytest.raises(ValueError, match=beside.name):
        receipts.read(path)


def test_a_subject_that_is_added_changes_a_receipt_and_nothing_for_the_others():
    def receipt(*paths):
        return {"what": "dataset", "root": "r", "files": [{"path": path, "checksum": path} for path in paths]}

    subjects = ["sub-1", "sub-10", "sub-2"]
    two = receipts.by_subject(receipt("design.mat", "sub-1/a.tsv", "sub-10_b.tsv"), subjects)
    three = receipts.by_subject(receipt("design.mat", "sub-1/a.tsv", "sub-10_b.tsv", "beta/sub-2.tsv"), subjects)
    assert (two["sub-1"], two["sub-10"]) == (three["sub-1"], three["sub-10"])
    assert two["sub-2"] != three["sub-2"]
    shared = receipts.by_subject(receipt("other.mat", "sub-1/a.tsv", "sub-10_b.tsv"), subjects)
    assert all(shared[subject] != two[subject] for subject in subjects)
