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
            trial_variance = np.var(responses, axis=0, dtype=np.float64, ddof=1)
            self._signal, self._noise = ceilings.split_variance(trial_variance, ncsnr)
        self.ceiling = ceilings.noise_ceiling(self._signal, self._noise, test.repeats)

    def pooled_ceiling(self, mask: Array) -> float:
        """Noise ceiling of a region, bool (n_vertices,), as a share of the variance of the scored rows."""
        return ceilings.pooled_ceiling(self._signal[mask], self._noise[mask], self.test.repeats)

    def correlation(self, predicted: Array) -> Array:
        """Pearson r of each vertex over test images, repeats averaged, (n_vertices,)."""
        image_predictions = averaging.average_by(predicted, self.test.image, self.test.n_images)
        return metrics.correlation(image_predictions, self.measured)

    def measure(self, predicted: Array, true: Array | None = None) -> list[Measure]:
        """Measure predictions (n_test_trials, n_vertices).

        ``true`` (n_images,): image whose measured response is held against each image's prediction, under permuted
        labels; where a model was refitted to them they are in the predictions already.
        """
        measured = self.measured if true is None else self.measured[true]
        image_predictions = averaging.average_by(predicted, self.test.image, self.test.n_images)
        image_sums = self._sums(image_predictions, measured, np.ones((1, self.test.n_images)))
        draw_sums: list[tuple[Array, dict[str, Array]]] = []  # regions and metrics share one pass over the same draws

        def draw_of(region: str, row: int) -> Callable[[Array], Array]:
            def draw(counts: Array) -> Array:
                for summed_counts, sums in draw_sums:
                    if summed_counts is counts:
                        return sums[region][row]
                draw_sums.append(
                    (counts, self._sums(image_predictions, measured, counts[:, self.test.unit].astype(np.float64)))
                )
                return draw_sums[-1][1][region][row]

            return draw

        measures = []
        chance_r2 = 1 / (self.test.n_images - 1)  # expected r^2 of two unrelated columns
        for region, mask in self.regions.items():
            ceiling = self.pooled_ceiling(mask)
            region_values = image_sums[region][:, 0]
            measures += [
                Measure("image", "r", region_values[0], draw_of(region, 0), 0.0, float(np.sqrt(ceiling)), region),
                Measure(
                    "image", "r2", region_values[1], draw_of(region, 1), chance_r2, ceiling, region, method="jackknife"
                ),
                Measure("image", "mse", region_values[2], draw_of(region, 2), roi=region),
                Measure("image", "ceiling", ceiling, roi=region, method="none"),
            ]
            if np.isfinite(region_values[3]):
                measure = Measure("image", "explained_share", region_values[3], draw_of(region, 3), 0.0, 1.0, region)
                measures.append(replace(measure, method="jackknife"))
        return measures

    def _sums(self, image_predictions: Array, measured: Array, weights: Array) -> dict[str, Array]:
        """Region means of r, r^2 and MSE, and the share explained, under each weighting: (4, n_draws) by region."""
        member = np.stack([mask.astype(np.float64) for mask in self.regions.values()], axis=1)
        sums = np.zeros((4, len(weights), len(self.regions)))
        n_rows = weights.sum(axis=1, keepdims=True)
        for start in range(0, measured.shape[1], BLOCK):
            block = slice(start, start + BLOCK)
            x, y = image_predictions[:, block], measured[:, block]
            r = metrics.weighted_correlation(x, y, weights)
            error = weights @ (x - y) ** 2 / n_rows
            centred = y - y.mean(axis=0)
            variance = (weights @ centred**2 / n_rows - (weights @ centred / n_rows) ** 2) * n_rows / (n_rows - 1)
            explained_variance = (r**2 - (1 - r**2) / np.where(n_rows > 2, n_rows - 2, np.nan)) * variance
            for number, vertex_values in enumerate((r, r**2, error, explained_variance)):
                sums[number] += vertex_values @ member[block]
        sums[:3] /= member.sum(axis=0)
        signal = self.signal @ member
        sums[3] /= np.where(signal > 0, signal, np.nan)
        return {name: sums[:, :, number] for number, name in enumerate(self.regions)}
