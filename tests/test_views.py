"""Which results show the memory of their argument and which are copies: the same ones as in PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_jac as tj
import tinygrad_jac.nn.functional

VIEWS = [
    "w[0]", "w[1:, ::2]", "w[...]", "w[None]", "w.view(-1)", "w.reshape(9)", "w.t()", "w.T", "w.mT",
    "w.transpose(0, 1)", "w.permute(1, 0)", "w.squeeze()", "w.unsqueeze(0)", "w.expand(2, 3, 3)", "w.narrow(0, 0, 1)",
    "w.select(0, 0)", "w.chunk(2)[0]", "w.split(1)[0]", "w.unbind()[0]", "w.flatten()", "w.contiguous()", "w.detach()",
    "w.data", "w.float()", "w.to(t.float32)", "w.cpu()", "w.diagonal()", "w.unflatten(0, (3, 1))", "w.type_as(w)",
    "t.as_tensor(w)", "t.movedim(w, 0, 1)", "t.broadcast_to(w, (3, 3))", "t.atleast_3d(w)",
    "t.nn.functional.dropout(w, 0.5, training=False)", "t.nn.Identity()(w)", "t.nn.Flatten(0)(w)",
    "t.meshgrid(w[0], w[1], indexing='ij')[0]", "w.ravel()", "w[:, 1].flatten()", "w[0, 0].transpose(0, -1)",
    "t.movedim(w[0, 0], -1, 0)",
]  # fmt: skip
COPIES = [
    "w.flip(0)", "t.flip(w, (0, 1))", "t.fliplr(w)", "t.flipud(w)", *(f"t.rot90(w, {k})" for k in range(-1, 5)),
    "t.roll(w, 0)", "t.roll(w, 0, 0)", "t.diag(w)", "t.tril(w, 9)", "t.triu(w, -9)", "w.narrow_copy(0, 0, 1)",
    "t.narrow_copy(w, 0, 0, 3)", "w[[0]]", "w[w > -1]", "w.clone()", "w.repeat(1, 1)", "t.tile(w, (1, 1))",
    "t.cat([w])", "t.stack([w])", "w.clamp(min=-9)", "t.relu(w)", "t.where(w > -1, w, w)", "w + 0", "w.sum(())",
    "w.pow(1)", "w.index_select(0, t.tensor([0, 1, 2]))", "t.sort(w)[0]", "w.masked_fill(w > 99, 0)", "t.diff(w, n=0)",
    "t.nn.functional.interpolate(w[None, None], scale_factor=1)", "t.nn.functional.pad(w, (0, 0))", "t.vstack([w])",
    "t.nn.functional.max_pool2d(w[None], 1)", "t.round(w)", "t.matrix_power(w, 1)",
    "t.nn.utils.parameters_to_vector([w])", "t.slice_scatter(w, w, 0)", "t.block_diag(w)", "w.repeat_interleave(1)",
    "w.double()", "t.take(w, t.tensor([0]))", "w[:, 1].ravel()", "w.T.ravel()",
    # Where there is nothing to sort, to choose from or to add up:
    "t.sort(w[0, 0])[0]", "t.topk(w[0, 0], 1)[0]", "t.gather(w[0, 0], 0, t.tensor(0))", "t.logcumsumexp(w[:1, 0], 0)",
    "t.cumsum(w[0, 0], 0)", "t.cummax(w[:1, 0], 0)[0]", "w[0, 0].sum()", "w[0, 0].amax()", "w[:1].mean(0)",
    "w[0, 0].repeat_interleave(1)", "t.kthvalue(w[0, 0], 1)[0]", "w[0, 0].median()", "t.flip(w[0, 0], ())",
]  # fmt: skip


def shares(library, expression):
    w = library.arange(9.0).reshape(3, 3)
    return np.shares_memory(w.numpy(), eval(expression, {"t": library, "w": w}).numpy())


@pytest.mark.parametrize("expression", VIEWS)
def test_views(expression):
    assert shares(tj, expression)


@pytest.mark.parametrize("expression", COPIES)
def test_copies(expression):
    assert not shares(tj, expression)


@pytest.mark.peers
def test_the_same_in_pytorch():
    torch = pytest.importorskip("torch")
    assert all(shares(torch, expression) for expression in VIEWS)
    assert not any(shares(torch, expression) for expression in COPIES)


def test_what_is_written_to_a_copy_stays_there():
    w = tj.arange(3.0)
    f = w.flip(0)
    f[0] = 9
    assert w.tolist() == [0, 1, 2]
    given = np.arange(3.0)
    tj.flip(given, 0)[0] = 9
    tj.nn.functional.interpolate(given[None, None], scale_factor=1)[...] = 9
    assert given.tolist() == [0, 1, 2]


def test_without_recording_a_computed_tensor_keeps_its_history():
    x = tj.ones(2, 3, requires_grad=True)
    y = x * 2
    with tj.no_grad(), pytest.raises(tj.GradientError, match=r"cut a tensor of shape \(2, 3\) off"):
        y.t_()
    assert y.shape == (2, 3)
    assert y.requires_grad
    with tj.no_grad():
        y.uniform_()
    (y * 2).sum().backward()
    assert x.grad.tolist() == [[4.0] * 3] * 2


def test_how_often_an_array_changed_is_said_as_far_as_it_is_known():
    x = tj.ones(2, requires_grad=True)
    y = x * 1
    z = y * y
    for _ in range(100):
        y.add_(1)
    with pytest.raises(tj.GradientError, match="at version 100, expected version at most 36"):
        z.sum().backward()
