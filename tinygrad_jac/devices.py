"""Devices: there is one, the CPU. Others can be named, as scripts do before they ask; nothing can be moved there."""

from __future__ import annotations

from typing import Any

from .errors import OutOfScopeError

TYPES = ("cpu", "cuda", "mps", "xpu", "xla", "hpu", "mtia", "meta")  # those of PyTorch's that scripts name


class device:
    """The name of a device, as in ``device("cuda:0")``; as a context manager, where tensors are made.

    Only the CPU can hold tensors: whatever is sent to another device raises.

    Parameters
    ----------
    type : str or device
        The type, and after a colon perhaps the number.
    index : int, optional
        The number.

    Raises
    ------
    RuntimeError
        There is no such type of device, or the number is none.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> tj.device("cuda", 1)
    device(type='cuda', index=1)
    >>> tj.ones(2, device=tj.device("cpu")).device
    device(type='cpu')
    """

    __slots__ = ("index", "type")

    type: str
    index: int | None

    def __init__(self, type: Any, index: int | None = None) -> None:
        if isinstance(type, device):
            type, index = type.type, type.index
        if isinstance(type, int) and not isinstance(type, bool):
            raise OutOfScopeError(f"device({type}) numbers an accelerator, and there is none: {_INSTEAD}")
        if not isinstance(type, str):
            raise TypeError(f"a device is named by a string, as device('cpu'), not by {type!r:.60}")
        name, colon, number = type.partition(":")
        if name not in TYPES:
            raise RuntimeError(f"Expected one of {', '.join(TYPES)} device type at start of device string: {type!r}")
        if colon and not (number.isdecimal() and index is None):
            raise RuntimeError(f"Invalid device string: {type!r}; a number may follow the colon, as in 'cpu:0'")
        self.type = name
        self.index = int(number) if colon else index

    def __repr__(self) -> str:
        number = "" if self.index is None else f", index={self.index}"
        return f"device(type={self.type!r}{number})"

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __enter__(self) -> device:
        on_cpu(self)
        return self

    def __exit__(self, *exc: object) -> None:
        pass


_INSTEAD = "tinygrad_jac computes on the CPU; leave the device out, or use device('cpu')"
CPU = device("cpu")


def on_cpu(given: Any) -> device:
    """A device, or its name, where it is the CPU.

    Raises
    ------
    OutOfScopeError
        It is another one; a `NotImplementedError`.
    """
    named = device(given)
    if named.type != "cpu":
        raise OutOfScopeError(f"nothing can be sent to device {str(named)!r}: {_INSTEAD}")
    return named


def set_default_device(device: Any) -> None:
    """Where tensors are made: on the CPU, whatever is said; None says nothing.

    Raises
    ------
    OutOfScopeError
        The device is not the CPU.
    """
    if device is not None:
        on_cpu(device)


def get_default_device() -> device:
    """The CPU."""
    return CPU
