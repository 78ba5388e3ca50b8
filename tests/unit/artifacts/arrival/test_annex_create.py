import os
import subprocess
import sys
from pathlib import Path

import pytest

from boldflow.artifacts.arrival import annex
from boldflow.artifacts.arrival.annex_create import create_dataset

RULE = "(include=*.nii.gz)or(include=*.png)"
DATE = "2024-01-01T00:00:00+00:00"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """What annex.clone sets in the environment goes with the test."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("GIT_TERMINAL_PROMPT", "0")
    for role in ("AUTHOR", "COMMITTER"):
        for part in ("NAME", "EMAIL"):
            monkeypatch.setenv(f"GIT_{role}_{part}", "test")


def fill(folder):
    (folder / "sub-01").mkdir(parents=True)
    (folder / "sub-01" / "bold.nii.gz").write_bytes(b"voxels" * 1000)
    (folder / "sub-01" / "events.tsv").write_text("onset\n6.0\n")
    (folder / "face.png").write_bytes(b"pixels")
    (folder / "README").write_text("Simulated\n")
    return folder


def git(folder, *arguments):
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_two_builds_have_one_commit_whatever_the_user_has_set(tmp_path, monkeypatch):
    first = create_dataset(fill(tmp_path / "one"), "sim-1", RULE, DATE)
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(
        "[user]\n\tname = Somebody\n\temail = some@where\n[commit]\n\tgpgsign = true\n[init]\n\tdefaultBranch = trunk\n"
        "[core]\n\tautocrlf = true\n[annex]\n\tbackend = SHA256E\n"
    )
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Another")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    second = create_dataset(fill(tmp_path / "two"), "sim-1", RULE, DATE)
    monkeypatch.delenv("GIT_DIR")
    assert first == second == git(tmp_path / "two", "rev-parse", "HEAD")
    assert (
        git(tmp_path / "two", "log", "-1", "--format=%an %ae %cn %aI") == f"boldflow boldflow@localhost boldflow {DATE}"
    )
    assert git(tmp_path / "two", "status", "--porcelain") == ""
    assert git(tmp_path / "two", "rev-parse", "git-annex") == git(tmp_path / "one", "rev-parse", "git-annex")


def test_no_identity_is_needed(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for name in [name for name in os.environ if name.startswith(("GIT_AUTHOR", "GIT_COMMITTER", "XDG"))]:
        monkeypatch.delenv(name)
    assert len(create_dataset(fill(tmp_path / "one"), "sim-1", RULE, DATE)) == 40


def test_large_files_are_annexed_and_the_others_are_in_git(tmp_path):
    folder = fill(tmp_path / "one")
    create_dataset(folder, "sim-1", RULE, DATE)
    for path in ("sub-01/bold.nii.gz", "face.png"):
        assert "annex/objects" in os.readlink(folder / path) and "MD5E-" in os.readlink(folder / path)
        assert git(folder, "ls-tree", "HEAD", path).startswith("120000")
    for path in ("sub-01/events.tsv", "README", ".gitattributes", ".datalad/config"):
        assert git(folder, "ls-tree", "HEAD", path).startswith("100644")
        assert not (folder / path).is_symlink()
    assert (folder / "sub-01" / "bold.nii.gz").read_bytes() == b"voxels" * 1000


def test_a_clone_gets_one_file(tmp_path):
    folder = fill(tmp_path / "one")
    commit = create_dataset(folder, "sim-1", RULE, DATE)
    assert annex.clone(str(folder), tmp_path / "clone", commit) == commit
    annex.get(tmp_path / "clone", ["sub-01/bold.nii.gz"])
    assert (tmp_path / "clone" / "sub-01" / "bold.nii.gz").read_bytes() == b"voxels" * 1000
    assert not (tmp_path / "clone" / "face.png").exists()
    # what git-annex holds it to be: the MD5 of the content is in the key
    rows = annex.describe(tmp_path / "clone", ["sub-01/bold.nii.gz"])
    assert rows[0]["size"] == 6000 and rows[0]["checksum"].startswith("md5:")


def test_a_changed_file_or_name_gives_another_commit(tmp_path):
    first = create_dataset(fill(tmp_path / "one"), "sim-1", RULE, DATE)
    other = fill(tmp_path / "two")
    (other / "face.png").write_bytes(b"Pixels")
    assert create_dataset(other, "sim-1", RULE, DATE) != first
    assert create_dataset(fill(tmp_path / "three"), "sim-2", RULE, DATE) != first


def test_wrong_input_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no such folder: .*nowhere"):
        create_dataset(tmp_path / "nowhere", "a", RULE, DATE)
    folder = fill(tmp_path / "one")
    with pytest.raises(ValueError, match=r"no spaces, .* not 'include=a or include=b'"):
        create_dataset(folder, "a", "include=a or include=b", DATE)
    with pytest.raises(ValueError, match=r"must name its time zone, .* not '2024-01-01'"):
        create_dataset(folder, "a", RULE, "2024-01-01")
    with pytest.raises(ValueError, match=r"'include=\*\.mat' holds for none of the 6 files of .*one"):
        create_dataset(folder, "a", "include=*.mat", DATE)
    with pytest.raises(ValueError, match="one is a git repository already"):
        create_dataset(folder, "a", RULE, DATE)
