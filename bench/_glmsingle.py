"""GLMsingle as a peer: an environment of its own, made once per bench, in which ``_glmsingle_peer.py`` runs."""

import hashlib
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench._rapid_bold import Recording

PEER = Path(__file__).with_name("_glmsingle_peer.py")
COMMIT = "1ab54a65edd3ea41a6133d4b4ecb78a9c7296684"  # GLMsingle 1.2
SOURCE = f"GLMsingle @ git+https://github.com/cvnlab/GLMsingle@{COMMIT}"
PINS = ("numpy==2.4.6", "scipy==1.17.1", "fracridge==2.0")
SOURCE_VARIABLE = "BOLDFLOW_GLMSINGLE"  # a folder with a checkout, where the network does not lead to the source
KEPT_VARIABLE = "BOLDFLOW_GLMSINGLE_KEPT"  # a folder that keeps environment and betas from bench to bench


@dataclass(frozen=True)
class Estimates:
    """Betas of type D (n_all_trials, n_vertices) and processor seconds; ``halved``: of volumes at half the TR."""

    betas: np.ndarray
    cpu_s: float
    halved_betas: np.ndarray
    halved_cpu_s: float


class GlmSingle:
    """The peer, installed at the first use.

    Raises
    ------
    RuntimeError
        If it cannot be installed.
    """

    def __init__(self) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="boldflow-glmsingle-")
        self.folder = Path(os.environ.get(KEPT_VARIABLE, self._temporary.name))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.python = self.folder / "venv/bin/python"
        if not (self.folder / "installed").exists():
            self._install()

    def estimate(self, recording: Recording) -> Estimates:
        """Estimate the betas of a simulated subject; those that are kept are read."""
        arrays = {"n_runs": len(recording.series), "tr_s": recording.world.tr_s, "shown_s": recording.world.shown_s}
        for run, (series, onsets, pictures) in enumerate(
            zip(recording.series, recording.onsets_s, recording.pictures, strict=True)
        ):
            arrays |= {f"series{run}": series, f"onsets{run}": onsets, f"pictures{run}": pictures}
        digest = hashlib.sha256(" ".join([COMMIT, *PINS]).encode())
        for name, values in arrays.items():
            digest.update(name.encode() + np.ascontiguousarray(values).tobytes())
        given, made = (self.folder / f"{digest.hexdigest()[:16]}-{end}.npz" for end in ("given", "made"))
        if not made.exists():
            np.savez(given, **arrays)
            subprocess.run(
                [str(self.python), str(PEER), str(given), str(made)],
                check=True,
                cwd=self.folder,
                env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
                capture_output=True,
            )
            given.unlink()
        with np.load(made) as read:
            return Estimates(read["d"], float(read["d_cpu_s"]), read["d_halved"], float(read["d_halved_cpu_s"]))

    def _install(self) -> None:
        source = os.environ.get(SOURCE_VARIABLE, SOURCE)
        subprocess.run([sys.executable, "-m", "venv", str(self.folder / "venv")], check=True)
        installed = subprocess.run(
            [str(self.python), "-m", "pip", "install", "--quiet", source, *PINS], capture_output=True, text=True
        )
        if installed.returncode:
            raise RuntimeError(
                f"GLMsingle cannot be installed from {source}; set {SOURCE_VARIABLE} to a folder with a checkout of "
                f"{COMMIT}:\n{installed.stderr[-2000:]}"
            )
        (self.folder / "installed").write_text(source)
