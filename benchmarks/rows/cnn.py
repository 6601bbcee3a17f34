"""The network of PyTorch's MNIST example (examples/mnist/main.py of pytorch/examples), with SGD for its Adadelta."""

from __future__ import annotations

from functools import partial
from typing import Any

from ..data import classes, fill, library, uniform
from ..row import Peer, Row, Step

BATCH = 64


def by_library(name: str) -> Step:
    lib = library(name)
    nn = lib.nn
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3, 1), nn.ReLU(),
        nn.Conv2d(32, 64, 3, 1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Dropout(0.25), nn.Flatten(1),
        nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(128, 10), nn.LogSoftmax(1),
    )  # fmt: skip
    fill(model, lib)
    lib.manual_seed(0)
    loss_of = nn.NLLLoss()
    optimizer = lib.optim.SGD(model.parameters(), lr=0.01)
    x, y = lib.from_numpy(uniform(BATCH, 1, 28, 28)), lib.from_numpy(classes(BATCH))

    def step() -> Any:
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


ROWS = [
    Row(
        "cnn",
        f"training step of PyTorch's MNIST example, batch {BATCH}",
        partial(by_library, "tinygrad_jac"),
        [Peer("torch", partial(by_library, "torch"), 1.8)],
        tolerance=0.1,  # each library drops other units
    )
]
