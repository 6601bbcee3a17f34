"""Make up names: a recurrent network reads names letter by letter, learns what comes next, and then writes its own.

--data is a text file with a name on each line, such as names.txt of karpathy/makemore; the first 2000 of its names are
in examples/data. Names of different lengths are trained on in one batch, packed, without padding. At the end there are
names that the network made up, and a picture of what it expects while it reads one. The last line printed is the mean
cross-entropy of a letter, in nats, over a tenth of the names that was kept for the test; for comparison,
--model bigram sees the last letter only.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from common import draw, fail, make_folder, positive, progress

import tinygrad_jac as torch
import tinygrad_jac.nn.functional as F
from tinygrad_jac import nn, optim
from tinygrad_jac.nn.utils.rnn import PackedSequence, pack_sequence
from tinygrad_jac.utils.data import DataLoader

DATA = Path(__file__).parent / "data" / "names.txt"
END = "."  # before the first letter and after the last
LONGEST = 50
LAYERS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


def read_names(path: Path) -> list[str]:
    """The names in a file, each once."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        fail(f"{path} cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        fail(f"{path} is not a text file")
    names = list(dict.fromkeys(line.strip().lower() for line in lines if line.strip()))
    if len(names) < 20:
        fail(f"{path} has {len(names)} names, there should be 20 at least, each on a line")
    wrong = next((name for name in names if END in name or len(name) > LONGEST), None)
    if wrong is not None:
        fail(f"{path} is no list of names: {wrong[:30]!r} has a {END!r} in it or more than {LONGEST} letters")
    return names


class Alphabet:
    """Letters as numbers; 0 is the end."""

    def __init__(self, names: list[str]) -> None:
        self.letters = [END, *sorted(set("".join(names)))]
        self.numbers = {letter: k for k, letter in enumerate(self.letters)}

    def __len__(self) -> int:
        return len(self.letters)

    def encode(self, text: str) -> torch.Tensor:
        return torch.tensor([self.numbers[letter] for letter in text])

    def batch(self, names: list[str]) -> tuple[PackedSequence, PackedSequence]:
        """What is read, and what comes next."""
        read, following = ([self.encode(text) for text in texts] for texts in
                           ([END + name for name in names], [name + END for name in names]))  # fmt: skip
        return pack_sequence(read, enforce_sorted=False), pack_sequence(following, enforce_sorted=False)


class Bigrams(nn.Module):
    """The logits of the next letter are a row of a table."""

    def __init__(self, letters: int) -> None:
        super().__init__()
        self.table = nn.Embedding(letters, letters)

    def forward(self, read: PackedSequence, state: None = None) -> tuple[torch.Tensor, None]:
        return self.table(read.data), None


class Network(nn.Module):
    def __init__(self, letters: int, kind: str, hidden: int = 96) -> None:
        super().__init__()
        self.embedding = nn.Embedding(letters, 24)
        self.recurrent = LAYERS[kind](24, hidden)
        self.dropout = nn.Dropout(0.3)
        self.out = nn.Linear(hidden, letters)

    def forward(self, read: PackedSequence, state: object = None) -> tuple[torch.Tensor, object]:
        """Logits of the next letter after each that was read, in the order of the packed data, and the last state."""
        output, state = self.recurrent(read._replace(data=self.embedding(read.data)), state)
        return self.out(self.dropout(output.data)), state


@torch.no_grad()
def test_loss_of(model: nn.Module, loader: DataLoader) -> float:
    model.eval()
    total, count = 0.0, 0
    for read, following in loader:
        total += F.cross_entropy(model(read)[0], following.data, reduction="sum").item()
        count += len(following.data)
    return total / count


def train(
    model: nn.Module, train_loader: DataLoader, test_loader: DataLoader, epochs: int, lr: float
) -> dict[str, list[float]]:
    """Train, print a line for each epoch, and return the losses."""
    optimizer = optim.AdamW(model.parameters(), lr=lr)
    scheduler = optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=epochs * len(train_loader))
    history: dict[str, list[float]] = {"train": [], "test": []}
    for epoch in range(1, epochs + 1):
        model.train()
        start, total, count = time.perf_counter(), 0.0, 0
        for read, following in progress(train_loader, f"epoch {epoch}/{epochs}"):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(read)[0], following.data)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            scheduler.step()
            total += loss.item() * len(following.data)
            count += len(following.data)
        history["train"].append(total / count)
        history["test"].append(test_loss_of(model, test_loader))
        print(
            f"epoch {epoch:{len(str(epochs))}}/{epochs}  train loss {history['train'][-1]:.4f}   test loss "
            f"{history['test'][-1]:.4f}   {time.perf_counter() - start:.1f} s",
            flush=True,
        )
    return history


@torch.no_grad()
def invent(model: nn.Module, alphabet: Alphabet) -> str:
    """A name, each letter drawn from what the network expects after those before it."""
    model.eval()
    name, state = "", None
    while len(name) < LONGEST:
        logits, state = model(pack_sequence([alphabet.encode(name[-1:] or END)]), state)
        letter = alphabet.letters[torch.multinomial(logits[0].softmax(dim=0), 1).item()]
        if letter == END:
            break
        name += letter
    return name


@torch.no_grad()
def expected(model: nn.Module, alphabet: Alphabet, name: str) -> np.ndarray:
    """The probability of each letter after the start, after the first letter, and so on."""
    model.eval()
    return model(pack_sequence([alphabet.encode(END + name)]))[0].softmax(dim=1).numpy()


def picture(path: Path, table: np.ndarray, letters: list[str], name: str, history: dict[str, list[float]]) -> None:
    """What the network expects while it reads a name, with what came; and the losses."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.4), layout="constrained")
    reading, curve = figure.subplots(1, 2, width_ratios=[2.2, 1])
    image = reading.imshow(table, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    came = [letters.index(letter) for letter in name + END]
    reading.scatter(came, range(len(came)), s=90, facecolor="none", edgecolor="#c8382b", linewidth=1.5)
    reading.set_xticks(range(len(letters)), ["end", *letters[1:]])
    reading.set_yticks(range(len(came)), ["start", *(name[:k] for k in range(1, len(came)))])
    reading.set_title(f"probability of the next letter, and what came (circles), in {name}", fontsize=11)
    reading.tick_params(length=0)
    figure.colorbar(image, ax=reading, fraction=0.04, pad=0.02)
    epochs = np.arange(1, len(history["train"]) + 1)
    for part, color in (("train", "#8aa4c8"), ("test", "#1f3b73")):
        curve.plot(epochs, history[part], color=color, marker="o", markersize=3, label=part)
    curve.set_xlabel("epoch")
    curve.set_title("nats for each letter", fontsize=11)
    curve.xaxis.get_major_locator().set_params(integer=True)
    curve.spines[["top", "right"]].set_visible(False)
    curve.grid(alpha=0.25)
    curve.legend(frameon=False)
    figure.savefig(path, dpi=120)
    print(f"wrote {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="a name on each line (default: those in data/)")
    parser.add_argument("--model", choices=(*LAYERS, "bigram"), default="gru", help="(default: gru)")
    parser.add_argument("--epochs", type=positive(int), default=15, help="passes over the names (default: 15)")
    parser.add_argument("--lr", type=positive(float), help="largest learning rate (default: one that suits the model)")
    parser.add_argument("--samples", type=positive(int), default=20, help="names to make up (default: 20)")
    parser.add_argument("--seed", type=int, default=0, help="of the split, the order and the weights (default: 0)")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "out", help="folder of the picture")
    args = parser.parse_args()
    folder = make_folder(args.out)
    torch.manual_seed(args.seed)

    names = read_names(args.data)
    alphabet = Alphabet(names)
    order = torch.randperm(len(names)).tolist()
    tests, training = ([names[k] for k in part] for part in (order[: len(names) // 10], order[len(names) // 10 :]))
    train_loader = DataLoader(training, batch_size=32, shuffle=True, collate_fn=alphabet.batch)
    test_loader = DataLoader(tests, batch_size=256, collate_fn=alphabet.batch)
    model = Bigrams(len(alphabet)) if args.model == "bigram" else Network(len(alphabet), args.model)
    lr = args.lr or (0.1 if args.model == "bigram" else 0.005)
    print(model)
    print(f"{len(training)} names of {len(alphabet) - 1} letters to learn from, {len(tests)} for the test")
    history = train(model, train_loader, test_loader, args.epochs, lr)

    known = set(names)
    made = [invent(model, alphabet) for _ in range(args.samples)]
    print("made up: " + ", ".join(name for name in made if name not in known))
    print("in the data already: " + (", ".join(name for name in made if name in known) or "none"))
    name = max(tests, key=len)
    table = expected(model, alphabet, name)
    draw(picture, folder / f"names_{args.model}.png", table, alphabet.letters, name, history)
    print(f"test loss {history['test'][-1]:.4f}")


if __name__ == "__main__":
    main()
