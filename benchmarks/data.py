"""Data and parameters that all sides of a row start from, so that they compute the same."""

from __future__ import annotations

import importlib
from typing import Any


def library(name: str) -> Any:
    """A library that has PyTorch's names: this one or PyTorch."""
    return importlib.import_module(name)


def uniform(*shape: int, bound: float = 1.0, seed: int = 100, dtype: str = "float32") -> Any:
    """The same random array in every process, uniform in [-bound, bound]."""
    import numpy as np

    return np.random.default_rng(seed).uniform(-bound, bound, shape).astype(dtype)


def classes(batch: int, count: int = 10) -> Any:
    """Labels."""
    import numpy as np

    return np.random.default_rng(101).integers(count, size=batch)


def fill(model: Any, lib: Any) -> None:
    """Give a module's parameters, in their order, values that do not depend on the library."""
    import math

    for k, p in enumerate(model.parameters()):
        bound = math.prod(p.shape[1:]) ** -0.5 if len(p.shape) > 1 else 0.1
        p.data = lib.from_numpy(uniform(*p.shape, bound=bound, seed=k))
