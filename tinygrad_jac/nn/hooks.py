"""Hooks of modules: what the user has called before and after `Module.forward`, and when gradients pass back there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from ..autograd.function import Function
from ..errors import GradientError
from ..graph import Handle, Variable

if TYPE_CHECKING:
    from .module import Module


class Hook(NamedTuple):
    """A function that runs before or after `Module.forward`, and how it wants to be called."""

    function: Callable[..., Any]
    with_kwargs: bool = False
    always_call: bool = False

    def __call__(self, module: Module, args: Any, kwargs: Any, *result: Any) -> Any:
        return self.function(module, args, *([kwargs] if self.with_kwargs else []), *result)


def register(hooks: dict[int, Any], hook: Any, prepend: bool = False) -> Handle:
    """Add a hook after those that are there, or before them."""
    handle = Handle(hooks)
    before = dict(hooks) if prepend else {}
    if prepend:
        hooks.clear()
    hooks[handle.key] = hook
    hooks.update(before)
    return handle


def call(module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A call of a module with all its hooks."""
    for hook in list(module._forward_pre_hooks.values()):
        changed = hook(module, args, kwargs)
        if changed is None:
            continue
        if not hook.with_kwargs:
            args = _tuple(changed)
        elif isinstance(changed, tuple) and len(changed) == 2:
            args, kwargs = changed
        else:
            raise RuntimeError(
                f"a forward pre-hook with kwargs must return None or (args, kwargs), not {changed!r:.80}"
            )
    watch = _Watch(module) if module._backward_hooks or module._backward_pre_hooks else None
    if watch is not None:
        args = watch.around(args, watch.left)
    result = None
    waiting = dict(module._forward_hooks)
    try:
        result = module.forward(*args, **kwargs)
        for key in list(waiting):
            changed = waiting.pop(key)(module, args, kwargs, result)
            if changed is not None:
                result = changed
        return result if watch is None else watch.outputs(result)
    except Exception:
        for hook in waiting.values():
            if hook.always_call:
                hook(module, args, kwargs, result)
        raise


# ------------------------------------------------------------------------------------------------ gradients


class _Boundary(Function):
    """The identity, on tensors that enter or leave a module; ``react`` sees what passes back, and may replace it."""

    @staticmethod
    def forward(ctx: Any, react: Any, *tensors: Any) -> Any:
        ctx.react = react
        ctx.set_materialize_grads(False)
        return tuple(t.clone() for t in tensors)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return (None, *ctx.react(grads))


class _Watch:
    """One call of a module whose backward hooks run when its gradients pass: first at its outputs, then its inputs."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.inputs = 0  # how many arguments there are, once gradients are known to reach one of them
        self.grad_output: Any = None

    def around(self, tensors: tuple[Any, ...], react: Callable[[tuple[Any, ...]], tuple[Any, ...]]) -> tuple[Any, ...]:
        """The same with a boundary around those that gradients reach."""
        places = [k for k, t in enumerate(tensors) if isinstance(t, Variable) and t.node is not None]

        def at_places(grads: tuple[Any, ...]) -> tuple[Any, ...]:
            shown: list[Any] = [None] * len(tensors)
            for k, g in zip(places, grads):
                shown[k] = g
            answer = react(tuple(shown))
            return tuple(answer[k] for k in places)

        if not places:
            return tensors
        if react == self.left:
            self.inputs = len(tensors)
        found = list(tensors)
        for k, t in zip(places, _Boundary.apply(at_places, *(tensors[k] for k in places))):
            found[k] = t
        return tuple(found)

    def outputs(self, result: Any) -> Any:
        """What the module returns, a Tensor or a tuple with Tensors, with a boundary around it."""
        if isinstance(result, tuple):
            return self.around(result, self.entered)
        return self.around((result,), self.entered)[0]

    def entered(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        """The gradients of the outputs are known."""
        for hook in list(self.module._backward_pre_hooks.values()):
            grads = _replaced(hook(self.module, grads), grads)
        self.grad_output = grads
        if not self.inputs:  # no gradient will be asked for further back
            for hook in list(self.module._backward_hooks.values()):
                hook(self.module, (None,), grads)
        return grads

    def left(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        """The gradients of the inputs are known."""
        for hook in list(self.module._backward_hooks.values()):
            grads = _replaced(hook(self.module, grads, self.grad_output), grads)
        return grads


def _tuple(given: Any) -> tuple[Any, ...]:
    return given if isinstance(given, tuple) else (given,)


def _replaced(answer: Any, grads: tuple[Any, ...]) -> tuple[Any, ...]:
    """What a backward hook returned in the place of gradients."""
    if answer is None:
        return grads
    if len(_tuple(answer)) != len(grads):
        raise GradientError(f"a backward hook returned {len(_tuple(answer))} gradients in the place of {len(grads)}")
    for new, old in zip(_tuple(answer), grads):
        if new is not None and old is not None and new.shape != old.shape:
            raise GradientError(f"a backward hook returned a gradient of shape {new.shape} in the place of {old.shape}")
    return _tuple(answer)
