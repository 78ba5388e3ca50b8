"""What goes wrong on a cluster, done to a real one: docs/faults.md, rows 14 to 23."""

import json
import os
import random
import signal
import subprocess
import time

from tests.made.running import SLOW as SLOW_CONFIG
from tests.made.running import SLOW_NETWORK, Site, hit, log, result, wait_for
from tests.made.running import WIDE as WIDE_CONFIG
from tests.slurm.cluster import Cluster
from tests.slurm.conftest import EPOCHS, NETWORK_EPOCHS, NETWORK_PAUSE_S, TINY, ClusterSite

HUNGRY = '''"""Takes 3 GB while it is fitted."""
import time
import numpy as np
from boldflow.core.records.training import Fitted

FACTS = {"device": "cpu", "threads": 1, "closed_form": False}
SETTINGS = {}


def fit(subjects, settings, seeds, device, keeper):
    taken = np.ones(3 * 2**27)  # 3 GiB, touched
    time.sleep(12)
    return Fitted([{"mean": subjects[0].targets.mean(axis=0) * taken[0]}] * len(seeds), [])


def predict(state, inputs):
    return np.repeat(state["mean"][None], len(inputs), axis=0).astype(np.float32)
'''
PROBE = '''"""Says which GPUs it sees."""
import os
import numpy as np
from boldflow.core.records.training import Fitted

FACTS = {"device": "cuda", "threads": 1, "closed_form": False}
SETTINGS = {}


def fit(subjects, settings, seeds, device, keeper):
    seen = os.environ["CUDA_VISIBLE_DEVICES"]
    if device != "cuda":
        raise RuntimeError(f"wanted cuda, was given {device}")
    state = {"mean": subjects[0].targets.mean(axis=0)}
    return Fitted([state] * len(seeds), [{"seen": seen, "node": os.environ["SLURMD_NODENAME"]}])


def predict(state, inputs):
    return np.repeat(state["mean"][None], len(inputs), axis=0).astype(np.float32)
'''
# trained and scored; collecting and drawing is the whole study's business
SLOW = (f"{result()}/scores.parquet", *SLOW_CONFIG)
WIDE = (*(f"{result(f'sub-0{n}')}/scores.parquet" for n in (1, 2, 3)), *WIDE_CONFIG)
ONE = """
title: One model
primary: {metric: accuracy, view: image}
runs:
  - {datasets: [sim-tiny], subjects: [sub-01], responses: [bold-4to10s-fsaverage5], features: [labels],
     models: [MODEL], splits: [repeated]}
"""
OTHER = """
title: Another data set
primary: {metric: accuracy, view: image}
runs:
  - {datasets: [sim-other], subjects: [sub-01], responses: [bold-4to10s-fsaverage5], features: [labels],
     models: [dummy], splits: [repeated]}
"""


def add_study(site: Site, model: str) -> tuple[str, ...]:
    """A study of one model; gives the arguments that train it."""
    (site.folder / f"config/studies/{model}.yaml").write_text(ONE.replace("MODEL", model))
    return f"{result().replace('slow', model)}/model.safetensors", "--config", f"study={model}"


def test_a_node_that_dies_in_mid_training(site: ClusterSite, undisturbed: Site, cluster: Cluster):
    """The job goes on from its checkpoint on the other node, once; nothing that was finished is done again."""
    site.slow(EPOCHS)
    before = site.times()
    run = site.start(*SLOW)
    job, node = site.training()
    cluster.kill_node(node)
    run.ends()
    jobs = site.submitted("train_model")
    assert jobs[0] == job and len(jobs) == 2
    states = cluster.job_states()
    assert states[job] == "NODE_FAIL" and states[jobs[1]] == "COMPLETED"
    assert cluster.ask("sacct", "-X", "-n", "-j", jobs[1], "-o", "NodeList").strip() != node
    assert site.resumed() and site.times() == before
    site.as_undisturbed(undisturbed)


def test_a_network_killed_five_times_gives_the_bits_of_one_that_was_left_alone(
    site: ClusterSite, undisturbed_network: Site, cluster: Cluster
):
    """kill -9 of the training at five random moments after a checkpoint: each Slurm job fails, and is tried again."""
    site.slow(NETWORK_EPOCHS, NETWORK_PAUSE_S, SLOW_NETWORK)
    # the same memory and minutes at each try; the network trains on a CPU here
    same = [f"train_model:{one}" for one in ("gpu=0", "mem_mb=2000", "runtime=10")]
    run = site.start(*SLOW, "--retries", "5", "--set-resources", *same)
    moments = random.Random(14)
    for _ in range(5):
        hit(site, signal.SIGKILL, moments.uniform(0, 0.6))
        assert not (site.folder / result() / "model.safetensors").exists()
        kept = sorted((site.folder / result() / ".checkpoints/fold0/seeds").glob("step-*"))
        assert 1 <= len(kept) <= 3
    run.ends()
    states = cluster.job_states()
    assert [states[job] for job in site.submitted("train_model")] == ["FAILED"] * 5 + ["COMPLETED"]
    assert site.resumed()
    site.as_undisturbed(undisturbed_network)


def test_a_job_over_its_memory_is_tried_again_with_twice_as_much(site: ClusterSite, cluster: Cluster):
    site.plugin("models", "hungry", HUNGRY)
    site.start(*add_study(site, "hungry")).ends()
    jobs = site.submitted("train_model")
    asked = [cluster.ask("sacct", "-X", "-n", "-j", job, "-o", "ReqMem,State").split() for job in jobs]
    assert [row[0] for row in asked] == ["2000M", "4000M"], asked
    assert asked[0][1] in ("FAILED", "OUT_OF_MEMORY") and asked[1][1] == "COMPLETED"


def test_a_job_at_its_time_limit_keeps_its_progress_and_goes_on(site: ClusterSite, cluster: Cluster):
    """A minute is Slurm's shortest limit: the work takes two at least. No warning comes before."""
    site.slow(2500, pause_s=0.025)
    run = site.start(*SLOW, "--set-resources", "train_model:runtime=2*attempt-1", "train_model:slurm_extra=''")
    job, _ = site.training()
    run.ends(seconds=550)
    jobs, states = site.submitted("train_model"), cluster.job_states()
    assert jobs[0] == job and len(jobs) >= 2
    assert states[job] in ("TIMEOUT", "FAILED") and states[jobs[-1]] == "COMPLETED"
    assert site.resumed()
    rows = (site.folder / result() / "history.csv").read_text().splitlines()[1:]
    assert [int(row.split(",")[2]) for row in rows] == [*range(1, 2501)] * 2  # each epoch once


def test_a_preempted_job_keeps_its_progress_and_goes_on(site: ClusterSite, undisturbed: Site, cluster: Cluster):
    site.slow(EPOCHS)
    run = site.start(*SLOW)
    job, node = site.training()
    urgent = preempt(cluster, node)
    wait_for(lambda: cluster.job_states()[job] != "RUNNING", "end of the preempted job")
    reached = site.steps_kept()
    run.ends()
    assert urgent in cluster.job_states() and reached > 0 and site.resumed()
    assert len(site.submitted("train_model")) == 2
    site.as_undisturbed(undisturbed)


def test_a_job_preempted_without_notice_is_not_waited_for(site: ClusterSite, undisturbed: Site, cluster: Cluster):
    """Without grace the job counts as preempted, and never comes back; Slurm's plug-in alone would wait for ever."""
    site.slow(EPOCHS)
    cluster.ask("scontrol", "update", "partitionname=cpu", "GraceTime=0")
    try:
        run = site.start(*SLOW)
        job, node = site.training()
        preempt(cluster, node)
        run.ends()
    finally:
        cluster.ask("scontrol", "update", "partitionname=cpu", "GraceTime=20")
    assert cluster.job_states()[job] == "PREEMPTED"
    assert len(site.submitted("train_model")) == 2 and site.resumed()
    site.as_undisturbed(undisturbed)


def test_a_job_cancelled_by_somebody_is_not_waited_for(site: ClusterSite, undisturbed: Site, cluster: Cluster):
    """Slurm's plug-in alone would wait for ever: it does not know "CANCELLED by 0"."""
    site.slow(EPOCHS)
    run = site.start(*SLOW)
    job, _ = site.training()
    cluster.ask("scancel", job)
    run.ends()
    assert cluster.job_states()[job].startswith("CANCELLED")
    assert len(site.submitted("train_model")) == 2 and site.resumed()
    site.as_undisturbed(undisturbed)


def preempt(cluster: Cluster, node: str) -> str:
    """Send a job that needs all of a node and may push others off it."""
    found = cluster.ask(
        "sbatch",
        "--parsable",
        "-p",
        "urgent",
        "-w",
        node,
        "--exclusive",
        "-t",
        "1",
        "-o",
        "/dev/null",
        "--wrap",
        "sleep 3",
    )
    return found.strip()


def test_snakemake_killed_while_a_job_lives(site: ClusterSite, undisturbed: Site, cluster: Cluster):
    """The next run's job waits for the living one and leaves what it has finished untouched: trained once."""
    site.slow(EPOCHS)
    before = site.times()
    first = site.start(*SLOW)
    job, _ = site.training()
    first.kill()
    locked = site.start(*SLOW).ends(1)
    assert "a run was killed and left its lock" in locked and f"process {first.process.pid}" in locked
    assert "--unlock" in locked
    site.start("--unlock", *SLOW).ends()
    assert site.steps_kept(), "the job has ended too early for this test"
    text = site.start(*SLOW).ends()
    assert f"(Slurm job {job}), of a run that is gone: it is waited for" in text
    jobs = site.submitted("train_model")
    assert len(jobs) == 2 and jobs[0] == job
    assert f"(Slurm job {job})" in site.log() and "left as it is" in site.log() and not site.resumed()
    assert set(cluster.job_states()[one] for one in jobs) == {"COMPLETED"}
    assert site.times() == before
    site.as_undisturbed(undisturbed)
    # --quiet, the option before, would take the target for one of its values
    assert site.planned("--nolock", *SLOW) == {}


def test_snakemake_killed_while_jobs_live_and_wait(site: ClusterSite, undisturbed: Site, cluster: Cluster):
    """Two jobs fill the nodes, a third waits: it is cancelled; what the two finish is not done again."""
    site.slow(EPOCHS)
    big = ("--set-resources", "train_model:mem_mb=7000")
    first = site.start(*WIDE, *big)
    wait_for(lambda: sum(site.steps_kept(f"sub-0{n}") > 0 for n in (1, 2, 3)) == 2, "two in training", 120)
    wait_for(lambda: len(site.submitted("train_model")) == 3, "three jobs", 30)
    alive = [number for number, _, _ in cluster.running(site.folder)]
    first.kill()
    waiting = [job for job in site.submitted("train_model") if job not in alive]
    assert len(alive) == 2 and len(waiting) == 1
    site.start("--unlock", *WIDE).ends()
    text = site.start(*WIDE, *big).ends(seconds=1000)
    assert f"cancelled 1 waiting Slurm jobs of a run that is gone: {waiting[0]}" in text
    states = cluster.job_states()
    assert states[waiting[0]] == "CANCELLED" and all(states[job] == "COMPLETED" for job in alive)
    assert sum(site.is_taken_over(f"sub-0{n}") for n in (1, 2, 3)) == 2
    site.as_undisturbed(undisturbed, "sub-01", "sub-02", "sub-03")


def test_the_controller_is_killed_while_a_job_lives(site: ClusterSite, undisturbed: Site, cluster: Cluster):
    site.slow(EPOCHS)
    run = site.start(*SLOW)
    job, _ = site.training()
    time.sleep(8)  # a controller that dies before it has written down that a job runs takes the job with it
    cluster.kill_controller()
    at = site.steps_kept()
    wait_for(lambda: site.steps_kept() > at, "progress without a controller")
    time.sleep(5)
    cluster.start_controller()
    run.ends()
    assert site.submitted("train_model") == [job] and not site.resumed()
    site.as_undisturbed(undisturbed)


def test_two_snakemakes_with_the_same_targets(site: ClusterSite, undisturbed: Site):
    """The second stops at once and says who is at work."""
    site.slow(EPOCHS)
    first = site.start(*SLOW)
    site.training()
    text = site.start(*SLOW).ends(1, seconds=60)
    assert f"a run is at work in this folder: process {first.process.pid} of " in text
    assert f"snakemake {result()}/scores.parquet --config study=slow" in text
    first.ends()
    assert len(site.submitted("train_model")) == 1
    site.as_undisturbed(undisturbed)


def test_two_snakemakes_with_other_targets_both_finish(site: ClusterSite, undisturbed: Site):
    site.slow(EPOCHS)
    sizes = "n_runs: 2, n_train_images: 12, n_test_images: 6, voxel_mm: 8.0, image_size: 32"
    old = "  sim-tiny: {plugin: sim,"
    site.edit("config/config.yaml", old, f"  sim-other: {{plugin: sim, seed: 7, {sizes}}}\n{old}")
    (site.folder / "config/studies/other.yaml").write_text(OTHER)
    first = site.start(*SLOW)
    site.training()
    second = site.start("--config", "study=other")
    second.ends()
    first.ends()
    site.as_undisturbed(undisturbed)
    assert (site.folder / "results/studies/other/leaderboard.csv").is_file()


def test_a_gpu_job_runs_where_the_gpu_is_and_sees_exactly_one(site: ClusterSite, cluster: Cluster):
    site.plugin("models", "probe", PROBE)
    study = add_study(site, "probe")
    site.start(*study).ends()
    (job,) = site.submitted("train_model")
    folder = site.folder / "results/sim-tiny/sub-01/bold-4to10s-fsaverage5/labels/probe/repeated"
    assert (folder / "history.csv").read_text().splitlines()[1] == f"0,0,{cluster.nodes[-1]}"
    assert json.loads((folder / "config.json").read_text())["device"] == "cuda"
    assert "gres/gpu=1" in cluster.ask("sacct", "-X", "-n", "-j", job, "-o", "AllocTRES%80")


def test_a_gpu_job_that_gets_another_number_is_refused(site: ClusterSite):
    site.plugin("models", "probe", PROBE)
    study = add_study(site, "probe")
    text = site.start(*study, "--set-resources", "train_model:gpu=2", "--retries", "0").ends(1)
    assert "sbatch" in text or "this job asked for 2 GPU(s)" in text
    # without Slurm: two are visible, one was asked for
    text = site.start(*study, "--set-resources", "train_model:gpu=1", profile="cpu", CUDA_VISIBLE_DEVICES="0,1").ends(1)
    assert "this job asked for 1 GPU(s) and has got 2 (CUDA_VISIBLE_DEVICES='0,1')" in text
    # on a node whose GPUs Slurm does not confine
    site.edit("workflow/scripts/_adapter.py", "    named = os.environ.get(", '    named = "0,1" or os.environ.get(')
    text = site.start(*study, "--retries", "0").ends(1)
    assert "this job asked for 1 GPU(s) and has got 2" in text
    assert not (site.folder / "results/sim-tiny/sub-01/bold-4to10s-fsaverage5/labels/probe").exists() or not list(
        (site.folder / "results/sim-tiny/sub-01/bold-4to10s-fsaverage5/labels/probe").rglob("*.safetensors")
    )


def test_clocks_that_disagree_rerun_nothing(site: ClusterSite):
    """Results that a node with a clock an hour behind has written are older than what they were made of."""
    for path in sorted((site.folder / "resources/receipts").rglob("*.json")):
        stat = path.stat()
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 3600 * 10**9))
    assert "fetch_subject" not in site.planned(*TINY)


def test_a_file_that_appears_late_is_waited_for(site: ClusterSite, undisturbed: Site):
    """Outputs reach the other side of a network file system seconds after the job: planted as a rename at its end."""
    site.slow(200)
    site.edit(
        "workflow/scripts/_adapter.py",
        "    atexit.register(lambda: failed or claim.keep())",
        "    atexit.register(lambda: failed or claim.keep())\n    atexit.register(_late, outputs)",
    )
    late = '''

def _late(outputs: list[str]) -> None:
    """Hide the outputs and bring them back four seconds after this process."""
    import subprocess

    for path in filter(os.path.exists, outputs):
        os.rename(path, path + ".hidden")
    back = "; ".join(f"mv '{path}.hidden' '{path}'" for path in outputs)
    subprocess.Popen(["setsid", "bash", "-c", f"sleep 4; {back}"], stdout=-3, stderr=-3, stdin=-3)
'''
    file = site.folder / "workflow/scripts/_adapter.py"
    file.write_text(file.read_text() + late)
    site.start(f"{result()}/model.safetensors", *SLOW_CONFIG).ends()
    assert (site.folder / result() / "model.safetensors").is_file()


def test_logs_say_what_happened(site: ClusterSite):
    """A failed job's words are on the terminal, in the rule's log and in Slurm's."""
    site.slow(200)
    site.edit(
        "src/boldflow/models/linear_sgd.py", "    place = ", '    raise ValueError("planted trouble")\n    place = '
    )
    text = site.start(*SLOW, "--retries", "0").ends(1)
    assert "planted trouble" in text and log() in text
    assert "planted trouble" in site.log()
    kept = "".join(path.read_text() for path in (site.folder / ".snakemake/slurm_logs").rglob("*.log"))
    assert "planted trouble" in kept


def test_nothing_is_left_running(cluster: Cluster, site: ClusterSite):
    """The suite's own rule: jobs of a killed run can be found and ended by folder."""
    site.slow(EPOCHS)
    run = site.start(*SLOW)
    site.training()
    run.kill()
    cluster.cancel(site.folder)
    wait_for(
        lambda: subprocess.run(["pgrep", "-f", str(site.folder)], capture_output=True).returncode, "end of its jobs"
    )
