"""What cannot be of a split: a test set that a data set does not name, parts that its facts say are empty."""

import re
from collections.abc import Iterator

from boldflow.catalogue import dataset_facts
from boldflow.registry import (
    Config,
    literal,
    nearest,
    plugin_name,
)
from boldflow.vocabulary.results import (
    ResultKey,
)


def split_problems(config: Config, result: ResultKey, split: Config, dataset: Config) -> Iterator[str]:
    """Say what cannot be of a split.

    Parameters
    ----------
    config : the catalogue
    result : a result of a study that uses it
    split, dataset : their entries, defaults filled in
    """
    split_text = f"split {result.split!r}"
    yield from _window_problems(config, result, split, split_text)
    for name in split["against"]:
        if name not in config["datasets"]:
            yield f"{split_text}: against names data set {name!r}; {nearest(name, config['datasets'])}"
    if split["test"] in ("repeated", "named") and not dataset_facts(config, result.dataset).images:
        yield f"{split_text} tests {split['test']} pictures, and {result.dataset!r} has none"
    if split["test"] == "named":
        test_sets = literal("datasets", plugin_name(result.dataset, config["datasets"][result.dataset]), "TEST_SETS")
        if split.get("names") not in test_sets:
            yield (
                f"{split_text}: names is {split.get('names')!r}, which is no test set of data set {result.dataset!r}; "
                f"{nearest(split.get('names'), test_sets)}"
            )
    if "concept" in split:
        yield from _concept_problems(split["concept"], split_text)
    yield from (f"{split_text} {sentence}" for sentence in _empty_parts(split, dataset))


def _window_problems(config: Config, result: ResultKey, split: Config, split_text: str) -> Iterator[str]:
    """Say why windows cannot be kept apart."""
    name = split.get("windows_of")
    if name is None:
        return
    if name not in config["responses"]:
        yield f"{split_text}: windows_of names {name!r}; {nearest(name, config['responses'])}"
    elif (kind := (config["responses"][name] or {}).get("kind", "bold")) != "bold":
        yield f"{split_text}: windows_of names {name!r}, which is of kind {kind!r} and has no windows; name one of bold"


def _concept_problems(concept: str, split_text: str) -> Iterator[str]:
    try:
        n_groups = re.compile(concept).groups
    except re.error as error:
        yield f"{split_text}: concept {concept!r} is no regular expression: {error}"
        return
    if n_groups != 1:
        yield f"{split_text}: concept {concept!r} must have one group in (), found {n_groups}"


def _empty_parts(split: Config, dataset: Config) -> Iterator[str]:
    """Say which part of a split would be empty, as far as the entry of a data set tells how many runs there are."""
    n_repeats, n_runs, name = dataset.get("n_test_repeats"), dataset.get("n_runs"), dataset["name"]
    if split["test"] == "repeated" and n_repeats is not None and n_repeats < split["min_repeats"]:
        yield (
            f"tests pictures that were shown {split['min_repeats']} times (min_repeats), and {name!r} shows none more "
            f"than {n_repeats} times (n_test_repeats)"
        )
    if n_runs is None:
        return
    n_tested = {"run": 1, "runs": max(1, round(split["test_fraction"] * n_runs))}.get(split["test"], 0)
    n_left = n_runs - n_tested
    if n_left < 1:
        yield f"tests {n_tested} of the {n_runs} runs of {name!r} (n_runs) and leaves its subjects none to train on"
    elif split["val_fraction"] > 0 and (n_val := max(1, round(split["val_fraction"] * n_left))) >= n_left:
        yield (
            f"validates on {n_val} of the {n_left} runs that {name!r} has beside tested ones (val_fraction "
            f"{split['val_fraction']}) and leaves its subjects none to train on"
        )
