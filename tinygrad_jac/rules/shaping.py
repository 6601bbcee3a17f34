"""One array in another form: entries are moved, not computed with.

Every Jacobian is a selection, or the identity between two shapes; a statement finds it by moving the positions
0, 1, 2, … as the op moves the entries.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..graph import Variable, unbroadcast, wrap
from ..jacobians import Identity, Selection
from ..primitive import Primitive, functions, primitive
from ..spelling import axes_of, axis_along, axis_of, public, sizes_of

_reshape = primitive(
    "reshape", lambda x, *, shape: x.reshape(shape),
    vjp=lambda g, out, x, *, shape: g.reshape(lead_of(g, out) + x.shape),
    jacobian=lambda out, x, *, shape: Identity(x.shape, out.shape),
)
_permute: Primitive = primitive(
    "permute", lambda x, *, axes: x.transpose(with_lead(axes, x)),
    vjp=lambda g, out, x, *, axes: _permute(g, axes=_inverse(axes)),
    jacobian=lambda out, x, *, axes: Selection.of(lambda p: p.transpose(with_lead(axes, p)), x.shape),
)
_broadcast_to = primitive(
    "broadcast_to", lambda x, *, shape: np.broadcast_to(x, shape),
    vjp=lambda g, out, x, *, shape: g,  # the engine sums over what was broadcast
    jacobian=lambda out, x, *, shape: Identity(out.shape),
)
_astype = primitive(
    "astype", lambda x, *, dtype: x.astype(dtype),
    vjp=lambda g, out, x, *, dtype: g,  # the engine gives a cotangent its argument's dtype
    jacobian=lambda out, x, *, dtype: Identity(x.shape),
)
_clone = primitive(
    "clone", lambda x: x.copy(),
    vjp=lambda g, out, x: g,
    jacobian=lambda out, x: Identity(x.shape),
)
def lead_of(g: Any, out: Any) -> tuple[int, ...]:
    """The leading axes of a cotangent, those before the output's own."""
    return tuple(g.shape[: g.ndim - out.ndim])


def with_lead(axes: tuple[int, ...], x: Any) -> tuple[int, ...]:
    """An order of the last axes as an order of all: whatever axes lead stay in front."""
    return (*range(x.ndim - len(axes)), *axes)


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    """The permutation that undoes one, both counted from the end."""
    inverse = [0] * len(axes)
    for k, axis in enumerate(axes):
        inverse[axis] = k - len(axes)
    return tuple(inverse)


def each_axis(axis: Any, ndim: int) -> list[int]:
    """Axes in the order given, counted from the end; one int stands for itself."""
    axes = [axis_of(a, ndim) for a in (axis if isinstance(axis, Sequence) else (axis,))]
    if len(set(axes)) != len(axes):
        raise ValueError(f"an axis appears more than once in {tuple(axis)}")
    return axes


# ------------------------------------------------------------------------------------------------ another shape


@public(np.reshape)
def reshape(x: Any, *sizes: Any, shape: Any = None) -> Any:
    """The same entries, row-major, in another shape; one size may be -1. A view where NumPy can make one.

    Raises
    ------
    ShapeError
        The number of entries would change, or does not determine the size that is -1.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> reshape(tj.ones(2, 6), 3, -1).shape
    (3, 4)
    """
    sizes = sizes_of(sizes if shape is None else (shape,))
    try:
        return _reshape(x, shape=sizes)
    except ValueError as error:
        known = math.prod(n for n in sizes if n != -1)
        if sizes.count(-1) > 1:
            why = "only one size can be -1"
        elif -1 in sizes:
            why = f"{known} does not divide it" if known else "beside a size of 0, the one that is -1 could be anything"
        else:
            why = f"which has {known}"
        raise ShapeError(f"cannot reshape {x.shape}, {np.size(x)} entries, to {sizes}: {why}") from error


@public()
def flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    """The axes from ``start_dim`` to ``end_dim`` as one; an array without axes becomes one of a single entry.

    The array itself where there is but one axis to flatten; else a view where NumPy can make one.

    Raises
    ------
    ShapeError
        The first axis comes after the last.
    """
    if not x.ndim:
        return _reshape(x, shape=(1,))
    first, last = axis_of(start_dim, x.ndim) + x.ndim, axis_of(end_dim, x.ndim) + x.ndim
    if first > last:
        raise ShapeError(f"flatten of shape {x.shape}: start_dim {start_dim} comes after end_dim {end_dim}")
    if first == last:
        return x
    return _reshape(x, shape=x.shape[:first] + (math.prod(x.shape[first : last + 1]),) + x.shape[last + 1 :])


@public()
def ravel(x: Any) -> Any:
    """All entries as one axis, next to each other in memory: a view where they are so already, else a copy."""
    return reshape(contiguous(x), -1)


@public()
def unflatten(x: Any, axis: int, sizes: Any) -> Any:
    """One axis as several of the given sizes, of which one may be -1.

    Raises
    ------
    ShapeError
        The sizes do not multiply to the size of the axis.
    """
    at = axis_along("unflatten", x, axis)[0] + x.ndim
    sizes = sizes_of((sizes,))
    known = math.prod(n for n in sizes if n != -1)
    if sizes.count(-1) == 1 and known:
        sizes = tuple(x.shape[at] // known if n == -1 else n for n in sizes)
    if math.prod(sizes) != x.shape[at] or -1 in sizes:
        raise ShapeError(f"unflatten: axis {axis} of shape {x.shape} has size {x.shape[at]}, which is not the product "
                         f"of {sizes}")
    return _reshape(x, shape=x.shape[:at] + sizes + x.shape[at + 1 :])


@public(np.squeeze)
def squeeze(x: Any, axis: Any = None) -> Any:
    """Without the axes of size 1: all of them, or those among the axes given. Others stay as they are; a view."""
    axes = () if isinstance(axis, Sequence) and not axis else axes_of(axis, x.ndim)
    return _reshape(x, shape=tuple(n for k, n in enumerate(x.shape, -x.ndim) if n != 1 or k not in axes))


@public(np.expand_dims)
def unsqueeze(x: Any, axis: Any) -> Any:
    """With new axes of size 1 at the places that ``axis`` names in the result; a view."""
    ndim = x.ndim + (len(axis) if isinstance(axis, Sequence) else 1)
    axes = axes_of(axis, ndim)
    sizes = iter(x.shape)
    return _reshape(x, shape=tuple(1 if k in axes else next(sizes) for k in range(-ndim, 0)))


def _raised(ndim: int, x: Any) -> Any:
    # As NumPy and PyTorch do: a vector is the row of a matrix, a matrix the front of a stack of depth 1.
    shape = {0: (1,) * ndim, 1: (1,) * (ndim > 1) + x.shape + (1,) * (ndim > 2), 2: x.shape + (1,) * (ndim > 2)}
    return _reshape(x, shape=shape[x.ndim]) if x.ndim < ndim else x


def _at_least(ndim: int, arrays: tuple[Any, ...]) -> Any:
    if len(arrays) == 1 and isinstance(arrays[0], Sequence):
        arrays = tuple(arrays[0])
    made = tuple(_raised(ndim, x) for x in arrays)
    return made[0] if len(made) == 1 else made


@public(np.atleast_1d)
def atleast_1d(*arrays: Any) -> Any:
    """Each array with one axis at least."""
    return _at_least(1, arrays)


@public(np.atleast_2d)
def atleast_2d(*arrays: Any) -> Any:
    """Each array with two axes at least: a vector becomes a row."""
    return _at_least(2, arrays)


@public(np.atleast_3d)
def atleast_3d(*arrays: Any) -> Any:
    """Each array with three axes at least: (n,) becomes (1, n, 1), (m, n) becomes (m, n, 1)."""
    return _at_least(3, arrays)


# ------------------------------------------------------------------------------------------------ broadcasting


@public(np.broadcast_to)
def broadcast_to(x: Any, shape: Any) -> Any:
    """The array repeated along new axes and along axes of size 1, without a copy.

    Raises
    ------
    ShapeError
        The sizes do not fit.
    """
    sizes = sizes_of((shape,))
    try:
        return _broadcast_to(x, shape=sizes)
    except ValueError as error:
        raise ShapeError(f"shape {np.shape(x)} does not broadcast to {sizes}") from error


def expand(x: Any, *sizes: Any) -> Any:
    """As `broadcast_to`; -1 stands for the size that an axis has already.

    Raises
    ------
    ShapeError
        The sizes do not fit, or a new axis is given as -1.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> expand(tj.ones(3, 1), 2, -1, 4).shape
    (2, 3, 4)
    """
    shape = sizes_of(sizes)
    added = len(shape) - x.ndim
    if added < 0 or -1 in shape[:added]:
        raise ShapeError(f"expand: shape {x.shape} does not expand to {shape}: give a size for each axis, new ones in "
                         "front, and -1 for sizes that stay only")
    return broadcast_to(x, tuple(x.shape[k - added] if n == -1 else n for k, n in enumerate(shape)))


def expand_as(x: Any, other: Any) -> Any:
    """Broadcast to the shape of another array."""
    return broadcast_to(x, np.shape(other))


@public(np.broadcast_arrays)
def broadcast_tensors(*arrays: Any) -> tuple[Any, ...]:
    """The arrays broadcast to the one shape that they all broadcast to.

    Raises
    ------
    ShapeError
        There is none.
    """
    if len(arrays) == 1 and isinstance(arrays[0], (list, tuple)):
        arrays = tuple(arrays[0])
    shape = broadcast_shapes(*map(np.shape, arrays))
    return tuple(broadcast_to(x, shape) for x in arrays)


def sum_to_size(x: Any, *sizes: Any) -> Any:
    """Summed over what was broadcast from these sizes: the converse of `expand`.

    Raises
    ------
    ShapeError
        The sizes do not broadcast to those of ``x``.
    """
    return unbroadcast(x, sizes_of(sizes))


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """The one shape to which arrays of these shapes broadcast.

    Raises
    ------
    ShapeError
        There is none.
    """
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError as error:
        raise ShapeError(f"shapes {' and '.join(map(str, shapes))} do not broadcast to one shape") from error


# ------------------------------------------------------------------------------------------------ another order


@public()
def permute(x: Any, *axes: Any, dims: Any = None) -> Any:
    """The axes in another order, given as ints or as one sequence (reversed if none is given); a view.

    Raises
    ------
    ShapeError
        Not every axis is named once.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> permute(tj.ones(2, 3, 4), 0, -1, 1).shape
    (2, 4, 3)
    """
    given = sizes_of(axes) if axes and axes[0] is not None else dims
    if given is None:
        return _permute(x, axes=tuple(range(-1, -x.ndim - 1, -1)))
    order = tuple(axis_of(a, x.ndim) for a in given)
    if sorted(order) != list(range(-x.ndim, 0)):
        raise ShapeError(f"permute needs each of the {x.ndim} axes of shape {x.shape} once, not {tuple(given)}")
    return _permute(x, axes=order)


@public(np.swapaxes)
def swapaxes(x: Any, dim0: int, dim1: int) -> Any:
    """Two axes exchanged; a view. PyTorch's ``transpose``."""
    order = list(range(-x.ndim, 0))
    i, j = axis_of(dim0, x.ndim), axis_of(dim1, x.ndim)
    if order:  # an array without axes has a last one for PyTorch, and nothing to exchange
        order[i], order[j] = order[j], order[i]
    return _permute(x, axes=tuple(order))


@public(np.moveaxis)
def moveaxis(x: Any, source: Any, destination: Any) -> Any:
    """Axes moved to other places, the rest keeping their order; a view. PyTorch's ``movedim`` too.

    Raises
    ------
    ValueError
        The two name different numbers of axes, or an axis twice.
    """
    ndim = x.ndim
    moved, places = each_axis(source, ndim), each_axis(destination, ndim)
    if len(moved) != len(places):
        raise ValueError(f"moveaxis: {len(moved)} axes cannot be moved to {len(places)} places")
    order = [k for k in range(-ndim, 0) if k not in moved]
    for place, k in sorted(zip(places, moved, strict=True)) if ndim else ():
        order.insert(place + ndim, k)
    return _permute(x, axes=tuple(order))


@public()
def t(x: Any) -> Any:
    """The transpose of a matrix; a vector and a number as they are.

    Raises
    ------
    ShapeError
        There are more than two axes.
    """
    if x.ndim > 2:
        raise ShapeError(f"t() takes tensors of up to two axes, this one has shape {x.shape}: use transpose()")
    return permute(x)


@public()
def adjoint(x: Any) -> Any:
    """The last two axes exchanged; a view. (Of complex numbers, which are not supported here, the conjugate.)"""
    return swapaxes(x, -2, -1)


# ------------------------------------------------------------------------------------------------ copies, dtypes


@public(np.copy)
def clone(x: Any, *, memory_format: Any = None) -> Any:
    """A copy in memory of its own, through which gradients flow; ``memory_format`` is read for PyTorch's sake."""
    return _clone(x)


@public()
def detach(x: Any) -> Any:
    """The same memory, without a place in the graph."""
    return x.detach()


def contiguous(x: Any, memory_format: Any = None) -> Any:
    """The array itself if its memory is row-major, else a `clone`, which is."""
    return x if (x.array if isinstance(x, Variable) else x).flags.c_contiguous else _clone(x)


def astype(x: Any, dtype: Any) -> Any:
    """The same values in another dtype.

    Between floating-point types gradients pass, and come back in the dtype that they left; integers and bools have
    none, so the result is a constant then.
    """
    dtype = np.dtype(dtype)
    if isinstance(x, Variable) and not (dtype.kind in "fc" and x.array.dtype.kind in "fc"):
        return wrap(x.array.astype(dtype))
    return _astype(x, dtype=dtype)


# ------------------------------------------------------------------------------------------------ NumPy's names

# Functions whose parameters NumPy and PyTorch name or order differently.
functions[np.transpose] = lambda a, axes=None: permute(a, axes)
functions[np.ravel] = lambda a: ravel(a)

# What NumPy says of an array's form holds of the Tensor's.
functions[np.ndim] = lambda a: a.ndim
functions[np.shape] = lambda a: a.shape
functions[np.size] = lambda a, axis=None: a.array.size if axis is None else a.shape[axis]

# Filled arrays of a Tensor's shape and dtype: constants, as zeros are wherever a rule needs them.
functions[np.zeros_like] = lambda a, dtype=None: wrap(np.zeros(a.shape, dtype or a.dtype))
functions[np.ones_like] = lambda a, dtype=None: wrap(np.ones(a.shape, dtype or a.dtype))
functions[np.empty_like] = lambda prototype, dtype=None: wrap(np.empty(prototype.shape, dtype or prototype.dtype))
functions[np.full_like] = lambda a, fill_value, dtype=None: wrap(np.full(a.shape, fill_value, dtype or a.dtype))
