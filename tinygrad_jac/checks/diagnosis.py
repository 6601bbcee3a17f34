"""What kind of mistake makes a derivative wrong: the hypotheses that fit two Jacobians that disagree."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]
CLOSE = 1e-5  # how well a hypothesis must fit: better than chance, worse than the check's own tolerance


def diagnose(
    stated: Floats, found: Floats, wrong: np.ndarray[Any, Any], out_shape: tuple[int, ...], in_shape: tuple[int, ...]
) -> str | None:
    """One sentence on what is the matter with a Jacobian, or None.

    Parameters
    ----------
    stated, found : ndarray of shape (m, n)
        The Jacobian under test, and what it should be. Where the matrices are too large to be held, both may be the
        wrong entries alone, as (1, k).
    wrong : bool ndarray of the same shape
        Which entries disagree.
    out_shape, in_shape : tuple of int
        What the rows and the columns are, row-major; ``(m,)`` and ``(n,)`` if nothing more is known.

    Examples
    --------
    >>> import numpy as np
    >>> J = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> diagnose(-J, J, np.full((2, 2), True), (2,), (2,))
    'the sign: it is the negative of the derivative'
    """
    a, b = stated[wrong], found[wrong]
    if not a.size:
        return None
    if not np.isfinite(a).all():
        what = "NaN" if np.isnan(a).any() else "infinite"
        return f"{what} where the derivative is finite: a 0 * inf or 0 / 0 inside of a rule"
    if not np.isfinite(b).all():
        return "the derivative is infinite here, or does not exist, and the gradient is finite"
    if not a.any():
        return _one_of_many(stated, found, out_shape) or (
            "detached: it is zero, and the function does change (detach(), no_grad(), numpy(), a rule that gives zeros)"
        )
    if _fits(a, -b):
        return "the sign: it is the negative of the derivative"
    ratio = _factor(a, b)
    transposition = None
    if stated.shape == (math.prod(out_shape), math.prod(in_shape)):
        transposition = _transposed(stated, found, out_shape, in_shape)
    if transposition:
        return transposition
    if ratio is not None:
        return _about_factor(ratio, out_shape, in_shape)
    several = _one_of_many(stated, found, out_shape)
    if several:
        return several
    if (np.abs(a - b) <= 3e-6 * np.abs(b)).all():
        return "it is right to seven digits only: something in it is computed in float32"
    return None


def _fits(a: Floats, b: Floats) -> bool:
    """Whether two arrays agree, entry by entry."""
    return a.shape == b.shape and bool((np.abs(a - b) <= CLOSE * (np.abs(b) + 1e-6 * np.abs(b).max(initial=0.0))).all())


def _factor(a: Floats, b: Floats) -> float | None:
    """The constant c in a = c b, where there is one that explains the difference."""
    if not b.all():
        return None
    ratios = a / b
    c = float(np.median(ratios))
    if a.size == 1 and min(abs(c - round(c)), abs(1 / c - round(1 / c))) > CLOSE:
        return None  # one entry has always some ratio
    return c if (np.abs(ratios - c) <= min(CLOSE, 0.01 * abs(c - 1)) * max(abs(c), 1e-3)).all() else None


def _about_factor(c: float, out_shape: tuple[int, ...], in_shape: tuple[int, ...]) -> str:
    """What a factor may come from: the size of an axis that was summed once too often, or averaged, or not summed."""
    text = f"a constant factor: it is {c:.7g} times the derivative"
    for shape, what in ((out_shape, "the output"), (in_shape, "the input")):
        for axis, n in enumerate(shape):
            if n > 2 and abs(c * n - 1) < CLOSE:
                return f"{text}, 1/{n}: a missing sum over axis {axis} of {what}, whose size is {n}, or a mean for it"
            if n > 2 and abs(c / n - 1) < CLOSE:
                return f"{text}, the size of axis {axis} of {what}: a sum over that axis too many, or for a mean"
    if abs(c - 2) < CLOSE or abs(c - 0.5) < CLOSE:
        text += ": a term counted twice" if c > 1 else ": a term missing, of an input that is used twice"
    return text


def _one_of_many(stated: Floats, found: Floats, out_shape: tuple[int, ...]) -> str | None:
    """Right for one place along an output axis and zero for the others: one entry was taken for the sum of all."""
    if stated.shape[0] != math.prod(out_shape):
        return None
    a, b = (x.reshape(*out_shape, -1) for x in (stated, found))
    for axis, n in enumerate(out_shape):
        for place in (0, n - 1) if n > 1 else ():
            rest = np.delete(np.arange(n), place)
            taken, right = a.take([place], axis), b.take([place], axis)
            if taken.any() and not a.take(rest, axis).any() and _fits(taken, right):
                return (
                    f"a missing sum over broadcast axis {axis} of the output, of size {n}: only its entries at {place} "
                    "are taken"
                )
    return None


def _transposed(stated: Floats, found: Floats, out_shape: tuple[int, ...], in_shape: tuple[int, ...]) -> str | None:
    """Right once two axes of the input or of the output, or the matrix's own, are exchanged."""
    m, n = stated.shape
    if _fits(stated, found):  # nearly right as it is, whatever else fits as well
        return None
    for order, (i, j) in _exchanges(in_shape):
        if _fits(stated[:, order], found):
            return f"transposed: right once axes {i} and {j} of the input are exchanged"
    for order, (i, j) in _exchanges(out_shape):
        if _fits(stated[order], found):
            return f"transposed: right once axes {i} and {j} of the output are exchanged"
    if m == n and _fits(stated.T, found):
        return "transposed: it is the transpose of the Jacobian"
    return None


def _exchanges(shape: tuple[int, ...]) -> Iterator[tuple[np.ndarray[Any, Any], tuple[int, int]]]:
    """For each two axes the order of entries that a transposition without a word leaves behind."""
    for i, j in itertools.combinations(range(len(shape)), 2):
        swapped = list(shape)
        swapped[i], swapped[j] = shape[j], shape[i]
        if min(shape[i], shape[j]) > 1:
            order = np.arange(math.prod(shape)).reshape(swapped).swapaxes(i, j).reshape(-1)
            yield order, (i, j)
            if shape[i] != shape[j]:
                yield np.argsort(order), (i, j)
