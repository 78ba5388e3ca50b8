"""Units of a study's codes that are found again in other codes of the same pictures."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from tqdm import tqdm

from boldflow.artifacts.store import tables
from boldflow.core.compute import fixed_threads
from boldflow.core.scores.matching import match_units
from boldflow.settings import read_settings
from boldflow.vocabulary.results import ResultKey

SAME = ["dataset", "split"]  # codes are matched where these are equal
OWN = ["subject", "response", "feature", "model"]
FEWEST = 6  # pictures in common
COLUMNS = [
    *[*SAME, *(f"{name}_{side}" for side in ("a", "b") for name in OWN), "unit_a", "unit_b", "r", "held_out"],
    *["stability", "n_undefined", "p", "n_permutations", "n_matching", "n_held_out", "simulated"],
]


def run(codes: list[str], table: str, csv: str, names: str, latents: str, code: str) -> None:
    """Match the units of each two codes on every second of their common held-out pictures, and check on the others.

    Parameters
    ----------
    codes : paths of the tables of codes
    table, csv : paths of the Parquet and the CSV to write, a row per pair of units (``COLUMNS``): ``r`` over the
        pictures on which they were matched, ``held_out`` over the others; ``stability``, its mean over the pairs of
        two codes that vary there (``n_undefined`` do not), and its ``p`` by permuted pictures
    names : wildcards of the results in that order, JSON text
    latents : the study's key latents, JSON text
    code : digests of the modules of this stage, JSON text

    Raises
    ------
    ValueError
        If no two codes have enough pictures in common.
    """
    latent_settings = read_settings(latents)
    results = [ResultKey(**wildcards) for wildcards in read_settings(names)["results"]]
    all_codes = [_Codes(result, path) for result, path in zip(results, codes, strict=True)]
    unit_tables: list[pd.DataFrame] = []
    with fixed_threads(1):
        for a, b in tqdm(list(itertools.combinations(all_codes, 2)), desc="match units", unit="pair"):
            if all(getattr(a.result, name) == getattr(b.result, name) for name in SAME):
                unit_tables += _matched(a, b, latent_settings["permutations"])
    if not unit_tables:
        raise ValueError(
            f"no two of {len(codes)} codes ({', '.join(latent_settings['match'])}) share a data set, a split and "
            f"{FEWEST} held-out pictures; take latents.match off the study, or add subjects or features"
        )
    unit_table = pd.concat(unit_tables, ignore_index=True)[COLUMNS]
    tables.write(table, unit_table, {"code": code, "units": {"r": "Pearson", "held_out": "Pearson"}})
    tables.write_csv(csv, unit_table)


@dataclass(frozen=True)
class _Codes:
    """A result, and the path of the table of its codes."""

    result: ResultKey
    path: str

    def by_picture(self) -> pd.Series:
        """Code of each held-out picture, by name."""
        return tables.read(self.path).set_index("image_id")["code"]


def _matched(a: _Codes, b: _Codes, n_permutations: int) -> Sequence[pd.DataFrame]:
    """Match the units of two codes; nothing where they have too few pictures in common."""
    picture_codes = [codes.by_picture() for codes in (a, b)]
    common_ids = sorted(set(picture_codes[0].index) & set(picture_codes[1].index))
    if len(common_ids) < FEWEST:
        return []
    codes_a, codes_b = (
        np.stack(side.loc[common_ids].to_list()).astype(np.float64) for side in picture_codes
    )  # (n_common, n_units)
    is_matching = np.arange(len(common_ids)) % 2 == 0
    unit_pairs = match_units(codes_a, codes_b, is_matching, n_permutations, seed=0)
    pair_columns: dict[str, object] = {name: getattr(a.result, name) for name in SAME}
    pair_columns |= {
        f"{name}_{side}": getattr(owner.result, name) for side, owner in (("a", a), ("b", b)) for name in OWN
    }
    pair_columns |= {"stability": unit_pairs.stability, "n_undefined": unit_pairs.n_undefined, "p": unit_pairs.p}
    pair_columns |= {"n_permutations": n_permutations}
    pair_columns |= {"n_matching": int(is_matching.sum()), "n_held_out": int((~is_matching).sum())}
    pair_columns |= {"simulated": bool(tables.sidecar(a.path)["simulated"])}
    unit_columns = {
        "unit_a": unit_pairs.first,
        "unit_b": unit_pairs.second,
        "r": unit_pairs.r,
        "held_out": unit_pairs.held_out,
    }
    return [pd.DataFrame({**unit_columns}).assign(**pair_columns)]
