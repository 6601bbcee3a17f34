"""Gradients clipped, parameters as one vector, parametrizations: by hand and against PyTorch."""

from __future__ import annotations

import copy
import importlib
import math

import numpy as np
import pytest

import tinygrad_jac as tj
from tinygrad_jac import nn, optim
from tinygrad_jac.nn.utils import parametrize

GRADIENTS = [np.array([[3.0, 0.0], [0.0, -4.0]]), np.array([12.0]), np.array(0.5)]


def with_gradients(arrays=GRADIENTS, lib=tj):
    """Parameters with these gradients, and one without any."""
    parameters = [lib.zeros(a.shape, dtype=lib.float64, requires_grad=True) for a in arrays]
    for p, a in zip(parameters, arrays):
        p.grad = lib.tensor(a)
    return [*parameters, lib.zeros(2, requires_grad=True)]


def gradients(parameters):
    return [p.grad.numpy() for p in parameters if p.grad is not None]


# ------------------------------------------------------------------------------------------------ clipping


@pytest.mark.parametrize("p, norm", [(2.0, math.sqrt(169.25)), (1.0, 19.5), (math.inf, 12.0), ("inf", 12.0)])
def test_the_norm_of_all_gradients(p, norm):
    parameters = with_gradients()
    total = nn.utils.clip_grad_norm_(iter(parameters), 1.0, norm_type=p)
    assert isinstance(total, tj.Tensor)
    assert total.shape == ()
    np.testing.assert_allclose(total.item(), norm, rtol=1e-15)
    for found, before in zip(gradients(parameters), GRADIENTS):
        np.testing.assert_allclose(found, before / (norm + 1e-6), rtol=1e-15)


def test_short_gradients_stay_as_they_are():
    parameters = with_gradients()
    held = [p.grad for p in parameters]
    nn.utils.clip_grad_norm_(parameters, 14.0)
    assert all(g is p.grad for g, p in zip(held, parameters))
    assert all((a == b).all() for a, b in zip(gradients(parameters), GRADIENTS))
    assert nn.utils.clip_grad_norm_([tj.ones(2, requires_grad=True)], 1.0).item() == 0.0


def test_one_tensor_and_single_precision():
    w = tj.tensor([3.0, 4.0], requires_grad=True)
    (w * w).sum().backward()
    total = nn.utils.clip_grad_norm_(w, 1.0)
    assert total.dtype == w.grad.dtype == np.float32
    np.testing.assert_allclose(w.grad, [0.6, 0.8], rtol=1e-6)


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_what_is_not_finite(bad):
    parameters = with_gradients([np.array([1.0, bad]), np.array([2.0])])
    with pytest.raises(RuntimeError, match="non-finite"):
        nn.utils.clip_grad_norm_(parameters, 1.0, error_if_nonfinite=True)
    assert parameters[1].grad.item() == 2.0
    with np.errstate(invalid="ignore"):  # ∞ times 0
        nn.utils.clip_grad_norm_(parameters, 1.0)
    assert np.isnan(parameters[0].grad.array[1])


def test_limited_entry_by_entry():
    parameters = with_gradients()
    nn.utils.clip_grad_value_(parameters, 2)
    assert [g.tolist() for g in gradients(parameters)] == [[[2.0, 0.0], [0.0, -2.0]], [2.0], 0.5]


def test_a_graph_that_saved_the_gradient_notices():
    w = tj.tensor([3.0, 4.0], requires_grad=True)
    (w * w).sum().backward()
    loss = (w * w.grad).sum()
    nn.utils.clip_grad_norm_(w, 1.0)
    with pytest.raises(tj.GradientError, match="changed in place"):
        loss.backward()


def test_what_is_no_tensor_is_refused():
    with pytest.raises(TypeError, match="iterable of Tensors, not int"):
        nn.utils.clip_grad_norm_(3, 1.0)
    with pytest.raises(TypeError, match="takes Tensors, not float"):
        nn.utils.clip_grad_value_([1.0], 1.0)


@pytest.mark.peers
@pytest.mark.parametrize("p", [2.0, 1.0, 3.0, math.inf, 0.5])
def test_clipping_as_pytorch_does(p):
    torch = pytest.importorskip("torch")
    results = []
    for lib in (tj, torch):
        parameters, utils = with_gradients(lib=lib), lib.nn.utils
        total = utils.get_total_norm([q.grad for q in parameters if q.grad is not None], p)
        utils.clip_grads_with_norm_(parameters[:1], 1.5, total, foreach=False)
        after = utils.clip_grad_norm_(parameters, 0.5, p, foreach=False)
        utils.clip_grad_value_(parameters, 0.2)
        results.append([total.item(), after.item(), *(g.tolist() for g in gradients(parameters))])
    for found, expected in zip(*results):
        np.testing.assert_allclose(found, expected, rtol=1e-13)


# ------------------------------------------------------------------------------------------------ vectors


def test_there_and_back():
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    vector = nn.utils.parameters_to_vector(model.parameters())
    assert vector.shape == (13,)
    np.testing.assert_array_equal(vector.detach()[:6], model[0].weight.detach().reshape(-1))
    other = tj.arange(13.0)
    nn.utils.vector_to_parameters(other, model.parameters())
    assert model[1].bias.tolist() == [12.0]
    assert np.shares_memory(model[0].weight.array, other.array)
    assert all(p.is_leaf and p.requires_grad for p in model.parameters())


def test_the_vector_is_differentiable():
    model = nn.Linear(2, 1).double()
    (nn.utils.parameters_to_vector(model.parameters()) ** 2).sum().backward()
    np.testing.assert_allclose(model.weight.grad, 2 * model.weight.detach(), rtol=1e-15)


def test_a_vector_of_another_size():
    model = nn.Linear(2, 1)
    before = model.weight.tolist()
    with pytest.raises(tj.ShapeError, match="does not fill parameters of 3 entries"):
        nn.utils.vector_to_parameters(tj.ones(2), model.parameters())
    with pytest.raises(TypeError, match="a Tensor, not list"):
        nn.utils.vector_to_parameters([1.0], model.parameters())
    assert model.weight.tolist() == before


# ------------------------------------------------------------------------------------------------ parametrizations


class Symmetric(nn.Module):
    def forward(self, x):
        return x.triu() + x.triu(1).mT

    def right_inverse(self, x):
        return x.triu()


class Scaled(nn.Module):
    calls = 0

    def forward(self, x):
        type(self).calls += 1
        return 2 * x


def test_a_parametrized_weight_is_computed_and_learnt():
    layer = nn.Linear(3, 3)
    weight = layer.weight
    upper = np.triu(weight.array)
    assert parametrize.register_parametrization(layer, "weight", Symmetric()) is layer
    assert isinstance(layer, nn.Linear)
    np.testing.assert_array_equal(layer.weight.detach(), upper + np.triu(upper, 1).T)
    assert [name for name, _ in layer.named_parameters()] == ["bias", "parametrizations.weight.original"]
    assert layer.parametrizations.weight.original is weight
    assert "ParametrizedLinear(" in repr(layer)
    optimizer = optim.SGD(layer.parameters(), lr=0.1)
    layer(tj.randn(4, 3)).square().sum().backward()
    optimizer.step()
    assert not np.array_equal(np.triu(weight.array), upper)
    np.testing.assert_array_equal(layer.weight.array, layer.weight.array.T)


def test_several_one_after_the_other_and_assignment():
    layer = nn.Linear(2, 2, bias=False)
    parametrize.register_parametrization(layer, "weight", Symmetric())
    before = layer.weight.detach().clone()
    parametrize.register_parametrization(layer, "weight", Scaled())
    np.testing.assert_array_equal(layer.weight.detach(), 2 * before)
    with pytest.raises(RuntimeError, match="Scaled has no right_inverse"):
        layer.weight = tj.ones(2, 2)
    other = parametrize.register_parametrization(nn.Linear(2, 2), "weight", Symmetric())
    other.weight = tj.tensor([[1.0, 2.0], [2.0, 3.0]])
    assert other.weight.tolist() == [[1.0, 2.0], [2.0, 3.0]]


@pytest.mark.parametrize("leave", [True, False])
def test_removed(leave):
    layer = nn.Linear(2, 2)
    original = layer.weight
    first = original.detach().clone()
    parametrize.register_parametrization(layer, "weight", Scaled())
    parametrize.register_parametrization(layer, "bias", Scaled())
    twin = copy.deepcopy(layer)
    parametrize.remove_parametrizations(layer, "weight", leave_parametrized=leave)
    assert layer.weight is original
    np.testing.assert_array_equal(original.detach(), 2 * first if leave else first)
    assert parametrize.is_parametrized(layer, "bias")
    assert not parametrize.is_parametrized(layer, "weight")
    parametrize.remove_parametrizations(layer, "bias")
    assert type(layer) is nn.Linear
    assert sorted(layer.state_dict()) == ["bias", "weight"]
    np.testing.assert_array_equal(twin.weight.detach(), 2 * first)
    with pytest.raises(ValueError, match="no parametrization of 'bias'"):
        parametrize.remove_parametrizations(layer, "bias")


def test_cached():
    layer = parametrize.register_parametrization(nn.Linear(2, 2), "weight", Scaled())
    before = Scaled.calls
    with parametrize.cached():
        assert layer.weight is layer.weight
    assert Scaled.calls == before + 1
    assert layer.weight is not layer.weight


def test_buffers_and_refusals():
    layer = nn.BatchNorm1d(3)
    parametrize.register_parametrization(layer, "running_mean", Scaled())
    assert "parametrizations.running_mean.original" in layer.state_dict()
    parametrize.remove_parametrizations(layer, "running_mean")
    assert [name for name, _ in layer.named_buffers()][-1] == "running_mean"
    with pytest.raises(ValueError, match="no parameter, buffer or parametrized tensor 'wait'"):
        parametrize.register_parametrization(layer, "wait", Scaled())
    with pytest.raises(tj.ShapeError, match=r"from shape \(3,\) and float32 to \(1, 3\)"):
        parametrize.register_parametrization(layer, "weight", nn.Unflatten(0, (1, 3)))
    assert not parametrize.is_parametrized(layer)
    assert isinstance(layer.weight, nn.Parameter)


@pytest.mark.peers
def test_parametrized_training_as_in_pytorch():
    torch = pytest.importorskip("torch")
    weight, x = np.random.default_rng(0).standard_normal((2, 3, 3))
    results = []
    for lib in (tj, torch):

        class Symmetric(lib.nn.Module):
            def forward(self, x):
                return x.triu() + x.triu(1).mT

        layer = lib.nn.Linear(3, 3, bias=False, dtype=lib.float64)
        layer.load_state_dict({"weight": lib.tensor(weight)})
        p = importlib.import_module(f"{lib.__name__}.nn.utils.parametrize")
        p.register_parametrization(layer, "weight", Symmetric())
        optimizer = lib.optim.SGD(layer.parameters(), lr=0.01)
        for _ in range(5):
            optimizer.zero_grad()
            with p.cached():
                loss = (layer(lib.tensor(x)) @ layer.weight).square().sum()
            loss.backward()
            optimizer.step()
        text = repr(layer)
        p.remove_parametrizations(layer, "weight")
        results.append((loss.item(), layer.weight.detach().numpy(), text))
    (loss, found, text), (expected_loss, expected, expected_text) = results
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-12)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert text == expected_text


def test_what_is_cached_belongs_to_its_module_and_thread():
    import gc
    import threading

    class Double(nn.Module):
        def forward(self, x):
            return 2 * x

    def made(value):
        layer = nn.Linear(2, 2)
        nn.init.constant_(layer.weight, value)
        return parametrize.register_parametrization(layer, "weight", Double())

    kept, elsewhere = made(1.0), []
    with parametrize.cached():
        for k in range(50):  # each in the memory of the one before
            assert made(float(k)).weight[0, 0].item() == 2 * k
            gc.collect()
        assert kept.weight is kept.weight
        thread = threading.Thread(target=lambda: elsewhere.append(kept.weight is kept.weight))
        thread.start()
        thread.join()
    assert elsewhere == [False]
    assert kept.weight is not kept.weight
