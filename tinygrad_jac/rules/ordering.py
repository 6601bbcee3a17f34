"""Entries in order: what is picked is differentiable, where it stood is not."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np

from ..primitive import functions
from ..spelling import axis_of, public
from .indexing import At, _index
from .joining import along
from .results import ValuesIndices
from .selecting import beside, like, plain


def _order(x: Any, axis: int, descending: bool) -> Any:
    """The positions that sort along an axis; NaN counts as the largest, equal entries keep their order."""
    array = plain(x)
    k = axis_of(axis, array.ndim)
    if not array.ndim:
        return np.zeros((), np.intp)
    if not descending:
        return array.argsort(k, kind="stable")
    return array.shape[k] - 1 - np.flip(np.flip(array, k).argsort(k, kind="stable"), k)


def _picked(x: Any, axis: int, order: Any) -> ValuesIndices:
    """The entries at positions of which none is named twice along the axis."""
    at = At(beside(order, axis_of(axis, x.ndim), order.shape), x.shape, 0, True)
    return ValuesIndices(_index(x, at=at), like(x, order))


@public()
def sort(x: Any, axis: int = -1, descending: bool = False, stable: bool = True) -> ValuesIndices:
    """The entries in order along an axis, and where each stood.

    NaN counts as the largest; equal entries keep their order, whatever ``stable`` says.

    Returns
    -------
    ValuesIndices

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> values, indices = sort(tj.tensor([3.0, 1.0, 2.0]))
    >>> values
    tensor([1., 2., 3.])
    >>> indices
    tensor([1, 2, 0])
    """
    return _picked(x, axis, _order(x, axis, descending))


@public(np.argsort)
def argsort(x: Any, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """The positions that sort along an axis: `sort`'s indices."""
    return like(x, _order(x, axis, descending))


@public()
def topk(x: Any, k: int, axis: int = -1, largest: bool = True, sorted: bool = True) -> ValuesIndices:
    """The k largest or smallest entries along an axis, in order, and where each stood.

    Raises
    ------
    ValueError
        There are fewer than k.
    """
    at = axis_of(axis, x.ndim)
    n = x.shape[at] if x.ndim else 1
    if not 0 <= k <= n:
        raise ValueError(f"topk: {k} entries were asked for along axis {axis} of shape {x.shape}, which has {n}")
    if not x.ndim:
        return _picked(x, axis, np.zeros((), np.intp))
    array = plain(x)
    # A partition finds the k in linear time; only they are sorted, equal ones by where they stand.
    among = along(at, slice(n - k, None) if largest else slice(k))
    found = np.sort(np.argpartition(array, min(n - k if largest else k, n - 1), at)[among], at)
    if 0 < k < n:
        # Of equal ones at the limit the first are taken, as by sort and argmax; a partition leaves that open.
        chosen = np.take_along_axis(array, found, at)
        limit = (np.min if largest else np.max)(chosen, at, keepdims=True)
        if ((array == limit).sum(at) != (chosen == limit).sum(at)).any():
            found = np.sort(_order(array, at, largest)[along(at, slice(k))], at)
    return _picked(x, at, np.take_along_axis(found, _order(np.take_along_axis(array, found, at), at, largest), at))


@public()
def msort(x: Any) -> Any:
    """The entries in order along the first axis."""
    return sort(x, 0).values


@public()
def unique_consecutive(
    x: Any, return_inverse: bool = False, return_counts: bool = False, axis: int | None = None
) -> Any:
    """The entries (or the slices along an axis) without those that repeat the one before; not differentiable.

    Returns
    -------
    values, or a tuple of them
        As of `unique`.
    """
    rows = plain(x).reshape(-1) if axis is None else np.moveaxis(plain(x), axis, 0)
    flat = rows.reshape(len(rows), math.prod(rows.shape[1:]))
    new = np.ones(len(rows), bool)
    new[1:] = (flat[1:] != flat[:-1]).any(-1)
    number = np.cumsum(new) - 1
    values = rows[new] if axis is None else np.moveaxis(rows[new], 0, axis)
    found = [values]
    if return_inverse:
        found.append(number.reshape(x.shape) if axis is None else number)
    if return_counts:
        found.append(np.bincount(number, minlength=0))
    return tuple(like(x, part) for part in found) if len(found) > 1 else like(x, values)


@public()
def unique(
    x: Any, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, axis: int | None = None
) -> Any:
    """The different entries in order (or the different slices along an axis); not differentiable.

    Returns
    -------
    values, or a tuple of them
        With ``return_inverse`` where each entry is among them, with ``return_counts`` how often each occurs.
    """
    return _unique(x, return_inverse=return_inverse, return_counts=return_counts, axis=axis)


def _unique(ar: Any, *flags: bool, **options: Any) -> Any:
    found = cast("Any", np.unique)(plain(ar), *flags, **options)
    return tuple(like(ar, part) for part in found) if isinstance(found, tuple) else like(ar, found)


# ------------------------------------------------------------------------------------------------ NumPy's names

functions[np.unique] = _unique
functions[np.sort] = lambda a, axis=-1: sort(a.reshape(-1), -1).values if axis is None else sort(a, axis).values
