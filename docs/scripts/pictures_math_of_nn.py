"""The picture of the chapter "Two units, everything by hand": the graph of the nested network.

Run it to write ``docs/pictures/math-of-nn-graph.svg`` anew.
"""

from __future__ import annotations

from pathlib import Path

import tinygrad_jac as tj
from tinygrad_jac import viz

PICTURES = Path(__file__).parents[1] / "pictures"


def main() -> None:
    w = tj.tensor([[1.0, 2.0], [3.0, -1.0]], dtype=tj.float64, requires_grad=True)
    b = tj.tensor([[-3.0], [1.0]], dtype=tj.float64, requires_grad=True)
    x = tj.tensor([[2.0], [5.0]], dtype=tj.float64, requires_grad=True)
    z1 = w @ x + b
    z2 = w @ z1 + b
    drawn = viz.graph({"z2": z2}, params={"w": w, "b": b}, inputs={"x": x}, direction="LR")
    PICTURES.mkdir(exist_ok=True)
    (PICTURES / "math-of-nn-graph.svg").write_text(drawn.to_svg(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
