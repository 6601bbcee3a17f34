"""gradcheck of a layer: 88 numbers in, 30 out, float64. Ours takes Richardson's extrapolation and audits every rule."""

from __future__ import annotations

from functools import partial
from typing import Any

from ..data import library, uniform
from ..row import Peer, Row, Step


def by_library(name: str) -> Step:
    lib = library(name)
    shapes = ((10, 6), (3, 6), (10,))
    arrays = [uniform(*shape, seed=k, dtype="float64") for k, shape in enumerate(shapes)]
    inputs = tuple(lib.from_numpy(a).requires_grad_() for a in arrays)

    def layer(x: Any, w: Any, b: Any) -> Any:
        return lib.sigmoid(x @ w.T + b[:, None])

    return lambda: float(lib.autograd.gradcheck(layer, inputs))


ROWS = [
    Row(
        "gradcheck",
        "gradcheck of a layer with 88 inputs and 30 outputs",
        partial(by_library, "tinygrad_jac"),
        [Peer("torch.autograd.gradcheck", partial(by_library, "torch"), 1.0)],
    )
]
