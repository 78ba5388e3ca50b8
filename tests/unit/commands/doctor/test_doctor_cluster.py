"""``doctor`` on a cluster: what its clients say, and which partitions jobs may use."""

import os
import random
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from snakemake_executor_plugin_slurm.partitions import get_best_partition, read_partition_file

from boldflow.commands.doctor import asking
from boldflow.commands.doctor.cluster import Partition, gpus_of, minutes, works
from boldflow.commands.doctor.partitions import choose, limits, partitions_text
from tests.made.slurm_clients import NODES, OPEN, PARTITIONS, SLURM, WAITS, above, cluster, line


def test_a_cluster_with_accounting_and_typed_gpus(here):
    here.slurm()
    here.torch(cuda="12.8", devices=1)
    text, code, lines = here.doctor()
    assert code == 0, text
    assert line(lines, "partition normal").startswith("ok    partition normal: default, UP, 10080 min, 2 of 2 nodes")
    assert "4 x a100, 8 x v100" in line(lines, "partition gpu") and "1 of 2 nodes" in line(lines, "partition gpu")
    assert "account lab may not use it" in line(lines, "partition theirs")
    assert "none of its 1 nodes" in line(lines, "partition broken")
    written = here.config()
    assert written["slurm-partition-config"] == "partitions.yaml" and "slurm-no-account" not in written
    assert written["default-resources"] == {"mem_mb": 4000, "gpu": 0, "slurm_account": "'lab'"}
    assert written["set-resources"] == SLURM["set-resources"]
    assert above("jobs") == "as in profiles/slurm" and "your only one" in above("slurm_account")
    limits = yaml.safe_load(Path("proposed/partitions.yaml").read_text())["partitions"]
    assert list(limits) == ["normal", "short", "gpu"]
    assert limits["normal"] == {"max_runtime": 10080, "max_mem_mb": 512000, "max_cpus_per_task": 128, "max_gpu": 0}
    # the tighter limits of the GPU partition but one are left out, so that it draws no job without GPU
    assert limits["gpu"] == {"max_runtime": 1440, "max_gpu": 8, "available_gpu_models": ["a100", "v100"]}
    assert "max_mem_mb: 200000 is not told" in Path("proposed/partitions.yaml").read_text()


def test_one_node_of_each_kind_is_looked_at_with_exactly_one_gpu(here):
    here.slurm()
    here.torch(cuda="12.8", devices=1)
    _, _, lines = here.doctor()
    asked = [text.split() for text in (here.folder / "asked").read_text().splitlines() if text.startswith("-J")]
    assert [words[words.index("-p") + 1] for words in asked] == ["normal", "gpu"]
    assert [[word for word in words if "gpu" in word and "-" in word] for words in asked] == [[], ["--gpus=1"]]
    assert all(words[words.index("-A") + 1] == "lab" and words[words.index("-t") + 1] == "2" for words in asked)
    nodes = [text for text in lines if text[6:].startswith("node ")]
    assert any("lock held here: refused there" in text for text in nodes)
    assert any("CUDA_VISIBLE_DEVICES: 3" in text for text in nodes)
    assert os.listdir(".snakemake") == []


def test_gpu_jobs_that_would_fail_are_kept_to_the_cpu_with_the_reason(here):
    here.slurm()
    _, _, lines = here.doctor()
    off = {"train_model": {"gpu": 0}, "cache_features": {"gpu": 0}}
    assert here.config()["set-resources"] == {**SLURM["set-resources"], **off}
    assert "build without CUDA" in above("train_model")
    assert any(text.startswith("warn") and "GPU jobs would fail" in text for text in lines)


def test_a_gpu_that_slurm_does_not_name_is_said(here):
    here.slurm(srun='while [ "$1" != /bin/sh ]; do shift; done; exec "$@"')
    here.torch(cuda="12.8", devices=1)
    here.doctor()
    assert "CUDA_VISIBLE_DEVICES is None" in above("train_model")


def test_several_accounts_without_a_default_are_left_to_the_user(here):
    here.slurm(accounts="lab||\nother||\n", default="")
    _, _, lines = here.doctor(jobs=False)
    assert "lab, other" in line(lines, "account") and line(lines, "account").startswith("warn")
    assert "slurm_account" not in here.config()["default-resources"]


def test_the_default_account_is_taken_and_its_longest_queue(here):
    here.slurm(accounts="lab||7\nother||3\n")
    here.doctor(jobs=False)
    assert here.config()["default-resources"]["slurm_account"] == "'lab'"
    assert here.config()["jobs"] == 7 and "MaxSubmitJobs" in above("jobs")


def test_a_single_partition_is_named_without_a_file(here):
    here.slurm(partitions=PARTITIONS.splitlines()[1])
    here.doctor(jobs=False)
    assert here.config()["default-resources"]["slurm_partition"] == "'normal'"
    assert "slurm-partition-config" not in here.config() and os.listdir("proposed") == ["config.yaml"]
    assert here.config()["set-resources"]["train_model"] == {"gpu": 0}


def test_a_rule_that_asks_for_more_than_partitions_allow_is_said(here):
    Path("workflow/rules/train.smk").write_text("mem_mb=600000,\nruntime=growing(240),")
    here.slurm()
    _, _, lines = here.doctor(jobs=False)
    assert "600000, but partitions allow 512000" in line(lines, "largest mem_mb of a rule")
    assert not any("largest runtime" in text for text in lines)


def test_short_times_to_end_are_said_beside_retries(here):
    here.slurm(KillWait="5 sec")
    _, _, lines = here.doctor(jobs=False)
    assert line(lines, "end of jobs").startswith("warn") and "5 s from SIGTERM" in above("retries")


def test_partitions_that_preempt_the_default_one_are_left_out(here):
    tiers = {"normal": "1 PreemptMode=CANCEL GraceTime=3", "short": "10 PreemptMode=OFF", "gpu": "5 PreemptMode=OFF"}
    partitions = PARTITIONS
    for name, tier in tiers.items():
        row = next(text for text in PARTITIONS.splitlines() if f"={name} " in text)
        partitions = partitions.replace(row, row.replace("1 PreemptMode=OFF", tier))
    partitions += f"PartitionName=apart {OPEN.replace('PriorityTier=1', 'PriorityTier=5')} Default=NO MaxTime=1:00:00\n"
    nodes = f"{NODES}apart|c1|64|256000|(null)|idle\n"
    here.slurm(partitions=partitions, nodes=nodes, PreemptType="preempt/partition_prio", PreemptMode="CANCEL")
    _, _, lines = here.doctor(jobs=False)
    assert "its jobs end those of others in normal" in line(lines, "partition short")
    assert "left out" not in line(lines, "partition apart")  # it shares no node with the default partition
    assert line(lines, "preemption").startswith("warn") and "jobs in normal can be ended" in line(lines, "preemption")
    assert "preempted job in normal has 3 s" in line(lines, "end of jobs")


def test_the_plugin_sends_no_job_without_gpu_to_a_gpu_partition_while_another_takes_it(tmp_path):
    """The witness is the plug-in's own choice, over partitions and jobs of any size."""
    rng = random.Random(0)
    silent = SimpleNamespace(debug=lambda text: None, info=lambda text: None, warning=lambda text: None)

    def partition(name, gpus):
        limit = rng.choice(["UNLIMITED", *(f"{hours}:00:00" for hours in (1, 4, 24, 99))])
        sizes = {"cpus": rng.choice([2, 8, 64]), "mem_mb": rng.choice([4000, 64_000, 512_000])}
        return Partition(name, {"MaxTime": limit}, frozenset([name]), 1, bool(gpus), **sizes, gpus=gpus)

    placed = 0
    for _ in range(40):
        plain = [partition(f"p{n}", {}) for n in range(2)]
        slurm = cluster(partitions=[*plain, *(partition(f"g{n}", {"a100": rng.choice([1, 8])}) for n in range(2))])
        path = tmp_path / "partitions.yaml"
        path.write_text(partitions_text(slurm, choose(slurm)))
        read = read_partition_file(path)
        for _ in range(100):
            memory, runtime, threads = (int(2 ** rng.uniform(0, most)) for most in (19, 12.5, 6))
            asked = {"max_mem_mb": memory, "max_runtime": runtime, "max_cpus_per_task": threads}
            room = [part.name for part in plain if all(limits(part)[key] >= asked[key] for key in asked)]
            job = SimpleNamespace(resources={"mem_mb": memory, "runtime": runtime}, threads=threads, name="job")
            assert not room or get_best_partition(read, job, silent) in room, (asked, path.read_text())
            placed += bool(room)
            job.resources["gpu"] = 1
            assert get_best_partition(read, job, silent) in (None, "g0", "g1")
    assert placed > 1000


def test_without_accounting_squeue_is_asked_and_no_account_named(here):
    here.without_accounting()
    text, code, lines = here.doctor(jobs=False)
    assert code == 0, text
    written = here.config()
    assert written["slurm-no-account"] is True and written["slurm-status-command"] == "squeue"
    assert "slurm_account" not in written["default-resources"]
    assert "300 s (MinJobAge)" in above("slurm-status-command")
    assert line(lines, "accounting").startswith("warn")
    assert "slurm-init-seconds-before-status-checks" not in written


def test_an_accounting_that_does_not_answer_is_not_relied_on(here):
    here.slurm()
    for name in ("sacct", "sacctmgr"):
        here.program(name, "echo error: Connection refused >&2; exit 1")
    _, _, lines = here.doctor(jobs=False)
    assert "Connection refused" in line(lines, "accounting") and "Connection refused" in line(lines, "account")
    assert here.config()["slurm-status-command"] == "squeue" and here.config()["slurm-no-account"] is True
    assert "Connection refused" in above("slurm-no-account")


def test_a_queue_that_forgets_ended_jobs_too_soon_is_bad(here):
    here.without_accounting(MinJobAge="60 sec")
    _, code, lines = here.doctor(jobs=False)
    assert code == 1 and "MinJobAge = 60 s" in line(lines, "accounting")
    # above a third of MinJobAge the plug-in would go back to sacct
    assert here.config()["slurm-init-seconds-before-status-checks"] == 20


def test_without_the_program_sacct_the_plugin_cannot_submit(here):
    here.without_accounting(program=False)
    _, code, lines = here.doctor(jobs=False)
    assert code == 1 and "fails without it" in line(lines, "accounting")


def test_a_controller_that_hangs_does_not_hang_doctor(here):
    here.slurm()
    for name in ("scontrol", "sinfo", "sacct", "sacctmgr", "srun"):
        here.program(name, "/bin/sleep 300 & /bin/sleep 300")
    start = time.monotonic()
    _, code, lines = here.doctor(waits=replace(WAITS, client=0.3))
    assert time.monotonic() - start < 20
    assert code == 1 and not Path("proposed").exists()
    assert "scontrol did not answer in 0.3 s" in line(lines, "Slurm controller")
    assert line(lines, "profile").startswith("bad   profile: none proposed")


def _is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def test_a_program_that_hangs_ends_with_its_children(here, tmp_path):
    here.program("slow", f"/bin/sleep 300 & echo $! > {tmp_path}/child; wait")
    answer = asking.ask(["slow"], 0.5)
    assert answer.error == "slow did not answer in 0.5 s"
    child = int((tmp_path / "child").read_text())
    patience = time.monotonic() + 30  # a signal that is sent has still to arrive
    while _is_alive(child):
        assert time.monotonic() < patience, "the program's child outlives it"
        time.sleep(0.05)


def test_a_controller_that_is_down_is_bad(here):
    here.slurm()
    here.program("scontrol", 'echo "Slurmctld(primary) at head is DOWN"')
    _, code, lines = here.doctor()
    assert code == 1 and "is DOWN" in line(lines, "Slurm controller")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1-00:00:00", 1440),
        ("01:30:00", 90),
        ("2-12", 3600),
        ("90", 90),
        ("90:30", 90),
        ("UNLIMITED", None),
        ("", None),
    ],
)
def test_times_of_slurm_are_minutes(text, expected):
    assert minutes(text) == expected


@pytest.mark.parametrize(
    ("gres", "expected"),
    [
        ("(null)", {}),
        ("gpu:1", {"": 1}),
        ("gpu:a100:4(S:0-1)", {"a100": 4}),
        ("gpu:a100:2(S:0,1),gpu:v100:2,tmpfs:900", {"a100": 2, "v100": 2}),
        ("gpu:1g.10gb:7", {"1g.10gb": 7}),
        ("shard:8", {}),
    ],
)
def test_gpus_are_read_by_model(gres, expected):
    assert gpus_of(gres) == expected


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("idle", True),
        ("mix", True),
        ("idle~", True),
        ("idle*", False),
        ("down*", False),
        ("drain", False),
        ("drng", False),
    ],
)
def test_states_of_nodes(state, expected):
    assert works(state) == expected
