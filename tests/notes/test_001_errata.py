"""Slips of the notes on a multi-layer perceptron: the printed form fails, the corrected one passes."""

from __future__ import annotations

import numpy as np
import pytest
from kit import randn
from printed import verdict

import tinygrad_jac as tj
from tinygrad_jac.errors import ShapeError
from tinygrad_jac.jacobians import Dense

LAMBDA = 0.1


def test_bias_gradient_of_a_batch_is_a_sum():
    """Printed: ∂L/∂b = ∂L/∂z."""

    def add_bias(z, b):  # without a broadcast, which the engine would sum itself
        return (z + tj.ones(4, 1, dtype=tj.float64) @ b.reshape(1, 3)).reshape(12)

    z, b = randn(4, 3), randn(3)
    said = verdict(add_bias, lambda g, z, b: (g.reshape(4, 3), g), z, b)
    assert "invalid gradient at index 1 - got (12,) but expected shape compatible with (3,)" in said
    assert not verdict(add_bias, lambda g, z, b: (g.reshape(4, 3), g.reshape(4, 3).sum(0)), z, b)
    bias, dz = tj.tensor(b), tj.tensor(randn(4, 3, seed=1))
    with pytest.raises(ShapeError, match="it cannot grow"):
        bias -= 0.1 * dz
    bias -= 0.1 * dz.sum(0)


def test_the_same_for_one_example_is_right():
    assert not verdict(lambda z, b: z + b, lambda g, z, b: (g, g), randn(1, 3), randn(3))


def test_penalty_of_both_weights():
    """Printed: ½λΣW² in the loss, λW and λw in the gradients."""
    h, t = tj.tensor(randn(4, 2)), tj.tensor(randn(4, 3, seed=1))

    def data(W, w):
        return ((h @ W @ w - t) ** 2).mean() + LAMBDA / 2 * (W**2).sum()

    def gradients(g, W, w):
        dz = 2 * (h @ W @ w - t) / 12
        return g * (h.mT @ (dz @ w.mT) + LAMBDA * W), g * ((h @ W).mT @ dz + LAMBDA * w)

    W, w = randn(2, 2, seed=2), randn(2, 3, seed=3)
    assert verdict(data, gradients, W, w).startswith("the gradient with respect to input 1, shape (2, 3), is wrong")
    assert not verdict(lambda W, w: data(W, w) + LAMBDA / 2 * (w**2).sum(), gradients, W, w)


def test_rows_take_the_jacobian_from_the_right():
    """Printed: (∂h/∂u)ᵀ ∂L/∂h, beside ∂L/∂z wᵀ. For a diagonal the two agree, in general they do not."""
    J, u = np.tril(np.ones((3, 3))), randn(3)
    assert "it is the transpose of the Jacobian" in verdict(lambda u: u.cumsum(0), lambda g, u: g @ J.T, u)
    assert not verdict(lambda u: u.cumsum(0), lambda g, u: g @ J, u)
    assert not verdict(tj.relu, lambda g, u: g @ np.diag(u.array > 0).T.astype(float), u), "of ReLU nobody sees it"
    with pytest.raises(ShapeError, match=r"cannot multiply an array of shape \(1, 3\)"):
        Dense(J).T @ randn(1, 3)


def test_no_slip_but_to_be_divided_by_n():
    """p - 1[y = k] belongs to one example's loss; the formulas for L, the mean, want 1/N of it."""
    one_hot = tj.eye(3, dtype=tj.float64)[np.array([0, 2, 1, 2])]

    def each(z):
        return -(tj.log_softmax(z, 1) * one_hot).sum(1)

    def rows(g, z):
        return g.unsqueeze(1) * (tj.softmax(z, 1) - one_hot)

    def mean(g, z):
        return g * (tj.softmax(z, 1) - one_hot)

    z = randn(4, 3)
    assert not verdict(each, rows, z)
    assert "it is 4 times the derivative" in verdict(lambda z: each(z).mean(), mean, z)
    assert not verdict(lambda z: each(z).mean(), lambda g, z: mean(g, z) / 4, z)
