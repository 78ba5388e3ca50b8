"""What is wrong with a catalogue or a study is told at parse, with what would be right."""

import pytest

from boldflow import catalogue, registry, validation
from boldflow.validation import responses
from boldflow.vocabulary.results import ResultKey
from tests.conftest import ROOT

SCHEMAS = registry.read_schemas(ROOT / "workflow" / "schemas")
STUDIES = {"sim": "demo"}  # where a study is not called by its data set


def problems_of_study(section, entry, dataset):
    """What is wrong with a study of one entry of a section, with the project's own catalogue."""
    import yaml
    from jsonschema import Draft202012Validator

    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    study = yaml.safe_load((ROOT / "config" / "studies" / f"{STUDIES.get(dataset, dataset)}.yaml").read_text())
    config[section]["mine"] = entry
    study["runs"][0][section] = ["mine"]
    found = validation.config_problems(config, SCHEMAS, Draft202012Validator)
    return found or validation.study_problems(config, study, SCHEMAS, Draft202012Validator)


def test_every_study_of_the_project_is_right_and_neuralbenchs_variants_have_its_models():
    import yaml
    from jsonschema import Draft202012Validator

    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    models = {}
    for path in sorted((ROOT / "config" / "studies").glob("*.yaml")):
        study = yaml.safe_load(path.read_text())
        assert validation.study_problems(config, study, SCHEMAS, Draft202012Validator) == [], path.name
        models[path.stem] = {one.model for one in catalogue.expand(config, study)}
    named = [name for name in models if name.startswith("neuralbench")]
    assert sorted(named) == ["neuralbench", "neuralbench-mni", "neuralbench-things", "neuralbench-tiny"]
    for name in named:
        wanted = {"fmri-mlp", "fmri-linear", "fmri-mlp-mended", "fmri-linear-mended", "ridge", "linear-contrastive"}
        assert wanted | {"dummy", "chance"} <= models[name], name


@pytest.mark.parametrize(
    ("split", "dataset", "words"),
    [
        ({"test": "named", "names": "test-5"}, "god", ["'mine'", "'test-5'", "'god'", "did you mean 'test-50'"]),
        ({"test": "named", "names": "test-50"}, "bold5000", ["'test-50'", "'bold5000'", "repeated-113"]),
        ({"test": "named"}, "god", ["names is None"]),
        ({"test": "named", "names": "test-50"}, "haxby", ["tests named pictures", "'haxby' has none"]),
        ({"test": "named", "names": "test-50", "concept": "^(n"}, "god", ["'^(n' is no regular expression"]),
        ({"test": "named", "names": "test-50", "concept": "^n"}, "god", ["one group in (), found 0"]),
        (
            {"test": "repeated", "windows_of": "bold-2to9"},
            "god",
            ["windows_of names 'bold-2to9'; did you mean"],
        ),
        ({"test": "runs", "test_fraction": 1.5}, "god", ["splits.mine.test_fraction: found 1.5"]),
    ],
)
def test_a_split_that_cannot_be_is_told_at_parse(split, dataset, words):
    told = problems_of_study("splits", split, dataset)
    assert told and all(word in told[0] for word in words), told


def test_a_split_that_can_be_has_no_problem():
    assert problems_of_study("splits", {"test": "named", "names": "test-50", "concept": "^(n[0-9]+)_"}, "god") == []


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"learning_rate": float("inf")}, ["models.mine.learning_rate: found inf, expected a finite number"]),
        ({"clip": float("nan")}, ["models.mine.clip: found nan, expected a finite number"]),
        ({"learning_rate": "1e-4"}, ["found '1e-4' (str), expected number (YAML reads this as text; write 1.0e-4)"]),
        ({"learning_rate": "1.5e3"}, ["(YAML reads this as text; write 1.5e+3)"]),
        ({"seeds": [33, -1]}, ["models.mine.seeds[1]: found -1"]),
        ({"seeds": [10**20]}, ["models.mine.seeds[0]: found 100000000000000000000"]),
        ({"seeds": 33}, ["models.mine.seeds: found 33 (int), expected a list"]),
        ({"batch_size": 1}, ["models.mine.batch_size: found 1"]),
        ({"direction": "encode"}, ["'bold-2to9s-fsaverage5-trs' keeps time", "'mine' is of direction 'encode'"]),
    ],
)
def test_a_network_that_cannot_be_trained_is_told_at_parse(entry, words):
    told = problems_of_study("models", {"plugin": "fmri_mlp"} | entry, "neuralbench-tiny")
    assert len(told) == 1 and all(word in told[0] for word in words), told


@pytest.mark.parametrize(
    ("figure", "entry", "words"),
    [
        (
            "retrieval-examples",
            {"model": "fmri-mpl"},
            "model: this study has no model 'fmri-mpl'; did you mean 'fmri-mlp'",
        ),
        ("learning-curves", {"models": ["fmri-mlp", "ridg"]}, "models: this study has no model 'ridg'; did you mean"),
        (
            "leaderboard",
            {"subjects": ["sub-01", "sub-09"]},
            "subjects: this study has no subject 'sub-09'; did you mean",
        ),
    ],
)
def test_names_that_a_figure_cannot_find_are_told_at_parse(figure, entry, words):
    import yaml
    from jsonschema import Draft202012Validator

    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    study = yaml.safe_load((ROOT / "config" / "studies" / "neuralbench-tiny.yaml").read_text())
    config["figures"][figure] = entry
    (told,) = validation.study_problems(config, study, SCHEMAS, Draft202012Validator)
    assert told.startswith(f"figures.{figure}.{words}")


def test_a_subject_that_the_plugin_does_not_know_is_told_with_the_nearest():
    import yaml
    from jsonschema import Draft202012Validator

    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    config["datasets"] |= {"mine": {"plugin": "nsd", "subjects": ["subj01", "subj09"]}}
    (told,) = validation.config_problems(config, SCHEMAS, Draft202012Validator)
    assert told.startswith("datasets.mine.subjects[1]: no subject 'subj09'; did you mean 'subj0")


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"method": "lsa", "hrf": "library", "split": "repeated"}, "hrf: library is for method blup"),
        ({"method": "blup", "ridge": [1.0]}, "ridge [1.0] is for method lsa, all trials at once; blup finds its"),
        ({"hrf": "library"}, "key 'method' is missing, which kind glm needs: blup, lss or lsa"),
        ({"method": "lss", "hrf": "table", "hrf_table": "x.tsv"}, "key 'split' is missing"),
        ({"method": "lsa", "ridge": [1.0, 2.0]}, "key 'split' is missing"),
        ({"method": "blup"}, None),  # label-free: it needs no split, and may have one
        ({"method": "blup", "hrf": "library", "split": "repeated"}, None),
        ({"method": "blup", "hrf": "table", "hrf_table": "x.tsv"}, None),
    ],
)
def test_a_linear_model_that_cannot_be_is_told_with_its_remedy(entry, words):
    problems = responses.glm_problems("responses.mine", {"kind": "glm", **entry})
    assert [problem for problem in problems if words is None or words not in problem] == []
    assert bool(problems) == (words is not None)


def test_a_response_of_a_split_that_is_not_there_is_told_with_the_nearest():
    import yaml

    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    name = next(name for name, one in config["responses"].items() if (one or {}).get("split") == "repeated")
    entry = config["responses"][name] | {"split": "repeted"}
    result = ResultKey("sim-rapid", "sub-01", name, "labels", "ridge", "repeated")
    data = catalogue.dataset_facts(config, "sim-rapid")
    told = list(responses.response_problems(config, result, entry, config["splits"]["repeated"], "decode", data))
    assert any("'repeted', which is not in the catalogue; did you mean 'repeated'" in one for one in told), told


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("{subjects}/lh.V1.label", "placeholder 'subjects'; did you mean 'subject'? there are: hemisphere, subject"),
        ("lh.V1.csv", "no file that gives a region: names end in .label, .annot, .mgh, .mgz, .gii, .nii, .nii.gz"),
        ("lh.aparc.annot", "must name a region of the annotation after a colon, such as lh.aparc.annot:cuneus"),
        ("lh.V1.label:3", "chooses '3', and a label is one region; leave out the colon"),
        ("lh.rois.mgz:V1", "chooses 'V1', expected a whole number"),
        ("V1.nii.gz:1.5", "chooses '1.5', expected a whole number"),
        ("{hemisphere}/rh.V1.label", "is told to be of lh and rh; path and name must agree"),
        ("V1.mgz", "does not tell its hemisphere: its name must hold lh. or rh."),
        ("lh/V1.mgz", "does not tell its hemisphere"),
        ("sulh.V1.mgz", "does not tell its hemisphere"),
    ],
)
def test_a_file_that_cannot_give_a_region_is_told_at_parse(file, words):
    told = problems_of_study("responses", {"region_files": {"V1": [file]}}, "sim")
    assert told and told[0].startswith(f"responses.mine.region_files.V1: {file!r} ") and words in told[0], told


def test_regions_of_files_are_checked_by_their_schema_and_space():
    for files, words in (
        ({"V 1": ["lh.V1.label"]}, "responses.mine.region_files: "),
        ({"V1": []}, "responses.mine.region_files.V1: "),
        ({"V1": "lh.V1.label"}, "responses.mine.region_files.V1: found 'lh.V1.label' (str), expected a list"),
    ):
        assert words in problems_of_study("responses", {"region_files": files}, "sim")[0]
    told = problems_of_study("responses", {"space": "native", "region_files": {"V1": ["lh.V1.mgz"]}}, "god")
    assert "lies on a surface, and the response is in space 'native', voxels" in told[0]
    assert problems_of_study("responses", {"region_files": {"V1": ["{hemisphere}.V1.mgz", "V1.nii"]}}, "sim") == []


ON_FSAVERAGE = {"kind": "betas", "recording": "betas-fsaverage"}


@pytest.mark.parametrize(
    ("response", "dataset", "words"),
    [
        ({"space": "native"}, "bold5000", ["space 'native', which recording 'bold-fsnative'", "comes in ['fsnative']"]),
        ({"recording": "bold-T1w"}, "bold5000", ["space 'fsaverage5', which recording 'bold-T1w'", "in ['native']"]),
        ({"space": "native", "resampling": "nearest"}, "god", ["names resampling 'nearest'", "comes in ['native']"]),
        ({"resampling": "linear"}, "bold5000", ["'linear' is not known", "barycentric"]),
        ({"sampling": "line"}, "bold5000", ["names sampling 'line', which is for volumes in MNI", "in ['fsnative']"]),
        (
            {"split": "repeated"},
            "bold5000",
            ["of split 'repeated', and is used with split 'repeated-113"],
        ),
        ({"split": "leave-one-run-out", "space": "native"}, "haxby", ["whose folds train on different ones"]),
        ({"split": "repeated-113", "confounds": ["motion24"], "high_pass_hz": 0.01}, "bold5000", []),
        ({"confounds": ["motion"]}, "bold5000", ["responses.mine.confounds[0]: 'motion' is not known", "motion24"]),
        ({"radius_mm": 2}, "sim", ["names radius_mm, which is for sampling line"]),
        ({"space": "fsaverage6"}, "bold5000", ["mesh is not inside: set mesh_folder", "holds fsaverage6/surf"]),
        ({"space": "fsaverage7", "mesh_folder": "/subjects", "resampling": "average"}, "bold5000", []),
        ({"recording": "bold-T1w", "space": "native"}, "bold5000", []),
        ({"resampling": "subset"}, "bold5000", ["resampling 'subset', expected one of ['barycentric'", "['fsnative']"]),
        ({**ON_FSAVERAGE, "resampling": "nearest"}, "nsd", ["'nearest', expected one of ['subset', 'average']"]),
        ({**ON_FSAVERAGE, "resampling": "average"}, "nsd", ["averages over vertices of fsaverage", "mesh_folder"]),
        ({**ON_FSAVERAGE, "resampling": "average", "mesh_folder": "/subjects"}, "nsd", []),
        ({**ON_FSAVERAGE, "space": "fsaverage7"}, "nsd", []),
        ({**ON_FSAVERAGE, "space": "native"}, "nsd", ["space 'native', which recording 'betas-fsaverage'"]),
    ],
)
def test_a_response_that_a_recording_cannot_give_is_told_at_parse(response, dataset, words):
    told = problems_of_study("responses", response, dataset)
    assert len(told) == bool(words)
    assert all(word in told[0] for word in words)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"reference": {"model": "ridg"}}, ["reference.model: no model 'ridg'", "did you mean 'ridge'"]),
        ({"reference": {"model": "ridge", "feature": "gabr"}}, ["reference.feature: no feature 'gabr'", "'gabor'"]),
        ({"reference": {"model": "ridge-encoder"}}, ["reference.model: no model 'ridge-encoder'", "inv_norm_rank"]),
        ({"reference": {"feature": "gabor"}}, ["reference: key 'model' is missing"]),
        ({"reference": {"model": "ridge"}, "more": "fsaverage"}, ["means 2 models of sim", "add the key"]),
        (
            {"primary": {"metric": "explained_share", "view": "image"}, "split": "leave-run"},
            ["'explained_share' is not"],
        ),
    ],
)
def test_a_reference_or_a_primary_metric_by_which_nothing_can_be_compared_is_told_at_parse(changed, words):
    problems = problems_of_demo(**changed)
    assert len(problems) == 1 and all(word in problems[0] for word in words), problems


@pytest.mark.parametrize(
    "changed",
    [{"reference": {"model": "ridge"}}, {"reference": {"model": "ridge", "feature": "gabor"}, "more": "fsaverage"}],
)
def test_a_reference_that_means_one_model_has_no_problem(changed):
    assert problems_of_demo(**changed) == []


def problems_of_demo(more="", split="", **changed):
    """Check the demo with changed keys, and with a second feature or another split."""
    import yaml
    from jsonschema import Draft202012Validator

    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    study = yaml.safe_load((ROOT / "config" / "studies" / "demo.yaml").read_text()) | changed
    if more:
        config["features"]["other-gabor"] = {"plugin": "gabor"}
        study["runs"][0]["features"].append("other-gabor")
    if split:
        config["splits"]["leave-run"] = {"test": "run"}
        for row in study["runs"]:
            row["splits"] = ["leave-run"]
    return validation.study_problems(config, study, SCHEMAS, Draft202012Validator)
