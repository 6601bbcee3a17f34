"""Special functions, in the names of ``torch.special``."""

from __future__ import annotations

import math
from typing import Any

from .rules.activations import sigmoid as expit
from .rules.elementary import exp2, expm1, log1p, round, sinc, where
from .rules.normalization import log_softmax, softmax
from .rules.norms import logsumexp
from .rules.special import digamma, erf, erfc, erfinv, lgamma, logit, polygamma, xlogy
from .spelling import public

gammaln, psi = lgamma, digamma

__all__ = [
    "digamma", "entr", "erf", "erfc", "erfinv", "exp2", "expit", "expm1", "gammaln", "log1p", "log_softmax", "logit",
    "logsumexp", "ndtr", "ndtri", "polygamma", "psi", "round", "sinc", "softmax", "xlog1py", "xlogy",
]  # fmt: skip


@public()
def entr(x: Any) -> Any:
    """``-x log x``, 0 where x is 0, -inf where it is negative."""
    return where(x < 0, -math.inf, -xlogy(x, where(x < 0, 1.0, x)))


@public()
def xlog1py(x: Any, y: Any) -> Any:
    """``x log(1 + y)``, and 0 where x is 0 and y is not above -1."""
    return x * log1p(where((x == 0) & (y <= -1), 0.0, y))


@public()
def ndtr(x: Any) -> Any:
    """The distribution function of the normal distribution with mean 0 and variance 1."""
    return erfc(x * -math.sqrt(0.5)) / 2


@public()
def ndtri(x: Any) -> Any:
    """The number below which the part ``x`` of a normal distribution lies: the inverse of `ndtr`."""
    return math.sqrt(2) * erfinv(2 * x - 1)
