"""All parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...errors import ShapeError
from ...graph import Variable
from ...rules.joining import concatenate


def parameters_to_vector(parameters: Iterable[Any]) -> Any:
    """The entries of all parameters, one after the other; differentiable.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> parameters_to_vector([tj.ones(2, 1), tj.zeros(1)])
    tensor([1., 1., 0.])
    """
    return concatenate([p.reshape(-1) for p in parameters])


def vector_to_parameters(vec: Any, parameters: Iterable[Any]) -> None:
    """Give parameters the entries of a vector, in the order of `parameters_to_vector`.

    They share the vector's memory afterwards, as in PyTorch.

    Raises
    ------
    ShapeError
        The vector is too short; no parameter is changed.
    TypeError
        What is given is no Tensor.
    """
    if not isinstance(vec, Variable):
        raise TypeError(f"vector_to_parameters takes a Tensor, not {type(vec).__name__}")
    parameters = list(parameters)
    needed = sum(p.numel() for p in parameters)
    if vec.array.ndim != 1 or vec.array.size < needed:
        raise ShapeError(
            f"vector_to_parameters: a vector of shape {vec.array.shape} does not fill parameters of {needed} entries"
        )
    start = 0
    for p in parameters:
        p.data = vec.array[start : start + p.numel()].reshape(p.shape)
        start += p.numel()
