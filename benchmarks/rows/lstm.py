"""An LSTM through a sequence, forward and backward, alone: what a recurrent layer costs apart from its network."""

from __future__ import annotations

from functools import partial
from typing import Any

from ..data import fill, library, uniform
from ..row import Peer, Row, Step

TIMES, BATCH, INPUTS, HIDDEN = 50, 16, 32, 64


def by_library(name: str) -> Step:
    lib = library(name)
    lstm = lib.nn.LSTM(INPUTS, HIDDEN)
    fill(lstm, lib)
    x = lib.from_numpy(uniform(TIMES, BATCH, INPUTS))

    def step() -> Any:
        lstm.zero_grad()
        output, _ = lstm(x)
        loss = (output * output).mean()
        loss.backward()
        return loss.item() + lstm.weight_hh_l0.grad[0, 0].item()

    return step


ROWS = [
    Row(
        "lstm",
        f"LSTM {INPUTS}-{HIDDEN}, {TIMES} steps, batch {BATCH}, forward and backward",
        partial(by_library, "tinygrad_jac"),
        [Peer("torch", partial(by_library, "torch"), 3.0)],
    )
]
