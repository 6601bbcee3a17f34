"""What is drawn: vertices, edges and groups, as plain data.

`reading` makes a `Drawing` of a recorded graph, `grouping` closes modules and rolls up what repeats, and a writer for
each format (`dot`, `mermaid`, `data`, `svg`) puts it on paper. A drawing holds no node of the graph: it keeps no array
alive.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Shape = tuple[int, ...]
State = Literal["", "dead", "grad Inf", "grad NaN", "Inf", "NaN"]
STATES: tuple[State, ...] = get_args(State)  # from the best to the worst
DIRECTIONS = ("TB", "BT", "LR", "RL")
LONGEST = 60  # characters of a name


@dataclass(slots=True, eq=False)
class Group:
    """A module, or one call of it: what the writers draw a frame around.

    Attributes
    ----------
    path : str
        Of the module, dotted; empty for the model itself, and for what repeats without being a module.
    kind : str
        The module's class, where it is known.
    parent : Group or None
    level : int
        How deep it is nested: 1 for the model; 0 for the page, and for what repeats without being a module.
    call, calls : int
        Which call of the module it is, of how many.
    times : int
        For how many equal blocks in a row it stands, up to the one named ``last``.
    framed : bool
        Whether it is drawn with a frame around it.
    items : list of (Group or Vertex)
        In the order of the graph.
    """

    path: str = ""
    kind: str = ""
    parent: Group | None = None
    level: int = 0
    call: int = 1
    calls: int = 1
    times: int = 1
    last: str = ""
    id: str = ""
    framed: bool = True
    items: list[Group | Vertex] = field(default_factory=list)

    @property
    def title(self) -> str:
        """Its label, and how often it is there."""
        return repeated(self.label, self.times)

    @property
    def label(self) -> str:
        """Its name within the frame around it, its class, which call it is."""
        around = self.parent
        while around is not None and not (around.framed and around.path):
            around = around.parent
        inside = around is not None and self.path.startswith(around.path + ".")
        cut = len(around.path) + 1 if around is not None and inside else 0
        name = f"{self.path[cut:]} … {self.last[cut:]}" if self.last else self.path[cut:]
        parts = [name, self.kind, f"call {self.call} of {self.calls}" if self.calls > 1 else ""]
        return " · ".join(part for part in parts if part)

    def vertices(self) -> Iterator[Vertex]:
        """All vertices inside, in order."""
        return (item for item, opened in walk(self) if isinstance(item, Vertex))


@dataclass(slots=True, eq=False)
class Vertex:
    """An op, or what ops start from.

    Attributes
    ----------
    kind : {"op", "parameter", "input", "constant", "module", "omitted"}
        A module here is one that is drawn closed; "omitted" stands for all that ``max_nodes`` left out.
    name : str
        The op's; the path of a parameter; the name of an input.
    shape, dtype
        Of what it gives to others; None where that is not one thing, or not known.
    detail : str
        Parameters and plain numbers among the arguments of an op: ``axis=1``, ``y=2``.
    output : str
        The name under which it is an output; empty if it is none.
    ops, parameters : int
        How many ops, and how many numbers to be learnt, it stands for.
    times : int
        For how many equal ops in a row it stands.
    value, gradient : float or None
        Of a scalar, where asked for and known.
    state : {"", "dead", "grad Inf", "grad NaN", "Inf", "NaN"}
        Whether its gradient is zero everywhere, or not finite; whether its values are not.
    verdict, message : str
        What a debug mode's report says; ``errors`` are the largest of its checks.
    place, code : str
        The user's line: ``file.py:12`` and its text.
    """

    kind: str
    name: str
    group: Group
    shape: Shape | None = None
    dtype: str = ""
    detail: str = ""
    output: str = ""
    ops: int = 0
    parameters: int = 0
    times: int = 1
    value: float | None = None
    gradient: float | None = None
    state: State = ""
    verdict: str = ""
    message: str = ""
    harmless: bool = True
    errors: dict[str, float] = field(default_factory=dict)
    place: str = ""
    code: str = ""
    id: str = ""

    @property
    def title(self) -> str:
        """The first line: bold."""
        name = shortened(self.name.strip() or self.kind)
        return repeated(f"{shortened(self.output)} = {name}" if self.output else name, self.times)

    @property
    def notes(self) -> list[str]:
        """The lines below: small."""
        form = "" if self.shape is None else f"{shape_text(self.shape)} {self.dtype}".rstrip()
        if self.kind == "parameter" and self.shape is not None:
            form = f"{shape_text(self.shape)} · {self.parameters:,}" if self.shape else form
        lines = [self.detail, form]
        if self.kind == "module":
            held = f" · {counted(self.parameters, 'parameter')}" if self.parameters else ""
            lines = [counted(self.ops, "op") + held, form]
        numbers = {"value": self.value, "grad": self.gradient}
        lines.append(" · ".join(f"{name} {x:.4g}" for name, x in numbers.items() if x is not None))
        lines += [self.state, "" if self.verdict == "ok" else self.verdict]
        return [line for line in lines if line]

    @property
    def role(self) -> str:
        """What decides its look: an output looks like one, whatever made it."""
        return "output" if self.output else self.kind


@dataclass(slots=True, eq=False)
class Edge:
    """A vertex is an argument of another.

    Attributes
    ----------
    argument : str
        The argument's name, as the rules of the op call it.
    ordered : bool
        Whether it matters which argument it is.
    recorded : bool
        Whether a gradient flows along it: the engine's own edges are those.
    times : int
        For how many edges it stands, between modules that are drawn closed.
    jacobian : Local or None
        The local Jacobian.
    cotangent : tuple or None
        The shape of what flows back, where that was asked for.
    state, verdict, message
        As for `Vertex`.
    """

    source: Vertex
    target: Vertex
    argument: str = ""
    ordered: bool = False
    recorded: bool = True
    times: int = 1
    jacobian: Local | None = None
    cotangent: Shape | None = None
    state: State = ""
    verdict: str = ""
    message: str = ""
    harmless: bool = True

    @property
    def label(self) -> list[str]:
        """The lines of its label: most edges need none."""
        words = [self.argument if self.ordered else "", f"×{self.times:,}" if self.times > 1 else ""]
        if self.verdict not in ("", "ok"):
            words[0] = f"{self.argument}: {self.verdict}" if self.argument else self.verdict
        words += ["" if self.cotangent is None else shape_text(self.cotangent), self.state]
        lines = ["  ".join(word for word in words if word), *([] if self.jacobian is None else self.jacobian.text)]
        return [line for line in lines if line]


@dataclass(slots=True, frozen=True)
class Local:
    """A local Jacobian: m rows, n columns, one word for its form, its non-zero part, and what that looks like.

    ``glyph`` is the pattern of non-zeros in at most 24 by 24 cells, a string of 0 and 1 for each row; empty where it
    would be expensive.
    """

    m: int
    n: int
    structure: str
    density: float | None
    glyph: tuple[str, ...] = ()

    @property
    def text(self) -> list[str]:
        """
        >>> Local(1200, 1200, "diagonal", 1 / 1200).text
        ['∂ 1,200×1,200', 'diagonal 0.083%']
        """
        part = "" if self.density is None else f" {100 * self.density:.2g}%"
        return [f"∂ {self.m:,}×{self.n:,}", f"{self.structure}{part}"]


@dataclass(slots=True)
class Drawing:
    """All of it; ``parameters``, ``ops`` and ``saved`` (bytes) are of the whole graph, however much of it is drawn."""

    root: Group
    vertices: list[Vertex]
    edges: list[Edge]
    parameters: int = 0
    ops: int = 0
    saved: int | None = 0
    title: str = ""
    direction: str = "TB"
    style: str = "light"
    backward: bool = False

    @property
    def totals(self) -> str:
        """One line: parameters, ops, bytes saved for the backward."""
        saved = "" if self.saved is None else f" · {bytes_text(self.saved)} saved for the gradient"
        return f"{counted(self.parameters, 'parameter')} · {counted(self.ops, 'op')}{saved}"

    def number(self) -> None:
        """Give vertices and groups the ids by which a file knows them: the same for equal graphs."""
        for k, vertex in enumerate(self.vertices):
            vertex.id = f"n{k}"
        groups = [item for item, opened in walk(self.root) if opened and isinstance(item, Group)]
        for k, group in enumerate(groups):
            group.id = f"g{k}"


def walk(group: Group) -> Iterator[tuple[Any, bool]]:
    """What is in a group, nested groups opened (True) and closed again (False); not recursive."""
    stack: list[tuple[Group, Iterator[Any]]] = [(group, iter(group.items))]
    yield group, True
    while stack:
        current, rest = stack[-1]
        for item in rest:
            yield item, True
            if isinstance(item, Group):
                stack.append((item, iter(item.items)))
                break
        else:
            stack.pop()
            yield current, False


# ------------------------------------------------------------------------------------------------ texts


def counted(n: int, what: str) -> str:
    """
    >>> counted(1, "op"), counted(1200, "op"), counted(2, "box")
    ('1 op', '1,200 ops', '2 boxes')
    """
    return f"{n:,} {what}" + ("" if n == 1 else "es" if what.endswith("x") else "s")


def repeated(text: str, times: int) -> str:
    return f"{text}  ×{times:,}" if times > 1 else text


def shortened(text: str) -> str:
    """A name as far as a box has room for it, in one line: without its middle. JSON and the page keep all of it."""
    rest = LONGEST - 1
    return text if len(text) <= LONGEST else f"{text[: rest // 2]}…{text[-(rest - rest // 2) :]}"


def shape_text(shape: Shape) -> str:
    return str(shape) if shape else "scalar"


def bytes_text(n: int) -> str:
    """
    >>> bytes_text(0), bytes_text(1536), bytes_text(5 * 2**20)
    ('0 B', '1.5 KiB', '5 MiB')
    """
    size, unit = float(n), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.3g} {unit}" if size < 1000 else f"{size:.0f} {unit}"


def clean(text: str) -> str:
    """Text of one line, without what no file format takes: control characters, halves of surrogate pairs."""
    if text.isprintable():
        return text
    return "".join(
        " " if c in "\t\r\n\u2028\u2029" else "�" if unicodedata.category(c) in ("Cc", "Cs") else c for c in text
    )
