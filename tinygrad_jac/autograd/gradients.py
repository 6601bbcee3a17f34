"""`backward` and `grad`: cotangents of Tensors, pulled back through the graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import GradientError, ShapeError
from ..graph import Leaf, Node, Variable, check_current, walk_back, wrap
from ..modes import mode
from ..primitive import ufuncs
from ..versions import mark_changed, rewritten


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Add the gradient of ``tensors`` to the ``.grad`` of the leaves that they were computed from.

    Parameters
    ----------
    tensors : Tensor or sequence of Tensor
    grad_tensors : Tensor, array or a sequence of them, optional
        The cotangent of each tensor, of its shape; 1 for a scalar if left out.
    retain_graph : bool, optional
        Keep what the graph saved, for another `backward`; as ``create_graph`` by default.
    create_graph : bool
        Record the computation of the gradient itself, for higher derivatives.
    inputs : Tensor or sequence of Tensor, optional
        Only these receive a gradient.

    Raises
    ------
    GradientError
        Nothing requires a gradient, a tensor is not a scalar and has no cotangent, or the graph was released or changed
        in place.
    ShapeError
        A cotangent does not have its tensor's shape.
    """
    roots = _roots(_listed(tensors), _listed(grad_tensors), create_graph)
    wanted = None
    if inputs is not None:
        if not _listed(inputs):
            raise GradientError("inputs= is empty: name the tensors that should receive a gradient, or leave it out")
        wanted = [_node_of(t, "inputs") for t in _listed(inputs)]
    keep = create_graph if retain_graph is None else retain_graph
    found = walk_back(roots, wanted, retain_graph=keep, create_graph=create_graph)
    before, mode.recording = mode.recording, create_graph
    try:
        for node, cotangent in found.items():
            if isinstance(node, Leaf):
                owner = node.owner()
                if owner is not None and owner.node is None:
                    continue  # no more, since this graph was recorded
            else:
                owner = next((t for t in _listed(inputs) if t.node is node and not t.retains_grad), None)
            if owner is not None:
                accumulate(owner, cotangent)
                if node.extras is not None:
                    for hook in [*node.extras.get("accumulated", {}).values()]:
                        hook(owner)
    finally:
        mode.recording = before


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """The gradients of ``outputs`` with respect to ``inputs``, returned and not accumulated.

    Parameters
    ----------
    outputs, inputs : Tensor or sequence of Tensor
    grad_outputs : Tensor, array or a sequence of them, optional
        The cotangent of each output; 1 for a scalar if left out.
    retain_graph, create_graph : bool
        As in `backward`.
    only_inputs : bool
        Accepted, for scripts that say so: gradients are never accumulated in other leaves.
    allow_unused : bool, optional
        Give None for an input that the outputs do not depend on, instead of an error.
    is_grads_batched : bool
        ``grad_outputs`` carry one leading axis, and so do the gradients: one walk for all of them.
    materialize_grads : bool
        Zeros in the place of None.

    Returns
    -------
    tuple of Tensor
        One for each input, of its shape and dtype.

    Raises
    ------
    GradientError
        As `backward`, and for an input that the outputs do not depend on.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> x = tj.tensor([1.0, 2.0], requires_grad=True)
    >>> (g,) = tj.autograd.grad((x**3).sum(), x, create_graph=True)
    >>> g
    tensor([ 3., 12.], grad_fn=<mul>)
    >>> tj.autograd.grad(g.sum(), x)
    (tensor([ 6., 12.]),)
    """
    sources = _listed(inputs)
    nodes = [_node_of(t, "inputs") for t in sources]
    roots = _roots(_listed(outputs), _listed(grad_outputs), create_graph, batched=is_grads_batched)
    keep = create_graph if retain_graph is None else retain_graph
    found = walk_back(roots, nodes, retain_graph=keep, create_graph=create_graph)
    unused = [k for k, node in enumerate(nodes) if node not in found]
    if unused and not (allow_unused or materialize_grads):
        raise GradientError(
            f"the outputs do not depend on inputs {unused} (shapes {[sources[k].shape for k in unused]}); "
            "pass allow_unused=True to get None for them, or materialize_grads=True for zeros"
        )
    result = []
    for t, node in zip(sources, nodes, strict=True):
        c = found.get(node)
        if c is None:
            result.append(wrap(np.zeros_like(t.array)) if materialize_grads else None)
        else:
            result.append(c if isinstance(c, Variable) else wrap(np.asarray(c)))
    return tuple(result)


def accumulate(tensor: Variable, cotangent: Any) -> None:
    """Add a cotangent to ``tensor.grad``; an array that nothing else holds, or a Tensor, which is copied."""
    earlier = tensor._grad  # not the attribute, which is for users and asks whether what it is given fits
    if isinstance(cotangent, Variable):
        tensor._grad = ufuncs[np.positive](cotangent) if earlier is None else earlier + cotangent
    elif earlier is None:
        tensor._grad = wrap(cotangent)
    elif earlier.node is not None or not earlier.array.flags.writeable:
        tensor._grad = wrap(earlier.array + cotangent)
    else:
        earlier.array += cotangent
        mark_changed(earlier.array)


def _roots(tensors: list[Any], cotangents: list[Any], create_graph: bool, batched: bool = False) -> list[Any]:
    """The nodes that a walk starts from, with their cotangents: arrays that a leaf may keep, or Tensors."""
    if cotangents and len(cotangents) != len(tensors):
        raise ShapeError(
            f"{len(tensors)} tensors need as many cotangents, not {len(cotangents)}; one is a Tensor or an array"
        )
    if rewritten:
        check_current(tensors)
    roots = []
    for t, g in zip(tensors, cotangents or [None] * len(tensors)):
        node = _node_of(t, "the tensor to differentiate")
        array = t.array
        if g is None:
            if array.size != 1:
                raise GradientError(
                    f"backward() of a tensor of shape {array.shape} needs its cotangent: pass gradient= of that "
                    "shape, or reduce the tensor to a scalar (.sum(), .mean())"
                )
            g = np.array(1, array.dtype).reshape(array.shape)
            roots.append((node, wrap(g) if create_graph else g))
            continue
        if not isinstance(g, Variable):
            g = np.asarray(g, dtype=array.dtype)
        elif g.array.dtype != array.dtype:
            g = g.astype(array.dtype)  # type: ignore[attr-defined]
        if (g.shape[1:] if batched else g.shape) != array.shape:
            raise ShapeError(
                f"the cotangent has shape {g.shape}, the tensor {array.shape}; they must agree"
                + (" after the leading axis" if batched else "")
            )
        if create_graph:
            roots.append((node, g if isinstance(g, Variable) else wrap(g)))
        else:
            roots.append((node, np.array(g.array if isinstance(g, Variable) else g)))
    return roots


def _node_of(tensor: Any, what: str) -> Node:
    if not isinstance(tensor, Variable):
        raise TypeError(f"{what} must be Tensors, not {type(tensor).__name__}")
    if tensor.node is None:
        hint = (
            "integers have no gradient: make it a floating-point tensor"
            if tensor.array.dtype.kind not in "fc"
            else "create the tensors it is computed from with requires_grad=True, outside of no_grad()"
        )
        raise GradientError(
            f"{what}, of shape {tensor.array.shape} and dtype {tensor.array.dtype}, does not require a gradient: {hint}"
        )
    return tensor.node


def _listed(given: Any) -> list[Any]:
    if given is None:
        return []
    return [given] if isinstance(given, Variable) or not isinstance(given, Sequence) else list(given)
