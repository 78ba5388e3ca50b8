"""From training data to decoders and back: what the neural models share around the training loop."""

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch

from boldflow.core.linear.ridge import fit_ridge
from boldflow.core.networks.decoders import Autoencoder, FmriLinear, Network, Parameters, Part, start
from boldflow.core.networks.progress import Nowhere, ProgressKeeper
from boldflow.core.networks.recipe import Rows, Trained, recipe_of
from boldflow.core.networks.resident import Resident, with_time
from boldflow.core.networks.training import train
from boldflow.core.records.training import Fitted, State, TrainingData, flat
from boldflow.settings import Entry
from boldflow.vocabulary.devices import Device

BLOCK = 512  # trials at a time where predictions are made
FIELDS = ("inputs", "targets", "groups", "is_val")  # that have a row per trial
Make = Callable[[tuple[int, ...], int, int], Network]  # vertices of each input layer, TRs, features
Start = Callable[[int], Parameters]


def fit_network(
    make: Make,
    subjects: Sequence[TrainingData],
    settings: Entry,
    seeds: Sequence[int],
    device: Device,
    keeper: ProgressKeeper | None,
    stacked: bool,
) -> Fitted:
    """Train a network with each seed.

    Parameters
    ----------
    make : function from sizes to the network
    subjects : sequence of TrainingData
        Several are pooled: one network learns from all, with an input layer each where ``subject_layers`` says so.
    settings : Entry
        Keys of the schema's ``training``. Where ``start`` is "ridge" a linear network starts at the ridge of its
        training trials; where ``refit`` is true each seed then trains anew on all trials, validation trials too, for
        as many epochs as were best.
    seeds : sequence of int
    device : "cpu" or "cuda"
    keeper : ProgressKeeper or None
    stacked : bool
        Whether the seeds train side by side; else one after the other.

    Returns
    -------
    Fitted

    Raises
    ------
    ValueError
        If subjects cannot share a network, there is nothing to train on, or the loss is no number.
    RuntimeError
        If the device is "cuda" and torch finds none.
    """
    resident = Resident(subjects, settings["subject_layers"], device)
    network = make(resident.vertices, resident.n_trs, resident.n_features)
    starts_at_ridge = settings.get("start") == "ridge"
    recipe, root_keeper = recipe_of(settings, try_start=starts_at_ridge), keeper or Nowhere()
    refits = settings.get("refit", False) and resident.is_val.any()
    # made when first asked for: on training trials, and on all
    make_start = functools.cache(functools.partial(_start, network, subjects, settings, device))
    trained_seeds: list[Trained] = []
    rows: Rows = []
    for seed_group in [list(seeds)] if stacked else [[seed] for seed in seeds]:
        group_keeper = root_keeper.part("seeds" if stacked else f"seed{seed_group[0]}")
        if starts_at_ridge:  # all seeds start alike: what is left to chance is the order of trials
            recipe = replace(recipe, order_seed=(settings["order_seed"], *seed_group))
        choice_keeper = group_keeper.part("choice") if refits else group_keeper
        trained, fit_rows = train(network, resident, recipe, seed_group, make_start(False), choice_keeper)
        rows += [{"stage": "choice" if refits else "fit", **row} for row in fit_rows]
        for number, (seed, best_fit) in enumerate(zip(seed_group, trained, strict=True) if refits else ()):
            refitted, fit_rows = train(
                network,
                resident,
                recipe,
                [seed],
                make_start(True),
                group_keeper.part(f"all{seed}"),
                True,
                best_fit.epoch,
            )
            trained[number] = refitted[0]
            rows += [{"stage": "all", **row} for row in fit_rows]
        trained_seeds += trained
    states = [{name: value.numpy() for name, value in fit.values.items()} for fit in trained_seeds]
    return Fitted(states, rows)


def fit_autoencoder(
    make: Callable[[int], Autoencoder],
    subjects: Sequence[TrainingData],
    settings: Entry,
    seeds: Sequence[int],
    device: Device,
    keeper: ProgressKeeper | None,
) -> Fitted:
    """Train an autoencoder of one subject's inputs with each seed, one after the other.

    Parameters
    ----------
    make : function from the number of inputs (TRs side by side) to the network
    subjects, seeds, device, keeper : as of ``fit_network``
    settings : Entry
        Keys of the schema's ``training``; where ``untrained`` is true the start is given, a control; where ``keep`` is
        "last" validation trials are left out, and the last epoch's weights are kept.

    Returns
    -------
    Fitted
        States hold the network's buffers too.

    Raises
    ------
    ValueError
        If there are several subjects, a batch is to be cut into pieces (what a batch is changes the fit), epochs are
        to be chosen by anything but the loss, or the loss is no number.
    """
    if len(subjects) != 1:
        raise ValueError(f"an autoencoder is fitted to one subject, found {len(subjects)}")
    for key, required in (("micro_batch", None), ("monitor", "loss")):
        if settings.get(key) != required:
            raise ValueError(f"an autoencoder has no other {key} than {required}, found {settings.get(key)!r}")
    # it learns from inputs alone: no second copy of them on the device
    fit_data = _training(subjects[0]) if settings["keep"] == "last" else subjects[0]
    inputs_alone = replace(fit_data, targets=np.empty((len(fit_data.inputs), 0), dtype=np.float32))
    fit_settings = settings.but(n_epochs=0) if settings["untrained"] else settings

    def make_network(vertices: tuple[int, ...], n_trs: int, n_features: int) -> Autoencoder:
        return make(vertices[0] * n_trs)

    return fit_network(make_network, [inputs_alone], fit_settings, seeds, device, keeper, stacked=False)


def decode(network: Network, state: State, inputs: np.ndarray) -> np.ndarray:
    """Predict features, on the CPU.

    Parameters
    ----------
    network : Network
    state : dict of arrays
        One seed's; of pooled subjects as ``of_subject`` gives it.
    inputs : array of shape (n_trials, n_vertices) or (n_trials, n_trs, n_vertices)

    Returns
    -------
    array of shape (n_trials, n_features), float32
    """
    parameters = {name: torch.from_numpy(state[name])[None] for name in network.sizes()}
    predicted = np.empty((len(inputs), network.n_features), dtype=np.float32)
    with torch.inference_mode():
        for k in range(0, len(inputs), BLOCK):
            block = np.ascontiguousarray(with_time(inputs[k : k + BLOCK]), dtype=np.float32)
            predicted[k : k + BLOCK] = network.forward(parameters, [Part(0, torch.from_numpy(block))], [])[0].numpy()
    return predicted


def of_subject(state: State, number: int) -> State:
    """Give the state with which one of several pooled subjects is decoded.

    Parameters
    ----------
    state : dict of arrays
    number : int
        Place of the subject in the list that was fitted.

    Raises
    ------
    ValueError
        If there is no such subject.
    """
    layer_numbers = {int(match[1]) for name in state if (match := re.fullmatch(r"input(\d+)_weight", name))}
    if len(layer_numbers) == 1:
        return state
    if number not in layer_numbers:
        raise ValueError(f"there is no pooled subject {number}; there are {len(layer_numbers)}, from 0")
    shared_state = {name: value for name, value in state.items() if not name.startswith("input")}
    return shared_state | {f"input0_{part}": state[f"input{number}_{part}"] for part in ("weight", "bias")}


def _start(
    network: Network, subjects: Sequence[TrainingData], settings: Entry, device: Device, every_trial: bool
) -> Start:
    """Give the function from a seed to the parameters at the start."""
    if isinstance(network, Autoencoder):
        return network.start
    if settings.get("start") != "ridge":
        return lambda seed: start(network, seed)
    ridge_data = [data if every_trial else _training(data) for data in subjects]
    if not settings["subject_layers"] and len(ridge_data) > 1:
        inputs, targets, groups, is_val = (
            np.concatenate([getattr(data, name) for data in ridge_data]) for name in FIELDS
        )
        ridge_data = [TrainingData(inputs, targets, groups, is_val)]
    parameters: Parameters = {}
    has_time_map = isinstance(network, FmriLinear)
    for number, data in enumerate(ridge_data):
        inputs = with_time(data.inputs).mean(axis=1) if has_time_map else flat(data.inputs)
        ridge = fit_ridge(inputs, data.targets, None, data.groups, device=device)
        parameters[f"input{number}_weight"] = torch.from_numpy(np.ascontiguousarray(ridge.weights.T))
        parameters[f"input{number}_bias"] = torch.from_numpy(ridge.intercept.astype(np.float32))
    if isinstance(network, FmriLinear):
        parameters |= {"time_weight": torch.full((1, network.n_trs), 1 / network.n_trs), "time_bias": torch.zeros(1)}
    return lambda seed: {name: value.clone() for name, value in parameters.items()}


def _training(data: TrainingData) -> TrainingData:
    """Leave the validation trials out."""
    if not data.is_val.any():
        return data
    is_train = ~data.is_val
    return TrainingData(*(getattr(data, name)[is_train] for name in FIELDS))
