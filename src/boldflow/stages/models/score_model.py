"""Scores of one model on its subject, or on each of several: intervals, chance, ceiling, and p by permutation."""

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from boldflow import registry
from boldflow.artifacts.store import arrays, leaderboard, sidecars, tables
from boldflow.artifacts.store import weights as weight_files
from boldflow.core.averaging import average_by, average_over_subjects
from boldflow.core.compute import fixed_threads
from boldflow.core.linear.scaling import ScaledRows
from boldflow.core.records.test_sets import TestSet
from boldflow.core.records.training import State
from boldflow.core.scores import statistics
from boldflow.core.scores.reconstruction import ReconstructionScorer, code_measures
from boldflow.core.scores.scoring import (
    BATCHES,
    BOOTSTRAP_SEED,
    N_NEAREST,
    ClassScorer,
    EncodingScorer,
    Measure,
    RetrievalScorer,
)
from boldflow.provenance import canonical, digest
from boldflow.registry import plugin_of
from boldflow.settings import read_settings
from boldflow.stages._aligned import Aligned, align_all, regions_of, smallest_region, test_set
from boldflow.stages.models._bands import COLUMNS as BANDS
from boldflow.stages.models._bands import map_columns, partition, region_rows
from boldflow.stages.models._codes import codes_of, in_training_scale
from boldflow.stages.models._null import null_values, rescored_values
from boldflow.vocabulary.metrics import has_order, lower_is_better
from boldflow.vocabulary.results import NONE, pooled_name

KEYS = ["dataset", "subject", "response", "feature", "model", "split"]
NCSNR = "published_ncsnr"  # of each vertex, where the data set publishes it
MAP = ["space", "hemisphere", "vertex", "r", "r2", "ceiling", "signal_var", "noise_var", "roi"]
PLACES = [f"{what}_{n + 1}" for what in ("nearest", "score") for n in range(N_NEAREST)]
QUERIES = ["seed", "fold", "image_id", "rank", "gallery_size", *PLACES]
Row = dict[str, Any]
Scorer = ClassScorer | RetrievalScorer | EncodingScorer | ReconstructionScorer


@dataclass(frozen=True)
class Scored:
    """What was found of one subject: rows of scores with their draws, and the tables beside them."""

    rows: list[Row]
    draws: list[np.ndarray]
    vertex_map: pd.DataFrame
    queries: pd.DataFrame
    bands: pd.DataFrame


def run(
    predictions: str,
    weights: str,
    config: str,
    responses: list[str],
    vertices: list[str],
    features: str | list[str],
    index: str | list[str],
    trials: list[str],
    split: str,
    scores: str,
    draws: str,
    vertex_map: str,
    queries: str,
    bands: str,
    subjects: str,
    names: str,
    facts: str,
    n_draws: int,
    code: str,
) -> None:
    """Score predictions of the test trials.

    Parameters
    ----------
    responses, vertices, trials : paths to read, one of each per subject
    predictions, weights, config, features, index, split : paths to read; nothing for features and index where the
        model sees only responses
    scores : path of the Parquet to write, tidy rows. Of pooled subjects each has its own, with the model named
        as of ``pooled_name``; where pictures are retrieved the view ``subjects`` averages predictions of a
        picture over those who saw it
    draws : path of the .npy to write, (n_rows, n_draws) float32: each row's score in each bootstrap draw (its value
        where it has no interval); draw d holds the same pictures for every model of the subject
    vertex_map, queries : paths of the Parquet files to write: a row per vertex (encoders); a row per test picture
        (retrieval)
    bands : path of the Parquet to write: a row per region and joined feature, what that explains (encoders that tell
        the bands of their inputs apart; columns as of ``stages._bands``)
    subjects : names of the subjects in the order of their files, JSON text
    names : wildcards of the result, JSON text
    facts : facts of the data set's plug-in, JSON text
    n_draws : draws of the bootstrap
    code : digests of the modules of this stage and the model's plug-in, JSON text
    """
    who, known, model = read_settings(names), read_settings(facts), sidecars.read(config)
    everyone: list[str] = json.loads(subjects)
    aligned = align_all(responses, features, index, trials, split, everyone)
    if not responses:  # codes of features: nobody's, and without places
        everyone, vertices = [NONE], [""]
    tests = [test_set(data, known["images"]) for data in aligned]
    predicted = arrays.read(predictions, ndim=3)
    ends = np.cumsum([len(rows) for _, _, rows in tests])
    if predicted.shape[1] != ends[-1]:
        raise ValueError(f"{predictions} has {predicted.shape[1]} test trials, the split {ends[-1]}")
    given = np.split(predicted, ends[:-1], axis=1)
    pooled = len(everyone) > 1
    if pooled:
        who = {**who, "model": pooled_name(who["model"]), "pooled": True}
    found = []
    with fixed_threads(1):  # small products: two threads wait for each other more than they work
        for number, subject in enumerate(everyone):
            own = {**who, "subject": subject}
            files = (weights, vertices[number])
            found.append(_score(given[number], aligned[number], tests[number], own, known, model, files, n_draws, code))
        if pooled and model["settings"]["direction"] == "decode" and model["feature_kind"] != "classes":
            found.append(_over_subjects(given, aligned, tests, weights, who, known, model, n_draws, code))
    note = {"code": code, "data": found[0].rows[0]["data_digest"], "units": {"value": "see metric"}}
    tables.write(scores, leaderboard.tidy([row for one in found for row in one.rows]), note)
    arrays.write(draws, np.nan_to_num(np.stack([d for one in found for d in one.draws])).astype(np.float32))
    for path, name in ((vertex_map, "vertex_map"), (bands, "bands"), (queries, "queries")):
        parts: list[pd.DataFrame] = [getattr(one, name) for one in found]
        whole = [part for part in parts if len(part)] or parts[:1]
        tables.write(path, pd.concat(whole, ignore_index=True), note)


def _score(
    predicted: np.ndarray,
    data: Aligned,
    tested: tuple[TestSet, np.ndarray, np.ndarray],
    who: Row,
    known: Row,
    model: Row,
    files: tuple[str, str],
    n_draws: int,
    code: str,
) -> Scored:
    """Score one subject's test trials; ``files`` are the model's weights and the subject's vertices."""
    (test, image_id, rows), (weights, vertices) = tested, files
    about = _about(who, known, model, code)
    unit = "images" if known["images"] else "blocks"
    found: list[Row] = []
    drawn: list[np.ndarray] = []
    asked: list[pd.DataFrame] = []
    mapped = pd.DataFrame(columns=MAP)
    shares: list[pd.DataFrame] = []
    scorer = _scorer(data, test, rows, weights, vertices, model)
    counts = statistics.bootstrap_counts(test.n_units, n_draws, BOOTSTRAP_SEED)
    for number, seed in enumerate(model["settings"]["seeds"]):
        given = np.asarray(predicted[number], dtype=np.float64)
        if isinstance(scorer, RetrievalScorer):
            given = in_training_scale(given, test.fold, weights)
            asked.append(_nearest(scorer, given, image_id).assign(seed=str(seed)))
        if isinstance(scorer, ReconstructionScorer):
            given = in_training_scale(given, test.fold, weights)
        if isinstance(scorer, EncodingScorer):
            mapped = _map(scorer, given, tables.read(vertices), model["space"])
            split_up = partition(plugin_of("models", model["settings"]), data, weights, seed, scorer, given)
            if split_up:
                mapped = mapped.assign(**map_columns(split_up, scorer))
                shares.append(region_rows(split_up, scorer, counts, seed, unit))
        measures = scorer.measure(given)
        if isinstance(scorer, ReconstructionScorer):
            plugin = plugin_of("models", model["settings"])
            codes = [codes_of(plugin, data, weights, fold, seed, "test")[1] for fold in range(data.n_folds)]
            measures += code_measures(codes, test)
        # a refit to one subject says nothing of a model of several
        alone = not (who.get("pooled") and _p_kind(model) == "refit")
        null = _null(given, data, test, rows, scorer, model, int(seed), known["images"]) if alone else None
        found += _rows(measures, {**about, "seed": str(seed)}, test, counts, unit, drawn, model, null)
    identity = {**{key: who[key] for key in KEYS}, "simulated": known["simulated"]}
    explained = pd.concat(shares, ignore_index=True) if shares else pd.DataFrame(columns=BANDS)
    questions = pd.concat(asked, ignore_index=True) if asked else pd.DataFrame(columns=QUERIES)
    beside = (mapped, questions[QUERIES], explained)
    return Scored(found, drawn, *(table.assign(**identity) for table in beside))


def _over_subjects(
    predicted: list[np.ndarray],
    aligned: list[Aligned],
    tests: list[tuple[TestSet, np.ndarray, np.ndarray]],
    weights: str,
    who: Row,
    known: Row,
    model: Row,
    n_draws: int,
    code: str,
) -> Scored:
    """Score predictions averaged over an image's repeats, then over who saw it, and over all its trials at once."""
    keys, pictures, units = [], [], []
    for data, (test, image_id, rows) in zip(aligned, tests, strict=True):
        first = np.unique(test.image, return_index=True)[1]
        unit = data.split.drop_duplicates("row").set_index("row")["unit"]
        keys.append(np.array([f"{fold:06d} {name}" for fold, name in zip(test.image_fold, image_id, strict=True)]))
        pictures.append(data.trials["picture"].to_numpy()[rows[first]])
        units.append(unit.loc[rows[first]].to_numpy())
    names, first = np.unique(np.concatenate(keys), return_index=True)
    fold, picture = np.array([int(name[:6]) for name in names]), np.concatenate(pictures)[first]
    image = np.arange(len(names))
    together = TestSet(fold, image, fold, np.asarray(pd.factorize(np.concatenate(units)[first])[0]))
    seen = [own[test.image] for own, (test, _, _) in zip(keys, tests, strict=True)]
    instance = np.unique(np.concatenate(seen), return_inverse=True)[1]  # picture of each trial
    scorer = replace(_retrieval(aligned[0], together, picture, weights), frequency=np.bincount(instance))
    counts = statistics.bootstrap_counts(together.n_units, n_draws, BOOTSTRAP_SEED)
    about = _about(who, known, model, code)
    n_trials = sum(len(test.image) for test, _, _ in tests) / len(names)
    found: list[Row] = []
    drawn: list[np.ndarray] = []
    for number, seed in enumerate(model["settings"]["seeds"]):
        scaled = [
            in_training_scale(np.asarray(given[number], dtype=np.float64), test.fold, weights)
            for given, (test, _, _) in zip(predicted, tests, strict=True)
        ]
        means = [average_by(own, t.image, t.n_images) for own, (t, _, _) in zip(scaled, tests, strict=True)]
        views = {"subjects": average_over_subjects(means, keys)[0]}
        views["instances"] = average_by(np.concatenate(scaled), instance, len(names))
        for view, averaged in views.items():
            # pictures are no batches of trials
            measures = [replace(one, view=view) for one in scorer.measure(averaged) if one.gallery != BATCHES]
            rows_ = _rows(measures, {**about, "seed": str(seed)}, together, counts, "images", drawn, model, None)
            found += [{**row, "n_repeats_averaged": n_trials} for row in rows_]
    empty = (pd.DataFrame(columns=MAP), pd.DataFrame(columns=QUERIES), pd.DataFrame(columns=BANDS))
    return Scored(found, drawn, *empty)


def _rows(
    measures: list[Measure],
    about: Row,
    test: TestSet,
    counts: np.ndarray,
    unit: str,
    drawn: list[np.ndarray],
    model: Row,
    null: np.ndarray | None,
) -> list[Row]:
    """Make the rows of one seed's scores, and add their bootstrap draws to ``drawn``."""
    left_out = 1 - np.eye(test.n_units)
    found = []
    for position, measure in enumerate(measures):
        own = measure.draw(counts) if measure.draw and measure.method == "bootstrap" else None
        drawn.append(np.full(counts.shape[0], np.nan_to_num(measure.value)) if own is None else own)
        row = {**about, "fold": "all", **_row(measure, test)}
        row |= _interval(measure, own, left_out, unit)
        found.append(row | _significance(measure, None if null is None else null[:, position], model))
    return found


def _about(who: Row, known: Row, model: Row, code: str) -> Row:
    """Columns that all rows of this result share."""
    sources = model["sources"]
    return {
        **{key: who[key] for key in KEYS},
        "dataset_version": known["version"],
        "direction": model["settings"]["direction"],
        "transductive": model["transductive"],
        "protocol": model["settings"]["protocol"],
        "simulated": known["simulated"],
        "code_digest": digest(canonical([*(note["code"] for note in sources), model["code"], code])),
        "config_digest": digest(canonical([*model["configs"], model["settings"]])),
        "data_digest": digest(canonical([note["data"] for note in sources])),
    }


def _scorer(data: Aligned, test: TestSet, rows: np.ndarray, weights: str, vertices: str, model: Row) -> Scorer:
    """Choose the scorer by direction and by the kind of feature."""
    picture = np.empty(test.n_images, dtype=int)
    picture[test.image] = data.trials["picture"].to_numpy()[rows]
    direction = model["settings"]["direction"]
    if direction != "decode":
        measured = np.asarray(arrays.rows(data.responses, rows), dtype=np.float64)
        places = tables.read(vertices) if vertices else pd.DataFrame(index=range(measured.shape[1]))
        if direction == "represent":
            return ReconstructionScorer(test, in_training_scale(measured, test.fold, weights), regions_of(places))
        ncsnr = places[NCSNR].to_numpy() if NCSNR in places else None
        return EncodingScorer(test, measured, regions_of(places), ncsnr)
    if model["feature_kind"] == "classes":
        classes = np.argmax(data.features[picture], axis=1)
        return ClassScorer(test, classes, data.features.shape[1])
    return _retrieval(data, test, picture, weights)


def _retrieval(data: Aligned, test: TestSet, picture: np.ndarray, weights: str) -> RetrievalScorer:
    """Make the scorer of decoded features; ``picture`` (n_images,): row of the features of each test image."""
    everything = [ScaledRows(data.features, _scaler(weights, fold)) for fold in range(data.n_folds)]
    targets = np.stack([everything[fold][row] for fold, row in zip(test.image_fold, picture, strict=True)])
    return RetrievalScorer(test, targets, everything, picture)


def _scaler(weights: str, fold: int) -> State:
    return weight_files.read(weights, f"fold{fold}/targets/")


def _null(
    predicted: np.ndarray,
    data: Aligned,
    test: TestSet,
    rows: np.ndarray,
    scorer: Scorer,
    model: Row,
    seed: int,
    has_images: bool,
) -> np.ndarray | None:
    """Scores under permuted labels, (n_permutations, n_scores), or None where the model has no p."""
    entry = model["settings"]
    if isinstance(scorer, ReconstructionScorer):
        return None  # there are no labels that could be permuted
    block = "part" if has_images else "run"
    kind = _p_kind(model)
    if kind == "refit":
        return null_values(plugin_of("models", entry), entry, data, test, rows, scorer, seed=seed, block=block)
    if kind == "rescore":
        return rescored_values(predicted, data, test, rows, scorer, entry["rescorings"], seed=seed, block=block)
    return None


def _p_kind(model: Row) -> str | None:
    """Refit where the fit is closed-form; elsewhere no p, unless the entry asks for re-scoring."""
    entry = model["settings"]
    if registry.literal("models", entry["plugin"], "FACTS")["closed_form"]:
        return "refit" if entry["permutations"] else None
    return "rescore" if entry["rescorings"] else None


def _significance(measure: Measure, null: np.ndarray | None, model: Row) -> Row:
    if null is None or not has_order(measure.metric):
        return {}
    p = statistics.permutation_p(measure.value, null, not lower_is_better(measure.metric))
    return {"p": p, "p_kind": _p_kind(model), "n_permutations": len(null)}


def _interval(measure: Measure, draws: np.ndarray | None, left_out: np.ndarray, unit: str) -> Row:
    """The 95 % interval of a score and how it was found."""
    if draws is not None:
        low, high = statistics.percentile_interval(draws)
        return {"ci_low": low, "ci_high": high, "ci_method": f"percentile bootstrap over {unit}"}
    if measure.draw is None or measure.method == "none" or len(left_out) < 4:
        return {}
    low, high = statistics.jackknife_interval(measure.value, measure.draw(left_out))
    return {"ci_low": low, "ci_high": high, "ci_method": f"jackknife over {unit}"}


def _row(measure: Measure, test: TestSet) -> Row:
    return {
        "view": measure.view,
        "metric": measure.metric,
        "value": float(measure.value),
        "chance": measure.chance,
        "ceiling": measure.ceiling,
        "roi": measure.roi,
        "gallery": measure.gallery,
        "gallery_size": measure.gallery_size,
        "n_test_images": test.n_images,
        "n_repeats_averaged": float(test.repeats.mean()) if measure.view == "image" else 1.0,
    }


def _nearest(scorer: RetrievalScorer, predicted: np.ndarray, image_id: np.ndarray) -> pd.DataFrame:
    """The rank and the best candidates of each query, by name."""
    rank, best, score = scorer.nearest(predicted)
    image = scorer.test.views(predicted)[-1][2]
    names = np.where(best >= 0, image_id[best], "")
    content = {
        "fold": scorer.test.image_fold[image],
        "image_id": image_id[image],
        "rank": rank,
        "gallery_size": scorer.gallery_size,
    }
    return pd.DataFrame(content | dict(zip(PLACES, [*names.T, *score.T], strict=True)))


def _map(scorer: EncodingScorer, predicted: np.ndarray, places: pd.DataFrame, space: str) -> pd.DataFrame:
    """A row per vertex."""
    r = scorer.correlation(predicted)
    surface = "hemisphere" in places
    return pd.DataFrame(
        {
            "space": space,
            "hemisphere": places["hemisphere"] if surface else "",
            "vertex": places["vertex"] if surface else np.arange(len(places)),
            "r": r,
            "r2": np.sign(r) * r**2,
            "ceiling": scorer.ceiling,
            "signal_var": scorer.signal,
            "noise_var": scorer.noise,
            "roi": smallest_region(places),
        }
    )
