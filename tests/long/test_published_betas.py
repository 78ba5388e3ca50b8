"""Published betas through the workflow: made files in the layout of BOLD5000's release 2.0, beside the real events."""

import itertools
import shutil

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from boldflow.artifacts.store import sidecars, tables
from tests.conftest import copy_project, real_data

DATA = real_data()
pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(DATA is None, reason="real events: BOLDFLOW_REAL_DATA is unset and ../shared/data is not there"),
]
STEM = "CSI4_GLMbetas-TYPED-FITHRF-GLMDENOISE-RR"
GRID = (3, 4, 5)
STUDY = """title: Published betas
primary: {metric: top5, view: image}
runs:
  - {datasets: [bold5000], subjects: [sub-CSI4], responses: [RESPONSE], features: [gabor], models: [ridge],
     splits: [repeated-113]}
"""


class Made:
    """Betas of CSI4's nine sessions, drawn at random; they have a mean and a spread of each session's own."""

    def __init__(self, folder, trials):
        self.folder, rng = folder, np.random.default_rng(0)
        folder.mkdir()
        self.trials = trials
        self.inside = rng.permutation(60).reshape(GRID) < 21
        self.values = rng.normal(size=(len(trials), 21)) * rng.uniform(1, 3, size=21) + rng.normal(size=21)
        self.values = self.values.astype(np.float32)
        nib.Nifti1Image(self.inside.astype(np.float32), np.eye(4)).to_filename(folder / "CSI4_brainmask.nii.gz")
        (folder / "CSI4_imgnames.txt").write_text("\n".join(trials["image_id"]) + "\n")
        for session in trials["session"].unique():
            self.write(session)
        for side, some in (("LH", slice(0, 4)), ("RH", slice(4, 9))):
            np.save(folder / f"{STEM}_allses_{side}PPA.npy", self.values[:, some])

    def path(self, session):
        return self.folder / f"{STEM}_ses-{session}.nii.gz"

    def write(self, session, factor=1.0):
        here = (self.trials["session"] == session).to_numpy()
        volumes = np.zeros((*GRID, int(here.sum())), dtype=np.float32)
        volumes[self.inside] = factor * self.values[here].T
        nib.Nifti1Image(volumes, np.eye(4)).to_filename(self.path(session))

    def wanted(self):
        """z-score per session, by pandas."""
        grouped = pd.DataFrame(self.values.astype(np.float64)).groupby(self.trials["session"].to_numpy())
        return grouped.transform(lambda column: (column - column.mean()) / column.std()).to_numpy()


class Fetching:
    def __init__(self, project, made):
        self.project, self.made = project, made
        project.edit("config/config.yaml", "  bold5000: {}\n", f"  bold5000: {{betas_root: {made.folder}}}\n")

    def run(self, response, check=True):
        study = self.project.folder / "config/studies/betas.yaml"
        study.write_text(STUDY.replace("RESPONSE", response))
        arguments = ("responses", "--config", "study=betas")
        return self.project.snakemake(*arguments, check=check, BOLDFLOW_ORIGINS=str(DATA / "openneuro")).stdout

    def read(self, response):
        folder = self.project.folder / "results/bold5000/sub-CSI4" / response
        return np.load(folder / "responses.npy"), tables.read(folder / "vertices.parquet"), folder


@pytest.fixture(scope="module")
def fetching(tmp_path_factory):
    project = copy_project(tmp_path_factory.mktemp("betas") / "project")
    target = "results/bold5000/sub-CSI4/trials.parquet"
    project.snakemake(target, "--config", "study=bold5000", BOLDFLOW_ORIGINS=str(DATA / "openneuro"))
    made = Made(tmp_path_factory.mktemp("made") / "betas", pd.read_parquet(project.folder / target))
    return Fetching(project, made)


def test_planted_numbers_come_back_as_published_and_by_session(fetching):
    fetching.run("betas")
    values, vertices, folder = fetching.read("betas")
    assert values.shape == (3108, 21)
    np.testing.assert_array_equal(values, fetching.made.values)
    assert (vertices[["i", "j", "k"]].to_numpy() == np.argwhere(fetching.made.inside)).all()
    note = sidecars.read(folder / "responses.json")
    assert note["units"] == "percent signal change" and note["transductive"] == "session" and "window" not in note
    fetching.run("betas-z")
    values, _, folder = fetching.read("betas-z")
    np.testing.assert_allclose(values, fetching.made.wanted(), atol=1e-5)
    assert sidecars.read(folder / "responses.json")["transductive"] == "session"


def test_arrays_of_regions_are_columns_side_by_side(fetching):
    fetching.run("betas-rois-z")
    values, vertices, _ = fetching.read("betas-rois-z")
    np.testing.assert_allclose(values, fetching.made.wanted()[:, :9], atol=1e-5)
    assert vertices["roi_LH-PPA"].sum() == 4 and vertices["roi_RH-PPA"].sum() == 5 and vertices["roi_PPA"].all()


def test_what_cannot_be_is_refused_and_mended(fetching):
    """Sessions swapped, names shifted, a wrong scale, a truncated file."""
    made = fetching.made
    names = made.folder / "CSI4_imgnames.txt"
    before, text = fetching.read("betas")[0], names.read_text()
    lines = text.splitlines()

    def swap():
        places = made.trials.groupby("session").indices
        one, other = next(
            pair for pair in itertools.combinations(places, 2) if len({len(places[k]) for k in pair}) == 1
        )
        aside = made.folder / "aside"
        for source, target in ((one, aside), (other, made.path(one)), (aside, made.path(other))):
            shutil.move(made.path(source) if isinstance(source, str) else source, target)
        order = np.arange(len(lines))
        order[places[one]], order[places[other]] = places[other], places[one]
        names.write_text("\n".join(lines[k] for k in order) + "\n")

    def scale():
        for session in made.trials["session"].unique():
            made.write(session, 300)

    def truncate():
        content = made.path("03").read_bytes()
        made.path("03").write_bytes(content[: len(content) // 2])

    faults = {
        "sessions may be swapped or ids shifted": swap,
        "betas are of other pictures than the trial table": lambda: names.write_text("\n".join(lines[1:] + lines[:1])),
        "integer betas that were not divided by 300?": scale,
        f"{made.path('03').name}": truncate,
    }
    for words, plant in faults.items():
        plant()
        said = fetching.run("betas", check=False)
        assert words in said and "Error in rule" in said, said[-3000:]
        for session in made.trials["session"].unique():
            made.write(session)
        names.write_text(text)
    fetching.run("betas")
    np.testing.assert_array_equal(fetching.read("betas")[0], before)


def test_a_kind_that_does_not_fit_its_recording_stops_at_parse(fetching):
    fetching.project.edit("config/config.yaml", "{kind: betas, recording: betas,", "{kind: bold, recording: betas,")
    said = fetching.run("betas", check=False)
    assert "recording 'betas' of data set 'bold5000' holds betas: set kind to 'betas'" in said
    fetching.project.edit("config/config.yaml", "{kind: bold, recording: betas,", "{kind: betas, recording: betas,")
    fetching.project.edit("config/config.yaml", f"betas_root: {fetching.made.folder}", "")
    assert "set datasets.bold5000.betas_root" in fetching.run("betas", check=False)
