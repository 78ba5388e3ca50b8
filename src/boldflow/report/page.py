"""The report of a study: one HTML page, made from tables and figures, that opens without a network."""

import base64
import math
import re
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from boldflow.artifacts.store.comparisons import MODEL, SAME
from boldflow.artifacts.store.leaderboard import LOWER_IS_BETTER
from boldflow.core.scores.comparison import OVER_SEEDS, compared_seeds, key_of, tie_letters
from boldflow.drawing.figure_style import metric_label

MISSING = "\N{EN DASH}"
SIMULATED = "SIMULATED"
PARTLY = "PARTLY SIMULATED"
PARTS = ("train", "val", "test", "drop")
RANKS = ("mean_rank", "median_rank", "sd_rank")
MANY = 20  # duplicate groups listed by name
FLAT = 40  # rows of one table; more of them are folded by subject or by metric
HEAD = 15  # best rows of a subject that are not folded away
FEW_PAIRS = 60  # pairs of models listed whole; of more, those with a best model
MANY_RUNS = 12  # results of a study that are listed openly
NAMED = 3  # models named as tied with the best
URL = re.compile(r"https?://[^\s<>\"')\]]*[^\s<>\"')\].,;]")
CSS_DPI, FIGURE_DPI = 96, 160
PNG = b"\x89PNG\r\n\x1a\n"
# columns that are shown only where they say something: where rows differ, or where any has a value
IF_VARIED = ("dataset", "response", "direction", "split", "seed", "fold")
IF_GIVEN = ("roi", "ceiling", "gallery_size", "p", "published_value", "ties")
HEADINGS = {
    "dataset": "Data set",
    "subject": "Subject",
    "response": "Response",
    "roi": "ROI",
    "direction": "Direction",
    "feature": "Feature",
    "model": "Model",
    "seed": "Seed",
    "split": "Split",
    "fold": "Fold",
    "metric": "Metric",
    "view": "View",
    "score": "Value [95 % interval]",
    "ties": "Ties",
    "beyond": "Against chance",
    "chance": "Chance",
    "ceiling": "Noise ceiling",
    "p": "p",
    "n_test_images": "Test images or blocks",
    "n_repeats_averaged": "Repeats averaged",
    "gallery": "Gallery",
    "gallery_size": "Gallery size",
    "transductive": "Transductive",
    "protocol": "Protocol",
    "published_value": "Published",
}
NUMERIC = ("score", "chance", "ceiling", "p", "n_test_images", "n_repeats_averaged", "gallery_size", "published_value")
HEADLINE = [
    *["model", "feature", "direction", "subject", "dataset", "response", "roi", "split", "seed", "fold", "score"],
    *[
        "ties",
        "chance",
        "beyond",
        "ceiling",
        "p",
        "n_test_images",
        "n_repeats_averaged",
        "gallery_size",
        "transductive",
    ],
    *["protocol", "published_value"],
]
OF_SUBJECT = [name for name in HEADLINE if name not in ("subject", "dataset", "response")]
DETAIL = [
    *["metric", "view", "model", "feature", "roi", "response", "split", "seed", "fold", "score", "ties", "chance"],
    *[
        "ceiling",
        "p",
        "n_test_images",
        "n_repeats_averaged",
        "gallery",
        "gallery_size",
        "transductive",
        "protocol",
        "published_value",
    ],
]
DIRECTIONS = {"decode": "Decoding", "encode": "Encoding", "represent": "Representation"}
RESULT = ["dataset", "response", "direction", "feature", "model", "split", "protocol"]
DIGESTS = ["code_digest", "config_digest", "data_digest"]
UNITS = {"1": "", "percent": " %"}


@dataclass(frozen=True)
class Table:
    """A table of the page; each row's first cell heads the row. ``mark`` is empty, SIMULATED or PARTLY SIMULATED."""

    caption: str
    columns: list[str]
    rows: list[list[str]]
    numeric: frozenset[int] = frozenset()
    mark: str = ""


@dataclass(frozen=True)
class Fold:
    """Tables behind one line; ``rest`` is folded once more within; ``shown`` where the page opens it at first."""

    summary: str
    tables: list[Table]
    mark: str = ""
    shown: bool = False
    rest: "Fold | None" = None


def render_page(
    study: Mapping[str, Any],
    leaderboard: pd.DataFrame,
    figures: Sequence[Mapping[str, Any]],
    costs: pd.DataFrame,
    provenance: Mapping[str, Any],
    comparisons: pd.DataFrame | None = None,
    published: pd.DataFrame | None = None,
    separations: pd.DataFrame | None = None,
    matches: pd.DataFrame | None = None,
) -> str:
    """Write the report.

    Parameters
    ----------
    study : mapping
        ``name``, ``title``, ``primary`` ({metric, view}) and, if given, ``description``.
    leaderboard : DataFrame
        Columns of ``artifacts.leaderboard.COLUMNS``; rows keep their order.
    figures : sequence of mappings
        ``name``, ``title``, ``caption``, ``png`` (bytes), ``simulated`` (bool).
    costs : DataFrame
        rule, job, seconds (wall), max_rss_mb (MB); may be empty.
    provenance : mapping
        All keys may be left out. ``datasets``: list of {name, version, licence, citation, origin, commit,
        simulated}. ``splits``: list of {dataset, rule (with its name), unit, counts {folds, trials {subject: {part:
        n}}, units {part: n}}, duplicate_groups (lists of image ids), grouped_by}. ``software``: {name: version}.
        ``code``: {what: digest}. ``notes``: list of str.
    comparisons : DataFrame, optional
        Columns of ``artifacts.comparisons.COLUMNS`` (pairs of models); ties are marked by letters, and pairs of the
        primary metric are listed.
    published : DataFrame, optional
        Text columns of ``artifacts.published.COLUMNS`` and ``reason``, empty where a figure stands beside one of ours.
    matches : DataFrame, optional
        Units that are found again in other codes: columns of ``stages.match.COLUMNS``.
    separations : DataFrame, optional
        What codes of models say of a class of pictures: columns of ``stages.latents.SEPARATION``, and q, n_subjects.

    Returns
    -------
    str
        HTML that refers to nothing outside itself; equal input gives equal text.

    Raises
    ------
    ValueError
        If no row has the study's primary metric, or a figure is not a PNG.
    """
    metric, view = study["primary"]["metric"], study["primary"]["view"]
    leaderboard = leaderboard.assign(ties=_ties(leaderboard, comparisons))
    named = (leaderboard["metric"] == metric) & (leaderboard["view"] == view)
    headline = leaderboard[named & (leaderboard["gallery"].isna() | (leaderboard["gallery"] == "test"))]
    if headline.empty:
        raise ValueError(f"report of {study['name']}: no row has the primary metric {metric} ({view})")
    compared = _as_compared(headline, comparisons)
    text = resources.files("boldflow.report").joinpath("template.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    shown = [_figure(one) for one in figures]
    simulated = bool(leaderboard["simulated"].fillna(False).any()) or any(one["mark"] for one in shown)
    return environment.from_string(text).render(
        study=study,
        metric=metric_label(metric),
        metric_name=metric,
        view=view,
        lower=metric in LOWER_IS_BETTER,
        simulated=simulated,
        wholly=bool(leaderboard["simulated"].fillna(False).all()),
        n_subjects=len(leaderboard[["dataset", "subject"]].drop_duplicates()),
        methods=sorted(headline["ci_method"].dropna().unique()),
        best=_leaders(compared),
        headline=_headline(f"{metric_label(metric)}, {view} view", headline),
        tied=bool(headline["ties"].ne("").any()),
        differences=_differences(comparisons, compared),
        published=_elsewhere(published),
        separation=_separation(separations),
        matches=_matches(matches),
        n_beside=int(leaderboard["published_value"].notna().sum()),
        figures=shown,
        runs=_runs(leaderboard),
        dataset_table=_datasets(provenance.get("datasets", [])),
        split_tables=_splits(provenance.get("splits", []), _simulated_datasets(leaderboard, provenance)),
        duplicates=_duplicates(provenance.get("splits", [])),
        subject_tables=[
            {
                "summary": f"{_text(subject)} of {_text(dataset)}",
                "mark": _mark(part["simulated"]),
                "directions": [
                    _details(f"{DIRECTIONS.get(direction, direction)} scores of {subject} ({dataset})", rows)
                    for direction, rows in part.groupby("direction", sort=True)
                ],
            }
            for (dataset, subject), part in leaderboard.groupby(["dataset", "subject"], sort=True)
        ],
        digest_table=_digests(leaderboard),
        software_table=_pairs("Versions of software", "Package", "Version", provenance.get("software", {})),
        code_table=_pairs("Digests of code", "Part", "Digest", provenance.get("code", {})),
        notes=[_linked(note) for note in provenance.get("notes", [])],
        cost_table=_costs(costs),
        job_table=_jobs(costs),
        missing=MISSING,
    )


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def _text(value: Any) -> str:
    return MISSING if _is_missing(value) or str(value) == "" else str(value)


def _number(value: Any, form: str = ".3f") -> str:
    if _is_missing(value):
        return MISSING
    text = format(float(value), form)
    unsigned = text.lstrip("-")
    return ("\N{MINUS SIGN}" if text.startswith("-") and float(unsigned) != 0 else "") + unsigned


def _linked(value: Any) -> str:
    """Escape text and make its addresses anchors."""
    text, parts, end = _text(value), [], 0
    for match in URL.finditer(text):
        parts += [Markup.escape(text[end : match.start()])]
        parts += [Markup('<a href="{0}" rel="noreferrer">{0}</a>').format(match.group())]
        end = match.end()
    return Markup("").join([*parts, Markup.escape(text[end:])])


def _mark(simulated: Iterable[Any]) -> str:
    """Say whether none, all or some rows are simulated."""
    flags = [bool(flag) for flag in simulated if not _is_missing(flag)]
    if not any(flags):
        return ""
    return SIMULATED if all(flags) else PARTLY


def _form(metric: str) -> str:
    return ".2f" if metric in RANKS else ".3f"


def _score(row: Mapping[str, Any]) -> str:
    form = _form(row["metric"])
    value = _number(row["value"], form)
    if _is_missing(row["ci_low"]) or _is_missing(row["ci_high"]):
        return value
    return f"{value} [{_number(row['ci_low'], form)}, {_number(row['ci_high'], form)}]"


def _beyond(row: Mapping[str, Any]) -> str:
    """Say whether the interval lies beyond chance; one that ends on it is undecided."""
    low, high, chance = (row[name] for name in ("ci_low", "ci_high", "chance"))
    if _is_missing(low) or _is_missing(high) or _is_missing(chance):
        return MISSING
    small = 1e-9
    if low - small <= chance <= high + small:
        return "undecided"
    return "better" if (low > chance) != (row["metric"] in LOWER_IS_BETTER) else "worse"


def _p(row: Mapping[str, Any]) -> str:
    if _is_missing(row["p"]):
        return MISSING
    kind = "" if _is_missing(row["p_kind"]) else f" ({row['p_kind']})"
    return _number(row["p"], ".4f") + kind


def _published(row: Mapping[str, Any]) -> str:
    source = "" if _is_missing(row["published_source"]) else f": {row['published_source']}"
    source = f" (published{source})"
    return MISSING if _is_missing(row["published_value"]) else _number(row["published_value"]) + source


CELLS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "score": _score,
    "beyond": _beyond,
    "p": _p,
    "published_value": _published,
    "metric": lambda row: metric_label(row["metric"]),
    "chance": lambda row: _number(row["chance"], _form(row["metric"])),
    "ceiling": lambda row: _number(row["ceiling"], _form(row["metric"])),
    "n_repeats_averaged": lambda row: _number(row["n_repeats_averaged"], ".3g"),
    "dataset": lambda row: _named(row["dataset"], row["simulated"]),
}


def _named(dataset: Any, simulated: Any) -> str:
    return f"{_text(dataset)} ({SIMULATED})" if not _is_missing(simulated) and simulated else _text(dataset)


def _scores(caption: str, part: pd.DataFrame, columns: list[str]) -> Table:
    """Make a table of scores, without columns that would say nothing."""
    shown = [
        name
        for name in columns
        if not (name in IF_VARIED and part[name].nunique(dropna=False) < 2)
        and not (name in IF_GIVEN and part[name].replace("", pd.NA).isna().all())
    ]
    rows = [
        [CELLS[name](row) if name in CELLS else _text(row[name]) for name in shown] for row in part.to_dict("records")
    ]
    numeric = frozenset(n for n, name in enumerate(shown) if name in NUMERIC)
    return Table(caption, [HEADINGS[name] for name in shown], rows, numeric, _mark(part["simulated"]))


def _ties(leaderboard: pd.DataFrame, comparisons: pd.DataFrame | None) -> pd.Series:
    """Letters of ties of every row; empty where there are no comparisons."""
    if comparisons is None:
        return pd.Series("", index=leaderboard.index, dtype=object)
    return tie_letters(leaderboard, comparisons, SAME, MODEL, LOWER_IS_BETTER)


def _as_compared(headline: pd.DataFrame, comparisons: pd.DataFrame | None) -> pd.DataFrame:
    """One row per model of a comparison: of several seeds their mean, which has no interval of its own."""
    if comparisons is None:
        return headline
    known = headline.assign(seed=compared_seeds(headline, comparisons, SAME))
    names = [*SAME, *MODEL]
    several = known.duplicated(names, keep=False)
    means = known["value"].groupby(key_of(known, names)).transform("mean")
    found = known.assign(value=known["value"].mask(several, means))
    return found.assign(**{name: found[name].mask(several) for name in ("ci_low", "ci_high")}).drop_duplicates(names)


def _title(row: Mapping[str, Any]) -> str:
    """Name a model with its feature."""
    named = (row["model"], row["feature"])
    return " · ".join(str(name) for name in named if not _is_missing(name) and name != "none")


def _sorted(part: pd.DataFrame) -> pd.DataFrame:
    """Best first; what is undefined last."""
    lower = part["metric"].iloc[0] in LOWER_IS_BETTER
    return part.sort_values("value", ascending=lower, kind="stable", na_position="last")


def _leaders(headline: pd.DataFrame) -> Table | None:
    """One row per comparison of several models: the best one, and those tied with it."""
    rows, simulated = [], []
    parts = [part for _, part in headline.groupby(key_of(headline, SAME), sort=False) if len(part) > 1]
    varied = [n for n in ("dataset", "direction", "roi", "split", "seed", "fold") if len(headline[n].unique()) > 1]
    for part in parts:
        best = _sorted(part).iloc[0]
        if _is_missing(best["value"]):
            continue
        others = part.drop(index=best.name)
        tied = others[[bool(set(best["ties"]) & set(letters)) for letters in others["ties"]]]
        names = [_title(one) for one in tied.to_dict("records")]
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        verdict = (", ".join(names[:NAMED]) + more or "none: better than all") if best["ties"] else "not compared"
        given = [_named(best[n], best["simulated"]) if n == "dataset" else _text(best[n]) for n in varied]
        numbers = [_score(best), *(CELLS[name](best) for name in ("chance", "ceiling"))]
        rows.append([_text(best["subject"]), *given, str(len(part)), _title(best), *numbers, verdict])
        simulated.append(best["simulated"])
    if not rows:
        return None
    heads = ["Subject", *(HEADINGS[name] for name in varied), "Models", "Best", HEADINGS["score"], "Chance"]
    k = len(varied)
    columns = [*heads, HEADINGS["ceiling"], "Tied with the best"]
    return Table(
        "The best model of each subject", columns, rows, frozenset({k + 1, k + 3, k + 4, k + 5}), _mark(simulated)
    )


def _headline(caption: str, headline: pd.DataFrame) -> list[Fold]:
    """All rows of the primary metric: one table, or a fold per subject and response where there are many."""
    if len(headline) <= FLAT:
        return [Fold("", [_scores(caption, headline, HEADLINE)])]
    folds: list[Fold] = []
    for (dataset, subject, response), part in headline.groupby(
        ["dataset", "subject", "response"], sort=True, dropna=False
    ):
        ordered = _sorted(part)
        best = ordered.iloc[0]
        who = f"{_text(subject)} of {_text(dataset)}, {_text(response)}"
        rest = None
        if len(ordered) > HEAD + 5:
            below = f"{len(ordered) - HEAD} more rows of {_text(subject)}"
            rest = Fold(below, [_scores(f"{caption}: {who}, the rest", ordered.iloc[HEAD:], OF_SUBJECT)])
            ordered = ordered.iloc[:HEAD]
        summary = f"{who}: {len(part)} rows, best {_title(best)} {_score(best)}"
        table = _scores(f"{caption}: {who}, best first", ordered, OF_SUBJECT)
        folds.append(Fold(summary, [table], _mark(part["simulated"]), not folds, rest))
    return folds


def _details(caption: str, part: pd.DataFrame) -> list[Fold]:
    """All scores of a subject: one table, or a fold per metric and view where there are many."""
    if len(part) <= FLAT:
        return [Fold("", [_scores(caption, part, DETAIL)])]
    groups = list(part.groupby(["metric", "view"], sort=False))
    return [
        Fold(
            f"{metric_label(metric)}, {view} view: {len(rows)} rows",
            [_scores(f"{caption}: {metric_label(metric)}, {view} view, best first", _sorted(rows), DETAIL)],
            _mark(rows["simulated"]),
        )
        for (metric, view), rows in groups
    ]


def _differences(comparisons: pd.DataFrame | None, compared: pd.DataFrame) -> dict[str, Any] | None:
    """One row per pair of models of a subject, for the primary metric; of many pairs those with a best model."""
    if comparisons is None or not comparisons["primary"].fillna(False).any():
        return None
    part = comparisons[comparisons["primary"].fillna(False).astype(bool)]
    total, only_best = len(part), len(part) > FEW_PAIRS
    sides = {}
    for side in ("a", "b"):
        names = part[[f"model_{side}", f"feature_{side}"]].astype(str).agg(" · ".join, axis=1)
        sides[side] = names + (" · " + part["roi"].astype(str) if len(set(part["roi"].dropna())) > 1 else "")
    if only_best:
        leaders = compared[[("a" in letters) for letters in compared["ties"]]]
        leaders = leaders.loc[_best_index(leaders)]
        told = set(key_of(leaders, [*SAME, *MODEL]))
        with_best = [key_of(part, [*SAME, *(f"{name}_{side}" for name in MODEL)]).isin(told) for side in ("a", "b")]
        keep = with_best[0] | with_best[1]
        part, sides = part[keep], {side: names[keep] for side, names in sides.items()}
    rows = [
        [
            _text(one.subject),
            first,
            second,
            f"{_number(one.difference)} [{_number(one.ci_low)}, {_number(one.ci_high)}]",
            _number(one.p_holm) if one.p_holm >= 0.0005 else "below 0.001",
            "tied" if one.tied else "different",
        ]
        for one, first, second in zip(part.itertuples(), sides["a"], sides["b"], strict=True)
    ]
    columns = ["Subject", "Model", "Other model", "Difference [95 % paired]", "p (Holm)", "Verdict"]
    means = " Means over seeds where there are several." if part["seed"].eq(OVER_SEEDS).any() else ""
    caption = "Do two models differ?" + means + (" Pairs with the best model of each subject" if only_best else "")
    table = Table(caption, columns, rows, frozenset({3, 4}), _mark(part["simulated"]))
    return {"table": table, "total": total, "only_best": only_best}


def _best_index(rows: pd.DataFrame) -> list[Any]:
    """Index of the best row of each comparison."""
    return [_sorted(part).index[0] for _, part in rows.groupby(key_of(rows, SAME), sort=False)]


def _elsewhere(published: pd.DataFrame | None) -> list[Fold] | None:
    """Published figures that stand beside none of ours, a fold per system, metric and reason's kind."""
    if published is None:
        return None
    apart = published[published["reason"].ne("")]
    folds = []
    for (system, metric, view), part in apart.groupby(["system", "metric", "view"], sort=False):
        rows = [
            [
                *(one[name] or MISSING for name in ("model", "dataset", "subject", "roi", "split")),
                str(one["value"]) + UNITS.get(one["unit"], ""),
                *(one[name] or MISSING for name in ("reason", "source", "note")),
            ]
            for one in part.to_dict("records")
        ]
        columns = ["Model", "Data set", "Subject", "ROI", "Split", "Published", "Why not beside ours", "Source", "Note"]
        label = f"{metric_label(metric)}, {view} view"
        caption = f"Published by others, not comparable with ours: {system}, {label}"
        folds.append(
            Fold(f"{system}: {label}, {len(part)} published figures", [Table(caption, columns, rows, frozenset({5}))])
        )
    return folds


def _separation(table: pd.DataFrame | None) -> dict[str, Any] | None:
    """What codes say of a class: a row per subject and model, our test and the published one side by side."""
    if table is None or table.empty:
        return None
    varied = [name for name in ("dataset", "response", "split", "seed") if len(table[name].unique()) > 1]
    keys = ["dataset", "subject", "response", "feature", "model", "split", "seed"]
    rows = []
    for _, part in table.groupby(keys, sort=False):
        tests = {(one["metric"], one["protocol"]): one for one in part.to_dict("records")}
        ours, lengths = tests["auc", "mended"], [tests["norm_p", name] for name in ("published", "mended")]
        rows.append(
            [
                _text(ours["subject"]),
                _text(ours["model"]),
                *(_text(ours[name]) for name in varied),
                _text(ours["n_latents"]),
                f"{_number(ours['value'])} [{_number(ours['ci_low'])}, {_number(ours['ci_high'])}]",
                *(_number(ours[name], ".4f") for name in ("p", "q")),
                *(_number(one["p"], ".2g") for one in lengths),
                f"{ours['n_class_images']} of {ours['n_test_images']}",
            ]
        )
    heads = ["Subject", "Model", *(HEADINGS[name] for name in varied), "Latents", "AUC, held out [95 % interval]", "p"]
    heads += ["q over subjects", "p of lengths, classes scaled apart (published)", "p of lengths, scaled together"]
    heads += ["Held-out images in the class"]
    one = table.iloc[0]
    named = f"{one['label']} {one['class']} against {one['against']}"
    k = len(varied)
    content = Table(f"Codes: {named}", heads, rows, frozenset(range(2 + k, 9 + k)), _mark(table["simulated"]))
    return {"table": content, "named": named, "n_permutations": int(table["n_permutations"].fillna(0).max())}


def _matches(table: pd.DataFrame | None) -> Table | None:
    """How well units go together in other codes: a row per pair of codes."""
    if table is None or table.empty:
        return None
    own = ["subject", "response", "feature", "model"]
    keys = ["dataset", *(f"{name}_{side}" for side in ("a", "b") for name in own)]
    rows = []
    for key, part in table.groupby(keys, sort=False):
        named = dict(zip(keys, key, strict=True))
        sides = [[named[f"{name}_{side}"] for name in own] for side in ("a", "b")]
        titles = [" · ".join(str(name) for name in side if name != "none") for side in sides]
        one, p = part.iloc[0], part["p"].iloc[0]
        numbers = [_number(part["r"].mean()), _number(one["stability"]), _number(p, ".4f")]
        pictures = f"{one['n_matching']} and {one['n_held_out']}"
        rows.append([*titles, _text(named["dataset"]), str(len(part)), *numbers, pictures])
    heads = ["Code", "Other code", "Data set", "Pairs of units", "Mean r, matched", "Mean r, held out", "p", "Pictures"]
    return Table("Units that are found again", heads, rows, frozenset(range(3, 8)), _mark(table["simulated"]))


def _runs(leaderboard: pd.DataFrame) -> Fold:
    """One row per result, with its subjects and seeds."""
    rows = []
    for key, part in leaderboard.groupby(RESULT, sort=False, dropna=False):
        named = dict(zip(RESULT, key, strict=True))
        subjects, seeds = (sorted(part[name].dropna().astype(str).unique()) for name in ("subject", "seed"))
        rows.append(
            [
                *(_text(named[name]) for name in ("model", "direction", "feature", "response")),
                _named(named["dataset"], part["simulated"].iloc[0]),
                *(", ".join(names) or MISSING for names in (subjects, seeds)),
                *(_text(named[name]) for name in ("split", "protocol")),
            ]
        )
    columns = ["Model", "Direction", "Feature", "Response", "Data set", "Subjects", "Seeds", "Split", "Protocol"]
    caption, mark = "Models that were trained and scored", _mark(leaderboard["simulated"])
    summary = f"{len(rows)} models were trained and scored" if len(rows) > MANY_RUNS else ""
    return Fold(summary, [Table(caption, columns, rows, mark=mark)], mark)


def _datasets(datasets: Sequence[Mapping[str, Any]]) -> Table:
    rows = []
    for one in datasets:
        plain = [_text(one.get("name")), "simulated" if one.get("simulated") else "measured", _text(one.get("version"))]
        rows.append(
            [*plain, *(_linked(one.get(key)) for key in ("licence", "citation", "origin")), _text(one.get("commit"))]
        )
    columns = ["Data set", "Kind", "Version", "Licence", "Citation", "Origin", "Commit"]
    return Table("Data sets", columns, rows, mark=_mark(bool(one.get("simulated")) for one in datasets))


def _simulated_datasets(leaderboard: pd.DataFrame, provenance: Mapping[str, Any]) -> set[str]:
    flagged = leaderboard.loc[leaderboard["simulated"].fillna(False).astype(bool), "dataset"]
    return {str(name) for name in flagged} | {
        str(one.get("name")) for one in provenance.get("datasets", []) if one.get("simulated")
    }


def _split_name(split: Mapping[str, Any]) -> str:
    return _text(split.get("split") or split.get("rule", {}).get("name"))


def _splits(splits: Sequence[Mapping[str, Any]], simulated: set[str]) -> list[Table]:
    """Say how each split was made, and count trials by subject and part."""
    if not splits:
        return []
    rules, trials = [], []
    for one in splits:
        counts = one.get("counts", {})
        name, dataset = _split_name(one), _named(one.get("dataset"), one.get("dataset") in simulated)
        units = counts.get("units", {})
        rule = "; ".join(f"{key}: {value}" for key, value in sorted(one.get("rule", {}).items()) if key != "name")
        rules.append(
            [
                *(name, dataset, _text(rule), _text(one.get("unit")), _text(counts.get("folds"))),
                *(str(units.get(part, 0)) for part in PARTS),
                str(len(one.get("duplicate_groups", []))),
                ", ".join(one.get("grouped_by", [])) or MISSING,
            ]
        )
        for subject, parts in counts.get("trials", {}).items():
            trials.append([subject, dataset, name, *(str(parts.get(part, 0)) for part in PARTS)])
    mark = _mark(one.get("dataset") in simulated for one in splits)
    heads = ["Split", "Data set", "Rule", "Unit", "Folds", *(f"Units: {part}" for part in PARTS)]
    heads += ["Duplicate groups", "Duplicates found by"]
    count_heads = ["Subject", "Data set", "Split", *(f"Trials: {part}" for part in PARTS)]
    return [
        Table(
            "Splits: no unit (an image with its duplicates, or a run) is on both sides",
            heads,
            rules,
            frozenset(range(4, 10)),
            mark,
        ),
        Table("Trials in each part, summed over folds", count_heads, trials, frozenset(range(3, 7)), mark),
    ]


def _duplicates(splits: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """List groups of duplicates, the first ones by name."""
    found = []
    for one in splits:
        groups = one.get("duplicate_groups", [])
        if groups:
            found.append(
                {
                    "summary": f"{len(groups)} duplicate groups of {_text(one.get('dataset'))}, {_split_name(one)}",
                    "groups": [", ".join(map(str, group)) for group in groups[:MANY]],
                    "more": max(0, len(groups) - MANY),
                }
            )
    return found


def _digests(leaderboard: pd.DataFrame) -> Table:
    names = ["model", "feature", "response", "dataset", "subject", "split"]
    table = leaderboard[[*names, *DIGESTS, "simulated"]].drop_duplicates()
    rows = [
        [_named(row[name], row["simulated"]) if name == "dataset" else _text(row[name]) for name in [*names, *DIGESTS]]
        for row in table.to_dict("records")
    ]
    columns = [*(HEADINGS[name] for name in names), "Code", "Settings", "Data"]
    return Table("What each result was made from (digests)", columns, rows, mark=_mark(table["simulated"]))


def _pairs(caption: str, first: str, second: str, content: Mapping[str, Any]) -> Table:
    return Table(caption, [first, second], [[str(key), _text(value)] for key, value in sorted(content.items())])


def _seconds(value: float) -> str:
    if _is_missing(value):
        return MISSING
    if value < 99.95:
        return f"{value:.1f} s"
    minutes, seconds = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds:02d} s"


def _costs(costs: pd.DataFrame) -> Table:
    """Sum up the jobs of each rule."""
    rows = [
        [
            str(rule),
            str(len(part)),
            *(_seconds(float(value)) for value in (part["seconds"].sum(), part["seconds"].max())),
            _number(part["max_rss_mb"].max(), ".0f"),
        ]
        for rule, part in costs.groupby("rule", sort=True)
    ]
    if rows:
        total, most = float(costs["seconds"].sum()), costs["max_rss_mb"].max()
        rows.append(
            ["all rules", str(len(costs)), _seconds(total), _seconds(costs["seconds"].max()), _number(most, ".0f")]
        )
    columns = ["Rule", "Jobs", "Time, summed", "Longest job", "Most memory (MB)"]
    return Table("Costs by rule", columns, rows, frozenset(range(1, 5)))


def _jobs(costs: pd.DataFrame) -> Table:
    ordered = costs.sort_values(["rule", "job"], kind="stable").to_dict("records")
    rows = [
        [row["job"], row["rule"], _seconds(float(row["seconds"])), _number(row["max_rss_mb"], ".0f")] for row in ordered
    ]
    return Table("Costs of each job", ["Job", "Rule", "Time", "Memory (MB)"], rows, frozenset({2, 3}))


def _figure(figure: Mapping[str, Any]) -> dict[str, Any]:
    png = figure["png"]
    if not png.startswith(PNG) or len(png) < 24:
        raise ValueError(f"figure {figure['name']}: expected the bytes of a PNG, found {png[:8]!r}")
    wide, high = struct.unpack(">II", png[16:24])
    scale = CSS_DPI / FIGURE_DPI
    mark = SIMULATED if figure["simulated"] else ""
    return {
        "name": figure["name"],
        "title": figure["title"],
        "caption": figure["caption"],
        "alt": f"{f'{mark}. ' if mark else ''}{figure['title']}. {figure['caption']}",
        "mark": mark,
        "source": "data:image/png;base64," + base64.b64encode(png).decode("ascii"),
        "width": round(wide * scale),
        "height": round(high * scale),
    }
