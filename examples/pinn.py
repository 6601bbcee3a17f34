"""Solve a differential equation with a network: a physics-informed neural network.

A damped oscillator, u″ + 2 δ u′ + ω² u = 0 with u(0) = 1 and u′(0) = 0, is solved by a network u(t) that is trained on
nothing but the equation and its initial values: the loss holds u′ and u″, gradients with respect to the *input*, and
its gradient with respect to the weights goes through them. First Adam, then L-BFGS. At the end there is a picture in
--out that compares with the exact solution. The last line printed is the relative error.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path

import numpy as np
from common import make_folder, positive

import tinygrad_jac as torch
from tinygrad_jac import nn, optim

DAMPING, FREQUENCY, END = 0.5, 3.0, 6.0  # δ, ω and until when


def exact(t: np.ndarray) -> np.ndarray:
    """The solution, by hand: exp(−δt) (cos νt + δ/ν sin νt) with ν² = ω² − δ²."""
    nu = math.sqrt(FREQUENCY**2 - DAMPING**2)
    return np.exp(-DAMPING * t) * (np.cos(nu * t) + DAMPING / nu * np.sin(nu * t))


def network(width: int = 32) -> nn.Module:
    return nn.Sequential(
        nn.Linear(1, width), nn.Tanh(),
        nn.Linear(width, width), nn.Tanh(),
        nn.Linear(width, 1),
    )  # fmt: skip


def derivative(u: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """du/dt at each point, itself differentiable."""
    (found,) = torch.autograd.grad(u, t, grad_outputs=torch.ones_like(u), create_graph=True)
    return found


def residual(model: nn.Module, t: torch.Tensor) -> torch.Tensor:
    """By how much the equation is missed at each point, in units of ω²."""
    u = model(t / END)
    du = derivative(u, t)
    return (derivative(du, t) + 2 * DAMPING * du) / FREQUENCY**2 + u


def loss_of(model: nn.Module, t: torch.Tensor) -> torch.Tensor:
    """How badly the equation and the initial values are met.

    A sum, since L-BFGS takes no notice of steps along which loss and gradient change by less than some 1e-10: the mean
    would be that small long before the network is as good as it gets.
    """
    start = torch.zeros(1, 1, dtype=t.dtype, requires_grad=True)
    u = model(start / END)
    initial = ((u - 1) ** 2 + (derivative(u, start) / FREQUENCY) ** 2).sum()
    return (residual(model, t) ** 2).sum() + len(t) * initial


def train(model: nn.Module, t: torch.Tensor, adam_steps: int, lbfgs_steps: int) -> list[float]:
    """The losses of all evaluations: of Adam, which finds the valley, and of L-BFGS, which goes down in it."""
    losses: list[float] = []

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = loss_of(model, t)
        loss.backward()
        losses.append(loss.item())
        return loss

    optimizer: optim.Optimizer = optim.Adam(model.parameters(), lr=2e-2)
    scheduler = optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.1 ** (1 / max(adam_steps, 1)))
    for step in range(1, adam_steps + 1):
        optimizer.step(closure)
        scheduler.step()
        if step % max(1, adam_steps // 5) == 0:
            print(f"Adam   {step:5} steps  loss {losses[-1]:.2e}", flush=True)
    optimizer = optim.LBFGS(
        model.parameters(), max_iter=50, history_size=50, tolerance_change=0, line_search_fn="strong_wolfe"
    )
    for step in range(1, lbfgs_steps + 1):
        optimizer.step(closure)
        if step % max(1, lbfgs_steps // 5) == 0:
            print(f"L-BFGS {50 * step:5} steps  loss {min(losses):.2e}", flush=True)
    return losses


def save_picture(path: Path, t: np.ndarray, u: np.ndarray, missed: np.ndarray, losses: list[float], adam: int) -> None:
    """Draw the solution beside the exact one, the errors, and the course of the training; say where it is."""
    try:
        import matplotlib
    except ImportError:
        print("no picture: it needs matplotlib (pip install matplotlib)", file=sys.stderr)
        return
    matplotlib.use("Agg")  # into a file, on machines without a screen too
    from matplotlib import pyplot as plt

    figure, (solution, errors, course) = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    solution.plot(t, exact(t), color="#b8c4d9", linewidth=5, label="exact")
    solution.plot(t, u, color="#1f3b73", linewidth=1.5, label="network")
    solution.set(title="u(t)", xlabel="t")
    errors.plot(t, np.abs(u - exact(t)), color="#1f3b73", label="|u − exact|")
    errors.plot(t, np.abs(missed), color="#c8382b", linewidth=0.8, label="|residual| / ω²")
    errors.set(title="errors", xlabel="t", yscale="log")
    course.plot(np.arange(1, adam + 1), losses[:adam], color="#8aa4c8", label="Adam")
    course.plot(
        np.arange(adam + 1, len(losses) + 1), np.minimum.accumulate(losses[adam:]), color="#1f3b73", label="L-BFGS"
    )
    course.set(title="loss", xlabel="evaluations", yscale="log")
    for panel in (solution, errors, course):
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(alpha=0.25)
        panel.legend(frameon=False)
    figure.savefig(path, dpi=120)
    plt.close(figure)
    print(f"wrote {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--adam", type=positive(int), default=1000, help="steps of Adam (default: 1000)")
    parser.add_argument("--lbfgs", type=positive(int), default=40, help="times 50 steps of L-BFGS (default: 40)")
    parser.add_argument(
        "--points", type=positive(int), default=100, help="where the equation is asked for (default: 100)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the initialisation (default: 0)")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "out", help="folder of the picture")
    args = parser.parse_args()
    folder = make_folder(args.out)
    torch.manual_seed(args.seed)
    torch.set_default_dtype(torch.float64)  # L-BFGS divides small differences of gradients

    start = time.perf_counter()
    model = network()
    print(model)
    t = torch.linspace(0, END, args.points).reshape(-1, 1).requires_grad_()
    losses = train(model, t, args.adam, args.lbfgs)
    print(f"{len(losses)} evaluations in {time.perf_counter() - start:.1f} s")

    between = torch.linspace(0, END, 601).reshape(-1, 1).requires_grad_()  # most of them in no loss
    u, missed = (x.detach().numpy()[:, 0] for x in (model(between / END), residual(model, between)))
    times = between.detach().numpy()[:, 0]
    save_picture(folder / "pinn.png", times, u, missed, losses, args.adam)
    print(f"relative error {np.linalg.norm(u - exact(times)) / np.linalg.norm(exact(times)):.2e}")


if __name__ == "__main__":
    main()
