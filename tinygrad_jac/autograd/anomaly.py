"""`detect_anomaly`: NaN that a backward makes are found where they are made."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import graph
from ..errors import GradientError
from ..graph import Node, Observer, array_of
from ..places import Place


class _NaNs(Observer):
    """Looks at each cotangent before it is used, and says which op's gradient it came from."""

    def __init__(self, check_nan: bool, watching: Observer | None) -> None:
        self.check_nan = check_nan
        self.watching = watching  # who did so already, and goes on
        self.beside = watching or Observer()
        self.used_by: dict[Node, list[Node]] = {}  # of a walk: by which nodes a cotangent was made

    def recorded(self, node: Node, values: Sequence[Any], out: np.ndarray[Any, Any]) -> None:
        node.extras = {**(node.extras or {}), "place": Place.of_caller()}
        self.beside.recorded(node, values, out)

    def visited(self, node: Node, g: Any) -> None:
        self.beside.visited(node, g)
        self._check(node, g)
        for parent in node.parents:
            if parent is not None:
                self.used_by.setdefault(parent, []).append(node)

    def walked(self, roots: Sequence[tuple[Node, Any]], found: dict[Node, Any]) -> None:
        self.beside.walked(roots, found)
        for node, g in found.items():
            self._check(node, g)
        self.used_by.clear()

    def _check(self, node: Node, g: Any) -> None:
        makers = self.used_by.get(node)
        if not self.check_nan or not makers or not np.isnan(array_of(g)).any():
            return
        self.used_by = {}
        names = " or ".join(f"'{m.name}'" for m in makers)
        places = {str(p) for m in makers if (p := (m.extras or {}).get("place")) is not None}
        raise GradientError(
            f"Function {names} returned nan values in its gradient of shape {node.shape}"
            + (f"; it was computed at {', '.join(sorted(places))}" if places else "")
        )


class set_detect_anomaly:
    """Switch the search for NaN in the gradients on or off, in this thread; as a context manager, for a while.

    While it is on, a backward that makes NaN raises, naming the op and the line that computed it, before any ``.grad``
    is changed. `tinygrad_jac.debug_mode` checks more.

    Parameters
    ----------
    mode : bool
    check_nan : bool
        Whether NaN raise; otherwise nothing is looked for.

    Raises
    ------
    GradientError
        In `backward`: a gradient is NaN. A `RuntimeError`.
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self._thread = threading.get_ident()
        self._before = watching = graph.observers.get(self._thread)
        if isinstance(watching, _NaNs):  # it gives way; a debug mode stays
            watching = watching.watching
        self._switch(_NaNs(check_nan, watching) if mode else watching)

    def _switch(self, observer: Observer | None) -> None:
        if observer is None:
            graph.observers.pop(self._thread, None)
        else:
            graph.observers[self._thread] = observer

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        self._switch(self._before)


class detect_anomaly(set_detect_anomaly):
    """Look for NaN in the gradients, in a ``with`` block; see `set_detect_anomaly`.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_jac as tj
    >>> x = tj.tensor([0.0], requires_grad=True)
    >>> with tj.autograd.set_detect_anomaly(True), np.errstate(invalid="ignore"):
    ...     (x.sqrt() * 0).sum().backward()
    Traceback (most recent call last):
    ...
    tinygrad_jac.errors.GradientError: Function 'sqrt' returned nan values in its gradient of shape (1,)...
    """

    def __init__(self, check_nan: bool = True) -> None:
        warnings.warn(
            "Anomaly Detection has been enabled. This mode will increase the runtime and should only be enabled for "
            "debugging.",
            stacklevel=2,
        )
        super().__init__(True, check_nan)


def is_anomaly_enabled() -> bool:
    """Whether NaN in gradients are looked for, in this thread."""
    return isinstance(graph.observers.get(threading.get_ident()), _NaNs)
