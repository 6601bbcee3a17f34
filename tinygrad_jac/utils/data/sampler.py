"""Samplers: the order in which the samples of a data set are taken, one by one or in batches."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any, Generic, TypeVar

import numpy as np

from ...random import numpy_generator

T_co = TypeVar("T_co", covariant=True)

BLOCK = 4096  # indices that are drawn, or become Python ints, at a time
LAZY_FROM = 1 << 24  # data sets of more samples are shuffled without holding the whole order (128 MB) in memory


class Sampler(Generic[T_co]):
    """The base of samplers: a subclass states ``__iter__``, which gives indices or lists of them."""

    def __init__(self, data_source: Any = None) -> None:
        pass

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__} does not state __iter__(self)")


class SequentialSampler(Sampler[int]):
    """The samples in their order."""

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """The samples in a random order, a new one in each pass.

    Parameters
    ----------
    data_source : sized
    replacement : bool
        Draw each sample independently of the others, so that some come several times.
    num_samples : int, optional
        How many are taken; as many as there are by default.
    generator : Generator, optional

    Notes
    -----
    Nothing of the size of the data set is held where that is huge: its order is then computed entry by entry.
    """

    def __init__(
        self, data_source: Sized, replacement: bool = False, num_samples: int | None = None, generator: Any = None
    ) -> None:
        if not isinstance(replacement, bool):
            raise TypeError(f"replacement should be a boolean value, but got replacement={replacement}")
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator
        _check_positive("num_samples", self.num_samples)

    @property
    def num_samples(self) -> int:
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        random, n, count = numpy_generator(self.generator), len(self.data_source), self.num_samples
        if self.replacement:
            for start in range(0, count, BLOCK):
                yield from random.integers(n, size=min(BLOCK, count - start)).tolist()
            return
        for start in range(0, count, n):
            yield from itertools.islice(_shuffled(n, random), count - start)

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """Given indices in a random order, a new one in each pass."""

    def __init__(self, indices: Sequence[int], generator: Any = None) -> None:
        self.indices = indices
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        return (self.indices[k] for k in _shuffled(len(self.indices), numpy_generator(self.generator)))

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """Samples drawn with given probabilities.

    Parameters
    ----------
    weights : sequence of float
        For each sample of the data set how often it is to come in comparison; they need not sum to 1.
    num_samples : int
    replacement : bool
    generator : Generator, optional

    Raises
    ------
    ValueError
        The weights are not one row of numbers >= 0, not all of them 0, or ``num_samples`` is not positive.
    """

    def __init__(
        self, weights: Sequence[float], num_samples: int, replacement: bool = True, generator: Any = None
    ) -> None:
        _check_positive("num_samples", num_samples)
        if not isinstance(replacement, bool):
            raise ValueError(f"replacement should be a boolean value, but got replacement={replacement}")
        self.weights = np.array(weights, dtype=np.float64)
        if self.weights.ndim != 1:
            raise ValueError(f"weights should be a 1d sequence but given weights have shape {self.weights.shape}")
        if not ((self.weights >= 0).all() and 0 < self.weights.sum() < np.inf):
            raise ValueError("weights must be finite and not negative, and one of them positive")
        if not replacement and np.count_nonzero(self.weights) < num_samples:
            raise ValueError(
                f"{num_samples} samples cannot be drawn without replacement: only {np.count_nonzero(self.weights)} "
                "weights are positive"
            )
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        chances = self.weights / self.weights.sum()
        drawn = numpy_generator(self.generator).choice(
            len(chances), size=self.num_samples, replace=self.replacement, p=chances
        )
        return iter(drawn.tolist())

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """The indices of another sampler in lists.

    Parameters
    ----------
    sampler : iterable of int
    batch_size : int
    drop_last : bool
        Leave out the last list where it would be shorter than the others.

    Examples
    --------
    >>> list(BatchSampler(SequentialSampler(range(5)), batch_size=2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        _check_positive("batch_size", batch_size)
        if not isinstance(drop_last, bool):
            raise ValueError(f"drop_last should be a boolean value, but got drop_last={drop_last}")
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        indices = iter(self.sampler)
        while batch := list(itertools.islice(indices, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self) -> int:
        full, rest = divmod(len(self.sampler), self.batch_size)  # type: ignore[arg-type]
        return full + (rest > 0 and not self.drop_last)


def _check_positive(name: str, value: Any) -> None:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value <= 0:
        raise ValueError(f"{name} should be a positive integer value, but got {name}={value}")


def _shuffled(n: int, random: np.random.Generator) -> Iterator[int]:
    """range(n) in a random order, as Python ints."""
    at = random.permutation(n).__getitem__ if n <= LAZY_FROM else _scatter(n, random)
    for start in range(0, n, BLOCK):
        yield from at(np.arange(start, min(start + BLOCK, n), dtype=np.uint64)).tolist()


def _scatter(n: int, random: np.random.Generator) -> Any:
    """A random permutation of range(n) as a function of the position: nothing of size n is held.

    A Feistel network permutes the numbers of 2·h bits, the fewest that hold range(n): it cuts a number in two halves
    (l, r) and takes them to (r, l ⊕ f(r)), which can be undone whatever f is; some rounds with random keys in f make it
    as good as random (Luby and Rackoff, 1988). A number that lands beyond n is sent on until one is within (Black and
    Rogaway's cycle walking, 2002), which keeps it a permutation.
    """
    half = np.uint64(max(1, -(-(n - 1).bit_length() // 2)))
    low = np.uint64((1 << int(half)) - 1)
    keys = random.integers(1 << 63, size=8, dtype=np.uint64)
    stir, shift = np.uint64(0x9E3779B97F4A7C15), np.uint64(29)

    def once(x: Any) -> Any:
        left, right = x >> half, x & low
        for key in keys:
            mixed = (right ^ key) * stir  # of uint64: modulo 2⁶⁴
            mixed = (mixed ^ (mixed >> shift)) * stir
            left, right = right, left ^ ((mixed >> np.uint64(32)) & low)
        return (left << half) | right

    def scattered(x: Any) -> Any:
        x = once(x)
        while (beyond := x >= n).any():
            x[beyond] = once(x[beyond])
        return x

    return scattered
