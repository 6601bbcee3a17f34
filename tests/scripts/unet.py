"""Which pixels belong to a shape: a U-shaped network that goes down by pooling and up by two ways."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from given import same_start


class DoubleConv(nn.Sequential):
    def __init__(self, cin, cout):
        super().__init__(
            nn.Conv2d(cin, cout, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(cout),
            nn.ReLU(inplace=True),
            nn.Conv2d(cout, cout, 3, padding="same"),
            nn.GroupNorm(2, cout),
            nn.SiLU(),
        )


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.inc = DoubleConv(1, 4)
        self.down1 = nn.Sequential(nn.MaxPool2d(2), DoubleConv(4, 8))
        self.down2 = nn.Sequential(nn.MaxPool2d(2), DoubleConv(8, 8))
        self.up1 = nn.Upsample(scale_factor=2, mode="nearest")
        self.conv1 = DoubleConv(16, 4)
        self.up2 = nn.ConvTranspose2d(4, 4, kernel_size=2, stride=2)
        self.conv2 = DoubleConv(8, 4)
        self.outc = nn.Conv2d(4, 1, kernel_size=1)

    def forward(self, x):
        x1 = self.inc(x)
        x2 = self.down1(x1)
        x3 = self.down2(x2)
        x = self.up1(x3)
        x = F.pad(x, [0, x2.size(3) - x.size(3), 0, x2.size(2) - x.size(2)])
        x = self.conv1(torch.cat([x2, x], dim=1))
        x = self.up2(x)
        x = F.pad(x, (0, x1.size(3) - x.size(3), 0, x1.size(2) - x.size(2)))
        return self.outc(self.conv2(torch.cat([x1, x], dim=1)))


def dice_loss(logits, target, eps=1e-6):
    p = logits.sigmoid()
    overlap = (p * target).sum(dim=(1, 2, 3))
    return (1 - (2 * overlap + eps) / (p.sum((1, 2, 3)) + target.sum((1, 2, 3)) + eps)).mean()


torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(8)
ij = np.stack(np.meshgrid(range(9), range(9), indexing="ij"))
centers = rng.uniform(2, 7, (6, 2, 1, 1))
masks = torch.from_numpy(((ij - centers) ** 2).sum(1) < 6).unsqueeze(1).double()
images = masks * 0.8 + torch.from_numpy(rng.normal(0, 0.2, (6, 1, 9, 9)))
model = same_start(UNet())
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3, weight_decay=1e-8, momentum=0.9)
plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, "max", patience=1)
losses, results = [], []
for epoch in range(8):
    logits = model(images)
    loss = F.binary_cross_entropy_with_logits(logits, masks, pos_weight=torch.tensor([2.0])) + dice_loss(logits, masks)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_value_(model.parameters(), 0.5)
    optimizer.step()
    losses.append(loss.item())
    predicted = logits > 0
    iou = (predicted & masks.bool()).sum() / (predicted | masks.bool()).sum().clamp(min=1)
    plateau.step(iou)
    results += [iou, optimizer.param_groups[0]["lr"]]
results += list(model.state_dict().values())
