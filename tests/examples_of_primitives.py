"""For every registered primitive a small graph that contains it, with a gradient for each differentiable argument.

Values keep away from kinks and ties. An example may contain other primitives as well; those that only occur as the
VJP of another are reached by differentiating twice.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

import numpy as np
from kit import distinct, positive, randn

import tinygrad_jac as tj
from tinygrad_jac import rules

for module in pkgutil.iter_modules(rules.__path__):
    importlib.import_module(f"{rules.__name__}.{module.name}")
from tinygrad_jac.rules import (  # noqa: E402
    activations,
    convolution,
    indexing,
    joining,
    linalg,
    losses,
    normalization,
    pooling,
    products,
    recurrent,
    special,
)

Graph = Callable[[], Any]


def leaf(array: np.ndarray) -> Any:
    return tj.tensor(array, requires_grad=True)


def of(function: Callable[..., Any], *arrays: np.ndarray, **params: Any) -> Graph:
    """``function`` of leaves with these values."""
    return lambda: function(*(leaf(a) for a in arrays), **params)


def gradient_of(function: Callable[..., Any], *arrays: np.ndarray, by: int = 0) -> Graph:
    """The gradient of ``function`` as a function of the cotangent and of the inputs."""

    def graph() -> Any:
        inputs = [leaf(a) for a in arrays]
        out = function(*inputs)
        u = leaf(randn(*out.shape, seed=9))
        return tj.autograd.grad(out, inputs[by], u, create_graph=True)[0]

    return graph


def pooled_back(u: Any) -> Any:
    """The gradient of a pooling by maximum, as a function of its cotangent."""
    x = leaf(distinct(1, 2, 4, 4))
    return tj.autograd.grad(pooling.max_pool2d(x, 2), x, u, create_graph=True)[0]


MATRIX, SQUARE, IMAGE = randn(3, 4), randn(3, 3), randn(2, 2, 5, 5)
ROW = randn(4, seed=1)
UNIT = np.linspace(-0.8, 0.7, 6).reshape(2, 3)
MASK = np.array([[True, False, True, False]] * 3)
KEY = np.array([[0, 2], [1, 1]])


def of_spread_entries(function: Callable[..., Any], **params: Any) -> Graph:
    return of(function, distinct(3, 4), **params)


EXAMPLES: dict[str, Graph] = {
    # arithmetic
    "positive": of(tj.positive, MATRIX),
    "neg": of(tj.negative, MATRIX),
    "add": of(lambda x, y: x + y, MATRIX, ROW),
    "sub": of(lambda x, y: x - y, MATRIX, ROW),
    "mul": of(lambda x, y: x * y, MATRIX, ROW),
    "div": of(lambda x, y: x / y, MATRIX, ROW),
    "pow": of(lambda x, y: x**y, positive(3, 4), ROW),
    "remainder": of(tj.remainder, np.array([5.3, -4.1]), np.array([2.0, 1.5])),
    "fmod": of(tj.fmod, np.array([5.3, -4.1]), np.array([2.0, 1.5])),
    "reciprocal": of(tj.reciprocal, MATRIX),
    "square": of(tj.square, MATRIX),
    "sqrt": of(tj.sqrt, positive(3, 4)),
    "rsqrt": of(tj.rsqrt, positive(3, 4)),
    "hypot": of(tj.hypot, MATRIX, ROW),
    # exponentials and logarithms
    "exp": of(tj.exp, MATRIX),
    "exp2": of(tj.exp2, MATRIX),
    "expm1": of(tj.expm1, MATRIX),
    "log": of(tj.log, positive(3, 4)),
    "log1p": of(tj.log1p, positive(3, 4)),
    "log2": of(tj.log2, positive(3, 4)),
    "log10": of(tj.log10, positive(3, 4)),
    "logaddexp": of(tj.logaddexp, MATRIX, ROW),
    # trigonometry
    "sin": of(tj.sin, MATRIX),
    "cos": of(tj.cos, MATRIX),
    "tan": of(tj.tan, UNIT),
    "asin": of(tj.arcsin, UNIT),
    "acos": of(tj.arccos, UNIT),
    "atan": of(tj.arctan, MATRIX),
    "atan2": of(tj.arctan2, MATRIX, ROW),
    "sinh": of(tj.sinh, MATRIX),
    "cosh": of(tj.cosh, MATRIX),
    "tanh": of(tj.tanh, MATRIX),
    "asinh": of(tj.arcsinh, MATRIX),
    "acosh": of(tj.arccosh, positive(2, 3) + 1),
    "atanh": of(tj.arctanh, UNIT),
    "erf": of(special.erf, MATRIX),
    "erfc": of(special.erfc, MATRIX),
    "erfinv": of(special.erfinv, UNIT),
    "lgamma": of(special.lgamma, positive(3, 4)),
    "polygamma": of(lambda x: tj.polygamma(1, x), positive(3, 4)),
    # choices and steps
    "abs": of(tj.absolute, MATRIX),
    "maximum": of(tj.maximum, MATRIX, ROW),
    "minimum": of(tj.minimum, MATRIX, ROW),
    "where": of(lambda x, y: tj.where(MASK, x, y), MATRIX, ROW),
    "masked": gradient_of(tj.relu, MATRIX),
    "clamp": of(tj.clamp, MATRIX, min=-0.5, max=0.6),
    "sign": of(tj.sign, MATRIX),
    "floor": of(tj.floor, MATRIX + 0.01),
    "floor_of_quotient": of(lambda x, y: tj.div(x, y, rounding_mode="floor"), MATRIX + 0.01, MATRIX[:1] ** 2 + 0.7),
    "ceil": of(tj.ceil, MATRIX + 0.01),
    "trunc": of(tj.trunc, MATRIX + 0.01),
    "round": of(tj.round, MATRIX + 0.01),
    # activations
    "relu": of(tj.relu, MATRIX),
    "leaky_relu": of(activations.leaky_relu, MATRIX),
    "elu": of(activations.elu, MATRIX, alpha=1.3),
    "hardtanh": of(activations.hardtanh, MATRIX, min_val=-0.5, max_val=0.6),
    "sigmoid": of(tj.sigmoid, MATRIX),
    "silu": of(activations.silu, MATRIX),
    "softplus": of(activations.softplus, MATRIX, beta=2.0),
    "gelu": of(activations.gelu, MATRIX),
    "gelu_tanh": of(activations.gelu, MATRIX, approximate="tanh"),
    # products
    "matmul": of(tj.matmul, randn(2, 3, 4), randn(4, 5)),
    "linear": of(products.linear, randn(5, 4), MATRIX, randn(3)),
    "einsum": of(lambda x, y: tj.einsum("bij,kj->bki", x, y), randn(2, 3, 4), randn(5, 4)),
    # reductions
    "sum": of(tj.sum, MATRIX, dim=1),
    "mean": of(tj.mean, MATRIX, dim=0, keepdim=True),
    "prod": of(tj.prod, MATRIX, dim=1),
    "var": of(tj.var, MATRIX, dim=1),
    "std": of(tj.std, MATRIX, dim=0),
    "norm": of(tj.norm, MATRIX, dim=1),
    "logsumexp": of(tj.logsumexp, MATRIX, dim=1),
    "amax": of_spread_entries(tj.amax, dim=1),
    "amin": of_spread_entries(tj.amin, dim=1),
    "median": of_spread_entries(tj.median),
    "cumsum": of(tj.cumsum, MATRIX, dim=1),
    "cumprod": of(tj.cumprod, MATRIX, dim=1),
    # moving entries
    "reshape": of(lambda x: x.reshape(2, 6), MATRIX),
    "permute": of(lambda x: tj.permute(x, (2, 0, 1)), randn(2, 3, 4)),
    "broadcast_to": of(lambda x: tj.broadcast_to(x, (2, 3, 4)), randn(3, 1)),
    "clone": of(tj.clone, MATRIX),
    "astype": of(lambda x: x.astype(np.float32).astype(np.float64), MATRIX),
    "flip": of(lambda x: tj.flip(x, (0, 1)), MATRIX),
    "roll": of(lambda x: tj.roll(x, 2, 1), MATRIX),
    "tril": of(tj.tril, MATRIX),
    "triu": of(tj.triu, MATRIX),
    "diagonal": of(tj.diagonal, randn(2, 3, 4), offset=1, dim1=-2, dim2=-1),
    "diag_embed": of(tj.diag_embed, MATRIX, offset=1),
    "concatenate": of(lambda x, y: tj.concatenate([x, y, x], 1), MATRIX, randn(3, 2)),
    "tile": of(lambda x: tj.tile(x, (2, 3)), MATRIX),
    "repeat_interleave": of(lambda x: tj.repeat_interleave(x, 2, 1), MATRIX),
    "pad": of(lambda x: joining.pad(x, ((1, 0), (2, 1))), MATRIX),
    # indexing
    "slice": of(lambda x: x[1:, ::2], MATRIX),
    "unslice": gradient_of(lambda x: x[1:, ::2], MATRIX),
    "index": of(lambda x: x[KEY, 1], MATRIX),
    "scatter_add": gradient_of(lambda x: x[KEY, 1], MATRIX),
    "setitem": of(lambda x, y: indexing.setitem(x, y, index=(slice(0, 2), 1)), MATRIX, randn(2)),
    # softmax and normalisation
    "softmax": of(normalization.softmax, MATRIX, dim=1),
    "masked_softmax": of(lambda x: normalization.masked_softmax(x, MASK), MATRIX),
    "log_softmax": of(normalization.log_softmax, MATRIX, dim=0),
    "standardize": of(lambda x: normalization.layer_norm(x, (4,)), MATRIX),
    # recurrent networks
    "recurrence": of(
        lambda *args: recurrent.recurrence(*args, cell=recurrent.LSTM, sizes=(2, 2, 1)),
        *(randn(*shape, seed=k) for k, shape in enumerate(((3, 2, 8), (2, 4), (8, 2), (8,)))),
    ),
    # losses
    "cross_entropy": of(lambda x: losses.cross_entropy(x, np.array([1, 0, 3])), MATRIX),
    "soft_cross_entropy": of(losses.cross_entropy, MATRIX, positive(3, 4, seed=1)),
    "binary_cross_entropy": of(losses.binary_cross_entropy, UNIT / 2 + 0.5, UNIT[::-1] / 2 + 0.5),
    "binary_cross_entropy_with_logits": of(losses.binary_cross_entropy_with_logits, UNIT, UNIT[::-1] / 2 + 0.5),
    "squared_error": of(losses.mse_loss, MATRIX, randn(3, 4, seed=1)),
    # linear algebra
    "inv": of(linalg.inv, SQUARE),
    "solve": of(linalg.solve, SQUARE, randn(3, 2, seed=1)),
    "det": of(linalg.det, SQUARE),
    "logabsdet": of(lambda x: linalg.slogdet(x).logabsdet, SQUARE),
    "cholesky": of(linalg.cholesky, SQUARE @ SQUARE.T + np.eye(3)),
    "pinv": of(linalg.pinv, randn(4, 3)),
    "eigh": of(lambda x: linalg.eigh(x + x.mT).eigenvectors, SQUARE),
    "svd": of(lambda x: linalg.svd(x, full_matrices=False).U, randn(4, 3)),
    "qr": of(lambda x: linalg.qr(x).Q, randn(4, 3)),
    # convolution and pooling
    "conv": of(convolution.conv2d, IMAGE, randn(4, 1, 3, 2), randn(4), padding=1, groups=2),
    "conv_transpose": of(convolution.conv_transpose2d, randn(2, 4, 3, 3), randn(4, 2, 3, 2), stride=2),
    "conv_weight": gradient_of(convolution.conv2d, IMAGE, randn(4, 2, 3, 2), by=1),
    "im2col": of(convolution.unfold, IMAGE, kernel_size=2),
    "col2im": of(convolution.fold, randn(2, 8, 16), output_size=5, kernel_size=2),
    "max_pool": of(pooling.max_pool2d, distinct(1, 2, 4, 5), kernel_size=2, stride=1),
    "unpool": gradient_of(lambda x: pooling.max_pool2d(x, 2), distinct(1, 2, 4, 4)),
    "pick": gradient_of(pooled_back, randn(1, 2, 2, 2)),
}
