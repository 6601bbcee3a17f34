"""Named results of functions that return more than one array, as PyTorch names them."""

from __future__ import annotations

from typing import Any, NamedTuple


class ValuesIndices(NamedTuple):
    """Entries that were picked along an axis, and where they stood: of `max`, `min`, `sort`, `topk`, `median` …

    ``values`` is differentiable, ``indices`` are integers.
    """

    values: Any
    indices: Any


class MinMax(NamedTuple):
    """The smallest and the largest: of `aminmax`."""

    min: Any
    max: Any


class SignLogAbsDet(NamedTuple):
    """A determinant as sign · exp(logabsdet), which neither overflows nor underflows."""

    sign: Any
    logabsdet: Any


class EigenPairs(NamedTuple):
    """Of `eigh`: values, and vectors as columns."""

    eigenvalues: Any
    eigenvectors: Any


class SingularValues(NamedTuple):
    """Of `linalg.svd`: the third factor transposed."""

    U: Any
    S: Any
    Vh: Any


class SingularVectors(NamedTuple):
    """Of ``torch.svd``."""

    U: Any
    S: Any
    V: Any


class Factors(NamedTuple):
    """Of `qr`."""

    Q: Any
    R: Any


class LeastSquares(NamedTuple):
    """Of `lstsq`."""

    solution: Any
    residuals: Any
    rank: Any
    singular_values: Any
