"""Slips of "Math of NN": the printed form fails a check, the corrected one passes it."""

from __future__ import annotations

import numpy as np
import pytest
from kit import randn, scratch_registry
from printed import verdict

import tinygrad_jac as tj
from tinygrad_jac.jacobians import Diagonal

X, Y = tj.tensor(randn(2, 1)), tj.tensor(randn(2, 1, seed=1))
WEIGHTS = randn(2, 2, seed=2), randn(2, 1, seed=3)


def loss(w, b):
    return 0.5 * ((w @ (w @ X + b) + b - Y) ** 2).sum()


def parts(w, b):
    z1 = w @ X + b
    z2 = w @ z1 + b
    return z1, z2, z2 - Y, w.mT @ (z2 - Y)


def closed_form(g, w, b):
    z1, _, delta2, delta1 = parts(w, b)
    return g * (delta2 @ z1.mT + delta1 @ X.mT), g * (delta2 + delta1)


def sigmoid(sign):
    """An op whose rule and statement are f (1 - f)."""
    return tj.primitive(
        "as_stated", lambda x: 1 / (1 + np.exp(sign * x)), elementwise=True, saves="out", replace=True,
        vjp=lambda g, out, x: g * out * (1 - out), jacobian=lambda out, x: Diagonal(out * (1 - out)),
    )  # fmt: skip


def test_sigmoid_by_the_debug_mode():
    """Printed: f(x) = 1/(1 + e^x) with f' = f (1 - f)."""
    with scratch_registry():
        printed = sigmoid(+1)
        both_wrong = pytest.raises(tj.JacobianMismatchError, match=r"both wrong.*it is the negative of the derivative")
        with both_wrong, tj.debug_mode():
            printed(tj.tensor(randn(2), requires_grad=True)).sum().backward()
        with tj.debug_mode() as report:
            sigmoid(-1)(tj.tensor(randn(2), requires_grad=True)).sum().backward()
    assert [row.verdict for row in report.rows] == ["ok", "ok"]


@pytest.mark.parametrize("form", ["f(x)f(-x)", "f(x)(1 - f(x))"])
def test_sigmoid_by_gradcheck(form):
    def rule(sign):
        def backward(g, x):
            f = 1 / (1 + tj.exp(sign * x))
            return g * f * (1 / (1 + tj.exp(-sign * x)) if form == "f(x)f(-x)" else 1 - f)

        return backward

    said = verdict(lambda x: 1 / (1 + tj.exp(x)), rule(+1), randn(3))
    assert "it is the negative of the derivative" in said
    assert not verdict(lambda x: 1 / (1 + tj.exp(-x)), rule(-1), randn(3))


def test_closed_form_with_the_wrong_layer():
    """Printed: z(l2) where z(l1) is meant."""

    def printed(g, w, b):
        _, z2, delta2, delta1 = parts(w, b)
        return g * (delta2 @ z2.mT + delta1 @ X.mT), g * (delta2 + delta1)

    said = verdict(loss, printed, *WEIGHTS)
    assert "input 0, shape (2, 2), is wrong in 4 of 4 entries" in said
    assert "input 1" not in said
    assert not verdict(loss, closed_form, *WEIGHTS)


def test_closed_form_without_transposes():
    """Printed: δ z and δ x, a column times a column; entry by entry it has the wrong shape too."""

    def printed(g, w, b):
        _, z2, delta2, delta1 = parts(w, b)
        return delta2 @ z2 + delta1 @ X, delta2 + delta1

    def entry_by_entry(g, w, b):
        z1, _, delta2, delta1 = parts(w, b)
        return g * (delta2 * z1 + delta1 * X), g * (delta2 + delta1)

    assert "cannot be multiplied" in verdict(loss, printed, *WEIGHTS)
    assert "got (2, 1) but expected shape compatible with (2, 2)" in verdict(loss, entry_by_entry, *WEIGHTS)


def test_rules_in_words_count_a_path_twice():
    """Rule 1's formula contains the way over z(l1) to the output of the same row; Rule 2's words name it again."""

    def both(g, w, b):
        right, by_b = closed_form(g, w, b)
        _, _, delta2, _ = parts(w, b)
        return right + g * (w.diagonal().unsqueeze(1) * delta2) @ X.mT, by_b

    assert "input 0, shape (2, 2), is wrong in 4 of 4 entries" in verdict(loss, both, *WEIGHTS)


def test_delta_upside_down():
    """Printed: a layer's output, differentiated by the next layer's: for two inputs and three outputs there is none."""
    w2 = randn(3, 2)
    with pytest.raises(np.linalg.LinAlgError, match="square"):
        np.linalg.inv(w2)
    square = randn(2, 2)

    def next_layer(z):
        return tj.tensor(square) @ z

    inverse = tj.tensor(np.linalg.inv(square))
    assert "is wrong" in verdict(next_layer, lambda g, z: g @ inverse, randn(2))
    assert not verdict(next_layer, lambda g, z: g @ tj.tensor(square), randn(2))


def test_no_slip_the_four_entries_by_rules():
    def by_rules(g, w, b):
        z1, _, delta2, _ = parts(w, b)
        (h1,), (h2,), (x1,), (x2,) = *z1, *X
        (g1,), (g2,) = delta2
        (w11, w12), (w21, w22) = w
        entries = [
            g1 * (h1 + w11 * x1) + g2 * w21 * x1, g1 * (h2 + w11 * x2) + g2 * w21 * x2,
            g2 * (h1 + w22 * x1) + g1 * w12 * x1, g2 * (h2 + w22 * x2) + g1 * w12 * x2,
        ]  # fmt: skip
        return g * tj.stack(entries).reshape(2, 2), closed_form(g, w, b)[1]

    assert not verdict(loss, by_rules, *WEIGHTS)
