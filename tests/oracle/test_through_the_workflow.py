"""The smallest simulated study, run whole through Snakemake, against the truth that was saved beside it."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import signal as filters

from boldflow.artifacts.store import arrays, tables, weights
from boldflow.core import averaging
from boldflow.core.linear.ridge import fit_ridge
from boldflow.core.linear.scaling import fit_scaler, scale, unscale
from boldflow.core.responses import cleaning, projection
from boldflow.core.scores import metrics
from boldflow.datasets import sim
from boldflow.stages.responses._meshes import mesh

DATASET, RESPONSE, SPLIT = "sim-tiny", "bold-4to10s-fsaverage5", "repeated"
SUBJECTS = ["sub-01", "sub-02", "sub-03"]
pytestmark = pytest.mark.end_to_end


@pytest.fixture(scope="module", params=SUBJECTS)
def subject(finished, request):
    """What the workflow wrote about a subject, and the truth along the same way."""
    root, name = finished.folder, request.param
    settings = yaml.safe_load((root / "config/config.yaml").read_text())["datasets"][DATASET]
    settings = {key: value for key, value in settings.items() if key != "plugin"}
    oracle = sim.oracle(root / "resources", settings, name)
    folder = root / "results" / DATASET / name / RESPONSE
    model = folder / "gabor/ridge-encoder" / SPLIT
    trials = tables.read(folder.parent / "trials.parquet")
    split = tables.read(root / f"results/{DATASET}/splits/{SPLIT}.parquet")
    own = trials.merge(split[split["subject"] == name], on=["subject", "session", "run", "trial"], how="left")
    vertices = tables.read(folder / "vertices.parquet")
    place = vertices["vertex"].to_numpy() + 10242 * (vertices["hemisphere"] == "right").to_numpy()
    noisy_runs = sim.runs(root / "resources/clones" / DATASET, name, settings, "bold")
    noisy, clean = along_the_same_way(noisy_runs, oracle.noise_free(), trials, place)
    return SimpleNamespace(
        name=name,
        oracle=oracle,
        known=oracle.vertices.iloc[place].reset_index(drop=True),
        trials=trials,
        image=pd.factorize(trials["image_id"])[0],
        part=own["part"].to_numpy(),
        vertices=vertices,
        responses=np.array(arrays.read(folder / "responses.npy")),
        noisy=noisy,
        clean=clean,
        model=model,
        map=tables.read(model / "map.parquet"),
        scores=tables.read(model / "scores.parquet").query("view == 'image'"),
        features=pd.DataFrame(
            np.array(arrays.read(root / f"results/{DATASET}/features/gabor.npy")),
            index=tables.read(root / f"results/{DATASET}/features/gabor.parquet")["image_id"],
        ),
    )


def along_the_same_way(noisy_runs, clean_runs, trials, place):
    """Responses with noise and without, (n_trials, n_vertices), both divided by the spread of the noisy run."""
    found = [], []
    for noisy, clean in zip(noisy_runs, clean_runs, strict=True):
        matrices = [
            projection.interpolation_matrix(
                projection.depth_samples(half.pial, half.white), noisy.affine, noisy.bold.shape[:3]
            )
            for half in mesh("fsaverage5")
        ]
        both = [np.hstack([projection.project(m, one.bold) for m in matrices])[:, place] for one in (noisy, clean)]
        spread = filters.detrend(both[0], axis=0).std(axis=0, ddof=1)
        series = cleaning.detrend_and_standardise(both[0]), filters.detrend(both[1], axis=0) / spread
        onsets = trials.loc[trials["run"] == noisy.run, "onset_s"].to_numpy()
        for values, into in zip(series, found, strict=True):
            into.append(cleaning.windows(values, onsets, 4.0, 3, 2.0).mean(axis=1))
    return np.concatenate(found[0]), np.concatenate(found[1])


def components(values, image):
    """One-way analysis of variance by plain loops over images: (signal, noise)."""
    groups = [values[image == one] for one in np.unique(image)]
    sizes = np.array([len(group) for group in groups])
    n, n_images = sizes.sum(), len(sizes)
    within = sum(((group - group.mean(axis=0)) ** 2).sum(axis=0) for group in groups) / (n - n_images)
    between = sum(len(g) * (g.mean(axis=0) - values.mean(axis=0)) ** 2 for g in groups) / (n_images - 1)
    return (between - within) / ((n - (sizes**2).sum() / n) / (n_images - 1)), within


def test_responses_are_the_bold_along_the_same_way(subject):
    np.testing.assert_allclose(subject.responses, subject.noisy, atol=2e-5)


def test_regions_are_the_oracles(subject):
    known, vertices = subject.known, subject.vertices
    assert (vertices["roi_silent"] == known["silent"]).all()
    assert (vertices["roi_early"] == known["area"].isin(["V1", "V2", "V3"])).all()
    for area in set(known["area"]) - {""}:
        assert (vertices[f"roi_{area}"] == (known["area"] == area)).all()
    assert not (known["silent"] & known["responsive"]).any()


def test_responsive_vertices_are_told_from_silent_ones(subject):
    """By signal variance: the area under the curve, no threshold."""
    of = subject.vertices["signal_var"]
    early, silent = of[subject.known["area"].isin(["V1", "V2", "V3"])], of[subject.known["silent"]]
    area = (early.to_numpy()[:, None] > silent.to_numpy()[None, ::10]).mean()
    assert area > 0.9


def test_signal_and_noise_variance_of_early_visual_cortex(subject):
    early, silent = (subject.vertices[f"roi_{name}"].to_numpy() for name in ("early", "silent"))
    true_signal, overlap = components(subject.clean, subject.image)
    rest = subject.noisy - subject.clean
    true_noise = overlap + (rest**2).mean(axis=0)
    signal, noise = subject.vertices["signal_var"], subject.vertices["noise_var"]
    assert signal[early].mean() == pytest.approx(true_signal[early].mean(), rel=0.1)
    assert noise[early].mean() == pytest.approx(true_noise[early].mean(), rel=0.05)
    assert abs(true_signal[silent]).max() < 1e-6
    assert abs(signal[silent].mean()) < 0.05 * noise[silent].mean()
    assert np.corrcoef(signal[early], true_signal[early])[0, 1] > 0.6


def test_ceilings_are_those_of_the_true_variances(subject):
    early, test = subject.vertices["roi_early"].to_numpy(), subject.part == "test"
    signal, overlap = components(subject.clean[test], subject.image[test])
    noise = overlap + ((subject.noisy - subject.clean) ** 2).mean(axis=0)
    repeats = np.unique(subject.image[test], return_counts=True)[1].mean()
    true = (signal / (signal + noise / repeats))[early]
    found = subject.map["ceiling"].to_numpy()[early]
    row = subject.scores[(subject.scores["metric"] == "ceiling") & (subject.scores["roi"] == "early")]
    pooled = signal[early].sum() / (signal[early].sum() + noise[early].sum() / repeats)
    assert len(row) and (row["value"] - pooled).abs().max() < 0.05
    assert np.corrcoef(found, true)[0, 1] > 0.5


def test_the_encoder_is_near_the_same_ridge_with_the_oracles_alpha(subject):
    """One alpha for all vertices comes within .02; one for each costs more here, with 48 pictures to choose it by.

    The oracle's alpha for each vertex is the luckiest of seven on twelve pictures. ``test_simulated_brain`` has 120
    and 24 pictures, where an alpha for each vertex comes within .02 too.
    """
    early = subject.vertices["roi_early"].to_numpy()
    fit, test = np.isin(subject.part, ["train", "val"]), subject.part == "test"
    inputs = subject.features.loc[subject.trials["image_id"]].to_numpy()
    state = weights.read(subject.model / "model.safetensors", "fold0/")
    alphas = weights.read(subject.model / "model.safetensors", "fold0/seed0/")["grid"]
    scaler = fit_scaler(inputs[fit])
    np.testing.assert_array_equal(state["inputs/mean"], scaler["mean"])
    on = fit_scaler(subject.responses[fit][:, early])
    x, y = scale(inputs, scaler), scale(subject.responses[:, early], on)
    names, index = np.unique(subject.image[test], return_inverse=True)
    measured = averaging.average_by(subject.responses[test][:, early], index, len(names))

    def forecast(alphas, alpha_per="target"):
        found = fit_ridge(x[fit], y[fit], np.asarray(alphas), subject.image[fit], alpha_per=alpha_per)
        predicted = unscale(x[test] @ found.weights + found.intercept, on)
        return averaging.average_by(predicted, index, len(names))

    def correlate(predicted):
        return metrics.correlation(predicted, measured)

    each = np.stack([forecast([alpha]) for alpha in alphas])
    errors = ((each - measured) ** 2).mean(axis=1)
    of_each = np.take_along_axis(np.stack([correlate(one) for one in each]), errors.argmin(axis=0)[None], axis=0).mean()
    of_all = correlate(each[errors.mean(axis=1).argmin()]).mean()
    chosen = subject.map["r"].to_numpy()[early].mean()
    row = subject.scores[(subject.scores["metric"] == "r") & (subject.scores["roi"] == "early")]
    shared = correlate(forecast(alphas, "model")).mean()
    assert row["value"].to_numpy() == pytest.approx(chosen, abs=1e-6)
    assert chosen == pytest.approx(correlate(forecast(alphas)).mean(), abs=0.01)
    assert abs(of_all - shared) < 0.02
    assert abs(of_each - chosen) < 0.045


def test_silent_vertices_are_predicted_as_well_as_by_chance(subject):
    silent = subject.vertices["roi_silent"].to_numpy()
    row = subject.scores[(subject.scores["metric"] == "r") & (subject.scores["roi"] == "silent")].iloc[0]
    assert row["ci_low"] <= 0 <= row["ci_high"]
    assert row["value"] == pytest.approx(subject.map["r"].to_numpy()[silent].mean(), abs=1e-6)
