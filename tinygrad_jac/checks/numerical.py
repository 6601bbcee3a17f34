"""Numerical derivatives of functions of plain arrays, with an error estimate for every entry.

Three ways, each for what it does best:

* **Complex step** (Squire and Trapp, "Using complex variables to estimate derivatives of real functions", SIAM Review
  40, 1998): ``f'(x) = Im f(x + ih) / h``. Nothing is subtracted, hence nothing cancels, hence h may be 1e-100 and the
  result is right to the last digits whatever the scales of value and input. But f must be analytic: ``abs``, a
  comparison that decides, a cast to real or a function that refuses complex numbers spoil it, some of them silently.
  So columns are confirmed, some together, by a difference of real values, taken from the *left*: NumPy orders complex
  numbers by their real, then by their imaginary part, so the complex step sees the right side of a kink in a maximum
  or a comparison, and the two disagree there.
* **Central differences, extrapolated to step zero** (Ridders, "Accurate computation of F'(x) and F'(x)F''(x)", Advances
  in Engineering Software 4, 1982; Lyness and Moler 1967): Neville's tableau over differences with steps that shrink
  by 8. The comparison of neighbours in the tableau estimates the error. Ridders takes the estimate of least error; on
  its own that trusts a coarse step which happens to look converged (beside a narrow peak, across a kink). Here a coarse
  estimate may replace a fine one only as long as it lies within the fine one's error.
* **One-sided differences**, from the same values: where left and right disagree beyond their errors, there is a kink.

How far a difference of values can be trusted depends on the rounding noise of f, which is not ``eps * |f|`` where large
terms cancel inside of f. So it is measured (Moré and Wild, "Estimating computational noise", SIAM Journal on Scientific
Computing 33, 2011): what no smooth curve through some close neighbours explains is noise.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..errors import ShapeError

Floats = np.ndarray[Any, np.dtype[np.float64]]

EPS = float(np.finfo(np.float64).eps)
COMPLEX_STEP = 2.0**-332  # about 1e-100: its square is nothing, and a derivative of 1e-150 does not underflow
QUICK = [2.0**-k for k in (7, 10, 13)]  # steps, as parts of an entry's scale, that suffice for a tame function
THOROUGH = [2.0**-k for k in range(0, 46, 3)]  # from the entry's own size to where rounding is all that is left
WIDER = [2.0**k for k in range(30, 0, -3)]  # for entries so small that their own size does not move the value
BESIDE = [2.0**-16, 2.0**-19]  # the steps to the left that confirm a complex step
GROUP = 8  # columns that are confirmed together
FINEST, WIDER_APART = 2.0**-49, [2.0**-k for k in (36, 30, 24, 18, 12)]  # distances of neighbours that show noise
ORDERS = 5  # columns of Neville's tableau; more only amplify noise
BATCH = 2**20  # sampled values that are held at a time


@dataclass(frozen=True)
class NumericalJacobian:
    """What `jacobian` found, as matrices of m outputs by n inputs, both flattened row-major.

    Attributes
    ----------
    value : ndarray of shape (m, n)
        The derivative; at a kink the mean of both sides; NaN where there is none.
    error : ndarray of shape (m, n)
        An estimate, rather too large than too small, of how far ``value`` is off. Infinite where nothing is known.
    kinks : bool ndarray of shape (m, n)
        Where the derivatives from the left and from the right disagree beyond their errors.
    left, right : ndarray of shape (m, n)
        The one-sided derivatives; NaN where the function is not defined on that side.
    method : str
        ``complex step``, ``Ridders``, or both where some columns needed the latter.
    evaluations : int
        How often the function was called.
    """

    value: Floats
    error: Floats
    kinks: np.ndarray[Any, np.dtype[np.bool_]]
    left: Floats
    right: Floats
    method: str
    evaluations: int


def jacobian(
    fn: Callable[..., Any],
    *inputs: Any,
    argnum: int = 0,
    method: Literal["auto", "complex", "ridders"] = "auto",
    step: float | None = None,
    columns: Sequence[int] | np.ndarray[Any, Any] | None = None,
    noise: np.ndarray[Any, Any] | None = None,
) -> NumericalJacobian:
    """The Jacobian of a function of arrays, from its values alone.

    Parameters
    ----------
    fn : callable
        ``fn(*arrays)`` returns an array or a number. It is called with fresh arrays.
    *inputs : array
        Where to differentiate. Floats of any size are evaluated in float64.
    argnum : int
        With respect to which input.
    method : {"auto", "complex", "ridders"}
        ``auto`` takes the complex step where it is confirmed, otherwise extrapolated central differences: a few steps,
        and the whole ladder of steps for the columns that these do not settle. ``ridders`` takes the whole ladder for
        every column, ``complex`` the complex step without confirmation.
    step : float, optional
        The largest step of any difference; chosen for each entry's size if left out.
    columns : sequence of int, optional
        Only the derivatives with respect to these (flat) entries.
    noise : ndarray of shape (m,), optional
        How far rounding is known to scatter each output, beyond what the values can show.

    Returns
    -------
    NumericalJacobian
        m by n, n being the number of ``columns`` if they are given.

    Raises
    ------
    TypeError
        The input or the output is not an array of real numbers, or ``method="complex"`` and the function refuses them.
    ShapeError
        The output's shape depends on the input's values.

    Notes
    -----
    For each input entry the function is evaluated 1 to 3 times by the complex step, 6 times by the quick differences,
    32 to 52 times by the whole ladder, and 80 times besides. Perturbed points may lie outside of the function's domain:
    NaN there, a ValueError or an ArithmeticError is part of the answer, and NumPy's warnings are silent.

    Examples
    --------
    >>> import numpy as np
    >>> J = jacobian(lambda x: np.exp(50 * x), np.array([0.5, 1.0]))
    >>> bool(np.allclose(J.value, np.diag(50 * np.exp([25.0, 50.0])), rtol=1e-12))
    True
    >>> J = jacobian(np.abs, np.array([0.0, 2.0]))
    >>> J.kinks.any(axis=0), J.left[0, 0], J.right[0, 0]
    (array([ True, False]), np.float64(-1.0), np.float64(1.0))
    """
    if method not in ("auto", "complex", "ridders"):
        raise ValueError(f"method is 'auto', 'complex' or 'ridders', not {method!r}")
    f = _Function(fn, inputs, argnum, step, noise)
    which = np.arange(f.x.size) if columns is None else np.asarray(columns, dtype=np.int64).reshape(-1)
    found = _Table(f, which)
    with np.errstate(all="ignore"):
        if method == "ridders":
            f.search_noise()
            found.climb(np.arange(len(which)), THOROUGH)
        elif not (found.complex_step(confirm=method == "auto") or method == "complex"):
            found.quick(np.arange(len(which)))
    if method == "complex" and found.refused is not None:
        raise TypeError(f"the function takes no complex numbers: {found.refused}") from found.refused
    return found.result()


def directional(
    fn: Callable[[Any], Any],
    x: Any,
    direction: Any,
    method: Literal["auto", "complex", "ridders"] = "auto",
    noise: np.ndarray[Any, Any] | None = None,
) -> NumericalJacobian:
    """The derivative of ``fn(x + t * direction)`` by ``t`` at 0: the Jacobian times a direction, as m by 1.

    Examples
    --------
    >>> import numpy as np
    >>> directional(np.sin, np.zeros(2), np.array([1.0, -2.0])).value[:, 0]
    array([ 1., -2.])
    """
    x, direction = np.asarray(x, dtype=np.float64), np.asarray(direction, dtype=np.float64)
    return jacobian(lambda t: fn(x + t * direction), np.zeros(()), method=method, noise=noise)


class _Function:
    """``fn`` as a function of the entries of one input: its values flat, its scales, its noise; it counts the calls."""

    def __init__(
        self, fn: Callable[..., Any], inputs: Sequence[Any], argnum: int, step: float | None, noise: Floats | None
    ) -> None:
        self.fn = fn
        self.others = [_doubled(a) for a in inputs]
        if not -len(inputs) <= argnum < len(inputs):
            raise TypeError(f"argnum {argnum} names none of the {len(inputs)} inputs")
        self.argnum = argnum % len(inputs)
        given = np.asarray(inputs[argnum])
        if given.dtype.kind not in "fiub":
            raise TypeError(f"the input must be an array of real numbers, not of {given.dtype}")
        self.in_shape = given.shape
        self.x: Floats = given.astype(np.float64).reshape(-1)
        self.evaluations = 0
        self.out_shape: tuple[int, ...] | None = None
        with np.errstate(all="ignore"):
            start = self.raw(self.x.copy())
            if start.dtype.kind not in "fiub":
                raise TypeError(f"the output must be an array of real numbers, not of {start.dtype}")
            # Of float32 values the last digits are noise, also where the inputs are float64.
            self.eps = float(np.finfo(start.dtype).eps) if start.dtype.kind == "f" else EPS
            self.start: Floats = start.astype(np.float64)
            self.scale = scales(self.x) if step is None else np.full(self.x.shape, float(step))
            self.noise = np.where(np.isfinite(self.start), self.eps * np.abs(self.start), np.inf)
            self.noise = np.fmax(self.noise, self._scatter(FINEST))
            if noise is not None:
                self.noise = np.fmax(self.noise, noise)
            self.searched = False
            self.chooses_scale = step is None

    def raw(self, x: Any) -> np.ndarray[Any, Any]:
        """The values as ``fn`` gives them, flat, at flat ``x``, real or complex."""
        self.evaluations += 1
        args = [a.copy() if isinstance(a, np.ndarray) else a for a in self.others]
        args[self.argnum] = x.reshape(self.in_shape)
        out = np.array(self.fn(*args))
        if self.out_shape is None:
            self.out_shape = out.shape
        elif out.shape != self.out_shape:
            raise ShapeError(
                f"the function returned shape {self.out_shape} at the given point and {out.shape} beside it; a "
                "derivative needs one shape"
            )
        return out.reshape(-1)

    def beside(self, x: Floats) -> Floats:
        """The values at a neighbouring point; NaN where that is outside of the domain."""
        try:
            return self.raw(x).astype(np.float64)
        except (ArithmeticError, ValueError) as error:
            if isinstance(error, ShapeError):
                raise
            return np.full(self.start.shape, np.nan)

    def moved(self, j: int, t: float) -> Floats:
        """The values with entry j moved by t times its scale."""
        x = self.x.copy()
        x[j] += t * self.scale[j]
        return self.beside(x)

    def search_noise(self) -> None:
        """Look for noise that shows only further away: where a part of f rounds coarsely, f is a staircase.

        Noise has the same size at every spacing that is wider than the stairs; what is smooth, or has a kink, has not.
        """
        if not self.searched:
            self.searched = True
            found = [self._scatter(spacing) for spacing in WIDER_APART]
            for three in zip(found, found[1:], found[2:], strict=False):
                least, most = np.minimum.reduce(three), np.maximum.reduce(three)
                self.noise = np.fmax(self.noise, np.where((most <= 8 * least) & np.isfinite(most), most, 0.0))

    def _scatter(self, spacing: float) -> Floats:
        """The deviation of the rounding errors of neighbours: what a cubic through them does not explain."""
        random = np.random.default_rng(0)
        # Multiples of an entry's last digit, so that the points are exact and nothing but f is rounded; at uneven
        # distances, lest rounding follows a pattern.
        places = np.round(np.array([1, 2.137, 4.071, 7.839, 9.313, 13.181, 15.17]) * spacing / FINEST)
        direction = self.scale * 2.0**-52 * random.integers(8, 16, self.x.shape) * random.choice([-1, 1], self.x.shape)
        rows = np.stack([self.beside(self.x + place * direction) for place in places]) - self.start
        cubics, _ = np.linalg.qr(np.vander(places / places[-1], 4))
        rest = rows - cubics @ (cubics.T @ rows)
        return np.sqrt((rest**2).sum(axis=0) / (len(places) - 4))


class _Table:
    """The columns as they are found, transposed (a row for each column), in units of each entry's scale."""

    def __init__(self, f: _Function, which: np.ndarray[Any, Any]) -> None:
        shape = (len(which), f.start.size)
        self.f = f
        self.which = which
        self.value = np.full(shape, np.nan)
        self.error = np.full(shape, np.inf)
        self.left = np.full(shape, np.nan)
        self.right = np.full(shape, np.nan)
        self.kinks = np.zeros(shape, dtype=bool)
        self.methods: set[str] = set()
        self.refused: Exception | None = None

    # ---------------------------------------------------------------------------------------- complex step

    def complex_step(self, confirm: bool) -> bool:
        """Fill in what the complex step gives, and differences where it is not confirmed.

        Returns False if the function refuses complex numbers, or if nothing of the first group of columns is confirmed:
        it is not analytic then, and the rest is not tried.
        """
        for first in range(0, len(self.which), GROUP):
            group = np.arange(first, min(first + GROUP, len(self.which)))
            if not self._step(group):
                return False
            if not confirm or self._confirmed(group, 1e-8):
                continue
            self.f.search_noise()
            doubtful = np.asarray([c for c in group if not self._confirmed(np.array([c]), 1e-6)], dtype=np.int64)
            stepped = self.value[doubtful]
            self.quick(doubtful)
            real, real_error = self.value[doubtful], self.error[doubtful]
            # Where the differences come to the same, the complex step is the more exact of the two; the error stays
            # theirs, since something kept it from being confirmed.
            agree = (np.abs(stepped - real) <= 2 * real_error) & (real_error <= 0.1 * np.abs(stepped))
            agree &= ~self.kinks[doubtful]
            if not first and len(doubtful) == len(group) and not agree.any():
                self.methods.discard("complex step")
                return False
            self.value[doubtful] = np.where(agree, stepped, real)
        return True

    def _step(self, columns: np.ndarray[Any, Any]) -> bool:
        """The complex step for some columns; False if the function refuses, or takes the value elsewhere."""
        f = self.f
        values = np.empty((len(columns), f.start.size), dtype=np.complex128)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", np.exceptions.ComplexWarning)
                for c, j in enumerate(self.which[columns]):
                    z = f.x.astype(np.complex128)
                    z[j] += 1j * COMPLEX_STEP * f.scale[j]
                    values[c] = f.raw(z)
        except Exception as refusal:  # whatever a function says to complex numbers that it was not written for
            self.refused = refusal
            return False
        elsewhere = ~(np.abs(values.real - f.start) <= 1e-10 * np.abs(f.start) + 1e3 * f.noise)
        if (elsewhere & np.isfinite(f.start)).any():
            self.refused = ValueError("the values at complex points are others than at real ones")
            return False
        self.value[columns] = np.where(np.isfinite(f.start), values.imag / COMPLEX_STEP, np.nan)
        self.methods.add("complex step")
        error = 8 * EPS * np.abs(self.value[columns]) + 4 * f.noise
        self.error[columns] = np.where(np.isnan(error), np.inf, error)
        self.left[columns] = self.right[columns] = self.value[columns]
        return True

    def _confirmed(self, columns: np.ndarray[Any, Any], rtol: float) -> bool:
        """Whether real differences, all columns moved to the left at once, agree with the complex step."""
        f, entries = self.f, self.which[columns]
        # Uneven parts of the scales, lest what is wrong in one column cancels what is wrong in another.
        parts = 1 / (1 + 0.618 * np.arange(len(columns))) if len(columns) > 1 else np.ones(1)
        direction = np.zeros_like(f.x)
        direction[entries] = parts * f.scale[entries]
        far, near = ((f.start - f.beside(f.x - t * direction)) / t for t in BESIDE)
        left = near + (near - far) / (BESIDE[0] / BESIDE[1] - 1)
        allowed = rtol * (parts @ np.abs(self.value[columns])) + 10 * f.noise / BESIDE[1]
        return bool((np.abs(left - parts @ self.value[columns]) <= allowed)[np.isfinite(f.start)].all())

    # ---------------------------------------------------------------------------------------- differences

    def quick(self, columns: np.ndarray[Any, Any]) -> None:
        """Three steps for each column; the whole ladder where they do not settle it."""
        self.f.search_noise()
        self.climb(columns, QUICK)
        value, error, kinks = self.value[columns], self.error[columns], self.kinks[columns]
        size = np.abs(value)
        largest = np.minimum(np.nanmax(size, axis=0, initial=0.0), np.nanmax(size, axis=1, initial=0.0, keepdims=True))
        target = 1e-8 * size + 1e-10 * largest + 4 * self.f.noise / QUICK[0]
        settled = (error <= target) | ~np.isfinite(self.f.start)
        unsettled = ~settled.all(axis=1) | kinks.any(axis=1)
        if len(columns) == self.f.x.size and not unsettled.all() and self._miss_something():
            unsettled[:] = True
        self.climb(columns[unsettled], THOROUGH)

    def _miss_something(self) -> bool:
        """Whether the columns disagree with a derivative in a random direction: their steps saw nothing so narrow."""
        random = np.random.default_rng(1)
        direction = random.integers(4, 8, self.f.x.shape) / 8 * random.choice([-1.0, 1.0], self.f.x.shape)
        along = directional(self.f.beside, self.f.x, direction * self.f.scale, "ridders", self.f.noise)
        off = np.abs(direction @ self.value - along.value[:, 0])
        return bool((off > 1e-6 * (np.abs(direction) @ np.abs(self.value)) + 2 * along.error[:, 0]).any())

    def climb(self, columns: np.ndarray[Any, Any], steps: Sequence[float]) -> None:
        """Differences at all of these steps, extrapolated, for these columns."""
        f = self.f
        if len(columns):
            self.methods.add("Ridders")
        batch = max(1, BATCH // (2 * len(steps) * max(f.start.size, 1)))
        for k in range(0, len(columns), batch):
            part = columns[k : k + batch]
            entries = self.which[part]
            samples = _sample(f, entries, steps)
            found = _differentiate(f, samples, steps)
            if steps is THOROUGH:
                # An entry far smaller than 1 and than its neighbours may need steps larger than itself.
                small = (f.scale[entries] < 0.1 * max(1.0, float(f.scale.max()))) & f.chooses_scale
                again = np.flatnonzero(small & ~(found.error <= 1e-7 * np.abs(found.value)).all(axis=1))
                if len(again):
                    wide = _sample(f, entries[again], WIDER)
                    both = [np.concatenate([w, s[:, again]]) for w, s in zip(wide, samples, strict=True)]
                    found.put(again, _differentiate(f, both, [*WIDER, *THOROUGH]))
            self.put(part, found)

    def put(self, columns: np.ndarray[Any, Any], found: _Sides) -> None:
        for name, array in vars(found).items():
            getattr(self, name)[columns] = array

    def result(self) -> NumericalJacobian:
        """In the units of the input, a column for each entry."""
        scale = self.f.scale[self.which]
        value, error, left, right = (
            np.ascontiguousarray((a / scale[:, None]).T) for a in (self.value, self.error, self.left, self.right)
        )
        method = ", ".join(sorted(self.methods, reverse=True))
        return NumericalJacobian(value, error, self.kinks.T.copy(), left, right, method, self.f.evaluations)


@dataclass
class _Sides:
    """Derivatives of the outputs (the last axis) along some lines, in both senses."""

    value: Floats
    error: Floats
    left: Floats
    right: Floats
    kinks: np.ndarray[Any, np.dtype[np.bool_]]

    def put(self, lines: np.ndarray[Any, Any], found: _Sides) -> None:
        for name, array in vars(found).items():
            getattr(self, name)[lines] = array


Samples = list[
    np.ndarray[Any, Any]
]  # values ahead and behind (steps, lines, m); distances of the two (steps, lines, 1)


def _sample(f: _Function, entries: np.ndarray[Any, Any], steps: Sequence[float]) -> Samples:
    """The values on both sides of each entry, and how far, after rounding, each side really is, in its scale."""
    shape = (len(steps), len(entries), f.start.size)
    ahead, behind = np.empty(shape), np.empty(shape)
    for k, t in enumerate(steps):
        for c, j in enumerate(entries):
            ahead[k, c] = f.moved(j, t)
            behind[k, c] = f.moved(j, -t)
    x, scale = f.x[entries], f.scale[entries]
    moved = np.asarray(steps)[:, None] * scale
    return [ahead, behind, ((x + moved - x) / scale)[..., None], ((x - (x - moved)) / scale)[..., None]]


def _quantum(rise: Any, fall: Any, start: Any) -> Any:
    """The step in which an output moves, where some changes of the input do not move it at all; else 0.

    The logarithm of a probability near 1 moves by multiples of the last digit of 1, though its own last digit is far
    smaller: a noise that repeated evaluation does not show.
    """
    moves = np.abs(np.concatenate([rise, fall]))
    least = np.min(moves, axis=0, where=moves > 0, initial=np.inf)
    still = (moves == 0).any(axis=0)
    return np.where(still & (least <= 64 * EPS * np.fmax(np.nanmax(moves, axis=0), 1.0)), least, 0.0)


def _differentiate(f: _Function, samples: Samples, steps: Sequence[float]) -> _Sides:
    """Derivatives at step zero, central and from each side, and what the sides say of each other."""
    ahead, behind, plus, minus = samples
    rise, fall = ahead - f.start, f.start - behind
    touched = ((rise != 0) | (fall != 0)).any(axis=0)
    noise = np.fmax(np.where(touched, 3 * f.noise, 0.0), _quantum(rise, fall, f.start))
    value, error = _extrapolate((ahead - behind) / (plus + minus), steps, 2, noise)
    right, right_error = _extrapolate(rise / plus, steps, 1, 2 * noise)
    left, left_error = _extrapolate(fall / minus, steps, 1, 2 * noise)
    jumps = np.zeros(value.shape, dtype=bool)
    if len(steps) > 6:
        for side, side_error, quotients in ((right, right_error, rise / plus), (left, left_error, fall / minus)):
            infinite, jump = _steep(quotients[-6:], steps[-6:], 10 * f.noise)
            side[infinite] = np.where(quotients[-1] > 0, np.inf, -np.inf)[infinite]
            side_error[infinite] = 0.0
            jumps |= jump
        same = np.isinf(right) & (right == left)
        value[same], error[same] = right[same], 0.0
    # At the border of the domain there is one side only, and its derivative is the one there is.
    for side, side_error, other in ((right, right_error, left), (left, left_error, right)):
        only = np.isnan(other) & ~np.isnan(side)
        value[only], error[only] = side[only], side_error[only]
    apart = np.abs(right - left)
    kinks = (apart > 10 * (right_error + left_error)) & (apart > 1e-5 * np.fmax(np.abs(right), np.abs(left)))
    kinks = (kinks | jumps | np.isinf(apart)) & np.isfinite(f.start)
    value = np.where(kinks, 0.5 * (left + right), value)
    error = np.where(np.isnan(value), np.inf, error + f.noise / steps[0])  # what even the largest step does not show
    return _Sides(value, error, left, right, kinks)


def _extrapolate(quotients: Floats, steps: Sequence[float], power: int, noise: Floats) -> tuple[Floats, Floats]:
    """Difference quotients, coarse steps first, taken to step zero by Neville's tableau; the value and its error.

    Their errors are a series in ``step ** power``.
    """
    before: list[Floats] = []
    candidates = []
    for k, quotient in enumerate(quotients):
        row = [quotient]
        best = quotient
        least = np.abs(quotient - before[0]) if before else np.full(quotient.shape, np.inf)
        for p in range(1, min(k, ORDERS) + 1):
            better = row[-1] + (row[-1] - before[p - 1]) / ((steps[k - p] / steps[k]) ** power - 1)
            error = np.maximum(np.abs(better - row[-1]), np.abs(better - before[p - 1]))
            row.append(better)
            smaller = error < least
            best, least = np.where(smaller, better, best), np.where(smaller, error, least)
        before = row
        candidates.append((best, np.where(np.isnan(least), np.inf, least) + noise / steps[k]))

    # From fine to coarse: less noise, but to be believed only within the error of what the finer steps say.
    value = np.full(noise.shape, np.nan)
    error = np.full(noise.shape, np.inf)
    open_ = np.ones(noise.shape, dtype=bool)
    for best, least in reversed(candidates):
        open_ &= ~(np.abs(best - value) > 1.5 * (error + least))
        smaller = open_ & (least < error)
        value, error = np.where(smaller, best, value), np.where(smaller, least, error)
    return value, error


def _steep(quotients: Floats, steps: Sequence[float], resolution: Floats) -> tuple[Any, Any]:
    """Where quotients grow without end, by one and the same factor, as the step shrinks; and where by a jump."""
    growth = quotients[1:] / quotients[:-1]
    least, most = growth.min(axis=0), growth.max(axis=0)
    infinite = (least > 1.3) & (most < 1.1 * least) & (np.abs(quotients[-1]) * steps[-1] > resolution)
    return infinite, infinite & (least > 0.95 * steps[0] / steps[1])


def scales(x: Floats) -> Floats:
    """For each entry the power of two above it; where it is zero, that of the largest entry, or 1."""
    size = np.abs(x)
    known = np.isfinite(x) & (size > 1e-100)
    scale: Floats = np.ldexp(1.0, np.frexp(np.where(known, size, 1.0))[1])
    return np.where(known, scale, scale[known].max() if known.any() else 1.0)


def _doubled(array: Any) -> Any:
    """The other inputs: floats in float64, what is not an array as it is."""
    if isinstance(array, np.ndarray) and array.dtype.kind == "f":
        return array.astype(np.float64)
    return array
