"""Images are read volume after volume, with nibabel's own values."""

import struct

import nibabel as nib
import numpy as np
import pytest

from boldflow.artifacts.formats import bids

SCALINGS = [(0.37, 5.1), (1, 0), (2.5, 0), (float("nan"), float("nan"))]


@pytest.mark.parametrize("shape", [(4, 5, 6), (4, 5, 6, 7)])
@pytest.mark.parametrize("kind", ["int16", "uint8", "float32", "float64"])
@pytest.mark.parametrize(("slope", "inter"), SCALINGS)
def test_values_are_nibabels(tmp_path, shape, kind, slope, inter):
    raw = (np.random.default_rng(0).uniform(0, 200, size=shape)).astype(kind)
    path = tmp_path / "bold.nii"
    nib.Nifti1Image(raw, np.eye(4)).to_filename(path)
    content = bytearray(path.read_bytes())
    content[112:120] = struct.pack("<ff", slope, inter)  # scl_slope, scl_inter
    path.write_bytes(content)
    _, found = bids.volume(path)
    wanted = np.asarray(nib.Nifti1Image.from_filename(path).dataobj, dtype=np.float32)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, wanted)
