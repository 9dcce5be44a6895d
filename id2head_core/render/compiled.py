"""How the package compiles its inner loops with numba.

The machine code is cached next to the source, or in the user's cache folder where the checkout is
read-only; where nothing can be written the kernel is compiled once per process. Kernels release
the GIL, so that bands of one image can run on several threads.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numba
import numpy as np

OPTIONS = {"nogil": True, "fastmath": True, "error_model": "numpy"}
THREADS = min(4, os.cpu_count() or 1)
"""Bands that an image is split into."""


def kernel(function: Callable) -> Callable:
    """Decorator: compile at the first call, cached on disk where possible."""
    try:
        return numba.njit(cache=True, **OPTIONS)(function)
    except RuntimeError:  # no folder for the cache is writable
        return numba.njit(**OPTIONS)(function)


def packed(array: np.ndarray, dtype: type) -> np.ndarray:
    """C-contiguous, writable, of this type: one compiled signature fits all (copies if needed)."""
    return np.require(array, dtype=dtype, requirements=["C", "W"])


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="render")


def in_bands(work: Callable[[int, int], None], rows: int, minimum: int = 64) -> None:
    """Run ``work(first_row, end_row)`` over bands of even height on the render threads."""
    bands = max(1, min(THREADS, rows // minimum))
    if bands == 1:
        work(0, rows)
        return
    edges = [2 * round(rows * i / bands / 2) for i in range(bands)] + [rows]
    futures = [_pool().submit(work, edges[i], edges[i + 1]) for i in range(1, bands)]
    work(edges[0], edges[1])
    for future in futures:
        future.result()
