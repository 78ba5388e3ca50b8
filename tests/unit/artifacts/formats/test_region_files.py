"""Files that give regions, as nibabel and FreeSurfer write them; the witness is nibabel's own reader."""

import gzip
import hashlib
import struct

import nibabel as nib
import numpy as np
import pytest
from nibabel.freesurfer import read_annot, read_label, write_annot

from boldflow.artifacts.formats import regions
from tests.made.regions import write_gifti, write_label, write_overlay

N = 50


def test_a_label_is_its_vertices_and_the_subject_that_it_names(tmp_path):
    path = tmp_path / "lh.V1.label"
    for line, owner in (
        ("#!ascii label  , from subject sub-CSI1 vox2ras=TkReg", "sub-CSI1"),
        ("#!ascii label  , from subject  vox2ras=TkReg", ""),
        ("#!ascii label, from subject fsaverage", "fsaverage"),
        ("#!ascii label", ""),
    ):
        write_label(path, [3, 41, 17], line)
        found = regions.read(path, "label")
        assert (found.kind, found.owner) == ("label", owner)
        np.testing.assert_array_equal(np.flatnonzero(found.inside), np.sort(read_label(path)))
        assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    write_label(path, [])
    assert not regions.read(path, "label").inside.any()


def annotation(path, gaps=False):
    """Three regions and vertices of none; with gaps, the table has empty places, as an edited table has."""
    rng = np.random.default_rng(0)
    colours = np.array([[25, 5, 25, 0, 0], [25, 100, 40, 0, 0], [220, 20, 100, 0, 0]])
    labels = rng.integers(-1, 3, N)
    names = ["unknown", "V1", "MT+"]
    write_annot(path, labels, colours, names)
    if gaps:
        ids = colours[:, 0] + 256 * colours[:, 1] + 65536 * colours[:, 2]
        pairs = np.stack([np.arange(N), np.where(labels < 0, 0, ids[labels])], axis=1).astype(">i4").tobytes()
        table = struct.pack(">3i", 1, -2, 9) + struct.pack(">i4s", 4, b"ctab") + struct.pack(">i", 3)
        for place, name, row in zip((7, 0, 4), names, colours, strict=True):
            text = name.encode() + b"\0"
            table += struct.pack(f">2i{len(text)}s4i", place, len(text), text, *row[:4])
        path.write_bytes(struct.pack(">i", N) + pairs + table)
    return labels, names


def test_a_region_of_an_annotation_is_that_of_its_name(tmp_path):
    path = tmp_path / "lh.aparc.annot"
    labels, names = annotation(path)
    for k, name in enumerate(names):
        np.testing.assert_array_equal(regions.read(path, "annotation", name).inside, read_annot(path)[0] == k)
        np.testing.assert_array_equal(regions.read(path, "annotation", name).inside, labels == k)
    with pytest.raises(ValueError, match=r"lh.aparc.annot has no region 'V7'; there are: MT\+, V1, unknown"):
        regions.read(path, "annotation", "V7")
    labels, names = annotation(path, gaps=True)
    for k, name in enumerate(names):
        np.testing.assert_array_equal(regions.read(path, "annotation", name).inside, labels == k)


def test_an_annotation_with_an_older_table_is_read_as_nibabel_reads_it(tmp_path):
    path = tmp_path / "lh.old.annot"
    colours = {"V1": (10, 20, 30), "V2": (40, 50, 60)}
    values = [colours["V1"][0] + 256 * 20 + 65536 * 30, 0, 40 + 256 * 50 + 65536 * 60, 0]
    pairs = b"".join(struct.pack(">2i", k, value) for k, value in enumerate(values))
    table = struct.pack(">2i", 1, 2) + struct.pack(">i4s", 4, b"old\0")
    table += b"".join(struct.pack(">i3s4i", 3, name.encode() + b"\0", *row, 0) for name, row in colours.items())
    path.write_bytes(struct.pack(">i", 4) + pairs + table)
    assert [name.rstrip(b"\0") for name in read_annot(path)[2]] == [b"V1", b"V2"]
    for k, name in enumerate(colours):
        np.testing.assert_array_equal(regions.read(path, "annotation", name).inside, read_annot(path)[0] == k)


@pytest.mark.parametrize("name", ["lh.V1.mgh", "lh.V1.mgz", "lh.V1.label.gii"])
def test_an_overlay_is_inside_where_it_is_above_zero_or_of_the_value(tmp_path, name):
    values = np.random.default_rng(1).integers(0, 4, N).astype(np.float32)
    values[7] = np.nan
    write = write_gifti if name.endswith(".gii") else write_overlay
    write(tmp_path / name, values)
    np.testing.assert_array_equal(regions.read(tmp_path / name, "overlay").inside, values > 0)
    np.testing.assert_array_equal(regions.read(tmp_path / name, "overlay", "3").inside, values == 3)
    found = regions.read(tmp_path / name, "overlay", "9")
    assert not found.inside.any() and found.holds == "0, 1, 2, 3"
    values[3] = -1  # as files of NSD mark what is no cortex
    write(tmp_path / name, values)
    with pytest.raises(ValueError, match=r"has values below 0, .* \(-1, 0, 1, 2, 3\): choose .* as in " + name + ":1"):
        regions.read(tmp_path / name, "overlay")
    assert regions.read(tmp_path / name, "overlay", "2").inside.sum() == (values == 2).sum()


def test_a_volume_is_inside_where_it_is_above_zero_or_of_the_value(tmp_path):
    values = np.random.default_rng(2).integers(0, 3, (4, 5, 6)).astype(np.int16)
    affine = np.diag([2.0, 3, 4, 1])
    path = tmp_path / "V1.nii.gz"
    nib.Nifti1Image(values[..., None], affine).to_filename(path)
    for choice, wanted in (("", values > 0), ("2", values == 2)):
        found = regions.read(path, "volume", choice)
        np.testing.assert_array_equal(found.inside, wanted)
        np.testing.assert_array_equal(found.affine, affine)
    nib.Nifti1Image(np.stack([values, values], axis=-1), affine).to_filename(path)
    with pytest.raises(ValueError, match=r"has 4 axes, of shape \(4, 5, 6, 2\); expected one volume"):
        regions.read(path, "volume")


def test_what_has_more_than_a_value_per_vertex_is_refused(tmp_path):
    write_overlay(tmp_path / "lh.a.mgz", np.ones((4, 5, 6)))
    write_overlay(tmp_path / "lh.b.mgz", np.ones((N, 1, 1, 2)))
    write_gifti(tmp_path / "lh.c.gii", np.ones(N), np.ones(N))
    for name, words in (
        ("lh.a.mgz", r"shape \(4, 5, 6\), expected a value per vertex"),
        ("lh.b.mgz", r"shape \(50, 1, 1, 2\), expected a value per vertex"),
        ("lh.c.gii", "has 2 arrays, expected one"),
    ):
        with pytest.raises(ValueError, match=words):
            regions.read(tmp_path / name, "overlay")


def test_files_that_are_not_whole_are_refused_with_their_bytes(tmp_path):
    write_label(tmp_path / "lh.V1.label", range(20))
    annotation(tmp_path / "lh.aparc.annot")
    write_overlay(tmp_path / "lh.V1.mgh", np.ones(N))
    write_overlay(tmp_path / "lh.V1.mgz", np.arange(N))
    write_gifti(tmp_path / "lh.V1.gii", np.arange(N))
    nib.Nifti1Image(np.random.default_rng(0).random((9, 9, 9)), np.eye(4)).to_filename(tmp_path / "V1.nii.gz")
    kinds = {".label": "label", ".annot": "annotation", ".gz": "volume"}
    for path in sorted(tmp_path.iterdir()):
        whole, kind = path.read_bytes(), kinds.get(path.suffix, "overlay")
        regions.read(path, kind, "V1" if kind == "annotation" else "")
        for broken in (whole[: len(whole) * 2 // 3], b"<!DOCTYPE html><html>404</html>", b"", gzip.compress(b"x")):
            path.write_bytes(broken)
            with pytest.raises(ValueError, match=rf"{path.name} \({len(broken)} bytes\) is no whole "):
                regions.read(path, kind, "V1" if kind == "annotation" else "")
        path.unlink()
        with pytest.raises(FileNotFoundError):
            regions.read(path, kind, "V1")
