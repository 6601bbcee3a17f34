"""The computational graph: nodes, and the walk back.

The graph is made of `Node`s that point to the nodes of their inputs. A node knows which primitive made it and holds
what that primitive declared to save; it never holds a `Tensor`, so dropping the last Tensor of a graph drops the graph.
Every node carries the tick of one clock at which it was recorded: parents are older than children, hence the walk back
is a loop over nodes sorted by age, with no recursion in it.
"""

from __future__ import annotations

import math
import operator
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from . import sums, versions
from .errors import GradientError, ShapeError, UnsavedError
from .modes import mode
from .versions import alone, owner_of, rewritten, tick

if TYPE_CHECKING:
    from .primitive import Primitive

ndarray = np.ndarray
Array = Any  # an ndarray, a Tensor, or whatever else speaks NumPy's protocols (NEP 13 and 18)

# ------------------------------------------------------------------------------------------------ nodes


class Spec:
    """Shape and dtype of an array whose values are not kept.

    Rules receive it in place of each argument that their primitive does not save: shapes can be read, values cannot.
    """

    __slots__ = ("dtype", "shape")

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.shape = shape
        self.dtype = dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def _unsaved(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise UnsavedError(f"the values of an array of shape {self.shape} were read, but only its shape was kept")

    __array__ = __array_ufunc__ = __array_function__ = __getitem__ = __iter__ = _unsaved
    __neg__ = __abs__ = __lt__ = __le__ = __gt__ = __ge__ = __float__ = _unsaved
    __add__ = __sub__ = __mul__ = __truediv__ = __matmul__ = __pow__ = _unsaved
    __radd__ = __rsub__ = __rmul__ = __rtruediv__ = __rmatmul__ = __rpow__ = _unsaved


class Node(Spec):
    """One recorded application of a primitive; the `Spec` of its output.

    Attributes
    ----------
    primitive : Primitive
        What made the output.
    parents : tuple of (Node or None)
        For each positional argument the node it came from; None where no gradient is asked for.
    args : tuple or None
        For each positional argument its array where the primitive saves it, else its `Spec`. None once released.
    kwargs : dict
        The primitive's keyword parameters, and ``residual``, what its forward computed for the rules on the side.
    out : ndarray or None
        The output where the primitive saves it.
    order : int
        The clock's tick when it was recorded.
    extras : dict or None
        What tools attach to it: hooks, retained gradients, the place in the user's code.
    """

    __slots__ = ("__weakref__", "args", "extras", "kwargs", "order", "out", "parents", "primitive")

    primitive: Primitive | None
    parents: tuple[Node | None, ...]
    args: tuple[Any, ...] | None
    kwargs: dict[str, Any]
    out: Any
    order: int
    extras: dict[str, Any] | None

    @property
    def name(self) -> str:
        return "leaf" if self.primitive is None else self.primitive.name

    @property
    def next_functions(self) -> tuple[tuple[Node | None, int], ...]:
        """The nodes that this one was computed from, as PyTorch lists them: each beside the number of its output, 0."""
        return tuple((parent, 0) for parent in self.parents)

    def release(self) -> None:
        """Drop the saved arrays; shapes, parents and parameters stay, so that the graph can still be looked at."""
        kwargs = self.kwargs
        if kwargs and "residual" in kwargs:
            self.kwargs = {name: value for name, value in kwargs.items() if name != "residual"}
        elif self.out is None:
            for value in self.args or ():
                if type(value) is ndarray:
                    break
            else:
                return  # nothing was saved, as of a product with a number: the node can be walked again
        self.args = self.out = None

    def __repr__(self) -> str:
        return f"<{self.name} {self.dtype}{list(self.shape)}>"


class Leaf(Node):
    """The node of a Tensor that requires a gradient and was not computed: where the walk back ends.

    ``owner`` is a weak reference to the Tensor that receives the gradient in ``.grad``: the Tensor owns its node, so
    that neither keeps the other alive for longer than needed.
    """

    __slots__ = ("owner",)

    owner: weakref.ref[Variable]

    def __init__(self, variable: Variable) -> None:
        self.shape = variable.array.shape
        self.dtype = variable.array.dtype
        self.primitive = None
        self.parents = self.args = ()
        self.kwargs = {}
        self.out = self.extras = None
        self.order = tick()
        self.owner = weakref.ref(variable)


class Variable:
    """An array and its place in the graph: what `Tensor` adds operators and methods to.

    ``array`` is the ndarray, ``node`` None for a constant, a `Leaf` or the `Node` that computed it, ``grad`` the
    accumulated gradient (a Tensor of the same shape and dtype, or None). ``_hooks`` is set on what was a leaf and
    requires no gradient now: the hooks that it had, for when it requires one again.
    """

    __slots__ = ("__weakref__", "_grad", "_hooks", "array", "node")

    array: np.ndarray[Any, Any]
    node: Node | None
    _hooks: dict[str, Any] | None
    _grad: Any

    @property
    def grad(self) -> Any:
        return self._grad

    @grad.setter
    def grad(self, gradient: Any) -> None:
        if gradient is not None:
            if not isinstance(gradient, Variable):
                raise TypeError(f"a gradient is a Tensor or None, not {type(gradient).__name__}")
            given, own = gradient.array, self.array
            if given.shape != own.shape:
                raise ShapeError(f"a gradient of shape {given.shape} does not fit a tensor of shape {own.shape}")
            if given.dtype != own.dtype:
                raise TypeError(
                    f"a gradient of dtype {given.dtype} does not fit a tensor of dtype {own.dtype}: convert it with "
                    f".to({own.dtype})"
                )
        self._grad = gradient


_new = object.__new__
Tensor: type[Variable] = Variable  # what ops return; tensor.py sets it to its Tensor, the one injection upwards


def wrap(array: Any, node: Node | None = None) -> Any:
    """A Tensor of an ndarray (not copied) and a node."""
    made = _new(Tensor)
    made.array = array
    made.node = node
    made._grad = None
    return made


def array_of(given: Any) -> Any:
    """The ndarray of a Tensor; whatever else is given as it is."""
    return given.array if isinstance(given, Variable) else given


# ------------------------------------------------------------------------------------------------ the walk back


class Observer:
    """What may watch a thread's graph being recorded and walked: the base of the debug mode. Does nothing itself."""

    def recorded(self, node: Node, values: Sequence[Any], out: np.ndarray[Any, Any]) -> None:
        """An op was recorded, with all its argument values, saved or not."""

    def visited(self, node: Node, g: Array) -> None:
        """The walk back is about to run the rules of a node on a cotangent."""

    def walked(self, roots: Sequence[tuple[Node, Array]], found: dict[Node, Array]) -> None:
        """A walk is complete; its graph is not yet released."""


observers: dict[int, Observer] = {}  # by thread; empty in ordinary use, and asked for no more than that by ops


_age = operator.attrgetter("order")


def nodes_between(roots: Iterable[Node], wanted: Iterable[Node] | None = None) -> list[Node]:
    """The nodes that lead from ``roots`` to ``wanted`` (to any leaf if None), newest first.

    Iterative and linear in the number of nodes and edges, whatever the number of paths. Nothing is visited that is
    older than all that is wanted: it cannot lead there.
    """
    stack = list(roots)
    seen = set(stack)
    leading = None if wanted is None else set(wanted)
    oldest = min((node.order for node in leading), default=0) if leading is not None else 0
    while stack:
        for parent in stack.pop().parents:
            if parent is not None and parent not in seen and parent.order >= oldest:
                seen.add(parent)
                stack.append(parent)
    nodes = sorted(seen, key=_age)
    if leading is not None:
        for node in nodes:
            if node not in leading and not leading.isdisjoint(node.parents):
                leading.add(node)
        nodes = [node for node in nodes if node in leading]
    nodes.reverse()
    return nodes


def walk_back(
    roots: Sequence[tuple[Node, Array]],
    wanted: Iterable[Node] | None = None,
    *,
    retain_graph: bool = False,
    create_graph: bool = False,
) -> dict[Node, Array]:
    """Pull cotangents back through the graph: reverse mode.

    Parameters
    ----------
    roots : sequence of (Node, cotangent)
        Cotangents of shape ``(*lead, *node.shape)`` with one ``lead`` for all. ``lead == ()`` is ordinary training;
        an identity matrix reshaped to ``(m, *node.shape)`` gives all m rows of the Jacobian in this one walk.
    wanted : iterable of Node, optional
        Where cotangents are asked for; all leaves by default.
    retain_graph : bool
        Keep the saved arrays for another walk.
    create_graph : bool
        Cotangents are Tensors and the rules run on them, so that what they compute is recorded.

    Returns
    -------
    dict
        The cotangent of each node asked for and reached. Leaves own theirs: it shares memory with nothing.

    Raises
    ------
    GradientError
        Saved arrays were released or changed in place, or a rule returned what does not fit its argument.
    """
    pending: dict[Node, Array] = {}
    for node, cotangent in roots:
        pending[node] = pending[node] + cotangent if node in pending else cotangent
    lead = roots[0][1].shape[: roots[0][1].ndim - len(roots[0][0].shape)] if roots else ()
    lead_ndim = len(lead)

    asked = None if wanted is None else set(wanted)
    nodes = nodes_between(pending, asked)
    leading = None if asked is None else set(nodes)
    check_usable(nodes, leading)
    observer = observers.get(threading.get_ident()) if observers else None
    # Whose pending cotangent is known to be ours, to be added to in place; to ask costs more than to add small ones.
    owned: set[Node] = set()
    found: dict[Node, Array] = {}
    releasing = not retain_graph and observer is None

    before, mode.recording = mode.recording, create_graph
    try:
        for node in nodes:
            g = pending.pop(node, None)
            if g is None:
                continue
            primitive = node.primitive
            if node.extras is not None:
                g = _run_hooks(node, g, create_graph)
            if primitive is None if asked is None else node in asked:
                c = earlier = total = None  # or else these variables count as somebody who refers to the cotangent
                found[node] = g = g if create_graph or (_is_whole(g) and alone(g)) else np.array(g)
            if primitive is None:
                continue
            if observer is not None:
                observer.visited(node, g)
            args: Any = node.args
            rules, kwargs, accumulate = primitive.vjp, node.kwargs, primitive.accumulate
            out = node if node.out is None else node.out
            index, used = -1, False
            for parent in node.parents:
                index += 1
                if parent is None or (leading is not None and parent not in leading):
                    continue
                used = True
                try:
                    if accumulate is not None and accumulate[index] is not None and not create_graph:
                        earlier = pending.get(parent)
                        if earlier is not None and (parent in owned or (_is_whole(earlier) and alone(earlier, held=2))):
                            owned.add(parent)
                            accumulate[index](earlier, g, out, *args, **kwargs)
                            continue
                    if create_graph:
                        c = primitive.pull_back_recorded(node, index, g)
                    elif kwargs:
                        c = rules[index](g, out, *args, **kwargs)
                    elif len(args) == 2:  # a starred call takes 0.06 µs more
                        c = rules[index](g, out, args[0], args[1])
                    else:
                        c = rules[index](g, out, *args)
                    if c is None:  # zero, said shortly
                        continue
                    if (c.shape[lead_ndim:] if lead_ndim else c.shape) != parent.shape:
                        c = unbroadcast(c, parent.shape, lead_ndim)
                    if c.dtype is not parent.dtype and c.dtype != parent.dtype:
                        c = c.astype(parent.dtype)
                except Exception as error:
                    raise _named(error, node, index, lead) from error
                earlier = pending.get(parent)
                if earlier is None:
                    pending[parent] = c
                elif parent in owned or (_is_whole(earlier, least=4096) and alone(earlier, held=2)):
                    owned.add(parent)
                    earlier += c
                else:
                    pending[parent] = total = earlier + c
                    if type(total) is ndarray:
                        owned.add(parent)
            if used and releasing and primitive.saves:
                node.release()
        if observer is not None:
            observer.walked(roots, found)
            for node in () if retain_graph else nodes:
                node.release()
    finally:
        mode.recording = before
    return found


def _is_whole(c: Array, least: int = 0) -> bool:
    """Whether a cotangent of so many entries may be written into, or handed out as it is, if it is the walk's own.

    A rule may return its cotangent, a view of one, or even something that is saved: those belong to somebody. What it
    allocated belongs to the walk, and so does a transpose of it once that is all that is left of it: then it is
    `alone`. Not copying that makes the Jacobian of ``x @ w.T`` by ``w`` five times faster.
    """
    # Part of an array would keep the rest alive.
    return (
        type(c) is ndarray and c.size >= least and c.flags.writeable and (c.base is None or c.size == np.size(c.base))
    )


def check_current(variables: Iterable[Any]) -> None:
    """Refuse tensors whose memory was rewritten by an in-place op on *another* tensor after they were computed."""
    for v in variables:
        if isinstance(v, Variable) and v.node is not None:
            order = rewritten.get(id(owner_of(v.array)), 0)
            if v.node.order < order:
                raise GradientError(
                    f"a tensor of shape {v.array.shape} made by '{v.node.name}' shares its memory with a tensor that "
                    "was changed in place since, so its values and its place in the graph no longer agree; take the "
                    "view again after the change, or write the change out of place (x = x + y)"
                )


def check_saved(node: Node) -> None:
    """Raise where an array that ``node`` saved was changed in place since."""
    residual = node.kwargs.get("residual")
    for array in (node.out, *(node.args or ()), *(residual if isinstance(residual, tuple) else (residual,))):
        if not isinstance(array, np.ndarray):
            continue
        version, since = versions.changes_since(array, node.order)
        if since:
            raise GradientError(
                f"an array of shape {array.shape} that '{node.name}' saved for its gradient was changed in place: it "
                f"is at version {version}, expected version {'at most ' * (since == versions.REMEMBERED)}"
                f"{version - since}; change a copy (x = x + y), or change it after backward()"
            )


def check_usable(nodes: Iterable[Node], leading: set[Node] | None) -> None:
    """Before any rule runs: every node of which one will run has its saved arrays, unchanged."""
    for node in nodes:
        if node.primitive is None or (node.args is not None and node.order > versions.latest_change):
            continue
        if leading is not None and leading.isdisjoint(node.parents):
            continue  # a source: its own rules will not run
        if node.args is None:
            raise GradientError(
                f"the arrays that '{node.name}' saved were released by an earlier backward(); "
                "give that one retain_graph=True to walk the same graph again"
            )
        check_saved(node)


class Handle:
    """What registering a hook returns: ``remove()`` takes the hook away again, and so does leaving a ``with`` block."""

    def __init__(self, hooks: dict[int, Any]) -> None:
        self.hooks = hooks
        self.key = tick()

    def remove(self) -> None:
        self.hooks.pop(self.key, None)

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


def add_hook(node: Node, hook: Callable[[Any], Any], kind: str = "hooks") -> Handle:
    """Have ``hook`` called with each cotangent of a node (a Tensor); what it returns, if not None, replaces it.

    Of the kind ``"accumulated"`` it is called with a leaf, once `backward` has added to the leaf's ``.grad``.
    """
    if node.extras is None:
        node.extras = {}
    handle = Handle(node.extras.setdefault(kind, {}))
    handle.hooks[handle.key] = hook
    return handle


def _run_hooks(node: Node, g: Array, create_graph: bool) -> Array:
    """Hand a cotangent to the node's hooks, each of which may replace it, and to who retains it."""
    extras = node.extras or {}
    keep = extras.get("retain")
    hooks = list(extras.get("hooks", {}).values())
    if not hooks and keep is None:
        return g
    shown = g if create_graph else wrap(np.asarray(g))
    for hook in hooks:
        answer = hook(shown)
        if answer is None:
            continue
        if not isinstance(answer, Variable) or answer.array.shape != shown.array.shape:
            what = f"shape {answer.array.shape}" if isinstance(answer, Variable) else f"a {type(answer).__name__}"
            raise GradientError(
                f"a hook on a tensor of shape {node.shape} returned {what}; it returns None, or a Tensor in the place "
                f"of the gradient, of shape {shown.array.shape}"
            )
        shown = answer if answer.array.dtype == node.dtype else answer.astype(node.dtype)  # type: ignore[attr-defined]
    if keep is not None:
        keep(shown)
    return shown if create_graph else np.array(shown.array)


def _named(error: Exception, node: Node, index: int, lead: tuple[int, ...]) -> Exception:
    """An error inside of a rule, with the names of the op and of the argument."""
    primitive, parent = node.primitive, node.parents[index]
    assert primitive is not None
    assert parent is not None
    rule = f"the VJP rule of '{primitive.name}' for {primitive.argument(index)!r}"
    if isinstance(error, UnsavedError):
        return UnsavedError(f"{rule} reads values that the primitive does not save: {error}; name them in its saves=")
    return GradientError(
        f"{rule} failed on a cotangent of shape {lead + node.shape}, where an array of shape {lead + parent.shape} was "
        f"expected of it: {type(error).__name__}: {error}"
    )


def unbroadcast(c: Array, shape: tuple[int, ...], lead_ndim: int = 0) -> Array:
    """Sum a cotangent over the axes along which its argument was broadcast: the transpose of a broadcast.

    Parameters
    ----------
    c : array of shape (*lead, *out_shape)
    shape : tuple of int
        The argument's shape, which broadcasts to ``out_shape``.
    lead_ndim : int
        How many leading axes there are.

    Returns
    -------
    array of shape (*lead, *shape)

    Raises
    ------
    ShapeError
        ``shape`` does not broadcast to ``out_shape``.

    Examples
    --------
    >>> import numpy as np
    >>> unbroadcast(np.ones((2, 3)), (3,))
    array([2., 2., 2.])
    """
    added = c.ndim - lead_ndim - len(shape)
    start = lead_ndim + added
    if added > 0 and type(c) is ndarray and c.flags.c_contiguous and c.shape[start:] == shape:
        # The bias of a layer, for which all samples are added up: one matrix of a row for each.
        if added == len(shape) == 1:
            return sums.of_rows(c)
        lead, batch = c.shape[:lead_ndim], c.shape[lead_ndim:start]
        return sums.of_rows(c.reshape(*lead, math.prod(batch), math.prod(shape))).reshape(lead + shape)
    found = c.shape[start:] if added >= 0 else None
    summed = [*range(lead_ndim, start)]
    if found != shape:
        if found is None or any(n != m and n != 1 for n, m in zip(shape, found, strict=True)):
            raise ShapeError(f"shape {shape} does not broadcast to {c.shape[lead_ndim:]}")
        summed += [start + k for k, (n, m) in enumerate(zip(shape, found, strict=True)) if n == 1 and m != 1]
    if summed:
        c = c.sum(axis=tuple(summed))
    return c if c.shape[lead_ndim:] == shape else c.reshape(c.shape[:lead_ndim] + shape)
