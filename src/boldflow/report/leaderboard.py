"""Section of the primary metric: the best models, all rows, and which of two models differ."""

from dataclasses import dataclass

import pandas as pd

from boldflow.artifacts.store.comparisons import MODEL, SAME
from boldflow.core.scores.comparison import OVER_SEEDS, compared_seeds, key_of, tie_letters
from boldflow.core.scores.reference import REFERENCE, marks_against_reference
from boldflow.report.cells import Fold, Table, dataset_name, is_missing, mark_of, number, text_of
from boldflow.report.scores import FLAT, HEADINGS, best_first, ceiling, chance, model_title, score, score_table
from boldflow.vocabulary import metrics

NEEDS = ["leaderboard", "comparisons"]
HEAD = 15  # best rows of a subject that are not folded away
FEW_PAIRS = 60  # pairs of models listed whole; of more, those with a best model
NAMED = 3  # models named as tied with the best
HEADLINE = [
    *("model", "feature", "direction", "subject", "dataset", "response", "roi", "split", "seed", "fold", "score"),
    *("ties", "against", "chance", "beyond", "ceiling", "p", "n_test_images", "n_repeats_averaged", "gallery_size"),
    *("transductive", "protocol", "published_value"),
]
OF_SUBJECT = [name for name in HEADLINE if name not in ("subject", "dataset", "response")]
PLACE = ["dataset", "subject", "response"]  # a fold each, where there are many rows
VARIED = ("dataset", "direction", "roi", "split", "seed", "fold")  # shown of the best models where they differ


@dataclass(frozen=True)
class Differences:
    """Pairs of models of the primary metric: ``total``, of which the table may have those with a best model only."""

    table: Table
    total: int
    only_best: bool


@dataclass(frozen=True)
class Headline:
    """What the section shows; ``metric`` is its label, ``name`` that of the leaderboard."""

    metric: str
    name: str
    view: str
    lower: bool
    methods: list[str]
    best: Table | None
    scores: list[Fold]
    tied: bool
    reference: str
    differences: Differences | None


def with_ties(leaderboard: pd.DataFrame, comparisons: pd.DataFrame | None) -> pd.DataFrame:
    """Add to every row the letters of its ties, ``ties``, and how it stands against a reference, ``against``.

    Both are empty where there are no comparisons, and one of them always is.
    """
    if comparisons is None:
        nothing = pd.Series("", index=leaderboard.index, dtype=object)
        return leaderboard.assign(ties=nothing, against=nothing)
    compared = (leaderboard, comparisons, SAME, MODEL, metrics.LOWER_IS_BETTER)
    return leaderboard.assign(ties=tie_letters(*compared), against=marks_against_reference(*compared))


def headline_of(
    study: str, metric: str, view: str, leaderboard: pd.DataFrame, comparisons: pd.DataFrame | None
) -> Headline:
    """Make the section of a study's primary metric.

    Parameters
    ----------
    study : str
        Its name, for errors.
    metric, view : str
    leaderboard : DataFrame
        With ``ties`` and ``against``.
    comparisons : DataFrame, optional

    Returns
    -------
    Headline

    Raises
    ------
    ValueError
        If no row has the metric.
    """
    is_primary = (leaderboard["metric"] == metric) & (leaderboard["view"] == view)
    rows = leaderboard[is_primary & (leaderboard["gallery"].isna() | (leaderboard["gallery"] == "test"))]
    if rows.empty:
        raise ValueError(f"report of {study}: no row has the primary metric {metric} ({view})")
    compared_rows = _as_compared(rows, comparisons)
    return Headline(
        metric=metrics.label(metric),
        name=metric,
        view=view,
        lower=metric in metrics.LOWER_IS_BETTER,
        methods=sorted(rows["ci_method"].dropna().unique()),
        best=_leaders(compared_rows),
        scores=_folds(f"{metrics.label(metric)}, {view} view", rows),
        tied=bool(rows["ties"].ne("").any()),
        reference=", ".join(sorted({model_title(row) for row in _references(rows).to_dict("records")})),
        differences=_differences(comparisons, compared_rows),
    )


def _references(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of the model that all others are compared with; none where the study names none."""
    return rows[rows["against"] == REFERENCE]


def _as_compared(rows: pd.DataFrame, comparisons: pd.DataFrame | None) -> pd.DataFrame:
    """One row per model of a comparison: of several seeds their mean, which has no interval of its own."""
    if comparisons is None:
        return rows
    seeded_rows = rows.assign(seed=compared_seeds(rows, comparisons, SAME))
    keys = [*SAME, *MODEL]
    has_several_seeds = seeded_rows.duplicated(keys, keep=False)
    means = seeded_rows["value"].groupby(key_of(seeded_rows, keys)).transform("mean")
    averaged_rows = seeded_rows.assign(value=seeded_rows["value"].mask(has_several_seeds, means))
    return averaged_rows.assign(
        **{column: averaged_rows[column].mask(has_several_seeds) for column in ("ci_low", "ci_high")}
    ).drop_duplicates(keys)


def _leaders(compared_rows: pd.DataFrame) -> Table | None:
    """One row per comparison of several models: the best one, and those tied with it."""
    rows, are_simulated = [], []
    parts = [part for _, part in compared_rows.groupby(key_of(compared_rows, SAME), sort=False) if len(part) > 1]
    varied_keys = [name for name in VARIED if len(compared_rows[name].unique()) > 1]
    for part in parts:
        best = best_first(part).iloc[0]
        if not is_missing(best["value"]):
            rows.append(_leader(part, best, varied_keys))
            are_simulated.append(best["simulated"])
    if not rows:
        return None
    columns = ["Subject", *(HEADINGS[name] for name in varied_keys), "Models", "Best", HEADINGS["score"], "Chance"]
    against_reference = not _references(compared_rows).empty
    columns += [HEADINGS["ceiling"], "Best against the reference" if against_reference else "Tied with the best"]
    n_varied = len(varied_keys)
    numeric = frozenset({n_varied + 1, n_varied + 3, n_varied + 4, n_varied + 5})
    return Table("The best model of each subject", columns, rows, numeric, mark_of(are_simulated))


def _leader(part: pd.DataFrame, best: pd.Series, varied_keys: list[str]) -> list[str]:
    """Cells of the best model of a comparison."""
    other_rows = part.drop(index=best.name)
    tied_rows = other_rows[[bool(set(best["ties"]) & set(letters)) for letters in other_rows["ties"]]]
    tied_titles = [model_title(row) for row in tied_rows.to_dict("records")]
    more_text = f" and {len(tied_titles) - NAMED} more" if len(tied_titles) > NAMED else ""
    verdict = best["against"] or "not compared"
    if best["ties"]:
        verdict = ", ".join(tied_titles[:NAMED]) + more_text or "none: better than all"
    varied_texts = [
        dataset_name(best[n], best["simulated"]) if n == "dataset" else text_of(best[n]) for n in varied_keys
    ]
    score_texts = [score(best), chance(best), ceiling(best)]
    return [text_of(best["subject"]), *varied_texts, str(len(part)), model_title(best), *score_texts, verdict]


def _folds(caption: str, rows: pd.DataFrame) -> list[Fold]:
    """All rows of the primary metric: one table, or a fold per subject and response where there are many."""
    if len(rows) <= FLAT:
        return [Fold("", [score_table(caption, rows, HEADLINE)])]
    parts = rows.groupby(PLACE, sort=True, dropna=False)
    return [_fold(caption, part, n == 0) for n, (_, part) in enumerate(parts)]


def _fold(caption: str, part: pd.DataFrame, is_open: bool) -> Fold:
    """Rows of one subject's responses, the best ones first, the others folded once more."""
    dataset, subject, response = (text_of(part[name].iloc[0]) for name in PLACE)
    ordered_rows = best_first(part)
    best = ordered_rows.iloc[0]
    responses_text = f"{subject} of {dataset}, {response}"
    folded_rest = None
    if len(ordered_rows) > HEAD + 5:
        rest_title = f"{len(ordered_rows) - HEAD} more rows of {subject}"
        folded_rest = Fold(
            rest_title, [score_table(f"{caption}: {responses_text}, the rest", ordered_rows.iloc[HEAD:], OF_SUBJECT)]
        )
        ordered_rows = ordered_rows.iloc[:HEAD]
    summary = f"{responses_text}: {len(part)} rows, best {model_title(best)} {score(best)}"
    table = score_table(f"{caption}: {responses_text}, best first", ordered_rows, OF_SUBJECT)
    return Fold(summary, [table], mark_of(part["simulated"]), is_open, folded_rest)


def _differences(comparisons: pd.DataFrame | None, compared_rows: pd.DataFrame) -> Differences | None:
    """One row per pair of models of a subject, for the primary metric; of many pairs those with a best model."""
    if comparisons is None or not comparisons["primary"].fillna(False).any():
        return None
    pairs = comparisons[comparisons["primary"].fillna(False).astype(bool)]
    against_reference = bool(pairs["against_reference"].fillna(False).any())
    n_pairs, only_best = len(pairs), len(pairs) > FEW_PAIRS and not against_reference
    several_rois = len(set(pairs["roi"].dropna())) > 1
    if only_best:
        pairs = _with_best(pairs, compared_rows)
    side_titles = [_side_titles(pairs, side, several_rois) for side in ("a", "b")]
    rows = [
        [
            text_of(pair.subject),
            title_a,
            title_b,
            f"{number(pair.difference)} [{number(pair.ci_low)}, {number(pair.ci_high)}]",
            number(pair.p_holm) if pair.p_holm >= 0.0005 else "below 0.001",
            "tied" if pair.tied else "different",
        ]
        for pair, title_a, title_b in zip(pairs.itertuples(), *side_titles, strict=True)
    ]
    other_heading = "Reference" if against_reference else "Other model"
    columns = ["Subject", "Model", other_heading, "Difference [95 % paired]", "p (Holm)", "Verdict"]
    means_text = " Means over seeds where there are several." if pairs["seed"].eq(OVER_SEEDS).any() else ""
    caption = "Do two models differ?" + means_text + (" Pairs with the best model of each subject" if only_best else "")
    table = Table(caption, columns, rows, frozenset({3, 4}), mark_of(pairs["simulated"]))
    return Differences(table, n_pairs, only_best)


def _side_titles(pairs: pd.DataFrame, side: str, several_rois: bool) -> pd.Series:
    """Name the models of one side of each pair."""
    names = pairs[[f"model_{side}", f"feature_{side}"]].astype(str).agg(" · ".join, axis=1)
    return names + (" · " + pairs["roi"].astype(str) if several_rois else "")


def _with_best(pairs: pd.DataFrame, compared: pd.DataFrame) -> pd.DataFrame:
    """Keep the pairs of which one model is the best of its comparison."""
    candidates = compared[[("a" in letters) for letters in compared["ties"]]]
    best = [best_first(part).index[0] for _, part in candidates.groupby(key_of(candidates, SAME), sort=False)]
    keys = set(key_of(candidates.loc[best], [*SAME, *MODEL]))
    first, second = (key_of(pairs, [*SAME, *(f"{name}_{side}" for name in MODEL)]).isin(keys) for side in ("a", "b"))
    return pairs[first | second]
