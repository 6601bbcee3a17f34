"""Who likes what: factors and biases of users and items, from a table of ratings."""

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset, random_split

from given import same_start


class Ratings(Dataset):
    def __init__(self):
        rng = np.random.default_rng(12)
        table = rng.standard_normal((8, 2)) @ rng.standard_normal((2, 10)) + 3
        self.user, self.item = np.nonzero(rng.random(table.shape) < 0.6)
        self.rating = table[self.user, self.item]

    def __len__(self):
        return len(self.rating)

    def __getitem__(self, i):
        return {"user": self.user[i], "item": self.item[i], "rating": self.rating[i]}


class MF(nn.Module):
    def __init__(self, users, items, k=3):
        super().__init__()
        self.user_factors = nn.Embedding(users, k)
        self.item_factors = nn.Embedding(items, k)
        self.user_bias = nn.Embedding(users, 1)
        self.item_bias = nn.Embedding(items, 1)
        nn.init.uniform_(self.user_bias.weight, -0.01, 0.01)
        nn.init.constant_(self.item_bias.weight, 3.0)

    def forward(self, user, item):
        dot = (self.user_factors(user) * self.item_factors(item)).sum(1)
        return dot + self.user_bias(user).squeeze() + self.item_bias(item).squeeze()


torch.set_default_dtype(torch.float64)
ratings = Ratings()
train, held_out = random_split(
    ratings, [len(ratings), 0]
)  # all of them: in another order, which the whole batch is not
loader = DataLoader(train, batch_size=len(train), shuffle=True)
model = same_start(MF(8, 10))
optimizer = torch.optim.Adamax(model.parameters(), lr=0.1, weight_decay=1e-4)
scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[8, 14], gamma=0.5)
loss_fn = nn.MSELoss()
losses, results = [], []
for epoch in range(18):
    for batch in loader:
        loss = loss_fn(model(batch["user"], batch["item"]), batch["rating"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    scheduler.step()
results += [model.user_factors.weight @ model.item_factors.weight.T, scheduler.get_last_lr()[0], len(held_out)]
