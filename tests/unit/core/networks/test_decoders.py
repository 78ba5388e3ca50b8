"""Decoders against torch's own layers, one seed at a time."""

import numpy as np
import pytest
import torch

from bench._plain_decoders import PlainLinear, PlainMlp
from boldflow.core.networks import decoders
from boldflow.core.networks.decoders import FmriLinear, FmriMlp, LinearMap, Part
from tests.made.decoders import n_parameters

V, T, D = 11, 3, 6


def stacked(network, seeds):
    every = [decoders.start(network, seed) for seed in seeds]
    return every, {name: torch.stack([one[name] for one in every]) for name in every[0]}


def inputs(n=7, n_vertices=V, n_trs=T, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, n_trs, n_vertices)).astype(np.float32))


def test_numbers_of_parameters_are_the_published_ones():
    sizes = ((20_484,), 4, 1536)
    assert n_parameters(FmriMlp(*sizes)) == 5_214_853
    assert n_parameters(FmriLinear(*sizes)) == 31_464_965
    plain = {PlainMlp: 5_214_853, PlainLinear: 31_464_965}
    for witness, wanted in plain.items():
        with torch.device("meta"):
            assert sum(one.numel() for one in witness(20_484, 4, 1536).parameters()) == wanted


@pytest.mark.parametrize("n_trs", [1, T])
@pytest.mark.parametrize(("ours", "theirs"), [(FmriMlp, PlainMlp), (FmriLinear, PlainLinear)])
def test_each_seed_of_a_stack_is_the_plain_network(ours, theirs, n_trs):
    network, x = ours((V,), n_trs, D), inputs(n_trs=n_trs)
    every, own = stacked(network, [3, 4, 5])
    found = network.forward(own, [Part(0, x)], [])
    for number, values in enumerate(every):
        plain = theirs(V, n_trs, D).take(values).eval()
        np.testing.assert_allclose(found[number].numpy(), plain(x).detach().numpy(), rtol=1e-4, atol=1e-5)


def test_a_linear_map_has_trs_side_by_side():
    network, x = LinearMap((V,), T, D), inputs()
    every, own = stacked(network, [1, 2])
    found = network.forward(own, [Part(0, x)], [])
    for number, values in enumerate(every):
        wanted = x.reshape(len(x), -1).numpy() @ values["input0_weight"].numpy().T + values["input0_bias"].numpy()
        np.testing.assert_allclose(found[number].numpy(), wanted, rtol=1e-4, atol=1e-5)


def test_a_start_is_torchs_own_in_law_and_the_seeds_alone():
    """Witness: range and spread of torch's layers; the same seed twice, another seed."""
    network = FmriMlp((400,), T, 50)
    one, again, other = (decoders.start(network, seed) for seed in (0, 0, 1))
    plain = dict(PlainMlp(400, T, 50).named_parameters())
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["input0_weight"], other["input0_weight"])
    for ours, theirs in {"input0_weight": "first.0.weight", "head_weight": "head.weight"}.items():
        assert one[ours].abs().max().item() == pytest.approx(plain[theirs].abs().max().item(), rel=0.01)
        assert one[ours].std().item() == pytest.approx(plain[theirs].std().item(), rel=0.05)
    assert (one["norm_gain"] == 1).all() and (one["block1_shift"] == 0).all()


def test_dropout_leaves_out_its_share_and_keeps_the_mean():
    network = FmriMlp((V,), 4, D, dropout=0.5, block_dropout=0.15)
    masks = network.noise(torch.Generator().manual_seed(0), 500)
    for mask, share in zip(masks, (0.5, 0.15, 0.15), strict=True):
        assert (mask == 0).float().mean().item() == pytest.approx(share, abs=0.01)
        assert mask.mean().item() == pytest.approx(1, abs=0.01)
    assert not torch.equal(masks[1], masks[2])


@pytest.mark.parametrize("network", [FmriMlp, FmriLinear, LinearMap])
def test_subjects_with_layers_of_their_own_are_decoded_by_them_in_the_order_of_the_batch(network):
    both = network((V, V + 4), T, D)
    _, own = stacked(both, [0, 1])
    xs, places = [inputs(3, V, seed=1), inputs(4, V + 4, seed=2)], [[5, 0, 2], [1, 6, 3, 4]]
    given = [Part(n, x, torch.tensor(place)) for n, (x, place) in enumerate(zip(xs, places, strict=True))]
    found = both.forward(own, given, [])
    for number, (x, place) in enumerate(zip(xs, places, strict=True)):
        alone = both.forward(own, [Part(number, x)], [])
        np.testing.assert_allclose(found[:, place].numpy(), alone.numpy(), rtol=1e-5, atol=1e-6)
