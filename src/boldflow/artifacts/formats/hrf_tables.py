"""Tables of haemodynamic responses: numbers in columns, a column per response, a row per step, no header."""

from pathlib import Path

import numpy as np


def read(path: str | Path) -> np.ndarray:
    """Read a table, separated by tabs, commas or blanks, as float64 (n_samples, n_responses).

    Raises
    ------
    ValueError
        If it is empty, a row has another number of fields than the first, or a field is no number; names file and line.
    """
    lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    rows = [
        (line_number, line.replace(",", " ").split()) for line_number, line in enumerate(lines, start=1) if line.strip()
    ]
    if not rows:
        raise ValueError(f"{path} is empty; expected a column of numbers per haemodynamic response")
    n_responses = len(rows[0][1])
    responses = np.empty((len(rows), n_responses))
    for row, (line, fields) in enumerate(rows):
        if len(fields) != n_responses:
            raise ValueError(f"{path}, line {line} has {len(fields)} fields, the first {n_responses}")
        try:
            responses[row] = [float(field) for field in fields]
        except ValueError as error:
            raise ValueError(f"{path}, line {line}: {error}; expected numbers alone, without a header") from None
    return responses
