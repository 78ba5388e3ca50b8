"""What an edit makes again, by dry runs in copies of a finished study."""

import re
import shutil

import pytest

STUDY = ("--config", "study=demo-tiny")
pytestmark = pytest.mark.end_to_end
# of four figures two draw from scores of decoders: leaderboard and retrieval-examples
LAST = {"collect_scores": 1, "collect_costs": 1, "draw_figure": 2, "write_report": 1}


@pytest.fixture
def copy(finished, tmp_path):
    return finished.again(tmp_path / "copy")


@pytest.mark.parametrize("seed", ["0", "1", "4321"])
def test_nothing_is_left_to_do_whatever_the_hash_seed(finished, seed):
    assert finished.planned(*STUDY, PYTHONHASHSEED=seed) == {}


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("src/boldflow/core/linear/folds.py", "BLOCK = 1024", "BLOCK = 1024  # another comment"),
        ("src/boldflow/stages/models/train_model.py", '"""Training of one model', '"""Teaching of one model'),
        (
            "src/boldflow/datasets/sim/__init__.py",
            '"""',
            '"""Said otherwise: ',
        ),
        ("workflow/rules/train.smk", "# Training. Needs:", "# Training needs:"),
        ("config/config.yaml", "# The catalogue", "# Our catalogue"),
    ],
)
def test_comments_and_docstrings_rerun_nothing(copy, path, old, new):
    text = (copy.folder / path).read_text()
    assert old in text
    (copy.folder / path).write_text(text.replace(old, new, 1))
    assert copy.planned(*STUDY) == {}


def test_an_edit_of_one_model_reruns_its_jobs_and_what_follows(copy):
    copy.edit("src/boldflow/models/dummy.py", "np.repeat(state", "1.0 * np.repeat(state")
    assert copy.planned(*STUDY) == {"train_model": 3, "score_model": 3, **LAST}


def test_an_edit_of_one_figure_reruns_that_figure_and_the_report(copy):
    file = copy.folder / "src/boldflow/figures/leaderboard/__init__.py"
    file.write_text(file.read_text() + "\nANOTHER = 1\n")
    assert copy.planned(*STUDY) == {"draw_figure": 1, "write_report": 1}


def test_an_edit_of_published_figures_collects_again_and_trains_nothing(copy):
    file = copy.folder / "config/published.csv"
    file.write_text(file.read_text().replace(",19.45,percent,", ",19.46,percent,", 1))
    assert copy.planned(*STUDY) == {"collect_scores": 1, "draw_figure": 1, "write_report": 1}


def test_a_setting_of_one_model_reruns_that_model_alone(copy):
    copy.edit("config/config.yaml", "ridge: {direction: decode}", "ridge: {direction: decode, n_folds: 4}")
    assert copy.planned(*STUDY) == {"train_model": 6, "score_model": 6, **LAST}


def test_a_setting_of_scoring_scores_again_and_trains_nothing(copy):
    copy.edit("config/config.yaml", "nearest: {permutations: 100}", "nearest: {permutations: 99}")
    assert copy.planned(*STUDY) == {"score_model": 3, **LAST}
    copy.edit("config/config.yaml", "dummy: {permutations: 0}", "dummy: {permutations: 0, protocol: published}")
    assert copy.planned(*STUDY) == {"score_model": 6, **LAST}


def test_a_new_model_is_one_file_and_one_line(copy):
    """The census of new jobs: a training and a score per subject, and what draws from them."""
    (copy.folder / "src/boldflow/models/mean.py").write_text(
        (copy.folder / "src/boldflow/models/dummy.py").read_text().replace("The mean of", "The plain mean of")
    )
    copy.edit("config/config.yaml", "  chance: {}\n", "  chance: {}\n  mean: {permutations: 0}\n")
    assert copy.planned(*STUDY) == {}, "a name in the catalogue alone asks for nothing"
    copy.edit("config/studies/demo-tiny.yaml", "models: [ridge, nearest,", "models: [ridge, mean, nearest,")
    assert copy.planned(*STUDY) == {"train_model": 3, "score_model": 3, **LAST}
    copy.snakemake("results/sim-tiny/sub-01/bold-4to10s-fsaverage5/gabor/mean/repeated/scores.parquet", *STUDY)


def test_a_new_data_set_is_one_package_and_one_line(copy):
    plugins = copy.folder / "src/boldflow/datasets"
    shutil.copytree(plugins / "sim", plugins / "mybrain")
    for path in (plugins / "mybrain").glob("*.py"):
        path.write_text(path.read_text().replace("boldflow.datasets.sim", "boldflow.datasets.mybrain"))
    copy.edit("config/config.yaml", "  haxby: {}\n", "  haxby: {}\n  mybrain: {}\n")
    assert copy.planned(*STUDY) == {}
    study = copy.folder / "config/studies/mine.yaml"
    study.write_text((copy.folder / "config/studies/demo-tiny.yaml").read_text().replace("[sim-tiny]", "[mybrain]"))
    jobs = copy.planned("--config", "study=mine")
    assert jobs["fetch_dataset"] == 1 and jobs["fetch_subject"] == 3 and jobs["train_model"] == 18


def test_one_rule_alone_can_be_made_again(copy):
    jobs = copy.planned("-R", "draw_figure", *STUDY)
    assert jobs == {"draw_figure": 4, "write_report": 1}


def test_dropped_content_names_the_command_that_brings_it_back(copy):
    """The content of one run goes; a job that needs it fails with the command, and the command mends it."""
    import json

    receipt = "resources/receipts/sim-tiny/sub-02/bold.json"
    note = json.loads((copy.folder / receipt).read_text())
    link = copy.folder / note["root"] / next(r["path"] for r in note["files"] if r["path"].endswith("bold.nii.gz"))
    key_folder = link.resolve().parent
    key_folder.chmod(0o755)
    shutil.rmtree(key_folder)
    target = "results/sim-tiny/sub-02/bold-4to10s-fsaverage5/responses.npy"
    failed = copy.snakemake("-f", target, *STUDY, check=False)
    assert failed.returncode == 1
    told = re.search(r"content absent: .*; run: snakemake (.*) --profile cpu$", failed.stdout, re.M)
    assert told and told[1].split() == [receipt, "-R", "fetch_subject"]
    copy.snakemake(*told[1].split())
    copy.snakemake(target, *STUDY)
