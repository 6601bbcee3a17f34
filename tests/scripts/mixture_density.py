"""Several answers to one question: a mixture of normal distributions for each input; and a normalising flow."""

import math

import numpy as np
import torch
import torch.nn as nn

from given import same_start

torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(34)
y = torch.from_numpy(rng.uniform(-1, 1, (60, 1)))
x = y + 0.3 * torch.sin(2 * math.pi * y) + torch.from_numpy(0.05 * rng.standard_normal((60, 1)))


class MDN(nn.Module):
    def __init__(self, hidden=10, components=3):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(1, hidden), nn.Tanh())
        self.pi, self.mu, self.sigma = (nn.Linear(hidden, components) for _ in range(3))

    def forward(self, x):
        h = self.body(x)
        return self.pi(h).log_softmax(dim=1), self.mu(h), torch.exp(self.sigma(h))


def nll(log_pi, mu, sigma, y):
    log_p = -0.5 * ((y - mu) / sigma) ** 2 - torch.log(sigma) - 0.5 * math.log(2 * math.pi)
    return -torch.logsumexp(log_pi + log_p, dim=1).mean()


model = same_start(MDN())
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
losses, results = [], []
for step in range(20):
    loss = nll(*model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
results += model(x[:3])


class Coupling(nn.Module):
    def __init__(self, flipped):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(1, 6), nn.LeakyReLU(), nn.Linear(6, 2))
        self.flipped = flipped

    def forward(self, z):
        kept, changed = z.flip(1).chunk(2, dim=1) if self.flipped else z.chunk(2, dim=1)
        log_s, t = self.net(kept).chunk(2, 1)
        log_s = torch.tanh(log_s)
        parts = (kept, changed * log_s.exp() + t)
        return torch.cat(parts[::-1] if self.flipped else parts, dim=1), log_s.squeeze(1)


points = torch.cat([x, y], dim=1)
flow = same_start(nn.ModuleList([Coupling(False), Coupling(True)]))
optimizer = torch.optim.Adam(flow.parameters(), lr=0.02)
for step in range(10):
    z, log_det = points, torch.zeros(len(points))
    for layer in flow:
        z, log_s = layer(z)
        log_det = log_det + log_s
    loss = (0.5 * z.square().sum(1) - log_det).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    results.append(loss.item())
# A normal distribution of any shape: its matrix of scales by Cholesky, its density by a solved system.
raw = torch.from_numpy(rng.standard_normal((2, 2))).requires_grad_()
covariance = raw @ raw.T + torch.eye(2)
centred = points - points.mean(0, keepdim=True)
solved = torch.linalg.solve(covariance, centred.T)
density = 0.5 * (centred.T * solved).sum(0).mean() + 0.5 * torch.logdet(covariance)
chol = torch.linalg.cholesky(covariance)
(density + chol.diagonal().log().sum() + torch.det(covariance) + torch.linalg.inv(covariance).sum()).backward()
results += [density, raw.grad, torch.linalg.eigvalsh(covariance), torch.matrix_exp(covariance)]
