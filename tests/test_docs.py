"""The documentation runs: every Python block of every page, and what it prints is what the page says.

The ``python`` blocks of a page are executed in order, in one namespace. Where a ``text`` block follows, it is compared
with what the block before it printed; ``...`` stands for anything, and white space counts as little as in doctests.
A block that is a sketch and is not to run opens with ``python notest``; pages may also be listed in `SKETCHES`.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import itertools
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from kit import scratch_registry

ROOT = Path(__file__).parents[1]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"])
SKETCHES = {"docs/design.md"}  # rules of the rule book, quoted
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


@dataclass
class Block:
    """One fenced block: what its fence says, its first line's number in the page, its text."""

    kind: str
    line: int
    text: str


def blocks_of(page: str) -> list[Block]:
    """All fenced blocks of a page, in order."""
    blocks: list[Block] = []
    fence = None
    for number, line in enumerate(page.splitlines(), 1):
        if fence is None and (opened := re.match(r"(\s*)(```+|~~~+)\s*(.*)", line)):
            fence = opened[2]
            blocks.append(Block(opened[3].strip(), number + 1, ""))
        elif fence is not None and line.strip() == fence:
            fence = None
        elif fence is not None:
            blocks[-1].text += line + "\n"
    assert fence is None, f"a block that opens on line {blocks[-1].line - 1} is not closed"
    return blocks


def run(page: Path) -> int:
    """Execute a page; the number of blocks that ran."""
    namespace = {"__name__": "__main__"}
    blocks = blocks_of(page.read_text(encoding="utf-8"))
    count = 0
    for block, following in itertools.zip_longest(blocks, blocks[1:]):
        if block.kind != "python":
            continue
        printed = io.StringIO()
        # Under its own name and lines, so that tracebacks, and the library's reports, point into the page.
        code = compile("\n" * (block.line - 1) + block.text, str(page), "exec")
        with contextlib.redirect_stdout(printed):
            exec(code, namespace)
        count += 1
        if following is not None and following.kind == "text":
            checker, example = doctest.OutputChecker(), doctest.Example("", following.text)
            if not checker.check_output(example.want, printed.getvalue(), FLAGS):
                difference = checker.output_difference(example, printed.getvalue(), FLAGS)
                pytest.fail(f"{page.name}, line {following.line}: the page does not say what is printed\n{difference}")
    return count


# What a page prints of a recurrent layer is the one primitive that it is.
PRINTED = [pytest.param(page, marks=pytest.mark.optimisation("recurrences")) if page.stem == "next-steps" else page
           for page in PAGES]  # fmt: skip


@pytest.mark.parametrize("page", PRINTED, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_page(page, tmp_path, monkeypatch):
    if page.relative_to(ROOT).as_posix() in SKETCHES:
        pytest.skip("its blocks are sketches")
    monkeypatch.chdir(tmp_path)  # what a page writes is gone afterwards
    options = np.get_printoptions()
    try:
        with scratch_registry():
            run(page)
    finally:
        np.set_printoptions(**options)


class TestTheTester:
    def page(self, tmp_path, text):
        page = tmp_path / "page.md"
        page.write_text(text, encoding="utf-8")
        return page

    def test_blocks_share_a_namespace_and_are_compared(self, tmp_path):
        text = "```python\nx = 2\n```\n\n```python\nprint(x * 1.5, [x])\n```\nSo:\n\n```text\n3.0   [...]\n```\n"
        assert run(self.page(tmp_path, text)) == 2

    def test_another_output_fails(self, tmp_path):
        with pytest.raises(pytest.fail.Exception, match=r"page\.md, line 6: the page does not say"):
            run(self.page(tmp_path, "```python\nprint(2)\n```\n\n```text\n3\n```\n"))

    def test_an_exception_points_into_the_page(self, tmp_path):
        with pytest.raises(ZeroDivisionError) as caught:
            run(self.page(tmp_path, "# Title\n\n```python\nx = 0\n1 / x\n```\n"))
        last = caught.traceback[-1]
        assert (last.path.name, last.lineno + 1) == ("page.md", 5)

    def test_sketches_and_other_languages_do_not_run(self, tmp_path):
        text = "```python notest\n1 / 0\n```\n\n```bash\nexit 1\n```\n\n```text\nanything\n```\n"
        assert run(self.page(tmp_path, text)) == 0

    def test_a_block_that_is_not_closed(self, tmp_path):
        with pytest.raises(AssertionError, match="opens on line 1 is not closed"):
            run(self.page(tmp_path, "```python\nprint(2)\n"))
