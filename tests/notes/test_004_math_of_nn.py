"""Notes "Math of NN", section by section: one layer of two units, two layers, the network that reuses w and b.

Each derivative is compared with the formula typed out by hand, with backward(), and with the structured Jacobian.
"""

from __future__ import annotations

import numpy as np
import pytest
from kit import close, randn
from threefold import EXACT, agree, leaf, pulled, statement

import tinygrad_jac as tj
from tinygrad_jac import viz
from tinygrad_jac.jacobians import Diagonal, Identity, Kron, Sum, chain


def f(x):
    return 1 / (1 + np.exp(-x))


LOSSES = {
    "squares": (lambda z: 0.5 * ((z - randn(2, 1, seed=9)) ** 2).sum(), lambda z: z - randn(2, 1, seed=9)),
    "any": (lambda z: (tj.exp(z) * randn(2, 1, seed=8)).sum(), lambda z: np.exp(z) * randn(2, 1, seed=8)),
}


@pytest.fixture(params=LOSSES)
def loss(request):
    """l and ∂l/∂z, as columns."""
    return LOSSES[request.param]


# ------------------------------------------------------------------------------------------------ 1


class Layer:
    def __init__(self, seed: int = 0) -> None:
        self.w, self.b, self.x = leaf(randn(2, 2, seed=seed)), leaf(randn(2, 1, seed=1)), leaf(randn(2, 1, seed=2))
        self.z = self.w @ self.x + self.b


def test_1_entries_of_the_three_gradients(loss):
    """∂L/∂w_ij = ∂L/∂z_i x_j; ∂L/∂x_j = Σ_i ∂L/∂z_i w_ij; ∂L/∂b_i = ∂L/∂z_i."""
    layer, (function, derivative) = Layer(), loss
    L = function(layer.z)
    (d1,), (d2,) = derivative(layer.z.array)
    (x1,), (x2,) = layer.x.array
    (w11, w12), (w21, w22) = layer.w.array
    agree(L, layer.w, [[d1 * x1, d1 * x2], [d2 * x1, d2 * x2]], "∂L/∂w")
    agree(L, layer.x, [d1 * w11 + d2 * w21, d1 * w12 + d2 * w22], "∂L/∂x")
    agree(L, layer.b, [d1, d2], "∂L/∂b")


def test_1_delta_x_transposed_and_w_transposed_delta_and_delta(loss):
    layer, (function, derivative) = Layer(), loss
    L, delta = function(layer.z), derivative(layer.z.array)
    agree(L, layer.z, delta, "δ")
    agree(L, layer.w, delta @ layer.x.array.T, "δ xᵀ")
    agree(L, layer.x, layer.w.array.T @ delta, "wᵀ δ")
    agree(L, layer.b, delta, "δ")


def test_1_local_jacobians():
    layer = Layer()
    (x1,), (x2,) = layer.x.array
    agree(layer.z, layer.w, [[x1, x2, 0, 0], [0, 0, x1, x2]], "∂z/∂w")
    agree(layer.z, layer.x, layer.w.array, "∂z/∂x = w")
    agree(layer.z, layer.b, np.eye(2), "∂z/∂b")
    product = {link.argument: link.jacobian for link in chain(layer.z, [layer.w, layer.x]).links if link.op == "matmul"}
    assert isinstance(product["x"], Kron)
    assert isinstance(product["y"], Kron)
    assert isinstance(chain(layer.z, {"b": layer.b}).product("b"), Identity)


def test_1_squared_loss():
    """c = z - y, L = ½Σc²: δ = c."""
    layer, y = Layer(), randn(2, 1, seed=5)
    c = layer.z - y
    L = 0.5 * (c**2).sum()
    agree(L, c, c.array, "∂L/∂c")
    agree(c, layer.z, np.eye(2), "∂c/∂z = 1")
    agree(L, layer.z, layer.z.array - y, "δ = z - y")


def test_1_derivative_of_the_sigmoid():
    """f'(x) = f(x) f(-x) = f(x)(1 - f(x))."""
    z = leaf(randn(2, 1))
    a = tj.sigmoid(z)
    close(a.array, f(z.array), EXACT, "f")
    agree(a, z, np.diag((f(z.array) * f(-z.array))[:, 0]), "f(x) f(-x)")
    agree(a, z, np.diag((f(z.array) * (1 - f(z.array)))[:, 0]), "f(x)(1 - f(x))")
    agree(1 / (1 + tj.exp(-z)), z, np.diag((f(z.array) * f(-z.array))[:, 0]), "written out")
    assert isinstance(statement(a), Diagonal)


def test_1_delta_behind_a_sigmoid_is_a_product_entry_by_entry(loss):
    layer, (function, derivative) = Layer(), loss
    a = tj.sigmoid(layer.z)
    L, by_a = function(a), derivative(a.array)
    delta = by_a * a.array * (1 - a.array)
    agree(L, a, by_a, "∂L/∂a")
    agree(L, layer.z, delta, "δ")
    agree(L, layer.w, delta @ layer.x.array.T, "δ xᵀ")
    agree(L, layer.x, layer.w.array.T @ delta, "wᵀ δ")
    agree(L, layer.b, delta, "δ")


# ------------------------------------------------------------------------------------------------ 2


@pytest.mark.parametrize("activation", [None, tj.sigmoid], ids=["linear", "sigmoid"])
@pytest.mark.parametrize("layers", [2, 3, 6])
def test_2_delta_of_a_layer_from_that_of_the_next(layers, activation, loss):
    """δ(ln) = w(ln+1)ᵀ δ(ln+1); with a sigmoid between, times a(1 - a)."""
    function, derivative = loss
    w = [leaf(randn(2, 2, seed=n)) for n in range(layers)]
    b = [leaf(randn(2, 1, seed=10 + n)) for n in range(layers)]
    inputs, z = [leaf(randn(2, 1, seed=20))], []
    for n in range(layers):
        z.append(w[n] @ inputs[-1] + b[n])
        inputs.append(activation(z[-1]) if activation and n < layers - 1 else z[-1])
    L, delta = function(z[-1]), derivative(z[-1].array)
    for n in reversed(range(layers)):
        agree(L, z[n], delta, f"δ(l{n + 1})")
        agree(L, w[n], delta @ inputs[n].array.T, f"∂L/∂w(l{n + 1})")
        agree(L, b[n], delta, f"∂L/∂b(l{n + 1})")
        delta = w[n].array.T @ delta
        if activation and n:
            delta = delta * inputs[n].array * (1 - inputs[n].array)


# ------------------------------------------------------------------------------------------------ 3


class Nested:
    """z(l1) = w x + b, z(l2) = w z(l1) + b."""

    def __init__(self) -> None:
        self.w, self.b, self.x = leaf(randn(2, 2)), leaf(randn(2, 1, seed=1)), leaf(randn(2, 1, seed=2))
        self.z1 = self.w @ self.x + self.b
        self.z2 = self.w @ self.z1 + self.b


@pytest.fixture
def nested():
    return Nested()


def test_3_rules_1_and_2(nested):
    """All eight ∂z_i(l2)/∂w_jk, each by its rule."""
    (x1,), (x2,) = nested.x.array
    (h1,), (h2,) = nested.z1.array
    (w11, w12), (w21, w22) = nested.w.array
    rule_1 = {(1, 11): h1 + w11 * x1, (1, 12): h2 + w11 * x2, (2, 21): h1 + w22 * x1, (2, 22): h2 + w22 * x2}
    rule_2 = {(2, 11): w21 * x1, (2, 12): w21 * x2, (1, 21): w12 * x1, (1, 22): w12 * x2}
    entries = {**rule_1, **rule_2}
    by_hand = [[entries[i, jk] for jk in (11, 12, 21, 22)] for i in (1, 2)]
    agree(nested.z2, nested.w, by_hand, "∂z(l2)/∂w")


def test_3_derivatives_that_the_rules_are_made_of(nested):
    (x1,), (x2,) = nested.x.array
    agree(nested.z1, nested.w, [[x1, x2, 0, 0], [0, 0, x1, x2]], "∂z(l1)/∂w")
    agree(nested.z2, nested.z1, nested.w.array, "∂z(l2)/∂z(l1)")


def test_3_four_entries(nested, loss):
    function, derivative = loss
    L = function(nested.z2)
    (g1,), (g2,) = derivative(nested.z2.array)
    (x1,), (x2,) = nested.x.array
    (h1,), (h2,) = nested.z1.array
    (w11, w12), (w21, w22) = nested.w.array
    by_rules = [
        [g1 * (h1 + w11 * x1) + g2 * w21 * x1, g1 * (h2 + w11 * x2) + g2 * w21 * x2],
        [g2 * (h1 + w22 * x1) + g1 * w12 * x1, g2 * (h2 + w22 * x2) + g1 * w12 * x2],
    ]
    factored = [
        [g1 * h1 + x1 * (g1 * w11 + g2 * w21), g1 * h2 + x2 * (g1 * w11 + g2 * w21)],
        [g2 * h1 + x1 * (g1 * w12 + g2 * w22), g2 * h2 + x2 * (g1 * w12 + g2 * w22)],
    ]
    agree(L, nested.w, by_rules, "by Rules 1 and 2")
    agree(L, nested.w, factored, "factored")


def test_3_closed_form(nested, loss):
    """∂L/∂w = δ(l2) z(l1)ᵀ + δ(l1) xᵀ, ∂L/∂b = δ(l2) + δ(l1), δ(l1) = wᵀ δ(l2)."""
    function, derivative = loss
    L, delta2 = function(nested.z2), derivative(nested.z2.array)
    delta1 = nested.w.array.T @ delta2
    agree(L, nested.z2, delta2, "δ(l2)")
    agree(L, nested.z1, delta1, "δ(l1)")
    agree(L, nested.w, delta2 @ nested.z1.array.T + delta1 @ nested.x.array.T, "∂L/∂w")
    agree(L, nested.b, delta2 + delta1, "∂L/∂b")


def test_3_the_structured_jacobian_is_a_sum_of_two_paths(nested):
    J = chain(nested.z2, {"w": nested.w, "b": nested.b})
    for name, through in (
        ("w", [np.kron(np.eye(2), nested.z1.array.T), nested.w.array @ np.kron(np.eye(2), nested.x.array.T)]),
        ("b", [np.eye(2), nested.w.array]),
    ):
        (paths,) = [factor for factor in _factors(J.product(name)) if isinstance(factor, Sum)]
        found = [term.dense() for term in paths.terms]
        for expected in through:
            assert any(np.allclose(term, expected, rtol=EXACT) for term in found), name


def _factors(J):
    return getattr(J, "factors", [J])


@pytest.mark.parametrize("times", [1, 2, 3, 7])
def test_3_gradients_of_reused_weights_are_the_sum_of_the_layers_gradients(times, loss):
    function, _ = loss
    w, b, x = leaf(randn(2, 2)), leaf(randn(2, 1, seed=1)), tj.tensor(randn(2, 1, seed=2))
    copies = [(leaf(w.array), leaf(b.array)) for _ in range(times)]
    shared = separate = x
    for w_n, b_n in copies:
        shared, separate = w @ shared + b, w_n @ separate + b_n
    for whole, parts in ((w, [c[0] for c in copies]), (b, [c[1] for c in copies])):
        total = sum(pulled(function(separate), part) for part in parts)
        agree(function(shared), whole, total, "the sum")


# ------------------------------------------------------------------------------------------------ 4


def test_4_computational_graph(nested):
    """The empty section: the graph of the nested network, in which two edges leave w, and two leave b."""
    drawn = viz.graph({"z2": nested.z2}, params={"w": nested.w, "b": nested.b}, inputs={"x": nested.x})
    text = drawn.to_mermaid()
    lines = [line.strip() for line in text.splitlines()]

    def box(name):
        (line,) = [line for line in lines if f"<b>{name}</b>" in line]
        return line.split("[")[0].split("(")[0]

    for name, edges in (("w", 2), ("b", 2), ("x", 1)):
        assert sum(line.startswith(f"{box(name)} -->") for line in lines) == edges, name
    assert text.count("<b>matmul</b>") == 2
    assert "z2 = add" in text
    assert len(chain(nested.z2, [nested.w, nested.b]).links) == 7
