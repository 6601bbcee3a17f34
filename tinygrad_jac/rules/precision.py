"""Half precision: what adds up many numbers is computed in single precision, and rounded once, as PyTorch does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def in_single(forward: Callable[..., Any]) -> Callable[..., Any]:
    """A forward whose argument is taken from float16 to float32, and its results back; other dtypes stay as they are.

    The squares and sums on its way may be beyond 65504, the largest of float16, where the result is not.
    """

    def computed(x: Any, *others: Any, **params: Any) -> Any:
        if x.dtype != np.float16:
            return forward(x, *others, **params)
        out = forward(x.astype(np.float32), *others, **params)
        return _halved(out)

    return computed


def _halved(out: Any) -> Any:
    if isinstance(out, tuple):
        return tuple(map(_halved, out))
    with np.errstate(over="ignore"):  # it becomes infinite, as a float16
        return out.astype(np.float16)
