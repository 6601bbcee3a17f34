"""A training step of the network 784-300-100-10: forward, loss, backward, SGD; float32."""

from __future__ import annotations

from functools import partial
from typing import Any

from ..data import classes, fill, library, uniform
from ..row import Peer, Row, Step

SIZES = (784, 300, 100, 10)
RATE = 0.01


def by_library(name: str, batch: int) -> Step:
    lib = library(name)
    nn = lib.nn
    model = nn.Sequential(
        nn.Linear(784, 300), nn.ReLU(),
        nn.Linear(300, 100), nn.ReLU(),
        nn.Linear(100, 10),
    )  # fmt: skip
    fill(model, lib)
    loss_of = nn.CrossEntropyLoss()
    optimizer = lib.optim.SGD(model.parameters(), lr=RATE)
    x, y = lib.from_numpy(uniform(batch, 784)), lib.from_numpy(classes(batch))

    def step() -> Any:
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def by_hand(batch: int) -> Step:
    """What one writes after a lecture on backpropagation, with the gradients in one's head."""
    import numpy as np

    weights, biases = _parameters()
    (w1, w2, w3), (b1, b2, b3) = weights, biases
    x, y, rows = uniform(batch, 784), classes(batch), np.arange(batch)

    def step() -> Any:
        a1 = x @ w1.T + b1
        h1 = np.maximum(a1, 0)
        a2 = h1 @ w2.T + b2
        h2 = np.maximum(a2, 0)
        z = h2 @ w3.T + b3
        z = z - z.max(axis=1, keepdims=True)
        e = np.exp(z)
        total = e.sum(axis=1, keepdims=True)
        loss = (np.log(total[:, 0]) - z[rows, y]).mean()

        dz = e / total
        dz[rows, y] -= 1
        dz /= batch
        da2 = (dz @ w3) * (a2 > 0)
        da1 = (da2 @ w2) * (a1 > 0)
        for w, b, d, h in ((w1, b1, da1, x), (w2, b2, da2, h1), (w3, b3, dz, h2)):
            w -= RATE * (d.T @ h)
            b -= RATE * d.sum(axis=0)
        return float(loss)

    return step


def by_jax(batch: int) -> Step:
    import jax
    import jax.numpy as jnp

    weights, biases = _parameters()
    x, y = jnp.asarray(uniform(batch, 784)), jnp.asarray(classes(batch))

    def loss_of(parameters: Any) -> Any:
        h = x
        for k, (w, b) in enumerate(parameters):
            h = h @ w.T + b
            if k < 2:
                h = jax.nn.relu(h)
        return -jnp.take_along_axis(jax.nn.log_softmax(h), y[:, None], axis=1).mean()

    @jax.jit
    def update(parameters: Any) -> Any:
        loss, gradients = jax.value_and_grad(loss_of)(parameters)
        return loss, jax.tree.map(lambda p, g: p - RATE * g, parameters, gradients)

    parameters = [(jnp.asarray(w), jnp.asarray(b)) for w, b in zip(weights, biases)]

    def step() -> Any:
        nonlocal parameters
        loss, parameters = update(parameters)
        jax.block_until_ready(parameters)
        return float(loss)

    return step


def _parameters() -> tuple[list[Any], list[Any]]:
    """The weights and biases that `fill` gives the modules."""
    shapes = list(zip(SIZES[1:], SIZES))
    weights = [uniform(*shape, bound=shape[1] ** -0.5, seed=2 * k) for k, shape in enumerate(shapes)]
    biases = [uniform(shape[0], bound=0.1, seed=2 * k + 1) for k, shape in enumerate(shapes)]
    return weights, biases


BARS = {1: (1.0, 1.2), 16: (0.8, 1.2), 64: (0.85, 1.05), 256: (0.85, 1.0), 1024: (0.9, 1.0)}
ROWS = [
    Row(
        f"mlp-{batch}",
        f"training step 784-300-100-10, batch {batch}",
        partial(by_library, "tinygrad_jac", batch),
        [
            Peer("torch", partial(by_library, "torch", batch), torch),
            Peer("numpy by hand", partial(by_hand, batch), numpy),
            *([Peer("jax jitted", partial(by_jax, batch), 1.2)] if batch == 64 else []),
        ],
    )
    for batch, (torch, numpy) in BARS.items()
]
