"""Adam and its family: steps along a running mean of the gradient, scaled by one of its size."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from .optimizer import Array, Optimizer, approach, approach_square, options_of


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
    foreach, capturable, fused : object
        Accepted as PyTorch's; they choose between implementations there, and here there is one.
    differentiable : bool
        Not supported: steps change parameters in place.
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
        super().__init__(params, options_of(locals()))

    def _update(self, p: Any, group: dict[str, Any]) -> None:
        lr, (beta1, beta2) = group["lr"], group["betas"]
        names = ["exp_avg", "exp_avg_sq", *(["max_exp_avg_sq"] if group["amsgrad"] else [])]
        step, *state = self._remembered(p, {"step": 0}, dict.fromkeys(names, 0))
        step += 1
        t = step.item()
        correction = math.sqrt(1 - beta2**t)
        eps, rate = group["eps"] * correction, lr * correction / (1 - beta1**t)

        def formula(theta: Array, g: Array, a: Array, b: Array, mean: Array, square: Array, *largest: Array) -> None:
            approach(mean, g, 1 - beta1, a)
            approach_square(square, g, 1 - beta2, a)
            for most in largest:
                square = np.maximum(most, square, out=most)
            np.sqrt(square, out=a)
            a += eps
            np.divide(mean, a, out=a)
            a *= rate
            theta -= a

        self._sweep(formula, p, group, *state)


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


class Adamax(Optimizer):
    """Adam with the largest recent gradient in place of the mean square (Kingma and Ba, 2015, section 7).

    In step t with gradient g (with weight decay as in `SGD`)::

        m ← β₁ m + (1 − β₁) g
        u ← max(β₂ u, |g| + ε)
        θ ← θ − γ m / (1 − β₁ᵗ) / u

    Parameters as `Adam`'s.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 2e-3,
        betas: tuple[Any, Any] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: Any = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        super().__init__(params, options_of(locals()))

    def _update(self, p: Any, group: dict[str, Any]) -> None:
        eps, (beta1, beta2) = group["eps"], group["betas"]
        step, *state = self._remembered(p, {"step": 0}, {"exp_avg": 0, "exp_inf": 0})
        step += 1
        rate = group["lr"] / (1 - beta1 ** step.item())

        def formula(theta: Array, g: Array, a: Array, b: Array, mean: Array, largest: Array) -> None:
            approach(mean, g, 1 - beta1, a)
            np.abs(g, out=a)
            a += eps
            largest *= beta2
            np.maximum(largest, a, out=largest)
            np.divide(mean, largest, out=a)
            a *= rate
            theta -= a

        self._sweep(formula, p, group, *state)


class NAdam(Optimizer):
    """Adam with Nesterov's momentum (Dozat, 2016).

    In step t with gradient g, m and v as `Adam`'s, and momentum decay ψ::

        μₜ = β₁ (1 − 0.96^(t ψ) / 2),   Πₜ = μ₁ ⋯ μₜ
        θ ← θ − γ ((1 − μₜ) / (1 − Πₜ) g + μₜ₊₁ / (1 − Πₜ₊₁) m) / (√(v / (1 − β₂ᵗ)) + ε)

    Parameters as `Adam`'s, but for ``momentum_decay``.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 2e-3,
        betas: tuple[Any, Any] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: Any = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        super().__init__(params, options_of(locals()))

    def _update(self, p: Any, group: dict[str, Any]) -> None:
        lr, eps, (beta1, beta2) = group["lr"], group["eps"], group["betas"]
        step, product, *state = self._remembered(p, {"step": 0, "mu_product": 1}, {"exp_avg": 0, "exp_avg_sq": 0})
        step += 1
        t = step.item()
        mu, following = (beta1 * (1 - 0.5 * 0.96 ** (k * group["momentum_decay"])) for k in (t, t + 1))
        product *= mu
        correction = math.sqrt(1 - beta2**t)
        of_gradient = lr * (1 - mu) / (1 - product.item())
        of_mean = lr * following / (1 - product.item() * following)

        def formula(theta: Array, g: Array, a: Array, b: Array, mean: Array, square: Array) -> None:
            approach(mean, g, 1 - beta1, a)
            approach_square(square, g, 1 - beta2, a)
            np.multiply(g, of_gradient, out=a)
            a += np.multiply(mean, of_mean, out=b)
            np.sqrt(square, out=b)
            b /= correction
            b += eps
            a /= b
            theta -= a

        self._sweep(formula, p, group, *state)


class RAdam(Optimizer):
    """Adam that rectifies the variance of its first steps (Liu et al., 2020).

    In step t with gradient g, m and v as `Adam`'s::

        ρ∞ = 2 / (1 − β₂) − 1,   ρ = ρ∞ − 2 t β₂ᵗ / (1 − β₂ᵗ)
        θ ← θ − γ m / (1 − β₁ᵗ)                                                    if ρ ≤ 5, else
        θ ← θ − γ m / (1 − β₁ᵗ) √(1 − β₂ᵗ) / (√v + ε) √((ρ−4)(ρ−2)ρ∞ / ((ρ∞−4)(ρ∞−2)ρ))

    Parameters as `Adam`'s.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-3,
        betas: tuple[Any, Any] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: Any = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        super().__init__(params, options_of(locals()))

    def _update(self, p: Any, group: dict[str, Any]) -> None:
        eps, (beta1, beta2) = group["eps"], group["betas"]
        step, *state = self._remembered(p, {"step": 0}, {"exp_avg": 0, "exp_avg_sq": 0})
        step += 1
        t = step.item()
        correction, most = 1 - beta2**t, 2 / (1 - beta2) - 1
        length = most - 2 * t * beta2**t / correction  # of the moving average, as if it were a simple one
        rate, adaptive = group["lr"] / (1 - beta1**t), length > 5
        if adaptive:
            rectified = (length - 4) * (length - 2) * most / ((most - 4) * (most - 2) * length)
            rate *= math.sqrt(rectified * correction)

        def formula(theta: Array, g: Array, a: Array, b: Array, mean: Array, square: Array) -> None:
            approach(mean, g, 1 - beta1, a)
            approach_square(square, g, 1 - beta2, a)
            np.multiply(mean, rate, out=a)
            if adaptive:
                np.sqrt(square, out=b)
                b += eps
                a /= b
            theta -= a

        self._sweep(formula, p, group, *state)
