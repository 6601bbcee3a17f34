"""Na, "Neural Networks: Backpropagation", slide by slide: layouts, logistic regression, one hidden layer.

Each derivative is compared with the formula typed out by hand, with backward(), and with the structured Jacobian.
"""

from __future__ import annotations

import numpy as np
import pytest
from kit import close, randn, rng
from threefold import EXACT, agree, jacobian, leaf, pulled, statement

import tinygrad_jac as tj
from tinygrad_jac.jacobians import Diagonal, DiagPlusLowRank, chain
from tinygrad_jac.nn import functional as F


def softmax(z):
    e = np.exp(z)
    return e / e.sum()


def one_hot(k, K=3):
    return np.eye(K)[k]


# ------------------------------------------------------------------------------------------------ layouts


@pytest.mark.parametrize("at", [(1.0, 2.0), (-0.5, 3.0)], ids=str)
def test_numerator_and_denominator_layout_of_f_and_g(at):
    """f = 3x²y, g = 5xy + y³."""
    x, y = at
    v = leaf(at)
    fg = tj.stack([3 * v[0] ** 2 * v[1], 5 * v[0] * v[1] + v[1] ** 3])
    J = np.array([[6 * y * x, 3 * x**2], [5 * y, 5 * x + 3 * y**2]])
    agree(fg, v, J, "J")
    close(chain(fg, {"v": v}).dense("numerator"), J, EXACT, "numerator layout")
    close(chain(fg, {"v": v}).dense("denominator"), J.T, EXACT, "denominator layout")


def test_jacobian_has_m_rows_for_m_equations():
    """Row i is ∂f_i/∂x: for f: R³ → R², 2×3."""
    x = leaf(randn(3))
    y = tj.stack([x[0] * x[1] * x[2], tj.exp(x[0]) - x[2]])
    a, b, c = x.array
    agree(y, x, [[b * c, a * c, a * b], [np.exp(a), 0, -1]], "∂y/∂x")
    assert jacobian(y, x).shape == (2, 3)


def test_table_of_scalar_and_vector_cases():
    scalar, vector = leaf(1.5), leaf(randn(3))
    agree(scalar**2, scalar, [[3.0]], "scalar by scalar")
    agree((vector**2).sum(), vector, 2 * vector.array[None], "scalar by vector")
    agree(tj.stack([scalar, scalar**2]), scalar, [[1.0], [3.0]], "vector by scalar")
    agree(tj.sin(vector), vector, np.diag(np.cos(vector.array)), "vector by vector")
    shapes = [jacobian(*pair).shape for pair in [
        (scalar**2, scalar), ((vector**2).sum(), vector),
        (tj.stack([scalar, scalar**2]), scalar), (tj.sin(vector), vector),
    ]]  # fmt: skip
    assert shapes == [(1, 1), (1, 3), (2, 1), (3, 3)]


@pytest.mark.parametrize(("m", "k", "n"), [(2, 3, 4), (1, 4, 1), (3, 1, 2), (1, 1, 1)])
def test_jacobian_of_a_composition_is_the_product(m, k, n):
    """∂f(g(x))/∂x = ∂f/∂g ∂g/∂x: (m×k)(k×n)."""
    A, B, x = randn(k, n), randn(m, k, seed=1), leaf(randn(n, seed=2))
    g = tj.tanh(tj.tensor(A) @ x)
    f = tj.exp(tj.tensor(B) @ g)
    by_g, by_x = np.diag(f.array) @ B, np.diag(1 - g.array**2) @ A
    agree(f, g, by_g, "∂f/∂g")
    agree(g, x, by_x, "∂g/∂x")
    agree(f, x, by_g @ by_x, "the product")
    factors = chain(f, {"x": x}).product("x")
    assert factors.shape == (m, n)


@pytest.mark.parametrize("at", [0.5, -1.3])
def test_vector_chain_rule_example(at):
    """y = [ln x², sin 3x], with g = [x², 3x]."""
    x = leaf(at)
    g = tj.stack([x**2, 3 * x])
    y = tj.stack([tj.log(g[0]), tj.sin(g[1])])
    agree(y, g, [[1 / at**2, 0], [0, np.cos(3 * at)]], "∂y/∂g")
    agree(g, x, [[2 * at], [3]], "∂g/∂x")
    agree(y, x, [[2 / at], [3 * np.cos(3 * at)]], "∂y/∂x")


# ------------------------------------------------------------------------------------------------ training


class Regression:
    """Multi-class logistic regression on N points, by minibatches."""

    def __init__(self, N: int = 60) -> None:
        draw = rng(0)
        self.y = np.arange(N) % 3
        self.X = np.array([[2.0, 0.0], [-1.0, 2.0], [-1.0, -2.0]])[self.y] + draw.normal(size=(N, 2))
        self.W, self.b = leaf(np.zeros((3, 2))), leaf(np.zeros(3))

    def nll(self, rows):
        log_o = tj.log_softmax(tj.tensor(self.X[rows]) @ self.W.T + self.b, 1)
        return -log_o[np.arange(len(rows)), self.y[rows]].sum()

    def by_hand(self, rows):
        """-Σ (y - o) xᵀ."""
        total = np.zeros((3, 2))
        for i in rows:
            o = softmax(self.W.array @ self.X[i] + self.b.array)
            total -= np.outer(one_hot(self.y[i]) - o, self.X[i])
        return total


def test_nll_is_minus_the_sum_of_log_probabilities():
    net = Regression()
    net.W.array[...] = randn(3, 2)
    rows = np.arange(60)
    expected = -sum(np.log(softmax(net.W.array @ net.X[i] + net.b.array)[net.y[i]]) for i in rows)
    close(net.nll(rows).array, expected, EXACT, "J")
    z = tj.tensor(net.X) @ net.W.T + net.b
    close(F.cross_entropy(z, tj.tensor(net.y), reduction="sum").array, expected, EXACT, "the library's")
    agree(net.nll(rows), net.W, net.by_hand(rows), "∂J/∂W")


def test_the_mean_over_minibatches_is_the_gradient_of_the_whole():
    net = Regression()
    batches = rng(1).permutation(60).reshape(6, 10)
    close(sum(pulled(net.nll(rows), net.W) for rows in batches), net.by_hand(range(60)), EXACT, "Σ over an epoch")


def test_minibatch_sgd_on_the_nll():
    """The four steps of the slide, each update as W - η ∂J/∂W by hand; the NLL falls."""
    net, eta, draw = Regression(), 0.05, rng(2)
    before = net.nll(np.arange(60)).item()
    for _ in range(3):
        for rows in draw.permutation(60).reshape(6, 10):
            expected = net.W.array - eta * net.by_hand(rows)
            net.W.grad = net.b.grad = None
            net.nll(rows).backward()
            with tj.no_grad():
                net.W -= eta * net.W.grad
                net.b -= eta * net.b.grad
            close(net.W.array, expected, EXACT, "a step")
    assert net.nll(np.arange(60)).item() < 0.3 * before


# ------------------------------------------------------------------------------------------------ two classes


@pytest.mark.parametrize("y", [0.0, 1.0])
def test_binary_logistic_regression_every_derivative(y):
    x, w, b = randn(4), leaf(randn(4, seed=1)), leaf(0.3)
    z = x @ w + b
    o = tj.sigmoid(z)
    J = y * tj.log(o) + (1 - y) * tj.log(1 - o)
    p = 1 / (1 + np.exp(-(x @ w.array + 0.3)))
    agree(J, o, y / p - (1 - y) / (1 - p), "∂J/∂o")
    agree(o, z, p * (1 - p), "∂o/∂z")
    agree(z, w, x[None], "∂z/∂w = xᵀ")
    agree(z, b, 1.0, "∂z/∂b")
    agree(J, z, y - p, "∂J/∂z")
    agree(J, w, ((y / p - (1 - y) / (1 - p)) * p * (1 - p) * x)[None], "the product of three")
    agree(J, w, ((y - p) * x)[None], "(y - o) xᵀ")
    agree(J, b, y - p, "∂J/∂b")
    fused = -F.binary_cross_entropy_with_logits(z, tj.tensor(y, dtype=tj.float64))
    agree(fused, w, ((y - p) * x)[None], "fused")


# ------------------------------------------------------------------------------------------------ many classes


@pytest.fixture(params=[0, 1, 2], ids=lambda k: f"label {k + 1}")
def multi(request):
    return Multi(request.param)


class Multi:
    def __init__(self, k: int) -> None:
        self.k, self.y = k, one_hot(k)
        self.x, self.W, self.b = leaf(randn(4)), leaf(randn(3, 4, seed=1)), leaf(randn(3, seed=2))
        self.z = self.W @ self.x + self.b
        self.o = tj.softmax(self.z, 0)
        self.J = (self.y * tj.log(self.o)).sum()
        self.p = softmax(self.z.array)


def test_multi_class_softmax_as_defined(multi):
    Z = sum(np.exp(v) for v in multi.z.array)
    close(multi.o.array, [np.exp(v) / Z for v in multi.z.array], EXACT, "o")


def test_multi_class_dJ_do(multi):
    """[0 ⋯ 1/o_k ⋯ 0]."""
    row = np.zeros((1, 3))
    row[0, multi.k] = 1 / multi.p[multi.k]
    agree(multi.J, multi.o, row, "∂J/∂o")


def test_multi_class_do_dz_all_three_printed_forms(multi):
    """exp(z_j)(1[i=j]·Z - exp(z_i))/Z², and o_j·1[i=j] - o_i o_j."""
    e, o = np.exp(multi.z.array), multi.p
    Z = e.sum()
    quotient = [[e[j] * ((i == j) * Z - e[i]) / Z**2 for j in range(3)] for i in range(3)]
    short = [[o[j] * (i == j) - o[i] * o[j] for j in range(3)] for i in range(3)]
    agree(multi.o, multi.z, quotient, "the quotient")
    agree(multi.o, multi.z, short, "o_j 1[i=j] - o_i o_j")
    J = statement(multi.o)
    assert isinstance(J, DiagPlusLowRank)
    assert np.array_equal(J.dense(), J.dense().T), "symmetric: the layouts cannot be told apart"
    assert np.abs(J.dense().sum(axis=1)).max() < 1e-15, "rows sum to 0"


def test_multi_class_dJ_dz(multi):
    """[1[1=k] - o_1 ⋯ 1 - o_k ⋯ 1[K=k] - o_K]."""
    row = [[(i == multi.k) - multi.p[i] for i in range(3)]]
    agree(multi.J, multi.z, row, "∂J/∂z")
    close(jacobian(multi.J, multi.o) @ jacobian(multi.o, multi.z), np.array(row), EXACT, "the product")


def test_multi_class_dJ_dW(multi):
    """Row i is (1[i=k] - o_i) xᵀ; together δᵀ xᵀ, δ a row."""
    rows = [((i == multi.k) - multi.p[i]) * multi.x.array for i in range(3)]
    agree(multi.J, multi.W, np.stack(rows), "row by row")
    delta = jacobian(multi.J, multi.z)
    agree(multi.J, multi.W, delta.T @ multi.x.array[None], "δᵀ xᵀ")
    agree(multi.J, multi.b, delta, "δ")
    for i in range(3):  # ∂z_i/∂W_i• = xᵀ, and z_i sees no other row
        slab = np.zeros((3, 4))
        slab[i] = multi.x.array
        close(pulled(multi.z[i], multi.W), slab, EXACT, "∂z_i/∂W")


# ------------------------------------------------------------------------------------------------ one hidden layer


class Network:
    """h = max(Wx, 0), o = softmax(Uh), J = yᵀ log o."""

    def __init__(self, k: int = 1) -> None:
        self.y = one_hot(k)
        self.x, self.W, self.U = leaf(randn(3)), leaf(randn(4, 3, seed=1)), leaf(randn(3, 4, seed=2))
        self.z = self.W @ self.x
        self.h = tj.maximum(self.z, 0.0)
        self.v = self.U @ self.h
        self.o = tj.softmax(self.v, 0)
        self.J = (self.y * tj.log(self.o)).sum()
        self.D = np.diag((self.z.array > 0).astype(float))
        # error signals, as rows
        self.o_row = (self.y - softmax(self.v.array))[None]
        self.h_row = self.o_row @ self.U.array
        self.z_row = self.h_row @ self.D
        self.x_row = self.z_row @ self.W.array
        assert 0 < self.D.trace() < 4, "some units are on and some are off"


@pytest.fixture(params=[0, 2], ids=lambda k: f"label {k + 1}")
def net(request):
    return Network(request.param)


def test_hidden_layer_forward(net):
    h = [max(0.0, sum(net.W.array[j, i] * net.x.array[i] for i in range(3))) for j in range(4)]
    v = [sum(net.U.array[k, j] * h[j] for j in range(4)) for k in range(3)]
    close(net.J.array, np.log(softmax(np.array(v)))[net.y.argmax()], EXACT, "J")


def test_hidden_layer_local_jacobians(net):
    agree(net.v, net.h, net.U.array, "∂v/∂h = U")
    agree(net.h, net.z, net.D, "∂h/∂z = diag(1[z > 0])")
    agree(net.z, net.x, net.W.array, "∂z/∂x = W")
    assert isinstance(statement(net.h), Diagonal)
    e = np.exp(net.v.array)
    Z = e.sum()
    by_hand = [[e[j] * ((i == j) * Z - e[i]) / Z**2 for j in range(3)] for i in range(3)]
    agree(net.o, net.v, by_hand, "∂o/∂v")
    k = net.y.argmax()
    agree(net.J, net.o, net.y[None] * Z / e[k], "∂J/∂o = [0 ⋯ Z/exp(v_k) ⋯ 0]")


@pytest.mark.parametrize("layer", ["v", "h", "z", "x"])
def test_hidden_layer_error_signals(net, layer):
    """δ(o), δ(h) = δ(o)U, δ(z) = δ(h)diag(1[z > 0]), δ(x) = δ(h)diag(1[z > 0])W."""
    by_hand = {"v": net.o_row, "h": net.h_row, "z": net.z_row, "x": net.x_row}[layer]
    agree(net.J, getattr(net, layer), by_hand, f"∂J/∂{layer}")


def test_hidden_layer_weight_gradients(net):
    """∂J/∂U = δ(o)ᵀ hᵀ and ∂J/∂W = δ(z)ᵀ xᵀ; row i is δ_i times a row."""
    agree(net.J, net.U, net.o_row.T @ net.h.array[None], "∂J/∂U")
    agree(net.J, net.W, net.z_row.T @ net.x.array[None], "∂J/∂W")
    for i in range(3):
        close(pulled(net.J, net.U)[i], net.o_row[0, i] * net.h.array, EXACT, "∂J/∂U_i•")
    for i in range(4):
        close(pulled(net.J, net.W)[i], net.z_row[0, i] * net.x.array, EXACT, "∂J/∂W_i•")


def test_error_signals_as_columns(net):
    """The slight modification: δ(h) = Uᵀδ(o), δ(z) = diag δ(h), δ(x) = Wᵀδ(z), weights δ hᵀ."""
    o = (net.y - softmax(net.v.array))[:, None]
    h = net.U.array.T @ o
    z = net.D @ h
    x = net.W.array.T @ z
    for column, tensor in ((o, net.v), (h, net.h), (z, net.z), (x, net.x)):
        close(chain(net.J, {"": tensor}).dense("denominator"), column, EXACT, "denominator layout")
        close(pulled(net.J, tensor), column[:, 0], EXACT, "backward()")
    agree(net.J, net.U, o @ net.h.array[None], "∂J/∂U")
    agree(net.J, net.W, z @ net.x.array[None], "∂J/∂W")


def test_biases_inside_of_the_weights():
    """x and h end in a 1; ∂h/∂z ends in a row of zeros; the bias is the last column."""
    one = tj.ones(1, dtype=tj.float64)
    x, W, U, y = randn(3), leaf(randn(4, 4, seed=1)), leaf(randn(3, 5, seed=2)), one_hot(0)
    x1 = np.append(x, 1.0)
    z = W @ tj.tensor(x1)
    h = tj.cat([tj.maximum(z, 0.0), one])
    J = (y * tj.log_softmax(U @ h, 0)).sum()
    by_z = np.vstack([np.diag(z.array > 0), np.zeros(4)])
    agree(h, z, by_z, "∂h/∂z")
    delta_o = (y - softmax(U.array @ h.array))[None]
    delta_z = delta_o @ U.array @ by_z
    agree(J, U, delta_o.T @ h.array[None], "∂J/∂U")
    agree(J, W, delta_z.T @ x1[None], "∂J/∂W")

    separate = [leaf(W.array[:, :3]), leaf(W.array[:, 3]), leaf(U.array[:, :4]), leaf(U.array[:, 4])]
    W0, b, U0, c = separate
    J0 = (y * tj.log_softmax(U0 @ tj.relu(W0 @ tj.tensor(x) + b) + c, 0)).sum()
    close(J0.array, J.array, EXACT, "the same network")
    close(pulled(J0, b), pulled(J, W)[:, 3], EXACT, "the hidden biases")
    close(pulled(J0, c), pulled(J, U)[:, 4], EXACT, "the output's biases")
