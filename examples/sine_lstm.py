"""Continue sine waves: an LSTM learns to tell the next value, and then goes on by itself.

The task of PyTorch's example "time sequence prediction": waves of one period, each with a phase of its own, are read
value by value, and the next one is to be predicted. After what it was given the network reads its own predictions, for
as long again; it has to remember where in the wave it is. The picture shows some of these continuations. The last line
printed is their root mean square error, on waves that were not trained on.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np
from common import draw, make_folder, positive, progress

import tinygrad_jac as torch
from tinygrad_jac import nn, optim
from tinygrad_jac.utils.data import DataLoader, TensorDataset

PERIOD = 40.0
COLORS = ("#c8382b", "#2a7f62", "#1f3b73")


def waves(count: int, length: int) -> torch.Tensor:
    """Sine waves (count, length, 1), each from a phase drawn at random."""
    phase = 2 * math.pi * torch.rand(count, 1)
    return torch.sin(2 * math.pi * torch.arange(length) / PERIOD + phase).unsqueeze(-1)


class Sequence(nn.Module):
    def __init__(self, hidden: int = 32) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, hidden, num_layers=2, batch_first=True)
        self.linear = nn.Linear(hidden, 1)

    def forward(self, values: torch.Tensor, future: int = 0) -> torch.Tensor:
        """The next value after each of those given, and so many more, each from the prediction before it."""
        output, state = self.lstm(values)
        predictions = [self.linear(output)]
        for _ in range(future):
            output, state = self.lstm(predictions[-1][:, -1:], state)
            predictions.append(self.linear(output))
        return torch.cat(predictions, dim=1)


def train(model: nn.Module, loader: DataLoader, epochs: int, lr: float) -> list[float]:
    """Train on the next value; the mean squared error of each epoch."""
    criterion, optimizer = nn.MSELoss(), optim.Adam(model.parameters(), lr=lr)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    losses = []
    for epoch in range(1, epochs + 1):
        start, total = time.perf_counter(), 0.0
        for (batch,) in progress(loader, f"epoch {epoch}/{epochs}"):
            optimizer.zero_grad()
            loss = criterion(model(batch[:, :-1]), batch[:, 1:])
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            total += loss.item() / len(loader)
        scheduler.step()
        losses.append(total)
        if epoch % max(1, epochs // 10) == 0:
            print(
                f"epoch {epoch:{len(str(epochs))}}/{epochs}  loss {total:.2e}   {time.perf_counter() - start:.1f} s",
                flush=True,
            )
    return losses


def picture(path: Path, true: np.ndarray, predicted: np.ndarray, given: int, losses: list[float]) -> None:
    """Three waves and what the network took them for, the values that it was given on the left; and the losses."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5.6), layout="constrained")
    panels = figure.subplot_mosaic([["0", "loss"], ["1", "loss"], ["2", "loss"]], width_ratios=[2.6, 1])
    times = np.arange(1, true.shape[1])
    shown = np.argsort(true[:, 0])[:: len(true) // 3]  # of different phases
    for k, color in enumerate(COLORS):
        panel = panels[str(k)]
        panel.axvspan(0, given, color="#eeeeee")
        panel.plot(np.arange(true.shape[1]), true[shown[k]], color="#aaaaaa", linewidth=3)
        panel.plot(times, predicted[shown[k]], color=color, linewidth=1.2)
        panel.set(xlim=(0, true.shape[1] - 1), ylim=(-1.3, 1.3), yticks=[-1, 0, 1])
        if k < 2:
            panel.set_xticklabels([])
    panels["0"].set_title("given (grey field), then continued: the wave in grey, predictions in colour", fontsize=11)
    panels["2"].set_xlabel("time")
    panels["loss"].plot(np.arange(1, len(losses) + 1), losses, color=COLORS[2])
    panels["loss"].set(xlabel="epoch", yscale="log")
    panels["loss"].set_title("mean squared error", fontsize=11)
    panels["loss"].grid(alpha=0.25)
    for panel in panels.values():
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
    print(f"wrote {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=positive(int), default=60, help="passes over the waves (default: 60)")
    parser.add_argument("--lr", type=positive(float), default=0.01, help="learning rate of Adam (default: 0.01)")
    parser.add_argument("--length", type=positive(int), default=100, help="values that are given (default: 100)")
    parser.add_argument("--seed", type=int, default=0, help="of phases, order and weights (default: 0)")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "out", help="folder of the picture")
    args = parser.parse_args()
    folder = make_folder(args.out)
    torch.manual_seed(args.seed)

    loader = DataLoader(TensorDataset(waves(256, args.length + 1)), batch_size=32, shuffle=True)
    test = waves(64, 2 * args.length)
    model = Sequence()
    losses = train(model, loader, args.epochs, args.lr)

    with torch.no_grad():
        predicted = model(test[:, : args.length], future=args.length - 1)
    true = test[:, args.length :]
    error = ((predicted[:, args.length - 1 :] - true) ** 2).mean().sqrt().item()
    draw(picture, folder / "sine_lstm.png", test.numpy()[..., 0], predicted.numpy()[..., 0], args.length, losses)
    print(f"test error {error:.4f}")


if __name__ == "__main__":
    main()
