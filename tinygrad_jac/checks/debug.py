"""Debug mode: every op that a backward visits is audited, and the first one that is wrong is named.

`graph.Observer` shows what is recorded and walked; `audit` judges one argument of one op; this is what is between them.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .. import graph
from ..errors import GradientError
from ..graph import Node, Observer, Variable
from . import audit as auditing
from .audit import CHECKS, Settings, jittered, largest, unobserved
from .report import Place, Report, Row

Array = np.ndarray[Any, Any]


class JacobianMismatchError(GradientError):
    """A derivative, or what comes with it, is wrong: the op, the argument, the entry, the line.

    Attributes
    ----------
    row : Row
        What was found; see `tinygrad_jac.checks.report.Row`.
    """

    def __init__(self, row: Row) -> None:
        super().__init__(str(row))
        self.row = row


class debug_mode(Observer):
    """Audit every op that a backward inside visits.

    For each argument of each op: (a) the VJP rule, applied to the identity, is the Jacobian statement written out;
    (b) ⟨u, J v⟩ = ⟨Jᵀ u, v⟩ for random u and v; (c) the statement is the numerical derivative; (d) the cotangent that
    was accumulated for it is the product of the stated Jacobians from the output to there. Besides: a rule changes
    nothing that it is given and aliases nothing, shape and dtype are right, only what is saved is read, nothing that
    was saved was changed since, and NaN or infinity do not come from finite values.

    It works for this thread, until the end of the ``with`` block, through any exception. Nested, the inner one takes
    over. Off, it costs nothing.

    Parameters
    ----------
    checks : sequence of str
        Some of ``"vjp"`` (a), ``"adjoint"`` (b), ``"numerical"`` (c), ``"product"`` (d), ``"contracts"``, ``"finite"``.
    limit : int
        Matrices of more entries are not written down but probed by random projections, and the row says ``probed``.
    tolerance : float
        Of (a), (b) and (d), relative, in float64. (c) has the tolerance that the numerical derivative claims.
    dtype : dtype
        In which ops are evaluated again to be compared: float32 graphs are checked in float64.
    raise_on_failure : bool
        Raise at the first fault; otherwise collect.
    seed : int
        Of the random projections.

    Returns
    -------
    Report
        From ``with debug_mode() as report``: it grows while the mode is on, and prints as a table.

    Raises
    ------
    JacobianMismatchError
        With the op, the argument, the entry and the place in the user's code.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac.checks.debug import debug_mode
    >>> x = tj.tensor([1.0, 2.0], requires_grad=True)
    >>> with debug_mode() as report:
    ...     (x * x).sum().backward()
    >>> report.ok
    True
    >>> print(report.to_text(columns=["op", "argument", "J", "structure", "verdict"]))
    op   argument  J    structure   verdict
    sum  x         1×2  selectionᵀ  ok
    mul  x         2×2  diagonal    ok
    mul  y         2×2  diagonal    ok
    3 rows from 2 nodes: 3 ok
    """

    def __init__(
        self,
        *,
        checks: Iterable[str] = CHECKS,
        limit: int = 2**14,
        tolerance: float = 1e-12,
        dtype: Any = np.float64,
        raise_on_failure: bool = True,
        seed: int = 0,
    ) -> None:
        chosen = frozenset([checks] if isinstance(checks, str) else checks)
        if not chosen <= set(CHECKS):
            raise ValueError(f"the checks are {', '.join(CHECKS)}, not {', '.join(sorted(chosen - set(CHECKS)))}")
        if np.dtype(dtype).kind != "f":
            raise TypeError(f"the reference dtype must be a floating-point type such as float64, not {np.dtype(dtype)}")
        self.settings = Settings(chosen, limit, tolerance, np.dtype(dtype), seed)
        self.raise_on_failure = raise_on_failure
        self.report = Report()
        self._before: list[tuple[int, Observer | None]] = []
        self._known: weakref.WeakKeyDictionary[Node, _Known] = weakref.WeakKeyDictionary()
        self._received: dict[Node, Any] = {}  # what was brought to the nodes of a walk that is not complete
        self._rows: dict[tuple[Node, int], Row] = {}

    def __enter__(self) -> Report:
        thread = threading.get_ident()
        self._before.append((thread, graph.observers.get(thread)))
        graph.observers[thread] = self
        return self.report

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        thread, before = self._before.pop()
        if before is None:
            graph.observers.pop(thread, None)
        else:
            graph.observers[thread] = before
        self._received.clear()  # of a walk that an exception ended
        self._rows.clear()
        if isinstance(error, GradientError) and not isinstance(error, JacobianMismatchError):
            self._name_the_changed(error)

    # ---------------------------------------------------------------------------------------- what the engine shows

    def recorded(self, node: Node, values: Sequence[Any], out: Array) -> None:
        """Keep copies of all values, and the place; look for the first NaN or infinity."""
        place = Place.of_caller()
        copies = [v.copy() if isinstance(v, np.ndarray) else v for v in values]
        self._known[node] = _Known(copies, node.out.copy() if node.out is not None else None, place)
        if "finite" not in self.settings.checks or _finite([out]):
            return
        if _finite([*values, *(v for k, v in node.kwargs.items() if k != "residual")]):
            bad = np.argwhere(~np.isfinite(out))
            at = tuple(int(k) for k in bad[0])
            message = f"it makes {out[at]} of finite values, first at {at} ({len(bad)} of {out.size} entries)"
            self._add(Row(node.name, "", node.order, node.shape, (), "not finite", message, place=place))

    def visited(self, node: Node, g: Any) -> None:
        """Audit all arguments of a node, before the engine runs its rules."""
        self._received[node] = g
        known = self._known.get(node)
        place = known.place if known else None
        if known is not None:
            self._look_for_changes(node, known)
        with unobserved():
            for index, parent in enumerate(node.parents):
                if parent is not None:
                    values = known.values if known else None
                    row = auditing.audit(node, index, g, values, self.settings, place)
                    row.source = parent.order
                    self._rows[node, index] = row
                    self._add(row)

    def walked(self, roots: Sequence[tuple[Node, Any]], found: dict[Node, Any]) -> None:
        """(d): what was accumulated is the product of the stated Jacobians."""
        nodes = graph.nodes_between([node for node, _ in roots], found)
        if "product" in self.settings.checks:
            with unobserved():
                self._product(roots, found, nodes)
        for node in nodes:
            self._received.pop(node, None)
            for index in range(len(node.parents)):
                self._rows.pop((node, index), None)

    # ---------------------------------------------------------------------------------------- faults

    def _add(self, row: Row) -> None:
        self.report.rows.append(row)
        self._raise(row)

    def _raise(self, row: Row) -> None:
        if not row.ok and self.raise_on_failure:
            raise JacobianMismatchError(row)

    def _look_for_changes(self, node: Node, known: _Known) -> None:
        """Arrays that were saved and changed behind the engine's back, by way of NumPy."""
        assert node.primitive is not None
        names = [node.primitive.argument(k) for k in range(len(known.values))]
        saved = zip([*names, "out"], [*(node.args or ()), node.out], [*known.values, known.out], strict=True)
        for name, now, then in saved:
            if isinstance(now, np.ndarray) and not np.array_equal(now, then, equal_nan=now.dtype.kind == "f"):
                message = f"'{name}', which it saved for its gradient, was changed in place since; change a copy"
                self._add(Row(node.name, name, node.order, node.shape, now.shape, "stale", message, place=known.place))

    def _name_the_changed(self, error: GradientError) -> None:
        """The engine refused a changed array: say where the op that saved it was called."""
        for node in sorted(self._known, key=lambda node: -node.order):
            try:
                graph.check_saved(node)
            except GradientError as found:
                if str(found) == str(error):
                    place = self._known[node].place
                    row = Row(node.name, "", node.order, node.shape, (), "stale", str(error), place=place)
                    self.report.rows.append(row)
                    if self.raise_on_failure:
                        raise JacobianMismatchError(row) from error
                    return

    # ---------------------------------------------------------------------------------------- the product

    def _product(self, roots: Sequence[tuple[Node, Any]], found: dict[Node, Any], nodes: list[Node]) -> None:
        """Multiply the seed with one stated Jacobian after the other, and compare with what was accumulated.

        With the cotangent the error is carried along that rounding may have given it by now. Terms may cancel on the
        way, and the cotangent's own size does not tell of them; see `_stated_product`.
        """
        random = np.random.default_rng(self.settings.seed)
        pending: dict[Node, Array] = {}
        rows: dict[Node, list[Row]] = {}  # those that say how a node's cotangent came about
        for node, seed in roots:
            pending[node] = pending.get(node, 0) + np.stack([_array(seed), np.zeros_like(_array(seed))])
        for node in nodes:
            if node not in pending:
                continue
            u, received = pending.pop(node), self._received.get(node, found.get(node))
            if received is not None:
                got, hooked = _array(received), node.extras is not None and "hooks" in node.extras
                if hooked or not self._agree(got, u, rows.pop(node, [])):
                    u = np.stack([got, np.zeros_like(got)])  # a hook's word counts; and a fault is reported once
            if node.primitive is None:
                continue
            for index, parent in enumerate(node.parents):
                if parent is None:
                    continue
                try:
                    moved = _stated_product(node, index, u, random).astype(parent.dtype)
                except Exception:  # the audit has said so
                    return
                pending[parent] = pending[parent] + moved if parent in pending else moved
                if (node, index) in self._rows:
                    rows.setdefault(parent, []).append(self._rows[node, index])

    def _agree(self, got: Array, u: Array, rows: list[Row]) -> bool:
        """Whether a cotangent is the product ``u[0]``, up to its error ``u[1]``; write it down where it came about."""
        beyond = np.abs(got - u[0]) - 8 * largest(u[1])
        ratio = np.maximum(beyond, 0.0).astype(np.float64) / max(largest(u[0]), largest(got), 1e-300)
        ratio = np.where(np.isfinite(u[0]), np.where(np.isnan(ratio), np.inf, ratio), 0.0)
        error = float(np.max(ratio, initial=0.0))
        ok = error <= self.settings.tolerance * float(np.finfo(got.dtype).eps) / auditing.EPS
        for row in rows:
            row.errors["product"] = max(error, row.errors.get("product", 0.0))
            if not ok and row.ok:
                at = np.unravel_index(int(np.argmax(ratio)), ratio.shape)
                where = tuple(int(k) for k in at[ratio.ndim - len(row.in_shape) :])
                row.verdict = "wrong gradient"
                row.message = (
                    f"the cotangent accumulated for it is {got[at]:.9g} at {where}, the product of the local Jacobians "
                    f"from the output to here gives {u[0][at]:.9g}"
                )
        for row in rows:
            self._raise(row)
        return ok


class _Known:
    """What debug mode keeps of a node that it saw being recorded."""

    __slots__ = ("out", "place", "values")

    def __init__(self, values: list[Any], out: Array | None, place: Place | None) -> None:
        self.values, self.out, self.place = values, out, place


def _stated_product(node: Node, index: int, u: Array, random: np.random.Generator) -> Array:
    """The cotangent ``u[0]`` and the error ``u[1]`` times a stated Jacobian, and the error that this step adds.

    The step rounds relative to the size of the Jacobian, which a random cotangent tells, and of terms that cancel
    within the Jacobian itself, which a jitter of the last digits of what was saved tells. A jitter may also break a
    tie; what it changes by more than the last digits of the cotangent does not count.
    """
    primitive = node.primitive
    assert primitive is not None
    digits = 4 * float(np.finfo(node.dtype).eps)
    probe = random.choice([-1.0, 1.0], (1, *u.shape[1:])).astype(u.dtype)
    image = np.asarray(primitive.statement(node, index).vjp(np.concatenate([u, probe])))
    error = digits * largest(u[0]) * largest(image[2]) * random.uniform(-1, 1, image[0].shape)
    if primitive.saves:
        again = np.asarray(primitive.statement(jittered(node, digits, random), index).vjp(u[0]))
        error += np.clip(again - image[0], -digits * largest(u[0]), digits * largest(u[0]))
    return np.stack([image[0], image[1] + error])


def _array(g: Any) -> Array:
    return g.array if isinstance(g, Variable) else np.asarray(g)


def _finite(values: Iterable[Any]) -> bool:
    """Whether all numbers are; what is not a number does not count."""
    for value in values:
        array = np.asarray(value) if isinstance(value, (np.ndarray, float, np.floating)) else None
        if array is not None and array.dtype.kind == "f" and not np.isfinite(array).all():
            return False
    return True
