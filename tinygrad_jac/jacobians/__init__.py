"""Structured Jacobians: the matrices of the textbook, in the form in which the textbook writes them."""

from .base import Compose, Jacobian, Sum, Transposed
from .chain import Chain, chain
from .links import AlongGraph
from .printing import bordered
from .recurrence import Recurrence
from .structures import (
    BlockDiag,
    Contraction,
    Dense,
    Diagonal,
    DiagPlusLowRank,
    Identity,
    Kron,
    Selection,
    Toeplitz,
)

__all__ = [
    "AlongGraph",
    "BlockDiag",
    "Chain",
    "Compose",
    "Contraction",
    "Dense",
    "DiagPlusLowRank",
    "Diagonal",
    "Identity",
    "Jacobian",
    "Kron",
    "Recurrence",
    "Selection",
    "Sum",
    "Toeplitz",
    "Transposed",
    "bordered",
    "chain",
]
