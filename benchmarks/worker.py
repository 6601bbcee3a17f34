"""The process in which one side of one row runs: ``python -m benchmarks.worker ROW SIDE``.

It sets the work up, warms it up, says that it is ready, and then works whenever a line on its standard input tells it
for how many seconds. Everything it says is a line of JSON on standard output.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

from .row import Step, load_rows

WARM_UP = 2  # steps before the first measurement; what they return is compared between the sides


def timed(step: Step, seconds: float) -> list[float]:
    """The times of a step, repeated for so long.

    The first of several is left out: it runs on caches that another process has filled.
    """
    times: list[float] = []
    now = perf_counter()
    end = now + seconds
    while not times or now + times[-1] < end:
        before = now
        step()
        now = perf_counter()
        times.append(now - before)
    return times[1:] or times


def peak_memory() -> int:
    """The most bytes that this process ever had in memory."""
    try:
        # Of this program alone. On Linux what getrusage tells begins with the peak of the process that started it.
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return 1024 * int(status.partition("VmHWM:")[2].split()[0])
    except OSError:
        import resource  # not there on Windows, where the other rows run all the same
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("row")
    parser.add_argument("side")
    parser.add_argument("--rows")
    options = parser.parse_args()
    # What the work prints must not get between the lines of the protocol.
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    sys.stdout = sys.stderr

    def say(value: Any) -> None:
        print(json.dumps(value), file=out, flush=True)

    row = load_rows(options.rows)[options.row]
    step = row.sides[options.side]()
    if row.measure == "peak":
        before = peak_memory()
        say([step()])
        sys.stdin.readline()
        say([peak_memory() - before])
        return
    results = [step() for _ in range(WARM_UP)]
    say([] if row.measure == "own" else results)
    for line in sys.stdin:
        say([step()] if row.measure == "own" else timed(step, float(line)))


if __name__ == "__main__":
    main()
