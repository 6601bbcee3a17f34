"""Inverses, systems, determinants: against NumPy and PyTorch, and the textbook's Kronecker products."""

from __future__ import annotations

import kit
import numpy as np
import pytest

import tinygrad_jac as tj
from tinygrad_jac.errors import GradientError, ShapeError
from tinygrad_jac.rules import linalg as L


def square(*shape, seed=0):
    """Matrices far from singular."""
    return kit.rng(seed).standard_normal(shape) + 3 * np.eye(shape[-1])


def positive_definite(x):
    return x @ x.swapaxes(-1, -2)


ONE_MATRIX = {
    "inv": L.inv,
    "det": L.det,
    "slogdet": lambda x: L.slogdet(x).logabsdet,
    "power 0": lambda x: L.matrix_power(x, 0),
    "power 1": lambda x: L.matrix_power(x, 1),
    "power 5": lambda x: L.matrix_power(x, 5),
    "power -2": lambda x: L.matrix_power(x, -2),
    "cholesky": lambda x: L.cholesky(positive_definite(x)),
}


@pytest.mark.parametrize("shape", [(3, 3), (1, 1), (2, 2, 2), (2, 1, 3, 3)])
@pytest.mark.parametrize("name", ONE_MATRIX)
def test_one_matrix(name, shape):
    kit.check(ONE_MATRIX[name], square(*shape))


@pytest.mark.parametrize(
    "a, b", [((3, 3), (3,)), ((3, 3), (3, 2)), ((2, 3, 3), (3, 2)), ((3, 3), (2, 3, 1)), ((1, 1), (1,))]
)
def test_solve(a, b):
    x, y = square(*a), kit.randn(*b)
    kit.check(L.solve, x, y, expect="solve")
    np.testing.assert_allclose(L.solve(x, y), np.linalg.solve(x, y), rtol=1e-13)


@pytest.mark.peers
@pytest.mark.parametrize("name", ["inv", "det", "slogdet", "cholesky", "matrix_power", "solve"])
def test_against_torch(name):
    torch = pytest.importorskip("torch")
    x = square(2, 3, 3)
    more = {"matrix_power": (3,), "solve": (kit.randn(2, 3, 2),)}.get(name, ())

    def of(module):
        def fn(x, *more):
            out = getattr(module, name)(positive_definite(x) if name == "cholesky" else x, *more)
            return out.logabsdet if name == "slogdet" else out

        return fn

    kit.compare_with_torch(of(L), of(torch.linalg), x, *more)


def test_numpy_functions_on_tensors():
    x = positive_definite(square(3, 3))
    t = tj.tensor(x, requires_grad=True)
    for name in ("inv", "det", "cholesky"):
        found = getattr(np.linalg, name)(t)
        assert found.requires_grad
        np.testing.assert_allclose(found.detach().array, getattr(np.linalg, name)(x), rtol=1e-13)
    np.testing.assert_allclose(np.linalg.solve(t, x[0]).detach().array, np.linalg.solve(x, x[0]), rtol=1e-12)
    np.testing.assert_allclose(np.linalg.matrix_power(t, 3).detach().array, np.linalg.matrix_power(x, 3), rtol=1e-12)
    sign, logabsdet = np.linalg.slogdet(t)
    assert (sign.item(), sign.requires_grad, logabsdet.requires_grad) == (1, False, True)
    assert L.slogdet(-x[:1, :1]) == (-1, np.log(x[0, 0]))


def test_textbook_inverse_and_determinant():
    A = np.array([[2.0, 1.0], [4.0, 3.0]])  # determinant 2
    t = tj.tensor(A, requires_grad=True)
    (by_A,) = kit.jacobians(L.inv(t), [t])
    B = np.array([[1.5, -0.5], [-2.0, 1.0]])  # the inverse
    np.testing.assert_allclose(by_A, -np.kron(B, B.T))  # -A⁻¹ ⊗ A⁻ᵀ
    (by_A,) = kit.jacobians(L.det(t), [t])
    np.testing.assert_allclose(by_A, [[3.0, -4.0, -1.0, 2.0]])  # the cofactors
    node = L.inv(t).node
    assert node.primitive.statement(node, 0).structure == "kron"


def test_the_gradient_of_cholesky_is_symmetric():
    t = tj.tensor(positive_definite(square(3, 3)), requires_grad=True)
    L.cholesky(t).sum().backward()
    np.testing.assert_allclose(t.grad.array, t.grad.array.T)


def test_errors():
    for fn in (L.inv, L.det, L.slogdet, L.cholesky, lambda x: L.solve(x, x), lambda x: L.matrix_power(x, 2)):
        with pytest.raises(ShapeError, match=r"takes square matrices in the last two axes, not shape \(2, 3\)"):
            fn(tj.ones(2, 3))
    with pytest.raises(ShapeError, match=r"matrices of shape \(2, 2\) need right sides of 2 rows, not \(3,\)"):
        L.solve(tj.ones(2, 2), tj.ones(3))
    with pytest.raises(np.linalg.LinAlgError, match="Singular"):
        L.inv(tj.ones(2, 2))
    with pytest.raises(GradientError, match=r"'det' for 'x' failed .* Singular matrix"):
        L.det(tj.tensor(np.ones((2, 2)), requires_grad=True)).backward()


# ------------------------------------------------------------------------------------------------ decompositions

TALL, WIDE, STACK = kit.randn(4, 3), kit.randn(3, 4, seed=5), kit.randn(2, 3, 3, seed=2)


def symmetric(x):
    return x + x.mT


# Vectors are known up to their sign: what is checked does not depend on it, or small steps do not change it.
@pytest.mark.parametrize(
    "function, matrix",
    [
        (L.pinv, TALL),
        (L.pinv, WIDE),
        (L.pinv, STACK),
        (lambda x: L.eigh(symmetric(x)).eigenvalues, STACK),
        (lambda x: L.eigh(symmetric(x)).eigenvectors ** 2, STACK),
        (lambda x: L.svd(x, full_matrices=False).U ** 2, TALL),
        (lambda x: L.svd(x, full_matrices=False).Vh ** 2, WIDE),
        (L.svdvals, STACK),
        (lambda x: L.qr(x).Q, TALL),
        (lambda x: L.qr(x).R, STACK),
        (lambda x: L.qr(x).R, WIDE),
        (L.matrix_exp, 3 * STACK),
        (L.cond, STACK),
        (lambda x: L.solve_triangular(x, tj.ones(3, 2, dtype=x.dtype), upper=False), STACK),
    ],
    ids=range(14),
)
def test_decompositions(function, matrix):
    kit.check(function, matrix, step=1e-3)


def test_factors_multiply_to_the_matrix():
    for matrix in (TALL, WIDE, STACK):
        x = tj.tensor(matrix)
        u, s, vh = L.svd(x, full_matrices=False)
        q, r = L.qr(x)
        kit.close(((u * s[..., None, :]) @ vh).array, matrix, 1e-13, "U S Vh")
        kit.close((q @ r).array, matrix, 1e-13, "Q R")
        kit.close((x @ L.pinv(x) @ x).array, matrix, 1e-13, "A A⁺ A")
    w, v = L.eigh(symmetric(tj.tensor(STACK)))
    kit.close(((v * w[..., None, :]) @ v.mT).array, STACK + STACK.swapaxes(-1, -2), 1e-13, "V w Vᵀ")


def test_equal_eigenvalues_have_finite_gradients():
    x = tj.eye(3, dtype=tj.float64, requires_grad=True)
    sum(part.sum() for part in L.eigh(x)).backward()
    kit.close(x.grad.array, np.eye(3), 1e-15, "the eigenvalues' gradient alone")


def test_the_exponential_of_a_rotation():
    x = tj.tensor([[0.0, -40.0], [40.0, 0.0]], dtype=tj.float64)
    expected = [[np.cos(40), -np.sin(40)], [np.sin(40), np.cos(40)]]
    kit.close(L.matrix_exp(x).array, expected, 1e-12, "cos and sin")


def test_what_decompositions_refuse():
    x = tj.ones(2, 3, requires_grad=True)
    with pytest.raises(tj.ShapeError, match="full_matrices=False"):
        L.svd(x)
    assert L.svd(x.detach()).Vh.shape == (3, 3)
    for function in (L.eigh, L.matrix_exp):
        with pytest.raises(tj.ShapeError, match="square matrices"):
            function(x)
    for function in (L.svd, L.qr, L.pinv):
        with pytest.raises(tj.ShapeError, match="matrices in the last two axes"):
            function(tj.ones(3))
    with pytest.raises(ValueError, match="mode='complete' is not available"):
        L.qr(x, "complete")


def test_a_vector_for_each_matrix():
    a, b = kit.randn(3, 2, 2) + 3 * np.eye(2), kit.randn(3, 2, seed=1)
    expected = np.stack([np.linalg.solve(m, v) for m, v in zip(a, b)])
    np.testing.assert_allclose(tj.linalg.solve(tj.tensor(a), tj.tensor(b)), expected, rtol=1e-12)
    kit.check(L.solve, a, b)
    # NumPy takes the same arrays for one matrix of right sides.
    square = kit.randn(2, 2)
    np.testing.assert_allclose(
        np.linalg.solve(tj.tensor(a[:2]), tj.tensor(square)), np.linalg.solve(a[:2], square), rtol=1e-12
    )


def test_of_an_array_an_array():
    x = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]])
    assert not isinstance(tj.linalg.matrix_rank(x), tj.Tensor)
    assert not isinstance(tj.isin(x, x[0]), tj.Tensor)
    assert not any(isinstance(part, tj.Tensor) for part in tj.linalg.lstsq(x, x[:, :1]))


@pytest.mark.parametrize(
    "function", [tj.linalg.inv, lambda x: tj.linalg.solve(x, x), lambda x: tj.linalg.cholesky(x - 1)]
)
def test_what_has_no_inverse_is_said_as_numpy_and_as_pytorch_do(function):
    for error in (RuntimeError, np.linalg.LinAlgError, tj.linalg.LinAlgError):
        with pytest.raises(error):
            function(tj.zeros(2, 2))
