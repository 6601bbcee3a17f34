"""The tester, tested: wrong rules are rejected and explained, right ones pass at every scale."""

import inspect
import re
import tracemalloc

import numpy as np
import pytest

import tests.kit as kit
import tinygrad_jac as tj
from tinygrad_jac import graph
from tinygrad_jac.checks.diagnosis import diagnose
from tinygrad_jac.checks.evaluation import Point
from tinygrad_jac.checks.gradcheck import GradcheckError, KinkError, gradcheck, gradgradcheck
from tinygrad_jac.jacobians import Dense, Diagonal, Kron, Selection
from tinygrad_jac.testing import assert_gradients

SCALES = np.array([1e-6, 1e-3, 1.0, 1e3, 1e6])


@pytest.fixture(autouse=True)
def _registry():
    with kit.scratch_registry():
        yield


def T(array):
    return tj.tensor(np.asarray(array, dtype=np.float64), requires_grad=True)


def made(vjp, saves="x y"):
    """A product whose first rule is the one under test."""
    return tj.primitive(
        "made", lambda x, y: x * y, saves=saves, elementwise=True, replace=True,
        vjp=(vjp, lambda g, out, x, y: g * x),
        jacobian=(lambda out, x, y: Diagonal(y), lambda out, x, y: Diagonal(x)),
    )  # fmt: skip


def mapped(forward, derivative, vjp=None):
    """A function of one argument, applied entry by entry, with its derivative, right or wrong."""
    return tj.primitive(
        "mapped", lambda x: forward(x), saves="x", elementwise=True, replace=True,
        vjp=vjp or (lambda g, out, x: g * derivative(x)),
        jacobian=lambda out, x: Diagonal(derivative(x)),
    )  # fmt: skip


def message(func, inputs, **options):
    with pytest.raises(GradcheckError) as caught:
        gradcheck(func, inputs, **options)
    assert not gradcheck(func, inputs, raise_exception=False, **options)
    return str(caught.value)


# ------------------------------------------------------------------------------------------------ what must pass

PASS = {
    "square over twelve orders": (lambda x: x * x, SCALES),
    "sum of squares over twelve orders": (lambda x: (x * x).sum(), SCALES),
    "cube over twelve orders": (lambda x: x**3, SCALES),
    "reciprocal over twelve orders": (lambda x: 1 / x, SCALES),
    "logarithm": (lambda x: x.log(), SCALES),
    "tiny values": (lambda x: 1e-12 * np.sin(x), [0.3, -2.0]),
    "huge values": (lambda x: 1e12 * np.sin(x), [0.3, -2.0]),
    "on a huge pedestal": (lambda x: 1e12 + np.sin(x), [0.3, -2.0]),
    "stiff": (lambda x: (50 * x).exp(), [1.0, 0.1, -3.0]),
    "stiffer": (lambda x: (500 * x).exp(), [1.0, 0.1, -0.3]),
    "oscillating": (lambda x: np.sin(1e3 * x), [1.0, 0.1, 0.0]),
    "near the pole at 0": (lambda x: 1 / x, [1e-8, -1e-7]),
    "near the pole at 1": (lambda x: 1 / (x - 1), [1 + 1e-8]),
    "saturated": (lambda x: np.tanh(x), [15.0, -8.0, 0.0]),
    "a sum that cancels": (lambda x: (x - x.sum() / 3).sum(), [0.1, 0.2, 0.7]),
    "a large sum that cancels": (lambda x: (x + 1e8) - 1e8, [0.1, 0.7]),
    "zero everywhere": (lambda x: x * 0.0, [0.1, 0.7]),
    "at zero": (lambda x: x * x + np.sin(x), [0.0, 0.0]),
    "flat to third order at zero": (lambda x: x**4, [0.0, 1.0]),
    "near a kink": (lambda x: np.maximum(x, 0.0) + abs(x), [1e-7, -1e-9, 3.0]),
    "a constant part": (lambda x: x.detach().sum() * 0 + x, [0.1, 0.7]),
    "a scalar": (lambda x: x**2.5, 0.7),
    "an empty array": (lambda x: x * 2, np.zeros((0, 3))),
    "a non-contiguous one": (lambda x: x.T @ x, np.ones((3, 6))[:, ::2] + np.arange(3)),
    "products that cancel": (lambda x: (x @ (np.eye(7) - 1 / 7)).sum(), np.linspace(1, 2, 21).reshape(3, 7)),
    "a confident softmax": (lambda x: np.exp(x - x.max()) / np.exp(x - x.max()).sum(), [37.0, 3.3, -4.2]),
    "a deeply negative gelu": (lambda x: 0.5 * x * (1 + np.tanh(0.8 * (x + 0.045 * x**3))), [-4.97, -5.35, 3.0]),
    "piecewise": (lambda x: np.where(x > 0, x * x, -x), [0.5, -0.5]),
    "through complex-shy functions": (lambda x: np.sign(x) * abs(x) ** 1.5, [0.5, -0.5]),
}


@pytest.mark.parametrize("fast", [False, True], ids=["full", "fast"])
@pytest.mark.parametrize("name", PASS)
def test_right_functions_pass(name, fast):
    func, x = PASS[name]
    assert gradcheck(func, T(x), fast_mode=fast) is True


@pytest.mark.parametrize("name", sorted(set(PASS) - {"near a kink", "through complex-shy functions"}))
def test_right_second_derivatives_pass(name):
    func, x = PASS[name]
    assert gradgradcheck(func, T(x))


def test_several_inputs_and_outputs():
    x, y, k = T(np.ones((3, 4)) + np.arange(4)), T(np.arange(8.0).reshape(4, 2) + 0.5), 3
    constant = tj.tensor([1.0, 2.0])

    def func(x, k, y, c):
        return x @ y * c, (x * k).sum(), x.detach() > 0

    for options in ({}, {"fast_mode": True}, {"check_forward_ad": True}, {"eps": 1e-3}, {"check_batched_grad": True}):
        assert gradcheck(func, (x, k, y, constant), **options)
    assert gradgradcheck(func, [x, k, y, constant])
    assert gradgradcheck(func, [x, k, y, constant], gen_non_contig_grad_outputs=True, fast_mode=True)
    assert gradgradcheck(func, [x, k, y, constant], (T(np.ones((3, 2))), T(2.0)))
    assert (x.array == np.ones((3, 4)) + np.arange(4)).all()
    assert x.grad is None


def test_functions_that_differentiate_inside():
    """A residual of a differential equation: needs recording in its own evaluation."""

    def residual(x):
        (slope,) = tj.autograd.grad((x**3).sum(), x, create_graph=True)
        return slope * x

    assert gradcheck(residual, T([0.5, 2.0]))
    assert gradgradcheck(residual, T([0.5, 2.0]))


# ------------------------------------------------------------------------------------------------ what must not


@pytest.mark.parametrize("x", [[0.7, -1.3, 2.0], 1e-6 * np.array([0.7, -1.3]), 1e6 * np.array([0.7, -1.3])])
@pytest.mark.parametrize("size", [1.0, 1e-12, 1e12])
def test_wrong_by_a_millionth(x, size):
    wrong = mapped(lambda x: size * x**3, lambda x: size * 3 * x**2 * (1 + 1e-6))
    assert "a constant factor: it is 1.000001 times" in message(wrong, T(x))
    shy = mapped(lambda x: size * np.abs(x) ** 3, lambda x: size * 3 * x * abs(x) * (1 + 1e-6))
    assert "a constant factor: it is 1.000001 times" in message(shy, T(x))
    assert gradcheck(mapped(lambda x: size * np.abs(x) ** 3, lambda x: size * 3 * x * abs(x)), T(x))


def test_zero_gradient_of_a_tiny_function():
    for func in (lambda x: 1e-7 * x.detach() + 0 * x, lambda x: (1e-7 * x).detach().sum()):
        text = message(func, T([0.3, 2.0]))
        assert "detached" in text
        assert "1e-07" in text
        assert "detached" in message(func, T([0.3, 2.0]), fast_mode=True)
    tiny = mapped(lambda x: 1e-7 * np.abs(x), lambda x: 0 * x)
    assert "detached" in message(tiny, T([0.3, 2.0]))


def test_one_entry_of_thousands_wrong_by_a_percent():
    factor = np.ones(2000)
    factor[1234] = 1.01
    wrong = mapped(np.tanh, lambda x: (1 - np.tanh(x) ** 2) * factor)
    text = message(lambda x: wrong(x) * 3, T(np.linspace(-2, 2, 2000)))
    assert "wrong in 1 of 4000000 entries" in text
    assert re.search(r"\(1234,\)\s+\(1234,\)", text)
    inner = np.ones((40, 50))
    inner[7, 9] = 1.01
    wrong = tj.primitive(
        "wrong", lambda x: x.sum(), saves="",
        vjp=lambda g, out, x: g[..., None, None] * inner, jacobian=lambda out, x: Dense(inner, (), x.shape),
    )  # fmt: skip
    text = message(wrong, T(np.ones((40, 50))))
    assert "wrong in 1 of 2000 entries" in text
    assert "(7, 9)" in text


def test_an_entry_far_smaller_than_the_others():
    """Neither the largest entry of the matrix nor an absolute tolerance hides it."""
    weights = np.array([1e9, 1.0, 1e-9])
    right = tj.primitive(
        "weighted", lambda x: x * weights, elementwise=True,
        vjp=lambda g, out, x: g * weights, jacobian=lambda out, x: Diagonal(weights),
    )  # fmt: skip
    assert gradcheck(right, T(np.ones(3)))
    wrong = tj.primitive(
        "weighted", lambda x: x * weights, elementwise=True, replace=True,
        vjp=lambda g, out, x: g * weights * np.array([1, 1, 1.00001]), jacobian=lambda out, x: Diagonal(weights),
    )  # fmt: skip
    assert "wrong in 1 of 9" in message(wrong, T(np.ones(3)))
    # One output, inputs of very different units.
    assert "wrong in 1 of 3" in message(lambda x: wrong(x).sum(), T(1 / weights))


def changing(array, c):
    array *= 2
    return c


@pytest.mark.parametrize(
    "rule, complaint",
    [
        (lambda g, out, x, y: changing(g, g * y), "'made', argument 'x': its VJP rule changes the cotangent"),
        (lambda g, out, x, y: changing(y, g * y), "its VJP rule changes 'y'"),
        (lambda g, out, x, y: g * y * np.random.default_rng().normal(), "something else when it is called again"),
        (lambda g, out, x, y: g * y + 1, "zero for a zero cotangent"),
        (lambda g, out, x, y: np.abs(g) * y, "not linear"),
        (lambda g, out, x, y: (g * y).astype(np.float32), "float32"),
        (lambda g, out, x, y: g.reshape(-1)[:2] * y[0, :2], "cannot be computed|wrong|returns shape"),
        (lambda g, out, x, y: np.swapaxes(g * y, -1, -2), r"returns shape \(4, 3\) for an argument of shape \(3, 4\)"),
        (lambda g, out, x, y: g * y if g.ndim == 2 else 2 * g * y, "right for one cotangent, but not for several"),
        (lambda g, out, x, y: (g.T * y.T).T if g.ndim == 2 else g.T, "count axes from the end"),
        (lambda g, out, x, y: y.no_such_attribute, "AttributeError"),
    ],
)  # fmt: skip
def test_broken_promises(rule, complaint):
    x, y = T(np.arange(12.0).reshape(3, 4) + 1), T(np.arange(12.0).reshape(3, 4) - 20.5)
    op = made(rule)
    for func in (op, lambda x, y: op(x, y) * 2, lambda x, y: op(x * 1.5, y).sum()):
        assert re.search(complaint, message(func, (x, y))), message(func, (x, y))


def test_a_rule_that_reads_what_it_does_not_save():
    assert "saves=" in message(made(lambda g, out, x, y: g * y, saves="x"), (T([1.0, 2.0]), T([3.0, 4.0])))


def test_a_gradient_that_aliases():
    memory = np.zeros(2)

    def rule(g, out, x):
        memory[...] = 2 * g if g.ndim == 1 else memory
        return memory if g.ndim == 1 else 2 * g

    text = message(mapped(lambda x: 2 * x, lambda x: 2 + 0 * x, vjp=rule), T([1.0, 2.0]))
    assert "same memory" in text


def test_functions_that_do_not_repeat():
    random = np.random.default_rng(0)
    calls = []

    def drifting(x):
        calls.append(1)
        return x * (1 + 1e-6 * len(calls))

    assert "not repeatable" in message(lambda x: x * random.normal(), T([1.0, 2.0]))
    assert "not repeatable" in message(drifting, T([1.0, 2.0]))
    assert gradcheck(lambda x: x * x + 1e-9 * random.uniform(), T([1.0, 2.0]), nondet_tol=1e-6)


def test_functions_that_change_their_inputs():
    def shifting(x):
        with tj.no_grad():
            x += 1
        return x * 1.0

    assert "the function changes input 0 in place" in message(shifting, T([1.0, 2.0]))


# ------------------------------------------------------------------------------------------------ diagnoses


def test_diagnosis_of_sign_factor_and_detached():
    x, y = T([[1.0, -2.0, 0.5]]), T([[0.3], [0.7]])
    assert "the sign" in message(made(lambda g, out, x, y: -g * y), (x, y))
    assert "a constant factor: it is 0.5 times" in message(lambda x: x * x.detach(), x)
    assert "a constant factor: it is 1.7 times" in message(made(lambda g, out, x, y: 1.7 * g * y), (x, y))
    assert "detached" in message(made(lambda g, out, x, y: 0 * g * y), (x, y))
    assert "detached" in message(made(lambda g, out, x, y: None), (x, y))
    assert "detached" in message(lambda x: tj.tensor(x.detach().numpy()) * 2, x)


def linear(vjp_x, vjp_w):
    return tj.primitive(
        "linear2", lambda x, w: x @ w, saves="x w", vjp=(vjp_x, vjp_w), replace=True,
        jacobian=(lambda out, x, w: Kron(tj.jacobians.Identity(x.shape[0]), w.T),
                  lambda out, x, w: Kron(x, tj.jacobians.Identity(w.shape[1]))),
    )  # fmt: skip


def test_diagnosis_of_transposed():
    x, w = T(np.arange(12.0).reshape(4, 3) + 0.5), T(np.arange(9.0).reshape(3, 3) ** 1.5 - 5)
    right = lambda g, out, x, w: np.swapaxes(x, -1, -2) @ g  # noqa: E731
    wrong = linear(lambda g, out, x, w: g @ w, right)  # g @ wᵀ is right
    text = message(wrong, (x, w))
    assert "with respect to input 0" in text
    transposed = linear(
        lambda g, out, x, w: g @ w.T, lambda g, out, x, w: np.swapaxes(np.swapaxes(x, -1, -2) @ g, -1, -2)
    )
    assert "transposed: right once axes 0 and 1 of the input" in message(transposed, (x, w))
    w = T(np.arange(6.0).reshape(3, 2) + 0.25)
    reshaped = linear(
        lambda g, out, x, w: g @ w.T,
        lambda g, out, x, w: np.swapaxes(np.swapaxes(x, -1, -2) @ g, -1, -2).reshape((*g.shape[:-2], *w.shape)),
    )
    assert "transposed: right once axes 0 and 1 of the input" in message(reshaped, (x, w))
    matrix = np.arange(9.0).reshape(3, 3)
    rotated = tj.primitive(
        "rotated", lambda x: matrix @ x,
        vjp=lambda g, out, x: g @ matrix.T, jacobian=lambda out, x: Dense(matrix, (3,), (3,)),
    )  # fmt: skip
    assert "the transpose of the Jacobian" in message(rotated, T([1.0, 2.0, 3.0]))


def test_diagnosis_of_a_missing_sum():
    def shifted(rule):
        return tj.primitive(
            "shifted", lambda x, b: x + b, replace=True, vjp=(lambda g, out, x, b: g, rule),
            jacobian=(lambda out, x, b: Diagonal(np.ones(x.shape)),
                      lambda out, x, b: Selection.broadcast(b.shape, out.shape)),
        )  # fmt: skip

    x, b = T(np.ones((5, 3))), T([0.1, 0.2, 0.3])
    assert gradcheck(shifted(lambda g, out, x, b: g.sum(axis=-2)), (x, b))
    text = message(shifted(lambda g, out, x, b: g[..., 0, :]), (x, b))
    assert "a missing sum over broadcast axis 0 of the output, of size 5" in text
    assert "input 1" in text
    text = message(shifted(lambda g, out, x, b: g.mean(axis=-2)), (x, b))
    assert "1/5: a missing sum over axis 0 of the output, whose size is 5" in text
    text = message(shifted(lambda g, out, x, b: 5 * g.sum(axis=-2)), (x, b))
    assert "the size of axis 0 of the output" in text


def test_diagnosis_of_nan_and_float32():
    text = message(lambda x: np.where(x > 0, np.sqrt(x), 0.0 * x), T([1.0, -1.0]))
    assert "nan" in text
    assert "Diagnosis: NaN where the derivative is finite" in text
    assert "output (0,) is -inf" in message(lambda x: x.log(), T([0.0, 1.0]))
    single = mapped(lambda x: np.sin(x), lambda x: np.cos(x).astype(np.float32).astype(np.float64))
    assert "right to seven digits only" in message(single, T(np.linspace(0.1, 3, 7)))


def test_kinks_are_called_kinks():
    for func, at in (
        (abs, 0.0),
        (lambda x: np.maximum(x, 0.0), 0.0),
        (lambda x: np.where(x > 0, x, 0.25 * x), 0.0),
        (lambda x: np.maximum(2 * x, x + 1), 1.0),
        (lambda x: np.clip(x, -1.0, 1.0), 1.0),
        (lambda x: np.floor(x) + x, 2.0),
    ):
        x = T([at, 0.37, -3.3])
        with pytest.raises(KinkError, match=r"kink: with respect to input 0(.|\n)*Move the input") as caught:
            gradcheck(func, x)
        assert "1 of 9 entries" in str(caught.value)
        assert re.search(r"\(0,\)\s+\(0,\)\s.*kink", str(caught.value))
        assert not gradcheck(func, x, raise_exception=False)
        with pytest.raises(KinkError):
            gradcheck(func, x, fast_mode=True)
        assert gradcheck(func, T([0.37, -3.3, 0.6]))
    assert issubclass(KinkError, GradcheckError)
    assert issubclass(GradcheckError, RuntimeError)


def test_a_kink_does_not_excuse_a_wrong_gradient():
    odd = mapped(np.abs, lambda x: np.where(x == 0, 7.0, np.sign(x)))
    with pytest.raises(KinkError, match="does not even lie between"):
        gradcheck(odd, T([0.0, 1.0]))
    wrong = mapped(np.abs, lambda x: np.where(x == 0, 0.0, -np.sign(x)))
    text = message(wrong, T([0.0, 1.0]))
    assert "is wrong" in text
    assert "at a kink" in text


def test_message_names_entries_and_both_values():
    scale = np.ones((2, 3))
    scale[1, 2] = 1.5
    wrong = mapped(lambda x: x**2, lambda x: 2 * x * scale)
    text = message(lambda y, x: (y.sum(), wrong(x)), (T([1.0]), T(np.ones((2, 3)))))
    assert "the gradient with respect to input 1, shape (2, 3), is wrong in 1 of 42 entries" in text
    row = text.splitlines()[2].split()
    assert row[:8] == ["1:", "(1,", "2)", "(1,", "2)", "3", "2", row[7]]
    assert float(row[7]) < 1e-12
    many = message(mapped(lambda x: x**2, lambda x: 3 * x), T(np.ones((4, 4)) + 1))
    assert "... 10 more" in many
    assert len(many.splitlines()) < 12


def test_each_mode_is_checked_against_the_numbers():
    op = tj.primitive(
        "mapped", np.sin, saves="x", elementwise=True,
        vjp=lambda g, out, x: g * np.cos(x), jacobian=lambda out, x: Diagonal(1.01 * np.cos(x)),
    )  # fmt: skip
    assert gradcheck(op, T([0.5, 2.0]))
    assert "the forward-mode derivative with respect to input 0" in message(op, T([0.5, 2.0]), check_forward_ad=True)
    assert message(op, T([0.5, 2.0]), check_forward_ad=True, check_backward_ad=False)


def test_second_derivatives_that_are_wrong():
    # Right on arrays, wrong once the rule is differentiated itself: it hides its own dependence on x.
    hidden = tj.primitive(
        "hidden", lambda x: np.exp(x), saves="x", elementwise=True,
        vjp=lambda g, out, x: g * np.exp(getattr(x, "array", x)), jacobian=lambda out, x: Diagonal(np.exp(x)),
    )  # fmt: skip
    assert gradcheck(hidden, T([0.5, 2.0]))
    with pytest.raises(GradcheckError, match=r"(?s)with respect to input 0.*detached"):
        gradgradcheck(hidden, T([0.5, 2.0]))
    assert not gradgradcheck(hidden, T([0.5, 2.0]), raise_exception=False)
    other = tj.primitive(
        "other", lambda x: np.exp(x), saves="x", elementwise=True, composition=lambda x: x.exp() * 1.0001,
        vjp=lambda g, out, x: g * np.exp(x), jacobian=lambda out, x: Diagonal(np.exp(x)),
    )  # fmt: skip
    assert gradcheck(other, T([0.5, 2.0]))
    with pytest.raises(GradcheckError, match="differs from the plain one"):
        gradgradcheck(other, T([0.5, 2.0]))


def test_fast_mode_finds_what_it_can_and_explains_in_full():
    wrong = mapped(np.sin, lambda x: np.cos(x) * 1.00001)
    assert "a constant factor" in message(wrong, T(np.linspace(-1, 1, 50)), fast_mode=True)
    for name, op in (("sign", lambda g, out, x, y: -g * y), ("factor", lambda g, out, x, y: 2 * g * y)):
        assert name in message(made(op), (T([1.0, 2.0]), T([3.0, 5.0])), fast_mode=True)


# ------------------------------------------------------------------------------------------------ modules, dtypes


class Affine:
    """What a module is to gradcheck: parameters by name, and a call."""

    def __init__(self, dtype=np.float32, wrong=False):
        random = np.random.default_rng(0)
        self.weight = tj.tensor(random.normal(size=(3, 4)).astype(dtype), requires_grad=True)
        self.bias = tj.tensor(random.normal(size=3).astype(dtype), requires_grad=True)
        self.frozen = tj.tensor(np.ones(3, dtype))
        self.seen = tj.tensor(np.zeros((), dtype))
        self.wrong = wrong

    def named_parameters(self):
        yield "weight", self.weight
        yield "bias", self.bias
        yield "frozen", self.frozen

    def named_buffers(self):
        yield "seen", self.seen

    def __call__(self, x):
        self.seen.array += 1
        bias = self.bias.detach() if self.wrong else self.bias
        return np.tanh(x @ self.weight.T + bias) * self.frozen


@pytest.mark.parametrize("fast", [False, True])
def test_a_module_is_checked_by_parameter(fast):
    model = Affine()
    arrays, nodes = [model.weight.array, model.bias.array], [model.weight.node, model.bias.node]
    x = tj.tensor(np.random.default_rng(1).normal(size=(2, 4)).astype(np.float32))
    assert gradcheck(model, x, fast_mode=fast)
    assert gradgradcheck(model, x, fast_mode=fast)
    text = message(Affine(wrong=True), x, fast_mode=fast)
    assert "with respect to parameter 'bias', shape (3,), is wrong" in text
    # The module is as it was.
    assert all(a is b for a, b in zip([model.weight.array, model.bias.array], arrays, strict=True))
    assert all(a is b for a, b in zip([model.weight.node, model.bias.node], nodes, strict=True))
    assert model.weight.dtype == np.float32
    assert model.seen.array == 0
    assert model.weight.grad is None


def test_the_module_is_restored_after_an_error():
    class Failing(Affine):
        def __call__(self, x):
            if self.seen.array > 5:
                raise ZeroDivisionError
            return super().__call__(x)

    model = Failing()
    before, node = model.weight.array, model.weight.node
    with pytest.raises(ZeroDivisionError):
        gradcheck(model, tj.tensor(np.ones((2, 4))))
    assert model.weight.array is before
    assert model.weight.node is node
    assert model.seen.array == 0


def test_float32_inputs_are_checked_in_float64():
    x = tj.tensor([0.5, 2.0], requires_grad=True)
    seen = set()

    def func(x):
        seen.add(x.dtype.name)
        return np.sin(x) * tj.tensor([1.0, 3.0])

    with pytest.warns(UserWarning, match="input 0 of gradcheck: not float64"):
        assert gradcheck(func, x)
    assert seen <= {"float64", "complex128"}
    assert x.dtype == np.float32


def test_refusals():
    with pytest.raises(ValueError, match="requires_grad=True"):
        gradcheck(lambda x: x, tj.tensor([1.0]))
    with pytest.raises(ValueError, match="nothing to check"):
        gradcheck(lambda x: x, T([1.0]), check_backward_ad=False)
    with pytest.raises(ValueError, match="must return a floating-point Tensor"):
        gradcheck(lambda x: x.detach().numpy(), T([1.0]))
    with pytest.raises(ZeroDivisionError):
        gradcheck(lambda x: 1 // 0, T([1.0]))


def test_tolerances_given():
    wrong = mapped(np.sin, lambda x: np.cos(x) * 1.001)
    assert gradcheck(wrong, T([0.5, 2.0]), rtol=1e-2)
    assert gradcheck(wrong, T([0.5, 2.0]), atol=1e-2)
    assert not gradcheck(wrong, T([0.5, 2.0]), atol=1e-5, raise_exception=False)


def test_a_debug_observer_outside_is_left_in_place():
    import threading

    outer = graph.Observer()
    graph.observers[threading.get_ident()] = outer
    try:
        assert gradcheck(lambda x: x.exp(), T([1.0]))
        assert graph.observers[threading.get_ident()] is outer
    finally:
        graph.observers.clear()


# ------------------------------------------------------------------------------------------------ the helper, the cost


def test_assert_gradients():
    assert_gradients(lambda x, w, k: np.sin(x @ w) * k, np.ones((2, 3)), np.ones((3, 2)), 3)
    assert_gradients(lambda x: x * x, [0.5, 1.0])
    assert_gradients(lambda x: x * x, tj.tensor([0.5, 1.0]))  # float32, and no warning
    assert_gradients(Affine(), np.ones((2, 4)), fast_mode=True)
    with pytest.raises(AssertionError, match="a constant factor"):
        assert_gradients(lambda x: x * x.detach(), [0.5, 1.0])
    with pytest.raises(AssertionError, match="kink"):
        assert_gradients(abs, [0.0, 1.0], second_order=False)


def test_matrices_are_checked_in_blocks(monkeypatch):
    from tinygrad_jac.checks import evaluation
    from tinygrad_jac.checks import gradcheck as module

    w = np.random.default_rng(0).normal(size=(7, 5))
    walks = []
    pull = Point.gradients
    monkeypatch.setattr(Point, "gradients", lambda self, u, first=0: walks.append(u.shape) or pull(self, u, first))
    assert gradcheck(lambda x: (np.tanh(x @ w), (x * 2).sum(axis=1)), T(np.ones((3, 7))))
    assert (18, 18) in walks  # one walk for the whole Jacobian
    walks.clear()
    monkeypatch.setattr(evaluation, "BLOCK", 100)
    monkeypatch.setattr(module, "BLOCK", 100)
    assert gradcheck(lambda x: (np.tanh(x @ w), (x * 2).sum(axis=1)), T(np.ones((3, 7))), check_forward_ad=True)
    assert walks.count((4, 4)) == 4
    wrong = mapped(np.sin, lambda x: -np.cos(x))
    text = message(lambda x: wrong(x) + x.sum() * 0, T(np.linspace(0.1, 1.4, 30)))
    assert "30 of 900 entries" in text
    assert "the sign" in text


def test_memory_is_that_of_one_jacobian():
    x = T(np.linspace(-1, 1, 1500))
    gradcheck(lambda x: np.tanh(x), T([1.0]))
    tracemalloc.start()
    gradcheck(lambda x: np.tanh(x), x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 1500 * 1500 * 8


def test_many_entries_take_few_evaluations():
    random = np.random.default_rng(0)
    w, x = random.normal(size=(88, 30)), T(random.normal(size=88))
    evaluations = []

    def func(x):
        evaluations.append(1)
        return np.tanh(x @ w / 10)

    assert gradcheck(func, x)
    assert len(evaluations) < 1.5 * 88 + 30
    evaluations.clear()
    assert gradcheck(func, x, fast_mode=True)
    assert len(evaluations) < 60


def test_diagnose_needs_a_reason():
    J = np.random.default_rng(0).normal(size=(4, 6))
    other = np.random.default_rng(1).normal(size=(4, 6))
    assert diagnose(other, J, np.full(J.shape, True), (4,), (2, 3)) is None
    assert diagnose(J, J, np.full(J.shape, False), (4,), (6,)) is None
    assert diagnose(J, np.full_like(J, np.inf), np.full(J.shape, True), (4,), (6,)).startswith("the derivative is inf")


# ------------------------------------------------------------------------------------------------ PyTorch


@pytest.mark.peers
def test_called_as_in_pytorch():
    torch = pytest.importorskip("torch")
    for ours, theirs in (
        (gradcheck, torch.autograd.gradcheck),
        (gradgradcheck, torch.autograd.gradgradcheck),
    ):
        names = {n: p.kind for n, p in inspect.signature(ours).parameters.items()}
        assert names == {n: p.kind for n, p in inspect.signature(theirs).parameters.items()}


@pytest.mark.peers
def test_stricter_than_pytorch_where_that_is_weak():
    torch = pytest.importorskip("torch")

    class Detached(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 1e-7 * x

        @staticmethod
        def backward(ctx, g):
            return 0 * g

    assert torch.autograd.gradcheck(Detached.apply, torch.tensor([0.3, 2.0], dtype=torch.float64, requires_grad=True))
    assert "detached" in message(mapped(lambda x: 1e-7 * x, lambda x: 0 * x), T([0.3, 2.0]))
    x = torch.tensor([0.3, 2.0], dtype=torch.float64, requires_grad=True)
    assert not torch.autograd.gradcheck(lambda x: 1e8 + torch.sin(x), x, raise_exception=False)
    assert gradcheck(lambda x: 1e8 + np.sin(x), T([0.3, 2.0]))
