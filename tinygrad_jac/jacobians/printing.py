"""Matrices as a textbook prints them: blocks between lines, dots for zeros."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ShapeError
from .base import Jacobian
from .chain import Chain


def bordered(
    matrix: Any,
    *,
    rows: Sequence[int] | None = None,
    columns: Sequence[int] | None = None,
    titles: Sequence[str] | None = None,
    order: str = "C",
    digits: int = 3,
    most: int = 12,
) -> str:
    """A matrix as text, with lines between its blocks and dots for its zeros.

    Parameters
    ----------
    matrix : Jacobian, or array of shape (m, n)
        A `Chain` has a block of columns for each parameter, with its name.
    rows, columns : sequence of int, optional
        The heights and widths of the blocks; they must sum to m and n.
    titles : sequence of str, optional
        One above each block of columns.
    order : {"C", "F"}
        How a `Jacobian` flattens its arrays: row-major, or by stacking columns, the ``vec`` of the textbooks.
    digits : int
        Significant digits of each entry, at least 1.
    most : int
        A block of more rows or columns is printed in part; at least 4, of which one is the last.

    Returns
    -------
    str

    Raises
    ------
    ShapeError
        What is given is no matrix, or the blocks do not fit it.
    ValueError
        ``digits`` or ``most`` is too small.

    Examples
    --------
    >>> import numpy as np
    >>> print(bordered(np.array([[1.0, 2.5, 0, 1, 0], [0, 0, 0, 0, 1]]), columns=(3, 2), titles=("W", "b")))
          W        b
    ┌                  ┐
    │ 1  2.5  · ╎ 1  · │
    │ ·    ·  · ╎ ·  1 │
    └                  ┘
    """
    for name, given, least in (("digits", digits, 1), ("most", most, 4)):
        if given < least:
            raise ValueError(f"{name} must be at least {least}, not {given}")
    if isinstance(matrix, Chain) and columns is None:
        columns = [math.prod(shape) for shape in matrix.parameters.values()]
        titles = matrix.names if titles is None else titles
    entries = matrix.dense(order=order) if isinstance(matrix, Jacobian) else np.asarray(matrix)  # type: ignore[arg-type]
    if entries.ndim != 2:
        raise ShapeError(f"bordered() prints matrices, not an array of shape {entries.shape}")
    heights = _blocks("rows", rows, entries.shape[0])
    widths = _blocks("columns", columns, entries.shape[1])
    if titles is not None and len(titles) != len(widths):
        raise ShapeError(f"there are {len(widths)} blocks of columns, but {len(titles)} titles: {list(titles)}")

    shown_rows, shown_columns = _shown(heights, most), _shown(widths, most)

    def cell(i: int | None, j: int | None) -> str:
        if i is None or j is None:
            return "…"
        return f"{entries[i, j]:.{digits}g}" if entries[i, j] else "·"

    # Each block of columns as lines of equal length: its title, then its rows.
    parts: list[list[str]] = []
    for k, block in enumerate(shown_columns):
        texts = [[cell(i, j) for i in itertools.chain(*shown_rows)] for j in block]
        lengths = [max(map(len, column), default=0) for column in texts]
        lines = ["  ".join(t.rjust(n) for t, n in zip(line, lengths)) for line in zip(*texts)]
        title = "" if titles is None else titles[k]
        width = max(sum(lengths) + 2 * (len(block) - 1), len(title))
        parts.append([title.center(width), *(line.ljust(width) for line in lines)])

    header, *lines = [" ╎ ".join(line) for line in zip(*parts)] if parts else [""]
    ends = set(itertools.accumulate(len(block) for block in shown_rows[:-1]))
    bars = "╌┼╌".join("╌" * len(part[0]) for part in parts)
    body = []
    for k, line in enumerate(lines):
        body += [f"│ {bars} │"] if k in ends else []
        body.append(f"│ {line} │")
    blank = " " * (len(header) + 2)
    head = [f"  {header.replace('╎', ' ')}".rstrip()] if titles is not None else []
    return "\n".join([*head, f"┌{blank}┐", *body, f"└{blank}┘"])


def _blocks(what: str, sizes: Sequence[int] | None, total: int) -> list[int]:
    sizes = [total] if sizes is None else list(sizes)
    if min(sizes, default=0) < 0:
        raise ShapeError(f"blocks of {sizes} {what}: none can have fewer than 0")
    if sum(sizes) != total:
        raise ShapeError(f"blocks of {sizes} {what} have {sum(sizes)} together, the matrix has {total}")
    return sizes


def _shown(sizes: Sequence[int], most: int) -> list[list[int | None]]:
    """For each block the positions that are printed; None stands for those left out."""
    shown: list[list[int | None]] = []
    start = 0
    for size in sizes:
        block: list[int | None] = list(range(start, start + size))
        shown.append(block if size <= most else [*block[: most // 2], None, *block[size - most // 4 :]])
        start += size
    return shown
