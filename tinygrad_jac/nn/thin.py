"""`Thin`: the base of modules that are one function and its options, and hold nothing that is learnt."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from .module import Module

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:  # only type checkers need it

    def dataclass_transform(**_: Any) -> Callable[[Any], Any]:
        return lambda cls: cls


_REQUIRED = object()


class _Signature:
    """The constructor's signature as tools read it (`help`, editors), made when they ask."""

    def __get__(self, instance: Any, owner: type[Thin]) -> Any:
        if instance is not None or owner.__init__ is not Thin.__init__:
            raise AttributeError("__signature__")  # then the usual way of finding it is the right one
        import inspect

        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        return inspect.Signature(
            [
                inspect.Parameter(name, kind, default=inspect.Parameter.empty if default is _REQUIRED else default)
                for name, default in owner.options.items()
            ]
        )


@dataclass_transform(eq_default=False)
class Thin(Module):
    """A module that is one function with its options fixed.

    A subclass names the function, and lists the options as annotated attributes in the order in which its constructor
    takes them::

        class ELU(Thin):
            \"\"\"x where positive, else α (exp(x) − 1).\"\"\"

            alpha: float = 1.0
            inplace: bool = False
            function = staticmethod(F.elu)

    Its instances keep the options as attributes, print them, and hand them to the function by name.
    """

    function: ClassVar[Callable[..., Any]]
    options: ClassVar[dict[str, Any]] = {}
    consumed: ClassVar[tuple[str, ...]] = ("inplace",)  # options that the function has no use for
    handed: ClassVar[tuple[str, ...]] = ()  # the others, which it is given
    shown: ClassVar[str] = ""  # the options that are printed: all, but `inplace` only where it is on
    __signature__ = _Signature()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = [name for name, kind in cls.__annotations__.items() if "ClassVar" not in str(kind)]
        # A subclass of one that has options, with a forward of its own, annotates attributes as any class does.
        extends = bool(cls.options) and "forward" in cls.__dict__
        if own and not extends and "__init__" not in cls.__dict__:
            cls.options = {name: cls.__dict__.get(name, _REQUIRED) for name in own}
            cls.handed = tuple(name for name in own if name not in cls.consumed)
            for name in own:  # what stays in the class would hide a buffer of that name
                if name in cls.__dict__:
                    delattr(cls, name)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        given = dict(zip(self.options, args))
        for name in kwargs:
            if name not in self.options or name in given:
                problem = "multiple values for" if name in given else "an unexpected keyword"
                raise TypeError(f"{type(self).__name__}() got {problem} argument '{name}'")
        if len(args) > len(self.options):
            raise TypeError(f"{type(self).__name__}() takes {len(self.options)} arguments, but {len(args)} were given")
        for name, value in {**self.options, **given, **kwargs}.items():
            if value is _REQUIRED:
                raise TypeError(f"{type(self).__name__}() missing a required argument: '{name}'")
            setattr(self, name, value)
        self._check()

    def _check(self) -> None:
        """What a subclass makes sure of, or completes, once the options are set."""

    def forward(self, *inputs: Any) -> Any:
        return self.function(*inputs, **{name: getattr(self, name) for name in self.handed})

    def extra_repr(self) -> str:
        names = self.shown.split() or [name for name in self.options if name != "inplace" or self.inplace]
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
