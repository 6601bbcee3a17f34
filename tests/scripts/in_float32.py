"""In single precision, as most scripts are: dtypes of what comes out, conversions, and a network that learns."""

import numpy as np
import torch
import torch.nn as nn

from given import same_start

rng = np.random.default_rng(35)
x = torch.from_numpy(rng.standard_normal((32, 4))).float()
y = torch.tensor(rng.standard_normal(32).tolist()) * 0.1 + x[:, 0]
model = same_start(nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 1)))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
losses, results = [], []
for step in range(12):
    loss = nn.functional.mse_loss(model(x).squeeze(-1), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
results += [*model.parameters(), model(x)]
double = model.double()
results += [double(x.double()), next(double.parameters()).dtype == torch.float64]
model.float()

# What has which dtype, by the dtype of the array that comes out.
i, f, d, h = (
    torch.tensor([1, 2, 3]),
    torch.tensor([1.0, 2.0, 3.0]),
    torch.ones(3, dtype=torch.float64),
    torch.ones(3).half(),
)
small, bits = torch.tensor([1, 2, 3], dtype=torch.int16), torch.tensor([True, False, True])
results += [
    i + 1, i + 1.5, i / 2, i // 2, i * f, f + d, f * np.float64(2.0), f + 1, h + 1, h * f, small + i, small * 2,
    bits + 1, bits & ~bits, bits * f, bits.sum(), i.sum(), small.sum(), i.float().mean(), f.sum(), h.sum(), i**2, 2**i,
    2.0**i, f**2, i.max(), i.float().std(), f.argmax(), f > 1, i == 1, -i, i % 2, f % 2, torch.sqrt(i), torch.exp(i),
    torch.arange(3), torch.arange(0, 1, 0.25), torch.arange(3, dtype=torch.float), torch.linspace(0, 1, 3),
    torch.full((2,), 1), torch.full((2,), 1.0), torch.full((2,), True), torch.zeros(2, device=torch.device("cpu")),
    torch.eye(2), torch.tensor(1), torch.tensor(1.0), torch.tensor([1, 2.5]), torch.tensor([[True]]),
    torch.Tensor([1, 2]), torch.Tensor(2, 0), torch.LongTensor([1]), torch.FloatTensor([1]), torch.DoubleTensor([1]),
    torch.ByteTensor([1]), torch.where(bits, 1.0, 0.0), torch.where(bits, f, 0), torch.where(bits, i, 0),
    torch.cat([i, f]), torch.stack([f, d]), torch.mean(f), torch.cumsum(i, 0), torch.cumsum(bits, 0), torch.prod(i),
    torch.bincount(i), torch.round(f), torch.from_numpy(np.ones(2, np.float32)),
    torch.as_tensor(np.ones(2), dtype=torch.float), i.type(torch.DoubleTensor), f.type_as(i), f.to(torch.int64),
    f.to(d), i.double(), f.long(), f.int(), f.byte(), f.short(), f.bool(), f.type(torch.uint8), torch.gt(f, 1.5),
    torch.abs(-i), torch.asin(f / 4), torch.reshape(i, (3, 1)), f.mul(2), torch.tensor(5) / 2,
    nn.functional.one_hot(i), f.var(unbiased=False), torch.max(i, dim=0)[1], torch.topk(f, k=2, dim=0)[1], f.norm(),
    torch.matmul(f, f, out=torch.zeros(())), torch.add(f, i), torch.mul(f, 2, out=torch.zeros(3)), f.new_zeros(2),
    i.new_ones(1),
]  # fmt: skip
