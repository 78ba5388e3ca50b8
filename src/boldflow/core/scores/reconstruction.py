"""How well responses are reconstructed from a code of them, and how sparse the code is."""

from collections.abc import Callable, Sequence

import numpy as np

from boldflow.core import averaging
from boldflow.core.records.test_sets import TestSet
from boldflow.core.scores import metrics
from boldflow.core.scores.measures import BLOCK, Measure, SharedDraws, query_measure

Array = np.ndarray


class ReconstructionScorer:
    """Score reconstructed responses per region: error, share of variance, correlation; by trial and by image.

    R^2 is 1 - residual over total sum of squares of all vertices together, the total about each vertex's mean over the
    test trials: above 0 only where more is kept than the best constant would.

    Parameters
    ----------
    test : TestSet
    responses : array of shape (n_test_trials, n_vertices)
        Measured, in the scale of the training trials.
    regions : dict
        Name -> bool array (n_vertices,).
    """

    def __init__(self, test: TestSet, responses: Array, regions: dict[str, Array]) -> None:
        """Keep what is true."""
        self.test, self.responses, self.regions = test, responses, regions

    def measure(self, predicted: Array) -> list[Measure]:
        """Measure reconstructions (n_test_trials, n_vertices) in the same scale."""
        measures = []
        for view, reconstructed, measured, fold, unit in self._views(predicted):
            n_rows, n_folds = len(fold), self.test.n_folds
            reconstructed, measured = (self.test.about_folds(values, fold) for values in (reconstructed, measured))
            scale = n_rows / (n_rows - n_folds) if n_folds > 1 else 1.0
            r = metrics.correlation(reconstructed, measured)
            draws = SharedDraws(self._mean_r(reconstructed, measured), unit)
            for region, mask in self.regions.items():
                x, y = reconstructed[:, mask], measured[:, mask]
                errors = scale * ((x - y) ** 2).mean(axis=1)
                draw = _share_draws(((x - y) ** 2).sum(axis=1), y, unit)
                value = float(draw(np.ones((1, self.test.n_units)))[0])
                measures += [
                    query_measure(view, "mse", errors, unit, roi=region),
                    Measure(view, "R2", value, draw, chance=0.0, roi=region),
                    Measure(view, "r", float(np.mean(r[mask])), draws.of(region, "r"), 0.0, roi=region),
                ]
        return measures

    def _mean_r(self, x: Array, y: Array) -> Callable[[Array], dict[str, dict[str, Array]]]:
        """Make a function from weights of the rows (n_draws, n_rows) to each region's mean r under them."""
        member = np.stack([mask / mask.sum() for mask in self.regions.values()], axis=1)  # (n_vertices, n_regions)

        def mean_r(weights: Array) -> dict[str, dict[str, Array]]:
            means = np.zeros((len(weights), member.shape[1]))
            for start in range(0, x.shape[1], BLOCK):
                block = slice(start, start + BLOCK)
                means += metrics.weighted_correlation(x[:, block], y[:, block], weights) @ member[block]
            return {region: {"r": means[:, number]} for number, region in enumerate(self.regions)}

        return mean_r

    def _views(self, predicted: Array) -> list[tuple[str, Array, Array, Array, Array]]:
        """Give (view, reconstructed, measured, fold and unit of each row); images: repeats averaged, or shown once."""
        test = self.test
        image_means = [
            averaging.average_by(values, test.image, test.n_images) for values in (predicted, self.responses)
        ]
        return [
            ("trial", predicted, self.responses, test.fold, test.unit[test.image]),
            ("image", image_means[0], image_means[1], test.image_fold, test.unit),
        ]


def code_measures(codes: Sequence[Array], test: TestSet) -> list[Measure]:
    """Measure codes of the test trials: the share of zeros, and of units that are 0 in all test trials of a fold.

    Parameters
    ----------
    codes : one array (n_test_trials_of_fold, n_latents) per fold
    test : TestSet
    """
    zero_shares = np.concatenate([(code == 0).mean(axis=1) for code in codes])
    dead_share = float(np.mean([(code == 0).all(axis=0).mean() for code in codes]))
    zeros_measure = query_measure("trial", "zeros", zero_shares, test.unit[test.image])
    return [zeros_measure, Measure("trial", "dead_units", dead_share)]


def _share_draws(errors: Array, measured: Array, unit: Array) -> Callable[[Array], Array]:
    """Give the share of variance under counts of the units, (n_draws, n_units) -> (n_draws,)."""
    squared_lengths = (measured**2).sum(axis=1)

    def draw(counts: Array) -> Array:
        weights = counts[:, unit].astype(np.float64)
        n_rows = weights.sum(axis=1)
        total_squares = weights @ squared_lengths
        for start in range(0, measured.shape[1], BLOCK):
            total_squares -= ((weights @ measured[:, start : start + BLOCK]) ** 2).sum(axis=1) / n_rows
        return np.asarray(1 - (weights @ errors) / np.where(total_squares > 0, total_squares, np.nan))

    return draw
