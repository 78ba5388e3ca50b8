"""Arrays of numbers in MATLAB files of version 5 (MATLAB's -v6 and -v7)."""

import io
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy.io

HEADER_BYTES = 128  # of text, version and order of bytes
VERSIONS = {b"\x00\x01IM": "5", b"\x01\x00MI": "5", b"\x00\x02IM": "7.3", b"\x02\x00MI": "7.3"}  # the header's last 4
# What scipy raises behind a sound header: the file ends too early, a compressed array cannot be unpacked, an element
# is of another kind or size than it says.
BROKEN = (OSError, zlib.error, ValueError, TypeError)


def read(path: str | Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Read arrays by name.

    Raises
    ------
    FileNotFoundError
        If the file is not there.
    ValueError
        If it is no MATLAB file of version 5, not whole (tells its bytes), lacks an array, or one holds no numbers.
    """
    path = Path(path)
    file_bytes = path.read_bytes()
    version = VERSIONS.get(file_bytes[HEADER_BYTES - 4 : HEADER_BYTES])
    if version != "5":
        version_text = f"of version {version}" if version else f"none: it begins with {file_bytes[:12]!r}"
        raise ValueError(f"{path} ({len(file_bytes)} bytes) must be a MATLAB file of version 5, and is {version_text}")
    try:
        variables = scipy.io.loadmat(io.BytesIO(file_bytes), variable_names=names)
    except BROKEN as error:
        raise ValueError(f"{path} ({len(file_bytes)} bytes) is no whole MATLAB file: {error}; get it again") from None
    missing = [name for name in names if name not in variables]
    if missing:
        raise ValueError(f"{path} lacks {missing}, expected {list(names)}: is it whole?")
    for name in names:
        if variables[name].dtype.kind not in "iuf" or not variables[name].size:
            raise ValueError(
                f"{path}: {name} is {variables[name].dtype} of shape {variables[name].shape}, expected numbers"
            )
    return {name: variables[name] for name in names}
