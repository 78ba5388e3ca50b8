"""Picture files of all kinds, against Pillow: right, or refused by name."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps

from boldflow.artifacts.arrival import checks
from boldflow.artifacts.formats import pictures

RGB = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def right(path):
    """See that the pixels are those of Pillow, turned; give them."""
    with Image.open(path) as opened:
        wanted = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
    found = pictures.read(path)
    assert found.dtype == np.uint8 and found.shape[2] == 3
    np.testing.assert_array_equal(found, wanted)
    return found


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_turned_photograph_is_turned_back(tmp_path, turn):
    exif = Image.Exif()
    exif[0x0112] = turn
    Image.fromarray(RGB).save(tmp_path / "a.png", exif=exif)
    operation = [None, "", "fliplr", "rot180", "flipud", "T", "rot-90", "anti", "rot90"][turn]
    wanted = {
        "": RGB,
        "fliplr": RGB[:, ::-1],
        "rot180": RGB[::-1, ::-1],
        "flipud": RGB[::-1],
        "T": RGB.transpose(1, 0, 2),
        "rot-90": np.rot90(RGB, -1),
        "anti": RGB[::-1, ::-1].transpose(1, 0, 2),
        "rot90": np.rot90(RGB),
    }[operation]
    np.testing.assert_array_equal(right(tmp_path / "a.png"), wanted)


@pytest.mark.parametrize(
    ("mode", "suffix"), [("RGB", "jpg"), ("CMYK", "jpg"), ("L", "jpg"), ("L", "png"), ("P", "png"), ("1", "png")]
)
def test_grey_palette_and_cmyk_pictures_become_rgb_as_in_pillow(tmp_path, mode, suffix):
    Image.fromarray(RGB).convert(mode).save(tmp_path / f"a.{suffix}")
    right(tmp_path / f"a.{suffix}")


def test_alpha_that_hides_nothing_is_dropped_and_transparent_parts_are_refused(tmp_path):
    opaque = np.dstack([RGB, np.full((20, 30), 255, np.uint8)])
    Image.fromarray(opaque).save(tmp_path / "opaque.png")
    np.testing.assert_array_equal(right(tmp_path / "opaque.png"), RGB)
    opaque[3, 4, 3] = 7
    Image.fromarray(opaque).save(tmp_path / "seen-through.png")
    Image.fromarray(RGB).convert("P").save(tmp_path / "palette.png", transparency=0)
    for name, lowest in (("seen-through", 7), ("palette", 0)):
        with pytest.raises(ValueError, match=rf"{name}.png .*transparent in places \(alpha down to {lowest}\)"):
            pictures.read(tmp_path / f"{name}.png")


def png_of_16_bits(path):
    """Three channels of 16 bits, which Pillow itself cannot write."""
    values = np.random.default_rng(1).integers(0, 65536, (6, 8, 3)).astype(">u2")

    def part(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", 8, 6, 16, 2, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b"")
    )
    return values


def test_pictures_of_16_bits_are_refused_in_grey_and_cut_to_8_in_colour_as_in_pillow(tmp_path):
    grey = np.random.default_rng(0).integers(0, 65536, (20, 30), dtype=np.uint16)
    for suffix in ("png", "tif"):
        Image.fromarray(grey).save(tmp_path / f"grey.{suffix}")
        with pytest.raises(ValueError, match=rf"grey.{suffix} \(\d+ bytes\) is refused: mode I;16.*more than 8 bits"):
            pictures.read(tmp_path / f"grey.{suffix}")
    values = png_of_16_bits(tmp_path / "colour.png")
    np.testing.assert_array_equal(right(tmp_path / "colour.png"), values >> 8)
    Image.fromarray(grey.astype(np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(ValueError, match="mode F"):
        pictures.read(tmp_path / "float.tif")


def test_empty_cut_and_moving_pictures_are_refused_by_name_and_bytes(tmp_path):
    (tmp_path / "empty.png").write_bytes(b"")
    Image.fromarray(RGB).save(tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:-200])
    (tmp_path / "page.jpg").write_bytes(b"<!DOCTYPE html>")
    for name in ("empty.png", "cut.jpg", "page.jpg"):
        size = (tmp_path / name).stat().st_size
        with pytest.raises(ValueError, match=rf"{name} \({size} bytes\) is no whole picture"):
            pictures.read(tmp_path / name)
    frames = [Image.fromarray(RGB), Image.fromarray(255 - RGB)]
    frames[0].save(tmp_path / "moving.tif", save_all=True, append_images=frames[1:])
    with pytest.raises(ValueError, match="it has 2 frames"):
        pictures.read(tmp_path / "moving.tif")
    with pytest.raises(FileNotFoundError):
        pictures.read(tmp_path / "nowhere.png")


def test_a_machine_short_of_memory_is_no_fault_of_the_file(tmp_path, monkeypatch):
    """Else an arrival would throw the file away and fetch it anew."""
    path = tmp_path / "whole.png"
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(path)

    def short(self, *arguments):
        raise MemoryError

    monkeypatch.setattr(ImageFile.ImageFile, "load", short)
    with pytest.raises(MemoryError) as caught:
        pictures.read(path)
    assert any(str(path) in note for note in caught.value.__notes__)
    with pytest.raises(MemoryError):
        checks.problem(path)
