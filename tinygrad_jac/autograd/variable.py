"""`Variable`, what a Tensor that is differentiated was called before the two were one."""

from __future__ import annotations

import warnings
from typing import Any

from ..tensor import Tensor


class _OfTensors(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor)


class Variable(metaclass=_OfTensors):
    """A Tensor of the same memory without a history; every Tensor is an instance.

    Parameters
    ----------
    data : Tensor
    requires_grad : bool
    volatile : bool
        Without effect but a warning, as in PyTorch.

    Raises
    ------
    TypeError
        The data are no Tensor, or a gradient is asked for of integers.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> tj.autograd.Variable(tj.ones(2), requires_grad=True)
    tensor([1., 1.], requires_grad=True)
    """

    def __new__(cls, data: Any, requires_grad: bool = False, volatile: bool = False) -> Any:
        if not isinstance(data, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(data).__name__}")
        if volatile:
            warnings.warn("volatile was removed and now has no effect. Use `with no_grad():` instead.", stacklevel=2)
        return data.detach().requires_grad_(bool(requires_grad))
