"""Sparse matrices that are built once and kept on disk under a digest of what they were built from."""

import logging
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import sparse

from boldflow.artifacts.store.atomic import atomic

PARTS = ("data", "indices", "indptr", "shape")
BROKEN = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error)


def kept(folder: str | Path, digest: str, build: Callable[[], sparse.csr_array]) -> sparse.csr_array:
    """Read the matrix of a digest, or build and keep it.

    A file that is not whole (each part has a CRC) is built anew, and the log says so: nothing but time is lost with it.

    Parameters
    ----------
    folder : str or Path
    digest : str
        Of everything that the matrix depends on, the code that builds it too.
    build : callable without arguments

    Returns
    -------
    sparse array
    """
    path = Path(folder) / f"{digest}.npz"
    if path.is_file():
        try:
            return _read(path)
        except BROKEN as error:
            size = path.stat().st_size
            logging.getLogger(__name__).warning("%s (%d bytes) is no whole matrix: %s; built anew", path, size, error)
    matrix = build()
    arrays = {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr, "shape": matrix.shape}
    with atomic(path) as temporary, temporary.open("wb") as handle:
        np.savez(handle, **{name: np.asarray(array) for name, array in arrays.items()})  # type: ignore[arg-type]
    return matrix


def _read(path: Path) -> sparse.csr_array:
    with np.load(path, allow_pickle=False) as archive:
        data, indices, indptr, shape = (archive[name] for name in PARTS)
    matrix = sparse.csr_array((data, indices, indptr), shape=tuple(int(n) for n in shape))
    matrix.check_format()
    return matrix
