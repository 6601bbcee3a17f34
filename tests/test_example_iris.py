"""The blanks of the paper: the script, its splits, and the numbers that the book prints."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import numpy as np
import pytest
from running import EXAMPLES, start

import tinygrad_jac as tj
from tinygrad_jac import nn

CHAPTER = Path(__file__).parents[1] / "docs" / "book" / "iris.md"
PRINTED = re.findall(r"\$ python examples/iris\.py(.*)\n((?:.+\n)*?)```", CHAPTER.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def iris():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        yield importlib.import_module("iris")


def test_the_chapter_shows_two_runs():
    assert [options.split() for options, _ in PRINTED] == [[], ["--steps", "100"]]


@pytest.mark.parametrize("options, text", PRINTED, ids=["to the end", "100 steps"])
def test_the_chapter_prints_what_the_script_does(options, text):
    """Up to half a flower in a hundred splits: another BLAS rounds differently, and a border case falls otherwise."""
    run = start("iris.py", *options.split())
    assert run.returncode == 0, run.stderr
    number = r"[-+]?\d+(?:\.\d)?(?!-)"
    found, expected = (re.sub(number, "#", t).split() for t in (run.stdout, text))
    assert found == expected, "the words"
    *accuracies, gain = zip(run.stdout.splitlines()[1:], text.splitlines()[1:])
    for pair in accuracies:
        (mean, spread), (mean2, spread2) = (
            map(float, re.search(r"([\d.]+) % ± ([\d.]+)", line).groups()) for line in pair
        )
        assert abs(mean - mean2) <= 0.3
        assert abs(spread - spread2) <= 0.5
    ours, theirs = (float(re.search(r"adds ([-+\d.]+)", line)[1]) for line in gain)
    assert abs(ours - theirs) <= 0.4


def test_short_run_with_other_options():
    run = start("iris.py", "--splits", "3", "--steps", "60", "--test-part", "0.5", "--hidden", "7", "--lr", "0.1")
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    lines = run.stdout.splitlines()
    assert lines[0] == "3 splits, 75 flowers to learn from and 75 for the test; 60 steps"
    assert lines[2].startswith("two layers, 4-7-3")
    assert all(float(re.search(r"accuracy ([\d.]+)", line)[1]) > 85 for line in lines[1:3])


@pytest.mark.parametrize(
    "options", [("--splits", "0"), ("--test-part", "1"), ("--lr", "-1"), ("--hidden", "0")], ids=str
)
def test_options_that_make_no_sense(options):
    run = start("iris.py", *options)
    assert run.returncode == 2
    assert f"{options[0]} must" in run.stderr


def test_splits_are_stratified_and_leave_nothing_out(iris):
    x, y = iris.load_iris()
    assert x.shape == (150, 4)
    assert np.bincount(y).tolist() == [50, 50, 50]
    found = list(iris.splits(y, 4, 0.2, seed=0))
    for learnt, tested in found:
        assert np.bincount(y[learnt]).tolist() == [40, 40, 40]
        assert np.bincount(y[tested]).tolist() == [10, 10, 10]
        assert sorted([*learnt, *tested]) == list(range(150))
    assert len({tuple(sorted(tested)) for _, tested in found}) == 4
    again = list(iris.splits(y, 4, 0.2, seed=0))
    assert all((a[0] == b[0]).all() for a, b in zip(found, again))


def test_side_by_side_is_as_one_by_one(iris):
    """A stack of networks is trained exactly as each one by itself: the same weights after some steps."""
    tj.manual_seed(0)
    x, y = iris.load_iris()
    stack = iris.Stack(3, 4, 5, 3)
    alone = []
    for k in range(3):
        net = nn.Sequential(nn.Linear(4, 5, dtype=tj.float64), nn.ReLU(), nn.Linear(5, 3, dtype=tj.float64))
        for layer, W, b in zip((net[0], net[2]), stack.weights, stack.biases):
            layer.weight.array[...] = W.array[k].T
            layer.bias.array[...] = b.array[k, 0]
        alone.append(net)
    inputs, labels = tj.from_numpy(np.stack([x[k::3] for k in range(3)])), np.stack([y[k::3] for k in range(3)])
    optimizer = tj.optim.Adam(stack.parameters(), lr=0.05)
    others = [tj.optim.Adam(net.parameters(), lr=0.05) for net in alone]
    for _ in range(5):
        optimizer.zero_grad()
        z = stack(inputs).reshape(-1, 3)
        (nn.functional.cross_entropy(z, tj.tensor(labels.reshape(-1)), reduction="sum") / 50).backward()
        optimizer.step()
        for k, (net, own) in enumerate(zip(alone, others)):
            own.zero_grad()
            nn.functional.cross_entropy(net(inputs[k]), tj.tensor(labels[k])).backward()
            own.step()
    for k, net in enumerate(alone):
        np.testing.assert_allclose(stack.weights[0].array[k].T, net[0].weight.array, rtol=1e-9)
        np.testing.assert_allclose(stack.biases[1].array[k, 0], net[2].bias.array, rtol=1e-9)
