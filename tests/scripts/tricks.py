"""What long trainings need: accumulation, averaged weights, groups added on the way, a checkpoint resumed."""

import os
import tempfile

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim

from given import same_start

torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(15)
x = torch.from_numpy(rng.standard_normal((32, 5)))
y = (x[:, :2] * x[:, 1:3]).sum(1, keepdim=True)


class EMA:
    def __init__(self, model, decay):
        self.decay = decay
        self.shadow = {name: p.data.clone() for name, p in model.named_parameters()}

    def update(self, model):
        for name, p in model.named_parameters():
            self.shadow[name].mul_(self.decay).add_((1 - self.decay) * p.data)

    def apply(self, model):
        self.backup = {name: p.data for name, p in model.named_parameters()}
        for name, p in model.named_parameters():
            p.data = self.shadow[name]

    def restore(self, model):
        for name, p in model.named_parameters():
            p.data = self.backup[name]


def build():
    model = nn.Sequential(nn.Linear(5, 12), nn.Tanh(), nn.BatchNorm1d(12, momentum=0.2), nn.Linear(12, 1))
    optimizer = optim.SGD(model[3].parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)
    scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=4, gamma=0.8)
    return same_start(model), optimizer, scheduler


def train(model, optimizer, scheduler, epochs, accumulate=4):
    for epoch in epochs:
        optimizer.zero_grad()
        for i, (a, b) in enumerate(zip(x.chunk(8), y.chunk(8))):
            loss = nn.functional.mse_loss(model(a), b) / accumulate
            loss.backward()
            if (i + 1) % accumulate == 0:
                optimizer.step()
                ema.update(model)
                optimizer.zero_grad()
            losses.append(loss.item() * accumulate)
        scheduler.step()


losses, results = [], []
model, optimizer, scheduler = build()
for p in model[0].parameters():
    p.requires_grad = False
ema = EMA(model, 0.9)
train(model, optimizer, scheduler, range(3))
assert model[0].weight.grad is None
model[0].requires_grad_(True)  # the frozen part thaws, at a rate of its own
optimizer.add_param_group({"params": model[0].parameters(), "lr": 0.02})
train(model, optimizer, optim.lr_scheduler.StepLR(optimizer, 2, gamma=0.9), range(3, 6))

path = os.path.join(tempfile.mkdtemp(), "checkpoint.pt")
scheduler = optim.lr_scheduler.ExponentialLR(optimizer, 0.95)
state = {
    "epoch": 6, "model": model.state_dict(), "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict(),
    "losses": losses[:], "note": "halfway",
}  # fmt: skip
torch.save(state, path)
train(model, optimizer, scheduler, range(6, 9))
straight, finished = losses[len(state["losses"]) :], [p.detach().clone() for p in model.parameters()]

# The same again from the file: the same losses to the last bit.
checkpoint = torch.load(path, map_location=torch.device("cpu"), weights_only=True)
resumed, optimizer, _ = build()
resumed.load_state_dict(checkpoint["model"], strict=True)
optimizer.add_param_group({"params": resumed[0].parameters(), "lr": 1.0})
optimizer.load_state_dict(checkpoint["optimizer"])
scheduler = optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
scheduler.load_state_dict(checkpoint["scheduler"])
start = len(losses)
train(resumed, optimizer, scheduler, range(checkpoint["epoch"], 9))
assert losses[start:] == straight
assert all(torch.equal(p, q) for p, q in zip(resumed.parameters(), finished))
os.remove(path)

ema.apply(resumed)
resumed.eval()
with torch.no_grad():
    results.append(nn.functional.mse_loss(resumed(x), y).item())
ema.restore(resumed)
results += [*resumed.state_dict().values(), *ema.shadow.values(), [g["lr"] for g in optimizer.param_groups]]

# Weights as one vector; the gradient clipped in each of PyTorch's ways; a gradient handed over.
vector = nn.utils.parameters_to_vector(resumed.parameters())
nn.utils.vector_to_parameters(0.5 * vector, resumed.parameters())
nn.functional.mse_loss(resumed(x), y, reduction="sum").backward()
grads = [p.grad for p in resumed.parameters()]
norm = nn.utils.get_total_norm(grads)
nn.utils.clip_grads_with_norm_(resumed.parameters(), max_norm=2.0, total_norm=norm)
nn.utils.clip_grad_norm_(resumed.parameters(), 1.0, norm_type=1)
results += [vector, norm, *[p.grad for p in resumed.parameters()]]
resumed[3].weight.grad = torch.ones_like(resumed[3].weight)
optimizer.step()
results += [resumed[3].weight, resumed(x).T]
