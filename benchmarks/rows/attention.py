"""A block of a transformer, forward and backward, written out so that it is the same on both sides."""

from __future__ import annotations

from functools import partial
from typing import Any

from ..data import fill, library, uniform
from ..row import Peer, Row, Step

BATCH, TOKENS, WIDTH, HEADS = 8, 64, 64, 4


def by_library(name: str) -> Step:
    lib = library(name)
    nn = lib.nn
    first, second = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
    into, out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
    perceptron = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))
    model = nn.ModuleList([first, into, out, second, perceptron])
    fill(model, lib)
    x = lib.from_numpy(uniform(BATCH, TOKENS, WIDTH))

    def attend(x: Any) -> Any:
        q, k, v = into(x).reshape(BATCH, TOKENS, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-2, -1) * (WIDTH // HEADS) ** -0.5
        mixed = nn.functional.softmax(scores, dim=-1) @ v
        return out(mixed.transpose(1, 2).reshape(BATCH, TOKENS, WIDTH))

    def step() -> Any:
        model.zero_grad()
        y = x + attend(first(x))
        y = y + perceptron(second(y))
        loss = (y * y).mean()
        loss.backward()
        return loss.item() + into.weight.grad[0, 0].item()

    return step


ROWS = [
    Row(
        "attention",
        f"attention block, {WIDTH} wide, {TOKENS} tokens, batch {BATCH}, forward and backward",
        partial(by_library, "tinygrad_jac"),
        [Peer("torch", partial(by_library, "torch"), 1.3)],
    )
]
