"""Pooling: windows of an image reduced to one number each."""

from __future__ import annotations

from typing import Any

from . import functional as F
from .thin import Thin


class _Pool(Thin):
    kernel_size: Any
    stride: Any = None

    def _check(self) -> None:
        if self.stride is None:
            self.stride = self.kernel_size


class _MaxPool(_Pool):
    kernel_size: Any
    stride: Any = None
    padding: Any = 0
    dilation: Any = 1
    return_indices: bool = False
    ceil_mode: bool = False
    shown = "kernel_size stride padding dilation ceil_mode"


class MaxPool1d(_MaxPool):
    """The largest entry of each window of (batch, channels, length)."""

    function = staticmethod(F.max_pool1d)


class MaxPool2d(_MaxPool):
    """The largest entry of each window of (batch, channels, height, width).

    Parameters
    ----------
    kernel_size : int or (int, int)
    stride : int or (int, int), optional
        The kernel's size by default: windows do not overlap.
    padding, dilation : int or (int, int)
    return_indices : bool
        Also where in its image each maximum is.
    ceil_mode : bool
        Also windows that stick out at the end.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac import nn
    >>> nn.MaxPool2d(2)(tj.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]))
    tensor([[[[4.]]]])
    """

    function = staticmethod(F.max_pool2d)


class MaxPool3d(_MaxPool):
    """The largest entry of each window of (batch, channels, depth, height, width)."""

    function = staticmethod(F.max_pool3d)


class AvgPool1d(_Pool):
    """The mean of each window of (batch, channels, length); see `AvgPool2d`."""

    kernel_size: Any
    stride: Any = None
    padding: Any = 0
    ceil_mode: bool = False
    count_include_pad: bool = True
    shown = "kernel_size stride padding"
    function = staticmethod(F.avg_pool1d)

    def _check(self) -> None:
        super()._check()
        for name in self.shown.split():
            value = getattr(self, name)
            setattr(self, name, value if isinstance(value, tuple) else (value,))


class _AvgPool(_Pool):
    kernel_size: Any
    stride: Any = None
    padding: Any = 0
    ceil_mode: bool = False
    count_include_pad: bool = True
    divisor_override: int | None = None
    shown = "kernel_size stride padding"


class AvgPool2d(_AvgPool):
    """The mean of each window of (batch, channels, height, width).

    Parameters
    ----------
    kernel_size : int or (int, int)
    stride : int or (int, int), optional
        The kernel's size by default: windows do not overlap.
    padding : int or (int, int)
    ceil_mode : bool
        Also windows that stick out at the end.
    count_include_pad : bool
        Count the zeros of the padding.
    divisor_override : int, optional
        Divide by this instead of the window's size.
    """

    function = staticmethod(F.avg_pool2d)


class AvgPool3d(_AvgPool):
    """The mean of each window of (batch, channels, depth, height, width); see `AvgPool2d`."""

    function = staticmethod(F.avg_pool3d)


class _AdaptiveAvgPool(Thin):
    output_size: Any


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """The means of as many windows as the output is to have entries."""

    function = staticmethod(F.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """The means of as many windows as the output is to have entries; a size that is None stays."""

    function = staticmethod(F.adaptive_avg_pool2d)


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """The means of as many windows as the output is to have entries; a size that is None stays."""

    function = staticmethod(F.adaptive_avg_pool3d)


class _AdaptiveMaxPool(Thin):
    output_size: Any
    return_indices: bool = False
    shown = "output_size"


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The maxima of as many windows as the output is to have entries."""

    function = staticmethod(F.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The maxima of as many windows as the output is to have entries; a size that is None stays."""

    function = staticmethod(F.adaptive_max_pool2d)


class Upsample(Thin):
    """Images in another size, each entry taken from the nearest place, or from between its neighbours.

    Parameters
    ----------
    size : int or sequence of int, optional
    scale_factor : float or sequence of float, optional
        One of the two says what the output's size is.
    mode : str
        "nearest"; "linear", "bilinear" or "trilinear", by the number of spatial axes.
    align_corners, recompute_scale_factor : bool, optional
        As of `tinygrad_jac.nn.functional.interpolate`.
    """

    size: Any = None
    scale_factor: Any = None
    mode: str = "nearest"
    align_corners: bool | None = None
    recompute_scale_factor: bool | None = None
    function = staticmethod(F.interpolate)

    def _check(self) -> None:
        if isinstance(self.scale_factor, int):
            self.scale_factor = float(self.scale_factor)

    def extra_repr(self) -> str:
        name = "size" if self.scale_factor is None else "scale_factor"
        return f"{name}={getattr(self, name)}, mode={self.mode!r}"
