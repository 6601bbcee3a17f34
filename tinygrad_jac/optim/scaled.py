"""Steps scaled for each entry by the size of its past gradients: Adagrad, RMSprop, Adadelta."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .optimizer import Array, Optimizer, approach, approach_square, options_of


class Adagrad(Optimizer):
    """Steps scaled by the sum of all squares of the gradient so far (Duchi, Hazan and Singer, 2011).

    In step t with gradient g (with weight decay as in `SGD`) and decay η of the learning rate γ::

        s ← s + g²
        θ ← θ − γ / (1 + (t − 1) η) g / (√s + ε)

    Parameters
    ----------
    params : iterable of Tensor or of dict
        See `Optimizer`.
    lr, lr_decay, weight_decay, eps : float
    initial_accumulator_value : float
        What s is at first.
    maximize : bool
        Go up instead of down.
    foreach, differentiable, fused : object
        As `SGD`'s.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: Any = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: Any = None,
    ) -> None:
        super().__init__(params, options_of(locals()))

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """As `Optimizer.add_param_group`; as in PyTorch, there is a state from the beginning."""
        super().add_param_group(param_group)
        for p in self.param_groups[-1]["params"]:
            self._state_of(p)

    def _state_of(self, p: Any) -> list[Array]:
        return self._remembered(p, {"step": 0}, {"sum": self.defaults["initial_accumulator_value"]})

    def _update(self, p: Any, group: dict[str, Any]) -> None:
        step, total = self._state_of(p)
        step += 1
        rate, eps = group["lr"] / (1 + (step.item() - 1) * group["lr_decay"]), group["eps"]

        def formula(theta: Array, g: Array, a: Array, b: Array, total: Array) -> None:
            total += np.multiply(g, g, out=a)
            np.sqrt(total, out=a)
            a += eps
            np.divide(g, a, out=a)
            a *= rate
            theta -= a

        self._sweep(formula, p, group, total)


class RMSprop(Optimizer):
    """Steps scaled by a running mean of the gradient's square (Hinton, 2012).

    With gradient g (with weight decay as in `SGD`), smoothing α and momentum μ::

        v ← α v + (1 − α) g²
        d = g / (√v + ε),   or with ``centered``   m ← α m + (1 − α) g,   d = g / (√(v − m²) + ε)
        b ← μ b + d
        θ ← θ − γ b

    Parameters
    ----------
    params : iterable of Tensor or of dict
        See `Optimizer`.
    lr, alpha, eps, weight_decay, momentum : float
    centered : bool
        Divide by the standard deviation of the gradient.
    maximize : bool
        Go up instead of down.
    foreach, capturable, differentiable : object
        As `SGD`'s.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: Any = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        super().__init__(params, options_of(locals()))

    def _update(self, p: Any, group: dict[str, Any]) -> None:
        lr, alpha, eps, momentum = (group[name] for name in ("lr", "alpha", "eps", "momentum"))
        centered = group["centered"]
        names = ["square_avg", *(["momentum_buffer"] if momentum else []), *(["grad_avg"] if centered else [])]
        step, *state = self._remembered(p, {"step": 0}, dict.fromkeys(names, 0))
        step += 1

        def formula(theta: Array, g: Array, a: Array, b: Array, square: Array, *others: Array) -> None:
            approach_square(square, g, 1 - alpha, a)
            if centered:
                mean = others[-1]
                approach(mean, g, 1 - alpha, a)
                square = np.subtract(square, np.multiply(mean, mean, out=a), out=a)
            np.sqrt(square, out=a)
            a += eps
            np.divide(g, a, out=a)
            if momentum:
                buffer = others[0]
                buffer *= momentum
                buffer += a
                a[...] = buffer
            a *= lr
            theta -= a

        self._sweep(formula, p, group, *state)


class Adadelta(Optimizer):
    """Steps of the size of past steps (Zeiler, 2012).

    With gradient g (with weight decay as in `SGD`) and smoothing ρ::

        v ← ρ v + (1 − ρ) g²
        d = √(u + ε) / √(v + ε) g
        u ← ρ u + (1 − ρ) d²
        θ ← θ − γ d

    Parameters
    ----------
    params : iterable of Tensor or of dict
        See `Optimizer`.
    lr, rho, eps, weight_decay : float
    maximize : bool
        Go up instead of down.
    foreach, capturable, differentiable : object
        As `SGD`'s.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: Any = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        if not rho <= 1:
            raise ValueError(f"Invalid rho value: {rho}")
        super().__init__(params, options_of(locals()))

    def _update(self, p: Any, group: dict[str, Any]) -> None:
        lr, rho, eps = (group[name] for name in ("lr", "rho", "eps"))
        step, *state = self._remembered(p, {"step": 0}, {"square_avg": 0, "acc_delta": 0})
        step += 1

        def formula(theta: Array, g: Array, a: Array, b: Array, square: Array, steps: Array) -> None:
            approach_square(square, g, 1 - rho, a)
            np.sqrt(np.add(steps, eps, out=a), out=a)
            a /= np.sqrt(np.add(square, eps, out=b), out=b)
            a *= g
            approach_square(steps, a, 1 - rho, b)
            a *= lr
            theta -= a

        self._sweep(formula, p, group, *state)
