"""A small BIDS folder with derivatives as fMRIPrep names them, to be spoilt, and its way through the stages.

Everything is made up and its truth is known: a response to each picture, sampled when the volumes were taken.
"""

import json
import shutil

import nibabel as nib
import numpy as np
import pandas as pd
from PIL import Image
from scipy import stats

from boldflow import catalogue, registry
from boldflow.artifacts.store import arrays, sidecars, tables
from boldflow.provenance import canonical
from boldflow.stages.fetch import fetch_dataset, fetch_subject
from boldflow.stages.responses import project_responses
from boldflow.stages.trials import list_trials
from tests.conftest import ROOT

SCHEMAS = registry.read_schemas(ROOT / "workflow" / "schemas")
TR_S, N_VOLUMES, SHAPE = 2.0, 60, (5, 5, 4)
AFFINE = np.diag([36.0, 43.0, 40.0, 1.0])
AFFINE[:3, 3] = [-72.0, -105.0, -55.0]  # covers the MNI brain
WINDOW = {"kind": "bold", "space": "native", "start_s": 4.0, "duration_s": 6.0}
MIDDLE = {"SliceTimingCorrected": True, "StartTime": TR_S / 2}
PREPROC, MASK = "desc-preproc_bold.nii.gz", "desc-brain_mask.nii.gz"


def hrf_at(time_s):
    """Difference of two gamma densities, some seconds after an instant."""
    return np.where(time_s > 0, stats.gamma.pdf(time_s, 6) - stats.gamma.pdf(time_s, 16) / 6, 0.0)


class OwnFolder:
    """A folder of one subject: ``shown`` and ``onsets_s`` by run, ``patterns`` (n_voxels,) by picture."""

    def __init__(
        self,
        home,
        n_runs=2,
        slot_s=10.0,
        n_trials=10,
        delay_s=0.0,
        noise=0.3,
        subject="sub-01",
        space="MNI152NLin2009cAsym",
    ):
        self.home, self.folder, self.work, self.subject = home, home / "mine", home / "work", subject
        self.raw = self.folder / subject / "func"
        self.prep = self.folder / "derivatives/fmriprep" / subject / "func"
        for place in (self.raw, self.prep, self.work, self.folder / "stimuli"):
            place.mkdir(parents=True)
        rng = np.random.default_rng(0)
        names = [f"pic{k:02d}.png" for k in range(n_runs * n_trials // 2)]
        for name in names:
            picture = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(picture).save(self.folder / "stimuli" / name)
        self.patterns = {name: rng.normal(size=int(np.prod(SHAPE))) for name in names}
        order = rng.permutation([*names, *names])
        self.onsets_s = 6.0 + slot_s * np.arange(n_trials)
        self.shown = {run: order[n_trials * (run - 1) : n_trials * run].tolist() for run in range(1, n_runs + 1)}
        self.bold = {}
        for run in self.shown:
            stem = f"{subject}_task-look_run-{run:02d}_"
            rows = [
                f"{onset:.3f}\t1.000\timage\t{name}" for onset, name in zip(self.onsets_s, self.shown[run], strict=True)
            ]
            self.write_events(f"{stem}events.tsv", ["onset\tduration\ttrial_type\tstim_file", *rows])
            times_s = TR_S * np.arange(N_VOLUMES) + delay_s
            fine_s = np.arange(0, 1, 0.05)
            courses = hrf_at(times_s[:, None, None] - self.onsets_s[:, None] - fine_s).mean(axis=-1)
            signal = courses @ np.stack([self.patterns[name] for name in self.shown[run]])
            values = (1000 + 50 * signal + noise * rng.normal(size=signal.shape)).astype(np.float32)
            self.bold[run] = values  # (n_volumes, n_voxels)
            stem += f"space-{space}_"
            save(self.prep / f"{stem}{PREPROC}", values.T.reshape(*SHAPE, -1))
            save(self.prep / f"{stem}{MASK}", np.ones(SHAPE, np.uint8))
            self.state(f"{stem}desc-preproc_bold.json", {"RepetitionTime": TR_S, "TaskName": "look"})
            columns = [
                "framewise_displacement",
                "trans_x",
                "trans_y",
                "trans_z",
                "rot_x",
                "rot_y",
                "rot_z",
                "csf",
                "white_matter",
            ]
            motion = rng.normal(size=(N_VOLUMES, len(columns))) * 0.05
            table = pd.DataFrame(motion, columns=columns).assign(framewise_displacement=abs(motion[:, 0]))
            table.loc[0, "framewise_displacement"] = np.nan
            name = f"{subject}_task-look_run-{run:02d}_desc-confounds_timeseries.tsv"
            table.to_csv(self.prep / name, sep="\t", index=False, na_rep="n/a")

    def write_events(self, name, lines):
        (self.raw / name).write_text("\n".join(lines) + "\n")

    def state(self, name, content):
        (self.prep / name).write_text(json.dumps(content))

    def files(self, pattern):
        """Files of the folder, sorted."""
        return sorted(self.folder.rglob(pattern))

    def edit_lines(self, pattern, change):
        for path in self.files(pattern):
            path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")

    def edit_sidecars(self, **stated):
        """Change what the sidecars of the BOLD state; None takes a key away."""
        for path in self.files("*_bold.json"):
            content = json.loads(path.read_text()) | stated
            path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))

    def edit_images(self, pattern, change):
        """Write images anew; ``change`` takes values and header, and gives values."""
        for path in self.files(pattern):
            image = nib.load(path)
            header, values = image.header.copy(), np.asarray(image.dataobj)
            values = change(values, header)
            write(path, values, image.affine, header)

    def rename(self, old, new, pattern="*", copy=False):
        """Write ``new`` for ``old`` in names of files."""
        for path in self.files(pattern):
            if path.is_file() and old in path.name:
                other = path.with_name(path.name.replace(old, new))
                shutil.copy(path, other) if copy else path.rename(other)

    def config(self, **more):
        keys = {"folder": str(self.folder), "subjects": [self.subject], "tr_s": TR_S, "image_column": "stim_file"}
        return {"datasets": {"mine": {"plugin": "bids", **keys, **more}}}

    def entry(self, **more):
        return catalogue.settings(self.config(**more), SCHEMAS, "datasets", "mine")

    def trials(self, **more):
        """The trial table and what its note says, as rule list_trials makes them."""
        self._fetch(more)
        config = self.config(**more)
        path = self.work / "trials.parquet"
        list_trials.run(
            str(self.work / "dataset.json"), str(path), self.subject, handed(config, "list_trials", self.subject), "{}"
        )
        return tables.read(path), tables.sidecar(path)

    def responses(self, response=None, **more):
        """Responses and what their sidecar says, as rule project_responses makes them."""
        self.trials(**more)
        config = self.config(**more)
        paths = {name: str(self.work / name) for name in ("responses.npy", "responses.json", "vertices.parquet")}
        response_entry = {"name": "own", "average": True, "rois": [], "max_masked": 0.9, **WINDOW, **(response or {})}
        project_responses.run(
            source=str(self.work / "dataset.json"),
            receipt=str(self.work / "subject.json"),
            trials=str(self.work / "trials.parquet"),
            split=[],
            hrf=[],
            responses=paths["responses.npy"],
            sidecar=paths["responses.json"],
            vertices=paths["vertices.parquet"],
            subject=self.subject,
            recording="bold",
            settings=canonical(response_entry),
            places="{}",
            regions="{}",
            dataset=handed(config, "project_responses", self.subject),
            facts=canonical(catalogue.facts_read(config, "datasets", "mine", "project_responses")),
            code="{}",
        )
        return np.array(arrays.read(paths["responses.npy"])), sidecars.read(paths["responses.json"])

    def windows(self, run, start_s=4.0, n_volumes=3, offset_s=0.0):
        """Mean over a window of each trial of a run that is detrended and standardised, (n_trials, n_voxels)."""
        time = np.arange(N_VOLUMES)
        line = np.polynomial.polynomial.polyfit(time, self.bold[run], 1)
        residual = self.bold[run] - np.polynomial.polynomial.polyval(time, line).T
        residual /= residual.std(axis=0, ddof=1)
        first = [int(np.floor((onset + start_s - offset_s) / TR_S + 0.5)) for onset in self.onsets_s]
        return np.stack([residual[k : k + n_volumes].mean(axis=0) for k in first])

    def truth(self):
        """Patterns of the pictures in the order of trials, (n_trials, n_voxels)."""
        return np.stack([self.patterns[name] for run in sorted(self.shown) for name in self.shown[run]])

    def _fetch(self, more):
        config = self.config(**more)
        fetch_dataset.run(str(self.work / "dataset.json"), handed(config, "fetch_dataset"), "{}")
        fetch_subject.run(
            str(self.work / "dataset.json"),
            str(self.work / "subject.json"),
            self.subject,
            "bold",
            handed(config, "fetch_subject", self.subject),
            "{}",
        )


def handed(config, rule, subject=""):
    """What the workflow hands a rule of the entry."""
    return canonical(catalogue.handed(config, SCHEMAS, "datasets", "mine", rule, subject))


def save(path, values):
    header = nib.Nifti1Header()
    header.set_xyzt_units("mm", "sec")
    header.set_data_dtype(values.dtype)
    header.set_data_shape(values.shape)
    header.set_sform(AFFINE, 4)
    header.set_qform(AFFINE, 4)
    if values.ndim == 4:
        header["pixdim"][4] = TR_S
    write(path, values, AFFINE, header)


def write(path, values, affine, header):
    """Write an image whose codes are those of ``header``, 0 included."""
    codes = {key: int(header[key]) for key in ("sform_code", "qform_code")}
    image = nib.Nifti1Image(values, affine if any(codes.values()) else None, header)
    for key, code in codes.items():
        image.header[key] = code
    image.to_filename(path)
