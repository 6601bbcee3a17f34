"""``python -m tinygrad_jac``: what the package can do from a shell, without a line of Python.

Each subcommand is a function of the parsed arguments that prints its report and returns the exit status: 0 where all is
well, 1 where what was checked is wrong. What cannot be done as asked is a `UsageError`, and exit status 2. `parser`
lists them all.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import inspect
import math
import os
import platform
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from . import __version__, creation, dtypes, random
from .errors import ShapeError
from .primitive import primitives

PROGRAM = "python -m tinygrad_jac"
DTYPES = ("float64", "float32", "float16")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
OURS = (str(Path(__file__).parent) + os.sep, str(Path(np.__file__).parent) + os.sep, "<frozen")


class UsageError(Exception):
    """What was asked cannot be done; the message says why, and what to do."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line, without the program's name, and return the exit status.

    Examples
    --------
    >>> from tinygrad_jac.commandline import main
    >>> main(["gradcheck", "nowhere.py:loss", "--shapes", "3,4"])  # and on stderr: there is no file 'nowhere.py'
    2
    """
    arguments = parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments)
    except UsageError as error:
        print(f"{PROGRAM} {arguments.command}: {error}", file=sys.stderr)
        return 2
    return status


def parser() -> argparse.ArgumentParser:
    """The command line: one subparser for each subcommand, with the function that runs it as ``run``."""
    made = argparse.ArgumentParser(prog=PROGRAM, description="Automatic differentiation, checked.")
    made.add_argument("--version", action="version", version=f"tinygrad_jac {__version__}")
    commands = made.add_subparsers(dest="command", metavar="command", required=True)

    check = commands.add_parser(
        "gradcheck",
        help="check the gradients of a function or a module in a file",
        description="Check the gradients of a function or a module against numerical derivatives, at random inputs.",
        epilog="Exit status: 0 if the gradients are right, 1 if not, 2 if they could not be checked.",
        usage="%(prog)s file.py:name --shapes SHAPE [SHAPE ...] [options]",
    )
    check.add_argument(
        "target",
        metavar="file.py:name",
        help="a function of Tensors, a module, its class if it needs no arguments, or a function that makes a module; "
        "the name may be dotted",
    )
    check.add_argument(
        "--shapes", nargs="+", type=shape, required=True, metavar="SHAPE",
        help="the shape of each input, such as 3,4; a single number is a vector, - a scalar",
    )  # fmt: skip
    check.add_argument(
        "--dtype",
        choices=DTYPES,
        default="float64",
        help="round the inputs to it (default: float64); the check runs in float64",
    )
    check.add_argument(
        "--seed", type=natural, default=0, help="of the random inputs and of random weights (default: 0)"
    )
    check.add_argument("--positive", action="store_true", help="inputs between 0.1 and 0.9 instead of normal ones")
    check.add_argument("--fast", action="store_true", help="compare a few random projections instead of all entries")
    check.add_argument("--second", action="store_true", help="check second derivatives too")
    check.add_argument("--eps", type=positive, help="the largest step of the numerical derivative (default: by method)")
    check.add_argument("--atol", type=tolerance, help="an absolute tolerance in the place of the one for rounding")
    check.add_argument("--rtol", type=tolerance, help="the tolerance relative to each entry (default: 1e-8)")
    check.set_defaults(run=run_gradcheck)

    draw = commands.add_parser(
        "graph",
        help="draw the graph of a function or a module in a file",
        description="Draw the computational graph of a function or a module at random inputs.",
        epilog="Exit status: 0 if a file was written, 2 if not. PNG and PDF need Graphviz, the other formats nothing.",
        usage="%(prog)s file.py:name --input SHAPE [SHAPE ...] [-o FILE] [options]",
    )
    draw.add_argument(
        "target",
        metavar="file.py:name",
        help="a function of Tensors, a module, its class if it needs no arguments, or a function that makes a module",
    )
    draw.add_argument(
        "--input", nargs="+", type=shape, default=[], metavar="SHAPE", dest="shapes",
        help="the shape of each input, such as 1,1,28,28; a single number is a vector, - a scalar",
    )  # fmt: skip
    draw.add_argument(
        "--dtype", choices=(*DTYPES, "int64"), nargs="+", default=["float32"],
        help="of the inputs, one for all or one for each (default: float32); int64 are zeros, as for an embedding",
    )  # fmt: skip
    draw.add_argument(
        "-o", "--output", type=Path, default=Path("graph.svg"), metavar="FILE",
        help="output file; its suffix chooses: svg, png, pdf, dot, gv, mmd, json or html (default: graph.svg)",
    )  # fmt: skip
    draw.add_argument("--depth", type=natural, help="close modules at this depth; 0 draws the model as one box")
    draw.add_argument(
        "--direction", choices=("TB", "BT", "LR", "RL"), default="TB", help="from top to bottom (TB, the default), ..."
    )
    draw.add_argument("--style", choices=("light", "dark", "print"), default="light", help="colours (default: light)")
    draw.add_argument("--max-nodes", type=natural, default=500, help="how many boxes there may be (default: 500)")
    draw.add_argument(
        "--jacobians", action="store_true", help="label edges with the local Jacobians: size and structure"
    )
    draw.add_argument(
        "--values", action="store_true", help="write scalars out; mark NaN, infinities and zero gradients"
    )
    draw.add_argument("--backward", action="store_true", help="draw the way back, with the cotangents' shapes")
    draw.add_argument("--seed", type=natural, default=0, help="of random inputs and weights (default: 0)")
    draw.set_defaults(run=run_graph)

    about = commands.add_parser("info", help="versions, BLAS, defaults", description="What the results depend on.")
    about.set_defaults(run=run_info)
    return made


def shape(text: str) -> tuple[int, ...]:
    """A shape as it is written on the command line.

    Examples
    --------
    >>> shape("3,4"), shape("(3, 4)"), shape("5"), shape("-"), shape("()")
    ((3, 4), (3, 4), (5,), (), ())
    """
    sizes = [part.strip() for part in text.strip().removeprefix("(").removesuffix(")").split(",")]
    if sizes in ([""], ["-"]):
        return ()
    if len(sizes) > 1 and not sizes[-1]:  # (3,)
        sizes.pop()
    if not all(s.isdecimal() for s in sizes):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a shape; write 3,4 for a matrix, 4 for a vector, - for a scalar; file.py:name comes first"
        )
    return tuple(map(int, sizes))


def natural(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number 0, 1, 2, ...")
    return int(text)


def positive(text: str) -> float:
    return _finite(text, "above 0", lambda number: number > 0)


def tolerance(text: str) -> float:
    return _finite(text, "not below 0", lambda number: number >= 0)


def _finite(text: str, limit: str, holds: Callable[[float], bool]) -> float:
    """A finite number within a limit, for argparse."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or not holds(number):
        raise argparse.ArgumentTypeError(f"{text!r} is not a finite number {limit}")
    return number


# ------------------------------------------------------------------------------------------------ gradcheck


def run_gradcheck(asked: argparse.Namespace) -> int:
    """Check a function in a file; print what was checked, how far off it is, and the verdict."""
    from .checks.evaluation import Gradient, random_cotangents

    path, name = located(asked.target)
    with folder_on_path(path.parent), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".* of gradcheck: not float64")  # the report says so
        random.manual_seed(asked.seed)  # before the file runs: it may make a module
        with users_code(f"{path} cannot be imported"):
            module = imported(path)
        function = made(found(module, name, path), name, asked.shapes)
        inputs = random_inputs(asked)
        names = argument_names(function, name, asked.shapes)
        with users_code(f"{name} fails at these inputs"), np.errstate(all="ignore"):
            try_out(function, inputs, name)
            drawn = "between 0.1 and 0.9" if asked.positive else "normal"
            listed = ", ".join(f"{n} {size}".strip() for n, size in zip(names, asked.shapes))
            print(f"{name} in {path}\ninputs: {listed}; {drawn}, {asked.dtype}, seed {asked.seed}")
            if asked.dtype != "float64":
                print("Rounded to that dtype, but evaluated in float64: a gradient in less cannot be checked closely.")
            right = report("gradcheck", function, inputs, asked)
            if right and asked.second:  # what gradgradcheck does
                seeds = random_cotangents(function, inputs, contiguous=True)
                numbers = " and ".join(str(len(inputs) + k) for k in range(len(seeds)))
                title = f"gradgradcheck, the gradient of the gradient; input {numbers}: cotangents of the output"
                right = report(title, Gradient(function, inputs, len(seeds)), [*inputs, *seeds], asked)
    return 0 if right else 1


def report(title: str, function: Any, inputs: list[Any], asked: argparse.Namespace) -> bool:
    """Check, print table and verdict; whether the gradients are right."""
    from .checks.gradcheck import RTOL, GradcheckError, KinkError, gradcheck

    rtol = RTOL if asked.rtol is None else asked.rtol
    agree = f"all {{}} entries of the Jacobian agree to {rtol:g} and the numerical derivatives' error"
    if asked.fast:
        agree = f"random projections of the {{}} entries agree to {rtol:g}"
    try:
        gradcheck(function, inputs, eps=asked.eps, atol=asked.atol, rtol=rtol, fast_mode=asked.fast)
        right, verdict = True, f"right: {agree}"
    except KinkError as error:
        right, verdict = False, str(error)
    except GradcheckError as error:
        right, verdict = False, f"WRONG: {error}"
    lines = measured(function, inputs, asked.eps, fast=asked.fast and right)
    print(f"\n{title}")
    if lines:
        table = [["", "shape", "entries", "method", "worst error", "± numerical"], *lines]
        if asked.fast and right:
            table = [row[:4] for row in table]
        widths = [max(map(len, column)) for column in zip(*table)]
        for first, *row in table:
            print(f"  {first:<{widths[0]}}  {'  '.join(map(str.rjust, row, widths[1:]))}".rstrip())
    print(verdict.format(sum(int(line[2]) for line in lines)) if right else verdict)
    return right


def measured(function: Any, inputs: list[Any], step: float | None, fast: bool) -> list[list[str]]:
    """For each input and parameter a line of the table; none where a broken promise leaves nothing to compare.

    The error is relative to the entry and, where that is tiny, to the largest entries of its row and column: what
    `gradcheck` calls wrong is larger than its rtol, and larger than the numerical derivative's own error.
    """
    from .checks import numerical
    from .checks.evaluation import BLOCK, GradcheckError, Point
    from .checks.gradcheck import FLOOR, RTOL

    lines = []
    with Point(function, inputs) as point, np.errstate(all="ignore"):
        try:
            point.start(0.0)
            jacobians = [None] * len(point.arrays) if fast else point.pulled_back()
        except GradcheckError:
            return []
        for k, (name, x, J) in enumerate(zip(point.names, point.arrays, jacobians)):
            line = [name, str(x.shape), str(point.size * x.size)]
            lines.append(line)
            if J is None or not x.size:
                line += ["projections" if fast else "", "", ""]
                continue
            worst, error, method = 0.0, 0.0, ""
            size = np.abs(J)
            largest = np.minimum(size.max(axis=1)[:, None], size.max(axis=0))
            block = max(1, BLOCK // 4 // point.size)
            for first in range(0, x.size, block):
                columns = np.arange(first, min(first + block, x.size))
                number = numerical.jacobian(point.moved(k), x, columns=columns, step=step, noise=point.noise)
                scale = np.abs(number.value) + FLOOR / RTOL * largest[:, columns]
                off = np.where(J[:, columns] == number.value, 0.0, np.abs(J[:, columns] - number.value) / scale)
                at = np.unravel_index(off.argmax(), off.shape)  # NaN counts as the largest
                if not off[at] < worst:
                    worst, error = off[at], number.error[at] / scale[at]
                method = max(method, number.method, key=len)  # some columns may have needed two
            line += [method, f"{worst:.1e}", f"{0.0 if np.isnan(error) else error:.1e}"]
    return lines


def random_inputs(asked: argparse.Namespace) -> list[Any]:
    """A Tensor that requires a gradient for each shape; from a generator that the file cannot disturb."""
    numbers = np.random.default_rng(asked.seed)
    made = []
    for size in asked.shapes:
        array = numbers.uniform(0.1, 0.9, size) if asked.positive else numbers.standard_normal(size)
        made.append(creation.tensor(np.asarray(array, dtype=asked.dtype), requires_grad=True))
    return made


def try_out(function: Any, inputs: list[Any], name: str) -> None:
    """Call the function once, in float64 as the check will.

    Raises
    ------
    UsageError
        What it returns cannot be checked. Whatever the function raises goes through.
    """
    from .checks.evaluation import Point

    with Point(function, inputs) as point:
        outputs = point.outputs(point.arrays)
    if not sum(out.array.size for out in outputs) * sum(a.size for a in point.arrays):
        raise UsageError(f"the Jacobian of {name} has no entries at these shapes: there is nothing to check")
    for out in outputs:
        if not np.isfinite(out.array).all():
            value = out.array[~np.isfinite(out.array)].flat[0]
            raise UsageError(
                f"{name} is {value} at these inputs, where it has no derivative: draw others with --seed, or between "
                "0.1 and 0.9 with --positive"
            )


# ------------------------------------------------------------------------------------------------ graph


def run_graph(asked: argparse.Namespace) -> int:
    """Draw a function in a file, and say what was drawn and where it is."""
    from . import viz
    from .viz.drawing import counted

    suffix, known = asked.output.suffix[1:].lower(), viz.SUFFIXES
    if suffix not in known:
        raise UsageError(f"{str(asked.output)!r} should end in one of {', '.join('.' + s for s in known)}")
    if len(asked.dtype) not in (1, len(asked.shapes)):
        given = counted(len(asked.shapes), "input")
        raise UsageError(f"{given} and {len(asked.dtype)} dtypes: give one dtype, or one for each")
    if asked.max_nodes < 2:
        raise UsageError(f"--max-nodes is a number from 2 on, not {asked.max_nodes}")
    path, name = located(asked.target)
    with folder_on_path(path.parent):
        random.manual_seed(asked.seed)  # before the file runs: it may make a module
        with users_code(f"{path} cannot be imported"):
            module = imported(path)
        function = made(found(module, name, path), name, asked.shapes)
        numbers = np.random.default_rng(asked.seed)
        dtypes_of = asked.dtype * len(asked.shapes) if len(asked.dtype) == 1 else asked.dtype
        inputs = [
            np.zeros(size, dtype) if dtype == "int64" else np.asarray(numbers.standard_normal(size), dtype)
            for size, dtype in zip(asked.shapes, dtypes_of)
        ]
        argument_names(function, name, asked.shapes)
        with users_code(f"{name} cannot be drawn at these inputs"), np.errstate(all="ignore"):
            drawn = viz.graph(
                function, *inputs, depth=asked.depth, direction=asked.direction, style=asked.style,
                max_nodes=asked.max_nodes, jacobians=asked.jacobians, values=asked.values,
                backward=asked.backward, title=name,
            )  # fmt: skip
    try:
        written = drawn.save(asked.output)
    except OSError as error:
        raise UsageError(f"{asked.output} cannot be written: {error.strerror}") from error
    except (ImportError, RuntimeError) as error:
        raise UsageError(str(error)) from error
    print(f"{name} in {path}: {drawn.drawing.totals}")
    if written == asked.output:
        print(f"wrote {written}")
    return 0


def made(function: Any, name: str, shapes: Sequence[tuple[int, ...]]) -> Any:
    """The module that a function makes which takes nothing; anything else as it is."""
    if shapes and inspect.isfunction(function) and not inspect.signature(function).parameters:
        with users_code(f"{name} fails"):
            return function()
    return function


# ------------------------------------------------------------------------------------------------ the user's file


def located(target: str) -> tuple[Path, str]:
    """The file and the dotted name of ``file.py:name``."""
    file, _, name = target.rpartition(":")
    if not file or not all(part.isidentifier() for part in name.split(".")):
        raise UsageError(f"{target!r} does not name a function: write the file, a colon, the name, as in model.py:loss")
    path = Path(file)
    if path.suffix != ".py" or not path.is_file():
        raise UsageError(f"there is no file {file!r}" if not path.exists() else f"{file!r} is not a Python file")
    return path, name


@contextlib.contextmanager
def folder_on_path(folder: Path) -> Iterator[None]:
    """The folder is where imports look first, as ``python file.py`` would have it."""
    before = sys.path[:]
    sys.path.insert(0, str(folder.resolve()))
    try:
        yield
    finally:
        sys.path[:] = before


def imported(path: Path) -> ModuleType:
    """The file as a module, run now; what stands under ``if __name__ == "__main__"`` is not."""
    name = path.stem if path.stem not in sys.modules else f"{path.stem} (checked)"
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look themselves up there
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # python file.py leaves none either
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    finally:
        sys.dont_write_bytecode = writes
    return module


def found(module: ModuleType, name: str, path: Path) -> Any:
    """What the dotted name stands for in the file; of a module's class, an instance."""
    from .nn import Module

    where, value = str(path), module
    for part in name.split("."):
        try:
            value = getattr(value, part)
        except AttributeError:
            raise UsageError(f"there is no {part!r} in {where}{offered(value)}") from None
        where = part
    if isinstance(value, type) and issubclass(value, Module):
        try:
            inspect.signature(value).bind()
        except TypeError as error:
            raise UsageError(
                f"{name} is a class whose instances need arguments ({error}): name an instance, or a function that "
                "makes one"
            ) from None
        with users_code(f"{name} cannot be instantiated"):
            value = value()
    if not callable(value):
        raise UsageError(f"{name} in {path} is of type {type(value).__name__}: only a function or a module will do")
    return value


def offered(where: Any) -> str:
    """The functions and classes that a module or a class defines itself."""
    inside = getattr(where, "__name__", None) if isinstance(where, ModuleType) else getattr(where, "__module__", None)
    names = [
        name
        for name, value in vars(where).items()
        if callable(value) and not name.startswith("_") and getattr(value, "__module__", inside) == inside
    ] if hasattr(where, "__dict__") else []  # fmt: skip
    return f"; it defines {', '.join(names[:10])}" if names else ""


def argument_names(function: Any, name: str, shapes: Sequence[tuple[int, ...]]) -> list[str]:
    """The function's own names of as many arguments, empty where it has none.

    Raises
    ------
    UsageError
        It does not take as many.
    """
    try:
        signature = inspect.signature(getattr(function, "forward", function))
    except (TypeError, ValueError):  # written in C, say
        return [""] * len(shapes)
    try:
        bound = signature.bind(*shapes)
    except TypeError as error:
        given = "1 tensor" if len(shapes) == 1 else f"{len(shapes)} tensors"
        raise UsageError(
            f"{name}{signature} cannot be called with {given}, one for each shape: {error}; give a shape for each "
            "argument"
        ) from None
    names: list[str] = []
    for key, value in bound.arguments.items():
        variadic = signature.parameters[key].kind is inspect.Parameter.VAR_POSITIONAL
        names += [""] * len(value) if variadic else [key]
    return names


@contextlib.contextmanager
def users_code(what: str) -> Iterator[None]:
    """Tell exceptions of the user's code as that: shapes in one sentence, others by the lines of the user's files."""
    try:
        yield
    except UsageError:
        raise
    except (Exception, SystemExit) as error:
        told = traceback.TracebackException.from_exception(error)
        shorten(told)
        short = f"{type(error).__name__}: {error}"
        if isinstance(error, ShapeError):
            at = f" ({told.stack[-1].filename}, line {told.stack[-1].lineno})" if told.stack else ""
            raise UsageError(f"the shapes do not fit: {error}{at}") from error
        if not told.stack and not isinstance(error, SyntaxError):  # the complaint is the library's
            raise UsageError(f"{what}: {short}") from error
        raise UsageError(f"{what}\n{''.join(told.format()).rstrip()}") from error


def shorten(told: traceback.TracebackException) -> None:
    """Leave only frames of the user's files: not of this package, of NumPy, of the import machinery."""
    link: traceback.TracebackException | None = told
    while link is not None:
        kept = [frame for frame in link.stack if not frame.filename.startswith(OURS)]
        link.stack = traceback.StackSummary.from_list(kept)
        link = link.__cause__ or link.__context__


# ------------------------------------------------------------------------------------------------ info


def run_info(asked: argparse.Namespace) -> int:
    """Print what results and speed depend on."""
    from . import nn  # noqa: F401  (it registers primitives too)
    from .machine import advice, blas, processors, vector_extensions

    found, available = blas(), processors()
    limits = [f"{name}={os.environ[name]}" for name in THREADS if name in os.environ]
    lines = {
        "tinygrad_jac": __version__,
        "Python": f"{platform.python_version()}, {platform.system()} {platform.machine()}",
        "NumPy": np.__version__,
        "BLAS": str(found),
        "threads": ", ".join([*([str(found.threads)] if found.threads else []), *limits, f"{available} processors"]),
        "default dtype": str(np.dtype(dtypes.get_default_dtype())),
        "primitives": str(len(primitives())),
    }
    width = max(map(len, lines))
    for name, value in lines.items():
        print(f"{name:<{width}}  {value}")
    for sentence in advice(found, vector_extensions(), available):
        print(f"advice: {sentence}")
    return 0
