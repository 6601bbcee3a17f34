"""`DataLoader`: batches of a data set, and how samples become a batch."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from ... import creation
from ...dtypes import float64
from ...graph import Variable, wrap
from ...rules.joining import stack
from .dataset import IterableDataset, Subset, TensorDataset
from .sampler import BatchSampler, RandomSampler, SequentialSampler

T_co = TypeVar("T_co", covariant=True)


def default_collate(batch: Sequence[Any]) -> Any:
    """A batch of a list of samples: what is a number or an array in a sample becomes a tensor with one more axis.

    Tensors and ndarrays are stacked, ints become int64 and floats float64 tensors, strings stay a list; in tuples,
    lists and mappings each place is collated for itself, and tuples become lists, as in PyTorch.

    Raises
    ------
    RuntimeError
        Samples are sequences of different lengths.
    ShapeError
        Tensors are of different shapes.
    TypeError
        A sample holds something else.

    Examples
    --------
    >>> default_collate([(0, 1.0), (2, 3.0)])
    [tensor([0, 2]), tensor([1., 3.], dtype=float64)]
    """
    first = batch[0]
    if isinstance(first, Variable):
        return stack(batch)
    if isinstance(first, np.ndarray) and first.dtype.kind in "biufc":
        return stack([creation.as_tensor(sample) for sample in batch])
    if isinstance(first, (np.bool_, np.number)):
        return wrap(np.array(batch))
    if isinstance(first, float):
        return creation.tensor(batch, dtype=float64)
    if isinstance(first, int):
        return creation.tensor(batch)
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Mapping):
        return _like_mapping(first, {key: default_collate([sample[key] for sample in batch]) for key in first})
    if isinstance(first, Sequence):
        if any(len(sample) != len(first) for sample in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        return _like_sequence(first, [default_collate(place) for place in zip(*batch)])
    found = first.dtype if isinstance(first, np.ndarray) else type(first)
    raise TypeError(
        f"default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {found}: give the "
        "DataLoader a collate_fn"
    )


def default_convert(data: Any) -> Any:
    """One sample as it is, its ndarrays and NumPy numbers as tensors: what a loader without batches gives."""
    if isinstance(data, (Variable, str, bytes)):
        return data
    if isinstance(data, (np.ndarray, np.bool_, np.number)):
        return data if data.dtype.kind not in "biufc" else creation.as_tensor(np.asarray(data))
    if isinstance(data, Mapping):
        return _like_mapping(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, Sequence):
        return _like_sequence(data, [default_convert(value) for value in data])
    return data


def _like_mapping(like: Mapping[Any, Any], entries: dict[Any, Any]) -> Any:
    """Entries in a mapping of the type of another, which may hold more than them (a ``defaultdict``)."""
    try:
        if isinstance(like, MutableMapping):
            made = copy.copy(like)
            made.update(entries)
            return made
        return type(like)(entries)  # type: ignore[call-arg]
    except TypeError:
        return entries


def _like_sequence(like: Sequence[Any], entries: list[Any]) -> Any:
    """Entries in a sequence of the type of another; plain tuples become lists, as in PyTorch."""
    if isinstance(like, tuple):
        return type(like)(*entries) if hasattr(like, "_fields") else entries
    try:
        if isinstance(like, MutableSequence):
            made = copy.copy(like)
            made[:] = entries
            return made
        return type(like)(entries)  # type: ignore[call-arg]
    except TypeError:
        return entries


class _Batches(Iterator[Any]):
    """One pass over a loader; its length is that of the whole pass, as in PyTorch."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self._loader = loader
        self._batches = loader._batches()

    def __next__(self) -> Any:
        return next(self._batches)

    def __len__(self) -> int:
        return len(self._loader)


class DataLoader(Generic[T_co]):
    """Goes through a data set in batches.

    Parameters
    ----------
    dataset : Dataset
        Anything with ``__getitem__`` and ``__len__``, or an `IterableDataset`.
    batch_size : int or None
        None gives the samples themselves, one by one.
    shuffle : bool, optional
        In a new random order each time.
    sampler : iterable of int, optional
        The order, in place of ``shuffle``.
    batch_sampler : iterable of list of int, optional
        The batches, in place of ``batch_size``, ``shuffle``, ``sampler`` and ``drop_last``.
    collate_fn : callable, optional
        Makes a batch of a list of samples; `default_collate` by default.
    drop_last : bool
        Leave out the last batch where it would be smaller than the others.
    generator : Generator, optional
        What ``shuffle`` draws from.
    num_workers, pin_memory, timeout, worker_init_fn, multiprocessing_context, prefetch_factor, persistent_workers, \
pin_memory_device, in_order : object
        Accepted as PyTorch's and without effect: samples are loaded in this process, into its memory.

    Raises
    ------
    ValueError
        Options exclude each other.

    Notes
    -----
    A batch of a `TensorDataset`, or of a `Subset` of one, is indexed as a whole: the same batch, many times faster.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> loader = DataLoader(TensorDataset(tj.ones(5, 2), tj.zeros(5)), batch_size=2)
    >>> [(x.shape, y.shape) for x, y in loader]
    [((2, 2), (2,)), ((2, 2), (2,)), ((1, 2), (1,))]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Any = None,
        batch_sampler: Any = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Any = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        if num_workers < 0:
            raise ValueError(f"num_workers option should be non-negative, not {num_workers}")
        if timeout < 0:
            raise ValueError(f"timeout option should be non-negative, not {timeout}")
        if num_workers == 0 and (prefetch_factor is not None or persistent_workers):
            raise ValueError("prefetch_factor and persistent_workers need num_workers > 0")
        if isinstance(dataset, IterableDataset):
            for name, given in (("shuffle", shuffle), ("sampler", sampler), ("batch_sampler", batch_sampler)):
                if given is not None and given is not False:
                    raise ValueError(
                        f"DataLoader with IterableDataset: expected unspecified {name} option, but got {name}={given}"
                    )
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last"
                )
            batch_size = None
        elif batch_size is None and drop_last:
            raise ValueError("batch_size=None option disables auto-batching and is mutually exclusive with drop_last")
        if not isinstance(dataset, IterableDataset):
            if sampler is None:
                sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
            if batch_sampler is None and batch_size is not None:
                batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.dataset = dataset
        self.batch_size = batch_size
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.drop_last = drop_last
        self.collate_fn = collate_fn or (default_convert if batch_size is batch_sampler is None else default_collate)
        self.generator = generator
        self.num_workers = num_workers
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.prefetch_factor = prefetch_factor
        self.persistent_workers = persistent_workers
        self.in_order = in_order

    def __iter__(self) -> Iterator[Any]:
        return _Batches(self)

    def _batches(self) -> Iterator[Any]:
        if isinstance(self.dataset, IterableDataset):
            return self._from_stream(iter(self.dataset))
        if self.batch_sampler is None:
            return (self.collate_fn(self.dataset[index]) for index in self.sampler)
        fetch = _whole_batches(self.dataset) if self.collate_fn is default_collate else None
        return map(fetch or self._fetch, self.batch_sampler)

    def _fetch(self, indices: list[int]) -> Any:
        """A batch sample by sample."""
        if hasattr(self.dataset, "__getitems__"):
            return self.collate_fn(self.dataset.__getitems__(indices))
        return self.collate_fn([self.dataset[index] for index in indices])

    def _from_stream(self, samples: Iterator[Any]) -> Iterator[Any]:
        if self.batch_size is None:
            yield from map(self.collate_fn, samples)
            return
        while batch := list(itertools.islice(samples, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield self.collate_fn(batch)

    def __len__(self) -> int:
        """The number of batches; an `IterableDataset` must know its own length for it."""
        if not isinstance(self.dataset, IterableDataset):
            return len(self.sampler if self.batch_sampler is None else self.batch_sampler)
        size = len(self.dataset)  # type: ignore[arg-type]
        if self.batch_size is None:
            return size
        return size // self.batch_size if self.drop_last else -(-size // self.batch_size)


def _whole_batches(dataset: Any) -> Callable[[Any], Any] | None:
    """How a batch is indexed as a whole where the data set is tensors, or a part of them; None where it is not."""
    if type(dataset) is TensorDataset:
        return lambda indices: [
            t[np.asarray(indices)] if t.requires_grad else wrap(t.array.take(indices, axis=0)) for t in dataset.tensors
        ]
    inner = _whole_batches(dataset.dataset) if type(dataset) is Subset else None
    if inner is None:
        return None
    chosen = np.asarray(dataset.indices)
    return lambda indices: inner(chosen[indices])


def get_worker_info() -> None:
    """None: there are no worker processes."""
