"""Gradients of Tensors: `backward`, `grad`, and derivatives of the user's own functions."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .gradients import accumulate, backward, grad

if TYPE_CHECKING:
    from ..checks.gradcheck import gradcheck, gradgradcheck

__all__ = ["accumulate", "backward", "grad", "gradcheck", "gradgradcheck"]

_LAZY = {"gradcheck": "..checks.gradcheck", "gradgradcheck": "..checks.gradcheck"}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"tinygrad_jac.autograd has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name], __package__), name)
