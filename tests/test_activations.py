"""Activation functions: values and derivatives by hand, in numbers, in PyTorch; the tails in float32."""

from __future__ import annotations

import math

import kit
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_jac as tj
from tinygrad_jac.rules import activations as a
from tinygrad_jac.rules import special

# Away from the kinks at 0, ±0.5, ±1, ±3 and 6 by more than the steps of the differences.
POINTS = np.array([[-7.0, -2.2, -0.7, -0.2], [0.3, 0.8, 2.4, 6.7]])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def phi(x):
    return np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)


# name: (function, its value, its derivative, PyTorch's)
ACTIVATIONS = {
    "relu": (a.relu, lambda x: x * (x > 0), lambda x: x > 0, lambda f: f.relu),
    "leaky_relu": (
        a.leaky_relu,
        lambda x: np.where(x > 0, x, 0.01 * x),
        lambda x: np.where(x > 0, 1, 0.01),
        lambda f: f.leaky_relu,
    ),
    "leaky_relu_steep": (
        lambda x: a.leaky_relu(x, 1.5),
        lambda x: np.where(x > 0, x, 1.5 * x),
        lambda x: np.where(x > 0, 1, 1.5),
        lambda f: lambda x: f.leaky_relu(x, 1.5),
    ),
    "elu": (
        lambda x: a.elu(x, 0.7),
        lambda x: np.where(x > 0, x, 0.7 * np.expm1(x)),
        lambda x: np.where(x > 0, 1, 0.7 * np.exp(x)),
        lambda f: lambda x: f.elu(x, 0.7),
    ),
    "celu": (
        lambda x: a.celu(x, 0.7),
        lambda x: np.where(x > 0, x, 0.7 * np.expm1(x / 0.7)),
        lambda x: np.where(x > 0, 1, np.exp(x / 0.7)),
        lambda f: lambda x: f.celu(x, 0.7),
    ),
    "selu": (
        a.selu,
        lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)),
        lambda x: 1.0507009873554805 * np.where(x > 0, 1, 1.6732632423543772 * np.exp(x)),
        lambda f: f.selu,
    ),
    "hardtanh": (a.hardtanh, lambda x: x.clip(-1, 1), lambda x: np.abs(x) < 1, lambda f: f.hardtanh),
    "relu6": (a.relu6, lambda x: x.clip(0, 6), lambda x: (x > 0) & (x < 6), lambda f: f.relu6),
    "hardsigmoid": (
        a.hardsigmoid,
        lambda x: ((x + 3) / 6).clip(0, 1),
        lambda x: (np.abs(x) < 3) / 6,
        lambda f: f.hardsigmoid,
    ),
    "hardswish": (
        a.hardswish,
        lambda x: x * ((x + 3) / 6).clip(0, 1),
        lambda x: np.where(x > 3, 1, (2 * x + 3) / 6 * (x > -3)),
        lambda f: f.hardswish,
    ),
    "threshold": (
        lambda x: a.threshold(x, 1.0, -2.0),
        lambda x: np.where(x > 1, x, -2),
        lambda x: x > 1,
        lambda f: lambda x: f.threshold(x, 1.0, -2.0),
    ),
    "hardshrink": (a.hardshrink, lambda x: x * (np.abs(x) > 0.5), lambda x: np.abs(x) > 0.5, lambda f: f.hardshrink),
    "softshrink": (
        a.softshrink,
        lambda x: np.sign(x) * (np.abs(x) - 0.5).clip(0),
        lambda x: np.abs(x) > 0.5,
        lambda f: f.softshrink,
    ),
    "sigmoid": (a.sigmoid, sigmoid, lambda x: sigmoid(x) * sigmoid(-x), lambda f: f.sigmoid),
    "logsigmoid": (a.logsigmoid, lambda x: -np.log1p(np.exp(-x)), lambda x: sigmoid(-x), lambda f: f.logsigmoid),
    "softplus": (a.softplus, lambda x: np.log1p(np.exp(x)), sigmoid, lambda f: f.softplus),
    "softplus_sharp": (
        lambda x: a.softplus(x, 2.0, 5.0),
        lambda x: np.where(2 * x > 5, x, np.log1p(np.exp(2 * x)) / 2),
        lambda x: np.where(2 * x > 5, 1, sigmoid(2 * x)),
        lambda f: lambda x: f.softplus(x, 2.0, 5.0),
    ),
    "tanhshrink": (a.tanhshrink, lambda x: x - np.tanh(x), lambda x: np.tanh(x) ** 2, lambda f: f.tanhshrink),
    "softsign": (a.softsign, lambda x: x / (1 + np.abs(x)), lambda x: (1 + np.abs(x)) ** -2, lambda f: f.softsign),
    "silu": (
        a.silu,
        lambda x: x * sigmoid(x),
        lambda x: sigmoid(x) * (1 + x * sigmoid(-x)),
        lambda f: f.silu,
    ),
    "gelu": (
        a.gelu,
        lambda x: x * special.erfc(-x / math.sqrt(2)) / 2,
        lambda x: special.erfc(-x / math.sqrt(2)) / 2 + x * phi(x),
        lambda f: f.gelu,
    ),
    "gelu_tanh": (
        lambda x: a.gelu(x, "tanh"),
        lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
        None,
        lambda f: lambda x: f.gelu(x, approximate="tanh"),
    ),
    "mish": (a.mish, lambda x: x * np.tanh(np.log1p(np.exp(x))), None, lambda f: f.mish),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_value_and_derivative_by_hand(name):
    function, value, derivative, _ = ACTIVATIONS[name]
    x = tj.tensor(POINTS, requires_grad=True)
    out = function(x)
    kit.close(out.array, value(POINTS), 1e-14, "value")
    if derivative is not None:
        out.sum().backward()
        kit.close(x.grad.array, derivative(POINTS), 1e-14, "derivative")


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_against_numbers(name):
    kit.check(ACTIVATIONS[name][0], POINTS, step=1e-3)


@pytest.mark.peers
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_against_pytorch(name):
    functional = pytest.importorskip("torch").nn.functional
    rtol = 1e-7 if name in ("hardsigmoid", "celu") else 1e-10  # there 1/6 and 1/alpha are rounded to float32
    kit.compare_with_torch(ACTIVATIONS[name][0], ACTIVATIONS[name][3](functional), POINTS, rtol=rtol)


@given(st.sampled_from(sorted(ACTIVATIONS)), st.sampled_from([(), (1,), (0,), (3, 0), (2, 1, 3)]))
def test_shapes(name, shape):
    function, value, *_ = ACTIVATIONS[name]
    x = np.asarray(np.resize(POINTS[::-1], shape))
    out = function(tj.tensor(x, requires_grad=True))
    kit.audit(out)
    kit.close(out.array, np.asarray(value(x)), 1e-14, "value")
    plain = function(x)
    assert not isinstance(plain, tj.Tensor)
    kit.close(plain, out.array, 0, "of an array")


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_large_arguments_overflow_nowhere(name):
    function, *_ = ACTIVATIONS[name]
    for dtype in (np.float32, np.float64):
        x = tj.tensor(np.array([-1e4, -200.0, -90.0, 90.0, 200.0, 1e4], dtype=dtype), requires_grad=True)
        with np.errstate(all="raise", under="ignore"):
            out = function(x)
            assert out.dtype == dtype
            out.sum().backward()
        assert np.isfinite(out.array).all()
        assert np.isfinite(x.grad.array).all()
        kit.audit(function(x))


def test_the_tails_keep_their_digits():
    # 1 - σ(x) and log(1 + exp(x)) are exp(-|x|) there, not 0; float32 goes down to 1e-38.
    for dtype, x in ((np.float32, 80.0), (np.float64, 700.0)):
        expected = np.exp(dtype(-x))
        tail = tj.tensor(np.array([-x], dtype=dtype), requires_grad=True)
        for function in (a.sigmoid, a.softplus):
            tail.grad = None
            out = function(tail)
            np.testing.assert_allclose(out.array, [expected], rtol=1e-6)
            out.backward()
            np.testing.assert_allclose(tail.grad.array, [expected], rtol=1e-6)
        np.testing.assert_allclose(a.logsigmoid(tail).array, [-x], rtol=1e-7)
        np.testing.assert_allclose(a.logsigmoid(-tail).array, [-expected], rtol=1e-6)


def test_relu_is_a_hadamard_product_and_keeps_its_output_only():
    x = tj.tensor([-1.0, 0.0, 2.0, np.nan], requires_grad=True)
    out = a.relu(x)
    np.testing.assert_array_equal(out.array, [0.0, 0.0, 2.0, np.nan])
    J = out.node.primitive.statement(out.node, 0)
    assert J.structure == "diagonal"
    assert J.d.tolist() == [0.0, 0.0, 1.0, 0.0]
    x.array[0] = 5.0  # not what the rule reads
    out.backward(np.array([3.0, 3.0, 3.0, 3.0], dtype=np.float32))
    assert x.grad.tolist() == [0.0, 0.0, 3.0, 0.0]
    assert a.relu(tj.tensor([-2, 3])).tolist() == [0, 3]


@pytest.mark.parametrize("function, at", [
    (a.relu, -1.0), (a.hardtanh, 2.0), (a.relu6, -1.0), (a.hardsigmoid, 9.0), (a.hardshrink, 0.1),
    (a.hardswish, -9.0), (a.hardswish, -3.0), (a.softshrink, 0.1), (a.softshrink, 0.5),
])  # fmt: skip
def test_what_is_zero_stops_an_infinite_cotangent(function, at):
    x = tj.tensor([at], requires_grad=True)
    function(x).backward(tj.tensor([np.inf]))
    assert x.grad.tolist() == [0.0]


def test_relu_stops_an_infinite_cotangent():
    x = tj.tensor([-1.0, 4.0], requires_grad=True)
    with np.errstate(divide="ignore"):
        np.sqrt(a.relu(x)).sum().backward()
    assert x.grad.tolist() == [0.0, 0.25]


@pytest.mark.parametrize("shape, weight", [((2, 3), (3,)), ((2, 3, 4), (3,)), ((2, 3), (1,)), ((4,), (1,)), ((), (1,))])
def test_prelu(shape, weight):
    x, w = np.asarray(kit.randn(*shape)), kit.positive(*weight) / 3
    kit.check(a.prelu, x, w, step=1e-3)
    out = a.prelu(tj.tensor(x), tj.tensor(w))
    slopes = w.reshape(-1, *(1,) * (len(shape) - 2)) if w.size > 1 else w[0]
    np.testing.assert_array_equal(out.array, np.where(x > 0, x, slopes * x))


@pytest.mark.peers
def test_prelu_against_pytorch():
    functional = pytest.importorskip("torch").nn.functional
    kit.compare_with_torch(a.prelu, functional.prelu, kit.randn(2, 3, 4), kit.positive(3))


def test_prelu_refuses_other_weights():
    with pytest.raises(tj.ShapeError, match="1 entry or 3, one for each channel"):
        a.prelu(tj.zeros(2, 3), tj.zeros(2))


@pytest.mark.parametrize("axis", [-1, 0, 1, -2])
def test_glu(axis):
    x = kit.randn(2, 4, 2)
    kit.check(lambda x: a.glu(x, axis), x)
    first, second = np.split(x, 2, axis)
    np.testing.assert_allclose(a.glu(tj.tensor(x), dim=axis).array, first * sigmoid(second), rtol=1e-15)


@pytest.mark.peers
def test_glu_against_pytorch():
    functional = pytest.importorskip("torch").nn.functional
    kit.compare_with_torch(lambda x: a.glu(x, 0), lambda x: functional.glu(x, 0), kit.randn(4, 3))


def test_errors_say_what_is_wrong():
    with pytest.raises(tj.ShapeError, match="size along axis -1 of shape \\(3,\\) must be even"):
        a.glu(tj.zeros(3))
    with pytest.raises(ValueError, match="'none' or 'tanh', not 'erf'"):
        a.gelu(tj.zeros(3), "erf")
    with pytest.raises(ValueError, match="min_val 1 must be below max_val -1"):
        a.hardtanh(tj.zeros(3), 1, -1)


def test_nan_goes_through():
    x = tj.tensor([math.nan, 1.0])
    for out in (a.hardshrink(x), a.softshrink(x), a.threshold(x, 0.0, 5.0), a.hardswish(x)):
        assert math.isnan(out[0].item())
        assert not math.isnan(out[1].item())


def test_arguments_that_nobody_reads_are_refused():
    from tinygrad_jac.nn import functional as F

    x = tj.tensor([[1.0, 2.0]])
    assert F.relu(x, True).tolist() == x.tolist()
    for call in (lambda: F.relu(x, 1, 2, 3), lambda: F.softmax(x, dims=0), lambda: F.softmax(x, 0, axis=1)):
        with pytest.raises(TypeError):
            call()


@pytest.mark.parametrize("function", [a.softplus, a.silu, lambda x: a.logsigmoid(-x)])
def test_far_in_the_tail_the_statement_does_not_cancel(function):
    for entries in ([-12.0], [-14.0, -13.9, -13.8], [-40.0]):
        x = tj.tensor(entries, dtype=tj.float64, requires_grad=True)
        with tj.debug_mode() as report:
            function(x).sum().backward()
        assert report.ok
