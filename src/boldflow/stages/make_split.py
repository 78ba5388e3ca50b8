"""Splits: written once per data set, for all subjects together."""

import pandas as pd

from boldflow.artifacts import sidecars, tables
from boldflow.core import splits
from boldflow.stages._arrival import read_settings


def run(trials: list[str], stimuli: str, split: str, sidecar: str, settings: str, facts: str, code: str) -> None:
    """Group duplicates, apply the rule, check that nothing crosses, and write table and sidecar.

    Parameters
    ----------
    trials : paths of the trial tables of all subjects
    stimuli : path of the stimulus table
    split, sidecar : paths of the Parquet and the JSON to write
    settings : the split's catalogue entry, JSON text
    facts : facts of the data set's plug-in, JSON text
    code : digests of the modules of this stage, JSON text
    """
    rule, known = read_settings(settings), read_settings(facts)
    rows = pd.concat([tables.read(path) for path in trials], ignore_index=True)
    pictures = tables.read(stimuli)
    same = splits.identical_pixels(pictures)
    groups = splits.duplicate_groups(pictures["image_id"], same)
    table = splits.make_split(rows, groups, rule, known["split_unit"])
    members = pd.Series(groups).groupby(pd.Series(groups)).apply(lambda names: sorted(names.index))
    note = {
        "rule": rule,
        "unit": known["split_unit"],
        "counts": splits.summary(table),
        "duplicate_groups": [names for names in members if len(names) > 1],
        "grouped_by": ["pixels"] if known["images"] else [],
        "code": code,
        "data": [*sorted(tables.sidecar(path)["data"] for path in trials), tables.sidecar(stimuli)["data"]],
    }
    tables.write(split, table, note)
    sidecars.write(sidecar, note)
