"""Transfers from a server on 127.0.0.1 that misbehaves as servers do; what is served is in OpenNeuro's state."""

import hashlib
import subprocess
import time

import pytest

from boldflow.artifacts.arrival import annex, annex_tree
from tests.conftest import real_data
from tests.made import loopback
from tests.made.loopback import run

pytestmark = pytest.mark.usefixtures("bare_machine", "quick")
NAME = "ds000001"
FIRST, SECOND = (f"sub-01/func/sub-01_task-objects_run-0{run}_bold.nii.gz" for run in (1, 2))


@pytest.fixture
def stall_s():
    """Longer than a busy machine lets git-annex wait for its turn, which is then no stall."""
    return "30"


@pytest.fixture
def quick(monkeypatch, stall_s):
    """Loopback allowed, short waits between tries."""
    for name, value in loopback.allowed().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("BOLDFLOW_FETCH_BACKOFF_S", "0.05")
    monkeypatch.setenv("BOLDFLOW_FETCH_STALL_S", stall_s)


@pytest.fixture
def server():
    with loopback.serve() as one:
        yield one


@pytest.fixture
def work(tmp_path):
    loopback.write_bids(tmp_path / NAME, real_data())
    return tmp_path / NAME


def place(path):
    return f"{loopback.BUCKET}/{NAME}/{path}"


def public(server):
    return f"{server.url}/{loopback.BUCKET}/{NAME}/{{path}}"


@pytest.fixture
def here(server, work, bare_machine, quick):
    """A clone of the bundle: no content, no version recorded for any key."""
    commit = loopback.publish(server, NAME, work, ["mask.nii.gz", "sub-*/func/*.nii.gz"])
    folder = work.parent / "clone"
    assert annex.clone(str(work.with_suffix(".bundle")), folder, commit, public(server)) == commit
    # git-annex tries again by itself where a transfer moved on before it failed: on a busy machine it may see that
    run(folder, "git", "config", "annex.forward-retry", "0")
    return folder


def test_datalad_get_fails_as_in_the_wild_and_ours_fetches_what_was_asked(here, server, tmp_path):
    """The state of BOLD5000: an exported remote with versioning, and no version recorded for the keys."""
    wild = tmp_path / "wild"
    run(tmp_path, "datalad", "clone", str(here.parent / f"{NAME}.bundle"), str(wild))
    got = subprocess.run(["datalad", "get", "sub-01"], cwd=wild, capture_output=True, text=True, check=False)
    assert got.returncode == 1
    assert "Remote is configured to use versioning, but no S3 version ID is recorded" in got.stdout + got.stderr
    assert not server.gets(place(FIRST))
    assert annex.get(here, ["sub-01"]) == [FIRST, SECOND]
    assert (here / FIRST).read_bytes() == server.contents[place(FIRST)]
    assert {one.path for one in server.requests} == {place(FIRST), place(SECOND)}
    assert not (here / FIRST.replace("sub-01", "sub-02")).exists()


def test_receipts_name_the_address_and_a_private_remote_is_not_asked(here, server):
    annex.get(here, [FIRST])
    row = annex.describe(here, [FIRST])[0]
    content = server.contents[place(FIRST)]
    assert row["url"] == f"{server.url}/{place(FIRST)}"
    assert (row["size"], row["checksum"]) == (len(content), "md5:" + hashlib.md5(content).hexdigest())
    assert annex_tree.says(here, "config", "remote.s3-PRIVATE.annex-ignore") == "true"
    assert annex_tree.says(here, "config", "remote.s3-PUBLIC.annex-ignore") is None


def test_keys_with_a_version_are_fetched_by_it_and_nothing_is_registered(server, work):
    commit = loopback.publish(server, NAME, work, ["mask.nii.gz", "sub-*/func/*.nii.gz"], versions=True)
    here = work.parent / "clone"
    annex.clone(str(work.with_suffix(".bundle")), here, commit, public(server))
    server.faults[place(FIRST)] = ["flip"]
    annex.get(here, [FIRST])
    assert annex.describe(here, [FIRST])[0]["url"] == f"{server.url}/{place(FIRST)}?versionId=version-1"
    logs = annex_tree.git(here, "ls-tree", "-r", "--name-only", "git-annex").decode().split()
    assert not [name for name in logs if name.endswith(".log.web")]


def test_a_recorded_export_changes_neither_the_address_nor_the_bound_of_tries(server, work):
    """Newer versions of git-annex find content by its exported path: each remote is then a source of its own."""
    commit = loopback.publish(server, NAME, work, ["mask.nii.gz", "sub-*/func/*.nii.gz"], exported=True)
    here = work.parent / "clone"
    annex.clone(str(work.with_suffix(".bundle")), here, commit, public(server))
    server.faults[place(FIRST)] = ["flip"]
    server.forever.add(place(FIRST))
    with pytest.raises(RuntimeError, match=r"sub-01_task-objects_run-01_bold\.nii\.gz: content does not match its key"):
        annex.get(here, ["sub-01"])
    assert 2 <= len(server.gets(place(FIRST))) <= 2 * 2, "two rounds over two remotes"
    assert annex.describe(here, [SECOND])[0]["url"] == f"{server.url}/{place(SECOND)}"


def test_without_a_public_address_the_reason_says_what_is_missing(here, work, server):
    annex.clone(str(work.with_suffix(".bundle")), here, None, None)
    with pytest.raises(RuntimeError, match="no remote has a version recorded, and no public address is known"):
        annex.get(here, [FIRST])
    assert not server.requests


@pytest.mark.parametrize("fault", ["flip", "short", "html"])
def test_content_that_does_not_match_is_fetched_once_more(here, server, fault, caplog):
    server.faults[place(FIRST)] = [fault]
    annex.get(here, ["sub-01"])
    assert (here / FIRST).read_bytes() == server.contents[place(FIRST)]
    assert 2 <= from_the_beginning(server) <= 2 + ended_by_its_database(caplog)
    assert len(server.gets(place(SECOND))) == 1


def from_the_beginning(server):
    """Gets of the first file; on a busy machine git-annex may take a short answer for a part, and ask for the rest."""
    return sum(one.start == 0 for one in server.gets(place(FIRST)))


def ended_by_its_database(caplog):
    """Tries that git-annex ended because its own database was busy: it says nothing then of what has arrived."""
    return sum("SQLite3 returned" in line or "database is locked" in line for line in caplog.text.splitlines())


@pytest.mark.parametrize("fault", ["flip", "short", "html"])
def test_content_that_never_matches_is_named_with_expected_and_found(here, server, fault, caplog):
    server.faults[place(FIRST)] = [fault]
    server.forever.add(place(FIRST))
    right = server.contents[place(FIRST)]
    wrong = {
        "flip": bytes([right[0] ^ 1]) + right[1:-1] + bytes([right[-1] ^ 1]),
        "short": right[: len(right) // 2],
        "html": loopback.PAGE,
    }[fault]
    with pytest.raises(RuntimeError) as error:
        annex.get(here, ["sub-01"])
    told = str(error.value)
    for words in (
        "1 of 2 files",
        FIRST,
        f"key MD5E-s{len(right)}--{hashlib.md5(right).hexdigest()}",
        f"expected {len(right)} bytes, md5:{hashlib.md5(right).hexdigest()}",
        f"found {len(wrong)} bytes, md5:{hashlib.md5(wrong).hexdigest()}{', a web page' if fault == 'html' else ''} (2",
    ):
        assert words in told
    assert SECOND not in told and (here / SECOND).exists(), "what is whole stays"
    assert not (here / FIRST).exists()
    assert 2 <= from_the_beginning(server) <= 2 + ended_by_its_database(caplog), "one more get, and no further one"
    assert not list((here / ".git/annex/tmp").iterdir()) and not list((here / ".git/boldflow-arriving").iterdir())


@pytest.mark.parametrize("faults", [["429", "503", "500"], ["cut:0", "cut:30000", "429"]])
def test_a_busy_server_is_asked_again(here, server, faults):
    server.faults[place(FIRST)] = list(faults)
    annex.get(here, [FIRST])
    assert (here / FIRST).read_bytes() == server.contents[place(FIRST)]
    assert len(server.requests) == len(faults) + 1


def test_tries_are_bounded_and_the_answer_is_told(here, server, monkeypatch):
    monkeypatch.setenv("BOLDFLOW_FETCH_ATTEMPTS", "3")
    server.faults[place(FIRST)] = ["503"]
    server.forever.add(place(FIRST))
    with pytest.raises(RuntimeError, match=r"Service Unavailable.*3 tries without progress"):
        annex.get(here, ["sub-01"])
    assert len([one for one in server.requests if one.path == place(FIRST)]) == 3
    assert (here / SECOND).exists()


def test_a_file_that_is_not_there_is_not_asked_for_again(here, server):
    content = server.contents.pop(place(FIRST))
    with pytest.raises(RuntimeError, match="Not Found"):
        annex.get(here, [FIRST])
    assert len(server.requests) == 1
    server.contents[place(FIRST)] = content
    annex.get(here, [FIRST])


@pytest.mark.parametrize("ranges", [True, False])
def test_connections_cut_at_random_bytes_are_resumed_where_the_server_can(here, server, ranges):
    server.ranges = ranges
    cuts = [5000, 40_000, 90, 20_000]
    server.faults[place(FIRST)] = [f"cut:{byte}" for byte in cuts]
    annex.get(here, [FIRST])
    assert (here / FIRST).read_bytes() == server.contents[place(FIRST)]
    starts = [one.start for one in server.gets(place(FIRST))]
    assert starts == ([0, 5000, 45_000, 45_090, 65_090] if ranges else [0] * 5)


@pytest.mark.parametrize("stall_s", ["1"])
@pytest.mark.parametrize("byte", [0, 30_000])
def test_a_stalled_server_is_given_up_in_bounded_time_and_asked_again(here, server, byte):
    """At 30,000 bytes git-annex's own detection sees it; before the first byte only the silence is left."""
    server.faults[place(FIRST)] = [f"stall:{byte}"]
    began = time.monotonic()
    annex.get(here, ["sub-01"])
    assert time.monotonic() - began < loopback.STALL_S / 2, "the server alone ended it"
    assert (here / FIRST).read_bytes() == server.contents[place(FIRST)]
    assert len(server.gets(place(FIRST))) == 2


def test_content_damaged_on_this_disk_is_noticed_and_fetched_again(here, server):
    annex.get(here, ["sub-01"])
    content = (here / FIRST).resolve()
    content.parent.chmod(0o755)
    content.chmod(0o644)
    damaged = bytearray(content.read_bytes())
    damaged[1000] ^= 1
    content.write_bytes(damaged)
    assert annex.get(here, ["sub-01"]) == [FIRST]
    assert (here / FIRST).read_bytes() == server.contents[place(FIRST)]
    assert len(server.gets(place(SECOND))) == 1
    assert [path.read_bytes() for path in (here / ".git/annex/bad").iterdir()] == [bytes(damaged)]


def test_one_content_at_two_paths_is_fetched_once_and_fails_at_both(server, work):
    twin = "sub-02/func/twin_bold.nii.gz"
    (work / twin).write_bytes((work / FIRST).read_bytes())
    commit = loopback.publish(server, NAME, work, ["sub-*/func/*.nii.gz"])
    here = work.parent / "clone"
    annex.clone(str(work.with_suffix(".bundle")), here, commit, public(server))
    for path in (FIRST, twin):
        server.faults[place(path)] = ["404"]
    with pytest.raises(RuntimeError, match="2 of 2 files") as error:
        annex.get(here, [FIRST, twin])
    assert all(f"  {path}: " in str(error.value) for path in (FIRST, twin))
    annex.get(here, [FIRST, twin])
    assert len(server.gets(place(FIRST))) + len(server.gets(place(twin))) == 1
    content = (here / FIRST).resolve()
    content.parent.chmod(0o755)
    content.chmod(0o644)
    content.write_bytes(b"damaged")
    assert annex.get(here, [FIRST, twin]) == [FIRST, twin]
    assert (here / twin).read_bytes() == server.contents[place(FIRST)]


def test_addresses_on_this_machine_are_refused_by_itself(here, server, monkeypatch):
    for name in loopback.allowed():
        monkeypatch.delenv(name)
    with pytest.raises(RuntimeError, match="does not allow accessing address"):
        annex.get(here, [FIRST])
    assert not server.requests


def test_progress_counts_bytes_and_names_files(here, server, capfd, caplog):
    caplog.set_level("INFO")
    annex.get(here, ["sub-01"])
    assert "get 2 files: 100%" in capfd.readouterr().err
    assert f"got {FIRST} ({len(server.contents[place(FIRST)])} bytes)" in caplog.text


@pytest.mark.parametrize(
    ("variable", "value"), [("ATTEMPTS", "many"), ("BACKOFF_S", "-1"), ("STALL_S", "0"), ("ATTEMPTS", "2.5")]
)
def test_a_limit_that_is_no_number_is_named(here, monkeypatch, variable, value):
    monkeypatch.setenv(f"BOLDFLOW_FETCH_{variable}", value)
    with pytest.raises(ValueError, match=f"BOLDFLOW_FETCH_{variable} must be a number above 0, not '{value}'"):
        annex.get(here, [FIRST])


def test_paths_are_quoted_in_addresses(here):
    odd = "a b/c#d+é.nii.gz"
    assert annex_tree.public_addresses(here, [odd])[odd].endswith("/a%20b/c%23d%2B%C3%A9.nii.gz")


def test_a_public_address_without_a_place_for_the_path_is_refused(here, work):
    with pytest.raises(ValueError, match=r"public_url must hold \{path\}"):
        annex.clone(str(work.with_suffix(".bundle")), here, None, "http://127.0.0.1/x")


def test_stalls_are_told_to_git_annex_in_the_clone(here):
    settings = dict(line.split("=", 1) for line in annex_tree.says(here, "config", "-l", "--local").splitlines())
    assert settings["annex.stalldetection"] == "1KB/30s"
    assert settings["remote.origin.annex-ignore"] == "true", "a bundle holds no content"
