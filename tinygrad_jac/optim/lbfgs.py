"""L-BFGS, and the line search by which it chooses the length of its steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from ..graph import wrap
from ..modes import enable_grad
from ..versions import mark_changed
from .optimizer import Array, Optimizer, number, options_of


class LBFGS(Optimizer):
    """Quasi-Newton steps from a short history of gradients (Nocedal, 1980), after minFunc by M. Schmidt.

    The direction is −H g, with H the approximation of the inverse Hessian that the last ``history_size`` steps and
    changes of the gradient imply; it is never formed, but applied by the two loops of Nocedal and Wright, *Numerical
    Optimization*, algorithm 7.4. The loss should be the same function in all calls of the closure: no new batches, no
    dropout. As in PyTorch, a step s that changed the gradient by y is left out of the history if y·s ≤ 1e-10: a loss
    that becomes that small should be scaled up.

    Parameters
    ----------
    params : iterable of Tensor
        One group: their gradients are seen as one vector.
    lr : float
        The length of a step, or with a line search the one that is tried first.
    max_iter : int
        Iterations in a step.
    max_eval : int, optional
        Evaluations of the closure in a step after which it ends; 1.25 ``max_iter`` by default.
    tolerance_grad : float
        Ends when no entry of the gradient is larger.
    tolerance_change : float
        Ends when neither the parameters nor the loss change by more.
    history_size : int
    line_search_fn : {None, "strong_wolfe"}

    Raises
    ------
    ValueError
        There are several groups, or ``lr`` is negative.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> w = tj.tensor([-1.0, 2.0], requires_grad=True)
    >>> optimizer = LBFGS([w], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2
    ...     loss.backward()
    ...     return loss
    >>> for _ in range(3):
    ...     loss = optimizer.step(closure)
    >>> bool(((w - 1).abs() < 1e-3).all())
    True
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        if max_eval is None:
            max_eval = max_iter * 5 // 4
        super().__init__(params, options_of(locals()))
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Iterate until a tolerance or a limit is reached.

        Parameters
        ----------
        closure : callable
            Computes the loss and its gradients anew, called with recording on.

        Returns
        -------
        What ``closure`` returned first.
        """
        group = self.param_groups[0]
        params, most, search = group["params"], group["max_eval"], group["line_search_fn"]
        lr, tolerance = number(group["lr"]), group["tolerance_change"]
        if search not in (None, "strong_wolfe"):
            raise RuntimeError(f"only 'strong_wolfe' is supported as line_search_fn, not {search!r}")
        if not callable(closure):
            raise TypeError("LBFGS evaluates the loss several times in a step: give step() a closure that computes it")
        state = self.state[params[0]]  # of all parameters; kept with the first one, as PyTorch does
        for name in ("func_evals", "n_iter"):
            state.setdefault(name, 0)
        before = state["func_evals"]

        def evaluate() -> tuple[Any, Array]:
            state["func_evals"] += 1
            with enable_grad():
                loss = closure()
            parts = [np.zeros(p.shape, p.dtype) if p.grad is None else p.grad.array for p in params]
            return loss, np.concatenate([part.reshape(-1) for part in parts])

        def move(t: float, d: Array) -> None:
            offset = 0
            for p in params:
                size = p.array.size
                p.array += (t * d[offset : offset + size]).reshape(p.shape)
                mark_changed(p.array)
                offset += size

        def along(t: float) -> _Point:
            """What is found a step of length t away; the parameters come back from there."""
            start = [p.array.copy() for p in params]
            try:
                move(t, d)
                loss, g = evaluate()
            finally:
                for p, array in zip(params, start):
                    p.array[...] = array
                    mark_changed(p.array)
            return _Point(t, float(loss), g, _dot(g, d))

        first, g = evaluate()
        loss = float(first)
        if not g.size or _largest(g) <= group["tolerance_grad"]:
            return first
        for k in range(1, group["max_iter"] + 1):
            d = _direction(state, g, group["history_size"])
            t = lr if state["n_iter"] > 1 else min(1.0, 1.0 / (float(np.abs(g).sum()) or 1.0)) * lr
            earlier, slope = loss, _dot(g, d)
            state.update(t=t, prev_loss=earlier)
            if slope > -tolerance:
                break
            if search:
                left = most - (state["func_evals"] - before)
                t, loss, g, _ = strong_wolfe(along, _Point(0.0, loss, g, slope), t, 1e-9 / _largest(d), left)
                state["t"] = t
            move(t, d)
            if not search and k < group["max_iter"]:
                found, g = evaluate()
                loss = float(found)
            if (
                state["func_evals"] - before >= most
                or _largest(g) <= group["tolerance_grad"]
                or _largest(t * d) <= tolerance
                or abs(loss - earlier) < tolerance
            ):
                break
        return first

    def _shape_of_state(self, p: Any) -> tuple[int, ...]:
        return (sum(p.array.size for p in self.param_groups[0]["params"]),)


def _direction(state: dict[str, Any], g: Array, most: int) -> Array:
    """Where to go from here, having noted in the state by what the last step changed the gradient."""
    state["n_iter"] += 1
    d = -g
    if state["n_iter"] == 1:
        state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1.0)
    else:
        y, s = g - state["prev_flat_grad"].array, number(state["t"]) * state["d"].array
        curvature = _dot(y, s)
        if curvature > 1e-10:
            for name, entry in (("old_dirs", wrap(y)), ("old_stps", wrap(s)), ("ro", 1 / curvature)):
                state[name].append(entry)
                del state[name][: max(0, len(state[name]) - most)]
            state["H_diag"] = curvature / _dot(y, y)
        history = [(y.array, s.array, number(r)) for y, s, r in zip(state["old_dirs"], state["old_stps"], state["ro"])]
        weights = []
        for y, s, r in reversed(history):
            weights.append(r * _dot(s, d))
            d -= weights[-1] * y
        d *= number(state["H_diag"])
        for y, s, r in history:
            d += (weights.pop() - r * _dot(y, d)) * s
    state.update(prev_flat_grad=wrap(g), d=wrap(d))
    return d


class _Point(NamedTuple):
    """A point on the line that is searched: where, the loss, its gradient, and the slope along the line."""

    t: float
    f: float
    g: Array
    slope: float


def strong_wolfe(
    at: Callable[[float], _Point],
    start: _Point,
    t: float,
    smallest: float,
    most: int,
    c1: float = 1e-4,
    c2: float = 0.9,
) -> _Point:
    """A point along a line where the loss fell enough and the slope is flat enough: the strong Wolfe conditions.

    Nocedal and Wright, *Numerical Optimization*, algorithms 3.5 and 3.6: go on until there is a bracket around such a
    point, then narrow it down by cubic interpolation.

    Parameters
    ----------
    at : callable
        Evaluates a point.
    start : _Point
        Where t is 0.
    t : float
        What to try first.
    smallest : float
        The width below which a bracket is not narrowed any more.
    most : int
        How many points to evaluate after the first.
    c1, c2 : float
        The part of the first slope by which the loss has to fall, and to which the slope has to.
    """

    def too_high(point: _Point) -> bool:
        return point.f > start.f + c1 * point.t * start.slope

    def flat(point: _Point) -> bool:
        return abs(point.slope) <= -c2 * start.slope

    previous, new, count = start, at(t), 0
    while count < most:
        if too_high(new) or (count > 1 and new.f >= previous.f):
            break
        if flat(new):
            return new
        if new.slope >= 0:
            break
        t = _cubic_minimum(previous, new, new.t + 0.01 * (new.t - previous.t), new.t * 10)
        previous, new, count = new, at(t), count + 1
    else:
        previous = start

    bracket, stuck = [previous, new], False
    low = int(bracket[0].f > bracket[1].f)
    while count < most:
        left, right = sorted(point.t for point in bracket)
        if right - left < smallest:
            break
        t = _cubic_minimum(bracket[0], bracket[1], left, right)
        margin = 0.1 * (right - left)
        if min(right - t, t - left) >= margin:
            stuck = False
        elif stuck or t >= right or t <= left:  # twice near an end: interpolation makes no progress
            t = right - margin if abs(t - right) < abs(t - left) else left + margin
            stuck = False
        else:
            stuck = True
        new, count = at(t), count + 1
        if too_high(new) or new.f >= bracket[low].f:
            bracket[1 - low] = new
            low = int(bracket[0].f > bracket[1].f)
            continue
        if not flat(new) and new.slope * (bracket[1 - low].t - bracket[low].t) >= 0:
            bracket[1 - low] = bracket[low]
        bracket[low] = new
        if flat(new):
            break
    return bracket[low]


def _cubic_minimum(p: _Point, q: _Point, least: float, most: float) -> float:
    """Where the cubic through two points with their slopes is lowest, within bounds; half way if it has no minimum.

    Nocedal and Wright, equation 3.59.
    """
    p, q = (p, q) if p.t <= q.t else (q, p)
    d1 = p.slope + q.slope - 3 * (p.f - q.f) / (p.t - q.t)
    square = d1 * d1 - p.slope * q.slope
    d2 = math.sqrt(square) if square >= 0 else math.nan
    width = q.slope - p.slope + 2 * d2
    if not width:
        width = math.nan
    t = q.t - (q.t - p.t) * (q.slope + d2 - d1) / width
    return (least + most) / 2 if math.isnan(t) else min(max(t, least), most)


def _dot(x: Array, y: Array) -> float:
    return float(x @ y)


def _largest(x: Array) -> float:
    return float(np.abs(x).max())
