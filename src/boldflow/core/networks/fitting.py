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
ALPHAS = np.logspace(0, 6, 7)  # penalties among which a start by ridge chooses
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
    data = Resident(subjects, settings["subject_layers"], device)
    network = make(data.vertices, data.n_trs, data.n_features)
    by_ridge = settings.get("start") == "ridge"
    recipe, place = recipe_of(settings, try_start=by_ridge), keeper or Nowhere()
    again = settings.get("refit", False) and data.is_val.any()
    # made when first asked for: on training trials, and on all
    start = functools.cache(functools.partial(_start, network, subjects, settings, device))
    fitted: list[Trained] = []
    rows: Rows = []
    for together in [list(seeds)] if stacked else [[seed] for seed in seeds]:
        part = place.part("seeds" if stacked else f"seed{together[0]}")
        if by_ridge:  # all seeds start alike: what is left to chance is the order of trials
            recipe = replace(recipe, order_seed=(settings["order_seed"], *together))
        choice = part.part("choice") if again else part
        trained, lines = train(network, data, recipe, together, start(False), choice)
        rows += [{"stage": "choice" if again else "fit", **line} for line in lines]
        for number, (seed, best) in enumerate(zip(together, trained, strict=True) if again else ()):
            last, lines = train(network, data, recipe, [seed], start(True), part.part(f"all{seed}"), True, best.epoch)
            trained[number] = last[0]
            rows += [{"stage": "all", **line} for line in lines]
        fitted += trained
    states = [{name: value.numpy() for name, value in of_seed.values.items()} for of_seed in fitted]
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
    for key, right in (("micro_batch", None), ("monitor", "loss")):
        if settings.get(key) != right:
            raise ValueError(f"an autoencoder has no other {key} than {right}, found {settings.get(key)!r}")
    # it learns from inputs alone: no second copy of them on the device
    used = _training(subjects[0]) if settings["keep"] == "last" else subjects[0]
    data = replace(used, targets=np.empty((len(used.inputs), 0), dtype=np.float32))
    keys = settings.but(n_epochs=0) if settings["untrained"] else settings

    def of_sizes(vertices: tuple[int, ...], n_trs: int, n_features: int) -> Autoencoder:
        return make(vertices[0] * n_trs)

    return fit_network(of_sizes, [data], keys, seeds, device, keeper, stacked=False)


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
            values = np.ascontiguousarray(with_time(inputs[k : k + BLOCK]), dtype=np.float32)
            predicted[k : k + BLOCK] = network.forward(parameters, [Part(0, torch.from_numpy(values))], [])[0].numpy()
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
    layers = {int(match[1]) for name in state if (match := re.fullmatch(r"input(\d+)_weight", name))}
    if len(layers) == 1:
        return state
    if number not in layers:
        raise ValueError(f"there is no pooled subject {number}; there are {len(layers)}, from 0")
    kept = {name: value for name, value in state.items() if not name.startswith("input")}
    return kept | {f"input0_{part}": state[f"input{number}_{part}"] for part in ("weight", "bias")}


def _start(
    network: Network, subjects: Sequence[TrainingData], settings: Entry, device: Device, every_trial: bool
) -> Start:
    """Give the function from a seed to the parameters at the start."""
    if isinstance(network, Autoencoder):
        return network.start
    if settings.get("start") != "ridge":
        return lambda seed: start(network, seed)
    everyone = [data if every_trial else _training(data) for data in subjects]
    if not settings["subject_layers"] and len(everyone) > 1:
        inputs, targets, groups, is_val = (
            np.concatenate([getattr(data, name) for data in everyone]) for name in FIELDS
        )
        everyone = [TrainingData(inputs, targets, groups, is_val)]
    values: Parameters = {}
    over_time = isinstance(network, FmriLinear)
    for number, data in enumerate(everyone):
        inputs = with_time(data.inputs).mean(axis=1) if over_time else flat(data.inputs)
        ridge = fit_ridge(inputs, data.targets, ALPHAS, data.groups, device=device)
        values[f"input{number}_weight"] = torch.from_numpy(np.ascontiguousarray(ridge.weights.T))
        values[f"input{number}_bias"] = torch.from_numpy(ridge.intercept)
    if isinstance(network, FmriLinear):
        values |= {"time_weight": torch.full((1, network.n_trs), 1 / network.n_trs), "time_bias": torch.zeros(1)}
    return lambda seed: {name: value.clone() for name, value in values.items()}


def _training(data: TrainingData) -> TrainingData:
    """Leave the validation trials out."""
    if not data.is_val.any():
        return data
    kept = ~data.is_val
    return TrainingData(*(getattr(data, name)[kept] for name in FIELDS))
