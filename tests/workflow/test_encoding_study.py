"""Stacks, banded ridge and win shares as the workflow plans them."""

import pytest


@pytest.fixture
def two_features(project):
    """The smallest study of encoders, of one subject."""
    project.edit("config/studies/encoding-tiny.yaml", "subjects: all", "subjects: [sub-01]")
    return project


def test_members_of_a_stack_are_made_once_and_encoders_are_compared_in_one_job(two_features):
    planned = two_features.planned("--config", "study=encoding-tiny")
    assert planned["cache_features"] == 3  # gabor, labels, and both joined
    assert planned["train_model"] == planned["score_model"] == 3
    assert planned["compare_encoders"] == 1 and planned["draw_figure"] == 7


def test_a_study_without_two_encoders_of_the_same_responses_compares_none(two_features):
    name = "config/studies/encoding-tiny.yaml"
    text = (two_features.folder / name).read_text()
    text = text.replace("features: [gabor, labels]", "features: [gabor]").replace("[banded-ridge]", "[ridge]")
    (two_features.folder / name).write_text(text)
    refused = two_features.snakemake("-n", "--config", "study=encoding-tiny", check=False)
    assert refused.returncode and "no job was started" in refused.stdout
    assert "'win-share' needs ['wins'], which no model of this study gives" in refused.stdout
    assert "'band-map' needs ['bands']" in refused.stdout and "'band-shares' needs ['bands']" in refused.stdout
    figures = text[text.index("figures:") :]
    (two_features.folder / name).write_text(text.replace(figures, "figures: [encoding-map, roi-summary]\n"))
    planned = two_features.planned("--nolock", "leaderboard", "--config", "study=encoding-tiny")
    assert "compare_encoders" not in planned and planned["collect_scores"] == 1


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("{plugin: stack}", "features.both: key 'of' is missing"),
        ("{plugin: stack, of: [gabor]}", "features.both.of: found ['gabor']"),
        ("{plugin: stack, of: [gabor, lables]}", "no feature 'lables'; did you mean 'labels'"),
        ("{plugin: stack, of: [gabor, both]}", "'both' joins features itself"),
    ],
)
def test_a_stack_that_cannot_be_stops_the_parse(project, entry, told):
    project.edit("config/config.yaml", "\nfeatures:\n", f"\nfeatures:\n  both: {entry}\n")
    refused = project.snakemake("-n", "--config", "study=demo-tiny", check=False)
    assert refused.returncode and told in refused.stdout
