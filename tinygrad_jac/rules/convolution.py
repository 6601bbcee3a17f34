"""Convolution: its Jacobian is a Toeplitz matrix, one kernel in each row, shifted to the patch that the row looks at.

One program for any number of spatial axes. A convolution is a product of three things of which two are given: with
``x`` (batch, channels, \\*sizes), the kernels ``w`` (outputs, channels / groups, \\*kernel) and ``y`` (batch, outputs,
\\*positions), the number ``Σ y conv(x, w)`` is linear in each of them. Its three derivatives are the three primitives
here, `conv`, `conv_transpose` and `conv_weight`, and the VJP rules of each are the other two. So derivatives of any
order stay within the three.

Arrays are laid out with the channels last in memory (their axes are still in PyTorch's order): a patch is then made of
long contiguous pieces, and the patches of several samples, as rows, are one factor of one matrix product. A few samples
are done at a time, so that their patches stay in the processor's cache and cost no memory worth mentioning: forward and
backward of 64 images of 32x26x26 with 64 kernels of 3x3 take 34 ms on two cores, with all patches at once 55.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..errors import ShapeError
from ..jacobians import Identity, Jacobian, Kron, Selection, Toeplitz
from ..primitive import Primitive, primitive
from ..spelling import public, same_dtype

# ------------------------------------------------------------------------------------------------ where a kernel looks


class Window(NamedTuple):
    """How a kernel moves over its input; every field has one number for each spatial axis.

    Tap ``k`` of the kernel at output position ``p`` looks at the input's entry ``p * stride + k * dilation - before``.
    What lies outside of the input is padding.
    """

    sizes: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    before: tuple[int, ...]  # the padding in front of the first entry
    positions: tuple[int, ...]  # how many places the kernel takes: the output's sizes

    @property
    def padding(self) -> list[tuple[int, int]]:
        """How much padding in front of and behind the input is looked at."""
        reach = [(p - 1) * s + (k - 1) * d + 1
                 for p, s, k, d in zip(self.positions, self.stride, self.kernel, self.dilation)]
        return [(b, max(0, r - b - n)) for b, r, n in zip(self.before, reach, self.sizes)]

    @property
    def room(self) -> list[int]:
        """The input's sizes with the padding."""
        return [before + n + after for (before, after), n in zip(self.padding, self.sizes)]

    @property
    def overlaps(self) -> bool:
        """Whether an entry may be looked at from two positions."""
        return any(s < (k - 1) * d + 1 for s, k, d in zip(self.stride, self.kernel, self.dilation))

    def taps(self) -> Iterator[tuple[slice, ...]]:
        """For each tap of the kernel, row-major, the slices of the padded input that it meets at all positions."""
        for tap in product(*map(range, self.kernel)):
            yield tuple(
                slice(k * d, k * d + (p - 1) * s + 1, s)
                for k, d, p, s in zip(tap, self.dilation, self.positions, self.stride)
            )

    def entries(self) -> np.ndarray[Any, Any]:
        """For each tap and position the flat index of the entry that is looked at, -1 for padding.

        Of shape (taps, positions), from the formula of this class alone: for Jacobian statements.
        """
        ndim = len(self.sizes)
        flat = np.zeros((1,) * (2 * ndim), dtype=np.intp)
        inside = flat == 0
        for axis in range(ndim):
            k = np.arange(self.kernel[axis]).reshape([-1 if a == axis else 1 for a in range(2 * ndim)])
            p = np.arange(self.positions[axis]).reshape([-1 if a == ndim + axis else 1 for a in range(2 * ndim)])
            entry = p * self.stride[axis] + k * self.dilation[axis] - self.before[axis]
            inside = inside & (entry >= 0) & (entry < self.sizes[axis])
            flat = flat * self.sizes[axis] + entry
        return np.where(inside, flat, -1).reshape(math.prod(self.kernel), math.prod(self.positions))


def padded(x: Any, window: Window, axis: int, fill: Any = 0) -> Any:
    """An array with its spatial axes, the first of which is ``axis``, padded as far as the window looks."""
    if window.room == list(window.sizes):
        return x
    after = axis + len(window.sizes)
    whole = np.full_like(x, fill, shape=(*x.shape[:axis], *window.room, *x.shape[after:]))
    cropped(whole, window, axis)[...] = x
    return whole


def cropped(x: Any, window: Window, axis: int) -> Any:
    """The array without the padding that `padded` gave it; a view."""
    inner = [slice(before, before + n) for (before, _), n in zip(window.padding, window.sizes)]
    return x[(slice(None),) * axis + tuple(inner)]


# ------------------------------------------------------------------------------------------------ the three products

# Where each channel has one kernel to itself, products entry by entry take a third of the time of matrix products with
# one column.


def _conv(x: Any, w: Any, b: Any, *, window: Window, groups: int) -> Any:
    x = padded(_channels_last(x), window, 1)
    channels, outputs = w.shape[1], len(w) // groups
    out = np.empty((len(x), *window.positions, len(w)), np.result_type(x, w, b))
    if channels == outputs == 1:
        taps = list(zip(w.reshape(groups, -1).T, window.taps()))
        for some in _few_samples(len(x), groups, window):
            out[some] = b
            for tap, slices in taps:
                out[some] += x[(some, *slices)] * tap
        return _channels_second(out)
    kernels = np.ascontiguousarray(_by_group(w, groups).swapaxes(1, 2))  # (groups, taps * channels, outputs)
    rows = _patch_rows(x, window, groups)
    for some in _few_samples(len(x), groups * channels, window):
        into = out[some].reshape(-1, groups, outputs).swapaxes(0, 1)
        np.matmul(rows[:, some].reshape(groups, -1, kernels.shape[1]), kernels, out=into)
        if np.ndim(b):
            out[some] += b  # while it is in the cache: adding it afterwards takes 3 to 5 ms more
    return _channels_second(out)


def _conv_transpose(y: Any, w: Any, *, window: Window, groups: int) -> Any:
    y = _channels_last(y)
    channels, outputs = w.shape[1], len(w) // groups
    whole: Any = np.zeros((len(y), *window.room, groups * channels), np.result_type(y, w))
    if channels == outputs == 1:
        taps = list(zip(w.reshape(groups, -1).T, window.taps()))
        for some in _few_samples(len(y), groups, window):
            for tap, slices in taps:
                whole[(some, *slices)] += y[some] * tap
        return _channels_second(cropped(whole, window, 1))
    # One product for each tap, not one for all: what is added below is contiguous then, 12 ms against 15.
    kernels = _by_group(w, groups).reshape(groups, outputs, -1, channels).swapaxes(1, 2)
    kernels = np.ascontiguousarray(kernels)  # (groups, taps, outputs, channels)
    for some in _few_samples(len(y), groups * channels, window):
        rows = y[some].reshape(-1, groups, outputs).swapaxes(0, 1)
        terms = rows[:, None] @ kernels  # (groups, taps, rows, channels)
        terms = terms.reshape(*terms.shape[:2], -1, *window.positions, channels)
        target = whole[some].reshape(-1, *window.room, groups, channels)
        for term, slices in zip(np.moveaxis(terms, 0, -2), window.taps()):
            target[(slice(None), *slices)] += term
    return _channels_second(cropped(whole, window, 1))


def _conv_weight(x: Any, y: Any, *, window: Window, groups: int) -> Any:
    x, y = padded(_channels_last(x), window, 1), _channels_last(y)
    channels, outputs = x.shape[-1] // groups, y.shape[-1] // groups
    dtype = np.result_type(x, y)
    if channels == outputs == 1:
        axes = list(range(y.ndim))
        each = [np.einsum(x[(slice(None), *slices)], axes, y, axes, axes[-1:]) for slices in window.taps()]
        return np.stack(each, axis=-1).reshape(groups, 1, *window.kernel).astype(dtype, copy=False)
    rows = _patch_rows(x, window, groups)
    taps = math.prod(window.kernel)
    total = np.zeros((groups, outputs, taps * channels), dtype)
    for some in _few_samples(len(x), groups * channels, window):
        columns = y[some].reshape(-1, groups, outputs).transpose(1, 2, 0)
        total += columns @ rows[:, some].reshape(groups, -1, taps * channels)
    w = total.reshape(groups * outputs, taps, channels).swapaxes(1, 2)
    return np.ascontiguousarray(w).reshape(groups * outputs, channels, *window.kernel)


def _channels_last(x: Any) -> Any:
    """(batch, *sizes, channels), contiguous: no copy where a convolution made it."""
    return np.ascontiguousarray(x.transpose(0, *range(2, x.ndim), 1))


def _channels_second(x: Any) -> Any:
    return x.transpose(0, x.ndim - 1, *range(1, x.ndim - 1))


def _by_group(w: Any, groups: int) -> Any:
    """The kernels as a matrix for each group, in the order of `_patch_rows`: (groups, outputs, taps * channels)."""
    return w.reshape(groups, len(w) // groups, w.shape[1], -1).swapaxes(2, 3).reshape(groups, len(w) // groups, -1)


def _patch_rows(x: Any, window: Window, groups: int) -> Any:
    """All patches of a padded array as a view, nothing copied: (groups, batch, *positions, *kernel, channels)."""
    batch, *sizes, channels = x.strides
    per_group = x.shape[-1] // groups
    shape = (groups, len(x), *window.positions, *window.kernel, per_group)
    steps = [n * s for n, s in zip(sizes, window.stride)]
    taps = [n * d for n, d in zip(sizes, window.dilation)]
    return as_strided(x, shape, (per_group * channels, batch, *steps, *taps, channels), writeable=False)


_CACHE = 2**19  # entries of patches that are made at a time: 2 MB of float32


def _few_samples(count: int, channels: int, window: Window) -> Iterator[slice]:
    """The batch in slices of samples, the patches of which are together some half a million entries."""
    entries = channels * math.prod(window.kernel) * math.prod(window.positions)
    step = max(1, _CACHE // max(entries, 1))
    return (slice(k, min(k + step, count)) for k in range(0, count, step))


# ------------------------------------------------------------------------------------------------ leading axes

# Where the leading axes of a cotangent go, so that one call serves all of them: into the first or the second axis of an
# array, and there inside or outside of the groups of which the axis is made.
_BATCH, _CHANNELS = (0, False), (1, True)  # of x and y
_OUTPUTS, _INPUTS = (0, True), (1, False)  # of w


def _carry(
    apply: Callable[[Any], Any], g: Any, out: Any, into: tuple[int, bool], out_of: tuple[int, bool], groups: int
) -> Any:
    """Apply a linear function to a cotangent of ``out``; its leading axes ride within another axis on the way."""
    lead = g.shape[: g.ndim - out.ndim]
    if not lead:
        return apply(g)
    (axis, grouped), count = into, math.prod(lead)
    before, size, after = out.shape[:axis], out.shape[axis], out.shape[axis + 1 :]
    outer = groups if grouped else 1
    g = _moved(g.reshape(count, *before, outer, size // outer, *after), 0, axis + 1)
    c = apply(g.reshape(*before, count * size, *after))
    axis, grouped = out_of
    before, size, after = c.shape[:axis], c.shape[axis] // count, c.shape[axis + 1 :]
    outer = groups if grouped else 1
    c = _moved(c.reshape(*before, outer, count, size // outer, *after), axis + 1, 0)
    return c.reshape(*lead, *before, size, *after)


def _moved(x: Any, source: int, target: int) -> Any:
    order = [k for k in range(x.ndim) if k != source]
    order.insert(target, source)
    return np.transpose(x, order)


# ------------------------------------------------------------------------------------------------ statements

# Written as matrices, for each sample and group: Y = W Rᵀ with the kernels W (outputs, taps), the patches R (positions,
# taps) and the output Y (outputs, positions). How x, w and y become these is a selection or an identity; the rest is a
# Kronecker product.


def _matrices(
    x: Sequence[int], w: Sequence[int], y: Sequence[int], window: Window, groups: int
) -> tuple[Jacobian, Jacobian, Jacobian]:
    """The maps x -> R, w -> W, y -> Y for arrays of these shapes."""
    index = _sample_index(window, groups, x[1])
    taps, positions = index.shape[1:]
    samples = np.arange(x[0])[:, None, None, None] * math.prod(x[1:])
    rows = index.swapaxes(1, 2)
    kernels = (groups, w[0] // groups, taps)
    return (
        Selection(np.where(rows >= 0, rows + samples, -1), x),
        Selection.broadcast(kernels, (x[0], *kernels)) @ Identity(w, kernels),
        Identity(y, (x[0], groups, w[0] // groups, positions)),
    )


def _sample_index(window: Window, groups: int, channels: int) -> np.ndarray[Any, Any]:
    """The flat index into one sample of each tap and position, -1 for padding: (groups, taps, positions)."""
    one = window.entries()
    every = np.where(one >= 0, one + np.arange(channels)[:, None, None] * math.prod(window.sizes), -1)
    return every.reshape(groups, -1, one.shape[1])


def _toeplitz(x: Sequence[int], w: Any, y: Sequence[int], window: Window, groups: int) -> Jacobian:
    return Toeplitz(w.reshape(groups, w.shape[0] // groups, -1), _sample_index(window, groups, x[1]), y, x)


def _conv_by_w(out: Any, x: Any, w: Any, b: Any, *, window: Window, groups: int) -> Jacobian:
    R, W, Y = _matrices(x.shape, w.shape, out.shape, window, groups)
    return Y.T @ Kron(Identity(Y.out_shape[2]), R.jvp(x), Y.out_shape[:2]) @ W


def _transpose_by_w(out: Any, y: Any, w: Any, *, window: Window, groups: int) -> Jacobian:
    R, W, Y = _matrices(out.shape, w.shape, y.shape, window, groups)
    return R.T @ Kron(Y.jvp(y).swapaxes(-1, -2), Identity(W.out_shape[3]), Y.out_shape[:2]) @ W


def _weight_by_x(out: Any, x: Any, y: Any, *, window: Window, groups: int) -> Jacobian:
    R, W, Y = _matrices(x.shape, out.shape, y.shape, window, groups)
    return W.T @ Kron(Y.jvp(y), Identity(W.out_shape[3]), Y.out_shape[:2]) @ R


def _weight_by_y(out: Any, x: Any, y: Any, *, window: Window, groups: int) -> Jacobian:
    R, W, Y = _matrices(x.shape, out.shape, y.shape, window, groups)
    return W.T @ Kron(Identity(Y.out_shape[2]), R.jvp(x).swapaxes(-1, -2), Y.out_shape[:2]) @ Y


# ------------------------------------------------------------------------------------------------ the rules

conv: Primitive = primitive(
    "conv", _conv, saves={"x": "w", "w": "x", "b": ""},
    vjp=(lambda g, out, x, w, b, *, window, groups: _carry(
             lambda g: conv_transpose(g, w, window=window, groups=groups), g, out, _BATCH, _BATCH, groups),
         lambda g, out, x, w, b, *, window, groups: _carry(
             lambda g: conv_weight(x, g, window=window, groups=groups), g, out, _CHANNELS, _OUTPUTS, groups),
         lambda g, out, x, w, b, *, window, groups: g.sum(axis=(-out.ndim, *range(2 - out.ndim, 0)))),
    jacobian=(lambda out, x, w, b, *, window, groups: _toeplitz(x.shape, w, out.shape, window, groups),
              _conv_by_w,
              lambda out, x, w, b, *, window, groups: Selection.of(
                  lambda b: np.broadcast_to(b.reshape(-1, *(1,) * (out.ndim - 2)), out.shape), b.shape)),
    doc="Kernels ``w`` (outputs, channels / groups, *kernel) moved over ``x`` (batch, channels, *sizes), plus a bias "
        "``b`` (outputs,), or the number 0 for none.",
)
conv_transpose: Primitive = primitive(
    "conv_transpose", _conv_transpose, saves={"y": "w", "w": "y"},
    vjp=(lambda g, out, y, w, *, window, groups: _carry(
             lambda g: conv(g, w, 0, window=window, groups=groups), g, out, _BATCH, _BATCH, groups),
         lambda g, out, y, w, *, window, groups: _carry(
             lambda g: conv_weight(g, y, window=window, groups=groups), g, out, _CHANNELS, _INPUTS, groups)),
    jacobian=(lambda out, y, w, *, window, groups: _toeplitz(out.shape, w, y.shape, window, groups).T, _transpose_by_w),
    doc="The transpose of `conv` with respect to ``x``, at ``y`` (batch, outputs, *positions).",
)
conv_weight: Primitive = primitive(
    "conv_weight", _conv_weight, saves="x y",
    vjp=(lambda g, out, x, y, *, window, groups: _carry(
             lambda g: conv_transpose(y, g, window=window, groups=groups), g, out, _INPUTS, _CHANNELS, groups),
         lambda g, out, x, y, *, window, groups: _carry(
             lambda g: conv(x, g, 0, window=window, groups=groups), g, out, _OUTPUTS, _CHANNELS, groups)),
    jacobian=(_weight_by_x, _weight_by_y),
    doc="The transpose of `conv` with respect to ``w``, at ``y`` (batch, outputs, *positions).",
)


def _im2col(x: Any, *, window: Window) -> Any:
    x = padded(x, window, x.ndim - len(window.sizes))
    return np.stack([x[(..., *slices)] for slices in window.taps()], axis=-1 - len(window.sizes))


def _col2im(y: Any, *, window: Window) -> Any:
    first = y.ndim - len(window.sizes) - 1
    whole: Any = np.zeros((*y.shape[:first], *window.room), y.dtype)
    for part, slices in zip(np.moveaxis(y, first, 0), window.taps()):
        whole[(..., *slices)] += part
    return cropped(whole, window, first)


def _patch_selection(x: Sequence[int], y: Sequence[int], window: Window) -> Jacobian:
    one, size = window.entries(), math.prod(window.sizes)
    rows = np.arange(math.prod(x) // max(size, 1))[:, None, None] * size
    return Selection(np.where(one >= 0, one + rows, -1).reshape(tuple(y)), x)


im2col: Primitive = primitive(
    "im2col", _im2col,
    vjp=lambda g, out, x, *, window: col2im(g, window=window),
    jacobian=lambda out, x, *, window: _patch_selection(x.shape, out.shape, window),
    doc="What each tap of a window meets at each position: (..., *sizes) to (..., taps, *positions).",
)
col2im: Primitive = primitive(
    "col2im", _col2im,
    vjp=lambda g, out, y, *, window: im2col(g, window=window),
    jacobian=lambda out, y, *, window: _patch_selection(out.shape, y.shape, window).T,
    doc="The transpose of `im2col`: each entry is the sum of what is put there.",
)

# ------------------------------------------------------------------------------------------------ for users


def per_axis(value: Any, ndim: int, name: str, least: int) -> tuple[int, ...]:
    """An option given as one int for all spatial axes, or as one for each."""
    try:
        given = tuple(map(operator.index, value if isinstance(value, (tuple, list)) else (value,)))
    except TypeError:
        raise TypeError(f"{name} must be an int or {ndim} ints, not {value!r}") from None
    if len(given) not in (1, ndim) or min(given) < least:
        raise ValueError(f"{name} must be one int or {ndim}, each at least {least}, not {value!r}")
    return given if len(given) == ndim else given * ndim


def window_of(
    name: str, sizes: Sequence[int], kernel: Sequence[int], stride: Any, padding: Any, dilation: Any,
    ceil_mode: bool = False,
) -> Window:
    """The window of options as users give them; the positions follow.

    Raises
    ------
    ShapeError
        The kernel does not fit into the padded input.
    """
    ndim = len(kernel)
    stride = per_axis(stride, ndim, "stride", 1)
    dilation = per_axis(dilation, ndim, "dilation", 1)
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation)]
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ValueError(f"padding must be 'same', 'valid' or ints, not {padding!r}")
        if padding == "same" and any(s != 1 for s in stride):
            raise ValueError(f"padding='same' needs a stride of 1, not {stride}: the output could not keep the size")
        both = [r - 1 if padding == "same" else 0 for r in reach]
        before = tuple(b // 2 for b in both)
    else:
        before = per_axis(padding, ndim, "padding", 0)
        both = [2 * b for b in before]
    positions = []
    for n, b, total, r, s in zip(sizes, before, both, reach, stride):
        room = n + total - r
        if room < 0:
            raise ShapeError(
                f"{name}: a kernel of size {tuple(kernel)} with dilation {dilation} does not fit into an input of "
                f"spatial size {tuple(sizes)} with padding {padding!r}"
            )
        count = -(-room // s) + 1 if ceil_mode else room // s + 1
        if ceil_mode and (count - 1) * s >= n + b:  # the last position would see padding only
            count -= 1
        positions.append(count)
    return Window(tuple(sizes), tuple(kernel), stride, dilation, before, tuple(positions))


def with_batch(name: str, x: Any, ndim: int, function: Callable[[Any], Any]) -> Any:
    """Apply a function of (batch, channels, *sizes), also to one sample without the batch axis.

    Raises
    ------
    ShapeError
        The number of axes fits neither, or there are no channels.
    """
    if x.ndim > ndim and x.shape[-ndim - 1] == 0:
        raise ShapeError(f"{name} takes one channel or more, and an input of shape {x.shape} has none")
    if x.ndim == ndim + 2:
        return function(x)
    if x.ndim != ndim + 1:
        axes = f"channels, {_AXES[ndim]}"
        raise ShapeError(f"{name} takes an input of axes (batch, {axes}) or ({axes}), not one of shape {x.shape}")
    out = function(x.reshape(1, *x.shape))
    return out.reshape(out.shape[1:])


def _convolve(
    ndim: int, x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> Any:
    name = f"conv{ndim}d"
    _check_kernels(name, ndim, weight, groups, f"(outputs, channels / groups, {_AXES[ndim]})")
    _check_bias(name, bias, weight.shape[0])
    same_dtype(name, input=x, weight=weight, bias=bias)

    def run(x: Any) -> Any:
        channels = weight.shape[1] * groups
        if x.shape[1] != channels:
            raise ShapeError(
                f"{name}: the input of shape {x.shape} has {x.shape[1]} channels, a weight of shape {weight.shape} "
                f"with groups={groups} takes {channels}"
            )
        window = window_of(name, x.shape[2:], weight.shape[2:], stride, padding, dilation)
        return conv(x, weight, 0 if bias is None else bias, window=window, groups=groups)

    return with_batch(name, x, ndim, run)


def _convolve_transposed(
    ndim: int, x: Any, weight: Any, bias: Any, stride: Any, padding: Any, output_padding: Any, groups: int,
    dilation: Any,
) -> Any:
    name = f"conv_transpose{ndim}d"
    _check_kernels(name, ndim, weight, groups, f"(channels, outputs / groups, {_AXES[ndim]})")
    _check_bias(name, bias, weight.shape[1] * groups)
    same_dtype(name, input=x, weight=weight, bias=bias)
    stride = per_axis(stride, ndim, "stride", 1)
    dilation = per_axis(dilation, ndim, "dilation", 1)
    before = per_axis(padding, ndim, "padding", 0)
    extra = per_axis(output_padding, ndim, "output_padding", 0)
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation)):
        raise ValueError(f"{name}: output_padding {extra} must be smaller than stride {stride} or dilation {dilation}")

    def run(x: Any) -> Any:
        if x.shape[1] != weight.shape[0]:
            raise ShapeError(
                f"{name}: the input of shape {x.shape} has {x.shape[1]} channels, a weight of shape {weight.shape} "
                f"takes {weight.shape[0]}"
            )
        sizes = tuple(
            (p - 1) * s - 2 * b + d * (k - 1) + 1 + e
            for p, s, b, d, k, e in zip(x.shape[2:], stride, before, dilation, weight.shape[2:], extra)
        )
        if min(sizes) < 1:
            raise ShapeError(f"{name}: an input of shape {x.shape} and padding {padding} leave an output of {sizes}")
        window = Window(sizes, weight.shape[2:], stride, dilation, before, x.shape[2:])
        out = conv_transpose(x, weight, window=window, groups=groups)
        return out if bias is None else out + bias.reshape(-1, *(1,) * ndim)

    return with_batch(name, x, ndim, run)


_AXES = {1: "length", 2: "height, width", 3: "depth, height, width"}


def _check_kernels(name: str, ndim: int, weight: Any, groups: int, axes: str) -> None:
    if weight.ndim != ndim + 2:
        raise ShapeError(f"{name} takes a weight of axes {axes}, not one of shape {weight.shape}")
    if groups < 1 or weight.shape[0] % groups:
        raise ShapeError(f"{name}: groups={groups} does not divide the {weight.shape[0]} kernels of the weight "
                         f"{weight.shape} into equal parts")


def _check_bias(name: str, bias: Any, channels: int) -> None:
    if bias is not None and bias.shape != (channels,):
        raise ShapeError(f"{name}: a bias has one entry for each output channel, ({channels},), not shape {bias.shape}")


@public()
def conv1d(
    x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Any:
    """`conv2d` along one axis: x (batch, channels, length), weight (outputs, channels / groups, taps)."""
    return _convolve(1, x, weight, bias, stride, padding, dilation, groups)


@public()
def conv2d(
    x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Any:
    """Kernels moved over images, as PyTorch defines convolution: correlation, the kernel is not flipped.

    ``out[n, o, p] = bias[o] + Σ_{c, k} weight[o, c, k] x[n, c, p * stride + k * dilation - padding]`` with ``p`` and
    ``k`` running over both spatial axes, and entries outside of ``x`` being 0.

    Parameters
    ----------
    x : array of shape (batch, channels, height, width), or without batch
    weight : array of shape (outputs, channels / groups, kernel height, kernel width)
    bias : array of shape (outputs,), optional
    stride, dilation : int or (int, int)
    padding : int, (int, int), 'valid' (none) or 'same' (the output keeps the size; for a stride of 1)
        With ``'same'`` and an even kernel the one more goes behind.
    groups : int
        Channels and kernels are split into that many parts, which know nothing of each other.

    Returns
    -------
    array of shape (batch, outputs, *positions)
        Along each axis (size + 2 padding - dilation (kernel - 1) - 1) // stride + 1 positions.

    Raises
    ------
    ShapeError
        Channels and groups do not match, or the kernel is larger than the padded input.

    Notes
    -----
    The Jacobian with respect to ``x`` is the Toeplitz matrix of Proposition 2 in Damadi, Moharrer and Cham, with a row
    for each position and the kernel, shifted, in each row.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac.rules.convolution import conv2d
    >>> x = tj.tensor([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]])
    >>> conv2d(x, tj.tensor([[[[1.0, 0.0], [0.0, -1.0]]]]))
    tensor([[[-4., -4.],
             [-4., -4.]]])
    """
    return _convolve(2, x, weight, bias, stride, padding, dilation, groups)


@public()
def conv3d(
    x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Any:
    """`conv2d` along three axes: x (batch, channels, depth, height, width)."""
    return _convolve(3, x, weight, bias, stride, padding, dilation, groups)


@public()
def conv_transpose1d(
    x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: int = 1,
    dilation: Any = 1,
) -> Any:
    """`conv_transpose2d` along one axis: x (batch, channels, length), weight (channels, outputs / groups, taps)."""
    return _convolve_transposed(1, x, weight, bias, stride, padding, output_padding, groups, dilation)


@public()
def conv_transpose2d(
    x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: int = 1,
    dilation: Any = 1,
) -> Any:
    """The transpose of `conv2d`: every entry of ``x`` puts a kernel, times itself, into the output.

    Parameters
    ----------
    x : array of shape (batch, channels, height, width), or without batch
    weight : array of shape (channels, outputs / groups, kernel height, kernel width)
        As of the `conv2d` that this transposes, whose outputs are the channels here.
    bias : array of shape (outputs,), optional
    stride, padding, dilation : int or (int, int)
        Of the `conv2d` that this transposes.
    output_padding : int or (int, int)
        A stride leaves open which of several sizes the output has: how many entries more than the least.
    groups : int

    Returns
    -------
    array of shape (batch, outputs, *sizes)
        Along each axis (size - 1) stride - 2 padding + dilation (kernel - 1) + output_padding + 1.

    Raises
    ------
    ShapeError
        Channels and groups do not match, or nothing would be left of the output.
    ValueError
        ``output_padding`` is not smaller than stride or dilation.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac.rules.convolution import conv_transpose2d
    >>> conv_transpose2d(tj.tensor([[[1.0, 2.0]]]), tj.ones(1, 1, 2, 2), stride=2)
    tensor([[[1., 1., 2., 2.],
             [1., 1., 2., 2.]]])
    """
    return _convolve_transposed(2, x, weight, bias, stride, padding, output_padding, groups, dilation)


@public()
def conv_transpose3d(
    x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: int = 1,
    dilation: Any = 1,
) -> Any:
    """`conv_transpose2d` along three axes: x (batch, channels, depth, height, width)."""
    return _convolve_transposed(3, x, weight, bias, stride, padding, output_padding, groups, dilation)


@public()
def unfold(x: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    """The patches that a kernel meets on images, as columns: a convolution is a matrix product with these.

    Parameters
    ----------
    x : array of shape (batch, channels, height, width), or without batch
    kernel_size, dilation, padding, stride : int or (int, int)

    Returns
    -------
    array of shape (batch, channels * taps, positions)

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac.rules.convolution import unfold
    >>> unfold(tj.tensor([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]), 2)
    tensor([[1., 2.],
            [2., 3.],
            [4., 5.],
            [5., 6.]])
    """
    kernel = per_axis(kernel_size, 2, "kernel_size", 1)

    def run(x: Any) -> Any:
        window = window_of("unfold", x.shape[2:], kernel, stride, padding, dilation)
        return im2col(x, window=window).reshape(x.shape[0], x.shape[1] * math.prod(kernel), math.prod(window.positions))

    return with_batch("unfold", x, 2, run)


@public()
def fold(x: Any, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    """The transpose of `unfold`: columns put back as patches, summed where they overlap.

    Parameters
    ----------
    x : array of shape (batch, channels * taps, positions), or without batch
    output_size, kernel_size, dilation, padding, stride : int or (int, int)

    Returns
    -------
    array of shape (batch, channels, *output_size)

    Raises
    ------
    ShapeError
        The columns are not those of an image of this size.
    """
    kernel = per_axis(kernel_size, 2, "kernel_size", 1)
    window = window_of("fold", per_axis(output_size, 2, "output_size", 1), kernel, stride, padding, dilation)
    taps, positions = math.prod(kernel), math.prod(window.positions)

    def run(x: Any) -> Any:
        if x.shape[1] % taps or x.shape[2] != positions:
            raise ShapeError(
                f"fold: an image of {window.sizes} has {positions} patches of {taps} entries for each channel, so "
                f"columns of shape (batch, {taps} * channels, {positions}) are expected, not {x.shape}"
            )
        return col2im(x.reshape(x.shape[0], x.shape[1] // taps, taps, *window.positions), window=window)

    return with_batch("fold", x, 1, run)
