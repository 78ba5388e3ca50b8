"""Where panels of a leaderboard lie and how much room they take, in inches; rows of a panel in slots."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from boldflow.vocabulary.metrics import label

DIRECTIONS = {"decode": "decoding", "encode": "encoding", "represent": "representing"}
PER_BAND = 3  # panels side by side
PANEL_IN, GAP_IN, TITLE_IN, AXIS_IN = 2.15, 0.25, 0.46, 0.55
FACET_IN, FACET_GAP_IN, FACET_TITLE_IN, HEADING_IN, FACET_SLOT_IN = 1.5, 0.12, 0.3, 0.34, 0.105
SLOT_IN, LOW_SLOT_IN, FEW = 0.135, 0.1, 3  # a marker's height with up to FEW subjects, and with more
LETTER_IN = 0.063  # of a row's label
BRACKET_IN = 0.065  # a column of brackets
MAX_COLUMNS = 8  # of brackets beside a panel
WIDE_IN, HIGH_IN = 10.6, 16.0  # beyond these a figure leaves out panels, then rows; the page shows 10.6 in unshrunk
LEAST_IN, LINE_IN = 5.0, 7.4  # least width of a figure, and of what bands flow into

Rows = list[tuple[str, float, float]]  # label, top and bottom of each row of a panel, in slots


@dataclass(frozen=True)
class Place:
    """Where a panel lies, in inches from the top left; ``named`` where its rows have their labels."""

    panel: int
    left: float
    top: float
    high: float
    named: bool


class Room:
    """Where panels lie and how much room they take, in inches; the columns of brackets are the most if unknown."""

    def __init__(self, table: pd.DataFrame, faceted: bool, columns: int = MAX_COLUMNS) -> None:
        """Lay out panels: bands of panels with the same rows side by side, or subjects of a metric side by side."""
        self.panel_in = FACET_IN if faceted else PANEL_IN
        self.title_in = FACET_TITLE_IN if faceted else TITLE_IN
        self.gap = (FACET_GAP_IN if faceted else GAP_IN) + (BRACKET_IN * columns + 0.05 if columns else 0)
        self.places: list[Place] = []
        self.headings: list[tuple[str, float]] = []
        has_few = len(subject_names(table).unique()) <= FEW
        slot = FACET_SLOT_IN if faceted else SLOT_IN if has_few else LOW_SLOT_IN
        self.high = {panel: sum(rows.values()) * slot for panel, rows in row_sizes(table, faceted).items()}
        bands = _facet_bands(table, self.gap) if faceted else _bands(table)
        parts = {int(panel): part for panel, part in table.groupby("panel")}
        label_widths = {band[0]: label_in(_labelled(table, parts[band[0]], faceted)) for band in bands}
        lines = [[band] for band in bands] if faceted else self._flow(bands, label_widths)
        self.width, self.height = LEAST_IN, 0.0
        heading = ""
        for line in lines:
            new_heading = heading_of(parts[line[0][0]]) if faceted else ""
            if new_heading != heading:
                self.headings.append((new_heading, self.height + 0.06))
                heading, self.height = new_heading, self.height + HEADING_IN
            # left edges of lines agree
            self._place(line, {**label_widths, line[0][0]: max(label_widths[other_line[0][0]] for other_line in lines)})

    def _place(self, line: list[list[int]], label_widths: Mapping[int, float]) -> None:
        """Put the bands of a line side by side below what is there."""
        top, left = self.height + self.title_in, 0.0
        for band in line:
            left += label_widths[band[0]]
            for n, panel in enumerate(band):
                self.places.append(Place(panel, left, top, self.high[panel], n == 0))
                left += self.panel_in + self.gap
        self.width = max(self.width, left + 0.1)
        self.height = top + (max(self.high[panel] for band in line for panel in band) + AXIS_IN)

    def _flow(self, bands: list[list[int]], label_widths: Mapping[int, float]) -> list[list[list[int]]]:
        """Put bands side by side as far as the widest leaves room."""
        band_width = {band[0]: label_widths[band[0]] + len(band) * (self.panel_in + self.gap) for band in bands}
        max_width = max(LINE_IN, *band_width.values())
        lines: list[list[list[int]]] = []
        line_width = 0.0
        for band in bands:
            if lines and line_width + band_width[band[0]] <= max_width:
                lines[-1].append(band)
            else:
                lines.append([band])
                line_width = 0.0
            line_width += band_width[band[0]]
        return lines

    def fits(self) -> bool:
        """Tell whether the panels leave the figure legible."""
        return self.height <= HIGH_IN


def heading_of(part: pd.DataFrame) -> str:
    """Name the metric of a panel, with whose it is."""
    return f"{label(part['metric'].iloc[0])} ({about_of(part)})"


def about_of(part: pd.DataFrame) -> str:
    """Say of a panel whether its metric is the primary one, the direction and the view."""
    kind = " and ".join(DIRECTIONS.get(name, name) for name in sorted(part["direction"].dropna().unique()))
    primary = bool(part["primary"].fillna(False).any())
    return f"{'primary metric, ' if primary else ''}{kind}, {part['view'].iloc[0]} view"


def subject_names(table: pd.DataFrame) -> pd.Series:
    """Name subjects; with their data set where there are several."""
    several = len(table["dataset"].unique()) > 1
    subject = table["subject"].astype(str)
    return table["dataset"].astype(str) + " " + subject if several else subject


def shared_order(part: pd.DataFrame) -> list[str]:
    """Give the one order of rows that panels of several subjects follow, some of which lack rows."""
    by_panel = part.groupby("panel")["row"].agg(lambda rows: list(dict.fromkeys(rows)))
    order: list[str] = max(by_panel, key=len)
    return [*order, *dict.fromkeys(row for rows in by_panel for row in rows if row not in order)]


def row_sizes(table: pd.DataFrame, faceted: bool) -> dict[int, dict[str, float]]:
    """Give the height of each row of each panel, in slots; subjects of a faceted metric share their rows."""
    sizes: dict[int, dict[str, float]] = {}
    for _, part in table.groupby(["metric", "view"] if faceted else ["panel"], sort=False):
        max_markers = part.groupby(["panel", "row"], sort=False).size().groupby("row", sort=False).max()
        order = shared_order(part) if faceted else part["row"].unique()
        rows = {
            str(name): max(float(max_markers[name]), 1.0) + 0.5 if faceted else max(float(max_markers[name]), 1.6) + 0.8
            for name in order
        }
        sizes |= {int(panel): rows for panel in part["panel"].unique()}
    return sizes


def slots_of(part: pd.DataFrame, sizes: Mapping[str, float]) -> tuple[np.ndarray, Rows]:
    """Give the height of each marker (n_markers,), in slots from the top, and the rows of a panel."""
    marker_slots = np.empty(len(part))
    rows: Rows = []
    top = 0.0
    labels = part["row"].to_numpy()
    for name, row_size in sizes.items():
        marker_rows = np.flatnonzero(labels == name)
        marker_slots[marker_rows] = top + (row_size - len(marker_rows)) / 2 + 0.5 + np.arange(len(marker_rows))
        rows.append((name, top, top + row_size))
        top += row_size
    return marker_slots, rows


def label_in(part: pd.DataFrame) -> float:
    """Give the width of the labels of rows."""
    return 0.25 + LETTER_IN * max(map(len, part["row"].unique()))


def _labelled(table: pd.DataFrame, part: pd.DataFrame, faceted: bool) -> pd.DataFrame:
    """Rows whose labels stand beside a panel: of a faceted metric those of all subjects."""
    return table[table["metric"] == part["metric"].iloc[0]] if faceted else part


def _bands(table: pd.DataFrame) -> list[list[int]]:
    """Put panels with the same rows side by side, so that they share labels."""
    same: dict[tuple[str, ...], list[int]] = {}
    for panel, part in table.groupby("panel", sort=True):
        same.setdefault(tuple(dict.fromkeys(part["row"])), []).append(int(str(panel)))
    return [panels[n : n + PER_BAND] for panels in same.values() for n in range(0, len(panels), PER_BAND)]


def _facet_bands(table: pd.DataFrame, gap: float) -> list[list[int]]:
    """Put as many subjects of a metric side by side as the width leaves room for."""
    bands = []
    for _, part in table.groupby(["metric", "view"], sort=False):
        n_per_line = max(1, int((WIDE_IN - 0.1 - label_in(part)) / (FACET_IN + gap)))
        panels = [int(panel) for panel in part["panel"].unique()]
        n_lines = -(-len(panels) // n_per_line)
        n_per_line = -(-len(panels) // n_lines)  # lines are equally long
        bands += [panels[n : n + n_per_line] for n in range(0, len(panels), n_per_line)]
    return bands
