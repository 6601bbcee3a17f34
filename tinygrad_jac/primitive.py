"""What a primitive is: a forward function with, for each argument, a VJP rule and a Jacobian statement.

`primitive` registers one; the package's own rule book (``rules/``) and user code make the same call. The engine does
the rest: recording, broadcasting, accumulation, second derivatives, composition of statements.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import dtypes, graph
from .errors import GradientError, ShapeError
from .graph import Array, Node, Spec, Variable, observers, walk_back, wrap
from .jacobians import Jacobian, Selection
from .modes import mode
from .versions import rewritten, tick
from .writing import deliver

Rule = Callable[..., Any]
ndarray = np.ndarray
new = object.__new__
_SCALARS = (int, float, bool, complex)
_WEAK = (float, int)  # Python numbers that leave a float array's dtype as it is
_ARGUMENT_NAMES = (("input", "self"), ("other", "exponent"))  # as PyTorch calls the first and the second
_VARARGS = 0x04  # inspect.CO_VARARGS, without the cost of importing inspect

registry: dict[str, Primitive] = {}
ufuncs: dict[np.ufunc, Callable[..., Any]] = {}  # what NumPy's ufuncs mean on a Tensor
functions: dict[Callable[..., Any], Callable[..., Any]] = {}  # what NumPy's other functions mean on a Tensor


class Primitive:
    """One operation whose derivative is stated: twice, as VJP rules and as Jacobian statements.

    Called with Tensors it returns a Tensor and records; called with arrays alone it returns an array, so that rules
    and user functions may use primitives on either. Made by `primitive`.

    Attributes
    ----------
    name : str
    forward : callable
        ``forward(*arrays, **params)``.
    vjp, jacobian : sequence of (callable or None)
        One for each positional argument; None for an argument that is not differentiable.
    arguments, params : tuple of str
        Names of the positional arguments and of the keyword parameters.
    saves : frozenset of str
        Which arguments, ``out`` or ``residual``, a node keeps for rules and statements.
    """

    def __init__(
        self,
        name: str,
        forward: Callable[..., Any],
        *,
        vjp: Rule | Sequence[Rule | None],
        jacobian: Rule | Sequence[Rule | None],
        saves: str | dict[str, str] = "",
        elementwise: bool = False,
        residual: Callable[..., Any] | None = None,
        composition: Callable[..., Any] | None = None,
        accumulate: Rule | Sequence[Rule | None] | None = None,
        doc: str = "",
    ) -> None:
        self.name = name
        self.forward = forward
        self.elementwise = elementwise
        self.residual = residual
        self.composition = composition
        self.__doc__ = doc or f"The primitive '{name}'."
        self.__name__ = name
        rules = (vjp,) if callable(vjp) else tuple(vjp)
        statements = (jacobian,) if callable(jacobian) else tuple(jacobian)
        self.arguments, self.params, self.variadic = _read_signatures(name, rules, statements)
        self.accumulate: Sequence[Any] | None = (accumulate,) if callable(accumulate) else accumulate
        if self.accumulate is not None and (self.variadic or len(self.accumulate) != len(rules)):
            raise ValueError(
                f"primitive '{name}' has {len(rules)} rules and {len(self.accumulate)} entries of accumulate=: give "
                "one for each argument, None where there is none; a variadic primitive takes none"
            )
        self.vjp: Sequence[Any] = _ForEach(rules[0]) if self.variadic else rules
        self.jacobian: Sequence[Any] = _ForEach(statements[0]) if self.variadic else statements

        each = saves if isinstance(saves, dict) else dict.fromkeys(self.arguments, saves)
        needed = {name: set(given.split()) for name, given in each.items()}
        self.saves = frozenset().union(*needed.values())
        unknown = self.saves.union(needed) - {*self.arguments, "out", "residual"}
        if unknown:
            raise ValueError(f"primitive '{name}' saves {sorted(unknown)}, but its arguments are {self.arguments}")
        if residual is not None and "residual" not in self.saves:
            raise ValueError(f"primitive '{name}' states its residual, but does not save it: add it to saves=")
        if composition is not None and not self.saves.issuperset(self.arguments):
            raise ValueError(f"primitive '{name}' names a composition, so it must save all of {self.arguments}")
        # For each argument, and for the output: the arguments whose gradient needs its values.
        self._needed_by = [
            [k for k, of in enumerate(self.arguments) if name in needed.get(of, ())]
            for name in (*self.arguments, "out")
        ]
        self._has_residual = "residual" in self.saves
        self._names = frozenset(self.params)
        plain = (
            elementwise
            and not self.params
            and not self.variadic
            and len(self.arguments) <= 2
            and not self._has_residual
        )
        self._general = not plain
        self._kept: dict[tuple[bool, ...], tuple[tuple[bool, ...], bool]] = {}  # by which arguments are tracked
        self.operator: Callable[..., Any] = self._unrolled() if plain else self.apply

    # -------------------------------------------------------------------------------------------- recording

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """Bound to a Tensor like any function, so that a primitive can stand in a class as a method."""
        return self if instance is None else functools.partial(self.operator, instance)

    def __call__(self, *args: Any, **params: Any) -> Any:
        return self.apply(*args, **params) if params or self._general else self.operator(*args)

    def apply(self, *args: Any, **params: Any) -> Any:
        """Compute, and record where a gradient is asked for: the call in general."""
        if params and not params.keys() <= self._names:
            if "out" in params:
                out = params.pop("out")
                return deliver(out, self.apply(*args, **params))
            args, params = self._positional(args, params)
        values: list[Any] = []
        parents: list[Node | None] = []
        traced = tracked = False
        for a in args:
            if isinstance(a, Variable):
                traced = True
                values.append(a.array)
                node = a.node
                parents.append(node)
                if node is not None:
                    tracked = True
            else:
                values.append(a if type(a) in _SCALARS else self._constant(a))
                parents.append(None)
        if not traced:
            # NumPy's scalars as they are, since rules ask them for their dtype; lists as arrays.
            out = self.forward(*(v if type(v) is ndarray else a for v, a in zip(values, args)), **params)
            return out[0] if self._has_residual else out
        if rewritten and mode.recording:
            graph.check_current(args)
        if self.elementwise and len(values) > 1:
            values = dtypes.promote(values)
        try:
            out = self.forward(*values, **params)
        except ValueError as error:
            if not self.elementwise or "broadcast" not in str(error):
                raise
            shapes = " and ".join(str(np.shape(v)) for v in values)
            raise ShapeError(f"{self.name}: shapes {shapes} do not broadcast to one shape") from error
        if self._has_residual:
            out, params["residual"] = out
        if type(out) is not ndarray:
            out = np.asarray(out)
        if tracked and mode.recording and out.dtype.kind in "fc":
            return wrap(out, self.record(out, values, parents, params))
        if out.dtype.kind == "f" and all(getattr(v, "dtype", dtypes.int64).kind in "biu" for v in values):
            default = dtypes.get_default_dtype()  # integers became floats: of the default dtype
            if out.itemsize < default.itemsize and not self._has_residual:  # NumPy takes float16 for 8 bits
                out = self.forward(*(v.astype(default) if isinstance(v, ndarray) else v for v in values), **params)
            out = np.asarray(out, default)
        return wrap(out)

    def _constant(self, given: Any) -> Any:
        """An operand that is no Tensor: an ndarray of numbers, or a Python number for a NumPy scalar (weak as such)."""
        if isinstance(given, np.generic) and given.dtype.kind in "iufc":
            return given.item()
        array = given if type(given) is ndarray else np.asarray(given)
        if array.dtype.kind not in "biufc":
            kind = f"{type(given).__name__} {given!r:.40}"
            raise TypeError(f"'{self.name}' takes Tensors, arrays and numbers, not {kind}")
        return array

    def _positional(self, args: tuple[Any, ...], params: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Arguments given by name, in one of their spellings, put in their places."""
        params = dict(params)
        rest = []
        for k, name in [*enumerate(self.arguments)][len(args) :]:
            spelled = [s for s in (name, *(_ARGUMENT_NAMES[k] if k < 2 else ())) if s in params]
            if not spelled:
                break
            rest.append(params.pop(spelled[0]))
        if not params.keys() <= self._names:
            unknown = sorted(params.keys() - self._names)
            raise TypeError(f"'{self.name}' takes ({', '.join((*self.arguments, *self.params))}), not {unknown}")
        return (*args, *rest), params

    def _unrolled(self) -> Callable[..., Any]:
        """The call path of an elementwise primitive of one or two arguments, as a function for operators and methods.

        It does what `apply` does where the usual holds (floats of one dtype), without loops and lists, and hands every
        other case to it. Measured on `x * y` of three entries: 1.4 µs instead of 3.9. The names of its parameters are
        PyTorch's, since methods are called with them: ``x.mul(other=y)``.
        """
        forward, general, name = self.forward, self.apply, self.name
        nothing: dict[str, Any] = {}

        def unary(input: Any) -> Any:
            if not isinstance(input, Variable):
                return forward(input) if type(input) is ndarray else general(input)
            array = input.array
            parent = input.node
            if parent is None or not mode.recording:
                if array.dtype.kind not in "fc":
                    return general(input)
                out = forward(array)
                return wrap(out if type(out) is ndarray else np.asarray(out))
            if for_one is None:
                return general(input)
            if rewritten:
                graph.check_current((input,))
            out = forward(array)
            if type(out) is not ndarray:
                out = np.asarray(out)
            node = new(Node)
            node.shape = out.shape
            node.dtype = out.dtype
            node.primitive = self
            node.parents = parents = (parent,)
            (keep,), keep_out = for_one
            node.args = (array,) if keep else parents
            node.kwargs = nothing
            node.out = out if keep_out else None
            node.extras = None
            node.order = tick()
            if observers:
                _show(node, (array,), out)
            return wrap(out, node)

        def binary(input: Any, other: Any) -> Any:
            if isinstance(input, Variable):
                a: Any = input.array
                p = input.node
                if isinstance(other, Variable):
                    b: Any = other.array
                    q = other.node
                    if a.dtype is not b.dtype:
                        return general(input, other)
                elif type(other) in _WEAK:
                    b, q = other, None
                else:
                    return general(input, other)
            elif type(input) in _WEAK and isinstance(other, Variable):
                a, p, b, q = input, None, other.array, other.node
            elif type(input) is ndarray and type(other) is ndarray:
                return forward(input, other)  # a rule on arrays
            else:
                return general(input, other)
            if (p is None and q is None) or not mode.recording:
                if (b if type(a) in _WEAK else a).dtype.kind not in "fc":
                    return general(input, other)
                try:
                    out = forward(a, b)
                except ValueError:
                    return general(input, other)  # which says what is wrong
                return wrap(out if type(out) is ndarray else np.asarray(out))
            kept = for_right if p is None else for_left if q is None else for_both
            if kept is None:
                return general(input, other)
            if rewritten:
                graph.check_current((input, other))
            try:
                out = forward(a, b)
            except ValueError:
                return general(input, other)
            if type(out) is not ndarray:
                out = np.asarray(out)
            node = new(Node)
            node.shape = out.shape
            node.dtype = out.dtype
            node.primitive = self
            node.parents = parents = (p, q)
            (keep_a, keep_b), keep_out = kept
            if kept is parents_only:
                node.args = parents
            else:
                node.args = (a if keep_a else p or _spec_of(a), b if keep_b else q or _spec_of(b))
            node.kwargs = nothing
            node.out = out if keep_out else None
            node.extras = None
            node.order = tick()
            if observers:
                _show(node, (a, b), out)
            return wrap(out, node)

        # What a node keeps, by which arguments are tracked.
        if len(self.arguments) == 1:
            for_one = self._kept_where(True)
        else:
            for_both, for_left, for_right = (self._kept_where(*t) for t in ((True, True), (True, False), (False, True)))
            parents_only = for_both if for_both and not any(for_both[0]) else self
        made = unary if len(self.arguments) == 1 else binary
        made.__name__ = made.__qualname__ = name
        made.__doc__ = self.__doc__
        return made

    def record(self, out: Any, values: list[Any], parents: list[Node | None], params: dict[str, Any]) -> Node:
        """The node of one application; for `graph.Node`'s attributes see there."""
        node = new(Node)
        node.shape = out.shape
        node.dtype = out.dtype
        node.primitive = self
        node.parents = tuple(parents)
        tracked = tuple(map(bool, parents))
        kept, out_kept = self._kept.get(tracked) or self._what_is_kept(tracked)
        node.args = tuple([
            value if keep else _spec_of(value) if parent is None else parent
            for value, parent, keep in zip(values, parents, kept)
        ])  # fmt: skip
        node.out = out if out_kept else None
        node.kwargs = params
        node.extras = None
        node.order = tick()
        if observers:
            _show(node, values, out)
        return node

    def _what_is_kept(self, tracked: tuple[bool, ...]) -> tuple[tuple[bool, ...], bool]:
        """Which arguments a node keeps, and whether the output, where these arguments require a gradient."""
        *needed_by, out_needed_by = self._needed_by
        if self.variadic:
            return (bool(needed_by[0]),) * len(tracked), bool(out_needed_by)
        asked = {index for index, requires in enumerate(tracked) if requires}
        for index in asked:
            if self.vjp[index] is None:
                raise GradientError(
                    f"'{self.name}' has no VJP rule for {self.argument(index)!r}, which requires a gradient: detach() "
                    "it, or register a primitive with a rule for it (see tinygrad_jac.primitive)"
                )
        found = tuple(not asked.isdisjoint(needed) for needed in needed_by), not asked.isdisjoint(out_needed_by)
        return self._kept.setdefault(tracked, found)

    def _kept_where(self, *tracked: bool) -> tuple[tuple[bool, ...], bool] | None:
        """`_what_is_kept`, or None where a rule that is needed is missing."""
        try:
            return self._what_is_kept(tracked)
        except GradientError:
            return None

    def argument(self, index: int) -> str:
        """The name of a positional argument; numbered where they are variadic."""
        return f"{self.arguments[0]}[{index}]" if self.variadic else self.arguments[index]

    # -------------------------------------------------------------------------------------------- derivatives

    def pull_back(self, node: Node, index: int, g: Array) -> Array:
        """The registered rule on arrays: the cotangent of one argument."""
        return self.vjp[index](g, node if node.out is None else node.out, *node.args, **node.kwargs)  # type: ignore[misc]

    def pull_back_recorded(self, node: Node, index: int, g: Array) -> Array:
        """The same rule on Tensors that stand where the saved arrays stood in the graph, so that it is recorded."""
        assert node.args is not None
        before, mode.recording = mode.recording, True
        try:
            args: list[Any] = [
                wrap(a, p) if p is not None and isinstance(a, np.ndarray) else a
                for a, p in zip(node.args, node.parents, strict=True)
            ]
            params = {k: v for k, v in node.kwargs.items() if k != "residual"}
            if self.composition is not None:
                # Each argument enters through an identity of its own: the walk stops there, and does not run on
                # into another argument that happens to be computed from this one.
                entries = [ufuncs[np.positive](a) if isinstance(a, Variable) else a for a in args]
                equal = self.composition(*entries, **params)
                target = entries[index].node
                return walk_back([(equal.node, g)], [target], create_graph=True, retain_graph=True).get(target)
            out = node if node.out is None else wrap(node.out, node)
            if self._has_residual:
                params["residual"] = (
                    self.residual(out, *args, **params) if self.residual is not None else node.kwargs["residual"]
                )
            return self.vjp[index](g, out, *args, **params)
        finally:
            mode.recording = before

    def statement(self, node: Node, index: int) -> Jacobian:
        """The Jacobian of the output with respect to one argument, as the primitive states it.

        For an elementwise primitive the arguments are shown to the statement as broadcast to the output; where a
        statement is about an argument as broadcast, it is composed with the Jacobian of that broadcast.
        """
        state = self.jacobian[index]
        if node.args is None:
            raise GradientError(
                f"the arrays that '{self.name}' saved were released by backward(); give it retain_graph=True to look "
                "at the graph's Jacobians afterwards"
            )
        if state is None:
            raise GradientError(f"'{self.name}' states no Jacobian for {self.argument(index)!r}")
        args: Sequence[Any] = node.args
        if self.elementwise:
            args = [Spec(node.shape, a.dtype) if isinstance(a, Spec) else np.broadcast_to(a, node.shape) for a in args]
        stated: Jacobian = state(node if node.out is None else node.out, *args, **node.kwargs)
        if not isinstance(stated, Jacobian):
            raise GradientError(
                f"the Jacobian statement of '{self.name}' for {self.argument(index)!r} returned a "
                f"{type(stated).__name__}: it returns a structure of tinygrad_jac.jacobians, such as Dense(matrix)"
            )
        parent = node.parents[index]
        shape = parent.shape if parent is not None else np.shape(node.args[index])
        if stated.in_shape != shape:
            stated = stated @ Selection.broadcast(shape, stated.in_shape)
        return stated

    def structures(self, index: int) -> list[str]:
        """The structures that the Jacobian statement for one argument is made of, read off the statement."""
        state = self.jacobian[0 if self.variadic else index]
        return [] if state is None else sorted(_structures_in(state, set()))

    def __repr__(self) -> str:
        names = ("*" if self.variadic else "") + ", ".join(self.arguments)
        params = "".join(f", {name}" for name in self.params)
        params = params if self.variadic or not params else f", *{params}"
        saves = " ".join(sorted(self.saves)) or "nothing"
        jacobians = "; ".join(f"∂{a} {' · '.join(self.structures(k)) or '-'}" for k, a in enumerate(self.arguments))
        return f"<primitive {self.name}({names}{params}), saves {saves}; {jacobians}>"


def _show(node: Node, values: Sequence[Any], out: Any) -> None:
    """Let the thread's observer see an application that was recorded."""
    observer = observers.get(threading.get_ident())
    if observer is not None:
        observer.recorded(node, values, out)


def _structures_in(function: Any, seen: set[Any]) -> set[str]:
    """The words for the structures that a function, or one that it calls, makes."""
    function = getattr(function, "func", function)  # of a partial, what it calls
    code = getattr(function, "__code__", None)
    if code is None or code in seen:
        return set()
    seen.add(code)
    found: set[str] = set()
    codes, names = [code], set(code.co_names)
    while codes:
        inner = [c for c in codes.pop().co_consts if hasattr(c, "co_names")]
        codes += inner
        names.update(*(c.co_names for c in inner))
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    for value in [*cells, *(function.__globals__[n] for n in names if n in function.__globals__)]:
        if isinstance(value, type) and issubclass(value, Jacobian):
            word = value.structure
            found.add(word if isinstance(word, str) else value.__name__.lower())
        elif getattr(value, "__module__", "").startswith(__package__ + ".rules") or value in cells:
            found |= _structures_in(value, seen)
    return found


def _spec_of(value: Any) -> Any:
    """What stands for a constant that is not saved: a Python number itself, the form of an array."""
    return _spec(value.shape, value.dtype) if type(value) is ndarray else value


_spec = functools.lru_cache(maxsize=1024)(Spec)  # one for all constants of a form: it is never changed


class _ForEach(Sequence[Rule]):
    """The one rule of a variadic primitive, seen as a sequence: entry i is the rule with i given first."""

    def __init__(self, rule: Any) -> None:
        self.rule = rule

    def __getitem__(self, index: Any) -> Any:
        return functools.partial(self.rule, index)

    def __len__(self) -> int:
        return 1


def _read_signatures(
    name: str, rules: Sequence[Rule | None], statements: Sequence[Rule | None]
) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    """Names of arguments and parameters, read off the first rule and required of all others."""
    given = [r for r in rules if r is not None]
    if not given:
        raise ValueError(f"primitive '{name}' has no VJP rule: a function without a derivative need not be a primitive")
    if len(rules) != len(statements) or [r is None for r in rules] != [s is None for s in statements]:
        raise ValueError(
            f"primitive '{name}' must state one Jacobian for each VJP rule, in the same order, None where there is no "
            f"rule: it has {len(rules)} rules and {len(statements)} statements"
        )
    arguments, params, variadic = _signature(name, given[0], 2)
    for rule, before in [*((r, 2) for r in given[1:]), *((s, 1) for s in statements if s is not None)]:
        found = _signature(name, rule, before)
        if found[0] != arguments or set(found[1]) != set(params) or found[2] != variadic:
            raise ValueError(
                f"the rules of primitive '{name}' disagree: one takes {arguments} and keywords {params}, another "
                f"{found[0]} and {found[1]}"
            )
    if not variadic and len(rules) != len(arguments):
        raise ValueError(
            f"primitive '{name}' has arguments {arguments} but {len(rules)} rules; give None for an argument that is "
            "not differentiable"
        )
    return arguments, tuple(p for p in params if p != "residual"), variadic


def _signature(name: str, rule: Rule, before: int) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    """The names in ``(g, out, x, y, *, axis)``: (x, y), (axis,); ``(i, g, out, *xs, axis)`` is variadic."""
    code = getattr(rule, "__code__", None)
    if code is None:
        raise TypeError(f"the rules of primitive '{name}' must be plain functions or lambdas, not {rule!r}")
    end = code.co_argcount
    params = code.co_varnames[end : end + code.co_kwonlyargcount]
    if code.co_flags & _VARARGS:
        return (code.co_varnames[end + code.co_kwonlyargcount],), params, True
    return code.co_varnames[before:end], params, False


def primitive(
    name: str,
    forward: Callable[..., Any],
    *,
    vjp: Rule | Sequence[Rule | None],
    jacobian: Rule | Sequence[Rule | None],
    saves: str | dict[str, str] = "",
    elementwise: bool = False,
    residual: Callable[..., Any] | None = None,
    composition: Callable[..., Any] | None = None,
    accumulate: Rule | Sequence[Rule | None] | None = None,
    doc: str = "",
    replace: bool = False,
) -> Primitive:
    """Register a primitive: the one way, inside the package and outside of it.

    Parameters
    ----------
    name : str
        What errors, tables and drawn graphs call it.
    forward : callable
        ``forward(*arrays, **params)`` in plain NumPy. A ufunc is what ``np.<ufunc>(tensor)`` means from then on.
    vjp : callable or sequence of (callable or None)
        For each positional argument ``rule(g, out, *args, **params)``: the cotangent of that argument from the
        cotangent ``g`` of the output. ``g`` is ``(*lead, *out.shape)``, the result ``(*lead, *arg.shape)``; the engine
        sums over broadcast axes. Count axes from the end; change nothing that is given. The rule's own signature names
        the arguments, and the parameters after ``*``. A rule ``(i, g, out, *xs)`` serves any number of arguments.
    jacobian : callable or sequence of (callable or None)
        For each argument ``statement(out, *args, **params)``: a `tinygrad_jac.jacobians.Jacobian`.
    saves : str or dict
        Names of the arguments, ``out`` and ``residual`` whose *values* rules and statements read. Of the others they
        see a `Spec`: shape and dtype. A dict says it for each argument, ``{"x": "y", "y": "x"}``: what is kept then
        depends on which gradients are asked for.
    elementwise : bool
        Arguments broadcast against each other and are promoted to one dtype; statements see them as broadcast.
    residual : callable, optional
        Where ``saves`` names ``residual``, ``forward`` returns ``(out, residual)`` and rules receive it as keyword.
        This function computes it from Tensors, ``residual(out, *args, **params)``, for second derivatives; left out
        for one that does not depend on the arguments differentiably (the position of a maximum, say).
    composition : callable, optional
        A function of Tensors that equals the primitive and is differentiated in its place under ``create_graph``, for
        a fused rule that cannot run on Tensors.
    accumulate : callable or sequence of (callable or None), optional
        For each argument ``add(total, g, out, *args, **params)``: adds what its VJP rule would return to ``total``, an
        array, in place. For rules that return mostly zeros, so that many slices of one array cost no more than it.
    doc : str
        The docstring: with the source of the formula.
    replace : bool
        Whether a primitive of that name may be there already.

    Returns
    -------
    Primitive
        Callable on Tensors and arrays.

    Raises
    ------
    ValueError
        The name is taken, rules and statements do not match, or ``saves`` names what is not an argument.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac.jacobians import Diagonal
    >>> cube = tj.primitive(
    ...     "cube", lambda x: x**3, saves="x", elementwise=True,
    ...     vjp=lambda g, out, x: g * 3 * x**2,
    ...     jacobian=lambda out, x: Diagonal(3 * x**2),
    ... )
    >>> x = tj.tensor([1.0, 2.0], requires_grad=True)
    >>> cube(x).sum().backward()
    >>> x.grad
    tensor([ 3., 12.])
    """
    if name in registry and not replace:
        raise ValueError(f"a primitive named '{name}' is registered already; pass replace=True to replace it")
    made = Primitive(
        name,
        forward,
        vjp=vjp,
        jacobian=jacobian,
        saves=saves,
        elementwise=elementwise,
        residual=residual,
        composition=composition,
        accumulate=accumulate,
        doc=doc,
    )
    registry[name] = made
    if isinstance(forward, np.ufunc):
        ufuncs[forward] = made
    return made


def primitives() -> list[Primitive]:
    """All registered primitives by name: each with its arguments, parameters, saves, rules and statements.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> next(p for p in tj.primitives() if p.name == "exp")
    <primitive exp(x), saves out; ∂x diagonal>
    """
    return [registry[name] for name in sorted(registry)]
