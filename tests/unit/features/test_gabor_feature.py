import numpy as np
import pytest

from tests.made.features import described, entry

DEFAULTS = entry("gabor")


def bars(horizontal, where):
    """Bars of 8 cycles per picture in one quarter (0 to 3, in reading order) of a grey picture."""
    wave = np.uint8(127.5 + 100 * np.sign(np.sin(2 * np.pi * 8 * (np.arange(96) + 0.5) / 96)))
    full = np.repeat(wave[:, None], 96, axis=1) if horizontal else np.repeat(wave[None], 96, axis=0)
    picture = np.full((96, 96), 127, dtype=np.uint8)
    top, left = 48 * (where // 2), 48 * (where % 2)
    picture[top : top + 48, left : left + 48] = full[top : top + 48, left : left + 48]
    return np.repeat(picture[..., None], 3, axis=2)


@pytest.mark.parametrize("horizontal", [False, True])
@pytest.mark.parametrize("where", range(4))
def test_the_largest_feature_tells_scale_orientation_and_place(horizontal, where):
    found = described("gabor", bars(horizontal, where)[None], grid=2)[0].reshape(4, 4, 2, 2)
    scale, turn, row, column = np.unravel_index(found.argmax(), found.shape)
    assert (DEFAULTS["scales"][scale], turn, 2 * row + column) == (8, 2 if horizontal else 0, where)


@pytest.mark.parametrize("nonlinearity", ["sqrt", "log"])
def test_rows_are_float32_and_do_not_depend_on_the_batch(nonlinearity):
    images = np.random.default_rng(0).integers(0, 256, (7, 50, 70, 3), dtype=np.uint8)
    together = described("gabor", images, nonlinearity=nonlinearity)
    assert together.dtype == np.float32 and together.shape == (7, 4 * 4 * 25)
    assert np.isfinite(together).all() and (together >= 0).all()
    for start, stop in ((0, 1), (1, 4), (4, 7)):
        part = described("gabor", images[start:stop], nonlinearity=nonlinearity)
        assert part.tobytes() == together[start:stop].tobytes()


def test_root_of_energy_grows_with_contrast():
    picture = bars(True, 0)
    half = np.uint8(127 + (picture.astype(int) - 127) / 2)
    strong, weak = described("gabor", [picture, half])
    assert weak.max() == pytest.approx(strong.max() / 2, rel=0.02)


def test_no_pictures_give_no_rows():
    assert described("gabor", []).shape == (0, 400)
