"""Tiny networks with seeded random weights, saved as published ones are: tests open them the same way."""

import json
from pathlib import Path

import torch
import transformers

SIZES = {"hidden_size": 48, "num_attention_heads": 3, "initializer_range": 0.2}


def dinov2(folder: Path, depth: int = 4, registers: int = 0, processor: dict | None = None, **more) -> torch.nn.Module:
    """Save a DINOv2, and give the same network as transformers has it."""
    sizes = SIZES | {"num_hidden_layers": depth, "image_size": 70, "layerscale_value": 0.5} | more
    torch.manual_seed(depth)
    if registers:
        config = transformers.Dinov2WithRegistersConfig(num_register_tokens=registers, **sizes)
        network = transformers.Dinov2WithRegistersModel(config)
    else:
        network = transformers.Dinov2Model(transformers.Dinov2Config(**sizes))
    return saved(network, folder, processor)


def saved(network, folder: Path, processor: dict | None = None):
    """Save a network with its preprocessor file."""
    network.eval().save_pretrained(folder)
    if processor is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return network
