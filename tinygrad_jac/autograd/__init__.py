"""Gradients of Tensors: `backward`, `grad`, and derivatives of the user's own functions."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ..scope import look_up
from .gradients import accumulate, backward, grad

if TYPE_CHECKING:
    from ..checks.gradcheck import GradcheckError, KinkError, gradcheck, gradgradcheck
    from . import function, functional
    from .anomaly import detect_anomaly, set_detect_anomaly
    from .function import Function
    from .variable import Variable

__all__ = [
    "Function",
    "GradcheckError",
    "KinkError",
    "Variable",
    "accumulate",
    "backward",
    "detect_anomaly",
    "function",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "set_detect_anomaly",
]

# Loaded when first asked for, as in the package's own __init__.
_LAZY = {
    "Function": ".function",
    "Variable": ".variable",
    **dict.fromkeys(("detect_anomaly", "set_detect_anomaly", "is_anomaly_enabled"), ".anomaly"),
    **dict.fromkeys(("function", "functional"), ""),
    **dict.fromkeys(("gradcheck", "gradgradcheck", "GradcheckError", "KinkError"), "..checks.gradcheck"),
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        return look_up(__name__, name)
    if not _LAZY[name]:
        return importlib.import_module(f".{name}", __package__)
    return getattr(importlib.import_module(_LAZY[name], __package__), name)
