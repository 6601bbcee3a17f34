"""Colours and lines: told apart by those who do not see red and green (Okabe and Ito, 2008), and in black and white.

Whatever a colour says is said by a shape, a line or a word too.
"""

from __future__ import annotations

from dataclasses import dataclass

from .drawing import Edge, Vertex


@dataclass(frozen=True)
class Look:
    """How a kind of vertex looks: fill, line and text colours, the width and the kind of the line."""

    fill: str
    line: str
    text: str
    width: float = 1.0
    dash: str = "solid"


@dataclass(frozen=True)
class Style:
    """A look for each role, and the colours of everything else."""

    paper: str
    text: str
    faint: str
    edge: str
    frame: str
    roles: dict[str, Look]
    wrong: str
    ok: str
    dead: str


def _roles(**looks: tuple[str, str, str, float, str]) -> dict[str, Look]:
    return {role: Look(*look) for role, look in looks.items()}


STYLES = {
    "light": Style(
        "#ffffff", "#1a1a1a", "#5f6368", "#55595e", "#b9bec4",
        _roles(
            op=("#f5f5f4", "#8a8f94", "#1a1a1a", 1.0, "solid"),
            module=("#ececea", "#55595e", "#1a1a1a", 1.5, "solid"),
            parameter=("#d6eaf8", "#0072b2", "#1a1a1a", 1.2, "solid"),
            input=("#cdeee2", "#009e73", "#1a1a1a", 2.0, "solid"),
            constant=("#ffffff", "#8a8f94", "#3c4043", 1.0, "dashed"),
            output=("#fde9b8", "#b87a00", "#1a1a1a", 2.2, "solid"),
            omitted=("#ffffff", "#d55e00", "#1a1a1a", 1.8, "dashed"),
        ),
        wrong="#d55e00", ok="#0072b2", dead="#9aa0a6",
    ),
    "dark": Style(
        "#15181c", "#e8eaed", "#a5abb2", "#a5abb2", "#4a5058",
        _roles(
            op=("#262a30", "#7d848c", "#e8eaed", 1.0, "solid"),
            module=("#30353c", "#a5abb2", "#e8eaed", 1.5, "solid"),
            parameter=("#16324a", "#56b4e9", "#e8eaed", 1.2, "solid"),
            input=("#0e3b2f", "#2bc79a", "#e8eaed", 2.0, "solid"),
            constant=("#15181c", "#7d848c", "#c4c9ce", 1.0, "dashed"),
            output=("#4a3a0c", "#f0b429", "#fff4d6", 2.2, "solid"),
            omitted=("#15181c", "#f07f2f", "#e8eaed", 1.8, "dashed"),
        ),
        wrong="#f07f2f", ok="#56b4e9", dead="#6a7078",
    ),
    "print": Style(
        "#ffffff", "#000000", "#333333", "#000000", "#888888",
        _roles(
            op=("#ffffff", "#000000", "#000000", 0.8, "solid"),
            module=("#ffffff", "#000000", "#000000", 1.6, "solid"),
            parameter=("#e4e4e4", "#000000", "#000000", 0.8, "solid"),
            input=("#ffffff", "#000000", "#000000", 2.2, "solid"),
            constant=("#ffffff", "#000000", "#000000", 0.8, "dashed"),
            output=("#ffffff", "#000000", "#000000", 2.2, "solid"),
            omitted=("#ffffff", "#000000", "#000000", 1.8, "dashed"),
        ),
        wrong="#000000", ok="#000000", dead="#999999",
    ),
}  # fmt: skip


def look_of(vertex: Vertex, style: Style) -> Look:
    """The look of a vertex: of its role, unless something is wrong with it or a report has judged it."""
    look = style.roles[vertex.role]
    if not vertex.harmless or vertex.state not in ("", "dead"):
        return Look(look.fill, style.wrong, look.text, 3.0)
    if vertex.state == "dead":
        return Look(look.fill, style.dead, style.faint, look.width, "dashed")
    if vertex.verdict == "ok":
        return Look(look.fill, style.ok, look.text, 2.0)
    if vertex.verdict:
        return Look(look.fill, look.line, look.text, 2.0, "dashed")
    return look


def line_of(edge: Edge, style: Style) -> tuple[str, int, str]:
    """Colour, width and kind of the line of an edge."""
    if not edge.harmless or edge.state not in ("", "dead"):
        return style.wrong, 3, "solid"
    if edge.state == "dead":
        return style.dead, 1, "dashed"
    if edge.verdict:
        return style.ok if edge.verdict == "ok" else style.edge, 1, "solid"
    return style.edge, 1, "solid" if edge.recorded else "dotted"
