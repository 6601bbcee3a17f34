"""Gradients kept within bounds, between ``backward()`` and ``step()``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ...graph import Variable, wrap
from ...modes import no_grad


def get_total_norm(
    tensors: Any, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None
) -> Any:
    """The norm of all entries of some tensors, as if they were one vector.

    Parameters
    ----------
    tensors : Tensor or iterable of Tensor
    norm_type : float
        The p of the p-norm; ``inf`` for the largest absolute value.
    error_if_nonfinite : bool
    foreach : bool, optional
        Accepted and ignored.

    Returns
    -------
    Tensor
        Of one entry, without history; in the dtype of the tensors.

    Raises
    ------
    RuntimeError
        The norm is infinite or NaN, and ``error_if_nonfinite`` asks for this error.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> get_total_norm([tj.tensor([3.0]), tj.tensor([[0.0, 4.0]])])
    tensor(5.)
    """
    arrays = [t.array for t in _listed(tensors)]
    p = float(norm_type)
    norms = [np.linalg.norm(a.reshape(-1), p) if a.size else a.dtype.type(0) for a in arrays]
    dtype = np.result_type(*arrays) if arrays else np.float32
    total = wrap(np.asarray(np.linalg.norm(np.array(norms, dtype), p) if norms else 0.0, dtype))
    if error_if_nonfinite and not np.isfinite(total.array):
        raise RuntimeError(
            f"The total norm of order {p} for gradients from `parameters` is non-finite ({total.item()}), so it cannot "
            "be clipped. To scale the gradients by it all the same, set `error_if_nonfinite=False`"
        )
    return total


def clip_grads_with_norm_(parameters: Any, max_norm: float, total_norm: Any, foreach: bool | None = None) -> None:
    """Multiply the gradients with ``max_norm / total_norm`` where that is below 1, in place.

    Parameters
    ----------
    parameters : Tensor or iterable of Tensor
    max_norm : float
    total_norm : Tensor or float
        What `get_total_norm` found, perhaps over more parameters than these.
    foreach : bool, optional
        Accepted and ignored.
    """
    factor = float(max_norm) / (float(total_norm) + 1e-6)
    if factor >= 1:
        return
    with no_grad():
        for gradient in _gradients(parameters):
            gradient.mul_(factor)


def clip_grad_norm_(
    parameters: Any, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Any:  # fmt: skip
    """Shorten the gradients of some parameters, taken together as one vector, to a norm; in place.

    Parameters
    ----------
    parameters : Tensor or iterable of Tensor
        Those without a gradient are passed over.
    max_norm : float
    norm_type : float
        The p of the p-norm; ``inf`` for the largest absolute value.
    error_if_nonfinite : bool
    foreach : bool, optional
        Accepted and ignored.

    Returns
    -------
    Tensor
        The norm before.

    Raises
    ------
    RuntimeError
        The norm is infinite or NaN, and ``error_if_nonfinite`` asks for this error; the gradients are as they were.

    Notes
    -----
    Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", 2013.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> w = tj.tensor([3.0, 4.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> clip_grad_norm_(w, max_norm=1.0)
    tensor(10.)
    >>> w.grad
    tensor([0.6000, 0.8000])
    """
    parameters = _listed(parameters)
    total = get_total_norm(_gradients(parameters), norm_type, error_if_nonfinite)
    clip_grads_with_norm_(parameters, max_norm, total)
    return total


def clip_grad_value_(parameters: Any, clip_value: float, foreach: bool | None = None) -> None:
    """Limit every entry of the gradients to ``[-clip_value, clip_value]``, in place.

    Parameters
    ----------
    parameters : Tensor or iterable of Tensor
        Those without a gradient are passed over.
    clip_value : float
    foreach : bool, optional
        Accepted and ignored.
    """
    with no_grad():
        for gradient in _gradients(parameters):
            gradient.clamp_(-float(clip_value), float(clip_value))


def _listed(tensors: Any) -> list[Any]:
    """One tensor or several, as a list: an iterator is gone through once only."""
    if not isinstance(tensors, (Variable, Iterable)):
        raise TypeError(f"takes a Tensor or an iterable of Tensors, not {type(tensors).__name__}")
    listed = [tensors] if isinstance(tensors, Variable) else list(tensors)
    for t in listed:
        if not isinstance(t, Variable):
            raise TypeError(f"takes Tensors, not {type(t).__name__}: pass model.parameters(), or a list of them")
    return listed


def _gradients(parameters: Any) -> list[Any]:
    return [p.grad for p in _listed(parameters) if p.grad is not None]
