"""Writing into memory that is there: what in-place changes and ``out=`` share."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import GradientError, ShapeError
from .graph import Variable, array_of
from .modes import mode
from .versions import mark_changed


def check_writeable(array: np.ndarray[Any, Any]) -> None:
    """Raise where an array cannot be written to."""
    if not array.flags.writeable:
        raise ValueError(
            f"a tensor of shape {array.shape} cannot be changed in place: its memory is read-only or shared between "
            "its own entries (as after expand); change a clone()"
        )


def write(array: np.ndarray[Any, Any], values: np.ndarray[Any, Any], what: str) -> None:
    """Values into an array of their shape, whose dtype holds their kind of number."""
    if values.shape != array.shape:
        raise ShapeError(f"{what}: the result has shape {values.shape}, the tensor {array.shape}; it cannot grow")
    if not np.can_cast(values.dtype, array.dtype, casting="same_kind"):
        raise TypeError(f"{what}: a result of dtype {values.dtype} does not fit a tensor of dtype {array.dtype}")
    np.copyto(array, values, casting="same_kind")


def put(array: np.ndarray[Any, Any], index: tuple[Any, ...], value: Any) -> None:
    """``array[index] = value``, where a value may have more axes than it fills if their size is 1."""
    # Without an Ellipsis, NumPy lets an index that names one entry take a number only, and not an array of one.
    whole = index if any(entry is Ellipsis for entry in index) else (*index, Ellipsis)
    try:
        array[whole] = value
    except ValueError as error:
        raise ShapeError(
            f"a value of shape {np.shape(value)} does not fit the shape {array[index].shape} that the index selects "
            f"from {array.shape}"
        ) from error


def deliver(out: Any, result: Any) -> Any:
    """``out=``: a result, or several, written into tensors that are there, which are returned.

    A tensor without entries takes the shape of the result. ``out=None`` stands for none.

    Raises
    ------
    GradientError
        A gradient is required of the result, or ``out`` requires one: neither would know of the other.
    ShapeError, TypeError, ValueError
        ``out`` does not have the shape of the result, its dtype does not hold it, or it cannot be written to.
    """
    if out is None:
        return result
    if isinstance(result, tuple):
        if not isinstance(out, (tuple, list)) or len(out) != len(result):
            raise TypeError(f"out= takes as many tensors as there are results, {len(result)}")
        made = [deliver(o, r) for o, r in zip(out, result, strict=True)]
        return type(result)(*made) if hasattr(result, "_fields") else tuple(made)
    if not isinstance(out, Variable):
        raise TypeError(f"out= takes a Tensor, not {type(out).__name__}")
    if getattr(result, "node", None) is not None or (out.node is not None and mode.recording):
        raise GradientError(
            "out= has no gradient, but an argument, or the tensor to be written to, requires one: assign the result "
            "(y = f(x)), or compute inside no_grad()"
        )
    values = np.asarray(array_of(result))
    if not out.array.size and values.size:
        out.array = np.empty(values.shape, out.array.dtype)
    check_writeable(out.array)
    write(out.array, values, "out=")
    mark_changed(out.array)
    return out
