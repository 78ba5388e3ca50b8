"""What the codes of a trained model say of a class of pictures, and what they keep: tables for report and figures."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np
import pandas as pd

from boldflow.artifacts.store import arrays, model_notes, tables
from boldflow.artifacts.store.model_notes import ModelNotes
from boldflow.core import averaging
from boldflow.core.compute import fixed_threads
from boldflow.core.records.facts import DataFacts
from boldflow.core.scores import latents, metrics
from boldflow.models import Represents
from boldflow.registry import plugin_of
from boldflow.settings import Entry, read_entry, read_facts, read_settings
from boldflow.stages import _predictions
from boldflow.stages._aligned import Aligned, align_all, smallest_region, test_set
from boldflow.stages._result import KEYS, read_result
from boldflow.stages.models._codes import codes_of, encoded, in_training_scale
from boldflow.stages.models._null import exchangeable

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
Row = dict[str, object]
Coded = tuple[np.ndarray, np.ndarray]  # rows of trials, and their codes (n_trials, n_latents)


def run(
    predictions: str,
    predictions_index: str,
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
    settings: str,
    facts: str,
    latents_: str,
    n_draws: int,
    code: str,
) -> None:
    """Encode the trials of one subject and ask the codes for a class of pictures.

    Parameters
    ----------
    predictions, predictions_index, weights, config, responses, vertices, features, index, trials, split : paths to
        read; no features and index where the model sees responses, no responses and vertices where it sees features
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
    settings : what the model's catalogue entry says of scoring, JSON text
    facts : facts of the data set's plug-in, JSON text
    latents_ : the study's key latents, JSON text
    n_draws : draws of the bootstrap
    code : digests of the modules of this stage and the model's plug-in, JSON text

    Raises
    ------
    ValueError
        If pictures lack the label, no trial has the class, or training or test trials have one class only.
    """
    asked = read_settings(latents_)
    question, data_facts = _Question.of(asked), read_facts(facts, DataFacts)
    (data,) = align_all(responses, features, index, trials, split, json.loads(subjects))
    classes = _Classes(data, _labels(stimuli, question.label), question, data_facts.images)
    job = _Job(model_notes.read(config), read_entry(settings), data, weights, question, classes, n_draws)
    with fixed_threads(1):
        answers = job.answers()
        places = tables.read(vertices[0]) if vertices else pd.DataFrame(index=range(data.responses.shape[1]))
        predicted = _predictions.read(predictions, predictions_index, [data]).of(0)
        maps = _map(predicted, job, places, data_facts.images)
    about = {**asdict(read_result(names)), "simulated": data_facts.simulated}
    sources = [asdict(source) for source in job.notes.sources]
    note = {"code": code, "data": sources, "latents": asked, "units": {"value": "see metric"}}
    tables.write(codes, answers.codes, note | {"simulated": data_facts.simulated})
    for path, table, columns in (
        (separation, answers.separation, SEPARATION),
        (embedding, answers.points, EMBEDDING),
        (units, answers.units, UNITS),
        (reconstruction, maps.assign(seed=str(job.seeds[0])), MAP),
    ):
        tables.write(path, table.assign(**about).reindex(columns=columns), note)


@dataclass(frozen=True)
class _Question:
    """What a study asks of codes: its key latents.

    Whether pictures whose ``label`` is ``in_class`` are told from those whose label is in ``against`` (nothing: from
    all others); ``permutations`` refits make p, ``penalty`` is that of the regression.
    """

    label: str
    in_class: str
    against: tuple[str, ...]
    permutations: int
    penalty: float

    @classmethod
    def of(cls, asked: Mapping[str, Any]) -> "_Question":
        """Take it from the key latents."""
        against = tuple(asked["against"])
        return cls(asked["label"], asked["class"], against, asked["permutations"], asked["penalty"])


class _Classes:
    """Which pictures are in the class, and which in what it is held against.

    ``label`` (n_images,) bool; ``kept`` (n_images,) whether a picture has a part at all; ``image`` (n_trials,) the
    picture of each trial, ``within`` (n_images,) the block in which it may trade its label.
    """

    def __init__(self, data: Aligned, values: pd.Series, question: _Question, has_images: bool) -> None:
        test, _, rows = test_set(data, has_images)
        self.image, first, self.within, _ = exchangeable(data, test, rows, "part" if has_images else "run")
        self.names = data.trials["image_id"].to_numpy()[first]
        of = values.reindex(self.names).fillna("").to_numpy()
        lost = self.names[of == ""]
        if len(lost):
            raise ValueError(f"{len(lost)} pictures lack the label {question.label!r}, the first is {lost[0]!r}")
        self.label = of == question.in_class
        others = set(question.against) if question.against else set(of) - {question.in_class}
        for name in [question.in_class, *question.against]:
            if name not in set(of):
                raise ValueError(
                    f"no picture of the trials has label {question.label} {name!r}; there are: {sorted(set(of))}"
                )
        self.kept = self.label | np.isin(of, sorted(others))
        self.number = np.cumsum(self.kept) - 1  # of a picture among those that are kept


@dataclass(frozen=True)
class _Answers:
    """Tables of one result: separation and points of all seeds, units and codes of the first."""

    separation: pd.DataFrame
    points: pd.DataFrame
    units: pd.DataFrame
    codes: pd.DataFrame


@dataclass(frozen=True)
class _Job:
    """One subject's codes by one model, and what is asked of them; ``weights``: path of the model's safetensors."""

    notes: ModelNotes
    settings: Entry
    data: Aligned
    weights: str
    question: _Question
    classes: _Classes
    n_draws: int

    @property
    def seeds(self) -> list[int]:
        """Seeds of the model, one fit each."""
        return list(self.notes.entry["seeds"])

    @property
    def plugin(self) -> Represents:
        """The model's plug-in."""
        return cast(Represents, plugin_of("models", self.notes.entry))

    def answers(self) -> _Answers:
        """Ask the codes of all seeds."""
        rows: list[Row] = []
        points: list[pd.DataFrame] = []
        first: list[pd.DataFrame] = []
        for seed in self.seeds:
            folds = [(self._coded(fold, seed, "train", "val"), self._coded(fold, seed, "test")) for fold in self._folds]
            rows += [row | self._about(seed, folds[0][0][1].shape[1]) for row in self._tests(folds, seed)]
            points.append(_points(folds[0][1], self.classes, int(seed)).assign(seed=str(seed)))
            if not first:
                first = [_units(*folds[0], self.classes).assign(seed=str(seed)), _codes(folds[0][1], self.classes)]
        return _Answers(pd.DataFrame(rows), pd.concat(points, ignore_index=True), *first)

    @property
    def _folds(self) -> range:
        return range(self.data.n_folds)

    def _coded(self, fold: int, seed: int, *parts: str) -> Coded:
        return codes_of(self.plugin, self.data, self.weights, fold, seed, *parts)

    def _about(self, seed: int, n_latents: int) -> Row:
        question = self.question
        return {
            "seed": str(seed),
            "n_latents": n_latents,
            "model_protocol": self.settings["protocol"],
            "label": question.label,
            "class": question.in_class,
            "against": ", ".join(question.against) or "all others",
        }

    def _tests(self, folds: list[tuple[Coded, Coded]], seed: int) -> list[Row]:
        """Separation by a regression, and the published test of lengths, mended and as published."""
        rows = [self._area(folds, int(seed)) | {"transductive": self.notes.transductive}]
        for apart in (False, True):
            seen = "test" if apart else self.notes.transductive
            rows.append(self._lengths(seed, apart) | {"transductive": seen})
        return rows

    def _area(self, coded: list[tuple[Coded, Coded]], seed: int) -> Row:
        """Held-out separation by a logistic regression, over all folds."""
        classes, question = self.classes, self.question
        folds = []
        for fold in coded:
            parts = []
            for rows, codes in fold:
                inside = classes.kept[classes.image[rows]]
                parts += [codes[inside], classes.number[classes.image[rows[inside]]]]
            folds.append(latents.FoldCodes(*parts))
        label, within = classes.label[classes.kept], classes.within[classes.kept]
        n_permutations = question.permutations if self.settings["permutations"] else 0
        result = latents.separate(folds, label, within, n_permutations, self.n_draws, seed, question.penalty)
        held_out = np.unique(np.concatenate([fold.test_picture for fold in folds]))
        return {
            **{"metric": "auc", "protocol": "mended", "value": result.auc},
            **{"ci_low": result.ci_low, "ci_high": result.ci_high},
            **{"ci_method": "percentile bootstrap over images", "chance": CHANCE},
            **({"p": result.p, "p_kind": "refit", "n_permutations": n_permutations} if n_permutations else {}),
            **{"n_train": len(folds[0].train), "n_test": sum(len(fold.test) for fold in folds)},
            **{"n_test_images": len(held_out), "n_class_images": int(label[held_out].sum())},
        }

    def _lengths(self, seed: int, apart: bool) -> Row:
        """Published test of lengths of codes, over held-out pictures; ``apart``: each class scaled by itself."""
        parts = [self._coded_pictures(fold, seed, apart) for fold in self._folds]
        codes, inside = (np.concatenate(part) for part in zip(*parts, strict=True))
        p = latents.norm_test(codes, inside)
        return {
            **{"metric": "norm_p", "protocol": "published" if apart else "mended", "value": p},
            **{"p": p, "p_kind": "rank test", "n_permutations": 0},
            **{"n_test_images": len(inside), "n_class_images": int(inside.sum())},
        }

    def _coded_pictures(self, fold: int, seed: int, apart: bool) -> Coded:
        """Codes of a fold's held-out pictures, (n_pictures, n_latents), and whether each is in the class."""
        classes = self.classes
        rows = self.data.rows(fold, "test")
        rows = rows[classes.kept[classes.image[rows]]]
        picture, image = np.unique(classes.image[rows], return_inverse=True)
        measured = np.asarray(arrays.rows(self.data.responses, rows), dtype=np.float64)
        values = averaging.average_by(measured, image, len(picture))  # (n_pictures, n_vertices)
        values = in_training_scale(values, np.full(len(values), fold), self.weights, "inputs")
        inside = classes.label[picture]
        if apart and 1 < inside.sum() < len(inside) - 1:
            values = latents.scaled_apart(values, inside)
        return encoded(self.plugin, self.weights, fold, seed, values.astype(np.float32)), inside


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


def _points(coded: Coded, classes: _Classes, seed: int) -> pd.DataFrame:
    """Codes of held-out trials on two axes."""
    rows, codes = coded
    image = classes.image[rows]
    inside = classes.kept[image]
    placed = latents.embed(codes[inside], seed)
    content = dict(zip(EMBEDDING[-5:-1], [*placed["pca"].T, *placed["tsne"].T], strict=True))
    return pd.DataFrame({"image_id": classes.names[image[inside]], "in_class": classes.label[image[inside]], **content})


def _units(trained: Coded, tested: Coded, classes: _Classes) -> pd.DataFrame:
    """The pictures that drive each unit, of all that were shown, by the mean over their trials."""
    rows, codes = (np.concatenate(pair) for pair in zip(trained, tested, strict=True))
    picture, image = np.unique(classes.image[rows], return_inverse=True)
    mean = averaging.average_by(codes.astype(np.float64), image, len(picture))
    order = np.argsort(-mean, axis=0, kind="stable")[:FIRST_IMAGES]  # (n_first, n_units)
    held_out = np.isin(picture, classes.image[tested[0]])
    chosen = classes.kept[classes.image[tested[0]]]
    label = classes.label[classes.image[tested[0][chosen]]]
    areas = [metrics.area(unit, label) for unit in tested[1][chosen].T]
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


def _codes(tested: Coded, classes: _Classes) -> pd.DataFrame:
    """Code of each held-out picture."""
    picture, image = np.unique(classes.image[tested[0]], return_inverse=True)
    mean = averaging.average_by(tested[1].astype(np.float64), image, len(picture)).astype(np.float32)
    return pd.DataFrame({"image_id": classes.names[picture], "code": list(mean)})


def _map(predicted: np.ndarray, job: _Job, places: pd.DataFrame, has_images: bool) -> pd.DataFrame:
    """Difference of the classes at each vertex, measured and reconstructed; on fsaverage5 where that is possible."""
    data, classes = job.data, job.classes
    test, _, rows = test_set(data, has_images)
    both = [predicted.astype(np.float64), np.asarray(arrays.rows(data.responses, rows), dtype=np.float64)]
    reconstructed, measured = (in_training_scale(values, test.fold, job.weights, "targets") for values in both)
    image = classes.image[rows]
    inside, outside = classes.label[image], classes.kept[image] & ~classes.label[image]
    table = pd.DataFrame(
        {
            "space": job.notes.space,
            "hemisphere": places["hemisphere"].map(SIDES) if "hemisphere" in places else "",
            "vertex": places["vertex"] if "vertex" in places else np.arange(len(places)),
            "roi": smallest_region(places),
            "measured": measured[inside].mean(axis=0) - measured[outside].mean(axis=0),
            "reconstructed": reconstructed[inside].mean(axis=0) - reconstructed[outside].mean(axis=0),
            "r": metrics.correlation(reconstructed, measured),
        }
    )
    if "fsaverage_vertex" in places:  # of the finest mesh: every 16th or so is one of the coarse mesh too
        coarse = places["fsaverage_vertex"] < N_MESH
        table = table.assign(space=MESH, vertex=places["fsaverage_vertex"])[coarse].reset_index(drop=True)
    return table
