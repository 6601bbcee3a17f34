"""Reductions: many entries to one.

The Jacobian of a reduction is a sum, the transpose of a broadcast (`totals`), after a diagonal of weights where it is
not a plain sum; its VJP is a broadcast (`spread`) times the same weights.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..dtypes import get_default_dtype
from ..errors import ShapeError
from ..graph import Variable, array_of, wrap
from ..jacobians import Diagonal, Jacobian, Selection
from ..primitive import primitive
from ..spelling import axes_of, public, unrecorded
from .elementary import or_infinity
from .precision import in_single
from .shaping import swapaxes

# ------------------------------------------------------------------------------------------------ what they share


def spread(g: Any, x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    """A cotangent of reduced shape repeated along the axes that were reduced: the transpose of a sum."""
    if not keepdims and axis and g.ndim:
        lead = g.ndim - (x.ndim - len(axis))
        sizes = iter(g.shape[lead:])
        g = g.reshape(g.shape[:lead] + tuple(1 if k - x.ndim in axis else next(sizes) for k in range(x.ndim)))
    shape = (g.shape[: g.ndim - x.ndim] if g.ndim > x.ndim else ()) + x.shape
    if isinstance(g, Variable) or g.size * x.size > 4096:
        return np.broadcast_to(g, shape)
    full = np.empty(shape, g.dtype)  # so few are filled in under 1 µs, where np.broadcast_to takes 5
    full[...] = g
    return full


def totals(shape: tuple[int, ...], axis: tuple[int, ...], out_shape: tuple[int, ...]) -> Jacobian:
    """The Jacobian of a sum over some axes: each output's row has ones at the entries that it adds."""
    return Selection(Selection.broadcast(_kept(shape, axis), shape).index, out_shape).T


def _kept(shape: tuple[int, ...], axis: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a reduction with ``keepdims``."""
    return tuple(1 if k - len(shape) in axis else n for k, n in enumerate(shape))


def _count(x: Any, axis: tuple[int, ...]) -> int:
    """How many entries are reduced to one."""
    return math.prod(x.shape if len(axis) == x.ndim else [x.shape[a] for a in axis])


def _refuse_integers(name: str, x: Any) -> None:
    if x.dtype.kind in "biu":
        raise TypeError(f"{name} of {x.dtype} entries is not an integer: convert them first, as with .float()")


def _refuse_empty(name: str, x: Any, axes: tuple[int, ...]) -> None:
    if not _count(x, axes):
        raise ShapeError(f"{name}: shape {x.shape} has no entries along axes {axes}, and of none there is no {name}")


def _cast(x: Any, dtype: Any) -> Any:
    return x if dtype is None else x.astype(dtype)


def _addable(x: Any, dtype: Any) -> Any:
    """What is added up or multiplied: integers as int64 (NumPy does so itself, but for those without a sign)."""
    return _cast(x, np.int64 if dtype is None and x.dtype.kind == "u" else dtype)


def _unrecorded(function: Any, x: Any, **params: Any) -> Any:
    """A function without a derivative: of a Tensor a Tensor, computed on the array."""
    out = function(array_of(x), **params)
    return wrap(np.asarray(out)) if isinstance(x, Variable) else out


# ------------------------------------------------------------------------------------------------ sums and moments

_sum = primitive(
    "sum", in_single(lambda x, *, axis, keepdims: np.add.reduce(x, axis=axis, keepdims=keepdims)),
    vjp=lambda g, out, x, *, axis, keepdims: spread(g, x, axis, keepdims),
    jacobian=lambda out, x, *, axis, keepdims: totals(x.shape, axis, out.shape),
)
_mean = primitive(
    "mean", in_single(lambda x, *, axis, keepdims: np.add.reduce(x, axis=axis, keepdims=keepdims) / _weight(x, axis)),
    vjp=lambda g, out, x, *, axis, keepdims: spread(g / _weight(x, axis), x, axis, keepdims),
    jacobian=lambda out, x, *, axis, keepdims:
        totals(x.shape, axis, out.shape) @ Diagonal(np.full(x.shape, 1 / _weight(x, axis))),
)
_var = primitive(
    "var", in_single(lambda x, *, axis, dof, keepdims: _squares(x, axis, keepdims) / dof), saves="x",
    vjp=lambda g, out, x, *, axis, dof, keepdims:
        spread(g * (2 / dof), x, axis, keepdims) * (x - _mean(x, axis=axis, keepdims=True)),
    jacobian=lambda out, x, *, axis, dof, keepdims:
        totals(x.shape, axis, out.shape) @ Diagonal(2 * (x - x.mean(axis, keepdims=True)) / dof),
    doc="Σ(x - μ)² / dof. The mean moves with x too, but what that adds is 2 Σ(x - μ) ∂μ = 0: ∂/∂x = 2(x - μ) / dof.",
)
_std = primitive(
    "std", in_single(lambda x, *, axis, dof, keepdims: np.sqrt(_squares(x, axis, keepdims) / dof)), saves="out x",
    vjp=lambda g, out, x, *, axis, dof, keepdims:
        spread(g / (dof * or_infinity(out)), x, axis, keepdims) * (x - _mean(x, axis=axis, keepdims=True)),
    jacobian=lambda out, x, *, axis, dof, keepdims:
        totals(x.shape, axis, out.shape) @ Diagonal(_unit(x - x.mean(axis, keepdims=True), axis) / math.sqrt(dof)),
    doc="√var: ∂/∂x = (x - μ) / (dof · std), by convention 0 where all entries are equal.",
)


def _weight(x: Any, axis: tuple[int, ...]) -> float:
    """By what a mean divides; nan for no entries, of which there is no mean."""
    return _count(x, axis) or math.nan


def _squares(x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    """Σ(x - μ)², in two passes: the textbook's Σx² - nμ² cancels."""
    centred = x - _mean(x, axis=axis, keepdims=True)
    return (centred * centred).sum(axis=axis, keepdims=keepdims)


def _unit(x: Any, axis: tuple[int, ...]) -> Any:
    """Each vector along the axes divided by its length; a zero vector stays one."""
    length = np.sqrt((x**2).sum(axis, keepdims=True))
    return x / np.where(length == 0, 1.0, length)


@public(np.sum)
def sum(x: Any, axis: Any = None, keepdims: bool = False, *, dtype: Any = None) -> Any:
    """The sum over some axes, or over all.

    The Jacobian has a row of ones for each output. Integers and bools are summed as int64.

    Parameters
    ----------
    x : Tensor or ndarray
    axis : int or tuple of int, optional
        PyTorch's ``dim``, as everywhere; counted from the end if negative.
    keepdims : bool
        Whether the summed axes stay, with size 1; PyTorch's ``keepdim``.
    dtype : optional
        What is converted to first.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> tj.sum(tj.ones(2, 3), dim=1)
    tensor([3., 3.])
    """
    return _sum(_addable(x, dtype), axis=axes_of(axis, x.ndim), keepdims=keepdims)


@public(np.mean)
def mean(x: Any, axis: Any = None, keepdims: bool = False, *, dtype: Any = None) -> Any:
    """The mean over some axes, or over all: nan of no entries.

    Raises
    ------
    TypeError
        The entries are integers and no floating ``dtype`` is given.
    """
    x = _cast(x, dtype)
    _refuse_integers("mean", x)
    return _mean(x, axis=axes_of(axis, x.ndim), keepdims=keepdims)


@public()
def var(
    x: Any, axis: Any = None, unbiased: bool | None = None, keepdims: bool = False, *, correction: float = 1
) -> Any:
    """The variance over some axes, or over all: Σ(x - μ)² / (n - correction).

    Called as ``np.var`` on a Tensor it divides by n, as NumPy does; here by n - 1, as PyTorch does.

    Parameters
    ----------
    x : Tensor or ndarray
    axis : int or tuple of int, optional
    unbiased : bool, optional
        PyTorch's older way to say ``correction=1`` or ``correction=0``; it may stand in the place of ``axis``.
    keepdims : bool
    correction : float
        Where it is not less than n, the variance is nan.

    Raises
    ------
    TypeError
        The entries are integers.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_jac as tj
    >>> x = tj.tensor([1.0, 2.0, 6.0])
    >>> tj.var(x), np.var(x)
    (tensor(7.), tensor(4.6667))
    """
    return _moment("var", _var, x, axis, unbiased, keepdims, correction)


@public()
def std(
    x: Any, axis: Any = None, unbiased: bool | None = None, keepdims: bool = False, *, correction: float = 1
) -> Any:
    """The standard deviation, √`var`, with the same arguments.

    By convention its derivative is 0 where all entries are equal.
    """
    return _moment("std", _std, x, axis, unbiased, keepdims, correction)


def _moment(
    name: str, moment: Any, x: Any, axis: Any, unbiased: bool | None, keepdims: bool, correction: float
) -> Any:
    if isinstance(axis, bool):
        axis, unbiased = None, axis
    if unbiased is not None:
        correction = int(unbiased)
    _refuse_integers(name, x)
    axes = axes_of(axis, x.ndim)
    dof = _count(x, axes) - correction
    return moment(x, axis=axes, dof=dof if dof > 0 else math.nan, keepdims=keepdims)


@public(np.var)
def _numpy_var(x: Any, axis: Any = None, *, ddof: float = 0, keepdims: bool = False) -> Any:
    return var(x, axis, keepdims=keepdims, correction=ddof)


@public(np.std)
def _numpy_std(x: Any, axis: Any = None, *, ddof: float = 0, keepdims: bool = False) -> Any:
    return std(x, axis, keepdims=keepdims, correction=ddof)


@public()
def var_mean(x: Any, axis: Any = None, unbiased: bool | None = None, keepdims: bool = False, **kwargs: Any) -> Any:
    """``(var, mean)`` with the arguments of `var`."""
    return var(x, axis, unbiased, keepdims, **kwargs), mean(x, None if isinstance(axis, bool) else axis, keepdims)


@public()
def std_mean(x: Any, axis: Any = None, unbiased: bool | None = None, keepdims: bool = False, **kwargs: Any) -> Any:
    """``(std, mean)`` with the arguments of `std`."""
    return std(x, axis, unbiased, keepdims, **kwargs), mean(x, None if isinstance(axis, bool) else axis, keepdims)


@public(np.nansum)
def nansum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """`sum` with nan counted as 0."""
    return sum(np.where(np.isnan(x), 0.0, x) if x.dtype.kind in "fc" else x, axis, keepdims)


@public(np.nanmean)
def nanmean(x: Any, axis: Any = None, keepdims: bool = False, *, dtype: Any = None) -> Any:
    """`mean` of the entries that are not nan; nan where all are."""
    x = _cast(x, dtype)
    _refuse_integers("nanmean", x)
    return nansum(x, axis, keepdims) / sum((~np.isnan(x)).astype(x.dtype), axis, keepdims)


def cov(x: Any, *, correction: int = 1, fweights: Any = None, aweights: Any = None) -> Any:
    """The covariance matrix of variables, a row of observations each.

    Parameters
    ----------
    x : array of shape (variables, observations), or (observations,)
        Of one variable the result is a number.
    correction : int
        What is subtracted from the number of observations.
    fweights, aweights : array of shape (observations,), optional
        How often each was observed (integers); how much each matters.

    Raises
    ------
    ShapeError
        There are more than two axes.
    """
    if x.ndim > 2:
        raise ShapeError(f"cov takes one variable or a row for each, not shape {x.shape}")
    if x.dtype.kind in "biu":
        x = x.astype(get_default_dtype())
    rows = x.reshape((1,) * (2 - x.ndim) + x.shape)
    n = rows.shape[-1]
    counts = np.ones(n, x.dtype) if fweights is None else fweights.astype(x.dtype)
    weights = counts if aweights is None else counts * aweights.astype(x.dtype)
    total = sum(weights)
    of_squares = sum(weights * (weights / counts if aweights is not None else 1))
    dof = total - correction * (of_squares / total)
    centred = rows - sum(rows * weights, -1, keepdims=True) / total
    out = (centred * weights) @ swapaxes(centred, -1, -2) / dof
    return out if len(rows) != 1 else out.reshape(())


def corrcoef(x: Any) -> Any:
    """The matrix of correlations of variables, a row of observations each: `cov` by the standard deviations."""
    c = cov(x)
    if not c.ndim:
        return c / c
    spread_of = np.sqrt(np.diagonal(c))
    return np.clip(c / spread_of[:, None] / spread_of[None, :], -1, 1)


# ------------------------------------------------------------------------------------------------ not differentiable


@public(np.all)
def all(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether all entries are true, or not 0, over some axes or over all."""
    return _unrecorded(np.logical_and.reduce, x, axis=axes_of(axis, x.ndim), keepdims=keepdims)


@public(np.any)
def any(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether an entry is true, or not 0, over some axes or over all."""
    return _unrecorded(np.logical_or.reduce, x, axis=axes_of(axis, x.ndim), keepdims=keepdims)


@public(np.count_nonzero)
def count_nonzero(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """How many entries are not 0, over some axes or over all."""
    return _unrecorded(np.count_nonzero, x, axis=axes_of(axis, x.ndim), keepdims=keepdims)


isclose = unrecorded(np.isclose, doc="Entry by entry whether |x - y| ≤ atol + rtol |y|; as ``numpy.isclose``.")


@public(np.allclose)
def allclose(x: Any, y: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Whether `isclose` holds of all entries: a Python bool."""
    return bool(np.allclose(array_of(x), array_of(y), rtol=rtol, atol=atol, equal_nan=equal_nan))


@public(np.array_equal)
def array_equal(x: Any, y: Any, equal_nan: bool = False) -> bool:
    """Whether shapes and all entries are equal: a Python bool. PyTorch's ``equal``."""
    return np.array_equal(array_of(x), array_of(y), equal_nan=equal_nan)
