"""What every rule is held against: its own second statement, numbers, PyTorch, and the contracts.

`check(fn, *arrays)` is the whole of it; the tests of a family generate shapes and call it.
"""

from __future__ import annotations

import contextlib
import importlib.util
from typing import Any

import numpy as np

import tinygrad_jac as tj
from tinygrad_jac import graph
from tinygrad_jac.primitive import functions, registry, ufuncs

HAS_TORCH = importlib.util.find_spec("torch") is not None
EXACT = 1e-12  # two statements of one derivative in float64 differ by rounding only


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def randn(*shape: int, seed: int = 0) -> np.ndarray:
    """Normal numbers, kept away from 0, where many functions have kinks."""
    x = rng(seed).standard_normal(shape)
    return x + 0.1 * np.sign(x)


def positive(*shape: int, seed: int = 0) -> np.ndarray:
    return rng(seed).uniform(0.5, 2.0, shape)


def distinct(*shape: int, seed: int = 0) -> np.ndarray:
    """Numbers at least 0.1 apart, for functions that choose among entries."""
    size = int(np.prod(shape))
    return (rng(seed).permutation(size) * 0.1 - 0.05 * size + 0.02).reshape(shape)


def close(found: Any, expected: Any, rtol: float, what: str) -> None:
    """Equal up to ``rtol`` times the largest entry expected (at least 1e-30): a norm, not an entry, sets the scale."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape, f"{what}: shape {found.shape}, expected {expected.shape}"
    if not expected.size:
        return
    scale = max(float(np.max(np.abs(expected))), 1e-30)
    error = np.abs(found - expected)
    worst = np.unravel_index(np.argmax(np.where(np.isnan(error), np.inf, error)), error.shape)
    ok = bool((error <= rtol * scale).all())
    assert ok, f"{what}: at {worst} found {found[worst]!r}, expected {expected[worst]!r} (scale {scale:.3g})"


# ------------------------------------------------------------------------------------------------ numbers


def numerical_jacobian(fn: Any, arrays: list[np.ndarray], index: int, step: float = 1e-2) -> np.ndarray:
    """d fn / d arrays[index] as (m, n): central differences at h, h/2, h/4, extrapolated to order h^6.

    With h = 0.01 and values of order one the truncation (h^6/64) and the rounding (1e-16 / 0.0025) stay near 1e-13.
    """
    x = arrays[index]
    columns = []
    for k in range(x.size):
        h = step * max(abs(float(x.reshape(-1)[k])), 1.0)
        table = []
        for level in range(3):
            moved = []
            for sign in (1, -1):
                y = np.array(x, dtype=np.float64)
                y.reshape(-1)[k] += sign * h / 2**level
                moved.append(np.asarray(fn(*arrays[:index], y, *arrays[index + 1 :]), dtype=np.float64).reshape(-1))
            table.append((moved[0] - moved[1]) / (2 * h / 2**level))
        first = [(4 * table[i + 1] - table[i]) / 3 for i in range(2)]
        columns.append((16 * first[1] - first[0]) / 15)
    m = columns[0].size if columns else np.asarray(fn(*arrays)).size
    return np.stack(columns, axis=1) if columns else np.zeros((m, 0))


def is_float(a: Any) -> bool:
    return isinstance(a, np.ndarray) and a.dtype.kind == "f"


def tensors(arrays: Any, requires_grad: bool = True, dtype: Any = None) -> list[Any]:
    """Tensors of float arrays; whatever else is given stays as it is."""
    return [
        tj.tensor(np.asarray(a, dtype=dtype or a.dtype), requires_grad=requires_grad) if is_float(a) else a
        for a in arrays
    ]


# ------------------------------------------------------------------------------------------------ one node


def audit_argument(node: graph.Node, index: int, seed: int = 0) -> None:
    """One VJP rule against its Jacobian statement, and against the contracts C1, C2, C3."""
    p = node.primitive
    assert p is not None
    assert node.args is not None
    parent = node.parents[index]
    assert parent is not None
    what = f"{p.name}, argument {p.argument(index)!r}, {parent.shape} -> {node.shape}"
    J = p.statement(node, index)
    m, n = J.shape
    assert (J.out_shape, J.in_shape) == (node.shape, parent.shape), f"{what}: the statement is about {J!r}"
    D = J.dense()
    assert D.shape == (m, n), what
    assert J.nnz >= np.count_nonzero(D), f"{what}: nnz {J.nnz} below the {np.count_nonzero(D)} non-zero entries"
    saved = [np.array(a, copy=True) if isinstance(a, np.ndarray) else a for a in node.args]

    def pull(u: np.ndarray, lead: int) -> np.ndarray:
        u.flags.writeable = False  # a rule that changes its cotangent raises
        c = p.pull_back(node, index, u)
        assert c.dtype == node.dtype or node.dtype != np.float32, f"{what}: float32 in, {c.dtype} out of the rule"
        c = graph.unbroadcast(c, parent.shape, lead)
        u.flags.writeable = True
        return np.asarray(c)

    scale_rtol = EXACT if node.dtype == np.float64 else 2e-5
    r = rng(seed)
    eye = np.eye(m, dtype=node.dtype).reshape(m, *node.shape)
    close(pull(eye, 1).reshape(m, n), D, scale_rtol, f"{what}: VJP of the identity against the statement")
    for lead in ((), (2,), (2, 3)):
        u = r.standard_normal((*lead, *node.shape)).astype(node.dtype)
        v = r.standard_normal((*lead, *parent.shape)).astype(node.dtype)
        expected = (u.reshape((*lead, m)) @ D).reshape((*lead, *parent.shape))
        close(pull(u, len(lead)), expected, scale_rtol * max(m, 1), f"{what}: VJP with leading axes {lead}")
        close(J.vjp(u), expected, scale_rtol * max(m, 1), f"{what}: the statement's vjp, leading axes {lead}")
        pushed = (v.reshape((*lead, n)) @ D.T).reshape((*lead, *node.shape))
        close(J.jvp(v), pushed, scale_rtol * max(n, 1), f"{what}: the statement's jvp, leading axes {lead}")
        close(J.T.vjp(v), pushed, scale_rtol * max(n, 1), f"{what}: the transpose, leading axes {lead}")
        recorded = p.pull_back_recorded(node, index, tj.as_tensor(u.copy()))
        recorded = graph.unbroadcast(recorded, parent.shape, len(lead))
        close(recorded.array, expected, scale_rtol * max(m, 1), f"{what}: the rule on Tensors, leading axes {lead}")
    zero = pull(np.zeros(node.shape, dtype=node.dtype), 0)
    assert not zero.any(), f"{what}: a zero cotangent gave {zero}"
    for before, after in zip(saved, node.args, strict=True):
        if isinstance(before, np.ndarray):
            assert np.array_equal(before, after, equal_nan=before.dtype.kind == "f"), f"{what}: a saved array changed"


def audit(output: Any) -> list[str]:
    """`audit_argument` for every argument of every node below ``output``; the names of the primitives seen."""
    names = []
    for node in graph.nodes_between([output.node]):
        if node.primitive is not None:
            names.append(node.name)
            for index, parent in enumerate(node.parents):
                if parent is not None:
                    audit_argument(node, index)
    return names


# ------------------------------------------------------------------------------------------------ a whole function


def jacobians(output: Any, inputs: list[Any], create_graph: bool = False) -> list[np.ndarray]:
    """d output / d each input as (m, n), by one walk seeded with the identity."""
    m = output.array.size
    eye = np.eye(m).reshape(m, *output.shape)
    found = tj.autograd.grad(
        output, inputs, eye, is_grads_batched=True, retain_graph=True, create_graph=create_graph, materialize_grads=True
    )
    return [
        (c.array if c.shape != t.shape or m == 1 else np.broadcast_to(c.array, (m, *t.shape))).reshape(m, t.array.size)
        for c, t in zip(found, inputs, strict=True)
    ]


def check(
    fn: Any,
    *arrays: Any,
    torch_fn: Any = None,
    second: bool = True,
    single: bool = True,
    rtol: float = 1e-8,
    step: float = 1e-2,
    expect: str | None = None,
) -> None:
    """Hold a function of Tensors against everything.

    Parameters
    ----------
    fn : callable
        ``fn(*tensors) -> Tensor``; also run on constants for the numbers. Float arrays become Tensors that require
        gradients; other arguments (indices, masks, ints) are passed as they are.
    arrays : float64 arrays, and constants
    torch_fn : callable, optional
        The same function of torch tensors; compared in value and gradient where torch is installed.
    second : bool
        Whether second derivatives are checked.
    single : bool
        Whether float32 in must give float32 out, in value, rule and gradient.
    rtol : float
        Of numerical against exact derivatives, relative to the largest entry. 1e-8 leaves room for the functions whose
        seventh derivative is large; the extrapolated differences themselves are good to 1e-12 for smooth ones.
    step : float
        The largest step of the differences; smaller near a kink.
    expect : str, optional
        The name of a primitive that must occur in the graph.
    """
    arrays = tuple(np.array(a, dtype=np.float64) if is_float(a) else a for a in arrays)
    kept = [a.copy() if is_float(a) else a for a in arrays]
    floats = [k for k, a in enumerate(arrays) if is_float(a)]
    given = tensors(arrays)
    out = fn(*given)
    assert isinstance(out, tj.Tensor), f"a {type(out).__name__} came back, not a Tensor"
    inputs = [given[k] for k in floats]
    names = audit(out)
    assert expect is None or expect in names, f"no {expect!r} in the graph: {names}"

    def value(*xs: Any) -> np.ndarray:
        return fn(*tensors(xs, requires_grad=False)).array

    close(out.array, value(*arrays), 0, "recorded or not, the value is the same")
    first = jacobians(out, inputs)
    for k, J in zip(floats, first, strict=True):
        close(J, numerical_jacobian(value, list(arrays), k, step), rtol, f"argument {k} against differences")

    u = rng(7).standard_normal(out.shape)
    for t in inputs:
        t.grad = None
    out.backward(u, retain_graph=True)
    for t, J in zip(inputs, first, strict=True):
        expected = (u.reshape(-1) @ J).reshape(t.shape)
        found = t.grad.array if t.grad is not None else np.zeros(t.shape)
        close(found, expected, 1e-11, "backward() against the whole Jacobian")
        others = [x.array for x in inputs] + [x.grad.array for x in inputs if x is not t and x.grad is not None]
        for other in (*others, u, out.array):
            assert t.grad is None or not np.shares_memory(t.grad.array, other), "a gradient aliases something else"
    for before, after, t in zip(kept, arrays, given, strict=True):
        if is_float(before):
            assert np.array_equal(before, after), "an input was changed"
            assert np.array_equal(before, t.array), "a tensor was changed"

    if second:
        _check_second(fn, arrays, floats, u, rtol, step)
    if single:
        _check_single(fn, arrays, floats, out, first, u)
    if torch_fn is not None and HAS_TORCH:
        compare_with_torch(fn, torch_fn, *arrays)


def _check_second(fn: Any, arrays: Any, floats: list[int], u: np.ndarray, rtol: float, step: float) -> None:
    """d/dx of the gradient of <u, fn(x)>: recorded, against differences of the unrecorded gradient."""

    def gradient(xs: Any, create_graph: bool) -> tuple[list[Any], list[Any]]:
        given = tensors(xs)
        inputs = [given[k] for k in floats]
        found = tj.autograd.grad(fn(*given), inputs, u, create_graph=create_graph, materialize_grads=True)
        return inputs, list(found)

    inputs, recorded = gradient(arrays, create_graph=True)
    _, plain = gradient(arrays, create_graph=False)
    for a, b in zip(recorded, plain, strict=True):
        close(a.array, b.array, EXACT * 10, "the gradient, recorded or not")
    for which, (g, k) in enumerate(zip(recorded, floats, strict=True)):
        if g.node is None:
            found = [np.zeros((g.array.size, t.array.size)) for t in inputs]
        else:
            found = jacobians(g, inputs)
        for j, H in zip(floats, found, strict=True):

            def partial(*xs: Any, which: int = which) -> np.ndarray:
                return gradient(xs, create_graph=False)[1][which].array

            expected = numerical_jacobian(partial, list(arrays), j, step)
            floor = np.max(np.abs(g.array), initial=0.0)  # the noise of differences scales with what is differenced
            scale = max(float(np.max(np.abs(expected), initial=0.0)), float(floor), 1e-30)
            error = np.max(np.abs(H - expected), initial=0.0)
            assert error <= rtol * 10 * scale, f"second derivative ({k}, {j}): off by {error:.3g} of {scale:.3g}"


def _check_single(fn: Any, arrays: Any, floats: list[int], out: Any, first: Any, u: np.ndarray) -> None:
    given = tensors(arrays, dtype=np.float32)
    out32 = fn(*given)
    assert out32.dtype == np.float32, f"float32 in, {out32.dtype} out"
    audit(out32)
    close(out32.array, out.array, 1e-3, "float32 against float64")
    out32.backward(u.astype(np.float32))
    for k, J in zip(floats, first, strict=True):
        g = given[k].grad
        if g is not None:
            assert g.dtype == np.float32, f"a float32 tensor has a gradient of {g.dtype}"
            close(g.array, (u.reshape(-1) @ J).reshape(g.shape), 1e-3, "the gradient in float32")


def compare_with_torch(fn: Any, torch_fn: Any, *arrays: Any, rtol: float = 1e-10) -> None:
    """Value and gradients of one function in both libraries, in float64."""
    import torch

    ours = tensors(arrays)
    theirs = [
        torch.tensor(a, requires_grad=True) if is_float(a) else torch.tensor(a) if isinstance(a, np.ndarray) else a
        for a in arrays
    ]
    out, expected = fn(*ours), torch_fn(*theirs)
    close(out.array, expected.detach().numpy(), rtol, "value against PyTorch")
    u = rng(3).standard_normal(out.shape)
    out.backward(u)
    expected.backward(torch.tensor(u))
    for k, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        if is_float(arrays[k]):
            zero = np.zeros(a.shape)
            close(
                zero if a.grad is None else a.grad.array,
                zero if b.grad is None else b.grad.numpy(),
                rtol,
                f"gradient of argument {k} against PyTorch",
            )


# ------------------------------------------------------------------------------------------------ registry


@contextlib.contextmanager
def scratch_registry():
    """Primitives registered or replaced inside are gone afterwards."""
    saved = [(d, dict(d)) for d in (registry, ufuncs, functions)]
    try:
        yield
    finally:
        for d, before in saved:
            d.clear()
            d.update(before)
