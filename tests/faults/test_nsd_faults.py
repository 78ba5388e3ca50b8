"""NSD from a look-alike of its bucket: the agreement, what changes upstream, and betas, ids and regions that are wrong.

All files are made (tests/made/nsd.py). Rows 8, 9, 11, 12 and 30, and ids and regions of rows 2 and 4.
"""

import io
import re
import subprocess

import h5py
import numpy as np
import pandas as pd
import pytest

from boldflow.artifacts.releases import nsd_tree
from tests.faults.conftest import Study
from tests.made import loopback
from tests.made import nsd as made_nsd
from tests.made.nsd_copy import RECEIPT, STUDY, copied

pytestmark = pytest.mark.end_to_end
YAML = """title: Made files
primary: {metric: r, view: image}
runs:
  - {datasets: [nsd-tiny], subjects: all, responses: [betas-nsdgeneral], features: [gabor], models: [ridge-encoder],
     splits: [shared-1000]}
  - {datasets: [nsd-tiny], subjects: [subj02], responses: [betas-nsdgeneral-nifti], features: [gabor], models: [ridge],
     splits: [shared-1000]}
"""
AGREEMENT = "    agreement: {name: nobody (made files), date: 2026-01-01}\n"
CLONE = "resources/clones/nsd-tiny"
RESPONSES = "results/nsd-tiny/{}/betas-nsdgeneral/responses.npy"
TRIALS = "results/nsd-tiny/{}/trials.parquet"
BOARD = "results/studies/made/leaderboard.parquet"


@pytest.fixture(scope="module")
def made():
    return made_nsd.make(n_sessions=3, per_session=36, n_vertices=42)


@pytest.fixture(scope="module")
def bucket(made):
    with made_nsd.serve(made.files) as served:
        yield served


@pytest.fixture(scope="module")
def whole(made, bucket, tmp_path_factory):
    """The study, run whole."""
    bucket.put(made.files)
    copy = copied(tmp_path_factory.mktemp("nsd") / "project", bucket, YAML)
    copy.run(BOARD)
    return copy


def test_without_the_agreement_nothing_is_asked_of_the_bucket(bucket, tmp_path):
    copy = copied(tmp_path / "project", bucket, YAML)
    copy.edit("config/config.yaml", AGREEMENT, "")
    bucket.gets.clear()
    assert "fetch_dataset" in copy.planned("prefetch", *STUDY), "what is to come can be planned before"
    said = copy.run("prefetch", "--keep-going", check=False)
    assert said.returncode == 1
    assert "nsd-tiny: nothing was fetched" in said.stdout and "https://forms.gle/eT4jHxaWwYUDEf2i9" in said.stdout
    assert "datasets.nsd-tiny.agreement" in said.stdout
    assert bucket.gets == []
    assert not (copy.folder / "resources/clones").exists() and not (copy.folder / "resources/origins").exists()


def test_files_that_are_cut_short_pages_or_changed_upstream_are_refused_and_fetched_anew_when_mended(
    made, bucket, tmp_path
):
    hdf5, nifti = (nsd_tree.volume_betas("subj01", 2, ending) for ending in nsd_tree.VOLUMES)
    targets = [RECEIPT.format("subj01", recording) for recording in ("betas-hdf5", "betas-nifti")]
    copy = copied(tmp_path / "project", bucket, YAML)
    bucket.put({**made.files, hdf5: made.files[hdf5][:-500], nifti: loopback.PAGE})
    said = copy.run(*targets, "--keep-going", check=False)
    assert said.returncode == 1
    assert re.search(rf"{hdf5} \({len(made.files[hdf5]) - 500} bytes\): .*truncated file", said.stdout), said.stdout
    assert re.search(rf"{nifti} .*it is a web page", said.stdout), said.stdout
    assert not any((copy.folder / target).exists() for target in targets)
    bucket.put(made.files)
    copy.run(*targets)
    first = copy.receipt("subj01", "betas-hdf5")
    assert first[hdf5]["checksum"].startswith("sha256:") and first[hdf5]["size"] == len(made.files[hdf5])
    assert first[hdf5]["url"] == bucket.public_url.replace("{path}", hdf5)

    changed = bytearray(made.files[hdf5])
    changed[-1] ^= 1
    bucket.put({hdf5: bytes(changed)})
    object_ = (copy.folder / CLONE / hdf5).resolve()
    subprocess.run(["chmod", "-R", "u+w", str(object_.parent)], check=True)
    object_.unlink()
    for _ in range(2):  # it is never got used to
        said = copy.run("-f", targets[0], check=False)
        assert said.returncode == 1
        both = rf"{first[hdf5]['checksum']} at first use, sha256:\w+ now"
        words = rf"files of nsd-tiny: 1 of \d+ checksums .*\n  {hdf5}: {both}"
        assert re.search(words, said.stdout), said.stdout
        assert first[hdf5]["checksum"] != re.search(r"at first use, (sha256:\w+) now", said.stdout)[1]
    bucket.put(made.files)
    copy.run("-f", targets[0])
    assert copy.receipt("subj01", "betas-hdf5") == first
    object_ = (copy.folder / CLONE / hdf5).resolve()
    subprocess.run(["chmod", "-R", "u+w", str(object_.parent)], check=True)
    object_.write_bytes(bytes(changed))  # damaged on this disk, not upstream
    bucket.gets.clear()
    copy.run("-f", targets[0])
    assert bucket.gets == [hdf5] and copy.receipt("subj01", "betas-hdf5") == first


def test_the_study_runs_whole_and_only_its_files_are_fetched(made, bucket, whole):
    board = pd.read_parquet(whole.folder / BOARD)
    assert board["simulated"].all()
    rows = board[(board["metric"] == "r") & (board["view"] == "image") & (board["roi"] == "nsdgeneral")]
    assert sorted(rows["subject"]) == ["subj01", "subj02"] and (rows["value"] > 0.2).all(), rows
    for subject in ("subj01", "subj02"):
        places = pd.read_parquet(whole.folder / f"results/nsd-tiny/{subject}/betas-nsdgeneral/vertices.parquet")
        values = np.load(whole.folder / RESPONSES.format(subject))
        planted = np.concatenate([made.volumes[subject, n] for n in (1, 2, 3)], axis=3).astype(float)
        for column, (i, j, k) in enumerate(places[["i", "j", "k"]].to_numpy()):
            sessions = planted[i, j, k].reshape(3, 36)
            wanted = (sessions - sessions.mean(1, keepdims=True)) / sessions.std(1, ddof=1, keepdims=True)
            assert values[:, column] == pytest.approx(wanted.ravel(), abs=1e-4)
        ncsnr = made.ncsnr[subject][0][tuple(places[["i", "j", "k"]].to_numpy().T)]
        assert places["published_nc_3"].to_numpy() == pytest.approx(ncsnr**2 / (ncsnr**2 + 1 / 3), rel=1e-4)
    assert np.array_equal(
        np.load(whole.folder / RESPONSES.format("subj02")),
        np.load(whole.folder / RESPONSES.format("subj02").replace("nsdgeneral", "nsdgeneral-nifti")),
    )
    arrived = {
        path.relative_to(whole.folder / CLONE).as_posix()
        for path in (whole.folder / CLONE).rglob("*")
        if path.is_symlink() and path.exists()
    }
    assert not [
        path for path in arrived if ".mgh" in path or ("subj01" in path and "session" in path and "nii" in path)
    ]
    assert len([path for path in arrived if "betas_session" in path]) == 9


@pytest.fixture
def study(whole, tmp_path):
    """A copy in which faults are planted."""

    class Planted(Study):
        chosen = STUDY

        def put(self, path, content):
            self.plant(f"{CLONE}/{path}", content)

    return Planted(whole.again(tmp_path / "copy").folder, whole.folder)


def scaled(values):
    """Betas in HDF5 of other whole numbers."""
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.create_dataset("betas", data=values.T)
    return content.getvalue()


def test_betas_of_another_scale_and_regions_of_another_grid_are_refused_with_the_likely_cause(made, study):
    targets = [RESPONSES.format(subject) for subject in ("subj01", "subj02")]
    times, part = (nsd_tree.volume_betas(subject, 1, "hdf5") for subject in ("subj01", "subj02"))
    study.put(times, scaled(made.volumes["subj01", 1].astype(np.int32) * 300))
    study.put(part, scaled(np.round(made.volumes["subj02", 1] / 300).astype(np.int16)))
    says = [
        "subj01: session 01: betas in percent signal change have a standard deviation",
        "integer betas that were not divided by 300?",
        "subj02: session 01: betas in percent signal change",
        "betas divided by 300 that were percent already?",
    ]
    study.fails(*targets, says=says)
    study.mend()
    for name in ("nsdgeneral", "prf-visualrois", "streams"):
        path = nsd_tree.volume_regions("subj01", name)
        study.put(path, made.files[nsd_tree.volume_regions("subj02", name)])
    study.put(nsd_tree.volume_ncsnr("subj01"), made.files[nsd_tree.volume_ncsnr("subj02")])
    study.put(nsd_tree.volume_betas("subj02", 3, "hdf5"), made.files[nsd_tree.volume_betas("subj02", 3, "hdf5")][:-500])
    study.fails(
        *targets,
        says=[
            "is on a grid of (8, 9, 7) voxels, the regions on one of (7, 8, 9)",
            "betas_session03.hdf5",
            "is no whole file of betas",
        ],
    )
    study.mend()
    one, other = (nsd_tree.volume_betas("subj01", session, "hdf5") for session in (1, 3))
    study.put(one, made.files[other])
    study.put(other, made.files[one])
    says = ["betas of session 01 agree", "taken for those of session 03", "were the files of these sessions exchanged?"]
    study.fails(targets[0], says=says)
    study.mend()
    study.completes(*targets)


def test_shuffled_sessions_and_ids_that_are_off_by_one_are_refused_before_a_trial_is_listed(made, study):
    head, *lines = made.files[nsd_tree.responses("subj01")].decode().splitlines()
    rows = [line.split("\t") for line in lines]
    moved = [row[4:6] for row in [*rows[36:72], *rows[:36], *rows[72:]]]
    shuffled = [[*row[:4], *ids, *row[6:]] for row, ids in zip(rows, moved, strict=True)]
    study.put(nsd_tree.responses("subj01"), _table(head, shuffled))
    rows = [line.split("\t") for line in made.files[nsd_tree.responses("subj02")].decode().splitlines()[1:]]
    study.put(nsd_tree.responses("subj02"), _table(head, [[*row[:4], str(int(row[4]) - 1), *row[5:]] for row in rows]))
    targets = [TRIALS.format(subject) for subject in ("subj01", "subj02")]
    study.fails(*targets, says=["sessions were shuffled", "all are off by -1: ids count from 1 here"])
    study.mend()
    study.completes(*targets)


def _table(head, rows):
    return "\n".join([head, *("\t".join(row) for row in rows), ""]).encode()
