"""Normalisation: activations shifted and scaled to mean 0 and variance 1, then by learnt weights and biases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from ..dtypes import get_default_dtype
from ..errors import ShapeError
from ..graph import wrap
from . import functional as F
from . import init
from .module import Module
from .parameter import unfilled


class _Affine(Module):
    """What the normalisations share: a weight, at first 1, and a bias, at first 0, both of which may be missing."""

    def _make(self, shape: tuple[int, ...], weight: bool, bias: bool, device: Any, dtype: Any) -> None:
        for name, wanted in (("weight", weight), ("bias", bias)):
            made = unfilled(*shape, device=device, dtype=dtype)  # a device is refused in any case
            self.register_parameter(name, made if wanted else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the weight to 1 and the bias to 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)


class _OverBatch(_Affine):
    """What the normalisations with running statistics share.

    Parameters
    ----------
    num_features : int
        The number of channels (axis 1).
    eps : float
        Added to the variance.
    momentum : float or None
        How much the batch counts in the running statistics; None makes them the mean over all batches.
    affine : bool
        Whether there are a weight and a bias for each channel.
    track_running_stats : bool
        Whether running statistics are kept, for `eval`; without them, the batch's are used there too.
    device : object
        The CPU, in any spelling, or None; others raise.
    dtype : dtype, optional
    bias : bool

    Attributes
    ----------
    weight, bias : Parameter of shape (num_features,), or None
    running_mean, running_var : buffer of shape (num_features,), or None
    num_batches_tracked : buffer, or None
    """

    ndims: ClassVar[tuple[int, ...]]  # how many axes the input may have

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
        track_running_stats: bool = True, device: Any = None, dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        tracked: tuple[Any, ...] = (None, None, None)
        if track_running_stats:
            dtype_of = dtype or get_default_dtype()
            means, variances = np.zeros(num_features, dtype_of), np.ones(num_features, dtype_of)
            tracked = (wrap(means), wrap(variances), wrap(np.zeros((), np.int64)))
        for name, buffer in zip(("running_mean", "running_var", "num_batches_tracked"), tracked):
            self.register_buffer(name, buffer)
        self._make((num_features,), affine, affine and bias, device, dtype)

    def reset_running_stats(self) -> None:
        """Forget what was seen."""
        if self.track_running_stats:
            init.zeros_(self.running_mean)
            init.ones_(self.running_var)
            init.zeros_(self.num_batches_tracked)

    def reset_parameters(self) -> None:
        """Set the weight to 1 and the bias to 0, and forget what was seen."""
        self.reset_running_stats()
        super().reset_parameters()

    def _check_input_dim(self, input: Any) -> None:
        if input.ndim not in self.ndims:
            expected = " or ".join(f"{n}D" for n in self.ndims)
            raise ShapeError(f"expected {expected} input (got {input.ndim}D input): {type(self).__name__}")

    def _count_batch(self) -> float:
        """Count a batch to be learnt from, and say how much of the running statistics it is to be."""
        if self.num_batches_tracked is None:
            return self.momentum or 0.0
        self.num_batches_tracked.array[...] += 1
        return 1.0 / self.num_batches_tracked.item() if self.momentum is None else self.momentum

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_OverBatch):
    def forward(self, input: Any) -> Any:
        self._check_input_dim(input)
        learns = self.training and self.track_running_stats
        momentum = self._count_batch() if learns else self.momentum or 0.0
        known = learns or not self.training
        return F.batch_norm(
            input, self.running_mean if known else None, self.running_var if known else None, self.weight, self.bias,
            self.training or self.running_mean is None, momentum, self.eps,
        )  # fmt: skip


class BatchNorm1d(_BatchNorm):
    """Each channel normalised over the batch: (batch, channels) or (batch, channels, length). See `BatchNorm2d`."""

    ndims = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Each channel normalised over the batch and its image: (batch, channels, height, width).

    While training by the batch's mean and variance, which also move the running ones; in evaluation by the running
    ones.

    Parameters
    ----------
    num_features : int
        The number of channels (axis 1).
    eps : float
        Added to the variance.
    momentum : float or None
        How much the batch counts in the running statistics; None makes them the mean over all batches.
    affine : bool
        Whether there are a weight and a bias for each channel.
    track_running_stats : bool
        Whether running statistics are kept; without them, the batch's are used in evaluation too.
    device : object
        The CPU, in any spelling, or None; others raise.
    dtype : dtype, optional
    bias : bool

    Raises
    ------
    ShapeError
        The input has another number of axes.
    """

    ndims = (4,)


class BatchNorm3d(_BatchNorm):
    """Each channel normalised over the batch and its volume: (batch, channels, depth, height, width).

    See `BatchNorm2d`.
    """

    ndims = (5,)


class _InstanceNorm(_OverBatch):
    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = False,
        track_running_stats: bool = False, device: Any = None, dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def forward(self, input: Any) -> Any:
        self._check_input_dim(input)
        if input.ndim == self.ndims[0]:  # one sample
            return self.forward(input.unsqueeze(0)).squeeze(0)
        return F.instance_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias,
            self.training or not self.track_running_stats, self.momentum or 0.0, self.eps,
        )  # fmt: skip


class InstanceNorm1d(_InstanceNorm):
    """Each channel of each sample normalised over its length: (batch, channels, length) or one sample of that."""

    ndims = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """Each channel of each sample normalised over its image: (batch, channels, height, width) or one sample of that."""

    ndims = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """Each channel of each sample normalised over its volume: (batch, channels, depth, height, width) or one sample."""

    ndims = (4, 5)


class _OverTrailing(_Affine):
    """What `LayerNorm` and `RMSNorm` share: they normalise over the last axes, of a given shape."""

    def _configure(
        self, normalized_shape: int | Sequence[int], eps: float | None, affine: bool, bias: bool, device: Any,
        dtype: Any,
    ) -> None:  # fmt: skip
        sizes = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.normalized_shape = sizes
        self.eps: Any = eps
        self.elementwise_affine = affine
        self._make(sizes, affine, affine and bias, device, dtype)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class LayerNorm(_OverTrailing):
    """Each sample normalised over its last axes (Ba, Kiros and Hinton, 2016).

    Parameters
    ----------
    normalized_shape : int or sequence of int
        The sizes of the axes to normalise over.
    eps : float
        Added to the variance.
    elementwise_affine, bias : bool
        Whether there are a weight and a bias for each entry.
    device : object
        The CPU, in any spelling, or None; others raise.
    dtype : dtype, optional
    """

    def __init__(
        self, normalized_shape: Any, eps: float = 1e-5, elementwise_affine: bool = True, bias: bool = True,
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self._configure(normalized_shape, eps, elementwise_affine, bias, device, dtype)

    def forward(self, input: Any) -> Any:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, bias={self.bias is not None}"


class RMSNorm(_OverTrailing):
    """Each sample divided by the root of the mean of its squares over its last axes (Zhang and Sennrich, 2019).

    Parameters
    ----------
    normalized_shape : int or sequence of int
        The sizes of the axes to normalise over.
    eps : float, optional
        Added to the mean of the squares; the dtype's epsilon by default.
    elementwise_affine : bool
        Whether there is a weight for each entry.
    device : object
        The CPU, in any spelling, or None; others raise.
    dtype : dtype, optional
    """

    def __init__(
        self, normalized_shape: Any, eps: float | None = None, elementwise_affine: bool = True, device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self._configure(normalized_shape, eps, elementwise_affine, False, device, dtype)

    def forward(self, input: Any) -> Any:
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)


class GroupNorm(_Affine):
    """Groups of channels of each sample normalised (Wu and He, 2018).

    Parameters
    ----------
    num_groups, num_channels : int
    eps : float
        Added to the variance.
    affine, bias : bool
        Whether there are a weight and a bias for each channel.
    device : object
        The CPU, in any spelling, or None; others raise.
    dtype : dtype, optional

    Raises
    ------
    ValueError
        The channels cannot be divided into so many groups.
    """

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True, device: Any = None,
        dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        if num_channels % num_groups:
            raise ValueError(f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})")
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        self._make((num_channels,), affine, affine and bias, device, dtype)

    def forward(self, input: Any) -> Any:
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )
