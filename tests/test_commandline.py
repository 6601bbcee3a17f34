"""``python -m tinygrad_jac``: reports, exit status, and one clear sentence for each thing that cannot be done."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygrad_jac as tj
from tinygrad_jac import nn  # noqa: F401  (registers primitives, which no test should seem to have done)
from tinygrad_jac.commandline import main, parser

FILE = """
import sys
import numpy as np
import tinygrad_jac as tj
from tinygrad_jac import nn
from beside import shift                      # a file in the same folder

def loss(x, w):
    return np.tanh(x @ w + shift).sum()

def detached(x, w):
    return x * w.detach()

def second(x):                                # right once, wrong twice: the gradient is taken for a constant
    return Once.apply(x)

class Once(tj.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 3 * g * (x * x).detach()

def log(x):
    return x.log()

def outer(x):
    return inner(np.sum(x))

def inner(s):
    table = {}
    return table["missing"]

def refused(x):
    return np.linalg.cholesky(np.ones((2, 3)))  # raised inside of NumPy

def shout(x):
    print("sys.path[0] is", sys.path[0], "and drawn was", drawn)
    return x

def number(x):
    return 3

def many(*xs):
    return sum(x.sum() for x in xs)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, x):
        return np.tanh(self.layer(x))

class Kinked(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(tj.zeros(2))

    def forward(self, x):
        return (self.weight * x).abs()

class Broken(nn.Module):
    def __init__(self):
        super().__init__()
        raise RuntimeError("no weights")

def make():
    return Net()

net = Net()
dropping = nn.Sequential(nn.Linear(4, 2), nn.Dropout(0.5))
length = 3
drawn = tj.randn(2)

if __name__ == "__main__":
    raise SystemExit("this is not for imports")
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the files above, which is the current one; sys.modules and sys.path come back as they were."""
    (tmp_path / "made.py").write_text(FILE, encoding="utf-8")
    (tmp_path / "beside.py").write_text("shift = 0.5\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    path, modules, state = sys.path[:], set(sys.modules), tj.get_rng_state()
    yield tmp_path
    assert sys.path == path
    tj.set_rng_state(state)
    for name in set(sys.modules) - modules:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def run(folder, capsys):
    """Run a command line, in this process: exit status, what it printed, what it complained of."""

    def run(line):
        try:
            status = main(line.split())
        except SystemExit as left:  # argparse leaves by itself
            status = left.code
        told = capsys.readouterr()
        return status, told.out, told.err

    return run


# ------------------------------------------------------------------------------------------------ as a process


def shell(folder, *line):
    package = str(Path(tj.__file__).parents[1])
    return subprocess.run(
        [sys.executable, "-m", "tinygrad_jac", *line],
        cwd=folder, env={**os.environ, "PYTHONPATH": package}, capture_output=True, text=True, encoding="utf-8",
    )  # fmt: skip


def test_exit_status_of_the_process(folder):
    (folder / "elsewhere").mkdir()
    right = shell(folder / "elsewhere", "gradcheck", "../made.py:loss", "--shapes", "3,4", "4")
    assert (right.returncode, right.stderr) == (0, "")
    wrong = shell(folder, "gradcheck", "made.py:detached", "--shapes", "2", "2")
    assert (wrong.returncode, wrong.stderr) == (1, "")
    nothing = shell(folder, "gradcheck", "made.py:nothing", "--shapes", "2")
    assert (nothing.returncode, nothing.stdout) == (2, "")
    assert not list(folder.rglob("*.pyc")), "python file.py does not leave such files either"


# ------------------------------------------------------------------------------------------------ reports


def test_right(run):
    status, out, err = run("gradcheck made.py:loss --shapes 3,4 4")
    assert (status, err) == (0, "")
    assert out.startswith("loss in made.py\ninputs: x (3, 4), w (4,); normal, float64, seed 0\n\ngradcheck\n")
    rows = re.findall(r"input (\d)  (.*?\))  +(\d+)  complex step  +(\S+)  +(\S+)$", out, re.M)
    assert [row[:3] for row in rows] == [("0", "(3, 4)", "12"), ("1", "  (4,)", "4")]
    assert all(0 <= float(worst) < 1e-12 and 0 < float(error) < 1e-10 for *_, worst, error in rows)
    assert out.endswith("right: all 16 entries of the Jacobian agree to 1e-08 and the numerical derivatives' error\n")


def test_a_function_that_makes_a_module(run):
    status, out, err = run("gradcheck made.py:make --shapes 3,4")
    assert (status, err) == (0, "")
    assert "layer.weight" in out


@pytest.mark.parametrize("option, why", [
    ("--eps 0", "above 0"), ("--eps -1", "above 0"), ("--eps nan", "above 0"), ("--eps inf", "above 0"),
    ("--rtol -1", "not below 0"), ("--rtol nan", "not below 0"), ("--atol -1", "not below 0"),
    ("--atol x", "not below 0"),
])  # fmt: skip
def test_steps_and_tolerances_are_finite(run, option, why):
    name, value = option.split()
    status, out, err = run(f"gradcheck made.py:loss --shapes 3,4 4 {name}={value}")
    assert (status, out) == (2, "")
    assert err.rstrip().endswith(f"argument {name}: {value!r} is not a finite number {why}")


def test_wrong(run):
    status, out, err = run("gradcheck made.py:detached --shapes 2 2 --seed 3")
    assert (status, err) == (1, "")
    assert re.search(r"input 0 .* 0\.0e\+00 .*\n +input 1 .* 1\.0e\+00 ", out)
    assert "WRONG: the gradient with respect to input 1, shape (2,), is wrong in 2 of 4 entries." in out
    assert "Diagnosis: detached" in out


def test_second(run):
    assert run("gradcheck made.py:second --shapes 3")[0] == 0
    status, out, _ = run("gradcheck made.py:second --shapes 3 --second")
    assert status == 1
    assert out.index("right: all 9 entries") < out.index("gradgradcheck") < out.index("WRONG: ")
    status, out, _ = run("gradcheck made.py:loss --shapes 3,4 4 --second")
    assert status == 0
    assert "gradgradcheck, the gradient of the gradient; input 2: cotangents of the output" in out
    assert "right: all 272 entries" in out  # 16 gradients by 17 inputs


def test_the_second_check_waits_for_the_first(run):
    status, out, _ = run("gradcheck made.py:detached --shapes 2 2 --second")
    assert status == 1
    assert "gradgradcheck" not in out


def test_fast(run):
    status, out, _ = run("gradcheck made.py:loss --shapes 30,40 40 --fast")
    assert (status, "worst error" in out) == (0, False)
    assert out.endswith("right: random projections of the 1240 entries agree to 1e-08\n")
    status, out, _ = run("gradcheck made.py:detached --shapes 2 2 --fast")
    assert status == 1
    assert "worst error" in out  # what is wrong is shown in full
    assert "Diagnosis: detached" in out


def test_float32_is_said(run):
    status, out, err = run("gradcheck made.py:loss --shapes 3,4 4 --dtype float32")
    assert (status, err) == (0, "")
    assert "evaluated in float64" in out


def test_modules(run):
    for name in ("Net", "net"):  # a class, an instance
        status, out, _ = run(f"gradcheck made.py:{name} --shapes 5,4")
        assert status == 0
        assert [*re.findall(r"parameter '(\S+)'", out)] == ["layer.weight", "layer.bias"]
        assert "right: all 300 entries" in out  # 10 outputs by 20 + 8 + 2
    status, out, _ = run("gradcheck made.py:net.layer --shapes 5,4")
    assert (status, out.startswith("net.layer in made.py")) == (0, True)


def test_a_kink_is_called_a_kink(run):
    status, out, _ = run("gradcheck made.py:Kinked --shapes 2")
    assert status == 1
    assert "\nkink: with respect to parameter 'weight'" in out
    assert "WRONG" not in out


def test_what_is_not_repeatable(run):
    status, out, _ = run("gradcheck made.py:dropping --shapes 5,4")
    assert status == 1
    assert "WRONG: not repeatable" in out
    assert "eval() for dropout" in out


def test_scalars_and_any_number_of_inputs(run):
    status, out, _ = run("gradcheck made.py:many --shapes - () 1 (2,) 2,1")
    assert status == 0
    assert "inputs: (), (), (1,), (2,), (2, 1); normal" in out
    assert "right: all 7 entries" in out


@pytest.mark.parametrize("line", ["detached --shapes 2 2", "shout --shapes 2"])  # of the inputs, of the file's numbers
def test_the_same_seed_gives_the_same_report(run, line):
    reports = [run(f"gradcheck made.py:{line} --seed {seed}")[1] for seed in (4, 4, 5)]
    assert reports[0] == reports[1]
    drawn = [re.findall(r"drawn was .*|    \(0,\) .*", report) for report in reports]
    assert drawn[0] != drawn[2]


def test_the_options_reach_gradcheck(run, monkeypatch):
    from tinygrad_jac.checks import gradcheck as module

    seen = []
    monkeypatch.setattr(
        module, "gradcheck", lambda function, inputs, **options: bool(seen.append((inputs, options))) or 1
    )
    run("gradcheck made.py:log --shapes 50 --positive --eps 1e-3 --atol 1e-5 --rtol 1e-4 --fast --dtype float32")
    run("gradcheck made.py:many --shapes 50")
    (inputs, options), (others, defaults) = seen
    assert options == {"eps": 1e-3, "atol": 1e-5, "rtol": 1e-4, "fast_mode": True}
    assert defaults == {"eps": None, "atol": None, "rtol": module.RTOL, "fast_mode": False}
    assert inputs[0].dtype == tj.float32
    assert 0.1 < inputs[0].min() < inputs[0].max() < 0.9
    assert others[0].dtype == tj.float64
    assert others[0].min() < -1 < 1 < others[0].max()
    assert others[0].requires_grad


def test_a_tolerance_that_lets_a_wrong_gradient_pass(run):
    assert run("gradcheck made.py:detached --shapes 2 2 --atol 100")[0] == 0


def test_the_folder_of_the_file_comes_first(run, folder):
    status, out, _ = run(f"gradcheck {folder / 'made.py'}:shout --shapes 2")
    assert status == 0
    assert f"sys.path[0] is {folder.resolve()} and" in out


def test_a_file_named_as_a_module_that_is_imported(run, folder):
    (folder / "json.py").write_text("def f(x):\n    return x * x\n", encoding="utf-8")
    import json

    assert run("gradcheck json.py:f --shapes 2")[0] == 0
    assert sys.modules["json"] is json


# ------------------------------------------------------------------------------------------------ what cannot be done


@pytest.mark.parametrize(
    "line, sentence",
    {
        "nowhere.py:loss --shapes 2": "there is no file 'nowhere.py'",
        "made.py --shapes 2": "'made.py' does not name a function: write the file, a colon, the name, .*",
        "made.py:loss() --shapes 2": r"'made.py:loss\(\)' does not name a function: .*",
        ".:loss --shapes 2": "'.' is not a Python file",
        "made.py:lost --shapes 2": "there is no 'lost' in made.py; it defines loss, detached, .*",
        "made.py:net.lost --shapes 2": "there is no 'lost' in net.*",
        "made.py:length --shapes 2": "length in made.py is of type int: only a function or a module will do",
        "made.py:nn.Linear --shapes 2": "nn.Linear is a class whose instances need arguments .*",
        "made.py:loss --shapes 3,4": r"loss\(x, w\) cannot be called with 1 tensor, one for each shape: .*'w'; give .*",
        "made.py:log --shapes 3 4": r"log\(x\) cannot be called with 2 tensors, one for each shape: too many .*",
        "made.py:loss --shapes 3,4 5": r"the shapes do not fit: matmul: shapes \(3, 4\) and \(5,\) .*made.py, line 9\)",
        "made.py:net --shapes 3": r"the shapes do not fit: linear: x of shape \(3,\) .*made.py, line 57\)",
        "made.py:number --shapes 3": "number fails at these inputs: ValueError: the function must return a floating.*",
        "made.py:log --shapes 9": "log is nan at these inputs, where it has no derivative: draw others with --seed, .*",
        "made.py:log --shapes 0": "the Jacobian of log has no entries at these shapes: there is nothing to check",
    }.items(),
    ids=lambda text: text.partition(" ")[0] if "--" in text else "",
)
def test_one_clear_sentence(run, line, sentence):
    status, out, err = run(f"gradcheck {line}")
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert re.fullmatch(f"python -m tinygrad_jac gradcheck: {sentence}", err.strip()), err


@pytest.mark.parametrize(
    "line, complaint",
    {
        "": "the following arguments are required: command",
        "gradcheck made.py:loss": "the following arguments are required: --shapes",
        "gradcheck made.py:loss --shapes 3,x": "'3,x' is not a shape; write 3,4 for a matrix, 4 for a vector, - for",
        "gradcheck --shapes 3,4 made.py:loss": "'made.py:loss' is not a shape",
        "gradcheck made.py:loss --shapes 3 --seed -1": "'-1' is not a number 0, 1, 2",
        "gradcheck made.py:loss --shapes 3 --seed x": "'x' is not a number 0, 1, 2",
        "gradcheck made.py:loss --shapes 3 --dtype int64": "invalid choice: 'int64'",
        "polish made.py:loss": "invalid choice: 'polish'",
    }.items(),
    ids=str,
)
def test_command_lines_that_cannot_be_read(run, line, complaint):
    status, out, err = run(line)
    assert (status, out) == (2, "")
    assert complaint in err


def test_exceptions_show_the_lines_of_the_users_files(run):
    status, out, err = run("gradcheck made.py:outer --shapes 3")
    assert (status, out) == (2, "")
    assert err.startswith("python -m tinygrad_jac gradcheck: outer fails at these inputs\nTraceback")
    assert re.findall(r'File "(.*)", line \d+, in (\w+)', err) == [
        (str(Path("made.py").resolve()), n) for n in ("outer", "inner")
    ]
    assert err.endswith("KeyError: 'missing'\n")
    _, _, err = run("gradcheck made.py:refused --shapes 3")
    assert re.findall(r"in (\w+)$", err, re.M) == ["refused"]
    assert "LinAlgError" in err


def test_exceptions_while_the_module_is_made(run):
    status, _, err = run("gradcheck made.py:Broken --shapes 3")
    assert status == 2
    assert err.startswith("python -m tinygrad_jac gradcheck: Broken cannot be instantiated\nTraceback")
    assert re.findall(r"in (\w+)$", err, re.M) == ["__init__"]


@pytest.mark.parametrize(
    "text, last",
    [
        ("def f(x:\n    return x\n", "SyntaxError: "),
        ("import nowhere_at_all\n", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("raise SystemExit(0)\n", "SystemExit: 0"),
        ("try:\n    {}[1]\nexcept KeyError as e:\n    raise ValueError('chained') from e\n", "ValueError: chained"),
    ],
)
def test_files_that_cannot_be_imported(run, folder, text, last):
    (folder / "broken.py").write_text(text, encoding="utf-8")
    status, out, err = run("gradcheck broken.py:f --shapes 3")
    assert (status, out) == (2, "")
    assert err.startswith("python -m tinygrad_jac gradcheck: broken.py cannot be imported\n")
    assert err.splitlines()[-1].startswith(last)
    assert "importlib" not in err
    assert "commandline" not in err
    assert "broken.py" in err
    assert "broken" not in sys.modules


# ------------------------------------------------------------------------------------------------ the rest


def test_info(run):
    status, out, err = run("info")
    assert (status, err) == (0, "")
    told = dict(re.split("  +", line, maxsplit=1) for line in out.splitlines() if not line.startswith("advice"))
    assert [*told] == ["tinygrad_jac", "Python", "NumPy", "BLAS", "threads", "default dtype", "primitives"]
    assert told["tinygrad_jac"] == tj.__version__
    assert told["Python"].startswith(sys.version.split()[0])
    assert told["NumPy"] == np.__version__
    assert told["default dtype"] == "float32"
    assert int(told["primitives"]) == len(tj.primitives())


def test_info_says_how_threads_are_limited(run, monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    assert "OPENBLAS_NUM_THREADS=1" in run("info")[1]


def test_version_and_help(run):
    status, out, _ = run("--version")
    assert (status, out.strip()) == (0, f"tinygrad_jac {tj.__version__}")
    status, out, _ = run("gradcheck --help")
    assert (status, "Exit status: 0 if the gradients are right, 1 if not" in out) == (0, True)
    assert {"gradcheck", "info"} <= {*re.findall(r"^    (\w+)", parser().format_help(), re.M)}
