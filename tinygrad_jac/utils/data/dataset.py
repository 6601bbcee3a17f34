"""Data sets: what gives a sample for an index, or samples one after another."""

from __future__ import annotations

import bisect
import itertools
import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from ...creation import as_tensor
from ...errors import ShapeError
from ...random import numpy_generator

T_co = TypeVar("T_co", covariant=True)


class Dataset(Generic[T_co]):
    """The base of data sets that have an index: a subclass states ``__getitem__``, and mostly ``__len__``."""

    def __getitem__(self, index: Any) -> T_co:
        raise NotImplementedError(f"{type(self).__name__} does not state __getitem__(self, index)")

    def __add__(self, other: Any) -> Any:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T_co]):
    """The base of data sets that can only be gone through: a subclass states ``__iter__``."""

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__} does not state __iter__(self)")

    def __add__(self, other: Any) -> Any:
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple[Any, ...]]):
    """Tensors whose first axis counts the samples; a sample is the tuple of their entries there.

    Parameters
    ----------
    *tensors : Tensor or ndarray of shape (n, …)

    Raises
    ------
    ShapeError
        They are of different lengths.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> dataset = TensorDataset(tj.ones(3, 2), tj.tensor([7, 8, 9]))
    >>> len(dataset), dataset[1]
    (3, (tensor([1., 1.]), tensor(8)))
    """

    def __init__(self, *tensors: Any) -> None:
        self.tensors = tuple(as_tensor(t) for t in tensors)
        if not tensors or any(t.ndim == 0 or t.shape[0] != self.tensors[0].shape[0] for t in self.tensors):
            shapes = ", ".join(str(t.shape) for t in self.tensors)
            raise ShapeError(
                f"Size mismatch between tensors: the first sizes must be one number, the shapes are {shapes}"
            )

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        return tuple(t[index] for t in self.tensors)

    def __len__(self) -> int:
        return int(self.tensors[0].shape[0])


class Subset(Dataset[T_co]):
    """Some samples of another data set, by their indices."""

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)


class StackDataset(Dataset[T_co]):
    """Data sets of one length side by side: a sample is the tuple of their samples, or the dict where they have names.

    Parameters
    ----------
    *args : Dataset
    **kwargs : Dataset
        One of the two.

    Raises
    ------
    ValueError
        None are given, both ways are used, or lengths differ.

    Examples
    --------
    >>> pairs = StackDataset(numbers=range(3), squares=[0, 1, 4])
    >>> pairs[2]
    {'numbers': 2, 'squares': 4}
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if bool(args) == bool(kwargs):
            raise ValueError("StackDataset takes data sets either by position or by name, and one of them at least")
        self.datasets: Any = args or kwargs
        lengths = [len(d) for d in args or kwargs.values()]
        if len(set(lengths)) > 1:
            raise ValueError(f"Size mismatch between datasets: the lengths are {lengths}")
        self._length = lengths[0]

    def __getitem__(self, index: Any) -> Any:
        if isinstance(self.datasets, dict):
            return {name: dataset[index] for name, dataset in self.datasets.items()}
        return tuple(dataset[index] for dataset in self.datasets)

    def __len__(self) -> int:
        return self._length


class ConcatDataset(Dataset[T_co]):
    """Data sets one after another, under one index.

    Raises
    ------
    ValueError
        There are none, or one of them has no index.
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("datasets should not be an empty iterable")
        if any(isinstance(d, IterableDataset) for d in self.datasets):
            raise ValueError("ConcatDataset does not support IterableDataset: add them up instead, which chains them")
        self.cumulative_sizes = list(itertools.accumulate(len(d) for d in self.datasets))

    def __getitem__(self, index: int) -> Any:
        position = index + len(self) if index < 0 else index
        if not 0 <= position < len(self):
            raise IndexError(f"index {index} is out of range for a data set of {len(self)} samples")
        k = bisect.bisect_right(self.cumulative_sizes, position)
        return self.datasets[k][position - (self.cumulative_sizes[k - 1] if k else 0)]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


class ChainDataset(IterableDataset[T_co]):
    """Iterable data sets one after another."""

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = datasets

    def __iter__(self) -> Iterator[T_co]:
        return itertools.chain.from_iterable(self.datasets)

    def __len__(self) -> int:
        return sum(len(d) for d in self.datasets)


def random_split(dataset: Any, lengths: Sequence[float], generator: Any = None) -> list[Subset[Any]]:
    """Divide a data set at random into parts that have no sample in common.

    Parameters
    ----------
    dataset : Dataset
    lengths : sequence of int, or of float that sum to 1
        Numbers of samples, or fractions; what fractions leave over goes to the first parts, one sample each.
    generator : Generator, optional
        For a division that can be repeated.

    Raises
    ------
    ValueError
        The lengths do not add up to the data set's.

    Examples
    --------
    >>> [len(part) for part in random_split(range(10), [0.75, 0.25])]
    [8, 2]
    """
    size = len(dataset)
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1:
        if any(not 0 <= fraction <= 1 for fraction in lengths):
            raise ValueError(f"each fraction must be between 0 and 1, not {list(lengths)}")
        sizes = [math.floor(size * fraction) for fraction in lengths]
        for k in range(size - sum(sizes)):
            sizes[k % len(sizes)] += 1
        for k, n in enumerate(sizes):
            if n == 0:
                warnings.warn(
                    f"Length of split at index {k} is 0. This might result in an empty dataset.", stacklevel=2
                )
    else:
        sizes = [int(n) for n in lengths]
    if sum(sizes) != size:
        raise ValueError(
            f"Sum of input lengths does not equal the length of the input dataset: {sum(sizes)} instead of {size}"
        )
    order = numpy_generator(generator).permutation(size)
    return [Subset(dataset, part.tolist()) for part in np.split(order, np.cumsum(sizes)[:-1])]
