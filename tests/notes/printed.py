"""What the checks say of a derivative as a text prints it: for the tests of the errata."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_jac as tj
from tinygrad_jac.autograd import Function, gradcheck


def verdict(forward: Callable[..., Any], backward: Callable[..., Any], *inputs: Any) -> str:
    """gradcheck's words on an op whose derivative is ``backward(g, *inputs)``; empty if it has nothing to say.

    Parameters
    ----------
    forward : callable
        Of Tensors.
    backward : callable
        The printed formula: of the cotangent and the inputs, a cotangent for each input.
    *inputs : arrays
    """

    class AsPrinted(Function):
        @staticmethod
        def forward(ctx, *xs):
            ctx.save_for_backward(*xs)
            return forward(*xs)

        @staticmethod
        def backward(ctx, g):
            return backward(g, *ctx.saved_tensors)

    try:
        gradcheck(AsPrinted.apply, [tj.tensor(np.asarray(x, dtype=np.float64), requires_grad=True) for x in inputs])
    except (RuntimeError, ValueError) as error:
        return str(error)
    return ""
