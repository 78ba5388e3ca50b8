"""Projection against nilearn's vol_to_surf."""

import nibabel as nib
import numpy as np
import pytest
from nilearn import datasets, surface
from nilearn.surface import InMemoryMesh

from boldflow.core.responses import projection
from tests.made.surfaces import icosphere

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


SHAPE = (20, 22, 21)


def random_affine(rng):
    """Oblique and sheared, with voxels of unlike size; the volume covers a part of the brain."""
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0] @ np.diag(rng.uniform(3, 6, 3))
    affine = np.eye(4)
    affine[:3, :3] = turn + rng.uniform(-0.3, 0.3, (3, 3))
    affine[:3, 3] = -affine[:3, :3] @ np.array(SHAPE) / 2 + rng.uniform(-20, 20, 3) + [-30, -15, 10]
    return affine


@pytest.fixture(scope="module")
def whole():
    """Pial and white surface of the left hemisphere, with triangles."""
    files = datasets.fetch_surf_fsaverage("fsaverage5")
    loaded = [surface.load_surf_mesh(files[name]) for name in ("pial_left", "white_left")]
    return [InMemoryMesh(mesh.coordinates.astype(float), mesh.faces) for mesh in loaded]


def nearest_as_nilearn(image, mask, mesh, **how):
    """nilearn's own nearest sampling, which vol_to_surf no longer offers by name in every version."""
    sampled = surface.surface._nearest_voxel_sampling(
        np.rollaxis(image.get_fdata(), -1), mesh, image.affine, mask=mask, **how
    )
    return np.asarray(sampled)


def compare(found, wanted):
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    inside = ~np.isnan(found)
    scale = np.abs(wanted[inside]).max()
    assert np.abs(found[inside] - wanted[inside]).max() <= 1e-12 * scale
    return inside


@pytest.mark.filterwarnings("ignore:Mean of empty slice")
@pytest.mark.parametrize("kind", ["linear", "nearest"])
@pytest.mark.parametrize("sampling", ["depth", "line"])
@pytest.mark.parametrize("seed", [0, 1])
def test_random_volumes_affines_and_masks_agree_with_nilearn_to_1e_12(whole, kind, sampling, seed):
    rng = np.random.default_rng(seed)
    affine, mask = random_affine(rng), rng.random(SHAPE) < 0.7 if seed else None
    volumes = rng.normal(size=(*SHAPE, 2))
    image = nib.Nifti1Image(volumes, affine)
    pial, white = whole
    if sampling == "depth":
        samples, how = projection.depth_samples(pial.coordinates, white.coordinates), {"inner_mesh": white}
    else:
        samples, how = projection.line_samples(pial.coordinates, pial.faces, 2.5, 7), {"radius": 2.5, "n_points": 7}
    if kind == "linear":
        how |= {"n_samples": how.pop("n_points")} if "n_points" in how else {}
        mask_image = None if mask is None else nib.Nifti1Image(mask.astype("u1"), affine)
        wanted = surface.vol_to_surf(image, pial, mask_img=mask_image, **how).T
    else:
        wanted = nearest_as_nilearn(image, mask, pial, **how)
    matrix = projection.interpolation_matrix(samples, affine, SHAPE, mask, kind)
    inside = compare(projection.project(matrix, volumes), wanted)
    assert 0.1 < inside.mean() < 0.99


def test_nearest_is_the_mean_over_the_nearest_voxels_of_a_table_of_distances():
    """Witness without nilearn: every distance from every sample to every voxel."""
    rng = np.random.default_rng(2)
    affine, shape = random_affine(rng), (5, 6, 4)
    centres = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1).reshape(-1, 3)
    samples = rng.uniform(0, np.array(shape) - 1, size=(30, 3, 3))
    nearest = np.linalg.norm(samples[:, :, None] - centres, axis=-1).argmin(axis=-1)
    volume = rng.normal(size=shape)
    in_mm = samples @ affine[:3, :3].T + affine[:3, 3]
    matrix = projection.interpolation_matrix(in_mm, affine, shape, kind="nearest")
    found = projection.project(matrix, volume[..., None])[0]
    np.testing.assert_allclose(found, volume.ravel()[nearest].mean(axis=1), rtol=1e-12)


def test_a_line_runs_along_the_radius_of_a_sphere():
    points, faces = icosphere(3)
    outward = np.einsum(
        "ij,ij->i", np.cross(*(points[faces[:, k]] - points[faces[:, 0]] for k in (1, 2))), points[faces[:, 0]]
    )
    faces = np.where(outward[:, None] > 0, faces, faces[:, ::-1])
    found = projection.line_samples(points, faces, half_width_mm=5.0, n_points=3)
    np.testing.assert_allclose(
        np.linalg.norm(found, axis=2), np.tile([105.0, 100.0, 95.0], (len(points), 1)), atol=0.02
    )
    alone = projection.line_samples(np.vstack([points, [0.0, 0, 7]]), faces)
    np.testing.assert_array_equal(alone[-1], [[0, 0, 7]] * 10)


@pytest.mark.filterwarnings("ignore:Mean of empty slice")
def test_vertices_near_voxels_that_are_not_finite_are_so_and_others_are_nilearns(meshes):
    """The stated difference: nilearn averages over the samples that are left, in that volume alone."""
    rng = np.random.default_rng(3)
    shape, affine = (40, 48, 42), AFFINES["oblique"]
    volumes = rng.normal(size=(*shape, 3))
    volumes[10:14, 20:30, 15:25, 1] = np.nan
    volumes[25, 25, 22, 2] = np.inf
    samples = projection.depth_samples(meshes[0].coordinates, meshes[1].coordinates)
    matrix = projection.interpolation_matrix(samples, affine, shape)
    found = projection.project(matrix, volumes)
    with np.errstate(invalid="ignore"):
        wanted = surface.vol_to_surf(nib.Nifti1Image(volumes, affine), meshes[0], inner_mesh=meshes[1]).T
    touched = (matrix != 0).astype(float) @ (~np.isfinite(volumes)).reshape(-1, 3).astype(float) > 0
    np.testing.assert_array_equal(~np.isfinite(found.T), touched | np.isnan(found[0])[:, None])
    same = np.isfinite(found)
    np.testing.assert_allclose(found[same], wanted[same], rtol=1e-10, atol=1e-12)
    left = touched[:, 1] & np.isfinite(wanted[1])  # on what nilearn has left
    assert left.any() and touched[:, 1].sum() > left.sum() > 0


@pytest.mark.parametrize("block", [1, 3, 64])
def test_blocks_and_the_order_in_memory_change_no_bit(meshes, block):
    rng = np.random.default_rng(4)
    shape, affine = (20, 22, 21), AFFINES["small"]
    volumes = rng.normal(size=(*shape, 7)).astype(np.float32)
    samples = projection.depth_samples(meshes[0].coordinates, meshes[1].coordinates)
    matrix = projection.interpolation_matrix(samples, affine, shape)
    wanted = projection.project(matrix, volumes)
    for given in (volumes, np.asfortranarray(volumes), volumes[..., ::-1][..., ::-1]):
        np.testing.assert_array_equal(projection.project(matrix, given, block), wanted)
        small, blocks = projection.Projector(matrix, given.shape[:-1]).gather(given, block)
        np.testing.assert_array_equal(projection.apply(small, list(blocks), 7), wanted)


def test_volumes_of_another_size_and_other_words_are_refused(meshes):
    samples = projection.depth_samples(meshes[0].coordinates, meshes[1].coordinates)
    matrix = projection.interpolation_matrix(samples, AFFINES["small"], (20, 22, 21))
    with pytest.raises(ValueError, match=r"volumes of shape \(20, 22, 20\) have 8800 voxels, the matrix 9240"):
        projection.project(matrix, np.zeros((20, 22, 20, 1)))
    with pytest.raises(ValueError, match="kind must be linear or nearest, not 'cubic'"):
        projection.interpolation_matrix(samples, AFFINES["small"], (20, 22, 21), kind="cubic")


@pytest.mark.parametrize("name", ["straight", "oblique"])
def test_a_region_of_a_volume_is_where_half_of_nilearns_nearest_samples_are(meshes, name):
    rng = np.random.default_rng(5)
    blocks = rng.random((10, 12, 11)) < 0.4
    region = blocks.repeat(4, axis=0).repeat(4, axis=1).repeat(4, axis=2)[:, :, :42]
    image = nib.Nifti1Image(region[..., None].astype(np.float32), AFFINES[name])
    shares = nearest_as_nilearn(image, None, meshes[0], inner_mesh=meshes[1])
    samples = projection.depth_samples(meshes[0].coordinates, meshes[1].coordinates)
    found = projection.mostly_inside(samples, AFFINES[name], region)
    np.testing.assert_array_equal(found, shares.ravel() > 0.5 - 1e-9)
    assert 0.2 < found.mean() < 0.6


def test_samples_outside_a_volume_are_not_in_its_region():
    """A mask that was cropped to its region: three samples of four lie beyond it."""
    samples = np.array([[[0.0, 0, z] for z in (1.4, 2.6, 3.6, -1.0)], [[0.0, 0, z] for z in (0.0, -0.5, 2.4, 4.0)]])
    region = np.ones((2, 2, 3), dtype=bool)
    np.testing.assert_array_equal(projection.mostly_inside(samples, np.eye(4), region), [False, True])
