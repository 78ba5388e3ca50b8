"""Weights as safetensors: named arrays, read without torch, nothing ever unpickled."""

import json
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from boldflow.artifacts.store.atomic import atomic, broken


def write(path: str | Path, arrays: dict[str, np.ndarray], note: dict[str, str] | None = None) -> None:
    """Write named arrays; ``note`` goes into the header as one line of JSON."""
    contiguous_arrays = {name: np.ascontiguousarray(array) for name, array in sorted(arrays.items())}
    with atomic(path) as temporary:
        try:
            save_file(contiguous_arrays, temporary, metadata={"boldflow": json.dumps(note or {}, sort_keys=True)})
        except (OSError, SafetensorError) as error:  # of a full disk
            error.add_note(
                f"{sum(array.nbytes for array in contiguous_arrays.values())} bytes of arrays were to be written"
            )
            raise


def read(path: str | Path, prefix: str = "") -> dict[str, np.ndarray]:
    """Read the arrays whose names start with ``prefix``, which is taken off.

    Raises
    ------
    ValueError
        If the file is not whole safetensors; names it and its bytes.
    """
    try:
        arrays = load_file(path)
    except SafetensorError as error:
        raise broken(path, "safetensors", error) from None
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def note(path: str | Path) -> dict[str, str]:
    """Read the note in the header.

    Raises
    ------
    ValueError
        If the file is not whole safetensors; names it and its bytes.
    """
    try:
        with safe_open(path, "numpy") as handle:
            header = handle.metadata() or {}
    except SafetensorError as error:
        raise broken(path, "safetensors", error) from None
    header_note: dict[str, str] = json.loads(header.get("boldflow", "{}"))
    return header_note
