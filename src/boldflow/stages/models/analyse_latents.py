"""What the codes of a trained model say of a class of pictures, and what they keep: tables for report and figures."""

import json
from typing import Any

import numpy as np
import pandas as pd

from boldflow.artifacts.store import arrays, sidecars, tables
from boldflow.core import averaging
from boldflow.core.compute import fixed_threads
from boldflow.core.scores import latents, metrics
from boldflow.registry import plugin_of
from boldflow.settings import read_settings
from boldflow.stages._aligned import Aligned, align_all, smallest_region, test_set
from boldflow.stages.models._codes import codes_of, encoded, in_training_scale
from boldflow.stages.models._null import exchangeable

KEYS = ["dataset", "subject", "response", "feature", "model", "split"]
MESH, N_MESH = "fsaverage5", 10_242  # whose vertices are the first of every finer fsaverage
SIDES = {"lh": "left", "rh": "right", "left": "left", "right": "right"}
FIRST_IMAGES = 8  # that drive a unit, by name
CHANCE = 0.5
SEPARATION = [
    *[*KEYS, "seed", "label", "class", "against", "metric", "protocol", "value", "ci_low", "ci_high", "ci_method"],
    *["chance", "p", "p_kind", "n_permutations", "n_latents", "n_train", "n_test", "n_test_images", "n_class_images"],
    *["transductive", "model_protocol", "simulated"],
]
EMBEDDING = [*KEYS, "seed", "image_id", "in_class", "pca_1", "pca_2", "tsne_1", "tsne_2", "simulated"]
UNITS = [
    *[*KEYS, "seed", "unit", "active_share", "class_auc", "rank", "image_id", "activation", "in_class", "held_out"],
    "simulated",
]
MAP = [*KEYS, "seed", "space", "hemisphere", "vertex", "roi", "measured", "reconstructed", "r", "simulated"]
Row = dict[str, Any]


class _Classes:
    """Which pictures are in the class, and which in what it is held against.

    ``label`` (n_images,) bool; ``kept`` (n_images,) whether a picture has a part at all; ``image`` (n_trials,) the
    picture of each trial, ``within`` (n_images,) the block in which it may trade its label.
    """

    def __init__(self, data: Aligned, values: pd.Series, wanted: Row, has_images: bool) -> None:
        test, _, rows = test_set(data, has_images)
        self.image, first, self.within, _ = exchangeable(data, test, rows, "part" if has_images else "run")
        self.names = data.trials["image_id"].to_numpy()[first]
        of = values.reindex(self.names).fillna("").to_numpy()
        lost = self.names[of == ""]
        if len(lost):
            raise ValueError(f"{len(lost)} pictures lack the label {wanted['label']!r}, the first is {lost[0]!r}")
        self.label = of == wanted["class"]
        others = set(wanted["against"]) if wanted["against"] else set(of) - {wanted["class"]}
        for one in [wanted["class"], *wanted["against"]]:
            if one not in set(of):
                raise ValueError(
                    f"no picture of the trials has label {wanted['label']} {one!r}; there are: {sorted(set(of))}"
                )
        self.kept = self.label | np.isin(of, sorted(others))
        self.number = np.cumsum(self.kept) - 1  # of a picture among those that are kept


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
    stimuli: str,
    separation: str,
    embedding: str,
    units: str,
    reconstruction: str,
    codes: str,
    subjects: str,
    names: str,
    facts: str,
    latents_: str,
    n_draws: int,
    code: str,
) -> None:
    """Encode the trials of one subject and ask the codes for a class of pictures.

    Parameters
    ----------
    predictions, weights, config, responses, vertices, features, index, trials, split : paths to read; no features and
        index where the model sees responses, no responses and vertices where it sees features
    stimuli : path of the stimulus table, whose labels name classes
    separation : path of the Parquet to write, a row per seed and test (``SEPARATION``): metric auc, held-out area of a
        logistic regression on codes of training trials, p by refits under permuted labels; metric norm_p, p of
        Mann-Whitney's U on the lengths of codes of the held-out pictures (repeats averaged), scaled as in training
        (protocol mended) and each class by itself (protocol published, transductive: test)
    embedding : path of the Parquet to write, a row per held-out trial of the first fold: its code on two axes, by
        principal components and by t-SNE, each fitted once to both classes (``EMBEDDING``)
    units : path of the Parquet to write, a row per unit and picture that drives it most, of the first seed and fold
        (``UNITS``)
    reconstruction : path of the Parquet to write, a row per vertex: mean response to the held-out class less that to
        what it is held against, measured and reconstructed, in s.d. of training trials (``MAP``)
    codes : path of the Parquet to write, a row per held-out picture of the first seed and fold: image_id and code
        (n_latents,), the mean over its trials
    subjects : names of the subjects in the order of their trials, JSON text
    names : wildcards of the result, JSON text
    facts : facts of the data set's plug-in, JSON text
    latents_ : the study's key latents, JSON text
    n_draws : draws of the bootstrap
    code : digests of the modules of this stage and the model's plug-in, JSON text

    Raises
    ------
    ValueError
        If pictures lack the label, no trial has the class, or training or test trials have one class only.
    """
    who, known, wanted = read_settings(names), read_settings(facts), read_settings(latents_)
    model = sidecars.read(config)
    (data,) = align_all(responses, features, index, trials, split, json.loads(subjects))
    classes = _Classes(data, _labels(stimuli, wanted["label"]), wanted, known["images"])
    plugin, entry = plugin_of("models", model["settings"]), model["settings"]
    about = {**{key: who[key] for key in KEYS}, "simulated": known["simulated"]}
    found: list[Row] = []
    points, driven = [], []
    with fixed_threads(1):
        for seed in entry["seeds"]:
            made = [
                (
                    codes_of(plugin, data, weights, n, seed, "train", "val"),
                    codes_of(plugin, data, weights, n, seed, "test"),
                )
                for n in range(data.n_folds)
            ]
            own = {**about, "seed": str(seed), "n_latents": made[0][0][1].shape[1], "model_protocol": entry["protocol"]}
            own |= {"label": wanted["label"], "class": wanted["class"]}
            own |= {"against": ", ".join(wanted["against"]) or "all others"}
            found.append(_area(made, classes, wanted, entry, n_draws, int(seed)) | own)
            found[-1]["transductive"] = model["transductive"]
            for apart in (False, True):
                row = _lengths(plugin, data, weights, seed, classes, apart)
                seen = "test" if apart else model["transductive"]
                found.append(row | own | {"transductive": seen})
            points.append(_points(made[0][1], classes, int(seed)).assign(seed=str(seed)))
            if seed == entry["seeds"][0]:
                driven.append(_units(*made[0], classes).assign(seed=str(seed)))
                kept = _codes(made[0][1], classes)
        places = tables.read(vertices[0]) if vertices else pd.DataFrame(index=range(data.responses.shape[1]))
        maps = _map(arrays.read(predictions, ndim=3)[0], data, classes, weights, places, model, known)
    note: Row = {"code": code, "data": model["sources"], "latents": wanted, "units": {"value": "see metric"}}
    tables.write(separation, pd.DataFrame(found).reindex(columns=SEPARATION), note)
    tables.write(codes, kept, note | {"simulated": known["simulated"]})
    for path, table, columns in (
        (embedding, pd.concat(points, ignore_index=True), EMBEDDING),
        (units, pd.concat(driven, ignore_index=True), UNITS),
        (reconstruction, maps.assign(seed=str(entry["seeds"][0])), MAP),
    ):
        tables.write(path, table.assign(**about)[columns], note)


def _labels(stimuli: str, label: str) -> pd.Series:
    """Give the label of each picture by name."""
    table = tables.read(stimuli)
    column = f"label_{label}"
    if column not in table:
        there = [name.removeprefix("label_") for name in table if name.startswith("label_")]
        raise ValueError(
            f"{stimuli} has no label {label!r}; there are: {there or 'none'} (labels come with the data set, for some "
            "by a key of its entry that names a table of yours)"
        )
    return table.set_index("image_id")[column]


def _area(made: list[Any], classes: _Classes, wanted: Row, entry: Row, n_draws: int, seed: int) -> Row:
    """Held-out separation by a logistic regression, over all folds."""
    folds = []
    for fold in made:
        parts = []
        for rows, codes in fold:
            inside = classes.kept[classes.image[rows]]
            parts += [codes[inside], classes.number[classes.image[rows[inside]]]]
        folds.append(latents.FoldCodes(*parts))
    label = classes.label[classes.kept]
    n_permutations = wanted["permutations"] if entry["permutations"] else 0
    one = latents.separate(folds, label, classes.within[classes.kept], n_permutations, n_draws, seed, wanted["penalty"])
    held_out = np.unique(np.concatenate([fold.test_picture for fold in folds]))
    return {
        **{"metric": "auc", "protocol": "mended", "value": one.auc, "ci_low": one.ci_low, "ci_high": one.ci_high},
        **{"ci_method": "percentile bootstrap over images", "chance": CHANCE},
        **({"p": one.p, "p_kind": "refit", "n_permutations": n_permutations} if n_permutations else {}),
        **{"n_train": len(folds[0].train), "n_test": sum(len(fold.test) for fold in folds)},
        **{"n_test_images": len(held_out), "n_class_images": int(label[held_out].sum())},
    }


def _lengths(plugin: Any, data: Aligned, weights: str, seed: int, classes: _Classes, apart: bool) -> Row:
    """The published test of lengths of codes, a row per held-out picture; ``apart``: each class scaled by itself."""
    sizes, label = [], []
    for fold in range(data.n_folds):
        rows = data.rows(fold, "test")
        rows = rows[classes.kept[classes.image[rows]]]
        picture, image = np.unique(classes.image[rows], return_inverse=True)
        values = averaging.average_by(
            np.asarray(arrays.rows(data.responses, rows), dtype=np.float64), image, len(picture)
        )
        values = in_training_scale(values, np.full(len(values), fold), weights, "inputs")
        inside = classes.label[picture]
        if apart and 1 < inside.sum() < len(inside) - 1:
            values = latents.scaled_apart(values, inside)
        sizes.append(encoded(plugin, weights, fold, seed, values.astype(np.float32)))
        label.append(inside)
    p = latents.norm_test(np.concatenate(sizes), np.concatenate(label))
    n = {"n_test_images": sum(map(len, label)), "n_class_images": int(np.concatenate(label).sum())}
    protocol = "published" if apart else "mended"
    return {
        "metric": "norm_p",
        "protocol": protocol,
        "value": p,
        "p": p,
        "p_kind": "rank test",
        "n_permutations": 0,
        **n,
    }


def _points(coded: tuple[np.ndarray, np.ndarray], classes: _Classes, seed: int) -> pd.DataFrame:
    """Codes of held-out trials on two axes."""
    rows, codes = coded
    image = classes.image[rows]
    inside = classes.kept[image]
    placed = latents.embed(codes[inside], seed)
    content = dict(zip(EMBEDDING[-5:-1], [*placed["pca"].T, *placed["tsne"].T], strict=True))
    return pd.DataFrame({"image_id": classes.names[image[inside]], "in_class": classes.label[image[inside]], **content})


def _units(
    trained: tuple[np.ndarray, np.ndarray], tested: tuple[np.ndarray, np.ndarray], classes: _Classes
) -> pd.DataFrame:
    """The pictures that drive each unit, of all that were shown, by the mean over their trials."""
    rows, codes = (np.concatenate(pair) for pair in zip(trained, tested, strict=True))
    picture, image = np.unique(classes.image[rows], return_inverse=True)
    mean = averaging.average_by(codes.astype(np.float64), image, len(picture))
    order = np.argsort(-mean, axis=0, kind="stable")[:FIRST_IMAGES]  # (n_first, n_units)
    held_out = np.isin(picture, classes.image[tested[0]])
    chosen = classes.kept[classes.image[tested[0]]]
    label = classes.label[classes.image[tested[0][chosen]]]
    areas = [latents.area(unit, label) for unit in tested[1][chosen].T]
    n_first, n_units = order.shape
    top = picture[order]
    return pd.DataFrame(
        {
            "unit": np.tile(np.arange(n_units), n_first),
            "active_share": np.tile((tested[1] != 0).mean(axis=0), n_first),
            "class_auc": np.tile(areas, n_first),
            "rank": np.repeat(np.arange(1, n_first + 1), n_units),
            "image_id": classes.names[top].ravel(),
            "activation": np.take_along_axis(mean, order, axis=0).ravel(),
            "in_class": classes.label[top].ravel(),
            "held_out": held_out[order].ravel(),
        }
    )


def _codes(tested: tuple[np.ndarray, np.ndarray], classes: _Classes) -> pd.DataFrame:
    """Code of each held-out picture."""
    picture, image = np.unique(classes.image[tested[0]], return_inverse=True)
    mean = averaging.average_by(tested[1].astype(np.float64), image, len(picture)).astype(np.float32)
    return pd.DataFrame({"image_id": classes.names[picture], "code": list(mean)})


def _map(
    predicted: np.ndarray,
    data: Aligned,
    classes: _Classes,
    weights: str,
    places: pd.DataFrame,
    model: Row,
    known: Row,
) -> pd.DataFrame:
    """Difference of the classes at each vertex, measured and reconstructed; on fsaverage5 where that is possible."""
    test, _, rows = test_set(data, known["images"])
    both = [predicted.astype(np.float64), np.asarray(arrays.rows(data.responses, rows), dtype=np.float64)]
    reconstructed, measured = (in_training_scale(values, test.fold, weights, "targets") for values in both)
    image = classes.image[rows]
    inside, outside = classes.label[image], classes.kept[image] & ~classes.label[image]
    table = pd.DataFrame(
        {
            "space": model["space"],
            "hemisphere": places["hemisphere"].map(SIDES) if "hemisphere" in places else "",
            "vertex": places["vertex"] if "vertex" in places else np.arange(len(places)),
            "roi": smallest_region(places),
            "measured": measured[inside].mean(axis=0) - measured[outside].mean(axis=0),
            "reconstructed": reconstructed[inside].mean(axis=0) - reconstructed[outside].mean(axis=0),
            "r": metrics.correlation(reconstructed, measured),
        }
    )
    if "fsaverage_vertex" in places:  # of the finest mesh: every 16th or so is one of the coarse mesh too
        kept = places["fsaverage_vertex"] < N_MESH
        table = table.assign(space=MESH, vertex=places["fsaverage_vertex"])[kept].reset_index(drop=True)
    return table
