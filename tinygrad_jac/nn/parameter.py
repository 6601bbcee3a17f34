"""`Parameter`: a Tensor that a module counts among what it learns."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..devices import on_cpu
from ..dtypes import get_default_dtype
from ..graph import Variable
from ..tensor import Tensor
from ..versions import mark_changed


class Parameter(Tensor):
    """A leaf Tensor that a `Module` registers when it is assigned as an attribute.

    Operations on it give plain Tensors.

    Parameters
    ----------
    data : Tensor or ndarray, optional
        The first values. Their memory is shared, not copied; an empty tensor by default.
    requires_grad : bool

    Raises
    ------
    TypeError
        The data are no array of numbers, or a gradient is asked for of integers.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac import nn
    >>> nn.Parameter(tj.ones(2))
    Parameter containing:
    tensor([1., 1.], requires_grad=True)
    """

    def __init__(self, data: Any = None, requires_grad: bool = True) -> None:
        self.array = _array_for(data, "Parameter")
        self.node = None
        self.grad = None
        self.requires_grad_(requires_grad)

    __deepcopy__ = Tensor._duplicate  # a copied network starts without gradients, as in PyTorch

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"


class Buffer(Tensor):
    """A Tensor that a `Module` registers as a buffer when it is assigned as an attribute.

    Parameters
    ----------
    data : Tensor or ndarray, optional
        The first values. Their memory is shared; an empty tensor by default.
    persistent : bool
        Whether it is part of the module's `state_dict`.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac import nn
    >>> module = nn.Module()
    >>> module.mean = nn.Buffer(tj.zeros(2))
    >>> list(module.state_dict())
    ['mean']
    """

    persistent = True

    def __init__(self, data: Any = None, *, persistent: bool = True) -> None:
        self.array = _array_for(data, "Buffer")
        self.node = self.grad = None
        self.persistent = persistent


def _array_for(data: Any, what: str) -> np.ndarray[Any, Any]:
    if data is None:
        return np.empty(0, dtype=get_default_dtype())
    if not isinstance(data, (Variable, np.ndarray)):
        raise TypeError(f"a {what} is made of a Tensor or an ndarray, not of {type(data).__name__}")
    return data.array if isinstance(data, Variable) else data


def zero_grad_of(parameter: Any, set_to_none: bool) -> None:
    """Forget a gradient, or fill it with zeros."""
    grad = parameter._grad
    if set_to_none or grad is None:
        parameter._grad = None
    else:
        grad.node = None
        grad.array.fill(0)
        mark_changed(grad.array)


def unfilled(*shape: int, device: Any = None, dtype: Any = None) -> Parameter:
    """A Parameter of a shape, in the default dtype unless one is given, to be filled by an initialisation.

    Raises
    ------
    OutOfScopeError
        The device is not the CPU.
    ValueError
        A size is negative.
    """
    if device is not None:
        on_cpu(device)
    if any(size < 0 for size in map(operator.index, shape)):
        raise ValueError(f"a parameter of shape {shape} would have a negative size")
    return Parameter(np.empty(shape, dtype=dtype or get_default_dtype()))
