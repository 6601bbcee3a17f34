"""Tools for networks: gradients clipped, parameters as a vector, parametrizations, sequences of different lengths."""

from . import parametrize, rnn
from .clip import clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm
from .vector import parameters_to_vector, vector_to_parameters

__all__ = [
    "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm", "parameters_to_vector",
    "parametrize", "rnn", "vector_to_parameters",
]  # fmt: skip
