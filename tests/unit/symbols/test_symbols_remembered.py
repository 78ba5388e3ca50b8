"""What is remembered of an earlier process holds for the same sources, whole or not at all."""

import shutil

import pytest

from boldflow.symbols import remembered


@pytest.fixture(autouse=True)
def of_this_folder(tmp_path, monkeypatch):
    """Work in an empty folder with Snakemake's own folder in it."""
    (tmp_path / ".snakemake").mkdir()
    monkeypatch.chdir(tmp_path)


def copied_package(tmp_path):
    root = tmp_path / "copy" / "src" / "boldflow"
    (tmp_path / "copy" / "workflow" / "scripts").mkdir(parents=True)
    shutil.copytree(remembered.ROOT / "symbols", root / "symbols", ignore=shutil.ignore_patterns("__pycache__"))
    return root


@pytest.mark.parametrize(
    "place", ["symbols/reach.py", "new_room/__init__.py", "table.json", "../../workflow/scripts/a.py"]
)
def test_any_edit_of_any_source_changes_the_digest(tmp_path, place):
    root = copied_package(tmp_path)
    before = remembered.sources_digest.__wrapped__(root)
    assert remembered.sources_digest.__wrapped__(root) == before
    (root / place).parent.mkdir(exist_ok=True)
    with (root / place).open("a") as file:
        file.write("\n# another line")
    assert remembered.sources_digest.__wrapped__(root) != before


def test_a_text_is_recalled_until_the_sources_change(monkeypatch):
    remembered.keep("code: train_model None", "two\nlines")
    assert remembered.recall("code: train_model None") == "two\nlines"
    assert remembered.recall("code: train_model boldflow.models.ridge") is None
    monkeypatch.setattr(remembered, "sources_digest", lambda: "others")
    assert remembered.recall("code: train_model None") is None


def test_a_damaged_text_is_not_recalled():
    remembered.keep("a", "whole text")
    (path,) = (path for path in remembered.FOLDER.rglob("*") if path.is_file())
    path.write_bytes(path.read_bytes()[:-20])
    assert remembered.recall("a") is None
    path.write_bytes(b"\xff\xfe")
    assert remembered.recall("a") is None


def test_texts_of_other_sources_are_forgotten(monkeypatch):
    remembered.keep("a", "text")
    monkeypatch.setattr(remembered, "sources_digest", lambda: "others")
    remembered.keep("a", "other text")
    assert [path.name for path in remembered.FOLDER.glob("*")] == ["others"]


def test_nothing_is_kept_where_snakemake_has_no_folder(tmp_path):
    (tmp_path / ".snakemake").rmdir()
    remembered.keep("a", "text")
    assert remembered.recall("a") is None
    assert not (tmp_path / ".snakemake").exists()
