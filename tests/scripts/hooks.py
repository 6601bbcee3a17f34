"""Hooks of modules and tensors, gradients retained and handed over, buffers, and how a module is put together."""

import numpy as np
import torch
import torch.nn as nn
from torch.nn.utils import parametrize

from given import same_start

torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(29)
x = torch.from_numpy(rng.standard_normal((10, 4)))
y = torch.from_numpy(rng.standard_normal((10, 2)))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(4, 6)
        self.act = nn.ReLU()
        self.fc2 = nn.Linear(6, 2)
        self.register_buffer("seen", torch.zeros(()))
        self.register_buffer("scratch", torch.ones(2), persistent=False)
        self.scale = nn.Buffer(torch.full((2,), 1.5))

    def forward(self, x):
        if self.training:
            self.seen += len(x)
        return self.fc2(self.act(self.fc1(x))) * self.scale


losses, results = [], []
net = same_start(Net())
activations, seen = {}, []


def keep(name):
    def hook(module, inputs, output):
        activations[name] = output.detach()

    return hook


handles = [module.register_forward_hook(keep(name)) for name, module in net.named_modules() if name]
handles.append(net.fc1.register_forward_pre_hook(lambda module, args: (args[0] * 2,)))
handles.append(net.act.register_full_backward_hook(lambda module, gin, gout: seen.append(gin[0].abs().sum().item())))
handles.append(net.fc2.weight.register_hook(lambda grad: grad * 0.5))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for step in range(8):
    out = net(x)
    hidden = out * 1.0
    hidden.retain_grad()
    hidden.register_hook(lambda g: g.clamp(-0.1, 0.1))
    loss = nn.functional.mse_loss(hidden, y)
    net.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    results += [hidden.grad, seen[-1]]
results += [*activations.values(), *net.state_dict().values(), net.scratch, net.seen]
for handle in handles:
    handle.remove()
net.eval()(x)
assert net.seen.item() == 80 and not net.training
results += [
    [name for name, _ in net.named_buffers()],
    [name for name, _ in net.named_children()],
    list(net.state_dict()),
]
missing, unexpected = net.load_state_dict({"fc1.bias": torch.zeros(6), "other": torch.ones(1)}, strict=False)
results += [sorted(missing), unexpected, net.fc1.bias, repr(net)]
assert net.get_submodule("fc1") is net.fc1 and net.get_parameter("fc2.bias") is net.fc2.bias
assert hasattr(net, "fc1") and "fc1" in dict(net.named_modules())


class Symmetric(nn.Module):
    def forward(self, w):
        return w.triu() + w.triu(1).transpose(-1, -2)


layer = same_start(nn.Linear(4, 4))
parametrize.register_parametrization(layer, "weight", Symmetric())
optimizer = torch.optim.Adam(layer.parameters(), lr=0.05)
for step in range(6):
    with parametrize.cached():
        loss = (layer(layer(x)) - x).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    results.append(loss.item())
assert parametrize.is_parametrized(layer) and torch.equal(layer.weight, layer.weight.T)
parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
results += [layer.weight, list(dict(layer.named_parameters()))]


# A weight shared by two layers, and a scalar gradient handed to backward.
a, b = same_start(nn.Linear(4, 4)), nn.Linear(4, 4, bias=False)
b.weight = a.weight
tied = nn.Sequential(a, nn.Tanh(), b)
assert len(list(tied.parameters())) == 2 and sum(p.nelement() for p in tied.parameters()) == 20
out = tied(x)
out.backward(gradient=torch.ones_like(out), retain_graph=True)
out.backward(torch.ones(10, 4))
results += [a.weight.grad, a.bias.grad]
