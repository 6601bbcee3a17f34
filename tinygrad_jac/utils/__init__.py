"""What training scripts use besides networks and optimisers."""

from __future__ import annotations

from typing import Any

from ..scope import look_up
from . import data

__all__ = ["data"]


def __getattr__(name: str) -> Any:
    return look_up(__name__, name)
