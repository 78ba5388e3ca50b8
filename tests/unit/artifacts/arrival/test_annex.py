import hashlib
import multiprocessing
import subprocess

import pytest

from boldflow.artifacts.arrival import annex

pytestmark = pytest.mark.usefixtures("bare_machine")
COMMAND = "snakemake --profile cpu -R fetch_subject"
SIZES = {"sub-1/bold.nii.gz": 50_000, "sub-2/bold.nii.gz": 40_000}


def run(folder, *command):
    done = subprocess.run([*command], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def make_origin(folder, identifier, seed):
    folder.mkdir()
    me = ("-c", "user.name=t", "-c", "user.email=t@t")
    run(folder, "git", "init", "-q", "-b", "main")
    run(folder, "git", *me, "annex", "init", "-q")
    (folder / ".datalad").mkdir()
    (folder / ".datalad" / "config").write_text(f'[datalad "dataset"]\n\tid = {identifier}\n')
    (folder / "participants.tsv").write_bytes(b"participant_id\nsub-1\nsub-2\n")
    for place, (path, size) in enumerate(SIZES.items()):
        (folder / path).parent.mkdir()
        (folder / path).write_bytes(hashlib.shake_256(b"%d %d" % (seed, place)).digest(size))
    run(folder, "git", *me, "annex", "add", "-q", "--backend=MD5E", "sub-1")
    run(folder, "git", *me, "annex", "add", "-q", "--backend=SHA256E", "sub-2")
    run(folder, "git", *me, "-c", "annex.largefiles=nothing", "add", ".datalad", "participants.tsv")
    run(folder, "git", *me, "commit", "-q", "-m", "first")
    return folder


def commit_more(origin):
    (origin / "CHANGES").write_text("more\n")
    me = ("-c", "user.name=t", "-c", "user.email=t@t", "-c", "annex.largefiles=nothing")
    run(origin, "git", *me, "add", "CHANGES")
    run(origin, "git", *me, "commit", "-q", "-m", "more")
    return run(origin, "git", "rev-parse", "HEAD")


@pytest.fixture
def origin(tmp_path):
    return make_origin(tmp_path / "origin", "11111111-1111", 1)


@pytest.fixture
def first(origin):
    return run(origin, "git", "rev-parse", "HEAD")


def test_clone_brings_no_content_and_get_only_what_was_asked(origin, first, tmp_path):
    here = tmp_path / "deep" / "clone"
    assert annex.clone(str(origin), here, first) == first
    assert (here / "participants.tsv").is_file()
    assert not (here / "sub-1/bold.nii.gz").exists()
    annex.get(here, ["sub-1/bold.nii.gz", "participants.tsv"])
    assert (here / "sub-1/bold.nii.gz").read_bytes() == (origin / "sub-1/bold.nii.gz").read_bytes()
    assert not (here / "sub-2/bold.nii.gz").exists()
    assert sorted(path.name for path in here.parent.iterdir()) == ["clone", "clone.lock"]


def test_a_second_get_transfers_nothing(origin, first, tmp_path, monkeypatch):
    here = tmp_path / "clone"
    annex.clone(str(origin), here, first)
    annex.get(here, ["sub-1"])
    before = (here / "sub-1/bold.nii.gz").stat()
    origin.rename(tmp_path / "gone")
    annex.get(here, ["sub-1/bold.nii.gz"])
    after = (here / "sub-1/bold.nii.gz").stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)
    assert annex.clone(str(origin), here, first) == first, "a commit that is there needs no network"


def test_rows_of_a_receipt(origin, first, tmp_path):
    here = tmp_path / "clone"
    annex.clone(str(origin), here, first)
    annex.get(here, SIZES)
    rows = annex.describe(here, ["sub-2", "participants.tsv", "sub-1/bold.nii.gz"])
    assert [row["path"] for row in rows] == ["participants.tsv", "sub-1/bold.nii.gz", "sub-2/bold.nii.gz"]
    plain, md5, sha256 = rows
    contents = [(origin / row["path"]).read_bytes() for row in rows]
    assert [row["size"] for row in rows] == [len(content) for content in contents]
    assert plain["key"] == run(origin, "git", "rev-parse", "HEAD:participants.tsv")
    assert plain["checksum"] == "sha256:" + hashlib.sha256(contents[0]).hexdigest()
    assert md5["key"] == f"MD5E-s50000--{hashlib.md5(contents[1]).hexdigest()}.nii.gz"
    assert md5["checksum"] == "md5:" + hashlib.md5(contents[1]).hexdigest()
    assert sha256["checksum"] == "sha256:" + hashlib.sha256(contents[2]).hexdigest()


def test_dropped_content_names_file_and_command(origin, first, tmp_path):
    here = tmp_path / "clone"
    annex.clone(str(origin), here, first)
    annex.get(here, ["sub-1"])
    annex.require_content(here / "sub-1/bold.nii.gz", COMMAND)
    run(here, "git", "annex", "drop", "--force", "sub-1/bold.nii.gz")
    with pytest.raises(FileNotFoundError, match=f"content absent: .*sub-1/bold.nii.gz.*{COMMAND}"):
        annex.require_content(here / "sub-1/bold.nii.gz", COMMAND)
    with pytest.raises(FileNotFoundError, match=r"content absent: .*sub-1/bold\.nii\.gz"):
        annex.describe(here, ["sub-1/bold.nii.gz"])
    with pytest.raises(FileNotFoundError, match=r"no such file: .*sub-9"):
        annex.require_content(here / "sub-9/bold.nii.gz", COMMAND)
    annex.get(here, ["sub-1"])
    annex.require_content(here / "sub-1/bold.nii.gz", COMMAND)


def test_an_unlocked_file_is_known_by_its_pointer(origin, tmp_path):
    me = ("-c", "user.name=t", "-c", "user.email=t@t")
    run(origin, "git", *me, "annex", "unlock", "sub-1/bold.nii.gz")
    run(origin, "git", *me, "commit", "-q", "-m", "unlocked")
    here = tmp_path / "clone"
    annex.clone(str(origin), here, None)
    with pytest.raises(FileNotFoundError, match="content absent"):
        annex.require_content(here / "sub-1/bold.nii.gz", COMMAND)
    annex.get(here, ["sub-1/bold.nii.gz"])
    annex.require_content(here / "sub-1/bold.nii.gz", COMMAND)
    assert annex.describe(here, ["sub-1"])[0]["size"] == SIZES["sub-1/bold.nii.gz"]


def test_a_changed_file_in_git_is_refused(origin, first, tmp_path):
    here = tmp_path / "clone"
    annex.clone(str(origin), here, first)
    (here / "participants.tsv").write_text("participant_id\nsub-3\n")
    with pytest.raises(ValueError, match=r"participants\.tsv was changed"):
        annex.describe(here, ["participants.tsv"])


def test_an_unknown_commit_shows_both_and_leaves_nothing(origin, first, tmp_path):
    wrong = "0123456789" * 4
    here = tmp_path / "clone"
    with pytest.raises(ValueError, match=f"no commit {wrong}; its HEAD is {first}"):
        annex.clone(str(origin), here, wrong)
    assert [path.name for path in tmp_path.iterdir() if "clone" in path.name] == ["clone.lock"]
    annex.clone(str(origin), here, first)
    with pytest.raises(ValueError, match=f"no commit {wrong}; its HEAD is {first}"):
        annex.clone(str(origin), here, wrong)
    assert run(here, "git", "rev-parse", "HEAD") == first


def test_a_short_commit_is_refused(origin, tmp_path):
    with pytest.raises(ValueError, match="full 40 hexadecimal digits, not 'main'"):
        annex.clone(str(origin), tmp_path / "clone", "main")


def test_a_clone_follows_to_another_commit_and_back(origin, first, tmp_path):
    here = tmp_path / "clone"
    assert annex.clone(str(origin), here, None) == first
    second = commit_more(origin)
    assert annex.clone(str(origin), here, first) == first
    assert not (here / "CHANGES").exists()
    assert annex.clone(str(origin), here, None) == second
    assert (here / "CHANGES").exists()
    assert annex.clone(str(origin), here, first) == first


def test_a_data_set_that_moved_keeps_its_clone_and_another_one_is_refused(origin, first, tmp_path):
    here = tmp_path / "clone"
    annex.clone(str(origin), here, first)
    moved = origin.rename(tmp_path / "moved")
    assert annex.clone(str(moved), here, first) == first
    annex.get(here, ["sub-1"])
    other = make_origin(tmp_path / "other", "22222222-2222", 2)
    with pytest.raises(ValueError, match=r"another data set \(11111111-1111\) than .*other \(22222222-2222\)"):
        annex.clone(str(other), here, None)
    assert run(here, "git", "rev-parse", "HEAD") == first
    assert run(here, "git", "config", "remote.origin.url") == str(moved)


def test_a_folder_that_is_no_clone_is_refused_and_kept(origin, first, tmp_path):
    here = tmp_path / "clone"
    here.mkdir()
    (here / "thesis.txt").write_text("precious")
    with pytest.raises(ValueError, match=r"clone is no clone of a data set"):
        annex.clone(str(origin), here, first)
    assert (here / "thesis.txt").read_text() == "precious"


def test_what_an_interrupted_clone_left_is_cleared(origin, first, tmp_path):
    left = tmp_path / ".clone.abcd.part" / "locked"
    left.mkdir(parents=True)
    left.chmod(0o500)
    annex.clone(str(origin), tmp_path / "clone", first)
    assert not left.parent.exists()


def test_an_unreachable_source_says_so(tmp_path):
    with pytest.raises(RuntimeError, match=r"cannot clone .*nowhere"):
        annex.clone(str(tmp_path / "nowhere"), tmp_path / "clone", None)
    assert not (tmp_path / "clone").exists()


def test_paths_that_the_commit_lacks_are_named(origin, first, tmp_path):
    here = tmp_path / "clone"
    annex.clone(str(origin), here, first)
    with pytest.raises(FileNotFoundError, match=f"{first} lacks 1 of 2 paths: sub-7/bold.nii.gz"):
        annex.get(here, ["sub-1/bold.nii.gz", "sub-7/bold.nii.gz"])
    assert not (here / "sub-1/bold.nii.gz").exists()


def test_a_flipped_byte_at_the_source_never_arrives(origin, first, tmp_path):
    damaged = (origin / "sub-1/bold.nii.gz").resolve()
    damaged.chmod(0o644)
    content = bytearray(damaged.read_bytes())
    content[100] ^= 1
    damaged.write_bytes(content)
    here = tmp_path / "clone"
    annex.clone(str(origin), here, first)
    with pytest.raises(RuntimeError, match=r"1 of 2 files(.|\n)*sub-1/bold\.nii\.gz: .*MD5E-s50000--") as error:
        annex.get(here, list(SIZES))
    assert "sub-2/bold.nii.gz" not in str(error.value)
    assert not (here / "sub-1/bold.nii.gz").exists()
    assert (here / "sub-2/bold.nii.gz").exists(), "what is whole stays"


def clone_and_get(url, folder, commit, path):
    annex.clone(url, folder, commit)
    annex.get(folder, [path])


def test_two_processes_at_once_share_one_clone(origin, first, tmp_path):
    here = tmp_path / "clone"
    spawn = multiprocessing.get_context("spawn")
    both = [spawn.Process(target=clone_and_get, args=(str(origin), str(here), first, path)) for path in SIZES]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert [row["size"] for row in annex.describe(here, SIZES)] == list(SIZES.values())
    assert run(here, "git", "status", "--porcelain") == ""


def test_folder_receipt(tmp_path):
    (tmp_path / "b.txt").write_bytes(b"two")
    (tmp_path / "a.txt").write_bytes(b"one")
    rows = annex.folder_receipt(tmp_path, ["b.txt", "a.txt"])
    assert rows == [
        {"path": name, "key": None, "size": 3, "checksum": "sha256:" + hashlib.sha256(content).hexdigest(), "url": None}
        for name, content in (("a.txt", b"one"), ("b.txt", b"two"))
    ]
    with pytest.raises(FileNotFoundError, match=r"lacks 1 of 2 files: c\.txt"):
        annex.folder_receipt(tmp_path, ["a.txt", "c.txt"])
