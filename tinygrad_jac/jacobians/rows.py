"""The rows of a Jacobian for a batch of samples, in the form in which they are cheap: what `vjp_each` gives.

A parameter that all samples share receives from each sample a gradient of its own. For the weight of a linear layer
these are the outer products a ⊗ δ of the layer's input and its error signal, and n + q numbers say what n·q would.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

Array = Any


class Outer:
    """Rows that factor: the row of sample b, for each leading place, is the n by q matrix Σ_t a[b, t] ⊗ u[…, b, t].

    Parameters
    ----------
    a : array of shape (samples, terms, n)
        The same for all leading places.
    u : array of shape (*lead, samples, terms, q)
    swapped : bool
        Whether the rows are the transposed matrices, q by n.
    """

    def __init__(self, a: Array, u: Array, swapped: bool = False) -> None:
        self.a, self.u, self.swapped = a, u, swapped

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.u.dtype

    def astype(self, dtype: Any) -> Outer:
        return Outer(self.a.astype(dtype), self.u.astype(dtype), self.swapped)

    def full(self) -> Array:
        """The rows themselves, (*lead, samples, n, q), or (…, q, n) if swapped."""
        if self.swapped:
            return self.u.swapaxes(-1, -2) @ self.a
        return self.a.swapaxes(-1, -2) @ self.u

    def transposed(self) -> Outer:
        return Outer(self.a, self.u, not self.swapped)


class Apart:
    """Rows of an argument that itself is made of samples: the row of sample b is zero outside of its own part.

    Parameters
    ----------
    c : array of shape (*lead, *shape)
        For each entry of the argument its derivative by the sample that it belongs to.
    stride : int
        How far apart, in row-major order, the parts of consecutive samples begin.
    samples : int
    ndim : int
        The number of axes of the argument.
    """

    def __init__(self, c: Array, stride: int, samples: int, ndim: int) -> None:
        self.c, self.stride, self.samples, self.ndim = c, stride, samples, ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.c.dtype

    def astype(self, dtype: Any) -> Apart:
        return Apart(self.c.astype(dtype), self.stride, self.samples, self.ndim)

    def parts(self) -> Array:
        """Of each row its own part, (*lead, samples, entries)."""
        return by_sample(self.c, self.samples, self.stride, self.c.ndim - self.ndim)

    def full(self) -> Array:
        """The rows themselves, zeros included: (*lead, samples, *shape)."""
        cut = self.c.ndim - self.ndim
        lead, shape = self.c.shape[:cut], self.c.shape[cut:]
        own = owners(shape, self.stride, self.samples) == np.arange(self.samples).reshape(-1, *[1] * self.ndim)
        return self.c.reshape((*lead, 1, *shape)) * own.astype(self.c.dtype)


def owners(shape: Sequence[int], stride: int, samples: int) -> np.ndarray[Any, Any]:
    """The number of the sample that each entry of an array belongs to."""
    blocks = math.prod(shape) // (samples * stride)
    one = np.arange(samples).reshape(1, samples, 1)
    return np.broadcast_to(one, (blocks, samples, stride)).reshape(tuple(shape))


def by_sample(array: Array, samples: int, stride: int, lead: int = 0) -> Array:
    """An array, after ``lead`` axes, as (samples, entries of each)."""
    before = tuple(array.shape[:lead])
    parts = array.reshape((*before, -1, samples, stride))
    return np.moveaxis(parts, -2, lead).reshape((*before, samples, -1))


def full(rows: Any) -> Array:
    """Rows in any form as an array."""
    return rows.full() if isinstance(rows, (Outer, Apart)) else rows


def total(contributions: Sequence[Any]) -> Array:
    """The sum of rows in any form, (*lead, samples, *shape)."""
    summed = full(contributions[0])
    for rows in contributions[1:]:
        summed = summed + full(rows)
    return summed


def combined(contributions: Sequence[Any]) -> Any:
    """The sum of rows, still apart where all are: an `Apart` or an array."""
    first = contributions[0]
    if not all(isinstance(rows, Apart) and rows.stride == first.stride for rows in contributions):
        return total(contributions)
    c = first.c
    for rows in contributions[1:]:
        c = c + rows.c
    return Apart(c, first.stride, first.samples, first.ndim)


def merged(contributions: Sequence[Any]) -> Any:
    """The sum of rows in the cheapest form: `Apart`, one `Outer` with all terms, or an array (lead, samples, n)."""
    first = contributions[0]
    if all(isinstance(rows, Outer) and rows.swapped == first.swapped for rows in contributions):
        outer = first
        if len(contributions) > 1:
            a = np.concatenate([rows.a for rows in contributions], axis=-2)
            outer = Outer(a, np.concatenate([rows.u for rows in contributions], axis=-2), first.swapped)
        # Products of T terms with T terms are cheaper than the rows themselves while T² is less than about n.
        if outer.a.shape[-2] ** 2 <= max(outer.a.shape[-1], 1):
            return outer
        return _flat(outer.full())
    rows = combined(contributions)
    return rows if isinstance(rows, Apart) else _flat(rows)


def _flat(c: Array) -> Array:
    return c.reshape((*c.shape[:2], math.prod(c.shape[2:])))


def add_gram(gram: np.ndarray[Any, Any], left: Sequence[Any], right: Sequence[Any] | None = None) -> None:
    """Add to ``gram[k, b, k', b']`` the inner products of the rows (k, b) and (k', b') of one argument.

    Parameters
    ----------
    gram : ndarray of shape (lead, samples, lead', samples')
    left, right : sequence of contributions
        The rows in parts, one after another along their one leading axis; without ``right``, of the left with
        themselves.

    Notes
    -----
    Of factored rows, ⟨a ⊗ u, a' ⊗ u'⟩ = ⟨a, a'⟩ ⟨u, u'⟩: two small Gram matrices, multiplied entry by entry.
    """
    xs = [merged(part) for part in left]
    ys = xs if right is None else [merged(part) for part in right]
    kinds = {type(rows) for rows in (*xs, *ys)}
    x, y = xs[0], ys[0]
    inputs: Any = None
    if kinds == {Outer} and x.swapped == y.swapped:
        inputs = np.einsum("btn,csn->tsbc", x.a, y.a, optimize=True)  # the same for all parts
    elif kinds != {Apart} or (x.samples, x.stride) != (y.samples, y.stride):
        xs = [_flat(full(rows)) for rows in xs]
        ys = xs if right is None else [_flat(full(rows)) for rows in ys]
    starts, starts2 = (list(itertools.accumulate((_count(rows) for rows in some), initial=0)) for some in (xs, ys))
    for i, one in enumerate(xs):
        for j, two in enumerate(ys):
            if right is not None or j >= i:
                block = gram[starts[i] : starts[i + 1], :, starts2[j] : starts2[j + 1]]
                _add_products(block, one, two, inputs)
                if right is None and j > i:
                    mirrored = gram[starts[j] : starts[j + 1], :, starts[i] : starts[i + 1]]
                    mirrored[...] = block.transpose(2, 3, 0, 1)


def _count(rows: Any) -> int:
    return len(rows.u if isinstance(rows, Outer) else rows.c if isinstance(rows, Apart) else rows)


def _add_products(gram: np.ndarray[Any, Any], x: Any, y: Any, inputs: Any) -> None:
    if isinstance(x, Apart):
        every = np.arange(gram.shape[1])
        gram[:, every, :, every] += np.einsum("kbn,lbn->bkl", x.parts(), y.parts())
    elif inputs is None:
        gram += _products(x, y)
    else:
        for t, s in np.ndindex(inputs.shape[:2]):
            products = _products(x.u[:, :, t], y.u[:, :, s])
            products *= inputs[t, s][:, None, :]
            gram += products


def _products(u: Array, w: Array) -> Array:
    """⟨u[k, b], w[k', b']⟩, by one product of tall matrices."""
    one, two = (v.reshape(v.shape[0] * v.shape[1], v.shape[2]) for v in (u, w))
    return (one @ two.T).reshape(*u.shape[:2], *w.shape[:2])


def squared_norms(contributions: Sequence[Any]) -> np.ndarray[Any, Any]:
    """The squared lengths of the rows of one argument, (lead, samples)."""
    rows = merged(contributions)
    if isinstance(rows, Outer):
        inputs, signals = rows.a @ rows.a.swapaxes(-1, -2), rows.u @ rows.u.swapaxes(-1, -2)
        squares: np.ndarray[Any, Any] = np.einsum("bts,kbts->kb", inputs, signals)
        return squares
    c = rows.parts() if isinstance(rows, Apart) else rows
    return np.einsum("kbn,kbn->kb", c, c)
