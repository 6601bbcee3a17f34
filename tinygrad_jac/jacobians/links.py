"""The local Jacobians along a graph, the ways through them, and the paths between two nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import graph, versions
from ..errors import GradientError
from ..graph import Node, nodes_between
from .base import Array, Jacobian, Shape, Sum, compose
from .rows import Apart, combined
from .structures import Diagonal, Identity


class Link(NamedTuple):
    """One local Jacobian: of the output of a node with respect to one of its arguments."""

    node: Node
    position: int
    jacobian: Jacobian

    @property
    def source(self) -> Node:
        """The node of the argument."""
        return self.node.parents[self.position]  # type: ignore[return-value]

    @property
    def op(self) -> str:
        return self.node.name

    @property
    def argument(self) -> str:
        """The argument's name, as the rules of the op call it."""
        assert self.node.primitive is not None
        return self.node.primitive.argument(self.position)

    def __repr__(self) -> str:
        m, n = self.jacobian.shape
        return f"∂{self.op}/∂{self.argument} {m}×{n} {self.jacobian.structure}"


class Links:
    """The local Jacobians between some nodes of a graph, and the ways through them.

    Parameters
    ----------
    targets, sources : sequence of Node
        Outputs, and the nodes with respect to which they are differentiated.
    recorded : bool
        Whether tangents and cotangents are Tensors, so that what is computed is recorded.

    Attributes
    ----------
    steps : list of (Node, list of Link)
        The nodes that lead from a target to a source, newest first, each with its links to those below.
    met : list of Link
        Where samples met in the last walk of `pull_each`: at parameters that they share, and where they see each other.

    Raises
    ------
    GradientError
        The graph's saved arrays were released, or changed in place.
    """

    def __init__(self, targets: Sequence[Node], sources: Sequence[Node], recorded: bool = False) -> None:
        self.targets, self.sources = list(targets), list(sources)
        nodes = nodes_between(self.targets, self.sources)
        leading = set(nodes)
        self.steps: list[tuple[Node, list[Link]]] = []
        self.met: list[Link] = []
        self._saved: list[np.ndarray[Any, Any]] = []
        graph.check_usable(nodes, None)
        for node in nodes:
            links = []
            for k, parent in enumerate(node.parents):
                if parent in leading and node.primitive is not None:
                    stated = _in_dtype(node.primitive.statement(node, k), node.dtype)
                    links.append(Link(node, k, Recorded(node, k, stated) if recorded else stated))
            self.steps.append((node, links))
            self._saved += [a for a in (node.out, *(node.args or ())) if links and isinstance(a, np.ndarray)]
        self._made = versions.tick()
        # The last use of each node on the way forward, and on the way back.
        self._newest: dict[Node, Node] = {link.source: link.node for link in reversed(list(self))}
        self._oldest: dict[Node, Link] = {link.source: link for link in self}

    def __iter__(self) -> Iterator[Link]:
        return (link for _, links in self.steps for link in links)

    def push(self, tangents: Mapping[Node, Array], lead: Shape) -> dict[Node, Array]:
        """Tangents of sources, from old to new: forward mode. A target that none of them reaches is left out."""
        self._check_unchanged()
        found = dict(tangents)
        keep = set(self.targets)
        for node, links in reversed(self.steps):
            for link in links:
                if (v := found.get(link.source)) is not None:
                    add_to(found, node, link.jacobian._jvp(v, lead))
            for link in links:
                if self._newest[link.source] is node and link.source not in keep:
                    found.pop(link.source, None)
        return {node: found[node] for node in self.targets if node in found}

    def pull(self, cotangents: Mapping[Node, Array], lead: Shape) -> dict[Node, Array]:
        """Cotangents of targets, from new to old: reverse mode. A source that none of them reaches is left out."""
        self._check_unchanged()
        found = dict(cotangents)
        keep = set(self.sources)
        for node, links in self.steps:
            u = found.get(node) if node in keep else found.pop(node, None)
            if u is not None:
                for link in links:
                    add_to(found, link.source, link.jacobian._vjp(u, lead))
        return {node: found[node] for node in self.sources if node in found}

    def pull_each(self, u: Array, samples: int, stride: int) -> Iterator[tuple[Node, list[Any]]]:
        """The cotangents of the sources from each sample of the one target by itself, sources as they are reached.

        As long as the structures keep samples apart, one walk serves all of them. Where they meet (at a parameter
        that all share, in batch normalisation) each goes on by itself: that is always right, and slower.

        Parameters
        ----------
        u : array of shape (k, *target.shape)
        samples, stride : int
            Where the samples are in the target; see `Jacobian.follow`.

        Yields
        ------
        (Node, list)
            What the source receives over each of its uses: arrays of shape (k, samples, *source.shape), `Outer` or
            `Apart`.
        """
        self._check_unchanged()
        self.met = []
        (target,) = self.targets
        wanted = set(self.sources)
        lead = u.shape[: u.ndim - len(target.shape)]
        parts: dict[Node, list[Any]] = {target: [Apart(u, stride, samples, len(target.shape))]}
        for node, links in self.steps:
            if node in wanted and node in parts:  # not a leaf, or it would have been yielded at its last use
                yield node, parts[node]
            rows = combined(parts.pop(node)) if links and node in parts else None
            for link in links if rows is not None else ():
                source, c = link.source, None
                if not isinstance(rows, Apart):
                    c = link.jacobian._vjp(rows, (*lead, samples))
                elif (below := link.jacobian.follow(samples, rows.stride)) is not None:
                    c = Apart(link.jacobian._vjp(rows.c, lead), below, samples, len(source.shape))
                else:
                    c = link.jacobian._vjp_each(rows.c, lead, samples, rows.stride)
                    self.met.append(link)
                parts.setdefault(source, []).append(cast(c, source.dtype))
                del c
                if source in wanted and not source.parents and self._oldest[source] is link:
                    yield source, parts.pop(source)

    def _check_unchanged(self) -> None:
        if versions.latest_change > self._made:
            for array in self._saved:
                if versions.changes_since(array, self._made)[1]:
                    raise GradientError(
                        f"an array of shape {array.shape} that these Jacobians read was changed in place since they "
                        "were stated; run the function and chain() again"
                    )


def add_to(found: dict[Node, Array], node: Node, c: Array) -> None:
    c = cast(c, node.dtype)
    found[node] = found[node] + c if node in found else c


def cast(c: Any, dtype: Any) -> Any:
    return c if c.dtype == dtype else c.astype(dtype)


def _in_dtype(jacobian: Jacobian, dtype: Any) -> Jacobian:
    """A diagonal in the dtype of its node: statements are free to say float64, which would slow all that follows."""
    if type(jacobian) is Diagonal and jacobian.d.dtype != dtype:
        return Diagonal(jacobian.d.astype(dtype))
    return jacobian


class Recorded(Jacobian):
    """A local Jacobian whose products are recorded, for derivatives of derivatives.

    A statement is made of arrays; the VJP rule runs on Tensors too (C3). So ``Jᵀ u`` is the rule on Tensors, and
    ``J v`` its transpose: the rule is linear in u, hence the derivative of ``Jᵀ u`` by u is J itself, for every u. What
    is known of the form of the matrix is what the statement says.
    """

    def __init__(self, node: Node, position: int, stated: Jacobian) -> None:
        super().__init__(stated.out_shape, stated.in_shape)
        self.node, self.position, self.stated = node, position, stated

    @property
    def structure(self) -> str:  # type: ignore[override]
        return self.stated.structure

    def _vjp(self, u: Array, lead: Shape) -> Array:
        assert self.node.primitive is not None
        c = self.node.primitive.pull_back_recorded(self.node, self.position, u)
        if c is None:
            return graph.wrap(np.zeros(lead + self.in_shape, u.dtype))
        return c if c.shape == lead + self.in_shape else graph.unbroadcast(c, self.in_shape, len(lead))

    def _jvp(self, v: Array, lead: Shape) -> Array:
        u = graph.wrap(np.ones(lead + self.out_shape, self.node.dtype))
        u.node = graph.Leaf(u)
        c = self._vjp(u, lead)
        found = graph.walk_back([(c.node, v)], [u.node], create_graph=True, retain_graph=True) if c.node else {}
        return found.get(u.node, graph.wrap(np.zeros(lead + self.out_shape, self.node.dtype)))

    def _dense(self) -> np.ndarray[Any, Any]:
        return self.stated._dense()

    def follow(self, samples: int, stride: int) -> int | None:
        return self.stated.follow(samples, stride)


class AlongGraph(Jacobian):
    """The Jacobian of one node with respect to another, kept as the walk along the graph between them."""

    structure = "graph"

    def __init__(self, target: Node, source: Node) -> None:
        super().__init__(target.shape, source.shape)
        self.target, self.source = target, source
        self.links = Links([target], [source])

    def _jvp(self, v: Array, lead: Shape) -> Array:
        found = self.links.push({self.source: v}, lead)
        return found[self.target] if found else np.zeros(lead + self.out_shape, v.dtype)

    def _vjp(self, u: Array, lead: Shape) -> Array:
        found = self.links.pull({self.target: u}, lead)
        return found[self.source] if found else np.zeros(lead + self.in_shape, u.dtype)

    def _dense(self) -> np.ndarray[Any, Any]:
        # The same walk on matrices, each local one written out from its structure.
        m = self.shape[0]
        found: dict[Node, Any] = {self.target: np.eye(m)}
        for node, links in self.links.steps:
            for link in links if node in found else ():
                c = found[node] @ link.jacobian._dense()
                found[link.source] = found[link.source] + c if link.source in found else c
        return found.get(self.source, np.zeros(self.shape))


# ------------------------------------------------------------------------------------------------ paths


class Paths(NamedTuple):
    """Several ways from one node to another: a sum of products."""

    terms: list[list[Any]]
    jacobian: Jacobian
    size: int
    depth: int


_MOST_FACTORS, _DEEPEST = 2000, 30  # beyond, a sum over paths would be longer than the graph is


def paths(links: Links, source: Node) -> list[Any]:
    """The product between the one target and a source, as a list of factors: `Link`, `Paths`, or `AlongGraph`.

    All ways from the target to a node pass through the nodes that dominate it; between two such nodes next to each
    other there is one link, or a sum over the ways between them.
    """
    (target,) = links.targets
    leads = {source}
    for node, inner in reversed(links.steps):
        if any(link.source in leads for link in inner):
            leads.add(node)
    if target not in leads:
        return []
    uses: dict[Node, list[Link]] = {target: []}
    above: dict[Node, Node] = {}  # the nearest dominator
    depth = {target: 0}
    segments: dict[Node, Any] = {}  # what stands between a node and its nearest dominator

    def between(top: Node, node: Node) -> list[Any]:
        factors = []
        while node is not top:
            factors.append(segments[node])
            node = above[node]
        return factors[::-1]

    for node, inner in links.steps:
        if node not in leads:
            continue
        if node is not target:
            top = uses[node][0].node
            for link in uses[node][1:]:
                other = link.node
                while top is not other:
                    if depth[top] >= depth[other]:
                        top = above[top]
                    else:
                        other = above[other]
            above[node], depth[node] = top, depth[top] + 1
            terms = [[*between(top, link.node), link] for link in uses[node]]
            segments[node] = terms[0][0] if len(terms) == 1 else _sum_of(terms, top, node)
        for link in inner:
            if link.source in leads:
                uses.setdefault(link.source, []).append(link)
    return between(target, source)


def _sum_of(terms: list[list[Any]], top: Node, node: Node) -> Any:
    inner = [f for term in terms for f in term if isinstance(f, Paths)]
    size = sum(map(len, terms)) + sum(f.size for f in inner)
    depth = 1 + max((f.depth for f in inner), default=0)
    if size > _MOST_FACTORS or depth > _DEEPEST:
        return Paths([], AlongGraph(top, node), 1, 1)
    return Paths(terms, Sum([compose(*(f.jacobian for f in term)) for term in terms]), size, depth)


def written(factors: Sequence[Any], most: int = 12) -> str:
    """Factors as the textbook writes a product: without the identities in it; what is too long is cut in the middle."""
    texts = []
    factors = [f for f in factors[:-1] if not isinstance(f.jacobian, Identity)] + list(factors[-1:])
    for factor in factors:
        if not isinstance(factor, Paths):
            m, n = factor.jacobian.shape
            texts.append(f"{factor.op}/{factor.argument} [{factor.jacobian.structure} {m}×{n}]")
        elif factor.terms and most > 2:
            some = [written(term, most // 3) for term in factor.terms[:3]]
            rest = len(factor.terms) - len(some)
            texts.append(f"({' + '.join(some)}{f' + … {rest} more paths' if rest else ''})")
        else:
            texts.append(f"(… {len(factor.terms)} paths)" if factor.terms else "(… along the graph)")
    if len(texts) > most:
        texts[most // 2 : len(texts) - most // 2] = [f"… {len(texts) - most} more …"]
    return " · ".join(texts)
