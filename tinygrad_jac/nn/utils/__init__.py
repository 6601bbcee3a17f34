"""Tools for networks: sequences of different lengths."""

from . import rnn

__all__ = ["rnn"]
