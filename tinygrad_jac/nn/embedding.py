"""Embeddings: a learnt vector for each index."""

from __future__ import annotations

from typing import Any

from ..versions import mark_changed
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter, unfilled


class Embedding(Module):
    """A table of vectors that is looked up by index.

    Parameters
    ----------
    num_embeddings, embedding_dim : int
        The number of vectors and their size.
    padding_idx : int, optional
        The index of a vector that is 0 and receives no gradient.
    max_norm : float, optional
        Vectors that are looked up and are longer are shortened to this, in place.
    norm_type : float
        The norm that ``max_norm`` is about.
    scale_grad_by_freq : bool
        Not supported: True raises NotImplementedError.
    sparse : bool
        Accepted and ignored: gradients are dense.
    device : object
        The CPU, in any spelling, or None; others raise.
    dtype : dtype, optional

    Attributes
    ----------
    weight : Parameter of shape (num_embeddings, embedding_dim)
        Drawn from the standard normal distribution.

    Raises
    ------
    ValueError
        ``padding_idx`` is no index of the table.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac import nn
    >>> nn.Embedding(10, 3)(tj.tensor([[1, 2], [4, 3]])).shape
    (2, 2, 3)
    """

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None, max_norm: float | None = None,
        norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False, _weight: Any = None,
        _freeze: bool = False, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ValueError(f"padding_idx must be within num_embeddings: {padding_idx} of {num_embeddings}")
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.sparse = sparse
        if _weight is None:
            self.weight = unfilled(num_embeddings, embedding_dim, device=device, dtype=dtype)
            self.reset_parameters()
        elif tuple(_weight.shape) != (num_embeddings, embedding_dim):
            raise ValueError(f"_weight has shape {tuple(_weight.shape)}, not {(num_embeddings, embedding_dim)}")
        else:
            self.weight = Parameter(_weight)
        self.weight.requires_grad_(not _freeze)

    def reset_parameters(self) -> None:
        """Draw the table anew; the padding's vector is 0."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            self.weight.array[self.padding_idx] = 0
            mark_changed(self.weight.array)

    def forward(self, input: Any) -> Any:
        return F.embedding(
            input, self.weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse
        )

    @classmethod
    def from_pretrained(
        cls, embeddings: Any, freeze: bool = True, padding_idx: int | None = None, max_norm: float | None = None,
        norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False,
    ) -> Embedding:  # fmt: skip
        """An embedding with a given table, which shares its memory.

        Parameters
        ----------
        embeddings : Tensor of shape (num_embeddings, embedding_dim)
        freeze : bool
            Do not learn it.
        padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse
            As of the constructor.
        """
        if getattr(embeddings, "ndim", 0) != 2:
            raise ValueError("Embeddings parameter is expected to be 2-dimensional")
        rows, columns = embeddings.shape
        return cls(
            rows, columns, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, _weight=embeddings,
            _freeze=freeze,
        )  # fmt: skip

    def extra_repr(self) -> str:
        shown = f"{self.num_embeddings}, {self.embedding_dim}"
        for name, usual in (
            ("padding_idx", None), ("max_norm", None), ("norm_type", 2.0), ("scale_grad_by_freq", False),
            ("sparse", False),
        ):  # fmt: skip
            if getattr(self, name) != usual:
                shown += f", {name}={getattr(self, name)}"
        return shown
