"""hf_vision, clip and alexnet against what transformers, or plain torch, gives."""

import hashlib
import json

import numpy as np
import pytest
import torch
import transformers
from torch import nn

from boldflow.core.compute import fixed_threads
from boldflow.core.pictures import vision
from boldflow.features import alexnet
from tests.made.features import described, entry, opened
from tests.made.networks import saved

FROM = {"weights": "pretrained", "checkpoint": "mine/tiny", "revision": "0" * 40}
SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 2, "patch_size": 16}


@pytest.fixture(autouse=True)
def one_thread():
    with fixed_threads(1):
        yield


def pictures():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in ((80, 101), (64, 64), (90, 70))]


def alone(network, pixels, **given):
    with torch.inference_mode():
        return [network(pixel_values=one[None], **given) for one in pixels]


def test_a_vit_gives_transformers_hidden_states_and_pooled_output(tmp_path):
    torch.manual_seed(0)
    stated = {"image_processor_type": "ViTImageProcessor", "size": {"height": 48, "width": 48}}
    config = transformers.ViTConfig(image_size=48, initializer_range=0.2, **SIZES)
    network = saved(transformers.ViTModel(config), tmp_path, stated)
    processor = transformers.AutoImageProcessor.from_pretrained(tmp_path)
    pixels = torch.cat([processor(image, return_tensors="pt")["pixel_values"] for image in pictures()])
    found = alone(network, pixels, output_hidden_states=True)
    for layer, place in ((2, 2), (1.0, 3), (0.5, 1)):
        states = torch.cat([one.hidden_states[place] for one in found])
        for pool, wanted in (("cls", states[:, 0]), ("mean", states.mean(1)), ("tokens", states.flatten(1))):
            mine = described("hf_vision", pictures(), tmp_path, layer=layer, pool=pool, **FROM)
            np.testing.assert_array_equal(mine, wanted.numpy())
    mine = described("hf_vision", pictures(), tmp_path, pool="pooler", **FROM)
    # a product with a single row may round by where its weights lie in memory
    np.testing.assert_allclose(mine, torch.cat([one.pooler_output for one in found]).numpy(), rtol=0, atol=1e-6)


def test_a_pooled_output_whose_weights_a_checkpoint_lacks_is_not_made_up(tmp_path):
    """So are classifiers saved: hidden states are theirs, a head that pools is not."""
    torch.manual_seed(0)
    config = transformers.ViTConfig(image_size=48, **SIZES)
    saved(transformers.ViTForImageClassification(config), tmp_path)
    given = FROM | {"input": "direct", "size": 48}
    assert described("hf_vision", pictures(), tmp_path, pool="mean", **given).shape == (3, SIZES["hidden_size"])
    with pytest.raises(ValueError, match=r"lacks 2 weights of a ViTModel \(pooler.dense.bias, pooler.dense.weight\)"):
        described("hf_vision", pictures(), tmp_path, pool="pooler", **given)


def test_maps_of_a_convolutional_network_are_averaged_over_places(tmp_path):
    torch.manual_seed(0)
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    network = saved(transformers.ResNetModel(config), tmp_path)
    settings = FROM | {"input": "direct", "size": 64}
    mine = described("hf_vision", pictures(), tmp_path, layer=[1, 2], **settings)
    rule = vision.direct(64)
    pixels = rule.normalise(torch.from_numpy(np.stack([rule.prepare(image) for image in pictures()])))
    found = alone(network, pixels, output_hidden_states=True)
    wanted = torch.cat([torch.cat([one.hidden_states[k].mean((2, 3)) for one in found]) for k in (1, 2)], dim=1)
    np.testing.assert_array_equal(mine, wanted.numpy())
    with pytest.raises(ValueError, match="maps have no class token"):
        described("hf_vision", pictures(), tmp_path, pool="cls", **settings)


def test_clip_gives_the_image_embedding_at_length_one_from_a_checkpoint_with_its_text_part(tmp_path):
    torch.manual_seed(0)
    text = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "vocab_size": 9,
    }
    sizes = {
        "vision_config": SIZES | {"image_size": 48, "projection_dim": 24},
        "text_config": text,
        "projection_dim": 24,
    }
    stated = {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 48}, "crop_size": 48}
    network = saved(transformers.CLIPModel(transformers.CLIPConfig(**sizes)), tmp_path, stated)
    processor = transformers.CLIPImageProcessorPil.from_pretrained(tmp_path)
    pixels = torch.cat([processor(image, return_tensors="pt")["pixel_values"] for image in pictures()])
    with torch.inference_mode():
        found = torch.cat([network.get_image_features(pixel_values=one[None]).pooler_output for one in pixels])
    mine = described("clip", pictures(), tmp_path, **FROM)
    assert mine.shape == (3, 24)
    np.testing.assert_allclose(np.linalg.norm(mine, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(mine, (found / found.norm(dim=1, keepdim=True)).numpy(), atol=1e-6)


def published_alexnet():
    """The published layers in their published order, written out."""
    return nn.Sequential(
        *(nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(64, 192, 5, 1, 2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(192, 384, 3, 1, 1), nn.ReLU(), nn.Conv2d(384, 256, 3, 1, 1), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(3, 2)),
    )


def test_alexnets_maps_are_those_of_the_published_layers(tmp_path, monkeypatch):
    torch.manual_seed(3)
    layers = published_alexnet()
    name = "alexnet-owt-7be5be79"
    torch.save({f"features.{key}": value for key, value in layers.state_dict().items()}, tmp_path / f"{name}.pth")
    digest = hashlib.sha256((tmp_path / f"{name}.pth").read_bytes()).hexdigest()
    pixels = alexnet.RULE.normalise(torch.from_numpy(np.stack([alexnet.RULE.prepare(one) for one in pictures()])))
    wanted = {}
    with torch.inference_mode():
        for layer in layers:
            pixels = layer(pixels)
            if isinstance(layer, nn.ReLU):
                wanted[f"conv{len(wanted) + 1}"] = pixels
    assert [tuple(one.shape[1:]) for one in wanted.values()] == [
        *((64, 55, 55), (192, 27, 27)),
        *((384, 13, 13), (256, 13, 13), (256, 13, 13)),
    ]
    settings = {"weights": "pretrained", "maps": ["conv5", "conv1", "conv3"]}
    with pytest.raises(
        ValueError, match=f"is not the published file: expected sha256:7be5be79.*, found sha256:{digest}"
    ):
        described("alexnet", pictures(), tmp_path, **settings)
    monkeypatch.setitem(alexnet.CHECKPOINTS[name], "sha256", {f"{name}.pth": digest})
    for grid in (1, 13):
        mine = described("alexnet", pictures(), tmp_path, grid=grid, **settings)
        columns = [nn.functional.adaptive_avg_pool2d(wanted[one], grid).flatten(1) for one in settings["maps"]]
        np.testing.assert_allclose(mine, torch.cat(columns, dim=1).numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("plugin", ["hf_vision", "clip", "alexnet"])
def test_seeded_controls_are_the_same_again_and_others_under_another_seed(plugin):
    one, same, other = (described(plugin, pictures()[:1], seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 1e-4
    assert json.dumps(entry(plugin)) and opened(plugin).batch == 1
