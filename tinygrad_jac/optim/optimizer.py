"""What optimisers share: groups of parameters with their options, state, and the loop over gradients.

An optimiser states one thing, `Optimizer._update`: what one parameter, its gradient and its group's options do to the
parameter's memory. It works in place, in scratch memory that all parameters share, so that a step allocates nothing.
"""

from __future__ import annotations

import copy
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Any

import numpy as np

from ..graph import Variable, wrap
from ..modes import enable_grad
from ..nn.parameter import zero_grad_of
from ..versions import mark_changed

Array = np.ndarray[Any, Any]


class Optimizer:
    """The base of all optimisers.

    Parameters
    ----------
    params : iterable of Tensor, of (name, Tensor), or of dict
        What to optimise; a dict is a group, ``{"params": [...], "lr": 0.1}``, whose options override the defaults.
    defaults : dict
        The options of groups that do not state their own.

    Attributes
    ----------
    param_groups : list of dict
        Each group's parameters under ``"params"`` and its options; may be changed between steps.
    state : dict
        For each parameter what the optimiser remembers of it.

    Raises
    ------
    TypeError
        What is given are not Tensors or groups of them.
    ValueError
        There is nothing to optimise, a parameter is in two groups, or it is no leaf.
    """

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        if isinstance(params, Variable):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got one "
                f"{type(params).__name__}: put it in a list"
            )
        self.defaults = defaults
        self.state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        self._scratch: dict[Any, Array] = {}
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    # -------------------------------------------------------------------------------------------- a step

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update all parameters that have a gradient.

        Parameters
        ----------
        closure : callable, optional
            Computes the loss and its gradients anew; called first, with recording on.

        Returns
        -------
        What ``closure`` returned, or None.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self._update(p, self._gradient(p, group), group)
                    mark_changed(p.array)
        return loss

    def _update(self, p: Any, g: Array, group: dict[str, Any]) -> None:
        """Change ``p.array`` in place, given the gradient and the options of the group; ``g`` is not to be changed."""
        raise NotImplementedError(f"{type(self).__name__} does not state its update")

    def _gradient(self, p: Any, group: dict[str, Any]) -> Array:
        """The gradient of what is minimised: with its sign, and with weight decay unless that is decoupled from it."""
        g: Array = p.grad.array
        maximize = group.get("maximize")
        if group.get("weight_decay") and not group.get("decoupled_weight_decay"):
            decayed = np.multiply(p.array, number(group["weight_decay"]), out=self._room(p.array, "gradient"))
            return (np.subtract if maximize else np.add)(decayed, g, out=decayed)
        return np.negative(g, out=self._room(p.array, "gradient")) if maximize else g

    def _room(self, like: Array, purpose: str = "update") -> Array:
        """Scratch memory of an array's shape and dtype; the next parameter gets the same, so keep nothing in it."""
        room = self._scratch.get((purpose, like.dtype))
        if room is None or room.size < like.size:
            room = self._scratch[purpose, like.dtype] = np.empty(like.size, dtype=like.dtype)
        return room[: like.size].reshape(like.shape)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or fill them with zeros."""
        for group in self.param_groups:
            for p in group["params"]:
                zero_grad_of(p, set_to_none)

    # -------------------------------------------------------------------------------------------- groups and state

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Optimise more parameters, with options of their own where the group states them.

        Raises
        ------
        TypeError
            The group is no dict, or holds what is no Tensor.
        ValueError
            A parameter is in another group already, or is no leaf.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        given = param_group["params"]
        if isinstance(given, (set, frozenset)):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections: the order of a set differs between "
                "runs; use a list"
            )
        given = [given] if isinstance(given, Variable) else list(given)
        named = [entry for entry in given if isinstance(entry, tuple)]
        if named and len(named) != len(given):
            raise ValueError("all optimizer params should be with/without names: some names are missing")
        params = [tensor for _, tensor in named] if named else given
        for p in params:
            if not isinstance(p, Variable):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {type(p).__name__}")
            if p.node is not None and p.node.primitive is not None:
                raise ValueError("can't optimize a non-leaf Tensor: it was computed, and would be computed again")
        if len(set(params)) != len(params):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters: they are updated once for each time "
                "they are listed",
                stacklevel=3,
            )
        if not set(params).isdisjoint(p for group in self.param_groups for p in group["params"]):
            raise ValueError("some parameters appear in more than one parameter group")
        group = {**param_group, "params": params}
        if named:
            group["param_names"] = [name for name, _ in named]
        for name, default in self.defaults.items():
            group.setdefault(name, default)
        self.param_groups.append(group)

    def state_dict(self) -> dict[str, Any]:
        """The options and the state, parameters being numbered in the order of the groups.

        Returns
        -------
        dict
            ``{"state": {0: {...}, …}, "param_groups": [{..., "params": [0, …]}, …]}``, as PyTorch's.
        """
        numbers: dict[Any, int] = {}
        for p in chain.from_iterable(group["params"] for group in self.param_groups):
            numbers.setdefault(p, len(numbers))
        return {
            "state": {numbers[p]: dict(state) for p, state in self.state.items()},
            "param_groups": [
                {**{k: v for k, v in group.items() if k != "params"}, "params": [numbers[p] for p in group["params"]]}
                for group in self.param_groups
            ],
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over options and a copy of the state; parameters are matched by their order.

        Raises
        ------
        ValueError
            The groups differ in number or size.
        """
        saved = copy.deepcopy(state_dict["param_groups"])
        if len(saved) != len(self.param_groups):
            raise ValueError(
                f"loaded state dict has a different number of parameter groups: {len(saved)}, the optimizer has "
                f"{len(self.param_groups)}"
            )
        for k, (new, group) in enumerate(zip(saved, self.param_groups)):
            if len(new["params"]) != len(group["params"]):
                raise ValueError(
                    "loaded state dict contains a parameter group that doesn't match the size of optimizer's group: "
                    f"group {k} has {len(new['params'])} parameters, the optimizer's {len(group['params'])}"
                )
        params = dict(
            zip(
                chain.from_iterable(new["params"] for new in saved),
                chain.from_iterable(group["params"] for group in self.param_groups),
            )
        )
        state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        for number_of, entries in state_dict["state"].items():
            p = params[number_of]
            state[p] = {name: _fitted(entry, p, name) for name, entry in entries.items()}
        self.state = state
        self.param_groups = [{**new, "params": group["params"]} for new, group in zip(saved, self.param_groups)]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_scratch": {}}

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for k, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {k}")
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name != "params"]
        return "\n".join([*lines, ")"])


def number(value: Any) -> float:
    """An option that may be a Tensor of one entry, as a number."""
    return value if isinstance(value, (int, float)) else float(value)


def check_nonnegative(options: dict[str, Any]) -> None:
    """Refuse options below zero, or that are not one number, by what they are called."""
    for name, value in options.items():
        if not number(value) >= 0:
            raise ValueError(f"Invalid {name}: {value}")


def _fitted(entry: Any, p: Any, name: str) -> Any:
    """A copy of something that an optimiser remembered of a parameter, in that parameter's dtype."""
    if isinstance(entry, (Variable, np.ndarray)):
        array = entry.array if isinstance(entry, Variable) else entry
        return wrap(np.array(array, dtype=array.dtype if name == "step" else p.dtype))
    return copy.deepcopy(entry)
