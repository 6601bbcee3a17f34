"""A cubic fitted to a sine: by hand, with autograd, with a Function of one's own, and with nn and optim."""

import math

import numpy as np
import torch

from given import same_start

torch.set_default_dtype(torch.float64)
dtype, device = torch.double, torch.device("cpu")
x = torch.linspace(-math.pi, math.pi, 200, device=device, dtype=dtype)
y = torch.sin(x)
start = np.random.default_rng(0).standard_normal(4)
losses, results = [], []

# The gradients written out.
a, b, c, d = (torch.tensor(s) for s in start)
for t in range(15):
    y_pred = a + b * x + c * x**2 + d * x**3
    losses.append((y_pred - y).pow(2).sum().item())
    grad_y_pred = 2.0 * (y_pred - y)
    a -= 1e-6 * grad_y_pred.sum()
    b -= 1e-6 * (grad_y_pred * x).sum()
    c -= 1e-6 * (grad_y_pred * x**2).sum()
    d -= 1e-6 * (grad_y_pred * x**3).sum()
results += [a, b, c, d]

# With autograd.
a, b, c, d = (torch.tensor(s, dtype=dtype, requires_grad=True) for s in start)
for t in range(15):
    loss = (a + b * x + c * x**2 + d * x**3 - y).pow(2).sum()
    loss.backward()
    results.append(loss.item())
    with torch.no_grad():
        for p in (a, b, c, d):
            p -= 1e-6 * p.grad
            p.grad = None
results += [a, b, c, d]


class LegendrePolynomial3(torch.autograd.Function):
    """P3(x) = (5x³ - 3x) / 2."""

    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        return 0.5 * (5 * input**3 - 3 * input)

    @staticmethod
    def backward(ctx, grad_output):
        (input,) = ctx.saved_tensors
        return grad_output * 1.5 * (5 * input**2 - 1)


a = torch.full((), 0.0, device=device, dtype=dtype, requires_grad=True)
b = torch.full((), -1.0, device=device, dtype=dtype, requires_grad=True)
c = torch.full((), 0.0, device=device, dtype=dtype, requires_grad=True)
d = torch.full((), 0.3, device=device, dtype=dtype, requires_grad=True)
P3 = LegendrePolynomial3.apply
for t in range(15):
    loss = (a + b * P3(c + d * x) - y).pow(2).sum()
    results.append(loss.item())
    loss.backward()
    with torch.no_grad():
        for p in (a, b, c, d):
            p -= 5e-6 * p.grad
            p.grad.zero_()
results += [a, b, c, d]

# nn, without and with an optimiser.
p = torch.tensor([1, 2, 3])
xx = x.unsqueeze(-1).pow(p)
model = same_start(torch.nn.Sequential(torch.nn.Linear(3, 1), torch.nn.Flatten(0, 1)))
loss_fn = torch.nn.MSELoss(reduction="sum")
for t in range(10):
    loss = loss_fn(model(xx), y)
    results.append(loss.item())
    model.zero_grad()
    loss.backward()
    with torch.no_grad():
        for param in model.parameters():
            param -= 1e-6 * param.grad
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
for t in range(10):
    loss = loss_fn(model(xx), y)
    results.append(loss.item())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
linear = model[0]
results += [linear.bias.item(), linear.weight[:, 0].item()]


class DynamicNet(torch.nn.Module):
    """Powers four and five, of the same weight, are there in some passes and not in others."""

    def __init__(self):
        super().__init__()
        self.a = torch.nn.Parameter(torch.tensor(start[0]))
        self.b = torch.nn.Parameter(torch.tensor(start[1]))
        self.c = torch.nn.Parameter(torch.tensor(start[2]))
        self.d = torch.nn.Parameter(torch.tensor(start[3]))
        self.e = torch.nn.Parameter(torch.zeros(()))

    def forward(self, x, highest):
        y = self.a + self.b * x + self.c * x**2 + self.d * x**3
        for exp in range(4, highest):
            y = y + self.e * x**exp
        return y

    def string(self):
        return f"y = {self.a.item()} + {self.b.item()} x + {self.c.item()} x^2 + {self.e.item()} x^4 ? + x^5 ?"


model = DynamicNet()
optimizer = torch.optim.SGD(model.parameters(), lr=1e-8, momentum=0.9)
for t in range(15):
    loss = loss_fn(model(x, 4 + t % 3), y)
    results.append(loss.item())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(model.string())
results += list(model.parameters())
