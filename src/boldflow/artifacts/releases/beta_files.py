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

from boldflow.artifacts.releases.mask_places import boxes_of, spans_of

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
        for trials, columns, block in self.blocks(inside):
            betas[trials, columns] = block
        return betas

    def _streamed(self, inside: np.ndarray, block_bytes: int) -> Iterator[Block]:
        all_columns = np.arange(np.count_nonzero(inside))
        places = np.ravel_multi_index(np.nonzero(inside), self.grid, order="F")  # (n_inside,), in a trial's volume
        itemsize, n_places = self.dtype.itemsize, math.prod(self.grid)
        spans = [(0, n_places)] if _is_compressed(self.path) else spans_of(places, GAP_BYTES // itemsize)
        span_ends = np.cumsum([stop - start for start, stop in spans])
        # places among the numbers of a trial that are read, span after span
        span_starts, n_before_span = np.array([start for start, _ in spans]), np.r_[0, span_ends[:-1]]
        span_of_place = np.searchsorted(span_starts, places, side="right") - 1  # (n_inside,)
        places = places - span_starts[span_of_place] + n_before_span[span_of_place]
        n_read = int(span_ends[-1])
        n_block_trials = max(1, min(PIECE_BYTES, block_bytes) // max(itemsize * n_read, 4 * len(all_columns)))
        buffer = np.empty((min(n_block_trials, self.n_trials), n_read), dtype=self.dtype)
        with _opened(self.path) as handle:
            for first_trial in range(0, self.n_trials, n_block_trials):
                block = buffer[: self.n_trials - first_trial]
                self._fetch(handle, block, first_trial, spans)
                yield (
                    slice(first_trial, first_trial + len(block)),
                    all_columns,
                    block.take(places, axis=1).astype(np.float32),
                )
            while isinstance(handle, gzip.GzipFile) and handle.read(1 << 20):
                pass  # the checksum stands at the end of what is compressed

    def _fetch(self, handle: IO[bytes], block: np.ndarray, first_trial: int, spans: list[tuple[int, int]]) -> None:
        """Read the spans of some trials, and let the system read ahead those that follow."""
        itemsize = self.dtype.itemsize
        n_ahead = max(1, AHEAD_BYTES // block.nbytes) * len(block)
        next_starts = self.starts[first_trial + n_ahead if first_trial else 0 : first_trial + n_ahead + len(block)]
        if next_starts and not isinstance(handle, gzip.GzipFile):
            _announce(handle, next_starts[0], next_starts[-1] - next_starts[0] + itemsize * spans[-1][1])
        if spans == [(0, math.prod(self.grid))] and self.chunks is None:  # trial follows trial
            handle.seek(self.starts[first_trial])
            _fill(handle, block)
            return
        for trial_start, row in zip(self.starts[first_trial : first_trial + len(block)], block, strict=True):
            n_filled = 0
            for start, stop in spans:
                handle.seek(trial_start + itemsize * start)
                _fill(handle, row[n_filled : n_filled + stop - start])
                n_filled += stop - start

    def _chunked(self, inside: np.ndarray, block_bytes: int) -> Iterator[Block]:
        assert self.chunks is not None
        n_chunk_trials, chunk_grid = self.chunks[0], self.chunks[1:]
        boxes, members = boxes_of(inside.transpose(), chunk_grid)
        column_numbers = np.cumsum(inside).reshape(inside.shape).transpose() - 1  # of the mask's columns, on (z, y, x)
        n_widest = max(math.prod(stop - start for start, stop in box) for box in boxes)
        n_block_trials = n_chunk_trials * max(1, block_bytes // (4 * n_widest * n_chunk_trials))
        with h5py.File(self.path, "r", locking=False, rdcc_nbytes=block_bytes) as handle:
            stored = handle[KEY]
            for first_trial in range(0, self.n_trials, n_block_trials):
                trials = slice(first_trial, min(self.n_trials, first_trial + n_block_trials))
                n_rows = trials.stop - trials.start
                column_blocks: list[np.ndarray] = []
                value_blocks: list[np.ndarray] = []
                for box, member in zip(boxes, members, strict=True):
                    z, y, x = (slice(*limits) for limits in box)
                    column_blocks.append(column_numbers[z, y, x].reshape(-1)[member])
                    value_blocks.append(stored[trials, z, y, x].reshape(n_rows, -1)[:, member])
                    if 4 * n_rows * sum(map(len, column_blocks)) >= block_bytes:
                        yield (
                            trials,
                            np.concatenate(column_blocks),
                            np.concatenate(value_blocks, axis=1, dtype=np.float32),
                        )
                        column_blocks, value_blocks = [], []
                if column_blocks:
                    yield trials, np.concatenate(column_blocks), np.concatenate(value_blocks, axis=1, dtype=np.float32)


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
        n_before, n_given = 0, 0
        for file, inside in self.parts:
            chosen_inside = inside.copy()
            n_inside = int(np.count_nonzero(inside))
            chosen_inside[inside] = chosen[n_before : n_before + n_inside]
            n_before += n_inside
            if not chosen_inside.any():
                continue
            for trials, columns, block in file.blocks(chosen_inside):
                if self.divisor != 1:
                    block /= self.divisor
                yield trials, columns + n_given, block
            n_given += int(np.count_nonzero(chosen_inside))


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
        scale_ratio = file.slope * divisor
        if file.inter or (file.slope != 1 and abs(scale_ratio - 1) > SAME):
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
    look = next((look for endings, look in LOOKS.items() if path.name.lower().endswith(endings)), None)
    if look is None:
        raise ValueError(
            f"{path} is no file of betas; those end in {', '.join(ending for endings in LOOKS for ending in endings)}"
        )
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
        header: dict[str, Any] = {"n_trials": n_trials, "grid": tuple(reversed(grid)), "dtype": stored.dtype}
        trial_bytes = stored.dtype.itemsize * math.prod(grid)
        if stored.chunks is None:
            offset = stored.id.get_offset()
            if offset is None:
                raise ValueError(f"no number of {KEY} was written")
            return BetaFile(path, **header, starts=_starts(offset, trial_bytes, n_trials))
        header["chunks"] = stored.chunks
        n_chunks = math.prod(-(-n // chunk) for n, chunk in zip(stored.shape, stored.chunks, strict=True))
        n_written = stored.id.get_num_chunks()
        if n_written != n_chunks:
            raise ValueError(f"{n_written} of {n_chunks} chunks were written")
        if stored.chunks[1:] != stored.shape[1:] or stored.id.get_create_plist().get_nfilters():
            return BetaFile(path, **header)
        starts = np.empty(n_chunks * stored.chunks[0], dtype=np.int64)
        byte_offsets = trial_bytes * np.arange(stored.chunks[0])

        def note(chunk: Any) -> None:
            first_trial = chunk.chunk_offset[0]
            starts[first_trial : first_trial + len(byte_offsets)] = chunk.byte_offset + byte_offsets

        stored.id.chunk_iter(note)
        return BetaFile(path, **header, starts=tuple(starts[:n_trials].tolist()))


def _look_nifti(path: Path) -> BetaFile:
    return _checked(path, nib.Nifti1Image.from_filename(path).dataobj)


def _look_mgh(path: Path) -> BetaFile:
    return _checked(path, nib.MGHImage.from_filename(path).dataobj)


def _checked(path: Path, stored: Any) -> BetaFile:
    """Compare the bytes of a file with its header; one that is compressed is found short where it is read."""
    shape, offset = tuple(int(n) for n in stored.shape), int(stored.offset)
    if len(shape) not in (3, 4):
        raise ValueError(f"it has shape {shape}, expected (x, y, z, n_trials)")
    n_needed = offset + stored.dtype.itemsize * math.prod(shape)
    if not _is_compressed(path) and path.stat().st_size < n_needed:
        raise ValueError(f"shape {shape} needs {n_needed} bytes")
    grid = shape[:1] if shape[1:3] == (1, 1) else shape[:3]
    n_trials = shape[3] if len(shape) == 4 else 1
    starts = _starts(offset, stored.dtype.itemsize * math.prod(grid), n_trials)
    return BetaFile(path, n_trials, grid, stored.dtype, None, float(stored.slope), float(stored.inter), starts)


def _starts(offset: int, trial_bytes: int, n_trials: int) -> tuple[int, ...]:
    """Give the first byte of each trial where trial follows trial."""
    return tuple(range(offset, offset + trial_bytes * n_trials, trial_bytes))


LOOKS = {
    (".hdf5", ".h5"): _look_hdf5,
    (".nii", ".nii.gz"): _look_nifti,
    (".mgh", ".mgz"): _look_mgh,
}


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
    unread_bytes = memoryview(target.reshape(-1).view(np.uint8).data)
    while unread_bytes:
        n_read = handle.readinto(unread_bytes)
        if not n_read:
            raise EOFError(f"it ends {len(unread_bytes)} bytes too early")
        unread_bytes = unread_bytes[n_read:]


def _broken(path: Path, error: Exception) -> Exception:
    if not path.is_file():
        return FileNotFoundError(f"{path} is not there, or a link without content")
    size = path.stat().st_size
    return ValueError(f"{path} ({size} bytes) is no whole file of betas: {error}; remove it and get it again")
