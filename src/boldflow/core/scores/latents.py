"""What a code of responses says of a class of pictures: held-out separation, and the published test.

Codes are (n_trials, n_latents). All scaling is of both classes together: scaled apart, a difference of the classes in
some vertices appears, reversed, in all the others (the published defect, ``scaled_apart``).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg, special, stats

from boldflow.core.linear.scaling import fit_scaler, scale
from boldflow.core.scores import statistics
from boldflow.core.scores.intervals import Interval, jackknife
from boldflow.core.scores.metrics import area
from boldflow.vocabulary.metrics import metric_named

MOST_STEPS, CLOSE = 50, 1e-8  # of Newton's method


@dataclass(frozen=True)
class Separation:
    """How well a code tells two classes of held-out trials apart.

    ``auc``: area under the ROC curve, .5 by chance; ``ci_low``, ``ci_high``: 95 %, jackknife over test pictures, NaN
    where there are several folds; ``p``: by refits under permuted labels, ``null`` their areas (n_permutations,).
    """

    auc: float
    ci_low: float
    ci_high: float
    p: float
    null: np.ndarray


def fit_logistic(x: np.ndarray, y: np.ndarray, penalty: float = 1.0) -> np.ndarray:
    """Fit a logistic regression with an intercept by Newton's method.

    Parameters
    ----------
    x : array of shape (n_trials, n_features)
    y : bool array of shape (n_trials,)
    penalty : float
        On half the sum of squared weights, not on the intercept (scikit-learn's 1 / C).

    Returns
    -------
    array of shape (n_features + 1,)
        The intercept is last.

    Raises
    ------
    ValueError
        If there is one class only, or Newton's method does not settle.
    """
    if y.all() or not y.any():
        raise ValueError(f"both classes must be there, found {int(y.sum())} of {len(y)} trials in the class")
    design = np.column_stack([x, np.ones(len(x))])
    ridge = np.full(design.shape[1], penalty)
    ridge[-1] = 1e-10
    weights = np.zeros(design.shape[1])
    weights[-1] = special.logit(y.mean())
    for _ in range(MOST_STEPS):
        probability = special.expit(design @ weights)
        gradient = design.T @ (probability - y) + ridge * weights
        weighted_design = design * np.sqrt(probability * (1 - probability))[:, None]
        hessian = weighted_design.T @ weighted_design
        hessian[np.diag_indices_from(hessian)] += ridge
        step = linalg.cho_solve(linalg.cho_factor(hessian, overwrite_a=True, check_finite=False), gradient)
        weights -= step
        if np.abs(step).max() < CLOSE * max(1.0, float(np.abs(weights).max())):
            return weights
    raise ValueError(f"logistic regression did not settle in {MOST_STEPS} steps; choose a larger penalty")


@dataclass(frozen=True)
class FoldCodes:
    """Codes of a fold: of training and of held-out trials, (n_trials, n_latents) each, and the picture of each trial.

    Pictures are numbers, the same in all folds.
    """

    train: np.ndarray
    train_picture: np.ndarray
    test: np.ndarray
    test_picture: np.ndarray


def separate(
    folds: Sequence[FoldCodes],
    label: np.ndarray,
    block: np.ndarray,
    n_permutations: int,
    seed: int,
    penalty: float = 1.0,
) -> Separation:
    """Fit a logistic regression to the codes of training trials and tell held-out trials apart.

    Parameters
    ----------
    folds : sequence of FoldCodes
        No picture may be in both parts of a fold. Codes are scaled by their mean and spread over training trials;
        held-out trials are compared within folds, as ``metrics.area`` does.
    label : bool array of shape (n_pictures,)
        Whether a picture is in the class.
    block : array of shape (n_pictures,)
        Pictures trade labels within a block: the part of the split, or the run.
    n_permutations : int
        Refits under permuted labels: all trials of a picture get another's label, in training and in test.
    seed : int
    penalty : float
        As of ``fit_logistic``.

    Returns
    -------
    Separation

    Raises
    ------
    ValueError
        If a part of a fold holds one class only (in training), held-out trials of every fold do, or a picture is in
        both parts of a fold.
    """
    task = _Task(folds, [_scaled(fold) for fold in folds], penalty)
    picture = np.concatenate([fold.test_picture for fold in folds])  # (n_test_trials,)
    if not 0 < label[picture].sum() < len(picture):
        raise ValueError(f"both classes must be held out, found {int(label[picture].sum())} of {len(picture)} trials")
    scores, in_class = task.scores(label), label[picture]
    auc = area(scores, in_class, task.fold)
    if np.isnan(auc):
        raise ValueError(f"none of {len(folds)} folds holds out trials of both classes: nothing can be told apart")
    null = task.null(label, block, picture, n_permutations, seed)
    p = statistics.permutation_p(auc, null) if n_permutations else float("nan")
    interval = _interval(auc, scores, in_class, picture) if len(folds) == 1 else Interval(np.nan, np.nan)
    return Separation(auc, interval.low, interval.high, p, null)


@dataclass(frozen=True)
class _Task:
    """Folds, and of each the scaled codes of training and of held-out trials, (n_trials, n_axes) each."""

    folds: Sequence[FoldCodes]
    inputs: list[tuple[np.ndarray, np.ndarray]]
    penalty: float

    @property
    def fold(self) -> np.ndarray:
        """Fold of each held-out trial, (n_test_trials,)."""
        return np.repeat(np.arange(len(self.folds)), [len(fold.test) for fold in self.folds])

    def scores(self, label: np.ndarray) -> np.ndarray:
        """Fit to labels of pictures, (n_pictures,), and score the held-out trials of all folds, (n_test_trials,)."""
        scores = []
        for (train_codes, test_codes), fold in zip(self.inputs, self.folds, strict=True):
            weights = fit_logistic(train_codes, label[fold.train_picture], self.penalty)
            scores.append(test_codes @ weights[:-1] + weights[-1])
        return np.concatenate(scores)

    def null(
        self, label: np.ndarray, block: np.ndarray, picture: np.ndarray, n_permutations: int, seed: int
    ) -> np.ndarray:
        """Areas of refits under permuted labels, (n_permutations,)."""
        rng = np.random.default_rng(seed)
        areas = []
        for _ in range(n_permutations):
            permuted_label = label[statistics.permute_within(np.arange(len(label)), block, rng)]
            areas.append(area(self.scores(permuted_label), permuted_label[picture], self.fold))
        return np.array(areas)


def _interval(auc: float, scores: np.ndarray, in_class: np.ndarray, picture: np.ndarray) -> Interval:
    """Jackknife over held-out pictures; a class without its only picture has no area."""
    left_out = [area(scores[picture != n], in_class[picture != n]) for n in np.unique(picture)]
    return jackknife(auc, np.array(left_out), metric_named("auc").scale)


def norm_test(codes: np.ndarray, y: np.ndarray) -> float:
    """Two-sided p of the published test: Mann-Whitney's U on the lengths of the codes of either class.

    Notes
    -----
    bragg13/aigs-nsd-reconstruction, ``analysis.py``. It misses all that lies in directions, not in lengths.
    """
    length = np.linalg.norm(codes, axis=1)
    return float(stats.mannwhitneyu(length[y], length[~y]).pvalue)


def adjusted(p: np.ndarray) -> np.ndarray:
    """Adjust p values for their false discovery rate (Benjamini-Hochberg), such as those of subjects."""
    return np.asarray(stats.false_discovery_control(p))


def scaled_apart(values: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Scale each class by its own mean and spread, one of each for all vertices: the published defect, to be shown.

    Parameters
    ----------
    values : array of shape (n_trials, n_vertices)
    y : bool array of shape (n_trials,)
    """
    scaled = np.empty(values.shape, dtype=np.float64)
    for mask in (y, ~y):
        scaled[mask] = (values[mask] - values[mask].mean()) / values[mask].std()
    return scaled


def embed(codes: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Place trials on two axes by their codes: one fit for all, whatever their class.

    Parameters
    ----------
    codes : array of shape (n_trials, n_latents)
    seed : int

    Returns
    -------
    dict of "pca" and "tsne" to array of shape (n_trials, 2)
        Principal components, and scikit-learn's t-SNE that starts from them (perplexity 30, or a third of the trials
        where there are few). NaN where codes do not vary, and for t-SNE where there are fewer than 4 trials.
    """
    from sklearn.manifold import TSNE  # slow to import, and only this needs it

    undefined = np.full((len(codes), 2), np.nan)
    centred = codes.astype(np.float64) - codes.mean(axis=0, dtype=np.float64)
    left_vectors, singular_values, _ = linalg.svd(centred, full_matrices=False)
    if not singular_values[0] > 1e-6 * max(1.0, float(np.abs(codes).max())):
        return {"pca": undefined, "tsne": undefined}
    components = np.zeros((len(codes), 2))
    components[:, : left_vectors.shape[1]] = (left_vectors * singular_values)[:, :2]
    components *= np.sign(components[np.abs(components).argmax(axis=0), [0, 1]]) + (components == 0).all(axis=0)
    if len(codes) < 4:
        return {"pca": components, "tsne": undefined}
    start = components / max(float(components[:, 0].std()), 1e-12) * 1e-4  # scikit-learn's own scale of a start
    perplexity = min(30.0, (len(codes) - 1) / 3)
    tsne = TSNE(2, perplexity=perplexity, init=start.astype(np.float32), random_state=seed).fit_transform(centred)
    return {"pca": components, "tsne": np.asarray(tsne, dtype=np.float64)}


def _scaled(fold: FoldCodes) -> tuple[np.ndarray, np.ndarray]:
    """Scale the codes of a fold by its training trials, on as many axes as they span at most."""
    shared_pictures = np.intersect1d(fold.train_picture, fold.test_picture)
    if len(shared_pictures):
        raise ValueError(
            f"{len(shared_pictures)} pictures are in training and in test, the first is {shared_pictures[0]}"
        )
    scaler = fit_scaler(fold.train)
    train_codes = scale(fold.train.astype(np.float64), scaler)
    test_codes = scale(fold.test.astype(np.float64), scaler)
    # a ridge penalty does not see rotations: the rows span all that is fitted
    if train_codes.shape[1] > len(train_codes):
        axes = linalg.svd(train_codes, full_matrices=False)[2]
        train_codes, test_codes = train_codes @ axes.T, test_codes @ axes.T
    return train_codes, test_codes
