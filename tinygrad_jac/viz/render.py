"""Pictures through Graphviz: by the Python package ``graphviz``, which calls the program ``dot``."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

FORMATS = ("svg", "png", "pdf")
INSTALL = (
    "install Graphviz: `apt install graphviz` on Debian and Ubuntu, `brew install graphviz` on macOS, "
    "`winget install graphviz` on Windows, `conda install python-graphviz` with conda"
)


def available() -> bool:
    """Whether both are installed, the Python package and the program."""
    return importlib.util.find_spec("graphviz") is not None and shutil.which("dot") is not None


def render(source: str, path: Path) -> Path:
    """Have ``dot`` draw a file; without it, leave the DOT file, and say how to get it.

    Returns
    -------
    Path
        The picture; the DOT file where there is no ``dot``.

    Raises
    ------
    ImportError
        The package ``graphviz`` is missing.
    RuntimeError
        ``dot`` failed.
    """
    kind = path.suffix[1:].lower()
    try:
        import graphviz
    except ImportError as error:
        raise ImportError(
            f"drawing {path.name} needs the Python package graphviz (pip install graphviz) and the program "
            f"dot ({INSTALL}); to_dot(), to_mermaid(), to_json() and to_html() need neither"
        ) from error
    try:
        drawn = graphviz.Source(source).pipe(format=kind)
    except graphviz.ExecutableNotFound:
        kept = path.with_suffix(".dot")
        kept.write_text(source, encoding="utf-8")
        print(f"wrote {kept} instead of {path.name}, which needs the program dot; {INSTALL}")
        return kept
    except graphviz.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip() if isinstance(error.stderr, bytes) else str(error)
        raise RuntimeError(f"Graphviz's dot could not draw {path.name}: {said}") from error
    path.write_bytes(drawn)
    return path
