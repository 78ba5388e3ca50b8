"""The stimulus pack: one HDF5 file with all pixels in a row, and a table that says where each picture lies."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from boldflow.artifacts.store.atomic import atomic, broken

# image_id; pixels uint8 (height, width, 3) or None where there is no picture; labels by name
Entry = tuple[str, np.ndarray | None, dict[str, str]]
Hash = Callable[[np.ndarray], str]
COLUMNS = ["image_id", "height", "width", "offset", "sha256", "perceptual_hash"]


def write(path: str | Path, stimuli: Iterable[Entry], perceptual_hash: Hash) -> pd.DataFrame:
    """Pack pictures of any sizes, each once.

    Parameters
    ----------
    path : str or Path
        HDF5 file with one data set ``pixels`` (n_bytes,) uint8: pictures (height, width, 3) row by row, one after
        the other.
    stimuli : iterable of (image_id, pixels, labels)
    perceptual_hash : function from a picture to the text of its hash

    Returns
    -------
    DataFrame
        ``COLUMNS`` and one ``label_*`` column per label. Stimuli without a picture have height, width 0 and empty
        hashes. SHA-256 is over size and decoded pixels.

    Raises
    ------
    ValueError
        If an image_id comes twice or pixels are not uint8 (height, width, 3).
    """
    rows: list[dict[str, object]] = []
    packed_ids: set[str] = set()
    with atomic(path) as temporary, h5py.File(temporary, "w", libver="latest") as pack:
        pixels = pack.create_dataset("pixels", (0,), "uint8", maxshape=(None,), chunks=(1 << 20,))
        for image_id, image, labels in stimuli:
            if image_id in packed_ids:
                raise ValueError(f"image {image_id!r} comes twice; each picture is packed once")
            packed_ids.add(image_id)
            rows.append(_append(pixels, image_id, image, labels, perceptual_hash))
    return pd.DataFrame(rows).astype({name: "int64" for name in ("height", "width", "offset")})


class Pack:
    """Read pictures of a pack by image_id; a context manager."""

    def __init__(self, path: str | Path, table: pd.DataFrame) -> None:
        """Open ``path`` read-only without locking (network file systems refuse locks)."""
        columns = (table[name].tolist() for name in ("height", "width", "offset"))
        self._places = dict(zip(table["image_id"].tolist(), zip(*columns, strict=True), strict=True))
        try:
            self._file = h5py.File(path, "r", locking=False)
        except OSError as error:
            raise broken(path, "HDF5", error) from None

    def __enter__(self) -> "Pack":
        """Give the reader."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._file.close()

    def read(self, image_id: str) -> np.ndarray:
        """Return one picture, uint8 (height, width, 3)."""
        height, width, offset = self._places[image_id]
        flat = self._file["pixels"][offset : offset + height * width * 3]
        return np.asarray(flat, dtype=np.uint8).reshape(height, width, 3)


def _append(
    pixels: h5py.Dataset, image_id: str, image: np.ndarray | None, labels: dict[str, str], perceptual_hash: Hash
) -> dict[str, object]:
    label_columns = {f"label_{name}": value for name, value in sorted(labels.items())}
    if image is None:
        empty_columns = dict.fromkeys(("height", "width", "offset"), 0) | dict.fromkeys(
            ("sha256", "perceptual_hash"), ""
        )
        return {"image_id": image_id, **empty_columns, **label_columns}
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        found_text = f"{image.dtype} {image.shape}"
        raise ValueError(f"image {image_id!r} is {found_text}, expected uint8 (height, width, 3)")
    offset = pixels.shape[0]
    pixels.resize(offset + image.size, axis=0)
    pixels[offset:] = image.ravel()
    size_text = f"{image.shape[0]}x{image.shape[1]}:".encode()
    return {
        "image_id": image_id,
        "height": image.shape[0],
        "width": image.shape[1],
        "offset": offset,
        "sha256": hashlib.sha256(size_text + image.tobytes()).hexdigest(),
        "perceptual_hash": perceptual_hash(image),
        **label_columns,
    }
