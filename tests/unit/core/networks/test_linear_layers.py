"""Layers that write gradients into memory of earlier ones, against torch's own products."""

import functools

import pytest
import torch

from boldflow.core.networks import layers

SEEDS, ROWS, IN, OUT = 3, 7, 11, 5


def plain(x, weight, bias):
    return torch.einsum("sni,soi->sno", x, weight) + bias[:, None]


def plain_shared(x, weight, bias):
    return torch.einsum("ni,soi->nso", x, weight) + bias


CASES = {"own": (layers.linear, plain, (SEEDS, ROWS, IN)), "shared": (layers.shared_linear, plain_shared, (ROWS, IN))}


def drawn(shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gradients(layer, x, weight, bias, times=1):
    leaves = [tensor.clone().requires_grad_() for tensor in (weight, bias)]
    for number in range(times):
        outputs = layer(x, *leaves)
        (outputs * drawn(outputs.shape, 9 + number)).sum().backward()
    return leaves


@pytest.mark.parametrize("columns", [4, 1024])
@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients_are_those_of_plain_products_in_memory_of_any_content(case, columns, monkeypatch):
    monkeypatch.setattr(layers, "COLUMNS", columns)  # 4: the last columns are fewer
    layer, witness, shape = CASES[case]
    x, weight, bias = drawn(shape, 0), drawn((SEEDS, OUT, IN), 1), drawn((SEEDS, OUT), 2)
    torch.testing.assert_close(layer(x, weight, bias), witness(x, weight, bias))
    memory = torch.full_like(weight, torch.nan)
    spare = layers.SpareMemory()
    spare.recycle([memory, None])
    for times in (1, 2):  # a second one is added to the first
        ours = gradients(functools.partial(layer, spare=spare), x, weight, bias, times)
        for leaf, plain_leaf in zip(ours, gradients(witness, x, weight, bias, times), strict=True):
            torch.testing.assert_close(leaf.grad, plain_leaf.grad)
            assert leaf.grad.is_contiguous()
    assert memory.isfinite().all()


def test_inputs_that_are_learnt_from_have_their_gradient():
    x, weight, bias = drawn((SEEDS, ROWS, IN), 0), drawn((SEEDS, OUT, IN), 1), drawn((SEEDS, OUT), 2)
    both = [x.clone().requires_grad_() for _ in range(2)]
    for inputs, layer in zip(both, (layers.linear, plain), strict=True):
        layer(inputs, weight.requires_grad_(), bias).square().sum().backward()
    torch.testing.assert_close(both[0].grad, both[1].grad)


def test_memory_is_used_again_and_each_piece_once():
    x, bias = drawn((ROWS, IN), 0), drawn((SEEDS, OUT), 2)
    first, second = (drawn((SEEDS, OUT, IN), n).requires_grad_() for n in (1, 3))
    spare = layers.SpareMemory()

    def learn():
        (layers.shared_linear(x, first, bias, spare) + layers.shared_linear(x, second, bias, spare)).sum().backward()

    learn()
    places = {first.grad.data_ptr(), second.grad.data_ptr()}
    spare.recycle([first.grad, second.grad])
    first.grad = second.grad = None
    learn()
    assert {first.grad.data_ptr(), second.grad.data_ptr()} == places and len(places) == 2
