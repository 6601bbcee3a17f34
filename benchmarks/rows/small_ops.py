"""Many operations on few numbers: what an operation costs apart from its arithmetic."""

from __future__ import annotations

from functools import partial
from typing import Any

from ..data import library, uniform
from ..row import Peer, Row, Step

ROUNDS = 100


def expression(x: Any, a: Any, b: Any, tanh: Any) -> Any:
    """Four operations a round."""
    y = x
    for _ in range(ROUNDS):
        y = tanh(y * a + b) - x
    return (y * y).sum()


def by_library(name: str) -> Step:
    lib = library(name)
    x, a, b = leaves = [lib.from_numpy(uniform(8, seed=k, dtype="float64")).requires_grad_() for k in range(3)]

    def step() -> Any:
        for leaf in leaves:
            leaf.grad = None
        expression(x, a, b, lib.tanh).backward()
        return a.grad.sum().item()

    return step


def by_hips_autograd() -> Step:
    import autograd
    import autograd.numpy as anp

    arrays = [uniform(8, seed=k, dtype="float64") for k in range(3)]
    gradients = autograd.grad(lambda x, a, b: expression(x, a, b, anp.tanh), (0, 1, 2))
    return lambda: float(gradients(*arrays)[1].sum())


ROWS = [
    Row(
        "small-ops",
        "400 operations on 8 numbers, forward and backward",
        partial(by_library, "tinygrad_jac"),
        [
            Peer("torch", partial(by_library, "torch"), 0.6),
            Peer("autograd", by_hips_autograd, 0.3),
        ],
    )
]
