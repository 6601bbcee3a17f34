"""Optimisers: formulas by hand, whole runs against PyTorch, state, groups, errors, memory."""

from __future__ import annotations

import copy
import pickle
import tracemalloc

import numpy as np
import pytest

import tinygrad_jac as tj
from tinygrad_jac import nn, optim
from tinygrad_jac.errors import GradientError

OPTIONS = {
    optim.SGD: [
        dict(lr=0.1),
        dict(lr=0.05, momentum=0.9),
        dict(lr=0.05, momentum=0.9, dampening=0.3),
        dict(lr=0.05, momentum=0.8, nesterov=True),
        dict(lr=0.1, weight_decay=0.1),
        dict(lr=0.03, momentum=0.9, nesterov=True, weight_decay=0.02),
        dict(lr=0.03, momentum=0.9, dampening=0.5, weight_decay=0.02, maximize=True),
        dict(lr=0.03, maximize=True),
        dict(),
    ],
    optim.Adam: [
        dict(),
        dict(lr=0.1, betas=(0.5, 0.9), eps=1e-3),
        dict(lr=0.05, weight_decay=0.1),
        dict(lr=0.05, amsgrad=True),
        dict(lr=0.02, weight_decay=0.1, maximize=True),
        dict(lr=0.05, weight_decay=0.1, decoupled_weight_decay=True),
    ],
    optim.AdamW: [dict(), dict(lr=0.05, weight_decay=0.3), dict(lr=0.05, amsgrad=True, maximize=True)],
    optim.Adamax: [dict(), dict(lr=0.05, betas=(0.5, 0.9), eps=1e-3, weight_decay=0.1, maximize=True)],
    optim.NAdam: [
        dict(),
        dict(lr=0.01, betas=(0.5, 0.9), eps=1e-3, weight_decay=0.1, momentum_decay=0.1),
        dict(lr=0.05, weight_decay=0.1, decoupled_weight_decay=True, maximize=True),
    ],
    optim.RAdam: [
        dict(),
        dict(lr=0.05, betas=(0.5, 0.9), eps=1e-3, weight_decay=0.1),
        dict(lr=0.05, weight_decay=0.1, decoupled_weight_decay=True, maximize=True),
    ],
    optim.Adagrad: [
        dict(),
        dict(lr=0.1, lr_decay=0.1, weight_decay=0.1, initial_accumulator_value=0.5, eps=1e-3),
        dict(maximize=True),
    ],
    optim.RMSprop: [
        dict(),
        dict(lr=0.003, alpha=0.8, eps=1e-3, weight_decay=0.1),
        dict(lr=0.02, momentum=0.9),
        dict(lr=0.02, centered=True, alpha=0.9, maximize=True),
        dict(lr=0.02, centered=True, momentum=0.5, weight_decay=0.1),
    ],
    optim.Adadelta: [dict(), dict(lr=0.5, rho=0.7, eps=1e-3, weight_decay=0.1), dict(maximize=True)],
    optim.ASGD: [
        dict(),
        dict(lr=0.05, lambd=0.1, alpha=0.5, t0=5, weight_decay=0.1),
        dict(lr=0.05, t0=0, maximize=True),
    ],
    optim.Rprop: [dict(), dict(lr=0.1, etas=(0.3, 1.5), step_sizes=(0.01, 0.5)), dict(maximize=True)],
}
RUNS = [pytest.param(kind, options, id=f"{kind.__name__}-{options}") for kind in OPTIONS for options in OPTIONS[kind]]


def arrays(seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((3, 2)), rng.standard_normal(2), rng.standard_normal(())


def data(seed=1):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((20, 3)), rng.standard_normal((20, 2))


def leaves(seed=0):
    return [tj.tensor(a, requires_grad=True) for a in arrays(seed)]


def loss_of(x, y, w, b, s):
    """Not convex, and of every parameter's own curvature; in operators that both libraries have."""
    z = (x @ w + b - y) * s
    return (z * z).sum() / 20 + ((w * w).sum() - 1) ** 2 / 10


def run(optimizer, parameters, steps, x, y):
    for _ in range(steps):
        optimizer.zero_grad()
        loss_of(x, y, *parameters).backward()
        optimizer.step()
    return [np.array(p.detach().numpy()) for p in parameters]


# ------------------------------------------------------------------------------------------------ formulas


def one(kind, gradients, **options):
    """What one number, at first 1, becomes under given gradients."""
    w = tj.tensor([1.0], dtype=tj.float64, requires_grad=True)
    optimizer = kind([w], **options)
    seen = []
    for g in gradients:
        w.grad = tj.tensor([g], dtype=tj.float64)
        optimizer.step()
        seen.append(w.item())
    return seen


def test_sgd_by_hand():
    assert one(optim.SGD, [0.5, -1.0], lr=0.1) == pytest.approx([0.95, 1.05], abs=1e-15)
    # b = 0.5, then 0.9*0.5 - 1 = -0.55
    assert one(optim.SGD, [0.5, -1.0], lr=0.1, momentum=0.9) == pytest.approx([0.95, 1.005], abs=1e-15)
    # the first buffer is the gradient itself; then 0.9*0.5 - 0.75*1 = -0.3
    assert one(optim.SGD, [0.5, -1.0], lr=0.1, momentum=0.9, dampening=0.25) == pytest.approx([0.95, 0.98], abs=1e-15)
    # 0.5 + 0.9*0.5 = 0.95, then -1 + 0.9*(-0.55) = -1.495
    assert one(optim.SGD, [0.5, -1.0], lr=0.1, momentum=0.9, nesterov=True) == pytest.approx([0.905, 1.0545], abs=1e-15)
    # 0.5 + 0.2*1 = 0.7
    assert one(optim.SGD, [0.5], lr=0.1, weight_decay=0.2) == pytest.approx([0.93], abs=1e-15)
    # the decay keeps its sign when going up: -0.5 + 0.2*1 = -0.3
    assert one(optim.SGD, [0.5], lr=0.1, weight_decay=0.2, maximize=True) == pytest.approx([1.03], abs=1e-15)


def test_adam_by_hand():
    # bias corrections make the first step lr * sign(g), up to eps
    assert one(optim.Adam, [0.5], lr=0.1, eps=0.0) == pytest.approx([0.9], abs=1e-15)
    # m = (0.9*0.1*0.5 - 0.1*1) = -0.055, v = 0.999*0.001*0.25 + 0.001 = 0.00124975
    second = 0.9 - 0.1 * (-0.055 / (1 - 0.81)) / (np.sqrt(0.00124975 / (1 - 0.999**2)) + 1e-8)
    assert one(optim.Adam, [0.5, -1.0], lr=0.1)[1] == pytest.approx(second, abs=1e-8)
    # decoupled decay: 1 * (1 - 0.1*0.5), then the step
    assert one(optim.AdamW, [0.5], lr=0.1, weight_decay=0.5, eps=0.0) == pytest.approx([0.85], abs=1e-15)
    # without gradient only the decay is left
    assert one(optim.AdamW, [0.0], lr=0.1, weight_decay=0.5) == pytest.approx([0.95], abs=1e-15)


def test_adagrad_by_hand():
    # s = 0.25, then 1.25; steps of 0.5/0.5 and -1/√1.25
    assert one(optim.Adagrad, [0.5, -1.0], lr=0.1, eps=0) == pytest.approx([0.9, 0.9 + 0.1 / 1.25**0.5], abs=1e-15)
    # the second rate is 0.1 / (1 + 1)
    assert one(optim.Adagrad, [0.5, 0.0], lr=0.1, eps=0, lr_decay=1)[0] == pytest.approx(0.9, abs=1e-15)
    second = 0.9 + 0.05 / 1.25**0.5
    assert one(optim.Adagrad, [0.5, -1.0], lr=0.1, eps=0, lr_decay=1)[1] == pytest.approx(second, abs=1e-15)
    # √(0.75 + 0.25) = 1
    assert one(optim.Adagrad, [0.5], lr=0.1, eps=0, initial_accumulator_value=0.75) == pytest.approx([0.95], abs=1e-15)


def test_rmsprop_by_hand():
    # v = 0.75 * 0.25 * ... : 0.25 * 0.64 = 0.16, its root is 0.4
    assert one(optim.RMSprop, [0.8], lr=0.1, alpha=0.75, eps=0) == pytest.approx([0.8], abs=1e-15)
    # 0.1 is added to the root: 0.8 / 0.5 = 1.6
    assert one(optim.RMSprop, [0.8], lr=0.1, alpha=0.75, eps=0.1) == pytest.approx([0.84], abs=1e-15)
    # m = 0.2, v - m² = 0.16 - 0.04
    centered = 1 - 0.1 * 0.8 / 0.12**0.5
    assert one(optim.RMSprop, [0.8], lr=0.1, alpha=0.75, eps=0, centered=True) == pytest.approx([centered], abs=1e-15)
    # b = 2, then 0.5 * 2 + 0 = 1
    found = one(optim.RMSprop, [0.8, 0.0], lr=0.1, alpha=0.75, eps=0, momentum=0.5)
    assert found == pytest.approx([0.8, 0.7], abs=1e-15)


def test_adadelta_by_hand():
    # d = √0.01 / √(0.25*0.6² + 0.01) * 0.6 = 0.1 / √0.1 * 0.6
    assert one(optim.Adadelta, [0.6], rho=0.75, eps=0.01) == pytest.approx([1 - 0.06 / 0.1**0.5], abs=1e-15)


def test_adamax_by_hand():
    # the first step is lr * sign(g); then m = -0.055, u = max(0.999 * 0.5, 1)
    found = one(optim.Adamax, [0.5, -1.0], lr=0.1, eps=0)
    assert found == pytest.approx([0.9, 0.9 + 0.1 * 0.055 / 0.19], abs=1e-15)


def test_nadam_by_hand():
    # one step: both parts have the size of the gradient; with ψ = 0 all μ are β₁ / 2 = 0.45
    # θ - 0.1 * (0.55 / 0.55 * g + 0.45 / (1 - 0.45²) * 0.1 g) / |g|;  μ₁ is kept as float32
    step = 1 + 0.45 * 0.1 / (1 - 0.45**2)
    assert one(optim.NAdam, [0.5], lr=0.1, eps=0, momentum_decay=0) == pytest.approx([1 - 0.1 * step], abs=1e-7)


def test_radam_by_hand():
    # ρ is below 5 in the first steps: m / (1 - β₁ᵗ) is not scaled
    second = 0.95 - 0.1 * (-0.055 / 0.19)
    assert one(optim.RAdam, [0.5, -1.0], lr=0.1) == pytest.approx([0.95, second], abs=1e-15)


def test_rprop_by_hand():
    # first 0.1; then 0.1 * 1.5 with the same sign; then, the sign having changed, a rest; then 0.15 * 0.5 = 0.075
    found = one(optim.Rprop, [3.0, 1e-9, -2.0, -2.0], lr=0.1, etas=(0.5, 1.5))
    assert found == pytest.approx([0.9, 0.75, 0.75, 0.825], abs=1e-15)
    # step sizes stay within bounds
    assert one(optim.Rprop, [1.0, 1.0], lr=0.1, step_sizes=(1e-6, 0.11))[1] == pytest.approx(0.79, abs=1e-15)


def test_asgd_by_hand():
    w = tj.tensor([1.0], dtype=tj.float64, requires_grad=True)
    optimizer = optim.ASGD([w], lr=0.25, lambd=0.0, t0=0)
    for g in (1.0, -1.0, 2.0):  # 0.75, 1.0, 0.5
        w.grad = tj.tensor([g], dtype=tj.float64)
        optimizer.step()
    assert w.item() == 0.5
    # the weights of the average are 1, 1, 1/2
    assert optimizer.state[w]["ax"].item() == 0.75
    # decay: 1 * (1 - 0.5 * 0.25) - 0.25
    assert one(optim.ASGD, [1.0], lr=0.25, lambd=0.5) == [0.625]


# ------------------------------------------------------------------------------------------------ PyTorch


def odd_arrays(dtype=np.float64):
    """Of all shapes and layouts: 0-d, empty, transposed, strided."""
    rng = np.random.default_rng(5)
    made = rng.standard_normal((3, 4)), rng.standard_normal(()), np.zeros((2, 0)), rng.standard_normal((4, 3)).T
    return [a.astype(dtype) for a in (*made, rng.standard_normal((5, 4))[::2, ::-1], rng.standard_normal(11))]


def gradients_for(arrays, steps):
    """Of changing size and sign, and some exactly 0."""
    rng = np.random.default_rng(6)
    for k in range(steps):
        scale = 10 ** rng.uniform(-2, 1)
        found = [scale * rng.standard_normal(a.shape) for a in arrays]
        found[0][0] = 0.0
        yield [np.array(g, a.dtype, order="CF"[k % 2]) for g, a in zip(found, arrays)]


def follow(optimizer, parameters, gradients, make):
    """Steps along given gradients; one parameter gets none every third time."""
    for k, gs in enumerate(gradients):
        for n, (p, g) in enumerate(zip(parameters, gs)):
            p.grad = None if n == 5 and k % 3 == 0 else make(g)
        optimizer.step()


def leaf_of(a):
    """A leaf with the memory layout of the array."""
    return tj.from_numpy(a.copy(order="K")).requires_grad_()


@pytest.mark.peers
@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("kind, options", RUNS)
def test_steps_along_given_gradients_are_pytorchs(kind, options, dtype):
    torch = pytest.importorskip("torch")
    arrays = odd_arrays(dtype)
    ours, theirs = [leaf_of(a) for a in arrays], [torch.tensor(a.copy(), requires_grad=True) for a in arrays]
    of_torch = getattr(torch.optim, kind.__name__)
    optimizers = kind(ours, **options), of_torch(theirs, **options)
    # The same operations in another order. In float32 a few hundred roundings of 6e-8, of numbers that are up to 100
    # times what is left of them.
    tolerance = dict(rtol=1e-12, atol=1e-12) if dtype == "f8" else dict(rtol=2e-3, atol=2e-4)
    for round_trip in range(3):
        gradients = list(gradients_for(arrays, 20))
        follow(optimizers[0], ours, gradients, tj.tensor)
        follow(optimizers[1], theirs, gradients, lambda g: torch.tensor(g.copy()))
        for found, expected in zip(ours, theirs):
            np.testing.assert_allclose(found.numpy(force=True), expected.detach().numpy(), **tolerance)
        states = optimizers[0].state_dict(), optimizers[1].state_dict()
        assert states[0]["param_groups"] == states[1]["param_groups"]
        assert states[0]["state"].keys() == states[1]["state"].keys()
        for n, entries in states[1]["state"].items():
            assert states[0]["state"][n].keys() == entries.keys()
            for name, entry in entries.items():
                found = states[0]["state"][n][name]
                np.testing.assert_allclose(found.numpy(), entry.numpy(), **tolerance, err_msg=name)
                if name == "step":
                    assert found.dtype == np.float32
        # Go on with another optimiser: first with our state, then with PyTorch's.
        optimizers = kind(ours), optimizers[1]
        optimizers[0].load_state_dict(states[round_trip % 2])


@pytest.mark.parametrize("kind, options", RUNS)
def test_blocks_change_nothing(kind, options, monkeypatch):
    found = []
    for block in (1 << 20, 3):
        monkeypatch.setattr(optim.optimizer, "BLOCK", block)
        parameters = [leaf_of(a) for a in odd_arrays()]
        follow(kind(parameters, **options), parameters, gradients_for(odd_arrays(), 5), tj.tensor)
        found.append([p.tolist() for p in parameters])
    assert found[0] == found[1]


@pytest.mark.peers
@pytest.mark.parametrize("kind, options", RUNS)
def test_runs_agree_with_pytorch(kind, options):
    torch = pytest.importorskip("torch")
    ours, theirs = leaves(), [torch.tensor(a, requires_grad=True) for a in arrays()]
    optimizers = kind(ours, **options), getattr(torch.optim, kind.__name__)(theirs, **options)
    x, y = data()
    inputs = (tj.tensor(x), tj.tensor(y)), (torch.tensor(x), torch.tensor(y))
    for _ in range(6):
        found = run(optimizers[0], ours, 10, *inputs[0])
        expected = run(optimizers[1], theirs, 10, *inputs[1])
        for f, e in zip(found, expected):
            # Gradients differ by roundings, and the losses' curvature makes more of them; Rprop asks for the signs of
            # gradients that are 0 but for roundings, once it is there.
            np.testing.assert_allclose(
                f, e, **({"atol": 1e-6} if kind is optim.Rprop else {"rtol": 1e-9, "atol": 1e-9})
            )
        if any(np.abs(e).max() > 1e3 for e in expected):  # going up: agreement of numbers that explode says nothing
            break


@pytest.mark.peers
def test_what_is_printed_is_pytorchs():
    torch = pytest.importorskip("torch")
    for kind, runs in OPTIONS.items():
        for options in runs:
            theirs = getattr(torch.optim, kind.__name__)([torch.zeros(1, requires_grad=True)], **options)
            assert repr(kind(leaves()[:1], **options)) == repr(theirs)


# ------------------------------------------------------------------------------------------------ memory and the graph


@pytest.mark.parametrize("kind, options", RUNS)
def test_a_step_allocates_nothing(kind, options):
    w = tj.tensor(np.ones(200_000), requires_grad=True)
    optimizer = kind([w], **options)
    w.grad = tj.tensor(np.ones(200_000))
    for _ in range(2):
        optimizer.step()
    memory = w.array
    tracemalloc.start()
    optimizer.step()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert w.array is memory
    # Rprop makes two masks of a block's size, of one byte an entry
    most = 20_000 + (2 * optim.optimizer.BLOCK if kind is optim.Rprop else 0)
    assert peak < most, f"{peak} bytes for a parameter of 1.6 MB"
    assert (w.grad.array == 1).all(), "the gradient was changed"


def test_scratch_memory_serves_parameters_of_all_sizes():
    sizes = [(3, 4), (50,), (), (2, 0), (7, 7)]
    parameters = [tj.tensor(np.ones(n, dtype), requires_grad=True) for n in sizes for dtype in ("f4", "f8")]
    parameters.append(tj.from_numpy(np.ones((4, 3)).T).requires_grad_())  # not contiguous
    optimizer = optim.SGD(parameters, lr=0.5, weight_decay=1.0)
    for p in parameters:
        p.grad = tj.tensor(np.ones(p.shape), dtype=p.dtype)
    optimizer.step()
    for p in parameters:
        assert (p.array == 0).all()
        assert p.dtype == p.grad.dtype


def test_a_graph_that_saved_the_old_values_is_refused():
    w = tj.tensor([2.0], requires_grad=True)
    loss = (w * w).sum()
    w.grad = tj.tensor([1.0])
    optim.SGD([w], lr=0.1).step()
    with pytest.raises(GradientError, match="changed in place"):
        loss.backward()


def test_steps_are_not_recorded():
    w = tj.tensor([2.0], requires_grad=True)
    optimizer = optim.SGD([w], lr=0.25, momentum=0.5)
    (w * w).sum().backward()
    optimizer.step()
    assert w.is_leaf
    assert w.requires_grad
    assert optimizer.state[w]["momentum_buffer"].requires_grad is False
    assert w.tolist() == [1.0]


def test_parameters_without_gradient_stay():
    w, v = tj.tensor([1.0], requires_grad=True), tj.tensor([1.0], requires_grad=True)
    w.grad = tj.tensor([1.0])
    optimizer = optim.SGD([w, v], lr=0.1, weight_decay=1.0, momentum=0.9)
    optimizer.step()
    assert v.tolist() == [1.0]
    assert list(optimizer.state) == [w]


def test_closure_is_recorded_and_its_loss_returned():
    w = tj.tensor([2.0], requires_grad=True)
    optimizer = optim.SGD([w], lr=0.25)

    def closure():
        optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        return loss

    with tj.no_grad():
        assert optimizer.step(closure).item() == 4.0
    assert w.tolist() == [1.0]


def test_zero_grad():
    w = tj.tensor([2.0], requires_grad=True)
    optimizer = optim.SGD([w])
    (3 * w).sum().backward()
    kept = w.grad
    optimizer.zero_grad(set_to_none=False)
    assert w.grad is kept
    assert kept.tolist() == [0.0]
    optimizer.zero_grad()
    assert w.grad is None
    optimizer.zero_grad(set_to_none=False)


# ------------------------------------------------------------------------------------------------ groups and state


def test_groups_have_options_of_their_own():
    w, v = tj.tensor([1.0], requires_grad=True), tj.tensor([1.0], requires_grad=True)
    given = {"params": [w]}
    optimizer = optim.SGD([given, {"params": v, "lr": 0.5}], lr=0.25)
    assert given == {"params": [w]}, "the caller's dict was changed"
    w.grad, v.grad = tj.tensor([1.0]), tj.tensor([1.0])
    optimizer.step()
    assert (w.tolist(), v.tolist()) == ([0.75], [0.5])
    optimizer.param_groups[0]["lr"] = 1.0
    optimizer.step()
    assert (w.tolist(), v.tolist()) == ([-0.25], [0.0])
    u = tj.tensor([1.0], requires_grad=True)
    optimizer.add_param_group({"params": [u], "momentum": 0.5})
    assert [g["momentum"] for g in optimizer.param_groups] == [0, 0, 0.5]


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam, optim.RMSprop])
@pytest.mark.parametrize("given", [np.float64(0.1), np.array(0.1), np.array([0.1])], ids=["scalar", "0-d", "1-d"])
def test_options_of_numpy_are_weak_numbers(kind, given):
    """float32 is reckoned with in float32, to the last bit, also where the learning rate came out of NumPy."""
    found = []
    for lr in (0.1, given):
        p = nn.Parameter(tj.tensor(np.linspace(-1, 1, 1001, dtype=np.float32)))
        optimizer = kind([p], lr=lr, weight_decay=0.01)
        for _ in range(3):
            p.grad = tj.sin(7 * p).detach()
            optimizer.step()
        found.append(p.detach().numpy())
    assert found[1].dtype == np.float32
    assert np.array_equal(*found)


def test_options_may_be_tensors():
    w = tj.tensor([1.0], requires_grad=True)
    w.grad = tj.tensor([1.0])
    optim.SGD([w], lr=tj.tensor(0.25), weight_decay=tj.tensor(1.0)).step()
    assert w.tolist() == [0.5]


def test_named_parameters():
    w, v = leaves()[:2]
    optimizer = optim.SGD([("w", w), ("v", v)])
    assert optimizer.param_groups[0]["param_names"] == ["w", "v"]
    with pytest.raises(ValueError, match="names"):
        optim.SGD([("w", w), v])


@pytest.mark.parametrize("kind, options", RUNS)
def test_state_round_trip(kind, options):
    x, y = map(tj.tensor, data())
    straight = leaves()
    expected = run(kind(straight, **options), straight, 5, x, y)

    first = leaves()
    optimizer = kind(first, **options)
    run(optimizer, first, 2, x, y)
    state = optimizer.state_dict()
    assert state["param_groups"][0]["params"] == [0, 1, 2]
    second = [tj.tensor(p.array.copy(), requires_grad=True) for p in first]
    resumed = kind(second)
    resumed.load_state_dict(state)
    run(optimizer, first, 1, x, y)  # what was loaded is a copy, untouched by this
    for found, value in zip(run(resumed, second, 3, x, y), expected):
        np.testing.assert_array_equal(found, value)


def test_loaded_state_takes_the_parameters_dtype():
    w = tj.tensor([1.0, 2.0], requires_grad=True)
    optimizer = optim.Adam([w])
    w.grad = tj.ones(2)
    optimizer.step()
    v = tj.tensor(np.ones(2), requires_grad=True)
    other = optim.Adam([v])
    other.load_state_dict(optimizer.state_dict())
    assert other.state[v]["exp_avg"].dtype == np.float64
    assert other.state[v]["step"].dtype == np.float32
    assert other.state[v]["step"].item() == 1


def test_states_that_do_not_fit_are_refused():
    a, b = optim.SGD(leaves()), optim.SGD(leaves()[:2])
    with pytest.raises(ValueError, match="doesn't match the size of optimizer's group: group 0 has 2 parameters"):
        a.load_state_dict(b.state_dict())
    b.add_param_group({"params": leaves()[2:]})
    with pytest.raises(ValueError, match="different number of parameter groups: 2, the optimizer has 1"):
        a.load_state_dict(b.state_dict())


def test_copies_and_pickles_are_whole():
    x, y = map(tj.tensor, data())
    parameters = [nn.Parameter(tj.tensor(a)) for a in arrays()]
    optimizer = optim.SGD(parameters, lr=0.05, momentum=0.9)
    run(optimizer, parameters, 2, x, y)
    copies = [copy.deepcopy((parameters, optimizer)), pickle.loads(pickle.dumps((parameters, optimizer)))]
    expected = run(optimizer, parameters, 2, x, y)
    for others, other in copies:
        assert not any(o is p or np.shares_memory(o.array, p.array) for o, p in zip(others, parameters))
        for found, value in zip(run(other, others, 2, x, y), expected):
            np.testing.assert_array_equal(found, value)


# ------------------------------------------------------------------------------------------------ errors


W = tj.tensor([1.0], requires_grad=True)


@pytest.mark.parametrize(
    "make, error, text",
    [
        (lambda: optim.SGD([W], lr=-1), ValueError, "Invalid learning rate: -1"),
        (lambda: optim.SGD([W], lr=float("nan")), ValueError, "Invalid learning rate: nan"),
        (lambda: optim.SGD([W], momentum=-0.5), ValueError, "Invalid momentum value: -0.5"),
        (lambda: optim.SGD([W], weight_decay=-1), ValueError, "Invalid weight_decay value: -1"),
        (lambda: optim.SGD([W], nesterov=True), ValueError, "Nesterov momentum requires a momentum and zero dampening"),
        (lambda: optim.SGD([W], nesterov=True, momentum=0.9, dampening=0.1), ValueError, "Nesterov momentum requires"),
        (lambda: optim.Adam([W], lr=-1), ValueError, "Invalid learning rate: -1"),
        (lambda: optim.Adam([W], eps=-1), ValueError, "Invalid epsilon value: -1"),
        (lambda: optim.Adam([W], betas=(0.9, 1.0)), ValueError, "Invalid beta parameter at index 1: 1.0"),
        (lambda: optim.SGD([]), ValueError, "optimizer got an empty parameter list"),
        (lambda: optim.SGD(W), TypeError, "should be an iterable of Tensors or dicts, but got"),
        (lambda: optim.SGD([1.0]), TypeError, "can only optimize Tensors, but one of the params is float"),
        (lambda: optim.SGD([W * 2]), ValueError, "can't optimize a non-leaf Tensor"),
        (lambda: optim.SGD([{"params": {W}}]), TypeError, "need to be organized in ordered collections"),
        (lambda: optim.SGD([{"params": [W]}, {"params": [W]}]), ValueError, "appear in more than one parameter group"),
        (lambda: optim.SGD([W]).add_param_group([W]), TypeError, "param_group must be a dict"),
    ],
)
def test_errors(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_a_parameter_listed_twice_warns():
    with pytest.warns(UserWarning, match="duplicate parameters"):
        optimizer = optim.SGD([W, W])
    assert len(optimizer.param_groups[0]["params"]) == 2


def test_an_optimizer_of_ones_own():
    """As PyTorch's tutorials write one: groups, state, and a step over the gradients."""

    class Signs(optim.Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr})

        @tj.no_grad()
        def step(self):
            for group in self.param_groups:
                for p in group["params"]:
                    p -= group["lr"] * p.grad.sign()

    w = tj.tensor([1.0, 1.0], requires_grad=True)
    optimizer = Signs([w], lr=0.25)
    w.grad = tj.tensor([3.0, -7.0])
    optimizer.step()
    assert w.tolist() == [0.75, 1.25]
    with pytest.raises(NotImplementedError, match="Optimizer does not state its update"):
        optim.Optimizer([w], {}).step()


# ------------------------------------------------------------------------------------------------ hooks


def test_hooks_around_a_step():
    w = tj.tensor([1.0], requires_grad=True)
    w.grad = tj.tensor([1.0])
    optimizer, seen = optim.SGD([w], lr=0.25), []
    before = optimizer.register_step_pre_hook(lambda o, args, kwargs: seen.append(("before", o, args, w.item())))
    optimizer.register_step_post_hook(lambda o, args, kwargs: seen.append(("after", o, args, w.item())))
    optimizer.step()
    assert seen == [("before", optimizer, (optimizer,), 1.0), ("after", optimizer, (optimizer,), 0.75)]
    before.remove()
    optimizer.step()
    assert [event for event, *_ in seen[2:]] == ["after"]
    optimizer.register_step_pre_hook(lambda o, args, kwargs: (args, {"closure": lambda: 7.0}))
    assert optimizer.step() == 7.0
    optimizer.register_step_pre_hook(lambda o, args, kwargs: "nonsense")
    with pytest.raises(RuntimeError, match="must return None or a tuple of"):
        optimizer.step()


def test_hooks_run_once_where_a_step_calls_that_of_its_base():
    class Mine(optim.SGD):
        def step(self, closure=None):
            return super().step(closure)

    optimizer, seen = Mine(leaves()), []
    optimizer.register_step_pre_hook(lambda *_: seen.append(1))
    optimizer.step()
    optimizer.step()
    assert seen == [1, 1]


def test_hooks_of_state_dicts():
    optimizer, seen = optim.SGD(leaves(), lr=0.5), []
    optimizer.register_state_dict_pre_hook(lambda o: seen.append("save"))
    optimizer.register_state_dict_post_hook(lambda o, state: {**state, "more": 1})
    optimizer.register_state_dict_post_hook(lambda o, state: {**state, "more": state.get("more", 0) + 1}, prepend=True)
    optimizer.register_load_state_dict_pre_hook(lambda o, state: {k: v for k, v in state.items() if k != "more"})
    optimizer.register_load_state_dict_post_hook(lambda o: seen.append("loaded"))
    state = optimizer.state_dict()
    assert state["more"] == 1, "the hook put first ran first"
    optimizer.load_state_dict(state)
    assert seen == ["save", "loaded"]


# ------------------------------------------------------------------------------------------------ L-BFGS


def rosenbrock(w):
    return (100 * (w[1:] - w[:-1] ** 2) ** 2 + (1 - w[:-1]) ** 2).sum()


def minimise(optimizer, parameters, loss_of, steps):
    losses = []

    def closure():
        optimizer.zero_grad()
        loss = loss_of(*parameters)
        loss.backward()
        losses.append(loss.item())
        return loss

    for _ in range(steps):
        optimizer.step(closure)
    return losses


def test_lbfgs_finds_the_minimum_of_a_quadratic():
    """(w - c) A (w - c) / 2 in three variables: three directions are enough, whatever A is."""
    a = tj.tensor([[4.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 2.0]], dtype=tj.float64)
    c = tj.tensor([1.0, -2.0, 3.0], dtype=tj.float64)
    w = tj.zeros(3, dtype=tj.float64, requires_grad=True)
    optimizer = optim.LBFGS([w], line_search_fn="strong_wolfe", tolerance_change=0)
    minimise(optimizer, [w], lambda w: (w - c) @ a @ (w - c) / 2, 1)
    np.testing.assert_allclose(w.detach().numpy(), [1, -2, 3], atol=1e-6)


def test_lbfgs_by_hand():
    """w² from 3 with rate 1: first a step of length 1 (1/|g| times g), then the secant gives the minimum."""
    w = tj.tensor([3.0], dtype=tj.float64, requires_grad=True)
    optimizer = optim.LBFGS([w], max_iter=1)
    seen = []
    for _ in range(2):
        minimise(optimizer, [w], lambda w: (w * w).sum(), 1)
        seen.append(w.item())
    assert seen == [2.0, 0.0]
    assert optimizer.state[w]["func_evals"] == 2
    assert optimizer.state[w]["n_iter"] == 2


LBFGS_OPTIONS = [
    dict(lr=0.01),
    dict(line_search_fn="strong_wolfe"),
    dict(line_search_fn="strong_wolfe", lr=0.1, history_size=3, max_iter=7),
    dict(line_search_fn="strong_wolfe", max_iter=10, max_eval=4),
    dict(lr=0.005, history_size=2, tolerance_grad=1e-2, max_iter=5),
]


@pytest.mark.peers
@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("options", LBFGS_OPTIONS, ids=str)
def test_lbfgs_is_pytorchs(options, dtype):
    torch = pytest.importorskip("torch")
    start = np.array([-1.2, 1.0, 0.5, -0.3, 2.0]).astype(dtype)
    found = []
    for lib in (tj, torch):
        w = lib.tensor(start, requires_grad=True)
        v = lib.tensor(np.ones((2, 2), dtype), requires_grad=True)
        unused = lib.tensor(np.ones(3, dtype), requires_grad=True)
        optimizer = lib.optim.LBFGS([w, unused, v], **options)
        losses = minimise(optimizer, [w, v], lambda w, v: rosenbrock(w) + ((v * v).sum() - 2) ** 2, 3)
        state = optimizer.state_dict()
        other = lib.optim.LBFGS([w, unused, v])
        other.load_state_dict(state)
        losses += minimise(other, [w, v], lambda w, v: rosenbrock(w) + ((v * v).sum() - 2) ** 2, 2)
        found.append((losses, other.state_dict()["state"][0], w.detach().numpy(), unused.detach().numpy()))
    (ours, state, w, unused), (theirs, their_state, their_w, their_unused) = found
    # The history is worth 1/(y·s): each iteration multiplies roundings, of sums in another order, by the condition of
    # the problem, which is some 2500. Float32 makes other decisions after a dozen evaluations.
    many = len(theirs) if dtype == "f8" else 12
    assert len(ours) == len(theirs) or dtype == "f4"
    np.testing.assert_allclose(ours[:many], theirs[:many], rtol=1e-9 if dtype == "f8" else 5e-3, atol=1e-12)
    if dtype == "f8":
        np.testing.assert_allclose(w, their_w, rtol=1e-9)
        assert state.keys() >= their_state.keys() - {"al"}
        assert (state["n_iter"], state["func_evals"]) == (their_state["n_iter"], their_state["func_evals"])
        assert len(state["old_dirs"]) == len(their_state["old_dirs"])
    assert (unused == 1).all()
    assert (their_unused == 1).all()


@pytest.mark.peers
def test_lbfgs_continues_from_pytorchs_state():
    torch = pytest.importorskip("torch")
    theirs = torch.tensor([-1.2, 1.0], dtype=torch.float64, requires_grad=True)
    started = torch.optim.LBFGS([theirs], lr=0.1, line_search_fn="strong_wolfe", max_iter=5)
    minimise(started, [theirs], rosenbrock, 1)
    ours = tj.tensor(theirs.detach().numpy().copy(), requires_grad=True)
    optimizer = optim.LBFGS([ours])
    optimizer.load_state_dict(started.state_dict())
    found, expected = minimise(optimizer, [ours], rosenbrock, 1), minimise(started, [theirs], rosenbrock, 1)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_lbfgs_reaches_what_others_do_not():
    w = tj.tensor([-1.2, 1.0], dtype=tj.float64, requires_grad=True)
    losses = minimise(
        optim.LBFGS([w], max_iter=100, tolerance_change=0, line_search_fn="strong_wolfe"), [w], rosenbrock, 1
    )
    assert losses[-1] < 1e-12
    assert len(losses) < 60


def test_a_line_search_that_fails_leaves_the_parameters():
    """The closure raises, or what it returns is no number: the parameters are where the search began."""
    w = tj.tensor([1.0, 2.0], dtype=tj.float64, requires_grad=True)
    optimizer = optim.LBFGS([w], line_search_fn="strong_wolfe")
    calls = []

    def closure():
        calls.append(1)
        if len(calls) == 2:
            raise OSError("no more data")
        optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        return loss

    with pytest.raises(OSError, match="no more data"):
        optimizer.step(closure)
    assert w.tolist() == [1.0, 2.0]
    optimizer.step(closure)
    assert abs(w.detach().numpy()).max() < 1e-6


def test_lbfgs_where_there_is_nothing_to_do():
    w = tj.tensor([0.0, 0.0], requires_grad=True)
    assert minimise(optim.LBFGS([w]), [w], lambda w: (w * w).sum(), 2) == [0.0, 0.0]
    empty = tj.zeros(0, requires_grad=True)
    assert minimise(optim.LBFGS([empty]), [empty], lambda w: w.sum(), 1) == [0.0]


def test_a_loss_that_is_nan_ends_a_line_search():
    w = tj.tensor([2.0], dtype=tj.float64, requires_grad=True)
    optimizer = optim.LBFGS([w], lr=10, line_search_fn="strong_wolfe")
    with np.errstate(invalid="ignore"):
        minimise(optimizer, [w], lambda w: w.log().sum() + 0 * w.sqrt().sum(), 1)  # goes below 0 at once
    assert np.isfinite(optimizer.state[w]["func_evals"])


@pytest.mark.parametrize(
    "make, error, text",
    [
        (lambda: optim.LBFGS([{"params": [W]}, {"params": leaves()}]), ValueError, "doesn't support per-parameter"),
        (lambda: optim.LBFGS([W], lr=-1), ValueError, "Invalid learning rate: -1"),
        (lambda: optim.LBFGS([W], line_search_fn="armijo").step(lambda: W), RuntimeError, "only 'strong_wolfe'"),
        (lambda: optim.LBFGS([W]).step(), TypeError, "give step\\(\\) a closure"),
        (lambda: optim.RMSprop([W], alpha=-1), ValueError, "Invalid alpha value: -1"),
        (lambda: optim.RMSprop([W], momentum=-1), ValueError, "Invalid momentum value: -1"),
        (lambda: optim.Adadelta([W], rho=1.5), ValueError, "Invalid rho value: 1.5"),
        (lambda: optim.Adadelta([W], rho=-0.5), ValueError, "Invalid rho value: -0.5"),
        (lambda: optim.Adagrad([W], lr_decay=-1), ValueError, "Invalid lr_decay value: -1"),
        (lambda: optim.Adagrad([W], initial_accumulator_value=-1), ValueError, "Invalid initial_accumulator_value"),
        (lambda: optim.NAdam([W], momentum_decay=-1), ValueError, "Invalid momentum_decay value: -1"),
        (lambda: optim.RAdam([W], betas=(-0.1, 0.9)), ValueError, "Invalid beta parameter at index 0: -0.1"),
        (lambda: optim.Rprop([W], etas=(1.5, 0.5)), ValueError, "Invalid eta values: 1.5, 0.5"),
        (lambda: optim.ASGD([W], weight_decay=-1), ValueError, "Invalid weight_decay value: -1"),
        (lambda: optim.SGD([W], lr="0.1"), TypeError, "options are numbers, not str '0.1'"),
        (lambda: optim.SGD([W], lr=tj.ones(2)), ValueError, "must be 1-element"),
        (lambda: optim.Adam([W], differentiable=True), NotImplementedError, "differentiable=True is not supported"),
        (lambda: optim.SGD([{"lr": 1}]), KeyError, "needs its parameters under 'params'"),
        (lambda: optim.SGD([[W]]), TypeError, "one of the params is list"),
    ],
)
def test_errors_of_more_optimizers(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_a_state_that_does_not_fit_leaves_everything_as_it_was():
    w, v = tj.tensor([1.0, 2.0], requires_grad=True), tj.tensor([1.0], requires_grad=True)
    w.grad, v.grad = tj.ones(2), tj.ones(1)
    a, b = optim.Adam([w], lr=0.5), optim.Adam([v])
    a.step()
    b.step()
    with pytest.raises(ValueError, match=r"has 'exp_avg' of shape \(1,\) where \(2,\) is needed"):
        a.load_state_dict(b.state_dict())
    assert a.param_groups[0]["lr"] == 0.5
    assert a.state[w]["exp_avg"].shape == (2,)
    with pytest.raises(ValueError, match="a state of parameter 7, which no group lists"):
        a.load_state_dict({"state": {7: {}}, "param_groups": b.state_dict()["param_groups"]})


def test_unknown_options_of_a_group_are_kept():
    optimizer = optim.SGD([{"params": leaves(), "name": "all of them"}])
    assert optimizer.param_groups[0]["name"] == "all of them"
    assert optimizer.state_dict()["param_groups"][0]["name"] == "all of them"


def test_names_are_all_or_none():
    w, v = leaves()[:2]
    optimizer = optim.Adam([("w", w)])
    with pytest.raises(ValueError, match="with/without names"):
        optimizer.add_param_group({"params": [v]})
    optimizer.load_state_dict(optim.Adam([v]).state_dict())
    assert optimizer.param_groups[0]["param_names"] == ["w"]
