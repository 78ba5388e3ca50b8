"""Win shares: which of two encoders of the same responses predicts more vertices better, with paired intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from tqdm import tqdm

from boldflow.artifacts.store import arrays, model_notes, tables
from boldflow.core import averaging
from boldflow.core.compute import fixed_threads
from boldflow.core.records.facts import DataFacts
from boldflow.core.records.test_sets import TestSet
from boldflow.core.scores import statistics
from boldflow.core.scores.measures import BOOTSTRAP_SEED
from boldflow.core.scores.win_shares import WinShare, win_draws, win_shares
from boldflow.settings import read_facts_by_name, read_settings
from boldflow.stages import _predictions
from boldflow.stages._aligned import align, regions_of, test_set
from boldflow.vocabulary.results import ResultKey

SAME = ["dataset", "subject", "response", "split"]  # encoders are compared where all of these are equal
MODEL = ["feature", "model"]
# test pictures of one fold train another: drawing them again says too little of how far a share may lie from .5
OVER_FOLDS = {"ci_low": np.nan, "ci_high": np.nan, "ci_method": None, "p": np.nan, "p_holm": np.nan, "tied": True}
VERDICT = ["value", "ci_low", "ci_high", "p", "p_holm", "tied"]
COLUMNS = [
    *["study", *SAME, "seed", "view", "roi", "feature_a", "model_a", "feature_b", "model_b", "metric", "value"],
    *["ci_low", "ci_high", "ci_method", "chance", "p", "p_holm", "tied", "n_vertices", "n_test_images"],
    *["n_repeats_averaged", "simulated"],
]

Row = dict[str, object]


def run(
    predictions: list[str],
    predictions_indexes: list[str],
    configs: list[str],
    responses: list[str],
    vertices: list[str],
    features: list[str],
    indexes: list[str],
    trials: list[str],
    splits: list[str],
    wins: str,
    csv: str,
    names: str,
    facts: str,
    study: str,
    n_draws: int,
    code: str,
) -> None:
    """Compare all pairs of encoders that a study has of a subject's responses.

    Parameters
    ----------
    predictions, predictions_indexes, configs, responses, vertices, features, indexes, trials, splits : paths to read,
        one of each per encoder in the same order
    wins, csv : paths of the Parquet and the CSV to write: a row per pair of encoders and region (``COLUMNS``);
        ``value`` is the share of vertices whose Pearson r, repeats averaged, is higher with ``a`` than with ``b``
    names : wildcards of the encoders in that order, JSON text
    facts : facts of the data sets' plug-ins by data set, JSON text
    study : name of the study
    n_draws : draws of the bootstrap
    code : digests of the modules of this stage, JSON text
    """
    results = [ResultKey(**wildcards) for wildcards in read_settings(names)["results"]]
    facts_of = read_facts_by_name(facts, DataFacts)
    paths = [predictions, predictions_indexes, configs, responses, vertices, features, indexes, trials, splits]
    groups: dict[tuple[str, ...], list[_Encoder]] = {}
    for encoder in (_Encoder(*row) for row in zip(results, *paths, strict=True)):
        groups.setdefault(tuple(getattr(encoder.result, name) for name in SAME), []).append(encoder)
    rows: list[Row] = []
    with fixed_threads(1):
        for key, encoders in tqdm(groups.items(), desc="compare encoders", unit="subject"):
            identity: Row = {"study": study, **dict(zip(SAME, key, strict=True))}
            data_facts = facts_of[encoders[0].result.dataset]
            pair_rows = _rows(encoders, data_facts.images, n_draws)
            rows += [{**identity, **row, "simulated": data_facts.simulated} for row in pair_rows]
    table = pd.DataFrame(rows, columns=COLUMNS)
    tables.write(wins, table, {"code": code, "units": {"value": "share of vertices"}})
    tables.write_csv(csv, table)


@dataclass(frozen=True)
class _Encoder:
    """A result, and the paths of its files."""

    result: ResultKey
    predictions: str
    predictions_index: str
    config: str
    responses: str
    vertices: str
    features: str
    index: str
    trials: str
    split: str


@dataclass(frozen=True)
class _Rivals:
    """Encoders of one subject: their seeds, and predictions by number of encoder and of seed, repeats averaged."""

    encoders: Sequence[_Encoder]
    seeds: list[list[int]]
    predictions: list[_predictions.Predictions]
    test: TestSet

    def having(self, seed: int) -> list[int]:
        """Numbers of the encoders that have a seed."""
        return [encoder_number for encoder_number, seeds in enumerate(self.seeds) if seed in seeds]

    def averaged(self, encoder_number: int, seed: int) -> np.ndarray:
        """Predictions of an encoder, (n_images, n_vertices)."""
        predicted = self.predictions[encoder_number].of(self.seeds[encoder_number].index(seed))
        return self.test.about_folds(averaging.average_by(predicted, self.test.image, self.test.n_images))


def _rows(encoders: Sequence[_Encoder], has_images: bool, n_draws: int) -> list[Row]:
    """Compare the encoders of one subject, seed by seed."""
    first_encoder = encoders[0]
    paths = (
        first_encoder.responses,
        first_encoder.features,
        first_encoder.index,
        first_encoder.trials,
        first_encoder.split,
    )
    data = align(*paths, first_encoder.result.subject)
    test, _, test_rows = test_set(data, has_images)
    image_responses = averaging.average_by(arrays.rows(data.responses, test_rows), test.image, test.n_images)
    measured = test.about_folds(image_responses)
    regions = regions_of(tables.read(first_encoder.vertices))
    counts = statistics.bootstrap_counts(test.n_units, n_draws, BOOTSTRAP_SEED)
    # the images themselves come first
    draw_weights = np.concatenate([np.ones((1, test.n_units), dtype=int), counts])[
        :, test.unit
    ]  # (1 + n_draws, n_images)
    rivals = _Rivals(
        encoders,
        [list(model_notes.read(encoder.config).entry["seeds"]) for encoder in encoders],
        [_predictions.read(encoder.predictions, encoder.predictions_index, [data]) for encoder in encoders],
        test,
    )
    shared_columns = _about(test, "images" if has_images else "blocks")
    table_rows: list[Row] = []
    for seed in sorted({seed for seeds in rivals.seeds for seed in seeds}):
        encoder_numbers = rivals.having(seed)
        if len(encoder_numbers) < 2:
            continue
        predicted = [rivals.averaged(encoder_number, seed) for encoder_number in encoder_numbers]
        shares = win_draws(
            predicted, measured, list(regions.values()), draw_weights
        )  # (n_pairs, 1 + n_draws, n_regions)
        for region_number, (roi, mask) in enumerate(regions.items()):
            region_columns = {"seed": str(seed), "roi": roi, "n_vertices": int(mask.sum())}
            for pair in win_shares(len(encoder_numbers), shares[:, 0, region_number], shares[:, 1:, region_number]):
                pair_encoders = (encoders[encoder_numbers[pair.first]], encoders[encoder_numbers[pair.second]])
                verdict = _of_pair(pair, *pair_encoders)
                if test.n_folds > 1:
                    verdict |= OVER_FOLDS
                table_rows.append({**shared_columns, **region_columns, **verdict})
    return table_rows


def _about(test: TestSet, unit: str) -> Mapping[str, object]:
    """Columns that all rows of a subject share; ``unit``: what is drawn, in words."""
    return {
        "view": "image",
        "metric": "win_share",
        "ci_method": f"paired percentile bootstrap over {unit}, spanned to the value",
        "chance": 0.5,
        "n_test_images": test.n_images,
        "n_repeats_averaged": float(test.repeats.mean()),
    }


def _of_pair(pair: WinShare, a: _Encoder, b: _Encoder) -> Row:
    """Columns of a pair of encoders in one region."""
    names = {
        f"{name}_{side}": getattr(encoder.result, name) for side, encoder in (("a", a), ("b", b)) for name in MODEL
    }
    return names | {name: asdict(pair)[name] for name in VERDICT}
