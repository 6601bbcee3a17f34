"""A function's graph: recorded once, cut off from what is around it, and walked in both directions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import dtypes, versions
from ..errors import GradientError, ShapeError
from ..graph import Leaf, Node, Variable, array_of, walk_back, wrap
from ..jacobians.base import Shape
from ..jacobians.links import Links
from ..modes import enable_grad, mode
from ..rules.elementary import positive
from .trees import leaves, map_leaves, outline, with_leaves


class Trace:
    """One evaluation of a function, on inputs that stand for some of its arguments.

    An argument that requires no gradient is replaced by a leaf of the trace's own. One that does (within another
    transform, or in a graph of the user's) is replaced by an identity of it: the trace differentiates with respect to
    the identity, and what it computes remains a function of the argument, for the one outside to differentiate.

    Parameters
    ----------
    func : callable
    args, kwargs : tuple, dict
    argnums : int or sequence of int
        With respect to which positional arguments; each may be nested.
    has_aux : bool
        Whether ``func`` returns a pair, of which only the first is differentiated.

    Attributes
    ----------
    tree, inputs
        The chosen argument, or the tuple of them; and its leaves, as the function was given them.
    result, outputs
        What came back (without aux), and its leaves.
    aux
        What came back besides.
    recorded : bool
        Whether something outside differentiates through this: then all that is computed here is recorded.
    """

    def __init__(
        self,
        func: Callable[..., Any],
        args: Sequence[Any],
        kwargs: dict[str, Any],
        argnums: int | Sequence[int] = 0,
        has_aux: bool = False,
    ) -> None:
        given = list(args)
        chosen = _positions(argnums, len(given))
        self.tree: Any = given[chosen[0]] if isinstance(argnums, int) else tuple(given[k] for k in chosen)
        # Arrays and numbers may be given in place of Tensors; then arrays come back.
        self._plain = not any(isinstance(leaf, Variable) for leaf in leaves(self.tree))
        start = versions.tick()
        for k in chosen:
            given[k] = map_leaves(self._enter, given[k])
        self.inputs = [leaf for k in chosen for leaf in leaves(given[k])]
        outside = mode.recording
        with enable_grad():
            answer = func(*given, **kwargs)
        self.aux: Any = None
        if has_aux:
            if not isinstance(answer, tuple) or len(answer) != 2:
                raise ValueError(
                    f"with has_aux=True the function must return (output, aux), not {type(answer).__name__}"
                    + (f" of {len(answer)}" if isinstance(answer, tuple) else "")
                )
            answer, self.aux = answer
        self.result = answer
        self.outputs = [_output(leaf) for leaf in leaves(answer)]
        roots = [t.node for t in [*self.outputs, *leaves(self.aux)] if isinstance(t, Variable) and t.node is not None]
        self.recorded = outside and _reaches_before(start, roots)
        self._links: dict[bool, Links] = {}

    def _enter(self, leaf: Any) -> Any:
        if not isinstance(leaf, (Variable, np.ndarray, np.generic, float)):
            raise TypeError(
                f"what is differentiated with respect to must be tensors, or tuples, lists and dicts of them, not "
                f"{type(leaf).__name__}: choose other argnums"
            )
        if isinstance(leaf, float):
            leaf = np.asarray(leaf, dtype=None if isinstance(leaf, np.generic) else dtypes.get_default_dtype())
        array = leaf.array if isinstance(leaf, Variable) else np.asarray(leaf)
        if array.dtype.kind != "f":
            raise TypeError(f"only floating-point tensors can be differentiated with respect to, not {array.dtype}")
        entry = wrap(array)
        if mode.recording and isinstance(leaf, Variable) and leaf.node is not None:
            entry.node = positive.record(array, [array], [leaf.node], {})
        else:
            entry.node = Leaf(entry)
        return entry

    # -------------------------------------------------------------------------------------------- out of it

    def leave(self, tree: Any) -> Any:
        """Tensors of the function as they are given back: off this graph, unless something outside needs it."""
        return map_leaves(lambda t: self.plain(t if self.recorded else wrap(t.array)) if _is_tensor(t) else t, tree)

    def plain(self, t: Any) -> Any:
        """A Tensor, or its array where arrays were given."""
        return t.array if self._plain and t.node is None else t

    def like_inputs(self, found: Sequence[Any]) -> Any:
        """One of these for each input, nested as the chosen arguments are."""
        return with_leaves(self.tree, [self.plain(t) for t in found])

    def like_outputs(self, found: Sequence[Any]) -> Any:
        """One of these for each output, nested as the result is."""
        return with_leaves(self.result, [self.plain(t) if _is_tensor(t) else t for t in found])

    # -------------------------------------------------------------------------------------------- the two walks

    def pull(self, cotangents: Sequence[Any], lead: Shape = (), retain_graph: bool = False) -> list[Any]:
        """Cotangents of all inputs from cotangents of the outputs, in one walk back; None stands for zero."""
        roots = [(t.node, c) for t, c in zip(self.outputs, cotangents) if t.node is not None and c is not None]
        recorded = self.recorded or (mode.recording and any(_is_tracked(c) for _, c in roots))
        seeds = [(node, _tensor(c) if recorded else array_of(c)) for node, c in roots]
        wanted: list[Any] = [t.node for t in self.inputs]
        keep = retain_graph or recorded
        found = walk_back(seeds, wanted, retain_graph=keep, create_graph=recorded) if seeds else {}
        return [_or_zeros(found.get(node), lead, t) for node, t in zip(wanted, self.inputs)]

    def push(self, tangents: Sequence[Any], lead: Shape = ()) -> list[Any]:
        """Tangents of all outputs from tangents of the inputs, along the Jacobian statements; None stands for zero."""
        recorded = self.recorded or (mode.recording and any(_is_tracked(v) for v in tangents))
        links = self.links(recorded)
        as_given = _tensor if recorded else array_of
        given = {t.node: as_given(v) for t, v in zip(self.inputs, tangents) if v is not None}
        found = links.push(given, lead)
        return [_or_zeros(found.get(t.node) if t.node else None, lead, t) for t in self.outputs]

    def links(self, recorded: bool) -> Links:
        """The local Jacobians between inputs and outputs, stated once however often they are used."""
        if recorded not in self._links:
            targets = [t.node for t in self.outputs if t.node is not None]
            self._links[recorded] = Links(targets, [t.node for t in self.inputs], recorded)
        return self._links[recorded]

    def unreached(self) -> list[int]:
        """The outputs that do not depend on any input."""
        leads = {link.node for link in self.links(self.recorded)} | {t.node for t in self.inputs}
        return [k for k, t in enumerate(self.outputs) if t.node not in leads]


def _reaches_before(start: int, roots: Sequence[Node]) -> bool:
    """Whether something computed since a tick of the clock depends on what was there before."""
    stack, seen = list(roots), set(roots)
    while stack:
        node = stack.pop()
        if node.order < start:
            return True
        for parent in node.parents:
            if parent is not None and parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return False


def _positions(argnums: int | Sequence[int], count: int) -> list[int]:
    found = []
    for k in [argnums] if isinstance(argnums, int) else argnums:
        if not isinstance(k, int):
            raise TypeError(f"argnums must be an int or a sequence of ints, not {argnums!r}")
        if not -count <= k < count:
            raise ValueError(f"argnums={argnums!r}, but the function was called with {count} positional arguments")
        found.append(k % count)
    if not found or len(set(found)) < len(found):
        raise ValueError(f"argnums must name arguments, each once, not {argnums!r}")
    return found


def _output(leaf: Any) -> Variable:
    if isinstance(leaf, Variable):
        return leaf
    if isinstance(leaf, (np.ndarray, np.generic, float)):  # a constant
        return wrap(np.asarray(leaf))
    raise TypeError(f"the function must return tensors, or tuples, lists and dicts of them, not {type(leaf).__name__}")


def matching(given: Any, wanted: Any, tensors: Sequence[Variable], what: str) -> list[Any]:
    """The leaves of tangents or cotangents, which must be nested and shaped as what they belong to.

    Raises
    ------
    ShapeError
    """
    if outline(given) != outline(wanted):
        raise ShapeError(f"{what} must be nested as what they belong to, {outline(wanted)}, not {outline(given)}")
    found = []
    for leaf, t in zip(leaves(given), tensors):
        if not isinstance(leaf, Variable):
            leaf = wrap(np.asarray(leaf))
        if leaf.array.shape != t.array.shape:
            raise ShapeError(f"{what} of shape {leaf.array.shape} belong to a tensor of shape {t.array.shape}")
        found.append(leaf if leaf.array.dtype == t.array.dtype else leaf.astype(t.array.dtype))
    return found


def identity_seeds(t: Variable, chunk_size: int | None) -> list[tuple[int, Any]]:
    """The identity of a tensor's entries as tangents or cotangents with one leading axis, some rows at a time.

    Raises
    ------
    ValueError
        The chunk size is not positive.
    """
    if chunk_size is not None and chunk_size < 1:
        raise ValueError(f"chunk_size must be a positive number of rows, or None for all at once, not {chunk_size}")
    size = math.prod(t.array.shape)
    step = min(chunk_size or size, size) or 1
    rows = range(0, size, step) if size else [0]
    return [
        (count, np.eye(count, size, start, dtype=t.array.dtype).reshape(count, *t.array.shape))
        for start in rows
        for count in [min(step, size - start)]
    ]


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Variable)


def _is_tracked(value: Any) -> bool:
    return isinstance(value, Variable) and value.node is not None


def _tensor(value: Any) -> Any:
    return value if isinstance(value, Variable) else wrap(value)


def _or_zeros(found: Any, lead: Shape, t: Variable) -> Any:
    return _tensor(np.zeros(lead + t.array.shape, t.array.dtype) if found is None else found)


def require_scalar(trace: Trace, name: str) -> None:
    """`grad` is of one number.

    Raises
    ------
    GradientError
    """
    if len(trace.outputs) != 1 or trace.outputs[0].array.ndim:
        found = f"{len(trace.outputs)} tensors" if len(trace.outputs) != 1 else f"shape {trace.outputs[0].array.shape}"
        raise GradientError(
            f"{name} differentiates functions that return one scalar tensor, of shape (); this one returned {found}: "
            "reduce it (.sum(), .mean()), or take jacrev"
        )
