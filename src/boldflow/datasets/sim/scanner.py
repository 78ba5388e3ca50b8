"""What is scanned of a drawn brain: voxels, noise, and the runs of one subject."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from boldflow.core.simulation import bold, brain
from boldflow.datasets.sim.layout import LEAD_IN_S, NOISE, Plan

FINE = 4  # stored units per s.d. of the noise; rounding adds 0.5 % to its variance, which the oracle counts


@dataclass(frozen=True)
class Cortex:
    """Coordinates of fsaverage5, left hemisphere first: each (n_vertices, 3), mm; ``left`` is bool (n_vertices,)."""

    white: np.ndarray
    pial: np.ndarray
    sphere: np.ndarray

    @property
    def middle(self) -> np.ndarray:
        """Half way between the two surfaces."""
        return (self.white + self.pial) / 2

    @property
    def left(self) -> np.ndarray:
        """Which vertices are of the left hemisphere."""
        n_vertices = len(self.white)
        return np.arange(n_vertices) < n_vertices // 2


@dataclass
class Scanner:
    """A subject in the scanner.

    ``affine`` (4, 4) and ``mask`` (x, y, z) are of the volumes; ``to_voxels`` (n_masked, n_responsive) leads from
    vertices to voxels of the mask, ``smooth`` (n_masked, n_sources) spreads the noise that neighbours share; ``scale``
    (n_masked,) is the s.d. of each voxel's noise, ``step`` the value of one stored unit; ``rng`` draws noise and
    drift, run after run. ``silent`` is bool (n_vertices,): no response reaches these vertices.
    """

    plan: Plan
    affine: np.ndarray
    mask: np.ndarray
    to_voxels: sparse.csr_array
    smooth: sparse.csr_array
    scale: np.ndarray
    step: float
    silent: np.ndarray
    rng: np.random.Generator

    def onsets_s(self, n_trials: int) -> np.ndarray:
        """Onset of each trial of a run, (n_trials,), seconds."""
        return LEAD_IN_S + self.plan.slot_s * np.arange(n_trials)

    def scan(self, amplitudes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Scan one run; runs must be scanned in their order, since the noise is drawn on the way.

        Parameters
        ----------
        amplitudes : array of shape (n_trials, n_responsive)
            Of the picture of each trial.

        Returns
        -------
        clean, noisy : arrays of shape (n_volumes, n_masked)
            Without and with noise and drift.
        """
        n_trials = len(amplitudes)
        n_volumes = self.plan.n_volumes(n_trials)
        response = bold.design(self.onsets_s(n_trials), n_volumes, self.plan.tr_s, self.plan.duration_s)
        clean_bold = bold.BASELINE + bold.SIGNAL * (self.to_voxels @ (response @ amplitudes).T).T
        noise = bold.noise(n_volumes, self.scale, self.smooth, self.rng)
        return clean_bold, clean_bold + noise + bold.drift(n_volumes, self.scale, self.rng)

    def noise_variance(self) -> np.ndarray:
        """Variance of each voxel's noise and of rounding, float32 (x, y, z), 0 outside the mask."""
        variance = np.zeros(self.mask.shape, dtype=np.float32)
        variance[self.mask] = self.scale**2 + self.step**2 / 12
        return variance


def enter(plan: Plan, number: int, cortex: Cortex, subject_brain: brain.Brain) -> Scanner:
    """Lay a subject (its number counts from 0) into the scanner."""
    rng = plan.rng(NOISE, number)
    affine, shape = bold.grid(plan.voxel_mm)
    forward = bold.forward_map(cortex.white, cortex.pial, affine, shape)  # (n_voxels, n_vertices)
    mask = bold.mask_of(forward, shape)
    noise_sd = plan.noise_sd * bold.SIGNAL * rng.uniform(0.85, 1.15)
    return Scanner(
        plan=plan,
        affine=affine,
        mask=mask,
        to_voxels=forward[mask.ravel()][:, subject_brain.responsive],
        smooth=bold.smooth_map(mask, affine),
        scale=noise_sd * np.exp(rng.normal(0, 0.1, int(mask.sum()))),
        step=max(noise_sd, 1.0) / FINE,
        silent=bold.silent_vertices(subject_brain.responsive, cortex.white, cortex.pial, plan.voxel_mm),
        rng=rng,
    )
