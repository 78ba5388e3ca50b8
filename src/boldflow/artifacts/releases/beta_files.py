"""Files of single-trial betas, read through a mask in blocks: HDF5, NIfTI and MGH in the layouts of NSD.

A volume's grid is (x, y, z), a surface's (n_vertices,); columns are in the order of ``np.argwhere(inside)`` on it. The
files hold trial after trial with the first axis fastest, which h5py shows as (n_trials, z, y, x); an HDF5 file may hold
chunks instead, of any shape. Where a trial's numbers stand side by side (also in chunks of whole volumes that no filter
has packed), the file is read as bytes: of each trial, those from the first to the last place of the mask. Of other
chunks whole ones are read, and only those in which the mask lies.
"""

import gzip
import math
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import h5py
import nibabel as nib
import numpy as np

BLOCK_BYTES = 64 << 20  # of stored numbers that are in memory at once, and of float32 values that are given at once
UNREADABLE = (OSError, RuntimeError, KeyError, EOFError, zlib.error)
BROKEN = (*UNREADABLE, ValueError, nib.filebasedimages.ImageFileError)
PIECE_BYTES = 4 << 20  # of bytes read, and of values picked from them, at a time: they stay in the processor's cache
AHEAD_BYTES = 32 << 20  # that the system is asked to read before they are wanted
GAP_BYTES = 128 << 10  # places of a mask further apart are read apart: systems read about as much ahead
KEY = "betas"  # name of the data in an HDF5 file
SAME = 1e-6  # by what share a scale may differ from another and be it: headers hold it in single precision
Block = tuple[slice, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class BetaFile:
    """What a file says of itself.

    ``grid`` is (x, y, z) or (n_vertices,), ``dtype`` that of the stored numbers, ``chunks`` their shape as
    (n_trials, z, y, x) where the file has chunks, else None, ``slope`` and ``inter`` the scale that a NIfTI's header
    states (1 and 0 where it states none); ``starts`` (n_trials,) is the first byte of each trial where its numbers
    stand side by side, else empty.
    """

    path: Path
    n_trials: int
    grid: tuple[int, ...]
    dtype: np.dtype[Any]
    chunks: tuple[int, ...] | None = None
    slope: float = 1.0
    inter: float = 0.0
    starts: tuple[int, ...] = ()

    def blocks(self, inside: np.ndarray, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
        """Read the columns of a mask, each number of the file at most once.

        Parameters
        ----------
        inside : bool array of shape ``grid``
        block_bytes : int
            About as much is in memory at once, twice (as stored, and as float32).

        Yields
        ------
        (slice, int array of shape (n_some,), float32 array of shape (n_rows, n_some))
            Which trials, which of the mask's columns, and the stored numbers: no scale is applied. Blocks come in the
            order that the file is quickest read in.

        Raises
        ------
        ValueError
            If the mask has another shape, or the file is not whole; tells its bytes.
        """
        if inside.shape != self.grid:
            raise ValueError(f"{self.path} is on a grid of {self.grid}, the mask has shape {inside.shape}")
        if not inside.any():
            return
        try:
            yield from (self._streamed(inside, block_bytes) if self.starts else self._chunked(inside, block_bytes))
        except UNREADABLE as error:
            raise _broken(self.path, error) from None

    def read(self, inside: np.ndarray) -> np.ndarray:
        """Read the columns of a mask at once: float32 (n_trials, n_columns), the stored numbers.

        Raises
        ------
        ValueError
            As ``blocks``.
        """
        betas = np.empty((self.n_trials, int(np.count_nonzero(inside))), dtype=np.float32)
        for trials, columns, values in self.blocks(inside):
            betas[trials, columns] = values
        return betas

    def _streamed(self, inside: np.ndarray, block_bytes: int) -> Iterator[Block]:
        every = np.arange(np.count_nonzero(inside))
        places = np.ravel_multi_index(np.nonzero(inside), self.grid, order="F")  # (n_inside,), in a trial's volume
        size, whole = self.dtype.itemsize, math.prod(self.grid)
        spans = [(0, whole)] if _is_compressed(self.path) else _spans(places, GAP_BYTES // size)
        ends = np.cumsum([stop - start for start, stop in spans])
        # places among the numbers of a trial that are read, span after span
        lowers, befores = np.array([start for start, _ in spans]), np.r_[0, ends[:-1]]
        span = np.searchsorted(lowers, places, side="right") - 1  # (n_inside,)
        places = places - lowers[span] + befores[span]
        width = int(ends[-1])
        step = max(1, min(PIECE_BYTES, block_bytes) // max(size * width, 4 * len(every)))
        buffer = np.empty((min(step, self.n_trials), width), dtype=self.dtype)
        with _opened(self.path) as handle:
            for first in range(0, self.n_trials, step):
                some = buffer[: self.n_trials - first]
                self._fetch(handle, some, first, spans)
                yield slice(first, first + len(some)), every, some.take(places, axis=1).astype(np.float32)
            while isinstance(handle, gzip.GzipFile) and handle.read(1 << 20):
                pass  # the checksum stands at the end of what is compressed

    def _fetch(self, handle: IO[bytes], some: np.ndarray, first: int, spans: list[tuple[int, int]]) -> None:
        """Read the spans of some trials, and let the system read ahead those that follow."""
        size = self.dtype.itemsize
        ahead = max(1, AHEAD_BYTES // some.nbytes) * len(some)
        coming = self.starts[first + ahead if first else 0 : first + ahead + len(some)]
        if coming and not isinstance(handle, gzip.GzipFile):
            _announce(handle, coming[0], coming[-1] - coming[0] + size * spans[-1][1])
        if spans == [(0, math.prod(self.grid))] and self.chunks is None:  # trial follows trial
            handle.seek(self.starts[first])
            _fill(handle, some)
            return
        for trial, row in zip(self.starts[first : first + len(some)], some, strict=True):
            before = 0
            for start, stop in spans:
                handle.seek(trial + size * start)
                _fill(handle, row[before : before + stop - start])
                before += stop - start

    def _chunked(self, inside: np.ndarray, block_bytes: int) -> Iterator[Block]:
        assert self.chunks is not None
        length, across = self.chunks[0], self.chunks[1:]
        boxes, members = _boxes(inside.transpose(), across)
        numbers = np.cumsum(inside).reshape(inside.shape).transpose() - 1  # of the mask's columns, on (z, y, x)
        widest = max(math.prod(stop - start for start, stop in box) for box in boxes)
        step = length * max(1, block_bytes // (4 * widest * length))
        with h5py.File(self.path, "r", locking=False, rdcc_nbytes=block_bytes) as handle:
            stored = handle[KEY]
            for first in range(0, self.n_trials, step):
                trials = slice(first, min(self.n_trials, first + step))
                n_rows = trials.stop - trials.start
                columns: list[np.ndarray] = []
                values: list[np.ndarray] = []
                for box, member in zip(boxes, members, strict=True):
                    z, y, x = (slice(*limits) for limits in box)
                    columns.append(numbers[z, y, x].reshape(-1)[member])
                    values.append(stored[trials, z, y, x].reshape(n_rows, -1)[:, member])
                    if 4 * n_rows * sum(map(len, columns)) >= block_bytes:
                        yield trials, np.concatenate(columns), np.concatenate(values, axis=1, dtype=np.float32)
                        columns, values = [], []
                if columns:
                    yield trials, np.concatenate(columns), np.concatenate(values, axis=1, dtype=np.float32)


@dataclass(frozen=True)
class MaskedBetas:
    """Columns of files side by side that stay on disk until they are asked for.

    ``parts`` has a file and its mask for each piece of columns (one volume, or the left and the right hemisphere),
    ``divisor`` is what stored numbers are divided by.
    """

    parts: tuple[tuple[BetaFile, np.ndarray], ...]
    divisor: float

    @property
    def shape(self) -> tuple[int, int]:
        """Trials and columns."""
        return self.parts[0][0].n_trials, sum(int(np.count_nonzero(inside)) for _, inside in self.parts)

    def blocks(self, chosen: np.ndarray) -> Iterator[Block]:
        """Read some of the columns.

        Parameters
        ----------
        chosen : bool array of shape (n_columns,)

        Yields
        ------
        (slice, int array of shape (n_some,), float32 array of shape (n_rows, n_some))
            Which trials, which of the chosen columns, and their betas, divided.

        Raises
        ------
        ValueError
            If a file is not whole.
        """
        before, n_given = 0, 0
        for file, inside in self.parts:
            mine = inside.copy()
            n_inside = int(np.count_nonzero(inside))
            mine[inside] = chosen[before : before + n_inside]
            before += n_inside
            if not mine.any():
                continue
            for trials, columns, values in file.blocks(mine):
                if self.divisor != 1:
                    values /= self.divisor
                yield trials, columns + n_given, values
            n_given += int(np.count_nonzero(mine))


def masked(
    paths: Sequence[str | Path], insides: Sequence[np.ndarray], divisor: float = 1.0, n_trials: int | None = None
) -> MaskedBetas:
    """Put columns of files side by side, unread as yet.

    Parameters
    ----------
    paths : sequence of str or Path
        One volume, or the left and the right hemisphere of the same trials.
    insides : sequence of bool arrays
        The mask of each, of its grid.
    divisor : float
        What stored numbers are to be divided by: 300 for NSD's integers, 1 for its surfaces.
    n_trials : int, optional
        How many trials there must be.

    Raises
    ------
    ValueError
        If a file is not whole, lies on another grid than its mask, has another number of trials, or states another
        scale in its header than none or ``1 / divisor``.
    FileNotFoundError
        If a file is not there, or its content is absent.
    """
    files = [open_betas(path) for path in paths]
    n_expected = files[0].n_trials if n_trials is None else n_trials
    for file, inside in zip(files, insides, strict=True):
        if file.n_trials != n_expected:
            raise ValueError(f"{file.path} has {file.n_trials} trials, expected {n_expected}")
        if inside.shape != file.grid:
            raise ValueError(f"{file.path} is on a grid of {file.grid}, the mask has shape {inside.shape}")
        stated = file.slope * divisor
        if file.inter or (file.slope != 1 and abs(stated - 1) > SAME):
            raise ValueError(
                f"{file.path} states a scale of {file.slope:g} and an offset of {file.inter:g} in its header, expected "
                f"none or 1/{divisor:g}: has somebody scaled it already?"
            )
    return MaskedBetas(tuple(zip(files, insides, strict=True)), divisor)


def open_betas(path: str | Path) -> BetaFile:
    """Look into a file: .hdf5 or .h5, .nii or .nii.gz, .mgh or .mgz; a single map is one trial.

    HDF5 files are opened read-only and without a lock, which network file systems may refuse.

    Raises
    ------
    ValueError
        If the name has another ending, the file is not whole (tells its bytes), or its numbers do not stand in four
        axes (or three, for one map).
    FileNotFoundError
        If it is not there, or its content is absent.
    """
    path = Path(path)
    look = next((look for ends, look in LOOKS.items() if path.name.lower().endswith(ends)), None)
    if look is None:
        raise ValueError(f"{path} is no file of betas; those end in {', '.join(end for ends in LOOKS for end in ends)}")
    try:
        return look(path)
    except BROKEN as error:
        raise _broken(path, error) from None


def _look_hdf5(path: Path) -> BetaFile:
    with h5py.File(path, "r", locking=False) as handle:
        stored = handle.get(KEY)
        if not isinstance(stored, h5py.Dataset):
            raise ValueError(f"it lacks {KEY!r}; there are: {', '.join(handle) or 'none'}")
        if stored.ndim != 4 or stored.dtype.kind not in "iuf":
            raise ValueError(f"{KEY} is {stored.dtype} of shape {stored.shape}, expected numbers of 4 axes")
        n_trials, *grid = stored.shape
        about: dict[str, Any] = {"n_trials": n_trials, "grid": tuple(reversed(grid)), "dtype": stored.dtype}
        size = stored.dtype.itemsize * math.prod(grid)
        if stored.chunks is None:
            offset = stored.id.get_offset()
            if offset is None:
                raise ValueError(f"no number of {KEY} was written")
            return BetaFile(path, **about, starts=_starts(offset, size, n_trials))
        about["chunks"] = stored.chunks
        n_chunks = math.prod(-(-n // chunk) for n, chunk in zip(stored.shape, stored.chunks, strict=True))
        there = stored.id.get_num_chunks()
        if there != n_chunks:
            raise ValueError(f"{there} of {n_chunks} chunks were written")
        if stored.chunks[1:] != stored.shape[1:] or stored.id.get_create_plist().get_nfilters():
            return BetaFile(path, **about)
        starts = np.empty(n_chunks * stored.chunks[0], dtype=np.int64)
        inner = size * np.arange(stored.chunks[0])

        def note(chunk: Any) -> None:
            first = chunk.chunk_offset[0]
            starts[first : first + len(inner)] = chunk.byte_offset + inner

        stored.id.chunk_iter(note)
        return BetaFile(path, **about, starts=tuple(starts[:n_trials].tolist()))


def _look_nifti(path: Path) -> BetaFile:
    return _checked(path, nib.Nifti1Image.from_filename(path).dataobj)


def _look_mgh(path: Path) -> BetaFile:
    return _checked(path, nib.MGHImage.from_filename(path).dataobj)


def _checked(path: Path, stored: Any) -> BetaFile:
    """Compare the bytes of a file with its header; one that is compressed is found short where it is read."""
    shape, offset = tuple(int(n) for n in stored.shape), int(stored.offset)
    if len(shape) not in (3, 4):
        raise ValueError(f"it has shape {shape}, expected (x, y, z, n_trials)")
    needed = offset + stored.dtype.itemsize * math.prod(shape)
    if not _is_compressed(path) and path.stat().st_size < needed:
        raise ValueError(f"shape {shape} needs {needed} bytes")
    grid = shape[:1] if shape[1:3] == (1, 1) else shape[:3]
    n_trials = shape[3] if len(shape) == 4 else 1
    starts = _starts(offset, stored.dtype.itemsize * math.prod(grid), n_trials)
    return BetaFile(path, n_trials, grid, stored.dtype, None, float(stored.slope), float(stored.inter), starts)


def _starts(offset: int, size: int, n_trials: int) -> tuple[int, ...]:
    """Give the first byte of each trial where trial follows trial."""
    return tuple(range(offset, offset + size * n_trials, size))


def _spans(places: np.ndarray, gap: int) -> list[tuple[int, int]]:
    """Cover places, from the first to the last, leaving out what is wider than a gap: (start, stop) of each piece."""
    ordered = np.sort(places)
    cuts = np.flatnonzero(np.diff(ordered) > gap)
    starts, stops = ordered[np.r_[0, cuts + 1]], ordered[np.r_[cuts, len(ordered) - 1]] + 1
    return list(zip(starts.tolist(), stops.tolist(), strict=True))


LOOKS = {
    (".hdf5", ".h5"): _look_hdf5,
    (".nii", ".nii.gz"): _look_nifti,
    (".mgh", ".mgz"): _look_mgh,
}


def _boxes(inside: np.ndarray, chunk: tuple[int, ...]) -> tuple[list[tuple[tuple[int, int], ...]], list[np.ndarray]]:
    """Cover a mask with boxes of whole chunks, each a row of chunks side by side on the last axis.

    Returns the box of each as (start, stop) by axis, and the places of the mask in the box, laid out flat.
    """
    places = np.argwhere(inside)  # the last axis fastest
    cells = places // np.array(chunk)  # (n_inside, 3): chunk of each voxel
    counts = -(-np.array(inside.shape) // np.array(chunk))
    number = np.ravel_multi_index(tuple(cells.T), tuple(counts))  # (n_inside,)
    touched = np.unique(number)  # (n_touched,)
    row = touched // counts[-1]
    begins = np.r_[True, (np.diff(touched) != 1) | (np.diff(row) != 0)]
    of_cell = np.cumsum(begins) - 1  # box of each touched chunk
    of_place = of_cell[np.searchsorted(touched, number)]  # (n_inside,)
    firsts, lasts = touched[begins], touched[np.r_[begins[1:], True]]  # (n_boxes,) each
    order = np.argsort(of_place, kind="stable")
    cuts = np.searchsorted(of_place[order], np.arange(1, len(firsts)))
    boxes, members = [], []
    for first, last, mine in zip(firsts, lasts, np.split(places[order], cuts), strict=True):
        low = np.array(np.unravel_index(first, tuple(counts))) * chunk
        high = np.minimum((np.array(np.unravel_index(last, tuple(counts))) + 1) * chunk, inside.shape)
        boxes.append(tuple((int(a), int(b)) for a, b in zip(low, high, strict=True)))
        members.append(np.ravel_multi_index(tuple((mine - low).T), tuple(high - low)))
    return boxes, members


def _is_compressed(path: Path) -> bool:
    return path.name.lower().endswith((".gz", ".mgz"))


def _opened(path: Path) -> IO[bytes]:
    return gzip.open(path) if _is_compressed(path) else path.open("rb", buffering=0)  # type: ignore[return-value]


def _announce(handle: IO[bytes], start: int, length: int) -> None:
    """Let the system read what comes next while what was read is worked on, where it can."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(handle.fileno(), start, length, os.POSIX_FADV_WILLNEED)


def _fill(handle: Any, target: np.ndarray) -> None:
    """Read as many bytes as an array has."""
    left = memoryview(target.reshape(-1).view(np.uint8).data)
    while left:
        n_read = handle.readinto(left)
        if not n_read:
            raise EOFError(f"it ends {len(left)} bytes too early")
        left = left[n_read:]


def _broken(path: Path, error: Exception) -> Exception:
    if not path.is_file():
        return FileNotFoundError(f"{path} is not there, or a link without content")
    size = path.stat().st_size
    return ValueError(f"{path} ({size} bytes) is no whole file of betas: {error}; remove it and get it again")
