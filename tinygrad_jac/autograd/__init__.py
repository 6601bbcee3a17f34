"""Gradients of Tensors: `backward`, `grad`, and derivatives of the user's own functions."""

from .gradients import accumulate, backward, grad

__all__ = ["accumulate", "backward", "grad"]
