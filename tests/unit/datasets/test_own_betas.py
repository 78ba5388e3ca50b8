"""Betas of one's own: planted numbers come back under their pictures in each format and order, or are refused."""

from pathlib import Path
from typing import Any

import h5py
import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from boldflow.datasets import own_betas

GRID, N = (3, 4, 2), 12
SETTINGS = {key: schema["default"] for key, schema in own_betas.SETTINGS.items() if "default" in schema}
RNG = np.random.default_rng(3)
VOLUMES = RNG.normal(size=(*GRID, N)).astype(np.float32)
INSIDE = RNG.permutation(24).reshape(GRID) < 10


def entry(folder: Path, betas: str, **more: Any) -> dict[str, Any]:
    own = {"name": "mine", "folder": str(folder), "subjects": ["sub-01"], "trials": "{subject}/trials.tsv"}
    return SETTINGS | own | {"betas": betas, "image_column": "picture", "plugin": "own_betas"} | more


def write_table(folder: Path, table: pd.DataFrame) -> None:
    (folder / "sub-01").mkdir(exist_ok=True)
    table.to_csv(folder / "sub-01/trials.tsv", sep="\t", index=False)


def pictures(n: int = N) -> pd.DataFrame:
    return pd.DataFrame({"picture": [f"p{number % 8}.png" for number in range(n)]})


def write_mask(folder: Path, inside: np.ndarray = INSIDE) -> str:
    nib.Nifti1Image(inside.astype(np.uint8), np.diag([2.0, 2, 2, 1])).to_filename(folder / "mask.nii.gz")
    return "mask.nii.gz"


def read(folder: Path, settings: dict[str, Any]) -> tuple[np.ndarray, list[str], Any]:
    """All betas (n_trials, n_columns), names of pictures, and the last record."""
    values, names = [], []
    for record in own_betas.betas(folder, "sub-01", settings, "betas"):
        n_trials, n_columns = record.betas.shape
        betas = np.full((n_trials, n_columns), np.nan, dtype=np.float32)
        chosen = np.ones(n_columns, dtype=bool)
        for trials, columns, block in record.betas.blocks(chosen):
            betas[trials, columns] = block
        assert np.isfinite(betas).all(), "each beta comes once"
        chosen[::3] = False
        for trials, columns, block in record.betas.blocks(chosen):
            np.testing.assert_array_equal(block, betas[:, chosen][trials, columns])
        values.append(betas)
        names += list(record.image_ids)
    return np.concatenate(values), names, record


FORMS = {
    "hdf5 of GLMsingle": ("b.hdf5", VOLUMES, {}),
    "hdf5, trials first": ("b.h5", np.moveaxis(VOLUMES, -1, 0), {"trial_axis": "first", "dataset": "mine"}),
    "hdf5 of MATLAB": ("b.hdf5", VOLUMES.transpose(), {"trial_axis": "reversed"}),
    "npy": ("b.npy", VOLUMES, {}),
    "npy in double precision": ("b.npy", np.moveaxis(VOLUMES, -1, 0).astype(float), {"trial_axis": "first"}),
    "nifti": ("b.nii.gz", VOLUMES, {}),
    "units of a mask": ("b.npy", VOLUMES[INSIDE], {}),
    "units of a mask, hdf5": ("b.hdf5", VOLUMES[INSIDE], {}),
    "units of a mask, trials first": ("b.npy", VOLUMES[INSIDE].T, {"trial_axis": "first"}),
    "units of a mask in MATLAB's order": ("b.npy", VOLUMES.transpose(2, 1, 0, 3)[INSIDE.T], {"mask_order": "F"}),
}  # fmt: skip


def write(path: Path, values: np.ndarray, dataset: str = "betasmd", **_: Any) -> None:
    if path.suffix in (".h5", ".hdf5"):
        with h5py.File(path, "w") as file:
            file[dataset] = values
    elif path.suffix == ".npy":
        np.save(path, values)
    else:
        nib.Nifti1Image(values, np.diag([2.0, 2, 2, 1])).to_filename(path)


@pytest.mark.parametrize("small_blocks", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_planted_numbers_come_back_under_their_voxels(tmp_path, monkeypatch, form, small_blocks):
    """Witness: the volume indexed by the i, j, k that a column names."""
    if small_blocks:
        monkeypatch.setattr(own_betas.stored, "BLOCK_VALUES", 50)
    name, values, more = FORMS[form]
    write_table(tmp_path, pictures())
    write(tmp_path / name, values, **more)
    values, names, record = read(tmp_path, entry(tmp_path, name, mask=write_mask(tmp_path), **more))
    i, j, k = (record.places[axis] for axis in "ijk")
    np.testing.assert_array_equal(values, VOLUMES[i, j, k].T)
    assert len(i) == 10 and INSIDE[i, j, k].all() and names == list(pictures()["picture"])
    assert record.grid.shape == GRID and record.grid.affine[0, 0] == 2.0 and record.unit == "percent"


def test_without_a_mask_all_are_read(tmp_path):
    write_table(tmp_path, pictures())
    write(tmp_path / "b.nii.gz", VOLUMES)
    values, _, record = read(tmp_path, entry(tmp_path, "b.nii.gz"))
    np.testing.assert_array_equal(values, VOLUMES.reshape(-1, N).T)
    assert record.grid is not None
    write(tmp_path / "b.npy", VOLUMES[INSIDE])
    values, _, record = read(tmp_path, entry(tmp_path, "b.npy"))
    np.testing.assert_array_equal(values, VOLUMES[INSIDE].T)
    assert record.grid is None and list(record.places) == ["unit"]


def test_rows_in_another_order_and_rows_without_a_picture(tmp_path):
    order = np.random.default_rng(4).permutation(N)
    table = pictures().assign(beta=order, onset=4.0 * np.arange(N), duration=2.0)
    table.loc[[2, 5], "picture"] = ["n/a", ""]
    write_table(tmp_path, table)
    write(tmp_path / "b.npy", VOLUMES[INSIDE])
    settings = entry(tmp_path, "b.npy")
    values, names, _ = read(tmp_path, settings)
    kept = [row for row in range(N) if row not in (2, 5)]
    np.testing.assert_array_equal(values, VOLUMES[INSIDE].T[order[kept]])
    trials = own_betas.trials(tmp_path, "sub-01", settings)
    assert names == trials["image_id"].tolist() == table["picture"][kept].tolist()
    assert trials["onset_s"].tolist() == [4.0 * row for row in kept] and trials["usable"].all()
    assert trials["trial"].tolist() == list(range(1, 11)) and set(trials["run"]) == {"01"}


@pytest.mark.parametrize("pattern", ["{subject}/b-{session}.npy", "{subject}/b-{session}-{run}.npy"])
def test_a_file_for_each_session_or_run(tmp_path, pattern):
    table = pictures().assign(session=["a"] * 6 + ["b"] * 6, run=["1"] * 3 + ["2"] * 3 + ["1"] * 6)
    write_table(tmp_path, table)
    settings = entry(tmp_path, pattern)
    keys = ["session", "run"] if "{run}" in pattern else ["session"]
    for labels, part in table.groupby(keys):
        name = pattern.replace("{subject}", "sub-01")
        for key, label in zip(keys, labels, strict=True):
            name = name.replace(f"{{{key}}}", label)
        np.save(tmp_path / name, VOLUMES[INSIDE][:, part.index])
    values, names, record = read(tmp_path, settings)
    np.testing.assert_array_equal(values, VOLUMES[INSIDE].T)
    assert names == table["picture"].tolist() and record.session == "b"
    assert record.run == ("1" if "{run}" in pattern else None)
    assert len(own_betas.files_needed(tmp_path, "sub-01", settings)) == table.groupby(keys).ngroups
    assert own_betas.files_needed(tmp_path, "dataset", settings) == ["sub-01/trials.tsv"]


def refused(tmp_path: Path, settings: dict[str, Any]) -> str:
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        own_betas.files_needed(tmp_path, "dataset", settings)
        own_betas.files_needed(tmp_path, "sub-01", settings)
        own_betas.trials(tmp_path, "sub-01", settings)
        list(own_betas.betas(tmp_path, "sub-01", settings, "betas"))
    return str(error.value)


def short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("name", "values", "more", "words"),
    [
        ("b.npy", VOLUMES[INSIDE][:, :11], {}, ["b.npy has 11 betas", "12 rows of them"]),
        ("b.npy", VOLUMES[INSIDE].T, {}, ["b.npy has 10 betas (key trial_axis: last)"]),
        ("b.hdf5", VOLUMES, {"dataset": "other"}, ["no array 'other'; there are: betasmd; set the key dataset"]),
        ("b.npy", (300 * VOLUMES).astype(np.int16), {}, ["kind 'i'", "divide"]),
        ("b.npy", VOLUMES + 1j, {}, ["kind 'c'"]),
        ("b.npy", VOLUMES[0], {}, ["shape (4, 2, 12)"]),
        ("b.npy", VOLUMES[:2], {"mask": "mask.nii.gz"}, ["on a grid of (2, 4, 2)", "on (3, 4, 2)"]),
        ("b.npy", VOLUMES[INSIDE][1:], {"mask": "mask.nii.gz"}, ["has 9 units", "10 voxels"]),
        ("b.mat", VOLUMES, {}, ["ends with none of .h5, .hdf5, .npy, .nii"]),
        ("other.npy", VOLUMES, {"betas": "b.npy"}, ["has no b.npy; expected it there by betas: 'b.npy'"]),
        ("b.npy", VOLUMES, {"mask": "nowhere.nii"}, ["has no nowhere.nii; expected it there by mask"]),
        ("b.npy", VOLUMES, {"subjects": ["sub-01", "sub-02"]}, ["one file for 2 subjects; put {subject} into it"]),
        ("b.npy", VOLUMES, {"image_column": "stimulus"}, ["trials.tsv, line 1 lacks columns ['stimulus']", "picture"]),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_both_sides(tmp_path, name, values, more, words):
    write_table(tmp_path, pictures())
    write_mask(tmp_path)
    path = tmp_path / name
    if path.suffix == ".mat":
        path.write_bytes(b"MATLAB")
    else:
        write(path, values)
    message = refused(tmp_path, entry(tmp_path, name) | more)
    assert all(word in message for word in words), message


@pytest.mark.parametrize("name", ["b.npy", "b.hdf5", "b.nii"])
def test_files_that_end_too_early_are_named(tmp_path, name):
    write_table(tmp_path, pictures())
    write(tmp_path / name, VOLUMES)
    short(tmp_path / name)
    with pytest.raises(ValueError, match=rf"{name} \(\d+ bytes\) is no"):
        read(tmp_path, entry(tmp_path, name))


def test_a_pickle_is_refused_with_what_to_do_and_never_opened(tmp_path):
    write_table(tmp_path, pictures())
    np.save(tmp_path / "b.npy", {"betasmd": VOLUMES}, allow_pickle=True)  # type: ignore[arg-type]
    message = refused(tmp_path, entry(tmp_path, "b.npy"))
    assert "b.npy is a pickle" in message and "np.save('betas.npy', results['typed']['betasmd'])" in message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"beta": [*range(11), 10]}, ["does not name beta 11 of b.npy", "0 to 10", "from 0 to 11 once"]),
        ({"beta": range(1, 13)}, ["does not name beta 0"]),
        ({"beta": [*range(11), "x"]}, ["line 13 has 'x' in column beta"]),
        ({"run": ["1", "2"] * 6}, ["line 4: a run that had ended goes on"]),
        ({"picture": ["n/a"] * 12}, ["no row of its table of trials names a picture in 'picture'"]),
    ],
)
def test_tables_that_cannot_be_are_refused_by_line(tmp_path, change, words):
    write_table(tmp_path, pictures().assign(**{name: list(values) for name, values in change.items()}))
    write(tmp_path / "b.npy", VOLUMES)
    message = refused(tmp_path, entry(tmp_path, "b.npy"))
    assert all(word in message for word in words), message


def test_sizes_are_those_of_table_and_file(tmp_path):
    write_table(tmp_path, pictures())
    write(tmp_path / "b.npy", VOLUMES)
    sizes = own_betas.sizes(entry(tmp_path, "b.npy"), "betas")
    assert sizes.n_images == 8 and sizes.subjects["sub-01"].n_trials == N
