"""autograd.Function: an op of the user's, as an ordinary node of the graph."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from kit import audit, check, close, randn

import tinygrad_jac as tj
from tinygrad_jac import func, graph
from tinygrad_jac.autograd import Function
from tinygrad_jac.autograd.function import FromBackward, once_differentiable
from tinygrad_jac.errors import GradientError, ShapeError
from tinygrad_jac.jacobians import Diagonal

EXACT = 1e-12
X, Y = randn(2, 3), randn(3, seed=1)


def t(array, **kwargs):
    return tj.tensor(np.asarray(array), **kwargs)


class Cube(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 3 * x**2


class Exp(Function):
    """Saves its output."""

    @staticmethod
    def forward(ctx, x):
        y = tj.exp(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * y


class Scaled(Function):
    """x · y · factor, by setup_context."""

    @staticmethod
    def forward(x, factor, y):
        return x * y * factor

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, ctx.factor, y = inputs
        ctx.save_for_backward(x, y)
        assert output.shape == x.shape

    @staticmethod
    def backward(ctx, g):
        x, y = ctx.saved_tensors
        by_x = g * y * ctx.factor if ctx.needs_input_grad[0] else None
        by_y = g * x * ctx.factor if ctx.needs_input_grad[2] else None
        return by_x, None, by_y


class PolarAndCount(Function):
    """Three outputs: radius and angle of (x, y), and an integer."""

    @staticmethod
    def forward(ctx, x, y):
        r, phi = (x * x + y * y) ** 0.5, tj.arctan2(y, x)
        count = t(np.arange(x.numel()))
        ctx.save_for_backward(x, y, r)
        return r, phi, count

    @staticmethod
    def backward(ctx, gr, gphi, gcount):
        x, y, r = ctx.saved_tensors
        assert not gcount.array.any()
        return (gr * x - gphi * y / r) / r, (gr * y + gphi * x / r) / r


def polar(x, y):
    return (x * x + y * y) ** 0.5, tj.arctan2(y, x)


# ------------------------------------------------------------------------------------------------ one output


@pytest.mark.parametrize("function, equal", [(Cube, lambda x: x**3), (Exp, tj.exp)])
def test_an_ordinary_node(function, equal):
    check(function.apply, X, second=True)
    x = t(X, requires_grad=True)
    y = function.apply(x)
    assert y.grad_fn.name == function.__name__
    for transform in (func.jacrev, func.jacfwd, func.hessian, lambda f: func.jacfwd(func.jacfwd(f))):
        found, expected = (transform(lambda x, f=f: f(x).sum())(t(X)).array for f in (function.apply, equal))
        close(found, expected, EXACT, "transforms")
    third = [func.jacrev(func.hessian(lambda x, f=f: f(x).sum()))(t(Y)).array for f in (function.apply, equal)]
    close(*third, EXACT, "third derivatives")


def test_arguments_that_are_not_tensors_and_setup_context():
    check(lambda x, y: Scaled.apply(x, 2.5, y), X, X + 1)
    x, y = t(X, requires_grad=True), t(X + 1)
    Scaled.apply(x, 2.5, y).sum().backward()
    close(x.grad.array, 2.5 * (X + 1), EXACT, "x")
    assert y.grad is None
    with pytest.raises(TypeError):
        Scaled.apply(x, factor=2.5, y=y)


def test_a_gradient_is_summed_over_what_was_broadcast():
    x, y = t(X, requires_grad=True), t(Y, requires_grad=True)
    Scaled.apply(x, 2.0, y).sum().backward()
    close(y.grad.array, 2 * X.sum(0), EXACT, "as PyTorch does")
    J = func.jacrev(lambda y: Scaled.apply(t(X), 2.0, y))(t(Y)).array
    close(J, 2 * X[:, :, None] * np.eye(3), EXACT, "in every row of a Jacobian")


def test_without_gradients_it_is_a_function():
    calls = []

    class Noted(Function):
        @staticmethod
        def forward(ctx, x):
            calls.append((ctx.needs_input_grad, tj.is_grad_enabled()))
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    x = t(Y, requires_grad=True)
    assert not Noted.apply(t(Y)).requires_grad
    with tj.no_grad():
        assert not Noted.apply(x).requires_grad
    assert Noted.apply(x).requires_grad
    assert calls == [((False,), False), ((True,), False), ((True,), False)]
    assert tj.is_grad_enabled()
    assert np.array_equal(x.array, Y)


def test_none_is_no_gradient():
    class First(Function):
        @staticmethod
        def forward(ctx, x, y):
            return x + y

        @staticmethod
        def backward(ctx, g):
            return g, None

    x, y = t(Y, requires_grad=True), t(Y, requires_grad=True)
    First.apply(x, y).sum().backward()
    assert x.grad.tolist() == [1.0, 1.0, 1.0]
    assert y.grad is None
    assert not func.jacrev(First.apply, 1)(t(Y), t(Y)).array.any()
    assert not func.jacfwd(First.apply, 1)(t(Y), t(Y)).array.any()


def test_backward_runs_once_for_all_arguments():
    count = []

    class Counted(Function):
        @staticmethod
        def forward(ctx, x, y):
            ctx.save_for_backward(x, y)
            return x * y

        @staticmethod
        def backward(ctx, g):
            count.append(1)
            x, y = ctx.saved_tensors
            return g * y, g * x

    x, y = t(Y, requires_grad=True), t(2 * Y, requires_grad=True)
    z = Counted.apply(x, y)
    z.backward(t(np.ones(3)), retain_graph=True)
    assert len(count) == 1
    z.backward(t(np.ones(3)))
    assert len(count) == 2
    close(x.grad.array, 4 * Y, EXACT, "twice")
    same = t(Y, requires_grad=True)
    Counted.apply(same, same).sum().backward()
    close(same.grad.array, 2 * Y, EXACT, "one tensor as both arguments")


# ------------------------------------------------------------------------------------------------ several outputs


def test_several_outputs():
    x, y = t(np.abs(X), requires_grad=True), t(X + 2, requires_grad=True)
    r, _, count = PolarAndCount.apply(x, y)
    close(r.array, np.hypot(x.array, y.array), EXACT, "value")
    assert count.tolist() == list(range(6))
    assert not count.requires_grad
    audit(r * 2)
    for one, two in ((func.jacrev, func.jacrev), (func.jacfwd, func.jacrev), (func.jacfwd, func.jacfwd)):
        found = one(lambda x, y: PolarAndCount.apply(x, y)[:2], (0, 1))(x.detach(), y.detach())
        expected = two(polar, (0, 1))(x.detach(), y.detach())
        for a, b in zip(found, expected):
            for p, q in zip(a, b):
                close(p.array, q.array, EXACT, "Jacobians")

    def mixed(f):
        return lambda x, y: (lambda r, phi: (r * tj.sin(phi)).sum() * r[0, 0])(*f(x, y)[:2])

    for transform in (func.grad, func.hessian):
        found = transform(mixed(PolarAndCount.apply))(x.detach(), y.detach()).array
        close(found, transform(mixed(polar))(x.detach(), y.detach()).array, 1e-11, "of both outputs together")


def test_saved_outputs_of_several():
    class ExpAndSquare(Function):
        @staticmethod
        def forward(ctx, x):
            e, s = tj.exp(x), x * x
            ctx.save_for_backward(s, e, None, x)
            return s, e

        @staticmethod
        def backward(ctx, gs, ge):
            _, e, nothing, x = ctx.saved_tensors
            assert nothing is None
            return gs * 2 * x + ge * e

    def g(f):
        return lambda x: (lambda s, e: (s * e * e).sum())(*f(x))

    found = func.hessian(g(ExpAndSquare.apply))(t(Y)).array
    close(found, func.hessian(g(lambda x: (x * x, tj.exp(x))))(t(Y)).array, EXACT, "second derivatives")


def test_outputs_marked_as_constants():
    class SortAndRank(Function):
        @staticmethod
        def forward(ctx, x):
            order = np.argsort(x.array)
            ranks = t(np.argsort(order).astype(float))
            ctx.mark_non_differentiable(ranks)
            ctx.order = order
            return t(x.array[order]), ranks

        @staticmethod
        def backward(ctx, g, granks):
            assert granks.shape == (3,)
            assert not granks.array.any()
            return g[t(np.argsort(ctx.order))]

    x = t(np.array([3.0, 1.0, 2.0]), requires_grad=True)
    values, ranks = SortAndRank.apply(x)
    assert values.requires_grad
    assert not ranks.requires_grad
    assert ranks.tolist() == [2.0, 0.0, 1.0]
    (values * t(np.array([1.0, 10.0, 100.0]))).sum().backward()
    assert x.grad.tolist() == [100.0, 1.0, 10.0]


@pytest.mark.parametrize("materialize", [True, False])
def test_cotangents_of_unused_outputs(materialize):
    seen = []

    class Two(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(materialize)
            return x * 2, x * 3, t(np.arange(2))

        @staticmethod
        def backward(ctx, one, two, three):
            seen[:] = [one, two, three]
            found = None
            for g, factor in ((one, 2), (two, 3)):
                if g is not None:
                    found = g * factor if found is None else found + g * factor
            return found

    x = t(Y, requires_grad=True)
    Two.apply(x)[1].sum().backward()
    assert x.grad.tolist() == [3.0, 3.0, 3.0]
    if materialize:
        assert [g.array.tolist() for g in seen] == [[0.0] * 3, [1.0] * 3, [0, 0]]
    else:
        assert [g is None for g in seen] == [True, False, True]


def test_outputs_of_several_dtypes():
    class Both(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2, (x * 3).astype(np.float32)

        @staticmethod
        def backward(ctx, one, two):
            assert (one.dtype, two.dtype) == (np.float64, np.float32)
            return one * 2 + two * 3

    x = t(Y, requires_grad=True)
    one, two = Both.apply(x)
    assert (one.dtype, two.dtype) == (np.float64, np.float32)
    (one.sum() + two.sum()).backward()
    close(x.grad.array, np.full(3, 5.0), EXACT, "gradient")


def test_results_are_what_forward_returns():
    class Odd(Function):
        @staticmethod
        def forward(ctx, x, how):
            return {"tuple": (x * 2,), "none": (x * 2, None), "itself": x}[how]

        @staticmethod
        def backward(ctx, *g):
            return g[0] * (1 if len(g) == 1 and ctx.needs_input_grad == (True, False) else 2), None

    for x in (t(Y, requires_grad=True), t(Y)):
        (one,) = Odd.apply(x, "tuple")
        two, none = Odd.apply(x, "none")
        assert none is None
        assert one.requires_grad == two.requires_grad == x.requires_grad
        same = Odd.apply(x, "itself")
        assert same is not x
        assert np.array_equal(same.array, Y)


# ------------------------------------------------------------------------------------------------ statements


class Stated(Function):
    @staticmethod
    def forward(ctx, x, y):
        ctx.save_for_backward(x, y)
        return x * y

    @staticmethod
    def backward(ctx, g):
        x, y = ctx.saved_tensors
        return g * y, g * x

    @staticmethod
    def jacobian(ctx):
        x, y = ctx.saved_tensors
        return Diagonal(y.array), Diagonal(x.array)


def test_a_stated_jacobian_is_held_against_backward():
    check(Stated.apply, X, X + 1)
    node = Stated.apply(t(X, requires_grad=True), t(X)).node
    assert node.primitive.statement(node, 0).structure == "diagonal"

    class Wrong(Stated):
        @staticmethod
        def jacobian(ctx):
            x, y = ctx.saved_tensors
            return Diagonal(y.array * 1.01), Diagonal(x.array)

    with pytest.raises(AssertionError, match="Wrong"):
        check(Wrong.apply, X, X + 1)
    assert Stated._primitive is not Wrong._primitive, "each class has its own"

    class Misshapen(Stated):
        @staticmethod
        def jacobian(ctx):
            return Diagonal(np.ones(2)), None

    with pytest.raises(ShapeError, match=r"must state a Jacobian from \(2, 3\) to \(2, 3\) at 0"):
        func.jacfwd(Misshapen.apply)(t(X), t(X))


def test_a_stated_jacobian_of_several_outputs():
    class Two(Function):
        @staticmethod
        def forward(ctx, x, k):
            ctx.save_for_backward(x)
            ctx.k = k
            return x * x, x * k

        @staticmethod
        def backward(ctx, one, two):
            (x,) = ctx.saved_tensors
            return one * 2 * x + two * ctx.k, None

        @staticmethod
        def jacobian(ctx):
            (x,) = ctx.saved_tensors
            return (Diagonal(2 * x.array), None), (Diagonal(np.full(x.shape, ctx.k)), None)

    x = t(Y, requires_grad=True)
    one, two = Two.apply(x, 3.0)
    audit(one + two)
    close(func.jacfwd(lambda x: Two.apply(x, 3.0))(t(Y))[1].array, 3 * np.eye(3), EXACT, "the second")


def test_without_a_statement_the_matrix_is_that_of_backward_and_says_so():
    node = Cube.apply(t(X, requires_grad=True)).node
    J = node.primitive.statement(node, 0)
    assert isinstance(J, FromBackward)
    assert J.structure == "dense (from backward)"
    close(J.dense(), np.diag(3 * X.reshape(-1) ** 2), EXACT, "matrix")


def test_the_forward_can_be_evaluated_anew():
    """As the debug mode does, for numerical derivatives."""
    node = Scaled.apply(t(X, requires_grad=True), 2.0, t(X)).node
    out, _ = node.primitive.forward(X + 1, X, **{k: v for k, v in node.kwargs.items() if k != "residual"})
    close(out, 2 * (X + 1) * X, EXACT, "at other arrays")
    close(node.primitive.pull_back(node, 0, np.ones((2, 3))), 2 * X, EXACT, "what was saved is still that of the first")


# ------------------------------------------------------------------------------------------------ once_differentiable


def test_once_differentiable():
    class Once(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return t(x.array**2)

        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return t(g.numpy() * 2 * x.numpy())

    x = t(Y, requires_grad=True)
    Once.apply(x).sum().backward()
    close(x.grad.array, 2 * Y, EXACT, "once")
    (g,) = tj.autograd.grad(Once.apply(x).sum(), x, create_graph=True)
    close(g.array, 2 * Y, EXACT, "recorded")
    with pytest.raises(GradientError, match="differentiate twice a function that was marked with @once_differentiable"):
        g.sum().backward()
    close(func.jacrev(Once.apply)(t(Y)).array, np.diag(2 * Y), EXACT, "jacrev")
    close(func.jacfwd(Once.apply)(t(Y)).array, np.diag(2 * Y), EXACT, "jacfwd")


# ------------------------------------------------------------------------------------------------ memory and changes


def test_saved_tensors_are_released_with_the_graph():
    held = []

    class Keeps(Function):
        @staticmethod
        def forward(ctx, x):
            between = x * 3
            held.append(weakref.ref(between.array))
            ctx.save_for_backward(between)
            return between * between

        @staticmethod
        def backward(ctx, g):
            (between,) = ctx.saved_tensors
            return g * 6 * between

    x = t(Y, requires_grad=True)
    y = Keeps.apply(x).sum()
    gc.collect()
    assert held[0]() is not None
    y.backward()
    gc.collect()
    assert held[0]() is None, "the graph still stands, what it saved does not"
    close(x.grad.array, 18 * Y, EXACT, "gradient")
    with pytest.raises(GradientError, match="retain_graph=True"):
        y.backward()


def test_no_cycles():
    gc.collect()
    gc.disable()
    try:
        x = t(Y, requires_grad=True)
        outputs = [Exp.apply(x), *PolarAndCount.apply(x, x)[:2]]
        nodes = [weakref.ref(out.node) for out in outputs]
        del outputs
        assert [node() for node in nodes] == [None, None, None]
    finally:
        gc.enable()


def test_a_change_in_place_of_what_was_saved_is_noticed():
    x = t(Y, requires_grad=True)
    y = Cube.apply(x * 1)
    h = x * 1
    z = Cube.apply(h)
    with tj.no_grad():
        h += 1
    with pytest.raises(GradientError, match="Cube saved for its gradient was changed in place"):
        z.sum().backward()
    y.sum().backward()
    e = Exp.apply(x)
    with tj.no_grad():
        e *= 2
    with pytest.raises(GradientError, match="changed in place"):
        e.sum().backward()


# ------------------------------------------------------------------------------------------------ errors


def returning(answer):
    class Returns(Function):
        @staticmethod
        def forward(ctx, x, k):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return answer(g)

    return Returns


@pytest.mark.parametrize(
    "answer, message",
    [
        (lambda g: g, r"incorrect number of gradients \(expected 2, got 1\)"),
        (lambda g: (g, None, g), r"incorrect number of gradients \(expected 2, got 3\)"),
        (lambda g: (g, g), "gradient different from None at position 1"),
        (
            lambda g: (g[:2], None),
            r"invalid gradient at index 0 - got \(2,\) but expected shape compatible with \(3,\)",
        ),
        (lambda g: (g.array, None), "must return Tensors or None, not ndarray at position 0"),
    ],
)
def test_what_backward_returns_is_checked(answer, message):
    x = t(Y, requires_grad=True)
    with pytest.raises((GradientError, ShapeError, TypeError), match=message):
        returning(answer).apply(x, 3).sum().backward()


def test_trailing_nones_are_allowed():
    x = t(Y, requires_grad=True)
    returning(lambda g: (g * 2, None, None)).apply(x, 3).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0, 2.0]


def test_errors_of_forward_and_context():
    class Bad(Function):
        @staticmethod
        def forward(ctx, x, what):
            if what == "save":
                ctx.save_for_backward(3)
            if what == "dirty":
                ctx.mark_dirty(x)
            if what == "read":
                ctx.saved_tensors  # noqa: B018
            return "text"

    x = t(Y, requires_grad=True)
    with pytest.raises(TypeError, match=r"Bad\.forward must return Tensors, not str"):
        Bad.apply(x, "")
    with pytest.raises(TypeError, match="save_for_backward takes Tensors and None, not int"):
        Bad.apply(x, "save")
    with pytest.raises(GradientError, match="return a new tensor"):
        Bad.apply(x, "dirty")
    with pytest.raises(GradientError, match=r"can be read in backward\(\)"):
        Bad.apply(x, "read")
    with pytest.raises(NotImplementedError, match="forward and backward"):
        Function.apply(x)

    class NoBackward(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

    with pytest.raises(GradientError, match="static method backward"):
        NoBackward.apply(x).sum().backward()


def test_it_is_not_in_the_registry():
    from tinygrad_jac.primitive import registry

    Cube.apply(t(Y, requires_grad=True))
    assert "Cube" not in registry
    assert "once_differentiable" not in registry


def test_observers_see_it():
    class Watch(graph.Observer):
        names: list[str] = []  # noqa: RUF012

        def recorded(self, node, values, out):
            self.names.append(node.name)

    import threading

    watch = Watch()
    graph.observers[threading.get_ident()] = watch
    try:
        Cube.apply(t(Y, requires_grad=True))
    finally:
        del graph.observers[threading.get_ident()]
    assert "Cube" in watch.names


# ------------------------------------------------------------------------------------------------ against PyTorch


@pytest.mark.peers
def test_against_pytorch():
    """One class body, both libraries: values, gradients, second gradients."""
    torch = pytest.importorskip("torch")

    def make(base, lib):
        class Swish(base):
            @staticmethod
            def forward(ctx, x, beta, w):
                s = 1 / (1 + lib.exp(-beta * x))
                ctx.save_for_backward(x, w)
                ctx.beta = beta
                return x * s, (s * w).sum()

            @staticmethod
            def backward(ctx, g, h):
                x, w = ctx.saved_tensors
                beta = ctx.beta
                s = 1 / (1 + lib.exp(-beta * x))
                ds = beta * s * (1 - s)
                return g * (s + x * ds) + h * w * ds, None, h * s

        return Swish

    def run(Swish, x, w, grad):
        y, z = Swish.apply(x, 1.7, w)
        first = grad((y * y).sum() * z, (x, w), create_graph=True)
        second = grad((first[0] ** 2).sum() + first[1].sum(), (x, w))
        return [y, z, *first, *second]

    ours = run(make(Function, tj), t(X, requires_grad=True), t(X + 1, requires_grad=True), tj.autograd.grad)
    theirs = run(
        make(torch.autograd.Function, torch),
        torch.tensor(X, requires_grad=True),
        torch.tensor(X + 1, requires_grad=True),
        torch.autograd.grad,
    )
    for k, (a, b) in enumerate(zip(ours, theirs)):
        close(a.array, b.detach().numpy(), 1e-11, f"result {k}")


def test_an_identity_does_not_let_its_input_be_changed():
    class Same(Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, g):
            return g

    x = tj.tensor([1.0, 2.0], requires_grad=True)
    for y in (Same.apply(x), Same.apply(Same.apply(x))):
        with pytest.raises(GradientError, match="leaf"):
            y.mul_(10)
    assert x.tolist() == [1.0, 2.0]
    same = tj.primitive("same", lambda x: x, vjp=lambda g, out, x: g, jacobian=lambda out, x: Diagonal(np.ones(2)))
    try:
        with pytest.raises(GradientError, match="leaf"):
            same(x).mul_(10)
    finally:
        from tinygrad_jac.primitive import registry

        del registry["same"]
    assert x.tolist() == [1.0, 2.0]
