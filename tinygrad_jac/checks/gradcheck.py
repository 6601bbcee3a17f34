"""`gradcheck` and `gradgradcheck`: gradients against numerical derivatives, and against what every rule promises."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np

from .. import graph
from ..graph import Node, Observer
from . import numerical
from .audit import ArgumentAudit, Fault, Settings
from .diagnosis import Floats, diagnose
from .evaluation import BLOCK, GradcheckError, Gradient, KinkError, Point, at_index, listed, random_cotangents, same

__all__ = ["GradcheckError", "KinkError", "gradcheck", "gradgradcheck"]

RTOL = 1e-8  # of an entry: what quick differences are good for, and finer than float32
FLOOR = 1e-12  # of the largest entries of its row and column: rounding, where an entry is a difference of large terms
KEPT = 2**22  # entries of a numerical Jacobian that are kept for the diagnosis; of larger ones, the wrong entries
SHOWN = 6  # wrong entries in a message


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float | None = None,
    atol: float | None = None,
    rtol: float | None = None,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Check the gradients of a function of Tensors against numerical derivatives, entry by entry.

    Every entry of the Jacobian is compared: the one that a walk back gives, seeded with the identity, and the one of
    `numerical.jacobian`. They may differ by ``rtol`` of the entry, by rounding on the scale of the entry's own row and
    column, and by twice the estimated error of the numerical derivative; the size of the arrays does not enter, and
    tiny functions are held to the same digits as large ones. Besides, each VJP rule that is visited is held to its
    promises: it changes nothing that it is given, gives the same twice, gives zero for zero, is linear, takes leading
    axes, and returns the dtype and shape it should.

    Parameters
    ----------
    func : callable
        A function of Tensors that returns a Tensor or a tuple of Tensors. Of a module (anything with
        ``named_parameters()``) every parameter is checked by name.
    inputs : Tensor, or sequence of Tensor and other arguments
        Tensors that require a gradient are checked, in float64 whatever their dtype; the others are constants.
    eps : float, optional
        The largest step of the numerical derivative. By default it fits each entry's size.
    atol : float, optional
        An absolute tolerance in the place of the one for rounding. Rarely what is wanted.
    rtol : float, optional
        Of each entry; 1e-8 by default.
    raise_exception : bool
        Raise where the check fails; otherwise return False.
    nondet_tol : float
        By how much two runs of the same may differ, beyond rounding.
    check_undefined_grad : bool
        Check that zero cotangents give zero gradients.
    check_grad_dtypes, check_batched_grad
        Always checked; for compatibility.
    check_forward_ad, check_batched_forward_grad : bool
        Check the Jacobian that the primitives state, pushed forward along the graph, in the same way.
    check_backward_ad : bool
        Whether to check what the walk back gives.
    fast_mode : bool
        Compare a few random projections uᵀJv instead of all entries: a few evaluations in all. What fails is checked in
        full, to say what is wrong.
    masked : bool, optional
        Ignored: there are no sparse tensors.

    Returns
    -------
    bool
        True; False where the check fails and ``raise_exception`` is False.

    Raises
    ------
    GradcheckError
        What is wrong: the input by index or name, the entries with both values, and a diagnosis where one fits.
    KinkError
        The point is at a kink, such as ``abs`` at 0: move the input a little.
    ValueError
        No input requires a gradient, or both modes are switched off.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac.checks.gradcheck import gradcheck
    >>> x = tj.tensor([[0.5, -2.0]], dtype=tj.float64, requires_grad=True)
    >>> gradcheck(lambda x: (x * x).exp(), x)
    True
    >>> try:
    ...     gradcheck(lambda x: x * x.detach(), x)
    ... except tj.checks.gradcheck.GradcheckError as error:
    ...     print(error)
    the gradient with respect to input 0, shape (1, 2), is wrong in 2 of 4 entries.
        output   input  analytical  numerical  ± error
        (0, 0)  (0, 0)         0.5          1    ...
        (0, 1)  (0, 1)          -2         -4    ...
    Diagnosis: a constant factor: it is 0.5 times the derivative: a term missing, of an input that is used twice.
    """
    if not (check_forward_ad or check_backward_ad):
        raise ValueError("there is nothing to check: pass check_backward_ad=True or check_forward_ad=True")
    point = Point(func, inputs)
    if point.single:
        warnings.warn(
            f"{', '.join(point.single)} of gradcheck: not float64, but evaluated in float64 all the same; a cast to "
            "float32 inside of the function stays",
            stacklevel=2,
        )
    tolerance = _Tolerance(RTOL if rtol is None else rtol, atol, eps)
    try:
        with point, np.errstate(all="ignore"):  # what is not finite is reported, in better words
            point.start(nondet_tol)
            modes = {}
            if check_backward_ad:
                _check_rules(point, nondet_tol, zero=check_undefined_grad)
                if fast_mode and _projections_agree(point, tolerance) and not check_forward_ad:
                    return True
                modes["gradient"] = point.pulled_back
            if check_forward_ad or check_batched_forward_grad:
                modes["forward-mode derivative"] = point.pushed_forward
            _compare(point, modes, tolerance)
            point.check_repeatable(nondet_tol, "after many evaluations")
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float | None = None,
    atol: float | None = None,
    rtol: float | None = None,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """Check second derivatives: `gradcheck` of the gradient, as recorded with ``create_graph=True``.

    The numerical side differentiates the gradient that is *not* recorded, so that the two ways in which a rule runs, on
    arrays and on Tensors, are held against each other too.

    Parameters
    ----------
    func, inputs
        As for `gradcheck`.
    grad_outputs : Tensor or sequence of Tensor, optional
        The cotangents of the outputs, in which the gradient is checked as well; random ones if left out.
    gen_non_contig_grad_outputs : bool
        Make the random ones non-contiguous.
    check_fwd_over_rev, check_rev_over_rev : bool
        As ``check_forward_ad`` and ``check_backward_ad`` of `gradcheck`, of which the rest has its meaning.

    Returns
    -------
    bool

    Raises
    ------
    GradcheckError, KinkError, ValueError
        As `gradcheck`. Input numbers beyond those of ``func`` are cotangents.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac.checks.gradcheck import gradgradcheck
    >>> x = tj.tensor([0.5, -2.0], dtype=tj.float64, requires_grad=True)
    >>> gradgradcheck(lambda x: (x * x).exp(), x)
    True
    """
    given = listed(inputs)
    if grad_outputs is None:
        cotangents = random_cotangents(func, inputs, contiguous=not gen_non_contig_grad_outputs)
    else:
        cotangents = listed(grad_outputs)
    return gradcheck(
        Gradient(func, given, len(cotangents)),
        [*given, *cotangents],
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
        check_undefined_grad=check_undefined_grad,
        check_forward_ad=check_fwd_over_rev,
        check_backward_ad=check_rev_over_rev,
        fast_mode=fast_mode,
    )


@dataclass(frozen=True)
class _Tolerance:
    rtol: float
    atol: float | None
    step: float | None


# ------------------------------------------------------------------------------------------------ promises


class _Promises(Observer):
    """Watches a walk back, and holds each rule that is about to run to what every rule promises."""

    settings = Settings(checks=frozenset({"contracts"}))

    def __init__(self, nondet: float, zero: bool) -> None:
        self.nondet = nondet
        self.zero = zero

    def visited(self, node: Node, g: Any) -> None:
        assert node.primitive is not None
        for index, parent in enumerate(node.parents):
            if parent is None:
                continue
            try:
                ArgumentAudit(node, index, None, self.settings, None).contracts(np.asarray(g))
                self._linear(node, index)
            except Fault as fault:
                raise GradcheckError(
                    f"'{node.primitive.name}', argument {node.primitive.argument(index)!r}: {fault.message}"
                ) from fault

    def _linear(self, node: Node, index: int) -> None:
        """The rule is linear in the cotangent, zero included, and takes leading axes."""
        primitive, parent = node.primitive, node.parents[index]
        assert primitive is not None
        assert parent is not None

        def run(u: np.ndarray[Any, Any], lead: int = 0) -> np.ndarray[Any, Any]:
            c = primitive.pull_back(node, index, u)
            return np.zeros(u.shape[:lead] + parent.shape) if c is None else graph.unbroadcast(c, parent.shape, lead)

        g = _away_from_zero(node.shape).astype(node.dtype)
        c = run(g.copy())
        if not np.isfinite(c).all():
            return
        if self.zero and run(np.zeros_like(g)).any():
            raise Fault("not linear", "its VJP rule does not return zero for a zero cotangent")
        if not same(run(-2 * g), -2 * c, self.nondet, 1e-6):
            raise Fault("not linear", "its VJP rule is not linear in the cotangent, as every product with Jᵀ is")
        why = ""
        try:
            several = run(np.stack([g, -2 * g]), 1)
        except Exception as error:
            several, why = np.zeros(0), f" ({type(error).__name__}: {error})"
        if not same(several, np.stack([c, -2 * c]), self.nondet, 1e-6):
            what = "its VJP rule is right for one cotangent, but not for several stacked along a leading axis"
            raise Fault("leading axes", f"{what}: count axes from the end{why}")


def _away_from_zero(shape: tuple[int, ...]) -> Floats:
    random = np.random.default_rng(0)
    return random.uniform(0.5, 1.0, shape) * random.choice([-1.0, 1.0], shape)


def _check_rules(point: Point, nondet: float, zero: bool) -> None:
    """One walk back with a random cotangent, watched, and what it gives: the same twice, and owned by nobody else."""
    u = _away_from_zero((point.size,))
    before = [a.copy() for a in point.arrays]
    thread = threading.get_ident()
    outer = graph.observers.get(thread)
    graph.observers[thread] = _Promises(nondet, zero)
    try:
        gradients = point.gradients(u)
    finally:
        del graph.observers[thread]
        if outer is not None:
            graph.observers[thread] = outer
    point.check_not_changed(before, "the walk back")
    held = [*zip(point.names, point.arrays, strict=True)]
    for name, c, again in zip(point.names, gradients, point.gradients(u), strict=True):
        for other, array in held:
            if np.shares_memory(c, array):
                what = f"the gradient with respect to {name} shares its memory with {other}"
                raise GradcheckError(f"{what}: a rule must return an array of its own")
        held.append((f"the gradient with respect to {name}", c))
        if not same(again, c, nondet):
            raise GradcheckError(f"not repeatable: two walks back give different gradients with respect to {name}")


# ------------------------------------------------------------------------------------------------ comparison


def _projections_agree(point: Point, tolerance: _Tolerance, directions: int = 3) -> bool:
    """Whether uᵀJv is the same from both sides, for a few u and, of each array, a few v."""
    random = np.random.default_rng(0)
    U = random.standard_normal((directions, point.size))
    for k, pulled in enumerate(point.gradients(U)):
        x = point.arrays[k]
        for _ in range(directions):
            v = random.standard_normal(x.shape) * numerical.scales(x)
            found = numerical.directional(point.moved(k), x, v, noise=point.noise)
            terms = pulled * v
            difference = np.abs(U @ found.value[:, 0] - terms.reshape(directions, -1).sum(axis=1))
            size = np.minimum(np.abs(U) @ np.abs(found.value[:, 0]), np.abs(terms).reshape(directions, -1).sum(axis=1))
            allowed = tolerance.rtol * size + (tolerance.atol or 0.0) + 2 * np.abs(U) @ found.error[:, 0]
            if found.kinks.any() or not (difference <= allowed).all():
                return False
    return True


# Entries that disagree, as columns of an array whose rows are these.
ROW, COLUMN, ALLOWED, STATED, FOUND, ERROR, LEFT, RIGHT, KINK = range(9)


def _compare(point: Point, modes: dict[str, Callable[[], list[Floats]]], tolerance: _Tolerance) -> None:
    """Every entry against its numerical derivative, a block of columns at a time.

    Raises
    ------
    GradcheckError, KinkError
    """
    jacobians = {what: jacobian() for what, jacobian in modes.items()}
    for k, x in enumerate(point.arrays):
        if not (x.size and point.size):
            continue
        stated = {what: of[k] for what, of in jacobians.items()}
        rounding = {what: _rounding(J, point.start_values, x, tolerance) for what, J in stated.items()}
        wrong: dict[str, list[Floats]] = {what: [] for what in stated}
        fn = point.moved(k)
        whole = np.empty((point.size, x.size)) if point.size * x.size <= KEPT else None
        block = max(1, BLOCK // 4 // point.size)
        for first in range(0, x.size, block):
            columns = np.arange(first, min(first + block, x.size))
            number = numerical.jacobian(fn, x, columns=columns, step=tolerance.step, noise=point.noise)
            for what, J in stated.items():
                number, entries = _check_block(
                    fn, x, J, columns, number, tolerance, rounding[what](columns), point.noise
                )
                wrong[what].append(entries)
            if whole is not None:
                whole[:, columns] = number.value
        for what, blocks in wrong.items():
            entries = np.concatenate(blocks, axis=1)
            if entries.size:
                entries = entries[:, ~_only_rounded(point, k, modes[what], entries)]
            if entries.size:
                _report(point, k, what, stated[what], whole, entries)


def _only_rounded(point: Point, k: int, jacobian: Callable[[], list[Floats]], entries: Floats) -> Any:
    """Which entries differ by no more than what other rounding errors on the way would make of them.

    Where large terms cancel inside of a rule (1 - out² of a saturated tanh), the gradient cannot be exact.
    """
    rows, columns = entries[[ROW, COLUMN]].astype(np.int64)
    scatter = np.zeros(entries.shape[1])
    for seed in range(4):
        with point.rounded_otherwise(seed):
            scatter = np.fmax(scatter, np.abs(jacobian()[k][rows, columns] - entries[STATED]))
    off = np.abs(entries[STATED] - entries[FOUND])
    return (off <= entries[ALLOWED] + 4 * scatter) & (entries[KINK] == 0)


def _rounding(J: Floats, values: Floats, x: np.ndarray[Any, Any], tolerance: _Tolerance) -> Callable[[Any], Any]:
    """For some columns, what is allowed for rounding in each entry.

    An entry may be the difference of terms as large as the largest in its row and its column. And it may be computed
    from the output, as 1 - out² is for tanh, whose last digit it cannot know.
    """
    if tolerance.atol is not None:
        return lambda columns: tolerance.atol
    rows = np.nan_to_num(np.maximum(J.max(axis=1), -J.min(axis=1)), posinf=0.0)[:, None]
    inputs = np.nan_to_num(np.maximum(J.max(axis=0), -J.min(axis=0)), posinf=0.0)
    hidden, scales = 16 * numerical.EPS * np.abs(values)[:, None], numerical.scales(x.reshape(-1))
    return lambda columns: FLOOR * np.minimum(rows, inputs[columns]) + hidden / scales[columns]


def _check_block(
    fn: Callable[[Any], Any],
    x: np.ndarray[Any, Any],
    J: Floats,
    columns: np.ndarray[Any, Any],
    number: numerical.NumericalJacobian,
    tolerance: _Tolerance,
    floor: Floats,
    noise: Floats,
) -> tuple[numerical.NumericalJacobian, Floats]:
    """Compare some columns; those that disagree are differentiated again, with every step there is."""
    part = J[:, columns]

    def off(slack: Any) -> Any:
        difference = np.where(part == number.value, 0.0, np.abs(part - number.value))
        allowed = tolerance.rtol * np.abs(number.value) + floor + slack
        allowed = np.where(np.isfinite(allowed), allowed, 0.0)
        return ~(difference <= allowed), allowed

    with np.errstate(all="ignore"):
        suspects = np.flatnonzero((off(0.0)[0] | number.kinks).any(axis=0))
        if len(suspects):
            number = _refined(fn, x, columns, suspects, number, tolerance.step, noise)
        bad, allowed = off(2 * number.error)
        bad |= number.kinks
    i, j = np.nonzero(bad)
    entries = (i, columns[j], *(a[i, j] for a in (allowed, part, number.value, number.error)))
    return number, np.stack([*entries, *(a[i, j] for a in (number.left, number.right, number.kinks))]).astype(float)


def _refined(
    fn: Callable[[Any], Any],
    x: np.ndarray[Any, Any],
    columns: np.ndarray[Any, Any],
    suspects: np.ndarray[Any, Any],
    number: numerical.NumericalJacobian,
    step: float | None,
    noise: Floats,
) -> numerical.NumericalJacobian:
    """The derivatives with the suspects among the columns taken again by the whole ladder of steps."""
    again = numerical.jacobian(fn, x, method="ridders", columns=columns[suspects], step=step, noise=noise)
    value, error = number.value[:, suspects], number.error[:, suspects]
    keep = (np.abs(value - again.value) <= 2 * (error + again.error)) & (error <= again.error) & ~again.kinks
    again.value[keep], again.error[keep] = value[keep], error[keep]
    made = replace(number, **{n: getattr(number, n).copy() for n in ("value", "error", "left", "right", "kinks")})
    for name in ("value", "error", "left", "right", "kinks"):
        getattr(made, name)[:, suspects] = getattr(again, name)
    return made


# ------------------------------------------------------------------------------------------------ the report


def _report(point: Point, k: int, what: str, stated: Floats, found: Floats | None, entries: Floats) -> NoReturn:
    """Say what is wrong, where, by how much and, if a diagnosis fits, why."""
    rows, columns = entries[[ROW, COLUMN]].astype(np.int64)
    allowed, analytical, value, error, left, right = entries[ALLOWED:KINK]
    kinks = entries[KINK] != 0
    excess = np.abs(analytical - value) / (allowed + 1e-300)
    shape = point.arrays[k].shape
    degree = np.round(np.log10(np.where(np.isnan(excess), np.inf, excess) + 1e-300))  # equally bad ones as they come
    worst = np.argsort(-degree, kind="stable")[:SHOWN]
    table = [["output", "input", "analytical", "numerical", "± error"]]
    if kinks.any():
        table[0] += ["from left", "from right"]
    for e in worst:
        line = [point.place(int(rows[e])), at_index(np.unravel_index(columns[e], shape)), f"{analytical[e]:.10g}"]
        if kinks[e]:
            line += ["kink", "", f"{left[e]:.6g}", f"{right[e]:.6g}"]
        else:
            line += [f"{value[e]:.10g}", f"{error[e]:.1g}", "", ""][: len(table[0]) - 3]
        table.append(line)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    text = "\n".join("    " + "  ".join(map(str.rjust, line, widths)) for line in table)
    if len(rows) > len(worst):
        text += f"\n    ... {len(rows) - len(worst)} more"

    subject = f"with respect to {point.names[k]}, shape {shape}"
    count = f"{len(rows)} of {stated.size} entries"
    if kinks.all():
        slack = 1e-6 * np.fmax(np.abs(left), np.abs(right))
        between = (analytical >= np.fmin(left, right) - slack) & (analytical <= np.fmax(left, right) + slack)
        convention = "lies between the two" if between.all() else "does not even lie between the two"
        raise KinkError(
            f"kink: {subject}, the function has no derivative here in {count}: it is another from the left than from "
            f"the right; the {what} {convention}.\n{text}\nMove the input a little to check beside the kink."
        )
    if found is not None and not kinks.any():
        bad = np.zeros(stated.shape, dtype=bool)
        bad[rows, columns] = True
        out_shape = point.out_shapes[0] if len(point.out_shapes) == 1 else (point.size,)
        diagnosis = diagnose(stated, found, bad, out_shape, shape)
    else:
        a, b = analytical[None, ~kinks], value[None, ~kinks]
        diagnosis = diagnose(a, b, np.full(a.shape, True), (1,), a.shape[1:])
    lines = [f"the {what} {subject}, is wrong in {count}.", text]
    if diagnosis:
        lines.append(f"Diagnosis: {diagnosis}.")
    if kinks.any():
        lines.append(f"Besides, {int(kinks.sum())} entries are at a kink: move the input away from it.")
    if point.names[k] in point.single:
        lines.append(f"Given in float32 or less, {point.names[k]} was evaluated in float64.")
    raise GradcheckError("\n".join(lines))
