"""The pages of the API: a directive that takes names and shows what their docstrings say; what is on no page, found.

A page of ``docs/api`` groups names by subject::

    .. public:: tinygrad_jac

       abs absolute neg negative exp

Names of one object are shown together. What another page shows already is a line with a link. The build, and
``tests/test_site.py``, fail if a name in some ``__all__`` is on no page, or a name on a page does not exist.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import tinygrad_jac
from tinygrad_jac.primitive import Primitive
from tinygrad_jac.tensor import _METHODS, Tensor

API = Path(__file__).parents[1] / "api"


def listed(folder: Path = API) -> dict[str, list[str]]:
    """The names on all pages, for each module, in the order in which the index of the API has the pages."""
    order = re.findall(r"^   (\w+)$", (folder / "index.rst").read_text(encoding="utf-8"), re.M)
    found: dict[str, list[str]] = {}
    for page in order:
        text = (folder / f"{page}.rst").read_text(encoding="utf-8")
        for module, block in re.findall(r"^\.\. public:: ([\w.]+)\n((?:\n| +\S.*)+)", text, re.M):
            found.setdefault(module, []).extend(block.split())
    return found


def modules() -> Iterator[ModuleType]:
    """All modules that say what is public."""
    yield tinygrad_jac
    for found in pkgutil.walk_packages(tinygrad_jac.__path__, "tinygrad_jac."):
        if not found.name.endswith("__main__"):
            module = importlib.import_module(found.name)
            if hasattr(module, "__all__"):
                yield module


def faults(pages: dict[str, list[str]]) -> list[str]:
    """What is public and on no page, and what is on a page and is not there: a sentence for each."""
    said = []
    shown = set()
    for name, names in pages.items():
        module = importlib.import_module(name)
        shown.update(id(getattr(module, n)) for n in names if hasattr(module, n))
        said += [f"docs/api lists {name}.{n}, which does not exist" for n in names if not hasattr(module, n)]
        said += [f"docs/api lists {name}.{n} twice" for n in sorted(set(names)) if names.count(n) > 1]
    for module in modules():
        for n in module.__all__:
            found = getattr(module, n)
            # What is shown as another module's will do, but not for the names at the top.
            elsewhere = module is not tinygrad_jac and id(found) in shown
            if n not in pages.get(module.__name__, ()) and not elsewhere and not isinstance(found, ModuleType):
                said.append(f"{module.__name__}.{n} is public, and on no page of docs/api")
    return said


def kind_of(found: Any) -> str:
    if inspect.isclass(found):
        return "exception" if issubclass(found, BaseException) else "class"
    return "function" if callable(found) else "data"


def signature_of(found: Any) -> str:
    """The arguments, without types."""
    if isinstance(found, Primitive):
        stars = ["*"] if found.params else []
        return f"({', '.join([*found.arguments, *stars, *(f'{p}=…' for p in found.params)])})"
    if getattr(found, "__module__", "") == "tinygrad_jac.spelling":  # not differentiable: NumPy's own
        ufunc = getattr(np, found.__name__)
        if isinstance(ufunc, np.ufunc):
            return "(x, y)" if ufunc.nin == 2 else "(x)"
        found = ufunc
    try:
        signature = inspect.signature(found)
    except (TypeError, ValueError):
        return "(*args)"
    plain = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    return str(signature.replace(parameters=plain, return_annotation=signature.empty))


def text_of(found: Any) -> list[str]:
    """A docstring's lines; of a primitive also what it saves and the structures of its Jacobians."""
    lines = (inspect.getdoc(found) or "").splitlines()
    if isinstance(found, Primitive):
        if lines == [f"The primitive '{found.name}'."]:
            ufunc = isinstance(found.forward, np.ufunc)
            lines = [f"``numpy.{found.forward.__name__}``, entry by entry." if ufunc else "Entry by entry."]
        facts = repr(found).strip("<>").partition("), ")[2]
        if facts:
            lines += ["", f"A primitive: {facts}."]
    return lines


def as_rst(lines: list[str]) -> list[str]:
    """Docstrings are plain text with `names` and ``code``; here what else means something to Sphinx is taken literally.

    That is ``|x|`` and the stars of shapes, ``(*lead, n)``. *Emphasis* stays.
    """
    meant = r"``.+?``|`[^`]+`|^ *\* |\*\*\S.*?\*\*|(?<![\w*])\*(?=[^\s*])[^*]*(?<=[^\s*(])\*(?![\w*])"
    either = re.compile(rf"({meant})(?P<glued>(?<=`)(?=\w))?|(?P<literal>\*+|\|)")

    def taken(m: re.Match[str]) -> str:
        if m["literal"]:
            return re.sub(r"(.)", r"\\\1", m[0])
        return m[0] if m["glued"] is None else rf"{m[0]}\ "  # `Parameter`s

    out, verbatim = [], False
    for line in lines:
        verbatim = bool(line.strip()) and (verbatim or line.lstrip().startswith(">>>"))
        out.append(line if verbatim else either.sub(taken, line))
    return out


def setup(app: Any) -> dict[str, bool]:
    """Sphinx's way in."""
    from docutils import nodes
    from sphinx.errors import ExtensionError
    from sphinx.ext.napoleon import NumpyDocstring
    from sphinx.util.docutils import SphinxDirective
    from sphinx.util.nodes import make_refnode

    pages: dict[str, list[str]] = {}
    home: dict[int, str] = {}  # where an object is shown, by its id

    def read_pages(app: Any) -> None:
        pages.update(listed())
        wrong = faults(pages)
        if wrong:
            raise ExtensionError("\n".join(wrong))
        for module, names in pages.items():
            for name in names:
                found = getattr(importlib.import_module(module), name)
                if kind_of(found) != "data":
                    home.setdefault(id(found), f"{module}.{name}")

    class Public(SphinxDirective):
        """Entries for the names of one module."""

        required_arguments = 1
        has_content = True

        def run(self) -> list[nodes.Node]:
            name = self.arguments[0]
            module = importlib.import_module(name)
            lines = [f".. py:currentmodule:: {name}", ""]
            together: dict[Any, list[str]] = {}
            for n in " ".join(self.content).split():
                found = getattr(module, n)
                together.setdefault(found if isinstance(found, np.dtype) else id(found), []).append(n)
            for names in together.values():
                lines += self.entry(module, names)
            return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=False)

        def entry(self, module: ModuleType, names: list[str]) -> list[str]:
            found = getattr(module, names[0])
            kind = kind_of(found)
            if kind in ("class", "exception") and home[id(found)] == f"{module.__name__}.{names[0]}":
                whole = ["   :undoc-members:", "   :inherited-members: object"] if found is Tensor else []
                return [f".. auto{kind}:: {module.__name__}.{names[0]}", "   :members:", *whole, ""]
            arguments = signature_of(found) if kind == "function" else ""
            lines = [f".. py:{kind}:: {names[0]}{arguments}"]
            lines += [f"   {' ' * len(kind)}        {name}{arguments}" for name in names[1:]]
            if kind == "data":
                value = [f"   :value: {found!r}"] if isinstance(found, (float, type(None))) else []
                return [*lines, *value, "", f"   {self.said_of(found)}", ""]
            if home[id(found)] != f"{module.__name__}.{names[0]}":
                return [*lines, "", f"   The same as :py:obj:`{home[id(found)]}`.", ""]
            text = NumpyDocstring(as_rst(text_of(found)), app.config, app, "function").lines()
            return [*lines, "", *(f"   {line}" for line in text), ""]

        @staticmethod
        def said_of(found: Any) -> str:
            return f"NumPy's dtype ``{found}``." if isinstance(found, np.dtype) else ""

    class TensorMethods(SphinxDirective):
        """A table of the methods of a Tensor that are functions."""

        def run(self) -> list[nodes.Node]:
            lines = [".. list-table::", "   :header-rows: 1", "", "   * - method", "     - in place", "     -"]
            for name, (function, in_place) in sorted(methods.items()):
                known = hasattr(tinygrad_jac, name)
                said = f":py:obj:`tinygrad_jac.{name}`" if known else (inspect.getdoc(function) or "").split("\n\n")[0]
                lines += [
                    f"   * - ``{name}``",
                    f"     - {f'``{name}_``' if in_place else ''}",
                    f"     - {' '.join(said.split())}",
                ]
            return self.parse_text_to_nodes("\n".join(lines))

    methods = {
        entry.partition("=")[0].rstrip("_"): (getattr(Tensor, entry.partition("=")[0].rstrip("_")), entry.endswith("_"))
        for names in _METHODS.values() for entry in names.split()
    }  # fmt: skip

    def in_the_table(app: Any, what: str, name: str, found: Any, skip: bool, options: Any) -> bool | None:
        return True if vars(Tensor).get(name) is found and name.removesuffix("_") in methods else None

    def before_napoleon(app: Any, what: str, name: str, found: Any, options: Any, lines: list[str]) -> None:
        lines[:] = as_rst(lines)

    def after_napoleon(app: Any, what: str, name: str, found: Any, options: Any, lines: list[str]) -> None:
        text = as_rst((inspect.getdoc(found) or "").splitlines())
        if what in ("property", "attribute") and not any(line.startswith("---") for line in text):
            lines[:] = text  # napoleon takes what precedes a colon for a type

    def resolve(app: Any, env: Any, node: Any, content: Any) -> Any:
        """`name` in a docstring: an object of that name, wherever it is; code if there is none."""
        if node.get("refdomain") != "py" or node.get("reftype") not in ("obj", "class", "exc", "data"):
            return None
        target = node["reftarget"].lstrip(".~")
        objects = env.domains.python_domain.objects
        known = [name for name in objects if name == target or name.endswith(f".{target}")]
        if node["reftype"] == "class":  # of a type: bool is Python's there, not the dtype
            known = [name for name in known if objects[name].objtype in ("class", "exception")]
        if not known or node["reftype"] == "data":
            return content
        here = node.get("py:module") or "tinygrad_jac"
        best = min(known, key=lambda name: (not name.startswith(here), name.count("."), name))
        shown = objects[best]
        return make_refnode(app.builder, node["refdoc"], shown.docname, shown.node_id, content, best)

    app.add_directive("public", Public)
    app.add_directive("tensor-methods", TensorMethods)
    app.connect("autodoc-skip-member", in_the_table)
    app.connect("autodoc-process-docstring", before_napoleon, priority=100)
    app.connect("autodoc-process-docstring", after_napoleon, priority=900)
    app.connect("builder-inited", read_pages)
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
