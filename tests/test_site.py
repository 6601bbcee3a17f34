"""The documentation's site, without building it: every public name and every page has its place."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import tinygrad_jac

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def api_pages():
    sys.path.insert(0, str(DOCS / "scripts"))
    try:
        import api_pages
    finally:
        sys.path.remove(str(DOCS / "scripts"))
    return api_pages


class TestNames:
    def test_every_public_name_is_on_a_page(self, api_pages):
        assert api_pages.faults(api_pages.listed()) == []

    def test_a_name_that_is_missing_is_found(self, api_pages):
        pages = api_pages.listed()
        pages["tinygrad_jac"].remove("logsumexp")
        pages["tinygrad_jac.linalg"].append("norms")
        assert api_pages.faults(pages) == [
            "docs/api lists tinygrad_jac.linalg.norms, which does not exist",
            "tinygrad_jac.logsumexp is public, and on no page of docs/api",
        ]

    def test_signatures(self, api_pages):
        assert api_pages.signature_of(tinygrad_jac.sum) == "(x, axis=None, keepdims=False, *, dtype=None)"
        assert api_pages.signature_of(tinygrad_jac.exp) == "(x)"
        assert api_pages.signature_of(tinygrad_jac.less) == "(x, y)"

    @pytest.mark.parametrize(
        ("written", "read"),
        [
            ("``|x|`` and |x|, *not* `this*`", r"``|x|`` and \|x\|, *not* `this*`"),
            ("(*lead, m) and (*lead, n)", r"(\*lead, m) and (\*lead, n)"),
            ("* **One**: x * y", r"* **One**: x \* y"),
            ("`Parameter`s of ``list``s", r"`Parameter`\ s of ``list``\ s"),
            (">>> 2 * 3", ">>> 2 * 3"),
        ],
    )
    def test_docstrings_are_plain_text(self, api_pages, written, read):
        assert api_pages.as_rst([written]) == [read]


class TestPages:
    def listed(self, page, folder):
        """The pages that a page's tables of contents name."""
        text = page.read_text(encoding="utf-8")
        found = re.findall(r"^```\{toctree\}\n(?::[^\n]*\n)*\n(.*?)^```", text, re.M | re.S)
        return [folder / line for line in "".join(found).split()]

    def test_every_page_is_in_the_table_of_contents(self):
        named = {path.as_posix() for path in self.listed(DOCS / "index.md", DOCS)}
        there = {p.with_suffix("").as_posix() for p in DOCS.rglob("*.md") if "_build" not in p.parts}
        assert there - named == {(DOCS / "index").as_posix()}
        assert named - there == {(DOCS / "api/index").as_posix()}

    def test_every_picture_is_shown(self):
        pages = [*DOCS.glob("*.md"), *DOCS.glob("book/*.md")]
        shown = {
            (page.parent / name).resolve()
            for page in pages
            for name in re.findall(r"!\[[^\]]+\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
        }
        assert shown == set((DOCS / "pictures").resolve().iterdir())
