"""Compilation: no cache folder, banding."""

import numba
import numpy as np

from id2head_core.render import compiled


def test_without_a_writable_cache_the_kernel_still_compiles(monkeypatch):
    original = numba.njit

    def njit(*args, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return original(*args, **options)

    monkeypatch.setattr(compiled.numba, "njit", njit)
    double = compiled.kernel(lambda x: x * 2)
    assert double(21) == 42


def test_bands_cover_all_rows_once():
    for rows in (1, 63, 64, 129, 500, 1023):
        seen = np.zeros(rows, int)

        def work(begin, end, seen=seen):
            seen[begin:end] += 1

        compiled.in_bands(work, rows)
        assert (seen == 1).all()


def test_packed_copies_read_only_arrays():
    frozen = np.zeros((4, 3), np.float32)
    frozen.flags.writeable = False
    assert compiled.packed(frozen, np.float32).flags.writeable
    own = np.zeros((4, 3), np.float32)
    assert compiled.packed(own, np.float32) is own
