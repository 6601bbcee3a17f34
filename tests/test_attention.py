"""Attention and transformers: formulas by hand, masks in all their forms, and PyTorch's results from equal weights."""

from __future__ import annotations

import functools
import itertools
import math
import warnings

import kit
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_jac as tj
import tinygrad_jac.nn.functional as F
from tinygrad_jac import nn
from tinygrad_jac.rules import normalization

Q, K, V = kit.randn(2, 4, 3), kit.randn(2, 5, 3, seed=1), kit.randn(2, 5, 2, seed=2)
SOME = kit.rng(3).random((4, 5)) > 0.4
SOME[:, 0] = True
ADDED = kit.randn(4, 5, seed=4)
OPEN = np.where(SOME, 0.0, -math.inf)
NOBODY = np.array(SOME)
NOBODY[2] = False

MASKS = {
    "none": None,
    "bool": SOME,
    "all": np.ones((4, 5), bool),
    "float": ADDED,
    "open": OPEN,
    "both": ADDED + OPEN,
    "batched": kit.rng(5).random((2, 4, 5)) > 0.3,
    "nobody": NOBODY,
    "nobody, float": np.where(NOBODY, ADDED, -math.inf),
}


def by_hand(q, k, v, mask=None, scale=None):
    """softmax(q kᵀ / √d + mask) v with plain exponentials, and 0 for a query that may look nowhere."""
    scores = np.einsum("...ie,...je->...ij", q, k) * (q.shape[-1] ** -0.5 if scale is None else scale)
    e = np.exp(scores)
    if mask is not None:
        e = e * mask if mask.dtype == bool else e * np.exp(mask)
    total = e.sum(-1, keepdims=True)
    return np.einsum("...ij,...jv->...iv", e / np.where(total == 0, 1, total), v)


# ------------------------------------------------------------------------------------------------ the masked softmax


@given(shape=st.sampled_from([(3,), (2, 4), (2, 3, 4), (1, 1)]), seed=st.integers(0, 9))
def test_masked_softmax_against_everything(shape, seed):
    mask = kit.rng(seed).random(shape[-2:]) > 0.4
    kit.check(lambda x: normalization.masked_softmax(x, mask), kit.randn(*shape, seed=seed), expect="masked_softmax")


@pytest.mark.parametrize("factor", [1.0, 1e3, 1e5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_masked_entries_do_not_matter_whatever_their_size(factor, dtype):
    x = kit.randn(6, 5).astype(dtype)
    mask = kit.rng(1).random((6, 5)) > 0.5
    mask[3] = False
    y = np.where(mask, x, dtype(factor) * np.abs(x))
    found = normalization.masked_softmax(y, mask)
    assert found.dtype == dtype
    assert (found[~mask] == 0).all()
    rows = mask.any(-1)
    np.testing.assert_allclose(found.sum(-1), rows, rtol=1e-6)
    np.testing.assert_allclose(found, normalization.masked_softmax(x, mask), rtol=1e-5, atol=1e-30)


@pytest.mark.parametrize("hidden", [math.nan, math.inf, -math.inf, -3e38, 1e4])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_what_is_masked_does_not_matter_whatever_it_is(hidden, dtype):
    x = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    mask = np.array([[True, False, True], [False, False, False]])
    with np.errstate(over="ignore"):
        y = tj.tensor(np.where(mask, x, hidden).astype(dtype), requires_grad=True)
    found = normalization.masked_softmax(y, mask)
    e = math.exp(2.0)
    rtol = 2 * np.finfo(dtype).eps
    np.testing.assert_allclose(found.detach(), [[1 / (1 + e), 0, e / (1 + e)], [0, 0, 0]], rtol=rtol)
    found.backward(np.array([[1.0, 1.0, 0.0], [1.0, 2.0, 3.0]]))
    slope = e / (1 + e) ** 2
    np.testing.assert_allclose(y.grad, [[slope, 0, -slope], [0, 0, 0]], rtol=4 * rtol)


@pytest.mark.parametrize("shift", [0.0, 80.0, -80.0, 700.0, -700.0])
@pytest.mark.parametrize("masked", [False, True])
def test_every_way_to_the_softmax_gives_the_same(shift, masked):
    """A shift of all entries changes nothing, but whether the exponentials are taken as they are."""
    x = kit.randn(3, 6)
    mask = kit.rng(2).random((3, 6)) > 0.3
    for dtype, rtol in ((np.float64, 1e-12), (np.float32, 1e-4)):  # float32 near 700 has steps of 6e-5
        given = (x + shift).astype(dtype)
        found = normalization.masked_softmax(given, mask) if masked else normalization.softmax(given, -1)
        e = np.exp(given.astype(np.float64) - shift) * (mask if masked else 1)
        np.testing.assert_allclose(found, e / e.sum(-1, keepdims=True), rtol=rtol)


def test_rows_of_very_different_size():
    x = np.array([[0.0, 1.0], [-500.0, -501.0], [30.0, -500.0], [-math.inf, 2.0]])
    e = np.exp(x - x.max(-1, keepdims=True))
    np.testing.assert_allclose(normalization.softmax(x, -1), e / e.sum(-1, keepdims=True), rtol=1e-14)
    assert np.isnan(normalization.softmax(np.array([1.0, math.nan]), -1)).all()


# ------------------------------------------------------------------------------------------------ the function


@pytest.mark.parametrize("name", MASKS)
def test_attention_by_hand(name):
    mask = MASKS[name]
    found = F.scaled_dot_product_attention(tj.tensor(Q), tj.tensor(K), tj.tensor(V), attn_mask=mask)
    np.testing.assert_allclose(found, by_hand(Q, K, V, mask), rtol=1e-12, atol=1e-14)
    if name.startswith("nobody"):
        assert (found.array[:, 2] == 0).all()


@pytest.mark.parametrize("options", [{}, {"scale": 0.3}, {"is_causal": True}])
def test_attention_options_by_hand(options):
    mask = np.arange(5) <= np.arange(4)[:, None] if options.get("is_causal") else None
    found = F.scaled_dot_product_attention(tj.tensor(Q), tj.tensor(K), tj.tensor(V), **options)
    np.testing.assert_allclose(found, by_hand(Q, K, V, mask, options.get("scale")), rtol=1e-12)


@pytest.mark.parametrize("name", ["none", "bool", "both"])
def test_attention_is_differentiated(name):
    def attend(q, k, v):
        mask = MASKS[name]
        mask = mask.astype(q.dtype) if name == "both" else mask
        return F.scaled_dot_product_attention(q, k, v, mask)

    kit.check(attend, Q[0], K[0], V[0])


def test_a_float_mask_is_differentiated():
    def attend(q, k, v, mask):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)

    kit.check(attend, Q[0], K[0], V[0], ADDED)
    bias = tj.tensor(ADDED + OPEN, requires_grad=True)
    F.scaled_dot_product_attention(*map(tj.tensor, (Q, K, V)), attn_mask=bias).sum().backward()
    assert (bias.grad.array[~SOME] == 0).all()
    assert np.isfinite(bias.grad.array).all()


@pytest.mark.peers
@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("heads", [(), (2, 2)])
def test_attention_as_pytorch_computes_it(name, heads):
    torch = pytest.importorskip("torch")
    mask = None if name == "batched" and heads else MASKS[name]
    q, k, v = (np.broadcast_to(x[0], (*heads, *x.shape[1:])) * 1.5 if heads else x for x in (Q, K, V))

    def in_torch(q, k, v):
        mask_ = None if mask is None else torch.tensor(mask)
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, mask_)

    kit.compare_with_torch(lambda *x: F.scaled_dot_product_attention(*x, attn_mask=mask), in_torch, q, k, v, rtol=1e-12)


@pytest.mark.peers
def test_grouped_queries_as_in_pytorch():
    torch = pytest.importorskip("torch")
    q, k, v = kit.randn(2, 6, 4, 3), kit.randn(2, 2, 5, 3), kit.randn(2, 3, 5, 2)
    options = dict(is_causal=True, enable_gqa=True)
    kit.compare_with_torch(
        lambda *x: F.scaled_dot_product_attention(*x, **options),
        lambda *x: torch.nn.functional.scaled_dot_product_attention(*x, **options), q, k, v, rtol=1e-12,
    )  # fmt: skip
    with pytest.raises(tj.ShapeError, match="6 query heads cannot be shared out evenly among 4 key heads"):
        F.scaled_dot_product_attention(*map(tj.tensor, (q, kit.randn(2, 4, 5, 3), v)), enable_gqa=True)


def test_dropout_of_weights():
    tj.manual_seed(0)
    q, k, v = tj.zeros(1, 2), tj.zeros(4000, 2), tj.ones(4000, 1)
    assert F.scaled_dot_product_attention(q, k, v).item() == pytest.approx(1)
    found = F.scaled_dot_product_attention(q, k, v, dropout_p=0.5).item() * 2000
    assert found == pytest.approx(round(found), abs=0.01), "what is left has doubled"
    assert abs(found - 2000) < 200  # a standard deviation is 32


@pytest.mark.parametrize(
    "shapes, options, text",
    [
        (((4, 3), (5, 2), (5, 2)), {}, "equally many features, not 3 and 2"),
        (((4, 3), (5, 3), (6, 2)), {}, "a value for each key, not 6 for 5"),
        (((3,), (5, 3), (5, 3)), {}, "each needs axes"),
        (((4, 3), (5, 3), (5, 3)), {"attn_mask": tj.ones(5, 4)}, r"mask of shape \(5, 4\) does not broadcast to 4"),
        (((4, 3), (1, 3), (1, 3)), {"attn_mask": tj.ones(4, 5)}, "and 1 keys"),
    ],
)
def test_shapes_that_do_not_fit(shapes, options, text):
    with pytest.raises(tj.ShapeError, match=text):
        F.scaled_dot_product_attention(*(tj.ones(*s) for s in shapes), **options)


def test_masks_that_make_no_sense():
    q, k, v = tj.tensor(Q), tj.tensor(K), tj.tensor(V)
    with pytest.raises(ValueError, match="either attn_mask or is_causal"):
        F.scaled_dot_product_attention(q, k, v, attn_mask=SOME, is_causal=True)
    with pytest.raises(TypeError, match="bools, or floats that are added to the scores, not int64"):
        F.scaled_dot_product_attention(q, k, v, attn_mask=tj.tensor(SOME.astype(int)))


# ------------------------------------------------------------------------------------------------ several heads

FORMS = [
    {},
    {"batch_first": True},
    {"bias": False},
    {"kdim": 5, "vdim": 7},
    {"add_bias_kv": True},
    {"add_zero_attn": True, "add_bias_kv": True, "batch_first": True},
]
PADDING = np.arange(6) >= np.array([[6], [4], [3]])
AHEAD = np.triu(np.ones((4, 6), bool), 1)


def pair(torch, kind, **options):
    """A layer of ours and one of PyTorch's with equal weights."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of nested tensors
        theirs = getattr(torch.nn, kind)(**options, dtype=torch.float64)
    for p in theirs.parameters():
        torch.nn.init.uniform_(p, -0.5, 0.5)
    ours = getattr(nn, kind)(**options, dtype=tj.float64)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in theirs.named_parameters()]
    assert repr(ours) == repr(theirs)
    ours.load_state_dict({name: value.numpy() for name, value in theirs.state_dict().items()})
    return ours, theirs


def outcome(lib, model, arrays, call):
    """What a model returns, and the gradients of inputs and parameters."""
    inputs = [lib.tensor(a, requires_grad=True) for a in arrays]
    model.zero_grad()
    out, *rest = call(model, *inputs)
    (out * lib.sin(out)).sum().backward()
    tensors = [out, *(r for r in rest if r is not None), *(t.grad for t in (*inputs, *model.parameters()))]
    return [t.detach().numpy() for t in tensors]


def assert_equal(found, expected, what=""):
    assert len(found) == len(expected)
    for a, b in zip(found, expected):
        kit.close(a, b, 1e-12, what)


@pytest.mark.peers
@pytest.mark.parametrize("options", FORMS, ids=str)
def test_several_heads_as_in_pytorch(options):
    torch = pytest.importorskip("torch")
    ours, theirs = pair(torch, "MultiheadAttention", embed_dim=8, num_heads=2, **options)
    features = (8, options.get("kdim", 8), options.get("vdim", 8))
    shapes = [(3, n, e) if options.get("batch_first") else (n, 3, e) for n, e in zip((4, 6, 6), features)]
    arrays = [kit.randn(*s, seed=k) for k, s in enumerate(shapes)]
    shut = kit.rng(6).random((6, 4, 6)) > 0.6
    shut[..., 0] = False
    paddings = [None, PADDING, np.where(PADDING, -math.inf, 0.3)]
    masks = [None, AHEAD, np.where(AHEAD, -math.inf, 0.0), kit.randn(4, 6), shut]
    for padding, mask, asked, training in itertools.product(paddings, masks, [(1, 1), (1, 0), (0, 1)], [True, False]):
        if padding is not None and mask is not None and padding.dtype != mask.dtype:
            continue  # PyTorch has deprecated that
        ours.train(training)
        theirs.train(training)
        found, expected = (
            outcome(lib, model, arrays, functools.partial(attend, lib, padding, mask, *asked))
            for lib, model in ((tj, ours), (torch, theirs))
        )
        assert_equal(found, expected, f"{options}, weights and average {asked}")


def attend(lib, padding, mask, weights, average, model, q, k, v):
    padding, mask = (None if m is None else lib.tensor(m) for m in (padding, mask))
    return model(
        q,
        k,
        v,
        key_padding_mask=padding,
        attn_mask=mask,
        need_weights=bool(weights),
        average_attn_weights=bool(average),
    )


@pytest.mark.peers
def test_one_sample_without_a_batch():
    torch = pytest.importorskip("torch")
    ours, theirs = pair(torch, "MultiheadAttention", embed_dim=8, num_heads=2, batch_first=True)
    arrays = [kit.randn(4, 8), kit.randn(6, 8, seed=1), kit.randn(6, 8, seed=2)]
    for mask in (AHEAD, np.stack([AHEAD, np.zeros_like(AHEAD)])):

        def call(lib, mask=mask):
            return lambda model, *x: model(*x, key_padding_mask=lib.tensor(PADDING[1]), attn_mask=lib.tensor(mask))

        assert_equal(outcome(tj, ours, arrays, call(tj)), outcome(torch, theirs, arrays, call(torch)))
    assert ours(*map(tj.tensor, arrays))[1].shape == (4, 6)


def test_heads_by_hand():
    """Each head is an attention of its own rows of the weights."""
    layer = nn.MultiheadAttention(6, 2, batch_first=True, dtype=tj.float64)
    x = kit.randn(2, 4, 6)
    w, b = layer.in_proj_weight.detach().array, layer.in_proj_bias.detach().array
    q, k, v = (x @ w[s : s + 6].T + b[s : s + 6] for s in (0, 6, 12))
    mixed = np.concatenate([by_hand(q[..., h], k[..., h], v[..., h]) for h in (slice(0, 3), slice(3, 6))], -1)
    out, _ = layer(tj.tensor(x), tj.tensor(x), tj.tensor(x))
    np.testing.assert_allclose(out.detach(), mixed @ layer.out_proj.weight.detach().array.T, rtol=1e-12)


def test_a_query_that_may_look_nowhere():
    layer = nn.MultiheadAttention(4, 2)
    x = tj.randn(3, 2, 4)
    nowhere = tj.tensor([[True] * 3, [False] * 3])
    out, weights = layer(x, x, x, key_padding_mask=nowhere)
    assert (weights[0] == 0).all()
    assert (out[:, 0] == layer.out_proj.bias).all()
    out.sum().backward()
    assert all(np.isfinite(p.grad.array).all() for p in layer.parameters())


def test_dropout_only_while_training():
    tj.manual_seed(0)
    layer = nn.MultiheadAttention(4, 2, dropout=0.5)
    x = tj.randn(6, 2, 4)
    _, weights = layer(x, x, x, average_attn_weights=False)
    assert 0 < (weights == 0).sum() < weights.numel()
    layer.eval()
    _, weights = layer(x, x, x)
    np.testing.assert_allclose(weights.sum(-1).detach(), np.ones((2, 6)), rtol=1e-6)


def test_first_weights_are_those_of_pytorch():
    tj.manual_seed(0)
    layer = nn.MultiheadAttention(200, 4, add_bias_kv=True)
    bound = math.sqrt(6 / 800)
    assert bound * 0.99 < abs(layer.in_proj_weight.detach().array).max() <= bound
    assert abs(layer.out_proj.weight.detach().array).max() <= 1 / math.sqrt(200)
    assert not layer.in_proj_bias.any()
    assert not layer.out_proj.bias.any()
    assert layer.bias_k.shape == layer.bias_v.shape == (1, 1, 200)
    assert abs(layer.bias_k.std().item() / math.sqrt(2 / 400) - 1) < 0.2


def test_what_does_not_fit_an_attention():
    with pytest.raises(ValueError, match="embed_dim=8 and num_heads=3"):
        nn.MultiheadAttention(8, 3)
    layer = nn.MultiheadAttention(8, 2)
    x, y = tj.ones(4, 3, 8), tj.ones(6, 3, 8)
    with pytest.raises(tj.ShapeError, match=r"key of shape \(6, 3, 7\) should have 8 features"):
        layer(x, tj.ones(6, 3, 7), y)
    with pytest.raises(tj.ShapeError, match="must agree in the batch, axis 1"):
        layer(x, tj.ones(6, 2, 8), tj.ones(6, 2, 8))
    with pytest.raises(tj.ShapeError, match="as many axes as the query"):
        layer(tj.ones(8), y, y)
    with pytest.raises(tj.ShapeError, match=r"key_padding_mask of shape \(6, 3\) does not fit 3 samples, 2 heads"):
        layer(x, y, y, key_padding_mask=tj.zeros(6, 3))
    with pytest.raises(tj.ShapeError, match=r"attn_mask of shape \(3, 4, 6\) .* \(4, 6\), \(6, 4, 6\)"):
        layer(x, y, y, attn_mask=tj.zeros(3, 4, 6))
    with pytest.raises(ValueError, match="is_causal=True is a hint about attn_mask"):
        layer(x, y, y, is_causal=True)
    with pytest.raises(TypeError, match="bools, or floats"):
        layer(x, y, y, attn_mask=tj.tensor(AHEAD).int())


# ------------------------------------------------------------------------------------------------ transformers


@pytest.mark.peers
@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("activation, bias", [("relu", True), ("gelu", False)])
def test_transformers_as_in_pytorch(norm_first, batch_first, activation, bias):
    torch = pytest.importorskip("torch")
    options = dict(
        d_model=8, nhead=2, num_encoder_layers=2, num_decoder_layers=2, dim_feedforward=12, dropout=0.0,
        activation=activation, norm_first=norm_first, batch_first=batch_first, bias=bias,
    )  # fmt: skip
    ours, theirs = pair(torch, "Transformer", **options)
    arrays = [kit.randn(*((3, n, 8) if batch_first else (n, 3, 8)), seed=n) for n in (6, 4)]
    for training in (True, False):
        ours.train(training)
        theirs.train(training)

        def call(lib):
            padding = lib.tensor(PADDING)
            ahead = lib.nn.Transformer.generate_square_subsequent_mask(4, dtype=lib.float64)
            return lambda model, src, tgt: [
                model(
                    src, tgt, tgt_mask=ahead, src_key_padding_mask=padding, memory_key_padding_mask=padding,
                    tgt_is_causal=True,
                )
            ]  # fmt: skip

        assert_equal(outcome(tj, ours, arrays, call(tj)), outcome(torch, theirs, arrays, call(torch)))


@pytest.mark.peers
def test_layers_alone_and_without_a_batch():
    torch = pytest.importorskip("torch")
    options = dict(d_model=8, nhead=4, dim_feedforward=5, dropout=0.0)
    ours, theirs = pair(torch, "TransformerEncoderLayer", **options)
    for shape in ((4, 3, 8), (4, 8)):
        call = lambda model, x: [model(x)]  # noqa: E731
        arrays = [kit.randn(*shape)]
        assert_equal(outcome(tj, ours, arrays, call), outcome(torch, theirs, arrays, call))
    ours, theirs = pair(torch, "TransformerDecoderLayer", **options)
    call = lambda model, x, memory: [model(x, memory)]  # noqa: E731
    arrays = [kit.randn(4, 3, 8), kit.randn(6, 3, 8, seed=1)]
    assert_equal(outcome(tj, ours, arrays, call), outcome(torch, theirs, arrays, call))


@pytest.mark.peers
@pytest.mark.parametrize("padded", [False, True])
def test_the_short_way_of_pytorch_differs_at_padding_only(padded):
    torch = pytest.importorskip("torch")
    options = dict(d_model=8, nhead=2, dim_feedforward=12, batch_first=True)
    ours, theirs = pair(torch, "TransformerEncoderLayer", **options)
    encoder, expected_encoder = nn.TransformerEncoder(ours, 2).eval(), torch.nn.TransformerEncoder(theirs, 2).eval()
    x = kit.randn(3, 6, 8)
    mask = PADDING if padded else None
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nested tensors are a prototype
        given = None if mask is None else torch.tensor(mask)
        expected = expected_encoder(torch.tensor(x), src_key_padding_mask=given).numpy()
    found = encoder(tj.tensor(x), src_key_padding_mask=None if mask is None else tj.tensor(mask)).detach().array
    kept = ~PADDING if padded else slice(None)
    kit.close(found[kept], expected[kept], 1e-12, "in evaluation")


def test_copies_begin_equal_and_are_apart():
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8), 2)
    a, b = (layer.linear1.weight for layer in encoder.layers)
    assert a is not b
    assert (a == b).all()
    assert len(list(encoder.parameters())) == 24


def test_dropout_in_a_layer():
    tj.manual_seed(0)
    layer = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.5)
    x = tj.randn(3, 2, 4)
    assert not tj.equal(layer(x), layer(x))
    layer.eval()
    assert tj.equal(layer(x), layer(x))


def test_a_causal_transformer_does_not_look_ahead():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True, activation=nn.Tanh()).eval()
    assert "activation" in dict(layer.named_children())
    mask = nn.Transformer.generate_square_subsequent_mask(5)
    x = tj.randn(1, 5, 8, requires_grad=True)
    layer(x, src_mask=mask, is_causal=True)[0, 2].sum().backward()
    reached = (x.grad.array != 0).any(-1)[0]
    assert reached.tolist() == [True, True, True, False, False]


def test_what_does_not_fit_a_transformer():
    with pytest.raises(ValueError, match="relu or gelu, or a function, not 'tanh'"):
        nn.TransformerEncoderLayer(8, 2, activation="tanh")
    model = nn.Transformer(8, 2, 1, 1, 4)
    with pytest.raises(tj.ShapeError, match="must agree in the batch, axis 1"):
        model(tj.ones(4, 3, 8), tj.ones(4, 2, 8))
    with pytest.raises(tj.ShapeError, match="must be d_model, 8"):
        model(tj.ones(4, 3, 8), tj.ones(4, 3, 7))
    custom = nn.Transformer(8, 2, 1, 1, 4, custom_encoder=nn.Identity())
    assert isinstance(custom.encoder, nn.Identity)
