"""Responses: BOLD of each run to the surface (or a mask), cleaned and cut into a window per trial, or betas."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from boldflow.artifacts.store import arrays, sidecars, tables
from boldflow.core.compute import fixed_threads
from boldflow.core.responses import ceilings, cleaning
from boldflow.registry import plugin_of
from boldflow.settings import read_settings
from boldflow.stages.fetch._arrival import open_dataset
from boldflow.stages.responses import _betas, _fsaverage, _glm
from boldflow.stages.responses._cleaning import Cleaner, parts_of
from boldflow.stages.responses._columns import Columns, Run
from boldflow.stages.responses._regions import regions_of
from boldflow.stages.responses._series import BAD, Series, series_of, why_masked

BLOCK_VALUES = 1 << 24  # values (trials times columns) that are worked on at a time in double precision


def run(
    source: str,
    receipt: str,
    trials: str,
    split: list[str],
    hrf: list[str],
    responses: str,
    sidecar: str,
    vertices: str,
    subject: str,
    recording: str,
    settings: str,
    places: str,
    regions: str,
    dataset: str,
    facts: str,
    code: str,
) -> None:
    """Write one response per trial of a subject.

    Parameters
    ----------
    source, receipt, trials : paths of the receipts of data set and subject, and of the trial table
    split : path of the split from whose training trials statistics come; none where they come from all volumes
    hrf : path of the table of haemodynamic responses; none where there is no such table
    responses, sidecar, vertices : paths of the .npy, its JSON and the Parquet with a row per column to write
    subject : the subject
    recording : the data set's recording that the response reads
    settings, dataset : catalogue entries of the response and the data set, JSON text
    places : what the response's entry says of where this machine finds things (``mesh_folder``), JSON text
    regions : files that give regions of the subject, by region, JSON text (``registry.region_files``)
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
    outside = recording in known.get("recordings_outside", [])
    root = open_dataset(receipt, source) if outside else open_dataset(source, receipt)
    table = tables.read(trials)
    parts = next((parts_of(tables.read(path), table, subject, entry["split"]) for path in split), None)
    with fixed_threads(1):
        mesh_folder, files = read_settings(places).get("mesh_folder"), read_settings(regions)
        if entry["kind"] == "betas":
            first, records = _betas.opened(plugin.betas(root, subject, data_set, recording), subject)
            if entry["space"] != "native":
                first, records, resampling = _fsaverage.resampled(first, records, entry, mesh_folder)
            else:
                resampling = {}
            found, records = regions_of(first.rois, records, subject, entry, files, mesh_folder)
            inside = found.any_of(entry["rois"], first.betas.shape[1])
            betas = _betas.read(records, table, subject, entry, parts, BAD, inside)
            found, made, how = found.only(inside), _made_of(betas), betas.note | resampling
        else:
            named = plugin.rois(root, subject, entry["space"], data_set)  # first: a missing one stops before the work
            runs = plugin.runs(root, subject, data_set, recording)
            found, runs = regions_of(named, runs, subject, entry, files, mesh_folder)
            start_s, n_volumes = cleaning.window_volumes(entry["start_s"], entry["duration_s"], known["tr_s"])
            cleaner = Cleaner(entry, start_s, n_volumes, known["tr_s"], parts)
            if entry["kind"] == "glm":

                def series() -> Iterator[Series]:
                    again = plugin.runs(root, subject, data_set, recording)
                    return series_of(again, table, subject, entry, mesh_folder, known["tr_s"])

                made, how = _fitted(_glm.Glm(cleaner, subject, next(iter(hrf), None)).estimate(series, len(table)))
            else:
                made = _windows(runs, table, subject, mesh_folder, cleaner)
                how = {"window": {"start_s": start_s, "n_volumes": n_volumes}, **cleaner.note()}
            how |= made.columns.note
    rows, wanted = found.onto(made.columns.places, entry["rois"])
    bad = made.bad[wanted]
    masked = float((bad != "").mean())
    counts = {kind: int((bad == kind).sum()) for kind in BAD}
    if masked > entry["max_masked"]:
        raise ValueError(
            f"{subject}: {masked:.0%} of {bad.size} vertices are without signal "
            f"({', '.join(f'{count} {kind}' for kind, count in counts.items())}), the limit (max_masked) is "
            f"{entry['max_masked']:.0%}; look at BOLD, mask and space"
        )
    keep = wanted & (made.bad == "")
    averaged = _without(made.averaged, keep)
    kept = averaged if made.values is None else _compacted(made.values, keep)
    image = pd.factorize(table["image_id"])[0]
    usable = table["usable"].to_numpy(dtype=bool)
    signal, noise = _variance_components(averaged, usable, image)
    rows = rows[keep].assign(signal_var=signal, noise_var=noise).reset_index(drop=True)
    arrays.write(responses, kept)
    note = {
        "shape": list(kept.shape),
        "space": entry["space"],
        "tr_s": known["tr_s"],
        "n_masked": int((bad != "").sum()),
        "masked": counts,
        "settings": entry,
        "dataset": data_set,
        "data": sidecars.content_digest(source, receipt),
        "code": code,
        "versions": sidecars.versions("numpy", "scipy", "nibabel", "nilearn"),
        **how,
        **found.note,
    }
    tables.write(vertices, rows, note)
    sidecars.write(sidecar, note)


@dataclass
class _Made:
    """Responses in the order of the trial table, 0 where a trial is not usable.

    ``averaged`` (n_trials, n_columns) over the window's volumes; ``values`` (n_trials, n_volumes, n_columns), None
    where time is not kept; ``bad`` (n_columns,) why a column is masked (one of ``BAD``, of the first run in which it
    is), or nothing.
    """

    averaged: np.ndarray
    values: np.ndarray | None
    bad: np.ndarray
    columns: Columns

    @classmethod
    def empty(cls, shape: tuple[int, int, int], average: bool) -> "_Made":
        averaged = np.zeros((shape[0], shape[2]), dtype=np.float32, order="F")
        values = None if average else np.zeros(shape, dtype=np.float32)
        return cls(averaged, values, np.full(shape[2], "", dtype=object), Columns(np.asarray, pd.DataFrame(), {}))

    def enter(self, rows: np.ndarray, cut: np.ndarray, counted: np.ndarray) -> None:
        # the mean over the last axis in memory rounds as it has since the first version
        last = np.ascontiguousarray(cut.transpose(2, 0, 1))  # (n_columns, n_trials, n_volumes)
        some = True if counted.all() else counted[None]
        self.averaged[rows] = last.mean(axis=2, where=some).T
        if self.values is not None:
            self.values[rows] = cut


def _made_of(betas: _betas.Betas) -> _Made:
    """Take betas as responses; published ceilings become columns of the table of vertices."""
    places = betas.places.assign(**{f"published_{name}": values for name, values in betas.ceilings.items()})
    return _Made(betas.values, None, betas.bad, Columns(np.asarray, places, {}))


def _fitted(found: _glm.Estimated) -> tuple[_Made, dict[str, Any]]:
    """Take betas of the linear model as responses; what each vertex chose becomes columns of the table of vertices."""
    places = found.columns.places.assign(**found.chosen)
    return _Made(found.values, None, found.bad, replace(found.columns, places=places)), found.note


def _windows(
    runs: Iterator[Run], table: pd.DataFrame, subject: str, mesh_folder: str | None, cleaner: Cleaner
) -> _Made:
    """Clean each run and cut its windows; one run is in memory at a time."""
    entry, window = cleaner.entry, (cleaner.start_s, cleaner.n_volumes, cleaner.tr_s)
    made: _Made | None = None
    for one in series_of(runs, table, subject, entry, mesh_folder, cleaner.tr_s):
        if made is None:
            made = _Made.empty((len(table), cleaner.n_volumes, one.values.shape[1]), entry["average"])
        made.columns = one.columns
        rows = one.trials[one.trials["usable"]]
        try:
            cleaned, kept = cleaner.clean(one.one, one.values)
            onsets = rows["onset_s"].to_numpy()
            cut = cleaning.windows(cleaned, onsets, *window)
            counted = cleaner.count(cleaning.windows(kept[:, None], onsets, *window)[:, :, 0])
        except ValueError as error:
            raise ValueError(f"{one.told(subject)}: {error}") from None
        if len(rows):
            made.bad = np.where(made.bad == "", why_masked(one.values, np.isnan(cleaned[0])), made.bad)
        made.enter(rows.index.to_numpy(), cut.astype(np.float32), counted)
    assert made is not None  # there is a run
    return made


def _without(values: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """Leave columns out of (n_trials, n_columns) in place."""
    if keep.all():
        return values
    if values.flags.c_contiguous:
        return _compacted(values[:, None], keep)[:, 0]
    for left, column in enumerate(np.flatnonzero(keep)):
        if left != column:
            values[:, left] = values[:, column]
    return values[:, : int(keep.sum())]


def _compacted(values: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """Leave columns out of (n_trials, n_volumes, n_columns) in place: a copy would double the memory of the stage."""
    n_trials, n_volumes, _ = values.shape
    n_kept = int(keep.sum())
    left: np.ndarray = values.reshape(-1)[: n_trials * n_volumes * n_kept].reshape(n_trials, n_volumes, n_kept)
    for trial in range(n_trials):  # what is written lies before what is still to be read
        left[trial] = values[trial][:, keep]
    return left


def _variance_components(averaged: np.ndarray, usable: np.ndarray, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Estimate signal and noise variance of each column, some columns at a time."""
    block = max(1, BLOCK_VALUES // len(averaged))
    parts = [
        ceilings.variance_components(averaged[:, start : start + block][usable], image[usable])
        for start in range(0, averaged.shape[1], block)
    ]
    signal, noise = (np.concatenate(found) for found in zip(*parts, strict=True))
    return signal, noise
