"""The convolutional maps of AlexNet, as published with torchvision, after their rectification."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from boldflow.artifacts.formats import networks
from boldflow.core.pictures.pretrained import Checkpoint
from boldflow.core.pictures.vision import InputRule
from boldflow.settings import Entry
from boldflow.vocabulary.devices import Device

FACTS = {"reads": "images", "kind": "embedding", "device": "cpu", "threads": 1, "checkpoint": True}
SETTINGS: dict[str, dict[str, Any]] = {
    "checkpoint": {
        "description": "Which weights.",
        "enum": ["alexnet-owt-7be5be79"],
        "default": "alexnet-owt-7be5be79",
    },
    "maps": {
        "description": "Which maps, in the order of the columns.",
        "type": "array",
        "items": {"enum": ["conv1", "conv2", "conv3", "conv4", "conv5"]},
        "minItems": 1,
        "uniqueItems": True,
        "default": ["conv1", "conv2", "conv3", "conv4", "conv5"],
    },
    "grid": {
        "description": "Cells per side over which a map is averaged; a map with fewer places is kept as it is.",
        "type": "integer",
        "minimum": 1,
        "default": 3,
    },
}
# A pickle of tensors: opened only because its SHA-256 stands here.
CHECKPOINTS: dict[str, dict[str, Any]] = {
    "alexnet-owt-7be5be79": {
        "sha256": {"alexnet-owt-7be5be79.pth": "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02"},
        "n_bytes": 244_408_911,
    },
}
ADDRESS = "https://download.pytorch.org/models/{file}"
RULE = InputRule(256, keep_aspect=True, crop=224, filter="bilinear")
# input and output channels, kernel, stride, padding; whether a maximum over 3 x 3 in steps of 2 comes before
CONVOLUTIONS = (
    (3, 64, 11, 4, 2, False),
    (64, 192, 5, 1, 2, True),
    (192, 384, 3, 1, 1, True),
    (384, 256, 3, 1, 1, False),
    (256, 256, 3, 1, 1, False),
)
PLACES = (0, 3, 6, 8, 10)  # of the convolutions among the published network's "features"


def files_needed(settings: Entry) -> Checkpoint | None:
    """Say which file an entry needs."""
    if settings["weights"] == "untrained":
        return None
    name = settings["checkpoint"]
    checkpoint_facts = CHECKPOINTS[name]
    (file,) = checkpoint_facts["sha256"]
    address = ADDRESS.format(file=file)
    return Checkpoint(name, name, None, None, address, (file,), checkpoint_facts["sha256"], checkpoint_facts["n_bytes"])


def n_features(settings: Entry) -> int:
    """Count the columns."""
    channels = [CONVOLUTIONS[int(name[-1]) - 1][1] for name in settings["maps"]]
    sides = {"conv1": 55, "conv2": 27}
    cells = [min(settings["grid"], sides.get(name, 13)) ** 2 for name in settings["maps"]]
    return sum(n * cell for n, cell in zip(channels, cells, strict=True))


def extractor(settings: Entry, folder: Path | None, device: Device) -> Callable[[Sequence[np.ndarray]], np.ndarray]:
    """Open the network once; see the package docstring for the contract.

    Maps vary slowest among the columns, then channel, row and column of the grid.

    Raises
    ------
    ValueError
        If the file is not the published one.
    """
    import torch
    from torch import nn

    from boldflow.core.pictures.extractor import Extractor, Wrapped

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings["seed"])
        layers = nn.ModuleList(nn.Conv2d(*sizes[:5]) for sizes in CONVOLUTIONS)
    if folder is not None:
        ((file, sha256),) = CHECKPOINTS[settings["checkpoint"]]["sha256"].items()
        tensors = networks.tensors(folder / file, sha256)
        for layer, layer_index in zip(layers, PLACES, strict=True):
            layer.load_state_dict({key: tensors[f"features.{layer_index}.{key}"] for key in ("weight", "bias")})

    def maps(network: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
        pooled_by_layer, states = {}, pixels
        for layer_number, (layer, sizes) in enumerate(zip(layers, CONVOLUTIONS, strict=True), start=1):
            states = nn.functional.max_pool2d(states, 3, 2) if sizes[-1] else states
            states = nn.functional.relu(layer(states))
            grid = min(settings["grid"], states.shape[-1])
            pooled_by_layer[f"conv{layer_number}"] = nn.functional.adaptive_avg_pool2d(states.float(), grid).flatten(1)
        return torch.cat([pooled_by_layer[name] for name in settings["maps"]], dim=1)

    return Extractor(Wrapped(layers, maps), RULE, device, settings["precision"], settings.get("batch"))
