"""A derivative held against the formula typed by hand, as the notes' tests need it: three ways at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from kit import close

import tinygrad_jac as tj
from tinygrad_jac.jacobians import chain

EXACT = 1e-12  # ways to compute one float64 number differ by rounding


def leaf(array: Any) -> tj.Tensor:
    """A float64 Tensor that requires a gradient."""
    return tj.tensor(np.asarray(array, dtype=np.float64), requires_grad=True)


def jacobian(output: tj.Tensor, tensor: tj.Tensor) -> np.ndarray:
    """The structured Jacobian, multiplied along the graph and written out: (m, n)."""
    return chain(output, {"": tensor}).dense()


def pulled(output: tj.Tensor, tensor: tj.Tensor, cotangent: Any = None) -> np.ndarray:
    """What one call of backward() leaves in ``tensor.grad``."""
    if not tensor.is_leaf:
        tensor.retain_grad()
    tensor.grad = None
    output.backward(cotangent, retain_graph=True)
    return tensor.grad.array


def agree(output: tj.Tensor, tensor: tj.Tensor, by_hand: Any, what: str = "", rtol: float = EXACT) -> None:
    """The formula against the structured Jacobian and against backward(), one call for each output.

    Parameters
    ----------
    output, tensor : Tensor
    by_hand : array
        ∂output/∂tensor: with m·n entries, the output's first.
    """
    m, n = output.numel(), tensor.numel()
    by_hand = np.reshape(by_hand, (m, n))
    close(jacobian(output, tensor), by_hand, rtol, f"{what}: structured")
    seeds = np.eye(m).reshape(m, *output.shape)
    rows = [pulled(output, tensor, seed).reshape(n) for seed in seeds]
    close(np.stack(rows), by_hand, rtol, f"{what}: backward()")


def statement(output: tj.Tensor, argument: int = 0) -> Any:
    """What the primitive that made ``output`` states of one of its arguments."""
    return output.node.primitive.statement(output.node, argument)
