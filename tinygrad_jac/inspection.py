"""What a tensor or a dtype is, in PyTorch's names; constants."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import dtypes
from .dtypes import can_cast, promote_types, result_type
from .tensor import Tensor

e, inf, nan, pi, newaxis = math.e, math.inf, math.nan, math.pi, None

__all__ = [
    "can_cast", "e", "finfo", "iinfo", "inf", "is_complex", "is_floating_point", "is_nonzero", "is_same_size",
    "is_signed", "is_tensor", "nan", "newaxis", "numel", "pi", "promote_types", "result_type",
    "set_default_tensor_type", "typename",
]  # fmt: skip


def is_tensor(obj: Any) -> bool:
    """Whether it is a Tensor."""
    return isinstance(obj, Tensor)


def numel(input: Any) -> int:
    """How many entries a tensor has."""
    return int(input.array.size)


def is_floating_point(input: Any) -> bool:
    """Whether a tensor holds floats."""
    return bool(input.dtype.kind == "f")


def is_complex(input: Any) -> bool:
    """Whether a tensor holds complex numbers."""
    return bool(input.dtype.kind == "c")


def is_signed(input: Any) -> bool:
    """Whether a tensor's dtype has negative numbers."""
    return bool(input.dtype.kind in "ifc")


def is_nonzero(input: Any) -> bool:
    """Whether the one entry of a tensor is not 0."""
    return bool(input)


def is_same_size(input: Any, other: Any) -> bool:
    """Whether two tensors have one shape."""
    return bool(input.shape == other.shape)


def typename(obj: Any) -> str:
    """The name of an object's type; of a tensor, the one that PyTorch has for its dtype."""
    return str(obj.type()) if isinstance(obj, Tensor) else type(obj).__name__


def finfo(type: Any = None) -> Any:
    """The limits of a floating-point dtype, the default one if none is given: ``eps``, ``min``, ``max``, ``tiny``.

    Raises
    ------
    TypeError
        The dtype holds no floats.
    """
    dtype = dtypes.get_default_dtype() if type is None else np.dtype(type)
    if dtype.kind not in "fc":
        raise TypeError(f"finfo is about floating-point dtypes, not {dtype}: see iinfo")
    return np.finfo(dtype)


def iinfo(type: Any) -> Any:
    """The limits of an integer dtype: ``min``, ``max``, ``bits``.

    Raises
    ------
    TypeError
        The dtype holds no integers.
    """
    if np.dtype(type).kind not in "iu":
        raise TypeError(f"iinfo is about integer dtypes, not {np.dtype(type)}: see finfo")
    return np.iinfo(np.dtype(type))


def set_default_tensor_type(t: Any) -> None:
    """`set_default_dtype` by the older name of a type: ``torch.DoubleTensor``, or the string."""
    dtypes.set_default_dtype(dtypes.of(t))
