"""``doctor`` on a machine without Slurm."""

import fcntl
import os
import socket
import sys
from pathlib import Path
from types import SimpleNamespace

from boldflow.commands.doctor import asking, machine, probe
from tests.made.slurm_clients import (
    CPU,
    above,
    bad,
    line,
)


def test_without_slurm_the_profile_holds_what_the_machine_has(here, monkeypatch):
    monkeypatch.setattr(machine, "usable_cores", lambda: (3, "of 8"))
    monkeypatch.setattr(machine, "usable_memory", lambda: (10_000, "of 64000 MB"))
    text, code, lines = here.doctor()
    assert code == 0, text
    assert line(lines, "Slurm").startswith("ok    Slurm: no sbatch")
    assert here.config() == {**CPU, "cores": 3, "resources": {"mem_mb": 9000}}
    assert "of 8" in above("cores") and "64000 MB" in above("mem_mb")
    assert "without CUDA" in above("set-resources") and above("scheduler") == "as in profiles/cpu"


def test_a_gpu_that_torch_sees_is_given_to_one_job_at_a_time(here):
    here.torch(cuda="12.8", devices=2)
    here.program("nvidia-smi", "echo H200, 141 GB; echo H200, 141 GB")
    _, code, lines = here.doctor()
    assert code == 0
    assert line(lines, "GPUs here").endswith("H200, 141 GB; H200, 141 GB")
    assert "CUDA_VISIBLE_DEVICES=0" in line(lines, "CUDA_VISIBLE_DEVICES")
    assert "set-resources" not in here.config() and here.config()["resources"]["gpu"] == 1


def test_a_gpu_that_torch_cannot_use_is_said(here):
    here.program("nvidia-smi", "echo H200, 141 GB")
    _, _, lines = here.doctor()
    assert line(lines, "torch").startswith("warn")
    assert here.config()["set-resources"] == CPU["set-resources"]


def test_what_is_missing_is_bad(here, monkeypatch):
    (here.programs / "git").unlink()
    monkeypatch.setattr(sys, "executable", str(here.folder / "python"))
    Path(sys.executable).symlink_to(sys._base_executable)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda folder: SimpleNamespace(free=10**6))
    (here.folder / "torch" / "__init__.py").write_text("raise ImportError('libcuda is not there')")
    _, code, lines = here.doctor()
    assert code == 1
    assert {text.split(":")[0][6:] for text in bad(lines)} == {"git", "git-annex", "disk", "torch"}
    assert "libcuda is not there" in line(lines, "torch")


def test_hosts_that_are_not_reached_are_named_with_the_reason(here, monkeypatch):
    _, _, lines = here.doctor()
    assert line(lines, "network").startswith("ok")
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = f"127.0.0.1:{server.getsockname()[1]}"
    monkeypatch.setattr(asking, "HOSTS", [*asking.HOSTS, closed])
    _, _, lines = here.doctor()
    assert line(lines, "network").startswith(f"warn  network: not reached: {closed} ([Errno 111] Connection refused)")


def test_a_broken_profile_of_the_project_is_said_not_raised(here):
    Path("profiles/cpu/config.yaml").write_text("cores: [")
    _, code, lines = here.doctor()
    assert code == 1 and "profiles/cpu/config.yaml" in line(lines, "profile") and not Path("proposed").exists()


def test_a_profile_that_is_there_is_not_overwritten_without_force(here):
    Path("proposed").mkdir()
    Path("proposed/config.yaml").write_text("mine: 1\n")
    _, _, lines = here.doctor()
    assert line(lines, "profile").startswith("warn  profile: nothing written: proposed/config.yaml")
    assert here.config() == {"mine": 1}
    _, _, lines = here.doctor(force=True)
    assert line(lines, "profile").startswith("ok    profile: written") and "cores" in here.config()
    _, _, lines = here.doctor()
    assert "already as proposed" in line(lines, "profile")


def test_one_file_that_differs_keeps_the_other_from_being_written(here):
    here.slurm()
    Path("proposed").mkdir()
    Path("proposed/partitions.yaml").write_text("mine: 1\n")
    here.doctor(jobs=False)
    assert os.listdir("proposed") == ["partitions.yaml"]


def test_a_folder_that_cannot_be_written_is_bad(here):
    Path("taken").write_text("")
    _, code, lines = here.doctor(write="taken/profile")
    assert code == 1 and "taken" in line(lines, "profile")


def test_file_locks_of_this_disk_work_and_leave_nothing_behind(tmp_path):
    assert probe.locking(str(tmp_path)) == "" and probe.linking(str(tmp_path)) == ""
    assert os.listdir(tmp_path) == []


def test_locks_that_exclude_nobody_are_found(tmp_path):
    assert "a second process got the lock" in probe.locking(str(tmp_path), flock=lambda handle, how: None)


def test_locks_that_are_never_given_back_are_found(tmp_path):
    def keep(handle, how):
        if how != fcntl.LOCK_UN:
            fcntl.flock(handle, how)

    assert "given back" in probe.locking(str(tmp_path), flock=keep)


def test_a_file_system_without_locks_is_bad(here, monkeypatch):
    def refuse(handle, how):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(probe.fcntl, "flock", refuse)
    monkeypatch.setattr(probe.locking, "__defaults__", (refuse,))
    _, code, lines = here.doctor()
    assert code == 1 and "Function not implemented" in line(lines, "file locks")


def test_a_file_system_without_hard_links_is_said(here, monkeypatch):
    def refuse(path, link):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    _, _, lines = here.doctor()
    assert line(lines, "hard links").startswith("warn")


def test_limits_of_control_groups_count(tmp_path):
    (tmp_path / "user" / "me").mkdir(parents=True)
    groups = tmp_path / "own"
    groups.write_text("0::/user/me\n")
    (tmp_path / "user" / "me" / "memory.max").write_text("max\n")
    (tmp_path / "user" / "memory.max").write_text(f"{512 * 2**20}\n")
    (tmp_path / "user" / "cpu.max").write_text("100000 100000\n")
    memory, why = machine.usable_memory(tmp_path, groups)
    assert memory == 512 and "control group" in why
    assert machine.usable_cores(tmp_path, groups)[0] == 1
    groups.write_text("0::/\n")
    assert machine.usable_memory(tmp_path, groups)[0] > 512
