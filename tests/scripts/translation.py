"""Digits counted on by a Transformer: causal and padding masks, label smoothing, the whole sequence at once."""

import torch
import torch.nn as nn

from given import same_start

torch.set_default_dtype(torch.float64)
PAD, BOS = 0, 1
sequences = [[2, 3, 4, 5, 6], [4, 5, 6, 7, 8], [3, 5, 7, 9], [9, 8, 7, 6], [6, 4, 2]]
pad = lambda rows, n: torch.tensor([row + [PAD] * (n - len(row)) for row in rows])
source = pad(sequences, 5)
target_in = pad([[BOS] + row[::-1] for row in sequences], 6)
target_out = pad([row[::-1] + [BOS] for row in sequences], 6)


class Translator(nn.Module):
    def __init__(self, d_model=8, norm_first=False):
        super().__init__()
        self.source = nn.Embedding(10, d_model)
        self.target = nn.Embedding(10, d_model)
        self.positions = nn.Parameter(torch.zeros(6, d_model))
        self.transformer = nn.Transformer(
            d_model=d_model, nhead=2, num_encoder_layers=1, num_decoder_layers=2, dim_feedforward=12, dropout=0.0,
            batch_first=True, norm_first=norm_first,
        )  # fmt: skip
        self.out = nn.Linear(d_model, 10)

    def forward(self, source, target):
        causal = nn.Transformer.generate_square_subsequent_mask(target.size(1)).to(torch.float64)
        padding = torch.zeros(source.shape).masked_fill_(source == PAD, float("-inf"))
        hidden = self.transformer(
            self.source(source) + self.positions[: source.size(1)],
            self.target(target) + self.positions[: target.size(1)],
            tgt_mask=causal, src_key_padding_mask=padding, memory_key_padding_mask=padding,
        )  # fmt: skip
        return self.out(hidden)


class Described(nn.Module):
    """A decoder of its own, sequences first, with GELU."""

    def __init__(self, d_model=8):
        super().__init__()
        self.embedding = nn.Embedding(10, d_model)
        layer = nn.TransformerDecoderLayer(d_model, 2, 12, dropout=0.0, activation="gelu", norm_first=True)
        self.decoder = nn.TransformerDecoder(layer, num_layers=1, norm=nn.LayerNorm(d_model))
        self.out = nn.Linear(d_model, 10)

    def forward(self, source, target):
        n = target.size(1)
        ahead = torch.triu(torch.ones(n, n), diagonal=1).bool()
        memory = self.embedding(source).transpose(0, 1)
        hidden = self.decoder(self.embedding(target).transpose(0, 1), memory, tgt_mask=ahead)
        return self.out(hidden).transpose(0, 1)


criterion = nn.CrossEntropyLoss(ignore_index=PAD, label_smoothing=0.1)
losses, results = [], []
for model in (Translator(), Translator(norm_first=True), Described()):
    same_start(model)
    optimizer = torch.optim.NAdam(model.parameters(), lr=0.02)
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.2, total_iters=5)
    course = []
    for step in range(12):
        logits = model(source, target_in)
        loss = criterion(logits.transpose(1, 2), target_out)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        course.append(loss.item())
    results += [logits, *course]
    losses = losses or course
