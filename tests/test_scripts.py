"""Training scripts in PyTorch's names, run as they are with PyTorch, and with their import lines changed.

The scripts of scripts/ are what a PyTorch user writes. Each starts from weights and data drawn by NumPy and collects
its losses in ``losses``, and other numbers on the way (parameters, predictions, accuracies) in ``results``. Both
libraries must find the same numbers over the whole run; without PyTorch, the loss must fall. What the library has
(layers, losses, optimisers, schedulers, …) must appear in a script, and so must what public scripts use.
"""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import re
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from tinygrad_jac import nn, optim
from tinygrad_jac.primitive import registry
from tinygrad_jac.utils import data

ROOT = Path(__file__).parents[1]
SCRIPTS = Path(__file__).parent / "scripts"
NAMES = sorted(path.stem for path in SCRIPTS.glob("*.py") if path.stem != "given")

# Float64 throughout: what two orders of summation differ by, of about 1e-16 in a step, grows over the steps.
TOLERANCE = 1e-9
LOOSER = {
    "in_float32": (2e-5, "single precision: 1e-7 in a step, a dozen steps of Adam, which divides by small roots"),
    "hard_gates": (1e-6, "PyTorch multiplies the gradient of hardsigmoid by 1/6 in float32, whatever the dtype"),
}


# ------------------------------------------------------------------------------------------------ running


def with_imports_changed(source):
    """The script for this library: only lines that import PyTorch differ."""
    source = re.sub(r"^import torch$", "import tinygrad_jac as torch", source, flags=re.MULTILINE)
    return re.sub(r"^(import|from) torch\b", r"\1 tinygrad_jac", source, flags=re.MULTILINE)


@functools.cache
def outcome(name, library):
    """Losses and results of a script's run, in a namespace of its own; ``library`` is tinygrad_jac or torch."""
    torch = importlib.import_module(library)
    source = (SCRIPTS / f"{name}.py").read_text(encoding="utf-8")
    if library == "tinygrad_jac":
        source = with_imports_changed(source)
    module = type(sys)(f"script_{name}")
    sys.path.insert(0, str(SCRIPTS))
    sys.modules[module.__name__] = module  # dataclasses ask there
    dtype = torch.get_default_dtype()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="size_average and reduce")  # as PyTorch warns of it
            if library == "torch":
                warnings.simplefilter("ignore")
                torch.set_num_threads(1)  # threads would cost such small arrays more than they save
            exec(compile(source, str(SCRIPTS / f"{name}.py"), "exec"), vars(module))
        return arrays(module.losses), arrays(module.results)
    finally:
        torch.set_default_dtype(dtype)
        sys.path.remove(str(SCRIPTS))
        del sys.modules[module.__name__]


def arrays(values):
    return [np.array(v.detach().numpy() if hasattr(v, "detach") else v) for v in values]


def assert_agree(found, expected, tolerance):
    """Arrays one by one; small entries of an array may differ by as much as the large ones do, a zero by rounding."""
    assert len(found) == len(expected)
    for k, (ours, theirs) in enumerate(zip(found, expected)):
        assert ours.shape == theirs.shape, k
        assert ours.dtype == theirs.dtype, k
        if theirs.dtype.kind != "f":
            np.testing.assert_array_equal(ours, theirs, err_msg=f"number {k}")
            continue
        size = np.abs(theirs[np.isfinite(theirs)]).max(initial=1e-5)
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance * size, err_msg=f"number {k}")


@pytest.mark.peers
@pytest.mark.parametrize("name", NAMES)
def test_learns_the_same_as_pytorch(name):
    pytest.importorskip("torch")
    losses, results = outcome(name, "tinygrad_jac")
    expected_losses, expected_results = outcome(name, "torch")
    tolerance = LOOSER.get(name, (TOLERANCE, ""))[0]
    assert_agree(losses, expected_losses, tolerance)
    assert_agree(results, expected_results, tolerance)


@pytest.mark.parametrize("name", NAMES)
def test_learns(name):
    losses, results = outcome(name, "tinygrad_jac")
    losses = np.array(losses)
    assert losses.ndim == 1
    assert np.isfinite(losses).all()
    fifth = max(len(losses) // 5, 1)
    assert losses[-fifth:].mean() < losses[:fifth].mean()
    assert results


@pytest.mark.peers
def test_a_wrong_derivative_would_be_found(monkeypatch):
    pytest.importorskip("torch")
    losses, _ = outcome("linear_regression", "torch")
    fresh = outcome.__wrapped__
    assert_agree(fresh("linear_regression", "tinygrad_jac")[0], losses, TOLERANCE)
    linear = registry["linear"]
    wrong = tuple(lambda *args, rule=rule, **kw: rule(*args, **kw) * (1 + 1e-7) for rule in linear.vjp)
    monkeypatch.setattr(linear, "vjp", wrong)
    with pytest.raises(AssertionError):
        assert_agree(fresh("linear_regression", "tinygrad_jac")[0], losses, TOLERANCE)


# ------------------------------------------------------------------------------------------------ what is covered

_spec = importlib.util.spec_from_file_location("pytorch_names", ROOT / "docs" / "scripts" / "pytorch_names.py")
listed = importlib.util.module_from_spec(_spec)
sys.modules["pytorch_names"] = listed
_spec.loader.exec_module(listed)


class Used(ast.NodeVisitor):
    """Names of PyTorch in a script: full ones (``torch.nn.Linear``), attributes of anything, keywords by function."""

    def __init__(self, source):
        self.aliases, self.full, self.attributes, self.keywords = {}, set(), set(), set()
        self.visit(ast.parse(source))

    def visit_Import(self, node):
        for name in node.names:
            if name.name.partition(".")[0] == "torch":
                self.aliases[name.asname or "torch"] = name.name if name.asname else "torch"

    def visit_ImportFrom(self, node):
        if node.module.partition(".")[0] == "torch":
            for name in node.names:
                self.aliases[name.asname or name.name] = f"{node.module}.{name.name}"

    def path(self, node):
        if isinstance(node, ast.Name):
            return self.aliases.get(node.id)
        if isinstance(node, ast.Attribute):
            before = self.path(node.value)
            return before and f"{before}.{node.attr}"
        return None

    def visit_Name(self, node):
        self.full.update(filter(None, [self.path(node)]))

    def visit_Attribute(self, node):
        self.full.update(filter(None, [self.path(node)]))
        self.attributes.add(f"{node.attr} (assign)" if isinstance(node.ctx, ast.Store) else node.attr)
        self.generic_visit(node)

    def visit_Call(self, node):
        name = self.path(node.func) or getattr(node.func, "attr", getattr(node.func, "id", ""))
        self.keywords.update((name.rpartition(".")[2], keyword.arg) for keyword in node.keywords)
        self.generic_visit(node)


USED = [Used((SCRIPTS / f"{name}.py").read_text(encoding="utf-8")) for name in NAMES]
FULL = set().union(*(used.full for used in USED))
ATTRIBUTES = set().union(*(used.attributes for used in USED))
KEYWORDS = set().union(*(used.keywords for used in USED))


def public_names(module):
    """What a module offers by name; where it has no ``__all__``, its own functions."""
    given = getattr(module, "__all__", None) or [
        name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__
    ]
    return [name for name in given if name[0] != "_" and not isinstance(getattr(module, name), type(sys))]


# A module, and what of it no script has: what is not PyTorch's, or not there for scripts.
HOUSES = {
    "torch.nn": (nn, {"Module"}),
    "torch.nn.functional": (nn.functional, {"flatten", "unflatten"}),
    "torch.nn.init": (nn.init, {"copy_", "default_"}),
    "torch.nn.utils": (nn.utils, {"AsLinear", "as_linear"}),
    "torch.nn.utils.rnn": (nn.utils.rnn, {"PackedSequence", "gathered", "invert_permutation", "rows_of", "spread"}),
    "torch.optim": (optim, set()),
    "torch.optim.lr_scheduler": (optim.lr_scheduler, set()),
    "torch.utils.data": (data, set()),
}


@pytest.mark.parametrize("house", HOUSES)
def test_everything_is_in_a_script(house):
    module, besides = HOUSES[house]
    missing = [name for name in public_names(module) if f"{house}.{name}" not in FULL and name not in besides]
    assert not missing


SECTIONS = {
    "torch": "torch", "nn": "torch.nn", "F": "torch.nn.functional", "optim": "torch.optim", "data": "torch.utils.data",
    "init": "torch.nn.init", "lr_scheduler": "torch.optim.lr_scheduler",
}  # fmt: skip


def test_what_public_scripts_use_is_in_a_script():
    """Every name that two of the public scripts use, and every keyword of the library's."""
    missing = []
    for row in listed.rows():
        if row.count < 2 or row.section.startswith("operators") or "tensorboard" in row.name:
            continue
        first, _, rest = row.name.partition(".")
        if row.section.startswith("keyword"):
            owner = listed.keyword_owner(row.name)
            here = owner is None or (owner[0].rpartition(".")[2], owner[1]) in KEYWORDS
        elif first in SECTIONS:
            here = f"{SECTIONS[first]}.{rest}" in FULL
        else:
            here = rest in ATTRIBUTES
        if not here:
            missing.append(row.name)
    assert not missing
