"""Scores of predicted responses, per vertex and region: correlation, error, share explained, ceiling."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from boldflow.core import averaging
from boldflow.core.records.test_sets import TestSet
from boldflow.core.responses import ceilings
from boldflow.core.scores import metrics
from boldflow.core.scores.measures import BLOCK, Measure

Array = np.ndarray


class EncodingScorer:
    """Score predicted responses per vertex and region: correlation, error, share explained, ceiling.

    Parameters
    ----------
    test : TestSet
    responses : array of shape (n_test_trials, n_vertices)
        Measured.
    regions : dict
        Name -> bool array (n_vertices,).
    ncsnr : array of shape (n_vertices,), optional
        Published noise ceiling signal-to-noise ratio: standard deviation of the signal over that of the noise of single
        trials. Ceilings are computed from it where it is given, else from the repeats among the test trials.

    Raises
    ------
    ValueError
        If a ratio is negative or not finite.
    """

    def __init__(self, test: TestSet, responses: Array, regions: dict[str, Array], ncsnr: Array | None = None) -> None:
        """Average the repeats and estimate variance components, once."""
        self.test, self.regions = test, regions
        self.measured = averaging.average_by(responses, test.image, test.n_images)
        self.signal, self.noise = ceilings.variance_components(responses.astype(np.float64), test.image)
        self._signal, self._noise = self.signal, self.noise  # of ceilings
        if ncsnr is not None:
            total = np.var(responses, axis=0, dtype=np.float64, ddof=1)
            self._signal, self._noise = ceilings.split_variance(total, ncsnr)
        self.ceiling = ceilings.noise_ceiling(self._signal, self._noise, test.repeats)

    def pooled_ceiling(self, mask: Array) -> float:
        """Noise ceiling of a region, bool (n_vertices,), as a share of the variance of the scored rows."""
        return ceilings.pooled_ceiling(self._signal[mask], self._noise[mask], self.test.repeats)

    def correlation(self, predicted: Array) -> Array:
        """Pearson r of each vertex over test images, repeats averaged, (n_vertices,)."""
        expected = averaging.average_by(predicted, self.test.image, self.test.n_images)
        return metrics.correlation(expected, self.measured)

    def measure(self, predicted: Array, true: Array | None = None) -> list[Measure]:
        """Measure predictions (n_test_trials, n_vertices).

        ``true`` (n_images,): image whose measured response is held against each image's prediction, under permuted
        labels; where a model was refitted to them they are in the predictions already.
        """
        measured = self.measured if true is None else self.measured[true]
        expected = averaging.average_by(predicted, self.test.image, self.test.n_images)
        plain = self._sums(expected, measured, np.ones((1, self.test.n_images)))
        summed: list[tuple[Array, dict[str, Array]]] = []  # regions and metrics share one pass over the same draws

        def drawn(region: str, number: int) -> Callable[[Array], Array]:
            def draws(counts: Array) -> Array:
                for drawn_counts, sums in summed:
                    if drawn_counts is counts:
                        return sums[region][number]
                summed.append((counts, self._sums(expected, measured, counts[:, self.test.unit].astype(np.float64))))
                return summed[-1][1][region][number]

            return draws

        measures = []
        by_chance = 1 / (self.test.n_images - 1)  # expected r^2 of two unrelated columns
        for region, mask in self.regions.items():
            upper = self.pooled_ceiling(mask)
            values = plain[region][:, 0]
            measures += [
                Measure("image", "r", values[0], drawn(region, 0), 0.0, float(np.sqrt(upper)), region),
                Measure("image", "r2", values[1], drawn(region, 1), by_chance, upper, region, method="jackknife"),
                Measure("image", "mse", values[2], drawn(region, 2), roi=region),
                Measure("image", "ceiling", upper, roi=region, method="none"),
            ]
            if np.isfinite(values[3]):
                share = Measure("image", "explained_share", values[3], drawn(region, 3), 0.0, 1.0, region)
                measures.append(replace(share, method="jackknife"))
        return measures

    def _sums(self, expected: Array, measured: Array, weights: Array) -> dict[str, Array]:
        """Region means of r, r^2 and MSE, and the share explained, under each weighting: (4, n_draws) by region."""
        member = np.stack([mask.astype(np.float64) for mask in self.regions.values()], axis=1)
        sums = np.zeros((4, len(weights), len(self.regions)))
        total = weights.sum(axis=1, keepdims=True)
        for start in range(0, measured.shape[1], BLOCK):
            block = slice(start, start + BLOCK)
            x, y = expected[:, block], measured[:, block]
            r = metrics.weighted_correlation(x, y, weights)
            error = weights @ (x - y) ** 2 / total
            centred = y - y.mean(axis=0)
            variance = (weights @ centred**2 / total - (weights @ centred / total) ** 2) * total / (total - 1)
            fit = (r**2 - (1 - r**2) / np.where(total > 2, total - 2, np.nan)) * variance
            for number, values in enumerate((r, r**2, error, fit)):
                sums[number] += values @ member[block]
        sums[:3] /= member.sum(axis=0)
        signal = self.signal @ member
        sums[3] /= np.where(signal > 0, signal, np.nan)
        return {name: sums[:, :, number] for number, name in enumerate(self.regions)}
