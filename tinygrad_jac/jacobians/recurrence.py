"""`Recurrence`: the product of Jacobians through time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .base import Array, Jacobian, Shape
from .structures import _axis_of, _values


class Recurrence(Jacobian):
    """yₜ = Mₜ yₜ₋₁ + xₜ: how what is added to a state at one time arrives in the states of all later times.

    The matrix is (I - L)⁻¹, where L holds the Mₜ below the diagonal. Its block (t, k) is the product
    Mₜ Mₜ₋₁ ⋯ Mₖ₊₁ of the Jacobians of the steps in between, which vanishes or explodes with their number (Hochreiter,
    1991; Bengio, Simard and Frasconi, 1994); it is I for t = k and 0 for t < k.

    Parameters
    ----------
    steps : array of shape (times, *batch, n, n)
        The Mₜ, each of which has a block for each batch entry. The first, before which nothing is, counts for nothing.
        Input and output are ``(times, *batch, n)``.

    Examples
    --------
    >>> import numpy as np
    >>> Recurrence(np.full((3, 1, 1), 0.5)).dense()
    array([[1.  , 0.  , 0.  ],
           [0.5 , 1.  , 0.  ],
           [0.25, 0.5 , 1.  ]])
    """

    structure = "recurrence"

    def __init__(self, steps: Array) -> None:
        super().__init__(steps.shape[:-1], steps.shape[:-1])
        self.steps = steps

    @property
    def nnz(self) -> int:
        times, *batch, n = self.out_shape
        return math.prod(batch) * (times * n + times * (times - 1) // 2 * n * n)

    def _each(self, array: Array, lead: Shape) -> list[Array]:
        """The entries of each time; of several leading axes."""
        return [array[(slice(None),) * len(lead) + (t,)] for t in range(len(self.steps))]

    def _joined(self, entries: list[Array], lead: Shape, like: Array) -> Array:
        return np.stack(entries, axis=len(lead)) if entries else like

    def _jvp(self, v: Array, lead: Shape) -> Array:
        found: list[Array] = []
        for step, x in zip(self.steps, self._each(v, lead)):
            found.append(x + (step @ found[-1][..., None])[..., 0] if found else x)
        return self._joined(found, lead, v)

    def _vjp(self, u: Array, lead: Shape) -> Array:
        # Backpropagation through time: from the last step to the first.
        found: list[Array] = []
        for t, g in reversed([*enumerate(self._each(u, lead))]):
            found.append(g + (self.steps[t + 1].swapaxes(-1, -2) @ found[-1][..., None])[..., 0] if found else g)
        return self._joined(found[::-1], lead, u)

    def _dense(self) -> np.ndarray[Any, Any]:
        steps = _values(self.steps)
        times, n = len(steps), steps.shape[-1]
        steps = steps.reshape(times, math.prod(self.out_shape[1:-1]), n, n)
        each = np.arange(steps.shape[1])
        matrix = np.zeros((times, each.size, n, times, each.size, n), dtype=steps.dtype)
        for k in range(times):
            block = np.broadcast_to(np.eye(n, dtype=steps.dtype), steps.shape[1:])
            for t in range(k, times):
                block = steps[t] @ block if t > k else block
                matrix[t, each, :, k, each] = block
        return matrix.reshape(self.shape)

    def _apart(self, samples: int, out_stride: int, in_stride: int) -> bool:
        axis = _axis_of(samples, out_stride, self.out_shape)
        return axis == _axis_of(samples, in_stride, self.in_shape) and axis in range(1, len(self.out_shape) - 1)
