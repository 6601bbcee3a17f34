"""Functions of tensors turned into their derivatives.

Reverse mode is one walk back along the VJP rules, with a leading axis where a whole Jacobian is asked for. Forward mode
pushes tangents along the Jacobian statements, which share no code with the rules: `jacrev` and `jacfwd` of the same
function are two derivations of one matrix.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import GradientError
from ..graph import Variable, wrap
from ..jacobians.links import Link, Links
from ..jacobians.rows import Apart, combined, total
from .tracing import Trace, identity_seeds, matching, require_scalar

Function = Callable[..., Any]
Argnums = int | Sequence[int]


def grad(func: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """The gradient of a function that returns a scalar.

    Parameters
    ----------
    func : callable
        ``func(*args, **kwargs)`` returns a tensor of shape ().
    argnums : int or tuple of int
        With respect to which positional arguments; each a tensor, or a tuple, list or dict of tensors. A tuple of
        argnums gives a tuple of gradients.
    has_aux : bool
        Whether ``func`` returns ``(output, aux)``; then ``(gradient, aux)`` comes back.

    Returns
    -------
    callable
        With the arguments of ``func``; its result is nested as the argument is. Where arrays are given in place of
        tensors, arrays come back. It may be differentiated again, by any transform or by `backward`.

    Raises
    ------
    GradientError
        On a call: the result is not one scalar.
    ValueError
        On a call: ``argnums`` names arguments that are not there.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> cube = lambda x: x**3
    >>> x = tj.tensor(2.0)
    >>> grad(cube)(x), grad(grad(cube))(x), grad(grad(grad(cube)))(x)
    (tensor(12.), tensor(12.), tensor(6.))
    """
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        found, value = both(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return gradient


def grad_and_value(func: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """As `grad`, but gives ``(gradient, value)``, in PyTorch's order; with aux ``(gradient, (value, aux))``.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> grad_and_value(lambda x: (x * x).sum())(tj.tensor([1.0, 2.0]))
    (tensor([2., 4.]), tensor(5.))
    """

    @functools.wraps(func)
    def gradient_and_value(*args: Any, **kwargs: Any) -> Any:
        trace = Trace(func, args, kwargs, argnums, has_aux)
        require_scalar(trace, "grad")
        (output,) = trace.outputs
        found = trace.like_inputs(trace.pull([np.ones_like(output.array)]))
        value = trace.leave(output)
        return found, ((value, trace.leave(trace.aux)) if has_aux else value)

    return gradient_and_value


def value_and_grad(func: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """As `grad`, but gives ``(value, gradient)``; with aux ``((value, aux), gradient)``.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> value_and_grad(lambda x: (x * x).sum())(tj.tensor([1.0, 2.0]))
    (tensor(5.), tensor([2., 4.]))
    """
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func)
    def value_and_gradient(*args: Any, **kwargs: Any) -> Any:
        found, value = both(*args, **kwargs)
        return value, found

    return value_and_gradient


def vjp(func: Function, *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """The value of a function, and the function that multiplies row vectors by its Jacobian.

    Parameters
    ----------
    func : callable
    *primals : tensors, or tuples, lists and dicts of them
        All positional arguments of ``func``.
    has_aux : bool
        Whether ``func`` returns ``(output, aux)``.

    Returns
    -------
    output
    vjp_fn : callable
        ``vjp_fn(cotangents)``, nested as the output is, gives a tuple with the cotangents of each primal. It may be
        called often: the function itself ran once.
    aux
        Only with ``has_aux``.

    Raises
    ------
    ShapeError
        From ``vjp_fn``: the cotangents do not fit the output.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> value, pull = vjp(lambda x, y: x * y, tj.tensor([1.0, 2.0]), tj.tensor([3.0, 4.0]))
    >>> value
    tensor([3., 8.])
    >>> pull(tj.tensor([1.0, 10.0]))
    (tensor([ 3., 40.]), tensor([ 1., 20.]))
    """
    trace = Trace(func, primals, {}, range(len(primals)), has_aux)

    def vjp_fn(*cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None) -> Any:
        given = cotangents[0] if len(cotangents) == 1 else cotangents
        found = trace.pull(matching(given, trace.result, trace.outputs, "cotangents"), retain_graph=retain_graph)
        return trace.like_inputs(found)

    output = trace.leave(trace.result)
    return (output, vjp_fn, trace.leave(trace.aux)) if has_aux else (output, vjp_fn)


def jvp(
    func: Function, primals: Sequence[Any], tangents: Sequence[Any], *, strict: bool = False, has_aux: bool = False
) -> tuple[Any, ...]:
    """The value of a function, and the product of its Jacobian with a tangent: forward mode.

    The tangents go along the graph from old to new, multiplied by the Jacobian that each primitive states.

    Parameters
    ----------
    func : callable
    primals, tangents : tuple
        All positional arguments of ``func``, and the direction, nested and shaped alike.
    strict : bool
        Whether an output that does not depend on any input is an error; otherwise its tangent is zero.
    has_aux : bool
        Whether ``func`` returns ``(output, aux)``.

    Returns
    -------
    output, tangent
        And aux, with ``has_aux``.

    Raises
    ------
    TypeError
        Primals or tangents are not tuples.
    ShapeError
        The tangents do not fit the primals.
    GradientError
        ``strict``, and an output is independent.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> jvp(lambda x: x**2, (tj.tensor([1.0, 2.0]),), (tj.tensor([1.0, 10.0]),))
    (tensor([1., 4.]), tensor([ 2., 40.]))
    """
    for given, name in ((primals, "primals"), (tangents, "tangents")):
        if not isinstance(given, (tuple, list)) or not given:
            raise TypeError(
                f"jvp takes its {name} as a tuple, one for each argument of the function, not {given!r:.60}"
            )
    trace = Trace(func, primals, {}, range(len(primals)), has_aux)
    if strict and (unreached := trace.unreached()):
        raise GradientError(f"outputs {unreached} do not depend on any input (strict=True)")
    found = trace.push(matching(tuple(tangents), tuple(primals), trace.inputs, "tangents"))
    result = trace.leave(trace.result), trace.like_outputs(found)
    return (*result, trace.leave(trace.aux)) if has_aux else result


def linearize(func: Function, *primals: Any) -> tuple[Any, Function]:
    """The value of a function, and its derivative there as a function: `jvp` for many tangents.

    Parameters
    ----------
    func : callable
    *primals : tensors, or tuples, lists and dicts of them

    Returns
    -------
    output
    jvp_fn : callable
        ``jvp_fn(*tangents)`` gives the tangents of the output. The function ran once, and its Jacobians were stated
        once.

    Raises
    ------
    ShapeError
        From ``jvp_fn``: the tangents do not fit the primals.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> value, push = linearize(lambda x: x**2, tj.tensor([1.0, 2.0]))
    >>> push(tj.tensor([1.0, 0.0])), push(tj.tensor([0.0, 1.0]))
    (tensor([2., 0.]), tensor([0., 4.]))
    """
    trace = Trace(func, primals, {}, range(len(primals)))
    trace.links(trace.recorded)

    def jvp_fn(*tangents: Any) -> Any:
        return trace.like_outputs(trace.push(matching(tangents, primals, trace.inputs, "tangents")))

    return trace.leave(trace.result), jvp_fn


# ------------------------------------------------------------------------------------------------ whole Jacobians


def jacrev(
    func: Function,
    argnums: Argnums = 0,
    *,
    has_aux: bool = False,
    chunk_size: int | None = None,
    batched: bool = False,
    _preallocate_and_copy: bool = False,
) -> Function:
    """The Jacobian of a function, by reverse mode: one walk back with an identity matrix as cotangent.

    Parameters
    ----------
    func : callable
    argnums : int or tuple of int
        As in `grad`.
    has_aux : bool
        Whether ``func`` returns ``(output, aux)``; then ``(jacobian, aux)`` comes back.
    chunk_size : int, optional
        How many rows are pulled back at a time; all by default. It bounds the memory.
    batched : bool
        Whether the first axis of outputs and inputs counts samples that do not see each other. Then the zero blocks
        between samples are left out, and one row is pulled for each entry of one sample, not of all. That the samples
        are independent is not believed but read off the Jacobian statements.

    Returns
    -------
    callable
        With the arguments of ``func``. For an output and an input it gives a tensor of shape
        ``(*output.shape, *input.shape)``; with ``batched`` ``(samples, *output.shape[1:], *input.shape[1:])``. Several
        are nested as the outputs are, and within as the inputs.

    Raises
    ------
    GradientError
        On a call: ``batched``, and the structures do not say that samples are independent.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> jacrev(lambda x: x**2)(tj.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    >>> jacrev(lambda x: x**2, batched=True)(tj.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[[2., 0.],
             [0., 4.]],
    <BLANKLINE>
            [[6., 0.],
             [0., 8.]]])
    """

    @functools.wraps(func)
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        trace = Trace(func, args, kwargs, argnums, has_aux)
        one = _batched_rows if batched else _rows
        found = [one(trace, k, chunk_size) for k in range(len(trace.outputs))]
        result = trace.like_outputs([trace.like_inputs(blocks) for blocks in found])
        return (result, trace.leave(trace.aux)) if has_aux else result

    return jacobian


def _rows(trace: Trace, k: int, chunk_size: int | None) -> list[Any]:
    """The Jacobian of output k with respect to each input, by rows."""
    output = trace.outputs[k]
    chunks = []
    for count, seeds in identity_seeds(output, chunk_size):
        cotangents = [seeds if j == k else None for j in range(len(trace.outputs))]
        chunks.append(trace.pull(cotangents, (count,), retain_graph=True))
    return [_joined(parts).reshape(output.array.shape + t.array.shape) for t, parts in zip(trace.inputs, zip(*chunks))]


def _batched_rows(trace: Trace, k: int, chunk_size: int | None) -> list[Any]:
    output = trace.outputs[k]
    shape = output.array.shape
    inputs = [t.array.shape for t in trace.inputs]
    if not shape or any(s[:1] != shape[:1] for s in inputs):
        raise GradientError(
            f"with batched=True the first axis of outputs and inputs counts samples; the output has shape {shape}, the "
            f"inputs {inputs}"
        )
    walks, met = _each(trace, output, chunk_size)
    chunks = [[parts.get(t.node) for t in trace.inputs] for parts in walks]
    found = []
    for j, t in enumerate(trace.inputs):
        size, below = math.prod(shape[1:]), t.array.shape[1:]
        forms = [parts[j] for parts in chunks]
        parts = [rows.c for rows in forms if isinstance(rows, Apart) and rows.stride == math.prod(below)]
        if all(rows is None for rows in forms):
            rows = wrap(np.zeros((size, *t.array.shape), t.array.dtype))
        elif len(parts) == len(forms):
            rows = _joined(parts)
        else:
            raise GradientError(
                f"with batched=True no sample may depend on another, but {met[0]!r} mixes them; take jacrev without "
                "batched, or per_sample_grad for parameters"
            )
        found.append(np.moveaxis(rows, 0, 1).reshape(shape + below))
    return found


def _each(trace: Trace, output: Variable, chunk_size: int | None) -> tuple[list[dict[Any, Any]], list[Link]]:
    """For some entries of a sample at a time, what each input receives from all samples; and where samples met."""
    if output.node is None or not math.prod(output.array.shape):
        return [{}], []
    samples, size = output.array.shape[0], math.prod(output.array.shape[1:])
    links = trace.links(trace.recorded)
    if links.targets != [output.node]:
        links = Links([output.node], links.sources, trace.recorded)
    chunks = []
    for count, seeds in identity_seeds(wrap(np.empty(size, output.array.dtype)), chunk_size):
        u: Any = np.broadcast_to(seeds[:, None], (count, samples, size)).reshape(count, *output.array.shape)
        walk = links.pull_each(wrap(u) if trace.recorded else u, samples, size)
        chunks.append({node: combined(parts) for node, parts in walk})
    return chunks, links.met


def per_sample_grad(func: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """The gradient of each sample's loss with respect to parameters that all samples share.

    It gives what ``vmap(grad(loss_of_one), in_dims=(None, 0, 0))`` gives, for a function of the whole batch and in one
    walk back: as long as samples do not meet, one cotangent serves all of them, and at a parameter the gradient of each
    is kept apart (for the weight of a linear layer the outer product of its input and error signal). Where samples do
    meet, as in batch normalisation, each goes on by itself, so that the result is right there too.

    Parameters
    ----------
    func : callable
        Returns the losses, one for each sample: a tensor of shape (samples,).
    argnums : int or tuple of int
        As in `grad`.
    has_aux : bool
        Whether ``func`` returns ``(losses, aux)``; then ``(gradients, aux)`` comes back.

    Returns
    -------
    callable
        With the arguments of ``func``; for each parameter it gives a tensor of shape ``(samples, *parameter.shape)``.

    Raises
    ------
    GradientError
        On a call: the result is not one tensor with one axis.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> x = tj.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> per_sample_grad(lambda w: (x @ w) ** 2)(tj.tensor([1.0, 1.0]))
    tensor([[ 6., 12.],
            [42., 56.]])
    """

    @functools.wraps(func)
    def gradients(*args: Any, **kwargs: Any) -> Any:
        trace = Trace(func, args, kwargs, argnums, has_aux)
        if len(trace.outputs) != 1 or trace.outputs[0].array.ndim != 1:
            shapes = [t.array.shape for t in trace.outputs]
            raise GradientError(
                f"per_sample_grad takes a function that returns one loss for each sample, of shape (samples,), not "
                f"{shapes[0] if len(shapes) == 1 else shapes}; with a loss of PyTorch's names pass reduction='none'"
            )
        (output,) = trace.outputs
        (parts,), _ = _each(trace, output, None)
        found = []
        for t in trace.inputs:
            rows = total([parts[t.node]])[0] if t.node in parts else np.zeros((*output.array.shape, *t.array.shape))
            rows = rows.astype(t.array.dtype) if rows.dtype != t.array.dtype else rows
            found.append(rows if isinstance(rows, Variable) else wrap(rows))
        result = trace.like_inputs(found)
        return (result, trace.leave(trace.aux)) if has_aux else result

    return gradients


def jacfwd(
    func: Function,
    argnums: Argnums = 0,
    has_aux: bool = False,
    *,
    chunk_size: int | None = None,
    randomness: str = "error",
) -> Function:
    """The Jacobian of a function, by forward mode: the identity pushed along the Jacobian statements.

    Parameters
    ----------
    func : callable
    argnums : int or tuple of int
        As in `grad`.
    has_aux : bool
        Whether ``func`` returns ``(output, aux)``; then ``(jacobian, aux)`` comes back.
    chunk_size : int, optional
        How many columns are pushed at a time; all by default. It bounds the memory.
    randomness : str
        Accepted and ignored: the function runs once.

    Returns
    -------
    callable
        As that of `jacrev`. Cheaper than `jacrev` where there are fewer inputs than outputs.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> jacfwd(lambda x: x**2)(tj.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """

    @functools.wraps(func)
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        trace = Trace(func, args, kwargs, argnums, has_aux)
        found = []  # for each input the columns of each output
        for j, t in enumerate(trace.inputs):
            chunks = []
            for count, seeds in identity_seeds(t, chunk_size):
                chunks.append(trace.push([seeds if k == j else None for k in range(len(trace.inputs))], (count,)))
            found.append(
                [
                    np.moveaxis(_joined(parts), 0, -1).reshape(output.array.shape + t.array.shape)
                    for output, parts in zip(trace.outputs, zip(*chunks))
                ]
            )
        result = trace.like_outputs([trace.like_inputs(blocks) for blocks in zip(*found)])
        return (result, trace.leave(trace.aux)) if has_aux else result

    return jacobian


def _joined(parts: Sequence[Any]) -> Any:
    parts = [p if isinstance(p, Variable) else wrap(p) for p in parts]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=0)


def hessian(func: Function, argnums: Argnums = 0) -> Function:
    """The second derivatives: `jacfwd` of `jacrev`, forward over reverse.

    Parameters
    ----------
    func : callable
        Any number of outputs; for a scalar one this is the Hessian matrix.
    argnums : int or tuple of int
        As in `grad`; a tuple gives a tuple of tuples, with the mixed derivatives.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> hessian(lambda x: (x**3).sum())(tj.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    return jacfwd(jacrev(func, argnums), argnums)


def hvp(func: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """The product of the Hessian of a scalar function with a vector: the `jvp` of its `grad`.

    Parameters
    ----------
    func : callable
    primals, tangents : tuple
        All positional arguments of ``func``, and the direction, nested and shaped alike.

    Returns
    -------
    tensor or nesting of tensors
        For one argument; a tuple for several.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> hvp(lambda x: (x**3).sum(), (tj.tensor([1.0, 2.0]),), (tj.tensor([1.0, 1.0]),))
    tensor([ 6., 12.])
    """
    argnums = 0 if len(primals) == 1 else tuple(range(len(primals)))
    return jvp(grad(func, argnums), primals, tangents)[1]
