"""Shapes, orders, joining and padding: `rules/shaping.py`, `rules/arranging.py`, `rules/joining.py`."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import audit, check, compare_with_torch, randn

import tinygrad_jac as tj
from tinygrad_jac import ShapeError, jacobians
from tinygrad_jac.rules import arranging as ar
from tinygrad_jac.rules import joining as jo
from tinygrad_jac.rules import shaping as sh

# Each function in our spelling, in PyTorch's (after the module torch; None where it has none), and its inputs' shapes.
CASES = {
    "reshape": (lambda x: sh.reshape(x, 3, -1), lambda t, x: x.reshape(3, -1), (2, 6)),
    "reshape to a tuple": (lambda x: sh.reshape(x, (4, 1, 3)), lambda t, x: t.reshape(x, (4, 1, 3)), (2, 6)),
    "reshape to nothing": (lambda x: sh.reshape(x, ()), lambda t, x: x.reshape(()), (1, 1)),
    "reshape of a transpose": (lambda x: sh.reshape(sh.swapaxes(x, 0, 1), -1), lambda t, x: x.T.reshape(-1), (2, 3)),
    "flatten": (sh.flatten, lambda t, x: x.flatten(), (2, 3, 2)),
    "flatten some": (lambda x: sh.flatten(x, 1, -2), lambda t, x: x.flatten(1, -2), (2, 3, 2, 2)),
    "flatten a scalar": (sh.flatten, lambda t, x: x.flatten(), ()),
    "ravel": (lambda x: sh.ravel(sh.swapaxes(x, 0, 1)), lambda t, x: x.T.ravel(), (2, 3)),
    "unflatten": (lambda x: sh.unflatten(x, dim=1, sizes=(2, -1)), lambda t, x: x.unflatten(1, (2, -1)), (2, 6, 2)),
    "squeeze": (sh.squeeze, lambda t, x: x.squeeze(), (1, 2, 1)),
    "squeeze one": (lambda x: sh.squeeze(x, dim=-1), lambda t, x: x.squeeze(-1), (1, 2, 1)),
    "squeeze what is longer": (lambda x: sh.squeeze(x, 1), lambda t, x: x.squeeze(1), (1, 2, 1)),
    "squeeze several": (lambda x: sh.squeeze(x, (0, 1)), lambda t, x: x.squeeze((0, 1)), (1, 2, 1)),
    "unsqueeze": (lambda x: sh.unsqueeze(x, dim=1), lambda t, x: x.unsqueeze(1), (2, 3)),
    "unsqueeze at the end": (lambda x: sh.unsqueeze(x, -1), lambda t, x: x.unsqueeze(-1), (2, 3)),
    "unsqueeze several": (lambda x: sh.unsqueeze(x, (0, -1)), lambda t, x: x[None, ..., None], (2, 3)),
    "unsqueeze a scalar": (lambda x: sh.unsqueeze(x, 0), lambda t, x: x.unsqueeze(0), ()),
    "atleast_1d": (sh.atleast_1d, lambda t, x: t.atleast_1d(x), ()),
    "atleast_2d": (sh.atleast_2d, lambda t, x: t.atleast_2d(x), (3,)),
    "atleast_3d of a vector": (sh.atleast_3d, lambda t, x: t.atleast_3d(x), (3,)),
    "atleast_3d of a matrix": (sh.atleast_3d, lambda t, x: t.atleast_3d(x), (2, 3)),
    "broadcast_to": (lambda x: sh.broadcast_to(x, (2, 3, 2)), lambda t, x: x.broadcast_to((2, 3, 2)), (3, 1)),
    "expand": (lambda x: sh.expand(x, 2, -1, 4), lambda t, x: x.expand(2, -1, 4), (3, 1)),
    "expand a scalar": (lambda x: sh.expand(x, (2, 3)), lambda t, x: x.expand((2, 3)), ()),
    "expand_as": (lambda x, y: sh.expand_as(x, y) * y, lambda t, x, y: x.expand_as(y) * y, (1, 3), (2, 3)),
    "broadcast_tensors": (
        lambda x, y: np.multiply(*sh.broadcast_tensors(x, y)),
        lambda t, x, y: t.mul(*t.broadcast_tensors(x, y)),
        (2, 1),
        (3,),
    ),
    "permute": (lambda x: sh.permute(x, 0, 2, 1), lambda t, x: x.permute(0, 2, 1), (2, 3, 2)),
    "permute by a tuple": (lambda x: sh.permute(x, (-1, 0, 1)), lambda t, x: x.permute((-1, 0, 1)), (2, 3, 2)),
    "permute by keyword": (lambda x: sh.permute(x, dims=(2, 0, 1)), lambda t, x: x.permute(dims=(2, 0, 1)), (2, 3, 2)),
    "swapaxes": (lambda x: sh.swapaxes(x, 0, -1), lambda t, x: x.transpose(0, -1), (2, 3, 2)),
    "swapaxes of a scalar": (lambda x: sh.swapaxes(x, 0, -1), lambda t, x: x.transpose(0, -1), ()),
    "moveaxis of a scalar": (lambda x: sh.moveaxis(x, 0, -1), lambda t, x: x.movedim(0, -1), ()),
    "moveaxis": (lambda x: sh.moveaxis(x, 0, -1), lambda t, x: x.movedim(0, -1), (2, 3, 2)),
    "moveaxis, several": (lambda x: sh.moveaxis(x, (0, 2), (1, 0)), lambda t, x: x.movedim((0, 2), (1, 0)), (2, 3, 2)),
    "clone": (sh.clone, lambda t, x: x.clone(), (2, 3)),
    "contiguous": (lambda x: sh.contiguous(sh.swapaxes(x, 0, 1)), lambda t, x: x.T.contiguous(), (2, 3)),
    "flip": (lambda x: ar.flip(x, 0), lambda t, x: x.flip(0), (3, 2)),
    "flip both": (lambda x: ar.flip(x, 0, -1), lambda t, x: x.flip(0, -1), (3, 2)),
    "flip by keyword": (lambda x: ar.flip(x, dims=[1]), lambda t, x: t.flip(x, dims=[1]), (3, 2)),
    "fliplr": (ar.fliplr, lambda t, x: t.fliplr(x), (2, 3)),
    "flipud": (ar.flipud, lambda t, x: t.flipud(x), (2, 3)),
    "roll": (lambda x: ar.roll(x, 2, 0), lambda t, x: x.roll(2, 0), (3, 2)),
    "roll, flat": (lambda x: ar.roll(x, -1), lambda t, x: x.roll(-1), (3, 2)),
    "roll, two axes": (lambda x: ar.roll(x, (1, -5), (0, 1)), lambda t, x: x.roll((1, -5), (0, 1)), (3, 4)),
    "roll by keyword": (lambda x: ar.roll(x, shifts=1, dims=-1), lambda t, x: t.roll(x, shifts=1, dims=-1), (3, 2)),
    "rot90": (ar.rot90, lambda t, x: t.rot90(x), (2, 3)),
    "rot90 twice": (lambda x: ar.rot90(x, 2), lambda t, x: t.rot90(x, 2), (2, 3)),
    "rot90 back": (lambda x: ar.rot90(x, -1, (1, 2)), lambda t, x: t.rot90(x, -1, (1, 2)), (2, 3, 2)),
    "rot90 four times": (lambda x: ar.rot90(x, 4) * 1, lambda t, x: t.rot90(x, 4), (2, 3)),
    "diagonal": (ar.diagonal, lambda t, x: x.diagonal(), (3, 4)),
    "diagonal above": (lambda x: ar.diagonal(x, 1), lambda t, x: x.diagonal(1), (3, 4)),
    "diagonal below, of a stack": (
        lambda x: ar.diagonal(x, offset=-1, dim1=2, dim2=0),
        lambda t, x: x.diagonal(-1, 2, 0),
        (3, 2, 4),
    ),
    "diag_embed": (ar.diag_embed, lambda t, x: t.diag_embed(x), (2, 3)),
    "diag_embed elsewhere": (
        lambda x: ar.diag_embed(x, 1, 0, 2),
        lambda t, x: t.diag_embed(x, 1, 0, 2),
        (2, 3),
    ),
    "diag of a vector": (lambda x: ar.diag(x, -1), lambda t, x: t.diag(x, -1), (3,)),
    "diag of a matrix": (lambda x: ar.diag(x, 1), lambda t, x: t.diag(x, 1), (3, 2)),
    "tril": (ar.tril, lambda t, x: x.tril(), (3, 3)),
    "tril of a stack": (lambda x: ar.tril(x, diagonal=-1), lambda t, x: x.tril(-1), (2, 3, 4)),
    "triu": (ar.triu, lambda t, x: x.triu(), (3, 3)),
    "triu of a stack": (lambda x: ar.triu(x, 1), lambda t, x: x.triu(1), (2, 4, 3)),
    "concatenate": (lambda x, y: jo.concatenate([x, y]), lambda t, x, y: t.cat([x, y]), (2, 3), (1, 3)),
    "concatenate along dim": (
        lambda x, y: jo.concatenate((x, y, x), dim=-1),
        lambda t, x, y: t.cat((x, y, x), dim=-1),
        (2, 3),
        (2, 1),
    ),
    "concatenate with nothing": (
        lambda x, y: jo.concatenate([x, y], 1),
        lambda t, x, y: t.cat([x, y], 1),
        (2, 3),
        (2, 0),
    ),
    "stack": (lambda x, y: jo.stack([x, y], dim=1), lambda t, x, y: t.stack([x, y], dim=1), (2, 3), (2, 3)),
    "stack at the end": (lambda x, y: jo.stack([x, y], -1), lambda t, x, y: t.stack([x, y], -1), (2, 3), (2, 3)),
    "stack scalars": (lambda x, y: jo.stack([x, y]), lambda t, x, y: t.stack([x, y]), (), ()),
    "hstack": (lambda x, y: jo.hstack([x, y]), lambda t, x, y: t.hstack([x, y]), (2, 3), (2, 1)),
    "hstack vectors": (lambda x, y: jo.hstack([x, y]), lambda t, x, y: t.hstack([x, y]), (2,), ()),
    "vstack": (lambda x, y: jo.vstack([x, y]), lambda t, x, y: t.vstack([x, y]), (3,), (2, 3)),
    "meshgrid": (
        lambda x, y: np.multiply(*jo.meshgrid(x, y)),
        lambda t, x, y: t.mul(*t.meshgrid(x, y, indexing="ij")),
        (2,),
        (3,),
    ),
    "meshgrid xy": (
        lambda x, y, z: jo.meshgrid(x, y, z, indexing="xy")[1] * y[0],
        lambda t, x, y, z: t.meshgrid(x, y, z, indexing="xy")[1] * y[0],
        (2,),
        (3,),
        (2,),
    ),
    "split by size": (lambda x: jo.split(x, 2)[2] * jo.split(x, 2)[0][:1], lambda t, x: x.split(2)[2] * x[:1], (5, 2)),
    "split by sizes": (lambda x: jo.split(x, [1, 3], dim=1)[1], lambda t, x: x.split([1, 3], dim=1)[1], (2, 4)),
    "chunk": (lambda x: jo.chunk(x, 2, dim=-1)[0], lambda t, x: x.chunk(2, dim=-1)[0], (2, 5)),
    "tensor_split": (lambda x: jo.tensor_split(x, 3)[1], lambda t, x: x.tensor_split(3)[1], (7,)),
    "tensor_split at places": (
        lambda x: jo.tensor_split(x, (1, -2), dim=1)[1],
        lambda t, x: x.tensor_split((1, -2), dim=1)[1],
        (2, 5),
    ),
    "unbind": (lambda x: jo.unbind(x, dim=1)[2], lambda t, x: x.unbind(dim=1)[2], (2, 3)),
    "tile": (lambda x: jo.tile(x, (2, 3)), lambda t, x: x.tile((2, 3)), (2,)),
    "tile fewer": (lambda x: jo.tile(x, 2), lambda t, x: x.tile(2), (2, 3)),
    "tile by nothing": (lambda x: jo.tile(x, (1, 1)), lambda t, x: x.tile((1, 1)), (2, 3)),
    "repeat": (lambda x: jo.repeat(x, 3, 1, 2), lambda t, x: x.repeat(3, 1, 2), (2, 2)),
    "repeat_interleave": (lambda x: jo.repeat_interleave(x, 2), lambda t, x: x.repeat_interleave(2), (2, 2)),
    "repeat_interleave along dim": (
        lambda x: jo.repeat_interleave(x, 3, dim=0),
        lambda t, x: x.repeat_interleave(3, dim=0),
        (2, 2),
    ),
    "repeat_interleave by numbers": (
        lambda x: jo.repeat_interleave(x, np.array([2, 0, 3]), dim=1),
        lambda t, x: x.repeat_interleave(t.tensor([2, 0, 3]), dim=1),
        (2, 3),
    ),
    "pad": (
        lambda x: jo.pad(x, ((0, 0), (2, 1)), value=7.0),
        lambda t, x: t.nn.functional.pad(x, (2, 1), value=7.0),
        (2, 3),
    ),
    "pad all axes": (lambda x: jo.pad(x, 1), lambda t, x: t.nn.functional.pad(x, (1, 1, 1, 1)), (2, 3)),
    "pad, negative": (
        lambda x: jo.pad(x, ((-1, 1), (1, -2))),
        lambda t, x: t.nn.functional.pad(x, (1, -2, -1, 1)),
        (3, 4),
    ),
    **{
        f"pad, {mode}": (
            lambda x, mode=mode: jo.pad(x, ((0, 0), (0, 0), (2, 1)), mode=mode),
            lambda t, x, mode=mode: t.nn.functional.pad(x, (2, 1), mode=mode),
            (2, 2, 4),
        )
        for mode in ("reflect", "replicate", "circular")
    },
    "pad, two axes mirrored": (
        lambda x: jo.pad(x, (1, 2), mode="reflect"),
        lambda t, x: t.nn.functional.pad(x[None], (1, 2, 1, 2), mode="reflect")[0],
        (3, 4),
    ),
}


def inputs(shapes):
    return [np.asarray(randn(*shape, seed=k)) for k, shape in enumerate(shapes)]


@pytest.mark.parametrize("case", CASES)
def test_rule_statement_and_numbers(case):
    fn, _, *shapes = CASES[case]
    check(fn, *inputs(shapes))


@pytest.mark.peers
@pytest.mark.parametrize("case", CASES)
def test_as_in_pytorch(case):
    torch = pytest.importorskip("torch")
    fn, theirs, *shapes = CASES[case]
    compare_with_torch(fn, functools.partial(theirs, torch), *inputs(shapes))


# ------------------------------------------------------------------------------------------------ through NumPy's door

A, B, V = randn(2, 3), randn(2, 3, seed=1), randn(4, seed=2)
NUMPY = {
    "reshape": lambda m: np.reshape(m(A), (3, -1)),
    "reshape, shape=": lambda m: np.reshape(m(A), shape=(6,)),
    "ravel": lambda m: np.ravel(m(A)),
    "transpose": lambda m: np.transpose(m(A)),
    "transpose, axes": lambda m: np.transpose(m(A), axes=(1, 0)),
    "swapaxes": lambda m: np.swapaxes(m(A), 0, 1),
    "moveaxis": lambda m: np.moveaxis(m(A[None]), [0, 1], [-1, 0]),
    "squeeze": lambda m: np.squeeze(m(A[None])),
    "squeeze, axis": lambda m: np.squeeze(m(A[None, :, None]), axis=0),
    "expand_dims": lambda m: np.expand_dims(m(A), (0, 2)),
    "broadcast_to": lambda m: np.broadcast_to(m(A), (2, 2, 3)),
    "broadcast_arrays": lambda m: np.broadcast_arrays(m(A), m(A[:1]))[1],
    "atleast_1d": lambda m: np.atleast_1d(m(np.array(2.0))),
    "atleast_2d": lambda m: np.atleast_2d(m(V)),
    "atleast_3d": lambda m: np.atleast_3d(m(A)),
    "copy": lambda m: np.copy(m(A)),
    "flip": lambda m: np.flip(m(A)),
    "flip, axis": lambda m: np.flip(m(A), axis=(1,)),
    "fliplr": lambda m: np.fliplr(m(A)),
    "flipud": lambda m: np.flipud(m(A)),
    "roll": lambda m: np.roll(m(A), 2),
    "roll, axis": lambda m: np.roll(m(A), shift=(1, 1), axis=(0, 1)),
    "rot90": lambda m: np.rot90(m(A), k=3, axes=(1, 0)),
    "diagonal": lambda m: np.diagonal(m(A[..., None]), offset=1, axis1=-3, axis2=-2),
    "diag of a vector": lambda m: np.diag(m(V), k=1),
    "diag of a matrix": lambda m: np.diag(m(A)),
    "tril": lambda m: np.tril(m(A), k=-1),
    "triu": lambda m: np.triu(m(A), 1),
    "concatenate": lambda m: np.concatenate([m(A), B], axis=1),
    "concatenate, flat": lambda m: np.concatenate((B, m(A)), axis=None),
    "stack": lambda m: np.stack([m(A), m(B)], axis=-1),
    "hstack": lambda m: np.hstack([m(A), m(B)]),
    "vstack": lambda m: np.vstack([m(A), m(A[0])]),
    "split": lambda m: np.split(m(V), 2)[1],
    "split at places": lambda m: np.split(m(V), [1, 3])[1],
    "array_split": lambda m: np.array_split(m(V), 3)[0],
    "array_split, crossing places": lambda m: np.array_split(m(V), [3, 1, 9])[2],
    "tile": lambda m: np.tile(m(A), (2, 1, 2)),
    "repeat": lambda m: np.repeat(m(A), 2),
    "repeat, axis": lambda m: np.repeat(m(A), [1, 2], axis=0),
    "meshgrid": lambda m: np.meshgrid(m(V), m(A[0]))[0],
    "meshgrid, ij": lambda m: np.meshgrid(m(V), m(A[0]), indexing="ij")[1],
    "pad": lambda m: np.pad(m(A), ((1, 0), (0, 2)), constant_values=3.0),
    "pad, one width": lambda m: np.pad(m(A), 1),
    **{f"pad, {mode}": lambda m, mode=mode: np.pad(m(A), (2, 3), mode=mode) for mode in ("edge", "symmetric", "wrap")},
    "pad, reflect": lambda m: np.pad(m(A), ((0, 1), (2, 5)), mode="reflect"),
    "zeros_like": lambda m: np.zeros_like(m(A)),
    "ones_like": lambda m: np.ones_like(m(A)),
    "full_like": lambda m: np.full_like(m(A), 2.5),
}


@pytest.mark.parametrize("case", NUMPY)
def test_numpys_functions_mean_the_same_on_tensors(case):
    fn = NUMPY[case]
    expected = fn(lambda a: a)
    found = fn(lambda a: tj.tensor(a, requires_grad=True))
    assert isinstance(found, tj.Tensor)
    assert found.dtype == expected.dtype
    assert np.array_equal(found.array, expected)


@pytest.mark.parametrize("case", CASES)
def test_arrays_give_arrays(case):
    """Public functions on ndarrays: what they give on Tensors, as an ndarray."""
    fn, _, *shapes = CASES[case]
    arrays = inputs(shapes)
    found = fn(*arrays)
    assert isinstance(found, np.ndarray)
    assert np.array_equal(found, fn(*map(tj.tensor, arrays)).array)


def test_filled_arrays_of_a_form_are_constants():
    x = tj.tensor([[1.0, 2.0]], requires_grad=True)
    for made in (np.zeros_like(x), np.ones_like(x), np.empty_like(x), np.full_like(x, 3)):
        assert (made.shape, made.dtype, made.requires_grad) == (x.shape, x.dtype, False)
    assert np.zeros_like(x, dtype=np.int64).dtype == np.int64


# ------------------------------------------------------------------------------------------------ generated shapes

shapes = st.lists(st.integers(1, 3), min_size=1, max_size=4).map(tuple)


@given(st.data(), shapes)
def test_any_permutation(data, shape):
    order = data.draw(st.permutations(range(len(shape))))
    signs = data.draw(st.lists(st.booleans(), min_size=len(shape), max_size=len(shape)))
    axes = [k - len(shape) if s else k for k, s in zip(order, signs, strict=True)]
    x = tj.tensor(randn(*shape), requires_grad=True)
    out = sh.permute(x, *axes)
    assert np.array_equal(out.array, x.array.transpose(order))
    audit(out)


@given(st.data(), shapes)
def test_any_axes_flipped_and_rolled(data, shape):
    axes = tuple(data.draw(st.sets(st.integers(0, len(shape) - 1), min_size=1)))
    shifts = tuple(data.draw(st.integers(-5, 5)) for _ in axes)
    x = tj.tensor(randn(*shape), requires_grad=True)
    flipped, rolled = ar.flip(x, axes), ar.roll(x, shifts, axes)
    assert np.array_equal(flipped.array, np.flip(x.array, axes))
    assert np.array_equal(rolled.array, np.roll(x.array, shifts, axes))
    audit(flipped)
    audit(rolled)


@given(st.data(), shapes, st.lists(st.integers(0, 3), min_size=1, max_size=4))
def test_any_concatenation(data, shape, sizes):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    at = axis % len(shape)
    xs = [randn(*shape[:at], n, *shape[at + 1 :], seed=n) for n in sizes]
    out = jo.concatenate([tj.tensor(x, requires_grad=True) for x in xs], axis)
    assert np.array_equal(out.array, np.concatenate(xs, axis))
    if out.array.size:
        audit(out)


@given(st.data(), shapes)
def test_any_parts_put_together_again(data, shape):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = tj.tensor(randn(*shape), requires_grad=True)
    n = data.draw(st.integers(1, 4))
    for parts in (jo.split(x, n, axis), jo.chunk(x, n, axis), jo.tensor_split(x, n, axis)):
        again = jo.concatenate(parts, axis)
        assert np.array_equal(again.array, x.array)
        (g,) = tj.autograd.grad(again, x, 2 * x.array)
        assert np.array_equal(g.array, 2 * x.array)
    assert np.array_equal(jo.stack(jo.unbind(x, axis), axis).array, x.array)


@given(
    st.data(),
    st.lists(st.integers(1, 3), min_size=1, max_size=2),
    st.sampled_from(["constant", "edge", "reflect", "symmetric", "wrap"]),
)
def test_any_padding(data, shape, mode):
    widths = [(data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3))) for _ in shape]
    x = tj.tensor(randn(*shape), requires_grad=True)
    out = jo.pad(x, widths, mode) * 1
    assert np.array_equal(out.array, np.pad(x.array, widths, mode=mode))
    audit(out)


@given(shapes, st.lists(st.integers(0, 3), min_size=1, max_size=4))
def test_any_tiling(shape, times):
    x = tj.tensor(randn(*shape), requires_grad=True)
    out = jo.tile(x, times)
    assert np.array_equal(out.array, np.tile(x.array, times))
    if out.array.size:
        audit(out)


@given(st.integers(1, 3), st.integers(0, 4), st.integers(0, 4), st.integers(-4, 4))
def test_any_diagonal(batch, m, n, offset):
    x = tj.tensor(randn(batch, m, n), requires_grad=True)
    for out, expected in (
        (ar.diagonal(x, offset, 1, 2), np.diagonal(x.array, offset, 1, 2)),
        (ar.tril(x, offset), np.tril(x.array, offset)),
        (ar.triu(x, offset), np.triu(x.array, offset)),
    ):
        assert np.array_equal(out.array, expected)
        if out.array.size:
            audit(out)


# ------------------------------------------------------------------------------------------------ structures


def test_structures_of_the_statements():
    """A rearrangement keeps one position for each output, whatever it is called."""
    x = tj.tensor(randn(3, 3), requires_grad=True)
    expected = {
        "identity": [sh.reshape(x, 9), sh.clone(x), sh.astype(x, np.float32)],
        "selection": [sh.permute(x), ar.flip(x), ar.roll(x, 1, 0), ar.diagonal(x), ar.tril(x), jo.pad(x, 1)],
    }
    for structure, outs in expected.items():
        for out in outs:
            J = out.node.primitive.statement(out.node, 0)
            assert J.structure == structure, out.node
            assert J.nnz == np.count_nonzero(J.dense()) <= 9, out.node
    joined = jo.concatenate([x, x])
    J = joined.node.primitive.statement(joined.node, 1)
    assert np.array_equal(J.dense(), np.vstack([np.zeros((9, 9)), np.eye(9)]))


def test_the_statement_of_a_triangle_by_hand():
    x = tj.tensor(randn(2, 2), requires_grad=True)
    out = ar.tril(x)
    J = out.node.primitive.statement(out.node, 0)
    assert isinstance(J, jacobians.Selection)
    assert np.array_equal(J.index, [[0, -1], [2, 3]])


# ------------------------------------------------------------------------------------------------ memory, dtypes


def test_what_can_be_a_view_is_one():
    x = tj.tensor(randn(2, 3, 1))
    for view in (
        sh.reshape(x, 6),
        sh.flatten(x),
        sh.squeeze(x),
        sh.unsqueeze(x, 0),
        sh.permute(x, 2, 0, 1),
        sh.swapaxes(x, 0, 1),
        sh.expand(x, -1, -1, 5),
        ar.diagonal(x),
        jo.split(x, 1)[1],
        jo.unbind(x, 1)[2],
    ):
        assert np.shares_memory(view.array, x.array)
    for copy in (
        sh.clone(x),
        ar.roll(x, 1),
        jo.pad(x, 0),
        jo.concatenate([x]),
        jo.tile(x, 2),
        jo.repeat_interleave(x, 1),
    ):
        assert not np.shares_memory(copy.array, x.array)
    assert sh.contiguous(x) is x
    assert sh.flatten(x, 1, 1) is x


def test_a_diagonal_can_be_written_to():
    """NumPy's is read-only; PyTorch's idiom ``x.diagonal().add_(1)`` needs one that is not."""
    x = tj.tensor(np.zeros((2, 3)))
    ar.diagonal(x, 1).array[...] = 5
    assert np.array_equal(x.array, [[0, 5, 0], [0, 0, 5]])
    assert not ar.diagonal(sh.broadcast_to(x, (2, 2, 3))).array.flags.writeable


def test_tril_zeroes_what_is_not_finite():
    x = tj.tensor([[1.0, np.inf], [np.nan, 2.0]], requires_grad=True)
    out = ar.triu(ar.tril(x))
    out.sum().backward()
    assert np.array_equal(out.array, [[1, 0], [0, 2]])
    assert np.array_equal(x.grad.array, np.eye(2))


def test_joined_dtypes_are_promoted_as_in_pytorch():
    single, double, whole = tj.tensor([1.0]), tj.tensor(np.array([2.0])), tj.tensor(np.array([3]))
    assert jo.concatenate([single, whole]).dtype == np.float32
    assert jo.concatenate([single, double]).dtype == np.float64
    assert jo.stack([whole, whole]).dtype == np.int64
    single.requires_grad_()
    (2 * jo.concatenate([single, double, whole])).sum().backward()
    assert single.grad.dtype == np.float32
    assert single.grad.item() == 2


def test_astype():
    x = tj.tensor(randn(3), requires_grad=True)
    check(lambda x: sh.astype(sh.astype(x, np.float64) * x, "float64"), randn(3), single=False)
    out = sh.astype(x, np.float32)
    out.sum().backward()
    assert (out.dtype, x.grad.dtype) == (np.float32, np.float64)
    whole = sh.astype(x, np.int64)  # integers have no gradients: a constant
    assert not whole.requires_grad
    assert np.array_equal(whole.array, x.array.astype(np.int64))
    assert sh.astype(tj.tensor([1, 2]), np.float64).dtype == np.float64, "not the default dtype"


def test_third_derivatives():
    """Rules of rules of rules: d³/dt³ of sum(w t⁴), w being applied to rearranged entries."""

    def cubed(fn):
        x = tj.tensor(randn(2, 4), requires_grad=True)
        w = tj.tensor(randn(*fn(x).shape, seed=1))
        y = (fn(x) ** 4 * w).sum()
        for _ in range(3):
            (g,) = tj.autograd.grad(y, x, create_graph=True)
            y = g.sum()
        x.grad = None
        linear = tj.tensor(randn(2, 4), requires_grad=True)
        (fn(linear) * w).sum().backward()  # Jᵀ w
        return g.array, 24 * x.array * linear.grad.array

    for fn in (
        lambda x: jo.concatenate([ar.flip(x, 1), ar.roll(x, 1, 0)]),
        lambda x: jo.pad(ar.tril(x), 1, mode="wrap"),
        lambda x: ar.diag_embed(ar.diagonal(x)),
        lambda x: jo.tile(sh.moveaxis(x, 0, 1), (2, 1)),
    ):
        found, expected = cubed(fn)
        assert np.allclose(found, expected, rtol=1e-12)


def test_empty_arrays():
    x = tj.tensor(np.zeros((0, 3)), requires_grad=True)
    for out, shape in (
        (sh.reshape(x, 3, 0), (3, 0)),
        (sh.reshape(x, -1, 3), (0, 3)),
        (sh.flatten(x), (0,)),
        (sh.permute(x), (3, 0)),
        (sh.squeeze(x), (0, 3)),
        (ar.flip(x), (0, 3)),
        (ar.roll(x, 1, 0), (0, 3)),
        (ar.roll(x, 1), (0, 3)),
        (ar.tril(x), (0, 3)),
        (ar.diagonal(x), (0,)),
        (jo.concatenate([x, x], 1), (0, 6)),
        (jo.stack([x, x]), (2, 0, 3)),
        (jo.pad(x, 1), (2, 5)),
        (jo.tile(x, (2, 2)), (0, 6)),
        (jo.repeat_interleave(x, 2, 0), (0, 3)),
        (jo.repeat_interleave(x, 0, 1), (0, 0)),
        (jo.split(x, 2)[0], (0, 3)),
    ):
        assert out.shape == shape
        (g,) = tj.autograd.grad(out, x, np.ones(shape))
        assert g.shape == (0, 3)
    assert jo.unbind(x) == ()


# ------------------------------------------------------------------------------------------------ errors

X = tj.ones(2, 3)
ERRORS = [
    (lambda: sh.reshape(X, 4), ShapeError, r"\(2, 3\), 6 entries, to \(4,\): which has 4"),
    (lambda: sh.reshape(X, 4, -1), ShapeError, "4 does not divide it"),
    (lambda: sh.reshape(X, -1, -1), ShapeError, "only one size can be -1"),
    (lambda: sh.reshape(tj.ones(0), 0, -1), ShapeError, "could be anything"),
    (lambda: sh.flatten(X, 1, 0), ShapeError, "start_dim 1 comes after end_dim 0"),
    (lambda: sh.flatten(X, 0, 2), IndexError, "axis 2 is out of range for 2 axes"),
    (lambda: sh.unflatten(X, 1, (2, 2)), ShapeError, r"axis 1 of shape \(2, 3\) has size 3"),
    (lambda: sh.unflatten(X, 1, (2, -1)), ShapeError, "not the product"),
    (lambda: sh.squeeze(X, 2), IndexError, "out of range"),
    (lambda: sh.unsqueeze(X, 3), IndexError, "axis 3 is out of range for 3 axes: expected -3 to 2"),
    (lambda: sh.permute(X, 0), ShapeError, "each of the 2 axes"),
    (lambda: sh.permute(X, 0, 0), ShapeError, r"not \(0, 0\)"),
    (lambda: sh.moveaxis(X, (0, 1), 0), ValueError, "2 axes cannot be moved to 1 places"),
    (lambda: sh.moveaxis(X, (0, -2), (0, 1)), ValueError, "more than once"),
    (lambda: sh.swapaxes(X, 0, 2), IndexError, "axis 2"),
    (lambda: sh.broadcast_to(X, (3, 3)), ShapeError, r"\(2, 3\) does not broadcast to \(3, 3\)"),
    (lambda: sh.expand(X, 3), ShapeError, r"\(2, 3\) does not expand to \(3,\)"),
    (lambda: sh.expand(X, -1, 2, 3), ShapeError, "does not expand"),
    (lambda: sh.broadcast_tensors(X, tj.ones(4)), ShapeError, r"\(2, 3\) and \(4,\) do not broadcast"),
    (lambda: ar.flip(X, 2), IndexError, "axis 2"),
    (lambda: ar.roll(X, (1, 2), 0), ValueError, "2 shifts were given for 1 axes"),
    (lambda: ar.rot90(X, 1, (0,)), ValueError, "two axes"),
    (lambda: ar.diagonal(X, 0, 1, -1), ShapeError, "two different axes"),
    (lambda: ar.diagonal(X[0]), ShapeError, "two axes at least"),
    (lambda: ar.diag(tj.ones(1, 2, 3)), ShapeError, "vector or a matrix"),
    (lambda: ar.diag_embed(tj.ones(())), ShapeError, "has none"),
    (lambda: ar.tril(X[0]), ShapeError, "tril needs two axes"),
    (lambda: jo.concatenate([]), ValueError, "one array at least"),
    (lambda: jo.concatenate([X, tj.ones(2, 2)]), ShapeError, r"axis 0: shapes \(2, 3\) and \(2, 2\) do not fit"),
    (lambda: jo.concatenate([X, tj.ones(3)]), ShapeError, r"\(2, 3\) and \(3,\) do not fit"),
    (lambda: jo.concatenate([tj.ones(()), tj.ones(())]), ShapeError, "must have axes"),
    (lambda: jo.concatenate([X], 2), IndexError, "axis 2"),
    (lambda: jo.stack([X, X[0]]), ShapeError, "arrays of one shape"),
    (lambda: jo.stack([]), ValueError, "one array at least"),
    (lambda: jo.split(X, 0), ValueError, "must be positive"),
    (lambda: jo.split(X, [1, 2]), ValueError, r"\(1, 2\) do not add up to the 2 of axis 0"),
    (lambda: jo.split(X, [3, -1]), ValueError, "do not add up"),
    (lambda: np.split(X, 2, axis=1), ValueError, "2 parts do not divide axis 1"),
    (lambda: jo.chunk(X, 0), ValueError, "must be positive"),
    (lambda: jo.tensor_split(X, 0), ValueError, "must be positive"),
    (lambda: jo.tile(X, -1), ValueError, "negative"),
    (lambda: jo.repeat_interleave(X, -1), ValueError, "negative"),
    (lambda: jo.repeat(X, 2), ShapeError, "1 numbers were given for the 2 axes"),
    (lambda: jo.repeat_interleave(X, [1, 2, 3], 0), ShapeError, "3 numbers were given for the 2 entries"),
    (lambda: jo.pad(X, ((1, 1),) * 3), ShapeError, "a pair for each axis"),
    (lambda: jo.pad(X, 1, "mean"), ValueError, "not 'mean'"),
    (lambda: jo.pad(tj.ones(0), 1, "edge"), ValueError, "no entries"),
    (lambda: jo.meshgrid(X[0], indexing="yx"), ValueError, "'ij' or 'xy'"),
    (lambda: jo.cartesian_prod(X), ShapeError, r"takes a vector, not shape \(2, 3\)"),
]


@pytest.mark.parametrize("call, error, message", ERRORS)
def test_errors_say_what_was_wrong(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_in_place_on_what_was_broadcast_is_refused():
    y = sh.expand(tj.ones(2, 1), 2, 3)
    with pytest.raises(ValueError, match="expand"):
        y += 1


def test_of_no_axes_nothing_is_done():
    x = tj.tensor([1, 2, 3])
    assert tj.flip(x, dims=()).tolist() == np.flip(x, ()).tolist() == [1, 2, 3]
    assert tj.ones(1, 3).squeeze(()).shape == (1, 3)
