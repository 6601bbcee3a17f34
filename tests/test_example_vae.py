"""examples/vae_digits.py, short: its loss is the one of the paper, and falls."""

from __future__ import annotations

import importlib
import re

import numpy as np
import pytest
from running import EXAMPLES, start

import tinygrad_jac as tj
from tinygrad_jac import nn, optim, utils  # noqa: F401 (here, and not when a test loads an example)


def test_vae(tmp_path):
    pytest.importorskip("matplotlib")
    run = start("vae_digits.py", "--epochs", "10", "--seed", "1", "--out", tmp_path)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    losses = [float(loss) for loss in re.findall(r"^epoch ../10 .* test (\d+\.\d{3})$", run.stdout, re.MULTILINE)]
    assert len(losses) == 10
    assert losses[-1] < losses[0]
    end = re.fullmatch(r"test loss (\d+\.\d{4})", run.stdout.splitlines()[-1])
    # The mean picture for every digit, at no divergence, costs 27.1 nats (the test below).
    assert float(end[1]) < 26.8
    assert (tmp_path / "vae_digits.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "vae_digits.png").stat().st_size > 50_000


@pytest.fixture(scope="module")
def vae():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        yield importlib.import_module("vae_digits")


def test_what_a_network_without_a_latent_would_reach(vae):
    images = vae.load_digits()[1].tensors[0].double().numpy()
    mean = np.clip(vae.load_digits()[0].tensors[0].double().numpy().mean(0), 1e-6, 1 - 1e-6)
    cost = -(images * np.log(mean) + (1 - images) * np.log(1 - mean)).sum((1, 2, 3)).mean()
    assert 27 < cost < 27.2


def test_the_two_parts_of_the_loss(vae):
    """The divergence of N(m, s²) from N(0, 1), integrated numerically; the drawing's cost, summed by hand."""
    m, s, logit, pixel = 0.7, 0.4, 1.3, 0.25
    z = np.linspace(-8, 8, 200_001)
    density = np.exp(-(((z - m) / s) ** 2) / 2) / (s * np.sqrt(2 * np.pi))
    integrand = density * ((z**2 - ((z - m) / s) ** 2) / 2 - np.log(s))
    kl = integrand.sum() * (z[1] - z[0])
    p = 1 / (1 + np.exp(-logit))
    like = np.full((3, 64), 1.0)
    mean, log_variance = like[:, :2] * m, like[:, :2] * 2 * np.log(s)
    drawing, divergence = vae.losses(*map(tj.tensor, (like * logit, like * pixel, mean, log_variance)))
    np.testing.assert_allclose(divergence.item(), 6 * kl, rtol=1e-8)
    np.testing.assert_allclose(drawing.item(), -192 * (pixel * np.log(p) + (1 - pixel) * np.log(1 - p)), rtol=1e-12)


def test_draws_have_the_moments_and_gradients_of_their_parameters(vae):
    tj.manual_seed(0)
    model = vae.VAE()
    mean, log_variance = (tj.full((20_000, 2), v, requires_grad=True) for v in (0.5, -1.0))
    z = model.reparametrize(mean, log_variance)
    assert abs(z.mean().item() - 0.5) < 5 * np.exp(-0.5) / 200  # five standard errors
    assert abs(z.var().item() - np.exp(-1)) < 5 * np.exp(-1) * np.sqrt(2) / 200
    z.sum().backward()
    assert (mean.grad == 1).all()
    np.testing.assert_allclose(log_variance.grad.numpy(), (z - mean).detach().numpy() / 2, atol=1e-6)


def test_tiles_keep_their_order(vae):
    images = tj.arange(6.0).reshape(6, 1, 1, 1).expand(6, 1, 8, 8)
    tiles = vae.tiled(images, 2)
    assert tiles.shape == (20, 30)
    assert tiles[5::10, 5::10].tolist() == [[0, 1, 2], [3, 4, 5]]
