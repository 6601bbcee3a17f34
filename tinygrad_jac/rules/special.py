"""Special functions: the error function, which NumPy does not have, and logarithms that are careful at 0."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..jacobians import Diagonal
from ..primitive import Primitive, primitive
from ..spelling import public
from .elementary import clamp, log, masked, where
from .precision import in_single

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


def _in_pieces(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A function of many passes over its argument, applied to pieces of it that stay in the processor's cache.

    Smaller pieces would do as well, but each pass over one costs a call: 131,072 floats take 0.29 ms in pieces of 256
    KiB, 0.54 in pieces of 32.
    """

    def pieces(x: Any) -> Any:
        if x.dtype.kind != "f":
            x = x.astype(np.float64)
        flat, size = x.reshape(-1), (1 << 18) // x.itemsize
        parts = [function(flat[k : k + size]) for k in range(0, flat.size, size)]
        return (parts[0] if len(parts) == 1 else np.concatenate(parts) if parts else flat).reshape(x.shape)

    return pieces


_SLOPE = 2 / math.sqrt(math.pi)  # of erf at 0

erf = primitive(
    "erf", _in_pieces(in_single(_erf)), elementwise=True, saves="x",
    vjp=lambda g, out, x: g * (_SLOPE * np.exp(-x * x)),
    jacobian=lambda out, x: Diagonal(2 / np.sqrt(np.pi) * np.exp(-(x**2))),
    doc="The error function ``2/√π ∫₀ˣ exp(-t²) dt``, to the last digits of the dtype.",
)
erfc = primitive(
    "erfc", _in_pieces(in_single(_erfc)), elementwise=True, saves="x",
    vjp=lambda g, out, x: -g * (_SLOPE * np.exp(-x * x)),
    jacobian=lambda out, x: Diagonal(-2 / np.sqrt(np.pi) * np.exp(-(x**2))),
    doc="The complementary error function ``1 - erf(x)``, to the last digits also where that would cancel.",
)

# Its inverse: an approximation to seven digits (M. Giles, Approximating the erfinv function, GPU Computing Gems 2,
# 2010), polynomials in w = -log(1 - y²), then two steps of Halley's method on erfc, which is exact where erf nears 1.

_INVERSE_NEAR = (
    2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 2.1858087e-04, -1.25372503e-03, -4.17768164e-03,
    2.46640727e-01, 1.50140941e00,
)
_INVERSE_FAR = (
    -2.00214257e-04, 1.00950558e-04, 1.34934322e-03, -3.67342844e-03, 5.73950773e-03, -7.6224613e-03, 9.43887047e-03,
    1.00167406e00, 2.83297682e00,
)


def _erfinv(y: Any) -> Any:
    a = np.abs(y).astype(np.float64)
    inside = a < 1
    b = np.where(inside, a, 0.0)
    w = -np.log((1 - b) * (1 + b))
    x = b * np.where(w < 5, _polynomial(_INVERSE_NEAR, w - 2.5), _polynomial(_INVERSE_FAR, np.sqrt(w) - 3))
    # Beyond what a float32 can be: from erfc x ≈ exp(-x²) / (x √π).
    x = np.where(w < 16, x, np.sqrt(np.maximum(-np.log((1 - b) * np.sqrt(math.pi * np.maximum(w, 1))), 0)))
    for _ in range(2):
        error = np.where(b < 0.5, _erf(x) - b, (1 - b) - _erfc(x)) / (_SLOPE * np.exp(-x * x))
        x = x - error / (1 + x * error)
    x = np.where(inside, x, np.where(a == 1, math.inf, math.nan))
    return np.copysign(x, y).astype(y.dtype)


erfinv = primitive(
    "erfinv", _in_pieces(in_single(_erfinv)), elementwise=True, saves="out",
    vjp=lambda g, out, x: g * (np.exp(out * out) / _SLOPE),
    jacobian=lambda out, x: Diagonal(np.sqrt(np.pi) / 2 / np.exp(-(out**2))),
    doc="The inverse of `erf` on (-1, 1); ±inf at ±1, nan beyond.",
)

# ------------------------------------------------------------------------------------------------ the gamma function


def _lgamma(x: Any) -> Any:
    x = x if x.dtype.kind == "f" else x.astype(np.float64)
    safe = np.where((x <= 0) & (x == np.floor(x)), math.inf, x)  # at the poles it is infinite
    return np.fromiter(map(math.lgamma, safe.reshape(-1).tolist()), np.float64, x.size).reshape(x.shape).astype(x.dtype)


# B_2k / (2k)!, for the asymptotic expansion of the polygamma functions.
_BERNOULLI = (1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -691 / 1307674368000, 1 / 74724249600)
_LARGE = 15.0  # from there on the expansion is good to the last digits of a float64


def _polygamma(x: Any, n: int) -> Any:
    """The recurrence ψₙ(x) = ψₙ(x+1) - (-1)ⁿ n!/xⁿ⁺¹ up to large x, then the expansion. Abramowitz and Stegun, 6.4."""
    dtype = x.dtype if x.dtype.kind == "f" else np.float64
    given = x = x.astype(np.float64)
    pole = (x <= 0) & (x == np.floor(x))
    mirrored = (x < 0) & ~pole & (n < 2)
    x = np.where(mirrored, 1 - x, np.where(pole | (x < -1000) | np.isnan(x), np.nan, x))
    sign, total, z = (-1.0) ** n, np.zeros_like(x), x.copy()
    while (small := z < _LARGE).any():
        total -= np.where(small, sign * math.factorial(n) / np.where(small, z, 1.0) ** (n + 1), 0.0)
        z += small
    with np.errstate(invalid="ignore"):
        tail = np.log(z) if n == 0 else -sign * (math.factorial(n - 1) / z**n)
        tail = tail - sign * math.factorial(n) / 2 / z ** (n + 1)
        for k, b in enumerate(_BERNOULLI, 1):
            tail = tail - sign * b * math.factorial(2 * k + n - 1) / z ** (2 * k + n)
        total += tail
        if mirrored.any():  # the reflection formulas, of which there is a short one for n = 0 and 1
            angle = math.pi * np.where(mirrored, 1 - x, 0.5)
            total = np.where(mirrored, total - math.pi / np.tan(angle) if n == 0
                             else (math.pi / np.sin(angle)) ** 2 - total, total)
    at_pole = np.where(given == 0, np.copysign(math.inf, -given), math.nan) if n == 0 else math.inf
    return np.where(pole, at_pole, total).astype(dtype)


lgamma = primitive(
    "lgamma", _lgamma, elementwise=True, saves="x",
    vjp=lambda g, out, x: g * _polygammas(x, n=0),
    jacobian=lambda out, x: Diagonal(_polygamma(x, 0)),
    doc="log |Γ(x)|; its derivative is the digamma function.",
)
_polygammas: Primitive = primitive(
    "polygamma", lambda x, *, n: _polygamma(x, n), elementwise=True, saves="x",
    vjp=lambda g, out, x, *, n: g * _polygammas(x, n=n + 1),
    jacobian=lambda out, x, *, n: Diagonal(_polygamma(x, n + 1)),
    doc="The derivative of order n of the digamma function; each is the derivative of the one before.",
)


@public()
def digamma(x: Any) -> Any:
    """The derivative of `lgamma`; nan at -1, -2, …, infinite at 0."""
    return _polygammas(x, n=0)


@public()
def polygamma(n: int, x: Any) -> Any:
    """The derivative of order n of `digamma`. For n of 2 and more nan below -1000, where no short formula holds."""
    if n < 0:
        raise ValueError(f"polygamma: the order of a derivative is not negative, as {n} is")
    return _polygammas(x, n=int(n))


# ------------------------------------------------------------------------------------------------ logarithms


@public()
def xlogy(x: Any, y: Any) -> Any:
    """``x log y``, and 0 where x is 0 and log y is not finite; both derivatives are 0 there.

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
    return x * log(where((x == 0) & ((y <= 0) | (y == math.inf)), 1.0, y))


@public()
def logit(x: Any, eps: float | None = None) -> Any:
    """``log(x / (1 - x))``, the inverse of `sigmoid`; ``eps`` limits x to [eps, 1 - eps] first."""
    if eps is not None:
        x = clamp(x, eps, 1 - eps)
    return log(x / (1 - x))
