"""The physics-informed network: a short run, and its parts against what is known by hand."""

from __future__ import annotations

import importlib
import re

import numpy as np
import pytest
from running import EXAMPLES, assert_failed_with, start

import tinygrad_jac as tj


@pytest.fixture
def pinn(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module("pinn")


def test_a_short_run(tmp_path):
    pytest.importorskip("matplotlib")
    run = start("pinn.py", "--adam", "150", "--lbfgs", "6", "--points", "50", "--seed", "1", "--out", tmp_path)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    found = re.fullmatch(r"relative error (\S+)", run.stdout.splitlines()[-1])
    assert found, run.stdout
    assert float(found[1]) < 0.5, "without training it is 1 or more"
    picture = (tmp_path / "pinn.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 10_000


def test_the_exact_solution_solves_the_equation(pinn):
    """By differences: u″ + 2 δ u′ + ω² u = 0, u(0) = 1, u′(0) = 0."""
    t, h = np.linspace(0.5, 5, 10), 1e-4
    before, now, after = (pinn.exact(t + k * h) for k in (-1, 0, 1))
    first, second = (after - before) / (2 * h), (after - 2 * now + before) / h**2
    # second differences lose 1e-16 / h², and leave out h² times the fourth derivative
    assert np.abs(second + 2 * pinn.DAMPING * first + pinn.FREQUENCY**2 * now).max() < 1e-6
    assert pinn.exact(np.array(0.0)) == 1
    assert abs(pinn.exact(np.array(h)) - pinn.exact(np.array(-h))) < 1e-10


def test_the_residual_of_the_exact_solution_is_nothing(pinn):
    """The second derivative is taken through the graph of the first."""
    nu = np.sqrt(pinn.FREQUENCY**2 - pinn.DAMPING**2)

    def model(s):
        t = s * pinn.END
        return (-pinn.DAMPING * t).exp() * ((nu * t).cos() + pinn.DAMPING / nu * (nu * t).sin())

    t = tj.linspace(0, pinn.END, 30, dtype=tj.float64).reshape(-1, 1).requires_grad_()
    assert np.abs(pinn.residual(model, t).detach().numpy()).max() < 1e-13
    assert pinn.loss_of(model, t).item() < 1e-24


def test_options_are_checked():
    assert_failed_with(start("pinn.py", "--adam", "-1"), "-1 is not above 0", 2)
