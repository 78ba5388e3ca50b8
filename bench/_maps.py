"""Lines of `truth` for maps: errors over maps without signal, false discoveries among silent vertices, and power."""

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

from bench import _lines
from bench._lines import Line
from boldflow.core.scores import metrics
from boldflow.core.scores.maps import VertexTests, vertex_tests

N_TRAIN, N_TEST, N_FEATURES, N_REFITS = 96, 48, 8, 200
HIGH, WIDE = 12, 16  # vertices of a hemisphere, a sheet
SMOOTH = 1.5  # s.d. of the noise's kernel, in vertices
SIGNAL = (0.4, 1.2)  # s.d. of a responding vertex's signal over that of its noise
LEVEL, MOST_FALSE = 0.05, 0.055
PENALTY = 20.0
SHAPE = f"{2 * HIGH * WIDE} vertices, {N_REFITS} refits"


def lines(seed: int, quick: bool) -> Iterator[Line]:
    """Simulate encoders whose responses are noise, then such as follow features at some vertices.

    Pictures train or test; noise goes together over neighbouring vertices; labels are permuted within training and
    within test, and a ridge is refitted, as the stage does.
    """
    n_studies = 50 if quick else 1000
    yield from _without_signal(seed, n_studies, quick)
    for share in (0.05, 0.3):
        yield from _with_signal(seed, n_studies, share, quick)


def _without_signal(seed: int, n_studies: int, quick: bool) -> Iterator[Line]:
    rng = np.random.default_rng([seed, 0])
    silent = np.zeros(2 * HIGH * WIDE, dtype=bool)
    studies = [_study(silent, rng, _edges()) for _ in range(n_studies)]
    most = LEVEL + 2 * np.sqrt(LEVEL * (1 - LEVEL) / n_studies)
    for name, cell in (("p_max", "maximum"), ("p_tfce", "clusters"), ("q", "q, no signal anywhere")):
        hits = [bool((getattr(tests, name) <= LEVEL).any()) for tests in studies]
        yield _lines.share("family-wise error of maps", f"{cell}, {SHAPE}", seed, hits, (0, most), quick)
    for level, spread in ((0.05, 0.005), (0.001, 0.0003)):
        shares = [float((tests.p <= level).mean()) for tests in studies]
        band = (level - spread, level + spread)
        yield _lines.mean("vertices without signal", f"p <= {level:g}, {SHAPE}", seed, shares, band)


def _with_signal(seed: int, n_studies: int, share: float, quick: bool) -> Iterator[Line]:
    rng = np.random.default_rng([seed, round(100 * share)])
    responds = np.zeros((2, HIGH, WIDE), dtype=bool)
    responds[0, :, : round(2 * share * WIDE)] = True  # a patch of one hemisphere
    responding = responds.ravel()
    studies = [_study(responding, rng) for _ in range(n_studies)]
    cell = f"{share:.0%} respond, {SHAPE}"
    false = [_false_share(tests.q <= LEVEL, responding) for tests in studies]
    error = float(np.std(false) / np.sqrt(n_studies))
    highest = MOST_FALSE + (3 * error if quick else 0)
    yield Line("false discovery share", cell, seed, n_studies, float(np.mean(false)), error, 0.0, highest)
    hits = [bool((tests.p_max[~responding] <= LEVEL).any()) for tests in studies]
    most = LEVEL + 2 * np.sqrt(LEVEL * (1 - LEVEL) / n_studies)
    yield _lines.share("family-wise error of maps", f"silent vertices, {cell}", seed, hits, (0, most), quick)
    for name, what, least in (("q", "q", 0.5), ("p_max", "maximum", 0.1)):
        power = [float((getattr(tests, name)[responding] <= LEVEL).mean()) for tests in studies]
        yield _lines.mean("power of maps", f"{what}, {cell}", seed, power, (least, 1.0))


def _false_share(discovered: np.ndarray, responding: np.ndarray) -> float:
    return float((discovered & ~responding).sum() / max(discovered.sum(), 1))


def _edges() -> np.ndarray:
    """Pairs of neighbours of two sheets that do not touch, (n_edges, 2)."""
    number = np.arange(2 * HIGH * WIDE).reshape(2, HIGH, WIDE)
    across = np.stack([number[:, :, :-1].ravel(), number[:, :, 1:].ravel()], axis=1)
    return np.concatenate([across, np.stack([number[:, :-1].ravel(), number[:, 1:].ravel()], axis=1)])


def _study(responding: np.ndarray, rng: np.random.Generator, edges: np.ndarray | None = None) -> VertexTests:
    """Test the map of a ridge from features to responses."""
    n_pictures, n_vertices = N_TRAIN + N_TEST, len(responding)
    features = rng.normal(size=(n_pictures, N_FEATURES))
    mixing = rng.normal(size=(N_FEATURES, n_vertices)) / np.sqrt(N_FEATURES)
    noise = ndimage.gaussian_filter(rng.normal(size=(n_pictures, 2, HIGH, WIDE)), (0, 0, SMOOTH, SMOOTH))
    noise = noise.reshape(n_pictures, n_vertices) / noise.std() * rng.uniform(0.5, 2, n_vertices)
    strength = np.where(responding, noise.std(axis=0) * rng.uniform(*SIGNAL, n_vertices), 0.0)
    responses = features @ mixing * strength + noise
    train = [np.arange(N_TRAIN)] + [rng.permutation(N_TRAIN) for _ in range(N_REFITS)]
    test = [np.arange(N_TEST)] + [rng.permutation(N_TEST) for _ in range(N_REFITS)]
    r = _correlations(features, responses, np.stack(train), np.stack(test) + N_TRAIN)
    return vertex_tests(r[0], r[1:].astype(np.float32), edges)


def _correlations(features: np.ndarray, responses: np.ndarray, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Pearson r of test pictures' responses and their prediction by ridge, (n_labellings, n_vertices).

    ``train`` (n_labellings, n_train), ``test`` (n_labellings, n_test): whose features each picture gets.
    """
    n_labellings, n_vertices = len(train), responses.shape[1]
    x = features - features[:N_TRAIN].mean(axis=0)
    gram = x[:N_TRAIN].T @ x[:N_TRAIN] + PENALTY * np.eye(N_FEATURES)  # the same however pictures are labelled
    inputs = x[train].swapaxes(1, 2).reshape(-1, N_TRAIN)
    products = (inputs @ responses[:N_TRAIN]).reshape(n_labellings, N_FEATURES, n_vertices)
    predicted = x[test] @ np.linalg.solve(gram, products)  # (n_labellings, n_test, n_vertices)
    columns = predicted.swapaxes(0, 1).reshape(N_TEST, -1)
    measured = np.tile(responses[N_TRAIN:], (1, n_labellings))
    return metrics.correlation(columns, measured).reshape(n_labellings, n_vertices)
