"""Every loss, with every reduction, as the objective of a linear model."""

import numpy as np
import torch
import torch.nn as nn

from given import same_start

torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(21)
x = torch.from_numpy(rng.standard_normal((12, 5)))
y = torch.from_numpy(rng.standard_normal((12, 4)))
label = torch.from_numpy(rng.integers(0, 4, 12))
probability = torch.from_numpy(rng.random((12, 4)))
soft = probability / probability.sum(1, keepdim=True)
sign = torch.sign(y)
weight = torch.tensor([0.5, 1.0, 2.0, 1.5])

CASES = [
    (nn.MSELoss, {}, lambda f, z: f(z, y)),
    (nn.L1Loss, {}, lambda f, z: f(z, y)),
    (nn.SmoothL1Loss, {"beta": 0.7}, lambda f, z: f(z, y)),
    (nn.HuberLoss, {"delta": 0.7}, lambda f, z: f(z, y)),
    (nn.CrossEntropyLoss, {"weight": weight, "ignore_index": 2, "label_smoothing": 0.1}, lambda f, z: f(z, label)),
    (nn.CrossEntropyLoss, {}, lambda f, z: f(z, soft)),
    (nn.NLLLoss, {"weight": weight}, lambda f, z: f(z.log_softmax(-1), label)),
    (nn.BCELoss, {"weight": weight}, lambda f, z: f(z.sigmoid(), probability)),
    (nn.BCEWithLogitsLoss, {"pos_weight": weight}, lambda f, z: f(z, probability)),
    (nn.KLDivLoss, {}, lambda f, z: f(z.log_softmax(-1), soft)),
    (nn.KLDivLoss, {"log_target": True}, lambda f, z: f(z.log_softmax(-1), soft.log())),
    (nn.PoissonNLLLoss, {"full": True}, lambda f, z: f(z, label.unsqueeze(1).expand(12, 4).double())),
    (nn.PoissonNLLLoss, {"log_input": False}, lambda f, z: f(z.exp(), probability)),
    (nn.GaussianNLLLoss, {"full": True}, lambda f, z: f(z, y, probability + 0.1)),
    (nn.HingeEmbeddingLoss, {"margin": 2.0}, lambda f, z: f(z.abs(), sign)),
    (nn.SoftMarginLoss, {}, lambda f, z: f(z, sign)),
    (nn.CosineEmbeddingLoss, {"margin": 0.2}, lambda f, z: f(z, y, sign[:, 0])),
    (nn.MarginRankingLoss, {"margin": 0.5}, lambda f, z: f(z, y, sign)),
    (nn.TripletMarginLoss, {"p": 1, "eps": 1e-7}, lambda f, z: f(z, y, -y)),
    (nn.MultiMarginLoss, {"p": 2, "margin": 0.8, "weight": weight}, lambda f, z: f(z, label)),
    (nn.MultiLabelSoftMarginLoss, {"weight": weight}, lambda f, z: f(z, (probability > 0.5).double())),
]

losses, results = [], []
total = torch.zeros(8)
for kind, options, objective in CASES:
    for reduction in ("mean", "sum", "none"):
        model = same_start(nn.Linear(5, 4))
        criterion = kind(reduction=reduction, **options)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05 if reduction == "mean" else 0.002)
        for step in range(8):
            loss = objective(criterion, model(x))
            optimizer.zero_grad()
            loss.sum().backward()
            optimizer.step()
            results.append(loss)
            total[step] += loss.sum().item()
        results.append(model.weight)
losses += total.tolist()

# Old spellings of the reduction.
z = same_start(nn.Linear(5, 4))(x)
results += [
    nn.functional.nll_loss(z.log_softmax(1), label, size_average=False),
    nn.functional.binary_cross_entropy(z.sigmoid(), probability, size_average=True),
    nn.functional.nll_loss(z.log_softmax(1), label, reduction="none"),
]
