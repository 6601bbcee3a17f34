"""`DataParallel` as it is on a CPU: the module itself. What needs several processes is out of scope."""

from __future__ import annotations

from typing import Any

from ..scope import look_up
from .module import Module

__path__: list[str] = []  # so that ``from tinygrad_jac.nn.parallel import …`` asks `scope` for what is not here


class DataParallel(Module):
    """A module that calls the one it holds, as PyTorch's does where there are no devices to divide a batch among.

    Parameters
    ----------
    module : Module
        Its parameters are found under ``module.``, as in PyTorch.
    device_ids, output_device, dim : object
        Without effect.
    """

    def __init__(self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0) -> None:
        super().__init__()
        self.module = module
        self.device_ids: list[int] = []

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)


def __getattr__(name: str) -> Any:
    return look_up(__name__, name)
