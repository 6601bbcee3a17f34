"""Activations: each applies a function of `tinygrad_jac.nn.functional`, where the formulas stand."""

from __future__ import annotations

from typing import Any

from . import functional as F
from . import init
from .module import Module
from .parameter import unfilled
from .thin import Thin

# `inplace` is PyTorch's; the result is the same, in memory of its own.


class ReLU(Thin):
    """max(x, 0)."""

    inplace: bool = False
    function = staticmethod(F.relu)


class ReLU6(Thin):
    """min(max(x, 0), 6)."""

    inplace: bool = False
    function = staticmethod(F.relu6)


class LeakyReLU(Thin):
    """x where positive, else ``negative_slope`` · x."""

    negative_slope: float = 0.01
    inplace: bool = False
    function = staticmethod(F.leaky_relu)


class ELU(Thin):
    """x where positive, else α (exp(x) − 1)."""

    alpha: float = 1.0
    inplace: bool = False
    function = staticmethod(F.elu)


class SELU(Thin):
    """`ELU` scaled so that layers keep mean 0 and variance 1 (Klambauer et al., 2017)."""

    inplace: bool = False
    function = staticmethod(F.selu)


class CELU(Thin):
    """x where positive, else α (exp(x/α) − 1)."""

    alpha: float = 1.0
    inplace: bool = False
    function = staticmethod(F.celu)


class GELU(Thin):
    """x Φ(x), with the normal distribution Φ, or with its approximation by tanh (``approximate="tanh"``)."""

    approximate: str = "none"
    function = staticmethod(F.gelu)


class SiLU(Thin):
    """x σ(x), with the sigmoid σ; also called swish."""

    inplace: bool = False
    function = staticmethod(F.silu)


class Mish(Thin):
    """x tanh(log(1 + exp(x)))."""

    inplace: bool = False
    function = staticmethod(F.mish)


class Sigmoid(Thin):
    """1 / (1 + exp(−x))."""

    function = staticmethod(F.sigmoid)


class Tanh(Thin):
    """tanh(x)."""

    function = staticmethod(F.tanh)


class LogSigmoid(Thin):
    """log(1 / (1 + exp(−x))), without overflow."""

    function = staticmethod(F.logsigmoid)


class Softplus(Thin):
    """log(1 + exp(β x)) / β; x itself where β x exceeds the threshold."""

    beta: float = 1.0
    threshold: float = 20.0
    function = staticmethod(F.softplus)


class Softsign(Thin):
    """x / (1 + |x|)."""

    function = staticmethod(F.softsign)


class Tanhshrink(Thin):
    """x − tanh(x)."""

    function = staticmethod(F.tanhshrink)


class _Shrink(Thin):
    lambd: float = 0.5

    def extra_repr(self) -> str:
        return str(self.lambd)


class Softshrink(_Shrink):
    """x brought λ closer to 0; 0 within [−λ, λ]."""

    function = staticmethod(F.softshrink)


class Hardshrink(_Shrink):
    """x; 0 within [−λ, λ]."""

    function = staticmethod(F.hardshrink)


class Hardtanh(Thin):
    """x limited to [``min_val``, ``max_val``]."""

    min_val: float = -1.0
    max_val: float = 1.0
    inplace: bool = False
    function = staticmethod(F.hardtanh)


class Hardsigmoid(Thin):
    """x/6 + 1/2 limited to [0, 1]."""

    inplace: bool = False
    function = staticmethod(F.hardsigmoid)


class Hardswish(Thin):
    """x times `Hardsigmoid`."""

    inplace: bool = False
    function = staticmethod(F.hardswish)


class Threshold(Thin):
    """x where it exceeds ``threshold``, else ``value``."""

    threshold: float
    value: float
    inplace: bool = False
    function = staticmethod(F.threshold)


class Softmax(Thin):
    """exp(x) divided by its sum along an axis: probabilities."""

    dim: Any = None
    function = staticmethod(F.softmax)


class LogSoftmax(Thin):
    """The logarithm of `Softmax`, without overflow."""

    dim: Any = None
    function = staticmethod(F.log_softmax)


class Softmin(Thin):
    """`Softmax` of −x."""

    dim: Any = None
    function = staticmethod(F.softmin)


class GLU(Thin):
    """a σ(b), a and b being the halves of x along an axis: a gated linear unit."""

    dim: int = -1
    function = staticmethod(F.glu)


class PReLU(Module):
    """`LeakyReLU` with a learnt slope, one for all channels (axis 1) or one for each.

    Parameters
    ----------
    num_parameters : int
        1 or the number of channels.
    init : float
        The slope at first.
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = unfilled(num_parameters, device=device, dtype=dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the slopes to their first value."""
        init.constant_(self.weight, self.init)

    def forward(self, input: Any) -> Any:
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"
