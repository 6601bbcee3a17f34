"""A language model over words: an LSTM whose state goes on from piece to piece, its decoder tied to its encoder."""

import math

import torch
import torch.nn as nn

from given import TEXT, same_start


class Dictionary:
    def __init__(self):
        self.word2idx, self.idx2word = {}, []

    def add_word(self, word):
        if word not in self.word2idx:
            self.idx2word.append(word)
            self.word2idx[word] = len(self.idx2word) - 1
        return self.word2idx[word]


class RNNModel(nn.Module):
    def __init__(self, kind, ntoken, ninp, nhid, nlayers, tie_weights=False):
        super().__init__()
        self.ntoken, self.nhid, self.nlayers, self.kind = ntoken, nhid, nlayers, kind
        self.drop = nn.Dropout(0.0)
        self.encoder = nn.Embedding(ntoken, ninp)
        if kind in ("LSTM", "GRU"):
            self.rnn = getattr(nn, kind)(ninp, nhid, nlayers, dropout=0.0)
        else:
            self.rnn = nn.RNN(input_size=ninp, hidden_size=nhid, num_layers=nlayers, nonlinearity="tanh", dropout=0.0)
        self.decoder = nn.Linear(nhid, ntoken)
        if tie_weights:
            self.decoder.weight = self.encoder.weight
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)

    def forward(self, input, hidden):
        emb = self.drop(self.encoder(input))
        output, hidden = self.rnn(emb, hidden)
        decoded = self.decoder(self.drop(output)).view(-1, self.ntoken)
        return torch.log_softmax(decoded, dim=1), hidden

    def init_hidden(self, bsz):
        weight = next(self.parameters())
        zeros = weight.new_zeros(self.nlayers, bsz, self.nhid)
        return (zeros, weight.new_zeros(self.nlayers, bsz, self.nhid)) if self.kind == "LSTM" else zeros


def repackage_hidden(h):
    if isinstance(h, torch.Tensor):
        return h.detach()
    return tuple(repackage_hidden(v) for v in h)


def batchify(data, bsz):
    nbatch = data.size(0) // bsz
    return data.narrow(0, 0, nbatch * bsz).view(bsz, -1).t().contiguous()


torch.set_default_dtype(torch.float64)
words = Dictionary()
ids = torch.tensor([words.add_word(w) for w in TEXT.split() * 4]).type(torch.int64)
data = batchify(ids, 4)
criterion = nn.NLLLoss()
losses, results = [], []
for kind in ("LSTM", "GRU", "RNN_TANH"):
    model = same_start(RNNModel(kind, len(words.idx2word), 6, 6, 2, tie_weights=True))
    lr, course = 1.0, []
    for epoch in range(3):
        hidden, total = model.init_hidden(4), 0.0
        for i in range(0, data.size(0) - 1, 5):
            seq_len = min(5, len(data) - 1 - i)
            source, target = data[i : i + seq_len], data[i + 1 : i + 1 + seq_len].view(-1)
            model.zero_grad()
            hidden = repackage_hidden(hidden)
            output, hidden = model(source, hidden)
            loss = criterion(output, target)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
            for p in model.parameters():
                p.data.add_(p.grad, alpha=-lr)
            total += loss.item() * seq_len
        course.append(total / (len(data) - 1))
        lr /= 1.2
    losses = losses or course
    results += [*course, math.exp(course[-1]), *model.parameters()]

# Each row of a batch has the features first; both directions; one layer more for the sums.
tagger = same_start(nn.LSTM(input_size=3, hidden_size=4, num_layers=2, batch_first=True, bidirectional=True))
series = torch.sin(torch.arange(30).view(2, 5, 3).double())
out, (h_n, c_n) = tagger(series)
first = same_start(nn.RNN(input_size=3, hidden_size=2, batch_first=True))(series)[0]
(out.pow(2).sum() + first.sum() + h_n[-1].sum()).backward()
results += [out, c_n, first, *[p.grad for p in tagger.parameters()]]
