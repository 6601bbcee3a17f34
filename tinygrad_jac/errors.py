"""The exceptions that are the library's own; everything else is a built-in type."""

from __future__ import annotations


class ShapeError(ValueError, RuntimeError):
    """Shapes that do not fit together.

    NumPy raises `ValueError` here and PyTorch `RuntimeError`; code written for either catches this.
    """


class GradientError(RuntimeError):
    """A gradient that cannot be computed as asked: what is missing, and what to do."""


class UnsavedError(GradientError):
    """A rule read the values of an argument that its primitive does not save."""
