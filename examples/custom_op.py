"""An op of one's own, stated, checked, and trained with.

The op is *snake*, s(x, a) = x + sin²(ax)/a (Ziyin, Hartwig and Ueda, 2020): an activation with which a network can go
on with a periodic function where its data end. It is written twice: as a primitive, with a VJP rule and a Jacobian for
each argument, and as an autograd.Function. Both are checked, and agree; a rule with a planted fault is found. Then a
network with snake and one with ReLU learn a wave on an interval. The last line printed is how far they are off outside.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from common import draw, make_folder, positive

import tinygrad_jac as torch
from tinygrad_jac import nn, optim
from tinygrad_jac.autograd import Function, GradcheckError, gradcheck
from tinygrad_jac.jacobians import Diagonal

# ------------------------------------------------------------------------------------------------ the op, twice

# ds/dx = 1 + sin(2ax)        ds/da = x sin(2ax)/a - sin²(ax)/a²
#
# A rule takes a cotangent g back through the op; a statement is the Jacobian itself, the diagonal of these derivatives.
# They are written in different words, with the double angle there and half of it here, so that one checks the other.
snake = torch.primitive(
    "snake",
    lambda x, a: x + np.sin(a * x) ** 2 / a,
    elementwise=True,
    saves="x a",
    vjp=(
        lambda g, out, x, a: g * (1 + np.sin(2 * a * x)),
        lambda g, out, x, a: g * (x * np.sin(2 * a * x) - np.sin(a * x) ** 2 / a) / a,
    ),
    jacobian=(
        lambda out, x, a: Diagonal(1 + 2 * np.sin(a * x) * np.cos(a * x)),
        lambda out, x, a: Diagonal(2 * x * np.sin(a * x) * np.cos(a * x) / a - (np.sin(a * x) / a) ** 2),
    ),
)


class Snake(Function):
    """The same in PyTorch's form: a forward, and a backward for both arguments."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x, a)
        return x + torch.sin(a * x) ** 2 / a

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x, a = ctx.saved_tensors
        of_x = g * (1 + torch.sin(2 * a * x))
        of_a = g * (x * torch.sin(2 * a * x) - torch.sin(a * x) ** 2 / a) / a
        return of_x, of_a.sum(dim=0)  # a is one number for each column of x


def check() -> None:
    """Hold both forms against numerical derivatives and each other; then plant a fault."""
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    a = torch.tensor([0.5, 1.0, 3.0], dtype=torch.float64, requires_grad=True)
    print("gradcheck of the primitive:", gradcheck(snake, (x, a)))
    print("gradcheck of the Function: ", gradcheck(Snake.apply, (x, a)))
    with torch.debug_mode() as report:
        snake(x, a).sum().backward()
    print("rules, Jacobians, numbers: ", report.ok)
    ours, theirs = (torch.autograd.grad(op(x, a).exp().sum(), (x, a)) for op in (snake, Snake.apply))
    print("the two forms agree:       ", all(torch.allclose(g, h) for g, h in zip(ours, theirs)))

    wrong = torch.primitive(
        "wrong snake",
        snake.forward,
        elementwise=True,
        saves="x a",
        vjp=(lambda g, out, x, a: g * (1 + np.sin(a * x)), snake.vjp[1]),  # sin(ax), where sin(2ax) should be
        jacobian=snake.jacobian,
    )
    try:
        gradcheck(wrong, (x, a))
    except GradcheckError as error:
        print("\nA rule that says sin(ax) in the place of sin(2ax):\n")
        print(error, end="\n\n")
    else:
        raise AssertionError("the planted fault was not found")


# ------------------------------------------------------------------------------------------------ used


class SnakeLayer(nn.Module):
    """The activation, with an `a` of each feature's own that is learnt too."""

    def __init__(self, features: int, a: float = 2.0) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.full((features,), a))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return snake(x, self.a)


def network(activation: nn.Module, hidden: int = 32) -> nn.Module:
    return nn.Sequential(nn.Linear(1, hidden), activation, nn.Linear(hidden, 1))


def wave(x: torch.Tensor) -> torch.Tensor:
    """What is to be learnt: it rises while it swings."""
    return torch.sin(3 * x) + 0.3 * x


def train(model: nn.Module, x: torch.Tensor, y: torch.Tensor, steps: int, lr: float) -> None:
    frequencies = [p for name, p in model.named_parameters() if name.endswith(".a")]
    others = [p for name, p in model.named_parameters() if not name.endswith(".a")]
    groups = [{"params": others, "weight_decay": 1e-3}, {"params": frequencies}]  # no decay: s has a pole at a = 0
    optimizer = optim.Adam([group for group in groups if group["params"]], lr=lr)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), y).backward()
        optimizer.step()


def picture(path: Path, models: dict[str, nn.Module], x: torch.Tensor, y: torch.Tensor, places: torch.Tensor) -> None:
    """The op for some values of a; and what the networks make of the wave, on its data and beyond."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.2), layout="constrained")
    op, fits = figure.subplots(1, 2, width_ratios=[1, 2])
    inputs = torch.linspace(-4, 4, 200)
    for a, color in ((0.5, "#8aa4c8"), (1.0, "#1f3b73"), (3.0, "#c8382b")):
        op.plot(inputs.numpy(), snake(inputs, a).numpy(), color=color, label=f"a = {a:g}")
    op.set_title("snake, x + sin²(ax)/a", fontsize=11)
    op.legend(frameon=False)

    fits.axvspan(x.min().item(), x.max().item(), color="#eeeeee", label="where the data are")
    fits.plot(places.numpy(), wave(places).numpy(), color="#333333", linewidth=1, linestyle="--", label="the wave")
    with torch.no_grad():
        for (name, model), color in zip(models.items(), ("#2a7f62", "#c8382b")):
            fits.plot(places.numpy(), model(places).numpy(), color=color, label=name)
    fits.plot(x.numpy(), y.numpy(), ".", color="#333333", markersize=3)
    fits.set_title("two networks, and where their data end", fontsize=11)
    fits.set(xlim=(-8.2, 9.8), ylim=(-4.5, 4))
    fits.legend(frameon=False, loc="lower right")
    for panel in (op, fits):
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
    print(f"wrote {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=positive(int), default=2000, help="of gradient descent (default: 2000)")
    parser.add_argument("--lr", type=positive(float), default=0.005, help="learning rate of Adam (default: 0.005)")
    parser.add_argument("--seed", type=int, default=0, help="of data and initial weights (default: 0)")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "out", help="folder of the picture")
    args = parser.parse_args()
    folder = make_folder(args.out)
    torch.manual_seed(args.seed)
    check()

    x = torch.linspace(-4, 4, 160).unsqueeze(1)
    y = wave(x) + 0.05 * torch.randn(160, 1)
    places = torch.linspace(-8, 8, 801).unsqueeze(1)
    outside = places[places.abs() > 4].unsqueeze(1)
    models = {"snake": network(SnakeLayer(32)), "ReLU": network(nn.ReLU())}
    errors = {}
    for name, model in models.items():
        train(model, x, y, args.steps, args.lr)
        with torch.no_grad():
            within, beyond = ((model(p) - wave(p)).pow(2).mean().sqrt().item() for p in (x, outside))
        errors[name] = beyond
        print(f"{name}: off by {within:.4f} where the data are, by {beyond:.4f} beyond (root of the mean square)")

    draw(picture, folder / "custom_op.png", models, x, y, places)
    print(f"extrapolation error {errors['snake']:.4f} with snake, {errors['ReLU']:.4f} with ReLU")


if __name__ == "__main__":
    main()
