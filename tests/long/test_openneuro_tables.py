"""The real trees of OpenNeuro: trial tables, splits and sizes through the workflow, against counts made without it."""

import io
import os
import re
import subprocess
import tarfile

import pandas as pd
import pytest

from boldflow import registry
from tests.conftest import ROOT, copy_project, real_data
from tests.made import forked

BUNDLES = {"bold5000": "ds001499", "god": "ds001246", "things-fmri": "ds004192"}
DATA = real_data()
FOLDER = DATA / "openneuro" if DATA else None
pytestmark = [
    pytest.mark.end_to_end,
    # with the variable set, a missing bundle is a failure and no skip
    pytest.mark.skipif(
        DATA is None or not (FOLDER.is_dir() or os.environ.get("BOLDFLOW_REAL_DATA")),
        reason="real trees: BOLDFLOW_REAL_DATA is unset and there is no ../shared/data/openneuro",
    ),
]
NO_NETWORK = (
    "import socket\n"
    "def refuse(*args, **kwargs):\n"
    "    raise AssertionError(f'a network was asked for: {args}')\n"
    "socket.getaddrinfo = socket.create_connection = socket.socket.connect = refuse\n"
)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A copy of the project in which trials and splits of the three studies were made from the bundles."""
    project = copy_project(tmp_path_factory.mktemp("openneuro") / "project")
    for name, accession in BUNDLES.items():
        assert (FOLDER / f"{accession}.bundle").is_file(), f"{FOLDER} lacks {accession}.bundle"
        arguments = ("trials", "splits", "--config", f"study={name}")
        project.snakemake(*arguments, BOLDFLOW_ORIGINS=str(FOLDER))
    return project


def git(folder, *arguments):
    return subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=True).stdout


@pytest.fixture(scope="module")
def trees(done):
    """Rows of each data set's event tables as text, read by pandas out of git, without any code of boldflow."""
    found = {}
    for name in BUNDLES:
        commit = registry.literal("datasets", name.replace("-", "_"), "FACTS")["source"]["commit"]
        pack = git(done.folder / "resources/clones" / name, "archive", commit, ":(glob)sub-*/ses-*/func/*_events.tsv")
        tables = []
        with tarfile.open(fileobj=io.BytesIO(pack)) as tar:
            for member in tar.getmembers():
                if member.isfile():
                    table = pd.read_csv(tar.extractfile(member), sep="\t", dtype=str, keep_default_na=False)
                    tables.append(table.assign(file=member.name))
        table = pd.concat(tables, ignore_index=True)
        entities = table["file"].str.extract(
            r"/(?P<sub>sub-\w+?)_ses-(?P<ses>\w+?)_task-(?P<task>\w+?)_(?:run-(?P<r>\d+)_)?"
        )
        found[name] = table.join(entities)
    return found


def trials_of(done, name):
    subjects = registry.literal("datasets", name.replace("-", "_"), "FACTS")["subjects"]
    return pd.concat(
        [pd.read_parquet(done.folder / f"results/{name}/{subject}/trials.parquet") for subject in subjects]
    )


def shown(name, rows):
    """What the tables themselves say are pictures that were shown, with the name and whether the trial counts."""
    if name == "bold5000":
        rows = rows[rows["task"] == "5000scenes"]
        return rows.assign(image=rows["ImgName"], counts=True)
    if name == "god":
        rows = rows[(rows["task"] == "perception") & (rows["event_type"] == "stimulus")]
        onset = rows["onset"].astype(float)
        rows = rows.assign(onset_s=onset).sort_values(["file", "onset_s"])
        again = (rows["stimulus_name"] == rows["stimulus_name"].shift()) & (rows["file"] == rows["file"].shift())
        return rows.assign(image=rows["stimulus_name"], counts=~again)
    rows = rows[rows["task"] == "things"]
    return rows.assign(image=rows["file_path"], counts=rows["trial_type"] != "catch")


@pytest.mark.parametrize("name", BUNDLES)
def test_every_subjects_trial_table_holds_what_the_event_tables_hold(done, trees, name):
    wanted, found = shown(name, trees[name]), trials_of(done, name)
    assert len(wanted) == len(found) > 15_000
    keys = {"subject": "sub", "session": "ses", "run": "r", "image_id": "image", "usable": "counts"}
    count = wanted.groupby(list(keys.values())).size()
    assert count.rename_axis(list(keys)).to_dict() == found.groupby(list(keys)).size().to_dict()
    onsets = wanted.assign(on=wanted["onset"].astype(float)).sort_values(["sub", "file", "on"])
    order = ["subject", "session", "run"]
    mine = found.assign(place=range(len(found))).sort_values([*order, "place"])
    assert onsets.sort_values(["sub", "ses", "r", "on"])["image"].tolist() == mine["image_id"].tolist()
    assert onsets.sort_values(["sub", "ses", "r", "on"])["on"].tolist() == mine["onset_s"].tolist()
    assert (mine["trial"] == mine.groupby(order).cumcount() + 1).all()


def test_the_figures_that_the_papers_give(done):
    """Chang et al. 2019, Horikawa & Kamitani 2017 and Hebart et al. 2023 state these."""
    five, god, things = (trials_of(done, name) for name in BUNDLES)
    assert five.groupby("subject").size().to_dict() == dict(
        zip(five["subject"].unique(), [5254] * 3 + [3108], strict=True)
    )
    assert five[five["subject"] != "sub-CSI4"].groupby("subject")["image_id"].nunique().eq(4916).all()
    usable = god[god["usable"]]
    assert usable.groupby("subject").size().eq(1200 + 50 * 35).all()
    assert things[things["usable"]].groupby("subject").size().eq(8640 + 1200).all()


def test_the_113_names_are_those_with_a_second_showing(trees):
    rows = trees["bold5000"]
    counted = set(rows.loc[rows["ImgType"].str.startswith("rep_", na=False), "ImgName"])
    given = set((FOLDER / "bold5000_repeated113.txt").read_text().split())
    assert set(registry.literal("datasets", "bold5000", "TEST_SETS")["repeated-113"].split()) == counted == given
    assert len(counted) == 113


def test_published_names_are_those_of_the_event_tables(trees):
    things, god = trees["things-fmri"], trees["god"]
    named = {name: registry.literal("datasets", name, "TEST_SETS") for name in ("things_fmri", "god")}
    assert set(named["things_fmri"]["test-100"].split()) == set(things.loc[things["trial_type"] == "test", "file_path"])
    seen = god[god["ses"].str.startswith("perceptionTest") & (god["event_type"] == "stimulus")]
    assert set(named["god"]["test-50"].split()) == set(seen["stimulus_name"])


def joined(done, name, split):
    table = pd.read_parquet(done.folder / f"results/{name}/splits/{split}.parquet")
    return table.merge(trials_of(done, name), on=["subject", "session", "run", "trial"], validate="one_to_one")


@pytest.mark.parametrize(
    ("name", "split", "tests"),
    [("bold5000", "repeated-113", 113), ("god", "test-50", 50), ("things-fmri", "test-100", 100)],
)
def test_all_showings_of_test_pictures_are_tested_and_none_trains(done, trees, name, split, tests):
    table, rows = joined(done, name, split), shown(name, trees[name])
    rows = rows[rows["counts"]]
    if name == "bold5000":
        names = set(rows.loc[rows["ImgType"].str.startswith("rep_"), "ImgName"])
    elif name == "god":
        names = set(rows.loc[rows["ses"].str.startswith("perceptionTest"), "image"])
    else:
        names = set(rows.loc[rows["trial_type"] == "test", "image"])
    assert len(names) == tests
    tested = table[table["part"] == "test"]
    assert set(tested["image_id"]) == names and not names & set(table.loc[table["part"] == "train", "image_id"])
    expected = rows[rows["image"].isin(names)].groupby(["sub", "image"]).size()
    assert tested.groupby(["subject", "image_id"]).size().tolist() == expected.tolist()
    trained = rows[~rows["image"].isin(names)].groupby("sub").size()
    assert table[table["part"] == "train"].groupby("subject").size().to_dict() == trained.to_dict()


def test_the_subject_who_came_for_nine_sessions_is_split_by_the_same_names(done):
    table = joined(done, "bold5000", "repeated-113")
    own = table[table["subject"] == "sub-CSI4"]
    tested = own[own["part"] == "test"]
    assert tested["image_id"].nunique() == 106 and len(tested) == 262
    assert (tested.groupby("image_id").size() == 1).sum() == 16  # rows alone would call these training pictures
    assert set(own["part"]) == {"train", "test"} and own["session"].nunique() == 9


def test_the_zero_shot_split_trains_on_no_tested_object(done):
    table = joined(done, "things-fmri", "test-100-zero-shot")
    concept = table["image_id"].str.split("/").str[0]
    assert not set(concept[table["part"] == "train"]) & set(concept[table["part"] == "test"])
    published = joined(done, "things-fmri", "test-100")
    lost = (published["part"] == "train").sum() - (table["part"] == "train").sum()
    assert lost == 3 * 97 * 12
    note = pd.read_json(done.folder / "results/things-fmri/splits/test-100-zero-shot.json", typ="series")
    assert len(note["published"]["mended"]) == 97 * 12 and not note["published"]["same"]


@pytest.mark.parametrize(("name", "split"), [("bold5000", "repeated-113"), ("god", "test-50")])
def test_without_pictures_the_sidecar_says_that_names_alone_were_compared(done, name, split):
    note = pd.read_json(done.folder / f"results/{name}/splits/{split}.json", typ="series")
    assert note["grouping"] == "identity" and "pixels" not in note["grouped_by"]
    assert note["published"]["same"] and note["published"]["never_shown"] == []


def keys_of(clone):
    """Size of each annexed file by its path, from the targets of links."""
    listed = git(clone, "ls-tree", "-r", "-z", "HEAD").decode().split("\0")[:-1]
    links = [line.split("\t", 1) for line in listed if line.startswith("120000")]
    blobs = "".join(f"{about.split()[2]}\n" for about, _ in links).encode()
    said = subprocess.run(
        ["git", "-C", str(clone), "cat-file", "--batch=%(objectsize)"], input=blobs, capture_output=True, check=True
    ).stdout
    sizes, place = {}, 0
    for _, path in links:
        end = said.index(b"\n", place)
        start, length = end + 1, int(said[place:end])
        match = re.search(rb"/[A-Z0-9]+E?-s(\d+)--[^/]+$", said[start : start + length])
        sizes[path] = int(match[1]) if match else 0
        place = start + length + 1
    return sizes


# which annexed files of a subject {s} each recording is made of
FSNATIVE = r"derivatives/(fmriprep/{s}/.*5000scenes.*fsnative\.[LR]\.func\.gii|freesurfer/{s}/surf/[lr]h\.sphere\.reg)"
T1W = r"derivatives/(fmriprep/{s}/.*5000scenes.*T1w_(preproc|brainmask)\.nii\.gz|spm/{s}/.*\.nii\.gz)"
SPM = r"(derivatives/preproc-spm/output/{s}/.*task-perception.*\.nii\.gz|sourcedata/{s}/.*\.nii\.gz)"
ANNEXED = {
    ("bold5000", "bold-fsnative"): FSNATIVE,
    ("bold5000", "bold-T1w"): T1W,
    ("god", "bold-preproc-spm"): SPM,
    ("god", "bold-raw"): r"({s}/.*task-perception.*\.nii\.gz|sourcedata/{s}/.*\.nii\.gz)",
    ("things-fmri", "bold-raw"): r"{s}/.*task-things.*_bold\.nii\.gz",
}


@pytest.mark.parametrize(("name", "recording"), ANNEXED)
def test_sizes_are_the_sums_of_annex_keys(done, name, recording):
    clone = done.folder / "resources/clones" / name
    keys, plugin = keys_of(clone), registry.load("datasets", name.replace("-", "_"))
    told = plugin.sizes({"name": name}, recording)
    assert told.verified and set(told.subjects) == set(plugin.FACTS["subjects"])
    trials = trials_of(done, name)
    for subject, one in told.subjects.items():
        pattern = re.compile(ANNEXED[name, recording].format(s=subject))
        assert one.fetch == sum(size for path, size in keys.items() if pattern.fullmatch(path)) > 1e9
        needed = plugin.files_needed(clone, subject, {}, recording)
        assert one.fetch == sum(keys.get(path, 0) for path in needed)
        own = trials[trials["subject"] == subject]
        assert (one.n_trials, one.n_runs) == (len(own), own.groupby(["session", "run"]).ngroups)
    assert not set(keys) & set(plugin.files_needed(clone, "dataset", {})), "trials need no annexed file"


STUDIES = sorted(path.stem for path in (ROOT / "config" / "studies").glob("*.yaml"))
AS_A_PROGRAM = "import runpy; runpy.run_module('boldflow', run_name='__main__', alter_sys=True)"
ASKING = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9')"
ASKED_BY_A_CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {ASKING!r}])"
OF_THE_USERS = ("neuralbench-mni", "neuralbench-things")  # from folders that are not there


def seal(folder):
    """Write a module that runs the project without a network; a start file seals what that starts in turn."""
    (folder / "sitecustomize.py").write_text(NO_NETWORK)
    (folder / "sealed.py").write_text(f"{NO_NETWORK}\n{AS_A_PROGRAM}")


@pytest.mark.parametrize("program", [ASKING, ASKED_BY_A_CHILD])
def test_what_refuses_the_network_does(tmp_path, program):
    seal(tmp_path)
    (tmp_path / "sealed.py").write_text(f"{NO_NETWORK}\n{program}\n")
    done = forked.run("sealed", [], tmp_path, {**os.environ, "PYTHONPATH": str(tmp_path)}, apart=True)
    assert "a network was asked for" in done.stderr


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """A copy of the project in which nothing is made."""
    return copy_project(tmp_path_factory.mktemp("estimates") / "project")


@pytest.mark.parametrize("study", STUDIES)
def test_a_study_is_estimated_without_a_network(done, fresh, tmp_path, study):
    seal(tmp_path)
    places = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(fresh.folder / "src")])}
    words = ["estimate", "--config", f"study={study}"]
    told = forked.run("sealed", words, fresh.folder, {**os.environ, **places}, apart=True, timeout=200)
    if study in OF_THE_USERS:
        assert told.returncode == 2 and "is not there: set folder of the data set" in told.stderr
        return
    assert told.returncode in (0, 1) and not told.stderr, told.stdout + told.stderr
    assert not (fresh.folder / "resources").exists()
    rows = [re.split(r"\s{2,}", line.strip()) for line in told.stdout.splitlines()]
    fetched = {
        row[1]: float(row[4].strip("~")) for row in rows if len(row) == 7 and row[0] == study and row[2] == "fetch"
    }
    if study in BUNDLES:
        recording = {"bold5000": "bold-fsnative", "god": "bold-preproc-spm", "things-fmri": "bold-raw"}[study]
        keys = keys_of(done.folder / "resources/clones" / study)
        for subject in registry.literal("datasets", study.replace("-", "_"), "FACTS")["subjects"]:
            pattern = re.compile(ANNEXED[study, recording].format(s=subject))
            size = sum(size for path, size in keys.items() if pattern.fullmatch(path))
            assert fetched[subject] == pytest.approx(size / 1e9, abs=0.006)
    if study == "nod":
        assert "not counted in the data's own tree: nod, nod-imagenet" in told.stdout and "~" in told.stdout


def test_an_origin_that_lacks_the_data_set_is_named(project, tmp_path):
    result = project.snakemake("trials", "--config", "study=god", check=False, BOLDFLOW_ORIGINS=str(tmp_path))
    assert result.returncode == 1
    assert str(tmp_path) in result.stdout and "ds001246.bundle" in result.stdout
