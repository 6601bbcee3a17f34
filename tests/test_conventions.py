"""docs/conventions.md, row by row: its tables are the data of these tests."""

from __future__ import annotations

import math
import re
from pathlib import Path

import kit
import numpy as np
import pytest

import tinygrad_jac as tj
from tinygrad_jac.rules import (
    activations,
    elementary,
    extrema,
    losses,
    normalization,
    norms,
    ordering,
    pooling,
    special,
)

PAGE = Path(__file__).parents[1] / "docs" / "conventions.md"
ROW = re.compile(r"^\| `(.+)` \| `(.+)` \| `(.+)` \| (?:`(.+)`|(same)) \|$", re.MULTILINE)
ROWS = [m.groups() for m in ROW.finditer(PAGE.read_text(encoding="utf-8"))]
NAMES = {"inf": math.inf, "nan": math.nan}


def test_the_page_has_its_rows():
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    assert len(ROWS) == sum(line.startswith("| `") for line in lines) > 60


def values_of(written):
    """`x = [0.0], y = 1.0` as a dict of float64 arrays."""
    return {k: np.asarray(v, dtype=np.float64) for k, v in eval(f"dict({written})", dict(NAMES)).items()}


class Names(dict):
    """Names looked up in modules, the first that has one."""

    def __init__(self, modules, **arguments):
        super().__init__(NAMES, **arguments)
        self.modules = modules

    def __missing__(self, name):
        found = next((getattr(m, name) for m in self.modules if hasattr(m, name)), None)
        if found is None:
            raise NameError(name)
        return found


def gradients(expression, modules, arguments):
    eval(expression, {"__builtins__": {}}, Names(modules, **arguments)).sum().backward()
    return {f"d{k}": np.zeros(np.shape(t)) if t.grad is None else np.asarray(t.grad) for k, t in arguments.items()}


OURS = [tj, activations, elementary, extrema, losses, normalization, norms, ordering, pooling, special]


@pytest.mark.parametrize("expression, at, gradient, theirs, same", ROWS)
def test_row(expression, at, gradient, theirs, same):
    arguments = {k: tj.tensor(v, requires_grad=True) for k, v in values_of(at).items()}
    with np.errstate(all="ignore"):
        found = gradients(expression, OURS, arguments)
    compare(found, values_of(gradient))


@pytest.mark.parametrize("expression, at, gradient, theirs, same", [r for r in ROWS if "inf" not in r[2]])
def test_rule_and_statement_agree_on_it(expression, at, gradient, theirs, same):
    arguments = {k: tj.tensor(v, requires_grad=True) for k, v in values_of(at).items()}
    kit.audit(eval(expression, {"__builtins__": {}}, Names(OURS, **arguments)))


@pytest.mark.peers
@pytest.mark.parametrize("expression, at, gradient, theirs, same", ROWS)
def test_row_in_pytorch(expression, at, gradient, theirs, same):
    torch = pytest.importorskip("torch")
    modules = [torch.nn.functional, torch, torch.special]
    arguments = {k: torch.tensor(v, requires_grad=True) for k, v in values_of(at).items()}
    compare(gradients(expression, modules, arguments), values_of(gradient if same else theirs))


def compare(found, expected):
    assert found.keys() == expected.keys()
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-7, err_msg=name)
