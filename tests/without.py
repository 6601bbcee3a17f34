"""The optimisations, each of which can be left out, so that the tests run with the plain code in its place.

``TINYGRAD_JAC_WITHOUT=calls,sums pytest`` leaves out those two, ``all`` leaves out all of them. What an optimisation
consists of is one function of the library (or a few) whose code is exchanged for what a textbook would write; whoever
holds that function runs the other code from then on. A test of an optimisation itself bears the mark
``optimisation(NAME)``, and is skipped where that is left out.
"""

from __future__ import annotations

import math
from types import FunctionType, SimpleNamespace

import numpy as np

from tinygrad_jac import graph, sums
from tinygrad_jac.graph import Variable
from tinygrad_jac.nn import recurrent as layers
from tinygrad_jac.optim import optimizer
from tinygrad_jac.primitive import registry
from tinygrad_jac.rules import (
    activations,
    convolution,
    elementary,
    indexing,
    normalization,
    products,
    recurrent,
    reductions,
)

_matmul = products._matmul


def _code(patch, function, plain):
    """Exchange a function's code; the plain one finds its names where the other does."""
    patch.setattr(function, "__code__", plain.__code__)


def calls(patch):
    """Elementwise operations go through `Primitive.apply`, as all others do."""
    for primitive in registry.values():
        if isinstance(primitive.operator, FunctionType):
            cells = dict(zip(primitive.operator.__code__.co_freevars, primitive.operator.__closure__))
            for name in {"for_one", "for_both", "for_left", "for_right"} & cells.keys():
                patch.setattr(cells[name], "cell_contents", None)


def cotangents(patch):
    """No cotangent is added to in place because nobody else holds it, or handed out without a copy."""
    patch.setattr(graph, "alone", lambda array, held=1: False)


def slices(patch):
    """The gradient of each slice of an array is an array of zeros with the slice in it."""
    for primitive in registry.values():
        patch.setattr(primitive, "accumulate", None)


def matrix_products(patch):
    """A product of matrices is one, whatever their shapes; einsum is NumPy's."""

    def product(x, y):
        return _matmul(x, y) if isinstance(x, Variable) or isinstance(y, Variable) else np.matmul(x, y)

    def contraction(x, y, spec):
        return np.einsum(f"{spec[0]},{spec[1]}->{spec[2]}", x, y)

    _code(patch, products._product, product)
    _code(patch, products._contraction, contraction)


def ones(patch):
    """Sums are NumPy's reductions, not products with ones."""
    _code(patch, sums.of_rows, lambda x: np.add.reduce(x, axis=-2))
    _code(patch, sums.along_rows, lambda x: np.add.reduce(x, axis=-1, keepdims=True))


def masks(patch):
    """Masks choose, and the rectifier is a maximum."""
    _code(patch, elementary._mask, lambda x, keep: np.where(keep, x, x.dtype.type(0)))
    _code(patch, activations._rectified, lambda x: np.maximum(x, 0))


def exponentials(patch):
    """A softmax always subtracts the largest entry, and finds it in one way."""

    def plain(x, axis):
        shifted = x - np.maximum.reduce(x, axis=axis, keepdims=True, initial=-math.inf)
        return shifted, np.exp(shifted)

    def weights(x, axis, mask=None):
        if mask is not None:
            x = np.where(np.logical_or.reduce(mask, axis=axis, keepdims=True), np.where(mask, x, -math.inf), 0)
        _, e = _exponentials(x, axis)  # noqa: F821  (of the library's module, in which this code will run)
        e = e / e.sum(axis=axis, keepdims=True)
        return e if mask is None else e * mask

    _code(patch, normalization._exponentials, plain)
    _code(patch, normalization.weights, weights)


def broadcasts(patch):
    """The cotangent of a sum is always a broadcast view."""

    def spread(g, x, axis, keepdims):
        if not keepdims and axis and g.ndim:
            g = np.expand_dims(g, axis)
        return np.broadcast_to(g, g.shape[: g.ndim - x.ndim] + tuple(x.shape) if g.ndim > x.ndim else tuple(x.shape))

    _code(patch, reductions.spread, spread)


def pieces(patch):
    """Special functions, convolutions and updates, of many passes each, go over the whole of an array in every pass."""

    def _in_pieces(function):
        def pieces(x):
            return function(np.asarray(x if x.dtype.kind == "f" else x.astype(np.float64)).reshape(-1)).reshape(x.shape)

        return pieces

    plain = _in_pieces(None)
    for name in ("erf", "erfc", "erfinv"):
        _code(patch, registry[name].forward, plain)
    patch.setattr(convolution, "_CACHE", 1 << 60)
    patch.setattr(optimizer, "BLOCK", 1 << 22)


def rows(patch):
    """What is looked up several times is added up by ``np.add.at``."""

    def add_rows(whole, rows, values):
        if values.size:
            np.add.at(whole, rows, values)

    _code(patch, indexing._add_rows, add_rows)


def recurrences(patch):
    """A recurrent layer is the composition of its steps."""
    rules = SimpleNamespace(**{**vars(recurrent), "recurrence": recurrent.unrolled})
    patch.setattr(layers, "recurrent", rules)


OPTIMISATIONS = {
    f.__name__: f
    for f in (
        calls, cotangents, slices, matrix_products, ones, masks, exponentials, broadcasts, pieces, rows, recurrences,
    )
}  # fmt: skip


def named(names):
    """The optimisations that a text names, separated by commas; ``all`` names all."""
    listed = [*OPTIMISATIONS] if names == "all" else names.split(",") if names else []
    for name in listed:
        if name not in OPTIMISATIONS:
            raise ValueError(f"no optimisation is named {name!r}; there are {', '.join(OPTIMISATIONS)}")
    return listed


def leave_out(listed, patch):
    """Leave out these optimisations until the `MonkeyPatch` is undone."""
    for name in listed:
        OPTIMISATIONS[name](patch)
