"""Training scripts in PyTorch's names, run as they are with PyTorch, and with their import lines changed.

The scripts of scripts/ are what a PyTorch user writes. Each starts from weights and data drawn by NumPy and collects
its losses in ``losses``, and other numbers on the way (parameters, predictions, accuracies) in ``results``. Both
libraries must find the same numbers over the whole run; without PyTorch, the loss must fall. What the library has
(layers, losses, optimisers, schedulers, …) must appear in a script, and so must what public scripts use.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import re
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import tinygrad_jac as tj
from tinygrad_jac import nn, optim
from tinygrad_jac.primitive import registry

ROOT = Path(__file__).parents[1]
SCRIPTS = Path(__file__).parent / "scripts"
NAMES = sorted(path.stem for path in SCRIPTS.glob("*.py") if path.stem != "given")

# Float64 throughout: what two orders of summation differ by, of about 1e-16 in a step, grows over the steps.
TOLERANCE = 1e-9
LOOSER = {
    "hard_gates": (1e-6, "PyTorch multiplies the gradient of hardsigmoid by 1/6 in float32, whatever the dtype"),
}


# ------------------------------------------------------------------------------------------------ running


def with_imports_changed(source):
    """The script for this library: only lines that import PyTorch differ."""
    source = re.sub(r"^import torch$", "import tinygrad_jac as torch", source, flags=re.MULTILINE)
    return re.sub(r"^(import|from) torch\b", r"\1 tinygrad_jac", source, flags=re.MULTILINE)


@functools.cache
def outcome(name, library):
    """Losses and results of a script's run, in a namespace of its own; ``library`` is tinygrad_jac or torch."""
    torch = importlib.import_module(library)
    source = (SCRIPTS / f"{name}.py").read_text(encoding="utf-8")
    if library == "tinygrad_jac":
        source = with_imports_changed(source)
    module = type(sys)(f"script_{name}")
    sys.path.insert(0, str(SCRIPTS))
    sys.modules[module.__name__] = module  # dataclasses ask there
    dtype = torch.get_default_dtype()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="size_average and reduce")  # as PyTorch warns of it
            if library == "torch":
                warnings.simplefilter("ignore")
                torch.set_num_threads(1)  # threads would cost such small arrays more than they save
            exec(compile(source, str(SCRIPTS / f"{name}.py"), "exec"), vars(module))
        return arrays(module.losses), arrays(module.results)
    finally:
        torch.set_default_dtype(dtype)
        sys.path.remove(str(SCRIPTS))
        del sys.modules[module.__name__]


def arrays(values):
    return [np.array(v.detach().numpy() if hasattr(v, "detach") else v) for v in values]


def assert_agree(found, expected, tolerance):
    """Arrays one by one; small entries of a large array may differ by as much as the large ones do, a zero by rounding."""
    assert len(found) == len(expected)
    for k, (ours, theirs) in enumerate(zip(found, expected)):
        assert ours.shape == theirs.shape, k
        assert ours.dtype == theirs.dtype, k
        if theirs.dtype.kind != "f":
            np.testing.assert_array_equal(ours, theirs, err_msg=f"number {k}")
            continue
        size = np.abs(theirs[np.isfinite(theirs)]).max(initial=1e-5)
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance * size, err_msg=f"number {k}")


@pytest.mark.peers
@pytest.mark.parametrize("name", NAMES)
def test_learns_the_same_as_pytorch(name):
    pytest.importorskip("torch")
    losses, results = outcome(name, "tinygrad_jac")
    expected_losses, expected_results = outcome(name, "torch")
    tolerance = LOOSER.get(name, (TOLERANCE, ""))[0]
    assert_agree(losses, expected_losses, tolerance)
    assert_agree(results, expected_results, tolerance)


@pytest.mark.parametrize("name", NAMES)
def test_learns(name):
    losses, results = outcome(name, "tinygrad_jac")
    losses = np.array(losses)
    assert losses.ndim == 1
    assert np.isfinite(losses).all()
    fifth = max(len(losses) // 5, 1)
    assert losses[-fifth:].mean() < losses[:fifth].mean()
    assert results


@pytest.mark.peers
def test_a_wrong_derivative_would_be_found(monkeypatch):
    pytest.importorskip("torch")
    losses, _ = outcome("linear_regression", "torch")
    fresh = outcome.__wrapped__
    assert_agree(fresh("linear_regression", "tinygrad_jac")[0], losses, TOLERANCE)
    linear = registry["linear"]
    wrong = tuple(lambda *args, rule=rule, **kw: rule(*args, **kw) * (1 + 1e-7) for rule in linear.vjp)
    monkeypatch.setattr(linear, "vjp", wrong)
    with pytest.raises(AssertionError):
        assert_agree(fresh("linear_regression", "tinygrad_jac")[0], losses, TOLERANCE)
