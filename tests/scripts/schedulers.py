"""Every scheduler: the rates it sets, and what is learnt with them."""

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim
from torch.optim import lr_scheduler

from given import same_start

torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(24)
x = torch.from_numpy(rng.standard_normal((16, 3)))
y = x @ torch.tensor([[1.0], [-2.0], [0.5]]) + 0.1


class HalvedEachThird(lr_scheduler.LRScheduler):
    def get_lr(self):
        return [lr * 0.5 ** (self.last_epoch // 3) for lr in self.base_lrs]


CASES = [
    lambda o: lr_scheduler.LambdaLR(o, lr_lambda=[lambda e: 0.9**e, lambda e: 1 / (1 + e)]),
    lambda o: lr_scheduler.MultiplicativeLR(o, lr_lambda=lambda e: 0.95),
    lambda o: lr_scheduler.StepLR(o, step_size=3, gamma=0.5),
    lambda o: lr_scheduler.MultiStepLR(o, milestones=[2, 5, 5], gamma=0.5),
    lambda o: lr_scheduler.ConstantLR(o, factor=0.3, total_iters=3),
    lambda o: lr_scheduler.LinearLR(o, start_factor=0.1, end_factor=0.8, total_iters=4),
    lambda o: lr_scheduler.ExponentialLR(o, gamma=0.8),
    lambda o: lr_scheduler.PolynomialLR(o, total_iters=6, power=2.0),
    lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=5, eta_min=0.001),
    lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, T_0=3, T_mult=2),
    lambda o: lr_scheduler.CyclicLR(o, base_lr=0.01, max_lr=0.1, step_size_up=3, mode="triangular2"),
    lambda o: lr_scheduler.OneCycleLR(o, max_lr=0.1, total_steps=12, pct_start=0.4, anneal_strategy="linear"),
    lambda o: lr_scheduler.OneCycleLR(o, max_lr=[0.1, 0.05], epochs=6, steps_per_epoch=2, three_phase=True),
    lambda o: lr_scheduler.ReduceLROnPlateau(o, mode="min", factor=0.5, patience=0, threshold=0.5, cooldown=1),
    lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.LinearLR(o, 0.1, total_iters=3), lr_scheduler.CosineAnnealingLR(o, 7)], milestones=[3]
    ),
    lambda o: lr_scheduler.ChainedScheduler([lr_scheduler.ConstantLR(o, 0.5, 2), lr_scheduler.ExponentialLR(o, 0.9)]),
    HalvedEachThird,
]

losses, results = [], []
total = torch.zeros(10)
for make in CASES:
    model = same_start(nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1)))
    optimizer = optim.SGD(
        [{"params": model[0].parameters()}, {"params": model[1].parameters(), "lr": 0.02}], lr=0.05, momentum=0.5
    )
    scheduler = make(optimizer)
    for epoch in range(10):
        loss = nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau):
            scheduler.step(loss)
        else:
            scheduler.step()
        total[epoch] += loss.item()
        results += [loss.item(), [group["lr"] for group in optimizer.param_groups], scheduler.get_last_lr()]
    if not isinstance(scheduler, (lr_scheduler.LambdaLR, lr_scheduler.MultiplicativeLR)):
        scheduler.load_state_dict(scheduler.state_dict())
losses += total.tolist()
