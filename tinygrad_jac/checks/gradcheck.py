"""`gradcheck` and `gradgradcheck`: gradients against numerical derivatives, and against what every rule promises."""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

import numpy as np

from .. import autograd, graph
from ..errors import GradientError
from ..graph import Leaf, Node, Observer, Variable, nodes_between, wrap
from ..modes import enable_grad, is_grad_enabled, set_grad_enabled
from . import numerical
from .diagnosis import Floats, diagnose

RTOL = 1e-7  # of an entry: ten times below what must be found, ten times above what quick differences are good for
FLOOR = 1e-12  # of the largest entries of its row and column: rounding, where an entry is a difference of large terms
BLOCK = 2**22  # entries of a matrix that are held at a time
SHOWN = 6  # wrong entries in a message


class GradcheckError(RuntimeError):
    """A gradient is wrong, or a rule breaks a promise; the message says which, where and, if it can, why."""


class KinkError(GradcheckError):
    """The function has a kink at the given point: there is no derivative to compare with. Move the input."""


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
        Of each entry; 1e-7 by default.
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
    >>> gradcheck(lambda x: x * x.detach(), x)
    Traceback (most recent call last):
      ...
    tinygrad_jac.checks.gradcheck.GradcheckError: the gradient with respect to input 0, shape (1, 2), is wrong...
    """
    if not (check_forward_ad or check_backward_ad):
        raise ValueError("there is nothing to check: pass check_backward_ad=True or check_forward_ad=True")
    point = _Point(func, inputs)
    if point.single:
        warnings.warn(
            f"{', '.join(point.single)} of gradcheck: not float64, but evaluated in float64 all the same; a cast to "
            "float32 inside of the function stays",
            stacklevel=2,
        )
    tolerance = _Tolerance(RTOL if rtol is None else rtol, atol, eps, nondet_tol)
    try:
        point.start(tolerance)
        modes: list[tuple[str, Callable[[], list[Floats]]]] = []
        if check_backward_ad:
            _check_rules(point, tolerance, zero=check_undefined_grad)
            if fast_mode and _projections_agree(point, tolerance) and not check_forward_ad:
                return True
            modes.append(("gradient", point.pulled_back))
        if check_forward_ad or check_batched_forward_grad:
            modes.append(("forward-mode derivative", point.pushed_forward))
        _compare(point, {what: jacobians() for what, jacobians in modes}, tolerance)
        point.check_unchanged(tolerance, "after many evaluations")
    except GradcheckError:
        if raise_exception:
            raise
        return False
    finally:
        point.restore()
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
    given = _listed(inputs)
    if grad_outputs is None:
        random = np.random.default_rng(0)
        point = _Point(func, inputs)
        cotangents = []
        try:
            for out in point.outputs(point.arrays):
                u = random.uniform(0.5, 1.0, out.array.shape) * random.choice([-1.0, 1.0], out.array.shape)
                if gen_non_contig_grad_outputs:
                    u = np.repeat(u[..., None], 2, axis=-1)[..., 0]
                cotangents.append(wrap(u))
        finally:
            point.restore()
        for u in cotangents:
            u.node = Leaf(u)
    else:
        cotangents = _listed(grad_outputs)
    return gradcheck(
        _Gradient(func, given, len(cotangents)),
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


class _Gradient:
    """The gradient of a function as a function of its inputs and of the cotangents of its outputs.

    It is recorded where recording is on, and computed by the rules on plain arrays where it is off.
    """

    def __init__(self, func: Callable[..., Any], inputs: list[Any], cotangents: int) -> None:
        self.func = func
        self.cotangents = cotangents
        self.sources = [k for k, a in enumerate(inputs) if _requires_grad(a)]
        if hasattr(func, "named_parameters"):
            self.named_parameters = func.named_parameters
        if hasattr(func, "named_buffers"):
            self.named_buffers = func.named_buffers

    def __call__(self, *args: Any) -> tuple[Any, ...]:
        create_graph = is_grad_enabled()
        inputs, cotangents = args[: -self.cotangents], args[-self.cotangents :]
        sources = [inputs[k] for k in self.sources]
        if hasattr(self, "named_parameters"):
            sources += [p for _, p in self.named_parameters() if p.node is not None]
        with enable_grad():
            recorded = [
                (o, u) for o, u in zip(_outputs_of(self.func(*inputs)), cotangents, strict=True) if o.node is not None
            ]
            if not recorded:
                return tuple(wrap(np.zeros_like(s.array)) for s in sources)
            outputs, cotangents = zip(*recorded, strict=True)
            return autograd.grad(
                outputs, sources, cotangents, create_graph=create_graph, materialize_grads=True, allow_unused=True
            )


# ------------------------------------------------------------------------------------------------ the point


@dataclass(frozen=True)
class _Tolerance:
    rtol: float
    atol: float | None
    step: float | None
    nondet: float


class _Point:
    """A function and where it is checked: what is differentiated, as float64 arrays, and how to evaluate it there."""

    def __init__(self, func: Callable[..., Any], inputs: Any) -> None:
        self.func = func
        self.inputs = [_in_float64(a) for a in _listed(inputs)]
        self.places: list[Any] = []  # an index into the inputs, or a parameter
        self.names: list[str] = []
        self.arrays: list[np.ndarray[Any, Any]] = []
        self.single: list[str] = []  # what was given in float32 or less
        for k, given in enumerate(_listed(inputs)):
            if _requires_grad(given):
                self._add(k, f"input {k}", given)
        for name, parameter in func.named_parameters() if hasattr(func, "named_parameters") else ():
            if _requires_grad(parameter):
                self._add(parameter, f"parameter '{name}'", parameter)
        if not self.arrays:
            raise ValueError(
                "gradcheck needs an input that requires a gradient, and none does: create it with requires_grad=True"
            )
        self.kept = [(p, p.array, p.node) for p in self.places if not isinstance(p, int)]
        buffers = func.named_buffers() if hasattr(func, "named_buffers") else ()
        self.buffers = [(b, b.array, b.array.copy()) for _, b in buffers]
        self.recording = True
        self.out_shapes: list[tuple[int, ...]] = []

    def _add(self, place: Any, name: str, given: Variable) -> None:
        if given.array.dtype.kind != "f":
            raise TypeError(f"gradcheck checks real functions, and {name} has dtype {given.array.dtype}")
        if given.array.dtype.itemsize < 8 and isinstance(place, int):  # a module's parameters usually are
            self.single.append(name)
        self.places.append(place)
        self.names.append(name)
        self.arrays.append(given.array.astype(np.float64))

    def restore(self) -> None:
        """Give a module its parameters and buffers back."""
        for parameter, array, node in self.kept:
            parameter.array, parameter.node = array, node
        for buffer, array, values in self.buffers:
            array[...] = values
            buffer.array = array

    # ---------------------------------------------------------------------------------------- evaluation

    def outputs(self, arrays: Sequence[np.ndarray[Any, Any]], leaves: list[Variable] | None = None) -> list[Any]:
        """The differentiable outputs at these arrays; ``leaves`` receives a Tensor for each."""
        args = list(self.inputs)
        for place, array in zip(self.places, arrays, strict=True):
            leaf = wrap(array) if isinstance(place, int) else place
            leaf.array = array
            leaf.node = Leaf(leaf)  # also of complex numbers, which are the numerical derivative's
            if isinstance(place, int):
                args[place] = leaf
            if leaves is not None:
                leaves.append(leaf if isinstance(place, int) else wrap(array, leaf.node))
        return _outputs_of(self.func(*args))

    def values(self, arrays: Sequence[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        """All outputs, flat, one after the other."""
        if any(a.dtype.kind == "c" for a in arrays):
            # All of them: where func differentiates inside, a real leaf could not hold a complex cotangent.
            arrays = [a.astype(np.complex128) for a in arrays]
        with set_grad_enabled(self.recording):
            found = [o.array for o in self.outputs(arrays)]
        return np.concatenate([f.reshape(-1) for f in found]) if len(found) != 1 else found[0].reshape(-1)

    def moved(self, k: int) -> Callable[[Any], Any]:
        """The outputs as a function of the k-th array alone."""
        return lambda x: self.values([*self.arrays[:k], x, *self.arrays[k + 1 :]])

    def start(self, tolerance: _Tolerance) -> None:
        """Evaluate once, recorded, and again: what is changed, and whether it is the same."""
        before = [a.copy() for a in self.arrays]
        self.leaves: list[Variable] = []
        with enable_grad():
            self.recorded = self.outputs(self.arrays, self.leaves)
        self._check_not_changed(before, "the function")
        self.out_shapes = [o.array.shape for o in self.recorded]
        self.size = sum(o.array.size for o in self.recorded)
        self.start_values = np.concatenate([o.array.reshape(-1) for o in self.recorded]).copy()
        for o, name in zip(self.recorded, self.out_names(), strict=True):
            if not np.isfinite(o.array).all():
                at = np.unravel_index(int(np.flatnonzero(~np.isfinite(o.array))[0]), o.array.shape)
                raise GradcheckError(
                    f"{name} is {o.array[at]} at {_index(at)}: there is no derivative; check at an input where the "
                    "function is finite"
                )
        self.check_unchanged(tolerance, "when called twice")
        try:  # recording costs time, and is needed only where the function itself asks for gradients
            self.recording = False
            self.recording = not np.array_equal(self.values(self.arrays), self.start_values)
        except Exception:  # whatever the function does with tensors that do not require a gradient
            self.recording = True

    def check_unchanged(self, tolerance: _Tolerance, when: str) -> None:
        again = self.values(self.arrays)
        if not _same(again, self.start_values, tolerance.nondet):
            off = float(np.abs(again - self.start_values).max()) if again.shape == self.start_values.shape else np.nan
            raise GradcheckError(
                f"not repeatable: {when} with the same inputs, the function's values differ by up to {off:.3g}; fix its "
                "random numbers (a generator seeded inside of it, eval() for dropout) or what it keeps from call to call"
            )

    def _check_not_changed(self, before: list[np.ndarray[Any, Any]], who: str) -> None:
        for name, array, copy in zip(self.names, self.arrays, before, strict=True):
            if not np.array_equal(array, copy, equal_nan=True):
                raise GradcheckError(f"{who} changes {name} in place: it must work on a copy (clone())")

    def out_names(self) -> list[str]:
        return ["the output"] if len(self.out_shapes) == 1 else [f"output {k}" for k in range(len(self.out_shapes))]

    # ---------------------------------------------------------------------------------------- Jacobians

    def gradients(self, cotangents: np.ndarray[Any, Any], first: int = 0) -> list[np.ndarray[Any, Any]]:
        """One walk back: for each array the gradients (rows, *shape), from cotangents (rows, k) of outputs first to k.

        One-dimensional cotangents (m,) are those of a walk without leading axes.
        """
        lead = cotangents.shape[:-1]
        roots, seeds = [], []
        offset = 0
        for out in self.recorded:
            low, high = max(offset - first, 0), min(offset + out.array.size - first, cotangents.shape[-1])
            if out.node is not None and low < high:
                seed = np.zeros((*lead, out.array.size))
                seed[..., low + first - offset : high + first - offset] = cotangents[..., low:high]
                roots.append(out)
                seeds.append(seed.reshape((*lead, *out.array.shape)))
            offset += out.array.size
        found: Sequence[Any] = [None] * len(self.leaves)
        if roots:
            try:
                found = autograd.grad(
                    roots, self.leaves, seeds, retain_graph=True, allow_unused=True, is_grads_batched=bool(lead)
                )
            except GradientError as error:
                raise GradcheckError(f"the gradient cannot be computed: {error}") from error
        gradients = []
        for name, leaf, c in zip(self.names, self.leaves, found, strict=True):
            shape = (*lead, *leaf.array.shape)
            if c is not None and (c.array.shape != shape or c.array.dtype != leaf.array.dtype):
                raise GradcheckError(
                    f"the gradient with respect to {name} has shape {c.array.shape} and dtype {c.array.dtype}, expected "
                    f"{shape} and {leaf.array.dtype}"
                )
            gradients.append(np.zeros(shape) if c is None else c.array)
        return gradients

    def pulled_back(self) -> list[Floats]:
        """The Jacobian with respect to each array, (m, n): a walk back seeded with the identity, or with blocks of it."""
        jacobians = [np.empty((self.size, a.size)) for a in self.arrays]
        for rows in self._blocks(self.size):
            seeds = np.eye(len(rows))
            for whole, part in zip(jacobians, self.gradients(seeds, rows.start), strict=True):
                whole[rows.start : rows.stop] = part.reshape(len(rows), -1)
        return jacobians

    def pushed_forward(self) -> list[Floats]:
        """The same from the Jacobians that the primitives state, pushed forward along the graph."""
        roots = [o.node for o in self.recorded if o.node is not None]
        jacobians = [np.zeros((self.size, a.size)) for a in self.arrays]
        for whole, leaf in zip(jacobians, self.leaves, strict=True):
            assert leaf.node is not None
            nodes = nodes_between(roots, [leaf.node])[::-1] if roots else []
            for columns in self._blocks(leaf.array.size):
                tangent = np.zeros((len(columns), leaf.array.size))
                tangent[np.arange(len(columns)), columns] = 1.0
                tangents: dict[Node, Any] = {leaf.node: tangent.reshape(-1, *leaf.array.shape)}
                for node in nodes:
                    if node.primitive is not None:
                        tangents[node] = sum(
                            node.primitive.statement(node, i).jvp(tangents[p])
                            for i, p in enumerate(node.parents)
                            if p in tangents
                        )
                offset = 0
                for out in self.recorded:
                    if out.node in tangents:
                        rows = slice(offset, offset + out.array.size)
                        whole[rows, columns.start : columns.stop] = tangents[out.node].reshape(len(columns), -1).T
                    offset += out.array.size
        return jacobians

    def _blocks(self, size: int) -> Iterator[range]:
        """How many leading axes at a time the largest array of the graph allows."""
        roots = [o.node for o in self.recorded if o.node is not None]
        largest = max((node.size for node in nodes_between(roots)), default=1)
        step = max(1, BLOCK // max(largest, 1))
        return (range(k, min(k + step, size)) for k in range(0, size, step))


def _listed(given: Any) -> list[Any]:
    return list(given) if isinstance(given, (list, tuple)) else [given]


def _requires_grad(a: Any) -> bool:
    return isinstance(a, Variable) and a.node is not None


def _in_float64(a: Any) -> Any:
    """Constants too are taken to float64, so that nothing but the function itself rounds more coarsely."""
    if isinstance(a, Variable) and a.array.dtype.kind == "f" and a.array.dtype.itemsize < 8:
        return wrap(a.array.astype(np.float64))
    return a


def _outputs_of(result: Any) -> list[Any]:
    """The outputs that can have a derivative."""
    found = [o for o in _listed(result) if isinstance(o, Variable) and o.array.dtype.kind in "fc"]
    if not found:
        raise ValueError(
            f"the function must return a floating-point Tensor or a tuple of them, not {type(result).__name__}"
        )
    return found


def _same(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any], tolerance: float = 0.0) -> bool:
    """Equal up to rounding, on the scale of the largest entry: threads may add in another order."""
    if a.shape != b.shape:
        return False
    allowed = tolerance + 1e-13 * np.abs(b[np.isfinite(b)]).max(initial=0.0)
    return bool(((np.abs(a - b) <= allowed) | (a == b) | (np.isnan(a) & np.isnan(b))).all())


# ------------------------------------------------------------------------------------------------ promises


class _Audit(Observer):
    """Watches a walk back, and holds each rule that is about to run to its promises."""

    def __init__(self, tolerance: _Tolerance, zero: bool) -> None:
        self.tolerance = tolerance
        self.zero = zero

    def visited(self, node: Node, g: Any) -> None:
        assert node.primitive is not None
        for index, parent in enumerate(node.parents):
            if parent is not None:
                self._audit(node, index, parent, np.asarray(g))

    def _audit(self, node: Node, index: int, parent: Node, g: np.ndarray[Any, Any]) -> None:
        primitive = node.primitive
        assert primitive is not None and node.args is not None

        def broken(what: str) -> NoReturn:
            raise GradcheckError(f"the VJP rule of '{primitive.name}' for {primitive.argument(index)!r} {what}")

        def run(u: np.ndarray[Any, Any], lead: int = 0) -> np.ndarray[Any, Any]:
            c = primitive.pull_back(node, index, u)
            return np.zeros(u.shape[:lead] + parent.shape) if c is None else graph.unbroadcast(c, parent.shape, lead)

        named = [
            *zip([primitive.argument(i) for i in range(len(node.args))], node.args, strict=True),
            ("out", node.out),
        ]
        saved = [(name, a, a.copy()) for name, a in named if isinstance(a, np.ndarray)]
        given = g.copy()
        try:
            c = primitive.pull_back(node, index, given)
        except Exception:  # the walk itself is about to fail in the same way, and says how
            return
        if not np.array_equal(given, g, equal_nan=True):
            broken("changes the cotangent that it is given, which other rules may still need: it must return a new one")
        for name, array, copy in saved:
            if not np.array_equal(array, copy, equal_nan=array.dtype.kind in "fc"):
                array[...] = copy
                broken(f"changes {name!r}, an array that it is given: it must work on a copy")
        if c is None:
            return
        dtype = getattr(c, "dtype", None)
        if dtype not in (g.dtype, parent.dtype):
            broken(f"returns {dtype} for a cotangent of {g.dtype}: digits are lost, or a cast is missing")
        try:
            c = graph.unbroadcast(c, parent.shape)
        except Exception:  # likewise: a wrong shape
            return
        if not np.isfinite(c).all():
            return
        if not _same(run(g.copy()), c, self.tolerance.nondet):
            broken("is not repeatable: it returns something else when it is called again")
        if self.zero and run(np.zeros_like(g)).any():
            broken("does not return zero for a zero cotangent")
        try:
            both = run(np.stack([g, -2 * g]), 1)
        except Exception as error:
            both = np.array([np.nan])
            reason: Exception | None = error
        else:
            reason = None
        if not _same(both, np.stack([c, -2 * c])):
            if not _same(run(-2 * g), -2 * c):
                broken("is not linear in the cotangent: twice the cotangent does not give twice the gradient")
            broken(
                "is right for one cotangent, but not for several with a leading axis: count axes from the end"
                + (f" ({type(reason).__name__}: {reason})" if reason else "")
            )


def _check_rules(point: _Point, tolerance: _Tolerance, zero: bool) -> None:
    """One walk back with a random cotangent, watched, and what it gives: owned by nobody else, the same twice."""
    random = np.random.default_rng(0)
    u = random.uniform(0.5, 1.0, point.size) * random.choice([-1.0, 1.0], point.size)
    before = [a.copy() for a in point.arrays]
    thread = threading.get_ident()
    outer = graph.observers.pop(thread, None)
    graph.observers[thread] = _Audit(tolerance, zero)
    try:
        first = point.gradients(u)
    finally:
        del graph.observers[thread]
        if outer is not None:
            graph.observers[thread] = outer
    point._check_not_changed(before, "the walk back")
    held = [*zip(point.names, point.arrays, strict=True)]
    for k, (name, c) in enumerate(zip(point.names, first, strict=True)):
        for other, array in held + [
            (f"the gradient of {n}", g) for n, g in zip(point.names[:k], first[:k], strict=True)
        ]:
            if np.shares_memory(c, array):
                raise GradcheckError(f"the gradient with respect to {name} shares its memory with {other}")
    for name, c, again in zip(point.names, first, point.gradients(u), strict=True):
        if not _same(again, c, tolerance.nondet):
            raise GradcheckError(f"not repeatable: two walks back give different gradients with respect to {name}")
    if zero and all(np.isfinite(c).all() for c in first):
        for name, c in zip(point.names, point.gradients(np.zeros(point.size)), strict=True):
            if c.any():
                raise GradcheckError(f"a zero cotangent gives a gradient that is not zero with respect to {name}")


# ------------------------------------------------------------------------------------------------ comparison


def _projections_agree(point: _Point, tolerance: _Tolerance, directions: int = 3) -> bool:
    """Whether uᵀJv is the same from both sides, for a few u and, of each array, a few v."""
    random = np.random.default_rng(0)
    U = random.standard_normal((directions, point.size))
    for k, pulled in enumerate(point.gradients(U)):
        x = point.arrays[k]
        for _ in range(directions):
            v = random.standard_normal(x.shape) * numerical.scales(x)
            found = numerical.directional(point.moved(k), x, v)
            terms = pulled * v
            difference = np.abs(U @ found.value[:, 0] - terms.reshape(directions, -1).sum(axis=1))
            size = np.minimum(np.abs(U) @ np.abs(found.value[:, 0]), np.abs(terms).reshape(directions, -1).sum(axis=1))
            allowed = tolerance.rtol * size + (tolerance.atol or 0.0) + 2 * np.abs(U) @ found.error[:, 0]
            if found.kinks.any() or not (difference <= allowed).all():
                return False
    return True


@dataclass
class _Wrong:
    """The entries of one Jacobian that disagree."""

    rows: list[Any] = field(default_factory=list)
    columns: list[Any] = field(default_factory=list)
    excess: list[Any] = field(default_factory=list)
    entries: list[Any] = field(default_factory=list)  # analytical, numerical, error, left, right, kink

    def add(self, rows: Any, columns: Any, excess: Any, *entries: Any) -> None:
        self.rows.append(rows)
        self.columns.append(columns)
        self.excess.append(excess)
        self.entries.append(np.stack([np.asarray(e, dtype=np.float64) for e in entries]))


def _compare(point: _Point, jacobians: dict[str, list[Floats]], tolerance: _Tolerance) -> None:
    """Every entry against its numerical derivative, a block of columns at a time.

    Raises
    ------
    GradcheckError, KinkError
    """
    for k, x in enumerate(point.arrays):
        if not (x.size and point.size):
            continue
        stated = {what: of[k] for what, of in jacobians.items()}
        floors = {what: _rounding(J, tolerance) for what, J in stated.items()}
        wrong = {what: _Wrong() for what in stated}
        fn = point.moved(k)
        found: list[Floats] = []
        block = max(1, BLOCK // point.size)
        for first in range(0, x.size, block):
            columns = np.arange(first, min(first + block, x.size))
            number = numerical.jacobian(fn, x, columns=columns, step=tolerance.step)
            for what, J in stated.items():
                floor = np.minimum(floors[what][0], floors[what][1][columns])
                number = _check_block(fn, x, J, columns, number, tolerance, floor, wrong[what])
            found.append(number.value)
        whole = np.concatenate(found, axis=1) if point.size * x.size <= BLOCK else None
        for what, entries in wrong.items():
            if entries.rows:
                _report(point, k, what, stated[what], whole, entries)


def _rounding(J: Floats, tolerance: _Tolerance) -> tuple[Floats, Floats]:
    """What is allowed for rounding in each row, (m, 1), and in each column, (n,)."""
    if tolerance.atol is not None:
        return np.full((len(J), 1), tolerance.atol), np.full(J.shape[1], tolerance.atol)
    rows = np.nan_to_num(np.maximum(J.max(axis=1, keepdims=True), -J.min(axis=1, keepdims=True)), posinf=0.0)
    columns = np.nan_to_num(np.maximum(J.max(axis=0), -J.min(axis=0)), posinf=0.0)
    return FLOOR * rows, FLOOR * columns


def _check_block(
    fn: Callable[[Any], Any],
    x: np.ndarray[Any, Any],
    J: Floats,
    columns: np.ndarray[Any, Any],
    number: numerical.NumericalJacobian,
    tolerance: _Tolerance,
    floor: Floats,
    wrong: _Wrong,
) -> numerical.NumericalJacobian:
    """Compare some columns; those that disagree are differentiated again, with every step there is."""
    part = J[:, columns]

    def off(slack: Any) -> Any:
        difference = np.where(part == number.value, 0.0, np.abs(part - number.value))
        allowed = tolerance.rtol * np.abs(number.value) + floor + slack
        return ~(difference <= np.where(np.isfinite(allowed), allowed, 0.0)), difference / (allowed + 1e-300)

    with np.errstate(all="ignore"):
        suspects = np.flatnonzero((off(0.0)[0] | number.kinks).any(axis=0))
        if len(suspects):
            number = _refined(fn, x, columns, suspects, number, tolerance.step)
        bad, excess = off(2 * number.error)
        bad |= number.kinks
        if bad.any():
            i, j = np.nonzero(bad)
            wrong.add(
                i, columns[j], excess[i, j], part[i, j], number.value[i, j], number.error[i, j], number.left[i, j],
                number.right[i, j], number.kinks[i, j],
            )  # fmt: skip
    return number


def _refined(
    fn: Callable[[Any], Any],
    x: np.ndarray[Any, Any],
    columns: np.ndarray[Any, Any],
    suspects: np.ndarray[Any, Any],
    number: numerical.NumericalJacobian,
    step: float | None,
) -> numerical.NumericalJacobian:
    """The derivatives with the suspects among the columns taken again by the whole ladder of steps."""
    again = numerical.jacobian(fn, x, method="ridders", columns=columns[suspects], step=step)
    value, error = number.value[:, suspects], number.error[:, suspects]
    keep = (np.abs(value - again.value) <= 2 * (error + again.error)) & (error <= again.error) & ~again.kinks
    again.value[keep], again.error[keep] = value[keep], error[keep]
    made = replace(number, **{n: getattr(number, n).copy() for n in ("value", "error", "left", "right", "kinks")})
    for name in ("value", "error", "left", "right", "kinks"):
        getattr(made, name)[:, suspects] = getattr(again, name)
    return made


# ------------------------------------------------------------------------------------------------ the report


def _index(index: Sequence[Any]) -> str:
    return "(" + ", ".join(str(int(i)) for i in index) + ("," if len(index) == 1 else "") + ")"


def _report(point: _Point, k: int, what: str, stated: Floats, found: Floats | None, wrong: _Wrong) -> NoReturn:
    """Say what is wrong, where, by how much and, if a diagnosis fits, why."""
    rows, columns = np.concatenate(wrong.rows), np.concatenate(wrong.columns)
    excess, entries = np.concatenate(wrong.excess), np.concatenate(wrong.entries, axis=1)
    analytical, value, error, left, right, kink = entries
    kinks = kink.astype(bool)
    shape = point.arrays[k].shape
    with np.errstate(all="ignore"):
        between = (
            kinks & (analytical >= np.minimum(left, right) - 1e-6) & (analytical <= np.maximum(left, right) + 1e-6)
        )
    only_kinks = bool(kinks.all())

    offsets = np.cumsum([0, *(math.prod(s) for s in point.out_shapes)])

    def place(row: int) -> str:
        out = int(np.searchsorted(offsets, row, side="right")) - 1
        at = _index(np.unravel_index(row - offsets[out], point.out_shapes[out]))
        return at if len(point.out_shapes) == 1 else f"{out}: {at}"

    order = np.argsort(-np.where(np.isnan(excess), np.inf, excess), kind="stable")[:SHOWN]
    header = ["output", "input", "analytical", "numerical", "± error"]
    if kinks.any():
        header += ["from left", "from right"]
    table = [header]
    for e in order:
        line = [place(int(rows[e])), _index(np.unravel_index(columns[e], shape)), f"{analytical[e]:.10g}"]
        line += ["kink", ""] if kinks[e] else [f"{value[e]:.10g}", f"{error[e]:.1g}"]
        if kinks.any():
            line += [f"{left[e]:.6g}", f"{right[e]:.6g}"] if kinks[e] else ["", ""]
        table.append(line)
    widths = [max(len(line[c]) for line in table) for c in range(len(header))]
    text = "\n".join("    " + "  ".join(cell.rjust(w) for cell, w in zip(line, widths, strict=True)) for line in table)
    if len(rows) > len(order):
        text += f"\n    ... {len(rows) - len(order)} more"

    subject = f"the {what} with respect to {point.names[k]}, shape {shape},"
    count = f"{len(rows)} of {stated.size} entries"
    if only_kinks:
        convention = (
            "lies between both, as a convention may" if between.all() else "is neither of both, nor between them"
        )
        raise KinkError(
            f"kink: the function has no derivative by {point.names[k]}, shape {shape}, here, in {count}: from the left and "
            f"from the right it differs; the {what} {convention}.\n{text}\nMove the input away from the kink to check there."
        )
    proper = ~kinks
    if found is not None and not kinks.any():
        bad = np.zeros(stated.shape, dtype=bool)
        bad[rows, columns] = True
        out_shape = point.out_shapes[0] if len(point.out_shapes) == 1 else (point.size,)
        diagnosis = diagnose(stated, found, bad, out_shape, shape)
    else:
        diagnosis = diagnose(
            analytical[None, proper], value[None, proper], np.full((1, int(proper.sum())), True), (1,), (0,)
        )
    lines = [f"{subject} is wrong in {count}.", text]
    if diagnosis:
        lines.append(f"Diagnosis: {diagnosis}.")
    if kinks.any():
        lines.append(f"Besides, {int(kinks.sum())} entries are at a kink: move the input away from it.")
    raise GradcheckError("\n".join(lines))
