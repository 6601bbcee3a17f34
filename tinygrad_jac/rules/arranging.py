"""Entries of one array in another order: reversed, rolled, read off a diagonal, cut to a triangle.

As in `shaping`, every Jacobian is a selection, found by moving the positions 0, 1, 2, … as the op moves the entries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..jacobians import Selection
from ..primitive import Primitive, functions, primitive
from ..spelling import axes_of, axis_of, public
from .shaping import clone, each_axis, moveaxis, swapaxes

_flip: Primitive = primitive(
    "flip", lambda x, *, axes: np.flip(x, axes).copy(),
    vjp=lambda g, out, x, *, axes: _flip(g, axes=axes),
    jacobian=lambda out, x, *, axes: Selection.of(lambda p: np.flip(p, axes), x.shape),
)
_roll: Primitive = primitive(
    "roll", lambda x, *, shifts, axes: np.roll(x, shifts, axes),
    vjp=lambda g, out, x, *, shifts, axes: _roll(g, shifts=tuple(-s for s in shifts), axes=axes),
    jacobian=lambda out, x, *, shifts, axes: Selection.of(lambda p: np.roll(p, shifts, axes), x.shape),
)
_diagonal = primitive(
    "diagonal", lambda x, *, offset: _diagonal_view(x, offset),
    vjp=lambda g, out, x, *, offset: _diag_embed(g, offset=offset, sizes=x.shape[-2:]),
    jacobian=lambda out, x, *, offset: Selection.of(lambda p: np.diagonal(p, offset, -2, -1), x.shape),
)
_diag_embed: Primitive = primitive(
    "diag_embed", lambda x, *, offset, sizes: _on_diagonal(x, offset, sizes),
    vjp=lambda g, out, x, *, offset, sizes: _diagonal(g, offset=offset),
    jacobian=lambda out, x, *, offset, sizes: Selection.of(
        lambda p: np.diagonal(p, offset, -2, -1), out.shape).T,
)


def _triangle(name: str, function: Any) -> Any:
    """Matrices with zeros on one side of a diagonal: the same mask on the way back."""
    return primitive(
        name, lambda x, *, k: function(x, k),
        vjp=lambda g, out, x, *, k: function(g, k),
        jacobian=lambda out, x, *, k: Selection.of(lambda p: function(p + 1, k) - 1, x.shape),
    )


_tril = _triangle("tril", np.tril)
_triu = _triangle("triu", np.triu)


def _diagonal_view(x: Any, offset: int) -> Any:
    view = np.diagonal(x, offset, -2, -1)
    view.flags.writeable = x.flags.writeable  # NumPy makes this one view read-only
    return view


def _on_diagonal(x: Any, offset: int, sizes: tuple[int, int]) -> Any:
    whole = np.zeros(x.shape[:-1] + sizes, dtype=x.dtype)
    _diagonal_view(whole, offset)[...] = x
    return whole


# ------------------------------------------------------------------------------------------------ reversed, rolled


@public()
def flip(x: Any, *axes: Any, dims: Any = None) -> Any:
    """The entries in reverse order along the axes given, or along all; a copy, as in PyTorch.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> flip(tj.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
    tensor([[2., 1.],
            [4., 3.]])
    """
    given: Any = dims if not axes else axes[0] if len(axes) == 1 else axes
    if isinstance(given, Sequence) and not given:
        return clone(x)
    return _flip(x, axes=axes_of(given, x.ndim))


@public(np.fliplr)
def fliplr(x: Any) -> Any:
    """Columns in reverse order: `flip` along the second axis."""
    return flip(x, 1)


@public(np.flipud)
def flipud(x: Any) -> Any:
    """Rows in reverse order: `flip` along the first axis."""
    return flip(x, 0)


@public()
def roll(x: Any, shifts: Any, dims: Any = None) -> Any:
    """The entries moved along axes by so many places, those moved out at the end coming in at the start.

    Without axes, the flattened array is rolled.

    Raises
    ------
    ValueError
        There is not one shift for each axis.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> roll(tj.tensor([1.0, 2.0, 3.0]), 1)
    tensor([3., 1., 2.])
    """
    if dims is None:
        return roll(x.reshape(-1), shifts, 0).reshape(x.shape)
    axes = tuple(axis_of(a, x.ndim) for a in (dims if isinstance(dims, Sequence) else (dims,)))
    steps = tuple(int(s) for s in shifts) if isinstance(shifts, Sequence) else (int(shifts),) * len(axes)
    if len(steps) != len(axes):
        raise ValueError(f"roll: {len(steps)} shifts were given for {len(axes)} axes")
    return _roll(x, shifts=steps, axes=axes)


@public()
def rot90(x: Any, k: int = 1, dims: Any = (0, 1)) -> Any:
    """Turned k times by a quarter, from the first of the two axes towards the second.

    Raises
    ------
    ValueError
        There are not two different axes.
    """
    axes = each_axis(dims, x.ndim)
    if len(axes) != 2:
        raise ValueError(f"rot90 turns in the plane of two axes, not of {len(axes)}")
    if k % 4 == 2:
        return flip(x, tuple(axes))
    if k % 2 == 0:
        return clone(x)
    return swapaxes(flip(x, axes[1]), *axes) if k % 4 == 1 else flip(swapaxes(x, *axes), axes[1])


# ------------------------------------------------------------------------------------------------ diagonals, triangles


@public()
def diagonal(x: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    """The diagonal of the matrices in two axes, as a new last axis; a view.

    Parameters
    ----------
    x : array of shape (..., m, n) with the two axes anywhere
    offset : int
        Above the main diagonal if positive, below if negative.
    dim1, dim2 : int
        The rows' axis and the columns'.

    Raises
    ------
    ShapeError
        The two axes are one, or there are fewer than two.
    """
    rows, columns = _two_axes("diagonal", x.ndim, dim1, dim2)
    if (rows, columns) != (-2, -1):
        x = moveaxis(x, (rows, columns), (-2, -1))
    return _diagonal(x, offset=int(offset))


@public()
def diag_embed(x: Any, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """Matrices of zeros with the last axis on a diagonal: what `diagonal` reads off, put back.

    Raises
    ------
    ShapeError
        The two axes of the result are one, or ``x`` has no axis.
    """
    if not x.ndim:
        raise ShapeError("diag_embed puts the last axis on a diagonal, but this array has none")
    rows, columns = _two_axes("diag_embed", x.ndim + 1, dim1, dim2)
    n = x.shape[-1] + abs(int(offset))
    made = _diag_embed(x, offset=int(offset), sizes=(n, n))
    return made if (rows, columns) == (-2, -1) else moveaxis(made, (-2, -1), (rows, columns))


@public()
def diag(x: Any, diagonal: int = 0) -> Any:
    """A matrix with a vector on its diagonal, or the diagonal of a matrix; a copy (`diagonal` gives a view).

    Raises
    ------
    ShapeError
        There are neither one nor two axes.
    """
    if x.ndim not in (1, 2):
        raise ShapeError(f"diag takes a vector or a matrix, not shape {x.shape}: see diagonal and diag_embed")
    if x.ndim == 2:
        return clone(_diagonal(x, offset=int(diagonal)))
    return diag_embed(x, diagonal)


@public(np.diagflat)
def diagflat(x: Any, offset: int = 0) -> Any:
    """A matrix with all entries, in a row, on its diagonal."""
    return diag_embed(x.reshape(-1), offset)


def _two_axes(what: str, ndim: int, dim1: int, dim2: int) -> tuple[int, int]:
    if ndim < 2:
        raise ShapeError(f"{what} needs two axes at least, there is {'one' if ndim else 'none'}")
    first, second = axis_of(dim1, ndim), axis_of(dim2, ndim)
    if first == second:
        raise ShapeError(f"{what} needs two different axes, not {dim1} and {dim2} of {ndim}")
    return first, second


@public()
def tril(x: Any, diagonal: int = 0) -> Any:
    """The lower triangles of the matrices in the last two axes, up to a diagonal and with it; zeros above.

    Raises
    ------
    ShapeError
        There are fewer than two axes.
    """
    _two_axes("tril", x.ndim, -2, -1)
    return _tril(x, k=int(diagonal))


@public()
def triu(x: Any, diagonal: int = 0) -> Any:
    """The upper triangles of the matrices in the last two axes, from a diagonal on and with it; zeros below.

    Raises
    ------
    ShapeError
        There are fewer than two axes.
    """
    _two_axes("triu", x.ndim, -2, -1)
    return _triu(x, k=int(diagonal))


# ------------------------------------------------------------------------------------------------ NumPy's names

# NumPy names these functions' parameters differently.
functions[np.flip] = lambda m, axis=None: flip(m, axis)
functions[np.roll] = lambda a, shift, axis=None: roll(a, shift, axis)
functions[np.rot90] = lambda m, k=1, axes=(0, 1): rot90(m, k, axes)
functions[np.diagonal] = lambda a, offset=0, axis1=0, axis2=1: diagonal(a, offset, axis1, axis2)
functions[np.diag] = lambda v, k=0: diag(v, k)
functions[np.tril] = lambda m, k=0: tril(m, k)
functions[np.triu] = lambda m, k=0: triu(m, k)
