"""RNN, LSTM and GRU in all their options, and their cells: each continues the same series."""

import numpy as np
import torch
import torch.nn as nn
from torch.nn.utils import rnn as rnn_utils

from given import same_start

torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(25)
series = np.sin(np.arange(9) * 0.7 + rng.uniform(0, 6, (5, 1)))[..., None] + 0.05 * rng.standard_normal((5, 9, 2))
x, y = torch.from_numpy(series[:, :-1]), torch.from_numpy(series[:, 1:, :1])

OPTIONS = [
    (nn.RNN, {"input_size": 2, "hidden_size": 4, "batch_first": True}),
    (nn.RNN, {"num_layers": 2, "nonlinearity": "relu", "bidirectional": True}),
    (nn.RNN, {"bias": False, "batch_first": True, "dropout": 0.0}),
    (nn.LSTM, {"input_size": 2, "hidden_size": 4, "num_layers": 2, "batch_first": True, "bidirectional": True}),
    (nn.LSTM, {"bias": False}),
    (nn.LSTM, {"proj_size": 3, "num_layers": 2}),
    (nn.GRU, {"num_layers": 2, "bidirectional": True}),
    (nn.GRU, {"batch_first": True, "bias": False}),
]


class Forecast(nn.Module):
    def __init__(self, kind, options, start):
        super().__init__()
        options = {"input_size": 2, "hidden_size": 4, **options}
        self.rnn = kind(**options)
        directions = 2 if self.rnn.bidirectional else 1
        self.state = (self.rnn.num_layers * directions, 5, 4) if start else None
        self.out = nn.Linear((options.get("proj_size") or 4) * directions, 1)

    def forward(self, x):
        state = None
        if self.state is not None:
            h0, c0 = torch.zeros(self.state) + 0.1, torch.full(self.state, -0.1)
            h0 = h0[..., : getattr(self.rnn, "proj_size", 0) or 4]
            state = (h0, c0) if isinstance(self.rnn, nn.LSTM) else h0
        if self.rnn.batch_first:
            out, self.last = self.rnn(x, state)
            return self.out(out)
        out, self.last = self.rnn(x.transpose(0, 1), state)
        return self.out(out).permute(1, 0, 2)


losses, results = [], []
total = torch.zeros(8)
for k, (kind, options) in enumerate(OPTIONS):
    model = same_start(Forecast(kind, options, start=k % 2 == 1))
    assert isinstance(model.rnn, nn.RNNBase)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for step in range(8):
        loss = nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        total[step] += loss.item()
        results.append(loss.item())
    results += [*model.rnn.parameters(), *(model.last if isinstance(model.last, tuple) else [model.last])]
    results.append(list(dict(model.rnn.named_parameters())))
losses += total.tolist()

# Cells by hand.
for cell in (nn.RNNCell(2, 4), nn.RNNCell(2, 4, bias=False, nonlinearity="relu"), nn.LSTMCell(2, 4), nn.GRUCell(2, 4)):
    same_start(cell)
    optimizer = torch.optim.SGD(cell.parameters(), lr=0.1)
    for step in range(3):
        state = None
        for t in range(x.size(1)):
            state = cell(x[:, t], state)
        h = state[0] if isinstance(state, tuple) else state
        loss = (h[:, :1] - y[:, -1]).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        results += [loss.item(), h]

# Sequences of several lengths, packed; not sorted, with a state to begin with, backwards too.
lengths = [3, 8, 1, 5, 8]
gru = same_start(nn.GRU(2, 4, bidirectional=True, batch_first=True))
h0 = torch.from_numpy(rng.standard_normal((2, 5, 4))).requires_grad_()
packed = rnn_utils.pack_padded_sequence(x, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
out, h = gru(packed, h0)
padded, sizes = rnn_utils.pad_packed_sequence(out, batch_first=True, padding_value=-1.0, total_length=9)
(padded.pow(2).sum() + h.sum()).backward()
results += [padded, sizes, h, h0.grad, packed.data, packed.batch_sizes, *[p.grad for p in gru.parameters()]]
rows = [x[i, :n] for i, n in enumerate(lengths)]
again = rnn_utils.pack_sequence(rows, enforce_sorted=False)
results += [again.data, again.sorted_indices, again.unsorted_indices, *rnn_utils.unpack_sequence(again)]
results += [rnn_utils.pad_sequence(rows), rnn_utils.pad_sequence(rows, batch_first=True, padding_side="left")]
results += rnn_utils.unpad_sequence(rnn_utils.pad_sequence(rows), torch.tensor(lengths))
# One sequence without a batch.
single, _ = same_start(nn.LSTM(2, 4))(x[0])
results.append(single)
