"""Data sets, samplers and loaders; what is in which batch does not depend on chance, or only the order does."""

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import (
    BatchSampler,
    ChainDataset,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    StackDataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    default_convert,
    get_worker_info,
    random_split,
)

from given import same_start

torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(28)


class Table(Dataset):
    """A row as people make them: arrays, numbers, strings, in a dictionary."""

    def __init__(self, n):
        self.x = rng.standard_normal((n, 3))
        self.y = self.x.sum(1)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return {"x": self.x[i], "y": float(self.y[i]), "id": i, "name": f"row {i}", "pair": (self.x[i, :2], True)}


class Stream(IterableDataset):
    def __init__(self, start, end):
        self.start, self.end = start, end

    def __iter__(self):
        return iter(range(self.start, self.end))


class Interleaved(Sampler):
    """One from the front, one from the back."""

    def __init__(self, n):
        self.n = n

    def __iter__(self):
        return iter([i // 2 if i % 2 == 0 else self.n - 1 - i // 2 for i in range(self.n)])

    def __len__(self):
        return self.n


table = Table(24)
losses, results = [], []
model = same_start(nn.Linear(3, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
LOADERS = [
    DataLoader(table, batch_size=5),
    DataLoader(table, batch_size=7, sampler=Interleaved(24), drop_last=True),
    DataLoader(table, batch_sampler=BatchSampler(SequentialSampler(table), batch_size=6, drop_last=False)),
    DataLoader(dataset=Subset(table, range(0, 24, 2)), batch_size=4, num_workers=0, pin_memory=False),
    DataLoader(table, batch_size=24, shuffle=True, generator=torch.Generator().manual_seed(0)),
    DataLoader(ConcatDataset([Subset(table, [0, 1]), Subset(table, [5, 6, 7])]), batch_size=2),
]
for loader in LOADERS:
    results.append(len(loader))
    for batch in loader:
        loss = nn.functional.mse_loss(model(batch["x"]).squeeze(1), batch["y"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        results += [
            batch["id"].sum(),
            batch["pair"][1].sum(),
            sum(len(name) for name in batch["name"]),
            batch["y"].sum(),
        ]

xy = TensorDataset(torch.from_numpy(table.x), torch.from_numpy(table.y))
first, second = random_split(xy, [0.5, 0.5], generator=torch.Generator().manual_seed(1))
results += [len(first), len(second), sum(y for _, y in first) + sum(y for _, y in second)]
assert sorted(RandomSampler(xy)) == list(range(24))
assert len(list(RandomSampler(xy, replacement=True, num_samples=50))) == 50
assert sorted(SubsetRandomSampler([3, 5, 8])) == [3, 5, 8]
assert set(WeightedRandomSampler([0.0, 1.0, 0.0], 6, replacement=True)) == {1}
loader = DataLoader(xy, batch_size=6, sampler=RandomSampler(xy, replacement=False))
results += [sum(float(y.sum()) for _, y in loader), len(loader.dataset)]
x, y = next(iter(DataLoader(xy, batch_size=3)))
results += [x, y, next(iter(DataLoader(StackDataset(a=xy, b=table), batch_size=2)))["b"]["x"]]
stream = ChainDataset([Stream(0, 4), Stream(10, 13)])
results += list(DataLoader(stream, batch_size=3))
results += [*DataLoader(Stream(0, 3), batch_size=None), default_convert([np.ones(2)])[0]]
ragged = [[1, 2], [3], [4, 5, 6]]
for batch in DataLoader(ragged, batch_size=3, collate_fn=lambda rows: torch.tensor([sum(r) for r in rows])):
    results.append(batch)
collated = default_collate([{"a": 1, "b": (2.0, torch.ones(2))}, {"a": 3, "b": (4.0, torch.zeros(2))}])
results += [collated["a"], *collated["b"]]
assert get_worker_info() is None
