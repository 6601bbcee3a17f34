"""Functional transforms: formulas by hand, each other, nesting to third order, and torch.func."""

from __future__ import annotations

import collections
import gc
import itertools
import tracemalloc
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import close, randn, rng, scratch_registry

import tinygrad_jac as tj
from tinygrad_jac import func, nn
from tinygrad_jac.errors import GradientError, ShapeError
from tinygrad_jac.func import (
    functional_call,
    grad,
    grad_and_value,
    hessian,
    hvp,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    per_sample_grad,
    value_and_grad,
    vjp,
    vmap,
)
from tinygrad_jac.jacobians import Diagonal
from tinygrad_jac.nn.functional import linear

EXACT = 1e-12


def t(array, **kwargs):
    return tj.tensor(np.asarray(array), **kwargs)


X = randn(3)
A = randn(4, 3, seed=1)


def f(x):
    """R³ -> R⁴, with every entry of the Jacobian non-zero."""
    return tj.tanh(t(A) @ x) * (x * x).sum()


def f_by_hand(x):
    h, s = np.tanh(A @ x), x @ x
    return (1 - h**2)[:, None] * A * s + np.outer(h, 2 * x)


def scalar(x):
    return (tj.sin(x) * x.sum()).sum() * x[0] + tj.exp(x[1] * x[2])


# ------------------------------------------------------------------------------------------------ first derivatives


def test_jacobians_by_hand():
    close(jacrev(f)(t(X)).array, f_by_hand(X), EXACT, "jacrev")
    close(jacfwd(f)(t(X)).array, f_by_hand(X), EXACT, "jacfwd")


def test_products_by_hand():
    v, u = rng(1).standard_normal(3), rng(2).standard_normal(4)
    value, pull = vjp(f, t(X))
    close(value.array, f(t(X)).array, 0, "value")
    assert not value.requires_grad
    close(pull(t(u))[0].array, u @ f_by_hand(X), EXACT, "vjp")
    close(pull(t(2 * u))[0].array, 2 * u @ f_by_hand(X), EXACT, "vjp again")
    value, tangent = jvp(f, (t(X),), (t(v),))
    close(value.array, f(t(X)).array, 0, "value")
    close(tangent.array, f_by_hand(X) @ v, EXACT, "jvp")
    assert not tangent.requires_grad
    value, push = linearize(f, t(X))
    close(push(t(v)).array, f_by_hand(X) @ v, EXACT, "linearize")
    close(push(t(-v)).array, -f_by_hand(X) @ v, EXACT, "linearize again")


def test_grad_and_value_in_both_orders():
    x = t(X)
    expected = np.cos(X) * X.sum() + np.sin(X).sum()

    def g(x):
        return (tj.sin(x) * x.sum()).sum()

    close(grad(g)(x).array, expected, EXACT, "grad")
    (first, value), (value2, second) = grad_and_value(g)(x), value_and_grad(g)(x)
    close(first.array, expected, EXACT, "grad_and_value")
    close(second.array, expected, EXACT, "value_and_grad")
    assert value.item() == value2.item() == pytest.approx(np.sin(X).sum() * X.sum())
    assert x.grad is None
    assert not x.requires_grad


def test_argnums():
    x, y, z = t(X), t(randn(3, seed=5)), 2.0

    def g(x, y, z):
        return (x * x * y * z).sum()

    by_x, by_y = 4 * X * y.array, 2 * X**2
    close(grad(g)(x, y, z).array, by_x, EXACT, "0")
    close(grad(g, argnums=1)(x, y, z).array, by_y, EXACT, "1")
    close(grad(g, argnums=-2)(x, y, z).array, by_y, EXACT, "-2")
    found = grad(g, argnums=(1, 0))(x, y, z)
    assert isinstance(found, tuple)
    close(found[0].array, by_y, EXACT, "(1, 0): 1")
    close(found[1].array, by_x, EXACT, "(1, 0): 0")
    (only,) = grad(g, argnums=(0,))(x, y, z)
    close(only.array, by_x, EXACT, "(0,)")
    close(grad(g, argnums=2)(x, y, np.array(2.0)), (X**2 * y.array).sum(), EXACT, "an array")
    for transform in (jacrev, jacfwd):
        one, two = transform(lambda x, y: x[:2] * y[0], argnums=(0, 1))(x, y)
        assert (one.shape, two.shape) == ((2, 3), (2, 3))
    with pytest.raises(ValueError, match="argnums=3, but the function was called with 3"):
        grad(g, argnums=3)(x, y, z)
    with pytest.raises(ValueError, match="each once"):
        grad(g, argnums=(0, -3))(x, y, z)
    with pytest.raises(TypeError, match="argnums must be an int"):
        grad(g, argnums=("x",))(x, y, z)


def test_has_aux():
    x = t(X)

    def g(x):
        y = x * x
        return y.sum(), {"y": y, "note": "kept"}

    def vector(x):
        return x * x, x.sum()

    for result in (grad(g, has_aux=True)(x), grad_and_value(g, has_aux=True)(x)):
        close(result[0].array, 2 * X, EXACT, "gradient")
    _, aux = grad(g, has_aux=True)(x)
    assert aux["note"] == "kept"
    assert not aux["y"].requires_grad
    close(aux["y"].array, X * X, 0, "aux")
    (value, _), _ = value_and_grad(g, has_aux=True)(x)
    assert value.item() == pytest.approx((X * X).sum())
    for transform in (jacrev, jacfwd):
        J, aux = transform(vector, has_aux=True)(x)
        close(J.array, np.diag(2 * X), EXACT, "Jacobian")
        assert aux.item() == pytest.approx(X.sum())
    _, pull, aux = vjp(vector, x, has_aux=True)
    assert pull(t(np.ones(3)))[0].array.tolist() == (2 * X).tolist()
    _, tangent, aux = jvp(vector, (x,), (t(np.ones(3)),), has_aux=True)
    close(tangent.array, 2 * X, EXACT, "jvp")
    with pytest.raises(ValueError, match=r"must return \(output, aux\)"):
        grad(lambda x: x.sum(), has_aux=True)(x)


Pair = collections.namedtuple("Pair", "left right")


def test_nested_arguments_and_results():
    params = {"layer": Pair(t(randn(2, 3)), [t(randn(2))]), "scale": (t(np.array(1.5)),)}

    def g(params, x):
        layer = params["layer"]
        y = linear(x, layer.left, layer.right[0]) * params["scale"][0]
        return {"y": y, "total": (y.sum(),)}

    x = t(X)
    for transform in (jacrev, jacfwd):
        J = transform(g)(params, x)
        assert set(J) == {"y", "total"}
        assert isinstance(J["y"]["layer"], Pair)
        assert J["y"]["layer"].left.shape == (2, 2, 3)
        assert J["total"][0]["layer"].right[0].shape == (2,)
        s = params["scale"][0].array
        close(J["y"]["layer"].left.array, np.einsum("ij,k->ijk", np.eye(2), X) * s, EXACT, "by the weight")
        close(J["total"][0]["scale"][0].array, (params["layer"].left.array @ X).sum()
              + params["layer"].right[0].array.sum(), EXACT, "by the scale")  # fmt: skip
    gradient = grad(lambda p: g(p, x)["total"][0])(params)
    assert isinstance(gradient["layer"], Pair)
    close(gradient["layer"].right[0].array, np.full(2, 1.5), EXACT, "by the bias")
    _, pull = vjp(g, params, x)
    by_params, _ = pull({"y": t(np.ones(2)), "total": (t(np.zeros(())),)})
    close(by_params["layer"].right[0].array, np.full(2, 1.5), EXACT, "vjp")
    ordered = collections.OrderedDict(b=t(X), a=t(X))
    found = grad(lambda d: (d["a"] * d["b"] * 2).sum())(ordered)
    assert type(found) is collections.OrderedDict
    assert list(found) == ["b", "a"]


def test_arrays_in_arrays_out():
    g = grad(lambda x: (x**2).sum())(X)
    assert type(g) is np.ndarray
    close(g, 2 * X, EXACT, "grad of an array")
    J = jacfwd(lambda x: np.sin(x))(X)
    assert type(J) is np.ndarray
    close(J, np.diag(np.cos(X)), EXACT, "NumPy's functions")
    assert grad(lambda x: x * x)(3.0) == 6.0
    H = hessian(lambda x: (x**3).sum())(X)
    assert type(H) is np.ndarray
    close(H, np.diag(6 * X), EXACT, "nested: arrays outside, Tensors within")


def test_float32_stays_float32():
    x = t(X.astype(np.float32))
    v = t(np.ones(3, np.float32))
    assert jacrev(f32)(x).dtype == jacfwd(f32)(x).dtype == hessian(f32)(x).dtype == np.float32
    assert jvp(f32, (x,), (v,))[1].dtype == vjp(f32, x)[1](v)[0].dtype == np.float32
    assert jvp(f32, (x,), (t(np.ones(3)),))[1].dtype == np.float32


def f32(x):
    return tj.tanh(x) * x


def test_outputs_that_do_not_depend():
    constant = t(randn(2))
    for transform in (jacrev, jacfwd):
        assert np.array_equal(transform(lambda x: constant)(t(X)).array, np.zeros((2, 3)))
        J = transform(lambda x, y: x, argnums=(0, 1))(t(X), t(randn(2)))
        assert np.array_equal(J[0].array, np.eye(3))
        assert np.array_equal(J[1].array, np.zeros((3, 2)))
    assert np.array_equal(grad(lambda x: constant.sum())(t(X)).array, np.zeros(3))
    assert np.array_equal(jvp(lambda x: constant, (t(X),), (t(X),))[1].array, np.zeros(2))
    with pytest.raises(GradientError, match=r"outputs \[1\] do not depend"):
        jvp(lambda x: (x, constant), (t(X),), (t(X),), strict=True)


def test_empty_and_zero_dimensional():
    for transform in (jacrev, jacfwd):
        assert transform(lambda x: x * x)(t(np.zeros((0, 2)))).shape == (0, 2, 0, 2)
        assert transform(lambda x: x.sum())(t(np.zeros((0, 2)))).shape == (0, 2)
        assert transform(lambda x: x * x)(t(np.array(3.0))).item() == 6.0


def test_what_is_given_is_not_changed():
    x, before = t(X), X.copy()
    w = t(X, requires_grad=True)
    jacrev(f)(x), hessian(scalar)(x), grad(scalar)(w), jvp(f, (w,), (x,))
    assert np.array_equal(x.array, before)
    assert x.grad is None
    assert w.grad is None
    assert x.node is None
    found = grad(lambda x: x.sum())(x)
    found += 1
    assert np.array_equal(x.array, before)


# ------------------------------------------------------------------------------------------------ two derivations


def test_forward_reads_the_statement_and_reverse_the_rule():
    with scratch_registry():
        odd = tj.primitive(
            "odd",
            lambda x: x * 2,
            vjp=lambda g, out, x: g * 2,
            jacobian=lambda out, x: Diagonal(np.full(x.shape, 3.0)),
        )
        x, v = t(X), t(np.ones(3))
        close(jacrev(odd)(x).array, 2 * np.eye(3), 0, "the rule")
        close(jacfwd(odd)(x).array, 3 * np.eye(3), 0, "the statement")
        close(jvp(odd, (x,), (v,))[1].array, np.full(3, 3.0), 0, "the statement")
        close(linearize(odd, x)[1](v).array, np.full(3, 3.0), 0, "the statement")
        close(vjp(odd, x)[1](v)[0].array, np.full(3, 2.0), 0, "the rule")
        close(hessian(lambda x: (odd(x) ** 2).sum())(x).array, 12 * np.eye(3), 0, "forward over reverse: 2 · 2 · 3")


def composed(depth: int, seed: int):
    """A random composition of functions of all kinds, R^n -> R^m."""
    draw = rng(seed)
    steps = [
        tj.tanh,
        lambda x: x * x.sum(),
        lambda x: tj.softmax(x, -1),
        lambda x: x[::-1] - x.mean(),
        lambda x: tj.cat([x, tj.exp(-x * x)]),
        lambda x: t(rng(9).standard_normal((3, x.shape[0]))) @ x,
        lambda x: tj.sin(x) / (1 + x * x),
        lambda x: tj.cumsum(x, 0),
    ]
    chosen = [steps[k] for k in draw.integers(0, len(steps), depth)]

    def run(x):
        for step in chosen:
            x = step(x)
        return x

    return run


@given(st.integers(1, 6), st.integers(0, 10_000), st.integers(1, 4))
def test_forward_and_reverse_agree(depth, seed, n):
    g, x = composed(depth, seed), t(randn(n, seed=seed))
    reverse, forward = jacrev(g)(x).array, jacfwd(g)(x).array
    close(forward, reverse, EXACT, "jacfwd against jacrev")
    v = rng(seed).standard_normal(n)
    close(jvp(g, (x,), (t(v),))[1].array, reverse @ v, EXACT, "jvp")
    close(jacfwd(g, chunk_size=2)(x).array, forward, EXACT, "chunks of columns")
    close(jacrev(g, chunk_size=2)(x).array, reverse, EXACT, "chunks of rows")


# ------------------------------------------------------------------------------------------------ higher derivatives


def test_hessian_by_hand():
    def g(x):
        return (x[0] ** 2) * x[1] + tj.sin(x[2]) * x[1]

    a, b, c = X
    H = [[2 * b, 2 * a, 0], [2 * a, 0, np.cos(c)], [0, np.cos(c), -b * np.sin(c)]]
    close(hessian(g)(t(X)).array, np.array(H), EXACT, "hessian")
    v = rng(3).standard_normal(3)
    close(hvp(g, (t(X),), (t(v),)).array, np.array(H) @ v, EXACT, "hvp")


def test_hessian_of_several_arguments_and_outputs():
    x, y = t(X), t(randn(2, seed=3))

    def g(x, y):
        return tj.outer(x, y).sum() * x[0] * y[1]

    H = hessian(g, argnums=(0, 1))(x, y)
    assert [[block.shape for block in row] for row in H] == [[(3, 3), (3, 2)], [(2, 3), (2, 2)]]
    close(H[0][1].array, H[1][0].array.T, EXACT, "mixed derivatives")
    u, v = t(randn(3, seed=7)), t(randn(2, seed=8))
    by_x, by_y = hvp(g, (x, y), (u, v))
    close(by_x.array, H[0][0].array @ u.array + H[0][1].array @ v.array, EXACT, "hvp")
    close(by_y.array, H[1][0].array @ u.array + H[1][1].array @ v.array, EXACT, "hvp")
    vector = hessian(f)(x)
    assert vector.shape == (4, 3, 3)
    close(vector.array, jacrev(jacrev(f))(x).array, EXACT, "of a vector")


@pytest.mark.parametrize(
    "order", list(itertools.product([jacrev, jacfwd], repeat=3)), ids=lambda order: "-".join(f.__name__ for f in order)
)
def test_third_derivatives(order):
    x = t(X)
    one, two, three = order
    found = one(two(three(scalar)))(x).array
    exact = jacrev(jacrev(grad(scalar)))(x).array
    close(found, exact, EXACT, "all orders agree")
    step = 1e-4
    H = [hessian(scalar)(t(X + step * sign * np.eye(3)[0])).array for sign in (1, -1)]
    close(exact[..., 0], (H[0] - H[1]) / (2 * step), 1e-6, "against differences of the Hessian")


def test_derivatives_of_a_polynomial_to_order_five():
    g = lambda x: x**5  # noqa: E731
    for n, value in enumerate([5 * 16.0, 20 * 8.0, 60 * 4.0, 120 * 2.0, 120.0]):
        g = grad(g)
        assert g(t(2.0)).item() == pytest.approx(value), f"derivative {n + 1}"


def test_nested_through_what_is_around():
    """The inner function reads a variable of the outer one."""
    x = t(np.array(3.0))
    # d/dx (x · d/dy (x y²) at y = x) = d/dx (x · 2 x x) = 6 x²
    assert grad(lambda x: x * grad(lambda y: x * y * y)(x))(x).item() == 54.0
    # No confusion of perturbations: d/dx (x · d/dy (x + y) at 1) = 1.
    assert grad(lambda x: x * grad(lambda y: x + y)(t(np.array(1.0))))(x).item() == 1.0
    one = t(np.array(1.0))

    def forward(g, x):
        return jvp(g, (x,), (one,))[1]

    assert forward(lambda x: x * forward(lambda y: x + y, t(np.array(1.0))), x).item() == 1.0
    assert forward(lambda x: x * forward(lambda y: x * y * y, x), x).item() == 54.0
    assert grad(lambda x: x * forward(lambda y: x * y * y, x))(x).item() == 54.0


def test_within_an_ordinary_graph():
    w = t(X, requires_grad=True)
    grad(scalar)(w).sum().backward()
    close(w.grad.array, hessian(scalar)(t(X)).array.sum(0), EXACT, "backward through grad")
    w.grad = None
    tangent = jvp(f, (w,), (t(np.ones(3)),))[1]
    tangent.sum().backward()
    close(w.grad.array, jacrev(jacrev(f))(t(X)).array.sum((0, 1)), EXACT, "backward through jvp")
    w.grad = None
    value, pull = vjp(f, w)
    assert value.requires_grad
    (pull(t(np.ones(4)))[0].sum() + value.sum()).backward()
    expected = jacrev(jacrev(f))(t(X)).array.sum((0, 1)) + f_by_hand(X).sum(0)
    close(w.grad.array, expected, EXACT, "backward through vjp and its value")
    w.grad = None
    linearize(f, w)[1](t(np.ones(3))).sum().backward()
    close(w.grad.array, jacrev(jacrev(f))(t(X)).array.sum((0, 1)), EXACT, "backward through linearize")
    # With respect to what a closure holds.
    a = t(np.array(2.0), requires_grad=True)
    grad(lambda x: (a * a * x).sum())(t(X)).sum().backward()
    assert a.grad.item() == pytest.approx(3 * 2 * 2.0)
    # With respect to cotangents and tangents.
    u = t(np.ones(4), requires_grad=True)
    vjp(f, t(X))[1](u)[0].sum().backward()
    close(u.grad.array, f_by_hand(X).sum(1), EXACT, "by the cotangent")
    v = t(np.ones(3), requires_grad=True)
    jvp(f, (t(X),), (v,))[1].sum().backward()
    close(v.grad.array, f_by_hand(X).sum(0), EXACT, "by the tangent")


def test_gradient_modes():
    w = t(X, requires_grad=True)
    with tj.no_grad():
        found = grad(scalar)(w)
        assert not found.requires_grad
        close(found.array, grad(scalar)(t(X)).array, 0, "under no_grad")
        close(jacfwd(grad(scalar))(w).array, hessian(scalar)(t(X)).array, EXACT, "nested under no_grad")
        assert not tj.is_grad_enabled()
    assert tj.is_grad_enabled()
    with pytest.raises(ZeroDivisionError):
        grad(lambda x: 1 / 0)(w)
    assert tj.is_grad_enabled()

    def half(x):
        with tj.no_grad():
            c = x * x
        return (c * x).sum()

    close(grad(half)(t(X)).array, X * X, EXACT, "a no_grad within is respected")


def test_the_graph_is_dropped():
    gc.collect()
    gc.disable()
    try:
        seen = []

        def g(x):
            y = x * x
            seen.append(weakref.ref(y.node))
            return y.sum()

        found = grad(g)(t(X))
        assert seen[0]() is None, "the graph went with the call"
        value, pull = vjp(g, t(X))
        assert seen[1]() is not None
        del value, pull, found
        assert seen[1]() is None
    finally:
        gc.enable()


def test_a_long_graph_around_is_not_visited():
    """A derivative within a graph costs what its own function does, however much was recorded before."""
    h = t(np.array(0.5), requires_grad=True)
    for _ in range(2000):
        h = tj.sin(h)
    seen = []

    class Counting:
        """Stands for the parents of a node far below; counts who looks at them."""

        def __iter__(self):
            seen.append(1)
            return iter(())

    node = h.node
    for _ in range(5):
        (node,) = node.parents
    node.parents = Counting()
    y = grad(lambda x: x**3)(h)
    assert y.requires_grad
    jvp(lambda x: x**3, (h,), (t(np.array(1.0)),))
    assert not seen
    y.backward()
    assert seen


def test_the_function_runs_once():
    count = []

    def g(x):
        count.append(1)
        return f(x)

    x = t(X)
    jacrev(g)(x), jacfwd(g)(x), hessian(g)(x)
    assert len(count) == 3
    _, push = linearize(g, x)
    _, pull = vjp(g, x)
    for _ in range(3):
        push(x), pull(t(np.ones(4)))
    assert len(count) == 5


# ------------------------------------------------------------------------------------------------ batches


W, B = randn(2, 3), randn(5, 3, seed=4)


def net(W, x):
    """Of one sample or of many."""
    return tj.tanh(linear(x, W)) * x.sum(-1, keepdim=True)


def test_batched_jacobians_are_those_of_the_samples():
    found = jacrev(net, argnums=1, batched=True)(t(W), t(B))
    assert found.shape == (5, 2, 3)
    for i, x in enumerate(B):
        close(found.array[i], jacrev(net, argnums=1)(t(W), t(x)).array, EXACT, f"sample {i}")
    whole = jacrev(net, argnums=1)(t(W), t(B)).array
    assert whole.shape == (5, 2, 5, 3)
    close(found.array, whole[np.arange(5), :, np.arange(5)], EXACT, "the blocks on the diagonal")
    close(jacrev(net, 1, batched=True, chunk_size=1)(t(W), t(B)).array, found.array, EXACT, "in chunks")
    close(vmap(jacrev(net, 1), (None, 0))(t(W), t(B)).array, found.array, EXACT, "vmap")
    two = jacrev(lambda x, y: (x * y.sum(1, keepdim=True), y), (0, 1), batched=True)(t(B), t(B))
    assert [[J.shape for J in row] for row in two] == [[(5, 3, 3)] * 2] * 2
    assert not two[1][0].array.any(), "an output that does not depend on one of the inputs"
    close(two[1][1].array, np.broadcast_to(np.eye(3), (5, 3, 3)), 0, "an output that is an input")


def test_batched_jacobians_are_refused_where_samples_meet():
    with pytest.raises(GradientError, match=r"∂sub/∂y .* mixes them"):
        jacrev(lambda x: tj.tanh(x - x.mean(0)), batched=True)(t(B))
    with pytest.raises(GradientError, match=r"∂slice/∂x .* mixes them"):
        jacrev(lambda x: x[::-1] * 1, batched=True)(t(B))
    with pytest.raises(GradientError, match="counts samples"):
        jacrev(net, 0, batched=True)(t(W), t(B))
    with pytest.raises(GradientError, match=r"∂linear/∂weight .* mixes them"):
        jacrev(net, 0, batched=True)(t(randn(5, 3)), t(B))


def test_per_sample_gradients():
    def losses(params, x):
        return (linear(tj.tanh(linear(x, params["W"], params["b"])), params["V"]) ** 2).sum(-1)

    params = {"W": t(randn(4, 3)), "b": t(randn(4)), "V": t(randn(2, 4))}
    found = per_sample_grad(losses)(params, t(B))
    assert {k: g.shape for k, g in found.items()} == {"W": (5, 4, 3), "b": (5, 4), "V": (5, 2, 4)}
    looped = vmap(grad(losses), in_dims=(None, 0))(params, t(B))
    summed = grad(lambda p: losses(p, t(B)).sum())(params)
    for name in params:
        close(found[name].array, looped[name].array, EXACT, name)
        close(found[name].array.sum(0), summed[name].array, EXACT, f"their sum is the gradient: {name}")
    found, aux = per_sample_grad(lambda w: (t(B) @ w, "aux"), has_aux=True)(t(X))
    close(found.array, B, EXACT, "of a linear function")
    assert aux == "aux"
    both = per_sample_grad(lambda w, v: t(B) @ w + v.sum(), argnums=(0, 1))(t(X), t(randn(2)))
    close(both[1].array, np.ones((5, 2)), EXACT, "two arguments")
    with pytest.raises(GradientError, match="reduction='none'"):
        per_sample_grad(lambda w: (t(B) @ w).mean())(t(X))


def test_per_sample_gradients_where_samples_meet():
    """Batch normalisation: the loss of one sample depends on all, and so does its gradient."""

    def losses(w):
        h = t(B) * w
        h = (h - h.mean(0)) / (h.var(0) + 1e-3) ** 0.5
        return (tj.tanh(h) * w).sum(1)

    close(per_sample_grad(losses)(t(X)).array, jacrev(losses)(t(X)).array, EXACT, "all of it")


def test_derivatives_of_per_sample_gradients():
    """The gradient of a penalty on the norm of each sample's gradient."""

    def penalty(gradients):
        return lambda w: (gradients(w) ** 2).sum()

    def losses(w):
        return tj.tanh(t(B) @ w)

    batched = penalty(per_sample_grad(losses))
    looped = penalty(lambda w: vmap(grad(lambda w, x: tj.tanh(x @ w)), (None, 0))(w, t(B)))
    close(grad(batched)(t(X)).array, grad(looped)(t(X)).array, EXACT, "reverse")
    close(jacfwd(batched)(t(X)).array, grad(looped)(t(X)).array, EXACT, "forward")
    by_input = jacrev(lambda x: jacrev(tj.tanh, batched=True)(x).sum())(t(B)).array
    close(by_input, -2 * np.tanh(B) * (1 - np.tanh(B) ** 2), EXACT, "through batched Jacobians")


def test_per_sample_gradients_do_not_cost_a_batch_squared():
    W1, x = t(randn(100, 100).astype(np.float32)), t(randn(200, 100).astype(np.float32))

    def losses(W):
        return (tj.tanh(tj.tanh(x @ W1) @ W1) @ W).sum(1)

    def peak(run):
        run()
        tracemalloc.start()
        try:
            run()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    W = t(randn(100, 2).astype(np.float32))
    result = 200 * 200 * 4
    assert peak(lambda: per_sample_grad(losses)(W)) < 8 * result
    assert peak(lambda: jacrev(lambda y: tj.tanh(y @ W1) @ W, batched=True)(x)) < 6 * 2 * 200 * 100 * 4


def test_chunks_bound_the_memory():
    x = t(randn(400))

    def g(x):
        for _ in range(6):
            x = tj.sin(x)
        return x

    def peak(transform, chunk_size):
        tracemalloc.start()
        try:
            transform(g, chunk_size=chunk_size)(x)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    full = 400 * 400 * 8
    for transform in (jacrev, jacfwd):
        assert peak(transform, 20) < 2.5 * full < 3 * full <= peak(transform, None) + full
    with pytest.raises(ValueError, match="chunk_size must be a positive"):
        jacrev(g, chunk_size=0)(x)


# ------------------------------------------------------------------------------------------------ vmap


def test_vmap_maps_and_stacks():
    x = t(B)
    found = vmap(lambda x: (x * x.sum(), {"n": x[0]}))(x)
    close(found[0].array, B * B.sum(1, keepdims=True), EXACT, "nested results")
    close(found[1]["n"].array, B[:, 0], 0, "nested results")
    close(vmap(tj.dot, in_dims=(0, None))(x, t(X)).array, B @ X, EXACT, "in_dims with None")
    close(vmap(tj.dot, in_dims=(1, 0))(t(B.T), x).array, (B * B).sum(1), EXACT, "another axis")
    close(vmap(tj.dot, in_dims=(-1, 0))(t(B.T), x).array, (B * B).sum(1), EXACT, "from the end")
    close(vmap(lambda x: x * 2, out_dims=1)(x).array, 2 * B.T, 0, "out_dims")
    close(vmap(lambda x: x * 2, out_dims=-1)(x).array, 2 * B.T, 0, "out_dims from the end")
    one, two = vmap(lambda x: (x, x.sum()), out_dims=(1, 0))(x)
    assert (one.shape, two.shape) == ((3, 5), (5,))
    pair = vmap(lambda d, s: d["a"] * s + d["b"], in_dims=({"a": 0, "b": None}, None))({"a": x, "b": t(X)}, t(2.0))
    close(pair.array, 2 * B + X, EXACT, "nested in_dims")
    close(vmap(lambda x, k=None: x + k)(x, k=x[0]).array, B + B[0], 0, "keywords are shared, as in PyTorch")
    close(vmap(lambda x, scale: x * scale)(x, scale=2.0).array, 2 * B, 0, "whatever they are")
    one, two = vmap(lambda x, c: (x * 2, c), in_dims=(0, None), out_dims=(0, None))(x, t(X))
    assert (one.shape, two.shape) == ((5, 3), X.shape)
    outer = vmap(vmap(tj.mul, (None, 0)), (0, None))(t(X), t(B[0]))
    close(outer.array, np.outer(X, B[0]), EXACT, "nested vmap")
    assert type(vmap(lambda x: x * 2)(B)) is np.ndarray


def test_vmap_takes_functions_that_branch_on_the_data():
    found = vmap(lambda x: x * 2 if x.sum() > 0 else -x)(t(B))
    expected = np.where(B.sum(1, keepdims=True) > 0, 2 * B, -B)
    assert len({bool(s > 0) for s in B.sum(1)}) == 2, "both branches are taken"
    close(found.array, expected, EXACT, "branches")


def test_vmap_and_derivatives_nest():
    x = t(B, requires_grad=True)
    vmap(lambda x: (x**3).sum())(x).sum().backward()
    close(x.grad.array, 3 * B**2, EXACT, "backward through vmap")
    close(vmap(hessian(scalar))(t(B)).array[2], hessian(scalar)(t(B[2])).array, EXACT, "vmap of hessian")
    J = jacrev(vmap(scalar))(t(B)).array
    close(J[np.arange(5), np.arange(5)], vmap(grad(scalar))(t(B)).array, EXACT, "jacrev of vmap")
    v = rng(1).standard_normal((5, 3))
    pushed = vmap(lambda x, v: jvp(f, (x,), (v,))[1])(t(B), t(v)).array
    close(pushed, np.stack([f_by_hand(x) @ w for x, w in zip(B, v)]), EXACT, "vmap of jvp")
    _, pull = vjp(f, t(X))
    rows = vmap(pull)(t(np.eye(4)))[0].array
    close(rows, f_by_hand(X), EXACT, "PyTorch's recipe for a Jacobian: vmap of the vjp over unit vectors")


def test_vmap_errors():
    x = t(B)
    for call, message in [
        (lambda: vmap(tj.sin, in_dims=None)(x), "no argument is mapped"),
        (lambda: vmap(tj.mul)(x, t(X)), r"different sizes: \[3, 5\]"),
        (lambda: vmap(tj.sin, in_dims=2)(x), r"in_dims=2 for an argument of shape \(5, 3\)"),
        (lambda: vmap(tj.mul)(x, 2.0), "for a float, which has no axes"),
        (lambda: vmap(tj.mul, in_dims=(0,))(x, x), "does not fit"),
        (lambda: vmap(tj.sin)(t(np.zeros((0, 2)))), "the batch is empty"),
        (lambda: vmap(tj.sin, out_dims=None)(x), "out_dims=None is for a result that is the same"),
        (lambda: vmap(tj.sin, randomness="some")(x), "randomness is"),
        (lambda: vmap(tj.sin, chunk_size=0)(x), "chunk_size"),
        (lambda: vmap(lambda x: x[: int(x[0] > 0) + 1])(x), "different shapes"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(TypeError, match="must return tensors, not str"):
        vmap(lambda x: "no")(x)


def test_vmap_randomness():
    x = t(np.zeros(4))

    def noisy(x):
        return x + tj.rand(2)

    tj.manual_seed(0)
    with pytest.raises(RuntimeError, match="randomness='different' or 'same'"):
        vmap(noisy)(x)
    different = vmap(noisy, randomness="different")(x).array
    assert len({tuple(row) for row in different}) == 4
    same = vmap(noisy, randomness="same")(x).array
    assert len({tuple(row) for row in same}) == 1
    tj.manual_seed(0)
    again = vmap(noisy, randomness="same")(x).array
    assert len({tuple(row) for row in again}) == 1, "also before the first number was drawn"
    vmap(tj.sin)(x)


# ------------------------------------------------------------------------------------------------ modules


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 3)
        self.b = nn.Linear(3, 3, bias=False)
        self.b.weight = self.a.weight
        self.register_buffer("shift", t(np.ones(3, np.float32)))

    def forward(self, x, scale=1.0):
        return self.b(tj.tanh(self.a(x))) * scale + self.shift


def test_functional_call():
    torch_like = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    before = {k: p.array.copy() for k, p in torch_like.named_parameters()}
    params = {k: t(rng(5).standard_normal(p.shape)) for k, p in torch_like.named_parameters()}
    out = functional_call(torch_like, params, (t(B),))
    h = np.tanh(B @ params["0.weight"].array.T + params["0.bias"].array)
    close(out.array, h @ params["2.weight"].array.T + params["2.bias"].array, EXACT, "value")
    for k, p in torch_like.named_parameters():
        assert isinstance(p, nn.Parameter)
        assert np.array_equal(p.array, before[k])
    gradients = grad(lambda p: functional_call(torch_like, p, t(B)).sum())(params)
    close(gradients["2.bias"].array, np.full(2, 5.0), EXACT, "grad of a dict of parameters")
    close(gradients["2.weight"].array, np.tile(h.sum(0), (2, 1)), EXACT, "grad of a dict of parameters")
    assert all(p.grad is None for p in torch_like.parameters())
    some = functional_call(torch_like, {"2.bias": t(np.zeros(2, np.float32))}, t(B.astype(np.float32)))
    close(some.array + before["2.bias"], torch_like(t(B.astype(np.float32))).array, 1e-6, "the others stay")


def test_functional_call_of_tied_weights_buffers_and_keywords():
    net, x = Tied(), t(B.astype(np.float32))
    w = t(rng(1).standard_normal((3, 3)).astype(np.float32))
    h = np.tanh(x.array @ w.array.T + net.a.bias.array)
    tied = functional_call(net, {"a.weight": w}, x, {"scale": 2.0})
    close(tied.array, 2 * h @ w.array.T + 1, 1e-6, "tied")
    loose = functional_call(net, {"a.weight": w}, (x,), tie_weights=False)
    close(loose.array, h @ net.b.weight.array.T + 1, 1e-6, "not tied")
    several = functional_call(net, ({"a.weight": w}, {"shift": t(np.zeros(3, np.float32))}), x)
    close(several.array, h @ w.array.T, 1e-6, "a buffer too, in several dicts")
    close(functional_call(net, {"a.weight": w, "c": w}, x).array, tied.array / 2 + 0.5, 1e-6, "another name is ignored")
    with pytest.raises(KeyError, match=r"\['c'\] are no parameters or buffers of Tied"):
        functional_call(net, {"c": w}, x, strict=True)
    with pytest.raises(KeyError, match="are missing"):
        functional_call(net, {"a.weight": w}, x, strict=True)
    with pytest.raises(ValueError, match="several of the dicts"):
        functional_call(net, ({"a.weight": w}, {"a.weight": w}), x)
    with pytest.raises(ValueError, match="are tied, but given different"):
        functional_call(net, {"a.weight": w, "b.weight": x}, x)
    kept = net.a.weight
    with pytest.raises(ShapeError):
        functional_call(net, {"a.weight": t(np.ones((2, 2), np.float32))}, x)
    assert net.a.weight is kept
    assert net.b.weight is kept


def test_per_sample_gradients_of_a_module():
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    params = {k: t(p.array.astype(float)) for k, p in net.named_parameters()}
    labels = t(np.array([0, 1, 1, 0, 1]))

    def losses(params, x, y):
        return nn.functional.cross_entropy(functional_call(net, params, x), y, reduction="none")

    def loss(params, x, y):
        return nn.functional.cross_entropy(functional_call(net, params, x), y)

    found = per_sample_grad(losses)(params, t(B), labels)
    looped = vmap(grad(loss), (None, 0, 0))(params, t(B), labels)
    for k in params:
        close(found[k].array, looped[k].array, EXACT, k)


# ------------------------------------------------------------------------------------------------ errors


def test_errors_name_what_is_wrong():
    x = t(X)
    with pytest.raises(GradientError, match=r"one scalar tensor, of shape \(\); this one returned shape \(3,\)"):
        grad(tj.sin)(x)
    with pytest.raises(GradientError, match="2 tensors"):
        grad(lambda x: (x.sum(), x.sum()))(x)
    with pytest.raises(TypeError, match="not int64"):
        grad(lambda x: x.sum())(t(np.arange(3)))
    with pytest.raises(TypeError, match="choose other argnums"):
        grad(lambda x: x)("three")
    with pytest.raises(TypeError, match="must return tensors"):
        jacrev(lambda x: "three")(x)
    with pytest.raises(TypeError, match="primals as a tuple"):
        jvp(f, x, x)
    with pytest.raises(TypeError, match="tangents as a tuple"):
        jvp(f, (x,), x)
    with pytest.raises(ShapeError, match=r"tangents of shape \(2,\) belong to a tensor of shape \(3,\)"):
        jvp(f, (x,), (t(np.ones(2)),))
    with pytest.raises(ShapeError, match="must be nested as"):
        jvp(f, (x,), (x, x))
    with pytest.raises(ShapeError, match=r"cotangents of shape \(3,\) belong to a tensor of shape \(4,\)"):
        vjp(f, x)[1](x)
    with pytest.raises(ShapeError, match="must be nested as"):
        vjp(lambda x: (x, x), x)[1](x)


def test_names():
    assert set(func.__all__) >= {
        "grad", "value_and_grad", "vjp", "jvp", "jacrev", "jacfwd", "hessian", "hvp", "linearize", "vmap",
        "functional_call", "per_sample_grad",
    }  # fmt: skip
    assert grad(scalar).__name__ == "scalar"


# ------------------------------------------------------------------------------------------------ against PyTorch


def peers(test):
    """Forward mode in PyTorch warns of what it is made of."""
    return pytest.mark.peers(pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")(test))


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def ours_and_theirs(torch):
    """The same functions in both: two arguments, the second nested."""

    def make(lib):
        def two(x, p):
            h = lib.tanh(p["W"] @ x + p["b"][0])
            return h * (x * x).sum(), {"s": (h * h).sum()}

        return two

    p = {"W": randn(4, 3), "b": [randn(4, seed=2)]}
    ours = {"W": t(p["W"]), "b": [t(p["b"][0])]}
    theirs = {"W": torch.tensor(p["W"]), "b": [torch.tensor(p["b"][0])]}
    return make(tj), (t(X), ours), make(torch), (torch.tensor(X), theirs)


def same(found, expected, what):
    """Nested alike, and equal."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), what
        for k in expected:
            same(found[k], expected[k], f"{what}.{k}")
    elif isinstance(expected, (tuple, list)):
        assert type(found) is type(expected), what
        assert len(found) == len(expected), what
        for k, (a, b) in enumerate(zip(found, expected)):
            same(a, b, f"{what}[{k}]")
    else:
        close(found.array, expected.detach().numpy(), EXACT, what)


@peers
@pytest.mark.parametrize("name", ["jacrev", "jacfwd", "hessian"])
@pytest.mark.parametrize("argnums", [0, 1, (0, 1), (1,)])
def test_whole_jacobians_against_pytorch(torch, name, argnums):
    g, args, torch_g, torch_args = ours_and_theirs(torch)
    found = getattr(func, name)(g, argnums=argnums)(*args)
    same(found, getattr(torch.func, name)(torch_g, argnums=argnums)(*torch_args), name)


@peers
def test_products_against_pytorch(torch):
    g, (x, p), torch_g, (tx, tp) = ours_and_theirs(torch)
    u, s = randn(4, seed=8), np.array(0.7)
    value, pull = vjp(g, x, p)
    torch_value, torch_pull = torch.func.vjp(torch_g, tx, tp)
    same(value, torch_value, "value")
    same(pull((t(u), {"s": t(s)})), torch_pull((torch.tensor(u), {"s": torch.tensor(s)})), "vjp")
    direction = {"W": randn(4, 3, seed=4), "b": [randn(4, seed=5)]}
    tangents = (t(X * 2), {"W": t(direction["W"]), "b": [t(direction["b"][0])]})
    torch_tangents = (torch.tensor(X * 2), {"W": torch.tensor(direction["W"]), "b": [torch.tensor(direction["b"][0])]})
    same(jvp(g, (x, p), tangents), torch.func.jvp(torch_g, (tx, tp), torch_tangents), "jvp")
    _, push = linearize(g, x, p)
    same(push(*tangents), torch.func.jvp(torch_g, (tx, tp), torch_tangents)[1], "linearize")

    def total(lib, g):
        return lambda x, p: (lambda y, d: (y.sum() * d["s"], {"d": d["s"]}))(*g(x, p))

    both = (total(tj, g), total(torch, torch_g))
    same(grad(both[0], (0, 1), has_aux=True)(x, p), torch.func.grad(both[1], (0, 1), has_aux=True)(tx, tp), "grad")
    same(
        grad_and_value(both[0], 1, has_aux=True)(x, p),
        torch.func.grad_and_value(both[1], 1, has_aux=True)(tx, tp),
        "grad_and_value",
    )


@peers
def test_vmap_against_pytorch(torch):
    g, (_, p), torch_g, (_, tp) = ours_and_theirs(torch)
    same(vmap(g, (0, None))(t(B), p), torch.func.vmap(torch_g, (0, None))(torch.tensor(B), tp), "vmap")
    dims, out = ({"W": None, "b": [1]}), (1, {"s": 0})
    many = {"W": p["W"], "b": [t(randn(4, 5, seed=9))]}
    torch_many = {"W": tp["W"], "b": [torch.tensor(randn(4, 5, seed=9))]}
    found = vmap(g, (1, dims), out)(t(B.T), many)
    same(found, torch.func.vmap(torch_g, (1, dims), out)(torch.tensor(B.T), torch_many), "nested dims")
    per_sample = vmap(jacrev(g, 1), (0, None))(t(B), p)
    same(per_sample, torch.func.vmap(torch.func.jacrev(torch_g, 1), (0, None))(torch.tensor(B), tp), "vmap of jacrev")


@peers
def test_modules_against_pytorch(torch):
    ours = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    params = {k: rng(1).standard_normal(p.shape) for k, p in ours.named_parameters()}
    mine, other = {k: t(p) for k, p in params.items()}, {k: torch.tensor(p) for k, p in params.items()}

    def losses(p, x):
        return (functional_call(ours, p, x) ** 2).sum(-1)

    def torch_loss(p, x):
        return (torch.func.functional_call(theirs, p, x) ** 2).sum(-1)

    expected = torch.func.vmap(torch.func.grad(torch_loss), (None, 0))(other, torch.tensor(B))
    same(per_sample_grad(losses)(mine, t(B)), expected, "per-sample gradients")
    same(vmap(grad(losses), (None, 0))(mine, t(B)), expected, "by vmap")
    one = t(B[0]), torch.tensor(B[0])
    same(hessian(losses)(mine, one[0]), torch.func.hessian(torch_loss)(other, one[1]), "hessian of a dict")


@peers
def test_third_derivatives_against_pytorch(torch):
    def torch_scalar(x):
        return (torch.sin(x) * x.sum()).sum() * x[0] + torch.exp(x[1] * x[2])

    expected = torch.func.jacfwd(torch.func.jacrev(torch.func.jacrev(torch_scalar)))(torch.tensor(X))
    same(jacfwd(jacrev(jacfwd(scalar)))(t(X)), expected, "third derivatives")


def test_vmap_in_the_debug_mode_draws_no_numbers():
    tj.manual_seed(3)  # nothing is drawn since
    xs = tj.tensor([[1.0, 2.0], [3.0, 4.0]])
    with tj.debug_mode() as report:
        found = func.vmap(func.grad(lambda x: (x * x).sum()))(xs)
    assert found.tolist() == [[2.0, 4.0], [6.0, 8.0]]
    assert report.ok
