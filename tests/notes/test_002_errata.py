"""Slips of the CSE463 slides: the printed form fails a check, the corrected one passes it."""

from __future__ import annotations

import numpy as np
import pytest
from kit import randn
from printed import verdict

import tinygrad_jac as tj
from tinygrad_jac.errors import ShapeError
from tinygrad_jac.jacobians import Dense, chain
from tinygrad_jac.optim import SGD


def test_update_a_column_less_a_row():
    """Printed: θ(t) - η ∂E/∂θ, with ∂E/∂θ = (Ŷ - Y)ᵀ ∂Ŷ/∂θ, a row."""
    X, Y, theta = randn(4, 3), randn(4, 1, seed=1), tj.tensor(randn(3, 1, seed=2), requires_grad=True)
    E = 0.5 * ((tj.tensor(X) @ theta - Y) ** 2).sum()
    row = tj.tensor(chain(E, {"θ": theta}).dense())
    assert row.shape == (1, 3)
    assert (theta.detach() - 0.1 * row).shape == (3, 3), "NumPy's rules make a matrix of it"
    with tj.no_grad(), pytest.raises(ShapeError, match="it cannot grow"):
        theta -= 0.1 * row
    expected = theta.array - 0.1 * row.array.T
    E.backward()
    SGD([theta], lr=0.1).step()
    assert np.allclose(theta.array, expected, rtol=1e-12)


def test_a_distance_and_its_square():
    """In words the cost is the Euclidean distance; the derivative belongs to half its square."""
    Y = tj.tensor(randn(3, seed=1))

    def printed(g, out):
        return g * (out - Y)

    assert "a constant factor" in verdict(lambda out: ((out - Y) ** 2).sum().sqrt(), printed, randn(3))
    assert not verdict(lambda out: 0.5 * ((out - Y) ** 2).sum(), printed, randn(3))


def test_5_53_both_rows():
    """Printed: one row under a brace that says ∂x_2/∂(s, t)."""

    def f(st):
        s, t = st[0], st[1]
        return (s * t) ** 2 + 2 * (s + t**2)

    def outer(st):
        return tj.stack([2 * st[0] * st[1], tj.ones((), dtype=tj.float64) * 2])

    def rows(st):
        one = tj.ones((), dtype=tj.float64)
        return tj.stack([tj.stack([st[1], st[0]]), tj.stack([one, 2 * st[1]])])

    with pytest.raises(ShapeError, match="cannot compose"):
        Dense(randn(1, 2)) @ Dense(randn(1, 2))
    for row in (0, 1):  # whichever row was meant to stand for both
        assert "is wrong" in verdict(f, lambda g, st, row=row: g * (outer(st) * rows(st)[row]), randn(2))
    assert not verdict(f, lambda g, st: g * (outer(st) @ rows(st)), randn(2))


def test_5_6_1_parameters_are_counted_from_0():
    """Printed: gradients by A_j, b_j for j = 1, …, K; the network (5.113) has j = 0, …, K-1."""
    K = 2
    A = {f"A{j}": tj.tensor(randn(3, 3, seed=j), requires_grad=True) for j in range(K)}
    f = tj.tensor(randn(3))
    for j in range(K):
        f = tj.sigmoid(A[f"A{j}"] @ f)
    J = chain((f**2).sum(), A)
    with pytest.raises(KeyError, match=r"no parameter is named 'A2'"):
        [J.product(f"A{j}") for j in range(1, K + 1)]
    assert [J.product(f"A{j}").shape for j in range(K)] == [(1, 9), (1, 9)]


def test_no_slip_the_product_rule_of_numbers():
    """(5.46) is right for numbers; of a number and a vector the first factors change places."""
    f, g = lambda x: (x**2).sum(), lambda x: tj.exp(x).sum()
    assert not verdict(
        lambda x: f(x) * g(x), lambda u, x: u * (2 * x * g(x) + f(x) * tj.exp(x)), randn(3)
    )  # fmt: skip

    def product(x):
        return f(x) * tj.sin(x)

    def printed(u, x):
        return u @ ((2 * x) @ tj.sin(x) + f(x) * tj.diag(tj.cos(x)))

    def in_order(u, x):
        return u @ (tj.outer(tj.sin(x), 2 * x) + f(x) * tj.diag(tj.cos(x)))

    assert "is wrong in 9 of 9 entries" in verdict(product, printed, randn(3))
    assert not verdict(product, in_order, randn(3))


def test_no_slip_5_110():
    """Both lines pass gradcheck as the rule of an op."""

    def f(x):
        u = x**2 + tj.exp(x**2)
        return tj.sqrt(u) + tj.cos(u)

    def first(g, x):
        u, du = x**2 + tj.exp(x**2), 2 * x + 2 * x * tj.exp(x**2)
        return g * (du / (2 * tj.sqrt(u)) - tj.sin(u) * du)

    def second(g, x):
        u = x**2 + tj.exp(x**2)
        return g * 2 * x * (1 / (2 * tj.sqrt(u)) - tj.sin(u)) * (1 + tj.exp(x**2))

    assert not verdict(f, first, np.array([0.8, -0.3]))
    assert not verdict(f, second, np.array([0.8, -0.3]))
