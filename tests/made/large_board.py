"""Made leaderboards of any size with the differences between their models."""

import numpy as np
import pandas as pd

from boldflow.artifacts.store import comparisons
from boldflow.artifacts.store.leaderboard import tidy
from boldflow.core.scores.comparison import compare

CHANCE = {"inv_norm_rank": 0.5, "top1": 1 / 24, "top5": 5 / 24, "two_way": 0.5, "mean_rank": 11.5}
N_IMAGES = 24


def make(
    n_subjects=8, n_models=25, metrics=tuple(CHANCE), n_seeds=1, rois=("",), simulated=True, reference=None, **changed
):
    """Make a leaderboard, (n_subjects * n_models * n_metrics * n_seeds * n_rois) rows, and its comparisons.

    Scores go from good to chance; the last two models are the baselines dummy and chance. The first metric is primary.
    ``reference``: number of the model that all others are compared with.
    """
    rng = np.random.default_rng(0)
    names = [*(f"model-{n:02d}" for n in range(n_models - 2)), "dummy", "chance"]
    rows, pairs = [], []
    for subject in range(n_subjects):
        for metric in metrics:
            for seed in range(n_seeds):
                for roi in rois:
                    skill = np.r_[np.linspace(0.7, 0.1, n_models - 2), 0, 0] + rng.normal(0, 0.03, n_models)
                    chance = CHANCE[metric]
                    values = chance * (1 - skill) if metric == "mean_rank" else chance + skill * (1 - chance)
                    draws = values[:, None] + rng.normal(0, 0.04, (n_models, 400)) * (
                        10 if metric == "mean_rank" else 1
                    )
                    about = {
                        "dataset": "sim",
                        "subject": f"sub-{subject + 1:02d}",
                        "direction": "decode",
                        "fold": "all",
                    }
                    about |= {
                        "split": "repeated",
                        "seed": str(seed),
                        "view": "image",
                        "metric": metric,
                        "gallery": "test",
                    }
                    about |= {"gallery_size": N_IMAGES, "n_test_images": N_IMAGES, "n_repeats_averaged": 2.5} | changed
                    about |= {"roi": roi} if roi else {}
                    mine = []
                    for n, name in enumerate(names):
                        low, high = np.quantile(draws[n], [0.025, 0.975])
                        row = {"response": "bold-4to10s-fsaverage5", "feature": ("gabor", "dinov2-small-224")[n % 2]}
                        row |= {"model": name, "value": values[n], "ci_low": low, "ci_high": high, "chance": chance}
                        mine.append(about | row)
                    rows += mine
                    for one in compare(values, draws, N_IMAGES, reference=reference):
                        pair = {f"{key}_a": mine[one.first][key] for key in comparisons.MODEL}
                        pair |= {f"{key}_b": mine[one.second][key] for key in comparisons.MODEL}
                        pair |= {"difference": one.value, "ci_low": one.ci_low, "ci_high": one.ci_high, "p": one.p}
                        pair |= {"p_holm": one.p_holm, "tied": one.tied, "primary": metric == metrics[0]}
                        pair |= {"against_reference": reference is not None}
                        pairs.append(about | pair | {"simulated": simulated})
    more = {
        "study": "large",
        "ci_method": "percentile bootstrap over images",
        "transductive": "run",
        "protocol": "ours",
    }
    table = tidy(pd.DataFrame(rows).assign(**more, simulated=simulated, code_digest="c0de" * 4))
    return table.assign(primary=table["metric"] == metrics[0]), comparisons.tidy(pd.DataFrame(pairs))
