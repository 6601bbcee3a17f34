"""Products of matrices, whose Jacobians are Kronecker products, and einsum, whose Jacobian is an einsum."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from string import ascii_letters
from typing import Any

import numpy as np

from ..dtypes import promote
from ..errors import ShapeError
from ..graph import Variable
from ..jacobians import Contraction, Identity, Jacobian, Kron, Selection
from ..primitive import primitive
from ..spelling import axis_along, public, same_dtype
from .reductions import sum

# ------------------------------------------------------------------------------------------------ two matrices


def mT(x: Any) -> Any:
    """The matrix transpose: the last two axes exchanged."""
    return x.mT


def _rows(x: Any, out: Any = None) -> Any:
    """A stack of matrices as one tall matrix, a vector as one row; of ``out``'s cotangent, after leading axes."""
    k = 0 if out is None else x.ndim - out.ndim
    return x if x.ndim == k + 2 else x.reshape((*x.shape[:k], math.prod(x.shape[k:-1]), x.shape[-1]))


def _times(x: Any, y: Any) -> Any:
    """x @ y. Where y is one matrix, a stack x is one tall matrix: one call of BLAS, not one for each of the stack."""
    if y.ndim > 2 or x.ndim == 2:
        return _product(x, y)
    return _product(_rows(x), y).reshape(x.shape[:-1] + y.shape[-1:])


def _product(x: Any, y: Any) -> Any:
    """x @ y of matrices, in the way that is fastest for their shapes."""
    if isinstance(x, Variable) or isinstance(y, Variable):
        return _matmul(x, y)  # not x @ y: a rule may meet a mixture of dtypes that a user may not ask for
    if x.ndim == y.ndim == 2:
        if y.size > 16384 and 4 < len(x) <= 128 and y.flags.fnc:
            # Few rows times a large transposed matrix: OpenBLAS is slow there, and takes 0.5 to 0.8 of the time for the
            # transposed product, 16 to 64 rows by 784 x 300; turning the small result back costs a twentieth of that.
            return np.ascontiguousarray(y.T.dot(x.T).T)
        return x.dot(y)  # 0.4 µs less than x @ y, which does not ask BLAS for the outer product of two vectors
    if x.shape[-1] == 1:
        # Outer products, the rows of a Jacobian. With one vector for all of them they are one product, written in one
        # go: 10 x 300 x 784 take 0.28 ms, by einsum 0.42 to 0.65. The longer axis is the inner one.
        if y.ndim == 2:
            return x.reshape(-1, 1).dot(y).reshape(x.shape[:-1] + y.shape[-1:])
        if x.ndim == 2 and len(x) > y.shape[-1]:
            return mT(y.reshape(-1, 1).dot(x.T).reshape(*y.shape[:-2], y.shape[-1], len(x)))
        return np.einsum("...ij,...jk->...ik", x, y)
    return x @ y


def _affine(x: Any, weight: Any, bias: Any) -> Any:
    """x Wᵀ + b of arrays, and x Wᵀ where the bias is the number 0, which stands for none."""
    a, w, biased = x.shape, weight.shape, type(bias) is not int
    if len(w) != 2 or not a or a[-1] != w[1]:
        raise ShapeError(
            f"linear: x of shape {a} and weight of shape {w} do not fit: the weight is (out, in), and the last size of "
            f"x, {a[-1] if a else 'which it lacks'}, must equal in{f', {w[1]}' if len(w) == 2 else ''}"
        )
    if biased and bias.shape != w[:1]:
        raise ShapeError(f"linear: bias of shape {bias.shape} does not fit weight of shape {w}: it must be {w[:1]}")
    if x.dtype is not weight.dtype or (biased and bias.dtype is not x.dtype):
        x, weight, bias = promote([x, weight, bias])
    z = _times(x, weight.T)
    if biased:
        z += bias
    return z


_matmul = primitive(
    "matmul", lambda x, y: _times(x, y) if x.dtype is y.dtype else _times(*promote([x, y])), saves={"x": "y", "y": "x"},
    vjp=(lambda g, out, x, y: _times(g, mT(y)),
         lambda g, out, x, y: _product(mT(x), g) if y.ndim > 2 else _product(mT(_rows(x)), _rows(g, out))),
    jacobian=(lambda out, x, y: Kron(Identity(x.shape[-2]), mT(y), out.shape[:-2]),
              lambda out, x, y: Kron(x, Identity(y.shape[-1]), out.shape[:-2]) if y.ndim > 2
              else _shaped(Kron(_rows(x), Identity(y.shape[-1])), out.shape, y.shape)),
    doc="The matrix product of the last two axes. With Z = X Y: ∂Z/∂X = I ⊗ Yᵀ and ∂Z/∂Y = X ⊗ I.",
)
_linear = primitive(
    "linear", _affine, saves={"x": "weight", "weight": "x", "bias": ""},
    vjp=(lambda g, out, x, weight, bias: _times(g, weight),
         lambda g, out, x, weight, bias: _product(mT(_rows(g, out)), _rows(x)),
         lambda g, out, x, weight, bias: g),  # the engine sums over the batch
    jacobian=(lambda out, x, weight, bias: _shaped(Kron(Identity(math.prod(x.shape[:-1])), weight), out.shape, x.shape),
              lambda out, x, weight, bias: _transposed(Kron(Identity(weight.shape[0]), _rows(x)), out.shape),
              lambda out, x, weight, bias: Identity(out.shape)),
    doc="x Wᵀ + b. For one x: ∂z/∂x = W, ∂z/∂W = I ⊗ xᵀ (row i holds xᵀ in block i, 0 elsewhere), ∂z/∂b = I.",
)


def _shaped(J: Jacobian, out_shape: tuple[int, ...], in_shape: tuple[int, ...]) -> Jacobian:
    """The same matrix, about arrays of other shapes."""
    return Identity(J.out_shape, out_shape) @ J @ Identity(in_shape, J.in_shape)


def _transposed(J: Jacobian, out_shape: tuple[int, ...]) -> Jacobian:
    """The Jacobian whose output is transposed, then shaped; transposing a single column only shapes it."""
    if J.out_shape[1] == 1:
        return Identity(J.out_shape, out_shape) @ J
    return Selection.of(lambda positions: positions.T.reshape(out_shape), J.out_shape) @ J


def _array(x: Any) -> Any:
    return x if isinstance(x, (Variable, np.ndarray)) else np.asarray(x)


@public(np.matmul, np.linalg.matmul)
def matmul(x: Any, y: Any) -> Any:
    """The matrix product, in all the shapes of ``@``: vectors, matrices, and stacks of matrices that broadcast.

    Parameters
    ----------
    x : array of shape (n,) or (*batch, m, n)
    y : array of shape (n,) or (*batch, n, p)
        The batches broadcast against each other. A vector is one row on the left, one column on the right, and its
        axis is missing in the result. Two Tensors have one dtype; a plain array beside a Tensor is promoted.

    Raises
    ------
    ShapeError
        The inner sizes differ, the batches do not broadcast, or an operand has no axes.
    TypeError
        Two Tensors have different dtypes.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> tj.matmul(tj.ones(2, 3), tj.ones(3))
    tensor([3., 3.])
    """
    x, y = _array(x), _array(y)
    if x.dtype is not y.dtype:
        same_dtype("matmul", x=x, y=y)
    a, b = x.shape, y.shape
    if len(a) == len(b) == 2 and a[1] == b[0]:
        return _matmul(x, y)
    _check_matmul(a, b)
    # A vector is a matrix of one row (on the left) or one column (on the right) whose axis is dropped afterwards.
    row, column = len(a) == 1, len(b) == 1
    z = _matmul(x.reshape(1, *a) if row else x, y.reshape(*b, 1) if column else y)
    if row or column:
        z = z.reshape(z.shape[:-2] + (() if row else a[-2:-1]) + (() if column else b[-1:]))
    return z


def _check_matmul(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    if not a or not b:
        raise ShapeError(f"matmul: shapes {a} and {b} cannot be multiplied: each needs an axis; use * for numbers")
    if a[-1] != b[-2 if len(b) > 1 else -1]:
        which, size = ("second last", b[-2]) if len(b) > 1 else ("only", b[0])
        raise ShapeError(
            f"matmul: shapes {a} and {b} cannot be multiplied: the last size of the first, {a[-1]}, must equal the "
            f"{which} size of the second, {size}"
        )
    for m, n in zip(reversed(a[:-2]), reversed(b[:-2])):
        if m != n and 1 not in (m, n):
            raise ShapeError(
                f"matmul: shapes {a} and {b} cannot be multiplied: the stacks {a[:-2]} and {b[:-2]} do not broadcast, "
                f"sizes {m} and {n} disagree"
            )


def _matmul_of(name: str, x: Any, y: Any, x_ndim: int, y_ndim: int) -> Any:
    """`matmul` for the names of PyTorch that take arrays of certain numbers of axes only."""
    if x.ndim != x_ndim or y.ndim != y_ndim:
        raise ShapeError(f"{name}: takes arrays of {x_ndim} and {y_ndim} axes, not shapes {x.shape} and {y.shape}")
    if x_ndim == 3 and len(x) != len(y):
        raise ShapeError(f"{name}: stacks of {len(x)} and {len(y)} matrices, shapes {x.shape} and {y.shape}")
    return matmul(x, y)


@public()
def mm(x: Any, y: Any) -> Any:
    """`matmul` of two matrices."""
    return _matmul_of("mm", x, y, 2, 2)


@public()
def bmm(x: Any, y: Any) -> Any:
    """`matmul` of two stacks of equally many matrices."""
    return _matmul_of("bmm", x, y, 3, 3)


@public()
def mv(x: Any, y: Any) -> Any:
    """`matmul` of a matrix and a vector."""
    return _matmul_of("mv", x, y, 2, 1)


@public()
def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """A linear layer: x Wᵀ + b.

    Parameters
    ----------
    x : array of shape (*batch, in)
    weight : array of shape (out, in) or (in,)
    bias : array of shape (out,) or (), optional

    Returns
    -------
    array of shape (*batch, out) or (*batch,)

    Raises
    ------
    ShapeError
        The sizes do not fit together.
    TypeError
        Tensors have different dtypes.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> import tinygrad_jac.nn.functional as F
    >>> F.linear(tj.tensor([1.0, 2.0]), tj.tensor([[1.0, 1.0], [0.0, 3.0]]), tj.tensor([0.5, 0.0]))
    tensor([3.5000, 6.0000])
    """
    if not x.dtype is weight.dtype is getattr(bias, "dtype", weight.dtype):
        same_dtype("linear", x=x, weight=weight, bias=bias)
    if weight.ndim == 1:
        return matmul(x, weight) if bias is None else matmul(x, weight) + bias
    return _linear(x, weight, 0 if bias is None else bias)


@public(np.dot)
def dot(x: Any, y: Any) -> Any:
    """The product of two vectors; of other arrays what ``np.dot`` makes of them.

    Numbers multiply; otherwise the last axis of ``x`` is summed with the second last of ``y``, its last if it has one.
    """
    if not x.ndim or not y.ndim:
        return x * y
    return matmul(x, y) if y.ndim <= 2 else tensordot(x, y, ([-1], [-2]))


@public(np.inner)
def inner(x: Any, y: Any) -> Any:
    """The products of all vectors along the last axes: Σ_k x[…, k] y[…, k]. Numbers multiply."""
    return x * y if not x.ndim or not y.ndim else tensordot(x, y, ([-1], [-1]))


@public(np.vdot)
def vdot(x: Any, y: Any) -> Any:
    """The product of two arrays read as vectors."""
    return matmul(x.reshape(-1), y.reshape(-1))


@public(np.outer, np.linalg.outer)
def outer(x: Any, y: Any) -> Any:
    """x yᵀ of two arrays read as vectors: a matrix product of a column and a row."""
    return _matmul(x.reshape(-1, 1), y.reshape(1, -1))


ger = outer


@public(np.kron)
def kron(x: Any, y: Any) -> Any:
    """The Kronecker product: every entry of ``x`` replaced by itself times ``y``."""
    n = max(x.ndim, y.ndim)
    a, b = (1,) * (n - x.ndim) + x.shape, (1,) * (n - y.ndim) + y.shape
    blocks = x.reshape([m for size in a for m in (size, 1)]) * y.reshape([m for size in b for m in (1, size)])
    return blocks.reshape([m * k for m, k in zip(a, b)])


@public()
def cross(x: Any, y: Any, axis: int | None = None) -> Any:
    """`linalg.cross` along an axis; if none is named, along the first that has three entries."""
    threes = [k for k, n in enumerate(np.broadcast_shapes(x.shape, y.shape)) if n == 3]
    return linalg_cross(x, y, axis=axis if axis is not None else threes[0] - x.ndim if threes else -1)


@public(np.cross, np.linalg.cross)
def linalg_cross(x: Any, y: Any, *, axis: int = -1) -> Any:
    """The cross product of vectors of three along an axis: z_i = x_{i+1} y_{i+2} - x_{i+2} y_{i+1}, cyclically.

    Raises
    ------
    ShapeError
        The axis does not have three entries.
    """
    if not x.ndim or not y.ndim or x.shape[axis] != 3 or y.shape[axis] != 3:
        raise ShapeError(f"cross: takes three entries along axis {axis}, not shapes {x.shape} and {y.shape}")
    ahead, behind = [np.roll(v, -1, axis) for v in (x, y)], [np.roll(v, 1, axis) for v in (x, y)]
    return ahead[0] * behind[1] - behind[0] * ahead[1]


@public(np.trace)
def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The sum of a diagonal."""
    return sum(np.diagonal(x, offset, axis1, axis2), -1)


@public()
def vecdot(x: Any, y: Any, *, axis: int = -1) -> Any:
    """The products of vectors along one axis, the others broadcast."""
    return sum(x * y, axis)


def _added_to(name: str, product: Any, doc: str) -> Any:
    """``beta * x + alpha * product(…)``, the family of `addmm`; for ``beta=0`` x is not read, nan and all."""

    @public()
    def function(x: Any, first: Any, y: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
        z = product(first, y)
        z = z if alpha == 1 else z * alpha
        return z + x if beta == 1 else z + beta * x if beta else z + np.zeros(x.shape, x.dtype)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


addmm = _added_to("addmm", mm, "``beta * x + alpha * (first @ y)`` of two matrices.")
addmv = _added_to("addmv", mv, "``beta * x + alpha * (first @ y)`` of a matrix and a vector.")
addr = _added_to("addr", outer, "``beta * x + alpha * outer(first, y)`` of two vectors.")
baddbmm = _added_to("baddbmm", bmm, "``beta * x + alpha * bmm(first, y)`` of two stacks of matrices.")
addbmm = _added_to(
    "addbmm", lambda x, y: sum(bmm(x, y), 0), "``beta * x + alpha * bmm(first, y).sum(0)``: a stack's sum."
)


def chain_matmul(*matrices: Any) -> Any:
    """The product of matrices, in an order that takes few multiplications; see `multi_dot`."""
    return multi_dot(matrices)


@public(np.linalg.multi_dot)
def multi_dot(arrays: Sequence[Any]) -> Any:
    """The product of matrices, the longest of the inner axes first; the outer two may be vectors.

    Raises
    ------
    ShapeError
        Sizes do not fit, or there is no matrix.
    """
    xs = list(arrays)
    if not xs:
        raise ShapeError("multi_dot needs one matrix at least")
    while len(xs) > 1:
        k = max(range(len(xs) - 1), key=lambda i: xs[i].shape[-1])
        xs[k : k + 2] = [matmul(xs[k], xs[k + 1])]
    return xs[0]


# ------------------------------------------------------------------------------------------------ einsum

# The subscripts of two operands and of their result. Each letter stands at most once in each, and in two of the three
# or in all: what einsum offers besides is brought to this form by einsum().
Spec = tuple[str, str, str]

_contract = primitive(
    "einsum", lambda x, y, *, spec: _contraction(x, y, spec), saves="x y",
    vjp=(lambda g, out, x, y, *, spec: _open(0, g, y, spec, g.ndim - out.ndim),
         lambda g, out, x, y, *, spec: _open(1, g, x, spec, g.ndim - out.ndim)),
    jacobian=(lambda out, x, y, *, spec: Contraction((spec[:2], spec[2]), (x, y), 0, out.shape, x.shape),
              lambda out, x, y, *, spec: Contraction((spec[:2], spec[2]), (x, y), 1, out.shape, y.shape)),
    doc="The einsum of two arrays. It is linear in each: the cotangent of one is the einsum of g and the other.",
)


def _open(index: int, g: Any, other: Any, spec: Spec, lead: int) -> Any:
    """The cotangent of one operand: the einsum with the output's cotangent in the place of that operand."""
    free = _unused("".join(spec), lead)  # letters for the leading axes
    return _contract(g, other, spec=(free + spec[2], spec[1 - index], free + spec[index]))


def _unused(letters: str, count: int) -> str:
    """So many letters that are not among those."""
    return "".join(itertools.islice((c for c in ascii_letters if c not in letters), count))


def _contraction(x: Any, y: Any, spec: Spec) -> Any:
    """Two arrays multiplied as stacks of matrices where a letter is summed: BLAS is faster than einsum's loops."""
    if x.dtype is not y.dtype:
        x, y = promote([x, y])
    plan = _plan(spec)
    if plan is None:
        return np.einsum(f"{spec[0]},{spec[1]}->{spec[2]}", x, y)
    order_x, order_y, order_out, stack, mine, shared = plan
    x, y = x.transpose(order_x), y.transpose(order_y)
    a, m = x.shape[:stack], x.shape[stack : stack + mine]
    k, n = y.shape[stack : stack + shared], y.shape[stack + shared :]
    z = x.reshape(*a, math.prod(m), math.prod(k)) @ y.reshape(*a, math.prod(k), math.prod(n))
    return z.reshape(a + m + n).transpose(order_out)


@functools.lru_cache(maxsize=4096)
def _plan(spec: Spec) -> Any:
    """How to order axes so that a contraction is a matrix product: (stack, mine, shared) @ (stack, shared, theirs).

    None where it is not one: nothing is summed, or no axis is free in either operand.
    """
    xs, ys, out = spec
    stack = [c for c in xs if c in ys and c in out]
    shared = [c for c in xs if c in ys and c not in out]
    mine = [c for c in xs if c not in ys]
    theirs = [c for c in ys if c not in xs]
    if not shared or not (mine or theirs):
        return None
    made = stack + mine + theirs
    return (
        tuple(xs.index(c) for c in stack + mine + shared),
        tuple(ys.index(c) for c in stack + shared + theirs),
        tuple(made.index(c) for c in out),
        len(stack), len(mine), len(shared),
    )


@public(np.einsum)
def einsum(*operands: Any, optimize: Any = True) -> Any:
    """Sums of products, in Einstein's notation: ``einsum("ij,jk->ik", x, y)`` is the matrix product.

    Each axis of each operand has a letter. Entries at equal letters are multiplied, and letters that the output does
    not name are summed.

    Parameters
    ----------
    *operands
        The subscripts, then arrays; or, for each array, the array and a list of axis numbers, and perhaps a list for
        the output. Without ``->`` the output has the letters that occur once, in the order of the alphabet. ``...``
        stands for axes that broadcast, and is summed where the output does not name it. A letter that an operand
        repeats takes its diagonal. Axes of size 1 broadcast.
    optimize
        Read for NumPy's sake. Three operands and more are always multiplied in pairs, small results first.

    Raises
    ------
    ShapeError
        The sizes at one letter differ, or an operand's axes are not those of its subscripts.
    ValueError
        The subscripts cannot be read.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> x = tj.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> tj.einsum("ii", x), tj.einsum("ij->j", x)
    (tensor(5.), tensor([4., 6.]))
    """
    equation, arrays = operands[0], operands[1:]
    if not isinstance(equation, str):
        equation, arrays = _from_lists(operands)
    elif len(arrays) == 1 and isinstance(arrays[0], (list, tuple)):
        arrays = tuple(arrays[0])
    arrays = tuple(_array(x) for x in arrays)
    inputs, output = _read(equation, [x.shape for x in arrays])
    return _in_pairs(_squeezed(equation, [_diagonals(s, x) for s, x in zip(inputs, arrays)]), output)


def _from_lists(operands: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    """The form ``einsum(x, [0, 1], y, [1, 2], [0, 2])`` as subscripts."""

    def text(axes: Any) -> str:
        return "".join("..." if a is Ellipsis else ascii_letters[a] for a in axes)

    pairs = len(operands) // 2
    equation = ",".join(text(axes) for axes in operands[1 : 2 * pairs : 2])
    return equation + (f"->{text(operands[-1])}" if len(operands) % 2 else ""), operands[: 2 * pairs : 2]


def _read(equation: str, shapes: Sequence[tuple[int, ...]]) -> tuple[list[str], str]:
    """Subscripts of each operand and of the output, explicit, with letters in the place of each ellipsis."""
    given, arrow, output = equation.replace(" ", "").partition("->")
    terms = given.split(",")
    strange = set(given + output) - set(ascii_letters + ",.")
    if strange or any("." in t.replace("...", "", 1) for t in (*terms, output)) or "," in output:
        raise ValueError(f"einsum: {equation!r} is not letters for each operand, such as 'ij,jk->ik' or '...i,i->...'")
    if len(terms) != len(shapes):
        raise ValueError(f"einsum: {equation!r} is about {len(terms)} operands, not {len(shapes)}")
    extra = []  # how many axes each ellipsis stands for
    for k, (term, shape) in enumerate(zip(terms, shapes)):
        extra.append(len(shape) - len(term.replace("...", "")))
        if extra[-1] < 0 or (extra[-1] and "..." not in term):
            raise ShapeError(f"einsum: {equation!r} gives operand {k} the subscripts {term!r}, its shape is {shape}")
    dots = _unused(given, max(extra))
    terms = [term.replace("...", dots[len(dots) - n :]) for term, n in zip(terms, extra)]
    if arrow:
        output = output.replace("...", dots)
    else:
        letters = given.replace("...", "").replace(",", "")
        output = dots + "".join(c for c in sorted(set(letters)) if letters.count(c) == 1)
    if len(set(output)) != len(output) or not set(output) <= set("".join(terms)):
        raise ValueError(f"einsum: the output of {equation!r} must name letters of the operands, each once")
    return terms, output


def _diagonals(letters: str, x: Any) -> tuple[str, Any]:
    """An operand with the diagonal taken of every letter that it repeats."""
    for c in letters:
        while letters.count(c) > 1:
            i = letters.index(c)
            j = letters.index(c, i + 1)
            if x.shape[i] != x.shape[j]:
                raise ShapeError(f"einsum: the letter {c!r} has sizes {x.shape[i]} and {x.shape[j]} in one operand")
            x = np.diagonal(x, 0, i, j)
            letters = letters[:i] + letters[i + 1 : j] + letters[j + 1 :] + c
    return letters, x


def _squeezed(equation: str, terms: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """The operands without the axes of size 1 that another operand has larger: so they broadcast."""
    sizes: dict[str, int] = {}
    for letters, x in terms:
        for c, n in zip(letters, x.shape):
            if sizes.setdefault(c, n) != n and 1 not in (n, sizes[c]):
                raise ShapeError(f"einsum: {equation!r}: the letter {c!r} has sizes {sizes[c]} and {n} in two operands")
            sizes[c] = n if sizes[c] == 1 else sizes[c]
    squeezed = []
    for letters, x in terms:
        kept = [k for k, c in enumerate(letters) if x.shape[k] == sizes[c]]
        if len(kept) < len(letters):
            letters, x = "".join(letters[k] for k in kept), x.reshape([x.shape[k] for k in kept])
        squeezed.append((letters, x))
    return squeezed


def _in_pairs(terms: list[tuple[str, Any]], output: str) -> Any:
    """The einsum of operands that repeat no letter: two at a time, the pair with the smallest result first."""
    while len(terms) > 1:
        i, j = min(itertools.combinations(range(len(terms)), 2), key=lambda pair: _size_of_pair(terms, pair, output))
        rest = [term for k, term in enumerate(terms) if k not in (i, j)]
        needed = output + "".join(letters for letters, _ in rest)
        xs, x = _summed(*terms[i], needed + terms[j][0])
        ys, y = _summed(*terms[j], needed + xs)
        made = "".join(c for c in dict.fromkeys(xs + ys) if c in needed) if rest else output
        terms = [*rest, (made, _contract(x, y, spec=(xs, ys, made)))]
    letters, x = _summed(*terms[0], output)
    return x if letters == output else np.transpose(x, [letters.index(c) for c in output])


def _size_of_pair(terms: list[tuple[str, Any]], pair: tuple[int, int], output: str) -> int:
    needed = set(output).union(*(letters for k, (letters, _) in enumerate(terms) if k not in pair))
    sizes = {c: n for k in pair for c, n in zip(terms[k][0], terms[k][1].shape) if c in needed}
    return math.prod(sizes.values())


def _summed(letters: str, x: Any, needed: str) -> tuple[str, Any]:
    """An operand summed over the letters that nobody needs."""
    gone = tuple(k for k, c in enumerate(letters) if c not in needed)
    return ("".join(c for c in letters if c in needed), sum(x, gone)) if gone else (letters, x)


@public(np.tensordot, np.linalg.tensordot)
def tensordot(x: Any, y: Any, axes: Any = 2, *, dims: Any = None) -> Any:
    """Products summed over pairs of axes; the result has the other axes of ``x``, then those of ``y``.

    Parameters
    ----------
    x, y : arrays
    axes : int or pair of (int or sequences of int)
        The axes of ``x`` and those of ``y``; a number n pairs the last n of ``x`` with the first n of ``y``. PyTorch
        calls it ``dims``.

    Raises
    ------
    ShapeError
        The sizes of a pair of axes differ, or there are more axes on one side.
    """
    axes = axes if dims is None else dims
    if isinstance(axes, (int, np.integer)):
        axes = (range(-axes, 0), range(axes))
    of_x, of_y = ([axis_along("tensordot", a, i)[0] for i in np.atleast_1d(k)] for a, k in zip((x, y), axes))
    if [x.shape[i] for i in of_x] != [y.shape[j] for j in of_y]:
        raise ShapeError(f"tensordot: axes {of_x} of shape {x.shape} and {of_y} of shape {y.shape} differ in size")
    xs = _unused("", x.ndim)
    ys = list(_unused(xs, y.ndim))
    for i, j in zip(of_x, of_y):
        ys[j] = xs[i]
    out = "".join(c for c in [*xs, *ys] if (c in xs) != (c in ys))
    return _contract(x, y, spec=(xs, "".join(ys), out))


@public()
def bilinear(x: Any, y: Any, weight: Any, bias: Any = None) -> Any:
    """xᵀ A_k y + b_k for each k: ``weight`` is (out, in1, in2), ``x`` (*batch, in1), ``y`` (*batch, in2)."""
    z = einsum("...i,kij,...j->...k", x, weight, y)
    return z if bias is None else z + bias
