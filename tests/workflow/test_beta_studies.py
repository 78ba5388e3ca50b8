"""Studies of single-trial betas as the workflow plans them: by the linear model, and NSD's flat maps."""

FLAT = """title: Flat maps
primary: {metric: r, view: image}
runs:
  - {datasets: [nsd-flat], subjects: [subj01], responses: [flat-maps], features: [gabor], models: [ridge-encoder],
     splits: [shared-1000]}
figures: [leaderboard]
"""


def test_betas_by_the_linear_model_are_made_once_each_and_their_choices_wait_for_the_split(project):
    planned = project.planned("--config", "study=glm-tiny")
    assert planned["fetch_subject"] == 2 and planned["project_responses"] == 10 and planned["make_split"] == 1
    assert planned["train_model"] == planned["score_model"] == 20
    alone = project.planned(
        "--nolock", "results/sim-rapid/sub-01/glm-lss-fsaverage5/responses.npy", "--config", "study=glm-tiny"
    )
    assert "make_split" not in alone, "what chooses nothing needs no split"


def test_flat_maps_of_nsd_are_planned_before_anything_is_there(project):
    (project.folder / "config/studies/flat.yaml").write_text(FLAT)
    planned = project.planned("--config", "study=flat")
    assert planned["fetch_subject"] == planned["project_responses"] == planned["train_model"] == 1
