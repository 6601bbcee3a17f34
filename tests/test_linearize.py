"""Convolutional networks rewritten as linear ones: equal outputs, Jacobians and gradients."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from kit import close, randn
from test_convolution import CONV, convolutions

import tinygrad_jac as tj
from tinygrad_jac import nn
from tinygrad_jac.errors import ShapeError
from tinygrad_jac.jacobians import chain
from tinygrad_jac.nn.utils.linearize import AsLinear, as_linear

EXACT = 1e-12
D = {"dtype": tj.float64}


def equal(model: nn.Module, shape: tuple[int, ...], batch: int = 3) -> nn.Module:
    """Convert, and compare outputs, Jacobians by input and parameters, and gradients; the linear network."""
    made = as_linear(model, shape)
    x = randn(batch, *shape)
    outputs, jacobians, gradients = [], [], []
    for net, given_x in ((model, x), (made, x), (made, x.reshape(batch, -1))):
        leaf = tj.tensor(given_x, requires_grad=True)
        out = net(leaf).flatten(1)
        outputs.append(out.array)
        params = {"x": leaf, **{str(k): p for k, p in enumerate(model.parameters())}}
        jacobians.append(chain(out, params, last_layer_first=False).dense())
        model.zero_grad()
        (out**2).sum().backward()
        gradients.append([leaf.grad.array.ravel()] + [p.grad.array.ravel() for p in model.parameters()])
    for k in (1, 2):
        close(outputs[k], outputs[0], EXACT, "outputs")
        close(jacobians[k], jacobians[0], EXACT, "Jacobians")
        for found, expected in zip(gradients[k], gradients[0], strict=True):
            close(found, expected, EXACT, "gradients")
    assert all(p is q for p, q in zip(made.parameters(), model.parameters(), strict=True)), "parameters are shared"
    return made


@given(convolutions(largest=4, ndims=(1, 2, 3)))
@settings(max_examples=20)
def test_convolutions(case):
    x, w, options = case
    ndim = len(x) - 2
    kind = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[ndim - 1]
    layer = kind(x[1], w[0], w[2:], **options, **D)
    made = equal(layer, x[1:], batch=2)
    W, b = made.affine()
    statement = CONV[ndim](tj.tensor(randn(1, *x[1:]), requires_grad=True), layer.weight.array, **options).node
    assert np.array_equal(W.array, statement.primitive.statement(statement, 0).dense()), "W is the Toeplitz matrix"
    assert np.array_equal(b.array, np.repeat(layer.bias.array, len(W) // w[0])), "b repeats the bias of each channel"


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_padding_modes(mode):
    equal(nn.Conv2d(1, 2, 3, padding=1, padding_mode=mode, bias=False, **D), (1, 3, 4))


@pytest.mark.parametrize(
    "layer, shape",
    [
        (nn.ConvTranspose1d(2, 3, 2, stride=2, **D), (2, 3)),
        (nn.ConvTranspose2d(2, 2, 2, stride=2, padding=1, groups=2, **D), (2, 3, 2)),
        (nn.AvgPool1d(2), (2, 4)),
        (nn.AvgPool2d(2, stride=1, padding=1, count_include_pad=False), (2, 3, 3)),
        (nn.AdaptiveAvgPool2d((1, 2)), (2, 3, 4)),
        (nn.Upsample(scale_factor=2), (1, 2, 3)),
        (nn.Linear(3, 2, **D), (2, 3)),
        (nn.Dropout2d(0.5).eval(), (2, 2, 2)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "x".join(map(str, value)),
)
def test_affine_layers(layer, shape):
    assert isinstance(equal(layer, shape), AsLinear)


@pytest.mark.parametrize("kind, shape", [(nn.BatchNorm1d, (2, 3)), (nn.BatchNorm2d, (2, 2, 3))])
def test_batch_normalisation_in_evaluation(kind, shape):
    layer = kind(2, **D)
    layer(tj.tensor(randn(5, *shape, seed=3)))
    layer.weight.array[...] = [2.0, -3.0]
    layer.bias.array[...] = [0.5, 1.0]
    made = equal(layer.eval(), shape)
    W = made.affine()[0].array
    assert np.array_equal(W, np.diag(np.diag(W))), "a scale and a shift of each entry"


def network():
    tj.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, stride=2, **D), nn.BatchNorm2d(4, **D), nn.ReLU(),
        nn.Sequential(nn.Conv2d(4, 4, 2, groups=2, **D), nn.PReLU(**D), nn.AvgPool2d(2)),
        nn.Flatten(), nn.Linear(4, 3, **D), nn.Softmax(dim=1),
    )  # fmt: skip


def test_a_network():
    made = equal(network().eval(), (1, 6, 6))
    kinds = [type(layer).__name__ for layer in made[:3]] + [type(layer).__name__ for layer in made[3]]
    assert kinds == ["AsLinear", "AsLinear", "ReLU", "AsLinear", "PReLU", "AsLinear"]
    assert [(layer.in_features, layer.out_features) for layer in made.modules() if isinstance(layer, AsLinear)] == [
        (36, 36), (36, 36), (36, 16), (16, 4),
    ]  # fmt: skip


def test_training_one_trains_the_other():
    model = network().eval()
    made = as_linear(model, (1, 6, 6))
    x = tj.tensor(randn(4, 1, 6, 6))
    optimizer = tj.optim.SGD(made.parameters(), lr=0.1)
    before = made(x).array
    for _ in range(3):
        optimizer.zero_grad()
        made(x)[:, 0].sum().backward()
        optimizer.step()
    assert not np.allclose(made(x).array, before)
    close(made(x).array, model(x).array, EXACT, "after training")


def test_a_linear_layer_of_its_own():
    conv = nn.Conv2d(1, 2, 2, **D)
    free = as_linear(conv, (1, 3, 3)).linear()
    assert repr(free) == "Linear(in_features=9, out_features=8, bias=True)"
    x = tj.tensor(randn(5, 1, 3, 3))
    close(free(x.flatten(1)).array, conv(x).flatten(1).array, EXACT, "output")
    before = conv.weight.array.copy()
    free.weight.array[...] = 0
    assert np.array_equal(conv.weight.array, before), "it shares nothing"
    assert free.weight.is_leaf
    assert free.weight.requires_grad


def test_without_recording_and_in_single_precision():
    made = as_linear(nn.Conv2d(1, 2, 2), (1, 3, 3))
    with tj.no_grad():
        W, b = made.affine()
        out = made(tj.zeros(2, 9))
    assert not any(t.requires_grad for t in (W, b, out))
    assert out.dtype == W.dtype == tj.float32
    assert as_linear(nn.AvgPool2d(2), (1, 2, 2))(tj.tensor(randn(1, 4))).dtype == tj.float64


def test_the_model_is_left_as_it_was():
    """Looking for shapes moves no running statistics, draws no random numbers, changes no mode."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.5), nn.Linear(3, 2).eval())
    before, state = {k: v.array.copy() for k, v in model.state_dict().items()}, tj.get_rng_state()
    made = as_linear(model, (1, 2, 2))
    assert all(np.array_equal(v.array, before[k]) for k, v in model.state_dict().items())
    assert np.array_equal(tj.get_rng_state(), state)
    assert [m.training for m in model] == [True, True, True, True, False]
    assert made[2] is model[2], "on vectors batch normalisation stays what it is"


def test_shapes_on_the_way():
    equal(nn.Sequential(nn.Unflatten(1, (1, 2, 3)), nn.Conv2d(1, 2, 2, **D), nn.Flatten(2), nn.Tanh()), (6,))
    equal(nn.Sequential(nn.Flatten(1, 2), nn.Linear(6, 2, **D)), (2, 3))


class Residual(nn.Module):
    def forward(self, x):
        return x + tj.tanh(x)


class Squared(nn.Conv2d):
    def forward(self, input):
        return super().forward(input) ** 2


class Turned(nn.Sequential):
    def forward(self, input):
        return super().forward(input).flip(-1)


class FlippedReLU(nn.ReLU):
    def forward(self, input):
        return super().forward(input).flip(-1)


@pytest.mark.parametrize(
    "layer",
    [Residual(), Squared(1, 1, 1), Turned(nn.Conv2d(1, 1, 1)), FlippedReLU()],
    ids=lambda layer: type(layer).__name__,
)
def test_what_is_not_the_librarys_own_is_refused(layer):
    """A known layer's name is no promise: what a subclass computes may be neither affine nor elementwise."""
    with pytest.raises(TypeError, match=f"^layer '1', {type(layer).__name__}, cannot be written"):
        as_linear(nn.Sequential(nn.Conv2d(1, 1, 1), layer), (1, 2, 2))


@pytest.mark.parametrize("hook", ["register_forward_hook", "register_forward_pre_hook"])
def test_hooks_are_refused_where_they_could_make_a_difference(hook):
    for model, hooked in ((conv := nn.Conv2d(1, 1, 1), conv), (outer := nn.Sequential(nn.ReLU()), outer)):
        handle = getattr(hooked, hook)(lambda *args: None)
        with pytest.raises(TypeError, match="has forward hooks, which may change what it computes"):
            as_linear(model, (1, 2, 2))
        handle.remove()
        as_linear(model, (1, 2, 2))
    on_vectors = nn.Linear(4, 3, **D)
    getattr(on_vectors, hook)(lambda module, args, *out: out[0] ** 2 if out else None)
    equal(nn.Sequential(nn.Flatten(), on_vectors), (1, 2, 2))  # it stays as it is, and so does its hook


def test_subclasses_and_parametrized_layers_that_compute_the_same():
    class Mine(nn.Conv2d):
        pass

    equal(Mine(1, 2, 2, **D), (1, 3, 3))
    parametrized = nn.Conv2d(1, 2, 2, **D)
    nn.utils.parametrize.register_parametrization(parametrized, "weight", nn.Tanh())
    equal(parametrized, (1, 3, 3))


def test_a_residual_block_on_vectors_stays_as_it_is():
    equal(nn.Sequential(nn.Conv2d(1, 2, 2, **D), nn.Flatten(), Residual(), nn.Linear(8, 2, **D)), (1, 3, 3))


class Pair(nn.Module):
    def forward(self, x):
        return x, x


@pytest.mark.parametrize(
    "model, shape, error, message",
    [
        (nn.MaxPool2d(2), (1, 4, 4), TypeError, r"^MaxPool2d cannot be written .* shape \(1, 4, 4\).* maximum"),
        (nn.Sequential(nn.ReLU(), nn.Sequential(nn.MaxPool1d(2))), (1, 4), TypeError, "^layer '1.0', MaxPool1d, can"),
        (nn.Softmax(1), (2, 2), TypeError, "Softmax cannot be written"),
        (nn.PReLU(2), (2, 3), TypeError, "PReLU cannot be written"),
        (nn.Flatten(0), (2, 3), TypeError, "Flatten cannot be written"),
        (nn.BatchNorm2d(2), (2, 2, 2), ValueError, "affine in evaluation only: call eval"),
        (nn.BatchNorm2d(2, track_running_stats=False).eval(), (2, 2, 2), ValueError, "keeps no running statistics"),
        (nn.Conv2d(1, 2, 3), (2, 4, 4), ShapeError, "has 2 channels"),
        (nn.Conv2d(1, 2, 3), (1, 2, 2), ShapeError, "does not fit"),
        (nn.MaxPool2d(2, return_indices=True), (1, 4, 4), TypeError, "MaxPool2d cannot be written"),
        (nn.Sequential(nn.Identity(), Pair()), 3, TypeError, "Pair returns a tuple"),
        (lambda x: x, (1,), TypeError, "takes a Module, not function"),
    ],
)
def test_refused_with_a_sentence(model, shape, error, message):
    with pytest.raises(error, match=message):
        as_linear(model, shape)


def test_another_input_is_refused():
    made = as_linear(nn.Conv2d(1, 2, 2), (1, 3, 3))
    for shape in ((2, 8), (9,), (2, 1, 3, 4)):
        with pytest.raises(ShapeError, match=r"samples of shape \(1, 3, 3\) takes a batch"):
            made(tj.zeros(*shape))


@pytest.mark.parametrize("shape", [None, "ab", (1, -3, 3), (1, 2.5, 3), 3.0, ((1, 3), (3,))], ids=str)
def test_what_is_no_shape_of_a_sample_is_refused(shape):
    with pytest.raises(ShapeError, match="input_shape is that of one sample, without the batch axis"):
        as_linear(nn.Conv2d(1, 2, 2), shape)


def test_shapes_of_any_integers():
    for shape in ([1, 3, 3], np.array([1, 3, 3]), (np.int64(1), 3, 3)):
        assert as_linear(nn.Conv2d(1, 2, 2), shape).in_features == 9
    assert isinstance(as_linear(nn.Linear(4, 1), np.int64(4)), nn.Linear)
