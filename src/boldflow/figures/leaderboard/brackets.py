"""Brackets that join tied models of a panel."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from boldflow.figures.leaderboard.room import MAX_COLUMNS, slots_of


@dataclass(frozen=True)
class Bracket:
    """Markers (positions in a panel's rows) of one subject's tied models."""

    members: tuple[int, ...]
    column: int


def bracket_ties(part: pd.DataFrame, sizes: Mapping[str, float]) -> tuple[list[Bracket], int]:
    """Give each group of ties of a panel a bracket, the best groups first.

    Parameters
    ----------
    part : DataFrame
        Rows of a panel, with ``comparison`` and ``ties``.
    sizes : mapping of str to float
        Height of each row, in slots.

    Returns
    -------
    list of Bracket
        Those of one column do not overlap.
    int
        How many groups find no column.
    """
    marker_slots, _ = slots_of(part, sizes)  # (n_markers,)
    ends: list[list[tuple[float, float]]] = []  # of the brackets in each column
    brackets, n_left_out = [], 0
    for _, members in sorted(_groups(part), key=lambda group: (group[0].swapcase(), group[1])):
        low, high = min(marker_slots[list(members)]) - 0.4, max(marker_slots[list(members)]) + 0.4
        free_columns = [n for n, column_ends in enumerate(ends) if all(high <= a or low >= b for a, b in column_ends)]
        column = free_columns[0] if free_columns else len(ends)
        if column >= MAX_COLUMNS:
            n_left_out += 1
            continue
        if not free_columns:
            ends.append([])
        ends[column].append((low, high))
        brackets.append(Bracket(members, column))
    return brackets, n_left_out


def _groups(part: pd.DataFrame) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Letter and markers of each group of two or more ties."""
    letters, comparison_numbers = part["ties"].to_numpy(), part["comparison"].to_numpy()
    for comparison in dict.fromkeys(comparison_numbers):
        marker_rows = np.flatnonzero(comparison_numbers == comparison)
        for letter in sorted({letter for n in marker_rows for letter in letters[n]}):
            members = tuple(int(n) for n in marker_rows if letter in letters[n])
            if len(members) > 1:
                yield letter, members
