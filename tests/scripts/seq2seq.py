"""Words turned round: a packed bidirectional encoder, a decoder with attention, teacher forcing."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from given import NAMES, same_start

torch.set_default_dtype(torch.float64)
PAD, SOS, EOS = 0, 1, 2
words = sorted(NAMES[:6], key=len, reverse=True)
encode = lambda word: torch.tensor([ord(c) - ord("a") + 3 for c in word] + [EOS])
source = pad_sequence([encode(w) for w in words], batch_first=True, padding_value=PAD)
target = pad_sequence([encode(w[::-1]) for w in words], batch_first=True, padding_value=PAD)
lengths = torch.LongTensor([len(w) + 1 for w in words])


class Encoder(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.embedding = nn.Embedding(29, hidden, padding_idx=PAD)
        self.gru = nn.GRU(hidden, hidden, num_layers=1, batch_first=True, bidirectional=True)
        self.bridge = nn.Linear(2 * hidden, hidden)

    def forward(self, x, lengths):
        packed = pack_padded_sequence(self.embedding(x), lengths, batch_first=True)
        outputs, hidden = self.gru(packed)
        outputs, _ = pad_packed_sequence(outputs, batch_first=True)
        hidden = torch.tanh(self.bridge(torch.cat((hidden[0], hidden[1]), dim=1)))
        return outputs, hidden


class Decoder(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.embedding = nn.Embedding(29, hidden)
        self.keys = nn.Linear(2 * hidden, hidden, bias=False)
        self.cell = nn.GRUCell(3 * hidden, hidden)
        self.out = nn.Linear(hidden, 29)

    def forward(self, token, hidden, outputs, mask):
        scores = torch.bmm(self.keys(outputs), hidden.unsqueeze(2)).squeeze(2)
        weights = F.softmax(scores.masked_fill(mask, float("-inf")), dim=-1)
        context = torch.bmm(weights.unsqueeze(1), outputs).squeeze(1)
        hidden = self.cell(torch.cat([self.embedding(token), context], dim=1), hidden)
        return self.out(hidden), hidden


encoder, decoder = same_start(Encoder(8)), same_start(Decoder(8), seed=1)
with torch.no_grad():
    encoder.embedding.weight[PAD].fill_(0)
params = list(encoder.parameters()) + list(decoder.parameters())
optimizer = torch.optim.Adam(params, lr=0.02)
criterion = nn.CrossEntropyLoss(ignore_index=PAD)
mask = source.eq(PAD)
losses, results = [], []
for epoch in range(12):
    optimizer.zero_grad()
    outputs, hidden = encoder(source, lengths)
    token = torch.full((len(words),), SOS, dtype=torch.long)
    loss = 0
    for t in range(target.size(1)):
        logits, hidden = decoder(token, hidden, outputs, mask)
        loss += criterion(logits, target[:, t]) if (target[:, t] != PAD).any() else 0
        forced = epoch % 3 < 2
        token = target[:, t] if forced else logits.argmax(1).detach()
    loss.backward()
    results.append(nn.utils.clip_grad_norm_(params, max_norm=5.0))
    optimizer.step()
    losses.append(loss.item() / target.size(1))
results += [encoder.embedding.weight, hidden]
