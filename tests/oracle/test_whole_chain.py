"""The smallest simulated study once more, from its BIDS files to its scores, by nilearn, scikit-learn and SciPy alone.

Nothing of the package computes here: only the features of pictures are taken as the workflow cached them.
"""

from types import SimpleNamespace

import nibabel
import numpy as np
import pandas as pd
import pytest
from nilearn import datasets, signal, surface
from scipy import stats
from scipy.spatial.distance import cdist
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import StandardScaler

SUBJECT, TR_S, START_S, N_VOLUMES = "sub-02", 2.0, 4.0, 3
N_OF_SIDE = 10242
pytestmark = pytest.mark.end_to_end


@pytest.fixture(scope="module")
def chain(finished):
    """Responses and pictures of all trials, computed again, and the folder of what the workflow wrote."""
    study = finished.folder / "resources/clones/sim-tiny"
    results = finished.folder / "results/sim-tiny" / SUBJECT / "bold-4to10s-fsaverage5"
    table = pd.read_parquet(finished.folder / "results/sim-tiny/features/gabor.parquet")
    features = np.load(finished.folder / "results/sim-tiny/features/gabor.npy").astype(np.float64)
    responses, pictures = [], []
    for events_path in sorted((study / SUBJECT).rglob("*_events.tsv")):
        events = pd.read_csv(events_path, sep="\t")
        (bold,) = study.rglob(events_path.name.replace("_events.tsv", "_*bold.nii.gz"))
        responses.append(windows_of(series_of(bold), events["onset"].to_numpy()))
        pictures += events["stim_file"].tolist()
    shown = pd.Series(pictures)
    by_name = {name.rpartition("/")[2]: row for row, name in enumerate(table["image_id"])}
    feature_rows = shown.str.rpartition("/")[2].map(by_name).to_numpy()
    return SimpleNamespace(
        results=results,
        responses=np.concatenate(responses),  # (n_trials, 2 * N_OF_SIDE)
        picture=feature_rows,
        is_test=shown.duplicated(keep=False).to_numpy(),
        features=features,
    )


def series_of(bold):
    """A run on both hemispheres, detrended and standardised, (n_volumes, 2 * N_OF_SIDE)."""
    files = datasets.fetch_surf_fsaverage("fsaverage5")
    sides = [
        surface.vol_to_surf(
            nibabel.load(bold), files[f"pial_{side}"], inner_mesh=files[f"white_{side}"], kind="depth", n_samples=10
        )
        for side in ("left", "right")
    ]
    return signal.clean(np.concatenate(sides).T, detrend=True, standardize="zscore_sample", standardize_confounds=False)


def windows_of(series, onsets):
    """Mean of the volumes from START_S after each onset, (n_trials, n_vertices)."""
    first = np.round((onsets + START_S) / TR_S).astype(int)
    return np.stack([series[k : k + N_VOLUMES].mean(axis=0) for k in first])


def ridge(inputs, targets):
    """Scale, choose a penalty for each target by leaving out each trial, and give how new inputs are predicted."""
    x, y = StandardScaler().fit(inputs), StandardScaler().fit(targets)
    scaled = x.transform(inputs)
    grid = 10.0 ** np.arange(-4, 4) * (scaled**2).sum() / min(scaled.shape)
    fitted = RidgeCV(grid, alpha_per_target=True).fit(scaled, y.transform(targets))
    return fitted, lambda new: fitted.predict(x.transform(new)), y


def columns_of(chain):
    """Columns of both hemispheres that the workflow kept: vertices outside the brain are not."""
    places = pd.read_parquet(chain.results / "vertices.parquet")
    return places["vertex"].to_numpy() + N_OF_SIDE * (places["hemisphere"] == "right").to_numpy()


def averaged(values, groups):
    return pd.DataFrame(values).groupby(groups).mean()


def test_responses_are_nilearns(chain):
    responses = np.load(chain.results / "responses.npy")
    columns = columns_of(chain)
    np.testing.assert_allclose(responses, chain.responses[:, columns], atol=2e-5)


def test_encoders_scores_are_scikit_learns(chain):
    columns = columns_of(chain)
    responses, features, train = chain.responses[:, columns], chain.features[chain.picture], ~chain.is_test
    _, predict, scaler = ridge(features[train], responses[train])
    predicted = averaged(scaler.inverse_transform(predict(features[chain.is_test])), chain.picture[chain.is_test])
    measured = averaged(responses[chain.is_test], chain.picture[chain.is_test])
    r = stats.pearsonr(predicted, measured, axis=0).statistic
    model = chain.results / "gabor/ridge-encoder/repeated"
    ours = pd.read_parquet(model / "map.parquet")["r"].to_numpy()
    close = np.abs(ours - r) < 1e-4
    assert close.mean() > 0.995, "another penalty may be chosen where two are level"
    scores = pd.read_parquet(model / "scores.parquet")
    row = scores[(scores["metric"] == "r") & (scores["roi"] == "all")].iloc[0]
    assert row["value"] == pytest.approx(r.mean(), abs=2e-5)


def test_decoders_ranks_are_scipys(chain):
    responses, features, train = chain.responses, chain.features[chain.picture], ~chain.is_test
    columns = columns_of(chain)
    _, predict, scaler = ridge(responses[train][:, columns], features[train])
    predicted = averaged(predict(responses[chain.is_test][:, columns]), chain.picture[chain.is_test])
    gallery = scaler.transform(chain.features[predicted.index])
    scores = pd.read_parquet(chain.results / "gabor/ridge/repeated/scores.parquet")
    chosen = scores[(scores["view"] == "image") & (scores["gallery"] == "test")].set_index("metric")["value"]
    n = len(predicted)
    ranks = ranks_of(1 - cdist(predicted, gallery, "cosine"))
    assert chosen["inv_norm_rank"] == pytest.approx(1 - ranks.mean() / (n - 1), abs=1e-9)
    assert chosen["top5"] == pytest.approx((ranks < 5).mean(), abs=1e-9)
    assert chosen["mean_rank"] == pytest.approx(ranks.mean(), abs=1e-9)
    by_correlation = ranks_of(1 - cdist(predicted, gallery, "correlation"))
    assert chosen["two_way"] == pytest.approx(1 - by_correlation.mean() / (n - 1), abs=1e-9)


def ranks_of(closeness):
    """Rank of the picture that was seen, from 0, (n_images,)."""
    return np.array([stats.rankdata(-row)[k] - 1 for k, row in enumerate(closeness)])
