"""Gradients of Tensors: `backward`, `grad`, and derivatives of the user's own functions."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .gradients import accumulate, backward, grad

if TYPE_CHECKING:
    from ..checks.gradcheck import GradcheckError, KinkError, gradcheck, gradgradcheck
    from . import function, functional
    from .function import Function

__all__ = [
    "Function",
    "GradcheckError",
    "KinkError",
    "accumulate",
    "backward",
    "function",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
]

# Loaded when first asked for, as in the package's own __init__.
_LAZY = {
    "Function": ".function",
    **dict.fromkeys(("function", "functional"), ""),
    **dict.fromkeys(("gradcheck", "gradgradcheck", "GradcheckError", "KinkError"), "..checks.gradcheck"),
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"tinygrad_jac.autograd has no attribute {name!r}")
    if not _LAZY[name]:
        return importlib.import_module(f".{name}", __package__)
    return getattr(importlib.import_module(_LAZY[name], __package__), name)
