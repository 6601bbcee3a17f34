"""Arithmetic and elementary functions of one and two arguments: every Jacobian is diagonal.

The arguments broadcast; rules and statements are written as if they did not, the engine sums over what was broadcast.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from ..dtypes import result_type
from ..graph import Variable, array_of, wrap
from ..jacobians import Diagonal, Identity
from ..primitive import Primitive, primitive, ufuncs
from ..spelling import public, unrecorded

# ------------------------------------------------------------------------------------------------ arithmetic

positive = primitive(
    "positive", np.positive, elementwise=True,
    vjp=lambda g, out, x: g,
    jacobian=lambda out, x: Identity(x.shape),
)
negative = primitive(
    "neg", np.negative, elementwise=True,
    vjp=lambda g, out, x: -g,
    jacobian=lambda out, x: Diagonal(np.full(x.shape, -1.0)),
)
add_primitive = primitive(
    "add", np.add, elementwise=True,
    vjp=(lambda g, out, x, y: g,
         lambda g, out, x, y: g),
    jacobian=(lambda out, x, y: Identity(x.shape),
              lambda out, x, y: Identity(y.shape)),
)
subtract_primitive = primitive(
    "sub", np.subtract, elementwise=True,
    vjp=(lambda g, out, x, y: g,
         lambda g, out, x, y: -g),
    jacobian=(lambda out, x, y: Identity(x.shape),
              lambda out, x, y: Diagonal(np.full(y.shape, -1.0))),
)
multiply = primitive(
    "mul", np.multiply, elementwise=True, saves={"x": "y", "y": "x"},
    vjp=(lambda g, out, x, y: g * y,
         lambda g, out, x, y: g * x),
    jacobian=(lambda out, x, y: Diagonal(y),
              lambda out, x, y: Diagonal(x)),
)
divide = primitive(
    "div", np.true_divide, elementwise=True, saves={"x": "y", "y": "x y"},
    vjp=(lambda g, out, x, y: g / y,
         lambda g, out, x, y: -g * (x / y / y)),
    jacobian=(lambda out, x, y: Diagonal(1 / y),
              lambda out, x, y: Diagonal(-x / y**2)),
)
power = primitive(
    "pow", operator.pow, elementwise=True, saves="x y",
    vjp=(lambda g, out, x, y: g * (y * x ** _one_less(y)),
         lambda g, out, x, y: g * (x**y * _log_of_base(x, y))),
    jacobian=(lambda out, x, y: Diagonal(np.where(y == 0, 0.0, y * x ** np.where(y == 0, 1.0, y - 1.0))),
              lambda out, x, y: Diagonal(x**y * np.log(np.where((x == 0) & (y >= 0), 1.0, x)))),
    doc="``x ** y``. By convention d/dx is 0 where y is 0, and d/dy is 0 where x is 0 and y is not negative.",
)
ufuncs[np.power] = power
pow = power
remainder = primitive(
    "remainder", lambda x, y: _whole("remainder", np.remainder, x, y), elementwise=True, saves={"x": "", "y": "x y"},
    vjp=(lambda g, out, x, y: g,
         lambda g, out, x, y: -g * np.floor_divide(x, y)),
    jacobian=(lambda out, x, y: Identity(x.shape),
              lambda out, x, y: Diagonal(-np.round((x - np.remainder(x, y)) / y))),
    doc="``x - n y`` with the quotient n rounded down; n has derivative 0.",
)
ufuncs[np.remainder] = remainder
fmod = primitive(
    "fmod", lambda x, y: _whole("fmod", np.fmod, x, y), elementwise=True, saves="out x y",
    vjp=(lambda g, out, x, y: g,
         lambda g, out, x, y: -g * np.rint((x - out) / y)),
    jacobian=(lambda out, x, y: Identity(x.shape),
              lambda out, x, y: Diagonal(-np.trunc(x / y))),
    doc="``x - n y`` with the quotient n rounded towards 0; n has derivative 0.",
)
ufuncs[np.fmod] = fmod


def _whole(name: str, function: Any, x: Any, y: Any) -> Any:
    """A quotient or a remainder; of integers there is none by 0, where NumPy would warn and say 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        out = function(x, y)
    if np.asarray(out).dtype.kind in "iu" and not np.all(y):
        raise ZeroDivisionError(f"{name}: an integer is divided by 0; floats would give inf or nan")
    return out


def _times(alpha: Any, y: Any, beside: Any) -> Any:
    """``alpha * y``, to be added to something; a sum of integers stays one of integers."""
    if isinstance(alpha, float) and (dtype := result_type(beside, y)).kind in "biu":
        raise TypeError(f"alpha={alpha} is no integer, and the sum has dtype {dtype}: convert one tensor to floats")
    return y * alpha


@public()
def add(x: Any, y: Any, *, alpha: Any = 1) -> Any:
    """``x + alpha * y``."""
    return add_primitive(x, y if alpha == 1 else _times(alpha, y, x))


@public()
def subtract(x: Any, y: Any, *, alpha: Any = 1) -> Any:
    """``x - alpha * y``."""
    return subtract_primitive(x, y if alpha == 1 else _times(alpha, y, x))


@public()
def rsub(x: Any, y: Any, *, alpha: Any = 1) -> Any:
    """``y - alpha * x``: `subtract` from the other side."""
    return subtract_primitive(y, x if alpha == 1 else _times(alpha, x, y))


@public()
def addcmul(x: Any, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Any:
    """``x + value * tensor1 * tensor2``."""
    return add(x, tensor1 * tensor2, alpha=value)


@public()
def addcdiv(x: Any, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Any:
    """``x + value * tensor1 / tensor2``."""
    return add(x, tensor1 / tensor2, alpha=value)


@public(np.float_power)
def float_power(x: Any, exponent: Any) -> Any:
    """`power` in float64."""
    return power(*(v.astype(np.float64) if hasattr(v, "astype") else float(v) for v in (x, exponent)))


@public(np.ldexp)
def ldexp(x: Any, y: Any) -> Any:
    """``x * 2**y``."""
    return x * exp2(y)


sub, mul, neg = subtract, multiply, negative


def _one_less(y: Any) -> Any:
    """y - 1, and 1 where y is 0: there the derivative y x^(y-1) is 0 for every x, 0 included."""
    if isinstance(y, (int, float)):
        return y - 1 if y else 1
    return np.where(y == 0, 1, y - 1).astype(y.dtype)


def _log_of_base(x: Any, y: Any) -> Any:
    """log x, and 0 where x is 0 and y is not negative: there 0^y does not change with y."""
    if isinstance(x, (int, float)):
        return math.log(x) if x > 0 else math.nan if x else np.where(y >= 0, 0.0, -math.inf).astype(y.dtype)
    return np.log(np.where((x == 0) & (y >= 0), 1.0, x))


# ------------------------------------------------------------------------------------------------ powers, logarithms

_LN2, _LN10 = math.log(2), math.log(10)

exp = primitive(
    "exp", np.exp, elementwise=True, saves="out",
    vjp=lambda g, out, x: g * out,
    jacobian=lambda out, x: Diagonal(out),
)
expm1 = primitive(
    "expm1", np.expm1, elementwise=True, saves="out",
    vjp=lambda g, out, x: g * (out + 1),
    jacobian=lambda out, x: Diagonal(out + 1),
)
exp2 = primitive(
    "exp2", np.exp2, elementwise=True, saves="out",
    vjp=lambda g, out, x: g * (out * _LN2),
    jacobian=lambda out, x: Diagonal(_LN2 * out),
)
log = primitive(
    "log", np.log, elementwise=True, saves="x",
    vjp=lambda g, out, x: g / x,
    jacobian=lambda out, x: Diagonal(1 / x),
)
log1p = primitive(
    "log1p", np.log1p, elementwise=True, saves="x",
    vjp=lambda g, out, x: g / (1 + x),
    jacobian=lambda out, x: Diagonal(1 / (1 + x)),
)
log2 = primitive(
    "log2", np.log2, elementwise=True, saves="x",
    vjp=lambda g, out, x: g / (x * _LN2),
    jacobian=lambda out, x: Diagonal(1 / (_LN2 * x)),
)
log10 = primitive(
    "log10", np.log10, elementwise=True, saves="x",
    vjp=lambda g, out, x: g / (x * _LN10),
    jacobian=lambda out, x: Diagonal(1 / (_LN10 * x)),
)
sqrt = primitive(
    "sqrt", np.sqrt, elementwise=True, saves="out",
    vjp=lambda g, out, x: g / (2 * out),
    jacobian=lambda out, x: Diagonal(0.5 / out),
)
rsqrt = primitive(
    "rsqrt", lambda x: 1 / np.sqrt(x), elementwise=True, saves="out",
    vjp=lambda g, out, x: g * (-0.5 * out * out * out),
    jacobian=lambda out, x: Diagonal(-0.5 * out**3),
)
square = primitive(
    "square", np.square, elementwise=True, saves="x",
    vjp=lambda g, out, x: g * (2 * x),
    jacobian=lambda out, x: Diagonal(2 * x),
)
reciprocal = primitive(
    "reciprocal", lambda x: 1 / x, elementwise=True, saves="out",  # np.reciprocal of integers is an integer
    vjp=lambda g, out, x: -g * (out * out),
    jacobian=lambda out, x: Diagonal(-(out**2)),
)
ufuncs[np.reciprocal] = reciprocal
hypot = primitive(
    "hypot", np.hypot, elementwise=True, saves="out x y",
    vjp=(lambda g, out, x, y: g * (x / or_infinity(out)),
         lambda g, out, x, y: g * (y / or_infinity(out))),
    jacobian=(lambda out, x, y: Diagonal(np.cos(np.arctan2(y, x)) * (out > 0)),
              lambda out, x, y: Diagonal(np.sin(np.arctan2(y, x)))),
    doc="``sqrt(x² + y²)`` without overflow; by convention the derivative at (0, 0) is 0, as that of a norm.",
)
logaddexp = primitive(
    "logaddexp", np.logaddexp, elementwise=True, saves="out x y",
    vjp=(lambda g, out, x, y: g * np.exp(x - out),
         lambda g, out, x, y: g * np.exp(y - out)),
    jacobian=(lambda out, x, y: Diagonal(logistic(x - y)),
              lambda out, x, y: Diagonal(logistic(y - x))),
    doc="``log(exp(x) + exp(y))`` without overflow; the derivatives are the softmax of the two.",
)


@public(np.logaddexp2)
def logaddexp2(x: Any, y: Any) -> Any:
    """``log2(2**x + 2**y)`` without overflow."""
    return logaddexp(x * _LN2, y * _LN2) / _LN2


def or_infinity(r: Any) -> Any:
    """r, and infinity where it is 0: what is divided by it becomes 0, the subgradient that PyTorch takes there."""
    return np.where(r == 0, math.inf, r)



def logistic(z: Any) -> Any:
    """1 / (1 + exp(-z)), to the last digits in both tails: what Jacobian statements say where rules say `sigmoid`."""
    return np.exp(np.minimum(z, 0)) / (1 + np.exp(-np.abs(z)))


# ------------------------------------------------------------------------------------------------ trigonometry

sin = primitive(
    "sin", np.sin, elementwise=True, saves="x",
    vjp=lambda g, out, x: g * np.cos(x),
    jacobian=lambda out, x: Diagonal(np.cos(x)),
)
cos = primitive(
    "cos", np.cos, elementwise=True, saves="x",
    vjp=lambda g, out, x: -g * np.sin(x),
    jacobian=lambda out, x: Diagonal(-np.sin(x)),
)
tan = primitive(
    "tan", np.tan, elementwise=True, saves="out",
    vjp=lambda g, out, x: g * (1 + out * out),
    jacobian=lambda out, x: Diagonal(1 + out**2),
)
arcsin = primitive(
    "asin", np.arcsin, elementwise=True, saves="x",
    vjp=lambda g, out, x: g / np.sqrt(1 - x * x),
    jacobian=lambda out, x: Diagonal(1 / np.sqrt(1 - x**2)),
)
arccos = primitive(
    "acos", np.arccos, elementwise=True, saves="x",
    vjp=lambda g, out, x: -g / np.sqrt(1 - x * x),
    jacobian=lambda out, x: Diagonal(-1 / np.sqrt(1 - x**2)),
)
arctan = primitive(
    "atan", np.arctan, elementwise=True, saves="x",
    vjp=lambda g, out, x: g / (1 + x * x),
    jacobian=lambda out, x: Diagonal(1 / (1 + x**2)),
)
arctan2 = primitive(
    "atan2", np.arctan2, elementwise=True, saves="out y x",
    vjp=(lambda g, out, y, x: g * (x / or_infinity(x * x + y * y)),
         lambda g, out, y, x: -g * (y / or_infinity(x * x + y * y))),
    jacobian=(lambda out, y, x: Diagonal(np.cos(out) / np.where(np.hypot(x, y) > 0, np.hypot(x, y), np.inf)),
              lambda out, y, x: Diagonal(-np.sin(out) / np.where(np.hypot(x, y) > 0, np.hypot(x, y), np.inf))),
    doc="The angle of the point (x, y), the ordinate given first; by convention the derivative at (0, 0) is 0.",
)
sinh = primitive(
    "sinh", np.sinh, elementwise=True, saves="x",
    vjp=lambda g, out, x: g * np.cosh(x),
    jacobian=lambda out, x: Diagonal(np.cosh(x)),
)
cosh = primitive(
    "cosh", np.cosh, elementwise=True, saves="x",
    vjp=lambda g, out, x: g * np.sinh(x),
    jacobian=lambda out, x: Diagonal(np.sinh(x)),
)
tanh = primitive(
    "tanh", np.tanh, elementwise=True, saves="out",
    vjp=lambda g, out, x: g * (1.0 - out * out),
    jacobian=lambda out, x: Diagonal(1 - out**2),
)
arcsinh = primitive(
    "asinh", np.arcsinh, elementwise=True, saves="x",
    vjp=lambda g, out, x: g / np.sqrt(x * x + 1),
    jacobian=lambda out, x: Diagonal(1 / np.sqrt(x**2 + 1)),
)
arccosh = primitive(
    "acosh", np.arccosh, elementwise=True, saves="x",
    vjp=lambda g, out, x: g / np.sqrt(x * x - 1),
    jacobian=lambda out, x: Diagonal(1 / np.sqrt(x**2 - 1)),
)
arctanh = primitive(
    "atanh", np.arctanh, elementwise=True, saves="x",
    vjp=lambda g, out, x: g / (1 - x * x),
    jacobian=lambda out, x: Diagonal(1 / (1 - x**2)),
)

asin, acos, atan, atan2 = arcsin, arccos, arctan, arctan2
asinh, acosh, atanh = arcsinh, arccosh, arctanh


@public(np.sinc)
def sinc(x: Any) -> Any:
    """``sin(πx) / πx``, and 1 where x is 0."""
    angle = math.pi * where(x == 0, 1, x)
    return where(x == 0, 1, sin(angle) / angle)


# ------------------------------------------------------------------------------------------------ kinks and choices


def _mask(x: Any, keep: Any) -> Any:
    # Where the dtype has integers of its size, the product of its bits with 0 or 1: np.where branches on every entry,
    # which on masks without a pattern takes ten times as long.
    bits = _BITS.get(x.dtype)
    if bits is None:
        return np.where(keep, x, 0)
    ones = keep.astype(bits)
    return np.multiply(x.view(bits), ones, out=ones if x.shape == ones.shape != () else None).view(x.dtype)


_BITS = {np.dtype(np.float32): np.int32, np.dtype(np.float64): np.int64}

masked: Primitive = primitive(
    "masked", _mask, elementwise=True, saves="keep",
    vjp=(lambda g, out, x, keep: masked(g, keep),
         None),
    jacobian=(lambda out, x, keep: Diagonal(keep.astype(float)),
              None),
    doc="``x`` where the mask of bools holds, else 0: the Hadamard product with 0 and 1, in which 0 times inf is 0.",
)
absolute = primitive(
    "abs", np.absolute, elementwise=True, saves="x",
    vjp=lambda g, out, x: g * np.sign(x),
    jacobian=lambda out, x: Diagonal(np.where(x > 0, 1.0, np.where(x < 0, -1.0, 0.0))),
    doc="``|x|``; by convention the derivative at 0 is 0.",
)
ufuncs[np.fabs] = absolute
maximum = primitive(
    "maximum", np.maximum, elementwise=True, saves="x y",
    vjp=(lambda g, out, x, y: _share(g, x, y),
         lambda g, out, x, y: _share(g, y, x)),
    jacobian=(lambda out, x, y: Diagonal(np.where(x > y, 1.0, np.where(x == y, 0.5, 0.0))),
              lambda out, x, y: Diagonal(np.where(y > x, 1.0, np.where(x == y, 0.5, 0.0)))),
    doc="The larger of two entries; equal ones share the cotangent in halves.",
)
minimum = primitive(
    "minimum", np.minimum, elementwise=True, saves="x y",
    vjp=(lambda g, out, x, y: _share(g, y, x),
         lambda g, out, x, y: _share(g, x, y)),
    jacobian=(lambda out, x, y: Diagonal(np.where(x < y, 1.0, np.where(x == y, 0.5, 0.0))),
              lambda out, x, y: Diagonal(np.where(y < x, 1.0, np.where(x == y, 0.5, 0.0)))),
    doc="The smaller of two entries; equal ones share the cotangent in halves.",
)
_where = primitive(
    "where", np.where, elementwise=True, saves="condition",
    vjp=(None,
         lambda g, out, condition, x, y: masked(g, condition),
         lambda g, out, condition, x, y: masked(g, ~condition)),
    jacobian=(None,
              lambda out, condition, x, y: Diagonal(condition.astype(float)),
              lambda out, condition, x, y: Diagonal(1.0 - condition)),
)
_clamp = primitive(
    "clamp", lambda x, *, low, high: np.clip(x, low, high), elementwise=True, saves="x",
    vjp=lambda g, out, x, *, low, high: masked(g, _within(x, low, high)),
    jacobian=lambda out, x, *, low, high: Diagonal((np.clip(x, low, high) == x).astype(float)),
)


def _within(x: Any, low: Any, high: Any) -> Any:
    if low is None or high is None:
        return x >= low if high is None else x <= high
    return (x >= low) & (x <= high)


def _share(g: Any, x: Any, y: Any) -> Any:
    """The cotangent where x is the larger, half of it where the two are equal."""
    return (masked(g, np.greater(x, y)) + masked(g, np.greater_equal(x, y))) * 0.5


@public(np.where)
def where(condition: Any, x: Any = None, y: Any = None) -> Any:
    """``x`` where the condition holds, else ``y``; with the condition alone, the indices where it holds."""
    if x is None and y is None:
        return tuple(wrap(i) for i in np.nonzero(np.asarray(array_of(condition))))
    condition = condition if isinstance(condition, Variable) else np.asarray(condition)
    return _where(condition if condition.dtype.kind == "b" else condition != 0, x, y)


@public(np.clip)
def clamp(x: Any, min: Any = None, max: Any = None) -> Any:
    """``x`` limited to [min, max].

    The derivative is 1 inside and on the limits, 0 outside. Limits that are arrays take the cotangent where they hold.

    Parameters
    ----------
    x : Tensor or ndarray
    min, max : number, Tensor or ndarray, optional
        One of them may be left out. Where they cross, the result is ``max``.

    Raises
    ------
    ValueError
        Neither limit is given.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac.rules.elementary import clamp
    >>> clamp(tj.tensor([-2.0, 0.5, 2.0]), -1, 1)
    tensor([-1.0000,  0.5000,  1.0000])
    """
    if min is None and max is None:
        raise ValueError("clamp needs at least one of min and max")
    if _is_number(min) and _is_number(max):
        return _clamp(x, low=_plain(min), high=_plain(max))
    if min is not None:
        x = where(x < min, min, x)
    return x if max is None else where(x > max, max, x)


@public()
def clamp_min(x: Any, min: Any) -> Any:
    """``x``, but not less than ``min``; see `clamp`."""
    return clamp(x, min)


@public()
def clamp_max(x: Any, max: Any) -> Any:
    """``x``, but not more than ``max``; see `clamp`."""
    return clamp(x, None, max)


@public(np.fmax)
def fmax(x: Any, y: Any) -> Any:
    """The larger of two entries, the other one beside a nan; of equal ones the first receives the cotangent."""
    return where((x >= y) | np.isnan(y), x, y)


@public(np.fmin)
def fmin(x: Any, y: Any) -> Any:
    """The smaller of two entries, the other one beside a nan; of equal ones the first receives the cotangent."""
    return where((x <= y) | np.isnan(y), x, y)


@public(np.heaviside)
def heaviside(x: Any, values: Any) -> Any:
    """0 where x is negative, 1 where it is positive, ``values`` where it is 0."""
    return where(x == 0, values, (x > 0).astype(x.dtype))


@public(np.copysign)
def copysign(x: Any, y: Any) -> Any:
    """``|x|`` with the sign of ``y``, that of -0.0 included."""
    size = absolute(x)
    if getattr(x, "dtype", np.dtype(float)).kind in "biu":
        size = size.astype(y.dtype) if getattr(y, "dtype", np.dtype(int)).kind == "f" else size * 1.0
    return size * where(np.signbit(y), -1, 1)


def _is_number(limit: Any) -> bool:
    """Whether a limit is a constant, or left out."""
    return np.ndim(limit) == 0 and getattr(limit, "node", None) is None


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


@public()
def lerp(x: Any, end: Any, weight: Any) -> Any:
    """The point between ``x`` and ``end``: ``x + weight * (end - x)``, counted from the nearer of the two."""
    near = array_of(weight) < 0.5
    if np.ndim(near):
        return where(near, x + weight * (end - x), end - (1 - weight) * (end - x))
    return x + weight * (end - x) if near else end - (1 - weight) * (end - x)


@public(np.nan_to_num)
def nan_to_num(x: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Any:
    """``x`` with other numbers in place of nan and ±inf (by default 0 and the dtype's largest); derivative 0 there."""
    if x.dtype.kind != "f":
        return x
    largest = np.finfo(x.dtype)
    x = where(np.isnan(x), nan, x)
    x = where(x == math.inf, float(largest.max) if posinf is None else posinf, x)
    return where(x == -math.inf, float(largest.min) if neginf is None else neginf, x)


@public(np.deg2rad, np.radians)
def deg2rad(x: Any) -> Any:
    """Degrees in radians."""
    return x * (math.pi / 180)


@public(np.rad2deg, np.degrees)
def rad2deg(x: Any) -> Any:
    """Radians in degrees."""
    return x * (180 / math.pi)


# ------------------------------------------------------------------------------------------------ steps and tests


def _step(name: str, function: np.ufunc) -> Any:
    """A function that is constant between its jumps: its derivative is 0, by convention at the jumps too."""
    return primitive(
        name, function, elementwise=True,
        vjp=lambda g, out, x: np.zeros_like(g),
        jacobian=lambda out, x: Diagonal(np.zeros(x.shape)),
        doc=f"``numpy.{function.__name__}``, with derivative 0.",
    )


sign = _step("sign", np.sign)
floor = _step("floor", np.floor)
ceil = _step("ceil", np.ceil)
trunc = _step("trunc", np.trunc)
rint = _step("round", np.rint)
fix, sgn = trunc, sign


@public()
def frac(x: Any) -> Any:
    """What remains of ``x`` without its integer part: ``x - trunc(x)``."""
    return x - trunc(x)




@public(np.round, np.around)
def round(x: Any, decimals: int = 0) -> Any:
    """``x`` to a number of decimals, halves to the even neighbour; with derivative 0."""
    if x.dtype.kind in "biu":
        return wrap(np.round(x.array, decimals)) if isinstance(x, Variable) else np.round(x, decimals)
    if not decimals:
        return rint(x)
    scale = 10.0 ** abs(decimals)
    return rint(x * scale) / scale if decimals > 0 else rint(x / scale) * scale


equal = unrecorded(np.equal)
not_equal = unrecorded(np.not_equal)
less = unrecorded(np.less)
less_equal = unrecorded(np.less_equal)
greater = unrecorded(np.greater)
greater_equal = unrecorded(np.greater_equal)
logical_and = unrecorded(np.logical_and)
logical_or = unrecorded(np.logical_or)
logical_not = unrecorded(np.logical_not)
logical_xor = unrecorded(np.logical_xor)
bitwise_and = unrecorded(np.bitwise_and)
bitwise_or = unrecorded(np.bitwise_or)
bitwise_xor = unrecorded(np.bitwise_xor)
bitwise_not = unrecorded(np.invert)
bitwise_left_shift = unrecorded(np.left_shift)
bitwise_right_shift = unrecorded(np.right_shift)
gcd = unrecorded(np.gcd)
lcm = unrecorded(np.lcm)
nextafter = unrecorded(np.nextafter)
floor_divide = unrecorded(
    lambda x, y: _whole("floor_divide", np.floor_divide, x, y), name="floor_divide",
    doc="``x / y`` rounded downwards: not differentiable, hence not recorded. Integers stay integers.",
)
ufuncs[np.floor_divide] = floor_divide
isnan = unrecorded(np.isnan)
isinf = unrecorded(np.isinf)
isfinite = unrecorded(np.isfinite)
signbit = unrecorded(np.signbit)
isposinf = unrecorded(np.isposinf)
isneginf = unrecorded(np.isneginf)
isreal = unrecorded(np.isreal)
eq, ne, lt, le, gt, ge = equal, not_equal, less, less_equal, greater, greater_equal


# Not the floor of the quotient as it is rounded: 1 / 0.1 is 10, and 0.1 is contained in 1 nine times, being above 1/10.
_floor_of_quotient = primitive(
    "floor_of_quotient", lambda x, y: _whole("div", np.floor_divide, x, y), elementwise=True,
    vjp=(lambda g, out, x, y: np.zeros_like(g),
         lambda g, out, x, y: np.zeros_like(g)),
    jacobian=(lambda out, x, y: Diagonal(np.zeros(x.shape)),
              lambda out, x, y: Diagonal(np.zeros(y.shape))),
    doc="``x / y`` rounded downwards, with derivative 0.",
)


@public()
def div(x: Any, y: Any, *, rounding_mode: str | None = None) -> Any:
    """``x / y``; rounded towards zero (``"trunc"``) or downwards (``"floor"``) on request, with derivative 0 then."""
    rounded = {None: lambda q: q, "trunc": trunc, "floor": floor}
    if rounding_mode not in rounded:
        raise ValueError(f"rounding_mode is None, 'trunc' or 'floor', not {rounding_mode!r}")
    if rounding_mode and all(getattr(v, "dtype", np.dtype(type(v))).kind in "iu" for v in (x, y)):
        quotient = floor_divide(x, y)  # an integer, as PyTorch has it
        return quotient if rounding_mode == "floor" else quotient + ((x % y != 0) & ((x < 0) != (y < 0)))
    if rounding_mode == "floor":
        return _floor_of_quotient(x, y)
    return rounded[rounding_mode](divide(x, y))

