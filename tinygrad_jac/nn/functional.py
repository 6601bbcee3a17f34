"""The functions that layers apply, in PyTorch's names: the rule book's own, gathered here.

Where PyTorch's function has an option that the rule book's does not know, that is added: ``inplace`` of activations
(accepted; the result is the same, in memory of its own), an axis that softmax chooses by itself, the norm that an
embedding keeps. `pad` takes PyTorch's order of widths, last axis first, unlike its namesake of the rule book.
"""

# ruff: noqa: I001 (which would give each name a line)

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..graph import Variable
from ..inplace import in_place
from ..rules import activations, joining, normalization, selecting
from ..rules.activations import (
    gelu, glu, hardshrink, logsigmoid, prelu, sigmoid, softplus, softshrink, softsign, tanhshrink,
)  # fmt: skip
from ..rules.attention import scaled_dot_product_attention
from ..rules.convolution import (
    conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d, fold, unfold,
)  # fmt: skip
from ..rules.elementary import tanh
from ..rules.losses import (
    binary_cross_entropy, binary_cross_entropy_with_logits, cosine_embedding_loss, cosine_similarity, cross_entropy,
    gaussian_nll_loss, hinge_embedding_loss, huber_loss, kl_div, l1_loss, margin_ranking_loss, mse_loss,
    multi_margin_loss, multilabel_soft_margin_loss, nll_loss, pairwise_distance, poisson_nll_loss, smooth_l1_loss,
    soft_margin_loss, triplet_margin_loss,
)  # fmt: skip
from ..rules.noise import dropout, dropout1d, dropout2d, dropout3d
from ..rules.normalization import batch_norm, group_norm, instance_norm, layer_norm, normalize, rms_norm
from ..rules.pooling import (
    adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d, adaptive_max_pool1d, adaptive_max_pool2d,
    avg_pool1d, avg_pool2d, avg_pool3d, interpolate, max_pool1d, max_pool2d, max_pool3d,
)  # fmt: skip
from ..rules.products import bilinear, linear
from ..rules.sampling import affine_grid, grid_sample
from ..rules.selecting import one_hot
from ..rules.shaping import flatten, unflatten
from ..spelling import public
from ..versions import mark_changed

__all__ = [
    "linear", "bilinear", "embedding", "one_hot", "flatten", "unflatten", "pad",
    "relu_", "elu_", "selu_", "celu_", "leaky_relu_", "hardtanh_", "threshold_",
    "relu", "relu6", "leaky_relu", "prelu", "elu", "selu", "celu", "gelu", "silu", "mish", "sigmoid", "logsigmoid",
    "tanh", "softplus", "softsign", "tanhshrink", "softshrink", "hardshrink", "hardtanh", "hardsigmoid", "hardswish",
    "threshold", "glu", "softmax", "log_softmax", "softmin",
    "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "unfold", "fold",
    "max_pool1d", "max_pool2d", "max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool1d",
    "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d", "interpolate",
    "batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm", "normalize",
    "scaled_dot_product_attention", "affine_grid", "grid_sample",
    "dropout", "dropout1d", "dropout2d", "dropout3d",
    "cross_entropy", "nll_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits", "mse_loss", "l1_loss",
    "smooth_l1_loss", "huber_loss", "kl_div", "poisson_nll_loss", "gaussian_nll_loss", "hinge_embedding_loss",
    "soft_margin_loss", "cosine_embedding_loss", "margin_ranking_loss", "triplet_margin_loss", "multi_margin_loss",
    "multilabel_soft_margin_loss", "cosine_similarity", "pairwise_distance",
]  # fmt: skip


def _with_inplace(function: Callable[..., Any], options: int = 0) -> Callable[..., Any]:
    """The activation, taking ``inplace`` after its own options."""

    @functools.wraps(function)
    def activation(input: Any, *given: Any, inplace: bool = False, **named: Any) -> Any:
        if len(given) > options + 1:  # after the options, inplace
            raise TypeError(f"{function.__name__}() takes {options + 2} arguments, but {len(given) + 1} were given")
        return function(input, *given[:options], **named)

    activation.__name__ = activation.__qualname__ = function.__name__
    return activation


relu = _with_inplace(activations.relu)
relu6 = _with_inplace(activations.relu6)
selu = _with_inplace(activations.selu)
silu = _with_inplace(activations.silu)
mish = _with_inplace(activations.mish)
hardsigmoid = _with_inplace(activations.hardsigmoid)
hardswish = _with_inplace(activations.hardswish)
leaky_relu = _with_inplace(activations.leaky_relu, 1)
elu = _with_inplace(activations.elu, 1)
celu = _with_inplace(activations.celu, 1)
hardtanh = _with_inplace(activations.hardtanh, 2)
threshold = _with_inplace(activations.threshold, 2)
relu_ = in_place(activations.relu)
elu_ = in_place(activations.elu)
selu_ = in_place(activations.selu)
celu_ = in_place(activations.celu)
leaky_relu_ = in_place(activations.leaky_relu)
hardtanh_ = in_place(activations.hardtanh)
threshold_ = in_place(activations.threshold)


def _with_implicit_axis(function: Callable[..., Any]) -> Callable[..., Any]:
    """The softmax, choosing an axis where none is given, as PyTorch still does: with a warning."""

    @functools.wraps(function)
    def over(
        input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None, *, axis: int | None = None
    ) -> Any:
        if axis is None:
            axis = dim
        elif dim is not None:
            raise TypeError(f"{function.__name__}: dim and axis are two names of one option: give one")
        if axis is None:
            axis = 0 if input.ndim in (0, 1, 3) else 1
            warnings.warn(
                f"Implicit dimension choice for {function.__name__} has been deprecated: axis {axis} was taken; pass "
                f"dim={axis}",
                stacklevel=_stacklevel,
            )
        return function(input, axis, dtype)

    return over


softmax = _with_implicit_axis(normalization.softmax)
log_softmax = _with_implicit_axis(normalization.log_softmax)
softmin = _with_implicit_axis(normalization.softmin)


@public()
def pad(x: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    """Entries added at both ends of the last axes.

    Parameters
    ----------
    x : array
    pad : sequence of int
        How many before and after, for the last axis, then for the one before it, and so on. Negative ones take away.
    mode : {"constant", "reflect", "replicate", "circular"}
    value : number, optional
        For mode "constant"; 0 by default.

    Raises
    ------
    ShapeError
        There are not two widths for each of so many axes.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> pad(tj.ones(1, 2), (1, 0, 0, 1))
    tensor([[0., 1., 1.],
            [0., 0., 0.]])
    """
    if len(pad) % 2 or len(pad) > 2 * x.ndim:
        raise ShapeError(f"pad takes two widths for each of the last axes of shape {x.shape}, not {tuple(pad)}")
    widths = [(0, 0)] * (x.ndim - len(pad) // 2) + [(pad[k], pad[k + 1]) for k in range(len(pad) - 2, -1, -2)]
    return joining.pad(x, widths, mode, 0.0 if value is None else value)


@public()
def embedding(
    x: Any, weight: Any, padding_idx: int | None = None, max_norm: float | None = None, norm_type: float = 2.0,
    scale_grad_by_freq: bool = False, sparse: bool = False,
) -> Any:  # fmt: skip
    """Rows of a table by their indices.

    Parameters
    ----------
    x : array of int
    weight : array of shape (rows, columns)
    padding_idx : int, optional
        A row that receives no gradient.
    max_norm, norm_type : float, optional
        Rows that are looked up and are longer than this are shortened to it first, in place.
    scale_grad_by_freq : bool
        Only False.
    sparse : bool
        Accepted and ignored: gradients are dense.

    Returns
    -------
    array of shape (*x.shape, columns)
    """
    if scale_grad_by_freq:
        raise NotImplementedError("embedding: scale_grad_by_freq=True is not implemented; scale the gradient in a hook")
    if max_norm is not None:
        index, table = (a.array if isinstance(a, Variable) else a for a in (x, weight))
        rows = np.unique(index)
        lengths = np.linalg.norm(table[rows], norm_type, axis=1)
        longer = lengths > max_norm
        if longer.any():
            table[rows[longer]] *= (max_norm / (lengths[longer] + 1e-7))[:, None].astype(table.dtype)
            mark_changed(table)
    return selecting.embedding(x, weight, padding_idx)
