"""Matrix products: their Jacobians are Kronecker products."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ShapeError
from ..jacobians import Identity, Kron
from ..primitive import primitive
from ..spelling import public

_matmul = primitive(
    "matmul", np.matmul, saves="x y",
    vjp=(lambda g, out, x, y: g @ mT(y),
         lambda g, out, x, y: mT(x) @ g),
    jacobian=(lambda out, x, y: Kron(Identity(x.shape[-2]), mT(y), out.shape[:-2]),
              lambda out, x, y: Kron(x, Identity(y.shape[-1]), out.shape[:-2])),
    doc="The matrix product of the last two axes. With Z = X Y: ∂Z/∂X = I ⊗ Yᵀ and ∂Z/∂Y = X ⊗ I.",
)


def mT(x: Any) -> Any:
    """The matrix transpose: the last two axes exchanged."""
    return x.swapaxes(-1, -2)


@public(np.matmul)
def matmul(x: Any, y: Any) -> Any:
    """The matrix product, in all the shapes of ``@``: vectors, matrices, and stacks of matrices that broadcast.

    Raises
    ------
    ShapeError
        Inner sizes differ, or an operand has no axes.
    """
    a, b = np.shape(x), np.shape(y)
    if not a or not b or a[-1] != b[-2 if len(b) > 1 else -1]:
        raise ShapeError(f"matmul: shapes {a} and {b} cannot be multiplied: the last size of the first must equal the "
                         f"{'second last' if len(b) > 1 else 'only'} size of the second")
    if len(a) > 1 and len(b) > 1:
        return _matmul(x, y)
    # A vector is a matrix of one row (on the left) or one column (on the right) whose axis is dropped afterwards.
    z = _matmul(x.reshape(1, a[0]) if len(a) == 1 else x, y.reshape(b[0], 1) if len(b) == 1 else y)
    return z.reshape(*(n for k, n in enumerate(z.shape) if not (len(a) == 1 and k == z.ndim - 2) and not (len(b) == 1 and k == z.ndim - 1)))
