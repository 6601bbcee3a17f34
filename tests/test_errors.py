"""Wrong programs: each is refused with the right type of exception, in words that say what was wrong.

PyTorch refuses every one of them too (in the same run), but for those that are marked as ours alone.
"""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest

import tinygrad_jac as tj
from tinygrad_jac.errors import GradientError, OutOfScopeError, ShapeError


def asked(t, *shape):
    return t.ones(*shape, requires_grad=True)


def learnt(t, *shape):
    return [t.nn.Parameter(t.ones(*shape))]


def backward_twice(t):
    y = (asked(t, 2) ** 2).sum()
    y.backward()
    y.backward()


def leaf_in_place(t):
    x = asked(t, 2)
    x += 1


def entry_of_a_leaf(t):
    asked(t, 2)[0] = 1.0


def saved_in_place(t):
    y = asked(t, 2).exp()
    y += 1
    y.sum().backward()


def parameter_in_place(t):
    layer = t.nn.Linear(2, 1)
    y = layer(asked(t, 1, 2)).sum()
    with t.no_grad():
        layer.weight += 1
    y.backward()


def unhooked(t):
    layer = t.nn.Linear(2, 2)
    layer.register_full_backward_hook(lambda module, given, received: (given[0][:, :1],))
    layer(asked(t, 1, 2)).sum().backward()


# name: the program, the exception, what it must say
SHAPES = {
    "matmul": (lambda t: t.ones(2, 3) @ t.ones(4, 5), ShapeError, ["(2, 3)", "(4, 5)", "3", "4"]),
    "matmul of stacks": (lambda t: t.ones(2, 3, 4) @ t.ones(3, 4, 5), ShapeError, ["(2, 3, 4)", "(3, 4, 5)"]),
    "matmul of a number": (lambda t: t.matmul(t.tensor(1.0), t.ones(2)), ShapeError, ["()", "(2,)"]),
    "mm of a vector": (lambda t: t.mm(t.ones(2), t.ones(2, 2)), ShapeError, ["mm", "(2,)"]),
    "bmm": (lambda t: t.bmm(t.ones(2, 3, 4), t.ones(2, 3, 4)), ShapeError, ["(2, 3, 4)"]),
    "dot": (lambda t: t.dot(t.ones(2), t.ones(3)), ShapeError, ["(2,)", "(3,)"]),
    "add": (lambda t: t.ones(2, 3) + t.ones(4), ShapeError, ["add", "(2, 3)", "(4,)", "broadcast"]),
    "where": (lambda t: t.where(t.ones(2).bool(), t.ones(3), t.ones(3)), ShapeError, ["where", "(2,)", "(3,)"]),
    "cat": (lambda t: t.cat([t.ones(2, 3), t.ones(2, 4)]), ShapeError, ["(2, 3)", "(2, 4)", "axis 0"]),
    "cat of nothing": (lambda t: t.cat([]), ValueError, ["one array at least"]),
    "stack": (lambda t: t.stack([t.ones(2), t.ones(3)]), ShapeError, ["one shape", "(2,)", "(3,)"]),
    "reshape": (lambda t: t.ones(6).reshape(4, -1), ShapeError, ["(6,)", "(4, -1)"]),
    "view": (lambda t: t.ones(6).view(4, 2), ShapeError, ["(6,)", "(4, 2)", "8"]),
    "view of two unknowns": (lambda t: t.ones(6).view(-1, -1), ShapeError, ["only one size can be -1"]),
    "expand": (lambda t: t.ones(2).expand(3, 3), ShapeError, ["(2,)", "(3, 3)"]),
    "unflatten": (lambda t: t.ones(6).unflatten(0, (4, 2)), ShapeError, ["size 6", "(4, 2)"]),
    "repeat": (lambda t: t.ones(2, 3).repeat(2), ShapeError, ["(2, 3)"]),
    "split": (lambda t: t.ones(5).split([2, 2]), ValueError, ["(2, 2)", "5"]),
    "chunk": (lambda t: t.ones(5).chunk(0), ValueError, ["positive", "0"]),
    "narrow": (lambda t: t.ones(5).narrow(0, 3, 4), IndexError, ["4 entries", "(5,)"]),
    "t of three axes": (lambda t: t.ones(2, 3, 4).t(), ShapeError, ["(2, 3, 4)", "transpose()"]),
    "permute": (lambda t: t.ones(2, 3).permute(0, 0), ShapeError, ["once", "(0, 0)"]),
    "sum": (lambda t: t.ones(2, 3).sum(2), IndexError, ["axis 2", "-2 to 1"]),
    "sum twice": (lambda t: t.ones(2, 3).sum((0, 0)), ValueError, ["more than once", "(0, 0)"]),
    "softmax": (lambda t: t.nn.functional.softmax(t.ones(2, 3), dim=2), IndexError, ["axis 2", "-2 to 1"]),
    "transpose": (lambda t: t.ones(2, 3).transpose(0, 2), IndexError, ["axis 2"]),
    "squeeze": (lambda t: t.ones(2).squeeze(3), IndexError, ["axis 3"]),
    "unsqueeze": (lambda t: t.ones(2).unsqueeze(3), IndexError, ["axis 3", "-2 to 1"]),
    "max of nothing": (lambda t: t.ones(0).max(), ShapeError, ["(0,)"]),
    "topk": (lambda t: t.topk(t.ones(3), 5), ValueError, ["topk", "5", "(3,)"]),
    "einsum": (lambda t: t.einsum("ij,jk->ik", t.ones(2, 3), t.ones(4, 5)), ShapeError, ["'j'", "3 and 4"]),
    "einsum operands": (lambda t: t.einsum("ij,jk->ik", t.ones(2, 3)), ValueError, ["2 operands, not 1"]),
    "determinant": (lambda t: t.det(t.ones(2, 3)), ShapeError, ["square", "(2, 3)"]),
    "ragged rows": (lambda t: t.tensor([[1.0, 2.0], [3.0]]), ValueError, ["2 entries", "1", "pad"]),
    "negative size": (lambda t: t.zeros(-1), ValueError, ["negative", "-1"]),
    "data set": (lambda t: t.utils.data.TensorDataset(t.ones(3), t.ones(4)), ShapeError, ["(3,)", "(4,)"]),
}

INDICES = {
    "beyond": (lambda t: t.ones(3)[5], IndexError, ["5", "axis 0", "size 3"]),
    "before": (lambda t: t.ones(3)[-4], IndexError, ["-4", "size 3"]),
    "list": (lambda t: t.ones(3)[t.tensor([0, 7])], IndexError, ["7", "size 3"]),
    "too many": (lambda t: t.ones(3)[0, 0], IndexError, ["too many indices", "(3,)"]),
    "float": (lambda t: t.ones(3)[1.5], IndexError, ["ints", "float64"]),
    "floats": (lambda t: t.ones(3)[t.tensor([0.0, 1.0])], IndexError, ["float32"]),
    "mask": (lambda t: t.ones(3)[t.tensor([True, False])], IndexError, ["mask", "(2,)", "(3,)"]),
    "select": (lambda t: t.index_select(t.ones(3), 0, t.tensor([3])), IndexError, ["3", "size 3"]),
    "gather": (lambda t: t.gather(t.ones(2, 2), 1, t.tensor([[0, 2]])), IndexError, ["2", "axis 1", "size 2"]),
    "gather axes": (lambda t: t.gather(t.ones(2, 2), 1, t.tensor([0])), ShapeError, ["(1,)", "(2, 2)"]),
    "assigned": (lambda t: t.ones(3).__setitem__(slice(0, 2), t.ones(3)), ShapeError, ["(3,)", "(2,)"]),
    "embedding": (lambda t: t.nn.Embedding(3, 2)(t.tensor([5])), IndexError, ["5", "3 rows"]),
    "embedding of floats": (lambda t: t.nn.Embedding(3, 2)(t.tensor([1.0])), TypeError, ["integers", "float32"]),
    "sequential": (lambda t: t.nn.Sequential(t.nn.ReLU())[3], IndexError, ["3", "out of range"]),
}

VALUES = {
    "item": (lambda t: t.ones(2).item(), ValueError, ["one entry", "(2,)"]),
    "truth": (lambda t: bool(t.ones(2)), ValueError, ["ambiguous", ".any()", ".all()"]),
    "length": (lambda t: len(t.tensor(1.0)), TypeError, ["0-d"]),
    "iteration": (lambda t: list(t.tensor(1.0)), TypeError, ["0-d"]),
    "text": (lambda t: t.tensor("a"), TypeError, ["numbers"]),
    "nothing": (lambda t: t.tensor(None), TypeError, ["numbers"]),
    "added text": (lambda t: t.ones(2) + "a", TypeError, ["'add'", "str", "'a'"]),
    "added None": (lambda t: t.ones(2) + None, TypeError, ["'add'", "None"]),
    "mean of integers": (lambda t: t.tensor([1, 2]).mean(), TypeError, ["mean", "int64", ".float()"]),
    "integer power": (lambda t: t.tensor([2]) ** -1, ValueError, ["negative integer powers"]),
    "mask of integers": (
        lambda t: t.ones(3).masked_fill(t.tensor([1, 0, 1]), 0.0), TypeError, ["mask of bools", "int64"],
    ),
    "unknown device": (lambda t: t.device("gpu"), RuntimeError, ["'gpu'", "cpu"]),
    "device number": (lambda t: t.device("cpu:x"), RuntimeError, ["Invalid device string", "'cpu:x'"]),
    "no device": (lambda t: t.device(None), TypeError, ["device"]),
    "made elsewhere": (lambda t: t.ones(2, device="cuda"), OutOfScopeError, ["'cuda'", "CPU"]),
    "sent elsewhere": (lambda t: t.ones(2).to("cuda:0"), OutOfScopeError, ["'cuda:0'", "CPU"]),
    "module elsewhere": (lambda t: t.nn.Linear(1, 1).to("cuda"), OutOfScopeError, ["'cuda'", "CPU"]),
    "module on cuda": (lambda t: t.nn.Linear(1, 1).cuda(), OutOfScopeError, ["Module.cuda", "CPU"]),
    "arange": (lambda t: t.arange(1, 0, 1), ValueError, ["1", "0"]),
    "randint": (lambda t: t.randint(3, 3, (2,)), ValueError, ["low=3", "high=3"]),
    "multinomial": (lambda t: t.multinomial(t.tensor([1.0, 1.0]), 3), ValueError, ["3", "2", "replacement"]),
    "negative weights": (lambda t: t.multinomial(t.tensor([-1.0, 1.0]), 1), ValueError, ["negative"]),
    "bernoulli": (lambda t: t.bernoulli(t.tensor([1.5])), ValueError, ["probability", "[0, 1]"]),
}  # fmt: skip

GRADIENTS = {
    "integers": (lambda t: t.tensor([1], requires_grad=True), TypeError, ["floating-point", "int64", ".float()"]),
    "switched off": (
        lambda t: setattr(asked(t, 2) * 2, "requires_grad", False), GradientError, ["leaves", "detach()"],
    ),
    "to numpy": (lambda t: asked(t, 2).numpy(), GradientError, [".detach().numpy()"]),
    "nothing asked": (lambda t: t.ones(1).backward(), GradientError, ["does not require a gradient"]),
    "no scalar": (lambda t: (asked(t, 2) * 2).backward(), GradientError, ["(2,)", "gradient=", ".sum()"]),
    "cotangent": (lambda t: (asked(t, 2) * 2).backward(t.ones(3)), ShapeError, ["(3,)", "(2,)"]),
    "twice": (backward_twice, GradientError, ["'pow'", "released", "retain_graph=True"]),
    "leaf in place": (leaf_in_place, GradientError, ["leaf", "in place", "no_grad()"]),
    "entry of a leaf": (entry_of_a_leaf, GradientError, ["leaf", "in place", "no_grad()"]),
    "saved in place": (saved_in_place, GradientError, ["'exp'", "changed in place", "version"]),
    "parameter in place": (parameter_in_place, GradientError, ["'linear'", "(1, 2)", "changed in place"]),
    "in place grows": (lambda t: t.ones(2).add_(t.ones(3, 2)), ShapeError, ["(3, 2)", "(2,)", "in place"]),
    "in place dtype": (lambda t: t.tensor([1, 2]).add_(1.5), TypeError, ["int64", "in place"]),
    "in place expanded": (lambda t: t.ones(1).expand(3).add_(1), ValueError, ["(3,)", "clone()"]),
    "unused": (lambda t: t.autograd.grad(asked(t, 2).sum(), asked(t, 2)), GradientError, ["allow_unused"]),
    "copied": (lambda t: copy.deepcopy(asked(t, 2) * 2), GradientError, ["leaves", "detach()"]),
    "hook": (lambda t: t.ones(2).register_hook(print), GradientError, ["hook", "no gradient"]),
    "backward hook": (unhooked, RuntimeError, ["backward hook", "(1, 1)", "(1, 2)"]),
    "variable": (lambda t: t.autograd.Variable([1.0]), TypeError, ["Variable data has to be a tensor", "list"]),
}  # fmt: skip


def loss(name, *shapes_or_tensors, **options):
    """A program that computes a loss of ones of a shape, or of what is made of a list."""

    def program(t):
        given = [t.ones(*g) if isinstance(g, tuple) else t.tensor(g) for g in shapes_or_tensors]
        made = {k: t.ones(*v) if isinstance(v, tuple) else v for k, v in options.items()}
        return getattr(t.nn.functional, name)(*given, **made)

    return program


LOSSES = {
    "label": (loss("cross_entropy", (2, 3), [0, 3]), IndexError, ["row 1 is 3", "0 to 2"]),
    "negative label": (loss("cross_entropy", (2, 3), [0, -2]), IndexError, ["row 1 is -2", "0 to 2"]),
    "nll label": (loss("nll_loss", (2, 3), [5, 0]), IndexError, ["row 0 is 5", "0 to 2"]),
    "nll place": (loss("nll_loss", (1, 2, 1, 2), [[[1, 9]]]), IndexError, ["row (0, 0, 1) is 9", "0 to 1"]),
    "margin label": (loss("multi_margin_loss", (2, 3), [0, 3]), IndexError, ["row 1 is 3", "0 to 2"]),
    "batch": (loss("cross_entropy", (2, 3), [0, 1, 2]), ShapeError, ["(2, 3)", "(2,)", "(3,)"]),
    "labels as a column": (loss("nll_loss", (2, 3), [[0], [1]]), ShapeError, ["(2,)", "(2, 1)"]),
    "labels as floats": (loss("cross_entropy", (2, 3), [0.0, 1.0]), TypeError, ["integers", "float32"]),
    "class weights": (loss("cross_entropy", (2, 3), [0, 1], weight=(2,)), ShapeError, ["weight", "3", "(2,)"]),
    "nll weights": (loss("nll_loss", (2, 3), [0, 1], weight=(4,)), ShapeError, ["weight", "3", "(4,)"]),
    "smoothing": (loss("cross_entropy", (2, 3), [0, 1], label_smoothing=2.0), ValueError, ["label_smoothing", "2.0"]),
    "reduction": (loss("cross_entropy", (2, 3), [0, 1], reduction="avg"), ValueError, ["'avg'"]),
    "probability": (loss("binary_cross_entropy", [1.5], [1.0]), ValueError, ["between 0 and 1", "1.5"]),
    "bce shapes": (loss("binary_cross_entropy", (2, 1), (2,)), ShapeError, ["(2,)", "(2, 1)"]),
    "logits' shapes": (loss("binary_cross_entropy_with_logits", (2, 1), (2,)), ShapeError, ["(2,)", "(2, 1)"]),
    "huber": (loss("huber_loss", (3,), (3,), delta=-1.0), ValueError, ["delta", "-1.0"]),
    "smooth l1": (loss("smooth_l1_loss", (3,), (3,), beta=-1.0), ValueError, ["beta", "-1.0"]),
    **{
        f"{name} broadcasts": (loss(name, (3, 1), (3,)), UserWarning, ["(3, 1)", "(3,)", "broadcast"])
        for name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
    },
}

LAYERS = {
    "linear": (lambda t: t.nn.Linear(2, 3)(t.ones(4, 5)), ShapeError, ["(4, 5)", "(3, 2)", "5", "2"]),
    "linear sizes": (lambda t: t.nn.Linear(2, -1), ValueError, ["(-1, 2)", "negative"]),
    "linear of text": (lambda t: t.nn.Linear("a", 1), TypeError, ["str"]),
    "linear without": (lambda t: t.nn.Linear(2), TypeError, ["Linear", "out_features"]),
    "linear keyword": (lambda t: t.nn.Linear(2, 2, biass=True), TypeError, ["Linear", "biass"]),
    "conv channels": (lambda t: t.nn.Conv2d(3, 4, 3)(t.ones(1, 2, 5, 5)), ShapeError, ["2 channels", "takes 3"]),
    "conv axes": (lambda t: t.nn.Conv2d(3, 4, 3)(t.ones(3, 5)), ShapeError, ["(3, 5)", "height"]),
    "conv kernel": (lambda t: t.nn.Conv2d(1, 1, 7)(t.ones(1, 1, 5, 5)), ShapeError, ["(7, 7)", "(5, 5)"]),
    "conv without": (lambda t: t.nn.Conv2d(1, 1), TypeError, ["kernel_size"]),
    "conv groups": (lambda t: t.nn.Conv2d(3, 4, 3, groups=2), ValueError, ["divisible by groups"]),
    "pooling": (lambda t: t.nn.MaxPool2d(5)(t.ones(1, 1, 3, 3)), ShapeError, ["(5, 5)", "(3, 3)"]),
    "pooling padding": (lambda t: t.nn.MaxPool2d(2, padding=2)(t.ones(1, 1, 5, 5)), ValueError, ["padding", "half"]),
    "batch norm axes": (lambda t: t.nn.BatchNorm1d(3)(t.ones(3)), ShapeError, ["2D or 3D", "1D"]),
    "batch norm sizes": (lambda t: t.nn.BatchNorm1d(3)(t.ones(2, 4)), ShapeError, ["(4,)", "(3,)"]),
    "batch norm of one": (lambda t: t.nn.BatchNorm1d(3)(t.ones(1, 3)), ValueError, ["more than one value", "(1, 3)"]),
    "layer norm": (lambda t: t.nn.LayerNorm(3)(t.ones(2, 4)), ShapeError, ["(2, 4)", "(3,)"]),
    "group norm": (lambda t: t.nn.GroupNorm(2, 3), ValueError, ["num_channels", "divisible"]),
    "dropout": (lambda t: t.nn.Dropout(-0.1), ValueError, ["between 0 and 1", "-0.1"]),
    "flatten": (lambda t: t.nn.Flatten(3)(t.ones(2, 2)), IndexError, ["axis 3"]),
    "chain of a number": (lambda t: t.nn.Sequential(1), TypeError, ["int is not a Module subclass"]),
    "no forward": (lambda t: t.nn.Module()(1), NotImplementedError, ["Module", '"forward"']),
    "parameter": (
        lambda t: setattr(t.nn.Linear(2, 2), "weight", t.ones(2, 2)), TypeError, ["'weight'", "Parameter"],
    ),
    "submodule": (lambda t: t.nn.Linear(2, 2).get_submodule("weight"), AttributeError, ["weight", "not an nn.Module"]),
    "mode": (lambda t: t.nn.Linear(2, 2).train("yes"), ValueError, ["boolean"]),
    "module of integers": (lambda t: t.nn.Linear(2, 2).to(t.int64), TypeError, ["floating point", "int64"]),
    "missing key": (
        lambda t: t.nn.Linear(2, 2).load_state_dict({"weight": t.ones(2, 2)}),
        RuntimeError, ["state_dict for Linear", 'Missing key(s) in state_dict: "bias"'],
    ),
    "unexpected key": (
        lambda t: t.nn.Identity().load_state_dict({"scale": t.ones(1)}),
        RuntimeError, ["state_dict for Identity", 'Unexpected key(s) in state_dict: "scale"'],
    ),
    "size of a key": (
        lambda t: t.nn.Linear(2, 2, bias=False).load_state_dict({"weight": t.ones(3, 2)}),
        RuntimeError, ["size mismatch for weight", "checkpoint", "current model"],
    ),
    "no tensor": (
        lambda t: t.nn.Linear(2, 2, bias=False).load_state_dict({"weight": [1.0]}),
        RuntimeError, ['While copying the parameter named "weight"', "<class 'list'>"],
    ),
    "no dict": (lambda t: t.nn.Linear(2, 2).load_state_dict(3), TypeError, ["dict-like", "<class 'int'>"]),
}  # fmt: skip

TRAINING = {
    "no parameters": (lambda t: t.optim.SGD([], lr=0.1), ValueError, ["empty parameter list"]),
    "one tensor": (lambda t: t.optim.SGD(t.ones(1), lr=0.1), TypeError, ["iterable"]),
    "text": (lambda t: t.optim.SGD(["a"], lr=0.1), TypeError, ["only optimize Tensors", "str"]),
    "computed": (lambda t: t.optim.SGD([asked(t, 1) * 2], lr=0.1), ValueError, ["non-leaf"]),
    "rate": (lambda t: t.optim.SGD(learnt(t, 1), lr=-0.1), ValueError, ["learning rate: -0.1"]),
    "betas": (lambda t: t.optim.Adam(learnt(t, 1), betas=(1.0, 0.9)), ValueError, ["beta parameter at index 0: 1.0"]),
    "nesterov": (lambda t: t.optim.SGD(learnt(t, 1), lr=0.1, nesterov=True), ValueError, ["momentum"]),
    "parts": (lambda t: t.utils.data.random_split(range(10), [3, 3]), ValueError, ["Sum of input lengths"]),
    "batch size": (lambda t: t.utils.data.DataLoader(range(3), batch_size=0), ValueError, ["batch_size", "0"]),
}

TABLES = [SHAPES, INDICES, VALUES, GRADIENTS, LOSSES, LAYERS, TRAINING]
PROGRAMS = [pytest.param(*row, id=name) for table in TABLES for name, row in table.items()]


def outcome(library, program):
    """What a program raises, warnings counted in."""
    library.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            program(library)
        except Exception as error:
            return error
    return None


@pytest.mark.parametrize("program, error, words", PROGRAMS)
def test_wrong_programs_are_refused_in_words(program, error, words):
    found = outcome(tj, program)
    assert isinstance(found, error), f"{type(found).__name__}: {found}"
    assert type(found) is error or error in (RuntimeError, IndexError, TypeError, ValueError)
    for word in words:
        assert word in str(found), f"{word!r} is not in: {found}"


@pytest.mark.peers
@pytest.mark.parametrize("program, error, words", PROGRAMS)
def test_pytorch_refuses_the_same_programs(program, error, words):
    torch = pytest.importorskip("torch")
    found = outcome(torch, program)
    assert found is not None
    # What PyTorch's exception is caught by catches ours, but where PyTorch says RuntimeError to all that can be wrong.
    if not isinstance(found, (RuntimeError, AssertionError)):
        assert issubclass(error, type(found)), f"{type(found).__name__}: {found}"


def test_errors_of_shapes_are_caught_as_numpys_and_as_pytorchs():
    for kind in (ValueError, RuntimeError):
        with pytest.raises(kind):
            tj.ones(2, 3) @ tj.ones(4, 5)
    for kind in (AttributeError, NotImplementedError, RuntimeError):
        with pytest.raises(kind):
            tj.cuda.synchronize()


# ------------------------------------------------------------------------------------------------ afterwards


def test_a_backward_that_fails_changes_no_gradient():
    x, w = tj.ones(2, requires_grad=True), tj.ones(2, requires_grad=True)
    y = (x * w).exp()
    y.sum().backward(retain_graph=True)
    before = x.grad.tolist(), w.grad.tolist()
    with tj.no_grad():
        w += 1
    with pytest.raises(GradientError, match="changed in place"):
        y.sum().backward()
    assert (x.grad.tolist(), w.grad.tolist()) == before
    assert tj.is_grad_enabled()
    (x * w).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.array(before[0]) + 2, rtol=1e-6)


def test_a_change_in_place_that_fails_changes_nothing():
    x = tj.tensor([1.0, 2.0])
    for change in (lambda: x.add_(tj.ones(3, 2)), lambda: x.__setitem__(slice(None), tj.ones(3)), lambda: x.mul_("a")):
        with pytest.raises((ValueError, TypeError)):
            change()
        assert x.tolist() == [1.0, 2.0]
    w = tj.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(GradientError):
        w.mul_(2)
    assert w.tolist() == [1.0, 2.0]
    assert w.is_leaf


def test_loading_that_fails_changes_nothing():
    net = tj.nn.Sequential(tj.nn.Linear(2, 2), tj.nn.BatchNorm1d(2))
    before = {k: v.numpy().copy() for k, v in net.state_dict().items()}
    given = {k: np.zeros_like(v) for k, v in before.items()}
    for wrong in ({**given, "1.weight": np.zeros(3)}, {**given, "more": np.zeros(1)}, {"0.weight": given["0.weight"]}):
        for assign in (False, True):
            with pytest.raises(RuntimeError):
                net.load_state_dict(wrong, assign=assign)
            for key, value in net.state_dict().items():
                assert (value.numpy() == before[key]).all()


def test_a_registration_that_fails_changes_nothing():
    layer = tj.nn.Linear(2, 2)
    names = [name for name, _ in layer.named_parameters()]
    for wrong in (
        lambda: layer.register_parameter("a.b", None),
        lambda: layer.register_parameter("more", tj.ones(1)),
        lambda: layer.register_buffer("weight", tj.ones(1)),
        lambda: layer.add_module("child", 3),
        lambda: setattr(layer, "weight", tj.ones(2, 2)),
    ):
        with pytest.raises((KeyError, TypeError)):
            wrong()
    assert [name for name, _ in layer.named_parameters()] == names
    assert list(layer.state_dict()) == names
    assert not list(layer.children())


def test_a_loss_that_fails_leaves_the_graph_as_it_was():
    logits = tj.ones(2, 3, requires_grad=True)
    with pytest.raises(IndexError):
        tj.nn.functional.cross_entropy(logits * 2, tj.tensor([0, 3]))
    tj.nn.functional.cross_entropy(logits * 2, tj.tensor([0, 2])).backward()
    assert logits.grad.shape == (2, 3)
