"""In-place changes of Tensors: recorded where a gradient depends on them, refused where it would be wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .errors import GradientError
from .graph import Leaf, Variable, array_of, check_current, wrap
from .modes import mode
from .primitive import Primitive
from .versions import alone, mark_changed, owner_of, rewritten
from .writing import check_writeable, put, write


def in_place(function: Callable[..., Any]) -> Callable[..., Any]:
    """The method that changes a Tensor to what ``function`` makes of it: ``mul_`` from ``mul``."""

    def method(self: Any, *operands: Any, **params: Any) -> Any:
        return apply_in_place(self, function, *operands, **params)

    method.__name__ = method.__qualname__ = f"{function.__name__}_"
    method.__doc__ = f"`{function.__name__}`, written into this tensor's memory."
    return method


def apply_in_place(target: Any, function: Callable[..., Any], *operands: Any, **params: Any) -> Any:
    """``target = function(target, *operands)``, written into the memory that ``target`` and its views share.

    While recording, the target takes the result's place in the graph, and tensors that share its memory are refused
    from then on where their own place no longer agrees with the values (`graph.check_current`).

    Raises
    ------
    GradientError
        The target is a leaf that requires a gradient, and recording is on; or something was written into its memory
        through a view of it, or through what it is a view of, so that its place in the graph no longer holds.
    ShapeError
        The result does not have the target's shape.
    TypeError
        The result does not fit the target's dtype (a float into integers).
    ValueError
        The target's memory is read-only or belongs to several of its entries, as after ``expand``.
    """
    if is_recorded(target, *operands, *params.values()):
        check_current((target, *operands, *params.values()))
        return _record(target, function, operands, params)
    array = target.array
    check_writeable(array)
    if params or not _ufunc_into(array, function, operands):
        write(array, function(wrap(array), *operands, **params).array, f"'{function.__name__}' in place")
    mark_changed(array)
    return target


def _record(target: Any, function: Callable[..., Any], operands: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """A change of a Tensor that takes the result's place in the graph."""
    name = function.__name__
    _check_history(target, name)
    array = target.array
    check_writeable(array)
    operands = tuple(_apart(o, array) for o in operands)
    params = {key: _apart(value, array) for key, value in params.items()}
    result = function(wrap(array.copy(), target.node), *operands, **params)
    write(array, result.array, f"'{name}' in place")
    if result.node is not None:
        mark_changed(array, recorded_at=result.node.order)
        _move_retained(target.node, result.node)
    else:  # integers carry no gradient
        mark_changed(array)
    target.node = result.node
    return target


def set_items(target: Any, index: Any, value: Any, setitem: Callable[..., Any]) -> None:
    """``target[index] = value``; ``setitem(x, value, index=…)`` is what it means where it is recorded.

    Raises
    ------
    GradientError, ShapeError, TypeError, ValueError
        As `apply_in_place`.
    """
    if is_recorded(target, value):
        check_current((value,) if _is_put_back(target, index, value) else (target, value))
        _record(target, setitem, (value,), {"index": index})
        return
    check_writeable(target.array)
    put(target.array, index, array_of(value))
    mark_changed(target.array)


def is_recorded(*variables: Any) -> bool:
    """Whether an op on these would be recorded now."""
    return mode.recording and any(isinstance(v, Variable) and v.node is not None for v in variables)


def _is_put_back(target: Any, index: Any, value: Any) -> bool:
    """Whether this ends an ``x[i] += v``: of ``x`` only ``x[i]`` was rewritten, and that is what is written now."""
    node = getattr(value, "node", None)
    if node is None or rewritten.get(id(owner_of(target.array))) != node.order:
        return False
    there, value = target.array[index].__array_interface__, value.array.__array_interface__
    return all(there[key] == value[key] for key in ("data", "shape", "strides"))


def _apart(operand: Any, array: np.ndarray[Any, Any]) -> Any:
    """An operand whose values stay what they are while ``array`` is written to."""
    if isinstance(operand, Variable) and np.may_share_memory(operand.array, array):
        return wrap(operand.array.copy(), operand.node)
    return operand


def _check_history(target: Any, name: str) -> None:
    """Refuse to record a change that some other tensor would show in its values, but not in its gradient."""
    node, array = target.node, target.array
    if node is None and not alone(array, held=2):
        raise GradientError(
            f"'{name}' would write values that depend on a gradient into memory of shape {array.shape} that "
            "another tensor or array shows as well, which would not know of it: write to the whole tensor at once "
            "(out[0, 1] = v, not out[0][1] = v), before views of it are taken"
        )
    # A view may be one of a leaf: look through the ops that it went through. What owns its memory is no view, so that
    # a long chain of ops changed in place is not followed at every step; but an op may have returned the leaf's array.
    while node is not None and node.primitive is not None and len(node.parents) == 1:
        if array.base is None and not isinstance(node.parents[0], Leaf):
            break
        node = node.parents[0]
    if isinstance(node, Leaf):
        owner = node.owner()
        if owner is not None and owner_of(owner.array) is owner_of(array):
            refuse_leaf(owner, name)


def _move_retained(before: Any, after: Any) -> None:
    """``retain_grad`` is about a tensor, whatever node it has by now."""
    if before is not None and before.extras is not None and "retain" in before.extras:
        after.extras = {"retain": before.extras.pop("retain")}


def refuse_leaf(target: Any, name: str) -> None:
    """Raise where a leaf that requires a gradient would be changed while recording."""
    if isinstance(target.node, Leaf):
        raise GradientError(
            f"a leaf tensor of shape {target.array.shape} that requires a gradient was to be changed in place by "
            f"'{name}': its gradient would refer to values that are gone; do it inside no_grad(), or on a clone()"
        )


def _ufunc_into(array: np.ndarray[Any, Any], function: Any, operands: tuple[Any, ...]) -> bool:
    """Let a ufunc write straight into the array where it can: no temporary of its size."""
    forward = function.forward if isinstance(function, Primitive) else None
    if not isinstance(forward, np.ufunc) or array.dtype.kind != "f":
        return False
    values = [array_of(o) for o in operands]
    try:
        if any(np.shape(v) and np.broadcast_shapes(np.shape(v), array.shape) != array.shape for v in values):
            return False
    except ValueError:  # the function itself names the shapes that do not broadcast
        return False
    forward(array, *values, out=array, casting="same_kind")
    return True
