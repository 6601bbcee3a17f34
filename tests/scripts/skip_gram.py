"""Words by their neighbours: skip-grams with negative samples, then a continuous bag of words."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from given import TEXT, same_start

torch.set_default_dtype(torch.float64)
words = TEXT.split()
vocab = sorted(set(words))
word_to_ix = {w: i for i, w in enumerate(vocab)}
ids = [word_to_ix[w] for w in words]
pairs = [(ids[i], ids[j]) for i in range(len(ids)) for j in (i - 1, i + 1) if 0 <= j < len(ids)]
rng = np.random.default_rng(6)


class SkipGram(nn.Module):
    def __init__(self, size, dim):
        super().__init__()
        self.center = nn.Embedding(size, dim)
        self.context = nn.Embedding(num_embeddings=size, embedding_dim=dim)
        self.context.weight.data.uniform_(-0.5 / dim, 0.5 / dim)

    def forward(self, center, context, negatives):
        v = self.center(center)
        positive = F.logsigmoid((v * self.context(context)).sum(dim=1))
        negative = F.logsigmoid(-torch.bmm(self.context(negatives), v.unsqueeze(2)).squeeze(2)).sum(1)
        return -(positive + negative).mean()


model = same_start(SkipGram(len(vocab), 6))
optimizer = torch.optim.Adagrad(model.parameters(), lr=0.3)
center, context = torch.tensor(pairs).t()
losses, results = [], []
for epoch in range(15):
    negatives = torch.from_numpy(rng.integers(0, len(vocab), (len(pairs), 4)))
    optimizer.zero_grad()
    loss = model(center, context, negatives)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())

# What was learnt, frozen, in another network; the words around say which one is missing.
vectors = model.center.weight.data
frozen = nn.Embedding.from_pretrained(vectors, freeze=True)
tuned = nn.Embedding.from_pretrained(vectors.clone(), freeze=False, max_norm=None)
cbow = nn.Sequential(same_start(nn.Linear(12, len(vocab))), nn.LogSoftmax(dim=-1))
windows = torch.tensor([[ids[i - 1], ids[i + 1]] for i in range(1, len(ids) - 1)])
middle = torch.tensor(ids[1:-1])
optimizer = torch.optim.SGD([*cbow.parameters(), tuned.weight], lr=0.5)
assert not frozen.weight.requires_grad
for epoch in range(10):
    embedded = torch.cat([frozen(windows).sum(dim=1), tuned(windows).mean(dim=1)], dim=1)
    loss = F.nll_loss(cbow(embedded), middle)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    results.append(loss.item())
similar = F.cosine_similarity(vectors[word_to_ix["road"]].unsqueeze(0), vectors)
values, best = similar.sort(descending=True)
results += [values, best[0].item(), tuned.weight, frozen.weight]
