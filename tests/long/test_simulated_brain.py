"""The simulated brain from arrays, over many seeds: what is estimated against what was put in.

Truth is the noise-free BOLD sent through the identical projection, cleaning and window; "identical" cleaning divides
by the spread of the noisy run, since that is the scale in which the estimates are. Noise variance is that of what the
noisy path has and the noise-free one has not, in other scans of the same brain.
"""

from dataclasses import dataclass

import numpy as np
import pytest
from nilearn import datasets, surface
from scipy import signal as filters

from boldflow.core import averaging
from boldflow.core.linear.ridge import fit_ridge
from boldflow.core.linear.scaling import fit_scaler, scale
from boldflow.core.responses import ceilings, cleaning, projection
from boldflow.core.scores import metrics
from boldflow.core.simulation import bold, brain, images
from tests.made.features import described

BRAINS, SCANS = 4, 5  # scans of each brain: 20 seeds of noise and of the order of trials
SEEDS = BRAINS * SCANS
N_TRAIN, N_TEST, REPEATS, N_RUNS = 120, 24, 4, 6
TR_S, SLOT_S, SHOWN_S, LEAD_IN_S, TAIL_S = 2.0, 10.0, 2.5, 6.0, 12.0
START_S, N_VOLUMES = 4.0, 3
VOXEL_MM = 8.0
NOISE_SD = 1.5 * bold.SIGNAL
ALPHAS = 10.0 ** np.arange(7)


@dataclass(frozen=True)
class Measured:
    """One scan: (n_trials, n_vertices) with noise, and without it at the same scale."""

    brain: int
    early: np.ndarray  # (n_vertices,) the others are silent
    noisy: np.ndarray
    clean: np.ndarray
    picture: np.ndarray  # of each trial

    @property
    def is_test(self):
        return self.picture >= N_TRAIN


class Laboratory:
    """Pictures, cortex, and the way from BOLD to vertices: the same in all seeds."""

    def __init__(self):
        files = datasets.fetch_surf_fsaverage("fsaverage5")
        self.mesh = {
            kind: np.concatenate(
                [surface.load_surf_mesh(files[f"{kind}_{side}"]).coordinates for side in ("left", "right")]
            ).astype(float)
            for kind in ("white", "pial", "sphere")
        }
        self.category = np.arange(N_TRAIN + N_TEST) % 2
        make = (images.dead_leaves, images.pink_noise)
        pictures = np.stack([make[c](64, np.random.default_rng([1, k])) for k, c in enumerate(self.category)])
        self.seen = brain.see(pictures)
        self.features = described("gabor", pictures)
        affine, self.shape = bold.grid(VOXEL_MM)
        self.forward = bold.forward_map(self.mesh["white"], self.mesh["pial"], affine, self.shape)
        self.mask = bold.mask_of(self.forward, self.shape)
        self.smooth = bold.smooth_map(self.mask, affine)
        samples = projection.depth_samples(self.mesh["pial"], self.mesh["white"])
        self.to_surface = projection.interpolation_matrix(samples, affine, self.shape)

    def draw(self, seed):
        """A brain, its amplitudes, and its silent vertices."""
        middle = (self.mesh["white"] + self.mesh["pial"]) / 2
        left = np.arange(len(middle)) < len(middle) // 2
        drawn = brain.draw_brain(self.mesh["sphere"], middle, left, ("a", "b"), np.random.default_rng([2, seed]))
        strength = np.exp(np.random.default_rng(3).normal(0, 0.25, len(self.category)))
        train = np.arange(len(self.category)) < N_TRAIN
        amplitudes = brain.amplitudes(drawn, self.seen, self.category, strength, train)
        silent = bold.silent_vertices(drawn.responsive, self.mesh["white"], self.mesh["pial"], VOXEL_MM)
        return drawn, amplitudes, silent

    def scan(self, number, drawn, amplitudes, vertices, seed):
        """Simulate all runs of a subject and take both versions to ``vertices`` and windows."""
        rng = np.random.default_rng([4, seed])
        sd = NOISE_SD * np.exp(rng.normal(0, 0.1, int(self.mask.sum())))
        to_voxels = self.forward[self.mask.ravel()][:, drawn.responsive]
        rows = self.to_surface[vertices]
        noisy, clean, pictures = [], [], []
        for order in bold.schedule(N_TRAIN, N_TEST, REPEATS, N_RUNS, rng):
            onsets = LEAD_IN_S + SLOT_S * np.arange(len(order))
            n = round((LEAD_IN_S + SLOT_S * len(order) + TAIL_S) / TR_S)
            response = bold.design(onsets, n, TR_S, SHOWN_S)
            clear = bold.BASELINE + bold.SIGNAL * (to_voxels @ (response @ amplitudes[order]).T).T
            noise = bold.noise(n, sd, self.smooth, rng) + bold.drift(n, sd, rng)
            both = [self._project(rows, series) for series in (clear + noise, clear)]
            spread = filters.detrend(both[0], axis=0).std(axis=0, ddof=1)
            cleaned = [cleaning.detrend_and_standardise(both[0]), filters.detrend(both[1], axis=0) / spread]
            for values, found in zip(cleaned, (noisy, clean), strict=True):
                found.append(cleaning.windows(values, onsets, START_S, N_VOLUMES, TR_S).mean(axis=1))
            pictures.append(order)
        early = drawn.early[vertices]
        return Measured(number, early, np.concatenate(noisy), np.concatenate(clean), np.concatenate(pictures))

    def _project(self, rows, series):
        volumes = np.zeros((*self.shape, len(series)))
        volumes[self.mask] = series.T
        return projection.project(rows, volumes)


@pytest.fixture(scope="module")
def laboratory():
    return Laboratory()


@pytest.fixture(scope="module")
def scans(laboratory):
    """Early vertices and some silent ones of every brain, in every scan."""
    found = []
    for number in range(BRAINS):
        drawn, amplitudes, silent = laboratory.draw(number)
        vertices = np.concatenate([np.flatnonzero(drawn.early), np.flatnonzero(silent)[::40]])
        seeds = range(SCANS * number, SCANS * (number + 1))
        found += [laboratory.scan(number, drawn, amplitudes, vertices, seed) for seed in seeds]
    return found


def components(values, picture):
    """One-way analysis of variance of a balanced design, by plain sums: (signal, noise)."""
    table = np.stack([values[picture == one] for one in np.unique(picture)])  # (n_images, n_repeats, n_vertices)
    within = table.var(axis=1, ddof=1).mean(axis=0)
    return table.mean(axis=1).var(axis=0, ddof=1) - within / table.shape[1], within


def estimated(scan):
    return ceilings.variance_components(scan.noisy[scan.is_test], scan.picture[scan.is_test])


def truth(scan, scans):
    """Signal and noise variance of one scan; neighbours in time differ between repeats, which counts as noise."""
    signal, overlap = components(scan.clean[scan.is_test], scan.picture[scan.is_test])
    others = [one for one in scans if one.brain == scan.brain and one is not scan]
    return signal, overlap + np.mean([((one.noisy - one.clean) ** 2).mean(axis=0) for one in others], axis=0)


def error(found):
    """Standard error of the mean over seeds."""
    return np.std(found, ddof=1) / np.sqrt(len(found))


def distance(found):
    """Standard errors between the mean over seeds and 0."""
    return abs(np.mean(found)) / error(found)


# What the z-score of each run does to the estimates, as shares of the noise (measured over 120 scans): that a run sums
# to 0 makes its trials unlike, which adds .36 % to the signal; that the divisor holds signal and noise, which belong
# together by chance, takes 1.2 % off the noise.
OF_ZSCORE = {"noise": 0.015, "silent": 0.005}


def test_signal_variance_is_that_of_the_noise_free_bold(scans):
    true = [truth(scan, scans)[0][scan.early].mean() for scan in scans]
    off = [estimated(scan)[0][scan.early].mean() - one for scan, one in zip(scans, true, strict=True)]
    assert abs(np.mean(off)) < 2 * error(off)
    assert error(off) < 0.02 * np.mean(true)


def test_noise_variance_is_that_of_what_the_noise_free_bold_lacks(scans):
    true = [truth(scan, scans)[1][scan.early].mean() for scan in scans]
    off = [estimated(scan)[1][scan.early].mean() - one for scan, one in zip(scans, true, strict=True)]
    assert abs(np.mean(off)) < 2 * error(off) + OF_ZSCORE["noise"] * np.mean(true)
    assert error(off) < 0.01 * np.mean(true)


def test_noise_free_bold_at_another_scale_is_no_truth(scans):
    """The test above can fail: cleaned by its own spread, the noise-free BOLD has far more variance."""
    scan = scans[0]
    clean = scan.clean[:, scan.early]
    rescaled = clean / clean.std(axis=0) * scan.noisy[:, scan.early].std(axis=0)
    signal, _ = components(rescaled[scan.is_test], scan.picture[scan.is_test])
    assert signal.mean() > 1.2 * truth(scan, scans)[0][scan.early].mean()


def test_silent_vertices_have_no_signal(scans):
    signal = [estimated(scan)[0][~scan.early] for scan in scans]
    noise = np.mean([estimated(scan)[1][~scan.early].mean() for scan in scans])
    found, cut = [one.mean() for one in signal], [np.maximum(one, 0).mean() for one in signal]
    assert abs(np.mean(found)) < 2 * error(found) + OF_ZSCORE["silent"] * noise
    assert error(found) < 0.003 * noise
    assert distance(cut) > 10 and np.mean(cut) > 5 * OF_ZSCORE["silent"] * noise


def test_estimated_ceilings_follow_true_ones_as_the_design_allows(scans):
    """Witness: mean squares drawn from their distribution at the true variances, no trial simulated."""
    found, wanted = [], []
    for number, scan in enumerate(scans):
        rng = np.random.default_rng([5, number])
        signal, noise = (values[scan.early] for values in truth(scan, scans))
        true = signal / (signal + noise)
        within = noise * rng.chisquare(N_TEST * (REPEATS - 1), len(noise)) / (N_TEST * (REPEATS - 1))
        # the pictures are given, so their signal is a fixed part of the mean square between them
        fixed = REPEATS * signal * (N_TEST - 1) / noise
        between = noise * rng.noncentral_chisquare(N_TEST - 1, fixed) / (N_TEST - 1)
        drawn = np.maximum(between - within, 0) / REPEATS
        wanted.append(np.corrcoef(drawn / (drawn + within), true)[0, 1])
        ceiling = ceilings.noise_ceiling(*estimated(scan), np.array([1]))[scan.early]
        found.append(np.corrcoef(ceiling, true)[0, 1])
    assert np.mean(found) == pytest.approx(np.mean(wanted), abs=0.05)


def encode(scan, features):
    """Mean r over early and over silent vertices by alpha: as cross-validated, as the oracle has it, and each."""
    train, test = np.flatnonzero(~scan.is_test), np.flatnonzero(scan.is_test)
    x = scale(features, fit_scaler(features[scan.picture[train]]))
    names, index = np.unique(scan.picture[test], return_inverse=True)
    measured = averaging.average_by(scan.noisy[test], index, len(names))

    def forecast(alphas):
        found = fit_ridge(x[scan.picture[train]], scan.noisy[train], alphas, scan.picture[train], selection="kfold")
        return x[names] @ found.weights + found.intercept

    each = {str(alpha): forecast(np.array([alpha])) for alpha in ALPHAS}
    best = np.argmin([((one - measured) ** 2).mean(axis=0) for one in each.values()], axis=0)
    oracle = np.take_along_axis(np.stack(list(each.values())), best[None, None], axis=0)[0]
    rows = {}
    for name, predicted in {"chosen": forecast(ALPHAS), "oracle": oracle, **each}.items():
        r = metrics.correlation(predicted, measured)
        rows[name] = (r[scan.early].mean(), r[~scan.early].mean())
    return rows


@pytest.fixture(scope="module")
def encoded(laboratory, scans):
    return [encode(scan, laboratory.features) for scan in scans]


def test_ridge_is_within_two_hundredths_of_the_same_ridge_with_the_oracles_alpha(encoded):
    early = {name: np.array([found[name][0] for found in encoded]) for name in encoded[0]}
    assert abs(early["oracle"].mean() - early["chosen"].mean()) < 0.02
    assert early["chosen"].mean() > 0.3
    wrong = [abs(early["oracle"].mean() - early[str(alpha)].mean()) for alpha in ALPHAS]
    assert np.sum(np.array(wrong) > 0.04) >= 4  # most single alphas would fail


def test_silent_vertices_are_not_predicted(encoded):
    r = [found["chosen"][1] for found in encoded]
    assert distance(r) < 2
    assert error(r) < 0.01
