"""Softmax and its kin, and the layers that normalise: what couples the entries along some axes.

Every Jacobian here is a diagonal plus a matrix of low rank. Softmax is diag(p) - p pᵀ; all normalising layers are one
primitive, `standardize`, followed by multiplication with a weight and addition of a bias.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import sums
from ..dtypes import get_default_dtype
from ..errors import ShapeError
from ..graph import Variable, array_of
from ..jacobians import DiagPlusLowRank
from ..primitive import primitive
from ..spelling import axis_of, public
from ..versions import mark_changed
from .elementary import clamp
from .norms import norm
from .precision import in_single

# ------------------------------------------------------------------------------------------------ softmax


def _exponentials(x: Any, axis: int) -> tuple[Any, Any]:
    """x less its largest entry along the axis, so that no exponential overflows, and the exponentials."""
    if axis == -1 and x.ndim == 2 and x.shape[-1] <= 32 and x.size > 512:
        # Short rows: columns are compared faster. 1024 x 10 in float32 take 6 µs instead of 42.
        largest = np.maximum.reduce(np.ascontiguousarray(x.T), axis=0, initial=-math.inf)[:, None]
    else:
        largest = np.maximum.reduce(x, axis=axis, keepdims=True, initial=-math.inf)
    shifted = x - largest
    return shifted, np.exp(shifted)


def _total(x: Any, axis: int | tuple[int, ...]) -> Any:
    """The sum over some axes, which are kept with size 1."""
    if isinstance(x, Variable):
        return x.sum(axis=axis, keepdims=True)  # type: ignore[attr-defined]
    return sums.along_rows(x) if axis in (-1, (-1,)) else np.add.reduce(x, axis=axis, keepdims=True)


def weights(x: Any, axis: int, mask: Any = None) -> Any:
    """exp x_i / Σ exp x_j along an axis; where a mask is False an entry is 0, and all are where it allows none.

    The exponentials are tried as they are first: to know that none overflowed and no sum is tiny takes one look at the
    largest entry and one at the sums, where the largest entry of each row, and a difference, take three times as long.
    """
    limits = np.finfo(x.dtype)
    if x.itemsize >= 4 and np.maximum.reduce(x, axis=None, initial=-math.inf) < math.log(limits.max) / 2:
        e = np.exp(x)
        if mask is not None:
            e *= mask
        total = _total(e, axis)
        if np.minimum.reduce(total, axis=None, initial=1) > limits.tiny**0.25:
            e /= total
            return e
    if mask is not None:
        # In a row that allows none, anything finite will do: it is multiplied by 0 in the end.
        x = np.where(np.logical_or.reduce(mask, axis=axis, keepdims=True), np.where(mask, x, -math.inf), 0)
    _, e = _exponentials(x, axis)
    e /= _total(e, axis)
    return e if mask is None else np.multiply(e, mask, out=e)


def _unsoftmax(g: Any, out: Any, axis: int) -> Any:
    inner = np.einsum("...i,...i->...", g, out)[..., None] if axis == -1 else (g * out).sum(axis=axis, keepdims=True)
    return out * (g - inner)


def coupled(out: Any, axis: int) -> DiagPlusLowRank:
    """diag(p) - p pᵀ."""
    return DiagPlusLowRank(out, -out[None], out[None], (axis,))


def _log_softmax_forward(x: Any, *, axis: int) -> Any:
    shifted, e = _exponentials(x, axis)
    shifted -= np.log(_total(e, axis))
    return shifted


_softmax = primitive(
    "softmax", in_single(lambda x, *, axis: weights(x, axis)), saves="out",
    vjp=lambda g, out, x, *, axis: _unsoftmax(g, out, axis),
    jacobian=lambda out, x, *, axis: coupled(out, axis),
    doc="p_i = exp x_i / Σ exp x_j along one axis: ∂p/∂x = diag(p) - p pᵀ.",
)
masked_softmax = primitive(
    "masked_softmax", in_single(lambda x, mask: weights(x, -1, mask)), saves="out",
    vjp=(lambda g, out, x, mask: _unsoftmax(g, out, -1),
         None),
    jacobian=(lambda out, x, mask: coupled(out, -1),
              None),
    doc="""The softmax, along the last axis, of the entries where a mask is True; 0 elsewhere.

    The rule and the Jacobian are those of the softmax: p is 0 where the mask is False, and with it its row and column.
    """,
)
_log_softmax = primitive(
    "log_softmax", in_single(_log_softmax_forward), saves="out",
    vjp=lambda g, out, x, *, axis: g - np.exp(out) * g.sum(axis=axis, keepdims=True),
    jacobian=lambda out, x, *, axis: DiagPlusLowRank(
        np.ones(out.shape), -np.ones((1, *out.shape)), np.exp(out)[None], (axis,)),
    doc="x - log Σ exp x along one axis: ∂/∂x = I - 1 pᵀ with p the softmax.",
)


def _over(normalise: Any, x: Any, axis: int | None, dtype: Any) -> Any:
    if axis is None:
        raise TypeError("softmax needs the axis to sum over: pass dim=-1 for the last")
    if dtype is not None or x.dtype.kind != "f":
        x = x.astype(dtype or get_default_dtype())
    if not x.ndim:
        axis_of(axis, 0)
        return normalise(x.reshape(1), axis=-1).reshape(())
    return normalise(x, axis=axis_of(axis, x.ndim))


@public()
def softmax(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """``exp(x) / exp(x).sum()`` along one axis: positive, with sum 1. No overflow, whatever the size of ``x``.

    The Jacobian is diag(p) - p pᵀ.

    Parameters
    ----------
    x : Tensor or ndarray
    axis : int
        PyTorch's ``dim``.
    dtype : optional
        What is converted to first.

    Raises
    ------
    TypeError
        The axis is left out.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac.rules.normalization import softmax
    >>> softmax(tj.tensor([10000.0, 10000.0, 0.0]), dim=0)
    tensor([0.5000, 0.5000, 0.0000])
    """
    return _over(_softmax, x, axis, dtype)


@public()
def log_softmax(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """``log(softmax(x))``, without overflow and without the logarithm of 0; the Jacobian is I - 1 pᵀ.

    Raises
    ------
    TypeError
        The axis is left out.
    """
    return _over(_log_softmax, x, axis, dtype)


@public()
def softmin(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """``softmax(-x)``."""
    return softmax(-x, axis, dtype)


# ------------------------------------------------------------------------------------------------ standardising


def _standardize_forward(x: Any, *, axis: tuple[int, ...], eps: float, centre: bool) -> Any:
    n = math.prod(x.shape[a] for a in axis) or math.nan
    if centre:
        x = x - _total(x, axis) / n
    out = x * x
    rate = 1 / np.sqrt(_total(out, axis) / n + eps)
    return np.multiply(x, rate, out=out), rate


def _rate(out: Any, x: Any, *, axis: tuple[int, ...], eps: float, centre: bool) -> Any:
    if centre:
        x = x - _mean(x, axis)
    return 1 / np.sqrt(_mean(x * x, axis) + eps)


def _mean(x: Any, axis: tuple[int, ...]) -> Any:
    return _total(x, axis) / math.prod(x.shape[a] for a in axis)


def _unstandardize(g: Any, out: Any, axis: tuple[int, ...], centre: bool, rate: Any) -> Any:
    c = g - out * _mean(g * out, axis)
    return (c - _mean(g, axis)) * rate if centre else c * rate


def _low_rank(out: Any, axis: tuple[int, ...], centre: bool, rate: Any) -> DiagPlusLowRank:
    """diag(r) - r (1 1ᵀ + x̂ x̂ᵀ) / n, r being the rate; without centring the first term is missing."""
    n = math.prod(out.shape[a] for a in axis)
    directions = np.stack([np.ones_like(out), out] if centre else [out])
    return DiagPlusLowRank(np.broadcast_to(rate, out.shape), -rate * directions / n, directions, axis)


standardize = primitive(
    "standardize", in_single(_standardize_forward), saves="out x residual", residual=_rate,
    vjp=lambda g, out, x, *, axis, eps, centre, residual: _unstandardize(g, out, axis, centre, residual),
    jacobian=lambda out, x, *, axis, eps, centre, residual: _low_rank(out, axis, centre, residual),
    doc="""x̂ = (x - μ) / √(σ² + ε), mean and (biased) variance being over some axes; not centred, x / √(mean x² + ε).

    With r = 1/√(σ² + ε) and n entries, ∂x̂/∂x = r (I - (1 1ᵀ + x̂ x̂ᵀ) / n): the mean takes out the direction 1, the
    variance the direction x̂. All of batch, layer, group, instance and RMS normalisation is this, over different axes.
    """,
)


def _affine(x: Any, weight: Any, bias: Any, shape: tuple[int, ...]) -> Any:
    """``x * weight + bias``, where they are given, in the shape in which they broadcast."""
    weight, bias = (p if p is None or p.shape == shape else p.reshape(shape) for p in (weight, bias))
    if weight is not None:
        x = x * weight
    return x if bias is None else x + bias


def _trailing(name: str, x: Any, normalized_shape: int | Sequence[int], *parameters: Any) -> tuple[int, ...]:
    shape = (normalized_shape,) if isinstance(normalized_shape, (int, np.integer)) else tuple(normalized_shape)
    if not shape or x.shape[-len(shape) :] != shape:
        raise ShapeError(f"{name}: the last sizes of shape {x.shape} must be normalized_shape, {shape}")
    for p in parameters:
        if p is not None and p.shape != shape:
            raise ShapeError(f"{name}: weight and bias must have shape {shape}, one has {p.shape}")
    return shape


def _per_channel(name: str, x: Any, **parameters: Any) -> tuple[int, ...]:
    """The shape in which one number for each channel (axis 1) broadcasts to x."""
    if x.ndim < 2:
        raise ShapeError(f"{name} needs axes (batch, channel, ...), not shape {x.shape}")
    for key, p in parameters.items():
        if p is not None and p.shape != (x.shape[1],):
            raise ShapeError(f"{name}: {key} must have shape ({x.shape[1]},), an entry for each channel, not {p.shape}")
    return (x.shape[1], *(1,) * (x.ndim - 2))


@public()
def layer_norm(
    x: Any, normalized_shape: int | Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Any:
    """Each sample standardised over its last axes, then ``* weight + bias``.

    Parameters
    ----------
    x : array of shape (..., *normalized_shape)
    normalized_shape : int or sequence of int
    weight, bias : arrays of shape normalized_shape, optional
    eps : float
        Added to the variance.

    Raises
    ------
    ShapeError
        The last sizes are not ``normalized_shape``.
    """
    shape = _trailing("layer_norm", x, normalized_shape, weight, bias)
    return _affine(standardize(x, axis=tuple(range(-len(shape), 0)), eps=eps, centre=True), weight, bias, shape)


@public()
def rms_norm(x: Any, normalized_shape: int | Sequence[int], weight: Any = None, eps: float | None = None) -> Any:
    """Each sample divided by the root of its mean square over the last axes, then ``* weight``; nothing is centred.

    Parameters
    ----------
    x : array of shape (..., *normalized_shape)
    normalized_shape : int or sequence of int
    weight : array of shape normalized_shape, optional
    eps : float, optional
        Added to the mean square; the dtype's rounding unit by default.

    Raises
    ------
    ShapeError
        The last sizes are not ``normalized_shape``.
    """
    shape = _trailing("rms_norm", x, normalized_shape, weight)
    eps = float(np.finfo(x.dtype).eps) if eps is None else eps
    return _affine(standardize(x, axis=tuple(range(-len(shape), 0)), eps=eps, centre=False), weight, None, shape)


@public()
def batch_norm(
    x: Any, running_mean: Any, running_var: Any, weight: Any = None, bias: Any = None, training: bool = False,
    momentum: float = 0.1, eps: float = 1e-5,
) -> Any:
    """Each channel standardised over all samples and positions, then ``* weight + bias``.

    Parameters
    ----------
    x : array of shape (N, C, ...)
    running_mean, running_var : array of shape (C,), or None
        In training they are changed in place: moved by ``momentum`` towards the mean and the (unbiased) variance of
        this batch. Otherwise they take the place of the batch's mean and variance.
    weight, bias : array of shape (C,), optional
    training : bool
        Whether the batch's own mean and (biased) variance are used.
    momentum, eps : float

    Raises
    ------
    ShapeError
        A parameter does not have one entry for each channel.
    ValueError
        Training with one value for each channel, which has no variance; or no running statistics outside of training.
    """
    shape = _per_channel("batch_norm", x, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    if not training:
        return _by_running("batch_norm", x, running_mean, running_var, weight, bias, shape, eps)
    axis = tuple(a for a in range(-x.ndim, 0) if a != 1 - x.ndim)
    if math.prod(x.shape[a] for a in axis) == 1:
        raise ValueError(f"batch_norm: training needs more than one value for each channel, shape {x.shape} has one")
    _update(running_mean, running_var, x, axis, momentum)
    return _affine(standardize(x, axis=axis, eps=eps, centre=True), weight, bias, shape)


@public()
def instance_norm(
    x: Any, running_mean: Any = None, running_var: Any = None, weight: Any = None, bias: Any = None,
    use_input_stats: bool = True, momentum: float = 0.1, eps: float = 1e-5,
) -> Any:
    """Each channel of each sample standardised over its positions, then ``* weight + bias``.

    The arguments are those of `batch_norm`; ``use_input_stats`` is its ``training``.

    Raises
    ------
    ShapeError
        A parameter does not have one entry for each channel.
    ValueError
        There is one position only, which has no variance; or no running statistics where the input's are not used.
    """
    statistics = {"running_mean": running_mean, "running_var": running_var}
    shape = _per_channel("instance_norm", x, **statistics, weight=weight, bias=bias)
    if not use_input_stats:
        return _by_running("instance_norm", x, running_mean, running_var, weight, bias, shape, eps)
    axis = tuple(range(2 - x.ndim, 0))
    if math.prod(x.shape[2:]) == 1:
        raise ValueError(f"instance_norm needs more than one value for a sample's channel, shape {x.shape} has one")
    _update(running_mean, running_var, x, axis, momentum)
    return _affine(standardize(x, axis=axis, eps=eps, centre=True), weight, bias, shape)


@public()
def group_norm(x: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """Groups of channels of each sample standardised over channels and positions, then ``* weight + bias``.

    Parameters
    ----------
    x : array of shape (N, C, ...)
    num_groups : int
    weight, bias : array of shape (C,), optional
    eps : float

    Raises
    ------
    ShapeError
        C is not a multiple of ``num_groups``, or a parameter does not have one entry for each channel.
    """
    shape = _per_channel("group_norm", x, weight=weight, bias=bias)
    if num_groups < 1 or x.shape[1] % num_groups:
        raise ShapeError(f"group_norm: {x.shape[1]} channels cannot be divided into {num_groups} groups of one size")
    grouped = x.reshape(x.shape[0], num_groups, -1)
    return _affine(standardize(grouped, axis=(-1,), eps=eps, centre=True).reshape(x.shape), weight, bias, shape)


def _by_running(
    name: str, x: Any, mean: Any, var: Any, weight: Any, bias: Any, shape: tuple[int, ...], eps: float
) -> Any:
    """x standardised by given statistics, which are constants: one multiplication and one addition for each entry."""
    if mean is None or var is None:
        raise ValueError(f"{name}: running_mean and running_var are needed where the batch's own are not used")
    centre, spread = (array_of(a).astype(x.dtype, copy=False) for a in (mean, var))
    scale = 1 / np.sqrt(spread + eps)
    if weight is not None:
        scale = weight * scale
    shift = -centre * scale
    return _affine(x, scale, shift if bias is None else bias + shift, shape)


def _update(running_mean: Any, running_var: Any, x: Any, axis: tuple[int, ...], momentum: float) -> None:
    """Move the running statistics, in place, towards those of a batch; their variance is the unbiased one."""
    if running_mean is None and running_var is None:
        return
    values = array_of(x)
    n = math.prod(values.shape[a] for a in axis)
    centre = np.add.reduce(values, axis=axis, keepdims=True) / n
    centred = values - centre
    centred *= centred
    spread = np.add.reduce(centred, axis=axis) / (n - 1)
    for running, found in ((running_mean, centre), (running_var, spread)):
        if running is not None:
            array = array_of(running)
            array += momentum * (found.reshape(-1, array.size).mean(0) - array)
            mark_changed(array)


@public()
def normalize(x: Any, p: float = 2.0, axis: int = 1, eps: float = 1e-12) -> Any:
    """Vectors along an axis divided by their p-norm, or by ``eps`` where the norm is smaller.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac.rules.normalization import normalize
    >>> normalize(tj.tensor([[3.0, 4.0], [0.0, 0.0]]))
    tensor([[0.6000, 0.8000],
            [0.0000, 0.0000]])
    """
    return x / clamp(norm(x, p, axis, keepdims=True), min=eps)
