"""Compilation: the cache and what it notices, no cache folder, banding."""

import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from id2head_core.render import compiled

ROOT = Path(__file__).parents[2]
OUTER = """
from id2head_core.render.compiled import kernel
from inner import SCALE, TABLE, light

@kernel
def shade(x):
    return SCALE * light(x) + TABLE[1]

print(shade(3.0), sum(shade.stats.cache_hits.values()))
"""
INNER = """
import numpy as np
from id2head_core.render.compiled import kernel
from depths import glance

SCALE = 10.0
TABLE = np.array([0.0, 0.0])

@kernel
def light(x):
    return glance(x) + 1.0
"""
DEPTHS = """
from id2head_core.render.compiled import kernel

@kernel
def glance(x):
    return 2.0 * x
"""


@pytest.fixture
def run_outer(tmp_path):
    """Run three files of kernels; returns what was computed and whether it came from the cache."""
    for name, source in {"outer": OUTER, "inner": INNER, "depths": DEPTHS}.items():
        (tmp_path / f"{name}.py").write_text(source)

    def run() -> tuple[float, bool]:
        environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
        environment |= {"PYTHONDONTWRITEBYTECODE": "1"}
        environment.pop("NUMBA_CACHE_DIR", None)
        command = [sys.executable, "outer.py"]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        value, hits = done.stdout.split()
        return float(value), hits != "0"

    return run


def test_a_kernel_is_compiled_anew_when_what_it_imports_changes(run_outer, tmp_path):
    assert run_outer() == (70.0, False)
    assert run_outer() == (70.0, True)
    for file, old, new, expected in [
        ("depths.py", "2.0 * x", "4.0 * x", 130.0),
        ("inner.py", "SCALE = 10.0", "SCALE = 20.0", 260.0),
        ("inner.py", "[0.0, 0.0]", "[0.0, 5.0]", 265.0),
    ]:
        source = (tmp_path / file).read_text()
        assert old in source
        (tmp_path / file).write_text(source.replace(old, new))
        assert run_outer() == (expected, False), file


def test_the_options_of_compilation_belong_to_the_stamp(monkeypatch):
    before = compiled._stamp(b"file", {})
    monkeypatch.setitem(compiled.OPTIONS, "fastmath", False)
    assert compiled._stamp(b"file", {}) != before


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
