"""A variational autoencoder of handwritten digits, with a latent plane that can be drawn.

Two numbers have to say all about a digit of 8x8 pixels. The encoder gives the place in the plane where they lie, and
how sure it is; the decoder draws a digit from a place. Training raises a lower bound of the digits' log-probability
(Kingma and Welling, 2014): how well a digit is drawn again, less how far the encoder's answer is from a standard normal
distribution. The last line printed is that bound's negative on digits that were not trained on, in nats per digit.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from common import draw, make_folder, positive, progress
from train_digits import load_digits

import tinygrad_jac as torch
import tinygrad_jac.nn.functional as F
from tinygrad_jac import nn, optim
from tinygrad_jac.utils.data import DataLoader


class VAE(nn.Module):
    def __init__(self, hidden: int = 128, latent: int = 2) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, hidden), nn.ReLU())
        self.mean = nn.Linear(hidden, latent)
        self.log_variance = nn.Linear(hidden, latent)
        self.decoder = nn.Sequential(
            nn.Linear(latent, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 64)
        )

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found = self.encoder(x)
        return self.mean(found), self.log_variance(found)

    def reparametrize(self, mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
        """A draw from the encoder's distribution that depends smoothly on its parameters."""
        return mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Logits of the pixels."""
        return self.decoder(z).view(-1, 1, 8, 8)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        mean, log_variance = self.encode(x)
        return self.decode(self.reparametrize(mean, log_variance)), mean, log_variance


def losses(
    logits: torch.Tensor, x: torch.Tensor, mean: torch.Tensor, log_variance: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """What drawing the digits again costs, and their divergence from the standard normal; both summed, in nats."""
    drawing = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
    divergence = -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())
    return drawing, divergence


@torch.no_grad()
def evaluate(model: VAE, loader: DataLoader) -> tuple[float, np.ndarray, np.ndarray]:
    """The bound's negative per digit, where the digits lie in the plane, and which they are."""
    model.eval()
    total, places, labels = 0.0, [], []
    for images, digits in loader:
        logits, mean, log_variance = model(images)
        total += sum(part.item() for part in losses(logits, images, mean, log_variance))
        places.append(mean.numpy())
        labels.append(digits.numpy())
    return total / sum(map(len, labels)), np.concatenate(places), np.concatenate(labels)


def tiled(images: torch.Tensor, rows: int) -> np.ndarray:
    """Images (n, 1, 8, 8) side by side in rows, with a line of background between them."""
    padded = F.pad(images, (1, 1, 1, 1)).reshape(rows, -1, 10, 10)
    return padded.permute(0, 2, 1, 3).reshape(rows * 10, -1).numpy()


@torch.no_grad()
def picture(path: Path, model: VAE, images: torch.Tensor, places: np.ndarray, digits: np.ndarray) -> None:
    """Digits drawn again, digits drawn from chance, where digits lie in the plane, and what is drawn from where."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 8), layout="constrained")
    panels = figure.subplot_mosaic([["again", "chance"], ["plane", "drawn"]], height_ratios=[1, 2.9])
    shown = images[:: len(images) // 12][:12]
    again = model.decode(model.encode(shown)[0]).sigmoid()
    chance = model.decode(torch.randn(24, 2)).sigmoid()
    reach, count = 3.0, 16
    axis = torch.linspace(-reach, reach, count)
    grid = torch.stack(torch.meshgrid(axis, axis.flip(0), indexing="xy"), dim=-1).reshape(-1, 2)
    drawn = model.decode(grid).sigmoid()

    edge = reach * (1 + 1 / (count - 1))  # so that the middle of each tile is its place
    for name, title, tiles, extent in (
        ("again", "test digits, and below them drawn again", tiled(torch.cat([shown, again]), 2), None),
        ("chance", "drawn from the normal distribution", tiled(chance, 2), None),
        ("drawn", "what is drawn from where", tiled(drawn, count), (-edge, edge, -edge, edge)),
    ):
        panels[name].imshow(tiles, cmap="gray_r", vmin=0, vmax=1, extent=extent)
        panels[name].set_title(title, fontsize=11)
    for name in ("again", "chance"):
        panels[name].set_axis_off()

    colors = colormaps["tab10"]
    for digit in range(10):
        of_digit = places[digits == digit]
        panels["plane"].scatter(*of_digit.T, s=9, color=colors(digit), label=str(digit))
    panels["plane"].set(xlim=(-edge, edge), ylim=(-edge, edge), aspect="equal")
    panels["plane"].set_title("where the encoder puts the test digits", fontsize=11)
    panels["plane"].legend(ncols=10, fontsize=8, markerscale=2, handletextpad=0, columnspacing=0.6, frameon=False,
                           loc="upper center", bbox_to_anchor=(0.5, -0.06))  # fmt: skip
    figure.savefig(path, dpi=120)
    print(f"wrote {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=positive(int), default=150, help="passes over the digits (default: 150)")
    parser.add_argument("--lr", type=positive(float), default=0.002, help="learning rate of Adam (default: 0.002)")
    parser.add_argument("--seed", type=int, default=0, help="of initialisation, order and noise (default: 0)")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "out", help="folder of the picture")
    args = parser.parse_args()
    folder = make_folder(args.out)
    torch.manual_seed(args.seed)

    train_set, test_set = load_digits()
    train_loader = DataLoader(train_set, batch_size=64, shuffle=True)
    test_loader = DataLoader(test_set, batch_size=256)
    model = VAE()
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
    for epoch in range(1, args.epochs + 1):
        model.train()
        totals = np.zeros(2)
        for images, _ in progress(train_loader, f"epoch {epoch}/{args.epochs}"):
            optimizer.zero_grad()
            logits, mean, log_variance = model(images)
            drawing, divergence = losses(logits, images, mean, log_variance)
            ((drawing + divergence) / len(images)).backward()
            optimizer.step()
            totals += drawing.item(), divergence.item()
        if epoch % max(1, args.epochs // 10) == 0:
            drawing, divergence = totals / len(train_set)
            test_loss = evaluate(model, test_loader)[0]
            print(
                f"epoch {epoch:{len(str(args.epochs))}}/{args.epochs}  drawing {drawing:.3f} + divergence "
                f"{divergence:.3f} = {drawing + divergence:.3f}   test {test_loss:.3f}",
                flush=True,
            )

    test_loss, places, digits = evaluate(model, test_loader)
    draw(picture, folder / "vae_digits.png", model, test_set.tensors[0], places, digits)
    print(f"test loss {test_loss:.4f}")


if __name__ == "__main__":
    main()
