"""Does a file hold what its name says? Looked at once, when it arrives, before anything is made from it.

A checksum tells that a file is the one that was published; these checks tell that what was published is a whole image
and no web page, which has been saved under an image's name before.
"""

import gzip
import json
import math
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from xml.parsers import expat

import h5py
import nibabel as nib
from nibabel.freesurfer.mghformat import MGHError
from PIL import Image
from tqdm import tqdm

from boldflow.artifacts.arrival.annex_get import is_page
from boldflow.artifacts.formats.surfaces import check_triangles

CHUNK = 1 << 20  # bytes read at a time
HEADER = 540  # bytes of the larger header, that of NIfTI-2
NIFTI_2 = (HEADER.to_bytes(4, "little"), HEADER.to_bytes(4, "big"))  # how it begins
PAGES = (".html", ".htm", ".xhtml", ".svg")
WRONG = (OSError, EOFError, ValueError, zlib.error, expat.ExpatError, SyntaxError, nib.spatialimages.HeaderDataError)


def check(root: str | Path, paths: Iterable[str]) -> None:
    """Look into files and stop where one is not what its name says.

    Compressed files are read whole (the CRC is at their end), NIfTI files must hold as many bytes as their header
    says, as must FreeSurfer's registered spheres; HDF5 files and pictures must open, JSON and GIFTI files must parse,
    and nothing may be a web page.

    Parameters
    ----------
    root : str or Path
    paths : iterable of str
        Files below it.

    Raises
    ------
    ValueError
        If files are not what their names say; names each with its bytes and what was found.
    """
    root = Path(root)
    wrong = []
    for path in tqdm(sorted(set(paths)), desc="look into files", unit="file"):
        fault = problem(root / path)
        if fault:
            wrong.append(f"  {path} ({(root / path).stat().st_size} bytes): {fault}")
    if wrong:
        raise ValueError(f"{len(wrong)} files of {root} are not what their names say:\n" + "\n".join(wrong))


def problem(path: str | Path) -> str:
    """Say what is wrong with a file, given its suffix; nothing where all is well."""
    path = Path(path)
    name = path.name.lower()
    with path.open("rb") as handle:
        start = handle.read(512)
    if not name.endswith(PAGES) and is_page(start):
        return "it is a web page or a server's message"
    for suffixes, look in KINDS:
        if name.endswith(suffixes):
            try:
                look(path)
            except WRONG as error:
                return str(error) or type(error).__name__
            except Image.DecompressionBombError as error:
                return str(error)
            break
    return ""


def _gzip(path: Path, seen: Callable[[bytes], Any] = len) -> int:
    """Read a compressed file to its end, which checks the CRC of each member; give the bytes inside."""
    total = 0
    if not path.stat().st_size:
        raise ValueError("no whole gzip: it is empty")
    try:
        with gzip.open(path) as handle:
            while part := handle.read(CHUNK):
                seen(part)
                total += len(part)
    except gzip.BadGzipFile as error:
        raise ValueError(f"no whole gzip: {error}") from None
    except EOFError:
        raise ValueError("no whole gzip: it ends too early") from None
    except zlib.error as error:
        raise ValueError(f"no whole gzip: {error}") from None
    return total


def _nifti(path: Path) -> None:
    """Compare the bytes of a NIfTI file with its header; a compressed one is read whole."""
    start = bytearray()
    if path.name.lower().endswith(".gz"):
        n_bytes = _gzip(path, lambda part: start.extend(part[: max(0, HEADER - len(start))]))
    else:
        n_bytes = path.stat().st_size
        with path.open("rb") as handle:
            start += handle.read(HEADER)
    kind: Any = nib.Nifti2Header if start[:4] in NIFTI_2 else nib.Nifti1Header
    if n_bytes < kind.sizeof_hdr:
        raise ValueError(f"no NIfTI: its {n_bytes} bytes are less than a header")
    header = kind(bytes(start[: kind.sizeof_hdr]), check=False)
    if int(header["sizeof_hdr"]) != kind.sizeof_hdr:
        raise ValueError(f"no NIfTI: it begins with {bytes(start[:4])!r}")
    try:
        shape, item = header.get_data_shape(), header.get_data_dtype().itemsize
    except KeyError as error:
        raise ValueError(f"no NIfTI: its header names an unknown data type, {error}") from None
    n_needed = int(header["vox_offset"]) + item * math.prod(map(int, shape))
    if not shape or n_bytes < n_needed:
        raise ValueError(f"no whole NIfTI: shape {shape} needs {n_needed} bytes, there are {n_bytes}")


def _mgh(path: Path) -> None:
    """Compare the bytes of FreeSurfer's MGH with its header; what may follow the values is not told there."""
    n_bytes = path.stat().st_size
    with path.open("rb") as handle:
        try:
            header = nib.freesurfer.mghformat.MGHHeader.from_fileobj(handle)
            n_needed = header.get_data_offset() + header.get_data_bytespervox() * math.prod(header.get_data_shape())
        except (*WRONG, MGHError) as error:
            raise ValueError(f"no MGH: {error}") from None
    if n_bytes < n_needed:
        raise ValueError(f"no whole MGH: shape {header.get_data_shape()} needs {n_needed} bytes, there are {n_bytes}")


def _hdf5(path: Path) -> None:
    with h5py.File(path, "r", locking=False) as handle:
        list(handle)


def _picture(path: Path) -> None:
    with Image.open(path) as image:
        image.verify()  # checksums of a PNG's parts; after it the file must be opened anew
    with Image.open(path) as image:
        image.load()


def _json(path: Path) -> None:
    json.loads(path.read_bytes().decode("utf-8-sig"))


def _gifti(path: Path) -> None:
    names: list[str] = []
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda name, _: names.append(name) if not names else None
    with path.open("rb") as handle:
        parser.ParseFile(handle)
    if names[0] != "GIFTI":
        raise ValueError(f"no GIFTI: its outermost element is {names[0]!r}")


KINDS: tuple[tuple[tuple[str, ...], Callable[[Path], Any]], ...] = (
    ((".nii", ".nii.gz"), _nifti),
    ((".mgh",), _mgh),
    ((".gz", ".mgz"), _gzip),
    ((".h5", ".hdf5"), _hdf5),
    ((".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif"), _picture),
    ((".json",), _json),
    ((".gii",), _gifti),
    ((".sphere.reg",), check_triangles),
)
