"""Units of a study's codes that are found again in other codes of the same pictures."""

import itertools
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from boldflow.artifacts.store import tables
from boldflow.core.compute import fixed_threads
from boldflow.core.scores.matching import match_units
from boldflow.settings import read_settings

SAME = ["dataset", "split"]  # codes are matched where these are equal
OWN = ["subject", "response", "feature", "model"]
FEWEST = 6  # pictures in common
COLUMNS = [
    *[*SAME, *(f"{name}_{side}" for side in ("a", "b") for name in OWN), "unit_a", "unit_b", "r", "held_out"],
    *["stability", "p", "n_permutations", "n_matching", "n_held_out", "simulated"],
]


def run(codes: list[str], table: str, csv: str, names: str, latents: str, code: str) -> None:
    """Match the units of each two codes on every second of their common held-out pictures, and check on the others.

    Parameters
    ----------
    codes : paths of the tables of codes
    table, csv : paths of the Parquet and the CSV to write, a row per pair of units (``COLUMNS``): ``r`` over the
        pictures on which they were matched, ``held_out`` over the others; ``stability``, its mean over the pairs of
        two codes, and its ``p`` by permuted pictures
    names : wildcards of the results in that order, JSON text
    latents : the study's key latents, JSON text
    code : digests of the modules of this stage, JSON text

    Raises
    ------
    ValueError
        If no two codes have enough pictures in common.
    """
    wanted = read_settings(latents)
    results: list[dict[str, Any]] = read_settings(names)["results"]
    found: list[pd.DataFrame] = []
    with fixed_threads(1):
        pairs = list(itertools.combinations(zip(results, codes, strict=True), 2))
        for (one, path), (other, path_of_other) in tqdm(pairs, desc="match units", unit="pair"):
            if any(one[name] != other[name] for name in SAME):
                continue
            sides = [tables.read(at).set_index("image_id")["code"] for at in (path, path_of_other)]
            common = sorted(set(sides[0].index) & set(sides[1].index))
            if len(common) < FEWEST:
                continue
            a, b = (np.stack(side.loc[common].to_list()).astype(np.float64) for side in sides)
            matching = np.arange(len(common)) % 2 == 0
            pair = match_units(a, b, matching, wanted["permutations"], seed=0)
            about = {name: one[name] for name in SAME}
            about |= {f"{name}_{side}": of[name] for side, of in (("a", one), ("b", other)) for name in OWN}
            about |= {"stability": pair.stability, "p": pair.p, "n_permutations": wanted["permutations"]}
            about |= {"n_matching": int(matching.sum()), "n_held_out": int((~matching).sum())}
            about |= {"simulated": bool(tables.sidecar(path)["simulated"])}
            units = {"unit_a": pair.first, "unit_b": pair.second, "r": pair.r, "held_out": pair.held_out}
            found.append(pd.DataFrame({**units}).assign(**about))
    if not found:
        raise ValueError(
            f"no two of {len(codes)} codes ({', '.join(wanted['match'])}) share a data set, a split and {FEWEST} "
            "held-out pictures; take latents.match off the study, or add subjects or features"
        )
    whole = pd.concat(found, ignore_index=True)[COLUMNS]
    tables.write(table, whole, {"code": code, "units": {"r": "Pearson", "held_out": "Pearson"}})
    tables.write_csv(csv, whole)
