"""Learning rate schedules: formulas by hand, whole trajectories against PyTorch, resuming, errors."""

from __future__ import annotations

import copy
import math
import warnings

import numpy as np
import pytest

import tinygrad_jac as tj
from tinygrad_jac import optim
from tinygrad_jac.optim import lr_scheduler


class Wave:
    """A callable with something to remember."""

    def __init__(self, period):
        self.period = period

    def __call__(self, epoch):
        return 1.5 + math.sin(epoch / self.period)


# For each schedule its arguments, as functions of the library's `lr_scheduler` and the optimizer.
SCHEDULES = {
    "step": lambda s, o, **k: s.StepLR(o, step_size=3, gamma=0.5, **k),
    "multistep": lambda s, o, **k: s.MultiStepLR(o, [2, 5, 5, 11], gamma=0.3, **k),
    "multistep-0": lambda s, o, **k: s.MultiStepLR(o, [0, 4], gamma=0.3, **k),
    "constant": lambda s, o, **k: s.ConstantLR(o, factor=0.25, total_iters=4, **k),
    "constant-default": lambda s, o, **k: s.ConstantLR(o, **k),
    "linear": lambda s, o, **k: s.LinearLR(o, start_factor=0.2, end_factor=0.9, total_iters=7, **k),
    "linear-down": lambda s, o, **k: s.LinearLR(o, start_factor=1.0, end_factor=0.0, total_iters=7, **k),
    "exponential": lambda s, o, **k: s.ExponentialLR(o, gamma=0.9, **k),
    "polynomial": lambda s, o, **k: s.PolynomialLR(o, total_iters=9, power=1.7, **k),
    "cosine": lambda s, o, **k: s.CosineAnnealingLR(o, T_max=6, eta_min=0.01, **k),
    "cosine-0": lambda s, o, **k: s.CosineAnnealingLR(o, T_max=5, **k),
    "restarts": lambda s, o, **k: s.CosineAnnealingWarmRestarts(o, T_0=3, T_mult=2, eta_min=0.01, **k),
    "restarts-1": lambda s, o, **k: s.CosineAnnealingWarmRestarts(o, T_0=4, **k),
    "lambda": lambda s, o, **k: s.LambdaLR(o, lambda epoch: 0.95**epoch, **k),
    "lambdas": lambda s, o, **k: s.LambdaLR(o, [Wave(2.0), lambda epoch: 1 / (1 + epoch)], **k),
    "multiplicative": lambda s, o, **k: s.MultiplicativeLR(o, lambda epoch: 0.9 + 0.01 * epoch, **k),
    "cyclic": lambda s, o, **k: s.CyclicLR(o, 0.01, [0.1, 0.3], step_size_up=4, step_size_down=3, **k),
    "cyclic-2": lambda s, o, **k: s.CyclicLR(o, [0.01, 0.02], 0.1, 3, mode="triangular2", base_momentum=0.7, **k),
    "cyclic-exp": lambda s, o, **k: s.CyclicLR(
        o, 0.01, 0.1, 5, mode="exp_range", gamma=0.95, cycle_momentum=False, **k
    ),
    "cyclic-own": lambda s, o, **k: s.CyclicLR(o, 0.01, 0.1, 5, scale_fn=Wave(3.0), scale_mode="iterations", **k),
    "onecycle": lambda s, o, **k: s.OneCycleLR(o, [0.5, 0.2], total_steps=31, **k),
    "onecycle-3": lambda s, o, **k: s.OneCycleLR(o, 0.5, epochs=8, steps_per_epoch=4, three_phase=True, **k),
    "onecycle-linear": lambda s, o, **k: s.OneCycleLR(
        o, 0.5, total_steps=40, pct_start=0.25, anneal_strategy="linear", cycle_momentum=False, **k
    ),
}
TOGETHER = {
    "sequential": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, total_iters=4), s.CosineAnnealingLR(o, 10), s.ExponentialLR(o, 0.5)], [4, 14]
    ),
    "sequential-steps": lambda s, o: s.SequentialLR(
        o, [s.ConstantLR(o, 0.1, total_iters=3), s.StepLR(o, 4), s.LambdaLR(o, lambda k: 0.9**k)], [5, 12]
    ),
    "sequential-restarts": lambda s, o: s.SequentialLR(
        o, [s.MultiplicativeLR(o, lambda k: 0.9), s.CosineAnnealingWarmRestarts(o, 3)], [6]
    ),
    "chained": lambda s, o: s.ChainedScheduler([s.ConstantLR(o, 0.1, total_iters=5), s.ExponentialLR(o, 0.9)]),
    "chained-many": lambda s, o: s.ChainedScheduler(
        [s.CosineAnnealingLR(o, 7), s.StepLR(o, 5), s.LinearLR(o, 0.5)], optimizer=o
    ),
}
STEPS = 28


def optimizer_of(lib, kind="SGD", tensor_rate=False):
    """Two groups with rates of their own, and a parameter each that never moves."""
    ps = [lib.zeros(1, requires_grad=True) for _ in range(2)]
    rate = lib.tensor(0.4, dtype=lib.float64) if tensor_rate else 0.4
    options = {"momentum": 0.9} if kind == "SGD" else {}
    return getattr(lib.optim, kind)([{"params": ps[:1]}, {"params": ps[1:], "lr": 0.1}], lr=rate, **options)


def seen(optimizer):
    """What a schedule may have changed."""
    return [
        [float(group["lr"]), float(group["betas"][0] if "betas" in group else group["momentum"])]
        for group in optimizer.param_groups
    ]


def trajectory(optimizer, scheduler, steps, touch=None):
    """Rates and momenta over the steps; ``touch`` changes the first rate in between, as a user might."""
    found = [seen(optimizer)]
    for k in range(steps):
        optimizer.step()
        scheduler.step()
        if touch == k:
            optimizer.param_groups[0]["lr"] *= 0.5
        found.append(seen(optimizer))
        assert [float(rate) for rate in scheduler.get_last_lr()] == pytest.approx(
            [rate for rate, _ in found[-1]], rel=1 if touch == k else 1e-15
        )
    return found


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def assert_same(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


# ------------------------------------------------------------------------------------------------ PyTorch


@pytest.mark.peers
@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize("name", [*SCHEDULES, *TOGETHER])
def test_trajectories_are_pytorchs(torch, name, kind):
    make = {**SCHEDULES, **TOGETHER}[name]
    found, expected = (
        trajectory(o := optimizer_of(lib, kind), make(lib.optim.lr_scheduler, o), STEPS) for lib in (tj, torch)
    )
    assert_same(found, expected)


@pytest.mark.peers
@pytest.mark.parametrize("touch", [0, 3, 6, 12])
@pytest.mark.parametrize("name", [*SCHEDULES, *TOGETHER])
def test_a_rate_changed_by_the_user_stays_changed_where_pytorchs_does(torch, name, touch):
    make = {**SCHEDULES, **TOGETHER}[name]
    found, expected = (
        trajectory(o := optimizer_of(lib), make(lib.optim.lr_scheduler, o), STEPS, touch) for lib in (tj, torch)
    )
    assert_same(found, expected)


@pytest.mark.peers
@pytest.mark.parametrize("name", [*SCHEDULES, *TOGETHER])
def test_resumed_from_state_dicts(torch, name):
    make = {**SCHEDULES, **TOGETHER}[name]
    expected = trajectory(o := optimizer_of(torch), make(torch.optim.lr_scheduler, o), STEPS)
    first = optimizer_of(tj)
    scheduler = make(lr_scheduler, first)
    found = trajectory(first, scheduler, 9)
    states = first.state_dict(), scheduler.state_dict()
    second = optimizer_of(tj)
    resumed = make(lr_scheduler, second)
    second.load_state_dict(copy.deepcopy(states[0]))
    resumed.load_state_dict(copy.deepcopy(states[1]))
    found += trajectory(second, resumed, STEPS - 9)[1:]
    assert_same(found, expected)


@pytest.mark.peers
@pytest.mark.parametrize("name", sorted(set(SCHEDULES) - {"cyclic-own", "lambdas", "onecycle", "onecycle-3"}))
def test_resumed_from_pytorchs_state_dict(torch, name):
    theirs = optimizer_of(torch)
    started = SCHEDULES[name](torch.optim.lr_scheduler, theirs)
    trajectory(theirs, started, 9)
    ours = optimizer_of(tj)
    resumed = SCHEDULES[name](lr_scheduler, ours)
    ours.load_state_dict(theirs.state_dict())
    resumed.load_state_dict(started.state_dict())
    assert_same(trajectory(ours, resumed, 10), trajectory(theirs, started, 10))


@pytest.mark.peers
@pytest.mark.parametrize("last_epoch", [4, 5, 8])
@pytest.mark.parametrize("name", SCHEDULES)
def test_resumed_by_last_epoch(torch, name, last_epoch):
    found = []
    for lib in (tj, torch):
        first = optimizer_of(lib)
        trajectory(first, SCHEDULES[name](lib.optim.lr_scheduler, first), last_epoch)
        second = optimizer_of(lib)
        second.load_state_dict(first.state_dict())
        scheduler = SCHEDULES[name](lib.optim.lr_scheduler, second, last_epoch=last_epoch)
        assert scheduler.last_epoch == last_epoch + 1
        found.append(trajectory(second, scheduler, 10))
    assert_same(*found)


@pytest.mark.peers
@pytest.mark.parametrize("name", SCHEDULES)
def test_steps_to_an_epoch(torch, name):
    found = []
    for lib in (tj, torch):
        optimizer = optimizer_of(lib)
        scheduler = SCHEDULES[name](lib.optim.lr_scheduler, optimizer)
        optimizer.step()
        for epoch in (3, 11, 5, 0):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                scheduler.step(epoch)
            found.append(seen(optimizer))
    assert_same(found[:4], found[4:])


@pytest.mark.peers
@pytest.mark.parametrize("t_mult", [1, 3])
def test_restarts_at_fractions_of_epochs(torch, t_mult):
    found = []
    for lib in (tj, torch):
        optimizer = optimizer_of(lib)
        scheduler = lib.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 2, t_mult)
        for k in range(40):
            scheduler.step(k / 4)
            found.append(seen(optimizer))
        scheduler.step()
        found.append(seen(optimizer))
    assert_same(found[:41], found[41:])


@pytest.mark.peers
@pytest.mark.parametrize(
    "options",
    [
        dict(),
        dict(patience=1, factor=0.5, cooldown=2),
        dict(mode="max", patience=2, threshold=0.1, min_lr=[0.02, 0.05]),
        dict(mode="max", patience=1, threshold=0.05, threshold_mode="abs", eps=0.01),
        dict(patience=0, threshold=0.2, threshold_mode="abs", min_lr=0.05),
    ],
    ids=str,
)
def test_plateaus_are_pytorchs(torch, options):
    metrics = np.sin(np.arange(60) / 3) + np.random.default_rng(0).standard_normal(60) / 10
    metrics[[20, 30]] = np.nan, np.inf
    found = []
    for lib in (tj, torch):
        optimizer = optimizer_of(lib)
        scheduler = lib.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **options)
        for k, metric in enumerate(metrics):
            scheduler.step(lib.tensor(metric) if k % 2 else metric)
            found.append(seen(optimizer))
            if k == 25:
                state = copy.deepcopy(scheduler.state_dict())
                scheduler = lib.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **options)
                scheduler.load_state_dict(state)
        assert scheduler.last_epoch == 60
    assert_same(found[:60], found[60:])


def test_a_rate_that_is_a_tensor_is_filled():
    optimizer = optimizer_of(tj, tensor_rate=True)
    rate = optimizer.param_groups[0]["lr"]
    scheduler = lr_scheduler.ExponentialLR(optimizer, 0.5)
    optimizer.step()
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] is rate
    assert rate.item() == 0.2
    before = scheduler.get_last_lr()
    scheduler.step()
    assert before[0].item() == 0.2, "what was handed out is a copy"


# ------------------------------------------------------------------------------------------------ formulas


def rates(scheduler, steps):
    optimizer, found = scheduler.optimizer, []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def sgd(lr=1.0):
    return optim.SGD([tj.zeros(1, requires_grad=True)], lr=lr, momentum=0.5)


def test_by_hand():
    assert rates(lr_scheduler.StepLR(sgd(), 2, 0.5), 6) == [1, 1, 0.5, 0.5, 0.25, 0.25]
    assert rates(lr_scheduler.MultiStepLR(sgd(), [1, 3], 0.5), 5) == [1, 0.5, 0.5, 0.25, 0.25]
    assert rates(lr_scheduler.ConstantLR(sgd(), 0.25, 2), 4) == [0.25, 0.25, 1, 1]
    assert rates(lr_scheduler.LinearLR(sgd(), 0.25, 0.75, 2), 4) == pytest.approx([0.25, 0.5, 0.75, 0.75])
    assert rates(lr_scheduler.ExponentialLR(sgd(), 0.5), 3) == [1, 0.5, 0.25]
    assert rates(lr_scheduler.PolynomialLR(sgd(), 4, 2), 6) == pytest.approx([1, 9 / 16, 1 / 4, 1 / 16, 0, 0])
    half = math.sqrt(0.5) / 2
    found = rates(lr_scheduler.CosineAnnealingLR(sgd(), 4), 9)
    assert found == pytest.approx([1, 0.5 + half, 0.5, 0.5 - half, 0, 0.5 - half, 0.5, 0.5 + half, 1], abs=1e-15)
    found = rates(lr_scheduler.CosineAnnealingWarmRestarts(sgd(), 2, eta_min=0.5), 5)
    assert found == pytest.approx([1, 0.75, 1, 0.75, 1])
    assert rates(lr_scheduler.LambdaLR(sgd(2.0), lambda k: k), 3) == [0, 2, 4]
    assert rates(lr_scheduler.MultiplicativeLR(sgd(), lambda k: k), 4) == [1, 1, 2, 6]
    assert rates(lr_scheduler.CyclicLR(sgd(), 1, 3, 2), 6) == pytest.approx([1, 2, 3, 2, 1, 2])


def test_one_cycle_by_hand():
    optimizer = sgd()
    scheduler = lr_scheduler.OneCycleLR(
        optimizer, 1.0, total_steps=5, pct_start=0.6, anneal_strategy="linear", div_factor=4, final_div_factor=25
    )
    found = [(optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"])]
    for _ in range(4):
        optimizer.step()
        scheduler.step()
        found.append((optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]))
    expected = [(0.25, 0.95), (0.625, 0.9), (1, 0.85), (0.505, 0.9), (0.01, 0.95)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    scheduler.step()
    with pytest.raises(ValueError, match="Tried to step 6 times"):
        scheduler.step()


def test_rates_so_small_that_they_are_zero():
    """Powers underflow after some hundred epochs; a rate that the user then sets anew is scheduled as before."""
    optimizer = sgd()
    scheduler = lr_scheduler.ExponentialLR(optimizer, 0.01)
    rates(scheduler, 400)
    assert optimizer.param_groups[0]["lr"] == 0
    optimizer.param_groups[0]["lr"] = 1.0
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] == 0.01


def test_a_schedule_of_ones_own():
    """As PyTorch's documentation writes one."""

    class Warmup(lr_scheduler._LRScheduler):
        def __init__(self, optimizer, warmup, last_epoch=-1):
            self.warmup = warmup
            super().__init__(optimizer, last_epoch)

        def get_lr(self):
            assert self._get_lr_called_within_step
            return [base * min(1.0, (self.last_epoch + 1) / self.warmup) for base in self.base_lrs]

    scheduler = Warmup(sgd(), 4)
    assert rates(scheduler, 6) == [0.25, 0.5, 0.75, 1, 1, 1]
    assert scheduler.state_dict()["warmup"] == 4
    with pytest.raises(NotImplementedError, match="LRScheduler does not state its rates"):
        lr_scheduler.LRScheduler(sgd())


def test_callables_are_saved_by_what_they_hold():
    first, second = Wave(2.0), Wave(5.0)
    state = lr_scheduler.LambdaLR(sgd(), first).state_dict()
    assert state["lr_lambdas"] == [{"period": 2.0}]
    lr_scheduler.LambdaLR(sgd(), second).load_state_dict(state)
    assert second.period == 2.0
    assert lr_scheduler.LambdaLR(sgd(), lambda k: 1.0).state_dict()["lr_lambdas"] == [None]
    cyclic = lr_scheduler.CyclicLR(sgd(), 1, 2, scale_fn=first)
    third = Wave(7.0)
    lr_scheduler.CyclicLR(sgd(), 1, 2, scale_fn=third).load_state_dict(cyclic.state_dict())
    assert third.period == 2.0


# ------------------------------------------------------------------------------------------------ warnings and errors


def test_a_schedule_that_steps_first_warns():
    optimizer = sgd()
    scheduler = lr_scheduler.StepLR(optimizer, 1)
    with pytest.warns(UserWarning, match=r"before `optimizer.step\(\)`"):
        scheduler.step()
    scheduler.step()
    optimizer = sgd()
    scheduler = lr_scheduler.StepLR(optimizer, 1)
    optimizer.step()
    scheduler.step()


def test_epochs_are_deprecated():
    scheduler = lr_scheduler.StepLR(sgd(), 1)
    scheduler.optimizer.step()
    with pytest.warns(UserWarning, match="epoch parameter"):
        scheduler.step(3)


def test_a_group_added_later():
    optimizer = sgd()
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, min_lr=0.2)
    fixed = lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, min_lr=[0.2])
    optimizer.add_param_group({"params": [tj.zeros(1, requires_grad=True)], "lr": 0.5})
    for s in (scheduler, fixed):
        s.step(1.0)
    scheduler.step(2.0)
    assert [group["lr"] for group in optimizer.param_groups] == [0.2, 0.2]
    with pytest.raises(RuntimeError, match="2 groups now, min_lrs has 1"):
        fixed.step(2.0)


O = sgd()
ADAGRAD = optim.Adagrad([tj.zeros(1, requires_grad=True)])


@pytest.mark.parametrize(
    "make, error, text",
    [
        (lambda: lr_scheduler.StepLR([1], 3), TypeError, "list is not an Optimizer"),
        (lambda: lr_scheduler.StepLR(sgd(), 3, last_epoch=2), KeyError, "'initial_lr' is not specified"),
        (lambda: lr_scheduler.ConstantLR(O, 1.5), ValueError, "between 0 and 1, but got 1.5"),
        (lambda: lr_scheduler.LinearLR(O, 0), ValueError, "Starting multiplicative factor"),
        (lambda: lr_scheduler.LinearLR(O, 1, 2), ValueError, "Ending multiplicative factor"),
        (lambda: lr_scheduler.LambdaLR(O, [min, max]), ValueError, "it has 2 values, there are 1"),
        (lambda: lr_scheduler.MultiplicativeLR(O, 0.5), TypeError, "should be a function, but got float"),
        (lambda: lr_scheduler.CosineAnnealingWarmRestarts(O, 0), ValueError, "positive integer T_0, but got 0"),
        (lambda: lr_scheduler.CosineAnnealingWarmRestarts(O, 1, 0.5), ValueError, "T_mult >= 1, but got 0.5"),
        (lambda: lr_scheduler.CosineAnnealingWarmRestarts(O, 1).step(-1), ValueError, "non-negative epoch"),
        (lambda: lr_scheduler.CyclicLR(O, 1, 2, mode="square"), ValueError, "mode is invalid"),
        (lambda: lr_scheduler.CyclicLR(O, [1, 1], 2), ValueError, "base_lr must have the same length"),
        (lambda: lr_scheduler.CyclicLR(ADAGRAD, 1, 2), ValueError, "must support momentum or beta1"),
        (lambda: lr_scheduler.OneCycleLR(O, 1), ValueError, "You must define either total_steps"),
        (lambda: lr_scheduler.OneCycleLR(O, 1, epochs=2), ValueError, "You must define either total_steps"),
        (lambda: lr_scheduler.OneCycleLR(O, 1, 0), ValueError, "positive integer total_steps, but got 0"),
        (lambda: lr_scheduler.OneCycleLR(O, 1, None, 2, 0.5), ValueError, "positive integer steps_per_epoch"),
        (lambda: lr_scheduler.OneCycleLR(O, 1, 9, pct_start=2.0), ValueError, "between 0 and 1 pct_start"),
        (lambda: lr_scheduler.OneCycleLR(O, 1, 9, anneal_strategy="?"), ValueError, "anneal_strategy must be"),
        (lambda: lr_scheduler.ReduceLROnPlateau(O, factor=1.0), ValueError, "Factor should be < 1.0"),
        (lambda: lr_scheduler.ReduceLROnPlateau(O, "least"), ValueError, "mode least is unknown"),
        (lambda: lr_scheduler.ReduceLROnPlateau(O, threshold_mode="?"), ValueError, "threshold mode"),
        (lambda: lr_scheduler.ReduceLROnPlateau(O, min_lr=[1, 2]), ValueError, "min_lr must have the same length"),
        (lambda: lr_scheduler.SequentialLR(O, [], []), ValueError, "at least one scheduler"),
        (lambda: lr_scheduler.SequentialLR(O, [7], []), TypeError, "at index 0 should have `optimizer`"),
        (
            lambda: lr_scheduler.ChainedScheduler([lr_scheduler.ReduceLROnPlateau(O)]),
            ValueError,
            "does not support `ReduceLROnPlateau`",
        ),
        (
            lambda: lr_scheduler.ChainedScheduler([lr_scheduler.StepLR(sgd(), 1), lr_scheduler.StepLR(sgd(), 1)]),
            ValueError,
            "belong to the same optimizer",
        ),
        (
            lambda: lr_scheduler.SequentialLR(O, [lr_scheduler.StepLR(O, 1)], [3]),
            ValueError,
            "got 1 schedulers and 1 milestones",
        ),
    ],
)
def test_errors(make, error, text):
    with pytest.raises(error, match=text):
        make()
