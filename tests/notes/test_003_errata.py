"""Slips of Na's slides: the printed form fails a check, the corrected one passes it."""

from __future__ import annotations

import numpy as np
import pytest
from kit import randn
from printed import verdict

import tinygrad_jac as tj
from tinygrad_jac.errors import ShapeError
from tinygrad_jac.jacobians import Dense

POINTS, LABELS = tj.tensor(randn(5, 2)), [0, 2, 1, 1, 0]
ONE_HOT = np.eye(3)[LABELS]


def log_P(W):
    return (tj.log_softmax(POINTS @ W.T, 1) * ONE_HOT).sum(1)


def gradient(W):
    """Of -Σ log P, by hand."""
    return (tj.softmax(POINTS @ W.T, 1) - ONE_HOT).T @ POINTS


def test_the_gradient_is_not_the_expected_loss():
    """Printed: ∂J/∂θ = E[-log P(y|x)]."""
    said = verdict(lambda W: -log_P(W).sum(), lambda g, W: g * -log_P(W).mean(), randn(3, 2))
    assert "got () but expected shape compatible with (3, 2)" in said


def test_a_sum_has_not_the_mean_of_gradients_as_its_gradient():
    def mean(g, W):
        return g * gradient(W) / 5

    assert "it is 0.2 times the derivative" in verdict(lambda W: -log_P(W).sum(), mean, randn(3, 2))
    assert not verdict(lambda W: -log_P(W).mean(), mean, randn(3, 2))
    assert not verdict(lambda W: -log_P(W).sum(), lambda g, W: g * gradient(W), randn(3, 2))


def test_the_nll_of_a_minibatch_has_a_minus():
    """Printed: J = Σ log(y_i|x_i), called NLL."""
    said = verdict(lambda W: log_P(W).sum(), lambda g, W: g * gradient(W), randn(3, 2))
    assert "it is the negative of the derivative" in said


def test_descending_on_the_likelihood_unlearns():
    """Printed: J the log-likelihood, and W - η ∂J/∂W."""

    def after(sign):
        W = tj.zeros(3, 2, dtype=tj.float64, requires_grad=True)
        for _ in range(20):
            W.grad = None
            log_P(W).sum().backward()
            with tj.no_grad():
                W += sign * 0.1 * W.grad
        return log_P(W).sum().item()

    start = 5 * np.log(1 / 3)
    assert after(-1) < start < after(+1)


def test_jacobian_indices_of_the_softmax_are_transposed():
    """Printed: [∂o_j/∂z_i]_ij, a row for each input. Seen where the Jacobian is not symmetric."""

    def share(z):
        return z / z.sum()

    def printed(g, z):
        Z = z.sum()
        return g @ ((tj.eye(3, dtype=tj.float64) * Z - z) / Z**2)

    def right(g, z):
        Z = z.sum()
        return g @ ((tj.eye(3, dtype=tj.float64) * Z - z.unsqueeze(1)) / Z**2)

    def softmax(g, z):
        o = tj.softmax(z, 0)
        return g @ (tj.diag(o) - tj.outer(o, o)).mT

    z = np.array([0.5, 1.0, 2.5])
    assert "it is the transpose of the Jacobian" in verdict(share, printed, z)
    assert not verdict(share, right, z)
    assert not verdict(lambda z: tj.softmax(z, 0), softmax, z), "of softmax nobody sees it"


def test_a_row_times_a_row():
    """Printed: ∂J/∂W = (∂J/∂z) xᵀ, where ∂J/∂z is a row."""

    def J(W):
        return tj.log_softmax(W @ X, 0)[1]

    X, label = tj.tensor(randn(4)), np.eye(3)[1]

    def delta(W):
        return (label - tj.softmax(W @ X, 0)).unsqueeze(0)

    assert "cannot be multiplied" in verdict(J, lambda g, W: g * (delta(W) @ X.unsqueeze(0)), randn(3, 4))
    assert not verdict(J, lambda g, W: g * (delta(W).mT @ X.unsqueeze(0)), randn(3, 4))


def test_biases_inside_of_the_weights_make_the_jacobian_of_the_activation_longer():
    error_signal = Dense(randn(1, 5))  # δ(o) U, with the constant among five hidden entries
    with pytest.raises(ShapeError, match="cannot compose"):
        error_signal @ Dense(np.diag([1.0, 0, 1, 1]))
    assert (error_signal @ Dense(np.eye(5, 4))).shape == (1, 4)


def test_no_slip_the_derivatives_of_the_log_likelihood():
    x = tj.tensor(randn(3))
    for y in (0.0, 1.0):
        said = verdict(
            lambda w, y=y: y * tj.log(tj.sigmoid(w @ x)) + (1 - y) * tj.log(1 - tj.sigmoid(w @ x)),
            lambda g, w, y=y: g * (y - tj.sigmoid(w @ x)) * x,
            randn(3, seed=1),
        )
        assert not said
