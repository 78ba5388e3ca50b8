"""Which result a job is of, read once at the door of its stage."""

from dataclasses import fields

from boldflow.settings import read_settings
from boldflow.vocabulary.results import ResultKey

KEYS = [field.name for field in fields(ResultKey)]


def read_result(names: str) -> ResultKey:
    """Read the wildcards of a result, JSON text; others that the job has are left out."""
    wildcards = read_settings(names)
    return ResultKey(*(wildcards[key] for key in KEYS))
