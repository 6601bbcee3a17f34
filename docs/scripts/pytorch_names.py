"""Writes docs/pytorch-names.md: every PyTorch name that public training scripts use, and its state here.

Run it from anywhere: ``python docs/scripts/pytorch_names.py``. The list is tests/data/pytorch-names.txt; whether a name
is here is asked of the package itself, and what is out of scope is said in its own words (tinygrad_jac/scope.py).
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any, NamedTuple

import tinygrad_jac as tj
from tinygrad_jac import nn, optim
from tinygrad_jac.autograd.function import FunctionCtx
from tinygrad_jac.scope import instead_of
from tinygrad_jac.spelling import SPELLINGS

ROOT = Path(__file__).parents[2]
LIST = ROOT / "tests" / "data" / "pytorch-names.txt"
PAGE = ROOT / "docs" / "pytorch-names.md"

# What is here and works, but not in every respect as in PyTorch.
DIFFERENCES = {
    "Tensor.view": "is `reshape`: where the memory does not allow a view it copies",
    "Tensor.size": "a `Size`, which is a tuple",
    "Tensor.shape": "a `Size`, which is a tuple",
    "Tensor.dtype": "a NumPy dtype",
    "Tensor.device": "always the CPU",
    "Tensor.cpu": "the tensor itself",
    "Tensor.pin_memory": "the tensor itself",
    "Tensor.grad_fn": "a node of this library's graph; its name is the primitive's",
    "Tensor.new": "makes tensors of the same dtype",
    "torch.device": "every device can be named; what is sent to another than the CPU raises",
    "torch.set_default_device": "takes the CPU",
    "torch.manual_seed": "the numbers are NumPy's, not PyTorch's of that seed",
    "torch.Generator": "the numbers are NumPy's, not PyTorch's of that seed",
    "torch.save": "writes a zip of JSON and .npy files, not a pickle",
    "torch.load": "reads what `save` writes, not pickles",
    "torch.inference_mode": "is `no_grad`",
    "torch.amp.autocast": "casts nothing: switched off, or where PyTorch would disable it; otherwise it raises",
    "torch.cuda.amp.GradScaler": "scales by one, as PyTorch's does without CUDA",
    "torch.autograd.Variable": "gives a Tensor, and every Tensor is one",
    "torch.autograd.gradcheck": "takes PyTorch's arguments; says more, see [gradcheck](gradcheck.md)",
    "torch.float": "a NumPy dtype", "torch.double": "a NumPy dtype", "torch.long": "a NumPy dtype",
    "torch.int16": "a NumPy dtype", "torch.int32": "a NumPy dtype", "torch.int64": "a NumPy dtype",
    "torch.float16": "a NumPy dtype", "torch.float32": "a NumPy dtype", "torch.float64": "a NumPy dtype",
    "Module.share_memory": "the module itself",
    "data.DataLoader": "loads in this process: `num_workers` and `pin_memory` are accepted without effect",
}  # fmt: skip
_ANSWER = "answers as PyTorch built for the CPU alone"
_SETTING = "may be read and written, without effect"

# Keyword arguments that scripts gave to methods: of which of these, the first that has the method.
_OWNERS = ("Tensor", "Optimizer", "nn.Embedding")
# Methods of other libraries and of the scripts with a name that Tensor has too.
_FOREIGN = (".__init__(", ".array(", ".scatter(", ".add(out=", ".triu(k=")

_PLACES: dict[str, Any] = {
    "torch": "", "F": "nn.functional", "init": "nn.init", "data": "utils.data", "lr_scheduler": "optim.lr_scheduler",
}  # fmt: skip


class Row(NamedTuple):
    """A line of the list."""

    section: str
    count: int
    name: str

    @property
    def bare(self) -> str:
        return self.name.partition(" ")[0]


def rows() -> list[Row]:
    """The list."""
    found, section = [], ""
    for line in LIST.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif match := re.fullmatch(r"\s+(\d+)  (.+)", line):
            found.append(Row(section, int(match[1]), match[2]))
    return found


def resolve(name: str) -> Any:
    """What a name of the list is here; raises as the package does where it is not."""
    instances: dict[str, Any] = {
        "Tensor": tj.ones(1, requires_grad=True), "Module": nn.Linear(1, 1), "Optimizer": optim.Optimizer,
        "Scheduler": optim.lr_scheduler.StepLR, "ctx": FunctionCtx, "Function": tj.autograd.Function,
    }  # fmt: skip
    first, *rest = name.split(".")
    found = instances.get(first, tj)
    if first not in instances:
        rest = [*filter(None, _PLACES.get(first, first).split(".")), *rest]
    for part in rest:
        found = getattr(found, part)
    return found


def state_of(row: Row) -> str:
    """Whether a name is here, and what to know of it."""
    name = row.bare
    try:
        resolve(name)
    except AttributeError:
        sentence = instead_of(name.removeprefix("torch."))
        return f"out of scope: {sentence}" if sentence else "**not here**"
    if name in DIFFERENCES:
        return f"here, with a difference: {DIFFERENCES[name]}"
    if name.startswith("torch.backends.") and not callable(resolve(name)):
        return f"here, with a difference: {_SETTING}"
    if re.match(r"torch\.(cuda|accelerator|backends)\.", name):
        return f"here: {_ANSWER}"
    return "here"


def keyword_owner(name: str) -> tuple[str, str] | None:
    """The callable and the keyword of ``nn.Linear(bias=)``; None for one of another library."""
    owner, keyword = re.fullmatch(r"(.+)\((\w+)=\)", name).groups()  # type: ignore[union-attr]
    if not owner.startswith("."):
        return owner.replace("gradcheck.gradcheck", "gradcheck"), keyword
    for place in _OWNERS:
        if not name.startswith(_FOREIGN) and hasattr(resolve(place), owner[1:]):
            return place + owner, keyword
    return None


def takes(function: Any, keyword: str) -> bool | None:
    """Whether a callable has a keyword argument; None where its signature says only ``**kwargs``."""
    parameters = inspect.signature(function).parameters
    if keyword in parameters or SPELLINGS.get(keyword) in parameters:
        return True
    return None if any(p.kind is p.VAR_KEYWORD for p in parameters.values()) else False


def page() -> str:
    """The text of the page."""
    names = [row for row in rows() if not row.section.startswith(("operators", "keyword"))]
    states = {row: state_of(row) for row in names}
    missing = [row.name for row, state in states.items() if state == "**not here**"]
    counts = {kind: sum(s.startswith(kind) for s in states.values()) for kind in ("here", "out of scope")}
    lines = [
        "# Names of PyTorch",
        "",
        "96 public training scripts (tutorials, examples, course code) were run and traced with PyTorch; these are",
        "all the names of PyTorch that they used, in how many of the scripts, and whether they are here.",
        "`docs/scripts/pytorch_names.py` writes this page, and asks the package; `tests/test_pytorch_names.py` holds",
        "the two together, and tries the operators and keyword arguments of the list as well.",
        "",
        f"Of {len(states)} names {counts['here']} are here and {counts['out of scope']} are out of scope: those raise, "
        "and the error says",
        f"what the table says. {'Missing: ' + ', '.join(missing) if missing else 'None is missing'}.",
        "",
        "In short: the CPU alone; no `bfloat16`, sparse tensors, `compile`, `jit`, ONNX, profiler, TensorBoard or",
        "distributed training; `DataLoader` loads in this process. torchvision, torchaudio and the like are packages",
        "of their own that need PyTorch: read the data with NumPy.",
    ]
    section = ""
    for row, state in states.items():
        if row.section != section:
            section = row.section
            lines += ["", f"## {section}", "", "| name | scripts | |", "|---|---:|---|"]
        lines.append(f"| `{row.name}` | {row.count} | {state.replace('|', chr(92) + '|')} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE} written")
