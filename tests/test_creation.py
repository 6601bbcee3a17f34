"""Tensors from data, filled, and in ranges: values, dtypes, what is shared, what is refused; against PyTorch."""

from __future__ import annotations

import array
from types import SimpleNamespace

import kit
import numpy as np
import pytest

import tinygrad_jac as tj
from tinygrad_jac import creation
from tinygrad_jac.errors import ShapeError

F32, F64, I64, BOOL = np.dtype("float32"), np.dtype("float64"), np.dtype("int64"), np.dtype("bool")

# ------------------------------------------------------------------------------------------------ tensor


@pytest.mark.parametrize(
    "data, dtype",
    [
        (1.5, F32),
        (1, I64),
        (True, BOOL),
        ([1.0, 2.0], F32),
        ([1, 2], I64),
        ([True, False], BOOL),
        ([1, 2.5], F32),
        ([True, 2], I64),
        ([[1, 2], [3.0, 4]], F32),
        ((1, (2)), I64),
        ([], F32),
        ([[], []], F32),
        (range(3), I64),
        (np.float64(1.5), F64),
        (np.float32(1.5), F32),
        (np.int32(1), np.dtype("int32")),
        (np.arange(3.0), F64),
        (np.arange(3, dtype="uint8"), np.dtype("uint8")),
        ([np.float64(1), 2], F64),
        ([1.0, np.float64(2)], F64),
        ([np.arange(2.0), np.arange(2.0)], F64),
        ([np.arange(2), [1.5, 2.5]], F32),
        ([[1, 2], np.arange(2.0, dtype="float32")], F32),
        (1 + 2j, np.dtype("complex64")),
        ([1.0, 2j], np.dtype("complex64")),
        (array.array("d", [1.0, 2.0]), F64),
        (memoryview(np.arange(3, dtype="int16")), np.dtype("int16")),
    ],
)
def test_dtype_of_data(data, dtype):
    t = tj.tensor(data)
    assert t.dtype == dtype
    assert np.array_equal(t.array, np.array(data, dtype=dtype))
    assert type(t) is tj.Tensor
    assert t.is_leaf
    assert not t.requires_grad


def test_sequences_of_tensors():
    one, two = tj.tensor(1.0), tj.tensor(2.0)
    assert np.array_equal(tj.tensor([one, two]).array, [1, 2])
    assert tj.tensor([one, two]).dtype == F32
    assert tj.tensor([tj.tensor(1), 2.5]).dtype == F32
    assert tj.tensor([tj.tensor(1), tj.tensor(2)]).dtype == I64
    assert tj.tensor([[one, 2.0], [3, two]]).shape == (2, 2)
    assert tj.tensor([tj.ones(3, dtype=tj.float64), [1, 2, 3]]).dtype == F64
    w = tj.tensor([1.0], requires_grad=True)
    assert not tj.tensor([w, w]).requires_grad


def test_the_default_dtype_is_what_python_floats_become():
    tj.set_default_dtype(tj.float64)
    try:
        assert tj.tensor([1.0]).dtype == F64
        assert tj.tensor(1j).dtype == np.dtype("complex128")
        assert tj.zeros(2).dtype == F64
        assert creation.arange(0, 1, 0.5).dtype == F64
        assert creation.rand(2).dtype == F64
    finally:
        tj.set_default_dtype(tj.float32)


def test_data_are_copied():
    x = np.arange(3.0)
    t = tj.tensor(x)
    u = tj.tensor(t)
    x[0], t.array[1] = 9, 9
    assert np.array_equal(t.array, [0, 9, 2])
    assert np.array_equal(u.array, [0, 1, 2])


def test_dtype_given():
    assert tj.tensor([1.7, 2], dtype=tj.int64).tolist() == [1, 2]
    assert tj.tensor([0, 2], dtype=bool).tolist() == [False, True]
    assert tj.tensor(np.arange(3), dtype="float16").dtype == np.float16
    assert tj.tensor(tj.tensor([1, 2]), dtype=tj.float32).dtype == F32


def test_big_endian_data_are_converted():
    x = np.arange(3.0).astype(">f8")
    for t in (tj.tensor(x), tj.as_tensor(x), tj.tensor([x, x])[0]):
        assert t.dtype == F64
        assert t.dtype.isnative
        assert t.tolist() == [0, 1, 2]


def test_strided_read_only_and_subclassed_arrays():
    x = np.arange(6.0).reshape(2, 3)
    x.flags.writeable = False
    t = tj.tensor(x.T[::-1])
    assert np.array_equal(t.array, x.T[::-1])
    t.array[0] = 1  # a copy, hence writeable
    with pytest.warns(PendingDeprecationWarning):
        m = np.matrix([[1.0, 2.0]])
    assert type(tj.tensor(m).array) is np.ndarray
    assert type(tj.as_tensor(m).array) is np.ndarray


@pytest.mark.parametrize(
    "data, message",
    [
        ([[1, 2], [3]], r"equal lengths .*: at depth 1 one has 2 entries, another 1"),
        ([1, [2]], r"at depth 1 one has 0 entries, another 1"),
        ([[[1], [2]], [[3], [4, 5]]], r"at depth 2 one has 1 entries, another 2"),
        ([np.zeros(2), np.zeros(3)], r"at depth 1 one has 2 entries, another 3"),
        ([tj.zeros(2), 1.0], r"at depth 1 one has 2 entries, another 0"),
    ],
)
def test_ragged_data_are_refused(data, message):
    with pytest.raises(ValueError, match=message):
        tj.tensor(data)


@pytest.mark.parametrize("data", ["abc", None, [None, 1.0], {"a": 1}, ["a", "b"], np.array(["a"]), object()])
def test_what_is_not_a_number_is_refused(data):
    with pytest.raises(TypeError, match="a tensor holds numbers"):
        tj.tensor(data)


def test_integers_that_do_not_fit_are_refused():
    with pytest.raises(OverflowError):
        tj.tensor([2**63])


def test_gradients_are_for_floats():
    assert tj.tensor([1.0], requires_grad=True).requires_grad
    for data in ([1], [True], [1j]):
        with pytest.raises(TypeError, match="only floating-point"):
            tj.tensor(data, requires_grad=True)
    with pytest.raises(TypeError, match="only floating-point"):
        creation.arange(3, requires_grad=True)


def test_there_is_one_device():
    assert tj.tensor([1.0], device="cpu").tolist() == [1]
    assert tj.zeros(1, device="cpu:0").tolist() == [0]
    for make in (
        lambda d: tj.tensor([1.0], device=d),
        lambda d: tj.zeros(1, device=d),
        lambda d: creation.rand(1, device=d),
    ):
        with pytest.raises(RuntimeError, match="cuda"):
            make("cuda")


# ------------------------------------------------------------------------------------------------ sharing


def test_as_tensor_shares_where_it_can():
    x = np.arange(3.0)
    t = tj.as_tensor(x)
    x[0] = 9
    assert t.tolist() == [9, 1, 2]
    assert tj.as_tensor(t) is t
    assert tj.as_tensor(x, dtype=tj.float32).dtype == F32
    assert tj.as_tensor([1, 2]).dtype == I64
    assert tj.as_tensor(3.0).shape == ()
    assert tj.as_tensor(np.float64(3)).dtype == F64


def test_as_tensor_converts_differentiably():
    w = tj.tensor([1.0, 2.0], requires_grad=True)
    tj.as_tensor(w, dtype=tj.float64).sum().backward()
    assert w.grad.tolist() == [1, 1]


def test_from_numpy():
    x = np.arange(3)
    t = tj.from_numpy(x)
    t.array[0] = 5
    assert x[0] == 5
    with pytest.raises(TypeError, match="takes an ndarray, not list"):
        tj.from_numpy([1])
    with pytest.raises(TypeError, match="a tensor holds numbers"):
        tj.from_numpy(np.array(["a"]))
    with pytest.raises(ValueError, match=">f8, whose bytes are in the other order"):
        tj.from_numpy(np.arange(3.0).astype(">f8"))


# ------------------------------------------------------------------------------------------------ filled


@pytest.mark.parametrize("make", [tj.zeros, tj.ones, creation.empty, creation.rand, creation.randn])
def test_shapes_in_every_spelling(make):
    for t in (
        make(2, 3),
        make((2, 3)),
        make([2, 3]),
        make(size=(2, 3)),
        make(np.int64(2), 3),
        make(tj.zeros(2, 3).shape),
    ):
        assert t.shape == (2, 3)
        assert t.dtype == F32
    assert make(()).shape == make().shape == ()
    assert make(0, 2).shape == (0, 2)
    assert make(4).shape == make((4,)).shape == (4,)
    assert make(2, dtype=tj.float64, requires_grad=True).requires_grad
    with pytest.raises(ValueError, match=r"no negative sizes: \(2, -1\)"):
        make(2, -1)


def test_filled():
    assert tj.zeros(2).tolist() == [0, 0]
    assert tj.ones(2, dtype=int).dtype == I64
    assert creation.full((2, 1), 7).tolist() == [[7], [7]]
    assert creation.full((2,), 7).dtype == I64
    assert creation.full((2,), 7.0).dtype == F32
    assert creation.full((), True).dtype == BOOL
    assert creation.full((2,), 7, dtype=tj.float64).dtype == F64
    assert creation.full(size=(2,), fill_value=tj.tensor(3.0)).tolist() == [3, 3]
    with pytest.raises(ShapeError, match=r"one value, not an array of shape \(2,\)"):
        creation.full((2,), [1, 2])
    t = creation.full((2, 2), 1.0)
    t.array[0, 0] = 5
    assert t.array[1, 1] == 1


def test_like():
    x = tj.zeros(2, 3, dtype=tj.float64)
    for make in (creation.zeros_like, creation.ones_like, creation.empty_like, creation.rand_like, creation.randn_like):
        assert make(x).shape == (2, 3)
        assert make(x).dtype == F64
        assert make(x, dtype=tj.float32, requires_grad=True).dtype == F32
        assert make(x, requires_grad=True).requires_grad
        assert not make(tj.ones(2, requires_grad=True)).requires_grad
    assert creation.full_like(x, 2).array.sum() == 12
    assert creation.full_like(x, 2).dtype == F64
    assert creation.randint_like(x, 5).dtype == F64
    assert creation.zeros_like(tj.tensor([1, 2])).dtype == I64


def test_eye():
    assert np.array_equal(creation.eye(2).array, np.eye(2))
    assert np.array_equal(creation.eye(2, 3, dtype=tj.int64).array, np.eye(2, 3))
    assert creation.eye(2).dtype == F32
    assert creation.eye(0).shape == (0, 0)


# ------------------------------------------------------------------------------------------------ ranges


def test_ranges():
    assert creation.arange(3).tolist() == [0, 1, 2]
    assert creation.arange(5, 0, -2).tolist() == [5, 3, 1]
    assert creation.arange(start=1, end=4, step=2).tolist() == [1, 3]
    assert creation.arange(tj.tensor(3)).tolist() == [0, 1, 2]
    assert creation.arange(0).shape == creation.arange(2, 2).shape == (0,)
    assert creation.linspace(0, 1, 1).tolist() == [0]
    assert creation.linspace(0, 1, 0).shape == (0,)
    assert creation.linspace(1, 0, 3, requires_grad=True).requires_grad
    assert creation.linspace(start=0, end=1, steps=3).tolist() == [0, 0.5, 1]
    assert np.allclose(creation.logspace(0, 2, 3).array, [1, 10, 100])
    assert np.allclose(creation.logspace(0, 3, 4, base=2).array, [1, 2, 4, 8])


def test_long_ranges_do_not_drift():
    assert creation.arange(0, 1, 0.1, dtype=tj.float64).tolist() == [0.1 * k for k in range(10)]
    x = creation.linspace(-1, 1, 10**5 + 1, dtype=tj.float64).array
    assert x[0] == -1
    assert x[-1] == 1
    assert x[50_000] == 0
    assert np.array_equal(x, -x[::-1])


@pytest.mark.parametrize("bounds", [(3, 1), (0, 1, -1), (0, 1, 0), (0, np.inf), (0, np.nan)])
def test_ranges_that_lead_nowhere(bounds):
    with pytest.raises(ValueError, match="arange: no steps of"):
        creation.arange(*bounds)


def test_linspace_of_a_negative_number_of_steps():
    with pytest.raises(ValueError, match="must not be negative"):
        creation.linspace(0, 1, -1)


# ------------------------------------------------------------------------------------------------ PyTorch

OURS = SimpleNamespace(
    **{name: getattr(creation, name) for name in dir(creation) if not name.startswith("_")},
    **{name: getattr(tj.dtypes, name) for name in ("float16", "float32", "float64", "int32", "int64", "uint8", "bool")},
)

SAME = {
    "nested": lambda t: t.tensor([[1, 2], [3, 4.5]]),
    "bools and ints": lambda t: t.tensor([True, 2]),
    "empty": lambda t: t.tensor([]),
    "empty rows": lambda t: t.tensor([[], []]),
    "numpy scalar": lambda t: t.tensor(np.float64(0.1)),
    "float and numpy scalar": lambda t: t.tensor([0.1, np.float64(0.1)]),
    "int and float32 scalar": lambda t: t.tensor([1, np.float32(0.1)]),
    "array": lambda t: t.tensor(np.arange(3, dtype="int32")),
    "0-d tensors": lambda t: t.tensor([t.tensor(1.0), t.tensor(2)]),
    "complex": lambda t: t.tensor([1.0, 2j]),
    "truncation": lambda t: t.tensor([1.7, -1.7], dtype=t.int64),
    "full int": lambda t: t.full((2,), 3),
    "full float": lambda t: t.full((2, 1), 3.0),
    "full bool": lambda t: t.full((), True),
    "full like": lambda t: t.full_like(t.zeros(2, dtype=t.float64), 3),
    "eye": lambda t: t.eye(2, 3),
    "arange int": lambda t: t.arange(7),
    "arange negative": lambda t: t.arange(7, -2, -3),
    "arange float": lambda t: t.arange(0.0, 1.0, 0.1),
    "arange float end": lambda t: t.arange(4.5),
    "arange mixed": lambda t: t.arange(1, 3, 0.3),
    "arange dtype": lambda t: t.arange(5, dtype=t.float64),
    "arange rounding": lambda t: t.arange(0, 0.3, 0.1, dtype=t.float64),
    "arange uint8": lambda t: t.arange(250, 256, dtype=t.uint8),
    "linspace": lambda t: t.linspace(-3, 10, 7),
    "linspace double": lambda t: t.linspace(0.1, 0.7, 50, dtype=t.float64),
    "linspace int": lambda t: t.linspace(0, 10, 4, dtype=t.int64),
    "linspace int down": lambda t: t.linspace(10, -3, 8, dtype=t.int32),
    "linspace one": lambda t: t.linspace(3, 10, 1),
    "logspace": lambda t: t.logspace(-1, 1, 5, dtype=t.float64),
    "logspace base": lambda t: t.logspace(0, 4, 5, base=2.0),
    "zeros": lambda t: t.zeros(2, 0, 3),
    "ones": lambda t: t.ones((2,), dtype=t.bool),
    "ones like": lambda t: t.ones_like(t.tensor([1, 2])),
    "as_tensor": lambda t: t.as_tensor([1, 2.0]),
    "from_numpy": lambda t: t.from_numpy(np.arange(3, dtype="uint8")),
    "randint": lambda t: t.randint(5, 6, (3,)),
    "randint dtype": lambda t: t.randint(5, 6, (3,), dtype=t.float32),
    "randperm": lambda t: t.randperm(1),
    "bernoulli": lambda t: t.bernoulli(t.tensor([0.0, 1.0], dtype=t.float64)),
    "multinomial": lambda t: t.multinomial(t.tensor([[0.0, 1.0], [3.0, 0.0]]), 2, replacement=True),
    "normal": lambda t: t.normal(t.tensor([1.0, 2.0]), t.tensor([0.0, 0.0])),
    "normal size": lambda t: t.normal(2.0, 0.0, size=(2, 2)),
    "rand dtype": lambda t: t.rand(0, 2, dtype=t.float64),
}


@pytest.mark.peers
@pytest.mark.parametrize("name", SAME)
def test_against_pytorch(name):
    torch = pytest.importorskip("torch")
    found, expected = SAME[name](OURS), SAME[name](torch)
    assert str(expected.dtype) == f"torch.{found.dtype.name}"
    expected = expected.numpy()
    if found.dtype.kind == "f":
        rtol = 4 * np.finfo(found.dtype).eps
        kit.close(found.array, expected, rtol, name)
    else:
        assert found.shape == expected.shape
        assert np.array_equal(found.array, expected)
