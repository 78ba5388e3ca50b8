"""Which tables a study has and where they are: paths written out by hand are the witness."""

import pytest
import yaml

from boldflow import catalogue, registry
from boldflow.planning import StudyTables
from boldflow.vocabulary.tables import TABLES, Trait
from tests.conftest import ROOT

CONFIG = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
SCHEMAS = registry.read_schemas(ROOT / "workflow" / "schemas")
CODES = {"label": "category", "class": "face"}
ROW = {"datasets": ["sim-tiny"], "responses": ["bold-4to10s-fsaverage5"], "splits": ["repeated"]}


def tables_of(*rows, **more):
    runs = [{**ROW, **row} for row in rows]
    study = {"name": "made", "figures": ["leaderboard"], "runs": runs, **more}
    return StudyTables(CONFIG, SCHEMAS, study, catalogue.expand(CONFIG, study))


def row(features, models, subjects=None, **more):
    return {"features": list(features), "models": list(models), "subjects": subjects or ["sub-01"], **more}


def folder(feature, model, subject="sub-01"):
    return f"results/sim-tiny/{subject}/bold-4to10s-fsaverage5/{feature}/{model}/repeated"


def test_maps_are_of_encoders_and_queries_of_decoders_of_embeddings():
    tables = tables_of(row(["gabor", "labels"], ["ridge"], ["sub-01"]), row(["gabor"], ["ridge-encoder"], ["sub-01"]))
    assert tables.paths("maps") == [f"{folder('gabor', 'ridge-encoder')}/map.parquet"]
    assert tables.paths("queries") == [f"{folder('gabor', 'ridge')}/queries.parquet"]
    assert tables.paths("leaderboard") == ["results/studies/made/leaderboard.parquet"]
    assert tables.paths("images") == ["results/sim-tiny/stimuli.h5", "results/sim-tiny/stimuli.parquet"]


def test_what_no_result_gives_has_no_file():
    tables = tables_of(row(["gabor"], ["ridge"], ["sub-01"]))
    empty = ("maps", "bands", "wins", "histories", "separations", "units", "matches", "meshes")
    assert {name: tables.paths(name) for name in empty} == {name: [] for name in empty}


def test_two_encoders_of_the_same_responses_are_rivals_and_those_of_two_subjects_are_not():
    alone = tables_of(row(["gabor"], ["ridge-encoder"], ["sub-01", "sub-02"]))
    both = tables_of(row(["gabor", "labels"], ["ridge-encoder"], ["sub-01"]))
    assert alone.paths("wins") == []
    assert both.paths("wins") == ["results/studies/made/win_shares.parquet"]


def test_only_encoders_of_a_stack_that_tell_bands_apart_have_bands():
    tables = tables_of(row(["gabor"], ["ridge-encoder"]), row(["gabor-and-labels"], ["ridge-encoder", "banded-ridge"]))
    assert tables.paths("bands") == [f"{folder('gabor-and-labels', 'banded-ridge')}/bands.parquet"]


def test_histories_are_of_models_that_learn_by_epochs_and_come_with_the_leaderboard():
    tables = tables_of(row(["gabor"], ["ridge", "fmri-mlp"]))
    histories, board = f"{folder('gabor', 'fmri-mlp')}/history.csv", "results/studies/made/leaderboard.parquet"
    assert tables.paths("histories") == [histories, board]


def test_codes_are_there_where_a_study_asks_them():
    rows = row(["none"], ["pca-32", "raw"], datasets=["sim-codes"], responses=["bold-4to10s-patches"])
    assert tables_of(rows).paths("embeddings") == []
    latents = "results/studies/made/latents/sim-codes/sub-01/bold-4to10s-patches/none"
    asked = tables_of(rows, latents={**CODES, "match": ["pca-32"]})
    assert asked.paths("embeddings") == [f"{latents}/{model}/repeated/embedding.parquet" for model in ("pca-32", "raw")]
    assert asked.paths("matches") == ["results/studies/made/matches.parquet"]
    assert tables_of(rows, latents=CODES).paths("matches") == []


def test_what_comes_before_models_is_each_subjects_own_where_they_are_pooled():
    tables = tables_of(row(["gabor"], ["ridge"], "pooled"))
    sidecar = "results/sim-tiny/{}/bold-4to10s-fsaverage5/responses.json"
    assert tables.paths("responses") == [sidecar.format(subject) for subject in ("sub-01", "sub-02", "sub-03")]
    assert tables.paths("queries") == [f"{folder('gabor', 'ridge', 'pooled')}/queries.parquet"]


def test_a_figure_and_the_report_get_what_they_name():
    tables = tables_of(row(["gabor"], ["ridge-encoder"]))
    assert list(tables.of_figure("encoding-map")) == ["maps", "meshes"]
    report = tables.of_report()
    assert report["figures"] == ["results/studies/made/figures/leaderboard.png"]
    assert set(report) >= {"leaderboard", "comparisons", "published", "costs", "receipts", "splits", "responses"}


NEEDED = {
    (section, name): registry.literal(section, name, "NEEDS")
    for section in ("figures", "report")
    for name in registry.plugins(section)
}


@pytest.mark.parametrize(("section", "name"), [key for key, needs in NEEDED.items() if needs])
def test_what_a_figure_or_a_section_needs_is_a_table(section, name):
    assert set(NEEDED[section, name]) <= set(TABLES)


def test_every_table_is_needed_and_every_trait_is_asked_for():
    assert {table for needs in NEEDED.values() for table in needs} == set(TABLES)
    assert {table.of for table in TABLES.values()} >= set(Trait) - {Trait.CLASSIFIES, Trait.REPRESENTS}
