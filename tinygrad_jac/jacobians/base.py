"""`Jacobian`, a linear map between arrays of two shapes, and what is built from others: transpose, product, sum."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from ..errors import ShapeError
from .rows import full, owners

Array = Any  # an ndarray, or a Tensor
Shape = tuple[int, ...]


class Jacobian:
    """The derivative of an array of ``out_shape`` with respect to an array of ``in_shape``.

    As a matrix it is m by n in numerator layout: row i holds the derivatives of output i, both arrays being flattened
    row-major. A subclass keeps the few numbers that determine this matrix and states it twice: as the products
    `jvp` and `vjp`, and entry by entry in `dense`. The two share no code, so that one can be held against the other.

    Subclasses give ``structure`` and the methods ``_jvp``, ``_vjp``, ``_dense``, ``_transpose``.

    Attributes
    ----------
    out_shape, in_shape : tuple of int
    structure : str
        One word for the form of the matrix.
    """

    structure = "jacobian"
    independent = True  # stated by itself, and not read off a VJP rule, which it then cannot be held against
    __array_ufunc__ = None  # ndarray @ Jacobian is the Jacobian's business

    def __init__(self, out_shape: Sequence[int], in_shape: Sequence[int]) -> None:
        self.out_shape: Shape = tuple(out_shape)
        self.in_shape: Shape = tuple(in_shape)

    # ---- for subclasses: v is (*lead, *in_shape), u is (*lead, *out_shape), and lead is given

    def _jvp(self, v: Array, lead: Shape) -> Array:
        raise NotImplementedError

    def _vjp(self, u: Array, lead: Shape) -> Array:
        raise NotImplementedError

    def _dense(self) -> np.ndarray[Any, Any]:
        raise NotImplementedError

    def _transpose(self) -> Jacobian:
        return Transposed(self)

    # ---- for batches: entry f of an array, counted row-major, belongs to sample f // stride % samples

    def _apart(self, samples: int, out_stride: int, in_stride: int) -> bool:
        """Whether the structure says that outputs of a sample depend on inputs of that sample alone."""
        return False

    def _vjp_each(self, u: Array, lead: Shape, samples: int, stride: int) -> Any:
        # Each sample's part of the cotangent by itself, zeros elsewhere.
        own = owners(self.out_shape, stride, samples) == np.arange(samples).reshape(-1, *[1] * len(self.out_shape))
        return self._vjp(u.reshape((*lead, 1, *self.out_shape)) * own.astype(u.dtype), (*lead, samples))

    def _vjp_rows(self, rows: Any, lead: Shape) -> Any:
        """`_vjp` of rows that may be factored."""
        return self._vjp(full(rows), lead)

    # ---- for everybody

    @property
    def shape(self) -> tuple[int, int]:
        """(m, n): the matrix's rows, one for each output entry, and columns, one for each input entry."""
        return math.prod(self.out_shape), math.prod(self.in_shape)

    @property
    def nnz(self) -> int:
        """How many entries the structure holds that may be non-zero: at least ``count_nonzero(dense())``."""
        return int(np.count_nonzero(self.dense()))

    @property
    def counts_cheaply(self) -> bool:
        """Whether ``nnz`` is known without writing the matrix down."""
        return type(self).nnz is not Jacobian.nnz

    @property
    def density(self) -> float:
        """``nnz`` as a part of all entries; 0 for a matrix without entries."""
        return self.nnz / max(math.prod(self.shape), 1)

    @property
    def T(self) -> Jacobian:
        """The transpose: a map from outputs to inputs, in the structured form again."""
        return self._transpose()

    def jvp(self, v: Array) -> Array:
        """``J v``: the tangent of the output from a tangent of the input.

        Parameters
        ----------
        v : array of shape (*lead, *in_shape)

        Returns
        -------
        array of shape (*lead, *out_shape)

        Raises
        ------
        ShapeError
        """
        return self._jvp(v, _lead(v, self.in_shape, "a tangent of the input"))

    def vjp(self, u: Array) -> Array:
        """``Jᵀ u``: the cotangent of the input from a cotangent of the output.

        Parameters
        ----------
        u : array of shape (*lead, *out_shape)

        Returns
        -------
        array of shape (*lead, *in_shape)

        Raises
        ------
        ShapeError
        """
        return self._vjp(u, _lead(u, self.out_shape, "a cotangent of the output"))

    def follow(self, samples: int, stride: int) -> int | None:
        """Where the samples of a batch are in the input, if outputs depend on inputs of their own sample alone.

        Entry f of an array, counted row-major, belongs to sample ``f // stride % samples``: along the first axis of
        ``(samples, n)`` the stride is n, along the second of ``(n, samples)`` it is 1.

        Parameters
        ----------
        samples : int
        stride : int
            Of the output.

        Returns
        -------
        int or None
            The stride of the input; None where samples mix, or where the structure does not tell that they do not.
        """
        m, n = self.shape
        if not n or n % samples or m % samples:
            return None
        strides = [stride]
        for k, size in enumerate(self.in_shape):
            if size and size % samples == 0:
                strides.append(math.prod(self.in_shape[k:]) // samples)
        return next((s for s in strides if n % (samples * s) == 0 and self._apart(samples, stride, s)), None)

    def vjp_each(self, u: Array, samples: int, stride: int) -> Any:
        """The cotangent of the input from each sample of the output by itself, not summed.

        Parameters
        ----------
        u : array of shape (*lead, *out_shape)
        samples, stride : int
            Where the samples are in the output, as in `follow`.

        Returns
        -------
        array of shape (*lead, samples, *in_shape), or an `Outer` that stands for one
            A Kronecker product gives the factors of its rows, δ ⊗ a, without multiplying them out.
        """
        return self._vjp_each(u, _lead(u, self.out_shape, "a cotangent of the output"), samples, stride)

    def dense(
        self, layout: Literal["numerator", "denominator"] = "numerator", order: Literal["C", "F"] = "C"
    ) -> np.ndarray[Any, Any]:
        """The matrix, entry by entry from its structure.

        Parameters
        ----------
        layout : {"numerator", "denominator"}
            ``J[i, j] = ∂out_i/∂in_j``, or its transpose.
        order : {"C", "F"}
            How arrays are flattened: row-major as NumPy does, or by stacking columns, the ``vec`` of the textbooks.

        Returns
        -------
        ndarray of shape (m, n), or (n, m) in denominator layout

        Examples
        --------
        >>> import numpy as np
        >>> from tinygrad_jac.jacobians import Diagonal
        >>> Diagonal(np.array([1.0, 0.0, 3.0])).dense()
        array([[1., 0., 0.],
               [0., 0., 0.],
               [0., 0., 3.]])
        """
        if layout not in ("numerator", "denominator") or order not in ("C", "F"):
            raise ValueError(f"layout is 'numerator' or 'denominator' and order 'C' or 'F', not {layout!r}, {order!r}")
        matrix = self._dense()
        if order == "F":
            rows = np.arange(self.shape[0]).reshape(self.out_shape).ravel(order="F")
            columns = np.arange(self.shape[1]).reshape(self.in_shape).ravel(order="F")
            matrix = matrix[np.ix_(rows, columns)]
        return matrix.T if layout == "denominator" else matrix

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        matrix = self.dense()
        return matrix.astype(matrix.dtype if dtype is None else dtype, copy=bool(copy))

    def __matmul__(self, other: Any) -> Any:
        """Composition with another Jacobian; otherwise the product with an array.

        The array has the shape of the input (the result that of the output), or is a flat vector of n entries or a
        matrix of n rows (the result has m).
        """
        if isinstance(other, Jacobian):
            return compose(self, other)
        m, n = self.shape
        if np.shape(other) == self.in_shape:
            return self._jvp(other, ())
        if np.ndim(other) == 1 and np.shape(other) == (n,):
            return self._jvp(other.reshape(self.in_shape), ()).reshape(m)
        if np.ndim(other) == 2 and np.shape(other)[0] == n:
            k = np.shape(other)[1]
            return self._jvp(other.T.reshape(k, *self.in_shape), (k,)).reshape(k, m).T
        vectors = dict.fromkeys([self.in_shape, (n,)])  # often the same
        raise ShapeError(
            f"a Jacobian of {m} x {n} (outputs {self.out_shape}, inputs {self.in_shape}) cannot multiply an array of "
            f"shape {np.shape(other)}: give {', '.join(map(str, vectors))} or ({n}, k)"
        )

    def __rmatmul__(self, other: Any) -> Any:
        """A row vector, a matrix of m columns, or an array of the output's shape, times this matrix."""
        m, n = self.shape
        if np.ndim(other) == 2 and np.shape(other) != self.out_shape and np.shape(other)[1] == m:
            k = len(other)
            return self._vjp(other.reshape(k, *self.out_shape), (k,)).reshape(k, n)
        return self.T @ other

    def __add__(self, other: Any) -> Jacobian:
        return Sum([self, other]) if isinstance(other, Jacobian) else NotImplemented

    def __repr__(self) -> str:
        m, n = self.shape
        return f"<{self.structure} Jacobian {m}x{n}: {self.in_shape} -> {self.out_shape}>"


def _lead(array: Array, shape: Shape, what: str) -> Shape:
    found: Shape = np.shape(array)
    lead = len(found) - len(shape)
    if lead < 0 or found[lead:] != shape:
        raise ShapeError(f"{what} has shape {shape}, after any leading axes; this array has shape {found}")
    return found[:lead]


class Transposed(Jacobian):
    """The transpose of a Jacobian that has no shorter form: of a selection it is a sum or a scatter."""

    def __init__(self, of: Jacobian) -> None:
        super().__init__(of.in_shape, of.out_shape)
        self.of = of

    @property
    def structure(self) -> str:  # type: ignore[override]
        return f"{self.of.structure}ᵀ"

    @property
    def nnz(self) -> int:
        return self.of.nnz

    @property
    def counts_cheaply(self) -> bool:
        return self.of.counts_cheaply

    def _jvp(self, v: Array, lead: Shape) -> Array:
        return self.of._vjp(v, lead)

    def _vjp(self, u: Array, lead: Shape) -> Array:
        return self.of._jvp(u, lead)

    def _dense(self) -> np.ndarray[Any, Any]:
        return self.of._dense().T

    def _transpose(self) -> Jacobian:
        return self.of

    def _apart(self, samples: int, out_stride: int, in_stride: int) -> bool:
        return self.of._apart(samples, in_stride, out_stride)


class Compose(Jacobian):
    """A product of Jacobians, the outermost first: the chain rule, kept as factors. Made by ``@``."""

    def __init__(self, factors: Sequence[Jacobian]) -> None:
        for left, right in itertools.pairwise(factors):
            if left.in_shape != right.out_shape:
                raise ShapeError(
                    f"cannot compose {left!r} with {right!r}: the input of the first is {left.in_shape}, the output "
                    f"of the second {right.out_shape}"
                )
        super().__init__(factors[0].out_shape, factors[-1].in_shape)
        self.factors = list(factors)

    @property
    def structure(self) -> str:  # type: ignore[override]
        return " · ".join(f.structure for f in self.factors if f.structure != "identity") or "identity"

    counts_cheaply = False

    @property
    def nnz(self) -> int:
        pattern: Any = self.factors[0].dense() != 0
        for factor in self.factors[1:]:
            pattern = pattern.astype(float) @ (factor.dense() != 0) > 0
        return int(np.count_nonzero(pattern))

    def _jvp(self, v: Array, lead: Shape) -> Array:
        for factor in reversed(self.factors):
            v = factor._jvp(v, lead)
        return v

    def _vjp(self, u: Array, lead: Shape) -> Array:
        for factor in self.factors:
            u = factor._vjp(u, lead)
        return u

    def _dense(self) -> np.ndarray[Any, Any]:
        # The cheaper end first: as in backpropagation, a few outputs make the product from the left cheap.
        matrices = [factor._dense() for factor in self.factors]
        return matrices[0] if len(matrices) == 1 else np.linalg.multi_dot(matrices)

    def _transpose(self) -> Jacobian:
        return compose(*(factor.T for factor in reversed(self.factors)))

    def _apart(self, samples: int, out_stride: int, in_stride: int) -> bool:
        stride: int | None = out_stride
        for factor in self.factors:
            stride = stride and factor.follow(samples, stride)
        return stride == in_stride

    def _vjp_each(self, u: Array, lead: Shape, samples: int, stride: int) -> Any:
        # As long as factors keep the samples apart, all go through them together.
        for k, factor in enumerate(self.factors):
            below = factor.follow(samples, stride) if k < len(self.factors) - 1 else None
            if below is None:
                break
            u, stride = factor._vjp(u, lead), below
        rows = factor._vjp_each(u, lead, samples, stride)
        for factor in self.factors[k + 1 :]:
            rows = factor._vjp_rows(rows, (*lead, samples))
        return rows


class Sum(Jacobian):
    """A sum of Jacobians: what an argument that is used more than once has. Made by ``+``."""

    structure = "sum"
    terms: list[Jacobian]

    def __init__(self, terms: Sequence[Jacobian]) -> None:
        flat: list[Jacobian] = []
        for term in terms:
            flat += term.terms if isinstance(term, Sum) else [term]
        first = flat[0]
        for term in flat[1:]:
            if (term.out_shape, term.in_shape) != (first.out_shape, first.in_shape):
                raise ShapeError(f"cannot add {first!r} and {term!r}: the shapes differ")
        super().__init__(first.out_shape, first.in_shape)
        self.terms = flat

    counts_cheaply = False

    @property
    def nnz(self) -> int:
        pattern = np.zeros(self.shape, dtype=bool)
        for term in self.terms:
            pattern |= term.dense() != 0
        return int(pattern.sum())

    def _jvp(self, v: Array, lead: Shape) -> Array:
        total = self.terms[0]._jvp(v, lead)
        for term in self.terms[1:]:
            total = total + term._jvp(v, lead)
        return total

    def _vjp(self, u: Array, lead: Shape) -> Array:
        total = self.terms[0]._vjp(u, lead)
        for term in self.terms[1:]:
            total = total + term._vjp(u, lead)
        return total

    def _dense(self) -> np.ndarray[Any, Any]:
        return np.sum([term._dense() for term in self.terms], axis=0)

    def _transpose(self) -> Jacobian:
        return Sum([term.T for term in self.terms])

    def _apart(self, samples: int, out_stride: int, in_stride: int) -> bool:
        return all(term._apart(samples, out_stride, in_stride) for term in self.terms)


def compose(*factors: Jacobian) -> Jacobian:
    """The product of Jacobians, with neighbours merged where their structures know how (see `products`)."""
    flat: list[Jacobian] = []
    for factor in factors:
        for piece in factor.factors if isinstance(factor, Compose) else [factor]:
            flat.append(piece)
            while len(flat) > 1 and (merged := _merge(flat[-2], flat[-1])) is not None:
                flat[-2:] = [merged]
    return flat[0] if len(flat) == 1 else Compose(flat)


# What two neighbouring structures make of their product; structures.py fills it, for types exactly as named. The name
# `Jacobian` stands for all that are not named themselves.
products: dict[tuple[type, type], Any] = {}


def _merge(left: Jacobian, right: Jacobian) -> Jacobian | None:
    if left.in_shape != right.out_shape:
        Compose([left, right])  # raises, with the shapes
    one, two = type(left), type(right)
    rule = products.get((one, two)) or products.get((one, Jacobian)) or products.get((Jacobian, two))
    return None if rule is None else rule(left, right)
