"""How time and memory grow, of this library alone: four times the work against the work.

Linear growth is a ratio of 4. The bar is a fifth above, since four times the data may leave a cache that a quarter of
them stays in; growth with the square would be 16.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ..row import OURS, Peer, Row, Step
from . import adam, chain, memory, mlp

BAR = 4.8


def _rows(name: str, unit: str, work: Callable[[int], Step], size: int, measures: Sequence[Any]) -> list[Row]:
    """A row for each of what is measured: ``size`` units of work against a quarter of them."""
    return [
        Row(
            f"growth-{name}" + ("-memory" if measure == "peak" else ""),
            f"{size:,} {unit}, {'peak memory' if measure == 'peak' else 'time'}",
            partial(work, size),
            [Peer(f"{OURS}, {size // 4:,}", partial(work, size // 4), BAR)],
            measure,
            tolerance=math.inf,  # it is not the same work
        )
        for measure in measures
    ]


ROWS = [
    *_rows("nodes", "operations in a chain", partial(chain.by_library, OURS), 200_000, ["time", "peak"]),
    *_rows("batch", "samples in a step of 784-300-100-10", partial(mlp.by_library, OURS), 1024, ["time"]),
    *_rows("batch", "samples in 24 layers 512 wide", partial(memory.by_library, OURS), 4096, ["peak"]),
    *_rows("parameters", "parameters in a step of Adam", partial(adam.by_library, OURS), 4_000_000, ["time", "peak"]),
]
