"""Logistic and softmax regression without nn, and a network of two layers by matrix products alone."""

import numpy as np
import torch
from torch import FloatTensor, LongTensor
from torch.autograd import Variable

torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(3)
points = rng.standard_normal((80, 2))
labels = (points[:, 0] + 2 * points[:, 1] > 0.3).astype(np.int64)
x = torch.from_numpy(points)
y = torch.from_numpy(labels).double()

w = torch.zeros(2, requires_grad=True)
b = torch.zeros(1, requires_grad=True)
losses, results = [], []
for step in range(20):
    p = torch.sigmoid(torch.matmul(x, w) + b)
    loss = -torch.mean(y * torch.log(p) + (1 - y) * torch.log(1 - p))
    loss.backward()
    losses.append(loss.item())
    w.data -= 0.5 * w.grad.data
    b.data -= 0.5 * b.grad.data
    w.grad.data.zero_()
    b.grad.data.zero_()
correct = ((p > 0.5).byte() == y.byte()).sum().item()
results += [w, b, correct / len(y)]

# Softmax regression: the loss picks the label's logarithm by an index.
target = LongTensor(labels.tolist())
W = Variable(torch.from_numpy(rng.standard_normal((2, 2))), requires_grad=True)
for step in range(15):
    logits = x @ W
    log_p = logits - torch.logsumexp(logits, dim=1, keepdim=True)
    loss = -log_p[torch.arange(len(target)), target].mean() + 0.01 * (W**2).sum()
    W.grad = None
    loss.backward()
    W.data += -0.3 * W.grad
    results.append(loss.item())
hits = log_p.max(1)[1].eq(target).float().mean()
results += [W, hits.double()]

# Two layers, the gradients by hand.
w1 = torch.from_numpy(rng.standard_normal((2, 6)))
w2 = torch.from_numpy(rng.standard_normal((6, 1)))
for t in range(15):
    h = x.mm(w1)
    h_relu = h.clamp(min=0)
    y_pred = h_relu.mm(w2)
    diff = y_pred - y.view(-1, 1)
    results.append(diff.pow(2).sum().item())
    grad_y = 2.0 * diff
    grad_w2 = h_relu.t().mm(grad_y)
    grad_h = grad_y.mm(w2.t()).clone()
    grad_h[h < 0] = 0
    grad_w1 = x.t().mm(grad_h)
    w1 -= 1e-4 * grad_w1
    w2 -= 1e-4 * grad_w2
results += [w1, w2, FloatTensor([0.5, 1.5]).double()]

# tanh units, the bias a column of ones; the update goes through a view of all the weights.
W = torch.from_numpy(rng.standard_normal((3, 1))).requires_grad_()
ones = torch.ones(len(x), 1, dtype=torch.float64)
design = torch.cat((x, ones), dim=1)
for t in range(10):
    error = torch.tanh(design.matmul(W)) - (2 * y - 1).unsqueeze(1)
    loss = torch.sum(torch.pow(error, 2)) / error.size(0)
    (grad,) = torch.autograd.grad(loss, [W])
    W.data.view(-1).add_(grad.reshape(-1), alpha=-0.2)
    results.append(loss.item())
