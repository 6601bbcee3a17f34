"""Dropout: entries, or whole channels, set to 0 at random while training."""

from __future__ import annotations

from typing import Any

from . import functional as F
from .thin import Thin


class _Dropout(Thin):
    p: float = 0.5
    inplace: bool = False
    shown = "p inplace"

    def _check(self) -> None:
        if not 0 <= self.p <= 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {self.p}")

    def forward(self, input: Any) -> Any:
        return self.function(input, p=self.p, training=self.training)


class Dropout(_Dropout):
    """While training each entry is 0 with probability ``p``, and else divided by 1 − p; in evaluation nothing happens.

    Raises
    ------
    ValueError
        ``p`` is not within [0, 1].
    """

    function = staticmethod(F.dropout)


class Dropout1d(_Dropout):
    """`Dropout` of whole channels of (batch, channels, length)."""

    function = staticmethod(F.dropout1d)


class Dropout2d(_Dropout):
    """`Dropout` of whole channels of (batch, channels, height, width)."""

    function = staticmethod(F.dropout2d)


class Dropout3d(_Dropout):
    """`Dropout` of whole channels of (batch, channels, depth, height, width)."""

    function = staticmethod(F.dropout3d)
