"""Reverse-mode automatic differentiation on NumPy, with every derivative stated twice and checked.

The names are PyTorch's; NumPy's functions accept the tensors too. Where to start reading: ``primitive.py`` says what an
op is, ``rules/`` holds them all, ``graph.py`` walks back through them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

# One name a line would be five hundred lines.
# fmt: off
# isort: off
from . import autograd, dtypes, jacobians, linalg, random
from .creation import (
    arange, as_tensor, asarray, bernoulli, BoolTensor, ByteTensor, CharTensor, DoubleTensor, empty, empty_like, eye,
    FloatTensor, from_dlpack, from_numpy, full, full_like, HalfTensor, IntTensor, linspace, logspace, LongTensor,
    multinomial, normal, ones, ones_like, rand, rand_like, randint, randint_like, randn, randn_like, randperm,
    scalar_tensor, ShortTensor, tensor, tril_indices, triu_indices, zeros, zeros_like,
)
from .devices import device, get_default_device, set_default_device
from .dtypes import (
    bool as bool, complex128 as cdouble, complex64 as cfloat, complex128, complex64, double, float as float,
    float16, float32, float64, get_default_dtype, half, int as int, int16, int32, int64, int8, long,
    set_default_dtype, short, uint8,
)
from .errors import GradientError, ShapeError, UnsavedError
from .inspection import (
    can_cast, e, finfo, iinfo, inf, is_complex, is_floating_point, is_nonzero, is_same_size, is_signed, is_tensor,
    nan, newaxis, numel, pi, promote_types, result_type, set_default_tensor_type, typename,
)
from .linalg import det
from .memory import keep_freed_memory as _keep_freed_memory
from .modes import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from .primitive import Primitive, primitive, primitives
from .printing import set_printoptions
from .random import Generator, get_rng_state, initial_seed, manual_seed, seed, set_rng_state
from .rules.activations import celu, hardshrink, prelu, relu, selu, sigmoid, threshold
from .rules.arranging import diag, diag_embed, diagflat, diagonal, flip, fliplr, flipud, roll, rot90, tril, triu
from .rules.elementary import (
    absolute as abs, absolute, arccos as acos, arccosh as acosh, add as add, addcdiv, addcmul, arccos, arccosh,
    arcsin, arcsinh, arctan, arctan2, arctanh, arcsin as asin, arcsinh as asinh, arctan as atan, arctan2 as atan2,
    arctanh as atanh, bitwise_and, bitwise_left_shift, bitwise_not, bitwise_or, bitwise_right_shift, bitwise_xor,
    ceil, clamp, clamp_max, clamp_min, clamp as clip, copysign, cos, cosh, deg2rad, div, div as divide, equal as eq,
    exp, exp2, expm1, fix, float_power, floor, floor_divide, fmax, fmin, fmod, frac, gcd, greater_equal as ge,
    greater, greater_equal, greater as gt, heaviside, hypot, isfinite, isinf, isnan, isneginf, isposinf, isreal,
    lcm, ldexp, less_equal as le, lerp, less, less_equal, log, log10, log1p, log2, logaddexp, logaddexp2,
    logical_and, logical_not, logical_or, logical_xor, less as lt, maximum, minimum, multiply as mul,
    multiply as multiply, nan_to_num, not_equal as ne, negative as neg, negative, nextafter, not_equal, positive,
    power as pow, rad2deg, reciprocal, remainder, round, rsqrt, rsub, sgn, sign, signbit, sin, sinc, sinh, sqrt,
    square, subtract as sub, subtract as subtract, tan, tanh, div as true_divide, trunc, where,
)
from .rules.extrema import (
    amax, amin, aminmax, argmax, argmin, kthvalue, max as max, median, min as min, mode, nanmedian, nanquantile,
    quantile,
)
from .rules.indexing import bincount
from .rules.joining import (
    block_diag, cartesian_prod, concatenate as cat, chunk, column_stack, combinations, concatenate as concat,
    concatenate, dsplit, dstack, hsplit, hstack, meshgrid, repeat_interleave, vstack as row_stack, split,
    split as split_with_sizes, stack, tensor_split, tile, unbind, chunk as unsafe_chunk, split as unsafe_split,
    vander, vsplit, vstack,
)
from .rules.linalg import (
    torch_cholesky as cholesky, cholesky_inverse, cholesky_solve, inverse, logdet, matrix_exp, matrix_power,
    pinverse, qr, slogdet, torch_svd as svd,
)
from .rules.noise import dropout
from .rules.normalization import group_norm, layer_norm, log_softmax, rms_norm, softmax
from .rules.norms import cdist, dist, logsumexp, norm, renorm
from .rules.ordering import argsort, msort, sort, topk, unique, unique_consecutive
from .rules.products import (
    addbmm, addmm, addmv, addr, baddbmm, bilinear, bmm, chain_matmul, cross, dot, einsum, ger, inner, kron, matmul,
    mm, mv, outer, tensordot, trace, vdot,
)
from .rules.reductions import (
    all as all, allclose, any as any, corrcoef, count_nonzero, cov, array_equal as equal, isclose, mean, nanmean,
    nansum, std, std_mean, sum as sum, var, var_mean,
)
from .rules.running import (
    cummax, cummin, cumprod, cumsum, diff, histc, logcumsumexp, prod, trapezoid, trapezoid as trapz,
)
from .rules.selecting import (
    argwhere, bucketize, gather, index_add, index_copy, index_fill, index_put, index_select, isin, masked_fill,
    masked_scatter, masked_select, narrow, narrow_copy, nonzero, put, scatter, scatter_add,
    scatter_reduce, searchsorted, select, select_scatter, slice_scatter, take, take_along_axis, take_along_dim,
)
from .rules.shaping import (
    adjoint, atleast_1d, atleast_2d, atleast_3d, broadcast_shapes, broadcast_tensors, broadcast_to, clone, detach,
    flatten, moveaxis, moveaxis as movedim, permute, ravel, reshape, squeeze, swapaxes,
    swapaxes as swapdims, t, swapaxes as transpose, unflatten, unsqueeze,
)
from .rules.special import digamma, erf, erfc, erfinv, lgamma, logit, polygamma, xlogy
from .scope import look_up
from .tensor import Size, Tensor
# isort: on
# fmt: on

if TYPE_CHECKING:
    from . import checks, func, nn, optim, safetensors, serialization, special, testing, utils, viz
    from .checks import numerical
    from .checks.debug import JacobianMismatchError, debug_mode
    from .serialization import load, save

__version__ = "0.1.0"

_keep_freed_memory()

__all__ = [
    "BoolTensor", "ByteTensor", "CharTensor", "DoubleTensor", "FloatTensor", "Generator", "GradientError",
    "HalfTensor", "IntTensor", "JacobianMismatchError", "LongTensor", "Primitive", "ShapeError", "ShortTensor",
    "Size", "Tensor", "UnsavedError", "abs", "absolute", "acos", "acosh", "add", "addbmm", "addcdiv", "addcmul",
    "addmm", "addmv", "addr", "adjoint", "all", "allclose", "amax", "amin", "aminmax", "any", "arange", "arccos",
    "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "argmax", "argmin", "argsort", "argwhere",
    "as_tensor", "asarray", "asin", "asinh", "atan", "atan2", "atanh", "atleast_1d", "atleast_2d", "atleast_3d",
    "autograd", "baddbmm", "bernoulli", "bilinear", "bincount", "bitwise_and", "bitwise_left_shift", "bitwise_not",
    "bitwise_or", "bitwise_right_shift", "bitwise_xor", "block_diag", "bmm", "bool", "broadcast_shapes",
    "broadcast_tensors", "broadcast_to", "bucketize", "can_cast", "cartesian_prod", "cat", "cdist", "cdouble",
    "ceil", "celu", "cfloat", "chain_matmul", "checks", "cholesky", "cholesky_inverse", "cholesky_solve", "chunk",
    "clamp", "clamp_max", "clamp_min", "clip", "clone", "column_stack", "combinations", "complex128", "complex64",
    "concat", "concatenate", "copysign", "corrcoef", "cos", "cosh", "count_nonzero", "cov", "cross", "cummax",
    "cummin", "cumprod", "cumsum", "debug_mode", "deg2rad", "det", "detach", "device", "diag", "diag_embed",
    "diagflat", "diagonal", "diff", "digamma", "dist", "div", "divide", "dot", "double", "dropout", "dsplit",
    "dstack", "dtypes", "e", "einsum", "empty", "empty_like", "enable_grad", "eq", "equal", "erf", "erfc", "erfinv",
    "exp", "exp2", "expm1", "eye", "finfo", "fix", "flatten", "flip", "fliplr", "flipud", "float", "float16",
    "float32", "float64", "float_power", "floor", "floor_divide", "fmax", "fmin", "fmod", "frac", "from_dlpack",
    "from_numpy", "full", "full_like", "func", "gather", "gcd", "ge", "ger", "get_default_device",
    "get_default_dtype", "get_rng_state", "greater", "greater_equal", "group_norm", "gt", "half", "hardshrink",
    "heaviside", "histc", "hsplit", "hstack", "hypot", "iinfo", "index_add", "index_copy", "index_fill",
    "index_put", "index_select", "inf", "inference_mode", "initial_seed", "inner", "int", "int16", "int32", "int64",
    "int8", "inverse", "is_complex", "is_floating_point", "is_grad_enabled", "is_nonzero", "is_same_size",
    "is_signed", "is_tensor", "isclose", "isfinite", "isin", "isinf", "isnan", "isneginf", "isposinf", "isreal",
    "jacobians", "kron", "kthvalue", "layer_norm", "lcm", "ldexp", "le", "lerp", "less", "less_equal", "lgamma",
    "linalg", "linspace", "load", "log", "log10", "log1p", "log2", "log_softmax", "logaddexp", "logaddexp2",
    "logcumsumexp", "logdet", "logical_and", "logical_not", "logical_or", "logical_xor", "logit", "logspace",
    "logsumexp", "long", "lt", "manual_seed", "masked_fill", "masked_scatter", "masked_select", "matmul",
    "matrix_exp", "matrix_power", "max", "maximum", "mean", "median", "meshgrid", "min", "minimum", "mm", "mode",
    "moveaxis", "movedim", "msort", "mul", "multinomial", "multiply", "mv", "nan", "nan_to_num", "nanmean",
    "nanmedian", "nanquantile", "nansum", "narrow", "narrow_copy", "ne", "neg", "negative", "newaxis", "nextafter",
    "nn", "no_grad", "nonzero", "norm", "normal", "not_equal", "numel", "numerical", "ones", "ones_like", "optim",
    "outer", "permute", "pi", "pinverse", "polygamma", "positive", "pow", "prelu", "primitive", "primitives",
    "prod", "promote_types", "put", "qr", "quantile", "rad2deg", "rand", "rand_like", "randint", "randint_like",
    "randn", "randn_like", "random", "randperm", "ravel", "reciprocal", "relu", "remainder", "renorm",
    "repeat_interleave", "reshape", "result_type", "rms_norm", "roll", "rot90", "round", "row_stack", "rsqrt",
    "rsub", "safetensors", "save", "scalar_tensor", "scatter", "scatter_add", "scatter_reduce", "searchsorted",
    "seed", "select", "select_scatter", "selu", "serialization", "set_default_device", "set_default_dtype",
    "set_default_tensor_type", "set_grad_enabled", "set_printoptions", "set_rng_state", "sgn", "short", "sigmoid",
    "sign", "signbit", "sin", "sinc", "sinh", "slice_scatter", "slogdet", "softmax", "sort", "special", "split",
    "split_with_sizes", "sqrt", "square", "squeeze", "stack", "std", "std_mean", "sub", "subtract", "sum", "svd",
    "swapaxes", "swapdims", "t", "take", "take_along_axis", "take_along_dim", "tan", "tanh", "tensor",
    "tensor_split", "tensordot", "testing", "threshold", "tile", "topk", "trace", "transpose", "trapezoid", "trapz",
    "tril", "tril_indices", "triu", "triu_indices", "true_divide", "trunc", "typename", "uint8", "unbind",
    "unflatten", "unique", "unique_consecutive", "unsafe_chunk", "unsafe_split", "unsqueeze", "utils", "vander",
    "var", "var_mean", "vdot", "vsplit", "viz", "vstack", "where", "xlogy", "zeros", "zeros_like",
]  # fmt: skip

# What PyTorch has here too, of its functions of layers and losses, with the same arguments.
_FUNCTIONAL = """
    adaptive_avg_pool1d avg_pool1d binary_cross_entropy_with_logits conv1d conv2d conv_transpose1d conv_transpose2d
    cosine_embedding_loss cosine_similarity hinge_embedding_loss kl_div margin_ranking_loss max_pool1d max_pool2d
    pairwise_distance poisson_nll_loss triplet_margin_loss
"""

# Loaded when first asked for, so that importing the package costs little more than importing NumPy.
_PACKAGES = ("checks", "func", "nn", "optim", "safetensors", "serialization", "special", "testing", "utils", "viz")
_LAZY = {
    **{name: (f".{name}", None) for name in _PACKAGES},
    **{name: (".nn.functional", name) for name in _FUNCTIONAL.split()},
    "numerical": (".checks.numerical", None),
    "default_generator": (".random", "default_generator"),
    "save": (".serialization", "save"),
    "load": (".serialization", "load"),
    "vmap": (".func", "vmap"),
    "autocast": (".amp", "autocast"),
    "is_anomaly_enabled": (".autograd.anomaly", "is_anomaly_enabled"),
    "debug_mode": (".checks.debug", "debug_mode"),
    "JacobianMismatchError": (".checks.debug", "JacobianMismatchError"),
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        if name.endswith("_") and not name.startswith("_") and hasattr(Tensor, name):
            return getattr(Tensor, name)  # sin_(x), as x.sin_()
        return look_up(__name__, name)
    module, attribute = _LAZY[name]
    found = importlib.import_module(module, __name__)
    return found if attribute is None else getattr(found, attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
