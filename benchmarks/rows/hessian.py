"""The Hessian of a function of 60 variables: a small network as a function of its input."""

from __future__ import annotations

from functools import partial
from typing import Any

from ..data import library, uniform
from ..row import Peer, Row, Step

VARIABLES, UNITS = 60, 32


def by_library(name: str) -> Step:
    lib = library(name)
    lib.func  # noqa: B018 (a package that is loaded when asked for)
    W = lib.from_numpy(uniform(UNITS, VARIABLES, bound=VARIABLES**-0.5))
    u = lib.from_numpy(uniform(UNITS, seed=1))
    x = lib.from_numpy(uniform(VARIABLES, seed=2))

    def function(x: Any) -> Any:
        return (u * lib.tanh(W @ x)).sum() + (x**3).sum() / 6

    hessian = lib.func.hessian(function)
    return lambda: hessian(x)[7].sum().item()


ROWS = [
    Row(
        "hessian",
        f"Hessian of a function of {VARIABLES} variables",
        partial(by_library, "tinygrad_jac"),
        [Peer("torch.func.hessian", partial(by_library, "torch"), 0.6)],
    )
]
