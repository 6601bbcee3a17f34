"""Graphviz's language. See https://graphviz.org/doc/info/lang.html"""

from __future__ import annotations

import html

from .drawing import Drawing, Edge, Group, Vertex, clean, walk
from .styles import STYLES, Style, line_of, look_of

SHAPES = {
    "op": "box",
    "module": "box",
    "parameter": "cylinder",
    "input": "ellipse",
    "constant": "note",
    "output": "box",
    "omitted": "box",
}
FONT = "Helvetica,Arial,sans-serif"


def to_dot(drawing: Drawing) -> str:
    """The drawing as text for ``dot``; equal drawings give equal text."""
    style = STYLES[drawing.style]
    title = [f"<b>{_html(drawing.title)}</b>"] if drawing.title else []
    totals = f'<font point-size="10" color="{style.faint}">{_html(drawing.totals)}</font>'
    lines = [
        "digraph tinygrad_jac {",
        f'  graph [rankdir={drawing.direction}, newrank=true, bgcolor="{style.paper}", fontname="{FONT}", fontsize=12, '
        f'fontcolor="{style.text}", label=<{"<br/>".join([*title, totals])}>, labelloc=t, nodesep=0.25, ranksep=0.4];',
        f'  node [fontname="{FONT}", fontsize=12, margin="0.12,0.06", height=0.3];',
        f'  edge [fontname="{FONT}", fontsize=9, color="{style.edge}", fontcolor="{style.faint}", arrowsize=0.7];',
    ]
    indent = "  "
    for item, opened in walk(drawing.root):
        if isinstance(item, Vertex):
            lines.append(f"{indent}{item.id} [{_vertex(item, style)}];")
        elif item.framed and item.parent is not None:
            if opened:
                lines += [
                    f"{indent}subgraph cluster_{item.id} {{",
                    f"{indent}  label={_quoted(_padded(item))}; labeljust=l; fontsize=11; "
                    f'fontcolor="{style.faint}"; color="{style.frame}"; style=rounded; margin=10;',
                ]
                indent += "  "
            else:
                indent = indent[:-2]
                lines.append(f"{indent}}}")
    for edge in drawing.edges:
        said = _edge(edge, style)
        lines.append(f"  {edge.source.id} -> {edge.target.id}{said and f' [{said}]'};")
    return "\n".join([*lines, "}"]) + "\n"


def _padded(group: Group) -> str:
    return f"{group.title} " if group.times > 1 else group.title


def _vertex(vertex: Vertex, style: Style) -> str:
    look = look_of(vertex, style)
    title = f"<b>{_html(vertex.title)}</b>"
    notes = "".join(
        f'<br/><font point-size="9" color="{look.text}">{_html(note)}</font>'
        for note in [*vertex.notes, *([vertex.place] if vertex.verdict and vertex.place else [])]
    )
    kinds = ["filled", *(["rounded"] if vertex.role == "op" else []), *([look.dash] if look.dash != "solid" else [])]
    text = {
        "label": f"<{title}{notes}>",
        "shape": SHAPES[vertex.role],
        "style": f'"{",".join(kinds)}"',
        "fillcolor": f'"{look.fill}"',
        "color": f'"{look.line}"',
        "fontcolor": f'"{look.text}"',
        "penwidth": f"{look.width:g}" if look.width != 1 else "",
        "peripheries": "2" if vertex.role in ("output", "module") else "",
        "tooltip": _quoted(tooltip(vertex)),
    }
    return ", ".join(f"{key}={value}" for key, value in text.items() if value)


def _edge(edge: Edge, style: Style) -> str:
    colour, width, dash = line_of(edge, style)
    text = {
        "label": _quoted("\n".join(f" {line} " for line in edge.label)) if edge.label else "",
        "color": f'"{colour}"' if colour != style.edge else "",
        "penwidth": str(width) if edge.verdict or width != 1 else "",
        "style": dash if dash != "solid" else "",
        "tooltip": _quoted(edge.message) if edge.message else "",
    }
    return ", ".join(f"{key}={value}" for key, value in text.items() if value)


def tooltip(vertex: Vertex) -> str:
    """What does not fit into the box: the user's line, and what is wrong."""
    parts = [vertex.group.path or vertex.kind, vertex.place, vertex.code, vertex.message]
    return "  ".join(part for part in parts if part)


def _html(text: str) -> str:
    r"""Text within an HTML-like label, where a backslash means something too: ``\N`` is the name of the vertex.

    >>> print(_html("<b> \\N"))
    &lt;b&gt; \\N
    """
    return html.escape(clean(text)).replace("\\", "\\\\")


def _quoted(text: str) -> str:
    r"""Text as a DOT string: within quotes only quotes and backslashes mean something.

    >>> print(_quoted('a "b" \\N'))
    "a \"b\" \\N"
    """
    lines = [clean(line).replace("\\", "\\\\").replace('"', '\\"') for line in text.split("\n")]
    return '"' + "\\n".join(lines) + '"'
