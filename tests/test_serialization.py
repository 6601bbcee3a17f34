"""Saving and loading: what comes back, what the file is, what happens to damaged and foreign files, and to disks."""

from __future__ import annotations

import io
import json
import math
import os
import pathlib
import pickle
import stat
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from collections import Counter, OrderedDict, defaultdict, namedtuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_jac as tj
from tinygrad_jac import nn, optim, serialization
from tinygrad_jac import safetensors as st_files
from tinygrad_jac.serialization import FileFormatError, add_safe_globals, load, safe_globals, save


def packed(obj):
    file = io.BytesIO()
    save(obj, file)
    return file.getvalue()


def unpacked(data, **options):
    return load(io.BytesIO(data), **options)


def there_and_back(obj):
    return unpacked(packed(obj))


def assert_same(a, b):
    """The same types all the way down, and the same values bit by bit."""
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert len(a) == len(b)
        for (k, v), (l, w) in zip(a.items(), b.items(), strict=True):
            assert_same(k, l)
            assert_same(v, w)
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for v, w in zip(a, b):
            assert_same(v, w)
    elif isinstance(a, tj.Tensor):
        assert a.requires_grad == b.requires_grad
        assert_same(a.array, b.array)
    elif isinstance(a, (np.ndarray, np.generic)):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert a.tobytes() == b.tobytes()
    elif isinstance(a, (float, complex)):
        assert repr(a) == repr(b)
    else:
        assert a == b


# ------------------------------------------------------------------------------------------------ what comes back

PLAIN = {
    "none": None,
    "bools": [True, False],
    "ints": (0, -1, 2**53 - 1, 2**53, -(2**53), 2**200, -(3**20000)),
    "floats": [0.1, -0.0, 1.0, 1e300, 5e-324, 1e22, math.inf, -math.inf, math.nan],
    "complex": [1 + 2j, complex(math.nan, -math.inf), complex(-0.0, 0.0)],
    "text": ["", "Größe", "日本", "\0", "\ud800", 'quote "', "\U0001f600"],
    "bytes": [b"", b"\0\xff", bytes(range(256))],
    "devices": [tj.device("cpu"), tj.device("cuda", 1)],
    "containers": [[], (), {}, OrderedDict(), [[], ()], ((),), {"a": {"b": [{}]}}, OrderedDict(z=1, a=2)],
    "keys": {1: "int", "1": "text", None: "none", 2.5: "float", (1, "a"): "tuple", b"x": "bytes", True + 1: "two"},
    "types": [tj.float32, np.dtype(np.int8), tj.zeros(2, 3).shape],
    "scalars": [np.float32(0.1), np.float64(0.1), np.int8(-3), np.bool_(True), np.complex64(1j), np.str_("s")],
    "looks like ours": [{"tensor": 0}, {"int": "0x1"}, {"dict": []}, {"dict": [[1, 2]]}],
}


@pytest.mark.parametrize("name", PLAIN)
def test_plain_values(name):
    assert_same(PLAIN[name], there_and_back(PLAIN[name]))


ARRAYS = {
    "bool": np.array([True, False]),
    "float16": np.arange(3, dtype=np.float16),
    "complex128": np.array([1j, np.nan]),
    "0-d": np.array(2.5),
    "empty": np.zeros((0, 3), np.int16),
    "big-endian": np.arange(3, dtype=">i4"),
    "text": np.array(["a", "bcd"]),
    "bytes": np.array([b"a", b"bcd"]),
    "times": np.array(["2024-01-01", "NaT"], "datetime64[D]"),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "strided": np.arange(24.0).reshape(4, 6)[::2, ::-3],
    "turned": np.arange(24.0).reshape(2, 3, 4).transpose(1, 0, 2),
    "broadcast": np.broadcast_to(np.arange(3.0), (4, 3)),
    "negative": np.arange(5)[::-1],
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays(name):
    array = ARRAYS[name]
    back = there_and_back([array, {"again": array}])
    assert_same(array, back[0])
    assert back[1]["again"] is back[0]
    assert back[0].flags.writeable


@given(
    hnp.arrays(
        st.sampled_from(["f4", "f8", "i8", "u1", "?", "c8"]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
        elements={"allow_nan": False},
    ),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.complex_numbers(),
        lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner),
        max_leaves=10,
    ),
)
def test_whatever_is_generated(array, values):
    obj = {"values": values, "array": array, "tensor": tj.from_numpy(array)}
    data = packed(obj)
    assert_same(obj, unpacked(data))
    assert packed(unpacked(data)) == data


def test_tensors_parameters_and_what_requires_a_gradient():
    leaf = tj.tensor([1.0, 2.0], requires_grad=True)
    obj = {
        "constant": tj.arange(3),
        "leaf": leaf,
        "computed": leaf * 2,
        "parameter": nn.Parameter(tj.ones(2)),
        "frozen": nn.Parameter(tj.ones(2), requires_grad=False),
        "scalar": tj.tensor(1.5, dtype=tj.float64),
    }
    leaf.grad = tj.ones(2)
    back = there_and_back(obj)
    assert_same(obj, back)
    assert all(t.is_leaf and t.grad is None for t in back.values())
    (back["leaf"] * 3).sum().backward()
    assert back["leaf"].grad.tolist() == [3.0, 3.0]
    assert leaf.grad.tolist() == [1.0, 1.0]


def test_the_root_may_be_anything():
    assert there_and_back(None) is None
    assert_same(tj.ones(2), there_and_back(tj.ones(2)))
    assert_same(5, there_and_back(5))


def test_one_tensor_stays_one_and_shared_memory_stays_shared():
    w = tj.arange(12.0).reshape(3, 4).clone()
    obj = dict(a=w, b=w, detached=w.detach(), row=w[1], turned=w.T, part=w[1:, ::2], array=w.numpy(), back=w.clone())
    back = there_and_back(obj)
    assert back["a"] is back["b"]
    assert back["detached"] is not back["a"]
    back["a"][1, 2] = 100.0
    assert back["detached"][1, 2] == back["row"][2] == back["turned"][2, 1] == back["part"][0, 1] == 100.0
    assert back["array"][1, 2] == 100.0
    assert (back["back"] != 100.0).all(), "a copy stays a copy"
    assert_same(there_and_back(obj), obj)
    assert len(packed(dict(w=w, row=w[1]))) < len(packed(dict(w=w, row=w[1].clone())))


def test_a_view_whose_entries_share_memory_is_not_written_to():
    x = tj.arange(6.0)
    windows = np.lib.stride_tricks.sliding_window_view(x.numpy(), 3)
    obj = {"x": x, "expanded": x.expand(4, 6), "windows": windows, "turned": x.reshape(2, 3).T, "every": x[::2]}
    back = there_and_back(obj)
    assert_same(obj, back)
    with pytest.raises(ValueError, match="read-only or shared"):
        back["expanded"].add_(1)
    assert not back["windows"].flags.writeable
    back["turned"].add_(1)
    back["every"].add_(1)
    assert back["expanded"][3].tolist() == [2.0, 2.0, 4.0, 4.0, 6.0, 6.0]


def test_sharing_is_not_invented():
    flat = tj.arange(6.0)
    back = there_and_back({"left": flat[:4], "right": flat[2:], "even": flat[::2], "end": flat[4:]})
    back["left"][2] = 100.0
    assert back["right"].tolist() == [2.0, 3.0, 4.0, 5.0]
    assert back["even"].tolist() == [0.0, 2.0, 4.0]
    back["right"][2] = 50.0
    assert back["end"].tolist() == [50.0, 5.0], "it lies within `right`"


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12), st.sampled_from([1, 1, 1, 2, -1])), max_size=8))
def test_of_any_views_the_contained_ones_share(bounds):
    base = np.arange(12)
    views = [base[a:b:step] for a, b, step in bounds]
    back = there_and_back(views)
    assert_same(views, back)
    for v, vb in zip(views, back):
        for w, wb in zip(views, back):
            whole = v.flags.c_contiguous and v.size
            if whole and w.size and v.min() <= w.min() and w.max() <= v.max():
                assert np.shares_memory(vb, wb) == np.shares_memory(v, w)
            elif not np.shares_memory(v, w):
                assert not np.shares_memory(vb, wb)


def test_many_views_take_no_time():
    rows = list(np.arange(40_000.0).reshape(20_000, 2))
    assert_same(rows, there_and_back([*rows, rows[0].base])[:-1])


def test_a_view_takes_no_more_room_than_it_shows():
    assert len(packed(tj.zeros(1000, 1000)[:2, :3])) < 2000


def test_layout_is_kept():
    back = there_and_back({"f": ARRAYS["fortran"], "of": ARRAYS["fortran"][1:]})
    assert back["f"].flags.f_contiguous
    back["f"][1, 2] = -1
    assert back["of"][0, 2] == -1


def tied():
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
    model[2].weight = model[0].weight
    return model


def test_models_and_optimisers_go_on_as_if_nothing_had_happened(tmp_path):
    """Half of a training, saved, loaded into new objects, the other half: exactly the weights of an unbroken one."""
    x, y = tj.randn(20, 3), tj.randn(20, 3)

    def made():
        tj.manual_seed(1)
        model = tied()
        return model, optim.AdamW(model.parameters(), lr=0.1)

    def steps(model, optimizer, n):
        for _ in range(n):
            optimizer.zero_grad()
            ((model(x) - y) ** 2).mean().backward()
            optimizer.step()

    unbroken = made()
    steps(*unbroken, 6)
    first = made()
    steps(*first, 3)
    path = tmp_path / "checkpoint.pt"
    save({"model": first[0].state_dict(), "optimizer": first[1].state_dict(), "epoch": 3, "best": math.inf}, path)
    second = made()
    for p in second[0].parameters():
        p.data.fill_(7.0) if hasattr(p, "fill_") else p.array.fill(7.0)
    checkpoint = load(path, map_location="cpu", weights_only=True)
    assert_same(checkpoint["optimizer"], first[1].state_dict())
    second[0].load_state_dict(checkpoint["model"])
    second[1].load_state_dict(checkpoint["optimizer"])
    steps(*second, 3)
    assert_same(second[0].state_dict(), unbroken[0].state_dict())
    a, b = checkpoint["model"]["0.weight"], checkpoint["model"]["2.weight"]
    a[0, 0] = 55.0
    assert b[0, 0] == 55.0, "tied weights are tied in the file"


def test_the_state_of_a_generator():
    state = tj.get_rng_state()
    first = tj.rand(3)
    tj.set_rng_state(there_and_back(state))
    assert_same(first, tj.rand(3))


# ------------------------------------------------------------------------------------------------ what cannot be saved

Point = namedtuple("Point", "x y")


class Text(str):
    pass


@pytest.mark.parametrize(
    "obj, text",
    [
        (
            {"model": {"x": [1, 2, 3, nn.Linear(1, 1)]}},
            r"obj['model']['x'][3] cannot be saved, it is a Linear: save its state_dict()",
        ),
        (nn.Linear(1, 1), "obj cannot be saved, it is a Linear: save its state_dict()"),
        ([lambda x: x], "obj[0] cannot be saved, it is a function: a file holds no code"),
        ((nn.Linear,), "obj[0] cannot be saved, it is the class Linear: a file holds no code: save its name"),
        ({1: object()}, "obj[1] cannot be saved, it is a object: what can be saved are tensors"),
        ({(1, 2): {3}}, "obj[(1, 2)] cannot be saved, it is a set: save a sorted list of it"),
        ([Point(1, 2)], "it is a Point: of subclasses only the values could be saved: convert it to tuple"),
        ([defaultdict(list)], "it is a defaultdict: of subclasses only the values could be saved: convert it to dict"),
        ([Counter()], "convert it to dict"),
        ([Text("a")], "convert it to str"),
        ([np.ma.masked_array([1.0])], "convert it to ndarray"),
        ([np.array([None])], "obj[0] cannot be saved, it is an array of object: convert it to one of numbers or text"),
        ([np.zeros(2, [("a", "f4")])], "it is an array of [('a', '<f4')]"),
        ({"p": pathlib.PurePosixPath("a")}, "obj['p'] cannot be saved, it is a PurePosixPath"),
        ({Point(1, 2): 1}, "it is a Point"),
    ],
    ids=range(15),
)
def test_the_place_of_what_cannot_be_saved_is_told(tmp_path, obj, text):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(TypeError) as caught:
        save(obj, path)
    assert text in str(caught.value)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_what_contains_itself_or_is_too_deep():
    loop = {"a": [1]}
    loop["a"].append(loop)
    with pytest.raises(ValueError, match=r"obj\['a'\]\[1\] is a dict that contains itself"):
        packed(loop)
    deep = []
    for _ in range(2000):
        deep = [deep]
    with pytest.raises(ValueError, match="is nested deeper than 100 levels"):
        packed(deep)
    deep = tj.ones(1)
    for k in range(50):
        deep = [{k: deep}]
    assert_same(deep, there_and_back(deep))
    twice = [1]
    assert there_and_back([twice, twice]) == [[1], [1]]


def test_options_of_pytorch():
    data = packed([1])
    for value in (True, False, None):
        assert unpacked(data, weights_only=value, mmap=value) == [1]
    for where in ("cpu", tj.device("cpu"), {"cuda:0": "cpu"}, lambda storage, _: storage):
        assert unpacked(data, map_location=where) == [1]
    with pytest.raises(NotImplementedError, match="nothing can be sent to device 'cuda'"):
        unpacked(data, map_location="cuda")
    for run in (lambda: save(1, io.BytesIO(), pickle), lambda: unpacked(data, pickle_module=pickle)):
        with pytest.raises(TypeError, match="use no pickle, which can run code"):
            run()
    save(1, io.BytesIO(), pickle_protocol=4, _use_new_zipfile_serialization=True)
    add_safe_globals([nn.Linear])
    with safe_globals([nn.Linear]):
        assert unpacked(data) == [1]


# ------------------------------------------------------------------------------------------------ the file


def test_numpy_alone_reads_it():
    model = nn.Linear(2, 3)
    model_data = {"model": model.state_dict(), "lists": [tj.arange(2), {0: tj.arange(3)}]}
    file = np.load(io.BytesIO(packed(model_data)), allow_pickle=False)
    names = ["model/weight", "model/bias", "lists/0", "lists/1/0"]
    assert file.files == ["index.json", *names]
    assert_same(file["model/weight"], model.weight.detach().numpy())
    assert_same(file["lists/1/0"], np.arange(3))
    index = json.loads(file["index.json"])
    assert (index["format"], index["version"]) == ("tinygrad_jac", 1)
    assert index["arrays"] == [f"{name}.npy" for name in names]
    assert index["tensors"][0] == {"array": 0, "parameter": False, "requires_grad": False}
    assert index["object"] == {
        "dict": [
            ["model", {"ordered_dict": [["weight", {"tensor": 0}], ["bias", {"tensor": 1}]]}],
            ["lists", [{"tensor": 2}, {"dict": [[0, {"tensor": 3}]]}]],
        ]
    }


def test_names_of_members_stay_where_they_are_unpacked(tmp_path):
    keys = [
        "../../evil",
        "/etc/x",
        "..",
        "",
        "a/b",
        "a_b",
        "A_B",
        "C:\\x",
        "x" * 500,
        "nul\0",
        "é",
        (1, 2),
        1,
        "1",
        "index.json",
    ]
    obj = {key: tj.tensor(k) for k, key in enumerate(keys)}
    data = packed(obj)
    assert_same(obj, unpacked(data))
    names = zipfile.ZipFile(io.BytesIO(data)).namelist()
    assert len({name.lower() for name in names}) == len(keys) + 1
    for name in names:
        assert name.isascii()
        assert not name.startswith(("/", "."))
        assert not {"..", "."} & set(name.split("/"))
        assert ":" not in name
        assert "\\" not in name
        assert len(name) < 120


def test_equal_contents_are_equal_bytes(tmp_path):
    def made():
        return {"w": tj.arange(6.0).reshape(2, 3), "n": [1, 2.5, None], "again": nn.Parameter(tj.ones(2))}

    save(made(), tmp_path / "a")
    save(made(), tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == packed(made())
    w = made()["w"]
    assert packed([w, w[0].clone()]) != packed([w, w[0]])
    for info in zipfile.ZipFile(io.BytesIO(packed(made()))).infolist():
        assert info.date_time == (1980, 1, 1, 0, 0, 0)
        assert info.create_system == 3


def test_big_arrays_stream(tmp_path):
    class Nothing(io.RawIOBase):
        """A file that forgets what it is given."""

        def writable(self):
            return True

        def write(self, data):
            return len(data)

    big = np.zeros(64_000_000, np.uint8)
    for array in (big, big.reshape(8000, 8000)[:, ::2]):
        tracemalloc.start()
        save({"big": array}, Nothing())
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 40_000_000  # NumPy writes pieces of 16 MiB
    save(big, tmp_path / "big")
    tracemalloc.start()
    load(tmp_path / "big")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.2 * big.nbytes


def test_places_to_write_to_and_read_from(tmp_path):
    obj = {"a": tj.ones(2)}
    for path in (tmp_path / "path", str(tmp_path / "text"), os.fsencode(tmp_path / "bytes")):
        save(obj, path)
        assert_same(obj, load(path))
    with open(tmp_path / "file", "w+b") as file:
        save(obj, file)
        assert_same(obj, load(file))  # from its beginning, wherever it stands
    with open(tmp_path / "file", "rb") as file:
        assert_same(obj, load(file))

    class Pipe(io.RawIOBase):
        def __init__(self, data):
            self.data = io.BytesIO(data)

        def readable(self):
            return True

        def readinto(self, room):
            return self.data.readinto(room)

    assert_same(obj, load(Pipe(packed(obj))))
    with pytest.raises(TypeError, match="open it with mode 'wb'"):
        save(obj, io.StringIO())
    with pytest.raises(TypeError, match="open it with mode 'rb'"):
        load(io.StringIO())
    with pytest.raises(TypeError, match="not int"):
        load(3)
    with pytest.raises(TypeError, match="NoneType"):
        save(obj, None)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nowhere")
    with pytest.raises(IsADirectoryError):
        load(tmp_path)


# ------------------------------------------------------------------------------------------------ writing atomically


class Breaks:
    """Fails at the n-th call of a function that writing makes."""

    def __init__(self, function, at, error):
        self.function, self.left, self.error = function, at, error

    def __call__(self, *args, **kwargs):
        self.left -= 1
        if self.left < 0:
            raise self.error
        return self.function(*args, **kwargs)


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["full", "stopped"]
)
@pytest.mark.parametrize(
    "module, name, at",
    [(np.lib.format, "write_array", 0), (np.lib.format, "write_array", 1), (os, "fsync", 0), (os, "replace", 0)],
    ids=["first array", "second array", "fsync", "replace"],
)
def test_an_error_leaves_the_old_file_whole_and_nothing_behind(tmp_path, monkeypatch, module, name, at, error):
    path = tmp_path / "weights.pt"
    save([1], path)
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(module, name, Breaks(getattr(module, name), at, error))
        with pytest.raises(type(error)):
            save([tj.ones(3), tj.zeros(3)], path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["weights.pt"]
    save([2], path)
    assert load(path) == [2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a process that is killed, as Unix has it")
def test_a_killed_process_leaves_the_old_file_whole(tmp_path):
    path = tmp_path / "weights.pt"
    save([1], path)
    program = (
        "import os, sys, signal, numpy as np, tinygrad_jac.serialization as s\n"
        "np.lib.format.write_array = lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)\n"
        "s.save([np.ones(3)], sys.argv[1])\n"
    )
    run = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert run.returncode != 0
    assert load(path) == [1]


def test_the_file_is_on_the_disk_before_it_is_renamed(tmp_path, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        original = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, n=name, f=original: (calls.append(n), f(*a))[1])
    save([1], tmp_path / "x")
    assert calls[:2] == ["fsync", "replace"]


@pytest.mark.skipif(os.name != "posix", reason="permissions of Unix")
def test_permissions_links_and_devices(tmp_path):
    before = os.umask(0o027)
    try:
        save([1], tmp_path / "new")
        with open(tmp_path / "plain", "wb"):
            pass
    finally:
        os.umask(before)
    mode = stat.S_IMODE(os.stat(tmp_path / "new").st_mode)
    assert mode == stat.S_IMODE(os.stat(tmp_path / "plain").st_mode) == 0o640
    os.chmod(tmp_path / "new", 0o604)
    save([2], tmp_path / "new")
    assert stat.S_IMODE(os.stat(tmp_path / "new").st_mode) == 0o604

    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder/target")
    save([3], tmp_path / "link")  # the target does not exist yet
    save([4], tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert load(tmp_path / "folder" / "target") == load(tmp_path / "link") == [4]
    assert os.listdir(tmp_path / "folder") == ["target"]

    save([5], os.devnull)
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)
    with pytest.raises(IsADirectoryError):
        save([6], tmp_path / "folder")
    with pytest.raises(FileNotFoundError) as caught:
        save([7], tmp_path / "nowhere" / "x.pt")
    assert caught.value.filename == str(tmp_path / "nowhere" / "x.pt")
    save([8], tmp_path / ("n" * 255))


# ------------------------------------------------------------------------------------------------ damage


SAMPLE = {
    "w": tj.arange(6.0).reshape(2, 3),
    "b": np.arange(40),
    "n": [1, 2.5, None, "text"],
    "p": nn.Parameter(tj.ones(3)),
}
SAMPLE["row"] = SAMPLE["w"][1]


def assert_refused(data, match=None, **options):
    with pytest.raises(FileFormatError, match=match) as caught:
        unpacked(data, **options)
    assert len(str(caught.value).splitlines()) == 1
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, RuntimeError)
    return str(caught.value)


def test_cut_off_anywhere(tmp_path):
    data = packed(SAMPLE)
    for end in range(len(data)):
        assert_refused(data[:end])
    (tmp_path / "cut.pt").write_bytes(data[:500])
    with pytest.raises(FileFormatError, match=r"cut\.pt is damaged or cut off"):
        load(tmp_path / "cut.pt")


@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_a_byte_changed_anywhere(flip):
    """Most changes are found; the others are in fields that say nothing of the contents, as the date of a member."""
    data = packed(SAMPLE)
    harmless = 0
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= flip
        try:
            found = unpacked(bytes(changed))
        except FileFormatError:
            continue
        harmless += 1
        assert_same(SAMPLE, found)
    assert harmless < len(data) / 3


@given(st.floats(0, 1), st.binary(max_size=12), st.floats(0, 0.2))
def test_bytes_put_in_and_taken_out(where, damage, gap):
    data = packed(SAMPLE)
    at = int(where * len(data))
    try:
        found = unpacked(data[:at] + damage + data[at + int(gap * len(data)) :])
    except FileFormatError:
        return
    assert_same(SAMPLE, found)


def npz():
    file = io.BytesIO()
    np.savez(file, a=np.ones(3))
    return file.getvalue()


def npy():
    file = io.BytesIO()
    np.save(file, np.ones(3))
    return file.getvalue()


def archive(*members, compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as made:
        for name, data in members:
            made.writestr(name, data)
    return file.getvalue()


@pytest.mark.parametrize(
    "data, text",
    [
        (b"", "the file given is empty"),
        (pickle.dumps([1, 2]), "is a pickle, not a file of tinygrad_jac.save: loading one can run code"),
        (b"<!DOCTYPE html><html>Not found</html>", "is not a file of tinygrad_jac.save: it starts with b'<!DOCTYPE"),
        (b"hello", "it starts with b'hello'"),
        (npz(), "is an .npz file: read it with numpy.load"),
        (npy(), "is an .npy file: read it with numpy.load"),
        (archive(), "it has no index.json"),
        (archive(("a.txt", "x")), "it has no index.json"),
        (archive(("x/data.pkl", "x")), r"a pickle: loading one can run code. To convert it, in PyTorch: safetensors"),
        (archive(("index.json", "{}")), "its index.json is another's"),
        (archive(("index.json", "[1]")), "its index.json is another's"),
        (archive(("index.json", "{")), "is damaged or cut off (JSONDecodeError"),
        (archive(("index.json", '{"format": "tinygrad_jac"}')), "is damaged or cut off (KeyError"),
        (
            archive(("index.json", '{"format": "tinygrad_jac", "version": 2}')),
            "has version 2 of the format, this tinygrad_jac reads version 1: install",
        ),
        (struct.pack("<Q", 30) + b'{"a":1}', "looks like a safetensors file"),
        (b"PK\3\4" + bytes(100), "is damaged or cut off (BadZipFile"),
    ],
    ids=range(16),
)
def test_foreign_files(data, text):
    assert text in assert_refused(data)


@pytest.mark.peers
def test_files_of_pytorch():
    torch = pytest.importorskip("torch")
    for zipped in (True, False):
        file = io.BytesIO()
        torch.save({"w": torch.ones(2)}, file, _use_new_zipfile_serialization=zipped)
        assert "safetensors.torch.save_file(torch.load(path, weights_only=True)" in assert_refused(file.getvalue())


def forged(change=lambda index: index, members=None, **options):
    """A file as `save` writes it, with correct checksums, and with another index or other members."""
    file = np.load(io.BytesIO(packed({"w": tj.arange(6.0).reshape(2, 3)})))
    index = json.loads(file["index.json"])
    change(index)
    found = {"w.npy": packed_npy(file["w"])} if members is None else members
    return archive(("index.json", json.dumps(index)), *found.items(), **options)


def packed_npy(array, header=None):
    file = io.BytesIO()
    np.save(file, array)
    data = file.getvalue()
    if header is None:
        return data
    text = header.encode().ljust(117) + b"\n"
    return data[:8] + struct.pack("<H", len(text)) + text + array.tobytes()


def tensor(array, **more):
    """A change of the index: another tensor."""
    return lambda i: i["tensors"].append({"array": array, "parameter": False, "requires_grad": False, **more})


def view(of=0, offset=0, dtype="<f4", shape=(2,), strides=(4,)):
    """A change of the index: another tensor, which is a view of the first."""

    def change(index):
        index["arrays"].append(dict(of=of, offset=offset, dtype=dtype, shape=shape, strides=strides))
        tensor(1)(index)

    return change


def obj(tree):
    """A change of the index: another object."""
    return lambda index: index.update(object=tree)


def test_forging_works_where_nothing_is_wrong():
    assert unpacked(forged())["w"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert unpacked(forged(view(offset=16)))["w"].shape == (2, 3)


DEEP = (
    '{"format": "tinygrad_jac", "version": 1, "arrays": [], "tensors": [], "object": ' + "[" * 99999 + "]" * 99999 + "}"
)
HUGE = "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }"


@pytest.mark.parametrize(
    "data",
    [
        forged(compression=zipfile.ZIP_DEFLATED),
        forged(members={}),
        forged(members={"w.npy": packed_npy(np.ones(2, np.float32)), "more.npy": packed_npy(np.ones(2))}),
        forged(members={"w.npy": packed_npy(np.ones(2, np.float32), HUGE)}),
        forged(members={"w.npy": packed_npy(np.ones(2, np.float32), HUGE.replace("1000000000000,", "-2, -1"))}),
        forged(members={"w.npy": packed_npy(np.ones(2, np.float32), HUGE.replace("1000000000000", "1"))}),
        forged(members={"w.npy": packed_npy(np.ones(2, np.float32), HUGE.replace("<f4", "|O"))}),
        forged(members={"w.npy": packed_npy(np.ones(2, np.float32), "__import__('os').abort()")}),
        forged(members={"w.npy": b"\x93NUMPY\2\0" + bytes(200)}),
        forged(members={"w.npy": pickle.dumps([1])}),
        forged(lambda i: i["arrays"].append("w.npy")),
        forged(lambda i: i["arrays"].append("../w.npy")),
        forged(lambda i: i["arrays"].append(None)),
        forged(tensor(9)),
        forged(tensor(0, run="x")),
        forged(obj({"tensor": 5})),
        forged(obj({"eval": "1"})),
        forged(obj({"tuple": [], "list": []})),
        forged(obj({})),
        forged(obj({"dict": [[[], 1]]})),
        forged(obj({"dict": [[1]]})),
        forged(obj({"int": "1.5"})),
        forged(obj({"bytes": "&&&&"})),
        forged(obj({"device": "abacus"})),
        forged(obj({"dtype": "O"})),
        forged(obj({"scalar": ["O", 1]})),
        forged(obj({"float": [1]})),
        forged(obj(math.nan)),
        forged(view(offset=-4)),
        forged(view(offset=20)),
        forged(view(shape=(7,))),
        forged(view(shape=(-1,))),
        forged(view(shape=(2,), strides=(-4,))),
        forged(view(shape=(2,), strides=(1 << 62,))),
        forged(view(shape=(1 << 40,), strides=(4,))),
        forged(view(of=1)),
        forged(view(of=7)),
        forged(view(dtype="O")),
        forged(view(dtype="<U1", strides=(4,))),
        forged(view(dtype=">f4")),
        archive(("index.json", DEEP)),
    ],
    ids=range(41),
)
def test_forged_files_are_refused_and_allocate_nothing(data):
    tracemalloc.start()
    assert_refused(data)
    assert tracemalloc.get_traced_memory()[1] < 50_000_000
    tracemalloc.stop()


def test_members_that_claim_more_than_there_is():
    """The directory of the archive says that a member is larger, or that it lies where others lie."""
    data = bytearray(packed({"a": np.zeros(100), "b": np.zeros(100)}))
    directory = data.rindex(b"PK\1\2")
    data[directory + 20 : directory + 28] = struct.pack("<II", 1 << 30, 1 << 30)
    assert "its members claim more than the file holds" in assert_refused(bytes(data))


def test_the_checksum_is_what_finds_a_changed_number():
    data = bytearray(packed({"a": np.zeros(100)}))
    at = data.index(b"\n" + bytes(64)) + 9
    data[at] = 1
    assert "Bad CRC-32" in assert_refused(bytes(data))


# ------------------------------------------------------------------------------------------------ safetensors


@pytest.fixture
def package():
    return pytest.importorskip("safetensors")


needs_package = pytest.mark.usefixtures("package")


TENSORS = {
    "w": tj.arange(6.0).reshape(2, 3),
    "turned": tj.arange(6.0).reshape(2, 3).T,
    "part": tj.arange(24.0).reshape(4, 6)[::2, 1::3],
    "n": tj.arange(3),
    "flags": tj.tensor([True, False]),
    "half": tj.ones(2, dtype=tj.float16),
    "double": tj.tensor(2.5, dtype=tj.float64),
    "empty": tj.zeros(0, 4),
    "bytes": tj.tensor([1, 255], dtype=tj.uint8),
}


@needs_package
def test_safetensors_round_trip(tmp_path):
    path = tmp_path / "w.safetensors"
    st_files.save_file(TENSORS, path, {"by": "me"})
    for back in (st_files.load_file(path), st_files.load(st_files.save(TENSORS)), st_files.load_file(str(path), "cpu")):
        assert back.keys() == TENSORS.keys()
        for name, tensor in TENSORS.items():
            assert_same(tensor, back[name])
            assert back[name].array.flags.writeable
    arrays = {"a": np.arange(3, dtype=">f4")}
    assert st_files.load(st_files.save(arrays))["a"].tolist() == [0, 1, 2]
    assert os.listdir(tmp_path) == ["w.safetensors"]


@pytest.mark.peers
def test_weights_travel_to_pytorch_and_back(tmp_path):
    torch = pytest.importorskip("torch")
    theirs = pytest.importorskip("safetensors.torch")
    path = tmp_path / "w.safetensors"
    st_files.save_file(TENSORS, path)
    found = theirs.load_file(path)
    for name, tensor in TENSORS.items():
        assert_same(tensor.numpy(), found[name].numpy())
    theirs.save_file(found, path, {"format": "pt"})
    for name, tensor in st_files.load_file(path).items():
        assert_same(TENSORS[name], tensor)

    ours, model = nn.Linear(3, 2), torch.nn.Linear(3, 2)
    theirs.save_model(model, str(path))
    st_files.load_model(ours, path)
    x = np.ones((1, 3), np.float32)
    np.testing.assert_allclose(ours(tj.tensor(x)).detach().numpy(), model(torch.tensor(x)).detach().numpy(), rtol=1e-6)
    st_files.save_model(nn.Linear(3, 2), path)
    theirs.load_model(model, str(path))

    odd = torch.tensor([1.0, -2.5, math.inf, 1e-40, 3.3895e38])
    theirs.save_file({"b": odd.bfloat16()}, path)
    assert_same(st_files.load_file(path)["b"].numpy(), odd.bfloat16().float().numpy())
    theirs.save_file({"b": odd.to(torch.float8_e5m2)}, path)
    with pytest.raises(FileFormatError, match=r"w.safetensors holds 'b' as F8_E5M2, which NumPy does not have"):
        st_files.load_file(path)


@pytest.mark.peers
def test_tied_weights_travel_too(tmp_path):
    torch = pytest.importorskip("torch")
    theirs = pytest.importorskip("safetensors.torch")
    path = tmp_path / "w.safetensors"
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.ReLU(), torch.nn.Linear(3, 3))
    model[2].weight = model[0].weight
    ours = tied()
    st_files.save_model(ours, path, {"by": "me"})
    assert set(theirs.load_model(model, str(path))[0]) == set()
    np.testing.assert_array_equal(model[2].weight.detach().numpy(), ours[0].weight.detach().numpy())
    theirs.save_model(model, str(path))
    other = tied()
    assert st_files.load_model(other, path) == (set(), [])
    assert_same(other.state_dict(), ours.state_dict())


@needs_package
def test_models_with_tied_weights(tmp_path):
    path = tmp_path / "w.safetensors"
    ours, other = tied(), tied()
    st_files.save_model(ours, path)
    assert list(st_files.load_file(path)) == ["0.bias", "0.weight", "2.bias"]
    st_files.load_model(other, path)
    assert_same(other.state_dict(), ours.state_dict())
    untied = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
    with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "2.weight"'):
        st_files.load_model(untied, path)
    assert st_files.load_model(untied, path, strict=False) == ({"2.weight"}, [])


@needs_package
def test_what_safetensors_do_not_hold(tmp_path, monkeypatch):
    for tensors, text in (
        ({"a": {"b": tj.ones(1)}}, "not a dict under 'a': nested and plain values can be saved with tinygrad_jac.save"),
        ({1: tj.ones(1)}, "not a Tensor under 1"),
        ({"a": np.array(["x"])}, "safetensors hold no <U1, which is the dtype of 'a'"),
        ({"a": np.array([1j])}, "safetensors hold no complex128"),
        ([tj.ones(1)], "a dict of tensors, not a list"),
    ):
        with pytest.raises(TypeError) as caught:
            st_files.save(tensors)
        assert text in str(caught.value)
    with pytest.raises(TypeError, match="metadata are a dict of str to str, not 'epoch': 3"):
        st_files.save({}, {"epoch": 3})
    for data in (b"", b"hello", packed(1), st_files.save(TENSORS)[:-1]):
        with pytest.raises(FileFormatError, match="the data given is no safetensors file, or damaged"):
            st_files.load(data)
    with pytest.raises(NotImplementedError, match="nothing can be sent to device 'cuda'"):
        st_files.load_file(tmp_path / "x", device="cuda")
    assert "looks like a safetensors file" in assert_refused(st_files.save(TENSORS))
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.delitem(sys.modules, "safetensors.numpy", raising=False)
    with pytest.raises(ImportError, match="pip install safetensors"):
        st_files.save({"a": tj.ones(1)})


@needs_package
def test_a_failing_disk_leaves_an_old_safetensors_file(tmp_path, monkeypatch):
    path = tmp_path / "w.safetensors"
    st_files.save_file({"a": tj.ones(1)}, path)
    monkeypatch.setattr(os, "replace", Breaks(os.replace, 0, OSError(28, "full")))
    with pytest.raises(OSError, match="full"):
        st_files.save_file({"a": tj.zeros(1)}, path)
    assert st_files.load_file(path)["a"].item() == 1
    assert os.listdir(tmp_path) == ["w.safetensors"]


def test_public_names():
    assert set(serialization.__all__) <= set(vars(serialization))
    assert set(st_files.__all__) == {"load", "load_file", "load_model", "save", "save_file", "save_model"}
