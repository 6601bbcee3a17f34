"""Random numbers: the same from the same seed, states that come back, statistics; dropout."""

from __future__ import annotations

import subprocess
import sys
import threading

import kit
import numpy as np
import pytest

import tinygrad_jac as tj
from tinygrad_jac import creation, random
from tinygrad_jac.errors import GradientError, ShapeError
from tinygrad_jac.rules import noise


@pytest.fixture(autouse=True)
def _seeded():
    before = random.get_rng_state()
    random.manual_seed(0)
    yield
    random.set_rng_state(before)


N = 20_000
NEAR = 5 / np.sqrt(N)  # five standard deviations of a mean of N numbers of variance 1

# ------------------------------------------------------------------------------------------------ generators


DRAWS = {
    "rand": lambda g: creation.rand(3, generator=g),
    "randn": lambda g: creation.randn(3, generator=g),
    "randint": lambda g: creation.randint(100, (3,), generator=g),
    "randperm": lambda g: creation.randperm(9, generator=g),
    "normal": lambda g: creation.normal(0.0, 1.0, (3,), generator=g),
    "bernoulli": lambda g: creation.bernoulli(tj.ones(30) * 0.5, generator=g),
    "multinomial": lambda g: creation.multinomial(tj.ones(30), 5, generator=g),
    "rand_like": lambda g: creation.rand_like(tj.ones(3), generator=g),
    "randn_like": lambda g: creation.randn_like(tj.ones(3), generator=g),
    "randint_like": lambda g: creation.randint_like(tj.ones(3), 100, generator=g),
}


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("own", [True, False])
def test_the_same_from_the_same_seed(name, own):
    g = random.Generator() if own else None
    source = g if own else random.default_generator
    source.manual_seed(3)
    first = DRAWS[name](g)
    state = source.get_state()
    second = DRAWS[name](g)
    assert not np.array_equal(first.array, second.array)
    source.set_state(state)
    assert np.array_equal(DRAWS[name](g).array, second.array)
    source.manual_seed(3)
    assert np.array_equal(DRAWS[name](g).array, first.array)


def test_generators_do_not_disturb_each_other():
    g = random.Generator().manual_seed(1)
    expected = creation.rand(3).tolist()
    random.manual_seed(0)
    creation.rand(5, generator=g)
    assert creation.rand(3).tolist() == expected


def test_state_is_bytes_and_complete():
    g = random.Generator().manual_seed(5)
    creation.randint(10, (3,), generator=g, dtype=tj.int64)
    g.numpy.integers(0, 2**16, dtype=np.uint32)  # leaves half of 64 bits for the next draw
    state = g.get_state()
    assert state.dtype == np.uint8
    assert state.shape == (45,)
    other = random.Generator()
    other.set_state(state)
    assert other.initial_seed() == 5
    assert np.array_equal(
        g.numpy.integers(0, 2**16, 3, dtype=np.uint32), other.numpy.integers(0, 2**16, 3, dtype=np.uint32)
    )
    kept = state.array.copy()
    g.numpy.random(3)
    assert np.array_equal(state.array, kept)


def test_seeds():
    g = random.Generator()
    assert g.manual_seed(7) is g
    assert g.initial_seed() == 7
    assert g.manual_seed(-1).initial_seed() == 2**64 - 1
    assert g.seed() == g.initial_seed()
    assert random.manual_seed(9) is random.default_generator
    assert random.initial_seed() == 9
    assert random.seed() == random.initial_seed()
    for bad in (2**64, -(2**63) - 1):
        with pytest.raises(ValueError, match="integer of 64 bits"):
            g.manual_seed(bad)
    assert random.Generator().initial_seed() == random.Generator().initial_seed()
    assert g.device.type == "cpu"


def test_what_is_not_a_state_is_refused():
    g = random.Generator()
    for bad in (tj.zeros(45), np.zeros(3, dtype=np.uint8)):
        with pytest.raises(ValueError, match="45 uint8"):
            g.set_state(bad)


def test_numpy_generators():
    own = np.random.default_rng(0)
    assert random.numpy_generator(own) is own
    assert random.numpy_generator() is random.default_generator.numpy
    with pytest.raises(TypeError, match=r"must be a tinygrad_jac\.Generator, not int"):
        creation.rand(2, generator=3)


def test_numpy_random_is_not_imported_before_it_is_needed():
    code = "import sys, tinygrad_jac.random as r; assert 'numpy.random' not in sys.modules; r.manual_seed(1).numpy"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_threads_draw_different_numbers():
    drawn: list[float] = []

    def work():
        for _ in range(200):
            drawn.extend(creation.rand(4, dtype=tj.float64).tolist())

    workers = [threading.Thread(target=work) for _ in range(4)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    assert len(set(drawn)) == len(drawn) == 4 * 200 * 4


# ------------------------------------------------------------------------------------------------ distributions


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_uniform(dtype):
    x = creation.rand(N, dtype=dtype).array.astype(float)
    assert x.min() >= 0
    assert x.max() < 1
    assert abs(x.mean() - 0.5) < NEAR / np.sqrt(12)
    assert abs(x.var() - 1 / 12) < 0.01
    y = np.empty(N, dtype)
    random.fill_uniform(y, -2, 4)
    assert y.min() >= -2
    assert y.max() <= 4
    assert abs(y.astype(float).mean() - 1) < 6 * NEAR / np.sqrt(12)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_normal(dtype):
    x = creation.randn(N, dtype=dtype).array
    assert x.dtype == dtype
    x = x.astype(float)
    assert abs(x.mean()) < NEAR
    assert abs(x.var() - 1) < 2 * NEAR
    assert abs((x**3).mean()) < 5 * NEAR
    y = np.empty((N // 2, 2), dtype).T  # any memory order
    random.fill_normal(y, 3, 0.5)
    assert abs(y.astype(float).mean() - 3) < NEAR / 2
    assert abs(y.astype(float).std() - 0.5) < NEAR


def test_normal_entry_by_entry():
    mean, std = tj.tensor([[0.0], [100.0]]), tj.tensor([1.0] * N)
    x = creation.normal(mean, std)
    assert x.shape == (2, N)
    assert x.dtype == np.float32
    assert np.abs(x.array.mean(axis=1) - [0, 100]).max() < NEAR
    assert creation.normal(mean=0.0, std=tj.ones(2)).shape == (2,)
    assert creation.normal(tj.ones(2, 3)).shape == (2, 3)
    assert creation.normal(1.0, 2.0, (4,), dtype=tj.float64, requires_grad=True).requires_grad
    assert not creation.normal(tj.ones(2, requires_grad=True), 1.0).requires_grad
    with pytest.raises(ValueError, match="std >= 0"):
        creation.normal(0.0, -1.0, (2,))
    with pytest.raises(ValueError, match="needs a size"):
        creation.normal(0.0, 1.0)


def test_integers():
    x = creation.randint(-2, 3, (N,)).array
    assert x.dtype == np.int64
    counts = np.bincount(x + 2) / N
    assert np.abs(counts - 0.2).max() < NEAR / 2
    for t in (
        creation.randint(3, (2, 2)),
        creation.randint(0, 3, (2, 2)),
        creation.randint(high=3, size=(2, 2)),
        creation.randint(0, high=3, size=[2, 2]),
        creation.randint(low=0, high=3, size=(2, 2)),
        creation.randint(3, size=(2, 2)),
        creation.randint(0, 3, size=(2, 2)),
    ):
        assert t.shape == (2, 2)
        assert t.array.max() < 3
    assert creation.randint(3, (2,), dtype=tj.float32).dtype == np.float32
    for bad in ((3,), (1, 2, (3,), 4)):
        with pytest.raises(TypeError, match="randint takes high and size"):
            creation.randint(*bad)
    with pytest.raises(ValueError, match="low < high, not low=3, high=3"):
        creation.randint(3, 3, (2,))


def test_permutations():
    x = creation.randperm(100)
    assert x.dtype == np.int64
    assert sorted(x.tolist()) == list(range(100))
    assert x.tolist() != list(range(100))
    assert creation.randperm(0).shape == (0,)
    assert creation.randperm(3, dtype=tj.int32).dtype == np.int32
    first = np.stack([creation.randperm(3).array for _ in range(600)])
    assert len({tuple(row) for row in first.tolist()}) == 6


def test_bernoulli():
    p = np.array([0.0, 0.2, 0.9, 1.0], dtype=np.float32)
    x = creation.bernoulli(tj.tensor(np.tile(p, (N, 1))))
    assert x.dtype == np.float32
    assert set(np.unique(x.array)) == {0, 1}
    assert np.abs(x.array.mean(axis=0) - p).max() < NEAR
    assert x.array[:, 0].sum() == 0
    assert x.array[:, 3].sum() == N
    y = creation.bernoulli(tj.zeros(N, dtype=tj.int64), 0.3)
    assert y.dtype == np.int64
    assert abs(y.array.mean() - 0.3) < NEAR
    for bad in ([1.5], [-0.1], [np.nan]):
        with pytest.raises(ValueError, match=r"within \[0, 1\]"):
            creation.bernoulli(tj.tensor(bad))


def test_exponential():
    x = np.empty(N)
    random.fill_exponential(x, 4.0)
    assert x.min() >= 0
    assert abs(x.mean() - 0.25) < NEAR / 4
    with pytest.raises(ValueError, match="rate > 0"):
        random.fill_exponential(x, 0.0)


def test_multinomial_with_replacement():
    w = np.array([0.0, 1.0, 3.0, 0.0, 4.0, 0.0])
    x = creation.multinomial(tj.tensor(w), N, replacement=True)
    assert x.dtype == np.int64
    found = np.bincount(x.array, minlength=6) / N
    assert np.abs(found - w / w.sum()).max() < NEAR
    assert found[[0, 3, 5]].sum() == 0
    assert creation.multinomial(tj.tensor([[1.0, 0.0], [0.0, 1.0]]), 3, True).tolist() == [[0, 0, 0], [1, 1, 1]]
    assert creation.multinomial(input_row := tj.tensor([0.1, 0.2]), 1).shape == (1,)
    assert input_row.tolist() == pytest.approx([0.1, 0.2])


def test_multinomial_without_replacement():
    w = np.array([1.0, 0.0, 2.0, 5.0])
    x = creation.multinomial(tj.tensor(np.tile(w, (N, 1))), 2)
    assert x.shape == (N, 2)
    assert (x.array[:, 0] != x.array[:, 1]).all()
    assert not (x.array == 1).any()
    first = np.bincount(x.array[:, 0], minlength=4) / N
    assert np.abs(first - w / w.sum()).max() < NEAR
    # The second, where the first is 3: as the weights of the rest say.
    second = x.array[x.array[:, 0] == 3, 1]
    assert abs((second == 2).mean() - 2 / 3) < 5 / np.sqrt(second.size)


@pytest.mark.parametrize(
    "weights, count, replacement, error, message",
    [
        ([1.0, 0.0], 2, False, ValueError, "draw 2 of weights of which 1 are positive; with replacement=True"),
        ([0.0, 0.0], 1, True, ValueError, "of which 0 are positive"),
        ([1.0, -1.0], 1, True, ValueError, "finite and not negative"),
        ([1.0, np.inf], 1, True, ValueError, "finite and not negative"),
        ([1.0], 0, True, ValueError, "cannot draw 0"),
        ([[[1.0]]], 1, True, ShapeError, r"one or two axes, not of shape \(1, 1, 1\)"),
    ],
)
def test_multinomial_refuses(weights, count, replacement, error, message):
    with pytest.raises(error, match=message):
        creation.multinomial(tj.tensor(weights), count, replacement)


def test_out():
    out = tj.zeros(3)
    seen = out.array
    assert creation.rand(3, out=out) is out
    assert out.array is seen
    assert out.array.all()
    creation.randn(3, out=out)
    with pytest.raises(ShapeError, match=r"out= has shape \(3,\), the numbers asked for \(2,\)"):
        creation.rand(2, out=out)
    w = tj.zeros(3, requires_grad=True)
    with pytest.raises(GradientError, match="out= requires a gradient"):
        creation.rand(3, out=w)
    with tj.no_grad():
        creation.rand(3, out=w)
    assert w.array.all()


def test_out_that_was_saved_is_noticed():
    x = tj.ones(3)
    w = tj.ones(3, requires_grad=True)
    y = (w * x).sum()
    creation.rand(3, out=x)
    with pytest.raises(GradientError, match="changed in place"):
        y.backward()


@pytest.mark.parametrize("make", [creation.rand, creation.randn])
def test_random_floats_only(make):
    with pytest.raises(TypeError, match="numbers are floats: they do not fit an array of int64"):
        make(2, dtype=tj.int64)


def test_fill_refuses():
    x = np.empty(3)
    with pytest.raises(ValueError, match=r"low <= high, not \[1, 0\)"):
        random.fill_uniform(x, 1, 0)
    with pytest.raises(ValueError, match="std >= 0, not -1"):
        random.fill_normal(x, 0, -1)


# ------------------------------------------------------------------------------------------------ dropout


def test_dropout_keeps_the_mean():
    x = tj.ones(N)
    for p in (0.1, 0.5, 0.9):
        y = noise.dropout(x, p).array
        assert y.dtype == np.float32
        assert set(np.unique(y)) == {0, np.float32(1 / (1 - p))}
        assert abs((y == 0).mean() - p) < NEAR


def test_dropout_at_the_ends():
    x = tj.tensor(kit.randn(10), requires_grad=True)
    assert noise.dropout(x, 0.5, training=False) is x
    assert noise.dropout(x, 0.0) is x
    y = noise.dropout(x, 1.0)
    assert not y.array.any()
    y.sum().backward()
    assert not x.grad.array.any()
    for p in (-0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match="dropout probability has to be between 0 and 1, but got"):
            noise.dropout(x, p, training=False)
    with pytest.raises(TypeError, match="not int64"):
        noise.dropout(tj.tensor([1, 2]))


def test_the_gradient_has_the_mask_of_the_value():
    x = tj.tensor(kit.randn(5, 4), requires_grad=True)
    y = noise.dropout(x, 0.5)
    y.backward(np.ones((5, 4)))
    assert np.array_equal(x.grad.array, np.where(y.array == 0, 0.0, 2.0))
    assert 0 < np.count_nonzero(y.array) < 20


def test_dropout_rules():
    def fixed(function):
        def run(x):
            random.manual_seed(1)
            return function(x)

        return run

    kit.check(fixed(lambda x: noise.dropout(x, 0.3)), kit.randn(3, 4))
    kit.check(fixed(lambda x: noise.dropout1d(x, 0.5)), kit.randn(2, 3, 2))
    kit.check(fixed(lambda x: noise.dropout2d(x, 0.5)), kit.randn(2, 3, 2, 2))
    kit.check(fixed(lambda x: noise.dropout3d(x, 0.5)), kit.randn(2, 3, 1, 2, 2))


@pytest.mark.parametrize(
    "function, shape, shared",
    [
        (noise.dropout1d, (6, 5, 7), 1),
        (noise.dropout1d, (30, 7), 1),
        (noise.dropout2d, (6, 5, 3, 4), 2),
        (noise.dropout2d, (6, 5, 4), 1),
        (noise.dropout3d, (6, 5, 2, 3, 2), 3),
        (noise.dropout3d, (30, 2, 3, 2), 3),
    ],
)
def test_whole_channels_are_dropped(function, shape, shared):
    y = function(np.ones(shape))
    kept = y.reshape(*shape[: len(shape) - shared], -1) != 0
    assert (kept.all(axis=-1) | ~kept.any(axis=-1)).all()
    channels = kept[..., 0]
    assert 0 < channels.sum() < channels.size
    with pytest.raises(ShapeError, match="takes an input of"):
        function(np.ones((2, 2, 2, 2, 2, 2)))


def test_dropout_in_any_memory_order():
    x = np.ascontiguousarray(np.ones((4, 5, 6, 3))).transpose(0, 3, 1, 2)
    y = noise.dropout(x, 0.5)
    assert y.shape == x.shape
    assert y.strides == x.strides
    assert abs((y == 0).mean() - 0.5) < 5 * 0.5 / np.sqrt(x.size)
    assert noise.dropout(np.broadcast_to(np.ones(50), (40, 50)), 0.5).any(axis=0).all()


def test_arrays_give_arrays_and_names_are_pytorchs():
    assert type(noise.dropout(input=np.ones(3), p=0.5, training=True, inplace=False)) is np.ndarray


@pytest.mark.peers
def test_dropout_against_pytorch():
    """Where there is no choice: evaluation, p = 0 and p = 1."""
    functional = pytest.importorskip("torch").nn.functional
    for options in (dict(training=False), dict(p=0.0), dict(p=1.0)):
        kit.compare_with_torch(
            lambda x, options=options: noise.dropout(x, **options),
            lambda x, options=options: functional.dropout(x, **options),
            kit.randn(3, 4),
        )


def test_integers_that_a_dtype_does_not_hold_are_refused():
    with pytest.raises(ValueError, match="int8 does not hold all integers from 0 to 999"):
        tj.randint(0, 1000, (5,), dtype=tj.int8)
    drawn = tj.randint(-128, 128, (2000,), dtype=tj.int8)
    assert (drawn.min().item(), drawn.max().item()) == (-128, 127)
