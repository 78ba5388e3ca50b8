"""Files in the exact layouts of the Natural Scenes Dataset, made of random numbers: tiny in space, few trials.

No number in them comes from the data set. What is planted is in ``Made``: tests compare what readers give back with it.
Responses hold an encoding signal: a weighted sum of the pictures' Gabor energies, and noise.

``python -m tests.made.nsd [PORT]`` makes them and serves them on 127.0.0.1 from a look-alike of S3 (moto), for the
study nsd-tiny, until it is interrupted.
"""

import gzip
import io
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import nibabel as nib
import numpy as np
import scipy.io

from boldflow import catalogue, registry

BUCKET = "natural-scenes-dataset"
PORT = 8037  # as config/config.yaml has it for nsd-tiny
GRIDS = {"subj01": (8, 9, 7), "subj02": (7, 8, 9), "subj04": (6, 9, 8)}
N_SUBJECTS = 8  # of the design
N_VERTICES = 10242  # of a hemisphere: the coarsest mesh that responses come in
SIDE = 48  # px of a picture
PREPARATION = "betas_fithrf_GLMdenoise_RR"
SETS = {
    "nsdgeneral": [],
    "prf-visualrois": ["V1v", "V1d", "V2v", "V2d", "V3v", "V3d", "hV4"],
    "floc-bodies": ["EBA", "FBA-1", "FBA-2", "mTL-bodies"],
    "floc-faces": ["OFA", "FFA-1", "FFA-2", "mTL-faces", "aTL-faces"],
    "floc-places": ["OPA", "PPA", "RSC"],
    "floc-words": ["OWFA", "VWFA-1", "VWFA-2", "mfs-words", "mTL-words"],
    "streams": ["early", "midventral", "midlateral", "midparietal", "ventral", "lateral", "parietal"],
    "Kastner2015": ["V1v", "V1d", "V2v", "V2d", "V3v", "V3d", "hV4", "VO1"],
    "HCP_MMP1": ["V1", "MST", "V6", "V2"],
}
ON_FSAVERAGE = ("nsdgeneral", "streams", "Kastner2015", "HCP_MMP1")


@dataclass
class Made:
    """What was planted: ``files`` by key of the bucket, and the numbers inside.

    ``order`` (n_trials,) places in a subject's list, ``pictures`` (8, n_list) rows of the brick, both from 0;
    ``brick`` (n, side, side, 3); ``volumes`` and ``surfaces`` by subject and session: int16 (x, y, z, n_trials), and
    float32 (2 * n_vertices, n_trials); ``regions`` (subject or fsaverage, set) numbers; ``ncsnr`` by subject: volume
    and surface; ``coco`` ids by row of the brick.
    """

    n_sessions: int
    per_session: int
    files: dict[str, bytes] = field(default_factory=dict)
    order: np.ndarray = field(default_factory=lambda: np.empty(0, int))
    pictures: np.ndarray = field(default_factory=lambda: np.empty(0, int))
    shared: np.ndarray = field(default_factory=lambda: np.empty(0, int))
    brick: np.ndarray = field(default_factory=lambda: np.empty(0))
    volumes: dict[tuple[str, int], np.ndarray] = field(default_factory=dict)
    surfaces: dict[tuple[str, int], np.ndarray] = field(default_factory=dict)
    regions: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    ncsnr: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    coco: np.ndarray = field(default_factory=lambda: np.empty(0, int))

    def shown(self, subject: str) -> np.ndarray:
        """Rows of the brick in the order in which a subject saw them."""
        return self.pictures[int(subject[4:]) - 1][self.order]

    def write(self, folder: Path) -> Path:
        """Write the files below a folder."""
        for key, content in self.files.items():
            path = folder / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return folder


def make(
    n_sessions: int = 3,
    per_session: int = 60,
    n_vertices: int = N_VERTICES,
    seed: int = 0,
    subjects: tuple[str, ...] = ("subj01", "subj02"),
) -> Made:
    """Make everything for some subjects; ``per_session`` is a multiple of 12, the runs of a session."""
    rng = np.random.default_rng(seed)
    made = Made(n_sessions, per_session)
    n_list = n_sessions * per_session // 3
    n_shared = n_list // 3
    rows = rng.permutation(n_shared + N_SUBJECTS * (n_list - n_shared))
    made.shared = np.sort(rows[:n_shared])
    own = rows[n_shared:].reshape(N_SUBJECTS, -1)
    made.pictures = np.hstack([np.tile(made.shared, (N_SUBJECTS, 1)), own])
    made.order = rng.permutation(np.repeat(np.arange(n_list), 3))
    made.brick = _pictures(len(rows), rng)
    made.coco = rng.permutation(np.arange(1, 5 * len(rows)))[: len(rows)]
    _shared_files(made, rng, n_vertices)
    energies = _energies(made.brick)
    for subject in subjects:
        _subject(made, subject, GRIDS[subject], n_vertices, energies[made.shown(subject)], rng)
    return made


def instances(made: Made) -> dict[str, Any]:
    """Give COCO's instances of all pictures: every third has a large person, all others a dog, every second a cup."""
    names = {1: "person", 18: "dog", 47: "cup"}
    annotations = []
    for row, number in enumerate(made.coco.tolist()):
        annotations.append({"image_id": number, "category_id": 18 if row % 3 else 1, "area": 900.5})
        if row % 2:
            annotations.append({"image_id": number, "category_id": 47, "area": 20.0})
    return {
        "images": [{"id": number} for number in made.coco.tolist()],
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for number, name in names.items()],
    }


def _pictures(n: int, rng: np.random.Generator) -> np.ndarray:
    """Gratings of any direction, width and colour, each beside another."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    found = np.empty((n, SIDE, SIDE, 3), dtype=np.uint8)
    for one in found:
        halves = []
        for _ in range(2):
            angle, cycles, phase = rng.uniform(0, np.pi), rng.uniform(2, 10), rng.uniform(0, 2 * np.pi)
            wave = np.sin(2 * np.pi * cycles * (x * np.cos(angle) + y * np.sin(angle)) + phase)
            halves.append(127 + 100 * rng.uniform(0.2, 1) * wave)
        grey = np.where(x < rng.uniform(0.3, 0.7), *halves)
        one[:] = np.clip(grey[..., None] + rng.normal(0, 10, 3), 0, 255).astype(np.uint8)
    return found


def _energies(brick: np.ndarray) -> np.ndarray:
    """Describe pictures as the feature gabor does, a few directions of it, each standardised."""
    from boldflow.core.pictures.vision import describe

    schemas = registry.read_schemas(Path(__file__).parents[2] / "workflow/schemas")
    entry = catalogue.settings({"features": {"gabor": {}}}, schemas, "features", "gabor")
    found = describe(registry.load("features", "gabor").extractor(entry, None, "cpu"), list(brick))
    found = (found - found.mean(axis=0)) / (found.std(axis=0) + 1e-9)
    left, spread, _ = np.linalg.svd(found, full_matrices=False)
    return left[:, :8] * np.sqrt(len(brick)) * np.minimum(1, spread[:8] / spread[0] + 0.5)


def _shared_files(made: Made, rng: np.random.Generator, n_vertices: int) -> None:
    mat = io.BytesIO()
    content = {
        "masterordering": made.order[None] + 1.0,
        "subjectim": made.pictures + 1.0,
        "sharedix": made.shared[None] + 1.0,
        "basiccnt": np.zeros((3, made.n_sessions)),
    }
    scipy.io.savemat(mat, content, do_compression=True)
    made.files["nsddata/experiments/nsd/nsd_expdesign.mat"] = mat.getvalue()
    head = ",cocoId,cocoSplit,cropBox,loss,nsdId,flagged,BOLD5000,shared1000"
    lines = [
        f'{row},{coco},{"train2017" if row % 5 else "val2017"},"(0, 0, 0.16, 0.16)",0.1,{row},False,False,'
        f"{row in set(made.shared.tolist())}"
        for row, coco in enumerate(made.coco.tolist())
    ]
    made.files["nsddata/experiments/nsd/nsd_stim_info_merged.csv"] = "\n".join([head, *lines, ""]).encode()
    with _Hdf5() as brick:
        brick.file.create_dataset("imgBrick", data=made.brick)
    made.files["nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5"] = brick.content
    for name in ON_FSAVERAGE:
        values = rng.integers(0, max(1, len(SETS[name])) + 1, 2 * n_vertices)
        made.regions["fsaverage", name] = values
        for side, half in zip(("lh", "rh"), np.split(values, 2), strict=True):
            key = f"nsddata/freesurfer/fsaverage/label/{side}.{name}.mgz"
            made.files[key] = gzip.compress(_mgh(half.astype(np.int32)), mtime=0)
        _names(made, "fsaverage", name)


def _names(made: Made, owner: str, name: str) -> None:
    rows = ["0 Unknown 0 0 0 0", *(f"{n} {one} {n} 0 0 0" for n, one in enumerate(SETS[name], 1))]
    if SETS[name]:
        made.files[f"nsddata/freesurfer/{owner}/label/{name}.mgz.ctab"] = "\n".join([*rows, ""]).encode()


def _subject(
    made: Made,
    subject: str,
    grid: tuple[int, int, int],
    n_vertices: int,
    energies: np.ndarray,
    rng: np.random.Generator,
) -> None:
    made.files[f"nsddata/ppdata/{subject}/behav/responses.tsv"] = _behaviour(made, subject, rng)
    for name, regions in SETS.items():
        values = rng.integers(0, max(1, len(regions)) + 1, grid) * (rng.random(grid) < 0.6)
        values[rng.random(grid) < 0.3] = -1  # outside of the cortex
        made.regions[subject, name] = values
        made.files[f"nsddata/ppdata/{subject}/func1pt8mm/roi/{name}.nii.gz"] = _nifti(values.astype(np.float64))
        _names(made, subject, name)
    n_voxels = int(np.prod(grid))
    weights = [rng.normal(size=(energies.shape[1], n)) for n in (n_voxels, 2 * n_vertices)]
    gains = [rng.uniform(0.1, 0.6, n) for n in (n_voxels, 2 * n_vertices)]
    noises = [rng.uniform(0.5, 1.5, n) for n in (n_voxels, 2 * n_vertices)]
    folder = f"nsddata_betas/ppdata/{subject}"
    for session in range(1, made.n_sessions + 1):
        here = slice((session - 1) * made.per_session, session * made.per_session)
        percent = [
            energies[here] @ weight * gain + noise * rng.normal(size=(made.per_session, len(gain)))
            for weight, gain, noise in zip(weights, gains, noises, strict=True)
        ]
        volume = np.round(300 * percent[0].T.reshape(*grid, -1)).astype(np.int16)
        made.volumes[subject, session] = volume
        name = f"{folder}/func1pt8mm/{PREPARATION}/betas_session{session:02d}"
        made.files[f"{name}.nii.gz"] = _nifti(volume)
        with _Hdf5() as betas:
            betas.file.create_dataset("betas", data=volume.T, chunks=(1, *volume.shape[2::-1]))
        made.files[f"{name}.hdf5"] = betas.content
        surface = percent[1].T.astype(np.float32)
        made.surfaces[subject, session] = surface
        for side, half in zip(("lh", "rh"), np.split(surface, 2), strict=True):
            made.files[f"{folder}/fsaverage/{PREPARATION}/{side}.betas_session{session:02d}.mgh"] = _mgh(half)
    ratios = [
        (np.linalg.norm(w, axis=0) * g / s).astype(np.float32) for w, g, s in zip(weights, gains, noises, strict=True)
    ]
    made.ncsnr[subject] = (ratios[0].reshape(grid), ratios[1])
    made.files[f"{folder}/func1pt8mm/{PREPARATION}/ncsnr.nii.gz"] = _nifti(ratios[0].reshape(grid))
    for side, half in zip(("lh", "rh"), np.split(ratios[1], 2), strict=True):
        made.files[f"{folder}/fsaverage/{PREPARATION}/{side}.ncsnr.mgh"] = _mgh(half)


def _behaviour(made: Made, subject: str, rng: np.random.Generator) -> bytes:
    columns = (
        *("SUBJECT", "SESSION", "RUN", "TRIAL", "73KID", "10KID", "TIME", "ISOLD", "ISCORRECT", "RT", "CHANGEMIND"),
        *("MEMORYRECENT", "MEMORYFIRST", "ISOLDCURRENT", "ISCORRECTCURRENT", "TOTAL1", "TOTAL2", "BUTTON"),
        "MISSINGDATA",
    )
    lines = ["\t".join(columns)]
    seen: dict[int, int] = {}
    per_run = made.per_session // 12
    for trial, (place, picture) in enumerate(zip(made.order.tolist(), made.shown(subject).tolist(), strict=True)):
        session, rest = divmod(trial, made.per_session)
        run, number = divmod(rest, per_run)
        old = int(place in seen)
        memory = [trial - seen[place]] * 2 if old else ["NaN", "NaN"]
        seen[place] = trial
        day = session * 7 + (12 + 300 * run + 4 * number) / 86400
        missed = rng.random() < 0.05
        pressed = ["NaN", "NaN", 0] if missed else [int(rng.random() < 0.8), f"{rng.uniform(400, 2500):.3f}", 0]
        after = [old, "NaN" if missed else 1, 0 if missed else 1, 0, "NaN" if missed else 1 + old, int(missed)]
        row = [int(subject[4:]), session + 1, run + 1, number + 1, picture + 1, place + 1, f"{day:.9f}", old]
        lines.append("\t".join(map(str, [*row, *pressed, *memory, *after])))
    return ("\n".join(lines) + "\n").encode()


def _nifti(values: np.ndarray) -> bytes:
    image = nib.Nifti1Image(values, np.diag([1.8, 1.8, 1.8, 1.0]))
    if values.ndim == 4:
        image.header.set_zooms((1.8, 1.8, 1.8, 4 / 3))
    return gzip.compress(image.to_bytes(), compresslevel=1, mtime=0)


def _mgh(values: np.ndarray) -> bytes:
    """Write (n_vertices,) or (n_vertices, n_trials) as FreeSurfer does: (n_vertices, 1, 1, n_trials)."""
    shaped = values.reshape(len(values), 1, 1, *values.shape[1:])
    return nib.MGHImage(shaped, np.eye(4)).to_bytes()


class _Hdf5:
    """An HDF5 file in memory."""

    def __enter__(self) -> "_Hdf5":
        self._bytes = io.BytesIO()
        self.file = h5py.File(self._bytes, "w")
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.content = self._bytes.getvalue()


class Bucket:
    """A look-alike of S3 on 127.0.0.1; ``gets`` are the keys that were asked for."""

    def __init__(self, port: int = 0) -> None:
        from moto.server import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import WSGIRequestHandler, make_server

        class Quiet(WSGIRequestHandler):
            def log_request(self, *args: object) -> None:
                """Keep quiet."""

        self.gets: list[str] = []
        inner = DomainDispatcherApplication(create_backend_app)

        def app(environment: dict[str, Any], start: Any) -> Any:
            if environment["REQUEST_METHOD"] == "GET":
                self.gets.append(environment["PATH_INFO"].removeprefix(f"/{BUCKET}/"))
            return inner(environment, start)

        self._server = make_server("127.0.0.1", port, app, threaded=True, request_handler=Quiet)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.public_url = f"{self.url}/{BUCKET}/{{path}}"
        import boto3

        self._client = boto3.client(
            "s3", endpoint_url=self.url, region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none"
        )
        self._client.create_bucket(Bucket=BUCKET)

    def put(self, files: dict[str, bytes]) -> None:
        """Put objects into the bucket."""
        for key, content in files.items():
            self._client.put_object(Bucket=BUCKET, Key=key, Body=content, ACL="public-read")

    def close(self) -> None:
        """End."""
        self._server.shutdown()
        self._thread.join()


@contextmanager
def serve(files: dict[str, bytes], port: int = 0) -> Iterator[Bucket]:
    """Serve files until the block ends."""
    bucket = Bucket(port)
    try:
        bucket.put(files)
        bucket.gets.clear()
        yield bucket
    finally:
        bucket.close()


def main(port: int) -> None:
    """Make the files and serve them until the process is interrupted."""
    made = make()
    with tempfile.TemporaryDirectory() as folder, serve(made.files, port) as bucket:
        path = Path(folder) / "instances_made.json"
        path.write_text(json.dumps(instances(made)))
        size = sum(map(len, made.files.values())) / 1e6
        sys.stdout.write(f"serving {len(made.files)} made files ({size:.0f} MB) at {bucket.url}; end with Ctrl-C\n")
        sys.stdout.flush()
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")
    main(int(sys.argv[1]) if len(sys.argv) > 1 else PORT)
