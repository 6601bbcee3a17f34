"""The audit of one argument of one recorded op: its VJP rule, its Jacobian statement and the numbers, held together.

The numbers are compared on a *copy* of the node, evaluated again in the reference dtype (float64), so that rounding
does not blur what is compared, and so that a rule that spoils arrays spoils the copy. The contracts of a rule (it
changes nothing, aliases nothing, keeps shape and dtype) are tried on the node itself, with the cotangent of the walk.

When is a deviation a fault and not rounding? Two statements of one derivative differ by rounding only, but where terms
cancel (the softmax of a confident network) rounding may be all that is left. So a suspected deviation is compared with
what becomes of both statements when everything that was saved is jittered in its last digits.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

import numpy as np

from .. import graph, random
from ..errors import ShapeError, UnsavedError
from ..graph import Leaf, Node, Spec, Variable, wrap
from ..jacobians import Diagonal, Identity, Jacobian, Selection
from . import numerical
from .diagnosis import diagnose
from .report import Place, Row

Array = np.ndarray[Any, Any]
Pair = Callable[[Node], tuple[Array, Array, Any]]  # of a node: what was found, what was expected, and the scale

CHECKS = ("vjp", "adjoint", "numerical", "product", "contracts", "finite")
EPS = float(np.finfo(np.float64).eps)
NUMERICAL_TOLERANCE = 1e-7  # relative, beyond so many times the error that the numerical derivative claims for itself
NUMERICAL_DOUBT = 100.0
PROBES = 2  # random cotangents for a matrix that is too large to be written down


@dataclass(frozen=True)
class Settings:
    """What is checked, and how closely; see `debug_mode`."""

    checks: frozenset[str] = frozenset(CHECKS)
    limit: int = 2**14
    tolerance: float = 1e-12
    dtype: np.dtype[Any] = field(default_factory=lambda: np.dtype(np.float64))
    seed: int = 0

    @property
    def exact(self) -> float:
        """The tolerance, as far as the reference dtype has the digits for it."""
        return self.tolerance * float(np.finfo(self.dtype).eps) / EPS


class Fault(Exception):
    """Found by a check: a verdict of `report.VERDICTS`, and the sentence that explains it."""

    def __init__(self, verdict: str, message: str) -> None:
        super().__init__(verdict, message)
        self.verdict, self.message = verdict, message


@contextlib.contextmanager
def unobserved() -> Iterator[None]:
    """An audit is not observed itself, its divisions by zero are silent, and random numbers go on as if it were not."""
    thread = threading.get_ident()
    observer = graph.observers.pop(thread, None)
    state = random.snapshot()
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        random.restore(state)
        if observer is not None:
            graph.observers[thread] = observer


def audit(
    node: Node,
    index: int,
    g: Any,
    values: Sequence[Any] | None = None,
    settings: Settings | None = None,
    place: Place | None = None,
) -> Row:
    """Hold the rule and the statement of one argument against each other, the numbers and the contracts.

    Parameters
    ----------
    node : Node
    index : int
        Which argument; it has a parent node.
    g : array or Tensor of shape (*lead, *node.shape)
        The cotangent that the walk back brought. On a Tensor the rule is checked as it runs under ``create_graph``.
    values : sequence, optional
        The values of all arguments, where they are known; otherwise what the node saved must do.
    settings : Settings, optional
    place : Place, optional
        Where the op was called.
    """
    return ArgumentAudit(node, index, values, settings or Settings(), place).row(g)


# ------------------------------------------------------------------------------------------------ a node, once more


def reference(node: Node, values: Sequence[Any] | None, dtype: np.dtype[Any]) -> Node:
    """The same application in another dtype, its parents replaced by leaves: evaluated again where values are known."""
    primitive = node.primitive
    assert primitive is not None
    assert node.args is not None
    params = {k: in_dtype(v, dtype) for k, v in node.kwargs.items()}
    given = [in_dtype(v, dtype) for v in (node.args if values is None else values)]
    parents: list[Node | None] = [
        None if p is None else Leaf(wrap(np.broadcast_to(np.zeros((), dtype), p.shape))) for p in node.parents
    ]
    if values is None:
        made: Node = Node.__new__(Node)
        made.shape, made.dtype, made.order, made.extras = node.shape, dtype, node.order, None
        made.primitive, made.parents, made.kwargs = primitive, tuple(parents), params
        made.args = tuple(given)
        made.out = None if node.out is None else in_dtype(node.out, dtype)
        return made
    out = primitive.forward(*given, **{k: v for k, v in params.items() if k != "residual"})
    if "residual" in primitive.saves:
        out, params["residual"] = out
    return primitive.record(np.asarray(out), given, parents, params)


def in_dtype(value: Any, dtype: np.dtype[Any]) -> Any:
    """Floats, and names of float dtypes, as ``dtype``: arrays, what stands for them, and tuples of them."""
    if isinstance(value, np.ndarray):
        return value.astype(dtype) if value.dtype.kind == "f" else value
    if isinstance(value, Spec):
        return Spec(value.shape, dtype if value.dtype.kind == "f" else value.dtype)
    if isinstance(value, np.dtype):
        return dtype if value.kind == "f" else value
    if type(value) is tuple:
        return tuple(in_dtype(v, dtype) for v in value)
    return value


def saved_arrays(node: Node) -> dict[str, Array]:
    """The arrays that a node holds for its rules and statements, by name."""
    assert node.primitive is not None
    assert node.args is not None
    found = {node.primitive.argument(k): a for k, a in enumerate(node.args)}
    found.update({"out": node.out, **node.kwargs})
    return {name: a for name, a in found.items() if isinstance(a, np.ndarray)}


def jittered(node: Node, size: float, random: np.random.Generator) -> Node:
    """The same node with all that it saved off by some of the last digits."""

    def jitter(value: Any) -> Any:
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            return value * np.asarray(1 + size * random.uniform(-1, 1, value.shape), value.dtype)
        return tuple(map(jitter, value)) if type(value) is tuple else value

    assert node.args is not None
    made: Node = Node.__new__(Node)
    made.shape, made.dtype, made.order, made.extras = node.shape, node.dtype, node.order, None
    made.primitive, made.parents = node.primitive, node.parents
    made.kwargs = {k: jitter(v) for k, v in node.kwargs.items()}
    made.args, made.out = tuple(map(jitter, node.args)), jitter(node.out)
    return made


# ------------------------------------------------------------------------------------------------ the audit


class ArgumentAudit:
    """The state of one audit: the node, its copy, and what was found so far."""

    def __init__(
        self, node: Node, index: int, values: Sequence[Any] | None, settings: Settings, place: Place | None
    ) -> None:
        primitive, parent = node.primitive, node.parents[index]
        assert primitive is not None
        assert parent is not None
        assert node.args is not None
        self.node, self.index, self.settings, self.place = node, index, settings, place
        self.primitive = primitive
        self.out_shape, self.in_shape = node.shape, parent.shape
        self.size = int(np.prod(self.out_shape)), int(np.prod(self.in_shape))
        if values is None and not any(isinstance(a, Spec) for a in node.args):
            values = node.args
        self.values = values
        self.random = np.random.default_rng([settings.seed, node.order, index])
        self.errors: dict[str, float] = {}
        self.probed = self.size[0] * self.size[1] > settings.limit
        # Sums of many terms round more often; a thousand of them stay well within the tolerance.
        self.exact = settings.exact * max(1.0, max(self.size) ** 0.5 / 1000)
        self.structure, self.density = "", float("nan")
        self.kinks = self.without_numbers = ""

    def row(self, g: Any) -> Row:
        verdict, message = "ok", ""
        try:
            if "contracts" in self.settings.checks or "finite" in self.settings.checks:
                self.contracts(g.array if isinstance(g, Variable) else np.asarray(g))
            self.derivatives(recorded=isinstance(g, Variable))
            if self.kinks:
                verdict, message = "kink", self.kinks
            elif self.without_numbers:
                verdict, message = "unchecked", self.without_numbers
        except Fault as fault:
            verdict, message = fault.verdict, fault.message
        return Row(
            op=self.primitive.name,
            argument=self.primitive.argument(self.index),
            node=self.node.order,
            out_shape=self.out_shape,
            in_shape=self.in_shape,
            verdict=verdict,
            message=message,
            structure=self.structure,
            density=self.density,
            errors=self.errors,
            place=self.place,
            probed=self.probed,
        )

    # ---------------------------------------------------------------------------------------- contracts

    def contracts(self, g: Array) -> None:
        """Run the rule as the walk is about to, and look at what it does besides the right thing."""
        node, checks = self.node, self.settings.checks
        lead = g.ndim - len(self.out_shape)
        held = saved_arrays(node)
        kept = {name: a.copy() for name, a in held.items()}
        given = g.copy()
        c = self._run(node, given)
        again = self._run(node, g.copy())
        if c is None:  # zero, said shortly
            return
        if "contracts" in checks:
            if not _same(given, g):
                raise Fault(
                    "mutates", "its VJP rule changes the cotangent that it is given; let it compute a new array"
                )
            for name, before in kept.items():
                if not _same(held[name], before):
                    held[name][...] = before
                    raise Fault("mutates", f"its VJP rule changes '{name}', which the graph saved")
            for name, array in held.items():
                if _overlap(c, array):
                    raise Fault("aliases", f"its VJP rule returns the memory of '{name}', which the graph saved")
            if again is not None and not _overlap(c, given) and _overlap(c, again):
                raise Fault("aliases", "its VJP rule returns the same memory each time; let it allocate a new array")
            if again is None or not np.allclose(c, again, rtol=1e-9, atol=0, equal_nan=True):
                raise Fault("not repeatable", "its VJP rule returns something else when it is called again")
            self._shaped(c, lead)
            allowed = {node.dtype, node.parents[self.index].dtype}  # type: ignore[union-attr]
            if c.dtype not in allowed:
                raise Fault(
                    "wrong dtype",
                    f"its VJP rule returns {c.dtype} from a cotangent of {g.dtype}; a float64 scalar, as "
                    "np.float64(2), or an array made without dtype= does that",
                )
        if "finite" in checks and np.isfinite(g).all() and not np.isfinite(c).all():
            where = np.argwhere(~np.isfinite(c))[0]
            raise Fault(
                "not finite",
                f"its VJP rule makes {c[tuple(where)]} of a finite cotangent, first at {_tuple(where[lead:])} of the "
                f"argument ({np.sum(~np.isfinite(c))} of {c.size} entries)",
            )

    def _run(self, node: Node, g: Array) -> Array | None:
        """The rule's answer as it is; None for zero."""
        try:
            c = self.primitive.pull_back(node, self.index, g)
        except UnsavedError as error:
            _unsaved("its VJP rule", error)
        except Exception as error:
            lead = g.ndim - len(self.out_shape)
            hint = " (count axes from the end: cotangents may have leading axes)" if lead else ""
            raise Fault(
                "raises",
                f"its VJP rule raised {type(error).__name__} on a cotangent of shape {g.shape}{hint}: {error}",
            ) from error
        return None if c is None else np.asarray(c)

    def _shaped(self, c: Array, lead: int) -> Array:
        """The cotangent, summed over what was broadcast."""
        if c.shape[lead:] == self.in_shape:
            return c
        try:
            return np.asarray(graph.unbroadcast(c, self.in_shape, lead))
        except ValueError as error:
            raise Fault(
                "wrong shape",
                f"its VJP rule returns shape {c.shape[lead:]} for an argument of shape {self.in_shape}"
                + (f", after {lead} leading axes" if lead else ""),
            ) from error

    def pull(self, node: Node, u: Array) -> Array:
        """The rule, made to fit its argument as the engine does it."""
        c, lead = self._run(node, u.copy()), u.ndim - len(self.out_shape)
        if c is None:
            return np.zeros(u.shape[:lead] + self.in_shape, u.dtype)
        if c.ndim < lead or c.shape[:lead] != u.shape[:lead]:
            raise Fault(
                "wrong shape",
                f"its VJP rule makes shape {c.shape} of a cotangent with leading axes {u.shape[:lead]}, which must be "
                "in front of the result too; count axes from the end",
            )
        return self._shaped(c, lead)

    def stated(self, node: Node) -> Jacobian:
        try:
            J = self.primitive.statement(node, self.index)
        except UnsavedError as error:
            _unsaved("its Jacobian statement", error)
        except ShapeError as error:
            raise Fault("wrong shape", f"its Jacobian statement does not fit its argument: {error}") from error
        except Exception as error:
            raise Fault("raises", f"its Jacobian statement raised {type(error).__name__}: {error}") from error
        if (J.out_shape, J.in_shape) != (self.out_shape, self.in_shape):
            raise Fault(
                "wrong shape",
                f"its Jacobian statement is {J.in_shape} → {J.out_shape}, the op {self.in_shape} → {self.out_shape}",
            )
        return J

    # ---------------------------------------------------------------------------------------- derivatives

    def derivatives(self, recorded: bool) -> None:
        """Checks (a), (b), (c), on the copy in the reference dtype."""
        checks = self.settings.checks
        node = reference(self.node, self.values, self.settings.dtype)
        J = self.stated(node)
        self.structure = J.structure
        if not self.probed or J.counts_cheaply:
            self.density = J.density
        if "vjp" in checks:
            self.rule_against_statement(node)
        if "adjoint" in checks:
            self.adjointness(node, recorded)
        if "numerical" in checks and self.values is None:
            self.without_numbers = "recorded outside of debug mode, which therefore does not know its values"
        elif "numerical" in checks and min(self.size):
            self.against_numbers(J)

    def rule_against_statement(self, node: Node) -> None:
        """(a): the rule on the identity is the dense statement; on random cotangents where that is too large."""
        m, n = self.size
        if self.probed:
            U = self._normal((PROBES, *self.out_shape))
        else:
            U = np.eye(m, dtype=node.dtype).reshape(m, *self.out_shape)

        def pair(node: Node) -> tuple[Array, Array, Array]:
            J = self.stated(node)
            found = self.pull(node, U).reshape(len(U), n)
            if self.probed:
                expected = np.asarray(J.vjp(U)).reshape(len(U), n)
                return found, expected, _scale(found, expected, _judged(J))
            expected = J.dense()
            return found, expected, _scale(found, expected, "rows")

        ratio, found, expected = self._deviation(pair, node)
        self._note("vjp", ratio)
        if not (ratio > self.exact).any():
            return
        i, j = np.unravel_index(np.argmax(ratio), ratio.shape)
        told = self._numbers_at(U[i], int(j)) if self.values is not None else None
        verdict = _who_is_wrong(float(found[i, j]), float(expected[i, j]), told)
        wrong, right = (expected, found) if verdict == "wrong statement" else (found, expected)
        if not self.probed and verdict != "wrong statement" and self._right_without_leading_axes(node, expected):
            hint: str | None = "it is right without leading axes and wrong with them: count axes from the end"
        else:
            hint = self._diagnosis(wrong, right, ratio > self.exact)
        at = "pulling back a random cotangent, at input" if self.probed else f"at output {self._out(int(i))}, input"
        numbers = "" if told is None else f", the numbers {_with_error(*told)}"
        values = f"the VJP rule gives {found[i, j]:.9g}, the Jacobian statement {expected[i, j]:.9g}{numbers}"
        raise Fault(verdict, _sentence(f"{at} {self._in(int(j))}, {values}", hint))

    def _right_without_leading_axes(self, node: Node, D: Array) -> bool:
        eye = np.eye(len(D), dtype=D.dtype).reshape(len(D), *self.out_shape)
        rows = np.stack([self.pull(node, u).reshape(-1) for u in eye])
        return bool((np.abs(rows - D) <= self.exact * _scale(rows, D, "rows")).all())

    def adjointness(self, node: Node, recorded: bool) -> None:
        """(b): ⟨u, J v⟩ = ⟨Jᵀ u, v⟩, with Jᵀu by the rule, without leading axes, and by the statement."""
        u, v = self._normal(self.out_shape), self._normal(self.in_shape)
        accumulate = self.primitive.accumulate and self.primitive.accumulate[self.index]

        def pair(node: Node) -> tuple[Array, Array, Any]:
            J = self.stated(node)
            pushed, pulled = np.asarray(J.jvp(v)), [self.pull(node, u), np.asarray(J.vjp(u))]
            if recorded:
                pulled.append(self._recorded(node, u))
            if accumulate is not None:
                assert node.args is not None
                total = v.copy()
                accumulate(total, u.copy(), node if node.out is None else node.out, *node.args, **node.kwargs)
                pulled.append(total - v)
            right = np.array([(c * v).sum() for c in pulled])
            left = np.full(len(pulled), (u * pushed).sum())
            terms = max(np.sum(np.abs(u * pushed)) + np.sum(np.abs(pulled[0] * v)), 1e-300)
            return right, left, np.full(len(pulled), terms)

        ratio, right, left = self._deviation(pair, node)
        self._note("adjoint", ratio)
        bad = np.flatnonzero(ratio > self.exact)
        if len(bad):
            culprits = [
                ("wrong VJP", "its VJP rule, on a cotangent without leading axes,"),
                ("wrong statement", "the vjp of its Jacobian statement"),
                *([("wrong VJP", "its VJP rule under create_graph")] if recorded else []),
                ("wrong VJP", "what its accumulate= adds"),
            ]
            verdict, what = culprits[bad[0]]
            if len(bad) == len(ratio):  # then it is what they all are compared with
                verdict, what = "wrong statement", "the jvp of its Jacobian statement"
            raise Fault(
                verdict,
                f"{what} is not adjoint to the others: for random u and v, ⟨Jᵀu, v⟩ is {right[bad[0]]:.9g}, "
                f"⟨u, J v⟩ {left[bad[0]]:.9g}",
            )
        if not self.probed:
            self._products_agree(node, u, v)

    def _products_agree(self, node: Node, u: Array, v: Array) -> None:
        """The statement's own products against its dense matrix."""

        def pair(node: Node) -> tuple[Array, Array, Array]:
            J = self.stated(node)
            D = J.dense()
            found = np.concatenate([np.asarray(J.jvp(v)).reshape(-1), np.asarray(J.vjp(u)).reshape(-1)])
            expected = np.concatenate([D @ v.reshape(-1), u.reshape(-1) @ D])
            terms = np.abs(D) @ np.abs(v).reshape(-1), np.abs(u).reshape(-1) @ np.abs(D)
            sizes = [np.full(t.shape, max(largest(t), 1e-300)) for t in terms]
            return found, expected, np.concatenate(sizes)

        ratio, _, _ = self._deviation(pair, node)
        self._note("adjoint", ratio)
        bad = np.flatnonzero(ratio > self.exact)
        if len(bad):
            product = "jvp" if bad[0] < self.size[0] else "vjp"
            raise Fault(
                "wrong statement", f"the {product} of its Jacobian statement is not the product with its dense()"
            )

    def _recorded(self, node: Node, u: Array) -> Array:
        """The rule as it runs under ``create_graph``: on Tensors."""
        try:
            c = self.primitive.pull_back_recorded(node, self.index, wrap(u.copy()))
        except Exception as error:
            raise Fault("raises", f"its VJP rule, on Tensors, raised {type(error).__name__}: {error}") from error
        return self._shaped(np.zeros_like(u) if c is None else c.array, 0)

    # ---------------------------------------------------------------------------------------- numbers

    def function(self) -> Callable[[Array], Array]:
        """The op as a function of this argument alone."""
        assert self.values is not None
        double = np.dtype(np.float64)
        values = [in_dtype(v, double) for v in self.values]
        params = {k: in_dtype(v, double) for k, v in self.node.kwargs.items() if k != "residual"}

        def f(x: Array) -> Array:
            try:
                out = self.primitive.forward(*values[: self.index], x, *values[self.index + 1 :], **params)
            except (ArithmeticError, ValueError):  # beside the domain, as where a matrix is not positive definite
                return np.full(self.out_shape, np.nan)
            return np.asarray(out[0] if "residual" in self.primitive.saves else out)

        return f

    def against_numbers(self, J: Jacobian) -> None:
        """(c): the statement against the numerical derivative, entry by entry or along random directions."""
        assert self.values is not None
        f, x = self.function(), np.asarray(self.values[self.index], dtype=np.float64)
        if not np.allclose(f(x), f(x), rtol=1e-9, atol=0, equal_nan=True):
            self.without_numbers = "its forward gives other values each time, random ones perhaps"
            return
        m, n = self.size
        by_entry = not self.probed and n * n <= self.settings.limit
        if by_entry:
            numbers, stated = numerical.jacobian(f, x), J.dense()
        else:
            size = numerical.scales(x if _judged(J) == "entries" else np.max(np.abs(x)))
            directions = [size * self.random.choice([-1.0, 1.0], x.shape), size * self.random.standard_normal(x.shape)]
            numbers = _side_by_side([numerical.directional(f, x, v) for v in directions])
            stated = np.stack([np.asarray(J.jvp(v)).reshape(m) for v in directions], axis=1)
        scale = _scale(numbers.value, stated, "rows" if by_entry else _judged(J))
        refuted = _refuted(stated, numbers, scale, NUMERICAL_DOUBT)
        kinks = numbers.kinks & ~(np.abs(numbers.right - numbers.left) <= 1e-3 * scale)
        close = _refuted(stated, numbers, scale, 1.0)
        for j in np.flatnonzero((kinks | (refuted > NUMERICAL_TOLERANCE)).any(axis=0)):
            v = np.eye(n)[j].reshape(x.shape) * numerical.scales(x) if by_entry else directions[j]
            unit = v.reshape(-1)[j] if by_entry else 1.0
            value, error, kink = _plain_derivative(f, x, v)
            kinks[:, j] &= kink
            off = np.fmax(np.abs(stated[:, j] - value / unit) - error / unit, 0.0) / scale[:, j]
            refuted[:, j], close[:, j] = np.fmin(refuted[:, j], off), np.fmin(close[:, j], off)
            if (refuted[:, j] > NUMERICAL_TOLERANCE).any():
                i = int(np.argmax(refuted[:, j]))
                verdict = "both wrong" if J.independent else "wrong VJP"
                raise Fault(verdict, self._numbers_differ(J, stated, numbers, refuted, i, int(j), by_entry))
        self._note("numerical", close)
        if kinks.any():
            self._kinks(numbers, stated, kinks, by_entry)

    def _numbers_differ(
        self,
        J: Jacobian,
        stated: Array,
        numbers: numerical.NumericalJacobian,
        refuted: Array,
        i: int,
        j: int,
        by_entry: bool,
    ) -> str:
        self._note("numerical", refuted)
        if not J.independent:
            said = "backward() gives"
        else:
            said = "the VJP rule and the Jacobian statement agree on" if "vjp" in self.settings.checks else "it states"
        at = f"output {self._out(i)}, " + (f"input {self._in(j)}" if by_entry else "along a direction")
        hint = self._diagnosis(stated, numbers.value, refuted > NUMERICAL_TOLERANCE) if by_entry else None
        found = _with_error(numbers.value[i, j], numbers.error[i, j])
        return _sentence(f"at {at}, {said} {stated[i, j]:.9g}, but the numbers say {found}", hint)

    def _kinks(self, numbers: numerical.NumericalJacobian, stated: Array, kinks: Array, by_entry: bool) -> None:
        """A convention at a kink must lie between the two one-sided derivatives."""
        left, right = numbers.left, numbers.right
        low, high = np.fmin(left, right), np.fmax(left, right)
        slack = 1e-6 * np.fmax(np.abs(low), np.abs(high)) + 10 * np.where(np.isfinite(numbers.error), numbers.error, 0)
        outside = kinks & ~np.isinf(low) & ~((stated >= low - slack) & (stated <= high + slack))
        show = outside if outside.any() else kinks
        i, j = (int(k) for k in np.argwhere(show)[0])
        at = f"output {self._out(i)}, input {self._in(j)}" if by_entry else f"output {self._out(i)}, along a direction"
        said = (
            f"at {at} the derivative is {left[i, j]:.6g} from the left and {right[i, j]:.6g} from the right; the "
            f"convention takes {stated[i, j]:.6g}"
        )
        if outside.any() and by_entry:
            raise Fault("both wrong", f"{said}, which is not between them")
        count = np.count_nonzero(kinks)
        self.kinks = said + (f" ({count} such entries)" if count > 1 else "")

    def _numbers_at(self, u: Array, j: int) -> tuple[float, float] | None:
        """The numerical derivative of ⟨u, f⟩ with respect to entry j, and its error; None where there is none."""
        assert self.values is not None
        f, x = self.function(), np.asarray(self.values[self.index], dtype=np.float64)
        weight = np.asarray(u, dtype=np.float64)
        found = numerical.jacobian(lambda x: np.where(weight != 0, weight * f(x), 0.0).sum(), x, columns=[j])
        value, error = float(found.value[0, 0]), float(found.error[0, 0])
        return None if found.kinks.any() or not np.isfinite(error) else (value, error)

    # ---------------------------------------------------------------------------------------- what they share

    def _normal(self, shape: tuple[int, ...]) -> Array:
        return self.random.standard_normal(shape).astype(self.settings.dtype)

    def _note(self, check: str, ratio: Array) -> None:
        self.errors[check] = max(self.errors.get(check, 0.0), float(np.max(ratio, initial=0.0)))

    def _deviation(self, pair: Pair, node: Node) -> tuple[Array, Array, Array]:
        """How far what was found is from what was expected, as a part of the scale; what both are.

        Where the expected is not finite, nothing is compared. What jitter in the last digits explains is subtracted.
        """
        found, expected, scale = pair(node)
        off = _off(found, expected)
        ratio = off / scale
        if (ratio > self.exact).any():
            ratio = np.maximum(off - 8 * self._rounding(pair, node, found, expected), 0.0) / scale
        return ratio, found, expected

    def _rounding(self, pair: Pair, node: Node, found: Array, expected: Array) -> Array:
        """How far both move when what was saved is jittered by a few units in the last place.

        A jitter a thousand times larger must move them accordingly: where it does not, they jump (a tie is broken),
        and a jump is no rounding.
        """
        eps = float(np.finfo(node.dtype).eps)
        small, large = (
            np.max([sum(map(_off, pair(moved)[:2], (found, expected))) for moved in some], axis=0)  # type: ignore[arg-type]
            for some in ([jittered(node, size * eps, self.random) for _ in range(3)] for size in (4, 4096))
        )
        return np.where((large > 30 * small) & (large < 30_000 * small), small, 0.0)

    def _out(self, i: int) -> tuple[int, ...]:
        return _tuple(np.unravel_index(i, self.out_shape))

    def _in(self, j: int) -> tuple[int, ...]:
        return _tuple(np.unravel_index(j, self.in_shape))

    def _diagnosis(self, stated: Array, found: Array, wrong: Array) -> str | None:
        """What kind of mistake it is; of a matrix that was not written down only the wrong entries are shown."""
        if largest(stated - found) < 1e-4 * largest(found):  # it nearly is what it should be, and so nearly anything
            return None
        if self.probed:
            stated, found, wrong = stated[wrong][None], found[wrong][None], wrong[wrong][None]
        return diagnose(stated, found, wrong, self.out_shape, self.in_shape)


# ------------------------------------------------------------------------------------------------ judgements


def _who_is_wrong(rule: float, statement: float, told: tuple[float, float] | None) -> str:
    """Which of two values the numerical derivative refutes."""
    if told is None:
        return "VJP ≠ statement"
    value, error = told
    apart, off_rule, off_statement = abs(rule - statement), abs(rule - value), abs(statement - value)
    if apart <= 4 * error:
        return "VJP ≠ statement"
    if min(off_rule, off_statement) > 10 * error + 0.1 * apart:
        return "both wrong"
    return "wrong VJP" if not off_rule <= off_statement else "wrong statement"


def largest(array: Array) -> float:
    """The largest absolute value among the finite ones."""
    return float(np.max(np.abs(array), initial=0.0, where=np.isfinite(array)))


def _scale(found: Array, expected: Array, judged: Literal["rows", "entries", "together"]) -> Array:
    """What a deviation is relative to: the largest entry of both matrices, as the kind of size that rounding has.

    ``"rows"`` with a single entry, as those of elementwise functions, are judged by that entry, as far as it is not a
    hundred times smaller than the largest; likewise each of ``"entries"`` that have nothing to do with each other.
    """
    size = np.fmax(np.where(np.isfinite(found), np.abs(found), 0), np.where(np.isfinite(expected), np.abs(expected), 0))
    overall = largest(size)
    scale: Any = overall
    if judged == "entries":
        scale = size
    elif judged == "rows":
        rows = np.max(size, axis=1, initial=0.0, keepdims=True)
        scale = np.where(np.count_nonzero(expected, axis=1, keepdims=True) <= 1, rows, overall)
    least = max(1e-2 * overall, 1e-300)
    return np.broadcast_to(np.fmax(np.asarray(scale, dtype=np.float64), least), size.shape)


def _judged(J: Jacobian) -> Literal["entries", "together"]:
    """How products with a Jacobian are judged: each entry alone where it depends on one other alone."""
    return "entries" if isinstance(J, (Diagonal, Identity, Selection)) else "together"


def _off(found: Array, expected: Array) -> Array:
    """The distance; none where the expected is not finite, infinite where the found alone is not."""
    column = np.isfinite(expected).all(axis=0)  # 0 * inf in a rule spoils the whole column of an infinite derivative
    off = np.where(column & np.isfinite(expected), np.abs(found - expected), 0.0)
    return np.where(np.isnan(off), np.inf, off)


def _refuted(stated: Array, numbers: numerical.NumericalJacobian, scale: Array, doubt: float) -> Array:
    """How far a statement is from the numbers, beyond some times their error; 0 where they know nothing."""
    trusted = np.isfinite(numbers.error) & np.isfinite(stated) & ~numbers.kinks
    return np.where(trusted, np.maximum(np.abs(stated - numbers.value) - doubt * numbers.error, 0.0) / scale, 0.0)


def _plain_derivative(f: Callable[[Array], Array], x: Array, v: Array) -> tuple[Array, Array, Array]:
    """The derivative along ``v`` once more, its error, and whether there is a kink: a second opinion, by other means.

    Plain differences at many steps, the best of which is where neighbours agree. Robust where extrapolation is
    deceived: a forward may move in steps of its last digits, and not at all where these are too coarse, as
    ``log(1 + exp(x))`` at -20.
    """
    steps = 0.731 * 2.0 ** -np.arange(0, 46, 3.0)[:, None]
    start = f(x).reshape(-1)
    ahead, behind = (np.stack([f(x + s * t * v).reshape(-1) for t in steps[:, 0]]) - start for s in (1, -1))
    moves = np.abs(np.concatenate([ahead, behind]))
    most = np.fmax.reduce(moves, axis=0)
    jump = np.fmax(np.abs(ahead[-1]), np.abs(behind[-1])) > 1e-6 * most
    digit = np.min(moves, axis=0, initial=np.inf, where=moves > 0)
    tiny = digit <= 64 * EPS * np.fmax(most, np.abs(start))
    noise = np.where(tiny, digit, 4 * EPS * np.abs(start)) / steps
    both, right, left = ((ahead - behind) / (2 * steps), ahead / steps, -behind / steps)
    uncertain = [np.abs(q - np.roll(q, -1, axis=0))[:-1] + noise[1:] for q in (both, right, left)]
    best = [np.nanargmin(np.where(np.isnan(e), np.inf, e), axis=0)[None] for e in uncertain]
    value, right, left = (np.take_along_axis(q, k, 0)[0] for q, k in zip((both, right, left), best))
    error, more, less = (4 * np.take_along_axis(e, k, 0)[0] for e, k in zip(uncertain, best))
    return value, np.where(np.isnan(error), np.inf, error), jump | ~(np.abs(right - left) <= more + less)


def _side_by_side(columns: list[numerical.NumericalJacobian]) -> numerical.NumericalJacobian:
    def together(name: str) -> Array:
        return np.concatenate([getattr(c, name) for c in columns], axis=1)

    return numerical.NumericalJacobian(
        together("value"),
        together("error"),
        together("kinks"),
        together("left"),
        together("right"),
        "along directions",
        0,
    )


def _with_error(value: float, error: float) -> str:
    return f"{value:.9g} ± {error:.0e}"


def _sentence(said: str, hint: str | None) -> str:
    return f"{said}; {hint}" if hint else said


def _same(a: Array, b: Array) -> bool:
    return np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def _overlap(a: Array, b: Array) -> bool:
    return a.size > 0 and np.may_share_memory(a, b) and np.shares_memory(a, b)


def _tuple(index: Any) -> tuple[int, ...]:
    return tuple(int(k) for k in index)


def _unsaved(what: str, error: UnsavedError) -> NoReturn:
    raise Fault("reads unsaved", f"{what} reads values that the primitive does not save: {error}; name them in saves=")
