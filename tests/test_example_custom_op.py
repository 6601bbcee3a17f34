"""examples/custom_op.py, short: the op is checked, the fault is found, and the op is of use."""

from __future__ import annotations

import importlib
import re
import sys

import numpy as np
import pytest
from kit import scratch_registry
from running import EXAMPLES, start

import tinygrad_jac as tj
from tinygrad_jac import nn, optim  # noqa: F401 (here, and not when a test loads an example)


def test_custom_op(tmp_path):
    pytest.importorskip("matplotlib")
    run = start("custom_op.py", "--steps", "700", "--lr", "0.01", "--seed", "1", "--out", tmp_path)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    for line in (
        "gradcheck of the primitive: True",
        "gradcheck of the Function:  True",
        "rules, Jacobians, numbers:  True",
        "the two forms agree:        True",
    ):
        assert line in run.stdout.splitlines()
    assert "the gradient with respect to input 0, shape (4, 3), is wrong in 12 of 144 entries" in run.stdout
    snake, relu = re.fullmatch(
        r"extrapolation error (\d\.\d{4}) with snake, (\d\.\d{4}) with ReLU", run.stdout.splitlines()[-1]
    ).groups()
    assert 3 * float(snake) < float(relu)
    assert (tmp_path / "custom_op.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "custom_op.png").stat().st_size > 20_000


@pytest.fixture
def example(monkeypatch):
    """The module, imported anew for each test: it registers its primitive when it is imported."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    with scratch_registry():
        yield importlib.import_module("custom_op")
    del sys.modules["custom_op"]


def test_snake_is_what_the_paper_says(example):
    x, a = np.linspace(-3, 3, 7), np.array(2.0)
    for op in (example.snake, lambda x, a: example.Snake.apply(tj.tensor(x), tj.tensor(a)).numpy()):
        np.testing.assert_allclose(op(x, a), x + np.sin(2 * x) ** 2 / 2, rtol=1e-14)
        np.testing.assert_allclose(op(x, a), x + (1 - np.cos(4 * x)) / 4, rtol=1e-13, atol=1e-15)


def test_a_check_that_finds_no_fault_fails(example, monkeypatch):
    monkeypatch.setattr(example, "gradcheck", lambda *args: True)
    with pytest.raises(AssertionError, match="the planted fault was not found"):
        example.check()
