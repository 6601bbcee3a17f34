"""What speed depends on besides the program: NumPy's BLAS, the kernels that it chose, its threads."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

# Kernels for processors without AVX-512, as OpenBLAS calls them; and NumPy's names for a processor that has it.
_NARROW = {"Haswell", "Zen", "Sandybridge", "Nehalem", "Prescott"}
_WIDE = {"AVX512_SKX", "X86_V4"}


class Blas(NamedTuple):
    """The library of NumPy's products. ``kernel`` and ``threads`` are known of the OpenBLAS in NumPy's wheels alone."""

    name: str
    kernel: str | None = None
    threads: int | None = None

    def __str__(self) -> str:
        return self.name + (f", kernel {self.kernel}" if self.kernel else "")


def blas() -> Blas:
    """Which BLAS computes NumPy's products, with which kernel and how many threads.

    Examples
    --------
    >>> from tinygrad_jac.machine import blas
    >>> blas().name != ""
    True
    """
    built: Any = np.show_config(mode="dicts")
    found = built.get("Build Dependencies", {}).get("blas", {})
    name = " ".join(str(found[key]) for key in ("name", "version") if key in found) or "unknown"
    for path in sorted((Path(np.__file__).parents[1] / "numpy.libs").glob("*openblas*")):
        library = ctypes.CDLL(str(path))  # loaded already: this is only another handle of it
        for prefix, suffix in (("scipy_", "64_"), ("", "64_"), ("scipy_", ""), ("", "")):
            kernel = getattr(library, f"{prefix}openblas_get_corename{suffix}", None)
            threads = getattr(library, f"{prefix}openblas_get_num_threads{suffix}", None)
            if kernel is not None and threads is not None:
                kernel.restype = ctypes.c_char_p
                return Blas(name, kernel().decode(), threads())
    return Blas(name)


def processors() -> int:
    """How many processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def advice(found: Blas, extensions: set[str], available: int) -> list[str]:
    """What would make products faster here, a sentence each.

    Parameters
    ----------
    found : Blas
    extensions : set of str
        What NumPy found of the processor's vector extensions: `vector_extensions`.
    available : int
        How many processors the process may use.

    Examples
    --------
    >>> from tinygrad_jac.machine import Blas, advice
    >>> advice(Blas("openblas", "Haswell", 2), {"X86_V4"}, 2)
    ['OpenBLAS chose its Haswell kernels, but the processor has AVX-512: try OPENBLAS_CORETYPE=SkylakeX']
    """
    said = []
    if found.kernel in _NARROW and extensions & _WIDE:
        said.append(
            f"OpenBLAS chose its {found.kernel} kernels, but the processor has AVX-512: try OPENBLAS_CORETYPE=SkylakeX"
        )
    if found.threads is not None and found.threads > available:
        said.append(
            f"OpenBLAS uses {found.threads} threads on {available} processors, and they wait for each other: set "
            f"OPENBLAS_NUM_THREADS={available}"
        )
    return said


def vector_extensions() -> set[str]:
    """The vector extensions of the processor, as NumPy names those that it found."""
    built: Any = np.show_config(mode="dicts")
    simd = built.get("SIMD Extensions", {})
    return {*simd.get("baseline", ()), *simd.get("found", ())}
