"""`graph`, and the `Graph` that it returns: one drawing in every format."""

from __future__ import annotations

import html
import inspect
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..graph import Leaf, Variable, wrap
from ..jacobians.chain import named_tensors
from ..modes import enable_grad
from . import data, dot, mermaid, page, svg
from .drawing import DIRECTIONS, Drawing, counted
from .grouping import regroup
from .reading import read, state_jacobians
from .recording import recording
from .render import FORMATS, available, render
from .styles import STYLES

SUFFIXES = (*FORMATS, "dot", "gv", "mmd", "json", "html")


class Graph:
    """A computational graph to be looked at: as DOT, Mermaid, JSON, HTML, a picture; drawn by itself in notebooks.

    Made by `graph`. It holds no arrays and does not keep the graph itself alive.
    """

    def __init__(self, drawing: Drawing) -> None:
        self.drawing = drawing

    def to_dot(self) -> str:
        """Graphviz's language: for ``dot -Tsvg``, and for other programs that lay out graphs."""
        return dot.to_dot(self.drawing)

    def to_mermaid(self) -> str:
        """A Mermaid flowchart: GitHub draws it in a Markdown block of the language ``mermaid``."""
        return mermaid.to_mermaid(self.drawing)

    def to_dict(self) -> dict[str, Any]:
        """What `to_json` writes, as lists and dicts."""
        return data.to_dict(self.drawing)

    def to_json(self, indent: int | None = None) -> str:
        """JSON, as ``docs/graph.schema.json`` describes it."""
        return data.to_json(self.drawing, indent)

    def to_svg(self) -> str:
        """A picture without Graphviz: laid out by this package, as in the HTML page and in notebooks."""
        return svg.to_svg(self.drawing)

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """One self-contained page to zoom and pan in; pointing at a box shows what is known of it. No network.

        Parameters
        ----------
        path : path, optional
            Where to write the page too.
        """
        text = page.to_html(self.drawing)
        if path is not None:
            Path(path).write_text(text, encoding="utf-8", newline="\n")
        return text

    def _repr_svg_(self) -> str:
        return self.to_svg()

    def _repr_html_(self) -> str:
        """The page in a frame of its own, which keeps its styles and scripts apart from the notebook's."""
        return (
            f'<iframe srcdoc="{html.escape(self.to_html())}" width="100%" height="520" '
            'style="border: 1px solid #8884; border-radius: 6px" sandbox="allow-scripts"></iframe>'
        )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """What notebooks show: the page; a picture where scripts are not allowed, on GitHub say; else one line."""
        made = {"text/html": self._repr_html_, "image/svg+xml": self.to_svg, "text/plain": self.__repr__}
        return {
            kind: make()
            for kind, make in made.items()
            if (not include or kind in include) and kind not in (exclude or ())
        }

    def render(self, path: str | os.PathLike[str]) -> Path:
        """Draw a file with Graphviz: its name ends in .svg, .png or .pdf.

        Without the program ``dot`` the DOT file is written, and how to install Graphviz is said in one sentence.

        Returns
        -------
        Path
            The file that was written.

        Raises
        ------
        ValueError
            The name ends otherwise; `save` knows more formats.
        ImportError
            The Python package ``graphviz`` is not installed.
        """
        path = Path(path)
        if path.suffix[1:].lower() not in FORMATS:
            raise ValueError(f"render() draws .svg, .png and .pdf, not {path.name!r}; save() writes other formats too")
        return render(self.to_dot(), path)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write a file in the format that its name ends in: .svg, .png, .pdf, .dot, .gv, .mmd, .json or .html.

        Graphviz draws .svg, .png and .pdf, as in `render`; where it is not installed, .svg is what `to_svg` gives.

        Returns
        -------
        Path
            The file that was written.
        """
        path = Path(path)
        write: dict[str, Callable[[], str]] = {
            "dot": self.to_dot,
            "gv": self.to_dot,
            "mmd": self.to_mermaid,
            "html": self.to_html,
            "json": lambda: self.to_json(indent=1) + "\n",
        }
        suffix = path.suffix[1:].lower()
        if suffix == "svg" and not available():
            write["svg"] = self.to_svg
        elif suffix in FORMATS:
            return self.render(path)
        if suffix not in write:
            raise ValueError(f"{path.name!r} does not end in one of {', '.join('.' + s for s in SUFFIXES)}")
        path.write_text(write[suffix](), encoding="utf-8", newline="\n")
        return path

    def __repr__(self) -> str:
        boxes, edges = counted(len(self.drawing.vertices), "box"), counted(len(self.drawing.edges), "edge")
        return f"<Graph: {self.drawing.totals}; {boxes}, {edges}>"


def graph(
    output: Any,
    *example: Any,
    params: Any = None,
    inputs: Any = None,
    depth: int | None = None,
    repeats: bool | None = None,
    max_nodes: int | None = 500,
    direction: str = "TB",
    style: str = "light",
    jacobians: bool = False,
    values: bool = False,
    backward: bool = False,
    report: Any = None,
    title: str = "",
) -> Graph:
    """The graph behind an output, or of a model at example inputs, as a drawing.

    Parameters
    ----------
    output : Tensor, sequence or dict of Tensors, Module, or function
        What was computed, recorded; a dict gives outputs their names. Or what is to be called with ``example``: then
        every op is known, from the inputs on, and which call of which module it belongs to.
    *example : Tensor or array
        Inputs, for a Module or a function. It runs once, as it is: in training mode dropout draws its numbers.
    params : Module, dict, pairs of name and Tensor, or sequence, optional
        Which leaves are parameters, and their paths: modules are told from these as far as possible. Of a graph that
        `recording` watched they are known exactly. Without it every leaf is a parameter.
    inputs : dict, sequence, Tensor or array, optional
        Which leaves and arrays are inputs. Without it every array that has no history is one, and numbers are not.
    depth : int, optional
        Draw modules nested this deep closed: 1 for those right inside of the model, 0 for the model itself.
    repeats : bool, optional
        Draw equal blocks in a row once, with their number. By default modules are; plain ops if there are many.
    max_nodes : int, optional
        How many boxes there may be: modules are closed, then the middle is cut, marked as such. None for no limit.
    direction : {"TB", "BT", "LR", "RL"}
    style : {"light", "dark", "print"}
        For eyes of all kinds; "print" needs no colours at all.
    jacobians : bool
        Label edges with the local Jacobian: m×n, structure, density.
    values : bool
        Show scalars and their gradients, NaN and infinities, and gradients that are zero everywhere.
    backward : bool
        Draw the way back instead: from the outputs to what receives a gradient, with the cotangents' shapes.
    report : Report, optional
        Of a `debug_mode` in which the graph was walked: verdicts, errors and places in the code.
    title : str

    Returns
    -------
    Graph

    Raises
    ------
    GradientError
        The output was not recorded; or Jacobians or cotangents are asked for and `backward` released the graph.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac import viz
    >>> w = tj.tensor([1.0, 2.0], requires_grad=True)
    >>> g = viz.graph((w * w).sum(), params={"w": w})
    >>> g
    <Graph: 2 parameters · 2 ops · 0 B saved for the gradient; 3 boxes, 3 edges>
    >>> print(g.to_mermaid().partition("classDef")[0])
    %% 2 parameters · 2 ops · 0 B saved for the gradient
    flowchart TB
      n0[("<b>w</b><br/>#40;2,#41; · 2")]
      n1("<b>mul</b><br/>#40;2,#41; float32")
      n2[["<b>output = sum</b><br/>axis=#40;-1,#41;<br/>scalar float32"]]
      n0 --> n1
      n0 --> n1
      n1 --> n2
    <BLANKLINE>
    """
    if direction not in DIRECTIONS:
        raise ValueError(f"direction is one of {', '.join(DIRECTIONS)}, not {direction!r}")
    if style not in STYLES:
        raise ValueError(f"style is one of {', '.join(STYLES)}, not {style!r}")
    if not isinstance(title, str):
        raise TypeError(f"title is text, not {type(title).__name__}")
    if report is not None and not hasattr(report, "rows"):
        raise TypeError(f"report is what a debug_mode gives, not {type(report).__name__}")
    for name, number, least in (("depth", depth, 0), ("max_nodes", max_nodes, 2)):
        if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < least):
            raise ValueError(f"{name} is a whole number from {least} on, or None, not {number!r}")
    if callable(output):
        output, params, inputs = traced(output, example, params, inputs)
    elif example:
        raise TypeError(
            f"graph() got an output of type {type(output).__name__} and {len(example)} more: inputs follow a Module or "
            "a function; several outputs go into a list or a dict; parameters are params="
        )
    named = named_outputs(output)
    known = None if inputs is None else dict(named_inputs(inputs))
    drawing, links = read(named, params, known, values=values, backward=backward, report=report)
    drawing.title, drawing.direction, drawing.style = title, direction, style
    regroup(drawing, depth, repeats, max_nodes)
    if jacobians:
        state_jacobians(drawing, links)
    return Graph(drawing)


def traced(function: Any, example: tuple[Any, ...], params: Any, inputs: Any) -> tuple[Any, Any, Any]:
    """Call a module or a function at example inputs, watched: its output, parameters and inputs.

    Inputs of floats are made to require a gradient, so that everything computed from them is recorded.
    """
    model = function if hasattr(function, "named_modules") else None
    given = [_input(a) for a in example]
    with recording(model), enable_grad():
        output = function(*given)
    if params is None:
        params = model
    if inputs is None:
        inputs = dict(zip(argument_names(function, given), given, strict=True))
    return output, params, inputs


def _input(given: Any) -> Any:
    if not isinstance(given, (Variable, np.ndarray)):
        return given
    array = given.array if isinstance(given, Variable) else given
    if isinstance(given, Variable) and given.node is not None:
        return given
    made = wrap(array)
    if array.dtype.kind == "f":
        made.node = Leaf(made)
    return made


def argument_names(function: Any, given: list[Any]) -> list[str]:
    """A function's own names for as many positional arguments."""
    names = [f"input {k}" for k in range(len(given))]
    try:
        bound = inspect.signature(getattr(function, "forward", function)).bind(*given)
    except (TypeError, ValueError):
        return names
    found: list[str] = []
    for name, value in bound.arguments.items():
        variadic = bound.signature.parameters[name].kind is inspect.Parameter.VAR_POSITIONAL
        found += [f"{name}[{k}]" for k in range(len(value))] if variadic else [name]
    return found


def named_outputs(output: Any) -> dict[str, Variable]:
    """Outputs by name: of nested tuples, lists and dicts."""
    found: dict[str, Variable] = {}
    stack: list[tuple[str, Any]] = [("", output)]
    while stack:
        name, value = stack.pop()
        if isinstance(value, Mapping):
            stack += [(f"{name}.{key}" if name else str(key), part) for key, part in reversed(list(value.items()))]
        elif isinstance(value, (tuple, list)):
            stack += [(f"{name or 'output'}[{k}]", part) for k, part in reversed(list(enumerate(value)))]
        elif isinstance(value, Variable):
            found[name or "output"] = value
        elif value is not None:
            raise TypeError(
                f"graph() draws what leads to Tensors; {name or 'the output'} is of type {type(value).__name__}"
            )
    if not found:
        raise ValueError("graph() got no output: give it a Tensor computed from tensors that require gradients")
    return found


def named_inputs(inputs: Any) -> list[tuple[str, Any]]:
    arrays = (Variable, np.ndarray)
    listed = [("input", inputs)] if isinstance(inputs, arrays) else named_tensors(inputs, "inputs", "inputs[{}]")
    return [(name, value) for name, value in listed if isinstance(value, arrays)]
