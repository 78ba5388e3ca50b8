"""Confounds under fMRIPrep's old and new names."""

import numpy as np
import pytest

from boldflow.core.responses import confounds

OLD = ["CSF", "WhiteMatter", "GlobalSignal", "FramewiseDisplacement", "X", "Y", "Z", "RotX", "RotY", "RotZ"]
NEW = ["csf", "white_matter", "global_signal", "framewise_displacement", "trans_x", "trans_y", "trans_z"]
NEW += ["rot_x", "rot_y", "rot_z"]
OLD += [f"aCompCor{n:02d}" for n in range(6)] + ["Cosine00", "Cosine01", "NonSteadyStateOutlier00", "tCompCor00"]
NEW += [f"a_comp_cor_{n:02d}" for n in range(6)] + [
    "cosine00",
    "cosine01",
    "non_steady_state_outlier00",
    "t_comp_cor_00",
]


def table(names, seed=0):
    values = np.random.default_rng(seed).normal(size=(len(names), 9))
    values[names.index(names[3]), 0] = np.nan  # n/a
    return dict(zip(names, values, strict=True))


def test_old_and_new_names_give_the_same():
    for group in confounds.GROUPS:
        one, other = (confounds.regressors(table(names), [group]) for names in (OLD, NEW))
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(*(confounds.displacement(table(names)) for names in (OLD, NEW)))
    assert [confounds.spelling(name) for name in OLD] == NEW


def test_groups_are_the_columns_they_name_in_their_order():
    given = table(NEW)
    found = confounds.regressors(given, ["csf-wm", "cosine"])
    np.testing.assert_array_equal(found.T, [given[name] for name in ("csf", "white_matter", "cosine00", "cosine01")])
    assert confounds.regressors(given, []).shape == (9, 0)
    assert confounds.displacement(given)[0] == 0


def test_motion_with_derivatives_and_squares_is_as_fmriprep_writes_it():
    """Witness: fMRIPrep's own columns *_derivative1, *_power2 and *_derivative1_power2, by their definition."""
    given = table(NEW)
    found = confounds.regressors(given, ["motion24"])
    assert found.shape == (9, 24)
    wanted = []
    for name in confounds.MOTION:
        step = [0.0] + [given[name][k] - given[name][k - 1] for k in range(1, 9)]
        wanted += [given[name], step, given[name] ** 2, np.square(step)]
    np.testing.assert_allclose(sorted(found.T.tolist()), sorted(np.array(wanted).tolist()), atol=1e-15)


def test_what_is_missing_or_no_number_is_named():
    given = table(NEW)
    with pytest.raises(ValueError, match="no confounds 'motion12'; there are: motion6, motion24, csf-wm"):
        confounds.regressors(given, ["motion12"])
    del given["rot_y"]
    with pytest.raises(
        ValueError, match="motion6 needs the confound rot_y, which is not there; there are: a_comp_cor_00"
    ):
        confounds.regressors(given, ["motion6"])
    given["csf"][4] = np.nan
    with pytest.raises(ValueError, match="confound csf has no number at volume 5 of 9"):
        confounds.regressors(given, ["csf-wm"])
    with pytest.raises(ValueError, match="censoring needs the confound framewise_displacement, which is not there"):
        confounds.displacement({"csf": given["csf"]})
