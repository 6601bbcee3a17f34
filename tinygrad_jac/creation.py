"""Making Tensors: from data, filled, in ranges, at random."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import dtypes
from .graph import Variable, wrap
from .spelling import sizes_of
from .tensor import Tensor


def tensor(data: Any, *, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """A Tensor with a copy of some data.

    Parameters
    ----------
    data : nested sequence, number, ndarray or Tensor
        Python floats become the default dtype (float32), Python ints int64, bools bool; an ndarray keeps its dtype.
    dtype : dtype, optional
    requires_grad : bool
    device : object
        Accepted and ignored: there is one device, the CPU.

    Raises
    ------
    TypeError
        The data are not numbers, or a gradient is asked for of integers.
    ValueError
        Nested sequences of unequal lengths.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> tj.tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])
    """
    array = np.array(_plain(data), dtype=dtype)
    if array.dtype.kind not in "biufc":
        raise TypeError(f"a tensor holds numbers, not {array.dtype} ({type(data).__name__} {data!r:.60})")
    if dtype is None and array.dtype == np.float64 and not _keeps_dtype(data):
        array = array.astype(dtypes.get_default_dtype())
    made: Tensor = wrap(array.astype(array.dtype.newbyteorder("="), copy=False))
    return made.requires_grad_() if requires_grad else made


def _keeps_dtype(data: Any) -> bool:
    """Whether data come with a dtype of their own; of a sequence, the first entry decides."""
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return isinstance(data, (np.ndarray, np.generic, Variable))


def _plain(data: Any) -> Any:
    if isinstance(data, Variable):
        return data.array
    if isinstance(data, (list, tuple)):
        return [_plain(d) for d in data]
    return data


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """A Tensor that shares the memory of an ndarray of the right dtype; a Tensor is returned as it is."""
    if isinstance(data, Tensor) and (dtype is None or np.dtype(dtype) == data.dtype):
        return data
    if isinstance(data, np.ndarray):
        made: Tensor = wrap(data if dtype is None else data.astype(dtype, copy=False))
        return made
    return tensor(data, dtype=dtype)


def from_numpy(array: np.ndarray[Any, Any]) -> Tensor:
    """A Tensor that shares the memory of an ndarray."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy takes an ndarray, not {type(array).__name__}")
    made: Tensor = wrap(array)
    return made


def _finish(array: np.ndarray[Any, Any], requires_grad: bool) -> Tensor:
    made: Tensor = wrap(array)
    return made.requires_grad_() if requires_grad else made


def zeros(*size: Any, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """Zeros of a shape, given as ints or as one sequence, in the default dtype."""
    return _finish(np.zeros(sizes_of(size), dtype or dtypes.get_default_dtype()), requires_grad)


def ones(*size: Any, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """Ones of a shape, given as ints or as one sequence, in the default dtype."""
    return _finish(np.ones(sizes_of(size), dtype or dtypes.get_default_dtype()), requires_grad)
