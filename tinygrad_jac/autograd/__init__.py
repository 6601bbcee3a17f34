"""Gradients of Tensors: `backward`, `grad`, and derivatives of the user's own functions."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import function, functional
from .function import Function
from .gradients import accumulate, backward, grad

if TYPE_CHECKING:
    from ..checks.gradcheck import GradcheckError, gradcheck, gradgradcheck

__all__ = [
    "Function",
    "GradcheckError",
    "accumulate",
    "backward",
    "function",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
]


def __getattr__(name: str) -> Any:
    if name not in ("gradcheck", "gradgradcheck", "GradcheckError"):
        raise AttributeError(f"tinygrad_jac.autograd has no attribute {name!r}")
    return getattr(importlib.import_module("..checks.gradcheck", __package__), name)
