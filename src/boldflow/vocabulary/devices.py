"""Where a fit or a network may run: exactly the device that the job asked for."""

from typing import Literal

Device = Literal["cpu", "cuda"]
