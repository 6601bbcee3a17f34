"""The drawing as SVG, laid out by `layout`: what notebooks show, and what the HTML page moves about."""

from __future__ import annotations

import html
import unicodedata
from collections import Counter

from .drawing import Drawing, Edge, Group, Vertex, clean
from .layout import Layout, Point, layout
from .styles import STYLES, Style, line_of, look_of

FONT = "system-ui, 'Segoe UI', Helvetica, Arial, sans-serif"
BOLD, SMALL, LINE = 13.0, 10.5, 13.5
HEAD = 34.0  # the lines above the drawing
NARROW, WIDE = frozenset("ijltfr.,:;'|!()[] I·"), frozenset("mwMW@%…×—∂")


def text_width(text: str, size: float) -> float:
    """About how wide a text is, rather too wide: no font is there to be asked."""
    total = 0.0
    for c in text:
        if unicodedata.east_asian_width(c) in "WF":
            total += 1.05
        elif c in NARROW:
            total += 0.34
        elif c in WIDE:
            total += 0.92
        else:
            total += 0.68 if c.isupper() else 0.61
    return total * size


def size_of(vertex: Vertex) -> tuple[float, float]:
    notes = [clean(note) for note in vertex.notes]
    widths = [text_width(clean(vertex.title), BOLD) * 1.12, *(text_width(note, SMALL) for note in notes)]
    extra = {"input": 26.0, "output": 24.0, "module": 24.0}.get(vertex.role, 18.0)
    rise = {"parameter": 9.0, "output": 6.0, "module": 6.0}.get(vertex.role, 0.0)
    return max(widths) + extra, 22.0 + LINE * len(notes) + rise


def to_svg(drawing: Drawing) -> str:
    """One SVG document; equal drawings give equal text."""
    style = STYLES[drawing.style]
    labels = _labels(drawing)
    room: dict[Vertex, float] = {}
    for end, beside, width in labels.values():
        room[end] = max(room.get(end, 0.0), (2 if beside else 1) * (width + 8))
    found = layout(
        drawing,
        size_of,
        lambda group: text_width(clean(group.title), 11.0),
        lambda edge: labels[edge][2] if edge in labels else 0.0,
        lambda vertex: room.get(vertex, 0.0),
    )
    totals = clean(drawing.totals)
    head = [
        f'<text x="10" y="15" class="small">{html.escape(totals)}</text>'
        if not drawing.title
        else f'<text x="10" y="14" class="bold">{html.escape(clean(drawing.title))}</text>'
        f'<text x="10" y="29" class="small">{html.escape(totals)}</text>'
    ]
    width = max(found.width, text_width(totals, SMALL) + 20, text_width(drawing.title, BOLD) + 20)
    height = found.height + HEAD
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" font-family="{FONT}" role="img">',
        f"<title>{html.escape(clean(drawing.title) or 'computational graph')}</title>",
        f"<style>.bold{{font-weight:600;font-size:{BOLD}px;fill:{style.text}}}"
        f".small{{font-size:{SMALL}px;fill:{style.faint}}}.mid{{text-anchor:middle}}"
        f".halo{{paint-order:stroke;stroke:{style.paper};stroke-width:3px}}</style>",
        _markers(drawing, style),
        f'<rect width="100%" height="100%" fill="{style.paper}"/>',
        *head,
        f'<g transform="translate({(width - found.width) / 2:.1f} {HEAD:.0f})">',
    ]
    parts += [_frame(group, found, style) for group in found.frames]
    parts += _edges(drawing, found, style, labels)
    parts += [_vertex(vertex, found, style) for vertex in drawing.vertices]
    return "\n".join([*parts, "</g>", "</svg>"]) + "\n"


def _markers(drawing: Drawing, style: Style) -> str:
    """An arrow head for each colour that is used."""
    colours = dict.fromkeys(line_of(edge, style)[0] for edge in drawing.edges)
    heads = "".join(
        f'<marker id="head{colour[1:]}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0.8L10 5L0 9.2z" fill="{colour}"/></marker>'
        for colour in colours
    )
    return f"<defs>{heads}</defs>"


def _frame(group: Group, found: Layout, style: Style) -> str:
    x, y, w, h = found.frames[group]
    weight = ' font-weight="600"' if group.times > 1 else ""
    return (
        f'<g class="frame" id="{group.id}"><rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" rx="9" '
        f'fill="{style.text}" fill-opacity="0.018" stroke="{style.frame}"/>'
        f'<text x="{x + 10:.1f}" y="{y + 15:.1f}" font-size="11" fill="{style.faint}"{weight} class="halo">'
        f"{html.escape(clean(group.title))}</text></g>"
    )


def _vertex(vertex: Vertex, found: Layout, style: Style) -> str:
    x, y, w, h = found.boxes[vertex]
    look = look_of(vertex, style)
    line = f'fill="{look.fill}" stroke="{look.line}" stroke-width="{look.width:g}"'
    line += ' stroke-dasharray="5 3"' if look.dash != "solid" else ""
    role = vertex.role
    top = y + 15
    if role == "parameter":
        r = 4.5
        side = h - 2 * r
        shape = (
            f'<path d="M{x:.1f} {y + r:.1f}v{side:.1f}a{w / 2:.1f} {r} 0 0 0 {w:.1f} 0v{-side:.1f}" {line}/>'
            f'<ellipse cx="{x + w / 2:.1f}" cy="{y + r:.1f}" rx="{w / 2:.1f}" ry="{r}" {line}/>'
        )
        top += 7.5
    else:
        radius = {"input": h / 2, "op": 7.0, "module": 3.0, "output": 0.0}.get(role, 0.0)
        shape = f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" rx="{radius:.1f}" {line}/>'
        if role in ("output", "module"):
            shape += (
                f'<rect x="{x + 3:.1f}" y="{y + 3:.1f}" width="{w - 6:.1f}" height="{h - 6:.1f}" rx="{radius:.1f}" '
                f'fill="none" stroke="{look.line}" stroke-width="{look.width / 2:.2f}"/>'
            )
            top += 3
    texts = f'<text x="{x + w / 2:.1f}" y="{top:.1f}" class="bold mid" style="fill:{look.text}">'
    texts += f"{html.escape(clean(vertex.title))}</text>"
    for k, note in enumerate(vertex.notes):
        texts += f'<text x="{x + w / 2:.1f}" y="{top + LINE * (k + 1):.1f}" class="small mid" style="fill:{look.text}">'
        texts += f"{html.escape(clean(note))}</text>"
    return f'<g class="vertex" id="{vertex.id}" tabindex="0">{shape}{texts}</g>'


Labels = dict[Edge, tuple[Vertex, bool, float]]


def _labels(drawing: Drawing) -> Labels:
    """For each edge with a label the box at which it stands, whether beside the line or on it, and how wide it is.

    Where edges meet they are close together, so a label stands at the other end; and on its line, unless the line is
    alone there or the label is short.
    """
    into = Counter(edge.target for edge in drawing.edges)
    out = Counter(edge.source for edge in drawing.edges)
    found: Labels = {}
    for edge in drawing.edges:
        if words := _words(edge):
            at_source = into[edge.target] > out[edge.source]
            alone = (out[edge.source] if at_source else into[edge.target]) == 1
            end = edge.source if at_source else edge.target
            found[edge] = end, alone or len(words) < 4, text_width(words, SMALL)
    return found


def _edges(drawing: Drawing, found: Layout, style: Style, labels: Labels) -> list[str]:
    twins: dict[tuple[Vertex, Vertex], list[Edge]] = {}
    for edge in drawing.edges:
        twins.setdefault((edge.source, edge.target), []).append(edge)
    parts = []
    across = drawing.direction in ("LR", "RL")
    for k, edge in enumerate(drawing.edges):
        same = twins[edge.source, edge.target]
        shift = 14 * (same.index(edge) - (len(same) - 1) / 2)
        points = [(x, y + shift) if across else (x + shift, y) for x, y in found.paths[edge]]
        colour, width, dash = line_of(edge, style)
        dashes = {"dashed": ' stroke-dasharray="5 4"', "dotted": ' stroke-dasharray="1.5 3.5"'}.get(dash, "")
        label = ""
        if edge in labels:
            end, beside, _ = labels[edge]
            x, y = _along(points, 0.3 if end is edge.source else 0.62)
            kind = "small halo" if beside and not across else "small halo mid"
            wider = ' style="stroke-width:8px"' if width > 1 else ""  # no line shows between the words
            shift = 5 if beside and not across else 0
            label = f'<text x="{x + shift:.1f}" y="{y:.1f}" class="{kind}"{wider}>{html.escape(_words(edge))}</text>'
        parts.append(
            f'<g class="edge" data-edge="{k}"><path d="{_curve(points, across)}" fill="none" stroke="{colour}" '
            f'stroke-width="{1.1 if width == 1 else width}" marker-end="url(#head{colour[1:]})"{dashes}/>{label}</g>'
        )
    return parts


def _words(edge: Edge) -> str:
    """Its label without the Jacobian, for which the page has a better place."""
    lines = edge.label if edge.jacobian is None else edge.label[:-2]
    return clean("  ".join(lines))


def _along(points: list[Point], part: float) -> Point:
    """A point that far along the last stretch of a way, or the first."""
    (x0, y0), (x1, y1) = points[:2] if part < 0.5 else points[-2:]
    return x0 + part * (x1 - x0), y0 + part * (y1 - y0) + 3


def _curve(points: list[Point], across: bool) -> str:
    """Through the points, upright at each of them (level, where the graph goes to the side)."""
    x0, y0 = points[0]
    d = [f"M{x0:.1f} {y0:.1f}"]
    for x1, y1 in points[1:]:
        if across:
            bend = (x1 - x0) * 0.5
            d.append(f"C{x0 + bend:.1f} {y0:.1f} {x1 - bend:.1f} {y1:.1f} {x1:.1f} {y1:.1f}")
        else:
            bend = (y1 - y0) * 0.5
            d.append(f"C{x0:.1f} {y0 + bend:.1f} {x1:.1f} {y1 - bend:.1f} {x1:.1f} {y1:.1f}")
        x0, y0 = x1, y1
    return "".join(d)
