"""Compute threads are fixed for a block, and given back however it ends."""

import numpy as np  # noqa: F401 - its BLAS is what is limited
import pytest
import torch
from threadpoolctl import threadpool_info

from boldflow.core.compute import fixed_threads


def blas_threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_a_block_that_fails_gives_the_threads_back():
    torch_before, blas_before = torch.get_num_threads(), blas_threads()
    n_threads = torch_before + 1
    with pytest.raises(ValueError, match="in the block"), fixed_threads(n_threads):
        assert torch.get_num_threads() == n_threads
        raise ValueError("in the block")
    assert torch.get_num_threads() == torch_before and blas_threads() == blas_before
