"""What an audit found: a row for each op and argument, printed as a table, as Markdown, as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..places import Place as Place

# What a row may say. The first three are no faults.
VERDICTS = {
    "ok": "every check passed",
    "kink": "not differentiable here; the convention lies between the derivatives from the left and from the right",
    "unchecked": "rule and statement agree, but there are no numbers to compare with: the message says why",
    "wrong VJP": "the VJP rule differs from the Jacobian statement, and the numbers side with the statement",
    "wrong statement": "the Jacobian statement differs from the VJP rule, and the numbers side with the rule",
    "both wrong": "the numbers agree with neither the VJP rule nor the Jacobian statement",
    "VJP ≠ statement": "the two differ, and the numbers do not decide which is wrong",
    "wrong gradient": "what was accumulated for it is not the product of the local Jacobians from the output to here",
    "mutates": "a rule changed its cotangent, or an array that was saved",
    "aliases": "a rule returned memory that belongs to the graph, or the same memory twice",
    "wrong shape": "a rule or a statement does not have the shape of its argument",
    "wrong dtype": "a rule left the dtype of its graph",
    "reads unsaved": "a rule or a statement read values that the primitive does not save",
    "not repeatable": "a rule gave different answers to the same question",
    "stale": "an array that was saved for the gradient was changed in place since",
    "not finite": "NaN or infinity came from finite values",
    "raises": "a rule or a statement raised an exception",
}
HARMLESS = ("ok", "kink", "unchecked")
CHECKS = ("vjp", "adjoint", "numerical", "product")
COLUMNS = ("op", "argument", "shapes", "J", "structure", "density", *CHECKS, "verdict", "where")


@dataclass
class Row:
    """One argument of one op that was visited.

    Attributes
    ----------
    op, argument : str
    node : int
        The ``order`` of the graph's node, by which the row and the node find each other.
    source : int
        The ``order`` of the node that the argument came from.
    out_shape, in_shape : tuple of int
    structure : str
        Of the stated Jacobian; empty where there is none.
    density : float
        Its non-zero entries as a part of all; NaN where counting them would mean to write down a large matrix.
    errors : dict
        For each check that was made, the largest deviation, relative to the size of what it is held against.
    verdict : str
        One of `VERDICTS`.
    message : str
        What is wrong, in a sentence: entry, values, diagnosis.
    place : Place or None
        Where the op was called.
    probed : bool
        Whether the matrix was too large to write down and was probed by random projections.
    """

    op: str
    argument: str
    node: int
    out_shape: tuple[int, ...]
    in_shape: tuple[int, ...]
    verdict: str = "ok"
    message: str = ""
    structure: str = ""
    density: float = math.nan
    errors: dict[str, float] = field(default_factory=dict)
    place: Place | None = None
    probed: bool = False
    source: int = 0

    @property
    def ok(self) -> bool:
        return self.verdict in HARMLESS

    @property
    def shape(self) -> tuple[int, int]:
        """(m, n) of the local Jacobian."""
        return math.prod(self.out_shape), math.prod(self.in_shape)

    def __str__(self) -> str:
        said = f": {self.message}" if self.message else ""
        if self.place is None:
            return f"{self.title}: {self.verdict}{said}"
        code = f": `{self.place.code}`" if self.place.code else ""
        return f"{self.title}: {self.verdict}{said} (called at {self.place}{code})"

    @property
    def title(self) -> str:
        named = f"'{self.op}', argument '{self.argument}'" if self.argument else f"'{self.op}'"
        return f"{named}, {_arrow(self)}" if self.structure or self.argument else f"{named}, {self.out_shape}"


class Report:
    """The rows of a debug mode; grows while it is on.

    Attributes
    ----------
    rows : list of Row
        In the order in which they were found: as the walk back goes, from the loss to the leaves.
    """

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return all(row.ok for row in self.rows)

    @property
    def failures(self) -> list[Row]:
        """The rows that say that something is wrong."""
        return [row for row in self.rows if not row.ok]

    @property
    def worst(self) -> Row | None:
        """The first row that is wrong; where none is, the one with the largest error. None if there are no rows."""
        return next(iter(self.failures), max(self.rows, key=_largest_error, default=None))

    def verdict(self, node: int) -> str | None:
        """The verdict on a node of the graph, by its ``order``: the worst of its arguments; None if it has no row."""
        said = {row.verdict for row in self.rows if row.node == node}
        return min(said, key=lambda v: (v in HARMLESS, -list(VERDICTS).index(v)), default=None)

    @property
    def summary(self) -> str:
        """One line: how many arguments of how many ops were audited, and with what verdicts."""
        counts: dict[str, int] = {}
        for row in self.rows:
            counts[row.verdict] = counts.get(row.verdict, 0) + 1
        said = ", ".join(f"{counts[v]} {v}" for v in VERDICTS if v in counts) or "nothing was visited"
        nodes = len({row.node for row in self.rows})
        return f"{_count(len(self.rows), 'row')} from {_count(nodes, 'node')}: {said}"

    def table(self, columns: Sequence[str] = COLUMNS) -> list[list[str]]:
        """The cells: a line of headings, then a line for each group of rows that look alike.

        Rows of one op, argument, shape, place and verdict (the steps of a training loop, say) are shown as one, with
        their number in a column ``×`` and their largest errors.
        """
        unknown = set(columns) - set(COLUMNS)
        if unknown:
            raise ValueError(f"the columns are {COLUMNS}, not {sorted(unknown)}")
        groups: dict[tuple[Any, ...], list[Row]] = {}
        for row in self.rows:
            key = (row.op, row.argument, row.out_shape, row.in_shape, row.structure, row.place, row.verdict, row.probed)
            groups.setdefault(key, []).append(row)
        repeated = any(len(rows) > 1 for rows in groups.values())
        lines = [[*columns, *(["×"] if repeated else [])]]
        for rows in groups.values():
            cells = _cells(rows)
            lines.append([*(cells[c] for c in columns), *([str(len(rows))] if repeated else [])])
        return lines

    def to_text(self, columns: Sequence[str] = COLUMNS) -> str:
        """The table in columns, the summary, and a line for each thing that is wrong."""
        lines = self.table(columns)
        widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
        shown = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines]
        return "\n".join([*(shown if self.rows else []), self.summary, *map(str, self.failures)])

    def to_markdown(self, columns: Sequence[str] = COLUMNS) -> str:
        """The table and the summary in Markdown."""
        lines = [[cell.replace("|", r"\|") for cell in line] for line in self.table(columns)]
        lines.insert(1, ["---"] * len(lines[0]))
        shown = [f"| {' | '.join(line)} |" for line in lines]
        said = [f"* {row}" for row in self.failures]
        return "\n".join([*shown, "", self.summary, *(["", *said] if said else [])])

    def to_dot(self) -> str:
        """The audited graph in Graphviz's language: ops and edges coloured by verdict, leaves as ellipses.

        An edge that is wrong is thick and carries its verdict, so that it is found in print too; each op shows the
        place in the user's code. Render it with ``graphviz.Source(report.to_dot())`` or ``dot -Tsvg``. With modules,
        parameters and inputs by name: ``tinygrad_jac.viz.graph(loss, params=model, report=report)``.

        Examples
        --------
        >>> import tinygrad_jac as tj
        >>> x = tj.tensor([1.0, 2.0], requires_grad=True)
        >>> with tj.debug_mode() as report:
        ...     x.exp().sum().backward()
        >>> print(report.to_dot().count(" -> "))
        2
        """
        from ..viz.dot import to_dot
        from ..viz.reading import of_report

        return to_dot(of_report(self))

    def to_json(self, indent: int | None = None) -> str:
        """All rows, ungrouped, each with its node's ``order``; numbers that JSON does not have are null."""
        rows = [
            {
                "op": row.op,
                "argument": row.argument,
                "node": row.node,
                "out_shape": row.out_shape,
                "in_shape": row.in_shape,
                "shape": row.shape,
                "structure": row.structure,
                "density": _finite(row.density),
                "errors": {check: _finite(error) for check, error in row.errors.items()},
                "verdict": row.verdict,
                "message": row.message,
                "probed": row.probed,
                "file": row.place and row.place.file,
                "line": row.place and row.place.line,
                "code": row.place and row.place.code,
            }
            for row in self.rows
        ]
        return json.dumps({"ok": self.ok, "rows": rows}, indent=indent, ensure_ascii=False)

    __str__ = to_text
    _repr_markdown_ = to_markdown

    def __repr__(self) -> str:
        return f"<Report: {self.summary}>"


def _cells(rows: list[Row]) -> dict[str, str]:
    """What the table says of rows that look alike."""
    row = rows[0]
    worst: dict[str, float] = {}
    for other in rows:
        for check, error in other.errors.items():
            worst[check] = max(worst.get(check, 0.0), error)
    return {
        "op": row.op,
        "argument": row.argument,
        "shapes": _arrow(row) if row.in_shape != row.out_shape else str(row.in_shape),
        "J": "×".join(map(str, row.shape)) if row.structure else "",
        "structure": row.structure,
        "density": "" if math.isnan(row.density) else f"{row.density:.2g}",
        **{check: _digit(worst[check]) if check in worst else "" for check in CHECKS},
        "verdict": row.verdict + (" (probed)" if row.probed else ""),
        "where": "" if row.place is None else str(row.place),
    }


def _arrow(row: Row) -> str:
    return f"{row.in_shape} → {row.out_shape}"


def _digit(error: float) -> str:
    return "0" if error == 0 else f"{error:.0e}"


def _count(n: int, what: str) -> str:
    return f"{n} {what}" + ("" if n == 1 else "s")


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _largest_error(row: Row) -> float:
    return max(row.errors.values(), default=0.0)
