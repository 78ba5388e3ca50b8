"""Compute threads: fixed by what is computed, since another number gives other last bits."""

import contextlib
import sys
from collections.abc import Iterator

from threadpoolctl import threadpool_limits


@contextlib.contextmanager
def fixed_threads(n: int) -> Iterator[None]:
    """Run BLAS, OpenMP and (where it is loaded) torch on exactly ``n`` threads."""
    torch = sys.modules.get("torch")
    n_before = torch.get_num_threads() if torch else None
    if torch:
        torch.set_num_threads(n)
    try:
        with threadpool_limits(n):
            yield
    finally:
        if torch:
            torch.set_num_threads(n_before)
