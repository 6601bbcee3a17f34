"""Drawn shapes squeezed into a few numbers and drawn again."""

import torch
from torch import nn, optim
from torch.utils.data import DataLoader, Dataset

from given import drawn_digits, same_start


class Shapes(Dataset):
    def __init__(self, count, transform=None):
        self.images, self.labels = drawn_digits(count)
        self.transform = transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, idx):
        image = torch.as_tensor(self.images[idx])
        return (self.transform(image) if self.transform else image), int(self.labels[idx])


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 4, 3, stride=2, padding=1),
            nn.ReLU(True),
            nn.Conv2d(4, 8, 3, stride=2, padding=1),
            nn.ReLU(True),
            nn.MaxPool2d(kernel_size=2, stride=1),
            nn.Flatten(),
        )
        self.decoder = nn.Sequential(
            nn.Unflatten(1, (8, 1, 1)),
            nn.ConvTranspose2d(8, 8, 2),
            nn.Tanh(),
            nn.ConvTranspose2d(8, 4, 3, stride=2, padding=1, output_padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(4, 1, 3, stride=2, padding=1, output_padding=1),
            nn.Sigmoid(),
        )

    def forward(self, x):
        return self.decoder(self.encoder(x))


torch.set_default_dtype(torch.float64)
dataset = Shapes(48, transform=lambda image: image.clamp(0, 1))
dataloader = DataLoader(dataset, batch_size=12, drop_last=True)
model = same_start(Autoencoder())
print(model)
criterion = nn.BCELoss()
optimizer = optim.RMSprop(model.parameters(), lr=2e-3, alpha=0.9)
scheduler = optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.95)
losses, results = [], []
for epoch in range(5):
    for images, _ in dataloader:
        output = model(images)
        loss = criterion(output, images)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    scheduler.step()
    results.append(scheduler.get_last_lr()[0])
results += [output, model.encoder(images)]
