"""Modules that hold others: in a chain, in lists, in dictionaries."""

from __future__ import annotations

import itertools
import operator
from collections import OrderedDict
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import Any, TypeVar

from ..graph import Variable
from .module import Module, _indented
from .parameter import Parameter

L = TypeVar("L", bound="_List")


class _Holder(Module):
    """What the containers share: where they hold their entries, and what is done to an entry on its way in."""

    def _held(self) -> dict[str, Any]:
        return self._modules

    def _put(self, name: str, entry: Any) -> None:
        self.add_module(name, entry)

    def __len__(self) -> int:
        return len(self._held())


class _OfParameters(_Holder):
    """The same for containers of parameters: a Tensor becomes a Parameter."""

    def _held(self) -> dict[str, Any]:
        return self._parameters

    def _put(self, name: str, entry: Any) -> None:
        is_plain = isinstance(entry, Variable) and not isinstance(entry, Parameter)
        self.register_parameter(name, Parameter(entry) if is_plain else entry)

    def extra_repr(self) -> str:
        return "\n".join(
            f"({name}): Parameter containing: [{p.dtype} of size {'x'.join(str(n) for n in p.shape)}]"
            for name, p in self._held().items()
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(f"{type(self).__name__} should not be called.")


class _List(_Holder):
    """A container whose entries have positions. Their names are the positions, until somebody gives others."""

    def _name_at(self, index: Any) -> str:
        position, size = operator.index(index), len(self)
        if not -size <= position < size:
            raise IndexError(f"index {position} is out of range for {type(self).__name__} of length {size}")
        return next(itertools.islice(self._held(), position % size, None))

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return type(self)(list(self)[index])  # type: ignore[call-arg]
        return self._held()[self._name_at(index)]

    def __setitem__(self, index: int, entry: Any) -> None:
        self._put(self._name_at(index), entry)

    def __delitem__(self, index: Any) -> None:
        kept = list(self)
        del kept[index]
        self._refill(kept)

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self._held().values()))

    def _refill(self, entries: Iterable[Any]) -> None:
        """Hold these instead, named by their positions."""
        self._held().clear()
        self.extend(entries)

    def append(self: L, entry: Any) -> L:
        """Add one at the end."""
        self._put(str(len(self)), entry)
        return self

    def extend(self: L, entries: Iterable[Any]) -> L:
        """Add some at the end."""
        if not isinstance(entries, Iterable) or isinstance(entries, Variable):
            raise TypeError(f"{type(self).__name__}.extend needs an iterable, not {type(entries).__name__}")
        for entry in list(entries):
            self.append(entry)
        return self

    def insert(self, index: int, entry: Any) -> None:
        """Add one before a position."""
        entries = list(self)
        entries.insert(index, entry)
        self._refill(entries)

    def pop(self, index: Any = -1) -> Any:
        """Take one out."""
        entry = self[index]
        del self[index]
        return entry

    def __iadd__(self: L, entries: Iterable[Any]) -> L:
        return self.extend(entries)

    def __add__(self: L, entries: Iterable[Any]) -> L:
        return type(self)(list(self)).extend(entries)  # type: ignore[call-arg]


class _Dict(_Holder):
    """A container whose entries have keys."""

    def __getitem__(self, key: str) -> Any:
        return self._held()[key]

    def __setitem__(self, key: str, entry: Any) -> None:
        self._put(key, entry)

    def __delitem__(self, key: str) -> None:
        del self._held()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._held())

    def __contains__(self, key: str) -> bool:
        return key in self._held()

    def keys(self) -> KeysView[str]:
        return self._held().keys()

    def values(self) -> ValuesView[Any]:
        return self._held().values()

    def items(self) -> ItemsView[str, Any]:
        return self._held().items()

    def clear(self) -> None:
        self._held().clear()

    def pop(self, key: str) -> Any:
        """Take one out."""
        return self._held().pop(key)

    def update(self, entries: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> None:
        """Add or replace some: a mapping, or pairs of key and entry."""
        if not isinstance(entries, Iterable):
            raise TypeError(f"{type(self).__name__}.update needs a mapping or pairs, not {type(entries).__name__}")
        for key, entry in entries.items() if isinstance(entries, (Mapping, _Dict)) else entries:
            self[key] = entry


class Sequential(_List):
    """Modules one after another, each given the output of the one before.

    Parameters
    ----------
    *modules : Module, or one OrderedDict of them by name

    Examples
    --------
    >>> from tinygrad_jac import nn
    >>> net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
    >>> net[0]
    Linear(in_features=4, out_features=8, bias=True)
    >>> len(net[1:])
    2
    """

    def __init__(self, *modules: Any) -> None:
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], OrderedDict):
            for name, module in modules[0].items():
                self.add_module(name, module)
        else:
            self.extend(modules)

    def forward(self, input: Any) -> Any:
        for module in self._modules.values():
            input = module(input)  # type: ignore[misc]
        return input

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):  # with their names
            return type(self)(OrderedDict(list(self._modules.items())[index]))
        return super().__getitem__(index)

    def insert(self, index: int, entry: Module) -> Sequential:  # type: ignore[override]
        """Add one before a position; the names become the positions."""
        super().insert(index, entry)
        return self

    def __mul__(self, times: int) -> Sequential:
        """The same modules, not copies, several times in a row."""
        if times < 1:
            raise ValueError(f"a Sequential can be repeated once or more, not {times} times")
        return Sequential(*itertools.chain.from_iterable(itertools.repeat(list(self), times)))

    __rmul__ = __mul__

    def __add__(self, entries: Iterable[Any]) -> Sequential:
        return Sequential(*self, *entries)


class ModuleList(_List):
    """A list of modules, each of them registered.

    Examples
    --------
    >>> from tinygrad_jac import nn
    >>> nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
    ModuleList(
      (0-2): 3 x Linear(in_features=4, out_features=4, bias=True)
    )
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        self.extend(modules or ())

    def __repr__(self) -> str:
        runs = [(text, len(list(run))) for text, run in itertools.groupby(repr(m) for m in self)]
        lines, start = [], 0
        for text, count in runs:
            name = f"({start})" if count == 1 else f"({start}-{start + count - 1})"
            lines.append(f"{name}: {f'{count} x ' if count > 1 else ''}{_indented(text)}")
            start += count
        return f"{self._get_name()}(\n  " + "\n  ".join(lines) + "\n)" if lines else f"{self._get_name()}()"


class ModuleDict(_Dict):
    """Modules by name, each of them registered; iterates over the names in the order in which they were added."""

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] | None = None) -> None:
        super().__init__()
        self.update(modules or {})


class ParameterList(_OfParameters, _List):
    """A list of parameters, each of them registered; Tensors become Parameters."""

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        self.extend(values or ())


class ParameterDict(_OfParameters, _Dict):
    """Parameters by name, each of them registered; Tensors become Parameters."""

    def __init__(self, parameters: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None) -> None:
        super().__init__()
        self.update(parameters or {})

    def update(self, entries: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> None:
        """Add or replace some; those of a plain dict in the order of their keys, as PyTorch does."""
        is_plain = isinstance(entries, Mapping) and not isinstance(entries, OrderedDict)
        super().update(sorted(dict(entries).items()) if is_plain else entries)
