"""Ridge regression with the penalty of each target chosen inside the training trials.

Everything starts from one Gram matrix of the centred inputs, of features (primal) or of trials (dual), whichever is
smaller, and its eigendecomposition ``gram = vectors @ diag(values) @ vectors.T``: penalties then only rescale
coordinates, so that all of them and all targets share it. Trials come first everywhere. Gram matrices and their
eigendecompositions are in double precision always; ``dtype`` is that of the products with targets. Weights are given in
single precision, and where eigenvectors of features take them there they are computed in it: rotations keep lengths, so
each is within some 1e-6 of the length of its target's weights.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from boldflow.core.linear.folds import Fold, LeftOutFolds, Side, System, Targets
from boldflow.core.linear.operations import Array, Operations, operations, squares
from boldflow.core.linear.penalties import penalty_grid
from boldflow.vocabulary.devices import Device

KEPT_BYTES = (
    1.5 * 2**30
)  # of folds that are read twice, and of products of each fold; more is computed again or at once
SELECTIONS = ("kfold", "loo", "gcv")


@dataclass(frozen=True)
class RidgeFit:
    """A fitted ridge.

    ``weights`` (n_inputs, n_targets) in single precision, ``intercept`` (n_targets,) in double, ``alphas`` (n_targets,)
    as chosen from ``grid`` (n_alphas,), ascending; ``errors`` (n_alphas, n_targets) mean squared error over the left-
    out trials (for "gcv" its estimate; for "kfold" in single precision where that tells the alphas of a target apart).
    """

    weights: np.ndarray
    intercept: np.ndarray
    alphas: np.ndarray
    grid: np.ndarray
    errors: np.ndarray


def group_folds(groups: np.ndarray, n_folds: int, seed: int) -> np.ndarray:
    """Deal groups to folds, balanced in number of groups.

    Parameters
    ----------
    groups : int array of shape (n_trials,)
    n_folds : int
        Lowered to the number of groups where there are fewer.
    seed : int

    Returns
    -------
    int array of shape (n_trials,)
        Fold of each trial; all trials of a group are in one.

    Raises
    ------
    ValueError
        If there are fewer than two groups.
    """
    distinct_groups, index = np.unique(groups, return_inverse=True)
    if len(distinct_groups) < 2:
        raise ValueError(f"cross-validation needs two groups of trials or more, found {len(distinct_groups)}")
    order = np.random.default_rng(seed).permutation(len(distinct_groups))
    fold_of_group = np.empty(len(distinct_groups), dtype=int)
    fold_of_group[order] = np.arange(len(distinct_groups)) % min(n_folds, len(distinct_groups))
    return fold_of_group[index]


def fit_ridge(
    inputs: np.ndarray,
    targets: np.ndarray,
    alphas: Sequence[float] | np.ndarray | None,
    groups: np.ndarray,
    n_folds: int = 5,
    seed: int = 0,
    alpha_per: str = "target",
    selection: str = "loo",
    dtype: str = "float64",
    device: Device = "cpu",
) -> RidgeFit:
    """Fit ridge with an unpenalised intercept; choose alpha by cross-validation over groups.

    Parameters
    ----------
    inputs : array of shape (n_trials, n_inputs)
    targets : array of shape (n_trials, n_targets)
        Read in blocks; never copied whole.
    alphas : sequence or array of shape (n_alphas,), or None
        Penalties on the sum of squared weights, as scikit-learn's; None takes ``penalties.RELATIVE_GRID`` at the scale
        of the inputs.
    groups : int array of shape (n_trials,)
    n_folds, seed : int
        Of the inner cross-validation by folds: another seed deals groups otherwise, and other alphas are chosen.
    alpha_per : {"target", "model"}
        Whether each target has its own alpha or all share one.
    selection : {"kfold", "loo", "gcv"}
        How alpha is chosen: by folds of groups; by leaving out each group in turn, which nothing is dealt for; or by
        generalised cross-validation, which estimates the error of leaving out each trial in turn and knows of no
        groups. All three are exact for what they are, without a second fit: a fold's part is taken out of the Gram
        matrix.
    dtype : {"float64", "float32"}
        Precision of the products with targets.
    device : "cpu" or "cuda"
        As the job asked.

    Returns
    -------
    RidgeFit

    Raises
    ------
    ValueError
        If an alpha is not positive, the inputs or targets are not finite, or there is nothing to leave out.

    Notes
    -----
    Hoerl and Kennard 1970, Technometrics 12, 55-67. Golub, Heath and Wahba 1979, Technometrics 21, 215-223.
    """
    ops = operations(dtype, device)
    solver = _Solver(inputs, alphas, groups, n_folds, seed, alpha_per, selection, ops)
    y = Targets(targets, ops)
    rotated_targets, errors, alpha_index = solver.choose(y)
    weights = np.empty((inputs.shape[1], targets.shape[1]), dtype=np.float32)  # (n_inputs, n_targets)
    for block in y.blocks():
        weights[:, block] = ops.get(solver.weights(rotated_targets[:, block], alpha_index[block]))
    intercept = y.mean - solver.side.mean @ weights  # (n_targets,)
    return RidgeFit(weights, intercept, solver.alphas[alpha_index], solver.alphas, errors)


def refit_ridge(
    inputs: np.ndarray,
    test_inputs: np.ndarray,
    alphas: Sequence[float] | np.ndarray | None,
    groups: np.ndarray,
    n_folds: int = 5,
    seed: int = 0,
    alpha_per: str = "target",
    selection: str = "loo",
    dtype: str = "float64",
) -> Callable[[np.ndarray], np.ndarray]:
    """Prepare ridge fits of the same inputs to many sets of targets, as a permutation test needs them.

    The eigendecompositions of all folds are done once; a call then chooses alphas and predicts without ever forming
    weights. Its result is that of ``fit_ridge`` on the same targets.

    Parameters
    ----------
    inputs, alphas, groups, n_folds, seed, alpha_per, selection, dtype
        As for ``fit_ridge``.
    test_inputs : array of shape (n_test, n_inputs)

    Returns
    -------
    function from targets (n_trials, n_targets) to predictions (n_test, n_targets), float64
    """
    ops = operations(dtype, "cpu")
    solver = _Solver(inputs, alphas, groups, n_folds, seed, alpha_per, selection, ops)
    solver.keep_folds()
    basis = solver.basis(test_inputs)  # (n_test, n_eigen)

    def predict(targets: np.ndarray) -> np.ndarray:
        y = Targets(targets, ops)
        rotated_targets, _, alpha_index = solver.choose(y)
        return np.asarray(basis @ solver.shrunk(rotated_targets, alpha_index) + y.mean, dtype=np.float64)

    return predict


class _Solver:
    """All that fits of the same inputs to any targets share."""

    def __init__(
        self,
        inputs: np.ndarray,
        alphas: Sequence[float] | np.ndarray | None,
        groups: np.ndarray,
        n_folds: int,
        seed: int,
        alpha_per: str,
        selection: str,
        ops: Operations,
    ) -> None:
        self.side = Side(inputs, ops)
        self.alphas = penalty_grid(alphas, float(self.side.gram.trace()), *inputs.shape)
        if selection not in SELECTIONS:
            raise ValueError(f"selection must be one of {', '.join(SELECTIONS)}, not {selection!r}")
        # one alpha needs no choice
        self.selection = selection if len(self.alphas) > 1 else "none"
        self.per_target, self.groups, self.ops = alpha_per == "target", groups, ops
        if self.selection == "kfold":
            self.fold_of = group_folds(groups, n_folds, seed)
        elif self.selection != "none" and len(np.unique(groups)) < 2:
            raise ValueError("cross-validation needs two groups of trials or more, found 1")
        self.kept_folds: list[Fold] | None = None

    def keep_folds(self) -> None:
        """Decompose all folds now, to be used again and again."""
        self.kept_folds = list(self._folds())

    def _folds(self) -> Iterator[Fold]:
        if self.kept_folds is not None:
            return iter(self.kept_folds)
        folds = np.unique(self.fold_of) if self.selection == "kfold" else np.empty(0)
        return (self.side.fold(self.fold_of == fold) for fold in folds)

    @cached_property
    def full_system(self) -> System:
        """Of all trials; the Gram matrix is gone afterwards, so folds come before."""
        gram, self.side.gram = self.side.gram, None
        return System(gram, None, self.ops)

    @cached_property
    def rotated_trials(self) -> Array:
        """Trials as the eigenvectors see them, (n_trials, n_eigen)."""
        return self.full_system.vectors if self.side.dual else self.side.working @ self.full_system.vectors

    @cached_property
    def single_vectors(self) -> Array:
        """Eigenvectors in the precision of weights."""
        return self.ops.cast(self.full_system.vectors, self.ops.single)

    @cached_property
    def left_out(self) -> "_LeftOut":
        """For leaving out groups or trials without refits."""
        return _LeftOut(self)

    def choose(self, y: Targets) -> tuple[Array, np.ndarray, np.ndarray]:
        """Choose the alpha of each target.

        Returns
        -------
        rotated_targets : array of shape (n_eigen, n_targets)
        errors : array of shape (n_alphas, n_targets), mean squared
        best : int array of shape (n_targets,), positions in ``alphas``
        """
        side, n_targets = self.side, y.values.shape[1]
        errors = np.zeros((len(self.alphas), n_targets))
        cross = None
        if self.selection == "kfold":
            cross, fold_cross = self._cross(y)
            left_out = LeftOutFolds(self._folds(), y, cross, fold_cross, self.alphas)
            errors = (left_out.errors_around_the_best() if self._screens() else left_out.errors()) / side.n
            del fold_cross, left_out
        vectors = self.full_system.vectors  # (n_gram, n_eigen)
        rotated_targets = self.ops.empty(vectors.shape[1], n_targets) if cross is None else cross
        # else two products of each block are less
        one_product = side.dual or self.selection == "loo" or n_targets > side.n
        for block in y.blocks():
            if cross is None:
                block_y = y.take(block)
                rotated_targets[:, block] = (
                    self.rotated_trials.T @ block_y if one_product else vectors.T @ (side.working.T @ block_y)
                )
            else:
                rotated_targets[:, block] = vectors.T @ cross[:, block]
            if self.selection in ("loo", "gcv"):
                errors[:, block] = self.left_out.errors(block_y, rotated_targets[:, block])
        shared_index = np.full(n_targets, np.argmin(errors.mean(axis=1)))
        return rotated_targets, errors, np.argmin(errors, axis=0) if self.per_target else shared_index

    def _screens(self) -> bool:
        """Tell whether alphas are told apart in single precision first: all folds are then kept, to be read twice."""
        if not self.per_target or self.ops.working != self.ops.double:
            return False
        n_trials, n_inputs = self.side.x.shape
        n_eigen, n_folds = min(n_trials, n_inputs), len(np.unique(self.fold_of))
        n_numbers = n_folds * n_eigen**2 + n_trials * (n_eigen + (0 if self.side.dual else n_inputs))
        return self.kept_folds is not None or 8 * n_numbers <= KEPT_BYTES

    def _cross(self, y: Targets) -> tuple[Array | None, list[Array | None]]:
        """Products of inputs and targets, (n_inputs, n_targets): of all trials, and of each fold if there is room."""
        side, folds = self.side, np.unique(self.fold_of)
        no_parts: list[Array | None] = [None] * len(folds)
        if side.dual:
            return None, no_parts
        n_bytes = len(folds) * side.x.shape[1] * y.values.shape[1] * self.ops.working.itemsize
        if n_bytes > KEPT_BYTES:
            return side.products(y), no_parts
        fold_products = [side.products(y, np.flatnonzero(self.fold_of == fold)) for fold in folds]
        products = fold_products[0] + fold_products[1]
        for fold_product in fold_products[2:]:
            products += fold_product
        return products, fold_products

    def shrunk(self, rotated_targets: Array, alpha_index: np.ndarray) -> Array:
        """Apply the penalties chosen, (n_eigen, n_targets)."""
        return rotated_targets / (
            self.full_system.values[:, None] + self.ops.put(self.alphas[alpha_index], self.ops.working)
        )

    def weights(self, rotated_targets: Array, alpha_index: np.ndarray) -> Array:
        """Weights of some targets, (n_inputs, n_targets)."""
        coordinates = self.shrunk(rotated_targets, alpha_index)
        if self.side.dual:
            return self.side.working.T @ (self.full_system.vectors @ coordinates)
        return self.single_vectors @ self.ops.cast(coordinates, self.ops.single)

    def basis(self, inputs: np.ndarray) -> Array:
        """Express new inputs so that a prediction is ``basis @ shrunk``, (n_new, n_eigen)."""
        centred = self.ops.put(inputs - self.side.mean, self.ops.double)
        new_inputs = centred @ self.side.x.T if self.side.dual else centred
        return self.ops.cast(new_inputs) @ self.full_system.vectors


class _LeftOut:
    """Errors of trials that are left out, from the residuals of the fit to all trials.

    With H the matrix that takes targets to fitted values (intercept included), a group g left out is missed by
    (I - H)_gg^-1 (y - H y)_g, exactly; generalised cross-validation divides by the mean of the diagonal instead.
    """

    def __init__(self, solver: _Solver) -> None:
        self.side, self.full_system, self.ops = solver.side, solver.full_system, solver.ops
        ops = self.ops
        self.alphas = [float(alpha) for alpha in solver.alphas]
        self.estimate = solver.selection == "gcv"
        values = self.full_system.values
        if self.estimate:
            traces = [float((alpha / (values + alpha)).sum()) for alpha in self.alphas]
            n_missing = 0 if self.side.dual else self.side.n - len(values)
            free_degrees = [trace + n_missing - 1 for trace in traces]  # trace of I - H
            scales = [(self.side.n / degrees) ** 2 for degrees in free_degrees]
            self.power_weights = ops.xp.stack(
                [c * (a / (values + a)) ** 2 for a, c in zip(self.alphas, scales, strict=True)]
            )
            self.unseen_weight = ops.put(np.array(scales)[:, None], ops.working)
            varies = values > len(values) * ops.xp.finfo(ops.working).eps * values.max()
            self.inverse = varies / (values + ~varies)
            return
        self.basis = solver.rotated_trials
        self.parts = [(rows, self._inverses(rows)) for rows in _rows_by_size(solver.groups)]

    def errors(self, y: Array, rotated_targets: Array) -> np.ndarray:
        """Mean squared errors (n_alphas, n_targets) of centred targets and their rotation."""
        errors = self._estimated(y, rotated_targets) if self.estimate else self._exact(y, rotated_targets)
        return self.ops.get(errors) / self.side.n

    def _estimated(self, y: Array, rotated_targets: Array) -> Array:
        power, unseen_power = rotated_targets * rotated_targets, 0.0
        if not self.side.dual:
            # rotated = sqrt(values) times coordinates of the targets; where no inputs vary there are none
            power *= self.inverse[:, None]
            unseen_power = (squares(self.ops, y) - power.sum(axis=0)).clip(0)
        return self.power_weights @ power + self.unseen_weight * unseen_power

    def _exact(self, y: Array, rotated_targets: Array) -> Array:
        errors = []
        for number, alpha in enumerate(self.alphas):
            residual = self.basis @ (
                rotated_targets / (self.full_system.values + alpha)[:, None]
            )  # (n_trials, n_targets)
            if self.side.dual:
                residual *= alpha
            else:
                residual -= y
            errors.append(
                sum(_left_out_squares(self.ops, residual, rows, inverses[number]) for rows, inverses in self.parts)
            )
        return self.ops.xp.stack(errors)

    def _inverses(self, rows: np.ndarray) -> list[Array]:
        """Inverse of (I - H)_gg for groups of one size, for each alpha: (n_groups, size, size), (n_groups,) for 1."""
        group_size, values = rows.shape[1], self.full_system.values
        # in the dual all directions are there; in the primal those in which no inputs vary are not
        centring = (0 if self.side.dual else np.eye(group_size)) - np.full((group_size, group_size), 1 / self.side.n)
        centring = self.ops.put(centring, self.ops.working)
        factors = [alpha / (values + alpha) if self.side.dual else -1 / (values + alpha) for alpha in self.alphas]
        if group_size == 1:
            squared_basis = self.basis[rows[:, 0]] ** 2
            return [1 / (squared_basis @ factor + centring[0, 0]) for factor in factors]
        basis = self.basis[rows]  # (n_groups, size, n_eigen)
        return [self.ops.xp.linalg.inv((basis * factor) @ basis.swapaxes(1, 2) + centring) for factor in factors]


def _left_out_squares(ops: Operations, residual: Array, rows: np.ndarray, inverse: Array) -> Array:
    """Sum of squared errors of each target over groups of one size that are left out in turn."""
    if rows.shape[1] == 1:
        row_residual = residual if len(rows) == len(residual) else residual[rows[:, 0]]
        weight = inverse if len(rows) < len(residual) else inverse[np.argsort(rows[:, 0])]
        return ops.xp.einsum("i,ij,ij->j", weight**2, row_residual, row_residual)
    return squares(ops, (inverse @ residual[rows]).reshape(rows.size, -1))


def _rows_by_size(groups: np.ndarray) -> list[np.ndarray]:
    """Rows of each group, (n_groups, size) for each size."""
    index, n_rows = np.unique(groups, return_inverse=True, return_counts=True)[1:]
    order, starts = np.argsort(index, kind="stable"), np.cumsum(n_rows) - n_rows
    return [order[starts[n_rows == size][:, None] + np.arange(size)] for size in np.unique(n_rows)]
