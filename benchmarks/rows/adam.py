"""A step of Adam alone, its gradients given."""

from __future__ import annotations

from functools import partial
from typing import Any

from ..data import library, uniform
from ..row import Peer, Row, Step


def by_library(name: str, count: int = 1_000_000) -> Step:
    lib = library(name)
    shape = (250, count // 16 // 250)
    parameters = [lib.nn.Parameter(lib.from_numpy(uniform(*shape, seed=k))) for k in range(16)]
    for k, p in enumerate(parameters):
        p.grad = lib.from_numpy(uniform(*shape, bound=0.01, seed=100 + k))
    optimizer = lib.optim.Adam(parameters, lr=1e-4)

    def step() -> Any:
        optimizer.step()
        return parameters[0][0, 0].item()

    return step


ROWS = [
    Row(
        "adam",
        "step of Adam on 1,000,000 parameters in 16 tensors",
        partial(by_library, "tinygrad_jac"),
        [Peer("torch", partial(by_library, "torch"), 1.2)],
    )
]
