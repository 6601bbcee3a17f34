"""examples/sine_lstm.py, short: the error falls, and the continuation is what the loop says."""

from __future__ import annotations

import importlib
import re

import numpy as np
import pytest
from running import EXAMPLES, assert_failed_with, start

import tinygrad_jac as tj
from tinygrad_jac import nn, optim, utils  # noqa: F401 (here, and not when a test loads an example)


def test_sine(tmp_path):
    pytest.importorskip("matplotlib")
    run = start("sine_lstm.py", "--epochs", "6", "--length", "40", "--seed", "1", "--out", tmp_path)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    losses = [float(loss) for loss in re.findall(r"^epoch ./6  loss (\S+) ", run.stdout, re.MULTILINE)]
    assert len(losses) == 6
    assert losses[-1] < 0.05 < losses[0]
    end = re.fullmatch(r"test error (\d\.\d{4})", run.stdout.splitlines()[-1])
    assert float(end[1]) < 0.6, "always 0 would be 0.7071"
    data = (tmp_path / "sine_lstm.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert len(data) > 30_000


def test_options_are_checked():
    assert_failed_with(start("sine_lstm.py", "--epochs", "0"), "0 is not above 0", 2)


@pytest.fixture(scope="module")
def sine():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        yield importlib.import_module("sine_lstm")


def test_waves(sine):
    waves = sine.waves(5, 81).numpy()[..., 0]
    np.testing.assert_allclose(waves[:, :41], waves[:, 40:], atol=1e-5, err_msg="their period is 40")
    np.testing.assert_allclose(waves[:, :61], -waves[:, 20:], atol=1e-5)
    assert len({float(w[0]) for w in waves}) == 5


def test_the_future_is_read_from_its_own_predictions(sine):
    tj.manual_seed(0)
    model, x = sine.Sequence(), sine.waves(3, 7)
    found = model(x, future=2).detach().numpy()
    assert found.shape == (3, 9, 1)
    longer = x
    for step in (6, 7):
        longer = tj.cat([longer, model(longer)[:, -1:]], dim=1)
        np.testing.assert_allclose(found[:, step], longer[:, -1].detach().numpy(), rtol=1e-5)
