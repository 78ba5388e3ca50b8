"""Figures: one file each, named by a catalogue entry under ``figures:``. They draw from tables alone.

``NEEDS``
    List of the tables it reads, of "leaderboard", "comparisons", "maps", "queries", "bands", "wins", "histories",
    "separations", "embeddings", "units", "reconstructions", "published", "images":

    - ``leaderboard``: the study's tidy table (columns: ``artifacts.leaderboard.COLUMNS``).
    - ``comparisons``: a row per pair of models of a subject (columns: ``artifacts.comparisons.COLUMNS``).
    - ``maps``: a row per vertex of each encoding result: dataset, subject, response, feature, model, split,
      simulated, space, hemisphere ("left" / "right"), vertex (int, index in that hemisphere's mesh), r, r2,
      ceiling (NC, a share of variance from 0 to 1), signal_var, noise_var, roi (str, may be empty). Of encoders of
      joined features also r2_joint (R², 1 - residual over total variance) and, for each feature joined, r2_band:NAME
      (what it brings to that; these add up) and, where fits without it were made, r2_unique:NAME (what is lost).
    - ``queries``: a row per test picture of each retrieval result: dataset, subject, response, feature, model,
      split, simulated, seed, fold, image_id, rank (0-based, float), gallery_size, nearest_1 .. nearest_5 (image
      ids, best first), score_1 .. score_5.
    - ``bands``: a row per region and joined feature of an encoder: dataset, subject, response, feature, model, split,
      simulated, seed, roi ("all" for all vertices), band (a joined feature; "all" for measure joint), measure ("joint",
      "product" or "unique": as in maps, over summed variance), value, ci_low, ci_high, ci_method, ceiling,
      n_test_images.
    - ``wins``: a row per pair of encoders and region: dataset, subject, response, split, simulated, seed, roi,
      feature_a, model_a, feature_b, model_b, value (share of vertices with higher r under a), ci_low, ci_high, p,
      p_holm, tied, n_vertices, n_test_images.
    - ``histories``: the rows of each result's history.csv that has epochs (stage, seed, fold, epoch, loss, and what was
      measured on validation trials), with dataset, subject, response, feature, model, split, simulated.
    - ``separations``, ``embeddings``, ``units``, ``reconstructions``: what the codes of models say of a class of
      pictures (columns: ``stages.latents``; separations also have q, p adjusted over subjects, and n_subjects). They
      are there in a study with the key ``latents``.
    - ``published``: published figures of the study's data sets and models as text (columns:
      ``artifacts.published.COLUMNS``, and reason: why one stands beside none of ours, empty where it does).
    - ``images``: dict (dataset, image_id) -> uint8 (height, width, 3), the pictures that ``source_table`` names in its
      columns image_id and nearest_1 .. nearest_5.
``FACTS``
    ``title`` and ``caption`` (str) for the report.
``SETTINGS``
    ``{key: {"type", "default", "description", ...}}``: JSON schema of the keys that an entry may add.

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
