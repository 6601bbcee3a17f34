"""Linear algebra, in the names of ``torch.linalg`` and ``numpy.linalg``."""

from .rules.linalg import cholesky, det, inv, matrix_power, slogdet, solve
from .rules.products import cross, matmul
from .rules.reductions import linalg_norm as norm
from .rules.reductions import matrix_norm, vector_norm

__all__ = [
    "cholesky",
    "cross",
    "det",
    "inv",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "norm",
    "slogdet",
    "solve",
    "vector_norm",
]
