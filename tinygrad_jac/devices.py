"""Devices: there is one, the CPU; scripts that name it run, scripts that ask for another are told."""

from __future__ import annotations

from typing import Any


class device:
    """A device by name, as in ``device("cpu")``.

    Raises
    ------
    RuntimeError
        The name is not that of the CPU.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> tj.device("cpu")
    device(type='cpu')
    """

    __slots__ = ("index", "type")

    def __init__(self, type: Any = "cpu", index: int | None = None) -> None:
        name, _, number = str(getattr(type, "type", type)).partition(":")
        if name != "cpu":
            raise RuntimeError(f"there is no device {str(type)!r}: tinygrad_jac computes on the CPU; use device('cpu')")
        self.type = name
        self.index = int(number) if number else index

    def __repr__(self) -> str:
        return f"device(type={self.type!r})"

    def __str__(self) -> str:
        return self.type

    def __eq__(self, other: object) -> bool:
        return str(other).partition(":")[0] == self.type

    def __hash__(self) -> int:
        return hash(self.type)
