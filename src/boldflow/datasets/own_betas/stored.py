"""Betas as files hold them: HDF5 (GLMsingle's own), NumPy arrays and NIfTI, read in blocks."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from boldflow.artifacts.formats import volumes

HDF5, NUMPY, NIFTI = (".h5", ".hdf5"), (".npy",), (".nii", ".nii.gz")
ENDINGS = (*HDF5, *NUMPY, *NIFTI)
BLOCK_VALUES = 1 << 24  # stored numbers that are in memory at once
Block = tuple[slice, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Stored:
    """One file: ``n_trials`` on ``grid``, (x, y, z) or (n_units,); ``axis`` as the entry's key ``trial_axis``."""

    path: Path
    dataset: str
    axis: str
    grid: tuple[int, ...]
    n_trials: int

    @contextmanager
    def opened(self) -> Iterator[Any]:
        """Give the array on disk, as it is stored."""
        if self.path.name.endswith(HDF5):
            with h5py.File(self.path, "r", locking=False) as handle:
                yield handle[self.dataset]
        else:
            yield np.load(self.path, mmap_mode="r", allow_pickle=False)


@dataclass(frozen=True)
class Betas:
    """Betas of one file that stay on disk: rows in the order of ``numbers`` (n_rows,), columns by ``places``.

    ``places`` (n_columns,): of each column, the place on the grid, counted as NumPy counts (last axis fastest).
    """

    stored: Stored
    numbers: np.ndarray
    places: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Trials and columns."""
        return len(self.numbers), len(self.places)

    def blocks(self, chosen: np.ndarray) -> Iterator[Block]:
        """Read the chosen columns, bool (n_columns,); see ``core.records.runs.LazyBetas``."""
        places = self.places[chosen]
        if self.stored.path.name.endswith(NIFTI):
            yield from self._of_nifti(places)
            return
        with self.stored.opened() as values:
            by_trial = self._by_trial if self.stored.axis != "last" else self._by_place
            yield from by_trial(values, places)

    def _of_nifti(self, places: np.ndarray) -> Iterator[Block]:
        inside = np.zeros(self.stored.grid, dtype=bool)
        inside.reshape(-1)[places] = True
        column = np.searchsorted(np.flatnonzero(inside), places)
        betas = volumes.in_mask(self.stored.path, inside)  # (n_trials, n_chosen), in the order of the grid
        yield slice(0, len(self.numbers)), np.arange(len(places)), betas[self.numbers][:, column]

    def _by_trial(self, values: Any, places: np.ndarray) -> Iterator[Block]:
        """Read whole trials, some at a time: they lie together."""
        place_of = np.arange(int(np.prod(self.stored.grid))).reshape(self.stored.grid)
        stored_places = place_of.transpose() if self.stored.axis == "reversed" else place_of
        position = np.argsort(stored_places, axis=None)[places]  # where a place stands among a trial's numbers
        n_rows = max(1, BLOCK_VALUES // int(np.prod(self.stored.grid)))
        for start in range(0, len(self.numbers), n_rows):
            numbers = self.numbers[start : start + n_rows]
            first = int(numbers.min())
            if int(numbers.max()) - first < 2 * n_rows:
                trials = np.asarray(values[first : int(numbers.max()) + 1])[numbers - first]
            else:  # rows in another order than betas, from all over the file
                trials = np.stack([np.asarray(values[int(number)]) for number in numbers])
            block = trials.reshape(len(numbers), -1)[:, position].astype(np.float32)
            yield slice(start, start + len(numbers)), np.arange(len(places)), block

    def _by_place(self, values: Any, places: np.ndarray) -> Iterator[Block]:
        """Read all trials of some places: their numbers lie together."""
        n_inner = int(np.prod(self.stored.grid[1:]))  # places of one index of the first axis
        n_first = max(1, BLOCK_VALUES // (n_inner * self.stored.n_trials))
        for start in range(0, self.stored.grid[0], n_first):
            is_here = (places >= start * n_inner) & (places < (start + n_first) * n_inner)
            if is_here.any():
                rows = np.asarray(values[start : start + n_first]).reshape(-1, self.stored.n_trials)
                block = rows[places[is_here] - start * n_inner].T[self.numbers]
                yield slice(0, len(self.numbers)), np.flatnonzero(is_here), block.astype(np.float32)


def look(path: Path, dataset: str, axis: str) -> Stored:
    """Read what a file says of its shape.

    Parameters
    ----------
    path : Path
    dataset : str
        Name of the array in an HDF5 file.
    axis : {"last", "first", "reversed"}
        Where trials are: (x, y, z, n_trials) or (n_units, n_trials); (n_trials, x, y, z) or (n_trials, n_units);
        (n_trials, z, y, x), as MATLAB's HDF5 is shown. A NIfTI's are last.

    Raises
    ------
    ValueError
        If the file is not whole, holds a pickle or no real numbers, or has another number of axes; says what it holds.
    FileNotFoundError
        If it is not there.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there, or a link without content; correct the key betas")
    if path.name.endswith(NIFTI):
        shape, kind, axis = volumes.shape(path), "f", "last"
    elif path.name.endswith((*HDF5, *NUMPY)):
        shape, kind = _header(path, dataset)
    else:
        raise ValueError(f"{path} ends with none of {', '.join(ENDINGS)}; save betas as one of these")
    if kind != "f":
        raise ValueError(
            f"{path} holds numbers of kind {kind!r}; expected real numbers (float32, float64): divide and save"
        )
    if len(shape) not in (2, 4) or (path.name.endswith(NIFTI) and len(shape) != 4):
        raise ValueError(f"{path} has shape {shape}; expected (x, y, z) and trials, or (units) and trials")
    grid = shape[:-1] if axis == "last" else shape[1:]
    grid = tuple(reversed(grid)) if axis == "reversed" else grid
    return Stored(path, dataset, axis, grid, shape[-1] if axis == "last" else shape[0])


def _header(path: Path, dataset: str) -> tuple[tuple[int, ...], str]:
    """Shape and kind of numbers of an array in HDF5 or NumPy's format."""
    try:
        if path.name.endswith(NUMPY):
            values = np.load(path, mmap_mode="r", allow_pickle=False)
            return values.shape, values.dtype.kind
        with h5py.File(path, "r", locking=False) as handle:
            names = [name for name, item in handle.items() if isinstance(item, h5py.Dataset)]
            if dataset in names:
                return handle[dataset].shape, handle[dataset].dtype.kind
    except (OSError, EOFError, ValueError) as error:
        if "pickle" in str(error) or "Python objects" in str(error):
            raise ValueError(
                f"{path} is a pickle, as GLMsingle's own .npy are, which this project does not open: name its .hdf5, "
                "or save the array alone: np.save('betas.npy', results['typed']['betasmd'])"
            ) from None
        raise _broken(path, error) from None
    raise ValueError(f"{path} has no array {dataset!r}; there are: {', '.join(names)}; set the key dataset")


def _broken(path: Path, error: Exception) -> ValueError:
    return ValueError(f"{path} ({path.stat().st_size} bytes) is not whole: {error}; write it again")
