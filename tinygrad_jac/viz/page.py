"""One self-contained HTML page: the drawing, to be moved, zoomed, searched, and asked about each box."""

from __future__ import annotations

import html
import re
from pathlib import Path

from .data import to_json
from .drawing import Drawing, clean
from .styles import STYLES
from .svg import to_svg

TEMPLATE = Path(__file__).with_name("page.html")


def to_html(drawing: Drawing) -> str:
    """The page. It loads nothing, and its own policy forbids it to."""
    style = STYLES[drawing.style]
    filled = {
        "title": html.escape(clean(drawing.title) or "computational graph"),
        "svg": to_svg(drawing),
        # No text in the data can end its element or begin another one.
        "data": to_json(drawing).replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e"),
        **{name: getattr(style, name) for name in ("paper", "text", "faint", "frame", "wrong", "ok")},
    }
    return re.sub("@([a-z]+)@", lambda found: filled[found[1]], TEMPLATE.read_text(encoding="utf-8"))
