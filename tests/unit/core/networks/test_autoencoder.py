"""Sparse autoencoders: the published shapes and masks, gradients by hand, and what training keeps."""

import numpy as np
import pytest
import torch

from boldflow.core.networks import autoencoder, fitting, recipe, training
from boldflow.core.networks.decoders import Part
from boldflow.core.networks.dense_autoencoder import DenseAutoencoder, erk_densities
from boldflow.core.networks.overcomplete_autoencoder import JumpReLU, OvercompleteAutoencoder, decode_sparse, top_code
from boldflow.core.networks.progress import Nowhere, Progress, Stopped
from boldflow.core.networks.resident import Resident
from boldflow.core.records.training import TrainingData
from boldflow.registry import load
from boldflow.settings import Entry
from tests.made.decoders import n_parameters

V = 18
ENTRY = dict(
    n_epochs=3, batch_size=16, learning_rate=1e-2, weight_decay=1e-4, schedule="constant", warm_up=0.0, clip=0.0,
    patience=0, monitor="loss", precision="float32", order_seed=33, subject_layers=False, normalise="y",
    symmetric=False, duplicates="negatives", scale=1.0, temperature="fixed", mse=0.0, untrained=False,
    keep="best",
)  # fmt: skip
DENSE = ENTRY | dict(n_latents=4, sparsity=0.5, l1=0.1)
SPARSE = ENTRY | dict(n_latents=40, code="topk", k=3, l0=0.05, threshold=0.1, bandwidth=0.5, revive_after=5)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def made(n=64, seed=0, n_val=0):
    """Trials of three sources in V vertices, each active in a third of the trials."""
    rng = np.random.default_rng(seed)
    sources = np.random.default_rng(5).normal(size=(3, V))
    active = rng.uniform(0.5, 2, (n, 3)) * (rng.random((n, 3)) < 1 / 3)
    x = (active @ sources + 0.1 * rng.normal(size=(n, V))).astype(np.float32)
    return TrainingData(x, x, np.arange(n), np.arange(n) >= n - n_val)


def parts(x):
    return [Part(0, torch.as_tensor(x)[:, None])]


def stacked(state):
    return {name: value[None].clone() for name, value in state.items()}


@pytest.mark.parametrize(("n_latents", "wanted"), [(32, 9_098_271), (64, 9_134_655)])
def test_the_published_autoencoder_has_the_published_parameters(n_latents, wanted):
    assert n_parameters(DenseAutoencoder(3411, n_latents)) == wanted


@pytest.mark.parametrize(
    ("n_latents", "sparsity", "wanted"),
    [
        (32, 0.85, (0.1244, 0.2800, 1)),
        (64, 0.85, (0.1215, 0.2735, 1)),
        (32, 0.80, (0.1670, 0.3759, 1)),
        (64, 0.80, (0.1642, 0.3697, 1)),
    ],
)
def test_masks_have_the_densities_of_erk(n_latents, sparsity, wanted):
    """Witness: the densities worked out by building the published modules; and the total."""
    shapes = DenseAutoencoder(3411, n_latents).shapes
    found = erk_densities(shapes, sparsity)
    np.testing.assert_allclose(found, [*wanted, *wanted[::-1]], atol=5e-5)
    sizes = np.array([n * m for n, m in shapes])
    assert (found * sizes).sum() / sizes.sum() == pytest.approx(1 - sparsity)


def test_a_sparsity_that_leaves_nothing_is_refused():
    with pytest.raises(ValueError, match="below 1, not 1"):
        erk_densities([(3, 4)], 1)


def test_masks_hold_after_training_and_are_the_seeds_own():
    module = load("models", "sae")
    found = module.fit([made()], DENSE, [1, 2], "cpu", None).states
    network = DenseAutoencoder(V, 4, 0.5)
    for state, seed in zip(found, (1, 2), strict=True):
        begun = network.start(seed)
        for k, density in enumerate(erk_densities(network.shapes, 0.5)):
            mask = state[f"layer{k}_mask"]
            np.testing.assert_array_equal(mask, begun[f"layer{k}_mask"].numpy())
            assert mask.sum() == round(density * mask.size)
            assert not state[f"layer{k}_weight"][~mask].any()
            moved = state[f"layer{k}_weight"] != begun[f"layer{k}_weight"].numpy()
            assert moved[mask].mean() > 0.3  # those of units that a ReLU silences do not move
    assert any((found[0][f"layer{k}_mask"] != found[1][f"layer{k}_mask"]).any() for k in range(6))


class Plain(torch.nn.Module):
    """The witness: torch's own layers, with the weights of ours."""

    def __init__(self, state):
        super().__init__()
        self.layers = torch.nn.ModuleList()
        self.norms = torch.nn.ModuleDict()
        for k in range(6):
            n_out, n_in = state[f"layer{k}_weight"].shape
            layer = torch.nn.Linear(n_in, n_out)
            layer.weight.data, layer.bias.data = (state[f"layer{k}_{part}"].clone() for part in ("weight", "bias"))
            self.layers.append(layer)
            if k not in (2, 5):
                self.norms[str(k)] = torch.nn.BatchNorm1d(n_out, eps=1e-5, momentum=0.1)

    def forward(self, x):
        latent = x
        for k, layer in enumerate(self.layers):
            x = layer(x)
            if k == 2:
                latent = x = torch.relu(x)
            elif k != 5:
                x = torch.relu(self.norms[str(k)](x))
        return latent, x


def test_one_step_is_that_of_torchs_layers_masks_and_adamw():
    """Running variances differ by n / (n - 1): Flax keeps the biased one."""
    network, data = DenseAutoencoder(V, 4, 0.5, 0.1), made(n=16)
    begun = network.start(3)
    plain, x = Plain(begun), torch.from_numpy(data.inputs)
    optimiser = torch.optim.AdamW(plain.parameters(), 1e-2, weight_decay=1e-4)
    latent, found = plain(x)
    loss = ((found - x) ** 2).mean() + 0.1 * latent.abs().mean()
    loss.backward()
    optimiser.step()
    for k, layer in enumerate(plain.layers):
        layer.weight.data *= begun[f"layer{k}_mask"]
    fitted = load("models", "sae").fit([data], DENSE | {"n_epochs": 1}, [3], "cpu", None)
    state = fitted.states[0]
    assert fitted.history[0]["loss"] == pytest.approx(float(loss.detach()), rel=1e-5)
    for k, layer in enumerate(plain.layers):
        np.testing.assert_allclose(state[f"layer{k}_weight"], layer.weight.detach(), atol=2e-5)
        if str(k) in plain.norms:
            norm = plain.norms[str(k)]
            np.testing.assert_allclose(state[f"layer{k}_mean"], norm.running_mean, atol=1e-6)
            biased = 0.9 + (norm.running_var - 0.9) * 15 / 16
            np.testing.assert_allclose(state[f"layer{k}_var"], biased, atol=1e-6)


def test_after_training_batch_norm_takes_the_running_means():
    """Witness: a trial alone is encoded as it is among others."""
    module, data = load("models", "sae"), made()
    state = module.fit([data], DENSE, [1], "cpu", None).states[0]
    whole = module.latents(state, data.inputs)
    np.testing.assert_allclose(module.latents(state, data.inputs[5:6]), whole[5:6], atol=1e-5)
    assert (whole >= 0).all()


def test_a_step_of_top_k_is_the_one_worked_out_by_hand():
    """Two inputs, three latents, k 1: only the largest unit's row and weights have a gradient."""
    network = OvercompleteAutoencoder(2, 3, "topk", 1)
    own = {
        "encoder_weight": torch.tensor([[[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]]).requires_grad_(),
        "encoder_bias": torch.zeros(1, 3).requires_grad_(),
        "decoder_weight": torch.tensor([[[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]]).requires_grad_(),
        "decoder_bias": torch.zeros(1, 2).requires_grad_(),
        "silent": torch.zeros(1, 3),
    }
    loss = network.loss(own, parts(np.array([[2.0, 1.0]], dtype=np.float32)))
    # code (2, 0, 0); reconstruction (2, 0); error (0, -1); loss 1/2
    assert float(loss.detach()) == pytest.approx(0.5)
    loss.sum().backward()
    # d loss / d reconstruction = (0, -1); to the row d_0: z_0 * that; to z_0: <that, d_0> = 0
    np.testing.assert_allclose(own["decoder_weight"].grad[0], [[0, -2], [0, 0], [0, 0]])
    np.testing.assert_allclose(own["encoder_weight"].grad[0], np.zeros((3, 2)))
    np.testing.assert_allclose(own["decoder_bias"].grad[0], [0, -1])
    np.testing.assert_array_equal(own["silent"][0], [0, 1, 1])


def test_a_sparse_decoder_is_the_dense_one():
    """Values and gradients; witness: the product with the code written out."""
    rng = torch.Generator().manual_seed(0)
    before = torch.randn(2, 5, 30, generator=rng)
    found = []
    for sparse in (True, False):
        decoder = torch.randn(2, 30, 7, generator=torch.Generator().manual_seed(1)).requires_grad_()
        x = before.clone().requires_grad_()
        value, index = top_code(x, 4)
        code = torch.zeros_like(x).scatter(2, index, value)
        given = decode_sparse(value, index, decoder) if sparse else code @ decoder
        (given**2).sum().backward()
        found.append((given.detach(), decoder.grad, x.grad))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_jumprelus_threshold_has_the_straight_through_gradient():
    """Witness: the rectangle kernel of Rajamanoharan et al. 2024, equations 11 and 12, written out."""
    x = torch.tensor([[[0.1, 0.45, 0.55, 2.0]]]).requires_grad_()
    threshold = torch.tensor([[[0.5, 0.5, 0.5, 0.5]]]).requires_grad_()
    value, on = JumpReLU.apply(x, threshold, 0.2)
    np.testing.assert_allclose(value.detach()[0, 0], [0, 0, 0.55, 2.0])
    np.testing.assert_array_equal(on.detach()[0, 0], [0, 0, 1, 1])
    (3 * value.sum() + 7 * on.sum()).backward()
    np.testing.assert_allclose(x.grad[0, 0], [0, 0, 3, 3])
    near = np.array([0, 1, 1, 0]) / 0.2
    np.testing.assert_allclose(threshold.grad[0, 0], -near * (0.5 * 3 + 7), rtol=1e-6)


def test_a_larger_penalty_makes_jumprelu_sparser():
    module, zeros = load("models", "sae_overcomplete"), []
    for l0 in (0.0, 3.0):
        entry = SPARSE | {"code": "jumprelu", "l0": l0, "n_epochs": 60, "revive_after": 0}
        state = module.fit([made()], entry, [1], "cpu", None).states[0]
        zeros.append((module.latents(state, made(seed=9).inputs) == 0).mean())
    assert zeros[1] > zeros[0] + 0.1


def test_rows_of_the_decoder_keep_unit_length_and_k_units_are_active():
    module, data = load("models", "sae_overcomplete"), made()
    state = module.fit([data], SPARSE, [1], "cpu", None).states[0]
    np.testing.assert_allclose(np.linalg.norm(state["decoder_weight"], axis=1), 1, rtol=1e-5)
    code = module.latents(state, data.inputs)
    assert (code >= 0).all() and ((code > 0).sum(axis=1) <= 3).all()
    np.testing.assert_allclose(
        module.predict(state, data.inputs), code @ state["decoder_weight"] + state["decoder_bias"], atol=1e-5
    )


def test_a_silent_unit_starts_anew_in_a_direction_that_is_missed():
    """A unit whose bias holds it at 0 fires again after it was revived; without revival it stays silent."""
    data, alive = made(), []
    for revive_after in (5, 0):
        network = OvercompleteAutoencoder(V, 12, "topk", 3, revive_after=revive_after)

        def start(seed, network=network):
            found = network.start(seed)
            found["encoder_bias"][4] = -1e3
            return found

        plan = recipe.recipe_of(SPARSE | {"n_epochs": 8})
        (one,), _ = training.train(network, Resident([data], False, "cpu"), plan, [1], start, Nowhere())
        state = {name: value.numpy() for name, value in one.values.items()}
        alive.append(autoencoder.latents(network, state, data.inputs)[:, 4].max() > 0)
    assert alive == [True, False]


def test_revival_forgets_the_moments_and_takes_a_missed_trial():
    network, x = OvercompleteAutoencoder(V, 6, "topk", 2, revive_after=4), made(n=8).inputs
    own = stacked(network.start(2))
    own["silent"][0, 3] = 4
    with torch.no_grad():
        missed = x - network.forward(own, parts(x), [])[0].numpy()
    moments = {kind: {name: torch.ones_like(value) for name, value in own.items()} for kind in ("mean", "square")}
    network.settle(own, moments, lambda: parts(x), [2], 3)
    row = own["decoder_weight"][0, 3].numpy()
    cosine = missed @ row / np.linalg.norm(missed, axis=1)
    assert cosine.max() == pytest.approx(1, abs=1e-5)
    assert not moments["mean"]["encoder_weight"][0, 3].any() and moments["mean"]["encoder_weight"][0, 2].all()
    assert own["silent"][0, 3] == 0


@pytest.mark.parametrize("code", ["topk", "jumprelu"])
def test_an_overcomplete_code_reconstructs_trials_of_a_few_sources(code):
    """Three sparse sources: each held-out trial needs at most three units."""
    module, new = load("models", "sae_overcomplete"), made(seed=7).inputs
    entry = SPARSE | {"code": code, "n_epochs": 60, "l0": 0.02, "revive_after": 50}
    state = module.fit([made(n=256)], entry, [1], "cpu", None).states[0]
    left = ((module.predict(state, new) - new) ** 2).mean() / new.var()
    assert left < 0.1


class Once:
    """Stops at one step, then hands back what was kept there."""

    def __init__(self, at):
        self.at, self.kept = at, None

    def part(self, name):
        return self

    def load(self):
        return self.kept

    def boundary(self, step, total, progress):
        if step == self.at and self.kept is None:
            found = progress()
            self.kept = Progress(found.step, {k: v.copy() for k, v in found.state.items()}, list(found.rows))
            raise Stopped


@pytest.mark.parametrize(("plugin", "entry"), [("sae", DENSE), ("sae_overcomplete", SPARSE)])
def test_a_fit_that_was_stopped_gives_the_same_states(plugin, entry):
    module, data = load("models", plugin), made(n_val=16)
    whole = module.fit([data], entry, [1], "cpu", None).states[0]
    place = Once(5)
    with pytest.raises(Stopped):
        module.fit([data], entry, [1], "cpu", place)
    again = module.fit([data], entry, [1], "cpu", place).states[0]
    assert whole.keys() == again.keys()
    for name, value in whole.items():
        np.testing.assert_array_equal(value, again[name])


def test_validation_trials_choose_the_epoch_and_are_measured():
    rows = load("models", "sae").fit([made(n_val=16)], DENSE, [1], "cpu", None).history
    assert len(rows) == 3 and {"loss", "val_loss", "val_mse", "val_zeros"} <= rows[0].keys()


def test_where_the_last_epoch_is_kept_validation_trials_take_no_part():
    module, data = load("models", "sae"), made(n_val=16)
    found = module.fit([data], DENSE | {"keep": "last"}, [1], "cpu", None)
    alone = TrainingData(*(getattr(data, name)[~data.is_val] for name in ("inputs", "targets", "groups", "is_val")))
    wanted = module.fit([alone], DENSE, [1], "cpu", None).states[0]
    assert len(found.history) == 3 and "val_loss" not in found.history[0]
    for name, value in wanted.items():
        np.testing.assert_array_equal(value, found.states[0][name])


def test_an_untrained_control_is_the_start():
    state = load("models", "sae").fit([made()], Entry(DENSE | {"untrained": True}), [4], "cpu", None).states[0]
    for name, value in DenseAutoencoder(V, 4, 0.5).start(4).items():
        np.testing.assert_array_equal(state[name], value.numpy())


@pytest.mark.parametrize(("key", "value"), [("micro_batch", 4), ("monitor", "batch_top5")])
def test_what_an_autoencoder_cannot_do_is_refused(key, value):
    with pytest.raises(ValueError, match=key):
        load("models", "sae").fit([made()], DENSE | {key: value}, [1], "cpu", None)
    with pytest.raises(ValueError, match="one subject, found 2"):
        fitting.fit_autoencoder(lambda n: DenseAutoencoder(n, 4), [made(), made()], DENSE, [1], "cpu", None)


def test_too_few_inputs_or_latents_are_refused():
    with pytest.raises(ValueError, match="needs 6 inputs or more, found 5"):
        DenseAutoencoder(5, 2)
    with pytest.raises(ValueError, match="k is 9, and there are 4 latents"):
        OvercompleteAutoencoder(5, 4, "topk", 9)
