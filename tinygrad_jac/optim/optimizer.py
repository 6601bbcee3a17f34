"""What optimisers share: groups of parameters with their options, state, and the loop over gradients.

An optimiser states one thing, `Optimizer._update`: what it remembers of a parameter, and the formula that changes a
block of one, given the gradient. `Optimizer._sweep` leads that formula over the parameter's memory in blocks that stay
in a processor's cache, with scratch memory that all parameters share, so that a step allocates nothing.
"""

from __future__ import annotations

import copy
import functools
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from ..dtypes import get_default_dtype
from ..graph import Handle, Variable, wrap
from ..modes import enable_grad
from ..nn.parameter import zero_grad_of
from ..versions import mark_changed

Array = np.ndarray[Any, Any]

# Entries of a parameter that are updated at a time: with gradient, state and scratch memory they stay in a cache. Adam
# on 16 million parameters took 27 ms; it was 49 when each line of its formula ran over all of them.
BLOCK = 1 << 18


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
        self._scratch: dict[Any, Array] = {}  # by dtype
        self._rooms: dict[Any, list[Array]] = {}  # views of it, by shape and dtype
        self._hooks: dict[str, dict[int, Callable[..., Any]]] = {}
        self._stepped = self._stepping = False
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:
            cls.step = _with_hooks(cls.step)  # type: ignore[method-assign]

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
            options = _read(group)
            for p in group["params"]:
                if p._grad is not None:
                    self._update(p, options)
                    mark_changed(p.array)
        return loss

    def _update(self, p: Any, group: dict[str, Any]) -> None:
        """Change ``p.array`` in place, given ``p.grad`` and the group's options, by `_remembered` and `_sweep`.

        Options that are Tensors or NumPy's are given as Python's numbers.
        """
        raise NotImplementedError(f"{type(self).__name__} does not state its update")

    def _remembered(self, p: Any, numbers: dict[str, float], arrays: dict[str, float]) -> list[Array]:
        """The state of a parameter under these names; what is missing is made, with the value that is given.

        Numbers are 0-d and, as PyTorch's, not of the parameter's dtype but of the default one.
        """
        state = self.state[p]
        for name, value in numbers.items():
            if name not in state:
                state[name] = wrap(np.full((), value, dtype=get_default_dtype()))
        for name, value in arrays.items():
            if state.get(name) is None:
                state[name] = wrap(np.full_like(p.array, value))
        return [state[name].array for name in (*numbers, *arrays)]

    def _sweep(self, formula: Callable[..., None], p: Any, group: dict[str, Any], *state: Array) -> None:
        """Lead an update over a parameter, a block at a time.

        ``formula(theta, g, a, b, *state)`` changes blocks of the parameter and of the state in place; ``a`` and ``b``
        are scratch memory of the same shape, ``g`` is not to be changed. It is the gradient of what is minimised: with
        its sign, and with weight decay unless that is decoupled from it.
        """
        maximize, decay = group.get("maximize"), group.get("weight_decay")
        for theta, g, *parts in _blocks((p.array, p._grad.array, *state)):
            own, a, b = self._room(theta)
            if decay and group.get("decoupled_weight_decay"):
                theta *= 1 - group["lr"] * decay
            elif decay:
                np.multiply(theta, decay, out=own)
                g = (np.subtract if maximize else np.add)(own, g, out=own)
            if maximize and g is not own:
                g = np.negative(g, out=own)
            formula(theta, g, a, b, *parts)

    def _room(self, like: Array) -> list[Array]:
        """Scratch memory of this shape and dtype, three times; the next block gets the same memory."""
        room = self._rooms.get((like.shape, like.dtype))
        if room is None:
            memory = self._scratch.get(like.dtype)
            if memory is None or memory.shape[1] < like.size:
                memory = self._scratch[like.dtype] = np.empty((3, max(BLOCK, like.size)), dtype=like.dtype)
            room = [part[: like.size].reshape(like.shape) for part in memory]
            self._rooms[like.shape, like.dtype] = room
        return room

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
        if "params" not in param_group:
            raise KeyError(f"a parameter group needs its parameters under 'params', but it has {sorted(param_group)}")
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
        group = {**param_group, "params": params}
        if named:
            group["param_names"] = [name for name, _ in named]
        for other in self.param_groups:
            if ("param_names" in other) != ("param_names" in group):
                raise ValueError("all optimizer param groups should be with/without names: this one differs")
            if not set(params).isdisjoint(other["params"]):
                raise ValueError("some parameters appear in more than one parameter group")
        self.param_groups.append({"params": params, **self.defaults, **group})

    def state_dict(self) -> dict[str, Any]:
        """The options and the state, parameters being numbered in the order of the groups.

        Returns
        -------
        dict
            ``{"state": {0: {...}, …}, "param_groups": [{..., "params": [0, …]}, …]}``, as PyTorch's.
        """
        self._call_hooks("state_dict_pre")
        numbers: dict[Any, int] = {}
        for p in chain.from_iterable(group["params"] for group in self.param_groups):
            numbers.setdefault(p, len(numbers))
        state_dict = {
            "state": {numbers.get(p, p): dict(state) for p, state in self.state.items()},
            "param_groups": [
                {**{k: v for k, v in group.items() if k != "params"}, "params": [numbers[p] for p in group["params"]]}
                for group in self.param_groups
            ],
        }
        return self._call_hooks("state_dict_post", state_dict)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over options and a copy of the state; parameters are matched by their order.

        PyTorch's is accepted, as it is or with arrays in place of its tensors.

        Raises
        ------
        ValueError
            The groups differ in number or size.
        """
        state_dict = self._call_hooks("load_state_dict_pre", dict(state_dict))
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
            if number_of not in params:
                raise ValueError(f"loaded state dict has a state of parameter {number_of!r}, which no group lists")
            p = params[number_of]
            shape = self._shape_of_state(p)
            state[p] = {name: _fitted(entry, p, name, shape) for name, entry in entries.items()}
        self.state = state
        self.param_groups = [
            {
                **({"param_names": group["param_names"]} if "param_names" in group else {}),
                **new,
                "params": group["params"],
            }
            for new, group in zip(saved, self.param_groups)
        ]
        self._call_hooks("load_state_dict_post")

    def _shape_of_state(self, p: Any) -> tuple[int, ...]:
        """The shape of what is remembered of a parameter, numbers apart."""
        return p.shape

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_scratch": {}, "_rooms": {}, "_hooks": {}}

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for k, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {k}")
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name != "params"]
        return "\n".join([*lines, ")"])

    # -------------------------------------------------------------------------------------------- hooks

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> Handle:
        """Have ``hook(optimizer, args, kwargs)`` called before each step; it may return other (args, kwargs)."""
        return self._register("step_pre", hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> Handle:
        """Have ``hook(optimizer, args, kwargs)`` called after each step."""
        return self._register("step_post", hook)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> Handle:
        """Have ``hook(optimizer)`` called before `state_dict` reads."""
        return self._register("state_dict_pre", hook, prepend)

    def register_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> Handle:
        """Have ``hook(optimizer, state_dict)`` called with what `state_dict` returns; it may return another."""
        return self._register("state_dict_post", hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> Handle:
        """Have ``hook(optimizer, state_dict)`` called before `load_state_dict` reads; it may return another."""
        return self._register("load_state_dict_pre", hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> Handle:
        """Have ``hook(optimizer)`` called after `load_state_dict`."""
        return self._register("load_state_dict_post", hook, prepend)

    def _register(self, event: str, hook: Callable[..., Any], prepend: bool = False) -> Handle:
        hooks = self._hooks.setdefault(event, {})
        handle, later = Handle(hooks), dict(hooks) if prepend else {}
        for key in later:
            del hooks[key]
        hooks[handle.key] = hook
        hooks.update(later)
        return handle

    def _call_hooks(self, event: str, *value: Any) -> Any:
        """Hand a value to the hooks of an event, each of which may replace it, and return it."""
        for hook in list(self._hooks.get(event, {}).values()):
            found = hook(self, *value)
            if found is not None and value:
                value = (found,)
        return value[0] if value else None


def _with_hooks(step: Callable[..., Any]) -> Callable[..., Any]:
    """A class's ``step`` with its optimiser's hooks around it, and noted for the learning rate schedulers."""

    @functools.wraps(step)
    def hooked(*args: Any, **kwargs: Any) -> Any:
        self = args[0]
        self._stepped = True
        if not self._hooks or self._stepping:  # the step of a base class is part of a step
            return step(*args, **kwargs)
        self._stepping = True
        try:
            for hook in list(self._hooks.get("step_pre", {}).values()):
                changed = hook(self, args, kwargs)
                if changed is not None:
                    if not isinstance(changed, tuple) or len(changed) != 2:
                        raise RuntimeError(
                            f"a hook before a step must return None or a tuple of (args, kwargs), not {changed!r:.60}"
                        )
                    args, kwargs = changed
            out = step(*args, **kwargs)
            for hook in list(self._hooks.get("step_post", {}).values()):
                hook(self, args, kwargs)
        finally:
            self._stepping = False
        return out

    return hooked


Optimizer.step = _with_hooks(Optimizer.step)  # type: ignore[method-assign]


# ------------------------------------------------------------------------------------------------ options

_NONNEGATIVE = {
    "lr": "learning rate",
    **{name: f"{name} value" for name in ("momentum", "weight_decay", "alpha", "rho", "lr_decay", "momentum_decay")},
    "initial_accumulator_value": "initial_accumulator_value value",
    "eps": "epsilon value",
}


def options_of(arguments: dict[str, Any]) -> dict[str, Any]:
    """The options among the ``locals()`` of an optimiser's constructor: what all of them have in common, checked.

    Raises
    ------
    ValueError
        A number is out of its range.
    TypeError
        It is no number.
    NotImplementedError
        Steps are to be differentiated.
    """
    options = {name: value for name, value in arguments.items() if name not in ("self", "params", "__class__")}
    for name, called in _NONNEGATIVE.items():
        if name in options and not number(options[name]) >= 0:
            raise ValueError(f"Invalid {called}: {options[name]}")
    for k, beta in enumerate(options.get("betas", ())):
        if not 0 <= number(beta) < 1:
            raise ValueError(f"Invalid beta parameter at index {k}: {beta}")
    if options.get("differentiable"):
        raise NotImplementedError(
            "differentiable=True is not supported, since steps change parameters in place: to differentiate through a "
            "step, compute w - lr * grad(loss, w, create_graph=True) and go on with func.functional_call"
        )
    return options


def _read(group: dict[str, Any]) -> dict[str, Any]:
    """The options of a group, those that are Tensors or NumPy's as numbers: what formulas reckon with."""
    options: dict[str, Any] = {
        name: number(value) if isinstance(value, (Variable, np.generic, np.ndarray)) else value
        for name, value in group.items()
    }
    if "betas" in options:
        options["betas"] = tuple(map(number, options["betas"]))
    return options


def number(value: Any) -> float:
    """An option that may be a Tensor of one entry, as a number; weak, so that float32 stays float32.

    Raises
    ------
    TypeError, ValueError
        It is no number, or more than one.
    """
    if type(value) is float or type(value) is int:
        return value
    array: Any = value.array if isinstance(value, Variable) else value
    if not isinstance(array, (int, float, np.generic, np.ndarray)):
        raise TypeError(f"an optimizer's options are numbers, not {type(value).__name__} {value!r:.40}")
    if np.size(array) != 1:
        raise ValueError(f"a Tensor as an optimizer's option must be 1-element, but has shape {np.shape(array)}")
    return float(np.reshape(array, ()))


# ------------------------------------------------------------------------------------------------ parts of formulas


def approach(mean: Array, target: Array, weight: float, room: Array) -> None:
    """``mean ← mean + weight (target − mean)``: the running mean of a gradient."""
    np.subtract(target, mean, out=room)
    room *= weight
    mean += room


def approach_square(mean: Array, g: Array, weight: float, room: Array) -> None:
    """``mean ← (1 − weight) mean + weight g²``: the running mean of a gradient's square."""
    np.multiply(g, g, out=room)
    room *= weight
    mean *= 1 - weight
    mean += room


# ------------------------------------------------------------------------------------------------ helpers


def _blocks(arrays: tuple[Array, ...]) -> Iterable[Sequence[Array]]:
    """Arrays of one shape in blocks of rows, each of some `BLOCK` entries; as they are where that is all."""
    first = arrays[0]
    if first.size <= BLOCK:
        return (arrays,)
    rows = max(1, BLOCK * len(first) // first.size)
    return ([array[k : k + rows] for array in arrays] for k in range(0, len(first), rows))


_NUMBERS = frozenset(["step", "mu_product", "eta", "mu"])  # of the default dtype, whatever the parameter's


def _fitted(entry: Any, p: Any, name: str, shape: tuple[int, ...]) -> Any:
    """A copy of something that an optimiser remembered of a parameter, in that parameter's dtype."""
    if isinstance(entry, list):
        return [_fitted(part, p, name, shape) for part in entry]
    if hasattr(entry, "__array__") and not isinstance(entry, np.generic):
        array = np.asarray(entry)
        if array.shape not in ((), shape):
            raise ValueError(f"loaded state dict has {name!r} of shape {array.shape} where {shape} is needed")
        return wrap(np.array(array, dtype=array.dtype if name in _NUMBERS else p.dtype))
    return wrap(np.array(entry, dtype=get_default_dtype())) if name in _NUMBERS else copy.deepcopy(entry)
