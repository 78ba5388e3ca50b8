"""Regions of files on the columns of a response; witnesses: nesting by coordinates, nilearn, and all distances."""

import hashlib
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nibabel.freesurfer import write_annot
from nilearn import datasets, surface

from boldflow.core.records.runs import BoldRun, Mesh, SurfaceRun
from boldflow.planning.parameters import Parameters
from boldflow.stages.responses._meshes import mesh
from boldflow.stages.responses._regions import read_region_files, regions_of
from tests.made.regions import write_gifti, write_label, write_overlay
from tests.made.surfaces import icosphere, jittered, turned

N = 10242
SHAPE, AFFINE = (44, 52, 42), np.array([[4.0, 0.3, 0, -90], [-0.2, 4, 0, -126], [0, 0, 4.1, -72], [0, 0, 0, 1]])
HEADS = {name: f"#!ascii label  , from subject {name} vox2ras=TkReg" for name in ("fsaverage", "fsaverage5", "bert")}


def volumes(space="MNI"):
    mask = np.random.default_rng(0).random(SHAPE) < 0.5
    yield BoldRun("01", "01", np.zeros((*SHAPE, 2), np.float32), AFFINE, mask, {}, space)
    yield BoldRun("01", "02", np.zeros((*SHAPE, 2), np.float32), AFFINE, mask, {}, space)


def spheres():
    """A subject's own surface: 2,562 vertices on the left, 642 on the right."""
    halves = []
    for order in (4, 3):
        points, faces = icosphere(order)
        halves.append(Mesh(jittered(turned(points, order), order, 0.2), faces))
    return tuple(halves)


def on_surface():
    halves = spheres()
    yield SurfaceRun("01", "01", tuple(np.zeros((2, len(sphere.vertices))) for sphere in halves), halves, {})


def placed(files, runs, space="fsaverage5", named=None, rois=(), **entry):
    """Regions of sub-01, and the runs that are left."""
    entry = {"name": "mine", "space": space, "rois": list(rois), **entry}
    parameters = Parameters({"responses": {"mine": {"region_files": files}}}, {}, None)
    rows = read_region_files(parameters.region_files_of_response(SimpleNamespace(response="mine", subject="sub-01")))
    return regions_of(named or {}, iter(runs), "sub-01", entry, rows, None)


def both(left, right):
    return np.concatenate([np.isin(np.arange(N), left), np.isin(np.arange(N), right)])


def test_files_of_a_hemisphere_come_to_its_vertices_and_the_sidecar_says_from_which(tmp_path):
    label = np.array([5, 10_000, 77])
    write_label(tmp_path / "sub-01/lh.V1.label", label)
    write_label(tmp_path / "sub-01/rh.V1.label", label + 1, HEADS["fsaverage5"])
    for side in "lr":
        values = np.zeros(N)
        values[[1, 2]], values[[9, 11]] = 3, 4
        write_overlay(tmp_path / f"{side}h.areas.mgz", values)
    write_gifti(tmp_path / "tpl_hemi-R_area.label.gii", values)
    colours = np.array([[1, 2, 3, 0, 0], [4, 5, 6, 0, 0]])
    write_annot(tmp_path / "lh.parcels.annot", (np.arange(N) == 8).astype(int), colours, ["no", "yes"])
    here = str(tmp_path)
    files = {
        "joined": [f"{here}/{{hemisphere}}.areas.mgz:4", f"{here}/lh.parcels.annot:yes"],
        "V1": [f"{here}/{{subject}}/{{hemisphere}}.V1.label"],
        "right": [f"{here}/tpl_hemi-R_area.label.gii"],
    }
    theirs = np.zeros(2 * N, dtype=bool)
    theirs[3] = True
    regions, runs = placed(files, volumes(), named={"early": theirs}, rois=["V1", "early"])
    assert [run.run for run in runs] == ["01", "02"]
    assert list(regions.masks) == ["V1", "early", "joined", "right"]
    np.testing.assert_array_equal(regions.masks["V1"], both(label, label + 1))
    np.testing.assert_array_equal(regions.masks["joined"], both([8, 9, 11], [9, 11]))
    np.testing.assert_array_equal(regions.masks["right"], both([], [1, 2, 9, 11]))
    assert here not in str(regions.note)
    assert regions.note["regions"]["joined"]["n_inside"] == 5
    assert regions.note["regions"]["V1"]["files"][1] == {
        "file": "rh.V1.label",
        "sha256": hashlib.sha256((tmp_path / "sub-01/rh.V1.label").read_bytes()).hexdigest(),
        "n_inside": 3,
        "how": "vertex by vertex",
    }
    assert [file["file"] for file in regions.note["regions"]["joined"]["files"]] == [
        *("lh.areas.mgz:4", "rh.areas.mgz:4", "lh.parcels.annot:yes")
    ]
    rows, inside = regions.onto(pd.DataFrame({"vertex": np.arange(2 * N)}), ["V1", "early"])
    assert list(rows) == ["vertex", "roi_V1", "roi_early", "roi_joined", "roi_right"]
    np.testing.assert_array_equal(inside, both([3, *label], label + 1))
    with pytest.raises(ValueError, match=r"ROI 'V1' of sub-01 has shape \(20484,\), expected \(3,\)"):
        regions.onto(pd.DataFrame({"vertex": [1, 2, 3]}), [])


def test_without_files_nothing_is_looked_at():
    regions, runs = placed({}, volumes(), named={"b": np.array([True]), "a": np.array([True])})
    assert (list(regions.masks), regions.note, len(list(runs))) == (["a", "b"], {}, 2)


def test_a_file_of_a_finer_fsaverage_gives_its_first_vertices(tmp_path):
    """By coordinates: a cap of the finest sphere is the same cap of the coarser one that it begins with."""
    points, _ = icosphere(7)
    cap = points[:, 2] > 80
    write_overlay(tmp_path / "lh.cap.mgz", cap)
    write_label(tmp_path / "lh.named.label", np.flatnonzero(cap), HEADS["fsaverage"])
    write_label(tmp_path / "lh.cap.label", np.flatnonzero(cap))
    expected = np.concatenate([icosphere(5)[0][:, 2] > 80, np.zeros(N, dtype=bool)])
    files = {name: [f"{tmp_path}/lh.{name}"] for name in ("cap.mgz", "named.label", "cap.label")}
    for runs in (volumes(), on_surface()):
        regions, _ = placed(files, runs)
        for name in files:
            np.testing.assert_array_equal(regions.masks[name], expected)
            (note,) = regions.note["regions"][name]["files"]
            assert note["how"].startswith("first 10242 of 163842 vertices of a hemisphere") and "nest" in note["how"]
    finer, _ = placed(files, volumes(), space="fsaverage6")
    assert all(mask[: 4 * N].sum() == (icosphere(6)[0][:, 2] > 80).sum() for mask in finer.masks.values())


def test_a_region_on_the_subjects_own_surface_comes_by_the_nearest_vertex(tmp_path):
    """All distances between fsaverage5 and the subject's sphere, without a tree."""
    names = {"overlay": "{}h.cap.mgz", "label": "{}h.cap.label"}
    expected = []
    for side, sphere, target in zip("lr", spheres(), mesh("fsaverage5"), strict=True):
        cap = sphere.vertices @ [0.6, 0.8, 0] > 70
        write_overlay(tmp_path / names["overlay"].format(side), cap)
        write_label(tmp_path / names["label"].format(side), np.flatnonzero(cap), HEADS["bert"])
        expected.append(cap[(target.sphere @ sphere.vertices.T).argmax(axis=1)])
    regions, _ = placed({k: [f"{tmp_path}/{v.format('l')}", f"{tmp_path}/{v.format('r')}"] for k, v in names.items()},
                      on_surface())  # fmt: skip
    for name in names:
        np.testing.assert_array_equal(regions.masks[name], np.concatenate(expected))
    assert "nearest of 642 vertices of the subject's surface" in regions.note["regions"]["label"]["files"][1]["how"]


@pytest.mark.parametrize("sampling", ["depth", "line"])
def test_a_volume_comes_to_vertices_with_at_least_half_of_nilearns_nearest_samples_in_it(tmp_path, sampling):
    blocks = np.random.default_rng(3).random((11, 13, 11)) < 0.4
    region = blocks.repeat(4, axis=0).repeat(4, axis=1).repeat(4, axis=2)[:, :, :42]
    affine = AFFINE @ np.diag([1.05, 1.02, 1, 1])  # not the grid of the BOLD
    nib.Nifti1Image(region.astype("u1"), affine).to_filename(tmp_path / "V1.nii.gz")
    nib.Nifti1Image(3 * region.astype("u1"), affine).to_filename(tmp_path / "lh.V1.nii.gz")
    entry = {"sampling": "line", "radius_mm": 2.0} if sampling == "line" else {}
    regions, _ = placed({"V1": [f"{tmp_path}/V1.nii.gz"], "left": [f"{tmp_path}/lh.V1.nii.gz:3"]}, volumes(), **entry)
    files = datasets.fetch_surf_fsaverage("fsaverage5")
    sides = []
    for side in ("left", "right"):
        loaded = surface.load_surf_mesh(files[f"pial_{side}"])
        pial = surface.InMemoryMesh(loaded.coordinates.astype(float), loaded.faces)
        how = {"radius": 2.0} if sampling == "line" else {"inner_mesh": surface.load_surf_mesh(files[f"white_{side}"])}
        values = surface.surface._nearest_voxel_sampling(region[None].astype(float), pial, affine, **how)
        sides.append(np.ma.filled(np.ma.asarray(values), 0).ravel() > 0.5 - 1e-6)
    np.testing.assert_array_equal(regions.masks["V1"], np.concatenate(sides))
    np.testing.assert_array_equal(regions.masks["left"], np.concatenate([sides[0], np.zeros(N, dtype=bool)]))
    assert 0.1 < np.concatenate(sides).mean() < 0.7


def test_a_volume_on_the_grid_of_native_bold_keeps_its_voxels(tmp_path):
    region = np.random.default_rng(4).integers(0, 3, SHAPE)
    nib.Nifti1Image(region.astype("i2"), AFFINE).to_filename(tmp_path / "sub-01_rois.nii.gz")
    files = {"two": [f"{tmp_path}/{{subject}}_rois.nii.gz:2"]}
    mask = next(volumes()).mask
    regions, _ = placed(files, volumes("native"), space="native")
    np.testing.assert_array_equal(regions.masks["two"], region[mask] == 2)
    nib.Nifti1Image(region[:-1].astype("i2"), AFFINE).to_filename(tmp_path / "sub-01_rois.nii.gz")
    with pytest.raises(
        ValueError, match=r"sub-01_rois.nii.gz is \(43, 52, 42\) voxels, the BOLD of sub-01 \(44, 52, 42"
    ):
        placed(files, volumes("native"), space="native")
    moved = AFFINE + np.eye(4)[:, [3, 3, 3, 0]] * 0.01
    nib.Nifti1Image(region.astype("i2"), moved).to_filename(tmp_path / "sub-01_rois.nii.gz")
    with pytest.raises(
        ValueError,
        match=r"lie differently: affine \[\[4.0, 0.3, 0.0, -89.99\].* and \[\[4.0, 0.3, 0.0, -90.0\].* to the grid of",
    ):
        placed(files, volumes("native"), space="native")
    with pytest.raises(
        ValueError, match="regions of files need a grid of voxels, and the recording of sub-01 gives none"
    ):
        placed(files, on_surface(), space="native")


def test_regions_that_are_given_twice_missing_or_empty_are_refused(tmp_path):
    named = {"V1": np.ones(2 * N, dtype=bool)}
    write_overlay(tmp_path / "lh.V1.mgz", np.arange(N) % 3)
    files = {"V1": [f"{tmp_path}/lh.V1.mgz"]}
    with pytest.raises(ValueError, match=r"'V1' of sub-01 is given twice: by the data set, .* \(lh.V1.mgz\); rename"):
        placed(files, volumes(), named=named)
    with pytest.raises(ValueError, match=r"sub-01 has no ROI \['V7'\]; there are: V1, V2"):
        placed({"V2": files["V1"]}, volumes(), named=named, rois=["V7", "V2"])
    other = {"V2": [*files["V1"], f"{tmp_path}/{{hemisphere}}.V1.mgz"], "V3": files["V1"]}
    with pytest.raises(FileNotFoundError, match=r"sub-01 lacks .*: V2: \S+/rh.V1.mgz; regions that there are: V1, V3$"):
        placed(other, volumes(), named=named)
    with pytest.raises(ValueError, match=r"'V2' of sub-01 is empty \(lh.V1.mgz:7 holds 0, 1, 2\); there are: V1, V2"):
        placed({"V2": [f"{tmp_path}/lh.V1.mgz:7"]}, volumes(), named=named)
    with pytest.raises(ValueError, match="ROI 'V1' of sub-01 is empty; there are: V1"):
        placed({}, volumes(), named={"V1": np.zeros(2 * N, dtype=bool)})
    with pytest.raises(ValueError, match="sub-01 has no run"):
        placed(files, [])


@pytest.mark.parametrize(
    ("kind", "content", "runs", "space", "words"),
    [
        ("mgz", 5000, volumes, "fsaverage5", "of 5000 vertices; .* fsaverage5 .* 10242 or 40962 or 163842$"),
        ("mgz", 5000, on_surface, "fsaverage5", r"10242 or 40962 or 163842 or 2562 \(the surface of sub-01\)$"),
        ("mgz", 642, on_surface, "fsaverage5", "is of 642 vertices"),  # of the other hemisphere
        ("mgz", 10242, volumes, "fsaverage6", "of 10242 vertices; .* fsaverage6 .* must have 40962 or 163842$"),
        ("label", [9, 10_241], volumes, "fsaverage6", "is of 10242 vertices"),
        ("label", [9, 163_842], volumes, "fsaverage5", "names vertex 163842, and its surface has 163842 vertices"),
        ("fsaverage5", [9, 10_242], volumes, "fsaverage5", "names vertex 10242, and its surface has 10242 vertices"),
        ("bert", [9], volumes, "fsaverage5", r"is of subject 'bert' \(its first line\); .* one of fsaverage5, fsav"),
        ("bert", [2562], on_surface, "fsaverage5", "names vertex 2562, and its surface has 2562 vertices"),
        ("label", [9], on_surface, "fsaverage5", "does not say whether it is of the surface of sub-01 or of fsaverage"),
        ("nii.gz", None, on_surface, "fsaverage5", "is a volume, .* the subject's own surface: .* give a label"),
    ],
)
def test_files_that_do_not_lie_where_the_columns_do_are_refused(tmp_path, kind, content, runs, space, words):
    ending = kind if kind in ("mgz", "nii.gz") else "label"
    path = tmp_path / f"lh.sub-01.{ending}"
    if ending == "label":
        write_label(path, content, *([HEADS[kind]] if kind in HEADS else []))
    elif ending == "mgz":
        write_overlay(path, np.ones(content))
    else:
        nib.Nifti1Image(np.ones(SHAPE, "u1"), AFFINE).to_filename(path)
    with pytest.raises(ValueError, match=words):
        placed({"V1": [f"{tmp_path}/lh.{{subject}}.{ending}"]}, runs(), space=space)
