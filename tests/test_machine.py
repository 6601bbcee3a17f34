"""What speed depends on: `tinygrad_jac/machine.py`, `tinygrad_jac/memory.py`."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tinygrad_jac import machine
from tinygrad_jac.machine import Blas, advice, blas, processors, vector_extensions

WHEEL = list((Path(np.__file__).parents[1] / "numpy.libs").glob("*openblas*"))


@pytest.mark.skipif(not WHEEL, reason="this NumPy brings no OpenBLAS of its own")
def test_the_kernel_is_the_one_that_openblas_was_told_to_take():
    code = "from tinygrad_jac.machine import blas; print(blas().kernel, blas().threads)"
    environment = {**os.environ, "OPENBLAS_CORETYPE": "Haswell", "OPENBLAS_NUM_THREADS": "1"}
    if platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("Haswell is a kernel for x86")
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert run.stdout.split() == ["Haswell", "1"]


def test_another_blas_is_named_and_no_more(monkeypatch, tmp_path):
    monkeypatch.setattr(machine.np, "__file__", str(tmp_path / "numpy" / "__init__.py"))
    found = blas()
    assert found.name
    assert (found.kernel, found.threads) == (None, None)
    assert str(found) == found.name


def test_advice_where_the_kernel_is_too_old_for_the_processor():
    (said,) = advice(Blas("openblas", "Haswell", 2), {"X86_V4"}, 2)
    assert "OPENBLAS_CORETYPE=SkylakeX" in said
    assert advice(Blas("openblas", "Haswell", 2), {"X86_V3"}, 2) == []
    assert advice(Blas("openblas", "SkylakeX", 2), {"X86_V4"}, 2) == []


def test_advice_where_threads_are_more_than_processors():
    (said,) = advice(Blas("openblas", "SkylakeX", 8), set(), 2)
    assert "8 threads on 2 processors" in said
    assert "OPENBLAS_NUM_THREADS=2" in said
    assert advice(Blas("accelerate"), {"X86_V4"}, 1) == []


def test_what_is_found_here():
    assert 1 <= processors() <= (os.cpu_count() or 1)
    assert vector_extensions(), "NumPy finds a baseline at least"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that is told to keep freed memory")
def test_freed_memory_is_kept_for_the_next_step():
    """20 MB in arrays of 100 kB that come and go, as the graph of a step does: 4,900 fresh pages without it."""
    code = """
import resource
import numpy as np
import tinygrad_jac

def step():
    graph = [np.ones(25_000, np.float32) for _ in range(200)]

step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert int(run.stdout) < 500
