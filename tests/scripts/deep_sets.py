"""Functions of sets: what each element says is added up; then a graph, along whose edges it is."""

import numpy as np
import torch
import torch.nn as nn

from given import same_start

torch.set_default_dtype(torch.float64)
rng = np.random.default_rng(11)


class DeepSets(nn.Module):
    def __init__(self):
        super().__init__()
        self.phi = nn.Sequential(nn.Linear(2, 8), nn.ELU(), nn.Linear(8, 8))
        self.rho = nn.Sequential(nn.LayerNorm(24), nn.Linear(24, 8), nn.Softplus(), nn.Linear(8, 1))

    def forward(self, x, mask):
        h = self.phi(x) * mask[..., None]
        pooled = h.sum(dim=-2)
        largest = h.masked_fill(mask[..., None] == 0, -1e9).max(dim=-2)[0]
        return self.rho(torch.cat([pooled, pooled / mask.sum(-1, keepdim=True), largest], dim=-1)).squeeze(-1)


sets = torch.from_numpy(rng.standard_normal((30, 6, 2)))
mask = torch.from_numpy((np.arange(6) < rng.integers(2, 7, (30, 1))).astype(float))
target = (sets.norm(dim=-1) * mask).amax(dim=1)
model = same_start(DeepSets())
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
losses, results = [], []
for epoch in range(20):
    loss = nn.functional.huber_loss(model(sets, mask), target, delta=0.5)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
order = torch.from_numpy(rng.permutation(6))
assert torch.allclose(model(sets, mask), model(sets[:, order], mask[:, order]))


class GraphConvolution(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(in_features, out_features))
        self.bias = nn.Parameter(torch.zeros(out_features))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, input, adj):
        return torch.mm(adj, torch.mm(input, self.weight)) + self.bias

    def extra_repr(self):
        return f"{self.weight.size(0)} -> {self.weight.size(1)}"


edges = torch.tensor([[0, 1], [1, 2], [2, 0], [3, 4], [4, 5], [5, 3], [2, 3]])
adj = torch.eye(6)
adj[edges[:, 0], edges[:, 1]] = 1.0
adj = torch.max(adj, adj.t())
rate = adj.sum(1).pow(-0.5)
adj = torch.diag(rate) @ adj @ torch.diag(rate)
layers = nn.ModuleList([GraphConvolution(6, 5), GraphConvolution(5, 2)])
same_start(layers)
print(layers)
known, label = torch.tensor([0, 5]), torch.tensor([0, 0, 0, 1, 1, 1])
optimizer = torch.optim.Adam(layers.parameters(), lr=0.05, weight_decay=5e-4)
for epoch in range(15):
    h = torch.relu(layers[0](torch.eye(6), adj))
    out = torch.log_softmax(layers[1](h, adj), dim=1)
    loss = nn.functional.nll_loss(out[known], label[known])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    results.append(loss.item())

# Messages from edge to edge, added where they arrive; attention over each node's neighbours.
source, goal = torch.cat([edges, edges.flip(1)]).unbind(dim=1)
w = torch.tensor(rng.standard_normal((2, 3)), requires_grad=True)
messages = h.detach()[:, :2] @ w
score = torch.exp(torch.sum(messages[source] * messages[goal], 1))
total = torch.zeros(6).index_add_(0, goal, score)
arrived = torch.zeros(6, 3).index_add(0, goal, messages[source] * (score / total[goal]).unsqueeze(-1))
scattered = torch.zeros(6, 3).scatter_add(0, goal.unsqueeze(1).expand(-1, 3), messages[source])
(arrived**2 + scattered).mean().backward()
results += [arrived, w.grad]
