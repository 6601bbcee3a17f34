"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..graph import wrap
from .optimizer import Array, Optimizer, check_nonnegative, number


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum and weight decay where they are given.

    With gradient g (its sign turned if ``maximize``), weight decay λ, momentum μ, dampening τ and learning rate γ::

        g ← g + λ θ
        b ← μ b + (1 − τ) g        (b ← g in the first step)
        g ← g + μ b  if nesterov,  else  b
        θ ← θ − γ g

    Parameters
    ----------
    params : iterable of Tensor or of dict
        See `Optimizer`.
    lr, momentum, dampening, weight_decay : float
    nesterov : bool
        Needs momentum and no dampening.
    maximize : bool
        Go up instead of down.
    foreach, differentiable, fused : object
        Accepted as PyTorch's; they choose between implementations there, and here there is one.

    Raises
    ------
    ValueError
        An option is negative, or nesterov does not fit the others.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> w = tj.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = SGD([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.tolist() == [np.float32(0.8), np.float32(1.6)]
    True
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: Any = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: Any = None,
        differentiable: bool = False,
        fused: Any = None,
    ) -> None:
        check_nonnegative({"learning rate": lr, "momentum value": momentum, "weight_decay value": weight_decay})
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        defaults = dict(
            lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay, nesterov=nesterov,
            maximize=maximize, foreach=foreach, differentiable=differentiable, fused=fused,
        )  # fmt: skip
        super().__init__(params, defaults)

    def _update(self, p: Any, g: Array, group: dict[str, Any]) -> None:
        theta: Array = p.array
        step = self._room(theta)
        lr, momentum = number(group["lr"]), group["momentum"]
        if momentum:
            state = self.state[p]
            if state.get("momentum_buffer") is None:
                state["momentum_buffer"] = wrap(g.copy())
                buffer = state["momentum_buffer"].array
            else:
                buffer = state["momentum_buffer"].array
                buffer *= momentum
                buffer += g if not group["dampening"] else np.multiply(g, 1 - group["dampening"], out=step)
            if group["nesterov"]:
                np.multiply(buffer, momentum, out=step)
                step += g
                g = step
            else:
                g = buffer
        np.multiply(g, lr, out=step)
        np.subtract(theta, step, out=theta)
