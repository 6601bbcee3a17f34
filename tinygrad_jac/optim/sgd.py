"""Steps along the gradient (SGD, ASGD), and along its sign (Rprop)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .optimizer import Array, Optimizer, options_of


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
    foreach, fused : object
        Accepted as PyTorch's; they choose between implementations there, and here there is one.
    differentiable : bool
        Not supported: steps change parameters in place.

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
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        super().__init__(params, options_of(locals()))

    def _update(self, p: Any, group: dict[str, Any]) -> None:
        lr, momentum, dampening = group["lr"], group["momentum"], group["dampening"]
        nesterov, state = group["nesterov"], []
        if momentum:
            if self.state[p].get("momentum_buffer") is None:
                dampening = 0.0
            state = self._remembered(p, {}, {"momentum_buffer": 0})

        def formula(theta: Array, g: Array, a: Array, b: Array, *buffers: Array) -> None:
            for buffer in buffers:
                buffer *= momentum
                buffer += np.multiply(g, 1 - dampening, out=a) if dampening else g
                g = np.add(np.multiply(buffer, momentum, out=a), g, out=a) if nesterov else buffer
            theta -= np.multiply(g, lr, out=a)

        self._sweep(formula, p, group, *state)


class ASGD(Optimizer):
    """Averaged stochastic gradient descent (Polyak and Juditsky, 1992).

    In step t with gradient g (with weight decay as in `SGD`)::

        η = γ / (1 + λ γ (t − 1))^α
        θ ← θ − η (λ θ + g)
        ā ← ā + (θ − ā) / max(1, t − 1 − t₀)

    The averages ā are in ``state[parameter]["ax"]``.

    Parameters
    ----------
    params : iterable of Tensor or of dict
        See `Optimizer`.
    lr, lambd, alpha, t0, weight_decay : float
        γ, λ, α and t₀ of the formulas.
    maximize : bool
        Go up instead of down.
    foreach, capturable, differentiable : object
        As `SGD`'s.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: Any = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        super().__init__(params, options_of(locals()))

    def _update(self, p: Any, group: dict[str, Any]) -> None:
        lr, lambd = group["lr"], group["lambd"]
        step, eta, mu, average = self._remembered(p, {"step": 0, "eta": lr, "mu": 1}, {"ax": 0})
        rate, weight = eta.item(), mu.item()
        step += 1
        eta[...] = lr / (1 + lambd * lr * step.item()) ** group["alpha"]
        mu[...] = 1 / max(1, step.item() - group["t0"])

        def formula(theta: Array, g: Array, a: Array, b: Array, average: Array) -> None:
            theta *= 1 - lambd * rate
            theta -= np.multiply(g, rate, out=a)
            average += np.multiply(np.subtract(theta, average, out=a), weight, out=a)

        self._sweep(formula, p, group, average)


class Rprop(Optimizer):
    """Resilient backpropagation (Riedmiller and Braun, 1993): each entry has a step size, and only signs count.

    An entry's step size grows by η₊ where its gradient kept its sign and shrinks by η₋ where it changed, in which case
    the entry rests for a step.

    Parameters
    ----------
    params : iterable of Tensor or of dict
        See `Optimizer`.
    lr : float
        The first step size.
    etas : (float, float)
        η₋ and η₊.
    step_sizes : (float, float)
        The least and the largest step size.
    maximize : bool
        Go up instead of down.
    foreach, capturable, differentiable : object
        As `SGD`'s.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Any = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: Any = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        if not 0 < etas[0] < 1 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        super().__init__(params, options_of(locals()))

    def _update(self, p: Any, group: dict[str, Any]) -> None:
        (shrink, grow), (least, most) = group["etas"], group["step_sizes"]
        step, *state = self._remembered(p, {"step": 0}, {"prev": 0, "step_size": group["lr"]})
        step += 1

        def formula(theta: Array, g: Array, a: Array, b: Array, previous: Array, size: Array) -> None:
            turned, kept = np.multiply(g, previous, out=a) < 0, a > 0
            np.multiply(size, shrink, out=size, where=turned)
            np.multiply(size, grow, out=size, where=kept)
            np.clip(size, least, most, out=size)
            previous[...] = g
            np.copyto(previous, 0, where=turned)
            theta -= np.multiply(np.sign(previous, out=a), size, out=a)

        self._sweep(formula, p, group, *state)
