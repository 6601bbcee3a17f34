"""A graph that is deep and has nothing else to it: time and memory for each node, and no recursion."""

from __future__ import annotations

from functools import partial
from typing import Any

from ..data import library, uniform
from ..row import Peer, Row, Step

LENGTH = 200_000


def by_library(name: str) -> Step:
    lib = library(name)
    x = lib.from_numpy(uniform(8)).requires_grad_()
    a, b = lib.from_numpy(uniform(8, bound=1e-6) + 1), lib.from_numpy(uniform(8, bound=1e-6))

    def step() -> Any:
        x.grad = None
        y = x
        for _ in range(LENGTH // 2):
            y = y * a + b
        y.sum().backward()
        return x.grad.sum().item()

    return step


def _row(name: str, work: str, bar: float, measure: Any) -> Row:
    work = f"chain of {LENGTH:,} operations on 8 numbers, {work}"
    peer = Peer("torch", partial(by_library, "torch"), bar)
    return Row(name, work, partial(by_library, "tinygrad_jac"), [peer], measure)


ROWS = [
    _row("chain", "forward and backward", 0.7, "time"),
    _row("chain-memory", "peak memory", 0.6, "peak"),
]
