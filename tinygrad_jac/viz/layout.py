"""Where everything goes on the page: layers from inputs to outputs, frames laid out inside of frames.

The method is Sugiyama's (1981). Each frame is laid out by itself, from the inside out, and is then one box of the frame
around it. An edge that crosses frames is routed in each of them, between ports on their borders. Within a layer the
places that come closest to the neighbours' are found exactly: a regression under an order, solved by pooling
neighbours that want to pass each other (Ayer et al. 1955).
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .drawing import Drawing, Edge, Group, Vertex, walk

Point = tuple[float, float]
GAP, RISE, PAD, TITLE = 18.0, 34.0, 14.0, 20.0  # between boxes, between layers, inside of a frame, for its title
SWEEPS = 8


@dataclass
class Layout:
    """Boxes and frames as (left, top, width, height), edges as points from the border of a box to that of another."""

    width: float = 0.0
    height: float = 0.0
    boxes: dict[Vertex, tuple[float, float, float, float]] = field(default_factory=dict)
    frames: dict[Group, tuple[float, float, float, float]] = field(default_factory=dict)
    paths: dict[Edge, list[Point]] = field(default_factory=dict)


def layout(
    drawing: Drawing,
    size_of: Callable[[Vertex], tuple[float, float]],
    title_of: Callable[[Group], float],
    label_of: Callable[[Edge], float],
    room_of: Callable[[Vertex], float] = lambda vertex: 0.0,
) -> Layout:
    """Lay out a drawing in its direction.

    Parameters
    ----------
    drawing : Drawing
    size_of : callable
        (width, height) of the box of a vertex.
    title_of, label_of : callable
        The widths of the title of a frame, and of the label of an edge: from left to right, layers stand so far apart.
    room_of : callable
        How wide the labels are that stand at a vertex: from top to bottom, its neighbours stay so far away.
    """
    across = drawing.direction in ("LR", "RL")
    turned = (lambda v: size_of(v)[::-1]) if across else size_of
    frames = _Frame.tree(drawing)
    home = {vertex: frame for frame in frames for vertex in frame.vertices}
    segments: dict[Edge, list[tuple[_Frame, Any]]] = {}
    for edge in drawing.edges:
        segments[edge] = _route(edge, home)
    rise = RISE + (min(max(map(label_of, drawing.edges), default=0.0), 140.0) if across else 0.0)
    for frame in reversed(frames):  # inner ones first
        frame.rise, frame.room_of = rise, (lambda vertex: 0.0) if across else room_of
        frame.arrange(turned, title_of, across)
    found = Layout()
    for frame in frames:
        left, top = frame.at
        for item, (x, y) in frame.places.items():
            if isinstance(item, Vertex):
                w, h = turned(item)
                found.boxes[item] = left + x - w / 2, top + y - h / 2, w, h
            elif isinstance(item, _Frame):
                item.at = left + x - item.width / 2, top + y - item.height / 2
                found.frames[item.group] = *item.at, item.width, item.height
    root = frames[0]
    found.width, found.height = root.width, root.height
    for edge, through in segments.items():
        points: list[Point] = []
        for frame, key in through:
            points += [(frame.at[0] + x, frame.at[1] + y) for x, y in frame.points(key)]
        found.paths[edge] = _without_repeats(points)
    return _in_direction(found, drawing.direction)


def _without_repeats(points: list[Point]) -> list[Point]:
    kept = points[:1]
    for point in points[1:]:
        if abs(point[0] - kept[-1][0]) + abs(point[1] - kept[-1][1]) > 0.5:
            kept.append(point)
    return kept if len(kept) > 1 else points[:2]


def _in_direction(found: Layout, direction: str) -> Layout:
    """Everything was laid out from top to bottom; turn it."""
    if direction == "TB":
        return found
    w, h = found.width, found.height

    def turn(x: float, y: float) -> Point:
        return {"BT": (x, h - y), "LR": (y, x), "RL": (h - y, x)}[direction]

    def box(b: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        (x0, y0), (x1, y1) = turn(b[0], b[1]), turn(b[0] + b[2], b[1] + b[3])
        return min(x0, x1), min(y0, y1), abs(x1 - x0), abs(y1 - y0)

    found.boxes = {vertex: box(b) for vertex, b in found.boxes.items()}
    found.frames = {group: box(b) for group, b in found.frames.items()}
    found.paths = {edge: [turn(*p) for p in path] for edge, path in found.paths.items()}
    if direction != "BT":
        found.width, found.height = h, w
    return found


def _route(edge: Edge, home: Mapping[Vertex, _Frame]) -> list[tuple[_Frame, Any]]:
    """The frames that an edge passes, each with what it connects there: out of the source's, into the target's."""
    out, into = [home[edge.source]], [home[edge.target]]
    while out[-1] is not into[-1]:
        longer = out if out[-1].depth >= into[-1].depth else into
        around = longer[-1].around
        assert around is not None
        longer.append(around)
    port = edge.source  # all edges of one source share its way through a frame's border
    found: list[tuple[_Frame, Any]] = []
    start: Any = edge.source
    for frame in out[:-1]:
        found.append((frame, frame.connect(start, ("out", port), port)))
        start = frame
    end: list[Any] = [*into[-2::-1], edge.target] if len(into) > 1 else [edge.target]
    found.append((out[-1], out[-1].connect(start, end[0], port)))
    for frame, inner in itertools.pairwise(end):
        found.append((frame, frame.connect(("in", port), inner, port)))
    return found


class _Frame:
    """One frame: its items in layers, with the ports through which edges enter and leave."""

    def __init__(self, group: Group, around: _Frame | None) -> None:
        self.group = group
        self.around = around
        self.depth: int = 0 if around is None else around.depth + 1
        self.vertices: list[Vertex] = []
        self.items: list[Any] = []
        self.links: dict[Any, None] = {}  # (from, to, port): from a vertex, a frame or an entry, to one or an exit
        self.places: dict[Any, Point] = {}
        self.at: Point = (0.0, 0.0)
        self.width = self.height = 0.0
        self.rise = RISE
        self.room_of: Callable[[Vertex], float] = lambda vertex: 0.0
        self.ways: dict[Any, list[Any]] = {}
        self.spans: dict[Any, tuple[float, float]] = {}  # of each bend, from the top to the bottom of its layer

    @classmethod
    def tree(cls, drawing: Drawing) -> list[_Frame]:
        """All frames, outer ones first; groups without a frame count as part of what is around them."""
        frames = [cls(drawing.root, None)]
        stack = [frames[0]]
        for item, opened in walk(drawing.root):
            if isinstance(item, Vertex):
                stack[-1].vertices.append(item)
                stack[-1].items.append(item)
            elif item.framed and item is not drawing.root:
                if opened:
                    made = cls(item, stack[-1])
                    stack[-1].items.append(made)
                    frames.append(made)
                    stack.append(made)
                else:
                    stack.pop()
        return frames

    def connect(self, start: Any, end: Any, port: Any = None) -> Any:
        key = (start, end, port)
        self.links[key] = None
        return key

    # ---------------------------------------------------------------------------------------- the layers

    def arrange(self, size_of: Callable[[Vertex], tuple[float, float]], title_of: Any, across: bool) -> None:
        """Find places for all items, and the frame's own size."""
        self.sizes: dict[Any, tuple[float, float]] = {}
        for item in self.items:
            self.sizes[item] = (item.width, item.height) if isinstance(item, _Frame) else size_of(item)
        for start, end, _ in self.links:
            for port in (start, end):
                if isinstance(port, tuple):
                    self.sizes.setdefault(port, (0.0, 0.0))
        self.room = {n: max(self.room_of(n) if isinstance(n, Vertex) else 0.0, w) for n, (w, _) in self.sizes.items()}
        layer = self._layered()
        layers = self._with_bends(layer)
        self._order(layers)
        x = self._spread(layers)

        pad = PAD if self.around is not None else 4.0
        title = (TITLE if self.around is not None else 0.0) if not across else 0.0
        left = min((x[n] - self._room(n) / 2 for n in x), default=0.0) - pad - (TITLE if across and pad > 4 else 0.0)
        right = max((x[n] + self._room(n) / 2 for n in x), default=0.0) + pad
        if self.around is not None and not across:
            right = max(right, left + title_of(self.group) + 2 * pad)
        y = title
        for k, row in enumerate(layers):
            ports_only = self._only_ports(row)
            height = max((self.sizes[n][1] for n in row), default=0.0)
            if k == 0:
                y += 0.0 if ports_only else pad
            for node in row:
                rest = (height - self.sizes[node][1]) / 2
                if rest and node not in self.above:  # what nothing leads to stays close to where it is used
                    rest *= 2
                elif rest and node not in self.below:
                    rest = 0.0
                self.places[node] = x[node] - left, y + rest + self.sizes[node][1] / 2
                if isinstance(node, tuple) and node[0] == "bend":
                    self.spans[node] = y, y + height
            last = k == len(layers) - 1
            y += height + (0.0 if last else self.rise * (0.6 if ports_only or self._only_ports(layers[k + 1]) else 1.0))
            if last and not ports_only:
                y += pad
        self.width, self.height = right - left, y
        if across and self.around is not None:
            self.height = max(self.height, title_of(self.group) + 2 * pad)

    @staticmethod
    def _only_ports(row: Sequence[Any]) -> bool:
        return all(isinstance(n, tuple) and n[0] != "bend" for n in row)

    def _layered(self) -> dict[Any, int]:
        """Longest paths; what nothing leads to stands right before its first use. Cycles are cut where they close."""
        nodes = list(self.sizes)
        after: dict[Any, list[Any]] = {n: [] for n in nodes}
        missing: dict[Any, int] = dict.fromkeys(nodes, 0)
        for start, end, _ in self.links:
            after[start].append(end)
            missing[end] += 1
        layer: dict[Any, int] = {}
        ready = deque(n for n in nodes if not missing[n])
        waiting = [n for n in nodes if missing[n]]
        at: dict[Any, int] = dict.fromkeys(nodes, 0)
        while ready or waiting:
            if not ready:
                ready.append(next(n for n in waiting if n not in layer))
            n = ready.popleft()
            if n in layer:
                continue
            layer[n] = at[n]
            for m in after[n]:
                missing[m] -= 1
                if m not in layer:
                    at[m] = max(at[m], layer[n] + 1)
                    if not missing[m]:
                        ready.append(m)
            if not ready:
                waiting = [m for m in waiting if m not in layer]
        entries = [n for n in nodes if isinstance(n, tuple) and n[0] == "in"]
        if entries:
            layer = {n: k + 1 for n, k in layer.items()}
            layer.update(dict.fromkeys(entries, 0))
            for n in sorted(layer, key=layer.__getitem__):  # below the entries, if nothing else is
                layer[n] = layer[n] if n in entries else max(layer[n], 1)
        led_to = {end for _, end, _ in self.links}
        for n in nodes:
            if n not in led_to and n not in entries and after[n]:
                layer[n] = max(layer[n], min(layer[m] for m in after[n]) - 1)
        exits = [n for n in nodes if isinstance(n, tuple) and n[0] == "out"]
        if exits:
            last = 1 + max((k for n, k in layer.items() if n not in exits), default=0)
            layer.update(dict.fromkeys(exits, last))
        used = {k: number for number, k in enumerate(sorted(set(layer.values())))}
        return {n: used[k] for n, k in layer.items()}

    def _with_bends(self, layer: dict[Any, int]) -> list[list[Any]]:
        """The layers, with a bend in each layer that a link passes."""
        layers: list[list[Any]] = [[] for _ in range(max(layer.values(), default=-1) + 1)]
        for n, k in layer.items():
            layers[k].append(n)
        self.above: dict[Any, list[Any]] = {}
        self.below: dict[Any, list[Any]] = {}
        self.meeting: dict[Any, list[Any]] = {}  # the links between two neighbours
        for link in self.links:
            start, end, _ = link
            way = [start]
            for k in range(layer[start] + 1, layer[end]):
                bend = ("bend", len(self.sizes))
                self.sizes[bend] = (4.0, 0.0)
                layers[k].append(bend)
                way.append(bend)
            way.append(end)
            self.ways[link] = way
            if layer[start] < layer[end]:
                for a, b in itertools.pairwise(way):
                    self.meeting.setdefault((a, b), []).append(link)
                    self.below.setdefault(a, []).append(b)
                    self.above.setdefault(b, []).append(a)
        return layers

    # ---------------------------------------------------------------------------------------- left to right

    def _order(self, layers: list[list[Any]]) -> None:
        """Fewer crossings: nodes go where the mean of their neighbours is, forth and back; the best order stays."""

        def cost() -> int:
            at = {n: k for row in layers for k, n in enumerate(row)}
            total = 0
            for row in layers:
                ends: list[int] = []
                for n in row:
                    targets = sorted(at[m] for m in self.below.get(n, ()))
                    total += sum(len(ends) - bisect.bisect_right(ends, t) for t in targets)
                    for t in targets:
                        bisect.insort(ends, t)
            return total

        best, kept = cost(), [row[:] for row in layers]
        for sweep in range(SWEEPS if best else 0):
            down = sweep % 2 == 0
            near = self.above if down else self.below
            for k in range(len(layers)) if down else reversed(range(len(layers))):
                other = layers[k - 1] if down and k else layers[k + 1] if not down and k + 1 < len(layers) else []
                at = {n: i for i, n in enumerate(other)}
                own = {n: i for i, n in enumerate(layers[k])}

                def wanted(n: Any, at: dict[Any, int] = at, own: dict[Any, int] = own) -> tuple[float, int]:
                    found = [at[m] for m in near.get(n, ()) if m in at]  # noqa: B023
                    return (math.fsum(found) / len(found) if found else own[n]), own[n]

                layers[k].sort(key=wanted)
            if (now := cost()) < best:
                best, kept = now, [row[:] for row in layers]
        for k, row in enumerate(kept):
            layers[k][:] = row

    def _spread(self, layers: list[list[Any]]) -> dict[Any, float]:
        """Places from left to right: close to the neighbours', in order, without overlap."""
        x: dict[Any, float] = {}
        for row in layers:
            at = 0.0
            for n in row:
                w = self._room(n)
                x[n] = at + w / 2
                at += w + GAP
            for n in row:
                x[n] -= at / 2
        for sweep in range(2 * SWEEPS):
            down = sweep % 2 == 0
            last = sweep >= 2 * SWEEPS - 2
            for k in range(len(layers)) if down else reversed(range(len(layers))):
                row = layers[k]
                wanted, weights = [], []
                for n in row:
                    near = self.above.get(n, []) if down else self.below.get(n, [])
                    if last:
                        near = self.above.get(n, []) + self.below.get(n, [])
                    straight = isinstance(n, tuple)
                    wanted.append(math.fsum(x[m] + self._shift(m, n) for m in near) / len(near) if near else x[n])
                    weights.append((4.0 if straight else 1.0) * max(len(near), 0.2))
                gaps = [
                    (self._room(a) + self._room(b)) / 2
                    + (8.0 if isinstance(a, tuple) and isinstance(b, tuple) else GAP)
                    for a, b in itertools.pairwise(row)
                ]
                for n, at in zip(row, in_order(wanted, weights, gaps)):
                    x[n] = at
        return x

    def _room(self, node: Any) -> float:
        return self.room.get(node, self.sizes[node][0])

    def _shift(self, near: Any, node: Any) -> float:
        """How far beside the middle of a neighbour the middle of a node should be, for their ends to meet."""
        above = near in self.above.get(node, ())
        links = self.meeting[(near, node) if above else (node, near)]
        return self._offset(near, links, "out" if above else "in") - self._offset(node, links, "in" if above else "out")

    @staticmethod
    def _offset(item: Any, links: Sequence[Any], side: str) -> float:
        """From the middle of a frame to the ports of some links, on the mean."""
        if not isinstance(item, _Frame):
            return 0.0
        places = [item.places[side, port][0] for _, _, port in links]
        return math.fsum(places) / len(places) - item.width / 2

    # ---------------------------------------------------------------------------------------- edges

    def points(self, key: Any) -> list[Point]:
        """The way of a link, from border to border, in the frame's own coordinates."""
        way = self.ways[key]
        start, end, port = key
        found = [self._end(start, port, bottom=True, other=way[1])]
        for bend in way[1:-1]:  # straight past what stands in the layer
            top, bottom = self.spans[bend]
            x = self.places[bend][0]
            found += [(x, top), (x, bottom)]
        found.append(self._end(end, port, bottom=False, other=way[-2]))
        return found

    def _end(self, item: Any, port: Any, bottom: bool, other: Any) -> Point:
        x, y = self.places[item]
        if isinstance(item, _Frame):
            inner = item.places.get(("out" if bottom else "in", port))
            shift = (inner[0] - item.width / 2) if inner is not None else 0.0
            return x + shift, y + (item.height if bottom else -item.height) / 2
        if isinstance(item, tuple):
            return (x, self.height) if item[0] == "out" else (x, 0.0)
        w, h = self.sizes[item]
        return x + self._fan(item, other, bottom, w), y + (h if bottom else -h) / 2

    def _fan(self, item: Any, other: Any, bottom: bool, w: float) -> float:
        """Ends at one box are spread a little, in the order of where they come from."""
        near = self.below.get(item, []) if bottom else self.above.get(item, [])
        if len(near) < 2 or other not in near:
            return 0.0
        ranked = sorted(near, key=lambda n: self.places[n][0])
        step = min(22.0, 0.7 * w / len(near))
        return (ranked.index(other) - (len(near) - 1) / 2) * step


def in_order(wanted: Sequence[float], weights: Sequence[float], gaps: Sequence[float]) -> list[float]:
    """The numbers closest to those wanted (weighted squares) that keep the gaps from one to the next.

    >>> in_order([0.0, 0.0, 9.0], [1.0, 1.0, 1.0], [2.0, 2.0])
    [-1.0, 1.0, 9.0]
    """
    offsets = [0.0]
    for gap in gaps:
        offsets.append(offsets[-1] + gap)
    blocks: list[list[float]] = []  # [mean, weight, how many]
    for want, weight, offset in zip(wanted, weights, offsets):
        blocks.append([want - offset, weight, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            mean, w, count = blocks.pop()
            last = blocks[-1]
            last[0] = (last[0] * last[1] + mean * w) / (last[1] + w)
            last[1] += w
            last[2] += count
    found: list[float] = []
    for mean, _, count in blocks:
        found += [mean + offsets[len(found) + k] for k in range(int(count))]
    return found
