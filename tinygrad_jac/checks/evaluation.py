"""A function of Tensors at the point where it is checked: its values, its gradients, what it changes."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .. import autograd, graph
from ..errors import GradientError
from ..graph import Leaf, Node, Variable, nodes_between, wrap
from ..modes import enable_grad, is_grad_enabled, set_grad_enabled
from .diagnosis import Floats

BLOCK = 2**20  # entries of each array that a walk with leading axes may make


class GradcheckError(RuntimeError):
    """A gradient is wrong, or a rule breaks a promise; the message says which, where and, if it can, why."""


class KinkError(GradcheckError):
    """The function has a kink at the given point: there is no derivative to compare with. Move the input."""


class Point:
    """A function and where it is checked: what is differentiated, as float64 arrays, and how to evaluate it there.

    A module's parameters hold those arrays in the meantime; as a context manager it gives them back.
    """

    def __init__(self, func: Callable[..., Any], inputs: Any) -> None:
        self.func = func
        self.inputs = [_in_float64(a) for a in listed(inputs)]
        self.places: list[Any] = []  # an index into the inputs, or a parameter
        self.names: list[str] = []
        self.arrays: list[np.ndarray[Any, Any]] = []
        self.single: list[str] = []  # what was given in float32 or less
        for k, given in enumerate(listed(inputs)):
            if requires_grad(given):
                self._add(k, f"input {k}", given)
        for name, parameter in func.named_parameters() if hasattr(func, "named_parameters") else ():
            if requires_grad(parameter):
                self._add(parameter, f"parameter '{name}'", parameter)
        if not self.arrays:
            raise ValueError(
                "gradcheck needs an input that requires a gradient, and none does: create it with requires_grad=True"
            )
        self.kept = [(p, p.array, p.node) for p in self.places if not isinstance(p, int)]
        buffers = func.named_buffers() if hasattr(func, "named_buffers") else ()
        self.buffers = [(b, b.array, b.array.copy()) for _, b in buffers]
        self.recording = True  # while evaluating

    def _add(self, place: Any, name: str, given: Variable) -> None:
        if given.array.dtype.kind != "f":
            raise TypeError(f"gradcheck checks real functions, and {name} has dtype {given.array.dtype}")
        if given.array.dtype.itemsize < 8 and isinstance(place, int):  # a module's parameters usually are
            self.single.append(name)
        self.places.append(place)
        self.names.append(name)
        self.arrays.append(given.array.astype(np.float64))

    def __enter__(self) -> Point:
        return self

    def __exit__(self, *exc: object) -> None:
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
            return self._flat(self.outputs(arrays))

    def _flat(self, outputs: Sequence[Any]) -> np.ndarray[Any, Any]:
        return np.concatenate([o.array.reshape(-1) for o in outputs])  # a copy

    def moved(self, k: int) -> Callable[[Any], Any]:
        """The outputs as a function of the k-th array alone."""
        return lambda x: self.values([*self.arrays[:k], x, *self.arrays[k + 1 :]])

    def start(self, nondet: float) -> None:
        """Evaluate once, recorded, and again: whether an input is changed, and whether the values are the same.

        Raises
        ------
        GradcheckError
        """
        before = [a.copy() for a in self.arrays]
        self.leaves: list[Variable] = []
        with enable_grad():
            self.recorded = self.outputs(self.arrays, self.leaves)
        self.check_not_changed(before, "the function")
        self.out_shapes = [o.array.shape for o in self.recorded]
        self.size = sum(o.array.size for o in self.recorded)
        self.start_values = self._flat(self.recorded)
        if not np.isfinite(self.start_values).all():
            row = int(np.flatnonzero(~np.isfinite(self.start_values))[0])
            raise GradcheckError(
                f"output {self.place(row)} is {self.start_values[row]}: there is no derivative; check at an input "
                "where the function is finite"
            )
        self.check_repeatable(nondet, "when called twice")
        self.noise = self._measure_noise()
        try:  # recording costs time, and is needed only where the function itself asks for gradients
            self.recording = False
            plain = self.values(self.arrays)
        except Exception:  # whatever the function does with tensors that do not require a gradient
            self.recording = True
            return
        if isinstance(self.func, Gradient) and not same(plain, self.start_values, nondet):
            off = np.abs(plain - self.start_values).max()
            raise GradcheckError(
                f"the gradient recorded with create_graph=True differs from the plain one by up to {off:.3g}: a rule "
                "does something else on Tensors, or a composition or a residual= is not what its primitive computes"
            )
        self.recording = not same(plain, self.start_values, nondet)

    def _measure_noise(self) -> Floats:
        """How far other rounding errors inside of the function take its values: more than the values can show."""
        noise = np.zeros((2, self.size))
        try:
            for row, seed in ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1)):
                with self.rounded_otherwise(seed, (1, 64)[row]):
                    noise[row] = np.fmax(noise[row], np.abs(self._flat(self.recorded) - self.start_values))
        except Exception:  # whatever the function makes of values that are a little off
            return np.zeros(self.size)
        # What does not grow with the errors is no rounding: a choice has tipped over, that of an equal maximum, say.
        return np.where(noise[0] <= 0.25 * noise[1], noise[0], 0.0)

    def check_repeatable(self, nondet: float, when: str) -> None:
        """Raise where the values are not those of the start."""
        again = self.values(self.arrays)
        if not same(again, self.start_values, nondet):
            off = f"by up to {np.abs(again - self.start_values).max():.3g}" if again.size == self.size else "in number"
            raise GradcheckError(
                f"not repeatable: {when} with the same inputs, the function's values differ {off}; fix its random "
                "numbers (a generator seeded inside of it, eval() for dropout) or what it keeps from call to call"
            )

    def check_not_changed(self, before: list[np.ndarray[Any, Any]], who: str) -> None:
        for name, array, copy in zip(self.names, self.arrays, before, strict=True):
            if not np.array_equal(array, copy, equal_nan=True):
                raise GradcheckError(f"{who} changes {name} in place: it must work on a copy (clone())")

    def place(self, row: int) -> str:
        """The index of an entry among all outputs; with the output's number where there are several."""
        for number, shape in enumerate(self.out_shapes):
            size = math.prod(shape)
            if row < size:
                at = at_index(np.unravel_index(row, shape))
                return at if len(self.out_shapes) == 1 else f"{number}: {at}"
            row -= size
        raise IndexError(row)

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
                    f"the gradient with respect to {name} has shape {c.array.shape} and dtype {c.array.dtype}, "
                    f"expected {shape} and {leaf.array.dtype}"
                )
            gradients.append(np.zeros(shape) if c is None else c.array)
        return gradients

    def pulled_back(self) -> list[Floats]:
        """The Jacobian with respect to each array, (m, n): a walk back seeded with the identity, or its blocks."""
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

    @contextlib.contextmanager
    def rounded_otherwise(self, seed: int, size: float = 1.0) -> Iterator[None]:
        """The graph recorded and walked with other rounding errors: Monte Carlo arithmetic (Parker 1997)."""
        kept, thread = (self.recorded, self.leaves), threading.get_ident()
        outer = graph.observers.get(thread)
        graph.observers[thread] = _Jitter(seed, size)
        try:
            self.leaves = []
            with enable_grad():
                self.recorded = self.outputs(self.arrays, self.leaves)
            yield
        finally:
            self.recorded, self.leaves = kept
            del graph.observers[thread]
            if outer is not None:
                graph.observers[thread] = outer

    def _blocks(self, size: int) -> Iterator[range]:
        """How many leading axes at a time the largest array of the graph allows."""
        roots = [o.node for o in self.recorded if o.node is not None]
        largest = max((node.size for node in nodes_between(roots)), default=1)
        step = max(1, BLOCK // max(largest, 1))
        return (range(k, min(k + step, size)) for k in range(0, size, step))


class _Jitter(graph.Observer):
    """Changes the last digits of whatever an op or a walk back computes."""

    def __init__(self, seed: int, size: float) -> None:
        self.random = np.random.default_rng(seed)
        self.size = size

    def recorded(self, node: Node, values: Sequence[Any], out: np.ndarray[Any, Any]) -> None:
        # An op that only picks entries does not round, and its rule may look for the entry that it picked. Some tell.
        some = out.reshape(-1)[:: 1 + out.size // 16]
        picked = [np.isin(some, v) if np.size(v) < 64 else [(v == x).any() for x in some] for v in values]
        if out.base is not None or np.any(picked, axis=0).all():
            return
        primitive = node.primitive
        assert primitive is not None
        if not primitive.elementwise:  # a sum of products rounds on the scale of its terms, not of what they add up to
            params = {k: v for k, v in node.kwargs.items() if k != "residual"}
            again = primitive.forward(*(self._changed(v) for v in values), **params)
            out[...] = again[0] if "residual" in primitive.saves else again
        self._change(out)

    def visited(self, node: Node, g: Any) -> None:
        if type(g) is np.ndarray:
            self._change(g)

    def _change(self, array: np.ndarray[Any, Any]) -> None:
        if array.flags.writeable:
            array[...] = self._changed(array)

    def _changed(self, array: Any) -> Any:
        if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
            return array
        eps = self.size * float(np.finfo(array.dtype).eps)
        return array + (array * (eps * self.random.uniform(-2, 2, array.shape))).astype(array.dtype)


class Gradient:
    """The gradient of a function as a function of its inputs and of the cotangents of its outputs.

    It is recorded where recording is on, and computed by the rules on plain arrays where it is off.
    """

    def __init__(self, func: Callable[..., Any], inputs: Sequence[Any], cotangents: int) -> None:
        self.func = func
        self.cotangents = cotangents
        self.sources = [k for k, a in enumerate(inputs) if requires_grad(a)]
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
            found = _outputs_of(self.func(*inputs))
            recorded = [(o, u) for o, u in zip(found, cotangents, strict=True) if o.node is not None]
            if not recorded:
                return tuple(wrap(np.zeros_like(s.array)) for s in sources)
            outputs, cotangents = zip(*recorded, strict=True)
            return autograd.grad(
                outputs, sources, cotangents, create_graph=create_graph, materialize_grads=True, allow_unused=True
            )


def random_cotangents(func: Callable[..., Any], inputs: Any, contiguous: bool) -> list[Variable]:
    """For each output a cotangent away from zero, which requires a gradient."""
    random = np.random.default_rng(0)
    with Point(func, inputs) as point:
        shapes = [o.array.shape for o in point.outputs(point.arrays)]
    made = []
    for shape in shapes:
        u = random.uniform(0.5, 1.0, (*shape, 2)) * random.choice([-1.0, 1.0], (*shape, 2))
        cotangent = wrap(u[..., 0].copy() if contiguous else u[..., 0])
        cotangent.node = Leaf(cotangent)
        made.append(cotangent)
    return made


def listed(given: Any) -> list[Any]:
    return list(given) if isinstance(given, (list, tuple)) else [given]


def requires_grad(a: Any) -> bool:
    return isinstance(a, Variable) and a.node is not None


def _in_float64(a: Any) -> Any:
    """Constants too are taken to float64, so that nothing but the function itself rounds more coarsely."""
    if isinstance(a, Variable) and a.array.dtype.kind == "f" and a.array.dtype.itemsize < 8:
        return wrap(a.array.astype(np.float64))
    return a


def _outputs_of(result: Any) -> list[Any]:
    """The outputs that can have a derivative."""
    found = [o for o in listed(result) if isinstance(o, Variable) and o.array.dtype.kind in "fc"]
    if not found:
        raise ValueError(
            f"the function must return a floating-point Tensor or a tuple of them, not {type(result).__name__}"
        )
    return found


def same(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any], nondet: float = 0.0, rtol: float = 1e-13) -> bool:
    """Equal up to rounding, on the scale of the largest entry: threads may add in another order."""
    if a.shape != b.shape:
        return False
    allowed = nondet + rtol * np.abs(b[np.isfinite(b)]).max(initial=0.0)
    with np.errstate(invalid="ignore"):
        return bool(((np.abs(a - b) <= allowed) | (a == b) | (np.isnan(a) & np.isnan(b))).all())


def at_index(index: Sequence[Any]) -> str:
    return "(" + ", ".join(str(int(i)) for i in index) + ("," if len(index) == 1 else "") + ")"
