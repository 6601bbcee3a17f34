"""The structures: each keeps the few numbers that determine its matrix."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ShapeError
from .base import Array, Jacobian, Shape, Transposed, products
from .rows import Outer, by_sample


class Diagonal(Jacobian):
    """diag(d): each output depends on the input at its own place. Every elementwise function has one.

    Parameters
    ----------
    d : array
        The derivative of each entry; its shape is that of input and output.

    Examples
    --------
    >>> import numpy as np
    >>> J = Diagonal(np.array([2.0, 3.0]))
    >>> J @ np.array([1.0, 1.0])
    array([2., 3.])
    """

    structure = "diagonal"

    def __init__(self, d: Array) -> None:
        super().__init__(np.shape(d), np.shape(d))
        self.d = d

    @property
    def nnz(self) -> int:
        return int(np.count_nonzero(self.d))

    def _jvp(self, v: Array, lead: Shape) -> Array:
        return self.d * v

    def _vjp(self, u: Array, lead: Shape) -> Array:
        return self.d * u

    def _dense(self) -> np.ndarray[Any, Any]:
        return np.diag(np.ravel(_values(self.d)))

    def _transpose(self) -> Jacobian:
        return self

    def _apart(self, samples: int, out_stride: int, in_stride: int) -> bool:
        return out_stride == in_stride


class Identity(Jacobian):
    """I: the output is the input, entry for entry, perhaps in another shape of the same size.

    Parameters
    ----------
    shape : tuple of int, or int
    out_shape : tuple of int, optional
        Where input and output are shaped differently, as in a reshape.
    """

    structure = "identity"

    def __init__(self, shape: Sequence[int] | int, out_shape: Sequence[int] | None = None) -> None:
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        super().__init__(shape if out_shape is None else out_shape, shape)
        if math.prod(self.out_shape) != math.prod(self.in_shape):
            raise ShapeError(f"an identity from {self.in_shape} to {self.out_shape} would change the number of entries")

    @property
    def nnz(self) -> int:
        return self.shape[0]

    def _jvp(self, v: Array, lead: Shape) -> Array:
        return v.reshape(lead + self.out_shape)

    def _vjp(self, u: Array, lead: Shape) -> Array:
        return u.reshape(lead + self.in_shape)

    def _dense(self) -> np.ndarray[Any, Any]:
        return np.eye(self.shape[0])

    def _transpose(self) -> Jacobian:
        return Identity(self.out_shape, self.in_shape)

    def _apart(self, samples: int, out_stride: int, in_stride: int) -> bool:
        return out_stride == in_stride

    def _vjp_rows(self, rows: Any, lead: Shape) -> Any:
        return rows if self.in_shape == self.out_shape else super()._vjp_rows(rows, lead)


class Selection(Jacobian):
    """Each output is one of the inputs, or zero: one 1 at most in each row of the matrix.

    Reshape, transpose, index, gather, flip, pad, broadcast, concatenate and max-pooling are selections; the transpose
    of one is a sum or a scatter.

    Parameters
    ----------
    index : integer array of shape out_shape
        For each output the flat (row-major) position of its input, or -1 for zero.
    in_shape : tuple of int

    Examples
    --------
    >>> import numpy as np
    >>> Selection(np.array([2, -1, 2]), (3,)).dense()
    array([[0., 0., 1.],
           [0., 0., 0.],
           [0., 0., 1.]])
    """

    structure = "selection"

    def __init__(self, index: np.ndarray[Any, Any], in_shape: Sequence[int]) -> None:
        super().__init__(np.shape(index), in_shape)
        self.index = index
        self.has_zeros = bool((index < 0).any())

    @classmethod
    def of(cls, rearrange: Any, in_shape: Sequence[int]) -> Selection:
        """The selection that a function of arrays performs, found by handing it the positions 0, 1, 2, …

        For functions that move entries without computing with them: ``Selection.of(lambda a: a[::2], (6,))``.
        """
        positions = np.arange(math.prod(in_shape)).reshape(tuple(in_shape))
        return cls(np.asarray(rearrange(positions)), in_shape)

    @classmethod
    def broadcast(cls, in_shape: Sequence[int], out_shape: Sequence[int]) -> Selection:
        """How an array of ``in_shape`` is repeated to fill ``out_shape``; the transpose is `unbroadcast`.

        Raises
        ------
        ShapeError
        """
        try:
            return cls.of(lambda positions: np.broadcast_to(positions, tuple(out_shape)), in_shape)
        except ValueError as error:
            raise ShapeError(f"shape {tuple(in_shape)} does not broadcast to {tuple(out_shape)}") from error

    @property
    def nnz(self) -> int:
        return int(np.count_nonzero(self.index >= 0))

    @functools.cached_property
    def _permutation(self) -> tuple[Shape, tuple[int, ...]] | None:
        """Where axes are permuted and no more: the input's sizes, and which of them each axis of the output is."""
        axes = [k for k, size in enumerate(self.out_shape) if size > 1]
        if self.has_zeros or not axes or not self.index.size or self.shape[0] != self.shape[1]:
            return None
        corner = self.index[(0,) * self.index.ndim]
        strides = {k: self.index[tuple(int(a == k) for a in range(self.index.ndim))] - corner for k in axes}
        order = sorted(axes, key=lambda k: -strides[k])
        sizes, places = tuple(self.out_shape[k] for k in order), tuple(order.index(k) for k in axes)
        permuted = np.arange(self.shape[1]).reshape(sizes).transpose(places)
        return (sizes, places) if (permuted == self.index.reshape(permuted.shape)).all() else None

    def _jvp(self, v: Array, lead: Shape) -> Array:
        if self._permutation is not None:
            sizes, places = self._permutation
            return _permuted(v.reshape(lead + sizes), places).reshape(lead + self.out_shape)
        picked = (
            v.reshape((*lead, self.shape[1]))[..., self.index]
            if self.shape[1]
            else np.zeros(lead + self.out_shape, v.dtype)
        )
        return np.where(self.index >= 0, picked, 0.0) if self.has_zeros else picked

    @functools.cached_property
    def inverse(self) -> Selection | None:
        """The transpose, where it is a selection too: where no input is chosen twice."""
        chosen = np.flatnonzero(self.index.reshape(-1) >= 0)
        back = np.full(self.shape[1], -1)
        back[self.index.reshape(-1)[chosen]] = chosen
        if np.count_nonzero(back >= 0) < len(chosen):
            return None
        return Selection(back.reshape(self.in_shape), self.out_shape)

    def _vjp(self, u: Array, lead: Shape) -> Array:
        if self._permutation is not None:
            sizes, places = self._permutation
            u = u.reshape(lead + tuple(sizes[k] for k in places))
            return _permuted(u, tuple(np.argsort(places))).reshape(lead + self.in_shape)
        if self.inverse is not None:
            return self.inverse._jvp(u, lead)
        m, n = self.shape
        rows = math.prod(lead)
        kept = np.flatnonzero(self.index.reshape(-1) >= 0)
        # One bin for each entry of each leading row: what falls into a bin is summed.
        bins = (np.arange(rows)[:, None] * n + self.index.reshape(-1)[kept]).reshape(-1)
        total = np.bincount(bins, weights=u.reshape(rows, m)[:, kept].reshape(-1), minlength=rows * n)
        return total.reshape(lead + self.in_shape).astype(u.dtype)

    def _transpose(self) -> Jacobian:
        return Transposed(self) if self.inverse is None else self.inverse

    def _apart(self, samples: int, out_stride: int, in_stride: int) -> bool:
        place = self.index.reshape(-1, samples, out_stride) // in_stride
        place %= samples
        own = place == np.arange(samples).reshape(samples, 1)
        return bool(own.all() or (own | (self.index < 0).reshape(own.shape)).all())

    def _vjp_each(self, u: Array, lead: Shape, samples: int, stride: int) -> Any:
        index = by_sample(self.index, samples, stride)
        u = by_sample(u.reshape((*lead, self.shape[0])), samples, stride, len(lead))
        if (index == index[:1]).all():  # every sample chooses the same inputs
            return Selection(index[0], self.in_shape)._vjp(u, (*lead, samples))
        apart = np.where(index < 0, -1, index + np.arange(samples)[:, None] * self.shape[1])
        return Selection(apart, (samples, *self.in_shape))._vjp(u, lead)

    def _vjp_rows(self, rows: Any, lead: Shape) -> Any:
        if isinstance(rows, Outer) and self._permutation == (self.in_shape, (1, 0)):
            return rows.transposed()
        return super()._vjp_rows(rows, lead)

    def _dense(self) -> np.ndarray[Any, Any]:
        matrix = np.zeros(self.shape)
        rows = np.flatnonzero(self.index.reshape(-1) >= 0)
        matrix[rows, self.index.reshape(-1)[rows]] = 1.0
        return matrix


class Kron(Jacobian):
    """A ⊗ B: the derivative of ``A X Bᵀ`` with respect to X, of which matrix products and linear layers are made.

    Parameters
    ----------
    a : array of shape (*batch, m, n), or Identity
    b : array of shape (*batch, p, q), or Identity
        X is ``(*batch, n, q)``, the output ``(*batch, m, p)``. With a batch, the matrix is block diagonal with one
        Kronecker product for each block. An `Identity` factor is not stored and costs nothing.
    batch : tuple of int, optional
        The batch axes; those of ``a`` and ``b`` broadcast against each other by default.

    Notes
    -----
    With row-major flattening vec(A X Bᵀ) = (A ⊗ B) vec(X); stacking columns instead it is (B ⊗ A) vec(X).
    """

    def __init__(self, a: Array, b: Array, batch: Sequence[int] | None = None) -> None:
        self.a = a
        self.b = b
        (m, n), (p, q) = _matrix_shape(a), _matrix_shape(b)
        if batch is None:
            batch = np.broadcast_shapes(*(np.shape(f)[:-2] for f in (a, b) if not isinstance(f, Identity)))
        self.batch: Shape = tuple(batch)
        super().__init__((*self.batch, m, p), (*self.batch, n, q))

    @property
    def structure(self) -> str:  # type: ignore[override]
        return "block diagonal kron" if math.prod(self.batch) != 1 else "kron"

    @property
    def nnz(self) -> int:
        if isinstance(self.a, Identity) and isinstance(self.b, Identity):
            return self.shape[0]
        per_a, per_b = (np.asarray(_count(f)) for f in (self.a, self.b))
        return int(np.broadcast_to(per_a * per_b, self.batch).sum())

    def _jvp(self, v: Array, lead: Shape) -> Array:
        if not isinstance(self.a, Identity):
            v = self.a @ v
        if not isinstance(self.b, Identity):
            v = _rows_times(v, self.b.swapaxes(-1, -2))
        return v

    def _vjp(self, u: Array, lead: Shape) -> Array:
        if not isinstance(self.a, Identity):
            u = self.a.swapaxes(-1, -2) @ u
        if not isinstance(self.b, Identity):
            u = _rows_times(u, self.b)
        return u

    def _dense(self) -> np.ndarray[Any, Any]:
        a, b = (f._dense() if isinstance(f, Identity) else _values(f) for f in (self.a, self.b))
        blocks = np.einsum("...mn,...pq->...mpnq", a, b)
        (m, p), (n, q) = self.out_shape[-2:], self.in_shape[-2:]
        return _block_diagonal(
            np.broadcast_to(blocks, (*self.batch, m, p, n, q)).reshape(math.prod(self.batch), m * p, n * q)
        )

    def _transpose(self) -> Jacobian:
        return Kron(_matrix_transpose(self.a), _matrix_transpose(self.b), self.batch)

    def _apart(self, samples: int, out_stride: int, in_stride: int) -> bool:
        axis = _axis_of(samples, out_stride, self.out_shape)
        if axis is None or axis != _axis_of(samples, in_stride, self.in_shape):
            return False
        return axis < len(self.batch) or isinstance((self.a, self.b)[axis - len(self.batch)], Identity)

    def _vjp_each(self, u: Array, lead: Shape, samples: int, stride: int) -> Any:
        axis = _axis_of(samples, stride, self.out_shape)
        if self.batch or axis is None or isinstance((self.a, self.b)[axis], Identity):
            return super()._vjp_each(u, lead, samples, stride)
        # With samples along the rows, that of sample i is a_i ⊗ (u_i B); along the columns b_i ⊗ (Aᵀ u)_i, transposed.
        factor = (self.a, self.b)[axis]
        rest = Kron(Identity(self.out_shape[0]), self.b) if axis == 0 else Kron(self.a, Identity(self.out_shape[1]))
        v = rest._vjp(u, lead)
        v = v.swapaxes(-1, -2) if axis else v
        return Outer(
            factor.reshape((samples, -1, factor.shape[1])), v.reshape((*lead, samples, -1, v.shape[-1])), bool(axis)
        )


class BlockDiag(Jacobian):
    """A block for each batch entry: the output of one depends on the input of that one alone.

    Parameters
    ----------
    blocks : array of shape (*batch, m, n)
        The input is ``(*batch, n)``, the output ``(*batch, m)``.
    """

    structure = "block diagonal"

    def __init__(self, blocks: Array) -> None:
        *batch, m, n = np.shape(blocks)
        super().__init__((*batch, m), (*batch, n))
        self.blocks = blocks

    @property
    def nnz(self) -> int:
        return int(np.count_nonzero(self.blocks))

    def _jvp(self, v: Array, lead: Shape) -> Array:
        return (self.blocks @ v[..., None])[..., 0]

    def _vjp(self, u: Array, lead: Shape) -> Array:
        return (self.blocks.swapaxes(-1, -2) @ u[..., None])[..., 0]

    def _dense(self) -> np.ndarray[Any, Any]:
        blocks = _values(self.blocks)
        return _block_diagonal(blocks.reshape(math.prod(blocks.shape[:-2]), *blocks.shape[-2:]))

    def _transpose(self) -> Jacobian:
        return BlockDiag(self.blocks.swapaxes(-1, -2))

    def _apart(self, samples: int, out_stride: int, in_stride: int) -> bool:
        axis = _axis_of(samples, out_stride, self.out_shape)
        return axis == _axis_of(samples, in_stride, self.in_shape) and axis in range(len(self.out_shape) - 1)


class DiagPlusLowRank(Jacobian):
    """diag(d) + U Vᵀ, along some axes: softmax's diag(p) - p pᵀ, and what centring and normalising do.

    Parameters
    ----------
    d : array
        The diagonal; its shape is that of input and output.
    u, v : array of shape (rank, *shape)
    axes : tuple of int
        The axes, counted from the end, that the low-rank part couples; over the others the matrix is block diagonal.

    Notes
    -----
    ``J x = d x + Σ_r u_r Σ_axes(v_r x)``.
    """

    structure = "diagonal + low rank"

    def __init__(self, d: Array, u: Array, v: Array, axes: Sequence[int]) -> None:
        super().__init__(np.shape(d), np.shape(d))
        self.d, self.u, self.v = d, u, v
        self.axes = tuple(axes)

    @property
    def nnz(self) -> int:
        coupled = math.prod(self.out_shape[a] for a in self.axes)
        return self.shape[0] * coupled

    def _multiply(self, x: Array, u: Array, v: Array) -> Array:
        out = self.d * x
        for r in range(np.shape(u)[0]):
            out = out + u[r] * (v[r] * x).sum(axis=self.axes, keepdims=True)
        return out

    def _jvp(self, v: Array, lead: Shape) -> Array:
        return self._multiply(v, self.u, self.v)

    def _vjp(self, u: Array, lead: Shape) -> Array:
        return self._multiply(u, self.v, self.u)

    def _dense(self) -> np.ndarray[Any, Any]:
        d, u, v = _values(self.d), _values(self.u), _values(self.v)
        ndim = d.ndim
        coupled = [ndim + a for a in self.axes]
        batch = [k for k in range(ndim) if k not in coupled]
        # Entries (i, j) of the low-rank part are u_i v_j where i and j agree on the batch axes, and 0 elsewhere.
        size = d.size
        low = u.reshape(len(u), size).T @ v.reshape(len(v), size)
        block = np.zeros(d.shape, dtype=np.int64)
        for k in batch:
            block = block * d.shape[k] + np.expand_dims(np.arange(d.shape[k]), [a for a in range(ndim) if a != k])
        same = block.reshape(-1, 1) == block.reshape(1, -1)
        return np.diag(d.reshape(-1)) + np.where(same, low, 0.0)

    def _transpose(self) -> Jacobian:
        return DiagPlusLowRank(self.d, self.v, self.u, self.axes)

    def _apart(self, samples: int, out_stride: int, in_stride: int) -> bool:
        axis = _axis_of(samples, out_stride, self.out_shape)
        return out_stride == in_stride and axis is not None and axis - len(self.out_shape) not in self.axes


class Toeplitz(Jacobian):
    """A convolution as a matrix: each row holds the kernel, shifted to the patch that its output looks at.

    Parameters
    ----------
    weight : array of shape (groups, outputs, taps)
        The kernels, flattened, one row for each output channel of a group.
    patches : integer array of shape (groups, taps, positions)
        For each tap of each output position the flat index of the input entry of one sample, -1 for padding.
    out_shape : tuple of int
        (batch, channels, *spatial), with ``groups * outputs`` channels and ``positions`` places.
    in_shape : tuple of int
        (batch, channels, *spatial).

    Notes
    -----
    Proposition 2 of Damadi, Moharrer and Cham: the matrix is doubly block Toeplitz for a two-dimensional convolution
    of one channel, a block of such matrices for several. It is kept as weight times patch selection.
    """

    structure = "toeplitz"

    def __init__(self, weight: Array, patches: np.ndarray[Any, Any], out_shape: Sequence[int], in_shape: Sequence[int]):
        super().__init__(out_shape, in_shape)
        self.weight = weight
        self.patches = patches
        self.samples = self.in_shape[0]
        self._select = Selection(patches, (math.prod(self.in_shape[1:]),))

    @property
    def nnz(self) -> int:
        taps_in_use = np.count_nonzero(self.patches >= 0, axis=2)  # (groups, taps)
        return int(self.samples * (np.count_nonzero(_values(self.weight), axis=1) * taps_in_use).sum())

    def _jvp(self, v: Array, lead: Shape) -> Array:
        lead = (*lead, self.samples)
        patches = self._select._jvp(v.reshape(lead + self._select.in_shape), lead)
        return (self.weight @ patches).reshape(lead + self.out_shape[1:])

    def _vjp(self, u: Array, lead: Shape) -> Array:
        lead = (*lead, self.samples)
        groups, outputs, _ = np.shape(self.weight)
        per_tap = self.weight.swapaxes(-1, -2) @ u.reshape((*lead, groups, outputs, self.patches.shape[2]))
        return self._select._vjp(per_tap, lead).reshape(lead + self.in_shape[1:])

    def _dense(self) -> np.ndarray[Any, Any]:
        weight = _values(self.weight)
        groups, outputs, taps = weight.shape
        positions = self.patches.shape[2]
        one = np.zeros((groups, outputs, positions, math.prod(self.in_shape[1:])), dtype=weight.dtype)
        for g in range(groups):
            for k in range(taps):
                places = np.flatnonzero(self.patches[g, k] >= 0)
                one[g, :, places, self.patches[g, k, places]] += weight[g, :, k]
        one = one.reshape(groups * outputs * positions, -1)
        return _block_diagonal(np.broadcast_to(one, (self.samples, *one.shape)))

    def _apart(self, samples: int, out_stride: int, in_stride: int) -> bool:
        return _axis_of(samples, out_stride, self.out_shape) == _axis_of(samples, in_stride, self.in_shape) == 0


class Contraction(Jacobian):
    """The derivative of an `einsum` with respect to one operand: the einsum with that operand left open.

    Parameters
    ----------
    spec : (list of str, str)
        The subscripts of the operands and of the output, explicit, without ellipsis or repeated letters in an operand.
    operands : sequence of arrays
    index : int
        Which operand is the input.
    in_shape, out_shape : tuple of int
    """

    structure = "contraction"

    def __init__(
        self, spec: tuple[Sequence[str], str], operands: Sequence[Array], index: int, out_shape: Shape, in_shape: Shape
    ) -> None:
        super().__init__(out_shape, in_shape)
        self.inputs, self.output = list(spec[0]), spec[1]
        self.index = index
        self.others = [(s, o) for k, (s, o) in enumerate(zip(self.inputs, operands, strict=True)) if k != index]

    def _jvp(self, v: Array, lead: Shape) -> Array:
        subscripts = ",".join([f"...{self.inputs[self.index]}", *(s for s, _ in self.others)])
        return np.einsum(f"{subscripts}->...{self.output}", v, *(o for _, o in self.others))

    def _vjp(self, u: Array, lead: Shape) -> Array:
        wanted = self.inputs[self.index]
        others = "".join([self.output, *(s for s, _ in self.others)])
        present = "".join(c for c in wanted if c in others)
        subscripts = ",".join([f"...{self.output}", *(s for s, _ in self.others)])
        c = np.einsum(f"{subscripts}->...{present}", u, *(o for _, o in self.others))
        # A letter of the input that appears nowhere else was summed over: its cotangent is the same along that axis.
        absent = tuple(k - len(wanted) for k, letter in enumerate(wanted) if letter not in others)
        c = c.reshape(lead + tuple(1 if k - len(wanted) in absent else n for k, n in enumerate(self.in_shape)))
        return np.broadcast_to(c, lead + self.in_shape)

    def _dense(self) -> np.ndarray[Any, Any]:
        # J[out, in] = Σ over the other letters, with the input replaced by one Kronecker delta for each of its axes.
        letters = iter(
            c for c in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in "".join(self.inputs)
        )
        mine = self.inputs[self.index]
        fresh = [next(letters) for _ in mine]
        deltas = [(old + new, np.eye(n)) for old, new, n in zip(mine, fresh, self.in_shape, strict=True)]
        terms = [*deltas, *((s, _values(o)) for s, o in self.others)]
        spec = ",".join(s for s, _ in terms) + "->" + self.output + "".join(fresh)
        return np.einsum(spec, *(o for _, o in terms), optimize=True).reshape(self.shape)

    def _apart(self, samples: int, out_stride: int, in_stride: int) -> bool:
        out, mine = _axis_of(samples, out_stride, self.out_shape), _axis_of(samples, in_stride, self.in_shape)
        return out is not None and mine is not None and self.output[out] == self.inputs[self.index][mine]


class Dense(Jacobian):
    """A matrix without structure that we know of.

    Parameters
    ----------
    matrix : array of shape (m, n)
    out_shape, in_shape : tuple of int, optional
        Shapes of m and n entries; ``(m,)`` and ``(n,)`` by default.
    """

    structure = "dense"

    def __init__(
        self, matrix: Array, out_shape: Sequence[int] | None = None, in_shape: Sequence[int] | None = None
    ) -> None:
        m, n = np.shape(matrix)
        super().__init__((m,) if out_shape is None else out_shape, (n,) if in_shape is None else in_shape)
        if self.shape != (m, n):
            raise ShapeError(f"a {m} x {n} matrix cannot map {self.in_shape} to {self.out_shape}")
        self.matrix = matrix

    @property
    def nnz(self) -> int:
        return int(np.count_nonzero(self.matrix))

    def _jvp(self, v: Array, lead: Shape) -> Array:
        return (v.reshape((*lead, self.shape[1])) @ self.matrix.swapaxes(-1, -2)).reshape(lead + self.out_shape)

    def _vjp(self, u: Array, lead: Shape) -> Array:
        return (u.reshape((*lead, self.shape[0])) @ self.matrix).reshape(lead + self.in_shape)

    def _dense(self) -> np.ndarray[Any, Any]:
        return np.array(_values(self.matrix))

    def _transpose(self) -> Jacobian:
        return Dense(self.matrix.swapaxes(-1, -2), self.in_shape, self.out_shape)


# ------------------------------------------------------------------------------------------------ products


def _identity_left(left: Identity, right: Jacobian) -> Jacobian | None:
    return right if left.in_shape == left.out_shape else None


def _identity_right(left: Jacobian, right: Identity) -> Jacobian | None:
    return left if right.in_shape == right.out_shape else None


def _kron_kron(left: Kron, right: Kron) -> Jacobian | None:
    if left.batch != right.batch:
        return None
    return Kron(_matrix_product(left.a, right.a), _matrix_product(left.b, right.b), left.batch)


def _selection_selection(left: Selection, right: Selection) -> Jacobian:
    flat = right.index.reshape(-1)
    index = flat[left.index] if flat.size else np.full(left.out_shape, -1)
    return Selection(np.where(left.index >= 0, index, -1) if left.has_zeros else index, right.in_shape)


def _dense_dense(left: Dense, right: Dense) -> Jacobian:
    return Dense(left.matrix @ right.matrix, left.out_shape, right.in_shape)


products[Identity, Jacobian] = _identity_left
products[Jacobian, Identity] = _identity_right
products[Identity, Identity] = lambda left, right: Identity(right.in_shape, left.out_shape)
products[Identity, Selection] = lambda left, right: Selection(right.index.reshape(left.out_shape), right.in_shape)
products[Selection, Identity] = lambda left, right: Selection(left.index, right.in_shape)
products[Diagonal, Diagonal] = lambda left, right: Diagonal(left.d * right.d)
products[Selection, Selection] = _selection_selection
products[Kron, Kron] = _kron_kron
products[Dense, Dense] = _dense_dense


# ------------------------------------------------------------------------------------------------ helpers


def _values(array: Array) -> np.ndarray[Any, Any]:
    """The plain numbers of an ndarray, a scalar or a Tensor."""
    return np.asarray(getattr(array, "array", array))


def _permuted(array: Array, places: Sequence[int]) -> Array:
    """The last axes in another order; a view."""
    lead = array.ndim - len(places)
    return np.transpose(array, (*range(lead), *(lead + int(k) for k in places)))


def _axis_of(samples: int, stride: int, shape: Shape) -> int | None:
    """The axis of an array whose entries, or equal runs of them, are the samples."""
    for axis, size in enumerate(shape):
        below = math.prod(shape[axis + 1 :])
        if size * below == samples * stride and stride % below == 0:
            return axis
    return None


def _matrix_shape(factor: Array) -> tuple[int, int]:
    m, n = factor.shape if isinstance(factor, Identity) else np.shape(factor)[-2:]
    return int(m), int(n)


def _matrix_transpose(factor: Array) -> Array:
    return factor if isinstance(factor, Identity) else factor.swapaxes(-1, -2)


def _rows_times(stack: Array, matrix: Array) -> Array:
    """A stack of matrices times one: as one tall matrix, which is one product instead of many."""
    if matrix.ndim > 2 or stack.ndim <= 2:
        return stack @ matrix
    rows = math.prod(stack.shape[:-1])
    return (stack.reshape((rows, stack.shape[-1])) @ matrix).reshape((*stack.shape[:-1], matrix.shape[-1]))


def _matrix_product(left: Array, right: Array) -> Array:
    if isinstance(left, Identity):
        return right
    return left if isinstance(right, Identity) else left @ right


def _count(factor: Array) -> Any:
    """Non-zero entries of each matrix of a batch."""
    return factor.shape[0] if isinstance(factor, Identity) else np.count_nonzero(_values(factor), axis=(-2, -1))


def _block_diagonal(blocks: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The matrix with the given (count, m, n) blocks along its diagonal."""
    count, m, n = blocks.shape
    matrix = np.zeros((count, m, count, n), dtype=blocks.dtype)
    matrix[np.arange(count), :, np.arange(count), :] = blocks
    return matrix.reshape(count * m, count * n)
