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
            np.testing.assert_allclose(f, e, rtol=1e-9, atol=1e-9)
        if any(np.abs(e).max() > 1e3 for e in expected):  # going up: agreement of numbers that explode says nothing
            break


@pytest.mark.peers
def test_what_is_printed_is_pytorchs():
    torch = pytest.importorskip("torch")
    for kind, runs in OPTIONS.items():
        for options in runs:
            theirs = getattr(torch.optim, kind.__name__)([torch.zeros(1, requires_grad=True)], **options)
            assert repr(kind(leaves()[:1], **options)) == repr(theirs)


@pytest.mark.peers
@pytest.mark.parametrize("kind, options", RUNS)
def test_a_run_continues_from_pytorchs_state(kind, options):
    torch = pytest.importorskip("torch")
    x, y = data()
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays()]
    started = getattr(torch.optim, kind.__name__)(theirs, **options)
    run(started, theirs, 3, torch.tensor(x), torch.tensor(y))
    ours = [tj.tensor(p.detach().numpy(), requires_grad=True) for p in theirs]
    optimizer = kind(ours)
    state = started.state_dict()
    state["state"] = {
        k: {n: tj.tensor(v.numpy()) if isinstance(v, torch.Tensor) else v for n, v in s.items()}
        for k, s in state["state"].items()
    }
    optimizer.load_state_dict(state)
    found = run(optimizer, ours, 3, tj.tensor(x), tj.tensor(y))
    expected = run(started, theirs, 3, torch.tensor(x), torch.tensor(y))
    for f, e in zip(found, expected):
        np.testing.assert_allclose(f, e, rtol=1e-9, atol=1e-9)


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
    assert peak < 20_000, f"{peak} bytes for a parameter of 1.6 MB"
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
