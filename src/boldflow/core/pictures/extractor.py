"""A torch network that describes pictures: batches within memory, precision as stated, on the device that was given."""

import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from boldflow.core.pictures.vision import InputRule, Processed
from boldflow.vocabulary.devices import Device

LOG = logging.getLogger(__name__)
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
# Pictures in a forward pass where the entry does not say. One on a CPU, where more are not faster: a row is then the
# same to the last bit whatever stands beside it, and each worker takes a picture through. On a GPU as many as fit,
# halved from here.
BATCH = {"cpu": 1, "cuda": 256}


class Extractor:
    """Describes pictures by a network: ``prepare`` each (in any thread), then call with what it gave.

    Parameters
    ----------
    network : module; its forward takes float32 (n, 3, side, side) and gives (n, n_features)
    rule : how a picture becomes its input
    device : "cpu" or "cuda"
    precision : one of ``PRECISIONS``; below float32 matrix products are taken in it, sums and norms in float32
    batch : pictures in a forward pass, or None; halved where the device's memory is too small, and left so

    Raises
    ------
    RuntimeError
        If the device is "cuda" and torch finds none.
    """

    def __init__(
        self,
        network: nn.Module,
        rule: InputRule | Processed,
        device: Device,
        precision: str = "float32",
        batch: int | None = None,
    ) -> None:
        """Bring the network to the device."""
        if device == "cuda" and not torch.cuda.is_available():
            raise RuntimeError(
                "this job was given a GPU, and torch finds none (a driver that is missing, or a torch without CUDA): "
                "mend it, or choose the CPU with --set-resources of the rule gpu=0"
            )
        self._device, self._dtype, self.rule = torch.device(device), PRECISIONS[precision], rule
        self.batch = batch or BATCH[device]
        self._one_by_one = device == "cpu" and self.batch == 1
        network = network.eval().requires_grad_(False)
        if self._dtype != torch.float32:
            for module in network.modules():
                if isinstance(module, nn.Linear | nn.Conv2d):
                    module.to(self._dtype)  # once, where autocast would cast them for each batch
        self.network = network.to(self._device)

    def prepare(self, image: np.ndarray) -> np.ndarray:
        """Make one picture, uint8 (height, width, 3), ready for the device; on a CPU take it through, too."""
        prepared = self.rule.prepare(image)
        return self._forward([prepared])[0] if self._one_by_one else prepared

    def __call__(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Describe prepared pictures, float32 (n_images, n_features).

        Raises
        ------
        torch.OutOfMemoryError
            If the memory does not hold a single picture.
        """
        if self._one_by_one and len(images):
            return np.stack(images)
        rows: list[np.ndarray] = []
        n_done = 0
        while n_done < len(images):
            try:
                rows.append(self._forward(images[n_done : n_done + self.batch]))
            except torch.OutOfMemoryError:
                if self.batch == 1:
                    raise
            else:
                n_done += len(rows[-1])
                continue
            self._halve(min(self.batch, len(images) - n_done))
        return np.concatenate(rows) if rows else np.empty((0, 0), dtype=np.float32)

    def _forward(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Describe one batch."""
        pixels = torch.from_numpy(np.stack(images))
        is_lower = self._dtype != torch.float32
        precision: Any = torch.autocast(self._device.type, self._dtype) if is_lower else contextlib.nullcontext()
        with torch.inference_mode():
            inputs = self.rule.normalise(pixels.to(self._device))
            with precision:
                rows = self.network(inputs)
            return np.asarray(rows.float().cpu().numpy())

    def _halve(self, n_pictures: int) -> None:
        """Take half as many pictures from now on; called when the failed batch's memory is free again."""
        self.batch = max(1, n_pictures // 2)
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        LOG.warning("out of memory at %d pictures: going on with %d", n_pictures, self.batch)


class Tapped(nn.Module):
    """Runs a network and joins what pools make of some of its hidden states: (n, n_layers * n_pools * width).

    Parameters
    ----------
    network : module that takes ``pixel_values``
    taps : modules whose outputs are the hidden states wanted, in the order of the columns
    pools : functions from states to (n, n_features), each taken of each state
    """

    def __init__(
        self, network: nn.Module, taps: Sequence[nn.Module], pools: Sequence[Callable[[torch.Tensor], torch.Tensor]]
    ) -> None:
        """Listen to the modules."""
        super().__init__()
        self.network = network
        self._thread = threading.local()  # several threads may take a picture through at once
        self._order = [id(tap) for tap in taps]
        for tap in {id(tap): tap for tap in taps}.values():
            tap.register_forward_hook(self._hook(id(tap), pools))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Give the pooled states of a batch; they are pooled as they pass, so that none is kept whole."""
        states = self._thread.states = {}
        self.network(pixel_values=pixels)
        self._thread.states = None
        return torch.cat([state.float() for tap_id in self._order for state in states[tap_id]], dim=1)

    def _hook(self, tap_id: int, pools: Sequence[Callable[[torch.Tensor], torch.Tensor]]) -> Callable[..., None]:
        def listen(module: nn.Module, inputs: Any, output: Any) -> None:
            states = output[0] if isinstance(output, tuple) else output
            self._thread.states[tap_id] = [pool(states) for pool in pools]

        return listen


class Wrapped(nn.Module):
    """A network and the function that makes rows with it: (network, pixels) -> (n, n_features)."""

    def __init__(self, network: nn.Module, rows: Callable[[Any, torch.Tensor], torch.Tensor]) -> None:
        """Keep both."""
        super().__init__()
        self.network, self._rows = network, rows

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Make the rows of a batch."""
        return self._rows(self.network, pixels)
