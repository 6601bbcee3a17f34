"""Automatic mixed precision as it is where there is none: switched off, it runs; switched on, it says why not."""

from __future__ import annotations

import contextlib
import warnings
from typing import Any

from . import dtypes
from .scope import look_up, refusal

__all__ = ["autocast", "GradScaler"]
__path__: list[str] = []  # so that ``from tinygrad_jac.amp import …`` asks `scope` for what is not here


class autocast(contextlib.ContextDecorator):
    """A block in which nothing is cast: ``autocast(device_type, enabled=False)``. Context manager and decorator.

    Parameters
    ----------
    device_type : str
        For one that is not there PyTorch warns and casts nothing; so it is here.
    dtype : dtype, optional
        For float32 and float64 on the CPU likewise.
    enabled : bool
    cache_enabled : bool, optional
        Without effect.

    Raises
    ------
    OutOfScopeError
        Something would be cast to a lower precision.
    """

    def __init__(
        self, device_type: str = "cuda", dtype: Any = None, enabled: bool = True, cache_enabled: bool | None = None
    ) -> None:
        if isinstance(device_type, bool):  # that of `cuda.amp` takes no device
            device_type, enabled = "cuda", device_type
        if not isinstance(device_type, str):
            raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        if enabled and device_type != "cpu":
            warnings.warn(f"{device_type} is not available. Disabling autocast.", stacklevel=2)
        elif enabled and (dtype is None or dtypes.of(dtype) not in (dtypes.float32, dtypes.float64)):
            raise refusal("amp.autocast")
        elif enabled:
            warnings.warn("In CPU autocast, but the target dtype is not supported. Disabling autocast.", stacklevel=2)

    def __enter__(self) -> autocast:
        return self

    def __exit__(self, *exc: object) -> None:
        pass


class GradScaler:
    """A scaler that scales by one, as PyTorch's does where there is no CUDA.

    Raises
    ------
    OutOfScopeError
        It is asked for on the CPU and enabled.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> scaler = tj.amp.GradScaler(enabled=False)
    >>> scaler.scale(tj.tensor(2.0))
    tensor(2.)
    """

    def __init__(self, device: str = "cuda", *scaling: Any, enabled: bool = True, **options: Any) -> None:
        if enabled and device == "cpu":
            raise refusal("amp.GradScaler")
        if enabled:
            warnings.warn(f"GradScaler is enabled, but {device} is not available.  Disabling.", stacklevel=2)

    def is_enabled(self) -> bool:
        return False

    def scale(self, outputs: Any) -> Any:
        """The outputs as they are."""
        return outputs

    def unscale_(self, optimizer: Any) -> None:
        """Nothing: the gradients are not scaled."""

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """``optimizer.step()``."""
        return optimizer.step(*args, **kwargs)

    def update(self, new_scale: Any = None) -> None:
        """Nothing: there is no scale."""

    def get_scale(self) -> float:
        return 1.0

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing: there is no state."""


def __getattr__(name: str) -> Any:
    return look_up(__name__, name)
