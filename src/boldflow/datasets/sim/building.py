"""Writing of the simulated study: a BIDS tree, committed as a DataLad data set, and the truth apart from it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock
from PIL import Image
from tqdm import tqdm

from boldflow.artifacts.arrival.annex_create import create_dataset
from boldflow.artifacts.formats import bids_create
from boldflow.artifacts.store.atomic import write_text
from boldflow.core.compute import fixed_threads
from boldflow.core.simulation import bold, brain
from boldflow.datasets.sim import drawn_pictures, layout, scanner, truth
from boldflow.datasets.sim.layout import Plan
from boldflow.provenance import canonical, digest
from boldflow.vocabulary.hemispheres import HEMISPHERES

DATE = "2024-01-01T00:00:00+00:00"
LARGE = "(include=*.nii.gz)or(include=*.png)"
# hemisphere as BIDS writes it, and the structure of GIFTI
SIDES = {"L": "CortexLeft", "R": "CortexRight"}


def at_hand(plan: Plan, workspace: str | Path, code: str) -> tuple[Path, str]:
    """Write the data set and its truth, unless they are there for this plan and this code.

    Parameters
    ----------
    plan : Plan
    workspace : str or Path
        The data set goes to ``origins/NAME``, the truth to ``oracle/NAME``.
    code : str
        Digest of the code that writes.

    Returns
    -------
    origin : Path
    commit : str
    """
    name = plan.name
    origin, oracle = (Path(workspace).resolve() / kind / name for kind in ("origins", "oracle"))
    stamp = origin.with_name(f"{name}.json")
    source_digest = digest(canonical({"settings": plan.settings, "code": code}))
    origin.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(origin.with_name(f"{name}.lock")):
        note = json.loads(stamp.read_text(encoding="utf-8")) if stamp.is_file() else {}
        if note.get("made_from") != source_digest or not origin.is_dir() or not oracle.is_dir():
            stamp.unlink(missing_ok=True)
            commit = _build_anew(plan, origin, oracle)
            note = {"made_from": source_digest, "commit": commit, "settings": plan.settings}
            write_text(stamp, json.dumps(note, indent=2, sort_keys=True) + "\n")
    return origin, note["commit"]


def _build_anew(plan: Plan, origin: Path, oracle: Path) -> str:
    """Build beside the two folders, then put them in place; return the commit. The lock is ours."""
    new_origin, new_oracle = (path.with_name(f".{path.name}.part") for path in (origin, oracle))
    for path in (new_origin, new_oracle):  # left by a build that was interrupted
        _remove(path)
        path.mkdir(parents=True)
    with fixed_threads(1):
        build(new_origin, new_oracle, plan)
    commit = create_dataset(new_origin, plan.name, LARGE, DATE)
    for new_path, path in ((new_oracle, oracle), (new_origin, origin)):
        _remove(path)
        new_path.rename(path)
    return commit


def build(folder: Path, oracle: Path, plan: Plan) -> None:
    """Write the data set's files below ``folder``, and the truth below ``oracle``."""
    picture_table, pictures = drawn_pictures.draw(plan)
    _write_study(folder, plan, picture_table, pictures)
    channel_maps = brain.see(pictures)  # (n_images, n_channels, grid, grid)
    category_index = picture_table["category"].map(drawn_pictures.CATEGORIES.index).to_numpy()
    strength = np.exp(plan.rng(layout.STRENGTH).normal(0, 0.25, len(picture_table)))
    is_train = (picture_table["part"] == "train").to_numpy()
    cortex = _cortex()
    with tqdm(total=len(plan.subjects) * plan.n_runs, desc="simulate BOLD", unit="run") as bar:
        for subject_number, subject in enumerate(plan.subjects):
            rng = plan.rng(layout.BRAIN, subject_number)
            subject_brain = brain.draw_brain(cortex.sphere, cortex.middle, cortex.left, drawn_pictures.CATEGORIES, rng)
            amplitudes = brain.amplitudes(
                subject_brain, channel_maps, category_index, strength, is_train
            )  # (n_images, n_responsive)
            subject_scanner = scanner.enter(plan, subject_number, cortex, subject_brain)
            _write_rois(folder / layout.ROIS / subject, subject, subject_brain, subject_scanner.silent)
            _write_runs(folder, oracle, subject, subject_number, subject_scanner, picture_table, amplitudes, bar)
            truth.write(
                oracle / subject,
                vertices=truth.table_of_vertices(subject_brain, subject_scanner.silent, drawn_pictures.CATEGORIES),
                image_ids=picture_table["file"].to_numpy(dtype=str),
                amplitudes=amplitudes,
                channel_weights=brain.channel_weights(subject_brain),
                noise_variance=subject_scanner.noise_variance(),
                mask=subject_scanner.mask,
                affine=subject_scanner.affine,
            )


def _cortex() -> scanner.Cortex:
    """Coordinates of fsaverage5."""
    from nilearn import datasets, surface  # takes seconds, and only a build needs it

    paths = datasets.fetch_surf_fsaverage("fsaverage5")
    coordinates = {
        kind: np.concatenate(
            [surface.load_surf_mesh(paths[f"{kind}_{side}"]).coordinates.astype(float) for side in HEMISPHERES]
        )
        for kind in ("white", "pial", "sphere")
    }
    return scanner.Cortex(**coordinates)


def _write_study(folder: Path, plan: Plan, picture_table: pd.DataFrame, pictures: np.ndarray) -> None:
    """Write what all subjects share."""
    description = {"BIDSVersion": "1.9.0", "License": plan.licence, "GeneratedBy": [{"Name": "boldflow sim"}]}
    for subfolder, dataset_type in (("", "raw"), (layout.PREPROC, "derivative"), (layout.ROIS, "derivative")):
        name = f"Simulated study: people look at pictures {subfolder}".strip()
        bids_create.write_json(
            folder / subfolder / "dataset_description.json", {**description, "Name": name, "DatasetType": dataset_type}
        )
    readme = "SIMULATED: no person was scanned. There is no raw BOLD; derivatives/preproc holds what is analysed.\n"
    write_text(folder / "README", readme)
    bids_create.write_tsv(folder / "participants.tsv", pd.DataFrame({"participant_id": plan.subjects}))
    (folder / "stimuli").mkdir()
    for name, picture in zip(picture_table["file"], pictures, strict=True):
        Image.fromarray(picture).save(folder / "stimuli" / name)
    bids_create.write_tsv(folder / layout.LISTED, picture_table)


def _write_runs(
    folder: Path,
    oracle: Path,
    subject: str,
    subject_number: int,
    subject_scanner: scanner.Scanner,
    picture_table: pd.DataFrame,
    amplitudes: np.ndarray,
    bar: "tqdm[None]",
) -> None:
    """Write one subject's mask, events and BOLD, and the BOLD without noise."""
    plan, mask, affine = subject_scanner.plan, subject_scanner.mask, subject_scanner.affine
    session_stem = f"{subject}_ses-{layout.SESSION}_task-{layout.TASK}"
    preproc = folder / layout.BOLD_FOLDER.format(subject=subject)
    raw = folder / subject / f"ses-{layout.SESSION}" / "func"
    bids_create.write_nifti(
        preproc / f"{session_stem}_space-{layout.SPACE}_desc-brain_mask.nii.gz", mask.astype(np.uint8), affine
    )
    sidecar = {"RepetitionTime": plan.tr_s, "TaskName": layout.TASK, "StartTime": 0.0, "SkullStripped": True}
    schedule_counts = (plan.n_train_images, plan.n_test_images, plan.n_test_repeats, plan.n_runs)
    for run, order in enumerate(bold.schedule(*schedule_counts, plan.rng(layout.ORDER, subject_number)), start=1):
        run_events = _events(picture_table, order, subject_scanner.onsets_s(len(order)), plan.duration_s)
        bids_create.write_tsv(raw / f"{session_stem}_run-{run:02d}_events.tsv", run_events)
        clean_bold, noisy_bold = subject_scanner.scan(amplitudes[order])  # (n_volumes, n_masked)
        run_stem = f"{session_stem}_run-{run:02d}_space-{layout.SPACE}"
        _write_bold(preproc / f"{run_stem}_desc-preproc_bold.nii.gz", noisy_bold, subject_scanner, subject_scanner.step)
        _write_bold(oracle / subject / f"{run_stem}_desc-noisefree_bold.nii.gz", clean_bold, subject_scanner, None)
        bids_create.write_json(preproc / f"{run_stem}_desc-preproc_bold.json", sidecar)
        bar.update()


def _events(picture_table: pd.DataFrame, order: np.ndarray, onsets_s: np.ndarray, duration_s: float) -> pd.DataFrame:
    """Events of a run that shows the pictures ``order`` (rows of the table)."""
    return pd.DataFrame(
        {
            "onset": onsets_s,
            "duration": float(duration_s),
            "trial_type": picture_table["category"].to_numpy()[order],
            "stim_file": picture_table["file"].to_numpy()[order],
        }
    )


def _write_bold(path: Path, series: np.ndarray, scanned: scanner.Scanner, step: float | None) -> None:
    """Write masked time series (n_volumes, n_masked) as float32, or as int16 in units of ``step``."""
    stored = series.astype(np.float32) if step is None else np.rint(series / step).astype(np.int16)
    volumes = np.zeros((*scanned.mask.shape, len(series)), dtype=stored.dtype, order="F")  # (x, y, z, n_volumes)
    for k, row in enumerate(stored):
        volumes[..., k][scanned.mask] = row
    bids_create.write_nifti(path, volumes, scanned.affine, scanned.plan.tr_s, step or 1.0)


def _write_rois(folder: Path, subject: str, drawn: brain.Brain, silent: np.ndarray) -> None:
    """Write the areas of both hemispheres as labels of fsaverage5."""
    names = dict(enumerate([*drawn.areas, layout.SILENT], start=1))
    labels = np.where(silent, len(names), drawn.area + 1)  # (n_vertices,)
    half = len(labels) // 2
    for side, part in zip(SIDES, (labels[:half], labels[half:]), strict=True):
        path = folder / f"{subject}_hemi-{side}_space-fsaverage5_dseg.label.gii"
        bids_create.write_labels(path, part, names, SIDES[side])


def _remove(folder: Path) -> None:
    """Remove a data set, whose annexed objects lie in folders without write permission."""
    if folder.exists():
        for place in [folder, *(path for path in folder.rglob("*") if path.is_dir() and not path.is_symlink())]:
            place.chmod(0o700)
        shutil.rmtree(folder)
