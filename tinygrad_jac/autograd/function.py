"""`Function`: an op whose derivative is written as in PyTorch, by `forward` and `backward` on Tensors.

`tinygrad_jac.primitive` is the other way to add an op: shorter, on arrays, and with a Jacobian statement against which
the rule is checked.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from .. import versions
from ..errors import GradientError, ShapeError
from ..graph import Node, Variable, unbroadcast, wrap
from ..jacobians import Dense, Jacobian, Selection, Sum
from ..modes import enable_grad, is_grad_enabled, mode, no_grad
from ..primitive import Primitive


class FunctionCtx:
    """What `Function.forward` leaves for `Function.backward`; any attributes may be set on it besides.

    Attributes
    ----------
    needs_input_grad : tuple of bool
        For each argument of `forward`, whether a gradient is asked for.
    """

    def __init__(self, needs_input_grad: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs_input_grad
        self._to_save: tuple[Any, ...] = ()
        self._constants: tuple[Any, ...] = ()
        self._materialize = True
        self._unpack: Callable[[], tuple[Any, ...]] | None = None

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep inputs, outputs or other Tensors (or None) for `backward`, until the graph is released.

        Inputs and outputs come back in their places in the graph, so that the gradient can be differentiated again.
        What was computed in between is a constant.
        """
        for t in tensors:
            if t is not None and not isinstance(t, Variable):
                raise TypeError(
                    f"save_for_backward takes Tensors and None, not {type(t).__name__}: set other things as attributes "
                    "of ctx"
                )
        self._to_save = tensors

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What `save_for_backward` was given.

        Raises
        ------
        GradientError
            Read elsewhere than in `backward` and `jacobian`; or a saved array was changed in place.
        """
        if self._unpack is None:
            raise GradientError("ctx.saved_tensors can be read in backward() and jacobian() only")
        return self._unpack()

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """Say of outputs that they have no gradient. Outputs that hold integers have none anyway."""
        self._constants = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether `backward` receives zeros (the default) or None for an output on which nothing depends.

        With several outputs, None stands for a cotangent that is zero in all entries.
        """
        self._materialize = value

    def mark_dirty(self, *tensors: Any) -> None:
        """Not supported: a `Function` does not change its inputs.

        Raises
        ------
        GradientError
        """
        raise GradientError("a Function does not change its inputs in place here: return a new tensor")


class Function:
    """An op that the user differentiates: subclass it, and call ``apply``.

    A subclass gives the static methods `forward` and `backward`; also `setup_context`, if `forward` shall not take
    ``ctx``, and `jacobian`, if the Jacobian is to be stated and not to be read off `backward`.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac.autograd.function import Function
    >>> class Cube(Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x**3
    ...
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         (x,) = ctx.saved_tensors
    ...         return g * 3 * x**2
    >>> x = tj.tensor(2.0, requires_grad=True)
    >>> Cube.apply(x).backward()
    >>> x.grad
    tensor(12.)
    """

    _primitive: ClassVar[Primitive | None] = None

    @staticmethod
    def forward(*args: Any) -> Any:
        """``forward(ctx, *args)``, or ``forward(*args)`` with a `setup_context`: a Tensor or a tuple of them.

        It is not recorded.
        """
        raise NotImplementedError("a Function needs the static methods forward and backward")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Save what `backward` needs, where `forward` does not take ``ctx``."""
        raise NotImplementedError

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """The cotangent of each argument of `forward` from those of its outputs; None for one without a gradient."""
        raise NotImplementedError("a Function needs the static method backward(ctx, *grad_outputs)")

    @staticmethod
    def jacobian(ctx: Any) -> Any:
        """For each argument of `forward` a `tinygrad_jac.jacobians.Jacobian`, or None; optional.

        Of several differentiable outputs, one such tuple for each. It is what the debug mode holds `backward` against,
        and what forward mode uses. Without it, the matrix is read off `backward`.
        """
        raise NotImplementedError

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Run `forward` and record it as one op.

        Raises
        ------
        TypeError
            `forward` returned something else than Tensors.
        """
        call = _Call(cls, args)
        inputs = [a for a in args if isinstance(a, Variable)]
        made = call.evaluate(inputs)
        if not (mode.recording and made.sizes and any(t.node is not None for t in inputs)):
            return made.outputs([])
        call.evaluated = made
        return made.outputs(made.split(_primitive_of(cls)(*inputs, call=call)))

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._primitive = None


def _primitive_of(function: type[Function]) -> Primitive:
    """The primitive that a class stands for: its arguments are the Tensors among those of `forward`."""
    if function._primitive is None:
        function._primitive = Primitive(
            function.__name__,
            lambda *arrays, call: call.forward(arrays),
            saves="residual",
            vjp=lambda i, g, out, *inputs, call, residual: residual.pull(i, g, out, inputs),
            jacobian=lambda i, out, *inputs, call, residual: residual.statement(i, out, inputs),
            doc=function.__doc__ or "",
        )
    return function._primitive


class _Call:
    """What one application of a `Function` is given: the class, and the arguments that are no Tensors."""

    def __init__(self, function: type[Function], arguments: tuple[Any, ...]) -> None:
        self.function = function
        self.places = [k for k, a in enumerate(arguments) if isinstance(a, Variable)]
        self.constants = [None if isinstance(a, Variable) else a for a in arguments]
        self.needs_grad = tuple(isinstance(a, Variable) and a.node is not None for a in arguments)
        self.evaluated: _Made | None = None

    def forward(self, arrays: Sequence[Any]) -> tuple[Any, _Made]:
        """The forward of the primitive: what `Function.apply` evaluated already, or an evaluation at other arrays."""
        made, self.evaluated = self.evaluated or self.evaluate([wrap(a) for a in arrays]), None
        return made.whole(), made

    def evaluate(self, inputs: Sequence[Any]) -> _Made:
        arguments = list(self.constants)
        for place, t in zip(self.places, inputs):
            arguments[place] = t
        ctx = FunctionCtx(self.needs_grad)
        with no_grad():
            if self.function.setup_context is Function.setup_context:
                answer = self.function.forward(ctx, *arguments)
            else:
                answer = self.function.forward(*arguments)
                self.function.setup_context(ctx, tuple(arguments), answer)
        return _Made(self, ctx, inputs, answer)


class _Made:
    """What came out of `forward`, and what `backward` needs of it: the residual of the primitive.

    The primitive has one output. Where `forward` has several with gradients, it holds them one after the other, and
    each is a slice of it; so the cotangents that reach them are put together by the engine.
    """

    def __init__(self, call: _Call, ctx: FunctionCtx, inputs: Sequence[Any], answer: Any) -> None:
        self.call, self.ctx = call, ctx
        self.single = not isinstance(answer, (tuple, list))
        given = [answer] if self.single else list(answer)
        for t in given:
            if t is not None and not isinstance(t, Variable):
                raise TypeError(f"{call.function.__name__}.forward must return Tensors, not {type(t).__name__}")
        self.arrays: list[Any] = [None if t is None else t.array for t in given]
        constants = [id(t) for t in ctx._constants]
        # For each output, which of the differentiable ones it is; None for one without a gradient.
        places = iter(range(len(given)))
        self.places = [
            next(places) if t is not None and t.array.dtype.kind == "f" and id(t) not in constants else None
            for t in given
        ]
        some = [t.array for t, place in zip(given, self.places) if place is not None]
        self.shapes, self.dtypes = [a.shape for a in some], [a.dtype for a in some]
        self.sizes = [a.size for a in some]
        self.starts = [sum(self.sizes[:k]) for k in range(len(some))]
        self.saved = [_found(t, inputs, given) for t in ctx._to_save]
        self.constant_forms = [None if a is None else (a.shape, a.dtype) for a in self.arrays]
        self.tick = versions.tick()
        self.pulled: tuple[Any, int, list[Any]] | None = None
        ctx._to_save = ctx._constants = ()

    # -------------------------------------------------------------------------------------------- outputs

    def whole(self) -> Any:
        """The output of the primitive."""
        some = [a for a, place in zip(self.arrays, self.places) if place is not None]
        return some[0][...] if len(some) == 1 else np.concatenate([a.reshape(-1) for a in some])  # it may be an input's

    def split(self, whole: Any) -> list[Any]:
        """The differentiable outputs, of that of the primitive."""
        if len(self.sizes) == 1:
            return [whole]
        parts = []
        for start, size, shape, dtype in zip(self.starts, self.sizes, self.shapes, self.dtypes):
            part = whole[start : start + size].reshape(shape)
            parts.append(part if part.dtype == dtype else part.astype(dtype))
        return parts

    def outputs(self, differentiable: Sequence[Any]) -> Any:
        """What `apply` returns, as `forward` did. Afterwards the arrays are not held any more."""
        found = [
            None if a is None else wrap(a) if place is None or not differentiable else differentiable[place]
            for a, place in zip(self.arrays, self.places)
        ]
        self.arrays = []
        return found[0] if self.single else tuple(found)

    # -------------------------------------------------------------------------------------------- backward

    def pull(self, index: int, g: Any, node: Node, inputs: Sequence[Any]) -> Any:
        """The cotangent of one Tensor; `backward` computes all at once, and the walk asks for one after the other."""
        if self.pulled is None or self.pulled[0] is not g or self.pulled[1] >= index:
            self.pulled = (g, index, self._backward(g, node, inputs))
        found = self.pulled[2]
        last = max(k for k, parent in enumerate(node.parents) if parent is not None)
        self.pulled = None if index == last else (g, index, found)
        return found[index]

    def _backward(self, g: Any, node: Node, inputs: Sequence[Any]) -> list[Any]:
        lead = g.shape[: g.ndim - len(node.shape)]
        if not lead:
            return self._backward_once(g, node, inputs)
        # A user's backward knows of no leading axes: it runs once for each place in them.
        flat = g.reshape((math.prod(lead), *node.shape))
        runs = [self._backward_once(flat[k], node, inputs) for k in range(len(flat))]
        found: list[Any] = []
        for k, x in enumerate(inputs):
            column = [run[k] for run in runs]
            if all(c is None for c in column):
                found.append(None)
            else:
                zero = np.zeros(x.shape, x.dtype)
                column = [zero if c is None else unbroadcast(c, x.shape) for c in column]
                found.append(np.stack(column).reshape((*lead, *x.shape)))
        return found

    def _backward_once(self, g: Any, node: Node, inputs: Sequence[Any]) -> list[Any]:
        recorded = isinstance(g, Variable)
        parts = self.split(g)
        if not self.ctx._materialize and not recorded and len(parts) > 1:
            parts = [part if part.any() else None for part in parts]
        cotangents: list[Any] = []
        for place, form in zip(self.places, self.constant_forms):
            if place is not None:
                part = parts[place]
                cotangents.append(part if part is None or recorded else wrap(part))
            else:
                cotangents.append(wrap(np.zeros(*form)) if form and self.ctx._materialize else None)
        with enable_grad() if recorded else no_grad():
            answer = self._with_saved(
                node, inputs, recorded, lambda: self.call.function.backward(self.ctx, *cotangents)
            )
        return [c.array if isinstance(c, Variable) and not recorded else c for c in self._checked(answer, node)]

    def _checked(self, answer: Any, node: Node) -> list[Any]:
        """What `backward` returned, for the Tensors among the arguments."""
        name, count = f"{self.call.function.__name__}.backward", len(self.call.constants)
        listed = list(answer) if isinstance(answer, (tuple, list)) else [answer]
        while len(listed) > count and listed[-1] is None:
            listed.pop()
        if len(listed) != count:
            raise GradientError(
                f"{name} returned an incorrect number of gradients (expected {count}, got {len(listed)})"
            )
        for k in set(range(count)) - set(self.call.places):
            if listed[k] is not None:
                raise GradientError(
                    f"{name} returned a gradient different from None at position {k}, but the argument there was not a "
                    "Tensor"
                )
        found = []
        for place, parent in zip(self.call.places, node.parents):
            c = listed[place] if parent is not None else None
            if c is not None and not isinstance(c, Variable):
                raise TypeError(f"{name} must return Tensors or None, not {type(c).__name__} at position {place}")
            if c is not None and parent is not None and not _fits(parent.shape, c.array.shape):
                raise ShapeError(
                    f"{name} returned an invalid gradient at index {place} - got {c.array.shape} but expected shape "
                    f"compatible with {parent.shape}"
                )
            found.append(c)
        return found

    # -------------------------------------------------------------------------------------------- what was saved

    def _with_saved(self, node: Node, inputs: Sequence[Any], recorded: bool, run: Callable[[], Any]) -> Any:
        """Run the user's code with `saved_tensors` in their places in the graph, if that is recorded."""
        before, self.ctx._unpack = (
            self.ctx._unpack,
            lambda: tuple(self._restored(saved, node, inputs, recorded) for saved in self.saved),
        )
        try:
            return run()
        finally:
            self.ctx._unpack = before

    def _restored(self, saved: Any, node: Node, inputs: Sequence[Any], recorded: bool) -> Any:
        kind, k, array = saved
        if array is None:
            return None
        if versions.changes_since(array, self.tick)[1]:
            raise GradientError(
                f"an array of shape {array.shape} that {self.call.function.__name__} saved for its gradient was "
                "changed in place; change a copy (x = x + y), or change it after backward()"
            )
        if not recorded or kind == "other":
            return wrap(array)
        if kind == "input":
            return wrap(array, node.parents[k])
        place = self.places[k]
        if place is None:
            return wrap(array)
        if len(self.sizes) == 1:
            return wrap(array, node)
        whole = np.zeros(node.shape, node.dtype)
        whole[self.starts[place] : self.starts[place] + self.sizes[place]] = array.reshape(-1)
        return self.split(wrap(whole, node))[place]

    # -------------------------------------------------------------------------------------------- the Jacobian

    def statement(self, index: int, node: Node, inputs: Sequence[Any]) -> Jacobian:
        """What the class states, or else the matrix that its `backward` multiplies with."""
        function, shape = self.call.function, inputs[index].shape
        if function.jacobian is Function.jacobian:
            m = math.prod(node.shape)
            rows = self._backward(np.eye(m, dtype=node.dtype).reshape(m, *node.shape), node, inputs)[index]
            matrix = np.zeros((m, math.prod(shape))) if rows is None else rows.reshape(m, math.prod(shape))
            return FromBackward(matrix, node.shape, shape)
        stated = self._with_saved(node, inputs, False, lambda: function.jacobian(self.ctx))
        place = self.call.places[index]
        if len(self.sizes) == 1:
            return _stated_for(stated, place, node.shape, shape, function.__name__)
        terms = []
        for start, size, out_shape, row in zip(self.starts, self.sizes, self.shapes, stated):
            put = np.full(node.shape, -1)
            put[start : start + size] = np.arange(size)
            terms.append(Selection(put, out_shape) @ _stated_for(row, place, out_shape, shape, function.__name__))
        return Sum(terms)


class FromBackward(Dense):
    """The matrix that a `Function.backward` multiplies with, which therefore says nothing about whether it is right."""

    structure = "dense (from backward)"
    independent = False


def _stated_for(stated: Any, place: int, out_shape: tuple[int, ...], in_shape: tuple[int, ...], name: str) -> Jacobian:
    J = stated[place] if isinstance(stated, (tuple, list)) else stated
    if J is None:
        return Selection(np.full(out_shape, -1), in_shape)
    if not isinstance(J, Jacobian) or (J.out_shape, J.in_shape) != (out_shape, in_shape):
        raise ShapeError(f"{name}.jacobian must state a Jacobian from {in_shape} to {out_shape} at {place}, not {J!r}")
    return J


def _found(t: Any, inputs: Sequence[Any], outputs: Sequence[Any]) -> tuple[str, int, Any]:
    """Where a saved Tensor comes from, and its array."""
    for kind, some in (("input", inputs), ("output", outputs)):
        for k, other in enumerate(some):
            if other is t and t is not None:
                return kind, k, t.array
    return "other", 0, None if t is None else t.array


def _fits(shape: tuple[int, ...], found: tuple[int, ...]) -> bool:
    """Whether a gradient of one shape can be summed to another."""
    try:
        return np.broadcast_shapes(shape, found) == found
    except ValueError:
        return False


# ------------------------------------------------------------------------------------------------ once


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Say of a `Function.backward` that it cannot be differentiated itself: doing so is an error then, not a zero.

    Written under ``@staticmethod``. Such a `backward` may compute with NumPy on ``.numpy()`` arrays.
    """

    @functools.wraps(backward)
    def once(ctx: Any, *grads: Any) -> Any:
        saved = ctx.saved_tensors
        before, ctx._unpack = ctx._unpack, lambda: tuple(_detached(t) for t in saved)
        try:
            with no_grad():
                found = backward(ctx, *(_detached(g) for g in grads))
        finally:
            ctx._unpack = before
        tracked = [t for t in (*grads, *saved) if t is not None and t.node is not None]
        if not tracked or not is_grad_enabled():
            return found
        guarded = [c if c is None else _once(c, *tracked) for c in (found if isinstance(found, tuple) else (found,))]
        return tuple(guarded) if isinstance(found, tuple) else guarded[0]

    return once


def _detached(t: Any) -> Any:
    return t if t is None else wrap(t.array)


def _refuse(*args: Any) -> Any:
    raise GradientError("trying to differentiate twice a function that was marked with @once_differentiable")


_once = Primitive(
    "once_differentiable",
    lambda *xs: xs[0].copy(),
    vjp=lambda i, g, out, *xs: _refuse(),
    jacobian=lambda i, out, *xs: _refuse(),
)
