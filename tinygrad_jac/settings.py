"""Settings of PyTorch's that change nothing here, read back as they were set."""

from __future__ import annotations

import os
import warnings
from typing import Any

__all__ = [
    "use_deterministic_algorithms", "are_deterministic_algorithms_enabled",
    "is_deterministic_algorithms_warn_only_enabled", "set_float32_matmul_precision", "get_float32_matmul_precision",
    "set_num_threads", "get_num_threads", "is_autocast_enabled",
]  # fmt: skip

_PRECISIONS = ("highest", "high", "medium")
_set: dict[str, Any] = {"deterministic": False, "warn_only": False, "precision": "highest", "threads": None}


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Ask for the same numbers in every run: without effect, because they are.

    Raises
    ------
    TypeError
        ``mode`` is no bool.
    """
    if not isinstance(mode, bool):
        raise TypeError(f"use_deterministic_algorithms: mode must be bool, not {type(mode).__name__}")
    _set.update(deterministic=mode, warn_only=warn_only)


def are_deterministic_algorithms_enabled() -> bool:
    """What `use_deterministic_algorithms` set."""
    return bool(_set["deterministic"])


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """What `use_deterministic_algorithms` set as ``warn_only``."""
    return bool(_set["deterministic"] and _set["warn_only"])


def set_float32_matmul_precision(precision: str) -> None:
    """``"highest"``, ``"high"`` or ``"medium"``: without effect, because float32 is multiplied as float32."""
    if precision not in _PRECISIONS:
        warnings.warn(f"{precision!r} is not one of {', '.join(_PRECISIONS)}: nothing was set", stacklevel=2)
    else:
        _set["precision"] = precision


def get_float32_matmul_precision() -> str:
    """What `set_float32_matmul_precision` set."""
    return str(_set["precision"])


def set_num_threads(int: int) -> None:
    """Without effect: NumPy's matrix library reads its number of threads when it is loaded (``OMP_NUM_THREADS``).

    Raises
    ------
    RuntimeError
        The number is not positive.
    """
    if int <= 0:
        raise RuntimeError(f"set_num_threads expects a positive integer, not {int}")
    _set["threads"] = int


def get_num_threads() -> int:
    """What `set_num_threads` set; the number of processors by default."""
    return int(_set["threads"] or os.cpu_count() or 1)


def is_autocast_enabled(device_type: str | None = None) -> bool:
    """False: tensors are computed with in their own dtypes."""
    return False
