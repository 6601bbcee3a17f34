"""Losses. What ends a network is fused with its last activation: softmax, sigmoid or none.

The gradient of each of the three with respect to the network's last output is *prediction minus target*: p - y for
softmax with cross-entropy, σ(z) - y for the sigmoid with binary cross-entropy, 2 (x - y) for the squared error. Taken
together the pairs are stable for logits of any size; taken apart, a softmax that is 0 would be divided by itself.

Every loss is computed for each entry (or each sample) first and then reduced by `reduced`, the one place that knows of
``reduction``.
"""

from __future__ import annotations

import math
import sys
import warnings
from typing import Any

import numpy as np

from .. import sums
from ..errors import ShapeError
from ..graph import Variable
from ..jacobians import BlockDiag, Diagonal, Identity, Jacobian
from ..primitive import primitive
from ..spelling import public
from .activations import logsigmoid, sigmoid, softplus
from .elementary import absolute, clamp, exp, log, logistic, masked, sqrt, square, where
from .normalization import _exponentials, log_softmax
from .norms import norm
from .reductions import mean, sum
from .shaping import broadcast_tensors
from .special import xlogy

# ------------------------------------------------------------------------------------------------ what they share


def reduced(
    losses: Any, reduction: str, size_average: bool | None = None, reduce: bool | None = None, weights: Any = None
) -> Any:
    """The losses of the entries, reduced as asked.

    Parameters
    ----------
    losses : Tensor or ndarray
    reduction : {"mean", "sum", "none"}
    size_average, reduce : bool, optional
        The older way to say it, which PyTorch still reads: ``reduce=False`` is "none", ``size_average=False`` "sum".
    weights : array, optional
        What the losses were multiplied with, where the mean is the weighted one.

    Raises
    ------
    ValueError
        ``reduction`` is another word.
    """
    if size_average is not None or reduce is not None:
        reduction = "none" if reduce is False else "sum" if size_average is False else "mean"
        _warn(f"size_average and reduce are PyTorch's older arguments; write reduction={reduction!r}")
    if reduction == "mean":
        return mean(losses) if weights is None else sum(losses) / sum(weights)
    if reduction == "sum":
        return sum(losses)
    if reduction == "none":
        return losses
    raise ValueError(f"reduction is 'mean', 'sum' or 'none', not {reduction!r}")


def _check_shapes(name: str, x: Any, target: Any, weight: Any = None) -> None:
    """A target of another shape is broadcast, with PyTorch's warning; a weight of another shape is refused."""
    if weight is not None and np.shape(weight) != np.shape(x):
        raise ShapeError(f"{name}: the weight's shape {np.shape(weight)} must be the input's, {np.shape(x)}")
    if np.shape(x) != np.shape(target):
        _warn(
            f"{name}: the target's shape {np.shape(target)} differs from the input's {np.shape(x)}; they are broadcast "
            "against each other, which is rarely what is meant: give them the same shape"
        )


def _warn(message: str) -> None:
    """Warn at the line of the user's code, however many of the library's own functions lie between."""
    library = __name__.partition(".")[0]
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == library:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, UserWarning, level)


def _require_same_shape(name: str, x: Any, target: Any) -> None:
    if np.shape(x) != np.shape(target):
        raise ShapeError(f"{name}: the target's shape {np.shape(target)} must be the input's, {np.shape(x)}")


def _weighted(losses: Any, weight: Any) -> Any:
    return losses if weight is None else losses * weight


def _array(x: Any) -> Any:
    return x.array if isinstance(x, Variable) else np.asarray(x)


def _one_hot(target: Any, classes: int) -> Any:
    return target[:, None] == np.arange(classes)


# ------------------------------------------------------------------------------------------- softmax and cross-entropy


def _cross_entropy_forward(x: Any, target: Any) -> Any:
    """The losses, and the derivative of each by its logits: the prediction p less the target y."""
    shifted, p = _exponentials(x, -1)
    total = sums.along_rows(p)
    at_target = np.arange(len(target)), target
    out = np.log(total[:, 0]) - shifted[at_target]
    p /= total
    p[at_target] -= 1
    return out, p


_cross_entropy = primitive(
    "cross_entropy", _cross_entropy_forward, saves="x target residual",
    vjp=(lambda g, out, x, target, *, residual: g[..., None] * residual,
         None),
    jacobian=(lambda out, x, target, *, residual: _rows(_probabilities(x) - np.eye(x.shape[-1])[target]),
              None),
    composition=lambda x, target: -masked(log_softmax(x, axis=-1), _one_hot(target, x.shape[-1])).sum(axis=-1),
    doc="""Softmax and cross-entropy in one: logits (n, C) and class indices (n,) give n losses log Σ exp x - x_target.

    The gradient of one sample's loss is p - y, p being the softmax and y the one-hot target: the Jacobian has one such
    row, a block of 1 x C, for each sample.
    """,
)
_soft_cross_entropy = primitive(
    "soft_cross_entropy", lambda x, target: _soft_cross_entropy_forward(x, target), saves="target residual x",
    residual=lambda out, x, target: log_softmax(x, axis=-1),
    vjp=(lambda g, out, x, target, *, residual:
             g[..., None] * (np.exp(residual) * target.sum(axis=-1, keepdims=True) - target),
         lambda g, out, x, target, *, residual: -g[..., None] * residual),
    jacobian=(lambda out, x, target, *, residual: _rows(_probabilities(x) * target.sum(-1, keepdims=True) - target),
              lambda out, x, target, *, residual: _rows(np.logaddexp.reduce(x, axis=-1, keepdims=True) - x)),
    doc="As `cross_entropy`, for targets that are a weight q of each class, (n, C). -Σ q log p has gradient p Σq - q.",
)


def _soft_cross_entropy_forward(x: Any, target: Any) -> Any:
    log_p = log_softmax(x, axis=-1)
    return -np.add.reduce(masked(log_p, target != 0) * target, axis=-1), log_p


def _probabilities(x: Any) -> Any:
    """The softmax, for the statements."""
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def _rows(rows: Any) -> Jacobian:
    """The Jacobian of n numbers by an (n, C) array, of which each depends on its own row."""
    n = len(rows)
    return Identity((n, 1), (n,)) @ BlockDiag(rows[:, None, :])


def _classes_last(x: Any) -> Any:
    """(N, C, d1, ...) as (N d1 ..., C), and (C,) as (1, C): one row for each prediction."""
    if x.ndim == 2:
        return x
    if x.ndim > 2:
        x = np.transpose(x, (0, *range(2, x.ndim), 1))
    return x.reshape(-1, x.shape[-1])


def _indices(name: str, x: Any, target: Any, ignore_index: int) -> tuple[Any, Any, tuple[int, ...]]:
    """Class indices, checked: flat and with 0 in the place of ignored ones, where they count, and the losses' shape."""
    target, shape = _array(target), _array(x).shape
    expected = shape[:1] + shape[2:] if len(shape) > 1 else ()
    if target.dtype.kind not in "iu":
        raise TypeError(
            f"{name}: class indices must be integers, not {target.dtype}; class probabilities have the input's shape "
            f"{shape}"
        )
    if not shape or target.shape != expected:
        raise ShapeError(
            f"{name}: for an input of shape {shape}, with classes in axis {min(len(shape) - 1, 1)}, class indices have "
            f"shape {expected}, not {target.shape}"
        )
    classes = shape[1 if len(shape) > 1 else 0]
    flat = target.reshape(-1)
    if flat.dtype == np.int64 and not (
        0 <= ignore_index < classes or np.count_nonzero(flat.view(np.uint64) >= classes)
    ):
        return flat, None, target.shape  # the usual case, in one comparison: negative numbers are large unsigned ones
    counted = flat != ignore_index
    wrong = ((flat < 0) | (flat >= classes)) & counted
    if wrong.any():
        row = int(np.argmax(wrong))
        place = row if target.ndim < 2 else tuple(int(k) for k in np.unravel_index(row, target.shape))
        raise IndexError(f"{name}: the target in row {place} is {flat[row]}, but the classes are 0 to {classes - 1}")
    return (flat, None, target.shape) if counted.all() else (np.where(counted, flat, 0), counted, target.shape)


def _by_class(
    losses: Any, flat: Any, counted: Any, shape: tuple[int, ...], weight: Any, reduction: str,
    size_average: bool | None, reduce: bool | None,
) -> Any:
    """Losses of class indices, with the weight of their class and without the ignored ones; the mean is weighted."""
    weights = None if weight is None else weight[flat]
    if counted is not None:
        losses = where(counted, losses, 0.0)
        weights = counted.astype(losses.dtype) if weights is None else weights * counted
    if weight is not None:
        losses = losses * weights
    losses = losses if _array(losses).shape == shape else losses.reshape(shape)
    return reduced(losses, reduction, size_average, reduce, weights)


@public()
def cross_entropy(
    x: Any, target: Any, weight: Any = None, size_average: bool | None = None, ignore_index: int = -100,
    reduce: bool | None = None, reduction: str = "mean", label_smoothing: float = 0.0,
) -> Any:
    """Softmax and cross-entropy: ``-log softmax(x)[target]``.

    Parameters
    ----------
    x : array of shape (C,), (N, C) or (N, C, d1, ...)
        Logits: softmax is part of the loss.
    target : integer array of shape (), (N,) or (N, d1, ...); or float array of the shape of ``x``
        Class indices, or a probability for each class.
    weight : array of shape (C,), optional
        A weight for each class. With class indices the mean is the weighted one.
    size_average, reduce : bool, optional
        Older spellings of ``reduction``.
    ignore_index : int
        Samples with this index count neither in the loss nor in the mean.
    reduction : {"mean", "sum", "none"}
    label_smoothing : float
        How much of the target is spread evenly over all classes, between 0 and 1.

    Returns
    -------
    scalar, or with "none" an array of the shape of the class indices

    Raises
    ------
    IndexError
        A class index is out of range.
    ShapeError
        Input and target do not fit.
    TypeError
        Logits are not floats, class indices not integers, or class probabilities not floats.
    ValueError
        ``label_smoothing`` is not between 0 and 1.

    Notes
    -----
    The gradient of a sample's loss by its logits is p - y, in which p is their softmax.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac.rules.losses import cross_entropy
    >>> logits = tj.tensor([[0.0, 0.0], [10000.0, 0.0]], requires_grad=True)
    >>> loss = cross_entropy(logits, tj.tensor([0, 1]), reduction="none")
    >>> loss.detach()
    tensor([6.9315e-01, 1.0000e+04])
    >>> loss.sum().backward()
    >>> logits.grad
    tensor([[-0.5000,  0.5000],
            [ 1.0000, -1.0000]])
    """
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing must be between 0 and 1, not {label_smoothing}")
    if x.dtype.kind != "f":
        raise TypeError(f"cross_entropy: logits are floats, not {x.dtype}: convert them, as with .float()")
    _check_weight("cross_entropy", x, weight)
    if _array(target).shape == _array(x).shape:
        return _with_probabilities(x, target, weight, label_smoothing, reduction, size_average, reduce)
    rows = _classes_last(x)
    flat, counted, shape = _indices("cross_entropy", x, target, ignore_index)
    if not label_smoothing:
        losses = _cross_entropy(rows, flat)
        return _by_class(losses, flat, counted, shape, weight, reduction, size_average, reduce)
    # -Σ q log p with q = (1 - s) w_y at the target and s / C w_c besides; the mean divides by the w_y alone.
    classes = rows.shape[-1]
    w = np.ones(classes, x.dtype) if weight is None else weight
    weights = w[flat] if counted is None else w[flat] * counted
    share = label_smoothing / classes
    q = (1 - label_smoothing) * weights.reshape(-1, 1) * _one_hot(flat, classes) + share * w
    losses = _soft_cross_entropy(rows, q if counted is None else q * counted[:, None])
    losses = losses if losses.shape == shape else losses.reshape(shape)
    return reduced(losses, reduction, size_average, reduce, weights)


def _check_weight(name: str, x: Any, weight: Any) -> None:
    if weight is None:
        return
    classes = x.shape[min(1, x.ndim - 1)] if x.ndim else 0
    if weight.shape != (classes,):
        raise ShapeError(
            f"{name}: weight has an entry for each of the {classes} classes, shape ({classes},), not {weight.shape}"
        )


def _with_probabilities(
    x: Any, target: Any, weight: Any, smoothing: float, *reduction: Any
) -> Any:
    if target.dtype.kind != "f":
        raise TypeError(
            f"cross_entropy: a target of the input's shape {x.shape} holds class probabilities, which are floats, not "
            f"{target.dtype}; class indices have one axis less"
        )
    rows, q = _classes_last(x), _classes_last(target)
    if smoothing:
        q = q * (1 - smoothing) + smoothing / rows.shape[-1]
    losses = _soft_cross_entropy(rows, _weighted(q, weight)).reshape(x.shape[:1] + x.shape[2:] if x.ndim > 1 else ())
    return reduced(losses, *reduction)


@public()
def nll_loss(
    x: Any, target: Any, weight: Any = None, size_average: bool | None = None, ignore_index: int = -100,
    reduce: bool | None = None, reduction: str = "mean",
) -> Any:
    """``-x[target]`` for each sample: the cross-entropy where ``x`` holds log-probabilities already.

    The arguments are those of `cross_entropy`, which is faster and needs no `log_softmax`.

    Raises
    ------
    IndexError
        A class index is out of range.
    ShapeError
        Input and target do not fit.
    """
    _check_weight("nll_loss", x, weight)
    flat, counted, shape = _indices("nll_loss", x, target, ignore_index)
    losses = -_classes_last(x)[np.arange(flat.size), flat]
    return _by_class(losses, flat, counted, shape, weight, reduction, size_average, reduce)


@public()
def kl_div(
    x: Any, target: Any, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
    log_target: bool = False,
) -> Any:
    """The Kullback-Leibler divergence ``target * (log target - x)``, entry by entry; ``x`` holds log-probabilities.

    Parameters
    ----------
    x, target : arrays of shapes that broadcast
    size_average, reduce : bool, optional
        Older spellings of ``reduction``.
    reduction : {"mean", "batchmean", "sum", "none"}
        "batchmean" divides the sum by the size of the first axis, which is the divergence's own definition; "mean"
        divides by the number of entries.
    log_target : bool
        Whether the target is given as logarithms.
    """
    losses = exp(target) * (target - x) if log_target else xlogy(target, target) - target * x
    if reduction == "batchmean":
        return sum(losses) / (x.shape[0] if x.ndim else 1)
    return reduced(losses, reduction, size_average, reduce)


# ----------------------------------------------------------------------------------- sigmoid and binary cross-entropy


def _log(x: Any, logarithm: Any = np.log) -> Any:
    """The logarithm, no less than -100."""
    with np.errstate(divide="ignore"):
        return np.maximum(logarithm(x), -100.0)


_bce_with_logits = primitive(
    "binary_cross_entropy_with_logits",
    lambda x, target: np.maximum(x, 0) - x * target + np.log1p(np.exp(-np.abs(x))),
    elementwise=True, saves="x target",
    vjp=(lambda g, out, x, target: g * ((1 - target) * sigmoid(x) - target * sigmoid(-x)),
         lambda g, out, x, target: -g * x),
    jacobian=(lambda out, x, target: Diagonal((1 - target) * logistic(x) - target * logistic(-x)),
              lambda out, x, target: Diagonal(-x)),
    doc="""Sigmoid and binary cross-entropy in one: -y log σ(z) - (1 - y) log(1 - σ(z)), stable.

    ∂/∂z = σ(z) - y, computed as (1 - y) σ(z) - y σ(-z), which does not cancel where a network is sure and right.
    """,
)
_SMALL = np.float64(math.exp(-100))
_bce = primitive(
    "binary_cross_entropy", lambda x, target: -target * _log(x) - (1 - target) * _log(-x, np.log1p),
    elementwise=True, saves="x target",
    vjp=(lambda g, out, x, target: g * ((x - target) / np.maximum(x * (1 - x), 1e-12)),
         lambda g, out, x, target: g * (_log(-x, np.log1p) - _log(x))),
    jacobian=(lambda out, x, target: Diagonal((x - target) / np.where(x - x**2 < 1e-12, 1e-12, x - x**2)),
              lambda out, x, target: Diagonal(np.log((1 - x).clip(_SMALL)) - np.log(x.clip(_SMALL)))),
    doc="-y log x - (1 - y) log(1 - x), logarithms no less than -100; the derivative's x (1 - x) no less than 1e-12.",
)

@public()
def binary_cross_entropy_with_logits(
    x: Any, target: Any, weight: Any = None, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", pos_weight: Any = None,
) -> Any:
    """Sigmoid and binary cross-entropy: ``-target * log(sigmoid(x)) - (1 - target) * log(1 - sigmoid(x))``.

    Parameters
    ----------
    x : Tensor or ndarray
        Logits: the sigmoid is part of the loss.
    target : array of the shape of ``x``
        Between 0 and 1.
    weight : array, optional
        What each loss is multiplied with; broadcast.
    size_average, reduce : bool, optional
        Older spellings of ``reduction``.
    reduction : {"mean", "sum", "none"}
    pos_weight : array, optional
        What the first term is multiplied with, the one of positive targets; broadcast.

    Raises
    ------
    ShapeError
        The target does not have the shape of the input.

    Notes
    -----
    The gradient of an entry's loss is σ(x) - target.
    """
    _require_same_shape("binary_cross_entropy_with_logits", x, target)
    losses = _bce_with_logits(x, target)
    if pos_weight is not None:
        losses = losses - (pos_weight - 1) * target * logsigmoid(x)
    return reduced(_weighted(losses, weight), reduction, size_average, reduce)


@public()
def binary_cross_entropy(
    x: Any, target: Any, weight: Any = None, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean",
) -> Any:
    """``-target * log(x) - (1 - target) * log(1 - x)`` of probabilities ``x``; logarithms are no less than -100.

    `binary_cross_entropy_with_logits` includes the sigmoid and is more accurate. The arguments are the same.

    Raises
    ------
    ShapeError
        The target does not have the shape of the input.
    ValueError
        An entry of ``x`` is not between 0 and 1.
    """
    _require_same_shape("binary_cross_entropy", x, target)
    values = _array(x)
    if values.size and not (values.min() >= 0 and values.max() <= 1):
        raise ValueError(
            f"binary_cross_entropy: the input must be probabilities, between 0 and 1; it ranges from {values.min():g} "
            f"to {values.max():g}. Of logits, take binary_cross_entropy_with_logits"
        )
    return reduced(_weighted(_bce(x, target), weight), reduction, size_average, reduce)


@public()
def soft_margin_loss(
    x: Any, target: Any, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
) -> Any:
    """``log(1 + exp(-target * x))`` with targets 1 and -1."""
    return reduced(softplus(-target * x, threshold=math.inf), reduction, size_average, reduce)


@public()
def multilabel_soft_margin_loss(
    x: Any, target: Any, weight: Any = None, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean",
) -> Any:
    """`binary_cross_entropy_with_logits` averaged over the classes, the last axis."""
    return reduced(mean(_weighted(_bce_with_logits(x, target), weight), -1), reduction, size_average, reduce)


# ------------------------------------------------------------------------------------------------ distances

_squared_error = primitive(
    "squared_error", lambda x, target: np.square(x - target), elementwise=True, saves="x target",
    vjp=(lambda g, out, x, target: g * (2 * (x - target)),
         lambda g, out, x, target: g * (2 * (target - x))),
    jacobian=(lambda out, x, target: Diagonal(-2 * (target - x)),
              lambda out, x, target: Diagonal(-2 * (x - target))),
    doc="(ŷ - y)², the loss that goes with no activation at all: ∂/∂ŷ = -2 (y - ŷ).",
)


@public()
def mse_loss(
    x: Any, target: Any, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
    weight: Any = None,
) -> Any:
    """``(x - target) ** 2``.

    Parameters
    ----------
    x, target : arrays of one shape
        Other shapes broadcast, with a warning.
    size_average, reduce : bool, optional
        Older spellings of ``reduction``.
    reduction : {"mean", "sum", "none"}
    weight : array of the shape of ``x``, optional
        What each is multiplied with; the mean is then the weighted one.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac.rules.losses import mse_loss
    >>> mse_loss(tj.tensor([1.0, 2.0]), tj.tensor([1.0, 4.0]))
    tensor(2.)
    """
    _check_shapes("mse_loss", x, target, weight)
    return reduced(_weighted(_squared_error(x, target), weight), reduction, size_average, reduce, weight)


@public()
def l1_loss(
    x: Any, target: Any, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
    weight: Any = None,
) -> Any:
    """``|x - target|``, with derivative 0 where they are equal; arguments as in `mse_loss`."""
    _check_shapes("l1_loss", x, target, weight)
    return reduced(_weighted(absolute(x - target), weight), reduction, size_average, reduce, weight)


@public()
def huber_loss(x: Any, target: Any, reduction: str = "mean", delta: float = 1.0, weight: Any = None) -> Any:
    """``d² / 2`` where the distance d is at most ``delta``, and ``delta * (|d| - delta / 2)`` beyond.

    Arguments as in `mse_loss`, but that the mean of losses with a ``weight`` is the plain one, as in PyTorch.

    Raises
    ------
    ValueError
        ``delta`` is not positive.
    """
    if delta <= 0:
        raise ValueError(f"huber_loss: delta must be positive, not {delta}")
    _check_shapes("huber_loss", x, target, weight)
    return reduced(_weighted(_huber(x - target, delta), weight), reduction)


@public()
def smooth_l1_loss(
    x: Any, target: Any, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
    beta: float = 1.0,
) -> Any:
    """``d² / (2 beta)`` where the distance d is less than ``beta``, and ``|d| - beta / 2`` beyond: ``huber / beta``.

    Raises
    ------
    ValueError
        ``beta`` is negative.
    """
    if beta < 0:
        raise ValueError(f"smooth_l1_loss: beta must not be negative, it is {beta}")
    _check_shapes("smooth_l1_loss", x, target)
    d = x - target
    return reduced(_huber(d, beta) / beta if beta else absolute(d), reduction, size_average, reduce)


def _huber(d: Any, delta: float) -> Any:
    """q (d - q/2) with q = d limited to [-delta, delta]: d²/2 inside, delta |d| - delta²/2 outside."""
    q = clamp(d, -delta, delta)
    return q * (d - q * 0.5)


@public()
def poisson_nll_loss(
    x: Any, target: Any, log_input: bool = True, full: bool = False, size_average: bool | None = None,
    eps: float = 1e-8, reduce: bool | None = None, reduction: str = "mean",
) -> Any:
    """The negative log-likelihood of counts: ``exp(x) - target * x``, up to a constant.

    Parameters
    ----------
    x, target : arrays of shapes that broadcast
    log_input : bool
        Whether ``x`` is the logarithm of the rate; otherwise the loss is ``x - target * log(x + eps)``.
    full : bool
        Whether Stirling's formula for the constant log(target!) is added, where the target is above 1.
    size_average, reduce : bool, optional
        Older spellings of ``reduction``.
    eps : float
    reduction : {"mean", "sum", "none"}
    """
    losses = exp(x) - target * x if log_input else x - target * log(x + eps)
    if full:
        y = where(target > 1, target, 1.0)
        losses = losses + where(target > 1, y * log(y) - y + 0.5 * log(2 * math.pi * y), 0.0)
    return reduced(losses, reduction, size_average, reduce)


@public()
def gaussian_nll_loss(
    x: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Any:
    """The negative log-likelihood of a normal distribution: ``(log(var) + (x - target) ** 2 / var) / 2``.

    Parameters
    ----------
    x, target : arrays of shapes that broadcast
    var : array or float
        The variance, no less than ``eps``: of the shape of ``x``, with 1 for some sizes, or without the last.
    full : bool
        Whether the constant log(2π)/2 is added.
    eps : float
    reduction : {"mean", "sum", "none"}

    Raises
    ------
    ShapeError
        ``var`` has another shape.
    ValueError
        A variance is negative.
    """
    if isinstance(var, (int, float)):
        var = np.full(x.shape, var, x.dtype)
    if var.shape == x.shape[:-1] != x.shape:
        var = var.reshape(*var.shape, 1)
    elif var.ndim != x.ndim or any(m not in (n, 1) for m, n in zip(var.shape, x.shape)):
        raise ShapeError(
            f"gaussian_nll_loss: var of shape {var.shape} does not fit the input's, {x.shape}: it may have 1 for some "
            "of the sizes, or lack the last"
        )
    values = _array(var)
    if (values < 0).any():
        raise ValueError(f"gaussian_nll_loss: a variance is negative, {values.min():g}")
    var = var + np.maximum(eps - values, 0)  # no less than eps, by a constant: as in PyTorch the gradient passes
    losses = 0.5 * (log(var) + _squared_error(x, target) / var)
    return reduced(losses + 0.5 * math.log(2 * math.pi) if full else losses, reduction)


# ------------------------------------------------------------------------------------------ similarities and margins


@public()
def cosine_similarity(x1: Any, x2: Any, axis: int = 1, eps: float = 1e-8) -> Any:
    """The cosine of the angle between vectors along an axis; norms are no less than ``eps``.

    Shapes broadcast, and ``axis`` is one of the shape that they broadcast to.
    """
    if np.shape(x1) != np.shape(x2):
        x1, x2 = broadcast_tensors(x1, x2)
    a, b = (x / clamp(norm(x, 2, axis, keepdims=True), min=eps) for x in (x1, x2))
    return sum(a * b, axis)


@public()
def pairwise_distance(x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdims: bool = False) -> Any:
    """The p-norm of ``x1 - x2 + eps`` along the last axis."""
    return norm(x1 - x2 + eps, p, -1, keepdims)


@public()
def cosine_embedding_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0.0, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Any:
    """``1 - cos`` of two vectors along the last axis where the target is 1, ``max(0, cos - margin)`` where it is -1.

    Parameters
    ----------
    input1, input2 : arrays of shape (N, D) or (D,)
    target : array of shape (N,) or ()
    margin : float
    size_average, reduce : bool, optional
        Older spellings of ``reduction``.
    reduction : {"mean", "sum", "none"}
    """
    eps = 1e-12  # PyTorch's, in this loss
    lengths = sqrt((sum(square(input1), -1) + eps) * (sum(square(input2), -1) + eps))
    cosine = sum(input1 * input2, -1) / lengths
    losses = where(target == 1, 1 - cosine, where(target == -1, clamp(cosine - margin, min=0.0), 0.0))
    return reduced(losses, reduction, size_average, reduce)


@public()
def margin_ranking_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0.0, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Any:
    """``max(0, margin - target * (input1 - input2))``: target 1 asks for the first to be larger, -1 for the second."""
    return reduced(clamp(-target * (input1 - input2) + margin, min=0.0), reduction, size_average, reduce)


@public()
def hinge_embedding_loss(
    x: Any, target: Any, margin: float = 1.0, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean",
) -> Any:
    """``x`` where the target is 1, ``max(0, margin - x)`` where it is -1."""
    losses = where(target == 1, x, where(target == -1, clamp(margin - x, min=0.0), 0.0))
    return reduced(losses, reduction, size_average, reduce)


@public()
def triplet_margin_loss(
    anchor: Any, positive: Any, negative: Any, margin: float = 1.0, p: float = 2, eps: float = 1e-6,
    swap: bool = False, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
) -> Any:
    """``max(0, margin + distance(anchor, positive) - distance(anchor, negative))`` with `pairwise_distance`.

    With ``swap`` the second distance is the smaller of the negative's to anchor and positive.
    """
    near, far = pairwise_distance(anchor, positive, p, eps), pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = np.minimum(far, pairwise_distance(positive, negative, p, eps))
    return reduced(clamp(margin + near - far, min=0.0), reduction, size_average, reduce)


@public()
def multi_margin_loss(
    x: Any, target: Any, p: int = 1, margin: float = 1.0, weight: Any = None, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Any:
    """``Σ max(0, margin - x[target] + x[c]) ** p / C`` over the other classes c, times the target's weight.

    Parameters
    ----------
    x : array of shape (N, C) or (C,)
    target : integer array of shape (N,) or ()
    p : {1, 2}
    margin : float
    weight : array of shape (C,), optional
    size_average, reduce : bool, optional
        Older spellings of ``reduction``.
    reduction : {"mean", "sum", "none"}
    """
    flat, _, shape = _indices("multi_margin_loss", x, target, ignore_index=-1 << 62)
    rows = _classes_last(x)
    hinge = clamp(margin - rows[np.arange(flat.size), flat].reshape(-1, 1) + rows, min=0.0) ** p
    if weight is not None:
        hinge = hinge * weight[flat].reshape(-1, 1)
    others = ~(flat[:, None] == np.arange(rows.shape[-1]))
    return reduced(mean(masked(hinge, others), -1).reshape(shape), reduction, size_average, reduce)
