"""Pooling and resampling: values by hand, ties and NaN, rules, statements, PyTorch."""

from __future__ import annotations

import functools

import kit
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_jac as tj
from tinygrad_jac.errors import ShapeError
from tinygrad_jac.jacobians import Selection
from tinygrad_jac.rules import pooling as P

MAX = {1: P.max_pool1d, 2: P.max_pool2d, 3: P.max_pool3d}
AVG = {1: P.avg_pool1d, 2: P.avg_pool2d, 3: P.avg_pool3d}
ADAPTIVE_AVG = {1: P.adaptive_avg_pool1d, 2: P.adaptive_avg_pool2d, 3: P.adaptive_avg_pool3d}
ADAPTIVE_MAX = {1: P.adaptive_max_pool1d, 2: P.adaptive_max_pool2d}


@st.composite
def windows(draw, largest=4, ndims=(1, 2), dilated=True):
    """The shape of an input, and options of a window that fits into it."""
    ndim = draw(st.sampled_from(ndims))

    def each(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(ndim))

    kernel, stride, dilation = each(1, 3), each(1, 3), each(1, 2 if dilated else 1)
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation)]
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    sizes = tuple(draw(st.integers(max(1, r - p), max(largest, r))) for r, p in zip(reach, padding))
    options = dict(kernel_size=kernel, stride=stride, padding=padding, ceil_mode=draw(st.booleans()))
    if dilated:
        options["dilation"] = dilation
    return (*draw(st.sampled_from([(1, 2), (2, 1)])), *sizes), options


# ------------------------------------------------------------------------------------------------ maximum


@given(windows())
@settings(max_examples=20)
def test_max_pool(case):
    shape, options = case
    kit.check(lambda x: MAX[len(shape) - 2](x, **options), kit.distinct(*shape), expect="max_pool")


def test_max_pool_in_one_and_three_dimensions_and_without_batch():
    kit.check(lambda x: P.max_pool1d(x, 2), kit.distinct(2, 2, 5))
    kit.check(lambda x: P.max_pool3d(x, 2, stride=1), kit.distinct(1, 2, 2, 3, 2), second=False)
    kit.check(lambda x: P.max_pool2d(x, 2), kit.distinct(2, 4, 4))


def test_max_pool_by_hand():
    x = np.array([[[[1.0, 2.0, 3.0, 0.0], [4.0, 0.0, 0.0, 5.0], [9.0, 8.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]]]])
    out, where = P.max_pool2d(x, 2, return_indices=True)
    assert np.array_equal(out, [[[[4.0, 5.0], [9.0, 1.0]]]])
    assert np.array_equal(where, [[[[4, 7], [8, 10]]]])
    assert where.dtype == np.int64
    t = tj.tensor(x, requires_grad=True)
    out, where = P.max_pool2d(t, 2, return_indices=True)
    out.backward(np.array([[[[1.0, 2.0], [3.0, 4.0]]]]))
    assert np.array_equal(t.grad.array[0, 0], [[0, 0, 0, 0], [1, 0, 0, 2], [3, 0, 4, 0], [0, 0, 0, 0]])
    assert isinstance(where, tj.Tensor)
    assert not where.requires_grad


def test_an_entry_that_wins_in_several_windows_receives_their_sum():
    t = tj.tensor([[0.0, 3.0, 1.0, 2.0]], requires_grad=True)
    P.max_pool1d(t, 2, stride=1).backward(tj.tensor([[1.0, 10.0, 100.0]]))
    assert np.array_equal(t.grad.array, [[0.0, 11.0, 0.0, 100.0]])


def test_of_equal_entries_the_first_row_by_row_wins():
    t = tj.tensor(np.ones((1, 4, 4)), requires_grad=True)
    out, where = P.max_pool2d(t, 2, return_indices=True)
    out.sum().backward()
    assert np.array_equal(t.grad.array[0], np.kron(np.ones((2, 2)), [[1, 0], [0, 0]]))
    assert np.array_equal(where.array[0], [[0, 2], [8, 10]])


def test_nan_is_the_maximum():
    x = np.array([[1.0, np.nan, 3.0, 4.0, 5.0, 6.0]])
    out, where = P.max_pool1d(x, 2, return_indices=True)
    assert np.array_equal(out, [[np.nan, 4.0, 6.0]], equal_nan=True)
    assert np.array_equal(where, [[1, 3, 5]])
    t = tj.tensor(x, requires_grad=True)
    P.max_pool1d(t, 3).sum().backward()
    assert np.array_equal(t.grad.array, [[0, 1, 0, 0, 0, 1]])


def test_a_cotangent_that_is_not_finite_reaches_the_maximum_alone():
    t = tj.tensor([[1.0, 2.0, 3.0, 4.0]], requires_grad=True)
    P.max_pool1d(t, 2).backward(tj.tensor([[np.inf, np.nan]]))
    assert np.array_equal(t.grad.array, [[0.0, np.inf, 0.0, np.nan]], equal_nan=True)


def test_padding_never_is_the_maximum():
    x = np.full((1, 1, 2, 2), -np.inf)
    out, where = P.max_pool2d(x, 3, stride=2, padding=1, return_indices=True)
    assert np.isneginf(out).all()
    assert np.array_equal(where, [[[[0]]]])
    assert np.array_equal(P.max_pool1d(np.array([[-5, -3, -7]]), 2, padding=1), [[-5, -3]])


def test_many_taps():
    """More than 256 taps do not fit into the one byte that a small window takes for its winner."""
    x = kit.distinct(1, 20, 20)
    out, where = P.max_pool2d(x, 20, return_indices=True)
    assert out.item() == x.max()
    assert where.item() == x.argmax()


def test_max_pool_states_a_selection():
    t = tj.tensor(kit.distinct(1, 1, 4, 4), requires_grad=True)
    out = P.max_pool2d(t, 2)
    J = out.node.primitive.statement(out.node, 0)
    assert isinstance(J, Selection)
    assert J.nnz == 4


def test_maximum_keeps_integers_and_memory_order():
    assert P.max_pool1d(np.array([[1, 5, 2, 3]]), 2).dtype == np.int64
    x = np.ascontiguousarray(kit.distinct(2, 4, 4, 3)).transpose(0, 3, 1, 2)
    kit.close(P.max_pool2d(x, 2), P.max_pool2d(np.ascontiguousarray(x), 2), 0, "value")
    turned, plain = kit.tensors([x, np.ascontiguousarray(x)])
    g = kit.randn(2, 3, 2, 2)
    for t in (turned, plain):
        P.max_pool2d(t, 2).backward(g)
    kit.close(turned.grad.array, plain.grad.array, 0, "gradient")


# ------------------------------------------------------------------------------------------------ average


@given(windows(dilated=False), st.booleans())
@settings(max_examples=20)
def test_avg_pool(case, count_include_pad):
    shape, options = case
    kit.check(
        lambda x: AVG[len(shape) - 2](x, count_include_pad=count_include_pad, **options),
        kit.randn(*shape),
        expect="conv",
    )


def test_avg_pool_by_hand():
    x = np.arange(1.0, 10.0).reshape(1, 3, 3)
    assert np.array_equal(P.avg_pool2d(x, 2, stride=1), [[[3, 4], [6, 7]]])
    assert np.array_equal(P.avg_pool2d(x, 2, ceil_mode=True), [[[3, 4.5], [7.5, 9]]])
    corners = P.avg_pool2d(x, 2, padding=1)
    assert np.array_equal(corners, [[[0.25, 1.25], [2.75, 7.0]]])
    corners = P.avg_pool2d(x, 2, padding=1, count_include_pad=False)
    assert np.array_equal(corners, [[[1.0, 2.5], [5.5, 7.0]]])
    assert np.allclose(P.avg_pool2d(x, 3, divisor_override=5), [[[9.0]]], rtol=1e-15)


def test_the_jacobian_of_an_average_is_toeplitz():
    t = tj.tensor(kit.randn(1, 2, 4, 4), requires_grad=True)
    out = P.avg_pool2d(t, 2)
    J = out.node.primitive.statement(out.node, 0)
    assert J.structure == "toeplitz"
    assert J.nnz == 2 * 16
    assert np.array_equal(np.unique(J.dense()), [0, 0.25])


def test_nan_stays_in_its_windows():
    x = np.zeros((1, 1, 7))
    x[0, 0, 3] = np.nan
    assert np.isnan(P.avg_pool1d(x, 2, stride=1)).sum() == 2
    assert np.isnan(P.adaptive_avg_pool1d(x, 3)).sum() == 1


# ------------------------------------------------------------------------------------------------ given output sizes


@pytest.mark.parametrize("sizes, output_size", [((4, 6), 1), ((4, 6), (2, 3)), ((5, 3), (None, 2)), ((3, 5), 4)])
def test_adaptive(sizes, output_size):
    kit.check(lambda x: P.adaptive_avg_pool2d(x, output_size), kit.randn(2, 1, *sizes))
    kit.check(lambda x: P.adaptive_max_pool2d(x, output_size), kit.distinct(1, 2, *sizes))


def test_adaptive_by_hand():
    x = np.arange(5.0).reshape(1, 1, 5)
    assert np.array_equal(P.adaptive_avg_pool1d(x, 2), [[[1.0, 3.0]]])  # entries 0 1 2 and 2 3 4
    assert np.array_equal(P.adaptive_avg_pool1d(x[0], 5), x[0])
    best, where = P.adaptive_max_pool1d(-x, 2, return_indices=True)
    assert np.array_equal(best, [[[0.0, -2.0]]])
    assert np.array_equal(where, [[[0, 2]]])


# ------------------------------------------------------------------------------------------------ resampling


@pytest.mark.parametrize(
    "options",
    [dict(scale_factor=2), dict(scale_factor=(1, 3)), dict(size=(3, 4)), dict(scale_factor=1.5), dict(size=1)],
)
def test_interpolate(options):
    kit.check(lambda x: P.interpolate(x, **options), kit.randn(1, 2, 2, 3))


def test_interpolate_by_hand():
    x = np.array([[[1.0, 2.0]]])
    assert np.array_equal(P.interpolate(x, scale_factor=2), [[[1, 1, 2, 2]]])
    assert np.array_equal(P.interpolate(x, size=3), [[[1, 1, 2]]])
    assert np.array_equal(P.interpolate(x, size=1), [[[1]]])
    assert np.array_equal(P.interpolate(x, size=4, mode="linear"), [[[1, 1.25, 1.75, 2]]])
    assert np.array_equal(P.interpolate(x, size=3, mode="linear", align_corners=True), [[[1, 1.5, 2]]])


@pytest.mark.parametrize("align_corners", [None, True])
@pytest.mark.parametrize("mode, shape, size", [
    ("linear", (2, 1, 3), 5), ("linear", (1, 2, 5), 2), ("bilinear", (1, 2, 2, 3), (4, 3)),
    ("bilinear", (1, 1, 3, 3), 1), ("trilinear", (1, 1, 2, 2, 2), (3, 1, 4)),
])  # fmt: skip
def test_linear_interpolation(mode, shape, size, align_corners):
    kit.check(lambda x: P.interpolate(x, size, mode=mode, align_corners=align_corners), kit.randn(*shape))
    # A linear function is met exactly between the corners.
    if align_corners and 1 not in np.atleast_1d(size):
        sizes = np.broadcast_to(size, len(shape) - 2)
        old, new = (np.ix_(*(np.linspace(0, 1, n) for n in s)) for s in (shape[2:], sizes))
        plane = [
            np.broadcast_to(sum((k + 1) * t for k, t in enumerate(grid)), s)
            for grid, s in ((old, shape[2:]), (new, tuple(sizes)))
        ]
        np.testing.assert_allclose(
            P.interpolate(plane[0][None, None], size, mode=mode, align_corners=True)[0, 0], plane[1], rtol=1e-12
        )


# ------------------------------------------------------------------------------------------------ errors


def test_arrays_give_arrays_and_names_are_pytorchs():
    x = kit.randn(1, 2, 4, 4)
    assert type(P.max_pool2d(input=x, kernel_size=2, stride=None)) is np.ndarray
    assert type(P.avg_pool2d(x, 2)) is np.ndarray
    assert type(P.max_pool2d(tj.tensor(x), 2)) is tj.Tensor


def test_empty_batch():
    assert P.max_pool2d(np.zeros((0, 2, 4, 4)), 2).shape == (0, 2, 2, 2)
    assert P.avg_pool2d(np.zeros((0, 2, 4, 4)), 2).shape == (0, 2, 2, 2)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda x: P.max_pool2d(x, 5), ShapeError, r"max_pool2d: a kernel of size \(5, 5\).*\(4, 4\)"),
        (lambda x: P.max_pool2d(x, 2, padding=2), ValueError, r"padding 2 is more than half of the kernel 2"),
        (lambda x: P.max_pool2d(x, 2, stride=0), ValueError, r"stride must be one int or 2, each at least 1"),
        (lambda x: P.max_pool2d(x[0, 0], 2), ShapeError, r"max_pool2d takes .* not one of shape \(4, 4\)"),
        (lambda x: P.avg_pool2d(x, 2, divisor_override=0), ValueError, r"divisor_override must not be 0"),
        (lambda x: P.avg_pool2d(x.astype(int), 2), TypeError, r"avg_pool2d takes floating-point numbers, not int64"),
        (lambda x: P.adaptive_avg_pool2d(x, (1, 2, 3)), ValueError, r"output_size must be one int or 2"),
        (lambda x: P.adaptive_avg_pool2d(x, 0), ValueError, r"output_size must .* at least 1"),
        (lambda x: P.adaptive_max_pool1d(x, 2), ShapeError, r"adaptive_max_pool1d takes .* not one of shape"),
        (lambda x: P.interpolate(x, 2, mode="bicubic"), ValueError, r"not mode='bicubic'"),
        (lambda x: P.interpolate(x, 2, align_corners=True), ValueError, r"an option of the linear modes"),
        (lambda x: P.interpolate(x, 2, mode="linear"), ShapeError, r"\(1, 2, 4, 4\).* takes mode='bilinear'"),
        (lambda x: P.interpolate(x), ValueError, r"either size or scale_factor"),
        (lambda x: P.interpolate(x[0, 0], 2), ShapeError, r"not one of shape \(4, 4\)"),
    ],
)
def test_what_does_not_fit(call, error, message):
    with pytest.raises(error, match=message):
        call(kit.randn(1, 2, 4, 4))


# ------------------------------------------------------------------------------------------------ PyTorch


@pytest.mark.peers
@given(case=windows(largest=8, ndims=(1, 2, 3)))
@settings(max_examples=60)
def test_max_pool_against_pytorch(case):
    torch = pytest.importorskip("torch")
    shape, options = case
    ndim = len(shape) - 2
    ours, theirs = MAX[ndim], getattr(torch.nn.functional, f"max_pool{ndim}d")
    x = np.round(kit.randn(*shape) * 2) / 2  # with ties
    kit.compare_with_torch(lambda x: ours(x, **options), lambda x: theirs(x, **options), x)
    _, found = ours(x, **options, return_indices=True)
    _, expected = theirs(torch.tensor(x), **options, return_indices=True)
    assert np.array_equal(found, expected.numpy())


@pytest.mark.peers
def test_nan_against_pytorch():
    torch = pytest.importorskip("torch")
    x = kit.randn(1, 1, 6, 6)
    x[0, 0, [0, 0, 3, 4], [1, 0, 3, 5]] = np.nan
    for options in (dict(kernel_size=2), dict(kernel_size=3, stride=1, padding=1)):
        out, where = P.max_pool2d(x, **options, return_indices=True)
        expected = torch.nn.functional.max_pool2d(torch.tensor(x), **options, return_indices=True)
        assert np.array_equal(out, expected[0].numpy(), equal_nan=True)
        assert np.array_equal(where, expected[1].numpy())


@pytest.mark.peers
@given(case=windows(largest=8, dilated=False), count_include_pad=st.booleans())
@settings(max_examples=60)
def test_avg_pool_against_pytorch(case, count_include_pad):
    torch = pytest.importorskip("torch")
    shape, options = case
    ndim = len(shape) - 2
    options["count_include_pad"] = count_include_pad
    theirs = getattr(torch.nn.functional, f"avg_pool{ndim}d")
    kit.compare_with_torch(lambda x: AVG[ndim](x, **options), lambda x: theirs(x, **options), kit.randn(*shape))


@pytest.mark.peers
def test_avg_pool3d_against_pytorch():
    functional = pytest.importorskip("torch").nn.functional
    options = dict(kernel_size=(2, 3, 2), stride=(1, 2, 2), padding=(1, 1, 0), ceil_mode=True, count_include_pad=False)
    x = kit.randn(2, 3, 4, 5, 5)
    kit.compare_with_torch(lambda x: P.avg_pool3d(x, **options), lambda x: functional.avg_pool3d(x, **options), x)


@pytest.mark.peers
@given(sizes=st.lists(st.integers(1, 7), min_size=1, max_size=2), wanted=st.integers(1, 8))
def test_adaptive_against_pytorch(sizes, wanted):
    torch = pytest.importorskip("torch")
    ndim = len(sizes)
    average = getattr(torch.nn.functional, f"adaptive_avg_pool{ndim}d")
    largest = getattr(torch.nn.functional, f"adaptive_max_pool{ndim}d")
    x = kit.distinct(2, 2, *sizes)
    kit.compare_with_torch(lambda x: ADAPTIVE_AVG[ndim](x, wanted), lambda x: average(x, wanted), x)
    kit.compare_with_torch(lambda x: ADAPTIVE_MAX[ndim](x, wanted), lambda x: largest(x, wanted), x)
    _, found = ADAPTIVE_MAX[ndim](x, wanted, return_indices=True)
    assert np.array_equal(found, largest(torch.tensor(x), wanted, return_indices=True)[1].numpy())


@pytest.mark.peers
@given(size=st.integers(1, 9), scale=st.floats(0.3, 3.5), recompute=st.booleans())
@settings(max_examples=60)
def test_interpolate_against_pytorch(size, scale, recompute):
    functional = pytest.importorskip("torch").nn.functional
    x = kit.randn(1, 2, size, size)
    for options in (
        dict(size=(max(1, int(size * scale)), 5)),
        dict(scale_factor=max(scale, 1.001 / size), recompute_scale_factor=recompute),
    ):
        kit.close(P.interpolate(x, **options), resampled(functional, x, options), 0, f"{options}")


def resampled(functional, x, options):
    import torch

    return functional.interpolate(torch.tensor(x), **options).numpy()


@pytest.mark.peers
@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=3), scale=st.floats(0.3, 3.5),
    align_corners=st.sampled_from([None, False, True]), recompute=st.booleans(),
)  # fmt: skip
@settings(max_examples=60)
def test_linear_interpolation_against_pytorch(sizes, scale, align_corners, recompute):
    functional = pytest.importorskip("torch").nn.functional
    x, mode = kit.randn(2, 1, *sizes), ("linear", "bilinear", "trilinear")[len(sizes) - 1]
    for options in (
        dict(size=tuple(max(1, int(n * scale)) for n in sizes)),
        dict(scale_factor=max(scale, 1.001 / min(sizes)), recompute_scale_factor=recompute),
    ):
        options.update(mode=mode, align_corners=align_corners)
        ours, theirs = (functools.partial(f, **options) for f in (P.interpolate, functional.interpolate))
        kit.compare_with_torch(ours, theirs, x)
