"""One trunk, many heads: to each kind of target the loss that suits it, weighed by what the tasks leave unexplained."""

import numpy as np
import torch
import torch.nn as nn

from given import same_start

torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(14)
x = torch.from_numpy(rng.standard_normal((40, 4)))
hidden = x.numpy() @ rng.standard_normal((4, 3))
targets = {
    "value": torch.from_numpy(hidden[:, :1] + 0.1 * rng.standard_normal((40, 1))),
    "count": torch.from_numpy(rng.poisson(np.exp(0.5 * hidden[:, 1:2])).astype(float)),
    "class": torch.from_numpy(hidden.argmax(1)),
    "tags": torch.from_numpy((hidden > 0).astype(float)),
    "spread": torch.from_numpy(hidden[:, 2:] * (1 + rng.random((40, 1)))),
}


class MultiTask(nn.Module):
    def __init__(self, p=0.0):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(4, 10), nn.Mish(), nn.Dropout(p))
        self.heads = nn.ModuleDict({name: nn.Linear(10, n) for name, n in self.sizes().items()})
        self.heads["spread"] = nn.ModuleList([nn.Linear(10, 1), nn.Linear(10, 1)])
        self.log_vars = nn.ParameterDict({name: nn.Parameter(torch.zeros(1)) for name in self.heads})
        self.scales = nn.ParameterList([nn.Parameter(torch.ones(1)) for _ in range(2)])
        self.register_parameter("unused", None)

    @staticmethod
    def sizes():
        return {"value": 1, "count": 1, "class": 3, "tags": 3}

    def forward(self, x):
        h = self.trunk(x)
        for scale in self.scales:
            h = h * scale
        out = {name: head(h) for name, head in self.heads.items() if name != "spread"}
        mean, rest = self.heads["spread"]
        return out, (mean(h), nn.functional.softplus(rest(h)) + 1e-3)


model = same_start(MultiTask())
losses_of = {
    "value": nn.HuberLoss(delta=1.0), "count": nn.PoissonNLLLoss(log_input=True, full=False),
    "class": nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 0.5])), "tags": nn.MultiLabelSoftMarginLoss(),
}  # fmt: skip
gaussian = nn.GaussianNLLLoss()
optimizer = torch.optim.Adam(
    [
        {"params": model.trunk.parameters()},
        {"params": list(model.heads.parameters()) + list(model.scales), "lr": 5e-3},
        {"params": model.log_vars.parameters(), "lr": 1e-2},
    ],
    lr=1e-2,
)
losses, results = [], []
for step in range(20):
    out, (mean, var) = model(x)
    terms = {name: losses_of[name](out[name], targets[name]) for name in losses_of}
    terms["spread"] = gaussian(mean, targets["spread"], var)
    loss = sum(torch.exp(-model.log_vars[k]) * term + model.log_vars[k] for k, term in terms.items()).squeeze()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    results += list(terms.values())
assert len(list(model.children())) == 4 and "unused" not in model.state_dict()
results += [*model.parameters(), len(model.state_dict())]
