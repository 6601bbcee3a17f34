"""Pooling and resampling: a maximum selects entries, an average is a convolution with a constant kernel.

Everything here acts on the last axes of an array, one, two or three of them; where the kernel looks is the `Window`
of convolution.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..graph import Variable, wrap
from ..jacobians import Jacobian, Selection
from ..primitive import Primitive, primitive
from ..spelling import public
from .convolution import Window, conv, cropped, padded, per_axis, window_of, with_batch
from .shaping import clone

# ------------------------------------------------------------------------------------------------ the maximum

# The residual of a maximum is, for each output, the number of the tap that won: one byte each where the kernel has at
# most 256 taps. Among equal entries the first tap wins, among several NaN the last, as in PyTorch.


def _max_pool(x: Any, *, window: Window) -> tuple[Any, Any]:
    lowest = -np.inf if x.dtype.kind in "fc" else False if x.dtype.kind == "b" else np.iinfo(x.dtype).min
    x = padded(x, window, x.ndim - len(window.sizes), lowest)
    values = [x[(..., *slices)] for slices in window.taps()]
    best = np.array(values[0])
    winner = np.zeros_like(best, dtype=np.min_scalar_type(len(values) - 1))
    if window.room != list(window.sizes):
        winner += np.argmax(window.entries() >= 0, axis=0).astype(winner.dtype).reshape(window.positions)
    for k, value in enumerate(values[1:], 1):
        # Later taps have larger numbers: this maximum is a choice without a branch, 1.4 ms where copying under a mask
        # takes 9 (64 x 64 x 24 x 24, 2 x 2).
        np.maximum(winner, (value > best) * winner.dtype.type(k), out=winner)
        np.maximum(best, value, out=best)
    if best.size and np.isnan(best.max()):
        for k, value in enumerate(values):
            winner[np.isnan(value)] = k
    return best, winner


def _unpool(g: Any, *, winner: Any, window: Window) -> Any:
    if g.ndim == winner.ndim:
        # In the memory order of what was pooled: mixed orders take four times as long as this copy and what follows.
        given, g = g, np.empty_like(winner, dtype=g.dtype)
        g[...] = given
    first = g.ndim - len(window.sizes)
    whole: Any = np.zeros_like(g, shape=(*g.shape[:first], *window.room))
    finite = bool(np.isfinite(g).all())
    for k, slices in enumerate(window.taps()):
        won = winner == winner.dtype.type(k)
        part = g * won if finite else np.where(won, g, g.dtype.type(0))  # the product is six times faster
        if window.overlaps:
            whole[(..., *slices)] += part
        else:
            whole[(..., *slices)] = part
    return cropped(whole, window, first)


def _pick(x: Any, *, winner: Any, window: Window) -> Any:
    entries = _entries(winner, window)
    flat = x.reshape(*x.shape[: x.ndim - len(window.sizes)], math.prod(window.sizes))
    index = np.broadcast_to(np.maximum(entries, 0).reshape(*entries.shape[: -len(window.sizes)], -1),
                            (*flat.shape[:-1], math.prod(window.positions)))
    picked = np.take_along_axis(flat, index, axis=-1).reshape(*flat.shape[:-1], *window.positions)
    return np.where(entries >= 0, picked, x.dtype.type(0))


def _entries(winner: Any, window: Window) -> Any:
    """The flat index, among the entries of its own plane, of each maximum; -1 in padding."""
    places = window.entries()
    chosen = places[winner.reshape(-1, places.shape[1]), np.arange(places.shape[1])]
    return chosen.reshape(winner.shape)


def _selection(x: Sequence[int], y: Sequence[int], winner: Any, window: Window) -> Jacobian:
    size = math.prod(window.sizes)
    entries = np.broadcast_to(_entries(winner, window), y).reshape(-1, math.prod(window.positions))
    planes = np.arange(len(entries))[:, None] * size
    return Selection(np.where(entries >= 0, entries + planes, -1).reshape(y), x)


_maximum: Primitive = primitive(
    "max_pool", _max_pool, saves="residual",
    vjp=lambda g, out, x, *, window, residual: unpool(g, winner=residual, window=window),
    jacobian=lambda out, x, *, window, residual: _selection(x.shape, out.shape, residual, window),
    doc="The largest entry that a window meets at each position: (..., *sizes) to (..., *positions).",
)
unpool: Primitive = primitive(
    "unpool", _unpool,
    vjp=lambda g, out, y, *, winner, window: pick(g, winner=winner, window=window),
    jacobian=lambda out, y, *, winner, window: _selection(out.shape, y.shape, winner, window).T,
    doc="Each entry put back where a maximum was found: (..., *positions) to (..., *sizes).",
)
pick: Primitive = primitive(
    "pick", _pick,
    vjp=lambda g, out, x, *, winner, window: unpool(g, winner=winner, window=window),
    jacobian=lambda out, x, *, winner, window: _selection(x.shape, out.shape, winner, window),
    doc="The entries where the maximum of *another* array was found; the transpose of `unpool`.",
)


def _pooling_window(
    name: str, ndim: int, x: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> Window:
    """The window of pooling: its stride is the kernel's size by default, its padding at most half of the kernel."""
    kernel = per_axis(kernel_size, ndim, "kernel_size", 1)
    pads = per_axis(padding, ndim, "padding", 0)
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, per_axis(dilation, ndim, "dilation", 1))]
    if any(2 * p > r for p, r in zip(pads, reach)):
        raise ValueError(f"{name}: padding {padding} is more than half of the kernel {kernel_size}: some positions "
                         "would see nothing else")
    if x.ndim < ndim + 1:
        raise ShapeError(f"{name} takes an input of channels and {ndim} spatial axes, not one of shape {x.shape}")
    steps = kernel if stride is None else stride
    return window_of(name, x.shape[x.ndim - ndim :], kernel, steps, pads, dilation, ceil_mode)


def _max_pooled(
    ndim: int, x: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool, return_indices: bool
) -> Any:
    window = _pooling_window(f"max_pool{ndim}d", ndim, x, kernel_size, stride, padding, dilation, ceil_mode)
    out = _maximum(x, window=window)
    if not return_indices:
        return out
    traced = isinstance(x, Variable)
    entries = _entries(_max_pool(x.array if traced else x, window=window)[1], window).astype(np.int64)
    return out, wrap(entries) if traced else entries


@public()
def max_pool1d(
    x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """`max_pool2d` along one axis: x (batch, channels, length)."""
    return _max_pooled(1, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@public()
def max_pool2d(
    x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest entry of each window.

    The Jacobian is a selection: a maximum has derivative 1 with respect to the entry that it is. Of equal entries the
    first one, row by row, counts as the maximum; NaN is larger than every number.

    Parameters
    ----------
    x : array of shape (batch, channels, height, width), or without batch
    kernel_size, stride, padding, dilation : int or (int, int)
        The stride is the kernel's size by default. Padding never is the maximum.
    ceil_mode : bool
        Whether a last window that reaches over the edge is kept.
    return_indices : bool
        Also return where the maxima stand, as flat indices into each plane of ``x``.

    Returns
    -------
    array of shape (batch, channels, *positions); with ``return_indices`` a pair

    Raises
    ------
    ShapeError
        The window is larger than the padded input.
    ValueError
        The padding is more than half of the kernel.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac.rules.pooling import max_pool2d
    >>> max_pool2d(tj.tensor([[[1.0, 2.0, 5.0, 0.0], [3.0, 4.0, 0.0, 6.0]]]), 2)
    tensor([[[4., 6.]]])
    """
    return _max_pooled(2, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@public()
def max_pool3d(
    x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """`max_pool2d` along three axes: x (batch, channels, depth, height, width)."""
    return _max_pooled(3, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


# ------------------------------------------------------------------------------------------------ the average


def _averaged(
    ndim: int, x: Any, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool, count_include_pad: bool,
    divisor_override: int | None,
) -> Any:
    name = f"avg_pool{ndim}d"
    window = _pooling_window(name, ndim, x, kernel_size, stride, padding, 1, ceil_mode)
    if x.dtype.kind not in "fc":
        raise TypeError(f"{name} takes floating-point numbers, not {x.dtype}: convert them first, as with .float()")
    if divisor_override is not None and not divisor_override:
        raise ValueError(f"{name}: divisor_override must not be 0")
    count = _divisor(window, count_include_pad) if divisor_override is None else np.array(divisor_override)
    same = count.size == 1 or bool((count == count.flat[0]).all())

    def run(x: Any) -> Any:
        channels = x.shape[1]
        kernel = np.full((channels, 1, *window.kernel), 1 / count.flat[0] if same else 1, x.dtype)
        sums = conv(x, kernel, 0, window=window, groups=channels)
        return sums if same else sums * (1 / count).astype(x.dtype)

    return with_batch(name, x, ndim, run)


def _divisor(window: Window, count_include_pad: bool) -> np.ndarray[Any, Any]:
    """By how many entries each position's sum is divided, of shape ``positions``."""
    total: Any = np.ones((), dtype=np.int64)
    for size, k, s, b, p in zip(window.sizes, window.kernel, window.stride, window.before, window.positions):
        start = np.arange(p) * s - b
        end = np.minimum(start + k, size + b)  # where ceil_mode reaches beyond the padding, that does not count
        if not count_include_pad:
            start, end = np.maximum(start, 0), np.minimum(end, size)
        total = total[..., None] * (end - start)
    return np.asarray(total)


@public()
def avg_pool1d(
    x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Any:
    """`avg_pool2d` along one axis: x (batch, channels, length)."""
    return _averaged(1, x, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


@public()
def avg_pool2d(
    x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Any:
    """The mean of each window: a convolution of every channel with a constant kernel.

    Parameters
    ----------
    x : array of shape (batch, channels, height, width), or without batch
    kernel_size, stride, padding : int or (int, int)
        The stride is the kernel's size by default.
    ceil_mode : bool
        Whether a last window that reaches over the edge is kept.
    count_include_pad : bool
        Whether the zeros of the padding are entries of the mean.
    divisor_override : int, optional
        What to divide the sum by, instead of the number of entries.

    Returns
    -------
    array of shape (batch, channels, *positions)

    Raises
    ------
    ShapeError
        The window is larger than the padded input.
    ValueError
        The padding is more than half of the kernel.
    TypeError
        Integers are given.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac.rules.pooling import avg_pool2d
    >>> avg_pool2d(tj.tensor([[[1.0, 2.0, 5.0, 0.0], [3.0, 4.0, 0.0, 6.0]]]), 2)
    tensor([[[2.5000, 2.7500]]])
    """
    return _averaged(2, x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


@public()
def avg_pool3d(
    x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Any:
    """`avg_pool2d` along three axes: x (batch, channels, depth, height, width)."""
    return _averaged(3, x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


# ------------------------------------------------------------------------------------------------ a given output size


def _bins(size: int, count: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """An axis of ``size`` entries cut into ``count`` windows, as PyTorch cuts it: their entries, and which are real.

    Window i runs from floor(i size / count) to ceil((i + 1) size / count), so that neighbours may share an entry; both
    results are (count, longest), shorter windows being filled up.
    """
    start = np.arange(count) * size // count
    end = -(-np.arange(1, count + 1) * size // count)
    index = start[:, None] + np.arange(int((end - start).max()))
    return np.minimum(index, size - 1), index < end[:, None]


def _adaptive_sizes(name: str, ndim: int, x: Any, output_size: Any) -> tuple[int, ...]:
    if x.ndim not in (ndim + 1, ndim + 2):
        raise ShapeError(f"{name} takes an input of channels and {ndim} spatial axes, not one of shape {x.shape}")
    given = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * ndim
    sizes = tuple(n if m is None else m for n, m in zip(x.shape[x.ndim - ndim :], given))
    if len(given) != ndim:
        raise ValueError(f"{name}: output_size must be one int or {ndim}, not {output_size!r}")
    return per_axis(sizes, ndim, "output_size", 1)


def _adaptive_average(ndim: int, x: Any, output_size: Any) -> Any:
    wanted = _adaptive_sizes(f"adaptive_avg_pool{ndim}d", ndim, x, output_size)
    sizes = x.shape[x.ndim - ndim :]
    if all(m == 1 for m in wanted):
        return x.sum(axis=tuple(range(-ndim, 0)), keepdims=True) / math.prod(sizes)
    if not any(n % m for n, m in zip(sizes, wanted)):
        kernel = tuple(n // m for n, m in zip(sizes, wanted))
        return _averaged(ndim, x, kernel, None, 0, False, True, None)
    for axis, (n, m) in enumerate(zip(sizes, wanted), x.ndim - ndim):
        index, real = _bins(n, m)
        after = (1,) * (x.ndim - 1 - axis)
        x = np.where(real.reshape(m, -1, *after), x[(slice(None),) * axis + (index,)], 0.0).sum(axis=axis + 1)
        x = x * (1 / real.sum(axis=1)).astype(x.dtype).reshape(m, *after)
    return x


def _adaptive_max(ndim: int, x: Any, output_size: Any, return_indices: bool) -> Any:
    wanted = _adaptive_sizes(f"adaptive_max_pool{ndim}d", ndim, x, output_size)
    sizes = x.shape[x.ndim - ndim :]
    if not any(n % m for n, m in zip(sizes, wanted)):
        kernel = tuple(n // m for n, m in zip(sizes, wanted))
        return _max_pooled(ndim, x, kernel, None, 0, 1, False, return_indices)
    # Windows of several sizes: the entries of each as a row, among which the first maximum is looked for.
    flat: Any = np.zeros((1, 1), dtype=np.int64)
    real: Any = np.ones((1, 1), dtype=bool)
    for n, m in zip(sizes, wanted):
        index, inside = _bins(n, m)
        flat = (flat[:, None, :, None] * n + index[None, :, None, :]).reshape(len(flat) * m, -1)
        real = (real[:, None, :, None] & inside[None, :, None, :]).reshape(len(real) * m, -1)
    traced = isinstance(x, Variable)
    planes = (x.array if traced else x).reshape(math.prod(x.shape[: x.ndim - ndim]), math.prod(sizes))
    best = np.argmax(np.where(real, planes[:, flat], -np.inf), axis=-1)  # (planes, positions)
    entries = flat[np.arange(len(flat)), best]
    picked = x.reshape(planes.shape)[np.arange(len(planes))[:, None], entries]
    out, entries = (a.reshape(*x.shape[: x.ndim - ndim], *wanted) for a in (picked, entries))
    return (out, wrap(entries) if traced else entries) if return_indices else out


@public()
def adaptive_avg_pool1d(x: Any, output_size: Any) -> Any:
    """`adaptive_avg_pool2d` along one axis: x (batch, channels, length)."""
    return _adaptive_average(1, x, output_size)


@public()
def adaptive_avg_pool2d(x: Any, output_size: Any) -> Any:
    """The means of windows that divide an image into ``output_size`` parts, whatever its size.

    Window i of m along an axis of n entries runs from floor(i n / m) to ceil((i + 1) n / m); where m does not divide
    n, neighbours overlap.

    Parameters
    ----------
    x : array of shape (batch, channels, height, width), or without batch
    output_size : int or (int or None, int or None)
        None keeps the size along that axis.

    Returns
    -------
    array of shape (batch, channels, *output_size)

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac.rules.pooling import adaptive_avg_pool2d
    >>> adaptive_avg_pool2d(tj.tensor([[[1.0, 2.0, 3.0], [5.0, 6.0, 7.0]]]), (1, 2))
    tensor([[[3.5000, 4.5000]]])
    """
    return _adaptive_average(2, x, output_size)


@public()
def adaptive_avg_pool3d(x: Any, output_size: Any) -> Any:
    """`adaptive_avg_pool2d` along three axes: x (batch, channels, depth, height, width)."""
    return _adaptive_average(3, x, output_size)


@public()
def adaptive_max_pool1d(x: Any, output_size: Any, return_indices: bool = False) -> Any:
    """`adaptive_max_pool2d` along one axis: x (batch, channels, length)."""
    return _adaptive_max(1, x, output_size, return_indices)


@public()
def adaptive_max_pool2d(x: Any, output_size: Any, return_indices: bool = False) -> Any:
    """The maxima of the windows of `adaptive_avg_pool2d`; with ``return_indices`` also where they stand."""
    return _adaptive_max(2, x, output_size, return_indices)


# ------------------------------------------------------------------------------------------------ resampling


_LINEAR = ("linear", "bilinear", "trilinear")


def _between(x: Any, axis: int, m: int, step: float | None, scale: float) -> Any:
    """m entries along an axis, each from its two neighbours: ``step`` apart from corner to corner, or by the scale."""
    n = x.shape[axis]
    places = np.arange(m) * step if step is not None else np.maximum((np.arange(m) + 0.5) / scale - 0.5, 0)
    places = np.minimum(places, n - 1)
    first = places.astype(np.int64)
    share = (places - first).astype(x.dtype).reshape(-1, *(1,) * (x.ndim - axis - 1))
    before, after = (x[(slice(None),) * axis + (k,)] for k in (first, np.minimum(first + 1, n - 1)))
    return (1 - share) * before + share * after


@public()
def interpolate(
    x: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
) -> Any:
    """An image in another size, each entry taken from the nearest place of the given one, or from between two.

    Along an axis of n entries, entry i of m lies at ``(i + 1/2) / scale - 1/2``, and no further outside than the first
    and the last; with ``align_corners`` at ``i (n - 1) / (m - 1)``. A linear mode weighs the two entries around that
    place by how near they are, along one axis after the other.

    Parameters
    ----------
    x : array of shape (batch, channels, *sizes), with one, two or three spatial axes
    size : int or sequence of int
    scale_factor : number or sequence of numbers
        Instead of ``size``; the size is rounded down.
    mode : {"nearest", "linear", "bilinear", "trilinear"}
        The last three are one thing, named by the number of spatial axes.
    align_corners : bool, optional
        Whether the first and the last entries stay where they are; of the linear modes.
    recompute_scale_factor : bool, optional
        Take the ratio of the sizes for the scale, not ``scale_factor`` itself.

    Returns
    -------
    array of shape (batch, channels, *size)
        Of ``"nearest"``, entry i comes from floor(i / scale).

    Raises
    ------
    ValueError
        Both or neither of ``size`` and ``scale_factor`` are given, another mode, or ``align_corners`` for "nearest".
    ShapeError
        The mode is for another number of axes.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac.rules.pooling import interpolate
    >>> interpolate(tj.tensor([[[1.0, 2.0]]]), scale_factor=2)
    tensor([[[1., 1., 2., 2.]]])
    >>> interpolate(tj.tensor([[[1.0, 2.0]]]), scale_factor=2, mode="linear")
    tensor([[[1.0000, 1.2500, 1.7500, 2.0000]]])
    """
    ndim = x.ndim - 2
    if mode != "nearest" and mode not in _LINEAR:
        raise ValueError(f"interpolate knows mode='nearest', {', '.join(map(repr, _LINEAR))}, not mode={mode!r}")
    if mode == "nearest" and align_corners is not None:
        raise ValueError("interpolate: align_corners is an option of the linear modes, not of mode='nearest'")
    if (size is None) == (scale_factor is None):
        raise ValueError("interpolate takes either size or scale_factor")
    if ndim not in (1, 2, 3):
        raise ShapeError(f"interpolate takes an input of axes (batch, channels, *sizes), not one of shape {x.shape}")
    if mode != "nearest" and mode != _LINEAR[ndim - 1]:
        raise ShapeError(f"interpolate: mode={mode!r} does not fit an input of shape {x.shape}: with {ndim} axes after "
                         f"the first two it takes mode={_LINEAR[ndim - 1]!r}")
    sizes = x.shape[2:]
    if size is None:
        given = scale_factor if isinstance(scale_factor, (tuple, list)) else (scale_factor,) * ndim
        scales = [float(s) for s in given]
        wanted = per_axis([math.floor(n * s) for n, s in zip(sizes, scales)], ndim, "the output's size", 1)
    else:
        wanted = per_axis(size, ndim, "size", 1)
    if size is not None or recompute_scale_factor:
        scales = [m / n for n, m in zip(sizes, wanted)]
    if mode != "nearest":
        for axis, (n, m, s) in enumerate(zip(sizes, wanted, scales), 2):
            if m != n:  # else PyTorch too takes the entries as they are, whatever the scale
                x = _between(x, axis, m, (n - 1) / max(m - 1, 1) if align_corners else None, s)
        return x if wanted != sizes else clone(x)
    if all(m % n == 0 and (s == m // n or m // n < 3) for n, m, s in zip(sizes, wanted, scales)):
        if wanted == sizes:
            return clone(x)
        # A whole factor: every entry repeated along an axis of its own, the gradient of which is a plain sum. Where the
        # size stays or doubles, PyTorch too takes the ratio of the sizes for the scale, whatever was given.
        lead = x.shape[:2]
        apart = [k for n in sizes for k in (n, 1)]
        repeated = [k for n, m in zip(sizes, wanted) for k in (n, m // n)]
        return np.broadcast_to(x.reshape(*lead, *apart), (*lead, *repeated)).reshape(*lead, *wanted)
    for axis, (n, m, s) in enumerate(zip(sizes, wanted, scales), 2):
        # In float32, as PyTorch computes it: which entry is the nearest depends on the rounding.
        scale = m / n if m in (n, 2 * n) else s
        places = np.floor(np.arange(m, dtype=np.float32) * np.float32(1 / scale)).astype(np.int64)
        x = x[(slice(None),) * axis + (np.minimum(places, n - 1),)]
    return x
