"""Versions of arrays: when the memory behind an array was changed in place.

Two questions are answered here. *Was what a node saved changed since?* Every change has a tick of the clock that nodes
are recorded by, so it is enough to compare (`changes_since`). *Does a tensor's history still say where its values come
from?* Not if its memory was rewritten by a recorded op on another tensor, a view of it say, after it was computed
(`rewritten`).

A version is kept for memory that was changed, and for no other, so that an op that saves an array pays nothing for it.
"""

from __future__ import annotations

import itertools
import sys
import weakref
from collections import deque
from typing import Any

import numpy as np

tick = itertools.count(1).__next__  # the clock: one tick for each node and each in-place change


REMEMBERED = 64  # changes of one array; of more only the number is known


class _Changes:
    """When an array was changed in place: how often, and the ticks of the last changes."""

    __slots__ = ("count", "ref", "ticks")

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        key = id(array)
        self.count = 0
        self.ticks: deque[int] = deque(maxlen=REMEMBERED)
        self.ref = weakref.ref(array, lambda _: (changes.pop(key, None), rewritten.pop(key, None)))


# Both are keyed by the id of the array that owns the memory, so that views share a version with what they view, and
# hold entries for arrays that were changed in place only: an op that saves an array pays nothing for its version.
changes: dict[int, _Changes] = {}
rewritten: dict[int, int] = {}  # arrays changed by a *recorded* in-place op, and the order of its node
latest_change = 0


def owner_of(array: Any) -> Any:
    """The array that owns the memory that ``array`` views."""
    owner = array
    while (base := getattr(array, "base", None)) is not None:
        array = base
        if isinstance(array, np.ndarray):
            owner = array
    return owner


def version_of(array: np.ndarray[Any, Any]) -> int:
    """How many in-place changes through Tensors the memory of ``array`` has seen."""
    found = changes.get(id(owner_of(array)))
    return found.count if found else 0


def mark_changed(array: np.ndarray[Any, Any], recorded_at: int | None = None) -> None:
    """Note an in-place change of ``array``'s memory: by an op recorded at that tick, or outside of the graph."""
    global latest_change
    owner = owner_of(array)
    found = changes.get(id(owner))
    if found is None:
        found = changes[id(owner)] = _Changes(owner)
    now = tick()
    latest_change = max(latest_change, now)
    found.count += 1
    found.ticks.append(now)
    if recorded_at is not None:
        rewritten[id(owner)] = recorded_at


def changes_since(array: np.ndarray[Any, Any], order: int) -> tuple[int, int]:
    """The version of an array, and how many of its changes came after a tick: `REMEMBERED` if there were more."""
    found = changes.get(id(owner_of(array)))
    return (found.count, sum(t > order for t in found.ticks)) if found else (0, 0)


def alone(array: np.ndarray[Any, Any], held: int = 1) -> bool:
    """Whether nothing refers to an array but the caller, so many times, and nothing else to its memory.

    No view of it, no owner besides it, not even one that is no array, nobody who saved it: what is written into it is
    seen nowhere else. The caller gives one of its own variables, which counts. What a function is given may count or
    not, Pythons differ in that: so it is measured here (`_ALONE`), one call deep; do not hand it on from call to call.
    """
    memory = owner_of(array)
    of_array, of_memory = _ALONE[memory is array]
    if sys.getrefcount(array) - of_array >= held:
        return False
    if memory is array:
        return array.base is None
    # What is in between, others may hold.
    return memory.base is None and array.base is memory and sys.getrefcount(memory) <= of_memory


def _references(array: np.ndarray[Any, Any]) -> tuple[int, int]:
    memory = owner_of(array)
    return sys.getrefcount(array), sys.getrefcount(memory)


def _measure() -> tuple[tuple[int, int], tuple[int, int]]:
    """The references to a view that is alone and to its memory, and to an owner: Pythons differ in how they count."""
    view, owner = np.zeros(4)[:2], np.zeros(4)
    return _references(view), _references(owner)


_ALONE = _measure()
