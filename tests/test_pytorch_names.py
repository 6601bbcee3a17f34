"""The names that public training scripts use, the page of the docs that says which are here, and the package."""

from __future__ import annotations

import importlib.util
import io
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import tinygrad_jac as tj
from tinygrad_jac import nn
from tinygrad_jac.errors import OutOfScopeError

ROOT = Path(__file__).parents[1]
_spec = importlib.util.spec_from_file_location("pytorch_names", ROOT / "docs" / "scripts" / "pytorch_names.py")
names = importlib.util.module_from_spec(_spec)
sys.modules["pytorch_names"] = names
_spec.loader.exec_module(names)

ROWS = names.rows()
NAMES = [row for row in ROWS if not row.section.startswith(("operators", "keyword"))]
OPERATORS = [row.name for row in ROWS if row.section.startswith("operators")]
KEYWORDS = [row.name for row in ROWS if row.section.startswith("keyword")]


def said():
    """The page's tables: of each name what it says."""
    lines = [line.split(" | ") for line in names.PAGE.read_text(encoding="utf-8").splitlines() if line[:3] == "| `"]
    return {cells[0].strip("| `"): cells[2].rstrip(" |") for cells in lines}


def test_the_page_is_what_the_package_says():
    assert names.PAGE.read_text(encoding="utf-8") == names.page(), "run docs/scripts/pytorch_names.py"
    assert list(said()) == [row.name for row in NAMES]


@pytest.mark.parametrize("row", NAMES, ids=lambda row: row.name)
def test_a_name_is_here_or_says_why_not(row):
    state = said()[row.name]
    if state.startswith("here"):
        names.resolve(row.bare)
        return
    sentence = state.removeprefix("out of scope: ")
    assert sentence != state, f"{row.name} is {state}"
    with pytest.raises(OutOfScopeError) as caught:
        names.resolve(row.bare)
    assert str(caught.value) == f"{row.bare.removeprefix('torch.')} is out of scope: {sentence}"
    assert row.count < 2 or "tensorboard" in row.name, "what two scripts use is not out of scope"


def test_differences_are_of_names_in_the_list():
    assert set(names.DIFFERENCES) <= {row.bare for row in NAMES}


# ------------------------------------------------------------------------------------------------ operators

x = tj.tensor([3.0, 1.0])


def changed(statement):
    """A tensor after a statement."""
    scope = {"x": tj.tensor([3.0, 1.0]), "v": 5.0, "i": 1}
    exec(statement, scope)
    return scope["x"].tolist()


EXAMPLES = {
    "x[i]": lambda: x[1].item() == 1,
    "+": lambda: (x + 1).tolist() == (1 + x).tolist() == [4, 2],
    "*": lambda: (x * 2).tolist() == (2 * x).tolist() == [6, 2],
    "/": lambda: (x / 2).tolist() == [1.5, 0.5] and (3 / x).tolist() == [1, 3],
    "-": lambda: (x - 1).tolist() == [2, 0] and (1 - x).tolist() == [-2, 0],
    "x[i]=v": lambda: changed("x[i] = v") == [3, 5],
    "==": lambda: (x == 1).tolist() == [False, True],
    "-=": lambda: changed("x -= 1") == [2, 0],
    "bool(x)": lambda: bool(x[0] > 1) is True,
    "+=": lambda: changed("x += 1") == [4, 2],
    "<": lambda: (x < 2).tolist() == [False, True],
    "index(x)": lambda: ["a", "b"][tj.tensor(1)] == "b",
    "@": lambda: (x @ x).item() == 10,
    "int(x)": lambda: int(x[0]) == 3,
    "neg": lambda: (-x).tolist() == [-3, -1],
    "/=": lambda: changed("x /= 2") == [1.5, 0.5],
    ">": lambda: (x > 2).tolist() == [True, False],
    "float(x)": lambda: float(x[0]) == 3.0,
    "*=": lambda: changed("x *= 2") == [6, 2],
}


@pytest.mark.parametrize("operator", OPERATORS)
def test_operators(operator):
    assert EXAMPLES[operator]()


# ------------------------------------------------------------------------------------------------ keyword arguments

CALLED = {  # where a signature does not say what is taken: a call, and what it gives
    "torch.mul(out=)": lambda: written(tj.mul, x, x).tolist() == [9, 1],
    "torch.matmul(out=)": lambda: written(tj.matmul, x, tj.eye(2)).tolist() == [3, 1],
}


def written(function, *args):
    out = tj.zeros(2)
    assert function(*args, out=out) is out
    return out


def takes(keyword):
    """Whether what a row names takes the keyword; None where it belongs to another library, or is out of scope."""
    if keyword in CALLED:
        return CALLED[keyword]()
    owned = names.keyword_owner(keyword)
    if owned is None or said().get(owned[0], "").startswith("out of scope"):
        return None
    return names.takes(names.resolve(owned[0]), owned[1])


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_keyword_arguments_are_taken(keyword):
    answer = takes(keyword)
    if answer is None:
        prefix = keyword.partition("(")[0]
        core = ("torch.", "nn.", "F.", "optim.", "data.", "init.", "lr_scheduler.")
        assert keyword.startswith(".") or said()[prefix].startswith("out of scope"), keyword
        assert not keyword.startswith(core) or said()[prefix].startswith("out of scope")
    else:
        assert answer


def test_most_keywords_are_tried():
    assert sum(takes(keyword) is not None for keyword in KEYWORDS) >= 110
    assert names.takes(nn.Linear, "nonsense") is False
    assert names.keyword_owner(".plot(lw=)") is None


# ------------------------------------------------------------------------------------------------ a script


SCRIPT = """
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.backends.cudnn as cudnn
from torch.autograd import Variable
from torch.nn.modules.linear import Linear
from torch.utils.data import DataLoader, TensorDataset
try:
    from torch.utils.tensorboard import SummaryWriter
except ImportError:
    SummaryWriter = None

use_cuda = torch.cuda.is_available()
device = torch.device("cuda" if use_cuda else "cpu")
torch.manual_seed(1)
if use_cuda:
    torch.cuda.manual_seed_all(1)
cudnn.benchmark = False
torch.backends.cuda.matmul.allow_tf32 = False


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.hidden = Linear(2, 4)
        self.out = nn.Linear(4, 2)

    def forward(self, x):
        return F.log_softmax(self.out(F.relu(self.hidden(x))), dim=1)


model = Net().double().to(device)
model.load_state_dict({k: torch.tensor(v) for k, v in weights.items()})
if hasattr(torch, "compile") and use_cuda:
    model = torch.compile(model)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
scaler = torch.amp.GradScaler("cpu", enabled=False)
inputs = torch.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]], dtype=torch.float64)
loader = DataLoader(TensorDataset(inputs, torch.tensor([1, 1, 0, 0])), batch_size=2, num_workers=0, pin_memory=False)
losses = []
for epoch in range(20):
    for batch_idx, (data, target) in enumerate(loader):
        data, target = Variable(data.to(device, non_blocking=True)), target.to(device)
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", enabled=False):
            loss = F.nll_loss(model(data), target)
        scaler.scale(loss).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
"""


@pytest.mark.peers
def test_a_script_runs_with_only_its_imports_changed():
    pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    shapes = {"hidden.weight": (4, 2), "hidden.bias": (4,), "out.weight": (2, 4), "out.bias": (2,)}
    weights = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    runs = []
    for script in (SCRIPT, SCRIPT.replace("import torch\n", "import tinygrad_jac as torch\n").replace(
        "import torch.", "import tinygrad_jac."
    ).replace("from torch.", "from tinygrad_jac.")):  # fmt: skip
        scope = {"weights": weights}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch's own, of what it imports
            exec(script, scope)
        runs.append(scope["losses"])
    np.testing.assert_allclose(runs[1], runs[0], rtol=1e-9, atol=1e-12)
    assert sum(runs[1][-2:]) < sum(runs[1][:2])


def test_a_checkpoint_goes_through_a_file():
    model, file = nn.Linear(2, 1), io.BytesIO()
    tj.save(model.state_dict(), file)
    file.seek(0)
    loaded = tj.load(file, map_location="cpu", weights_only=True)
    assert repr(nn.Linear(2, 1).load_state_dict(loaded)) == "<All keys matched successfully>"
