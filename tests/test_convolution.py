"""Convolution, its transpose, unfold and fold: values by hand, rules, statements, PyTorch, and the text's matrix."""

from __future__ import annotations

import itertools

import kit
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_jac as tj
from tinygrad_jac.errors import ShapeError
from tinygrad_jac.jacobians import Toeplitz
from tinygrad_jac.rules import convolution as C

CONV = {1: C.conv1d, 2: C.conv2d, 3: C.conv3d}
TRANSPOSED = {1: C.conv_transpose1d, 2: C.conv_transpose2d, 3: C.conv_transpose3d}


def by_hand(x, w, stride, padding, dilation, groups):
    """The sum of the docstring, entry by entry: loops over outputs and taps, nothing else."""
    ndim = x.ndim - 2
    per_group, outputs = w.shape[1], w.shape[0] // groups
    sizes = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(x.shape[2:], padding, dilation, w.shape[2:], stride)
    ]
    out = np.zeros((x.shape[0], w.shape[0], *sizes))
    for place in np.ndindex(*sizes):
        for tap in np.ndindex(*w.shape[2:]):
            at = tuple(place[a] * stride[a] + tap[a] * dilation[a] - padding[a] for a in range(ndim))
            if all(0 <= i < n for i, n in zip(at, x.shape[2:])):
                for o in range(w.shape[0]):
                    first = o // outputs * per_group
                    seen = x[(slice(None), slice(first, first + per_group), *at)]
                    out[(slice(None), o, *place)] += seen @ w[(o, slice(None), *tap)]
    return out


@st.composite
def convolutions(draw, largest=4, ndims=(1, 2)):
    """Shapes and options of a convolution whose kernel fits."""
    ndim = draw(st.sampled_from(ndims))

    def each(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(ndim))

    kernel, stride, dilation, padding = each(1, 2 if ndim > 1 else 3), each(1, 3), each(1, 2), each(0, 2)
    groups = draw(st.integers(1, 2))
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation)]
    sizes = tuple(draw(st.integers(max(1, r - 2 * p), max(largest, r))) for r, p in zip(reach, padding))
    batch, channels, outputs = (draw(st.integers(1, 2)) for _ in range(3))
    options = dict(stride=stride, padding=padding, dilation=dilation, groups=groups)
    return (batch, channels * groups, *sizes), (outputs * groups, channels, *kernel), options


def transposed(case, extra):
    """The case as one of a transposed convolution: padding that leaves something, output padding that is allowed."""
    x, w, options = case
    each = list(zip(w[2:], options["stride"], options["dilation"], options["padding"]))
    padding = tuple(min(p, d * (k - 1) // 2) for k, _, d, p in each)
    output_padding = tuple(min(extra, max(s, d) - 1) for _, s, d, _ in each)
    return x, w, {**options, "padding": padding, "output_padding": output_padding}


# ------------------------------------------------------------------------------------------------ rules


@given(convolutions(), st.booleans())
@settings(max_examples=20)
def test_conv(case, biased):
    x, w, options = case
    ndim = len(x) - 2
    kit.check(
        lambda x, w, *b: CONV[ndim](x, w, *b, **options),
        kit.randn(*x),
        kit.randn(*w, seed=1),
        *([kit.randn(w[0], seed=2)] if biased else []),
        expect="conv",
    )


@given(convolutions(), st.integers(0, 2), st.booleans())
@settings(max_examples=20)
def test_conv_transpose(case, extra, biased):
    x, w, options = transposed(case, extra)
    ndim = len(x) - 2
    y = (x[0], w[0], *(min(n, 2) for n in x[2:]))
    kit.check(
        lambda y, w, *b: TRANSPOSED[ndim](y, w, *b, **options),
        kit.randn(*y),
        kit.randn(*w, seed=1),
        *([kit.randn(w[1] * options["groups"], seed=2)] if biased else []),
        expect="conv_transpose",
    )


@given(convolutions())
@settings(max_examples=12)
def test_conv_weight(case):
    """The third of the three products, which scripts meet in second derivatives only."""
    x, w, options = case
    ndim = len(x) - 2
    groups = options.pop("groups")
    window = C.window_of("test", x[2:], w[2:], **options)
    y = (x[0], w[0], *window.positions)
    kit.check(lambda x, y: C.conv_weight(x, y, window=window, groups=groups), kit.randn(*x), kit.randn(*y, seed=1))
    assert ndim == len(window.sizes)


def test_conv3d():
    options = dict(stride=(1, 2, 1), padding=(0, 1, 1), dilation=(1, 1, 2), groups=1)
    x, w = kit.randn(1, 2, 2, 2, 3), kit.randn(2, 2, 2, 1, 2, seed=1)
    kit.check(lambda x, w: C.conv3d(x, w, **options), x, w, second=False)
    kit.check(lambda x, w: C.conv_transpose3d(x, w), kit.randn(1, 2, 1, 2, 2), w, second=False)


def test_depthwise():
    x, w, b = kit.randn(2, 3, 3, 4), kit.randn(3, 1, 2, 2, seed=1), kit.randn(3, seed=2)
    kit.check(lambda x, w, b: C.conv2d(x, w, b, padding=1, stride=2, groups=3), x, w, b)
    kit.check(lambda x, w, b: C.conv_transpose2d(x, w, b, stride=2, groups=3), kit.randn(2, 3, 2, 2), w, b)


@given(convolutions(), st.data())
@settings(max_examples=12)
def test_im2col_and_col2im(case, data):
    x, w, options = case
    options.pop("groups")
    window = C.window_of("test", x[2:], w[2:], **options)
    rows = data.draw(st.sampled_from([(), (2,), (1, 2)]))
    columns = (*rows, int(np.prod(w[2:])), *window.positions)
    kit.check(lambda x: C.im2col(x, window=window), kit.randn(*rows, *x[2:]), expect="im2col")
    kit.check(lambda y: C.col2im(y, window=window), kit.randn(*columns), expect="col2im")


def test_third_derivative():
    """d³/dx dw dx of Σ conv(x, w)³: derivatives of any order stay within the three products."""
    x, w, u, v = kit.randn(1, 1, 4), kit.randn(2, 1, 2, seed=1), kit.randn(1, 1, 4, seed=2), kit.randn(2, 1, 2, seed=3)
    grad = tj.autograd.grad

    def second(x, w):
        y = C.conv1d(x, w, padding=1)
        (first,) = grad((y * y * y).sum(), [x], create_graph=True)
        return grad((first * tj.tensor(u)).sum(), [w], create_graph=True)[0]

    def value(x):
        return second(*kit.tensors([x, w])).array

    given_x, given_w = kit.tensors([x, w])
    (third,) = grad((second(given_x, given_w) * tj.tensor(v)).sum(), [given_x])
    expected = v.reshape(-1) @ kit.numerical_jacobian(value, [x], 0)
    kit.close(third.array.reshape(-1), expected, 1e-9, "third derivative")


# ------------------------------------------------------------------------------------------------ values


@given(convolutions(largest=7, ndims=(1, 2, 3)))
@settings(max_examples=40)
def test_value_by_hand(case):
    x, w, options = case
    x, w = kit.randn(*x), kit.randn(*w, seed=1)
    kit.close(CONV[x.ndim - 2](x, w, **options), by_hand(x, w, **options), 1e-13, "against the sum")


@given(convolutions(largest=7, ndims=(1, 2, 3)))
def test_the_three_products_are_one_form(case):
    """<y, conv(x, w)> = <x, conv_transpose(y, w)> = <w, conv_weight(x, y)>."""
    x, w, options = case
    groups = options.pop("groups")
    window = C.window_of("test", x[2:], w[2:], **options)
    x, w, y = kit.randn(*x), kit.randn(*w, seed=1), kit.randn(x[0], w[0], *window.positions, seed=2)
    value = np.vdot(y, C.conv(x, w, 0, window=window, groups=groups))
    np.testing.assert_allclose(np.vdot(x, C.conv_transpose(y, w, window=window, groups=groups)), value, rtol=1e-10)
    np.testing.assert_allclose(np.vdot(w, C.conv_weight(x, y, window=window, groups=groups)), value, rtol=1e-10)


@pytest.mark.parametrize("cache", [1, 100, 1000])
@pytest.mark.parametrize("groups, channels", [(1, 3), (2, 2), (4, 1)])
def test_a_few_samples_at_a_time(monkeypatch, cache, groups, channels):
    """However many samples are done together, the last few included, the result is the same."""
    x, w = kit.randn(5, groups * channels, 4, 5), kit.randn(4, channels, 2, 3, seed=1)
    window = C.window_of("test", (4, 5), (2, 3), 1, 1, 1)
    y = kit.randn(5, 4, *window.positions, seed=2)
    calls = [(C.conv, x, w, kit.randn(4)), (C.conv_transpose, y, w), (C.conv_weight, x, y)]
    whole = [f(*args, window=window, groups=groups) for f, *args in calls]
    monkeypatch.setattr(C, "_CACHE", cache)
    for expected, (f, *args) in zip(whole, calls):
        kit.close(f(*args, window=window, groups=groups), expected, 1e-13, f.name)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_any_memory_order(order):
    x, w = kit.randn(3, 2, 5, 4), kit.randn(4, 2, 3, 2, seed=1)
    back = np.argsort(order)
    turned = np.ascontiguousarray(x.transpose(order)).transpose(back)
    weight = np.ascontiguousarray(w.transpose(order)).transpose(back)
    assert turned.shape == x.shape
    kit.close(C.conv2d(turned, weight, padding=1), C.conv2d(x, w, padding=1), 1e-13, "value")
    given = kit.tensors([turned, weight])
    C.conv2d(*given, padding=1).backward(kit.randn(3, 4, 5, 5, seed=2))
    plain = kit.tensors([x, w])
    C.conv2d(*plain, padding=1).backward(kit.randn(3, 4, 5, 5, seed=2))
    for a, b in zip(given, plain):
        kit.close(a.grad.array, b.grad.array, 1e-13, "gradient")


def test_one_sample_without_batch():
    x, w, b = kit.randn(2, 5, 4), kit.randn(3, 2, 2, 2, seed=1), kit.randn(3, seed=2)
    assert np.array_equal(C.conv2d(x, w, b), C.conv2d(x[None], w, b)[0])
    assert np.array_equal(C.conv_transpose2d(x, w.swapaxes(0, 1)), C.conv_transpose2d(x[None], w.swapaxes(0, 1))[0])
    kit.check(lambda x, w, b: C.conv2d(x, w, b), x[:, :3, :3], w, b)


def test_arrays_give_arrays_and_names_are_pytorchs():
    x, w = kit.randn(1, 2, 4, 4), kit.randn(3, 2, 3, 3)
    out = C.conv2d(input=x, weight=w, bias=None, stride=1, padding=0, dilation=1, groups=1)
    assert type(out) is np.ndarray
    assert type(C.conv2d(tj.tensor(x), w)) is tj.Tensor


def test_empty_batch():
    w = tj.tensor(kit.randn(3, 2, 2, 2), requires_grad=True)
    out = C.conv2d(tj.zeros(0, 2, 4, 5, dtype=tj.float64), w, tj.ones(3, dtype=tj.float64))
    assert out.shape == (0, 3, 3, 4)
    out.sum().backward()
    assert w.grad.shape == w.shape
    assert not w.grad.array.any()
    assert C.conv_transpose2d(np.zeros((0, 3, 4, 5)), w.array).shape == (0, 2, 5, 6)


def test_nan_stays_in_the_patches_that_see_it():
    x = kit.randn(1, 1, 5, 5)
    x[0, 0, 2, 2] = np.nan
    out = C.conv2d(x, kit.randn(1, 1, 2, 2))
    assert np.isnan(out).sum() == 4
    assert np.isnan(out[0, 0, 1:3, 1:3]).all()


def test_inputs_are_not_changed():
    x, w, b = kit.randn(2, 2, 4, 4), kit.randn(2, 2, 3, 3), kit.randn(2)
    for a in (x, w, b):
        a.flags.writeable = False
    C.conv2d(x, w, b, padding=1)
    C.conv_transpose2d(x, w, b, padding=1)


@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (2, 4), (5, 2)])
def test_same_padding_keeps_the_size(kernel):
    x, w = kit.randn(2, 1, 6, 7), kit.randn(1, 1, *kernel, seed=1)
    out = C.conv2d(x, w, padding="same")
    assert out.shape == x.shape
    # The one more of an even kernel goes behind: the padding in front is half of it, rounded down.
    before = [(k - 1) // 2 for k in kernel]
    padded = np.pad(x, [(0, 0), (0, 0), *((b, k - 1 - b) for b, k in zip(before, kernel))])
    kit.close(out, C.conv2d(padded, w, padding="valid"), 1e-13, "same")


# ------------------------------------------------------------------------------------------------ the matrix


def test_proposition_2():
    """Damadi, Moharrer, Cham: X * K = Toep(K) vec(Xᵀ) for a 2x2 kernel on a 3x3 input.

    Stacking the columns of Xᵀ is flattening X row by row, our default. Of the 4x9 matrix that the text prints, the
    first two rows are right. Its third is the second moved on by one more place: k1 meets x3 and k2 meets x4, the end
    of one row of the image and the beginning of the next, which is no patch. What it prints fourth is the third row,
    and the fourth is missing. The matrix is not constant along its diagonals as a whole: it is a block Toeplitz matrix
    of Toeplitz blocks.
    """
    k1, k2, k3, k4 = 2.0, 3.0, 5.0, 7.0
    printed = np.array(
        [
            [k1, k2, 0, k3, k4, 0, 0, 0, 0],
            [0, k1, k2, 0, k3, k4, 0, 0, 0],
            [0, 0, k1, k2, 0, k3, k4, 0, 0],
            [0, 0, 0, k1, k2, 0, k3, k4, 0],
        ]
    )
    corrected = np.array(
        [
            [k1, k2, 0, k3, k4, 0, 0, 0, 0],
            [0, k1, k2, 0, k3, k4, 0, 0, 0],
            [0, 0, 0, k1, k2, 0, k3, k4, 0],
            [0, 0, 0, 0, k1, k2, 0, k3, k4],
        ]
    )
    x = tj.tensor(kit.randn(1, 1, 3, 3), requires_grad=True)
    kernel = np.array([[[[k1, k2], [k3, k4]]]])
    out = C.conv2d(x, kernel)
    J = out.node.primitive.statement(out.node, 0)
    assert isinstance(J, Toeplitz)
    assert J.structure == "toeplitz"
    assert J.shape == (4, 9)
    assert J.nnz == 16
    assert np.array_equal(J.dense(), corrected)
    assert np.array_equal(kit.jacobians(out, [x])[0], corrected)

    X, K = x.array[0, 0], kernel[0, 0]
    convolved = np.array([[np.sum(X[i : i + 2, j : j + 2] * K) for j in range(2)] for i in range(2)])
    vec = X.T.reshape(-1, order="F")  # the columns of Xᵀ on top of each other
    assert np.allclose(corrected @ vec, convolved.reshape(-1))
    assert np.allclose((printed @ vec)[:2], convolved.reshape(-1)[:2])
    assert np.isclose((printed @ vec)[3], convolved[1, 0])
    assert not np.isclose((printed @ vec)[2:], convolved[1]).any()

    blocks = J.dense().reshape(2, 2, 3, 3).swapaxes(1, 2)  # block (i, j): row i of the output by row j of the input
    assert np.array_equal(blocks[0, 0], blocks[1, 1])
    assert np.array_equal(blocks[0, 1], blocks[1, 2])
    assert not blocks[0, 2].any()
    assert not blocks[1, 0].any()
    assert np.array_equal(blocks[0, 0], [[k1, k2, 0], [0, k1, k2]])
    diagonals = [np.unique(np.diagonal(printed, k)).size for k in range(-3, 9)]
    assert set(diagonals) == {1}, "what is printed is constant along its diagonals"
    assert any(np.unique(np.diagonal(corrected, k)).size > 1 for k in range(-3, 9))


@given(convolutions(largest=5, ndims=(1, 2, 3)))
def test_each_row_of_the_matrix_is_a_shifted_kernel(case):
    """Proposition 2 for any size, stride, padding, dilation, channels and groups, entry by entry."""
    shape, w, options = case
    w = kit.randn(*w, seed=1)
    x = tj.tensor(kit.randn(*shape), requires_grad=True)
    out = CONV[len(shape) - 2](x, w, **options)
    matrix = out.node.primitive.statement(out.node, 0).dense().reshape(*out.shape, *shape)
    expected = np.zeros_like(matrix)
    outputs = w.shape[0] // options["groups"]
    for n, o, *place in np.ndindex(*out.shape):
        for c, *tap in np.ndindex(*w.shape[1:]):
            at = [
                p * s + k * d - b
                for p, s, k, d, b in zip(place, options["stride"], tap, options["dilation"], options["padding"])
            ]
            if all(0 <= i < m for i, m in zip(at, shape[2:])):
                expected[(n, o, *place, n, o // outputs * w.shape[1] + c, *at)] = w[(o, c, *tap)]
    assert np.array_equal(matrix, expected)


def test_structures():
    x, w, b = kit.tensors([kit.randn(2, 2, 4, 4), kit.randn(4, 1, 2, 2), kit.randn(4)])
    out = C.conv2d(x, w, b, groups=2)
    by_x, by_w, by_b = (out.node.primitive.statement(out.node, k) for k in range(3))
    assert by_x.structure == "toeplitz"
    assert by_w.structure == "block diagonal kron · selection"
    assert by_b.structure == "selection"


# ------------------------------------------------------------------------------------------------ unfold, fold


def test_convolution_is_a_matrix_product_with_unfolded_patches():
    x, w = kit.randn(2, 3, 5, 6), kit.randn(4, 3, 2, 3, seed=1)
    product = w.reshape(4, -1) @ C.unfold(x, (2, 3), padding=1, stride=2)
    kit.close(product.reshape(2, 4, 3, 3), C.conv2d(x, w, padding=1, stride=2), 1e-13, "unfold")


def test_fold_counts_how_often_an_entry_is_seen():
    x = np.ones((1, 1, 4, 4))
    counts = C.fold(C.unfold(x, 3), (4, 4), 3)
    assert np.array_equal(counts[0, 0], np.outer([1, 2, 2, 1], [1, 2, 2, 1]))


def test_unfold_and_fold_rules():
    kit.check(lambda x: C.unfold(x, 2, stride=(1, 2), padding=(1, 0)), kit.randn(2, 2, 3, 4))
    kit.check(lambda x: C.unfold(x, (1, 2), dilation=2), kit.randn(2, 3, 4))
    kit.check(lambda x: C.fold(x, (3, 4), 2, stride=(1, 2), padding=(1, 0)), kit.randn(2, 8, 8))


# ------------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: C.conv2d(np.ones((1, 3, 4, 4)), np.ones((2, 2, 3, 3))), r"conv2d.*\(1, 3, 4, 4\) has 3 chan.*takes 2"),
        (lambda: C.conv2d(np.ones((1, 2, 4, 4)), np.ones((2, 2, 3, 3)), groups=2), r"has 2 channels.*groups=2 takes 4"),
        (lambda: C.conv2d(np.ones((1, 2, 4, 4)), np.ones((3, 1, 3, 3)), groups=2), r"groups=2 does not divide the 3"),
        (lambda: C.conv2d(np.ones((1, 2, 4, 4)), np.ones((3, 1, 3, 3)), groups=0), r"groups=0"),
        (lambda: C.conv2d(np.ones((1, 1, 4, 2)), np.ones((1, 1, 3, 3))), r"conv2d.*\(3, 3\).*\(4, 2\).*padding 0"),
        (lambda: C.conv2d(np.ones((1, 1, 4, 4)), np.ones((1, 1, 3, 3)), dilation=2), r"dilation \(2, 2\) does not fit"),
        (lambda: C.conv2d(np.ones((4, 4)), np.ones((1, 1, 3, 3))), r"conv2d takes .*height, width.* not .*\(4, 4\)"),
        (lambda: C.conv2d(np.ones((1, 1, 4, 4)), np.ones((1, 1, 3))), r"weight of axes \(outputs.* not .*\(1, 1, 3\)"),
        (lambda: C.conv2d(np.ones((1, 1, 4, 4)), np.ones((1, 1, 3, 3)), np.ones(2)), r"bias .*\(1,\).* not .*\(2,\)"),
        (lambda: C.conv_transpose1d(np.ones((1, 3, 4)), np.ones((2, 2, 3))), r"has 3 channels.*takes 2"),
        (lambda: C.conv_transpose1d(np.ones((1, 1, 1)), np.ones((1, 1, 1)), padding=1), r"leave an output of \(-1,\)"),
        (lambda: C.fold(np.ones((1, 4, 5)), (3, 3), 2), r"4 patches of 4 entries.*not \(1, 4, 5\)"),
        (lambda: C.unfold(np.ones((1, 2, 2)), 3), r"unfold: a kernel of size \(3, 3\).*\(2, 2\)"),
    ],
)
def test_shapes_that_do_not_fit(call, message):
    with pytest.raises(ShapeError, match=message):
        call()


@pytest.mark.parametrize(
    "options, error, message",
    [
        (dict(stride=0), ValueError, r"stride must be one int or 2, each at least 1, not 0"),
        (dict(padding=-1), ValueError, r"padding must .* at least 0, not -1"),
        (dict(dilation=(1, 2, 3)), ValueError, r"dilation must be one int or 2.*\(1, 2, 3\)"),
        (dict(stride=1.5), TypeError, r"stride must be an int or 2 ints, not 1.5"),
        (dict(padding="full"), ValueError, r"'same', 'valid' or ints, not 'full'"),
        (dict(padding="same", stride=2), ValueError, r"'same' needs a stride of 1, not \(2, 2\)"),
    ],
)
def test_options_that_mean_nothing(options, error, message):
    with pytest.raises(error, match=message):
        C.conv2d(np.ones((1, 1, 4, 4)), np.ones((1, 1, 2, 2)), **options)


def test_output_padding_is_smaller_than_the_stride():
    with pytest.raises(ValueError, match=r"output_padding \(2,\) must be smaller than stride \(2,\)"):
        C.conv_transpose1d(np.ones((1, 1, 3)), np.ones((1, 1, 2)), stride=2, output_padding=2)


# ------------------------------------------------------------------------------------------------ PyTorch


@pytest.mark.peers
@given(case=convolutions(largest=9, ndims=(1, 2, 3)))
@settings(max_examples=60)
def test_conv_against_pytorch(case):
    torch = pytest.importorskip("torch")
    x, w, options = case
    theirs = getattr(torch.nn.functional, f"conv{len(x) - 2}d")
    ours = CONV[len(x) - 2]
    kit.compare_with_torch(
        lambda x, w, b: ours(x, w, b, **options),
        lambda x, w, b: theirs(x, w, b, **options),
        kit.randn(*x),
        kit.randn(*w, seed=1),
        kit.randn(w[0], seed=2),
    )


@pytest.mark.peers
@given(case=convolutions(largest=6, ndims=(1, 2, 3)), extra=st.integers(0, 2))
@settings(max_examples=60)
def test_conv_transpose_against_pytorch(case, extra):
    torch = pytest.importorskip("torch")
    x, w, options = transposed(case, extra)
    ndim = len(x) - 2
    theirs = getattr(torch.nn.functional, f"conv_transpose{ndim}d")
    kit.compare_with_torch(
        lambda y, w, b: TRANSPOSED[ndim](y, w, b, **options),
        lambda y, w, b: theirs(y, w, b, **options),
        kit.randn(x[0], w[0], *x[2:]),
        kit.randn(*w, seed=1),
        kit.randn(w[1] * options["groups"], seed=2),
    )


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")  # PyTorch copies there, and says so
@pytest.mark.parametrize("kernel, dilation", [(1, 1), (2, 1), (3, 1), (4, 1), (2, 3), (3, 2)])
def test_same_padding_against_pytorch(kernel, dilation):
    functional = pytest.importorskip("torch").nn.functional
    kit.compare_with_torch(
        lambda x, w: C.conv1d(x, w, padding="same", dilation=dilation),
        lambda x, w: functional.conv1d(x, w, padding="same", dilation=dilation),
        kit.randn(2, 2, 9),
        kit.randn(3, 2, kernel, seed=1),
    )


@pytest.mark.peers
@pytest.mark.parametrize(
    "options", [dict(), dict(stride=2, padding=1), dict(dilation=(1, 2), padding=(0, 2), stride=(2, 1))]
)
def test_unfold_and_fold_against_pytorch(options):
    functional = pytest.importorskip("torch").nn.functional
    x = kit.randn(2, 3, 5, 6)
    kit.compare_with_torch(
        lambda x: C.unfold(x, (2, 3), **options), lambda x: functional.unfold(x, (2, 3), **options), x
    )
    kit.compare_with_torch(
        lambda x: C.fold(x, (5, 6), (2, 3), **options),
        lambda x: functional.fold(x, (5, 6), (2, 3), **options),
        C.unfold(x, (2, 3), **options),
    )
