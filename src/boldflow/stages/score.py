"""Scores of one model on one subject, with bootstrap intervals, chance and ceiling."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from boldflow.artifacts import arrays, leaderboard, sidecars, tables
from boldflow.artifacts import weights as weight_files
from boldflow.core import metrics, statistics
from boldflow.core.compute import fixed_threads
from boldflow.core.scaling import scale
from boldflow.provenance import canonical, digest
from boldflow.stages._arrival import read_settings
from boldflow.stages._trials import Aligned, align

N_NEAREST = 5
BLOCK = 2048  # vertices at a time in the bootstrap of maps
TOP = (1, 5)
KEYS = ["dataset", "subject", "response", "feature", "model", "split"]
MAP = ["space", "hemisphere", "vertex", "r", "r2", "ceiling", "signal_var", "noise_var", "roi"]
QUERIES = [
    *["seed", "fold", "image_id", "rank", "gallery_size"],
    *[f"nearest_{n + 1}" for n in range(N_NEAREST)],
    *[f"score_{n + 1}" for n in range(N_NEAREST)],
]
Row = dict[str, Any]


@dataclass(frozen=True)
class Test:
    """Test trials over all folds: their rows, folds and pictures (``image``, numbered from 0)."""

    rows: np.ndarray
    fold: np.ndarray
    image: np.ndarray
    image_id: np.ndarray  # (n_images,)
    image_fold: np.ndarray  # (n_images,)
    unit: np.ndarray  # (n_images,) bootstrap unit of each image: its duplicate group
    resampled: str  # what a unit is: images or blocks

    @property
    def repeats(self) -> np.ndarray:
        """Test trials of each image."""
        return np.bincount(self.image, minlength=len(self.image_id))


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
    vertex_map: str,
    queries: str,
    names: str,
    facts: str,
    n_draws: int,
    code: str,
) -> None:
    """Score predictions of the test trials.

    Parameters
    ----------
    predictions, weights, config, responses, vertices, features, index, trials, split : paths to read
    scores, vertex_map, queries : paths of the Parquet files to write: tidy rows; a row per vertex (encoders); a row
        per test picture (retrieval)
    names : wildcards of the result, JSON text
    facts : facts of the data set's plug-in, JSON text
    n_draws : draws of the bootstrap
    code : digests of the modules of this stage, JSON text
    """
    who, known, model = read_settings(names), read_settings(facts), sidecars.read(config)
    data = align(responses, features, index, trials, split, who["subject"])
    test = _test(data, known["images"])
    predicted = arrays.read(predictions, ndim=3)
    if predicted.shape[1] != len(test.rows):
        raise ValueError(f"{predictions} has {predicted.shape[1]} test trials, the split {len(test.rows)}")
    about = _about(who, known, model, code)
    rows: list[Row] = []
    asked: list[pd.DataFrame] = []
    drawn = pd.DataFrame(columns=MAP)
    with fixed_threads(2):
        for number, seed in enumerate(model["settings"]["seeds"]):
            counts = statistics.bootstrap_counts(len(np.unique(test.unit)), n_draws, seed=0)
            given = np.asarray(predicted[number], dtype=np.float64)
            if model["settings"]["direction"] == "encode":
                places = tables.read(vertices)
                found, drawn = _encoding(given, data, test, counts, places, model["space"])
            elif model["feature_kind"] == "classes":
                found = _accuracy(given, data, test, counts)
            else:
                scaled, gallery = _scaled(given, data, test, weights)
                found, queried = _retrieval(scaled, gallery, test, counts)
                asked.append(queried.assign(seed=seed))
            rows += [{**about, "seed": str(seed), "fold": "all", **row} for row in found]
    note = {"code": code, "data": about["data_digest"], "units": {"value": "see metric"}}
    identity = {**{key: who[key] for key in KEYS}, "simulated": known["simulated"]}
    tables.write(scores, leaderboard.tidy(rows), note)
    tables.write(vertex_map, drawn.assign(**identity), note)
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


def _test(data: Aligned, has_images: bool) -> Test:
    """Collect the test trials of all folds; a picture tested in two folds counts in each."""
    rows = [data.rows(fold, "test") for fold in range(data.n_folds)]
    fold = np.repeat(np.arange(data.n_folds), [len(r) for r in rows])
    where = np.concatenate(rows)
    name = data.trials["image_id"].to_numpy()[where]
    image, keys = pd.factorize(pd.MultiIndex.from_arrays([fold, name]))
    first = np.array([np.argmax(image == n) for n in range(len(keys))])
    unit_of_row = data.split.drop_duplicates("row").set_index("row")["unit"].loc[where].to_numpy()
    # without pictures the unit of the split is the run, and the bootstrap resamples blocks
    unit = pd.factorize(unit_of_row[first] if has_images else np.arange(len(keys)))[0]
    return Test(where, fold, image, name[first], fold[first], unit, "images" if has_images else "blocks")


def _row(view: str, metric: str, value: float, draws: np.ndarray | None, test: Test, **more: Any) -> Row:
    low, high = statistics.percentile_interval(draws) if draws is not None else (None, None)
    return {
        "view": view,
        "metric": metric,
        "value": float(value),
        "ci_low": low,
        "ci_high": high,
        "ci_method": f"percentile bootstrap over {test.resampled}" if draws is not None else None,
        "n_test_images": len(test.image_id),
        "n_repeats_averaged": float(test.repeats.mean()) if view == "image" else 1.0,
        **more,
    }


def _views(predicted: np.ndarray, test: Test) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """(view, predictions, image of each): each trial a query, and predictions averaged over an image's repeats."""
    n = len(test.image_id)
    averaged = metrics.average_by(predicted, test.image, n)
    views = [("trial", predicted, test.image), ("image", averaged, np.arange(n))]
    return views if n < len(test.rows) else views[:1]  # nothing is repeated: both views are one


def _accuracy(predicted: np.ndarray, data: Aligned, test: Test, counts: np.ndarray) -> list[Row]:
    classes = np.argmax(data.features, axis=1)[data.trials["picture"].to_numpy()[test.rows]]
    of_image = np.empty(len(test.image_id), dtype=int)
    of_image[test.image] = classes
    rows = []
    for view, given, image in _views(predicted, test):
        hits = metrics.class_hits(given, of_image[image])
        draws = statistics.mean_draws(hits, test.unit[image], counts)
        chance = 1 / data.features.shape[1]
        rows.append(_row(view, "accuracy", hits.mean(), draws, test, chance=chance))
    return rows


def _scaled(predicted: np.ndarray, data: Aligned, test: Test, weights: str) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and gallery (one row per test image) in the scale of each fold's training targets."""
    picture = np.empty(len(test.image_id), dtype=int)
    picture[test.image] = data.trials["picture"].to_numpy()[test.rows]
    gallery = np.asarray(data.features[picture], dtype=np.float64)
    given = predicted.copy()
    for fold in range(data.n_folds):
        scaler = weight_files.read(weights, f"fold{fold}/targets/")
        given[test.fold == fold] = scale(given[test.fold == fold], scaler)
        gallery[test.image_fold == fold] = scale(gallery[test.image_fold == fold], scaler)
    return given, gallery


def _retrieval(
    predicted: np.ndarray, gallery: np.ndarray, test: Test, counts: np.ndarray
) -> tuple[list[Row], pd.DataFrame]:
    """Identify each test picture among the test pictures of its fold."""
    rows: list[Row] = []
    asked = pd.DataFrame()
    for view, given, image in _views(predicted, test):
        parts = []
        for fold in np.unique(test.image_fold):
            queries, there = test.image_fold[image] == fold, np.flatnonzero(test.image_fold == fold)
            scores = metrics.identification_scores(given[queries], gallery[there])
            true = np.searchsorted(there, image[queries])
            parts.append((queries, metrics.ranks(scores, true), scores, there))
        sizes = {found.gallery_size for _, found, _, _ in parts}
        if len(sizes) > 1:
            raise ValueError(f"folds have galleries of different sizes {sorted(sizes)}: their ranks cannot be pooled")
        size = sizes.pop()
        rows += _rank_rows(view, parts, size, test, image, counts)
        if view == "image" or image is test.image:
            asked = _nearest(parts, test, image)
    return rows, asked


def _rank_rows(view: str, parts: list[Any], size: int, test: Test, image: np.ndarray, counts: np.ndarray) -> list[Row]:
    def gather(measure: Any) -> np.ndarray:
        values = np.empty(len(image))
        for queries, found, _, _ in parts:
            values[queries] = measure(found)
        return values

    unit = test.unit[image]
    measures = {f"top{k}": (gather(lambda f, k=k: metrics.top_k(f, k)), k / size) for k in TOP if k < size}
    rank = gather(lambda f: f.rank)
    measures["inv_norm_rank"] = (gather(metrics.inverse_normalised_rank), 0.5)
    measures["mean_rank"] = (rank, (size - 1) / 2)
    rows = [
        _row(
            view,
            name,
            values.mean(),
            statistics.mean_draws(values, unit, counts),
            test,
            chance=chance,
            gallery_size=size,
        )
        for name, (values, chance) in measures.items()
    ]
    median = statistics.median_draws(rank, unit, counts)
    more = {"chance": (size - 1) / 2, "gallery_size": size}
    return [*rows, _row(view, "median_rank", float(np.median(rank)), median, test, **more)]


def _nearest(parts: list[Any], test: Test, image: np.ndarray) -> pd.DataFrame:
    """The best candidates of each query."""
    tables_ = []
    for queries, found, scores, there in parts:
        n = min(N_NEAREST, scores.shape[1])
        best = np.argsort(-scores, axis=1, kind="stable")[:, :n]
        own = image[queries]
        content: dict[str, Any] = {
            "fold": test.image_fold[own],
            "image_id": test.image_id[own],
            "rank": found.rank,
            "gallery_size": found.gallery_size,
        }
        for k in range(N_NEAREST):
            names = test.image_id[there[best[:, k]]] if k < n else np.full(len(own), "")
            content[f"nearest_{k + 1}"] = names
            content[f"score_{k + 1}"] = scores[np.arange(len(own)), best[:, k]] if k < n else np.nan
        tables_.append(pd.DataFrame(content))
    return pd.concat(tables_, ignore_index=True)


def _encoding(
    predicted: np.ndarray, data: Aligned, test: Test, counts: np.ndarray, places: pd.DataFrame, space: str
) -> tuple[list[Row], pd.DataFrame]:
    """Correlate predicted and measured responses of each vertex over test pictures (repeats averaged)."""
    responses = np.asarray(data.responses[test.rows], dtype=np.float64)
    n_images = len(test.image_id)
    measured = metrics.average_by(responses, test.image, n_images)
    expected = metrics.average_by(predicted, test.image, n_images)
    signal, noise = metrics.variance_components(responses, test.image)
    ceiling = metrics.noise_ceiling(signal, noise, test.repeats)
    masks = {"all": np.ones(len(places), dtype=bool)}
    masks |= {name.removeprefix("roi_"): places[name].to_numpy() for name in places if name.startswith("roi_")}
    weights = np.vstack([np.ones((1, n_images)), counts[:, test.unit]]).astype(np.float64)
    sums = {name: np.zeros((2, len(weights))) for name in masks}
    r = np.empty(len(places))
    for start in range(0, len(places), BLOCK):
        block = slice(start, start + BLOCK)
        correlation = metrics.weighted_correlation(expected[:, block], measured[:, block], weights)
        r[block] = correlation[0]
        for name, mask in masks.items():
            sums[name] += np.stack(
                [correlation[:, mask[block]].sum(axis=1), (correlation**2)[:, mask[block]].sum(axis=1)]
            )
    rows = []
    for name, mask in masks.items():
        mean_r, mean_r2 = sums[name] / mask.sum()
        upper = metrics.pooled_ceiling(signal[mask], noise[mask], test.repeats)
        rows += [
            _row(
                "image",
                "r",
                mean_r[0],
                mean_r[1:],
                test,
                roi=name,
                chance=0.0,
                ceiling=float(np.sqrt(upper)),
            ),
            _row("image", "r2", mean_r2[0], mean_r2[1:], test, roi=name, ceiling=upper),
            _row("image", "ceiling", upper, None, test, roi=name),
        ]
    return rows, _map(places, space, r, ceiling, signal, noise)


def _map(
    places: pd.DataFrame,
    space: str,
    r: np.ndarray,
    ceiling: np.ndarray,
    signal: np.ndarray,
    noise: np.ndarray,
) -> pd.DataFrame:
    """A row per vertex; its ROI is the smallest that holds it."""
    names = [name for name in places if name.startswith("roi_")]
    roi = np.full(len(places), "", dtype=object)
    for name in sorted(names, key=lambda n: -int(places[n].sum())):
        roi[places[name].to_numpy()] = name.removeprefix("roi_")
    surface = "hemisphere" in places
    return pd.DataFrame(
        {
            "space": space,
            "hemisphere": places["hemisphere"] if surface else "",
            "vertex": places["vertex"] if surface else np.arange(len(places)),
            "r": r,
            "r2": np.sign(r) * r**2,
            "ceiling": ceiling,
            "signal_var": signal,
            "noise_var": noise,
            "roi": roi,
        }
    )
