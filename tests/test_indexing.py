"""Indexing, gathering, scattering, masks and orders: `rules/indexing.py`, `rules/selecting.py`, `rules/ordering.py`."""

from __future__ import annotations

import functools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit import audit, check, compare_with_torch, distinct, randn

import tinygrad_jac as tj
from tinygrad_jac import ShapeError
from tinygrad_jac.rules import indexing as ix
from tinygrad_jac.rules import ordering as od
from tinygrad_jac.rules import selecting as se
from tinygrad_jac.rules.results import ValuesIndices

# ------------------------------------------------------------------------------------------------ every kind of index

I, J = np.array([0, 1, 1, -1]), np.array([1, 0, -1, 2])
MASK = np.array([[True, False, True], [False, False, True]])
# Each index, and the primitives that it takes.
INDICES = {
    "an int": (1, "slice"),
    "a negative int": ((0, -1), "slice"),
    "all ints": ((1, 2, 3), "slice"),
    "a NumPy int": (np.int32(1), "slice"),
    "a Tensor of one int": (tj.tensor(1), "slice"),
    "a slice": (slice(0, 1), "slice"),
    "slices with steps": ((slice(None, None, 2), slice(None), slice(3, 0, -2)), "slice"),
    "a slice beyond the end": ((slice(None), slice(1, 100)), "slice"),
    "an empty slice": ((slice(None), slice(2, 1)), "slice"),
    "None": ((None, 0, None), "slice"),
    "Ellipsis": (Ellipsis, "slice"),
    "Ellipsis in between": ((0, ..., 1), "slice"),
    "nothing": ((), "slice"),
    "integers": ((I,), "index"),
    "a list": ([0, 1, 0], "index"),
    "a Tensor": ((slice(None), tj.tensor(np.array([[0, 2], [2, 0]]))), "index"),
    "integers of two axes": ((slice(None), np.array([[0, 2], [1, 2]])), "index"),
    "unsigned integers": ((np.array([0, 1], dtype=np.uint8),), "index"),
    "integers at the end": ((..., J), "index"),
    "integers next to each other": ((slice(None), J, I), "index"),
    "integers that broadcast": ((np.array([[0], [1]]), J), "index"),
    "integers apart": ((I, slice(None), J), "permute index"),
    "integers and None": ((None, I, None, J), "slice permute index"),
    "integers beside an int": ((0, J), "index"),
    "integers apart from an int": ((0, slice(None), J), "permute index"),
    "integers, an Ellipsis for no axis": ((slice(None), J, ..., I), "permute index"),
    "integers beside a slice": ((slice(0, 1), J, slice(None, None, -1)), "slice index"),
    "no integers": ([], "index"),
    "no integers, of two axes": ((slice(None), np.zeros((0, 2), int)), "index"),
    "one integer in a list": (([1], [1], [1]), "index"),
    "a mask of one axis": (np.array([False, True]), "index"),
    "a mask of two axes": (MASK, "index"),
    "a mask of the last axes": ((slice(None), np.arange(12).reshape(3, 4) % 3 == 0), "index"),
    "a mask of all axes": (np.arange(24).reshape(2, 3, 4) % 3 == 0, "index"),
    "a mask in a list": ([True, False], "index"),
    "a mask beside integers": ((slice(None), np.array([True, False, True]), [2, 2]), "index"),
    "a mask apart from an int": ((np.array([True, False]), slice(None), 1), "permute index"),
    "a mask that holds nowhere": (np.zeros((2, 3), bool), "index"),
    "True": (True, "slice index"),
    "False": (np.False_, "slice index"),
    "True beside integers": ((True, I), "slice index"),
}


def of_arrays(index):
    """The same index without Tensors."""
    if isinstance(index, tuple):
        return tuple(map(of_arrays, index))
    return index.array if isinstance(index, tj.Tensor) else index


@pytest.mark.parametrize("kind", INDICES)
def test_every_kind_of_index(kind):
    index, primitives = INDICES[kind]
    x = randn(2, 3, 4)
    out = tj.tensor(x, requires_grad=True)[index]
    assert np.array_equal(out.array, x[of_arrays(index)])
    assert sorted(audit(out)) == sorted(primitives.split())
    check(lambda x: x[index], x)


@pytest.mark.parametrize("kind", INDICES)
def test_every_kind_of_assignment(kind):
    index = ix.frozen(INDICES[kind][0])
    x = randn(2, 3, 4)
    value = np.asarray(randn(*x[of_arrays(index)].shape, seed=1))
    expected = x.copy()
    expected[of_arrays(index)] = value
    assert np.array_equal(ix.setitem(tj.tensor(x), tj.tensor(value), index=index).array, expected)
    check(lambda x, v: ix.setitem(x, v, index=index), x, value)
    check(lambda x: ix.setitem(x, 3.0, index=index), x)


ELSEWHERE_DIFFERENT = {
    "integers apart from an int",  # PyTorch takes x[0] first, NumPy counts the 0 among the arrays
    "integers, an Ellipsis for no axis",  # which for NumPy still stands between them
    "unsigned integers",  # bytes are a mask in PyTorch
    "slices with steps",  # no negative ones there
    "integers beside a slice",
}


@pytest.mark.peers
@pytest.mark.parametrize("kind", [kind for kind in INDICES if kind not in ELSEWHERE_DIFFERENT])
def test_indices_as_in_pytorch(kind):
    torch = pytest.importorskip("torch")
    index = of_arrays(INDICES[kind][0])

    def theirs(index):
        if isinstance(index, tuple):
            return tuple(map(theirs, index))
        return torch.tensor(index) if isinstance(index, (np.ndarray, np.generic)) else index

    compare_with_torch(lambda x: x[index], lambda x: x[theirs(index)], randn(2, 3, 4))


@st.composite
def indexed(draw):
    """A shape, and an index into it of any mixture of kinds."""
    shape = tuple(draw(st.lists(st.integers(0 if draw(st.integers(0, 9)) == 0 else 1, 3), max_size=4)))
    common = tuple(draw(st.lists(st.integers(1, 3), max_size=2)))
    index, axis, dots = [], 0, False
    while axis < len(shape) and draw(st.integers(0, 9)):
        n = shape[axis]
        kind = draw(st.sampled_from(["int", "slice", "whole", "None", "...", "array", "array", "mask"]))
        if kind == "int" and n:
            index.append(draw(st.integers(-n, n - 1)))
        elif kind == "slice":
            end = st.none() | st.integers(-4, 4)
            index.append(slice(draw(end), draw(end), draw(st.sampled_from([None, 1, 2, -1, -2]))))
        elif kind == "whole":
            index.append(slice(None))
        elif kind == "None":
            index.append(None)
            continue
        elif kind == "..." and not dots:
            dots = True
            index.append(Ellipsis)
            axis += draw(st.integers(0, len(shape) - axis))
            continue
        elif kind == "array" and n:
            sizes = common[draw(st.integers(0, len(common))) :]
            sizes = tuple(1 if draw(st.integers(0, 4)) == 0 else size for size in sizes)
            flat = [draw(st.integers(-n, n - 1)) for _ in range(int(np.prod(sizes)))]
            array = np.array(flat, dtype=int).reshape(sizes)
            index.append(draw(st.sampled_from([array, array.tolist(), tj.as_tensor(array)])))
        elif kind == "mask":
            mask_ndim = draw(st.integers(0, len(shape) - axis))
            sizes = shape[axis : axis + mask_ndim]
            flat = [draw(st.booleans()) for _ in range(int(np.prod(sizes)))]
            index.append(np.array(flat, dtype=bool).reshape(sizes))
            axis += mask_ndim
            continue
        else:
            continue
        axis += 1
    return shape, (index[0] if len(index) == 1 else tuple(index))


@settings(max_examples=400)
@given(indexed())
def test_any_mixture_means_what_it_means_in_numpy(case):
    shape, index = case
    x = np.asarray(randn(*shape))
    t = tj.tensor(x, requires_grad=True)
    try:
        expected = x[of_arrays(index)]
    except IndexError:  # such as arrays that do not broadcast
        with pytest.raises(IndexError):
            t[index]
        return
    out = t[index]
    assert out.shape == np.shape(expected)
    assert np.array_equal(out.array, expected)
    u = np.asarray(randn(*out.shape, seed=1))
    out.backward(u)
    gradient = np.zeros(shape)
    np.add.at(gradient, of_arrays(index), u)
    assert np.allclose(t.grad.array, gradient, rtol=1e-14, atol=0)


@given(indexed())
def test_any_mixture_of_leading_axes_and_assignments(case):
    shape, index = case
    x = np.asarray(randn(*shape))
    try:
        selected = x[of_arrays(index)].shape
    except IndexError:
        return
    t = tj.tensor(x, requires_grad=True)
    v = tj.tensor(np.asarray(randn(*selected, seed=1)), requires_grad=True)
    for out in (t[index], ix.setitem(t, v, index=ix.frozen(index))):
        if out.array.size and t.array.size and v.array.size:
            audit(out)


# ------------------------------------------------------------------------------------------------ by hand


def test_the_gradient_of_an_index_by_hand():
    x = tj.tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True)
    (x[[3, 1, 3, 3]] * tj.tensor([1.0, 10.0, 100.0, 1000.0])).sum().backward()
    assert np.array_equal(x.grad.array, [0, 10, 0, 1101])
    x.grad = None
    (x[::-2] * tj.tensor([1.0, 10.0])).sum().backward()
    assert np.array_equal(x.grad.array, [0, 10, 0, 1])


def test_positive_and_negative_names_of_one_place_are_summed():
    x = tj.tensor([1.0, 2.0], requires_grad=True)
    x[[1, -1]].sum().backward()
    assert np.array_equal(x.grad.array, [0, 2])


def test_of_an_assignment_the_last_write_counts():
    x = tj.tensor([1.0, 2.0, 3.0], requires_grad=True)
    v = tj.tensor([4.0, 5.0, 6.0], requires_grad=True)
    out = ix.setitem(x, v, index=ix.frozen([0, 2, -3]))
    assert np.array_equal(out.array, [6, 2, 5])
    out.backward(np.array([1.0, 10.0, 100.0], np.float32))
    assert np.array_equal(x.grad.array, [0, 10, 0])
    assert np.array_equal(v.grad.array, [0, 100, 1])


def test_an_assigned_value_broadcasts():
    index = ix.frozen(([0, 2, 0],))
    check(lambda x, v: ix.setitem(x, v, index=index), randn(3, 2), randn(2, seed=1))
    check(lambda x, v: ix.setitem(x, v, index=index), randn(3, 2), randn(3, 1, seed=1))
    check(lambda x, v: ix.setitem(x, v, index=(0,)), randn(3, 2), np.array(1.5))
    check(lambda x, v: ix.setitem(x, v, index=(0,)), randn(3, 2), randn(1, 1, 2, seed=1))  # NumPy drops axes of size 1
    check(lambda x, v: ix.setitem(x, v, index=(0, 1)), randn(3, 2), randn(1, 1, seed=1))
    check(lambda x, v: ix.setitem(x, v, index=ix.frozen(MASK)), randn(2, 3), np.array([1.5]))
    check(lambda v: ix.setitem(np.zeros(3), v, index=(slice(1, 3),)), np.array(1.5), single=False)


def test_item_assignment_on_tensors():
    x = tj.tensor(randn(3, 2), requires_grad=True)
    y = x * 2
    y[0] = x[1] ** 2
    y[[1, 1], [0, 0]] = 5.0
    (y * y).sum().backward()
    a = x.array
    expected = np.zeros((3, 2))
    expected[1] = 4 * a[1] ** 3
    expected[1, 1] += 8 * a[1, 1]
    expected[2] = 8 * a[2]
    assert np.allclose(x.grad.array, expected, rtol=1e-14)


def test_one_entry_takes_a_tensor_of_one_entry():
    """``losses[k] = model(x)`` where the model gives one number, with an axis: NumPy refuses, PyTorch does not."""
    x = tj.zeros(2, 3)
    x[0, 1] = tj.ones(1)
    x[1][2] = tj.full((1, 1), 2.0)
    x[-1, 0] = np.array([3.0])
    assert x.tolist() == [[0, 1, 0], [3, 0, 2]]
    w = tj.tensor([2.0], requires_grad=True)
    x[0, 0] = w * w
    x.sum().backward()
    assert w.grad.tolist() == [4.0]
    with pytest.raises(ShapeError, match=r"a value of shape \(2,\) does not fit the shape \(\) .* from \(2, 3\)"):
        x.detach()[0, 0] = tj.ones(2)


def test_basic_indices_give_views():
    x = tj.tensor(randn(3, 4))
    for view in (x[1], x[1, 2], x[None, ..., ::-1], x[...], x[()], se.select(x, 1, -1), se.narrow(x, 0, 1, 2)):
        assert np.shares_memory(view.array, x.array)
        assert view.array.flags.writeable
    for copy in (x[[1]], x[x.array > -9], x[True]):
        assert not np.shares_memory(copy.array, x.array)


def test_an_index_that_is_changed_later_changes_nothing():
    for index in (np.array([0, 1, 1]), np.array([True, False, True])):
        x = tj.tensor(randn(3), requires_grad=True)
        out = x[index]
        (expected,) = tj.autograd.grad(out, x, np.ones(out.shape), retain_graph=True)
        index[:] = 1
        (found,) = tj.autograd.grad(out, x, np.ones(out.shape))
        assert np.array_equal(found.array, expected.array)


def test_third_derivatives():
    """Rules of rules of rules: d³/dt³ of sum(w t[index]⁴) is 24 t Jᵀw."""
    for index in (
        (slice(None), [0, 0, 2]),
        ([0, 1, 0], slice(None), [1, 1, 1]),
        (0, ..., None),
        np.array([True, False]),
    ):
        x = tj.tensor(randn(2, 3, 2), requires_grad=True)
        w = tj.tensor(np.asarray(randn(*x[index].shape, seed=1)))
        y = (x[index] ** 4 * w).sum()
        for _ in range(3):
            (g,) = tj.autograd.grad(y, x, create_graph=True)
            y = g.sum()
        weights = np.zeros(x.shape)
        np.add.at(weights, index, w.array)
        assert np.allclose(g.array, 24 * x.array * weights, rtol=1e-12)


@pytest.mark.parametrize("width", [1, 3, 8, 40])
@pytest.mark.parametrize("count, lookups", [(50, 20), (5, 300), (1, 7), (3000, 2500)])
def test_sums_over_repeated_rows(width, count, lookups):
    """All ways that the scatter has: by entries, and by rows of which one each is assigned."""
    rng = np.random.default_rng(lookups)
    rows = rng.integers(-count, count, (2, lookups // 2))
    rows[0].sort()  # so that repeats also stand next to each other
    for dtype in (np.float32, np.float64):
        table = tj.tensor(rng.standard_normal((count, width)).astype(dtype), requires_grad=True)
        u = rng.standard_normal((*rows.shape, width)).astype(dtype)
        expected = np.zeros((count, width))
        np.add.at(expected, rows, u)
        table[rows].backward(u)
        assert table.grad.dtype == dtype
        assert np.allclose(table.grad.array, expected, rtol=1e-4 if dtype == np.float32 else 1e-12, atol=1e-4)
    turned = tj.tensor(table.array.T[None], requires_grad=True)  # not contiguous, and the rows along the last axis
    turned[..., rows].backward(np.moveaxis(u, -1, 0)[None])
    assert np.allclose(turned.grad.array[0].T, expected, rtol=1e-12, atol=1e-12)


def test_big_endian_arrays():
    x = np.array([[1.0, 2.0], [3.0, 4.0]], dtype=">f8")
    t = tj.tensor(x, requires_grad=True)
    t[np.array([0, 1, 1], dtype=">i4")].sum().backward()
    assert np.array_equal(t.grad.array, [[1, 1], [2, 2]])


# ------------------------------------------------------------------------------------------------ functions

K = np.array([[0, 2, 1], [1, 1, 0]])
ROWS = np.array([[1, 1, 3], [0, 3, 1]])
# Each function in our spelling, in PyTorch's (after the module torch), and its arguments.
CASES = {
    "gather": (lambda x, k: se.gather(x, 1, k), lambda t, x, k: x.gather(1, k), randn(3, 4), K),
    "gather by keyword": (
        lambda x, k: tj.gather(x, dim=0, index=k),
        lambda t, x, k: t.gather(x, dim=0, index=k),
        randn(3, 4),
        K,
    ),
    "gather, three axes": (
        lambda x, k: se.gather(x, -2, k[:, :, None]),
        lambda t, x, k: x.gather(-2, k[:, :, None]),
        randn(2, 3, 2),
        K,
    ),
    "take_along_axis": (
        lambda x, k: se.take_along_axis(x, k, 1),
        lambda t, x, k: t.take_along_dim(x, k, 1),
        randn(2, 4),
        K,
    ),
    "take_along_axis, broadcasting": (
        lambda x, k: se.take_along_axis(x, k[:1], dim=1),
        lambda t, x, k: t.take_along_dim(x, k[:1], dim=1),
        randn(3, 4),
        K,
    ),
    "take_along_axis, flat": (
        lambda x, k: se.take_along_axis(x, k[0], None),
        lambda t, x, k: t.take_along_dim(x, k[0]),
        randn(2, 2),
        K,
    ),
    "take": (lambda x, k: se.take(x, k), lambda t, x, k: x.take(k), randn(3, 2), ROWS),
    "index_select": (
        lambda x, k: se.index_select(x, 1, k[0]),
        lambda t, x, k: x.index_select(1, k[0]),
        randn(2, 4),
        ROWS,
    ),
    "select": (lambda x: se.select(x, 1, -1), lambda t, x: x.select(1, -1), randn(2, 3, 2)),
    "narrow": (lambda x: se.narrow(x, -1, 1, 2), lambda t, x: x.narrow(-1, 1, 2), randn(2, 4)),
    "narrow from the end": (lambda x: se.narrow(x, 0, -2, 1), lambda t, x: x.narrow(0, -2, 1), randn(3, 2)),
    "scatter": (  # no two to one place: PyTorch does not say which would win
        lambda x, k, s: se.scatter(x, 1, k[:1], s),
        lambda t, x, k, s: x.scatter(1, k[:1], s),
        randn(2, 4),
        K,
        randn(1, 3, seed=1),
    ),
    "scatter a part of the source": (  # PyTorch has no gradient for it
        lambda x, k, s: se.scatter(x, 1, k, s),
        None,
        randn(2, 4),
        K,
        randn(3, 3, seed=1),
    ),
    "scatter a number": (
        lambda x, k: se.scatter(x, 0, k, value=2.5),
        lambda t, x, k: x.scatter(0, k, value=2.5),
        randn(3, 3),
        K,
    ),
    "scatter_add": (
        lambda x, k, s: se.scatter_add(x, 1, k, s),
        lambda t, x, k, s: x.scatter_add(1, k, s),
        randn(2, 4),
        K,
        randn(2, 3, seed=1),
    ),
    "scatter_add a part of the source": (
        lambda x, k, s: se.scatter_add(x, 1, k, s),
        None,
        randn(2, 4),
        K,
        randn(3, 3, seed=1),
    ),
    "scatter_add by keyword": (
        lambda x, k, s: se.scatter_add(x, dim=0, index=k, src=s),
        lambda t, x, k, s: x.scatter_add(dim=0, index=k, src=s),
        randn(3, 4),
        K,
        randn(2, 3, seed=1),
    ),
    "index_add": (
        lambda x, k, s: se.index_add(x, 0, k[0], s, alpha=2),
        lambda t, x, k, s: x.index_add(0, k[0], s, alpha=2),
        randn(4, 2),
        ROWS,
        randn(3, 2, seed=1),
    ),
    "embedding": (
        lambda k, w: se.embedding(k, w),
        lambda t, k, w: t.nn.functional.embedding(k, w),
        ROWS,
        randn(4, 5),
    ),
    "embedding of one": (
        lambda k, w: se.embedding(k[0, 0], w),
        lambda t, k, w: t.nn.functional.embedding(k[0, 0], w),
        ROWS,
        randn(4, 5),
    ),
    "masked_fill": (
        lambda x, m: np.exp(se.masked_fill(x, m, -np.inf)),
        lambda t, x, m: x.masked_fill(m, -np.inf).exp(),
        randn(2, 3),
        MASK,
    ),
    "masked_fill by a tensor": (
        lambda x, m, v: se.masked_fill(x, m[0], v),
        lambda t, x, m, v: x.masked_fill(m[0], v),
        randn(2, 3),
        MASK,
        np.array(0.5),
    ),
    "masked_select": (
        lambda x, m: se.masked_select(x, m),
        lambda t, x, m: x.masked_select(m),
        randn(3),
        MASK,
    ),
    "bincount": (
        lambda k, w: np.bincount(k.reshape(-1), weights=w, minlength=6),
        lambda t, k, w: t.zeros(6, dtype=t.float64).index_add(0, k.reshape(-1), w),
        ROWS,
        randn(6),
    ),
    "sort": (lambda x: od.sort(x).values, lambda t, x: x.sort().values, distinct(3, 4)),
    "sort downwards": (
        lambda x: od.sort(x, dim=0, descending=True)[0],
        lambda t, x: x.sort(dim=0, descending=True)[0],
        distinct(3, 4),
    ),
    "topk": (lambda x: od.topk(x, 2).values, lambda t, x: x.topk(2).values, distinct(3, 4)),
    "topk, smallest": (
        lambda x: od.topk(x, 2, dim=0, largest=False).values,
        lambda t, x: x.topk(2, dim=0, largest=False).values,
        distinct(3, 4),
    ),
    "topk, all": (lambda x: od.topk(x, 3, 0).values, lambda t, x: x.topk(3, 0).values, distinct(3, 4)),
}


@pytest.mark.parametrize("case", CASES)
def test_rule_statement_and_numbers(case):
    fn, _, *arrays = CASES[case]
    check(fn, *arrays)


@pytest.mark.peers
@pytest.mark.parametrize("case", [case for case in CASES if CASES[case][1]])
def test_as_in_pytorch(case):
    torch = pytest.importorskip("torch")
    fn, theirs, *arrays = CASES[case]
    compare_with_torch(fn, functools.partial(theirs, torch), *arrays)


@pytest.mark.parametrize("case", CASES)
def test_arrays_give_arrays(case):
    fn, _, *arrays = CASES[case]
    found = fn(*arrays)
    given = [tj.tensor(a) if a.dtype.kind == "f" else a for a in arrays]
    assert isinstance(found, np.ndarray)
    assert np.array_equal(found, fn(*given).array)
    assert np.array_equal(found, fn(*map(tj.as_tensor, arrays)).array)  # positions and masks may be Tensors


NUMPY = {
    "take": lambda m: np.take(m(randn(3, 4)), K[0], axis=1),
    "take, flat": lambda m: np.take(m(randn(3, 4)), K),
    "take one": lambda m: np.take(m(randn(3, 4)), 1, axis=-1),
    "take_along_axis": lambda m: np.take_along_axis(m(randn(2, 3)), K, axis=1),
    "bincount": lambda m: np.bincount(ROWS[0], m(randn(3)), 5),
    "sort": lambda m: np.sort(m(randn(3, 4))),
    "sort, axis": lambda m: np.sort(m(randn(3, 4)), axis=0),
    "sort, flat": lambda m: np.sort(m(randn(3, 4)), axis=None),
    "argsort": lambda m: np.argsort(m(randn(3, 4)), axis=0),
    "nonzero": lambda m: np.nonzero(m(np.eye(3)))[1],
    "argwhere": lambda m: np.argwhere(m(np.eye(3))),
    "flatnonzero": lambda m: np.flatnonzero(m(np.eye(3))),
    "unique": lambda m: np.unique(m(np.array([2.0, 1.0, 2.0]))),
    "unique, where": lambda m: np.unique(m(np.array([2.0, 1.0, 2.0])), return_index=True)[1],
}


@pytest.mark.parametrize("case", NUMPY)
def test_numpys_functions_mean_the_same_on_tensors(case):
    expected = NUMPY[case](lambda a: a)
    found = NUMPY[case](lambda a: tj.tensor(a, requires_grad=True))
    assert isinstance(found, tj.Tensor)
    assert found.dtype == expected.dtype
    assert np.array_equal(found.array, expected)


def test_counting():
    assert np.array_equal(tj.bincount(tj.tensor([1, 3, 1])).array, [0, 2, 0, 1])
    assert np.array_equal(tj.bincount(np.array([1, 1]), minlength=3), [0, 2, 0])
    assert np.array_equal(tj.bincount(np.zeros(0, int), tj.zeros(0), 2).array, [0, 0])
    weights = tj.tensor([1.0, 2.0, 4.0], requires_grad=True)
    out = tj.bincount(tj.tensor([1, 0, 1]), weights=weights)
    assert np.array_equal(out.array, [2, 5])
    assert out.dtype == np.float32
    out.backward(np.array([10.0, 1.0], np.float32))
    assert np.array_equal(weights.grad.array, [1, 10, 1])


def test_the_row_of_the_padding_receives_no_gradient():
    table = tj.tensor(randn(4, 3), requires_grad=True)
    for padding_idx in (1, -3):
        table.grad = None
        out = se.embedding(ROWS, table, padding_idx=padding_idx)
        assert np.array_equal(out.array, table.array[ROWS])
        out.sum().backward()
        assert np.array_equal(table.grad.array, np.outer([1, 0, 0, 2], np.ones(3)))


@pytest.mark.peers
def test_padding_as_in_pytorch():
    torch = pytest.importorskip("torch")
    compare_with_torch(
        lambda k, w: se.embedding(k, w, padding_idx=1),
        lambda k, w: torch.nn.functional.embedding(k, w, padding_idx=1),
        ROWS,
        randn(4, 3),
    )


def test_one_hot():
    found = se.one_hot(tj.tensor([[2, 0]]))
    assert (found.dtype, found.shape) == (np.int64, (1, 2, 3))
    assert np.array_equal(found.array, [[[0, 0, 1], [1, 0, 0]]])
    assert se.one_hot(np.array([0]), num_classes=4).shape == (1, 4)
    assert se.one_hot(np.zeros((0,), int), 3).shape == (0, 3)


def test_nonzero():
    x = tj.tensor([[0.0, 3.0], [4.0, 0.0]], requires_grad=True)
    assert np.array_equal(se.nonzero(x).array, [[0, 1], [1, 0]])
    rows, columns = se.nonzero(x, as_tuple=True)
    assert np.array_equal(x[rows, columns].array, [3, 4])
    assert se.nonzero(tj.tensor(3.0)).shape == (1, 0)
    assert se.nonzero(tj.tensor(0.0)).shape == (0, 0)


def test_where_a_gather_takes_an_index_of_0_d():
    x = tj.tensor(2.5, requires_grad=True)
    assert se.gather(x, 0, np.array(0)).item() == 2.5


# ------------------------------------------------------------------------------------------------ orders


def test_results_are_named():
    found = tj.sort(tj.tensor([3.0, 1.0, 2.0], requires_grad=True))
    assert isinstance(found, ValuesIndices)
    values, indices = found
    assert values is found.values
    assert values.requires_grad
    assert not indices.requires_grad
    assert indices.dtype == np.int64
    assert np.array_equal(indices.array, [1, 2, 0])


@pytest.mark.parametrize("descending", [False, True])
def test_equal_entries_keep_their_order_and_nan_is_largest(descending):
    x = np.array([2.0, np.nan, 1.0, 2.0, 1.0, np.nan, np.inf])
    order = [1, 5, 6, 0, 3, 2, 4] if descending else [2, 4, 0, 3, 6, 1, 5]
    assert np.array_equal(od.argsort(tj.tensor(x), descending=descending).array, order)
    assert np.array_equal(od.sort(x, descending=descending).values, x[order], equal_nan=True)


def test_ties_of_topk_are_taken_in_order():
    x = np.array([[1.0, 3.0, 3.0, np.nan, 1.0], [0.0, 0.0, 0.0, 0.0, 0.0]])
    assert np.array_equal(od.topk(x, 3).indices[0], [3, 1, 2])
    assert np.array_equal(od.topk(x[:1], 2, largest=False).indices, [[0, 4]])
    assert len(set(od.topk(x, 4).indices[1])) == 4
    assert od.topk(x, 0).values.shape == (2, 0)
    assert od.topk(np.zeros((2, 0)), 0).values.shape == (2, 0)
    assert od.topk(tj.tensor(2.0), 1, 0).values.item() == 2


@pytest.mark.peers
@settings(max_examples=15)
@given(st.lists(st.integers(1, 4), max_size=3), st.booleans(), st.data())
def test_orders_as_in_pytorch(shape, descending, data):
    torch = pytest.importorskip("torch")
    x = np.asarray(distinct(*shape))
    axis = data.draw(st.integers(-max(len(shape), 1), max(len(shape), 1) - 1))
    ours, theirs = od.sort(x, axis, descending), torch.tensor(x).sort(axis, descending)
    assert np.array_equal(ours.values, theirs.values)
    assert np.array_equal(ours.indices, theirs.indices)
    k = data.draw(st.integers(0, shape[axis] if shape else 1))
    if shape:
        ours, theirs = od.topk(x, k, axis, descending), torch.tensor(x).topk(k, axis, descending)
        assert np.array_equal(ours.values, theirs.values)
        assert np.array_equal(ours.indices, theirs.indices)


@pytest.mark.peers
def test_unique_as_in_pytorch():
    torch = pytest.importorskip("torch")
    x = np.array([[3, 1, 3], [1, 1, 2], [3, 1, 3]])
    for options in ({}, {"dim": 0}, {"dim": 1}):
        ours = od.unique(tj.tensor(x), return_inverse=True, return_counts=True, **options)
        theirs = torch.unique(torch.tensor(x), return_inverse=True, return_counts=True, **options)
        for a, b in zip(ours, theirs, strict=True):
            assert np.array_equal(a.array, b)
    assert np.array_equal(od.unique(x), [1, 2, 3])


# ------------------------------------------------------------------------------------------------ errors

X = tj.ones(2, 3)


@pytest.mark.optimisation("slices")
@pytest.mark.optimisation("cotangents")
def test_many_slices_of_one_array_cost_no_more_than_it():
    """The gradient of each slice is added in its place: one array of the whole size, not one for each."""
    x = tj.tensor(np.ones((500, 2000), np.float32), requires_grad=True)
    loss = sum((row * k).sum() for k, row in enumerate(x))
    tracemalloc.start()
    try:
        loss.backward()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (x.grad.array == np.arange(500)[:, None]).all()
    assert peak < 2.5 * x.array.nbytes  # 1.0 for the gradient; the second array would be that of one slice


@pytest.mark.parametrize("twice", ["slices that overlap", "slices and the whole", "slices and rows by number"])
def test_slices_beside_other_uses(twice):
    def function(x):
        parts = [x[1:], x[::2, 1], x[..., 0], x[None, 2]]
        if twice == "slices and the whole":
            parts = [x * x, *parts, x.T]
        elif twice == "slices and rows by number":
            parts = [*parts, x[[0, 2, 2]], x[0]]
        return sum((p**2).sum() * k for k, p in enumerate(parts, 1))

    check(function, randn(3, 4))


ERRORS = [
    (lambda: X[2], IndexError, "index 2 is out of bounds for axis 0 with size 2"),
    (lambda: X[:, -4], IndexError, "index -4 is out of bounds for axis 1 with size 3"),
    (lambda: X[[0, 5]], IndexError, "index 5 is out of bounds for axis 0 with size 2"),
    (lambda: X[:, [0, 3]], IndexError, "index 3 is out of bounds for axis 1 with size 3"),
    (lambda: X[[0, 1], [0, 3]], IndexError, "index 3 is out of bounds for axis 1 with size 3"),
    (lambda: X[0, 0, 0], IndexError, r"too many indices: 3 for the 2 axes of shape \(2, 3\)"),
    (lambda: X[..., 0, ...], IndexError, "one Ellipsis"),
    (lambda: X[1.0], IndexError, "not of float"),
    (lambda: X[tj.tensor(1.0)], IndexError, "not of float32"),
    (lambda: X["a"], IndexError, "not of str"),
    (lambda: X[tj.tensor([0.0, 1.0])], IndexError, "not of float32"),
    (lambda: X[np.array([True, False, True])], IndexError, r"mask of shape \(3,\) does not fit the axes 0 to 0"),
    (lambda: X[[0, 1], [0, 1, 2]], IndexError, r"shapes \(2,\) and \(3,\) in one index do not broadcast"),
    (lambda: ix.setitem(X, tj.ones(2), index=(0,)), ShapeError, r"shape \(2,\) does not fit the shape \(3,\)"),
    (lambda: ix.setitem(X, 1.0, index=(2,)), IndexError, "index 2 is out of bounds for axis 0"),
    (lambda: tj.bincount(np.array([-1]), tj.ones(1)), ValueError, "from 0 on, not -1"),
    (lambda: tj.bincount(np.array([1, 2]), tj.ones(1)), ShapeError, r"\(2,\) and weights of shape \(1,\)"),
    (lambda: se.gather(X, 1, np.array([0])), ShapeError, "as many axes"),
    (lambda: se.gather(X, 1, np.zeros((3, 1), int)), ShapeError, r"shape \(3, 1\) does not fit shape \(2, 3\)"),
    (lambda: se.gather(X, 1, np.array([[3]])), IndexError, "gather: index 3 is out of range for axis 1 of size 3"),
    (lambda: se.gather(X, 0, np.array([[0.5]])), TypeError, "integers as positions, not float64"),
    (lambda: se.take_along_axis(X, np.zeros((3, 1), int), 1), ShapeError, "do not broadcast beside axis 1"),
    (lambda: se.take(X, [6]), IndexError, "index 6 is out of range for axis 0 of size 6"),
    (lambda: se.index_select(X, 0, np.array([-3])), IndexError, "index -3 is out of range for axis 0 of size 2"),
    *(
        (lambda f=f: f(tj.tensor(1.0)), IndexError, "entries along an axis, and a number has none")
        for f in (
            lambda x: tj.chunk(x, 2),
            lambda x: tj.split(x, 1),
            tj.unbind,
            lambda x: tj.tensor_split(x, 1),
            lambda x: np.split(x, 1),
            lambda x: tj.unflatten(x, 0, (1,)),
            lambda x: tj.narrow(x, 0, 0, 1),
            lambda x: tj.repeat_interleave(x, 2, 0),
            lambda x: tj.tensordot(x, x, 1),
            lambda x: tj.searchsorted(x, x),
            lambda x: se.embedding(np.array([0]), x),
            lambda x: tj.take_along_dim(x, np.array(0), 0),
        )
    ),
    (lambda: se.index_select(X[0, 0], 0, np.array([0])), IndexError, r"take .* a number has none: reshape\(1\)"),
    (lambda: se.index_fill(X[0, 0], 0, np.array([0]), 1.0), IndexError, "index_fill takes entries along an axis"),
    (lambda: se.select(X, 0, 2), IndexError, "index 2"),
    (lambda: se.narrow(X, 1, 2, 2), IndexError, "2 entries from 2 on are not within axis 1"),
    (lambda: se.scatter(X, 0, np.zeros((2, 3), int), tj.ones(1, 3)), ShapeError, "has not an entry for each index"),
    (lambda: se.scatter_add(X, 0, np.array([[2]]), tj.ones(1, 1)), IndexError, "index 2 is out of range for axis 0"),
    (lambda: se.index_add(X, 0, np.array([0]), tj.ones(2, 3)), ShapeError, r"expected \(1, 3\)"),
    (lambda: se.embedding(np.array([0, 2]), X), IndexError, "row 2 of a table of 2 rows"),
    (lambda: se.embedding(np.array([-1]), X), IndexError, "row -1"),
    (lambda: se.one_hot(np.array([3]), 3), ValueError, "3 is not a class of 3"),
    (lambda: se.masked_fill(X, np.ones((2, 3)), 0.0), TypeError, "mask of bools, not float64"),
    (lambda: se.masked_select(X, np.ones(2, bool)), ShapeError, "do not broadcast"),
    (lambda: od.topk(X, 4), ValueError, "4 entries were asked for"),
    (lambda: od.sort(X, 2), IndexError, "axis 2 is out of range"),
]


@pytest.mark.parametrize("call, error, message", ERRORS)
def test_errors_say_what_was_wrong(call, error, message):
    with pytest.raises(error, match=message):
        call()
