"""Betas of one's own become a data set by an entry in the catalogue alone, through the workflow to scores."""

import h5py
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from boldflow.artifacts.store import sidecars, tables
from tests.conftest import Project, copy_project

pytestmark = pytest.mark.end_to_end
GRID, N_PICTURES, N_TEST = (4, 5, 3), 60, 16
STUDY = """title: My own betas
primary: {metric: inv_norm_rank, view: image}
runs:
  - {datasets: [mine], subjects: all, responses: [betas], features: [gabor], models: [ridge, dummy], splits: [repeated]}
"""


def stripes(angle: float) -> np.ndarray:
    """A grating, (48, 48, 3) uint8."""
    y, x = np.mgrid[:48, :48]
    wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) / 2.5)
    return np.repeat(np.uint8(127 + 120 * wave)[..., None], 3, axis=2)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory):
    """GLMsingle's output of two subjects whose voxels follow the angle of gratings, tables, a mask and pictures."""
    folder, rng = tmp_path_factory.mktemp("own"), np.random.default_rng(0)
    angles = rng.uniform(0, np.pi, N_PICTURES)
    (folder / "pictures").mkdir()
    for number, angle in enumerate(angles):
        Image.fromarray(stripes(angle)).save(folder / f"pictures/{number:02d}.png")
    inside = np.ones(GRID, dtype=bool)
    inside[0] = False
    nib.Nifti1Image(inside.astype(np.uint8), np.diag([2.0, 2, 2, 1])).to_filename(folder / "mask.nii.gz")
    shown = np.concatenate([np.arange(N_PICTURES), np.arange(N_TEST)])
    for subject in ("sub-01", "sub-02"):
        order = rng.permutation(shown)
        tuning = rng.uniform(0, np.pi, GRID)
        betas = np.cos(2 * (tuning[..., None] - angles[order])) + 0.5 * rng.normal(size=(*GRID, len(order)))
        (folder / subject).mkdir()
        with h5py.File(folder / subject / "TYPED_FITHRF_GLMDENOISE_RR.hdf5", "w") as file:
            file["betasmd"] = betas.astype(np.float32)
            file["R2"] = np.zeros(GRID)
        names = [f"{number:02d}" for number in order]
        run = np.repeat(["1", "2", "3", "4"], len(order) // 4)
        table = pd.DataFrame({"session": "1", "run": run, "picture": names})
        table.to_csv(folder / subject / "trials.tsv", sep="\t", index=False)
        np.save(folder / f"{subject}.npy", betas[inside].T.astype(np.float32))
    return folder


@pytest.fixture(scope="module")
def studied(own, tmp_path_factory: pytest.TempPathFactory):
    project = copy_project(tmp_path_factory.mktemp("studied") / "project")
    entry = (
        f"  mine: {{plugin: own_betas, folder: {own}, subjects: [sub-01, sub-02], trials: '{{subject}}/trials.tsv',\n"
        "         betas: '{subject}/TYPED_FITHRF_GLMDENOISE_RR.hdf5', mask: mask.nii.gz, image_column: picture,\n"
        f"         image_name: stem, stimuli_root: {own / 'pictures'}, simulated: true}}\n"
    )
    project.edit("config/config.yaml", "  haxby: {}\n", "  haxby: {}\n" + entry)
    (project.folder / "config/studies/mine.yaml").write_text(STUDY)
    project.snakemake("leaderboard", "--config", "study=mine")
    return project


def test_responses_are_the_betas_of_the_file_in_the_order_of_the_table(own, studied: Project):
    for subject in ("sub-01", "sub-02"):
        folder = studied.folder / f"results/mine/{subject}/betas"
        np.testing.assert_array_equal(np.load(folder / "responses.npy"), np.load(own / f"{subject}.npy"))
        voxels = tables.read(folder / "vertices.parquet")[["i", "j", "k"]]
        assert voxels["i"].min() == 1 and len(voxels) == 45
        note = sidecars.read(folder / "responses.json")
        assert note["units"] == "percent signal change" and note["transductive"] == "session"
        trials = pd.read_parquet(studied.folder / f"results/mine/{subject}/trials.parquet")
        assert (
            trials["image_id"].tolist()
            == pd.read_csv(own / subject / "trials.tsv", sep="\t", dtype=str)["picture"].tolist()
        )


def test_pictures_are_decoded_above_chance(studied: Project):
    board = pd.read_parquet(studied.folder / "results/studies/mine/leaderboard.parquet")
    rows = board[(board["metric"] == "inv_norm_rank") & (board["view"] == "image") & (board["gallery"] == "test")]
    ridge = rows[rows["model"] == "ridge"]
    assert len(ridge) == 2 and (ridge["ci_low"] > ridge["chance"]).all() and ridge["simulated"].all()
    assert (rows.loc[rows["model"] == "dummy", "value"] - 0.5).abs().max() < 1e-9


def test_a_table_that_changes_is_seen_and_one_that_does_not_fit_is_refused(own, studied: Project):
    assert studied.planned("leaderboard", "--config", "study=mine") == {}
    table = own / "sub-02/trials.tsv"
    text = table.read_text()
    try:
        table.write_text("\n".join(text.splitlines()[:-1]) + "\n")
        said = studied.snakemake("responses", "--config", "study=mine", check=False).stdout
        assert "has 76 betas" in said and "the table of sub-02 75 rows of them; expected as many" in said, said[-3000:]
    finally:
        table.write_text(text)
