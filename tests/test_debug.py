"""Debug mode: what it finds, what it does not call a fault, its report, and that it leaves nothing behind."""

from __future__ import annotations

import contextlib
import inspect
import itertools
import json
import operator
import re
import shutil
import subprocess
import threading
import time

import numpy as np
import pytest
from kit import distinct, randn, rng, scratch_registry

import tinygrad_jac as tj
from tinygrad_jac import graph, nn
from tinygrad_jac.checks import report as reporting
from tinygrad_jac.checks.debug import JacobianMismatchError, debug_mode
from tinygrad_jac.jacobians import Dense, Diagonal, Identity, Jacobian, Selection
from tinygrad_jac.primitive import registry
from tinygrad_jac.testing import planted_fault
from tinygrad_jac.viz.styles import STYLES

WRONG = STYLES["light"].wrong

HERE = __file__


def leaf(array, dtype=np.float64):
    return tj.tensor(np.array(array, dtype=dtype), requires_grad=True)


def found(run, *words, **options):
    """What the first fault is, having seen that it is named where it is raised and where it is collected."""
    with pytest.raises(JacobianMismatchError) as caught, debug_mode(**options) as report:
        run()
    row = caught.value.row
    assert report.failures[0] == row
    assert len(report.failures) == 1 or row.verdict == "wrong gradient", "of all uses of a tensor"
    for word in (f"'{row.op}'", row.verdict, *words):
        assert word in str(caught.value), str(caught.value)
    return row


def passes(run, verdicts=("ok",), **options):
    with debug_mode(**options) as report:
        run()
    assert report.ok, str(report)
    assert {row.verdict for row in report} <= set(verdicts), str(report)
    return report


@pytest.fixture
def op():
    """Register ops for one test; as ``op(vjp=…)`` the cube, with what is given in the place of what is right."""
    names = (f"user_op_{k}" for k in itertools.count())

    def make(forward=lambda x: x**3, *, vjp=None, jacobian=None, saves="x", **more):
        return tj.primitive(
            more.pop("name", next(names)),
            forward,
            saves=saves,
            vjp=vjp or (lambda g, out, x: g * 3 * x**2),
            jacobian=jacobian or (lambda out, x: Diagonal(3 * x**2)),
            **more,
        )

    with scratch_registry():
        yield make


def network(dtype, batch=6, labels=3):
    """A small network with all that a network has; returns a function that runs it."""
    x = tj.tensor(randn(batch, 4).astype(dtype))
    w, b = leaf(randn(4, 5, seed=1), dtype), leaf(randn(5, seed=2), dtype)
    v = leaf(randn(5, labels, seed=3), dtype)
    y = rng(4).integers(0, labels, batch)

    def run():
        h = tj.tanh(x @ w + b)
        logits = tj.relu(h) @ v
        loss = -(logits - tj.logsumexp(logits, dim=1, keepdim=True))[np.arange(batch), y].mean()
        loss.backward()
        return w, b, v

    return run


class TestWhatIsRight:
    @pytest.mark.parametrize("dtype", [np.float64, np.float32])
    @pytest.mark.parametrize("limit", [2**14, 0])
    def test_a_network(self, dtype, limit):
        report = passes(network(dtype), limit=limit)
        assert all(row.probed == (limit == 0) for row in report)
        assert {row.op for row in report} >= {"matmul", "tanh", "add", "logsumexp", "index"}
        assert all(set(row.errors) == {"vjp", "adjoint", "numerical", "product"} for row in report)

    def test_gradients_are_those_without_it(self):
        plain, audited = network(np.float32), network(np.float32)
        expected = plain()
        with debug_mode():
            got = audited()
        for a, b in zip(expected, got, strict=True):
            assert np.array_equal(a.grad.array, b.grad.array)
            assert a.grad.dtype == b.grad.dtype

    def test_random_numbers_are_those_without_it(self, op):
        def forward(x):
            mask = 2.0 * (tj.rand(*x.shape).array < 0.5)
            return x * mask, mask

        drop = op(
            forward,
            saves="residual",
            vjp=lambda g, out, x, *, residual: g * residual,
            jacobian=lambda out, x, *, residual: Diagonal(residual),
        )

        def numbers():
            tj.manual_seed(0)
            x = leaf(randn(8))
            drop(x).sum().backward()
            return [*x.grad.array, *tj.rand(3).array]

        with debug_mode():
            audited = numbers()
        assert audited == numbers()

    def test_a_network_that_is_sure_of_itself(self):
        """Terms cancel to nothing: p - p² of p = 1 - 1e-12."""
        for scale, dtype in itertools.product((1, 10, 30, 300), (np.float32, np.float64)):
            x = leaf(scale * randn(6, 4), dtype)

            def run(x=x, scale=scale):
                p = tj.exp(x - tj.logsumexp(x, dim=1, keepdim=True))
                (p * p).sum().backward()

            passes(run)
            passes(run, limit=0)

    @pytest.mark.parametrize("limit", [2**14, 0])
    def test_a_forward_that_moves_in_steps_of_its_last_digits(self, op, limit):
        """log(1 + exp(x)) of 1e-9 is a multiple of 2e-16: at small steps it does not move at all."""
        x = leaf(np.linspace(-30.0, 3.0, 60))

        def naive(factor=1.0):
            return op(
                lambda x: np.log(1 + np.exp(x)),
                vjp=lambda g, out, x: g * factor / (1 + np.exp(-x)),
                jacobian=lambda out, x: Diagonal(factor / (1 + np.exp(-x))),
            )

        passes(lambda: naive()(x).sum().backward(), limit=limit)
        found(lambda: naive(1.01)(x).sum().backward(), limit=limit)
        found(lambda: naive(1.01)(x[:30]).sum().backward(), limit=limit)

    def test_values_of_every_size(self):
        for scale in (1e-12, 1e-6, 1e6, 1e12):
            x, w = leaf(scale * randn(3, 4)), leaf(randn(4, 2, seed=1) / scale)
            passes(lambda x=x, w=w: tj.tanh(x @ w).sum().backward())
            passes(lambda x=x: (x * x * 3).sum().backward())

    def test_second_derivatives(self):
        x = leaf(randn(4))

        def run():
            (g,) = tj.autograd.grad((tj.sin(x) * x).sum(), x, create_graph=True)
            (g * g).sum().backward()

        report = passes(run)
        assert len([row for row in report if row.op == "sin"]) == 2, "the node is visited by both walks"

    def test_many_cotangents_at_once(self):
        x = leaf(randn(4))
        passes(lambda: tj.autograd.grad(tj.sin(x) * x, x, np.eye(4), is_grads_batched=True))

    def test_transforms_of_functions(self):
        x = tj.tensor(randn(3))
        for run in (
            lambda: tj.func.grad(lambda x: tj.tanh(x * x).sum())(x),
            lambda: tj.func.jacrev(lambda x: tj.sin(x) * x)(x),
            lambda: tj.func.vmap(tj.func.grad(lambda t: tj.sin(t) * t))(x),
            lambda: tj.autograd.functional.hessian(lambda x: tj.tanh(x * x).sum(), x),
        ):
            assert len(passes(run)) > 2

    @pytest.mark.parametrize("factor, verdict", [(3, "ok"), (2, "wrong VJP")])
    def test_a_function_written_as_in_pytorch(self, factor, verdict):
        class Cube(tj.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return x**3

            @staticmethod
            def backward(ctx, g):
                (x,) = ctx.saved_tensors
                return factor * g * x**2

        with debug_mode(raise_on_failure=False) as report:
            Cube.apply(leaf([1.0, 2.0])).sum().backward()
        (row,) = (row for row in report if row.op == "Cube")
        assert row.verdict == verdict
        assert verdict == "ok" or "backward() gives 2, but the numbers say 3 ±" in row.message

    def test_modules(self):
        model = nn.Sequential(
            nn.Linear(4, 8), nn.ReLU(), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3), nn.LayerNorm(3)
        )
        passes(lambda: nn.CrossEntropyLoss()(model(tj.tensor(randn(6, 4)).float()), tj.arange(6) % 3).backward())

    def test_a_convolutional_network(self):
        model = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.Tanh(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(48, 2))
        passes(lambda: model(tj.tensor(randn(2, 1, 8, 8)).float()).square().mean().backward())

    def test_a_graph_that_is_walked_again(self):
        x = leaf(randn(4))

        def run():
            y = tj.exp(x).sum()
            y.backward(retain_graph=True)
            y.backward()

        assert len([row for row in passes(run) if row.op == "exp"]) == 2

    def test_reused_inputs_diamonds_and_intermediate_inputs(self):
        x = leaf(randn(3))

        def run():
            h = x * x
            y = h * x + h
            tj.autograd.grad(y.sum(), [h, x])

        passes(run)

    def test_empty_and_scalar_arrays(self):
        for shape in ((), (0,), (1,), (3, 0)):
            x = leaf(np.ones(shape))
            passes(lambda x=x: (tj.exp(x) * 2).sum().backward())

    def test_hooks_have_their_say(self):
        x = leaf(randn(3))

        def run():
            h = x * 2
            h.register_hook(lambda g: g * 5)
            (h * h).sum().backward()

        passes(run)
        assert x.grad.array == pytest.approx(5 * 8 * x.array)

    def test_constants_that_are_not_finite(self):
        x = leaf(randn(2, 3))
        mask = np.array([[0.0, -np.inf, 0.0], [0.0, 0.0, -np.inf]])
        passes(lambda: tj.logsumexp(x + mask, dim=1).sum().backward())

    def test_in_place_changes_that_are_recorded(self):
        x = leaf(randn(3))

        def run():
            y = x * 2
            y += 1
            y *= x
            y[0] = 3 * x[1]
            y.sum().backward()

        passes(run)

    def test_what_was_recorded_before_it_began(self):
        x, w = leaf(randn(3)), leaf(randn(3, seed=1), np.float32)
        early = (tj.exp(x) + x * w).sum()
        report = passes(early.backward, verdicts=("ok", "unchecked"))
        said = {row.op: row.verdict for row in report}
        assert said["mul"] == "ok", "all that it needs was saved"
        assert said["exp"] == "unchecked"
        assert next(row for row in report if row.op == "exp").place is None

    def test_a_random_forward(self, op):
        random = rng(1)

        def forward(x):
            mask = random.integers(0, 2, x.shape) * 2.0
            return x * mask, mask

        noisy = op(
            forward,
            saves="residual",
            vjp=lambda g, out, x, *, residual: g * residual,
            jacobian=lambda out, x, *, residual: Diagonal(residual),
        )
        for dtype in (np.float32, np.float64):
            report = passes(lambda dtype=dtype: noisy(leaf(randn(50), dtype)).sum().backward(), ("ok", "unchecked"))
            (row,) = [row for row in report if row.verdict == "unchecked"]
            assert "other values each time" in row.message


class TestKinks:
    @pytest.mark.parametrize(
        "name, at, left, right, taken",
        [
            ("relu", [0.0, 1.0], "0", "1", "0"),
            ("absolute", [0.0, 1.0], "-1", "1", "0"),
            ("amax", [2.0, 2.0], "0", "1", "0.5"),
            ("norm", [0.0, 0.0], "-1", "1", "0"),
            ("sign", [0.0, 1.0], "inf", "inf", "0"),
            ("floor", [2.0, 1.5], "inf", "0", "0"),
        ],
    )
    def test_are_reported_and_are_no_faults(self, name, at, left, right, taken):
        x = leaf(at)
        report = passes(lambda: getattr(tj, name)(x).sum().backward(), verdicts=("ok", "kink"))
        (row,) = [row for row in report if row.verdict == "kink"]
        assert row.op in (name, "abs")
        assert f"{left} from the left and {right} from the right; the convention takes {taken}" in row.message

    def test_a_probed_kink(self):
        x = leaf([0.0, 1.0])
        (row,) = [
            r for r in passes(lambda: tj.relu(x).sum().backward(), ("ok", "kink"), limit=0) if r.verdict == "kink"
        ]
        assert row.probed

    def test_a_convention_that_is_no_subgradient_is_a_fault(self, op):
        kinked = op(
            lambda x: np.maximum(x, 0),
            vjp=lambda g, out, x: g * np.where(x == 0, 2.0, x > 0),
            jacobian=lambda out, x: Diagonal(np.where(x == 0, 2.0, x > 0)),
        )
        row = found(lambda: kinked(leaf([0.0, 1.0])).sum().backward(), "which is not between them")
        assert row.verdict == "both wrong"


class TestWrongDerivatives:
    def test_the_rule(self, op):
        cube = op(vjp=lambda g, out, x: g * 3 * x)
        x = leaf([[2.0, 3.0]])
        row = found(lambda: cube(x).sum().backward(), "the VJP rule gives 6, the Jacobian statement 12, the numbers 12")
        assert (row.op, row.argument, row.verdict) == (cube.name, "x", "wrong VJP")
        assert (row.in_shape, row.out_shape, row.shape) == ((1, 2), (1, 2), (2, 2))

    def test_the_statement(self, op):
        cube = op(jacobian=lambda out, x: Diagonal(3 * x))
        assert found(lambda: cube(leaf([2.0])).sum().backward()).verdict == "wrong statement"

    def test_both_alike(self, op):
        cube = op(vjp=lambda g, out, x: g * 2 * x**2, jacobian=lambda out, x: Diagonal(2 * x**2))
        for limit in (2**14, 0):
            row = found(lambda: cube(leaf([2.0])).sum().backward(), "agree on", "the numbers say", limit=limit)
            assert row.verdict == "both wrong"

    @pytest.mark.parametrize("factor", [1.01, 1 + 1e-6])
    def test_both_alike_in_one_entry_of_many(self, op, factor):
        def d(x):
            return 3 * x**2 * np.where(np.arange(x.size) == 77, factor, 1.0)

        cube = op(vjp=lambda g, out, x: g * d(x), jacobian=lambda out, x: Diagonal(d(x)))
        row = found(lambda: cube(leaf(randn(100))).sum().backward(), "output (77,), input (77,)")
        assert row.verdict == "both wrong"
        assert found(lambda: cube(leaf(randn(100))).sum().backward(), "output (77,)", limit=0).probed

    def test_one_entry_of_a_matrix_that_is_not_written_down(self, op):
        def rule(g, out, x):
            return g * 3 * x**2 * np.where(np.arange(x.size) == 7_777, 1.01, 1.0)

        row = found(lambda: op(vjp=rule)(leaf(randn(10_000))).sum().backward(), "input (7777,)", "1.01 times")
        assert (row.probed, row.verdict) == (True, "wrong VJP")

    def test_both_differently(self, op):
        cube = op(vjp=lambda g, out, x: g * 2 * x**2, jacobian=lambda out, x: Diagonal(4 * x**2))
        assert found(lambda: cube(leaf([2.0])).sum().backward()).verdict == "both wrong"

    def test_right_for_the_identity_and_wrong_in_training(self, op):
        cube = op(vjp=lambda g, out, x: g * 3 * x**2 * (1.0 if g.ndim > out.ndim else 1.01))
        row = found(lambda: cube(leaf([2.0, 1.0])).sum().backward(), "without leading axes")
        assert row.verdict == "wrong VJP"

    def test_right_in_training_and_wrong_with_leading_axes(self, op):
        weighted = op(
            lambda x: x * np.arange(3),
            saves="",
            vjp=lambda g, out, x: g * np.arange(3) if g.ndim == 1 else g.T * np.arange(3),
            jacobian=lambda out, x: Diagonal(np.arange(3.0)),
        )
        cumulated = op(
            lambda x: np.cumsum(x),
            saves="",
            vjp=lambda g, out, x: np.cumsum(g[::-1], axis=0)[::-1],
            jacobian=lambda out, x: Dense(np.tril(np.ones((3, 3)))),
        )
        passes(lambda: weighted(leaf(np.ones(3))).sum().backward())  # the identity is symmetric
        row = found(lambda: cumulated(leaf(np.ones(3))).sum().backward(), "right without leading axes", "from the end")
        assert row.verdict == "wrong VJP"

    def test_a_missing_sum_over_a_broadcast_axis(self, op):
        biased = op(
            lambda x, b: x + b,
            saves="",
            vjp=(lambda g, out, x, b: g, lambda g, out, x, b: g[..., 0, :]),
            jacobian=(
                lambda out, x, b: Identity(x.shape),
                lambda out, x, b: Selection.broadcast(b.shape, out.shape),
            ),
        )
        row = found(lambda: biased(leaf(randn(4, 3)), leaf(randn(3))).sum().backward(), "missing sum")
        assert (row.argument, row.verdict) == ("b", "wrong VJP")

    def test_a_dropped_term_of_a_reused_input(self, op):
        squared = op(lambda x: x * x, vjp=lambda g, out, x: g * x, jacobian=lambda out, x: Diagonal(2 * x))
        found(lambda: squared(leaf([1.0, 2.0])).sum().backward(), "0.5 times")

    def test_the_products_of_a_statement(self, op):
        class Crooked(Jacobian):
            structure = "crooked"

            def __init__(self, d, jvp=1.0, vjp=1.0):
                super().__init__(d.shape, d.shape)
                self.d, self.factors = d, (jvp, vjp)

            def _jvp(self, v, lead):
                return self.d * v * self.factors[0]

            def _vjp(self, u, lead):
                return self.d * u * self.factors[1]

            def _dense(self):
                return np.diag(self.d)

        def check(product):
            cube = op(jacobian=lambda out, x: Crooked(3 * x**2, **{product: 1.01}))
            for limit in (2**14, 0):
                row = found(lambda: cube(leaf([1.0, 2.0])).sum().backward(), limit=limit)
                assert row.verdict == "wrong statement"

        check("jvp")
        check("vjp")

    def test_the_rule_under_create_graph(self, op):
        cube = op(vjp=lambda g, out, x: g * (3 * x**2 if isinstance(x, np.ndarray) else 3.03 * x**2))
        x = leaf([1.0, 2.0])
        passes(lambda: cube(x).sum().backward())
        found(lambda: cube(x).sum().backward(create_graph=True), "under create_graph")

    def test_what_is_added_in_place(self, op):
        def add(factor):
            return lambda total, g, out, x: operator.iadd(total, factor * 3 * x**2 * g)

        x = leaf([1.0, 2.0])
        passes(lambda: op(accumulate=add(1.0))(x).sum().backward())
        found(lambda: op(accumulate=add(1.01))(x).sum().backward(), "accumulate= adds")

    def test_what_is_added_in_place_is_stated_for_each_argument(self, op):
        with pytest.raises(ValueError, match=r"1 rules and 2 entries of accumulate="):
            op(accumulate=(None, None))

    def test_a_composition_that_is_another_function(self, op):
        cube = op(composition=lambda x: x * x * x * 1.01)
        x = leaf([1.0, 2.0])
        found(lambda: tj.autograd.grad(cube(x).sum(), x, create_graph=True), "under create_graph")

    def test_float32_is_judged_in_float64(self, op):
        cube = op(vjp=lambda g, out, x: g * 3 * x**2 * (1 + 1e-9))
        found(lambda: cube(leaf([1.0, 2.0], np.float32)).sum().backward(), "wrong VJP")
        passes(lambda: cube(leaf([1.0, 2.0], np.float32)).sum().backward(), dtype=np.float32)

    def test_derivatives_at_the_edge_of_a_tie(self, op):
        """Jitter, which tells rounding from errors, breaks a tie: that must not hide a wrong convention."""
        half = op(
            lambda x, y: np.maximum(x, y),
            saves="x y",
            vjp=(lambda g, out, x, y: g * (x >= y), lambda g, out, x, y: g * (0.5 * (x <= y) + 0.5 * (x < y))),
            jacobian=(
                lambda out, x, y: Diagonal(0.5 * (x > y) + 0.5 * (x >= y)),
                lambda out, x, y: Diagonal(0.5 * (x < y) + 0.5 * (x <= y)),
            ),
        )
        row = found(lambda: half(leaf([1.0, 2.0]), leaf([1.0, 1.0])).sum().backward(), "output (0,), input (0,)")
        assert (row.argument, row.verdict) == ("x", "VJP ≠ statement"), "at a kink the numbers do not decide"


class TestWhatWrongDerivativesHideBehind:
    @pytest.mark.parametrize(
        "vjp, words",
        [
            (lambda g, out, x: np.multiply(g, 3 * x**2, out=g), "changes the cotangent"),
            (lambda g, out, x: g * (x.__imul__(3) * x / 3), "changes 'x', which the graph saved"),
        ],
    )
    def test_a_rule_that_changes_what_it_is_given(self, op, vjp, words):
        x = leaf([1.0, 2.0])
        row = found(lambda: op(vjp=vjp)(x).sum().backward(), words)
        assert row.verdict == "mutates"
        assert x.array.tolist() == [1.0, 2.0], "it is put right again"

    def test_a_rule_that_returns_what_belongs_to_the_graph(self, op):
        linear = op(lambda x: x * x / 2, vjp=lambda g, out, x: x, jacobian=lambda out, x: Diagonal(x))
        assert found(lambda: linear(leaf([1.0, 2.0])).sum().backward(), "memory of 'x'").verdict == "aliases"

    def test_a_rule_that_returns_the_same_memory_each_time(self, op):
        buffer = np.zeros(2)

        def rule(g, out, x):
            np.copyto(buffer, g * 3 * x**2)
            return buffer

        assert found(lambda: op(vjp=rule)(leaf([1.0, 2.0])).sum().backward(), "same memory").verdict == "aliases"

    def test_a_rule_that_returns_its_cotangent_is_none(self, op):
        same = op(lambda x: x * 1, saves="", vjp=lambda g, out, x: g, jacobian=lambda out, x: Identity(x.shape))
        passes(lambda: same(leaf([1.0, 2.0])).sum().backward())

    def test_a_rule_that_is_not_repeatable(self, op):
        count = itertools.count(1)
        row = found(lambda: op(vjp=lambda g, out, x: g * 3 * x**2 * next(count))(leaf([1.0])).sum().backward())
        assert row.verdict == "not repeatable"

    @pytest.mark.parametrize("vjp", [lambda g, out, x: g[..., :1], lambda g, out, x: np.concatenate([g, g], -1)])
    def test_the_wrong_shape(self, op, vjp):
        third = op(lambda x: x + 1, saves="", vjp=vjp, jacobian=lambda out, x: Identity(x.shape))
        row = found(lambda: third(leaf([1.0, 2.0, 3.0])).sum().backward(), "for an argument of shape (3,)")
        assert row.verdict == "wrong shape"

    def test_the_wrong_shape_of_a_statement(self, op):
        row = found(lambda: op(jacobian=lambda out, x: Diagonal(x[:1]))(leaf([1.0, 2.0])).sum().backward())
        assert row.verdict == "wrong shape"

    def test_leading_axes_lost(self, op):
        total = op(
            lambda x: x.sum(),
            saves="",
            vjp=lambda g, out, x: np.full(x.shape, g.sum()),
            jacobian=lambda out, x: Dense(np.ones((1, 2)), (), x.shape),
        )
        doubled = op(
            lambda x: np.stack([x.sum()] * 3),
            saves="",
            vjp=lambda g, out, x: np.full(x.shape, g.sum()),
            jacobian=lambda out, x: Dense(np.ones((3, 2)), (3,), x.shape),
        )
        for run in (lambda: total(leaf([1.0, 2.0])).backward(), lambda: doubled(leaf([1.0, 2.0])).sum().backward()):
            assert found(run, "leading axes").verdict == "wrong shape"

    def test_the_wrong_dtype(self, op):
        cube = op(vjp=lambda g, out, x: g * np.float64(3) * x**2)
        passes(lambda: cube(leaf([1.0])).sum().backward())
        row = found(lambda: cube(leaf([1.0, 2.0], np.float32)).sum().backward(), "float64 from a cotangent of float32")
        assert row.verdict == "wrong dtype"
        passes(lambda: cube(leaf([1.0, 2.0], np.float32)).sum().backward(), checks=["vjp", "numerical"])

    def test_reading_what_is_not_saved(self, op):
        forgetful = op(saves="out")
        assert (
            found(lambda: forgetful(leaf([1.0])).sum().backward(), "its VJP rule", "saves=").verdict == "reads unsaved"
        )
        forgetful = op(saves="out", vjp=lambda g, out, x: 3 * g * np.abs(out) ** (2 / 3))
        row = found(lambda: forgetful(leaf([1.0])).sum().backward(), "its Jacobian statement reads")
        assert row.verdict == "reads unsaved"

    def test_a_rule_that_raises(self, op):
        def rule(g, out, x):
            raise KeyError("sorry")

        row = found(lambda: op(vjp=rule)(leaf([1.0])).sum().backward(), "KeyError", "sorry")
        assert row.verdict == "raises"

        def statement(out, x):
            raise KeyError("sorry")

        row = found(lambda: op(jacobian=statement)(leaf([1.0])).sum().backward(), "its Jacobian statement raised")
        assert row.verdict == "raises"

    def test_nan_and_infinity_first_appearing_forward(self):
        x = leaf([[2.0, 1.0], [0.0, -1.0]])

        def run():
            with np.errstate(all="ignore"):
                y = tj.log(x) * 2  # the line that is named
                y.sum().backward()

        row = found(run, "-inf of finite values, first at (1, 0) (2 of 4 entries)", "y = tj.log(x) * 2")
        assert (row.op, row.verdict) == ("log", "not finite")
        assert row.place == (HERE, inspect.getsourcelines(run)[1] + 2)

    def test_only_where_they_first_appear(self):
        x = leaf([1.0, 0.0])

        def run():
            with np.errstate(all="ignore"):
                (tj.log(x) * 2 + 1).sum().backward()

        with debug_mode(raise_on_failure=False) as report:
            run()
        assert [(row.op, row.argument) for row in report.failures] == [("log", ""), ("log", "x")]

    def test_nan_and_infinity_first_appearing_backward(self):
        x = leaf([0.0, 1.0])
        row = found(lambda: tj.sqrt(x).sum().backward(), "inf of a finite cotangent, first at (0,)")
        assert (row.op, row.argument, row.verdict) == ("sqrt", "x", "not finite")
        with np.errstate(divide="ignore"):
            passes(lambda: tj.sqrt(x).sum().backward(), checks=["vjp", "adjoint", "numerical", "product", "contracts"])

    def test_a_saved_array_that_was_changed_through_the_library(self):
        x = leaf([1.0, 2.0])

        def run():
            h = x * 2
            y = h * h  # the op that saved it
            h += 1
            y.sum().backward()

        row = found(run, "is at version 1, expected version 0", "y = h * h")
        assert (row.op, row.verdict, row.place.line) == ("mul", "stale", inspect.getsourcelines(run)[1] + 2)
        with pytest.raises(tj.GradientError, match="is at version 1"), debug_mode(raise_on_failure=False) as report:
            run()
        assert [row.verdict for row in report] == ["stale"]

    @pytest.mark.parametrize("saved", ["argument", "out"])
    def test_a_saved_array_that_was_changed_behind_its_back(self, saved):
        x = leaf([1.0, 2.0])

        def run():
            h = x * 2
            y = h * h if saved == "argument" else tj.exp(h)
            (h if saved == "argument" else y).array[0] = 7.0  # NumPy: the engine cannot see it
            y.sum().backward()

        row = found(run, "was changed in place since")
        assert (row.op, row.verdict) == (("mul", "stale") if saved == "argument" else ("exp", "stale"))
        assert row.argument == ("x" if saved == "argument" else "out")


class TestTheProduct:
    """(d): faults of the engine, made by a copy of it whose two lines that add up cotangents are changed."""

    def walk(self, monkeypatch, added):
        """Let the walk back add ``added`` (a text) where it should add the cotangent ``c``."""
        source = inspect.getsource(graph.walk_back)
        source, count = re.subn(r"(total = \w+ \+|\w+ \+=) c\b", rf"\1 {added}", source)
        assert count == 2, "walk_back has no longer these lines"
        namespace = dict(vars(graph))
        exec("from __future__ import annotations\n" + source, namespace)
        monkeypatch.setattr("tinygrad_jac.autograd.gradients.walk_back", namespace["walk_back"])

    def run(self):
        x, w = leaf(randn(3)), leaf(randn(3, seed=1))
        h = x * w
        (h * h + tj.sin(h) * x).sum().backward()

    def test_the_engine_as_it_is(self, monkeypatch):
        self.walk(monkeypatch, "c")
        passes(self.run)

    def test_a_dropped_term_of_a_reused_tensor(self, monkeypatch):
        self.walk(monkeypatch, "0 * c")
        row = found(self.run, "the cotangent accumulated for it is", "the product of the local Jacobians")
        assert (row.op, row.argument, row.verdict) == ("sin", "x", "wrong gradient")

    def test_a_cotangent_that_is_counted_twice(self, monkeypatch):
        self.walk(monkeypatch, "2 * c")
        assert found(self.run).verdict == "wrong gradient"

    def test_a_missing_sum_over_broadcast_axes(self, monkeypatch):
        monkeypatch.setattr(graph, "unbroadcast", lambda c, shape, lead_ndim=0: c[..., 0, :] if c.ndim > 1 else c)
        x, b = leaf(randn(4, 3)), leaf(randn(3))
        row = found(lambda: ((x + b) * x).sum().backward(), "missing sum")
        assert (row.op, row.argument) == ("add", "y")
        row = found(lambda: ((x + b) * x).sum().backward(), checks=["product"])
        assert row.verdict == "wrong gradient"

    def test_in_float32_too(self, monkeypatch):
        self.walk(monkeypatch, "1.001 * c")
        run = network(np.float32)
        assert found(run, checks=["product"]).verdict == "wrong gradient"

    def test_it_finds_what_the_other_checks_are_told_to_leave_alone(self):
        x = leaf([1.0, 2.0])
        with planted_fault("sin", "x", "vjp*1.01"):
            row = found(lambda: tj.sin(x).sum().backward(), checks=["product"])
        assert (row.op, row.verdict) == ("sin", "wrong gradient")


class TestOptions:
    def test_checks(self):
        x = leaf([1.0, 2.0])
        for check in ("vjp", "adjoint", "numerical", "product"):
            with debug_mode(checks=check) as report:
                tj.sin(x).sum().backward()
            assert {key for row in report for key in row.errors} == {check}
        with debug_mode(checks=[]) as report:
            tj.sin(x).sum().backward()
        assert report.ok

    def test_what_is_refused(self):
        with pytest.raises(ValueError, match=r"the checks are vjp, .* not vpj"):
            debug_mode(checks=["vpj"])
        with pytest.raises(TypeError, match=r"reference dtype .* not int64"):
            debug_mode(dtype=int)

    def test_tolerance(self, op):
        cube = op(vjp=lambda g, out, x: g * 3 * x**2 * (1 + 1e-8))
        found(lambda: cube(leaf([1.0])).sum().backward())
        passes(lambda: cube(leaf([1.0])).sum().backward(), tolerance=1e-6)

    def test_limit(self):
        x = leaf(randn(10))
        for limit, probed in [(100, False), (99, True)]:
            (row,) = [r for r in passes(lambda: tj.sin(x).sum().backward(), limit=limit) if r.op == "sin"]
            assert row.probed is probed

    def test_collecting(self, op):
        cube = op(vjp=lambda g, out, x: g * 3 * x)
        x = leaf([2.0])
        with debug_mode(raise_on_failure=False) as report:
            cube(cube(x)).sum().backward()
        assert [row.verdict for row in report.failures] == ["wrong VJP", "wrong VJP"]
        assert x.grad.array == [3 * 8 * 3 * 2], "the gradient is what the rules gave"

    def test_the_seed_makes_it_repeatable(self):
        def errors():
            with debug_mode(checks=["adjoint"]) as report:
                network(np.float64)()
            return [row.verdict for row in report]

        assert errors() == errors()


class TestNothingIsLeftBehind:
    def test_through_exceptions(self):
        mode = debug_mode()

        def fail():
            assert list(graph.observers.values()) == [mode]
            raise KeyError

        with pytest.raises(KeyError), mode:
            fail()
        assert not graph.observers
        with pytest.raises(JacobianMismatchError), planted_fault("sin", "x", "sign"), debug_mode():
            tj.sin(leaf([1.0])).sum().backward()
        assert not graph.observers
        assert tj.is_grad_enabled()

    def test_nested_the_inner_one_takes_over(self):
        x = leaf([1.0])
        with debug_mode() as outer:
            tj.sin(x).sum().backward()
            with debug_mode() as inner:
                tj.cos(x).sum().backward()
            y = tj.exp(x).sum()
            with pytest.raises(KeyError), debug_mode():
                raise KeyError
            y.backward()
        assert [row.op for row in outer if row.op != "sum"] == ["sin", "exp"]
        assert [row.op for row in inner if row.op != "sum"] == ["cos"]
        assert not graph.observers

    def test_one_object_again_and_again(self):
        mode = debug_mode()
        with mode as report, mode:
            tj.sin(leaf([1.0])).sum().backward()
        with mode:
            tj.sin(leaf([1.0])).sum().backward()
        assert [row.op for row in report] == ["sum", "sin"] * 2
        assert not graph.observers

    def test_for_one_thread(self):
        seen = []

        def other():
            with np.errstate(all="ignore"):
                tj.log(leaf([0.0])).sum().backward()
            seen.append(len(graph.observers))

        with debug_mode() as report:
            thread = threading.Thread(target=other)
            thread.start()
            thread.join()
        assert seen == [1]
        assert len(report) == 0

    def test_threads_have_their_own(self):
        reports = {}
        barrier = threading.Barrier(2)

        def run(name):
            with debug_mode() as report:
                barrier.wait()
                for _ in range(5):
                    getattr(tj, name)(leaf(randn(3))).sum().backward()
                barrier.wait()
            reports[name] = {row.op for row in report}

        threads = [threading.Thread(target=run, args=(name,)) for name in ("sin", "exp")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert reports == {"sin": {"sin", "sum"}, "exp": {"exp", "sum"}}

    def test_audits_are_not_observed_and_graphs_are_released(self):
        x = leaf([1.0, 2.0])
        with debug_mode() as report:
            y = tj.exp(x).sum()
            y.backward()
            with pytest.raises(tj.GradientError, match="released"):
                tj.exp(y).backward() if y.node.args is None else y.backward()
        assert [row.op for row in report] == ["sum", "exp"]

    def test_values_are_dropped_with_the_graph(self):
        with debug_mode() as report:
            x = leaf(np.ones(10))
            for _ in range(20):
                tj.exp(x).sum().backward()
            mode = graph.observers[threading.get_ident()]
        assert len(report) == 40
        assert len(mode._known) == 0, "what is known of a node goes with the node"

    @pytest.mark.optimisation("calls")
    def test_it_audits_the_fast_path_of_calls(self, monkeypatch):
        """The general path of elementwise operations is not gone through, and yet each is in the report."""
        general = []
        for name in ("mul", "tanh"):
            operator = registry[name].operator
            cell = dict(zip(operator.__code__.co_freevars, operator.__closure__))["general"]
            monkeypatch.setattr(cell, "cell_contents", lambda *args: general.append(args))
        x, y = leaf([1.0, -2.0]), leaf([0.5, 3.0])
        with debug_mode() as report:
            tj.tanh(x * y).backward(tj.ones(2, dtype=tj.float64))
        assert general == []
        assert [(row.op, row.argument, row.verdict) for row in report] == [
            ("tanh", "x", "ok"), ("mul", "x", "ok"), ("mul", "y", "ok"),
        ]  # fmt: skip

    def test_off_it_costs_next_to_nothing(self):
        """Its hooks are an `if` on an empty dict: 400 small ops, recorded and walked, with them and without."""
        namespace = dict(vars(graph))
        source = inspect.getsource(graph.walk_back)
        source = source.replace("if observer is not None:", "if False:").replace(" and observer is None", "")
        exec("from __future__ import annotations\n" + source, namespace)
        x = leaf([0.5])

        def seconds(walk):
            start = time.perf_counter()
            y = x
            for _ in range(200):
                y = tj.sin(y) * 1.01
            walk([(y.node, np.ones(1))])
            return time.perf_counter() - start

        # By turns, and the best of each: what else the machine does slows both, and not all the time.
        rounds = [(seconds(namespace["walk_back"]), seconds(graph.walk_back)) for _ in range(40)]
        without, with_hooks = map(min, zip(*rounds))
        assert with_hooks < 1.5 * without, f"{with_hooks * 1e6:.0f} µs with the hooks, {without * 1e6:.0f} µs without"


class TestReport:
    @pytest.fixture
    def report(self):
        x = leaf(distinct(2, 3))
        w = leaf(randn(3, 2))
        with debug_mode() as report:
            for _ in range(3):
                tj.relu(x @ w).sum().backward()
        return report

    def test_text(self, report):
        head, *lines = str(report).splitlines()
        assert head.split() == [*reporting.COLUMNS, "×"]
        (product,) = [line for line in lines if line.startswith("matmul") and " x " in line]
        assert "(2, 3) → (2, 2)" in product
        assert "4×6" in product
        assert "kron" in product
        assert "test_debug.py:" in product
        assert product.endswith("3")
        assert lines[-1] == f"{len(report)} rows from {len({row.node for row in report})} nodes: {len(report)} ok"
        assert all(line == line.rstrip() for line in lines)

    def test_markdown(self, report):
        lines = report.to_markdown(columns=["op", "argument", "verdict"]).splitlines()
        assert lines[:2] == ["| op | argument | verdict | × |", "| --- | --- | --- | --- |"]
        assert lines[2] == "| sum | x | ok | 3 |"
        assert lines[-1] == report.summary

    def test_json(self, report):
        read = json.loads(report.to_json())
        assert read["ok"] is True
        assert len(read["rows"]) == len(report)
        row = next(r for r in read["rows"] if r["op"] == "matmul")
        assert (row["shape"], row["structure"], row["verdict"]) == ([4, 6], "kron", "ok")
        assert row["file"] == HERE
        assert "x @ w" in row["code"]
        assert set(row["errors"]) == {"vjp", "adjoint", "numerical", "product"}
        with pytest.raises(ValueError, match="the columns are"):
            report.table(["ops"])

    def test_worst_and_verdicts_by_node(self, op):
        cube = op(vjp=lambda g, out, x: g * 3 * x, name="cube")
        x = leaf([0.0, 2.0])
        with debug_mode(raise_on_failure=False) as report:
            y = tj.relu(x)
            cube(y).sum().backward()
        assert not report.ok
        assert report.worst.op == "cube"
        assert report.verdict(y.node.order) == "kink"
        assert report.verdict(report.worst.node) == "wrong VJP"
        assert report.verdict(-1) is None
        assert "1 kink, 1 wrong VJP" in report.summary
        assert "`cube(y).sum().backward()`" in str(report)
        assert "* 'cube', argument 'x'" in report.to_markdown()

    def test_empty(self):
        report = reporting.Report()
        assert report.ok
        assert report.worst is None
        assert str(report) == "0 rows from 0 nodes: nothing was visited"
        assert json.loads(report.to_json()) == {"ok": True, "rows": []}

    def test_worst_of_what_is_right_is_the_largest_error(self, report):
        worst = max(error for row in report for error in row.errors.values())
        assert max(report.worst.errors.values()) == worst

    def test_places_are_lines_outside_of_the_package(self, report):
        assert {row.place.file for row in report} == {HERE}

    def test_every_verdict_is_explained(self):
        source = inspect.getsource(inspect.getmodule(debug_mode)) + inspect.getsource(
            __import__("tinygrad_jac.checks.audit", fromlist=["audit"])
        )
        assert [v for v in reporting.VERDICTS if f'"{v}"' not in source] == []
        assert set(reporting.HARMLESS) < set(reporting.VERDICTS)


class TestTheDrawing:
    @staticmethod
    def drawn(faulty=False):
        x = tj.tensor(np.array([0.3, 0.7]), requires_grad=True)
        with contextlib.ExitStack() as stack:
            if faulty:
                stack.enter_context(planted_fault("exp", "x", "vjp*1.01"))
            report = stack.enter_context(debug_mode(raise_on_failure=False))
            (x.exp() * x + 1).sum().backward()
        return report

    def test_ops_edges_and_leaves(self):
        dot = self.drawn().to_dot()
        assert dot.count(" -> ") == 5  # exp(x), mul(exp, x), add, sum: x is used twice
        assert dot.count("shape=ellipse") == 1
        assert dot.count("penwidth=1") == 5
        assert WRONG not in dot
        assert "test_debug.py:" in dot

    def test_equal_graphs_give_equal_text(self):
        assert self.drawn().to_dot() == self.drawn().to_dot()

    def test_what_is_wrong_is_seen_without_colours_too(self):
        dot = self.drawn(faulty=True).to_dot()
        wrong = [line for line in dot.splitlines() if "penwidth=3" in line]
        assert sum("x: wrong VJP" in line for line in wrong) == 1  # exp's; the sum at the leaf is wrong with it
        assert all(WRONG in line for line in wrong)

    @pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz")
    def test_graphviz_reads_it(self):
        for faulty in (False, True):
            run = subprocess.run(["dot", "-Tsvg"], input=self.drawn(faulty).to_dot(), capture_output=True, text=True)
            assert run.returncode == 0, run.stderr
            assert "<svg" in run.stdout


def test_a_statement_that_is_no_structure_is_named():
    doubled = tj.primitive(
        "doubled here", lambda x: 2 * x, vjp=lambda g, out, x: 2 * g, jacobian=lambda out, x: 2 * np.eye(3)
    )
    try:
        with pytest.raises(tj.GradientError, match=r"'doubled here' for 'x' returned a ndarray.*Dense"):
            tj.func.jvp(doubled, (tj.ones(3),), (tj.ones(3),))
    finally:
        from tinygrad_jac.primitive import registry

        del registry["doubled here"]
