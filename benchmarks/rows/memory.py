"""Peak memory of a deep network, forward and backward: what the graph keeps, and when it lets go of it."""

from __future__ import annotations

from functools import partial
from typing import Any

from ..data import fill, library, uniform
from ..row import Peer, Row, Step

LAYERS, WIDTH, BATCH = 24, 512, 4096


def by_library(name: str, batch: int = BATCH) -> Step:
    lib = library(name)
    nn = lib.nn
    model = nn.Sequential(*[layer for _ in range(LAYERS) for layer in (nn.Linear(WIDTH, WIDTH), nn.ReLU())])
    fill(model, lib)
    x = lib.from_numpy(uniform(batch, WIDTH))

    def step() -> Any:
        loss = (model(x) ** 2).mean()
        loss.backward()
        return model[0].bias.grad.abs().sum().item()

    return step


ROWS = [
    Row(
        "memory",
        f"peak memory of {LAYERS} layers {WIDTH} wide, batch {BATCH}, forward and backward",
        partial(by_library, "tinygrad_jac"),
        [Peer("torch", partial(by_library, "torch"), 1.1)],
        "peak",
        tolerance=1e-2,  # 24 layers of rounding in float32
    )
]
