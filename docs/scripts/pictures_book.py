"""The book's pictures: its matrices to scale, cell by cell, and the graphs that they are read from.

Run it to write ``docs/pictures`` anew. Needs matplotlib. Nothing here is drawn by hand: every cell is an entry of a
Jacobian that the library computed for the network of the chapter.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import PatchCollection
from matplotlib.patches import Rectangle

import tinygrad_jac as tj
from tinygrad_jac import nn, viz
from tinygrad_jac.jacobians import chain
from tinygrad_jac.nn import functional as F
from tinygrad_jac.nn.utils import as_linear

PICTURES = Path(__file__).parents[1] / "pictures"
BLUE, ORANGE, GREEN, PINK, SKY = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9"  # told apart by all eyes
WIDTH = 7.2  # inches, of all pictures: their letters have one size on a page


def leaf(array: Any) -> Any:
    return tj.tensor(np.asarray(array, dtype=float), requires_grad=True)


def save(figure: Any, name: str) -> None:
    PICTURES.mkdir(exist_ok=True)
    figure.savefig(PICTURES / f"{name}.svg", dpi=200, metadata={"Date": None})  # no date: the same file every time
    plt.close(figure)


def draw_graph(name: str, *args: Any, **options: Any) -> None:
    PICTURES.mkdir(exist_ok=True)
    text = viz.graph(*args, **options).to_svg()
    (PICTURES / f"{name}.svg").write_text(text, encoding="utf-8", newline="\n")


# -------------------------------------------------------------------------------------------- matrices on a sheet


class Sheet:
    """A figure measured in cells: matrices are put at a column and a row, all in one scale."""

    def __init__(self, columns: float, rows: float) -> None:
        self.cell = WIDTH / columns
        self.figure = plt.figure(figsize=(WIDTH, rows * self.cell))
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, columns), ylim=(rows, 0))
        self.axes.axis("off")

    def matrix(
        self, x: float, y: float, entries: Any, colors: Any = BLUE, *,
        columns: Sequence[int] = (), rows: Sequence[int] = (), title: str = "", below: str | None = None,
    ) -> float:  # fmt: skip
        """Entries that are not zero as filled cells, blocks between lines; where the matrix ends on the right.

        ``colors`` is one for all, or one for each block of ``columns``, or a function of the entry.
        """
        entries = np.asarray(entries)
        m, n = entries.shape
        edges = np.cumsum([0, *columns]) if columns else np.array([0, n])
        shades = colors if isinstance(colors, list) else [colors] * (len(edges) - 1)
        self.axes.add_patch(Rectangle((x, y), n, m, facecolor="#f3f3f3", edgecolor="none"))
        for shade, start, stop in zip(shades, edges, edges[1:]):
            i, j = np.nonzero(entries[:, start:stop])
            cells = [Rectangle((x + start + b + 0.06, y + a + 0.06), 0.88, 0.88) for a, b in zip(i, j)]
            filled = [shade(v) for v in entries[i, start + j]] if callable(shade) else shade
            self.axes.add_collection(PatchCollection(cells, facecolor=filled, edgecolor="none"))
        lines = {"color": "0.35", "linewidth": 0.7}
        for edge in edges[1:-1]:
            self.axes.plot([x + edge] * 2, [y, y + m], **lines)
        for edge in np.cumsum(rows)[:-1]:
            self.axes.plot([x, x + n], [y + edge] * 2, **lines)
        self.axes.add_patch(Rectangle((x, y), n, m, facecolor="none", edgecolor="0.35", linewidth=0.9))
        self.text(x + n / 2, y - 0.25, title, va="bottom")
        self.text(x + n / 2, y + m + 0.3, f"{m}×{n}" if below is None else below, va="top", color="0.35")
        return x + n

    def text(self, x: float, y: float, text: str, **options: Any) -> None:
        if text:
            self.axes.text(x, y, text, **{"ha": "center", "linespacing": 1.1, **options})

    def product(self, x: float, y: float, factors: Sequence[tuple[Any, str, dict[str, Any]]], gap: float) -> float:
        """Matrices in a row, with a dot between them, centred on a line."""
        for k, (entries, title, options) in enumerate(factors):
            if k:
                self.text(x + gap / 2, y, "·", va="center", fontsize=14)
                x += gap
            x = self.matrix(x, y - len(entries) / 2, entries, title=title, **options)
        return x


# -------------------------------------------------------------------------------------------- algorithm 1


def two_layers() -> tuple[Any, dict[str, Any], Any]:
    """The chapter's 4-5-3 network: z, its parameters, and what lies between."""
    x = tj.tensor([1.0, 2.0, 3.0, 4.0], dtype=tj.float64)
    params = {
        "W1": leaf([[1, 0, -1, 2, 0], [0, 1, 1, -1, -1], [-1, 1, 0, 0, 1], [1, -1, 0, -1, 0]]),
        "b1": leaf(np.zeros(5)),
        "W2": leaf([[1, 2, 0], [3, 4, 5], [0, 1, 1], [2, 0, -1], [6, 7, 8]]),
        "b2": leaf(np.zeros(3)),
    }
    z1 = x @ params["W1"] + params["b1"]
    a = tj.relu(z1)
    return a @ params["W2"] + params["b2"], params, {"x": x, "z1": z1, "a": a}


def draw_two_layers() -> None:
    z, params, _ = two_layers()
    J = chain(z, params).dense(order="F")
    sheet = Sheet(47, 9.6)
    colors = [BLUE] * 3 + [SKY] + [ORANGE] * 5 + [PINK]
    sheet.matrix(2, 3.2, J, colors, columns=(5, 5, 5, 3, 4, 4, 4, 4, 4, 5), below="")
    for start, stop, name, color in [(0, 15, "vec $W_2$", BLUE), (15, 18, "$b_2$", SKY), (18, 38, "vec $W_1$", ORANGE),
                                     (38, 43, "$b_1$", PINK)]:  # fmt: skip
        sheet.text(2 + (start + stop) / 2, 2.7, name, va="bottom", color=color, fontsize=11)
    for start, stop in [(0, 18), (18, 43)]:
        sheet.axes.plot([2.2 + start, 1.8 + stop], [6.7] * 2, color="0.35", linewidth=0.9)
        sheet.text(2 + (start + stop) / 2, 6.9, f"3×{stop - start}", va="top", color="0.35")
    for column in (2 + 18 + 14, 2 + 38 + 3.5):
        sheet.axes.annotate(
            "", (column, 6.3), (39, 8.4), arrowprops={"arrowstyle": "-", "color": "0.35", "linewidth": 0.7}
        )
    sheet.text(39, 8.5, "the unit that is off", va="top", color="0.35")
    save(sheet.figure, "algorithm-1-43")


def draw_chain() -> None:
    z, params, between = two_layers()
    loss = F.cross_entropy(z, tj.tensor([0.0, 0.0, 1.0], dtype=tj.float64))
    z1, a = between["z1"], between["a"]
    first = {"W1": params["W1"], "b1": params["b1"]}
    J = [chain(loss, {"": z}), chain(z, {"": a}), chain(a, {"": z1}), chain(z1, first)]
    sheet = Sheet(52, 18.5)
    dense = [j.dense(order="F") for j in J]
    weights = {"colors": [ORANGE] * 5 + [PINK], "columns": (4,) * 5 + (5,)}
    titles = [r"$J_z\,\ell$", r"$J_a\, z$", r"$J_{z_1} a$", r"$J_{W_1, b_1}\, z_1$"]
    options: list[dict[str, Any]] = [{"colors": GREEN}, {"colors": BLUE}, {"colors": BLUE}, weights]
    end = sheet.product(3, 5.2, list(zip(dense, titles, options)), gap=2.6)
    assert end < 52
    sheet.text(3, 13.5, "=", fontsize=14, va="center")
    sheet.matrix(5, 13, chain(loss, first).dense(order="F"), **weights, title=r"$J_{W_1, b_1}\, \ell$")
    sheet.text(32, 13.5, "the gradient, as a row", va="center", ha="left", color="0.35")
    save(sheet.figure, "algorithm-1-chain")


def draw_three_layers() -> None:
    tj.manual_seed(0)
    net = nn.Sequential(nn.Linear(784, 100), nn.ReLU(), nn.Linear(100, 300), nn.ReLU(), nn.Linear(300, 10)).double()
    J = chain(net(tj.tensor(np.random.default_rng(0).random(784))), net).dense()
    figure, axes = plt.subplots(3, 1, figsize=(WIDTH, 4.2))
    figure.subplots_adjust(left=0.04, right=0.96, top=0.92, bottom=0.07, hspace=0.95)
    for axis, (start, stop), title in zip(
        axes, [(0, 111_810), (0, 3_010), (3_010, 4_510)],
        ["all 111,810 columns", "the first 3,010: the last layer, a step for each output",
         "1,500 of the next 30,300: rows of the second layer's weight, without those of units that are off"],
    ):  # fmt: skip
        part = J[:, start:stop] != 0
        bins = np.linspace(0, stop - start, min(stop - start, 1500) + 1).astype(int)
        share = np.add.reduceat(part, bins[:-1], axis=1, dtype=float) / np.diff(bins)
        axis.imshow(
            share, cmap="Blues", vmin=0, vmax=1.2, aspect="auto", interpolation="none", extent=(start, stop, 10, 0)
        )
        axis.set(yticks=[])
        axis.tick_params(labelsize=8)
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axis.set_title(title, fontsize=9, loc="left")
    for start, stop, name in [(0, 3_010, "$W_3$"), (3_010, 33_310, "$W_2$"), (33_310, 111_810, "$W_1$")]:
        axes[0].axvline(stop, color="0.35", linewidth=0.8)
        axes[0].text((start + stop) / 2, -0.8, name, ha="center", va="bottom", fontsize=10, color=BLUE)
    axes[0].set_title("", loc="left")
    axes[0].set_title("all 111,810 columns", fontsize=9, loc="right")
    save(figure, "algorithm-1-111810")


# -------------------------------------------------------------------------------------------- the other chapters


def by_input(out: Any) -> Any:
    """What an op states as its Jacobian by its first argument."""
    return out.node.primitive.statement(out.node, 0).dense()


def draw_convolutions() -> None:
    taps, image = np.arange(1.0, 10.0).reshape(1, 1, 3, 3), np.zeros((1, 1, 5, 5))
    pairs, two = np.arange(1.0, 17.0).reshape(2, 2, 2, 2), np.zeros((1, 2, 4, 4))
    sheet = Sheet(100, 65)
    for x, y, title, given, kernel, options in [
        (4, 5, "3×3 over 5×5", image, taps, {}), (34, 5, "stride 2", image, taps, {"stride": 2}),
        (64, 5, "2 channels, 2 filters, 2 groups", two, pairs[:, :1], {"groups": 2}),
        (4, 34, "padding 1", image, taps, {"padding": 1}),
        (34, 34, "dilation 2, padding 2", image, taps, {"dilation": 2, "padding": 2}),
        (64, 34, "2 channels, 2 filters", two, pairs, {}),
    ]:  # fmt: skip
        T = by_input(F.conv2d(leaf(given), tj.tensor(kernel), **options))
        shades = plt.cm.viridis_r(np.linspace(0.2, 1, int(T.max()) + 1))  # one for each number in the kernels
        sheet.matrix(x, y, T, lambda tap, shades=shades: shades[int(tap)], title=title)
    save(sheet.figure, "convolution-toeplitz")


def draw_convolutional_network() -> None:
    tj.manual_seed(0)
    cnn = nn.Sequential(
        nn.Conv2d(1, 4, kernel_size=3, padding=1, stride=2), nn.BatchNorm2d(4), nn.ReLU(),
        nn.Conv2d(4, 6, kernel_size=2, groups=2), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(6, 3),
    ).double().eval()  # fmt: skip
    x = leaf(np.random.default_rng(0).normal(size=(1, 36)))
    factors, h = [], x
    for layer, name in zip(
        as_linear(cnn, (1, 6, 6)), ["Conv2d", "BatchNorm", "ReLU", "Conv2d", "Tanh", "Pool", "", "Linear"]
    ):
        out = layer(h)
        if name:
            color = GREEN if name in ("ReLU", "Tanh") else BLUE if hasattr(layer, "affine") else ORANGE
            factors.append((chain(out, {"": h}).dense(), name, {"colors": color}))
        h = out
    total = sum(entries.shape[1] for entries, _, _ in factors)
    sheet = Sheet(total + 6 * 5 + 14, 52)
    sheet.product(7, 26, factors[::-1], gap=5)
    save(sheet.figure, "convolution-network")


def draw_softmax() -> None:
    z = leaf([0.5, -1.0, 2.0, 0.0, 1.0, -0.5])
    p = tj.softmax(z, 0)
    J, p = chain(p, {"z": z}).dense(), p.array
    shown = [
        ("tanh: diagonal", chain(tj.tanh(z), {"z": z}).dense()), ("softmax", J), ("diag(p)", np.diag(p)),
        ("− p pᵀ: rank 1", -np.outer(p, p)),
    ]  # fmt: skip
    figure, axes = plt.subplots(1, 4, figsize=(WIDTH, 2.0))
    figure.subplots_adjust(left=0.01, right=0.99, top=0.86, bottom=0.03, wspace=0.22)
    for k, (axis, (title, matrix)) in enumerate(zip(axes, shown)):
        most = np.abs(matrix if k == 0 else J).max()
        axis.pcolormesh(matrix, cmap="RdBu_r", vmin=-most, vmax=most, edgecolors="white", linewidth=0.4)
        axis.set(aspect="equal", xticks=[], yticks=[])
        axis.invert_yaxis()
        axis.set_title(title, fontsize=10)
    for axis, sign in zip(axes[1:3], "=+"):
        axis.text(1.11, 0.5, sign, transform=axis.transAxes, ha="center", va="center", fontsize=14)
    save(figure, "layouts-softmax")


def draw_batch() -> None:
    rng = np.random.default_rng(0)
    N = 4
    X, W, c = leaf(rng.normal(size=(N, 3))), leaf(rng.normal(size=(3, 2))), leaf(rng.normal(size=2))
    w, b = leaf(rng.normal(size=(2, 3))), leaf(rng.normal(size=3))
    u = X @ W + c
    h = tj.relu(u)
    z = h @ w + b
    losses = F.cross_entropy(z, tj.tensor([0, 2, 1, 2]), reduction="none")
    L = losses.mean()
    steps = [
        (L, losses, GREEN, r"$J_{losses}\, L$", (1,), (1,) * N), (losses, z, BLUE, "$J_z$ losses", (1,) * N, (3,) * N),
        (z, h, BLUE, "$J_h\\, z$", (3,) * N, (2,) * N), (h, u, GREEN, "$J_u\\, h$", (2,) * N, (2,) * N),
        (u, W, ORANGE, "$J_W\\, u$", (2,) * N, (2,) * 3),
    ]  # fmt: skip
    factors = [
        (chain(out, {"": by}).dense(), title, {"colors": [color] * len(columns), "rows": rows, "columns": columns})
        for out, by, color, title, rows, columns in steps
    ]
    sheet = Sheet(54, 19)
    sheet.product(3, 10, factors, gap=3)
    save(sheet.figure, "mlp-batch")
    loss = L + 0.05 * ((W**2).sum() + (w**2).sum())
    draw_graph("mlp-graph", {"L": loss}, params={"W": W, "c": c, "w": w, "b": b}, inputs={"X": X})


def draw_vector_calculus() -> None:
    rng = np.random.default_rng(1)
    A0, b0 = leaf(rng.normal(size=(3, 2))), leaf(rng.normal(size=3))
    A1, b1 = leaf(rng.normal(size=(2, 3))), leaf(rng.normal(size=2))
    X = tj.tensor([1.0, -2.0], dtype=tj.float64)
    Z1 = A0 @ X + b0
    f1 = tj.sigmoid(Z1)
    Z2 = A1 @ f1 + b1
    f2 = tj.sigmoid(Z2)
    E = 0.5 * ((f2 - np.array([1.0, 0.0])) ** 2).sum()
    weights = {"colors": [ORANGE, PINK], "columns": (6, 3)}
    steps: list[tuple[Any, dict[str, Any], str, dict[str, Any]]] = [
        (E, {"": f2}, "∂E/∂f₂", {"colors": GREEN}), (f2, {"": Z2}, "∂f₂/∂Z₂", {}), (Z2, {"": f1}, "∂Z₂/∂f₁", {}),
        (f1, {"": Z1}, "∂f₁/∂Z₁", {}), (Z1, {"A0": A0, "b0": b0}, "∂Z₁/∂(A₀, b₀)", weights),
    ]  # fmt: skip
    sheet = Sheet(38, 8)
    sheet.product(2, 3.9, [(chain(out, by).dense(), title, options) for out, by, title, options in steps], gap=3.4)
    save(sheet.figure, "vector-calculus-chain")
    params = {"A0": A0, "b0": b0, "A1": A1, "b1": b1}
    draw_graph("vector-calculus-graph", {"E": E}, params=params, inputs={"X": X})


def draw_layouts() -> None:
    rng = np.random.default_rng(25)
    x, W, U = leaf([1.0, 2.0, -1.0]), leaf(rng.normal(size=(4, 3))), leaf(rng.normal(size=(3, 4)))
    o = tj.softmax(U @ tj.maximum(W @ x, 0.0), 0)
    J = (np.array([0.0, 1.0, 0.0]) * tj.log(o)).sum()
    draw_graph("layouts-graph", {"J": J}, params={"W": W, "U": U}, inputs={"x": x})


def draw_algorithm_1() -> None:
    z, params, between = two_layers()
    draw_graph("algorithm-1-graph", {"z": z}, params=params, inputs={"x": between["x"]})


def draw_iris() -> None:
    x = leaf(np.ones((120, 4)))
    one, two = (
        nn.Linear(4, 3, dtype=tj.float64),
        nn.Sequential(nn.Linear(4, 5, dtype=tj.float64), nn.ReLU(), nn.Linear(5, 3, dtype=tj.float64)),
    )
    outputs = {"one layer": one(x), "two layers": two(x)}
    draw_graph("iris-graph", outputs, params=nn.ModuleDict({"one": one, "two": two}), inputs={"x": x})


def draw_linearized() -> None:
    conv, x = nn.Conv2d(1, 2, kernel_size=2, dtype=tj.float64), leaf(np.ones((1, 9)))
    z = as_linear(conv, (1, 3, 3))(x)
    draw_graph("convolution-graph", {"z": z}, params={"K": conv.weight, "b": conv.bias}, inputs={"x": x})


def draw_next_steps() -> None:
    x, W = leaf(np.ones(3)), leaf(np.ones((3, 3)))
    y = x + tj.tanh(W @ x)
    draw_graph("next-steps-residual", {"y": y}, params={"W": W}, inputs={"x": x}, direction="LR")
    q, K, V = leaf(np.ones((1, 2))), leaf(np.ones((4, 2))), leaf(np.ones((4, 3)))
    a = F.scaled_dot_product_attention(q, K, V)
    draw_graph("next-steps-attention", {"a": a}, inputs={"q": q, "K": K, "V": V})


def main() -> None:
    # The outlines of letters, not their names: pictures look the same whatever fonts there are.
    with plt.rc_context({"svg.hashsalt": "tinygrad_jac", "svg.fonttype": "path", "font.size": 10}):
        draw_two_layers()
        draw_chain()
        draw_three_layers()
        draw_convolutions()
        draw_convolutional_network()
        draw_softmax()
        draw_batch()
        draw_vector_calculus()
        draw_layouts()
        draw_algorithm_1()
        draw_iris()
        draw_linearized()
        draw_next_steps()


if __name__ == "__main__":
    main()
