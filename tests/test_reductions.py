"""Reductions: against NumPy and PyTorch, their conventions at ties, zeros and nothing, and the textbook's rows."""

from __future__ import annotations

import math
from types import SimpleNamespace

import kit
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_jac as tj
from tinygrad_jac.errors import ShapeError
from tinygrad_jac.rules import extrema, norms, reductions, running

R = SimpleNamespace(**{k: v for room in (reductions, extrema, norms, running) for k, v in vars(room).items()})

INF, NAN = math.inf, math.nan


def grad(fn, *values, dtype=np.float64):
    """The gradient of a scalar function of one tensor."""
    x = tj.tensor(np.array(*values, dtype=dtype), requires_grad=True)
    fn(x).backward()
    return x.grad.array


def statement(fn, x):
    """The Jacobian that the primitive states of a function that is one primitive of a leaf."""
    out = fn(tj.tensor(np.asarray(x, dtype=np.float64), requires_grad=True))
    return out.node.primitive.statement(out.node, 0)


# ------------------------------------------------------------------------------------------------ generated

# name: (the function, of x, axis, keepdims; the same in NumPy; generator of entries at which it is smooth)
REDUCTIONS = {
    "sum": (R.sum, np.sum, kit.randn),
    "mean": (R.mean, np.mean, kit.randn),
    "var": (lambda x, **k: R.var(x, correction=0, **k), np.var, kit.randn),
    "amax": (R.amax, np.max, kit.distinct),
    "amin": (R.amin, np.min, kit.distinct),
    "prod": (R.prod, np.prod, kit.randn),
    "logsumexp": (R.logsumexp, lambda x, **k: np.log(np.sum(np.exp(x), **k)), kit.randn),
    "norm": (R.norm, lambda x, **k: np.sqrt(np.sum(x**2, **k)), kit.randn),
    "norm 1": (lambda x, **k: R.norm(x, 1, **k), lambda x, **k: np.sum(np.abs(x), **k), kit.randn),
    "norm 3": (lambda x, **k: R.norm(x, 3, **k), lambda x, **k: np.cbrt(np.sum(np.abs(x) ** 3, **k)), kit.randn),
    "norm inf": (lambda x, **k: R.norm(x, INF, **k), lambda x, **k: np.max(np.abs(x), **k), kit.distinct),
    "nansum": (R.nansum, np.nansum, kit.randn),
}


@st.composite
def reduced(draw, min_ndim=0, max_side=3):
    """A shape, axes of it (None, one, or several, from either end), keepdims."""
    shape = tuple(draw(st.lists(st.integers(1, max_side), min_size=min_ndim, max_size=3)))
    axes = st.none()
    if shape:
        one = st.integers(-len(shape), len(shape) - 1)
        several = st.lists(st.integers(0, len(shape) - 1), min_size=1, unique=True).map(tuple)
        axes = st.one_of(st.none(), one, several)
    return shape, draw(axes), draw(st.booleans())


@pytest.mark.parametrize("name", REDUCTIONS)
@settings(max_examples=15)
@given(reduced())
def test_rules(name, case):
    fn, _, numbers = REDUCTIONS[name]
    shape, axis, keepdims = case
    kit.check(lambda x: fn(x, axis=axis, keepdims=keepdims), np.array(numbers(*shape)), step=2e-3)


@pytest.mark.parametrize("name", REDUCTIONS)
@given(reduced())
def test_values(name, case):
    fn, in_numpy, numbers = REDUCTIONS[name]
    shape, axis, keepdims = case
    x = np.array(numbers(*shape))
    expected = in_numpy(x, axis=axis, keepdims=keepdims)
    found = fn(tj.tensor(x), dim=axis, keepdim=keepdims)
    assert isinstance(found, tj.Tensor)
    np.testing.assert_allclose(found.array, expected, rtol=1e-13)
    plain = fn(x, axis=axis, keepdims=keepdims)
    assert not isinstance(plain, tj.Tensor)
    np.testing.assert_allclose(plain, expected, rtol=1e-13)


@pytest.mark.parametrize("function", [np.sum, np.mean, np.var, np.std, np.max, np.amin, np.prod, np.linalg.norm])
@settings(max_examples=10)
@given(reduced(min_ndim=1))
def test_numpy_functions_on_tensors(function, case):
    shape, axis, keepdims = case
    if function is np.linalg.norm and axis is None and len(shape) > 2:
        axis = 0
    if function is np.linalg.norm and isinstance(axis, tuple) and len(axis) > 2:
        axis = axis[:2]
    x = kit.randn(*shape)
    found = function(tj.tensor(x, requires_grad=True), axis=axis, keepdims=keepdims)
    assert found.requires_grad
    np.testing.assert_allclose(found.detach().array, function(x, axis=axis, keepdims=keepdims), rtol=1e-13)


@pytest.mark.parametrize("name", ["max", "min", "median"])
@settings(max_examples=15)
@given(st.lists(st.integers(1, 4), min_size=0, max_size=3).map(tuple), st.integers(0, 2), st.booleans())
def test_values_and_indices(name, shape, axis, keepdims):
    axis = min(axis, max(len(shape) - 1, 0)) - len(shape) if shape else 0
    fn = getattr(R, name)
    x = np.array(kit.distinct(*shape))
    kit.check(lambda x: fn(x, axis, keepdims)[0], x)
    values, indices = fn(tj.tensor(x, requires_grad=True), axis, keepdims)
    assert (values.shape, indices.node, indices.dtype) == (indices.shape, None, np.int64)
    picked = (
        x if not shape else np.take_along_axis(x, np.reshape(indices.array, np.max(x, axis, keepdims=True).shape), axis)
    )
    assert np.array_equal(np.ravel(picked), np.ravel(values.detach().array))
    with_numpy = {"max": np.max, "min": np.min}.get(name)
    if with_numpy:
        assert np.array_equal(values.detach().array, with_numpy(x, axis, keepdims=keepdims and bool(shape)))
    plain = fn(x, axis, keepdims)
    assert np.array_equal(plain.indices, indices.array)
    assert not isinstance(plain.values, tj.Tensor)


@pytest.mark.parametrize("shape, axis", [((4,), 0), ((2, 3), 0), ((2, 3), -1), ((2, 3, 2), 1), ((2, 3), None), ((), 0)])
@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
def test_running(name, shape, axis):
    fn, in_numpy = getattr(R, name), getattr(np, name)
    x = np.array(kit.randn(*shape))
    kit.check(lambda x: fn(x, axis), x)
    expected = in_numpy(x, axis) if shape else x
    np.testing.assert_allclose(fn(x, axis), expected, rtol=1e-14)
    np.testing.assert_allclose(fn(tj.tensor(x), dim=axis).array, expected, rtol=1e-14)
    if shape:
        np.testing.assert_allclose(in_numpy(tj.tensor(x), axis).array, expected, rtol=1e-14)


@pytest.mark.parametrize("correction", [0, 1, 0.5])
@pytest.mark.parametrize("shape, axis", [((4,), None), ((3, 4), 1), ((2, 3, 2), (0, -1))])
def test_var_and_std(shape, axis, correction):
    x = kit.randn(*shape)
    kit.check(lambda x: R.var(x, axis, correction=correction), x, step=2e-3)
    kit.check(lambda x: R.std(x, axis, correction=correction), x, step=2e-3, rtol=1e-7)
    np.testing.assert_allclose(R.var(x, axis, correction=correction), np.var(x, axis, ddof=correction))
    np.testing.assert_allclose(R.std(x, axis, correction=correction), np.std(x, axis, ddof=correction))


# ------------------------------------------------------------------------------------------------ against PyTorch

IN_TORCH = {
    "sum": lambda m, x: m.sum(x, 1),
    "sum of all": lambda m, x: m.sum(x),
    "mean": lambda m, x: m.mean(x, (0, 2), keepdim=True),
    "var": lambda m, x: m.var(x),
    "var dim": lambda m, x: m.var(x, 1, False, True),
    "var biased": lambda m, x: m.var(x, False),
    "var unbiased=": lambda m, x: m.var(x, dim=2, unbiased=True),
    "std": lambda m, x: m.std(x, (0, 1), correction=0),
    "std biased": lambda m, x: m.std(x, unbiased=False),
    "var_mean": lambda m, x: sum(m.var_mean(x)),
    "std_mean": lambda m, x: m.std_mean(x, 1, keepdim=True)[0],
    "amax": lambda m, x: m.amax(x, (0, 1)),
    "amin": lambda m, x: m.amin(x, dim=-1, keepdim=True),
    "max": lambda m, x: m.max(x),
    "max dim": lambda m, x: m.max(x, 1)[0],
    "max keepdim": lambda m, x: m.max(x, dim=-1, keepdim=True).values,
    "max of two": lambda m, x: m.max(x, x * x),
    "max other": lambda m, x: m.max(x, other=x * x),
    "min": lambda m, x: m.min(x),
    "min dim": lambda m, x: m.min(x, 0).values,
    "min of two": lambda m, x: m.min(x, x * x),
    "median": lambda m, x: m.median(x),
    "median dim": lambda m, x: m.median(x, 2).values,
    "prod": lambda m, x: m.prod(x),
    "prod dim": lambda m, x: m.prod(x, 1, True),
    "logsumexp": lambda m, x: m.logsumexp(x, (0, 2)),
    "cumsum": lambda m, x: m.cumsum(x, 1),
    "cumprod": lambda m, x: m.cumprod(x, dim=0),
    "norm": lambda m, x: m.norm(x),
    "norm fro": lambda m, x: m.norm(x, "fro", dim=(0, 1)),
    "norm 2.5": lambda m, x: m.norm(x, 2.5, 1, True),
    "norm -2": lambda m, x: m.norm(x, p=-2, dim=1),
    "norm 0.5": lambda m, x: m.norm(x, p=0.5),
    "norm inf": lambda m, x: m.norm(x, math.inf, 2),
    "norm -inf": lambda m, x: m.norm(x, -math.inf, 2),
    "dist": lambda m, x: m.dist(x, x[0], 3),
    "nansum": lambda m, x: m.nansum(x, 1),
}


@pytest.mark.peers
@pytest.mark.parametrize("name", IN_TORCH)
def test_against_torch(name):
    torch = pytest.importorskip("torch")
    fn = IN_TORCH[name]
    kit.compare_with_torch(lambda x: fn(R, x), lambda x: fn(torch, x), kit.distinct(2, 3, 5))


@pytest.mark.peers
@pytest.mark.parametrize("name", ["vector_norm", "matrix_norm", "norm"])
@pytest.mark.parametrize("ord", [None, 1, -1, INF, -INF, 2, -2, "nuc"])
def test_linalg_norms_against_torch(name, ord):
    torch = pytest.importorskip("torch")
    if name == "vector_norm" and ord == "nuc":
        with pytest.raises(ValueError, match="p='nuc' is not available"):
            tj.linalg.vector_norm(tj.ones(2), ord)
        return
    ours, theirs = getattr(tj.linalg, name), getattr(torch.linalg, name)
    given = {} if ord is None else {"ord": ord}
    axes = {"dim": (0, 2)} if name != "vector_norm" else {"dim": 1}
    x = kit.distinct(2, 3, 5)
    for more in ({}, {"keepdim": True}):
        given.update(axes, **more)
        kit.compare_with_torch(lambda x: ours(x, **given), lambda x: theirs(x, **given), x)


CHOOSING = [
    lambda m, x: m.max(x),
    lambda m, x: m.min(x),
    lambda m, x: m.max(x, 0)[0],
    lambda m, x: m.min(x, 0)[0],
    lambda m, x: m.median(x),
]
KINKED = [
    lambda m, x: m.std(x, correction=0),
    *[lambda m, x, p=p: m.norm(x, p) for p in (2, 1, INF, -INF, 0.5, 1.5, 2.5, 3, -1)],
    lambda m, x: m.prod(x),
    lambda m, x: m.sum(m.cumprod(x, 0)),
]
TIES = [[1.0, 3, 3, 2], [0.0, 0, 0], [2.0, 2, 2, 2], [-3.0, 3, 0, -3], [0.0, 2, 3], [5.0]]


@pytest.mark.peers
@pytest.mark.parametrize(
    "fn, values", [(fn, x) for fn in CHOOSING + KINKED for x in TIES] + [(fn, [1.0, NAN, 3, NAN]) for fn in CHOOSING]
)
def test_conventions_at_ties_and_zeros_are_those_of_torch(fn, values):
    torch = pytest.importorskip("torch")
    x = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    expected = fn(torch, x)
    expected.backward()
    np.testing.assert_allclose(fn(R, np.array(values)), expected.item(), rtol=1e-12)
    np.testing.assert_allclose(grad(lambda x: fn(R, x), values), x.grad.numpy(), rtol=1e-12, atol=1e-15)


# ------------------------------------------------------------------------------------------------ the textbook's rows


def test_sum_has_a_row_of_ones():
    assert np.array_equal(statement(R.sum, np.ones(3)).dense(), [[1, 1, 1]])
    by_row = statement(lambda x: R.sum(x, 1), np.ones((2, 3)))
    assert np.array_equal(by_row.dense(), [[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]])
    assert by_row.structure == "selectionᵀ"
    assert by_row.nnz == 6


def test_mean_var_and_std():
    x = np.array([1.0, 2.0, 6.0])  # mean 3, squares 4 + 1 + 9 = 14
    assert np.allclose(statement(R.mean, x).dense(), [[1 / 3, 1 / 3, 1 / 3]])
    assert np.allclose(statement(R.var, x).dense(), [[-2, -1, 3]])  # 2 (x - 3) / 2
    assert np.allclose(statement(R.std, x).dense(), np.array([[-2, -1, 3]]) / (2 * math.sqrt(7)))
    assert statement(R.var, x).structure == "selectionᵀ · diagonal"


def test_logsumexp_has_the_softmax():
    x = np.log([1.0, 2.0, 5.0])
    assert R.logsumexp(x) == pytest.approx(math.log(8))
    assert np.allclose(statement(R.logsumexp, x).dense(), [[1 / 8, 2 / 8, 5 / 8]])


def test_norm_has_the_unit_vector():
    assert np.allclose(statement(R.norm, [3.0, -4.0]).dense(), [[0.6, -0.8]])
    assert np.allclose(grad(lambda x: R.norm(x, 1), [3.0, -4.0]), [1, -1])
    assert np.allclose(grad(lambda x: R.norm(x, 3), [1.0, -2.0]), np.array([1, -4]) / 9 ** (2 / 3))


def test_products_of_the_others():
    assert np.array_equal(statement(R.prod, [2.0, 3.0, 5.0]).dense(), [[15, 10, 6]])
    assert np.array_equal(statement(R.prod, [2.0, 0.0, 5.0]).dense(), [[0, 10, 0]])
    assert np.array_equal(statement(R.prod, [0.0, 0.0, 5.0]).dense(), [[0, 0, 0]])


def test_cumsum_is_lower_triangular_and_cumprod_its_product_rule():
    J = statement(lambda x: R.cumsum(x, 0), np.ones(3))
    assert np.array_equal(J.dense(), [[1, 0, 0], [1, 1, 0], [1, 1, 1]])
    assert "kron" in statement(lambda x: R.cumsum(x, 0), np.ones((3, 2))).structure
    J = statement(lambda x: R.cumprod(x, 0), [2.0, 3.0, 5.0])
    assert np.array_equal(J.dense(), [[1, 0, 0], [3, 2, 0], [15, 10, 6]])


# ------------------------------------------------------------------------------------------------ ties, zeros, nan


def test_all_the_largest_share():
    assert np.array_equal(grad(R.max, [1.0, 3, 3, 2]), [0, 0.5, 0.5, 0])
    assert np.array_equal(grad(R.amax, [1.0, 3, 3, 2]), [0, 0.5, 0.5, 0])
    assert np.array_equal(grad(R.min, [1.0, 0, 0, 0]), np.array([0, 1, 1, 1]) / 3)
    assert np.array_equal(grad(lambda x: R.sum(R.amin(x, 1)), [[2.0, 2], [5, 2]]), [[0.5, 0.5], [0, 1]])
    assert np.array_equal(grad(R.median, [1.0, 3, 3, 3]), np.array([0, 1, 1, 1]) / 3)


def test_the_first_of_the_largest_along_an_axis():
    values, indices = R.max(tj.tensor([[1.0, 3, 3], [2, 2, 2]]), dim=1)
    assert values.tolist() == [3, 2]
    assert indices.tolist() == [1, 0]
    assert np.array_equal(grad(lambda x: R.max(x, 0).values, [1.0, 3, 3, 2]), [0, 1, 0, 0])
    assert np.array_equal(grad(lambda x: R.min(x, 0).values, [1.0, 0, 0, 2]), [0, 1, 0, 0])


def test_max_of_two_arrays_is_maximum():
    x, y = tj.tensor([1.0, 5.0]), tj.tensor([3.0, 2.0])
    assert R.max(x, y).tolist() == R.max(x, other=y).tolist() == [3, 5]
    assert R.min(x, y.array).tolist() == [1, 2]


def test_nan_is_the_largest_and_takes_the_cotangent():
    x = [1.0, NAN, 3.0, NAN]
    for fn in (R.max, R.amax, R.amin, R.median):
        assert np.isnan(fn(np.array(x)))
        assert np.array_equal(grad(fn, x), [0, 0.5, 0, 0.5])
    for fn in (R.max, R.min, R.median):
        values, indices = fn(tj.tensor(x), 0)
        assert np.isnan(values.item())
        assert indices.item() == 1


def test_lower_median():
    assert R.median(np.array([4.0, 1.0, 3.0, 2.0])) == 2
    assert R.median(tj.tensor([[4.0, 1.0, 3.0, 2.0]]), 1).indices.tolist() == [3]
    assert R.median(np.array([[3.0], [1.0], [2.0]]), keepdims=True).shape == (1, 1)


def test_subgradients_at_zero_spread():
    assert np.array_equal(grad(R.std, [2.0, 2, 2]), [0, 0, 0])
    for p in (0.5, 1, 1.5, 2, 2.5, 3, INF):
        assert np.array_equal(grad(lambda x, p=p: R.norm(x, p), [0.0, 0]), [0, 0])
    kit.check(lambda x: R.norm(x, 2), np.array([3.0, 0.0, -4.0]))  # zeros within are no kink of the 2-norm
    kit.check(lambda x: R.norm(x, 3, 1), np.array([[3.0, 0.0, -4.0]]), second=False, step=1e-3, rtol=1e-4)


def test_products_with_zeros_to_second_order():
    for x in ([0.0, 2, 3], [0.0, 2, 0, 3], [0.0, 0, 0], [[1.0, 0], [2, 3]]):
        kit.check(lambda x: R.prod(x), np.array(x))
        kit.check(lambda x: R.prod(x, -1), np.array(x))
        kit.check(lambda x: R.cumprod(x, 0), np.array(x))
        kit.check(lambda x: R.cumprod(x, -1), np.array(x))


def test_products_where_dividing_would_underflow():
    assert np.array_equal(grad(R.prod, [1e-200, 1e-200, 1e200]), [1, 1, 0])


# ------------------------------------------------------------------------------------------------ stability, dtypes


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logsumexp_is_stable(dtype):
    x = tj.tensor(np.array([[1e4, 1e4], [-1e4, -1e4], [1e4, -1e4]], dtype=dtype), requires_grad=True)
    out = R.logsumexp(x, 1)
    assert out.dtype == dtype
    np.testing.assert_allclose(out.detach().array, [1e4 + math.log(2), -1e4 + math.log(2), 1e4], rtol=1e-7)
    out.backward(np.ones(3, dtype=dtype))
    np.testing.assert_allclose(x.grad.array, [[0.5, 0.5], [0.5, 0.5], [1, 0]])


def test_logsumexp_of_nothing_but_minus_infinity():
    x = tj.tensor(np.array([[-INF, -INF], [0.0, -INF]]), requires_grad=True)
    out = R.logsumexp(x, 1)
    assert out.tolist() == [-INF, 0]
    (g,) = tj.autograd.grad(out, [x], np.ones(2), create_graph=True)
    assert np.array_equal(g.array, [[0, 0], [1, 0]])
    (h,) = tj.autograd.grad(g.sum(), [x])
    assert np.array_equal(h.array, np.zeros((2, 2)))
    assert np.array_equal(statement(lambda x: R.logsumexp(x, 1), x.array).dense(), [[0, 0, 0, 0], [0, 0, 1, 0]])


def test_variance_does_not_cancel():
    assert R.var(np.array([1e8, 1e8 + 1, 1e8 + 2])) == 1


def test_integers():
    x = tj.tensor([3, 1, 2])
    assert R.sum(x).dtype == R.prod(x).dtype == R.cumsum(x, 0).dtype == np.int64
    assert R.sum(tj.tensor([True, True])).item() == 2
    assert R.max(x).item() == 3
    assert R.amax(x).dtype == R.median(x).dtype == np.int64
    assert R.logsumexp(x).dtype == tj.float32
    assert R.mean(x, dtype=tj.float32).item() == 2
    assert R.sum(tj.tensor([0.5], requires_grad=True), dtype=tj.float64).dtype == np.float64
    for fn in (R.mean, R.var, R.std, R.norm):
        with pytest.raises(TypeError, match=r"of int64 entries is not an integer: convert them first"):
            fn(x)


def test_other_memory_layouts():
    x = kit.randn(4, 6)
    for y in (x.T, x[::-1, ::2], x.astype(">f8"), np.broadcast_to(x[0], (3, 6))):
        for fn in (R.sum, R.mean, R.var, R.amax, R.logsumexp, R.norm, R.prod):
            np.testing.assert_allclose(fn(tj.as_tensor(y), 1).array, fn(np.array(y, dtype=float), 1), rtol=1e-13)


# ------------------------------------------------------------------------------------------------ nothing, and errors


def test_nothing():
    none = np.zeros((0, 3))
    assert R.sum(none) == 0
    assert R.sum(tj.tensor(none), 0).tolist() == [0, 0, 0]
    assert R.prod(none, 0).tolist() == [1, 1, 1]
    assert R.cumsum(none, 0).shape == R.cumprod(none, 0).shape == R.cumprod(none, 1).shape == (0, 3)
    assert R.logsumexp(none, 0).tolist() == [-INF] * 3
    assert R.norm(none) == 0
    assert np.isnan([R.mean(none), R.var(none), R.std(none)]).all()
    assert R.amax(none, 1).shape == R.max(none, 1).values.shape == (0,)
    for fn in (R.sum, R.mean, R.var, R.prod, R.logsumexp, R.norm, lambda x: R.sum(R.cumprod(x, 0))):
        assert grad(fn, none).shape == (0, 3)
    for fn in (R.amax, R.amin, R.median, lambda x: R.max(x, 0), lambda x: R.median(x, 0)):
        with pytest.raises(ShapeError, match=r"shape \(0, 3\) has no entries along axes"):
            fn(none)


def test_too_few_entries_for_the_correction():
    for fn in (R.var, R.std):
        assert np.isnan(fn(tj.tensor([2.0])).item())
        assert np.isnan(fn(np.array([2.0, 3.0]), correction=3))
        assert np.isnan(grad(fn, [2.0])).all()


def test_errors():
    x = tj.ones(2, 3)
    with pytest.raises(IndexError, match="axis 2 is out of range for 2 axes: expected -2 to 1"):
        R.sum(x, 2)
    with pytest.raises(ValueError, match="more than once"):
        R.mean(x, (0, -2))
    with pytest.raises(ValueError, match="p='nuc' is not available"):
        R.norm(x, "nuc")
    with pytest.raises(ValueError, match="ord=3 needs one axis or two, not 3"):
        tj.linalg.norm(tj.ones(2, 2, 2), 3)
    with pytest.raises(ValueError, match="ord=3 is not one of 'fro', 'nuc'"):
        tj.linalg.matrix_norm(x, 3)


# ------------------------------------------------------------------------------------------------ not differentiable


def test_unrecorded():
    x = np.array([[0.0, 2.0, 2.0], [3.0, 0.0, 1.0]])
    t = tj.tensor(x, requires_grad=True)
    for name in ("argmax", "argmin", "all", "any", "count_nonzero"):
        fn, in_numpy = getattr(R, name), getattr(np, name)
        for axis, keepdims in [(None, False), (0, False), (-1, True), (None, True)]:
            expected = in_numpy(x, axis=axis, keepdims=keepdims)
            for found in (
                fn(t, axis, keepdims),
                fn(t, dim=axis, keepdim=keepdims),
                in_numpy(t, axis=axis, keepdims=keepdims),
            ):
                assert found.node is None
                assert found.dtype == np.asarray(expected).dtype
                assert np.array_equal(found.array, expected)
            assert np.array_equal(fn(x, axis, keepdims), expected)
    assert R.all(t, dim=(0, 1)).item() is False


def test_comparisons_as_a_whole():
    x, y = tj.tensor([1.0, NAN], requires_grad=True), tj.tensor([1.0 + 1e-7, NAN])
    assert R.isclose(x, y).tolist() == [True, False]
    assert R.allclose(x, y) is np.allclose(x, y) is False
    assert R.allclose(x, y, equal_nan=True) is np.allclose(x, y, equal_nan=True) is True
    assert R.allclose(x[:1], [2.0], rtol=0.6) is True
    assert R.array_equal(x, x) is False
    assert R.array_equal(x, x, equal_nan=True) is np.array_equal(x, x, equal_nan=True) is True
    assert R.array_equal(tj.ones(2), tj.ones(3)) is False


def test_integers_stay_exact():
    large = 2**24 + 1  # not a float32
    assert tj.nansum(tj.tensor([large, 0])).item() == large
    x, index = tj.tensor([-5, 7]), tj.tensor([0, 0])
    for reduce, expected in (("amax", [large, 7]), ("amin", [-5, 7])):
        out = x.scatter_reduce(0, index, tj.tensor([large, 3]), reduce)
        assert (out.dtype, out.tolist()) == (tj.int64, expected)
    assert x.scatter_reduce(0, index, tj.tensor([1, 3]), "amax", include_self=False).tolist() == [3, 7]


def test_the_mode_of_many():
    x = kit.rng(0).integers(0, 50, (3, 400))
    values, positions = tj.mode(tj.tensor(x))
    for row, value, position in zip(x, values.tolist(), positions.tolist()):
        counts = np.bincount(row)
        assert value == counts.argmax()
        assert position == np.flatnonzero(row == value)[-1]
    assert tj.mode(tj.randn(100_000)).values.shape == ()  # a table of all pairs would be 10 GB


def test_the_range_of_a_histogram():
    assert tj.histc(tj.tensor([1.0, 2.0, 3.0]), 4, 1.0, 1.0).tolist() == [1.0, 0.0, 1.0, 1.0]
