"""Trees of BIDS names: files by pattern, entities of names, runs of events, volumes, pictures.

Names count: annexed files whose content is not there yet are dangling links, and are found all the same.
"""

import contextlib
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

import nibabel as nib
import numpy as np
import pandas as pd
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.volumeutils import apply_read_scaling
from nibabel.wrapstruct import WrapStructError

from boldflow.artifacts.formats import bids_names, events
from boldflow.artifacts.formats import pictures as picture_files
from boldflow.provenance import EVERYTHING, reached

PICTURES = picture_files.SUFFIXES
# what nibabel raises for files that are cut short, empty, or something else
BROKEN = (OSError, EOFError, ValueError, zlib.error, ImageFileError, HeaderDataError, WrapStructError)
Reader = Callable[[str | Path], tuple[nib.Nifti1Image, np.ndarray]]
AFFINE_MM = 1e-3  # affines that differ by less are the same grid: headers hold them in single precision


def entity(path: str | Path, name: str) -> str:
    """Give the value of an entity of a file's name, such as ``01`` for ``ses`` in ``sub-1_ses-01_bold.nii.gz``.

    Returns
    -------
    str
        Empty where the name has no such entity.
    """
    return bids_names.label(path, name)


def found(root: str | Path, *patterns: str) -> list[str]:
    """List the files that each pattern reaches (``provenance.reached``), sorted within it, relative to ``root``.

    Raises
    ------
    FileNotFoundError
        If a pattern has no file; names the folder and the pattern.
    """
    paths = []
    for pattern in patterns:
        pattern_paths = reached(root, pattern)
        if not pattern_paths:
            raise FileNotFoundError(f"{root} has no {pattern}")
        paths += pattern_paths
    return paths


def read_runs(
    root: str | Path,
    paths: Iterable[str],
    numbers: Sequence[str],
    texts: Sequence[str],
    optional: Sequence[str] = (),
    keep: events.Keep | None = None,
) -> pd.DataFrame:
    """Read the events of several runs, those of each run in the order of time.

    Parameters
    ----------
    root : str or Path
    paths : iterable of str
        Files of events below it, in the order of acquisition.
    numbers, texts, optional, keep
        As for ``events.read``; ``onset`` and ``duration`` are read in any case, and a duration may be missing: NaN.

    Returns
    -------
    DataFrame
        The columns, ``in_file``, ``in_line``, ``session`` and ``run`` (labels of the file's name; a session that it
        does not name is "01", a run likewise).

    Raises
    ------
    ValueError
        If a table is not as it should be, or an event that is kept is listed twice; names file and line.
    """
    tables = [
        read_run(Path(root) / path, (entity(path, "ses") or "01", entity(path, "run") or "01"), columns, keep)
        for columns in [(numbers, texts, optional)]
        for path in paths
    ]
    return pd.concat(tables, ignore_index=True)


def read_run(
    file: Path,
    labels: tuple[str, str],
    columns: tuple[Sequence[str], Sequence[str], Sequence[str]],
    keep: events.Keep | None = None,
) -> pd.DataFrame:
    """Read the events of one run of known labels (session, run); see ``read_runs``."""
    numbers, texts, optional = columns
    table = events.read(file, ["onset", "duration", *numbers], texts, optional, ["duration"], keep)
    session, run = labels
    return events.in_order(table, file).assign(session=session, run=run)


def as_trials(shown: pd.DataFrame) -> pd.DataFrame:
    """Bring events to the columns of a trial table; trials are counted from 1 within the run.

    Parameters
    ----------
    shown : DataFrame
        session, run, onset, duration (s; NaN where none is stated), image_id, usable; in the order of acquisition.

    Returns
    -------
    DataFrame
        session, run, trial, onset_s, duration_s, image_id, usable.
    """
    trials = shown.rename(columns={"onset": "onset_s", "duration": "duration_s"}).reset_index(drop=True)
    trials["trial"] = trials.groupby(["session", "run"], sort=False).cumcount() + 1
    return trials[["session", "run", "trial", "onset_s", "duration_s", "image_id", "usable"]]


def volume(path: str | Path) -> tuple[nib.Nifti1Image, np.ndarray]:
    """Open an image and read all of it as float32.

    Raises
    ------
    ValueError
        If the file is no whole NIfTI; tells its bytes.
    FileNotFoundError
        If there is no such file, or its content is absent.
    """
    with _whole(Path(path)):
        image = nib.Nifti1Image.from_filename(path)
        return image, _as_float(image.dataobj)  # type: ignore[arg-type]


def header_of(path: str | Path) -> tuple[nib.Nifti1Image, np.ndarray]:
    """Open an image without reading its voxels; in their place stand zeros of its shape that take no memory.

    Raises
    ------
    ValueError
        If the file has no whole header; tells its bytes.
    FileNotFoundError
        If there is no such file, or its content is absent.
    """
    with _whole(Path(path)):
        image = nib.Nifti1Image.from_filename(path)
        return image, np.broadcast_to(np.float32(0), image.shape)


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Name the file, and what helps, in an error of a reader."""
    try:
        yield
    except BROKEN as error:
        if not path.is_file():
            raise
        size = path.stat().st_size
        raise ValueError(f"{path} ({size} bytes) is no whole NIfTI: {error}; remove it and get it again") from None


def bold(path: str | Path, read: Reader = volume) -> tuple[nib.Nifti1Image, np.ndarray]:
    """Open BOLD and read it as float32 (x, y, z, n_volumes); further axes of length 1 are dropped.

    ``read`` is ``volume``, or ``header_of`` where voxels are not looked at.

    Raises
    ------
    ValueError
        As ``volume``; if the file has another number of axes, as one volume has.
    """
    image, values = read(path)
    return image, with_axes(path, values, 4, "BOLD (x, y, z, n_volumes)")


def mask(path: str | Path, read: Reader = volume) -> tuple[nib.Nifti1Image, np.ndarray]:
    """Open a mask and tell which voxels are above 0, bool (x, y, z); further axes of length 1 are dropped.

    ``read`` is as in ``bold``.

    Raises
    ------
    ValueError
        As ``volume``; if the file has another number of axes.
    """
    image, values = read(path)
    return image, with_axes(path, values, 3, "one volume (x, y, z)") > 0


def with_axes(path: str | Path, values: np.ndarray, n_axes: int, expected_text: str) -> np.ndarray:
    """Drop axes of length 1 after the first ``n_axes``.

    Raises
    ------
    ValueError
        If another number of axes is left; names the file and shows its shape.
    """
    shape = values.shape
    if len(shape) < n_axes or any(length != 1 for length in shape[n_axes:]):
        raise ValueError(f"{path} has {len(shape)} axes, of shape {shape}; expected {expected_text}")
    return values.reshape(shape[:n_axes], order="F")


def unplaced(path: str | Path, image: nib.Nifti1Image) -> str:
    """Say that a header does not tell where its voxels lie; nothing where it does.

    Without a code nibabel makes an affine up, from the size of voxels alone: its centre is that of the volume, and left
    and right are a guess.
    """
    codes = {key: int(image.header[key]) for key in ("sform_code", "qform_code")}
    if any(code > 0 for code in codes.values()):
        return ""
    codes_text = " and ".join(f"{key} {code}" for key, code in codes.items())
    return (
        f"{path} has {codes_text}: its header does not tell where its voxels lie. Copy the affine from the file that "
        "it was made from (FSL: fslcpgeom SOURCE FILE; nibabel: image.set_sform(source.affine, 4)), or make it again "
        "with a program that keeps it"
    )


def check_grid(path: Path, image: nib.Nifti1Image, mask_path: Path, mask: nib.Nifti1Image) -> None:
    """Refuse two images that do not lie on one grid of voxels.

    Raises
    ------
    ValueError
        If shapes (of space) or affines differ; shows both, and which header does not tell where it lies.
    """
    if image.shape[:3] != mask.shape[:3]:
        raise ValueError(f"{path} is {image.shape[:3]} voxels, {mask_path} {mask.shape[:3]}")
    if not np.allclose(image.affine, mask.affine, rtol=0, atol=AFFINE_MM):
        unplaced_text = "; ".join(filter(None, (unplaced(path, image), unplaced(mask_path, mask))))
        raise ValueError(
            f"{path} and {mask_path} lie differently: affine {image.affine} and {mask.affine}"
            f"{'; ' if unplaced_text else ''}{unplaced_text}"
        )


def _as_float(stored: nib.arrayproxy.ArrayProxy) -> np.ndarray:
    """Read and scale volume after volume: all at once takes the memory of the result twice."""
    raw = np.asarray(stored.get_unscaled())
    is_unscaled = (float(stored.slope), float(stored.inter)) == (1.0, 0.0)
    if raw.ndim < 4 or (is_unscaled and raw.dtype == np.float32):
        return np.asarray(stored, dtype=np.float32) if raw.ndim < 4 else raw
    scaled = np.empty(raw.shape, dtype=np.float32, order="F")
    slope, inter = (np.float64(value) for value in (stored.slope, stored.inter))
    for volume_index in np.ndindex(raw.shape[3:]):
        scaled[(..., *volume_index)] = (
            raw[(..., *volume_index)] if is_unscaled else apply_read_scaling(raw[(..., *volume_index)], slope, inter)
        )
    return scaled


def pictures(root: str | Path) -> list[str]:
    """List the picture files below a folder, sorted, relative to it with ``/``.

    Raises
    ------
    FileNotFoundError
        If there are none; names the folder.
    """
    file_paths = reached(root, EVERYTHING)
    paths = [path for path in file_paths if PurePosixPath(path).suffix.lower() in PICTURES]
    if not paths:
        other_suffixes = sorted({PurePosixPath(path).suffix or "no suffix" for path in file_paths})
        raise FileNotFoundError(
            f"{root} has no pictures ({', '.join(sorted(PICTURES))}); its {len(file_paths)} files have "
            f"{', '.join(other_suffixes[:5]) or 'nothing'}"
        )
    return paths


def picture_name(path: str, way: str) -> str:
    """Name a picture by its path below the folder, by its file name, or by that without its ending (``image_name``)."""
    return {"path": path, "name": Path(path).name, "stem": Path(path).stem}[way]


def named_pictures(root: str | Path, way: str) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Give file, image_id (``picture_name``) and labels (the ``folder``) of each picture below a folder."""
    for path in pictures(root):
        yield path, picture_name(path, way), {"folder": Path(path).parent.name or Path(root).name}


def read_pictures(
    root: str | Path, named: Iterable[tuple[str, str, dict[str, str]]]
) -> Iterator[tuple[str, np.ndarray, dict[str, str]]]:
    """Yield pictures under the names that events use.

    Parameters
    ----------
    root : str or Path
    named : iterable of (str, str, dict)
        File below ``root``, image_id and labels of each picture.

    Yields
    ------
    (image_id, pixels, labels)
        ``pixels`` is uint8 (height, width, 3).

    Raises
    ------
    ValueError
        If two files have one image_id, or a file is no whole picture, or refused (``pictures.read``).
    """
    path_of_id: dict[str, str] = {}
    for path, image_id, labels in named:
        if image_id in path_of_id:
            raise ValueError(f"{root} has two pictures {image_id!r}: {path_of_id[image_id]} and {path}; keep one")
        path_of_id[image_id] = path
        yield image_id, picture_files.read(Path(root) / path), labels
