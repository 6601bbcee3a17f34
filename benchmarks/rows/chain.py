"""A graph that is deep and has nothing else to it: time and memory for each node, and no recursion."""

from __future__ import annotations

from functools import partial
from typing import Any

from ..data import library, uniform
from ..row import Peer, Row, Step

LENGTHS = (200_000, 1_000_000)


def by_library(name: str, length: int) -> Step:
    lib = library(name)
    x = lib.from_numpy(uniform(8)).requires_grad_()
    a, b = lib.from_numpy(uniform(8, bound=1e-6) + 1), lib.from_numpy(uniform(8, bound=1e-6))

    def step() -> Any:
        x.grad = None
        y = x
        for _ in range(length // 2):
            y = y * a + b
        y.sum().backward()
        return x.grad.sum().item()

    return step


def _row(name: str, length: int, work: str, bar: float, measure: Any) -> Row:
    work = f"chain of {length:,} operations on 8 numbers, {work}"
    peer = Peer("torch", partial(by_library, "torch", length), bar)
    return Row(name, work, partial(by_library, "tinygrad_jac", length), [peer], measure, long=length > 500_000)


ROWS = [
    row
    for length, suffix in zip(LENGTHS, ("", "-million"))
    for row in (
        _row(f"chain{suffix}", length, "forward and backward", 0.7, "time"),
        _row(f"chain-memory{suffix}", length, "peak memory", 0.6, "peak"),
    )
]
