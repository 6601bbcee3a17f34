"""Inverses, linear systems, determinants and decompositions of matrices, in stacks.

The Jacobians of the first three are Kronecker products of the inverse: what d(A⁻¹) = -A⁻¹ dA A⁻¹ says as a matrix.
Formulas: Mike Giles, An extended collection of matrix derivative results for forward and reverse mode AD, 2008.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import LinAlgError, ShapeError
from ..graph import Variable, array_of, wrap
from ..jacobians import Dense, Diagonal, Identity, Jacobian, Kron, Selection
from ..primitive import functions, primitive
from ..spelling import axes_of, axis_of, public
from .elementary import where
from .extrema import amax, amin
from .norms import norm
from .products import mT
from .reductions import sum, totals
from .results import EigenPairs, Factors, LeastSquares, SignLogAbsDet, SingularValues, SingularVectors
from .selecting import like


def _refusing(function: Any) -> Any:
    """One of NumPy's functions, whose `numpy.linalg.LinAlgError` is a `RuntimeError` too, as PyTorch's is."""

    def forward(*arrays: Any) -> Any:
        try:
            return function(*arrays)
        except np.linalg.LinAlgError as error:
            raise LinAlgError(str(error)) from None

    return forward


_inv = primitive(
    "inv", _refusing(np.linalg.inv), saves="out",
    vjp=lambda g, out, x: -mT(out) @ g @ mT(out),
    jacobian=lambda out, x: Kron(-out, mT(out)),
    doc="The inverse: ∂A⁻¹/∂A = -A⁻¹ ⊗ A⁻ᵀ.",
)
_solve = primitive(
    "solve", _refusing(np.linalg.solve), saves="out x",
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
    "cholesky", _refusing(lambda x: np.linalg.cholesky((x + mT(x)) / 2)), saves="out",
    vjp=lambda g, out, x: _symmetric(_congruent(mT(out), mT(out) @ g * _lower(out))),
    jacobian=lambda out, x: Kron(out, Identity(out.shape[-1]), out.shape[:-2])
        @ Diagonal(np.broadcast_to(_lower(out), out.shape)) @ Kron(np.linalg.inv(out), np.linalg.inv(out))
        @ _symmetrisation(out.shape),
    doc="L with A = L Lᵀ: dL = L Φ(L⁻¹ dA L⁻ᵀ), where Φ keeps the lower triangle and half of the diagonal.",
)


_pinv = primitive(
    "pinv", lambda x, *, rcond: np.linalg.pinv(x, rcond=rcond), saves="out x",
    vjp=lambda g, out, x, *, rcond: -mT(out) @ g @ mT(out) + (_eye(x, -2) - x @ out) @ mT(g) @ (out @ mT(out))
        + (mT(out) @ out) @ mT(g) @ (_eye(x, -1) - out @ x),
    jacobian=lambda out, x, *, rcond: Dense(_columns(lambda d: _pinv_moves(d, out, x), x), out.shape, x.shape),
    doc="The pseudoinverse, where the rank is constant: Golub and Pereyra, SIAM J. Numer. Anal. 10 (1973), 413-432.",
)

# Decompositions have several results, which are one output, laid side by side: `_pack`. Their differentials, and what
# divides by differences of eigenvalues (0 where these are equal: which vectors come out there is arbitrary):
# J. Townsend, Differentiating the singular value decomposition, 2016; Giles for eigenvalues; for Q and R, S. Walter and
# L. Lehmann, Algorithmic differentiation of linear algebra functions with application in optimum experimental design.

_eigh = primitive(
    "eigh", _refusing(lambda x: _pack(*np.linalg.eigh((x + mT(x)) / 2))), saves="out",
    vjp=lambda g, out, x: _symmetric(_eigh_back(*_unpack(g, *_eigh_shapes(x)), *_unpack(out, *_eigh_shapes(x)))),
    jacobian=lambda out, x: Dense(
        _columns(lambda d: _eigh_moves(_symmetric(d), *_unpack(out, *_eigh_shapes(x))), x), out.shape, x.shape),
    doc="Eigenvalues w and orthonormal eigenvectors V of the symmetric part: dw = diag(Vᵀ dA V), dV = V (F ∘ Vᵀ dA V).",
)
_svd = primitive(
    "svd", _refusing(lambda x: _pack(*np.linalg.svd(x, full_matrices=False))), saves="out",
    vjp=lambda g, out, x: _svd_back(*_unpack(g, *_svd_shapes(x)), *_unpack(out, *_svd_shapes(x))),
    jacobian=lambda out, x: Dense(
        _columns(lambda d: _svd_moves(d, *_unpack(out, *_svd_shapes(x))), x), out.shape, x.shape),
    doc="A = U S Vᵀ with min(m, n) columns in U and V.",
)
_qr = primitive(
    "qr", lambda x: _pack(*np.linalg.qr(x)), saves="out",
    vjp=lambda g, out, x: _qr_back(*_unpack(g, *_qr_shapes(x)), *_unpack(out, *_qr_shapes(x))),
    jacobian=lambda out, x: Dense(
        _columns(lambda d: _qr_moves(d, *_unpack(out, *_qr_shapes(x))), x), out.shape, x.shape),
    doc="A = Q R of a matrix that has as many rows as columns, or more.",
)


def _pack(*parts: Any) -> Any:
    """Arrays (*batch, …) of different sizes as one (*batch, n): the vector, which has fewer axes, says the batch."""
    batch = min((p.shape for p in parts), key=len)[:-1] if len({p.ndim for p in parts}) > 1 else parts[0].shape[:-2]
    return np.concatenate([p.reshape(*batch, math.prod(p.shape[len(batch) :])) for p in parts], -1)


def _unpack(packed: Any, *shapes: tuple[int, ...]) -> list[Any]:
    parts, start = [], 0
    for shape in shapes:
        stop = start + math.prod(shape)
        parts.append(packed[..., start:stop].reshape((*packed.shape[:-1], *shape)))
        start = stop
    return parts


def _eigh_shapes(x: Any) -> Any:
    return (x.shape[-1],), x.shape[-2:]


def _pinv_moves(d: Any, p: Any, x: Any) -> Any:
    t = np.swapaxes(d, -1, -2)
    pt, q = np.swapaxes(p, -1, -2), np.matmul(p, x)
    return np.matmul(np.matmul(p, pt), t - np.matmul(t, np.matmul(x, p))) + np.matmul(t - np.matmul(q, t), pt) @ p - (
        np.matmul(np.matmul(p, d), p))


def _svd_shapes(x: Any) -> Any:
    m, n = x.shape[-2:]
    return (m, min(m, n)), (min(m, n),), (min(m, n), n)


def _qr_shapes(x: Any) -> Any:
    return x.shape[-2:], (x.shape[-1], x.shape[-1])


def _columns(moves: Any, x: Any) -> Any:
    """The matrix of a linear map, from what it makes of each basis vector."""
    basis = np.eye(math.prod(x.shape), dtype=x.dtype).reshape(-1, *x.shape)
    return moves(basis).reshape(len(basis), -1).T


def _eye(x: Any, axis: int) -> Any:
    return np.eye(x.shape[axis], dtype=x.dtype)


def _inverse_gaps(w: Any) -> Any:
    """1 / (w_j - w_i), and 0 where they are equal."""
    gaps = w[..., None, :] - w[..., :, None]
    return where(gaps == 0, 0.0, 1 / where(gaps == 0, 1.0, gaps))


def _eigh_back(gw: Any, gv: Any, w: Any, v: Any) -> Any:
    return v @ (gw[..., None] * _eye(v, -1) + _inverse_gaps(w) * (mT(v) @ gv)) @ mT(v)


def _eigh_moves(d: Any, w: Any, v: Any) -> Any:
    turned = np.einsum("...ki,...kl,...lj->...ij", v, d, v)
    gaps = np.subtract(w[..., None, :], w[..., :, None])
    inverse = np.divide(1, gaps, where=gaps != 0, out=np.zeros_like(gaps))
    return _pack(np.diagonal(turned, 0, -2, -1), np.matmul(v, inverse * turned))


def _svd_back(gu: Any, gs: Any, gvh: Any, u: Any, s: Any, vh: Any) -> Any:
    inverse = 1 / s
    f = _inverse_gaps(s * s)
    of_u, of_v = mT(u) @ gu, vh @ mT(gvh)
    core = (f * (of_u - mT(of_u))) * s[..., None, :] + s[..., :, None] * (f * (of_v - mT(of_v)))
    core = core + gs[..., None] * _eye(mT(u), -2)
    left = (gu - u @ of_u) * inverse[..., None, :]
    right = inverse[..., :, None] * (gvh - mT(of_v) @ vh)
    return u @ core @ vh + left @ vh + u @ right


def _svd_moves(d: Any, u: Any, s: Any, vh: Any) -> Any:
    turned = np.einsum("...ki,...kl,...jl->...ij", u, d, vh)
    row, column = s[..., None, :], s[..., :, None]
    gaps = row**2 - column**2
    f = np.divide(1, gaps, where=gaps != 0, out=np.zeros_like(gaps))
    du = np.matmul(u, f * (turned * row + column * np.swapaxes(turned, -1, -2)))
    dv = f * (column * turned + np.swapaxes(turned, -1, -2) * row)  # dV = V dv + what is outside of the span
    outer_u = np.matmul(d, np.swapaxes(vh, -1, -2)) - np.matmul(u, turned)
    outer_v = np.matmul(np.swapaxes(u, -1, -2), d) - np.matmul(turned, vh)
    return _pack(du + outer_u / row, np.diagonal(turned, 0, -2, -1),
                 np.matmul(np.swapaxes(dv, -1, -2), vh) + outer_v / column)


def _qr_back(gq: Any, gr: Any, q: Any, r: Any) -> Any:
    m = r @ mT(gr) - mT(gq) @ q
    lower = m * np.tri(m.shape[-1], dtype=m.dtype)
    diagonal = m * _eye(m, -1)
    return mT(np.linalg.solve(r, mT(gq + q @ (lower + mT(lower) - diagonal))))


def _qr_moves(d: Any, q: Any, r: Any) -> Any:
    moved = np.matmul(d, np.linalg.inv(r))
    c = np.matmul(np.swapaxes(q, -1, -2), moved)
    below = np.tril(c, -1)
    turn = below - np.swapaxes(below, -1, -2)
    return _pack(moved - np.matmul(q, c - turn), np.matmul(c - turn, r))


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


@public()
def solve(x: Any, y: Any, *, left: bool = True) -> Any:
    """The solution Z of x Z = y, or of Z x = y if not ``left``.

    Parameters
    ----------
    x : array of shape (*batch, n, n)
    y : array of shape (n,) or (*batch, n, k), or (*batch, n): a vector for each matrix

    Raises
    ------
    ShapeError
        The matrices are not square, or ``y`` has not as many rows.
    numpy.linalg.LinAlgError
        One is singular.
    """
    _square("solve", x)
    if not left:
        return mT(solve(mT(x), mT(y)))
    if y.shape == x.shape[:-1] or y.shape == x.shape[-1:]:
        return _solve(x, y[..., None])[..., 0]
    return _solve_matrices(x, y)


def _solve_matrices(x: Any, y: Any) -> Any:
    _square("solve", x)
    if y.ndim < 2 or y.shape[-2] != x.shape[-1]:
        raise ShapeError(f"solve: matrices of shape {x.shape} need right sides of {x.shape[-1]} rows, not {y.shape}")
    return _solve(x, y)


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


@public()
def logdet(x: Any) -> Any:
    """log of the determinant of each matrix: nan where that is negative."""
    sign, size = slogdet(x)
    return where(sign < 0, math.nan, size)


@public(np.linalg.cholesky)
def cholesky(x: Any, *, upper: bool = False) -> Any:
    """The lower triangular L with L Lᵀ = x, for symmetric positive definite matrices; Lᵀ if ``upper``.

    Of a matrix that is not symmetric the symmetric part is taken, so that the gradient is symmetric, as in PyTorch.

    Raises
    ------
    ShapeError
        The matrices are not square.
    numpy.linalg.LinAlgError
        One is not positive definite.
    """
    _square("cholesky", x)
    return mT(_cholesky(x)) if upper else _cholesky(x)


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


@public()
def matrix_exp(x: Any) -> Any:
    """exp of each matrix, Σ xᵏ/k!: of a fraction of it by the first terms, then squared back.

    N. Higham, Functions of Matrices, 2008, section 10.3. With a norm of at most 1/2 the terms after the 16th are below
    the rounding of a float64.

    Raises
    ------
    ShapeError
        The matrices are not square.
    """
    _square("matrix_exp", x)
    array = x.array if isinstance(x, Variable) else x
    largest = float(np.abs(array).sum(-1).max(initial=0.0))
    halvings = max(0, math.ceil(math.log2(largest)) + 1) if 0 < largest < math.inf else 0
    x, identity = x * 0.5**halvings, np.eye(array.shape[-1], dtype=array.dtype)
    total = identity + x / 16
    for k in range(15, 0, -1):
        total = identity + (x / k) @ total
    for _ in range(halvings):
        total = total @ total
    return total


# ------------------------------------------------------------------------------------------------ decompositions


@public()
def eigh(x: Any, UPLO: str = "L") -> EigenPairs:
    """Eigenvalues, rising, and orthonormal eigenvectors, as columns, of symmetric matrices.

    Of a matrix that is not symmetric the symmetric part is taken, so that the gradient is symmetric. An eigenvector is
    known up to its sign: its gradient has a meaning for what does not depend on that. Where eigenvalues are equal their
    vectors are arbitrary, and what a gradient would divide by the difference is 0.

    Raises
    ------
    ShapeError
        The matrices are not square.
    """
    _square("eigh", x)
    return EigenPairs(*_unpack(_eigh(x), *_eigh_shapes(x)))


@public()
def eigvalsh(x: Any, UPLO: str = "L") -> Any:
    """The eigenvalues, rising, of symmetric matrices; see `eigh`."""
    return eigh(x).eigenvalues


@public()
def svd(x: Any, full_matrices: bool = True) -> SingularValues:
    """The singular value decomposition x = U diag(S) Vh, with falling S.

    As `eigh` it determines vectors up to their sign, and not at all where singular values are equal.

    Parameters
    ----------
    x : array of shape (*batch, m, n)
    full_matrices : bool
        U and Vh square, the rest of an orthonormal basis added. That rest is arbitrary and has no gradient; so of
        matrices that require one it is refused, unless they are square.

    Raises
    ------
    ShapeError
        ``x`` has fewer than two axes, or ``full_matrices`` is refused.
    """
    _matrix("svd", x)
    m, n = x.shape[-2:]
    if full_matrices and m != n:
        if getattr(x, "node", None) is not None:
            raise ShapeError(
                f"svd: of matrices of shape {x.shape} the full U and Vh have no gradient: pass full_matrices=False"
            )
        made = np.linalg.svd(x.array if isinstance(x, Variable) else x)
        return SingularValues(*(wrap(p) if isinstance(x, Variable) else p for p in made))
    return SingularValues(*_unpack(_svd(x), *_svd_shapes(x)))


@public()
def svdvals(x: Any) -> Any:
    """The singular values, falling; see `svd`."""
    return svd(x, full_matrices=False).S


@public(np.linalg.matrix_norm)
def matrix_norm(x: Any, ord: Any = "fro", axis: Any = (-2, -1), keepdims: bool = False) -> Any:
    """A norm of the matrices in two axes.

    Parameters
    ----------
    x : Tensor or ndarray
    ord : {"fro", 1, -1, inf, -inf, 2, -2, "nuc"}
        The square root of the sum of squares; the largest (smallest) sum of |x| down a column; the same along a row;
        the largest (smallest) singular value; the sum of all singular values.
    axis : tuple of two int
    keepdims : bool

    Raises
    ------
    ValueError
        Another ``ord``.
    """
    if ord in ("fro", None):
        return norm(x, 2, axis, keepdims)
    rows, columns = (axis_of(a, x.ndim) for a in axis)
    if ord in (2, -2, "nuc"):
        s = svdvals(np.moveaxis(x, (rows, columns), (-2, -1)))
        out = sum(s, -1) if ord == "nuc" else s[..., 0 if ord == 2 else -1]
        return np.expand_dims(out, (rows, columns)) if keepdims else out
    if ord not in (1, -1, math.inf, -math.inf):
        raise ValueError(f"matrix_norm: ord={ord!r} is not one of 'fro', 'nuc', 1, -1, 2, -2, inf and -inf")
    summed, compared = (rows, columns) if abs(ord) == 1 else (columns, rows)
    out = (amax if ord > 0 else amin)(sum(np.abs(x), summed, keepdims=True), compared, keepdims=True)
    return out if keepdims else np.squeeze(out, (rows, columns))


@public(np.linalg.norm)
def linalg_norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """``linalg.norm``: a `vector_norm` or a `matrix_norm`.

    Without ``ord`` the 2-norm of all entries; with it the norm of vectors if there is one axis, of matrices if two.

    Raises
    ------
    ValueError
        ``ord`` is given for more than two axes, or is not available.
    """
    axes = axes_of(axis, x.ndim)
    if ord is None or len(axes) == 1:
        return norm(x, 2 if ord is None else ord, axes, keepdims)
    if len(axes) != 2:
        raise ValueError(f"linalg.norm: ord={ord!r} needs one axis or two, not {len(axes)}")
    return matrix_norm(x, ord, axes if axis is None else tuple(axis), keepdims)


@public()
def qr(x: Any, mode: str = "reduced") -> Factors:
    """x = Q R with orthonormal columns in Q and an upper triangular R.

    Raises
    ------
    ShapeError
        ``x`` has fewer than two axes.
    ValueError
        ``mode`` is not "reduced".
    """
    _matrix("qr", x)
    if mode != "reduced":
        raise ValueError(f"qr: mode={mode!r} is not available; 'reduced' is")
    m, n = x.shape[-2:]
    q, r = _unpack(_qr(x[..., :m]), *_qr_shapes(x[..., :m]))
    return Factors(q, r if m >= n else np.concatenate([r, mT(q) @ x[..., m:]], -1))


@public()
def pinv(x: Any, rcond: float | None = None, *, rtol: float | None = None) -> Any:
    """The pseudoinverse of each matrix; singular values below ``rtol`` times the largest count as 0.

    Raises
    ------
    ShapeError
        ``x`` has fewer than two axes.
    """
    _matrix("pinv", x)
    rtol = rcond if rtol is None else rtol
    small = max(x.shape[-2:]) * float(np.finfo(x.dtype).eps) if rtol is None else float(rtol)
    return _pinv(x, rcond=small)


@public()
def lstsq(x: Any, y: Any, rcond: float | None = None, *, driver: str | None = None) -> LeastSquares:
    """The Z that minimises ‖x Z - y‖, of several the smallest: `pinv` times y.

    Parameters
    ----------
    x : array of shape (*batch, m, n)
    y : array of shape (*batch, m, k), or (m,)

    Returns
    -------
    LeastSquares
        The solution; Σ(x Z - y)² down each column if m > n, else nothing; the rank; the singular values.
    """
    _matrix("lstsq", x)
    z = pinv(x, rcond) @ y
    array = x.array if isinstance(x, Variable) else x
    apart = x @ z - y
    residuals = sum(apart * apart, -2 if y.ndim > 1 else -1) if x.shape[-2] > x.shape[-1] else array[..., :0, 0]
    return LeastSquares(z, residuals, matrix_rank(x), like(x, np.linalg.svd(array, compute_uv=False)))


@public(np.linalg.matrix_rank)
def matrix_rank(x: Any) -> Any:
    """How many singular values are not 0, up to rounding; not differentiable."""
    return like(x, np.asarray(np.linalg.matrix_rank(array_of(x))))


@public()
def cond(x: Any, p: Any = None) -> Any:
    """The largest singular value by the smallest; for another norm ``p``, that of the matrix times its inverse's."""
    if p in (None, 2, -2):
        s = svdvals(x)
        return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    return matrix_norm(x, p) * matrix_norm(inv(x), p)


@public()
def solve_triangular(x: Any, y: Any, *, upper: bool, left: bool = True, unitriangular: bool = False) -> Any:
    """`solve` for a triangular matrix, of which the other triangle (and a diagonal of ones) is not read."""
    x = np.triu(x, int(unitriangular)) if upper else np.tril(x, -int(unitriangular))
    return solve(x + _eye(x, -1) if unitriangular else x, y, left=left)


def cholesky_solve(y: Any, x: Any, upper: bool = False) -> Any:
    """The solution Z of A Z = y, given the Cholesky factor ``x`` of A."""
    return solve(mT(x) @ x if upper else x @ mT(x), y)


def cholesky_inverse(x: Any, upper: bool = False) -> Any:
    """The inverse of A, given its Cholesky factor ``x``."""
    return inv(mT(x) @ x if upper else x @ mT(x))


def _matrix(name: str, x: Any) -> None:
    if x.ndim < 2:
        raise ShapeError(f"{name}: takes matrices in the last two axes, not shape {x.shape}")


# ------------------------------------------------------------------------------------------------ PyTorch's older names

inverse, pinverse = inv, pinv


@public()
def torch_svd(x: Any, some: bool = True, compute_uv: bool = True) -> SingularVectors:
    """``torch.svd``: `svd` with V in the place of its transpose, and thin unless ``some`` is false."""
    u, s, vh = svd(x, full_matrices=not some)
    return SingularVectors(u, s, mT(vh))


@public()
def torch_cholesky(x: Any, upper: bool = False) -> Any:
    """``torch.cholesky``: `cholesky`."""
    return cholesky(x, upper=upper)


# ------------------------------------------------------------------------------------------------ NumPy's names

# NumPy reads right sides of two axes or more as matrices, also where PyTorch takes them for a vector for each.
functions[np.linalg.solve] = lambda a, b: solve(a, b) if b.ndim == 1 else _solve_matrices(a, b)
functions[np.linalg.eigh] = lambda a, UPLO="L": eigh(a)
functions[np.linalg.eigvalsh] = lambda a, UPLO="L": eigvalsh(a)
functions[np.linalg.svd] = lambda a, full_matrices=True, compute_uv=True: (
    svd(a, full_matrices) if compute_uv else svdvals(a))
functions[np.linalg.svdvals] = svdvals
functions[np.linalg.qr] = lambda a, mode="reduced": qr(a, mode)
functions[np.linalg.pinv] = lambda a, rcond=None, *, rtol=None: pinv(a, rcond, rtol=rtol)
