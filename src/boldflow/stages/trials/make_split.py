"""Splits: written once per data set, for all subjects together."""

import hashlib
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from boldflow import registry
from boldflow.artifacts.store import sidecars, tables
from boldflow.core.responses import cleaning
from boldflow.core.splits import assignment, left_out
from boldflow.core.splits.blocks import blocks_of, shares_runs
from boldflow.provenance import canonical
from boldflow.runs.checksums import sha256
from boldflow.settings import Entry, read_entry, read_facts
from boldflow.stages.trials._duplicates import (
    ALIKE,
    BY_PIXELS,
    IDENTITY,
    Groups,
    Overlap,
    Stimuli,
    group,
    overlaps_of,
    tell_alike,
)


def run(
    trials: list[str],
    packs: list[str],
    tables_: list[str],
    split: str,
    sidecar: str,
    dataset: str,
    dataset_settings: str,
    settings: str,
    response: str,
    facts: str,
    code: str,
) -> None:
    """Group duplicates, apply the rule, check that nothing crosses, and write table and sidecar.

    Without packs, pictures are the same where their names say so, and the sidecar says ``grouping: identity``.

    Parameters
    ----------
    trials : paths of the trial tables of all subjects
    packs, tables_ : paths of the stimulus packs and tables: the data set's own first, then those of ``against``; none
        where a data set's pictures are not at hand
    split, sidecar : paths of the Parquet and the JSON to write
    dataset : name of the data set
    dataset_settings : the data set's catalogue entry, JSON text
    settings : the split's catalogue entry, JSON text
    response : the catalogue entry of the response whose windows must not overlap (``windows_of``), JSON text, or ""
    facts : facts of the data set's plug-in, JSON text
    code : digests of the modules of this stage and the data set's plug-in, JSON text

    Raises
    ------
    ValueError
        If a duplicate group has more than ``LARGEST_GROUP`` pictures, the rule leaves nothing to train or test on, or
        categories come in blocks within runs that are split.
    """
    rule, dataset_facts = read_entry(settings), read_facts(facts, _Facts)
    trial_rows = pd.concat([tables.read(path) for path in trials], ignore_index=True)
    pictures = _pictures(dataset, rule, trial_rows, packs if dataset_facts.images else [], tables_)
    joins_alike = rule.get("duplicates", "alike") == "alike"
    overlaps = overlaps_of(pictures, joins_alike) if dataset_facts.images else []
    tell_alike(overlaps, rule.name)
    groups = group(pictures, overlaps)
    test_image_ids = _named(rule, read_entry(dataset_settings).plugin, trial_rows)
    table = assignment.make_split(trial_rows, groups.of_image, rule, dataset_facts.split_unit, test_image_ids)
    reason = left_out.reasons(trial_rows, table, rule, dataset_facts.split_unit)
    for sentence in left_out.sentences(table, reason):
        logging.getLogger(__name__).warning("split %s: %s", rule.name, sentence)
    block_note = _label_in_blocks(trial_rows, table, rule, pictures, dataset_facts.split_unit)
    dropped_counts = left_out.counts(table, reason)
    apart_note: dict[str, Any] = {}
    if response:
        table, apart_note = _apart(trial_rows, table, read_entry(response), dataset_facts.tr_s)
        left_out.add(dropped_counts, left_out.OVERLAPS, apart_note["dropped_for_overlap"])
    if "apart_s" in rule:
        table, time_note = _apart_in_time(trial_rows, table, rule["apart_s"], _labels(pictures))
        left_out.add(dropped_counts, left_out.CLOSE, time_note["dropped_in_time"])
        apart_note |= time_note
    note = _Note(
        rule=dict(rule),
        unit=dataset_facts.split_unit,
        counts=assignment.summary(table),
        dropped=dropped_counts,
        pictures_never_shown=len(set(groups.of_image) - set(trial_rows["image_id"])),
        published=_against_published(trial_rows, table, rule, test_image_ids),
        code=code,
        data=[tables.sidecar(path)["data"] for path in (*sorted(trials), *tables_)],
        **_grouping(dataset_facts.images, bool(pictures.packs), rule, groups, overlaps),
    )
    content = asdict(note) | apart_note | block_note
    tables.write(split, table, content)
    subject_notes = {
        "rows_by_subject": _checksums(table, note.rule),
        "pictures_by_subject": {
            str(name): sorted(set(image_ids)) for name, image_ids in trial_rows.groupby("subject")["image_id"]
        },
        "table_sha256": sha256(split),
    }
    sidecars.write(sidecar, content | subject_notes)


def _checksums(table: pd.DataFrame, rule: Mapping[str, Any]) -> dict[str, str]:
    """SHA-256 of rule and rows of each subject: one that is added changes the table, and nothing for the others."""
    texts = {str(subject): canonical(rule) + rows.to_csv(index=False) for subject, rows in table.groupby("subject")}
    return {subject: hashlib.sha256(text.encode()).hexdigest() for subject, text in texts.items()}


@dataclass(frozen=True)
class _Facts:
    """What a split goes by of its data set's facts."""

    images: bool
    split_unit: str
    tr_s: float = math.nan  # handed where windows are kept apart, alone


@dataclass(frozen=True)
class _Note:
    """What a split's sidecar says; windows that were kept apart are beside it."""

    rule: dict[str, Any]
    unit: str
    counts: Any
    dropped: dict[str, dict[str, int]]
    pictures_never_shown: int
    duplicate_groups: list[list[str]]
    overlaps: list[Overlap]
    alike: list[tuple[str, str]]
    grouping: str
    grouped_by: list[str]
    not_compared_with: list[str]
    published: dict[str, Any] | None
    code: str
    data: list[str]


def _pictures(dataset: str, rule: Entry, trial_rows: pd.DataFrame, packs: list[str], paths: list[str]) -> Stimuli:
    """Name the pictures of the data set and of those it is compared with; without tables, what its trials show."""
    if not paths:
        return Stimuli({dataset: sorted(set(trial_rows.loc[trial_rows["usable"], "image_id"]))}, {}, {})
    datasets = [dataset, *(name for name in rule["against"] if name != dataset)]
    table_of_dataset = {name: tables.read(path) for name, path in zip(datasets, paths, strict=True)}
    images = {name: list(table["image_id"]) for name, table in table_of_dataset.items()}
    return Stimuli(images, table_of_dataset, dict(zip(datasets, packs, strict=True)) if packs else {})


def _grouping(
    images: bool, by_pixels: bool, rule: Entry, groups: Groups, overlaps: Sequence[Overlap]
) -> dict[str, Any]:
    """Say for the sidecar which pictures count as one, and what told it; ``images``: the data set has pictures."""
    by = BY_PIXELS if rule.get("duplicates", "alike") == "alike" else BY_PIXELS[:1]
    return {
        "duplicate_groups": groups.several,
        "overlaps": overlaps,
        "alike": [(pair.image_id, pair.other_image_id) for pair in overlaps if pair.found_by == ALIKE],
        "grouping": "pixels" if by_pixels else "identity" if images else "none",
        "grouped_by": (IDENTITY + (by if by_pixels else [])) if images else [],
        "not_compared_with": [] if by_pixels or not images else rule["against"],
    }


def _apart(
    trial_rows: pd.DataFrame, table: pd.DataFrame, entry: Entry, tr_s: float
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Drop training trials whose windows overlap test trials', and count them by subject for the sidecar.

    A split does not know the times of volumes within the TR, which slice timing moves. Windows of n volumes of trials
    that are n TR apart share none wherever volumes lie; those of trials a little nearer do at some times.
    """
    start_s, n_volumes = cleaning.window_volumes(entry["start_s"], entry["duration_s"], tr_s)
    onsets_in_volumes = pd.Series(
        trial_rows["onset_s"].to_numpy() / tr_s, index=pd.MultiIndex.from_frame(trial_rows[assignment.TRIAL])
    )
    least_apart = n_volumes - cleaning.HALF
    apart_table = assignment.apart(table, onsets_in_volumes, least_apart, f"windows of {n_volumes} volumes")
    window = {"of": entry["name"], "start_s": start_s, "n_volumes": n_volumes}
    return apart_table, {"windows": window, "dropped_for_overlap": _counts(table, apart_table, table["subject"])}


def _apart_in_time(
    trial_rows: pd.DataFrame, table: pd.DataFrame, apart_s: float, labels: pd.DataFrame
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Drop training trials close to test trials; count them by subject, and by class of each label.

    Raises
    ------
    ValueError
        If a trial has no onset, as in data sets of published betas.
    """
    onsets = trial_rows.set_index(assignment.TRIAL)["onset_s"]
    if onsets.isna().any():
        raise ValueError(
            f"apart_s: {onsets.isna().sum()} of {len(onsets)} trials have no onset; a split of this data set cannot "
            "keep trials apart in time: leave out whole runs (test: run, or test: runs)"
        )
    apart_table = assignment.apart(table, onsets, apart_s, f"{apart_s:g} s between onsets")
    image_ids = trial_rows.set_index(assignment.TRIAL)["image_id"]
    row_image_ids = image_ids.loc[pd.MultiIndex.from_frame(table[assignment.TRIAL])].to_numpy()
    note: dict[str, Any] = {"apart_s": apart_s, "dropped_in_time": _counts(table, apart_table, table["subject"])}
    note["dropped_by_class"] = {
        str(name): _counts(table, apart_table, pd.Series(labels[name].reindex(row_image_ids).to_numpy(), table.index))
        for name in labels
    }
    return apart_table, note


def _counts(table: pd.DataFrame, apart_table: pd.DataFrame, name_of_row: pd.Series) -> dict[str, int]:
    """Count rows that were dropped by a name of theirs, such as the subject; names without any are there too."""
    n_dropped = name_of_row[apart_table["part"] != table["part"]].value_counts()
    return {str(name): int(n_dropped.get(name, 0)) for name in sorted(set(name_of_row.dropna()))}


def _labels(pictures: Stimuli) -> pd.DataFrame:
    """Labels of the data set's pictures, a column each, by image_id; no column where there are none."""
    stimuli = pictures.tables.get(pictures.dataset)
    if stimuli is None:
        return pd.DataFrame()
    return stimuli.set_index("image_id").filter(like="label_").rename(columns=lambda name: name[len("label_") :])


def _label_in_blocks(
    rows: pd.DataFrame, table: pd.DataFrame, rule: Entry, pictures: Stimuli, unit: str
) -> dict[str, Any]:
    """Note a label that comes in blocks within runs: whole runs trade labels then, and runs may not be split.

    Raises
    ------
    ValueError
        If runs are split, unless the rule accepts that noise leaks from training into test.
    """
    if unit != "image":
        return {}
    first = next(iter(blocks_of(rows[rows["usable"]], _labels(pictures))), None)
    if first is None:
        return {}
    if not shares_runs(table):
        return {"label_in_blocks": first.label}
    finding = (
        f"{first.adjacent:.0%} of neighbouring trials share their {first.label} "
        f"({first.expected:.0%} in a random order): it comes in blocks, and noise that "
        "trials of a block share tells its test pictures' class"
    )
    if rule["temporal_leak"] != "accepted":
        raise ValueError(
            f"split {rule.name}: {finding}. Leave out whole runs (test: run, or test: runs), or set splits.{rule.name}."
            "temporal_leak to accepted; its scores then say so"
        )
    return {"temporal_leak": finding, "label_in_blocks": first.label}


def _named(rule: Mapping[str, Any], plugin: str, trial_rows: pd.DataFrame) -> list[str]:
    """List the pictures of the published test set that the rule names: as the plug-in does, or its trial tables."""
    if rule["test"] != "named":
        return []
    test_sets: dict[str, str] = registry.literal("datasets", plugin, "TEST_SETS")
    if test_sets[rule["names"]] or "test_sets" not in trial_rows:
        return test_sets[rule["names"]].split()
    in_test_set = trial_rows["test_sets"].str.split().map(lambda set_names: rule["names"] in set_names)
    return sorted(set(trial_rows.loc[in_test_set, "image_id"]))


def _against_published(
    trial_rows: pd.DataFrame, table: pd.DataFrame, rule: Entry, test_image_ids: list[str]
) -> dict[str, Any] | None:
    """Say how a split by names compares with the published one, in which all pictures that are not named train."""
    if not test_image_ids:
        return None
    shown_ids = set(trial_rows["image_id"])
    changed_rows = assignment.mended(trial_rows, table, test_image_ids)
    return {
        "test_set": rule["names"],
        "pictures": len(test_image_ids),
        "never_shown": sorted(set(test_image_ids) - shown_ids),
        "same": changed_rows.empty,
        "mended": changed_rows.to_dict(orient="records"),
    }
