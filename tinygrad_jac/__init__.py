"""Reverse-mode automatic differentiation on NumPy, with every derivative stated twice and checked.

The names are PyTorch's; NumPy's functions accept the tensors too. Where to start reading: ``primitive.py`` says what an
op is, ``rules/`` holds them all, ``graph.py`` walks back through them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import autograd, dtypes, jacobians, linalg, random
from .creation import (
    arange,
    as_tensor,
    bernoulli,
    empty,
    empty_like,
    eye,
    from_numpy,
    full,
    full_like,
    linspace,
    logspace,
    multinomial,
    normal,
    ones,
    ones_like,
    rand,
    rand_like,
    randint,
    randint_like,
    randn,
    randn_like,
    randperm,
    tensor,
    zeros,
    zeros_like,
)
from .devices import device, get_default_device, set_default_device
from .dtypes import bool as bool
from .dtypes import (
    double,
    float16,
    float32,
    float64,
    get_default_dtype,
    half,
    int8,
    int16,
    int32,
    int64,
    long,
    set_default_dtype,
    short,
    uint8,
)
from .dtypes import float as float
from .dtypes import int as int
from .errors import GradientError, ShapeError, UnsavedError
from .linalg import det
from .modes import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from .primitive import Primitive, primitive, primitives
from .random import Generator, get_rng_state, initial_seed, manual_seed, seed, set_rng_state
from .rules.activations import relu, sigmoid
from .rules.arranging import diag, diag_embed, diagonal, flip, fliplr, flipud, roll, rot90, tril, triu
from .rules.elementary import (
    absolute,
    arccos,
    arccosh,
    arcsin,
    arcsinh,
    arctan,
    arctan2,
    arctanh,
    bitwise_and,
    bitwise_not,
    bitwise_or,
    bitwise_xor,
    ceil,
    clamp,
    cos,
    cosh,
    deg2rad,
    div,
    exp,
    exp2,
    expm1,
    floor,
    floor_divide,
    fmod,
    greater,
    greater_equal,
    hypot,
    isfinite,
    isinf,
    isnan,
    lerp,
    less,
    less_equal,
    log,
    log1p,
    log2,
    log10,
    logaddexp,
    logaddexp2,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    maximum,
    minimum,
    nan_to_num,
    negative,
    not_equal,
    positive,
    rad2deg,
    reciprocal,
    remainder,
    round,
    rsqrt,
    sign,
    signbit,
    sin,
    sinh,
    sqrt,
    square,
    tan,
    tanh,
    trunc,
    where,
)
from .rules.elementary import absolute as abs
from .rules.elementary import add as add
from .rules.elementary import arccos as acos
from .rules.elementary import arccosh as acosh
from .rules.elementary import arcsin as asin
from .rules.elementary import arcsinh as asinh
from .rules.elementary import arctan as atan
from .rules.elementary import arctan2 as atan2
from .rules.elementary import arctanh as atanh
from .rules.elementary import clamp as clip
from .rules.elementary import divide as divide
from .rules.elementary import divide as true_divide
from .rules.elementary import equal as eq
from .rules.elementary import greater as gt
from .rules.elementary import greater_equal as ge
from .rules.elementary import less as lt
from .rules.elementary import less_equal as le
from .rules.elementary import multiply as mul
from .rules.elementary import multiply as multiply
from .rules.elementary import negative as neg
from .rules.elementary import not_equal as ne
from .rules.elementary import power as pow
from .rules.elementary import subtract as sub
from .rules.elementary import subtract as subtract
from .rules.indexing import bincount
from .rules.joining import (
    chunk,
    concatenate,
    hstack,
    meshgrid,
    repeat_interleave,
    split,
    stack,
    tensor_split,
    tile,
    unbind,
    vstack,
)
from .rules.joining import concatenate as cat
from .rules.joining import concatenate as concat
from .rules.noise import dropout
from .rules.normalization import log_softmax, softmax
from .rules.ordering import argsort, sort, topk, unique
from .rules.products import (
    bmm,
    cross,
    dot,
    einsum,
    inner,
    kron,
    matmul,
    mm,
    mv,
    outer,
    tensordot,
    trace,
    vdot,
)
from .rules.reductions import (
    all as all,
)
from .rules.reductions import (
    allclose,
    amax,
    amin,
    argmax,
    argmin,
    count_nonzero,
    cumprod,
    cumsum,
    dist,
    isclose,
    logsumexp,
    mean,
    median,
    nansum,
    norm,
    prod,
    std,
    std_mean,
    var,
    var_mean,
)
from .rules.reductions import any as any
from .rules.reductions import array_equal as equal
from .rules.reductions import max as max
from .rules.reductions import min as min
from .rules.reductions import sum as sum
from .rules.selecting import (
    gather,
    index_add,
    index_select,
    masked_fill,
    masked_select,
    narrow,
    nonzero,
    scatter,
    scatter_add,
    select,
    take,
    take_along_axis,
)
from .rules.shaping import (
    atleast_1d,
    atleast_2d,
    atleast_3d,
    broadcast_tensors,
    broadcast_to,
    clone,
    flatten,
    moveaxis,
    permute,
    reshape,
    squeeze,
    swapaxes,
    unflatten,
    unsqueeze,
)
from .rules.shaping import flatten as ravel
from .rules.shaping import moveaxis as movedim
from .rules.shaping import swapaxes as transpose
from .rules.special import erf, erfc, logit, xlogy
from .scope import look_up
from .tensor import Tensor

if TYPE_CHECKING:
    from . import checks, func, nn, optim, testing, utils
    from .checks import numerical
    from .checks.debug import JacobianMismatchError, debug_mode

__version__ = "0.1.0"

__all__ = [
    "Generator", "GradientError", "JacobianMismatchError", "Primitive", "ShapeError", "Tensor", "UnsavedError",
    "abs", "absolute", "acos", "acosh", "add", "all", "allclose", "amax", "amin", "any", "arange", "arccos",
    "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "argmax", "argmin", "argsort", "as_tensor",
    "asin", "asinh", "atan", "atan2", "atanh", "atleast_1d", "atleast_2d", "atleast_3d", "autograd", "bernoulli",
    "bincount", "bitwise_and", "bitwise_not", "bitwise_or", "bitwise_xor", "bmm", "bool", "broadcast_tensors",
    "broadcast_to", "cat", "ceil", "checks", "chunk", "clamp", "clip", "clone", "concat", "concatenate", "cos",
    "cosh", "count_nonzero", "cross", "cumprod", "cumsum", "debug_mode", "deg2rad", "det", "device", "diag",
    "diag_embed", "diagonal", "dist", "div", "divide", "dot", "double", "dropout", "dtypes", "einsum", "empty",
    "empty_like", "enable_grad", "eq", "equal", "erf", "erfc", "exp", "exp2", "expm1", "eye", "flatten", "flip",
    "fliplr", "flipud", "float", "float16", "float32", "float64", "floor", "floor_divide", "fmod", "from_numpy",
    "full", "full_like", "func", "gather", "ge", "get_default_device", "get_default_dtype", "get_rng_state",
    "greater", "greater_equal", "gt", "half", "hstack", "hypot", "index_add", "index_select", "inference_mode",
    "initial_seed", "inner", "int", "int16", "int32", "int64", "int8", "is_grad_enabled", "isclose", "isfinite",
    "isinf", "isnan", "jacobians", "kron", "le", "lerp", "less", "less_equal", "linalg", "linspace", "log", "log10",
    "log1p", "log2", "log_softmax", "logaddexp", "logaddexp2", "logical_and", "logical_not", "logical_or",
    "logical_xor", "logit", "logspace", "logsumexp", "long", "lt", "manual_seed", "masked_fill", "masked_select",
    "matmul", "max", "maximum", "mean", "median", "meshgrid", "min", "minimum", "mm", "moveaxis", "movedim", "mul",
    "multinomial", "multiply", "mv", "nan_to_num", "nansum", "narrow", "ne", "neg", "negative", "nn", "no_grad",
    "nonzero", "norm", "normal", "not_equal", "numerical", "ones", "ones_like", "optim", "outer", "permute",
    "positive", "pow", "primitive", "primitives", "prod", "rad2deg", "rand", "rand_like", "randint", "randint_like",
    "randn", "randn_like", "random", "randperm", "ravel", "reciprocal", "relu", "remainder", "repeat_interleave",
    "reshape", "roll", "rot90", "round", "rsqrt", "scatter", "scatter_add", "seed", "select", "set_default_device",
    "set_default_dtype", "set_grad_enabled", "set_rng_state", "short", "sigmoid", "sign", "signbit", "sin", "sinh",
    "softmax", "sort", "split", "sqrt", "square", "squeeze", "stack", "std", "std_mean", "sub", "subtract", "sum",
    "swapaxes", "take", "take_along_axis", "tan", "tanh", "tensor", "tensor_split", "tensordot", "testing", "tile",
    "topk", "trace", "transpose", "tril", "triu", "true_divide", "trunc", "uint8", "unbind", "unflatten", "unique",
    "unsqueeze", "utils", "var", "var_mean", "vdot", "vstack", "where", "xlogy", "zeros", "zeros_like",
]  # fmt: skip

# Loaded when first asked for, so that importing the package costs little more than importing NumPy.
_LAZY = {
    **{name: (f".{name}", None) for name in ("checks", "func", "nn", "optim", "testing", "utils")},
    "numerical": (".checks.numerical", None),
    "autocast": (".amp", "autocast"),
    "is_anomaly_enabled": (".autograd.anomaly", "is_anomaly_enabled"),
    "debug_mode": (".checks.debug", "debug_mode"),
    "JacobianMismatchError": (".checks.debug", "JacobianMismatchError"),
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        return look_up(__name__, name)
    module, attribute = _LAZY[name]
    found = importlib.import_module(module, __name__)
    return found if attribute is None else getattr(found, attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
