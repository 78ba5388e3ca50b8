"""MATLAB files: planted arrays come back; what is cut, changed, of another version or no file of MATLAB is refused."""

import io

import h5py
import numpy as np
import pytest
import scipy.io

from boldflow.artifacts.formats import matlab

NAMES = ("order", "pictures")


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return {"order": rng.integers(1, 99, (1, 300)) + 0.0, "pictures": rng.integers(1, 999, (8, 100)) + 0.0}


def written(path, arrays):
    scipy.io.savemat(path, {**arrays, "other": np.zeros(3)}, do_compression=True)
    return path


def test_arrays_come_back_by_name(tmp_path, arrays):
    found = matlab.read(written(tmp_path / "a.mat", arrays), NAMES)
    assert list(found) == list(NAMES)
    for name in NAMES:
        np.testing.assert_array_equal(found[name], arrays[name])


def test_every_cut_and_every_changed_byte_of_the_arrays_is_refused_or_harmless(tmp_path, arrays):
    """Compressed arrays carry a checksum, so that no other number ever comes back."""
    path = written(tmp_path / "a.mat", arrays)
    content, rng = path.read_bytes(), np.random.default_rng(1)
    cuts = [content[:n] for n in range(0, len(content), 29)]
    changed = [bytearray(content) for _ in range(150)]
    for one in changed:
        one[rng.integers(matlab.HEADER_BYTES, len(content))] ^= 1 << rng.integers(8)
    refused = 0
    for one in [*cuts, *changed]:
        path.write_bytes(one)
        try:
            found = matlab.read(path, NAMES)
        except ValueError as error:
            refused += 1
            assert str(path) in str(error) and any(word in str(error) for word in ("bytes)", "lacks", "expected"))
        else:
            assert all(np.array_equal(found[name], arrays[name]) for name in NAMES)
    assert refused > 0.8 * (len(cuts) + len(changed))


def test_other_files_are_named_by_what_they_are(tmp_path, arrays):
    path = tmp_path / "a.mat"
    content = io.BytesIO()
    with h5py.File(content, "w", userblock_size=512) as file:
        file["order"] = arrays["order"]
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + content.getvalue()[128:])
    with pytest.raises(ValueError, match=r"must be a MATLAB file of version 5, and is of version 7.3"):
        matlab.read(path, NAMES)
    path.write_text("<!DOCTYPE html>" + 200 * " ")
    with pytest.raises(ValueError, match=r"a.mat \(215 bytes\) must be .* is none: it begins with b'<!DOCTYPE ht'"):
        matlab.read(path, NAMES)
    with pytest.raises(ValueError, match=r"lacks \['pictures'\], expected \['order', 'pictures'\]"):
        matlab.read(written(path, {"order": arrays["order"]}), NAMES)
    with pytest.raises(ValueError, match=r"pictures is <U3 of shape \(1,\), expected numbers"):
        matlab.read(written(path, {**arrays, "pictures": np.array(["abc"])}), NAMES)
    with pytest.raises(FileNotFoundError):
        matlab.read(tmp_path / "b.mat", NAMES)
