"""Gradient modes: whether operations are recorded, per thread."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])


class _Mode(threading.local):
    recording = True


mode = _Mode()  # one per thread; read in the call path of every op


def is_grad_enabled() -> bool:
    """Whether operations on tensors that require gradients are recorded (in this thread)."""
    return mode.recording


class _GradMode:
    """What the mode switches share: `with`, nesting, decoration, and the former mode back through any exception."""

    enabled: bool
    before: list[bool]
    at_start: bool

    def __new__(cls, function: Any = None) -> Any:
        made = object.__new__(cls)
        made.before = []
        return made if function is None else made(function)  # the latter where written as `@no_grad`, no brackets

    def __enter__(self) -> None:
        self.before.append(mode.recording)
        mode.recording = self.enabled

    def __exit__(self, *exc: object) -> None:
        mode.recording = self.before.pop()

    def __call__(self, function: F) -> F:
        enabled = self.enabled

        def call(step: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            before = mode.recording
            mode.recording = enabled
            try:
                return step(*args, **kwargs)
            finally:
                mode.recording = before

        @functools.wraps(function)
        def generator(*args: Any, **kwargs: Any) -> Any:
            # The mode holds while the body runs, not while its consumer does: it is set for each step.
            steps = function(*args, **kwargs)
            step, given = steps.send, None
            while True:
                try:
                    value = call(step, given)
                except StopIteration as end:
                    return end.value
                try:
                    step, given = steps.send, (yield value)
                except GeneratorExit:
                    call(steps.close)
                    raise
                except BaseException as error:
                    step, given = steps.throw, error

        @functools.wraps(function)
        def plain(*args: Any, **kwargs: Any) -> Any:
            return call(function, *args, **kwargs)

        is_generator = getattr(getattr(function, "__code__", None), "co_flags", 0) & _CO_GENERATOR
        return cast("F", generator if is_generator else plain)


_CO_GENERATOR = 0x20  # inspect.CO_GENERATOR, without the cost of importing inspect


class no_grad(_GradMode):
    """Do not record: inside, results do not require gradients. Context manager and decorator.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> w = tj.tensor([1.0], requires_grad=True)
    >>> with tj.no_grad():
    ...     w -= 0.5
    >>> w
    tensor([0.5000], requires_grad=True)
    """

    enabled = False


class enable_grad(_GradMode):
    """Record, also inside `no_grad`. Context manager and decorator."""

    enabled = True


class inference_mode(_GradMode):
    """As `no_grad`; ``inference_mode(False)`` records. Context manager and decorator."""

    def __new__(cls, mode: Any = True) -> Any:
        made = super().__new__(cls)
        made.enabled = callable(mode) is False and not mode
        return made(mode) if callable(mode) else made


class set_grad_enabled(_GradMode):
    """Switch recording on or off: at once when called, and for a while as a context manager or decorator.

    Parameters
    ----------
    enabled : bool

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> x = tj.tensor([1.0], requires_grad=True)
    >>> with tj.set_grad_enabled(False):
    ...     (x * 2).requires_grad
    False
    """

    def __new__(cls, enabled: bool) -> Any:
        made = super().__new__(cls)
        made.enabled = bool(enabled)
        made.at_start = mode.recording
        mode.recording = made.enabled
        return made

    def __enter__(self) -> None:
        mode.recording = self.at_start  # so that leaving restores what was before the call, not what the call set
        super().__enter__()

    def __call__(self, function: F) -> F:
        mode.recording = self.at_start
        return super().__call__(function)
