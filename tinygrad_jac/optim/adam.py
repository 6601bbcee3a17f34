"""Adam, and Adam with decoupled weight decay."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..graph import wrap
from .optimizer import Array, Optimizer, check_nonnegative, number


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015): steps scaled by running means of the gradient and of its square.

    In step t with gradient g (its sign turned if ``maximize``, λθ added unless the decay is decoupled)::

        θ ← θ − γ λ θ                                    (only if the decay is decoupled)
        m ← β₁ m + (1 − β₁) g
        v ← β₂ v + (1 − β₂) g²
        θ ← θ − γ m / (1 − β₁ᵗ) / (√(v / (1 − β₂ᵗ)) + ε)

    With ``amsgrad`` the largest v so far stands in the last line.

    Parameters
    ----------
    params : iterable of Tensor or of dict
        See `Optimizer`.
    lr : float
    betas : (float, float)
    eps : float
    weight_decay : float
    amsgrad : bool
    foreach, capturable, differentiable, fused : object
        Accepted as PyTorch's; they choose between implementations there, and here there is one.
    maximize : bool
        Go up instead of down.
    decoupled_weight_decay : bool
        As `AdamW` does.

    Raises
    ------
    ValueError
        An option is out of its range.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-3,
        betas: tuple[Any, Any] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: Any = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: Any = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        check_nonnegative({"learning rate": lr, "epsilon value": eps, "weight_decay value": weight_decay})
        for k, beta in enumerate(betas):
            if not 0 <= number(beta) < 1:
                raise ValueError(f"Invalid beta parameter at index {k}: {beta}")
        defaults = dict(
            lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad, maximize=maximize, foreach=foreach,
            capturable=capturable, differentiable=differentiable, fused=fused,
            decoupled_weight_decay=decoupled_weight_decay,
        )  # fmt: skip
        super().__init__(params, defaults)

    def _update(self, p: Any, g: Array, group: dict[str, Any]) -> None:
        theta: Array = p.array
        state = self.state[p]
        if not state:
            state["step"] = wrap(np.zeros((), dtype=np.float32))
            for name in ("exp_avg", "exp_avg_sq", *(["max_exp_avg_sq"] if group["amsgrad"] else [])):
                state[name] = wrap(np.zeros_like(theta))
        state["step"].array[...] += 1
        t = state["step"].array.item()
        lr, (beta1, beta2) = number(group["lr"]), map(number, group["betas"])
        mean, square = state["exp_avg"].array, state["exp_avg_sq"].array
        step = self._room(theta)

        if group["weight_decay"] and group["decoupled_weight_decay"]:
            theta *= 1 - lr * number(group["weight_decay"])
        np.subtract(g, mean, out=step)
        step *= 1 - beta1
        mean += step
        np.multiply(g, g, out=step)
        step *= 1 - beta2
        square *= beta2
        square += step
        if group["amsgrad"]:
            square = np.maximum(state["max_exp_avg_sq"].array, square, out=state["max_exp_avg_sq"].array)
        np.sqrt(square, out=step)
        step /= math.sqrt(1 - beta2**t)
        step += group["eps"]
        np.divide(mean, step, out=step)
        step *= lr / (1 - beta1**t)
        np.subtract(theta, step, out=theta)


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019): θ shrinks by γλθ apart from the gradient.

    Parameters as `Adam`'s, with ``weight_decay=0.01`` by default.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-3,
        betas: tuple[Any, Any] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: Any = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: Any = None,
    ) -> None:
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize, capturable=capturable,
            differentiable=differentiable, fused=fused, decoupled_weight_decay=True,
        )  # fmt: skip
