"""Writing of BIDS files whose bytes depend on their content alone: NIfTI, GIFTI labels, TSV, JSON."""

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd

LEVEL = 3  # of gzip: higher ones take long and gain a few percent on noise
# colours of labels, in turn; red, green, blue, alpha from 0 to 1
COLOURS = (
    (0.90, 0.62, 0.00, 1.0), (0.34, 0.71, 0.91, 1.0), (0.00, 0.62, 0.45, 1.0), (0.94, 0.89, 0.26, 1.0),
    (0.00, 0.45, 0.70, 1.0), (0.84, 0.37, 0.00, 1.0), (0.80, 0.47, 0.65, 1.0), (0.35, 0.35, 0.35, 1.0),
)  # fmt: skip


def write_nifti(
    path: str | Path, voxels: np.ndarray, affine: np.ndarray, tr_s: float | None = None, slope: float = 1.0
) -> None:
    """Write a gzipped NIfTI-1 in MNI space.

    Parameters
    ----------
    path : str or Path
        Its folder is made where missing.
    voxels : array of shape (x, y, z) or (x, y, z, n_volumes)
        As stored: uint8, int16 or float32.
    affine : array of shape (4, 4)
        mm.
    tr_s : float, optional
        Seconds.
    slope : float
        Value of one stored unit.
    """
    header = nib.Nifti1Header()
    header.set_data_dtype(voxels.dtype)
    header.set_data_shape(voxels.shape)
    voxel_sizes = [float(np.linalg.norm(affine[:3, k])) for k in range(3)]
    header.set_zooms([*voxel_sizes, *([tr_s] if voxels.ndim == 4 else [])])
    header.set_sform(affine, code="mni")
    header.set_qform(affine, code="mni")
    header.set_xyzt_units("mm", "sec")
    header["magic"] = b"n+1"
    header["vox_offset"] = 352
    header["scl_slope"], header["scl_inter"] = slope, 0
    nifti_bytes = header.binaryblock + b"\0" * 4 + voxels.tobytes(order="F")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(nifti_bytes, LEVEL, mtime=0))


def write_labels(path: str | Path, labels: np.ndarray, names: Mapping[int, str], structure: str) -> None:
    """Write a GIFTI label file.

    Parameters
    ----------
    path : str or Path
        Its folder is made where missing.
    labels : int array of shape (n_vertices,)
        0 where there is no label.
    names : mapping of int to str
        Without 0.
    structure : str
        ``CortexLeft`` or ``CortexRight``.
    """
    table = nib.gifti.GiftiLabelTable()
    for key, name in {0: "???", **names}.items():
        colour = COLOURS[(key - 1) % len(COLOURS)] if key else (0.0, 0.0, 0.0, 0.0)
        label: Any = nib.gifti.GiftiLabel(key, *colour)
        label.label = name
        table.labels.append(label)
    array = nib.gifti.GiftiDataArray(
        labels.astype(np.int32),
        intent="NIFTI_INTENT_LABEL",
        datatype="NIFTI_TYPE_INT32",
        meta=nib.gifti.GiftiMetaData({"AnatomicalStructurePrimary": structure}),
    )
    image = nib.gifti.GiftiImage(labeltable=table, darrays=[array])
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(image.to_bytes())


def write_tsv(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table as BIDS wants it: tabs, ``n/a`` where there is no value."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, sep="\t", index=False, na_rep="n/a", lineterminator="\n")


def write_json(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write JSON with sorted keys."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
