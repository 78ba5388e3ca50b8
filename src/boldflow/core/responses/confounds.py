"""Confounds of fMRIPrep, under its old names and its new ones, as regressors.

Names are compared in one spelling: lower case, digits and words joined by ``_``, with the words that fMRIPrep changed
(``X`` is ``trans_x``, ``WhiteMatter`` is ``white_matter``, ``aCompCor00`` is ``a_comp_cor_00``).
"""

import re
from collections.abc import Iterable, Mapping

import numpy as np

MOTION = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")
DISPLACEMENT = "framewise_displacement"
OLD = {
    "X": "trans_x",
    "Y": "trans_y",
    "Z": "trans_z",
    "RotX": "rot_x",
    "RotY": "rot_y",
    "RotZ": "rot_z",
    "CSF": "csf",
    "WhiteMatter": "white_matter",
    "GlobalSignal": "global_signal",
    "FramewiseDisplacement": DISPLACEMENT,
}
NUMBERED = {
    "aCompCor": "a_comp_cor_",
    "tCompCor": "t_comp_cor_",
    "Cosine": "cosine",
    "NonSteadyStateOutlier": "non_steady_state_outlier",
}
# What is a difference to the volume before, or of it: the first volume has none.
DIFFERENCES = re.compile(rf"{DISPLACEMENT}|rmsd|.*_derivative1(_power2)?|.*dvars", re.IGNORECASE)
N_COMPONENTS = 6  # of aCompCor, as many as fMRIPrep's first versions give
# What a name in a response's entry stands for; a name with a star is all numbered ones that there are.
GROUPS: dict[str, tuple[str, ...]] = {
    "motion6": MOTION,
    "motion24": MOTION,
    "csf-wm": ("csf", "white_matter"),
    "global": ("global_signal",),
    "acompcor6": tuple(f"a_comp_cor_{n:02d}" for n in range(N_COMPONENTS)),
    "cosine": ("cosine*",),
    "non-steady-state": ("non_steady_state_outlier*",),
}


def spelling(name: str) -> str:
    """Give the new name of a confound, whichever it has."""
    if name in OLD:
        return OLD[name]
    for old_prefix, new_prefix in NUMBERED.items():
        match = re.fullmatch(rf"{old_prefix}(\d+)", name)
        if match:
            return f"{new_prefix}{match[1]}"
    return name


def regressors(table: Mapping[str, np.ndarray], groups: Iterable[str]) -> np.ndarray:
    """Collect the regressors of a run.

    Parameters
    ----------
    table : mapping of str to array of shape (n_volumes,)
        Columns of the run's table under either names; NaN where a row says n/a.
    groups : iterable of str
        Keys of ``GROUPS``. "motion24" are the six parameters, their differences to the volume before (0 for the first),
        and the squares of both (Friston et al. 1996, Magn. Reson. Med. 35, 346).

    Returns
    -------
    array of shape (n_volumes, n_regressors)

    Raises
    ------
    ValueError
        If a group is unknown, a column is missing (those there are are named) or not a number: only what is a
        difference to the volume before may have none in the first, and is 0 there.
    """
    confounds = {spelling(name): np.asarray(column, dtype=np.float64) for name, column in table.items()}
    all_columns: list[np.ndarray] = []
    for group in groups:
        if group not in GROUPS:
            raise ValueError(f"no confounds {group!r}; there are: {', '.join(GROUPS)}")
        columns = [_column(confounds, name, group) for name in _names(confounds, GROUPS[group])]
        if group == "cosine" and not columns:  # a run without non-steady-state volumes has none of those
            raise ValueError(
                f"the confounds hold no cosine; leave the group out, or set high_pass_hz; there are: "
                f"{', '.join(sorted(confounds))}"
            )
        if group == "motion24":
            columns += [np.diff(column, prepend=column[:1]) for column in columns]
            columns += [column**2 for column in columns]
        all_columns += columns
    n_volumes = len(next(iter(confounds.values()))) if confounds else 0
    return np.stack(all_columns, axis=1) if all_columns else np.empty((n_volumes, 0))


def displacement(table: Mapping[str, np.ndarray]) -> np.ndarray:
    """Give the framewise displacement of a run, mm, (n_volumes,); 0 for the first volume.

    Raises
    ------
    ValueError
        If the table has none, or a later volume has no number.
    """
    confounds = {spelling(name): np.asarray(column, dtype=np.float64) for name, column in table.items()}
    return _column(confounds, DISPLACEMENT, "censoring")


def _names(confounds: Mapping[str, np.ndarray], patterns: tuple[str, ...]) -> list[str]:
    names: list[str] = []
    for pattern in patterns:
        stem = pattern.removesuffix("*")
        names += (
            sorted(confound for confound in confounds if re.fullmatch(rf"{stem}\d+", confound))
            if stem != pattern
            else [pattern]
        )
    return names


def _column(confounds: Mapping[str, np.ndarray], name: str, group: str) -> np.ndarray:
    if name not in confounds:
        raise ValueError(
            f"{group} needs the confound {name}, which is not there; there are: {', '.join(sorted(confounds))}"
        )
    column = confounds[name].copy()
    if np.isnan(column[0]) and DIFFERENCES.fullmatch(name):
        column[0] = 0.0
    if not np.isfinite(column).all():
        row = int(np.flatnonzero(~np.isfinite(column))[0])
        no_difference = f" (0 is right for a difference to the volume before, and {name} is none)" if row == 0 else ""
        raise ValueError(
            f"confound {name} has no number at volume {row + 1} of {len(column)}: write one into the table"
            f"{no_difference}, or leave {group} out"
        )
    return column
