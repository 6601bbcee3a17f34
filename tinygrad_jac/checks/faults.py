"""Faults planted on purpose, to see that checks find them: the tester tested."""

from __future__ import annotations

import contextlib
import functools
import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..jacobians import Dense, Diagonal, Jacobian
from ..primitive import Primitive, registry

Rule = Callable[..., Any]


@contextlib.contextmanager
def planted_fault(primitive: str | Primitive, argument: str | int, fault: str | Rule) -> Iterator[Primitive]:
    """Make one VJP rule or Jacobian statement wrong for a while.

    What is planted holds for every graph that is walked inside, whenever it was recorded, and in every thread; the
    right rule is back afterwards, through any exception.

    Parameters
    ----------
    primitive : str or Primitive
    argument : str or int
        Name or position of the argument whose rule is to be wrong. For a primitive of any number of arguments,
        ``"xs[1]"`` is one of them and ``"xs"`` each.
    fault : str or callable
        ``"vjp*1.01"``, ``"jacobian*1.01"``
            The rule's result, or the stated matrix, times a factor.
        ``"vjp+0.01"``, ``"jacobian+0.01"``
            The same number added to every entry of the Jacobian that the rule, or the statement, stands for: for
            derivatives that are zero, of which no multiple is wrong.
        ``"sign"``, ``"zero"``, ``"drop"``, ``"transpose"``
            The rule returns the negative; zeros; None, as if the term were forgotten; the entries of a cotangent of two
            or more axes in the order of its transpose.
        callable
            ``fault(c)`` gets what the rule returns, and returns what the rule is to return.

    Yields
    ------
    Primitive

    Raises
    ------
    ValueError
        The primitive, the argument or the fault is not known.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac.testing import planted_fault
    >>> x = tj.tensor([1.0, 2.0], requires_grad=True)
    >>> with planted_fault("mul", "x", "sign"):
    ...     (x * 3).sum().backward()
    >>> x.grad
    tensor([-3., -3.])
    """
    if isinstance(primitive, str):
        if primitive not in registry:
            raise ValueError(f"no primitive is named {primitive!r}; tinygrad_jac.primitives() lists them")
        primitive = registry[primitive]
    hit = _positions(primitive, argument)
    what, change = _read(fault) if isinstance(fault, str) else ("vjp", lambda g, out, c: fault(c))
    before: Sequence[Any] = getattr(primitive, what)
    wrong = _Replaced(before, hit, lambda rule: _wrong_vjp(rule, change) if what == "vjp" else _wrong(rule, change))
    setattr(primitive, what, wrong)
    try:
        yield primitive
    finally:
        setattr(primitive, what, before)


class _Replaced(Sequence[Any]):
    """Rules of which some are made wrong as they are looked up (a variadic primitive has any number)."""

    def __init__(self, rules: Sequence[Any], hit: Callable[[int], bool], wrong: Callable[[Any], Any]) -> None:
        self.rules, self.hit, self.wrong = rules, hit, wrong

    def __getitem__(self, index: Any) -> Any:
        rule = self.rules[index]
        return self.wrong(rule) if rule is not None and self.hit(index) else rule

    def __len__(self) -> int:
        return len(self.rules)


def _positions(primitive: Primitive, argument: str | int) -> Callable[[int], bool]:
    """Whether a position is that of the argument."""
    if primitive.variadic:
        if argument == primitive.arguments[0]:
            return lambda index: True
        given = re.fullmatch(rf"{primitive.arguments[0]}\[(\d+)\]", str(argument))
        number = argument if isinstance(argument, int) else int(given[1]) if given else None
    elif isinstance(argument, int):
        number = argument
    else:
        number = primitive.arguments.index(argument) if argument in primitive.arguments else None
    if number is None or (not primitive.variadic and (number >= len(primitive.vjp) or primitive.vjp[number] is None)):
        raise ValueError(f"{primitive!r} has no rule for {argument!r}")
    return lambda index: index == number


def _read(fault: str) -> tuple[str, Callable[[Any, Any, Any], Any]]:
    """A named fault: which of the two it is planted in, and what it makes of ``(g, out, result)``."""
    named: dict[str, Callable[[Any, Any, Any], Any]] = {
        "sign": lambda g, out, c: -c,
        "zero": lambda g, out, c: c * 0,
        "drop": lambda g, out, c: None,
        "transpose": lambda g, out, c: _in_transposed_order(c, g.ndim - out.ndim),
    }
    if fault in named:
        return "vjp", named[fault]
    read = re.fullmatch(r"(vjp|jacobian)([*+])(-?[0-9.]+(?:e-?[0-9]+)?)", fault)
    if read is None:
        raise ValueError(
            f"no fault is named {fault!r}: it may be {', '.join(named)}, or as 'vjp*1.01', 'jacobian+0.01'"
        )
    what, sign, number = read[1], read[2], float(read[3])
    if what == "vjp":
        return what, lambda g, out, c: c * number if sign == "*" else c + number * _total(g, out, c)
    return what, lambda _, out, J: _scaled(J, number) if sign == "*" else J + _constant(J, number)


def _wrong_vjp(rule: Rule, change: Callable[[Any, Any, Any], Any]) -> Rule:
    @functools.wraps(rule)
    def wrong(g: Any, out: Any, *args: Any, **params: Any) -> Any:
        c = rule(g, out, *args, **params)
        return c if c is None else change(g, out, c)

    return wrong


def _wrong(statement: Rule, change: Callable[[Any, Any, Any], Any]) -> Rule:
    @functools.wraps(statement)
    def wrong(out: Any, *args: Any, **params: Any) -> Any:
        return change(None, out, statement(out, *args, **params))

    return wrong


def _total(g: Any, out: Any, c: Any) -> Any:
    """The sum of a cotangent, for each of its leading axes, shaped to be added to the argument's."""
    lead = g.ndim - out.ndim
    return g.reshape((*g.shape[:lead], -1)).sum(axis=-1).reshape(g.shape[:lead] + (1,) * (c.ndim - lead))


def _scaled(J: Jacobian, factor: float) -> Jacobian:
    scaled: Jacobian = Diagonal(np.full(J.out_shape, factor)) @ J
    return scaled


def _constant(J: Jacobian, number: float) -> Jacobian:
    return Dense(np.full((math.prod(J.out_shape), math.prod(J.in_shape)), number), J.out_shape, J.in_shape)


def _in_transposed_order(c: Any, lead: int) -> Any:
    if c.ndim - lead < 2:
        raise ValueError(f"a cotangent of shape {c.shape[lead:]} has no transpose: plant another fault")
    return c.swapaxes(-1, -2).reshape(c.shape)
