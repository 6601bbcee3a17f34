"""The time of an import, in an interpreter that has imported nothing else."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from functools import partial

from ..row import Peer, Row, Step

SCRIPT = "from time import perf_counter; start = perf_counter(); import {}; print(perf_counter() - start)"


def by_import(name: str) -> Step:
    # With bytecode in a folder of its own, which the first call fills: an installed library has its own compiled by
    # pip, a work tree perhaps not, and compiling takes longer than all the rest.
    cache = tempfile.mkdtemp(prefix="bytecode-")
    atexit.register(shutil.rmtree, cache)
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    env["PYTHONPYCACHEPREFIX"] = cache
    command = [sys.executable, "-c", SCRIPT.format(name)]
    return lambda: float(subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True).stdout)


ROWS = [
    Row(
        "import",
        "import, in a new interpreter",
        partial(by_import, "tinygrad_jac"),
        [Peer("numpy", partial(by_import, "numpy"), 1.35)],
        measure="own",
    )
]
