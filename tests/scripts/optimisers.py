"""Every optimiser, with its options, from the same start on the same small network."""

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim

from given import same_start

torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(23)
x = torch.from_numpy(rng.standard_normal((24, 3)))
y = torch.sin(x.sum(1, keepdim=True))

CASES = [
    (optim.SGD, {"lr": 0.1}),
    (optim.SGD, {"lr": 0.05, "momentum": 0.9, "dampening": 0.2, "weight_decay": 0.01}),
    (optim.SGD, {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    (optim.SGD, {"lr": 0.05, "maximize": True}),
    (optim.ASGD, {"lr": 0.05, "t0": 3, "lambd": 1e-3}),
    (optim.Rprop, {"lr": 0.01, "etas": (0.5, 1.2), "step_sizes": (1e-6, 0.1)}),
    (optim.Adam, {"lr": 0.02, "weight_decay": 0.01}),
    (optim.Adam, {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-6, "amsgrad": True}),
    (optim.AdamW, {"lr": 0.02, "betas": (0.9, 0.95), "weight_decay": 0.1}),
    (optim.AdamW, {"lr": 0.02, "amsgrad": True}),
    (optim.Adamax, {"lr": 0.02, "weight_decay": 0.01}),
    (optim.NAdam, {"lr": 0.02, "momentum_decay": 1e-3, "decoupled_weight_decay": True, "weight_decay": 0.01}),
    (optim.RAdam, {"lr": 0.02, "weight_decay": 0.01}),
    (optim.Adagrad, {"lr": 0.05, "lr_decay": 0.01, "initial_accumulator_value": 0.1, "weight_decay": 0.01}),
    (optim.RMSprop, {"lr": 0.01}),
    (optim.RMSprop, {"lr": 0.01, "alpha": 0.9, "momentum": 0.5, "centered": True, "weight_decay": 0.01}),
    (optim.Adadelta, {"lr": 1.0, "rho": 0.8, "weight_decay": 0.01}),
    (optim.LBFGS, {"lr": 0.3, "max_iter": 3}),
    (optim.LBFGS, {"max_iter": 3, "line_search_fn": "strong_wolfe", "history_size": 4}),
]

losses, results = [], []
total = torch.zeros(12)
for kind, options in CASES:
    model = same_start(nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 1)))
    optimizer = kind(model.parameters(), **options)
    assert isinstance(optimizer, optim.Optimizer)

    def closure(model=model, optimizer=optimizer):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        return loss

    for step in range(12):
        loss = optimizer.step(closure)
        results.append(loss.item())
        if not options.get("maximize"):
            total[step] += loss.item()
    results += [*model.parameters()]
    saved = optimizer.state_dict()
    results += [sorted(saved), len(saved["param_groups"])]
    if kind is not optim.LBFGS:
        results += [sorted(state) for state in saved["state"].values()]
losses += total.tolist()


class Momentum(optim.Optimizer):
    """An optimiser of one's own: groups, options, state by parameter."""

    def __init__(self, params, lr=0.1, beta=0.9):
        super().__init__(params, {"lr": lr, "beta": beta})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if "velocity" not in state:
                    state["velocity"] = torch.zeros_like(p)
                state["velocity"].mul_(group["beta"]).add_(p.grad)
                p.add_(state["velocity"], alpha=-group["lr"])


model = same_start(nn.Linear(3, 1))
optimizer = Momentum([{"params": [model.weight]}, {"params": [model.bias], "lr": 0.01}], lr=0.05)
for _ in range(6):
    loss = nn.functional.mse_loss(model(x), y)
    optimizer.zero_grad(set_to_none=False)
    loss.backward()
    optimizer.step()
    results += [loss.item(), model.weight]
