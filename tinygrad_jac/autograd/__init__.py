"""Gradients of Tensors: `backward`, `grad`, and derivatives of the user's own functions."""

from . import function, functional
from .function import Function
from .gradients import accumulate, backward, grad

__all__ = ["Function", "accumulate", "backward", "function", "functional", "grad"]
