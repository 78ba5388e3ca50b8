"""Models: one file each, named by a catalogue entry under ``models:``; the entry's ``direction`` is a key of it.

``FACTS``
    ``device`` ("cpu" or "cuda"), ``threads`` (compute threads, fixed), ``closed_form`` (bool: the fit has no
    random part, so one seed is enough); ``keeps`` may say what the size of a trained model goes with: "weights" (inputs
    times targets), "data" (the training trials) or "means" (targets alone), so that estimates are closer.
``SETTINGS``
    ``{key: {"type", "default", "description", ...}}``: JSON schema of the keys that an entry may add.
``READS``, optional
    ``{rule: [keys]}``: which keys of an entry a rule reads (train_model, score_model, analyse_latents), where that is
    not what ``catalogue.READS`` and ``NOT_READ`` say of the section.
``DEFAULTS``, optional
    ``{key: value}``: defaults of its own for keys that it shares with other plug-ins.

``fit(subjects, settings, seeds, device, keeper) -> Fitted``
    ``subjects`` is a list of ``core.records.training.TrainingData`` (one, unless subjects are pooled) that holds
    training and validation trials only (fields: inputs, targets, groups, is_val, bands); ``Fitted(states, history)`` is
    from that module too. One state (dict of arrays) per seed comes back, with a history table of rows.
    ``keeper`` is None or a ``core.networks.progress.ProgressKeeper``: an iterative model loads its progress from it
    and tells it each boundary of a step, where the fit may be stopped; it must give the same states, stopped or not.
    Inputs of responses that keep time (``average: false``) are (n_trials, n_trs, n_vertices): a model that knows no
    time puts TRs side by side (``core.records.training.flat``). Where several subjects are pooled, ``groups`` number
    the same pictures in all of them.
``predict(state, inputs) -> ndarray float32 (n_trials, n_outputs)``
``refit(inputs, groups, test_inputs, settings, seed)``, optional
    A function from targets to the predictions of ``test_inputs`` after a fit to them: what ``fit`` and ``predict``
    would give, made quick for the many refits of a permutation test.
``remarks(states) -> list of str``, optional
    What every score of the model has to say of its fit, given the states of all folds.
``parts(state, inputs) -> ndarray float32 (n_bands, n_trials, n_outputs)``, optional
    What each band of the inputs (``TrainingData.bands``) adds to a prediction: their sum differs from ``predict`` by
    the same constant for all trials.
``without(state, inputs) -> ndarray float32 (n_bands, n_trials, n_outputs) or None``, beside ``parts``
    Predictions of a fit without each band in turn, where the state holds such fits.

``of_subject(state, number) -> state``, where a model pools subjects
    The state with which ``predict`` decodes one of the subjects, by its place in the list that was fitted.

``latents(state, inputs) -> ndarray float32 (n_trials, n_latents)``, of a model of direction represent
    The code from which ``predict`` reconstructs its inputs.

A model with ``training: True`` in its facts has the keys of the schema's ``training`` beside its own, and goes through
``core.networks.fitting.fit_network``: networks, losses, the loop, progress and precision are there. ``linear_start:
True`` adds the key ``start``.

For ``decode`` the inputs are responses and the targets features; for ``encode`` the other way round; for ``represent``
(feature none) both are responses, and ``represents: True`` of the facts allows nothing else (``autoencoder: True``
beside ``training`` for one that is trained in steps). A model of the first two does not need to know which.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from boldflow.core.networks.progress import ProgressKeeper
from boldflow.core.records.training import Fitted, State, TrainingData
from boldflow.settings import Entry
from boldflow.vocabulary.devices import Device


class Model(Protocol):
    """The contract above, as mypy checks it of each plug-in."""

    FACTS: dict[str, Any]

    def fit(
        self,
        subjects: Sequence[TrainingData],
        settings: Entry,
        seeds: Sequence[int],
        device: Device,
        keeper: ProgressKeeper | None,
    ) -> Fitted:
        """Fit a state per seed."""

    def predict(self, state: State, inputs: np.ndarray) -> np.ndarray:
        """Predict the targets of trials, float32 (n_trials, n_outputs)."""


class PoolsSubjects(Model, Protocol):
    """A model that learns from several subjects."""

    def of_subject(self, state: State, number: int) -> State:
        """Give the state that decodes one of the subjects."""


class Refits(Model, Protocol):
    """A model with a quick way to fit to other targets."""

    def refit(
        self, inputs: np.ndarray, groups: np.ndarray, test_inputs: np.ndarray, settings: Entry, seed: int
    ) -> Callable[[np.ndarray], np.ndarray]:
        """Give a function from targets to predictions of ``test_inputs``."""


class Remarks(Model, Protocol):
    """A model that has something to say of its fits."""

    def remarks(self, states: Sequence[State]) -> list[str]:
        """Say what every score has to tell, given the states of all folds."""


class TellsBandsApart(Model, Protocol):
    """An encoder that says what each of several joined features explains."""

    def parts(self, state: State, inputs: np.ndarray) -> np.ndarray:
        """Give what each band adds, float32 (n_bands, n_trials, n_outputs)."""

    def without(self, state: State, inputs: np.ndarray) -> np.ndarray | None:
        """Predict without each band in turn, float32 (n_bands, n_trials, n_outputs), or None."""


class Represents(Model, Protocol):
    """A model of direction represent."""

    def latents(self, state: State, inputs: np.ndarray) -> np.ndarray:
        """Give the code of trials, float32 (n_trials, n_latents)."""


# by the name of the function that a plug-in of that contract has
FURTHER = {
    "of_subject": PoolsSubjects,
    "refit": Refits,
    "remarks": Remarks,
    "parts": TellsBandsApart,
    "latents": Represents,
}
