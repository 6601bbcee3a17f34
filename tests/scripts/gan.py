"""Two networks against each other: one makes points of a circle out of noise, one tells them from true ones."""

import math

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim

from given import same_start

torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(4)


def weights_init(m):
    classname = m.__class__.__name__
    if classname.find("Linear") != -1:
        m.weight.data.normal_(0.0, 0.02)
    elif classname.find("BatchNorm") != -1:
        nn.init.constant_(m.weight.data, 1.0)
        m.bias.data.fill_(0)


G = nn.Sequential(nn.Linear(2, 16, bias=False), nn.BatchNorm1d(16), nn.LeakyReLU(0.2, inplace=True), nn.Linear(16, 2))
D = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
G.apply(weights_init)
same_start(G), same_start(D, seed=1)
criterion = nn.BCEWithLogitsLoss()
optimizerD = optim.Adam(D.parameters(), lr=0.005, betas=(0.5, 0.999))
optimizerG = optim.Adam(G.parameters(), lr=0.02, betas=(0.5, 0.999))
fixed_noise = torch.from_numpy(rng.standard_normal((40, 2)))
losses, results = [], []
for i in range(30):
    angle = torch.tensor(rng.uniform(0, 2 * math.pi, 40))
    real = torch.stack((2 + torch.cos(angle), torch.sin(angle)), dim=1)
    noise = torch.from_numpy(rng.standard_normal((40, 2)))

    D.zero_grad()
    errD_real = criterion(D(real).view(-1), torch.ones(40))
    errD_real.backward()
    fake = G(noise)
    errD_fake = criterion(D(fake.detach()).view(-1), torch.zeros(40))
    errD_fake.backward()
    optimizerD.step()

    G.zero_grad()
    errG = criterion(D(fake).view(-1), torch.full((40,), 1.0))
    errG.backward()
    optimizerG.step()
    results += [(errD_real + errD_fake).item(), errG.item()]
    with torch.no_grad():
        losses.append((G(fixed_noise).mean(0) - torch.tensor([2.0, 0.0])).norm().item())
results += list(G.state_dict().values())
