"""Entries picked or placed by position or by mask: all of it is composed of indexing's primitives."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ShapeError
from ..graph import Variable, array_of, wrap
from ..primitive import functions
from ..spelling import axis_along, axis_of, public
from .elementary import where
from .indexing import At, _index, _scatter_add, frozen, getitem, setitem
from .joining import along
from .shaping import broadcast_tensors, broadcast_to, clone


def plain(x: Any) -> Any:
    """The ndarray of a Tensor, or of anything else."""
    return np.asarray(array_of(x))


def like(x: Any, array: Any) -> Any:
    """An array without history, as a Tensor where ``x`` is one."""
    return wrap(np.asarray(array)) if isinstance(x, Variable) else array


def _positions(what: str, index: Any) -> Any:
    """An integer array that nobody else can change."""
    array = np.array(plain(index))
    if array.dtype.kind not in "iu" and array.size:
        raise TypeError(f"{what} takes integers as positions, not {array.dtype}")
    return array.astype(np.intp, copy=False)


def _require_below(what: str, positions: Any, size: int, axis: Any) -> None:
    if positions.size and not (-size <= positions.min() and positions.max() < size):
        worst = positions.max() if positions.max() >= size else positions.min()
        raise IndexError(f"{what}: index {worst} is out of range for axis {axis} of size {size}")


def beside(index: Any, axis: int, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """``index`` along one axis and every position of ``shape`` along the others, as arrays that broadcast."""
    ndim = len(shape)
    return tuple(
        index if k - ndim == axis else np.arange(n).reshape((n,) + (1,) * (ndim - 1 - k)) for k, n in enumerate(shape)
    )


# ------------------------------------------------------------------------------------------------ by position


@public()
def gather(x: Any, axis: int, index: Any) -> Any:
    """``out[i, j] = x[index[i, j], j]`` for axis 0, and so on: for each entry of ``index``, the entry there.

    Parameters
    ----------
    x : array
    axis : int
    index : integer array
        Of as many axes as ``x``, none but ``axis`` longer than in ``x``; its shape is that of the result.

    Raises
    ------
    ShapeError
        The shape of ``index`` does not fit.
    IndexError
        A position is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_jac as tj
    >>> gather(tj.tensor([[1.0, 2.0], [3.0, 4.0]]), 1, np.array([[1], [0]]))
    tensor([[2.],
            [3.]])
    """
    at = _grid("gather", x, axis, index)
    return _index(x, at=at)


def _grid(what: str, x: Any, axis: int, index: Any) -> At:
    """The places that PyTorch's ``gather`` and ``scatter`` mean."""
    positions, shape = _positions(what, index), tuple(np.shape(x))
    k = axis_of(axis, len(shape))
    if positions.ndim != len(shape) or any(
        m > n for j, (m, n) in enumerate(zip(positions.shape, shape)) if j - len(shape) != k
    ):
        raise ShapeError(f"{what} along axis {axis}: an index of shape {positions.shape} does not fit shape {shape}: "
                         "it needs as many axes, none but that one longer")
    if shape:
        _require_below(what, positions, shape[k], axis)
    return At(beside(positions, k, positions.shape), shape, 0, False)


@public(np.take_along_axis)
def take_along_axis(x: Any, indices: Any, axis: int | None = -1) -> Any:
    """As `gather`, but all axes except ``axis`` broadcast; in the flattened array if it is None.

    Raises
    ------
    ShapeError
        The other axes do not broadcast.
    IndexError
        A position is out of range.
    """
    if axis is None:
        x, axis = x.reshape(-1), 0
    positions, (k, n) = _positions("take_along_axis", indices), axis_along("take_along_axis", x, axis)
    if positions.ndim != x.ndim or any(
        m != n and 1 not in (m, n) for j, (m, n) in enumerate(zip(positions.shape, x.shape)) if j - x.ndim != k
    ):
        raise ShapeError(f"take_along_axis: indices of shape {positions.shape} and shape {x.shape} do not broadcast "
                         f"beside axis {axis}")
    _require_below("take_along_axis", positions, n, axis)
    return _index(x, at=At(beside(positions, k, x.shape), x.shape, 0, False))


@public()
def take_along_dim(x: Any, indices: Any, axis: int | None = None) -> Any:
    """`take_along_axis`; in the flattened array if no axis is named, as PyTorch has it."""
    return take_along_axis(x, indices.reshape(-1) if axis is None else indices, axis)


@public(np.take)
def take(x: Any, indices: Any, axis: int | None = None) -> Any:
    """The entries at some positions along an axis, or of the flattened array.

    Raises
    ------
    IndexError
        A position is out of range.
    """
    if axis is None:
        x, axis = x.reshape(-1), 0
    k, n = axis_along("take", x, axis)
    positions = _positions("take", indices)
    _require_below("take", positions, n, axis)
    return getitem(x, along(k, positions))


@public()
def index_select(x: Any, axis: int, index: Any) -> Any:
    """The entries at some positions along an axis, which stays: `take` with a vector of positions.

    Raises
    ------
    IndexError
        A position is out of range.
    """
    return take(x, _positions("index_select", index).reshape(-1), axis)


@public()
def select(x: Any, axis: int, index: int) -> Any:
    """The entry at one position along an axis, which is gone; a view.

    Raises
    ------
    IndexError
        The position is out of range.
    """
    return getitem(x, along(axis_of(axis, x.ndim), int(index)))


@public()
def narrow(x: Any, axis: int, start: int, length: int) -> Any:
    """``length`` entries along an axis, from ``start`` on; a view.

    Raises
    ------
    IndexError
        They are not all there.
    """
    k, n = axis_along("narrow", x, axis)
    first = int(start) + (n if start < 0 else 0)
    if length < 0 or not 0 <= first <= first + length <= n:
        raise IndexError(f"narrow: {length} entries from {start} on are not within axis {axis} of shape {x.shape}")
    return getitem(x, along(k, slice(first, first + int(length))))


@public()
def narrow_copy(x: Any, axis: int, start: int, length: int) -> Any:
    """`narrow`, in memory of its own."""
    return clone(narrow(x, axis, start, length))


def _fitting(what: str, src: Any, shape: tuple[int, ...]) -> Any:
    """The part of a source that an index of some shape is about: the first entries along each axis."""
    if np.ndim(src) != len(shape) or any(m > n for m, n in zip(shape, np.shape(src))):
        raise ShapeError(f"{what}: a source of shape {np.shape(src)} has not an entry for each index of {shape}")
    return src if np.shape(src) == shape else getitem(src, tuple(slice(n) for n in shape))


@public()
def scatter(
    x: Any, axis: int, index: Any, src: Any = None, *, value: Any = None, reduce: str | None = None
) -> Any:
    """A copy of ``x`` with ``out[index[i, j], j] = src[i, j]`` for axis 0, and so on; the converse of `gather`.

    ``src`` is an array with an entry for each of ``index``, or one number (also as ``value``). Where two entries go to
    one place, the last one counts; with ``reduce="add"`` they are added to what is there.

    Raises
    ------
    ShapeError
        Shapes do not fit.
    IndexError
        A position is out of range.
    """
    src = value if src is None else src
    at = _grid("scatter", x, axis, index)
    if reduce is not None:
        if reduce != "add":
            raise ValueError(f"scatter: reduce={reduce!r} is not available; 'add' is, and see scatter_reduce")
        src = src if np.ndim(src) else np.full(np.shape(plain(index)), src, x.dtype)
        return scatter_add(x, axis, index, src)
    shape = np.broadcast_shapes(*(i.shape for i in at.arrays))
    return setitem(x, _fitting("scatter", src, shape) if np.ndim(src) else src, index=at.arrays)


@public()
def scatter_add(x: Any, axis: int, index: Any, src: Any) -> Any:
    """``x`` plus, for axis 0, ``src[i, j]`` at ``[index[i, j], j]``, and so on; what goes to one place is summed.

    Raises
    ------
    ShapeError
        Shapes do not fit.
    IndexError
        A position is out of range.
    """
    at = _grid("scatter_add", x, axis, index)
    shape = np.broadcast_shapes(*(i.shape for i in at.arrays))
    return x + _scatter_add(_fitting("scatter_add", src, shape), at=at)


@public()
def scatter_reduce(x: Any, axis: int, index: Any, src: Any, reduce: str, *, include_self: bool = True) -> Any:
    """For each place the sum, mean, largest or smallest of the entries that `scatter` would send there, and of its own.

    Parameters
    ----------
    x, axis, index, src
        As of `scatter_add`.
    reduce : {"sum", "mean", "amax", "amin"}
        Of equal extrema each receives an equal part of the cotangent.
    include_self : bool
        Whether the entry of ``x`` counts where others arrive.

    Raises
    ------
    ShapeError
        Shapes do not fit.
    IndexError
        A position is out of range.
    ValueError
        Another ``reduce``: products are not available.
    """
    if reduce not in ("sum", "mean", "amax", "amin"):
        raise ValueError(f"scatter_reduce: reduce is 'sum', 'mean', 'amax' or 'amin', not {reduce!r}")
    at = _grid("scatter_reduce", x, axis, index)
    shape = np.broadcast_shapes(*(i.shape for i in at.arrays))
    src = _fitting("scatter_reduce", src, shape)
    arriving = _scatter_add(np.ones(shape, x.dtype), at=at)
    kept = np.ones(x.shape, bool) if include_self else arriving == 0
    if reduce in ("sum", "mean"):
        total = where(kept, x, 0) + _scatter_add(src, at=at)
        return total if reduce == "sum" else total / (arriving + kept)
    # The extrema, found on the arrays; then the mean of the entries that are one, so that they share its cotangent.
    whole = x.dtype.kind in "iu"
    low, high = (np.iinfo(x.dtype).min, np.iinfo(x.dtype).max) if whole else (-np.inf, np.inf)
    extrema = np.where(kept, plain(x), np.asarray(low if reduce == "amax" else high, x.dtype))
    (np.maximum if reduce == "amax" else np.minimum).at(extrema, at.arrays, plain(src))
    if whole:
        return like(x, np.where(kept | (arriving > 0), extrema, plain(x)))
    mine, theirs = kept & (plain(x) == extrema), plain(src) == extrema[at.key]
    total = where(mine, x, 0) + _scatter_add(where(theirs, src, 0), at=at)
    return total / (mine + _scatter_add(theirs.astype(x.dtype), at=at))


@public()
def index_copy(x: Any, axis: int, index: Any, source: Any) -> Any:
    """A copy of ``x`` with entry i of ``source`` at position ``index[i]`` along an axis.

    Raises
    ------
    ShapeError
        ``source`` has not ``x``'s shape but for one entry for each position.
    IndexError
        A position is out of range.
    """
    return setitem(x, source, index=_rows_of("index_copy", x, axis, index, np.shape(source)))


@public()
def index_fill(x: Any, axis: int, index: Any, value: Any) -> Any:
    """A copy of ``x`` with one value at some positions along an axis.

    Raises
    ------
    IndexError
        A position is out of range.
    """
    return setitem(x, value, index=_rows_of("index_fill", x, axis, index, None))


def _rows_of(what: str, x: Any, axis: int, index: Any, given: Any) -> tuple[Any, ...]:
    """The index that names positions along an axis; the shape given is that of what goes there."""
    k, n = axis_along(what, x, axis)
    positions = _positions(what, index).reshape(-1)
    expected = tuple(positions.size if j - x.ndim == k else n for j, n in enumerate(x.shape))
    if given is not None and given != expected:
        raise ShapeError(f"{what}: a source of shape {given}, expected {expected}")
    _require_below(what, positions, n, axis)
    return along(k, positions)


@public()
def index_put(x: Any, indices: Any, values: Any, accumulate: bool = False) -> Any:
    """A copy of ``x`` with ``values`` at ``x[indices]``, or with them added there, repeated places included.

    Raises
    ------
    IndexError, ShapeError
        The indices or the values do not fit.
    """
    index = frozen(tuple(indices))
    if not accumulate:
        return setitem(x, values, index=index)
    places = np.arange(plain(x).size).reshape(x.shape)[index]
    values = broadcast_to(values, places.shape).reshape(-1)
    return x + _scatter_add(values, at=At((places.reshape(-1),), (plain(x).size,), 0, False)).reshape(x.shape)


@public()
def put(x: Any, index: Any, source: Any, accumulate: bool = False) -> Any:
    """A copy of ``x`` with the entries of ``source`` at positions of the flattened array, or with them added there."""
    places = _positions("put", index).reshape(-1)
    _require_below("put", places, plain(x).size, "all")
    return index_put(x.reshape(-1), (places,), source.reshape(-1), accumulate).reshape(x.shape)


@public()
def select_scatter(x: Any, src: Any, axis: int, index: int) -> Any:
    """A copy of ``x`` with ``src`` at one position along an axis."""
    return setitem(x, src, index=along(axis_of(axis, x.ndim), int(index)))


@public()
def slice_scatter(
    x: Any, src: Any, axis: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Any:
    """A copy of ``x`` with ``src`` at a slice along an axis."""
    return setitem(x, src, index=along(axis_of(axis, x.ndim), slice(start, end, step)))


@public()
def index_add(x: Any, axis: int, index: Any, source: Any, *, alpha: Any = 1) -> Any:
    """``x`` with ``alpha`` times entry i of ``source`` added at position ``index[i]`` along an axis.

    Raises
    ------
    ShapeError
        ``source`` has not ``x``'s shape but for one entry for each position.
    IndexError
        A position is out of range.
    """
    k, index = axis_of(axis, x.ndim), _rows_of("index_add", x, axis, index, np.shape(source))
    return x + alpha * _scatter_add(source, at=At((index[1],), (x.shape[k],), -k - 1, False))


@public()
def embedding(x: Any, weight: Any, padding_idx: int | None = None) -> Any:
    """Rows of a table.

    Parameters
    ----------
    x : integer array of any shape
        The rows' numbers.
    weight : array of shape (count, width)
    padding_idx : int, optional
        A row that receives no gradient.

    Returns
    -------
    array of shape (*x.shape, width)

    Raises
    ------
    IndexError
        A number is negative, or not below ``count``.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_jac as tj
    >>> table = tj.tensor([[0.0, 0.0], [1.0, 2.0]], requires_grad=True)
    >>> embedding(np.array([1, 1, 0]), table, padding_idx=0).sum().backward()
    >>> table.grad
    tensor([[0., 0.],
            [2., 2.]])
    """
    rows, (_, count) = _positions("embedding", x), axis_along("embedding", weight, 0)
    if rows.size and (rows.min() < 0 or rows.max() >= count):
        worst = rows.min() if rows.min() < 0 else rows.max()
        raise IndexError(f"embedding: row {worst} of a table of {count} rows")
    found = getitem(weight, rows)
    if padding_idx is None or not isinstance(weight, Variable):
        return found
    is_padding = rows == padding_idx % count
    return where(is_padding[..., None], wrap(found.array), found)


@public()
def one_hot(x: Any, num_classes: int = -1) -> Any:
    """For each number a row of integers, 1 at its place and 0 elsewhere.

    Parameters
    ----------
    x : integer array of any shape
    num_classes : int
        How long rows are; by default as long as the largest number needs.

    Raises
    ------
    ValueError
        A number is negative, or not below ``num_classes``.
    """
    numbers = _positions("one_hot", x)
    count = int(numbers.max(initial=-1)) + 1 if num_classes < 0 else int(num_classes)
    if numbers.size and (numbers.min() < 0 or numbers.max() >= count):
        worst = numbers.min() if numbers.min() < 0 else numbers.max()
        raise ValueError(f"one_hot: {worst} is not a class of {count}: classes are numbered from 0")
    return like(x, (numbers[..., None] == np.arange(count)).astype(np.int64))


# ------------------------------------------------------------------------------------------------ by mask


def _mask(what: str, mask: Any) -> Any:
    array = plain(mask)
    if array.dtype.kind != "b":
        raise TypeError(f"{what} takes a mask of bools, not {array.dtype}: compare first, as in mask > 0")
    return array


@public()
def masked_fill(x: Any, mask: Any, value: Any) -> Any:
    """``value``, a number, where the mask holds, else ``x``, whose dtype the result has.

    Raises
    ------
    TypeError
        The mask is not of bools.
    OverflowError
        The dtype does not hold the value: 1e9 in float16, -inf in integers.
    """
    return where(_mask("masked_fill", mask), _held_by(x.dtype, value), x)


def _held_by(dtype: Any, value: Any) -> Any:
    """A value in a dtype that it must not widen, nor leave the range of."""
    number = plain(value)
    if dtype == np.asarray(number).dtype:
        return value
    with np.errstate(over="ignore", invalid="ignore"):
        held = np.asarray(number).astype(dtype)
    beyond = held != np.trunc(number) if dtype.kind in "iu" else np.isinf(held) & np.isfinite(number)
    if dtype.kind != "b" and np.any(beyond):
        raise OverflowError(f"masked_fill: {number} is beyond what {dtype} holds")
    return value if dtype.kind == "f" else held


@public()
def masked_select(x: Any, mask: Any) -> Any:
    """The entries for which the mask holds, as a vector, once both are broadcast.

    Raises
    ------
    TypeError
        The mask is not of bools.
    ShapeError
        The two do not broadcast.
    """
    x, holds = broadcast_tensors(x, _mask("masked_select", mask))
    return getitem(x, holds)


@public()
def masked_scatter(x: Any, mask: Any, source: Any) -> Any:
    """A copy of ``x`` with the first entries of ``source``, in a row, where the mask holds.

    Raises
    ------
    TypeError
        The mask is not of bools.
    ShapeError
        ``source`` has fewer entries than there are places.
    """
    x, holds = broadcast_tensors(x, _mask("masked_scatter", mask))
    count = int(np.count_nonzero(holds))
    if plain(source).size < count:
        raise ShapeError(f"masked_scatter: {count} places, but a source of {plain(source).size} entries")
    return setitem(x, source.reshape(-1)[:count], index=(np.array(holds),))


@public()
def nonzero(x: Any, *, as_tuple: bool = False) -> Any:
    """Where the entries are not 0: a row of positions for each, or an array of positions for each axis.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> nonzero(tj.tensor([[0.0, 3.0], [4.0, 0.0]]))
    tensor([[0, 1],
            [1, 0]])
    """
    array = plain(x)
    found = np.nonzero(np.atleast_1d(array))
    if as_tuple:
        return tuple(like(x, i) for i in found)
    return like(x, np.stack(found, axis=1)[:, : array.ndim])


@public()
def argwhere(x: Any) -> Any:
    """A row of positions for each entry that is not 0."""
    return nonzero(x)


# ------------------------------------------------------------------------------------------------ in sorted arrays


@public()
def searchsorted(
    sorted_sequence: Any, x: Any, *, out_int32: bool = False, right: bool = False, side: str | None = None,
    sorter: Any = None,
) -> Any:
    """Where each entry of ``x`` would have to stand for the sequence to stay sorted: before equal ones, or after them.

    Parameters
    ----------
    sorted_sequence : array of shape (*batch, n)
    x : number, or array of shape (*batch, m); of any shape if there is no batch
    out_int32 : bool
        Positions in int32 instead of int64.
    right : bool
        After equal entries; ``side="right"`` says the same.
    sorter : integer array of the sequence's shape, optional
        The positions that sort the sequence, if it is not sorted itself.

    Raises
    ------
    ShapeError
        The batches differ.
    """
    rows, values = plain(sorted_sequence), plain(x)
    if sorter is not None:
        rows = np.take_along_axis(rows, plain(sorter), -1)
    after: Any = "right" if right or side == "right" else "left"
    _, n = axis_along("searchsorted", rows, -1)
    if rows.ndim == 1:
        found = np.searchsorted(rows, values, after)
    elif rows.shape[:-1] != values.shape[:-1]:
        raise ShapeError(f"searchsorted: sequences of shape {rows.shape} need values of as many rows, not of shape "
                         f"{values.shape}")
    else:
        pairs = zip(rows.reshape(-1, n), values.reshape(-1, values.shape[-1]))
        found = np.array([np.searchsorted(row, v, after) for row, v in pairs]).reshape(values.shape)
    found = np.asarray(found, np.int32 if out_int32 else np.int64)
    return wrap(found) if isinstance(x, Variable) or isinstance(sorted_sequence, Variable) else found


@public()
def bucketize(x: Any, boundaries: Any, *, out_int32: bool = False, right: bool = False) -> Any:
    """Between which of the boundaries, which are sorted, each entry lies: `searchsorted`, the other way round."""
    return searchsorted(boundaries, x, out_int32=out_int32, right=right)


@public()
def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Any:
    """For each element whether it is among the others."""
    found = np.isin(plain(elements), plain(test_elements), assume_unique=assume_unique, invert=invert)
    return wrap(np.asarray(found)) if isinstance(elements, Variable) or isinstance(test_elements, Variable) else found


# ------------------------------------------------------------------------------------------------ NumPy's names

functions[np.nonzero] = lambda a: nonzero(a, as_tuple=True)
functions[np.argwhere] = nonzero
functions[np.flatnonzero] = lambda a: wrap(np.flatnonzero(a.array))
