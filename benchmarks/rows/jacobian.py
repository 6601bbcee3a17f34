"""A whole Jacobian: 10 logits of one input by the 266,200 weights of 784-300-100-10, in both layouts of the weights."""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any

from ..data import library, uniform
from ..row import Peer, Row, Step

SIZES = (784, 300, 100, 10)


def logits(weights: Any, x: Any, relu: Any, out_first: bool) -> Any:
    for k, w in enumerate(weights):
        x = x @ (w.T if out_first else w)
        if k < 2:
            x = relu(x)
    return x


def start(out_first: bool) -> tuple[list[Any], Any]:
    shapes = [(m, n) if out_first else (n, m) for n, m in itertools.pairwise(SIZES)]
    return [uniform(*shape, bound=max(shape) ** -0.5, seed=k) for k, shape in enumerate(shapes)], uniform(784)


def spot(blocks: Any) -> float:
    """A few entries of each block, enough to tell it from a wrong one."""
    return sum(float(block[3, :, 5].sum()) for block in blocks)


def by_library(name: str, transform: str, out_first: bool) -> Step:
    lib = library(name)
    arrays, array = start(out_first)
    weights, x = tuple(lib.from_numpy(w) for w in arrays), lib.from_numpy(array)

    def function(*weights: Any) -> Any:
        return logits(weights, x, lib.relu, out_first)

    if transform == "jacrev":
        jacobian = lib.func.jacrev(function, argnums=(0, 1, 2))
        return lambda: spot(jacobian(*weights))
    return lambda: spot(lib.autograd.functional.jacobian(function, weights))


def by_jax(out_first: bool) -> Step:
    import jax
    import jax.numpy as jnp

    arrays, array = start(out_first)
    weights, x = [jnp.asarray(w) for w in arrays], jnp.asarray(array)
    jacobian = jax.jit(jax.jacrev(lambda weights: logits(weights, x, jax.nn.relu, out_first)))
    return lambda: spot(jax.block_until_ready(jacobian(weights)))


ROWS = [
    Row(
        name,
        f"Jacobian of 10 logits by 266,200 weights, {layout}",
        partial(by_library, "tinygrad_jac", "jacrev", out_first),
        [
            Peer("torch.func.jacrev", partial(by_library, "torch", "jacrev", out_first), 0.8),
            Peer("torch.autograd.functional", partial(by_library, "torch", "functional", out_first), 0.2, reached=0.42),
            Peer("jax.jacrev jitted", partial(by_jax, out_first), 1.0),
        ],
    )
    for name, layout, out_first in (("jacobian", "(out, in)", True), ("jacobian-in-out", "(in, out)", False))
]
