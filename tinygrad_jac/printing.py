"""How a Tensor prints: as PyTorch prints it, four decimals, aligned, long ones summarised."""

from __future__ import annotations

from typing import Any

import numpy as np

THRESHOLD, EDGE_ITEMS, PRECISION = 1000, 3, 4


def _number_format(values: np.ndarray[Any, Any]) -> Any:
    """One format for all entries: integers as ``3.``, wide ranges in exponent form, the rest with four decimals."""
    finite = np.abs(values[np.isfinite(values) & (values != 0)].astype(np.float64))
    whole = bool((finite == np.floor(finite)).all())
    low, high = (finite.min(), finite.max()) if finite.size else (1.0, 1.0)
    if high / low > 1000 or high > 1e8 or (low < 1e-4 and not whole):
        text = f"{{:.{PRECISION}e}}"
    else:
        text = "{:.0f}." if whole else f"{{:.{PRECISION}f}}"

    def spell(x: Any) -> str:
        return text.format(x) if np.isfinite(x) else str(float(x))

    width = max((len(spell(x)) for x in values[np.isfinite(values)].reshape(-1)), default=0)
    return lambda x: spell(x).rjust(width)


def array_text(array: np.ndarray[Any, Any], prefix: str = "tensor(") -> str:
    """The numbers of an array, summarised beyond a thousand entries."""
    width = 4 if array.dtype.kind == "b" and array.all() else 5
    formatter: Any = {"bool": lambda x: str(bool(x)).rjust(width)}
    if array.dtype.kind == "f":
        shown = array
        if array.size > THRESHOLD:
            ends = [np.r_[0 : min(EDGE_ITEMS, n), max(n - EDGE_ITEMS, 0) : n] for n in array.shape]
            shown = array[np.ix_(*ends)] if ends else array
        formatter["float_kind"] = _number_format(shown)
    return np.array2string(
        array, separator=", ", prefix=prefix, formatter=formatter, threshold=THRESHOLD, edgeitems=EDGE_ITEMS,
        max_line_width=80,
    )  # fmt: skip


def tensor_text(tensor: Any) -> str:
    """``tensor([1., 2.], requires_grad=True)``: the numbers, then what is not obvious from them."""
    array, node = tensor.array, tensor.node
    parts = [array_text(array) if array.size or array.ndim == 1 else f"[], size={array.shape}"]
    if array.dtype not in (np.dtype(np.float32), np.dtype(np.int64), np.dtype(np.bool_)):
        parts.append(f"dtype={array.dtype}")
    if node is not None:
        parts.append("requires_grad=True" if node.primitive is None else f"grad_fn=<{node.name}>")
    return f"tensor({', '.join(parts)})"
