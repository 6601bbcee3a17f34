"""Reductions: many entries to one. Their Jacobians are the transpose of a broadcast, weighted where it is not a sum."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..jacobians import Jacobian, Selection
from ..primitive import primitive
from ..spelling import axes_of, public

_sum = primitive(
    "sum", lambda x, *, axis, keepdims: np.add.reduce(x, axis=axis, keepdims=keepdims),
    vjp=lambda g, out, x, *, axis, keepdims: spread(g, x, axis, keepdims),
    jacobian=lambda out, x, *, axis, keepdims: totals(x.shape, axis, out.shape),
)


def spread(g: Any, x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    """A cotangent of reduced shape repeated along the axes that were reduced: the transpose of a sum."""
    lead = g.ndim - (x.ndim if keepdims else x.ndim - len(axis))
    kept = g.shape[lead:]
    if not keepdims:
        sizes = iter(kept)
        kept = tuple(1 if k - x.ndim in axis else next(sizes) for k in range(x.ndim))
        g = g.reshape(g.shape[:lead] + kept)
    return np.broadcast_to(g, g.shape[:lead] + x.shape)


def totals(shape: tuple[int, ...], axis: tuple[int, ...], out_shape: tuple[int, ...]) -> Jacobian:
    """The Jacobian of a sum over some axes: each output row has ones at the entries that it adds."""
    kept = tuple(1 if k - len(shape) in axis else n for k, n in enumerate(shape))
    spread_out = Selection.broadcast(kept, shape)
    return Selection(spread_out.index, out_shape).T


@public(np.sum)
def sum(x: Any, axis: Any = None, keepdims: bool = False, *, dtype: Any = None) -> Any:
    """The sum over some axes, or over all.

    Integers are summed as int64. The Jacobian has a row of ones for each output.
    """
    if dtype is not None:
        x = x.astype(dtype)
    return _sum(x, axis=axes_of(axis, np.ndim(x)), keepdims=keepdims)
