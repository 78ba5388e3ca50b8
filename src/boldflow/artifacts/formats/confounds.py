"""Tables of confounds that fMRIPrep writes beside BOLD (TSV)."""

from pathlib import Path

import numpy as np


def read(path: str | Path) -> dict[str, np.ndarray]:
    """Read a table of confounds.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    dict of array of shape (n_volumes,)
        By column, float64; NaN where a row says n/a or nothing.

    Raises
    ------
    ValueError
        If the table is empty or no UTF-8 text, a row has another number of fields than the header, or a field is no
        number; names file and line.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: byte {error.object[error.start]:#x} at {error.start} is no UTF-8 text") from None
    rows = [(line_number, line.split("\t")) for line_number, line in enumerate(lines, start=1) if line.strip()]
    if len(rows) < 2:
        raise ValueError(f"{path} has no rows of confounds; expected a header and a row per volume")
    header = [name.strip() for name in rows[0][1]]
    confound_values = np.empty((len(rows) - 1, len(header)))
    for row, (line, fields) in enumerate(rows[1:]):
        if len(fields) != len(header):
            raise ValueError(f"{path}, line {line} has {len(fields)} fields, the header {len(header)}")
        for column, text in enumerate(fields):
            confound_values[row, column] = _number(path, line, header[column], text.strip())
    return dict(zip(header, confound_values.T, strict=True))


def _number(path: str | Path, line: int, name: str, text: str) -> float:
    if text in ("", "n/a"):
        return float("nan")
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{path}, line {line}: {name} must be a number or n/a, not {text!r}") from None
