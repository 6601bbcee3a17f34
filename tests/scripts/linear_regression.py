"""A straight line through noisy points."""

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim

from given import same_start

torch.set_default_dtype(torch.float64)
torch.manual_seed(1)
device = torch.accelerator.current_accelerator().type if torch.accelerator.is_available() else "cpu"

rng = np.random.default_rng(0)
x = torch.unsqueeze(torch.linspace(-1, 1, 60, dtype=torch.float64, device=device), dim=1)
y = 2 * x + 0.3 + torch.from_numpy(rng.normal(0, 0.1, (60, 1)))

model = same_start(nn.Linear(in_features=1, out_features=1, bias=True)).to(device)
criterion = nn.MSELoss(reduction="mean")
optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.5)

losses = []
for epoch in range(25):
    optimizer.zero_grad()
    loss = criterion(model(x), y)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if (epoch + 1) % 10 == 0:
        print(f"epoch {epoch + 1:3d}: loss {loss:.4f}, {loss.item():.4f}, {float(loss):.4f}")

model.eval()
with torch.inference_mode():
    predicted = model(torch.tensor([[4.0]])).item()
print("after training, at 4:", predicted)
results = [predicted, *model.parameters(), model.weight.item(), float(model.bias)]
