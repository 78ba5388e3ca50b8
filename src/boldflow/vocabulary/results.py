"""What names a result, and the names that stand where there is no subject, response or feature, or several subjects."""

from dataclasses import dataclass

REFITTED = "jackknife over folds, with refits"  # how an interval over folds is made
NONE = "none"  # in the place of a subject, a response or a feature: no entry, and no file
POOLED = "pooled"  # in a subject's place: one model that learns from all subjects of the data set


@dataclass(frozen=True, order=True)
class ResultKey:
    """What names a result, one trained and scored model: the wildcards of its folder, in the order of the path."""

    dataset: str
    subject: str
    response: str
    feature: str
    model: str
    split: str


def pooled_name(model: str) -> str:
    """Name the model that learnt from all subjects, in tables: no entry of the catalogue can have such a name."""
    return f"{model} ({POOLED})"
