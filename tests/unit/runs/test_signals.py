"""SIGTERM and SIGINT to Snakemake itself."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace

import pytest
from snakemake.scheduling.job_scheduler import JobScheduler

from boldflow.runs import signals


@pytest.fixture
def sigterm() -> Iterator[None]:
    was = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, was)


def test_snakemake_asked_to_end_while_it_books_a_job_does_not_wait_for_itself(sigterm: None):
    """Its own handler, which takes the lock that the main thread holds; called there it would hang for ever."""
    scheduler = SimpleNamespace(_lock=threading.Lock(), _open_jobs=threading.Semaphore(0), _user_kill=None)
    signal.signal(signal.SIGTERM, partial(JobScheduler.exit_gracefully, scheduler))
    signals.end_from_a_thread()
    with scheduler._lock:
        signal.raise_signal(signal.SIGTERM)
    assert scheduler._open_jobs.acquire(timeout=30)
    assert scheduler._user_kill == "graceful"


JOB = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print("listens", flush=True)
time.sleep(60)
"""


def test_jobs_below_a_process_are_those_that_do_its_work_and_handle_sigterm(tmp_path):
    """Neither the shells around them, nor other programs, nor jobs of other runs are told."""
    script = tmp_path / ".snakemake/scripts/x.train_model.py"
    script.parent.mkdir(parents=True)
    script.write_text(JOB)
    other = tmp_path / "other.py"
    other.write_text(JOB)
    commands = [["sh", "-c", f"{sys.executable} {script}; exit $?"], [sys.executable, str(other)]]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    try:
        assert all(process.stdout.readline() == "listens\n" for process in started)
        (job,) = signals.listening(os.getpid())
        assert job not in [process.pid for process in started]
        assert signals.listening(started[1].pid) == []
        os.kill(job, signal.SIGTERM)
        assert started[0].wait(timeout=30) == 7 and started[1].poll() is None
    finally:
        for process in started:
            process.kill()


def test_interrupted_snakemake_hands_it_on_to_its_jobs_once(tmp_path):
    """As ``kill -INT`` to Snakemake alone does: it would else wait for its jobs to come to their end."""
    script = tmp_path / ".snakemake/scripts/x.py"
    script.parent.mkdir(parents=True)
    script.write_text(JOB)
    parent = (
        "import signal, subprocess, sys, time\n"
        "from boldflow.runs import signals\n"
        "signals.end_jobs_at_interruption()\n"
        "job = subprocess.Popen([sys.executable, sys.argv[1]])\n"
        "try:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    sys.exit(job.wait(30))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", parent, str(script)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "listens\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 7
