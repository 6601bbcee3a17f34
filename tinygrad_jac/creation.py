"""Making Tensors: from data, filled, in ranges, at random."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import dtypes, random
from .devices import on_cpu
from .errors import GradientError, ShapeError
from .graph import Variable, wrap
from .modes import mode
from .spelling import public, sizes_of
from .tensor import Tensor, array_given
from .versions import mark_changed

# What means the same everywhere: ``dtype``, in any spelling that NumPy reads; ``requires_grad``; ``device``, which must
# be the CPU; ``generator``, a `Generator` in the place of the default one. A shape is given as ints, as one sequence,
# or as ``size=``.


def _finish(array: Any, requires_grad: bool, device: Any = None) -> Tensor:
    if device is not None:
        on_cpu(device)
    made: Tensor = wrap(array)
    return made.requires_grad_() if requires_grad else made


def _shape(sizes: Sequence[Any], size: Any) -> tuple[int, ...]:
    shape = sizes_of(sizes if size is None else (size,))
    if shape and min(shape) < 0:
        raise ValueError(f"a shape has no negative sizes: {shape}")
    return shape


def _dtype(given: Any) -> np.dtype[Any]:
    return dtypes.get_default_dtype() if given is None else dtypes.of(given)


# ------------------------------------------------------------------------------------------------ from data


def tensor(data: Any, *, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """A Tensor with a copy of some data.

    Parameters
    ----------
    data : nested sequence, number, ndarray or Tensor
        Python floats become the default dtype (float32), Python ints int64, bools bool; an ndarray, a NumPy scalar and
        a Tensor keep their dtype. Sequences of several kinds become the dtype that holds them all, as in PyTorch.
    dtype : dtype, optional
    requires_grad : bool
    device : object
        There is one device, the CPU.

    Raises
    ------
    TypeError
        The data are not numbers, or a gradient is asked for of integers or complex numbers.
    ValueError
        Nested sequences of unequal lengths.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> tj.tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])
    >>> tj.tensor([1, 2.5])
    tensor([1.0000, 2.5000])
    """
    if isinstance(data, Variable):
        array = data.array.astype(data.array.dtype if dtype is None else dtypes.of(dtype))
    else:
        if dtype is not None:
            dtype = dtypes.of(dtype)
        elif not isinstance(data, (np.ndarray, np.generic)):
            dtype = _dtype_of_sequence(data)
        array = _array_of(data, dtype)
    return _finish(_checked(array), requires_grad, device)


def _array_of(data: Any, dtype: Any) -> np.ndarray[Any, Any]:
    try:
        return np.array(_without_tensors(data), dtype=dtype)
    except ValueError as error:
        ragged = _ragged(data)
        if ragged is None:
            raise
        raise ValueError(
            f"nested sequences must have equal lengths to become a tensor: at depth {ragged[0]} one has {ragged[1]} "
            f"entries, another {ragged[2]}; pad them, or keep a list of tensors"
        ) from error


def _checked(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """An array of numbers in the machine's byte order, as a plain ndarray."""
    if array.dtype.kind not in "biufc":
        raise TypeError(f"a tensor holds numbers, not {array.dtype}: {array!r:.60}")
    return dtypes.native(array)


_KINDS: dict[type, Any] = {bool: dtypes.bool, int: dtypes.int64}


def _dtype_of_sequence(data: Any) -> np.dtype[Any] | None:
    """The dtype that holds every entry of nested sequences of Python numbers, NumPy scalars, arrays and Tensors.

    None where NumPy is to decide: for what is no number and no sequence of ours.
    """
    kinds: set[Any] = set()
    pending = [data]
    while pending:
        item = pending.pop()
        if isinstance(item, (list, tuple)):
            plain = set(map(type, item))  # one pass without Python code: most sequences hold one type of number
            if plain <= {float, int, bool, complex}:
                kinds |= plain
            else:
                pending += item
        elif isinstance(item, (np.ndarray, np.generic, Tensor)):
            kinds.add(item.dtype)
        elif isinstance(item, (float, int, complex)):
            kinds.add(next(k for k in (bool, int, float, complex) if isinstance(item, k)))
        else:
            return np.asarray(item).dtype if hasattr(item, "__array__") else None
    if not kinds:
        return dtypes.get_default_dtype()
    floats = {float: dtypes.get_default_dtype(), complex: np.result_type(dtypes.get_default_dtype(), np.complex64)}
    return functools.reduce(dtypes.promote_types, [_KINDS.get(k) or floats.get(k) or k for k in kinds])


def _without_tensors(data: Any) -> Any:
    if isinstance(data, Variable):
        return data.array
    if isinstance(data, (list, tuple)) and not set(map(type, data)) <= {float, int, bool}:
        return [_without_tensors(d) for d in data]
    return data


def _ragged(data: Any) -> tuple[int, int, int] | None:
    """Depth and two lengths where nested sequences disagree."""
    level, depth = [data], 0
    while level:
        lengths = [len(item) if isinstance(item, (list, tuple)) or np.ndim(item) else 0 for item in level]
        if len(set(lengths)) > 1:
            return depth, lengths[0], next(n for n in lengths if n != lengths[0])
        level = [d for item in level if isinstance(item, (list, tuple)) or np.ndim(item) for d in item]
        depth += 1
    return None


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """A Tensor of some data, without a copy where that is possible.

    A Tensor of the right dtype is returned as it is, of another dtype converted, differentiably; an ndarray's memory is
    shared; other data are copied, see `tensor`.
    """
    if device is not None:
        on_cpu(device)
    if isinstance(data, Tensor):
        converted: Tensor = data if dtype is None else data.astype(dtypes.of(dtype))
        return converted
    if isinstance(data, np.ndarray):
        array = _checked(np.asarray(data))
        return _finish(array if dtype is None else array.astype(dtypes.of(dtype), copy=False), False)
    return tensor(data, dtype=dtype)


def from_numpy(array: np.ndarray[Any, Any]) -> Tensor:
    """A Tensor that shares the memory of an ndarray: what changes one changes the other.

    Raises
    ------
    TypeError
        It is not an ndarray, or not one of numbers.
    ValueError
        Its bytes are in the other order than the machine's, so that they cannot be shared.
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy takes an ndarray, not {type(array).__name__}")
    if not array.dtype.isnative:
        raise ValueError(
            f"from_numpy cannot share the memory of {array.dtype}, whose bytes are in the other order: use tensor(), "
            "which copies"
        )
    return _finish(_checked(np.asarray(array)), False)


def asarray(obj: Any, *, dtype: Any = None, device: Any = None, copy: bool | None = None, **options: Any) -> Tensor:
    """`as_tensor`, or with ``copy=True`` `tensor`; options as of `tensor`."""
    if copy or options:
        return tensor(obj, dtype=dtype, device=device, **options)
    return as_tensor(obj, dtype, device)


def scalar_tensor(value: Any, **options: Any) -> Tensor:
    """A tensor without axes, of a number, in the default dtype; options as of `full`."""
    return full((), value, **{"dtype": dtypes.get_default_dtype(), **options})


def from_dlpack(ext_tensor: Any) -> Tensor:
    """A Tensor that shares the memory of another library's array, by the protocol DLPack."""
    return from_numpy(np.from_dlpack(ext_tensor))


class _OfDtype(type):
    """What makes ``FloatTensor`` and its like: called it makes Tensors, asked it says which Tensors have its dtype."""

    dtype: Any

    def __call__(cls, *data: Any) -> Any:
        return wrap(array_given(data, cls.dtype))

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor) and instance.dtype == cls.dtype


FloatTensor, DoubleTensor, HalfTensor, CharTensor, ShortTensor, IntTensor, LongTensor, ByteTensor, BoolTensor = (
    _OfDtype(f"{dtypes.legacy_name(dtype)[6:]}", (), {
        "dtype": dtype, "__module__": __name__,
        "__doc__": f"Makes Tensors of {dtype}: ``(2, 3)`` of that shape, ``([1, 2])`` with these entries; as `Tensor`.",
    })
    for dtype in (
        dtypes.float32, dtypes.float64, dtypes.float16, dtypes.int8, dtypes.int16, dtypes.int32, dtypes.int64,
        dtypes.uint8, dtypes.bool,
    )
)  # fmt: skip


# ------------------------------------------------------------------------------------------------ filled


@public()
def zeros(*sizes: Any, size: Any = None, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """Zeros of a shape, in the default dtype.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> tj.zeros(2, 3).shape == tj.zeros((2, 3)).shape == (2, 3)
    True
    """
    return _finish(np.zeros(_shape(sizes, size), _dtype(dtype)), requires_grad, device)


@public()
def ones(*sizes: Any, size: Any = None, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """Ones of a shape, in the default dtype."""
    return _finish(np.ones(_shape(sizes, size), _dtype(dtype)), requires_grad, device)


@public()
def empty(*sizes: Any, size: Any = None, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """A tensor of a shape whose entries are whatever was in the memory: to be filled."""
    return _finish(np.empty(_shape(sizes, size), _dtype(dtype)), requires_grad, device)


@public()
def full(size: Any, fill_value: Any, *, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """One value, repeated; without ``dtype`` in that of the value: a float in the default dtype, an int in int64.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> tj.full((2,), 7)
    tensor([7, 7])
    """
    value = tensor(fill_value, dtype=dtype).array
    if value.ndim:
        raise ShapeError(f"full takes one value, not an array of shape {value.shape}")
    return _finish(np.full(_shape((size,), None), value), requires_grad, device)


@public()
def zeros_like(x: Any, *, dtype: Any = None, **options: Any) -> Tensor:
    """Zeros in the shape and the dtype of another tensor; options as of `zeros`."""
    return zeros(x.shape, dtype=dtype or x.dtype, **options)


@public()
def ones_like(x: Any, *, dtype: Any = None, **options: Any) -> Tensor:
    """Ones in the shape and the dtype of another tensor; options as of `ones`."""
    return ones(x.shape, dtype=dtype or x.dtype, **options)


@public()
def empty_like(x: Any, *, dtype: Any = None, **options: Any) -> Tensor:
    """A tensor to be filled, of the shape and the dtype of another; options as of `empty`."""
    return empty(x.shape, dtype=dtype or x.dtype, **options)


@public()
def full_like(x: Any, fill_value: Any, *, dtype: Any = None, **options: Any) -> Tensor:
    """One value in the shape and the dtype of another tensor; options as of `full`."""
    return full(x.shape, fill_value, dtype=dtype or x.dtype, **options)


@public()
def eye(n: int, m: int | None = None, *, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """The identity matrix of n rows, and m columns if they are not as many."""
    rows, columns = _shape((n, n if m is None else m), None)
    return _finish(np.eye(rows, columns, dtype=_dtype(dtype)), requires_grad, device)


def tril_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Rows and columns of the entries on and below a diagonal of a matrix: an array (2, count)."""
    return _indices(np.tri(row, col, offset, dtype=bool), dtype, device)


def triu_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None) -> Tensor:
    """Rows and columns of the entries on and above a diagonal of a matrix: an array (2, count)."""
    return _indices(~np.tri(row, col, offset - 1, dtype=bool), dtype, device)


def _indices(where: Any, dtype: Any, device: Any) -> Tensor:
    return _finish(np.stack(np.nonzero(where)).astype(dtypes.int64 if dtype is None else _dtype(dtype)), False, device)


# ------------------------------------------------------------------------------------------------ in ranges


def _number(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


@public()
def arange(
    start: Any, end: Any = None, step: Any = 1, *, dtype: Any = None, requires_grad: bool = False, device: Any = None
) -> Tensor:
    """``start, start + step, …`` up to and without ``end``; ``arange(end)`` starts at 0.

    Of ints int64, of floats the default dtype.

    Raises
    ------
    ValueError
        The step is 0, or leads away from the end.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> tj.arange(3)
    tensor([0, 1, 2])
    >>> tj.arange(1, 2, 0.25)
    tensor([1.0000, 1.2500, 1.5000, 1.7500])
    """
    start, end, step = (_number(v) for v in ((0, start, step) if end is None else (start, end, step)))
    if not all(map(math.isfinite, (start, end, step))) or step == 0 or (end - start) * step < 0:
        raise ValueError(f"arange: no steps of {step} lead from {start} to {end}")
    if dtype is None and not any(isinstance(v, float) for v in (start, end, step)):
        dtype = dtypes.int64
    # The count by integers where they are integers, and entries by multiplication: sums of steps would drift.
    count = -((start - end) // step) if isinstance(start - end, int) and isinstance(step, int) else (end - start) / step
    return _finish((start + step * np.arange(math.ceil(count))).astype(_dtype(dtype)), requires_grad, device)


@public()
def linspace(
    start: Any, end: Any, steps: int, *, dtype: Any = None, requires_grad: bool = False, device: Any = None
) -> Tensor:
    """``steps`` numbers from ``start`` to ``end``, both included, at equal distances.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> tj.linspace(0, 1, 5)
    tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    """
    start, end, count = float(_number(start)), float(_number(end)), operator.index(steps)
    if count < 0:
        raise ValueError(f"linspace: the number of steps must not be negative, as {steps} is")
    # From the nearer end, as PyTorch does, so that both ends are exact and the middle is symmetric.
    step, k = (end - start) / max(count - 1, 1), np.arange(count)
    spaced = np.where((k < count // 2) | (count == 1), start + step * k, end - step * (count - 1 - k))
    return _finish(spaced.astype(_dtype(dtype)), requires_grad, device)


@public()
def logspace(start: Any, end: Any, steps: int, base: float = 10.0, *, dtype: Any = None, **options: Any) -> Tensor:
    """``base`` to the powers of `linspace`: ``steps`` numbers from ``base**start`` to ``base**end`` at equal ratios."""
    powers = base ** linspace(start, end, steps, dtype=dtypes.float64).array
    return tensor(powers, dtype=_dtype(dtype), **options)


# ------------------------------------------------------------------------------------------------ at random


def _drawn(
    fill: Any, shape: tuple[int, ...], dtype: Any, requires_grad: bool, device: Any, generator: Any, out: Any = None
) -> Tensor:
    if out is None:
        array = np.empty(shape, _dtype(dtype))
        fill(array, generator=generator)
        return _finish(array, requires_grad, device)
    if out.shape != shape:
        raise ShapeError(f"out= has shape {out.shape}, the numbers asked for {shape}")
    if out.requires_grad and mode.recording:
        raise GradientError("out= requires a gradient, which random numbers do not have: detach() it, or use no_grad()")
    fill(out.array, generator=generator)
    mark_changed(out.array)
    filled: Tensor = out
    return filled


def rand(
    *sizes: Any,
    size: Any = None,
    generator: Any = None,
    out: Any = None,
    dtype: Any = None,
    requires_grad: bool = False,
    device: Any = None,
) -> Tensor:
    """Random numbers, evenly from [0, 1).

    Parameters
    ----------
    out : Tensor, optional
        Where to write them, instead of a new tensor.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> x = tj.rand(1000)
    >>> bool(((x >= 0) & (x < 1)).all())
    True
    """
    return _drawn(random.fill_uniform, _shape(sizes, size), dtype, requires_grad, device, generator, out)


def randn(
    *sizes: Any,
    size: Any = None,
    generator: Any = None,
    out: Any = None,
    dtype: Any = None,
    requires_grad: bool = False,
    device: Any = None,
) -> Tensor:
    """Random numbers of the normal distribution with mean 0 and variance 1; options as of `rand`."""
    return _drawn(random.fill_normal, _shape(sizes, size), dtype, requires_grad, device, generator, out)


@public()
def rand_like(x: Any, *, dtype: Any = None, **options: Any) -> Tensor:
    """`rand` in the shape and the dtype of another tensor."""
    return rand(x.shape, dtype=dtype or x.dtype, **options)


@public()
def randn_like(x: Any, *, dtype: Any = None, **options: Any) -> Tensor:
    """`randn` in the shape and the dtype of another tensor."""
    return randn(x.shape, dtype=dtype or x.dtype, **options)


@public()
def randint(
    *bounds: Any,
    low: Any = None,
    high: Any = None,
    size: Any = None,
    generator: Any = None,
    dtype: Any = None,
    requires_grad: bool = False,
    device: Any = None,
) -> Tensor:
    """Random integers, evenly from low (0) to high - 1: ``randint(high, size)`` or ``randint(low, high, size)``.

    Raises
    ------
    TypeError
        An argument is missing, or one too many.
    ValueError
        There is no integer from ``low`` to ``high - 1``.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> x = tj.randint(1, 7, (1000,))
    >>> x.dtype, sorted(set(x.tolist()))
    (dtype('int64'), [1, 2, 3, 4, 5, 6])
    """
    given = list(bounds)
    if size is None and given:
        size = given.pop()
    if high is None and given:
        high = given.pop()
    if low is None and given:
        low = given.pop()
    if given or high is None or size is None:
        raise TypeError("randint takes high and size, or low, high and size")
    low, high = operator.index(_number(0 if low is None else low)), operator.index(_number(high))
    fill = functools.partial(random.fill_integers, low=low, high=high)
    return _drawn(
        fill, _shape((size,), None), dtypes.int64 if dtype is None else dtype, requires_grad, device, generator
    )


@public()
def randperm(
    n: int, *, generator: Any = None, dtype: Any = None, requires_grad: bool = False, device: Any = None
) -> Tensor:
    """The integers from 0 to n - 1 in a random order."""
    order = random.numpy_generator(generator).permutation(_shape((n,), None)[0])
    return _finish(order.astype(dtypes.int64 if dtype is None else dtypes.of(dtype)), requires_grad, device)


@public()
def randint_like(x: Any, *bounds: Any, dtype: Any = None, **options: Any) -> Tensor:
    """`randint` in the shape and the dtype of another tensor: ``randint_like(x, high)`` or ``(x, low, high)``."""
    return randint(*bounds, size=x.shape, dtype=dtype or x.dtype, **options)


@public()
def normal(
    mean: Any = 0.0,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Any = None,
    dtype: Any = None,
    requires_grad: bool = False,
    device: Any = None,
) -> Tensor:
    """Random numbers of normal distributions, whose means and standard deviations may be given entry by entry.

    Parameters
    ----------
    mean, std : float or Tensor
        They broadcast against each other.
    size : sequence of int
        The shape, where both are numbers.

    Raises
    ------
    ValueError
        A standard deviation is negative, or the shape is not known.
    """
    mean, std = (v.array if isinstance(v, Variable) else v for v in (mean, std))
    if not np.all(np.asarray(std) >= 0):
        raise ValueError("normal numbers need std >= 0 everywhere")
    arrays = [v for v in (mean, std) if isinstance(v, np.ndarray)]
    if size is None and not arrays:
        raise ValueError("normal needs a size where mean and std are numbers")
    shape = np.broadcast_shapes(*(a.shape for a in arrays)) if size is None else _shape((size,), None)
    dtype = np.result_type(*arrays) if dtype is None and arrays else _dtype(dtype)
    drawn = _drawn(random.fill_normal, shape, dtype, False, device, generator).array
    return _finish((drawn * std + mean).astype(dtype, copy=False), requires_grad)


@public()
def bernoulli(x: Any, p: Any = None, *, generator: Any = None) -> Tensor:
    """1 where an event happens, 0 where it does not, in the dtype of ``x``; the probabilities are ``x``, or ``p``.

    Raises
    ------
    ValueError
        A probability is not within [0, 1].

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> tj.bernoulli(tj.tensor([0.0, 1.0]))
    tensor([0., 1.])
    """
    given = x if p is None else p
    values = given.array if isinstance(given, Variable) else given
    fill = functools.partial(random.fill_bernoulli, p=values)
    return _drawn(fill, x.shape, x.dtype, False, None, generator)


@public()
def multinomial(x: Any, num_samples: int, replacement: bool = False, *, generator: Any = None) -> Tensor:
    """Random indices, drawn as often as the weights in ``x`` say.

    Parameters
    ----------
    x : array of shape (n,) or (rows, n)
        Weights of 0 to n - 1, which need not add up to 1.
    num_samples : int
        How many are drawn for each row.
    replacement : bool
        Whether an index may be drawn again.

    Returns
    -------
    int64 Tensor of shape (num_samples,) or (rows, num_samples)

    Raises
    ------
    ShapeError
        ``x`` has no axis, or more than two.
    ValueError
        Weights are negative, not finite or all 0, or fewer are positive than are to be drawn without replacement.

    Notes
    -----
    With replacement by inverting the cumulative distribution. Without, the ``num_samples`` smallest of e / w, e being
    exponentially distributed: the time at which an event of rate w happens first (Efraimidis and Spirakis, 2006).
    """
    weights = np.asarray(x.array if isinstance(x, Variable) else x, dtype=np.float64)
    count = operator.index(num_samples)
    if weights.ndim not in (1, 2):
        raise ShapeError(f"multinomial takes weights of one or two axes, not of shape {weights.shape}")
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise ValueError("multinomial: weights must be finite and not negative")
    possible = int(np.count_nonzero(weights, axis=-1).min(initial=weights.shape[-1]))
    if count < 1 or possible < 1 or (count > possible and not replacement):
        raise ValueError(
            f"multinomial: cannot draw {count} of weights of which {possible} are positive"
            + ("" if replacement or possible < 1 else "; with replacement=True an index may be drawn again")
        )
    source = random.numpy_generator(generator)
    if replacement:
        rising = np.cumsum(weights, axis=-1).reshape(-1, weights.shape[-1])
        drawn = source.random((len(rising), count)) * rising[:, -1:]
        found = np.stack([np.searchsorted(row, u, side="right") for row, u in zip(rising, drawn, strict=True)])
        # Rounding may bring a number up to the last sum itself: it belongs to the last positive weight.
        last = weights.shape[-1] - 1 - np.argmax(weights.reshape(rising.shape)[:, ::-1] > 0, axis=-1)
        index = np.minimum(found, last[:, None]).reshape(*weights.shape[:-1], count)
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            times = source.standard_exponential(weights.shape) / weights
        index = np.argsort(times, axis=-1)[..., :count]
    return _finish(index.astype(np.int64), False)


def _bernoulli(self: Tensor, p: Any = None, *, generator: Any = None) -> Tensor:
    """`bernoulli`, drawn for each entry."""
    return bernoulli(self, None if p is None else np.broadcast_to(p, self.shape), generator=generator)


setattr(Tensor, "bernoulli", _bernoulli)  # noqa: B010, methods of which Tensor's own module knows nothing
setattr(Tensor, "multinomial", multinomial)  # noqa: B010
