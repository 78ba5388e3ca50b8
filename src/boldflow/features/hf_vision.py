"""Hidden states, or the pooled output, of any vision network that transformers knows; code of others is never run."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from boldflow.artifacts.formats import networks
from boldflow.core.pictures.pretrained import Checkpoint, on_hub
from boldflow.core.pictures.vision import InputRule, Processed, direct, layer_indices
from boldflow.settings import Entry
from boldflow.vocabulary.devices import Device

FACTS = {"reads": "images", "kind": "embedding", "device": "cuda", "threads": 1, "checkpoint": True}
SETTINGS: dict[str, dict[str, Any]] = {
    "architecture": {
        "description": "For weights: untrained, model_type and sizes of the network in the words of transformers.",
        "type": "object",
        "required": ["model_type"],
        "default": {
            "model_type": "vit",
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "image_size": 48,
            "patch_size": 16,
            "initializer_range": 0.2,
        },
    },
    "layer": {
        "description": "Hidden state as transformers counts them, or a list: 0 is the embedding. A number with a "
        "point, f up to 1.0, is state int(f * (n - 1)) of n.",
        "type": ["number", "array"],
        "items": {"type": "number", "minimum": 0},
        "minItems": 1,
        "minimum": 0,
        "default": 1.0,
    },
    "pool": {
        "description": "mean: of all tokens or places. cls: the first token. tokens: all, one after the other, which "
        "is large. pooler: the network's own pooled output, whatever the layer.",
        "enum": ["mean", "cls", "tokens", "pooler"],
        "default": "mean",
    },
    "input": {
        "description": "processor: as the checkpoint's own processor makes it. direct: the picture is resized to size "
        "x size, ImageNet's mean and sd. Untrained networks take direct at their own size.",
        "enum": ["processor", "direct"],
        "default": "processor",
    },
    "size": {"description": "Pixels per side for input: direct.", "type": "integer", "minimum": 8, "default": 224},
}
CHECKPOINTS: dict[str, dict[str, Any]] = {}


def files_needed(settings: Entry) -> Checkpoint | None:
    """Say which checkpoint an entry needs."""
    return on_hub(settings, CHECKPOINTS, networks.FILES)


def extractor(settings: Entry, folder: Path | None, device: Device) -> Callable[[Sequence[np.ndarray]], np.ndarray]:
    """Open the network once; see the package docstring for the contract.

    Raises
    ------
    ValueError
        If the checkpoint lacks weights or asks for code, or the network has no such layer or pool.
    """
    from boldflow.core.pictures.extractor import Extractor, Wrapped

    rule: InputRule | Processed
    if folder is None:
        sizes = dict(settings["architecture"])
        network = networks.untrained(sizes.pop("model_type"), sizes, settings["seed"])
        rule = direct(int(network.config.image_size))
    else:
        network = networks.pretrained(folder, pooler=settings["pool"] == "pooler")
        wants_own = settings["input"] == "processor"
        rule = Processed(networks.processor(folder)) if wants_own else direct(settings["size"])
    pool = partial(_rows, layer=settings["layer"], pool=settings["pool"])
    return Extractor(Wrapped(network, pool), rule, device, settings["precision"], settings.get("batch"))


def _rows(network: Any, pixels: Any, layer: Any, pool: str) -> Any:
    """Run the network whole and pool what was asked for: torch tensor (n, n_features)."""
    import torch

    outputs = network(pixel_values=pixels, output_hidden_states=pool != "pooler")
    if pool == "pooler":
        if getattr(outputs, "pooler_output", None) is None:
            raise ValueError(f"a {type(network).__name__} has no pooled output; choose another pool")
        return outputs.pooler_output.flatten(1).float()
    states = getattr(outputs, "hidden_states", None)
    if not states:
        raise ValueError(f"a {type(network).__name__} tells no hidden states; choose pool: pooler")
    layer_states = [states[index] for index in layer_indices(layer, len(states))]
    return torch.cat([_pooled(tokens, pool).float() for tokens in layer_states], dim=1)


def _pooled(states: Any, pool: str) -> Any:
    """Pool tokens (n, n_tokens, width) or maps (n, width, height, width)."""
    if pool == "tokens":
        return states.flatten(1)
    if states.ndim == 4:
        if pool == "cls":
            raise ValueError("maps have no class token; choose pool: mean")
        return states.mean(dim=(2, 3))
    return states[:, 0] if pool == "cls" else states.mean(dim=1)
