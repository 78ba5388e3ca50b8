"""What trials that are left out fold by fold would cost ridge at each penalty.

A fold's part is taken out of the Gram matrix of all trials, so that no fold is fitted from the beginning. Penalties are
told apart in single precision first; targets for which a bound of its rounding leaves open which is best are decided in
double precision.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from boldflow.core.linear.operations import Array, Operations, squares

BLOCK = 1024  # targets at a time: bounds memory, does not change what is chosen
FOLD_BLOCKS = 4  # of them at a time where only a fold's trials are read
SURE = 4  # standard deviations of a sum of roundings
UNIT = 2.0**-24  # of rounding, in single precision
SMALLEST = 1e-9  # length of a target beside what eigenvectors see of it, for single precision to hold both
ROWS = 64  # whose squares are summed up in single precision
Columns = slice | np.ndarray


class Targets:
    """Targets that are read in blocks, centred over all trials.

    Parameters
    ----------
    values : array of shape (n_trials, n_targets)
    ops : Operations

    Raises
    ------
    ValueError
        If a target is not finite.
    """

    def __init__(self, values: np.ndarray, ops: Operations) -> None:
        """Take the means."""
        self.values, self.ops = values, ops
        self.mean = np.empty(values.shape[1])
        for block in self.blocks():
            self.mean[block] = finite_mean(values[:, block])

    def blocks(self, times: int = 1) -> Iterator[slice]:
        """Split the columns, ``times`` as wide as usual."""
        n, step = self.values.shape[1], times * BLOCK
        return (slice(start, min(start + step, n)) for start in range(0, n, step))

    def take(self, columns: Columns, rows: np.ndarray | None = None) -> Array:
        """Read columns, all rows or some."""
        values = self.values[:, columns]
        values = values if rows is None else values[rows]
        return self.ops.put(values - self.mean[columns], self.ops.working)


class Side:
    """Inputs centred over all trials, and their Gram matrix: of features, or of trials where those are fewer.

    Parameters
    ----------
    inputs : array of shape (n_trials, n_inputs)
    ops : Operations

    Raises
    ------
    ValueError
        If an input is not finite.
    """

    def __init__(self, inputs: np.ndarray, ops: Operations) -> None:
        """Centre and multiply."""
        self.ops, self.mean = ops, finite_mean(inputs)
        self.x = ops.put(inputs - self.mean, ops.double)
        self.working = ops.cast(self.x)
        self.n = len(inputs)
        self.dual = self.n < inputs.shape[1]
        self.gram = self.x @ self.x.T if self.dual else self.x.T @ self.x

    def products(self, y: Targets, rows: np.ndarray | None = None) -> Array:
        """Products of inputs and targets, (n_inputs, n_targets), over all trials or some."""
        products = self.ops.empty(self.x.shape[1], y.values.shape[1])
        x = self.working if rows is None else self.working[self.ops.rows(rows)]
        for block in y.blocks(1 if rows is None else FOLD_BLOCKS):
            products[:, block] = x.T @ y.take(block, rows)
        return products

    def fold(self, test: np.ndarray) -> "Fold":
        """Take trials out of the Gram matrix, and the inputs' mean with them."""
        left_rows, kept_rows = self.ops.rows(np.flatnonzero(test)), self.ops.rows(np.flatnonzero(~test))
        n_kept = len(kept_rows)
        if self.dual:
            gram, cross_gram = self.gram[kept_rows][:, kept_rows], self.gram[left_rows][:, kept_rows]
            column_means = gram.mean(axis=0)
            grand_mean = column_means.mean()
            cross_gram += grand_mean - cross_gram.mean(axis=1)[:, None] - column_means
            gram += grand_mean - column_means[:, None] - column_means
            return Fold(np.flatnonzero(test), np.flatnonzero(~test), System(gram, cross_gram, self.ops), None, None)
        left_x = self.x[left_rows]
        left_sum = left_x.sum(axis=0)  # that of the other trials is its negative: all of them sum to 0
        gram = self.gram - left_x.T @ left_x
        gram -= left_sum[:, None] * (left_sum / n_kept)
        system = System(gram, left_x + left_sum / n_kept, self.ops)
        return Fold(
            np.flatnonzero(test), np.flatnonzero(~test), system, self.ops.cast(left_x), self.ops.cast(left_sum / n_kept)
        )


class System:
    """Eigendecomposition of a Gram matrix, and how new inputs are seen from it.

    A prediction is ``basis @ (rotated / (values + alpha))`` with ``rotated = vectors.T @ side``, where ``side`` is the
    product of inputs and targets (primal) or the targets (dual), centred.

    Parameters
    ----------
    gram : array of shape (n_eigen, n_eigen)
        It is lost.
    new_inputs : array or None
        New inputs, centred as the gram is: (n_new, n_inputs), or their products with its trials.
    ops : Operations
    """

    def __init__(self, gram: Array, new_inputs: Array | None, ops: Operations) -> None:
        """Decompose."""
        values, vectors = ops.eigh(gram)
        self.values, self.vectors = ops.cast(values.clip(0)), ops.cast(vectors)
        self.basis = None if new_inputs is None else ops.cast(new_inputs) @ self.vectors


@dataclass(frozen=True)
class Fold:
    """What is left without a fold's trials.

    ``left``, ``kept``: rows. ``x`` (n_left, n_inputs): inputs left out; ``pull`` (n_inputs,): their sum over the number
    of trials kept; both None in the dual.
    """

    left: np.ndarray
    kept: np.ndarray
    system: System
    x: Array | None
    pull: Array | None

    def seen(self, y: Targets, columns: Columns, cross: Array | None, fold_cross: Array | None) -> tuple[Array, Array]:
        """Give targets as the eigenvectors see them, and what trials left out have of them."""
        left_targets = y.take(columns, self.left)
        target_sum = left_targets.sum(axis=0)
        if cross is None:
            side = y.take(columns, self.kept)
            side += target_sum / len(self.kept)
        else:
            assert self.x is not None and self.pull is not None
            side = cross[:, columns] - (self.x.T @ left_targets if fold_cross is None else fold_cross[:, columns])
            side -= self.pull[:, None] * target_sum
        left_targets += target_sum / len(self.kept)
        return self.system.vectors.T @ side, left_targets


class LeftOutFolds:
    """Errors of targets whose trials are left out fold by fold.

    Parameters
    ----------
    folds : iterable of Fold
    y : Targets
    cross : array of shape (n_inputs, n_targets) or None
        Products of all inputs and targets (primal).
    parts : sequence of array or None
        Those of each fold, where they were kept.
    alphas : array of shape (n_alphas,)
    """

    def __init__(
        self, folds: Iterable[Fold], y: Targets, cross: Array | None, parts: Sequence[Array | None], alphas: np.ndarray
    ) -> None:
        """Keep what is given."""
        self.folds, self.y, self.cross, self.parts = folds, y, cross, parts
        self.alphas = [float(alpha) for alpha in alphas]

    def errors(self) -> np.ndarray:
        """Sum of squared errors, (n_alphas, n_targets), in the working precision."""
        errors = np.zeros((len(self.alphas), self.y.values.shape[1]))
        self._add(errors, list(self.y.blocks(FOLD_BLOCKS)))
        return errors

    def errors_around_the_best(self) -> np.ndarray:
        """Find the same in single precision, and in the working precision where that does not tell which is least.

        Folds are read twice. A sum of n roundings is taken to grow with sqrt(n) (Higham and Mary 2019, SIAM J. Sci.
        Comput. 41, A2815-A2835).
        """
        self.folds = list(self.folds)
        errors = np.zeros((len(self.alphas), self.y.values.shape[1]))
        rounding = np.zeros_like(errors)
        self._add(errors, list(self.y.blocks(FOLD_BLOCKS)), rounding)
        least_bound = (errors + rounding).min(axis=0)
        undecided_targets = np.flatnonzero((~(errors - rounding > least_bound)).sum(axis=0) > 1)
        errors[:, undecided_targets] = 0
        step = FOLD_BLOCKS * BLOCK
        self._add(errors, [undecided_targets[start : start + step] for start in range(0, len(undecided_targets), step)])
        return errors

    def _add(self, errors: np.ndarray, pieces: Sequence[Columns], rounding: np.ndarray | None = None) -> None:
        """Add squared errors of columns in place; where ``rounding`` is given in single precision, with its bound."""
        ops = self.y.ops
        for fold, fold_cross in zip(self.folds, self.parts, strict=True):
            factors = [1 / (fold.system.values + alpha) for alpha in self.alphas]
            screen = None if rounding is None else _Screen(ops, fold.system.basis, factors)
            for columns in pieces:
                rotated, left_targets = fold.seen(self.y, columns, self.cross, fold_cross)
                if screen is not None and rounding is not None:
                    screen.add(rotated, left_targets, errors[:, columns], rounding[:, columns])
                    continue
                for index, factor in enumerate(factors):
                    residual = (fold.system.basis * factor) @ rotated
                    residual -= left_targets
                    errors[index, columns] += ops.get(squares(ops, residual))


def finite_mean(values: np.ndarray) -> np.ndarray:
    """Mean over trials, in double precision; that of a column which is not finite is not.

    Raises
    ------
    ValueError
        If there is such a column.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        mean: np.ndarray = values.mean(axis=0, dtype=np.float64)
    if not np.isfinite(mean).all():
        raise ValueError("inputs and targets must be finite")
    return mean


class _Screen:
    """Squared errors of one fold in single precision, and bounds of their rounding.

    Roundings are taken to be independent, each as large as its partial sum allows; partial sums to go straight from 0
    to the prediction, with the spread of a random walk around it. Squares of few rows are summed up in single
    precision, such sums in double.
    """

    def __init__(self, ops: Operations, basis: Array, factors: Sequence[Array]) -> None:
        """Prepare what gives predictions at each alpha, each (n_left, n_eigen)."""
        self.ops = ops
        lengths = squares(ops, basis) ** 0.5
        largest_length = max(float((lengths * factor).max()) for factor in factors)
        self.scale = largest_length if largest_length > 0 else 1.0  # so that inputs of any scale fit
        factors = [factor / self.scale for factor in factors]
        self.basis = [ops.cast(basis * factor, ops.single) for factor in factors]
        self.spread = ops.cast(ops.xp.stack([(lengths * factor) ** 2 for factor in factors]), ops.single)
        self.product_rounding = SURE * UNIT * (basis.shape[1] / 3) ** 0.5
        self.squares_rounding = SURE * UNIT * (ROWS / 3) ** 0.5

    def add(self, rotated: Array, targets: Array, errors: np.ndarray, rounding: np.ndarray) -> None:
        """Add errors (n_alphas, n_targets) and their bounds in place; targets, which are lost, are scaled first."""
        ops = self.ops
        rotated *= self.scale
        target_length = squares(ops, targets) ** 0.5
        unit_length = squares(ops, rotated) ** 0.5 + target_length
        unit_length += unit_length == 0
        rotated /= unit_length
        targets /= unit_length
        rotated, targets = ops.cast(rotated, ops.single), ops.cast(targets, ops.single)
        cast_length = ops.cast(squares(ops, targets), ops.double) ** 0.5
        walk_square = self.spread @ (rotated * rotated) / 6
        for index, basis in enumerate(self.basis):
            squared_error = _sum_of_squares(ops, basis @ rotated, targets)
            error_length = squared_error**0.5
            length_rounding = (
                self.product_rounding * ((error_length + cast_length) ** 2 / 3 + walk_square[index]) ** 0.5
            )
            length_rounding += 2 * UNIT * (error_length + cast_length)
            bound = (2 * error_length + length_rounding) * length_rounding + self.squares_rounding * squared_error
            # what is so much smaller than what the eigenvectors see may have been lost on the way: left open
            bound[(cast_length < SMALLEST) & (target_length > 0)] = np.inf
            errors[index] += ops.get(squared_error * unit_length**2)
            rounding[index] += ops.get(bound * unit_length**2)


def _sum_of_squares(ops: Operations, predicted: Array, targets: Array) -> Array:
    """Sum of squared differences of columns, in double; ``predicted`` is lost. Few rows at a time stay in the cache."""
    total = 0.0
    for start in range(0, len(predicted), ROWS):
        residual = predicted[start : start + ROWS]
        residual -= targets[start : start + ROWS]
        total = total + ops.cast(squares(ops, residual), ops.double)
    return total
