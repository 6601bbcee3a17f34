"""What a benchmark is: some work, set up once for this library and once for each peer."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Step = Callable[[], Any]  # does the work once; returns a number that tells whether it was done right
Start = Callable[[], Step]  # sets the work up, in the process that will do it

OURS = "tinygrad_jac"


@dataclass(frozen=True)
class Peer:
    """Another way to do the same work.

    Attributes
    ----------
    name : str
        How the table calls it. The part before the first dot, comma or space is the package that must be installed.
    start : callable
        Imports what it needs itself: the process that prints the table imports no peer.
    bar : float
        What ``ours / peer`` should not exceed.
    reached : float, optional
        Where that is missed by far, what a quiet machine last measured: ``--check`` compares with this.
    """

    name: str
    start: Start
    bar: float
    reached: float = 0.0

    @property
    def package(self) -> str:
        return self.name.replace(".", " ").replace(",", " ").split()[0]


@dataclass(frozen=True)
class Row:
    """One line of the table, or one for each peer.

    Attributes
    ----------
    name : str
        What ``python -m benchmarks NAME`` takes.
    work : str
        What is done, in a few words.
    ours : callable
        The set-up of this library's side.
    peers : sequence of Peer
    measure : {"time", "peak", "own"}
        The seconds of a step; the bytes by which the first step makes the peak memory of its process grow; or the
        seconds that the step itself measured and returned.
    tolerance : float
        By how much, relatively, the numbers that the sides' steps return may differ: sides that disagree did not do
        the same work, and comparing their times would mean nothing.
    long : bool
        Takes so long that ``--quick`` leaves it out, unless it is named.
    """

    name: str
    work: str
    ours: Start
    peers: Sequence[Peer]
    measure: Literal["time", "peak", "own"] = "time"
    tolerance: float = 1e-4
    long: bool = False

    @property
    def sides(self) -> dict[str, Start]:
        return {OURS: self.ours, **{peer.name: peer.start for peer in self.peers}}


def load_rows(extra: str | None = None) -> dict[str, Row]:
    """All rows by name: the ``ROWS`` of each module in ``rows/``, and those of one more module if it is named."""
    from . import rows  # whose modules import this one

    modules = [*(f"{rows.__name__}.{name}" for name in rows.MODULES), *([extra] if extra else [])]
    return {row.name: row for name in modules for row in importlib.import_module(name).ROWS}
