"""CLIP's embedding of a picture: the projected one that is compared with texts, of length 1."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from boldflow.artifacts.formats import networks
from boldflow.core.pictures.pretrained import Checkpoint, on_hub
from boldflow.core.pictures.vision import CLIP_MEAN, CLIP_SD, InputRule, of_processor
from boldflow.settings import Entry
from boldflow.vocabulary.devices import Device

FACTS = {"reads": "images", "kind": "embedding", "device": "cuda", "threads": 1, "checkpoint": True}
SETTINGS: dict[str, dict[str, Any]] = {
    "architecture": {
        "description": "For weights: untrained, sizes of the network in the words of transformers' CLIPVisionConfig.",
        "type": "object",
        "default": {
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "image_size": 48,
            "patch_size": 16,
            "projection_dim": 24,
            "initializer_factor": 5.0,
        },
    },
}
CHECKPOINTS: dict[str, dict[str, Any]] = {
    "openai/clip-vit-large-patch14": {
        "revision": "32bd64288804d66eefd0ccbe215aa642df71cc41",
        "n_bytes": 1_710_600_000,
        "width": 768,
    },
}


def files_needed(settings: Entry) -> Checkpoint | None:
    """Say which checkpoint an entry needs."""
    return on_hub(settings, CHECKPOINTS, networks.FILES)


def n_features(settings: Entry) -> int | None:
    """Count the columns as far as they are known without the checkpoint."""
    if settings["weights"] == "untrained":
        return int(settings["architecture"].get("projection_dim", 512))
    return CHECKPOINTS.get(settings.get("checkpoint", ""), {}).get("width")


def extractor(settings: Entry, folder: Path | None, device: Device) -> Callable[[Sequence[np.ndarray]], np.ndarray]:
    """Open the network once; see the package docstring for the contract.

    Raises
    ------
    ValueError
        If the checkpoint lacks weights of CLIP's vision network, or asks for code.
    """
    from boldflow.core.pictures.extractor import Extractor, Wrapped

    class_name = "CLIPVisionModelWithProjection"
    if folder is None:
        network = networks.untrained("clip_vision_model", settings["architecture"], settings["seed"], class_name)
    else:
        network = networks.pretrained(folder, class_name)
    side = int(network.config.image_size)
    default_rule = InputRule(side, keep_aspect=True, crop=side, mean=CLIP_MEAN, sd=CLIP_SD)
    rule = of_processor(networks.processor_file(folder) if folder else {}, default_rule)
    return Extractor(Wrapped(network, _embedding), rule, device, settings["precision"], settings.get("batch"))


def _embedding(network: Any, pixels: Any) -> Any:
    embedding = network(pixel_values=pixels).image_embeds.float()
    return embedding / embedding.norm(dim=1, keepdim=True)
