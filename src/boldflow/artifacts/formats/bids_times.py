"""What headers and JSON sidecars of BOLD state of the times of its volumes. What states nothing is no statement.

A header's 0, a sidecar without the key and one with null say nothing. A sidecar is a file of the user's or of a
published tree: a byte order mark is read as what it means, and no remedy speaks of making the file again.
"""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

SECONDS = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6}
REGULAR_S = 1e-3  # steps of VolumeTiming that differ by less are one


def sidecar(paths: Iterable[str | Path]) -> dict[str, Any]:
    """Read the JSON sidecars of a file, from the most general one to its own: later ones win, as BIDS has it.

    Raises
    ------
    ValueError
        If one is not whole JSON, or no object; names it and its size.
    """
    content: dict[str, Any] = {}
    for path in map(Path, paths):
        json_bytes = path.read_bytes()
        try:
            part = json.loads(json_bytes.decode("utf-8-sig"))  # a byte order mark is no part of the text
        except ValueError as error:
            raise ValueError(f"{path} ({len(json_bytes)} bytes) is not whole JSON: {error}; mend the file") from None
        if not isinstance(part, dict):
            raise ValueError(f"{path} holds a {type(part).__name__}, expected an object")
        content |= part
    return content


def header_tr(image: nib.Nifti1Image) -> dict[str, float]:
    """Give the repetition time that a header states, seconds, as ``{"header": ...}``; nothing where it is 0 or less.

    A header that names no unit of time means seconds.
    """
    zooms = image.header.get_zooms()
    tr = float(zooms[3]) if len(zooms) > 3 else 0.0
    is_stated = math.isfinite(tr) and tr > 0
    return {"header": tr * SECONDS.get(image.header.get_xyzt_units()[1], 1.0)} if is_stated else {}


def sidecar_tr(content: Mapping[str, Any], where: str | Path) -> dict[str, float]:
    """Give the repetition time that a sidecar states, seconds, as ``{"sidecar": ...}``; nothing where it states none.

    Volumes at times of their own (VolumeTiming) are at one step, which is then the repetition time.

    Raises
    ------
    ValueError
        If it states something else than seconds, or volumes at irregular times; shows what stands there.
    """
    tr = _seconds(content, "RepetitionTime", where)
    if tr is not None and tr < 0:
        raise ValueError(f"{where} states RepetitionTime {tr:g}, expected seconds above 0")
    statements = {"sidecar": tr} if tr else {}
    volume_times_s = content.get("VolumeTiming")
    if volume_times_s is None:
        return statements
    steps_s = np.diff(volume_times_s) if _are_numbers(volume_times_s) else np.empty(0)
    if not len(steps_s) or np.ptp(steps_s) > REGULAR_S or abs(volume_times_s[0]) > REGULAR_S:
        raise ValueError(
            f"{where} states VolumeTiming {str(volume_times_s)[:60]}: volumes at irregular times are not read; "
            "expected none, or one step from volume to volume, from 0 on"
        )
    return statements | {"VolumeTiming": float(steps_s.mean())}


def slice_timing(content: Mapping[str, Any], where: str | Path) -> tuple[float | None, bool]:
    """Say to which time within the TR slices were moved.

    Parameters
    ----------
    content : mapping
        Of the sidecar; may be empty.
    where : str or Path
        Its file, for messages.

    Returns
    -------
    (float or None, bool)
        StartTime, seconds after the start of each volume, None where it states none; and whether slice timing was
        corrected.

    Raises
    ------
    ValueError
        If StartTime is no number of seconds; shows what stands there.
    """
    return _seconds(content, "StartTime", where), content.get("SliceTimingCorrected") is True


def _seconds(content: Mapping[str, Any], key: str, where: str | Path) -> float | None:
    value = content.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{where} states {key} {value!r}, expected seconds")
    return float(value)


def _are_numbers(values: object) -> bool:
    return isinstance(values, list) and all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in values
    )
