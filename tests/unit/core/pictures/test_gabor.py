import numpy as np
import pytest
from scipy.signal import fftconvolve
from skimage import data, filters

from boldflow.core.pictures import gabor

SIZE = 64


def grating(cycles, theta, phase=0.0, amplitude=0.3, size=SIZE):
    place = (np.arange(size) + 0.5) / size
    y, x = np.meshgrid(place, place, indexing="ij")
    return 0.5 + amplitude * np.cos(2 * np.pi * cycles * (x * np.cos(theta) + y * np.sin(theta)) + phase)


@pytest.mark.parametrize("phase", [0.0, 1.0, np.pi / 2])
@pytest.mark.parametrize(("scale", "turn"), [(0, 0), (1, 1), (1, 3), (2, 2)])
def test_a_grating_has_the_square_of_its_amplitude_in_its_own_channel_at_any_phase(scale, turn, phase):
    scales, n = (8, 11, 16), 4
    picture = grating(scales[scale], np.pi * turn / n, phase)
    found = gabor.energy(picture[None], scales, n)[0]
    middle = found[:, 16:48, 16:48].mean(axis=(1, 2))
    assert middle.argmax() == scale * n + turn
    assert middle.max() == pytest.approx(0.3**2, rel=0.02)
    np.testing.assert_allclose(found[middle.argmax(), 16:48, 16:48], 0.3**2, rtol=0.05)


def test_energy_is_that_of_spatial_convolution_with_gabor_kernels():
    """scikit-image's kernels share no code; its bandwidth is defined at half height, as ours."""
    picture = gabor.resize(data.camera()[None] / 255.0, SIZE)[0]
    found = gabor.energy(picture[None], [8], 4)[0]
    inner = slice(20, 44)
    for one, theta in zip(found, gabor.orientations(4), strict=True):
        kernel = filters.gabor_kernel(8 / SIZE, theta, bandwidth=1, n_stds=5)
        pair = fftconvolve(picture - picture.mean(), 2 * kernel, mode="same")
        witness = np.abs(pair) ** 2
        assert np.corrcoef(one[inner, inner].ravel(), witness[inner, inner].ravel())[0, 1] > 0.995
        assert one[inner, inner].mean() == pytest.approx(witness[inner, inner].mean(), rel=0.1)


def test_a_picture_gives_the_same_bytes_whatever_stands_beside_it():
    pictures = np.random.default_rng(0).random((5, 40, 40))
    together = gabor.pool(gabor.energy(pictures, (2, 8), 3), 6)
    alone = np.concatenate([gabor.pool(gabor.energy(one[None], (2, 8), 3), 6) for one in pictures])
    assert together.tobytes() == alone.tobytes()


def test_a_flat_picture_has_no_energy():
    assert gabor.energy(np.full((1, 32, 32), 0.7), [2, 8], 2).max() < 1e-10


@pytest.mark.parametrize("grid", [1, 4, 5, 24])
def test_pooling_keeps_the_mean_and_agrees_with_fine_pixels(grid):
    """The witness repeats each pixel until the cells divide it."""
    maps = np.random.default_rng(1).random((3, 24, 24))
    found = gabor.pool(maps, grid)
    fine = maps.repeat(grid, axis=1).repeat(grid, axis=2)
    witness = fine.reshape(3, grid, 24, grid, 24).mean(axis=(2, 4))
    np.testing.assert_allclose(found, witness, rtol=1e-12)


def test_resizing_keeps_a_smooth_picture_and_removes_what_would_alias():
    smooth = gabor.resize(grating(3, 0, size=96)[None], 64)[0]
    np.testing.assert_allclose(smooth[:, 2:-2], grating(3, 0)[:, 2:-2], atol=0.01)
    # picked at every third pixel it would stay as strong as it is: s.d. 0.21
    assert gabor.resize(grating(44, 0.0, size=96)[None], 32).std() < 0.025
    assert gabor.resize(np.ones((2, 30, 50)), 64).shape == (2, 64, 64)


def test_grey_is_luminance():
    image = np.zeros((1, 2, 2, 3), dtype=np.uint8)
    image[0, 0, 0] = 255
    image[0, 1, 1] = (0, 255, 0)
    np.testing.assert_allclose(gabor.grey(image)[0], [[1, 0], [0, 0.7152]])


def test_wrong_input_is_named():
    with pytest.raises(ValueError, match=r"uint8 .*not float64 \(1, 8, 8, 3\)"):
        gabor.grey(np.zeros((1, 8, 8, 3)))
    with pytest.raises(ValueError, match="square, not 8 x 9"):
        gabor.energy(np.zeros((1, 8, 9)), [2], 2)
    with pytest.raises(ValueError, match=r"at most at 8 cycles \(size / 4\), not \[9\]"):
        gabor.energy(np.zeros((1, 32, 32)), [2, 9], 2)
    with pytest.raises(ValueError, match="from 1 to the 8 pixels of a side, not 9"):
        gabor.pool(np.zeros((8, 8)), 9)
