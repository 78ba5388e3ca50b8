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
    code : digests of the modules of this stage and the model's plug-in, JSON text

    Raises
    ------
    ValueError
        If pictures lack the label, no trial has the class, or training or test trials have one class only.
    """
    latent_settings = read_settings(latents_)
    question, data_facts = _Question.of(latent_settings), read_facts(facts, DataFacts)
    (data,) = align_all(responses, features, index, trials, split, json.loads(subjects))
    classes = _Classes(data, _labels(stimuli, question.label), question, data_facts.images)
    job = _Job(model_notes.read(config), read_entry(settings), data, weights, question, classes)
    with fixed_threads(1):
        answers = job.answers()
        places = tables.read(vertices[0]) if vertices else pd.DataFrame(index=range(data.responses.shape[1]))
        predicted = _predictions.read(predictions, predictions_index, [data]).of(0)
        vertex_map = _map(predicted, job, places, data_facts.images)
    identity = {**asdict(read_result(names)), "simulated": data_facts.simulated}
    sources = [asdict(source) for source in job.notes.sources]
    note = {"code": code, "data": sources, "latents": latent_settings, "units": {"value": "see metric"}}
    tables.write(codes, answers.codes, note | {"simulated": data_facts.simulated})
    for path, table, columns in (
        (separation, answers.separation, SEPARATION),
        (embedding, answers.points, EMBEDDING),
        (units, answers.units, UNITS),
        (reconstruction, vertex_map.assign(seed=str(job.seeds[0])), MAP),
    ):
        tables.write(path, table.assign(**identity).reindex(columns=columns), note)


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
    def of(cls, latent_settings: Mapping[str, Any]) -> "_Question":
        """Take it from the key latents."""
        against = tuple(latent_settings["against"])
        return cls(
            latent_settings["label"],
            latent_settings["class"],
            against,
            latent_settings["permutations"],
            latent_settings["penalty"],
        )


class _Classes:
    """Which pictures are in the class, and which in what it is held against.

    ``label`` (n_images,) bool; ``kept`` (n_images,) whether a picture has a part at all; ``image`` (n_trials,) the
    picture of each trial, ``within`` (n_images,) the block in which it may trade its label.
    """

    def __init__(self, data: Aligned, labels: pd.Series, question: _Question, has_images: bool) -> None:
        test, _, test_rows = test_set(data, has_images)
        self.image, first_rows, self.within, _ = exchangeable(data, test, test_rows, "part" if has_images else "run")
        self.names = data.trials["image_id"].to_numpy()[first_rows]
        image_labels = labels.reindex(self.names).fillna("").to_numpy()
        unlabelled_ids = self.names[image_labels == ""]
        if len(unlabelled_ids):
            raise ValueError(
                f"{len(unlabelled_ids)} pictures lack the label {question.label!r}, the first is {unlabelled_ids[0]!r}"
            )
        self.label = image_labels == question.in_class
        other_labels = set(question.against) if question.against else set(image_labels) - {question.in_class}
        for label in [question.in_class, *question.against]:
            if label not in set(image_labels):
                raise ValueError(
                    f"no picture of the trials has label {question.label} {label!r}; there are: "
                    f"{sorted(set(image_labels))}"
                )
        self.kept = self.label | np.isin(image_labels, sorted(other_labels))
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
        separation_rows: list[Row] = []
        point_tables: list[pd.DataFrame] = []
        first_tables: list[pd.DataFrame] = []
        for seed in self.seeds:
            folds = [(self._coded(fold, seed, "train", "val"), self._coded(fold, seed, "test")) for fold in self._folds]
            separation_rows += [row | self._about(seed, folds[0][0][1].shape[1]) for row in self._tests(folds, seed)]
            point_tables.append(_points(folds[0][1], self.classes, int(seed)).assign(seed=str(seed)))
            if not first_tables:
                first_tables = [
                    _units(*folds[0], self.classes).assign(seed=str(seed)),
                    _codes(folds[0][1], self.classes),
                ]
        return _Answers(pd.DataFrame(separation_rows), pd.concat(point_tables, ignore_index=True), *first_tables)

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
        for scale_apart in (False, True):
            transductive = "test" if scale_apart else self.notes.transductive
            rows.append(self._lengths(seed, scale_apart) | {"transductive": transductive})
        return rows

    def _area(self, coded_folds: list[tuple[Coded, Coded]], seed: int) -> Row:
        """Held-out separation by a logistic regression, over all folds."""
        classes, question = self.classes, self.question
        fold_codes = []
        for coded_fold in coded_folds:
            fold_parts = []
            for trial_rows, codes in coded_fold:
                is_asked = classes.kept[classes.image[trial_rows]]
                fold_parts += [codes[is_asked], classes.number[classes.image[trial_rows[is_asked]]]]
            fold_codes.append(latents.FoldCodes(*fold_parts))
        in_class, trading_block = classes.label[classes.kept], classes.within[classes.kept]
        n_permutations = question.permutations if self.settings["permutations"] else 0
        separation = latents.separate(fold_codes, in_class, trading_block, n_permutations, seed, question.penalty)
        test_pictures = np.unique(np.concatenate([fold.test_picture for fold in fold_codes]))
        return {
            **{"metric": "auc", "protocol": "mended", "value": separation.auc},
            **{"ci_low": separation.ci_low, "ci_high": separation.ci_high},
            **({"ci_method": "jackknife over images"} if len(fold_codes) == 1 else {}),
            **{"chance": CHANCE},
            **({"p": separation.p, "p_kind": "refit", "n_permutations": n_permutations} if n_permutations else {}),
            **{"n_train": len(fold_codes[0].train), "n_test": sum(len(fold.test) for fold in fold_codes)},
            **{"n_test_images": len(test_pictures), "n_class_images": int(in_class[test_pictures].sum())},
        }

    def _lengths(self, seed: int, scale_apart: bool) -> Row:
        """Published test of lengths of codes, over held-out pictures; ``scale_apart``: each class scaled by itself."""
        fold_codes = [self._coded_pictures(fold, seed, scale_apart) for fold in self._folds]
        codes, in_class = (np.concatenate(fold_arrays) for fold_arrays in zip(*fold_codes, strict=True))
        p = latents.norm_test(codes, in_class)
        return {
            **{"metric": "norm_p", "protocol": "published" if scale_apart else "mended", "value": p},
            **{"p": p, "p_kind": "rank test", "n_permutations": 0},
            **{"n_test_images": len(in_class), "n_class_images": int(in_class.sum())},
        }

    def _coded_pictures(self, fold: int, seed: int, scale_apart: bool) -> Coded:
        """Codes of a fold's held-out pictures, (n_pictures, n_latents), and whether each is in the class."""
        classes = self.classes
        test_rows = self.data.rows(fold, "test")
        test_rows = test_rows[classes.kept[classes.image[test_rows]]]
        picture, picture_index = np.unique(classes.image[test_rows], return_inverse=True)
        measured = np.asarray(arrays.rows(self.data.responses, test_rows), dtype=np.float64)
        responses = averaging.average_by(measured, picture_index, len(picture))  # (n_pictures, n_vertices)
        responses = in_training_scale(responses, np.full(len(responses), fold), self.weights, "inputs")
        in_class = classes.label[picture]
        if scale_apart and 1 < in_class.sum() < len(in_class) - 1:
            responses = latents.scaled_apart(responses, in_class)
        return encoded(self.plugin, self.weights, fold, seed, responses.astype(np.float32)), in_class


def _labels(stimuli: str, label: str) -> pd.Series:
    """Give the label of each picture by name."""
    table = tables.read(stimuli)
    column = f"label_{label}"
    if column not in table:
        available = [name.removeprefix("label_") for name in table if name.startswith("label_")]
        raise ValueError(
            f"{stimuli} has no label {label!r}; there are: {available or 'none'} (labels come with the data set, for "
            "some by a key of its entry that names a table of yours)"
        )
    return table.set_index("image_id")[column]


def _points(coded: Coded, classes: _Classes, seed: int) -> pd.DataFrame:
    """Codes of held-out trials on two axes."""
    trial_rows, codes = coded
    image = classes.image[trial_rows]
    is_asked = classes.kept[image]
    embedding = latents.embed(codes[is_asked], seed)
    axis_columns = dict(zip(EMBEDDING[-5:-1], [*embedding["pca"].T, *embedding["tsne"].T], strict=True))
    return pd.DataFrame(
        {"image_id": classes.names[image[is_asked]], "in_class": classes.label[image[is_asked]], **axis_columns}
    )


def _units(train_coded: Coded, test_coded: Coded, classes: _Classes) -> pd.DataFrame:
    """The pictures that drive each unit, of all that were shown, by the mean over their trials."""
    trial_rows, codes = (np.concatenate(pair) for pair in zip(train_coded, test_coded, strict=True))
    picture, picture_index = np.unique(classes.image[trial_rows], return_inverse=True)
    mean_activation = averaging.average_by(codes.astype(np.float64), picture_index, len(picture))
    top_index = np.argsort(-mean_activation, axis=0, kind="stable")[:FIRST_IMAGES]  # (n_first, n_units)
    held_out = np.isin(picture, classes.image[test_coded[0]])
    is_asked = classes.kept[classes.image[test_coded[0]]]
    in_class = classes.label[classes.image[test_coded[0][is_asked]]]
    class_auc = [metrics.area(unit_codes, in_class) for unit_codes in test_coded[1][is_asked].T]
    n_first, n_units = top_index.shape
    top_pictures = picture[top_index]
    return pd.DataFrame(
        {
            "unit": np.tile(np.arange(n_units), n_first),
            "active_share": np.tile((test_coded[1] != 0).mean(axis=0), n_first),
            "class_auc": np.tile(class_auc, n_first),
            "rank": np.repeat(np.arange(1, n_first + 1), n_units),
            "image_id": classes.names[top_pictures].ravel(),
            "activation": np.take_along_axis(mean_activation, top_index, axis=0).ravel(),
            "in_class": classes.label[top_pictures].ravel(),
            "held_out": held_out[top_index].ravel(),
        }
    )


def _codes(test_coded: Coded, classes: _Classes) -> pd.DataFrame:
    """Code of each held-out picture."""
    picture, picture_index = np.unique(classes.image[test_coded[0]], return_inverse=True)
    mean_codes = averaging.average_by(test_coded[1].astype(np.float64), picture_index, len(picture)).astype(np.float32)
    return pd.DataFrame({"image_id": classes.names[picture], "code": list(mean_codes)})


def _map(predicted: np.ndarray, job: _Job, places: pd.DataFrame, has_images: bool) -> pd.DataFrame:
    """Difference of the classes at each vertex, measured and reconstructed; on fsaverage5 where that is possible."""
    data, classes = job.data, job.classes
    test, _, test_rows = test_set(data, has_images)
    unscaled = [predicted.astype(np.float64), np.asarray(arrays.rows(data.responses, test_rows), dtype=np.float64)]
    reconstructed, measured = (in_training_scale(values, test.fold, job.weights, "targets") for values in unscaled)
    image = classes.image[test_rows]
    in_class, in_contrast = classes.label[image], classes.kept[image] & ~classes.label[image]
    table = pd.DataFrame(
        {
            "space": job.notes.space,
            "hemisphere": places["hemisphere"].map(SIDES) if "hemisphere" in places else "",
            "vertex": places["vertex"] if "vertex" in places else np.arange(len(places)),
            "roi": smallest_region(places),
            "measured": measured[in_class].mean(axis=0) - measured[in_contrast].mean(axis=0),
            "reconstructed": reconstructed[in_class].mean(axis=0) - reconstructed[in_contrast].mean(axis=0),
            "r": metrics.correlation(reconstructed, measured),
        }
    )
    if "fsaverage_vertex" in places:  # of the finest mesh: every 16th or so is one of the coarse mesh too
        on_coarse_mesh = places["fsaverage_vertex"] < N_MESH
        table = table.assign(space=MESH, vertex=places["fsaverage_vertex"])[on_coarse_mesh].reset_index(drop=True)
    return table
