"""How a Tensor prints: as PyTorch prints it, four decimals, aligned, long ones summarised."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

_PROFILES: dict[str, dict[str, Any]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": sys.maxsize, "edgeitems": 3, "linewidth": 80},
}
_options: dict[str, Any] = {**_PROFILES["default"], "sci_mode": None}


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """How tensors print from now on.

    Parameters
    ----------
    precision : int
        Digits after the point (4).
    threshold : float
        Of more entries (1000) the middle is left out.
    edgeitems : int
        How many are shown at each end then (3).
    linewidth : int
        Characters in a line (80).
    profile : {"default", "short", "full"}
        All of the above at once; "short" and "full" leave more, and nothing out.
    sci_mode : bool, optional
        Whether numbers have exponents; by default where their range is wide.

    Raises
    ------
    ValueError
        There is no such profile.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> tj.set_printoptions(precision=2)
    >>> tj.tensor([1 / 3])
    tensor([0.33])
    >>> tj.set_printoptions(profile="default")
    """
    if profile is not None and profile not in _PROFILES:
        raise ValueError(f"set_printoptions: profile is one of {', '.join(_PROFILES)}, not {profile!r}")
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    _options.update(_PROFILES.get(profile or "", {}), sci_mode=sci_mode)
    _options.update({name: value for name, value in given.items() if value is not None})


def _number_format(values: np.ndarray[Any, Any]) -> Any:
    """One format for all entries: integers as ``3.``, wide ranges in exponent form, the rest with four decimals."""
    finite = np.abs(values[np.isfinite(values) & (values != 0)].astype(np.float64))
    whole = bool((finite == np.floor(finite)).all())
    low, high = (finite.min(), finite.max()) if finite.size else (1.0, 1.0)
    wide = high > 1000 * low or high > 1e8 or (low < 1e-4 and not whole)
    if wide if _options["sci_mode"] is None else _options["sci_mode"]:
        text = f"{{:.{_options['precision']}e}}"
    else:
        text = "{:.0f}." if whole else f"{{:.{_options['precision']}f}}"

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
        if array.size > _options["threshold"]:
            k = _options["edgeitems"]
            ends = [np.r_[0 : min(k, n), max(n - k, 0) : n] for n in array.shape]
            shown = array[np.ix_(*ends)] if ends else array
        formatter["float_kind"] = _number_format(shown)
    text = np.array2string(
        array, separator=", ", prefix=prefix, formatter=formatter, threshold=_options["threshold"],
        edgeitems=_options["edgeitems"], max_line_width=_options["linewidth"],
    )  # fmt: skip
    return text.replace(", ..., ", ",  ..., ")  # two spaces before what is left out, as PyTorch has them


def tensor_text(tensor: Any) -> str:
    """``tensor([1., 2.], requires_grad=True)``: the numbers, then what is not obvious from them."""
    array, node = tensor.array, tensor.node
    parts = [array_text(array) if array.size or array.ndim == 1 else f"[], size={array.shape}"]
    obvious = {"f": np.float32, "i": np.int64, "b": np.bool_, "c": np.complex64}.get(array.dtype.kind)
    if array.dtype != obvious or (not array.size and array.dtype.kind != "f"):
        parts.append(f"dtype={array.dtype}")
    if node is not None:
        parts.append("requires_grad=True" if node.primitive is None else f"grad_fn=<{node.name}>")
    return f"tensor({', '.join(parts)})"
