"""Projection against nilearn's vol_to_surf."""

import nibabel as nib
import numpy as np
import pytest
from nilearn import datasets, surface
from nilearn.surface import InMemoryMesh

from boldflow.core import projection

AFFINES = {
    "straight": np.array([[4.0, 0, 0, -90], [0, 4, 0, -126], [0, 0, 4, -72], [0, 0, 0, 1]]),
    "oblique": np.array([[3.9, 0.5, 0.1, -88], [-0.4, 4.1, 0.3, -120], [0.2, -0.2, 4.2, -70], [0, 0, 0, 1]]),
    "small": np.array([[4.0, 0, 0, -40], [0, 4, 0, -60], [0, 0, 4, -30], [0, 0, 0, 1]]),
}


@pytest.fixture(scope="module")
def meshes():
    files = datasets.fetch_surf_fsaverage("fsaverage5")
    loaded = [surface.load_surf_mesh(files[name]) for name in ("pial_left", "white_left")]
    step = slice(None, None, 7)  # a subset of vertices is enough; faces are not used by depth sampling
    return [InMemoryMesh(mesh.coordinates[step].astype(float), np.array([[0, 1, 2]])) for mesh in loaded]


@pytest.mark.filterwarnings("ignore:Mean of empty slice")
@pytest.mark.parametrize("name", AFFINES)
@pytest.mark.parametrize("masked", [False, True])
def test_it_is_nilearns_depth_sampling(meshes, name, masked):
    rng = np.random.default_rng(0)
    shape = (40, 48, 42) if name != "small" else (20, 22, 21)
    volumes = rng.normal(size=(*shape, 3))
    mask = rng.random(shape) < 0.7 if masked else None
    image = nib.Nifti1Image(volumes, AFFINES[name])
    mask_image = None if mask is None else nib.Nifti1Image(mask.astype("u1"), AFFINES[name])
    wanted = surface.vol_to_surf(image, meshes[0], inner_mesh=meshes[1], mask_img=mask_image).T
    samples = projection.depth_samples(meshes[0].coordinates, meshes[1].coordinates)
    matrix = projection.interpolation_matrix(samples, AFFINES[name], shape, mask)
    found = projection.project(matrix, volumes)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)
    assert np.isnan(found).any() or name != "small"


def test_a_linear_image_is_projected_exactly(meshes):
    """Witness: trilinear interpolation is exact on a plane, so the mean over samples is the plane at the mean."""
    shape, affine = (40, 48, 42), AFFINES["oblique"]
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1) @ affine[:3, :3].T + affine[:3, 3]
    plane = (grid @ [0.3, -0.2, 0.5])[..., None]
    samples = projection.depth_samples(meshes[0].coordinates, meshes[1].coordinates)
    found = projection.project(projection.interpolation_matrix(samples, affine, shape), plane)[0]
    wanted = samples.mean(axis=1) @ [0.3, -0.2, 0.5]
    inside = ~np.isnan(found)
    np.testing.assert_allclose(found[inside], wanted[inside], atol=1e-9)
    assert inside.mean() > 0.9


def test_flat_volumes_and_wrong_masks_are_refused(meshes):
    samples = projection.depth_samples(meshes[0].coordinates, meshes[1].coordinates)
    with pytest.raises(ValueError, match="two voxels or more"):
        projection.interpolation_matrix(samples, np.eye(4), (40, 20, 1))
    with pytest.raises(ValueError, match="mask has shape"):
        projection.interpolation_matrix(samples, np.eye(4), (4, 4, 4), np.ones((4, 4, 3), bool))
