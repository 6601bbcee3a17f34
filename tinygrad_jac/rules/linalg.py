"""Inverses, linear systems and determinants of square matrices, in stacks.

Their Jacobians are Kronecker products of the inverse: what d(A⁻¹) = -A⁻¹ dA A⁻¹ says as a matrix.
Formulas: Mike Giles, An extended collection of matrix derivative results for forward and reverse mode AD, 2008.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..errors import ShapeError
from ..graph import Variable, wrap
from ..jacobians import Diagonal, Identity, Jacobian, Kron, Selection
from ..primitive import primitive
from ..spelling import public
from .products import mT
from .reductions import totals

_inv = primitive(
    "inv", np.linalg.inv, saves="out",
    vjp=lambda g, out, x: -mT(out) @ g @ mT(out),
    jacobian=lambda out, x: Kron(-out, mT(out)),
    doc="The inverse: ∂A⁻¹/∂A = -A⁻¹ ⊗ A⁻ᵀ.",
)
_solve = primitive(
    "solve", np.linalg.solve, saves="out x",
    vjp=(lambda g, out, x, y: -np.linalg.solve(mT(x), g) @ mT(out),
         lambda g, out, x, y: np.linalg.solve(mT(x), g)),
    jacobian=(lambda out, x, y: Kron(-np.linalg.inv(x), mT(out), out.shape[:-2]),
              lambda out, x, y: Kron(np.linalg.inv(x), Identity(out.shape[-1]), out.shape[:-2])),
    doc="X = A⁻¹ B: ∂X/∂A = -A⁻¹ ⊗ Xᵀ and ∂X/∂B = A⁻¹ ⊗ I.",
)
_det = primitive(
    "det", np.linalg.det, saves="out x",
    vjp=lambda g, out, x: (g * out)[..., None, None] * mT(_inv(x)),
    jacobian=lambda out, x: totals(x.shape, (-2, -1), out.shape) @ Diagonal(_cofactors(x)),
    doc="The determinant: ∂det A/∂A is the matrix of cofactors, det A · A⁻ᵀ.",
)
_log_abs_det = primitive(
    "logabsdet", lambda x: np.linalg.slogdet(x)[1], saves="x",
    vjp=lambda g, out, x: g[..., None, None] * mT(_inv(x)),
    jacobian=lambda out, x: totals(x.shape, (-2, -1), out.shape)
        @ Diagonal(_cofactors(x) / np.linalg.det(x)[..., None, None]),
    doc="log |det A|: ∂/∂A = A⁻ᵀ.",
)
_cholesky = primitive(
    "cholesky", lambda x: np.linalg.cholesky((x + mT(x)) / 2), saves="out",
    vjp=lambda g, out, x: _symmetric(_congruent(mT(out), mT(out) @ g * _lower(out))),
    jacobian=lambda out, x: Kron(out, Identity(out.shape[-1]), out.shape[:-2])
        @ Diagonal(np.broadcast_to(_lower(out), out.shape)) @ Kron(np.linalg.inv(out), np.linalg.inv(out))
        @ _symmetrisation(out.shape),
    doc="L with A = L Lᵀ: dL = L Φ(L⁻¹ dA L⁻ᵀ), where Φ keeps the lower triangle and half of the diagonal.",
)


def _cofactors(x: Any) -> Any:
    """(-1)^(i+j) times the determinant of what is left without row i and column j."""
    n = x.shape[-1]
    others = [np.delete(np.arange(n), k) for k in range(n)]
    minors = [[np.linalg.det(x[..., rows[:, None], columns]) for columns in others] for rows in others]
    signs = (-1) ** np.add.outer(np.arange(n), np.arange(n))
    return np.moveaxis(np.array(minors).reshape(n, n, *x.shape[:-2]), (0, 1), (-2, -1)) * signs.astype(x.dtype)


def _lower(x: Any) -> Any:
    """1 below the diagonal, 1/2 on it, 0 above."""
    n = x.shape[-1]
    return np.tri(n, dtype=x.dtype) - np.eye(n, dtype=x.dtype) / 2


def _congruent(x: Any, y: Any) -> Any:
    """x⁻¹ y x⁻ᵀ."""
    return mT(np.linalg.solve(x, mT(np.linalg.solve(x, y))))


def _symmetric(x: Any) -> Any:
    return (x + mT(x)) / 2


def _symmetrisation(shape: tuple[int, ...]) -> Jacobian:
    half = Diagonal(np.full(shape, 0.5))
    return half + half @ Selection.of(mT, shape)


def _square(name: str, x: Any) -> None:
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ShapeError(f"{name}: takes square matrices in the last two axes, not shape {x.shape}")


@public(np.linalg.inv)
def inv(x: Any) -> Any:
    """The inverse of each matrix.

    Raises
    ------
    ShapeError
        The matrices are not square.
    numpy.linalg.LinAlgError
        One is singular.
    """
    _square("inv", x)
    return _inv(x)


@public(np.linalg.solve)
def solve(x: Any, y: Any) -> Any:
    """The solution Z of x Z = y.

    Parameters
    ----------
    x : array of shape (*batch, n, n)
    y : array of shape (n,) or (*batch, n, k)

    Raises
    ------
    ShapeError
        The matrices are not square, or ``y`` has not as many rows.
    numpy.linalg.LinAlgError
        One is singular.
    """
    _square("solve", x)
    rows = y.shape[-2 if y.ndim > 1 else -1] if y.ndim else None
    if rows != x.shape[-1]:
        raise ShapeError(f"solve: matrices of shape {x.shape} need right sides of {x.shape[-1]} rows, not {y.shape}")
    return _solve(x, y.reshape(-1, 1))[..., 0] if y.ndim == 1 else _solve(x, y)


@public(np.linalg.det)
def det(x: Any) -> Any:
    """The determinant of each matrix. Its gradient needs the inverse: that of a singular matrix is refused.

    Raises
    ------
    ShapeError
        The matrices are not square.
    """
    _square("det", x)
    return _det(x)


class SignLogAbsDet(NamedTuple):
    """A determinant as sign · exp(logabsdet), which neither overflows nor underflows."""

    sign: Any
    logabsdet: Any


@public(np.linalg.slogdet)
def slogdet(x: Any) -> SignLogAbsDet:
    """The sign of the determinant of each matrix, not differentiable, and log |det|.

    Raises
    ------
    ShapeError
        The matrices are not square.
    """
    _square("slogdet", x)
    sign = np.linalg.slogdet(x.array if isinstance(x, Variable) else x)[0]
    return SignLogAbsDet(wrap(np.asarray(sign)) if isinstance(x, Variable) else sign, _log_abs_det(x))


@public(np.linalg.cholesky)
def cholesky(x: Any) -> Any:
    """The lower triangular L with L Lᵀ = x, for symmetric positive definite matrices.

    Of a matrix that is not symmetric the symmetric part is taken, so that the gradient is symmetric, as in PyTorch.

    Raises
    ------
    ShapeError
        The matrices are not square.
    numpy.linalg.LinAlgError
        One is not positive definite.
    """
    _square("cholesky", x)
    return _cholesky(x)


@public(np.linalg.matrix_power)
def matrix_power(x: Any, n: int) -> Any:
    """The matrix product of n copies; of the inverse if n is negative, the identity if it is 0.

    Raises
    ------
    ShapeError
        The matrices are not square.
    """
    _square("matrix_power", x)
    if n < 0:
        return matrix_power(inv(x), -n)
    if n < 2:
        return x @ np.eye(x.shape[-1], dtype=x.dtype) if n else x * 0 + np.eye(x.shape[-1], dtype=x.dtype)
    half = matrix_power(x, n // 2)
    return half @ half @ x if n % 2 else half @ half
