"""Reductions: many entries to one.

The Jacobian of a reduction is a sum, the transpose of a broadcast (`totals`), after a diagonal of weights where it is
not a plain sum; its VJP is a broadcast (`spread`) times the same weights. Running sums and products keep their axis.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..dtypes import get_default_dtype
from ..errors import ShapeError
from ..graph import Variable, wrap
from ..jacobians import BlockDiag, Diagonal, Identity, Jacobian, Kron, Selection
from ..primitive import primitive
from ..spelling import axes_of, axis_of, public, unrecorded
from .elementary import maximum, minimum
from .results import MinMax, ValuesIndices
from .shaping import clone, moveaxis, swapaxes

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


def _or_infinity(x: Any) -> Any:
    """x, and infinity where it is 0: what is divided by it becomes 0, the subgradient that PyTorch takes there."""
    return np.where(x == 0, math.inf, x)


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


# ------------------------------------------------------------------------------------------------ sums and moments

_sum = primitive(
    "sum", lambda x, *, axis, keepdims: np.add.reduce(x, axis=axis, keepdims=keepdims),
    vjp=lambda g, out, x, *, axis, keepdims: spread(g, x, axis, keepdims),
    jacobian=lambda out, x, *, axis, keepdims: totals(x.shape, axis, out.shape),
)
_mean = primitive(
    "mean", lambda x, *, axis, keepdims: np.add.reduce(x, axis=axis, keepdims=keepdims) / _weight(x, axis),
    vjp=lambda g, out, x, *, axis, keepdims: spread(g / _weight(x, axis), x, axis, keepdims),
    jacobian=lambda out, x, *, axis, keepdims:
        totals(x.shape, axis, out.shape) @ Diagonal(np.full(x.shape, 1 / _weight(x, axis))),
)
_var = primitive(
    "var", lambda x, *, axis, dof, keepdims: _squares(x, axis, keepdims) / dof, saves="x",
    vjp=lambda g, out, x, *, axis, dof, keepdims:
        spread(g * (2 / dof), x, axis, keepdims) * (x - _mean(x, axis=axis, keepdims=True)),
    jacobian=lambda out, x, *, axis, dof, keepdims:
        totals(x.shape, axis, out.shape) @ Diagonal(2 * (x - x.mean(axis, keepdims=True)) / dof),
    doc="Σ(x - μ)² / dof. The mean moves with x too, but what that adds is 2 Σ(x - μ) ∂μ = 0: ∂/∂x = 2(x - μ) / dof.",
)
_std = primitive(
    "std", lambda x, *, axis, dof, keepdims: np.sqrt(_squares(x, axis, keepdims) / dof), saves="out x",
    vjp=lambda g, out, x, *, axis, dof, keepdims:
        spread(g / (dof * _or_infinity(out)), x, axis, keepdims) * (x - _mean(x, axis=axis, keepdims=True)),
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
    if x.dtype.kind != "f":
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
    return sum(np.where(np.isnan(x), 0.0, x), axis, keepdims)


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
    rows = x.reshape(-1, x.shape[-1] if x.ndim else 1)
    n = rows.shape[-1]
    counts = np.ones(n, x.dtype) if fweights is None else fweights.astype(x.dtype)
    weights = counts if aweights is None else counts * aweights.astype(x.dtype)
    total = sum(weights)
    of_squares = sum(weights * (weights / counts if aweights is not None else 1))
    dof = total - correction * (of_squares / total)
    centred = rows - sum(rows * weights, -1, keepdims=True) / total
    out = (centred * weights) @ swapaxes(centred, -1, -2) / dof
    return out if x.ndim == 2 else out.reshape(())


def corrcoef(x: Any) -> Any:
    """The matrix of correlations of variables, a row of observations each: `cov` by the standard deviations."""
    c = cov(x)
    if not c.ndim:
        return c / c
    spread_of = np.sqrt(np.diagonal(c))
    return np.clip(c / spread_of[:, None] / spread_of[None, :], -1, 1)


# ------------------------------------------------------------------------------------------------ extrema


def _chosen(name: str, choose: Any, doc: str) -> Any:
    """A reduction whose value is among the entries: those that equal it share the cotangent evenly."""
    return primitive(
        name, lambda x, *, axis, keepdims: choose(x, axis=axis, keepdims=keepdims), saves="out x",
        vjp=lambda g, out, x, *, axis, keepdims: _share(g, out, x, axis, keepdims),
        jacobian=lambda out, x, *, axis, keepdims:
            totals(x.shape, axis, out.shape) @ Diagonal(_shares(x, out.reshape(_kept(x.shape, axis)), axis)),
        doc=doc,
    )


def _share(g: Any, out: Any, x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    """A cotangent in equal parts to the entries that are the output; if that is nan, to those that are."""
    same = (x == spread(out, x, axis, keepdims)) | (x != x)
    count = same.sum(axis=axis, keepdims=keepdims).astype(g.dtype)
    return np.where(same, spread(g / count, x, axis, keepdims), 0.0)


def _shares(x: Any, out: Any, axis: tuple[int, ...]) -> Any:
    """What each entry has in the output: 1 if it is chosen, 1/2 if one of two, 0 if not."""
    weights = np.where(np.isnan(out), np.isnan(x), x == out).astype(x.dtype)
    return weights / weights.sum(axis, keepdims=True)


def _lower_median(x: Any, *, axis: Any, keepdims: bool) -> Any:
    """Of all entries; nan if one is."""
    flat = x.reshape(-1)
    return flat[_median_position(flat, -1)].reshape((1,) * x.ndim if keepdims else ())


_amax = _chosen("amax", np.maximum.reduce, "The largest entry; equal ones share the cotangent evenly.")
_amin = _chosen("amin", np.minimum.reduce, "The smallest entry; equal ones share the cotangent evenly.")
_median = _chosen("median", _lower_median, "The middle entry; equal ones share the cotangent evenly.")


@public(np.max, np.amax)
def amax(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The largest entry over some axes, or over all; equal ones share the cotangent evenly. This is ``np.max``.

    Raises
    ------
    ShapeError
        There is no entry to choose.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> x = tj.tensor([1.0, 3.0, 3.0], requires_grad=True)
    >>> tj.amax(x).backward()
    >>> x.grad
    tensor([0.0000, 0.5000, 0.5000])
    """
    axes = axes_of(axis, x.ndim)
    _refuse_empty("amax", x, axes)
    return _amax(x, axis=axes, keepdims=keepdims)


@public(np.min, np.amin)
def amin(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The smallest entry over some axes, or over all; equal ones share the cotangent evenly. This is ``np.min``.

    Raises
    ------
    ShapeError
        There is no entry to choose.
    """
    axes = axes_of(axis, x.ndim)
    _refuse_empty("amin", x, axes)
    return _amin(x, axis=axes, keepdims=keepdims)


@public()
def max(x: Any, axis: Any = None, keepdims: bool = False, *, y: Any = None) -> Any:
    """PyTorch's ``max``, which is three functions.

    * ``max(x)``: the largest of all entries; equal ones share the cotangent evenly, as in `amax`.
    * ``max(x, axis)``: ``(values, indices)`` along one axis; the cotangent goes to the entry at the index, the first
      of equal ones.
    * ``max(x, y)``: entry by entry the larger of two arrays, as `maximum`.

    Raises
    ------
    ShapeError
        There is no entry to choose.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> tj.max(tj.tensor([[1.0, 3.0], [5.0, 2.0]]), dim=1)
    ValuesIndices(values=tensor([3., 5.]), indices=tensor([1, 0]))
    """
    return _extreme("max", amax, maximum, np.argmax, x, axis, keepdims, y)


@public()
def min(x: Any, axis: Any = None, keepdims: bool = False, *, y: Any = None) -> Any:
    """PyTorch's ``min``: as `max`, of the smallest."""
    return _extreme("min", amin, minimum, np.argmin, x, axis, keepdims, y)


def _extreme(name: str, whole: Any, of_two: Any, position: Any, x: Any, axis: Any, keepdims: bool, y: Any) -> Any:
    if isinstance(axis, (Variable, np.ndarray)):
        y = axis
    if y is not None:
        return of_two(x, y)
    if axis is None:
        return whole(x, keepdims=keepdims)
    return _pick(name, lambda a, axis: position(a, axis=axis, keepdims=True), x, axis, keepdims)


@public()
def median(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The middle entry, PyTorch's: of an even number of entries the lower of the two in the middle; nan if one is.

    Of all entries (equal ones share the cotangent evenly), or ``(values, indices)`` along one axis.

    Raises
    ------
    ShapeError
        There is no entry to choose.
    """
    if axis is None:
        _refuse_empty("median", x, axes_of(None, x.ndim))
        return _median(x, axis=axes_of(None, x.ndim), keepdims=keepdims)
    return _pick("median", _median_position, x, axis, keepdims)


def _median_position(x: Any, axis: int) -> Any:
    rank = (x.shape[axis] - 1) // 2
    middle = np.take(np.argpartition(x, rank, axis=axis), [rank], axis=axis)
    missing = np.isnan(x)
    return np.where(missing.any(axis=axis, keepdims=True), missing.argmax(axis=axis, keepdims=True), middle)


@public()
def aminmax(x: Any, *, axis: Any = None, keepdims: bool = False) -> MinMax:
    """``(min, max)`` of `amin` and `amax`."""
    return MinMax(amin(x, axis, keepdims), amax(x, axis, keepdims))


@public()
def nanmedian(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """`median` of the entries that are not nan; nan where all are."""
    if axis is None:
        return _pick("nanmedian", _nanmedian_position, x.reshape(-1), 0, False).values
    return _pick("nanmedian", _nanmedian_position, x, axis, keepdims)


def _nanmedian_position(x: Any, axis: int) -> Any:
    rank = np.maximum((~np.isnan(x)).sum(axis=axis, keepdims=True) - 1, 0) // 2  # nan is sorted to the end
    return np.take_along_axis(np.argsort(x, axis=axis, kind="stable"), rank, axis)


@public()
def kthvalue(x: Any, k: int, axis: int = -1, keepdims: bool = False) -> ValuesIndices:
    """The k-th smallest entry along an axis, counted from 1, and where it stands.

    Raises
    ------
    ValueError
        There are fewer than k.
    """
    n = x.shape[axis_of(axis, x.ndim)] if x.ndim else 1
    if not 1 <= k <= n:
        raise ValueError(f"kthvalue: there is no entry number {k} of {n} along axis {axis} of shape {x.shape}")
    return _pick("kthvalue", lambda a, at: np.take(np.argsort(a, axis=at, kind="stable"), [k - 1], at),
                 x, axis, keepdims)


@public()
def mode(x: Any, axis: int = -1, keepdims: bool = False) -> ValuesIndices:
    """The most frequent entry along an axis, the smallest of equally frequent ones, and where it stands last."""
    return _pick("mode", _mode_position, x, axis, keepdims)


def _mode_position(x: Any, axis: int) -> Any:
    moved = np.moveaxis(x, axis, -1)
    equal = moved[..., :, None] == moved[..., None, :]
    often = equal.sum(-1)
    smallest = np.where(often == often.max(-1, keepdims=True), moved, np.inf).min(-1, keepdims=True)
    last = moved.shape[-1] - 1 - (moved == smallest)[..., ::-1].argmax(-1)
    return np.expand_dims(last, axis)


@public()
def quantile(
    x: Any, q: Any, axis: int | None = None, keepdims: bool = False, *, interpolation: str = "linear"
) -> Any:
    """The entries below which the parts ``q`` of all entries lie, between two of them interpolated; nan if one is.

    Parameters
    ----------
    x : array of floats
    q : float, or array of shape () or (n,)
        Within [0, 1]. With an axis, the result has one more in front.
    axis : int, optional
        All entries by default.
    keepdims : bool
    interpolation : {"linear", "lower", "higher", "midpoint", "nearest"}

    Raises
    ------
    ValueError
        ``q`` is not within [0, 1], or the interpolation is another.
    ShapeError
        There are no entries.
    """
    return _quantile("quantile", x, q, axis, keepdims, interpolation, False)


@public()
def nanquantile(
    x: Any, q: Any, axis: int | None = None, keepdims: bool = False, *, interpolation: str = "linear"
) -> Any:
    """`quantile` of the entries that are not nan."""
    return _quantile("nanquantile", x, q, axis, keepdims, interpolation, True)


def _quantile(name: str, x: Any, q: Any, axis: Any, keepdims: bool, interpolation: str, skip: bool) -> Any:
    _refuse_integers(name, x)
    parts = np.asarray(_array(q), x.dtype)
    if not ((parts >= 0) & (parts <= 1)).all():
        raise ValueError(f"{name}: parts are within [0, 1], not {parts}")
    rounding: dict[str, Any] = {"linear": None, "midpoint": None}
    rounding.update(lower=np.floor, higher=np.ceil, nearest=np.rint)
    if interpolation not in rounding:
        raise ValueError(f"{name}: interpolation is one of {', '.join(rounding)}, not {interpolation!r}")
    ndim = x.ndim
    at = -1 if axis is None else axis_of(axis, ndim)
    x = x.reshape(-1) if axis is None else swapaxes(x, at, -1)
    _refuse_empty(name, x, (-1,))
    array = _array(x)
    missing = np.isnan(array).sum(-1, keepdims=True)
    order = np.argsort(array, axis=-1)  # nan is sorted to the end
    count = array.shape[-1] - missing if skip else np.full_like(missing, array.shape[-1])
    rank = np.maximum(parts.reshape(-1) * (count - 1), 0)  # (..., n)
    whole = rounding[interpolation]
    rank = rank if whole is None else whole(rank)
    if not skip:
        rank = np.where(missing > 0, array.shape[-1] - 1, rank)
    low = np.floor(rank).astype(np.intp)
    high = np.ceil(rank).astype(np.intp)
    below, above = (np.take_along_axis(x, np.take_along_axis(order, k, -1), -1) for k in (low, high))
    weight = (rank - low if interpolation == "linear" else np.where(low == high, 0.0, 0.5)).astype(x.dtype)
    out = np.where(low == high, below, below + weight * (above - below))
    if axis is not None:
        out = swapaxes(out[..., None, :], at - 1, -2) if at != -1 else out[..., None, :]
        out = out if keepdims else np.squeeze(out, at - 1)
    elif keepdims:
        out = out.reshape((1,) * ndim + out.shape)
    return np.moveaxis(out, -1, 0) if parts.ndim else out[..., 0]


def _pick(name: str, position: Any, x: Any, axis: Any, keepdims: bool) -> Any:
    """The entry along an axis that ``position(array, axis)`` names, and its index: the gradient is a gather's."""
    if not x.ndim:
        return ValuesIndices(amax(x, axis), argmax(x))
    axis = axis_of(axis, x.ndim)
    _refuse_empty(name, x, (axis,))
    index = position(_array(x), axis)
    values = np.take_along_axis(x, index, axis)
    if not keepdims:
        index = np.squeeze(index, axis)
        values = values.reshape(index.shape)
    return ValuesIndices(values, wrap(index) if isinstance(x, Variable) else index)


# ------------------------------------------------------------------------------------------------ logarithms, lengths

_logsumexp = primitive(
    "logsumexp", lambda x, *, axis, keepdims: _log_of_sum(x, axis, keepdims), saves="x residual",
    residual=lambda out, x, *, axis, keepdims: _sum_of_exp(x, axis),
    vjp=lambda g, out, x, *, axis, keepdims, residual:
        spread(g, x, axis, keepdims) * (np.exp(x - residual[0]) / _or_infinity(residual[1])),
    jacobian=lambda out, x, *, axis, keepdims, residual: totals(x.shape, axis, out.shape) @ Diagonal(_softmax(x, axis)),
    doc="log Σ exp x, without overflow. ∂/∂x = softmax(x); 0 where all x are -inf.",
)
_norm = primitive(
    "norm", lambda x, *, axis, keepdims: np.sqrt(np.add.reduce(x * x, axis=axis, keepdims=keepdims)), saves="out x",
    vjp=lambda g, out, x, *, axis, keepdims: spread(g / _or_infinity(out), x, axis, keepdims) * x,
    jacobian=lambda out, x, *, axis, keepdims: totals(x.shape, axis, out.shape) @ Diagonal(_unit(x, axis)),
    doc="√Σx²: ∂/∂x = x / ‖x‖, the unit vector in its direction; by convention 0 where x is 0.",
)


def _sum_of_exp(x: Any, axis: tuple[int, ...]) -> tuple[Any, Any]:
    """The largest entry (0 if it is -inf), a constant, and Σ exp(x - that), which is at least 1 (or 0)."""
    top = np.maximum.reduce(_array(x), axis=axis, keepdims=True, initial=-math.inf)
    top = np.where(top == -math.inf, 0.0, top)
    return top, np.exp(x - top).sum(axis=axis, keepdims=True)


def _log_of_sum(x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    top, total = _sum_of_exp(x, axis)
    with np.errstate(divide="ignore"):  # log 0 is meant
        out = np.log(total) + top
    return out if keepdims else out.squeeze(axis), (top, total)


def _softmax(x: Any, axis: tuple[int, ...]) -> Any:
    """exp x by its share in the total; 0 where all x are -inf."""
    top = x.max(axis, keepdims=True, initial=-math.inf)
    e = np.exp(x - np.where(np.isneginf(top), 0.0, top))
    return np.divide(e, e.sum(axis, keepdims=True), where=e > 0, out=np.zeros_like(e))


@public()
def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """log Σ exp x over some axes, or over all, computed without overflow; -inf where all entries are, or of none.

    The gradient is softmax(x).

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> tj.logsumexp(tj.tensor([10000.0, 10000.0]), dim=0)
    tensor(10000.6934)
    """
    if x.dtype.kind in "biu":
        x = x.astype(get_default_dtype())
    return _logsumexp(x, axis=axes_of(axis, x.ndim), keepdims=keepdims)


@public()
def norm(x: Any, p: Any = "fro", axis: Any = None, keepdims: bool = False, *, dtype: Any = None) -> Any:
    """The p-norm (Σ|x|^p)^(1/p) of the entries over some axes, or over all, whatever their number.

    By convention the derivative is 0 where the norm is 0 and at entries that are 0; for ``inf`` and ``-inf`` equal
    entries share the cotangent evenly.

    Parameters
    ----------
    x : Tensor or ndarray
    p : float or "fro"
        2 (the same as "fro" and None), 1, inf (the largest |x|), -inf (the smallest), 0 (how many are not 0), or any.
    axis : int or tuple of int, optional
    keepdims : bool
    dtype : optional
        What is converted to first.

    Raises
    ------
    TypeError
        The entries are integers.
    ValueError
        ``p`` is another word: the nuclear norm is not available.
    """
    x = _cast(x, dtype)
    _refuse_integers("norm", x)
    if isinstance(p, str) and p != "fro":
        raise ValueError(f"norm: p={p!r} is not available; give 'fro' or a number")
    if p is None or p == "fro" or p == 2:
        return _norm(x, axis=axes_of(axis, x.ndim), keepdims=keepdims)
    size = np.abs(x)
    if p == 1:
        return sum(size, axis, keepdims)
    if p in (math.inf, -math.inf):
        return (amax if p > 0 else amin)(size, axis, keepdims)
    zero = size == 0
    if p == 0:
        return sum(np.where(zero, 0.0, np.where(zero, size, 1.0)), axis, keepdims)
    total = sum(np.where(zero, 0.0 if p > 0 else math.inf, np.where(zero, 1.0, size) ** p), axis, keepdims)
    none = total == 0
    return np.where(none, 0.0, np.where(none, 1.0, total) ** (1 / p))


@public(np.linalg.vector_norm)
def vector_norm(x: Any, ord: Any = 2, axis: Any = None, keepdims: bool = False) -> Any:
    """`norm` with the argument's name in ``linalg``."""
    return norm(x, ord, axis, keepdims)


@public(np.linalg.matrix_norm)
def matrix_norm(x: Any, ord: Any = "fro", axis: Any = (-2, -1), keepdims: bool = False) -> Any:
    """A norm of the matrices in two axes.

    Parameters
    ----------
    x : Tensor or ndarray
    ord : {"fro", 1, -1, inf, -inf}
        The square root of the sum of squares; the largest (smallest) sum of |x| down a column; the same along a row.
    axis : tuple of two int
    keepdims : bool

    Raises
    ------
    ValueError
        Another ``ord``: the spectral and the nuclear norm are not available.
    """
    if ord in ("fro", None):
        return norm(x, 2, axis, keepdims)
    if ord not in (1, -1, math.inf, -math.inf):
        raise ValueError(f"matrix_norm: ord={ord!r} is not available; give 'fro', 1, -1, inf or -inf")
    rows, columns = (axis_of(a, x.ndim) for a in axis)
    summed, compared = (rows, columns) if abs(ord) == 1 else (columns, rows)
    out = (amax if ord > 0 else amin)(sum(np.abs(x), summed, keepdims=True), compared, keepdims=True)
    return out if keepdims else np.squeeze(out, (rows, columns))


@public(np.linalg.norm)
def linalg_norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """``linalg.norm``: a `vector_norm` or a `matrix_norm`.

    Without ``ord`` the 2-norm of all entries; with it the norm of vectors if there is one axis, of matrices if two.

    Raises
    ------
    ValueError
        ``ord`` is given for more than two axes, or is not available.
    """
    axes = axes_of(axis, x.ndim)
    if ord is None or len(axes) == 1:
        return norm(x, 2 if ord is None else ord, axes, keepdims)
    if len(axes) != 2:
        raise ValueError(f"linalg.norm: ord={ord!r} needs one axis or two, not {len(axes)}")
    return matrix_norm(x, ord, axes if axis is None else tuple(axis), keepdims)


@public()
def dist(x: Any, y: Any, p: float = 2) -> Any:
    """The p-norm of x - y."""
    return norm(x - y, p)


# ------------------------------------------------------------------------------------------------ running products

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
    k, array = axis_of(axis, x.ndim), _array(x)
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
    return swapaxes(moved, k, -1)


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


def renorm(x: Any, p: float, dim: int, maxnorm: float) -> Any:
    """The slices along an axis whose p-norm is larger than ``maxnorm``, scaled down to it."""
    k = axis_of(dim, x.ndim)
    others = tuple(a for a in range(-x.ndim, 0) if a != k)
    size = norm(x, p, others, keepdims=True)
    large = size > maxnorm
    return x * np.where(large, maxnorm / (np.where(large, size, 1.0) + 1e-7), 1.0)


def cdist(x1: Any, x2: Any, p: float = 2.0, compute_mode: str = "") -> Any:
    """The p-norm of the difference of each row of ``x1`` and each of ``x2``, in stacks that broadcast.

    ``compute_mode`` is read for PyTorch's sake; the distance is always computed from the differences.
    """
    if x1.ndim < 2 or x2.ndim < 2 or x1.shape[-1] != x2.shape[-1]:
        raise ShapeError(f"cdist takes rows of one length in the last axis, not shapes {x1.shape} and {x2.shape}")
    return norm(x1[..., :, None, :] - x2[..., None, :, :], p, -1)


@public()
def histc(x: Any, bins: int = 100, min: float = 0, max: float = 0) -> Any:
    """How many entries fall into each of ``bins`` equal parts of [min, max], of that of the entries if both are 0."""
    array = _array(x).reshape(-1)
    low, high = (min, max) if (min, max) != (0, 0) or not array.size else (array.min(), array.max())
    if low == high:
        low, high = low - 1, high + 1
    counts = np.histogram(array, bins, (float(low), float(high)))[0].astype(x.dtype)
    return wrap(counts) if isinstance(x, Variable) else counts


# ------------------------------------------------------------------------------------------------ not differentiable


def _array(x: Any) -> Any:
    return x.array if isinstance(x, Variable) else x


def _unrecorded(function: Any, x: Any, **params: Any) -> Any:
    """A function without a derivative: of a Tensor a Tensor, computed on the array."""
    out = function(_array(x), **params)
    return wrap(np.asarray(out)) if isinstance(x, Variable) else out


@public(np.argmax)
def argmax(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Where the largest entry stands, the first of equal ones: along an axis, or in the flattened array."""
    return _unrecorded(np.argmax, x, axis=axis, keepdims=keepdims)


@public(np.argmin)
def argmin(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Where the smallest entry stands, the first of equal ones: along an axis, or in the flattened array."""
    return _unrecorded(np.argmin, x, axis=axis, keepdims=keepdims)


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
    return bool(np.allclose(_array(x), _array(y), rtol=rtol, atol=atol, equal_nan=equal_nan))


@public(np.array_equal)
def array_equal(x: Any, y: Any, equal_nan: bool = False) -> bool:
    """Whether shapes and all entries are equal: a Python bool. PyTorch's ``equal``."""
    return np.array_equal(_array(x), _array(y), equal_nan=equal_nan)
