"""A small GPT that learns to write like Shakespeare, character by character.

Given the characters so far, the network says what the next one may be. It is the transformer of nanoGPT (MIT), small
enough for a processor: without --data it reads the beginning of Coriolanus in examples/data, and learns for a minute or
two. Any text will do for --data, plain or gzipped; its last tenth is kept for the test. At the end the network writes
some lines of its own, and there is a picture in --out: the course of the training, and which earlier characters each
head of the attention looks at. The last line printed is the loss on the text that was kept, in nats per character.
"""

from __future__ import annotations

import argparse
import gzip
import math
import time
from pathlib import Path

import numpy as np
from common import draw, fail, make_folder, positive, progress

import tinygrad_jac as torch
import tinygrad_jac.nn as nn
import tinygrad_jac.nn.functional as F

DATA = Path(__file__).parent / "data" / "shakespeare.txt.gz"


# ------------------------------------------------------------------------------------------------ the network


class CausalSelfAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.into = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def by_head(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Queries, keys and values, (batch, heads, characters, features of a head) each."""
        batch, length, width = x.shape
        parts = self.into(x).split(width, dim=2)
        return tuple(p.view(batch, length, self.heads, width // self.heads).transpose(1, 2) for p in parts)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.by_head(x)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(mixed.transpose(1, 2).reshape(*x.shape))

    def weights(self, x: torch.Tensor) -> torch.Tensor:
        """How much each character looks at each earlier one, (batch, heads, characters, characters): for drawing."""
        q, k, _ = self.by_head(x)
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.size(-1))
        ahead = torch.ones_like(scores).triu(diagonal=1).bool()
        return F.softmax(scores.masked_fill(ahead, -math.inf), dim=-1)


class Block(nn.Module):
    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = CausalSelfAttention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.dropout(self.attention(self.norm1(x)))
        return x + self.dropout(self.mlp(self.norm2(x)))


class GPT(nn.Module):
    def __init__(
        self, vocabulary: int, context: int = 64, layers: int = 3, heads: int = 4, width: int = 96, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.context = context
        self.characters = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(context, width)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList([Block(width, heads, dropout) for _ in range(layers)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.characters.weight = self.head.weight  # what stands for a character is also what is looked for
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:  # what is added to the sum of all blocks starts small
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * layers) if "out.weight" in name else 0.02)

    def embed(self, text: torch.Tensor) -> torch.Tensor:
        return self.dropout(self.characters(text) + self.positions(torch.arange(text.size(1))))

    def forward(self, text: torch.Tensor) -> torch.Tensor:
        """Logits of the character after each: (batch, length) to (batch, length, vocabulary)."""
        x = self.embed(text)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))

    @torch.no_grad()
    def generate(self, text: torch.Tensor, count: int, temperature: float = 0.8) -> torch.Tensor:
        """``count`` more characters, each drawn from what the network says of it."""
        self.eval()
        for _ in range(count):
            logits = self(text[:, -self.context :])[:, -1, :] / temperature
            following = torch.multinomial(F.softmax(logits, dim=-1), num_samples=1)
            text = torch.cat((text, following), dim=1)
        return text

    @torch.no_grad()
    def attention(self, text: torch.Tensor) -> np.ndarray:
        """The weights of all heads for one text: (layers, heads, length, length)."""
        self.eval()
        x, found = self.embed(text), []
        for block in self.blocks:
            found.append(block.attention.weights(block.norm1(x))[0].numpy())
            x = block(x)
        return np.stack(found)


# ------------------------------------------------------------------------------------------------ the text


def read_text(path: Path) -> str:
    try:
        data = path.read_bytes()
        return (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")
    except (OSError, EOFError) as error:
        fail(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}")
    except UnicodeDecodeError:
        fail(f"{path} is not text in UTF-8")


def batch(data: torch.Tensor, size: int, context: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Stretches of the text from random places, and the same one character further on."""
    starts = torch.randint(len(data) - context, (size,)).tolist()
    x, y = (torch.stack([data[k + shift : k + shift + context] for k in starts]) for shift in (0, 1))
    return x, y


def loss_of(model: GPT, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    logits = model(x)
    return F.cross_entropy(logits.view(-1, logits.size(-1)), y.view(-1))


@torch.no_grad()
def evaluate(model: GPT, data: torch.Tensor, most: int = 64) -> float:
    """The mean loss on stretches spread evenly over a text."""
    model.eval()
    count = min(most, (len(data) - 1) // model.context)
    starts = np.linspace(0, len(data) - 1 - model.context, count).astype(int).tolist()
    x, y = (torch.stack([data[k + shift : k + shift + model.context] for k in starts]) for shift in (0, 1))
    return loss_of(model, x, y).item()


# ------------------------------------------------------------------------------------------------ training


def rate_at(step: int, steps: int, rate: float) -> float:
    """A tenth of the steps to warm up, then half a cosine down to a tenth."""
    warm = max(steps // 10, 1)
    if step < warm:
        return rate * (step + 1) / warm
    return rate * (0.1 + 0.9 * (1 + math.cos(math.pi * (step - warm) / max(steps - warm, 1))) / 2)


def train(
    model: GPT, train_data: torch.Tensor, test_data: torch.Tensor, steps: int, rate: float, size: int
) -> list[tuple[int, float, float]]:
    """Train, print a line now and then, and return what the lines say: step, and loss on both parts."""
    matrices = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}], lr=rate, betas=(0.9, 0.99)
    )
    start, recent = time.perf_counter(), []
    history = [(0, evaluate(model, train_data), evaluate(model, test_data))]
    for step in progress(range(steps), "steps"):
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, steps, rate)
        model.train()
        x, y = batch(train_data, size, model.context)
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(model, x, y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        recent.append(loss.item())
        if (step + 1) % max(steps // 20, 1) == 0 or step + 1 == steps:
            history.append((step + 1, float(np.mean(recent)), evaluate(model, test_data)))
            recent = []
            print(
                f"step {step + 1:{len(str(steps))}}/{steps}  train loss {history[-1][1]:.4f}   "
                f"held-out loss {history[-1][2]:.4f}   {time.perf_counter() - start:.0f} s",
                flush=True,
            )
    return history


# ------------------------------------------------------------------------------------------------ the picture


def picture(path: Path, history: list[tuple[int, float, float]], maps: np.ndarray, shown: str) -> None:
    """The course of the training, and for each head which characters it looks at, above those from where it looks."""
    from matplotlib.figure import Figure

    layers, heads = maps.shape[:2]
    figure = Figure(figsize=(5 + 2.9 * heads, max(2.9 * layers, 4) + 0.4), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[4.6, 2.9 * heads])
    curve = left.subplots()
    steps, train_loss, test_loss = np.array(history).T
    for name, loss, color in (
        ("train, mean since the last point", train_loss, "#8aa4c8"),
        ("held out", test_loss, "#1f3b73"),
    ):
        curve.plot(steps, loss, color=color, marker="o", markersize=3, label=f"{name}: {loss[-1]:.3f} at the end")
    curve.set(title="loss, nats per character", xlabel="step")
    curve.spines[["top", "right"]].set_visible(False)
    curve.grid(alpha=0.25)
    curve.legend(frameon=False)

    letters = ["¶" if c == "\n" else "·" if c == " " else c for c in shown]
    right.suptitle("attention: each row is a character, dark where it looks", fontsize=12)
    for row, panels in enumerate(right.subplots(layers, heads, squeeze=False)):
        for column, panel in enumerate(panels):
            panel.imshow(maps[row, column], cmap="Blues", vmin=0, vmax=1)
            panel.set_title(f"layer {row + 1}, head {column + 1}", fontsize=9, pad=14)
            panel.set_xticks(range(len(letters)), letters, fontsize=6)
            panel.set_yticks(range(len(letters)), letters, fontsize=6)
            panel.tick_params(length=0, pad=1, top=True, labeltop=True, bottom=False, labelbottom=False)
            panel.spines[:].set_visible(False)
    figure.savefig(path, dpi=110)
    print(f"wrote {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="a text (default: the beginning of Coriolanus)")
    parser.add_argument("--steps", type=positive(int), default=700, help="of the optimiser (default: 700)")
    parser.add_argument("--lr", type=positive(float), default=3e-3, help="largest learning rate (default: 0.003)")
    parser.add_argument("--batch", type=positive(int), default=16, help="stretches of text in a step (default: 16)")
    parser.add_argument("--context", type=positive(int), default=64, help="characters that are seen (default: 64)")
    parser.add_argument("--layers", type=positive(int), default=3, help="blocks of the network (default: 3)")
    parser.add_argument("--width", type=positive(int), default=96, help="features, a multiple of 4 (default: 96)")
    parser.add_argument("--write", type=positive(int), default=500, help="characters to write (default: 500)")
    parser.add_argument("--seed", type=int, default=0, help="of initialisation, order and writing (default: 0)")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "out", help="folder of the picture")
    args = parser.parse_args()
    if args.width % 4:
        parser.error(f"argument --width: {args.width} is not a multiple of 4, the number of heads")
    folder = make_folder(args.out)
    torch.manual_seed(args.seed)

    text = read_text(args.data)
    if len(text) < 20 * args.context:
        fail(f"{args.data} has {len(text)} characters, which is too few for a context of {args.context}")
    vocabulary = sorted(set(text))
    number_of = {c: k for k, c in enumerate(vocabulary)}
    data = torch.tensor([number_of[c] for c in text])
    train_data, test_data = data[: len(data) * 9 // 10], data[len(data) * 9 // 10 :]

    model = GPT(len(vocabulary), args.context, args.layers, heads=4, width=args.width)
    count = sum(p.numel() for p in model.parameters())
    print(f"{count:,} parameters, {len(train_data):,} characters to learn from, {len(vocabulary)} different ones")
    history = train(model, train_data, test_data, args.steps, args.lr, args.batch)

    start = data[:1].view(1, 1)
    written = "".join(vocabulary[k] for k in model.generate(start, args.write)[0, 1:].tolist())
    print(f"\n{written}\n")
    shown = test_data[: min(32, args.context)]
    maps, seen = model.attention(shown.view(1, -1)), "".join(text[len(train_data) :][:32])
    draw(picture, folder / "gpt.png", history, maps, seen)
    print(f"held-out loss {history[-1][2]:.4f}")


if __name__ == "__main__":
    main()
