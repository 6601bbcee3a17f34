"""Special functions: the error function, which NumPy does not have, and logarithms that are careful at 0."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..jacobians import Diagonal
from ..primitive import primitive
from ..spelling import public
from .elementary import clamp, log, masked, where

# ------------------------------------------------------------------------------------------------ the error function
#
# W. J. Cody, Rational Chebyshev approximations for the error function, Mathematics of Computation 23 (1969), 631-637:
# three ranges, a quotient of polynomials in each, the highest power first. Good to the last digits of a float64.

_NEAR, _FAR = 0.46875, 4.0
_NEAR_RATIO = (
    (1.85777706184603153e-1, 3.16112374387056560e0, 1.13864154151050156e2, 3.77485237685302021e2,
     3.20937758913846947e3),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)
_MIDDLE_RATIO = (
    (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0, 6.61191906371416295e1,
     2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3,
     1.23033935479799725e3),
    (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
     3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3),
)
_FAR_RATIO = (
    (1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
     1.60837851487422766e-2, 6.58749161529837803e-4),
    (1.0, 2.56852019228982242e0, 1.87295284992346725e0, 5.27905102951428412e-1, 6.05183413124413191e-2,
     2.33520497626869185e-3),
)
# For float32 one range and one quotient, with an error below the rounding of its own evaluation: a minimax fit of
# erf(x)/x in x², made for this library. At the limit it has passed 1, which erf is to the last digit from there on.
_SINGLE_LIMIT = 4.0
_SINGLE_RATIO = (
    (2.0500793380783195e-6, 2.8488393266269235e-4, 3.76566770089555e-3, 5.274888197568439e-2, 0.1904076365840902,
     1.1283791461341437),
    (3.809169561783251e-5, 1.1625478990292446e-3, 1.496931893115821e-2, 0.11410959877848074, 0.5020771151149641, 1.0),
)


def _polynomial(coefficients: Sequence[float], t: Any) -> Any:
    total = t * coefficients[0]
    for c in coefficients[1:-1]:
        total += c
        total *= t
    total += coefficients[-1]
    return total


def _ratio(ratio: Any, t: Any) -> Any:
    numerator, denominator = (_polynomial(part, t) for part in ratio)
    numerator /= denominator
    return numerator


def _erf_near(a: Any) -> Any:
    """erf a for 0 ≤ a ≤ 0.46875."""
    return a * _ratio(_NEAR_RATIO, a * a)


def _erf(x: Any) -> Any:
    if x.dtype == np.float32:
        b = np.clip(x, -_SINGLE_LIMIT, _SINGLE_LIMIT)
        return np.clip(b * _ratio(_SINGLE_RATIO, b * b), -1, 1)
    a = np.abs(x)
    near = _erf_near(np.minimum(a, _NEAR))
    # 1 - erfc a; beyond 6 that is 1, whatever the digits of erfc.
    b = np.clip(a, _NEAR, 6.0)
    rest = 1 - np.exp(-b * b) * _ratio(_MIDDLE_RATIO, b)
    is_near = a < _NEAR
    return np.copysign(masked(near, is_near) + masked(rest, ~is_near), x)


def _erfc(x: Any) -> Any:
    a = np.abs(x)
    b = np.clip(a, _NEAR, 30.0)  # erfc 30 is 0
    # exp(-b²) with b² split in two, for exp multiplies the rounding error of its argument by the argument.
    c = np.trunc(b * 16) / 16
    gauss = np.exp(-c * c) * np.exp(-(b - c) * (b + c))
    middle = _ratio(_MIDDLE_RATIO, np.minimum(b, _FAR))
    inverse = 1 / np.maximum(b, _FAR)
    far = inverse * (1 / math.sqrt(math.pi) - inverse**2 * _ratio(_FAR_RATIO, inverse**2))
    tail = gauss * np.where(b < _FAR, middle, far)
    near = 1 - np.copysign(_erf_near(np.minimum(a, _NEAR)), x)
    return np.where(a < _NEAR, near, np.where(x < 0, 2 - tail, tail))


def _in_pieces(function: Callable[[Any], Any], size: int = 8192) -> Callable[[Any], Any]:
    """A function of many passes over its argument, applied to pieces of it that stay in the processor's cache."""

    def pieces(x: Any) -> Any:
        x = x if x.dtype.kind == "f" else x.astype(np.float64)
        flat = x.reshape(-1)
        parts = [function(flat[k : k + size]) for k in range(0, flat.size, size)]
        return (parts[0] if len(parts) == 1 else np.concatenate(parts) if parts else flat).reshape(x.shape)

    return pieces


_SLOPE = 2 / math.sqrt(math.pi)  # of erf at 0

erf = primitive(
    "erf", _in_pieces(_erf), elementwise=True, saves="x",
    vjp=lambda g, out, x: g * (_SLOPE * np.exp(-x * x)),
    jacobian=lambda out, x: Diagonal(2 / np.sqrt(np.pi) * np.exp(-(x**2))),
    doc="The error function ``2/√π ∫₀ˣ exp(-t²) dt``, to the last digits of the dtype.",
)
erfc = primitive(
    "erfc", _in_pieces(_erfc), elementwise=True, saves="x",
    vjp=lambda g, out, x: -g * (_SLOPE * np.exp(-x * x)),
    jacobian=lambda out, x: Diagonal(-2 / np.sqrt(np.pi) * np.exp(-(x**2))),
    doc="The complementary error function ``1 - erf(x)``, to the last digits also where that would cancel.",
)

# ------------------------------------------------------------------------------------------------ logarithms


@public()
def xlogy(x: Any, y: Any) -> Any:
    """``x log y``, and 0 where x is 0 and y is not positive; both derivatives are 0 there.

    Parameters
    ----------
    x, y : Tensor or ndarray

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac.rules.special import xlogy
    >>> xlogy(tj.tensor([0.0, 2.0]), tj.tensor([0.0, 1.0]))
    tensor([0., 0.])
    """
    return x * log(where((x == 0) & (y <= 0), 1.0, y))


@public()
def logit(x: Any, eps: float | None = None) -> Any:
    """``log(x / (1 - x))``, the inverse of `sigmoid`; ``eps`` limits x to [eps, 1 - eps] first."""
    if eps is not None:
        x = clamp(x, eps, 1 - eps)
    return log(x / (1 - x))
