"""Each optimisation against the plain code that it stands for: the same numbers, and the same gradients."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import without

import tinygrad_jac as tj
import tinygrad_jac.nn.functional as F
from tinygrad_jac import nn


class Everything(nn.Module):
    """What the optimisations are for, in one network: arrays large and odd enough that they come into play."""

    def __init__(self):
        super().__init__()
        tj.manual_seed(0)
        self.embedding = nn.Embedding(30, 8)
        self.lstm = nn.LSTM(8, 6, batch_first=True)
        self.convolution = nn.Conv1d(6, 5, 3, padding=1)
        self.wide = nn.Linear(5 * 40, 150)
        self.narrow = nn.Linear(150, 10)

    def forward(self, letters):
        x, _ = self.lstm(self.embedding(letters))
        x = x + F.scaled_dot_product_attention(x, x, x, is_causal=True)
        x = self.convolution(x.transpose(1, 2))
        x = tj.stack([x[:, :, k] * (k + 1) ** 0.5 for k in range(x.shape[2])], dim=2)
        x = F.gelu(self.wide(F.layer_norm(x.flatten(1), (200,))))
        return tj.einsum("ni,oi->no", tj.relu(x) - 0.5 * x, self.narrow.weight) + self.narrow.bias


def trained(steps=3):
    """Losses, parameters and gradients after a few steps of Adam, and a Jacobian by the last layer's weights."""
    rng = np.random.default_rng(0)
    net = Everything().double()
    optimizer = tj.optim.Adam(net.parameters(), lr=1e-2)
    letters, classes = tj.tensor(rng.integers(0, 30, (60, 40))), tj.tensor(rng.integers(0, 10, 60))
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(letters), classes)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    w, v = net.narrow.weight.detach(), tj.tensor(rng.normal(size=150))
    rows = tj.func.jacrev(lambda w: tj.log_softmax(w @ v, dim=0))(w)
    arrays = [array.detach().numpy() for p in net.parameters() for array in (p, p.grad)]
    return [np.array(losses), rows.numpy(), *arrays]


@pytest.mark.parametrize("name", without.OPTIMISATIONS)
def test_an_optimisation_changes_no_number(name):
    expected = trained()
    assert expected[0][-1] < expected[0][0], "it learns"
    plain, ran = set(), set()
    with pytest.MonkeyPatch.context() as patch:
        exchange = without._code
        patch.setattr(without, "_code", lambda *given: (plain.add(given[2].__code__), exchange(*given)))
        without.leave_out([name], patch)
        before = sys.getprofile()
        sys.setprofile(lambda frame, event, _: ran.add(frame.f_code))
        try:
            found = trained()
        finally:
            sys.setprofile(before)
    assert plain <= ran, "the network has a use for each function whose code was exchanged"
    for a, b in zip(found, expected, strict=True):
        # Sums in another order differ in their last digits, which three steps of Adam divide by small numbers.
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


def test_what_is_no_optimisation_is_refused():
    with pytest.raises(ValueError, match="no optimisation is named 'wings'; there are calls, "):
        without.named("calls,wings")
