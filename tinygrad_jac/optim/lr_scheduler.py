"""Learning rate schedules, in PyTorch's names.

Most schedules multiply: they state by what the first rate is multiplied at a time (`_Multiplied._scale`), from which
follows by what the *current* one is multiplied in a step. So schedules can be chained, and a rate that the user changes
in between stays changed. The others set the rate to what they say.
"""

from __future__ import annotations

import math
import types
import warnings
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..graph import Variable, wrap
from .optimizer import Optimizer

_EPOCH = (
    "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated: the rate is set to what the "
    "schedule says of that epoch, where it can say so"
)
_UNSAVED = ("optimizer", "_schedulers", "lr_lambdas", "_scale_fn")  # by `LRScheduler.state_dict`


class LRScheduler:
    """The base of all schedules: `get_lr` says the rates of ``last_epoch``, from the current ones if need be.

    Parameters
    ----------
    optimizer : Optimizer
    last_epoch : int
        The epoch after which a training is continued; −1 for a new one.

    Attributes
    ----------
    last_epoch : int
        How often the schedule advanced.
    base_lrs : list of float
        The rate of each group at the beginning.

    Raises
    ------
    TypeError
        ``optimizer`` is none.
    KeyError
        A training is to be continued whose optimiser has no ``"initial_lr"`` in its groups: load its state first.
    """

    _get_lr_called_within_step = False
    _is_initial = False

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self.optimizer = _checked(optimizer)
        for k, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", _copied(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{k}] when resuming scheduler with last_epoch "
                    ">= 0: load the optimizer's state_dict first, or leave last_epoch out"
                )
        self.base_lrs = [_copied(group["initial_lr"]) for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._initial_step()

    def _initial_step(self) -> None:
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def step(self, epoch: int | None = None) -> None:
        """Advance by one epoch, or to a certain one, and set the rates of the optimiser's groups."""
        if self._step_count == 1 and not self.optimizer._stepped:
            warnings.warn(
                "Detected call of `lr_scheduler.step()` before `optimizer.step()`. You should call them in the "
                "opposite order: `optimizer.step()` before `lr_scheduler.step()`. Otherwise the first value of the "
                "schedule is skipped",
                UserWarning,
                stacklevel=2,
            )
        self._step_count += 1
        if epoch is not None:
            warnings.warn(_EPOCH, UserWarning, stacklevel=2)
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        closed = None if epoch is None else getattr(self, "_get_closed_form_lr", None)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        self._get_lr_called_within_step = True
        try:
            rates = (closed or self.get_lr)()
        finally:
            self._get_lr_called_within_step = False
        self._set(rates)

    def _set(self, rates: Iterable[Any]) -> None:
        for group, rate in zip(self.optimizer.param_groups, rates):
            if isinstance(group["lr"], Variable):
                group["lr"].array[...] = np.asarray(rate)
            else:
                group["lr"] = rate
        self._last_lr = self._current()

    def _current(self) -> list[Any]:
        return [_copied(group["lr"]) for group in self.optimizer.param_groups]

    def get_lr(self) -> list[Any]:
        """The rate of each group at ``last_epoch``; for `step`. The rates that hold are `get_last_lr`'s."""
        raise NotImplementedError(f"{type(self).__name__} does not state its rates: define get_lr()")

    def get_last_lr(self) -> list[Any]:
        """The rate of each group that was set last."""
        return self._last_lr

    def state_dict(self) -> dict[str, Any]:
        """All attributes but the optimiser; of functions nothing, of other callables what they hold."""
        return {name: value for name, value in self.__dict__.items() if name not in _UNSAVED}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` returned; the optimiser has to load its own."""
        self.__dict__.update({name: value for name, value in state_dict.items() if name not in _UNSAVED})


_LRScheduler = LRScheduler  # its name in older scripts


def _checked(optimizer: Any) -> Optimizer:
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
    return optimizer


def _copied(rate: Any) -> Any:
    return wrap(rate.array.copy()) if isinstance(rate, Variable) else rate


def _for_each_group(name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """An option that may be given once, or once for each group."""
    groups = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [value] * groups
    if len(value) != groups:
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups: it has {len(value)} values, there are "
            f"{groups} groups"
        )
    return list(value)


# ------------------------------------------------------------------------------------------------ that multiply


class _Multiplied(LRScheduler):
    """A schedule that says by what the first rate is multiplied at time t, apart from a least rate."""

    eta_min: float = 0.0
    _also_when_resumed = False  # whether a training that is continued begins with a step of the schedule, as PyTorch's

    def _scale(self, t: int) -> float:
        raise NotImplementedError

    def _factor(self, t: int) -> float:
        """By what the rate of the time before is multiplied."""
        now, before = self._scale(t), self._scale(t - 1)
        return 1.0 if now == before else now / before

    def get_lr(self) -> list[Any]:
        t = self.last_epoch
        if t == 0:
            factor = self._scale(0)
        elif self._is_initial and not self._also_when_resumed:
            factor = 1.0
        else:
            factor = self._factor(t)
        if factor == 1:
            return self._current()
        return [self.eta_min + (group["lr"] - self.eta_min) * factor for group in self.optimizer.param_groups]

    def _get_closed_form_lr(self) -> list[Any]:
        scale = self._scale(self.last_epoch)
        return [self.eta_min + (base - self.eta_min) * scale for base in self.base_lrs]


class StepLR(_Multiplied):
    """Multiply the rate by ``gamma`` every ``step_size`` epochs."""

    _also_when_resumed = True

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _scale(self, t: int) -> float:
        return self.gamma ** (t // self.step_size)

    def _factor(self, t: int) -> float:
        return 1.0 if t % self.step_size else self.gamma


class MultiStepLR(_Multiplied):
    """Multiply the rate by ``gamma`` at each of the ``milestones``."""

    _also_when_resumed = True

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones = Counter(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _scale(self, t: int) -> float:
        return self.gamma ** sum(count for milestone, count in self.milestones.items() if milestone <= t)

    def _factor(self, t: int) -> float:
        return self.gamma ** self.milestones.get(t, 0)


class ConstantLR(_Multiplied):
    """Multiply the rate by ``factor`` for the first ``total_iters`` epochs."""

    _also_when_resumed = True

    def __init__(self, optimizer: Optimizer, factor: float = 1 / 3, total_iters: int = 5, last_epoch: int = -1) -> None:
        if not 0 <= factor <= 1:
            raise ValueError(f"Constant multiplicative factor expected to be between 0 and 1, but got {factor}.")
        self.factor = factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def _scale(self, t: int) -> float:
        return self.factor if t < self.total_iters else 1.0


class LinearLR(_Multiplied):
    """Multiply the rate by what goes from ``start_factor`` to ``end_factor`` in ``total_iters`` epochs."""

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not 0 < start_factor <= 1:
            raise ValueError(
                f"Starting multiplicative factor expected to be greater than 0 and at most 1, but got {start_factor}."
            )
        if not 0 <= end_factor <= 1:
            raise ValueError(f"Ending multiplicative factor expected to be between 0 and 1, but got {end_factor}.")
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def _scale(self, t: int) -> float:
        return self.start_factor + (self.end_factor - self.start_factor) * min(self.total_iters, t) / self.total_iters


class ExponentialLR(_Multiplied):
    """Multiply the rate by ``gamma`` every epoch."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _scale(self, t: int) -> float:
        return self.gamma**t

    def _factor(self, t: int) -> float:
        return self.gamma


class PolynomialLR(_Multiplied):
    """Multiply the rate by ``(1 − t / total_iters) ** power``, and by 0 from ``total_iters`` on."""

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        self.total_iters = total_iters
        self.power = power
        super().__init__(optimizer, last_epoch)

    def _scale(self, t: int) -> float:
        return (1.0 - min(self.total_iters, t) / self.total_iters) ** self.power


class CosineAnnealingLR(_Multiplied):
    """Let the rate fall to ``eta_min`` along half a cosine in ``T_max`` epochs, and rise again in as many.

    Loshchilov and Hutter, 2017, without restarts.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def _scale(self, t: int) -> float:
        return (1 + math.cos(math.pi * t / self.T_max)) / 2

    def get_lr(self) -> list[Any]:
        t = self.last_epoch
        if self._is_initial or (t - 1 - self.T_max) % (2 * self.T_max):
            return super().get_lr()
        rise = self._scale(t)  # from the bottom, where there is nothing left to multiply
        return [
            group["lr"] + (base - self.eta_min) * rise
            for base, group in zip(self.base_lrs, self.optimizer.param_groups)
        ]


class _Lambdas(LRScheduler):
    """What takes functions of the epoch, one or one for each group."""

    def __init__(self, optimizer: Optimizer, lr_lambda: Any, last_epoch: int = -1) -> None:
        self.lr_lambdas = _for_each_group("lr_lambda", _checked(optimizer), lr_lambda)
        for function in self.lr_lambdas:
            if not callable(function):
                raise TypeError(f"lr_lambda should be a function, but got {type(function).__name__}")
        super().__init__(optimizer, last_epoch)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "lr_lambdas": [_held_by(function) for function in self.lr_lambdas]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        for function, held in zip(self.lr_lambdas, state_dict["lr_lambdas"]):
            if held is not None:
                function.__dict__.update(held)


def _held_by(function: Any) -> dict[str, Any] | None:
    """What a callable object holds; None for a function, which cannot be written down."""
    return None if function is None or isinstance(function, types.FunctionType) else dict(function.__dict__)


class LambdaLR(_Lambdas):
    """Set the rate to the first one times a function of the epoch.

    Parameters
    ----------
    optimizer : Optimizer
    lr_lambda : callable or list of callable
        ``lr_lambda(epoch)``, one for each group if it is a list.
    last_epoch : int
    """

    def get_lr(self) -> list[Any]:
        return [base * function(self.last_epoch) for base, function in zip(self.base_lrs, self.lr_lambdas)]


class MultiplicativeLR(_Lambdas):
    """Multiply the rate by a function of the epoch, given as `LambdaLR`'s."""

    def get_lr(self) -> list[Any]:
        if self._is_initial:
            return self._current()
        return [
            group["lr"] * function(self.last_epoch)
            for group, function in zip(self.optimizer.param_groups, self.lr_lambdas)
        ]


# ------------------------------------------------------------------------------------------------ that set


class CosineAnnealingWarmRestarts(LRScheduler):
    """Let the rate fall to ``eta_min`` along half a cosine, again and again (Loshchilov and Hutter, 2017).

    The first time takes ``T_0`` epochs, each further one ``T_mult`` times as many. ``step`` takes fractions of epochs.
    """

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        if not isinstance(T_0, int) or T_0 <= 0:
            raise ValueError(f"Expected positive integer T_0, but got {T_0}")
        if not isinstance(T_mult, int) or T_mult < 1:
            raise ValueError(f"Expected integer T_mult >= 1, but got {T_mult}")
        self.T_0 = self.T_i = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        scale = (1 + math.cos(math.pi * self.T_cur / self.T_i)) / 2
        return [self.eta_min + (base - self.eta_min) * scale for base in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Advance by one epoch, or to a certain point of time."""
        if epoch is None and self.last_epoch >= 0:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur %= self.T_i
                self.T_i *= self.T_mult
        else:
            epoch = epoch or 0
            if epoch < 0:
                raise ValueError(f"Expected non-negative epoch, but got {epoch}")
            self.T_i, self.T_cur = self.T_0, epoch
            while self.T_mult > 1 and self.T_cur >= self.T_i:
                self.T_cur -= self.T_i
                self.T_i *= self.T_mult
            self.T_cur %= self.T_i
        self.last_epoch = math.floor(epoch)
        self._set(self.get_lr())


class _Cycled(LRScheduler):
    """What lets the momentum go down while the rate goes up, if asked to; in Adam and its like that is β₁."""

    cycle_momentum: bool

    def _start_momentum(self, optimizer: Optimizer, base: Any, most: Any, last_epoch: int) -> None:
        self.use_beta1 = "betas" in optimizer.defaults
        if not self.use_beta1 and "momentum" not in optimizer.defaults:
            raise ValueError("optimizer must support momentum or beta1 with `cycle_momentum` option enabled")
        self.base_momentums = _for_each_group("base_momentum", optimizer, base)
        self.max_momentums = _for_each_group("max_momentum", optimizer, most)
        if last_epoch == -1:
            for group, low, high in zip(optimizer.param_groups, self.base_momentums, self.max_momentums):
                group.update(base_momentum=low, max_momentum=high)
                self._set_momentum(group, high)

    def _set_momentum(self, group: dict[str, Any], momentum: float) -> None:
        group.update(betas=(momentum, *group["betas"][1:])) if self.use_beta1 else group.update(momentum=momentum)


class CyclicLR(_Cycled):
    """Let the rate go up and down between two bounds (Smith, 2017).

    Parameters
    ----------
    optimizer : Optimizer
    base_lr, max_lr : float or list of float
        The bounds, one for each group if it is a list.
    step_size_up, step_size_down : int
        How many steps it goes up, and down.
    mode : {"triangular", "triangular2", "exp_range"}
        Whether all cycles are of the same height, each of half the height of the last, or scaled by ``gamma ** step``.
    gamma : float
    scale_fn : callable, optional
        Scales the height in place of ``mode``.
    scale_mode : {"cycle", "iterations"}
        What ``scale_fn`` is a function of: the number of the cycle (from 1), or of the step.
    cycle_momentum : bool
        Let the momentum go from ``max_momentum`` down to ``base_momentum`` while the rate goes up.
    base_momentum, max_momentum : float or list of float
    last_epoch : int
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: Any,
        max_lr: Any,
        step_size_up: float = 2000,
        step_size_down: float | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: Any = 0.8,
        max_momentum: Any = 0.9,
        last_epoch: int = -1,
    ) -> None:
        self.optimizer = _checked(optimizer)
        if mode not in ("triangular", "triangular2", "exp_range") and scale_fn is None:
            raise ValueError(
                f"mode is invalid and scale_fn is None: {mode!r} is not triangular, triangular2, exp_range"
            )
        base_lrs = _for_each_group("base_lr", optimizer, base_lr)
        self.max_lrs = _for_each_group("max_lr", optimizer, max_lr)
        if last_epoch == -1:
            self._set(base_lrs)
        self.total_size = float(step_size_up) + float(step_size_up if step_size_down is None else step_size_down)
        self.step_ratio = step_size_up / self.total_size
        self.mode = mode
        self.gamma = gamma
        self._scale_fn = scale_fn
        self.scale_mode = scale_mode if scale_fn else "iterations" if mode == "exp_range" else "cycle"
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self._start_momentum(optimizer, base_momentum, max_momentum, last_epoch)
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def scale_fn(self, x: float) -> float:
        """By what the height of a cycle is multiplied."""
        if self._scale_fn is not None:
            return self._scale_fn(x)
        return {"triangular": 1.0, "triangular2": 0.5 ** (x - 1), "exp_range": self.gamma**x}[self.mode]

    def get_lr(self) -> list[Any]:
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        height = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        height *= self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            for group, low, high in zip(self.optimizer.param_groups, self.base_momentums, self.max_momentums):
                self._set_momentum(group, high - (high - low) * height)
        return [low + (high - low) * height for low, high in zip(self.base_lrs, self.max_lrs)]

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "_scale_fn_custom": _held_by(self._scale_fn)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        held = self.__dict__.pop("_scale_fn_custom", None)
        if held is not None:
            self._scale_fn.__dict__.update(held)


class OneCycleLR(_Cycled):
    """Let the rate rise once and then fall to almost nothing; to be stepped after every batch (Smith and Topin, 2018).

    Parameters
    ----------
    optimizer : Optimizer
    max_lr : float or list of float
    total_steps, epochs, steps_per_epoch : int
        The number of all steps, or what it is the product of.
    pct_start : float
        The part of the steps in which the rate rises.
    anneal_strategy : {"cos", "linear"}
    cycle_momentum : bool
        Let the momentum fall from ``max_momentum`` to ``base_momentum`` and rise again.
    base_momentum, max_momentum : float or list of float
    div_factor, final_div_factor : float
        The first rate is ``max_lr / div_factor``, the last one the first divided by ``final_div_factor``.
    three_phase : bool
        Fall to the first rate as fast as it rose, then to the last.
    last_epoch : int
        The last step that was taken.

    Raises
    ------
    ValueError
        The number of steps is not given, or there are more; ``pct_start`` or ``anneal_strategy`` is something else; or
        the optimiser knows no momentum that could be cycled.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: Any,
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: Any = 0.85,
        max_momentum: Any = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        self.optimizer = _checked(optimizer)
        if total_steps is None and (epochs is None or steps_per_epoch is None):
            raise ValueError("You must define either total_steps OR (epochs AND steps_per_epoch)")
        counts = {"epochs": epochs, "steps_per_epoch": steps_per_epoch} if total_steps is None else {
            "total_steps": total_steps
        }  # fmt: skip
        self.total_steps = 1
        for name, count in counts.items():
            if not isinstance(count, int) or count <= 0:
                raise ValueError(f"Expected positive integer {name}, but got {count}")
            self.total_steps *= count
        if not isinstance(pct_start, float) or not 0 <= pct_start <= 1:
            raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        self._anneal_func_type = anneal_strategy
        rise = pct_start * self.total_steps - 1  # until when, and from and to which entry of a group
        up, down = ("initial_lr", "max_lr"), ("max_momentum", "base_momentum")
        self._phases: list[tuple[float, tuple[str, str], tuple[str, str]]] = [(rise, up, down)]
        if three_phase:
            self._phases.append((2 * rise, up[::-1], down[::-1]))
            self._phases.append((self.total_steps - 1, ("initial_lr", "min_lr"), ("max_momentum", "max_momentum")))
        else:
            self._phases.append((self.total_steps - 1, ("max_lr", "min_lr"), down[::-1]))
        if last_epoch == -1:
            for group, most in zip(optimizer.param_groups, _for_each_group("max_lr", optimizer, max_lr)):
                first = most / div_factor
                group.update(initial_lr=first, max_lr=most, min_lr=first / final_div_factor)
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self._start_momentum(optimizer, base_momentum, max_momentum, last_epoch)
        super().__init__(optimizer, last_epoch)

    def _anneal(self, first: float, last: float, part: float) -> float:
        if self._anneal_func_type == "linear":
            return (last - first) * part + first
        return last + (first - last) / 2 * (1 + math.cos(math.pi * part))

    def get_lr(self) -> list[Any]:
        t = self.last_epoch
        if t > self.total_steps:
            raise ValueError(f"Tried to step {t} times. The specified number of total steps is {self.total_steps}")
        k = bisect_left([end for end, _, _ in self._phases[:-1]], t)
        start = self._phases[k - 1][0] if k else 0.0
        end, rates, momenta = self._phases[k]
        part = (t - start) / (end - start)
        if self.cycle_momentum:
            for group in self.optimizer.param_groups:
                self._set_momentum(group, self._anneal(group[momenta[0]], group[momenta[1]], part))
        return [self._anneal(group[rates[0]], group[rates[1]], part) for group in self.optimizer.param_groups]


class ReduceLROnPlateau(LRScheduler):
    """Multiply the rate by ``factor`` when a metric has not become better for more than ``patience`` epochs.

    Parameters
    ----------
    optimizer : Optimizer
    mode : {"min", "max"}
        Whether a smaller or a larger metric is better.
    factor : float
    patience : int
    threshold : float
    threshold_mode : {"rel", "abs"}
        By how much it has to become better, of the best so far or as it is.
    cooldown : int
        Epochs after a reduction that do not count.
    min_lr : float or list of float
    eps : float
        Smaller reductions are left out.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: Any = 0,
        eps: float = 1e-8,
    ) -> None:
        if factor >= 1.0:
            raise ValueError(f"Factor should be < 1.0, but got {factor}.")
        if mode not in ("min", "max"):
            raise ValueError(f"mode {mode} is unknown: it is min or max")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"threshold mode {threshold_mode} is unknown: it is rel or abs")
        self.optimizer = _checked(optimizer)
        self.min_lrs = _for_each_group("min_lr", optimizer, min_lr)
        self.default_min_lr = None if isinstance(min_lr, (list, tuple)) else min_lr
        self.factor, self.patience, self.cooldown, self.eps = factor, patience, cooldown, eps
        self.mode, self.threshold, self.threshold_mode = mode, threshold, threshold_mode
        self.last_epoch = 0
        self._last_lr = self._current()
        self._reset()

    def _reset(self) -> None:
        self.best = math.inf if self.mode == "min" else -math.inf
        self.cooldown_counter = self.num_bad_epochs = 0

    @property
    def in_cooldown(self) -> bool:
        return self.cooldown_counter > 0

    def _is_better(self, metric: float, best: float) -> bool:
        sign = 1 if self.mode == "max" else -1
        if self.threshold_mode == "rel":
            return sign * metric > sign * best * (1 + sign * self.threshold)
        return sign * metric > sign * best + self.threshold

    def step(self, metrics: Any, epoch: int | None = None) -> None:  # type: ignore[override]
        """Look at an epoch's metric, a number."""
        current = float(metrics)
        if epoch is not None:
            warnings.warn(_EPOCH, UserWarning, stacklevel=2)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self._is_better(current, self.best):
            self.best, self.num_bad_epochs = current, 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = self._current()

    def _reduce(self) -> None:
        groups = self.optimizer.param_groups
        if len(groups) != len(self.min_lrs):
            if self.default_min_lr is None:
                raise RuntimeError(
                    f"the optimizer has {len(groups)} groups now, min_lrs has {len(self.min_lrs)}: make them equal"
                )
            self.min_lrs = [self.default_min_lr] * len(groups)
        old = [float(group["lr"]) for group in groups]
        new = [max(rate * self.factor, least) for rate, least in zip(old, self.min_lrs)]
        self._set([n if o - n > self.eps else group["lr"] for o, n, group in zip(old, new, groups)])


# ------------------------------------------------------------------------------------------------ of several


class _Composed(LRScheduler):
    """What leads other schedules of one optimiser."""

    _schedulers: Sequence[LRScheduler]

    def _lead(self, optimizer: Optimizer | None, schedulers: Sequence[LRScheduler]) -> None:
        kind = type(self).__name__
        if not schedulers:
            raise ValueError(f"{kind} expects at least one scheduler, but got no scheduler.")
        for k, scheduler in enumerate(schedulers):
            if not hasattr(scheduler, "optimizer"):
                raise TypeError(f"{kind} at index {k} should have `optimizer` as its attribute.")
            if isinstance(scheduler, ReduceLROnPlateau):
                raise ValueError(
                    f"{kind} does not support `ReduceLROnPlateau` scheduler, whose `step` needs a metric, but got one "
                    f"at index {k} in the given schedulers sequence."
                )
            optimizer = optimizer or scheduler.optimizer
            if optimizer is not scheduler.optimizer:
                raise ValueError(
                    f"{kind} expects all schedulers to belong to the same optimizer, but that of "
                    f"{type(scheduler).__name__} at index {k} is another."
                )
        self._schedulers = schedulers
        self.optimizer = schedulers[0].optimizer

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "_schedulers": [scheduler.state_dict() for scheduler in self._schedulers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        for scheduler, state in zip(self._schedulers, state_dict["_schedulers"]):
            scheduler.load_state_dict(state)


class SequentialLR(_Composed):
    """One schedule after the other.

    Parameters
    ----------
    optimizer : Optimizer
    schedulers : list of LRScheduler
    milestones : list of int
        The epochs at which the second, the third, … begins, each from its own epoch 0.
    last_epoch : int
    """

    def __init__(
        self, optimizer: Optimizer, schedulers: list[LRScheduler], milestones: list[int], last_epoch: int = -1
    ) -> None:
        self._lead(optimizer, schedulers)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                "Sequential Schedulers expects number of schedulers provided to be one more than the number of "
                f"milestone points, but got {len(schedulers)} schedulers and {len(milestones)} milestones"
            )
        self._milestones = milestones
        self.last_epoch = last_epoch + 1
        # Each schedule took its first step on its own when it was made: that is undone, and the first one's done again.
        self._set(group["initial_lr"] for group in optimizer.param_groups)
        _step_back(self)
        first = schedulers[bisect_right(milestones, 0)]
        first._initial_step()
        self._last_lr = first.get_last_lr()

    def step(self) -> None:  # type: ignore[override]
        """Advance by one epoch."""
        self.last_epoch += 1
        k = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[k]
        if k > 0 and self._milestones[k - 1] == self.last_epoch:
            scheduler._update_lr(0)
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()


def _step_back(scheduler: LRScheduler) -> None:
    if isinstance(scheduler, _Composed):
        for part in scheduler._schedulers:
            _step_back(part)
    else:
        scheduler.last_epoch -= 1


class ChainedScheduler(_Composed):
    """Several schedules at the same time, each on what the one before made of the rate.

    Parameters
    ----------
    schedulers : list of LRScheduler
    optimizer : Optimizer, optional
        Theirs.
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        self._lead(optimizer, schedulers)
        self._last_lr = self._current()

    def step(self) -> None:  # type: ignore[override]
        """Advance all of them by one epoch."""
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = self._current()


__all__ = [
    "LRScheduler", "LambdaLR", "MultiplicativeLR", "StepLR", "MultiStepLR", "ConstantLR", "LinearLR", "ExponentialLR",
    "PolynomialLR", "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "CyclicLR", "OneCycleLR", "ReduceLROnPlateau",
    "SequentialLR", "ChainedScheduler",
]  # fmt: skip
