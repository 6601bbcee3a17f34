"""The pictures of the chapter "Next steps": singular values by depth and through time, and five Jacobians as images.

Run it to write ``docs/pictures/next-steps-*.svg`` anew. Needs matplotlib.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
import numpy as np

import tinygrad_jac as tj
from tinygrad_jac import nn
from tinygrad_jac.jacobians import chain
from tinygrad_jac.nn import functional as F

PICTURES = Path(__file__).parents[1] / "pictures"
BLUE, ORANGE, GREEN, PINK = "#0072b2", "#d55e00", "#009e73", "#cc79a7"  # told apart by all eyes


def leaf(array: Any) -> Any:
    return tj.tensor(np.asarray(array, dtype=float), requires_grad=True)


def singular_values(matrix: Any) -> Any:
    return np.linalg.svd(matrix, compute_uv=False)


def save(figure: Any, name: str) -> None:
    PICTURES.mkdir(exist_ok=True)
    # No date and no random ids: the same numbers give the same file.
    figure.savefig(PICTURES / f"next-steps-{name}.svg", bbox_inches="tight", dpi=150, metadata={"Date": None})
    plt.close(figure)


def band(axis: Any, steps: Any, values: Any, color: str, label: str) -> None:
    """From the largest to the smallest singular value."""
    axis.fill_between(steps, values[:, -1], values[:, 0], color=color, alpha=0.25, linewidth=0)
    axis.plot(steps, values[:, 0], color=color, label=label)
    axis.plot(steps, values[:, -1], color=color, linewidth=0.8)


def through_layers(residual: bool, depth: int, n: int = 8) -> Any:
    rng = np.random.default_rng(0)
    x = h = leaf(rng.normal(size=n))
    found = []
    for _ in range(depth):
        f = tj.tanh(tj.tensor(rng.normal(size=(n, n)) * 0.5 / np.sqrt(n)) @ h)
        h = h + f if residual else f
        found.append(singular_values(chain(h, {"x": x}).dense()))
    return np.array(found)


def rnn_through_time(g: float, steps: int, n: int = 6) -> Any:
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(n, n)))[0]
    rnn = nn.RNN(2, n, bias=False).double()
    with tj.no_grad():
        rnn.weight_hh_l0.copy_(tj.tensor(g * rotation))
        rnn.weight_ih_l0.copy_(tj.tensor(0.01 * np.random.default_rng(1).normal(size=(n, 2))))
    h0 = leaf(np.zeros((1, n)))
    hs, _ = rnn(tj.tensor(np.random.default_rng(2).normal(size=(steps, 2))), h0)
    return singular_values(chain(hs, {"h0": h0}).dense().reshape(steps, n, n))


def lstm_through_time(bias: float, steps: int, n: int = 6) -> Any:
    tj.manual_seed(0)
    lstm = nn.LSTM(2, n).double()
    with tj.no_grad():
        lstm.bias_hh_l0[n : 2 * n].fill_(bias)
    xs = tj.tensor(np.random.default_rng(2).normal(size=(steps, 2)))
    found = []
    for t in range(1, steps + 1):
        c0 = leaf(np.zeros((1, n)))
        _, (_, c) = lstm(xs[:t], (tj.zeros(1, n, dtype=tj.float64), c0))
        found.append(singular_values(chain(c, {"c0": c0}).dense()))
    return np.array(found)


def draw_depth() -> None:
    figure, axis = plt.subplots(figsize=(6, 3))
    layers = np.arange(1, 41)
    band(axis, layers, through_layers(True, 40), BLUE, "residual: I + J in each layer")
    band(axis, layers, through_layers(False, 40), ORANGE, "plain: J in each layer")
    axis.set(yscale="log", ylim=(1e-16, 1e2), xlabel="layers", ylabel="singular values of ∂h/∂x")
    axis.legend(frameon=False, loc="center right", bbox_to_anchor=(1, 0.66))
    save(figure, "depth")


def draw_time() -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3), sharey=True)
    steps = np.arange(1, 31)
    for g, color in [(1.5, PINK), (1.0, BLUE), (0.9, GREEN), (0.5, ORANGE)]:
        band(left, steps, rnn_through_time(g, 30), color, f"g = {g}")
    for bias, color in [(5.0, BLUE), (2.0, GREEN), (0.0, ORANGE)]:
        band(right, steps, lstm_through_time(bias, 30), color, f"forget bias {bias:.0f}")
    left.set(yscale="log", ylim=(1e-10, 1e3), xlabel="t", ylabel="singular values", title="RNN: ∂h(t)/∂h(0)")
    right.set(xlabel="t", title="LSTM: ∂c(t)/∂c(0)")
    left.legend(frameon=False, loc="lower left")
    right.legend(frameon=False, loc="lower left")
    save(figure, "time")


def draw_matrices() -> None:
    rng = np.random.default_rng(3)
    scores = leaf(np.linspace(-1, 1, 10)[[3, 8, 0, 5, 9, 1, 7, 2, 6, 4]])
    queries, keys, values = leaf(rng.normal(size=(4, 3))), leaf(rng.normal(size=(5, 3))), leaf(rng.normal(size=(5, 3)))
    rnn = nn.RNN(3, 3).double()
    with tj.no_grad():
        rnn.weight_hh_l0.copy_(tj.tensor(0.9 * np.linalg.qr(rng.normal(size=(3, 3)))[0]))
    xs, batch = leaf(rng.normal(size=(5, 3))), leaf(rng.uniform(-1, 1, size=(4, 4)))
    attended = F.scaled_dot_product_attention(queries, keys, values)
    shown = [
        ("softmax", chain(tj.softmax(scores, 0), [scores]), None),
        ("attention\nby 4 queries", chain(attended, [queries]), 3),
        ("RNN, 5 steps\nby its inputs", chain(rnn(xs)[0], [xs]), 3),
        ("batch norm\n4 samples", chain(nn.BatchNorm1d(4).double()(batch), [batch]), 4),
        ("layer norm\n4 samples", chain(nn.LayerNorm(4).double()(batch), [batch]), 4),
    ]
    figure, axes = plt.subplots(1, len(shown), figsize=(9, 2.4))
    for axis, (title, J, block) in zip(axes, shown):
        matrix = J.dense()
        m, n = matrix.shape
        most = np.abs(matrix).max()
        axis.pcolormesh(matrix, cmap="RdBu_r", vmin=-most, vmax=most, rasterized=True)
        for edge in range(block or m, m, block or m):
            axis.axhline(edge, color="0.6", linewidth=0.5)
        for edge in range(block or n, n, block or n):
            axis.axvline(edge, color="0.6", linewidth=0.5)
        axis.invert_yaxis()
        axis.set(aspect="equal", xticks=[], yticks=[])
        axis.set_title(title, fontsize=9)
    save(figure, "matrices")


def main() -> None:
    with plt.rc_context({"svg.hashsalt": "tinygrad_jac", "svg.fonttype": "none", "font.size": 9}):
        draw_depth()
        draw_time()
        draw_matrices()


if __name__ == "__main__":
    main()
