"""The examples as their users run them: short, in a process of their own; and what they say of damaged data."""

from __future__ import annotations

import contextlib
import gzip
import importlib
import os
import re
import struct
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from running import EXAMPLES, accuracy_of, assert_failed_with, start

from tinygrad_jac import nn, optim, utils  # noqa: F401 (here, and not when a test loads an example)

IDX = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}


def assert_pictures(folder, name):
    for kind in ("loss", "predictions"):
        data = (folder / f"{name}_{kind}.png").read_bytes()
        assert data.startswith(b"\x89PNG")
        assert len(data) > 10_000


# ------------------------------------------------------------------------------------------------ digits


@pytest.mark.parametrize("model, least", [("mlp", 0.8), ("cnn", 0.6)])
def test_digits(tmp_path, model, least):
    pytest.importorskip("matplotlib")
    folder = tmp_path / "pictures" / "of digits"
    run = start("train_digits.py", "--model", model, "--epochs", "3", "--seed", "1", "--out", folder)
    assert accuracy_of(run) > least
    assert run.stderr == "", "no progress bar where there is no terminal"
    lines = [line for line in run.stdout.splitlines() if line.startswith("epoch")]
    assert len(lines) == 3
    assert re.match(r"epoch 3/3  train loss \d\.\d{4}  accuracy \d\.\d{4}   test loss \d\.\d{4}  accuracy \d", lines[2])
    assert_pictures(folder, f"digits_{model}")
    graph = (folder / f"digits_{model}_graph.svg").read_text(encoding="utf-8")
    assert all(said in graph for said in ("loss = mean", ">images<", ">labels<", "Dropout", "Linear"))


def test_digits_are_split_in_the_same_way_each_time(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    load_digits = importlib.import_module("train_digits").load_digits
    (train, test), (_, again) = load_digits(), load_digits()
    (x, y), (u, v) = (tuple(t.numpy() for t in part.tensors) for part in (train, test))
    assert (x.shape, u.shape) == ((1442, 1, 8, 8), (355, 1, 8, 8))
    assert (again.tensors[0].numpy() == u).all()
    assert x.dtype == np.float32
    assert 0 == x.min() < x.max() == 1
    counts, of_test = np.bincount(np.concatenate([y, v])), np.bincount(v)
    assert (of_test == counts // 5).all()
    assert not {a.tobytes() for a in x} & {a.tobytes() for a in u}


def test_a_seed_decides_the_run(tmp_path):
    runs = [start("train_digits.py", "--epochs", "1", "--seed", seed, "--out", tmp_path) for seed in (3, 3, 4)]
    losses = [re.search(r"train loss \S+", run.stdout)[0] for run in runs]
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="pseudo-terminals are a thing of Unix")
def test_a_progress_bar_in_a_terminal(tmp_path):
    pytest.importorskip("tqdm")
    fcntl, termios = pytest.importorskip("fcntl"), pytest.importorskip("termios")
    ours, theirs = os.openpty()  # a few lines of output fit into its buffer: it can be read afterwards
    os.set_blocking(ours, False)
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    command = [sys.executable, str(EXAMPLES / "train_digits.py"), "--epochs", "1", "--out", str(tmp_path)]
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, encoding="utf-8", timeout=300)
    seen = os.read(ours, 1 << 16)
    os.close(ours)
    os.close(theirs)
    assert run.returncode == 0
    assert b"epoch 1/1:" in seen
    assert run.stdout.splitlines()[-1].startswith("test accuracy")


def test_what_is_not_installed_is_not_needed(tmp_path):
    script = EXAMPLES / "train_digits.py"
    code = f"""
import runpy, sys
sys.modules["matplotlib"] = sys.modules["tqdm"] = None
sys.argv = ["train_digits.py", "--epochs", "1", "--out", {str(tmp_path)!r}]
sys.path.insert(0, {str(EXAMPLES)!r})
runpy.run_path({str(script)!r}, run_name="__main__")
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", timeout=300)
    assert accuracy_of(run) > 0.5
    assert run.stderr == "no pictures: they need matplotlib (pip install matplotlib)\n"
    assert [path.name for path in tmp_path.iterdir()] == ["digits_mlp_graph.svg"]  # which needs nothing


@pytest.mark.parametrize("name, options", [
    ("spirals", "--steps 2"), ("custom_op", "--steps 2"), ("vae_digits", "--epochs 1"), ("sine_lstm", "--epochs 1"),
    ("names", "--epochs 1"),
])  # fmt: skip
def test_without_matplotlib_only_the_picture_is_missing(tmp_path, name, options):
    code = f"""
import runpy, sys
sys.modules["matplotlib"] = None
sys.argv = ["{name}.py", *{options.split()!r}, "--out", {str(tmp_path)!r}]
sys.path.insert(0, {str(EXAMPLES)!r})
runpy.run_path({str(EXAMPLES / f"{name}.py")!r}, run_name="__main__")
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", timeout=300)
    assert run.returncode == 0, run.stderr
    assert "no picture: it needs matplotlib (pip install matplotlib)" in run.stderr
    assert run.stdout.splitlines()[-1]


def test_options_are_checked(tmp_path):
    assert_failed_with(start("train_digits.py", "--epochs", "0"), "0 is not above 0", 2)
    assert_failed_with(start("train_digits.py", "--lr", "nan"), "nan is not above 0", 2)
    assert_failed_with(start("train_digits.py", "--model", "rnn"), "invalid choice: 'rnn'", 2)
    assert_failed_with(start("train_mnist.py"), "--data", 2)
    file = tmp_path / "a file"
    file.write_text("")
    assert_failed_with(start("train_digits.py", "--out", file), "cannot be made: File exists")


# ------------------------------------------------------------------------------------------------ MNIST


def small_mnist(train=400, test=100):
    """Digits of 8x8 pixels, blown up to 28x28."""
    with gzip.open(EXAMPLES / "data" / "digits.csv.gz", "rt") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.uint8, max_rows=train + test)
    images = np.pad(
        np.kron(table[:, :64].reshape(-1, 8, 8) * 15, np.ones((1, 3, 3), np.uint8)), ((0, 0), (2, 2), (2, 2))
    )
    labels = table[:, 64]
    return dict(x_train=images[:train], y_train=labels[:train], x_test=images[train:], y_test=labels[train:])


def idx_bytes(array):
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_idx(folder, arrays, pack=lambda data: data, name=lambda name: name):
    folder.mkdir(parents=True, exist_ok=True)
    for part, array in arrays.items():
        (folder / name(IDX[part])).write_bytes(pack(idx_bytes(array)))
    return folder


@pytest.fixture(scope="module")
def mnist(tmp_path_factory):
    """A folder with small sets in every form that is read."""
    folder, arrays = tmp_path_factory.mktemp("mnist"), small_mnist()
    np.savez_compressed(folder / "mnist.npz", **arrays)
    write_idx(folder / "plain", arrays)
    write_idx(folder / "packed", arrays, gzip.compress, lambda name: f"{name}.gz")
    write_idx(folder / "dotted", arrays, gzip.compress, lambda name: name.replace("-idx", ".idx"))
    write_idx(folder / "torchvision" / "MNIST" / "raw", arrays)
    return folder


@pytest.fixture(scope="module")
def train_mnist():
    sys.path.insert(0, str(EXAMPLES))
    yield importlib.import_module("train_mnist")
    sys.path.remove(str(EXAMPLES))


@pytest.mark.parametrize("model, data", [("mlp", "mnist.npz"), ("cnn", "packed")])
def test_mnist(tmp_path, mnist, model, data):
    pytest.importorskip("matplotlib")
    options = ("--model", model, "--epochs", "4", "--lr", "0.1", "--out", tmp_path)
    run = start("train_mnist.py", "--data", mnist / data, *options)
    assert accuracy_of(run) > 0.5
    assert run.stderr == ""
    assert run.stdout.count("\nepoch ") == 4
    assert_pictures(tmp_path, f"mnist_{model}")


@pytest.mark.parametrize("form", ["mnist.npz", "plain", "packed", "dotted", "torchvision"])
def test_mnist_is_read_in_every_form(train_mnist, mnist, form):
    found, expected = train_mnist.load_mnist(mnist / form), small_mnist()
    for part, array in expected.items():
        assert found[part].dtype == np.uint8
        assert (found[part] == array).all()


def changed(**parts):
    return lambda arrays: {**arrays, **{k: v(arrays[k]) for k, v in parts.items()}}


@pytest.mark.parametrize(
    "change, text",
    [
        (lambda a: {k: v for k, v in a.items() if k != "y_test"}, "has no y_test: it holds x_train, y_train, x_test"),
        (changed(x_train=lambda x: x[:, :27]), "x_train of {} should have the shape (n, 28, 28)"),
        (changed(x_train=lambda x: x[:0], y_train=lambda y: y[:0]), "with n > 0, it has (0, 28, 28)"),
        (changed(y_train=lambda y: y[:, None]), "y_train of {} should have the shape (n,)"),
        (changed(y_train=lambda y: y[1:]), "{} has 400 x_train but 399 y_train"),
        (changed(y_test=lambda y: y + 5), "should hold labels from 0 to 9, it holds uint8 from 5 to 14"),
        (changed(y_test=lambda y: y.astype(np.int8) - 1), "should hold labels from 0 to 9"),
        (changed(x_test=lambda x: x / 255), "should hold pixels from 0 to 255, it holds float64"),
        (changed(x_test=lambda x: x.astype(np.int64) * 2), "should hold pixels from 0 to 255"),
        (changed(y_test=lambda y: np.array([{}] * len(y))), "cannot be read as an .npz file"),
    ],
)
def test_what_is_no_mnist_is_told(train_mnist, tmp_path, change, text):
    path = tmp_path / "changed.npz"
    np.savez(path, **change(small_mnist()))
    with pytest.raises(train_mnist.DataError) as caught:
        train_mnist.load_mnist(path)
    assert text.format(path) in str(caught.value)


def test_files_that_are_something_else(train_mnist, mnist, tmp_path):
    for name, data, text in (
        ("empty", b"", "cannot be read as an .npz file"),
        ("text", b"hello world, this is text", "cannot be read as an .npz file"),
        (
            "pickle",
            b"\x80\x04\x95\x0c\x00\x00\x00\x00\x00\x00\x00\x8c\x08builtins\x94.",
            "cannot be read as an .npz file",
        ),
        ("half.npz", (mnist / "mnist.npz").read_bytes()[:5000], "cannot be read as an .npz file"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(train_mnist.DataError, match=text):
            train_mnist.load_mnist(tmp_path / name)
    np.save(tmp_path / "one.npy", np.ones(3))
    with pytest.raises(train_mnist.DataError, match=r"holds one array, it should be an \.npz file with x_train"):
        train_mnist.load_mnist(tmp_path / "one.npy")
    with pytest.raises(train_mnist.DataError, match="nothing does not exist"):
        train_mnist.load_mnist(tmp_path / "nothing")
    with pytest.raises(train_mnist.DataError, match="has neither train-images-idx3-ubyte nor"):
        train_mnist.load_mnist(tmp_path)


@pytest.mark.parametrize(
    "part, damage, text",
    [
        ("x_train", lambda d: d[:100], "its header announces 313600 bytes, there are only 84"),
        ("x_train", lambda d: d + b"\0", "its header announces 313600 bytes, there are more"),
        ("x_train", lambda d: b"", "is not an IDX file of bytes: it starts with nothing"),
        ("x_train", lambda d: b"\0\0\x0d\x03" + d[4:], "is not an IDX file of bytes: it starts with 00 00 0d 03"),
        ("x_train", lambda d: d[:8], "is damaged: its header says that its sizes are [400]"),
        ("x_train", lambda d: d[:4] + b"\xff" * 12 + d[16:], "its sizes are [4294967295, 4294967295, 4294967295]"),
        ("y_test", lambda d: gzip.compress(d)[:40], "cannot be read or is damaged: EOFError"),
        ("y_test", lambda d: gzip.compress(d)[:-8] + b"\0" * 8, "cannot be read or is damaged: BadGzipFile"),
        ("y_test", lambda d: idx_bytes(np.zeros((100, 28, 28), np.uint8)), "y_test of"),
    ],
)
def test_damaged_idx_files_are_named(train_mnist, tmp_path, part, damage, text):
    write_idx(tmp_path, small_mnist())
    path = tmp_path / IDX[part]
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(train_mnist.DataError) as caught:
        train_mnist.load_mnist(tmp_path)
    assert text in str(caught.value)
    assert str(tmp_path) in str(caught.value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(
    where=st.floats(0, 1), damage=st.binary(max_size=8), cut=st.booleans(), form=st.sampled_from(["npz", "idx", "gz"])
)  # fmt: skip
def test_no_damage_is_a_traceback(train_mnist, tmp_path, where, damage, cut, form):
    """Bytes changed or lost anywhere: what is read is still data of that form, or there is a sentence."""
    arrays = small_mnist(12, 6)
    if form == "npz":
        path = target = tmp_path / "mnist.npz"
        np.savez_compressed(path, **arrays)
    else:
        path = write_idx(tmp_path / form, arrays, gzip.compress if form == "gz" else bytes)
        target = path / IDX["x_test" if cut else "y_train"]
    data = target.read_bytes()
    at = int(where * len(data))
    target.write_bytes(data[:at] + damage + (b"" if cut else data[at + len(damage) :]))
    with contextlib.suppress(train_mnist.DataError):
        found = train_mnist.load_mnist(path)
        assert found["x_train"].shape[1:] == (28, 28)
        assert len(found["x_test"]) == len(found["y_test"])


def test_a_sentence_and_a_status(mnist, tmp_path):
    (tmp_path / "mnist.npz").write_bytes((mnist / "mnist.npz").read_bytes()[:-1000])
    damaged = start("train_mnist.py", "--data", tmp_path / "mnist.npz")
    assert_failed_with(damaged, f"train_mnist.py: {tmp_path / 'mnist.npz'} cannot be read as an .npz file")
    missing = start("train_mnist.py", "--data", tmp_path / "nowhere")
    assert_failed_with(missing, f"train_mnist.py: {tmp_path / 'nowhere'} does not exist")
    assert_failed_with(start("train_mnist.py", "--data", tmp_path), "has neither train-images-idx3-ubyte nor")
    assert missing.stdout == damaged.stdout == ""
