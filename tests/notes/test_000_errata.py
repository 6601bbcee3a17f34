"""Slips of Damadi, Moharrer, Cham: the printed form fails a check, the corrected one passes it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from kit import randn, scratch_registry
from printed import verdict

import tinygrad_jac as tj
from tinygrad_jac.errors import ShapeError
from tinygrad_jac.jacobians import Dense, chain
from tinygrad_jac.nn import functional as F

X, W2, W3 = tj.tensor(randn(3)), tj.tensor(randn(3, 3, seed=1)), tj.tensor(randn(3, 3, seed=2))
W1 = randn(3, 3, seed=3)
Y = np.array([0.0, 1.0, 0.0])


def network(W1):
    return tj.tanh(tj.tanh(X @ W1) @ W2) @ W3


def slopes(W1):
    a1 = tj.tanh(X @ W1)
    return 1 - a1**2, 1 - tj.tanh(a1 @ W2) ** 2


def correct(g, W1):
    d1, d2 = slopes(W1)
    return X.unsqueeze(1) * ((((g @ W3.mT) * d2) @ W2.mT) * d1)


def loss(W1):
    return -tj.log_softmax(network(W1), 0)[1]


# ------------------------------------------------------------------------------------------------ Algorithm 1


def test_algorithm_1_the_layers_input_and_not_its_output():
    """Lines 3 and 4 print a^[l] where a^[l-1] is meant; so does 3.3 with a^[2], a^[3]."""

    def layer(a, W):
        return a @ W

    def printed(g, a, W):
        return g @ W.mT, tj.tanh(a @ W).unsqueeze(1) * g

    def right(g, a, W):
        return g @ W.mT, a.unsqueeze(1) * g

    at_the_texts_shape = randn(5), randn(5, 3, seed=1)
    assert "got (3, 3) but expected shape compatible with (5, 3)" in verdict(layer, printed, *at_the_texts_shape)
    square = randn(3), randn(3, 3, seed=1)
    assert "input 1, shape (3, 3), is wrong in 9 of 27 entries" in verdict(layer, printed, *square)
    for inputs in (at_the_texts_shape, square):
        assert not verdict(layer, right, *inputs)


def test_algorithm_1_of_the_last_output():
    """Line 3 states J of z^[l], line 7 of z^[2], where J of z^[L] is meant."""
    line_3 = verdict(network, lambda g, W1: X.unsqueeze(1) * g, W1)
    line_7 = verdict(network, lambda g, W1: X.unsqueeze(1) * ((g @ W2.mT) * slopes(W1)[0]), W1)
    assert "is wrong in 27 of 27 entries" in line_3
    assert "is wrong in 27 of 27 entries" in line_7
    assert not verdict(network, correct, W1)
    two_layers = verdict(
        lambda W1: tj.tanh(X @ W1) @ W2, lambda g, W1: X.unsqueeze(1) * ((g @ W2.mT) * slopes(W1)[0]), W1
    )
    assert not two_layers, "line 7 is right for L = 2"


def test_algorithm_1_the_weights_between_activations():
    def without(g, W1):
        d1, d2 = slopes(W1)
        return X.unsqueeze(1) * (((g @ W3.mT) * d2) * d1)

    assert "is wrong in 27 of 27 entries" in verdict(network, without, W1)


def test_algorithm_1_jacobians_of_activations_by_their_input():
    """Line 3 prints J_{W,b}(f(z)), which holds the blocks already: 5x25 does not multiply 5x25."""
    blocks = Dense(np.hstack([np.kron(np.eye(5), randn(4)), np.eye(5)]))
    by_z = Dense(np.diag([1.0, 0, 1, 1, 0]))
    assert (by_z @ blocks).shape == (5, 25)
    with pytest.raises(ShapeError, match="cannot compose"):
        (by_z @ blocks) @ blocks


def test_algorithm_1_the_identity_of_line_3():
    """Without it the first layer of 4-5-3 has 20 columns for 25 parameters."""
    without = randn(3, 5) @ np.kron(np.eye(5), randn(4))
    with pytest.raises(ShapeError, match=r"a 3 x 20 matrix cannot map \(25,\) to \(3,\)"):
        Dense(without, (3,), (25,))


# ------------------------------------------------------------------------------------------------ 3.1 to 3.3


def test_3_1_the_row_that_lost_its_x():
    x, W, b = tj.tensor(randn(4)), randn(4, 3, seed=1), randn(3, seed=2)
    ones = tj.ones(4, 1, dtype=tj.float64)
    assert "is wrong in 12 of 36 entries" in verdict(lambda W, b: x @ W + b, lambda g, W, b: (ones * g, g), W, b)
    assert not verdict(lambda W, b: x @ W + b, lambda g, W, b: (x.unsqueeze(1) * g, g), W, b)


def test_3_2_the_last_layer_on_top_and_the_error_as_a_factor():
    x = tj.tensor(randn(4))

    def loss(theta):
        z = tj.tanh(x @ theta[18:38].reshape(4, 5) + theta[38:]) @ theta[:15].reshape(5, 3) + theta[15:18]
        return -tj.log_softmax(z, 0)[1]

    def gradient(theta):
        with tj.enable_grad():
            t = theta.detach().requires_grad_()
            return tj.autograd.grad(loss(t), t)[0]

    def first_layer_on_top(g, theta):
        right = gradient(theta)
        return g * tj.cat([right[18:], right[:18]])

    theta = randn(43) / 2
    assert "shape (43,), is wrong" in verdict(loss, first_layer_on_top, theta)
    assert not verdict(loss, lambda g, theta: g * gradient(theta), theta)
    W = tj.tensor(randn(4, 3), requires_grad=True)
    assert chain(x @ W, {"W": W}).T.shape == (12, 3), "without (y - ŷ) what is printed is a matrix"


def test_3_3_the_sign():
    def printed(g, W1):
        return g * correct(Y - tj.softmax(network(W1), 0), W1)

    assert "it is the negative of the derivative" in verdict(loss, printed, W1)
    assert not verdict(loss, lambda g, W1: -printed(g, W1), W1)


def test_3_3_the_error_is_a_column():
    J = Dense(randn(3, 43))
    with pytest.raises(ShapeError, match=r"cannot multiply an array of shape \(1, 3\)"):
        J.T @ randn(1, 3)
    assert (J.T @ randn(3, 1)).shape == (43, 1)


def test_3_3_lenet_has_300_units_first():
    """What the text computes with has 111,810 parameters, LeCun's network 266,610."""

    def parameters(*sizes):
        return sum(n * m + m for n, m in itertools.pairwise(sizes))

    assert parameters(784, 100, 300, 10) == 78_500 + 30_300 + 3_010 == 111_810
    assert parameters(784, 300, 100, 10) == 266_610


def test_abstract_the_work_grows_with_the_number_of_layers():
    """Printed: the number of layers "does not significantly impact the complexity". Together in proportion, each from
    the top with its square."""

    def local_jacobians(layers):
        a, weights = X, []
        for _ in range(layers):
            weights.append(tj.tensor(randn(3, 3), requires_grad=True))
            a = tj.tanh(a @ weights[-1])
        return len(chain(a, weights)), sum(len(chain(a, [W])) for W in weights)

    together, each = np.array([local_jacobians(layers) for layers in (2, 4, 6, 8)]).T
    assert len(set(np.diff(together))) == 1
    assert np.diff(together)[0] > 0
    assert len(set(np.diff(each, 2))) == 1
    assert np.diff(each, 2)[0] > 0


# ------------------------------------------------------------------------------------------------ tables


@pytest.mark.parametrize("n", [1, 3])
def test_table_2_the_sign_of_the_regressions(n):
    x = tj.tensor(randn(n))

    def squared(w, b):
        return (1.5 - (w @ x + b)) ** 2

    def printed(g, w, b):
        residual = 1.5 - (w @ x + b)
        return g * 2 * x * residual, g * 2 * residual

    assert "it is the negative of the derivative" in verdict(squared, printed, randn(n, seed=1), 0.5)
    assert not verdict(squared, lambda g, w, b: tuple(-c for c in printed(g, w, b)), randn(n, seed=1), 0.5)


def test_table_2_theta_holds_the_bias():
    """σ(θᵀx) with θ = [w; b] does not multiply; σ(θᵀ[x; 1]) does, and its gradient is -[x; 1](y - ŷ)."""
    x, theta = tj.tensor(randn(3)), randn(4, seed=1)
    with pytest.raises(ShapeError, match=r"shapes \(4,\) and \(3,\) cannot be multiplied"):
        tj.sigmoid(tj.tensor(theta) @ x)
    extended = tj.cat([x, tj.ones(1, dtype=tj.float64)])
    assert not verdict(
        lambda t: -tj.log(tj.sigmoid(t @ extended)), lambda g, t: g * -extended * (1 - tj.sigmoid(t @ extended)), theta
    )


def test_table_1_is_of_the_squared_error_and_not_of_its_mean():
    y, z = tj.tensor(randn(4)), randn(4, seed=1)

    def printed(g, z):
        return g * -2 * (y - z)

    assert not verdict(lambda z: ((y - z) ** 2).sum(), printed, z)
    assert "it is 4 times the derivative" in verdict(lambda z: ((y - z) ** 2).mean(), printed, z)


def test_table_1_softmax_supposes_that_y_sums_to_one():
    """No slip: class probabilities do. In general the gradient is ŷ Σy - y."""
    z, y = randn(3), tj.tensor([0.5, 0.2, 0.1], dtype=tj.float64)

    def cross_entropy(z):
        return -(y * tj.log_softmax(z, 0)).sum()

    assert "is wrong" in verdict(cross_entropy, lambda g, z: g * -(y - tj.softmax(z, 0)), z)
    assert not verdict(cross_entropy, lambda g, z: g * (tj.softmax(z, 0) * y.sum() - y), z)


# ------------------------------------------------------------------------------------------------ Proposition 2


def test_proposition_2_the_printed_matrix():
    k1, k2, k3, k4 = kernel = np.array([2.0, 3.0, 5.0, 7.0])
    printed = np.array(
        [
            [k1, k2, 0, k3, k4, 0, 0, 0, 0],
            [0, k1, k2, 0, k3, k4, 0, 0, 0],
            [0, 0, k1, k2, 0, k3, k4, 0, 0],
            [0, 0, 0, k1, k2, 0, k3, k4, 0],
        ]
    )
    corrected = np.array([*printed[:2], printed[3], np.roll(printed[3], 1)])

    def convolve(x):
        return np.stack(
            [(x.reshape(3, 3)[i : i + 2, j : j + 2] * kernel.reshape(2, 2)).sum() for i in (0, 1) for j in (0, 1)]
        )

    def audited(rule, statement):
        with scratch_registry():
            op = tj.primitive(
                "convolution", convolve, vjp=lambda g, out, x: g @ rule, jacobian=lambda out, x: Dense(statement)
            )
            with tj.debug_mode(raise_on_failure=False) as report:
                op(tj.tensor(randn(9), requires_grad=True)).sum().backward()
        return report

    assert audited(corrected, corrected).ok
    assert audited(corrected, printed).worst.verdict == "wrong statement"
    assert audited(printed, corrected).worst.verdict == "wrong VJP"
    assert not audited(printed, printed).ok, "that rule and statement agree does not help: the numbers do not"
    diagonals = [set(np.diagonal(matrix, k)) for matrix in (printed, corrected) for k in range(-3, 9)]
    assert all(len(d) == 1 for d in diagonals[:12]), "the printed matrix is constant along its diagonals"
    assert any(len(d) > 1 for d in diagonals[12:]), "the true one is not"


def test_remark_1_the_matrix_is_no_fast_way():
    """Printed: by the matrix a convolution can "be computed efficiently". It has 31 times the entries that count."""
    image = tj.zeros(1, 1, 28, 28, requires_grad=True)
    T = chain(F.conv2d(image, tj.ones(6, 1, 5, 5)), {"image": image}).product("image")
    by_patches = 6 * 24 * 24 * 5 * 5  # filters, positions, taps
    assert T.nnz == by_patches == 86_400
    assert T.shape == (6 * 24 * 24, 28 * 28)
    assert T.shape[0] * T.shape[1] > 31 * by_patches
