"""examples/names.py, short: it learns, makes up names, and says what is wrong with its data."""

from __future__ import annotations

import importlib
import re

import numpy as np
import pytest
from running import EXAMPLES, assert_failed_with, start

import tinygrad_jac as tj
from tinygrad_jac import nn, optim, utils  # noqa: F401 (here, and not when a test loads an example)


def few(tmp_path, count=300):
    path = tmp_path / "names.txt"
    lines = (EXAMPLES / "data" / "names.txt").read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(lines[:count]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("model", ["gru", "bigram"])
def test_names(tmp_path, model):
    pytest.importorskip("matplotlib")
    options = ("--model", model, "--epochs", "4", "--samples", "5", "--seed", "1", "--out", tmp_path)
    run = start("names.py", "--data", few(tmp_path), *options)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    lines = run.stdout.splitlines()
    assert "270 names of" in run.stdout
    assert len(re.findall(r"^epoch ./4  train loss \d\.\d{4}   test loss \d\.\d{4} ", run.stdout, re.MULTILINE)) == 4
    assert lines[-4].startswith("made up: ")
    assert lines[-3].startswith("in the data already: ")
    end = re.fullmatch(r"test loss (\d\.\d{4})", lines[-1])
    assert float(end[1]) < 3.0 < np.log(27), "better than all letters alike"
    data = (tmp_path / f"names_{model}.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert len(data) > 30_000


def test_what_is_no_list_of_names_is_told(tmp_path):
    path = tmp_path / "file.txt"
    for content, text in (
        (b"\xff\xfe\x80", "is not a text file"),
        (b"anna\n" * 100, "has 1 names, there should be 20 at least"),
        ("\n".join(f"a{chr(97 + k)}" for k in range(26)).encode() + b"\nmr. x", "'mr. x' has a '.' in it or more"),
        ("\n".join("a" * k for k in range(60)).encode(), "has a '.' in it or more than 50 letters"),
    ):
        path.write_bytes(content)
        assert_failed_with(start("names.py", "--data", path, "--out", tmp_path), text)
    assert_failed_with(start("names.py", "--data", tmp_path / "nowhere", "--out", tmp_path), "cannot be read: No such")


@pytest.fixture(scope="module")
def example():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        yield importlib.import_module("names")


def test_what_is_read_and_what_comes_next(example):
    alphabet = example.Alphabet(["ab", "b"])
    assert alphabet.letters == [".", "a", "b"]
    read, following = alphabet.batch(["b", "ab"])
    assert read.data.tolist() == [0, 0, 1, 2, 2]  # of the longer one first: . . a b b
    assert following.data.tolist() == [1, 2, 2, 0, 0]
    assert read.batch_sizes.tolist() == following.batch_sizes.tolist() == [2, 2, 1]


def test_a_certain_network_writes_what_it_knows(example):
    alphabet = example.Alphabet(["ab"])
    model = example.Bigrams(len(alphabet))
    model.table.weight.data = tj.tensor([[0.0, 99.0, 0.0], [0.0, 0.0, 99.0], [99.0, 0.0, 0.0]])
    assert example.invent(model, alphabet) == "ab"
    np.testing.assert_allclose(example.expected(model, alphabet, "ab"), np.eye(3)[[1, 2, 0]], atol=1e-6)


def test_names_of_several_lengths_cost_what_they_cost_alone(example):
    tj.manual_seed(0)
    names = ["anna", "bo", "clementine"]
    alphabet = example.Alphabet(names)
    for kind in example.LAYERS:
        model = example.Network(len(alphabet), kind)
        together = example.test_loss_of(model, [alphabet.batch(names)])
        alone = [example.test_loss_of(model, [alphabet.batch([name])]) * (len(name) + 1) for name in names]
        assert together == pytest.approx(sum(alone) / 19, rel=1e-5)
