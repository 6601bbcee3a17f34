"""Notes on a multi-layer perceptron, equation by equation: rows u = xW + c, h = max(0, u), z = hw + b.

Each derivative is compared with the formula typed out by hand, with backward(), and with the structured Jacobian.
"""

from __future__ import annotations

import numpy as np
import pytest
from kit import close, randn
from threefold import EXACT, agree, leaf, pulled, statement

import tinygrad_jac as tj
from tinygrad_jac.jacobians import Diagonal, Identity, Kron, chain
from tinygrad_jac.nn import functional as F

LAMBDA = 0.1


class Perceptron:
    """The whole of it: forward pass by the library, every derivative by hand."""

    def __init__(self, N: int = 5) -> None:
        self.X = leaf(randn(N, 3))
        self.W, self.c = leaf(randn(3, 4, seed=1)), leaf(randn(4, seed=2))
        self.w, self.b = leaf(randn(4, 3, seed=3)), leaf(randn(3, seed=4))
        self.y = np.arange(N) % 3
        self.u = self.X @ self.W + self.c
        self.h = tj.relu(self.u)
        self.z = self.h @ self.w + self.b
        self.data_loss = F.cross_entropy(self.z, tj.tensor(self.y))
        self.L = self.data_loss + LAMBDA / 2 * ((self.W**2).sum() + (self.w**2).sum())

        e = np.exp(self.z.array)
        self.p = e / e.sum(axis=1, keepdims=True)
        self.dz = (self.p - np.eye(3)[self.y]) / N
        self.dh = self.dz @ self.w.array.T
        self.du = self.dh * (self.u.array > 0)
        assert 0 < np.count_nonzero(self.u.array > 0) < self.u.numel(), "some units are on and some are off"

    def agree(self, name: str, by_hand: np.ndarray) -> None:
        """∂L/∂name three ways, and without writing the row."""
        tensor = getattr(self, name)
        agree(self.L, tensor, by_hand, f"∂L/∂{name}")
        close(chain(self.L, {name: tensor}).gradient()[name], by_hand, EXACT, f"∂L/∂{name}: Jᵀ 1")


@pytest.fixture(params=[1, 5], ids=["one example", "a batch"])
def mlp(request) -> Perceptron:
    return Perceptron(request.param)


# ------------------------------------------------------------------------------------------------ forward


def test_forward_pass_by_hand(mlp):
    X, W, c, w, b = (t.array for t in (mlp.X, mlp.W, mlp.c, mlp.w, mlp.b))
    total = 0.0
    for i in range(len(X)):
        u = [sum(X[i, a] * W[a, k] for a in range(3)) + c[k] for k in range(4)]
        h = [max(0.0, v) for v in u]
        z = [sum(h[a] * w[a, k] for a in range(4)) + b[k] for k in range(3)]
        total += -np.log(np.exp(z[mlp.y[i]]) / sum(np.exp(v) for v in z))
    penalty = LAMBDA / 2 * (sum(v * v for v in W.ravel()) + sum(v * v for v in w.ravel()))
    close(mlp.L.array, total / len(X) + penalty, EXACT, "L")


def test_ce_loss_of_a_one_hot_vector_is_that_of_its_label(mlp):
    """-Σ_j y_j log p_j = -log p_y."""
    one_hot = np.eye(3)[mlp.y]
    close(-(one_hot * np.log(mlp.p)).sum(1), -np.log(mlp.p[np.arange(len(mlp.y)), mlp.y]), EXACT, "both forms")
    close(F.cross_entropy(mlp.z, tj.tensor(one_hot)).array, mlp.data_loss.array, EXACT, "both targets")


# ------------------------------------------------------------------------------------------------ loss layer


def test_loss_layer_p_minus_indicator(mlp):
    """∂L_i/∂z_k = p_k - 1[y_i = k], for each example."""
    losses = F.cross_entropy(mlp.z, tj.tensor(mlp.y), reduction="none")
    J = chain(losses, {"z": mlp.z})
    N = len(mlp.y)
    expected = np.zeros((N, N, 3))
    for i in range(N):
        for k in range(3):
            expected[i, i, k] = mlp.p[i, k] - (mlp.y[i] == k)
    close(J.dense(), expected.reshape(N, 3 * N), EXACT, "the statement")
    assert any("block diagonal" in link.jacobian.structure for link in J.links) or N == 1
    mlp.agree("z", mlp.dz)


# ------------------------------------------------------------------------------------------------ output layer


def test_output_layer_dz_dh_is_w_transposed(mlp):
    one = leaf(mlp.h.array[0])
    J = chain(one @ mlp.w + mlp.b, {"h": one})
    assert J.shape == (3, 4)
    assert np.array_equal(J.dense(), mlp.w.array.T)


def test_output_layer_dh(mlp):
    """∂L/∂h = ∂L/∂z wᵀ."""
    mlp.agree("h", mlp.dz @ mlp.w.array.T)


def test_output_layer_dw(mlp):
    """∂L/∂w = hᵀ ∂L/∂z + λw."""
    mlp.agree("w", mlp.h.array.T @ mlp.dz + LAMBDA * mlp.w.array)


def test_output_layer_db(mlp):
    """∂L/∂b: the rows of ∂L/∂z, summed."""
    mlp.agree("b", mlp.dz.sum(axis=0))
    if len(mlp.y) == 1:
        close(pulled(mlp.L, mlp.b), mlp.dz[0], EXACT, "∂L/∂z itself for one example, as printed")


def test_the_penalty_alone_gives_lambda_w():
    w = leaf(randn(4, 3))
    (LAMBDA / 2 * (w**2).sum()).backward()
    close(w.grad.array, LAMBDA * w.array, EXACT, "λw")


# ------------------------------------------------------------------------------------------------ hidden layer


def test_hidden_layer_dW(mlp):
    """∂L/∂W = Xᵀ ∂L/∂u + λW."""
    mlp.agree("W", mlp.X.array.T @ mlp.du + LAMBDA * mlp.W.array)


def test_hidden_layer_dc(mlp):
    """∂L/∂c: the rows of ∂L/∂u, summed."""
    mlp.agree("c", mlp.du.sum(axis=0))


def test_hidden_layer_weight_gradient_as_a_kronecker_product(mlp):
    """Xᵀ ∂L/∂u is Jᵀ times a vector, J = X ⊗ I."""
    (link,) = [link for link in chain(mlp.u, {"W": mlp.W}).links if link.op == "matmul"]
    assert isinstance(link.jacobian, Kron)
    assert np.array_equal(link.jacobian.dense(), np.kron(mlp.X.array, np.eye(4)))
    close(link.jacobian.vjp(mlp.du), mlp.X.array.T @ mlp.du, EXACT, "the same product")


# ------------------------------------------------------------------------------------------------ Jacobians


def test_jacobian_definition_rows_are_gradients():
    """J_ij = ∂f_i/∂x_j: its columns ∂f/∂x_j, its rows ∇ᵀf_i."""
    x = leaf([0.5, -1.0, 2.0])
    f = tj.stack([x[0] * x[1], tj.exp(x[2]) + x[0]])
    J = chain(f, {"x": x}).dense()
    by_hand = [[x.array[1], x.array[0], 0], [1, 0, np.exp(x.array[2])]]
    assert J.shape == (2, 3)
    close(J, by_hand, EXACT, "entries")
    for i in range(2):
        x.grad = None
        f[i].backward(retain_graph=True)
        close(x.grad.array, J[i], EXACT, "a row is a gradient")


def test_jacobian_of_relu_2x2_and_hadamard_product(mlp):
    u = leaf([0.7, -0.3])
    h = tj.relu(u)
    J = statement(h)
    assert isinstance(J, Diagonal)
    assert np.array_equal(J.dense(), [[1, 0], [0, 0]])
    g = np.array([3.0, 5.0])
    assert np.array_equal(J.dense().T @ g, (u.array > 0) * g)
    mlp.agree("u", (mlp.u.array > 0) * mlp.dh)


def test_derivative_of_relu_is_0_at_0():
    """f = 0 for x <= 0, 1 for x > 0."""
    u = leaf([-1.0, 0.0, 2.0])
    for f in (tj.relu, F.relu):
        u.grad = None
        out = f(u)
        out.sum().backward(retain_graph=True)
        assert np.array_equal(u.grad.array, [0, 0, 1])
        assert np.array_equal(chain(out, {"u": u}).dense(), np.diag([0.0, 0, 1]))


def test_bias_jacobian_is_the_identity_2x2_and_identities_on_top_of_each_other_for_a_batch():
    c, x, W = leaf(randn(2)), tj.tensor(randn(3)), tj.tensor(randn(3, 2))
    J = chain(x @ W + c, {"c": c})
    assert isinstance(J.product("c"), Identity)
    assert np.array_equal(J.dense(), np.eye(2))
    batch = chain(tj.tensor(randn(4, 3)) @ W + c, {"c": c})
    assert np.array_equal(batch.dense(), np.vstack([np.eye(2)] * 4))
    g = randn(4, 2)
    close(batch.gradient(g)["c"], g.sum(axis=0), EXACT, "its transpose sums")
