"""What the training examples share: their options, the training loop with its report, and the pictures at the end."""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

import tinygrad_jac as torch
from tinygrad_jac import nn

try:
    from tqdm import tqdm
except ImportError:  # the progress bar is all that is lost
    tqdm = None


def options(description: str | None, *, epochs: str) -> argparse.ArgumentParser:
    """A parser of the options that all training examples have."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=("mlp", "cnn"), default="mlp", help="fully connected, or convolutional")
    parser.add_argument("--epochs", type=positive(int), help=f"passes over the training data (default: {epochs})")
    parser.add_argument("--lr", type=positive(float), help="learning rate (default: one that suits the model)")
    parser.add_argument("--seed", type=int, default=0, help="of initialisation and order (default: 0)")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "out", help="folder of the pictures")
    return parser


def positive(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    """A number above 0, for argparse."""

    def read(text: str) -> Any:
        value = kind(text)
        if not 0 < value < float("inf"):
            raise argparse.ArgumentTypeError(f"{text} is not above 0")
        return value

    read.__name__ = f"positive {kind.__name__}"
    return read


def progress(batches: Iterable[Any], title: str) -> Iterable[Any]:
    """The batches, with a bar in the terminal; without one where there is no terminal."""
    return tqdm(batches, title, leave=False, disable=None) if tqdm else batches


def train(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    train_loader: Iterable[Any],
    test_loader: Iterable[Any],
    epochs: int,
    augment: Callable[[Any], Any] = lambda images: images,
) -> dict[str, list[float]]:
    """Train a classifier, print a line for each epoch, and return what the lines say.

    The learning rate falls to 0 along half a cosine: the last epochs settle what the first ones found.
    """
    criterion, rate = nn.CrossEntropyLoss(), optimizer.param_groups[0]["lr"]
    history: dict[str, list[float]] = {"train loss": [], "train accuracy": [], "test loss": [], "test accuracy": []}
    for epoch in range(1, epochs + 1):
        start, total, right, count = time.perf_counter(), 0.0, 0, 0
        optimizer.param_groups[0]["lr"] = rate * (1 + math.cos(math.pi * (epoch - 1) / epochs)) / 2
        model.train()
        for images, labels in progress(train_loader, f"epoch {epoch}/{epochs}"):
            optimizer.zero_grad()
            logits = model(augment(images))
            loss = criterion(logits, labels)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(labels)
            right += (logits.argmax(dim=1) == labels).sum().item()
            count += len(labels)
        test_loss, predicted, labels = evaluate(model, test_loader)
        accuracy = (predicted == labels).mean()
        for name, value in zip(history, (total / count, right / count, test_loss, accuracy)):
            history[name].append(float(value))
        print(
            f"epoch {epoch:{len(str(epochs))}}/{epochs}  train loss {total / count:.4f}  accuracy {right / count:.4f}"
            f"   test loss {test_loss:.4f}  accuracy {accuracy:.4f}   {time.perf_counter() - start:.1f} s",
            flush=True,
        )
    return history


@torch.no_grad()
def evaluate(model: nn.Module, loader: Iterable[Any]) -> tuple[float, np.ndarray, np.ndarray]:
    """The mean loss, the predicted classes and the true ones."""
    criterion = nn.CrossEntropyLoss(reduction="sum")
    model.eval()
    total, predicted, true = 0.0, [], []
    for images, labels in loader:
        logits = model(images)
        total += criterion(logits, labels).item()
        predicted.append(logits.argmax(dim=1).numpy())
        true.append(labels.numpy())
    return total / sum(map(len, true)), np.concatenate(predicted), np.concatenate(true)


def make_folder(path: Path) -> Path:
    """The folder, made where it is missing; before the training, so that its work is not lost at the end."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fail(f"the folder {path} cannot be made: {error.strerror}; name another with --out")
    if not os.access(path, os.W_OK):
        fail(f"nothing can be written into the folder {path}; name another with --out")
    return path


def fail(sentence: str) -> NoReturn:
    """End the program with one sentence."""
    print(f"{Path(sys.argv[0]).name}: {' '.join(sentence.split())}", file=sys.stderr)
    raise SystemExit(1)


# ------------------------------------------------------------------------------------------------ pictures


def draw(picture: Callable[..., None], *args: Any) -> None:
    """Have a function draw its picture with matplotlib; without it, say that there is none."""
    try:
        picture(*args)
    except ImportError:
        print("no picture: it needs matplotlib (pip install matplotlib)", file=sys.stderr)


RIGHT, WRONG, INK = "#2a7f62", "#c8382b", "#333333"


def save_pictures(
    folder: Path,
    name: str,
    history: dict[str, list[float]],
    images: np.ndarray,
    predicted: np.ndarray,
    true: np.ndarray,
) -> None:
    """Draw the course of the training and some predictions, and say where they are."""
    try:
        import matplotlib
    except ImportError:
        print("no pictures: they need matplotlib (pip install matplotlib)", file=sys.stderr)
        return
    matplotlib.use("Agg")  # into files, on machines without a screen too
    from matplotlib import pyplot as plt

    drawn = {"loss": loss_curve(plt, history), "predictions": predictions(plt, images, predicted, true)}
    for kind, figure in drawn.items():
        path = folder / f"{name}_{kind}.png"
        figure.savefig(path, dpi=120)
        plt.close(figure)
        print(f"wrote {path}")


def loss_curve(plt: Any, history: dict[str, list[float]]) -> Any:
    """Loss and error over the epochs, both on logarithmic axes: they fall by orders of magnitude."""
    figure, (losses, errors) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    epochs = np.arange(1, len(history["train loss"]) + 1)
    for part, color in (("train", "#8aa4c8"), ("test", "#1f3b73")):
        loss, error = np.array(history[f"{part} loss"]), 100 * (1 - np.array(history[f"{part} accuracy"]))
        style = dict(color=color, marker="o", markersize=3)
        losses.plot(epochs, loss, label=f"{part}, {loss[-1]:.3g} at the end", **style)
        errors.plot(epochs, error, label=f"{part}, {error[-1]:.2f} % at the end", **style)
    losses.set(title="cross-entropy loss", yscale="log")
    errors.set(title="wrong, %")
    errors.set_yscale("symlog", linthresh=1)  # linear below 1 %: there may be no error at all
    errors.set_yticks([0, 1, 10, 100], ["0", "1", "10", "100"])
    errors.set_ylim(0, 100)
    for panel in (losses, errors):
        panel.set_xlabel("epoch")
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(alpha=0.25)
        panel.legend(frameon=False)
    return figure


def predictions(plt: Any, images: np.ndarray, predicted: np.ndarray, true: np.ndarray, columns: int = 10) -> Any:
    """Test images with what the network took them for: mistakes first, two rows at most, then two rows without."""
    mistakes, hits = np.flatnonzero(predicted != true), np.flatnonzero(predicted == true)
    shown = [*mistakes[: 2 * columns], *hits[: 4 * columns - min(len(mistakes), 2 * columns)]]
    rows = -(-len(shown) // columns)
    figure, panels = plt.subplots(rows, columns, figsize=(columns, 1.25 * rows + 0.5), layout="constrained")
    for panel in panels.flat:
        panel.set(xticks=[], yticks=[])
        panel.spines[:].set_visible(False)
    for panel, k in zip(panels.flat, shown):
        right = predicted[k] == true[k]
        panel.imshow(images[k], cmap="gray_r")
        title = f"✓ {predicted[k]}" if right else f"✗ {predicted[k]}, is {true[k]}"
        panel.set_title(title, color=RIGHT if right else WRONG, fontsize=10, pad=3)
        panel.spines[:].set(visible=not right, color=WRONG)
    figure.suptitle(
        f"{len(true)} test digits: {len(hits)} right, {len(mistakes)} wrong ({len(hits) / len(true):.2%})",
        color=INK, fontsize=12,
    )  # fmt: skip
    return figure
