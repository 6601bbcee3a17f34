"""Every activation: in a small network, on its own at the kinks, and in place."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from given import same_start

torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(22)
x = torch.from_numpy(rng.standard_normal((20, 3)))
y = (x[:, :1] * x[:, 1:2]).tanh()
ACTIVATIONS = [
    nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(0.1), nn.PReLU(), nn.PReLU(8, init=0.1), nn.ELU(alpha=0.7), nn.SELU(),
    nn.CELU(1.3), nn.GELU(), nn.GELU(approximate="tanh"), nn.SiLU(), nn.Mish(), nn.Sigmoid(), nn.LogSigmoid(),
    nn.Tanh(), nn.Softplus(beta=2, threshold=5), nn.Softsign(), nn.Tanhshrink(), nn.Softshrink(0.1),
    nn.Hardshrink(0.2), nn.Hardtanh(-0.5, 0.8), nn.Hardswish(), nn.Threshold(0.1, -0.2), nn.Softmax(dim=1),
    nn.LogSoftmax(dim=-1), nn.Softmin(dim=1), nn.GLU(dim=-1),
]  # fmt: skip
points = torch.tensor([-7.0, -3.0, -1.0, -0.5, -0.1, 0.0, 0.1, 0.5, 1.0, 3.0, 6.0, 7.0])

losses, results = [], []
total = torch.zeros(8)
for activation in ACTIVATIONS:
    width = 4 if isinstance(activation, nn.GLU) else 8
    net = same_start(nn.Sequential(nn.Linear(3, 8), activation, nn.Linear(width, 1)))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    for step in range(8):
        loss = F.mse_loss(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total[step] += loss.item()
        results.append(loss.item())
    at = points.reshape(2, 6).clone().requires_grad_() if width == 4 else points.repeat(8, 1).T.clone().requires_grad_()
    activation(at).pow(2).sum().backward()
    results.append(at.grad)
losses += total.tolist()

# As functions, and the ones that write into what they are given.
at = points.clone().requires_grad_()
out = [
    F.relu(at), F.relu6(at), F.leaky_relu(at, 0.2), F.prelu(at, torch.tensor([0.3])), F.elu(at), F.selu(at),
    F.celu(at), F.gelu(at), F.silu(at), F.mish(at), F.sigmoid(at), F.logsigmoid(at), F.tanh(at), F.softplus(at),
    F.softsign(at), F.tanhshrink(at), F.softshrink(at), F.hardshrink(at), F.hardtanh(at), F.hardswish(at),
    F.threshold(at, 0.5, 0.0), F.glu(at), F.softmax(at, dim=0), F.log_softmax(at, dim=0), F.softmin(at, dim=0),
    torch.relu(at), torch.sigmoid(at), torch.tanh(at), torch.softmax(at, 0), at.relu(), at.sigmoid(), at.tanh(),
    F.relu_(at * 1), F.leaky_relu_(at * 1, 0.1), F.elu_(at * 1), F.selu_(at * 1), F.celu_(at * 1), F.hardtanh_(at * 1),
    F.threshold_(at * 1, 0.2, 0.1), (at * 1).relu_(), (at * 1).sigmoid_(), (at * 1).tanh_(), torch.selu(at),
    torch.celu(at), torch.threshold(at, 0.0, 1.0), torch.prelu(at, torch.tensor([0.1])),
]  # fmt: skip
sum(o.pow(2).sum() for o in out).backward()
results += [*out, at.grad]
