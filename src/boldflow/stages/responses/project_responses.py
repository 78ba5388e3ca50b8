"""Responses: BOLD of each run to the surface (or a mask), cleaned and cut into a window per trial, or betas."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from boldflow.artifacts.store import arrays, receipts, sidecars, tables
from boldflow.core.compute import fixed_threads
from boldflow.core.responses import cleaning
from boldflow.registry import plugin_of
from boldflow.settings import Entry, read_entry, read_facts, read_settings
from boldflow.stages.fetch._arrival import open_dataset
from boldflow.stages.responses import _betas, _fsaverage
from boldflow.stages.responses._blup import Blup
from boldflow.stages.responses._cleaning import Cleaner, parts_of
from boldflow.stages.responses._columns import Columns, Run
from boldflow.stages.responses._glm import Glm
from boldflow.stages.responses._regions import RegionRow, Regions, read_region_files, regions_of
from boldflow.stages.responses._series import (
    BAD,
    RunWithoutBoldError,
    RunWithoutTrialsError,
    Series,
    named,
    series_of,
    why_masked,
)
from boldflow.stages.responses._times import VolumeTimes
from boldflow.stages.responses._values import Values, variance_components
from boldflow.vocabulary.meshes import NATIVE

# What the entry of a data set with such keys can say of trials and runs that do not fit.
REMEDIES: dict[type[ValueError], str] = {
    cleaning.OutsideRunError: (
        "; leave_out: [trials_beyond_end, trials_before_start] in the data set's entry leaves such trials out and "
        "counts them (those for which the scan does not go on for scanned_after_onset_s, and those with an onset "
        "below 0)"
    ),
    RunWithoutBoldError: (
        "; leave_out: [runs_without_bold] in the data set's entry leaves out, and counts, runs without BOLD"
    ),
    RunWithoutTrialsError: (
        "; no event of such a run shows a picture: choose the runs that are read by task or entities of the data set's "
        "entry, such as {run: ['1', '2']}"
    ),
}


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
    subject, recording : the subject, and the data set's recording that the response reads
    settings, dataset : catalogue entries of the response and the data set, JSON text
    places : what the response's entry says of where this machine finds things (``mesh_folder``), JSON text
    regions : files that give regions of the subject, by region, JSON text (``catalogue.region_files``)
    facts : facts of the data set's plug-in, JSON text
    code : digests of the modules of this stage and the data set's plug-in, JSON text

    Raises
    ------
    ValueError
        If repetition times disagree, runs and trials do not match, a window leaves its run, or too many vertices are
        without signal.
    """
    entry, data_set, dataset_facts = read_entry(settings), read_entry(dataset), read_facts(facts, _Facts)
    is_outside = recording in dataset_facts.recordings_outside
    table = tables.read(trials)
    task = _Task(
        subject=subject,
        recording=recording,
        entry=entry,
        data_set=data_set,
        plugin=plugin_of("datasets", data_set),
        root=open_dataset(receipt, source) if is_outside else open_dataset(source, receipt),
        table=table,
        parts=next((parts_of(tables.read(path), table, subject, entry["split"]) for path in split), None),
        times=VolumeTimes(dataset_facts.tr_s),
        hrf_table=next(iter(hrf), None),
        mesh_folder=read_settings(places).get("mesh_folder"),
        region_files=read_region_files(regions),
    )
    with fixed_threads(1):
        full_responses = _of_betas(task) if entry["kind"] == "betas" else _of_runs(task)
    vertex_rows, keep, n_masked_by_reason = _chosen_columns(task, full_responses)
    averaged, kept_responses = full_responses.values.only(keep)
    is_usable, image = table["usable"].to_numpy(dtype=bool), pd.factorize(table["image_id"])[0]
    signal_var, noise_var = variance_components(averaged, is_usable, image)
    arrays.write(responses, kept_responses)
    note = _Note(
        shape=list(kept_responses.shape),
        space=entry["space"],
        tr_s=task.times.tr_s,
        trials={"usable": int(is_usable.sum()), "not_usable": int((~is_usable).sum())},
        n_masked=sum(n_masked_by_reason.values()),
        masked=n_masked_by_reason,
        settings=dict(entry),
        dataset=dict(data_set),
        data=receipts.content_digest(source, receipt),
        code=code,
        versions=sidecars.versions("numpy", "scipy", "nibabel", "nilearn"),
    )
    content = asdict(note) | full_responses.note | full_responses.regions.note
    vertex_rows = vertex_rows.assign(signal_var=signal_var, noise_var=noise_var).reset_index(drop=True)
    tables.write(vertices, vertex_rows, content)
    sidecars.write(sidecar, content)


@dataclass(frozen=True)
class _Facts:
    """What responses go by of their data set's facts."""

    tr_s: float
    recordings_outside: Sequence[str] = ()


@dataclass(frozen=True)
class _Task:
    """What is to be made, and of what.

    ``table`` is the trial table; ``parts`` has a row per trial with its part of the split from whose training trials
    statistics come, None where they come from all volumes; ``hrf_table`` and ``mesh_folder`` are paths.
    """

    subject: str
    recording: str
    entry: Entry
    data_set: Entry
    plugin: ModuleType
    root: Path
    table: pd.DataFrame
    parts: pd.DataFrame | None
    times: VolumeTimes
    hrf_table: str | None
    mesh_folder: str | None
    region_files: Mapping[str, list[RegionRow]]

    def runs(self) -> Iterator[Run]:
        """Read the recording's runs, from the first one."""
        runs: Iterator[Run] = self.plugin.runs(self.root, self.subject, self.data_set, self.recording)
        return runs

    def series(self, runs: Iterator[Run]) -> Iterator[Series]:
        """Take runs to columns."""
        return series_of(runs, self.table, self.subject, self.entry, self.mesh_folder, self.times)

    def remedy(self, error: type[ValueError]) -> str:
        """Name the key of the data set's entry that leaves out what does not fit, where its plug-in has such keys."""
        return REMEDIES[error] if "leave_out" in getattr(self.plugin, "SETTINGS", {}) else ""

    def regions(
        self, dataset_regions: Mapping[str, np.ndarray], records: Iterator[Any]
    ) -> tuple[Regions, Iterator[Any]]:
        """Join the data set's regions with those of files; the records come back, the first one included."""
        return regions_of(dataset_regions, records, self.subject, self.entry, self.region_files, self.mesh_folder)


@dataclass(frozen=True)
class _Made:
    """Responses in all columns, the regions on them, and what the sidecar says of how they were made."""

    values: Values
    regions: Regions
    note: dict[str, Any]


@dataclass(frozen=True)
class _Note:
    """What the sidecar says of every response; how it was made is beside it."""

    shape: list[int]
    space: str
    tr_s: float
    trials: dict[str, int]
    n_masked: int
    masked: dict[str, int]
    settings: dict[str, Any]
    dataset: dict[str, Any]
    data: str
    code: str
    versions: dict[str, str]


def _of_betas(task: _Task) -> _Made:
    """Take published betas as responses; published ceilings become columns of the table of vertices."""
    records = task.plugin.betas(task.root, task.subject, task.data_set, task.recording)
    first_record, records = _betas.opened(records, task.subject)
    resampling: dict[str, Any] = {}
    if task.entry["space"] != NATIVE:
        first_record, records, resampling = _fsaverage.resampled(first_record, records, task.entry, task.mesh_folder)
    grid_note = {"grid": first_record.grid.note()} if first_record.grid and task.entry["space"] == NATIVE else {}
    regions, records = task.regions(first_record.rois, records)
    in_rois = regions.any_of(task.entry["rois"], first_record.betas.shape[1])
    betas = _betas.read(records, task.table, task.subject, task.entry, task.parts, BAD, in_rois)
    places = betas.places.assign(**{f"published_{name}": ceiling for name, ceiling in betas.ceilings.items()})
    values = Values(betas.values, None, betas.bad, Columns(np.asarray, places, {}))
    return _Made(values, regions.only(in_rois), betas.note | resampling | grid_note)


def _of_runs(task: _Task) -> _Made:
    """Make responses of runs: a window per trial, or betas of a linear model."""
    # regions first: a missing one stops before the work
    dataset_regions = task.plugin.rois(task.root, task.subject, task.entry["space"], task.data_set)
    regions, runs = task.regions(dataset_regions, task.runs())
    start_s, n_volumes = cleaning.window_volumes(task.entry["start_s"], task.entry["duration_s"], task.times.tr_s)
    cleaner = Cleaner(task.entry, start_s, n_volumes, task.times.tr_s, task.parts)
    try:
        if task.entry["kind"] == "glm":
            values, note = _fitted(task, cleaner)
        else:
            values = _windows(task, task.series(runs), cleaner)
            note = {"window": {"start_s": start_s, "n_volumes": n_volumes}, **cleaner.note()}
    except tuple(REMEDIES) as error:
        raise ValueError(f"{error}{task.remedy(type(error))}") from None
    return _Made(values, regions, note | values.columns.note | task.times.note())


def _fitted(task: _Task, cleaner: Cleaner) -> tuple[Values, dict[str, Any]]:
    """Take betas of the linear model as responses; what each vertex chose becomes columns of the table of vertices."""
    method = Blup if task.entry["method"] == "blup" else Glm
    model = method(cleaner, task.subject, task.hrf_table)
    estimated = model.estimate(lambda: task.series(task.runs()), len(task.table))
    places = estimated.columns.places.assign(**estimated.chosen)
    columns = replace(estimated.columns, places=places)
    return Values(estimated.values, None, estimated.bad, columns), estimated.note


def _windows(task: _Task, series: Iterator[Series], cleaner: Cleaner) -> Values:
    """Clean each run and cut its windows; one run is in memory at a time."""
    span = (cleaner.start_s, cleaner.n_volumes, cleaner.tr_s)
    values: Values | None = None
    for run_series in series:
        if values is None:
            shape = (len(task.table), cleaner.n_volumes, run_series.values.shape[1])
            values = Values.empty(shape, task.entry["average"])
        values.columns = run_series.columns
        usable_trials = run_series.trials[run_series.trials["usable"]]
        try:
            cleaned, uncensored = cleaner.clean(run_series.run, run_series.values, run_series.offset_s)
            window = (usable_trials["onset_s"].to_numpy(), *span, run_series.offset_s)
            run_windows = cleaning.windows(cleaned, *window)  # (n_usable, n_volumes, n_columns)
            counted = cleaner.count(cleaning.windows(uncensored[:, None], *window)[:, :, 0])
        except ValueError as error:
            raise named(error, run_series.label(task.subject)) from None
        if len(usable_trials):
            values.bad = np.where(values.bad == "", why_masked(run_series.values, np.isnan(cleaned[0])), values.bad)
        values.enter(usable_trials.index.to_numpy(), run_windows.astype(np.float32), counted)
    assert values is not None  # there is a run
    return values


def _chosen_columns(task: _Task, full_responses: _Made) -> tuple[pd.DataFrame, np.ndarray, dict[str, int]]:
    """Choose the columns of the response's regions that have signal.

    Returns
    -------
    vertex_rows : DataFrame
        Places and regions of the columns that are kept.
    keep : bool array of shape (n_columns,)
    masked : dict
        How many columns of the regions are left out, by reason.
    """
    vertex_rows, in_rois = full_responses.regions.onto(full_responses.values.columns.places, task.entry["rois"])
    reasons = full_responses.values.bad[in_rois]
    masked = {reason: int((reasons == reason).sum()) for reason in BAD}
    masked_share, limit = float((reasons != "").mean()), task.entry["max_masked"]
    if masked_share > limit:
        raise ValueError(
            f"{task.subject}: {masked_share:.0%} of {reasons.size} vertices are without signal "
            f"({', '.join(f'{count} {reason}' for reason, count in masked.items())}), the limit (max_masked) is "
            f"{limit:.0%}; look at BOLD, mask and space"
        )
    keep = in_rois & (full_responses.values.bad == "")
    return vertex_rows[keep], keep, masked
