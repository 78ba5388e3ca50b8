"""SIGTERM to Snakemake itself."""

import signal
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
