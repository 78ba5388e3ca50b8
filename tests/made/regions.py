"""Made files of regions, as FreeSurfer and others write them."""

import nibabel as nib
import numpy as np


def write_label(path, vertices, line="#!ascii label  , from subject  vox2ras=TkReg"):
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"{vertex}  -10.5  20.25  3.000 0.0000000000" for vertex in vertices]
    path.write_text("\n".join([line, str(len(rows)), *rows]) + "\n")


def write_overlay(path, values):
    """Write values (n_vertices,), or of any shape, as an overlay of FreeSurfer's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.asarray(values, dtype=np.float32)
    shaped = values.reshape(-1, 1, 1) if values.ndim == 1 else values
    nib.MGHImage(shaped, np.eye(4)).to_filename(path)


def write_gifti(path, *arrays):
    path.parent.mkdir(parents=True, exist_ok=True)
    found = [nib.gifti.GiftiDataArray(np.asarray(one, np.float32), intent="NIFTI_INTENT_SHAPE") for one in arrays]
    nib.gifti.GiftiImage(darrays=found).to_filename(path)
