"""What neural models share around the loop: starts, all trials after the choice, pooled subjects."""

import numpy as np
import pytest

from boldflow import catalogue, registry
from boldflow.core.compute import fixed_threads
from boldflow.core.linear.ridge import fit_ridge
from boldflow.core.records.training import TrainingData
from tests.made.features import SCHEMAS

N, V, D = 60, 12, 5
FACTS = {name: registry.literal("models", name, "FACTS") for name in registry.plugins("models")}
# autoencoders have tests of their own
NETWORKS = [name for name, facts in FACTS.items() if facts.get("training") and not facts.get("represents")]


@pytest.fixture(autouse=True)
def one_thread():
    """Small products: two threads wait for each other more than they work."""
    with fixed_threads(1):
        yield


def made(seed=0, n_vertices=V, n_val=12, n_trs=None, n=N):
    """Trials of one subject; the pictures, and what they are to the model, are the same for all seeds."""
    y = np.random.default_rng(99).normal(size=(n, D)).astype(np.float32)
    rng = np.random.default_rng(seed)
    shape = (n_vertices,) if n_trs is None else (n_trs, n_vertices)
    x = np.tensordot(y, rng.normal(size=(D, *shape)), 1) + 0.5 * rng.normal(size=(n, *shape))
    return TrainingData(x.astype(np.float32), y, np.arange(n) // 2, np.arange(n) >= n - n_val)


def fitted(name, subjects, seeds=(0,), **given):
    own = {"plugin": name, "n_epochs": 30, "batch_size": 16, "learning_rate": 1e-2, **given}
    settings = catalogue.settings({"models": {name: own}}, SCHEMAS, "models", name)
    module = registry.load("models", name)
    return module, module.fit(subjects, settings, list(seeds), "cpu", None)


def place(module, state, data):
    """Mean place of a trial's own features among those of all trials, from 1 (first) to 0; .5 by chance."""
    predicted = module.predict(state, data.inputs)
    scores = predicted @ (data.targets / np.linalg.norm(data.targets, axis=1, keepdims=True)).T
    return 1 - (scores > scores.diagonal()[:, None]).sum(axis=1).mean() / (len(scores) - 1)


@pytest.mark.parametrize("n_trs", [None, 1, 4])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_planted_link_is_learnt_from_any_number_of_trs(name, n_trs):
    more = {"dropout": 0.0, "block_dropout": 0.0} if name == "fmri_mlp" else {}
    module, found = fitted(name, [made(n_trs=n_trs)], patience=0, **more)
    assert place(module, found.states[0], made(n_trs=n_trs)) > 0.8


@pytest.mark.parametrize("name", ["linear_contrastive", "fmri_linear"])
def test_a_start_by_ridge_is_the_ridge_of_the_training_trials(name):
    data = made(n_trs=3)
    more = {"refit": False} if name == "linear_contrastive" else {}
    module, found = fitted(name, [data], start="ridge", learning_rate=1e-12, **more)
    kept = ~data.is_val
    inputs = data.inputs.mean(axis=1) if name == "fmri_linear" else data.inputs.reshape(N, -1)
    ridge = fit_ridge(inputs[kept], data.targets[kept], None, data.groups[kept])
    np.testing.assert_allclose(
        module.predict(found.states[0], data.inputs), inputs @ ridge.weights + ridge.intercept, rtol=1e-3, atol=1e-3
    )
    assert found.history[0]["epoch"] == 0 and np.isnan(found.history[0]["loss"])


def test_seeds_that_start_at_the_same_ridge_see_trials_in_other_orders():
    _, found = fitted("linear_contrastive", [made()], seeds=(0, 1))
    last = [next(row["loss"] for row in found.history if row["seed"] == seed and row["epoch"] == 1) for seed in (0, 1)]
    assert last[0] != last[1]


def test_after_the_choice_all_trials_train_for_as_many_epochs():
    data = made()
    _, found = fitted("linear_contrastive", [data], seeds=(0, 1))
    for seed in (0, 1):
        lines = [row for row in found.history if row["seed"] == seed]
        choice = [row for row in lines if row["stage"] == "choice"]
        best = max(choice, key=lambda row: -row["val_loss"])["epoch"]
        assert len([row for row in lines if row["stage"] == "all"]) == best
        assert {row["trials"] for row in choice} == {N - 12}
        assert {row["trials"] for row in lines if row["stage"] == "all"} <= {N}


@pytest.mark.parametrize("layers", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_pooled_subjects_are_decoded_each_by_its_own_state(name, layers):
    subjects = [made(1), made(2, n_vertices=V + 3 if layers else V)]
    more = {"dropout": 0.0, "block_dropout": 0.0} if name == "fmri_mlp" else {}
    module, found = fitted(name, subjects, subject_layers=layers, patience=0, **more)
    shares = [place(module, module.of_subject(found.states[0], n), one) for n, one in enumerate(subjects)]
    assert min(shares) > (0.8 if layers else 0.55)
    if layers:
        with pytest.raises(ValueError, match="no pooled subject 2; there are 2"):
            module.of_subject(found.states[0], 2)


def test_subjects_of_unequal_vertices_need_layers_of_their_own():
    with pytest.raises(ValueError, match=r"\[12, 15\] vertices.* set subject_layers to true, or choose responses on a"):
        fitted("fmri_mlp", [made(1), made(2, n_vertices=V + 3)])
    with pytest.raises(ValueError, match=r"differ in TRs \[1, 2\]"):
        fitted("fmri_mlp", [made(1), made(2, n_trs=2)], subject_layers=True)
