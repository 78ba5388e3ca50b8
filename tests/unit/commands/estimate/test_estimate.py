"""What a study costs, from jobs that are written here, against numbers that are worked out here."""

import json
import os
import subprocess

import pytest

from boldflow import registry
from boldflow.commands.estimate import costs, estimate, sizes
from boldflow.commands.plan import Job
from tests.made.features import entry

FACTS = {"stimuli_inside": False, "stimuli_from": "ask the authors"}
ENTRY = {"name": "bold5000", "plugin": "bold5000"}
NAMES = {
    "dataset": "bold5000",
    "subject": "sub-CSI4",
    "response": "r",
    "feature": "gabor",
    "model": "ridge",
    "split": "s",
}
T1W_BYTES = 12_582_457_677  # sub-CSI4, bold-T1w, of annex keys in the tree
TRIALS, VOXELS, GABOR = 3108, 70 * 89 * 70, 400


def job(rule, runs=True, **params):
    labels = {
        "fetch_dataset": ["dataset"], "fetch_stimuli": ["dataset"], "fetch_subject": ["dataset", "subject"],
        "list_trials": ["dataset", "subject"], "make_split": ["dataset", "split"], "write_report": [],
        "cache_features": ["dataset", "feature"], "project_responses": ["dataset", "subject", "response"],
    }.get(rule, list(NAMES))  # fmt: skip
    wildcards = {name: NAMES[name] for name in labels} | ({} if labels else {"study": "mine"})
    if rule == "fetch_subject":
        wildcards["recording"] = "bold-T1w"
    if rule in ("train_model", "score_model"):
        params = {"subjects": [NAMES["subject"]]} | params
    return Job(
        rule,
        wildcards,
        [],
        [],
        {k: json.dumps(v) if k != "recording" else v for k, v in params.items()},
        runs,
    )


def jobs(runs=True, space="native", average=True, model="ridge", split=None, seeds=(0,)):
    settings = {"space": space, "duration_s": 6.0, "average": average}
    gabor = {"name": "gabor", **defaults("features", "gabor")}
    return [
        job("fetch_dataset", runs, settings=ENTRY),
        job("fetch_stimuli", runs, settings=ENTRY, pictures={}, facts=FACTS),
        job("fetch_subject", runs, settings=ENTRY),
        job("list_trials", runs),
        job("make_split", runs, settings=split or {"test": "named"}),
        job("cache_features", runs, settings=gabor | {"plugin": "gabor"}),
        job("project_responses", runs, settings=settings, recording="bold-T1w", facts=FACTS | {"tr_s": 2.0}),
        job("train_model", runs, settings={"plugin": model, "direction": "decode", "seeds": list(seeds)}),
        job("score_model", runs),
        job("write_report", runs),
    ]


def defaults(section, plugin):
    keys = registry.literal(section, plugin, "SETTINGS")
    return {key: schema["default"] for key, schema in keys.items() if "default" in schema}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def row(estimated, stage, subject="sub-CSI4"):
    return estimated.rows["bold5000", subject, stage]


def test_each_stage_costs_what_its_arrays_hold():
    estimated = costs.cost_of(jobs())
    assert row(estimated, "fetch").fetch == T1W_BYTES
    assert row(estimated, "fetch", "shared") == costs.Cost(160_000_000, 0, 1_000_000_000, 2)
    assert row(estimated, "responses").keep == TRIALS * VOXELS * 4
    assert row(estimated, "features", "shared").keep == 4916 * GABOR * 4
    assert row(estimated, "models").keep == VOXELS * GABOR * 4 + TRIALS * GABOR * 4
    # a run of 194 volumes and windows of 3 are in memory
    assert row(estimated, "responses").memory > 4 * VOXELS * 194 + 4 * TRIALS * VOXELS * 3
    assert estimated.rows["", "", "figures, report"].jobs == 1
    assert estimated.total.jobs == 10 and estimated.total.fetch == T1W_BYTES + 160_000_000


def test_a_network_costs_its_checkpoint_and_a_shard_its_share_until_all_are_joined(folder):
    settings = entry("dinov2", "giant", weights="pretrained", checkpoint="facebook/dinov2-giant", shards=3)
    listed = [*jobs(), job("cache_features", settings=settings)]
    listed[-1].wildcards["feature"] = "giant"
    fetch = Job("fetch_checkpoint", {"feature": "giant"}, [], [], {"settings": json.dumps(settings)}, True)
    names = {"dataset": "bold5000", "feature": "giant", "shard": "1-of-3"}
    shard = Job("extract_shard", names, [], [], {"settings": json.dumps(settings)}, True)
    before = costs.cost_of(jobs())
    estimated = costs.cost_of([*listed, fetch, shard])
    assert estimated.rows["", "", "fetch"].fetch == 4_546_006_416
    more = row(estimated, "features", "shared").keep - row(before, "features", "shared").keep
    assert more == 4916 * 1536 * 4 + 4916 * 1536 * 4 // 3
    assert row(estimated, "features", "shared").memory > 2 * 4_546_006_416
    arrived = folder / "resources/checkpoints/facebook--dinov2-giant@611a9d42f233"
    arrived.mkdir(parents=True)
    (arrived / "model.safetensors").write_bytes(b"x" * 6_416)
    assert costs.cost_of([*listed, fetch]).rows["", "", "fetch"].fetch == 4_546_000_000


def test_a_checkpoint_of_unknown_size_is_told(monkeypatch):
    settings = entry("hf_vision", "mine", weights="pretrained", checkpoint="mine/net", revision="0" * 40)
    fetch = Job("fetch_checkpoint", {"feature": "mine"}, [], [], {"settings": json.dumps(settings)}, True)
    text, _ = written(monkeypatch, [*jobs(), fetch], 10**13)
    assert "size not known, not counted: checkpoint mine/net" in text


def test_surfaces_kept_time_seeds_folds_and_models_count():
    surface = costs.cost_of(jobs(space="fsaverage5", average=False))
    assert row(surface, "responses").keep == TRIALS * 20_484 * 3 * 4
    twice = row(costs.cost_of(jobs(seeds=(0, 1))), "models").keep
    assert twice == 2 * row(costs.cost_of(jobs()), "models").keep
    folds = row(costs.cost_of(jobs(split={"test": "run"})), "models").keep
    assert folds == 84 * VOXELS * GABOR * 4 + TRIALS * GABOR * 4
    assert row(costs.cost_of(jobs(model="dummy")), "models").keep < twice / 10
    assert row(costs.cost_of(jobs(model="nearest")), "models").keep > TRIALS * VOXELS * 4


def test_what_is_there_is_not_counted_again(folder):
    done = jobs(runs=False)
    assert costs.cost_of(done).total == costs.Cost()
    part = [*jobs(runs=False)[:2], *jobs()[2:]]
    assert costs.cost_of(part).total.fetch == T1W_BYTES


def test_content_that_arrived_before_an_interruption_is_not_fetched_again(folder):
    clone = folder / "resources/clones/bold5000"
    here = clone / "derivatives/fmriprep/sub-CSI4/ses-01/func"
    here.mkdir(parents=True)
    stem = "sub-CSI4_ses-01_task-5000scenes_run-01_bold"
    for number, kind in enumerate(("space-T1w_preproc.nii.gz", "space-T1w_brainmask.nii.gz")):
        (here / f"{stem}_{kind}").symlink_to(f"../../../../../.git/annex/{number}")
    (here / f"{stem}_confounds.tsv").write_text("CSF\n")
    masks = clone / "derivatives/spm/sub-CSI4"
    masks.mkdir(parents=True)
    (masks / "sub-CSI4_mask-LHLO.nii.gz").symlink_to("../../../.git/annex/2")
    content = clone / ".git/annex"
    content.mkdir(parents=True)
    (content / "0").write_bytes(b"x" * 5_000_000)  # of the other two, only the links are there
    estimated = costs.cost_of(jobs())
    assert row(estimated, "fetch").fetch == T1W_BYTES - 5_000_000
    assert row(estimated, "fetch", "shared").fetch == 0  # cloned


def written(monkeypatch, listed, free, colour=False):
    monkeypatch.setattr(estimate.plan, "ask", lambda targets, config: listed)
    monkeypatch.setattr(estimate, "free_at", lambda place: free)
    monkeypatch.setattr(estimate, "memory_here", lambda: 10**12)
    return estimate.estimate([], colour)


def test_what_fits_and_what_does_not_is_said_by_words_and_by_exit_code(monkeypatch):
    text, code = written(monkeypatch, jobs(), 10**12)
    assert code == 0 and "1000.00 GB free: fits" in text and "NOT" not in text
    assert "study mine" in text and "the pictures of bold5000 are yours to bring" in text and "ask the authors" in text
    assert "recording" not in text
    text, code = written(monkeypatch, jobs(), 10**10)
    assert code == 1 and "10.00 GB free: WILL NOT FIT" in text and "\033" not in text
    text, code = written(monkeypatch, jobs(), 10**10, colour=True)
    (line,) = [line for line in text.splitlines() if "WILL NOT FIT" in line]
    assert line.startswith("\033[31m") and line.endswith("GB short\033[0m")


def test_a_stage_that_needs_more_memory_than_there_is_stands_in_red(monkeypatch):
    monkeypatch.setattr(estimate.plan, "ask", lambda targets, config: jobs())
    monkeypatch.setattr(estimate, "memory_here", lambda: 3 * 10**9)
    monkeypatch.setattr(estimate, "free_at", lambda place: 10**12)
    text, code = estimate.estimate([], colour=True)
    red = [line for line in text.splitlines() if line.startswith("\033[31m")]
    assert code == 0 and red and all("more than this machine has" in line for line in red)
    assert any("responses" in line for line in red) and not any(" fetch " in line for line in red)


def test_numbers_that_nobody_counted_are_marked(monkeypatch):
    entry = {"name": "nod", "plugin": "nod", "tasks": ["imagenet", "coco"]}
    names = {"dataset": "nod", "subject": "sub-01", "recording": "bold-T1w"}
    listed = [
        Job("fetch_dataset", {"dataset": "nod"}, [], [], {"settings": json.dumps(entry)}, True),
        Job("fetch_subject", names, [], [], {"settings": json.dumps(entry)}, True),
    ]
    text, _ = written(monkeypatch, listed, 10**13)
    assert "~10.20" in text and "~ not counted in the data's own tree: nod" in text


def test_a_recording_that_cannot_be_read_yet_is_said(monkeypatch):
    listed = jobs()
    project = next(listed_job for listed_job in listed if listed_job.rule == "project_responses")
    project.params["recording"] = "bold-fsnative"
    monkeypatch.setitem(registry.literal("datasets", "bold5000", "FACTS"), "unread", ["bold-fsnative"])
    text, _ = written(monkeypatch, listed, 10**13)
    assert "responses cannot be made yet: recording bold-fsnative of bold5000 is not read in this version" in text


def test_nothing_to_be_done_is_said(monkeypatch):
    text, code = written(monkeypatch, jobs(runs=False), 0)
    assert code == 0 and "nothing is to be done" in text


def test_a_study_that_does_not_parse_is_told_in_its_own_words(monkeypatch):
    def broken(targets, config):
        raise estimate.plan.Broken("no study 'demmo'")

    monkeypatch.setattr(estimate.plan, "ask", broken)
    assert estimate.estimate([]) == ("the study cannot be planned:\nno study 'demmo'", 2)


def test_free_bytes_are_those_of_df(folder):
    """Witness: df, for an ordinary user, of the nearest folder that exists."""
    said = subprocess.run(["df", "-B1", "--output=avail", str(folder)], capture_output=True, text=True, check=True)
    free = int(said.stdout.split()[-1])
    assert estimate.free_at("resources/not/yet") == pytest.approx(free, rel=0.05)
    pages = os.sysconf("SC_PHYS_PAGES")
    assert estimate.memory_here() >= pages


def test_both_folders_on_one_disk_are_added_up():
    (need,) = estimate.compare(costs.cost_of(jobs()))
    total = costs.cost_of(jobs()).total
    assert set(need.places) == {"resources", "results"} and need.n_bytes == total.fetch + total.keep


def test_a_stack_has_the_columns_of_its_members():
    entries = {"few": entry("gabor", scales=[1, 2], grid=2), "many": entry("gabor", scales=[1], grid=3)}
    entries["both"] = entry("stack", name="both", of=["few", "many"])
    jobs = [
        Job("cache_features", {"dataset": "d", "feature": n}, [], [], {"settings": json.dumps(e)}, True)
        for n, e in entries.items()
    ]
    known_sizes = sizes.Sizes(jobs)
    n_columns = [known_sizes.n_features("d", name) for name in entries]
    assert n_columns == [2 * 4 * 4, 1 * 4 * 9, 2 * 4 * 4 + 1 * 4 * 9]
