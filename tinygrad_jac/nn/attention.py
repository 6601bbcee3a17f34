"""Attention with several heads; the formula itself is in `tinygrad_jac.rules.attention`."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..rules.attention import attention_weights, both, split_mask
from ..rules.joining import concatenate
from ..rules.shaping import broadcast_to
from . import functional as F
from . import init
from .linear import Linear
from .module import Module
from .parameter import unfilled


class NonDynamicallyQuantizableLinear(Linear):
    """`Linear`, by the name that PyTorch prints where it is part of an attention."""


class MultiheadAttention(Module):
    """Attention by several heads at once, each in a subspace of its own, and a linear layer that joins them.

    Parameters
    ----------
    embed_dim : int
        The features of queries and of the output: ``num_heads`` times those of one head.
    num_heads : int
    dropout : float
        With what probability a weight is set to 0 while training.
    bias : bool
        Whether the linear layers have one.
    add_bias_kv : bool
        Add a key and a value that are learnt.
    add_zero_attn : bool
        Add a key and a value that are 0.
    kdim, vdim : int, optional
        The features of keys and values; ``embed_dim`` by default.
    batch_first : bool
        Whether axes are (batch, positions, features), not (positions, batch, features).
    device : object
        The CPU, in any spelling, or None; others raise.
    dtype : dtype, optional

    Attributes
    ----------
    in_proj_weight : Parameter of shape (3 embed_dim, embed_dim)
        The weights that make queries, keys and values, one below the other. With ``kdim`` or ``vdim`` there are
        ``q_proj_weight``, ``k_proj_weight`` and ``v_proj_weight`` instead.
    in_proj_bias : Parameter of shape (3 embed_dim,), or None
    bias_k, bias_v : Parameter of shape (1, 1, embed_dim), or None
    out_proj : Linear

    Raises
    ------
    ValueError
        ``embed_dim`` is not divisible by ``num_heads``.

    Notes
    -----
    Vaswani et al., "Attention is all you need", 2017, section 3.2.2. A query that may look nowhere gets weights 0;
    PyTorch's are NaN where they are asked for.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac import nn
    >>> attention = nn.MultiheadAttention(8, num_heads=2, batch_first=True)
    >>> x = tj.ones(3, 5, 8)
    >>> out, weights = attention(x, x, x)
    >>> out.shape, weights.shape
    ((3, 5, 8), (3, 5, 5))
    """

    bias_k: Any
    bias_v: Any

    def __init__(
        self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True, add_bias_kv: bool = False,
        add_zero_attn: bool = False, kdim: int | None = None, vdim: int | None = None, batch_first: bool = False,
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if embed_dim <= 0 or num_heads <= 0 or embed_dim % num_heads:
            raise ValueError(
                f"embed_dim must be num_heads times the features of a head, all above 0, but got embed_dim={embed_dim}"
                f" and num_heads={num_heads}"
            )
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.num_heads = num_heads
        self.head_dim = embed_dim // num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.add_zero_attn = add_zero_attn
        together = self.kdim == self.vdim == embed_dim
        made = functools.partial(unfilled, device=device, dtype=dtype)
        own = dict(q_proj_weight=embed_dim, k_proj_weight=self.kdim, v_proj_weight=self.vdim)
        for name, columns in own.items():
            self.register_parameter(name, None if together else made(embed_dim, columns))
        self.register_parameter("in_proj_weight", made(3 * embed_dim, embed_dim) if together else None)
        self.register_parameter("in_proj_bias", made(3 * embed_dim) if bias else None)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias=bias, device=device, dtype=dtype)
        for name in ("bias_k", "bias_v"):
            self.register_parameter(name, made(1, 1, embed_dim) if add_bias_kv else None)
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        """Draw the parameters anew."""
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        self.out_proj.reset_parameters()
        for bias in (self.in_proj_bias, self.out_proj.bias):
            if bias is not None:
                init.zeros_(bias)
        for bias in (self.bias_k, self.bias_v):
            if bias is not None:
                init.xavier_normal_(bias)

    def forward(
        self, query: Any, key: Any, value: Any, key_padding_mask: Any = None, need_weights: bool = True,
        attn_mask: Any = None, average_attn_weights: bool = True, is_causal: bool = False,
    ) -> tuple[Any, Any]:  # fmt: skip
        """Let queries look at keys.

        Parameters
        ----------
        query : Tensor of shape (L, N, embed_dim), (N, L, embed_dim) if ``batch_first``, or (L, embed_dim)
        key : Tensor of shape (S, N, kdim), (N, S, kdim) or (S, kdim)
        value : Tensor of shape (S, N, vdim), (N, S, vdim) or (S, vdim)
        key_padding_mask : Tensor of shape (N, S) or (S,), optional
            Of bools: True where a key is padding, which nobody looks at. Of floats: added to the scores.
        need_weights : bool
            Whether the weights are returned too.
        attn_mask : Tensor of shape (L, S) or (N num_heads, L, S), optional
            Of bools: True where a query must *not* look (the opposite of `F.scaled_dot_product_attention`). Of floats:
            added to the scores.
        average_attn_weights : bool
            Return the mean of the heads' weights.
        is_causal : bool
            A hint that ``attn_mask``, which has to be there, is the causal one.

        Returns
        -------
        output : Tensor of the shape of ``query``
        weights : Tensor of shape (N, L, S), (N, num_heads, L, S) if not averaged; or None

        Raises
        ------
        ShapeError
            Sizes do not fit together.
        ValueError
            ``is_causal`` without ``attn_mask``.
        """
        if is_causal and attn_mask is None:
            raise ValueError("MultiheadAttention: is_causal=True is a hint about attn_mask: pass that mask too")
        batched = query.ndim == 3
        given = (query, key, value)
        if not batched:
            given = tuple(x.unsqueeze(-2) if x.ndim == 2 else x for x in given)
        self._check(query.shape, *given, batch=0 if batched and self.batch_first else 1)
        first = batched and self.batch_first  # which axis counts the samples: 0, or 1
        q, k, v = (F.linear(x, w, b) for x, w, b in zip(given, *self._projections()))
        k, v = self._extended(k, self.bias_k, first), self._extended(v, self.bias_v, first)
        q, k, v = (self._by_head(x, first) for x in (q, k, v))
        samples, _, queries, _ = q.shape
        seen, bias = self._masks(key_padding_mask, attn_mask, (samples, queries, k.shape[-2]))
        weights = attention_weights(q, k, seen, bias)
        if self.training and self.dropout:
            weights = F.dropout(weights, self.dropout)
        mixed = (weights @ v).permute((0, 2, 1, 3) if first else (2, 0, 1, 3))
        out = self.out_proj(mixed.reshape(*mixed.shape[:2], self.embed_dim))
        if need_weights and average_attn_weights:
            weights = weights.mean(1)
        if not batched:
            out, weights = out.squeeze(1), weights.squeeze(0)
        return out, weights if need_weights else None

    def _projections(self) -> tuple[Any, Any]:
        """Weights and biases that make queries, keys and values.

        Rows of the one matrix rather than columns of its product: the gradients of slices have to be put together, and
        the weight is smaller than what it makes.
        """
        if self.in_proj_weight is None:
            weights = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        else:
            weights = self.in_proj_weight.chunk(3)
        return weights, (None,) * 3 if self.in_proj_bias is None else self.in_proj_bias.chunk(3)

    def _extended(self, x: Any, learnt: Any, batch_first: bool) -> Any:
        """Keys or values with those that `add_bias_kv` and `add_zero_attn` put behind them."""
        shape = (len(x), 1, self.embed_dim) if batch_first else (1, x.shape[1], self.embed_dim)
        more = [] if learnt is None else [broadcast_to(learnt, shape)]
        if self.add_zero_attn:
            more.append(np.zeros(shape, x.dtype))
        return concatenate([x, *more], 1 if batch_first else 0) if more else x

    def _by_head(self, x: Any, batch_first: bool) -> Any:
        """(samples, heads, positions, features of a head): a view."""
        split = x.reshape(*x.shape[:2], self.num_heads, self.head_dim)
        return split.permute(0, 2, 1, 3) if batch_first else split.permute(1, 2, 0, 3)

    def _masks(self, padding: Any, mask: Any, sizes: tuple[int, int, int]) -> tuple[Any, Any]:
        """Both masks as `attention_weights` takes them, in shapes that broadcast to (samples, heads, queries, keys)."""
        samples, queries, keys = sizes
        added = (self.bias_k is not None) + self.add_zero_attn
        seen, bias = None, None
        allowed = {
            "key_padding_mask": {(samples, keys - added): (samples, 1, 1, -1), (keys - added,): (1, 1, 1, -1)},
            "attn_mask": {
                (queries, keys - added): (1, 1, queries, -1),
                (samples * self.num_heads, queries, keys - added): (samples, self.num_heads, queries, -1),
            },
        }
        for (name, shapes), given in zip(allowed.items(), (padding, mask)):
            if given is None:
                continue
            if given.shape not in shapes or (len(given.shape) == 1 and samples > 1):
                raise ShapeError(
                    f"MultiheadAttention: {name} of shape {given.shape} does not fit {samples} samples, "
                    f"{self.num_heads} heads, {queries} queries and {keys - added} keys: it should be one of "
                    f"{', '.join(map(str, shapes))}"
                )
            is_bool = given.dtype.kind == "b"  # in this layer's masks True is what must not be seen
            visible, extra = split_mask((~given if is_bool else given).reshape(shapes[given.shape]))
            if added:  # what was put behind the keys may be seen by all
                visible = visible if visible is None else _padded(visible, added, True)
                extra = extra if extra is None else _padded(extra, added, 0.0)
            seen = both(seen, visible)
            bias = extra if bias is None else bias if extra is None else bias + extra
        return seen, bias

    def _check(self, shape: Any, query: Any, key: Any, value: Any, batch: int) -> None:
        names = dict(query=(query, self.embed_dim), key=(key, self.kdim), value=(value, self.vdim))
        for name, (x, features) in names.items():
            if x.ndim != 3 or x.shape[-1] != features:
                raise ShapeError(
                    f"MultiheadAttention: {name} of shape {x.shape} should have {features} features in its last axis, "
                    f"and as many axes as the query, which has shape {shape}"
                )
        if key.shape[:2] != value.shape[:2] or key.shape[batch] != query.shape[batch]:
            raise ShapeError(
                f"MultiheadAttention: query {query.shape}, key {key.shape} and value {value.shape} must agree in the "
                f"batch, axis {batch}, and key and value in the positions, axis {1 - batch}; batch_first is "
                f"{self.batch_first}"
            )


def _padded(x: Any, count: int, value: Any) -> Any:
    return F.pad(x, (0, count), value=value)
