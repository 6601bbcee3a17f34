"""Recurrent layers and cells: formulas typed by hand, numbers, PyTorch; packed sequences; the statement's structure."""

from __future__ import annotations

import copy
import itertools
import pickle

import kit
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit import close, randn, rng

import tinygrad_jac as tj
from tinygrad_jac import nn
from tinygrad_jac.jacobians.recurrence import Recurrence
from tinygrad_jac.nn.utils import rnn
from tinygrad_jac.rules import recurrent
from tinygrad_jac.rules.recurrent import GRU, LSTM, RELU, TANH, recurrence

EXACT = 1e-12
CELLS = {"tanh": TANH, "relu": RELU, "lstm": LSTM, "gru": GRU}
LAYERS = ("RNN", "LSTM", "GRU")


@pytest.fixture
def double():
    before = tj.get_default_dtype()
    tj.set_default_dtype(tj.float64)
    yield
    tj.set_default_dtype(before)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# ------------------------------------------------------------------------------------------------ the primitive


def arguments(cell, times=3, batch=2, hidden=2):
    rows = cell.gates * hidden
    shapes = (times, batch, rows), (batch, cell.states * hidden), (rows, hidden), (rows,)
    return [randn(*shape, seed=k) for k, shape in enumerate(shapes)]


@pytest.mark.parametrize("sizes", [None, (2, 2, 1), (0, 1, 2)])
@pytest.mark.parametrize("name", CELLS)
def test_the_primitive(name, sizes):
    cell = CELLS[name]
    kit.check(
        lambda z, s, w, b: recurrence(z, s, w, b, cell=cell, sizes=sizes),
        *arguments(cell),
        second=sizes is None,
        expect="recurrence",
    )


@pytest.mark.parametrize("name", CELLS)
def test_without_a_bias_and_of_no_batch(name):
    cell = CELLS[name]
    z, s, w, _ = arguments(cell)
    kit.check(lambda z, s, w: recurrence(z, s, w, 0, cell=cell, sizes=None), z, s, w, second=False)
    nobody = recurrence(tj.tensor(z[:, :0], requires_grad=True), s[:0], w, 0, cell=cell, sizes=None)
    assert nobody.shape == (3, 0, cell.states * 2)
    nobody.sum().backward()


@pytest.mark.parametrize("sizes", [None, (2, 2, 1)])
@pytest.mark.parametrize("name", CELLS)
def test_the_steps_in_tensor_operations_are_the_same(name, sizes):
    cell = CELLS[name]
    args = arguments(cell)
    found, expected = (
        f(*kit.tensors(args), cell=cell, sizes=sizes).array for f in (recurrence, recurrent.unrolled)
    )  # fmt: skip
    close(found, expected, 1e-14, "fused against step by step")


def test_a_cotangent_that_was_changed_in_place_is_another_one():
    """One walk serves all arguments, and no other cotangent."""
    z, s, w, b = kit.tensors(arguments(GRU))
    out = recurrence(z, s, w, b, cell=GRU, sizes=None)
    u = rng(1).standard_normal(out.shape)
    out.backward(u, retain_graph=True)
    first = [x.grad.array.copy() for x in (z, s, w, b)]
    for x in (z, s, w, b):
        x.grad = None
    u *= -2
    out.backward(u, retain_graph=True)
    for before, x in zip(first, (z, s, w, b)):
        close(x.grad.array, -2 * before, EXACT, "twice as much, with the other sign")


def test_saturated_gates_are_no_trouble():
    z, s, w, b = arguments(LSTM)
    for cell, args in ((LSTM, (z * 1e4, s, w, b)), (GRU, [1e4 * a for a in arguments(GRU)])):
        out = recurrence(*kit.tensors(args), cell=cell, sizes=None)
        out.sum().backward()
        assert np.isfinite(out.array).all()


# ------------------------------------------------------------------------------------------------ the structure


def test_samples_of_a_batch_stay_apart():
    J = Recurrence(randn(3, 4, 2, 2))
    assert J.follow(4, 2) == 2
    assert J.follow(3, 8) is None, "times do not"


def test_the_statement_is_a_product_through_time(double):
    cell = nn.RNNCell(3, 2)
    xs, h0 = tj.tensor(randn(4, 1, 3)), tj.tensor(randn(1, 2, seed=1), requires_grad=True)
    W = cell.weight_hh.array
    h, product = h0, np.eye(2)
    for x in xs:
        h = cell(x, h)
        product = (1 - h.array.ravel() ** 2)[:, None] * W @ product
    close(tj.autograd.functional.jacobian(lambda s: unrolled_by(cell, xs, s), h0).array.reshape(2, 2), product, EXACT,
          "Mₜ ⋯ M₁")  # fmt: skip

    z = nn.functional.linear(xs, cell.weight_ih, cell.bias_ih)
    out = recurrence(z, h0, cell.weight_hh, cell.bias_hh, cell=TANH, sizes=None)
    J = out.node.primitive.statement(out.node, 1)
    assert J.structure == "recurrence · selection · block diagonal"
    close(J.dense()[-2:], product, EXACT, "the last rows of the statement")


def unrolled_by(cell, xs, h):
    for x in xs:
        h = cell(x, h)
    return h


# ------------------------------------------------------------------------------------------------ by hand


def by_hand(kind, x, state, w_ih, w_hh, b_ih, b_hh):
    """One step as the documentation of PyTorch writes it, on vectors."""
    z, v = w_ih @ x + b_ih, w_hh @ state[0] + b_hh
    if kind == "RNN":
        return (np.tanh(z + v),)
    if kind == "LSTM":
        i, f, g, o = np.split(z + v, 4)
        c = sigmoid(f) * state[1] + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c
    (zr, zu, zn), (vr, vu, vn) = np.split(z, 3), np.split(v, 3)
    r, u = sigmoid(zr + vr), sigmoid(zu + vu)
    n = np.tanh(zn + r * vn)
    return ((1 - u) * n + u * state[0],)


@pytest.mark.parametrize("kind", LAYERS)
def test_the_formulas(kind, double):
    layer, cell = getattr(nn, kind)(3, 4), getattr(nn, f"{kind}Cell")(3, 4)
    for (_, p), q in zip(layer.named_parameters(), cell.parameters(), strict=True):
        q.data = p.data
    weights = [p.array for p in layer.parameters()]
    xs = randn(5, 3)
    state = expected = tuple(np.zeros(4) for _ in range(2 if kind == "LSTM" else 1))
    stepped = None
    outputs = []
    for x in xs:
        expected = by_hand(kind, x, expected, *weights)
        outputs.append(expected[0])
        stepped = cell(tj.tensor(x), stepped)
        for found, part in zip(stepped if kind == "LSTM" else (stepped,), expected):
            close(found.array, part, EXACT, "the cell")
    output, last = layer(tj.tensor(xs))
    close(output.array, np.stack(outputs), EXACT, "the layer's outputs")
    for found, part in zip(last if kind == "LSTM" else (last,), expected):
        close(found.array, part[None], EXACT, "the layer's last state")
    assert len(state) == len(expected)


def test_a_second_direction_is_the_first_on_the_reversed_sequence(double):
    both, one = nn.GRU(3, 2, bidirectional=True), nn.GRU(3, 2)
    one.load_state_dict({k.removesuffix("_reverse"): v for k, v in both.state_dict().items() if k.endswith("_reverse")})
    x = tj.tensor(randn(5, 4, 3))
    (y, h), (expected, last) = both(x), one(x.flip(0))
    close(y.array[..., 2:], expected.array[::-1], EXACT, "outputs, in the order of the inputs")
    close(h.array[1:], last.array, EXACT, "the state after the first input")


def test_names_and_shapes_of_parameters():
    lstm = nn.LSTM(3, 5, num_layers=2, bidirectional=True, proj_size=2)
    shapes = {name: tuple(p.shape) for name, p in lstm.named_parameters()}
    assert list(shapes)[:6] == [
        "weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0", "weight_hr_l0", "weight_ih_l0_reverse",
    ]  # fmt: skip
    assert shapes["weight_ih_l0"] == (20, 3)
    assert shapes["weight_hh_l1_reverse"] == (20, 2)
    assert shapes["weight_ih_l1"] == (20, 4)
    assert shapes["weight_hr_l1"] == (2, 5)
    assert len(shapes) == 20
    assert [len(group) for group in lstm.all_weights] == [5] * 4
    assert lstm.all_weights[0][0] is lstm.weight_ih_l0
    assert list(nn.GRU(3, 5, bias=False).state_dict()) == ["weight_ih_l0", "weight_hh_l0"]
    assert list(nn.RNNCell(3, 5).state_dict()) == ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
    bound = 5**-0.5
    assert all(abs(p.array).max() <= bound for p in lstm.parameters())
    assert max(abs(p.array).max() for p in lstm.parameters()) > 0.9 * bound
    lstm.flatten_parameters()


@pytest.mark.parametrize(
    "made, text",
    [
        (lambda: nn.RNN(3, 4), "RNN(3, 4)"),
        (lambda: nn.GRU(3, 4, 2, batch_first=True), "GRU(3, 4, num_layers=2, batch_first=True)"),
        (lambda: nn.LSTM(3, 4, 2, False, dropout=0.5, bidirectional=True, proj_size=1),
         "LSTM(3, 4, proj_size=1, num_layers=2, bias=False, dropout=0.5, bidirectional=True)"),
        (lambda: nn.RNNCell(3, 4, nonlinearity="relu"), "RNNCell(3, 4, nonlinearity=relu)"),
        (lambda: nn.LSTMCell(3, 4, bias=False), "LSTMCell(3, 4, bias=False)"),
    ],
    ids=["RNN", "GRU", "LSTM", "RNNCell", "LSTMCell"],
)  # fmt: skip
def test_printing(made, text):
    assert repr(made()) == text


def test_single_precision_stays_single():
    for kind in LAYERS:
        layer = getattr(nn, kind)(3, 4)
        x = tj.tensor(randn(5, 2, 3).astype(np.float32), requires_grad=True)
        y, _ = layer(x)
        assert y.dtype == np.float32
        y.sum().backward()
        assert x.grad.dtype == layer.weight_hh_l0.grad.dtype == np.float32


def test_dropout_is_between_layers_and_in_training():
    x = tj.tensor(randn(5, 2, 3).astype(np.float32))
    gru = nn.GRU(3, 4, num_layers=2, dropout=1.0)
    plain = nn.GRU(3, 4, num_layers=2)
    plain.load_state_dict(gru.state_dict())
    above = nn.GRU(4, 4)
    above.load_state_dict({k.replace("_l1", "_l0"): v for k, v in gru.state_dict().items() if "_l1" in k})
    close(gru(x)[0].array, above(tj.zeros(5, 2, 4))[0].array, 1e-6, "the second layer saw nothing")
    assert np.array_equal(gru(x)[1][0].array, plain(x)[1][0].array), "the first layer saw everything"
    gru.eval()
    assert np.array_equal(gru(x)[0].array, plain(x)[0].array)
    with pytest.warns(UserWarning, match="num_layers greater than 1, but got dropout=0.5"):
        nn.GRU(3, 4, dropout=0.5)


def test_copies():
    x = tj.tensor(randn(5, 2, 3).astype(np.float32))
    for kind in LAYERS:
        layer = getattr(nn, kind)(3, 4)
        for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
            assert other._cell is layer._cell
            assert other.weight_hh_l0 is not layer.weight_hh_l0
            assert np.array_equal(other(x)[0].array, layer(x)[0].array)


def test_transforms(double):
    x = tj.tensor(randn(3, 2, 3))
    lstm = nn.LSTM(3, 2)
    reverse, forward = (f(lambda x: lstm(x)[0])(x).array for f in (tj.func.jacrev, tj.func.jacfwd))
    close(forward, reverse, EXACT, "forward against reverse mode")


# ------------------------------------------------------------------------------------------------ PyTorch


def twins(torch, kind, *args, **options):
    """The same module in both libraries, with the same parameters, in float64."""
    theirs = getattr(torch.nn, kind)(*args, **options, dtype=torch.float64)
    ours = getattr(nn, kind)(*args, **options, dtype=tj.float64)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert repr(ours) == repr(theirs)
    ours.load_state_dict({k: tj.from_numpy(v.numpy().copy()) for k, v in theirs.state_dict().items()})
    return ours, theirs


def compare(found, expected, what):
    for k, (a, b) in enumerate(zip(found, expected, strict=True)):
        close(a.detach().numpy(), b.detach().numpy(), EXACT, f"{what}, {k}")


def options_of(kind):
    names = ("num_layers", "bidirectional", "batch_first", "bias")
    for values in itertools.product((1, 2), *[(False, True)] * 3):
        options = dict(zip(names, values))
        yield options
        if kind == "RNN" and options["bias"]:
            yield {**options, "nonlinearity": "relu"}
        if kind == "LSTM" and options["bias"]:
            yield {**options, "proj_size": 2}


def compare_layers(torch, kind, form, options, with_state):
    ours, theirs = twins(torch, kind, 3, 4, **options)
    batch = (3,) if form != "single" else ()
    first, count = options["batch_first"], options["num_layers"] * (1 + options["bidirectional"])
    x = randn(*((*batch, 5, 3) if first else (5, *batch, 3)))
    starts = [randn(count, *batch, w, seed=w) for w in (options.get("proj_size", 4), 4)][: 1 + (kind == "LSTM")]
    lengths = {"sorted": [5, 3, 1], "unsorted": [2, 5, 3]}.get(form)

    def run(lib, utils, model):
        inputs = [lib.tensor(a, requires_grad=True) for a in (x, *(starts if with_state else ()))]
        state = inputs[1] if len(inputs) == 2 else tuple(inputs[1:]) or None
        given = inputs[0]
        if lengths:
            given = utils.pack_padded_sequence(given, lengths, first, enforce_sorted=form == "sorted")
        y, last = model(given, state)
        if lengths:
            assert type(y).__name__ == "PackedSequence"
            y, found = utils.pad_packed_sequence(y, batch_first=first, padding_value=0.5)
            assert found.tolist() == lengths
        last = last if kind == "LSTM" else (last,)
        sum((s**2).sum() * k for k, s in enumerate((y, *last), 1)).backward()
        return [y, *last, *(a.grad for a in inputs), *(p.grad for p in model.parameters())]

    compare(run(tj, rnn, ours), run(torch, torch.nn.utils.rnn, theirs), f"{kind} {options}")


@pytest.mark.peers
@pytest.mark.parametrize("form", ["batch", "single", "sorted", "unsorted"])
@pytest.mark.parametrize("kind", LAYERS)
def test_layers_against_pytorch(kind, form):
    torch = pytest.importorskip("torch")
    for n, options in enumerate(options_of(kind)):
        compare_layers(torch, kind, form, options, bool(n % 3))


def compare_cells(torch, kind, bias, with_state, batch):
    ours, theirs = twins(torch, kind, 3, 4, bias=bias)
    starts = [randn(*batch, 4, seed=k) for k in range(2 if kind == "LSTMCell" else 1)]

    def run(lib, cell):
        inputs = [lib.tensor(a, requires_grad=True) for a in (randn(*batch, 3), *(starts if with_state else ()))]
        state = inputs[1] if len(inputs) == 2 else tuple(inputs[1:]) or None
        for _ in range(2):
            state = cell(inputs[0], state)
        parts = state if kind == "LSTMCell" else (state,)
        sum((s**3).sum() for s in parts).backward()
        return [*parts, *(a.grad for a in inputs), *(p.grad for p in cell.parameters())]

    compare(run(tj, ours), run(torch, theirs), f"{kind} bias={bias} batch={batch}")


@pytest.mark.peers
@pytest.mark.parametrize("kind", ["RNNCell", "LSTMCell", "GRUCell"])
def test_cells_against_pytorch(kind):
    torch = pytest.importorskip("torch")
    for bias, with_state, batch in itertools.product((True, False), (True, False), ((), (5,))):
        compare_cells(torch, kind, bias, with_state, batch)


@pytest.mark.peers
def test_a_training_run_against_pytorch():
    """A tagger: embedding, LSTM in two directions, a linear layer; the losses of the whole run agree."""
    torch = pytest.importorskip("torch")

    def tagger(lib):
        class Tagger(lib.nn.Module):
            def __init__(self):
                super().__init__()
                self.embedding = lib.nn.Embedding(11, 6)
                self.lstm = lib.nn.LSTM(6, 8, num_layers=2, bidirectional=True, batch_first=True)
                self.out = lib.nn.Linear(16, 3)

            def forward(self, words):
                return self.out(self.lstm(self.embedding(words))[0])

        return Tagger().to(lib.float64)

    theirs, ours = tagger(torch), tagger(tj)
    ours.load_state_dict({k: tj.from_numpy(v.numpy().copy()) for k, v in theirs.state_dict().items()})
    words, tags = rng(1).integers(11, size=(4, 7)), rng(2).integers(3, size=(4, 7))

    def losses(lib, model):
        optimizer = lib.optim.Adam(model.parameters(), lr=0.02)
        found = []
        for _ in range(30):
            optimizer.zero_grad()
            loss = lib.nn.functional.cross_entropy(
                model(lib.tensor(words)).reshape(-1, 3), lib.tensor(tags).reshape(-1)
            )
            loss.backward()
            optimizer.step()
            found.append(loss.item())
        return found

    found = losses(tj, ours)
    assert found[-1] < 0.3 * found[0]
    assert found == pytest.approx(losses(torch, theirs), rel=1e-9)


# ------------------------------------------------------------------------------------------------ packed sequences


def test_packing_by_hand():
    a, b, c = tj.tensor([1, 2, 3]), tj.tensor([4, 5]), tj.tensor([6])
    packed = rnn.pack_sequence([a, b, c])
    assert packed.data.tolist() == [1, 4, 6, 2, 5, 3]
    assert packed.batch_sizes.tolist() == [3, 2, 1]
    assert packed.sorted_indices is packed.unsorted_indices is None
    assert [x.tolist() for x in rnn.unpack_sequence(packed)] == [[1, 2, 3], [4, 5], [6]]
    mixed = rnn.pack_sequence([c, a, b], enforce_sorted=False)
    assert mixed.data.tolist() == packed.data.tolist()
    assert mixed.sorted_indices.tolist() == [1, 2, 0]
    assert mixed.unsorted_indices.tolist() == [2, 0, 1]
    padded, lengths = rnn.pad_packed_sequence(mixed, batch_first=True, padding_value=-1, total_length=4)
    assert padded.tolist() == [[6, -1, -1, -1], [1, 2, 3, -1], [4, 5, -1, -1]]
    assert lengths.tolist() == [1, 3, 2]
    assert rnn.pad_sequence([c, b], True, 9, "left").tolist() == [[9, 6], [4, 5]]
    assert packed.to(tj.float64).data.dtype == np.float64
    again = rnn.PackedSequence((packed.data, packed.batch_sizes))
    assert again.batch_sizes is packed.batch_sizes


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.booleans(), st.sampled_from([(), (2,)]))
def test_packing_and_back(lengths, batch_first, features):
    sequences = [tj.tensor(randn(n, *features, seed=k), requires_grad=True) for k, n in enumerate(lengths)]
    padded = rnn.pad_sequence(sequences, batch_first)
    packed = rnn.pack_padded_sequence(padded, tj.tensor(lengths), batch_first, enforce_sorted=False)
    assert len(packed.data) == sum(lengths) == packed.batch_sizes.sum().item()
    again, found = rnn.pad_packed_sequence(packed, batch_first)
    assert found.tolist() == lengths
    assert np.array_equal(again.array, padded.array)
    for a, b in zip(rnn.unpad_sequence(again, found, batch_first), sequences, strict=True):
        assert np.array_equal(a.array, b.array)
    (again**2).sum().backward()
    for x in sequences:
        close(x.grad.array, 2 * x.array, EXACT, "each entry arrives once")


def test_a_packed_sequence_is_what_its_sequences_are_alone(double):
    lstm = nn.LSTM(3, 2, num_layers=2, bidirectional=True)
    sequences = [tj.tensor(randn(n, 3, seed=n)) for n in (2, 4, 1)]
    packed, (h, c) = lstm(rnn.pack_sequence(sequences, enforce_sorted=False))
    for k, (x, y) in enumerate(zip(sequences, rnn.unpack_sequence(packed), strict=True)):
        alone, (h_k, c_k) = lstm(x)
        close(y.array, alone.array, EXACT, "output")
        close(h.array[:, k], h_k.array, EXACT, "h")
        close(c.array[:, k], c_k.array, EXACT, "c")


# ------------------------------------------------------------------------------------------------ wrong input


def ones(*shape):
    return tj.ones(*shape)


@pytest.mark.parametrize(
    "kind, error, text",
    [
        ("x of four axes", tj.ShapeError, "LSTM: Expected input to be 2D or 3D, got 4D instead"),
        ("input size", tj.ShapeError, r"input.size\(-1\) must be equal to input_size. Expected 3, got 2"),
        ("no times", tj.ShapeError, "Expected sequence length to be larger than 0"),
        ("dtype", ValueError, r"RNN input dtype \(float64\) does not match weight dtype \(float32\)"),
        ("one state", TypeError, r"LSTM: the initial state must be a tuple of Tensors \(h_0, c_0\), not Tensor"),
        ("batch of h", tj.ShapeError, r"Expected hidden\[0\] size \(1, 2, 4\), got \[1, 5, 4\]"),
        ("size of c", tj.ShapeError, r"Expected hidden\[1\] size \(1, 2, 4\), got \[1, 2, 3\]"),
        ("axes of h", tj.ShapeError, "For batched 3-D input, hx should also be 3-D but got 2-D, 3-D tensors"),
        ("unbatched", tj.ShapeError, "For unbatched 2-D input, hx should also be 2-D but got 3-D, 3-D tensors"),
        ("packed", tj.ShapeError, "input must have 2 dimensions, got 1"),
    ],
)
def test_wrong_input(kind, error, text):
    h, c = ones(1, 2, 4), ones(1, 2, 4)
    lstm = nn.LSTM(3, 4)
    given = {
        "x of four axes": lambda: (ones(5, 2, 3, 1),),
        "input size": lambda: (ones(5, 2, 2),),
        "no times": lambda: (ones(0, 2, 3),),
        "dtype": lambda: (ones(5, 2, 3).double(),),
        "one state": lambda: (ones(5, 2, 3), h),
        "batch of h": lambda: (ones(5, 2, 3), (ones(1, 5, 4), c)),
        "size of c": lambda: (ones(5, 2, 3), (h, ones(1, 2, 3))),
        "axes of h": lambda: (ones(5, 2, 3), (h[0], c)),
        "unbatched": lambda: (ones(5, 3), (h, c)),
        "packed": lambda: (rnn.pack_sequence([ones(3)]),),
    }[kind]()
    with pytest.raises(error, match=text):
        lstm(*given)


def test_wrong_options():
    for make, error, text in (
        (lambda: nn.RNN(3, 4, nonlinearity="gelu"), ValueError, "Unknown nonlinearity 'gelu'"),
        (lambda: nn.RNN(0, 4), ValueError, "input_size must be greater than zero"),
        (lambda: nn.RNN(3, 4.0), TypeError, "hidden_size should be of type int, got: float"),
        (lambda: nn.GRU(3, 4, num_layers=0), ValueError, "num_layers must be greater than zero"),
        (lambda: nn.GRU(3, 4, 2, bias=1), TypeError, "bias should be of type bool, got: int"),
        (lambda: nn.GRU(3, 4, batch_first=1), TypeError, "batch_first should be of type bool"),
        (lambda: nn.GRU(3, 4, 2, dropout=1.5), ValueError, "dropout should be a number in range"),
        (lambda: nn.LSTM(3, 4, proj_size=4), ValueError, "proj_size must be 0"),
        (lambda: nn.GRU(3, 4, proj_size=2), TypeError, "proj_size"),
    ):
        with pytest.raises(error, match=text):
            make()


def test_wrong_input_of_cells():
    for name in ("RNNCell", "LSTMCell", "GRUCell"):
        cell = getattr(nn, name)(3, 4)
        with pytest.raises(tj.ShapeError, match=f"{name}: Expected input to be 1D or 2D, got 3D instead"):
            cell(ones(2, 2, 3))
        with pytest.raises(tj.ShapeError, match="input has inconsistent input_size: got 4 expected 3"):
            cell(ones(2, 4))
        h = ones(5, 4)
        with pytest.raises(tj.ShapeError, match=r"Expected hidden to be of shape \(2, 4\), got \(5, 4\)"):
            cell(ones(2, 3), (h, h) if name == "LSTMCell" else h)
    with pytest.raises(TypeError, match=r"LSTMCell: the state must be a tuple of Tensors \(h, c\), not Tensor"):
        nn.LSTMCell(3, 4)(ones(2, 3), ones(2, 4))
    with pytest.raises(TypeError, match="GRUCell: the state must be a Tensor h, not tuple"):
        nn.GRUCell(3, 4)(ones(2, 3), (ones(2, 4),))


def test_wrong_packing():
    x = ones(3, 2, 1)
    for call, text in (
        (lambda: rnn.pack_padded_sequence(x, [3]), r"Expected `len\(lengths\)` to be equal to batch_size, but got 1"),
        (lambda: rnn.pack_padded_sequence(x, [3, 0]), "has to be greater than 0, but found 0"),
        (lambda: rnn.pack_padded_sequence(x, [4, 1]), "Expected lengths of at most 3"),
        (lambda: rnn.pack_padded_sequence(x, [1, 3]), "pass `enforce_sorted=False`"),
        (lambda: rnn.pack_padded_sequence(ones(3), [1]), "an array of two axes at least"),
        (lambda: rnn.pad_sequence([x], padding_side="top"), "to be one of left or right, but got top"),
        (lambda: rnn.pad_packed_sequence(rnn.pack_sequence([x]), total_length=2), "Expected total_length to be at"),
    ):
        with pytest.raises(ValueError, match=text):
            call()


def test_what_a_walk_left_may_be_taken_by_another_thread(monkeypatch, double):
    class Emptied(recurrent._Kept):
        """As if somebody else took all of it as soon as it is there."""

        @property
        def latest(self):
            return None, {}

        @latest.setter
        def latest(self, given):
            given[1].clear()

    layer, x = nn.LSTM(2, 3), tj.tensor(randn(4, 1, 2), requires_grad=True)
    expected = tj.autograd.grad(layer(x)[0].sum(), [x, *layer.parameters()])
    monkeypatch.setattr(recurrent, "_Kept", Emptied)
    for found, e in zip(tj.autograd.grad(layer(x)[0].sum(), [x, *layer.parameters()]), expected, strict=True):
        np.testing.assert_array_equal(found, e)
