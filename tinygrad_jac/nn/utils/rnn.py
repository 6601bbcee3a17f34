"""Sequences of different lengths in one array: padded to one length, or packed without the padding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...errors import ShapeError
from ...graph import array_of, wrap
from ...rules.joining import pad as _padded
from ...rules.joining import stack


class _Packed(NamedTuple):
    data: Any
    batch_sizes: Any
    sorted_indices: Any = None
    unsorted_indices: Any = None


class PackedSequence(_Packed):
    """Sequences of different lengths, entry by entry: the first entries of all, then the second ones, and so on.

    The sequences are sorted by length, the longest first, so that those that are still going on at some time are the
    first ones. Made by `pack_padded_sequence` and `pack_sequence`; recurrent layers take it and return one.

    Parameters
    ----------
    data : Tensor of shape (sum of the lengths, ...)
    batch_sizes : Tensor of int64
        How many sequences have a first entry, a second one, and so on.
    sorted_indices, unsorted_indices : Tensor of int64, optional
        Which of the sequences given stands where, and where each of them is found; None if they were sorted.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> packed = pack_sequence([tj.tensor([1.0, 2.0, 3.0]), tj.tensor([4.0])])
    >>> packed.data, packed.batch_sizes
    (tensor([1., 4., 2., 3.]), tensor([2, 1, 1]))
    """

    def __new__(
        cls, data: Any, batch_sizes: Any = None, sorted_indices: Any = None, unsorted_indices: Any = None
    ) -> PackedSequence:
        if batch_sizes is None:
            data, batch_sizes = data
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The same with data of another dtype (or device; there is only one)."""
        return self._replace(data=self.data.to(*args, **kwargs))

    def double(self) -> PackedSequence:
        return self.to(np.float64)

    def float(self) -> PackedSequence:
        return self.to(np.float32)

    def long(self) -> PackedSequence:
        return self.to(np.int64)

    def cpu(self) -> PackedSequence:
        return self

    def pin_memory(self) -> PackedSequence:
        return self

    @property
    def is_cuda(self) -> bool:
        return False


def invert_permutation(permutation: Any) -> Any:
    """The permutation that undoes another; None for none."""
    return None if permutation is None else wrap(np.argsort(array_of(permutation), kind="stable"))


def rows_of(sizes: np.ndarray[Any, Any], batch: int) -> np.ndarray[Any, Any]:
    """In which row of the packed data the entry of each (time, sequence) is; one row beyond where there is none."""
    numbers = np.arange(batch)
    starts = np.cumsum(sizes) - sizes
    return np.where(numbers < sizes[:, None], starts[:, None] + numbers, sizes.sum())


def spread(data: Any, sizes: np.ndarray[Any, Any], batch: int, value: float = 0.0) -> Any:
    """Packed data, (sum of the sizes, ...), as (times, batch, ...) with a value where there is nothing."""
    one_more = ((0, 1), *((0, 0),) * (data.ndim - 1))
    return _padded(data, one_more, value=value)[rows_of(sizes, batch)]


def gathered(padded: Any, sizes: np.ndarray[Any, Any]) -> Any:
    """The inverse of `spread`: (times, batch, ...) as packed data."""
    return padded[: len(sizes)][np.arange(padded.shape[1]) < sizes[:, None]]


def pack_padded_sequence(
    input: Any, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Padded sequences without their padding.

    Parameters
    ----------
    input : Tensor of shape (times, batch, ...), or (batch, times, ...) with ``batch_first``
    lengths : sequence of int, or Tensor
        Of the sequences; what is after is left out.
    batch_first : bool
    enforce_sorted : bool
        Whether they must be sorted, the longest first; otherwise that is done here.

    Raises
    ------
    ShapeError
        There is not one length for each sequence.
    ValueError
        A length is not positive or larger than the array has it; or the lengths are not sorted, and should be.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> x = tj.tensor([[1, 2, 0], [3, 0, 0], [4, 5, 6]])
    >>> packed = pack_padded_sequence(x, [2, 1, 3], batch_first=True, enforce_sorted=False)
    >>> packed.data, packed.sorted_indices
    (tensor([4, 1, 3, 5, 2, 6]), tensor([2, 0, 1]))
    """
    if input.ndim < 2:
        raise ShapeError(f"pack_padded_sequence takes an array of two axes at least, not of shape {input.shape}")
    if batch_first:
        input = input.transpose(0, 1)
    times, batch = input.shape[:2]
    counts = np.asarray(array_of(lengths), dtype=np.int64)
    if counts.shape != (batch,):
        raise ShapeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {counts.size} (batch_size={batch})"
        )
    if (counts <= 0).any():
        raise ValueError(f"Length of all samples has to be greater than 0, but found {counts.min()} in 'lengths'")
    if counts.max(initial=0) > times:
        raise ValueError(f"Expected lengths of at most {times}, the size of the input, but got {counts.max()}")
    order = None
    if not enforce_sorted:
        order = np.argsort(-counts, kind="stable")
        counts, input = counts[order], input[:, order]
    elif (np.diff(counts) > 0).any():
        raise ValueError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass "
            "`enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement"
        )
    sizes = (counts > np.arange(counts.max(initial=0))[:, None]).sum(axis=1)
    return PackedSequence(gathered(input, sizes), wrap(sizes), None if order is None else wrap(order))


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Any, Any]:
    """The inverse of `pack_padded_sequence`.

    Parameters
    ----------
    sequence : PackedSequence
    batch_first : bool
    padding_value : float
    total_length : int, optional
        To which length the sequences are padded; by default that of the longest.

    Returns
    -------
    (Tensor of shape (times, batch, ...) or (batch, times, ...), Tensor of the lengths)
        In the order in which the sequences were given before they were packed.

    Raises
    ------
    ValueError
        A sequence is longer than ``total_length``.
    """
    sizes = np.asarray(array_of(sequence.batch_sizes))
    longest = len(sizes)
    if total_length is not None and total_length < longest:
        raise ValueError(
            "Expected total_length to be at least the length of the longest sequence in input, but got "
            f"total_length={total_length} and max sequence length being {longest}"
        )
    more = np.zeros((total_length or longest) - longest, dtype=np.int64)
    batch = int(sizes[0])
    padded = spread(sequence.data, np.concatenate([sizes, more]), batch, padding_value)
    lengths = (np.arange(batch)[:, None] < sizes).sum(axis=1)
    if sequence.unsorted_indices is not None:
        order = array_of(sequence.unsorted_indices)
        padded, lengths = padded[:, order], lengths[order]
    return (padded.transpose(0, 1) if batch_first else padded), wrap(lengths)


def pad_sequence(
    sequences: Iterable[Any], batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Any:
    """Sequences of different lengths stacked, padded to the length of the longest.

    Parameters
    ----------
    sequences : Tensors of shape (length, ...)
    batch_first : bool
    padding_value : float
    padding_side : {"right", "left"}
        Whether the padding comes after or before.

    Returns
    -------
    Tensor of shape (times, batch, ...), or (batch, times, ...) with ``batch_first``

    Raises
    ------
    ValueError
        There are no sequences, or ``padding_side`` is neither.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> pad_sequence([tj.ones(3), tj.ones(1)], batch_first=True)
    tensor([[1., 1., 1.],
            [1., 0., 0.]])
    """
    if padding_side not in ("left", "right"):
        raise ValueError(f"Expected padding_side to be one of left or right, but got {padding_side}.")
    each: list[Any] = list(sequences)
    longest = max((len(x) for x in each), default=0)
    widths = [(longest - len(x), 0) if padding_side == "left" else (0, longest - len(x)) for x in each]
    padded = [_padded(x, (w, *((0, 0),) * (x.ndim - 1)), value=padding_value) for x, w in zip(each, widths)]
    return stack(padded, 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Any, lengths: Any, batch_first: bool = False) -> list[Any]:
    """The inverse of `pad_sequence`: a list of Tensors of the lengths given."""
    padded = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    return [x[: int(n)] for x, n in zip(padded, array_of(lengths), strict=True)]


def pack_sequence(sequences: Sequence[Any], enforce_sorted: bool = True) -> PackedSequence:
    """`pack_padded_sequence` of sequences that are not padded: a list of Tensors of shape (length, ...)."""
    return pack_padded_sequence(pad_sequence(sequences), [len(x) for x in sequences], enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Any]:
    """The inverse of `pack_sequence`."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
