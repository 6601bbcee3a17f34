"""Functions of tensors in both libraries, in the same words: values, dtypes, shapes, gradients. A function is a row.

A row is a call, written once with the library as its first argument, and the inputs it is tried on: for each argument
the shape and what kind of numbers, in several dtypes. What PyTorch refuses is not compared; that a row compares
something at all is.
"""

from __future__ import annotations

import itertools
import warnings
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import tinygrad_jac as tj

FLOATS = ("float64", "float32")
ALL = (*FLOATS, "int64", "int32", "uint8", "bool")
# Scalars, vectors, nothing, memory in another order ("T": the transpose of that shape).
UNARY = [((),), ((4,),), ((2, 3),), ((0, 3),), (("T", 3, 2),)]
BINARY = [((2, 3), (3,)), ((), (2, 3)), ((2, 3), ()), ((0, 3), (1, 3)), (("T", 3, 2), (2, 1)), ((), ())]
MATRIX = [((2, 3),), ((3, 2),), (("T", 3, 2),), ((2, 3, 4),)]


class Row(NamedTuple):
    call: Callable[..., Any]
    shapes: list[Any]
    kind: str = "real"
    dtypes: tuple[str, ...] = FLOATS
    rtol: float = 1e-10


def words(text: str) -> list[str]:
    return text.split()


def rows(names: str, *args: Any, **options: Any) -> dict[str, Row]:
    """A row for each name, of the function called so, with all its arguments."""
    return {n: Row(lambda t, *xs, n=n: getattr(t, n)(*xs), *args, **options) for n in words(names)}


def methods(names: str, *args: Any, **options: Any) -> dict[str, Row]:
    return {f"x.{n}": Row(lambda t, x, *ys, n=n: getattr(x, n)(*ys), *args, **options) for n in words(names)}


INDEX = np.array([[0, 1, 1], [1, 0, 1]])
MASK = np.array([[True, False, True], [False, False, True]])


def i(t: Any, array: Any) -> Any:
    """A constant."""
    return t.tensor(np.asarray(array).tolist())


NAN = float("nan")

ROWS: dict[str, Row] = {
    # one argument
    **rows(
        "abs neg positive exp exp2 expm1 sigmoid sin cos tanh sinh cosh atan asinh floor ceil trunc "
        "fix frac erf erfc isnan isinf isfinite isposinf isneginf isreal signbit logical_not relu deg2rad rad2deg "
        "nan_to_num sinc clone t",
        UNARY, dtypes=ALL,
    ),
    **rows("square sign sgn", UNARY, dtypes=ALL[:-1]),
    **rows("log log2 log10 log1p sqrt rsqrt reciprocal lgamma digamma", UNARY, "positive", ALL),
    **rows("tan asin acos atanh erfinv", UNARY, "unit"),
    "logit": Row(lambda t, x: t.logit(x, eps=0.01), UNARY),
    **rows("acosh", UNARY, "large"),
    "round": Row(lambda t, x: t.round(x), UNARY, dtypes=("float64", "float32", "int64")),
    "round decimals": Row(lambda t, x: t.round(x, decimals=1), UNARY),
    "bitwise_not": Row(lambda t, x: t.bitwise_not(x), UNARY, dtypes=("int64", "uint8", "bool")),
    "polygamma": Row(lambda t, x: t.polygamma(2, x), UNARY, "positive", rtol=1e-8),
    "clamp": Row(lambda t, x: t.clamp(x, min=-0.5, max=0.6), UNARY),
    "clamp ints": Row(lambda t, x: t.clamp(x, max=1), UNARY, dtypes=("int64", "int32")),
    "clamp tensors": Row(lambda t, x, y: t.clamp(x, min=y), BINARY),
    "clamp_min": Row(lambda t, x: t.clamp_min(x, 0.1), UNARY),
    "clamp_max": Row(lambda t, x: t.clamp_max(x, 0.1), UNARY),
    "x**3": Row(lambda t, x: x**3, UNARY, dtypes=ALL[:-1]),
    "2**x": Row(lambda t, x: 2**x, UNARY, dtypes=("float64", "float32")),
    "pow": Row(lambda t, x: t.pow(x, exponent=2), UNARY),
    "x.pow": Row(lambda t, x: x.pow(exponent=0.5), UNARY, "positive"),
    "float_power": Row(lambda t, x: t.float_power(x, 2), UNARY, dtypes=("float32", "int64")),
    # two arguments
    **rows(
        "add sub mul rsub maximum minimum fmax fmin eq ne lt le gt ge logical_and logical_or logical_xor",
        BINARY, dtypes=ALL,
    ),
    **rows("copysign atan2 hypot", BINARY),
    **rows("div true_divide", BINARY, "nonzero", ALL),
    **rows("remainder fmod floor_divide", BINARY, "nonzero", ("float64", "float32", "int64", "int32")),
    **rows("pow xlogy float_power ldexp", BINARY, "positive"),
    "nextafter": Row(lambda t, x, y: t.nextafter(x.detach(), y.detach()), BINARY),
    **rows("logaddexp logaddexp2", BINARY),
    **rows("gcd lcm bitwise_left_shift bitwise_right_shift", BINARY, "positive", ("int64", "int32")),
    **rows("bitwise_and bitwise_or bitwise_xor", BINARY, dtypes=("int64", "int32", "bool")),
    "heaviside": Row(lambda t, x, y: t.heaviside(x.detach(), y.detach()), BINARY, "steps"),
    "x.mul(other=)": Row(lambda t, x, y: x.mul(other=y), BINARY),
    "x.add(alpha=)": Row(lambda t, x, y: x.add(y, alpha=2), BINARY, dtypes=("float64", "float32", "int64")),
    "add alpha": Row(lambda t, x, y: t.add(x, y, alpha=0.5), BINARY),
    "sub alpha": Row(lambda t, x, y: t.sub(x, other=y, alpha=3), BINARY),
    "atan2 by name": Row(lambda t, x, y: t.atan2(input=x, other=y), BINARY),
    "div floor": Row(lambda t, x, y: t.div(x, y, rounding_mode="floor"), BINARY, "nonzero", ALL[:4]),
    "div trunc": Row(lambda t, x, y: t.div(x, y, rounding_mode="trunc"), BINARY, "nonzero", ALL[:4]),
    "lerp": Row(lambda t, x, y: t.lerp(x, y, 0.3), [((2, 3), (3,)), ((0,), (0,))]),
    "lerp tensor": Row(lambda t, x, y, w: t.lerp(x, end=y, weight=w), [((2, 3), (2, 3), (3,))]),
    "addcmul": Row(lambda t, x, y, z: t.addcmul(x, y, z, value=0.5), [((2, 3), (3,), (2, 1))]),
    "addcdiv": Row(lambda t, x, y, z: t.addcdiv(x, y, z, value=2), [((2, 3), (3,), (2, 1))], "nonzero"),
    "where": Row(lambda t, x, y: t.where(x > y, x, y), BINARY),
    "where number": Row(lambda t, x: t.where(x > 0, x, 0.5), UNARY),
    "x.where": Row(lambda t, x, y: x.where(x > 0, y), [((2, 3), (2, 3))]),
    "mixed dtypes": Row(lambda t, x: x * t.arange(3) + t.tensor(0.5, dtype=t.float64), [((2, 3),)], dtypes=ALL[:5]),
    "integer division": Row(lambda t, x: x / 2, UNARY, dtypes=("int64", "int32", "uint8", "bool")),
    **{
        f"special.{n}": Row(lambda t, *xs, n=n: getattr(t.special, n)(*xs), shapes, "positive")
        for names, shapes in [("expit erf gammaln psi entr ndtr", UNARY), ("xlogy xlog1py", BINARY)]
        for n in words(names)
    },
    "special.ndtri": Row(lambda t, x: t.special.ndtri(x / 2 + 0.5), UNARY, "unit"),
    # reductions
    **rows("sum mean prod var std amax amin norm nansum nanmean aminmax max min median nanmedian",
           [((4,),), ((2, 3),), (("T", 3, 2),)]),
    **rows("sum prod count_nonzero argmax argmin", UNARY[:3] + UNARY[4:], dtypes=ALL),
    **rows("all any", UNARY, dtypes=("float32", "int64", "bool")),
    **{
        f"{n} dim": Row(lambda t, x, n=n: getattr(t, n)(x, dim=1), MATRIX, dtypes=FLOATS)
        for n in words(
            "sum mean var std logsumexp amax amin norm nansum nanmean max min median nanmedian mode argmax argmin "
            "cumsum cumprod cummax cummin logcumsumexp sort argsort softmax log_softmax prod all any std_mean "
            "var_mean diff"
        )
    },
    **{
        f"{n} keepdim": Row(lambda t, x, n=n: getattr(t, n)(x, dim=-1, keepdim=True), MATRIX)
        for n in words("sum mean var logsumexp amax max min median prod argmax nanmean")
    },
    "sum of dims": Row(lambda t, x: x.sum((0, -1)), [((2, 3, 4),)], dtypes=ALL),
    "sum dtype": Row(lambda t, x: t.sum(x, dtype=t.float64), UNARY, dtypes=ALL),
    "sum of none": Row(lambda t, x: t.sum(x, dim=0), [((0, 3),)], dtypes=ALL),
    "cumsum ints": Row(lambda t, x: t.cumsum(x, 0), UNARY[1:], dtypes=ALL),
    "logsumexp all": Row(lambda t, x: t.logsumexp(x, dim=(0, 1)), [((2, 3),)]),
    "std unbiased": Row(lambda t, x: x.std(0, unbiased=False), MATRIX),
    "var correction": Row(lambda t, x: t.var(x, dim=0, correction=0), MATRIX),
    "norm 1": Row(lambda t, x: x.norm(p=1, dim=1), MATRIX),
    "norm inf": Row(lambda t, x: x.norm(float("inf")), MATRIX),
    "dist": Row(lambda t, x, y: t.dist(x, y, 3), [((2, 3), (2, 3))]),
    "cdist": Row(lambda t, x, y: t.cdist(x, y), [((2, 3), (4, 3)), ((5, 2, 3), (5, 4, 3))]),
    "cdist 1": Row(lambda t, x, y: t.cdist(x, y, p=1.0), [((2, 3), (4, 3))]),
    "aminmax dim": Row(lambda t, x: t.aminmax(x, dim=1, keepdim=True), MATRIX),
    "nan": Row(lambda t, x: [f(t.where(x > 0, x, NAN)) for f in (t.nansum, t.nanmean, t.nanmedian)], [((3, 3),)]),
    "nan dim": Row(lambda t, x: t.nanmedian(t.where(x > 0, x, NAN), dim=1)[0], [((3, 4),)]),
    "nan running": Row(lambda t, x: t.cummax(t.where(x > -0.6, x, NAN), 1), [((3, 4),)]),
    "quantile": Row(lambda t, x: t.quantile(x, 0.3), [((7,),), ((2, 3),)]),
    "quantile of a number": Row(lambda t, x: (t.quantile(x, 0.3, 0), t.quantile(x, 0.3, -1, True)), [((),)]),
    "quantile dim": Row(lambda t, x: t.quantile(x, i(t, [0.25, 0.6]).to(x.dtype), dim=1, keepdim=True), MATRIX),
    "quantile first": Row(lambda t, x: t.quantile(x, i(t, [0.25, 0.6]).to(x.dtype), dim=0), MATRIX),
    "quantile keepdim": Row(lambda t, x: x.quantile(0.5, keepdim=True), MATRIX),
    **{
        f"quantile {how}": Row(lambda t, x, how=how: t.quantile(x, 0.4, dim=0, interpolation=how), MATRIX)
        for how in ("lower", "higher", "midpoint", "nearest")
    },
    "nanquantile": Row(lambda t, x: t.nanquantile(t.where(x > -0.5, x, NAN), 0.3, dim=1), [((3, 5),)]),
    "kthvalue": Row(lambda t, x: t.kthvalue(x, 2, dim=1), MATRIX),
    "mode ties": Row(lambda t, x: t.mode(t.round(x)), MATRIX),
    "histc": Row(lambda t, x: t.histc(x, bins=4, min=-1, max=1), UNARY[1:3]),
    "histc own range": Row(lambda t, x: t.histc(x, 5), [((2, 3),)]),
    "diff n": Row(lambda t, x: t.diff(x, n=2, dim=0, prepend=x[:1]), MATRIX),
    "trapezoid": Row(lambda t, x: t.trapezoid(x, dx=0.5, dim=1), MATRIX),
    "trapezoid x": Row(lambda t, y, x: t.trapezoid(y, x), [((2, 3), (3,))]),
    "renorm": Row(lambda t, x: t.renorm(x, 2, 0, 1.0), MATRIX, rtol=1e-6),
    "cov": Row(lambda t, x: t.cov(x), [((3, 5),), ((5,),), ((1, 5),)]),
    "cov weights": Row(lambda t, x: t.cov(x, correction=0, fweights=i(t, [1, 2, 1])), [((2, 3),)]),
    "cov aweights": Row(lambda t, x, w: t.cov(x, aweights=w.detach() ** 2), [((2, 3), (3,))]),
    "corrcoef": Row(lambda t, x: t.corrcoef(x), [((3, 5),), ((5,),), ((1, 5),)], rtol=1e-8),
    "bincount": Row(lambda t, x: t.bincount(x, minlength=5), [((4,),)], "positive", ("int64",)),
    "allclose": Row(lambda t, x: x * float(t.allclose(x, x + 1e-9)), MATRIX),
    "isclose": Row(lambda t, x: t.isclose(x, x.floor()), MATRIX),
    "equal": Row(lambda t, x: x * float(t.equal(x, x)), MATRIX),
    # products
    "mm": Row(lambda t, x, y: t.mm(x, mat2=y), [((2, 3), (3, 4))]),
    **rows("matmul", [((2, 3), (3, 4)), ((3,), (3,)), ((2, 3), (3,)), ((5, 2, 3), (3, 4)), ((0, 3), (3, 2))]),
    **rows("bmm", [((5, 2, 3), (5, 3, 4))]),
    **rows("mv", [((2, 3), (3,))]),
    **rows("dot vdot inner outer ger kron", [((3,), (3,))]),
    "addmm": Row(lambda t, b, x, y: t.addmm(b, x, y, beta=0.5, alpha=2), [((4,), (2, 3), (3, 4))]),
    "addmm beta 0": Row(lambda t, b, x, y: t.addmm(b * NAN, x, y, beta=0).detach(), [((4,), (2, 3), (3, 4))]),
    "addmv": Row(lambda t, b, x, y: b.addmv(x, y), [((2,), (2, 3), (3,))]),
    "addr": Row(lambda t, b, x, y: t.addr(b, x, y, alpha=3), [((2, 3), (2,), (3,))]),
    "baddbmm": Row(lambda t, b, x, y: t.baddbmm(b, x, y, beta=2), [((5, 2, 4), (5, 2, 3), (5, 3, 4))]),
    "addbmm": Row(lambda t, b, x, y: t.addbmm(b, x, y), [((2, 4), (5, 2, 3), (5, 3, 4))]),
    "multi_dot": Row(
        lambda t, x, y, z: t.linalg.multi_dot([x, y, z]), [((2, 3), (3, 4), (4, 2)), ((3,), (3, 4), (4,))]
    ),
    "chain_matmul": Row(lambda t, x, y: t.chain_matmul(x, y), [((2, 3), (3, 4))]),
    "einsum": Row(lambda t, x, y: t.einsum("bi,oi->bo", x, y), [((2, 3), (4, 3))]),
    "tensordot": Row(lambda t, x, y: t.tensordot(x, y, dims=([1], [0])), [((2, 3), (3, 4))]),
    "cross": Row(lambda t, x, y: t.linalg.cross(x, y), [((2, 3), (2, 3))]),
    "cross dim": Row(lambda t, x, y: t.cross(x, y, dim=0), [((3, 2), (3, 2))]),
    "vecdot": Row(lambda t, x, y: t.linalg.vecdot(x, y, dim=0), [((3, 2), (3, 2))]),
    "trace": Row(lambda t, x: t.trace(x), [((2, 3),), ((3, 3),)]),
    # linear algebra; well conditioned matrices
    **{
        f"linalg.{n}": Row(lambda t, x, n=n: getattr(t.linalg, n)(x), [((3, 3),), ((2, 3, 3),)], "regular", rtol=1e-8)
        for n in words("inv det pinv matrix_exp svdvals cond")
    },
    "slogdet": Row(lambda t, x: t.linalg.slogdet(x)[1], [((3, 3),), ((2, 3, 3),)], "regular", rtol=1e-8),
    "logdet": Row(lambda t, x: t.logdet(x @ x.mT), [((3, 3),)], "regular", rtol=1e-8),
    "matrix_exp": Row(lambda t, x: t.matrix_exp(3 * x), [((3, 3),), ((2, 2, 2),)], rtol=1e-8),
    "matrix_power": Row(lambda t, x: t.matrix_power(x, 3), [((3, 3),)], "regular", rtol=1e-8),
    "inverse": Row(lambda t, x: x.inverse(), [((3, 3),)], "regular", rtol=1e-8),
    "cholesky": Row(lambda t, x: t.linalg.cholesky(x @ x.mT), [((3, 3),)], "regular", rtol=1e-8),
    "eigvalsh": Row(lambda t, x: t.linalg.eigvalsh(x + x.mT), [((3, 3),), ((2, 3, 3),)], rtol=1e-8),
    "eigh": Row(lambda t, x: t.linalg.eigh(x + x.mT)[1] ** 2, [((3, 3),)], rtol=1e-7),
    "svd": Row(lambda t, x: [p**2 for p in t.linalg.svd(x, full_matrices=False)], [((4, 3),), ((3, 3),)], rtol=1e-7),
    "torch.svd": Row(lambda t, x: (lambda u, s, v: u * s @ v.mT)(*t.svd(x)), [((4, 3),)], rtol=1e-7),
    "svd full": Row(lambda t, x: t.linalg.svd(x.detach())[2] ** 2, [((2, 3),)], rtol=1e-7),
    "qr": Row(lambda t, x: [p**2 for p in t.linalg.qr(x)], [((4, 3),), ((3, 3),)], rtol=1e-7),
    "solve": Row(lambda t, x, y: t.linalg.solve(x, y), [((3, 3), (3, 2)), ((3, 3), (3,))], "regular", rtol=1e-8),
    "solve right": Row(lambda t, x, y: t.linalg.solve(x, y, left=False), [((3, 3), (2, 3))], "regular", rtol=1e-8),
    "solve_triangular": Row(
        lambda t, x, y: t.linalg.solve_triangular(x, y, upper=True), [((3, 3), (3, 2))], "regular", rtol=1e-8
    ),
    "lstsq": Row(lambda t, x, y: t.linalg.lstsq(x, y)[0], [((4, 3), (4, 2))], rtol=1e-7),
    "pinv tall": Row(lambda t, x: t.linalg.pinv(x), [((4, 3),), ((3, 4),)], rtol=1e-7),
    "matrix_rank": Row(lambda t, x: t.linalg.matrix_rank(x), [((4, 3),)]),
    "matrix_norm": Row(lambda t, x: t.linalg.matrix_norm(x, ord=1), MATRIX),
    "linalg.norm": Row(lambda t, x: t.linalg.norm(x, dim=1), MATRIX),
    # shapes
    "reshape": Row(lambda t, x: t.reshape(x, (-1, 2)), [((2, 3),), (("T", 3, 2),)], dtypes=ALL),
    "view": Row(lambda t, x: x.view(3, 2).view(-1), [((2, 3),)]),
    "transpose": Row(lambda t, x: t.transpose(x, 0, 1), MATRIX, dtypes=ALL),
    "permute": Row(lambda t, x: t.permute(input=x, dims=(1, 0)), [((2, 3),)]),
    "movedim": Row(lambda t, x: t.movedim(x, 0, -1), MATRIX),
    "squeeze": Row(lambda t, x: t.squeeze(x, 0), [((1, 3),), ((2, 3),)]),
    "unsqueeze": Row(lambda t, x: t.unsqueeze(x, -1), UNARY, dtypes=ALL),
    "flatten": Row(lambda t, x: t.flatten(x, start_dim=1), [((2, 3, 4),), ((2, 3),)]),
    "unflatten": Row(lambda t, x: t.unflatten(x, 1, (2, -1)), [((3, 4),)]),
    "expand": Row(lambda t, x: x.expand(4, -1, 3), [((2, 1),)]),
    "sum_to_size": Row(lambda t, x: x.sum_to_size(3), [((2, 3),)]),
    "x.T": Row(lambda t, x: x.T + x.mT + x.H + x.mH + x.adjoint(), [((3, 3),)]),
    "broadcast_tensors": Row(lambda t, x, y: t.broadcast_tensors(x, y), [((2, 1), (3,))]),
    **rows("atleast_1d atleast_2d atleast_3d", UNARY),
    **rows("tril triu fliplr flipud rot90", MATRIX, dtypes=ALL),
    "diagonal": Row(lambda t, x: t.diagonal(x, offset=1), MATRIX),
    "diag": Row(lambda t, x: t.diag(x), [((3,),), ((2, 3),)]),
    "diag_embed": Row(lambda t, x: t.diag_embed(x, offset=-1), [((2, 3),)]),
    "diagflat": Row(lambda t, x: t.diagflat(x, offset=1), [((2, 2),)]),
    "flip": Row(lambda t, x: t.flip(x, dims=(0, 1)), MATRIX, dtypes=ALL),
    "roll": Row(lambda t, x: t.roll(x, shifts=1, dims=1), MATRIX),
    # joined, cut
    "cat": Row(lambda t, x, y: t.cat((x, y), dim=1), [((2, 3), (2, 1)), ((0, 3), (0, 2))], dtypes=ALL),
    "cat to nothing": Row(lambda t, x, y: t.cat((x, y), dim=-1), [((0,), (2, 3)), ((2, 3), (0,)), ((0,), (3,))]),
    "cat to nothing of another dtype": Row(lambda t, x: t.cat((t.tensor([]), x.double())), [((2, 3),)]),
    "stack": Row(lambda t, x, y: t.stack([x, y], dim=1), [((2, 3), (2, 3))], dtypes=ALL),
    **{
        n: Row(lambda t, x, y, n=n: getattr(t, n)((x, y)), [((2, 3), (2, 3)), ((3,), (3,)), ((), ())])
        for n in ("hstack", "vstack", "dstack", "column_stack", "row_stack")
    },
    "block_diag": Row(lambda t, x, y: t.block_diag(x, y), [((2, 3), (1, 2)), ((3,), (2, 2))]),
    "cartesian_prod": Row(lambda t, x, y: t.cartesian_prod(x, y), [((3,), (2,))]),
    "combinations": Row(lambda t, x: t.combinations(x, r=2), [((4,),)]),
    "vander": Row(lambda t, x: t.vander(x.detach(), N=3), [((4,),)]),  # PyTorch cannot differentiate it
    "vander increasing": Row(lambda t, x: t.linalg.vander(x), [((4,),)]),
    "meshgrid": Row(lambda t, x, y: t.meshgrid(x, y, indexing="ij"), [((3,), (2,))]),
    "split": Row(lambda t, x: t.split(x, [1, 2], dim=1), [((2, 3),)]),
    "chunk": Row(lambda t, x: t.chunk(x, 2, dim=1), [*MATRIX, ((2, 0),)]),
    "tensor_split": Row(lambda t, x: t.tensor_split(x, 2, dim=1), MATRIX),
    "hsplit": Row(lambda t, x: t.hsplit(x, [1]), MATRIX),
    "vsplit": Row(lambda t, x: t.vsplit(x, [1]), MATRIX),
    "unbind": Row(lambda t, x: t.unbind(x, 1), MATRIX),
    "tile": Row(lambda t, x: t.tile(x, (2, 1)), UNARY),
    "repeat": Row(lambda t, x: x.repeat(2, 1, 2), [((2, 3),)]),
    "repeat_interleave": Row(lambda t, x: t.repeat_interleave(x, 2, dim=0), MATRIX),
    "unfold": Row(lambda t, x: x.unfold(1, 2, 1), MATRIX),
    # chosen
    "index_select": Row(lambda t, x: t.index_select(x, 0, i(t, [1, 0, 1])), MATRIX),
    "gather": Row(lambda t, x: t.gather(x, dim=1, index=i(t, INDEX)), [((2, 3),)]),
    "take": Row(lambda t, x: t.take(x, i(t, [[0, 3], [3, -1]])), [((2, 3),)]),
    "take_along_dim": Row(lambda t, x: t.take_along_dim(x, t.argsort(x, dim=1), dim=1), [((2, 3),)]),
    "put": Row(lambda t, x, y: t.put(x, i(t, [0, 4]), y), [((2, 3), (2,))]),
    "put accumulate": Row(lambda t, x, y: t.put(x, i(t, [4, 4]), y, accumulate=True), [((2, 3), (2,))]),
    "scatter": Row(lambda t, x, y: t.scatter(x, 1, i(t, INDEX[:, :2]), y), [((2, 3), (2, 2))]),
    "scatter add": Row(lambda t, x: x.detach().scatter(1, i(t, INDEX), 2.0, reduce="add"), [((2, 3),)]),
    "scatter_add": Row(lambda t, x, y: t.scatter_add(x, 1, i(t, INDEX), y), [((2, 3), (2, 3))]),
    **{
        f"scatter_reduce {how} {own}": Row(
            lambda t, x, y, how=how, own=own: t.scatter_reduce(x, 1, i(t, INDEX), y, how, include_self=own),
            [((2, 3), (2, 3))],
        )
        for how, own in itertools.product(("sum", "mean", "amax", "amin"), (True, False))
    },
    "index_add": Row(lambda t, x, y: t.index_add(x, 0, i(t, [1, 1]), y, alpha=2), [((2, 3), (2, 3))]),
    "index_copy": Row(lambda t, x, y: t.index_copy(x, 1, i(t, [2, 0]), y), [((2, 3), (2, 2))]),
    "index_fill": Row(lambda t, x: t.index_fill(x, 1, i(t, [2, 0]), 0.5), [((2, 3),)]),
    "index_put": Row(lambda t, x, y: t.index_put(x, (i(t, [1, 0]), i(t, [2, 0])), y), [((2, 3), (2,)), ((2, 3), ())]),
    "index_put accumulate": Row(
        lambda t, x, y: x.index_put((i(t, [1, 1]),), y, accumulate=True), [((2, 3), (2, 3)), ((2, 3), (3,))]
    ),
    "masked_fill": Row(lambda t, x: t.masked_fill(x, i(t, MASK), 7.0), [((2, 3),)]),
    "masked_select": Row(lambda t, x: t.masked_select(x, i(t, MASK)), [((2, 3),)]),
    "masked_scatter": Row(lambda t, x, y: t.masked_scatter(x, i(t, MASK), y), [((2, 3), (5,))]),
    "select_scatter": Row(lambda t, x, y: t.select_scatter(x, y, 1, 0), [((2, 3), (2,))]),
    "slice_scatter": Row(lambda t, x, y: t.slice_scatter(x, y, 1, 0, 2), [((2, 3), (2, 2))]),
    "narrow": Row(lambda t, x: t.narrow(x, 1, 1, 2), [((2, 3),)]),
    "select": Row(lambda t, x: t.select(x, 1, -1), MATRIX),
    "topk": Row(lambda t, x: t.topk(x, 2, dim=1), MATRIX),
    "msort": Row(lambda t, x: t.msort(x), MATRIX),
    "sort descending": Row(lambda t, x: x.sort(descending=True), MATRIX),
    "nonzero": Row(lambda t, x: t.nonzero(x > 0), UNARY[1:]),
    "argwhere": Row(lambda t, x: t.argwhere(x > 0), UNARY[1:]),
    "searchsorted": Row(lambda t, x: t.searchsorted(i(t, [-0.5, 0.0, 0.5]).to(x.dtype), x), UNARY),
    "searchsorted rows": Row(
        lambda t, x: t.searchsorted(t.sort(x, 1)[0].detach(), x.detach(), right=True), [((2, 3),)]
    ),
    "bucketize": Row(lambda t, x: t.bucketize(x, i(t, [-0.5, 0.0, 0.5]).to(x.dtype), out_int32=True), UNARY),
    "isin": Row(lambda t, x: t.isin(x, i(t, [0, 2])), UNARY, dtypes=("int64",)),
    "unique": Row(lambda t, x: t.unique(x, return_inverse=True, return_counts=True), UNARY[1:], dtypes=("int64",)),
    "unique dim": Row(lambda t, x: t.unique(x, dim=0), [((4, 1),)], dtypes=("int64",)),
    "unique_consecutive": Row(
        lambda t, x: t.unique_consecutive(x, return_inverse=True, return_counts=True),
        [*UNARY[1:3], ((0,),)],
        dtypes=("int64",),
    ),
    "x[i]": Row(lambda t, x: [x[0], x[:, 1], x[i(t, [1, 1])], x[i(t, MASK)], x[..., None], x[-1, 1:]], [((2, 3),)]),
    "rows": Row(lambda t, x: [row * k for k, row in enumerate(x)], [((2, 3),)]),
    # conversions
    **methods("double float half long int short char byte bool", UNARY[:3], "positive", ALL),
    "type_as": Row(lambda t, x, y: x.type_as(y.float()), [((2,), (3,))]),
    "type string": Row(lambda t, x: x.type("torch.FloatTensor"), UNARY),
    "new": Row(
        lambda t, x: [x.new_zeros(2, 3), x.new_ones((2,)), x.new_full((2,), 3), x.new_tensor([1, 2]), x.new([1, 2])],
        [((2,),)], dtypes=ALL[:5],
    ),
    "complex numbers": Row(lambda t, x: x * float(t.is_complex(x)), [((2,),)]),
}  # fmt: skip


# ------------------------------------------------------------------------------------------------ inputs


def numbers(shape: Any, kind: str, dtype: str, seed: int) -> np.ndarray:
    """Numbers of a kind, no two equal where they are floats, away from where functions have kinks."""
    order, shape = ("T", shape[1:]) if shape and shape[0] == "T" else ("C", shape)
    r = np.random.default_rng(seed)
    size = int(np.prod(shape))
    if dtype in FLOATS:
        x = (r.permutation(size) - size / 2) * 0.31 + 0.17 + r.uniform(-0.05, 0.05, size)
        x = {
            "real": lambda: x,
            "positive": lambda: np.abs(x) + 0.3,
            "nonzero": lambda: np.where(x < 0, x - 0.5, x + 0.5) * 1.7,
            "unit": lambda: 0.9 * np.sin(x) * 0.9 + 0.02,
            "large": lambda: np.abs(x) + 1.3,
            "steps": lambda: np.round(x),
            "regular": lambda: x,
        }[kind]().reshape(shape)
        if kind == "regular" and len(shape) > 1 and shape[-1] == shape[-2]:
            x = x * 0.3 + 2 * np.eye(shape[-1])
    else:
        low = {"positive": 1, "nonzero": 1}.get(kind, 0 if dtype in ("uint8", "bool") else -3)
        x = r.integers(low, 2 if dtype == "bool" else 5, size).reshape(shape)
    x = x.astype(dtype)
    return x.T if order == "T" else x


def flat(made: Any) -> list[Any]:
    return [p for m in made for p in flat(m)] if isinstance(made, (tuple, list)) else [made]


def run(library: Any, row: Row, arrays: list[np.ndarray]) -> tuple[list[Any], list[Any]]:
    """The results, and the gradients of a weighted sum of those that have one, as arrays."""
    given = [library.from_numpy(a) for a in arrays]
    for x in given:
        if x.is_floating_point():
            x.requires_grad_()
    results = flat(row.call(library, *given))
    total: Any = 0.0
    for k, out in enumerate(results):
        if out.requires_grad:
            weights = np.cos(np.arange(out.numel()) + k).reshape(out.shape)
            total = total + (out * library.from_numpy(weights.astype(np.float64)).to(out.dtype)).sum()
    if isinstance(total, float):
        return results, []
    total.backward()
    return results, [np.zeros(a.shape) if x.grad is None else x.grad.detach().numpy() for a, x in zip(arrays, given)]


def same(found: Any, expected: Any, rtol: float, what: str) -> None:
    assert found.shape == expected.shape, f"{what}: shape {found.shape}, PyTorch {expected.shape}"
    assert found.dtype == expected.dtype, f"{what}: dtype {found.dtype}, PyTorch {expected.dtype}"
    if expected.dtype.kind in "fc":
        scale = np.nanmax(np.abs(np.where(np.isfinite(expected), expected, 0)), initial=1e-30)
        np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * max(float(scale), 1e-3), err_msg=what)
    else:
        assert np.array_equal(found, expected), f"{what}: {found}, PyTorch {expected}"


@pytest.mark.peers
@pytest.mark.parametrize("name", ROWS)
def test_the_same_in_both(name):
    torch = pytest.importorskip("torch")
    row, compared = ROWS[name], 0
    for shapes, dtype in itertools.product(row.shapes, row.dtypes):
        seed = zlib.crc32(f"{name} {shapes} {dtype}".encode())
        arrays = [numbers(shape, row.kind, dtype, seed + k) for k, shape in enumerate(shapes)]
        what = f"{name} of {dtype} {shapes}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                theirs, their_gradients = run(torch, row, [a.copy() for a in arrays])
            except (RuntimeError, NotImplementedError, IndexError, TypeError):
                continue
        ours, gradients = run(tj, row, [a.copy() for a in arrays])
        assert len(ours) == len(theirs), what
        rtol = row.rtol if dtype == "float64" else max(row.rtol, 1e-5)
        for a, b in zip(ours, theirs):
            same(a.detach().numpy(), b.detach().numpy(), rtol, what)
            assert a.requires_grad == b.requires_grad, f"{what}: requires_grad {a.requires_grad}"
        for k, (a, b) in enumerate(zip(gradients, their_gradients, strict=True)):
            if dtype in FLOATS:
                same(a, np.asarray(b, a.dtype), rtol * 10, f"{what}: gradient {k}")
        compared += 1
    assert compared, f"PyTorch takes none of the inputs of {name}"


def test_a_wrong_row_is_found():
    torch = pytest.importorskip("torch")
    row = Row(lambda t, x: t.sin(x) if t is torch else t.cos(x), UNARY)
    (a, _), (b, _) = (run(library, row, [np.ones(3)]) for library in (tj, torch))
    with pytest.raises(AssertionError):
        same(a[0].detach().numpy(), b[0].detach().numpy(), 1e-10, "")


X = tj.ones(2, 3)
WRONG = [
    (lambda: tj.kthvalue(X, 9), ValueError, "no entry number 9 of 3"),
    (lambda: tj.quantile(X, 1.5), ValueError, "within"),
    (lambda: tj.quantile(X, 0.5, interpolation="cubic"), ValueError, "not 'cubic'"),
    (lambda: tj.quantile(X.long(), 0.5), TypeError, "convert them first"),
    (lambda: tj.mode(tj.ones(0)), tj.ShapeError, "no entries"),
    (lambda: tj.cov(tj.ones(2, 2, 2)), tj.ShapeError, "one variable or a row for each"),
    (lambda: tj.cummax(X, 5), IndexError, "axis 5 is out of range"),
    (lambda: tj.cdist(X, tj.ones(2, 2)), tj.ShapeError, "rows of one length"),
    (lambda: tj.scatter_reduce(X, 0, tj.zeros(2, 3).long(), X, "prod"), ValueError, "not 'prod'"),
    (lambda: tj.scatter(X, 0, tj.zeros(2, 3).long(), X, reduce="multiply"), ValueError, "'multiply' is not available"),
    (lambda: tj.index_copy(X, 0, tj.tensor([0]), X), tj.ShapeError, r"expected \(1, 3\)"),
    (lambda: tj.index_fill(X, 0, tj.tensor([7]), 1.0), IndexError, "index 7 is out of range"),
    (lambda: tj.put(X, tj.tensor([9]), tj.ones(1)), IndexError, "index 9 is out of range"),
    (lambda: tj.masked_scatter(X, X > 0, tj.ones(2)), tj.ShapeError, "6 places"),
    (lambda: tj.searchsorted(X, tj.ones(3)), tj.ShapeError, "as many rows"),
    (lambda: X.unfold(1, 5, 1), tj.ShapeError, "do not fit axis 1"),
    (lambda: tj.linalg.multi_dot([]), tj.ShapeError, "one matrix at least"),
    (lambda: tj.addmm(X, X, X), tj.ShapeError, "cannot be multiplied"),
    (lambda: tj.cross(tj.ones(2), tj.ones(2)), tj.ShapeError, "three entries"),
    (lambda: tj.block_diag(tj.ones(2, 2, 2)), tj.ShapeError, "takes matrices"),
    (lambda: tj.combinations(X), tj.ShapeError, "takes a vector"),
    (lambda: tj.broadcast_shapes((2,), (3,)), tj.ShapeError, "do not broadcast"),
    (lambda: tj.polygamma(-1, X), ValueError, "not negative"),
    (lambda: tj.sin(X, foo=1), TypeError, r"not \['foo'\]"),
]


@pytest.mark.parametrize("call, error, message", WRONG, ids=range(len(WRONG)))
def test_wrong_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
    assert X.tolist() == [[1.0] * 3] * 2
