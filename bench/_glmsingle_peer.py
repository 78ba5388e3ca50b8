"""Run GLMsingle in an environment of its own, without boldflow: ``python _glmsingle_peer.py INPUT.npz OUTPUT.npz``."""

import contextlib
import io
import sys
import tempfile
import time

import numpy as np
from glmsingle.glmsingle import GLM_single
from scipy.interpolate import CubicSpline


def estimate(series, onsets_s, pictures, tr_s, shown_s, step_s):
    """Betas of type D, (n_all_trials, n_vertices), of volumes that are interpolated to ``step_s``."""
    n_pictures = max(int(of_run.max()) for of_run in pictures) + 1
    designs, data = [], []
    for values, onsets, of_run in zip(series, onsets_s, pictures, strict=True):
        n_steps = round(len(values) * tr_s / step_s)
        if step_s != tr_s:
            time_s = np.minimum(step_s * np.arange(n_steps), tr_s * (len(values) - 1))
            values = CubicSpline(tr_s * np.arange(len(values)), values)(time_s)
        design = np.zeros((n_steps, n_pictures))
        design[np.round(onsets / step_s).astype(int), of_run] = 1
        designs.append(design)
        data.append(values.T.astype(np.float32).reshape(-1, 1, 1, n_steps))
    settings = {
        "wantlibrary": 1, "wantglmdenoise": 1, "wantfracridge": 1, "n_jobs": 1,
        "wantfileoutputs": [0, 0, 0, 0], "wantmemoryoutputs": [0, 0, 0, 1],
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        results = GLM_single(settings).fit(designs, data, shown_s, step_s, outputdir=folder, figuredir=None)
    betas = results["typed"]["betasmd"]
    return betas.reshape(len(betas), -1).T


def main():
    """Estimate at the repetition time and at half of it, and note processor seconds."""
    given = np.load(sys.argv[1])
    runs = range(int(given["n_runs"]))
    series, onsets, pictures = ([given[f"{name}{run}"] for run in runs] for name in ("series", "onsets", "pictures"))
    made = {}
    for name, parts in (("d", 1), ("d_halved", 2)):
        start = time.process_time()
        tr_s = float(given["tr_s"])
        made[name] = estimate(series, onsets, pictures, tr_s, float(given["shown_s"]), tr_s / parts)
        made[f"{name}_cpu_s"] = time.process_time() - start
    np.savez(sys.argv[2], **made)


if __name__ == "__main__":
    main()
