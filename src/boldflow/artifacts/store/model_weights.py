"""Names of arrays in a model's safetensors: states of each fold and seed, and scalers of each fold.

- ``fold{f}/seed{s}/NAME``: a fitted state
- ``fold{f}/targets/mean``, ``/sd``: scaler of the targets
- ``fold{f}/inputs/mean``, ``/sd``: scaler of the inputs; of pooled subjects ``fold{f}/inputs/{subject}/...``

The header's note says what the columns of the targets are (``target_columns``, JSON).
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from boldflow.artifacts.store import weights

Arrays = dict[str, np.ndarray]
COLUMNS = "target_columns"


def fold_name(fold: int) -> str:
    """Name a fold's part of the file, and of what is kept of an unfinished fit."""
    return f"fold{fold}"


def named_state(fold: int, seed: int | str, state: Arrays) -> Arrays:
    """Put the names of the file before those of a fitted state's arrays."""
    return _named(f"{fold_name(fold)}/seed{seed}", state)


def named_targets(fold: int, scaler: Arrays) -> Arrays:
    """Put the names of the file before those of the scaler of a fold's targets."""
    return _named(f"{fold_name(fold)}/targets", scaler)


def named_inputs(fold: int, scaler: Arrays, subject: str = "") -> Arrays:
    """Put the names of the file before those of the scaler of a fold's inputs; ``subject`` where several are pooled."""
    return _named(f"{fold_name(fold)}/inputs" + (f"/{subject}" if subject else ""), scaler)


def state(path: str | Path, fold: int, seed: int | str) -> Arrays:
    """Read a fitted state."""
    return weights.read(path, f"{fold_name(fold)}/seed{seed}/")


def targets_scaler(path: str | Path, fold: int) -> Arrays:
    """Read the scaler of a fold's targets: ``mean`` and ``sd``, (n_targets,) each."""
    return weights.read(path, f"{fold_name(fold)}/targets/")


def inputs_scaler(path: str | Path, fold: int) -> Arrays:
    """Read the scaler of a fold's inputs: ``mean`` and ``sd``, (n_inputs,) each."""
    return weights.read(path, f"{fold_name(fold)}/inputs/")


def write(path: str | Path, arrays: Arrays, target_columns: dict[str, Any]) -> None:
    """Write a model's arrays, and in the header what the columns of its targets are."""
    weights.write(path, arrays, {COLUMNS: json.dumps(target_columns, sort_keys=True)})


def target_columns(path: str | Path) -> dict[str, Any]:
    """Read what the columns of a model's targets are, as they were written."""
    columns: dict[str, Any] = json.loads(weights.note(path).get(COLUMNS, "{}"))
    return columns


def _named(prefix: str, arrays: Arrays) -> Arrays:
    return {f"{prefix}/{name}": array for name, array in arrays.items()}
