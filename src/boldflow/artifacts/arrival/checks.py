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
from boldflow.artifacts.formats import pictures
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
    fault_lines = []
    for path in tqdm(sorted(set(paths)), desc="look into files", unit="file"):
        fault = problem(root / path)
        if fault:
            fault_lines.append(f"  {path} ({(root / path).stat().st_size} bytes): {fault}")
    if fault_lines:
        raise ValueError(f"{len(fault_lines)} files of {root} are not what their names say:\n" + "\n".join(fault_lines))


def problem(path: str | Path) -> str:
    """Say what is wrong with a file, given its suffix; nothing where all is well."""
    path = Path(path)
    name = path.name.lower()
    with path.open("rb") as handle:
        first_bytes = handle.read(512)
    if not name.endswith(PAGES) and is_page(first_bytes):
        return "it is a web page or a server's message"
    for suffixes, look in KINDS:
        if name.endswith(suffixes):
            try:
                look(path)
            except (*WRONG, *pictures.BROKEN) as error:
                return str(error) or type(error).__name__
            break
    return ""


def _gzip(path: Path, on_chunk: Callable[[bytes], Any] = len) -> int:
    """Read a compressed file to its end, which checks the CRC of each member; give the bytes inside."""
    n_bytes = 0
    if not path.stat().st_size:
        raise ValueError("no whole gzip: it is empty")
    try:
        with gzip.open(path) as handle:
            while chunk := handle.read(CHUNK):
                on_chunk(chunk)
                n_bytes += len(chunk)
    except gzip.BadGzipFile as error:
        raise ValueError(f"no whole gzip: {error}") from None
    except EOFError:
        raise ValueError("no whole gzip: it ends too early") from None
    except zlib.error as error:
        raise ValueError(f"no whole gzip: {error}") from None
    return n_bytes


def _nifti(path: Path) -> None:
    """Compare the bytes of a NIfTI file with its header; a compressed one is read whole."""
    first_bytes = bytearray()
    if path.name.lower().endswith(".gz"):
        n_bytes = _gzip(path, lambda chunk: first_bytes.extend(chunk[: max(0, HEADER - len(first_bytes))]))
    else:
        n_bytes = path.stat().st_size
        with path.open("rb") as handle:
            first_bytes += handle.read(HEADER)
    header_class: Any = nib.Nifti2Header if first_bytes[:4] in NIFTI_2 else nib.Nifti1Header
    if n_bytes < header_class.sizeof_hdr:
        raise ValueError(f"no NIfTI: its {n_bytes} bytes are less than a header")
    header = header_class(bytes(first_bytes[: header_class.sizeof_hdr]), check=False)
    if int(header["sizeof_hdr"]) != header_class.sizeof_hdr:
        raise ValueError(f"no NIfTI: it begins with {bytes(first_bytes[:4])!r}")
    try:
        shape, itemsize = header.get_data_shape(), header.get_data_dtype().itemsize
    except KeyError as error:
        raise ValueError(f"no NIfTI: its header names an unknown data type, {error}") from None
    n_needed = int(header["vox_offset"]) + itemsize * math.prod(map(int, shape))
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
    element_names: list[str] = []
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda name, _: element_names.append(name) if not element_names else None
    with path.open("rb") as handle:
        parser.ParseFile(handle)
    if element_names[0] != "GIFTI":
        raise ValueError(f"no GIFTI: its outermost element is {element_names[0]!r}")


KINDS: tuple[tuple[tuple[str, ...], Callable[[Path], Any]], ...] = (
    ((".nii", ".nii.gz"), _nifti),
    ((".mgh",), _mgh),
    ((".gz", ".mgz"), _gzip),
    ((".h5", ".hdf5"), _hdf5),
    (tuple(sorted(pictures.SUFFIXES)), _picture),
    ((".json",), _json),
    ((".gii",), _gifti),
    ((".sphere.reg",), check_triangles),
)
