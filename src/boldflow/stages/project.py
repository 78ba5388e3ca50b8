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

ToColumns = Callable[[np.ndarray], np.ndarray]  # (x, y, z, n_volumes) -> (n_volumes, n_vertices)
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
    code : digests of the modules of this stage and the data set's plug-in, JSON text

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
        values, places = _windows(runs, table, entry["space"], start_s, n_volumes, known["tr_s"])
    regions = _rois(plugin, root, subject, entry["space"], data_set, len(places))
    places = places.assign(**{f"roi_{name}": mask for name, mask in regions.items()})
    if entry["rois"]:
        kept_columns = _union(regions, entry["rois"], subject)
        values, places = values[:, :, kept_columns], places[kept_columns].reset_index(drop=True)
    found_nan = ~np.isfinite(values).all(axis=(0, 1))
    masked = float(found_nan.mean())
    if masked > entry["max_masked"]:
        limit = f"the limit (max_masked) is {entry['max_masked']:.0%}"
        raise ValueError(f"{subject}: {masked:.0%} of {found_nan.size} vertices are constant or not finite, {limit}")
    values = values[:, :, ~found_nan]
    averaged = values.mean(axis=1)
    image = pd.factorize(table["image_id"])[0]
    signal, noise = metrics.variance_components(averaged, image)
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


def _windows(
    runs: Iterator[BoldRun], table: pd.DataFrame, space: str, start_s: float, n_volumes: int, tr_s: float
) -> tuple[np.ndarray, pd.DataFrame]:
    """Clean each run and cut its windows; one run is in memory at a time.

    Gives (n_trials, n_volumes, n_vertices) in the order of the trial table, 0 where a trial is not usable, and the
    place of each column.
    """
    trials = {key: rows for key, rows in table.groupby(["session", "run"])}
    to_columns: ToColumns | None = None
    values, places = np.empty(0), pd.DataFrame()
    grid: tuple[Any, ...] = ()
    seen: set[tuple[str, str]] = set()
    for one in tqdm(runs, total=len(trials), desc=f"project to {space}", unit="run"):
        key = (one.session, one.run)
        _check_tr(one, tr_s)
        seen.add(key)
        if key not in trials:
            continue
        here = (one.bold.shape[:3], one.affine.tobytes(), b"" if one.mask is None else one.mask.tobytes())
        if to_columns is None or here != grid:
            n_before, grid = len(places), here
            to_columns, places = _columns(one, space)
            if not values.size:
                values = np.zeros((len(table), n_volumes, len(places)), dtype=np.float32)
            elif len(places) != n_before:
                raise ValueError(
                    f"session {one.session}, {one.run} has {len(places)} columns, the ones before {n_before}"
                )
        cleaned = cleaning.detrend_and_standardise(to_columns(one.bold))
        rows = trials[key][trials[key]["usable"]]
        try:
            values[rows.index] = cleaning.windows(cleaned, rows["onset_s"].to_numpy(), start_s, n_volumes, tr_s)
        except ValueError as error:
            raise ValueError(f"session {one.session}, {one.run}: {error}") from None
    if set(trials) != seen:
        lone = sorted(set(trials) ^ seen)[:5]
        raise ValueError(f"{len(trials)} runs have trials and {len(seen)} have BOLD; without its other half: {lone}")
    return values, places


def _columns(one: BoldRun, space: str) -> tuple[ToColumns, pd.DataFrame]:
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


def _rois(
    plugin: Any, root: Path, subject: str, space: str, data_set: dict[str, Any], n_columns: int
) -> dict[str, np.ndarray]:
    found = plugin.rois(root, subject, space, data_set)
    for name, mask in found.items():
        if mask.shape != (n_columns,):
            raise ValueError(f"ROI {name!r} of {subject} has shape {mask.shape}, expected ({n_columns},)")
        if not mask.any():
            raise ValueError(f"ROI {name!r} of {subject} is empty; there are: {sorted(found)}")
    return dict(sorted(found.items()))


def _union(regions: dict[str, np.ndarray], wanted: list[str], subject: str) -> np.ndarray:
    """Columns in any of the wanted regions."""
    missing = sorted(set(wanted) - set(regions))
    if missing:
        raise ValueError(f"{subject} has no ROI {missing}; there are: {sorted(regions) or 'none'}")
    return np.any([regions[name] for name in wanted], axis=0)
