"""Transformers: attention and a small network for each position, in layers with residual connections.

What a layer is made of differs between encoder and decoder by one block; how a block is wrapped in dropout, residual
connection and normalisation is stated once, in `_Layer._after`.

There is one way through a layer, in training and in evaluation. PyTorch takes a shorter one in evaluation, which
differs in rounding, and gives 0 at padded positions where a whole `TransformerEncoder` is given
``src_key_padding_mask``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from ..creation import tensor
from ..dtypes import get_default_dtype
from ..errors import ShapeError
from . import functional as F
from . import init
from .attention import MultiheadAttention
from .containers import ModuleList
from .dropout import Dropout
from .linear import Linear
from .module import Module
from .normalization import LayerNorm

ACTIVATIONS: dict[str, Callable[..., Any]] = {"relu": F.relu, "gelu": F.gelu}


class _Layer(Module):
    """What encoder and decoder layers share: attentions, then two linear layers for each position alone."""

    attentions: tuple[str, ...] = ()

    def __init__(
        self, d_model: int, nhead: int, dim_feedforward: int = 2048, dropout: float = 0.1,
        activation: str | Callable[..., Any] = F.relu, layer_norm_eps: float = 1e-5, batch_first: bool = False,
        norm_first: bool = False, bias: bool = True, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if isinstance(activation, str):
            if activation not in ACTIVATIONS:
                raise ValueError(f"activation should be relu or gelu, or a function, not {activation!r}")
            activation = ACTIVATIONS[activation]
        blocks = range(1, len(self.attentions) + 2)
        for name in self.attentions:
            options = dict(batch_first=batch_first, device=device, dtype=dtype)
            self.add_module(name, MultiheadAttention(d_model, nhead, dropout, bias, **options))
        self.linear1 = Linear(d_model, dim_feedforward, bias, device=device, dtype=dtype)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, device=device, dtype=dtype)
        self.norm_first = norm_first
        for k in blocks:
            self.add_module(f"norm{k}", LayerNorm(d_model, layer_norm_eps, bias=bias, device=device, dtype=dtype))
        for k in blocks:
            self.add_module(f"dropout{k}", Dropout(dropout))
        self.activation = activation

    def _after(self, number: int, block: Callable[[Any], Any], x: Any) -> Any:
        """x and what a block adds to it, normalised before the block or after it."""
        norm = getattr(self, f"norm{number}")
        return x + block(norm(x)) if self.norm_first else norm(x + block(x))

    def _sa_block(self, x: Any, attn_mask: Any, key_padding_mask: Any, is_causal: bool = False) -> Any:
        return self.dropout1(_attend(self.self_attn, x, x, attn_mask, key_padding_mask, is_causal))

    def _through_network(self, x: Any) -> Any:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))


def _attend(attention: Any, x: Any, memory: Any, mask: Any, padding: Any, is_causal: bool) -> Any:
    return attention(
        x, memory, memory, attn_mask=mask, key_padding_mask=padding, need_weights=False, is_causal=is_causal
    )[0]


class TransformerEncoderLayer(_Layer):
    """Self-attention, then two linear layers for each position alone (Vaswani et al., 2017).

    Parameters
    ----------
    d_model : int
        The features of a position.
    nhead : int
        Heads of the attention.
    dim_feedforward : int
        The features between the two linear layers.
    dropout : float
    activation : {"relu", "gelu"} or callable
    layer_norm_eps : float
    batch_first : bool
        Whether axes are (batch, positions, features), not (positions, batch, features).
    norm_first : bool
        Normalise before each block, not after the sum with its input.
    bias : bool
        Whether linear layers and normalisations have one.
    device : object
        The CPU, in any spelling, or None; others raise.
    dtype : dtype, optional

    Raises
    ------
    ValueError
        The activation is not known, or ``d_model`` not divisible by ``nhead``.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac import nn
    >>> layer = nn.TransformerEncoderLayer(d_model=16, nhead=4, dim_feedforward=32, batch_first=True)
    >>> layer(tj.rand(2, 5, 16)).shape
    (2, 5, 16)
    """

    attentions = ("self_attn",)

    def forward(self, src: Any, src_mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool = False) -> Any:
        """The masks are those of `MultiheadAttention`."""
        x = self._after(1, lambda x: self._sa_block(x, src_mask, src_key_padding_mask, is_causal), src)
        return self._after(2, self._ff_block, x)

    def _ff_block(self, x: Any) -> Any:
        return self.dropout2(self._through_network(x))


class TransformerDecoderLayer(_Layer):
    """Self-attention, attention to an encoder's output, then two linear layers for each position alone.

    The parameters are those of `TransformerEncoderLayer`.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac import nn
    >>> layer = nn.TransformerDecoderLayer(d_model=16, nhead=4, dim_feedforward=32, batch_first=True)
    >>> layer(tj.rand(2, 3, 16), memory=tj.rand(2, 5, 16)).shape
    (2, 3, 16)
    """

    attentions = ("self_attn", "multihead_attn")

    def forward(
        self, tgt: Any, memory: Any, tgt_mask: Any = None, memory_mask: Any = None, tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None, tgt_is_causal: bool = False, memory_is_causal: bool = False,
    ) -> Any:  # fmt: skip
        """``memory`` is an encoder's output; the masks are those of `MultiheadAttention`."""
        x = self._after(1, lambda x: self._sa_block(x, tgt_mask, tgt_key_padding_mask, tgt_is_causal), tgt)
        x = self._after(
            2, lambda x: self._mha_block(x, memory, memory_mask, memory_key_padding_mask, memory_is_causal), x
        )
        return self._after(3, self._ff_block, x)

    def _mha_block(self, x: Any, mem: Any, attn_mask: Any, key_padding_mask: Any, is_causal: bool = False) -> Any:
        return self.dropout2(_attend(self.multihead_attn, x, mem, attn_mask, key_padding_mask, is_causal))

    def _ff_block(self, x: Any) -> Any:
        return self.dropout3(self._through_network(x))


class _Stack(Module):
    """Copies of one layer, one after the other, and perhaps a normalisation at the end."""

    def __init__(self, layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__()
        self.layers = ModuleList([copy.deepcopy(layer) for _ in range(num_layers)])
        self.num_layers = num_layers
        self.norm = norm

    def _through(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        for layer in self.layers:
            x = layer(x, *args, **kwargs)
        return x if self.norm is None else self.norm(x)


class TransformerEncoder(_Stack):
    """A stack of encoder layers.

    Parameters
    ----------
    encoder_layer : TransformerEncoderLayer
        Copied ``num_layers`` times: all copies begin with equal parameters, as in PyTorch.
    num_layers : int
    norm : Module, optional
        Applied at the end.
    enable_nested_tensor, mask_check : bool
        Accepted and ignored.
    """

    def __init__(
        self, encoder_layer: Module, num_layers: int, norm: Module | None = None, enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(encoder_layer, num_layers, norm)

    def forward(
        self, src: Any, mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool | None = None
    ) -> Any:
        """The masks are those of `MultiheadAttention`; ``is_causal`` is a hint about ``mask``."""
        return self._through(src, src_mask=mask, src_key_padding_mask=src_key_padding_mask, is_causal=bool(is_causal))


class TransformerDecoder(_Stack):
    """A stack of decoder layers.

    Parameters
    ----------
    decoder_layer : TransformerDecoderLayer
        Copied ``num_layers`` times: all copies begin with equal parameters, as in PyTorch.
    num_layers : int
    norm : Module, optional
        Applied at the end.
    """

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__(decoder_layer, num_layers, norm)

    def forward(
        self, tgt: Any, memory: Any, tgt_mask: Any = None, memory_mask: Any = None, tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None, tgt_is_causal: bool | None = None, memory_is_causal: bool = False,
    ) -> Any:  # fmt: skip
        """``memory`` is an encoder's output; the masks are those of `MultiheadAttention`."""
        return self._through(
            tgt, memory, tgt_mask=tgt_mask, memory_mask=memory_mask, tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask, tgt_is_causal=bool(tgt_is_causal),
            memory_is_causal=memory_is_causal,
        )  # fmt: skip


class Transformer(Module):
    """An encoder, and a decoder that looks at what the encoder made (Vaswani et al., 2017).

    Parameters
    ----------
    d_model, nhead : int
        The features of a position, and the heads of an attention.
    num_encoder_layers, num_decoder_layers : int
    dim_feedforward, dropout, activation
        Those of `TransformerEncoderLayer`, as are the last six.
    custom_encoder, custom_decoder : Module, optional
        In the place of those that would be made.
    layer_norm_eps, batch_first, norm_first, bias, device, dtype

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac import nn
    >>> model = nn.Transformer(16, 4, num_encoder_layers=1, num_decoder_layers=1, dim_feedforward=32)
    >>> model(tj.rand(7, 2, 16), tj.rand(5, 2, 16)).shape
    (5, 2, 16)
    """

    def __init__(
        self, d_model: int = 512, nhead: int = 8, num_encoder_layers: int = 6, num_decoder_layers: int = 6,
        dim_feedforward: int = 2048, dropout: float = 0.1, activation: str | Callable[..., Any] = F.relu,
        custom_encoder: Any = None, custom_decoder: Any = None, layer_norm_eps: float = 1e-5,
        batch_first: bool = False, norm_first: bool = False, bias: bool = True, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        options = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias)

        def norm() -> LayerNorm:
            return LayerNorm(d_model, layer_norm_eps, bias=bias, device=device, dtype=dtype)

        self.encoder = custom_encoder or TransformerEncoder(
            TransformerEncoderLayer(*options, device=device, dtype=dtype), num_encoder_layers, norm()
        )
        self.decoder = custom_decoder or TransformerDecoder(
            TransformerDecoderLayer(*options, device=device, dtype=dtype), num_decoder_layers, norm()
        )
        self._reset_parameters()
        self.d_model = d_model
        self.nhead = nhead
        self.batch_first = batch_first

    def forward(
        self, src: Any, tgt: Any, src_mask: Any = None, tgt_mask: Any = None, memory_mask: Any = None,
        src_key_padding_mask: Any = None, tgt_key_padding_mask: Any = None, memory_key_padding_mask: Any = None,
        src_is_causal: bool | None = None, tgt_is_causal: bool | None = None, memory_is_causal: bool = False,
    ) -> Any:  # fmt: skip
        """What the decoder makes of ``tgt``, looking at what the encoder makes of ``src``.

        Parameters
        ----------
        src, tgt : Tensor of shape (positions, batch, d_model), (batch, positions, d_model) if ``batch_first``, or
            (positions, d_model)
        src_mask, tgt_mask, memory_mask, src_key_padding_mask, tgt_key_padding_mask, memory_key_padding_mask : optional
            Those of `MultiheadAttention`.
        src_is_causal, tgt_is_causal, memory_is_causal : bool, optional
            Hints about the masks.

        Raises
        ------
        ShapeError
            Batches differ in size, or the features are not ``d_model``.
        """
        batch = 0 if self.batch_first else 1
        if src.ndim != tgt.ndim or (src.ndim == 3 and src.shape[batch] != tgt.shape[batch]):
            raise ShapeError(f"Transformer: src {src.shape} and tgt {tgt.shape} must agree in the batch, axis {batch}")
        if src.shape[-1] != self.d_model or tgt.shape[-1] != self.d_model:
            raise ShapeError(
                f"Transformer: the last size of src {src.shape} and tgt {tgt.shape} must be d_model, {self.d_model}"
            )
        memory = self.encoder(src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal)
        return self.decoder(
            tgt, memory, tgt_mask=tgt_mask, memory_mask=memory_mask, tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask, tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )  # fmt: skip

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: Any = None) -> Any:
        """The causal mask: 0 where a position may look, at itself and before, −∞ after it.

        Examples
        --------
        >>> from tinygrad_jac import nn
        >>> nn.Transformer.generate_square_subsequent_mask(2)
        tensor([[0., -inf],
                [0., 0.]])
        """
        return tensor(np.triu(np.full((sz, sz), -np.inf, dtype or get_default_dtype()), k=1))

    def _reset_parameters(self) -> None:
        """Draw the matrices anew."""
        for parameter in self.parameters():
            if parameter.ndim > 1:
                init.xavier_uniform_(parameter)
