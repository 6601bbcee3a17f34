"""Extrema: the largest, smallest and middle entries, quantiles, and where they stand.

Their value is among the entries (a quantile's between two). What of several equal ones receives the cotangent is
PyTorch's convention: all in equal parts for a reduction, one for a reduction that says where it stands.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..graph import Variable, array_of, wrap
from ..jacobians import Diagonal
from ..primitive import primitive
from ..spelling import axes_of, axis_of, public
from .elementary import maximum, minimum
from .reductions import _kept, _refuse_empty, _refuse_integers, _unrecorded, spread, totals
from .results import MinMax, ValuesIndices
from .shaping import swapaxes


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
    order = moved.argsort(-1, kind="stable")
    run = np.take_along_axis(moved, order, -1)
    place = np.broadcast_to(np.arange(moved.shape[-1]), run.shape)
    begins = np.zeros(run.shape, bool)
    begins[..., 1:] = run[..., 1:] != run[..., :-1]
    length = place - np.maximum.accumulate(np.where(begins, place, 0), axis=-1)
    # Where the longest run of equal entries ends is the last of them; of several such runs the first has the smallest.
    last = np.take_along_axis(order, length.argmax(-1)[..., None], -1)
    return np.moveaxis(last, -1, axis)


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
    parts = np.asarray(array_of(q), x.dtype)
    if not ((parts >= 0) & (parts <= 1)).all():
        raise ValueError(f"{name}: parts are within [0, 1], not {parts}")
    rounding: dict[str, Any] = {"linear": None, "midpoint": None}
    rounding.update(lower=np.floor, higher=np.ceil, nearest=np.rint)
    if interpolation not in rounding:
        raise ValueError(f"{name}: interpolation is one of {', '.join(rounding)}, not {interpolation!r}")
    ndim = x.ndim
    at = -1 if axis is None else axis_of(axis, ndim)
    x = x.reshape(-1) if axis is None or not ndim else swapaxes(x, at, -1)
    _refuse_empty(name, x, (-1,))
    array = array_of(x)
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
    if axis is not None and ndim:
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
    index = position(array_of(x), axis)
    values = np.take_along_axis(x, index, axis)
    if not keepdims:
        index = np.squeeze(index, axis)
        values = values.reshape(index.shape)
    return ValuesIndices(values, wrap(index) if isinstance(x, Variable) else index)


@public(np.argmax)
def argmax(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Where the largest entry stands, the first of equal ones: along an axis, or in the flattened array."""
    return _unrecorded(np.argmax, x, axis=axis, keepdims=keepdims)


@public(np.argmin)
def argmin(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Where the smallest entry stands, the first of equal ones: along an axis, or in the flattened array."""
    return _unrecorded(np.argmin, x, axis=axis, keepdims=keepdims)
