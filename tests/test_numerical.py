"""Numerical derivatives: right over all scales, honest about their errors, and they see kinks."""

import numpy as np
import pytest

from tinygrad_jac.checks.numerical import directional, jacobian
from tinygrad_jac.errors import ShapeError

SCALES = np.array([1e-6, 1e-3, 1.0, 1e3, 1e6])


def refusing_complex(fn):
    """The function, as one that knows real numbers only."""

    def real(*arrays):
        if any(np.iscomplexobj(a) for a in arrays):
            raise TypeError("no complex numbers here")
        return fn(*arrays)

    return real


# name, function, point, derivative (a vector where it is diagonal)
TAME = {
    "square over twelve orders": (lambda x: x**2, SCALES, 2 * SCALES),
    "cube of tiny and huge": (lambda x: x**3, SCALES**2, 3 * SCALES**4),
    "tiny values": (lambda x: 1e-150 * np.sin(x), [0.3, 2.0], 1e-150 * np.cos([0.3, 2.0])),
    "huge values": (lambda x: 1e150 * np.sin(x), [0.3, 2.0], 1e150 * np.cos([0.3, 2.0])),
    "stiff": (lambda x: np.exp(50 * x), [1.0, 0.1, -3.0], 50 * np.exp(50 * np.array([1.0, 0.1, -3.0]))),
    "oscillating": (lambda x: np.sin(1e3 * x), [1.0, 0.1, 0.0], 1e3 * np.cos(1e3 * np.array([1.0, 0.1, 0.0]))),
    "near the pole at 0": (lambda x: 1 / x, [1e-8, -1e-7], -1 / np.array([1e-8, -1e-7]) ** 2),
    "near the pole at 1": (lambda x: 1 / (x - 1), [1 + 1e-8], [-1 / ((1 + 1e-8) - 1) ** 2]),
    "logarithm": (np.log, [1e-8, 1.0, 1e8], [1e8, 1.0, 1e-8]),
    "narrow": (lambda x: np.exp(-(((x - 1) / 1e-6) ** 2)), [1 + 1e-7], None),
    "at zero": (lambda x: np.sin(x) + x**2, [0.0, 0.0], [1.0, 1.0]),
    "kink nearby": (lambda x: np.where(x > 1, 3 * x, x + 2), [1 + 1e-5, 1 - 1e-5], [3.0, 1.0]),
}


@pytest.mark.parametrize("kind", [lambda fn: fn, refusing_complex], ids=["analytic", "real only"])
@pytest.mark.parametrize("name", TAME)
@pytest.mark.parametrize("method", ["auto", "ridders"])
def test_right_to_nine_digits_and_honest(name, kind, method):
    fn, x, d = TAME[name]
    x = np.asarray(x)
    if d is None:
        d = -2 * (x - 1) / 1e-12 * fn(x)
    found = jacobian(kind(fn), x, method=method)
    truth = np.diag(d)
    off = np.abs(found.value - truth)
    assert (off <= 1e-9 * np.abs(truth)).all()
    assert (off <= found.error + 1e-15 * np.abs(truth)).all()
    assert (np.diag(found.error) <= 1e-6 * np.abs(d)).all()
    assert not found.kinks.any()


@pytest.mark.parametrize("kind", [lambda fn: fn, refusing_complex], ids=["analytic", "real only"])
def test_error_estimates_cover_the_truth_for_random_functions(kind):
    random = np.random.default_rng(3)
    claimed = []
    for _ in range(20):
        a, b = random.normal(size=(2, 4, 3)) * 10 ** random.uniform(-3, 3, (2, 4, 1))
        x = random.normal(size=3) * 10 ** random.uniform(-2, 2, 3)
        found = jacobian(kind(lambda x, a=a, b=b: np.sin(a @ x) * np.exp(-((b @ x) ** 2) / 1e4) + 1), x)
        z, y = a @ x, b @ x
        truth = np.exp(-(y**2) / 1e4)[:, None] * (np.cos(z)[:, None] * a - (np.sin(z) * 2 * y / 1e4)[:, None] * b)
        assert (np.abs(found.value - truth) <= 2 * found.error + 1e-13 * np.abs(a).max(axis=1, keepdims=True)).all()
        claimed.append(np.median(found.error / (np.abs(truth).max(axis=1, keepdims=True) + 1e-300)))
    assert np.median(claimed) < 1e-7  # and they do not cry wolf


def test_complex_step_is_exact_where_differences_drown_in_rounding():
    x = np.array([1e-3, 1.0, 1e6])
    exact = jacobian(lambda x: (x**2).sum() + 1e12, x)
    assert exact.method == "complex step"
    np.testing.assert_allclose(exact.value, [2 * x], rtol=1e-14)
    drowned = jacobian(refusing_complex(lambda x: (x**2).sum() + 1e12), x)
    assert drowned.method == "Ridders"
    assert (np.abs(drowned.value - 2 * x) <= drowned.error).all()
    assert drowned.error[0, 0] > 1e-3  # and says so


@pytest.mark.parametrize(
    "fn, derivative",
    [
        (np.abs, np.sign),
        (lambda x: np.sqrt(x * np.conj(x)).real, np.sign),
        (np.real, np.ones_like),
        (lambda x: np.asarray(x).astype(float) ** 2, lambda x: 2 * x),
        (lambda x: np.sign(x) * x**2, lambda x: 2 * np.abs(x)),
        (lambda x: x * abs(x.sum()), None),
        (lambda x: np.linalg.norm(x) ** 2 * np.ones(4), None),
    ],
)
def test_complex_step_is_not_fooled(fn, derivative):
    x = np.array([1.5, -0.7, 3.0, -2e-4])
    found = jacobian(fn, x)
    assert "Ridders" in found.method
    expected = jacobian(refusing_complex(fn), x) if derivative is None else None
    truth = np.diag(derivative(x)) if expected is None else expected.value
    np.testing.assert_allclose(found.value, truth, rtol=1e-8, atol=1e-12)
    assert np.abs(found.value).max() > 0.5


@pytest.mark.parametrize(
    "fn, left, right",
    [
        (np.abs, -1.0, 1.0),
        (lambda x: np.maximum(x, 0), 0.0, 1.0),
        (lambda x: np.maximum(np.sin(x), 3 * x), 1.0, 3.0),
        (lambda x: np.where(x > 0, x, 0.25 * x) + 100, 0.25, 1.0),
        (lambda x: np.where(x >= 0, x, 0.999 * x), 0.999, 1.0),
        (np.floor, np.inf, 0.0),
        (np.ceil, 0.0, np.inf),
        (np.sign, np.inf, np.inf),
        (lambda x: np.sqrt(np.abs(x)), -np.inf, np.inf),
    ],
)
@pytest.mark.parametrize("kind", [lambda fn: fn, refusing_complex], ids=["analytic", "real only"])
@pytest.mark.parametrize("at", [0.0, 1.25])
def test_kinks_and_jumps(fn, left, right, kind, at):
    found = jacobian(kind(lambda x: fn(x - at)), np.array([at, at + 1.5]))
    assert found.kinks.tolist() == [[True, False], [False, False]]
    np.testing.assert_allclose([found.left[0, 0], found.right[0, 0]], [left, right], rtol=1e-6, atol=1e-9)


def test_infinite_slopes_borders_and_values_without_derivative():
    root = jacobian(np.sqrt, np.zeros(()))
    assert root.value == np.inf
    assert np.isnan(root.left)
    assert root.right == np.inf
    assert not root.kinks
    assert jacobian(np.cbrt, np.zeros(())).value == np.inf
    assert jacobian(lambda x: -np.cbrt(x), np.zeros(())).value == -np.inf
    power = jacobian(lambda x: x**2.5, np.zeros(()))
    assert abs(power.value) <= power.error <= 1e-3
    assert np.isnan(power.left)
    for fn in (np.log, lambda x: x / x, lambda x: 1 / x):
        none = jacobian(fn, np.zeros(()))
        assert np.isnan(none.value)
        assert np.isinf(none.error)
        assert not none.kinks
    mixed = jacobian(lambda x: np.stack([np.log(x), x]), np.array(-1.0))
    assert np.isnan(mixed.value[0, 0])
    assert mixed.value[1, 0] == pytest.approx(1)
    assert np.isnan(jacobian(lambda x: x**2, np.array([np.nan, 1.0, np.inf])).value[[0, 2], [0, 2]]).all()


def test_functions_that_raise_outside_of_their_domain():
    import math

    found = jacobian(lambda x: math.sqrt(x[0]), np.array([1e-3]))
    assert found.value[0, 0] == pytest.approx(0.5 / math.sqrt(1e-3), rel=1e-9)
    assert jacobian(lambda x: math.sqrt(float(x[0].real)), np.array([0.0])).value == np.inf
    with pytest.raises(ValueError, match="domain"):
        jacobian(lambda x: math.sqrt(x[0]), np.array([-1.0]))


def test_noise_is_measured_not_assumed():
    coarse = jacobian(refusing_complex(lambda x: np.sin(x) + 1e8), np.array([0.7]))
    assert abs(coarse.value - np.cos(0.7)) <= coarse.error <= 1e-4
    cancelled = jacobian(refusing_complex(lambda x: (x + 1e8) - 1e8), np.array([0.7]))
    assert abs(cancelled.value - 1) <= cancelled.error <= 1e-5
    inside = jacobian(lambda x: np.sin(x.astype(np.float32)).astype(np.float64), np.array([0.5, 1.0]))
    off = np.abs(inside.value - np.diag(np.cos([0.5, 1.0])))
    assert (off <= inside.error).all()
    assert inside.error.max() < 1e-2


def test_float32_input_is_evaluated_in_float64():
    seen = set()

    def fn(x, w):
        seen.update((x.dtype, w.dtype))
        return x * w

    found = jacobian(fn, np.float32([0.1, 0.2]), np.float32([3.0, 4.0]))
    assert seen == {np.dtype(np.float64), np.dtype(np.complex128)}
    np.testing.assert_array_equal(found.value, np.diag([3.0, 4.0]))


def test_shapes_arguments_and_columns():
    x, w = np.arange(6.0).reshape(2, 3) + 0.5, np.arange(12.0).reshape(3, 4)
    full = jacobian(lambda x, w: x @ w, x, w, argnum=1)
    assert full.value.shape == (8, 12)
    np.testing.assert_allclose(full.value, np.kron(x, np.eye(4)), rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(jacobian(lambda x, w: x @ w, x, w, argnum=-1).value, full.value)
    some = jacobian(lambda x, w: x @ w, x, w, argnum=1, columns=[7, 2])
    np.testing.assert_allclose(some.value, full.value[:, [7, 2]], rtol=1e-12, atol=1e-12)
    assert jacobian(lambda x: 3.0 * float(x), np.array(2.0)).value == pytest.approx(3)
    assert jacobian(lambda x: x, np.zeros((0, 3))).value.shape == (0, 0)
    assert jacobian(lambda x: np.zeros((2, 0)), np.zeros(3)).value.shape == (0, 3)
    assert jacobian(lambda x: x.sum(), np.zeros((0,))).value.shape == (1, 0)


def test_very_close_to_a_kink():
    for distance in (1e-7, 1e-9, -1e-9, 1e-11):
        found = jacobian(lambda x: np.where(x > 1, 3 * x, x + 2), np.array([1 + distance]))
        assert abs(found.value[0, 0] - (3 if distance > 0 else 1)) <= found.error[0, 0] <= 0.1


def test_the_given_arrays_are_not_changed_and_not_shared():
    x, w = np.ones(3), np.ones(3)

    def greedy(a, b):
        b += 1
        a *= 2
        return a * b

    found = jacobian(greedy, x, w)
    assert (x == 1).all()
    assert (w == 1).all()
    np.testing.assert_allclose(found.value, 4 * np.eye(3))


def test_number_of_evaluations_is_bounded():
    calls = []

    def count(x):
        calls.append(1)
        return np.tanh(x)

    x = np.linspace(-1, 1, 50)
    found = jacobian(count, x)
    assert found.evaluations == len(calls) <= 3 * 50 + 80
    assert jacobian(refusing_complex(np.tanh), x).evaluations <= 6 * 50 + 80 + 40
    assert jacobian(np.tanh, x, method="ridders").evaluations <= (32 + 20) * 50 + 80
    small = jacobian(refusing_complex(lambda x: np.cos(1e9 * x)), 1e-6 * x)
    assert small.evaluations <= (6 + 52) * 50 + 80


def test_small_entries_take_steps_larger_than_themselves():
    found = jacobian(refusing_complex(lambda x: 1e8 + x), np.array([1e-12]), method="ridders")
    assert abs(found.value[0, 0] - 1) < 1e-2
    assert abs(found.value[0, 0] - 1) <= found.error[0, 0]


def test_step_limits_how_far_the_function_is_asked():
    asked = []

    def fn(x):
        asked.append(float(x.real[0]))
        return np.abs(x) ** 3

    found = jacobian(fn, np.array([2.0]), step=1e-4)
    assert max(abs(a - 2.0) for a in asked) <= 1.001e-4
    assert found.value[0, 0] == pytest.approx(12, rel=1e-9)


def test_directional_derivative():
    x, v = np.array([[0.1, 2.0], [3.0, -1.0]]), np.array([[1.0, 0.5], [-2.0, 0.0]])
    found = directional(lambda x: x @ x, x, v)
    np.testing.assert_allclose(found.value[:, 0], (v @ x + x @ v).ravel(), rtol=1e-10)


def test_refusals():
    with pytest.raises(TypeError, match="real numbers"):
        jacobian(np.abs, np.array([1j]))
    with pytest.raises(TypeError, match="real numbers"):
        jacobian(lambda x: x + 1j, np.ones(1))
    with pytest.raises(TypeError, match="argnum 2"):
        jacobian(np.abs, np.ones(1), argnum=2)
    with pytest.raises(TypeError, match="no complex numbers"):
        jacobian(refusing_complex(np.sin), np.ones(1), method="complex")
    with pytest.raises(ValueError, match="method"):
        jacobian(np.abs, np.ones(1), method="magic")
    with pytest.raises(ShapeError, match=r"\(1,\).*\(2,\)"):
        jacobian(lambda x: x[x > 1], np.array([2.0, 1.0]))


def test_an_output_that_moves_in_steps_coarser_than_its_own_last_digit():
    """The log-probability of a confident class: about -1e-8, in multiples of the last digit of 1."""

    def log_softmax(x):
        z = x - x.max()
        return z - np.log(np.exp(z).sum())

    r = np.random.default_rng(0)
    for gap in np.linspace(14, 24, 11):
        x, v = r.standard_normal(4), r.standard_normal(4)
        x[0] += gap
        p = np.exp(x - x.max()) / np.exp(x - x.max()).sum()
        found = directional(refusing_complex(log_softmax), x, v)
        error = np.abs(found.value.reshape(-1) - (v - p @ v))
        assert (error <= found.error.reshape(-1) + 1e-15).all(), gap
