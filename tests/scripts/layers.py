"""Every layer once more: one at a time in a small network that learns to tell its input's mean."""

import numpy as np
import torch
import torch.nn as nn

from given import same_start

torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(20)
line, image, volume = (6, 4, 8), (6, 4, 8, 8), (4, 4, 4, 4, 4)

CASES = [
    (nn.Identity, (6, 4), lambda: nn.Identity(54, unused=1)),
    (nn.Flatten, image, lambda: nn.Flatten(start_dim=2)),
    (nn.Unflatten, (6, 4), lambda: nn.Unflatten(1, (2, 2))),
    (nn.Conv1d, line, lambda: nn.Conv1d(in_channels=4, out_channels=6, kernel_size=3, stride=2, dilation=2, groups=2)),
    (nn.Conv1d, line, lambda: nn.Conv1d(4, 3, 3, padding=2, padding_mode="circular")),
    (nn.Conv2d, image, lambda: nn.Conv2d(4, 4, (3, 2), stride=(1, 2), padding=(1, 0), groups=4)),
    (nn.Conv2d, image, lambda: nn.Conv2d(4, 2, 3, padding=1, padding_mode="reflect", bias=False)),
    (nn.Conv2d, image, lambda: nn.Conv2d(4, 2, 3, padding="valid", dilation=2)),
    (nn.Conv3d, volume, lambda: nn.Conv3d(4, 3, 2, stride=2, padding=1)),
    (nn.ConvTranspose1d, line, lambda: nn.ConvTranspose1d(4, 4, 3, stride=2, padding=1, groups=2)),
    (nn.ConvTranspose2d, image, lambda: nn.ConvTranspose2d(4, 2, 3, stride=2, output_padding=1, dilation=2)),
    (nn.ConvTranspose3d, volume, lambda: nn.ConvTranspose3d(4, 2, 2, stride=2, bias=False)),
    (nn.MaxPool1d, line, lambda: nn.MaxPool1d(3, stride=2, padding=1)),
    (nn.MaxPool2d, image, lambda: nn.MaxPool2d(kernel_size=3, stride=2, dilation=2, ceil_mode=True)),
    (nn.MaxPool3d, volume, lambda: nn.MaxPool3d((2, 2, 1))),
    (nn.AvgPool1d, line, lambda: nn.AvgPool1d(3, padding=1, count_include_pad=False)),
    (nn.AvgPool2d, image, lambda: nn.AvgPool2d(3, stride=2, padding=1, ceil_mode=True)),
    (nn.AvgPool3d, volume, lambda: nn.AvgPool3d(2, divisor_override=3)),
    (nn.AdaptiveAvgPool1d, line, lambda: nn.AdaptiveAvgPool1d(3)),
    (nn.AdaptiveAvgPool2d, image, lambda: nn.AdaptiveAvgPool2d((3, None))),
    (nn.AdaptiveAvgPool3d, volume, lambda: nn.AdaptiveAvgPool3d((2, 1, 3))),
    (nn.AdaptiveMaxPool1d, line, lambda: nn.AdaptiveMaxPool1d(3)),
    (nn.AdaptiveMaxPool2d, image, lambda: nn.AdaptiveMaxPool2d((2, 3))),
    (nn.Upsample, image, lambda: nn.Upsample(size=(11, 12))),
    (nn.Upsample, line, lambda: nn.Upsample(scale_factor=2)),
    (nn.BatchNorm1d, line, lambda: nn.BatchNorm1d(4, momentum=None)),
    (nn.BatchNorm1d, (6, 4), lambda: nn.BatchNorm1d(num_features=4, eps=1e-3, affine=False)),
    (nn.BatchNorm2d, image, lambda: nn.BatchNorm2d(4, momentum=0.3, track_running_stats=False)),
    (nn.BatchNorm3d, volume, lambda: nn.BatchNorm3d(4)),
    (nn.LayerNorm, image, lambda: nn.LayerNorm([8, 8], eps=1e-6)),
    (nn.LayerNorm, line, lambda: nn.LayerNorm(8, elementwise_affine=False)),
    (nn.GroupNorm, image, lambda: nn.GroupNorm(num_groups=2, num_channels=4)),
    (nn.InstanceNorm1d, line, lambda: nn.InstanceNorm1d(4, affine=True)),
    (nn.InstanceNorm2d, image, lambda: nn.InstanceNorm2d(4, track_running_stats=True)),
    (nn.InstanceNorm3d, volume, lambda: nn.InstanceNorm3d(4)),
    (nn.RMSNorm, line, lambda: nn.RMSNorm(8, eps=1e-5)),
    (nn.Dropout, line, lambda: nn.Dropout(p=0.0)),
    (nn.Dropout1d, line, lambda: nn.Dropout1d(0.0)),
    (nn.Dropout2d, image, lambda: nn.Dropout2d(p=0.0, inplace=True)),
    (nn.Dropout3d, volume, lambda: nn.Dropout3d(0.0)),
    (nn.DataParallel, line, lambda: nn.DataParallel(nn.Linear(8, 3))),
]


class Pair(nn.Module):
    """Bilinear takes two inputs."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Bilinear(4, 4, 3)

    def forward(self, x):
        return self.mix(x, torch.tanh(x))


CASES += [(nn.Bilinear, (6, 4), Pair)]

losses, results = [], []
total = torch.zeros(6)
for kind, shape, make in CASES:
    layer = make()
    x = torch.from_numpy(rng.standard_normal(shape))
    target = x.flatten(1).mean(1, keepdim=True)
    before = same_start(nn.Linear(shape[-1], shape[-1]))
    features = layer(before(x)).flatten(1).size(1)
    net = same_start(nn.Sequential(before, layer, nn.Flatten(), nn.Linear(features, 1)), seed=len(results))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.002)
    for step in range(6):
        loss = nn.functional.mse_loss(net(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total[step] += loss.item()
        results.append(loss.item())
    net.eval()
    results += [net(x), *net.state_dict().values(), repr(layer)]
    assert isinstance(layer, kind) or kind is nn.Bilinear
losses += total.tolist()

pool = nn.MaxPool2d(2, return_indices=True)
values, indices = pool(torch.from_numpy(rng.standard_normal((2, 3, 4, 4))))
results += [values, indices]
