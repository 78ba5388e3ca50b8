"""Lines of Monte-Carlo checks: a share or mean that studies of known truth have, held against a band."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

HEADINGS = ("line", "cell", "seed", "studies", "value", "se", "band", "ok")


@dataclass(frozen=True)
class Line:
    """One check: ``value`` with its standard error over ``studies`` simulated ones, within ``low`` to ``high`` or not.

    In the quick tier bands are wider by three standard errors.
    """

    line: str
    cell: str
    seed: int
    studies: int
    value: float
    error: float
    low: float
    high: float
    bench: str = "truth"

    @property
    def ok(self) -> bool:
        """Whether the value lies within its band."""
        return bool(self.low <= self.value <= self.high)

    def record(self) -> dict[str, object]:
        """Return the line as it stands in the last line of the output."""
        return {**asdict(self), "ok": self.ok}


def share(
    line: str, cell: str, seed: int, hits: Sequence[bool] | np.ndarray, band: tuple[float, float], wide: bool
) -> Line:
    """Make the line of a share of studies."""
    rate, n = float(np.mean(hits)), len(hits)
    error = float(np.sqrt(max(rate * (1 - rate), 1 / n) / n))
    low, high = (band[0] - 3 * error, band[1] + 3 * error) if wide else band
    return Line(line, cell, seed, n, rate, error, low, high)


def mean(line: str, cell: str, seed: int, values: Sequence[float] | np.ndarray, band: tuple[float, float]) -> Line:
    """Make the line of a mean over studies; ``band`` holds beyond three standard errors of it."""
    error = float(np.std(values) / np.sqrt(len(values)))
    return Line(line, cell, seed, len(values), float(np.mean(values)), error, band[0] - 3 * error, band[1] + 3 * error)


def table(lines: Sequence[Line]) -> str:
    """Lay lines out for people, as a table in Markdown."""
    rows = [HEADINGS, tuple("---" for _ in HEADINGS)]
    for line in lines:
        band = f"{line.low:.3f} to {line.high:.3f}"
        numbers = (str(line.seed), str(line.studies), f"{line.value:.4f}", f"{line.error:.4f}")
        rows.append((line.line, line.cell, *numbers, band, "yes" if line.ok else "NO"))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
