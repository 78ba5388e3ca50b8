"""The training loop: against plain PyTorch, seeds in a stack against seeds alone, and stopped at any step."""

import logging

import numpy as np
import pytest
import torch

from bench._plain_decoders import PlainMlp, plain_clip_loss, plain_loop
from boldflow.artifacts.store import progress_files
from boldflow.core.networks import decoders
from boldflow.core.networks.decoders import FmriLinear, FmriMlp
from boldflow.core.networks.losses import Contrast
from boldflow.core.networks.progress import Nowhere, Progress, Stopped
from boldflow.core.networks.recipe import MONITORS, Recipe
from boldflow.core.networks.resident import Resident
from boldflow.core.networks.steps import SCALE
from boldflow.core.networks.training import train
from boldflow.core.records.training import TrainingData

N, T, V, D = 70, 2, 24, 10
PUBLISHED = dict(
    n_epochs=6, batch_size=16, learning_rate=1e-3, weight_decay=0.05, schedule="onecycle", warm_up=0.1, clip=1.0,
    patience=0, monitor="batch_top5", precision="float32", order_seed=(33,), contrast=Contrast(),
)  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def made(n_val=0, seed=0, noise=1.0):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(N, D)).astype(np.float32)
    x = np.einsum("nd,dtv->ntv", y, rng.normal(size=(D, T, V))) + noise * rng.normal(size=(N, T, V))
    return TrainingData(x.astype(np.float32), y, np.arange(N) // 2, np.arange(N) >= N - n_val)


def mlp(**more):
    return FmriMlp((V,), T, D, width=16, **more)


def run(network, data, seeds=(1, 2), keeper=None, **changed):
    more = {key: changed.pop(key) for key in ("every_trial", "n_epochs_only") if key in changed}
    if "n_epochs_only" in more:
        more["n_epochs"] = more.pop("n_epochs_only")
    recipe = Recipe(**{**PUBLISHED, **changed})
    resident = Resident([data], False, "cpu")
    begin = lambda seed: decoders.start(network, seed)  # noqa: E731
    return train(network, resident, recipe, seeds, begin, keeper or Nowhere(), **more)


def column(rows, name, seed):
    return np.array([row[name] for row in rows if row["seed"] == seed])


def same(one, other):
    return all(np.array_equal(one.values[name], other.values[name]) for name in one.values)


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_losses_are_those_of_a_plain_loop(share):
    """Witness: DataLoader, torch's layers, AdamW, OneCycleLR and clip_grad_norm_; dropout off, since masks differ."""

    def mixed(predicted, targets):
        apart = torch.nn.functional.mse_loss(predicted, targets)
        return (1 - share) * plain_clip_loss(predicted, targets) + share * apart

    network, data = mlp(dropout=0.0, block_dropout=0.0), made()
    _, rows = run(network, data, seeds=(1, 2, 3), learning_rate=1e-2, contrast=Contrast(mse=share))
    for seed in (1, 2, 3):
        plain = PlainMlp(V, T, D, 16, (0, 0, 0)).take(decoders.start(network, seed))
        given = (torch.from_numpy(one) for one in (data.inputs, data.targets))
        steps = list(plain_loop(plain, *given, 6, loss_of=mixed, batch_size=16, highest=1e-2))
        sizes = np.array([16, 16, 16, 16, 6])
        wanted = (np.array(steps).reshape(6, 5) * sizes).sum(axis=1) / N
        np.testing.assert_allclose(column(rows, "loss", seed), wanted, rtol=1e-5)
        assert wanted[-1] < 0.9 * wanted[0]


def test_one_step_is_torchs_adamw_on_a_clipped_gradient():
    """Witness: autograd on the formula and AdamW's update written out."""
    data, network = made(), FmriLinear((V,), T, D)
    (found,), _ = run(network, data, seeds=(4,), n_epochs=1, batch_size=N, schedule="constant", warm_up=0.0, clip=0.5)
    own = {name: value.double().requires_grad_() for name, value in decoders.start(network, 4).items()}
    x, y = (torch.from_numpy(one).double() for one in (data.inputs, data.targets))
    per_tr = torch.einsum("ntv,dv->ntd", x, own["input0_weight"]) + own["input0_bias"]
    predicted = torch.einsum("ntd,t->nd", per_tr, own["time_weight"][0]) + own["time_bias"]
    logits = predicted @ (y / y.norm(dim=1, keepdim=True)).T
    (-torch.log_softmax(logits, dim=1).diagonal().mean()).backward()
    length = torch.sqrt(sum((value.grad**2).sum() for value in own.values()))
    assert length > 0.5
    for name, value in own.items():
        gradient = value.grad * 0.5 / (length + 1e-6)
        # after one step the corrected moments are the gradient and its square
        wanted = value.detach() * (1 - 1e-3 * 0.05) - 1e-3 * gradient / (gradient.abs() + 1e-8)
        np.testing.assert_allclose(found.values[name].numpy(), wanted.numpy(), atol=2e-6)


@pytest.mark.parametrize("network", [mlp(), FmriLinear((V,), T, D)], ids=["mlp", "linear"])
def test_seeds_in_a_stack_and_seeds_alone_agree(network):
    data = made(n_val=16)
    together, rows = run(network, data, seeds=(1, 2, 3))
    for number, seed in enumerate((1, 2, 3)):
        (alone,), own = run(network, data, seeds=(seed,))
        for name in ("loss", "val_loss", "val_inv_norm_rank"):
            np.testing.assert_allclose(column(rows, name, seed), column(own, name, seed), rtol=1e-5)
        for name, value in alone.values.items():
            np.testing.assert_allclose(together[number].values[name], value, atol=1e-5)
        assert together[number].epoch == alone.epoch


def test_seeds_that_stop_early_leave_the_others_as_they_would_be():
    data, how = made(n_val=16, noise=8.0), {"n_epochs": 25, "patience": 2}
    together, rows = run(mlp(), data, seeds=(1, 2, 3, 4), **how)
    lasts = [len(column(rows, "epoch", seed)) for seed in (1, 2, 3, 4)]
    assert len(set(lasts)) > 1 and max(lasts) < 25
    for number, seed in enumerate((1, 2, 3, 4)):
        (alone,), own = run(mlp(), data, seeds=(seed,), **how)
        assert len(own) == lasts[number] and together[number].epoch == alone.epoch
        np.testing.assert_allclose(column(rows, "loss", seed), column(own, "loss", seed), rtol=1e-5)


@pytest.mark.parametrize("monitor", ["batch_top5", "inv_norm_rank", "loss"])
def test_the_best_epoch_is_kept_and_patience_counts_from_it(monitor):
    (found,), rows = run(mlp(), made(n_val=16, noise=6.0), seeds=(5,), n_epochs=30, patience=3, monitor=monitor)
    values = column(rows, MONITORS[monitor], 5) * (-1 if monitor == "loss" else 1)
    best = int(values.argmax()) + 1  # the first of equals
    assert found.epoch == best and len(values) in (best + 3, 30)
    (until,), _ = run(mlp(), made(n_val=16, noise=6.0), seeds=(5,), n_epochs=30, n_epochs_only=best, monitor=monitor)
    assert same(found, until)


def test_without_validation_trials_the_last_epoch_is_given():
    (found,), rows = run(mlp(), made(), seeds=(5,), patience=1)
    assert found.epoch == 6 == len(rows) and "val_loss" not in rows[0]


def test_a_batch_in_pieces_is_the_same_step():
    """The contrast still sees the whole batch: the witness is the step without pieces."""
    for contrast in (Contrast(), Contrast("xy", True, True, 5.0, True, 0.3)):
        whole, rows = run(mlp(), made(n_val=16), contrast=contrast)
        pieces, own = run(mlp(), made(n_val=16), contrast=contrast, micro_batch=5)
        np.testing.assert_allclose([r["loss"] for r in rows], [r["loss"] for r in own], rtol=1e-5)
        for one, other in zip(whole, pieces, strict=True):
            for name, value in one.values.items():
                np.testing.assert_allclose(value, other.values[name], atol=2e-5)
        assert {row["micro_batch"] for row in own} == {5}


def test_out_of_memory_goes_on_in_smaller_pieces_and_says_so(monkeypatch, caplog):
    """Simulated: the network tells that the device's memory is full where a piece has more than five trials."""
    forward = FmriMlp.forward

    def small(self, parameters, parts, noise, spare):
        if noise and sum(len(part.inputs) for part in parts) > 5:
            raise torch.OutOfMemoryError("full")
        return forward(self, parameters, parts, noise, spare)

    whole, _ = run(mlp(), made())
    monkeypatch.setattr(FmriMlp, "forward", small)
    with caplog.at_level(logging.WARNING):
        found, rows = run(mlp(), made())
    assert "goes on in pieces of 4 trials" in caplog.text and {row["micro_batch"] for row in rows} == {4}
    np.testing.assert_allclose(found[0].values["head_weight"], whole[0].values["head_weight"], atol=2e-5)


class Cut:
    """Keeps progress in files, as the stage does, and stops at one step."""

    def __init__(self, at, folder):
        self.at, self.folder, self.loaded = at, folder, 0

    def part(self, name):
        return self

    def load(self):
        found = progress_files.newest(self.folder, "")
        self.loaded += found is not None
        return Progress(*found) if found else None

    def boundary(self, step, total, progress):
        if step == self.at or step >= total:
            found = progress()
            progress_files.write(self.folder, "", found.step, found.state, found.rows)
        if step == self.at:
            self.at = None
            raise Stopped


@pytest.mark.parametrize("how", [{}, {"patience": 2, "n_epochs": 12}, {"schedule": "cosine"}])
def test_a_fit_stopped_at_any_step_gives_the_same_bits(tmp_path, how):
    data = made(n_val=14, noise=8.0)
    contrast = Contrast("xy", True, True, 5.0, True, 0.2)
    whole, rows = run(mlp(), data, seeds=(1, 2, 3), contrast=contrast, **how)
    steps = np.random.default_rng(7).choice(np.arange(1, 4 * (max(r["epoch"] for r in rows)) - 1), 6, replace=False)
    for at in sorted({*steps.tolist(), 4}):  # 4: the end of the first epoch
        place = Cut(at, tmp_path / str(at))
        with pytest.raises(Stopped):
            run(mlp(), data, seeds=(1, 2, 3), keeper=place, contrast=contrast, **how)
        found, lines = run(mlp(), data, seeds=(1, 2, 3), keeper=place, contrast=contrast, **how)
        assert place.loaded == 1 and lines == rows
        assert all(same(one, other) and one.epoch == other.epoch for one, other in zip(whole, found, strict=True))
        again, _ = run(mlp(), data, seeds=(1, 2, 3), keeper=place, contrast=contrast, **how)
        assert all(same(one, other) for one, other in zip(whole, again, strict=True))


def test_a_temperature_that_is_learned_moves_and_does_not_decay():
    contrast = Contrast(scale=3.0, learned=True)
    (found,), _ = run(mlp(), made(), seeds=(1,), contrast=contrast, learning_rate=1e-2)
    assert abs(found.values[SCALE].item() - np.log(3.0)) > 1e-3
    (still,), _ = run(mlp(), made(), seeds=(1,), contrast=Contrast(scale=3.0, learned=True, mse=1.0), weight_decay=5.0)
    assert still.values[SCALE].item() == pytest.approx(np.log(3.0), rel=1e-6)


def test_lower_precision_learns_too():
    data = made(n_val=16)
    found = {p: run(mlp(), data, seeds=(1,), precision=p)[1] for p in ("float32", "bfloat16")}
    np.testing.assert_allclose(column(found["bfloat16"], "loss", 1), column(found["float32"], "loss", 1), rtol=0.03)
    assert column(found["bfloat16"], "loss", 1)[-1] != column(found["float32"], "loss", 1)[-1]


def test_a_loss_that_is_no_number_is_told():
    with pytest.raises(ValueError, match=r"seed 1: the loss is (nan|inf) in epoch \d+; choose a lower learning_rate"):
        run(FmriLinear((V,), T, D), made(), seeds=(1,), learning_rate=1e30, clip=0.0)


def test_validation_trials_alone_cannot_train():
    with pytest.raises(ValueError, match="no trials to train on"):
        run(mlp(), made(n_val=N))


def test_a_gpu_that_is_not_there_is_an_error():
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(RuntimeError, match=r"given a GPU, and torch finds none .* --profile cpu"):
        Resident([made()], False, "cuda")


def test_inputs_that_are_not_finite_are_refused():
    data = made()
    data.inputs[3, 0, 0] = np.nan
    with pytest.raises(ValueError, match="must be finite"):
        Resident([data], False, "cpu")
