"""Attention: for each query an average of the values, weighed by how well their keys answer it.

softmax(Q Kᵀ / √d) V is a composition: two matrix products and a softmax, each with the Jacobian that it has by itself.
Positions that must not be looked at are left out of the softmax, by a mask; nothing is filled with -∞ on the way.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..graph import Variable
from ..spelling import public
from .elementary import masked
from .joining import repeat_interleave
from .noise import dropout
from .normalization import masked_softmax, softmax
from .products import mT


def split_mask(mask: Any) -> tuple[Any, Any]:
    """What a mask says, taken apart: where one may look (None: everywhere), and what is added there (None: nothing).

    A mask of bools says where. One of floats is added to the scores, -∞ where nobody may look: in the softmax that is
    the same as leaving the entry out, which is faster.
    """
    if mask is None:
        return None, None
    values = mask.array if isinstance(mask, Variable) else np.asarray(mask)
    if values.dtype.kind == "b":
        return (None, None) if values.all() else (values, None)
    if values.dtype.kind != "f":
        raise TypeError(f"an attention mask holds bools, or floats that are added to the scores, not {values.dtype}")
    seen = values != -math.inf
    if not (values[seen].any() or (isinstance(mask, Variable) and mask.requires_grad)):  # type: ignore[attr-defined]
        return (None, None) if seen.all() else (seen, None)
    return (None, mask) if seen.all() else (seen, masked(mask, seen))


def both(first: Any, second: Any) -> Any:
    """Where two masks allow to look; None stands for everywhere."""
    return second if first is None else first if second is None else first & second


def attention_weights(query: Any, key: Any, seen: Any = None, bias: Any = None, scale: float | None = None) -> Any:
    """softmax(scale Q Kᵀ + bias), over the keys that are seen: how much each query looks at each key."""
    # A score is Σ q k over d entries: of variance d if those of q and k have variance 1, hence 1/√d.
    scores = (query * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)) @ mT(key)
    if bias is not None:
        scores = scores + bias
    return softmax(scores, -1) if seen is None else masked_softmax(scores, seen)


@public()
def scaled_dot_product_attention(
    query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0, is_causal: bool = False,
    scale: float | None = None, enable_gqa: bool = False,
) -> Any:
    """``softmax(scale * query @ key.mT + mask) @ value``.

    Parameters
    ----------
    query : array of shape (..., L, E)
    key : array of shape (..., S, E)
    value : array of shape (..., S, V)
        The axes before broadcast; usually they are (batch, heads).
    attn_mask : array that broadcasts to (..., L, S), optional
        Of bools: True where a query may look. Of floats: added to the scores, and differentiated.
    dropout_p : float
        With what probability a weight is set to 0; also outside of training, so pass 0 there.
    is_causal : bool
        Query i looks at keys 0 to i only; in the place of ``attn_mask``.
    scale : float, optional
        1 / √E by default.
    enable_gqa : bool
        Let groups of query heads share a key head, where there are fewer of those (axis -3).

    Returns
    -------
    array of shape (..., L, V)
        Zeros for a query that may look nowhere.

    Raises
    ------
    ShapeError
        The sizes do not fit together.
    TypeError
        The mask holds integers.
    ValueError
        Both ``attn_mask`` and ``is_causal`` are given.

    Notes
    -----
    Vaswani et al., "Attention is all you need", 2017, formula 1.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> import tinygrad_jac.nn.functional as F
    >>> q = k = tj.zeros(3, 2)
    >>> F.scaled_dot_product_attention(q, k, tj.tensor([[1.0], [2.0], [6.0]]), is_causal=True)
    tensor([[1.0000],
            [1.5000],
            [3.0000]])
    """
    _check(query, key, value)
    if is_causal and attn_mask is not None:
        raise ValueError("scaled_dot_product_attention takes either attn_mask or is_causal=True, not both")
    if enable_gqa and query.ndim > 2 and query.shape[-3] != key.shape[-3]:
        heads = query.shape[-3]
        if heads % key.shape[-3] or heads % value.shape[-3]:
            raise ShapeError(f"{heads} query heads cannot be shared out evenly among {key.shape[-3]} key heads and "
                             f"{value.shape[-3]} value heads")
        key, value = (repeat_interleave(x, heads // x.shape[-3], -3) for x in (key, value))
    shape = (query.shape[-2], key.shape[-2])
    seen, bias = (np.tri(*shape, dtype=bool), None) if is_causal else split_mask(attn_mask)
    _check_mask(attn_mask, shape)
    weights = attention_weights(query, key, seen, bias, scale)
    return (dropout(weights, dropout_p) if dropout_p else weights) @ value


def _check(query: Any, key: Any, value: Any) -> None:
    shapes = query.shape, key.shape, value.shape
    if min(map(len, shapes)) < 2:
        problem = "each needs axes (..., positions, features)"
    elif query.shape[-1] != key.shape[-1]:
        problem = f"query and key must have equally many features, not {query.shape[-1]} and {key.shape[-1]}"
    elif key.shape[-2] != value.shape[-2]:
        problem = f"there must be a value for each key, not {value.shape[-2]} for {key.shape[-2]}"
    else:
        return
    raise ShapeError("scaled_dot_product_attention: query {}, key {}, value {}: ".format(*shapes) + problem)


def _check_mask(mask: Any, shape: tuple[int, int]) -> None:
    """The mask's last axes broadcast to (queries, keys); it may not add positions."""
    if mask is not None and any(m not in (1, n) for m, n in zip(mask.shape[::-1], shape[::-1])):
        raise ShapeError(f"an attention mask of shape {mask.shape} does not broadcast to {shape[0]} queries and "
                         f"{shape[1]} keys: its last sizes must be {shape}, or 1")
