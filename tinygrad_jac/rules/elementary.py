"""Arithmetic and elementary functions of one and two arguments: every Jacobian is diagonal.

The arguments broadcast; rules and statements are written as if they did not, the engine sums over what was broadcast.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..graph import wrap
from ..jacobians import Diagonal, Identity
from ..primitive import primitive, ufuncs
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
add = primitive(
    "add", np.add, elementwise=True,
    vjp=(lambda g, out, x, y: g,
         lambda g, out, x, y: g),
    jacobian=(lambda out, x, y: Identity(x.shape),
              lambda out, x, y: Identity(y.shape)),
)
subtract = primitive(
    "sub", np.subtract, elementwise=True,
    vjp=(lambda g, out, x, y: g,
         lambda g, out, x, y: -g),
    jacobian=(lambda out, x, y: Identity(x.shape),
              lambda out, x, y: Diagonal(np.full(y.shape, -1.0))),
)
multiply = primitive(
    "mul", np.multiply, elementwise=True, saves="x y",
    vjp=(lambda g, out, x, y: g * y,
         lambda g, out, x, y: g * x),
    jacobian=(lambda out, x, y: Diagonal(y),
              lambda out, x, y: Diagonal(x)),
)
divide = primitive(
    "div", np.true_divide, elementwise=True, saves="x y",
    vjp=(lambda g, out, x, y: g / y,
         lambda g, out, x, y: -g * x / (y * y)),
    jacobian=(lambda out, x, y: Diagonal(1 / y),
              lambda out, x, y: Diagonal(-x / y**2)),
)
power = primitive(
    "pow", operator.pow, elementwise=True, saves="out x y",
    vjp=(lambda g, out, x, y: g * (y * x ** _one_less(y)),
         lambda g, out, x, y: g * (out * _log_or_zero(x))),
    jacobian=(lambda out, x, y: Diagonal(np.where(y == 0, 0.0, y * x ** np.where(y == 0, 1.0, y - 1.0))),
              lambda out, x, y: Diagonal(np.where(x == 0, 0.0, out * np.log(np.where(x == 0, 1.0, x))))),
    doc="``x ** y``. By convention d/dx is 0 where y is 0, and d/dy is 0 where x is 0.",
)
ufuncs[np.power] = ufuncs[np.float_power] = power


def _one_less(y: Any) -> Any:
    """y - 1, and 1 where y is 0: there the derivative y x^(y-1) is 0 for every x, 0 included."""
    if isinstance(y, (int, float)):
        return y - 1 if y else 1
    return np.where(y == 0, 1, y - 1).astype(y.dtype)


def _log_or_zero(x: Any) -> Any:
    """log x, and 0 where x is 0: 0^y does not change with y."""
    if isinstance(x, (int, float)):
        return np.log(x) if x else 0.0
    return np.where(x == 0, 0.0, np.log(np.where(x == 0, 1.0, x)))


@public(np.remainder)
def remainder(x: Any, y: Any) -> Any:
    """The remainder with the sign of ``y``: ``x - floor(x / y) * y``, whose floor has derivative 0."""
    return x - floor(divide(x, y)) * y


# ------------------------------------------------------------------------------------------------ powers, logarithms

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
    "reciprocal", np.reciprocal, elementwise=True, saves="out",
    vjp=lambda g, out, x: -g * (out * out),
    jacobian=lambda out, x: Diagonal(-(out**2)),
)

_LN2, _LN10 = 0.6931471805599453, 2.302585092994046

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
    "atan2", np.arctan2, elementwise=True, saves="y x",
    vjp=(lambda g, out, y, x: g * x / (x * x + y * y),
         lambda g, out, y, x: -g * y / (x * x + y * y)),
    jacobian=(lambda out, y, x: Diagonal(x / (x**2 + y**2)),
              lambda out, y, x: Diagonal(-y / (x**2 + y**2))),
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
    vjp=lambda g, out, x: g * (1 - out * out),
    jacobian=lambda out, x: Diagonal(1 - out**2),
)

# ------------------------------------------------------------------------------------------------ kinks and choices

absolute = primitive(
    "abs", np.absolute, elementwise=True, saves="x",
    vjp=lambda g, out, x: g * np.sign(x),
    jacobian=lambda out, x: Diagonal(np.sign(x)),
    doc="``|x|``; by convention the derivative at 0 is 0.",
)
maximum = primitive(
    "maximum", np.maximum, elementwise=True, saves="x y",
    vjp=(lambda g, out, x, y: g * _share(x, y),
         lambda g, out, x, y: g * _share(y, x)),
    jacobian=(lambda out, x, y: Diagonal(np.where(x > y, 1.0, np.where(x == y, 0.5, 0.0))),
              lambda out, x, y: Diagonal(np.where(y > x, 1.0, np.where(x == y, 0.5, 0.0)))),
    doc="The larger of two entries; equal ones share the cotangent in halves.",
)
minimum = primitive(
    "minimum", np.minimum, elementwise=True, saves="x y",
    vjp=(lambda g, out, x, y: g * _share(y, x),
         lambda g, out, x, y: g * _share(x, y)),
    jacobian=(lambda out, x, y: Diagonal(np.where(x < y, 1.0, np.where(x == y, 0.5, 0.0))),
              lambda out, x, y: Diagonal(np.where(y < x, 1.0, np.where(x == y, 0.5, 0.0)))),
    doc="The smaller of two entries; equal ones share the cotangent in halves.",
)
_where = primitive(
    "where", np.where, elementwise=True, saves="condition",
    vjp=(None,
         lambda g, out, condition, x, y: np.where(condition, g, 0.0),
         lambda g, out, condition, x, y: np.where(condition, 0.0, g)),
    jacobian=(None,
              lambda out, condition, x, y: Diagonal(condition.astype(float)),
              lambda out, condition, x, y: Diagonal(1.0 - condition)),
)
_clamp = primitive(
    "clamp", lambda x, *, low, high: np.clip(x, low, high), elementwise=True, saves="x",
    vjp=lambda g, out, x, *, low, high: np.where(_within(x, low, high), g, 0.0),
    jacobian=lambda out, x, *, low, high: Diagonal((np.clip(x, low, high) == x).astype(float)),
)


def _share(x: Any, y: Any) -> Any:
    """1 where x is the larger, 1/2 where the two are equal."""
    return 0.5 * np.greater(x, y) + 0.5 * np.greater_equal(x, y)


def _within(x: Any, low: Any, high: Any) -> Any:
    inside = True if low is None else x >= low
    return inside if high is None else inside & (x <= high)


@public(np.where)
def where(condition: Any, x: Any = None, y: Any = None) -> Any:
    """``x`` where the condition holds, else ``y``; with the condition alone, the indices where it holds."""
    if x is None and y is None:
        return tuple(wrap(i) for i in np.nonzero(_plain_array(condition)))
    return _where(condition, x, y)


@public(np.clip)
def clamp(x: Any, min: Any = None, max: Any = None) -> Any:
    """``x`` limited to [min, max].

    The derivative is 1 inside and on the limits, 0 outside. Limits that are arrays take the cotangent where they hold.

    Raises
    ------
    ValueError
        Neither limit is given.
    """
    if min is None and max is None:
        raise ValueError("clamp needs at least one of min and max")
    if np.ndim(min) == 0 and np.ndim(max) == 0 and not _is_tracked(min) and not _is_tracked(max):
        return _clamp(x, low=_plain(min), high=_plain(max))
    if min is not None:
        x = _where(x < min, min, x)
    return x if max is None else _where(x > max, max, x)


def _plain_array(x: Any) -> Any:
    return np.asarray(getattr(x, "array", x))


def _is_tracked(value: Any) -> bool:
    return getattr(value, "node", None) is not None


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


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
floor_divide = unrecorded(np.floor_divide)
isnan = unrecorded(np.isnan)
isinf = unrecorded(np.isinf)
isfinite = unrecorded(np.isfinite)
