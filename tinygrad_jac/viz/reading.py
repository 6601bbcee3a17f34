"""From a recorded graph to a drawing of it: every op, every edge, nothing grouped away yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .. import graph
from ..errors import GradientError
from ..graph import Leaf, Node, Spec, Variable
from ..jacobians import Jacobian
from ..jacobians.chain import named_tensors
from ..modes import mode
from ..versions import owner_of
from .drawing import Drawing, Edge, Group, Local, Vertex
from .modules import calls_of
from .recording import notes, summary

# Ops that give the same whichever argument is which: their edges need no names.
COMMUTATIVE = frozenset(["add", "mul", "maximum", "minimum", "hypot", "logaddexp", "logaddexp2"])
SHORT = 3  # ops in a row that are soon computed
Link = tuple[Node, int]
DENSE_LIMIT, GLYPH_LIMIT, CELLS = 2**20, 2**22, 24  # entries up to which a matrix is written down, or probed


def read(
    outputs: Mapping[str, Variable],
    params: Any = None,
    inputs: Mapping[str, Any] | None = None,
    *,
    values: bool = False,
    backward: bool = False,
    report: Any = None,
) -> tuple[Drawing, dict[Edge, Link]]:
    """Everything that leads to the outputs, in the order in which a reader follows it: arguments before results.

    The order, hence the ids, come from the graph alone: not from clocks, addresses or hashes.

    Returns
    -------
    Drawing
    dict
        For each edge along which a gradient flows the node and the position of the argument: for `state_jacobians`.
    """
    roots: dict[Node, str] = {}
    for name, output in outputs.items():
        if output.node is None:
            raise GradientError(
                f"{name} was not recorded, so there is no graph of it: compute it from tensors that require gradients, "
                "outside of no_grad()"
            )
        roots[output.node] = f"{roots[output.node]}, {name}" if output.node in roots else name
    nodes = ordered(roots)
    gradients = _Gradients(roots, nodes, needed=backward) if values or backward else None
    arrays = _Values(outputs.values(), nodes if values else ())
    reading = _Reading(nodes, params, inputs, gradients)
    for node in nodes:
        vertex = reading.leaf(node) if node.primitive is None else reading.op(node)
        vertex.output = roots.get(node, "")
        if values:
            _mark_value(vertex, node, arrays, gradients)
    drawing, drawn = reading.drawing, reading.drawn
    _fit_inputs(drawing, nodes, drawn, reading.memory)
    _order_arguments(drawing)
    if report is not None:
        _judge(drawing, nodes, drawn, report)
    drawing.parameters = sum(vertex.parameters for vertex in drawing.vertices)
    drawing.ops = sum(vertex.ops for vertex in drawing.vertices)
    drawing.saved = _saved(nodes, inputs or {})
    if backward:
        _reverse(drawing)
    reading.fill_groups()
    return drawing, reading.links


class _Reading:
    """The vertices and edges read so far; ``drawn`` finds them again, by node or by array."""

    def __init__(
        self, nodes: Sequence[Node], params: Any, inputs: Mapping[str, Any] | None, gradients: _Gradients | None
    ) -> None:
        self.names, self.memory = _named(params, inputs)
        self.groups = _Groups(calls_of(nodes, self.names, params))
        self.other = "parameter" if params is None else "input"  # a leaf of which nothing is said
        self.gradients = gradients
        self.drawing = Drawing(self.groups.root, [], [], backward=gradients is not None and gradients.needed)
        self.drawn: dict[Any, Vertex] = {}
        self.links: dict[Edge, Link] = {}
        self.consumers: dict[Vertex, list[Group]] = {}
        self.dtypes: dict[Any, str] = {}  # NumPy takes its time to say the name of a dtype

    def leaf(self, node: Node) -> Vertex:
        kind = self.memory.kinds.get(node, self.other)
        vertex = Vertex(kind, self.names.get(node) or self.memory.names.get(node, kind), self.groups.root)
        vertex.parameters = node.size if kind == "parameter" else 0
        return self._add(node, vertex)

    def op(self, node: Node) -> Vertex:
        """An op, with the edges from its arguments; arrays among them that have no history get a vertex here."""
        assert node.primitive is not None
        vertex = Vertex("op", node.name, self.groups.of(node), detail=_detail(node), ops=1)
        if (noted := notes.get(node)) is not None and noted.place is not None:
            vertex.place, vertex.code = str(noted.place), noted.place.code
        for k, parent in enumerate(node.parents):
            if parent is not None:
                source = self.drawn[parent]
            elif (array := _constant(node, k)) is not None:
                source = self._array(array)
            else:
                continue
            edge = Edge(source, vertex, node.primitive.argument(k), recorded=parent is not None)
            self.drawing.edges.append(edge)
            self.consumers.setdefault(source, []).append(vertex.group)
            if parent is not None:
                self.links[edge] = node, k
                if self.gradients is not None:
                    self.gradients.mark(edge, node, k)
        return self._add(node, vertex)

    def _add(self, node: Node, vertex: Vertex) -> Vertex:
        vertex.shape = node.shape
        vertex.dtype = self.dtypes.get(node.dtype) or self.dtypes.setdefault(node.dtype, str(node.dtype))
        self.drawn[node] = vertex
        self.drawing.vertices.append(vertex)
        return vertex

    def _array(self, array: Any) -> Vertex:
        """The vertex of an array without a history: one for the views of an array that are of one shape."""
        known, memory = isinstance(array, np.ndarray), self.memory
        owner = id(owner_of(array)) if known else None
        key = (owner, array.shape) if known else None
        if key is None or key not in self.drawn:
            kind = memory.kinds.get(owner, memory.other)
            name = memory.names.get(owner, kind)
            given = memory.inputs.get(name, array) if kind == "input" else array
            shape = given.shape if given.size == array.size else array.shape  # before it was reshaped, or of a part
            vertex = Vertex(kind, name, self.groups.root, shape, str(array.dtype))
            self.drawing.vertices.append(vertex)
            if key is None:
                return vertex
            self.drawn[key] = vertex
        return self.drawn[key]

    def fill_groups(self) -> None:
        for vertex in self.drawing.vertices:  # what ops start from belongs to the module that alone uses it
            if vertex.kind in ("parameter", "constant"):
                vertex.group = _common(self.consumers.get(vertex, [self.groups.root]))
        self.groups.fill(self.drawing.vertices)


def ordered(roots: Iterable[Node]) -> list[Node]:
    """All nodes that lead to the roots, each once, arguments before results; iterative.

    Arguments come in their order, but what is soon computed and used there alone comes right before its use: so the
    input of a step of a loop, ``x[:, t]``, comes with that step and not before all steps.
    """
    nodes = graph.nodes_between(roots)
    uses: dict[Node, int] = {}
    for node in nodes:
        for parent in node.parents:
            if parent is not None:
                uses[parent] = uses.get(parent, 0) + 1
    soon: dict[Node, int] = {}  # how many ops lead to it, where all are used for it alone, and few follow each other
    for node in reversed(nodes):
        steps = [soon.get(parent, SHORT) for parent in node.parents if parent is not None]
        if node.primitive is None:
            soon[node] = 0
        elif uses.get(node) == 1 and (step := max(steps, default=0) + 1) <= SHORT:
            soon[node] = step

    def arguments(node: Node) -> Iterator[Node]:
        known = [parent for parent in node.parents if parent is not None]
        return iter(sorted(known, key=soon.__contains__))

    seen: set[Node] = set()
    found: list[Node] = []
    for root in roots:
        stack = [] if root in seen else [(root, arguments(root))]
        seen.add(root)
        while stack:
            node, rest = stack[-1]
            for parent in rest:
                if parent not in seen:
                    seen.add(parent)
                    stack.append((parent, arguments(parent)))
                    break
            else:
                stack.pop()
                found.append(node)
    return found


# ------------------------------------------------------------------------------------------------ names


class _Memory:
    """Who owns the memory behind an array that is among the arguments of an op: an input, a frozen parameter."""

    def __init__(self) -> None:
        self.names: dict[Any, str] = {}  # by node, or by the id of the array that owns the memory
        self.kinds: dict[Any, str] = {}
        self.alive: list[Any] = []  # so that ids stay theirs
        self.inputs: dict[str, Any] = {}
        self.other = "input"

    def add(self, name: str, given: Any, kind: str) -> None:
        key: Any = given.node if isinstance(given, Variable) else None
        if kind == "input":
            self.inputs[name] = given.array if isinstance(given, Variable) else given
        if key is None:
            owner = owner_of(given.array if isinstance(given, Variable) else given)
            self.alive.append(owner)
            key = id(owner)
        self.names.setdefault(key, name)
        self.kinds.setdefault(key, kind)


def _named(params: Any, inputs: Mapping[str, Any] | None) -> tuple[dict[Node, str], _Memory]:
    """The paths of the parameters, and whose memory is whose."""
    names: dict[Node, str] = {}
    memory = _Memory()
    for name, tensor in named_tensors(params, unnamed="params[{}]") if params is not None else ():
        if not isinstance(tensor, Variable):
            raise TypeError(
                f"params: {name} is of type {type(tensor).__name__}; give a Module, or Tensors: a dict by name, a list"
            )
        memory.add(name, tensor, "parameter")
        if tensor.node is not None:
            names.setdefault(tensor.node, name)
    for name, array in (inputs or {}).items():
        memory.add(name, array, "input")
    for name, buffer in params.named_buffers() if hasattr(params, "named_buffers") else ():
        memory.add(name, buffer, "constant")
    if inputs is not None:
        memory.other = "constant"
    return names, memory


def _constant(node: Node, k: int) -> Any:
    """The array that is argument k of an op, or what is known of it; None for a plain number, or if it is forgotten."""
    noted = notes.get(node)
    found = noted.constants.get(k) if noted is not None else None
    if found is None and node.args is not None:
        found = node.args[k]
    return found if isinstance(found, (np.ndarray, Spec)) and found.ndim else None


def _fit_inputs(drawing: Drawing, nodes: Sequence[Node], drawn: Mapping[Any, Vertex], memory: _Memory) -> None:
    """Find inputs of which the graph keeps the shape alone, or copies: an input that is not drawn yet, and the only
    place where an array of its shape and dtype is used without being known.
    """
    seen = {vertex.name for vertex in drawing.vertices if vertex.kind == "input"}
    missing = [(name, array) for name, array in memory.inputs.items() if name not in seen]
    if not missing:
        return
    places: dict[Any, list[tuple[Vertex, str, Vertex | None]]] = {}
    for edge in drawing.edges:
        if edge.source.kind == memory.other and edge.source.name == memory.other and not edge.recorded:
            key = edge.source.shape, edge.source.dtype
            places.setdefault(key, []).append((edge.target, edge.argument, edge.source))
    for node in nodes:
        for name, value in node.kwargs.items():
            for array in _arrays_in(value) if name != "residual" else ():
                places.setdefault((array.shape, str(array.dtype)), []).append((drawn[node], name, None))
    forms = [(array.shape, str(array.dtype)) for _, array in missing]
    for (name, _), form in zip(missing, forms, strict=True):
        if forms.count(form) == 1 and len(places.get(form, ())) == 1:
            ((target, argument, source),) = places[form]
            if source is None:
                source = Vertex("input", name, drawing.root, *form)
                drawing.vertices.insert(drawing.vertices.index(target), source)
                drawing.edges.append(Edge(source, target, argument, recorded=False))
            source.kind, source.name = "input", name


def _arrays_in(value: Any) -> list[Any]:
    if isinstance(value, (tuple, list)):
        return [array for part in value for array in _arrays_in(part)]
    return [value] if isinstance(value, np.ndarray) and value.ndim else []


# ------------------------------------------------------------------------------------------------ what an op says


def _detail(node: Node) -> str:
    """The plain numbers among the arguments, and the parameters that say something, shortly."""
    assert node.primitive is not None
    args, noted = node.args, notes.get(node)
    parts = []
    for k, parent in enumerate(node.parents):
        if parent is not None or _constant(node, k) is not None:
            continue
        name = node.primitive.argument(k)
        if noted is not None and k in noted.constants:
            parts.append(f"{name}={_short(noted.constants[k])}")
        elif args is None:
            parts.append(f"{name}=…")  # released, and nobody noted what it was
        elif args[k] is not None:
            parts.append(f"{name}={_short(args[k])}")
    for name, value in node.kwargs.items():
        if name in ("residual", "shape") or value is None or value is False:  # the shape is said anyway
            continue
        arrays = ", ".join(map(_short, _arrays_in(value)))
        fields = hasattr(value, "_fields") and not arrays
        parts.append(_short(value) if fields else f"{name}={arrays or _short(value)}")
    text = ", ".join(filter(None, parts))
    return text if len(text) <= 48 else text[:47] + "…"


def _short(value: Any) -> str:
    if isinstance(value, (np.ndarray, Spec)):
        if isinstance(value, np.ndarray) and value.size == 1 and value.dtype.kind in "biuf":
            return _short(value.item())
        return f"{value.dtype}{list(value.shape)}"
    if isinstance(value, (bool, int, str)) or value is None or value is Ellipsis:
        return "…" if value is Ellipsis else str(value)
    if isinstance(value, (float, np.generic)):
        return f"{value:.6g}" if isinstance(value, (float, np.floating)) else str(value)
    if isinstance(value, slice):
        ends = ["" if end is None else str(end) for end in (value.start, value.stop, value.step)]
        return ":".join(ends if ends[2] else ends[:2])
    if hasattr(value, "_fields"):  # of which sizes of inputs and outputs are seen anyway
        said = {name: part for name, part in value._asdict().items() if name not in ("sizes", "positions")}
        return ", ".join(f"{name} {_short(part)}" for name, part in said.items() if not _trivial(part))
    if isinstance(value, (tuple, list)):
        inner = ", ".join(_short(part) for part in value[:8]) + (", …" if len(value) > 8 else "")
        return f"({inner}{',' if len(value) == 1 else ''})"
    if isinstance(value, np.dtype):
        return str(value)
    # No address, nothing that differs from run to run.
    return getattr(value, "__name__", None) or getattr(value, "name", None) or type(value).__name__


def _trivial(value: Any) -> bool:
    """No stride, no padding, no dilation."""
    return all(part in (0, 1, None) for part in (value if isinstance(value, (tuple, list)) else (value,)))


def _order_arguments(drawing: Drawing) -> None:
    """Edges carry names where an op has several and they may not be exchanged."""
    into: dict[Vertex, list[Edge]] = {}
    for edge in drawing.edges:
        into.setdefault(edge.target, []).append(edge)
    for target, edges in into.items():
        if target.name not in COMMUTATIVE and len(edges) > 1:
            for edge in edges:
                named = edge.source.kind in ("parameter", "input")  # as a parameter `0.weight` says that it is `w`
                edge.ordered = not (named and edge.source.name.rpartition(".")[2].startswith(edge.argument))


def _saved(nodes: Iterable[Node], inputs: Mapping[str, Any]) -> int | None:
    """The bytes of memory that the graph keeps for the way back, besides parameters; None once they are released.

    Inputs count, whether or not they are leaves.
    """
    leaves = {id(owner_of(v.array)) for node in nodes if (v := _tensor_of(node)) is not None}
    leaves -= {id(owner_of(v.array if isinstance(v, Variable) else v)) for v in inputs.values()}
    sizes: dict[int, int] = {}
    released = False
    for node in nodes:
        released = released or node.args is None
        for array in (node.out, *(node.args or ()), node.kwargs.get("residual")):
            for one in array if isinstance(array, (tuple, list)) else (array,):
                if isinstance(one, np.ndarray):
                    owner = owner_of(one)
                    sizes[id(owner)] = owner.nbytes
    return None if released else sum(size for key, size in sizes.items() if key not in leaves)


def _tensor_of(node: Node) -> Variable | None:
    return node.owner() if isinstance(node, Leaf) else None


# ------------------------------------------------------------------------------------------------ values and gradients


class _Gradients:
    """The cotangent of every node, and of every argument by itself, in one walk back that leaves no trace."""

    def __init__(self, roots: Iterable[Node], nodes: Sequence[Node], needed: bool) -> None:
        self.needed = needed
        self.of_nodes: dict[Node, tuple[float | None, Any]] = {}
        self.of_edges: dict[tuple[Node, int], Any] = {}
        if any(node.args is None for node in nodes):
            if needed:
                raise GradientError(
                    "the arrays that the graph saved were released by backward(): draw it before, or give backward() "
                    "retain_graph=True"
                )
            return
        pending: dict[Node, Any] = {root: np.ones(root.shape, root.dtype) for root in roots}
        before, mode.recording = mode.recording, False
        try:
            with np.errstate(all="ignore"):
                for node in graph.nodes_between(roots):
                    g = pending.pop(node)
                    self.of_nodes[node] = summary(g, gradient=True)
                    for k, parent in enumerate(node.parents):
                        if parent is None or node.primitive is None:
                            continue
                        c = node.primitive.pull_back(node, k, g)
                        c = np.zeros(parent.shape, parent.dtype) if c is None else c
                        c = graph.unbroadcast(c, parent.shape).astype(parent.dtype, copy=False)
                        self.of_edges[node, k] = summary(c, gradient=True)[1]
                        pending[parent] = pending[parent] + c if parent in pending else c
        finally:
            mode.recording = before

    def mark(self, edge: Edge, node: Node, k: int) -> None:
        edge.state = self.of_edges.get((node, k), "")
        if self.needed:
            edge.cotangent = node.parents[k].shape  # type: ignore[union-attr]


class _Values:
    """The arrays that ops gave: as the graph or its outputs keep them, or computed again from what they keep."""

    def __init__(self, outputs: Iterable[Variable], nodes: Sequence[Node]) -> None:
        self.arrays: dict[Node, Any] = {output.node: output.array for output in outputs if output.node is not None}
        for node in nodes:
            for parent, value in zip(node.parents, node.args or ()):
                if parent is not None and isinstance(value, np.ndarray):
                    self.arrays.setdefault(parent, value)

    def of(self, node: Node) -> Any:
        """The array of a node, or None; those of its arguments have been asked for before."""
        tensor = _tensor_of(node)
        found = tensor.array if tensor is not None else self.arrays.get(node, node.out)
        if found is None and node.primitive is not None:
            found = self._again(node)
        if found is not None:
            self.arrays[node] = found
        return found

    def _again(self, node: Node) -> Any:
        # One with a residual may be a Function: looking at a graph does not run the user's code again.
        if node.args is None or "residual" in node.kwargs:
            return None
        args = [
            value if parent is None or isinstance(value, np.ndarray) else self.arrays.get(parent)
            for value, parent in zip(node.args, node.parents, strict=True)
        ]
        if any(value is None or isinstance(value, Spec) for value in args):
            return None
        assert node.primitive is not None
        with np.errstate(all="ignore"):
            return node.primitive.forward(*args, **node.kwargs)


def _mark_value(vertex: Vertex, node: Node, arrays: _Values, gradients: _Gradients | None) -> None:
    """What is known of the values and the gradient of a node."""
    noted, tensor, array = notes.get(node), _tensor_of(node), arrays.of(node)
    if noted is not None and node.primitive is not None:
        vertex.value, vertex.state = noted.value, noted.state
    elif array is not None:
        vertex.value, vertex.state = summary(array)
    state: Any = ""
    if gradients is not None and gradients.of_nodes:
        vertex.gradient, state = gradients.of_nodes[node]
    elif tensor is not None and tensor.grad is not None:
        vertex.gradient, state = summary(tensor.grad.array, gradient=True)
    elif noted is not None:
        vertex.gradient, state = noted.gradient, noted.gradient_state
    vertex.state = vertex.state or state


def _reverse(drawing: Drawing) -> None:
    """The graph of the walk back: from the outputs to what receives a gradient, along edges with cotangents."""
    reached = {edge.source for edge in drawing.edges if edge.recorded}
    reached |= {edge.target for edge in drawing.edges if edge.recorded}
    reached |= {vertex for vertex in drawing.vertices if vertex.output}
    drawing.edges = [edge for edge in drawing.edges if edge.recorded]
    drawing.vertices = [vertex for vertex in drawing.vertices if vertex in reached]
    for edge in drawing.edges:
        edge.source, edge.target = edge.target, edge.source
    for vertex in drawing.vertices:
        vertex.detail = ""
        if vertex.kind == "op":
            vertex.name = f"∂{vertex.name}"


# ------------------------------------------------------------------------------------------------ local Jacobians


def state_jacobians(drawing: Drawing, links: Mapping[Edge, Link]) -> None:
    """The local Jacobians of the edges that are drawn: not of those that modules and repeats hide."""
    for edge in drawing.edges:
        if edge in links and edge.times == 1 and edge.argument:
            node, k = links[edge]
            assert node.primitive is not None
            edge.jacobian = local(node.primitive.statement(node, k))


def local(J: Jacobian) -> Local:
    """Size, structure, density and pattern of a local Jacobian, without writing down a large matrix."""
    m, n = J.shape
    density = J.density if m * n <= DENSE_LIMIT or J.counts_cheaply else None
    return Local(m, n, J.structure, density, glyph(J))


def glyph(J: Jacobian) -> tuple[str, ...]:
    """Where the matrix is not zero, in at most 24 by 24 cells.

    A random positive cotangent on the rows of one cell after the other: where the product is zero, the matrix is.

    >>> from tinygrad_jac.jacobians import Diagonal
    >>> glyph(Diagonal(np.array([2.0, 0.0, 3.0])))
    ('100', '000', '001')
    """
    m, n = J.shape
    rows, columns = min(m, CELLS), min(n, CELLS)
    if not rows * columns or rows * max(m, n) > GLYPH_LIMIT:
        return ()
    row = np.arange(m) * rows // m
    u = np.random.default_rng(0).uniform(1.0, 2.0, m) * (row == np.arange(rows)[:, None])
    with np.errstate(all="ignore"):
        product = np.asarray(J.vjp(u.reshape(rows, *J.out_shape))).reshape(rows, n)
    starts = -(-np.arange(columns) * n // columns)
    cells = np.logical_or.reduceat(product != 0, starts, axis=1)
    return tuple("".join("01"[int(cell)] for cell in line) for line in cells)


# ------------------------------------------------------------------------------------------------ a report's verdicts


def _judge(drawing: Drawing, nodes: Sequence[Node], drawn: Mapping[Any, Vertex], report: Any) -> None:
    """Colour ops and edges by what a debug mode's report says of them."""
    by_order = {node.order: drawn[node] for node in nodes}
    edges = {(edge.target, edge.argument): edge for edge in drawing.edges}
    for row in report.rows:
        vertex = by_order.get(row.node)
        if vertex is not None:
            judge(vertex, row)
            if (edge := edges.get((vertex, row.argument))) is not None:
                edge.verdict, edge.message, edge.harmless = row.verdict, row.message, row.ok


def of_report(report: Any) -> Drawing:
    """The graph that a debug mode audited, from its report alone: ops by verdict, and what they start from."""
    edges = {(row.node, row.argument): row for row in report.rows}  # audited twice, the last one counts
    ops = {row.node: row for row in edges.values()}
    drawing = Drawing(Group(), [], [], ops=len(ops), saved=None)
    drawn: dict[int, Vertex] = {}
    for order in sorted({*ops, *(row.source for row in edges.values())}):
        if order in ops:
            drawn[order] = Vertex("op", ops[order].op, drawing.root, ops[order].out_shape, ops=1)
        else:
            shape = next(row.in_shape for row in edges.values() if row.source == order)
            drawn[order] = Vertex("input", "leaf", drawing.root, shape)
        drawing.vertices.append(drawn[order])
    for (order, argument), row in sorted(edges.items()):
        judge(drawn[order], row)
        if row.source in drawn and argument:
            edge = Edge(drawn[row.source], drawn[order], argument, verdict=row.verdict)
            edge.message, edge.harmless = row.message, row.ok
            drawing.edges.append(edge)
    _order_arguments(drawing)
    drawing.root.items = list(drawing.vertices)
    drawing.number()
    return drawing


def judge(vertex: Vertex, row: Any) -> None:
    """What a row says of an op: the worst of its arguments stays."""
    if row.place is not None:
        vertex.place, vertex.code = str(row.place), row.place.code
    if not vertex.verdict or (vertex.harmless and (not row.ok or vertex.verdict == "ok")):
        vertex.verdict, vertex.harmless = row.verdict, row.ok
        vertex.message = row.message
    for check, error in row.errors.items():
        vertex.errors[check] = max(error, vertex.errors.get(check, 0.0))


# ------------------------------------------------------------------------------------------------ groups


class _Groups:
    """The calls of modules, as groups of vertices."""

    def __init__(self, calls: Mapping[Node, Sequence[Any]]) -> None:
        self.calls = calls
        self.root = Group()
        self.made: dict[tuple[Any, ...], Group] = {}

    def of(self, node: Node) -> Group:
        chain = self.calls.get(node, ())
        group = self.root
        for k, (path, _, kind) in enumerate(chain):
            key = tuple(call[:2] for call in chain[: k + 1])
            if key not in self.made:
                self.made[key] = Group(path, kind, group, group.level + 1)
            group = self.made[key]
        return group

    def fill(self, vertices: Iterable[Vertex]) -> None:
        """Put vertices, and groups where their first vertex is, into the groups that hold them."""
        placed = {self.root}
        for vertex in vertices:
            item: Any = vertex
            group: Group | None = vertex.group
            while group is not None:
                group.items.append(item)
                item, group = (group, group.parent) if group not in placed else (None, None)
                if item is not None:
                    placed.add(item)
        numbers: dict[tuple[Group | None, str], list[tuple[int, Group]]] = {}
        for key, group in self.made.items():
            numbers.setdefault((group.parent, group.path), []).append((key[-1][1], group))
        for called in numbers.values():
            for number, (_, group) in enumerate(sorted(called, key=lambda pair: pair[0]), 1):
                group.call, group.calls = number, len(called)
                # The model itself needs a frame only to be told from what else there is.
                group.framed = bool(group.path or (group.kind and self._has_others(group)))

    def _has_others(self, group: Group) -> bool:
        return any(item is not group and (isinstance(item, Group) or item.ops) for item in self.root.items)


def _common(groups: Sequence[Group]) -> Group:
    """The innermost group that all of them are in."""
    found = groups[0]
    for group in groups[1:]:
        while found is not group:
            if found.level >= group.level:
                assert found.parent is not None
                found = found.parent
            else:
                assert group.parent is not None
                group = group.parent
    return found
