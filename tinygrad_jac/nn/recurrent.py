"""Recurrent layers and their cells: one mechanism, `_Recurrent`, for the parameters and the shapes of all of them.

What a cell computes is in `tinygrad_jac.rules.recurrent`. A layer takes the products of all inputs with the input
weights in one matrix product, and goes through time in one primitive; a cell is the textbook's formula on Tensors, for
networks that are unrolled by hand, step by step.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..graph import array_of, wrap
from ..rules import recurrent
from ..rules.arranging import flip
from ..rules.joining import concatenate, stack
from ..rules.noise import dropout
from ..rules.products import linear
from ..rules.recurrent import GRU as GRU_CELL
from ..rules.recurrent import LSTM as LSTM_CELL
from ..rules.recurrent import RELU, TANH, Cell
from . import init
from .module import Module
from .parameter import unfilled
from .utils.rnn import PackedSequence, gathered, spread

_PLAIN = {"tanh": TANH, "relu": RELU}


def _plain(nonlinearity: str) -> Cell:
    if nonlinearity not in _PLAIN:
        raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
    return _PLAIN[nonlinearity]


class _Recurrent(Module):
    """What layers and cells share: their sizes, and parameters all drawn from U(-1/√hidden_size, 1/√hidden_size)."""

    def __init__(self, cell: Cell, input_size: int, hidden_size: int, bias: bool) -> None:
        super().__init__()
        for name, size in (("input_size", input_size), ("hidden_size", hidden_size)):
            if not isinstance(size, (int, np.integer)):
                raise TypeError(f"{name} should be of type int, got: {type(size).__name__}")
            if size <= 0:
                raise ValueError(f"{name} must be greater than zero, but got {size}")
        if not isinstance(bias, bool):
            raise TypeError(f"bias should be of type bool, got: {type(bias).__name__}")
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        self._cell = cell

    def _register(self, suffix: str, inputs: int, hidden: int, device: Any, dtype: Any) -> None:
        """The parameters of one layer in one direction, or of a cell."""
        rows = self._cell.gates * self.hidden_size
        setattr(self, f"weight_ih{suffix}", unfilled(rows, inputs, device=device, dtype=dtype))
        setattr(self, f"weight_hh{suffix}", unfilled(rows, hidden, device=device, dtype=dtype))
        for name in (f"bias_ih{suffix}", f"bias_hh{suffix}"):
            self.register_parameter(name, unfilled(rows, device=device, dtype=dtype) if self.bias else None)

    def reset_parameters(self) -> None:
        """Draw the parameters anew."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)


# ------------------------------------------------------------------------------------------------ layers


class RNNBase(_Recurrent):
    """The base of `RNN`, `LSTM` and `GRU`: layers above each other, each in one direction or in both.

    The input of a layer's second direction is what that of the first is, in reverse; their outputs are joined. See the
    subclasses for parameters and shapes.
    """

    def __init__(
        self, cell: Cell, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
        batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0,
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(cell, input_size, hidden_size, bias)
        if isinstance(dropout, bool) or not 0 <= dropout <= 1:
            raise ValueError(
                "dropout should be a number in range [0, 1] representing the probability of an element being zeroed, "
                f"not {dropout!r}"
            )
        if dropout and num_layers == 1:
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects "
                f"num_layers greater than 1, but got dropout={dropout} and num_layers={num_layers}",
                stacklevel=3,
            )
        if not isinstance(batch_first, bool):
            raise TypeError(f"batch_first should be of type bool, got: {type(batch_first).__name__}")
        if num_layers <= 0:
            raise ValueError(f"num_layers must be greater than zero, but got {num_layers}")
        if not 0 <= proj_size < hidden_size:
            raise ValueError(
                f"proj_size must be 0 (no projection) or positive and smaller than hidden_size, not {proj_size}"
            )
        self.num_layers = num_layers
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        directions = ("", "_reverse") if bidirectional else ("",)
        self._suffixes = [[f"_l{layer}{direction}" for direction in directions] for layer in range(num_layers)]
        width = proj_size or hidden_size
        for layer, suffixes in enumerate(self._suffixes):
            for suffix in suffixes:
                self._register(suffix, width * len(directions) if layer else input_size, width, device, dtype)
                if proj_size:
                    setattr(self, f"weight_hr{suffix}", unfilled(proj_size, hidden_size, device=device, dtype=dtype))
        self.reset_parameters()

    @property
    def all_weights(self) -> list[list[Any]]:
        """The parameters, a list for each layer and direction."""
        kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
        return [
            [p for kind in kinds if (p := self._parameters.get(kind + suffix)) is not None]
            for suffixes in self._suffixes
            for suffix in suffixes
        ]

    def flatten_parameters(self) -> None:
        """Nothing: PyTorch brings the parameters together in a GPU's memory here."""

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Go through a sequence; see the class for the shapes."""
        if isinstance(input, PackedSequence):
            return self._packed(input, hx)
        if input.ndim not in (2, 3):
            raise ShapeError(f"{type(self).__name__}: Expected input to be 2D or 3D, got {input.ndim}D instead")
        batched = input.ndim == 3
        states = self._given(hx, 3 if batched else 2)
        x = input
        if not batched:
            x, states = x.unsqueeze(1), states and [s.unsqueeze(1) for s in states]
        elif self.batch_first:
            x = x.transpose(0, 1)
        if not x.shape[0]:
            raise ShapeError("Expected sequence length to be larger than 0 in RNN")
        y, last = self._through_layers(x, states, None, x.shape[1])
        if not batched:
            y, last = y.squeeze(1), [s.squeeze(1) for s in last]
        elif self.batch_first:
            y = y.transpose(0, 1)
        return y, self._returned(last)

    def _packed(self, input: PackedSequence, hx: Any) -> Any:
        data, batch_sizes, order, back = input
        if data.ndim != 2:
            raise ShapeError(f"input must have 2 dimensions, got {data.ndim}")
        sizes, states = np.asarray(array_of(batch_sizes)), self._given(hx, 3)
        if order is not None and states:
            states = [s[:, order] for s in states]
        y, last = self._through_layers(data, states, sizes, int(sizes[0]))
        if back is not None:
            last = [s[:, back] for s in last]
        return input._replace(data=y), self._returned(last)

    def _given(self, hx: Any, ndim: int) -> list[Any] | None:
        """The parts of the initial state, if there is one."""
        if hx is None:
            return None
        parts = [hx] if self._cell.states == 1 else list(hx) if isinstance(hx, (tuple, list)) else [hx]
        if len(parts) != self._cell.states or any(not hasattr(s, "ndim") for s in parts):
            what = "a Tensor h_0" if self._cell.states == 1 else "a tuple of Tensors (h_0, c_0)"
            raise TypeError(f"{type(self).__name__}: the initial state must be {what}, not {type(hx).__name__}")
        if any(s.ndim != ndim for s in parts):
            kind, found = "batched" if ndim == 3 else "unbatched", ", ".join(f"{s.ndim}-D" for s in parts)
            raise ShapeError(f"For {kind} {ndim}-D input, hx should also be {ndim}-D but got {found} tensors")
        return parts

    def _returned(self, states: list[Any]) -> Any:
        return states[0] if len(states) == 1 else tuple(states)

    def _through_layers(self, x: Any, states: list[Any] | None, sizes: Any, batch: int) -> tuple[Any, list[Any]]:
        """All layers, on (times, batch, features) or, where there are sizes, packed data; the last states of each."""
        width = self.proj_size or self.hidden_size
        widths = [width, self.hidden_size][: self._cell.states]
        count = sum(map(len, self._suffixes))
        self._check(x, states, [(count, batch, w) for w in widths])
        starts: Any = concatenate(states, -1) if states else wrap(np.zeros((count, batch, sum(widths)), x.dtype))
        finals: list[Any] = []
        for layer, suffixes in enumerate(self._suffixes):
            if layer and self.dropout:
                x = dropout(x, self.dropout, self.training)
            outputs = []
            for suffix in suffixes:
                every = self._through_time(x, starts[len(finals)], suffix, sizes, batch)
                finals.append(every[-1])
                h = every if every.shape[-1] == width else every[..., :width]
                outputs.append(flip(h, 0) if suffix.endswith("_reverse") else h)
            x = outputs[0] if len(outputs) == 1 else concatenate(outputs, -1)
            x = x if sizes is None else gathered(x, sizes)
        last = stack(finals)
        return x, [last] if len(widths) == 1 else [last[..., :width], last[..., width:]]

    def _check(self, x: Any, states: list[Any] | None, expected: list[tuple[int, ...]]) -> None:
        dtype = self.weight_ih_l0.dtype
        if x.dtype != dtype:
            raise ValueError(
                f"RNN input dtype ({x.dtype}) does not match weight dtype ({dtype}). Convert input: input.to({dtype}), "
                f"or convert model: model.to({x.dtype})"
            )
        if x.shape[-1] != self.input_size:
            raise ShapeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {x.shape[-1]}"
            )
        for k, state in enumerate(states or ()):
            if state.shape != expected[k]:
                which = "hidden" if self._cell.states == 1 else f"hidden[{k}]"
                raise ShapeError(f"Expected {which} size {expected[k]}, got {list(state.shape)}")

    def _through_time(self, x: Any, start: Any, suffix: str, sizes: Any, batch: int) -> Any:
        """All states of one layer in one direction, in the order in which it goes through time."""
        w_ih, w_hh, b_ih, b_hh, w_hr = (
            self._parameters.get(name + suffix)
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
        )
        z = linear(x, w_ih, b_ih)
        if sizes is not None:
            z = spread(z, sizes, batch)
        if suffix.endswith("_reverse"):
            # Sequences that are shorter begin later: until then they keep the state that they start with.
            z, sizes = flip(z, 0), None if sizes is None else sizes[::-1]
        moving = None if sizes is None else tuple(sizes.tolist())
        bias: Any = 0 if b_hh is None else b_hh
        if w_hr is not None:
            return recurrent.unrolled(z, start, w_hh, bias, cell=self._cell, sizes=moving, project=w_hr)
        return recurrent.recurrence(z, start, w_hh, bias, cell=self._cell, sizes=moving)

    def extra_repr(self) -> str:
        defaults = (
            ("proj_size", 0), ("num_layers", 1), ("bias", True), ("batch_first", False), ("dropout", 0.0),
            ("bidirectional", False),
        )  # fmt: skip
        given = ((name, getattr(self, name), default) for name, default in defaults)
        shown = [f"{name}={value}" for name, value, default in given if value != default]
        return ", ".join([str(self.input_size), str(self.hidden_size), *shown])


class RNN(RNNBase):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), from time to time (Elman, 1990).

    Parameters
    ----------
    input_size, hidden_size : int
    num_layers : int
        How many layers are above each other; the inputs of those above are the outputs of those below.
    nonlinearity : {"tanh", "relu"}
    bias : bool
    batch_first : bool
        Whether inputs and outputs are (batch, times, features), not (times, batch, features). States are not.
    dropout : float
        The probability with which entries are dropped between layers.
    bidirectional : bool
        Whether there is a second direction, from the last time to the first.
    device : object
        The CPU, in any spelling, or None; others raise.
    dtype : dtype, optional

    Attributes
    ----------
    weight_ih_l[k], weight_hh_l[k] : Parameters of shape (gates · hidden_size, inputs or hidden_size)
    bias_ih_l[k], bias_hh_l[k] : Parameters of shape (gates · hidden_size,)
        Of layer k; those of the second direction end in ``_reverse``. There are 4 gates in an `LSTM`, in the order
        i, f, g, o; 3 in a `GRU`, in the order r, u, n; here 1. All are drawn from
        U(−1/√hidden_size, 1/√hidden_size).

    Examples
    --------
    An input is (times, batch, input_size), (times, input_size) without a batch, or a
    `tinygrad_jac.nn.utils.rnn.PackedSequence`. An initial state may be given; by default it is 0. What comes back is
    the last layer's output for each time, of the same kind as the input, and the last state of each layer and
    direction:

    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac import nn
    >>> rnn = nn.RNN(10, 20, num_layers=2)
    >>> output, h_n = rnn(tj.ones(5, 3, 10))
    >>> output.shape, h_n.shape
    ((5, 3, 20), (2, 3, 20))

    Raises
    ------
    ShapeError
        On a call: the last size of the input is not ``input_size``, or the initial state does not fit.
    ValueError
        A size is not positive, the nonlinearity is unknown; on a call: the input's dtype is not that of the weights.
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh", bias: bool = True,
        batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        options = (num_layers, bias, batch_first, dropout, bidirectional)
        super().__init__(_plain(nonlinearity), input_size, hidden_size, *options, device=device, dtype=dtype)
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """Long short-term memory: c' = f c + i g, h' = o tanh c' (Hochreiter and Schmidhuber, 1997).

    i, f and o are sigmoids, and g is the tanh, of four parts of W_ih x + b_ih + W_hh h + b_hh. The state is a tuple
    (h, c). Parameters, shapes and errors are as in `RNN`; in addition:

    Parameters
    ----------
    proj_size : int
        Where it is not 0, h is made that small by a matrix ``weight_hr_l[k]`` in each step (Sak, Senior and Beaufays,
        2014).

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac import nn
    >>> lstm = nn.LSTM(10, 20, batch_first=True, bidirectional=True)
    >>> output, (h_n, c_n) = lstm(tj.ones(3, 5, 10))
    >>> output.shape, h_n.shape, c_n.shape
    ((3, 5, 40), (2, 3, 20), (2, 3, 20))
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False,
        dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        options = (num_layers, bias, batch_first, dropout, bidirectional, proj_size)
        super().__init__(LSTM_CELL, input_size, hidden_size, *options, device=device, dtype=dtype)


class GRU(RNNBase):
    """Gated recurrent units: h' = (1 - u) n + u h (Cho et al., 2014).

    r and u are sigmoids of two parts of W_ih x + b_ih + W_hh h + b_hh, and n = tanh(W_in x + b_in + r (W_hn h + b_hn)).
    (PyTorch's texts call u, the update gate, z.) Parameters, shapes and errors are as in `RNN`.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac import nn
    >>> nn.GRU(10, 20, num_layers=2)
    GRU(10, 20, num_layers=2)
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False,
        dropout: float = 0.0, bidirectional: bool = False, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        options = (num_layers, bias, batch_first, dropout, bidirectional)
        super().__init__(GRU_CELL, input_size, hidden_size, *options, device=device, dtype=dtype)


# ------------------------------------------------------------------------------------------------ cells


class RNNCellBase(_Recurrent):
    """The base of `RNNCell`, `LSTMCell` and `GRUCell`: one step."""

    def __init__(self, cell: Cell, input_size: int, hidden_size: int, bias: bool, device: Any, dtype: Any) -> None:
        super().__init__(cell, input_size, hidden_size, bias)
        self._register("", input_size, hidden_size, device, dtype)
        self.reset_parameters()

    def forward(self, input: Any, hx: Any = None) -> Any:
        """One step, from a state or from 0."""
        name, cell = type(self).__name__, self._cell
        if input.ndim not in (1, 2):
            raise ShapeError(f"{name}: Expected input to be 1D or 2D, got {input.ndim}D instead")
        if input.shape[-1] != self.input_size:
            raise ShapeError(f"input has inconsistent input_size: got {input.shape[-1]} expected {self.input_size}")
        expected = (*input.shape[:-1], self.hidden_size)
        parts: tuple[Any, ...]
        if hx is None:
            parts = (wrap(np.zeros(expected, input.dtype)),) * cell.states
        else:
            parts = (hx,) if cell.states == 1 else hx
        fits = isinstance(parts, (tuple, list)) and len(parts) == cell.states
        if not fits or any(not hasattr(part, "shape") for part in parts):
            what = "a Tensor h" if cell.states == 1 else "a tuple of Tensors (h, c)"
            raise TypeError(f"{name}: the state must be {what}, not {type(hx).__name__}")
        for part in parts:
            if part.shape != expected:
                raise ShapeError(f"{name}: Expected hidden to be of shape {expected}, got {tuple(part.shape)}")
        z = linear(input, self.weight_ih, self.bias_ih)
        parts = cell.step(z, linear(parts[0], self.weight_hh, self.bias_hh), parts)
        return parts[0] if len(parts) == 1 else parts

    def extra_repr(self) -> str:
        shown = [f"{self.input_size}, {self.hidden_size}"]
        if not self.bias:
            shown.append("bias=False")
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            shown.append(f"nonlinearity={self.nonlinearity}")
        return ", ".join(shown)


class RNNCell(RNNCellBase):
    """One step of an `RNN`: h' = tanh(W_ih x + b_ih + W_hh h + b_hh).

    The product of the Jacobians of the steps is what a gradient through time is made of; unrolled by hand it can be
    looked at.

    Parameters
    ----------
    input_size, hidden_size : int
    bias : bool
    nonlinearity : {"tanh", "relu"}
    device : object
        The CPU, in any spelling, or None; others raise.
    dtype : dtype, optional

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac import nn
    >>> cell = nn.RNNCell(10, 20)
    >>> h = tj.zeros(3, 20)
    >>> for x in tj.ones(5, 3, 10):
    ...     h = cell(x, h)
    >>> h.shape
    (3, 20)

    Raises
    ------
    ShapeError
        On a call: input or state do not have the sizes of the cell, or not the same batch.
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh", device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(_plain(nonlinearity), input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity


class LSTMCell(RNNCellBase):
    """One step of an `LSTM`: takes an input and a state (h, c), and returns the new state. Parameters as `RNNCell`."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(LSTM_CELL, input_size, hidden_size, bias, device, dtype)


class GRUCell(RNNCellBase):
    """One step of a `GRU`: takes an input and a state h, and returns the new h. Parameters as `RNNCell`."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(GRU_CELL, input_size, hidden_size, bias, device, dtype)
