"""Running sums, products and extrema along an axis, which keep it; the product of all; differences and integrals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..graph import Variable, array_of, wrap
from ..jacobians import BlockDiag, Diagonal, Identity, Jacobian, Kron
from ..primitive import primitive
from ..spelling import axes_of, axis_of, public
from .extrema import amax, argmax
from .norms import logsumexp
from .reductions import _addable, spread, sum, totals
from .results import ValuesIndices
from .shaping import clone, moveaxis, swapaxes

_prod = primitive(
    "prod", lambda x, *, axis, keepdims: np.multiply.reduce(x, axis=axis, keepdims=keepdims), saves="x",
    vjp=lambda g, out, x, *, axis, keepdims: spread(g, x, axis, keepdims) * _others(x, axis[0]),
    jacobian=lambda out, x, *, axis, keepdims: totals(x.shape, axis, out.shape) @ Diagonal(_all_but_one(x, axis[0])),
    doc="The product along one axis: ∂/∂x_i is the product of the others, which out / x_i is not where x_i is 0.",
)
_cumsum = primitive(
    "cumsum", lambda x, *, axis: np.cumsum(x, axis=axis),
    vjp=lambda g, out, x, *, axis: np.flip(np.cumsum(np.flip(g, axis), axis), axis),
    jacobian=lambda out, x, *, axis: _along(np.tri(x.shape[axis], dtype=x.dtype), x.shape, axis),
    doc="Sums of the first entries along an axis: y = L x with ones in the lower triangle L.",
)
_cumprod = primitive(
    "cumprod", lambda x: np.cumprod(x, axis=-1), saves="x",
    vjp=lambda g, out, x: _before(x) * _horner(g, x),
    jacobian=lambda out, x: BlockDiag(_cumprod_rows(x)),
    doc="Products of the first entries along the last axis: ∂y_k/∂x_i is the product of the other x_j, j ≤ k.",
)


def _others(x: Any, axis: int) -> Any:
    """The product of the other entries along an axis: of those before times those after, so that zeros do no harm."""
    moved = x.swapaxes(axis, -1)
    return (_before(moved) * _before(moved[..., ::-1])[..., ::-1]).swapaxes(axis, -1)


def _before(x: Any) -> Any:
    """The product of the entries before each, along the last axis."""
    one = np.ones((*x.shape[:-1], 1), dtype=x.dtype)
    return cumprod(np.concatenate([one, x], axis=-1), -1)[..., :-1]


def _horner(g: Any, x: Any) -> Any:
    """s_i = g_i + x_{i+1} s_{i+1} along the last axis, from the end: Σ_k≥i g_k x_{i+1} ⋯ x_k, without dividing.

    By doubling, in log₂ n steps: what a stretch of entries adds, and the factor by which it multiplies what follows.
    """
    total, factor, step = g, _ahead(x, 1), 1
    while step < x.shape[-1]:
        total = total + factor * _ahead(total, step)
        factor = factor * _ahead(factor, step)
        step *= 2
    return total


def _ahead(x: Any, step: int) -> Any:
    """The entry ``step`` further along the last axis; 0 beyond the end."""
    return np.concatenate([x[..., step:], np.zeros_like(x[..., :step])], axis=-1)


def _all_but_one(x: Any, axis: int) -> Any:
    """The product of the other entries: those of a matrix of equal rows with ones put on its diagonal."""
    moved = x.swapaxes(axis, -1)
    return np.where(np.eye(moved.shape[-1], dtype=bool), 1.0, moved[..., None, :]).prod(-1).swapaxes(axis, -1)


def _cumprod_rows(x: Any) -> Any:
    """The matrix of each running product, row after row by the product rule: ∂y_k = x_k ∂y_{k-1} + y_{k-1} ∂x_k."""
    n = x.shape[-1]
    rows, row, y = [], np.zeros_like(x), np.ones_like(x[..., :1])
    for k in range(n):
        row = x[..., k : k + 1] * row + y * np.eye(n, dtype=x.dtype)[k]
        y = x[..., k : k + 1] * y
        rows.append(row)
    return np.stack(rows, axis=-2) if rows else np.zeros((*x.shape, 0))


def _along(matrix: Any, shape: tuple[int, ...], axis: int) -> Jacobian:
    """The Jacobian of one matrix applied to every vector along an axis: I ⊗ matrix ⊗ I."""
    before, n, after = shape[:axis], shape[axis], math.prod(shape[len(shape) + axis + 1 :])
    blocks = (*before, n, after)
    return Identity(blocks, shape) @ Kron(matrix, Identity(after), before) @ Identity(shape, blocks)


@public(np.prod)
def prod(x: Any, axis: Any = None, keepdims: bool = False, *, dtype: Any = None) -> Any:
    """The product over some axes, or over all; the gradient is exact with any number of zeros.

    Integers and bools are multiplied as int64.
    """
    x = _addable(x, dtype)
    if not x.ndim:
        return sum(x, axis)  # of one entry
    for a in axes_of(axis, x.ndim):
        x = _prod(x, axis=(a,), keepdims=keepdims)
    return x


@public(np.cumsum)
def cumsum(x: Any, axis: Any = None, *, dtype: Any = None) -> Any:
    """The sums of the first entries along an axis; of all entries in a row where none is named, as in NumPy."""
    x = _addable(x if axis is not None else x.reshape(-1), dtype)
    if not x.ndim:
        return sum(x, axis)  # of one entry
    return _cumsum(x, axis=-1 if axis is None else axis_of(axis, x.ndim))


@public(np.cumprod)
def cumprod(x: Any, axis: Any = None, *, dtype: Any = None) -> Any:
    """The products of the first entries along an axis; of all entries in a row where none is named, as in NumPy.

    The gradient is exact with any number of zeros.
    """
    x = _addable(x if axis is not None else x.reshape(-1), dtype)
    if not x.ndim:
        return sum(x, axis)  # of one entry
    axis = -1 if axis is None else axis_of(axis, x.ndim)
    return _cumprod(x) if axis == -1 else swapaxes(_cumprod(swapaxes(x, axis, -1)), axis, -1)


@public()
def cummax(x: Any, axis: int) -> ValuesIndices:
    """The largest of the first entries along an axis, and where it stands: the last of equal ones."""
    return _running(np.maximum, x, axis)


@public()
def cummin(x: Any, axis: int) -> ValuesIndices:
    """The smallest of the first entries along an axis, and where it stands: the last of equal ones."""
    return _running(np.minimum, x, axis)


def _running(better: np.ufunc, x: Any, axis: int) -> ValuesIndices:
    k, array = axis_of(axis, x.ndim), array_of(x)
    if not x.ndim:
        return ValuesIndices(amax(x), argmax(x))
    best = better.accumulate(array, axis=k)
    here = np.where((array == best) | np.isnan(array), np.expand_dims(np.arange(x.shape[k]), (*range(1, -k),)), 0)
    index = np.maximum.accumulate(here, axis=k)
    return ValuesIndices(np.take_along_axis(x, index, k), wrap(index) if isinstance(x, Variable) else index)


@public()
def logcumsumexp(x: Any, axis: int) -> Any:
    """log Σ exp of the first entries along an axis, computed without overflow."""
    k = axis_of(axis, x.ndim)
    if not x.ndim:
        return logsumexp(x, axis)
    # By doubling, in log₂ n steps: each entry takes in what ends where its own stretch begins.
    step, n = 1, x.shape[k]
    moved = swapaxes(x, k, -1)
    while step < n:
        moved = np.concatenate([moved[..., :step], np.logaddexp(moved[..., step:], moved[..., :-step])], -1)
        step *= 2
    return swapaxes(moved if n > 1 else clone(moved), k, -1)


@public()
def diff(x: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """Differences of neighbours along an axis, n times; ``prepend`` and ``append`` are put at the ends first."""
    k = axis_of(axis, x.ndim)
    parts = [p for p in (prepend, x, append) if p is not None]
    x = moveaxis(np.concatenate(parts, k) if len(parts) > 1 else x, k, -1)
    for _ in range(n):
        x = np.not_equal(x[..., 1:], x[..., :-1]) if x.dtype.kind == "b" else x[..., 1:] - x[..., :-1]
    return moveaxis(x if n else clone(x), -1, k)


@public()
def trapezoid(y: Any, x: Any = None, *, dx: Any = 1, axis: int = -1) -> Any:
    """The integral along an axis by trapezoids, of samples at ``x`` or at distances ``dx``."""
    k = axis_of(axis, y.ndim)
    y = moveaxis(y, k, -1)
    if x is not None:
        dx = diff(moveaxis(x, k, -1) if x.ndim > 1 else x)
    return sum((y[..., 1:] + y[..., :-1]) * dx, -1) / 2


@public()
def histc(x: Any, bins: int = 100, min: float = 0, max: float = 0) -> Any:
    """How many entries fall into each of ``bins`` equal parts of [min, max], of those of the entries if equal."""
    array = array_of(x).reshape(-1)
    low, high = (min, max) if min != max or not array.size else (array.min(), array.max())
    if low == high:
        low, high = low - 1, high + 1
    counts = np.histogram(array, bins, (float(low), float(high)))[0].astype(x.dtype)
    return wrap(counts) if isinstance(x, Variable) else counts
