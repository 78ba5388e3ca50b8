"""Ridge regression with the penalty of each target chosen inside the training trials.

Everything starts from one Gram matrix of the centred inputs, of features (primal) or of trials (dual), whichever is
smaller, and its eigendecomposition ``gram = vectors @ diag(values) @ vectors.T``: penalties then only rescale
coordinates, so that all of them and all targets share it. Trials come first everywhere. Gram matrices and their
eigendecompositions are in double precision always; ``dtype`` is that of the products with targets. Weights are given in
single precision, and where eigenvectors of features take them there they are computed in it: rotations keep lengths, so
each is within some 1e-6 of the length of its target's weights.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import linalg

BLOCK = 1024  # targets at a time: bounds memory, does not change the result
FOLD_BLOCKS = 4  # of them at a time where only a fold's trials are read
KEPT_BYTES = 1.5 * 2**30  # of products of inputs and targets, kept fold by fold; larger ones are computed again
SELECTIONS = ("kfold", "loo", "gcv")

Array = Any  # a NumPy array, or a torch tensor on a GPU


@dataclass(frozen=True)
class RidgeFit:
    """A fitted ridge.

    ``weights`` (n_inputs, n_targets), ``intercept`` (n_targets,), ``alphas`` (n_targets,) as chosen, ``errors``
    (n_alphas, n_targets) mean squared error over the left-out trials (for "gcv" its estimate).
    """

    weights: np.ndarray
    intercept: np.ndarray
    alphas: np.ndarray
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
    names, index = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"cross-validation needs two groups of trials or more, found {len(names)}")
    order = np.random.default_rng(seed).permutation(len(names))
    fold = np.empty(len(names), dtype=int)
    fold[order] = np.arange(len(names)) % min(n_folds, len(names))
    return fold[index]


def fit_ridge(
    inputs: np.ndarray,
    targets: np.ndarray,
    alphas: np.ndarray,
    groups: np.ndarray,
    n_folds: int = 5,
    seed: int = 0,
    alpha_per: str = "target",
    selection: str = "kfold",
    dtype: str = "float64",
    device: str = "cpu",
) -> RidgeFit:
    """Fit ridge with an unpenalised intercept; choose alpha by cross-validation over groups.

    Parameters
    ----------
    inputs : array of shape (n_trials, n_inputs)
    targets : array of shape (n_trials, n_targets)
        Read in blocks; never copied whole.
    alphas : array of shape (n_alphas,)
        Penalties on the sum of squared weights, as scikit-learn's.
    groups : int array of shape (n_trials,)
    n_folds, seed : int
        Of the inner cross-validation by folds.
    alpha_per : {"target", "model"}
        Whether each target has its own alpha or all share one.
    selection : {"kfold", "loo", "gcv"}
        How alpha is chosen: by folds of groups; by leaving out each group in turn; or by generalised cross-validation,
        which estimates the error of leaving out each trial in turn and knows of no groups. All three are exact for what
        they are, without a second fit: a fold's part is taken out of the Gram matrix.
    dtype : {"float64", "float32"}
        Precision of the products with targets.
    device : str
        "cpu", or "cuda" as the job asked.

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
    ops = _operations(dtype, device)
    prepared = _Prepared(inputs, alphas, groups, n_folds, seed, alpha_per, selection, ops)
    y = _Targets(targets, ops)
    rotated, errors, best = prepared.choose(y)
    weights = np.empty((inputs.shape[1], targets.shape[1]), dtype=np.float32)
    for block in y.blocks():
        weights[:, block] = ops.get(prepared.weights(rotated[:, block], best[block]))
    intercept = (y.mean - prepared.side.mean @ weights).astype(np.float32)
    return RidgeFit(weights, intercept, prepared.alphas[best], errors)


def refit_ridge(
    inputs: np.ndarray,
    test_inputs: np.ndarray,
    alphas: np.ndarray,
    groups: np.ndarray,
    n_folds: int = 5,
    seed: int = 0,
    alpha_per: str = "target",
    selection: str = "kfold",
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
    ops = _operations(dtype, "cpu")
    prepared = _Prepared(inputs, alphas, groups, n_folds, seed, alpha_per, selection, ops)
    prepared.keep_folds()
    basis = prepared.basis(test_inputs)

    def predict(targets: np.ndarray) -> np.ndarray:
        y = _Targets(targets, ops)
        rotated, _, best = prepared.choose(y)
        return np.asarray(basis @ prepared.shrunk(rotated, best) + y.mean, dtype=np.float64)

    return predict


class _Arrays:
    """Arrays on the CPU: what ridge needs beyond operators that NumPy and torch share."""

    xp: Any = np

    def __init__(self, dtype: str) -> None:
        self.double: Any = np.dtype("float64")
        self.single: Any = np.dtype("float32")
        self.working: Any = np.dtype(dtype)

    def put(self, values: np.ndarray, dtype: Any) -> Array:
        """Bring to the device; no copy where it is there already."""
        return np.asarray(values, dtype=dtype)

    def get(self, values: Array) -> np.ndarray:
        """Give as NumPy's."""
        return np.asarray(values)

    def rows(self, index: np.ndarray) -> Array:
        """Make an index of rows."""
        return index

    def cast(self, values: Array, precision: Any = None) -> Array:
        """Take to a precision, the working one where none is named; no copy where it has it."""
        return values.astype(precision or self.working, copy=False)

    def empty(self, *shape: int) -> Array:
        """Make room, in the working precision."""
        return np.empty(shape, dtype=self.working)

    def eigh(self, gram: Array) -> tuple[Array, Array]:
        """Decompose; ``gram`` is lost."""
        values, vectors = linalg.eigh(gram, overwrite_a=True, check_finite=False)
        return values, vectors


class _Tensors(_Arrays):
    """The same on one device of torch."""

    def __init__(self, dtype: str, device: str) -> None:
        import torch  # only here: it takes seconds, and a fit on the CPU does without

        self.xp, self.device = torch, torch.device(device)
        self.double, self.single, self.working = torch.float64, torch.float32, getattr(torch, dtype)

    def put(self, values: np.ndarray, dtype: Any) -> Array:
        return self.xp.tensor(values, dtype=dtype, device=self.device)

    def get(self, values: Array) -> np.ndarray:
        found: np.ndarray = values.cpu().numpy()
        return found

    def rows(self, index: np.ndarray) -> Array:
        return self.put(index, self.xp.int64)

    def cast(self, values: Array, precision: Any = None) -> Array:
        return values.to(precision or self.working)

    def empty(self, *shape: int) -> Array:
        return self.xp.empty(shape, dtype=self.working, device=self.device)

    def eigh(self, gram: Array) -> tuple[Array, Array]:
        values, vectors = self.xp.linalg.eigh(gram)
        return values, vectors


def _operations(dtype: str, device: str) -> _Arrays:
    """Choose where to compute: exactly the device that is named."""
    return _Arrays(dtype) if device == "cpu" else _Tensors(dtype, device)


class _Targets:
    """Targets that are read in blocks, centred over all trials."""

    def __init__(self, values: np.ndarray, ops: _Arrays) -> None:
        self.values, self.ops = values, ops
        self.mean = np.empty(values.shape[1])
        for block in self.blocks():
            self.mean[block] = _finite_mean(values[:, block])

    def blocks(self, times: int = 1) -> Iterator[slice]:
        """Split the columns, ``times`` as wide as usual."""
        n, step = self.values.shape[1], times * BLOCK
        return (slice(start, min(start + step, n)) for start in range(0, n, step))

    def take(self, block: slice, rows: np.ndarray | None = None) -> Array:
        """Read a block of columns, all rows or some."""
        values = self.values[:, block] if rows is None else self.values[rows, block]
        return self.ops.put(values - self.mean[block], self.ops.working)


class _Side:
    """Inputs centred over all trials, and their Gram matrix: of features, or of trials where those are fewer."""

    def __init__(self, inputs: np.ndarray, ops: _Arrays) -> None:
        self.ops, self.mean = ops, _finite_mean(inputs)
        self.x = ops.put(inputs - self.mean, ops.double)
        self.working = ops.cast(self.x)
        self.n = len(inputs)
        self.dual = self.n < inputs.shape[1]
        self.gram = self.x @ self.x.T if self.dual else self.x.T @ self.x

    def products(self, y: _Targets, rows: np.ndarray | None = None) -> Array:
        """Products of inputs and targets, (n_inputs, n_targets), over all trials or some."""
        found = self.ops.empty(self.x.shape[1], y.values.shape[1])
        x = self.working if rows is None else self.working[self.ops.rows(rows)]
        for block in y.blocks():
            found[:, block] = x.T @ y.take(block, rows)
        return found

    def fold(self, test: np.ndarray) -> "_Fold":
        """Take trials out of the Gram matrix, and the inputs' mean with them."""
        left, kept = self.ops.rows(np.flatnonzero(test)), self.ops.rows(np.flatnonzero(~test))
        n = len(kept)
        if self.dual:
            gram, across = self.gram[kept][:, kept], self.gram[left][:, kept]
            column = gram.mean(axis=0)
            grand = column.mean()
            across += grand - across.mean(axis=1)[:, None] - column
            gram += grand - column[:, None] - column
            return _Fold(np.flatnonzero(test), np.flatnonzero(~test), _System(gram, across, self.ops), None, None)
        x = self.x[left]
        total = x.sum(axis=0)  # that of the other trials is its negative: all of them sum to 0
        gram = self.gram - x.T @ x
        gram -= total[:, None] * (total / n)
        system = _System(gram, x + total / n, self.ops)
        return _Fold(np.flatnonzero(test), np.flatnonzero(~test), system, self.ops.cast(x), self.ops.cast(total / n))


class _System:
    """Eigendecomposition of a Gram matrix, and how new inputs are seen from it.

    A prediction is ``basis @ (rotated / (values + alpha))`` with ``rotated = vectors.T @ side``, where ``side`` is the
    product of inputs and targets (primal) or the targets (dual), centred.
    """

    def __init__(self, gram: Array, across: Array | None, ops: _Arrays) -> None:
        """Decompose ``gram``, which is lost.

        ``across`` holds new inputs, centred as the gram is: (n_new, n_inputs), or their products with its trials.
        """
        values, vectors = ops.eigh(gram)
        self.values, self.vectors = ops.cast(values.clip(0)), ops.cast(vectors)
        self.basis = None if across is None else ops.cast(across) @ self.vectors


@dataclass(frozen=True)
class _Fold:
    """What is left without a fold's trials.

    ``left``, ``kept``: rows. ``x`` (n_left, n_inputs): inputs left out; ``pull`` (n_inputs,): their sum over the number
    of trials kept; both None in the dual.
    """

    left: np.ndarray
    kept: np.ndarray
    system: _System
    x: Array | None
    pull: Array | None

    def add_errors(
        self, errors: np.ndarray, y: _Targets, cross: Array | None, own: Array | None, alphas: np.ndarray
    ) -> None:
        """Add squared errors of left-out trials to ``errors`` (n_alphas, n_targets), in place.

        ``cross`` (n_inputs, n_targets): products of all inputs and targets (primal); ``own``: those of this fold, where
        they were kept.
        """
        ops, system = y.ops, self.system
        shrink = [1 / (system.values + float(alpha)) for alpha in alphas]
        for block in y.blocks(FOLD_BLOCKS):
            wanted = y.take(block, self.left)
            pull = wanted.sum(axis=0)
            if cross is None:
                side = y.take(block, self.kept)
                side += pull / len(self.kept)
            else:
                assert self.x is not None and self.pull is not None
                side = cross[:, block] - (self.x.T @ wanted if own is None else own[:, block])
                side -= self.pull[:, None] * pull
            wanted += pull / len(self.kept)
            rotated = system.vectors.T @ side
            for index, one in enumerate(shrink):
                missed = (system.basis * one) @ rotated
                missed -= wanted
                errors[index, block] += ops.get(_squares(ops, missed))


class _Prepared:
    """All that fits of the same inputs to any targets share."""

    def __init__(
        self,
        inputs: np.ndarray,
        alphas: np.ndarray,
        groups: np.ndarray,
        n_folds: int,
        seed: int,
        alpha_per: str,
        selection: str,
        ops: _Arrays,
    ) -> None:
        self.alphas = np.sort(np.asarray(alphas, dtype=np.float64))
        if self.alphas.size == 0 or self.alphas[0] <= 0:
            raise ValueError(f"alphas must be positive, found {self.alphas.tolist()}")
        if selection not in SELECTIONS:
            raise ValueError(f"selection must be one of {', '.join(SELECTIONS)}, not {selection!r}")
        # one alpha needs no choice
        self.selection = selection if len(self.alphas) > 1 else "none"
        self.per_target, self.groups, self.ops = alpha_per == "target", groups, ops
        if self.selection == "kfold":
            self.fold_of = group_folds(groups, n_folds, seed)
        elif self.selection != "none" and len(np.unique(groups)) < 2:
            raise ValueError("cross-validation needs two groups of trials or more, found 1")
        self.side = _Side(inputs, ops)
        self.kept: list[_Fold] | None = None

    def keep_folds(self) -> None:
        """Decompose all folds now, to be used again and again."""
        self.kept = list(self._folds())

    def _folds(self) -> Iterator[_Fold]:
        if self.kept is not None:
            return iter(self.kept)
        found = np.unique(self.fold_of) if self.selection == "kfold" else np.empty(0)
        return (self.side.fold(self.fold_of == fold) for fold in found)

    @cached_property
    def whole(self) -> _System:
        """Of all trials; the Gram matrix is gone afterwards, so folds come before."""
        gram, self.side.gram = self.side.gram, None
        return _System(gram, None, self.ops)

    @cached_property
    def seen(self) -> Array:
        """Trials as the eigenvectors see them, (n_trials, n_eigen)."""
        return self.whole.vectors if self.side.dual else self.side.working @ self.whole.vectors

    @cached_property
    def turned(self) -> Array:
        """Eigenvectors in the precision of weights."""
        return self.ops.cast(self.whole.vectors, self.ops.single)

    @cached_property
    def left_out(self) -> "_LeftOut":
        """For leaving out groups or trials without refits."""
        return _LeftOut(self)

    def choose(self, y: _Targets) -> tuple[Array, np.ndarray, np.ndarray]:
        """Choose the alpha of each target.

        Returns
        -------
        rotated : array of shape (n_eigen, n_targets)
        errors : array of shape (n_alphas, n_targets), mean squared
        best : int array of shape (n_targets,), positions in ``alphas``
        """
        side, n_targets = self.side, y.values.shape[1]
        errors = np.zeros((len(self.alphas), n_targets))
        cross = None
        if self.selection == "kfold":
            cross, parts = self._cross(y)
            for fold, own in zip(self._folds(), parts, strict=True):
                fold.add_errors(errors, y, cross, own, self.alphas)
            del parts
            errors /= side.n
        vectors = self.whole.vectors
        rotated = self.ops.empty(vectors.shape[1], n_targets) if cross is None else cross
        once = side.dual or self.selection == "loo" or n_targets > side.n  # else two products of each block are less
        for block in y.blocks():
            if cross is None:
                values = y.take(block)
                rotated[:, block] = self.seen.T @ values if once else vectors.T @ (side.working.T @ values)
            else:
                rotated[:, block] = vectors.T @ cross[:, block]
            if self.selection in ("loo", "gcv"):
                errors[:, block] = self.left_out.errors(values, rotated[:, block])
        shared = np.full(n_targets, np.argmin(errors.mean(axis=1)))
        return rotated, errors, np.argmin(errors, axis=0) if self.per_target else shared

    def _cross(self, y: _Targets) -> tuple[Array | None, list[Array | None]]:
        """Products of inputs and targets, (n_inputs, n_targets): of all trials, and of each fold if there is room."""
        side, folds = self.side, np.unique(self.fold_of)
        nothing: list[Array | None] = [None] * len(folds)
        if side.dual:
            return None, nothing
        n_bytes = len(folds) * side.x.shape[1] * y.values.shape[1] * self.ops.working.itemsize
        if n_bytes > KEPT_BYTES:
            return side.products(y), nothing
        parts = [side.products(y, np.flatnonzero(self.fold_of == fold)) for fold in folds]
        return sum(parts[1:], start=parts[0]), parts

    def shrunk(self, rotated: Array, best: np.ndarray) -> Array:
        """Apply the penalties chosen, (n_eigen, n_targets)."""
        return rotated / (self.whole.values[:, None] + self.ops.put(self.alphas[best], self.ops.working))

    def weights(self, rotated: Array, best: np.ndarray) -> Array:
        """Weights of some targets, (n_inputs, n_targets)."""
        shrunk = self.shrunk(rotated, best)
        if self.side.dual:
            return self.side.working.T @ (self.whole.vectors @ shrunk)
        return self.turned @ self.ops.cast(shrunk, self.ops.single)

    def basis(self, inputs: np.ndarray) -> Array:
        """Express new inputs so that a prediction is ``basis @ shrunk``, (n_new, n_eigen)."""
        centred = self.ops.put(inputs - self.side.mean, self.ops.double)
        across = centred @ self.side.x.T if self.side.dual else centred
        return self.ops.cast(across) @ self.whole.vectors


class _LeftOut:
    """Errors of trials that are left out, from the residuals of the fit to all trials.

    With H the matrix that takes targets to fitted values (intercept included), a group g left out is missed by
    (I - H)_gg^-1 (y - H y)_g, exactly; generalised cross-validation divides by the mean of the diagonal instead.
    """

    def __init__(self, prepared: _Prepared) -> None:
        self.side, self.whole, self.ops = prepared.side, prepared.whole, prepared.ops
        ops = self.ops
        self.alphas = [float(alpha) for alpha in prepared.alphas]
        self.estimate = prepared.selection == "gcv"
        values = self.whole.values
        if self.estimate:
            within = [float((alpha / (values + alpha)).sum()) for alpha in self.alphas]
            missing = 0 if self.side.dual else self.side.n - len(values)
            free = [total + missing - 1 for total in within]  # trace of I - H
            scale = [(self.side.n / one) ** 2 for one in free]
            self.kept = ops.xp.stack([c * (a / (values + a)) ** 2 for a, c in zip(self.alphas, scale, strict=True)])
            self.unseen = ops.put(np.array(scale)[:, None], ops.working)
            varies = values > len(values) * ops.xp.finfo(ops.working).eps * values.max()
            self.inverse = varies / (values + ~varies)
            return
        self.basis = prepared.seen
        self.parts = [(rows, self._inverses(rows)) for rows in _rows_by_size(prepared.groups)]

    def errors(self, y: Array, rotated: Array) -> np.ndarray:
        """Mean squared errors (n_alphas, n_targets) of centred targets and their rotation."""
        found = self._estimated(y, rotated) if self.estimate else self._exact(y, rotated)
        return self.ops.get(found) / self.side.n

    def _estimated(self, y: Array, rotated: Array) -> Array:
        power, beyond = rotated * rotated, 0.0
        if not self.side.dual:
            # rotated = sqrt(values) times coordinates of the targets; where no inputs vary there are none
            power *= self.inverse[:, None]
            beyond = (_squares(self.ops, y) - power.sum(axis=0)).clip(0)
        return self.kept @ power + self.unseen * beyond

    def _exact(self, y: Array, rotated: Array) -> Array:
        total = []
        for number, alpha in enumerate(self.alphas):
            missed = self.basis @ (rotated / (self.whole.values + alpha)[:, None])
            if self.side.dual:
                missed *= alpha
            else:
                missed -= y
            total.append(sum(_left_out_squares(self.ops, missed, rows, by[number]) for rows, by in self.parts))
        return self.ops.xp.stack(total)

    def _inverses(self, rows: np.ndarray) -> list[Array]:
        """Inverse of (I - H)_gg for groups of one size, for each alpha: (n_groups, size, size), (n_groups,) for 1."""
        size, values = rows.shape[1], self.whole.values
        # in the dual all directions are there; in the primal those in which no inputs vary are not
        start = (0 if self.side.dual else np.eye(size)) - np.full((size, size), 1 / self.side.n)
        start = self.ops.put(start, self.ops.working)
        shrink = [alpha / (values + alpha) if self.side.dual else -1 / (values + alpha) for alpha in self.alphas]
        if size == 1:
            squares = self.basis[rows[:, 0]] ** 2
            return [1 / (squares @ one + start[0, 0]) for one in shrink]
        basis = self.basis[rows]
        return [self.ops.xp.linalg.inv((basis * one) @ basis.swapaxes(1, 2) + start) for one in shrink]


def _squares(ops: _Arrays, values: Array) -> Array:
    """Sum of squares of each column."""
    return ops.xp.einsum("ij,ij->j", values, values)


def _left_out_squares(ops: _Arrays, missed: Array, rows: np.ndarray, inverse: Array) -> Array:
    """Sum of squared errors of each target over groups of one size that are left out in turn."""
    if rows.shape[1] == 1:
        single = missed if len(rows) == len(missed) else missed[rows[:, 0]]
        weight = inverse if len(rows) < len(missed) else inverse[np.argsort(rows[:, 0])]
        return ops.xp.einsum("i,ij,ij->j", weight**2, single, single)
    return _squares(ops, (inverse @ missed[rows]).reshape(rows.size, -1))


def _rows_by_size(groups: np.ndarray) -> list[np.ndarray]:
    """Rows of each group, (n_groups, size) for each size."""
    index, counts = np.unique(groups, return_inverse=True, return_counts=True)[1:]
    order, start = np.argsort(index, kind="stable"), np.cumsum(counts) - counts
    return [order[start[counts == size][:, None] + np.arange(size)] for size in np.unique(counts)]


def _finite_mean(values: np.ndarray) -> np.ndarray:
    """Mean over trials, in double precision; that of a column which is not finite is not."""
    with np.errstate(invalid="ignore", over="ignore"):
        mean: np.ndarray = values.mean(axis=0, dtype=np.float64)
    if not np.isfinite(mean).all():
        raise ValueError("inputs and targets must be finite")
    return mean
