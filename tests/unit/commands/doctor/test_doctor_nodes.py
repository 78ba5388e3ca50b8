"""``doctor`` on compute nodes: the probe, and what is made of its answer."""

import fcntl
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from boldflow.commands.doctor import probe
from boldflow.commands.doctor.node import Node, examine_node
from boldflow.commands.doctor.node_findings import of_node
from tests.made.slurm_clients import (
    WAITS,
    bad,
    line,
    node_look,
)


def test_a_full_queue_is_said_and_the_profile_written(here):
    here.slurm(srun="echo srun: error: Unable to allocate resources: Requested nodes are busy >&2; exit 1")
    _, code, lines = here.doctor()
    assert code == 0 and "slurm" in here.config()["executor"]
    assert line(lines, "node of normal").startswith("warn  node of normal: not found out: srun: error")


def test_a_probe_that_outlasts_its_time_is_cancelled(here):
    here.slurm(srun="/bin/sleep 300")
    here.program("scancel", f'echo "$@" >> {here.folder}/cancelled')
    _, _, lines = here.doctor(waits=replace(WAITS, queue=0.3, work=0.2, torch=0.1))
    assert "not found out" in line(lines, "node of normal")
    assert (here.folder / "cancelled").read_text().count("--name boldflow-doctor-") == 2


def test_a_probe_that_is_refused_is_bad(here):
    here.slurm(srun="echo srun: error: Invalid account or account/partition combination >&2; exit 1")
    _, code, lines = here.doctor()
    assert code == 1 and "Invalid account" in line(lines, "node of normal")


def test_nodes_without_network_are_told_to_prefetch():
    look = node_look(network={"github.com:443": "Network is unreachable", "huggingface.co:443": ""})
    lines = list(map(str, of_node(Node("normal", False, look))))
    network = line(lines, "node a1 (normal), network")
    assert network.startswith("warn  node a1 (normal), network: not reached: github.com:443 (Network is unreachable)")
    assert "snakemake --profile cpu prefetch" in network


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, ""),
        ({"folder": False}, "project: a file written here does not appear there"),
        (
            {"held": {"seen": False, "after": 20, "lock": ""}},
            "project: a file written here does not appear there in 20 s",
        ),
        ({"held": {"seen": True, "after": 0, "lock": "taken"}}, "lock held here: taken there too"),
        ({"python": "/usr/bin/python3"}, "Python: /p does not start there"),
        ({"scratch": [{"name": "/tmp", "path": "/tmp", "state": "missing", "free": 0}]}, "scratch: /tmp missing"),
        ({"lock": "no lock can be taken"}, "file locks: no lock can be taken"),
    ],
)
def test_what_a_node_lacks_is_bad(changed, words):
    lines = [str(finding) for finding in of_node(Node("normal", False, node_look(**changed)))]
    assert [text for text in lines if text.startswith("bad")] == [text for text in lines if words and words in text]
    assert len(bad(lines)) == bool(words)


def test_a_node_that_ignores_the_lock_held_here_is_found(here, monkeypatch):
    """The lock is not taken here at all, as on a file system that does not tell nodes of it."""
    here.slurm()
    monkeypatch.setattr(fcntl, "flock", lambda handle, how: None)
    _, code, lines = here.doctor()
    assert code == 1 and any("lock held here: taken there too" in text for text in bad(lines))


def test_without_our_python_a_node_still_answers(here, monkeypatch):
    here.slurm()
    here.program("python3", f'exec {sys.executable} "$@"')
    real = sys.executable
    Path(".snakemake").mkdir()
    monkeypatch.setattr(sys, "executable", "/not/there/python")
    node = examine_node("normal", False, "lab", here.folder, WAITS)
    assert node.error == "" and node.look["python"] == real and node.look["asked_python"] == "/not/there/python"


def test_no_jobs_runs_none(here):
    here.slurm(srun=f"touch {here.folder}/ran")
    _, _, lines = here.doctor(jobs=False)
    assert not (here.folder / "ran").exists() and line(lines, "compute nodes").startswith("warn")


def test_the_probe_is_text_that_runs_alone(tmp_path):
    asked = {"folder": str(tmp_path), "places": [["/tmp", "/tmp"]], "hosts": [], "connect_s": 1}
    source = Path(probe.__file__).read_text()
    done = subprocess.run(
        [sys.executable, "-I", "-c", source, json.dumps(asked)],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    look = json.loads(done.stdout.strip().removeprefix(probe.MARK))
    assert look["lock"] == "" and look["folder"] is True
