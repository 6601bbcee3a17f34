"""What training scripts use besides networks and optimisers."""

from . import data

__all__ = ["data"]
