"""Modules as functions of their parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def functional_call(
    module: Any,
    parameter_and_buffer_dicts: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    args: Any = None,
    kwargs: Mapping[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """Call a module with other tensors in place of its parameters and buffers, and leave it as it was.

    Parameters
    ----------
    module : Module
    parameter_and_buffer_dicts : dict, or sequence of dicts
        Tensors by the names of `named_parameters` and `named_buffers`; what is not named keeps its place.
    args : object or tuple
        The positional arguments; one that is no tuple is the only one.
    kwargs : dict, optional
    tie_weights : bool
        Whether a parameter that has several names is replaced under all of them.
    strict : bool
        Whether every parameter and buffer must be given, and nothing else. By default other names are ignored.

    Returns
    -------
    What the module returns.

    Raises
    ------
    KeyError
        With ``strict``, a name is not one of the module's, or is missing.
    ValueError
        A name is given twice, or tied names are given different tensors.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac import nn
    >>> from tinygrad_jac.func import functional_call, grad
    >>> layer = nn.Linear(2, 1, bias=False)
    >>> loss = lambda params, x: functional_call(layer, params, x).sum()
    >>> grad(loss)({"weight": tj.tensor([[1.0, 2.0]])}, tj.tensor([3.0, 4.0]))
    {'weight': tensor([[3., 4.]])}
    """
    dicts = (
        [parameter_and_buffer_dicts] if isinstance(parameter_and_buffer_dicts, Mapping) else parameter_and_buffer_dicts
    )
    given: dict[str, Any] = {}
    for some in dicts:
        if twice := given.keys() & some.keys():
            raise ValueError(f"functional_call: {sorted(twice)} appear in several of the dicts")
        given.update(some)

    places: dict[str, dict[str, Any]] = {}  # where each parameter and buffer is held
    for prefix, child in module.named_modules(remove_duplicate=False):
        for held in (child._parameters, child._buffers):
            places.update({f"{prefix}.{name}" if prefix else name: held for name in held})
    if unknown := given.keys() - places.keys():
        if strict:
            raise KeyError(
                f"functional_call: {sorted(unknown)} are no parameters or buffers of {type(module).__name__}"
            )
        given = {name: tensor for name, tensor in given.items() if name in places}
    if tie_weights:
        given = _tied(given, places)
    if strict and (
        missing := [name for name, held in places.items() if name not in given and _of(held, name) is not None]
    ):
        raise KeyError(f"functional_call: {missing} are missing (strict=True)")

    before = {name: _of(places[name], name) for name in given}
    try:
        for name, tensor in given.items():
            places[name][name.rpartition(".")[2]] = tensor
        return module(*(args if isinstance(args, tuple) else () if args is None else (args,)), **(kwargs or {}))
    finally:
        for name, tensor in before.items():
            places[name][name.rpartition(".")[2]] = tensor


def _of(held: Mapping[str, Any], name: str) -> Any:
    return held[name.rpartition(".")[2]]


def _tied(given: Mapping[str, Any], places: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The same, with each tensor also under the other names of what it replaces."""
    names: dict[int, list[str]] = {}
    for name, held in places.items():
        if _of(held, name) is not None:
            names.setdefault(id(_of(held, name)), []).append(name)
    found = dict(given)
    for name, tensor in given.items():
        for other in names.get(id(_of(places[name], name)), ()):
            if other in given and given[other] is not tensor:
                raise ValueError(f"functional_call: {name!r} and {other!r} are tied, but given different tensors")
            found[other] = tensor
    return found
