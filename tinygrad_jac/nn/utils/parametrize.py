"""Parameters that are computed from others each time they are read: symmetric, orthogonal, normalised weights.

A parametrized module gets a class of its own in which the parameter's name is a property. What is learnt moves to
``module.parametrizations.<name>.original``.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ...errors import ShapeError
from ...modes import no_grad
from ..containers import ModuleDict, ModuleList
from ..module import Module
from ..parameter import Parameter


class _Cache(threading.local):
    """What was computed in this thread, by the list of functions that did; None while `cached` is off."""

    kept: dict[ParametrizationList, Any] | None = None


_cache = _Cache()


class ParametrizationList(ModuleList):
    """The functions that a parameter goes through when it is read, one after the other, and what it is made of."""

    def __init__(self, modules: list[Module], original: Any) -> None:
        super().__init__(modules)
        if isinstance(original, Parameter):
            self.register_parameter("original", original)
        else:
            self.register_buffer("original", original)

    def forward(self) -> Any:
        x = self.original
        for function in self:
            x = function(x)
        return x

    def assign(self, value: Any) -> None:
        """Make the parameter this value, by the functions' ``right_inverse``, last function first."""
        with no_grad():
            for function in reversed(list(self)):
                if not hasattr(function, "right_inverse"):
                    raise RuntimeError(
                        f"{type(function).__name__} has no right_inverse: without it the parametrized tensor cannot be "
                        "assigned to"
                    )
                value = function.right_inverse(value)
            if value.shape != self.original.shape:
                raise ShapeError(f"right_inverse gave shape {value.shape}, the original has {self.original.shape}")
            self.original.copy_(value)


@contextmanager
def cached() -> Iterator[None]:
    """Compute each parametrized parameter once inside, in this thread, however often it is read."""
    before = _cache.kept
    _cache.kept = {} if before is None else before
    try:
        yield
    finally:
        _cache.kept = before


def _property(name: str) -> property:
    def read(module: Any) -> Any:
        functions, kept = module.parametrizations[name], _cache.kept
        if kept is None:
            return functions()
        if functions not in kept:
            kept[functions] = functions()
        return kept[functions]

    return property(read, lambda module, value: module.parametrizations[name].assign(value))


def _give_class(module: Module) -> None:
    """A class with a property for each parametrized tensor; the module's own where there is none.

    It is made anew at each change: copies of the module share the one that they were copied with.
    """
    plain = getattr(type(module), "_plain", type(module))
    properties = {name: _property(name) for name in module.parametrizations}
    made = type(f"Parametrized{plain.__name__}", (plain,), {"__module__": __name__, "_plain": plain, **properties})
    module.__class__ = made if properties else plain


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether a parameter of the module is parametrized, or the one of that name."""
    found = module._modules.get("parametrizations")
    return isinstance(found, ModuleDict) and (len(found) > 0 if tensor_name is None else tensor_name in found)


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Have a parameter or buffer of a module computed by another module.

    Parameters
    ----------
    module : Module
    tensor_name : str
    parametrization : Module
        ``forward(original)`` gives what is read; it may be registered on top of others. With a method
        ``right_inverse(value)`` the parameter may be assigned to, and keeps its present value as far as it can.
    unsafe : bool
        Whether shape and dtype may change.

    Returns
    -------
    Module
        The module itself.

    Raises
    ------
    ShapeError
        The parametrization changes the shape; the module is as it was.
    ValueError
        There is no such parameter or buffer.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac import nn
    >>> class Symmetric(nn.Module):
    ...     def forward(self, x):
    ...         return x.triu() + x.triu(1).mT
    >>> layer = register_parametrization(nn.Linear(3, 3), "weight", Symmetric())
    >>> tj.equal(layer.weight, layer.weight.mT)
    True
    """
    stacked = is_parametrized(module, tensor_name)
    if not stacked and tensor_name not in {**module._parameters, **module._buffers}:
        raise ValueError(f"{type(module).__name__} has no parameter, buffer or parametrized tensor {tensor_name!r}")
    value = getattr(module, tensor_name)
    original = value
    with no_grad():
        if hasattr(parametrization, "right_inverse"):
            original = parametrization.right_inverse(value)
        made = parametrization(original)
    if not unsafe and (made.shape, made.dtype) != (value.shape, value.dtype):
        raise ShapeError(
            f"registering {type(parametrization).__name__} would change '{tensor_name}' from shape {value.shape} and "
            f"{value.dtype} to {made.shape} and {made.dtype}; pass unsafe=True if that is meant"
        )
    if stacked:
        module.get_submodule(f"parametrizations.{tensor_name}").append(parametrization)
        return module
    if original is not value:
        value.data = original.detach()
    delattr(module, tensor_name)
    if not is_parametrized(module):
        module.parametrizations = ModuleDict()
    module.parametrizations[tensor_name] = ParametrizationList([parametrization], value)
    _give_class(module)
    return module


def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """Make a parametrized tensor of a module an ordinary parameter, or buffer, again.

    Parameters
    ----------
    module : Module
    tensor_name : str
    leave_parametrized : bool
        Keep the value that it had by the parametrization, not the one of the original.

    Returns
    -------
    Module
        The module itself. The parameter is the original one, so an optimiser that holds it goes on.

    Raises
    ------
    ValueError
        The tensor is not parametrized.
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"{type(module).__name__} has no parametrization of {tensor_name!r}")
    original = module.parametrizations[tensor_name].original
    if leave_parametrized:
        with no_grad():
            original.data = getattr(module, tensor_name).detach()
    del module.parametrizations[tensor_name]
    _give_class(module)
    if not module.parametrizations:
        del module.parametrizations
    if isinstance(original, Parameter):
        module.register_parameter(tensor_name, original)
    else:
        module.register_buffer(tensor_name, original)
    return module
