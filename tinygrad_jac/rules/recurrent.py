"""Recurrent layers: one cell applied from time to time, as one primitive.

A cell is stated three times: as the textbook writes it, on Tensors (`Cell.step`, for networks that are unrolled and for
second derivatives); in place on arrays, forward and back (what training uses); and as the Jacobians of a step (of which
the statement multiplies the product through time). `recurrence` runs any of them over a whole sequence.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..dtypes import promote
from ..jacobians import BlockDiag, Identity, Jacobian, Kron, Selection
from ..jacobians.recurrence import Recurrence
from ..primitive import primitive
from .activations import relu, sigmoid
from .elementary import tanh
from .joining import chunk, concatenate, stack
from .products import _transposed, linear
from .shaping import lead_of

# ------------------------------------------------------------------------------------------------ cells


class Cell:
    """One step: the new state from the last one, from z = W x + b and from v = W' h + b'; h is the state's first part.

    In `forward` and `back` the features come first, so that the gates, which are runs of features, are contiguous:
    NumPy takes three times as long for arrays of that size that are not. Both work in place.

    Attributes
    ----------
    gates, states : int
        How many times the hidden size z and v are, and the state.
    keeps : int
        How many times the hidden size is what `forward` keeps for `back`, in the place of z and behind it.
    additive : bool
        Whether only the sum z + v counts.
    """

    name: str
    gates = states = keeps = 1
    additive = True

    def step(self, z: Any, v: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
        """On Tensors: z, v (batch, gates · H) and the parts of the state, each (batch, H), give the new parts."""
        raise NotImplementedError

    def forward(self, kept: Any, v: Any, before: Any, after: Any) -> None:
        """On arrays (features, batch): fills ``after``, and ``kept``, which begins with z on entry."""
        raise NotImplementedError

    def back(self, g: Any, kept: Any, before: Any, after: Any, dz: Any, dv: Any) -> None:
        """On arrays (features, leading, batch): fills ``dz`` and ``dv``, the same memory for an additive cell.

        ``g``, the cotangent of the new state, becomes that of the last one, apart from what it receives through v.
        """
        raise NotImplementedError

    def jacobians(self, z: Any, v: Any, before: Any, after: Any) -> tuple[Any, Any, Any]:
        """∂state/∂z, ∂state/∂v, ∂state/∂before of all steps, from arrays (..., features): (..., features, features)."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> Any:
        return _named, (self.name,)  # a copy of a cell is the cell


class _Plain(Cell):
    """h' = f(z + v) (Elman, 1990): f on Tensors, in place, its derivative by its value, and by its argument."""

    def __init__(self, name: str, function: Any, onto: Any, slope: Any, derivative: Any) -> None:
        self.name = name
        self.function = function
        self.onto = onto
        self.slope = slope
        self.derivative = derivative

    def step(self, z: Any, v: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
        return (self.function(z + v),)

    def forward(self, kept: Any, v: Any, before: Any, after: Any) -> None:
        kept += v
        self.onto(kept)
        after[...] = kept

    def back(self, g: Any, kept: Any, before: Any, after: Any, dz: Any, dv: Any) -> None:
        np.multiply(g, self.slope(kept), out=dz)
        g.fill(0)

    def jacobians(self, z: Any, v: Any, before: Any, after: Any) -> tuple[Any, Any, Any]:
        by_z = _diagonal(self.derivative(z + v), z.dtype)
        return by_z, by_z, np.zeros_like(by_z)


class _LSTM(Cell):
    """c' = f c + i g, h' = o tanh c', where i, f, o are sigmoids of parts of z + v and g is the tanh of one.

    Hochreiter and Schmidhuber, 1997; with the forget gate f of Gers, Schmidhuber and Cummins, 2000. In the order of
    PyTorch: i, f, g, o.
    """

    name = "lstm"
    gates, states, keeps = 4, 2, 4

    def step(self, z: Any, v: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
        i, f, g, o = chunk(z + v, 4, -1)
        c = sigmoid(f) * state[1] + sigmoid(i) * tanh(g)
        return sigmoid(o) * tanh(c), c

    def forward(self, kept: Any, v: Any, before: Any, after: Any) -> None:
        H = len(kept) // 4
        kept += v
        _sigmoid_onto(kept[: 2 * H])
        np.tanh(kept[2 * H : 3 * H], out=kept[2 * H : 3 * H])
        _sigmoid_onto(kept[3 * H :])
        i, f, g, o = kept.reshape(4, H, *kept.shape[1:])
        h, c = after[:H], after[H:]
        np.multiply(i, g, out=h)
        np.multiply(f, before[H:], out=c)
        c += h
        np.tanh(c, out=h)
        h *= o

    def back(self, g: Any, kept: Any, before: Any, after: Any, dz: Any, dv: Any) -> None:
        H = len(kept) // 4
        dh, dc, c = g[:H], g[H:], before[H:]
        i, f, new, o = kept.reshape(4, H, *kept.shape[1:])
        d_i, d_f, d_new, d_o = dz.reshape(4, H, *dz.shape[1:])
        squashed = np.tanh(after[H:])
        slope = 1 - squashed * squashed
        slope *= o
        dc += slope * dh
        np.subtract(1, kept, out=dz)
        dz *= kept  # σ' = σ (1 - σ); of the tanh it is replaced
        np.subtract(1, new * new, out=d_new)
        d_new *= i
        d_i *= new
        d_f *= c
        d_i *= dc
        d_f *= dc
        d_new *= dc
        d_o *= squashed
        d_o *= dh
        dc *= f
        dh.fill(0)

    def jacobians(self, z: Any, v: Any, before: Any, after: Any) -> tuple[Any, Any, Any]:
        i, f, g, o = np.split(z + v, 4, axis=-1)
        _, c = np.split(before, 2, axis=-1)
        _, new = np.split(after, 2, axis=-1)
        parts = (_slope(i) * np.tanh(g), _slope(f) * c, _value(i) * (1 - np.tanh(g) ** 2), 0 * o)
        through = _value(o) * (1 - np.tanh(new) ** 2)  # ∂h'/∂c'
        last = (0 * i, 0 * f, 0 * g, _slope(o) * np.tanh(new))
        of_c = [_diagonal(part, z.dtype) for part in parts]
        of_h = [_diagonal(through * part + own, z.dtype) for part, own in zip(parts, last)]
        none, kept = _diagonal(0 * f, z.dtype), _diagonal(_value(f), z.dtype)
        by_state = np.block([[none, _diagonal(through * _value(f), z.dtype)], [none, kept]])
        by_z = np.block([of_h, of_c])
        return by_z, by_z, by_state


class _GRU(Cell):
    """h' = (1 - u) n + u h, where n = tanh(z + r v) and r, u are sigmoids, of other parts of z + v.

    Cho et al., 2014, with the reset gate r applied after the matrix product, as PyTorch has it. In its order: r, u, n.
    """

    name = "gru"
    gates, keeps = 3, 4
    additive = False

    def step(self, z: Any, v: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
        (z_r, z_u, z_n), (v_r, v_u, v_n) = chunk(z, 3, -1), chunk(v, 3, -1)
        u = sigmoid(z_u + v_u)
        n = tanh(z_n + sigmoid(z_r + v_r) * v_n)
        return ((1 - u) * n + u * state[0],)

    def forward(self, kept: Any, v: Any, before: Any, after: Any) -> None:
        H = len(before)
        kept[: 2 * H] += v[: 2 * H]
        _sigmoid_onto(kept[: 2 * H])
        r, u, n, v_n = kept.reshape(4, H, *kept.shape[1:])
        v_n[...] = v[2 * H :]
        n += r * v_n
        np.tanh(n, out=n)
        np.subtract(before, n, out=after)
        after *= u
        after += n

    def back(self, g: Any, kept: Any, before: Any, after: Any, dz: Any, dv: Any) -> None:
        H = len(before)
        r, u, n, v_n = kept.reshape(4, H, *kept.shape[1:])
        d_r, d_u, d_n = dz.reshape(3, H, *dz.shape[1:])
        np.subtract(1, kept[: 2 * H], out=dz[: 2 * H])
        np.multiply(g, d_u, out=d_n)  # d_u is 1 - u as yet
        d_n *= 1 - n * n
        dz[: 2 * H] *= kept[: 2 * H]
        d_r *= v_n
        d_r *= d_n
        d_u *= before - n
        d_u *= g
        dv[: 2 * H] = dz[: 2 * H]
        np.multiply(d_n, r, out=dv[2 * H :])
        g *= u

    def jacobians(self, z: Any, v: Any, before: Any, after: Any) -> tuple[Any, Any, Any]:
        (z_r, z_u, z_n), (v_r, v_u, v_n) = np.split(z, 3, axis=-1), np.split(v, 3, axis=-1)
        r, u = _value(z_r + v_r), _value(z_u + v_u)
        n = np.tanh(z_n + r * v_n)
        of_n = (1 - u) * (1 - n**2)
        gates = (of_n * v_n * _slope(z_r + v_r), _slope(z_u + v_u) * (before - n))
        by_z, by_v = (
            np.concatenate([_diagonal(part, z.dtype) for part in (*gates, candidate)], axis=-1)
            for candidate in (of_n, of_n * r)
        )
        return by_z, by_v, _diagonal(u, z.dtype)


def _sigmoid_onto(x: Any) -> None:
    x *= 0.5
    np.tanh(x, out=x)
    x *= 0.5
    x += 0.5


def _value(x: Any) -> Any:
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


def _slope(x: Any) -> Any:
    return 0.25 * (1 - np.tanh(0.5 * x) ** 2)


def _diagonal(d: Any, dtype: Any) -> Any:
    return d[..., None] * np.eye(d.shape[-1], dtype=dtype)


TANH = _Plain("tanh", tanh, lambda x: np.tanh(x, out=x), lambda h: 1 - h * h, lambda u: 1 - np.tanh(u) ** 2)
RELU = _Plain("relu", relu, lambda x: np.maximum(x, 0, out=x), lambda h: h > 0, lambda u: np.where(u > 0, 1.0, 0.0))
LSTM, GRU = _LSTM(), _GRU()


def _named(name: str) -> Cell:
    return {cell.name: cell for cell in (TANH, RELU, LSTM, GRU)}[name]


# ------------------------------------------------------------------------------------------------ over a sequence


class _Kept:
    """What the forward pass kept of all steps, and what the latest walk back through time found.

    The engine asks for the cotangent of each argument by itself, but one walk finds them all. Each is handed out once,
    and only to who comes with the cotangent of the output that the walk started from.
    """

    def __init__(self, steps: Any) -> None:
        self.steps = steps
        self.latest: tuple[Any, dict[str, Any]] = None, {}


def _forward(z: Any, state: Any, weight: Any, bias: Any, *, cell: Cell, sizes: Any) -> tuple[Any, _Kept]:
    z, state, weight, bias = promote([z, state, weight, bias])
    (times, batch, _), (_, hidden) = z.shape, weight.shape
    rows = len(weight)
    kept = np.empty((times, cell.keeps * hidden, batch), z.dtype)
    kept[:, :rows] = z.swapaxes(1, 2)
    shift = None if type(bias) is int else np.repeat(bias[:, None], batch, axis=1)
    before = np.ascontiguousarray(state.T)
    out = np.empty((times, *before.shape), z.dtype)
    v = np.empty((rows, batch), z.dtype)
    for t, after in enumerate(out):
        np.matmul(weight, before[:hidden], out=v)
        if shift is not None:
            v += shift
        cell.forward(kept[t], v, before, after)
        if sizes is not None:
            after[:, sizes[t] :] = before[:, sizes[t] :]
        before = after
    return out.swapaxes(1, 2), _Kept(kept)


def _back(
    name: str, g: Any, out: Any, state: Any, weight: Any, *, cell: Cell, sizes: Any, residual: _Kept
) -> Any:
    """The cotangent of one argument."""
    # Features first, then the leading axes as one, then the batch: a step is one matrix product for all of them.
    lead = lead_of(g, out)
    g = g.reshape(math.prod(lead), *out.shape).transpose(1, 3, 0, 2)
    start, found = residual.latest
    c = found.pop(name, None) if name in found and np.array_equal(start, g) else None
    if c is None:
        start = np.array(g, order="C")
        found = _walk(start, out, state, weight, cell, sizes, residual.steps)
        c = found.pop(name)
        residual.latest = start, found  # now other threads may take from it
    return c.reshape(lead + c.shape[1:])


def _walk(g: Any, out: Any, state: Any, weight: Any, cell: Cell, sizes: Any, kept: Any) -> dict[str, Any]:
    """Backpropagation through time."""
    (times, _, leading, batch), (rows, hidden) = g.shape, weight.shape
    states, before, kept = out.swapaxes(1, 2)[:, :, None], state.T[:, None], kept[:, :, None]
    backwards = np.ascontiguousarray(weight.T)
    every_z = np.empty((leading, times, batch, rows), g.dtype)
    every_v = every_z if cell.additive else np.empty_like(every_z)
    dz = np.empty((rows, leading, batch), g.dtype)
    dv = dz if cell.additive else np.empty_like(dz)
    carry = np.zeros(g.shape[1:], g.dtype)
    for t in reversed(range(times)):
        carry += g[t]
        if sizes is not None:
            unmoved = carry[..., sizes[t] :].copy()
        cell.back(carry, kept[t], states[t - 1] if t else before, states[t], dz, dv)
        if sizes is not None:
            dz[..., sizes[t] :] = dv[..., sizes[t] :] = 0
            carry[..., sizes[t] :] = unmoved
        carry[:hidden] += (backwards @ dv.reshape(rows, leading * batch)).reshape(hidden, leading, batch)
        every_z[:, t] = dz.transpose(1, 2, 0)
        if not cell.additive:
            every_v[:, t] = dv.transpose(1, 2, 0)
    h = np.concatenate([state[None, :, :hidden], out[:-1, :, :hidden]]).reshape(times * batch, hidden)
    flat_v = every_v.reshape(leading, times * batch, rows)
    return {
        "z": every_z,
        "state": np.array(carry.transpose(1, 2, 0), order="C"),
        "weight": flat_v.swapaxes(1, 2) @ h,  # Σ δv hᵀ over all steps and the batch
        "bias": flat_v.sum(axis=1),
    }


class _Steps(NamedTuple):
    """The Jacobians of a sequence's steps: with respect to z, to v, and to the state before; and the h before."""

    by_z: Any
    by_v: Any
    by_state: Any
    h: Any


def _steps(out: Any, z: Any, state: Any, weight: Any, bias: Any, cell: Cell, sizes: Any) -> _Steps:
    before = np.concatenate([state[None], out[:-1]])
    h = before[..., : weight.shape[1]]
    by_z, by_v, by_state = cell.jacobians(z, h @ weight.T + bias, before, out)
    by_h = by_v @ weight
    by_state = by_state + np.concatenate([by_h, np.zeros_like(by_state[..., by_h.shape[-1] :])], axis=-1)
    if sizes is not None:
        moved = (np.arange(out.shape[1]) < np.array(sizes)[:, None])[..., None, None]
        by_z, by_v = np.where(moved, by_z, 0), np.where(moved, by_v, 0)
        by_state = np.where(moved, by_state, np.eye(out.shape[-1], dtype=out.dtype))
    return _Steps(by_z, by_v, by_state, h)


def _by_z(steps: _Steps) -> Jacobian:
    return Recurrence(steps.by_state) @ BlockDiag(steps.by_z)


def _by_v(steps: _Steps) -> Jacobian:
    return Recurrence(steps.by_state) @ BlockDiag(steps.by_v)


def _by_state(steps: _Steps, out: Any) -> Jacobian:
    first = np.full(out.shape, -1)
    first[0] = np.arange(first[0].size).reshape(first[0].shape)
    return Recurrence(steps.by_state) @ Selection(first, out.shape[1:]) @ BlockDiag(steps.by_state[0])


def _by_weight(steps: _Steps, z: Any, weight: Any) -> Jacobian:
    rows = steps.h.reshape(math.prod(z.shape[:-1]), weight.shape[1])
    of_v = _transposed(Kron(Identity(weight.shape[0]), rows), z.shape)  # v = h Wᵀ, a linear layer of each step's own
    return _by_v(steps) @ of_v


def unrolled(
    z: Any, state: Any, weight: Any, bias: Any, *, cell: Cell, sizes: Any = None, project: Any = None
) -> Any:
    """`recurrence` step by step in Tensor operations; ``project`` is a matrix (P, H) that makes the H of h P."""
    parts: tuple[Any, ...] = (state,)
    if cell.states == 2:
        parts = (state[:, : weight.shape[1]], state[:, weight.shape[1] :])
    states = []
    for t in range(len(z)):
        new = cell.step(z[t], linear(parts[0], weight, None if type(bias) is int else bias), parts)
        if project is not None:
            new = (linear(new[0], project), *new[1:])
        if sizes is not None and sizes[t] < len(state):
            new = tuple(concatenate([a[: sizes[t]], b[sizes[t] :]]) for a, b in zip(new, parts))
        parts = new
        states.append(parts[0] if len(parts) == 1 else concatenate(parts, -1))
    return stack(states)


recurrence = primitive(
    "recurrence", _forward, saves="out z state weight bias residual", composition=unrolled,
    vjp=(lambda g, out, z, state, weight, bias, *, cell, sizes, residual:
             _back("z", g, out, state, weight, cell=cell, sizes=sizes, residual=residual),
         lambda g, out, z, state, weight, bias, *, cell, sizes, residual:
             _back("state", g, out, state, weight, cell=cell, sizes=sizes, residual=residual),
         lambda g, out, z, state, weight, bias, *, cell, sizes, residual:
             _back("weight", g, out, state, weight, cell=cell, sizes=sizes, residual=residual),
         lambda g, out, z, state, weight, bias, *, cell, sizes, residual:
             _back("bias", g, out, state, weight, cell=cell, sizes=sizes, residual=residual)),
    jacobian=(lambda out, z, state, weight, bias, *, cell, sizes, residual:
                  _by_z(_steps(out, z, state, weight, bias, cell, sizes)),
              lambda out, z, state, weight, bias, *, cell, sizes, residual:
                  _by_state(_steps(out, z, state, weight, bias, cell, sizes), out),
              lambda out, z, state, weight, bias, *, cell, sizes, residual:
                  _by_weight(_steps(out, z, state, weight, bias, cell, sizes), z, weight),
              lambda out, z, state, weight, bias, *, cell, sizes, residual:
                  _by_v(_steps(out, z, state, weight, bias, cell, sizes)) @ Selection.broadcast(bias.shape, z.shape)),
    doc="""All states of a cell that goes through a sequence: sₜ = cell(zₜ, W hₜ₋₁ + b, sₜ₋₁).

    z, what the inputs contribute, is (times, batch, gates · H), of all steps at once; ``state``, before the first,
    (batch, states · H); ``weight`` (gates · H, H); ``bias`` (gates · H,), or 0 for none. The result is
    (times, batch, states · H). Where ``sizes`` are given, the first ``sizes[t]`` sequences of the batch move at step
    t; the others keep their state. With the Jacobians of the steps Mₜ = ∂sₜ/∂sₜ₋₁, what happens at step k arrives at
    step t through the product Mₜ Mₜ₋₁ ⋯ Mₖ₊₁.
    """,
)
