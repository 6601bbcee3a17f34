"""Losses: each applies a function of `tinygrad_jac.nn.functional`, where the formulas stand.

All take ``reduction``: "mean" over the samples or entries, "sum", or "none". ``size_average`` and ``reduce`` are
PyTorch's older way of saying that.
"""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

from . import functional as F
from .thin import Thin


class Loss(Thin):
    """The base of the losses. An option that is a tensor (class weights) becomes a buffer, which `to` converts."""

    tensors: ClassVar[tuple[str, ...]] = ()
    consumed: ClassVar[tuple[str, ...]] = ("size_average", "reduce")

    def _check(self) -> None:
        size_average, reduce = self.__dict__.pop("size_average", None), self.__dict__.pop("reduce", None)
        if size_average is not None or reduce is not None:
            self.reduction = "none" if reduce is False else "sum" if size_average is False else "mean"
            warnings.warn(
                f"size_average and reduce are PyTorch's older options; write reduction={self.reduction!r}", stacklevel=4
            )
        for name in self.tensors:
            if name in self.__dict__:
                self.register_buffer(name, self.__dict__.pop(name))

    def extra_repr(self) -> str:
        return ""


class _Plain(Loss):
    size_average: Any = None
    reduce: Any = None
    reduction: str = "mean"


class _WithMargin(Loss):
    margin: float = 0.0
    size_average: Any = None
    reduce: Any = None
    reduction: str = "mean"


class MSELoss(_Plain):
    """(input − target)²."""

    function = staticmethod(F.mse_loss)


class L1Loss(_Plain):
    """|input − target|."""

    function = staticmethod(F.l1_loss)


class SmoothL1Loss(Loss):
    """Half the squared difference, divided by β, where it is below β; else its absolute value less β/2."""

    size_average: Any = None
    reduce: Any = None
    reduction: str = "mean"
    beta: float = 1.0
    function = staticmethod(F.smooth_l1_loss)


class HuberLoss(Loss):
    """`SmoothL1Loss` times δ."""

    reduction: str = "mean"
    delta: float = 1.0
    function = staticmethod(F.huber_loss)


class CrossEntropyLoss(Loss):
    """The negative log-probability of the target class under the softmax of the input.

    Parameters
    ----------
    weight : Tensor of shape (classes,), optional
    ignore_index : int
        Targets of this value do not count.
    reduction : str
    label_smoothing : float
        How much of the target's probability is spread over all classes.

    Notes
    -----
    The input holds the classes in axis 1 (axis 0 without a batch); targets are class indices, or probabilities of the
    input's shape.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac import nn
    >>> nn.CrossEntropyLoss()(tj.zeros(1, 2), tj.tensor([0]))
    tensor(0.6931)
    """

    weight: Any = None
    size_average: Any = None
    ignore_index: int = -100
    reduce: Any = None
    reduction: str = "mean"
    label_smoothing: float = 0.0
    tensors = ("weight",)
    function = staticmethod(F.cross_entropy)


class NLLLoss(Loss):
    """The negative of the target class's entry, the input being log-probabilities."""

    weight: Any = None
    size_average: Any = None
    ignore_index: int = -100
    reduce: Any = None
    reduction: str = "mean"
    tensors = ("weight",)
    function = staticmethod(F.nll_loss)


class BCELoss(Loss):
    """−y log(p) − (1 − y) log(1 − p), the input p being probabilities; the logarithms are limited to −100 and above."""

    weight: Any = None
    size_average: Any = None
    reduce: Any = None
    reduction: str = "mean"
    tensors = ("weight",)
    function = staticmethod(F.binary_cross_entropy)


class BCEWithLogitsLoss(Loss):
    """`BCELoss` of the sigmoid of the input, in one step and without overflow.

    Parameters
    ----------
    weight : Tensor, optional
        Multiplies the loss of each entry.
    reduction : str
    pos_weight : Tensor, optional
        Multiplies the part of the positive targets.
    """

    weight: Any = None
    size_average: Any = None
    reduce: Any = None
    reduction: str = "mean"
    pos_weight: Any = None
    tensors = ("weight", "pos_weight")
    function = staticmethod(F.binary_cross_entropy_with_logits)


class KLDivLoss(Loss):
    """y (log y − x), the input x being log-probabilities; ``log_target`` says that the target is so, too."""

    size_average: Any = None
    reduce: Any = None
    reduction: str = "mean"
    log_target: bool = False
    function = staticmethod(F.kl_div)


class PoissonNLLLoss(Loss):
    """The negative log-likelihood of counts under a Poisson distribution whose (log) rate is the input."""

    log_input: bool = True
    full: bool = False
    size_average: Any = None
    eps: float = 1e-8
    reduce: Any = None
    reduction: str = "mean"
    function = staticmethod(F.poisson_nll_loss)


class GaussianNLLLoss(Loss):
    """The negative log-likelihood of the target under normal distributions: called with (input, target, var)."""

    full: bool = False
    eps: float = 1e-6
    reduction: str = "mean"
    function = staticmethod(F.gaussian_nll_loss)


class HingeEmbeddingLoss(Loss):
    """x where the target is 1, max(0, margin − x) where it is −1."""

    margin: float = 1.0
    size_average: Any = None
    reduce: Any = None
    reduction: str = "mean"
    function = staticmethod(F.hinge_embedding_loss)


class SoftMarginLoss(_Plain):
    """log(1 + exp(−y x))."""

    function = staticmethod(F.soft_margin_loss)


class CosineEmbeddingLoss(_WithMargin):
    """1 − cos(x₁, x₂) where the target is 1, max(0, cos(x₁, x₂) − margin) where it is −1."""

    function = staticmethod(F.cosine_embedding_loss)


class MarginRankingLoss(_WithMargin):
    """max(0, −y (x₁ − x₂) + margin)."""

    function = staticmethod(F.margin_ranking_loss)


class TripletMarginLoss(Loss):
    """max(0, d(anchor, positive) − d(anchor, negative) + margin), d being the distance of norm ``p``."""

    margin: float = 1.0
    p: float = 2.0
    eps: float = 1e-6
    swap: bool = False
    size_average: Any = None
    reduce: Any = None
    reduction: str = "mean"
    function = staticmethod(F.triplet_margin_loss)


class MultiMarginLoss(Loss):
    """Σ max(0, margin − x[target] + x[c])ᵖ over the other classes c, divided by the number of classes."""

    p: int = 1
    margin: float = 1.0
    weight: Any = None
    size_average: Any = None
    reduce: Any = None
    reduction: str = "mean"
    tensors = ("weight",)
    function = staticmethod(F.multi_margin_loss)


class MultiLabelSoftMarginLoss(Loss):
    """The mean over the classes of `BCEWithLogitsLoss`, for samples of several classes."""

    weight: Any = None
    size_average: Any = None
    reduce: Any = None
    reduction: str = "mean"
    tensors = ("weight",)
    function = staticmethod(F.multilabel_soft_margin_loss)
