"""What each of several joined features explains of the test images: by vertex, and by region with intervals."""

from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd

from boldflow.artifacts.store import model_weights
from boldflow.core import averaging
from boldflow.core.linear.partition import pooled_product_measure, product_measure
from boldflow.core.linear.scaling import scale
from boldflow.core.scores import intervals
from boldflow.core.scores.encoding import EncodingScorer
from boldflow.models import Model, TellsBandsApart
from boldflow.stages._aligned import Aligned
from boldflow.stages.models._inputs import inputs_and_targets
from boldflow.vocabulary.metrics import Scale

JOINT = "all"  # stands for the band in rows of the joint prediction
COLUMNS = [
    *["seed", "roi", "band", "measure", "value", "ci_low", "ci_high", "ci_method", "ceiling", "n_test_images"],
    "remarks",
]


@dataclass(frozen=True)
class Partition:
    """Predictions of one seed, repeats averaged.

    ``joint`` (n_images, n_vertices); ``parts`` (n_bands, n_images, n_vertices), what each band adds; ``without``
    (n_bands, n_images, n_vertices), predictions of fits without each, or None.
    """

    names: list[str]
    joint: np.ndarray
    parts: np.ndarray
    without: np.ndarray | None

    @property
    def terms(self) -> np.ndarray:
        """The parts, and last what they leave of the prediction: a constant, which may differ between folds."""
        return np.concatenate([self.parts, (self.joint - self.parts.sum(axis=0))[None]])


def partition(
    plugin: Model, data: Aligned, weights: str, seed: int | str, scorer: EncodingScorer, predicted: np.ndarray
) -> Partition | None:
    """Predict the test trials by each band alone, in the units of the responses, and average repeats.

    Parameters
    ----------
    plugin : the model's
    data : Aligned
    weights : path of the model's safetensors
    seed : whose fit
    scorer : of the result
    predicted : array of shape (n_test_trials, n_vertices)

    Returns
    -------
    Partition, or None where the features were not joined from several or the model does not tell them apart
    """
    if not (data.bands and hasattr(plugin, "parts")):
        return None
    band_plugin = cast(TellsBandsApart, plugin)
    inputs_of = inputs_and_targets(data, "encode")[0]
    parts, without_band = [], []
    for fold in range(data.n_folds):
        state, targets_scaler = model_weights.state(weights, fold, seed), model_weights.targets_scaler(weights, fold)
        test_inputs = scale(inputs_of(data.rows(fold, "test")), model_weights.inputs_scaler(weights, fold))
        parts.append(band_plugin.parts(state, test_inputs) * targets_scaler["sd"])
        fold_without = band_plugin.without(state, test_inputs)
        without_band.append(
            None if fold_without is None else fold_without * targets_scaler["sd"] + targets_scaler["mean"]
        )

    def averaged(trial_values: np.ndarray) -> np.ndarray:
        return scorer.test.about_folds(averaging.average_by(trial_values, scorer.test.image, scorer.test.n_images))

    without_fits = [fold_without for fold_without in without_band if fold_without is not None]
    return Partition(
        [band.name for band in data.bands],
        averaged(predicted),
        np.stack([averaged(part) for part in np.concatenate(parts, axis=1)]),
        np.stack([averaged(part) for part in np.concatenate(without_fits, axis=1)]) if without_fits else None,
    )


def map_columns(shared: Partition, scorer: EncodingScorer) -> dict[str, np.ndarray]:
    """Give columns of a vertex map: ``r2_joint`` and, of each band, ``r2_band:NAME`` and perhaps ``r2_unique:NAME``."""
    measured = scorer.test.about_folds(scorer.measured)
    shares = product_measure(measured, shared.terms)  # (n_terms, n_vertices)
    joint_share = shares.sum(axis=0)
    columns = {"r2_joint": joint_share}
    columns |= {f"r2_band:{name}": share for name, share in zip(shared.names, shares[:-1], strict=True)}
    if shared.without is not None:
        for name, without_band in zip(shared.names, shared.without, strict=True):
            columns[f"r2_unique:{name}"] = joint_share - product_measure(measured, without_band[None])[0]
    return columns


def region_rows(shared: Partition, scorer: EncodingScorer, seed: int | str, unit: str) -> pd.DataFrame:
    """Give rows of each region and band: share of variance with its jackknife interval over images.

    Parameters
    ----------
    shared : Partition
    scorer : of the result
    seed : whose fit
    unit : what is left out in turn, in words

    Returns
    -------
    DataFrame with ``COLUMNS``
        ``measure`` is "joint" (R^2 of the whole prediction), "product" (what the band brings to it: these add up), or
        "unique" (what is lost without the band). All are sums over the region's vertices, over their summed variance.
    """
    series = _pooled_series(shared, scorer)
    rows = []
    for roi_number, (roi, mask) in enumerate(scorer.regions.items()):
        ceiling = scorer.pooled_ceiling(mask)
        for band, measure, shares in series:
            value, left_out = shares[0, roi_number], shares[1:, roi_number]
            if scorer.test.n_folds > 1:
                interval = intervals.Interval(np.nan, np.nan, "no interval: test pictures of one fold train another")
            else:
                interval = intervals.jackknife(value, left_out, Scale.PLAIN)
            rows.append(
                {
                    **{"seed": str(seed), "roi": roi, "band": band, "measure": measure, "value": value},
                    **{"ci_low": interval.low, "ci_high": interval.high, "remarks": interval.remark},
                    "ci_method": f"jackknife over {unit}" if interval.exists else None,
                    **{"ceiling": ceiling, "n_test_images": scorer.test.n_images},
                }
            )
    return pd.DataFrame(rows)[COLUMNS]


def _pooled_series(shared: Partition, scorer: EncodingScorer) -> list[tuple[str, str, np.ndarray]]:
    """Give (band, measure, shares (1 + n_units, n_regions)): of all images, then without each unit in turn."""
    n_units = scorer.test.n_units
    counts = np.concatenate([np.ones((1, n_units)), 1 - np.eye(n_units)])
    draw_weights = counts[:, scorer.test.unit].astype(np.float64)
    region_member = np.stack(
        [mask.astype(np.float64) for mask in scorer.regions.values()], axis=1
    )  # (n_vertices, n_regions)

    def pooled(terms: np.ndarray) -> np.ndarray:
        return pooled_product_measure(scorer.test.about_folds(scorer.measured), terms, region_member, draw_weights)

    shares = pooled(shared.terms)  # (n_terms, 1 + n_units, n_regions)
    joint_shares = shares.sum(axis=0)
    series = [(JOINT, "joint", joint_shares)]
    series += [(name, "product", share) for name, share in zip(shared.names, shares[:-1], strict=True)]
    if shared.without is not None:
        shares_without = [pooled(predicted[None])[0] for predicted in shared.without]
        series += [
            (name, "unique", joint_shares - share_without)
            for name, share_without in zip(shared.names, shares_without, strict=True)
        ]
    return series
