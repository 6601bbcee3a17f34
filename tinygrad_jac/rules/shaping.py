"""Moving entries without computing with them: every Jacobian is a selection, or the identity in another shape."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ShapeError
from ..jacobians import Identity, Selection
from ..primitive import functions, primitive
from ..spelling import axis_of, public, sizes_of

_reshape = primitive(
    "reshape", lambda x, *, shape: x.reshape(shape),
    vjp=lambda g, out, x, *, shape: g.reshape(lead_of(g, out) + x.shape),
    jacobian=lambda out, x, *, shape: Identity(x.shape, out.shape),
)
_permute = primitive(
    "permute", lambda x, *, axes: x.transpose(axes),
    vjp=lambda g, out, x, *, axes: np.transpose(g, _with_lead(_inverse(axes), g)),
    jacobian=lambda out, x, *, axes: Selection.of(lambda positions: positions.transpose(axes), x.shape),
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


def lead_of(g: Any, out: Any) -> tuple[int, ...]:
    """The leading axes of a cotangent, those before the output's own."""
    return tuple(g.shape[: g.ndim - out.ndim])


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    """The permutation that undoes one, both counted from the end."""
    inverse = [0] * len(axes)
    for k, axis in enumerate(axes):
        inverse[axis] = k - len(axes)
    return tuple(inverse)


def _with_lead(axes: tuple[int, ...], g: Any) -> tuple[int, ...]:
    return (*range(g.ndim - len(axes)), *axes)


@public(np.reshape)
def reshape(x: Any, *shape: Any) -> Any:
    """The same entries, row-major, in another shape; one size may be -1. A view where NumPy can make one.

    Raises
    ------
    ShapeError
        The number of entries would change.
    """
    sizes = sizes_of(shape)
    try:
        return _reshape(x, shape=sizes)
    except ValueError as error:
        raise ShapeError(f"cannot reshape {x.shape}, {np.size(x)} entries, to {sizes}") from error


@public(np.transpose)
def permute(x: Any, *axes: Any) -> Any:
    """The axes in another order (reversed if none is given); a view."""
    if not axes or axes[0] is None:
        axes = (tuple(reversed(range(x.ndim))),)
    order = tuple(axis_of(a, x.ndim) for a in sizes_of(axes))
    if sorted(order) != list(range(-x.ndim, 0)):
        raise ShapeError(f"permute needs each of the {x.ndim} axes of shape {x.shape} once, not {sizes_of(axes)}")
    return _permute(x, axes=order)


@public(np.swapaxes)
def swapaxes(x: Any, axis0: int, axis1: int) -> Any:
    """Two axes exchanged; a view. PyTorch's ``transpose``."""
    order = list(range(-x.ndim, 0))
    i, j = axis_of(axis0, x.ndim), axis_of(axis1, x.ndim)
    order[i], order[j] = order[j], order[i]
    return _permute(x, axes=tuple(order)) if x.ndim else x


@public(np.broadcast_to)
def broadcast_to(x: Any, shape: Any) -> Any:
    """The array repeated along new axes and along axes of size 1, without a copy.

    Raises
    ------
    ShapeError
    """
    sizes = sizes_of((shape,))
    try:
        return _broadcast_to(x, shape=sizes)
    except ValueError as error:
        raise ShapeError(f"shape {np.shape(x)} does not broadcast to {sizes}") from error


def astype(x: Any, dtype: Any) -> Any:
    """The same values in another dtype; gradients come back in the dtype that they left."""
    return _astype(x, dtype=np.dtype(dtype))


# What NumPy says of an array's form holds of the Tensor's.
functions[np.ndim] = lambda x: x.ndim
functions[np.shape] = lambda x: x.shape
functions[np.size] = lambda x, axis=None: x.array.size if axis is None else x.shape[axis]
