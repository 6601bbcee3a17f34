"""The way back against the way forward, of this library alone: a rule should cost about what its forward did.

A product has two rules, each as long as itself, so twice the forward is natural; what is beyond three times is waste.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from functools import partial
from time import perf_counter
from typing import Any

from ..row import OURS, Peer, Row, Start, Step
from . import attention, chain, cnn, lstm, mlp, small_ops

SECONDS = 0.1  # how long one measurement works


def part(start: Start, way: str) -> Step:
    """A step that measures the forward or the backward pass of another one, and returns the median of its seconds."""
    import tinygrad_jac

    step = start()
    backward = tinygrad_jac.Tensor.backward
    began = 0.0  # when the step did, or the part of it
    spent: dict[str, list[float]] = {"forward": [], "backward": []}

    def timed(*args: Any, **kwargs: Any) -> None:
        now = perf_counter()
        spent["forward"].append(now - began)
        backward(*args, **kwargs)
        spent["backward"].append(perf_counter() - now)

    tinygrad_jac.Tensor.backward = timed  # type: ignore[method-assign]

    def measured() -> float:
        nonlocal began
        spent[way].clear()
        end = perf_counter() + SECONDS
        while not spent[way] or perf_counter() < end:
            began = perf_counter()
            step()
        return statistics.median(spent[way])

    return measured


WORKS: Sequence[tuple[str, str, Start]] = (
    ("mlp-64", "training step 784-300-100-10, batch 64", partial(mlp.by_library, OURS, 64)),
    ("mlp-1024", "training step 784-300-100-10, batch 1024", partial(mlp.by_library, OURS, 1024)),
    ("small-ops", "400 operations on 8 numbers", partial(small_ops.by_library, OURS)),
    ("chain", "chain of 200,000 operations on 8 numbers", partial(chain.by_library, OURS, 200_000)),
    ("cnn", "training step of PyTorch's MNIST example, batch 64", partial(cnn.by_library, OURS)),
    ("lstm", "LSTM 32-64, 50 steps, batch 16", partial(lstm.by_library, OURS)),
    ("attention", "attention block, 64 wide, 64 tokens, batch 8", partial(attention.by_library, OURS)),
)
ROWS = [
    Row(
        f"backward-{name}",
        f"{work}: backward",
        partial(part, start, "backward"),
        [Peer(f"{OURS} forward", partial(part, start, "forward"), 3.0)],
        "own",
        tolerance=math.inf,
    )
    for name, work, start in WORKS
]
