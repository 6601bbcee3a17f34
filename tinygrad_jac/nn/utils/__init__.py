"""Tools for networks.

Gradients clipped, parameters as a vector, parametrizations, sequences of different lengths, convolutional networks
written as linear ones.
"""

from . import parametrize, rnn
from .clip import clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm
from .linearize import AsLinear, as_linear
from .vector import parameters_to_vector, vector_to_parameters

__all__ = [
    "AsLinear", "as_linear", "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm",
    "parameters_to_vector", "parametrize", "rnn", "vector_to_parameters",
]  # fmt: skip
