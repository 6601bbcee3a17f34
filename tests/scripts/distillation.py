"""A small network taught by a larger one that is held fixed: soft targets at a temperature."""

import copy

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from given import same_start

torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(13)
x = torch.from_numpy(rng.standard_normal((60, 3)))
y = torch.from_numpy(np.digitize(x.numpy()[:, 0] * x.numpy()[:, 1] + x.numpy()[:, 2], [-0.5, 0.5]))
teacher = same_start(nn.Sequential(nn.Linear(3, 24), nn.GELU(), nn.Linear(24, 3)))
student = same_start(nn.Sequential(nn.Linear(3, 6), nn.Hardswish(), nn.Linear(6, 3)), seed=1)
losses, results = [], []
optimizer = torch.optim.Adam(teacher.parameters(), lr=0.05, amsgrad=True)
for epoch in range(15):
    loss = F.cross_entropy(teacher(x), y, weight=torch.tensor([1.0, 0.8, 1.2]), label_smoothing=0.05)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    results.append(loss.item())

teacher.requires_grad_(False).eval()
kept = copy.deepcopy(teacher)
T = 3.0
divergence = nn.KLDivLoss(reduction="batchmean")
optimizer = torch.optim.SGD(student.parameters(), lr=0.1, momentum=0.9, dampening=0.1)
cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20, eta_min=1e-3)
for epoch in range(20):
    logits, soft = student(x), F.softmax(teacher(x) / T, dim=1)
    distilled = divergence(F.log_softmax(logits / T, dim=1), soft) * T * T
    same = F.kl_div(
        F.log_softmax(logits / T, 1), F.log_softmax(teacher(x) / T, 1), reduction="batchmean", log_target=True
    )
    loss = 0.7 * (distilled + same) / 2 + 0.3 * F.cross_entropy(logits, y) + F.cross_entropy(logits, soft) / 10
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    cosine.step()
    losses.append(loss.item())
assert all(torch.equal(p, q) for p, q in zip(teacher.parameters(), kept.parameters()))
results += [*student.parameters(), (student(x).argmax(1) == y).sum()]
