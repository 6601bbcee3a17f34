"""u'' = -pi² sin(pi x) with u = 0 at both ends: a network whose loss holds its own second derivative."""

import math

import torch
import torch.nn as nn

from given import same_start

torch.set_default_dtype(torch.float64)


class PINN(nn.Module):
    def __init__(self, width=10):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(1, width), nn.Linear(width, width)])
        self.out = nn.Linear(width, 1)
        for layer in [*self.layers, self.out]:
            nn.init.xavier_normal_(layer.weight)

    def forward(self, x):
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.out(x)


net = same_start(PINN())
x = torch.linspace(0, 1, 20, requires_grad=True)
points = x.view(-1, 1)
ends = torch.tensor([[0.0], [1.0]])


def loss_of(net):
    u = net(points)
    du = torch.autograd.grad(u, points, torch.ones_like(u), create_graph=True)[0]
    d2u = torch.autograd.grad(du, points, grad_outputs=torch.ones_like(du), create_graph=True)[0]
    residual = d2u + math.pi**2 * torch.sin(math.pi * points)
    return residual.pow(2).mean() + 10 * net(ends).pow(2).mean()


losses, results = [], []
adam = torch.optim.Adam(net.parameters(), lr=5e-3)
for step in range(10):
    adam.zero_grad()
    loss = loss_of(net)
    loss.backward(retain_graph=True)
    adam.step()
    losses.append(loss.item())
lbfgs = torch.optim.LBFGS(net.parameters(), lr=1, max_iter=10, history_size=5, line_search_fn="strong_wolfe")


def closure():
    lbfgs.zero_grad()
    loss = loss_of(net)
    loss.backward()
    return loss


losses.append(lbfgs.step(closure).item())
losses.append(loss_of(net).item())
results += [net(points), *net.parameters()]

# The Hessian of a loss by a vector, and a penalty on the gradient with respect to the input.
parameters = list(net.parameters())
grads = torch.autograd.grad(loss_of(net), parameters, create_graph=True)
product = sum((g * g.detach()).sum() for g in grads)
results += torch.autograd.grad(product, parameters, allow_unused=True)[:4]
z = torch.tensor([[0.3], [0.6]], requires_grad=True)
(gradient,) = torch.autograd.grad(net(z).sum(), z, create_graph=True)
((gradient.norm(2, dim=1) - 1) ** 2).mean().backward()
results += [z.grad, gradient]
