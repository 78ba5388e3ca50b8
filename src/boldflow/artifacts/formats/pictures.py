"""Picture files as the pixels that were seen: turned as their camera says, in RGB; what is ambiguous is refused."""

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".gif", ".webp"})
ORIENTATION = 0x0112  # tag of EXIF
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
# what decoders raise for files that are cut short, damaged or odd; Pillow calls a broken PNG a syntax error
BROKEN = (
    *(OSError, EOFError, SyntaxError, ValueError, ArithmeticError, LookupError, TypeError, AttributeError),
    *(NotImplementedError, struct.error, zlib.error, Image.DecompressionBombError),
)


def read(path: str | Path) -> np.ndarray:
    """Read a picture.

    Grey, palette and CMYK pictures become RGB as Pillow converts them; the camera's orientation (EXIF) is applied.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    uint8 array of shape (height, width, 3)

    Raises
    ------
    ValueError
        If the file is no whole picture (its bytes are told), has transparent parts (what was behind them is unknown),
        more than 8 bits in its only channel (how to show them is unknown), or several frames.
    """
    file = Path(path)
    try:
        with Image.open(file) as picture:
            fault = _fault(picture)
            if not fault:
                turn = TURNS.get(_orientation(picture))
                return np.array((picture if turn is None else picture.transpose(turn)).convert("RGB"))
    except MemoryError as error:  # of this machine, and no fault of the file's
        error.add_note(f"while {file} ({file.stat().st_size} bytes) was read")
        raise
    except BROKEN as error:
        raise _broken(file, error) from None
    raise _refused(file, fault)


def is_turned(path: str | Path) -> bool:
    """Tell whether ``read`` turns or mirrors a picture, since its camera's orientation (EXIF) says so.

    Raises
    ------
    ValueError
        If the file is no picture.
    """
    file = Path(path)
    try:
        with Image.open(file) as picture:
            return _orientation(picture) in TURNS
    except BROKEN as error:
        raise _broken(file, error) from None


def _orientation(picture: Image.Image) -> int:
    """Give the orientation alone: what else EXIF holds may be odd, and nothing of it is read."""
    orientation = picture.getexif().get(ORIENTATION, 1)
    return orientation if isinstance(orientation, int) else 1


def _fault(picture: Image.Image) -> str:
    """Say why a picture is ambiguous; empty where it is not."""
    n_frames = getattr(picture, "n_frames", 1)
    if n_frames > 1:
        return f"it has {n_frames} frames: keep the one that was shown"
    picture.load()  # a palette tells its transparency only then
    if picture.mode[0] in "IF":  # I, I;16 and kin, F
        depth_text = f"mode {picture.mode}: its values have more than 8 bits"
        return f"{depth_text}, and how bright they were shown is not told; convert it to 8 bits"
    lowest_alpha = int(np.asarray(picture.convert("RGBA"))[..., 3].min()) if picture.has_transparency_data else 255
    transparency_text = f"it is transparent in places (alpha down to {lowest_alpha}): flatten it as it was shown"
    return transparency_text if lowest_alpha < 255 else ""


def _broken(file: Path, error: BaseException) -> Exception:
    """Name the file in a decoder's error; one that is not there is not broken."""
    if isinstance(error, OSError) and not file.is_file():
        return error
    reason = str(error) or type(error).__name__
    return ValueError(f"{file} ({file.stat().st_size} bytes) is no whole picture: {reason}")


def _refused(file: Path, why: str) -> ValueError:
    return ValueError(f"{file} ({file.stat().st_size} bytes) is refused: {why}")
