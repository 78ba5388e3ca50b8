import gzip
import json

import h5py
import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from boldflow.artifacts.arrival import checks, trust

PAGE = b"<!DOCTYPE html>\n<html><body>503 Service Unavailable</body></html>"
MESSAGE = b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code></Error>'


@pytest.fixture
def whole(tmp_path):
    """One whole file of each kind."""
    rng = np.random.default_rng(0)
    voxels = rng.normal(size=(4, 5, 6, 7)).astype(np.float32)
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), tmp_path / "one.nii.gz")
    nib.save(nib.Nifti2Image(voxels, np.eye(4)), tmp_path / "two.nii")
    nib.save(nib.MGHImage(voxels, np.eye(4)), tmp_path / "three.mgz")
    nib.save(nib.GiftiImage(darrays=[nib.gifti.GiftiDataArray(voxels[0, 0])]), tmp_path / "four.func.gii")
    (tmp_path / "five.tsv.gz").write_bytes(gzip.compress(b"a\tb\n" * 500, mtime=0))
    with h5py.File(tmp_path / "six.h5", "w") as handle:
        handle["x"] = voxels
    pixels = rng.integers(0, 255, (40, 50, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "seven.png")
    Image.fromarray(pixels).save(tmp_path / "eight.JPEG", "JPEG")
    (tmp_path / "nine.json").write_text(json.dumps({"RepetitionTime": 2}))
    (tmp_path / "ten.tsv").write_text("onset\tduration\n1\t2\n")
    return sorted(tmp_path.iterdir())


def test_whole_files_pass(whole, tmp_path):
    assert len(whole) == 10
    checks.check(tmp_path, [path.name for path in whole])


@pytest.mark.parametrize("page", [PAGE, MESSAGE, b"  \n<HTML>", gzip.compress(b"junk" * 500, mtime=0)])
def test_what_is_something_else_is_refused_by_name_and_bytes(whole, tmp_path, page):
    kept = ("five.tsv.gz", "ten.tsv") if page.startswith(b"\x1f") else ()
    for path in whole:
        path.write_bytes(page)
    wrong = [path for path in whole if path.name not in (*kept, "three.mgz" if kept else "")]
    with pytest.raises(ValueError, match=f"{len(wrong)} files of") as error:
        checks.check(tmp_path, [path.name for path in whole])
    for path in wrong:
        assert f"  {path.name} ({len(page)} bytes): " in str(error.value)


def test_files_cut_short_are_refused(whole, tmp_path):
    for path in whole:
        path.write_bytes(path.read_bytes()[:-9])
    cut = [path for path in whole if path.name != "ten.tsv"]  # a table has no end that could be missing
    with pytest.raises(ValueError, match=f"{len(cut)} files of") as error:
        checks.check(tmp_path, [path.name for path in whole])
    assert "one.nii.gz" in str(error.value) and "no whole gzip: it ends too early" in str(error.value)


def test_a_flipped_bit_inside_a_compressed_file_is_refused(whole, tmp_path):
    content = bytearray((tmp_path / "one.nii.gz").read_bytes())
    content[-8] ^= 1  # of the CRC
    (tmp_path / "one.nii.gz").write_bytes(content)
    assert "no whole gzip: CRC check failed" in checks.problem(tmp_path / "one.nii.gz")


def test_a_header_that_asks_for_more_than_there_is_shows_both(tmp_path):
    image = nib.Nifti1Image(np.zeros((4, 4, 4, 10), np.int16), np.eye(4))
    short = image.to_bytes()[: 352 + 4 * 4 * 4 * 7 * 2]
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(short, mtime=0))
    (tmp_path / "b.nii").write_bytes(short)
    for name in ("a.nii.gz", "b.nii"):
        told = checks.problem(tmp_path / name)
        assert told == f"no whole NIfTI: shape (4, 4, 4, 10) needs {352 + 1280} bytes, there are {len(short)}"


def test_big_endian_headers_are_read(tmp_path):
    header = nib.Nifti1Header(endianness=">")
    nib.save(nib.Nifti1Image(np.zeros((3, 3, 3), ">i2"), np.eye(4), header), tmp_path / "a.nii.gz")
    assert checks.problem(tmp_path / "a.nii.gz") == ""


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.tsv.gz", "a.h5", "a.png", "a.json", "a.gii"])
def test_an_empty_file_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    assert checks.problem(tmp_path / name)


def test_what_is_seen_first_is_trusted_and_another_shows_both(tmp_path):
    record = tmp_path / "trusted" / "x.json"
    files = {f"{place}.png": f"sha256:{place}" for place in range(9)}
    trust.confirm(record, "stimuli of x", files, "sha256:archive")
    first = record.read_bytes()
    trust.confirm(record, "stimuli of x", files, "sha256:archive")
    trust.confirm(record, "stimuli of x", files)  # the folder that was unpacked from it
    assert record.read_bytes() == first
    changed = {**files, "3.png": "sha256:other"}
    with pytest.raises(ValueError, match=r"1 of 9 checksums(.|\n)*3\.png: sha256:3 at first use, sha256:other now"):
        trust.confirm(record, "stimuli of x", changed)
    with pytest.raises(ValueError, match="the archive: sha256:archive at first use, sha256:another now"):
        trust.confirm(record, "stimuli of x", files, "sha256:another")
    with pytest.raises(ValueError, match=r"9 of 9(.|\n)*missing now(.|\n)*and 4 more(.|\n)*remove .*x\.json"):
        trust.confirm(record, "stimuli of x", {})
    assert record.read_bytes() == first
    trust.confirm(record, "stimuli of x", {**files, "new.png": "sha256:new"})
    with pytest.raises(ValueError, match=r"new\.png"):
        trust.confirm(record, "stimuli of x", {**files, "new.png": "sha256:newer"})
