"""A first study of a data set: which response, feature, models and split, and why."""

from dataclasses import dataclass
from typing import Any

from boldflow.commands.check.check import Checked
from boldflow.commands.check.splits import SplitTrial
from boldflow.commands.new.entry import in_yaml
from boldflow.vocabulary.spaces import kind_of

FEATURE, MODELS, FIGURES = "gabor", ("ridge", "chance", "ridge-encoder"), ("leaderboard",)
METRIC = {"metric": "inv_norm_rank", "view": "image"}


@dataclass(frozen=True)
class Choice:
    """Value of a key of the study's row, and why."""

    value: Any
    reason: str


def text_of(name: str, checked: Checked) -> str:
    """Write the file of a first study of a data set."""
    row = {
        "datasets": Choice([name], ""),
        "subjects": Choice("all", f"{len(checked.looks)} in the entry"),
        "responses": _response(checked),
        "features": Choice([FEATURE], "needs no network and no GPU; config/config.yaml lists others"),
        "models": Choice(list(MODELS), "read the picture, guess it, and predict the brain"),
        "splits": _split(checked.splits),
    }
    lines = [
        f"# Written by `python -m boldflow new {name}`: a first study, to be changed. Run it with",
        f"# snakemake --profile cpu --config study={name}",
        f"title: {in_yaml(f'A first look at {name}')}",
        "description: >-",
        "  Ridge regression decodes Gabor features of the pictures from the responses, and predicts each vertex or",
        "  voxel from them.",
        f"primary: {in_yaml(METRIC)}  # 1 the best, 0.5 chance",
        "runs:",
    ]
    marks = iter(["  - ", *["    "] * len(row)])
    for (key, choice), mark in zip(row.items(), marks, strict=False):
        lines += [f"    # {choice.reason}"] if choice.reason and mark == "    " else []
        lines.append(f"{mark}{key}: {in_yaml(choice.value)}")
    return "\n".join([*lines, f"figures: {in_yaml(list(FIGURES))}"]) + "\n"


def best_split(splits: list[SplitTrial]) -> SplitTrial | None:
    """Choose the first split that the trials allow; they stand in the order of preference."""
    return next((split for split in splits if not split.refusal), None)


def _response(checked: Checked) -> Choice:
    space = checked.draft.entry["space"]
    reason = (
        f"volumes lie in {space}, in which fsaverage lies"
        if kind_of(space) == "MNI"
        else f"volumes lie in {space}, which has no way to fsaverage: voxels"
    )
    return Choice([checked.response.name], reason)


def _split(splits: list[SplitTrial]) -> Choice:
    split = best_split(splits)
    assert split is not None  # new refuses before
    passed_over = [f"{other.name} would not do: {other.refusal}" for other in splits if other.refusal]
    return Choice([split.name], "; ".join([split.text, *passed_over]))
