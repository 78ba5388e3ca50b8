"""Scores of predicted responses, per vertex and region: correlation, error, share explained, ceiling."""

import numpy as np

from boldflow.core import averaging
from boldflow.core.records.test_sets import TestSet
from boldflow.core.responses import ceilings
from boldflow.core.scores import metrics
from boldflow.core.scores.measures import BLOCK, Measure, SharedDraws
from boldflow.core.scores.moments import Moments, degrees_of_freedom, moments

Array = np.ndarray
MOST_SILENT = 0.05  # share of a region's vertices without signal up to which the mean of r has a ceiling
FEWEST_FOR_CORRECTION = 5  # test pictures, above which what is known of noise ceilings has a variance
SILENT = "no ceiling: {silent:.1%} of {n} vertices show no signal (r_pooled has one)"
UNREPEATED = "no ceiling: no test picture is repeated"
ALONE = "no score: each picture is alone in its fold"


class EncodingScorer:
    """Score predicted responses per vertex and region: correlation, error, share explained, ceiling.

    Where there are folds, predictions and responses are taken about their means within each fold.

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
        self._repeats = ceilings.Repeats.of(responses, test.image)
        self._fold = test.image_fold if test.n_folds > 1 else None
        self._has_published_ceiling = ncsnr is not None
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
        if self._fold is None:
            return metrics.correlation(image_predictions, self.measured)
        weights = np.ones((1, self.test.n_images))
        return metrics.weighted_correlation(image_predictions, self.measured, weights, self._fold)[0]

    def held_out_r2(self, predicted: Array) -> Array:
        """R^2 of each vertex over test images, repeats averaged: 1 - residual over total, (n_vertices,)."""
        image_predictions = averaging.average_by(predicted, self.test.image, self.test.n_images)
        weights = np.ones((1, self.test.n_images))
        summed = moments(image_predictions, self.measured, weights, self._fold)
        residual = self._residual(image_predictions, self.measured, weights, summed)
        return _ratio(summed.squares_y - residual, summed.squares_y, np.nan)[0]

    def measure(self, predicted: Array, true: Array | None = None) -> list[Measure]:
        """Measure predictions (n_test_trials, n_vertices).

        ``true`` (n_images,): image whose measured response is held against each image's prediction, under permuted
        labels; where a model was refitted to them they are in the predictions already.
        """
        measured = self.measured if true is None else self.measured[true]
        image_predictions = averaging.average_by(predicted, self.test.image, self.test.n_images)
        draws = SharedDraws(lambda weights: self._sums(image_predictions, measured, weights), self.test.unit)
        plain = self._sums(image_predictions, measured, np.ones((1, self.test.n_images)))
        lonely = ALONE if self.test.n_folds == self.test.n_images else ""
        measures = []
        for region, mask in self.regions.items():
            values = {name: float(of_draws[0]) for name, of_draws in plain[region].items()}
            pooled = self.pooled_ceiling(mask)
            of_r, of_r2, remark = self._ceilings_of_means(mask)
            chance = {"r": 0.0, "r_pooled": 0.0, "r2": 0.0, "explained_share": 0.0}
            ceiling = {"r": of_r, "r2": of_r2, "r_pooled": float(np.sqrt(pooled)), "R2": pooled, "explained_share": 1.0}
            for name in ("r", "r_pooled", "r2", "R2", "mse", "explained_share"):
                if name == "explained_share" and not np.isfinite(values[name]):
                    continue
                measure = Measure(
                    "image", name, values[name], draws.of(region, name), chance.get(name), ceiling.get(name), region,
                    remark=lonely or (remark if name in ("r", "r2") else ""),
                )  # fmt: skip
                measures.append(measure)
            measures.append(self._ceiling_measure(region, pooled, draws))
        return measures

    def _ceiling_measure(self, region: str, pooled: float, draws: SharedDraws) -> Measure:
        if self._has_published_ceiling:
            return Measure("image", "ceiling", pooled, roi=region, remark="from published ratios: no interval")
        return Measure("image", "ceiling", pooled, draws.of(region, "ceiling"), roi=region)

    def _ceilings_of_means(self, mask: Array) -> tuple[float | None, float | None, str]:
        """Ceilings of the means over vertices of r and of r^2, and why there are none.

        A mean of truncated ceilings is too high where vertices show no signal.
        """
        signal = self._signal[mask]
        if np.isnan(signal).any():
            return None, None, UNREPEATED
        silent = float(np.mean(signal <= 0))
        if silent > MOST_SILENT:
            return None, None, SILENT.format(silent=silent, n=len(signal))
        of_r2 = float(self.ceiling[mask].mean())
        if self._has_published_ceiling or self.test.n_images <= FEWEST_FOR_CORRECTION:
            return float(np.sqrt(self.ceiling[mask]).mean()), of_r2, ""
        of_r = ceilings.correlation_ceiling(signal, self._noise[mask], self.test.repeats)
        return float(of_r.mean()), of_r2, ""

    def _residual(self, x: Array, y: Array, weights: Array, summed: Moments) -> Array:
        """Sum of squares of x - y under weights, (n_draws, n_columns); about fold means where there are folds."""
        if self._fold is None:
            return weights @ (x - y) ** 2
        return summed.squares_x + summed.squares_y - 2 * summed.products

    def _components(self, weights: Array, block: slice) -> tuple[Array, Array]:
        """Signal and noise variance under weights, (n_draws, n_columns)."""
        if len(weights) == 1 and (weights == 1).all():
            return self.signal[None, block], self.noise[None, block]
        return self._repeats.components(weights, block)

    def _sums(self, image_predictions: Array, measured: Array, weights: Array) -> dict[str, dict[str, Array]]:
        """Each metric of each region under each weighting of the images: region -> metric -> (n_draws,)."""
        member = np.stack([mask.astype(np.float64) for mask in self.regions.values()], axis=1)
        n_rows, freedom = weights.sum(axis=1), degrees_of_freedom(weights, self._fold)
        sums: dict[str, Array] = {}
        for start in range(0, measured.shape[1], BLOCK):
            block = slice(start, start + BLOCK)
            x, y = image_predictions[:, block], measured[:, block]
            summed = moments(x, y, weights, self._fold)
            r = summed.correlation()
            signal, noise = self._components(weights, block)
            corrected = r**2 - (1 - r**2) / np.where(n_rows > 2, n_rows - 2, np.nan)[:, None]
            by_vertex = {
                "r": r,
                "r2": np.sign(r) * r**2,
                "residual": self._residual(x, y, weights, summed),
                "total": summed.squares_y,
                "products": np.where(summed.varies, summed.products, 0.0),
                "squares": np.where(summed.varies, summed.squares_x, 0.0),
                "explained": np.sign(r) * corrected * summed.squares_y / np.maximum(freedom, 1)[:, None],
                "signal": signal,
                "noise": noise,
            }
            for name, values in by_vertex.items():
                sums[name] = sums.get(name, 0.0) + values @ member[block]
        scale = np.maximum(freedom, 1) if self._fold is not None else n_rows
        by_metric = {
            "r": sums["r"] / member.sum(axis=0),
            "r2": sums["r2"] / member.sum(axis=0),
            "r_pooled": _ratio(sums["products"], np.sqrt(sums["squares"] * sums["total"]), 0.0),
            "R2": 1 - _ratio(sums["residual"], sums["total"], np.nan),
            "mse": sums["residual"] / scale[:, None] / member.sum(axis=0),
            "explained_share": self._shares(sums),
            "ceiling": self._ceilings(sums, weights),
        }
        undefined = (freedom < 1)[:, None]
        return {
            region: {
                name: np.where(undefined, np.nan, values)[:, number] if name != "ceiling" else values[:, number]
                for name, values in by_metric.items()
            }
            for number, region in enumerate(self.regions)
        }

    def _shares(self, sums: dict[str, Array]) -> Array:
        """Share of the signal variance that is explained, (n_draws, n_regions); undefined under folds."""
        if self._fold is not None:  # pictures are counted once for each fold that they train: r^2 is overdispersed
            return np.full(sums["explained"].shape, np.nan)
        return _ratio(sums["explained"], sums["signal"], np.nan)

    def _ceilings(self, sums: dict[str, Array], weights: Array) -> Array:
        """Noise ceilings of regions in each draw, (n_draws, n_regions)."""
        mean_inverse = (weights @ (1 / self.test.repeats) / weights.sum(axis=1))[:, None]
        signal = np.maximum(sums["signal"], 0)
        return np.asarray(signal / (signal + sums["noise"] * mean_inverse))


def _ratio(above: Array, below: Array, otherwise: float) -> Array:
    """Divide where the divisor is above 0."""
    return np.divide(above, below, out=np.full(np.broadcast(above, below).shape, otherwise), where=below > 0)
