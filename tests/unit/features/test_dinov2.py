"""Layers, pools, input rules and precision of DINOv2 against transformers' own output, on tiny networks."""

import json

import numpy as np
import pytest
import torch
import transformers

from boldflow.core.compute import fixed_threads
from boldflow.core.pictures import vision
from boldflow.features import dinov2 as plugin
from tests.made.features import described, opened
from tests.made.networks import dinov2

COLOURS = {"image_mean": list(vision.IMAGENET_MEAN), "image_std": list(vision.IMAGENET_SD)}
PUBLISHED = COLOURS | {  # as the checkpoints' own file has it
    "image_processor_type": "BitImageProcessor",
    "size": {"shortest_edge": 256},
    "crop_size": {"height": 224, "width": 224},
    "resample": 3,
}
FROM = {"weights": "pretrained", "checkpoint": "mine/tiny", "revision": "0" * 40}
POOLS = ["cls", "mean", "mean-patches", "patches"]


@pytest.fixture(autouse=True)
def one_thread():
    with fixed_threads(1):
        yield


def pictures():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in ((300, 401), (256, 256), (200, 100), (57, 90))]


def inputs_of_transformers(folder, images):
    """Pixels as the checkpoint's own processor makes them."""
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    return torch.cat([processor(image, return_tensors="pt")["pixel_values"] for image in images])


def states_of_transformers(network, pixels):
    """Hidden states of each picture on its own, from the full forward."""
    with torch.inference_mode():
        found = [network(pixel_values=one[None], output_hidden_states=True).hidden_states for one in pixels]
    return [torch.cat(states) for states in zip(*found, strict=True)]


@pytest.mark.parametrize(("depth", "registers"), [(2, 0), (5, 4), (12, 0)])
def test_every_layer_and_pool_is_that_of_the_full_forward_to_the_last_bit(tmp_path, depth, registers):
    network, images = dinov2(tmp_path, depth, registers, PUBLISHED), pictures()[:3]
    states = states_of_transformers(network, inputs_of_transformers(tmp_path, images))
    assert len(states) == depth + 1
    for layer in [*range(depth + 1), 0.6667, [0, depth // 2, 1.0]]:
        found = described("dinov2", images, tmp_path, layer=layer, pool=POOLS, **FROM)
        wanted = [layer] if isinstance(layer, int | float) else layer
        places = [int(np.floor(one * depth)) if isinstance(one, float) else one for one in wanted]
        columns = [
            part
            for one in (states[place] for place in places)
            for part in (one[:, 0], one.mean(1), one[:, 1 + registers :].mean(1), one[:, 1 + registers :].flatten(1))
        ]
        np.testing.assert_array_equal(found, torch.cat(columns, dim=1).numpy())


def test_layers_that_are_not_needed_are_not_there(tmp_path):
    dinov2(tmp_path, 6)
    for layer, blocks in ((0, 0), (0.5, 3), ([1, 0.7], 4)):
        network = opened("dinov2", tmp_path, layer=layer, **FROM).network.network
        assert len(network.encoder.layer) == blocks


def test_the_published_layer_of_the_largest_is_26_of_40():
    assert vision.layer_indices(0.6667, 41) == [26]
    assert vision.layer_indices([0, 40, 1.0, 0.0], 41) == [0, 40, 40, 0]


@pytest.mark.parametrize("layer", [5, 1.5, [0, 7]])
def test_a_layer_that_does_not_exist_is_refused(tmp_path, layer):
    dinov2(tmp_path, 4)
    with pytest.raises(ValueError, match="does not exist: this network has hidden states 0 to 4"):
        opened("dinov2", tmp_path, layer=layer, **FROM)


@pytest.mark.parametrize("stated", [None, PUBLISHED, PUBLISHED | {"size": {"shortest_edge": 100}, "crop_size": 98}])
def test_the_processors_input_is_transformers_to_the_last_bit(tmp_path, stated):
    dinov2(tmp_path, 1, processor=stated)
    rule = opened("dinov2", tmp_path, **FROM).rule
    mine = rule.normalise(torch.from_numpy(np.stack([rule.prepare(image) for image in pictures()])))
    if stated is None:  # the rule that is taken without a file is the published one
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(PUBLISHED))
    assert torch.equal(mine, inputs_of_transformers(tmp_path, pictures()))


@pytest.mark.parametrize("size", [56, 98])
def test_the_direct_input_is_transformers_resize_to_a_square(tmp_path, size):
    dinov2(tmp_path, 1)
    rule = opened("dinov2", tmp_path, input="direct", size=size, **FROM).rule
    mine = rule.normalise(torch.from_numpy(np.stack([rule.prepare(image) for image in pictures()])))
    straight = {"size": {"height": size, "width": size}, "do_center_crop": False}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(PUBLISHED | straight))
    assert torch.equal(mine, inputs_of_transformers(tmp_path, pictures()))


def test_an_input_that_patches_do_not_divide_and_one_of_another_kind_are_refused(tmp_path):
    dinov2(tmp_path, 1)
    with pytest.raises(ValueError, match="100 pixels wide, which its patches of 14 do not divide"):
        opened("dinov2", tmp_path, input="direct", size=100, **FROM)
    for stated, words in (
        ({"do_normalize": False}, "do_normalize: False; only true is done here"),
        ({"rescale_factor": 1.0}, "rescale_factor 1.0, not 1/255"),
        ({"resample": 5}, "resample 5; known are"),
        ({"crop_size": {"height": 28, "width": 14}}, "only squares are done here"),
        ({"size": {"shortest_edge": 100}}, "a crop of 224 pixels does not fit an edge of 100"),
    ):
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(stated))
        with pytest.raises(ValueError, match=words):
            opened("dinov2", tmp_path, **FROM)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_lower_precision_differs_by_less_than_two_percent_of_a_rows_length(tmp_path, precision):
    dinov2(tmp_path, 12, hidden_size=192, num_attention_heads=6, initializer_range=0.05)
    settings = FROM | {"layer": [4, 8, 12], "pool": ["cls", "mean"], "input": "direct", "size": 70}
    exact = described("dinov2", pictures(), tmp_path, **settings)
    lower = described("dinov2", pictures(), tmp_path, precision=precision, **settings)
    apart = np.linalg.norm((lower - exact).reshape(4, 6, -1), axis=2) / np.linalg.norm(exact.reshape(4, 6, -1), axis=2)
    assert 1e-5 < apart.max() < 0.02


def test_batches_give_the_same_rows_within_1e_5_of_their_length(tmp_path):
    dinov2(tmp_path, 12)
    images = [*pictures(), *pictures()][:7]
    settings = FROM | {"pool": ["cls", "mean"], "input": "direct", "size": 70}
    alone = described("dinov2", images, tmp_path, **settings)
    for batch in (2, 3, 7, 32):
        together = described("dinov2", images, tmp_path, batch=batch, **settings)
        assert (np.linalg.norm(together - alone, axis=1) <= 1e-5 * np.linalg.norm(alone, axis=1)).all()


def test_out_of_memory_halves_the_batch_says_so_and_gives_the_same_rows(tmp_path, monkeypatch, caplog):
    dinov2(tmp_path, 3)
    images = [*pictures(), *pictures(), *pictures()]
    settings = FROM | {"input": "direct", "size": 70, "batch": 9}
    whole = opened("dinov2", tmp_path, **settings)
    rows = vision.describe(whole, images)
    small = opened("dinov2", tmp_path, **settings)
    forward = small.network.forward

    def little_memory(pixels):
        if len(pixels) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(pixels)

    monkeypatch.setattr(small.network, "forward", little_memory)
    np.testing.assert_allclose(vision.describe(small, images), rows, rtol=1e-4, atol=1e-4)
    assert (whole.batch, small.batch) == (9, 2)
    assert "out of memory at 9 pictures: going on with 4" in caplog.text and "going on with 2" in caplog.text
    monkeypatch.setattr(small.network, "forward", lambda _: (_ for _ in ()).throw(torch.OutOfMemoryError("no")))
    with pytest.raises(torch.OutOfMemoryError):
        vision.describe(small, images)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_torch_does_not_find_is_no_reason_to_take_the_cpu(tmp_path):
    dinov2(tmp_path, 1)
    from tests.made.features import entry

    with pytest.raises(RuntimeError, match="was given a GPU, and torch finds none"):
        plugin.extractor(entry("dinov2", **FROM), tmp_path, "cuda")


def test_a_network_of_another_kind_and_one_that_lacks_weights_are_refused(tmp_path):
    from safetensors.torch import load_file, save_file

    dinov2(tmp_path / "whole", 3)
    content = load_file(tmp_path / "whole/model.safetensors")
    lacking = {name: one for name, one in content.items() if "layer.1.mlp" not in name}
    save_file(lacking, tmp_path / "whole/model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match="lacks 4 weights of a Dinov2Model"):
        opened("dinov2", tmp_path / "whole", **FROM)
    other = transformers.ViTModel(transformers.ViTConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2))
    other.save_pretrained(tmp_path / "vit")
    with pytest.raises(ValueError, match="holds a network of type 'vit', expected one of"):
        opened("dinov2", tmp_path / "vit", **FROM)


def test_random_weights_depend_on_the_seed_alone():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one, same, other = (described("dinov2", pictures()[:1], seed=seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 1e-3


def test_the_bench_of_whole_files_runs_with_a_small_network_on_the_cpu(monkeypatch):
    """Its figures mean nothing here; on a GPU the same functions measure the largest network."""
    from bench import features

    monkeypatch.setattr(features, "N_WARM", 4)
    row = features.files_to_features(9, {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}, "cpu")
    assert 0 < row.ratio < 1 and row.agrees and "9 JPEG files" in row.shape
