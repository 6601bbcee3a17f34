"""Points of three classes pulled together and pushed apart: pairs, triplets, rankings."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from given import same_start

torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(5)
centers = rng.standard_normal((3, 4))
label = torch.arange(3).repeat_interleave(8)
x = torch.from_numpy(centers[label.numpy()] + 0.4 * rng.standard_normal((24, 4)))
positive = torch.from_numpy(np.arange(24).reshape(3, 8)[:, ::-1].ravel().copy())
negative = (positive + 8) % 24


class ContrastiveLoss(nn.Module):
    def __init__(self, margin=1.0):
        super().__init__()
        self.margin = margin

    def forward(self, output1, output2, differ):
        distance = F.pairwise_distance(output1, output2, keepdim=True)
        return torch.mean((1 - differ) * torch.pow(distance, 2)
                          + differ * torch.pow(torch.clamp(self.margin - distance, min=0.0), 2))  # fmt: skip


def embed(network, *parts):
    return [F.normalize(network(x[p]), dim=1) for p in parts]


anchor = torch.arange(24)
y = torch.cat((torch.ones(24), -torch.ones(24)))


def objectives(network):
    a, p, n = embed(network, anchor, positive, negative)
    both = torch.cat((p, n))
    yield nn.TripletMarginLoss(margin=0.5, p=2)(a, p, n)
    yield nn.TripletMarginLoss(margin=0.7, swap=True, reduction="sum")(a, p, n) / 24
    yield nn.CosineEmbeddingLoss(margin=0.1)(a.repeat(2, 1), both, y)
    yield nn.MarginRankingLoss(margin=0.3)(F.cosine_similarity(a, p), F.cosine_similarity(a, n), torch.ones(24))
    yield nn.HingeEmbeddingLoss(margin=1.5)((a.repeat(2, 1) - both).abs().sum(1), y)
    yield ContrastiveLoss(1.2)(a.repeat(2, 1), both, (y.unsqueeze(1) < 0).double())
    yield 0.05 * (a @ a.T / 0.5).logsumexp(dim=1).mean()


network = same_start(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)))
optimizer = torch.optim.AdamW(network.parameters(), lr=0.02, betas=(0.9, 0.99), eps=1e-8, weight_decay=0.01)
losses, results = [], []
for step in range(20):
    terms = list(objectives(network))
    loss = sum(terms)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    results += terms
with torch.no_grad():
    z = network(x)
    nearest = torch.cdist(z, z).fill_diagonal_(float("inf")).argmin(dim=1)
    results += [z, (label[nearest] == label).double().mean()]
