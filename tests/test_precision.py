"""Half precision: what is computed on the way may be beyond 65504, the result is rounded once."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygrad_jac as tj
import tinygrad_jac.nn.functional as F

LARGE = [300.0, -300.0, 250.0, 10.0]
CASES = {
    "erf": (tj.erf, [0.1, 2.0, 3.0, 4.0]),
    "erfc": (tj.erfc, [-1.0, 0.2, 2.0, 3.0]),
    "erfinv": (tj.erfinv, [-0.9, 0.1, 0.5, 0.8]),
    "gelu": (F.gelu, [-1.0, 3.0, 4.0, 5.0]),
    "sum": (tj.sum, [60000.0, 60000.0, -60000.0, -50000.0]),
    "mean": (tj.mean, [60000.0, 60000.0, 50000.0, 40000.0]),
    "std": (tj.std, LARGE),
    "norm": (tj.norm, LARGE),
    "logsumexp": (lambda x: tj.logsumexp(x, 0), [11.0, 11.0, 3.0, -4.0]),
    "softmax": (lambda x: F.softmax(x, 0), LARGE),
    "log_softmax": (lambda x: F.log_softmax(x, 0), LARGE),
    "layer_norm": (lambda x: F.layer_norm(x, (4,)), LARGE),
}


@pytest.mark.parametrize("name", CASES)
def test_half_precision_is_rounded_once(name):
    function, entries = CASES[name]
    half = tj.tensor(entries, dtype=tj.float16)
    out, exact = function(half), function(half.double())
    assert out.dtype == tj.float16
    expected = exact.numpy()
    # Half a unit in the last place, of what float32 gave: its own error is a thousandth of that.
    np.testing.assert_allclose(out.double().numpy(), expected, rtol=0.501 * 2.0**-10, atol=2.0**-24)


@pytest.mark.parametrize("name", CASES)
def test_gradients_of_half_precision_are_finite(name):
    function, entries = CASES[name]
    x = tj.tensor(entries, dtype=tj.float16, requires_grad=True)
    exact = tj.tensor(entries, dtype=tj.float64, requires_grad=True)
    function(x).sum().backward()
    function(exact).sum().backward()
    assert x.grad.dtype == tj.float16
    # The rules compute in float16: some roundings, relative to the largest entries that cancel.
    np.testing.assert_allclose(x.grad.double(), exact.grad, rtol=0.02, atol=2e-3)


def test_many_entries():
    x = tj.full((70_000,), 1.0, dtype=tj.float16)
    assert x.sum().item() == math.inf  # beyond what float16 holds
    assert x.mean().item() == 1.0
    assert F.softmax(x, 0)[0].item() == pytest.approx(1 / 70_000, rel=0.01)  # a subnormal number
