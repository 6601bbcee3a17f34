"""Sums as products with ones: BLAS adds the rows of a matrix two to six times faster than a reduction does.

Where there is little to add, the reduction is as good. For the sums of layers, whose terms are as many as a batch is
long or a layer is wide. NumPy's reduction of a whole array adds in pairs, which rounds less where there are millions of
terms: so `sum` and `mean` stay with that.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def of_rows(x: Any) -> Any:
    """Σ_i x[…, i, :]: all rows of a matrix added up. Measured on 1024 x 300 in float32: 17 µs instead of 40."""
    if x.size < 4096 or x.dtype.char not in "fd" or not x.flags.c_contiguous:
        return np.add.reduce(x, axis=-2)
    return np.ones(x.shape[-2], x.dtype) @ x


def along_rows(x: Any) -> Any:
    """Σ_j x[…, j], the axis kept with size 1. Measured on 1024 x 10 in float32: 4 µs instead of 21."""
    if x.size < 1024 or x.dtype.char not in "fd" or not x.flags.c_contiguous:
        return np.add.reduce(x, axis=-1, keepdims=True)
    n = x.shape[-1]
    rows = x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), n)  # one call of BLAS, not one for each of a stack
    return (rows @ np.ones(n, x.dtype)).reshape(*x.shape[:-1], 1)
