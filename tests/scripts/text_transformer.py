"""Words told from words turned round by a transformer encoder; sequences of several lengths, padded."""

import math

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset

from given import NAMES, same_start


class Words(Dataset):
    def __init__(self):
        self.items = [(w, 0) for w in NAMES[:12]] + [(w[::-1], 1) for w in NAMES[:12]]

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


def collate_batch(batch):
    length = max(len(w) for w, _ in batch)
    tokens = torch.zeros(len(batch), length, dtype=torch.int64)
    for row, (word, _) in enumerate(batch):
        tokens[row, : len(word)] = torch.tensor([ord(c) - 96 for c in word])
    return tokens, torch.tensor([label for _, label in batch])


class PositionalEncoding(nn.Module):
    def __init__(self, d_model, max_len=16):
        super().__init__()
        pe = torch.zeros(max_len, d_model)
        position = torch.arange(0, max_len, dtype=torch.double).unsqueeze(1)
        div_term = torch.exp(torch.arange(0, d_model, 2).double() * (-math.log(10000.0) / d_model))
        pe[:, 0::2] = torch.sin(position * div_term)
        pe[:, 1::2] = torch.cos(position * div_term)
        self.register_buffer("pe", pe.unsqueeze(0))

    def forward(self, x):
        return x + self.pe[:, : x.size(1)]


class Classifier(nn.Module):
    def __init__(self, d_model=8):
        super().__init__()
        self.embedding = nn.Embedding(27, d_model, padding_idx=0)
        self.positions = PositionalEncoding(d_model)
        layer = nn.TransformerEncoderLayer(d_model, nhead=2, dim_feedforward=16, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, num_layers=2, enable_nested_tensor=False)
        self.fc = nn.Linear(d_model, 2)

    def forward(self, tokens):
        padding = tokens == 0
        hidden = self.encoder(self.positions(self.embedding(tokens)), src_key_padding_mask=padding)
        kept = (~padding).unsqueeze(-1)
        return self.fc((hidden * kept).sum(1) / kept.sum(1))


torch.set_default_dtype(torch.float64)
loader = DataLoader(Words(), batch_size=8, collate_fn=collate_batch)
model = same_start(Classifier())
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
warmup = torch.optim.lr_scheduler.LambdaLR(optimizer, lr_lambda=lambda step: min(1.0, (step + 1) / 10))
losses, results = [], []
for epoch in range(8):
    total = correct = 0
    for tokens, label in loader:
        logits = model(tokens)
        loss = nn.functional.cross_entropy(logits, label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        warmup.step()
        total += loss.item() * len(label)
        correct += (logits.argmax(-1) == label).sum().item()
    losses.append(total / len(loader.dataset))
    results += [correct, optimizer.param_groups[0]["lr"]]
results += [sum(p.numel() for p in model.parameters() if p.requires_grad), *model.parameters()]
