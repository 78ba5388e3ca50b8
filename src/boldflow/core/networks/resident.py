"""Trials that lie on the device for as long as a network trains, and batches of them."""

from collections.abc import Sequence

import numpy as np
import torch

from boldflow.core.networks.decoders import Part
from boldflow.core.records.training import TrainingData
from boldflow.vocabulary.devices import Device


class Resident:
    """Training and validation trials of one subject or of several, in one numbering.

    Parameters
    ----------
    subjects : sequence of TrainingData
        Inputs (n_trials, n_vertices), or (n_trials, n_trs, n_vertices); groups of several subjects number the same
        pictures.
    subject_layers : bool
        Whether each subject has an input layer of its own; else all go through one.
    device : "cpu" or "cuda"

    Raises
    ------
    ValueError
        If inputs or targets are not finite, or subjects differ in what they would have to share.
    RuntimeError
        If the device is "cuda" and torch finds none.
    """

    def __init__(self, subjects: Sequence[TrainingData], subject_layers: bool, device: Device) -> None:
        """Bring all trials to the device."""
        if device == "cuda" and not torch.cuda.is_available():
            raise RuntimeError(
                "this job was given a GPU, and torch finds none (a driver that is missing, or a torch without CUDA): "
                "mend it, or choose the CPU with --profile cpu (--set-resources train_model:gpu=0)"
            )
        shapes = [with_time(subject.inputs).shape[1:] for subject in subjects]
        _agree(shapes, [subject.targets.shape[1] for subject in subjects], subject_layers)
        # each (n_trials, n_trs, n_vertices)
        inputs = [
            torch.from_numpy(np.ascontiguousarray(with_time(subject.inputs), dtype=np.float32)) for subject in subjects
        ]
        for subject, subject_inputs in zip(subjects, inputs, strict=True):
            if not (_finite(subject_inputs) and np.isfinite(subject.targets).all()):
                raise ValueError("inputs and targets must be finite")
        self.device = torch.device(device)
        # moved subject by subject: no second copy of all on this side
        device_inputs = [subject_inputs.to(self.device) for subject_inputs in inputs]
        self._inputs = device_inputs if subject_layers or len(device_inputs) == 1 else [torch.cat(device_inputs)]
        self.targets = _on(np.concatenate([subject.targets for subject in subjects]).astype(np.float32), self.device)
        self.groups = _on(np.concatenate([subject.groups for subject in subjects]).astype(np.int64), self.device)
        self.is_val = np.concatenate([subject.is_val for subject in subjects])
        n_trials = [len(subject_inputs) for subject_inputs in self._inputs]
        self._subject = np.repeat(np.arange(len(n_trials)), n_trials)
        self._row = np.concatenate([np.arange(n) for n in n_trials])
        self._buffers: dict[tuple[int, ...], torch.Tensor] = {}

    @property
    def vertices(self) -> tuple[int, ...]:
        """Vertices of each input layer."""
        return tuple(inputs.shape[2] for inputs in self._inputs)

    @property
    def n_trs(self) -> int:
        """TRs of a trial; 1 for a mean over time."""
        return self._inputs[0].shape[1]

    @property
    def n_features(self) -> int:
        """Features of a picture."""
        return self.targets.shape[1]

    def batch(self, rows: np.ndarray) -> tuple[list[Part], torch.Tensor, torch.Tensor]:
        """Collect trials: their parts, targets (n_trials, n_features) and groups (n_trials,).

        The inputs lie in memory that the next batch overwrites.
        """
        device_rows = torch.from_numpy(rows).to(self.device)
        parts = []
        for subject, inputs in enumerate(self._inputs):
            places = np.flatnonzero(self._subject[rows] == subject)
            if not len(places):
                continue
            subject_rows = torch.from_numpy(self._row[rows[places]]).to(self.device)
            part_inputs = torch.index_select(inputs, 0, subject_rows, out=self._memory(subject, len(places)))
            is_whole = len(places) == len(rows)
            parts.append(Part(subject, part_inputs, None if is_whole else torch.from_numpy(places).to(self.device)))
        return parts, self.targets.index_select(0, device_rows), self.groups.index_select(0, device_rows)

    def _memory(self, subject: int, n_trials: int) -> torch.Tensor:
        """Memory of a batch's size, taken once: to get it anew for each batch takes longer than to fill it."""
        shape = (n_trials, *self._inputs[subject].shape[1:])
        if len(self._inputs) > 1:  # numbers of trials differ from batch to batch
            return torch.empty(shape, device=self.device)
        if shape not in self._buffers:
            self._buffers[shape] = torch.empty(shape, device=self.device)
        return self._buffers[shape]


def with_time(inputs: np.ndarray) -> np.ndarray:
    """Give inputs an axis of TRs where they have none: (n_trials, n_trs, n_vertices)."""
    return inputs if inputs.ndim == 3 else inputs[:, None]


def _agree(shapes: Sequence[tuple[int, ...]], n_targets: Sequence[int], subject_layers: bool) -> None:
    """Refuse subjects that cannot share a network."""
    if len({n_trs for n_trs, _ in shapes}) > 1 or len(set(n_targets)) > 1:
        raise ValueError(
            f"pooled subjects differ in TRs {[shape[0] for shape in shapes]} or in targets {list(n_targets)}"
        )
    n_vertices = [n for _, n in shapes]
    if not subject_layers and len(set(n_vertices)) > 1:
        raise ValueError(
            f"pooled subjects have {n_vertices} vertices, and one input layer takes one number of them: set "
            "subject_layers to true, or choose responses on a common surface (space fsaverage5, no rois)"
        )


def _finite(values: torch.Tensor) -> bool:
    """Tell whether all values are finite: a finite sum says so in one pass, and only another is looked into."""
    return bool(values.sum().isfinite() or values.isfinite().all())


def _on(values: np.ndarray, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(values).to(device)
