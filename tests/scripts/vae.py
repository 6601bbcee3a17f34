"""A variational autoencoder; its noise comes with the data, so that two runs see the same."""

import numpy as np
import torch
import torch.nn.functional as F
import torch.utils.data
from torch import nn, optim

from given import drawn_digits, same_start


class VAE(nn.Module):
    def __init__(self):
        super(VAE, self).__init__()
        self.fc1 = nn.Linear(64, 24)
        self.fc21 = nn.Linear(24, 3)
        self.fc22 = nn.Linear(24, 3)
        self.fc3 = nn.Linear(3, 24)
        self.fc4 = nn.Linear(24, 64)

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu, logvar, eps):
        std = torch.exp(0.5 * logvar)
        return mu + eps * std

    def decode(self, z):
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z))))

    def forward(self, x, eps):
        mu, logvar = self.encode(x.view(-1, 64))
        return self.decode(self.reparameterize(mu, logvar, eps)), mu, logvar


def loss_function(recon_x, x, mu, logvar):
    BCE = F.binary_cross_entropy(recon_x, x.view(-1, 64), reduction="sum")
    KLD = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return BCE + KLD


torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(2)
images = torch.from_numpy(drawn_digits(40)[0]).clamp(max=1.0)
noise = torch.from_numpy(rng.standard_normal((40, 3)))
loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(images, noise), batch_size=20)
model = same_start(VAE()).to(torch.device("cpu"))
optimizer = optim.Adam(model.parameters(), lr=1e-2, betas=(0.9, 0.99))
losses, results = [], []
for epoch in range(10):
    model.train()
    train_loss = 0
    for data, eps in loader:
        optimizer.zero_grad()
        recon, mu, logvar = model(data, eps)
        loss = loss_function(recon, data, mu, logvar)
        loss.backward()
        train_loss += loss.item()
        optimizer.step()
    losses.append(train_loss / len(loader.dataset))
with torch.no_grad():
    sample = model.decode(torch.randn(6, 3)).cpu()
    assert sample.size() == (6, 64)
    assert bool((sample > 0).all()) and bool((sample < 1).all())
    results += [model.decode(noise[:4]).view(4, 1, 8, 8), mu]
