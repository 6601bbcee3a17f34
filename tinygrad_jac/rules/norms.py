"""Lengths: norms of vectors and matrices, distances, and the logarithm of a sum of exponentials."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..dtypes import get_default_dtype
from ..errors import ShapeError
from ..graph import array_of
from ..jacobians import Diagonal
from ..primitive import primitive
from ..spelling import axes_of, axis_of, public
from .elementary import or_infinity
from .extrema import amax, amin
from .precision import in_single
from .reductions import _cast, _refuse_integers, _unit, spread, sum, totals

_logsumexp = primitive(
    "logsumexp", in_single(lambda x, *, axis, keepdims: _log_of_sum(x, axis, keepdims)), saves="x residual",
    residual=lambda out, x, *, axis, keepdims: _sum_of_exp(x, axis),
    vjp=lambda g, out, x, *, axis, keepdims, residual:
        spread(g, x, axis, keepdims) * (np.exp(x - residual[0]) / or_infinity(residual[1])),
    jacobian=lambda out, x, *, axis, keepdims, residual: totals(x.shape, axis, out.shape) @ Diagonal(_softmax(x, axis)),
    doc="log Σ exp x, without overflow. ∂/∂x = softmax(x); 0 where all x are -inf.",
)
_norm = primitive(
    "norm", in_single(lambda x, *, axis, keepdims: np.sqrt(np.add.reduce(x * x, axis=axis, keepdims=keepdims))),
    saves="out x",
    vjp=lambda g, out, x, *, axis, keepdims:
        spread(g, x, axis, keepdims) * (x / spread(or_infinity(out), x, axis, keepdims)),
    jacobian=lambda out, x, *, axis, keepdims: totals(x.shape, axis, out.shape) @ Diagonal(_unit(x, axis)),
    doc="√Σx²: ∂/∂x = x / ‖x‖, the unit vector in its direction; by convention 0 where x is 0.",
)


def _sum_of_exp(x: Any, axis: tuple[int, ...]) -> tuple[Any, Any]:
    """The largest entry (0 if it is -inf), a constant, and Σ exp(x - that), which is at least 1 (or 0)."""
    top = np.maximum.reduce(array_of(x), axis=axis, keepdims=True, initial=-math.inf)
    top = np.where(top == -math.inf, 0.0, top)
    return top, np.exp(x - top).sum(axis=axis, keepdims=True)


def _log_of_sum(x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    top, total = _sum_of_exp(x, axis)
    with np.errstate(divide="ignore"):  # log 0 is meant
        out = np.log(total) + top
    return out if keepdims else out.squeeze(axis), (top, total)


def _softmax(x: Any, axis: tuple[int, ...]) -> Any:
    """exp x by its share in the total; 0 where all x are -inf."""
    top = x.max(axis, keepdims=True, initial=-math.inf)
    e = np.exp(x - np.where(np.isneginf(top), 0.0, top))
    return np.divide(e, e.sum(axis, keepdims=True), where=e > 0, out=np.zeros_like(e))


@public()
def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """log Σ exp x over some axes, or over all, computed without overflow; -inf where all entries are, or of none.

    The gradient is softmax(x).

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> tj.logsumexp(tj.tensor([10000.0, 10000.0]), dim=0)
    tensor(10000.6934)
    """
    if x.dtype.kind in "biu":
        x = x.astype(get_default_dtype())
    return _logsumexp(x, axis=axes_of(axis, x.ndim), keepdims=keepdims)


@public()
def norm(x: Any, p: Any = "fro", axis: Any = None, keepdims: bool = False, *, dtype: Any = None) -> Any:
    """The p-norm (Σ|x|^p)^(1/p) of the entries over some axes, or over all, whatever their number.

    By convention the derivative is 0 where the norm is 0 and at entries that are 0; for ``inf`` and ``-inf`` equal
    entries share the cotangent evenly.

    Parameters
    ----------
    x : Tensor or ndarray
    p : float or "fro"
        2 (the same as "fro" and None), 1, inf (the largest |x|), -inf (the smallest), 0 (how many are not 0), or any.
    axis : int or tuple of int, optional
    keepdims : bool
    dtype : optional
        What is converted to first.

    Raises
    ------
    TypeError
        The entries are integers.
    ValueError
        ``p`` is another word: the nuclear norm is not available.
    """
    x = _cast(x, dtype)
    _refuse_integers("norm", x)
    if isinstance(p, str) and p != "fro":
        raise ValueError(f"norm: p={p!r} is not available; give 'fro' or a number")
    if p is None or p == "fro" or p == 2:
        return _norm(x, axis=axes_of(axis, x.ndim), keepdims=keepdims)
    size = np.abs(x)
    if p == 1:
        return sum(size, axis, keepdims)
    if p in (math.inf, -math.inf):
        return (amax if p > 0 else amin)(size, axis, keepdims)
    zero = size == 0
    if p == 0:
        return sum(np.where(zero, 0.0, np.where(zero, size, 1.0)), axis, keepdims)
    total = sum(np.where(zero, 0.0 if p > 0 else math.inf, np.where(zero, 1.0, size) ** p), axis, keepdims)
    none = total == 0
    return np.where(none, 0.0, np.where(none, 1.0, total) ** (1 / p))


@public(np.linalg.vector_norm)
def vector_norm(x: Any, ord: Any = 2, axis: Any = None, keepdims: bool = False) -> Any:
    """`norm` with the argument's name in ``linalg``."""
    return norm(x, ord, axis, keepdims)


@public()
def dist(x: Any, y: Any, p: float = 2) -> Any:
    """The p-norm of x - y."""
    return norm(x - y, p)


def renorm(x: Any, p: float, dim: int, maxnorm: float) -> Any:
    """The slices along an axis whose p-norm is larger than ``maxnorm``, scaled down to it."""
    k = axis_of(dim, x.ndim)
    others = tuple(a for a in range(-x.ndim, 0) if a != k)
    size = norm(x, p, others, keepdims=True)
    large = size > maxnorm
    return x * np.where(large, maxnorm / (np.where(large, size, 1.0) + 1e-7), 1.0)


def cdist(x1: Any, x2: Any, p: float = 2.0, compute_mode: str = "") -> Any:
    """The p-norm of the difference of each row of ``x1`` and each of ``x2``, in stacks that broadcast.

    ``compute_mode`` is read for PyTorch's sake; the distance is always computed from the differences.
    """
    if x1.ndim < 2 or x2.ndim < 2 or x1.shape[-1] != x2.shape[-1]:
        raise ShapeError(f"cdist takes rows of one length in the last axis, not shapes {x1.shape} and {x2.shape}")
    return norm(x1[..., :, None, :] - x2[..., None, :, :], p, -1)
