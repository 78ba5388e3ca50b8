"""The training loop of all neural models: data on the device, one order of trials for all seeds, steps that resume.

A fit is a function of its seed and its step: the order of trials comes from the epoch, noise from seed and step, the
learning rate from the step. So progress is kept as parameters, moments, the best epoch's parameters and counts, and a
fit that goes on from it takes the same steps, to the last bit where threads are fixed.

Seeds may train stacked: one product for the first layers of all seeds, which see the same batches. A seed trained alone
agrees with itself in a stack to rounding (losses within 1e-5), not to the last bit.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from boldflow.core.networks import stack
from boldflow.core.networks.decoders import Network, Parameters
from boldflow.core.networks.progress import Progress, ProgressKeeper
from boldflow.core.networks.recipe import MONITORS, Recipe, Rows, Trained
from boldflow.core.networks.resident import Resident
from boldflow.core.networks.steps import SCALE, Stepper
from boldflow.core.networks.validation import validate


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
        self.data, self.recipe = data, recipe
        is_train = np.ones_like(data.is_val) if every_trial else ~data.is_val  # (n_trials,)
        self.train_rows, self.val_rows = np.flatnonzero(is_train), np.flatnonzero(~is_train)
        if not len(self.train_rows):
            raise ValueError("there are no trials to train on: all are kept for validation")
        self.steps_per_epoch = -(-len(self.train_rows) // recipe.batch_size)
        self.n_steps = (recipe.n_epochs if n_epochs is None else n_epochs) * self.steps_per_epoch
        self.stepper = Stepper(network, data, recipe, recipe.n_epochs * self.steps_per_epoch)
        self.seeds = list(seeds)
        self.rows: Rows = []
        self.trained: dict[int, Trained] = {}
        self._epoch_order = (-1, np.zeros(0, dtype=int))
        self.stack = stack.begin(self.seeds, self._start(start), bool(len(self.val_rows)))

    def _start(self, start: Callable[[int], Parameters]) -> Parameters:
        """Stack what the seeds start at, and the temperature where it is learned."""
        seed_parameters = [start(seed) for seed in self.seeds]
        stack_parameters = {
            name: torch.stack([parameters[name] for parameters in seed_parameters]).to(self.data.device)
            for name in seed_parameters[0]
        }
        if self.recipe.contrast.learned:
            log_scale = float(np.log(self.recipe.contrast.scale))
            stack_parameters.setdefault(SCALE, torch.full((len(seed_parameters),), log_scale, device=self.data.device))
        return stack_parameters

    def run(self, keeper: ProgressKeeper) -> tuple[list[Trained], Rows]:
        """Take all steps that are left."""
        progress = keeper.load()
        if progress:
            self._restore(progress)
        elif self.recipe.try_start and len(self.val_rows):
            self._close_epoch(0)
        while self.stack.step < self.n_steps and self.stack.seeds:
            epoch, batch = divmod(self.stack.step, self.steps_per_epoch)
            start = batch * self.recipe.batch_size
            self.stepper.step(self.stack, self.train_rows[self._order(epoch)[start : start + self.recipe.batch_size]])
            self.stack.step += 1
            if batch == self.steps_per_epoch - 1:
                self._close_epoch(epoch + 1)
            is_over = not self.stack.seeds or self.stack.step == self.n_steps
            keeper.boundary(self.n_steps if is_over else self.stack.step, self.n_steps, self._progress)
        for number, seed in enumerate(self.stack.seeds):
            self._finish(seed, number)
        return [self.trained[seed] for seed in self.seeds], self.rows

    def _order(self, epoch: int) -> np.ndarray:
        """Order of the training trials in an epoch, the same for all seeds."""
        if epoch != self._epoch_order[0]:
            rng = np.random.default_rng([*self.recipe.order_seed, epoch])
            self._epoch_order = epoch, rng.permutation(len(self.train_rows))
        return self._epoch_order[1]

    def _close_epoch(self, epoch: int) -> None:
        """Note the epoch (0: the start), and let seeds go whose best epoch lies too far back."""
        losses = self.stack.loss / len(self.train_rows)  # (n_seeds,)
        self.stack.loss = np.zeros_like(losses)
        for seed, loss in zip(self.stack.seeds, losses, strict=True):
            if not np.isfinite(loss):
                raise ValueError(f"seed {seed}: the loss is {loss} in epoch {epoch}; choose a lower learning_rate")
        measures = validate(self.stepper, self.stack, self.val_rows) if len(self.val_rows) else {}
        self._note(epoch, losses, measures)
        if not measures:
            return
        self._compare(epoch, measures)
        if self.recipe.patience and (self.stack.waited >= self.recipe.patience).any():
            self._let_go(self.stack.waited >= self.recipe.patience)

    def _note(self, epoch: int, losses: np.ndarray, measures: dict[str, np.ndarray]) -> None:
        """Add a row of each seed to the history."""
        rate = self.stepper.rate(self.stack.step - 1)[0] if epoch else 0.0
        for number, seed in enumerate(self.stack.seeds):
            row = {"seed": seed, "epoch": epoch, "trials": len(self.train_rows), "learning_rate": rate}
            row |= {
                "loss": float(losses[number]) if epoch else float("nan"),
                "micro_batch": min(self.stepper.micro_batch, self.recipe.batch_size),
            }
            self.rows.append(row | {name: float(values[number]) for name, values in measures.items()})

    def _compare(self, epoch: int, measures: dict[str, np.ndarray]) -> None:
        """Keep the parameters of seeds that were never better."""
        seed_stack = self.stack
        monitor_value = measures[MONITORS[self.recipe.monitor]] * (-1 if self.recipe.monitor == "loss" else 1)
        is_better = monitor_value > seed_stack.best  # each (n_seeds,)
        for number in np.flatnonzero(is_better).tolist():
            for name, best_value in seed_stack.best_parameters.items():
                best_value[number].copy_(seed_stack.parameters[name].detach()[number])
        seed_stack.best, seed_stack.epoch = (
            np.where(is_better, monitor_value, seed_stack.best),
            np.where(is_better, epoch, seed_stack.epoch),
        )
        seed_stack.waited = np.where(is_better, 0, seed_stack.waited + 1)

    def _let_go(self, is_stopped: np.ndarray) -> None:
        """Finish the seeds that stop; the others train on without them."""
        for number in np.flatnonzero(is_stopped):
            self._finish(self.stack.seeds[number], int(number))
        self.stack.stay(np.flatnonzero(~is_stopped), self.data.device)

    def _finish(self, seed: int, number: int) -> None:
        """Take the parameters of a seed: of its best epoch, or the last."""
        best_parameters = self.stack.best_parameters
        epoch = int(self.stack.epoch[number]) if best_parameters else self.stack.step // self.steps_per_epoch
        parameters = {
            name: (best_parameters or self.stack.parameters)[name].detach()[number] for name in self.stack.parameters
        }
        self.trained[seed] = Trained(
            {name: torch.atleast_1d(value.cpu().clone()) for name, value in parameters.items()}, epoch
        )

    def _progress(self) -> Progress:
        """Give all that the next step needs, as arrays."""
        state = {"micro": np.array([self.stepper.micro_batch])} | self.stack.arrays()
        for seed, trained in self.trained.items():
            state[f"done{seed}/epoch"] = np.array([trained.epoch])
            state |= {f"done{seed}/values/{name}": value.numpy() for name, value in trained.values.items()}
        return Progress(self.stack.step, state, self.rows)

    def _restore(self, progress: Progress) -> None:
        """Go on from what ``_progress`` gave."""
        state = progress.state
        self.rows, self.stepper.micro_batch = list(progress.rows), int(state["micro"][0])
        for seed in (seed for seed in self.seeds if f"done{seed}/epoch" in state):
            parameters = stack.tensors_under(state, f"done{seed}/values/", torch.device("cpu"))
            self.trained[seed] = Trained(parameters, int(state[f"done{seed}/epoch"][0]))
        self.stack = stack.from_arrays(state, progress.step, self.data.device)
