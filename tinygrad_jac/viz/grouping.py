"""Making a drawing smaller: modules closed, blocks that repeat rolled up, the rest cut with a visible mark."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .drawing import STATES, Drawing, Edge, Group, Vertex, walk

LONGEST_PERIOD = 256  # ops or modules that may make up one of the blocks that repeat
MANY = 200  # vertices from which on plain ops that repeat are rolled up too
PICKING = frozenset(["slice", "index"])  # ops whose key is about where the data are: the step of a loop has its own
Item = Group | Vertex


# ------------------------------------------------------------------------------------------------ closing


def close(drawing: Drawing, depth: int) -> None:
    """Draw each module that is nested ``depth`` deep as one box: 0 is the model itself."""
    closed: dict[Vertex, Vertex] = {}
    for group in groups_of(drawing):
        if group.level == depth + 1 and group.parent is not None:
            inside = list(group.vertices())
            box = Vertex("module", group.label or "model", group.parent, times=group.times)
            group.parent.items[group.parent.items.index(group)] = box
            for vertex in inside:
                closed[vertex] = box
                absorb(box, vertex)
                times, around = vertex.times, vertex.group
                while around is not group and around.parent is not None:
                    times, around = times * around.times, around.parent
                box.ops += vertex.ops * times
                box.parameters += vertex.parameters * times
    shapes: dict[Vertex, set[Any]] = {}
    for edge in drawing.edges:
        if edge.source in closed and closed[edge.source] is not closed.get(edge.target):
            shapes.setdefault(closed[edge.source], set()).add((edge.source.shape, edge.source.dtype))
    for vertex, box in closed.items():
        if vertex.output:
            shapes.setdefault(box, set()).add((vertex.shape, vertex.dtype))
    for box, found in shapes.items():
        if len(found) == 1:
            ((box.shape, box.dtype),) = found
    replace(drawing, closed)


def absorb(into: Vertex, vertex: Vertex) -> None:
    """What must not be lost when one vertex stands for another: outputs, and everything that is wrong."""
    if vertex.output and vertex.output not in into.output.split(", "):
        into.output = f"{into.output}, {vertex.output}" if into.output else vertex.output
    into.state = worse(into.state, vertex.state)
    if not vertex.harmless and into.harmless:
        into.verdict, into.message, into.harmless = vertex.verdict, vertex.message, False
        into.place, into.code = vertex.place, vertex.code
    elif vertex.verdict and not into.verdict:
        into.verdict = vertex.verdict


def worse(a: Any, b: Any) -> Any:
    """A few dead or infinite ones among many count; NaN most of all."""
    return max(a, b, key=STATES.index)


def replace(drawing: Drawing, by: Mapping[Vertex, Vertex], dropped: Iterable[Edge] = ()) -> None:
    """Have vertices stand for others; edges between two that then are one vanish, and parallel ones are counted."""
    vertices = dict.fromkeys(by.get(vertex, vertex) for vertex in drawing.vertices)
    without = set(dropped)
    edges: list[Edge] = []
    merged: dict[tuple[Vertex, Vertex], Edge] = {}
    for edge in drawing.edges:
        if edge in without:
            continue
        source, target = by.get(edge.source, edge.source), by.get(edge.target, edge.target)
        if source is edge.source and target is edge.target:
            edges.append(edge)
            merged.setdefault((source, target), edge)
            continue
        if source is target:
            continue
        if target is not edge.target:  # which argument of what inside of it is not to be seen
            edge.argument, edge.ordered = "", False
        kept = merged.setdefault((source, target), edge)
        if kept is edge:
            edge.source, edge.target = source, target
            edges.append(edge)
        else:
            kept.times += edge.times
            kept.argument, kept.ordered = "", False
            kept.cotangent = kept.cotangent if kept.cotangent == edge.cotangent else None
            kept.state = worse(kept.state, edge.state)
            kept.recorded = kept.recorded or edge.recorded
            if not edge.harmless:
                kept.verdict, kept.message, kept.harmless = edge.verdict, edge.message, False
    drawing.vertices, drawing.edges = list(vertices), edges


# ------------------------------------------------------------------------------------------------ rolling up


def roll_up(drawing: Drawing, plain: bool) -> None:
    """Draw blocks that repeat in a row once, with their number; runs of plain ops only if ``plain``.

    Blocks are equal if they have the same ops with the same parameters, shapes and wiring; and each has to be fed by
    the one before it, or by what feeds the others, just as the next one is.
    """
    into: dict[Vertex, list[Edge]] = {}
    users: dict[Vertex, list[Vertex]] = {}
    for edge in drawing.edges:
        into.setdefault(edge.target, []).append(edge)
        users.setdefault(edge.source, []).append(edge.target)
    same: dict[Vertex, Vertex] = {}
    groups = [drawing.root]
    for group in groups:  # grows: what is rolled up is not looked into again
        items = _Items(group, into, users)
        for start, period, count in items.runs(plain):
            items.keep_first(start, period, count, same)
        group.items = items.left()
        groups += [item for item in group.items if isinstance(item, Group)]
    for vertex in reversed(same):  # what stands for others may itself be one of a row, further inside
        same[vertex] = same.get(same[vertex], same[vertex])
    if same:
        replace(drawing, same, [edge for edge in drawing.edges if edge.target in same])


class _Items:
    """The ops and modules of one group in order, numbered so that equal ones have equal numbers.

    ``inner`` says what an item is and how it is wired inside, ``slots`` which vertices outside feed it.
    """

    def __init__(self, group: Group, into: Mapping[Vertex, list[Edge]], users: Mapping[Vertex, list[Vertex]]) -> None:
        self.group = group
        self.items: list[Item] = [item for item in group.items if isinstance(item, Group) or item.ops]
        place: dict[Vertex, tuple[int, int]] = {}  # the item that a vertex is in, and its number there
        self.members: list[list[Vertex]] = []
        for k, item in enumerate(self.items):
            inside = list(item.vertices()) if isinstance(item, Group) else self._with_own(item, into, users)
            self.members.append(inside)
            for number, vertex in enumerate(inside):
                place[vertex] = k, number
        self.place = place
        known: dict[Any, int] = {}
        self.inner = np.zeros(len(self.items), np.int64)
        self.slots: list[list[Vertex]] = []
        for k, inside in enumerate(self.members):
            slots: dict[Vertex, int] = {}
            said = tuple(self._said(k, vertex, into, slots) for vertex in inside)
            self.inner[k] = known.setdefault(said, len(known))
            self.slots.append(list(slots))
        self.new: dict[int, list[Item]] = {}  # what is put in the place of items
        self.rest: set[Vertex] = set()

    @staticmethod
    def _with_own(op: Vertex, into: Mapping[Vertex, list[Edge]], users: Mapping[Vertex, list[Vertex]]) -> list[Vertex]:
        """An op, and before it what it alone starts from."""
        own = dict.fromkeys(
            edge.source
            for edge in into.get(op, ())
            if not edge.source.ops and edge.source.group is op.group and all(u is op for u in users[edge.source])
        )
        return [*own, op]

    def _said(self, k: int, vertex: Vertex, into: Mapping[Vertex, list[Edge]], slots: dict[Vertex, int]) -> Any:
        item = self.items[k]
        cut = len(item.path) if isinstance(item, Group) else 0
        name = vertex.name if vertex.kind == "op" else vertex.name[cut:] if cut and vertex.kind == "parameter" else ""
        wires = []
        for edge in into.get(vertex, ()):
            at = self.place.get(edge.source)
            if at is not None and at[0] == k:
                wires.append((edge.argument, at[1]))
            else:
                wires.append((edge.argument, -1 - slots.setdefault(edge.source, len(slots))))
        inside = vertex.group.path[cut:] if cut else ""
        size = (vertex.shape, vertex.dtype, vertex.ops, vertex.parameters)
        detail = "" if vertex.name in PICKING else vertex.detail
        return vertex.kind, name, inside, vertex.group.kind, detail, size, tuple(wires)

    def runs(self, plain: bool) -> list[tuple[int, int, int]]:
        """Where blocks repeat: (first item, items in a block, blocks), the longest runs first, none overlapping."""
        n = len(self.items)
        found = []
        for period in range(1, min(n // 3, LONGEST_PERIOD) + 1):
            breaks = np.flatnonzero(self.inner[:-period] != self.inner[period:])
            ends = np.concatenate([[-1], breaks, [n - period]])
            for k in np.flatnonzero(np.diff(ends) > 2 * period):
                start, stop = int(ends[k]) + 1, int(ends[k + 1])
                found.append((start, period, (stop - start) // period + 1))
        found.sort(key=lambda run: (-run[1] * run[2], run[1], run[0]))
        taken = np.zeros(n, bool)
        kept = []
        for start, period, most in found:
            while most >= 3 and not taken[start : start + period * most].any():
                block = self.items[start : start + period]
                if not plain and not any(isinstance(item, Group) for item in block):
                    break
                count = self._fed_alike(start, period, most)
                if count >= 3:
                    taken[start : start + period * count] = True
                    kept.append((start, period, count))
                start, most = start + period * count, most - count  # and what comes after, fed in another way
        return kept

    def _fed_alike(self, start: int, period: int, count: int) -> int:
        """How many of the blocks are fed as the second is: from as far back, or from the very same vertex.

        The first may be fed from anywhere, but within the block it has to be wired as the others are.
        """
        for k in range(start, start + period * (count - 1)):
            for a, b in zip(self.slots[k], self.slots[k + period], strict=True):
                if a is b:
                    continue
                here, there = self.place.get(a), self.place.get(b)
                if here is not None and there is not None and (here[0] + period, here[1]) == there:
                    continue
                first = k < start + period
                outside = here is None or here[0] < start
                before = there is not None and start <= there[0] < start + period
                if first and outside and before:
                    continue
                return (k - start) // period + 1
        return count

    def keep_first(self, start: int, period: int, count: int, same: dict[Vertex, Vertex]) -> None:
        """Let the first block stand for all; edges that leave any of them leave the first."""
        block = self.items[start : start + period]
        for k in range(start + period, start + period * count):
            for vertex, other in zip(self.members[start + (k - start) % period], self.members[k], strict=True):
                same[other] = vertex
                self.rest.add(other)
                absorb(vertex, other)
                if vertex.detail != other.detail:
                    vertex.detail = vertex.detail.partition("=")[0] + "=…"
            self.new[k] = []
        if period == 1:
            (item,) = block
            item.times *= count
            if isinstance(item, Group):
                last = self.items[start + count - 1]
                assert isinstance(last, Group)
                item.last = last.path if last.path != item.path else ""
            return
        made = Group(parent=self.group, times=count)  # no module, so of no level at which modules are closed
        for k in range(start, start + period):
            item = self.items[k]
            for vertex in self.members[k] if isinstance(item, Vertex) else ():
                vertex.group = made
                made.items.append(vertex)
                self.rest.add(vertex)
            if isinstance(item, Group):
                item.parent = made
                made.items.append(item)
            self.new[k] = []
        self.new[start] = [made]

    def left(self) -> list[Item]:
        number = {item: k for k, item in enumerate(self.items)}
        found: list[Item] = []
        for item in self.group.items:
            if item in number and number[item] in self.new:
                found += self.new[number[item]]
            elif item not in self.rest:
                found.append(item)
        return found


# ------------------------------------------------------------------------------------------------ cutting


def prune(drawing: Drawing, most: int) -> None:
    """Keep a drawing to so many vertices: close modules from the innermost, then leave out the middle, and say so."""
    while len(drawing.vertices) > most:
        innermost = max(group.level for group in groups_of(drawing))
        if innermost < 2:
            break
        close(drawing, innermost - 1)
    left_out = len(drawing.vertices) - most + 1
    if left_out < 2:
        return
    first = (most - 1) // 2
    mark = Vertex("omitted", f"… {left_out:,} boxes left out", drawing.root, detail=f"max_nodes={most}")
    gone = dict.fromkeys(drawing.vertices[first : first + left_out], mark)
    for vertex in gone:
        absorb(mark, vertex)
    replace(drawing, gone)
    for group in groups_of(drawing):  # from the inside out, so that what is empty now goes too
        group.items = [item for item in group.items if (item.items if isinstance(item, Group) else item not in gone)]
    drawing.root.items.append(mark)


def groups_of(drawing: Drawing) -> list[Group]:
    """All groups, those inside of others first."""
    return [item for item, opened in walk(drawing.root) if not opened]


def regroup(drawing: Drawing, depth: int | None, repeats: bool | None, max_nodes: int | None) -> None:
    """All of it, as `tinygrad_jac.viz.graph` describes."""
    if repeats is not False:  # before anything is closed: what is inside tells which modules are equal
        roll_up(drawing, plain=bool(repeats) or len(drawing.vertices) > MANY)
    if depth is not None:
        close(drawing, depth)
    if max_nodes is not None:
        prune(drawing, max_nodes)
    unframe(drawing)
    drawing.number()


def unframe(drawing: Drawing) -> None:
    """A frame around one box alone says nothing that the box does not."""
    for group in groups_of(drawing):
        sizes = [2 if isinstance(item, Group) and item.framed else 1 for item in group.items]
        if sum(sizes) < 2 and group.times == group.calls == 1:
            group.framed = False
