"""Training of one model on one subject, or on all together: all seeds and folds in one job."""

import contextlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from tqdm import tqdm

from boldflow import registry
from boldflow.artifacts.store import model_notes, model_weights, sidecars, tables
from boldflow.core.compute import fixed_threads
from boldflow.core.linear.scaling import scale, unscale
from boldflow.core.records.training import State
from boldflow.models import Model, PoolsSubjects, Remarks
from boldflow.provenance import canonical, digest
from boldflow.registry import plugin_of
from boldflow.settings import Entry, read_entry
from boldflow.stages import _interruption, _predictions
from boldflow.stages._aligned import Aligned, align_all
from boldflow.stages.models._inputs import inputs_and_targets, pooled_data
from boldflow.stages.models._progress import ProgressFolder
from boldflow.vocabulary.devices import Device
from boldflow.vocabulary.facts import ModelFacts
from boldflow.vocabulary.results import NONE

LOG = logging.getLogger(__name__)


def run(
    responses: list[str],
    responses_sidecar: list[str],
    features: str | list[str],
    index: str | list[str],
    features_sidecar: str | list[str],
    trials: list[str],
    split: str,
    weights: str,
    predictions: str,
    predictions_index: str,
    history: str,
    sidecar: str,
    subjects: str,
    settings: str,
    code: str,
    device: Device,
) -> None:
    """Fit on the training and validation trials of each fold, predict its test trials.

    Parameters
    ----------
    responses, responses_sidecar, trials : paths to read, one of each per subject; several subjects are pooled. Without
        responses the model sees features alone, a picture a trial
    features, index, features_sidecar, split : paths to read; nothing for the first three where the model sees only
        responses
    weights : path of the safetensors to write (names: ``artifacts.store.model_weights``)
    predictions : path of the .npy to write, (n_seeds, n_test_trials over folds, n_targets) float32, in the targets'
        own units
    predictions_index : path of the Parquet to write: subject, session, run, trial, image_id and fold of each test trial
    history, sidecar : paths of the CSV and the JSON to write
    subjects : names of the subjects in that order, JSON text
    settings : the model's catalogue entry, JSON text
    code : digests of the modules of this stage and the model's plug-in, JSON text
    device : "cpu" or "cuda", as the job asked
    """
    subject_names: list[str] = json.loads(subjects)
    everyone = align_all(responses, features, index, trials, split, subject_names)
    made_of = _made_of(responses_sidecar, features_sidecar, split)
    job = _Job(read_entry(settings), subject_names if responses else [NONE], everyone, device)
    input_paths = [*responses, *([str(features)] if features else []), *trials, split]
    ticket = _ticket([dict(job.entry), code, device, job.names, made_of.sources], *input_paths)
    progress = ProgressFolder(Path(weights).parent / ".checkpoints", ticket)
    # a closed-form fit has no steps to go on from: it ends at once
    interruption = contextlib.nullcontext() if job.facts.closed_form else _interruption.deferred()
    with interruption, fixed_threads(job.facts.threads):
        fits = _Fits([[] for _ in job.names])
        for fold in tqdm(range(everyone[0].n_folds), desc=f"train {job.entry.name}", unit="fold"):
            job.fit(fold, progress, fits)
    _predictions.write(predictions, predictions_index, fits.together(), everyone)
    history_columns = list(fits.history[0]) if fits.history else ["fold"]
    tables.write_csv(history, pd.DataFrame(fits.history, columns=history_columns))
    model_weights.write(weights, fits.arrays, made_of.target_columns(job.entry))
    model_notes.write(sidecar, replace(made_of.notes(job.entry, device, code), remarks=job.remarks(fits)))
    progress.remove()


@dataclass(frozen=True)
class _Fits:
    """What the folds give one after the other: of each subject the predictions (n_seeds, n_test_trials, n_targets)."""

    predicted: list[list[np.ndarray]]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    history: list[dict[str, float | int | str]] = field(default_factory=list)
    first_states: list[State] = field(default_factory=list)  # of each fold, that of the first seed

    def together(self) -> np.ndarray:
        """Predictions of all subjects' test trials, subject after subject, float32."""
        return np.concatenate(
            [fold_predicted for subject_predicted in self.predicted for fold_predicted in subject_predicted], axis=1
        ).astype(np.float32)


@dataclass(frozen=True)
class _Job:
    """A model's entry, and the subjects that it learns from."""

    entry: Entry
    names: list[str]
    everyone: Sequence[Aligned]
    device: Device

    @property
    def plugin(self) -> Model:
        return cast(Model, plugin_of("models", self.entry))

    @property
    def facts(self) -> ModelFacts:
        return registry.facts(ModelFacts, "models", self.entry.plugin)

    def fit(self, fold: int, progress: ProgressFolder, fits: _Fits) -> None:
        """Fit one fold, predict its test trials, and add both to ``fits``."""
        entry, seeds, pooled = self.entry, self.entry["seeds"], len(self.names) > 1
        training, input_scalers, target_scaler = pooled_data(self.everyone, fold, entry)
        fold_progress = progress.part(model_weights.fold_name(fold))
        fitted = self.plugin.fit(training, entry, seeds, self.device, fold_progress)
        fits.arrays.update(model_weights.named_targets(fold, target_scaler))
        for subject_number, (name, scaler) in enumerate(zip(self.names, input_scalers, strict=True)):
            states = self._of_subject(fitted.states, subject_number) if pooled else fitted.states
            inputs = self._test_inputs(subject_number, fold, scaler)
            seed_predictions = [unscale(self.plugin.predict(state, inputs), target_scaler) for state in states]
            fits.predicted[subject_number].append(np.stack(seed_predictions))
            fits.arrays.update(model_weights.named_inputs(fold, scaler, name if pooled else ""))
        for seed, state in zip(seeds, fitted.states, strict=True):
            fits.arrays.update(model_weights.named_state(fold, seed, state))
        fits.first_states.append(fitted.states[0])
        fits.history.extend({"fold": fold, **line} for line in fitted.history)

    def remarks(self, fits: _Fits) -> tuple[str, ...]:
        """What scores have to tell of the fits, as the plug-in says; told in the log too."""
        if not hasattr(self.plugin, "remarks"):
            return ()
        remarks = tuple(cast(Remarks, self.plugin).remarks(fits.first_states))
        for remark in remarks:
            LOG.warning("%s: %s", self.entry.name, remark)
        return remarks

    def _of_subject(self, states: Sequence[State], subject_number: int) -> list[State]:
        """States with which one of several subjects is decoded."""
        plugin = cast(PoolsSubjects, self.plugin)
        return [plugin.of_subject(state, subject_number) for state in states]

    def _test_inputs(self, subject_number: int, fold: int, scaler: State) -> np.ndarray:
        data = self.everyone[subject_number]
        inputs_of = inputs_and_targets(data, self.entry["direction"])[0]
        return scale(inputs_of(data.rows(fold, "test")), scaler)


@dataclass(frozen=True)
class _MadeOf:
    """Sidecars of what a model was made of: responses of each subject, the feature (nothing without), the split."""

    responses: list[Mapping[str, Any]]
    feature: Mapping[str, Any]
    split: Mapping[str, Any]

    @property
    def sources(self) -> list[Mapping[str, Any]]:
        """All sidecars; of a feature that joins others also those that say how each was made."""
        return list(self._sources())

    def _sources(self) -> Iterator[Mapping[str, Any]]:
        yield from self.responses
        if self.feature:
            yield self.feature
        yield self.split
        yield from self.feature.get("members", {}).values()

    def target_columns(self, entry: Entry) -> dict[str, Any]:
        """Say what the columns of the targets are: names, bands of joined features, or rows of a table."""
        if entry["direction"] != "decode" and self.responses:
            return {"rows_of": "vertices.parquet"}
        column_notes = {key: self.feature[key] for key in ("columns", "bands") if key in self.feature}
        return {"columns_of": self.feature.get("settings", {}).get("name", ""), **column_notes}

    def notes(self, entry: Entry, device: str, code: str) -> model_notes.ModelNotes:
        """Give the notes of a model that was made of these."""
        first_response = self.responses[0] if self.responses else {}
        source_settings = [note.get("settings", note.get("rule")) for note in self.sources]
        return model_notes.ModelNotes(
            entry=entry,
            device=device,
            code=code,
            versions=sidecars.versions("numpy", "scipy", "scikit-learn"),
            sources=tuple(map(model_notes.source_of, self.sources)),
            configs=(*source_settings, *([first_response["dataset"]] if first_response else [])),
            feature_kind=self.feature.get("kind", NONE),
            transductive=first_response["transductive"] if first_response else None,
            space=first_response["space"] if first_response else NONE,
        )


def _made_of(responses: Sequence[str], feature: str | list[str], split: str) -> _MadeOf:
    """Read the sidecars of what a model is made of."""
    feature_note = sidecars.read(str(feature)) if feature else {}
    return _MadeOf([sidecars.read(path) for path in responses], feature_note, tables.sidecar(split))


def _ticket(notes: list[Any], *paths: str) -> str:
    """Digest what the fitted states depend on: progress towards anything else is of no use."""
    file_states = [(path, Path(path).stat().st_size, Path(path).stat().st_mtime_ns) for path in paths]
    return digest(canonical([notes, file_states, sidecars.versions("numpy", "scipy", "torch")]))
