"""PyTorch's ``torch.autograd.functional``: derivatives of functions at given inputs.

`tinygrad_jac.func` has the same as transforms of functions; these are calls of those with PyTorch's older arguments.
Inputs are one Tensor or a tuple of them, and so are outputs; results are nested as both are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import func as transforms
from ..errors import GradientError, ShapeError
from ..func.tracing import Trace
from ..graph import Variable, nodes_between, wrap
from ..modes import no_grad


def jacobian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The Jacobian of a function at some inputs.

    Parameters
    ----------
    func : callable
        Takes the inputs as positional arguments; returns a Tensor or a tuple of Tensors.
    inputs : Tensor or tuple of Tensor
    create_graph : bool
        Whether the result may be differentiated again, with respect to inputs that require gradients.
    strict : bool
        Whether an output that does not depend on an input is an error; otherwise that block is zero.
    vectorize : bool
        Accepted and ignored: all rows come in one walk anyway.
    strategy : {"reverse-mode", "forward-mode"}
        Along the VJP rules, or along the Jacobian statements.

    Returns
    -------
    Tensor or tuple
        Of shape ``(*output.shape, *input.shape)``; a tuple for several outputs, within it a tuple for several inputs.

    Raises
    ------
    GradientError
        ``strict``, and an output does not depend on an input.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac.autograd.functional import jacobian
    >>> jacobian(lambda x, y: x * y, (tj.tensor([1.0, 2.0]), tj.tensor(3.0)))
    (tensor([[3., 0.],
            [0., 3.]]), tensor([1., 2.]))
    """
    transform = _strategy(strategy, "strategy")
    given = _tuple(inputs, "inputs")
    if strict:
        _check_dependent(func, given)
    with _graph(create_graph):
        return transform(func, argnums=_argnums(inputs))(*given)


def hessian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The Hessian of a function that returns one number.

    Parameters
    ----------
    func, inputs, create_graph, strict, vectorize
        As in `jacobian`; ``func`` returns a Tensor of one entry.
    outer_jacobian_strategy : {"reverse-mode", "forward-mode"}
        How the gradient is differentiated.

    Returns
    -------
    Tensor or tuple of tuples
        For inputs i and j a Tensor of shape ``(*inputs[i].shape, *inputs[j].shape)``.

    Raises
    ------
    GradientError
        ``func`` returns something else than one number; or ``strict``, and it or its gradient does not depend on an
        input.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac.autograd.functional import hessian
    >>> hessian(lambda x: (x**3).sum(), tj.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    transform = _strategy(outer_jacobian_strategy, "outer_jacobian_strategy")
    given, gradient = _tuple(inputs, "inputs"), transforms.grad(_one_number(func), _argnums(inputs))
    if strict:
        _check_dependent(func, given)
        _check_dependent(gradient, given)
    with _graph(create_graph):
        return transform(gradient, argnums=_argnums(inputs))(*given)


def vjp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The value of a function, and the product of a row vector with its Jacobian.

    Parameters
    ----------
    func, inputs, create_graph, strict
        As in `jacobian`.
    v : Tensor or tuple of Tensor
        Of the shapes of the outputs; 1 for a single output of one entry if left out.

    Returns
    -------
    output
        What ``func`` returns.
    product
        Of the shapes of the inputs.

    Raises
    ------
    ShapeError
        ``v`` does not fit the outputs.
    GradientError
        ``v`` is left out where the output is not one number; or ``strict``, and an output is independent.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac.autograd.functional import vjp
    >>> vjp(lambda x: x**2, tj.tensor([1.0, 2.0]), tj.tensor([1.0, 10.0]))
    (tensor([1., 4.]), tensor([ 2., 40.]))
    """
    given = _tuple(inputs, "inputs")
    if strict:
        _check_dependent(func, given)
    with _graph(create_graph):
        output, pull = transforms.vjp(func, *given)
        return output, _as(inputs, pull(_vector(v, output, "the output")))


def jvp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The value of a function, and the product of its Jacobian with a vector: one forward walk.

    Parameters
    ----------
    func, inputs, create_graph, strict
        As in `jacobian`.
    v : Tensor or tuple of Tensor
        Of the shapes of the inputs; 1 for a single input of one entry if left out.

    Returns
    -------
    output
        What ``func`` returns.
    product
        Of the shapes of the outputs.

    Raises
    ------
    ShapeError
        ``v`` does not fit the inputs.
    GradientError
        ``v`` is left out where the input is not one number; or ``strict``, and an output is independent.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac.autograd.functional import jvp
    >>> jvp(lambda x: x**2, tj.tensor([1.0, 2.0]), tj.tensor([1.0, 10.0]))
    (tensor([1., 4.]), tensor([ 2., 40.]))
    """
    given = _tuple(inputs, "inputs")
    tangents = _tuple(_vector(v, inputs, "the input"), "v")
    if strict:
        _check_dependent(func, given)
    with _graph(create_graph):
        output, product = transforms.jvp(func, given, tangents)
        return output, product


def vhp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The value of a function that returns one number, and the product of a row vector with its Hessian.

    The arguments are those of `hvp`. It runs back twice, where `hvp` runs back and then forward.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac.autograd.functional import vhp
    >>> vhp(lambda x: (x**3).sum(), tj.tensor([1.0, 2.0]), tj.tensor([1.0, 1.0]))
    (tensor(9.), tensor([ 6., 12.]))
    """
    return _second(func, inputs, v, create_graph, strict, forward=False)


def hvp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The value of a function that returns one number, and the product of its Hessian with a vector.

    Parameters
    ----------
    func, inputs, create_graph, strict
        As in `hessian`.
    v : Tensor or tuple of Tensor
        Of the shapes of the inputs; 1 for a single input of one entry if left out.

    Returns
    -------
    output
        What ``func`` returns.
    product
        Of the shapes of the inputs.

    Raises
    ------
    ShapeError
        ``v`` does not fit the inputs.
    GradientError
        ``func`` returns something else than one number.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac.autograd.functional import hvp
    >>> hvp(lambda x: (x**3).sum(), tj.tensor([1.0, 2.0]), tj.tensor([1.0, 1.0]))
    (tensor(9.), tensor([ 6., 12.]))
    """
    return _second(func, inputs, v, create_graph, strict, forward=True)


def _second(
    func: Callable[..., Any], inputs: Any, v: Any, create_graph: bool, strict: bool, forward: bool
) -> tuple[Any, Any]:
    given = _tuple(inputs, "inputs")
    vectors = _tuple(_vector(v, inputs, "the input"), "v")
    pair = transforms.grad_and_value(_one_number(func, keep=True), tuple(range(len(given))), has_aux=True)

    def gradient(*xs: Any) -> Any:
        found, (_, output) = pair(*xs)
        return found, output

    if strict:
        _check_dependent(func, given)
        _check_dependent(lambda *xs: gradient(*xs)[0], given)
    with _graph(create_graph):
        if forward:
            _, product, output = transforms.jvp(gradient, given, vectors, has_aux=True)
        else:
            _, pull, output = transforms.vjp(gradient, *given, has_aux=True)
            product = pull(vectors)
        return output, _as(inputs, product)


# ------------------------------------------------------------------------------------------------ what they share


def _graph(create_graph: bool) -> Any:
    return contextlib.nullcontext() if create_graph else no_grad()


def _tuple(given: Any, what: str) -> tuple[Any, ...]:
    listed = tuple(given) if isinstance(given, (tuple, list)) else (given,)
    for t in listed:
        if not isinstance(t, Variable):
            raise TypeError(f"{what} must be a Tensor or a tuple of Tensors, not {type(t).__name__}")
    return listed


def _argnums(inputs: Any) -> int | tuple[int, ...]:
    return tuple(range(len(inputs))) if isinstance(inputs, (tuple, list)) else 0


def _as(inputs: Any, found: Sequence[Any]) -> Any:
    return tuple(found) if isinstance(inputs, (tuple, list)) else found[0]


def _vector(v: Any, like: Any, what: str) -> Any:
    """The vector to multiply with; 1 where there is one number only."""
    wanted = _tuple(like, what)
    if v is None:
        if len(wanted) != 1 or wanted[0].array.size != 1:
            raise GradientError(f"v may be left out only where {what} is one Tensor with one entry")
        return (
            wrap(np.ones_like(wanted[0].array)) if isinstance(like, Variable) else (wrap(np.ones_like(like[0].array)),)
        )
    given = _tuple(v, "v")
    if len(given) != len(wanted):
        raise ShapeError(f"v has {len(given)} Tensors where {what} has {len(wanted)}")
    for a, b in zip(given, wanted):
        if a.array.shape != b.array.shape:
            raise ShapeError(f"v has a Tensor of shape {a.array.shape} where {what} has shape {b.array.shape}")
    return given[0] if isinstance(like, Variable) else given


def _strategy(name: str, argument: str) -> Any:
    found = {"reverse-mode": transforms.jacrev, "forward-mode": transforms.jacfwd}.get(name)
    if found is None:
        raise ValueError(f"{argument} is 'reverse-mode' or 'forward-mode', not {name!r}")
    return found


def _one_number(func: Callable[..., Any], keep: bool = False) -> Callable[..., Any]:
    """The function with its one entry in shape (); with ``keep``, also as it was."""

    def scalar(*xs: Any) -> Any:
        output = func(*xs)
        one = output[0] if isinstance(output, tuple) and len(output) == 1 else output
        if not isinstance(one, Variable) or one.array.size != 1:
            found = f"shape {one.array.shape}" if isinstance(one, Variable) else type(output).__name__
            raise GradientError(f"a Hessian is that of a function that returns one Tensor with one entry, not {found}")
        number = one.reshape(())  # type: ignore[attr-defined]
        return (number, output) if keep else number

    return scalar


def _check_dependent(func: Callable[..., Any], inputs: tuple[Any, ...]) -> None:
    """For ``strict``: every output depends on every input."""
    with no_grad():
        trace = Trace(func, inputs, {}, range(len(inputs)))
    for k, output in enumerate(trace.outputs):
        below = set() if output.node is None else set(nodes_between([output.node]))
        for j, t in enumerate(trace.inputs):
            if t.node not in below:
                raise GradientError(f"output {k} of the function does not depend on input {j} (strict=True)")
