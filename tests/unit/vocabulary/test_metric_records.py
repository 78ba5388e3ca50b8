"""The records of metrics agree with what is scored and with the schema of a study."""

import json
from pathlib import Path

import pytest

from boldflow import registry
from boldflow.vocabulary import metrics

SCHEMAS = Path(registry.__file__).parents[2] / "workflow" / "schemas"
OF_RESULTS = ("embedding", "classes", "encode", "represent")


def test_a_study_may_name_as_primary_what_a_result_has_and_what_has_an_order():
    study = json.loads((SCHEMAS / "study.schema.json").read_text())
    named = study["properties"]["primary"]["properties"]["metric"]["enum"]
    ordered = {name for kind in OF_RESULTS for name in metrics.of_kind(kind) if metrics.has_order(name)}
    assert set(named) == ordered and len(named) == len(set(named))


def test_lower_is_better_of_errors_and_ranks_alone():
    lower = {name for name in metrics.METRICS if metrics.lower_is_better(name)}
    assert lower == {"mse", "mean_rank", "median_rank"}
    assert {name for name in metrics.METRICS if metrics.digits(name) == 2} == {"mean_rank", "median_rank", "sd_rank"}


def test_an_unknown_metric_is_named_beside_those_there_are():
    assert metrics.of_kind("no kind") == () and metrics.label("val_loss") == "val_loss"
    with pytest.raises(ValueError, match=r"no metric is called 'top3'; there are: top1, "):
        metrics.lower_is_better("top3")
