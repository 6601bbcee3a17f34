"""`save` and `load`: nested containers of tensors and plain values in a file that holds data and nothing else.

A file is a zip archive of uncompressed members: ``index.json`` says what the object is made of, and each array is an
``.npy`` file, named by its place in the object. So NumPy alone reads the arrays (``numpy.load(path)["0.weight"]``),
unzip and a text editor the rest, and there is nothing in it that could run. The page ``docs/saving.md`` describes the
format.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import math
import os
import re
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import numpy as np

from .devices import device, on_cpu
from .errors import FileFormatError
from .graph import wrap
from .nn.parameter import Parameter
from .tensor import Size, Tensor
from .versions import owner_of

__all__ = ["FileFormatError", "add_safe_globals", "load", "safe_globals", "save"]

FORMAT, VERSION = "tinygrad_jac", 1
INDEX = "index.json"
_CONTAINERS: dict[str, type] = {"list": list, "tuple": tuple, "size": Size, "dict": dict, "ordered_dict": OrderedDict}
_NAMES = {container: name for name, container in _CONTAINERS.items()}
_PLAIN = (bool, int, float, complex, str, bytes)
_KINDS = "biufcSUmM"  # of dtypes: numbers, text, bytes and times; no objects and no records
_DEEPEST = 100  # levels of containers: far from where json and Python give up
_EXACT = 1 << 53  # above it, readers of JSON other than Python's lose digits of an integer

Array = np.ndarray[Any, Any]


def save(
    obj: Any,
    f: Any,
    pickle_module: None = None,
    pickle_protocol: Any = None,
    _use_new_zipfile_serialization: bool = True,
) -> None:
    """Write an object to a file, in one piece or not at all.

    Parameters
    ----------
    obj
        Tensors, parameters, ndarrays, NumPy scalars, dtypes, devices, None, bool, int, float, complex, str, bytes, and
        lists, tuples, dicts and OrderedDicts of these. Of a model or an optimizer, save its ``state_dict()``.
    f : path or binary file
        A file that exists is replaced when the new one is complete and on the disk: a crash leaves the old one whole.
    pickle_module
        Must be left out: nothing is pickled.
    pickle_protocol, _use_new_zipfile_serialization
        Accepted as by PyTorch, and without a meaning here.

    Raises
    ------
    TypeError
        The object holds something else; the message says where. Nothing is written.
    ValueError
        The object contains itself, or is nested too deeply.
    OSError
        The file cannot be written.

    Notes
    -----
    What is one tensor, or shows the same memory, does so again after `load`, and so does a view of another array in
    the object. Views that overlap without one containing the other become separate. Whether a leaf requires a gradient
    is kept, its gradient and its place in a graph are not. Equal contents in equal layouts make equal files.

    Examples
    --------
    >>> import io
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac.serialization import load, save
    >>> file = io.BytesIO()
    >>> save({"epoch": 3, "w": tj.tensor([1.0, 2.0])}, file)
    >>> load(file)
    {'epoch': 3, 'w': tensor([1., 2.])}
    """
    _refuse_pickle(pickle_module)
    packed = _Packer(obj)
    if not hasattr(f, "write"):
        with replacing(f) as file:
            packed.write(file)
    elif isinstance(f, io.TextIOBase):
        raise TypeError("save() writes bytes, the file given takes text: open it with mode 'wb'")
    else:
        packed.write(f)


def load(
    f: Any,
    map_location: Any = None,
    pickle_module: None = None,
    *,
    weights_only: bool | None = True,
    mmap: bool | None = None,
) -> Any:
    """Read an object that `save` wrote.

    Parameters
    ----------
    f : path or binary file
    map_location : device, str, dict or callable, optional
        Accepted as by PyTorch; the only device is the CPU.
    pickle_module
        Must be left out: nothing is unpickled.
    weights_only, mmap
        Accepted as by PyTorch. They make no difference: whatever they are, nothing in the file can run, and arrays are
        read into memory.

    Returns
    -------
    object
        Equal to what was saved, of the same types, in memory of its own.

    Raises
    ------
    FileFormatError
        The file is damaged, cut off, or something else than `save` writes. There is no partial result.
    OSError
        The file cannot be opened.
    OutOfScopeError
        ``map_location`` is another device than the CPU.
    """
    _refuse_pickle(pickle_module)
    if map_location is not None and not callable(map_location) and not isinstance(map_location, dict):
        on_cpu(map_location)
    if not hasattr(f, "read"):
        with open(os.fspath(f), "rb") as file:
            return _read(file, os.fsdecode(f))
    if isinstance(f, io.TextIOBase):
        raise TypeError("load() reads bytes, the file given gives text: open it with mode 'rb'")
    name = str(getattr(f, "name", "the file given"))
    return _read(f if hasattr(f, "seekable") and f.seekable() else io.BytesIO(f.read()), name)


def add_safe_globals(safe_globals: list[Any]) -> None:
    """Accepted as by PyTorch: files hold data, no names of classes, so there is nothing to allow."""


safe_globals = contextlib.nullcontext  # ``with safe_globals([...]):``, accepted likewise


def _refuse_pickle(pickle_module: Any) -> None:
    if pickle_module is not None:
        raise TypeError("save() and load() use no pickle, which can run code when it is read: leave out pickle_module")


# ------------------------------------------------------------------------------------------------ writing


class _Packer:
    """An object taken apart: the tree of its values as JSON, the tensors and the arrays that the tree refers to."""

    def __init__(self, obj: Any) -> None:
        self.arrays: list[Array] = []
        self.files: list[str] = []  # a name for each array
        self.tensors: list[dict[str, Any]] = []
        self._array_numbers: dict[Any, int] = {}
        self._tensor_numbers: dict[int, int] = {}
        self._names: set[str] = set()
        self._open: set[int] = set()  # the containers that contain what is being packed
        tree = self._pack(obj, ())
        self.views = [_as_view(array, host, self.arrays[host]) for array, host in zip(self.arrays, _hosts(self.arrays))]
        index = {
            "format": FORMAT,
            "version": VERSION,
            "arrays": [name if view is None else view for name, view in zip(self.files, self.views)],
            "tensors": self.tensors,
            "object": tree,
        }
        self.index = json.dumps(index, allow_nan=False).encode("ascii")

    def _pack(self, value: Any, path: tuple[Any, ...]) -> Any:
        # By exact type: a subclass would come back as something else than what was saved.
        kind = type(value)
        if value is None or kind in (bool, str):
            return value
        if kind is int:
            return value if abs(value) < _EXACT else {"int": hex(value)}
        if kind is float:
            return value if math.isfinite(value) else {"float": str(value)}
        if kind is complex:
            return {"complex": [self._pack(part, path) for part in (value.real, value.imag)]}
        if kind is bytes:
            return {"bytes": base64.b64encode(value).decode("ascii")}
        if kind in _NAMES:
            return self._pack_container(value, path)
        if kind in (Tensor, Parameter):
            return {"tensor": self._tensor(value, path)}
        if kind in (np.ndarray, np.memmap):
            return {"ndarray": self._array(value, path)}
        if isinstance(value, np.generic) and value.dtype.kind in "biufcSU" and type(value.item()) in _PLAIN:
            return {"scalar": [value.dtype.str, self._pack(value.item(), path)]}
        if isinstance(value, np.dtype) and value.kind in _KINDS:
            return {"dtype": value.str}
        if kind is device:
            return {"device": str(value)}
        raise TypeError(f"{_place(path)} cannot be saved, it is {_what(value)}")

    def _pack_container(self, value: Any, path: tuple[Any, ...]) -> Any:
        if id(value) in self._open:
            raise ValueError(f"{_place(path)} is a {type(value).__name__} that contains itself: it cannot be saved")
        if len(path) > _DEEPEST:
            raise ValueError(f"{_place(path[:3])}... is nested deeper than {_DEEPEST} levels: flatten it to save it")
        self._open.add(id(value))
        if isinstance(value, dict):
            packed: list[Any] = [[self._pack(k, (*path, k)), self._pack(v, (*path, k))] for k, v in value.items()]
        else:
            packed = [self._pack(v, (*path, k)) for k, v in enumerate(value)]
        self._open.remove(id(value))
        return packed if type(value) is list else {_NAMES[type(value)]: packed}

    def _tensor(self, value: Tensor, path: tuple[Any, ...]) -> int:
        number = self._tensor_numbers.setdefault(id(value), len(self.tensors))
        if number == len(self.tensors):
            self.tensors.append(
                {
                    "array": self._array(value.array, path),
                    "parameter": isinstance(value, Parameter),
                    "requires_grad": value.requires_grad,
                }
            )
        return number

    def _array(self, array: Array, path: tuple[Any, ...]) -> int:
        if array.dtype.kind not in _KINDS:
            what = f"an array of {array.dtype}: convert it to one of numbers or text"
            raise TypeError(f"{_place(path)} cannot be saved, it is {what}")
        key = (array.ctypes.data, array.shape, array.strides, array.dtype.str)
        number = self._array_numbers.setdefault(key, len(self.arrays))
        if number == len(self.arrays):
            self.arrays.append(array)
            self.files.append(self._file_name(path))
        return number

    def _file_name(self, path: tuple[Any, ...]) -> str:
        """The place in the object as a path that every file system takes, and that stays where it is unpacked."""
        stem = "/".join(re.sub(r"^\.+|[^\w.-]", "_", str(key)[:100], flags=re.ASCII) or "_" for key in path) or "array"
        name = f"{stem}~{len(self.files)}" if stem.lower() in self._names else stem
        self._names.add(stem.lower())
        return f"{name}.npy"

    def write(self, file: BinaryIO) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            with _member(archive, INDEX, len(self.index)) as member:
                member.write(self.index)
            for array, name, view in zip(self.arrays, self.files, self.views):
                if view is None:
                    with _member(archive, name, array.nbytes) as member:
                        np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)


def _member(archive: zipfile.ZipFile, name: str, size: int) -> Any:
    """A new member of an archive, without the date and the machine: equal contents are to be equal files."""
    info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    info.create_system = 3
    info.external_attr = 0o644 << 16
    info.file_size = size + 4096  # at most: what decides between the 32 and the 64 bit form
    return archive.open(info, "w")


def _hosts(arrays: list[Array]) -> list[int]:
    """For each array the number of the one whose memory is to hold it: its own, or that of one that contains it."""
    hosts = list(range(len(arrays)))
    groups: dict[int, list[int]] = {}
    for k, array in enumerate(arrays):
        if array.size:
            groups.setdefault(id(owner_of(array)), []).append(k)
    for group in groups.values():
        # In the order in which they begin, the longer ones first: what ends before the last host's end lies within it.
        # Only an array without gaps can be a host: the bytes in its file stand as they stand in memory.
        host, end = -1, -1
        spans = [(*np.lib.array_utils.byte_bounds(arrays[k]), k) for k in group]
        for _, stop, gaps, k in sorted((low, -high, not _is_whole(arrays[k]), k) for low, high, k in spans):
            if -stop <= end:
                hosts[k] = host
            elif not gaps:
                host, end = k, -stop
    return hosts


def _is_whole(array: Array) -> bool:
    return array.flags.c_contiguous or array.flags.f_contiguous


def _as_view(array: Array, number: int, host: Array) -> dict[str, Any] | None:
    """An array as a piece of another's memory; None for one that is its own host."""
    if array is host:
        return None
    return {
        "of": number,
        "offset": array.ctypes.data - host.ctypes.data,
        "dtype": array.dtype.str,
        "shape": array.shape,
        "strides": array.strides,
    }


def _place(path: tuple[Any, ...]) -> str:
    return "obj" + "".join(f"[{key!r:.60}]" for key in path)


def _what(value: Any) -> str:
    """What a value is that cannot be saved, and what to do."""
    kind = type(value)
    name = f"a {kind.__name__}"
    if isinstance(value, type):
        name, advice = f"the class {value.__name__}", "a file holds no code: save its name"
    elif callable(getattr(value, "state_dict", None)):
        advice = "save its state_dict(), and load that into an object made anew with load_state_dict()"
    elif callable(value):
        advice = "a file holds no code: save what the function is made from"
    elif isinstance(value, (set, frozenset)):
        advice = "save a sorted list of it"
    else:
        plain = next((p for p in (*_NAMES, *_PLAIN, Tensor, np.ndarray) if isinstance(value, p)), None)
        advice = (
            f"of subclasses only the values could be saved: convert it to {plain.__name__}"
            if plain
            else "what can be saved are tensors, ndarrays, numbers, text, None, and lists, tuples and dicts of these"
        )
    return f"{name}: {advice}"


@contextlib.contextmanager
def replacing(path: Any) -> Iterator[BinaryIO]:
    """A binary file that takes the place of ``path`` when all went well; after an error nothing has changed.

    It is written next to its destination and renamed once it is on the disk. A symbolic link is followed, and
    permissions are those of the file replaced, or of any new file.
    """
    given = os.fsdecode(path)
    target = os.path.realpath(given)
    if os.path.exists(target) and not os.path.isfile(target):  # a device or a pipe cannot be replaced; a folder raises
        with open(target, "wb") as file:
            yield (written := io.BytesIO())
            file.write(written.getbuffer())
        return
    temporary = os.path.join(os.path.dirname(target), f".{os.urandom(8).hex()}.tmp")
    try:
        file = open(temporary, "xb")  # noqa: SIM115 (closed below, before it is renamed)
    except OSError as error:
        raise OSError(error.errno, error.strerror, given) from None
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            os.chmod(temporary, os.stat(target).st_mode & 0o777)
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    with contextlib.suppress(OSError, AttributeError):  # the rename too; folders cannot be opened everywhere
        folder = os.open(os.path.dirname(target), os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


# ------------------------------------------------------------------------------------------------ reading


def _read(file: Any, name: str) -> Any:
    try:
        file.seek(0)
        _refuse_foreign(file.read(16))
        with zipfile.ZipFile(file) as archive:
            return _Unpacker(archive, file.seek(0, os.SEEK_END)).object
    except MemoryError:
        raise  # the sizes were checked: the file is as large as it says
    except FileFormatError as error:
        raise FileFormatError(f"{name} {error}") from None
    except Exception as error:  # zipfile, json and NumPy raise almost anything when bytes are wrong
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise FileFormatError(f"{name} is damaged or cut off ({reason:.200})") from error


_FROM_PYTORCH = (
    "loading one can run code. To convert it, in PyTorch: "
    "safetensors.torch.save_file(torch.load(path, weights_only=True), 'weights.safetensors'); then here: "
    "tinygrad_jac.safetensors.load_file('weights.safetensors')"
)


def _refuse_foreign(start: bytes) -> None:
    """Raise for what is no zip archive, by its first bytes."""
    if start.startswith(b"PK"):
        return
    if not start:
        what = "is empty"
    elif start[:1] == b"\x80":
        what = f"is a pickle, not a file of tinygrad_jac.save: {_FROM_PYTORCH}"
    elif start[8:9] == b"{":
        what = "looks like a safetensors file: read it with tinygrad_jac.safetensors.load_file"
    elif start.startswith(b"\x93NUMPY"):
        what = "is an .npy file: read it with numpy.load"
    else:
        what = f"is not a file of tinygrad_jac.save: it starts with {start!r}"
    raise FileFormatError(what)


class _Unpacker:
    """The object that an archive holds; everything that it claims is checked before it is believed."""

    def __init__(self, archive: zipfile.ZipFile, length: int) -> None:
        self._archive = archive
        self._members = {info.filename: info for info in archive.infolist()}
        index = self._index(length)
        names = [entry for entry in index["arrays"] if isinstance(entry, str)]
        if sorted([*names, INDEX]) != sorted(info.filename for info in archive.infolist()):
            raise FileFormatError("is damaged: its members are not those that its index names")
        files = {k: self._array(entry) for k, entry in enumerate(index["arrays"]) if isinstance(entry, str)}
        self._arrays = [files[k] if k in files else _view(files, **e) for k, e in enumerate(index["arrays"])]
        self._tensors = [self._tensor(**entry) for entry in index["tensors"]]
        self._makers: dict[str, Callable[[Any], Any]] = {
            "int": lambda text: int(text, 16),
            "float": float,
            "complex": lambda parts: complex(*map(self._make, parts)),
            "bytes": lambda text: base64.b64decode(text, validate=True),
            "tuple": lambda items: tuple(map(self._make, items)),
            "size": lambda items: Size(map(self._make, items)),
            "dict": lambda items: {self._make(k): self._make(v) for k, v in items},
            "ordered_dict": lambda items: OrderedDict((self._make(k), self._make(v)) for k, v in items),
            "tensor": self._tensors.__getitem__,
            "ndarray": self._arrays.__getitem__,
            "scalar": lambda given: _dtype(given[0]).type(self._make(given[1])),
            "dtype": _dtype,
            "device": device,
        }
        self.object = self._make(index["object"])

    def _index(self, length: int) -> Any:
        members = self._archive.infolist()
        if INDEX not in self._members:
            if any(name.endswith("data.pkl") for name in self._members):
                raise FileFormatError(f"is a file of PyTorch's torch.save, a pickle: {_FROM_PYTORCH}")
            if members and all(name.endswith(".npy") for name in self._members):
                raise FileFormatError("is an .npz file: read it with numpy.load")
            raise FileFormatError("is a zip archive, but not one of tinygrad_jac.save: it has no index.json")
        _refuse_claims([self._members[INDEX]], length)
        index = json.loads(self._archive.read(INDEX), parse_constant=_refuse_constant)
        if not isinstance(index, dict) or index.get("format") != FORMAT:
            raise FileFormatError("is a zip archive, but not one of tinygrad_jac.save: its index.json is another's")
        if index["version"] != VERSION:
            raise FileFormatError(
                f"has version {index['version']!r:.20} of the format, this tinygrad_jac reads version {VERSION}: "
                "install a newer one"
            )
        _refuse_claims(members, length)
        return index

    def _array(self, name: str) -> Array:
        """The array of a member, whose header has to agree with the member's size before anything is allocated."""
        info = self._members[name]
        with self._archive.open(info) as member:
            if np.lib.format.read_magic(member) != (1, 0):
                raise FileFormatError(f"is damaged: {name} is of another version of the .npy format")
            shape, _, dtype = np.lib.format.read_array_header_1_0(member)
            size = math.prod(shape) * dtype.itemsize
            if dtype.kind not in _KINDS or min(shape, default=0) < 0 or member.tell() + size != info.file_size:
                raise FileFormatError(f"is damaged: {name} does not have the size that its header claims")
        with self._archive.open(info) as member:  # anew: a member that was rewound is not checked by its checksum
            array: Array = np.lib.format.read_array(member, allow_pickle=False)
            member.read()
        return array

    def _tensor(self, array: int, parameter: bool, requires_grad: bool) -> Tensor:
        values = self._arrays[array]
        if values.dtype.kind not in "biufc" or not values.dtype.isnative:
            raise FileFormatError(f"is damaged: a tensor of dtype {values.dtype}")
        made = wrap(values)
        if parameter:
            return Parameter(made, requires_grad)
        return made.requires_grad_() if requires_grad else made

    def _make(self, node: Any) -> Any:
        if isinstance(node, list):
            return list(map(self._make, node))
        if not isinstance(node, dict):
            return node
        ((kind, given),) = node.items()
        return self._makers[kind](given)


def _refuse_claims(members: list[zipfile.ZipInfo], length: int) -> None:
    """Raise where members would take more memory than their archive takes on the disk."""
    stored = all(m.compress_type == zipfile.ZIP_STORED and m.file_size == m.compress_size for m in members)
    if not stored or sum(m.file_size for m in members) > length:
        raise FileFormatError("is damaged: its members claim more than the file holds")


def _view(files: dict[int, Array], of: int, offset: int, dtype: str, shape: list[int], strides: list[int]) -> Array:
    """A piece of another array's memory; NumPy checks that it does not reach beyond.

    Where its own entries may share memory, as after ``expand``, it is read-only, as what was saved.
    """
    memory = files[of].reshape(-1, order="A")
    view: Array = np.ndarray(tuple(shape), _dtype(dtype), memory, offset, tuple(strides))
    reach = view.itemsize
    for stride, size in sorted((abs(stride), size) for stride, size in zip(strides, shape) if size > 1):
        if stride < reach:
            view.flags.writeable = False
        reach += stride * (size - 1)
    return view


def _dtype(text: str) -> np.dtype[Any]:
    dtype = np.dtype(text)
    if dtype.kind not in _KINDS:
        raise FileFormatError(f"is damaged: there is no dtype {text!r:.40} in a file")
    return dtype


def _refuse_constant(text: str) -> None:
    raise FileFormatError(f"is damaged: its index holds {text}, which is not JSON")
