"""Hidden states of DINOv2, of any size, with or without registers; the network is left after the block needed."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from boldflow.artifacts.formats import networks
from boldflow.core.pictures.pretrained import Checkpoint, on_hub
from boldflow.core.pictures.vision import InputRule, direct, layer_indices, of_processor, pooled
from boldflow.settings import Entry
from boldflow.vocabulary.devices import Device

FACTS = {"reads": "images", "kind": "embedding", "device": "cuda", "threads": 1, "checkpoint": True}
SETTINGS: dict[str, dict[str, Any]] = {
    "architecture": {
        "description": "For weights: untrained, sizes of the network in the words of transformers' Dinov2Config; "
        "num_register_tokens makes it one with registers.",
        "type": "object",
        "default": {
            "hidden_size": 32,
            "num_hidden_layers": 4,
            "num_attention_heads": 2,
            "image_size": 56,
            "initializer_range": 0.2,
        },
    },
    "layer": {
        "description": "Hidden state, or a list of them: 0 is the embedding, n what block n gives, all before the "
        "final norm. A number with a point, f up to 1.0, is state int(f * blocks).",
        "type": ["number", "array"],
        "items": {"type": "number", "minimum": 0},
        "minItems": 1,
        "minimum": 0,
        "default": 1.0,
    },
    "pool": {
        "description": "cls: the class token. mean: of all tokens, class token and registers too. mean-patches: of the "
        "patches alone. patches: all patches one after the other, which is large. A list gives each of each layer.",
        "oneOf": [
            {"enum": ["cls", "mean", "mean-patches", "patches"]},
            {
                "type": "array",
                "items": {"enum": ["cls", "mean", "mean-patches", "patches"]},
                "minItems": 1,
                "uniqueItems": True,
            },
        ],
        "default": "mean",
    },
    "input": {
        "description": "direct: the picture is resized to size x size. processor: its short edge to 256, then the "
        "middle 224 x 224, unless the checkpoint's own preprocessor file says otherwise.",
        "enum": ["direct", "processor"],
        "default": "processor",
    },
    "size": {
        "description": "Pixels per side for input: direct, a multiple of the patches' 14.",
        "type": "integer",
        "minimum": 14,
        "multipleOf": 14,
        "default": 518,
    },
}
# Known beforehand, so that what is downloaded is verified; SHA-256 that are not listed are trusted at first use.
CHECKPOINTS: dict[str, dict[str, Any]] = {
    "facebook/dinov2-small": {
        "revision": "ed25f3a31f01632728cabb09d1542f84ab7b0056",
        "sha256": {"model.safetensors": "ae1e99fcefd534ed978cdeb8326f08030c96e28b7a81ffcbc98a857c84d14be1"},
        "n_bytes": 88_300_000,
        "width": 384,
    },
    "facebook/dinov2-base": {
        "revision": "f9e44c814b77203eaa57a6bdbbd535f21ede1415",
        "n_bytes": 346_400_000,
        "width": 768,
    },
    "facebook/dinov2-large": {
        "revision": "47b73eefe95e8d44ec3623f8890bd894b6ea2d6c",
        "n_bytes": 1_217_600_000,
        "width": 1024,
    },
    "facebook/dinov2-giant": {
        "revision": "611a9d42f2335e0f921f1e313ad3c1b7178d206d",
        "sha256": {"model.safetensors": "917d3c470db999d32a312f8542149be91c7cbac61ee8fb4b67ae3d82b79ce21f"},
        "n_bytes": 4_546_006_416,
        "width": 1536,
    },
}
PROCESSOR = InputRule(256, keep_aspect=True, crop=224)  # where a checkpoint has no preprocessor file
TYPES = ("dinov2", "dinov2_with_registers")


def files_needed(settings: Entry) -> Checkpoint | None:
    """Say which checkpoint an entry needs."""
    return on_hub(settings, CHECKPOINTS, networks.FILES)


def n_features(settings: Entry) -> int | None:
    """Count the columns as far as they are known without the checkpoint."""
    is_untrained = settings["weights"] == "untrained"
    checkpoint_facts = CHECKPOINTS.get(settings.get("checkpoint", ""), {})
    width = settings["architecture"].get("hidden_size", 768) if is_untrained else checkpoint_facts.get("width")
    if width is None:
        return None
    side = settings["size"] if settings["input"] == "direct" else PROCESSOR.side
    n_patches = (side // 14) ** 2
    n_vectors_per_layer = sum(n_patches if pool == "patches" else 1 for pool in _listed(settings["pool"]))
    return int(width * n_vectors_per_layer * len(_listed(settings["layer"])))


def extractor(settings: Entry, folder: Path | None, device: Device) -> Callable[[Sequence[np.ndarray]], np.ndarray]:
    """Open the network once; see the package docstring for the contract.

    Layers vary slowest among the columns, then pools.

    Raises
    ------
    ValueError
        If the checkpoint is no DINOv2, lacks weights, asks for code, or has no such layer.
    """
    from boldflow.core.pictures.extractor import Extractor, Tapped

    if folder is None:
        model_type = TYPES["num_register_tokens" in settings["architecture"]]
        network = networks.untrained(model_type, settings["architecture"], settings["seed"])
    else:
        network = networks.pretrained(folder)
    if network.config.model_type not in TYPES:
        raise ValueError(f"{folder} holds a network of type {network.config.model_type!r}, expected one of {TYPES}")
    if settings["input"] == "direct":
        rule = direct(settings["size"])
    else:
        rule = of_processor(networks.processor_file(folder) if folder else {}, PROCESSOR)
    patch_size = network.config.patch_size
    if rule.side % patch_size:
        raise ValueError(f"the input is {rule.side} pixels wide, which its patches of {patch_size} do not divide")
    indices = layer_indices(settings["layer"], len(network.encoder.layer) + 1)
    leave_after(network, max(indices))
    n_prefix = 1 + getattr(network.config, "num_register_tokens", 0)
    pools = [partial(pooled, pool=pool, n_prefix=n_prefix) for pool in _listed(settings["pool"])]
    states = [network.embeddings, *network.encoder.layer]
    tapped_network = Tapped(network, [states[index] for index in indices], pools)
    return Extractor(tapped_network, rule, device, settings["precision"], settings.get("batch"))


def leave_after(network: Any, n_blocks: int) -> None:
    """Cut a network off after so many blocks: what those give is the same to the last bit, the rest is not computed."""
    from torch import nn

    network.encoder.layer = network.encoder.layer[:n_blocks]
    network.layernorm = nn.Identity()


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]
