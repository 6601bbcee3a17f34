"""Damadi, Moharrer, Cham, section 3.5: convolution as a matrix, a convolutional network as a fully connected one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from kit import close, randn
from test_convolution import CONV, by_hand, convolutions
from threefold import EXACT, agree, leaf, statement

import tinygrad_jac as tj
from tinygrad_jac import nn
from tinygrad_jac.jacobians import Toeplitz, chain
from tinygrad_jac.nn import functional as F
from tinygrad_jac.nn.utils import as_linear


def toeplitz(out) -> Toeplitz:
    J = statement(out)
    assert isinstance(J, Toeplitz)
    return J


def vec(matrix) -> np.ndarray:
    """Columns on top of each other."""
    return matrix.reshape(-1, order="F")


def test_proposition_2_4x9():
    """X * K = T(K) vec(Xᵀ), entry by entry; rows 3 and 4 as they have to be."""
    k1, k2, k3, k4 = 2.0, 3.0, 5.0, 7.0
    T = np.array(
        [
            [k1, k2, 0, k3, k4, 0, 0, 0, 0],
            [0, k1, k2, 0, k3, k4, 0, 0, 0],
            [0, 0, 0, k1, k2, 0, k3, k4, 0],
            [0, 0, 0, 0, k1, k2, 0, k3, k4],
        ]
    )
    X = leaf(randn(1, 1, 3, 3))
    out = F.conv2d(X, np.array([[[[k1, k2], [k3, k4]]]]))
    assert toeplitz(out).shape == (4, 9)
    assert np.array_equal(toeplitz(out).dense(), T)
    close(T @ vec(X.array[0, 0].T), vec(out.array[0, 0].T), EXACT, "the product")
    agree(out, X, T, "by the image")


def test_proposition_2_by_the_kernel():
    """The other factor of the product: the rows are the patches."""
    X, K = randn(3, 3), leaf(randn(1, 1, 2, 2, seed=1))
    patches = [[X[i, j], X[i, j + 1], X[i + 1, j], X[i + 1, j + 1]] for i in (0, 1) for j in (0, 1)]
    agree(F.conv2d(tj.tensor(X[None, None]), K), K, patches, "by the kernel")


@given(convolutions(largest=5, ndims=(1, 2, 3)))
@settings(max_examples=25)
def test_proposition_2_any_size_stride_padding_dilation_channels(case):
    shape, w, options = case
    w = randn(*w, seed=1)
    x = tj.tensor(randn(*shape), requires_grad=True)
    out = CONV[len(shape) - 2](x, w, **options)
    T = toeplitz(out).dense()
    close(T @ x.array.ravel(), by_hand(x.array, w, **options).ravel(), EXACT, "against the sum over taps")
    u = randn(*out.shape, seed=2)
    out.backward(u)
    close(x.grad.array.ravel(), T.T @ u.ravel(), EXACT, "the transpose is what backward() applies")


@pytest.mark.parametrize("filters", [1, 2, 5])
def test_proposition_3_r_filters_and_biases(filters):
    """X * K_i + B_i = W_iᵀ x + b_i with W_i = T(K_i)ᵀ and b_i = vec(B_i), for i = 1, …, r."""
    conv = nn.Conv2d(1, filters, kernel_size=(2, 3), dtype=tj.float64)
    X = randn(1, 1, 4, 5)
    maps = conv(tj.tensor(X)).array[0]
    x = vec(X[0, 0].T)
    W, b = as_linear(conv, (1, 4, 5)).affine()
    positions = maps[0].size
    for i in range(filters):
        one = tj.tensor(X, requires_grad=True)
        W_i = toeplitz(F.conv2d(one, conv.weight.array[i : i + 1])).dense().T
        b_i = vec(np.full(maps[i].shape, conv.bias.array[i]))
        assert W_i.shape == (20, positions)
        close(W_i.T @ x + b_i, vec(maps[i].T), EXACT, "as stated")
        rows = slice(i * positions, (i + 1) * positions)
        assert np.array_equal(W.array[rows], W_i.T)
        assert np.array_equal(b.array[rows], b_i)


def test_proposition_3_a_convolutional_network_as_a_typical_one():
    """Equal in outputs, in Jacobians by input and parameters, and in gradients, to 1e-12."""
    tj.manual_seed(0)
    cnn = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, stride=2, dtype=tj.float64), nn.ReLU(), nn.AvgPool2d(2, stride=1),
        nn.Conv2d(4, 6, 2, groups=2, dilation=1, dtype=tj.float64), nn.Sigmoid(),
        nn.Flatten(), nn.Linear(6, 3, dtype=tj.float64),
    )  # fmt: skip
    typical = as_linear(cnn, (2, 5, 5))
    X, labels, found = randn(4, 2, 5, 5), tj.tensor([0, 2, 1, 1]), []
    for net, inputs in ((cnn, X), (typical, X.reshape(4, 50))):
        x = tj.tensor(inputs, requires_grad=True)
        z = net(x)
        by_x = chain(z, {"x": x}).dense()
        by_theta = chain(z, list(cnn.parameters()), last_layer_first=False).dense()
        used = {link.op for link in chain(z, {"x": x}).links}
        cnn.zero_grad()
        F.cross_entropy(z, labels).backward()
        found.append((z.array, by_x, by_theta, np.concatenate([p.grad.array.ravel() for p in cnn.parameters()])))
    for ours, theirs, what in zip(*found, ("outputs", "Jacobian by x", "Jacobian by θ", "gradient"), strict=True):
        close(theirs, ours, EXACT, what)
    assert not {op for op in used if "conv" in op}, f"nothing between input and output is a convolution: {used}"


def test_proposition_3_the_gradient_of_a_kernel_is_the_sum_over_its_places():
    conv = nn.Conv2d(1, 1, 2, bias=False, dtype=tj.float64)
    free = as_linear(conv, (1, 3, 3)).linear()
    x, u = randn(1, 1, 3, 3), randn(4, seed=1)
    conv(tj.tensor(x)).flatten(1).backward(u[None])
    free(tj.tensor(x.reshape(1, 9))).backward(u[None])
    dW = free.weight.grad.array
    places = {0: [0, 1, 3, 4], 1: [1, 2, 4, 5], 2: [3, 4, 6, 7], 3: [4, 5, 7, 8]}
    expected = [sum(dW[row, places[tap][row]] for row in range(4)) for tap in range(4)]
    close(conv.weight.grad.array.ravel(), expected, EXACT, "summed over the four positions")
