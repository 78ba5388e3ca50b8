"""Samples in the BData layout of Kamitani's group (bdpy, BrainDecoderToolbox2), read with h5py alone.

``dataset`` is (n_samples, n_columns): voxels, labels and run numbers side by side. ``metadata`` says which column is
what: a row of ``metadata/value`` (n_keys, n_columns) per name in ``metadata/key``, 1 where a column belongs to the key,
or the key's value there (a coordinate), NaN where it does not apply.
"""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

BROKEN = (OSError, RuntimeError, KeyError)  # what h5py makes of a file that is not whole


@dataclass(frozen=True)
class BData:
    """``dataset`` float64 (n_samples, n_columns), ``metadata`` float64 (n_columns,) by key, ``path`` for messages."""

    path: Path
    dataset: np.ndarray
    metadata: dict[str, np.ndarray]

    def members(self, key: str) -> np.ndarray:
        """Tell which columns belong to a key, bool (n_columns,).

        Raises
        ------
        ValueError
            If there is no such key, or no column belongs to it.
        """
        if key not in self.metadata:
            raise ValueError(f"{self.path} has no key {key!r}; there are: {', '.join(sorted(self.metadata))}")
        belongs: np.ndarray = self.metadata[key] == 1
        if not belongs.any():
            raise ValueError(f"{self.path}: no column belongs to {key!r}")
        return belongs

    def column(self, key: str) -> np.ndarray:
        """Give the one column of a key, (n_samples,).

        Raises
        ------
        ValueError
            If not exactly one column belongs to it.
        """
        columns = np.flatnonzero(self.members(key))
        if len(columns) != 1:
            raise ValueError(f"{self.path}: {len(columns)} columns belong to {key!r}, expected one")
        return self.dataset[:, columns[0]]


def read(path: str | Path) -> BData:
    """Read a file whole.

    Raises
    ------
    ValueError
        If the file is no whole HDF5 (tells its bytes), is not of this layout, its numbers are not float64 (ids lose
        digits in less), or its parts differ in columns.
    """
    path = Path(path)
    try:
        with h5py.File(path, "r", locking=False) as handle:
            stored = {name: handle.get(name) for name in ("dataset", "metadata/key", "metadata/value")}
            missing = [name for name, item in stored.items() if not isinstance(item, h5py.Dataset)]
            if missing:
                raise ValueError(f"{path} lacks {missing}; there are: {list(handle) or 'none'}")
            for name in ("dataset", "metadata/value"):
                dtype, shape = stored[name].dtype, stored[name].shape
                if dtype != np.float64 or len(shape) != 2:
                    raise ValueError(f"{path}: {name} is {dtype} of shape {shape}, expected float64 in 2 axes")
            if h5py.check_string_dtype(stored["metadata/key"].dtype) is None:
                raise ValueError(f"{path}: metadata/key is {stored['metadata/key'].dtype}, expected text")
            keys = [str(key) for key in stored["metadata/key"].asstr()[:]]
            dataset, metadata_rows = stored["dataset"][:], stored["metadata/value"][:]
    except BROKEN as error:
        if not path.is_file():
            raise
        size = path.stat().st_size
        raise ValueError(f"{path} ({size} bytes) is no whole HDF5: {error}; remove it and get it again") from None
    if metadata_rows.shape != (len(keys), dataset.shape[1]) or len(set(keys)) != len(keys):
        raise ValueError(
            f"{path}: metadata/value is {metadata_rows.shape} for {len(set(keys))} different keys and "
            f"{dataset.shape[1]} columns, expected a row per key and a value per column"
        )
    return BData(path, dataset, dict(zip(keys, metadata_rows, strict=True)))
