"""The table of ratios, the same as JSON, and what machine they are of."""

from __future__ import annotations

import math
import os
import platform
import statistics
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

from tinygrad_jac.machine import blas

from .measuring import Comparison, cores
from .row import Row

PACKAGES = ("tinygrad-jac", "numpy", "torch", "autograd", "jax")


def facts(threads: int) -> dict[str, Any]:
    """The machine, the versions, the date, and whether others were at work."""
    versions: dict[str, str | None] = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    return {
        "date": date.today().isoformat(),
        "processor": _processor(),
        "cores": cores(),
        "threads": threads,
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": versions,
        "blas": str(blas()),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def heading(about: dict[str, Any]) -> str:
    """The facts, in a few lines."""
    versions = ", ".join(f"{name} {version or '(not installed)'}" for name, version in about["versions"].items())
    load = about["load"]
    lines = [
        f"{about['date']}: {about['processor']}, {about['cores']} cores, {about['threads']} threads on every side, "
        f"{about['system']}",
        f"Python {about['python']}, {versions}; NumPy's BLAS: {about['blas']}",
    ]
    if load is not None:
        verdict = "the machine was NOT quiet" if load > 0.3 else "quiet"
        lines.append(f"Load average at the start: {load} ({verdict})")
    return "\n".join(lines)


def table(comparisons: list[Comparison]) -> str:
    """A Markdown table, its columns aligned so that a terminal shows it well."""
    head = ["row", "work", "peer", "ours", "peer's", "ratio", "lowest – highest", "quiet", "bar", "verdict"]
    lines = [head, *(_cells(c) for c in comparisons)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(head))]
    lines.insert(1, ["-" * width for width in widths])
    text = "\n".join("| " + " | ".join(c.ljust(w) for c, w in zip(line, widths)) + " |" for line in lines)
    problems = [f"{c.row.name}, {c.peer.name}: {c.verdict}: {c.problem}" for c in comparisons if c.problem]
    return "\n".join([text, *([""] if problems else []), *problems])


def _cells(c: Comparison) -> list[str]:
    numbers = ["–", "–", "–", "–", "–"]
    if c.ratios:
        ours, theirs = (_quantity(c.row, values) for values in (c.ours, c.theirs))
        numbers = [ours, theirs, f"{c.ratio:.2f}", f"{min(c.ratios):.2f} – {max(c.ratios):.2f}", f"{c.quiet:.2f}"]
    return [c.row.name, c.row.work, c.peer.name, *numbers, f"{c.peer.bar:g}", c.verdict]


def _quantity(row: Row, slices: list[list[float]]) -> str:
    value = statistics.median(map(statistics.median, slices))
    if row.measure == "peak":
        return f"{value / 2**20:.0f} MiB"
    unit, scale = ("s", 1.0) if value >= 1 else ("ms", 1e3) if value >= 1e-3 else ("µs", 1e6)
    return f"{value * scale:.3g} {unit}"


def as_json(about: dict[str, Any], comparisons: list[Comparison]) -> dict[str, Any]:
    """What ``--json`` prints."""
    return {
        "about": about,
        "comparisons": [
            {
                "row": c.row.name,
                "work": c.row.work,
                "unit": "bytes" if c.row.measure == "peak" else "seconds",
                "peer": c.peer.name,
                "ours": c.ours,
                "theirs": c.theirs,
                "ratio": c.ratio if math.isfinite(c.ratio) else None,
                "quiet": c.quiet if math.isfinite(c.quiet) else None,
                "bar": c.peer.bar,
                "verdict": c.verdict,
                "problem": c.problem,
            }
            for c in comparisons
        ],
    }
