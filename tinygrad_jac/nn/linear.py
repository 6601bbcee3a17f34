"""Affine layers, and layers that only change the shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from . import functional as F
from . import init
from .module import Module
from .parameter import unfilled
from .thin import Thin


class Identity(Module):
    """The input as it is; whatever arguments it is made with are ignored."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Any) -> Any:
        return input


class Linear(Module):
    """y = x Wᵀ + b, on the last axis.

    Parameters
    ----------
    in_features, out_features : int
    bias : bool
        Whether b is there.
    device : object
        The CPU, in any spelling, or None; others raise.
    dtype : dtype, optional

    Attributes
    ----------
    weight : Parameter of shape (out_features, in_features)
    bias : Parameter of shape (out_features,), or None
        Both drawn from U(−1/√in_features, 1/√in_features).

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac import nn
    >>> nn.Linear(20, 30)(tj.ones(128, 20)).shape
    (128, 30)
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = unfilled(out_features, in_features, device=device, dtype=dtype)
        self.register_parameter("bias", unfilled(out_features, device=device, dtype=dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        init.default_(self.weight, self.bias)

    def forward(self, input: Any) -> Any:
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Bilinear(Module):
    """yₖ = x₁ᵀ Wₖ x₂ + bₖ, on the last axes of two inputs.

    Parameters
    ----------
    in1_features, in2_features, out_features : int
    bias : bool
    device : object
        The CPU, in any spelling, or None; others raise.
    dtype : dtype, optional

    Attributes
    ----------
    weight : Parameter of shape (out_features, in1_features, in2_features)
    bias : Parameter of shape (out_features,), or None
        Both drawn from U(−1/√in1_features, 1/√in1_features).
    """

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if in1_features <= 0:
            raise ValueError(f"in1_features must be > 0, but got {in1_features}")
        self.in1_features = in1_features
        self.in2_features = in2_features
        self.out_features = out_features
        self.weight = unfilled(out_features, in1_features, in2_features, device=device, dtype=dtype)
        self.register_parameter("bias", unfilled(out_features, device=device, dtype=dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        bound = 1 / math.sqrt(self.in1_features)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def forward(self, input1: Any, input2: Any) -> Any:
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class Flatten(Thin):
    """Some axes as one: by default all but the first, which counts the samples."""

    start_dim: int = 1
    end_dim: int = -1
    function = staticmethod(F.flatten)


class Unflatten(Thin):
    """One axis as several; the inverse of `Flatten`."""

    dim: int
    unflattened_size: Sequence[int]

    def forward(self, input: Any) -> Any:
        return F.unflatten(input, self.dim, self.unflattened_size)
