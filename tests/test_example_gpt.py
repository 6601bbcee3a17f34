"""examples/gpt.py, short: it learns, writes, does not look ahead; its attention and its network against PyTorch."""

from __future__ import annotations

import gzip
import importlib
import math
import re

import numpy as np
import pytest
from running import EXAMPLES, assert_failed_with, start

import tinygrad_jac as tj
from tinygrad_jac import nn, optim, utils  # noqa: F401 (here, and not when a test loads an example)

SMALL = ("--context", "16", "--layers", "1", "--width", "16", "--batch", "8", "--write", "40")


@pytest.fixture(scope="module")
def gpt():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        yield importlib.import_module("gpt")


def test_gpt(tmp_path):
    pytest.importorskip("matplotlib")
    run = start("gpt.py", "--steps", "60", "--lr", "0.01", "--seed", "1", "--out", tmp_path, *SMALL)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    losses = [float(x) for x in re.findall(r"^step .*held-out loss (\d\.\d{4})   \d+ s$", run.stdout, re.MULTILINE)]
    assert len(losses) == 20
    end = re.fullmatch(r"held-out loss (\d\.\d{4})", run.stdout.splitlines()[-1])
    assert float(end[1]) == losses[-1]
    # 59 characters, all equally likely, cost 4.08 nats each; as frequent as they are in the text, 3.2.
    assert losses[-1] < 3.2
    data = (tmp_path / "gpt.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert len(data) > 20_000


def test_a_text_of_ones_own(tmp_path):
    text = "to be or not to be\n" * 40
    (tmp_path / "text.gz").write_bytes(gzip.compress(text.encode()))
    run = start("gpt.py", "--data", tmp_path / "text.gz", "--steps", "40", "--lr", "0.01", "--out", tmp_path, *SMALL)
    assert run.returncode == 0, run.stderr
    assert float(run.stdout.splitlines()[-1].split()[-1]) < 1.5
    written = run.stdout[run.stdout.index("\n\n") : run.stdout.index("wrote")]
    assert len(written.strip()) > 20
    assert set(written) <= set(text)


def test_what_cannot_be_read(gpt, tmp_path, capsys):
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe" * 2000)
    (tmp_path / "damaged.gz").write_bytes(gzip.compress(b"to be" * 2000)[:-9])
    (tmp_path / "no.gz").write_bytes(b"to be" * 2000)
    for name, text in (
        ("nothing.txt", "cannot be read: No such file"),
        ("binary.txt", "is not text in UTF-8"),
        ("damaged.gz", "cannot be read: Compressed file ended"),
        ("no.gz", "cannot be read: Not a gzipped file"),
    ):
        with pytest.raises(SystemExit):
            gpt.read_text(tmp_path / name)
        said = capsys.readouterr().err
        assert f"{tmp_path / name} {text}" in said
        assert said.count("\n") == 1
    (tmp_path / "plain.txt").write_text("to be\n")
    assert gpt.read_text(tmp_path / "plain.txt") == "to be\n"


def test_options_are_checked(tmp_path):
    (tmp_path / "short.txt").write_text("to be")
    run = start("gpt.py", "--data", tmp_path / "short.txt", "--out", tmp_path)
    assert_failed_with(run, "has 5 characters, which is too few for a context of 64")
    assert_failed_with(start("gpt.py", "--width", "30"), "30 is not a multiple of 4", 2)


def test_the_text_that_ships(gpt):
    text = gpt.read_text(gpt.DATA)
    assert text.startswith("First Citizen:\nBefore we proceed any further, hear me speak.")
    assert (len(text), len(set(text))) == (50086, 59)


def test_nothing_of_what_comes_later_is_seen(gpt):
    tj.manual_seed(0)
    model = gpt.GPT(10, context=8, layers=2, heads=2, width=8)
    maps = model.attention(tj.arange(8).reshape(1, 8))
    assert maps.shape == (2, 2, 8, 8)
    assert (np.triu(maps, 1) == 0).all()
    np.testing.assert_allclose(maps.sum(-1), np.ones((2, 2, 8)), rtol=1e-6)
    text = tj.tensor([[1, 2, 3, 4, 5, 6, 7, 8]])
    changed = tj.tensor([[1, 2, 3, 4, 5, 9, 9, 9]])
    before, after = model.eval()(text).detach().numpy(), model(changed).detach().numpy()
    assert np.array_equal(before[:, :5], after[:, :5])
    assert not np.array_equal(before[:, 5:], after[:, 5:])


def test_drawn_weights_are_those_that_are_used(gpt):
    tj.manual_seed(0)
    attention = gpt.CausalSelfAttention(8, 2).double()
    x = tj.randn(2, 5, 8, dtype=tj.float64)
    mixed = attention.weights(x) @ attention.by_head(x)[2]
    expected = attention.out(mixed.transpose(1, 2).reshape(2, 5, 8))
    np.testing.assert_allclose(attention(x).detach(), expected.detach(), rtol=1e-12)


def test_the_embedding_is_tied_to_the_head(gpt):
    model = gpt.GPT(11, context=4, layers=1, width=8)
    assert model.characters.weight is model.head.weight
    names = [name for name, _ in model.named_parameters()]
    assert "characters.weight" in names
    assert "head.weight" not in names
    assert abs(gpt.loss_of(model.eval(), tj.zeros(3, 4).long(), tj.ones(3, 4).long()).item() - math.log(11)) < 0.05


def test_batches_are_one_character_apart(gpt):
    tj.manual_seed(0)
    data = tj.arange(30)
    x, y = gpt.batch(data, 50, 8)
    assert x.shape == y.shape == (50, 8)
    assert (y == x + 1).all()
    assert x.min().item() == 0
    assert y.max().item() == 29


def test_the_rate_rises_and_falls(gpt):
    rates = [gpt.rate_at(k, 100, 1.0) for k in range(100)]
    assert rates[9] == max(rates) == 1.0
    assert sorted(rates[:10]) == rates[:10]
    assert sorted(rates[9:], reverse=True) == rates[9:]
    assert 0.1 < rates[-1] < 0.11


def test_writing_takes_what_is_likely(gpt):
    tj.manual_seed(0)
    model = gpt.GPT(5, context=4, layers=1, width=8)
    with tj.no_grad():
        model.characters.weight.copy_(tj.zeros(5, 8))
        model.norm.bias.copy_(tj.ones(8))
        model.characters.weight[3] += 10.0
    assert model.generate(tj.tensor([[0]]), 6).tolist() == [[0, 3, 3, 3, 3, 3, 3]]


@pytest.mark.peers
def test_pytorch_learns_the_same(gpt):
    """The example with PyTorch's imports: from equal weights and batches, in float64, the losses agree."""
    torch = pytest.importorskip("torch")
    path = EXAMPLES / "gpt.py"
    theirs = {"__name__": "gpt_in_torch", "__file__": str(path)}
    exec(compile(path.read_text(encoding="utf-8").replace("tinygrad_jac", "torch"), "gpt_in_torch", "exec"), theirs)
    size = dict(vocabulary=12, context=8, layers=2, heads=2, width=8)
    models = {tj: gpt.GPT(**size).double(), torch: theirs["GPT"](**size).double()}
    assert models[tj].load_state_dict({k: v.numpy() for k, v in models[torch].state_dict().items()})
    batches = np.random.default_rng(0).integers(0, 12, (20, 6, 8))
    losses = {}  # of naming each character's successor
    for lib, model in models.items():
        loss_of = gpt.loss_of if lib is tj else theirs["loss_of"]
        optimizer = lib.optim.AdamW(model.parameters(), lr=0.01, betas=(0.9, 0.99), weight_decay=0.1)
        losses[lib] = []
        for x in batches:
            optimizer.zero_grad()
            loss = loss_of(model, lib.tensor(x), lib.tensor((x + 1) % 12))
            loss.backward()
            lib.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
            optimizer.step()
            losses[lib].append(loss.item())
    assert losses[tj][-1] < losses[tj][0]
    np.testing.assert_allclose(losses[tj], losses[torch], rtol=1e-9)
