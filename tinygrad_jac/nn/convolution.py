"""Convolutional layers."""

from __future__ import annotations

from typing import Any, ClassVar

from ..rules.convolution import per_axis
from . import functional as F
from . import init
from .module import Module
from .parameter import unfilled


class _Conv(Module):
    """What the convolutions share: options, parameters, printing. ``ndim`` counts the spatial axes.

    Attributes
    ----------
    weight : Parameter
        (out_channels, in_channels / groups, *kernel_size); of the transposed ones (in_channels, out_channels / groups,
        *kernel_size).
    bias : Parameter of shape (out_channels,), or None
        Both drawn from U(−1/√n, 1/√n) with n the second size of the weight times the kernel's taps.
    """

    ndim: ClassVar[int]
    transposed: ClassVar[bool] = False

    def _configure(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any, padding: Any, dilation: Any,
        groups: int, bias: bool, padding_mode: str, device: Any, dtype: Any, output_padding: Any = 0,
    ) -> None:  # fmt: skip
        for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if groups < 1 or channels % groups:
                raise ValueError(f"{name} must be divisible by groups: {name}={channels}, groups={groups}")
        modes = ("zeros",) if self.transposed else ("zeros", "reflect", "replicate", "circular")
        if padding_mode not in modes:
            raise ValueError(f"padding_mode must be one of {modes}, but got padding_mode='{padding_mode}'")
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueError(f"Invalid padding string '{padding}', should be one of 'same', 'valid'")
            if padding == "same" and set(per_axis(stride, self.ndim, "stride", 1)) != {1}:
                raise ValueError("padding='same' is not supported for strided convolutions")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = per_axis(kernel_size, self.ndim, "kernel_size", 1)
        self.stride = per_axis(stride, self.ndim, "stride", 1)
        self.padding: Any = padding if isinstance(padding, str) else per_axis(padding, self.ndim, "padding", 0)
        self.dilation = per_axis(dilation, self.ndim, "dilation", 1)
        self.output_padding = per_axis(output_padding, self.ndim, "output_padding", 0)
        self.groups = groups
        self.padding_mode = padding_mode
        seen, made = (out_channels, in_channels) if self.transposed else (in_channels, out_channels)
        self.weight = unfilled(made, seen // groups, *self.kernel_size, device=device, dtype=dtype)
        self.register_parameter("bias", unfilled(out_channels, device=device, dtype=dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        init.default_(self.weight, self.bias)

    def extra_repr(self) -> str:
        usual: dict[str, Any] = dict.fromkeys(("padding", "output_padding"), (0,) * self.ndim)
        usual |= {"dilation": (1,) * self.ndim, "groups": 1, "padding_mode": "zeros"}
        shown = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"]
        for name in ("padding", "dilation", "output_padding", "groups", "bias", "padding_mode"):
            if name == "bias":
                shown += ["bias=False"] if self.bias is None else []
            elif getattr(self, name) != usual[name]:
                shown.append(f"{name}={getattr(self, name)}")
        return ", ".join(shown)


class _Forward(_Conv):
    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0,
        dilation: Any = 1, groups: int = 1, bias: bool = True, padding_mode: str = "zeros", device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self._configure(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype
        )

    def forward(self, input: Any) -> Any:
        padding = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self._both_sides(), mode=self.padding_mode)
            padding = 0
        convolve = getattr(F, f"conv{self.ndim}d")
        return convolve(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def _both_sides(self) -> list[int]:
        """The padding as `F.pad` takes it, last axis first."""
        if isinstance(self.padding, str):
            totals = [d * (n - 1) if self.padding == "same" else 0 for d, n in zip(self.dilation, self.kernel_size)]
        else:
            totals = [2 * n for n in self.padding]
        return [side for total in reversed(totals) for side in (total // 2, total - total // 2)]


class _Transposed(_Conv):
    transposed = True

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0,
        output_padding: Any = 0, groups: int = 1, bias: bool = True, dilation: Any = 1, padding_mode: str = "zeros",
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self._configure(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device,
            dtype, output_padding,
        )  # fmt: skip

    def forward(self, input: Any, output_size: Any = None) -> Any:
        extra = self.output_padding if output_size is None else self._output_padding_for(input, output_size)
        convolve = getattr(F, f"conv_transpose{self.ndim}d")
        return convolve(input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation)

    def _output_padding_for(self, input: Any, output_size: Any) -> tuple[int, ...]:
        """The output padding with which the output gets given sizes: several of them lead to one convolution back."""
        wanted = tuple(output_size)[-self.ndim :]
        least = tuple(
            (n - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1
            for n, stride, padding, dilation, kernel in zip(
                input.shape[-self.ndim :], self.stride, self.padding, self.dilation, self.kernel_size
            )
        )
        if len(wanted) != self.ndim or any(not low <= n < low + s for n, low, s in zip(wanted, least, self.stride)):
            most = tuple(low + stride - 1 for low, stride in zip(least, self.stride))
            raise ValueError(f"requested an output size of {wanted}, but valid sizes range from {least} to {most}")
        return tuple(n - low for n, low in zip(wanted, least))


class Conv1d(_Forward):
    """A convolution over one axis: (batch, channels, length) to (batch, out_channels, positions).

    The output at a position is the sum, over channels and the kernel's taps, of input times weight, plus the bias.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, dilation : int
    padding : int, "same" or "valid"
        How much is added at both ends.
    groups : int
        Into how many parts, convolved apart, the channels are divided.
    bias : bool
    padding_mode : str
        With what: "zeros", "reflect", "replicate" or "circular".
    device : object
        The CPU, in any spelling, or None; others raise.
    dtype : dtype, optional

    Raises
    ------
    ValueError
        Options do not fit together.
    """

    ndim = 1


class Conv2d(_Forward):
    """A convolution over two axes: (batch, channels, height, width) to (batch, out_channels, rows, columns).

    The output at a position is the sum, over channels and the kernel's taps, of input times weight, plus the bias.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, dilation : int or (int, int)
    padding : int, (int, int), "same" or "valid"
        How much is added on all sides.
    groups : int
        Into how many parts, convolved apart, the channels are divided.
    bias : bool
    padding_mode : str
        With what: "zeros", "reflect", "replicate" or "circular".
    device : object
        The CPU, in any spelling, or None; others raise.
    dtype : dtype, optional

    Raises
    ------
    ValueError
        Options do not fit together.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac import nn
    >>> conv = nn.Conv2d(1, 6, 5, padding=2)
    >>> conv
    Conv2d(1, 6, kernel_size=(5, 5), stride=(1, 1), padding=(2, 2))
    >>> conv(tj.ones(32, 1, 28, 28)).shape
    (32, 6, 28, 28)
    """

    ndim = 2


class Conv3d(_Forward):
    """A convolution over three axes: (batch, channels, depth, height, width); see `Conv2d`."""

    ndim = 3


class ConvTranspose1d(_Transposed):
    """The transpose of `Conv1d` as a linear map, which widens what that narrows; see `ConvTranspose2d`."""

    ndim = 1


class ConvTranspose2d(_Transposed):
    """The transpose of `Conv2d` as a linear map, which widens what that narrows.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, padding, dilation : int or (int, int)
        Those of the convolution of which this is the transpose.
    output_padding : int or (int, int)
        Added to the output's sizes on one side: with a stride, several sizes lead to the same convolution back. May be
        left to ``forward(input, output_size)``.
    groups : int
    bias : bool
    padding_mode : str
        "zeros".
    device : object
        The CPU, in any spelling, or None; others raise.
    dtype : dtype, optional

    Raises
    ------
    ValueError
        Options do not fit together.
    """

    ndim = 2


class ConvTranspose3d(_Transposed):
    """The transpose of `Conv3d` as a linear map, which widens what that narrows; see `ConvTranspose2d`."""

    ndim = 3
