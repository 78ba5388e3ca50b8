"""Responses: BOLD of each run to the surface (or a mask), cleaned, and cut into a window per trial."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from tqdm import tqdm

from boldflow.artifacts import arrays, sidecars, tables
from boldflow.core import cleaning, metrics, projection, spheres
from boldflow.core.compute import fixed_threads
from boldflow.core.records import BoldRun, SurfaceRun
from boldflow.stages._arrival import open_dataset, plugin_of, read_settings
from boldflow.stages._meshes import SIDES, fsaverage5, fsaverage5_spheres

BAD = ("not finite or outside the volume", "constant")  # why a column is masked
Run = BoldRun | SurfaceRun
ToColumns = Callable[[Any], np.ndarray]  # a run's BOLD -> (n_volumes, n_vertices)
TOLERANCE_S = 1e-3  # headers store the repetition time in float32


def run(
    source: str,
    receipt: str,
    trials: str,
    responses: str,
    sidecar: str,
    vertices: str,
    subject: str,
    recording: str,
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
    recording : the data set's recording that the response reads
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
        regions = _rois(plugin, root, subject, entry, data_set)  # read first: a missing one stops before the work
        runs = plugin.runs(root, subject, data_set, recording)
        values, places, bad, how = _windows(runs, table, subject, entry, start_s, n_volumes, known["tr_s"])
    _check_lengths(regions, subject, len(places))
    places = places.assign(**{f"roi_{name}": mask for name, mask in regions.items()})
    if entry["rois"]:
        kept_columns = np.any([regions[name] for name in entry["rois"]], axis=0)
        values, places, bad = values[:, :, kept_columns], places[kept_columns].reset_index(drop=True), bad[kept_columns]
    found_nan = (bad != "") | ~np.isfinite(values).all(axis=(0, 1))
    masked = float(found_nan.mean())
    counts = {kind: int((bad == kind).sum()) for kind in BAD}
    if masked > entry["max_masked"]:
        raise ValueError(
            f"{subject}: {masked:.0%} of {found_nan.size} vertices are without signal "
            f"({', '.join(f'{count} {kind}' for kind, count in counts.items())}), the limit (max_masked) is "
            f"{entry['max_masked']:.0%}; look at BOLD, mask and space"
        )
    values = values[:, :, ~found_nan]
    averaged = values.mean(axis=1)
    image = pd.factorize(table["image_id"])[0]
    usable = table["usable"].to_numpy(dtype=bool)
    signal, noise = metrics.variance_components(averaged[usable], image[usable])
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
        "masked": counts,
        "transductive": "run",
        "settings": entry,
        "dataset": data_set,
        "data": sidecars.content_digest(source, receipt),
        "code": code,
        "versions": sidecars.versions("numpy", "scipy", "nibabel", "nilearn"),
        **how,
    }
    tables.write(vertices, places, note)
    sidecars.write(sidecar, note)


def _windows(
    runs: Iterator[Run],
    table: pd.DataFrame,
    subject: str,
    entry: dict[str, Any],
    start_s: float,
    n_volumes: int,
    tr_s: float,
) -> tuple[np.ndarray, pd.DataFrame, np.ndarray, dict[str, str]]:
    """Clean each run and cut its windows; one run is in memory at a time.

    Gives (n_trials, n_volumes, n_vertices) in the order of the trial table, 0 where a trial is not usable; the place
    of each column; why it is masked (one of ``BAD``, of the first run in which it is, or nothing); and what the
    sidecar says of how runs became columns.
    """
    trials = {key: rows for key, rows in table.groupby(["session", "run"])}
    to_columns: ToColumns | None = None
    values, places, bad = np.empty(0), pd.DataFrame(), np.empty(0, dtype=object)
    grid: tuple[Any, ...] = ()
    how: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    for one in tqdm(runs, total=len(trials), desc=f"project to {entry['space']}", unit="run"):
        key = (one.session, one.run)
        _check_tr(one, subject, tr_s)
        seen.add(key)
        if key not in trials:
            continue
        if to_columns is None or _grid(one) != grid:
            n_before, grid = len(places), _grid(one)
            to_columns, places, how = _columns(one, entry)
            if not values.size:
                values = np.zeros((len(table), n_volumes, len(places)), dtype=np.float32)
                bad = np.full(len(places), "", dtype=object)
            elif len(places) != n_before:
                raise ValueError(
                    f"session {one.session}, {one.run} has {len(places)} columns, the ones before {n_before}"
                )
        series = to_columns(one.bold)
        cleaned = cleaning.detrend_and_standardise(series)
        rows = trials[key][trials[key]["usable"]]
        if len(rows):
            bad = np.where(bad == "", _why_masked(series, cleaned), bad)
        try:
            values[rows.index] = cleaning.windows(cleaned, rows["onset_s"].to_numpy(), start_s, n_volumes, tr_s)
        except ValueError as error:
            raise ValueError(f"{subject}, session {one.session}, run {one.run}: {error}") from None
    if set(trials) != seen:
        lone = sorted(set(trials) ^ seen)[:5]
        found = f"{len(trials)} runs have trials and {len(seen)} have BOLD"
        raise ValueError(f"{subject}: {found}; without its other half (session, run): {lone}")
    return values, places, bad, how


def _why_masked(series: np.ndarray, cleaned: np.ndarray) -> np.ndarray:
    """Name what is wrong with each column of a run that cleaning gave up, (n_vertices,) of ``BAD`` or nothing."""
    not_finite = ~np.isfinite(series).all(axis=0)
    return np.where(np.isnan(cleaned[0]), np.where(not_finite, *BAD), "").astype(object)


def _grid(one: Run) -> tuple[Any, ...]:
    """What the columns of a run depend on."""
    if isinstance(one, SurfaceRun):
        return tuple(part.tobytes() for sphere in one.spheres for part in (sphere.vertices, sphere.faces))
    return one.bold.shape[:3], one.affine.tobytes(), b"" if one.mask is None else one.mask.tobytes()


def _columns(one: Run, entry: dict[str, Any]) -> tuple[ToColumns, pd.DataFrame, dict[str, str]]:
    """How a run's volumes become columns, what each column is, and what the sidecar says of it."""
    space = entry["space"]
    if isinstance(one, SurfaceRun):
        return _resampled(one, entry)
    if space == "native":
        if one.mask is None:
            raise ValueError(f"space native needs a mask, and {one.session} {one.run} has none")
        mask = one.mask
        i, j, k = np.nonzero(mask)
        return (lambda bold: bold[mask].T.astype(np.float64)), pd.DataFrame({"i": i, "j": j, "k": k}), {}
    if one.space != "MNI":
        raise ValueError(f"space {space} needs BOLD in MNI space, found {one.space!r}; choose space native")
    shape = one.bold.shape[:3]
    matrices = [
        projection.interpolation_matrix(projection.depth_samples(pial, white), one.affine, shape)
        for pial, white in fsaverage5()
    ]
    return (lambda bold: np.hstack([projection.project(m, bold) for m in matrices])), _vertices(matrices), {}


def _resampled(one: SurfaceRun, entry: dict[str, Any]) -> tuple[ToColumns, pd.DataFrame, dict[str, str]]:
    """How values on a subject's own surface become columns of fsaverage5."""
    if entry["space"] != "fsaverage5":
        raise ValueError(f"BOLD on a subject's surface comes in space fsaverage5, not {entry['space']!r}; choose that")
    how = entry.get("resampling", spheres.HOW[0])
    matrices = [
        spheres.resampling_matrix(target, sphere.vertices, sphere.faces, how)
        for target, sphere in zip(fsaverage5_spheres(), one.spheres, strict=True)
    ]

    def to_columns(bold: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        return np.hstack([(matrix @ side.T).T for matrix, side in zip(matrices, bold, strict=True)])

    return to_columns, _vertices(matrices), {"resampling": how}


def _vertices(matrices: Sequence[sparse.csr_array]) -> pd.DataFrame:
    """Name each column of the two hemispheres."""
    sizes = [matrix.shape[0] for matrix in matrices]
    hemisphere, vertex = np.repeat(SIDES, sizes), np.concatenate([np.arange(size) for size in sizes])
    return pd.DataFrame({"hemisphere": hemisphere, "vertex": vertex})


def _check_tr(one: Run, subject: str, tr_s: float) -> None:
    stated = {**one.tr_s, "facts": tr_s}
    if max(stated.values()) - min(stated.values()) > TOLERANCE_S:
        found = ", ".join(f"{where}: {value:g} s" for where, value in stated.items())
        raise ValueError(
            f"{subject}, session {one.session}, run {one.run}: repetition times disagree ({found}); mend the wrong one"
        )


def _rois(
    plugin: Any, root: Path, subject: str, entry: dict[str, Any], data_set: dict[str, Any]
) -> dict[str, np.ndarray]:
    """Regions of a subject, sorted; those that the entry wants are among them, and none is empty."""
    found: dict[str, np.ndarray] = plugin.rois(root, subject, entry["space"], data_set)
    missing = sorted(set(entry["rois"]) - set(found))
    if missing:
        raise ValueError(f"{subject} has no ROI {missing}; there are: {', '.join(sorted(found)) or 'none'}")
    for name, mask in found.items():
        if not mask.any():
            raise ValueError(f"ROI {name!r} of {subject} is empty; there are: {', '.join(sorted(found))}")
    return dict(sorted(found.items()))


def _check_lengths(regions: dict[str, np.ndarray], subject: str, n_columns: int) -> None:
    for name, mask in regions.items():
        if mask.shape != (n_columns,):
            raise ValueError(f"ROI {name!r} of {subject} has shape {mask.shape}, expected ({n_columns},)")
