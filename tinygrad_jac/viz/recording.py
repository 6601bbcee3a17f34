"""What a graph does not keep by itself: modules, places, values. Noted while it is recorded and walked."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import graph
from ..graph import Node, Observer, Variable
from ..places import Place
from ..versions import tick
from .drawing import State

Call = tuple[str, int, str]  # the path of a module, a number that is larger for a later call, the module's class


@dataclass(slots=True)
class Noted:
    """What is known of a node: the calls of modules that it is in, the arrays among its arguments, and so on."""

    calls: tuple[Call, ...] = ()
    place: Place | None = None
    constants: dict[int, Any] = field(default_factory=dict)
    value: float | None = None
    state: State = ""
    gradient: float | None = None
    gradient_state: State = ""


notes: weakref.WeakKeyDictionary[Node, Noted] = weakref.WeakKeyDictionary()


class recording(Observer):
    """Note, while a graph is recorded, what a drawing should show and the graph does not keep.

    That is: in which call of which module an op is, the user's line, the arrays that are no Tensors with a history,
    whether values and gradients are finite, or zero, and scalars themselves. `graph` finds it afterwards. It works for
    this thread, until the end of the ``with`` block; a debug mode that is on already goes on.

    Parameters
    ----------
    model : Module, optional
        Whose modules are to be told apart.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac import nn, viz
    >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    >>> with viz.recording(model):
    ...     loss = model(tj.tensor([[1.0, 2.0]])).sum()
    >>> [group["path"] for group in viz.graph(loss, params=model).to_dict()["groups"]]
    ['', '0', '1']
    """

    def __init__(self, model: Any = None) -> None:
        if model is not None and not hasattr(model, "named_modules"):
            raise TypeError(f"recording() takes a Module, or nothing, not {type(model).__name__}")
        self.model = model
        self._calls: list[Call] = []
        self._handles: list[Any] = []
        self._outer: Observer | None = None

    def __enter__(self) -> recording:
        if self._handles or self._outer is self:
            raise RuntimeError("this recording is on already: make another with viz.recording(model)")
        thread = threading.get_ident()
        self._outer = graph.observers.get(thread)
        graph.observers[thread] = self
        for path, module in self.model.named_modules() if self.model is not None else ():
            self._watch(path, module)
        return self

    def __exit__(self, *exc: object) -> None:
        thread = threading.get_ident()
        if self._outer is None:
            graph.observers.pop(thread, None)
        else:
            graph.observers[thread] = self._outer
        for handle in self._handles:
            handle.remove()
        self._handles, self._calls, self._outer = [], [], None

    def _watch(self, path: str, module: Any) -> None:
        depths: list[int] = []

        def enter(module: Any, args: Any) -> None:
            depths.append(len(self._calls))
            self._calls.append((path, tick(), type(module).__name__))

        def leave(module: Any, args: Any, output: Any) -> None:
            if depths:  # and whatever an exception left open above it
                del self._calls[depths.pop() :]

        self._handles.append(module.register_forward_pre_hook(enter))
        self._handles.append(module.register_forward_hook(leave, always_call=True))

    # ---------------------------------------------------------------------------------------- what the engine shows

    def recorded(self, node: Node, values: Sequence[Any], out: Any) -> None:
        if self._outer is not None:
            self._outer.recorded(node, values, out)
        constants = {
            k: value
            for k, (value, parent) in enumerate(zip(values, node.parents, strict=True))
            if parent is None and isinstance(value, np.ndarray)
        }
        noted = Noted(tuple(self._calls), Place.of_caller(), constants)
        noted.value, noted.state = summary(out)
        notes[node] = noted

    def visited(self, node: Node, g: Any) -> None:
        if self._outer is not None:
            self._outer.visited(node, g)
        self._received(node, g)

    def walked(self, roots: Sequence[tuple[Node, Any]], found: dict[Node, Any]) -> None:
        if self._outer is not None:
            self._outer.walked(roots, found)
        for node, g in found.items():
            self._received(node, g)

    def _received(self, node: Node, g: Any) -> None:
        array = g.array if isinstance(g, Variable) else np.asarray(g)
        if array.shape == node.shape:  # and not the rows of a whole Jacobian
            noted = notes.setdefault(node, Noted())
            noted.gradient, noted.gradient_state = summary(array, gradient=True)


def summary(array: Any, gradient: bool = False) -> tuple[float | None, State]:
    """The number, if it is one, and what is the matter with it; a gradient that is zero everywhere is dead."""
    array = np.asarray(array)
    value = float(array.reshape(-1)[0]) if array.size == 1 and array.dtype.kind in "biuf" else None
    if array.dtype.kind in "fc" and not np.isfinite(array).all():
        nan = bool(np.isnan(array).any())
        if gradient:
            return value, "grad NaN" if nan else "grad Inf"
        return value, "NaN" if nan else "Inf"
    return value, "dead" if gradient and array.size and not array.any() else ""
