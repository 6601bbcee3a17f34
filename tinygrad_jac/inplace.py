"""In-place changes of Tensors: recorded where a gradient depends on them, refused where it would be wrong."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import GradientError, ShapeError
from .graph import Leaf, Variable, wrap
from .modes import mode
from .primitive import Primitive
from .versions import mark_changed


def apply_in_place(target: Any, primitive: Primitive, *operands: Any, **params: Any) -> Any:
    """``target = primitive(target, *operands)``, written into the memory that ``target`` and its views share.

    While recording, the target takes the result's place in the graph, and tensors that share its memory are refused
    from then on where their own place no longer agrees with the values (`graph.check_current`).

    Raises
    ------
    GradientError
        The target is a leaf that requires a gradient, and recording is on.
    ShapeError
        The result does not have the target's shape.
    TypeError
        The result does not fit the target's dtype (a float into integers).
    ValueError
        The target's memory is read-only or belongs to several of its entries, as after ``expand``.
    """
    array = target.array
    if not array.flags.writeable:
        raise ValueError(
            f"a tensor of shape {array.shape} cannot be changed in place: its memory is read-only or shared between "
            "its own entries (as after expand); change a clone()"
        )
    tracked = target.node is not None or any(isinstance(o, Variable) and o.node is not None for o in operands)
    if not (mode.recording and tracked):
        values = [o.array if isinstance(o, Variable) else o for o in operands]
        _write(array, primitive.forward(array, *values, **params), primitive.name)
        mark_changed(array)
        return target
    if isinstance(target.node, Leaf):
        raise GradientError(
            f"a leaf tensor of shape {array.shape} that requires a gradient was to be changed in place by "
            f"'{primitive.name}': its gradient would refer to values that are gone; do it inside no_grad(), or on a "
            "clone()"
        )
    result = primitive(wrap(array.copy(), target.node), *operands, **params)
    _write(array, result.array, primitive.name)
    mark_changed(array, recorded_at=result.node.order)
    target.node = result.node
    return target


def _write(array: np.ndarray[Any, Any], values: Any, name: str) -> None:
    if np.shape(values) != array.shape:
        raise ShapeError(
            f"'{name}' in place: the result has shape {np.shape(values)}, the tensor {array.shape}; it cannot grow"
        )
    found = np.asarray(values).dtype
    if found.kind != array.dtype.kind and not np.can_cast(found, array.dtype, casting="same_kind"):
        raise TypeError(f"'{name}' in place: a result of dtype {found} does not fit a tensor of dtype {array.dtype}")
    np.copyto(array, values, casting="same_kind")
