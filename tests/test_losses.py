"""The losses: by hand, in numbers, in PyTorch; logits of any size; what is refused."""

from __future__ import annotations

import math

import kit
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_jac as tj
from tinygrad_jac.jacobians import BlockDiag, Diagonal
from tinygrad_jac.rules import losses as L
from tinygrad_jac.rules.normalization import log_softmax, softmax

LOGITS = kit.randn(5, 4) * 2
LABELS = np.array([0, 3, 1, 1, 2])
WEIGHT = kit.positive(4)
SOFT = kit.positive(5, 4, seed=3)
IMAGE, IMAGE_LABELS = kit.randn(2, 3, 2, 2), np.array([[[0, 1], [2, 1]], [[1, 1], [0, 2]]])
Z, T = kit.randn(3, 4) * 2, kit.rng(1).uniform(0.1, 0.9, (3, 4))
P = kit.rng(2).uniform(0.1, 0.9, (3, 4))
SIGNS = np.sign(kit.randn(3, 4, seed=9))
ROW_SIGNS = np.array([1, -1, 1])
VAR = kit.positive(3, 1, seed=4)

like = lambda x, a: np.asarray(a).astype(x.dtype)  # noqa: E731 - constants follow the dtype that is tested


# name: (ours, PyTorch's given torch, arguments). The reduction is the caller's.
LOSSES = {
    "cross_entropy": (
        lambda x, **k: L.cross_entropy(x, LABELS, **k),
        lambda t: lambda x, **k: t.nn.functional.cross_entropy(x, t.tensor(LABELS), **k),
        [LOGITS],
    ),
    "cross_entropy_weight": (
        lambda x, **k: L.cross_entropy(x, LABELS, like(x, WEIGHT), ignore_index=1, **k),
        lambda t: (
            lambda x, **k: t.nn.functional.cross_entropy(x, t.tensor(LABELS), t.tensor(WEIGHT), ignore_index=1, **k)
        ),
        [LOGITS],
    ),
    "cross_entropy_smoothing": (
        lambda x, **k: L.cross_entropy(x, LABELS, like(x, WEIGHT), ignore_index=1, label_smoothing=0.2, **k),
        lambda t: (
            lambda x, **k: t.nn.functional.cross_entropy(
                x, t.tensor(LABELS), t.tensor(WEIGHT), ignore_index=1, label_smoothing=0.2, **k
            )
        ),
        [LOGITS],
    ),
    "cross_entropy_probabilities": (
        lambda x, q, **k: L.cross_entropy(x, q, like(x, WEIGHT), label_smoothing=0.2, **k),
        lambda t: lambda x, q, **k: t.nn.functional.cross_entropy(x, q, t.tensor(WEIGHT), label_smoothing=0.2, **k),
        [LOGITS, SOFT],
    ),
    "cross_entropy_image": (
        lambda x, **k: L.cross_entropy(x, IMAGE_LABELS, **k),
        lambda t: lambda x, **k: t.nn.functional.cross_entropy(x, t.tensor(IMAGE_LABELS), **k),
        [IMAGE],
    ),
    "cross_entropy_image_probabilities": (
        L.cross_entropy,
        lambda t: t.nn.functional.cross_entropy,
        [IMAGE, kit.positive(2, 3, 2, 2)],
    ),
    "cross_entropy_one_sample": (
        lambda x, **k: L.cross_entropy(x, np.array(2), **k),
        lambda t: lambda x, **k: t.nn.functional.cross_entropy(x, t.tensor(2), **k),
        [LOGITS[0]],
    ),
    "cross_entropy_one_sample_probabilities": (
        L.cross_entropy,
        lambda t: t.nn.functional.cross_entropy,
        [LOGITS[0], SOFT[0]],
    ),
    "nll": (
        lambda x, **k: L.nll_loss(x, LABELS, like(x, WEIGHT), ignore_index=1, **k),
        lambda t: lambda x, **k: t.nn.functional.nll_loss(x, t.tensor(LABELS), t.tensor(WEIGHT), ignore_index=1, **k),
        [LOGITS],
    ),
    "nll_image": (
        lambda x, **k: L.nll_loss(x, IMAGE_LABELS, **k),
        lambda t: lambda x, **k: t.nn.functional.nll_loss(x, t.tensor(IMAGE_LABELS), **k),
        [IMAGE],
    ),
    "bce_with_logits": (
        L.binary_cross_entropy_with_logits,
        lambda t: t.nn.functional.binary_cross_entropy_with_logits,
        [Z, T],
    ),
    "bce_with_logits_weights": (
        lambda x, y, **k: L.binary_cross_entropy_with_logits(x, y, like(x, P), pos_weight=like(x, WEIGHT), **k),
        lambda t: (
            lambda x, y, **k: t.nn.functional.binary_cross_entropy_with_logits(
                x, y, t.tensor(P), pos_weight=t.tensor(WEIGHT), **k
            )
        ),
        [Z, T],
    ),
    "bce": (L.binary_cross_entropy, lambda t: t.nn.functional.binary_cross_entropy, [P, T]),
    "bce_weight": (
        lambda x, y, **k: L.binary_cross_entropy(x, y, like(x, WEIGHT), **k),
        lambda t: lambda x, y, **k: t.nn.functional.binary_cross_entropy(x, y, t.tensor(WEIGHT), **k),
        [P, T],
    ),
    "mse": (L.mse_loss, lambda t: t.nn.functional.mse_loss, [Z, T]),
    "mse_weight": (
        lambda x, y, **k: L.mse_loss(x, y, weight=like(x, P), **k),
        lambda t: lambda x, y, **k: t.nn.functional.mse_loss(x, y, weight=t.tensor(P), **k),
        [Z, T],
    ),
    "l1": (L.l1_loss, lambda t: t.nn.functional.l1_loss, [Z, T]),
    "l1_weight": (
        lambda x, y, **k: L.l1_loss(x, y, weight=like(x, P), **k),
        lambda t: lambda x, y, **k: t.nn.functional.l1_loss(x, y, weight=t.tensor(P), **k),
        [Z, T],
    ),
    "smooth_l1": (
        lambda x, y, **k: L.smooth_l1_loss(x, y, beta=0.3, **k),
        lambda t: lambda x, y, **k: t.nn.functional.smooth_l1_loss(x, y, beta=0.3, **k),
        [Z, T],
    ),
    "huber": (
        lambda x, y, **k: L.huber_loss(x, y, delta=0.8, weight=like(x, P), **k),
        lambda t: lambda x, y, **k: t.nn.functional.huber_loss(x, y, delta=0.8, weight=t.tensor(P), **k),
        [Z, T],
    ),
    "kl_div": (L.kl_div, lambda t: t.nn.functional.kl_div, [Z, T]),
    "kl_div_log": (
        lambda x, y, **k: L.kl_div(x, y, log_target=True, **k),
        lambda t: lambda x, y, **k: t.nn.functional.kl_div(x, y, log_target=True, **k),
        [Z, T],
    ),
    "poisson": (
        lambda x, y, **k: L.poisson_nll_loss(x, y, full=True, **k),
        lambda t: lambda x, y, **k: t.nn.functional.poisson_nll_loss(x, y, full=True, **k),
        [Z, np.abs(Z) * 3],
    ),
    "poisson_rate": (
        lambda x, y, **k: L.poisson_nll_loss(x, y, log_input=False, **k),
        lambda t: lambda x, y, **k: t.nn.functional.poisson_nll_loss(x, y, log_input=False, **k),
        [P, T],
    ),
    "gaussian": (
        lambda x, y, v, **k: L.gaussian_nll_loss(x, y, v, full=True, **k),
        lambda t: lambda x, y, v, **k: t.nn.functional.gaussian_nll_loss(x, y, v, full=True, **k),
        [Z, T, VAR],
    ),
    "gaussian_number": (
        lambda x, y, **k: L.gaussian_nll_loss(x, y, 0.5, **k),
        lambda t: lambda x, y, **k: t.nn.functional.gaussian_nll_loss(x, y, 0.5, **k),
        [Z, T],
    ),
    "soft_margin": (
        lambda x, **k: L.soft_margin_loss(x, like(x, SIGNS), **k),
        lambda t: lambda x, **k: t.nn.functional.soft_margin_loss(x, t.tensor(SIGNS), **k),
        [Z],
    ),
    "multilabel_soft_margin": (
        lambda x, y, **k: L.multilabel_soft_margin_loss(x, y, like(x, WEIGHT), **k),
        lambda t: lambda x, y, **k: t.nn.functional.multilabel_soft_margin_loss(x, y, t.tensor(WEIGHT), **k),
        [Z, T],
    ),
    "cosine_embedding": (
        lambda x, y, **k: L.cosine_embedding_loss(x, y, ROW_SIGNS, 0.1, **k),
        lambda t: lambda x, y, **k: t.nn.functional.cosine_embedding_loss(x, y, t.tensor(ROW_SIGNS), 0.1, **k),
        [Z, T],
    ),
    "margin_ranking": (
        lambda x, y, **k: L.margin_ranking_loss(x, y, like(x, SIGNS), 0.3, **k),
        lambda t: lambda x, y, **k: t.nn.functional.margin_ranking_loss(x, y, t.tensor(SIGNS), 0.3, **k),
        [Z, T],
    ),
    "hinge_embedding": (
        lambda x, **k: L.hinge_embedding_loss(x, like(x, SIGNS), **k),
        lambda t: lambda x, **k: t.nn.functional.hinge_embedding_loss(x, t.tensor(SIGNS), **k),
        [Z],
    ),
    "triplet_margin": (
        lambda x, y, z, **k: L.triplet_margin_loss(x, y, z, swap=True, **k),
        lambda t: lambda x, y, z, **k: t.nn.functional.triplet_margin_loss(x, y, z, swap=True, **k),
        [Z, T, P],
    ),
    "multi_margin": (
        lambda x, **k: L.multi_margin_loss(x, LABELS, weight=like(x, WEIGHT), **k),
        lambda t: lambda x, **k: t.nn.functional.multi_margin_loss(x, t.tensor(LABELS), weight=t.tensor(WEIGHT), **k),
        [LOGITS],
    ),
    "multi_margin_squared": (
        lambda x, **k: L.multi_margin_loss(x, LABELS, p=2, margin=0.5, **k),
        lambda t: lambda x, **k: t.nn.functional.multi_margin_loss(x, t.tensor(LABELS), p=2, margin=0.5, **k),
        [LOGITS],
    ),
}
REDUCTIONS = ("mean", "sum", "none")


# ------------------------------------------------------------------------------------------------ every loss


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", LOSSES)
def test_loss(name, reduction):
    function, _, arrays = LOSSES[name]
    kit.check(lambda *a: function(*a, reduction=reduction), *arrays, step=2e-3, second=reduction == "none")


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides the total loss")
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", LOSSES)
def test_against_pytorch(name, reduction):
    torch = pytest.importorskip("torch")
    ours, theirs, arrays = LOSSES[name]
    theirs = theirs(torch)
    kit.compare_with_torch(
        lambda *a: ours(*a, reduction=reduction), lambda *a: theirs(*a, reduction=reduction), *arrays, rtol=1e-9
    )


@pytest.mark.parametrize("name", LOSSES)
def test_arrays_give_numbers_and_other_words_are_refused(name):
    function, _, arrays = LOSSES[name]
    found = function(*arrays)
    assert not isinstance(found, tj.Tensor)
    assert np.shape(found) == ()
    np.testing.assert_allclose(found, function(*(tj.tensor(a) for a in arrays)).item(), rtol=1e-15)
    with pytest.raises(ValueError, match="reduction is 'mean', 'sum' or 'none', not 'average'"):
        function(*arrays, reduction="average")


@pytest.mark.parametrize(
    "older, reduction",
    [
        ({"size_average": True}, "mean"),
        ({"size_average": False}, "sum"),
        ({"reduce": True}, "mean"),
        ({"reduce": False}, "none"),
        ({"size_average": False, "reduce": False}, "none"),
        ({"size_average": False, "reduce": True}, "sum"),
    ],
)
def test_the_older_arguments(older, reduction):
    labels = tj.tensor(LABELS)
    for function, arguments in ((L.nll_loss, (tj.tensor(LOGITS), labels)), (L.binary_cross_entropy, (P, T))):
        with pytest.warns(UserWarning, match=f"reduction='{reduction}'") as caught:
            found = function(*arguments, **older)
        assert caught[0].filename == __file__
        np.testing.assert_array_equal(np.asarray(found), np.asarray(function(*arguments, reduction=reduction)))


# ------------------------------------------------------------------------------------------------ the fused pairs


def test_softmax_with_cross_entropy_has_the_gradient_p_minus_y():
    x = tj.tensor(LOGITS, requires_grad=True)
    out = L.cross_entropy(x, LABELS, reduction="none")
    p = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
    y = np.eye(4)[LABELS]
    np.testing.assert_allclose(out.array, -np.log(p[np.arange(5), LABELS]), rtol=1e-14)
    J = out.node.primitive.statement(out.node, 0)
    assert "block diagonal" in J.structure
    assert any(isinstance(f, BlockDiag) and f.blocks.shape == (5, 1, 4) for f in J.factors)
    np.testing.assert_allclose(J.dense().reshape(5, 5, 4)[range(5), range(5)], p - y, atol=1e-15)
    out.sum().backward()
    np.testing.assert_allclose(x.grad.array, p - y, atol=1e-15)


def test_sigmoid_with_binary_cross_entropy_has_the_gradient_sigma_minus_y():
    x = tj.tensor(Z, requires_grad=True)
    out = L.binary_cross_entropy_with_logits(x, T, reduction="none")
    sigma = 1 / (1 + np.exp(-Z))
    np.testing.assert_allclose(out.array, -T * np.log(sigma) - (1 - T) * np.log(1 - sigma), rtol=1e-13)
    assert type(out.node.primitive.statement(out.node, 0)) is Diagonal
    out.sum().backward()
    np.testing.assert_allclose(x.grad.array, sigma - T, rtol=1e-13)


def test_identity_with_squared_error_has_the_gradient_minus_2_y_minus_x():
    x = tj.tensor(Z, requires_grad=True)
    out = L.mse_loss(x, T, reduction="none")
    np.testing.assert_array_equal(out.array, (Z - T) ** 2)
    assert type(out.node.primitive.statement(out.node, 0)) is Diagonal
    out.sum().backward()
    np.testing.assert_array_equal(x.grad.array, -2 * (T - Z))


def test_the_fused_rule_is_its_composition():
    x = tj.tensor(LOGITS, requires_grad=True)
    target = tj.tensor(LABELS)
    fused = L.cross_entropy(x, target, reduction="none")
    composed = L._cross_entropy.composition(x, LABELS)
    apart = L.nll_loss(log_softmax(x, 1), target, reduction="none")
    for other in (composed, apart):
        np.testing.assert_allclose(fused.array, other.array, rtol=1e-14)
        for a, b in zip(kit.jacobians(fused, [x]), kit.jacobians(other, [x]), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-15)
    by_log = -(np.log(softmax(x, 1)) * np.eye(4)[LABELS]).sum(1)
    np.testing.assert_allclose(fused.array, by_log.array, rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logits_of_any_size(dtype):
    x = np.array([[1e4, -1e4, 0.0], [1e4, 1e4 - 1, -1e4], [-1e4, -1e4, -1e4]], dtype=dtype)
    target = np.array([1, 0, 2])
    t = tj.tensor(x, requires_grad=True)
    with np.errstate(all="raise", under="ignore"):
        out = L.cross_entropy(t, target, reduction="none")
        out.sum().backward()
    assert out.dtype == dtype
    np.testing.assert_allclose(out.array, [2e4, math.log(1 + math.exp(-1)), math.log(3)], rtol=1e-6)
    second = 1 / (1 + math.exp(1))
    expected = [[1, -1, 0], [-second, second, 0], [1 / 3, 1 / 3, -2 / 3]]
    np.testing.assert_allclose(t.grad.array, expected, rtol=1e-6, atol=1e-7)
    kit.audit(L.cross_entropy(t, target))
    kit.audit(L.cross_entropy(t, target, label_smoothing=0.1))

    z = tj.tensor(np.array([1e4, -1e4, 1e4, -1e4], dtype=dtype), requires_grad=True)
    y = np.array([1, 0, 0, 1], dtype=dtype)
    with np.errstate(all="raise", under="ignore"):
        out = L.binary_cross_entropy_with_logits(z, y, reduction="none", pos_weight=np.array(2.0, dtype))
        out.sum().backward()
        soft = L.soft_margin_loss(z, 2 * y - 1, reduction="none")
    assert out.tolist() == [0.0, 0.0, 1e4, 2e4]
    assert soft.tolist() == [0.0, 0.0, 1e4, 1e4]
    assert z.grad.tolist() == [0.0, 0.0, 1.0, -2.0]
    kit.audit(L.binary_cross_entropy_with_logits(z, y))


def test_a_masked_class_costs_nothing():
    x = tj.tensor([[0.0, -np.inf, 0.0]], requires_grad=True)
    hard = L.cross_entropy(x, tj.tensor([2]))
    soft = L.cross_entropy(x, tj.tensor([[0.5, 0.0, 0.5]]))
    (hard + soft).backward()
    np.testing.assert_allclose([hard.item(), soft.item()], math.log(2), rtol=1e-6)
    np.testing.assert_allclose(x.grad.array, [[0.5, 0.0, -0.5]], atol=1e-7)


# ------------------------------------------------------------------------------------------------ classes


@given(st.integers(0, 30), st.sampled_from([(1, 2), (4, 3), (2, 3, 2), (1, 2, 2, 2)]), st.sampled_from(REDUCTIONS))
def test_ignored_samples_are_as_if_they_were_not_there(seed, shape, reduction):
    r = kit.rng(seed)
    x, target = r.standard_normal(shape), r.integers(0, shape[1], (shape[0], *shape[2:]))
    ignored = r.random(target.shape) < 0.4
    if ignored.all():
        ignored.reshape(-1)[0] = False
    target[ignored] = -100
    t = tj.tensor(x, requires_grad=True)
    found = L.cross_entropy(t, target, reduction=reduction)
    logp = x - np.log(np.exp(x).sum(1, keepdims=True))
    losses = -np.take_along_axis(logp, np.where(ignored, 0, target)[:, None], 1)[:, 0]
    losses[ignored] = 0
    expected = {"none": losses, "sum": losses.sum(), "mean": losses.sum() / (~ignored).sum()}[reduction]
    np.testing.assert_allclose(found.array, expected, rtol=1e-12, atol=1e-14)
    kit.audit(found)
    found.sum().backward()
    assert not t.grad.array[np.broadcast_to(ignored[:, None], shape)].any()


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
def test_class_indices_of_every_integer_dtype(dtype):
    expected = L.cross_entropy(LOGITS, LABELS)
    assert L.cross_entropy(LOGITS, LABELS.astype(dtype)) == expected
    assert L.cross_entropy(tj.tensor(LOGITS), tj.tensor(LABELS.astype(dtype))).item() == expected


def test_weights_of_classes_can_be_learned():
    w = tj.tensor(WEIGHT, requires_grad=True)
    L.cross_entropy(tj.tensor(LOGITS), LABELS, w, reduction="sum").backward()
    losses = L.cross_entropy(LOGITS, LABELS, reduction="none")
    np.testing.assert_allclose(w.grad.array, np.bincount(LABELS, losses, 4), rtol=1e-14)


def test_a_label_out_of_range_is_named():
    for function in (L.cross_entropy, L.nll_loss, L.multi_margin_loss):
        with pytest.raises(IndexError, match="target in row 2 is 12, but the classes are 0 to 3"):
            function(LOGITS, np.array([0, 1, 12, 3, 13]))
        with pytest.raises(IndexError, match="row 0 is -1"):
            function(tj.tensor(LOGITS), tj.tensor([-1, 1, 1, 3, 1]))
    bad = IMAGE_LABELS.copy()
    bad[1, 0, 1] = 3
    with pytest.raises(IndexError, match=r"row \(1, 0, 1\) is 3, but the classes are 0 to 2"):
        L.cross_entropy(IMAGE, bad)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: L.cross_entropy(LOGITS, LABELS[:3]), tj.ShapeError, r"have shape \(5,\), not \(3,\)"),
        (lambda: L.cross_entropy(LOGITS, LABELS[:, None]), tj.ShapeError, r"have shape \(5,\), not \(5, 1\)"),
        (lambda: L.cross_entropy(LOGITS, LABELS * 1.0), TypeError, "must be integers, not float64"),
        (lambda: L.cross_entropy(LOGITS, LOGITS.astype(int)), TypeError, "class probabilities, which are floats"),
        (lambda: L.cross_entropy(LOGITS, LABELS, label_smoothing=2), ValueError, "between 0 and 1, not 2"),
        (lambda: L.cross_entropy(np.array(1.0), np.array(1)), TypeError, "class probabilities"),
        (lambda: L.nll_loss(np.array(1.0), np.array(0)), tj.ShapeError, "input of shape"),
        (
            lambda: L.binary_cross_entropy_with_logits(Z, T[:1]),
            tj.ShapeError,
            r"\(1, 4\) must be the input's, \(3, 4\)",
        ),
        (lambda: L.binary_cross_entropy(P, T[:1]), tj.ShapeError, "must be the input's"),
        (lambda: L.binary_cross_entropy(Z, T), ValueError, "between 0 and 1; it ranges from"),
        (lambda: L.binary_cross_entropy(P * np.nan, T), ValueError, "between 0 and 1"),
        (lambda: L.mse_loss(Z, T, weight=P[0]), tj.ShapeError, "weight's shape"),
        (lambda: L.huber_loss(Z, T, delta=0), ValueError, "delta must be positive"),
        (lambda: L.smooth_l1_loss(Z, T, beta=-1), ValueError, "beta must not be negative"),
        (lambda: L.gaussian_nll_loss(Z, T, -P), ValueError, "a variance is negative"),
        (lambda: L.gaussian_nll_loss(Z, T, P[:2]), tj.ShapeError, r"var of shape \(2, 4\)"),
    ],
)
def test_errors_say_what_is_wrong(call, error, message):
    with pytest.raises(error, match=message):
        call()


# ------------------------------------------------------------------------------------------------ distances


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"])
def test_a_column_against_a_vector_warns(name):
    function = getattr(L, name)
    x, y = tj.tensor(Z[:, :1]), tj.tensor(T[:, 0])
    with pytest.warns(UserWarning, match=rf"{name}: the target's shape \(3,\) differs from the input's \(3, 1\)") as w:
        found = function(x, y, reduction="none")
    assert w[0].filename == __file__
    assert found.shape == (3, 3)
    with pytest.warns(UserWarning, match=name):
        exec("function(x, y)", {"function": function, "x": x, "y": y})  # code of no module warns as well


def test_huber_and_smooth_l1_by_hand():
    d = np.array([-3.0, -0.5, 0.0, 0.5, 3.0])
    zero = np.zeros(5)
    np.testing.assert_allclose(L.huber_loss(d, zero, "none", 2.0), [4.0, 0.125, 0, 0.125, 4.0])
    np.testing.assert_allclose(L.smooth_l1_loss(d, zero, reduction="none", beta=2.0), [2.0, 0.0625, 0, 0.0625, 2.0])
    np.testing.assert_allclose(L.smooth_l1_loss(d, zero, reduction="none", beta=0.0), np.abs(d))


def test_kl_divergence():
    p, q = (softmax(kit.randn(2, 3, seed=s), 1) for s in (0, 1))
    by_definition = (p * np.log(p / q)).sum() / 2
    np.testing.assert_allclose(L.kl_div(np.log(q), p, reduction="batchmean"), by_definition, rtol=1e-13)
    log_target = L.kl_div(np.log(q), np.log(p), reduction="batchmean", log_target=True)
    np.testing.assert_allclose(log_target, by_definition, rtol=1e-13)
    certain = tj.tensor([0.0, 1.0], requires_grad=True)
    loss = L.kl_div(tj.tensor([-1.0, -2.0]), certain, reduction="sum")
    assert loss.item() == 2.0  # 0 log 0 is 0


def test_binary_cross_entropy_at_certainty():
    x = tj.tensor([0.0, 1.0, 0.0, 1.0], requires_grad=True)
    with np.errstate(all="raise"):
        out = L.binary_cross_entropy(x, tj.tensor([0.0, 1.0, 1.0, 0.0]), reduction="none")
        out.sum().backward()
    assert out.tolist() == [0.0, 0.0, 100.0, 100.0]
    np.testing.assert_allclose(x.grad.array, [0, 0, -1e12, 1e12], rtol=1e-6)


def test_a_variance_below_eps_is_raised_and_still_learns():
    var = tj.tensor([1e-9, 1.0], requires_grad=True)
    out = L.gaussian_nll_loss(tj.zeros(2), tj.zeros(2), var, reduction="none")
    np.testing.assert_allclose(out.array, [0.5 * math.log(1e-6), 0], rtol=1e-5)
    out.sum().backward()
    np.testing.assert_allclose(var.grad.array, [0.5e6, 0.5], rtol=1e-5)


# ------------------------------------------------------------------------------------------------ similarities


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_cosine_similarity(axis):
    kit.check(lambda x, y: L.cosine_similarity(x, y, dim=axis), Z, T, step=2e-3)
    lengths = np.linalg.norm(Z, axis=axis) * np.linalg.norm(T, axis=axis)
    np.testing.assert_allclose(L.cosine_similarity(Z, T, axis), (Z * T).sum(axis) / lengths, rtol=1e-14)


def test_cosine_similarity_is_that_of_the_vectors_that_shapes_broadcast_to():
    column = T[:, :1]  # stands for vectors of equal entries, not for vectors of one entry
    expected = Z.sum(1) * np.sign(column[:, 0]) / np.linalg.norm(Z, axis=1) / math.sqrt(Z.shape[1])
    np.testing.assert_allclose(L.cosine_similarity(Z, column), expected, rtol=1e-14)
    np.testing.assert_allclose(L.cosine_similarity(Z, T[0]), L.cosine_similarity(Z, np.tile(T[0], (len(Z), 1))))
    kit.check(lambda x, y: L.cosine_similarity(x, y), Z, T[0], step=2e-3)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_pairwise_distance(p):
    kit.check(lambda x, y: L.pairwise_distance(x, y, p, keepdim=True), Z, T, step=2e-3)
    np.testing.assert_allclose(L.pairwise_distance(Z, T, p), np.linalg.norm(Z - T + 1e-6, p, axis=1), rtol=1e-14)


@pytest.mark.peers
def test_similarities_against_pytorch():
    functional = pytest.importorskip("torch").nn.functional
    kit.compare_with_torch(lambda x, y: L.cosine_similarity(x, y), functional.cosine_similarity, Z, T)
    kit.compare_with_torch(lambda x, y: L.cosine_similarity(x, y), functional.cosine_similarity, Z, T[0])
    kit.compare_with_torch(
        lambda x, y: L.pairwise_distance(x, y, 3.0), lambda x, y: functional.pairwise_distance(x, y, 3.0), Z, T
    )


@pytest.mark.peers
@pytest.mark.parametrize("name", ["cross_entropy", "binary_cross_entropy_with_logits"])
@pytest.mark.parametrize("dtype, rtol", [(np.float32, 2e-6), (np.float64, 1e-12)])
def test_large_logits_against_pytorch(name, dtype, rtol):
    torch = pytest.importorskip("torch")
    r = kit.rng(4)
    x = (r.standard_normal((6, 5)) * 1e4).astype(dtype)
    target = r.integers(0, 5, 6) if name == "cross_entropy" else r.random((6, 5)).astype(dtype)
    a, b = tj.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    found = getattr(L, name)(a, target)
    expected = getattr(torch.nn.functional, name)(b, torch.tensor(target))
    found.backward()
    expected.backward()
    np.testing.assert_allclose(found.item(), expected.item(), rtol=rtol)
    np.testing.assert_allclose(a.grad.array, b.grad.numpy(), rtol=rtol, atol=1e-9)


def test_cross_entropy_of_integers():
    for target in (tj.tensor([0, 1]), tj.tensor([[0.5, 0.5], [1.0, 0.0]])):
        with pytest.raises(TypeError, match=r"logits are floats, not int64: convert them, as with \.float\(\)"):
            L.cross_entropy(tj.tensor([[1, 2], [3, 4]]), target)


@pytest.mark.parametrize("shape", [(1, 3), (2, 1), (1, 1), (2,)])
def test_a_variance_for_several_entries(shape):
    x, target, var = kit.randn(2, 3), kit.randn(2, 3, seed=1), kit.positive(*shape, seed=2)
    spread = var[:, None] if shape == (2,) else var
    found = L.gaussian_nll_loss(tj.tensor(x), tj.tensor(target), tj.tensor(var)).item()
    assert found == pytest.approx(float(np.mean(np.log(spread) / 2 + (x - target) ** 2 / (2 * spread))), rel=1e-12)


def test_a_network_that_is_sure_and_right_still_has_a_gradient():
    x = tj.tensor([20.0, 38.0, -38.0], dtype=tj.float64, requires_grad=True)
    with tj.debug_mode(checks=["vjp", "adjoint", "product"]):
        L.binary_cross_entropy_with_logits(x, tj.tensor([1.0, 1.0, 0.0], dtype=tj.float64), reduction="sum").backward()
    np.testing.assert_allclose(
        x.grad, [-math.exp(-20) / (1 + math.exp(-20)), -math.exp(-38), math.exp(-38)], rtol=1e-12
    )
