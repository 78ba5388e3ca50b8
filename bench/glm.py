"""Single-trial betas (LSS) of ten runs on fsaverage5 against nilearn's loop: ``run_glm`` per trial and run.

Both make the designs of all trials and fit by ordinary least squares in double precision. The peer is measured on one
whole run; its runs are alike, so its time for all is ten times that.
"""

import importlib.metadata
import warnings

import numpy as np
import pandas as pd
from nilearn.glm.first_level import make_first_level_design_matrix, run_glm

from bench.harness import Row, alternate
from boldflow.core.compute import fixed_threads
from boldflow.core.responses import glm, hrf

N_RUNS, N_TRIALS, N_VERTICES, TR_S, SLOT_S, SHOWN_S = 10, 37, 20_484, 2.0, 10.0, 1.0
TOLERANCE = 1e-6


def run(quick: bool = False) -> list[Row]:
    """Estimate the betas of 370 trials.

    Parameters
    ----------
    quick : bool
        512 vertices instead of 20,484, and 5 trials a run.

    Returns
    -------
    list of Row
        The speed-up, with the largest difference of betas of the measured run.
    """
    n_vertices, n_trials = (512, 5) if quick else (N_VERTICES, N_TRIALS)
    n_volumes = round((6 + SLOT_S * n_trials + 12) / TR_S)
    onsets, durations = 6 + SLOT_S * np.arange(n_trials), np.full(n_trials, SHOWN_S)
    rng = np.random.default_rng(0)
    runs = [1000 + 10 * rng.standard_normal((n_volumes, n_vertices)) for _ in range(N_RUNS)]
    found: dict[str, np.ndarray] = {}

    def ours() -> None:
        betas = []
        for series in runs:
            trials = hrf.regressors(onsets, durations, n_volumes, TR_S, hrf.canonical(TR_S)[0])
            known = glm.basis(glm.nuisance(n_volumes, TR_S, "cosine", 0.01, 1))
            betas.append(glm.betas([glm.lss_weights(trials, known)], series))
        found["ours"] = np.concatenate(betas)

    def peer() -> None:
        betas = []
        for trial in range(n_trials):
            names = np.where(np.arange(n_trials) == trial, "this", "others")
            events = pd.DataFrame({"onset": onsets, "duration": durations, "trial_type": names})
            design = make_first_level_design_matrix(
                TR_S * np.arange(n_volumes), events, hrf_model="spm", drift_model="cosine", high_pass=0.01
            )
            labels, results = run_glm(runs[0], design.to_numpy(), noise_model="ols")
            betas.append(results[labels[0]].theta[list(design.columns).index("this")])
        found["peer"] = np.stack(betas)

    with fixed_threads(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours_s, peer_s = alternate([ours, peer], 1 if quick else 3)
    worst = float(np.abs(found["ours"][:n_trials] - found["peer"]).max() / np.abs(found["peer"]).max())
    return [
        Row(
            bench="glm",
            peer="nilearn run_glm per trial (LSS)",
            peer_version=importlib.metadata.version("nilearn"),
            shape=f"{N_RUNS * n_trials} trials, {N_RUNS} runs, {n_vertices} vertices; peer: one run, times {N_RUNS}",
            ratio=N_RUNS * peer_s / ours_s,
            sense=">=",
            bound=10.0,
            agreement=f"largest difference {worst:.1e} of the largest beta",
            agrees=worst <= TOLERANCE,
            repeats=1 if quick else 3,
        )
    ]
