"""How runs become columns: settings reach nilearn's own words, matrices are built once, finer meshes are read."""

import nibabel as nib
import numpy as np
import pytest
from nilearn import datasets, surface
from nilearn.surface import InMemoryMesh

from boldflow.artifacts.store import matrices
from boldflow.core.records.runs import BoldRun, Mesh, SurfaceRun
from boldflow.core.responses import projection
from boldflow.stages.responses import _columns, _meshes
from tests.made.surfaces import icosphere, write_sphere

AFFINE = np.array([[4.0, 0.3, 0, -90], [-0.2, 4, 0, -126], [0, 0, 4.1, -72], [0, 0, 0, 1]])
SHAPE = (44, 52, 42)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(seed=0, mask=True, space="MNI"):
    rng = np.random.default_rng(seed)
    inside = rng.random(SHAPE) < 0.6 if mask else None
    return BoldRun("01", "01", rng.normal(size=(*SHAPE, 2)), AFFINE, inside, {}, space)


@pytest.mark.filterwarnings("ignore:Mean of empty slice")
@pytest.mark.parametrize("sampling", ["depth", "line"])
@pytest.mark.parametrize("masked", [True, False])
def test_settings_of_a_response_are_those_of_nilearn(sampling, masked):
    one = run()
    files = datasets.fetch_surf_fsaverage("fsaverage5")
    entry = {"space": "fsaverage5", "sampling": sampling, "mask_samples": masked}
    entry |= {"radius_mm": 2.0} if sampling == "line" else {}
    found = _columns.columns_of(one, entry)
    mask = nib.Nifti1Image(one.mask.astype("u1"), AFFINE) if masked else None
    sides = []
    for side in ("left", "right"):
        mesh = surface.load_surf_mesh(files[f"pial_{side}"])
        pial = InMemoryMesh(mesh.coordinates.astype(float), mesh.faces)
        how = {"radius": 2.0} if sampling == "line" else {"inner_mesh": files[f"white_{side}"]}
        sides.append(surface.vol_to_surf(nib.Nifti1Image(one.bold, AFFINE), pial, mask_img=mask, **how).T)
    values = found.apply(one)
    np.testing.assert_array_equal(np.isnan(values), np.isnan(np.hstack(sides)))
    np.testing.assert_allclose(values, np.hstack(sides), rtol=1e-6, atol=1e-6)  # nilearn keeps meshes in float32
    assert found.note == {key: value for key, value in entry.items() if key != "space"}
    assert len(found.places) == 20484


def test_voxels_of_a_mask_can_be_put_back_into_a_volume_that_lies_where_the_run_does():
    bold = run(space="native")
    columns = _columns.columns_of(bold, {"space": "native"})
    grid, values = columns.note["grid"], columns.apply(bold)
    volume = np.zeros(grid["shape"])
    volume[tuple(columns.places[axis] for axis in "ijk")] = values[0]
    image = nib.Nifti1Image(volume, np.array(grid["affine"]))
    np.testing.assert_array_equal(image.affine, bold.affine)
    np.testing.assert_array_equal(image.get_fdata(), np.where(bold.mask, bold.bold[..., 0], 0))


def test_a_matrix_is_built_once_and_again_only_where_what_it_is_made_of_differs(monkeypatch):
    built = []
    original = projection.interpolation_matrix

    def counted(*arguments):
        built.append(arguments)
        return original(*arguments)

    monkeypatch.setattr(projection, "interpolation_matrix", counted)
    entry = {"space": "fsaverage5"}
    first = _columns.columns_of(run(0), entry).apply(run(0))
    again = _columns.columns_of(run(1), entry).apply(run(0))  # another mask, which is not used
    assert len(built) == 2  # a hemisphere each
    np.testing.assert_array_equal(first, again)
    _columns.columns_of(run(0), entry | {"interpolation": "nearest"})
    _columns.columns_of(run(0), entry | {"mask_samples": True})
    _columns.columns_of(run(1), entry | {"mask_samples": True})
    assert len(built) == 8
    assert len(list(_columns.FOLDER.glob("*.npz"))) == 8


def test_a_kept_matrix_that_is_not_whole_is_built_anew(tmp_path, caplog):
    matrix = projection.interpolation_matrix(np.random.default_rng(0).uniform(0, 3, (5, 2, 3)), np.eye(4), (4, 4, 4))
    for _ in range(2):
        found = matrices.kept(tmp_path, "a", lambda: matrix)
        assert (found != matrix).nnz == 0 and found.shape == matrix.shape
    (path,) = tmp_path.glob("*.npz")
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[300] ^= 1
    for broken in (whole[:-200], bytes(flipped), b"<html>"):
        path.write_bytes(broken)
        assert (matrices.kept(tmp_path, "a", lambda: matrix) != matrix).nnz == 0
        assert f"({len(broken)} bytes) is no whole matrix" in caplog.records[-1].getMessage()
        assert path.read_bytes() == whole


@pytest.fixture
def finer(tmp_path):
    """A folder of FreeSurfer's subjects with a made fsaverage6: shells of 60 and 57 mm around the origin."""
    points, faces = icosphere(6)
    for side in "lr":
        for kind, radius in (("pial", 60), ("white", 57), ("sphere", 100)):
            write_sphere(tmp_path / f"subjects/fsaverage6/surf/{side}h.{kind}", points * radius / 100, faces)
    return tmp_path / "subjects"


def test_a_finer_mesh_is_read_from_a_folder_of_freesurfers(finer):
    """Known values: the mean over a shell of a linear volume is its value in the middle of the shell."""
    places = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1) @ AFFINE[:3, :3].T + AFFINE[:3, 3]
    plane = (places @ [0.5, -0.3, 0.2])[..., None]
    one = BoldRun("01", "01", plane, AFFINE, None, {}, "MNI")
    found = _columns.columns_of(one, {"space": "fsaverage6"}, str(finer))
    assert found.places.groupby("hemisphere").size().to_dict() == {"left": 40962, "right": 40962}
    wanted = icosphere(6)[0] * 0.585 @ [0.5, -0.3, 0.2]
    np.testing.assert_allclose(found.apply(one)[0, :40962], wanted, atol=1e-4)
    # and from a subject's own surface
    points, faces = icosphere(3)
    sphere = Mesh(points, faces)
    own = SurfaceRun("01", "01", (points.T, points.T), (sphere, sphere), {})
    met = _columns.columns_of(own, {"space": "fsaverage6"}, str(finer)).apply(own)[:, 40962:].T
    np.testing.assert_allclose(met / np.linalg.norm(met, axis=1)[:, None], icosphere(6)[0] / 100, atol=1e-6)


def test_meshes_that_are_not_there_or_of_another_size_are_named(finer):
    with pytest.raises(ValueError, match="mesh of fsaverage7 is not inside: set mesh_folder to a folder that"):
        _meshes.mesh("fsaverage7")
    with pytest.raises(FileNotFoundError, match=r"mesh_folder lacks .*fsaverage/surf/lh.pial"):
        _meshes.mesh("fsaverage7", str(finer))
    write_sphere(finer / "fsaverage6/surf/rh.white", *icosphere(2))
    with pytest.raises(ValueError, match=r"rh.white has 162 vertices, expected 40962"):
        _meshes.mesh("fsaverage6", str(finer))


def test_runs_from_which_a_space_cannot_be_reached_are_refused():
    sphere = Mesh(*icosphere(1))
    own = SurfaceRun("01", "01", (np.zeros((2, 42)),) * 2, (sphere, sphere), {})
    for one, entry, words in (
        (own, {"space": "native"}, "has no voxels: space is 'native'; choose fsaverage5"),
        (run(space="native"), {"space": "fsaverage5"}, "needs BOLD in MNI space, found 'native'"),
        (run(mask=False), {"space": "native"}, "needs a mask, and 01 01 has none"),
        (run(mask=False), {"space": "fsaverage5", "mask_samples": True}, "mask_samples needs a mask, and session 01"),
    ):
        with pytest.raises(ValueError, match=words):
            _columns.columns_of(one, entry)
