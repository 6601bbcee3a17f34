"""The exceptions that are the library's own; everything else is a built-in type."""

from __future__ import annotations

import numpy as np


class ShapeError(ValueError, RuntimeError):
    """Shapes that do not fit together.

    NumPy raises `ValueError` here and PyTorch `RuntimeError`; code written for either catches this.
    """


class LinAlgError(np.linalg.LinAlgError, RuntimeError):
    """A matrix without the inverse or the decomposition that was asked for.

    NumPy raises `numpy.linalg.LinAlgError` here and PyTorch a `RuntimeError`; code written for either catches this.
    """


class FileFormatError(ValueError, RuntimeError):
    """A file that is not what `save` wrote: damaged, cut off, or of another format; the message says which.

    NumPy raises `ValueError` here and PyTorch `RuntimeError`; code written for either catches this.
    """


class GradientError(RuntimeError):
    """A gradient that cannot be computed as asked: what is missing, and what to do."""


class OutOfScopeError(AttributeError, NotImplementedError):
    """What PyTorch has and this library does not: the name, and what to do instead.

    An `AttributeError`, so that ``hasattr`` and ``getattr`` with a default see that it is not there; a
    `NotImplementedError` (hence a `RuntimeError`) for what is asked of something that is there.
    """


class UnsavedError(GradientError):
    """A rule read the values of an argument that its primitive does not save."""
