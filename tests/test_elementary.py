"""Arithmetic, elementary functions, choices and steps, and the special functions: values, every derivative, dtypes."""

from __future__ import annotations

import math

import kit
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_jac as tj
from tinygrad_jac.rules import elementary as e
from tinygrad_jac.rules import special

UNIT = np.linspace(-0.8, 0.7, 6).reshape(2, 3)
MATRIX = kit.randn(2, 3)

# name: (function, argument, its derivative as the textbook writes it, the name in torch)
UNARY = {
    "positive": (e.positive, MATRIX, np.ones_like, "positive"),
    "negative": (e.negative, MATRIX, lambda x: -np.ones_like(x), "neg"),
    "exp": (e.exp, MATRIX, np.exp, "exp"),
    "expm1": (e.expm1, MATRIX, np.exp, "expm1"),
    "exp2": (e.exp2, MATRIX, lambda x: np.log(2) * 2**x, "exp2"),
    "log": (e.log, kit.positive(2, 3), lambda x: 1 / x, "log"),
    "log1p": (e.log1p, UNIT, lambda x: 1 / (1 + x), "log1p"),
    "log2": (e.log2, kit.positive(2, 3), lambda x: 1 / (x * np.log(2)), "log2"),
    "log10": (e.log10, kit.positive(2, 3), lambda x: 1 / (x * np.log(10)), "log10"),
    "sqrt": (e.sqrt, kit.positive(2, 3), lambda x: 0.5 * x**-0.5, "sqrt"),
    "rsqrt": (e.rsqrt, kit.positive(2, 3), lambda x: -0.5 * x**-1.5, "rsqrt"),
    "square": (e.square, MATRIX, lambda x: 2 * x, "square"),
    "reciprocal": (e.reciprocal, MATRIX, lambda x: -1 / x**2, "reciprocal"),
    "sin": (e.sin, MATRIX, np.cos, "sin"),
    "cos": (e.cos, MATRIX, lambda x: -np.sin(x), "cos"),
    "tan": (e.tan, UNIT, lambda x: 1 / np.cos(x) ** 2, "tan"),
    "arcsin": (e.arcsin, UNIT, lambda x: 1 / np.sqrt(1 - x**2), "asin"),
    "arccos": (e.arccos, UNIT, lambda x: -1 / np.sqrt(1 - x**2), "acos"),
    "arctan": (e.arctan, MATRIX, lambda x: 1 / (1 + x**2), "atan"),
    "sinh": (e.sinh, MATRIX, np.cosh, "sinh"),
    "cosh": (e.cosh, MATRIX, np.sinh, "cosh"),
    "tanh": (e.tanh, MATRIX, lambda x: 1 / np.cosh(x) ** 2, "tanh"),
    "arcsinh": (e.arcsinh, MATRIX, lambda x: 1 / np.sqrt(x**2 + 1), "asinh"),
    "arccosh": (e.arccosh, kit.positive(2, 3) + 1, lambda x: 1 / np.sqrt(x**2 - 1), "acosh"),
    "arctanh": (e.arctanh, UNIT, lambda x: 1 / (1 - x**2), "atanh"),
    "absolute": (e.absolute, MATRIX, np.sign, "abs"),
    "deg2rad": (e.deg2rad, MATRIX, lambda x: np.full_like(x, math.pi / 180), "deg2rad"),
    "rad2deg": (e.rad2deg, MATRIX, lambda x: np.full_like(x, 180 / math.pi), "rad2deg"),
    "erf": (special.erf, MATRIX, lambda x: 2 / math.sqrt(math.pi) * np.exp(-(x**2)), "erf"),
    "erfc": (special.erfc, MATRIX, lambda x: -2 / math.sqrt(math.pi) * np.exp(-(x**2)), "erfc"),
    "erfinv": (
        special.erfinv,
        UNIT,
        lambda x: math.sqrt(math.pi) / 2 * np.exp(special.erfinv(np.asarray(x)) ** 2),
        "erfinv",
    ),
    "frac": (e.frac, MATRIX + 0.03, np.ones_like, "frac"),
    "sinc": (e.sinc, MATRIX, lambda x: np.cos(math.pi * x) / x - np.sin(math.pi * x) / (math.pi * x**2), "sinc"),
    "logit": (special.logit, kit.positive(2, 3) / 3, lambda x: 1 / (x * (1 - x)), "logit"),
}
BINARY = {
    "add": (e.add, MATRIX, kit.randn(3, seed=1), "add"),
    "subtract": (e.subtract, MATRIX, kit.randn(2, 1, seed=1), "sub"),
    "multiply": (e.multiply, MATRIX, kit.randn(3, seed=1), "mul"),
    "divide": (e.divide, MATRIX, kit.randn(2, 1, seed=1), "div"),
    "power": (e.power, kit.positive(2, 3), kit.randn(3, seed=1), "pow"),
    "remainder": (e.remainder, np.array([[5.3, -4.1], [0.7, 9.9]]), np.array([2.0, -1.5]), "remainder"),
    "fmod": (e.fmod, np.array([[5.3, -4.1], [0.7, 9.9]]), np.array([2.0, -1.5]), "fmod"),
    "hypot": (e.hypot, MATRIX, kit.randn(3, seed=1), "hypot"),
    "logaddexp": (e.logaddexp, MATRIX, kit.randn(3, seed=1), "logaddexp"),
    "logaddexp2": (e.logaddexp2, MATRIX, kit.randn(3, seed=1), "logaddexp2"),
    "arctan2": (e.arctan2, MATRIX, kit.randn(3, seed=1), "atan2"),
    "maximum": (e.maximum, MATRIX, kit.randn(3, seed=1), "maximum"),
    "minimum": (e.minimum, MATRIX, kit.randn(3, seed=1), "minimum"),
    "xlogy": (special.xlogy, MATRIX, kit.positive(3), "xlogy"),
}


# ------------------------------------------------------------------------------------------------ every function


@pytest.mark.parametrize("name", UNARY)
def test_one_argument(name):
    function, x, derivative, _ = UNARY[name]
    kit.check(function, x, step=1e-3)
    t = tj.tensor(x, requires_grad=True)
    function(t).sum().backward()
    kit.close(t.grad.array, derivative(x), 1e-13, "the derivative by hand")


@pytest.mark.parametrize("name", BINARY)
def test_two_arguments(name):
    function, x, y, _ = BINARY[name]
    kit.check(function, x, y, step=1e-3)


@pytest.mark.peers
@pytest.mark.parametrize("name", [*UNARY, *BINARY])
def test_against_pytorch(name):
    torch = pytest.importorskip("torch")
    function, *arrays, theirs = (UNARY | BINARY)[name]
    kit.compare_with_torch(function, getattr(torch, theirs), *[a for a in arrays if isinstance(a, np.ndarray)])


SHAPES = st.sampled_from([(), (1,), (3,), (2, 1), (2, 3), (0,), (1, 0)])


@given(st.sampled_from(sorted(set(BINARY) - {"remainder", "fmod"})), SHAPES, SHAPES)
def test_broadcasts(name, a, b):
    try:
        np.broadcast_shapes(a, b)
    except ValueError:
        return
    function = BINARY[name][0]
    x, y = np.asarray(kit.positive(*a)), np.asarray(kit.positive(*b, seed=1) + 1.6)
    kit.check(function, x, y, step=1e-3, second=False)


@pytest.mark.parametrize("name", sorted(set(BINARY) - {"xlogy"}))
def test_shapes_that_do_not_broadcast(name):
    function = BINARY[name][0]
    with pytest.raises(tj.ShapeError, match=r"shapes \(2,\) and \(3,\) do not broadcast"):
        function(tj.tensor([1.0, 2.0]), tj.tensor([1.0, 2.0, 3.0]))


@pytest.mark.parametrize("name", [name for name in UNARY if hasattr(np, name)])
def test_numpys_function_is_ours(name):
    x, ufunc = UNARY[name][1], getattr(np, name)
    t = tj.tensor(x, requires_grad=True)
    out = ufunc(t)
    assert out.requires_grad
    np.testing.assert_allclose(out.array, ufunc(x), rtol=1e-15)


@pytest.mark.parametrize("name", UNARY)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arrays_give_arrays_of_their_dtype(name, dtype):
    function, x, *_ = UNARY[name]
    out = function(x.astype(dtype))
    assert type(out) is np.ndarray
    assert out.dtype == dtype


@pytest.mark.parametrize("function", [e.exp, e.log, e.sqrt, e.reciprocal, special.erf], ids=lambda f: f.name)
def test_integers_become_floats(function):
    out = function(tj.tensor([1, 2]))
    assert out.dtype == np.float32
    np.testing.assert_allclose(out.array, function(np.array([1.0, 2.0])), rtol=1e-6)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x + 1,
        lambda x: 2.0 / x,
        lambda x: x**2,
        lambda x: 2.0**x,
        lambda x: e.maximum(x, 2.0),
        lambda x: e.where(x > 2, x, 0.0),
        lambda x: e.clamp(x, 0.0, 2.0),
        lambda x: e.lerp(x, 3.0, 0.5),
        lambda x: e.hypot(x, 2.0),
        lambda x: e.remainder(x, 2.0),
    ],
)
def test_float32_with_python_numbers_stays_float32(function):
    x = tj.tensor([1.5, 2.5], requires_grad=True)
    out = function(x)
    assert out.dtype == np.float32
    kit.audit(out)
    out.sum().backward()
    assert x.grad.dtype == np.float32


@pytest.mark.parametrize("name", ["exp", "tanh", "sqrt", "square"])
def test_views_and_foreign_byte_order(name):
    function, x, derivative, _ = UNARY[name]
    view = np.repeat(x, 2, axis=1)[:, ::2]
    assert not view.flags.c_contiguous
    t = tj.as_tensor(view).requires_grad_()
    function(t).sum().backward()
    kit.close(t.grad.array, derivative(x), 1e-13, "of a view")
    swapped = tj.as_tensor(x.astype(">f8")).requires_grad_()
    function(swapped).sum().backward()
    kit.close(swapped.grad.array, derivative(x), 1e-13, "big-endian")


# ------------------------------------------------------------------------------------------------ powers


@pytest.mark.parametrize("y", [2, 3, 0.5, -1, 1, 0, -2.5])
def test_powers_by_a_number(y):
    kit.check(lambda x: x**y, kit.positive(3), step=1e-3)


@pytest.mark.parametrize("x", [2, 0.3])
def test_powers_of_a_number(x):
    kit.check(lambda y: x**y, kit.randn(3), step=1e-3)


def test_integer_powers_of_negative_numbers():
    kit.check(lambda x: x**3, -kit.positive(3))


def test_a_square_does_not_keep_its_output():
    x = tj.tensor([3.0], requires_grad=True)
    y = x**2
    y += 1  # what the rule needs is x, not the square
    y.sum().backward()
    assert x.grad.tolist() == [6.0]


@pytest.mark.parametrize("x, y, quotient", [(5.3, 2.0, 2), (-5.3, 2.0, -3), (5.3, -2.0, -3), (1.0, 0.1, 9)])
def test_remainder_and_its_quotient(x, y, quotient):
    a, b = (tj.tensor(np.array([v]), requires_grad=True) for v in (x, y))
    out = e.remainder(a, b)
    assert out.item() == np.remainder(x, y)
    out.backward()
    assert a.grad.tolist() == [1.0]
    assert b.grad.tolist() == [-quotient]


# ------------------------------------------------------------------------------------------------ large and small


def test_hypot_and_logaddexp_do_not_overflow():
    x = tj.tensor([1e30, 1e-30], requires_grad=True)
    y = tj.tensor([1e30, 1e-30], requires_grad=True)
    e.hypot(x, y).sum().backward()
    np.testing.assert_allclose(x.grad.array, math.sqrt(0.5), rtol=1e-6)
    x = tj.tensor([1e4, -1e4, 0.0], requires_grad=True)
    y = tj.tensor([1e4, 1e4, 0.0], requires_grad=True)
    out = e.logaddexp(x, y)
    np.testing.assert_allclose(out.array, [1e4 + math.log(2), 1e4, math.log(2)], rtol=1e-7)
    out.sum().backward()
    np.testing.assert_allclose(x.grad.array, [0.5, 0.0, 0.5], rtol=1e-3)


def test_division_by_what_has_no_square():
    y = tj.tensor([1e-25], requires_grad=True)  # 1e-50 is 0 in float32
    (tj.tensor([1e-30]) / y).backward()
    np.testing.assert_allclose(y.grad.array, [-1e20], rtol=1e-6)


# ------------------------------------------------------------------------------------------------ choices


def test_masked_is_the_hadamard_product_where_zero_wins():
    x = np.array([1.0, np.inf, np.nan, -2.0])
    keep = np.array([True, False, False, True])
    for dtype in (np.float16, np.float32, np.float64):
        out = e.masked(x.astype(dtype), keep)
        assert out.dtype == dtype
        assert out.tolist() == [1.0, 0.0, 0.0, -2.0]
    assert e.masked(np.array([1, 2]), np.array([True, False])).tolist() == [1, 0]
    kit.check(lambda x: e.masked(x, np.array([True, False, True])), kit.randn(2, 3))
    kit.check(lambda x: e.masked(x, np.array([[True], [False]])), kit.randn(3))
    kit.check(lambda x: e.masked(x, np.array(True)), np.array(2.0))


def test_where():
    condition = np.array([True, False, True])
    kit.check(lambda x, y: e.where(condition, x, y), kit.randn(2, 3), kit.randn(3, seed=1))
    kit.check(lambda x: e.where(x > 0, x, 0.0), kit.randn(4))
    kit.check(lambda x: e.where(np.array([2, 0]), x, 1.0), kit.randn(2))  # what is not 0 is true
    kit.check(lambda x: e.where(True, x, 1.0), kit.randn(2))
    assert [i.tolist() for i in e.where(tj.tensor([[0.0, 1.0], [2.0, 0.0]]))] == [[0, 1], [1, 0]]


def test_the_branch_not_taken_leaves_no_nan():
    x = tj.tensor([-1.0, 4.0], requires_grad=True)
    with np.errstate(divide="ignore"):
        e.sqrt(e.clamp(x, min=0.0)).sum().backward()  # 1/√0 is infinite, and masked
    assert x.grad.tolist() == [0.0, 0.25]


def test_clamp():
    x = np.array([-2.0, -0.5, 0.3, 2.0])
    low, high = np.array([-1.0, -1.0, 0.5, 0.5]), np.array([1.0, 1.0, 1.0, 1.0])
    kit.check(lambda x: e.clamp(x, -1, 1), x)
    kit.check(lambda x: e.clamp(x, min=0.0), x)
    kit.check(lambda x: e.clamp(x, max=1.0), x)
    kit.check(e.clamp, x, low, high)
    assert np.clip(tj.tensor(x), -1, 1).tolist() == [-1.0, -0.5, 0.3, 1.0]
    assert e.clamp(tj.tensor([1, 5]), max=3).dtype == np.int64
    with pytest.raises(ValueError, match="at least one of min and max"):
        e.clamp(tj.tensor(x))


def test_lerp_and_nan_to_num():
    kit.check(e.lerp, kit.randn(3), kit.randn(3, seed=1), kit.positive(3))
    x = tj.tensor([1.0, np.nan, np.inf, -np.inf], requires_grad=True)
    out = e.nan_to_num(x, nan=7.0, neginf=-3.0)
    assert out.tolist() == [1.0, 7.0, float(np.finfo(np.float32).max), -3.0]
    out.sum().backward()
    assert x.grad.tolist() == [1.0, 0.0, 0.0, 0.0]
    np.testing.assert_array_equal(np.nan_to_num(x.detach()).array, np.nan_to_num(x.detach().array))


@given(st.sampled_from([(3,), (2, 3), (2, 1)]), st.sampled_from([(3,), (1, 3), (2, 3)]), st.integers(0, 5))
def test_maximum_and_minimum_share_ties_wherever_they_are(a, b, seed):
    r = kit.rng(seed)
    x, y = (r.integers(0, 2, s).astype(float) for s in (a, b))
    for function, choose in ((e.maximum, np.greater), (e.minimum, np.less)):
        s, t = tj.tensor(x, requires_grad=True), tj.tensor(y, requires_grad=True)
        out = function(s, t)
        kit.audit(out)
        out.sum().backward()
        weight = np.where(x == y, 0.5, choose(x, y))
        np.testing.assert_array_equal(s.grad.array, tj.graph.unbroadcast(weight, a))
        np.testing.assert_array_equal(t.grad.array, tj.graph.unbroadcast(1 - weight, b))


# ------------------------------------------------------------------------------------------------ steps, comparisons


@pytest.mark.parametrize("mode, rounded", [(None, np.positive), ("trunc", np.trunc), ("floor", np.floor)])
def test_division_may_be_rounded(mode, rounded):
    x, y = np.array([5.3, -5.3]), np.array([2.0, 2.0])
    np.testing.assert_array_equal(e.div(tj.tensor(x), tj.tensor(y), rounding_mode=mode).array, rounded(x / y))
    kit.check(lambda x, y: e.div(x, y, rounding_mode=mode), x, y, step=1e-4)
    with pytest.raises(ValueError, match="not 'ceil'"):
        e.div(x, y, rounding_mode="ceil")


@pytest.mark.parametrize("name", ["sign", "floor", "ceil", "trunc", "rint"])
def test_steps_have_derivative_zero(name):
    x = np.array([-1.6, -0.2, 0.4, 2.6])
    kit.check(getattr(e, name), x, step=1e-3)
    np.testing.assert_array_equal(getattr(e, name)(tj.tensor(x)).array, getattr(np, name)(x))


@pytest.mark.parametrize("decimals", [0, 2, -1])
def test_round(decimals):
    x = np.array([12.345, -25.0, 0.125, 14.9])
    np.testing.assert_allclose(e.round(tj.tensor(x), decimals).array, np.round(x, decimals), rtol=1e-15)
    np.testing.assert_allclose(np.round(tj.tensor(x), decimals).array, np.round(x, decimals), rtol=1e-15)
    kit.check(lambda x: e.round(x, decimals), x + 0.0011, step=1e-6)
    integers = np.array([15, 25, -4])
    assert e.round(tj.tensor(integers), decimals).tolist() == np.round(integers, decimals).tolist()


@pytest.mark.parametrize(
    "name",
    ["equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "isnan", "isinf", "isfinite", "signbit"],
)
def test_comparisons_are_not_recorded(name):
    x, y = np.array([1.0, np.nan, -np.inf]), np.array([1.0, 2.0, 3.0])
    arrays = (x, y)[: getattr(np, name).nin]
    out = getattr(np, name)(*(tj.tensor(a, requires_grad=True) for a in arrays))
    assert not out.requires_grad
    np.testing.assert_array_equal(out.array, getattr(np, name)(*arrays))
    np.testing.assert_array_equal(getattr(e, name)(*arrays), getattr(np, name)(*arrays))


# ------------------------------------------------------------------------------------------------ the error function


@pytest.mark.parametrize("name", ["erf", "erfc"])
@pytest.mark.parametrize("dtype, rtol", [(np.float64, 2e-15), (np.float32, 1e-6)])
def test_the_error_function_over_a_wide_grid(name, dtype, rtol):
    edges = [0.46875, 3.92, 4.0, 6.0, 30.0]
    x = np.concatenate([np.linspace(-7, 7, 40001), np.geomspace(1e-30, 27, 5001), edges, np.nextafter(edges, 0)])
    x = x.astype(dtype)
    expected = np.array([getattr(math, name)(float(v)) for v in x])
    found = getattr(special, name)(x)
    assert found.dtype == dtype
    normal = np.abs(expected) > np.finfo(dtype).tiny
    np.testing.assert_allclose(found[normal], expected[normal], rtol=rtol)
    np.testing.assert_allclose(found[~normal], expected[~normal], atol=10 * np.finfo(dtype).tiny)


def test_the_error_function_at_the_ends():
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan])
    np.testing.assert_array_equal(special.erf(x), [0.0, -0.0, 1.0, -1.0, np.nan])
    assert np.signbit(special.erf(x))[1]
    np.testing.assert_array_equal(special.erfc(x), [1.0, 1.0, 0.0, 2.0, np.nan])
    np.testing.assert_array_equal(special.erf(x.astype(np.float32)), [0.0, -0.0, 1.0, -1.0, np.nan])
    assert special.erf(np.zeros((0, 3))).shape == (0, 3)
    assert special.erf(np.array(0.5)).shape == ()
    assert special.erf(np.zeros((300, 70))[:, ::2]).shape == (300, 35)  # several pieces, not contiguous


def test_xlogy_and_logit():
    x, y = (tj.tensor(v, requires_grad=True) for v in ([0.0, 0.0, 2.0], [0.0, 3.0, 1.0]))
    out = special.xlogy(x, y)
    assert out.tolist() == [0.0, 0.0, 0.0]
    out.sum().backward()
    np.testing.assert_allclose(x.grad.array, [0.0, math.log(3), 0.0], rtol=1e-6)
    np.testing.assert_allclose(y.grad.array, [0.0, 0.0, 2.0], rtol=1e-6)
    assert np.isfinite(special.logit(tj.tensor([0.0, 1.0]), eps=1e-6).array).all()


# ------------------------------------------------------------------------------------------------ the gamma function


def test_gamma_functions_at_known_points():
    euler = 0.57721566490153286061
    kit.close(
        special.lgamma(np.array([0.5, 1.0, 2.0, 11.0])), [math.log(math.pi) / 2, 0, 0, math.log(3628800)], 1e-15, ""
    )
    kit.close(special.digamma(np.array([1.0, 0.5, 2.0])), [-euler, -euler - 2 * math.log(2), 1 - euler], 1e-15, "ψ")
    trigamma = special.polygamma(1, np.array([1.0, 0.5, -0.5]))
    kit.close(trigamma, [math.pi**2 / 6, math.pi**2 / 2, math.pi**2 / 2 + 4], 1e-15, "ψ'")
    kit.close(special.polygamma(2, np.array([1.0])), [-2 * 1.2020569031595942854], 1e-15, "-2 ζ(3)")
    assert special.lgamma(np.array([0.0, -3.0, math.inf])).tolist() == [math.inf] * 3
    assert special.digamma(np.array([0.0])).tolist() == [-math.inf]
    assert np.isnan(special.digamma(np.array([-1.0, math.nan]))).all()


@pytest.mark.parametrize("function", [special.lgamma, special.digamma, lambda x: special.polygamma(3, x)], ids=range(3))
def test_gamma_functions(function):
    kit.check(function, np.array([0.4, 1.0, 2.0, 3.3, 20.0]), step=1e-3)


def test_the_inverse_of_the_error_function():
    y = np.concatenate([np.linspace(-0.999, 0.999, 101), [1e-300, 1 - 1e-12, 1 - 2.0**-53, -1 + 1e-9]])
    x = special.erfinv(y)
    kit.close(special.erf(x), y, 1e-15, "erf(erfinv(y))")
    kit.close(special.erfc(x[-3:-1]) / (1 - y[-3:-1]), np.ones(2), 1e-13, "erfc in the tail")
    assert special.erfinv(np.array([1.0, -1.0])).tolist() == [math.inf, -math.inf]
    assert np.isnan(special.erfinv(np.array([1.1, math.nan]))).all()
    assert special.erfinv(np.array([0.5], np.float32)).dtype == np.float32


def test_a_quotient_is_rounded_down_as_it_is():
    x, y = tj.tensor([1.0, -1.0, 7.0], requires_grad=True), tj.tensor([0.1, 0.1, 2.0])
    rounded = tj.div(x, y, rounding_mode="floor")
    assert rounded.tolist() == (x // y).tolist() == [9.0, -10.0, 3.0]
    rounded.sum().backward()
    assert x.grad.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("weight", [1.0, tj.tensor([1.0])])
def test_lerp_ends_where_it_should(weight):
    assert tj.lerp(tj.tensor([1e8]), tj.tensor([1.0]), weight).tolist() == [1.0]
    assert tj.lerp(tj.tensor([1.0]), tj.tensor([1e8]), 0 * weight).tolist() == [1.0]


def test_nothing_times_an_infinite_logarithm():
    y = tj.tensor([0.0, -1.0, math.inf, math.nan])
    np.testing.assert_array_equal(tj.xlogy(tj.zeros(4), y), [0, 0, 0, math.nan])


def test_float_power_is_numpys():
    out = np.float_power(tj.tensor([2, 4]), -1)
    assert (out.dtype, out.tolist()) == (tj.float64, [0.5, 0.25])


@pytest.mark.parametrize("name", ["eq", "ne", "lt", "le", "gt", "ge"])
def test_comparisons_take_pytorchs_names(name):
    x, y = tj.tensor([1.0, 2.0]), tj.tensor([2.0, 2.0])
    expected = getattr(tj, name)(x, y).tolist()
    assert getattr(tj, name)(x, other=y).tolist() == getattr(x, name)(other=y).tolist() == expected
    assert getattr(tj, name)(input=x, other=y).tolist() == expected


def test_two_names_of_one_option_are_refused():
    with pytest.raises(TypeError, match="dim, axis are names of one option"):
        tj.sum(tj.ones(2, 3), dim=0, axis=1)
    with pytest.raises(TypeError):
        tj.sum(tj.ones(2, 3), dim=0.7)


def test_nothing_to_a_negative_power():
    y = tj.tensor([-1.0, 0.0, 2.0], requires_grad=True)
    with np.errstate(divide="ignore"):
        out = 0.0**y
        out.backward(tj.ones(3))
    assert out.tolist() == [math.inf, 1.0, 0.0]
    assert y.grad.tolist() == [-math.inf, 0.0, 0.0]
