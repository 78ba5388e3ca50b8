"""Pictures on their way into a network: resizing by stated rules, scaling of colours; which hidden states are wanted.

Resizing is Pillow's, on uint8, as the published processors do it: its result is the same on every machine. Scaling is
elementwise and is done on the device.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

IMAGENET_MEAN, IMAGENET_SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLIP_MEAN, CLIP_SD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
POOLS = ("cls", "mean", "mean-patches", "patches")


@dataclass(frozen=True)
class InputRule:
    """How a picture becomes the input of a network.

    ``size``: pixels to which the short edge is brought where ``keep_aspect``, else both edges; ``crop``: pixels of the
    square that is cut out of the middle afterwards, or None; ``filter``: one of ``FILTERS``; ``mean``, ``sd``: of the
    three colours, on values from 0 to 1.
    """

    size: int
    keep_aspect: bool
    crop: int | None
    filter: str = "bicubic"
    mean: tuple[float, ...] = IMAGENET_MEAN
    sd: tuple[float, ...] = IMAGENET_SD

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.crop is not None and self.crop > self.size:
            raise ValueError(f"a crop of {self.crop} pixels does not fit an edge of {self.size}")
        if self.keep_aspect and self.crop is None:
            raise ValueError("an input that keeps the picture's shape needs a crop: a network takes one size")

    @property
    def side(self) -> int:
        """Pixels per side of what the network gets."""
        return self.crop or self.size

    def prepare(self, image: np.ndarray) -> np.ndarray:
        """Resize and crop one picture, uint8 (height, width, 3) before and after."""
        height, width = image.shape[:2]
        if self.keep_aspect:
            # the long edge is cut down to whole pixels, as the published processors do
            long_edge = int(self.size * max(height, width) / min(height, width))
            new_height, new_width = (long_edge, self.size) if width <= height else (self.size, long_edge)
        else:
            new_height, new_width = self.size, self.size
        if (new_height, new_width) != (height, width):
            picture = Image.fromarray(image).resize((new_width, new_height), resample=FILTERS[self.filter])
            image = np.asarray(picture)
        if self.crop is None:
            return image
        top, left = (new_height - self.crop) // 2, (new_width - self.crop) // 2
        return image[top : top + self.crop, left : left + self.crop]

    def normalise(self, batch: Any) -> Any:
        """Scale colours on the device: torch uint8 (n, side, side, 3) to float32 (n, 3, side, side).

        The steps and their precision are those of transformers' processors, so that values are equal to the last bit.
        """
        import torch

        mean, sd = (torch.tensor(colour, dtype=torch.float32, device=batch.device) for colour in (self.mean, self.sd))
        scaled = (batch.to(torch.float64) * (1 / 255)).to(torch.float32)  # (n, side, side, 3)
        return ((scaled - mean) / sd).permute(0, 3, 1, 2).contiguous()


class Processed:
    """The input of a network as its own processor makes it: slower, and right for any network of transformers."""

    def __init__(self, processor: Any) -> None:
        """Take a processor of transformers."""
        self._processor = processor

    def prepare(self, image: np.ndarray) -> np.ndarray:
        """Make one picture's input, float32 (3, height, width)."""
        pixel_values = self._processor(Image.fromarray(image), return_tensors="np")["pixel_values"]
        return np.asarray(pixel_values[0], dtype=np.float32)

    def normalise(self, batch: Any) -> Any:
        """Do nothing: the processor has done it."""
        return batch


def direct(size: int) -> InputRule:
    """Resize straight to a square of ``size``, ImageNet's colours."""
    return InputRule(size, keep_aspect=False, crop=None)


def of_processor(file_settings: dict[str, Any], default: InputRule) -> InputRule:
    """Read the rule of a checkpoint's preprocessor file; what it does not say is as in ``default``.

    Parameters
    ----------
    file_settings : dict
        Content of ``preprocessor_config.json``; empty where there is none.
    default : InputRule

    Returns
    -------
    InputRule

    Raises
    ------
    ValueError
        If the file asks for something that is not done here: names it.
    """
    for key in ("do_resize", "do_rescale", "do_normalize"):
        if file_settings.get(key, True) is not True:
            raise ValueError(
                f"the checkpoint's preprocessor file says {key}: {file_settings[key]!r}; only true is done here"
            )
    if abs(file_settings.get("rescale_factor", 1 / 255) - 1 / 255) > 1e-12:
        raise ValueError(
            f"the checkpoint's preprocessor file says rescale_factor {file_settings['rescale_factor']}, not 1/255"
        )
    size = file_settings.get("size", {"shortest_edge": default.size} if default.keep_aspect else default.size)
    if isinstance(size, int):
        size = {"shortest_edge": size} if default.keep_aspect else {"height": size, "width": size}
    crop = (
        file_settings.get("crop_size", default.crop)
        if file_settings.get("do_center_crop", default.crop is not None)
        else None
    )
    crop = crop if crop is None or isinstance(crop, int) else _square(crop)
    filter_number = file_settings.get("resample", int(FILTERS[default.filter]))
    filter_names = {int(value): name for name, value in FILTERS.items()}
    if filter_number not in filter_names:
        raise ValueError(f"the checkpoint's preprocessor file says resample {filter_number}; known are {filter_names}")
    keep_aspect = set(size) == {"shortest_edge"}
    return InputRule(
        size["shortest_edge"] if keep_aspect else _square(size),
        keep_aspect,
        crop,
        filter_names[filter_number],
        tuple(file_settings.get("image_mean", default.mean)),
        tuple(file_settings.get("image_std", default.sd)),
    )


def _square(size: dict[str, int]) -> int:
    if set(size) != {"height", "width"} or size["height"] != size["width"]:
        raise ValueError(f"the checkpoint's preprocessor file states the size {size}; only squares are done here")
    return int(size["height"])


def layer_indices(layer: float | Sequence[float], n_states: int) -> list[int]:
    """Turn layers into places among hidden states (the embeddings are state 0).

    Parameters
    ----------
    layer : int, float, or sequence of them
        A whole number is a place; a fraction f below or at 1.0 (written with a point) is ``int(f * (n_states - 1))``.
    n_states : int
        Blocks + 1.

    Returns
    -------
    list of int

    Raises
    ------
    ValueError
        If a place does not exist; says how many there are.
    """
    layers = list(layer) if isinstance(layer, Sequence) else [layer]
    indices = [
        int(layer_asked * (n_states - 1)) if isinstance(layer_asked, float) else layer_asked for layer_asked in layers
    ]
    wrong_layers = [
        layer_asked for layer_asked, index in zip(layers, indices, strict=True) if not 0 <= index < n_states
    ]
    if wrong_layers:
        raise ValueError(
            f"layer {wrong_layers[0]} does not exist: this network has hidden states 0 to {n_states - 1}, "
            "or fractions to 1.0"
        )
    return indices


def pooled(states: Any, pool: str, n_prefix: int) -> Any:
    """Pool tokens (n, n_tokens, width), the class token first, then registers, then patches.

    Parameters
    ----------
    states : torch tensor
    pool : one of ``POOLS``
        "cls": the first token; "mean": of all tokens; "mean-patches": of patches; "patches": all patches, one after
        the other.
    n_prefix : int
        Tokens before the patches.

    Returns
    -------
    torch tensor of shape (n, n_features)
    """
    if pool == "cls":
        return states[:, 0]
    if pool == "mean":
        return states.mean(dim=1)
    patches = states[:, n_prefix:]  # (n, n_patches, width)
    return patches.mean(dim=1) if pool == "mean-patches" else patches.flatten(1)


def describe(extractor: Callable[[Any], np.ndarray], images: Sequence[np.ndarray]) -> np.ndarray:
    """Describe pictures in one go, as a feature's stage does in parts: prepared, where it prepares, then described."""
    prepare = getattr(extractor, "prepare", None)
    return extractor([prepare(image) for image in images] if prepare else images)
