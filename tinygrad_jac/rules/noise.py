"""Dropout: products with masks that are drawn at random and are constants for the derivative."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ShapeError
from ..graph import Variable
from ..random import numpy_generator
from ..spelling import public


def _dropped(x: Any, p: float, training: bool, shared: int = 0) -> Any:
    """``x`` times a mask of 0 and 1 / (1 - p), one entry of which serves all of the last ``shared`` axes."""
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if x.dtype.kind != "f":
        raise TypeError(f"dropout takes floating-point numbers, not {x.dtype}: convert them first, as with .float()")
    if not training or p == 0:
        return x
    array = x.array if isinstance(x, Variable) else x
    # Drawn in the memory order of x, which the channels-last output of a convolution makes another than row-major: the
    # product of arrays of two orders takes four times as long.
    order = sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))
    shape = [1 if axis >= array.ndim - shared else array.shape[axis] for axis in order]
    kept = numpy_generator().random(shape, dtype=np.float32) >= p
    scale = array.dtype.type(0 if p == 1 else 1 / (1 - p))
    return x * np.transpose(kept * scale, np.argsort(order))


@public()
def dropout(x: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Each entry 0 with probability ``p``, and else divided by ``1 - p``, so that the mean stays the same.

    Parameters
    ----------
    x : array
    p : float
    training : bool
        Whether anything happens; without it ``x`` itself is returned.
    inplace : bool
        Accepted; the result is a new array all the same.

    Returns
    -------
    array of the shape of ``x``

    Raises
    ------
    ValueError
        ``p`` is not within [0, 1].

    Notes
    -----
    Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov, "Dropout: a simple way to prevent neural networks from
    overfitting", 2014.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac.rules.noise import dropout
    >>> sorted(set(dropout(tj.ones(1000), p=0.75).tolist()))
    [0.0, 4.0]
    """
    return _dropped(x, p, training)


def _check_axes(name: str, x: Any, allowed: tuple[int, int]) -> None:
    if x.ndim not in allowed:
        raise ShapeError(f"{name} takes an input of {allowed[0]} or {allowed[1]} axes, not one of shape {x.shape}")


@public()
def dropout1d(x: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """`dropout` of whole channels: x (batch, channels, length) or (channels, length)."""
    _check_axes("dropout1d", x, (2, 3))
    return _dropped(x, p, training, shared=1)


@public()
def dropout2d(x: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """`dropout` of whole channels: x (batch, channels, height, width).

    Three axes are read as (batch, channels, length), as PyTorch reads them.
    """
    _check_axes("dropout2d", x, (3, 4))
    return _dropped(x, p, training, shared=x.ndim - 2)


@public()
def dropout3d(x: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """`dropout` of whole channels: x (batch, channels, depth, height, width) or (channels, depth, height, width)."""
    _check_axes("dropout3d", x, (4, 5))
    return _dropped(x, p, training, shared=3)
