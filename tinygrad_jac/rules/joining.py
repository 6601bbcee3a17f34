"""Several arrays as one, one array as several, and one array repeated or padded.

The Jacobian of a joined or padded array with respect to one of its parts is a selection whose other rows are zero;
whatever else is here is composed of few primitives.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import dtypes
from ..errors import ShapeError
from ..graph import array_of
from ..jacobians import Selection
from ..primitive import functions, primitive
from ..spelling import axis_along, axis_of, public
from .shaping import atleast_1d, atleast_2d, atleast_3d, broadcast_to, clone, lead_of, moveaxis

WHOLE = slice(None)

_concatenate = primitive(
    "concatenate", lambda *xs, axis, bounds: np.concatenate(_one_dtype(xs), axis),
    vjp=lambda i, g, out, *xs, axis, bounds: g[along(axis, slice(bounds[i], bounds[i + 1]))],
    jacobian=lambda i, out, *xs, axis, bounds: Selection(
        np.concatenate([np.arange(x.size).reshape(x.shape) if k == i else np.full(x.shape, -1)
                        for k, x in enumerate(xs)], axis), xs[i].shape),
)
_pad = primitive(
    "pad", lambda x, *, widths, value: _padded(x, widths, value),
    vjp=lambda g, out, x, *, widths, value: g[(..., *(slice(b, b + n) for (b, _), n in zip(widths, x.shape)))],
    jacobian=lambda out, x, *, widths, value: Selection.of(lambda p: np.pad(p, widths, constant_values=-1), x.shape),
)
_tile = primitive(
    "tile", lambda x, *, times: np.tile(x, times),
    # With each axis taken apart as (times, size), the repetitions are axes to sum over.
    vjp=lambda g, out, x, *, times: g.reshape(
        lead_of(g, out) + tuple(n for pair in zip(times, x.shape) for n in pair)
    ).sum(axis=tuple(range(-2 * x.ndim, 0, 2))),
    jacobian=lambda out, x, *, times: Selection.of(lambda p: np.tile(p, times), x.shape),
)
_repeat_interleave = primitive(
    "repeat_interleave", lambda x, *, times, axis: np.repeat(x, times, axis),
    vjp=lambda g, out, x, *, times, axis: g.reshape(
        g.shape[: g.ndim + axis] + (x.shape[axis], times) + g.shape[g.ndim + axis + 1 :]
    ).sum(axis=axis),
    jacobian=lambda out, x, *, times, axis: Selection.of(lambda p: np.repeat(p, times, axis), x.shape),
)


def along(axis: int, entry: Any) -> tuple[Any, ...]:
    """The index that takes ``entry`` along one axis, counted from the end, and everything along the others."""
    return (..., entry) + (WHOLE,) * (-axis - 1)


def _one_dtype(xs: Sequence[Any]) -> Sequence[Any]:
    return xs if len({x.dtype for x in xs}) == 1 else dtypes.promote(list(xs))


def _padded(x: Any, widths: tuple[tuple[int, int], ...], value: Any) -> Any:
    # np.pad does the same in three times the time for small arrays.
    whole = np.full([b + n + a for (b, a), n in zip(widths, x.shape)], value, dtype=x.dtype)
    whole[tuple(slice(b, b + n) for (b, _), n in zip(widths, x.shape))] = x
    return whole


# ------------------------------------------------------------------------------------------------ several as one


@public(np.concatenate)
def concatenate(arrays: Sequence[Any], axis: int | None = 0) -> Any:
    """Arrays one after the other along an axis; flattened first if it is None. PyTorch's ``cat``.

    Arrays of several dtypes are promoted to one.

    Parameters
    ----------
    arrays : sequence of arrays
        Of the same shape but for the size along ``axis``. Beside others, arrays of shape (0,) fit and add nothing:
        what scripts begin with that join one array after the other to ``tensor([])``.
    axis : int, optional

    Raises
    ------
    ShapeError
        The shapes do not fit, or an array has no axes.
    ValueError
        There are no arrays.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> concatenate([tj.ones(2), tj.zeros(1)])
    tensor([1., 1., 0.])
    """
    xs = list(arrays)
    if not xs:
        raise ValueError("concatenate needs one array at least")
    if axis is None:
        xs, axis = [x.reshape(-1) for x in xs], 0
    first = next((x.shape for x in xs if x.shape != (0,)), (0,))
    at = axis_of(axis, len(first))
    if len(first) > 1:
        xs = [x.reshape(first[:at] + (0,) + first[len(first) + at + 1 :]) if x.shape == (0,) else x for x in xs]
    shapes = [x.shape for x in xs]
    for shape in shapes:
        fits = shape == first or (len(shape) == len(first) and _without(shape, at) == _without(first, at))
        if not shape or not fits:
            raise ShapeError(f"concatenate along axis {axis}: shapes {first} and {shape} do not fit: arrays must have "
                             "axes, as many, and agree in all sizes but that one")
    bounds = tuple(itertools.accumulate((s[at] for s in shapes), initial=0))
    return _concatenate(*xs, axis=at, bounds=bounds)


def _without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return shape[:axis] + shape[len(shape) + axis + 1 :]


@public(np.stack)
def stack(arrays: Sequence[Any], axis: int = 0) -> Any:
    """Arrays of one shape as the entries along a new axis.

    Raises
    ------
    ShapeError
        The shapes differ.
    ValueError
        There are no arrays.
    """
    xs = list(arrays)
    shapes = {x.shape for x in xs}
    if len(shapes) > 1:
        raise ShapeError(f"stack needs arrays of one shape, not {' and '.join(map(str, sorted(shapes)))}")
    if not xs:
        raise ValueError("stack needs one array at least")
    (shape,), at = shapes, axis_of(axis, xs[0].ndim + 1)
    shape = (*shape[: len(shape) + at + 1], 1, *shape[len(shape) + at + 1 :])
    return concatenate([x.reshape(shape) for x in xs], at)


@public(np.hstack)
def hstack(arrays: Sequence[Any]) -> Any:
    """Side by side: joined along the second axis, vectors along their only one."""
    xs = [atleast_1d(x) for x in arrays]
    return concatenate(xs, 0 if xs and xs[0].ndim == 1 else 1)


@public(np.vstack)
def vstack(arrays: Sequence[Any]) -> Any:
    """One below the other: joined along the first axis, vectors as rows."""
    return concatenate([atleast_2d(x) for x in arrays], 0)


@public(np.dstack)
def dstack(arrays: Sequence[Any]) -> Any:
    """One behind the other: joined along the third axis."""
    return concatenate([atleast_3d(x) for x in arrays], 2)


@public(np.column_stack)
def column_stack(arrays: Sequence[Any]) -> Any:
    """Joined along the second axis, vectors and numbers as columns."""
    return concatenate([x.reshape(-1, 1) if x.ndim < 2 else x for x in arrays], 1)


def block_diag(*arrays: Any) -> Any:
    """A matrix with matrices (vectors as rows) along its diagonal, zeros elsewhere."""
    xs = [atleast_2d(x) for x in (arrays[0] if len(arrays) == 1 and isinstance(arrays[0], (list, tuple)) else arrays)]
    if any(x.ndim != 2 for x in xs):
        raise ShapeError(f"block_diag takes matrices, vectors and numbers, not shapes {[x.shape for x in xs]}")
    widths = [x.shape[1] for x in xs]
    before = list(itertools.accumulate(widths, initial=0))
    return concatenate([_pad(x, widths=((0, 0), (b, before[-1] - b - n)), value=0) for x, b, n in
                        zip(xs, before, widths)], 0)


def cartesian_prod(*arrays: Any) -> Any:
    """All rows that take an entry of each vector in turn, the last changing fastest."""
    for x in arrays:
        _vector("cartesian_prod", x)
    if len(arrays) == 1:
        return arrays[0]
    return stack([x.reshape(-1) for x in meshgrid(*arrays)], -1)


@public()
def combinations(x: Any, r: int = 2, with_replacement: bool = False) -> Any:
    """All rows of r entries of a vector, each in the order in which they stand there."""
    _vector("combinations", x)
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = np.array([*choose(range(x.shape[0]), r)], dtype=np.intp).reshape(-1, r)
    return x[rows]


@public(np.vander)
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """The powers of each entry of a vector, from the highest to 0 along a row, or the other way round."""
    _vector("vander", x)
    powers = np.arange(x.shape[0] if N is None else N)
    return x[:, None] ** (powers if increasing else powers[::-1].copy())


def _vector(name: str, x: Any) -> None:
    if x.ndim != 1:
        raise ShapeError(f"{name} takes a vector, not shape {x.shape}")


@public()
def linalg_vander(x: Any, *, N: int | None = None) -> Any:
    """The powers of each entry along the last axis, from 0 to N - 1 along a new one."""
    return x[..., None] ** np.arange(x.shape[-1] if N is None else N)


def meshgrid(*arrays: Any, indexing: str = "ij") -> tuple[Any, ...]:
    """The coordinates of a grid: vector k repeated along all axes but the k-th.

    With ``indexing="xy"``, NumPy's default, the first two axes are exchanged.

    Raises
    ------
    ValueError
        ``indexing`` is neither "ij" nor "xy".
    """
    if indexing not in ("ij", "xy"):
        raise ValueError(f"meshgrid's indexing is 'ij' or 'xy', not {indexing!r}")
    if len(arrays) == 1 and isinstance(arrays[0], (list, tuple)):
        arrays = tuple(arrays[0])
    places = list(range(len(arrays)))
    if indexing == "xy" and len(arrays) > 1:
        places[:2] = 1, 0
    sizes = [1] * len(arrays)
    for x, place in zip(arrays, places):
        sizes[place] = int(np.size(x))
    return tuple(
        broadcast_to(x.reshape([sizes[k] if k == place else 1 for k in range(len(arrays))]), sizes)
        for x, place in zip(arrays, places)
    )


# ------------------------------------------------------------------------------------------------ one as several


def _cut(x: Any, bounds: Sequence[int], axis: int) -> tuple[Any, ...]:
    return tuple(x[along(axis, slice(start, stop))] for start, stop in itertools.pairwise(bounds))


@public()
def split(x: Any, split_size_or_sections: Any, axis: int = 0) -> tuple[Any, ...]:
    """Parts of one size, the last perhaps smaller, or parts of the sizes given; views.

    This is PyTorch's meaning. On a Tensor ``np.split(x, 3)`` gives three parts, and a list says where to cut.

    Raises
    ------
    ValueError
        The size is not positive, or the sizes do not add up to that of the axis.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> [part.shape for part in split(tj.ones(5), 2)]
    [(2,), (2,), (1,)]
    """
    at, n = axis_along("split", x, axis)
    if isinstance(split_size_or_sections, Sequence):
        sizes = tuple(int(s) for s in split_size_or_sections)
        if sum(sizes) != n or min(sizes, default=0) < 0:
            raise ValueError(f"split: the sizes {sizes} do not add up to the {n} of axis {axis} of shape {x.shape}")
        return _cut(x, (0, *itertools.accumulate(sizes)), at)
    size = int(split_size_or_sections)
    if size <= 0:
        raise ValueError(f"split: the size of a part must be positive, not {size}")
    return _cut(x, (*range(0, max(n, 1), size), n), at)


@public(np.hsplit)
def hsplit(x: Any, indices_or_sections: Any) -> tuple[Any, ...]:
    """`tensor_split` along the second axis, of a vector along its only one."""
    return tensor_split(x, indices_or_sections, 1 if x.ndim > 1 else 0)


@public(np.vsplit)
def vsplit(x: Any, indices_or_sections: Any) -> tuple[Any, ...]:
    """`tensor_split` along the first axis."""
    return tensor_split(x, indices_or_sections, 0)


@public(np.dsplit)
def dsplit(x: Any, indices_or_sections: Any) -> tuple[Any, ...]:
    """`tensor_split` along the third axis."""
    return tensor_split(x, indices_or_sections, 2)


@public()
def unfold(x: Any, dimension: int, size: int, step: int) -> Any:
    """The stretches of ``size`` entries along an axis, one every ``step`` entries, each along a new last axis.

    Raises
    ------
    ShapeError
        The axis is shorter than a stretch.
    """
    k = axis_of(dimension, x.ndim)
    n = x.shape[k] if x.ndim else 1
    if not 0 <= size <= n or step < 1:
        raise ShapeError(f"unfold: stretches of {size} entries, every {step}, do not fit axis {dimension} of {x.shape}")
    starts = np.arange(0, n - size + 1, step)
    if not x.ndim:
        return x.reshape(1)[:size]
    return moveaxis(x[along(k, starts[:, None] + np.arange(size))], k, -1)


@public()
def chunk(x: Any, chunks: int, axis: int = 0) -> tuple[Any, ...]:
    """At most so many parts of one size, the last perhaps smaller; views. For equal parts see `tensor_split`.

    Raises
    ------
    ValueError
        The number is not positive.
    """
    if chunks <= 0:
        raise ValueError(f"chunk: the number of parts must be positive, not {chunks}")
    _, n = axis_along("chunk", x, axis)
    return split(x, -(-n // chunks), axis) if n else tensor_split(x, chunks, axis)


@public(np.array_split)
def tensor_split(x: Any, indices_or_sections: Any, axis: int = 0) -> tuple[Any, ...]:
    """So many parts whose sizes differ by one at most, or the parts between the places given; views.

    Raises
    ------
    ValueError
        The number is not positive.
    """
    at, n = axis_along("tensor_split", x, axis)
    if np.ndim(indices_or_sections):
        # A place counts from the end if negative and is moved to the nearest end if outside, as in a slice.
        places = [slice(int(k)).indices(n)[1] for k in indices_or_sections]
        return tuple(x[along(at, slice(a, b))] for a, b in itertools.pairwise([0, *places, n]))
    parts = int(indices_or_sections)
    if parts <= 0:
        raise ValueError(f"tensor_split: the number of parts must be positive, not {parts}")
    size, larger = divmod(n, parts)
    return _cut(x, [k * size + min(k, larger) for k in range(parts + 1)], at)


def _numpy_split(x: Any, indices_or_sections: Any, axis: int = 0) -> tuple[Any, ...]:
    """``np.split``: as `tensor_split`, but a number of parts must divide the axis."""
    _, n = axis_along("split", x, axis)
    if not np.ndim(indices_or_sections) and n % indices_or_sections:
        raise ValueError(f"split: {indices_or_sections} parts do not divide axis {axis} of shape {x.shape} equally")
    return tensor_split(x, indices_or_sections, axis)


@public()
def unbind(x: Any, axis: int = 0) -> tuple[Any, ...]:
    """The entries along an axis, which is gone in them; views."""
    at, n = axis_along("unbind", x, axis)
    return tuple(x[along(at, k)] for k in range(n))


# ------------------------------------------------------------------------------------------------ repeated, padded


@public(np.tile)
def tile(x: Any, *reps: Any) -> Any:
    """The whole array repeated along each axis; axes that are not named, or not there, count as 1.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> tile(tj.tensor([1.0, 2.0]), 2, 2)
    tensor([[1., 2., 1., 2.],
            [1., 2., 1., 2.]])
    """
    times = tuple(reps[0]) if len(reps) == 1 and np.ndim(reps[0]) else reps
    ndim = max(len(times), x.ndim)
    if x.ndim < ndim:
        x = x.reshape((1,) * (ndim - x.ndim) + x.shape)
    return _tile(x, times=(1,) * (ndim - len(times)) + tuple(int(t) for t in times)) if ndim else clone(x)


def repeat(x: Any, *repeats: Any) -> Any:
    """The whole array repeated along each axis: `tile` with a number for each axis. NumPy's is `repeat_interleave`.

    Raises
    ------
    ShapeError
        There are fewer numbers than axes.
    """
    times = tuple(repeats[0]) if len(repeats) == 1 and np.ndim(repeats[0]) else repeats
    if len(times) < x.ndim:
        raise ShapeError(f"repeat: {len(times)} numbers were given for the {x.ndim} axes of shape {x.shape}")
    return tile(x, times)


@public(np.repeat)
def repeat_interleave(x: Any, repeats: Any, axis: int | None = None) -> Any:
    """Each entry repeated in its place, along an axis or in the flattened array; by one number or one for each.

    Raises
    ------
    ShapeError
        There are several numbers, and not one for each entry along the axis.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> repeat_interleave(tj.tensor([1.0, 2.0]), 2)
    tensor([1., 1., 2., 2.])
    >>> repeat_interleave(tj.tensor([1.0, 2.0]), [1, 3])
    tensor([1., 2., 2., 2.])
    """
    if axis is None:
        x, axis = x.reshape(-1), 0
    at, n = axis_along("repeat_interleave", x, axis)
    counts = np.asarray(array_of(repeats)).reshape(-1)
    if counts.size == 1:
        return _repeat_interleave(x, times=int(counts[0]), axis=at)
    if counts.size != n:
        raise ShapeError(f"repeat_interleave: {counts.size} numbers were given for the {n} entries along axis {axis} "
                         f"of shape {x.shape}")
    return x[along(at, np.repeat(np.arange(n), counts))]


@public()
def pad(x: Any, pad_width: Any, mode: str = "constant", value: Any = 0.0) -> Any:
    """Entries added before and after, along each axis.

    Parameters
    ----------
    x : array
    pad_width : int, (before, after), or a pair for each axis
        As in ``np.pad``; a negative width takes entries away. (PyTorch's order is that of `nn.functional.pad`.)
    mode : {"constant", "edge", "reflect", "symmetric", "wrap"}
        What is added: a value; the outermost entry; entries mirrored without or with the outermost one; entries from
        the other end. PyTorch calls the second "replicate" and the last "circular".
    value : number
        For mode "constant".

    Raises
    ------
    ValueError
        The mode is unknown, or there is nothing to fill the padding with.
    ShapeError
        The widths are not one pair for each axis.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> pad(tj.tensor([1.0, 2.0, 3.0]), (2, 1))
    tensor([0., 0., 1., 2., 3., 0.])
    >>> pad(tj.tensor([1.0, 2.0, 3.0]), (2, 1), mode="reflect")
    tensor([3., 2., 1., 2., 3., 2.])
    """
    mode = {"replicate": "edge", "circular": "wrap"}.get(mode, mode)
    if mode not in ("constant", "edge", "reflect", "symmetric", "wrap"):
        raise ValueError(f"pad knows the modes constant, edge, reflect, symmetric and wrap, not {mode!r}")
    try:
        pairs = np.broadcast_to(np.asarray(pad_width, dtype=np.intp), (x.ndim, 2)).tolist()
    except ValueError as error:
        raise ShapeError(f"pad: widths {pad_width} are not a pair for each axis of shape {x.shape}") from error
    if any(w < 0 for pair in pairs for w in pair):
        x = x[tuple(slice(max(-b, 0), n - max(-a, 0)) for (b, a), n in zip(pairs, x.shape))]
    widths = tuple((max(b, 0), max(a, 0)) for b, a in pairs)
    if mode == "constant":
        return _pad(x, widths=widths, value=value)
    for k, width in enumerate(widths):
        if any(width):
            if not x.shape[k]:
                raise ValueError(f"pad: axis {k} of shape {x.shape} has no entries to fill the padding with")
            x = x[along(k - x.ndim, np.pad(np.arange(x.shape[k]), width, mode=mode))]  # type: ignore[call-overload]
    return x


# ------------------------------------------------------------------------------------------------ NumPy's names

# Functions whose parameters NumPy and PyTorch name or order differently.
functions[np.split] = _numpy_split
functions[np.meshgrid] = lambda *xi, indexing="xy": meshgrid(*xi, indexing=indexing)
functions[np.pad] = lambda array, pad_width, mode="constant", constant_values=0: pad(
    array, pad_width, mode, constant_values)
