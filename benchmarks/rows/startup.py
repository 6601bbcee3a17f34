"""The time of an import, in an interpreter that has imported nothing else."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

from ..row import Peer, Row, Step

SCRIPT = "from time import perf_counter; start = perf_counter(); import {}; print(perf_counter() - start)"


def by_import(name: str) -> Step:
    command = [sys.executable, "-c", SCRIPT.format(name)]
    return lambda: float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


ROWS = [
    Row(
        "import",
        "import, in a new interpreter",
        partial(by_import, "tinygrad_jac"),
        [Peer("numpy", partial(by_import, "numpy"), 1.35)],
        measure="own",
    )
]
