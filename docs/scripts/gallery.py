"""Draw the pictures of docs/graphs.md into docs/pictures: ``python docs/scripts/gallery.py``.

The page itself is what draws them: its blocks are run, and where a picture stands, what is called ``g`` by then is
written to its file. As SVG laid out by this package, so that the same bytes come out on every machine.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).parents[1]


def main(folder: Path = DOCS / "pictures") -> list[Path]:
    """Run the page and write its pictures; what its blocks write themselves goes into a folder that is dropped."""
    page = (DOCS / "graphs.md").read_text(encoding="utf-8")
    folder = folder.resolve()
    folder.mkdir(exist_ok=True)
    written: list[Path] = []
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        try:
            draw(page, folder, written)
        finally:
            os.chdir(before)
    return written


def draw(page: str, folder: Path, written: list[Path]) -> None:
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block, picture in re.findall(r"```python\n(.*?)```|!\[[^\]]*\]\(pictures/(.*?)\)", page, re.S):
        if picture:
            path = folder / picture
            path.write_text(namespace["g"].to_svg(), encoding="utf-8", newline="\n")  # type: ignore[attr-defined]
            written.append(path)
        else:
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(block, "graphs.md", "exec"), namespace)


if __name__ == "__main__":
    for path in main(*map(Path, sys.argv[1:])):
        print(f"wrote {path}")
