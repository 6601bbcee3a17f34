"""A convolutional network that tells drawn shapes apart, in the manner of the MNIST example."""

import argparse
import io

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, TensorDataset

from given import drawn_digits, same_start


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, 1)
        self.conv2 = nn.Conv2d(in_channels=4, out_channels=6, kernel_size=3, stride=1, padding=1, bias=True)
        self.dropout1 = nn.Dropout2d(0.0)
        self.dropout2 = nn.Dropout(p=0.0)
        self.fc1 = nn.Linear(54, 16)
        self.fc2 = nn.Linear(16, 4)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(F.max_pool2d(self.conv2(x), 2))
        x = torch.flatten(self.dropout1(x), 1)
        x = F.dropout(F.relu(self.fc1(x)), p=0.0, training=self.training)
        return F.log_softmax(self.fc2(self.dropout2(x)), dim=1)


def train(args, model, device, train_loader, optimizer, epoch):
    model.train()
    for batch_idx, (data, target) in enumerate(train_loader):
        data, target = data.to(device), target.to(device)
        optimizer.zero_grad()
        loss = F.nll_loss(model(data), target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if batch_idx % args.log_interval == 0:
            done = 100.0 * batch_idx / len(train_loader)
            print(f"Train Epoch: {epoch} [{batch_idx * len(data)} ({done:.0f}%)]\tLoss: {loss.item():.6f}")


def test(model, device, test_loader):
    model.eval()
    test_loss = 0
    correct = 0
    with torch.no_grad():
        for data, target in test_loader:
            data, target = data.to(device), target.to(device)
            output = model(data)
            test_loss += F.nll_loss(output, target, reduction="sum").item()
            pred = output.argmax(dim=1, keepdim=True)
            correct += pred.eq(target.view_as(pred)).sum().item()
            assert (pred == output.data.max(1, keepdim=True)[1]).cpu().all()
    results.extend([test_loss / len(test_loader.dataset), correct])


parser = argparse.ArgumentParser(description="drawn shapes")
parser.add_argument("--epochs", type=int, default=4)
parser.add_argument("--lr", type=float, default=1.0)
parser.add_argument("--log-interval", type=int, default=10)
args = parser.parse_args([])

torch.set_default_dtype(torch.float64)
torch.manual_seed(1)
use_cuda = torch.cuda.is_available()
if use_cuda:
    torch.cuda.manual_seed_all(1)
device = torch.device("cuda" if use_cuda else "cpu")
losses, results = [], []

images, labels = (torch.from_numpy(a) for a in drawn_digits(64))
kwargs = {"num_workers": 0, "pin_memory": False}
train_loader = DataLoader(TensorDataset(images, labels), batch_size=16, shuffle=False, **kwargs)
held_out = TensorDataset(*(torch.from_numpy(a) for a in drawn_digits(40, seed=5)))
test_loader = DataLoader(dataset=held_out, batch_size=20, shuffle=True)

model = same_start(Net()).to(device)
optimizer = optim.Adadelta(model.parameters(), lr=args.lr)
scheduler = StepLR(optimizer, step_size=1, gamma=0.7)
for epoch in range(1, args.epochs + 1):
    train(args, model, device, train_loader, optimizer, epoch)
    test(model, device, test_loader)
    scheduler.step()

file = io.BytesIO()
torch.save(model.state_dict(), file)
file.seek(0)
again = Net()
again.load_state_dict(torch.load(file, weights_only=True))
again.eval()
assert torch.equal(again(images[:4]), model(images[:4]))
results += list(again.parameters())
