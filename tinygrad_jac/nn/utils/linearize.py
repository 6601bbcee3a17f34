"""A convolutional network as an equivalent network of linear layers: Proposition 3 of Damadi, Moharrer and Cham.

An affine map is known by its Jacobian and by what it makes of zero: y = W x + b with W = ∂y/∂x and b = y(0). So nothing
here knows how a convolution works; W is pulled out of the layer by one walk back, and holds the layer's own parameters.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...autograd import grad
from ...dtypes import get_default_dtype
from ...errors import ShapeError
from ...graph import Variable, wrap
from ...modes import enable_grad, is_grad_enabled, no_grad
from ...spelling import sizes_of
from .. import activation, convolution, dropout, linear, normalization, pooling
from .. import functional as F
from ..containers import Sequential
from ..module import Module
from ..parameter import Parameter

_OF_ENTRIES = tuple(
    kind for kind in vars(activation).values()
    if isinstance(kind, type) and issubclass(kind, Module) and kind.__module__ == activation.__name__
    and kind.__name__ not in ("Softmax", "LogSoftmax", "Softmin", "GLU", "PReLU")
)  # fmt: skip
_ELEMENTWISE = (*_OF_ENTRIES, dropout.Dropout, linear.Identity)
_RESHAPES = (linear.Flatten, linear.Unflatten)
_AFFINE = (
    linear.Linear, convolution.Conv1d, convolution.Conv2d, convolution.Conv3d, convolution.ConvTranspose1d,
    convolution.ConvTranspose2d, convolution.ConvTranspose3d, pooling.AvgPool1d, pooling.AvgPool2d, pooling.AvgPool3d,
    pooling.AdaptiveAvgPool1d, pooling.AdaptiveAvgPool2d, pooling.AdaptiveAvgPool3d, pooling.Upsample,
)  # fmt: skip
_AFFINE_IN_EVALUATION = (
    normalization.BatchNorm1d, normalization.BatchNorm2d, normalization.BatchNorm3d, dropout.Dropout1d,
    dropout.Dropout2d, dropout.Dropout3d,
)  # fmt: skip


class AsLinear(Module):
    """An affine layer in the form y = x Wᵀ + b, on samples that are flattened row by row.

    W and b are made of the layer's parameters at every call, so that it is these that learn: for a convolution W is the
    Toeplitz matrix, with each weight of a kernel in as many places as the kernel has positions, and the gradient of
    that weight is the sum over these places. Made by `as_linear`.

    Parameters
    ----------
    layer : Module
    input_shape : tuple of int
        Of one sample, without the batch axis.

    Attributes
    ----------
    in_features, out_features : int
    output_shape : tuple of int
        What ``layer`` makes of one sample.
    """

    def __init__(self, layer: Module, input_shape: Sequence[int]) -> None:
        super().__init__()
        self.layer = layer
        self.input_shape = tuple(input_shape)
        self.output_shape = _shape_after(layer, self.input_shape)
        self.in_features = math.prod(self.input_shape)
        self.out_features = math.prod(self.output_shape)

    def affine(self, dtype: Any = None) -> tuple[Any, Any]:
        """W, of shape (out_features, in_features), and b, of shape (out_features,), as functions of the parameters.

        Parameters
        ----------
        dtype : dtype, optional
            Of the input; that of the layer's parameters by default.
        """
        recording = is_grad_enabled()
        with enable_grad():
            zero = _zero(self.layer, self.input_shape, dtype)
            zero.requires_grad_()
            out = self.layer(zero)
            m = self.out_features
            each = wrap(np.eye(m, dtype=out.dtype).reshape(m, *out.shape))
            (W,) = grad(out, [zero], [each], is_grads_batched=True, create_graph=recording)
        W, b = W.reshape(m, self.in_features), out.reshape(m)
        return (W, b) if recording else (W.detach(), b.detach())

    def linear(self) -> linear.Linear:
        """W and b as an `nn.Linear` of its own, whose entries are free to learn one by one.

        Examples
        --------
        >>> from tinygrad_jac import nn
        >>> from tinygrad_jac.nn.utils import as_linear
        >>> as_linear(nn.Conv2d(1, 2, kernel_size=2), (1, 3, 3)).linear()
        Linear(in_features=9, out_features=8, bias=True)
        """
        W, b = self.affine()
        free = linear.Linear(self.in_features, self.out_features, dtype=W.dtype)
        free.weight, free.bias = Parameter(W.detach().clone()), Parameter(b.detach().clone())
        return free

    def forward(self, input: Any) -> Any:
        if math.prod(input.shape[1:]) != self.in_features or input.ndim < 2:
            raise ShapeError(
                f"a layer that was linearized for samples of shape {self.input_shape} takes a batch of them, flattened "
                f"or not, not an input of shape {input.shape}"
            )
        W, b = self.affine(input.dtype)
        return F.linear(input.reshape(input.shape[0], self.in_features), W, b)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}"


def as_linear(model: Module, input_shape: Sequence[int] | int) -> Module:
    """A network of linear layers that equals a convolutional one, in outputs, Jacobians and gradients.

    Affine layers (convolutions and their transposes, average pooling, batch normalisation in evaluation) become
    `AsLinear`; elementwise layers, and all that works on vectors already, stay as they are. The parameters are not
    copied: they are the model's own, so training one trains the other.

    Parameters
    ----------
    model : Module
        A layer, or a `Sequential` of layers, also nested.
    input_shape : tuple of int, or int
        Of one sample, without the batch axis: (channels, height, width) for images, the length of a vector.

    Returns
    -------
    Module
        Takes a batch of samples, flattened or not; gives the outputs flattened, (batch, n).

    Raises
    ------
    TypeError
        A layer is neither affine nor elementwise (maximum pooling chooses by its input), or is one that is not known: a
        module of your own, a residual block say, or a known one whose ``forward`` or whose hooks are yours.
    ValueError
        A layer is affine in evaluation only, and is set to training.
    ShapeError
        The samples do not fit the layers.

    Notes
    -----
    Proposition 3 in Damadi, Moharrer and Cham, "The backpropagation algorithm for a math student": W is the Toeplitz
    matrix of the kernels, b repeats the bias of each channel at all its positions. W has as many entries as the input
    times the output: this is for looking at, and for small images.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac import nn
    >>> from tinygrad_jac.nn.utils import as_linear
    >>> net = nn.Sequential(nn.Conv2d(1, 2, kernel_size=2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
    >>> as_linear(net, (1, 3, 3))
    Sequential(
      (0): AsLinear(
        in_features=9, out_features=8
        (layer): Conv2d(1, 2, kernel_size=(2, 2), stride=(1, 1))
      )
      (1): ReLU()
      (2): Flatten(start_dim=1, end_dim=-1)
      (3): Linear(in_features=8, out_features=3, bias=True)
    )
    """
    if not isinstance(model, Module):
        raise TypeError(f"as_linear() takes a Module, not {type(model).__name__}")
    return _converted(model, _sizes(input_shape), "")[0]


def _sizes(given: Any) -> tuple[int, ...]:
    try:
        sizes = sizes_of([given])
    except (TypeError, ValueError):
        sizes = (-1,)
    if min(sizes, default=0) < 0:
        raise ShapeError(f"input_shape is that of one sample, without the batch axis, as (1, 28, 28), not {given!r}")
    return sizes


def _converted(model: Module, shape: tuple[int, ...], name: str) -> tuple[Module, tuple[int, ...]]:
    """The linear form of a layer, and the shape of a sample after it."""
    what = f"layer {name!r}, {type(model).__name__}," if name else f"{type(model).__name__}"
    if (model._forward_hooks or model._forward_pre_hooks) and (len(shape) != 1 or type(model) is Sequential):
        raise TypeError(f"{what} has forward hooks, which may change what it computes: remove them first")
    if type(model) is Sequential:
        layers: OrderedDict[str, Module] = OrderedDict()
        for key, child in model._modules.items():
            assert child is not None
            layers[key], shape = _converted(child, shape, f"{name}.{key}".lstrip("."))
        return Sequential(layers), shape
    if _computes_as(model, _RESHAPES):
        after = _shape_after(model, shape)
        if math.prod(after) == math.prod(shape):  # and not the batch axis too
            return (linear.Flatten() if len(after) == 1 else linear.Identity()), after
    elif len(shape) == 1 or _computes_as(model, _ELEMENTWISE) or _has_one_slope(model):
        return model, _shape_after(model, shape)
    if not _computes_as(model, (*_AFFINE, *_AFFINE_IN_EVALUATION)):
        raise TypeError(
            f"{what} cannot be written as a linear layer on samples of shape {shape}: as_linear() knows the library's "
            "layers that are affine or elementwise, and Sequential; where entries are chosen or scaled by the input, "
            "as in maximum pooling, there is no one matrix for all inputs"
        )
    if isinstance(model, _AFFINE_IN_EVALUATION) and model.training:
        raise ValueError(f"{what} is affine in evaluation only: call eval() on the model first")
    if getattr(model, "track_running_stats", True) is False:
        raise ValueError(f"{what} normalises by the batch in evaluation too, as it keeps no running statistics")
    made = AsLinear(model, shape)
    return made, made.output_shape


def _computes_as(model: Module, kinds: tuple[type[Module], ...]) -> bool:
    """Whether a layer is of one of these kinds, and no subclass made something else of what the kind computes."""
    return any(isinstance(model, kind) and type(model).forward is kind.forward for kind in kinds)


def _has_one_slope(model: Module) -> bool:
    return _computes_as(model, (activation.PReLU,)) and model.weight.numel() == 1


def _zero(layer: Module, shape: tuple[int, ...], dtype: Any = None) -> Any:
    """A batch of one sample, all zeros, by default in the dtype of the layer's parameters."""
    own = next((p.dtype for p in layer.parameters()), get_default_dtype())
    return wrap(np.zeros((1, *shape), dtype or own))


def _shape_after(layer: Module, shape: tuple[int, ...]) -> tuple[int, ...]:
    modes = [(module, module.training) for module in layer.modules()]
    try:
        with no_grad():  # and in evaluation: running statistics and random numbers stay as they are
            out = layer.eval()(_zero(layer, shape))
    finally:
        for module, mode in modes:
            module.training = mode
    if not isinstance(out, Variable):
        raise TypeError(f"{type(layer).__name__} returns a {type(out).__name__}; as_linear() follows one Tensor")
    return tuple(out.array.shape[1:])
