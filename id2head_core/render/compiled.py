"""How the package compiles its inner loops with numba.

The machine code is cached next to the source, or in the user's cache folder where the checkout is
read-only; where nothing can be written the kernel is compiled once per process. Kernels release
the GIL, so that bands of one image can run on several threads.

A kernel's machine code also holds what its file imports: kernels of other files, and constants.
numba compares the kernel's own file only, so a checkout that is updated in place would go on with
the old ones; here they belong to the stamp that numba keeps beside the machine code.
"""

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from numbers import Number

import numba
import numpy as np
from numba.core.dispatcher import Dispatcher

OPTIONS = {"nogil": True, "fastmath": True, "error_model": "numpy"}
THREADS = min(4, os.cpu_count() or 1)
"""Bands that an image is split into."""

_stamps: dict[Dispatcher, str] = {}
"""What each kernel was compiled from, as a hash."""


def kernel(function: Callable) -> Callable:
    """Decorator: compile at the first call, cached on disk where possible.

    What the kernel takes from other files must be imported by name (``from .other import glance``)
    and before it, so that a change there is noticed.
    """
    try:
        compiled = numba.njit(cache=True, **OPTIONS)(function)
    except RuntimeError:  # no folder for the cache is writable
        return numba.njit(**OPTIONS)(function)
    index = compiled._cache._cache_file  # numba has no public way to add to its stamp
    index._source_stamp = _stamps[compiled] = _stamp(index._source_stamp, function.__globals__)
    return compiled


def _stamp(own_file: bytes, names: dict[str, object]) -> str:
    """Hash of a kernel's file, of the options, and of the kernels and constants among ``names``."""
    parts = [own_file, repr(OPTIONS).encode()]
    for name, value in sorted(names.items()):
        if isinstance(value, Dispatcher) and value in _stamps:
            parts.append(f"{name} {_stamps[value]}".encode())
        elif isinstance(value, np.ndarray):
            parts.append(f"{name} {value.dtype} {value.shape}".encode() + value.tobytes())
        elif isinstance(value, Number) or _is_row(value):
            parts.append(f"{name} {value!r}".encode())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _is_row(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(one, Number) for one in value)


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
