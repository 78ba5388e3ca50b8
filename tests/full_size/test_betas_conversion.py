"""Betas of NSD's size through the stage's reader: a session of whole volumes, and forty sessions as slabs; made files.

Memory is the most that the process held, pages of files included. Time is told beside that of reading the same bytes,
from files whose pages the kernel was made to forget, and held to nothing: bench `betas` does that.
"""

import json
import subprocess
import sys

import h5py
import numpy as np
import pytest

from boldflow.artifacts.releases import beta_files

pytestmark = pytest.mark.timeout(600)
N_TRIALS, VOLUME, SLAB, N_ROI, N_SESSIONS = 750, (81, 104, 83), (81, 104, 52), 13_520, 40
LIMIT = 8e9
JOB = """
import json, os, sys, time
import numpy as np, pandas as pd
from boldflow.artifacts.releases import beta_files
from boldflow.artifacts.store import arrays
from boldflow.core.compute import fixed_threads
from boldflow.core.records.runs import BetaRun
from boldflow.stages.responses import _betas

job = json.load(open(sys.argv[1]))
inside = np.load(job["inside"])
n_sessions, n_trials = len(job["files"]), job["n_trials"]
labels = [f"{n:02d}" for n in range(n_sessions)]
names = np.array([f"picture-{k}" for k in np.repeat(np.arange(n_sessions * n_trials // 3), 3)], dtype=object)
names = names[np.random.default_rng(0).permutation(len(names))]
table = pd.DataFrame({"session": np.repeat(labels, n_trials), "run": "01", "image_id": names, "usable": True})

def forget(path):
    with open(path, "rb") as handle:
        os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

def raw():
    buffer = bytearray(beta_files.BLOCK_BYTES)
    for path in job["files"][: job["n_raw"]]:
        forget(path)
        with open(path, "rb", buffering=0) as handle:
            while handle.readinto(buffer):
                pass

def records():
    for n, path in enumerate(job["files"]):
        forget(path)
        betas = beta_files.masked([path], [inside], 300.0, n_trials)
        yield BetaRun(labels[n], None, names[n * n_trials : (n + 1) * n_trials], betas, "percent", {})

def convert():
    every = np.ones(int(inside.sum()), dtype=bool)
    made = _betas.read(records(), table, "made", {}, None, ("not finite", "constant"), every)
    arrays.write(job["array"], made.values)

with fixed_threads(1):
    times = []
    for call in (raw, convert):
        start, before = time.perf_counter(), time.process_time()
        call()
        times.append((time.perf_counter() - start, time.process_time() - before))
raw_s = times[0][0] * n_sessions / job["n_raw"]
print(f"raw {raw_s:.2f} s, conversion {times[1][0]:.2f} s, {times[1][1]:.2f} s of them the processor's")
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(1024 * int(status["VmHWM"].split()[0]))
"""


def shell(grid):
    """Voxels nearest to an ellipsoid's surface in the back of a grid, as visual cortex lies; 52 slices hold it."""
    centre, half = (40, 26, grid[2] // 2), (28, 21, 25)
    axes = np.meshgrid(*map(np.arange, grid), indexing="ij")
    radius = np.sqrt(sum(((one - mid) / wide) ** 2 for one, mid, wide in zip(axes, centre, half, strict=True)))
    inside = np.zeros(grid, dtype=bool)
    inside.reshape(-1)[np.argsort(np.abs(radius - 1), axis=None)[:N_ROI]] = True
    return inside


def written(path, grid, chunks):
    """Write a session whose trials are one volume of noise, moved by their number."""
    base = np.random.default_rng(1).normal(0, 300, grid[::-1]).astype(np.int16)
    with h5py.File(path, "w") as handle:
        stored = handle.create_dataset(beta_files.KEY, (N_TRIALS, *grid[::-1]), np.int16, chunks=chunks)
        for trial in range(N_TRIALS):
            stored[trial] = np.roll(base, 7 * trial)
    return base


@pytest.fixture
def convert(tmp_path):
    """Converts files in a process of its own; gives the bytes it held, and what it wrote."""

    def run(files, inside):
        np.save(tmp_path / "inside.npy", inside)
        job = {"files": list(map(str, files)), "inside": str(tmp_path / "inside.npy"), "n_trials": N_TRIALS}
        job |= {"array": str(tmp_path / "responses.npy"), "n_raw": min(8, len(files))}
        (tmp_path / "job.json").write_text(json.dumps(job))
        call = [sys.executable, "-c", JOB, str(tmp_path / "job.json")]
        done = subprocess.run(call, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        print(done.stdout)
        return int(done.stdout.splitlines()[-1]), np.load(tmp_path / "responses.npy", mmap_mode="r")

    return run


@pytest.mark.parametrize("chunks", [None, (1, *VOLUME[::-1])], ids=["contiguous", "chunks of a volume"])
def test_a_session_of_whole_volumes(tmp_path, convert, chunks):
    inside = shell(VOLUME)
    base = written(tmp_path / "betas_session01.hdf5", VOLUME, chunks)
    held, found = convert([tmp_path / "betas_session01.hdf5"], inside)
    for trial in (0, 333, 749):
        wanted = np.roll(base, 7 * trial).transpose()[inside].astype(np.float32) / np.float32(300)
        np.testing.assert_array_equal(found[trial], wanted)
    assert held < LIMIT


def test_forty_sessions_as_slabs_around_the_region(tmp_path, convert):
    """The slices in which a region lies; one file, forty times: 26 GB are read, and the disk holds 0.7 and 1.6."""
    inside = shell(SLAB)
    base = written(tmp_path / "betas_session01.hdf5", SLAB, None)
    held, found = convert([tmp_path / "betas_session01.hdf5"] * N_SESSIONS, inside)
    assert found.shape == (N_SESSIONS * N_TRIALS, N_ROI)
    for session, trial in ((0, 0), (17, 333), (39, 749)):
        wanted = np.roll(base, 7 * trial).transpose()[inside].astype(np.float32) / np.float32(300)
        np.testing.assert_array_equal(found[session * N_TRIALS + trial], wanted)
    assert held < LIMIT
