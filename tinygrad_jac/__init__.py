"""Reverse-mode automatic differentiation on NumPy, with every derivative stated twice and checked."""

from . import autograd, jacobians
from .creation import as_tensor, from_numpy, ones, tensor, zeros
from .dtypes import (
    float16,
    float32,
    float64,
    get_default_dtype,
    int16,
    int32,
    int64,
    set_default_dtype,
    uint8,
)
from .errors import GradientError, ShapeError, UnsavedError
from .modes import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from .primitive import Primitive, primitive, primitives
from .rules.elementary import exp, log
from .rules.products import matmul
from .rules.reductions import sum
from .tensor import Tensor

__version__ = "0.1.0"
