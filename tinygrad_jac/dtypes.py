"""Data types: their PyTorch names, the default, and how mixed arguments are brought to one type.

NumPy and PyTorch promote differently in three places, and there PyTorch's convention is followed, because training
scripts depend on it: an integer array never widens a float array (int64 with float32 is float32), a 0-d array does not
widen an array with axes of the same kind, and where integers have to become floats they become the *default* dtype.
"""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

float16 = half = np.dtype(np.float16)
float32 = float = np.dtype(np.float32)
float64 = double = np.dtype(np.float64)
int8 = np.dtype(np.int8)
int16 = short = np.dtype(np.int16)
int32 = int = np.dtype(np.int32)
int64 = long = np.dtype(np.int64)
uint8 = np.dtype(np.uint8)
bool = np.dtype(np.bool_)
complex64 = np.dtype(np.complex64)
complex128 = np.dtype(np.complex128)

_default = float32


def get_default_dtype() -> np.dtype[Any]:
    """The dtype given to tensors made from Python floats (float32 unless set).

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> tj.get_default_dtype()
    dtype('float32')
    """
    return _default


def set_default_dtype(dtype: Any) -> None:
    """Set the dtype given to tensors made from Python floats.

    Parameters
    ----------
    dtype
        ``float16``, ``float32`` or ``float64``, in any spelling that NumPy reads.

    Raises
    ------
    TypeError
        The dtype is not a real floating-point type.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> tj.set_default_dtype("float64")
    >>> tj.tensor([1.0]).dtype
    dtype('float64')
    >>> tj.set_default_dtype(tj.float32)
    """
    global _default
    found = np.dtype(dtype)
    if found.kind != "f":
        raise TypeError(f"the default dtype must be a floating-point type such as float32 or float64, not {found}")
    _default = found


def promote(values: list[Any]) -> list[Any]:
    """Bring the arguments of an elementwise op to one dtype by PyTorch's rules; see the module's text.

    ``values`` are ndarrays and Python scalars; Python scalars stay as they are (weak), bools too, since NumPy
    promotes both as PyTorch does.
    """
    values = [v.item() if isinstance(v, np.generic) and v.dtype.kind in "iufc" else v for v in values]
    arrays = [v for v in values if isinstance(v, np.ndarray)]
    inexact = [a for a in arrays if a.dtype.kind in "fc"]
    if inexact:
        deciding = [a for a in inexact if a.ndim] or inexact
        target = np.result_type(*(a.dtype for a in deciding))
        if target.kind == "f" and any(a.dtype.kind == "c" for a in inexact):
            target = np.result_type(target, np.complex64)
    elif any(isinstance(v, builtins.float) for v in values):
        target = _default
    else:
        deciding = [a for a in arrays if a.ndim and a.dtype.kind != "b"]
        if not deciding:
            return values
        target = np.result_type(*(a.dtype for a in deciding))
    return [
        v.astype(target) if isinstance(v, np.ndarray) and v.dtype.kind != "b" and v.dtype != target else v
        for v in values
    ]


def promote_types(type1: Any, type2: Any) -> np.dtype[Any]:
    """The dtype that holds both, where an integer never widens a float, as in PyTorch.

    Examples
    --------
    >>> promote_types(int64, float32)
    dtype('float32')
    """
    given = [np.dtype(type1), np.dtype(type2)]
    return np.result_type(*([d for d in given if d.kind in "fc"] or given))


def result_type(x: Any, y: Any) -> np.dtype[Any]:
    """The dtype of ``x + y``, for tensors, arrays and Python numbers."""
    values = [getattr(v, "array", v) for v in (x, y)]
    if not any(isinstance(v, np.ndarray) for v in values):
        values = [np.asarray(v, _default if isinstance(v, builtins.float) else None) for v in values]
    emptied = [v[..., :0] if isinstance(v, np.ndarray) and v.ndim else v for v in values]
    made = np.add(*promote(emptied)).dtype
    return made if made.kind != "f" or any(getattr(v, "dtype", bool).kind in "fc" for v in emptied) else _default


def can_cast(from_: Any, to: Any) -> builtins.bool:
    """Whether conversion stays within a kind of numbers, or goes to a wider one: bools, integers, floats, complex."""
    before, after = ("bifc".index(np.dtype(d).kind.replace("u", "i")) for d in (from_, to))
    return before <= after


_LEGACY: dict[np.dtype[Any], str] = {
    float16: "Half",
    float32: "Float",
    float64: "Double",
    int8: "Char",
    int16: "Short",
    int32: "Int",
    int64: "Long",
    uint8: "Byte",
    bool: "Bool",
}


def legacy_name(dtype: np.dtype[Any]) -> str:
    """``torch.FloatTensor`` for float32, and so on: what ``Tensor.type()`` says."""
    return f"torch.{_LEGACY.get(dtype, str(dtype).capitalize())}Tensor"


def native(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The same memory with the one dtype object that NumPy has for its type, the values converted if byte-swapped.

    Arrays that were unpickled carry an equal dtype that is another object; ops compare dtypes by identity first.
    """
    canonical = np.dtype(array.dtype.type)
    if array.dtype is canonical or array.dtype.kind not in "biufc":
        return array
    return array.view(canonical) if array.dtype.isnative else array.astype(canonical)


def of(given: Any) -> np.dtype[Any]:
    """The dtype that is meant by a dtype, a legacy name (``"torch.FloatTensor"``) or a tensor class with a dtype.

    Raises
    ------
    TypeError
    """
    if isinstance(given, str):
        for dtype in _LEGACY:
            if legacy_name(dtype) == given:
                return dtype
    if isinstance(given, type):
        return np.dtype(given)
    return np.dtype(getattr(given, "dtype", given))
