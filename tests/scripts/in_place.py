"""Indexing, masks, views and changes in place: on data, on weights, and on tensors of the graph."""

import numpy as np
import torch
from torch import nn

torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(30)
losses, results = [], []

# A least-squares fit by hand whose weights change through views of them.
A, b = torch.from_numpy(rng.standard_normal((12, 4))), torch.from_numpy(rng.standard_normal(12))
w = torch.zeros(4, requires_grad=True)
for step in range(12):
    loss = (A @ w - b).square().mean()
    loss.backward()
    losses.append(loss.item())
    for i in range(4):
        w.data[i] -= 0.1 * w.grad[i]
    with torch.no_grad():
        w[1:3].mul_(0.99)
        w.clamp_(-1, 1)
    w.grad.zero_()
results.append(w)

x = torch.zeros(4, 5)
x[0][1] = 2.0
x[1, :] = torch.arange(5)
x[:, 0] += 1
x[x > 3] = -1.0
x[[2, 3], [4, 4]] = torch.tensor([7.0, 8.0])
x[..., -1] *= 2
x[2:] /= 4
x.view(-1)[5] = 0.5
x[-1].fill_(9)
x.t()[2].add_(0.25)
x.masked_fill_(torch.eye(4, 5).bool(), 3.0)
x.index_fill_(1, torch.tensor([3]), 0.1)
x.narrow(0, 1, 2).neg_()
x.diagonal().zero_()
results += [x.clone(), x[1:, ::2], x[torch.tensor([True, False, True, False])], x[None, 0, :, None].shape == (1, 5, 1)]
y = x.clone()
y.copy_(torch.ones(5)).unsqueeze_(0).squeeze_().transpose_(0, 1)
y.sub_(x.t()).pow_(2).div_(3).sqrt_().exp_().log_().abs_().floor_()
results += [y, x.numpy()[1]]
x.numpy()[0, 0] = 5  # the same memory
results.append(x[0, 0].item())

# What is changed inside of a graph is differentiated as changed.
p = torch.from_numpy(rng.standard_normal((3, 4))).requires_grad_()
q = p * 2
q[0] = p[1] ** 2
q[:, 1] = 0.0
q[q < -1] = 0.5
q[1, 2:] += p[2, 2:]
q += p.exp()
q.add_(p, alpha=0.3).mul_(1.5)
out = torch.zeros(3, 4)
out[:, :2] = q[:, 2:]
out[1] = q.sum(0)
out.scatter_add_(1, torch.tensor([[0, 0, 1], [1, 2, 3], [3, 3, 3]]), q[:, :3])
((out**2).sum() + q.masked_select(q > 1).prod()).backward()
results += [out, q, p.grad]

# Indices that repeat add up; rows are differentiable; lists are indexed by tensors.
table = torch.from_numpy(rng.standard_normal((5, 2))).requires_grad_()
chosen = table[torch.tensor([0, 2, 2, 4, 2])]
rows = torch.stack([row * k for k, row in enumerate(table)])
(chosen.pow(2).sum() + rows.sin().sum() + table[1:4, 0].dot(table[2:, 1])).backward()
results += [table.grad, ["a", "b", "c"][torch.tensor(2)] == "c", int(torch.tensor(3.7)), float(torch.tensor(2))]
counts = torch.zeros(5).index_add_(0, torch.tensor([1, 1, 3]), torch.ones(3))
counts.index_put_((torch.tensor([0, 0]),), torch.tensor(1.0), accumulate=True)
results += [counts, torch.where(counts > 0, counts, -counts - 1), counts.nonzero(), counts.nonzero(as_tuple=True)[0]]

# Embedding rows set and held; a mask that prunes weights and their gradient.
layer = nn.Embedding(4, 3)
layer.weight.data[:] = torch.arange(12.0).view(4, 3) / 10
layer.weight.data[0, :] = 0.0
layer.weight.data += 0.01 * torch.ones(4, 3)
mask = torch.from_numpy(rng.random((4, 3)) > 0.5)
layer.weight.data[~mask] = 0
layer(torch.tensor([1, 1, 3])).exp().sum().backward()
layer.weight.grad *= mask
layer.weight.grad[1] = layer.weight.grad[1].clamp(max=2)
layer.weight.data -= 0.1 * layer.weight.grad
results += [layer.weight, layer.weight.data_ptr() == layer.weight.data.data_ptr()]
