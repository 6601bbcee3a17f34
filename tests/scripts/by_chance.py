"""What is drawn by the library: dtype, range and statistics; and a training whose end does not depend on chance."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from given import same_start

torch.set_default_dtype(torch.float64)
torch.manual_seed(3)
if torch.cuda.is_available():
    torch.cuda.manual_seed_all(3)
device = torch.device("cpu")
losses, results = [], []

n = 40_000
DRAWN = [  # what, mean, standard deviation, least, largest
    (torch.rand(n, device=device, dtype=torch.double), 0.5, 0.2887, 0, 1),
    (torch.randn(n, device=device, dtype=torch.float64), 0.0, 1.0, -7, 7),
    (torch.randint(2, 6, (n,)).double(), 3.5, 1.118, 2, 5),
    (torch.randint(high=2, size=(n,)).double(), 0.5, 0.5, 0, 1),
    (torch.rand_like(torch.zeros(n, dtype=torch.float), dtype=torch.double), 0.5, 0.2887, 0, 1),
    (torch.randn_like(torch.zeros(n)), 0.0, 1.0, -7, 7),
    (torch.normal(torch.ones(n), 0.5), 1.0, 0.5, -4, 6),
    (torch.normal(2.0, 0.1, size=(n,)), 2.0, 0.1, 1, 3),
    (torch.bernoulli(torch.full((n,), 0.25)), 0.25, 0.433, 0, 1),
    (torch.multinomial(torch.tensor([1.0, 3.0]), num_samples=n, replacement=True).double(), 0.75, 0.433, 0, 1),
    (torch.empty(n).uniform_(-1, 3), 1.0, 1.1547, -1, 3),
    (torch.empty(n).normal_(1, 2), 1.0, 2.0, -13, 15),
    (F.dropout(torch.ones(n), p=0.2), 1.0, 0.5, 0, 1.25),
    (nn.Dropout(0.5)(torch.ones(n)), 1.0, 1.0, 0, 2),
    (nn.Dropout2d(0.5)(torch.ones(200, 200, 1, 1)).flatten(), 1.0, 1.0, 0, 2),
]
for k, (drawn, mean, std, least, largest) in enumerate(DRAWN):
    assert drawn.dtype == torch.float64, k
    assert abs(drawn.mean().item() - mean) < 5 * std / n**0.5, k  # five standard deviations
    assert abs(drawn.std().item() / std - 1) < 0.03, k
    assert drawn.min().item() >= least and drawn.max().item() <= largest, k
order = torch.randperm(50)
assert order.sort().values.tolist() == list(range(50)) and order.dtype == torch.long
assert torch.randn(2, 3, requires_grad=True).requires_grad and torch.rand(2, requires_grad=True).is_leaf
torch.manual_seed(5)
again = torch.rand(4)
torch.manual_seed(5)
assert torch.equal(again, torch.rand(4))
assert nn.Dropout(0.9).eval()(torch.ones(5)).tolist() == [1.0] * 5

# Ordinary weights of the library, its own shuffling: what is learnt is the least squares solution.
x = torch.from_numpy(np.random.default_rng(36).standard_normal((30, 3)))
y = x @ torch.tensor([[1.0], [2.0], [3.0]]) - 0.5
model = nn.Linear(3, 1)
loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=30, shuffle=True)
optimizer = torch.optim.LBFGS(model.parameters(), lr=1, max_iter=40, tolerance_grad=1e-13, tolerance_change=0)
for xb, yb in loader:

    def closure(xb=xb, yb=yb):
        optimizer.zero_grad()
        loss = nn.BCELoss(reduction="mean")(torch.ones(1), torch.ones(1)) + F.mse_loss(model(xb), yb)
        loss.backward()
        return loss

    optimizer.step(closure)
results += [model.weight, model.bias]
masked = same_start(nn.Linear(3, 1))  # the same masks for both, drawn by NumPy
optimizer = torch.optim.SGD(masked.parameters(), lr=0.1)
masks = np.random.default_rng(37).random((12, 30, 3)) > 0.2
for mask in masks:
    loss = F.mse_loss(masked(x * torch.from_numpy(mask) / 0.8), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
