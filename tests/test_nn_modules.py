"""Modules: what they hold and how it is found, printed, saved and loaded; layers and losses against PyTorch."""

from __future__ import annotations

import copy
import pickle
from collections import OrderedDict

import numpy as np
import pytest

import tinygrad_jac as tj
from tinygrad_jac import nn


class Line(nn.Module):
    """A layer without randomness."""

    def __init__(self, inputs=2, outputs=2):
        super().__init__()
        self.weight = nn.Parameter(tj.ones(outputs, inputs))
        self.bias = nn.Parameter(tj.zeros(outputs))
        self.register_buffer("seen", tj.zeros(1))
        self.register_buffer("scratch", tj.zeros(1), persistent=False)

    def forward(self, x):
        return x @ self.weight.T + self.bias

    def extra_repr(self):
        return f"{self.weight.shape}"


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = Line(2, 3)
        self.rest = nn.Sequential(Line(3, 3), Line(3, 1))
        self.scale = nn.Parameter(tj.ones(1))

    def forward(self, x):
        return self.rest(self.first(x)) * self.scale


def names(pairs):
    return [name for name, _ in pairs]


# ------------------------------------------------------------------------------------------------ parameters


def test_parameter_shares_memory_and_gives_plain_tensors():
    data = tj.ones(2)
    p = nn.Parameter(data)
    assert p.array is data.array
    assert p.requires_grad
    assert p.is_leaf
    assert type(p * 2) is tj.Tensor
    assert not nn.Parameter(data, requires_grad=False).requires_grad
    assert nn.Parameter().shape == (0,)
    assert nn.Parameter(np.ones(2)).dtype == np.float64
    assert repr(nn.Parameter(data)) == "Parameter containing:\ntensor([1., 1.], requires_grad=True)"
    p.note = "parameters take attributes"


def test_parameter_refuses():
    with pytest.raises(TypeError, match="floating-point"):
        nn.Parameter(tj.tensor([1, 2]))
    with pytest.raises(TypeError, match="a Parameter is made of a Tensor or an ndarray, not of list"):
        nn.Parameter([1.0])


def test_parameter_of_a_computed_tensor_is_a_leaf():
    w = tj.ones(2, requires_grad=True)
    p = nn.Parameter(w * 2)
    (p * p).sum().backward()
    assert p.grad.tolist() == [4.0, 4.0]
    assert w.grad is None


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))])
def test_parameters_are_copied_with_a_place_of_their_own(duplicate):
    p = nn.Parameter(tj.ones(2), requires_grad=True)
    q = duplicate(p)
    assert type(q) is nn.Parameter
    assert not np.shares_memory(p.array, q.array)
    (q * 3).sum().backward()
    assert p.grad is None
    assert q.grad.tolist() == [3.0, 3.0]
    assert not duplicate(nn.Parameter(tj.ones(2), requires_grad=False)).requires_grad


# ------------------------------------------------------------------------------------------------ registration


def test_what_is_assigned_is_found_in_order():
    net = Net()
    assert names(net.named_parameters()) == [
        "scale", "first.weight", "first.bias", "rest.0.weight", "rest.0.bias", "rest.1.weight", "rest.1.bias",
    ]  # fmt: skip
    assert names(net.named_parameters("net", recurse=False)) == ["net.scale"]
    assert names(net.named_buffers())[:2] == ["first.seen", "first.scratch"]
    assert names(net.named_modules()) == ["", "first", "rest", "rest.0", "rest.1"]
    assert names(net.named_children()) == ["first", "rest"]
    assert [type(m) for m in net.children()] == [Line, nn.Sequential]
    assert next(net.modules()) is net
    assert len(list(net.parameters())) == 7
    assert len(list(net.buffers())) == 6
    assert {"first", "scale"} <= set(dir(net))
    assert "0" not in dir(net.rest)


def test_what_is_shared_counts_once():
    net = Net()
    net.tied = net.first.weight
    net.again = net.rest
    assert names(net.named_parameters())[:2] == ["scale", "tied"]
    assert len(list(net.parameters())) == 7
    assert names(net.named_modules()) == ["", "first", "rest", "rest.0", "rest.1"]
    assert names(net.named_children()) == ["first", "rest"]
    assert len(list(net.named_parameters(remove_duplicate=False))) == 12
    assert "again.1.bias" in net.state_dict()
    net.tied.requires_grad_(False)
    assert not net.first.weight.requires_grad


def test_tied_parameters_accumulate_and_survive_copies_and_conversions():
    net = nn.Sequential(Line(), Line())
    net[1].weight = net[0].weight
    for one in (net, copy.deepcopy(net), copy.deepcopy(net).double(), pickle.loads(pickle.dumps(net))):
        assert one[0].weight is one[1].weight
        one(tj.ones(1, 2, dtype=one[0].weight.dtype)).sum().backward()
        assert one[0].weight.grad.tolist() == [[4.0, 4.0], [4.0, 4.0]]
    assert net[0].weight.dtype == np.float32


def test_names_move_between_kinds():
    m = nn.Module()
    m.x = 1
    m.x = nn.Parameter(tj.ones(1))
    assert names(m.named_parameters()) == ["x"]
    assert "x" not in m.__dict__
    m.x = Line()
    assert names(m.named_parameters()) == ["x.weight", "x.bias"]
    del m.x
    m.register_buffer("x", tj.ones(1), persistent=False)
    m.x = tj.zeros(2)
    assert names(m.named_buffers()) == ["x"]
    assert m.x.shape == (2,)
    assert not m.state_dict()
    m.x = nn.Parameter(tj.ones(1))
    assert list(m.state_dict()) == ["x"]


def test_none_keeps_the_name():
    m = Line()
    m.bias = None
    assert m.bias is None
    assert names(m.named_parameters()) == ["weight"]
    assert "bias" not in m.state_dict()
    m.bias = nn.Parameter(tj.ones(2))
    assert names(m.named_parameters()) == ["weight", "bias"]
    m.register_parameter("more", None)
    m.register_buffer("nothing", None)
    m.add_module("child", None)
    assert m.more is m.nothing is m.child is None
    assert names(m.named_modules()) == [""]
    m.child = Line()
    m.child = None
    assert names(m.named_children()) == []


def test_deleting():
    m = Line()
    m.plain = 3
    for name in ("weight", "seen", "plain"):
        delattr(m, name)
        with pytest.raises(AttributeError, match=name):
            getattr(m, name)
    with pytest.raises(AttributeError, match="nothing"):
        del m.nothing


def test_a_missing_attribute_is_named():
    with pytest.raises(AttributeError, match="'Line' object has no attribute 'wieght'"):
        Line().wieght  # noqa: B018

    class Faulty(nn.Module):
        @property
        def size(self):
            return self.missing

    with pytest.raises(AttributeError, match="'Faulty' object has no attribute 'missing'"):
        Faulty().size  # noqa: B018


@pytest.mark.parametrize(
    "change, error, text",
    [
        (lambda m: setattr(m, "weight", tj.ones(1)), TypeError, "cannot assign 'Tensor' as parameter 'weight'"),
        (lambda m: setattr(m, "seen", 1.0), TypeError, "cannot assign 'float' as buffer 'seen'"),
        (lambda m: setattr(Net(), "first", 1), TypeError, "cannot assign 'int' as child module 'first'"),
        (lambda m: m.register_parameter("a.b", None), KeyError, "cannot contain"),
        (lambda m: m.register_parameter("", None), KeyError, "cannot be empty"),
        (lambda m: m.register_buffer("weight", None), KeyError, "attribute 'weight' already exists"),
        (lambda m: m.register_buffer("forward", None), KeyError, "attribute 'forward' already exists"),
        (lambda m: m.add_module("seen", Line()), KeyError, "attribute 'seen' already exists"),
        (lambda m: m.add_module("x", 1), TypeError, "int is not a Module subclass"),
        (lambda m: m.register_parameter(1, None), TypeError, "parameter name should be a string"),
        (lambda m: m.register_parameter("x", tj.ones(1)), TypeError, "cannot assign 'Tensor' as parameter 'x'"),
        (lambda m: m.register_buffer("x", 1), TypeError, "cannot assign 'int' as buffer 'x'"),
        (lambda m: m.train(1), ValueError, "training mode is expected to be boolean"),
        (lambda m: nn.Module()(1), NotImplementedError, 'missing the required "forward"'),
        (lambda m: m.get_submodule("weight"), AttributeError, "'weight' of Line is not an nn.Module"),
        (lambda m: m.get_parameter("seen"), AttributeError, "'seen' of Line is not an nn.Parameter"),
        (lambda m: m.to(tj.int64), TypeError, "only accepts floating point"),
        (lambda m: m.to("cuda"), RuntimeError, "cuda"),
    ],
)
def test_errors(change, error, text):
    with pytest.raises(error, match=text):
        change(Line())


def test_dotted_names():
    net = Net()
    assert net.get_submodule("") is net
    assert net.get_submodule("rest.1") is net.rest[1]
    assert net.get_parameter("rest.1.bias") is net.rest[1].bias
    assert net.get_buffer("first.seen") is net.first.seen


# ------------------------------------------------------------------------------------------------ modes, dtypes, hooks


def test_train_eval_apply_zero_grad_requires_grad():
    net = Net()
    assert net.training
    assert net.eval() is net
    assert not any(m.training for m in net.modules())
    net.train()
    assert all(m.training for m in net.modules())
    order = []
    assert net.apply(lambda m: order.append(type(m).__name__)) is net
    assert order == ["Line", "Line", "Line", "Sequential", "Net"]
    net(tj.ones(1, 2)).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad(set_to_none=False)
    assert all((p.grad.array == 0).all() for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    assert net.first.requires_grad_(False) is net.first
    net(tj.ones(1, 2)).sum().backward()
    assert net.first.weight.grad is None
    assert net.scale.grad is not None


def test_conversions():
    net = Net()
    net.register_buffer("count", tj.tensor([3]))
    weight = net.first.weight
    net(tj.ones(1, 2)).sum().backward()
    assert net.to(tj.float64) is net
    assert net.first.weight is weight
    assert weight.dtype == weight.grad.dtype == net.first.seen.dtype == np.float64
    assert net.count.dtype == np.int64
    net.zero_grad()
    net(tj.ones(1, 2, dtype=tj.float64)).sum().backward()
    assert weight.grad.dtype == np.float64
    assert net.half().first.weight.dtype == np.float16
    assert net.float().first.weight.dtype == np.float32
    assert net.to(tj.ones(1, dtype=tj.float64)).first.weight.dtype == np.float64
    before = net.first.weight.array
    assert net.cpu().to("cpu").to(dtype=None, device="cpu").to("cpu", non_blocking=True).share_memory() is net
    assert net.double().first.weight.array is before
    assert net.to("cpu", tj.float32).first.weight.dtype == np.float32


def test_hooks_before_and_after():
    line, seen = Line(), []
    handles = [
        line.register_forward_pre_hook(lambda m, args: seen.append("pre")),
        line.register_forward_pre_hook(lambda m, args: args[0] * 2),
        line.register_forward_pre_hook(lambda m, args: seen.append("first"), prepend=True),
        line.register_forward_pre_hook(lambda m, args, kwargs: (args, {**kwargs}), with_kwargs=True),
        line.register_forward_hook(lambda m, args, out: seen.append(args[0].tolist())),
        line.register_forward_hook(lambda m, args, out: out + 1),
        line.register_forward_hook(lambda m, args, kwargs, out: seen.append(out.tolist()), with_kwargs=True),
    ]
    assert line(tj.ones(1, 2)).tolist() == [[5.0, 5.0]]
    assert seen == ["first", "pre", [[2.0, 2.0]], [[5.0, 5.0]]]
    for handle in handles:
        handle.remove()
        handle.remove()
    assert line(tj.ones(1, 2)).tolist() == [[2.0, 2.0]]
    assert len(seen) == 4


def test_hooks_that_are_always_called_see_failures():
    line, seen = Line(), []
    line.register_forward_hook(lambda m, args, out: seen.append("usual"))
    line.register_forward_hook(lambda m, args, out: seen.append(out), always_call=True)
    with pytest.raises(ValueError, match="matmul"):
        line(tj.ones(1, 3))
    assert seen == [None]
    line.register_forward_pre_hook(lambda m, args, kwargs: 1, with_kwargs=True)
    with pytest.raises(RuntimeError, match="must return None or"):
        line(tj.ones(1, 2))


def test_attributes_may_be_assigned_before_the_base_is_initialised():
    class Early(nn.Module):
        def __init__(self):
            self.weight = nn.Parameter(tj.ones(1))
            super().__init__()

    assert names(Early().named_parameters()) == ["weight"]


# ------------------------------------------------------------------------------------------------ state


def test_state_dict_shares_memory_and_loads():
    net, other = Net(), Net()
    state = net.state_dict()
    assert list(state) == [
        "scale", "first.weight", "first.bias", "first.seen", "rest.0.weight", "rest.0.bias", "rest.0.seen",
        "rest.1.weight", "rest.1.bias", "rest.1.seen",
    ]  # fmt: skip
    assert state["first.weight"].array is net.first.weight.array
    assert not state["first.weight"].requires_grad
    assert net.state_dict(keep_vars=True)["scale"] is net.scale
    assert list(net.first.state_dict(prefix="a.")) == ["a.weight", "a.bias", "a.seen"]
    for p in net.parameters():
        p.array[...] = 7
    kept = other.first.weight.array
    result = other.load_state_dict(state)
    assert str(result) == repr(result) == "<All keys matched successfully>"
    assert (other.first.weight.array == 7).all()
    assert other.first.weight.array is kept
    assert other.first.weight.is_leaf


def test_loading_converts_dtypes_unless_assigned():
    net = Line()
    values = {"weight": np.full((2, 2), 3.0), "bias": tj.ones(2, dtype=tj.float64), "seen": tj.ones(1)}
    net.load_state_dict(values)
    assert net.weight.dtype == np.float32
    assert net.weight.tolist() == [[3.0, 3.0], [3.0, 3.0]]
    net.load_state_dict(values, assign=True)
    assert net.weight.dtype == np.float64
    assert net.weight.array is values["weight"]
    assert isinstance(net.weight, nn.Parameter)
    net(tj.ones(1, 2, dtype=tj.float64)).sum().backward()
    assert net.weight.grad.dtype == np.float64


def test_what_does_not_fit_is_all_named_and_changes_nothing():
    net = Net()
    state = {k: v.detach() + 1 for k, v in net.state_dict().items()}
    state["rest.0.weight"] = tj.ones(2, 3)
    state["first.bias"] = "a string"
    state["more"] = tj.ones(1)
    del state["scale"], state["first.seen"]
    with pytest.raises(RuntimeError) as caught:
        net.load_state_dict(state)
    assert str(caught.value).split("\n\t") == [
        "Error(s) in loading state_dict for Net:",
        'Missing key(s) in state_dict: "scale", "first.seen". ',
        'Unexpected key(s) in state_dict: "more". ',
        'While copying the parameter named "first.bias", expected a Tensor, received <class \'str\'>.',
        "size mismatch for rest.0.weight: copying a param with shape (2, 3) from checkpoint, the shape in current "
        "model is (3, 3).",
    ]
    with pytest.raises(RuntimeError, match=r"size mismatch for rest\.0\.weight"):
        net.load_state_dict(state, strict=False)
    assert (net.first.weight.array == 1).all()
    del state["rest.0.weight"], state["first.bias"]
    result = net.load_state_dict(state, strict=False)
    assert result.missing_keys == ["scale", "first.bias", "first.seen", "rest.0.weight"]
    assert result.unexpected_keys == ["more"]
    assert (net.first.weight.array == 2).all()
    with pytest.raises(TypeError, match="Expected state_dict to be dict-like"):
        net.load_state_dict([1])


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_modules_are_copied_whole(duplicate):
    net = Net()
    net.eval()
    other = duplicate(net)
    assert repr(other) == repr(net)
    assert not other.rest[1].training
    assert other.state_dict().keys() == net.state_dict().keys()
    assert not any(np.shares_memory(a.array, b.array) for a, b in zip(net.parameters(), other.parameters()))
    other.extra = nn.Parameter(tj.ones(1))
    assert "extra" not in net.state_dict()
    other(tj.ones(1, 2)).sum().backward()
    assert net.scale.grad is None
    assert other.scale.grad is not None


# ------------------------------------------------------------------------------------------------ containers


def test_sequential():
    a, b, c = Line(), Line(), Line()
    net = nn.Sequential(a, b)
    assert net(tj.ones(1, 2)).tolist() == [[4.0, 4.0]]
    assert net.append(c) is net
    assert [*net] == [a, b, c]
    assert len(net) == 3
    assert net[0] is a
    assert net[-1] is c
    assert [*net[1:]] == [b, c]
    assert names(net[1:].named_children()) == ["1", "2"]
    assert [*nn.Sequential(*net.children())] == [a, b, c]
    net[1] = d = Line()
    assert [*net] == [a, d, c]
    net.insert(0, b)
    assert [*net] == [b, a, d, c]
    assert net.pop(0) is b
    del net[-1]
    assert [*net] == [a, d]
    assert names(net.named_children()) == ["0", "1"]
    del net[:1]
    assert [*net] == [d]
    assert names(net.named_children()) == ["0"]
    assert [*(net + nn.Sequential(a))] == [d, a]
    assert [*net.extend([a, b])] == [d, a, b]
    net += [c]
    assert net[3] is c
    assert len(2 * net) == 8
    with pytest.raises(IndexError, match="index 4 is out of range for Sequential of length 4"):
        net[4]
    with pytest.raises(TypeError, match="int is not a Module subclass"):
        nn.Sequential(1)
    named = nn.Sequential(OrderedDict(first=a, second=b))
    assert named.second is named[1] is b
    assert next(iter(named.state_dict())) == "first.weight"
    assert names(named[:1].named_children()) == ["first"]
    named[0] = c
    assert named.first is c


def test_module_list():
    a, b, c = Line(), Line(), Line()
    layers = nn.ModuleList([a, b])
    layers.append(c).extend([a])
    assert len(layers) == 4
    assert layers[-2] is c
    assert type(layers[1:]) is nn.ModuleList
    assert [*layers[1:]] == [b, c, a]
    assert len(list(layers.parameters())) == 6
    layers.insert(1, c)
    assert [*layers] == [a, c, b, c, a]
    del layers[0]
    assert [*layers] == [c, b, c, a]
    layers[0] = a
    assert list(layers.state_dict())[:3] == ["0.weight", "0.bias", "0.seen"]
    assert [*(layers + [b])] == [a, b, c, a, b]
    assert b in layers
    with pytest.raises(NotImplementedError, match="forward"):
        layers(tj.ones(1, 2))
    with pytest.raises(TypeError, match="iterable"):
        layers.extend(a)
    assert repr(nn.ModuleList()) == "ModuleList()"


def test_module_dict():
    a, b = Line(), Line()
    held = nn.ModuleDict({"a": a})
    held["b"] = b
    assert list(held) == list(held.keys()) == ["a", "b"]
    assert held["b"] is b
    assert "a" in held
    assert len(held) == 2
    assert dict(held.items()) == {"a": a, "b": b}
    assert [*held.values()] == [a, b]
    assert list(held.state_dict())[:1] == ["a.weight"]
    held.update([("c", a)])
    held.update(nn.ModuleDict({"d": b}))
    assert list(held) == ["a", "b", "c", "d"]
    assert held.pop("a") is a
    del held["b"]
    assert list(held) == ["c", "d"]
    held.clear()
    assert not len(held)
    with pytest.raises(KeyError, match="attribute 'keys' already exists"):
        held["keys"] = a
    with pytest.raises(TypeError, match="mapping or pairs"):
        held.update(1)


def test_parameter_containers():
    held = nn.ParameterList([tj.ones(2), nn.Parameter(tj.ones(2, 3))])
    assert all(isinstance(p, nn.Parameter) for p in held)
    held.append(tj.zeros(1))
    assert held[-1].shape == (1,)
    assert list(held.state_dict()) == ["0", "1", "2"]
    assert len(list(held.parameters())) == len(held) == 3
    del held[0]
    assert [p.shape for p in held] == [(2, 3), (1,)]
    held[0] = tj.ones(4)
    assert repr(held) == (
        "ParameterList(\n  (0): Parameter containing: [float32 of size 4]\n"
        "  (1): Parameter containing: [float32 of size 1]\n)"
    )
    with pytest.raises(RuntimeError, match="ParameterList should not be called"):
        held()
    with pytest.raises(TypeError, match="cannot assign 'int' as parameter"):
        held.append(1)
    named = nn.ParameterDict({"w": tj.ones(2)})
    named["b"] = nn.Parameter(tj.zeros(2))
    assert list(named.state_dict()) == ["w", "b"]
    assert isinstance(named["w"], nn.Parameter)


def test_printing():
    assert repr(Net()) == (
        "Net(\n"
        "  (first): Line((3, 2))\n"
        "  (rest): Sequential(\n"
        "    (0): Line((3, 3))\n"
        "    (1): Line((1, 3))\n"
        "  )\n"
        ")"
    )

    class Long(Net):
        def extra_repr(self):
            return "one\ntwo"

    assert repr(Long()).startswith("Long(\n  one\n  two\n  (first): Line((3, 2))\n")
    assert repr(nn.Module()) == "Module()"
    assert repr(nn.ModuleList([Line(), Line(), Net()])).split("\n")[1:4] == [
        "  (0-1): 2 x Line((2, 2))",
        "  (2): Net(",
        "    (first): Line((3, 2))",
    ]
