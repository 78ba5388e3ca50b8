"""Figures: one file or package each, named by a catalogue entry under ``figures:``. They draw from tables alone.

``NEEDS``
    List of the tables it reads, of those in ``boldflow.vocabulary.tables``, which says what each holds and which
    results have it. ``images`` are the pictures that ``source_table`` names in its columns image_id and nearest_1 ..
    nearest_5; ``meshes`` are the surfaces on which maps are drawn (``tables.images``, ``tables.meshes`` of ``draw``).
``FACTS``
    ``title`` and ``caption`` (str) for the report; ``thresholds: True`` adds the key ``threshold`` that figures of
    tested vertices share (``drawing.thresholds``).
``SETTINGS``
    ``{key: {"type", "default", "description", ...}}``: JSON schema of the keys that an entry may add.
``READS``, optional
    ``{rule: [keys]}``: which keys of an entry a rule reads (draw_figure), where these are not all.

``source_table(tables, settings) -> DataFrame``
    Exactly the values drawn, with a bool column ``simulated`` that says of each row whether it is; it is written beside
    the figure as CSV.
``draw(tables, settings) -> matplotlib.figure.Figure``

A figure in which any drawn row is simulated carries the word SIMULATED (the drawing stage stamps it once,
the plug-in does not).
"""

from typing import Any, Protocol

import pandas as pd
from matplotlib.figure import Figure as Drawn

from boldflow.drawing.tables import Tables
from boldflow.settings import Entry


class Figure(Protocol):
    """The contract above, as mypy checks it of each plug-in."""

    FACTS: dict[str, Any]
    NEEDS: list[str]

    def source_table(self, tables: Tables, settings: Entry) -> pd.DataFrame:
        """Give exactly the values drawn."""

    def draw(self, tables: Tables, settings: Entry) -> Drawn:
        """Draw the figure."""


FURTHER: dict[str, type] = {}
