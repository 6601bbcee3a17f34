"""Mermaid's flowcharts, which GitHub and notebooks draw. See https://mermaid.js.org/syntax/flowchart.html"""

from __future__ import annotations

from .drawing import Drawing, Vertex, clean, walk
from .styles import STYLES, line_of, look_of

SHAPES = {
    "op": ("(", ")"),
    "module": ("[[", "]]"),
    "parameter": ("[(", ")]"),
    "input": ("([", "])"),
    "constant": ("[", "]"),
    "output": ("[[", "]]"),
    "omitted": ("[", "]"),
}
MEANS_SOMETHING = frozenset('"#&<>`\\;{}[]()|@$%*_~:/^')


def to_mermaid(drawing: Drawing) -> str:
    """The drawing as a flowchart; equal drawings give equal text."""
    style = STYLES[drawing.style]
    lines = [f"%% {drawing.totals}", f"flowchart {drawing.direction}"]
    indent = "  "
    looks: dict[str, list[str]] = {}
    for item, opened in walk(drawing.root):
        if isinstance(item, Vertex):
            before, after = SHAPES[item.role]
            text = "<br/>".join([f"<b>{_escaped(item.title)}</b>", *map(_escaped, item.notes)])
            lines.append(f'{indent}{item.id}{before}"{text}"{after}')
            look = look_of(item, style)
            said = f"fill:{look.fill},stroke:{look.line},color:{look.text},stroke-width:{look.width:g}px"
            said += ",stroke-dasharray:4 3" if look.dash != "solid" else ""
            looks.setdefault(said, []).append(item.id)
        elif item.framed and item.parent is not None:
            if opened:
                lines.append(f'{indent}subgraph {item.id}["{_escaped(item.title)}"]')
                indent += "  "
            else:
                indent = indent[:-2]
                lines.append(f"{indent}end")
    lined: dict[str, list[int]] = {}
    for k, edge in enumerate(drawing.edges):
        colour, width, dash = line_of(edge, style)
        arrow = "-.->" if dash != "solid" else "==>" if width > 1 else "-->"
        label = f'|"{"<br/>".join(map(_escaped, edge.label))}"|' if edge.label else ""
        lines.append(f"  {edge.source.id} {arrow}{label} {edge.target.id}")
        if colour != style.edge:
            lined.setdefault(f"stroke:{colour}", []).append(k)
    for number, (said, ids) in enumerate(looks.items()):
        lines += [f"  classDef look{number} {said}", f"  class {','.join(ids)} look{number}"]
    lines += [f"  linkStyle {','.join(map(str, edges))} {said}" for said, edges in lined.items()]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    """Text between quotes: what means something to Mermaid, Markdown or HTML as the number of the character.

    >>> _escaped('a "b" <c>')
    'a #34;b#34; #60;c#62;'
    """
    return "".join(f"#{ord(c)};" if c in MEANS_SOMETHING else c for c in clean(text))
