"""What scripts do with a tensor itself: its memory, its rows, its one number, its dtype, its hooks; against PyTorch."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import tinygrad_jac as tj
from tinygrad_jac.tensor import _METHODS


def words(text):
    return text.split()


def leaf(values, **options):
    return tj.tensor(values, requires_grad=True, **options)


# ------------------------------------------------------------------------------------------------ memory


class TestViews:
    """``.data`` and basic indexing show the same memory."""

    def test_data_is_changed_through_it(self):
        p = leaf([1.0, 2.0])
        p.data += 1
        p.data.mul_(2)
        p.data[0] = 7
        assert p.tolist() == [7.0, 6.0]
        assert p.requires_grad
        p.data = tj.zeros(2)
        assert p.tolist() == [0.0, 0.0]

    def test_rows_of_data(self):
        w = leaf(np.zeros((2, 3), np.float32))
        w.data[1, :] = tj.tensor([1.0, 2.0, 3.0])
        w.data[:, 0] = 5
        assert w.tolist() == [[5.0, 0.0, 0.0], [5.0, 2.0, 3.0]]

    def test_an_entry_of_a_row(self):
        x = tj.ones(2, 3)
        x[0][1] = 0.0
        x[1].zero_()
        x[:, 2].add_(4)
        assert x.tolist() == [[1.0, 0.0, 5.0], [0.0, 0.0, 4.0]]

    def test_a_mask(self):
        x = tj.tensor([-1.0, 2.0, -3.0])
        x[x < 0] = 0.0
        assert x.tolist() == [0.0, 2.0, 0.0]
        x[tj.tensor([True, False, True])] = tj.tensor([4.0, 5.0])
        assert x.tolist() == [4.0, 2.0, 5.0]
        assert x[[0, 2]].mul_(0).tolist() == [0.0, 0.0]  # a copy, as of every index of arrays
        assert x.tolist() == [4.0, 2.0, 5.0]

    def test_repeated_indices_accumulate(self):
        x = leaf([1.0, 2.0, 3.0])
        x[tj.tensor([0, 0, 2])].sum().backward()
        assert x.grad.tolist() == [2.0, 0.0, 1.0]
        x = tj.zeros(3).index_put_((tj.tensor([1, 1]),), tj.tensor([1.0, 2.0]), accumulate=True)
        assert x.tolist() == [0.0, 3.0, 0.0]

    def test_an_assignment_into_the_graph(self):
        x, v = leaf([1.0, 2.0]), leaf(5.0)
        y = x * 2
        y[0] = v * v
        y.sum().backward()
        assert (x.grad.tolist(), v.grad.item()) == ([0.0, 2.0], 10.0)
        with pytest.raises(tj.GradientError, match="leaf tensor"):
            x[0] = 1.0
        assert x.tolist() == [1.0, 2.0]

    def test_other_shapes(self):
        x = tj.arange(6.0)
        assert x.view(2, 3).t_().stride() == (1, 3)
        assert x.resize_(2, 2).tolist() == [[0.0, 1.0], [2.0, 3.0]]
        with pytest.raises(tj.GradientError, match="resize_"):
            leaf([1.0]).resize_(2)


class TestOneNumber:
    def test_formats_compares_converts(self):
        t = tj.tensor(2.5)
        assert f"{t:.3f} {t:8.2e}" == "2.500 2.50e+00"
        assert f"{tj.tensor([1.0, 2.0])}" == "tensor([1., 2.])"
        assert t > 2
        assert t == 2.5
        assert bool(t < 3)
        assert (float(t), int(t), complex(t), round(float(t))) == (2.5, 2, 2.5 + 0j, 2)
        assert leaf(2.0).item() == 2.0

    def test_indexes(self):
        k = tj.tensor(1)
        assert ["a", "b"][k] == "b"
        assert list(range(k, 3)) == [1, 2]
        assert divmod(tj.tensor(7), 2)[1].item() == 1
        assert (k << 3).item() == 8
        with pytest.raises(TypeError, match="only integer tensors"):
            ["a"][tj.tensor(0.0)]

    def test_of_several_there_is_none(self):
        for convert in (float, int, bool, complex, lambda t: t.item()):
            with pytest.raises(ValueError, match=r"shape \(2,\)|2 entries"):
                convert(tj.ones(2))

    def test_contains_and_lengths(self):
        x = tj.tensor([[1, 2], [3, 4]])
        assert 3 in x
        assert 7 not in x
        assert (len(x), x.size(), x.size(-1), x.shape.numel()) == (2, (2, 2), 2, 4)
        assert x.shape == tj.Size([2, 2]) == (2, 2)
        assert isinstance(x.shape, tj.Size)
        with pytest.raises(TypeError, match="no length"):
            len(tj.tensor(1))


def test_rows_are_differentiable():
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    first, second = x
    (first * second).sum().backward()
    assert x.grad.tolist() == [[3.0, 4.0], [1.0, 2.0]]
    assert [row.sum().item() for row in x] == [3.0, 7.0]


def test_integers_divide_truly():
    assert (tj.tensor([1, 2]) / 2).tolist() == [0.5, 1.0]
    assert (tj.tensor(1) / 2).dtype == tj.float32
    assert (tj.tensor([7]) // 2).dtype == tj.int64
    with pytest.raises(TypeError, match="does not fit a tensor of dtype int64"):
        tj.tensor([1]).div_(2)


@pytest.mark.parametrize("mode, records", [(tj.no_grad, False), (tj.enable_grad, True), (tj.inference_mode, False)])
def test_modes_around_functions_and_generators(mode, records):
    x = leaf([1.0])

    @mode()
    def function():
        return (x * 2).requires_grad

    @mode()
    def generator():
        for _ in range(2):
            yield (x * 2).requires_grad

    with tj.set_grad_enabled(not records):
        assert function() is records
        for found in generator():
            assert found is records
            assert tj.is_grad_enabled() is not records
        with mode():
            assert (x * 2).requires_grad is records


# ------------------------------------------------------------------------------------------------ dtypes, constructors


class TestConstructors:
    def test_sizes_or_data(self):
        for make, dtype in [
            (tj.Tensor, "float32"), (tj.FloatTensor, "float32"), (tj.DoubleTensor, "float64"), (tj.LongTensor, "int64"),
            (tj.IntTensor, "int32"), (tj.ByteTensor, "uint8"), (tj.BoolTensor, "bool"), (tj.HalfTensor, "float16"),
        ]:  # fmt: skip
            assert make(2, 3).shape == make(tj.Size([2, 3])).shape == (2, 3)
            assert make().shape == (0,)
            assert (
                make([0, 1]).tolist() == make(np.array([0, 1])).tolist() == make(tj.tensor([0, 1])).tolist() == [0, 1]
            )
            assert make([[1], [0]]).dtype == dtype
        assert tj.Tensor(3).shape == (3,)
        with pytest.raises(TypeError, match="a size is an int"):
            tj.FloatTensor(1.5)

    def test_as_types(self):
        x = tj.LongTensor([1, 2])
        assert x.type() == "torch.LongTensor"
        assert (
            x.type(tj.FloatTensor).dtype == x.type("torch.FloatTensor").dtype == x.type(tj.float32).dtype == "float32"
        )
        assert isinstance(x, tj.LongTensor)
        assert isinstance(x, tj.Tensor)
        assert not isinstance(x, tj.FloatTensor)
        tj.set_default_tensor_type(tj.DoubleTensor)
        try:
            assert tj.tensor(1.0).dtype == tj.Tensor(2).dtype == tj.float64
        finally:
            tj.set_default_tensor_type("torch.FloatTensor")

    def test_new_tensors_of_the_same_kind(self):
        x = tj.ones(2, dtype=tj.float64)
        assert x.new(3).shape == (3,)
        assert x.new([1, 2]).dtype == x.new_zeros(2, 3).dtype == x.new_tensor(1).dtype == tj.float64
        assert x.new_full((2,), 3, dtype=tj.int32, device="cpu").tolist() == [3, 3]
        assert x.new_ones(1, requires_grad=True).requires_grad


def test_questions():
    x = tj.ones(2, 3)
    assert (x.ndimension(), x.nelement(), x.element_size(), x.itemsize, x.nbytes) == (2, 6, 4, 4, 24)
    assert (x.stride(), x.stride(0), x.t().is_contiguous(), x.is_leaf, x.output_nr) == ((3, 1), 3, False, True, 0)
    assert x[1:].data_ptr() - x.data_ptr() == 12
    assert x.is_floating_point()
    assert tj.is_tensor(x)
    assert not tj.is_tensor(x.array)
    assert tj.numel(x) == 6
    assert not any([x.is_cuda, x.is_sparse, x.is_complex(), x.is_shared(), x.is_pinned()])
    assert x.share_memory_() is x
    assert tj.finfo(tj.float32).eps == np.finfo("float32").eps
    assert tj.iinfo(tj.int8).max == 127
    with pytest.raises(TypeError, match="see iinfo"):
        tj.finfo(tj.int8)
    with pytest.raises(TypeError, match="see finfo"):
        tj.iinfo(tj.float32)


@pytest.mark.peers
def test_promotion_is_pytorchs():
    torch = pytest.importorskip("torch")
    names = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64", "complex64"]
    for a in names:
        for b in names:
            ours, theirs = (getattr(tj, a), getattr(tj, b)), (getattr(torch, a), getattr(torch, b))
            assert str(tj.promote_types(*ours)) == str(torch.promote_types(*theirs))[6:], (a, b)
            assert tj.can_cast(*ours) == torch.can_cast(*theirs), (a, b)
        for other in (1, 1.5, True):
            found = tj.result_type(tj.ones(2, dtype=getattr(tj, a)), other)
            assert str(found) == str(torch.result_type(torch.ones(2, dtype=getattr(torch, a)), other))[6:], (a, other)


def test_what_is_refused_says_what_to_do():
    x = tj.ones(2)
    for name, hint in [("storage", "numpy"), ("to_sparse", "sparse"), ("cuda", "CPU"), ("as_strided", "memory")]:
        with pytest.raises(AttributeError, match=hint):
            getattr(x, name)
        assert not hasattr(x, name)
    with pytest.raises(AttributeError, match="a Tensor has no attribute 'nonsense'"):
        x.nonsense  # noqa: B018


# ------------------------------------------------------------------------------------------------ gradients


class TestGradients:
    def test_backward_with_a_cotangent_and_inputs(self):
        x, w = leaf([1.0, 2.0]), leaf([3.0, 4.0])
        y = x * w
        y.backward(gradient=tj.tensor([1.0, 10.0]), retain_graph=True, inputs=[w])
        assert (x.grad, w.grad.tolist()) == (None, [1.0, 20.0])
        y.backward(tj.ones(2))
        assert (x.grad.tolist(), w.grad.tolist()) == ([3.0, 4.0], [2.0, 22.0])

    def test_retained(self):
        x = leaf([1.0])
        y = x * 3
        assert not y.retains_grad
        y.retain_grad()
        assert y.retains_grad
        (y * y).sum().backward()
        assert y.grad.tolist() == [6.0]
        assert not x.retains_grad

    def test_a_hook_after_accumulation(self):
        x, seen = leaf([1.0]), []

        def hook(tensor):
            seen.append(tensor.grad.item())
            tensor.grad = None

        handle = x.register_post_accumulate_grad_hook(hook)
        for _ in range(2):
            (x * 3).sum().backward()
        assert (seen, x.grad) == ([3.0, 3.0], None)
        handle.remove()
        (x * 3).sum().backward()
        assert x.grad.tolist() == [3.0]
        for wrong in (x * 2, tj.ones(1)):
            with pytest.raises(tj.GradientError, match="only leaves"):
                wrong.register_post_accumulate_grad_hook(hook)

    def test_switching_requires_grad(self):
        x = tj.ones(2)
        x.requires_grad = True
        assert x.requires_grad_(False).requires_grad is False
        with pytest.raises(tj.GradientError, match="only leaves can stop"):
            (leaf([1.0]) * 2).requires_grad = False
        with pytest.raises(TypeError, match="only floating-point"):
            tj.tensor([1]).requires_grad_()

    def test_copies(self):
        x = leaf([1.0, 2.0])
        for made in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
            assert made.tolist() == [1.0, 2.0]
            assert made.requires_grad
            assert made.is_leaf
            assert made.data_ptr() != x.data_ptr()


# ------------------------------------------------------------------------------------------------ in place

IN_PLACE = sorted(
    {e.partition("=")[0].rstrip("_") for names in _METHODS.values() for e in names.split() if e[-1] == "_"}
)
OPERANDS = {
    **dict.fromkeys(
        words(
            "add arctan2 atan2 bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor copysign div "
            "divide eq float_power floor_divide fmod gcd ge greater greater_equal gt heaviside hypot lcm ldexp le less "
            "less_equal logical_and logical_or logical_xor lt mul multiply ne nextafter not_equal pow remainder sub "
            "subtract true_divide xlogy"
        ),
        ("same",),
    ),
    "addcdiv": ("same", "same"),
    "addcmul": ("same", "same"),
    "addbmm": ((2, 3, 2), (2, 2, 3)),
    "baddbmm": ((2, 3, 4), (2, 4, 3)),
    "addmm": ((3, 2), (2, 3)),
    "addmv": ((3, 4), (4,)),
    "addr": ((3,), (3,)),
    "clamp": (0.4, 0.6),
    "clip": (0.4, 0.6),
    "clamp_max": (0.5,),
    "clamp_min": (0.5,),
    "lerp": ("same", 0.3),
    "cumsum": (0,),
    "cumprod": (1,),
    "renorm": (2, 0, 0.5),
    "index_add": (0, "index", (2, 3)),
    "index_copy": (0, "index", (2, 3)),
    "index_fill": (0, "index", 5.0),
    "index_put": ("indices", (2, 3)),
    "masked_fill": ("mask", 3.0),
    "masked_scatter": ("mask", (6,)),
    "put": ("index", (2,)),
    "scatter": (0, "grid", 3.0),
    "scatter_add": (0, "grid", (1, 3)),
    "scatter_reduce": (0, "grid", (1, 3), "amax"),
}
SHAPES = {"addmv": (3,), "baddbmm": (2, 3, 3)}  # of the tensor itself, (3, 3) for all others
INTEGERS = words("bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor gcd lcm")


def operands(library, name, dtype):
    constants = {
        "index": library.tensor([2, 0]),
        "indices": (library.tensor([2, 0]),),
        "mask": library.tensor([[True, False, True]] * 3),
        "grid": library.tensor([[2, 0, 1]]),
    }
    made = []
    for k, o in enumerate(OPERANDS.get(name, ())):
        shape = (3, 3) if o == "same" else o
        if isinstance(shape, tuple) and o not in constants:
            values = np.random.default_rng(k).uniform(0.2, 0.9, shape)
            values = (values * 5 + 1).astype(np.int64) if dtype == "int64" else values
            made.append(library.from_numpy(values))
        else:
            made.append(constants.get(o, o) if isinstance(o, str) else o)
    return made


@pytest.mark.peers
@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place_as_pytorch(name):
    """The values, the same memory, and the gradient of what was there, through the change."""
    torch = pytest.importorskip("torch")
    dtype = "int64" if name in INTEGERS else "float64"
    values = np.random.default_rng(9).uniform(0.15, 0.85, SHAPES.get(name, (3, 3))) + (
        1 if name in ("acosh", "arccosh") else 0
    )
    if dtype == "int64":
        values = (values * 6 + 1).astype(np.int64)
    found = []
    for library in (tj, torch):
        x = library.from_numpy(values.copy())
        if dtype == "float64":
            x.requires_grad_()
        y = x.clone()
        assert getattr(y, f"{name}_")(*operands(library, name, dtype)) is y
        if y.requires_grad and dtype == "float64":
            try:
                (y * y).sum().backward()
            except RuntimeError:
                assert library is torch  # comparisons have no derivative there
        found.append((y.detach().numpy(), None if x.grad is None else x.grad.numpy(force=True)))
    (a, da), (b, db) = found
    assert a.dtype == b.dtype
    np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
    if db is not None and name not in ("logical_and", "logical_or", "nextafter"):  # PyTorch's are of what was there
        np.testing.assert_allclose(np.zeros((3, 3)) if da is None else da, db, rtol=1e-9, atol=1e-9)


@pytest.mark.peers
def test_every_in_place_method_exists_in_pytorch():
    torch = pytest.importorskip("torch")
    assert [n for n in IN_PLACE if not hasattr(torch.Tensor, f"{n}_")] == []
    methods = {n for names in _METHODS.values() for n in (e.partition("=")[0].rstrip("_") for e in names.split())}
    assert [n for n in sorted(methods) if not hasattr(torch.Tensor, n)] == []


def test_in_place_with_keywords():
    x = tj.ones(3)
    x.add_(tj.ones(3), alpha=2).sub_(other=1).mul_(other=4).clamp_(max=7.0).lerp_(end=tj.zeros(3), weight=0.5)
    assert x.tolist() == [3.5, 3.5, 3.5]
    assert tj.sin_(x) is x
    assert tj.allclose(x, tj.full((3,), float(np.sin(3.5))))
    assert tj.tensor([7.0]).div_(2, rounding_mode="floor").item() == 3.0
    assert tj.zeros(2, 2).fill_diagonal_(3).tolist() == [[3.0, 0.0], [0.0, 3.0]]
    assert tj.tensor([1.0, 2.0]).apply_(lambda v: v * 10).map_(tj.ones(2), lambda a, b: a + b).tolist() == [11.0, 21.0]


def test_filled_at_random():
    x = tj.empty(1000)
    assert 0 <= x.random_(5).min().item() <= x.max().item() == 4
    assert 2 <= x.random_(2, 4).min().item() <= x.max().item() == 3
    assert x.random_().max().item() > 1e6
    assert (x.log_normal_() > 0).all()
    assert set(tj.full((100,), 0.5).bernoulli().tolist()) == {0.0, 1.0}
    assert tj.tensor([0.0, 1.0]).multinomial(3, replacement=True).tolist() == [1, 1, 1]
    with pytest.raises(tj.GradientError, match="leaf"):
        leaf([1.0]).random_(3)


# ------------------------------------------------------------------------------------------------ printing, exchange


def test_printing_options():
    try:
        tj.set_printoptions(precision=2, sci_mode=False)
        assert repr(tj.tensor([1e-6, 1.0])) == "tensor([0.00, 1.00])"
        tj.set_printoptions(threshold=3, edgeitems=1)
        assert repr(tj.arange(5)) == "tensor([0,  ..., 4])"
        tj.set_printoptions(profile="full")
        assert "..." not in repr(tj.arange(2000))
        with pytest.raises(ValueError, match="profile is one of"):
            tj.set_printoptions(profile="long")
    finally:
        tj.set_printoptions(profile="default")
    assert repr(tj.tensor([1 / 3])) == "tensor([0.3333])"


@pytest.mark.peers
def test_memory_is_shared_with_pytorch():
    torch = pytest.importorskip("torch")
    x = tj.ones(3)
    theirs = torch.from_dlpack(x)
    theirs[0] = 7
    assert x.tolist() == [7.0, 1.0, 1.0]
    ours = tj.from_dlpack(torch.arange(3.0))
    assert ours.tolist() == [0.0, 1.0, 2.0]
    with pytest.raises(tj.GradientError, match="detach"):
        torch.from_dlpack(leaf([1.0]))


def test_a_gradient_that_does_not_fit_is_refused():
    w = tj.ones(2, 3, requires_grad=True)
    w.grad = given = tj.zeros(2, 3)
    for wrong, error, message in (
        (tj.ones(3), tj.ShapeError, r"a gradient of shape \(3,\) does not fit a tensor of shape \(2, 3\)"),
        (
            tj.ones(2, 3).double(),
            TypeError,
            r"dtype float64 does not fit a tensor of dtype float32: .* \.to\(float32\)",
        ),
        (np.ones((2, 3), np.float32), TypeError, "a gradient is a Tensor or None, not ndarray"),
        (1.0, TypeError, "not float"),
    ):
        with pytest.raises(error, match=message):
            w.grad = wrong
        assert w.grad is given
    w.grad = None
    w.sum().backward()
    assert w.grad.tolist() == [[1, 1, 1], [1, 1, 1]]


def test_a_number_in_a_text_is_a_number():
    loss = (tj.tensor([1.0, 0.0], requires_grad=True) ** 2).mean()
    assert f"{loss}" == format(loss) == "0.5"
    assert f"{loss:.3f} {tj.tensor(True)} {tj.tensor(3)}" == "0.500 True 3"
    assert f"{tj.ones(2)}" == str(tj.ones(2))


def test_a_uint8_tensor_is_a_mask():
    v = tj.arange(4.0)
    with pytest.warns(UserWarning, match="read as a mask"):
        assert v[(v > 0).byte()].tolist() == [1.0, 2.0, 3.0]
    assert v[np.array([1, 0], np.uint8)].tolist() == [1.0, 0.0]  # NumPy's are positions


def test_of_equal_entries_topk_takes_the_first():
    x = tj.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 0.0], [2.0, 3.0, 2.0]])
    assert x.topk(1).indices.tolist() == [[0], [0], [1]]
    assert x.topk(2).indices.tolist() == [[0, 1], [0, 1], [1, 0]]
    assert x.topk(2, largest=False).indices.tolist() == [[0, 1], [2, 0], [0, 2]]


# ------------------------------------------------------------------------------------------------ copies and dtypes


@pytest.mark.parametrize("lib", ["tinygrad_jac", "torch"])
def test_a_copied_network_starts_without_gradients(lib):
    t = pytest.importorskip(lib)
    net = t.nn.Linear(2, 1)
    net(t.ones(3, 2)).sum().backward()
    assert copy.deepcopy(net).weight.grad is None
    assert copy.copy(net.weight).grad is None
    assert net.weight.grad is not None
    x = t.ones(2, requires_grad=True)
    (x * x).sum().backward()
    assert copy.deepcopy(x).grad.tolist() == [2.0, 2.0]  # a leaf that is no Parameter keeps it
    assert copy.copy(x).grad is None


@pytest.mark.parametrize("lib", ["tinygrad_jac", "torch"])
def test_masked_fill_keeps_the_dtype(lib):
    t = pytest.importorskip(lib)
    mask = t.tensor([True, False])
    for dtype in (t.bool, t.uint8, t.int64, t.float16, t.float64):
        x = t.zeros(2, dtype=dtype)
        filled = x.masked_fill(mask, 1)
        assert filled.dtype == dtype
        assert filled.tolist() == [1, 0]
        if dtype.is_floating_point if lib == "torch" else dtype.kind == "f":
            assert x.masked_fill(mask, t.tensor(1.0, dtype=t.float64)).dtype == dtype
    assert t.zeros(2, dtype=t.int64).masked_fill(mask, 7.5).tolist() == [7, 0]
    assert t.zeros(2).masked_fill(mask, float("-inf")).tolist() == [float("-inf"), 0]
    refused = RuntimeError if lib == "torch" else OverflowError
    for dtype, value in ((t.int64, float("-inf")), (t.uint8, 300), (t.uint8, -300), (t.float16, 1e9)):
        with pytest.raises(refused):
            t.zeros(2, dtype=dtype).masked_fill(mask, value)
    x = t.tensor([1, -100, 2])
    assert x.masked_fill_(x == -100, 0).tolist() == [1, 0, 2]


@pytest.mark.parametrize("lib", ["tinygrad_jac", "torch"])
@pytest.mark.parametrize(
    "divide",
    [
        lambda t, x, y: x // y,
        lambda t, x, y: x % y,
        lambda t, x, y: t.remainder(x, y),
        lambda t, x, y: t.fmod(x, y),
        lambda t, x, y: t.div(x, y, rounding_mode="floor"),
        lambda t, x, y: t.div(x, y, rounding_mode="trunc"),
        lambda t, x, y: x.floor_divide_(y),
        lambda t, x, y: x.remainder_(y),
    ],
)
def test_integers_are_not_divided_by_zero(lib, divide):
    t = pytest.importorskip(lib)
    refused = RuntimeError if lib == "torch" else ZeroDivisionError
    x = t.tensor([5, -7])
    for zero in (0, t.tensor([2, 0])):
        with pytest.raises(refused):
            divide(t, x, zero)
    if lib != "torch":  # which leaves what it was at
        assert x.tolist() == [5, -7]
    divide(t, x, 2)  # what comes out is compared elsewhere


@pytest.mark.filterwarnings("error")
def test_a_remainder_of_floats_by_zero_is_nan_without_a_warning():
    assert tj.isnan(tj.tensor([1.0, 2.0]) % 0).all()
    assert (tj.tensor([1.0, -2.0]) // 0).tolist() == [float("inf"), float("-inf")]


def test_shifts_and_views_in_pytorchs_words():
    x = tj.tensor([1, 2])
    assert (2 << x).tolist() == [4, 8]
    assert (8 >> x).tolist() == [4, 2]
    x <<= 2
    assert x.tolist() == [4, 8]
    assert tj.ones(2, 3).view(size=(3, 2)).shape == (3, 2)
    assert tj.copysign(tj.tensor([1]), tj.tensor([-1])).dtype == tj.float32
    assert tj.copysign(tj.tensor([1]), tj.tensor([-1.0], dtype=tj.float64)).dtype == tj.float64
    assert tj.add(tj.tensor([1]), tj.tensor([1]), alpha=2).tolist() == [3]
    for function in (tj.add, tj.sub):
        with pytest.raises(TypeError, match=r"alpha=1\.5 is no integer, and the sum has dtype int64"):
            function(tj.tensor([1]), tj.tensor([1]), alpha=1.5)


@pytest.mark.parametrize("lib", ["tinygrad_jac", "torch"])
def test_a_factor_of_integers_beside_floats_may_be_a_float(lib):
    t = pytest.importorskip(lib)
    x, whole = t.tensor([1.0]), t.tensor([3])
    assert t.add(x, whole, alpha=0.5).tolist() == [2.5]
    assert t.sub(x, 2, alpha=0.5).tolist() == [0.0]
    assert t.addcmul(x, whole, whole, value=0.5).tolist() == [5.5]


def test_a_shape_that_does_not_fit_in_place_is_named():
    x = tj.ones(2)
    with pytest.raises(tj.ShapeError, match=r"add: shapes \(2,\) and \(3,\) do not broadcast"):
        x.add_(tj.ones(3))
    with pytest.raises(tj.ShapeError, match=r"\(2, 2\)"):
        x.mul_(tj.ones(2, 2))
    assert x.tolist() == [1.0, 1.0]


def test_reprs_of_what_is_left_out_and_of_nothing():
    assert repr(tj.ones(2000)) == "tensor([1., 1., 1.,  ..., 1., 1., 1.])"
    assert repr(tj.zeros(0, dtype=tj.int64)) == "tensor([], dtype=int64)"
    assert repr(tj.zeros(0)) == "tensor([])"
