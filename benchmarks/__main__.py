"""``python -m benchmarks [NAME ...]``: measure, print one table of ratios, and judge it if asked to."""

from __future__ import annotations

import argparse
import json
import sys
from fnmatch import fnmatchcase

from . import report
from .measuring import FULL, NOISE, QUICK, Comparison, cores, limit_cores, measure
from .row import Row, load_rows


def parse(arguments: list[str] | None = None) -> tuple[argparse.Namespace, list[Row]]:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="rows to measure, all if none; 'mlp-*' is a pattern")
    parser.add_argument("--list", action="store_true", help="name the rows, their peers and bars, and measure nothing")
    parser.add_argument("--quick", action="store_true", help="short slices, few rounds, no long rows, for CI")
    parser.add_argument(
        "--check",
        action="store_true",
        help=f"exit status 1 if a ratio exceeds {NOISE} times its bar, after a second look",
    )
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    parser.add_argument("--threads", type=int, default=cores(), help="of each side; by default all cores")
    parser.add_argument("--rows", metavar="MODULE", help="a module with more ROWS, from the import path")
    options = parser.parse_args(arguments)
    rows = load_rows(options.rows)
    chosen = []
    for name in options.names or ["*"]:
        found = [row for row in rows.values() if fnmatchcase(row.name, name)]
        if options.quick and name not in rows:
            found = [row for row in found if not row.long]
        if not found:
            parser.error(f"no row is named {name!r}; there are {', '.join(rows)}")
        chosen += [row for row in found if row not in chosen]
    return options, chosen


def main() -> int:
    options, rows = parse()
    if options.list:
        for row in rows:
            print(f"{row.name:16} {row.work}: " + ", ".join(f"{p.name} (bar {p.bar:g})" for p in row.peers))
        return 0
    about = report.facts(options.threads)
    limit_cores(options.threads)
    comparisons: list[Comparison] = []
    for row in rows:
        print(f"{row.name}: {row.work} ...", file=sys.stderr, flush=True)
        found = measure(row, QUICK if options.quick else FULL, options.threads, options.rows)
        if options.check and options.quick and not all(c.passes for c in found):
            print(f"{row.name}: again, at length ...", file=sys.stderr, flush=True)
            found = measure(row, FULL, options.threads, options.rows)
        comparisons += found
    if options.json:
        print(json.dumps(report.as_json(about, comparisons), indent=1))
    else:
        print(report.heading(about), report.table(comparisons), sep="\n\n")
    broken = any(c.verdict == "failed" for c in comparisons)
    return int(broken or (options.check and not all(c.passes for c in comparisons)))


if __name__ == "__main__":
    sys.exit(main())
