"""Activation functions: elementwise, so every Jacobian is diagonal.

Each takes PyTorch's arguments. Where a function changes its form (at 0, at a limit) the convention is PyTorch's: see
docs/conventions.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..jacobians import Diagonal
from ..primitive import primitive
from ..spelling import axis_of, public
from .elementary import _mask, absolute, logistic, masked, sign, tanh, where
from .special import erf

# --------------------------------------------------------------------------------------- the rectifier and its kin


def _rectified(x: Any) -> Any:
    # np.maximum with a number looks at one entry at a time, np.clip at many: 40 µs instead of 128 for 300,000 floats.
    return x.clip(0, math.inf) if x.size > 4096 and x.dtype.char in "fd" else np.maximum(x, 0)


relu = primitive(
    "relu", _rectified, elementwise=True, saves="out",
    vjp=lambda g, out, x: masked(g, out > 0),
    jacobian=lambda out, x: Diagonal((out > 0).astype(float)),
    doc="""max(x, 0). Its VJP is the Hadamard product ``g ⊙ 1[x > 0]``, its Jacobian a diagonal of zeros and ones.

    The derivative at 0 is 0. Only the output is kept, which is positive where x is.
    """,
)
_leaky_relu = primitive(
    "leaky_relu", lambda x, *, slope: np.maximum(x, 0) + slope * np.minimum(x, 0), elementwise=True, saves="x",
    vjp=lambda g, out, x, *, slope: masked(g, x > 0) + slope * masked(g, ~(x > 0)),
    jacobian=lambda out, x, *, slope: Diagonal(np.where(x > 0, 1.0, slope)),
)
_elu = primitive(
    "elu", lambda x, *, alpha, rate: np.maximum(x, 0) + alpha * np.expm1(rate * np.minimum(x, 0)),
    elementwise=True, saves="x",
    vjp=lambda g, out, x, *, alpha, rate:
        masked(g, x > 0) + (alpha * rate) * masked(g, ~(x > 0)) * np.exp(rate * np.minimum(x, 0)),
    jacobian=lambda out, x, *, alpha, rate:
        Diagonal(np.where(x > 0, 1.0, alpha * rate * np.exp(np.where(x > 0, 0.0, rate * x)))),
    doc="x where positive, else alpha (exp(rate x) - 1).",
)
_hardtanh = primitive(
    "hardtanh", lambda x, *, low, high: np.clip(x, low, high), elementwise=True, saves="out",
    vjp=lambda g, out, x, *, low, high: masked(g, (out > low) & (out < high)),
    jacobian=lambda out, x, *, low, high: Diagonal(np.where((out == low) | (out == high), 0.0, 1.0)),
    doc="x limited to [low, high], with derivative 0 on the limits, where `clamp` has 1.",
)


@public()
def leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    """``x`` where positive, ``negative_slope * x`` elsewhere, with that slope at 0."""
    return _leaky_relu(x, slope=negative_slope)


@public()
def prelu(x: Any, weight: Any) -> Any:
    """`leaky_relu` with slopes that are learned: one, or one for each channel (axis 1).

    Raises
    ------
    ShapeError
        ``weight`` has more than one entry, but not one for each channel.
    """
    channels = x.shape[1] if x.ndim > 1 else 1
    if np.size(weight) == 1:
        slopes = weight.reshape(())
    elif weight.shape == (channels,):
        slopes = weight.reshape(channels, *(1,) * (x.ndim - 2))
    else:
        raise ShapeError(f"prelu: weight needs 1 entry or {channels}, one for each channel, not shape {weight.shape}")
    return where(x > 0, x, slopes * x)


@public()
def elu(x: Any, alpha: float = 1.0) -> Any:
    """``x`` where positive, ``alpha * (exp(x) - 1)`` elsewhere; the derivative at 0 is ``alpha``."""
    return _elu(x, alpha=alpha, rate=1.0)


@public()
def celu(x: Any, alpha: float = 1.0) -> Any:
    """``x`` where positive, ``alpha * (exp(x / alpha) - 1)`` elsewhere: an `elu` whose derivative is continuous."""
    return _elu(x, alpha=alpha, rate=1 / alpha)


@public()
def selu(x: Any) -> Any:
    """The self-normalising `elu`: ``scale * elu(x, alpha)`` with the two constants of Klambauer et al. (2017)."""
    return elu(x, 1.6732632423543772848170429916717) * 1.0507009873554804934193349852946


@public()
def hardtanh(x: Any, min_val: float = -1.0, max_val: float = 1.0) -> Any:
    """``x`` limited to [min_val, max_val]; the derivative on the limits is 0.

    Raises
    ------
    ValueError
        ``min_val`` is not below ``max_val``.
    """
    if not min_val < max_val:
        raise ValueError(f"hardtanh: min_val {min_val} must be below max_val {max_val}")
    return _hardtanh(x, low=min_val, high=max_val)


@public()
def relu6(x: Any) -> Any:
    """``x`` limited to [0, 6]; the derivative at 0 and at 6 is 0."""
    return _hardtanh(x, low=0.0, high=6.0)


@public()
def hardsigmoid(x: Any) -> Any:
    """``relu6(x + 3) / 6``: a line of slope 1/6 between 0 and 1."""
    return relu6(x + 3) / 6


@public()
def hardswish(x: Any) -> Any:
    """``x * hardsigmoid(x)``; nothing passes where that is 0, an infinite cotangent neither."""
    return where(x <= -3, 0, x * hardsigmoid(x))


@public()
def threshold(x: Any, threshold: float, value: float) -> Any:
    """``x`` where it is above the threshold, ``value`` elsewhere; the derivative is 1 above, 0 elsewhere."""
    return where(x <= threshold, value, x)


@public()
def hardshrink(x: Any, lambd: float = 0.5) -> Any:
    """``x`` outside of [-lambd, lambd], 0 inside; the derivative likewise 1 and 0."""
    return masked(x, ~((x <= lambd) & (x >= -lambd)))  # NaN goes through


@public()
def softshrink(x: Any, lambd: float = 0.5) -> Any:
    """``x`` moved towards 0 by ``lambd``, and 0 where it is no further away than that."""
    return where(absolute(x) <= lambd, 0, x - lambd * sign(x))


# ------------------------------------------------------------------------------------------------ sigmoids


def _sigmoid(x: Any) -> Any:
    with np.errstate(over="ignore"):  # exp(-x) may become infinite: then the result is 0, as it should be
        e = np.exp(x * -1.0)
    e += 1
    return 1 / e


sigmoid = primitive(
    "sigmoid", _sigmoid, elementwise=True, saves="out",
    vjp=lambda g, out, x: g * (out * (1.0 - out)),
    jacobian=lambda out, x: Diagonal(out - out**2),
    doc="1 / (1 + exp(-x)): σ' = σ (1 - σ). Exact in both tails.",
)


def _softplus_forward(x: Any, *, beta: float, threshold: float) -> Any:
    z = x * beta
    return (np.maximum(z, 0) + _mask(np.log1p(np.exp(-np.abs(z))), z <= threshold)) / beta


_softplus = primitive(
    "softplus", _softplus_forward, elementwise=True, saves="x",
    vjp=lambda g, out, x, *, beta, threshold: np.where(x * beta > threshold, g, g * sigmoid(x * beta)),
    jacobian=lambda out, x, *, beta, threshold:
        Diagonal(np.where(x * beta > threshold, 1.0, logistic(x * beta))),
)


@public()
def softplus(x: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    """``log(1 + exp(beta * x)) / beta``, without overflow: a smooth `relu` whose derivative is the sigmoid.

    Where ``beta * x`` is above ``threshold``, it is ``x`` itself, as in PyTorch.
    """
    return _softplus(x, beta=beta, threshold=threshold)


@public()
def logsigmoid(x: Any) -> Any:
    """``log(sigmoid(x))``, without overflow."""
    return -_softplus(-x, beta=1.0, threshold=math.inf)


@public()
def tanhshrink(x: Any) -> Any:
    """``x - tanh(x)``."""
    return x - tanh(x)


@public()
def softsign(x: Any) -> Any:
    """``x / (1 + |x|)``."""
    return x / (1 + absolute(x))


# ---------------------------------------------------------------------------------------- gates: x times a sigmoid of x


def _gated(name: str, gate: Any, slope: Callable[[Any, Any], Any], derivative: Callable[[Any], Any], doc: str) -> Any:
    """The primitive ``x * gate(x)``: ``slope(x, gate)`` is gate', for the VJP; ``derivative`` states the whole."""

    def forward(x: Any) -> Any:
        s = gate(x)
        return x * s, s

    return primitive(
        name, forward, elementwise=True, saves="x residual", residual=lambda out, x: gate(x),
        vjp=lambda g, out, x, *, residual: g * (residual + x * slope(x, residual)),
        jacobian=lambda out, x, *, residual: Diagonal(derivative(x)),
        doc=doc,
    )


_CUBIC = 0.044715  # Hendrycks and Gimpel's tanh for the normal distribution: Φ(x) ≈ σ(2 √(2/π) (x + 0.044715 x³))
_LINEAR = 2 * math.sqrt(2 / math.pi)

silu = _gated(
    "silu", sigmoid, lambda x, s: s * (1 - s),
    lambda x: logistic(x) * (1 + x * logistic(-x)),
    doc="``x * sigmoid(x)``, also called swish.",
)
_gelu = _gated(
    "gelu", lambda x: 0.5 * (1 + erf(x * math.sqrt(0.5))),
    lambda x, s: math.sqrt(0.5 / math.pi) * np.exp(-0.5 * x * x),
    lambda x: 0.5 * (1 + erf(x / np.sqrt(2))) + x * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi),
    doc="``x Φ(x)`` with the distribution function Φ of the normal distribution: Φ' is its density.",
)
_gelu_tanh = _gated(
    "gelu_tanh", lambda x: sigmoid(x * (_LINEAR + (_LINEAR * _CUBIC) * (x * x))),
    lambda x, s: s * (1 - s) * (_LINEAR + (3 * _LINEAR * _CUBIC) * (x * x)),
    lambda x: (lambda t, dt: (1 + t) / 2 + x * (1 - t**2) / 2 * dt)(
        np.tanh(np.sqrt(2 / np.pi) * (x + _CUBIC * x**3)), np.sqrt(2 / np.pi) * (1 + 3 * _CUBIC * x**2)),
    doc="`gelu` with ``(1 + tanh(√(2/π) (x + 0.044715 x³))) / 2`` in the place of Φ(x), written as a sigmoid.",
)


@public()
def gelu(x: Any, approximate: str = "none") -> Any:
    """``x * Φ(x)``, Φ being the distribution function of the normal distribution.

    Parameters
    ----------
    x : Tensor or ndarray
    approximate : {"none", "tanh"}
        Exactly, by the error function; or by a hyperbolic tangent, which is faster.

    Raises
    ------
    ValueError
        ``approximate`` is another word.
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f"gelu: approximate is 'none' or 'tanh', not {approximate!r}")
    return (_gelu if approximate == "none" else _gelu_tanh)(x)


@public()
def mish(x: Any) -> Any:
    """``x * tanh(softplus(x))``."""
    return x * tanh(softplus(x))


@public()
def glu(x: Any, axis: int = -1) -> Any:
    """The gated linear unit ``a * sigmoid(b)`` of the two halves a, b of ``x`` along an axis.

    Raises
    ------
    ShapeError
        The axis has an odd size.
    """
    axis = axis_of(axis, x.ndim)
    n = x.shape[axis] if x.ndim else 1
    if n % 2:
        raise ShapeError(f"glu: the size along axis {axis} of shape {x.shape} must be even")
    after = (slice(None),) * (-axis - 1)
    return x[(..., slice(None, n // 2), *after)] * sigmoid(x[(..., slice(n // 2, None), *after)])
