"""Softmax and its kin, and the layers that normalise."""

from __future__ import annotations

import math

import kit
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_jac as tj
from tinygrad_jac.rules import normalization as n

X = kit.randn(3, 4, 5)
WEIGHT, BIAS = kit.positive(4, seed=1), kit.randn(4, seed=2)
OVER_ROWS = kit.positive(4, 5, seed=3)
MEAN, VAR = kit.randn(4, seed=4), kit.positive(4, seed=5)

SOFTMAX = {"softmax": n.softmax, "log_softmax": n.log_softmax, "softmin": n.softmin}


def probabilities(x, axis):
    e = np.exp(x)
    return e / e.sum(axis, keepdims=True)


# ------------------------------------------------------------------------------------------------ softmax


@pytest.mark.parametrize("name", SOFTMAX)
@given(shape=st.sampled_from([(3,), (2, 3), (2, 3, 2), (1, 4), (3, 1)]), axis=st.integers(-3, 2))
def test_softmax_over_any_axis(name, shape, axis):
    function = SOFTMAX[name]
    if not -len(shape) <= axis < len(shape):
        with pytest.raises(IndexError, match="out of range"):
            function(tj.zeros(*shape), dim=axis)
        return
    kit.check(lambda x: function(x, dim=axis), kit.randn(*shape))


def test_softmax_by_hand():
    p = probabilities(X, 1)
    np.testing.assert_allclose(n.softmax(X, 1), p, rtol=1e-14)
    np.testing.assert_allclose(n.log_softmax(X, 1), np.log(p), rtol=1e-13)
    np.testing.assert_allclose(n.softmin(-X, 1), p, rtol=1e-14)
    assert n.softmax(tj.tensor([1, 2]), 0).dtype == np.float32
    assert n.softmax(tj.tensor([1.0, 2.0]), 0, dtype=np.float64).dtype == np.float64
    assert n.softmax(tj.tensor(3.0), dim=0).item() == 1.0


def test_the_jacobians_are_those_of_the_textbook():
    x = tj.tensor(kit.randn(4), requires_grad=True)
    p = probabilities(x.array, 0)
    for function, expected in (
        (n.softmax, np.diag(p) - np.outer(p, p)),
        (n.log_softmax, np.eye(4) - np.outer(np.ones(4), p)),
    ):
        node = function(x, 0).node
        J = node.primitive.statement(node, 0)
        assert J.structure == "diagonal + low rank"
        np.testing.assert_allclose(J.dense(), expected, atol=1e-15)


def test_softmax_keeps_nothing_but_its_output():
    assert n._softmax.saves == {"out"}
    assert n._log_softmax.saves == {"out"}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", SOFTMAX)
def test_logits_of_any_size(name, dtype):
    x = tj.tensor(np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4]], dtype=dtype), requires_grad=True)
    with np.errstate(all="raise", under="ignore"):
        out = SOFTMAX[name](x, 1)
        out.backward(np.array([[1.0, 2.0, 3.0]] * 2, dtype=dtype))
    assert out.dtype == dtype
    expected = {
        "softmax": [[1, 0, 0], [1 / 3] * 3],
        "log_softmax": [[0, -2e4, -1e4], [-math.log(3)] * 3],
        "softmin": [[0, 1, 0], [1 / 3] * 3],
    }[name]
    np.testing.assert_allclose(out.array, expected, rtol=1e-6)
    assert np.isfinite(x.grad.array).all()
    kit.audit(SOFTMAX[name](x, 1))


def test_a_masked_entry_takes_no_part():
    x = tj.tensor([[0.0, -np.inf, 0.0]], requires_grad=True)
    out = n.softmax(x, -1)
    assert out.tolist() == [[0.5, 0.0, 0.5]]
    out.backward(np.array([[1.0, 5.0, 0.0]], dtype=np.float32))
    assert x.grad.tolist() == [[0.25, 0.0, -0.25]]


def test_softmax_of_nothing_and_without_an_axis():
    assert n.softmax(tj.zeros(2, 0), 1).shape == (2, 0)
    assert n.log_softmax(tj.zeros(0, 2), 1).shape == (0, 2)
    with pytest.raises(TypeError, match="needs the axis"):
        n.softmax(tj.zeros(2, 3))


@pytest.mark.peers
@pytest.mark.parametrize("name", SOFTMAX)
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_softmax_against_pytorch(name, axis):
    theirs = getattr(pytest.importorskip("torch").nn.functional, name)
    kit.compare_with_torch(lambda x: SOFTMAX[name](x, dim=axis), lambda x: theirs(x, dim=axis), X)


# ------------------------------------------------------------------------------------------------ normalising

# name: (function of x and parameters, the parameters)
LAYERS = {
    "layer_norm": (lambda x, w, b: n.layer_norm(x, (4, 5), w, b), [OVER_ROWS, OVER_ROWS - 1]),
    "layer_norm_plain": (lambda x: n.layer_norm(x, 5, eps=0.1), []),
    "rms_norm": (lambda x, w: n.rms_norm(x, (5,), w), [kit.positive(5)]),
    "rms_norm_eps": (lambda x: n.rms_norm(x, (4, 5), eps=0.3), []),
    "batch_norm": (lambda x, w, b: n.batch_norm(x, None, None, w, b, training=True), [WEIGHT, BIAS]),
    "batch_norm_plain": (lambda x: n.batch_norm(x, None, None, training=True), []),
    "batch_norm_weight": (lambda x, w: n.batch_norm(x, None, None, w, training=True), [WEIGHT]),
    "batch_norm_eval": (lambda x, w, b: n.batch_norm(x, MEAN, VAR, w, b), [WEIGHT, BIAS]),
    "batch_norm_eval_plain": (lambda x: n.batch_norm(x, MEAN, VAR), []),
    "instance_norm": (lambda x, w, b: n.instance_norm(x, weight=w, bias=b), [WEIGHT, BIAS]),
    "group_norm": (lambda x, w, b: n.group_norm(x, 2, w, b), [WEIGHT, BIAS]),
}


def in_torch(name, torch):
    f = torch.nn.functional
    mean, var = torch.tensor(MEAN), torch.tensor(VAR)
    return {
        "layer_norm": lambda x, w, b: f.layer_norm(x, (4, 5), w, b),
        "layer_norm_plain": lambda x: f.layer_norm(x, (5,), eps=0.1),
        "rms_norm": lambda x, w: f.rms_norm(x, (5,), w),
        "rms_norm_eps": lambda x: f.rms_norm(x, (4, 5), eps=0.3),
        "batch_norm": lambda x, w, b: f.batch_norm(x, None, None, w, b, training=True),
        "batch_norm_plain": lambda x: f.batch_norm(x, None, None, training=True),
        "batch_norm_weight": lambda x, w: f.batch_norm(x, None, None, w, training=True),
        "batch_norm_eval": lambda x, w, b: f.batch_norm(x, mean, var, w, b),
        "batch_norm_eval_plain": lambda x: f.batch_norm(x, mean, var),
        "instance_norm": lambda x, w, b: f.instance_norm(x, weight=w, bias=b),
        "group_norm": lambda x, w, b: f.group_norm(x, 2, w, b),
    }[name]


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name):
    function, parameters = LAYERS[name]
    kit.check(function, X[:2], *parameters)


@pytest.mark.peers
@pytest.mark.parametrize("name", LAYERS)
def test_layers_against_pytorch(name):
    torch = pytest.importorskip("torch")
    function, parameters = LAYERS[name]
    kit.compare_with_torch(function, in_torch(name, torch), X, *parameters)


@given(
    shape=st.sampled_from([(4,), (3, 2), (2, 3, 2)]),
    axes=st.sets(st.integers(-3, -1), min_size=1),
    centre=st.booleans(),
)
def test_standardize_over_any_axes(shape, axes, centre):
    axis = tuple(sorted(a for a in axes if a >= -len(shape))) or (-1,)
    kit.check(lambda x: n.standardize(x, axis=axis, eps=1e-2, centre=centre), kit.randn(*shape))


def test_the_jacobian_of_batch_normalisation_by_hand():
    # r (I - (1 1ᵀ + x̂ x̂ᵀ)/n) for each channel: the projection that takes out the mean and the direction of x̂.
    x = tj.tensor(kit.randn(6, 1), requires_grad=True)
    out = n.batch_norm(x, None, None, training=True, eps=1e-3)
    J = out.node.primitive.statement(out.node, 0)
    assert J.structure == "diagonal + low rank"
    rate = 1 / math.sqrt(x.array.var() + 1e-3)
    xhat = out.array[:, 0]
    expected = rate * (np.eye(6) - (np.ones((6, 6)) + np.outer(xhat, xhat)) / 6)
    np.testing.assert_allclose(J.dense(), expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(J.dense() @ np.ones(6), 0, atol=1e-14)


def test_what_is_constant_stays_finite():
    x = tj.tensor(np.full((2, 8), 3.0, np.float32), requires_grad=True)
    out = n.layer_norm(x, (8,))
    out.sum().backward()
    assert not out.array.any()
    assert np.isfinite(x.grad.array).all()
    large = n.layer_norm(tj.tensor(np.array([[1e4, 1e4 + 1, 1e4 + 2, 1e4 + 3]], np.float32)), (4,))
    np.testing.assert_allclose(large.array, [[-1.341641, -0.447214, 0.447214, 1.341641]], rtol=1e-5)


# ------------------------------------------------------------------------------------------------ running statistics


@pytest.mark.parametrize("make", [tj.tensor, np.array], ids=["tensors", "arrays"])
@pytest.mark.parametrize("name, axis", [("batch_norm", (0, 2)), ("instance_norm", (2,))])
def test_running_statistics(make, name, axis):
    mean, var = make(MEAN), make(VAR)
    normalise = n.batch_norm if name == "batch_norm" else n.instance_norm
    switch = {"training" if name == "batch_norm" else "use_input_stats": True}
    normalise(tj.tensor(X), mean, var, momentum=0.3, **switch)
    batch_mean, batch_var = X.mean(axis), X.var(axis, ddof=1)  # the unbiased variance, though x̂ has the biased one
    if name == "instance_norm":
        batch_mean, batch_var = batch_mean.mean(0), batch_var.mean(0)
    np.testing.assert_allclose(np.asarray(mean), 0.7 * MEAN + 0.3 * batch_mean, rtol=1e-14)
    np.testing.assert_allclose(np.asarray(var), 0.7 * VAR + 0.3 * batch_var, rtol=1e-14)
    before = np.array(mean)
    switch = dict.fromkeys(switch, False)
    normalise(tj.tensor(X), mean, var, **switch)
    np.testing.assert_array_equal(np.asarray(mean), before)


@pytest.mark.peers
@pytest.mark.parametrize("name", ["batch_norm", "instance_norm"])
def test_running_statistics_against_pytorch(name):
    torch = pytest.importorskip("torch")
    ours = [tj.tensor(MEAN), tj.tensor(VAR)]
    theirs = [torch.tensor(MEAN), torch.tensor(VAR)]
    switch = {"training" if name == "batch_norm" else "use_input_stats": True}
    for step in range(3):
        x = kit.randn(3, 4, 5, seed=step)
        getattr(n, name)(tj.tensor(x), *ours, momentum=0.2, **switch)
        getattr(torch.nn.functional, name)(torch.tensor(x), *theirs, momentum=0.2, **switch)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.array, b.numpy(), rtol=1e-13)


def test_a_buffer_changed_before_backward_is_noticed():
    x, mean, var = tj.tensor(X, requires_grad=True), tj.tensor(MEAN), tj.tensor(VAR)
    weight = tj.tensor(WEIGHT, requires_grad=True)
    out = n.batch_norm(x, mean, var, weight)  # reads the buffers, but keeps nothing that is theirs
    n.batch_norm(tj.tensor(X), mean, var, training=True)
    out.sum().backward()
    np.testing.assert_allclose(x.grad.array[0, :, 0], WEIGHT / np.sqrt(VAR + 1e-5), rtol=1e-14)
    y = mean * weight
    n.batch_norm(tj.tensor(X), mean, var, training=True)
    with pytest.raises(tj.GradientError, match="changed in place"):
        y.sum().backward()


def test_float32_is_kept_whatever_the_buffers_are():
    x = tj.tensor(X.astype(np.float32), requires_grad=True)
    assert n.batch_norm(x, MEAN, VAR).dtype == np.float32
    mean = MEAN.astype(np.float32)
    n.batch_norm(tj.tensor(X), mean, VAR.copy(), training=True)
    assert mean.dtype == np.float32


# ------------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: n.layer_norm(tj.zeros(2, 3), (4,)), tj.ShapeError, r"last sizes of shape \(2, 3\) .* \(4,\)"),
        (lambda: n.layer_norm(tj.zeros(2, 3), (3,), tj.zeros(2)), tj.ShapeError, r"shape \(3,\), one has \(2,\)"),
        (lambda: n.rms_norm(tj.zeros(2, 3), ()), tj.ShapeError, "normalized_shape"),
        (lambda: n.batch_norm(tj.zeros(3), None, None, training=True), tj.ShapeError, "batch, channel"),
        (lambda: n.batch_norm(tj.zeros(1, 3), None, None, training=True), ValueError, "more than one value"),
        (lambda: n.batch_norm(tj.zeros(2, 3), None, None), ValueError, "running_mean and running_var are needed"),
        (lambda: n.batch_norm(tj.zeros(2, 3), tj.zeros(2), None), tj.ShapeError, r"running_mean .* \(3,\).* \(2,\)"),
        (lambda: n.instance_norm(tj.zeros(2, 3, 1)), ValueError, "more than one value"),
        (lambda: n.group_norm(tj.zeros(2, 3), 2), tj.ShapeError, "3 channels cannot be divided into 2 groups"),
        (lambda: n.group_norm(tj.zeros(2, 4), 2, tj.zeros(2)), tj.ShapeError, "weight must have shape"),
    ],
)
def test_errors_say_what_is_wrong(call, error, message):
    with pytest.raises(error, match=message):
        call()


# ------------------------------------------------------------------------------------------------ normalize


@pytest.mark.parametrize("p, axis", [(2.0, 1), (1.0, 0), (3.0, -1), (math.inf, 1)])
def test_normalize(p, axis):
    kit.check(lambda x: n.normalize(x, p, dim=axis), kit.distinct(2, 3, 2), step=1e-3)


def test_normalize_of_a_zero_vector():
    x = tj.tensor([[0.0, 0.0], [3.0, 4.0]], requires_grad=True)
    out = n.normalize(x)
    np.testing.assert_allclose(out.array, [[0, 0], [0.6, 0.8]], rtol=1e-6)
    out.sum().backward()
    np.testing.assert_allclose(x.grad.array, [[1e12, 1e12], [0.032, -0.024]], rtol=1e-5)


@pytest.mark.peers
@pytest.mark.parametrize("p, axis", [(2.0, 1), (1.0, 0), (3.0, -1)])
def test_normalize_against_pytorch(p, axis):
    functional = pytest.importorskip("torch").nn.functional
    kit.compare_with_torch(lambda x: n.normalize(x, p, axis), lambda x: functional.normalize(x, p, axis), X)
