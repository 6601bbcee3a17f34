"""The "next steps" of Damadi, Moharrer, Cham: residual, recurrent, LSTM, attention, batch normalisation.

Each Jacobian is compared with the formula typed by hand, with backward(), with the structured form, and with numbers.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from kit import close, randn, rng
from threefold import EXACT, agree, jacobian, leaf, statement

import tinygrad_jac as tj
from tinygrad_jac import nn
from tinygrad_jac.autograd import gradcheck
from tinygrad_jac.jacobians import Diagonal, DiagPlusLowRank, Identity, Sum, chain
from tinygrad_jac.nn import functional as F


def singular_values(matrix):
    return np.linalg.svd(matrix, compute_uv=False)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def fill(module, scale=1.0):
    """Parameters in float64, each from its own seed."""
    module = module.double()
    with tj.no_grad():
        for seed, p in enumerate(module.parameters()):
            p.copy_(tj.tensor(scale * randn(*p.shape, seed=seed)))
    return module


# ------------------------------------------------------------------------------------------------ residual


def test_residual_block_is_identity_plus_jacobian():
    """y = x + tanh(Wx): I + diag(1 - tanh²) W."""
    x, W = leaf(randn(4)), leaf(randn(4, 4, seed=1))
    f = tj.tanh(W @ x)
    y = x + f
    J_F = np.diag(1 - f.array**2) @ W.array
    agree(f, x, J_F, "J_F")
    agree(y, x, np.eye(4) + J_F, "I + J_F")
    agree(y, W, (1 - f.array**2)[:, None] * np.kron(np.eye(4), x.array), "by W the identity plays no part")
    assert gradcheck(lambda x, W: x + tj.tanh(W @ x), [x, W])


def test_residual_block_has_an_empty_path():
    x, W = leaf(randn(4)), leaf(randn(4, 4, seed=1))
    J = chain(x + tj.tanh(W @ x), {"x": x}).product("x")
    assert isinstance(J, Sum)
    assert any(isinstance(term, Identity) for term in J.terms)


@pytest.mark.parametrize("blocks", [1, 2, 3, 4])
def test_residual_network_is_the_sum_of_its_paths(blocks):
    """Π (I + J_k) is the sum over 2^L choices of blocks."""
    x = h = leaf(randn(3))
    steps = []
    for k in range(blocks):
        W = randn(3, 3, seed=k)
        f = tj.tanh(tj.tensor(W) @ h)
        steps.append(np.diag(1 - f.array**2) @ W)
        h = h + f
    total, product = np.zeros((3, 3)), np.eye(3)
    for step in steps:
        product = (np.eye(3) + step) @ product
    choices = list(itertools.product((False, True), repeat=blocks))
    for choice in choices:
        path = np.eye(3)
        for step, taken in zip(steps, choice):
            path = step @ path if taken else path
        total += path
    assert len(choices) == 2**blocks
    agree(h, x, product, "the product")
    agree(h, x, total, "the sum of paths")


def test_plain_networks_vanish_with_depth_and_residual_ones_do_not():
    def deep(residual):
        draw = rng(0)
        x = h = leaf(draw.normal(size=8))
        for _ in range(40):
            f = tj.tanh(tj.tensor(draw.normal(size=(8, 8)) * 0.5 / np.sqrt(8)) @ h)
            h = h + f if residual else f
        return singular_values(jacobian(h, x))

    assert deep(False)[0] < 1e-9
    assert deep(True)[-1] > 1e-2


# ------------------------------------------------------------------------------------------------ RNN


class Elman:
    """h_t = tanh(W_x x_t + W_h h_{t-1} + b), by nn.RNN; its Jacobians by hand."""

    def __init__(self, T: int = 4, n: int = 3, m: int = 2) -> None:
        self.T, self.n, self.m = T, n, m
        self.rnn = fill(nn.RNN(m, n), 0.5)
        self.xs, self.h0 = leaf(randn(T, m, seed=10)), leaf(randn(1, n, seed=11))
        self.hs, _ = self.rnn(self.xs, self.h0)
        self.W_x, self.W_h = self.rnn.weight_ih_l0.array, self.rnn.weight_hh_l0.array
        self.D = [np.diag(1 - h**2) for h in self.hs.array]

    def through(self, t: int, k: int) -> np.ndarray:
        """∂h_t/∂h_k = M_t ⋯ M_{k+1}; h_{-1} is the first state."""
        product = np.eye(self.n)
        for s in range(k + 1, t + 1):
            product = self.D[s] @ self.W_h @ product
        return product


@pytest.fixture
def elman():
    return Elman()


def test_rnn_forward_by_hand(elman):
    h = elman.h0.array[0]
    bias = elman.rnn.bias_ih_l0.array + elman.rnn.bias_hh_l0.array
    for t in range(elman.T):
        h = np.tanh(elman.W_x @ elman.xs.array[t] + elman.W_h @ h + bias)
        close(elman.hs.array[t], h, EXACT, f"h_{t}")


def test_rnn_product_of_jacobians_along_time(elman):
    """∂h_t/∂h_0 = M_t ⋯ M_1."""
    by_hand = [elman.through(t, -1) for t in range(elman.T)]
    agree(elman.hs, elman.h0, np.stack(by_hand), "∂h/∂h_0")


def test_rnn_is_block_triangular_in_its_inputs(elman):
    blocks = np.zeros((elman.T, elman.n, elman.T, elman.m))
    for t in range(elman.T):
        for k in range(t + 1):
            blocks[t, :, k] = elman.through(t, k) @ elman.D[k] @ elman.W_x
    agree(elman.hs, elman.xs, blocks, "∂h/∂x")
    found = jacobian(elman.hs, elman.xs).reshape(blocks.shape)
    assert not any(found[t, :, k].any() for t in range(elman.T) for k in range(t + 1, elman.T)), (
        "nothing from the future"
    )


def test_rnn_recurrent_weight_is_reused_at_every_step(elman):
    """∂h_T/∂W_h = Σ_k ∂h_T/∂h_k D_k (I ⊗ h_{k-1}ᵀ): the sum of the gradients of its uses."""
    last = elman.T - 1
    states = [elman.h0.array[0], *elman.hs.array]
    total = sum(elman.through(last, k) @ elman.D[k] @ np.kron(np.eye(3), states[k]) for k in range(elman.T))
    agree(elman.hs[last], elman.rnn.weight_hh_l0, total, "∂h_T/∂W_h")


@pytest.mark.optimisation("recurrences")
def test_rnn_structure_and_numbers(elman):
    (link,) = [link for link in chain(elman.hs, {"xs": elman.xs}).links if link.op == "recurrence"]
    assert link.jacobian.structure == "recurrence · block diagonal"
    assert gradcheck(lambda xs, h0: elman.rnn(xs, h0)[0], [elman.xs, elman.h0])


def rotating(g, T=30, n=6):
    """Singular values of ∂h_t/∂h_0 for all t, where W_h is g times a rotation and states are small."""
    rnn = nn.RNN(2, n, bias=False).double()
    with tj.no_grad():
        rnn.weight_hh_l0.copy_(tj.tensor(g * np.linalg.qr(rng(0).normal(size=(n, n)))[0]))
        rnn.weight_ih_l0.copy_(tj.tensor(0.01 * rng(1).normal(size=(n, 2))))
    h0 = leaf(np.zeros((1, n)))
    hs, _ = rnn(tj.tensor(rng(2).normal(size=(T, 2))), h0)
    return singular_values(jacobian(hs, h0).reshape(T, n, n))


def test_rnn_gradients_vanish():
    s = rotating(0.5)
    close(s[-1], np.full(6, 0.5**30), 0.01, "a 30th power")


def test_rnn_gradients_explode_until_the_states_saturate():
    s = rotating(1.5)
    assert s[9, 0] > 40, "1.5¹⁰ = 58"
    assert s[-1, -1] < 1e-6, "where tanh is flat, directions vanish"


def test_rnn_gradients_live_near_1():
    s = rotating(1.0)
    assert s.max() <= 1 + EXACT
    assert s.min() > 0.8


def test_no_singular_value_exceeds_the_power_of_the_weights():
    for g in (0.5, 0.9, 1.5):
        s = rotating(g)
        assert (s[:, 0] <= g ** np.arange(1, 31) * (1 + 1e-9)).all(), "|tanh'| <= 1"


# ------------------------------------------------------------------------------------------------ LSTM


class Lstm:
    """One step of nn.LSTMCell, and its gates by hand."""

    def __init__(self) -> None:
        self.cell = fill(nn.LSTMCell(2, 3))
        self.x, self.h0, self.c0 = leaf(randn(2, seed=10)), leaf(randn(3, seed=11)), leaf(randn(3, seed=12))
        self.h1, self.c1 = self.cell(self.x, (self.h0, self.c0))
        cell = self.cell
        z = cell.weight_ih.array @ self.x.array + cell.bias_ih.array + cell.weight_hh.array @ self.h0.array
        i, f, g, o = np.split(z + cell.bias_hh.array, 4)
        self.i, self.f, self.g, self.o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)

    def c_by(self, weight):
        """∂c/∂x or ∂c/∂h through the three gates, of weight_ih or weight_hh."""
        W_i, W_f, W_g, _ = np.split(weight.array, 4)
        return (
            np.diag(self.c0.array * self.f * (1 - self.f)) @ W_f
            + np.diag(self.g * self.i * (1 - self.i)) @ W_i
            + np.diag(self.i * (1 - self.g**2)) @ W_g
        )

    def h_by(self, weight):
        through_c = np.diag(self.o * (1 - np.tanh(self.c1.array) ** 2)) @ self.c_by(weight)
        return through_c + np.diag(np.tanh(self.c1.array) * self.o * (1 - self.o)) @ np.split(weight.array, 4)[3]


@pytest.fixture
def lstm():
    return Lstm()


def test_lstm_forward_by_hand(lstm):
    close(lstm.c1.array, lstm.f * lstm.c0.array + lstm.i * lstm.g, EXACT, "c")
    close(lstm.h1.array, lstm.o * np.tanh(lstm.c1.array), EXACT, "h")


def test_lstm_cell_to_cell_is_the_forget_gate_on_a_diagonal(lstm):
    agree(lstm.c1, lstm.c0, np.diag(lstm.f), "∂c/∂c = diag(f)")
    assert isinstance(chain(lstm.c1, {"c0": lstm.c0}).product("c0"), Diagonal)


def test_lstm_all_jacobians_of_a_step(lstm):
    agree(lstm.c1, lstm.h0, lstm.c_by(lstm.cell.weight_hh), "∂c/∂h")
    agree(lstm.c1, lstm.x, lstm.c_by(lstm.cell.weight_ih), "∂c/∂x")
    agree(lstm.h1, lstm.h0, lstm.h_by(lstm.cell.weight_hh), "∂h/∂h")
    agree(lstm.h1, lstm.x, lstm.h_by(lstm.cell.weight_ih), "∂h/∂x")
    agree(lstm.h1, lstm.c0, np.diag(lstm.o * (1 - np.tanh(lstm.c1.array) ** 2) * lstm.f), "∂h/∂c")
    assert gradcheck(lambda x, h, c: lstm.cell(x, (h, c)), [lstm.x, lstm.h0, lstm.c0])


def test_lstm_through_time_is_a_product_of_diagonals_where_h_is_cut_off(lstm):
    """With W_h = 0 what remains is diag(f_T ⊙ ⋯ ⊙ f_1)."""
    layer = fill(nn.LSTM(2, 3))
    with tj.no_grad():
        layer.weight_hh_l0.zero_()
    xs, c0 = tj.tensor(randn(5, 2)), leaf(randn(1, 3))
    _, (_, c) = layer(xs, (tj.zeros(1, 3, dtype=tj.float64), c0))
    z = xs.array @ layer.weight_ih_l0.array.T + layer.bias_ih_l0.array + layer.bias_hh_l0.array
    agree(c, c0, np.diag(np.prod(sigmoid(z[:, 3:6]), axis=0)), "diag(Π f)")


def test_lstm_layer_is_the_cell_step_by_step(lstm):
    """The fused layer's recurrence against the unrolled cell, as Jacobians through four steps."""
    layer = fill(nn.LSTM(2, 3))
    xs, h0, c0 = tj.tensor(randn(4, 2)), leaf(randn(1, 3, seed=1)), leaf(randn(1, 3, seed=2))
    h, c = h0[0], c0[0]
    for t in range(4):
        h, c = lstm.cell(xs[t], (h, c))
    _, (h_fused, c_fused) = layer(xs, (h0, c0))
    for fused, unrolled in ((h_fused, h), (c_fused, c)):
        for state in (h0, c0):
            agree(fused, state, jacobian(unrolled, state), "through time")


def test_lstm_remembers_with_an_open_forget_gate():
    def largest(bias, T=30, n=6):
        tj.manual_seed(0)
        layer = nn.LSTM(2, n).double()
        with tj.no_grad():
            layer.bias_hh_l0[n : 2 * n].fill_(bias)
        c0 = leaf(np.zeros((1, n)))
        _, (_, c) = layer(tj.tensor(rng(2).normal(size=(T, 2))), (tj.zeros(1, n, dtype=tj.float64), c0))
        return singular_values(jacobian(c, c0))

    assert largest(0.0)[0] < 1e-5
    assert largest(5.0)[-1] > 0.1


# ------------------------------------------------------------------------------------------------ attention


def test_softmax_is_a_diagonal_and_a_rank_one():
    z = leaf(randn(5))
    p = tj.softmax(z, 0)
    agree(p, z, np.diag(p.array) - np.outer(p.array, p.array), "diag(p) - p pᵀ")
    J = statement(p)
    assert isinstance(J, DiagPlusLowRank)
    assert np.shape(J.u)[0] == 1
    assert gradcheck(lambda z: tj.softmax(z, 0), [z])


class Attention:
    """a = Vᵀ softmax(K q / √d), for one query."""

    def __init__(self, n: int = 4, d: int = 2, m: int = 3) -> None:
        self.d, self.m = d, m
        self.q, self.K, self.V = leaf(randn(1, d)), leaf(randn(n, d, seed=1)), leaf(randn(n, m, seed=2))
        self.a = F.scaled_dot_product_attention(self.q, self.K, self.V)
        e = np.exp(self.K.array @ self.q.array[0] / np.sqrt(d))
        self.p = e / e.sum()


@pytest.fixture
def attention():
    return Attention()


def test_attention_by_the_query(attention):
    """Vᵀ (diag(p) - p pᵀ) K / √d."""
    p, K, V = attention.p, attention.K.array, attention.V.array
    by_hand = V.T @ (np.diag(p) - np.outer(p, p)) @ K / np.sqrt(attention.d)
    agree(attention.a, attention.q, by_hand, "∂a/∂q")


def test_attention_by_the_query_is_a_covariance(attention):
    p, K, V = attention.p, attention.K.array, attention.V.array
    covariance = sum(p[j] * np.outer(V[j] - p @ V, K[j] - p @ K) for j in range(4))
    agree(attention.a, attention.q, covariance / np.sqrt(attention.d), "a covariance under p")


def test_attention_by_keys_and_values(attention):
    p, V = attention.p, attention.V.array
    agree(attention.a, attention.V, np.kron(p, np.eye(attention.m)), "pᵀ ⊗ I")
    blocks = [p[j] * np.outer(V[j] - p @ V, attention.q.array[0]) / np.sqrt(attention.d) for j in range(4)]
    agree(attention.a, attention.K, np.hstack(blocks), "p_j (v_j - a) qᵀ/√d")
    assert gradcheck(F.scaled_dot_product_attention, [attention.q, attention.K, attention.V])


def test_attention_queries_do_not_see_each_other():
    Q, K, V = leaf(randn(3, 2)), tj.tensor(randn(4, 2, seed=1)), tj.tensor(randn(4, 5, seed=2))
    J = jacobian(F.scaled_dot_product_attention(Q, K, V), Q).reshape(3, 5, 3, 2)
    for i, k in itertools.product(range(3), repeat=2):
        assert J[i, :, k].any() == (i == k)


def test_a_saturated_softmax_has_no_gradient():
    """All entries of diag(p) - p pᵀ go to 0 as the scores grow: why they are divided by √d."""
    sizes = []
    for scale in (1, 10, 100):
        z = leaf(scale * np.array([1.0, 0.5, -1.0]))
        sizes.append(np.abs(jacobian(tj.softmax(z, 0), z)).max())
    assert sizes[0] > 0.2 > 1e-2 > sizes[1] > 1e-10 > sizes[2]


# ------------------------------------------------------------------------------------------------ normalisation


def projection(x, eps):
    """(1/σ)(I - 11ᵀ/N - x̂x̂ᵀ/N) of one feature."""
    N, sigma = len(x), np.sqrt(x.var() + eps)
    x_hat = (x - x.mean()) / sigma
    return (np.eye(N) - 1 / N - np.outer(x_hat, x_hat) / N) / sigma


def test_batch_norm_of_one_feature():
    bn = fill(nn.BatchNorm1d(1))
    x = leaf(randn(5, 1))
    y = bn(x)
    agree(y, x, bn.weight.item() * projection(x.array[:, 0], bn.eps), "γ/σ (I - 11ᵀ/N - x̂x̂ᵀ/N)", rtol=1e-11)
    x_hat = (x.array - x.array.mean()) / np.sqrt(x.array.var() + bn.eps)
    agree(y, bn.weight, x_hat, "by γ")
    agree(y, bn.bias, np.ones((5, 1)), "by β")


def test_batch_norm_of_several_features_keeps_them_apart():
    bn = fill(nn.BatchNorm1d(3))
    X = leaf(randn(4, 3))
    by_hand = np.zeros((4, 3, 4, 3))
    for k in range(3):
        by_hand[:, k, :, k] = bn.weight.array[k] * projection(X.array[:, k], bn.eps)
    y = bn(X)
    agree(y, X, by_hand, "a projection for each feature", rtol=1e-11)
    (link,) = [link for link in chain(y, {"X": X}).links if link.op == "standardize"]
    assert isinstance(link.jacobian, DiagPlusLowRank)
    assert np.shape(link.jacobian.u)[0] == 2
    assert gradcheck(lambda x: F.batch_norm(x, None, None, bn.weight, bn.bias, training=True), [X])


def test_batch_norm_takes_mean_and_scale_out_of_the_gradient():
    bn = fill(nn.BatchNorm1d(1))
    x = leaf(randn(6, 1))
    y = bn(x)
    J = jacobian(y, x)
    assert (singular_values(J) > 1e-3 * singular_values(J)[0]).sum() == 4, "N - 2 directions are left"
    y.backward(randn(6, 1, seed=1))
    assert abs(x.grad.array.sum()) < 1e-12
    assert abs((x.grad.array * x.array).sum()) < 1e-4, "up to ε"


def test_batch_norm_in_evaluation_is_a_diagonal():
    bn = fill(nn.BatchNorm1d(3))
    bn(tj.tensor(randn(8, 3)))
    bn.eval()
    X = leaf(randn(4, 3, seed=1))
    y = bn(X)
    scale = bn.weight.array / np.sqrt(bn.running_var.array + bn.eps)
    agree(y, X, np.diag(np.tile(scale, 4)), "γ/σ")


def test_layer_norm_has_the_same_matrix_along_the_other_axis():
    ln = nn.LayerNorm(4).double()
    X = leaf(randn(3, 4))
    by_hand = np.zeros((3, 4, 3, 4))
    for i in range(3):
        by_hand[i, :, i, :] = projection(X.array[i], ln.eps)
    agree(ln(X), X, by_hand, "a projection for each sample", rtol=1e-11)


# ------------------------------------------------------------------------------------------------ transformer


def test_transformer_block_is_a_product_of_two_residual_blocks():
    """(I + J_network)(I + J_attention)."""
    block = fill(nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, norm_first=True, batch_first=True), 0.5)
    x = leaf(randn(3, 4))
    normed = block.norm1(x)
    attended = block.self_attn(normed, normed, normed)[0]
    middle = x + attended
    network = block.linear2(tj.relu(block.linear1(block.norm2(middle))))
    close(block(x).array, (middle + network).array, EXACT, "the same function")
    one = np.eye(12)
    by_hand = (one + jacobian(network, middle)) @ (one + jacobian(attended, x))
    agree(block(x), x, by_hand, "the product", rtol=1e-11)
    tokens = jacobian(network, middle).reshape(3, 4, 3, 4)
    assert not any(tokens[i, :, k].any() for i, k in itertools.permutations(range(3), 2)), "tokens apart"
    assert gradcheck(lambda x: block(x), [x])
