"""In which call of which module an op is: as it was recorded, or as far as the parameters tell afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..graph import Node
from .recording import Call, notes


def calls_of(nodes: Iterable[Node], names: Mapping[Node, str], model: Any) -> dict[Node, tuple[Call, ...]]:
    """For each op the calls that it is in, outermost first.

    Parameters
    ----------
    nodes : iterable of Node
        Of the graph, in any order.
    names : mapping
        The paths of the parameters.
    model : Module or anything else
        Tells the classes of the modules, if it is one.
    """
    ops = sorted((node for node in nodes if node.primitive is not None), key=lambda node: node.order)
    recorded = {node: noted.calls for node in ops if (noted := notes.get(node)) is not None and noted.calls}
    return recorded or inferred(ops, names, model)


def inferred(ops: Sequence[Node], names: Mapping[Node, str], model: Any) -> dict[Node, tuple[Call, ...]]:
    """What follows from the parameters alone.

    An op that takes a parameter of a module belongs to that module. What was computed between the first and the last
    such op of a module was computed inside of it, since modules are called one inside of the other. A module that holds
    no others was called again if an op takes the same parameter for the second time, or one of another module between.
    """
    classes = {}
    passive: set[str] = set()  # those that only hold others, and are never called
    if hasattr(model, "named_modules"):
        for path, module in model.named_modules():
            classes[path] = type(module).__name__
            if getattr(type(module).forward, "__qualname__", "") == "Module.forward":
                passive.add(path)

    holding = {prefix for name in names.values() for prefix in _above(name.rpartition(".")[0])}
    seen: dict[str, set[Any]] = {}  # of each module: what took its parameters in its latest call
    calls: dict[str, int] = {}
    latest = None  # the module whose parameter was taken last
    spans: dict[tuple[str, int], list[int]] = {}  # of each module and call: the first and the last op
    owner: dict[int, tuple[str, int]] = {}
    for at, node in enumerate(ops):
        for k, parent in enumerate(node.parents):
            if parent is None or parent not in names:
                continue
            path = names[parent].rpartition(".")[0]
            use = (parent, node.primitive, k)
            if path not in holding and (path != latest or use in seen[path]):
                seen[path], calls[path] = set(), calls.get(path, 0) + 1
            seen.setdefault(path, set()).add(use)
            latest, call = path, calls.get(path, 0)  # of a module that holds others, calls are not told apart
            if at not in owner or len(path) > len(owner[at][0]):
                owner[at] = path, call
            for span in [(path, call), *((prefix, 0) for prefix in _above(path))]:
                spans.setdefault(span, [at, at])[1] = at

    place: list[tuple[str, int] | None] = [None] * len(ops)
    for (path, call), (first, last) in sorted(spans.items(), key=lambda span: (span[0][0].count("."), span[0])):
        if path not in passive:
            place[first : last + 1] = [(path, call)] * (last + 1 - first)
    for at, owned in owner.items():
        place[at] = owned

    found = {}
    for node, of in zip(ops, place, strict=True):
        if of is not None:
            path, call = of
            above = [(prefix, 0, classes.get(prefix, "")) for prefix in _above(path) if prefix not in passive]
            found[node] = (*above, (path, call, classes.get(path, "")))
    return found


def _above(path: str) -> list[str]:
    """The modules around a module, outermost first.

    >>> _above("layers.3.norm"), _above("")
    (['', 'layers', 'layers.3'], [])
    """
    parts = path.split(".") if path else []
    return [".".join(parts[:k]) for k in range(len(parts))]
