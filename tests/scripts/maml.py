"""Learning to learn sines: a step on each task, and the gradient of what comes after that step."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from given import same_start

torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(10)
model = same_start(nn.Sequential(nn.Linear(1, 10), nn.Tanh(), nn.Linear(10, 1)))


def adapted(x, weights):
    h = torch.tanh(F.linear(x, weights["0.weight"], weights["0.bias"]))
    return F.linear(h, weights["2.weight"], weights["2.bias"])


def sample(amplitude, phase):
    x = torch.tensor(rng.uniform(-2, 2, (8, 1)))
    return x, amplitude * torch.sin(x + phase)


meta_optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
losses, results = [], []
for iteration in range(15):
    meta_loss = 0
    for amplitude, phase in ((1.0, 0.0), (0.5, 0.5), (1.5, -0.5)):
        weights = dict(model.named_parameters())
        x, y = sample(amplitude, phase)
        loss = F.mse_loss(adapted(x, weights), y)
        grads = torch.autograd.grad(loss, tuple(weights.values()), create_graph=True)
        fast = {name: w - 0.1 * g for (name, w), g in zip(weights.items(), grads)}
        x, y = sample(amplitude, phase)
        meta_loss = meta_loss + F.mse_loss(adapted(x, fast), y)
    meta_optimizer.zero_grad()
    meta_loss.backward()
    meta_optimizer.step()
    losses.append(meta_loss.item() / 3)
results += list(model.parameters())
