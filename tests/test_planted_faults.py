"""The tester tested: in every primitive, a rule or a statement that is wrong by 1 % is found and named."""

from __future__ import annotations

import numpy as np
import pytest
from examples_of_primitives import EXAMPLES
from kit import randn, rng, scratch_registry

import tinygrad_jac as tj
from tinygrad_jac import graph
from tinygrad_jac.checks.debug import JacobianMismatchError, debug_mode
from tinygrad_jac.jacobians import Diagonal
from tinygrad_jac.primitive import registry
from tinygrad_jac.testing import planted_fault


def arguments_of(name):
    """The arguments that have a rule, by name; of those of a variadic primitive the first two."""
    p = registry[name]
    return [p.argument(k) for k in ((0, 1) if p.variadic else range(len(p.vjp))) if p.vjp[k] is not None]


CASES = [(name, argument) for name in sorted(EXAMPLES) if name in registry for argument in arguments_of(name)]


def audited(name, **options):
    with debug_mode(**options) as report:
        out = EXAMPLES[name]()
        out.backward(rng(5).standard_normal(out.shape))
    return report


def is_zero(name, argument):
    """Whether this Jacobian vanishes everywhere in the example, so that no multiple of it is wrong."""
    nodes = [n for n in graph.nodes_between([EXAMPLES[name]().node]) if n.name == name]
    index = registry[name].arguments.index(argument) if not registry[name].variadic else 0
    return not any(registry[name].statement(n, index).dense().any() for n in nodes)


def test_every_primitive_has_an_example():
    assert sorted(EXAMPLES) == [p.name for p in tj.primitives()], "see tests/examples_of_primitives.py"


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_unperturbed_it_passes(name):
    report = audited(name)
    assert report.ok
    assert {row.verdict for row in report} == {"ok"}
    reached = {row.argument for row in report if row.op == name}
    assert reached.issuperset(arguments_of(name)), "the example does not reach every argument"
    assert all({"vjp", "adjoint", "numerical"} <= set(row.errors) for row in report if row.op == name)


@pytest.mark.parametrize("what", ["vjp", "jacobian"])
@pytest.mark.parametrize("name, argument", CASES)
def test_one_percent_is_found_and_named(name, argument, what):
    fault = f"{what}+0.01" if is_zero(name, argument) else f"{what}*1.01"
    with planted_fault(name, argument, fault), pytest.raises(JacobianMismatchError) as caught:
        audited(name)
    row = caught.value.row
    assert (row.op, row.argument) == (name, argument)
    assert row.verdict == ("wrong VJP" if what == "vjp" else "wrong statement")
    assert row.place.file.endswith("examples_of_primitives.py")
    assert f"'{name}', argument '{argument}'" in str(caught.value)
    audited(name)  # and afterwards the right rule is back


@pytest.mark.parametrize("name, argument", [c for c in CASES if c[0] in ("matmul", "tanh", "softmax", "conv", "add")])
@pytest.mark.parametrize("what", ["vjp", "jacobian"])
def test_one_percent_is_found_where_matrices_are_too_large_to_write_down(name, argument, what):
    with planted_fault(name, argument, f"{what}*1.01"), pytest.raises(JacobianMismatchError) as caught:
        audited(name, limit=0)
    row = caught.value.row
    assert (row.op, row.argument, row.probed) == (name, argument, True)
    assert row.verdict == ("wrong VJP" if what == "vjp" else "wrong statement")
    assert "1.01 times" in row.message


@pytest.mark.parametrize("name", ["matmul", "softmax", "conv", "standardize"])
@pytest.mark.parametrize("limit", [2**14, 0])
def test_even_a_millionth_of_a_percent_is_found(name, limit):
    for what in ("vjp", "jacobian"):
        with planted_fault(name, arguments_of(name)[0], f"{what}*1.00000001"), pytest.raises(JacobianMismatchError):
            audited(name, limit=limit)


class TestKinds:
    """What each kind of fault does, without debug mode."""

    def gradient(self, fault, argument="y", primitive="matmul"):
        x, y = tj.tensor(randn(2, 3), requires_grad=True), tj.tensor(randn(3, 3, seed=1), requires_grad=True)
        with planted_fault(primitive, argument, fault):
            (x @ y).backward(randn(2, 3, seed=2))
        return None if y.grad is None else y.grad.array

    def test_them_all(self):
        right = randn(2, 3).T @ randn(2, 3, seed=2)
        assert self.gradient("vjp*1.01") == pytest.approx(1.01 * right)
        assert self.gradient("vjp+0.5") == pytest.approx(right + 0.5 * randn(2, 3, seed=2).sum())
        assert self.gradient("sign") == pytest.approx(-right)
        assert self.gradient("zero") == pytest.approx(0 * right)
        assert self.gradient("transpose") == pytest.approx(right.T)
        assert self.gradient(lambda c: c[::-1]) == pytest.approx(right[::-1])
        assert self.gradient("drop") is None
        assert self.gradient("jacobian*2") == pytest.approx(right), "a wrong statement leaves the rule alone"
        assert self.gradient("sign", argument="x") == pytest.approx(right), "and so does another argument"
        assert self.gradient("sign", argument=1) == pytest.approx(-right), "by position"

    def test_a_transposed_matmul_and_a_sign_are_diagnosed(self):
        x, y = tj.tensor(randn(3, 3), requires_grad=True), tj.tensor(randn(3, 3, seed=1), requires_grad=True)
        for fault, words in [("transpose", "transposed"), ("sign", "the sign"), ("drop", "it is zero")]:
            with planted_fault("matmul", "x", fault), pytest.raises(JacobianMismatchError, match=words), debug_mode():
                (x @ y).sum().backward()

    def test_the_rule_book_s_matmul_with_the_factor_the_wrong_way_round(self):
        x, y = tj.tensor(randn(3, 3), requires_grad=True), tj.tensor(randn(3, 3, seed=1), requires_grad=True)
        matmul = registry["matmul"]
        right = matmul.vjp
        matmul.vjp = (lambda g, out, x, y: g @ y, right[1])
        try:
            with pytest.raises(JacobianMismatchError, match=r"'matmul', argument 'x'.*wrong VJP"), debug_mode():
                (x @ y).sum().backward()
        finally:
            matmul.vjp = right

    def test_of_some_arguments_of_many(self):
        x, y = (tj.tensor(np.ones(2), requires_grad=True) for _ in range(2))

        def gradients(argument):
            x.grad = y.grad = None
            with planted_fault("concatenate", argument, "vjp*3"):
                tj.concatenate([x, y], 0).sum().backward()
            return x.grad.array[0], y.grad.array[0]

        assert gradients("xs[1]") == (1, 3)
        assert gradients(0) == (3, 1)
        assert gradients("xs") == (3, 3)

    def test_it_is_gone_afterwards_through_exceptions_and_nested(self):
        mul = registry["mul"]
        before = mul.vjp, mul.jacobian

        def fail():
            assert (mul.vjp, mul.jacobian) != before
            raise KeyError

        with pytest.raises(KeyError), planted_fault("mul", "x", "sign"), planted_fault(mul, "y", "jacobian*2"):
            fail()
        assert (mul.vjp, mul.jacobian) == before

    def test_what_is_not_known_is_refused(self):
        for name, argument, fault, message in [
            ("matmull", "x", "sign", "no primitive is named 'matmull'"),
            ("matmul", "z", "sign", "has no rule for 'z'"),
            ("where", "condition", "sign", "has no rule for 'condition'"),
            ("matmul", 2, "sign", "has no rule for 2"),
            ("concatenate", "ys[0]", "sign", r"has no rule for 'ys\[0\]'"),
            ("matmul", "x", "vjp/2", "no fault is named 'vjp/2'"),
        ]:
            with pytest.raises(ValueError, match=message), planted_fault(name, argument, fault):
                pass
        x = tj.tensor(np.ones(2), requires_grad=True)
        with pytest.raises(tj.GradientError, match="has no transpose"), planted_fault("exp", "x", "transpose"):
            x.exp().sum().backward()

    def test_it_holds_under_create_graph(self):
        x = tj.tensor(np.ones(2), requires_grad=True)
        with planted_fault("sin", "x", "vjp*2"):
            (g,) = tj.autograd.grad(tj.sin(x).sum(), x, create_graph=True)
        assert g.array == pytest.approx(2 * np.cos(np.ones(2)))

    def test_of_a_primitive_of_the_user(self):
        with scratch_registry():
            op = tj.primitive(
                "threefold",
                lambda x: 3 * x,
                vjp=lambda g, out, x: 3 * g,
                jacobian=lambda out, x: Diagonal(np.full(x.shape, 3.0)),
            )
            x = tj.tensor(np.ones(2), requires_grad=True)
            with planted_fault(op, "x", "vjp*1.01"), debug_mode(raise_on_failure=False) as report:
                op(x).sum().backward()
            assert [row.op for row in report.failures] == ["threefold"]
