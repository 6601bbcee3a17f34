"""Names for users: PyTorch's and NumPy's spellings of one parameter, and NumPy's functions as a way in."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import numpy as np

from .dtypes import promote
from .errors import ShapeError
from .graph import Variable, array_of, wrap
from .primitive import functions, ufuncs
from .writing import deliver

F = TypeVar("F", bound=Callable[..., Any])

SPELLINGS = {
    "dim": "axis", "keepdim": "keepdims", "input": "x", "other": "y", "a": "x", "tensors": "arrays",
    **dict.fromkeys(("mat2", "vec", "vec2", "batch2"), "y"),
    **dict.fromkeys(("mat1", "mat", "vec1", "batch1"), "first"),
}  # fmt: skip


def public(*numpy_functions: Callable[..., Any]) -> Callable[[F], F]:
    """Make a function of the library's face: it reads both spellings, and is what NumPy's functions mean on a Tensor.

    Where ``out=`` is given, the result is written there.

    >>> import numpy as np
    >>> import tinygrad_jac as tj
    >>> x = tj.ones(2, 3)
    >>> tj.sum(x, dim=1, keepdim=True).shape == np.sum(x, axis=1, keepdims=True).shape == (2, 1)
    True
    """

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def spelled(*args: Any, **kwargs: Any) -> Any:
            if kwargs:
                out = kwargs.pop("out", None)
                if not SPELLINGS.keys().isdisjoint(kwargs):
                    given, kwargs = kwargs, {SPELLINGS.get(k, k): v for k, v in kwargs.items()}
                    if len(given) > len(kwargs):
                        raise TypeError(
                            f"{function.__name__}: two of {', '.join(given)} are names of one option: give one"
                        )
                if out is not None:
                    return deliver(out, function(*args, **kwargs))
            return function(*args, **kwargs)

        for numpy_function in numpy_functions:
            if isinstance(numpy_function, np.ufunc):
                ufuncs[numpy_function] = spelled
            else:
                functions[numpy_function] = spelled
        return cast("F", spelled)

    return decorate


def unrecorded(function: Callable[..., Any], *, name: str = "", doc: str = "") -> Callable[..., Any]:
    """A function without a derivative (comparisons, argmax, …) on Tensors: computed on the arrays, never recorded."""

    def plain(*args: Any, **kwargs: Any) -> Any:
        for name in ("x", "y"):  # PyTorch's input and other; NumPy's functions take both by position
            if name in kwargs:
                args = (kwargs.pop(name), *args) if name == "x" else (*args, kwargs.pop(name))
        traced = [a for a in args if isinstance(a, Variable)]
        if not traced:
            return function(*args, **kwargs)
        try:
            out = function(*promote([array_of(a) for a in args]), **kwargs)
        except ValueError as error:
            if "broadcast" not in str(error):
                raise
            shapes = " and ".join(str(np.shape(array_of(a))) for a in args)
            raise ShapeError(f"{plain.__name__}: shapes {shapes} do not broadcast to one shape") from error
        return wrap(np.asarray(out))

    plain.__name__ = plain.__qualname__ = name or function.__name__
    plain.__doc__ = doc or f"``numpy.{function.__name__}`` on Tensors: not differentiable, hence not recorded."
    return public(function)(plain)


def same_dtype(what: str, **given: Any) -> None:
    """Refuse Tensors of different dtypes where PyTorch does: in products. Arrays and numbers beside them are promoted.

    Raises
    ------
    TypeError
        With the names and dtypes of two that differ.
    """
    tensors = [(name, v.array.dtype) for name, v in given.items() if isinstance(v, Variable)]
    for name, dtype in tensors[1:]:
        first, expected = tensors[0]
        if dtype != expected:
            raise TypeError(
                f"{what}: expected {first} and {name} to have the same dtype, but got {expected} and {dtype}: convert "
                f"one, as with .to({expected if expected.kind == 'f' else dtype})"
            )


def axis_of(axis: Any, ndim: int) -> int:
    """One axis counted from the end, as rules count it.

    Raises
    ------
    IndexError
        With the range that is allowed, as PyTorch does.
    """
    position = operator.index(axis)
    if not -ndim <= position < max(ndim, 1):
        if ndim == 0 and position == -1:
            return -1
        low, high = (-ndim, ndim - 1) if ndim else (-1, 0)
        raise IndexError(f"axis {position} is out of range for {ndim} axes: expected {low} to {high}")
    return position - ndim if position >= 0 else position


def axis_along(what: str, x: Any, axis: Any) -> tuple[int, int]:
    """One axis counted from the end, and its size, for what takes an array apart along it.

    Raises
    ------
    IndexError
        It is out of range, or there are no axes.
    """
    if not x.ndim:
        raise IndexError(f"{what} takes entries along an axis, and a number has none: reshape(1) gives it one")
    k = axis_of(axis, x.ndim)
    return k, int(x.shape[k])


def axes_of(axis: Any, ndim: int) -> tuple[int, ...]:
    """Axes as a sorted tuple counted from the end; all of them for None (and for ``()``, as PyTorch reads it).

    Raises
    ------
    IndexError
        An axis is out of range.
    ValueError
        An axis is named twice.
    """
    if axis is None or (isinstance(axis, Sequence) and not axis):
        return tuple(range(-ndim, 0))
    if ndim == 0:
        axis_of(axis[0] if isinstance(axis, Sequence) else axis, 0)
        return ()
    axes = tuple(sorted(axis_of(a, ndim) for a in (axis if isinstance(axis, Sequence) else (axis,))))
    if len(set(axes)) != len(axes):
        raise ValueError(f"an axis appears more than once in {tuple(axis)}")
    return axes


def sizes_of(shape: Sequence[Any]) -> tuple[int, ...]:
    """A shape given as separate ints or as one sequence, the two ways in which PyTorch takes them."""
    if len(shape) == 1 and not isinstance(shape[0], (int, np.integer)):
        first = shape[0]
        shape = tuple(first) if np.ndim(first) or isinstance(first, Sequence) else (first,)
    return tuple(operator.index(n) for n in shape)
