"""Named results of functions that return more than one array, as PyTorch names them."""

from __future__ import annotations

from typing import Any, NamedTuple


class ValuesIndices(NamedTuple):
    """Entries that were picked along an axis, and where they stood: of `max`, `min`, `sort`, `topk`, `median` …

    ``values`` is differentiable, ``indices`` are integers.
    """

    values: Any
    indices: Any
