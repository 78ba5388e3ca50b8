"""``why`` names planted changes, ``verify`` tells a changed table, module and setting apart, in finished copies."""

import json
import os
import re

import pytest

from tests.made import forked

pytestmark = pytest.mark.end_to_end
STUDY = ("--config", "study=demo-tiny")
FOLDER = "results/studies/demo-tiny"
FIGURE = f"{FOLDER}/figures/leaderboard"
PREDICTIONS = "results/sim-tiny/sub-02/bold-4to10s-fsaverage5/gabor/ridge/repeated/predictions.npy"
RECEIPT = "resources/receipts/sim-tiny/sub-01/bold.json"


def command(project, *arguments, code=0):
    """Run a command of the copy, see its exit code and that nothing was written but Snakemake's own notes."""
    before = times(project)
    environment = {**os.environ, "PYTHONPATH": str(project.folder / "src")}
    done = forked.run("boldflow", arguments, project.folder, environment, apart=True)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert times(project) == before, "a command started a job"
    return done.stdout


def times(project):
    places = ("results", "resources", "logs", "benchmarks")
    files = [path for place in places for path in (project.folder / place).rglob("*") if path.is_file()]
    return {path: path.stat().st_mtime_ns for path in files}


def append(project, path, text="\nANOTHER = 1\n"):
    with (project.folder / path).open("a") as file:
        file.write(text)


def change_table(project, path, keep_time=False):
    """Change one number of a Parquet table and leave its note as it is."""
    from boldflow.artifacts.store import tables

    file = project.folder / path
    was = file.stat()
    table, note = tables.read(file), tables.sidecar(file)
    column = next(name for name in table if table[name].dtype.kind == "f" and table[name].notna().any())
    table.loc[table[column].notna(), column] += 0.25
    tables.write(file, table, note)
    if keep_time:
        os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))


@pytest.fixture
def copy(finished, tmp_path):
    return finished.again(tmp_path / "copy")


def reruns(text):
    """Jobs by rule as ``why`` counts them."""
    lines = text[text.index("would rerun:") :].splitlines()[1:]
    return {words[0]: int(words[1]) for words in map(str.split, lines) if len(words) > 1 and words[1].isdigit()}


@pytest.mark.parametrize("target", [(), ("scores",), (f"{FIGURE}.pdf",)])
def test_why_says_that_nothing_changed(finished, target):
    text = command(finished, "why", *target, *STUDY)
    assert "nothing would rerun" in text and "no setting, module, input file or output changed" in text


def test_why_names_a_setting_with_both_values(copy):
    copy.edit("config/config.yaml", "ridge: {direction: decode}", "ridge: {direction: decode, n_folds: 4}")
    text = command(copy, "why", *STUDY)
    assert "  setting n_folds of ridge: 5 -> 4\n      train_model (6): " in text
    assert text.count("setting ") == 1 and "module " not in text and "file " not in text
    assert reruns(text) == copy.planned(*STUDY)


@pytest.mark.parametrize(("module", "jobs"), [("models/dummy", 3), ("figures/encoding_map", None)])
def test_why_names_an_edited_module_of_a_model_or_of_core(copy, module, jobs):
    append(copy, f"src/boldflow/{module}.py")
    text = command(copy, "why", *STUDY)
    assert f"  boldflow.{module.replace('/', '.')}:ANOTHER is used now and was not\n" in text
    assert text.count("boldflow.") == 1 and "setting " not in text and "file " not in text
    assert reruns(text) == copy.planned(*STUDY)
    assert jobs is None or reruns(text)["train_model"] == jobs


def test_why_names_a_deleted_file_and_whether_it_matters(copy):
    (copy.folder / PREDICTIONS).unlink()
    text = command(copy, "why", PREDICTIONS, *STUDY)
    assert f"  {PREDICTIONS} is missing\n" in text and reruns(text) == {"train_model": 1}
    whole = command(copy, "why", *STUDY)
    assert "nothing would rerun" in whole and f"  {PREDICTIONS} is missing\n" in whole
    assert copy.planned(*STUDY) == {}


def test_why_names_a_receipt_with_another_commit(copy):
    file = copy.folder / RECEIPT
    note = json.loads(file.read_text())
    file.write_text(json.dumps({**note, "commit": "f" * 40}))
    text = command(copy, "why", *STUDY)
    assert f"  file {RECEIPT} changed: SHA-256 " in text and "the receipt now says commit ffffffffffff" in text
    assert "setting " not in text and "module " not in text
    assert reruns(text) == copy.planned(*STUDY)


def test_why_names_an_edited_adapter_and_a_study_without_a_model(copy):
    append(copy, "workflow/scripts/draw_figure.py", "# another\n")
    assert "nothing would rerun" in command(copy, "why", *STUDY) and copy.planned(*STUDY) == {}
    copy.edit("workflow/scripts/draw_figure.py", "pdf=snakemake.output.pdf", "pdf=str(snakemake.output.pdf)")
    text = command(copy, "why", *STUDY)
    assert "  adapter draw_figure changed\n" in text and reruns(text) == {"draw_figure": 4, "write_report": 1}
    copy.edit("config/studies/demo-tiny.yaml", " dummy,", "")
    text = command(copy, "why", *STUDY)
    assert "  collect_scores no longer reads: " in text
    assert "of demo-tiny: " in text and reruns(text) == copy.planned(*STUDY)


def test_a_broken_config_is_the_cause_and_no_traceback(copy):
    append(copy, "config/config.yaml", "\nmodels: [\n")
    assert "is not YAML" in command(copy, "why", *STUDY, code=2)
    text = command(copy, "verify", f"{FIGURE}.pdf", code=2)
    assert "cannot be said" in text and "is not YAML" in text and "settings: {" in text
    append(copy, "src/boldflow/figures/leaderboard/__init__.py")
    text = command(copy, "verify", f"{FIGURE}.pdf", code=1)
    assert "  boldflow.figures.leaderboard:ANOTHER is used now and was not\n" in text and "is not YAML" in text


def test_an_unknown_target_is_refused(finished):
    assert "nonsense: no stage and no file is called so" in command(finished, "why", "nonsense", *STUDY, code=2)
    assert "no such file" in command(finished, "verify", "nonsense.pdf", code=2)


FILES = [
    *[f"{FIGURE}{suffix}" for suffix in (".pdf", ".svg", ".png", ".csv")],
    f"{FOLDER}/figures/encoding-map.pdf",
    f"{FOLDER}/leaderboard.parquet",
    f"{FOLDER}/leaderboard.csv",
    f"{FOLDER}/report/index.html",
    PREDICTIONS,
]


@pytest.mark.parametrize("file", FILES)
def test_verify_says_what_made_a_file_and_that_it_would_be_the_same(finished, file):
    commit = json.loads((finished.folder / "resources/receipts/sim-tiny/dataset.json").read_text())["commit"]
    text = command(finished, "verify", file)
    assert text.endswith("\nwould be the same\n")
    assert f"data: sim-tiny at commit {commit}" in text and "settings: " in text and "modules of rule" in text


def plant_table(project, keep_time):
    change_table(project, f"{FOLDER}/leaderboard.parquet", keep_time)


def plant_module(project, keep_time):
    append(project, "src/boldflow/figures/leaderboard/__init__.py")


def plant_setting(project, keep_time):
    project.edit("config/config.yaml", "\n  leaderboard: {}\n", "\n  leaderboard: {rois: [V1]}\n")


PLANTED = {
    "table": (plant_table, f"  table {FOLDER}/leaderboard.parquet changed: SHA-256 "),
    "module": (plant_module, "  boldflow.figures.leaderboard:ANOTHER is used now and was not\n"),
    "setting": (plant_setting, '  setting rois of leaderboard: [] -> ["V1"]\n'),
}
# each change by one kind of file, and all by another: how a file tells what made it is a matter of its kind alone
SEEN_BY = [(".pdf", "table"), (".pdf", "module"), (".pdf", "setting")]
SEEN_BY += [(".svg", "setting"), (".png", "module"), (".csv", "table")]


@pytest.mark.parametrize(("suffix", "what"), SEEN_BY)
def test_verify_tells_a_changed_table_module_and_setting_apart(copy, suffix, what):
    plant, words = PLANTED[what]
    plant(copy, keep_time=suffix == ".pdf")
    text = command(copy, "verify", f"{FIGURE}{suffix}", code=1)
    assert words in text
    assert text.endswith(f"would differ: changed {what}\n")


def test_verify_walks_back_to_what_upstream_results_were_made_from(copy):
    append(copy, "src/boldflow/models/dummy.py")
    copy.edit("config/config.yaml", "ridge: {direction: decode}", "ridge: {direction: decode, n_folds: 4}")
    for file in (f"{FIGURE}.png", f"{FOLDER}/leaderboard.parquet", f"{FOLDER}/report/index.html"):
        text = command(copy, "verify", file, code=1)
        assert re.search(
            r"\n  boldflow.models.dummy:ANOTHER is used now and was not  \(upstream: .*train_model 3\)\n", text
        )
        assert "  setting n_folds of ridge: 5 -> 4  (upstream: train_model 6)\n" in text
        assert text.endswith("would differ: changed setting, changed module\n")
    command(copy, "verify", PREDICTIONS.replace("/gabor/ridge/", "/gabor/chance/"), code=0)


def test_verify_sees_a_table_that_was_changed_itself_and_not_one_that_was_touched(copy):
    file = f"{FOLDER}/leaderboard.parquet"
    os.utime(copy.folder / file)
    command(copy, "verify", file, code=0)
    change_table(copy, file)
    assert command(copy, "verify", file, code=1).endswith("would differ: changed table\n")


def test_verify_without_records_cannot_say_and_names_why(copy):
    import shutil

    shutil.rmtree(copy.folder / ".snakemake" / "metadata")
    text = command(copy, "verify", f"{FIGURE}.svg", code=2)
    assert "Snakemake has no record" in text and "settings: {" in text
    append(copy, "src/boldflow/models/dummy.py")
    text = command(copy, "verify", f"{FIGURE}.svg", code=1)
    assert re.search(
        r"\n  boldflow.models.dummy:ANOTHER is used now and was not  \(upstream: .*train_model 3\)\n", text
    )
