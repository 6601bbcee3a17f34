"""Damadi, Moharrer, Cham, "The backpropagation algorithm for a math student", sections 2 to 3.4, where printed right.

Every matrix is compared with the formula typed out by hand, with backward(), and with the structured Jacobians.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from kit import close, numerical_jacobian, randn, rng
from threefold import EXACT, agree, leaf, statement

import tinygrad_jac as tj
from tinygrad_jac.jacobians import Diagonal, Identity, Kron, chain
from tinygrad_jac.nn import functional as F


def softmax(z):
    e = np.exp(z - z.max())
    return e / e.sum()


def by_backward(z, params) -> np.ndarray:
    """J_θ z in the text's order of θ, one row for each call of backward()."""
    rows = []
    for k in range(z.numel()):
        for p in params.values():
            p.grad = None
        z.backward(np.eye(z.numel())[k].reshape(z.shape), retain_graph=True)
        rows.append(np.concatenate([p.grad.array.ravel(order="F") for p in params.values()]))
    return np.stack(rows)


def blocks(a, width) -> np.ndarray:
    """[aᵀ on the block diagonal, width times | I]."""
    matrix = np.zeros((width, width * len(a) + width))
    for j in range(width):
        matrix[j, j * len(a) : (j + 1) * len(a)] = a
        matrix[j, width * len(a) + j] = 1.0
    return matrix


def network(sizes, x, f, derivative, seed=0):
    """z of the last layer, θ with the last layer first, and Algorithm 1's matrix typed out, block by block."""
    draw, a, params = rng(seed), tj.tensor(x), {}
    inputs, weights, diagonals = [], [], []
    for layer, (n, m) in enumerate(itertools.pairwise(sizes), 1):
        W, b = leaf(draw.standard_normal((n, m)) / np.sqrt(n)), leaf(draw.standard_normal(m))
        params = {f"W{layer}": W, f"b{layer}": b, **params}
        inputs.append(a.array)
        weights.append(W.array)
        z = a @ W + b
        a = f(z)
        diagonals.append(np.diag(derivative(z.array)))
    by_hand = []
    for layer in reversed(range(len(weights))):
        block = blocks(inputs[layer], sizes[layer + 1])
        for above in range(layer + 1, len(weights)):
            block = weights[above].T @ diagonals[above - 1] @ block
        by_hand.append(block)
    return z, params, by_hand


def sigmoid_slope(z):
    s = 1 / (1 + np.exp(-z))
    return s * (1 - s)


# ------------------------------------------------------------------------------------------------ section 3


def test_proposition_1_the_gradient_is_the_transposed_jacobian():
    x = leaf(randn(4))
    out = (tj.sin(x) * x).sum()
    out.backward(retain_graph=True)
    J = chain(out, {"x": x}).dense()
    assert J.shape == (1, 4)
    close(J.T[:, 0], x.grad.array, EXACT, "transposed")
    close(x.grad.array, np.cos(x.array) * x.array + np.sin(x.array), EXACT, "by hand")


def test_equation_1_two_factors():
    """∇_θ ℓ = (J_θ z)ᵀ ∇_z ℓ."""
    z, params, by_hand = network((4, 5, 3), randn(4), tj.sigmoid, sigmoid_slope)
    y = np.array([0.0, 0.0, 1.0])
    F.cross_entropy(z, tj.tensor(y)).backward(retain_graph=True)
    gradient = np.concatenate([p.grad.array.ravel(order="F") for p in params.values()])
    dz = softmax(z.array) - y
    close(np.hstack(by_hand).T @ dz, gradient, EXACT, "typed out")
    J = chain(z, params)
    close(J.flatten(J.split(J.T @ dz), order="F"), gradient, EXACT, "structured")


# ------------------------------------------------------------------------------------------------ Table 1


@pytest.mark.parametrize("y", [0.0, 1.0])
def test_table_1_sigmoid_and_binary_cross_entropy(y):
    z = leaf(0.7)
    y_hat = 1 / (1 + tj.exp(-z))
    (-y * tj.log(y_hat) - (1 - y) * tj.log(1 - y_hat)).backward()
    expected = -(y - 1 / (1 + np.exp(-0.7)))
    close(z.grad.array, expected, EXACT, "composed")
    fused = F.binary_cross_entropy_with_logits(z, tj.tensor(np.array(y)))
    close(chain(fused, {"z": z}).dense(), [[expected]], EXACT, "the statement of the fused op")


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_table_1_softmax_and_cross_entropy(classes):
    z, y = leaf(randn(classes)), np.eye(classes)[1]
    y_hat = tj.exp(z) / tj.exp(z).sum()
    (-(tj.tensor(y) * tj.log(y_hat)).sum()).backward()
    expected = -(y - softmax(z.array))
    close(z.grad.array, expected, EXACT, "composed")
    for target in (tj.tensor(y), tj.tensor(1)):
        J = chain(F.cross_entropy(z, target), {"z": z})
        close(J.dense(), expected[None], EXACT, "the statement of the fused op")


@pytest.mark.parametrize("outputs", [1, 4])
def test_table_1_identity_and_squared_error(outputs):
    z, y = leaf(randn(outputs)), randn(outputs, seed=1)
    loss = F.mse_loss(z, tj.tensor(y), reduction="sum")
    loss.backward(retain_graph=True)
    expected = -2 * (y - z.array)
    close(z.grad.array, expected, EXACT, "gradient")
    close(chain(loss, {"z": z}).dense(), expected[None], EXACT, "structured")
    z.grad = None
    F.mse_loss(z, tj.tensor(y)).backward()
    close(z.grad.array, expected / outputs, EXACT, "the mean is another loss")


# ------------------------------------------------------------------------------------------------ 3.1, Table 2


@pytest.mark.parametrize("columns", [True, False], ids=["Wᵀx + b", "xW + b"])
def test_3_1_one_layer_3x15(columns):
    x, W, b = randn(4), leaf(randn(4, 3, seed=1)), leaf(randn(3, seed=2))
    z = W.T @ tj.tensor(x) + b if columns else tj.tensor(x) @ W + b
    J = chain(z, {"W": W, "b": b})
    o = np.zeros(4)
    by_hand = np.array(
        [
            [*x, *o, *o, 1, 0, 0],
            [*o, *x, *o, 0, 1, 0],
            [*o, *o, *x, 0, 0, 1],
        ]
    )
    assert by_hand.shape == J.shape == (3, 15)
    assert np.array_equal(J.dense(order="F"), by_hand)
    assert np.array_equal(by_backward(z, {"W": W, "b": b}), by_hand)
    row_by_row = np.hstack([np.kron(x, np.eye(3)), np.eye(3)])
    assert np.array_equal(J.dense(), row_by_row), "in NumPy's order, the default, xᵀ ⊗ I"
    agree(z, W, row_by_row[:, :12], "by W")
    factors = [link.jacobian for link in J.links if link.op == "matmul"]
    assert [type(factor) for factor in factors] == [Kron]
    assert isinstance(J.product("b"), Identity)
    assert J.dense("denominator", order="F").shape == (15, 3)
    layer = tj.nn.Linear(4, 3, dtype=tj.float64)
    assert np.array_equal(chain(layer(tj.tensor(x)), layer).dense(), by_hand), "(out, in) row by row is vec(W)"


def test_3_1_gradient():
    """-[x blocks; I] (y - ŷ)."""
    x, W, b, y = randn(4), leaf(randn(4, 3, seed=1)), leaf(randn(3, seed=2)), np.array([1.0, 0, 0])
    z = tj.tensor(x) @ W + b
    F.cross_entropy(z, tj.tensor(y)).backward()
    o = np.zeros(4)
    stacked = np.vstack([np.column_stack([x, o, o]), np.column_stack([o, x, o]), np.column_stack([o, o, x]), np.eye(3)])
    assert stacked.shape == (15, 3)
    found = np.concatenate([W.grad.array.ravel(order="F"), b.grad.array])
    close(found, -stacked @ (y - softmax(z.array)), EXACT, "gradient")


@pytest.mark.parametrize("n", [1, 4])
@pytest.mark.parametrize("kind", ["regression", "classifier"])
def test_table_2(n, kind):
    """Simple (n = 1) and multiple: ∇ = -2 [x; 1] (y - ŷ), and -[x; 1] (y - σ(θᵀ[x; 1]))."""
    x, w, b, y = randn(n), leaf(randn(n, seed=1)), leaf(0.3), 1.0
    z = w @ tj.tensor(x) + b
    y_hat = z if kind == "regression" else tj.sigmoid(z)
    loss = (y - y_hat) ** 2 if kind == "regression" else -y * tj.log(y_hat) - (1 - y) * tj.log(1 - y_hat)
    loss.backward(retain_graph=True)
    factor = -2 if kind == "regression" else -1
    expected = factor * np.append(x, 1.0) * (y - y_hat.item())
    close(np.append(w.grad.array, b.grad.array), expected, EXACT, "backward()")
    J = chain(z, {"w": w, "b": b})
    assert np.array_equal(J.dense(), np.append(x, 1.0)[None])
    close(chain(loss, {"w": w, "b": b}).dense(), expected[None], EXACT, "structured")


# ------------------------------------------------------------------------------------------------ 3.2, 3.3, Algorithm 1


def test_3_2_two_layers_3x43():
    z, params, (last, first) = network((4, 5, 3), randn(4), tj.sigmoid, sigmoid_slope)
    assert last.shape == (3, 18)
    assert first.shape == (3, 25)
    J = chain(z, params)
    assert J.shape == (3, 43)
    assert J.names == ["W2", "b2", "W1", "b1"]
    close(J.dense(order="F"), np.hstack([last, first]), EXACT, "structured")
    close(by_backward(z, params), np.hstack([last, first]), EXACT, "backward()")
    assert chain(z, {k: params[k] for k in ("W2", "b2")}).shape == (3, 18)
    assert chain(z, {k: params[k] for k in ("W1", "b1")}).shape == (3, 25)


def test_3_2_the_chain_rule_step_by_step():
    """J_{W1,b1} z2 = W2ᵀ J_{z1} f1 J_{W1,b1} z1: the local Jacobians in that order, and their shapes."""
    z, params, _ = network((4, 5, 3), randn(4), tj.relu, lambda z: (z > 0) * 1.0)
    W1 = [f for f in chain(z, params).links if f.jacobian.structure != "identity"]
    shapes = [(f.op, f.jacobian.shape) for f in W1]
    assert shapes == [("matmul", (3, 5)), ("matmul", (3, 15)), ("relu", (5, 5)), ("matmul", (5, 20))]
    assert np.array_equal(W1[0].jacobian.dense(), params["W2"].array.T)


def test_3_2_gradient_of_all_43_parameters():
    """[a1 blocks; I; x blocks·(J f)ᵀ W2; (J f)ᵀ W2] times -(y - ŷ), the last layer's entries on top."""
    z, params, (last, first) = network((4, 5, 3), randn(4), tj.sigmoid, sigmoid_slope)
    y = np.array([0.0, 1.0, 0.0])
    F.cross_entropy(z, tj.tensor(y)).backward(retain_graph=True)
    found = np.concatenate([p.grad.array.ravel(order="F") for p in params.values()])
    assert found.shape == (43,)
    close(found, -np.vstack([last.T, first.T]) @ (y - softmax(z.array)), EXACT, "gradient")


@pytest.mark.parametrize(
    "f, slope",
    [
        (tj.relu, lambda z: (z > 0) * 1.0),
        (tj.sigmoid, sigmoid_slope),
        (tj.tanh, lambda z: 1 - np.tanh(z) ** 2),
    ],
    ids=["relu", "sigmoid", "tanh"],
)
@pytest.mark.parametrize("sizes", [(4, 3), (4, 5, 3), (3, 5, 4, 2), (3, 5, 4, 5, 4, 2)], ids=str)
def test_algorithm_1_for_any_number_of_layers(sizes, f, slope):
    z, params, by_hand = network(sizes, randn(sizes[0]), f, slope)
    assert all(block.any() for block in by_hand), "no layer is cut off by units that are all off"
    J = chain(z, params)
    close(J.dense(order="F"), np.hstack(by_hand), EXACT, "structured")
    close(by_backward(z, params), np.hstack(by_hand), EXACT, "backward()")
    widths = [block.shape[1] for block in by_hand]
    assert [sum(int(np.prod(J.parameters[n])) for n in layer) for layer in J.layers] == widths


def test_3_3_three_layers_10x111810():
    """784-100-300-10, as the text has it: 3,010 + 30,300 + 78,500 columns."""
    z, params, by_hand = network((784, 100, 300, 10), rng(1).random(784), tj.relu, lambda z: (z > 0) * 1.0)
    assert all(block.any() for block in by_hand)
    assert [block.shape for block in by_hand] == [(10, 3010), (10, 30300), (10, 78500)]
    J = chain(z, params)
    assert J.shape == (10, 111_810)
    close(J.dense(order="F"), np.hstack(by_hand), EXACT, "structured")
    y = np.eye(10)[3]
    dz = -(y - softmax(z.array))
    F.cross_entropy(z, tj.tensor(y)).backward(retain_graph=True)
    found = np.concatenate([p.grad.array.ravel(order="F") for p in params.values()])
    close(found, np.hstack(by_hand).T @ dz, EXACT, "backward()")
    close(J.flatten(J.gradient(dz), order="F"), found, EXACT, "without writing J")


# ------------------------------------------------------------------------------------------------ 3.4


@pytest.mark.parametrize(
    "f", [tj.relu, tj.sigmoid, tj.tanh, F.gelu, F.elu, F.softplus, F.silu], ids=lambda f: f.__name__
)
def test_3_4_jacobians_of_activations_are_diagonal(f):
    z = leaf(randn(6))
    out = f(z)
    J = chain(out, {"z": z}).product("z")
    assert isinstance(J, Diagonal)
    slopes = [numerical_jacobian(lambda x: f(tj.tensor(x)).array, [z.array[k : k + 1]], 0)[0, 0] for k in range(6)]
    close(J.dense(), np.diag(slopes), 1e-9, "each entry's own slope, numerically")
    out.sum().backward()
    close(z.grad.array, slopes, 1e-9, "backward()")


def test_3_4_relu_of_zeros_and_ones_removes_rows():
    z, W = leaf([1.5, -2.0, 0.0, 3.0]), randn(4, 3)
    out = tj.relu(z)
    J = statement(out)
    assert np.array_equal(J.dense(), np.diag([1.0, 0, 0, 1]))
    assert np.array_equal(J @ W, W * np.array([[1.0], [0], [0], [1]]))
    assert J.nnz == 2
