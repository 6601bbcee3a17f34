"""The drawing as JSON, for other programs. The fields are described in docs/graph.schema.json."""

from __future__ import annotations

import json
import math
from typing import Any

from .drawing import Drawing, Edge, Group, Vertex, walk

FORMAT = "tinygrad_jac graph 1"


def to_dict(drawing: Drawing) -> dict[str, Any]:
    """What `to_json` writes, as Python's own lists and dicts."""
    groups = [item for item, opened in walk(drawing.root) if opened and isinstance(item, Group) and item.parent]
    return {
        "format": FORMAT,
        "title": drawing.title,
        "direction": drawing.direction,
        "backward": drawing.backward,
        "totals": {"parameters": drawing.parameters, "ops": drawing.ops, "bytes_saved": drawing.saved},
        "groups": [_group(group) for group in groups],
        "vertices": [_vertex(vertex) for vertex in drawing.vertices],
        "edges": [_edge(edge) for edge in drawing.edges],
    }


def to_json(drawing: Drawing, indent: int | None = None) -> str:
    return json.dumps(to_dict(drawing), indent=indent, ensure_ascii=False, allow_nan=False)


def _group(group: Group) -> dict[str, Any]:
    assert group.parent is not None
    return {
        "id": group.id,
        "parent": group.parent.id if group.parent.parent else None,
        "path": group.path,
        "module": group.kind,
        "call": group.call,
        "times": group.times,
        "last": group.last,
        "title": group.title,
    }


def _vertex(vertex: Vertex) -> dict[str, Any]:
    return {
        "id": vertex.id,
        "kind": vertex.kind,
        "name": vertex.name,
        "group": vertex.group.id if vertex.group.parent else None,
        "shape": vertex.shape,
        "dtype": vertex.dtype or None,
        "detail": vertex.detail,
        "output": vertex.output or None,
        "ops": vertex.ops,
        "parameters": vertex.parameters,
        "times": vertex.times,
        "value": _number(vertex.value),
        "gradient": _number(vertex.gradient),
        "state": vertex.state or None,
        "verdict": vertex.verdict or None,
        "message": vertex.message,
        "errors": {check: _number(error) for check, error in vertex.errors.items()},
        "place": vertex.place,
        "code": vertex.code,
    }


def _edge(edge: Edge) -> dict[str, Any]:
    J = edge.jacobian
    return {
        "source": edge.source.id,
        "target": edge.target.id,
        "argument": edge.argument,
        "ordered": edge.ordered,
        "recorded": edge.recorded,
        "times": edge.times,
        "cotangent": edge.cotangent,
        "state": edge.state or None,
        "verdict": edge.verdict or None,
        "message": edge.message,
        "jacobian": J and {"shape": [J.m, J.n], "structure": J.structure, "density": J.density, "glyph": J.glyph},
    }


def _number(x: float | None) -> float | None:
    """JSON has no NaN and no infinities: ``state`` says that."""
    return x if x is not None and math.isfinite(x) else None
