"""Modules: what they hold and how it is found, printed, saved and loaded; layers and losses against PyTorch."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections import OrderedDict

import numpy as np
import pytest

import tinygrad_jac as tj
from tinygrad_jac import nn, optim, utils
from tinygrad_jac.random import Generator, manual_seed


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
        (lambda m: m.add_module("x", 1), TypeError, "module 'x': int is not a Module subclass"),
        (lambda m: nn.Sequential(nn.ReLU), TypeError, r"module '0' is the class ReLU: make one, ReLU\("),
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


def backward_hooks_seen(library):
    """What hooks on gradients are shown, and what they change, in a library."""
    layers, seen = library.nn, []

    def shown(tensors):
        return [None if t is None else t.tolist() for t in tensors]

    layer = layers.Linear(2, 1)
    with library.no_grad():
        layer.weight.copy_(library.tensor([[2.0, -3.0]]))
    handles = [
        layer.register_full_backward_pre_hook(lambda m, out: seen.append(("pre", shown(out)))),
        layer.register_full_backward_hook(lambda m, given, out: seen.append(("full", shown(given), shown(out)))),
        layer.register_full_backward_hook(lambda m, given, out: seen.append("first"), prepend=True),
    ]
    x = library.ones(1, 2, requires_grad=True)
    layer(x).sum().backward()
    layer(library.ones(1, 2)).sum().backward()  # no gradient is asked for below
    with library.no_grad():
        layer(x)
    for handle in handles:
        handle.remove()
    layer.register_full_backward_pre_hook(lambda m, out: (out[0] * 10,))
    layer.register_full_backward_hook(lambda m, given, out: (given[0] * out[0],))
    x.grad = None
    layer(x).sum().backward()
    seen += [x.grad.tolist(), layer.weight.grad.tolist()]

    class Two(layers.Module):
        def forward(self, x, y):
            return x * 2, (x * y).detach(), x * y

    two = Two()
    two.register_full_backward_hook(lambda m, given, out: seen.append((shown(given), shown(out))))
    y = library.full((1, 2), 5.0, requires_grad=True)
    two(x, y)[2].sum().backward()
    outer = layers.Sequential(layers.Linear(2, 2), layer)
    outer.register_full_backward_hook(lambda m, given, out: seen.append(("outer", shown(out))))
    outer(x).sum().backward()
    return seen


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
def test_backward_hooks_are_pytorchs():
    torch = pytest.importorskip("torch")
    ours, theirs = backward_hooks_seen(tj), backward_hooks_seen(torch)
    assert ours == theirs
    assert len(ours) > 6


def test_backward_hooks():
    layer = Line(2, 1)
    x = tj.ones(1, 2, requires_grad=True)
    layer.register_full_backward_hook(lambda m, given, out: tj.ones(1, 2) * 7)
    layer(x).sum().backward()
    assert x.grad.tolist() == [[7.0, 7.0]]
    (g,) = tj.autograd.grad(layer(x).sum(), layer.weight)
    assert g.tolist() == [[1.0, 1.0]]
    layer.register_full_backward_hook(lambda m, given, out: (None, None))
    with pytest.raises(tj.GradientError, match="returned 2 gradients in the place of 1"):
        layer(x).sum().backward()


def state_hooks_seen(library):
    """What hooks on a state_dict are given, and what they change."""
    layers, seen = library.nn, []
    net = layers.Sequential(layers.Linear(1, 1), layers.Identity())
    inner = net[0]
    inner.register_state_dict_pre_hook(lambda m, prefix, keep: seen.append((type(m).__name__, prefix, keep)))

    def rename(module, state, prefix, metadata):
        seen.append((prefix, metadata))
        state[prefix + "slope"] = state.pop(prefix + "weight")

    def unname(module, state, prefix, metadata, strict, missing, unexpected, errors):
        seen.append((prefix, strict, list(missing), list(unexpected), list(errors)))
        if prefix + "slope" in state:
            state[prefix + "weight"] = state.pop(prefix + "slope")

    inner.register_state_dict_post_hook(rename)
    inner.register_load_state_dict_pre_hook(unname)
    state = net.state_dict()
    seen += [list(state), repr(net.load_state_dict(state)), list(state)]

    def forgive(module, keys):
        seen.append((list(keys.missing_keys), list(keys.unexpected_keys)))
        keys.missing_keys.clear()

    net.register_load_state_dict_post_hook(forgive)
    seen.append(repr(net.load_state_dict({"0.slope": library.ones(1, 1)})))
    return seen


@pytest.mark.peers
def test_state_dict_hooks_are_pytorchs():
    torch = pytest.importorskip("torch")
    ours = state_hooks_seen(tj)
    assert ours == state_hooks_seen(torch)
    assert len(ours) > 5


def test_errors_that_a_hook_of_loading_adds_are_raised():
    net = Line()
    net.register_load_state_dict_pre_hook(lambda *given: given[-1].append("of another size of alphabet."))
    with pytest.raises(RuntimeError, match="of another size of alphabet"):
        net.load_state_dict(net.state_dict())


def test_buffers_are_registered_when_assigned():
    m = nn.Module()
    m.mean = nn.Buffer(tj.ones(2))
    m.scratch = nn.Buffer(np.zeros(1), persistent=False)
    assert names(m.named_buffers()) == ["mean", "scratch"]
    assert list(m.state_dict()) == ["mean"]
    m.mean = tj.zeros(2)
    assert m.mean.tolist() == [0.0, 0.0]
    for same in (copy.deepcopy(m), pickle.loads(pickle.dumps(m))):
        assert names(same.named_buffers()) == ["mean", "scratch"]
        assert list(same.state_dict()) == ["mean"]
    assert nn.Buffer().shape == (0,)
    with pytest.raises(TypeError, match="a Buffer is made of a Tensor or an ndarray, not of list"):
        nn.Buffer([1.0])


def test_submodules_are_replaced_by_name():
    net = Net()
    net.set_submodule("rest.1", nn.Tanh())
    assert repr(net.rest[1]) == "Tanh()"
    net.set_submodule("extra", nn.Tanh())
    assert "extra" in names(net.named_children())
    with pytest.raises(AttributeError):
        net.set_submodule("rest.7", nn.Tanh(), strict=True)
    with pytest.raises(ValueError, match="without a target"):
        net.set_submodule("", nn.Tanh())
    with pytest.raises(AttributeError):
        net.set_submodule("nowhere.a", nn.Tanh())


def test_empty_memory_and_positions():
    net = Net()
    weight = net.first.weight
    before = weight.array
    assert net.to_empty(device="cpu") is net
    assert net.first.weight is weight
    assert weight.array is not before
    assert weight.shape == (3, 2)
    assert list(Line().state_dict({}, "a.")) == ["a.weight", "a.bias", "a.seen"]
    assert type(Line().state_dict(None, "", True)["weight"]) is nn.Parameter
    assert names(Net().named_modules()) == [n for n, _ in Net().named_modules(remove_duplicate=True)]
    assert len(list(nn.Sequential(*[nn.Tanh()] * 3).modules(remove_duplicate=False))) == 4


def test_state_of_a_pickle_may_be_set_by_a_subclass():
    restored = Renewed()
    restored.scale = nn.Parameter(tj.tensor([2.0]))
    made = pickle.loads(pickle.dumps(restored))
    assert made.renewed
    assert made.scale.tolist() == [2.0]


class Renewed(nn.Module):
    def __setstate__(self, state):
        super().__setstate__(state)
        self.renewed = True


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
        "While copying the parameter named \"first.bias\", expected a Tensor, received <class 'str'>.",
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
        "Net(\n  (first): Line((3, 2))\n  (rest): Sequential(\n    (0): Line((3, 3))\n    (1): Line((1, 3))\n  )\n)"
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


# ------------------------------------------------------------------------------------------------ layers and losses

# What is made, with which arguments, and the shapes of its inputs; ints in the place of a shape are upper bounds of
# indices of shape (4,), and "p", "y", "±" stand for probabilities, targets in [0, 1], and targets ±1, of shape (4, 3).
LAYERS = [
    ("Identity", (54,), dict(unused=1), [(4, 3)]),
    ("Linear", (3, 5), {}, [(4, 3)]),
    ("Linear", (3, 5), dict(bias=False), [(2, 4, 3)]),
    ("Linear", (3, 5), {}, [(3,)]),
    ("Bilinear", (3, 2, 5), {}, [(4, 3), (4, 2)]),
    ("Bilinear", (3, 2, 5), dict(bias=False), [(4, 3), (4, 2)]),
    ("Flatten", (), {}, [(2, 3, 4)]),
    ("Flatten", (0, 1), {}, [(2, 3, 4)]),
    ("Unflatten", (1, (2, 3)), {}, [(4, 6)]),
    ("Embedding", (7, 3), {}, [7]),
    ("Embedding", (7, 3), dict(padding_idx=-6), [2]),
    ("Embedding", (7, 3), dict(max_norm=0.5), [7]),
    ("Embedding", (7, 3, 2, 1.0, 1.0), {}, [7]),
    ("Conv1d", (4, 6, 3), {}, [(2, 4, 9)]),
    ("Conv1d", (4, 6, 3), dict(stride=2, padding=1, groups=2, bias=False), [(2, 4, 9)]),
    ("Conv2d", (2, 3, 3), {}, [(2, 2, 6, 5)]),
    ("Conv2d", (2, 4, (3, 2)), dict(stride=(2, 1), padding=(1, 0), dilation=(1, 2), groups=2), [(2, 2, 6, 7)]),
    ("Conv2d", (2, 3, 3), dict(padding="same"), [(2, 2, 6, 5)]),
    ("Conv2d", (2, 3, (2, 4)), dict(padding="same", padding_mode="circular"), [(2, 2, 6, 5)]),
    ("Conv2d", (2, 3, 3), dict(padding="valid", bias=False), [(2, 6, 5)]),
    ("Conv2d", (2, 3, 3), dict(padding=(2, 1), padding_mode="reflect"), [(2, 2, 6, 5)]),
    ("Conv2d", (2, 3, 3), dict(padding=1, padding_mode="replicate", stride=2), [(2, 2, 6, 5)]),
    ("Conv3d", (2, 2, 2), dict(padding=(0, 1, 0)), [(1, 2, 3, 2, 3)]),
    ("ConvTranspose1d", (4, 6, 3), dict(stride=2, padding=1, output_padding=1, groups=2), [(2, 4, 5)]),
    ("ConvTranspose2d", (2, 3, 3), {}, [(2, 2, 4, 3)]),
    ("ConvTranspose2d", (2, 3, (3, 2), 2, 1, (1, 0), 1, False, (1, 2)), {}, [(2, 2, 4, 3)]),
    ("ConvTranspose3d", (2, 1, 2), {}, [(1, 2, 2, 2, 2)]),
    ("MaxPool1d", (2,), {}, [(2, 3, 7)]),
    ("MaxPool2d", (2,), {}, [(2, 3, 6, 5)]),
    ("MaxPool2d", ((3, 2), 2), dict(padding=1, ceil_mode=True), [(2, 3, 6, 5)]),
    ("MaxPool2d", (2, 1), dict(dilation=2), [(2, 3, 6, 5)]),
    ("MaxPool3d", (2,), {}, [(1, 2, 4, 3, 2)]),
    ("AvgPool1d", (2,), {}, [(2, 3, 7)]),
    ("AvgPool2d", (2,), {}, [(2, 3, 6, 5)]),
    ("AvgPool2d", (3, 2, 1, True, False), {}, [(2, 3, 6, 5)]),
    ("AvgPool2d", (2,), dict(divisor_override=3), [(2, 3, 6, 5)]),
    ("AvgPool3d", (2,), {}, [(1, 2, 4, 3, 2)]),
    ("AdaptiveAvgPool1d", (3,), {}, [(2, 3, 7)]),
    ("AdaptiveAvgPool2d", ((3, None),), {}, [(2, 3, 6, 5)]),
    ("AdaptiveAvgPool2d", (1,), {}, [(2, 3, 6, 5)]),
    ("AdaptiveAvgPool3d", (2,), {}, [(1, 2, 4, 3, 2)]),
    ("AdaptiveMaxPool1d", (3,), {}, [(2, 3, 7)]),
    ("AdaptiveMaxPool2d", ((2, 3),), {}, [(2, 3, 6, 5)]),
    ("Upsample", (), dict(scale_factor=2), [(2, 3, 2, 3)]),
    ("Upsample", ((3, 5),), {}, [(2, 3, 2, 3)]),
    ("BatchNorm1d", (3,), {}, [(4, 3)]),
    ("BatchNorm1d", (3, 1e-3, 0.5, False), {}, [(4, 3, 2)]),
    ("BatchNorm2d", (3,), dict(momentum=None), [(2, 3, 4, 5)]),
    ("BatchNorm2d", (3,), dict(track_running_stats=False, bias=False), [(2, 3, 4, 5)]),
    ("BatchNorm3d", (2,), {}, [(2, 2, 2, 3, 2)]),
    ("InstanceNorm1d", (3,), {}, [(2, 3, 5)]),
    ("InstanceNorm2d", (3,), dict(affine=True, track_running_stats=True), [(2, 3, 4, 5)]),
    ("InstanceNorm3d", (2,), {}, [(2, 2, 2, 3, 2)]),
    ("LayerNorm", (3,), {}, [(4, 3)]),
    ("LayerNorm", ([4, 3],), dict(eps=1e-3, bias=False), [(2, 4, 3)]),
    ("LayerNorm", ((3,),), dict(elementwise_affine=False), [(4, 3)]),
    ("GroupNorm", (2, 6), {}, [(3, 6, 4)]),
    ("GroupNorm", (3, 6), dict(affine=False), [(3, 6, 2, 2)]),
    ("RMSNorm", (3,), {}, [(4, 3)]),
    ("RMSNorm", ((4, 3),), dict(eps=1e-2, elementwise_affine=False), [(2, 4, 3)]),
    ("ReLU", (), {}, [(4, 3)]),
    ("ReLU", (True,), {}, [(4, 3)]),
    ("ReLU6", (), {}, [(4, 3)]),
    ("LeakyReLU", (), {}, [(4, 3)]),
    ("LeakyReLU", (0.2, True), {}, [(4, 3)]),
    ("PReLU", (), {}, [(4, 3)]),
    ("PReLU", (3, 0.5), {}, [(4, 3, 2)]),
    ("ELU", (0.5,), {}, [(4, 3)]),
    ("SELU", (), {}, [(4, 3)]),
    ("CELU", (2.0,), {}, [(4, 3)]),
    ("GELU", (), {}, [(4, 3)]),
    ("GELU", ("tanh",), {}, [(4, 3)]),
    ("SiLU", (), dict(inplace=True), [(4, 3)]),
    ("Mish", (), {}, [(4, 3)]),
    ("Sigmoid", (), {}, [(4, 3)]),
    ("LogSigmoid", (), {}, [(4, 3)]),
    ("Tanh", (), {}, [(4, 3)]),
    ("Softplus", (2.0, 1.5), {}, [(4, 3)]),
    ("Softsign", (), {}, [(4, 3)]),
    ("Tanhshrink", (), {}, [(4, 3)]),
    ("Softshrink", (0.3,), {}, [(4, 3)]),
    ("Hardshrink", (), {}, [(4, 3)]),
    ("Hardtanh", (-0.5, 2), {}, [(4, 3)]),
    ("Hardsigmoid", (), {}, [(4, 3)]),
    ("Hardswish", (), {}, [(4, 3)]),
    ("Threshold", (0.1, 20), {}, [(4, 3)]),
    ("GLU", (), {}, [(4, 6)]),
    ("Softmax", (1,), {}, [(4, 3)]),
    ("LogSoftmax", (), dict(dim=-1), [(4, 3)]),
    ("Softmin", (0,), {}, [(4, 3)]),
    ("CrossEntropyLoss", (), {}, [(4, 3), 3]),
    ("CrossEntropyLoss", ([1.0, 2.0, 3.0],), dict(ignore_index=1, label_smoothing=0.1), [(4, 3), 3]),
    ("CrossEntropyLoss", (), dict(reduction="sum"), [(4, 3), 3]),
    ("NLLLoss", ([1.0, 2.0, 3.0],), {}, [(4, 3), 3]),
    ("BCELoss", (), {}, ["p", "y"]),
    ("BCELoss", ([1.0, 2.0, 3.0],), dict(reduction="none"), ["p", "y"]),
    ("BCEWithLogitsLoss", (), {}, [(4, 3), "y"]),
    ("BCEWithLogitsLoss", ([1.0, 2.0, 3.0],), dict(pos_weight=[3.0, 2.0, 1.0]), [(4, 3), "y"]),
    ("MSELoss", (), {}, [(4, 3), "y"]),
    ("MSELoss", (), dict(reduction="none"), [(4, 3), "y"]),
    ("L1Loss", (), dict(reduction="sum"), [(4, 3), "y"]),
    ("SmoothL1Loss", (), dict(beta=0.5), [(4, 3), "y"]),
    ("HuberLoss", ("sum", 0.5), {}, [(4, 3), "y"]),
    ("KLDivLoss", (), dict(reduction="batchmean"), [(4, 3), "y"]),
    ("KLDivLoss", (), dict(log_target=True, reduction="sum"), [(4, 3), "y"]),
    ("PoissonNLLLoss", (False, True), {}, ["p", "y"]),
    ("GaussianNLLLoss", (), dict(full=True), [(4, 3), "y", "p"]),
    ("HingeEmbeddingLoss", (2.0,), {}, [(4, 3), "±"]),
    ("SoftMarginLoss", (), {}, [(4, 3), "±"]),
    ("CosineEmbeddingLoss", (0.1,), {}, [(3, 4), (3, 4), "±1"]),
    ("MarginRankingLoss", (0.1,), {}, [(3,), (3,), "±1"]),
    ("TripletMarginLoss", (2.0,), dict(swap=True), [(4, 3), (4, 3), (4, 3)]),
    ("MultiMarginLoss", (2, 1.5, [1.0, 2.0, 3.0]), {}, [(4, 3), 3]),
    ("MultiLabelSoftMarginLoss", ([1.0, 2.0, 3.0],), {}, [(4, 3), "y"]),
]  # fmt: skip


def inputs(specs):
    rng = np.random.default_rng(0)
    made = []
    for spec in specs:
        if isinstance(spec, int):
            made.append(rng.integers(0, spec, 4))
        elif isinstance(spec, tuple):
            made.append(rng.standard_normal(spec))
        else:
            made.append(np.sign(rng.standard_normal(3 if spec == "±1" else (4, 3))))
            if spec in ("p", "y"):
                made[-1] = rng.uniform(0.1, 0.9, (4, 3))
    return made


def pair(torch, name, args, kwargs):
    """The layer here and in PyTorch, in float64, with the same random parameters."""

    def with_tensors(tensor):
        return (
            [tensor(a) if type(a) is list and type(a[0]) is float else a for a in args],
            {k: tensor(v) if type(v) is list else v for k, v in kwargs.items()},
        )

    (our_args, our_kwargs), (their_args, their_kwargs) = with_tensors(tj.tensor), with_tensors(torch.tensor)
    ours = getattr(nn, name)(*our_args, **our_kwargs).double()
    theirs = getattr(torch.nn, name)(*their_args, **their_kwargs).double()
    rng = np.random.default_rng(1)
    assert names(ours.named_parameters()) == names(theirs.named_parameters())
    for p, q in zip(ours.parameters(), theirs.parameters()):
        assert p.shape == tuple(q.shape)
        p.array[...] = rng.standard_normal(p.shape)
        q.data.copy_(torch.from_numpy(p.array))
    return ours, theirs


CASES = [pytest.param(*layer, id=f"{layer[0]}-{layer[1]}-{layer[2]}") for layer in LAYERS]


@pytest.mark.peers
@pytest.mark.parametrize("name, args, kwargs, specs", CASES)
def test_layers_are_pytorchs(name, args, kwargs, specs):
    torch = pytest.importorskip("torch")
    ours, theirs = pair(torch, name, args, kwargs)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    arrays = inputs(specs)
    rtol = 1e-7 if name == "Hardsigmoid" else 1e-9  # PyTorch's 1/6 is rounded to float32
    for training in (True, True, False):  # twice: running statistics move on
        ours.train(training), theirs.train(training)
        learnt = [isinstance(spec, tuple) or spec == "p" for spec in specs]
        x = [tj.tensor(a, requires_grad=g) for a, g in zip(arrays, learnt)]
        y = [torch.tensor(a, requires_grad=g) for a, g in zip(arrays, learnt)]
        found = ours(*x)
        expected = theirs(*(t.clone() for t in y))  # inplace=True changes its input
        assert found.shape == tuple(expected.shape)
        np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), rtol=1e-9, atol=1e-11)
        weights = np.random.default_rng(2).standard_normal(found.shape)
        found.backward(tj.tensor(weights))
        expected.backward(torch.tensor(weights))
        for a, b in zip([*x, *ours.parameters()], [*y, *theirs.parameters()]):
            assert (a.grad is None) == (b.grad is None)
            if a.grad is not None:
                np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=rtol, atol=1e-10)
    for (key, a), b in zip(ours.state_dict().items(), theirs.state_dict().values()):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-9, atol=1e-11, err_msg=key)


@pytest.mark.peers
@pytest.mark.parametrize("name", sorted({layer[0] for layer in LAYERS}))
def test_constructors_take_what_pytorchs_take(name):
    torch = pytest.importorskip("torch")
    ours, theirs = (inspect.signature(getattr(library, name)).parameters for library in (nn, torch.nn))
    expected = {k: p.default for k, p in theirs.items() if k not in ("min_value", "max_value")}  # long deprecated
    if expected and not any(p.kind is p.VAR_POSITIONAL for p in theirs.values()):
        assert {k: p.default for k, p in ours.items()} == expected
        assert list(ours) == list(expected)


def mlp(nn):
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.BatchNorm1d(8), nn.Linear(8, 5), nn.GELU(), nn.Linear(5, 3))


def cnn(nn):
    return nn.Sequential(
        nn.Unflatten(1, (1, 3, 2)), nn.Conv2d(1, 4, 2, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True),
        nn.MaxPool2d(2), nn.Flatten(), nn.LayerNorm(8), nn.Linear(8, 3),
    )  # fmt: skip


@pytest.mark.peers
@pytest.mark.parametrize("network", [mlp, cnn])
@pytest.mark.parametrize(
    "criterion, optimizer, options",
    [
        ("CrossEntropyLoss", "SGD", dict(lr=0.1, momentum=0.9, weight_decay=1e-3)),
        ("MSELoss", "SGD", dict(lr=0.02, momentum=0.5, nesterov=True)),
        ("BCEWithLogitsLoss", "Adam", dict(lr=0.01)),
        ("SmoothL1Loss", "AdamW", dict(lr=0.01, amsgrad=True)),
    ],
)
def test_training_runs_agree_with_pytorch(network, criterion, optimizer, options):
    """Epochs over batches, evaluation in between, from equal weights: losses and what is learnt to 1e-9."""
    torch = pytest.importorskip("torch")
    manual_seed(0)
    ours, theirs = network(nn).double(), network(torch.nn).double()
    theirs.load_state_dict({k: torch.tensor(v.numpy()) for k, v in ours.state_dict().items()})
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((48, 6)), rng.uniform(0, 1, (48, 3))
    if criterion == "CrossEntropyLoss":
        y = y.argmax(1)
    runs = []
    for library, face, model in ((tj, (nn, optim, utils), ours), (torch, (torch.nn, torch.optim, torch.utils), theirs)):
        layers, optimizers, others = face
        dataset = others.data.TensorDataset(library.tensor(x), library.tensor(y))
        loader = others.data.DataLoader(dataset, batch_size=16)
        loss_of = getattr(layers, criterion)()
        stepper = getattr(optimizers, optimizer)(model.parameters(), **options)
        losses = []
        for _ in range(8):
            model.train()
            for inputs, targets in loader:
                stepper.zero_grad()
                loss = loss_of(model(inputs), targets)
                loss.backward()
                stepper.step()
                losses.append(loss.item())
            model.eval()
            with library.no_grad():
                losses.append(loss_of(model(library.tensor(x)), library.tensor(y)).item())
        runs.append(losses)
    np.testing.assert_allclose(runs[0], runs[1], rtol=1e-9, atol=1e-9)
    assert runs[0][-1] < runs[0][3]
    for (key, a), b in zip(ours.state_dict().items(), theirs.state_dict().values()):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-9, atol=1e-9, err_msg=key)


def test_thin_modules_read_their_options():
    assert nn.ELU(2.0).alpha == nn.ELU(alpha=2.0).alpha == 2.0
    assert str(inspect.signature(nn.Threshold)) == "(threshold, value, inplace=False)"
    with pytest.raises(TypeError, match="missing a required argument: 'value'"):
        nn.Threshold(1)
    with pytest.raises(TypeError, match="an unexpected keyword argument 'beta'"):
        nn.ELU(beta=1)
    with pytest.raises(TypeError, match="multiple values for argument 'alpha'"):
        nn.ELU(1.0, alpha=1.0)
    with pytest.raises(TypeError, match="takes 2 arguments, but 3 were given"):
        nn.ELU(1.0, False, 3)

    class Wide(nn.LeakyReLU):
        width: int

        def __init__(self, width):
            super().__init__(0.5)
            self.width = width

    assert list(inspect.signature(Wide).parameters) == ["width"]
    assert repr(Wide(3)) == "Wide(negative_slope=0.5)"
    assert Wide(3)(tj.tensor([-1.0])).tolist() == [-0.5]
    assert repr(pickle.loads(pickle.dumps(nn.MaxPool2d(3, 2)))) == repr(copy.deepcopy(nn.MaxPool2d(3, 2)))


def test_tensors_among_the_options_of_a_loss_are_buffers():
    weight = tj.tensor([1.0, 2.0])
    loss = nn.CrossEntropyLoss(weight)
    assert names(loss.named_buffers()) == ["weight"]
    assert loss.double().weight.dtype == np.float64
    assert nn.CrossEntropyLoss().weight is None
    with pytest.warns(UserWarning, match="reduction='sum'"):
        assert nn.MSELoss(size_average=False).reduction == "sum"
    with pytest.warns(UserWarning, match="reduction='none'"):
        assert nn.L1Loss(reduce=False).reduction == "none"


@pytest.mark.parametrize(
    "make, error, text",
    [
        (lambda: nn.Conv2d(3, 4, 2, groups=2), ValueError, "in_channels must be divisible by groups"),
        (lambda: nn.Conv2d(4, 3, 2, groups=2), ValueError, "out_channels must be divisible by groups"),
        (lambda: nn.Conv2d(2, 2, 2, groups=0), ValueError, "groups"),
        (lambda: nn.Conv2d(2, 2, 2, padding="full"), ValueError, "Invalid padding string 'full'"),
        (lambda: nn.Conv2d(2, 2, 2, stride=2, padding="same"), ValueError, "not supported for strided"),
        (lambda: nn.Conv2d(2, 2, 2, padding_mode="mirror"), ValueError, "padding_mode must be one of"),
        (lambda: nn.ConvTranspose2d(2, 2, 2, padding_mode="reflect"), ValueError, "padding_mode must be one of"),
        (lambda: nn.Conv2d(2, 2, (1, 2, 3)), ValueError, "kernel_size"),
        (lambda: nn.Bilinear(0, 1, 1), ValueError, "in1_features must be > 0"),
        (lambda: nn.Embedding(3, 2, padding_idx=3), ValueError, "padding_idx must be within num_embeddings"),
        (lambda: nn.Embedding(3, 2, _weight=tj.ones(2, 2)), ValueError, r"_weight has shape \(2, 2\)"),
        (lambda: nn.Embedding.from_pretrained(tj.ones(2)), ValueError, "expected to be 2-dimensional"),
        (lambda: nn.Embedding(3, 2)(tj.tensor([3])), IndexError, "3"),
        (lambda: nn.Embedding(3, 2, scale_grad_by_freq=True)(tj.tensor([1])), NotImplementedError, "scale_grad"),
        (lambda: nn.GroupNorm(2, 3), ValueError, "must be divisible by num_groups"),
        (lambda: nn.BatchNorm2d(3)(tj.ones(2, 3)), ValueError, r"expected 4D input \(got 2D input\)"),
        (lambda: nn.BatchNorm1d(3)(tj.ones(3)), ValueError, "expected 2D or 3D input"),
        (lambda: nn.Dropout(1.5), ValueError, "between 0 and 1, but got 1.5"),
        (lambda: nn.Linear(2, 3)(tj.ones(3, 4)), ValueError, "linear"),
        (lambda: nn.functional.pad(tj.ones(2), (1, 2, 3)), ValueError, "two widths for each"),
        (lambda: nn.functional.pad(tj.ones(2), (1, 2, 3, 4)), ValueError, "two widths for each"),
        (lambda: nn.MSELoss(reduction="all")(tj.ones(2), tj.ones(2)), ValueError, "reduction is 'mean', 'sum'"),
    ],
)  # fmt: skip
def test_errors_of_layers(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_dropout_drops_while_training_only():
    x = tj.ones(100, 100)
    layer = nn.Dropout(0.25)
    y = layer(x)
    assert set(np.unique(y.array)) == {0.0, np.float32(1 / 0.75)}
    assert abs((y.array == 0).mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 10_000)
    assert (layer.eval()(x).array == 1).all()
    channels = nn.Dropout2d(0.5)(tj.ones(8, 16, 3, 3)).array
    assert ((channels == 0).all((2, 3)) | (channels == 2).all((2, 3))).all()
    assert 0 < (channels == 0).mean() < 1


def test_embedding_of_a_given_table():
    table = tj.tensor([[1.0, 2.0], [3.0, 4.0]])
    frozen = nn.Embedding.from_pretrained(table)
    assert frozen.weight.array is table.array
    assert not frozen.weight.requires_grad
    assert nn.Embedding.from_pretrained(table, freeze=False).weight.requires_grad
    assert frozen(tj.tensor([1, 0, 1])).tolist() == [[3.0, 4.0], [1.0, 2.0], [3.0, 4.0]]
    padded = nn.Embedding(3, 2, padding_idx=-1)
    assert padded.padding_idx == 2
    assert padded.weight.tolist()[2] == [0.0, 0.0]


def test_transposed_convolution_to_a_given_size():
    down, up = nn.Conv2d(1, 1, 3, stride=2), nn.ConvTranspose2d(1, 1, 3, stride=2)
    for size in ((7, 8), (8, 7)):
        y = down(tj.ones(1, 1, *size))
        assert up(y, output_size=size).shape == up(y, (1, 1, *size)).shape == (1, 1, *size)
    with pytest.raises(ValueError, match=r"requested an output size of \(9, 7\), but valid sizes range from \(7, 7\)"):
        up(y, (9, 7))


# ------------------------------------------------------------------------------------------------ functions


@pytest.mark.peers
@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("pad", [(1, 2), (0, 1, 2, 0), (1, 1, 2, 2)])
def test_pad_is_pytorchs(mode, pad):
    torch = pytest.importorskip("torch")
    x = np.arange(2 * 3 * 4 * 5.0).reshape((2, 3, 4, 5) if len(pad) == 4 else (6, 4, 5))
    options = dict(mode=mode, value=7.0) if mode == "constant" else dict(mode=mode)
    expected = torch.nn.functional.pad(torch.tensor(x), pad, **options).numpy()
    assert (nn.functional.pad(tj.tensor(x), pad, **options).numpy() == expected).all()
    assert (nn.functional.pad(x, pad, **options) == expected).all()
    cut = torch.nn.functional.pad(torch.tensor(x), (-1, 1)).numpy()
    assert (nn.functional.pad(input=tj.tensor(x), pad=(-1, 1)).numpy() == cut).all()


def test_functions_take_inplace_and_arrays():
    F, x = nn.functional, np.array([-1.0, 2.0])
    assert F.relu(tj.tensor(x), True).tolist() == F.relu(tj.tensor(x), inplace=True).tolist() == [0.0, 2.0]
    assert F.leaky_relu(tj.tensor(x), 0.5, True).tolist() == F.leaky_relu(x, negative_slope=0.5).tolist() == [-0.5, 2.0]
    assert F.threshold(x, 0.0, 7.0, True).tolist() == [7.0, 2.0]
    assert type(F.relu(x)) is np.ndarray
    assert F.relu.__doc__


def test_softmax_without_axis_chooses_one_and_says_so():
    x = tj.tensor(np.random.default_rng(0).standard_normal((2, 3, 4)))
    for shape, axis in (((24,), 0), ((6, 4), 1), ((2, 3, 4), 0), ((2, 3, 2, 2), 1)):
        y = x.reshape(*shape)
        with pytest.warns(UserWarning, match=f"axis {axis} was taken; pass dim={axis}"):
            found = nn.Softmax()(y)
        assert found.tolist() == nn.functional.softmax(y, dim=axis).tolist()
    assert nn.functional.log_softmax(x, -1, dtype=tj.float32).dtype == np.float32


@pytest.mark.peers
def test_every_function_is_one_of_pytorchs():
    torch = pytest.importorskip("torch")
    for name in nn.functional.__all__:
        assert hasattr(torch.nn.functional, name) or hasattr(torch, name), name
    for name in nn.__all__:
        assert hasattr(torch.nn, name), name


# ------------------------------------------------------------------------------------------------ initialisation


@pytest.mark.peers
def test_gains_and_fans_are_pytorchs():
    torch = pytest.importorskip("torch")
    for name in ("linear", "conv1d", "conv_transpose3d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"):
        assert nn.init.calculate_gain(name) == torch.nn.init.calculate_gain(name)
    assert nn.init.calculate_gain("leaky_relu", 0.3) == torch.nn.init.calculate_gain("leaky_relu", 0.3)
    for shape in ((2, 3), (2, 3, 4), (5, 1, 2, 3)):
        expected = torch.nn.init._calculate_fan_in_and_fan_out(torch.empty(shape))
        assert nn.init._calculate_fan_in_and_fan_out(tj.ones(*shape)) == expected


@pytest.mark.parametrize(
    "fill, mean, std, low, high",
    [
        (lambda t: nn.init.uniform_(t, -1, 3), 1, 4 / 12**0.5, -1, 3),
        (lambda t: nn.init.normal_(t, 2, 3), 2, 3, -15, 19),
        (lambda t: nn.init.xavier_uniform_(t, 2.0), 0, 0.1, -0.2 * 0.75**0.5, 0.2 * 0.75**0.5),
        (lambda t: nn.init.xavier_normal_(t), 0, (2 / 800) ** 0.5, -1, 1),
        (lambda t: nn.init.kaiming_uniform_(t), 0, (2 / 500) ** 0.5, -((6 / 500) ** 0.5), (6 / 500) ** 0.5),
        (lambda t: nn.init.kaiming_normal_(t, mode="fan_out", nonlinearity="relu"), 0, (2 / 300) ** 0.5, -1, 1),
        (lambda t: nn.init.kaiming_normal_(t, a=1, nonlinearity="leaky_relu"), 0, (1 / 500) ** 0.5, -1, 1),
        (lambda t: nn.init.trunc_normal_(t, std=0.5), 0, 0.5 * 0.9999, -2, 2),
        (lambda t: nn.init.trunc_normal_(t, a=-1, b=1), 0, 0.5396, -1, 1),
        (lambda t: nn.init.trunc_normal_(t, a=1.5, b=2), 1.7143, 0.1411, 1.5, 2),
    ],
)  # fmt: skip
def test_distributions(fill, mean, std, low, high):
    manual_seed(0)
    t = tj.ones(300, 500)
    assert fill(t) is t
    values = t.array.astype(np.float64)
    assert abs(values.mean() - mean) < 5 * std / 150_000**0.5
    assert abs(values.std() / std - 1) < 0.01
    assert low <= values.min() < values.max() <= high


def test_fixed_values():
    t = tj.ones(2, 3)
    assert nn.init.zeros_(t).tolist() == [[0.0] * 3] * 2
    assert nn.init.ones_(t).tolist() == [[1.0] * 3] * 2
    assert nn.init.constant_(t, 0.5).tolist() == [[0.5] * 3] * 2
    assert nn.init.eye_(t).tolist() == [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (2, 3, 2)])
def test_orthogonal(shape):
    q = nn.init.orthogonal_(tj.tensor(np.empty(shape)), gain=2.0).array.reshape(shape[0], -1)
    product = q.T @ q if q.shape[0] >= q.shape[1] else q @ q.T
    np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-12)


def test_initialisation_is_repeatable_unrecorded_and_noticed():
    generator = Generator().manual_seed(3)
    p = nn.Parameter(tj.ones(3, 3))
    first = nn.init.normal_(p, generator=generator).tolist()
    assert nn.init.normal_(p, generator=generator.manual_seed(3)).tolist() == first
    assert p.is_leaf
    loss = (p * p).sum()
    nn.init.zeros_(p)
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()
    manual_seed(1)
    one = nn.Conv2d(2, 3, 3)
    manual_seed(1)
    assert (nn.Conv2d(2, 3, 3).weight.array == one.weight.array).all()


@pytest.mark.parametrize(
    "layer, bound",
    [
        (nn.Linear(400, 300), 1 / 20),
        (nn.Conv2d(25, 300, (4, 4)), 1 / 20),
        (nn.Conv2d(50, 300, (4, 4), groups=2), 1 / 20),
        (nn.ConvTranspose2d(300, 25, 4), 1 / 20),
        (nn.Bilinear(400, 30, 30), 1 / 20),
    ],
    ids=repr,
)
def test_layers_start_as_pytorchs_do(layer, bound):
    manual_seed(0)
    layer.reset_parameters()
    for p in layer.parameters():
        assert (1 - 20 / p.numel()) * bound < p.array.max() <= bound
        assert -bound <= p.array.min() < -(1 - 20 / p.numel()) * bound
        assert abs(p.array.mean()) < 5 * bound / (3 * p.numel()) ** 0.5


def test_first_values_of_other_layers():
    norm = nn.BatchNorm1d(2)
    norm(tj.tensor([[1.0, 2.0], [3.0, 4.0]]))
    norm.weight.array[...] = 5
    assert norm.num_batches_tracked.item() == 1
    norm.reset_parameters()
    values = [tensor.tolist() for tensor in norm.state_dict().values()]
    assert values == [[1.0, 1.0], [0.0, 0.0], [0.0, 0.0], [1.0, 1.0], 0]
    assert nn.PReLU(2, init=0.5).weight.tolist() == [0.5, 0.5]
    assert abs(nn.Embedding(100, 100).weight.array.std() - 1) < 0.05


@pytest.mark.parametrize(
    "fill, error, text",
    [
        (lambda: nn.init.xavier_normal_(tj.ones(3)), ValueError, "fewer than 2 dimensions"),
        (lambda: nn.init.orthogonal_(tj.ones(3)), ValueError, "2 or more dimensions"),
        (lambda: nn.init.eye_(tj.ones(3)), ValueError, "Only tensors with 2 dimensions"),
        (lambda: nn.init.calculate_gain("sin"), ValueError, "Unsupported nonlinearity sin"),
        (lambda: nn.init.calculate_gain("leaky_relu", "a"), ValueError, "negative_slope a not a valid number"),
        (lambda: nn.init.kaiming_normal_(tj.ones(2, 2), mode="fan"), ValueError, "Mode fan not supported"),
        (lambda: nn.init.zeros_(np.ones(2)), TypeError, "fills a Tensor, not ndarray"),
    ],
)
def test_errors_of_initialisation(fill, error, text):
    with pytest.raises(error, match=text):
        fill()


def test_warnings_of_initialisation():
    with pytest.warns(UserWarning, match="zero-element"):
        nn.init.kaiming_uniform_(tj.ones(2, 0))
    with pytest.warns(UserWarning, match="more than 2 std"):
        nn.init.trunc_normal_(tj.ones(10), mean=5.0)
    assert nn.Linear(0, 3)(tj.ones(2, 0)).shape == (2, 3)


@pytest.mark.peers
def test_the_order_of_a_parameter_dict_is_pytorchs():
    torch = pytest.importorskip("torch")
    given = [("b", 1.0), ("a", 2.0)]
    for make in (dict, list, OrderedDict):
        orders = []
        for library in (tj, torch):
            entries = make((k, library.tensor([v])) for k, v in given)
            parameters = library.nn.ParameterDict(entries)
            parameters.update({"d": library.ones(1), "c": library.ones(1)})
            orders.append([p.item() for p in library.nn.ParameterDict(parameters).parameters()] + list(parameters))
        assert orders[0] == orders[1]


SIZES = {"Bilinear": (2, 2, 2), "GroupNorm": (2, 4), "PReLU": (), "Transformer": (4, 2, 1, 1, 4)}
WITH_DEVICE = sorted(
    name
    for name in nn.__all__
    if isinstance(getattr(nn, name), type)
    and "device" in inspect.signature(getattr(nn, name)).parameters
    and name != "RNNBase"
)


@pytest.mark.parametrize("name", WITH_DEVICE)
def test_no_layer_is_made_on_another_device(name):
    layer = getattr(nn, name)
    sizes = SIZES.get(name) or ((2, 2, 1) if "Conv" in name else (4, 2) if inspect.signature(layer).parameters else ())
    if name in ("PReLU", "LayerNorm", "RMSNorm") or "BatchNorm" in name or "InstanceNorm" in name:
        sizes = sizes[:1]
    layer(*sizes, device="cpu")
    layer(*sizes, device=tj.device("cpu"))
    for options in ({}, {"affine": False}, {"elementwise_affine": False}, {"bias": False}):
        if options.keys() <= inspect.signature(layer).parameters.keys():
            with pytest.raises(NotImplementedError, match="nothing can be sent to device 'cuda'"):
                layer(*sizes, device="cuda", **options)


@pytest.mark.parametrize("name", ["Conv2d", "ConvTranspose1d", "BatchNorm1d", "RNNCell", "LayerNorm"])
def test_errors_of_a_call_name_the_layer(name):
    with pytest.raises(TypeError, match=rf"^{name}\.__init__\(\) missing 1 required"):
        getattr(nn, name)(*([1, 1] if "Conv" in name else [1] if name == "RNNCell" else []))
    with pytest.raises(TypeError, match=rf"^{name}\.__init__\(\) got an unexpected keyword argument 'colour'"):
        getattr(nn, name)(1, 1, 1, colour="red")


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize(
    "layer, sizes", [(nn.InstanceNorm1d, (6,)), (nn.InstanceNorm2d, (4, 5)), (nn.InstanceNorm3d, (2, 3, 4))]
)
def test_instance_normalisation_of_one_sample(layer, sizes, affine):
    norm, x = layer(3, affine=affine), tj.randn(3, *sizes)
    assert norm(x).shape == x.shape
    np.testing.assert_array_equal(norm(x).detach(), norm(x[None])[0].detach())


def test_a_module_is_not_converted_by_a_misspelt_option():
    layer = nn.Linear(1, 1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'dytpe'"):
        layer.to(dytpe=tj.float64)
    assert layer.to(device="cpu", non_blocking=True).weight.dtype == tj.float32


def test_a_subclass_with_a_forward_of_its_own_may_annotate_attributes():
    class Scaled(nn.ReLU):
        scale: float = 2.0

        def forward(self, input):
            return super().forward(input) * self.scale

    assert Scaled()(tj.tensor([-1.0, 1.0])).tolist() == [0.0, 2.0]
    assert Scaled(inplace=True).inplace


@pytest.mark.parametrize("lib", ["tinygrad_jac", "torch"])
def test_extra_state_goes_with_the_state_dict(lib, tmp_path):
    t = pytest.importorskip(lib)

    class Counted(t.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = t.nn.Linear(1, 1)
            self.gain = t.nn.Parameter(t.ones(1))
            self.calls = 0

        def get_extra_state(self):
            return {"calls": self.calls}

        def set_extra_state(self, state):
            self.calls = state["calls"]

    net, other = t.nn.Sequential(Counted()), t.nn.Sequential(Counted())
    net[0].calls = 3
    state = net.state_dict()
    assert list(state) == ["0.gain", "0._extra_state", "0.inner.weight", "0.inner.bias"]
    assert state["0._extra_state"] == {"calls": 3}
    t.save(state, tmp_path / "state")
    assert not any(other.load_state_dict(t.load(tmp_path / "state")))
    assert other[0].calls == 3
    del state["0._extra_state"]
    with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "0._extra_state"'):
        other.load_state_dict(state)
    assert other.load_state_dict(state, strict=False).missing_keys == ["0._extra_state"]
    with pytest.raises(RuntimeError, match=r'Unexpected key\(s\) in state_dict: "_extra_state"'):
        t.nn.Sequential().load_state_dict({"_extra_state": 1})
