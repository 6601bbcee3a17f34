"""Networks whose drawings are kept in golden/: small, named, the same each time."""

from __future__ import annotations

import numpy as np

import tinygrad_jac as tj
from tinygrad_jac import nn, viz


def array(*shape):
    return np.linspace(-1, 1, int(np.prod(shape)), dtype=np.float32).reshape(shape)


def linear_regression():
    X, y = tj.tensor(array(5, 3)), tj.tensor(array(5))
    w, b = (tj.tensor(array(*shape), requires_grad=True) for shape in ((3,), ()))
    loss = ((X @ w + b - y) ** 2).mean()
    return viz.graph({"loss": loss}, params={"w": w, "b": b}, inputs={"X": X, "y": y})


def mlp():
    """The classifier of the textbook, 784-100-300-10."""
    model = nn.Sequential(nn.Linear(784, 100), nn.ReLU(), nn.Linear(100, 300), nn.ReLU(), nn.Linear(300, 10))
    x, y = tj.tensor(array(32, 784)), tj.tensor(np.arange(32) % 10)
    loss = nn.functional.cross_entropy(model(x), y)
    return viz.graph({"loss": loss}, params=model, inputs={"x": x, "y": y})


def nested():
    """A network of two layers that uses the same w and b in both: z1 = w x + b, z2 = w z1 + b."""
    w, b, x, y = (tj.tensor(array(*shape)) for shape in ((2, 2), (2,), (2,), (2,)))
    w.requires_grad_()
    b.requires_grad_()
    z1 = w @ x + b
    z2 = w @ z1 + b
    return viz.graph({"L": 0.5 * ((z2 - y) ** 2).sum()}, params={"w": w, "b": b}, inputs={"x": x, "y": y})


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)

    def forward(self, x):
        return x + self.down(np.maximum(self.up(self.norm(x)), 0))


def residual():
    return viz.graph(Residual(8), tj.tensor(array(4, 8)))


class Cell(nn.Module):
    """One step of an LSTM, as Hochreiter and Schmidhuber have it, with a forget gate."""

    def __init__(self, inputs, state):
        super().__init__()
        self.input = nn.Linear(inputs, 4 * state)
        self.hidden = nn.Linear(state, 4 * state)

    def forward(self, x, h, c):
        i, f, g, o = (self.input(x) + self.hidden(h)).chunk(4, dim=-1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return {"h": o.sigmoid() * c.tanh(), "c": c}


def lstm():
    return viz.graph(Cell(3, 4), *(tj.tensor(array(2, n)) for n in (3, 4, 4)))


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x):
        batch, length, width = x.shape
        q, k, v = (
            f(x).reshape(batch, length, self.heads, -1).swapaxes(1, 2) for f in (self.query, self.key, self.value)
        )
        scores = q @ k.swapaxes(-1, -2) / float(np.sqrt(width // self.heads))
        mask = tj.tensor(np.triu(np.full((length, length), -1e9, np.float32), 1))
        weights = tj.softmax(scores + mask, -1)
        return self.out((weights @ v).swapaxes(1, 2).reshape(batch, length, width))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class GPT(nn.Module):
    def __init__(self, vocabulary=50, length=6, width=16, heads=2, blocks=12):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(tj.tensor(array(length, width)))
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)

    def forward(self, tokens):
        x = self.tokens(tokens) + self.positions
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def gpt(**options):
    model, tokens, targets = GPT(), tj.tensor(np.arange(12).reshape(2, 6)), tj.tensor(np.arange(1, 13))
    with viz.recording(model):
        loss = nn.functional.cross_entropy(model(tokens).reshape(-1, 50), targets)
    return viz.graph({"loss": loss}, params=model, inputs={"tokens": tokens, "targets": targets}, **options)


NETWORKS = (linear_regression, mlp, nested, residual, lstm, gpt)
