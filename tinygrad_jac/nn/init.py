"""First values of parameters. All functions write into a tensor's memory, without recording, and return the tensor."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ..graph import Variable
from ..random import fill_normal, fill_uniform, numpy_generator
from ..versions import mark_changed

LINEAR = ("linear", *(f"conv{kind}{n}d" for kind in ("", "_transpose") for n in (1, 2, 3)))


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """By how much weights are to be larger, so that the variance stays the same through a nonlinearity.

    Parameters
    ----------
    nonlinearity : str
        As it is called in `tinygrad_jac.nn.functional`.
    param : float, optional
        The slope of ``leaky_relu`` (0.01).

    Raises
    ------
    ValueError
        The nonlinearity is not known here.

    Examples
    --------
    >>> calculate_gain("leaky_relu", 1.0)
    1.0
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"negative_slope {param} not a valid number")
        return math.sqrt(2.0 / (1 + slope**2))
    gains = {"sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2.0), "selu": 3 / 4, **dict.fromkeys(LINEAR, 1.0)}
    if nonlinearity not in gains:
        raise ValueError(f"Unsupported nonlinearity {nonlinearity}: known are leaky_relu, {', '.join(gains)}")
    return gains[nonlinearity]


def _calculate_fan_in_and_fan_out(tensor: Any) -> tuple[int, int]:
    """How many numbers an output is made of, and how many outputs an input is part of; from a weight's shape."""
    if tensor.ndim < 2:
        raise ValueError("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions")
    taps = math.prod(tensor.shape[2:])
    return tensor.shape[1] * taps, tensor.shape[0] * taps


def _fan(tensor: Any, mode: str) -> int:
    if mode.lower() not in ("fan_in", "fan_out"):
        raise ValueError(f"Mode {mode} not supported, please use one of ['fan_in', 'fan_out']")
    return _calculate_fan_in_and_fan_out(tensor)[mode.lower() == "fan_out"]


def _write(tensor: Any, fill: Callable[[Any], object]) -> Any:
    if not isinstance(tensor, Variable):
        raise TypeError(f"initialisation fills a Tensor, not {type(tensor).__name__}")
    fill(tensor.array)
    mark_changed(tensor.array)
    return tensor


def uniform_(tensor: Any, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Any:
    """U(a, b)."""
    return _write(tensor, lambda array: fill_uniform(array, a, b, generator))


def normal_(tensor: Any, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Any:
    """N(mean, std²)."""
    return _write(tensor, lambda array: fill_normal(array, mean, std, generator))


def copy_(tensor: Any, values: Any) -> Any:
    """Given values, one for each entry or for all."""
    return _write(tensor, lambda array: np.copyto(array, values, casting="same_kind"))


def trunc_normal_(
    tensor: Any, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: Any = None
) -> Any:
    """N(mean, std²), what falls outside of [a, b] drawn again."""
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_: the values will crowd at one end",
            stacklevel=2,
        )
    random, peak = numpy_generator(generator), min(max(mean, a), b)
    below_b, below_a = (0.5 * (1 + math.erf((end - mean) / std / math.sqrt(2))) for end in (b, a))
    drawn, missing = [np.empty(0)], tensor.numel()
    while missing:
        if below_b - below_a > 0.3:
            x = random.normal(mean, std, missing)
            x = x[(a <= x) & (x <= b)]
        else:  # too few would fall within: draw evenly, and keep each as often as its density says
            x = random.uniform(a, b, missing)
            likelihood = np.exp((((peak - mean) / std) ** 2 - ((x - mean) / std) ** 2) / 2)
            x = x[random.random(missing) < likelihood]
        drawn.append(x)
        missing -= x.size
    return copy_(tensor, np.clip(np.concatenate(drawn).reshape(tensor.shape).astype(tensor.dtype), a, b))


def constant_(tensor: Any, val: float) -> Any:
    """One value."""
    return copy_(tensor, val)


def ones_(tensor: Any) -> Any:
    """Ones."""
    return copy_(tensor, 1)


def zeros_(tensor: Any, *, generator: Any = None) -> Any:
    """Zeros."""
    return copy_(tensor, 0)


def eye_(tensor: Any) -> Any:
    """The identity matrix, or as much of it as fits."""
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    return copy_(tensor, np.eye(*tensor.shape))


def xavier_uniform_(tensor: Any, gain: float = 1.0, generator: Any = None) -> Any:
    """U(−a, a) with a = gain √(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010)."""
    bound = gain * math.sqrt(6.0 / sum(_calculate_fan_in_and_fan_out(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Any, gain: float = 1.0, generator: Any = None) -> Any:
    """N(0, s²) with s = gain √(2 / (fan_in + fan_out)) (Glorot and Bengio, 2010)."""
    std = gain * math.sqrt(2.0 / sum(_calculate_fan_in_and_fan_out(tensor)))
    return normal_(tensor, 0.0, std, generator)


def kaiming_uniform_(
    tensor: Any, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Any:
    """U(−b, b) with b = gain √(3 / fan) (He et al., 2015); ``a`` is the slope of ``leaky_relu``."""
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=2)
        return tensor
    bound = calculate_gain(nonlinearity, a) * math.sqrt(3.0 / _fan(tensor, mode))
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Any, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Any:
    """N(0, s²) with s = gain / √fan (He et al., 2015); ``a`` is the slope of ``leaky_relu``."""
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=2)
        return tensor
    return normal_(tensor, 0.0, calculate_gain(nonlinearity, a) / math.sqrt(_fan(tensor, mode)), generator)


def orthogonal_(tensor: Any, gain: float = 1, generator: Any = None) -> Any:
    """Orthonormal rows or columns, whichever are fewer, times the gain; axes after the first count as one.

    The Q of a random matrix's QR decomposition, its columns' signs chosen so that no direction is preferred (Saxe,
    McClelland and Ganguli, 2013; Mezzadri, 2006).
    """
    if tensor.ndim < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    if not tensor.numel():
        return tensor
    rows = tensor.shape[0]
    columns = tensor.numel() // rows
    q, r = np.linalg.qr(numpy_generator(generator).standard_normal((max(rows, columns), min(rows, columns))))
    q *= np.where(np.diagonal(r) < 0, -gain, gain)
    return copy_(tensor, (q if rows >= columns else q.T).reshape(tensor.shape))


def default_(weight: Any, bias: Any = None) -> None:
    """What linear layers and convolutions start with, weight and bias alike: U(−1/√fan_in, 1/√fan_in).

    For the weight PyTorch writes it ``kaiming_uniform_(weight, a=math.sqrt(5))``.
    """
    fan_in, _ = _calculate_fan_in_and_fan_out(weight)
    for tensor in (weight, bias):
        if tensor is not None and fan_in:
            uniform_(tensor, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))
