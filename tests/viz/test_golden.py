"""Drawings of named networks, byte for byte. TINYGRAD_JAC_WRITE_GOLDEN=1 writes them anew: look at them before."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
from pathlib import Path

import networks
import pytest

GOLDEN = Path(__file__).parent / "golden"
WRITERS = {"dot": "to_dot", "mmd": "to_mermaid"}
needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz's program dot")


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("network", networks.NETWORKS, ids=lambda network: network.__name__)
def test_golden(network, suffix):
    text = getattr(network(), WRITERS[suffix])()
    path = GOLDEN / f"{network.__name__}.{suffix}"
    if os.environ.get("TINYGRAD_JAC_WRITE_GOLDEN"):
        path.write_text(text, encoding="utf-8", newline="\n")
    assert text == path.read_text(encoding="utf-8")


@needs_dot
@pytest.mark.parametrize("network", networks.NETWORKS, ids=lambda network: network.__name__)
def test_graphviz_draws_it(network, tmp_path):
    g = network()
    found = g.render(tmp_path / "drawn.svg").read_text(encoding="utf-8")
    assert found.count('class="node"') == len(g.drawing.vertices)
    assert found.count('class="edge"') == len(g.drawing.edges)
    counted = subprocess.run(["gc", "-n", "-e"], input=g.to_dot(), capture_output=True, text=True).stdout.split()
    assert list(map(int, counted[:2])) == [len(g.drawing.vertices), len(g.drawing.edges)]


def test_the_gallery_is_what_its_page_draws(tmp_path, monkeypatch):
    docs = Path(__file__).parents[2] / "docs"
    monkeypatch.syspath_prepend(str(docs / "scripts"))
    written = importlib.import_module("gallery").main(tmp_path)
    assert len(written) >= 9
    for path in written:  # drawn anew by docs/scripts/gallery.py
        assert path.read_text(encoding="utf-8") == (docs / "pictures" / path.name).read_text(encoding="utf-8"), (
            path.name
        )
