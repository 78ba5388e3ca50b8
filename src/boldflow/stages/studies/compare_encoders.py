"""Win shares: which of two encoders of the same responses predicts more vertices better, with paired intervals."""

from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from boldflow.artifacts.store import arrays, sidecars, tables
from boldflow.core import averaging
from boldflow.core.compute import fixed_threads
from boldflow.core.scores import statistics
from boldflow.core.scores.scoring import BOOTSTRAP_SEED
from boldflow.core.scores.win_shares import win_draws, win_shares
from boldflow.settings import read_settings
from boldflow.stages._aligned import align, regions_of, test_set

SAME = ["dataset", "subject", "response", "split"]  # encoders are compared where all of these are equal
MODEL = ["feature", "model"]
COLUMNS = [
    *["study", *SAME, "seed", "view", "roi", "feature_a", "model_a", "feature_b", "model_b", "metric", "value"],
    *["ci_low", "ci_high", "ci_method", "chance", "p", "p_holm", "tied", "n_vertices", "n_test_images"],
    *["n_repeats_averaged", "simulated"],
]


def run(
    predictions: list[str],
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
    predictions, configs, responses, vertices, features, indexes, trials, splits : paths to read, one of each per
        encoder in the same order
    wins, csv : paths of the Parquet and the CSV to write: a row per pair of encoders and region (``COLUMNS``);
        ``value`` is the share of vertices whose Pearson r, repeats averaged, is higher with ``a`` than with ``b``
    names : wildcards of the encoders in that order, JSON text
    facts : facts of the data sets' plug-ins by data set, JSON text
    study : name of the study
    n_draws : draws of the bootstrap
    code : digests of the modules of this stage, JSON text
    """
    table = pd.DataFrame(read_settings(names)["results"])
    known = read_settings(facts)
    files = {"predictions": predictions, "configs": configs, "responses": responses, "vertices": vertices}
    files |= {"features": features, "indexes": indexes, "trials": trials, "splits": splits}
    table = table.assign(**files)
    found: list[dict[str, Any]] = []
    with fixed_threads(1):
        groups = table.groupby(SAME, sort=False)
        for key, part in tqdm(groups, desc="compare encoders", unit="subject"):
            about = {"study": study, **dict(zip(SAME, key, strict=True))}
            facts_ = known[about["dataset"]]
            rows = _rows(part.to_dict("records"), facts_["images"], n_draws)
            found += [{**about, **row, "simulated": facts_["simulated"]} for row in rows]
    result = pd.DataFrame(found, columns=COLUMNS)
    tables.write(wins, result, {"code": code, "units": {"value": "share of vertices"}})
    tables.write_csv(csv, result)


def _rows(encoders: list[dict[str, Any]], has_images: bool, n_draws: int) -> list[dict[str, Any]]:
    """Compare the encoders of one subject, seed by seed."""
    one = encoders[0]
    data = align(one["responses"], one["features"], one["indexes"], one["trials"], one["splits"], one["subject"])
    test, _, rows = test_set(data, has_images)
    measured = averaging.average_by(arrays.rows(data.responses, rows), test.image, test.n_images)
    regions = regions_of(tables.read(one["vertices"]))
    counts = statistics.bootstrap_counts(test.n_units, n_draws, BOOTSTRAP_SEED)
    # the images themselves come first
    weights = np.concatenate([np.ones((1, test.n_units), dtype=int), counts])[:, test.unit]
    unit = "images" if has_images else "blocks"
    about = {
        "view": "image",
        "metric": "win_share",
        "ci_method": f"paired percentile bootstrap over {unit}, spanned to the value",
        "chance": 0.5,
        "n_test_images": test.n_images,
        "n_repeats_averaged": float(test.repeats.mean()),
    }
    seeds = {n: sidecars.read(encoder["configs"])["settings"]["seeds"] for n, encoder in enumerate(encoders)}
    found = []
    for seed in sorted({seed for own in seeds.values() for seed in own}):
        mine = [(encoder, seeds[n].index(seed)) for n, encoder in enumerate(encoders) if seed in seeds[n]]
        if len(mine) < 2:
            continue
        predicted = [
            averaging.average_by(arrays.read(e["predictions"], ndim=3)[place], test.image, test.n_images)
            for e, place in mine
        ]
        shares = win_draws(predicted, measured, list(regions.values()), weights)
        for number, (roi, mask) in enumerate(regions.items()):
            for pair in win_shares(len(mine), shares[:, 0, number], shares[:, 1:, number]):
                sides = {
                    f"{name}_{side}": mine[place][0][name]
                    for side, place in (("a", pair.first), ("b", pair.second))
                    for name in MODEL
                }
                verdict = {name: getattr(pair, name) for name in ("value", "ci_low", "ci_high", "p", "p_holm", "tied")}
                size = {"seed": str(seed), "roi": roi, "n_vertices": int(mask.sum())}
                found.append({**about, **size, **sides, **verdict})
    return found
