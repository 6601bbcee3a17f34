"""Tell three spirals apart: a small network, trained, saved, loaded again, and drawn.

Three arms of noisy points wind around each other, and no straight line parts them. The weights are written to
spirals.pt in --out and read back into a second network, which draws the picture: what it takes every place of the plane
for. The last line printed is the accuracy on points that it was not trained on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from common import draw, make_folder, positive

import tinygrad_jac as torch
from tinygrad_jac import nn, optim

COLORS = ("#c8382b", "#2a7f62", "#1f3b73")


def spirals(count: int, noise: float = 0.35) -> tuple[torch.Tensor, torch.Tensor]:
    """Points (3·count, 2) on three arms of one and a quarter turns, and the arm of each."""
    arm = torch.arange(3).repeat_interleave(count)
    radius = torch.rand(3 * count).sqrt()  # the further out, the more points: as many on each piece of an arm
    angle = 2 * np.pi * (arm / 3 + 1.25 * radius) + noise * torch.randn(3 * count)
    return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1), arm


class Net(nn.Module):
    def __init__(self, hidden: int = 64) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh(), nn.Linear(hidden, 3)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def train(model: nn.Module, x: torch.Tensor, y: torch.Tensor, steps: int, lr: float) -> list[float]:
    """Train on all points in each step; the losses."""
    criterion, optimizer = nn.CrossEntropyLoss(), optim.Adam(model.parameters(), lr=lr)
    losses = []
    for step in range(1, steps + 1):
        optimizer.zero_grad()
        logits = model(x)
        loss = criterion(logits, y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if step % max(1, steps // 10) == 0:
            accuracy = (logits.argmax(dim=1) == y).float().mean().item()
            print(f"step {step:{len(str(steps))}}/{steps}  loss {loss.item():.4f}  accuracy {accuracy:.4f}", flush=True)
    return losses


@torch.no_grad()
def probabilities(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    model.eval()
    return model(x).softmax(dim=1)


def picture(path: Path, model: nn.Module, x: np.ndarray, y: np.ndarray, losses: list[float]) -> None:
    """The regions of the three arms, paler where the network is less sure, with test points; and the losses."""
    from matplotlib.colors import to_rgb
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.8), layout="constrained")
    plane, curve = figure.subplots(1, 2, width_ratios=[1.25, 1])
    reach, pixels = 1.3, 300
    axis = torch.linspace(-reach, reach, pixels)
    places = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1).reshape(-1, 2)
    shares = probabilities(model, places).numpy()
    colors = np.array([to_rgb(color) for color in COLORS])
    pale = 1 - 0.45 * (1 - shares @ colors)
    plane.imshow(pale.reshape(pixels, pixels, 3), origin="lower", extent=(-reach, reach, -reach, reach))

    predicted = probabilities(model, torch.from_numpy(x)).argmax(dim=1).numpy()
    wrong = predicted != y
    plane.scatter(*x.T, c=np.array(COLORS)[y], s=12, edgecolor="white", linewidth=0.4)
    plane.scatter(*x[wrong].T, s=60, facecolor="none", edgecolor="black", linewidth=1)
    plane.set(xticks=[], yticks=[], xlim=(-reach, reach), ylim=(-reach, reach))
    plane.set_title(f"{len(y)} test points, {wrong.sum()} on the wrong side (circles)", fontsize=11)

    curve.plot(np.arange(1, len(losses) + 1), losses, color=COLORS[2])
    curve.set(xlabel="step", yscale="log")
    curve.set_title("cross-entropy loss", fontsize=11)
    curve.spines[["top", "right"]].set_visible(False)
    curve.grid(alpha=0.25)
    figure.savefig(path, dpi=120)
    print(f"wrote {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=positive(int), default=500, help="of gradient descent (default: 500)")
    parser.add_argument("--lr", type=positive(float), default=0.01, help="learning rate of Adam (default: 0.01)")
    parser.add_argument("--seed", type=int, default=0, help="of points and initial weights (default: 0)")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "out", help="folder of what is written")
    args = parser.parse_args()
    folder = make_folder(args.out)
    torch.manual_seed(args.seed)

    (x, y), (x_test, y_test) = spirals(150), spirals(100)
    trained = Net()
    losses = train(trained, x, y, args.steps, args.lr)

    torch.save(trained.state_dict(), folder / "spirals.pt")
    print(f"wrote {folder / 'spirals.pt'}")
    model = Net()
    model.load_state_dict(torch.load(folder / "spirals.pt"))
    found = probabilities(model, x_test)
    assert torch.equal(found, probabilities(trained, x_test)), "the weights are not those that were saved"

    draw(picture, folder / "spirals.png", model, x_test.numpy(), y_test.numpy(), losses)
    print(f"test accuracy {(found.argmax(dim=1) == y_test).float().mean().item():.4f}")


if __name__ == "__main__":
    main()
