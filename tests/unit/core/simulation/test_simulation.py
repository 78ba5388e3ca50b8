import numpy as np
import pytest
from nilearn import datasets, surface
from nilearn.glm.first_level import spm_hrf
from scipy import stats

from boldflow.core.simulation import bold, brain, images


@pytest.fixture(scope="module")
def mesh():
    files = datasets.fetch_surf_fsaverage("fsaverage5")
    found = {
        kind: np.concatenate(
            [surface.load_surf_mesh(files[f"{kind}_{side}"]).coordinates for side in ("left", "right")]
        ).astype(float)
        for kind in ("white", "pial", "sphere")
    }
    return found | {"left": np.arange(20484) < 10242}


def draw(mesh, seed):
    middle = (mesh["white"] + mesh["pial"]) / 2
    categories = ["a", "b", "c", "d", "e", "f"]
    return brain.draw_brain(mesh["sphere"], middle, mesh["left"], categories, np.random.default_rng(seed))


def test_patches_of_a_photograph_overlap_little_and_are_not_flat():
    rng = np.random.default_rng(0)
    row, column = np.meshgrid(np.arange(200), np.arange(240), indexing="ij")
    # each pixel says where it is, and the right third is flat
    photograph = np.stack([row, column, rng.integers(0, 2, row.shape) * 255], axis=2).astype(np.uint8)
    photograph[:, 160:] = 128
    patches = images.cut_patches(photograph, 30, (0.2, 0.4), rng)
    assert 5 < len(patches) <= 30
    where = [{(r, c) for r, c in p[..., :2].reshape(-1, 2).tolist()} for p in patches]
    for i, one in enumerate(where):
        assert patches[i].shape[0] == patches[i].shape[1]
        assert (patches[i].mean(axis=2) / 255).std() >= images.CONTRAST
        for other in where[:i]:
            both = (one & other) - {(128, 128)}
            assert len(both) <= images.OVERLAP * min(patches[i].shape[0], patches[where.index(other)].shape[0]) ** 2


def test_pink_noise_falls_as_one_over_frequency():
    """The witness fits the slope of the radial spectrum of many pictures: on average near -1."""
    slopes = []
    for seed in range(20):
        grey = images.pink_noise(96, np.random.default_rng(seed)).mean(axis=2)
        power = np.abs(np.fft.fft2(grey - grey.mean())) ** 2
        radius = np.hypot(*np.meshgrid(np.fft.fftfreq(96) * 96, np.fft.fftfreq(96) * 96))
        steps = np.arange(3, 30)
        amplitude = [np.sqrt(power[np.abs(radius - step) < 0.5].mean()) for step in steps]
        slopes.append(np.polyfit(np.log(steps), np.log(amplitude), 1)[0])
    assert np.mean(slopes) == pytest.approx(-1, abs=0.25)


@pytest.mark.parametrize("make", [images.pink_noise, images.dead_leaves])
def test_made_pictures_follow_their_seed(make):
    one, same, other = (make(48, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one.shape == (48, 48, 3) and one.dtype == np.uint8
    np.testing.assert_array_equal(one, same)
    assert (one != other).mean() > 0.5 and one.mean(axis=2).std() > 10


def test_haemodynamic_response_is_nilearns():
    time = np.arange(0, 30, 2.0)
    # nilearn: sampled at 1/50 of 1 s, convolved with the presentation by hand
    fine = spm_hrf(1.0, oversampling=50, time_length=40.0)
    long = np.convolve(fine, np.ones(125))
    witness = long[np.rint(time * 50).astype(int)] / long.max()
    np.testing.assert_allclose(bold.haemodynamic_response(time, 2.5), witness, atol=0.02)


def test_design_shifts_the_response_to_each_onset():
    found = bold.design(np.array([6.0, 16.0]), 30, 2.0, 2.5)
    np.testing.assert_allclose(found[5:, 1], found[:-5, 0], atol=1e-12)
    assert (found[:4, 0] == 0).all() and found[3:, 0].argmax() in (3, 4)


@pytest.mark.parametrize(("n_train", "n_test", "repeats", "n_runs"), [(144, 24, 4, 8), (48, 12, 4, 4), (20, 6, 3, 2)])
def test_schedule_shows_each_picture_as_often_as_it_should(n_train, n_test, repeats, n_runs):
    runs = bold.schedule(n_train, n_test, repeats, n_runs, np.random.default_rng(0))
    counts = np.bincount(np.concatenate(runs), minlength=n_train + n_test)
    assert (counts[:n_train] == 1).all() and (counts[n_train:] == repeats).all()
    sizes = [len(run) for run in runs]
    assert max(sizes) - min(sizes) <= 1
    assert not any((run[1:] == run[:-1]).any() for run in runs)
    for picture in range(n_train, n_train + n_test):
        assert sum(picture in run for run in runs) == min(repeats, n_runs)


def test_a_schedule_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="shows one picture 4 times"):
        bold.schedule(0, 1, 4, 1, np.random.default_rng(0))


def test_forward_map_averages_the_vertices_that_pass_a_voxel():
    """Brute force over points of each ribbon."""
    rng = np.random.default_rng(0)
    white = rng.uniform(2, 18, (40, 3))
    pial = white + rng.uniform(-2, 2, (40, 3))
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    found = bold.forward_map(white, pial, affine, (11, 11, 11))
    members = {}
    for vertex in range(40):
        for depth in bold.DEPTHS:
            place = white[vertex] + depth * (pial[vertex] - white[vertex])
            members.setdefault(tuple(round(c / 2) for c in place), set()).add(vertex)
    values = rng.normal(size=40)
    mapped = (found @ values).reshape(11, 11, 11)
    assert np.count_nonzero(mapped) == len(members)
    for voxel, vertices in members.items():
        assert mapped[voxel] == pytest.approx(np.mean([values[v] for v in vertices]))
    with pytest.raises(ValueError, match="leaves the volume"):
        bold.forward_map(white + 20, pial, affine, (11, 11, 11))


def test_noise_has_the_stated_variance_and_correlation():
    mask = np.ones((8, 8, 8), dtype=bool)
    smooth = bold.smooth_map(mask, np.diag([4.0, 4.0, 4.0, 1.0]))
    scale = np.linspace(1, 3, 512)
    found = bold.noise(4000, scale, smooth, np.random.default_rng(0))
    np.testing.assert_allclose(found.std(axis=0) / scale, 1, atol=0.08)
    lag = [np.corrcoef(found[:-1, k], found[1:, k])[0, 1] for k in range(0, 512, 16)]
    assert np.mean(lag) == pytest.approx(bold.AR, abs=0.02)
    grid = found.reshape(4000, 8, 8, 8) / scale.reshape(8, 8, 8)
    near = np.corrcoef(grid[:, 3, 3, 3], grid[:, 3, 3, 4])[0, 1]
    far = np.corrcoef(grid[:, 0, 3, 3], grid[:, 7, 3, 3])[0, 1]
    assert near > 0.05 and abs(far) < 0.05


def test_drift_is_slow():
    """No more than a cubic: its fourth differences vanish."""
    found = bold.drift(100, np.full(50, 2.0), np.random.default_rng(0))
    assert np.abs(np.diff(found.astype(float), n=4, axis=0)).max() < 1e-5
    assert 0.5 < found.std() < 4


def test_subjects_differ_and_areas_lie_where_they_should(mesh):
    middle = (mesh["white"] + mesh["pial"]) / 2
    brains = [draw(mesh, seed) for seed in range(3)]
    counts = [int(one.responsive.sum()) for one in brains]
    assert len(set(counts)) == 3 and all(500 < count < 2000 for count in counts)
    for one in brains:
        for side in (mesh["left"], ~mesh["left"]):
            areas = one.area[side]
            assert all((areas == k).sum() > 10 for k in range(9))
        early = one.early
        assert middle[early, 1].mean() < -75  # occipital
        assert (one.x_deg[early & mesh["left"]] >= 0).all()  # the opposite half of the visual field
        assert (one.x_deg[early & ~mesh["left"]] <= 0).all()
        assert 0 < one.normalised[early].mean() < 1
        assert (one.gain > 0).tolist() == one.responsive.tolist()
        # the upper bank (larger z) of V1 sees the lower field (larger y), and front vertices the periphery
        v1 = one.area == 0
        for side in (mesh["left"], ~mesh["left"]):
            chosen = v1 & side
            assert stats.spearmanr(middle[chosen, 2], one.y_deg[chosen]).statistic > 0.3
            away = np.hypot(one.x_deg[chosen], one.y_deg[chosen])
            assert stats.spearmanr(middle[chosen, 1], away).statistic > 0.5


def test_preferences_vary_smoothly(mesh):
    one = draw(mesh, 0)
    v1 = np.flatnonzero((one.area == 0) & mesh["left"])
    sphere = mesh["sphere"][v1]
    apart = np.linalg.norm(sphere[:, None] - sphere[None], axis=2)
    turn = np.cos(2 * (one.orientation[v1][:, None] - one.orientation[v1][None]))
    assert turn[(apart > 0) & (apart < 5)].mean() > turn[apart > 30].mean() + 0.3


def test_a_vertex_answers_most_to_a_grating_at_its_own_place_and_orientation(mesh):
    """The picture is drawn from the truth table, not from the model's channels."""
    one = draw(mesh, 0)
    chosen = np.flatnonzero(one.early & ~one.normalised & (np.hypot(one.x_deg, one.y_deg) < 3))[::40]
    early = np.flatnonzero(one.early)
    place = ((np.arange(64) + 0.5) / 64 - 0.5) * brain.PICTURE_DEG
    y, x = np.meshgrid(place, place, indexing="ij")
    for vertex in chosen:
        theta, cycles = one.orientation[vertex], one.frequency[vertex] / brain.PICTURE_DEG

        def patch(angle, sx, sy, v=vertex, cycles=cycles):
            away = (x - sx * one.x_deg[v]) ** 2 + (y - sy * one.y_deg[v]) ** 2
            wave = np.cos(2 * np.pi * cycles * (x * np.cos(angle) + y * np.sin(angle)))
            grey = np.uint8(127.5 + 120 * wave * np.exp(-away / 2))
            return np.repeat(grey[..., None], 3, axis=2)

        pictures = [patch(theta, 1, 1), patch(theta + np.pi / 2, 1, 1), patch(theta, -1.5, -1.5)]
        found = brain.early_responses(one, brain.see(np.stack(pictures)))[:, np.searchsorted(early, vertex)]
        assert found[0] > found[1]
        if np.hypot(one.x_deg[vertex], one.y_deg[vertex]) > 1.5:
            assert found[0] > found[2]


def test_normalised_vertices_answer_less_steeply_to_contrast(mesh):
    one = draw(mesh, 0)
    rng = np.random.default_rng(0)
    base = rng.uniform(-100, 100, (6, 64, 64, 1)) * np.array([0.1, 0.2, 0.4, 0.6, 0.8, 1.0])[:, None, None, None]
    pictures = np.repeat(np.uint8(127.5 + base), 3, axis=3)
    found = brain.early_responses(one, brain.see(pictures))
    growth = found[5] / found[2]
    normalised = one.normalised[one.early]
    assert np.median(growth[normalised]) < np.median(growth[~normalised])


def test_amplitudes_have_the_gain_as_standard_deviation(mesh):
    one = draw(mesh, 1)
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (30, 32, 32, 3), dtype=np.uint8)
    category = np.arange(30) % 6
    train = np.arange(30) < 24
    found = brain.amplitudes(one, brain.see(pictures), category, rng.uniform(0.8, 1.2, 30), train)
    np.testing.assert_allclose(found[train].std(axis=0), one.gain[one.responsive], rtol=1e-3)
    areas = one.area[one.responsive]
    for k in range(6):
        patch = found[:, areas == 3 + k].mean(axis=1)
        assert patch[category == k].mean() > max(patch[category == other].mean() for other in range(6) if other != k)


@pytest.mark.parametrize("voxel_mm", [4.0, 6.0, 8.0])
def test_nothing_reaches_silent_vertices(mesh, voxel_mm):
    """Through voxels and back by linear interpolation, a response of all others leaves them at zero."""
    from boldflow.core.responses import projection

    one = draw(mesh, 2)
    affine, shape = bold.grid(voxel_mm)
    forward = bold.forward_map(mesh["white"], mesh["pial"], affine, shape)
    silent = bold.silent_vertices(one.responsive, mesh["white"], mesh["pial"], voxel_mm)
    samples = projection.depth_samples(mesh["pial"], mesh["white"])
    back = projection.interpolation_matrix(samples, affine, shape, bold.mask_of(forward, shape))
    reached = back @ (forward @ one.responsive.astype(float))
    assert silent.sum() > 5000
    assert np.abs(reached[silent]).max() == 0
    assert reached[one.responsive].min() > 0


def test_too_many_categories_are_refused(mesh):
    with pytest.raises(ValueError, match=r"places for 6 .* not 7"):
        brain.draw_brain(mesh["sphere"], mesh["pial"], mesh["left"], list("abcdefg"), np.random.default_rng(0))
