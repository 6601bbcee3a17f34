"""nn.init: what is not drawn, exactly; what is drawn, by its statistics; then a network that starts from it."""

import math

import numpy as np
import torch
import torch.nn as nn

from given import same_start

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
losses, results = [], []
w = torch.empty(6, 4)
results += [nn.init.zeros_(w).clone(), nn.init.ones_(w).clone(), nn.init.constant_(w, 0.3).clone(), nn.init.eye_(w)]
results += [float(nn.init.calculate_gain(name)) for name in ("linear", "relu", "tanh", "sigmoid", "selu", "conv2d")]
results.append(nn.init.calculate_gain("leaky_relu", 0.2))

large = torch.empty(200, 300)
DRAWN = [  # standard deviation, and bound where there is one
    (lambda t: nn.init.uniform_(t, -0.5, 0.5), 1 / math.sqrt(12), 0.5),
    (lambda t: nn.init.normal_(t, mean=0.0, std=0.02), 0.02, math.inf),
    (lambda t: nn.init.trunc_normal_(t, std=1.0, a=-1.0, b=1.0), 0.5396, 1.0),
    (lambda t: nn.init.xavier_uniform_(t, gain=2.0), 2 * math.sqrt(2 / 500), 2 * math.sqrt(6 / 500)),
    (lambda t: nn.init.xavier_normal_(t), math.sqrt(2 / 500), math.inf),
    (lambda t: nn.init.kaiming_uniform_(t, a=math.sqrt(5)), math.sqrt(1 / 900), math.sqrt(1 / 300)),
    (lambda t: nn.init.kaiming_normal_(t, mode="fan_out", nonlinearity="relu"), 0.1, math.inf),
]
for fill, std, bound in DRAWN:
    assert fill(large) is large
    assert abs(large.std().item() / std - 1) < 0.02  # 60000 draws: 0.003 is one standard deviation of it
    assert large.abs().max().item() <= bound
    assert abs(large.mean().item()) < 0.02 * std
nn.init.orthogonal_(large)
assert torch.allclose(large @ large.T, torch.eye(200))

model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))


def init_weights(m):
    if type(m) is nn.Linear:
        nn.init.kaiming_uniform_(m.weight, a=0, mode="fan_in")
        m.bias.data.fill_(0.01)
        results.append(m.bias)


model.apply(init_weights)
same_start(model)
x = torch.from_numpy(np.random.default_rng(27).standard_normal((16, 4)))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
for step in range(8):
    loss = (model(x) - x[:, :1]).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
