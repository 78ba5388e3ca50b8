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
    varied_keys = [name for name in ("dataset", "response", "split", "seed") if len(separations[name].unique()) > 1]
    rows = []
    for _, part in separations.groupby(KEYS, sort=False):
        rows.append(_row({(test["metric"], test["protocol"]): test for test in part.to_dict("records")}, varied_keys))
    heads = [
        "Subject",
        "Model",
        *(HEADINGS[name] for name in varied_keys),
        "Latents",
        "AUC, held out [95 % interval]",
        "p",
    ]
    heads += ["q over subjects", "p of lengths, classes scaled apart (published)", "p of lengths, scaled together"]
    heads += ["Held-out images in the class"]
    first_row = separations.iloc[0]
    class_text = f"{first_row['label']} {first_row['class']} against {first_row['against']}"
    n_varied = len(varied_keys)
    numeric = frozenset(range(2 + n_varied, 9 + n_varied))
    table = Table(f"Codes: {class_text}", heads, rows, numeric, mark_of(separations["simulated"]))
    n_permutations = int(separations["n_permutations"].fillna(0).max())
    return Codes(table, class_text, n_permutations, _matches(matches))


def _row(tests: Mapping[tuple[str, str], Mapping[str, Any]], varied_keys: list[str]) -> list[str]:
    """Cells of one subject's code, from its tests by metric and protocol."""
    own_test, length_tests = tests["auc", "mended"], [tests["norm_p", name] for name in ("published", "mended")]
    return [
        text_of(own_test["subject"]),
        text_of(own_test["model"]),
        *(text_of(own_test[name]) for name in varied_keys),
        text_of(own_test["n_latents"]),
        f"{number(own_test['value'])} [{number(own_test['ci_low'])}, {number(own_test['ci_high'])}]",
        *(number(own_test[name], ".4f") for name in ("p", "q")),
        *(number(test["p"], ".2g") for test in length_tests),
        f"{own_test['n_class_images']} of {own_test['n_test_images']}",
    ]


def _matches(table: pd.DataFrame | None) -> Table | None:
    """How well units go together in other codes: a row per pair of codes."""
    if table is None or table.empty:
        return None
    keys = ["dataset", *(f"{name}_{side}" for side in ("a", "b") for name in SIDE)]
    rows = []
    for key, part in table.groupby(keys, sort=False):
        value_of = dict(zip(keys, key, strict=True))
        side_values = [[value_of[f"{name}_{side}"] for name in SIDE] for side in ("a", "b")]
        titles = [" · ".join(str(name) for name in values if name != "none") for values in side_values]
        first_row = part.iloc[0]
        number_texts = [number(part["r"].mean()), number(first_row["stability"]), number(first_row["p"], ".4f")]
        pictures = f"{first_row['n_matching']} and {first_row['n_held_out']}"
        rows.append([*titles, text_of(value_of["dataset"]), str(len(part)), *number_texts, pictures])
    heads = ["Code", "Other code", "Data set", "Pairs of units", "Mean r, matched", "Mean r, held out", "p", "Pictures"]
    return Table("Units that are found again", heads, rows, frozenset(range(3, 8)), mark_of(table["simulated"]))
