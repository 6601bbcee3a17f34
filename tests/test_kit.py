"""The tester tested: each deliberately wrong rule or statement is caught, by the check that is there for it."""

from __future__ import annotations

import numpy as np
import pytest
from kit import check, numerical_jacobian, randn, scratch_registry

import tinygrad_jac as tj
from tinygrad_jac.jacobians import Diagonal, Identity, Kron


@pytest.fixture(autouse=True)
def _scratch():
    with scratch_registry():
        yield


def cube(vjp=None, jacobian=None, forward=lambda x: x**3, saves="x", **more):
    return tj.primitive(
        "wrong_cube",
        forward,
        elementwise=True,
        saves=saves,
        vjp=vjp or (lambda g, out, x: g * (3 * x * x)),
        jacobian=jacobian or (lambda out, x: Diagonal(3 * x**2)),
        replace=True,
        **more,
    )


def test_a_right_rule_passes():
    check(lambda x: cube()(x), randn(2, 3))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda g, out, x: g * (3 * x * x) * 1.000001, "VJP of the identity against the statement"),
        (lambda g, out, x: -g * (3 * x * x), "VJP of the identity against the statement"),
        (lambda g, out, x: g * (3 * x * x) + 1e-9, "VJP of the identity|zero cotangent"),
        (lambda g, out, x: g[0] * (3 * x * x), "VJP of the identity|shape|leading"),
        (lambda g, out, x: g * np.asarray(3 * x * x) if type(g) is np.ndarray else g * x.detach(), "on Tensors"),
    ],
)
def test_a_wrong_rule_is_caught(fault, message):
    with pytest.raises((AssertionError, tj.ShapeError), match=message):
        check(lambda x: cube(vjp=fault)(x), randn(2, 3))


def test_a_rule_that_changes_its_cotangent_is_caught():
    def rule(g, out, x):
        g *= 3
        return g * x * x

    with pytest.raises(ValueError, match="read-only"):
        check(lambda x: cube(vjp=rule)(x), randn(2, 3))


def test_a_rule_that_changes_what_is_saved_is_caught():
    def rule(g, out, x):
        if isinstance(x, np.ndarray) and not np.any(g):
            x += 1
        return g * (3 * x * x)

    with pytest.raises(AssertionError, match="a saved array changed"):
        check(lambda x: cube(vjp=rule)(x), randn(2, 3))


def test_a_rule_that_reads_what_is_not_saved_is_caught():
    with pytest.raises(tj.UnsavedError, match="were read, but only its shape was kept"):
        check(lambda x: cube(saves="out")(x), randn(2, 3))


def test_a_wrong_statement_is_caught():
    with pytest.raises(AssertionError, match="against the statement"):
        check(lambda x: cube(jacobian=lambda out, x: Diagonal(3 * x))(x), randn(2, 3))


def test_rule_and_statement_wrong_alike_are_caught_by_numbers():
    wrong = cube(vjp=lambda g, out, x: g * (2 * x * x), jacobian=lambda out, x: Diagonal(2 * x**2))
    with pytest.raises(AssertionError, match="against differences"):
        check(lambda x: wrong(x), randn(2, 3))


def test_a_missing_second_derivative_is_caught():
    def rule(g, out, x):
        return g * (3 * x.array * x.array if isinstance(x, tj.Tensor) else 3 * x * x)

    with pytest.raises(AssertionError, match="second derivative"):
        check(lambda x: cube(vjp=rule)(x), randn(2, 3))


def test_float64_leaking_out_of_a_float32_rule_is_caught():
    def rule(g, out, x):
        return g * (np.array(3.0) * x * x)

    with pytest.raises(AssertionError, match="float32 in, float64 out of the rule"):
        check(lambda x: cube(vjp=rule)(x), randn(2, 3))


def test_a_transposed_matmul_rule_is_caught():
    wrong = tj.primitive(
        "wrong_matmul",
        np.matmul.__call__,
        saves="x y",
        vjp=(lambda g, out, x, y: g @ y, lambda g, out, x, y: x.mT @ g),
        jacobian=(
            lambda out, x, y: Kron(Identity(x.shape[-2]), y.mT),
            lambda out, x, y: Kron(x, Identity(y.shape[-1])),
        ),
    )
    with pytest.raises(AssertionError, match="wrong_matmul, argument 'x'"):
        check(wrong, randn(3, 3), randn(3, 3, seed=1))


def test_numerical_jacobian_of_a_function_known_by_hand():
    x = np.array([1.0, 2.0])
    J = numerical_jacobian(lambda x: np.array([x[0] * x[1], np.exp(x[0])]), [x], 0)
    assert pytest.approx(np.array([[2, 1], [np.e, 0]]), rel=1e-11) == J
