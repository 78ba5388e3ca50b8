"""Scores of one model on one subject: bootstrap intervals, chance, ceiling, and p by permutation with refit."""

from typing import Any

import numpy as np
import pandas as pd

from boldflow import registry
from boldflow.artifacts import arrays, leaderboard, sidecars, tables
from boldflow.artifacts import weights as weight_files
from boldflow.core import statistics
from boldflow.core.compute import fixed_threads
from boldflow.core.records import State
from boldflow.core.scaling import ScaledRows, scale
from boldflow.core.scoring import (
    BOOTSTRAP_SEED,
    LOWER_IS_BETTER,
    N_NEAREST,
    ClassScorer,
    EncodingScorer,
    Measure,
    RetrievalScorer,
    TestSet,
)
from boldflow.provenance import canonical, digest
from boldflow.stages._arrival import plugin_of, read_settings
from boldflow.stages._bands import COLUMNS as BANDS
from boldflow.stages._bands import map_columns, partition, region_rows
from boldflow.stages._null import null_values, rescored_values
from boldflow.stages._trials import Aligned, align, regions_of, test_set

KEYS = ["dataset", "subject", "response", "feature", "model", "split"]
NCSNR = "published_ncsnr"  # of each vertex, where the data set publishes it
MAP = ["space", "hemisphere", "vertex", "r", "r2", "ceiling", "signal_var", "noise_var", "roi"]
PLACES = [f"{what}_{n + 1}" for what in ("nearest", "score") for n in range(N_NEAREST)]
QUERIES = ["seed", "fold", "image_id", "rank", "gallery_size", *PLACES]
Row = dict[str, Any]
Scorer = ClassScorer | RetrievalScorer | EncodingScorer


def run(
    predictions: str,
    weights: str,
    config: str,
    responses: str,
    vertices: str,
    features: str,
    index: str,
    trials: str,
    split: str,
    scores: str,
    draws: str,
    vertex_map: str,
    queries: str,
    bands: str,
    names: str,
    facts: str,
    n_draws: int,
    code: str,
) -> None:
    """Score predictions of the test trials.

    Parameters
    ----------
    predictions, weights, config, responses, vertices, features, index, trials, split : paths to read
    scores : path of the Parquet to write, tidy rows
    draws : path of the .npy to write, (n_rows, n_draws) float32: each row's score in each bootstrap draw (its value
        where it has no interval); draw d holds the same pictures for every model of the subject
    vertex_map, queries : paths of the Parquet files to write: a row per vertex (encoders); a row per test picture
        (retrieval)
    bands : path of the Parquet to write: a row per region and joined feature, what that explains (encoders that tell
        the bands of their inputs apart; columns as of ``stages._bands``)
    names : wildcards of the result, JSON text
    facts : facts of the data set's plug-in, JSON text
    n_draws : draws of the bootstrap
    code : digests of the modules of this stage and the model's plug-in, JSON text
    """
    who, known, model = read_settings(names), read_settings(facts), sidecars.read(config)
    data = align(responses, features, index, trials, split, who["subject"])
    test, image_id, rows = test_set(data, known["images"])
    predicted = arrays.read(predictions, ndim=3)
    if predicted.shape[1] != len(rows):
        raise ValueError(f"{predictions} has {predicted.shape[1]} test trials, the split {len(rows)}")
    about = _about(who, known, model, code)
    unit = "images" if known["images"] else "blocks"
    found: list[Row] = []
    drawn: list[np.ndarray] = []
    asked: list[pd.DataFrame] = []
    mapped = pd.DataFrame(columns=MAP)
    shares: list[pd.DataFrame] = []
    with fixed_threads(1):  # small products: two threads wait for each other more than they work
        scorer = _scorer(data, test, rows, weights, vertices, model)
        counts = statistics.bootstrap_counts(test.n_units, n_draws, BOOTSTRAP_SEED)
        left_out = 1 - np.eye(test.n_units)
        for number, seed in enumerate(model["settings"]["seeds"]):
            given = np.asarray(predicted[number], dtype=np.float64)
            if isinstance(scorer, RetrievalScorer):
                given = _in_training_scale(given, test.fold, weights)
                asked.append(_nearest(scorer, given, image_id).assign(seed=str(seed)))
            if isinstance(scorer, EncodingScorer):
                mapped = _map(scorer, given, tables.read(vertices), model["space"])
                split_up = partition(plugin_of("models", model["settings"]), data, weights, seed, scorer, given)
                if split_up:
                    mapped = mapped.assign(**map_columns(split_up, scorer))
                    shares.append(region_rows(split_up, scorer, counts, seed, unit))
            measures = scorer.measure(given)
            null = _null(given, data, test, rows, scorer, model, int(seed), known["images"])
            for position, measure in enumerate(measures):
                own = measure.draw(counts) if measure.draw and measure.method == "bootstrap" else None
                drawn.append(np.full(n_draws, np.nan_to_num(measure.value)) if own is None else own)
                row = {**about, "seed": str(seed), "fold": "all", **_row(measure, test)}
                row |= _interval(measure, own, left_out, unit)
                found.append(row | _significance(measure, None if null is None else null[:, position], model))
    note = {"code": code, "data": about["data_digest"], "units": {"value": "see metric"}}
    identity = {**{key: who[key] for key in KEYS}, "simulated": known["simulated"]}
    tables.write(scores, leaderboard.tidy(found), note)
    arrays.write(draws, np.nan_to_num(np.stack(drawn)).astype(np.float32))
    tables.write(vertex_map, mapped.assign(**identity), note)
    explained = pd.concat(shares, ignore_index=True) if shares else pd.DataFrame(columns=BANDS)
    tables.write(bands, explained.assign(**identity), note)
    questions = pd.concat(asked, ignore_index=True) if asked else pd.DataFrame(columns=QUERIES)
    tables.write(queries, questions[QUERIES].assign(**identity), note)


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
    if model["settings"]["direction"] == "encode":
        places = tables.read(vertices)
        ncsnr = places[NCSNR].to_numpy() if NCSNR in places else None
        return EncodingScorer(test, np.asarray(data.responses[rows], dtype=np.float64), regions_of(places), ncsnr)
    if model["feature_kind"] == "classes":
        classes = np.argmax(data.features[picture], axis=1)
        return ClassScorer(test, classes, data.features.shape[1])
    everything = [ScaledRows(data.features, _scaler(weights, fold)) for fold in range(data.n_folds)]
    targets = np.stack([everything[fold][row] for fold, row in zip(test.image_fold, picture, strict=True)])
    return RetrievalScorer(test, targets, everything, picture)


def _scaler(weights: str, fold: int) -> State:
    return weight_files.read(weights, f"fold{fold}/targets/")


def _in_training_scale(predicted: np.ndarray, fold: np.ndarray, weights: str) -> np.ndarray:
    """Bring predictions (n_test_trials, n_features) to the scale of their fold's training targets."""
    scaled = np.empty_like(predicted)
    for one in np.unique(fold):
        scaled[fold == one] = scale(predicted[fold == one], _scaler(weights, int(one)))
    return scaled


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
    if null is None or measure.metric == "ceiling":
        return {}
    p = statistics.permutation_p(measure.value, null, measure.metric not in LOWER_IS_BETTER)
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
    """A row per vertex; its ROI is the smallest that holds it."""
    names = [name for name in places if name.startswith("roi_")]
    roi = np.full(len(places), "", dtype=object)
    for name in sorted(names, key=lambda n: -int(places[n].sum())):
        roi[places[name].to_numpy()] = name.removeprefix("roi_")
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
            "roi": roi,
        }
    )
