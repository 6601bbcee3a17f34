"""Indexing: every Jacobian is a selection, every VJP puts entries back where they came from and sums repeats."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..graph import Variable
from ..jacobians import Selection
from ..primitive import primitive

_slice = primitive(
    "slice", lambda x, *, index: x[index],
    vjp=lambda g, out, x, *, index: _unslice(g, index=index, shape=x.shape, lead=g.ndim - out.ndim),
    jacobian=lambda out, x, *, index: Selection.of(lambda positions: positions[index], x.shape),
)


def _put(x: Any, index: Any, shape: Any, lead: int) -> Any:
    whole = np.zeros(x.shape[:lead] + shape, dtype=x.dtype)
    whole[(slice(None),) * lead + index] = x
    return whole


_unslice = primitive(
    "unslice", lambda x, *, index, shape, lead: _put(x, index, shape, lead),
    vjp=lambda g, out, x, *, index, shape, lead: g[(slice(None),) * (g.ndim - out.ndim + lead) + index],
    jacobian=lambda out, x, *, index, shape, lead: Selection.of(
        lambda positions: positions[(slice(None),) * lead + index], out.shape).T,
)


def getitem(x: Any, index: Any) -> Any:
    """``x[index]``."""
    index = index if isinstance(index, tuple) else (index,)
    return _slice(x, index=tuple(i.array if isinstance(i, Variable) else i for i in index))
