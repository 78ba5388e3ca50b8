"""The training loop of all neural models: data on the device, one order of trials for all seeds, steps that resume.

A fit is a function of its seed and its step: the order of trials comes from the epoch, noise from seed and step, the
learning rate from the step. So progress is kept as parameters, moments, the best epoch's parameters and counts,
and a fit that goes on from it takes the same steps, to the last bit where threads are fixed.

Seeds may train stacked: one product for the first layers of all seeds, which see the same batches. A seed trained alone
agrees with itself in a stack to rounding (losses within 1e-5), not to the last bit.
"""

import contextlib
import functools
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.optim.adamw import adamw

from boldflow.core.networks import layers, losses, schedules
from boldflow.core.networks.decoders import Autoencoder, Network, Parameters, Part
from boldflow.core.networks.progress import Progress, ProgressKeeper
from boldflow.core.networks.resident import Resident

LOG = logging.getLogger(__name__)
BETAS, EPSILON = (0.9, 0.999), 1e-8  # of AdamW, torch's defaults
MOMENTS = ("mean", "square")
SCALE = "log_scale"  # parameter of a temperature that is learned
MONITORS = {"batch_top5": "val_top5", "inv_norm_rank": "val_inv_norm_rank", "loss": "val_loss"}
TOP = (1, 5, 10)
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; fields as the keys of a model's entry (schema: ``training``).

    ``try_start``: the parameters at the start count as epoch 0 when the best epoch is chosen.
    """

    n_epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    schedule: str
    warm_up: float
    clip: float
    patience: int
    monitor: str
    precision: str
    order_seed: tuple[int, ...]
    contrast: losses.Contrast
    micro_batch: int | None = None
    try_start: bool = False


def recipe_of(settings: dict[str, Any], try_start: bool = False) -> Recipe:
    """Read a model's entry."""
    same = ("n_epochs", "batch_size", "learning_rate", "weight_decay", "schedule", "warm_up", "clip", "patience")
    found = {key: settings[key] for key in (*same, "monitor", "precision")}
    found["order_seed"] = (settings["order_seed"],)
    contrast = losses.contrast_of(settings)
    return Recipe(**found, contrast=contrast, micro_batch=settings.get("micro_batch"), try_start=try_start)


@dataclass
class Trained:
    """One seed's parameters and the epoch they come from (from 1; 0: the start)."""

    values: Parameters
    epoch: int


@dataclass
class _Place:
    """Where a fit stands, beside parameters: one entry per seed that still trains."""

    seeds: list[int]
    step: int = 0
    loss: np.ndarray = field(default_factory=lambda: np.zeros(0))  # sum over the trials of this epoch so far
    best: np.ndarray = field(default_factory=lambda: np.zeros(0))
    epoch: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    waited: np.ndarray = field(default_factory=lambda: np.zeros(0, int))


def train(
    network: Network,
    data: Resident,
    recipe: Recipe,
    seeds: Sequence[int],
    start: Callable[[int], Parameters],
    keeper: ProgressKeeper,
    every_trial: bool = False,
    n_epochs: int | None = None,
) -> tuple[list[Trained], Rows]:
    """Train several seeds together, from ``start(seed)``.

    Parameters
    ----------
    network : Network
    data : Resident
    recipe : Recipe
    seeds : sequence of int
    start : function from a seed to its parameters, float32 without an axis of seeds
    keeper : where progress is left and found; a step is a batch
    every_trial : bool
        Train on validation trials too: then no epoch is chosen and the last one is given.
    n_epochs : int, optional
        Stop after so many; the learning rate still goes as if there were ``recipe.n_epochs``.

    Returns
    -------
    (list of Trained in the order of ``seeds``, rows of the history: one per seed and epoch)

    Raises
    ------
    ValueError
        If there are no trials to train on, or a loss is no number.
    torch.OutOfMemoryError
        If the memory does not hold a step of a single trial.
    """
    return _Fit(network, data, recipe, seeds, start, every_trial, n_epochs).run(keeper)


class _Fit:
    """One call of ``train``."""

    def __init__(
        self,
        network: Network,
        data: Resident,
        recipe: Recipe,
        seeds: Sequence[int],
        start: Callable[[int], Parameters],
        every_trial: bool,
        n_epochs: int | None,
    ) -> None:
        self.network, self.data, self.recipe = network, data, recipe
        is_train = np.ones_like(data.is_val) if every_trial else ~data.is_val
        self.train_rows, self.val_rows = np.flatnonzero(is_train), np.flatnonzero(~is_train)
        if not len(self.train_rows):
            raise ValueError("there are no trials to train on: all are kept for validation")
        self.per_epoch = -(-len(self.train_rows) // recipe.batch_size)
        self.of_schedule = recipe.n_epochs * self.per_epoch
        self.total = (recipe.n_epochs if n_epochs is None else n_epochs) * self.per_epoch
        self.order = list(seeds)
        self.rows: Rows = []
        self._shuffled = (-1, np.zeros(0, dtype=int))
        self.micro = recipe.micro_batch or recipe.batch_size
        self.done: dict[int, Trained] = {}
        self._begin([start(seed) for seed in seeds])

    def _begin(self, values: list[Parameters]) -> None:
        stacked = {name: torch.stack([one[name] for one in values]).to(self.data.device) for name in values[0]}
        if self.recipe.contrast.learned:
            first = float(np.log(self.recipe.contrast.scale))
            stacked.setdefault(SCALE, torch.full((len(values),), first, device=self.data.device))
        n = len(self.order)
        self.at = _Place(list(self.order), 0, np.zeros(n), np.full(n, -np.inf), np.zeros(n, int), np.zeros(n, int))
        self._own(stacked)
        self.best = {name: value.detach().clone() for name, value in stacked.items()} if len(self.val_rows) else {}

    def _own(self, values: Parameters, moments: dict[str, Parameters] | None = None) -> None:
        """Hold these parameters of the seeds that still train, with their moments."""
        # in one order always: the length of a gradient is a sum, and its last bits depend on it
        self.own = {name: values[name].requires_grad_(values[name].is_floating_point()) for name in sorted(values)}
        zeros = {kind: {name: torch.zeros_like(value) for name, value in values.items()} for kind in MOMENTS}
        self.moments = moments or zeros

    # ------------------------------------------------------------------------------------------------- the loop

    def run(self, keeper: ProgressKeeper) -> tuple[list[Trained], Rows]:
        """Take all steps that are left."""
        kept = keeper.load()
        if kept:
            self._restore(kept)
        elif self.recipe.try_start and len(self.val_rows):
            self._close_epoch(0)
        while self.at.step < self.total and self.at.seeds:
            epoch, number = divmod(self.at.step, self.per_epoch)
            first = number * self.recipe.batch_size
            rows = self.train_rows[self._order(epoch)[first : first + self.recipe.batch_size]]
            self._step(rows)
            self.at.step += 1
            if number == self.per_epoch - 1:
                self._close_epoch(epoch + 1)
            over = not self.at.seeds or self.at.step == self.total
            keeper.boundary(self.total if over else self.at.step, self.total, self._progress)
        for number, seed in enumerate(self.at.seeds):
            self._finish(seed, number)
        layers.recycle([])
        return [self.done[seed] for seed in self.order], self.rows

    def _order(self, epoch: int) -> np.ndarray:
        """Order of the training trials in an epoch, the same for all seeds."""
        if epoch != self._shuffled[0]:
            rng = np.random.default_rng([*self.recipe.order_seed, epoch])
            self._shuffled = epoch, rng.permutation(len(self.train_rows))
        return self._shuffled[1]

    def _step(self, rows: np.ndarray) -> None:
        """Take one step of all seeds."""
        found = self._gradients(rows, self._noise(len(rows)))
        if self.recipe.clip:
            self._clip(self.recipe.clip)
        speed, momentum = self._speed(self.at.step)
        self._update(speed, BETAS[0] if momentum is None else momentum)
        if isinstance(self.network, Autoencoder):
            self.network.settle(
                self.own, self.moments, functools.partial(self._parts, rows), self.at.seeds, self.at.step
            )
        self.at.loss += found.double().cpu().numpy() * len(rows)

    def _parts(self, rows: np.ndarray) -> list[Part]:
        return self.data.batch(rows)[0]

    def _speed(self, step: int) -> tuple[float, float | None]:
        how = self.recipe
        return schedules.rate(how.schedule, step, self.of_schedule, how.learning_rate, how.warm_up)

    @torch.no_grad()
    def _update(self, speed: float, momentum: float) -> None:
        """Take a step of AdamW along the gradients; a temperature does not decay."""
        for names, decay in (([n for n in self.own if n != SCALE], self.recipe.weight_decay), ([SCALE], 0.0)):
            pairs = [(name, self.own[name].grad) for name in names if name in self.own]
            gradients = {name: gradient for name, gradient in pairs if gradient is not None}
            if not gradients:
                continue
            mean, square = ([self.moments[kind][name] for name in gradients] for kind in MOMENTS)
            # the function behind torch.optim.AdamW: its class imports a compiler for seconds
            adamw(
                [self.own[name] for name in gradients],
                list(gradients.values()),
                mean,
                square,
                [],
                [torch.tensor(float(self.at.step), device=self.data.device) for _ in gradients],
                fused=True,
                amsgrad=False,
                beta1=momentum,
                beta2=BETAS[1],
                lr=speed,
                weight_decay=decay,
                eps=EPSILON,
                maximize=False,
            )

    def _noise(self, n_trials: int) -> list[torch.Tensor]:
        """Draw what a step needs at random, each seed's from seed and step alone, (n_seeds, n_trials, ...)."""
        drawn = []
        for seed in self.at.seeds:
            number = np.random.SeedSequence([seed, self.at.step]).generate_state(1, np.uint64)[0]
            generator = torch.Generator(self.data.device).manual_seed(int(number >> np.uint64(1)))
            drawn.append(self.network.noise(generator, n_trials))
        return [torch.stack(one) for one in zip(*drawn, strict=True)]

    def _gradients(self, rows: np.ndarray, noise: list[torch.Tensor]) -> torch.Tensor:
        """Leave the gradients of a batch; where memory is short, in pieces of half the size from then on."""
        while True:
            layers.recycle(value.grad for value in self.own.values())
            for value in self.own.values():
                value.grad = None
            try:
                return self._whole(rows, noise) if self.micro >= len(rows) else self._in_pieces(rows, noise)
            except torch.OutOfMemoryError:
                if self.micro <= 1 or isinstance(self.network, Autoencoder):  # its batch is not to be cut
                    raise
            self.micro = max(1, min(self.micro, len(rows)) // 2)
            if self.data.device.type == "cuda":
                torch.cuda.empty_cache()
            LOG.warning("out of memory: the batch stays, and goes on in pieces of %d trials", self.micro)

    def _whole(self, rows: np.ndarray, noise: list[torch.Tensor]) -> torch.Tensor:
        parts, targets, groups = self.data.batch(rows)
        if isinstance(self.network, Autoencoder):
            with self._precision():
                found = self.network.loss(self.own, parts)
        else:
            found = self._loss(self._forward(parts, noise), targets, groups)
        found.sum().backward()
        return found.detach()

    def _in_pieces(self, rows: np.ndarray, noise: list[torch.Tensor]) -> torch.Tensor:
        """Do the same in pieces: predictions without memory of how they came, their gradients, then piece by piece."""
        pieces = [slice(k, k + self.micro) for k in range(0, len(rows), self.micro)]
        where = torch.from_numpy(rows).to(self.data.device)
        with torch.no_grad():
            given = [self._forward(self.data.batch(rows[p])[0], [one[:, p] for one in noise]) for p in pieces]
        predicted = torch.cat(given, dim=1).requires_grad_()
        found = self._loss(predicted, self.data.targets[where], self.data.groups[where])
        found.sum().backward()
        wanted = predicted.grad
        assert wanted is not None
        for piece in pieces:
            parts = self.data.batch(rows[piece])[0]
            self._forward(parts, [one[:, piece] for one in noise]).backward(wanted[:, piece])
        return found.detach()

    def _forward(self, parts: Any, noise: Sequence[torch.Tensor]) -> torch.Tensor:
        with self._precision():
            found = self.network.forward(self.own, parts, noise)
        return found.float()

    def _precision(self) -> Any:
        lower = self.recipe.precision == "bfloat16"
        return torch.autocast(self.data.device.type, torch.bfloat16) if lower else contextlib.nullcontext()

    def _loss(self, predicted: torch.Tensor, targets: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
        return losses.mixed_loss(predicted, targets, groups, self._scale(), self.recipe.contrast)

    def _scale(self) -> torch.Tensor:
        if SCALE in self.own:
            return self.own[SCALE].exp()
        return torch.full((len(self.at.seeds),), self.recipe.contrast.scale, device=self.data.device)

    def _clip(self, most: float) -> None:
        """Shorten the gradient of each seed to this length, as torch's ``clip_grad_norm_``."""
        given = [value.grad for value in self.own.values() if value.grad is not None]
        for number in range(len(self.at.seeds)):
            own = [one[number] for one in given]
            factor = (most / (torch.nn.utils.get_total_norm(own) + 1e-6)).clamp(max=1)
            if self.data.device.type != "cpu" or factor < 1:
                for one in own:
                    one.mul_(factor)

    # ------------------------------------------------------------------------------------------ after each epoch

    def _close_epoch(self, epoch: int) -> None:
        """Note the epoch (0: the start), and let seeds go whose best epoch lies too far back."""
        lost = self.at.loss / len(self.train_rows)
        speed = self._speed(self.at.step - 1)[0] if epoch else 0.0
        self.at.loss = np.zeros_like(lost)
        for seed, value in zip(self.at.seeds, lost, strict=True):
            if not np.isfinite(value):
                raise ValueError(f"seed {seed}: the loss is {value} in epoch {epoch}; choose a lower learning_rate")
        known = self._validated() if len(self.val_rows) else {}
        for number, seed in enumerate(self.at.seeds):
            row = {"seed": seed, "epoch": epoch, "trials": len(self.train_rows), "learning_rate": speed}
            row |= {
                "loss": float(lost[number]) if epoch else float("nan"),
                "micro_batch": min(self.micro, self.recipe.batch_size),
            }
            self.rows.append(row | {name: float(values[number]) for name, values in known.items()})
        if not known:
            return
        value = known[MONITORS[self.recipe.monitor]] * (-1 if self.recipe.monitor == "loss" else 1)
        better = value > self.at.best
        for number in np.flatnonzero(better).tolist():
            for name, best in self.best.items():
                best[number].copy_(self.own[name].detach()[number])
        self.at.best, self.at.epoch = np.where(better, value, self.at.best), np.where(better, epoch, self.at.epoch)
        self.at.waited = np.where(better, 0, self.at.waited + 1)
        if self.recipe.patience and (self.at.waited >= self.recipe.patience).any():
            self._let_go(self.at.waited >= self.recipe.patience)

    @torch.no_grad()
    def _validated(self) -> dict[str, np.ndarray]:
        """Measure each seed on the validation trials: batch by batch in their order, and among all of them."""
        size, masked = self.recipe.batch_size, self.recipe.contrast.masked
        if isinstance(self.network, Autoencoder):
            return self._reconstructed(self.network)
        sums: dict[str, torch.Tensor] = {}
        predicted = []
        for k in range(0, len(self.val_rows), size):
            rows = self.val_rows[k : k + size]
            parts, targets, groups = self.data.batch(rows)
            given = self._forward(parts, [])
            predicted.append(given)
            left_out = losses.same_picture(groups) if masked else None
            above, tied, _ = losses.batch_ranks(losses.scores(given, targets), left_out)
            found = {f"val_top{k}": losses.top_k(above, tied, k).sum(dim=1) for k in TOP}
            found["val_mean_rank"] = (above + (tied - 1) / 2).sum(dim=1)
            found["val_loss"] = self._loss(given, targets, groups) * len(rows)
            sums = {name: sums.get(name, 0) + value for name, value in found.items()}
        means = {name: value / len(self.val_rows) for name, value in sums.items()}
        where = torch.from_numpy(self.val_rows).to(self.data.device)
        targets, groups = self.data.targets[where], self.data.groups[where]
        whole = losses.inverse_normalised_ranks(torch.cat(predicted, dim=1), targets, groups, masked)
        means["val_inv_norm_rank"] = whole
        return {name: value.double().cpu().numpy() for name, value in means.items()}

    def _reconstructed(self, network: Autoencoder) -> dict[str, np.ndarray]:
        """Measure how each seed reconstructs the validation trials, means over trials."""
        sums: dict[str, torch.Tensor] = {}
        for k in range(0, len(self.val_rows), self.recipe.batch_size):
            rows = self.val_rows[k : k + self.recipe.batch_size]
            for name, value in network.measure(self.own, self.data.batch(rows)[0]).items():
                sums[f"val_{name}"] = sums.get(f"val_{name}", 0) + value * len(rows)
        return {name: (value / len(self.val_rows)).double().cpu().numpy() for name, value in sums.items()}

    def _let_go(self, stops: np.ndarray) -> None:
        """Finish the seeds that stop; the others train on without them."""
        for number in np.flatnonzero(stops):
            self._finish(self.at.seeds[number], int(number))
        stay = np.flatnonzero(~stops)
        self.at.seeds = [self.at.seeds[number] for number in stay]
        for name in ("loss", "best", "epoch", "waited"):
            setattr(self.at, name, getattr(self.at, name)[stay])
        if not len(stay):
            return
        rows = torch.from_numpy(stay).to(self.data.device)
        moments = {kind: {name: value[rows] for name, value in of.items()} for kind, of in self.moments.items()}
        self._own({name: value.detach()[rows] for name, value in self.own.items()}, moments)
        self.best = {name: value[rows] for name, value in self.best.items()}

    def _finish(self, seed: int, number: int) -> None:
        from_best = bool(self.best)
        values = {name: (self.best[name] if from_best else value.detach())[number] for name, value in self.own.items()}
        last = self.at.step // self.per_epoch
        epoch = int(self.at.epoch[number]) if from_best else last
        own = {name: torch.atleast_1d(value.cpu().clone()) for name, value in values.items()}
        self.done[seed] = Trained(own, epoch)

    # --------------------------------------------------------------------------------------------------- progress

    def _progress(self) -> Progress:
        """Give all that the next step needs, as arrays."""
        # no array without axes: files give it one
        found: dict[str, np.ndarray] = {
            "micro": np.array([self.micro]),
            "seeds": np.array(self.at.seeds, dtype=np.int64),
        }
        for name in ("loss", "best", "epoch", "waited"):
            found[f"at/{name}"] = getattr(self.at, name)
        if self.at.seeds:
            for name, value in self.own.items():
                found[f"own/{name}"] = value.detach().cpu().numpy()
                found |= {f"{kind}/{name}": of[name].cpu().numpy() for kind, of in self.moments.items()}
            found |= {f"best/{name}": value.cpu().numpy() for name, value in self.best.items()}
        for seed, trained in self.done.items():
            found[f"done{seed}/epoch"] = np.array([trained.epoch])
            found |= {f"done{seed}/values/{name}": value.numpy() for name, value in trained.values.items()}
        return Progress(self.at.step, found, self.rows)

    def _restore(self, kept: Progress) -> None:
        """Go on from what ``_progress`` gave."""
        state, device = kept.state, self.data.device

        def under(prefix: str) -> Parameters:
            # copied into memory of torch's own: the same alignment, and so the same last bits
            names = [name for name in state if name.startswith(prefix)]
            return {n.removeprefix(prefix): torch.from_numpy(state[n]).clone().to(device) for n in names}

        self.rows, self.micro = list(kept.rows), int(state["micro"][0])
        of = {name: state[f"at/{name}"] for name in ("loss", "best", "epoch", "waited")}
        self.at = _Place([int(seed) for seed in state["seeds"]], kept.step, **of)
        for seed in (seed for seed in self.order if f"done{seed}/epoch" in state):
            values = {name: value.cpu() for name, value in under(f"done{seed}/values/").items()}
            self.done[seed] = Trained(values, int(state[f"done{seed}/epoch"][0]))
        if self.at.seeds:
            self._own(under("own/"), {kind: under(f"{kind}/") for kind in MOMENTS})
            self.best = under("best/")
