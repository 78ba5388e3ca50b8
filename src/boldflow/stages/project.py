"""Responses: BOLD of each run to the surface (or a mask), cleaned, and cut into a window per trial."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from boldflow.artifacts import arrays, sidecars, tables
from boldflow.core import cleaning, metrics, projection
from boldflow.core.compute import fixed_threads
from boldflow.core.records import BoldRun
from boldflow.stages._arrival import open_dataset, plugin_of, read_settings
from boldflow.stages._meshes import fsaverage5

TOLERANCE_S = 1e-3  # headers store the repetition time in float32


def run(
    source: str,
    receipt: str,
    trials: str,
    responses: str,
    sidecar: str,
    vertices: str,
    subject: str,
    settings: str,
    dataset: str,
    facts: str,
    code: str,
) -> None:
    """Write one response per trial of a subject.

    Parameters
    ----------
    source, receipt, trials : paths of the receipts of data set and subject, and of the trial table
    responses, sidecar, vertices : paths of the .npy, its JSON and the Parquet with a row per column to write
    subject : the subject
    settings, dataset : catalogue entries of the response and the data set, JSON text
    facts : facts of the data set's plug-in, JSON text
    code : digest of the code of this stage and the data set's plug-in

    Raises
    ------
    ValueError
        If repetition times disagree, runs and trials do not match, a window leaves its run, or too many vertices are
        without signal.
    """
    entry, data_set, known = read_settings(settings), read_settings(dataset), read_settings(facts)
    plugin = plugin_of("datasets", data_set)
    root = open_dataset(source, receipt)
    table = tables.read(trials)
    start_s, n_volumes = cleaning.window_volumes(entry["start_s"], entry["duration_s"], known["tr_s"])
    with fixed_threads(1):
        runs = plugin.runs(root, subject, data_set)
        series, places = _series(runs, entry["space"], known["tr_s"], table.groupby(["session", "run"]).ngroups)
        values = _cut(series, table, start_s, n_volumes, known["tr_s"])
    found_nan = ~np.isfinite(values).all(axis=(0, 1))
    masked = float(found_nan.mean())
    if masked > entry["max_masked"]:
        limit = f"the limit (max_masked) is {entry['max_masked']:.0%}"
        raise ValueError(f"{subject}: {masked:.0%} of {found_nan.size} vertices are constant or not finite, {limit}")
    values = values[:, :, ~found_nan]
    averaged = values.mean(axis=1)
    image = pd.factorize(table["image_id"])[0]
    signal, noise = metrics.variance_components(averaged, image)
    places = places.assign(**_rois(plugin, root, subject, entry["space"], data_set, len(places)))
    places = places[~found_nan].assign(signal_var=signal, noise_var=noise).reset_index(drop=True)
    kept = averaged if entry["average"] else values
    arrays.write(responses, np.ascontiguousarray(kept, dtype=np.float32))
    note = {
        "units": "z-score per run (sample standard deviation, after a straight line is taken out)",
        "shape": list(kept.shape),
        "space": entry["space"],
        "tr_s": known["tr_s"],
        "window": {"start_s": start_s, "n_volumes": n_volumes},
        "n_masked": int(found_nan.sum()),
        "transductive": "run",
        "settings": entry,
        "dataset": data_set,
        "data": sidecars.content_digest(source, receipt),
        "code": code,
        "versions": sidecars.versions("numpy", "scipy", "nibabel", "nilearn"),
    }
    tables.write(vertices, places, note)
    sidecars.write(sidecar, note)


def _series(
    runs: Iterator[BoldRun], space: str, tr_s: float, n_runs: int
) -> tuple[dict[tuple[str, str], np.ndarray], pd.DataFrame]:
    """Clean time series (n_volumes, n_vertices) of each run, and the place of each column."""
    series: dict[tuple[str, str], np.ndarray] = {}
    to_columns: Callable[[np.ndarray], np.ndarray] | None = None
    grid: tuple[Any, ...] = ()
    for one in tqdm(runs, total=n_runs, desc=f"project to {space}", unit="run"):
        _check_tr(one, tr_s)
        here = (one.bold.shape[:3], one.affine.tobytes(), b"" if one.mask is None else one.mask.tobytes())
        if to_columns is None or here != grid:
            found, place = _columns(one, space)
            if grid and len(place) != len(places):
                raise ValueError(f"{one.session} {one.run} has {len(place)} columns, runs before it {len(places)}")
            grid, places, to_columns = here, place, found
        cleaned = cleaning.detrend_and_standardise(to_columns(one.bold))
        series[(one.session, one.run)] = cleaned.astype(np.float32)
    if not series:
        raise ValueError("the data set gave no runs for this subject")
    return series, places


def _columns(one: BoldRun, space: str) -> tuple[Callable[[np.ndarray], np.ndarray], pd.DataFrame]:
    """How a run's volumes become columns, and what each column is."""
    if space == "native":
        if one.mask is None:
            raise ValueError(f"space native needs a mask, and {one.session} {one.run} has none")
        mask = one.mask
        i, j, k = np.nonzero(mask)
        return (lambda bold: bold[mask].T.astype(np.float64)), pd.DataFrame({"i": i, "j": j, "k": k})
    if one.space != "MNI":
        raise ValueError(f"space {space} needs BOLD in MNI space, found {one.space!r}; choose space native")
    shape = one.bold.shape[:3]
    matrices = [
        projection.interpolation_matrix(projection.depth_samples(pial, white), one.affine, shape)
        for pial, white in fsaverage5()
    ]
    places = pd.DataFrame(
        {
            "hemisphere": np.repeat(["left", "right"], [m.shape[0] for m in matrices]),
            "vertex": np.concatenate([np.arange(m.shape[0]) for m in matrices]),
        }
    )
    return (lambda bold: np.hstack([projection.project(m, bold) for m in matrices])), places


def _check_tr(one: BoldRun, tr_s: float) -> None:
    stated = {**one.tr_s, "facts": tr_s}
    if max(stated.values()) - min(stated.values()) > TOLERANCE_S:
        found = ", ".join(f"{where}: {value:g} s" for where, value in stated.items())
        raise ValueError(f"{one.session} {one.run}: repetition times disagree ({found}); mend the wrong one")


def _cut(
    series: dict[tuple[str, str], np.ndarray], table: pd.DataFrame, start_s: float, n_volumes: int, tr_s: float
) -> np.ndarray:
    """Windows of all trials in the order of the trial table, (n_trials, n_volumes, n_vertices); unusable ones are 0."""
    n_vertices = next(iter(series.values())).shape[1]
    values = np.zeros((len(table), n_volumes, n_vertices), dtype=np.float32)
    in_table = set(map(tuple, table[["session", "run"]].to_numpy()))
    if in_table != set(series):
        lone = sorted(in_table ^ set(series))[:5]
        raise ValueError(f"{len(in_table)} runs have trials and {len(series)} have BOLD; without its other half: {lone}")
    for key, rows in table[table["usable"]].groupby(["session", "run"]):
        try:
            cut = cleaning.windows(series[key], rows["onset_s"].to_numpy(), start_s, n_volumes, tr_s)
        except ValueError as error:
            raise ValueError(f"session {key[0]}, {key[1]}: {error}") from None
        values[rows.index] = cut
    return values


def _rois(
    plugin: Any, root: Path, subject: str, space: str, data_set: dict[str, Any], n_columns: int
) -> dict[str, np.ndarray]:
    found = plugin.rois(root, subject, space, data_set)
    for name, mask in found.items():
        if mask.shape != (n_columns,):
            raise ValueError(f"ROI {name!r} of {subject} has shape {mask.shape}, expected ({n_columns},)")
        if not mask.any():
            raise ValueError(f"ROI {name!r} of {subject} is empty; there are: {sorted(found)}")
    return {f"roi_{name}": mask for name, mask in sorted(found.items())}
