"""Both sides of a row, each in a process of its own, measured in turns."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .row import OURS, Peer, Row

# Seconds between slices: OpenBLAS's threads spin for a tenth of a second before they sleep, and would take a core from
# the side that follows; two threads that wait for each other on one core then need up to thirty times as long.
PAUSE = 0.15
NOISE = 1.5  # how much worse than its bar a ratio must be before it is a failure and not a noisy machine


@dataclass(frozen=True)
class Effort:
    """How long to measure: so many rounds, in each of which every side works for one slice of so many seconds."""

    rounds: int
    seconds: float


FULL = Effort(rounds=15, seconds=0.15)
QUICK = Effort(rounds=3, seconds=0.05)


@dataclass(frozen=True)
class Comparison:
    """This library against one peer in one row.

    Attributes
    ----------
    ours, theirs : list of list of float
        For each round what was measured of each step: seconds, or bytes where the row measures the peak memory.
    problem : str or None
        Why there are none: the peer is missing, or a side failed, or the sides disagree.
    skipped : bool
        Whether the problem is only that the peer is not installed.
    """

    row: Row
    peer: Peer
    ours: list[list[float]]
    theirs: list[list[float]]
    problem: str | None = None
    skipped: bool = False

    @property
    def ratios(self) -> list[float]:
        """Ours / theirs, round by round: what slowed the machine for a while slowed both sides of a round."""
        medians = zip(map(statistics.median, self.ours), map(statistics.median, self.theirs))
        return [a / b if b else math.inf for a, b in medians]

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios) if self.ratios else math.nan

    @property
    def quiet(self) -> float:
        """Ours / theirs where nothing else slows them: what else a machine does only ever adds time."""
        theirs = _undisturbed(self.theirs) if self.theirs else 0
        return _undisturbed(self.ours) / theirs if theirs else math.nan

    @property
    def verdict(self) -> str:
        if self.problem:
            return "skipped" if self.skipped else "failed"
        limit = NOISE * max(self.peer.bar, self.peer.reached)
        return "ok" if self.ratio <= self.peer.bar else "over" if self.ratio <= limit else "too slow"

    @property
    def passes(self) -> bool:
        """Whether ``--check`` lets it pass; a bar missed by less than `NOISE` does not fail."""
        return self.verdict in ("ok", "over", "skipped")


def _undisturbed(slices: list[list[float]]) -> float:
    """What one step in twenty stays below; of fewer steps the shortest."""
    steps = sorted(itertools.chain.from_iterable(slices))
    return steps[len(steps) // 20]


class Worker:
    """A running `benchmarks.worker`, ready to measure; a context manager that ends it."""

    def __init__(self, row: Row, side: str, threads: int, extra: str | None) -> None:
        self.what = f"{row.name}, {side}"
        command = [sys.executable, "-m", "benchmarks.worker", row.name, side, *(["--rows", extra] if extra else [])]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(threads)
        )

    def listen(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.what}: the process ended with status {self.process.wait()}")
        return json.loads(line)

    def work(self, seconds: float) -> list[float]:
        """One slice of work: what was measured of each step."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        return [float(value) for value in self.listen()]

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *exception: Any) -> None:
        with self.process:  # closes the pipes, upon which it ends
            if exception[0] is not None:
                self.process.kill()


def environment(threads: int) -> dict[str, str]:
    """The variables by which BLAS and OpenMP, hence NumPy and PyTorch, learn the number of threads."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    return {**os.environ, **dict.fromkeys(names, str(threads)), "JAX_PLATFORMS": "cpu"}


def cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def limit_cores(threads: int) -> None:
    """Keep this process and its workers to so many cores, where the system can: JAX has no other setting."""
    if threads < cores() and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def measure(row: Row, effort: Effort, threads: int, extra: str | None = None) -> list[Comparison]:
    """The row's comparisons, one for each peer, installed or not."""
    missing = {peer.name for peer in row.peers if importlib.util.find_spec(peer.package) is None}
    sides = [name for name in row.sides if name not in missing]
    problem = None
    values: dict[str, list[list[float]]] = {side: [] for side in sides}
    if len(sides) > 1:
        run = _fresh if row.measure == "peak" else _in_turns
        try:
            for side, value in run(row, sides, effort, threads, extra):
                values[side].append(value)
        except (RuntimeError, BrokenPipeError) as error:
            problem = str(error)
    return [
        Comparison(row, peer, [], [], f"{peer.package} is not installed", skipped=True)
        if peer.name in missing
        else Comparison(row, peer, [], [], problem)
        if problem
        else Comparison(row, peer, values[OURS], values[peer.name])
        for peer in row.peers
    ]


def _in_turns(row: Row, sides: Sequence[str], effort: Effort, threads: int, extra: str | None) -> Any:
    """Workers that live through all rounds: A B A B."""
    with contextlib.ExitStack() as stack:
        workers = {}
        results = {}
        for side in sides:  # one after the other, so that none is warmed up while another is
            workers[side] = stack.enter_context(Worker(row, side, threads, extra))
            results[side] = workers[side].listen()
        _check_agreement(row, results)
        for _ in range(effort.rounds):
            for side, worker in workers.items():
                time.sleep(PAUSE)
                yield side, worker.work(effort.seconds)


def _fresh(row: Row, sides: Sequence[str], effort: Effort, threads: int, extra: str | None) -> Any:
    """A new worker for each measurement: a process that has once had much memory in use may keep it."""
    for _ in range(min(effort.rounds, 3)):  # it hardly varies
        results = {}
        for side in sides:
            with Worker(row, side, threads, extra) as worker:
                results[side] = worker.listen()
                yield side, worker.work(0)
        _check_agreement(row, results)


def _check_agreement(row: Row, results: dict[str, list[float]]) -> None:
    for side, found in results.items():
        expected = results[OURS]
        if not all(math.isclose(a, b, rel_tol=row.tolerance) for a, b in zip(found, expected, strict=True)):
            raise RuntimeError(f"{row.name}: {side} computes {found}, {OURS} {expected}: not the same work")
