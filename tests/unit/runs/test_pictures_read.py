"""What a subject's job reads of features: rows of the pictures that the subject's trials show."""

from pathlib import Path

import pytest

from boldflow.runs import checksums, pictures

SIDECAR = {"kind": "vision", "shape": [3, 4], "data": "digest", "settings": {"name": "gabor"}}
SPLIT, NPY = "splits/repeated.parquet", "features/gabor.npy"
PATHS = [NPY, "features/gabor.parquet", "features/gabor.json", "sub-01/trials.parquet", SPLIT]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("features", "splits", "sub-01"):
        Path(folder).mkdir()
    Path("sub-01/trials.parquet").write_bytes(b"trials")
    describe({"a": b"1", "b": b"2"})
    split({"sub-01": ["a", "b"]})


def describe(rows: dict[str, bytes], **sidecar: object) -> None:
    """Write features of pictures, with their index, sidecar and note."""
    Path(NPY).write_bytes(b"".join(rows.values()))
    Path("features/gabor.parquet").write_text(" ".join(rows))
    said = SIDECAR | {"shape": [len(rows), 1]} | sidecar
    checksums.write_json(Path("features/gabor.json"), said)
    checksums.write_json(Path("features/gabor.pictures.json"), pictures.note_of_features(NPY, rows.items(), said))


def split(shown: dict[str, list[str]]) -> None:
    """Write a split and the note beside it; the rows of a subject have the checksum of its name."""
    Path(SPLIT).write_text(" ".join(shown))
    note = {"rows_by_subject": {name: name for name in shown}, "pictures_by_subject": shown}
    checksums.write_json(Path("splits/repeated.json"), note | {"table_sha256": checksums.sha256(SPLIT)})


def test_pictures_of_others_change_nothing_for_a_subject():
    before = pictures.checksums(PATHS, "sub-01")
    describe({"c": b"3", "a": b"1", "b": b"2"}, data="another digest")
    split({"sub-01": ["a", "b"], "sub-02": ["c"]})
    assert pictures.checksums(PATHS, "sub-01") == before
    assert [path for path, _ in before] == PATHS


@pytest.mark.parametrize("change", ["a row", "a picture", "what is said beside", "an index that is not the note's"])
def test_what_a_subject_reads_counts(change: str):
    before = dict(pictures.checksums(PATHS, "sub-01"))
    if change == "a row":
        describe({"a": b"1", "b": b"9"})
    elif change == "a picture":
        split({"sub-01": ["a"]})
    elif change == "what is said beside":
        describe({"a": b"1", "b": b"2"}, columns=["orange"])
    else:
        Path("features/gabor.parquet").write_text("b a")
    after = dict(pictures.checksums(PATHS, "sub-01"))
    assert after[NPY] != before[NPY] and after["sub-01/trials.parquet"] == before["sub-01/trials.parquet"]


@pytest.mark.parametrize("subject", ["", "pooled", "none"])
def test_a_job_of_no_single_subject_reads_files_whole(subject: str):
    assert pictures.checksums(PATHS, subject) == [(path, checksums.sha256(path)) for path in PATHS]


def test_a_gallery_of_all_pictures_counts_whole():
    expected = [(path, checksums.of_subject(path, "sub-01")) for path in PATHS]
    assert pictures.checksums(PATHS, "sub-01", reads_own=False) == expected


def test_without_a_note_or_with_a_picture_that_is_not_described_files_count_whole():
    split({"sub-01": ["a", "b", "lost"]})
    assert dict(pictures.checksums(PATHS, "sub-01"))[NPY] == checksums.sha256(NPY)
    split({"sub-01": ["a", "b"]})
    Path("features/gabor.pictures.json").unlink()
    assert dict(pictures.checksums(PATHS, "sub-01"))[NPY] == checksums.sha256(NPY)


def test_members_of_a_stack_are_told_apart_from_how_many_pictures_they_describe():
    joined = {"members": {"gabor": {"shape": [2, 4], "settings": "s", "data": "d"}}}
    more = {"members": {"gabor": {"shape": [3, 4], "settings": "s", "data": "e"}}}
    other = {"members": {"gabor": {"shape": [2, 4], "settings": "t", "data": "d"}}}
    beside = [pictures.note_of_features(NPY, [], note)["beside"] for note in (joined, more, other)]
    assert beside[0] == beside[1] != beside[2]
