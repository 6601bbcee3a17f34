"""CSE463 slides, "Backpropagation", with chapter 5 of "Mathematics for Machine Learning": equation by equation.

Each derivative is compared with the formula typed out by hand, with backward(), and with the structured Jacobian.
"""

from __future__ import annotations

import numpy as np
import pytest
from kit import close, numerical_jacobian, randn, scratch_registry
from threefold import EXACT, agree, jacobian, leaf, pulled, statement

import tinygrad_jac as tj
from tinygrad_jac.jacobians import Diagonal, Identity, Kron, chain
from tinygrad_jac.nn import functional as F


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


# ------------------------------------------------------------------------------------------------ the cost


def test_total_cost_and_its_gradient_are_sums_over_the_examples():
    """E(θ) = Σ_r E^r(θ)."""
    X, Y, theta = randn(4, 3), randn(4, seed=1), leaf(randn(3, seed=2))
    costs = 0.5 * (X @ theta - Y) ** 2
    each = [(X[r] @ theta.array - Y[r]) * X[r] for r in range(4)]
    agree(costs, theta, each, "E^r")
    agree(costs.sum(), theta, sum(each), "E")


def test_gradient_descent_theta_t_plus_1():
    """θ(t+1) = θ(t) - η ∂E/∂θ, with the step of the program and by hand."""
    X, Y, eta = randn(5, 2), randn(5, seed=1), 0.05
    theta, by_hand = leaf([0.3, -0.2]), np.array([0.3, -0.2])
    costs = []
    for _ in range(10):
        theta.grad = None
        E = 0.5 * ((X @ theta - Y) ** 2).sum()
        E.backward()
        with tj.no_grad():
            theta -= eta * theta.grad
        by_hand = by_hand - eta * (X @ by_hand - Y) @ X
        costs.append(E.item())
        close(theta.array, by_hand, EXACT, "θ(t+1)")
    assert costs == sorted(costs, reverse=True)


def test_half_squared_norm_both_forms_and_their_row():
    """E = ½‖Ŷ - Y‖² = ½ (Ŷ - Y)ᵀ(Ŷ - Y), ∂E/∂θ = (Ŷ - Y)ᵀ ∂Ŷ/∂θ."""
    X, Y, theta = randn(4, 3), randn(4, seed=1), leaf(randn(3, seed=2))
    Y_hat = tj.tanh(X @ theta)
    row = (Y_hat.array - Y)[None] @ (np.diag(1 - Y_hat.array**2) @ X)
    assert row.shape == (1, 3)
    for E in (0.5 * ((Y_hat - Y) ** 2).sum(), 0.5 * (Y_hat - Y) @ (Y_hat - Y), 0.5 * tj.linalg.norm(Y_hat - Y) ** 2):
        agree(E, theta, row, "∂E/∂θ")


# ------------------------------------------------------------------------------------------------ 5.2


def test_5_39_5_40_partial_derivatives_as_limits_in_a_row():
    def f(x):
        return x[0] ** 2 * x[1] + np.sin(x[2])

    at, x = np.array([1.5, -0.5, 0.3]), leaf([1.5, -0.5, 0.3])
    by_hand = [[2 * 1.5 * -0.5, 1.5**2, np.cos(0.3)]]
    y = x[0] ** 2 * x[1] + tj.sin(x[2])
    assert jacobian(y, x).shape == (1, 3)
    agree(y, x, by_hand, "grad f")
    errors = []
    for h in (1e-2, 1e-3, 1e-4):  # one-sided, as printed: the error falls with h
        quotients = [(f(at + h * e) - f(at)) / h for e in np.eye(3)]
        errors.append(np.abs(quotients - np.array(by_hand[0])).max())
    assert errors[0] > 5 * errors[1] > 25 * errors[2]


def test_5_46_product_rule():
    x = leaf(randn(3))
    f, g = (x**3).sum(), tj.exp(x).prod()
    df, dg = 3 * x.array**2, np.full(3, np.exp(x.array.sum()))
    agree(f * g, x, df * g.item() + f.item() * dg, "(fg)'")
    assert str(chain(f * g, {"x": x})).count(" + ") == 1, "two paths"


def test_5_46_product_rule_of_a_number_and_a_vector_keeps_the_order():
    x = leaf(randn(3))
    f, g = (x**2).sum(), tj.sin(x)
    by_hand = np.outer(np.sin(x.array), 2 * x.array) + (x.array**2).sum() * np.diag(np.cos(x.array))
    agree(f * g, x, by_hand, "(fg)'")


def test_5_47_sum_rule():
    x = leaf(randn(3))
    agree(tj.sin(x) + x**2, x, np.diag(np.cos(x.array) + 2 * x.array), "(f+g)'")


def test_5_48_chain_rule():
    x, A = leaf(randn(3)), randn(2, 3, seed=1)
    f = tj.exp(x)
    g = A @ f
    agree(g, x, A @ np.diag(np.exp(x.array)), "(g∘f)'")
    close(jacobian(g, x), jacobian(g, f) @ jacobian(f, x), EXACT, "as a product")


def test_5_49_one_variable():
    t = leaf(0.7)
    x1, x2 = tj.sin(t), tj.cos(t)
    f = x1**2 + 2 * x2
    agree(f, t, 2 * np.sin(0.7) * np.cos(0.7) - 2 * np.sin(0.7), "df/dt")
    x = tj.stack([x1, x2])
    f = x[0] ** 2 + 2 * x[1]
    row, column = jacobian(f, x), jacobian(x, t)
    assert (row.shape, column.shape) == ((1, 2), (2, 1))
    close(row @ column, jacobian(f, t), EXACT, "row times column")


def test_5_51_5_52_5_53_two_variables():
    st = leaf([2.0, 3.0])
    s, t = 2.0, 3.0
    x = tj.stack([st[0] * st[1], st[0] + st[1] ** 2])
    f = x[0] ** 2 + 2 * x[1]
    df_dx, dx_dst = np.array([[2 * s * t, 2.0]]), np.array([[t, s], [1.0, 2 * t]])
    agree(f, x, df_dx, "∂f/∂x")
    agree(x, st, dx_dst, "∂x/∂(s,t)")
    agree(f, st, [2 * s * t * t + 2 * 1, 2 * s * t * s + 2 * 2 * t], "(5.51), (5.52)")
    agree(f, st, df_dx @ dx_dst, "(5.53)")


# ------------------------------------------------------------------------------------------------ 5.3


def field(x):
    return tj.stack([x[0] * x[1], tj.sin(x[2]), x[0] / x[2], x.sum()])


def field_by_hand(x):
    a, b, c = x
    return np.array([[b, a, 0], [0, 0, np.cos(c)], [1 / c, 0, -a / c**2], [1, 1, 1]])


def test_5_55_5_56_5_58_columns_and_rows_of_the_jacobian():
    x = leaf([0.5, -1.0, 2.0])
    J = field_by_hand(x.array)
    agree(field(x), x, J, "J")
    assert jacobian(field(x), x).shape == (4, 3)
    for j, e in enumerate(np.eye(3)):
        column = tj.func.jvp(field, (x.detach(),), (tj.tensor(e),))[1]
        close(column.array, J[:, j], EXACT, f"∂f/∂x{j + 1}")
    for i in range(4):
        close(pulled(field(x)[i], x), J[i], EXACT, f"∇f{i + 1}")
    numbers = numerical_jacobian(lambda a: field(tj.tensor(a)).array, [x.array], 0)
    close(numbers, J, 1e-9, "(5.55), the limits")


def test_5_59_index_order():
    """J(i, j) = ∂f_i/∂x_j."""
    x = leaf([0.5, -1.0, 2.0])
    J = jacobian(field(x), x)
    for i in range(4):
        for j in range(3):
            assert J[i, j] == tj.autograd.grad(field(x)[i], x)[0].array[j]


def test_special_case_of_5_58_the_sum_has_a_row_of_ones():
    x = leaf(randn(5))
    assert np.array_equal(jacobian(x.sum(), x), np.ones((1, 5)))


def test_example_5_9_matrix_times_vector():
    """f = Ax, df/dx = A (5.67, 5.68)."""
    A, x = randn(3, 4), leaf(randn(4, seed=1))
    f = tj.tensor(A) @ x
    agree(f, x, A, "df/dx")
    assert isinstance(_only(f, x, "matmul"), Kron)


def _only(output, tensor, op):
    (link,) = [link for link in chain(output, {"": tensor}).links if link.op == op]
    return link.jacobian


def least_squares(seed=0):
    Phi, y, theta = randn(5, 3, seed=seed), randn(5, seed=seed + 1), leaf(randn(3, seed=seed + 2))
    return Phi, y, theta, y - tj.tensor(Phi) @ theta


def test_example_5_11_by_the_chain_rule():
    """(5.75) to (5.83): ∂L/∂e = 2eᵀ, ∂e/∂θ = -Φ, ∂L/∂θ = -2eᵀΦ in R^{1×D}."""
    Phi, y, theta, e = least_squares()
    L = (e**2).sum()
    agree(L, e, 2 * e.array[None], "(5.81)")
    agree(e, theta, -Phi, "(5.82)")
    agree(L, theta, -2 * e.array[None] @ Phi, "(5.83)")
    agree(L, theta, -2 * (y[None] - theta.array[None] @ Phi.T) @ Phi, "(5.83), its second form")
    assert jacobian(L, theta).shape == (1, 3)
    for d in range(3):
        by_sum = sum(jacobian(L, e)[0, n] * jacobian(e, theta)[n, d] for n in range(5))
        close(jacobian(L, theta)[0, d], by_sum, EXACT, "(5.80)")


def test_example_5_11_without_the_chain_rule():
    """(5.84): multiplied out first."""
    Phi, y, theta, e = least_squares()
    P = tj.tensor(Phi)
    L2 = (y**2).sum() - 2 * y @ (P @ theta) + theta @ (P.T @ P) @ theta
    close(L2.array, (e.array**2).sum(), EXACT, "the same loss")
    agree(L2, theta, -2 * e.array @ Phi, "the same row")


# ------------------------------------------------------------------------------------------------ 5.4


def matrix_of(x):
    a, b, c = x[0], x[1], x[2]
    return tj.stack([a, b, b**2, c, a * c, c**3, a * b, tj.sin(a)]).reshape(4, 2)


def test_5_4_collating_and_flattening_agree():
    """A in R^{4×2} by x in R^3: three 4×2 matrices, collated; 8×3, folded up."""
    x = leaf([1.0, 2.0, 3.0])
    slices = [tj.func.jvp(matrix_of, (x.detach(),), (tj.tensor(e),))[1].array for e in np.eye(3)]
    collated = np.stack(slices, axis=2)
    flattened = jacobian(matrix_of(x), x)
    assert (collated.shape, flattened.shape) == ((4, 2, 3), (8, 3))
    close(flattened.reshape(4, 2, 3), collated, EXACT, "the two approaches")
    a, b, c = 1.0, 2.0, 3.0
    by_hand = [
        [[1, 0, 0], [0, 1, 0]],
        [[0, 2 * b, 0], [0, 0, 1]],
        [[c, 0, a], [0, 0, 3 * c**2]],
        [[b, a, 0], [np.cos(a), 0, 0]],
    ]
    agree(matrix_of(x), x, by_hand, "entry by entry")


@pytest.mark.parametrize(("m", "n", "p", "q"), [(2, 3, 4, 3), (4, 2, 4, 5), (1, 1, 3, 2)])
def test_5_4_matrix_by_matrix_is_a_4_tensor(m, n, p, q):
    """J_ijkl = ∂A_ij/∂B_kl, of A = C B D: C_ik D_lj."""
    C, B, D = randn(m, p), leaf(randn(p, q, seed=1)), randn(q, n, seed=2)

    def product(B):
        return tj.tensor(C) @ B @ tj.tensor(D)

    by_hand = np.zeros((m, n, p, q))
    for i in range(m):
        for j in range(n):
            for k in range(p):
                for el in range(q):
                    by_hand[i, j, k, el] = C[i, k] * D[el, j]
    assert tj.func.jacrev(product)(B.detach()).shape == (m, n, p, q)
    close(tj.func.jacrev(product)(B.detach()).array, by_hand, EXACT, "by rows")
    close(tj.func.jacfwd(product)(B.detach()).array, by_hand, EXACT, "by columns")
    agree(product(B), B, by_hand, "flattened")


def test_5_4_matrix_by_matrix_where_it_is_used_twice():
    """A = B Bᵀ: J_ijkl = 1[i=k] B_jl + 1[j=k] B_il."""
    B = leaf(randn(2, 3))
    one = np.eye(2)
    by_hand = np.einsum("ik,jl->ijkl", one, B.array) + np.einsum("jk,il->ijkl", one, B.array)
    agree(B @ B.mT, B, by_hand, "B Bᵀ")


@pytest.mark.parametrize(("M", "N"), [(3, 2), (1, 4), (5, 1)])
def test_example_5_12_vector_by_matrix(M, N):
    """(5.85) to (5.92): df/dA in R^{M×(M×N)}; in ∂f_i/∂A row i is xᵀ, the others 0."""
    A, x = leaf(randn(M, N)), randn(N, seed=1)
    f = A @ tj.tensor(x)
    J = jacobian(f, A).reshape(M, M, N)
    for i in range(M):
        assert np.array_equal(J[i, i], x), "(5.90)"
        assert not np.delete(J[i], i, axis=0).any(), "(5.91)"
        slab = np.zeros((M, N))
        slab[i] = x
        close(pulled(f[i], A), slab, EXACT, "(5.92), by backward()")
    for q in range(N):
        assert (J[np.arange(M), np.arange(M), q] == x[q]).all(), "(5.89)"
    agree(f, A, np.kron(np.eye(M), x), "I ⊗ xᵀ")
    assert isinstance(_only(f, A, "matmul"), Kron)


# ------------------------------------------------------------------------------------------------ 5.6


@pytest.mark.parametrize("at", [0.8, -0.3, 1.2])
def test_5_109_5_110(at):
    x = leaf(at)
    u = x**2 + tj.exp(x**2)
    f = tj.sqrt(u) + tj.cos(u)
    v = at**2 + np.exp(at**2)
    first = (2 * at + 2 * at * np.exp(at**2)) / (2 * np.sqrt(v)) - np.sin(v) * (2 * at + 2 * at * np.exp(at**2))
    second = 2 * at * (1 / (2 * np.sqrt(v)) - np.sin(v)) * (1 + np.exp(at**2))
    agree(f, x, first, "the first line of (5.110)")
    agree(f, x, second, "the second line of (5.110)")


ACTIVATIONS = {
    "sigmoid": (tj.sigmoid, lambda f: f * (1 - f)),
    "tanh": (tj.tanh, lambda f: 1 - f**2),
    "relu": (tj.relu, lambda f: (f > 0).astype(float)),
}


class Deep:
    """(5.112) to (5.114): f_0 = x, f_i = σ(A_{i-1} f_{i-1} + b_{i-1}), L = ‖y - f_K‖²."""

    def __init__(self, K: int, activation: str = "sigmoid", width: int = 5) -> None:
        function, slope = ACTIVATIONS[activation]
        self.K = K
        self.A = [leaf(randn(width, width, seed=i)) for i in range(K)]
        self.b = [leaf(1 + randn(width, seed=10 + i)) for i in range(K)]  # so that most ReLUs are on
        self.f = [leaf(randn(width, seed=20))]
        self.y = randn(width, seed=30)
        for A, b in zip(self.A, self.b):
            self.f.append(function(A @ self.f[-1] + b))
        self.L = ((self.y - self.f[-1]) ** 2).sum()
        arrays = [f.array for f in self.f]
        slopes = [None, *(np.diag(slope(f)) for f in arrays[1:])]
        # ∂f_{i+1}/∂f_i, ∂f_{i+1}/∂A_i, ∂f_{i+1}/∂b_i, typed by hand
        self.by_f = [slopes[i + 1] @ self.A[i].array for i in range(K)]
        self.by_A = [slopes[i + 1] @ np.kron(np.eye(width), arrays[i]) for i in range(K)]
        self.by_b = [slopes[i + 1] for i in range(K)]
        self.by_output = -2 * (self.y - arrays[-1])[None]


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("K", [1, 2, 3, 5])
def test_5_115_to_5_118_gradients_of_all_layers(K, activation):
    """∂L/∂θ_i = ∂L/∂f_K ∂f_K/∂f_{K-1} ⋯ [∂f_{i+2}/∂f_{i+1} ∂f_{i+1}/∂θ_i], each from the row that is carried along."""
    net = Deep(K, activation)
    agree(net.L, net.f[K], net.by_output, "∂L/∂f_K")
    carried = net.by_output
    for i in reversed(range(K)):
        agree(net.f[i + 1], net.f[i], net.by_f[i], f"∂f{i + 1}/∂f{i}")
        agree(net.f[i + 1], net.A[i], net.by_A[i], f"∂f{i + 1}/∂A{i}")
        agree(net.f[i + 1], net.b[i], net.by_b[i], f"∂f{i + 1}/∂b{i}")
        assert (carried @ net.by_A[i]).any(), "not all units are off"
        agree(net.L, net.A[i], carried @ net.by_A[i], f"∂L/∂A{i}")
        agree(net.L, net.b[i], carried @ net.by_b[i], f"∂L/∂b{i}")
        carried = carried @ net.by_f[i]


def test_5_116_5_117_as_printed_for_three_layers():
    net = Deep(3)
    last = net.by_output
    agree(net.L, net.A[2], last @ net.by_A[2], "(5.115)")
    agree(net.L, net.A[1], last @ (net.by_f[2] @ net.by_A[1]), "(5.116)")
    agree(net.L, net.A[0], last @ net.by_f[2] @ (net.by_f[1] @ net.by_A[0]), "(5.117)")


@pytest.mark.parametrize("K", [1, 4, 9])
def test_each_backward_step_reuses_the_one_before(K):
    """One call of a layer's rule for all parameters below it, not one for each of them."""
    calls = []

    def rule(g, out, x):
        calls.append(g.shape)
        return g * out * (1 - out)

    with scratch_registry():
        layer = tj.primitive(
            "counted_sigmoid",
            sigmoid,
            elementwise=True,
            saves="out",
            vjp=rule,
            jacobian=lambda out, x: Diagonal(out * (1 - out)),
        )
        A = [leaf(randn(3, 3, seed=i)) for i in range(K)]
        f = tj.tensor(randn(3))
        for matrix in A:
            f = layer(matrix @ f)
        (f**2).sum().backward()
    assert calls == [(3,)] * K
    assert all(matrix.grad is not None for matrix in A)


def test_local_jacobians_grow_in_number_with_the_layers_and_no_faster():
    def links(K):
        net = Deep(K)
        return len(
            chain(net.L, {**{f"A{i}": A for i, A in enumerate(net.A)}, **{f"b{i}": b for i, b in enumerate(net.b)}})
        )

    counts = [links(K) for K in (2, 3, 4, 5)]
    assert len(set(np.diff(counts))) == 1


# ------------------------------------------------------------------------------------------------ the example


class Example:
    """f_0 = X, Z_1 = A_0 f_0 + b_0, f_1 = σ(Z_1), Z_2 = A_1 f_1 + b_1, f_2 = σ(Z_2), E = ½(f_2 - Y)ᵀ(f_2 - Y)."""

    def __init__(self) -> None:
        self.A0, self.b0 = leaf(randn(3, 4)), leaf(randn(3, seed=1))
        self.A1, self.b1 = leaf(randn(2, 3, seed=2)), leaf(randn(2, seed=3))
        self.f0, self.Y = tj.tensor(randn(4, seed=4)), randn(2, seed=5)
        self.Z1 = self.A0 @ self.f0 + self.b0
        self.f1 = tj.sigmoid(self.Z1)
        self.Z2 = self.A1 @ self.f1 + self.b1
        self.f2 = tj.sigmoid(self.Z2)
        self.E = 0.5 * (self.f2 - self.Y) @ (self.f2 - self.Y)
        self.row = (self.f2.array - self.Y)[None]
        self.D2 = np.diag(self.f2.array * (1 - self.f2.array))
        self.D1 = np.diag(self.f1.array * (1 - self.f1.array))


@pytest.fixture
def example() -> Example:
    return Example()


def test_example_forward_path(example):
    f1 = [
        sigmoid(sum(example.A0.array[i, j] * example.f0.array[j] for j in range(4)) + example.b0.array[i])
        for i in range(3)
    ]
    f2 = [sigmoid(sum(example.A1.array[i, j] * f1[j] for j in range(3)) + example.b1.array[i]) for i in range(2)]
    close(example.E.array, 0.5 * sum((f2[i] - example.Y[i]) ** 2 for i in range(2)), EXACT, "E")


def test_example_row_identity_and_diagonal_matrices_by_name(example):
    agree(example.E, example.f2, example.row, "(f2 - Y)ᵀ, a row vector")
    for f, D in ((example.f2, example.D2), (example.f1, example.D1)):
        assert isinstance(statement(f), Diagonal)
        close(statement(f).dense(), D, EXACT, "σ' on the diagonal")
    for Z, b in ((example.Z2, example.b1), (example.Z1, example.b0)):
        assert isinstance(chain(Z, {"b": b}).product("b"), Identity)
        assert np.array_equal(jacobian(Z, b), np.eye(len(b)))
    agree(example.Z2, example.f1, example.A1.array, "∂Z2/∂f1 = A1")


def test_example_backward_path_1(example):
    """∂E/∂b_1 = (f_2 - Y)ᵀ (∂f_2/∂Z_2) (∂Z_2/∂b_1)."""
    agree(example.E, example.b1, example.row @ example.D2 @ np.eye(2), "∂E/∂b1")


def test_example_backward_path_2(example):
    """∂E/∂b_0 = (f_2 - Y)ᵀ (∂f_2/∂Z_2) (∂Z_2/∂f_1) (∂f_1/∂Z_1) (∂Z_1/∂b_0)."""
    by_hand = example.row @ example.D2 @ example.A1.array @ example.D1 @ np.eye(3)
    agree(example.E, example.b0, by_hand, "∂E/∂b0")


def single_one(shape, *at):
    matrix = np.zeros(shape)
    matrix[at] = 1.0
    return matrix


@pytest.mark.parametrize("alpha", [(i, j) for i in range(2) for j in range(3)], ids=str)
def test_example_backward_path_3_alpha_in_A1(example, alpha):
    """∂E/∂α = (f_2 - Y)ᵀ (∂f_2/∂Z_2) (∂Z_2/∂α), ∂Z_2/∂α = [∂A_1/∂α] f_1."""
    dZ2 = single_one((2, 3), *alpha) @ example.f1.array
    column = np.ravel_multi_index(alpha, (2, 3))
    close(jacobian(example.Z2, example.A1)[:, column], dZ2, EXACT, "∂Z2/∂α")
    by_hand = (example.row @ example.D2 @ dZ2).item()
    close(pulled(example.E, example.A1)[alpha], by_hand, EXACT, "∂E/∂α by backward()")
    close(jacobian(example.E, example.A1)[0, column], by_hand, EXACT, "∂E/∂α, structured")


@pytest.mark.parametrize("beta", [(i, j) for i in range(3) for j in range(4)], ids=str)
def test_example_backward_path_4_beta_in_A0(example, beta):
    """∂E/∂β = (f_2 - Y)ᵀ (∂f_2/∂Z_2) (∂Z_2/∂f_1) (∂f_1/∂Z_1) (∂Z_1/∂β), ∂Z_1/∂β = [∂A_0/∂β] f_0."""
    dZ1 = single_one((3, 4), *beta) @ example.f0.array
    column = np.ravel_multi_index(beta, (3, 4))
    close(jacobian(example.Z1, example.A0)[:, column], dZ1, EXACT, "∂Z1/∂β")
    by_hand = (example.row @ example.D2 @ example.A1.array @ example.D1 @ dZ1).item()
    close(pulled(example.E, example.A0)[beta], by_hand, EXACT, "∂E/∂β by backward()")
    close(jacobian(example.E, example.A0)[0, column], by_hand, EXACT, "∂E/∂β, structured")


def test_example_the_table_of_all_entries_is_an_outer_product(example):
    delta2 = (example.row @ example.D2)[0]
    delta1 = delta2 @ example.A1.array @ example.D1
    agree(example.E, example.A1, np.outer(delta2, example.f1.array), "δ₂ f₁ᵀ")
    agree(example.E, example.A0, np.outer(delta1, example.f0.array), "δ₁ f₀ᵀ")


def test_example_as_layers_of_the_library(example):
    """nn.functional.linear and mse_loss give the same gradients."""
    hidden = tj.sigmoid(F.linear(example.f0, example.A0, example.b0))
    output = tj.sigmoid(F.linear(hidden, example.A1, example.b1))
    E = F.mse_loss(output, tj.tensor(example.Y), reduction="sum") / 2
    close(E.array, example.E.array, EXACT, "E")
    for p in (example.A0, example.b0, example.A1, example.b1):
        close(pulled(E, p), pulled(example.E, p), EXACT, "the gradients")
