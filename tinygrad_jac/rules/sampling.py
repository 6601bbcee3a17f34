"""Images looked at in places between their pixels: spatial transformers (Jaderberg et al., 2015).

Compositions of indexing and products: the image's gradient is the scatter that belongs to the index, the places' that
of the weights with which neighbouring pixels are mixed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..graph import Variable, array_of
from ..spelling import public
from .elementary import clamp, masked, where
from .products import mT
from .shaping import moveaxis


@public()
def affine_grid(theta: Any, size: Sequence[int], align_corners: bool | None = None) -> Any:
    """The places that affine maps send the pixels of an output to, for `grid_sample`.

    Parameters
    ----------
    theta : array of shape (N, 2, 3), or (N, 3, 4) for volumes
        A matrix and a shift for each sample.
    size : sequence of int
        Of the output: (N, C, H, W), or (N, C, D, H, W).
    align_corners : bool
        Whether -1 and 1 are the centres of the pixels at the border, not their outer edges; False by default.

    Returns
    -------
    array of shape (N, H, W, 2), or (N, D, H, W, 3)
        In coordinates from -1 to 1, the last axis' first.

    Raises
    ------
    ShapeError
        ``theta`` does not fit the size.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> identity = tj.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    >>> affine_grid(identity, (1, 1, 1, 2))
    tensor([[[[-0.5000,  0.0000],
              [ 0.5000,  0.0000]]]])
    """
    spatial = tuple(size[2:])
    n = len(spatial)
    if n not in (2, 3) or theta.shape != (size[0], n, n + 1):
        raise ShapeError(f"affine_grid: theta of shape {theta.shape} does not fit the size {tuple(size)}: it should be "
                         "(N, 2, 3) for (N, C, H, W), or (N, 3, 4) for (N, C, D, H, W)")
    axes = [np.linspace(-1, 1, m) if m > 1 else np.zeros(1) for m in spatial]
    if not align_corners:
        axes = [axis * (m - 1) / m for axis, m in zip(axes, spatial)]
    places = [*reversed(np.meshgrid(*axes, indexing="ij")), np.ones(spatial)]
    base = np.stack(places, -1).reshape(-1, n + 1).astype(theta.dtype)
    return (base @ mT(theta)).reshape(size[0], *spatial, n)


@public()
def grid_sample(
    x: Any, grid: Any, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool | None = None
) -> Any:
    """What an image shows at given places.

    Parameters
    ----------
    x : array of shape (N, C, H, W), or (N, C, D, H, W)
    grid : array of shape (N, *places, 2), or (N, *places, 3)
        For each place in the output where to look: from -1 to 1, the last axis' coordinate first.
    mode : {"bilinear", "nearest"}
        Mix the neighbouring pixels, or take the nearest.
    padding_mode : {"zeros", "border"}
        What is seen outside: 0, or the pixel at the border.
    align_corners : bool
        Whether -1 and 1 are the centres of the pixels at the border, not their outer edges; False by default.

    Returns
    -------
    array of shape (N, C, *places)

    Raises
    ------
    ShapeError
        Image and grid do not fit together.
    ValueError
        ``mode`` or ``padding_mode`` is another word.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> image = tj.tensor([[[[1.0, 3.0]]]])
    >>> grid_sample(image, tj.tensor([[[[0.0, 0.0], [0.5, 0.0]]]]))
    tensor([[[[2., 3.]]]])
    """
    n = x.ndim - 2
    if n not in (2, 3) or grid.ndim != n + 2 or grid.shape[-1] != n or len(grid) != len(x):
        raise ShapeError(f"grid_sample: an input of shape {x.shape} and a grid of shape {grid.shape} do not fit: they "
                         "should be (N, C, H, W) and (N, height, width, 2), or the same with one spatial axis more")
    if mode not in ("bilinear", "nearest") or padding_mode not in ("zeros", "border"):
        raise ValueError("grid_sample knows mode='bilinear' and 'nearest', padding_mode='zeros' and 'border', not "
                         f"mode={mode!r}, padding_mode={padding_mode!r}")
    pixels = moveaxis(x, 1, -1)
    # The first neighbour along each axis, and how far the place is from it towards the second.
    firsts, shares = [], []
    for size, g in zip(x.shape[2:], reversed([grid[..., k] for k in range(n)])):
        place = (g + 1) * ((size - 1) / 2) if align_corners else ((g + 1) * size - 1) / 2
        if padding_mode == "border":
            # Not clamp alone: at the limits themselves the derivative is 0, as in PyTorch.
            place = where((place > 0) & (place < size - 1), place, clamp(array_of(place), 0, size - 1))
        values = place.array if isinstance(place, Variable) else place
        first = np.floor(values) if mode == "bilinear" else np.rint(values)
        firsts.append(np.clip(np.nan_to_num(first, nan=-2), -2, size).astype(np.int64))
        shares.append(place - first)
    samples = np.arange(len(x)).reshape(-1, *(1,) * n)
    total: Any = 0
    for corner in itertools.product((0, 1) if mode == "bilinear" else (0,), repeat=n):
        index = [first + step for first, step in zip(firsts, corner)]
        inside = np.logical_and.reduce([(i >= 0) & (i < size) for i, size in zip(index, x.shape[2:])])
        seen = pixels[(samples, *(np.clip(i, 0, size - 1) for i, size in zip(index, x.shape[2:])))]
        if mode == "bilinear":
            weight = math.prod(share if step else 1 - share for share, step in zip(shares, corner))
            total = total + seen * masked(weight, inside)[..., None]
        else:
            total = masked(seen, inside[..., None])
    return moveaxis(total, -1, 1)
