"""Linear algebra on the CPU by NumPy, or on a GPU by torch: what they do not share beyond operators."""

from typing import Any

import numpy as np
from scipy import linalg

DIVIDED = 8192  # rows of the largest matrix whose eigenvectors are found by divide and conquer
Array = Any  # a NumPy array, or a torch tensor on a GPU


class Operations:
    """On the CPU, with arrays.

    Parameters
    ----------
    dtype : {"float64", "float32"}
        Working precision.
    """

    xp: Any = np

    def __init__(self, dtype: str) -> None:
        """Name the precisions."""
        self.double: Any = np.dtype("float64")
        self.single: Any = np.dtype("float32")
        self.working: Any = np.dtype(dtype)

    def put(self, values: np.ndarray, dtype: Any) -> Array:
        """Bring to the device; no copy where it is there already."""
        return np.asarray(values, dtype=dtype)

    def get(self, values: Array) -> np.ndarray:
        """Give as NumPy's."""
        return np.asarray(values)

    def rows(self, index: np.ndarray) -> Array:
        """Make an index of rows."""
        return index

    def cast(self, values: Array, precision: Any = None) -> Array:
        """Take to a precision, the working one where none is named; no copy where it has it."""
        return values.astype(precision or self.working, copy=False)

    def empty(self, *shape: int) -> Array:
        """Make room, in the working precision."""
        return np.empty(shape, dtype=self.working)

    def eigh(self, gram: Array) -> tuple[Array, Array]:
        """Decompose; ``gram`` is lost."""
        # by divide and conquer: a tenth faster, vectors orthogonal to two digits more; its workspace of 2 n**2 numbers
        # is counted in 32 bits, and weighs where matrices are large
        driver = "evd" if len(gram) <= DIVIDED else "evr"
        values, vectors = linalg.eigh(gram, overwrite_a=True, check_finite=False, driver=driver)
        return values, vectors


class _OnDevice(Operations):
    """On one device of torch, with tensors."""

    def __init__(self, dtype: str, device: str) -> None:
        import torch  # only here: it takes seconds, and a fit on the CPU does without

        self.xp, self.device = torch, torch.device(device)
        self.double, self.single, self.working = torch.float64, torch.float32, getattr(torch, dtype)

    def put(self, values: np.ndarray, dtype: Any) -> Array:
        return self.xp.tensor(values, dtype=dtype, device=self.device)

    def get(self, values: Array) -> np.ndarray:
        array: np.ndarray = values.cpu().numpy()
        return array

    def rows(self, index: np.ndarray) -> Array:
        return self.put(index, self.xp.int64)

    def cast(self, values: Array, precision: Any = None) -> Array:
        return values.to(precision or self.working)

    def empty(self, *shape: int) -> Array:
        return self.xp.empty(shape, dtype=self.working, device=self.device)

    def eigh(self, gram: Array) -> tuple[Array, Array]:
        values, vectors = self.xp.linalg.eigh(gram)
        return values, vectors


def operations(dtype: str, device: str) -> Operations:
    """Choose where to compute: exactly the device that is named.

    Parameters
    ----------
    dtype : {"float64", "float32"}
        Working precision.
    device : str
        "cpu", or a device of torch.

    Raises
    ------
    RuntimeError
        If torch does not have the device, once it is used.
    """
    return Operations(dtype) if device == "cpu" else _OnDevice(dtype, device)


def squares(ops: Operations, values: Array) -> Array:
    """Sum of squares of each column."""
    return ops.xp.einsum("ij,ij->j", values, values)
