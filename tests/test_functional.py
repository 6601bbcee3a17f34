"""autograd.functional: by hand, against func, and against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
from kit import close, randn, rng

import tinygrad_jac as tj
from tinygrad_jac.autograd import functional as F
from tinygrad_jac.errors import GradientError, ShapeError

EXACT = 1e-12
A, X, Y = randn(4, 3, seed=1), randn(3), randn(3, seed=2)


def t(array, **kwargs):
    return tj.tensor(np.asarray(array), **kwargs)


def f(x):
    return tj.sin(t(A) @ x)


def two(x, y):
    return x * y.sum(), (x * x * y).sum()


def number(x, y):
    return (x * x * y).sum() * y[0]


J = np.cos(A @ X)[:, None] * A


@pytest.mark.parametrize("strategy", ["reverse-mode", "forward-mode"])
@pytest.mark.parametrize("vectorize", [False, True])
def test_jacobian(strategy, vectorize):
    close(F.jacobian(f, t(X), vectorize=vectorize, strategy=strategy).array, J, EXACT, "one input, one output")
    (only,) = F.jacobian(f, (t(X),), strategy=strategy)
    close(only.array, J, EXACT, "a tuple of one")
    blocks = F.jacobian(two, (t(X), t(Y)), strategy=strategy)
    assert [[type(blocks), type(row), len(row)] for row in blocks] == [[tuple, tuple, 2]] * 2
    close(blocks[0][0].array, np.eye(3) * Y.sum(), EXACT, "0, 0")
    close(blocks[0][1].array, np.outer(X, np.ones(3)), EXACT, "0, 1")
    close(blocks[1][0].array, 2 * X * Y, EXACT, "1, 0")
    close(blocks[1][1].array, X * X, EXACT, "1, 1")


@pytest.mark.parametrize("strategy", ["reverse-mode", "forward-mode"])
def test_hessian(strategy):
    def g(x):
        return (x**3).sum() * x[0]

    a = X[0]
    H = np.diag(6 * X * a)
    H[0] += 3 * X**2
    H[:, 0] += 3 * X**2
    close(F.hessian(g, t(X), outer_jacobian_strategy=strategy).array, H, EXACT, "one input")
    close(F.hessian(lambda x: g(x).reshape(1), t(X), outer_jacobian_strategy=strategy).array, H, EXACT, "of shape (1,)")
    blocks = F.hessian(number, (t(X), t(Y)), outer_jacobian_strategy=strategy)
    close(blocks[0][0].array, np.diag(2 * Y * Y[0]), EXACT, "0, 0")
    close(blocks[0][1].array, blocks[1][0].array.T, EXACT, "symmetric")


def test_products():
    u, v = rng(1).standard_normal(4), rng(2).standard_normal(3)
    output, product = F.vjp(f, t(X), t(u))
    close(output.array, np.sin(A @ X), 0, "output")
    close(product.array, u @ J, EXACT, "vjp")
    output, product = F.jvp(f, t(X), t(v))
    close(output.array, np.sin(A @ X), 0, "output")
    close(product.array, J @ v, EXACT, "jvp")
    H = F.hessian(number, (t(X), t(Y)))
    w = rng(3).standard_normal(3)
    expected = [H[k][0].array @ v + H[k][1].array @ w for k in (0, 1)]
    for name in ("hvp", "vhp"):
        output, product = getattr(F, name)(number, (t(X), t(Y)), (t(v), t(w)))
        assert output.item() == pytest.approx((X * X * Y).sum() * Y[0])
        assert isinstance(product, tuple)
        close(product[0].array, expected[0], EXACT, name)
        close(product[1].array, expected[1], EXACT, name)
        output, product = getattr(F, name)(lambda x: (x**3).sum().reshape(1), t(X), t(v))
        assert output.shape == (1,)
        close(product.array, 6 * X * v, EXACT, f"{name} of one input")


def test_v_may_be_left_out_for_one_number():
    cube = lambda x: x**3  # noqa: E731
    x = t(np.array([2.0]))
    assert F.vjp(cube, x)[1].tolist() == F.jvp(cube, x)[1].tolist() == [12.0]
    assert F.hvp(cube, x)[1].tolist() == F.vhp(cube, x)[1].tolist() == [12.0]
    assert F.jvp(cube, (x,))[1].tolist() == [12.0]
    for call in (F.vjp, F.jvp):
        with pytest.raises(GradientError, match="v may be left out only"):
            call(f, t(X))
    with pytest.raises(GradientError, match="v may be left out only"):
        F.hvp(number, (t(X), t(Y)))


def test_create_graph():
    x = t(X, requires_grad=True)
    for found in (F.jacobian(f, x), F.vjp(f, x, t(np.ones(4)))[1], F.jvp(f, x, t(Y))[1], F.vjp(f, x, t(np.ones(4)))[0]):
        assert not found.requires_grad
    third = F.jacobian(lambda x: F.jacobian(lambda x: F.hessian(lambda x: (x**4).sum(), x, create_graph=True), x,
                                            create_graph=True), x)  # fmt: skip
    assert third.array[0, 0, 0, 0] == pytest.approx(24.0)
    for found in (
        F.jacobian(f, x, create_graph=True).sum(),
        F.jvp(f, x, t(np.ones(3)), create_graph=True)[1].sum(),
        F.vjp(f, x, t(np.ones(4)), create_graph=True)[1].sum(),
    ):
        x.grad = None
        found.backward()
        close(x.grad.array, -(np.sin(A @ X)[:, None] * A * A.sum(1, keepdims=True)).sum(0), EXACT, "second derivative")
    for name in ("hvp", "vhp"):
        x.grad = None
        getattr(F, name)(lambda x: (x**3).sum(), x, t(Y), create_graph=True)[1].sum().backward()
        close(x.grad.array, 6 * Y, EXACT, f"third derivative through {name}")
    assert tj.is_grad_enabled()


def test_strict():
    def half(x, y):
        return x * 2

    for call in (
        lambda: F.jacobian(half, (t(X), t(Y)), strict=True),
        lambda: F.vjp(half, (t(X), t(Y)), t(X), strict=True),
        lambda: F.jvp(half, (t(X), t(Y)), (t(X), t(Y)), strict=True),
    ):
        with pytest.raises(GradientError, match="output 0 of the function does not depend on input 1"):
            call()
    for call in (
        lambda: F.hessian(lambda x: x.sum(), t(X), strict=True),
        lambda: F.hvp(lambda x: x.sum(), t(X), t(X), strict=True),
        lambda: F.vhp(lambda x: x.sum(), t(X), t(X), strict=True),
    ):
        with pytest.raises(GradientError, match="does not depend on input 0"):
            call()
    assert not F.jacobian(half, (t(X), t(Y)))[1].array.any(), "zeros otherwise"
    assert not F.hessian(lambda x: x.sum(), t(X)).array.any()
    F.jacobian(f, t(X), strict=True)
    F.hessian(number, (t(X), t(Y)), strict=True)


def test_errors():
    with pytest.raises(TypeError, match="inputs must be a Tensor or a tuple of Tensors, not float"):
        F.jacobian(f, 3.0)
    with pytest.raises(ValueError, match="strategy is 'reverse-mode' or 'forward-mode', not 'both'"):
        F.jacobian(f, t(X), strategy="both")
    with pytest.raises(GradientError, match=r"one Tensor with one entry, not shape \(4,\)"):
        F.hessian(f, t(X))
    with pytest.raises(ShapeError, match=r"v has a Tensor of shape \(3,\) where the output has shape \(4,\)"):
        F.vjp(f, t(X), t(X))
    with pytest.raises(ShapeError, match="v has 1 Tensors where the input has 2"):
        F.jvp(two, (t(X), t(Y)), t(X))


# ------------------------------------------------------------------------------------------------ against PyTorch


def same(found, expected, what):
    if isinstance(expected, tuple):
        assert isinstance(found, tuple), what
        assert len(found) == len(expected), what
        for k, (a, b) in enumerate(zip(found, expected)):
            same(a, b, f"{what}[{k}]")
    else:
        close(found.array, expected.detach().numpy(), EXACT, what)


@pytest.mark.peers
@pytest.mark.parametrize("as_tuple", [False, True])
def test_against_pytorch(as_tuple):
    torch = pytest.importorskip("torch")
    theirs = torch.autograd.functional
    inputs, vectors = (X, Y), (randn(3, seed=3), randn(3, seed=4))

    def ours(arrays):
        return tuple(map(t, arrays)) if as_tuple else t(arrays[0])

    def torches(arrays):
        return tuple(map(torch.tensor, arrays)) if as_tuple else torch.tensor(arrays[0])

    def make(lib):
        def function(x, y=None):
            return lib.sin(x), (x * (1.0 if y is None else y)).sum()

        def scalar(x, y=None):
            return lib.exp(lib.sin(x).sum()) * ((x * x).sum() if y is None else (x * y).sum())

        return function, scalar

    (fn, scalar), (torch_fn, torch_scalar) = make(tj), make(torch)
    same(F.jacobian(fn, ours(inputs)), theirs.jacobian(torch_fn, torches(inputs)), "jacobian")
    same(F.hessian(scalar, ours(inputs)), theirs.hessian(torch_scalar, torches(inputs)), "hessian")
    u = (randn(3, seed=5), np.array(0.3))
    found = F.vjp(fn, ours(inputs), tuple(map(t, u)))
    same(found, theirs.vjp(torch_fn, torches(inputs), tuple(map(torch.tensor, u))), "vjp")
    same(F.jvp(fn, ours(inputs), ours(vectors)), theirs.jvp(torch_fn, torches(inputs), torches(vectors)), "jvp")
    for name in ("hvp", "vhp"):
        expected = getattr(theirs, name)(torch_scalar, torches(inputs), torches(vectors))
        same(getattr(F, name)(scalar, ours(inputs), ours(vectors)), expected, name)
