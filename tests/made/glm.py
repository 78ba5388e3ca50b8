"""Betas of the linear model as nilearn gives them: witnesses for betas of trials."""

import numpy as np
import pandas as pd
from nilearn.glm.first_level import make_first_level_design_matrix, run_glm

TR_S = 2.0


def by_nilearn(onsets, durations, more, series, names, conditions, tr_s=TR_S, drift="cosine", order=1):
    """Betas of the conditions ``conditions`` from one of nilearn's models."""
    events = pd.DataFrame({"onset": onsets, "duration": durations, "trial_type": names})
    frames = tr_s * np.arange(len(series))
    design = make_first_level_design_matrix(
        frames, events, hrf_model="spm", drift_model=drift, high_pass=0.01, drift_order=order, add_regs=more
    )
    labels, fits = run_glm(series, design.to_numpy(), noise_model="ols")
    theta = next(iter(fits.values())).theta
    assert len(fits) == 1 and len(labels) == series.shape[1]
    return theta[[list(design.columns).index(name) for name in conditions]]


def lss_by_nilearn(onsets, durations, more, series, **how):
    """Betas of trials, (n_trials, n_vertices), each from a model of its own."""
    n = len(onsets)
    names = [["this" if k == trial else "others" for k in range(n)] for trial in range(n)]
    return np.vstack([by_nilearn(onsets, durations, more, series, of_trial, ["this"], **how) for of_trial in names])


def far(values, expected):
    """Largest difference, as a share of the largest expected value."""
    return np.abs(values - expected).max() / np.abs(expected).max()
