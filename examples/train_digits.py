"""Train a network on handwritten digits.

The data are the 1797 digits of 8x8 pixels in examples/data; a fifth of each class is kept for the test. At the end
there are three pictures in --out: the course of the training, some predictions, and the graph of the computation from
images to loss. The last line printed is the accuracy on the test digits.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from common import evaluate, make_folder, options, save_pictures, train

import tinygrad_jac as torch
from tinygrad_jac import nn, optim, viz
from tinygrad_jac.utils.data import DataLoader, TensorDataset

DATA = Path(__file__).parent / "data" / "digits.csv.gz"


def load_digits() -> tuple[TensorDataset, TensorDataset]:
    """Training and test digits; always the same, and of each class a fifth for the test."""
    with gzip.open(DATA, "rt") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.float32)
    images, labels = table[:, :64].reshape(-1, 1, 8, 8) / 16, table[:, 64].astype(np.int64)
    order = np.random.default_rng(0).permutation(len(labels))
    tests = np.concatenate([(of_class := order[labels[order] == c])[: len(of_class) // 5] for c in range(10)])
    training = np.setdiff1d(order, tests)
    parts = ((torch.from_numpy(images[part]), torch.from_numpy(labels[part])) for part in (training, np.sort(tests)))
    train_set, test_set = (TensorDataset(*part) for part in parts)
    return train_set, test_set


def mlp() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 10))


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 16, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(32 * 4 * 4, 10),
    )


def shift(images: torch.Tensor) -> torch.Tensor:
    """The images moved by a random pixel: a digit is the same one a little further left."""
    down, right = torch.randint(0, 3, (2,)).tolist()
    return nn.functional.pad(images, (1, 1, 1, 1))[:, :, down : down + 8, right : right + 8]


def save_graph(path: Path, model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> None:
    """Draw what a step of the training differentiates: from a batch to its loss."""
    model.train()
    with viz.recording(model):
        loss = nn.CrossEntropyLoss()(model(images), labels)
    graph = viz.graph({"loss": loss}, params=model, inputs={"images": images, "labels": labels}, title=path.stem)
    path.write_text(graph.to_svg(), encoding="utf-8")
    print(f"wrote {path}")


def main() -> None:
    parser = options(__doc__, epochs="40 of the mlp, 30 of the cnn")
    args = parser.parse_args()
    folder = make_folder(args.out)
    torch.manual_seed(args.seed)

    train_set, test_set = load_digits()
    train_loader = DataLoader(train_set, batch_size=32, shuffle=True)
    test_loader = DataLoader(test_set, batch_size=256)
    model = mlp() if args.model == "mlp" else cnn()
    optimizer = optim.SGD(model.parameters(), lr=args.lr or 0.05, momentum=0.9, weight_decay=1e-4)

    print(model)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, {len(train_set)} digits to learn from")
    epochs = args.epochs or (40 if args.model == "mlp" else 30)
    history = train(model, optimizer, train_loader, test_loader, epochs, shift if args.model == "cnn" else lambda x: x)

    _, predicted, true = evaluate(model, test_loader)
    images = test_set.tensors[0].numpy()[:, 0]
    save_pictures(folder, f"digits_{args.model}", history, images, predicted, true)
    save_graph(folder / f"digits_{args.model}_graph.svg", model, *next(iter(train_loader)))
    print(f"test accuracy {(predicted == true).mean():.4f}")


if __name__ == "__main__":
    main()
