"""Data sets, samplers, collation and the loader: by what they promise, and against PyTorch."""

from __future__ import annotations

import importlib
import itertools
import time
from collections import OrderedDict, UserDict, defaultdict, namedtuple
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_jac as tj
from tinygrad_jac.random import Generator, manual_seed
from tinygrad_jac.utils import data as d
from tinygrad_jac.utils.data.sampler import LAZY_FROM, _scatter

Point = namedtuple("Point", ["x", "y"])


class Squares(d.Dataset):
    """As a PyTorch user writes one."""

    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return np.array([i, i * i]), float(i)


class Stream(d.IterableDataset):
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        return iter(range(self.n))

    def __len__(self):
        return self.n


class Huge:
    """More samples than fit into memory."""

    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return i


def generator(seed=0):
    return Generator().manual_seed(seed)


def tensors(n=10):
    return d.TensorDataset(tj.tensor(np.arange(2 * n, dtype=np.float32).reshape(n, 2)), tj.tensor(np.arange(n)))


def plain(value):
    """Tensors as lists, at any depth."""
    if hasattr(value, "tolist"):
        return str(value.dtype).replace("torch.", ""), value.tolist()
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, (list, tuple)) else value


# ------------------------------------------------------------------------------------------------ data sets


def test_tensor_dataset():
    dataset = tensors(4)
    assert len(dataset) == 4
    x, y = dataset[2]
    assert (x.tolist(), y.item()) == ([4.0, 5.0], 2)
    assert dataset[-1][1].item() == 3
    assert dataset[1:3][1].tolist() == [1, 2]
    assert d.TensorDataset(np.ones((3, 2)))[0][0].dtype == np.float64
    with pytest.raises(ValueError, match=r"Size mismatch between tensors.*\(3,\), \(2, 5\)"):
        d.TensorDataset(tj.ones(3), tj.ones(2, 5))
    with pytest.raises(IndexError):
        dataset[4]


def test_subsets_and_sums_of_data_sets():
    dataset = tensors()
    subset = d.Subset(dataset, [7, 3, 5])
    assert [subset[i][1].item() for i in range(len(subset))] == [7, 3, 5]
    assert subset[[0, 2]][1].tolist() == [7, 5]
    assert d.Subset(subset, [2])[0][1].item() == 5
    both = Squares(3) + Squares(2)
    assert isinstance(both, d.ConcatDataset)
    assert [both[i][1] for i in range(len(both))] == [0.0, 1.0, 2.0, 0.0, 1.0]
    assert both[-1][1] == 1.0
    for i in (5, -6):
        with pytest.raises(IndexError, match="out of range for a data set of 5 samples"):
            both[i]
    assert len(d.ConcatDataset([Squares(0), Squares(2), Squares(0)])) == 2
    with pytest.raises(ValueError, match="empty"):
        d.ConcatDataset([])
    with pytest.raises(ValueError, match="IterableDataset"):
        d.ConcatDataset([Stream(2)])
    chain = Stream(2) + Stream(3)
    assert list(chain) == [0, 1, 0, 1, 2]
    assert len(chain) == 5


def test_bases_say_what_is_missing():
    with pytest.raises(NotImplementedError, match="__getitem__"):
        d.Dataset()[0]
    for base in (d.IterableDataset, d.Sampler):
        with pytest.raises(NotImplementedError, match="__iter__"):
            iter(base())
    assert d.Dataset[int] is not None
    assert d.get_worker_info() is None


def test_random_split():
    parts = d.random_split(range(10), [3, 7], generator=generator())
    assert sorted(i for part in parts for i in part) == list(range(10))
    again = d.random_split(range(10), [3, 7], generator=generator())
    assert [list(p) for p in parts] == [list(p) for p in again]
    assert [list(p) for p in parts] != [list(p) for p in d.random_split(range(10), [3, 7], generator=generator(1))]
    assert [len(p) for p in d.random_split(range(11), [0.5, 0.25, 0.25])] == [6, 3, 2]
    assert [len(p) for p in d.random_split(range(30), [0.3, 0.3, 0.4])] == [9, 9, 12]
    with pytest.raises(ValueError, match=r"Sum of input lengths does not equal .* 9 instead of 10"):
        d.random_split(range(10), [3, 6])
    with pytest.raises(ValueError, match="between 0 and 1"):
        d.random_split(range(10), [1.5, -0.5])
    with pytest.warns(UserWarning, match="Length of split at index 1 is 0"):
        d.random_split(range(2), [0.9, 0.1])


@pytest.mark.peers
@given(n=st.integers(1, 200), cuts=st.lists(st.integers(0, 20), min_size=1, max_size=5).filter(sum))
@pytest.mark.filterwarnings("ignore:Length of split")
def test_random_split_sizes_are_pytorchs(n, cuts):
    torch = pytest.importorskip("torch")
    fractions = [c / sum(cuts) for c in cuts]
    if sum(fractions) > 1:  # by rounding; PyTorch then reads them as lengths
        return
    theirs = torch.utils.data.random_split(range(n), fractions)
    assert [len(p) for p in d.random_split(range(n), fractions)] == [len(p) for p in theirs]


# ------------------------------------------------------------------------------------------------ samplers


def test_sequential_and_random_sampler():
    assert list(d.SequentialSampler(range(4))) == [0, 1, 2, 3]
    sampler = d.RandomSampler(range(100), generator=generator())
    first, second = list(sampler), list(sampler)
    assert sorted(first) == sorted(second) == list(range(100))
    assert first != second
    assert all(type(i) is int for i in first)
    assert list(d.RandomSampler(range(100), generator=generator())) == first
    assert len(sampler) == 100
    manual_seed(3)
    one = list(d.RandomSampler(range(50)))
    manual_seed(3)
    assert list(d.RandomSampler(range(50))) == one


@given(n=st.integers(1, 50), count=st.integers(1, 120))
def test_random_sampler_takes_as_many_as_asked(n, count):
    drawn = list(d.RandomSampler(range(n), num_samples=count, generator=generator()))
    assert len(drawn) == count
    for start in range(0, count, n):
        assert len(set(drawn[start : start + n])) == len(drawn[start : start + n])
    again = list(d.RandomSampler(range(n), replacement=True, num_samples=count, generator=generator()))
    assert len(again) == count
    assert set(again) <= set(range(n))


def test_samplers_of_huge_data_sets_are_lazy():
    for n in (LAZY_FROM + 1, 10**9, 2**62):
        start = time.perf_counter()
        some = list(itertools.islice(d.RandomSampler(Huge(n), generator=generator()), 5000))
        assert time.perf_counter() - start < 1
        assert len(set(some)) == 5000
        assert all(0 <= i < n for i in some)
        assert abs(np.mean(some) / n - 0.5) < 0.03  # sd of the mean: 0.29 / sqrt(5000) = 0.004
        with_repeats = itertools.islice(d.RandomSampler(Huge(n), replacement=True, generator=generator()), 5)
        assert all(0 <= i < n for i in with_repeats)
    batch = next(iter(d.DataLoader(Huge(10**12), batch_size=4, shuffle=True)))
    assert len(set(batch.tolist())) == 4


@given(n=st.integers(1, 2000), seed=st.integers(0, 1000))
def test_scatter_is_a_permutation(n, seed):
    drawn = _scatter(n, np.random.default_rng(seed))(np.arange(n, dtype=np.uint64))
    assert sorted(drawn.tolist()) == list(range(n))


def test_scatter_is_random():
    orders = np.array([_scatter(7, np.random.default_rng(s))(np.arange(7, dtype=np.uint64)) for s in range(7000)])
    counts = np.stack([np.bincount(orders[:, k].astype(int), minlength=7) for k in range(7)])
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(1000)  # each number is as often in each place
    assert len(set(map(tuple, orders))) > 3600  # of 5040 orders; 7000 draws meet 3783 on average


def test_subset_and_weighted_sampler():
    sampler = d.SubsetRandomSampler([3, 5, 9], generator=generator())
    assert sorted(sampler) == [3, 5, 9]
    assert len(sampler) == 3
    weighted = d.WeightedRandomSampler([0.0, 1.0, 3.0], 4000, generator=generator())
    counts = np.bincount(list(weighted), minlength=3)
    assert len(weighted) == 4000
    assert counts[0] == 0
    assert abs(counts[2] - 3000) < 5 * np.sqrt(4000 * 3 / 16)
    assert sorted(d.WeightedRandomSampler(tj.tensor([1.0, 0.0, 3.0]), 2, replacement=False)) == [0, 2]


def test_batch_sampler():
    assert list(d.BatchSampler(range(7), 3, False)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(d.BatchSampler(range(7), 3, True)) == [[0, 1, 2], [3, 4, 5]]
    assert [len(d.BatchSampler(range(n), 3, drop)) for n in (6, 7) for drop in (False, True)] == [2, 2, 3, 2]
    assert next(iter(d.BatchSampler(itertools.count(), 3, True))) == [0, 1, 2]


@pytest.mark.parametrize(
    "make, error, text",
    [
        (lambda: d.RandomSampler(range(3), replacement=1), TypeError, "replacement should be a boolean"),
        (lambda: d.RandomSampler(range(3), num_samples=0), ValueError, "num_samples should be a positive integer"),
        (lambda: d.RandomSampler(range(0)), ValueError, "num_samples should be a positive integer"),
        (lambda: d.BatchSampler(range(3), 0, False), ValueError, "batch_size should be a positive integer"),
        (lambda: d.BatchSampler(range(3), True, False), ValueError, "batch_size should be a positive integer"),
        (lambda: d.BatchSampler(range(3), 1, 0), ValueError, "drop_last should be a boolean"),
        (lambda: d.WeightedRandomSampler([1.0], 0), ValueError, "num_samples should be a positive integer"),
        (lambda: d.WeightedRandomSampler([[1.0]], 1), ValueError, "1d sequence"),
        (lambda: d.WeightedRandomSampler([-1.0, 2.0], 1), ValueError, "not negative"),
        (lambda: d.WeightedRandomSampler([0.0], 1), ValueError, "one of them positive"),
        (lambda: d.WeightedRandomSampler([1.0, 0.0], 2, replacement=False), ValueError, "only 1 weights are positive"),
        (lambda: d.DataLoader(range(3), num_workers=-1), ValueError, "num_workers"),
        (lambda: d.DataLoader(range(3), shuffle=True, sampler=[0]), ValueError, "sampler option is mutually exclusive"),
        (lambda: d.DataLoader(range(3), 2, batch_sampler=[[0]]), ValueError, "batch_sampler option is mutually"),
        (lambda: d.DataLoader(range(3), None, drop_last=True), ValueError, "batch_size=None option disables"),
        (lambda: d.DataLoader(range(3), 0), ValueError, "batch_size should be a positive integer"),
        (lambda: d.DataLoader(Stream(3), shuffle=True), ValueError, "expected unspecified shuffle option"),
        (lambda: d.DataLoader(Stream(3), sampler=[0]), ValueError, "expected unspecified sampler option"),
    ],
)
def test_errors(make, error, text):
    with pytest.raises(error, match=text):
        make()


# ------------------------------------------------------------------------------------------------ collation

BATCHES = [
    [0, 1, 2],
    [True, False],
    [0.5, 1.5],
    ["a", "b"],
    [b"a", b"b"],
    [np.float32(1), np.float32(2)],
    [np.int16(1), np.int16(2)],
    [np.bool_(True), np.bool_(False)],
    [np.ones(2), np.zeros(2)],
    [np.array(1.0), np.array(2.0)],
    [(0, 1.0), (2, 3.0)],
    [[0, 1], [2, 3]],
    [{"a": 1, "b": [2.0]}, {"a": 3, "b": [4.0]}],
    [Point(0, "a"), Point(1, "b")],
    [((1, 2), {"x": (3,)}), ((4, 5), {"x": (6,)})],
    [OrderedDict(a=1), OrderedDict(a=2)],
    [defaultdict(int, a=1), defaultdict(int, a=2)],
    [UserDict(a=1), UserDict(a=2)],
    [MappingProxyType({"a": 1}), MappingProxyType({"a": 2})],
    [range(2), range(2)],
]


@pytest.mark.peers
@pytest.mark.parametrize("batch", BATCHES, ids=str)
def test_collation_is_pytorchs(batch):
    collate = pytest.importorskip("torch.utils.data").default_collate
    found, expected = d.default_collate(batch), collate(batch)
    assert type(found).__name__ == type(expected).__name__
    assert plain(found) == plain(expected)


@pytest.mark.peers
@pytest.mark.parametrize("sample", [1, 1.0, "a", *[b[0] for b in BATCHES]], ids=str)
def test_conversion_is_pytorchs(sample):
    convert = pytest.importorskip("torch.utils.data._utils.collate").default_convert
    found, expected = d.default_convert(sample), convert(sample)
    assert type(found).__name__ == type(expected).__name__
    assert plain(found) == plain(expected)


def test_collation_of_tensors():
    rows = [tj.tensor([1.0, 2.0]), tj.tensor([3.0, 4.0])]
    assert d.default_collate(rows).tolist() == [[1.0, 2.0], [3.0, 4.0]]
    x = tj.ones(2, requires_grad=True)
    d.default_collate([x[0], x[1]]).sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]
    with pytest.raises(ValueError, match="stack"):
        d.default_collate([tj.ones(2), tj.ones(3)])
    with pytest.raises(RuntimeError, match="each element in list of batch should be of equal size"):
        d.default_collate([[1], [1, 2]])
    for strange in (None, object(), np.array(["a"])):
        with pytest.raises(TypeError, match="default_collate: batch must contain tensors, numpy arrays, numbers"):
            d.default_collate([strange])


# ------------------------------------------------------------------------------------------------ the loader


def test_batches_of_any_data_set():
    loader = d.DataLoader(Squares(5), batch_size=2)
    assert len(loader) == 3
    (x, y), *_, (last, _) = list(loader)
    assert (x.tolist(), y.tolist()) == ([[0, 0], [1, 1]], [0.0, 1.0])
    assert y.dtype == np.float64
    assert last.tolist() == [[4, 16]]
    assert len(list(loader)) == 3, "a loader can be gone through again"
    assert len(d.DataLoader(Squares(5), batch_size=2, drop_last=True)) == 2
    assert len(list(d.DataLoader(Squares(5), batch_size=2, drop_last=True))) == 2
    assert next(iter(d.DataLoader([3, 4])))[0].item() == 3
    assert [b.tolist() for b in d.DataLoader(Squares(4), 4, collate_fn=lambda s: tj.tensor([y for _, y in s]))] == [
        [0.0, 1.0, 2.0, 3.0]
    ]


def test_order():
    order = [y.item() for _, y in d.DataLoader(tensors(30), shuffle=True, generator=generator())]
    assert sorted(order) == list(range(30))
    assert order == [y.item() for _, y in d.DataLoader(tensors(30), shuffle=True, generator=generator())]
    assert order != list(range(30))
    assert [b.tolist() for b in d.DataLoader(range(9), 2, sampler=[8, 0, 3])] == [[8, 0], [3]]
    batched = d.DataLoader(range(9), batch_sampler=[[1, 2], [5]])
    assert [b.tolist() for b in batched] == [[1, 2], [5]]
    assert len(batched) == 2


def test_without_batches():
    loader = d.DataLoader(Squares(3), batch_size=None)
    assert len(loader) == 3
    x, y = list(loader)[2]
    assert (x.tolist(), y) == ([2, 4], 2.0)
    assert list(d.DataLoader(Stream(3), batch_size=None)) == [0, 1, 2]
    assert len(d.DataLoader(Stream(3), batch_size=None)) == 3


def test_iterable_data_sets():
    loader = d.DataLoader(Stream(5), batch_size=2)
    assert [b.tolist() for b in loader] == [[0, 1], [2, 3], [4]]
    assert len(loader) == 3
    assert [b.tolist() for b in d.DataLoader(Stream(5), batch_size=2, drop_last=True)] == [[0, 1], [2, 3]]
    assert len(d.DataLoader(Stream(5), batch_size=2, drop_last=True)) == 2

    class Endless(d.IterableDataset):
        def __iter__(self):
            return itertools.count()

    assert next(iter(d.DataLoader(Endless(), batch_size=3))).tolist() == [0, 1, 2]
    with pytest.raises(TypeError):
        len(d.DataLoader(Endless(), batch_size=3))


def test_whole_batches_are_the_same_batches():
    """The fast way of data sets made of tensors gives what samples one by one give."""

    class Slow(d.TensorDataset):
        pass

    chosen = [3, 1, 4, 1, 5, 9, 2, 6]
    parts = tensors(12).tensors
    for options in (dict(batch_size=5), dict(batch_size=4, shuffle=True), dict(batch_sampler=[[0, -1], [2]])):
        for wrap in (lambda s: s, lambda s: d.Subset(s, chosen), lambda s: d.Subset(d.Subset(s, chosen), range(7))):
            both = []
            for kind in (d.TensorDataset, Slow):
                manual_seed(0)
                both.append(list(d.DataLoader(wrap(kind(*parts)), **options)))
            assert plain(both[0]) == plain(both[1])
            assert all(type(batch) is list for batch in both[0])
    x, _ = next(iter(d.DataLoader(tensors(12), 12)))
    assert not np.shares_memory(x.array, parts[0].array)
    with pytest.raises(IndexError):
        list(d.DataLoader(tensors(3), batch_sampler=[[3]]))


def test_whole_batches_are_recorded_where_the_data_require_gradients():
    x = tj.ones(4, 2, requires_grad=True)
    for (batch,) in d.DataLoader(d.TensorDataset(x), 3):
        (2 * batch).sum().backward()
    assert x.grad.tolist() == [[2.0, 2.0]] * 4


def test_a_data_set_may_fetch_batches_itself():
    class Fetching(Squares):
        def __getitems__(self, indices):
            return [100 + i for i in indices]

    assert [b.tolist() for b in d.DataLoader(Fetching(3), 2)] == [[100, 101], [102]]


def test_options_of_other_machines_are_accepted():
    loader = d.DataLoader(
        tensors(), batch_size=4, num_workers=2, pin_memory=True, timeout=1, worker_init_fn=print, prefetch_factor=4,
        persistent_workers=True, pin_memory_device="", in_order=True, multiprocessing_context="spawn",
    )  # fmt: skip
    assert len(list(loader)) == 3
    assert loader.num_workers == 2


# ------------------------------------------------------------------------------------------------ PyTorch besides

EXPRESSIONS = [
    "list(d.DataLoader(numbers, batch_size=2))",
    "list(d.DataLoader(stream(), batch_size=2))",
    "list(d.DataLoader(stream(), batch_size=2, drop_last=True))",
    "list(d.DataLoader(stream(), batch_size=None))",
    "list(d.DataLoader(records(), batch_size=2))",
    "list(d.DataLoader(records(), batch_size=None))",
    "list(d.DataLoader(records(), sampler=[1, 3], batch_size=2))",
    "list(d.DataLoader(records(), batch_sampler=[[1, 3], [0]]))",
    "list(d.DataLoader(records(), batch_size=2, collate_fn=len))",
    "d.DataLoader(numbers, 2, True).batch_size",
    "d.DataLoader(numbers, batch_sampler=[[1]]).batch_size",
    "d.DataLoader(numbers, batch_sampler=[[1]]).drop_last",
    "len(d.DataLoader(numbers, batch_size=2, drop_last=True))",
    "list(d.DataLoader([], batch_size=2, shuffle=True))",
    "d.StackDataset([1, 2], [3, 4])[1]",
    "d.StackDataset(a=[1, 2], b=[3, 4])[1]",
    "len(d.StackDataset([1, 2]))",
    "list(d.DataLoader(d.StackDataset([1, 2], [3, 4]), batch_size=2))",
    "list(d.DataLoader(d.StackDataset(a=[1, 2], b=[3, 4]), batch_size=2))",
    "list(d.Subset(numbers, [0, 2]))",
    "d.ConcatDataset([[1, 2], [3]])[2]",
    "d.ConcatDataset([[1, 2], [3]])[-1]",
    "d.ConcatDataset([[1, 2], [3]]).cumulative_sizes",
    "list(d.ChainDataset([stream(), stream()]))",
    "list(stream() + stream())",
    "len(records() + records())",
    "d.TensorDataset(t.ones(2), t.ones(2, 3))[0]",
    "d.TensorDataset(t.ones(2), t.ones(2, 3))[:]",
    "[len(x) for x in d.random_split(range(11), [0.5, 0.5])]",
    "len(d.RandomSampler(range(3), num_samples=7))",
    "list(d.WeightedRandomSampler([0, 1.0], 3))",
    "list(d.BatchSampler(range(5), 2, False))",
    "len(d.BatchSampler(range(5), 2, True))",
    "d.default_collate([t.ones(2), t.zeros(2)])",
    "d.get_worker_info()",
    "len(d.DataLoader(stream(), batch_size=2))",
    "d.StackDataset()",
    "d.StackDataset([1], [1, 2])",
    "d.Subset(numbers, [0])[5]",
    "d.DataLoader(numbers, batch_size=2.5)",
    "d.DataLoader(stream(), shuffle=True)",
    "d.DataLoader(numbers, timeout=-1)",
    "d.DataLoader(numbers, prefetch_factor=2)",
    "d.DataLoader(numbers, persistent_workers=True)",
    "d.random_split(range(10), [0.5, 0.6])",
    "d.Dataset()[0]",
    "len(d.Dataset())",
]


@pytest.mark.peers
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_programs_give_what_pytorchs_do(expression):
    torch = pytest.importorskip("torch")

    def found(library):
        d = importlib.import_module(f"{library.__name__}.utils.data")

        class Ordered(d.IterableDataset):
            def __iter__(self):
                return iter(range(5))

        class Records(d.Dataset):
            def __getitem__(self, index):
                return {"a": index, "b": (float(index), "x", np.ones(2, np.float32))}

            def __len__(self):
                return 5

        names = dict(d=d, t=library, numbers=[1, 2, 3], stream=Ordered, records=Records)
        try:
            return plain(eval(expression, names))
        except (ValueError, IndexError, TypeError, NotImplementedError) as error:
            return type(error)

    assert found(tj) == found(torch)


def test_a_pass_over_a_loader_has_a_length():
    batches = iter(d.DataLoader(range(7), batch_size=2))
    assert len(batches) == 4
    assert next(batches).tolist() == [0, 1]
    assert [b.tolist() for b in batches] == [[2, 3], [4, 5], [6]]
