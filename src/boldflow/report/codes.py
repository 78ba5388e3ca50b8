"""Section of codes: what they say of a class of pictures, and units that are found again in other codes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from boldflow.report.cells import Table, mark_of, number, text_of
from boldflow.report.scores import HEADINGS

NEEDS = ["separations", "matches"]
KEYS = ["dataset", "subject", "response", "feature", "model", "split", "seed"]
SIDE = ["subject", "response", "feature", "model"]  # what names a code of a pair


@dataclass(frozen=True)
class Codes:
    """What the section shows: a class, ``named`` with what it is held against."""

    table: Table
    named: str
    n_permutations: int
    matches: Table | None


def codes_of(separations: pd.DataFrame | None, matches: pd.DataFrame | None) -> Codes | None:
    """Make the section, where a study asks codes: a row per subject and model, our test and the published one."""
    if separations is None or separations.empty:
        return None
    varied = [name for name in ("dataset", "response", "split", "seed") if len(separations[name].unique()) > 1]
    rows = []
    for _, part in separations.groupby(KEYS, sort=False):
        rows.append(_row({(test["metric"], test["protocol"]): test for test in part.to_dict("records")}, varied))
    heads = ["Subject", "Model", *(HEADINGS[name] for name in varied), "Latents", "AUC, held out [95 % interval]", "p"]
    heads += ["q over subjects", "p of lengths, classes scaled apart (published)", "p of lengths, scaled together"]
    heads += ["Held-out images in the class"]
    first = separations.iloc[0]
    named = f"{first['label']} {first['class']} against {first['against']}"
    k = len(varied)
    numeric = frozenset(range(2 + k, 9 + k))
    table = Table(f"Codes: {named}", heads, rows, numeric, mark_of(separations["simulated"]))
    n_permutations = int(separations["n_permutations"].fillna(0).max())
    return Codes(table, named, n_permutations, _matches(matches))


def _row(tests: Mapping[tuple[str, str], Mapping[str, Any]], varied: list[str]) -> list[str]:
    """Cells of one subject's code, from its tests by metric and protocol."""
    ours, lengths = tests["auc", "mended"], [tests["norm_p", name] for name in ("published", "mended")]
    return [
        text_of(ours["subject"]),
        text_of(ours["model"]),
        *(text_of(ours[name]) for name in varied),
        text_of(ours["n_latents"]),
        f"{number(ours['value'])} [{number(ours['ci_low'])}, {number(ours['ci_high'])}]",
        *(number(ours[name], ".4f") for name in ("p", "q")),
        *(number(test["p"], ".2g") for test in lengths),
        f"{ours['n_class_images']} of {ours['n_test_images']}",
    ]


def _matches(table: pd.DataFrame | None) -> Table | None:
    """How well units go together in other codes: a row per pair of codes."""
    if table is None or table.empty:
        return None
    keys = ["dataset", *(f"{name}_{side}" for side in ("a", "b") for name in SIDE)]
    rows = []
    for key, part in table.groupby(keys, sort=False):
        named = dict(zip(keys, key, strict=True))
        sides = [[named[f"{name}_{side}"] for name in SIDE] for side in ("a", "b")]
        titles = [" · ".join(str(name) for name in side if name != "none") for side in sides]
        first = part.iloc[0]
        numbers = [number(part["r"].mean()), number(first["stability"]), number(first["p"], ".4f")]
        pictures = f"{first['n_matching']} and {first['n_held_out']}"
        rows.append([*titles, text_of(named["dataset"]), str(len(part)), *numbers, pictures])
    heads = ["Code", "Other code", "Data set", "Pairs of units", "Mean r, matched", "Mean r, held out", "p", "Pictures"]
    return Table("Units that are found again", heads, rows, frozenset(range(3, 8)), mark_of(table["simulated"]))
