"""Servers, archives and interruptions while data arrive: rows 9, 11, 24, 25, 26 and 31.

The data are real BOLD (noise where it is not at hand), published on 127.0.0.1 in the state of OpenNeuro's.
"""

import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from tests.conftest import ROOT, Project, copy_project, real_data
from tests.made import loopback

pytestmark = pytest.mark.end_to_end
NAME = "ds000001"
STUDY = ("--config", "study=loopback")
RECEIPT = "resources/receipts/loopback/{}/bold.json"
RECEIPTS = ["resources/receipts/loopback/dataset.json", *(RECEIPT.format(f"sub-0{number}") for number in (1, 2))]
RESPONSES = "results/loopback/{}/blocks-0to22s-native/responses.npy"
BOLD = "sub-0{}/func/sub-0{}_task-objects_run-0{}_bold.nii.gz"
CLONE = "resources/clones/loopback"
YAML = """title: From 127.0.0.1
description: Two subjects that are fetched over loopback.
primary: {metric: accuracy, view: trial}
runs:
  - datasets: [loopback]
    subjects: [sub-01, sub-02]
    responses: [blocks-0to22s-native]
    features: [labels]
    models: [dummy, chance]
    splits: [leave-one-run-out]
figures: [leaderboard]
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Server, bundle and commit of the published data set."""
    work = tmp_path_factory.mktemp("published") / NAME
    loopback.write_bids(work, real_data())
    with loopback.serve() as server:
        commit = loopback.publish(server, NAME, work, ["mask.nii.gz", "sub-*/func/*.nii.gz"])
        yield SimpleNamespace(server=server, bundle=work.with_suffix(".bundle"), commit=commit)


def place(subject, run):
    return f"{loopback.BUCKET}/{NAME}/{BOLD.format(subject, subject, run)}"


class Fetching(Project):
    """A copy of the project whose catalogue names the data set on 127.0.0.1."""

    def variables(self):
        return {
            **loopback.allowed(), "BOLDFLOW_FETCH_BACKOFF_S": "0.05", "BOLDFLOW_FETCH_STALL_S": "1",
            "HOME": str(self.folder), "GIT_CONFIG_NOSYSTEM": "1",
        }  # fmt: skip

    def run(self, *targets, check=True, **variables):
        return self.snakemake(*targets, *STUDY, check=check, **self.variables(), **variables)

    def read(self, path):
        return (self.folder / path).read_bytes()


def make_project(folder, published):
    copy = Fetching(copy_project(folder).folder)
    text = (ROOT / "tests/made/loopback_dataset.py").read_text()
    (folder / "src/boldflow/datasets/loopback.py").write_text(text.replace("COMMIT", published.commit))
    url = f"{published.server.url}/{loopback.BUCKET}/{NAME}/{{path}}"
    entry = f"  haxby: {{}}\n  loopback: {{origin: '{published.bundle}', public_url: '{url}'}}\n"
    copy.edit("config/config.yaml", "  haxby: {}\n", entry)
    (folder / "config/studies/loopback.yaml").write_text(YAML)
    return copy


@pytest.fixture
def fetching(published, tmp_path):
    server = published.server
    server.faults.clear()
    server.forever.clear()
    server.requests.clear()
    server.ranges, server.pause_s = True, 0.0
    return make_project(tmp_path / "project", published)


@pytest.fixture(scope="module")
def undisturbed(published, tmp_path_factory):
    """Receipts of a run that nothing disturbs, by path."""
    published.server.faults.clear()  # it may be made after a test that has left some
    published.server.forever.clear()
    copy = make_project(tmp_path_factory.mktemp("undisturbed") / "project", published)
    copy.run(*RECEIPTS)
    return {path: copy.read(path) for path in RECEIPTS}


def no_half_files(copy):
    assert not [path for path in copy.folder.rglob("*") if ".part" in path.name]
    assert not list((copy.folder / CLONE / ".git/boldflow-arriving").glob("*"))


def test_a_flipped_byte_is_fetched_once_more_and_then_named_and_other_subjects_go_on(fetching, published, undisturbed):
    server = published.server
    server.faults[place(2, 1)] = ["flip"]
    server.forever.add(place(2, 1))
    server.faults[place(1, 2)] = ["flip"]  # once
    targets = [RESPONSES.format(subject) for subject in ("sub-01", "sub-02")]
    said = fetching.run(*targets, "--keep-going", check=False)
    assert said.returncode == 1
    key = next(
        row["key"] for row in json.loads(undisturbed[RECEIPTS[2]])["files"] if row["path"] == BOLD.format(2, 2, 1)
    )
    size, md5 = re.fullmatch(r"MD5E-s(\d+)--([0-9a-f]+)\.nii\.gz", key).groups()
    words = (
        rf"{BOLD.format(2, 2, 1)}: content does not match its key {key}: expected {size} bytes, md5:{md5}; found {size}"
    )
    assert re.search(rf"{re.escape(words)} bytes, md5:[0-9a-f]{{32}} \(2 times\)", said.stdout), said.stdout
    assert len(server.gets(place(2, 1))) == 2 and len(server.gets(place(1, 2))) == 2
    assert (fetching.folder / targets[0]).is_file() and not (fetching.folder / targets[1]).exists()
    assert not (fetching.folder / RECEIPTS[2]).exists()
    assert re.findall(r"Project (\S+) of loopback", said.stdout) == ["sub-01"]
    no_half_files(fetching)
    before = (fetching.folder / RECEIPTS[1]).stat().st_mtime_ns
    server.faults.clear()
    server.requests.clear()
    fetching.run(*targets)
    assert (fetching.folder / RECEIPTS[1]).stat().st_mtime_ns == before
    assert {path: fetching.read(path) for path in RECEIPTS} == undisturbed
    assert {one.path for one in server.requests} == {place(2, 1)}, "what had arrived is not fetched again"


def test_what_is_broken_as_published_is_refused_at_arrival(fetching, published):
    said = fetching.run(RECEIPT.format("sub-03"), check=False)
    assert said.returncode == 1
    for words in (
        "2 files of resources/clones/loopback are not what their names say",
        f"{BOLD.format(3, 3, 1)} (50000 bytes): no whole gzip: it ends too early",
        f"{BOLD.format(3, 3, 2)} ({len(loopback.PAGE)} bytes): it is a web page",
    ):
        assert words in said.stdout, said.stdout
    assert not (fetching.folder / RECEIPT.format("sub-03")).exists()
    fetching.run(RECEIPTS[1])


def test_busy_stalled_and_cutting_servers_end_in_the_undisturbed_receipts(fetching, published, undisturbed):
    rng = random.Random(7)
    published.server.faults |= {
        place(1, 1): ["429", f"cut:{rng.randrange(100_000)}", "503"],
        place(1, 2): ["stall:0"],
        place(2, 1): [f"stall:{rng.randrange(20_000, 90_000)}"],
        place(2, 2): [f"cut:{rng.randrange(30_000)}" for _ in range(4)],
    }
    fetching.run(*RECEIPTS)
    assert {path: fetching.read(path) for path in RECEIPTS} == undisturbed
    no_half_files(fetching)
    assert "are to be tried again" in fetching.read("logs/fetch_subject/loopback_sub-01_bold.log").decode()


def test_a_server_that_stays_busy_is_given_up_and_named(fetching, published):
    server = published.server
    server.faults[place(1, 1)] = ["503"]
    server.forever.add(place(1, 1))
    said = fetching.run(RECEIPTS[1], check=False, BOLDFLOW_FETCH_ATTEMPTS="2")
    assert said.returncode == 1
    assert f"{BOLD.format(1, 1, 1)}: {server.url}" in said.stdout
    assert "Service Unavailable" in said.stdout and "2 tries without progress" in said.stdout
    assert "snakemake prefetch --profile cpu" in said.stdout
    assert len([one for one in server.requests if one.path == place(1, 1)]) == 2
    assert (fetching.folder / CLONE / BOLD.format(1, 1, 2)).exists(), "what is whole stays"


def still_there(folder):
    """Processes that work in a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if Path(os.readlink(entry / "cwd")).is_relative_to(folder):
                    found.append((entry / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue
    return found


@pytest.mark.parametrize("how", ["SIGINT", "SIGKILL"])
def test_a_run_that_is_interrupted_five_times_goes_on_and_fetches_nothing_twice(fetching, published, undisturbed, how):
    """Each time the whole group of processes is hit, when a random number of bytes more has been served."""
    server, clone = published.server, fetching.folder / CLONE
    paths = {row["key"]: row["path"] for path in RECEIPTS for row in json.loads(undisturbed[path])["files"]}
    bold = [BOLD.format(subject, subject, run) for subject in (1, 2) for run in (1, 2)]
    total = sum(len(server.contents[f"{loopback.BUCKET}/{NAME}/{path}"]) for path in bold)
    server.pause_s = 0.1
    rng = random.Random(3)
    fetching.run(RECEIPTS[0])
    server.requests.clear()
    stops = []
    for _ in range(5):
        wanted = sum(one.sent for one in server.requests) + rng.randrange(total // 40, total // 8)
        interrupt(fetching, lambda: sum(one.sent for one in server.requests) >= wanted, how)  # noqa: B023
        tmp = {one.name: one.stat().st_size for one in (clone / ".git/annex/tmp").glob("MD5E-*")}
        whole = [path for path in bold if (clone / path).exists()]
        stops.append((len(server.requests), {paths[key]: size for key, size in tmp.items() if size}, whole))
        fetching.snakemake("--unlock", *STUDY, **fetching.variables())
    server.pause_s = 0.0
    fetching.run(*RECEIPTS)
    assert {path: fetching.read(path) for path in RECEIPTS} == undisturbed
    no_half_files(fetching)
    assert any(partial for _, partial, _ in stops)
    for place_, partial, whole in stops:
        after = [(one.path.removeprefix(f"{loopback.BUCKET}/{NAME}/"), one.start) for one in server.requests[place_:]]
        assert not {path for path, _ in after} & set(whole), "what was whole is fetched again"
        assert {path: dict(reversed(after))[path] for path in partial} == partial, "a part is not resumed"


def interrupt(copy, when, how):
    """Run all fetches, and send a signal to the whole group when told; wait until nothing works there any more."""
    process = subprocess.Popen(
        [sys.executable, "-m", "snakemake", *RECEIPTS, *STUDY, "--profile", "cpu", "--nocolor"],
        cwd=copy.folder,
        env={**os.environ, **copy.variables()},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    limit = time.monotonic() + 90
    while not when() and process.poll() is None:
        assert time.monotonic() < limit
        time.sleep(0.01)
    assert process.poll() is None, "the run was over before it was interrupted"
    os.killpg(process.pid, getattr(signal, how))
    process.wait(timeout=60)
    while still_there(copy.folder):
        assert time.monotonic() < limit, f"outlives the run: {still_there(copy.folder)}"
        time.sleep(0.05)


def sealed():
    """A command before another one that takes all networks from it, this machine's own too."""
    for command in (["unshare", "-n"], ["unshare", "-rn"]):
        if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
            return command
    pytest.skip("unshare is not permitted here, so no process can be cut off from networks")


def test_after_prefetch_nothing_needs_a_network_and_without_it_the_error_says_so(fetching, published):
    seal = sealed()
    command = [*seal, sys.executable, "-m", "snakemake", *STUDY, "--profile", "cpu", "--nocolor"]
    options = {
        "cwd": fetching.folder,
        "env": {**os.environ, **fetching.variables()},
        "capture_output": True,
        "text": True,
    }
    fetching.run(RECEIPTS[0])
    alone = subprocess.run([*command, "--until", "fetch_subject"], check=False, **options)
    assert alone.returncode == 1
    assert BOLD.format(1, 1, 1) in alone.stderr and "run `snakemake prefetch --profile cpu`" in alone.stderr
    fetching.run("prefetch")
    served = len(published.server.requests)
    done = subprocess.run(command, check=False, **options)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (fetching.folder / "results/studies/loopback/report/index.html").is_file()
    assert len(published.server.requests) == served
    assert "fetch_subject" not in done.stderr


def test_an_origin_that_moved_changes_nothing_and_one_that_lost_the_commit_shows_both(fetching, published, undisturbed):
    moved = fetching.folder.parent / "moved"
    subprocess.run(["git", "clone", "-q", "-b", "master", str(published.bundle), str(moved)], check=True)
    (moved / "CHANGES").write_text("newer\n")
    for command in (["add", "CHANGES"], ["commit", "-q", "-m", "newer"]):
        loopback.run(moved, "git", *command)
    loopback.run(moved, "git", "branch", "git-annex", "origin/git-annex")
    newer = loopback.run(moved, "git", "rev-parse", "HEAD")
    fetching.edit("config/config.yaml", str(published.bundle), str(moved))
    fetching.run(RECEIPTS[0])
    assert fetching.read(RECEIPTS[0]) == undisturbed[RECEIPTS[0]]
    fetching.edit("src/boldflow/datasets/loopback.py", published.commit, "0123456789" * 4)
    said = fetching.run(RECEIPTS[0], check=False)
    assert said.returncode == 1
    assert f"has no commit {'0123456789' * 4}; its HEAD is {newer}" in said.stdout


def test_a_mistyped_origin_costs_nothing_that_was_there(fetching, published, undisturbed):
    """The last good receipt stays, what follows from it is not made again, and the message names the key."""
    split = "results/loopback/splits/leave-one-run-out.parquet"
    fetching.run(split)
    right, wrong = str(published.bundle), f"{published.bundle}.typo"
    fetching.edit("config/config.yaml", right, wrong)
    assert fetching.planned(split, *STUDY) == {}, "another address changes no result"
    said = fetching.run(RECEIPTS[0], "-R", "fetch_dataset", check=False)
    assert said.returncode == 1
    assert f"datasets.loopback.origin is '{wrong}', and there is no such folder or bundle" in said.stdout
    assert fetching.read(RECEIPTS[0]) == undisturbed[RECEIPTS[0]]
    assert wrong in fetching.run(RECEIPTS[1], check=False).stdout, "a get goes where the entry says now"
    fetching.edit("config/config.yaml", wrong, right)
    assert fetching.planned(split, *STUDY) == {}


def picture(colour):
    content = io.BytesIO()
    Image.new("RGB", (32, 32), colour).save(content, "PNG")
    return content.getvalue()


@pytest.fixture
def pictures(fetching):
    """The data set without its pictures: entries of the catalogue may say where they are."""
    path = fetching.folder / "src/boldflow/datasets/loopback.py"
    fetching.edit(str(path), '"stimuli_inside": True', '"stimuli_inside": False')
    fetching.edit(str(path), '"stimuli_from": None', '"stimuli_from": "Ask the authors for pictures.zip."')
    fetching.edit(str(path), '"stimuli_password": None', '"stimuli_password": "BOLDFLOW_TEST_PASSWORD"')
    key = '{"stimuli_root": {"type": "string", "description": "The pictures."}}'
    fetching.edit(str(path), "SETTINGS: dict[str, dict[str, Any]] = {}", f"SETTINGS = {key}")
    text = (fetching.folder / "config/config.yaml").read_text()
    entry = re.search(r"  loopback: \{(.*)\}\n", text)[1]

    def name(**roots):
        entries = "".join(
            f"  {name}: {{plugin: loopback, {entry}, stimuli_root: '{root}'}}\n" for name, root in roots.items()
        )
        (fetching.folder / "config/config.yaml").write_text(text.replace("  haxby: {}\n", f"  haxby: {{}}\n{entries}"))

    fetching.name = name
    return fetching


def test_hostile_archives_are_refused_before_anything_is_written(pictures, tmp_path):
    hostile = tmp_path / "hostile"
    hostile.mkdir()
    with zipfile.ZipFile(hostile / "out.zip", "w") as archive:
        archive.writestr("pictures/a.png", picture("red"))
        archive.writestr("pictures/../../../evil.png", picture("red"))
    with tarfile.open(hostile / "link.tar.gz", "w:gz") as archive:
        link = tarfile.TarInfo("pictures")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        archive.addfile(link)
    with zipfile.ZipFile(hostile / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(50_000_000))
    names = {"out": "out.zip", "link": "link.tar.gz", "bomb": "bomb.zip"}
    pictures.name(**{name: hostile / file for name, file in names.items()})
    said = pictures.run(*(f"resources/receipts/{name}/stimuli.json" for name in names), "--keep-going", check=False)
    assert said.returncode == 1
    for words in (
        "'pictures/../../../evil.png': names must stay below the folder",
        "'pictures', which is no plain file: links are refused",
        "would unpack to 50000000 bytes or more in 1 files",
    ):
        assert words in said.stdout, said.stdout
    assert not (pictures.folder / "resources/stimuli").exists() or not list(
        (pictures.folder / "resources/stimuli").iterdir()
    )
    assert not list(pictures.folder.rglob("evil.png"))
    assert not list((pictures.folder / "resources/receipts").rglob("stimuli.json"))


def test_pictures_of_the_users_own_are_trusted_as_first_seen(pictures, tmp_path):
    """From an archive, then from a folder; another picture stops with both checksums."""
    shown = {"pictures/a.png": picture("red"), "pictures/b.png": picture("blue")}
    with zipfile.ZipFile(tmp_path / "pictures.zip", "w") as archive:
        for name, content in shown.items():
            archive.writestr(name, content)
    pictures.name(own=tmp_path / "pictures.zip")
    receipt, pack = "resources/receipts/own/stimuli.json", "results/own/stimuli.parquet"
    pictures.run(pack)
    note = json.loads(pictures.read(receipt))
    assert [row["path"] for row in note["files"]] == list(shown) and note["archive"]["name"] == "pictures.zip"
    assert note["archive"]["checksum"].startswith("sha256:") and note["root"] == "resources/stimuli/own"
    folder = tmp_path / "folder"
    for name, content in shown.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    pictures.name(own=folder)
    pictures.run(pack)
    assert json.loads(pictures.read(receipt))["files"] == note["files"]
    assert pictures.planned(pack, *STUDY) == {}
    (folder / "pictures/.DS_Store").write_bytes(b"the system's own")
    assert pictures.planned(pack, *STUDY) == {}
    (folder / "pictures/a.png").write_bytes(picture("green"))
    assert pictures.planned(pack, *STUDY) == {"fetch_stimuli": 1, "pack_stimuli": 1}, "a picture changed in its place"
    said = pictures.run(pack, check=False)
    assert said.returncode == 1
    assert "stimuli of own: 1 of 2 checksums are not those of the first use" in said.stdout
    assert re.search(r"pictures/a\.png: sha256:[0-9a-f]{64} at first use, sha256:[0-9a-f]{64} now", said.stdout)
    assert "remove resources/trusted/own-stimuli.json" in said.stdout
    assert json.loads(pictures.read(receipt))["files"] == note["files"], "the last good receipt stays"
    assert pictures.run(pack, check=False).returncode == 1, "a refusal is not forgotten"
    (pictures.folder / "resources/trusted/own-stimuli.json").unlink()
    pictures.run(pack)
    assert json.loads(pictures.read(receipt))["files"] != note["files"], "accepted as the message says"
    pictures.name(own=tmp_path / "nowhere")
    said = pictures.run(receipt, check=False)
    assert "datasets.own.stimuli_root is" in said.stdout and "there is no such folder or archive" in said.stdout
    said = pictures.run("resources/receipts/loopback/stimuli.json", check=False)
    assert "Ask the authors for pictures.zip. Then set datasets.loopback.stimuli_root" in said.stdout
    assert "results/loopback/splits" in pictures.run("-n", "results/loopback/splits/leave-one-run-out.parquet").stdout


def test_a_part_of_the_pictures_is_refused_before_it_is_trusted(pictures, tmp_path):
    """The trials show 48 different ones."""
    pictures.edit("src/boldflow/datasets/loopback.py", '"images": False', '"images": True')
    folder = tmp_path / "some"
    folder.mkdir()
    (folder / "a.png").write_bytes(picture("red"))
    pictures.name(own=folder)
    said = pictures.run("resources/receipts/own/stimuli.json", check=False)
    assert said.returncode == 1
    words = f"datasets.own.stimuli_root: {folder} holds 1 pictures, and the trials of own show 48 different ones"
    assert words in said.stdout, said.stdout[-3000:]
    assert not (pictures.folder / "resources/trusted").exists()
