"""Thresholds of maps by the tests of their vertices: who passes, and the sentence below the figure that says so."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from boldflow.drawing.meshes import hemispheres
from boldflow.settings import Entry

MEANINGS = {
    "p": "p (uncorrected)",
    "q": "q (false discovery rate over the vertices of a map)",
    "p_max": "p (family-wise, by the maximum over the vertices of a map)",
    "p_tfce": "p (family-wise, by clusters: TFCE)",
}


def with_threshold(maps: pd.DataFrame, settings: Entry, figure: str) -> pd.DataFrame:
    """Mark the vertices of maps that pass the threshold of a figure's settings.

    Parameters
    ----------
    maps : DataFrame
        Columns of the table ``maps`` (``vocabulary.tables``).
    settings : Entry
        ``threshold``: ``by`` a key of ``MEANINGS``, and ``at_most`` (.05 if left out); empty for none.
    figure : str
        Name of the figure, for errors.

    Returns
    -------
    DataFrame
        With the columns n_refits and passes (bool; False for vertices without a test) where there is a threshold.

    Raises
    ------
    ValueError
        If no vertex of the maps has that test.
    """
    threshold = settings["threshold"]
    if not threshold:
        return maps
    by, most = threshold["by"], threshold.get("at_most", 0.05)
    if by not in maps or maps[by].isna().all():
        raise ValueError(
            f"{figure}: threshold by {by}, which no vertex of its maps has: it needs a closed-form encoder of one "
            "subject with permutations of 19 or more" + (", on fsaverage5, with tfce: true" if by == "p_tfce" else "")
        )
    return maps.assign(passes=(maps[by] <= most).to_numpy(dtype=bool))


def columns_of(settings: Entry) -> list[str]:
    """Name the columns that a threshold adds to a figure's source table."""
    threshold = settings["threshold"]
    return [threshold["by"], "n_refits", "passes"] if threshold else []


def passing(part: pd.DataFrame) -> Mapping[str, np.ndarray] | None:
    """Spread over both hemispheres which vertices of one subject's map pass, bool (10242,); None without threshold."""
    if "passes" not in part:
        return None
    numbers = part.assign(passes=part["passes"].astype(float))
    return {side: values == 1 for side, values in hemispheres(numbers, "passes").items()}


def label_with_count(subject: str, part: pd.DataFrame) -> str:
    """Name a row of a figure, and below the name how many of its vertices pass."""
    return f"{subject}\n{int(part['passes'].sum()):,} pass" if "passes" in part else subject


def sentence(table: pd.DataFrame, settings: Entry) -> str:
    """Say by what a figure's maps have a threshold, with how many refits, and how many vertices pass.

    Parameters
    ----------
    table : DataFrame
        All rows drawn, each vertex of each map once, with the columns of ``with_threshold``.
    settings : Entry

    Returns
    -------
    str
        Empty without threshold.
    """
    threshold = settings["threshold"]
    if not threshold:
        return ""
    by, most = threshold["by"], threshold.get("at_most", 0.05)
    refits = table.loc[table["n_refits"] > 0, "n_refits"]
    fewest, most_refits = int(refits.min()), int(refits.max())
    n_refits = f"{fewest:,}" if fewest == most_refits else f"{fewest:,} to {most_refits:,}"
    n_untested = int(table[by].isna().sum())
    untested = f", {n_untested:,} have no test" if n_untested else ""
    return (
        f"Faint: {MEANINGS[by]} above {most:g}, from {n_refits} refits under permuted labels; "
        f"{int(table['passes'].sum()):,} of {len(table):,} vertices pass{untested}."
    )
