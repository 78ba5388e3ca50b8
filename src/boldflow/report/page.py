"""The report of a study: one HTML page, made from tables and figures, that opens without a network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

import jinja2
import pandas as pd

from boldflow.report.cells import MISSING
from boldflow.report.codes import codes_of
from boldflow.report.costs import costs_of
from boldflow.report.figures import Drawing, figure_of
from boldflow.report.leaderboard import headline_of, with_ties
from boldflow.report.people import people_of
from boldflow.report.provenance import Provenance, origins_of
from boldflow.report.published import published_of
from boldflow.report.runs import runs_of
from boldflow.report.subjects import subjects_of


@dataclass(frozen=True)
class Study:
    """What a study says of itself; ``metric`` and ``view`` are its primary ones."""

    name: str
    title: str
    metric: str
    view: str
    description: str = ""


def render_page(
    study: Study, tables: Mapping[str, pd.DataFrame], figures: Sequence[Drawing], provenance: Provenance
) -> str:
    """Write the report.

    Parameters
    ----------
    study : Study
    tables : mapping of str to DataFrame
        ``leaderboard`` and ``costs``, and as far as the study has them ``comparisons``, ``people``, ``published``,
        ``separations``, ``matches``: see ``vocabulary.tables``. Rows of the leaderboard keep their order.
    figures : sequence of Drawing
    provenance : Provenance

    Returns
    -------
    str
        HTML that refers to nothing outside itself; equal input gives equal text.

    Raises
    ------
    ValueError
        If no row has the study's primary metric, or a figure is not a PNG.
    """
    comparisons = tables.get("comparisons")
    leaderboard = with_ties(tables["leaderboard"], comparisons)
    is_simulated = leaderboard["simulated"].fillna(False)
    page_figures = [figure_of(figure) for figure in figures]
    text = resources.files("boldflow.report").joinpath("page.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(text).render(
        study=study,
        simulated=bool(is_simulated.any()) or any(figure.mark for figure in page_figures),
        wholly=bool(is_simulated.all()),
        n_subjects=len(leaderboard[["dataset", "subject"]].drop_duplicates()),
        run=runs_of(leaderboard, provenance),
        headline=headline_of(study.name, study.metric, study.view, leaderboard, comparisons),
        people=people_of(tables.get("people")),
        published=published_of(leaderboard, tables.get("published")),
        codes=codes_of(tables.get("separations"), tables.get("matches")),
        figures=page_figures,
        subjects=subjects_of(leaderboard),
        origins=origins_of(leaderboard, provenance),
        costs=costs_of(tables["costs"]),
        missing=MISSING,
    )
