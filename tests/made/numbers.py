"""All numbers of a finished study, one digest a column, so that a rebuilt house can be held against the old one.

``python -m tests.made.numbers RESULTS`` prints one digest for each kind of file. Two folders ``results``, BEFORE and
AFTER, are compared bit for bit; the exit code is 1 where a number of BEFORE is not in AFTER. Digests of code and
settings, and costs, are no numbers of ours. Last bits differ between processors: both must be of one machine.
"""

import hashlib
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from safetensors.numpy import load_file

NO_NUMBERS = ("code_digest", "config_digest", "data_digest")
COSTS = "costs.parquet"
READ = {".parquet", ".csv", ".npy", ".safetensors", ".h5"}


def digest(array: np.ndarray) -> str:
    """Digest of an array's shape, type and bytes; texts by their letters."""
    if array.dtype == object:
        words = [f"{type(value).__name__} {value}" for value in array.ravel()]
        content = json.dumps([list(array.shape), words]).encode()
    else:
        content = f"{array.shape} {array.dtype.str}".encode() + np.ascontiguousarray(array).tobytes()
    return hashlib.sha256(content).hexdigest()[:16]


def columns(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield name and values of each column, tensor or array in a file."""
    if path.suffix == ".npy":
        yield "", np.load(path, allow_pickle=False)
    elif path.suffix == ".safetensors":
        yield from sorted(load_file(path).items())
    elif path.suffix == ".h5":
        with h5py.File(path) as file:
            datasets: list[tuple[str, np.ndarray]] = []
            file.visititems(lambda name, item: datasets.append((name, item[()])) if hasattr(item, "shape") else None)
        yield from datasets
    else:
        table = pd.read_parquet(path) if path.suffix == ".parquet" else _csv(path)
        yield from ((str(name), table[name].to_numpy()) for name in table if name not in NO_NUMBERS)


def _csv(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False)
    except pd.errors.EmptyDataError:
        return pd.DataFrame()


def numbers(results: Path) -> dict[str, str]:
    """Digest of each column of each file of a folder ``results``, by path and column."""
    rows: dict[str, str] = {}
    for path in sorted(results.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(results).parts)
        if path.suffix in READ and path.is_file() and path.name != COSTS and not hidden:
            for name, values in columns(path):
                rows[f"{path.relative_to(results)}:{name}"] = digest(values)
    return rows


def summary(rows: dict[str, str]) -> list[str]:
    """One digest for each name of a file, with the number of columns behind it."""
    kinds: dict[str, list[Any]] = defaultdict(list)
    for place, value in sorted(rows.items()):
        path, _, column = place.partition(":")
        kinds[Path(path).name].append([path, column, value])
    words = {name: hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16] for name, content in kinds.items()}
    return [f"{name:32} {len(kinds[name]):6} columns  {words[name]}" for name in sorted(kinds)]


def differences(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Say of each number of ``before`` that is gone or another in ``after``."""
    return [
        f"{place}: {'gone' if place not in after else 'another value'}"
        for place, value in before.items()
        if after.get(place) != value
    ]


def main(folders: list[str]) -> int:
    """Print a summary of one folder, or what two differ in."""
    tables = [numbers(Path(folder)) for folder in folders]
    if len(tables) == 1:
        print("\n".join(summary(tables[0])))
        return 0
    lines = differences(*tables)
    kinds = Counter(Path(line.partition(":")[0]).name for line in lines)
    new = Counter(Path(place.partition(":")[0]).name for place in tables[1].keys() - tables[0].keys())
    print("\n".join([*lines[:200], f"{len(lines)} of {len(tables[0])} differ: {dict(kinds)}; new: {dict(new)}"]))
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
