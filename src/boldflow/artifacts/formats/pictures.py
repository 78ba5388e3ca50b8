"""Picture files as the pixels that were seen: turned as their camera says, in RGB; what is ambiguous is refused."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps


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
            n_frames = getattr(picture, "n_frames", 1)
            if n_frames > 1:
                raise _refused(file, f"it has {n_frames} frames: keep the one that was shown")
            upright = ImageOps.exif_transpose(picture)
            if upright.mode[0] in "IF":  # I, I;16 and kin, F
                depth_text = f"mode {upright.mode}: its values have more than 8 bits"
                raise _refused(file, f"{depth_text}, and how bright they were shown is not told; convert it to 8 bits")
            if upright.has_transparency_data:
                lowest_alpha = int(np.asarray(upright.convert("RGBA"))[..., 3].min())
                if lowest_alpha < 255:
                    raise _refused(
                        file, f"it is transparent in places (alpha down to {lowest_alpha}): flatten it as it was shown"
                    )
            return np.array(upright.convert("RGB"))
    except (OSError, SyntaxError) as error:  # Pillow calls a broken PNG a syntax error
        if not file.is_file():
            raise
        raise ValueError(f"{file} ({file.stat().st_size} bytes) is no whole picture: {error}") from None


def _refused(file: Path, why: str) -> ValueError:
    return ValueError(f"{file} ({file.stat().st_size} bytes) is refused: {why}")
