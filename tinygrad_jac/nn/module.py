"""`Module`: what holds parameters, buffers and other modules, and is called like a function."""

from __future__ import annotations

import functools
import itertools
import types
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np

from .. import dtypes
from ..devices import on_cpu
from ..graph import Handle, Variable
from ..scope import absent
from ..tensor import Tensor
from ..versions import mark_changed
from . import hooks
from .hooks import Hook
from .parameter import Buffer, Parameter, zero_grad_of

M = TypeVar("M", bound="Module")

_METADATA = {"version": 1}  # what PyTorch's hooks on a state_dict are told besides
_EXTRA = "_extra_state"  # the name in a state_dict of what get_extra_state() gives
_HOOKS = (
    "_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks", "_state_dict_pre_hooks",
    "_state_dict_hooks", "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks",
)  # fmt: skip


class IncompatibleKeys(NamedTuple):
    """What `Module.load_state_dict` found to differ."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"


class Module:
    """The base of all layers and networks.

    A subclass assigns `Parameter`s and other modules as attributes in its ``__init__`` and computes in ``forward``.
    Everything assigned is found again: by `parameters`, `state_dict`, `to`, `train`, and by printing.

    Attributes
    ----------
    training : bool
        Whether the module trains (True) or is evaluated; dropout and batch normalisation ask. Set by `train`, `eval`.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac import nn
    >>> class Line(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.slope = nn.Parameter(tj.tensor(2.0))
    ...         self.offset = nn.Parameter(tj.tensor(1.0))
    ...
    ...     def forward(self, x):
    ...         return self.slope * x + self.offset
    >>> line = Line()
    >>> line(tj.tensor([1.0, 2.0])).tolist()
    [3.0, 5.0]
    >>> [name for name, _ in line.named_parameters()]
    ['slope', 'offset']
    """

    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]
    _non_persistent_buffers_set: set[str]
    _forward_pre_hooks: dict[int, Hook]
    _forward_hooks: dict[int, Hook]
    _backward_pre_hooks: dict[int, Callable[..., Any]]
    _backward_hooks: dict[int, Callable[..., Any]]
    _state_dict_pre_hooks: dict[int, Callable[..., Any]]
    _state_dict_hooks: dict[int, Callable[..., Any]]
    _load_state_dict_pre_hooks: dict[int, Callable[..., Any]]
    _load_state_dict_post_hooks: dict[int, Callable[..., Any]]
    _is_hooked: bool  # whether a call has ever had hooks to run: one question in place of four

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # A constructor inherited from a private base bears the name of the class, as Python's errors about its call do.
        init = cls.__init__
        if init.__qualname__.startswith("_") and isinstance(init, types.FunctionType):
            own = types.FunctionType(init.__code__, init.__globals__, "__init__", init.__defaults__, init.__closure__)
            cls.__init__ = functools.update_wrapper(own, init)  # type: ignore[method-assign]
            own.__kwdefaults__ = init.__kwdefaults__
            own.__qualname__ = f"{cls.__qualname__}.__init__"

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        # Here and not in __init__, so that attributes can be registered from the first line of any subclass's own.
        made = super().__new__(cls)
        made.__dict__.update(
            training=True,
            _parameters={},
            _buffers={},
            _non_persistent_buffers_set=set(),
            _modules={},
            _is_hooked=False,
        )
        made.__dict__.update((kind, {}) for kind in _HOOKS)
        return made

    def __init__(self) -> None:
        pass

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    # -------------------------------------------------------------------------------------------- calling

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; every subclass states its own."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._is_hooked:
            return hooks.call(self, args, kwargs)
        return self.forward(*args, **kwargs)

    def _hook(self, kind: str, hook: Any, prepend: bool = False) -> Handle:
        self._is_hooked = True
        return hooks.register(self.__dict__[kind], hook, prepend)

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> Handle:
        """Run ``hook(module, args)`` before each `forward`; what it returns, unless None, replaces the arguments.

        With ``with_kwargs`` it is ``hook(module, args, kwargs)`` and returns None or (args, kwargs). ``prepend`` puts
        it before the hooks that are there.
        """
        return self._hook("_forward_pre_hooks", Hook(hook, with_kwargs), prepend)

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> Handle:
        """Run ``hook(module, args, output)`` after each `forward`; what it returns, unless None, is the new output.

        With ``with_kwargs`` it is ``hook(module, args, kwargs, output)``. ``always_call`` runs it also where `forward`
        or an earlier hook raised.
        """
        return self._hook("_forward_hooks", Hook(hook, with_kwargs, always_call), prepend)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> Handle:
        """Run ``hook(module, grad_output)`` when the gradients of the outputs are known; it may return others."""
        return self._hook("_backward_pre_hooks", hook, prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> Handle:
        """Run ``hook(module, grad_input, grad_output)`` when the gradients of the inputs are known.

        Both are tuples, with None where no gradient is asked for. What it returns, unless None, replaces
        ``grad_input``. Only positional arguments are inputs; outputs are a Tensor, or a tuple with Tensors.
        """
        return self._hook("_backward_hooks", hook, prepend)

    # -------------------------------------------------------------------------------------------- attributes

    def __getattr__(self, name: str) -> Any:
        state = self.__dict__
        if name in (registered := state["_parameters"]) or name in (registered := state["_buffers"]):
            return registered[name]
        if name in (registered := state["_modules"]):
            return registered[name]
        return object.__getattribute__(self, name)  # raises what is true: no such attribute, or a property's own error

    def __setattr__(self, name: str, value: Any) -> None:
        state = self.__dict__
        if isinstance(value, Parameter):
            self._forget(name, "_parameters")
            self.register_parameter(name, value)
        elif isinstance(value, Module):
            self._forget(name, "_modules")
            state["_modules"][name] = value
        elif name in state["_parameters"]:
            _require_none(value, "parameter", name, "nn.Parameter")
            state["_parameters"][name] = None
        elif name in state["_modules"]:
            _require_none(value, "child module", name, "nn.Module")
            state["_modules"][name] = None
        elif isinstance(value, Buffer) or name in state["_buffers"]:
            if isinstance(value, Buffer):
                self._forget(name, "_buffers")
                self.register_buffer(name, value, value.persistent)
            if not isinstance(value, Tensor):
                _require_none(value, "buffer", name, "Tensor")
            state["_buffers"][name] = value
        else:
            object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        if not self._forget(name, "__dict__"):
            object.__delattr__(self, name)

    def _forget(self, name: str, keep: str) -> bool:
        """Drop a name from all the places where an attribute may be, except one (which keeps its order)."""
        found = False
        for kind in ("_parameters", "_buffers", "_modules"):
            if kind != keep and name in self.__dict__[kind]:
                del self.__dict__[kind][name]
                found = True
        self._non_persistent_buffers_set.discard(name)
        if keep != "__dict__":
            self.__dict__.pop(name, None)
        return found

    def __dir__(self) -> list[str]:
        names = {*super().__dir__(), *self._parameters, *self._buffers, *self._modules}
        return sorted(name for name in names if not name[:1].isdigit())  # the entries of a Sequential are no attributes

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter, as assigning it does; None reserves the name.

        Raises
        ------
        KeyError
            The name is empty, holds a dot, or belongs to another attribute.
        TypeError
            What is given is no Parameter.
        """
        self._check_name(name, "parameter", self._parameters)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign {type(param).__name__!r} as parameter {name!r}: it takes nn.Parameter or None"
            )
        if param is not None and not param.is_leaf:
            raise ValueError(f"parameter {name!r} was computed from other tensors: compute it in forward() instead")
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is part of the module's state but is not learnt, such as a running mean.

        Parameters
        ----------
        name : str
        tensor : Tensor or None
        persistent : bool
            Whether it is part of `state_dict`.

        Raises
        ------
        KeyError
            The name is empty, holds a dot, or belongs to another attribute.
        TypeError
            What is given is no Tensor.
        """
        self._check_name(name, "buffer", self._buffers)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(f"cannot assign {type(tensor).__name__!r} as buffer {name!r}: it takes a Tensor or None")
        self._buffers[name] = tensor
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a child module, as assigning it does; None reserves the name.

        Raises
        ------
        KeyError
            The name is empty, holds a dot, or belongs to another attribute.
        TypeError
            What is given is no Module.
        """
        if module is not None and not isinstance(module, Module):
            if isinstance(module, type) and issubclass(module, Module):
                raise TypeError(f"module {name!r} is the class {module.__name__}: make one, {module.__name__}(…)")
            raise TypeError(f"module {name!r}: {type(module).__name__} is not a Module subclass")
        self._check_name(name, "module", self._modules)
        self._modules[name] = module

    register_module = add_module

    def _check_name(self, name: str, kind: str, registered: Mapping[str, Any]) -> None:
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string, not {type(name).__name__}")
        if "." in name:
            raise KeyError(f'{kind} name cannot contain ".", got: {name}')
        if not name:
            raise KeyError(f'{kind} name cannot be empty string ""')
        if name not in registered and hasattr(self, name):
            raise KeyError(f"attribute '{name}' already exists")

    # -------------------------------------------------------------------------------------------- what it holds

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below it, with their dotted names; a module held twice comes once."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, child in self._modules.items():
            if child is not None:
                yield from child.named_modules(memo, prefix + ("." if prefix else "") + name, remove_duplicate)

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """This module and all below it."""
        return (module for _, module in self.named_modules(remove_duplicate=remove_duplicate))

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly below this one, with their names."""
        seen: set[Module] = set()
        for name, child in self._modules.items():
            if child is not None and child not in seen:
                seen.add(child)
                yield name, child

    def children(self) -> Iterator[Module]:
        """The modules directly below this one."""
        return (child for _, child in self.named_children())

    def _named_members(
        self, held: Callable[[Module], Iterable[tuple[str, Any]]], prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        owners = self.named_modules(None, prefix, remove_duplicate) if recurse else iter([(prefix, self)])
        for path, module in owners:
            for name, member in held(module):
                if member is not None and id(member) not in seen:
                    if remove_duplicate:
                        seen.add(id(member))
                    yield path + ("." if path else "") + name, member

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """The parameters with their dotted names; one that is shared comes once, under its first name.

        Parameters
        ----------
        prefix : str
            Put before all names.
        recurse : bool
            Also those of the modules below.
        remove_duplicate : bool
        """
        return self._named_members(lambda m: m._parameters.items(), prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters, each once: what an optimiser takes."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """The buffers with their dotted names; one that is shared comes once."""
        return self._named_members(lambda m: m._buffers.items(), prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers, each once."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def get_submodule(self, target: str) -> Module:
        """The module of a dotted name; this one for ``""``.

        Raises
        ------
        AttributeError
            There is none.
        """
        module = self
        for name in target.split(".") if target else ():
            found = getattr(module, name)
            if not isinstance(found, Module):
                raise AttributeError(f"'{name}' of {type(module).__name__} is not an nn.Module")
            module = found
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put a module at a dotted name; with ``strict``, only in the place of another.

        Raises
        ------
        ValueError
            The name is empty.
        AttributeError
            There is nothing to hold it, or (strict) to be replaced.
        """
        if not target:
            raise ValueError("Cannot set the submodule without a target name!")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict:
            self.get_submodule(target)
        parent._modules.pop(name, None) if module is None else setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter of a dotted name."""
        return self._get_member(target, "_parameters", "an nn.Parameter")

    def get_buffer(self, target: str) -> Tensor:
        """The buffer of a dotted name."""
        return self._get_member(target, "_buffers", "a buffer")

    def _get_member(self, target: str, kind: str, what: str) -> Any:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        getattr(module, name)
        if name not in module.__dict__[kind]:
            raise AttributeError(f"'{name}' of {type(module).__name__} is not {what}")
        return module.__dict__[kind][name]

    # -------------------------------------------------------------------------------------------- modes and dtypes

    def apply(self: M, fn: Callable[[Module], Any]) -> M:
        """Call a function with every module below, then with this one: for initialisation."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def train(self: M, mode: bool = True) -> M:
        """Switch this module and all below to training; `eval` switches back."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for child in self.children():
            child.train(mode)
        return self

    def eval(self: M) -> M:
        """Switch this module and all below to evaluation: no dropout, running statistics instead of the batch's."""
        return self.train(False)

    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        """Ask for gradients of all parameters, or stop asking: to freeze a part of a network."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or fill them with zeros."""
        for parameter in self.parameters():
            zero_grad_of(parameter, set_to_none)

    def _apply(self: M, fn: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]) -> M:
        """Replace the memory of parameters, gradients and buffers; the Tensors stay, so what is tied stays tied."""
        for held in itertools.chain(self.parameters(), self.buffers()):
            for tensor in (held, held.grad):
                if tensor is not None and (array := fn(tensor.array)) is not tensor.array:
                    tensor.data = array
        return self

    def to(self: M, *args: Any, **kwargs: Any) -> M:
        """Convert floating-point parameters and buffers in place: ``to(dtype)``, ``to(device)``, ``to(tensor)``.

        Raises
        ------
        TypeError
            The dtype is not a floating-point type, or a keyword is unknown.
        RuntimeError
            The device is not the CPU.
        """
        unknown = kwargs.keys() - {"dtype", "device", "tensor", "non_blocking", "memory_format", "copy"}
        if unknown:
            raise TypeError(f"to() got an unexpected keyword argument {min(unknown)!r}")
        dtype = kwargs.get("dtype")
        for given in (*args, kwargs.get("device"), kwargs.get("tensor")):
            if isinstance(given, (np.dtype, type, Variable)):
                dtype = dtypes.of(given)
            elif given is not None and not isinstance(given, bool):  # a bool is non_blocking
                on_cpu(given)
        if dtype is None:
            return self
        if dtypes.of(dtype).kind not in "fc":
            raise TypeError(
                f"nn.Module.to only accepts floating point or complex dtypes, but got desired dtype={dtype}"
            )
        return self._apply(
            lambda array: array.astype(dtypes.of(dtype), copy=False) if array.dtype.kind in "fc" else array
        )

    def float(self: M) -> M:
        """Convert floating-point parameters and buffers to float32."""
        return self.to(dtypes.float32)

    def double(self: M) -> M:
        """Convert floating-point parameters and buffers to float64."""
        return self.to(dtypes.float64)

    def half(self: M) -> M:
        """Convert floating-point parameters and buffers to float16."""
        return self.to(dtypes.float16)

    def type(self: M, dst_type: Any) -> M:
        """Convert all parameters and buffers, of whatever dtype."""
        return self._apply(lambda array: array.astype(dtypes.of(dst_type), copy=False))

    def to_empty(self: M, *, device: Any, recurse: bool = True) -> M:
        """Give all parameters and buffers other memory, whose values are anything.

        Raises
        ------
        OutOfScopeError
            The device is not the CPU.
        """
        on_cpu(device)
        return self._apply(np.empty_like)

    def cpu(self: M) -> M:
        """The module itself: it is on the CPU."""
        return self

    def share_memory(self: M) -> M:
        """The module itself: there are no worker processes to share with."""
        return self

    cuda = absent()
    xpu = absent()
    bfloat16 = absent()
    compile = absent()

    # -------------------------------------------------------------------------------------------- state

    def state_dict(
        self, destination: dict[str, Any] | None = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Any]:
        """All parameters and persistent buffers by dotted name, sharing their memory: to be saved, or copied.

        Parameters
        ----------
        destination : dict, optional
            Written into and returned.
        prefix : str
            Put before all names.
        keep_vars : bool
            Give the Tensors themselves, not detached ones.

        Examples
        --------
        >>> from tinygrad_jac import nn
        >>> list(nn.Linear(2, 3).state_dict())
        ['weight', 'bias']
        """
        found: dict[str, Any] = OrderedDict() if destination is None else destination
        for hook in list(self._state_dict_pre_hooks.values()):
            hook(self, prefix, keep_vars)
        for name, held in self._own_state():
            found[prefix + name] = held if keep_vars else held.detach()
        if type(self).get_extra_state is not Module.get_extra_state:
            found[prefix + _EXTRA] = self.get_extra_state()
        for name, child in self._modules.items():
            if child is not None:
                child.state_dict(destination=found, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook in list(self._state_dict_hooks.values()):
            hook(self, found, prefix, dict(_METADATA))
        return found

    def get_extra_state(self) -> Any:
        """What a subclass wants kept in its `state_dict` beside parameters and buffers, under ``_extra_state``.

        It is for subclasses to define, together with `set_extra_state`; `save` writes tensors, numbers, text, lists
        and dicts of them.

        Raises
        ------
        NotImplementedError
            The class does not define it.

        Examples
        --------
        >>> from tinygrad_jac import nn
        >>> class Counted(nn.Module):
        ...     calls = 0
        ...
        ...     def get_extra_state(self):
        ...         return {"calls": self.calls}
        ...
        ...     def set_extra_state(self, state):
        ...         self.calls = state["calls"]
        >>> counted = Counted()
        >>> counted.load_state_dict({"_extra_state": {"calls": 3}})
        <All keys matched successfully>
        >>> counted.calls
        3
        """
        raise NotImplementedError(f"{type(self).__name__} defines no get_extra_state()")

    def set_extra_state(self, state: Any) -> None:
        """Take up what `get_extra_state` gave: called by `load_state_dict`, when all else has been loaded.

        Raises
        ------
        NotImplementedError
            The class does not define it.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no set_extra_state()")

    def _own_state(self) -> Iterator[tuple[str, Tensor]]:
        """The parameters and persistent buffers of this module alone."""
        persistent = ((k, v) for k, v in self._buffers.items() if k not in self._non_persistent_buffers_set)
        return ((k, v) for k, v in itertools.chain(self._parameters.items(), persistent) if v is not None)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> Handle:
        """Run ``hook(module, prefix, keep_vars)`` before `state_dict` takes this module's."""
        return hooks.register(self._state_dict_pre_hooks, hook)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> Handle:
        """Run ``hook(module, state_dict, prefix, metadata)`` after that; it may change the dict."""
        return hooks.register(self._state_dict_hooks, hook)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> Handle:
        """Run ``hook(module, state_dict, prefix, metadata, strict, missing_keys, unexpected_keys, error_msgs)`` first.

        The dict is a copy, which it may change; what it adds to the lists is reported.
        """
        return hooks.register(self._load_state_dict_pre_hooks, hook)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> Handle:
        """Run ``hook(module, incompatible_keys)`` when keys were compared; it may take some out of the lists."""
        return hooks.register(self._load_state_dict_post_hooks, hook)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Copy values by name into parameters and buffers. Where something does not fit, nothing is changed.

        Last, what modules gave by `get_extra_state` is handed to their `set_extra_state`.

        Parameters
        ----------
        state_dict : mapping of str to Tensor or ndarray
        strict : bool
            Names must be exactly those of this module's `state_dict`.
        assign : bool
            Take the given tensors in place of the present ones, with their dtype, instead of copying the values.

        Returns
        -------
        IncompatibleKeys
            ``missing_keys`` and ``unexpected_keys``.

        Raises
        ------
        RuntimeError
            Keys are missing or unexpected (if strict), or sizes differ (always): all of them are named.
        TypeError
            ``state_dict`` is no mapping.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        state_dict = dict(state_dict)
        differ = IncompatibleKeys([], [])
        missing, unexpected = differ
        errors: list[str] = []
        own: dict[str, Tensor] = {}
        extras: dict[str, Module] = {}  # what more is kept, by whom
        for path, module in self.named_modules(remove_duplicate=False):
            prefix = path + "." if path else ""
            for hook in list(module._load_state_dict_pre_hooks.values()):
                hook(module, state_dict, prefix, dict(_METADATA), strict, missing, unexpected, errors)
            own.update((prefix + name, held) for name, held in module._own_state())
            if type(module).set_extra_state is not Module.set_extra_state:
                extras[prefix + _EXTRA] = module
        missing += [key for key in (*own, *extras) if key not in state_dict]
        unexpected += [key for key in state_dict if key not in own and key not in extras]
        for module in self.modules():
            for hook in list(module._load_state_dict_post_hooks.values()):
                hook(module, differ)
        for found, keys in (("Missing", missing), ("Unexpected", unexpected)):
            if strict and keys:
                errors.append(f"{found} key(s) in state_dict: " + ", ".join(f'"{key}"' for key in keys) + ". ")
        given: dict[str, np.ndarray[Any, Any]] = {}
        for key in own:
            if key not in state_dict:
                continue
            value = state_dict[key]
            if not isinstance(value, (Variable, np.ndarray)):
                errors.append(f'While copying the parameter named "{key}", expected a Tensor, received {type(value)}.')
                continue
            given[key] = value.array if isinstance(value, Variable) else value
            if given[key].shape != own[key].shape:
                errors.append(
                    f"size mismatch for {key}: copying a param with shape {tuple(given[key].shape)} from checkpoint, "
                    f"the shape in current model is {tuple(own[key].shape)}."
                )
        if errors:
            lines = "".join(f"\n\t{error}" for error in errors)
            raise RuntimeError(f"Error(s) in loading state_dict for {type(self).__name__}:{lines}")
        for key, array in given.items():
            if assign:
                own[key].data = array
            else:
                np.copyto(own[key].array, array, casting="unsafe")
                mark_changed(own[key].array)
        for key, module in extras.items():
            if key in state_dict:
                module.set_extra_state(state_dict[key])
        return differ

    # -------------------------------------------------------------------------------------------- printing

    def extra_repr(self) -> str:
        """What stands between the brackets when the module is printed; subclasses state their options."""
        return ""

    def _get_name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        extra = self.extra_repr().split("\n") if self.extra_repr() else []
        children = [f"({name}): {_indented(repr(child))}" for name, child in self._modules.items()]
        if not children and len(extra) < 2:
            return f"{self._get_name()}({''.join(extra)})"
        return f"{self._get_name()}(\n  " + "\n  ".join(extra + children) + "\n)"


def _indented(text: str) -> str:
    return text.replace("\n", "\n  ")


def _require_none(value: Any, kind: str, name: str, takes: str) -> None:
    if value is not None:
        raise TypeError(f"cannot assign {type(value).__name__!r} as {kind} {name!r}: it takes {takes} or None")
