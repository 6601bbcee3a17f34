"""Weights in the safetensors format, which PyTorch and others read and write; the names are those of safetensors.torch.

It holds named tensors and nothing else: no nesting, no plain values but text (``metadata``), no sharing. For these
there is `tinygrad_jac.save`. The extra ``safetensors`` installs the package that does the work.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from . import dtypes
from .devices import on_cpu
from .errors import FileFormatError
from .graph import Variable, array_of, wrap
from .serialization import replacing
from .tensor import Tensor

__all__ = ["load", "load_file", "load_model", "save", "save_file", "save_model"]

_DTYPES: dict[str, np.dtype[Any]] = {
    "F64": dtypes.float64,
    "F32": dtypes.float32,
    "F16": dtypes.float16,
    "I64": dtypes.int64,
    "I32": dtypes.int32,
    "I16": dtypes.int16,
    "I8": dtypes.int8,
    "U64": np.dtype(np.uint64),
    "U32": np.dtype(np.uint32),
    "U16": np.dtype(np.uint16),
    "U8": dtypes.uint8,
    "BOOL": dtypes.bool,
    "C64": dtypes.complex64,
}


def _package() -> Any:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError("safetensors files need the package safetensors: pip install safetensors") from error
    return safetensors


def save(tensors: Mapping[str, Any], metadata: dict[str, str] | None = None) -> bytes:
    """The bytes of a safetensors file.

    Parameters
    ----------
    tensors : mapping of str to Tensor or ndarray
        A ``state_dict()`` of a module, for example. Of what shares memory, each name gets a copy.
    metadata : dict of str to str, optional

    Raises
    ------
    TypeError
        A name or a text is no string, a value is no tensor, or its dtype is not one of the format.
    ImportError
        The package safetensors is missing.
    """
    if not isinstance(tensors, Mapping):
        raise TypeError(f"safetensors hold a dict of tensors, not a {type(tensors).__name__}")
    arrays = {}
    for name, value in tensors.items():
        if not isinstance(name, str) or not isinstance(value, (Variable, np.ndarray)):
            raise TypeError(
                f"safetensors hold tensors by name, not a {type(value).__name__} under {name!r:.60}: nested and plain "
                "values can be saved with tinygrad_jac.save"
            )
        array = array_of(value)
        if array.dtype.newbyteorder("=") not in _DTYPES.values():
            raise TypeError(f"safetensors hold no {array.dtype}, which is the dtype of {name!r:.60}: convert it first")
        arrays[name] = np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")
    for key, text in (metadata or {}).items():
        if not isinstance(key, str) or not isinstance(text, str):
            raise TypeError(f"metadata are a dict of str to str, not {key!r:.60}: {text!r:.60}; convert with str()")
    data: bytes = _package().numpy.save(arrays, metadata)
    return data


def save_file(tensors: Mapping[str, Any], filename: Any, metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file; as in `tinygrad_jac.save` an old file is replaced when the new one is complete.

    Examples
    --------
    >>> import os, tempfile
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac.safetensors import load_file, save_file
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_file({"w": tj.ones(2)}, os.path.join(folder, "w.safetensors"))
    ...     load_file(os.path.join(folder, "w.safetensors"))
    {'w': tensor([1., 1.])}
    """
    data = save(tensors, metadata)
    with replacing(filename) as file:
        file.write(data)


def load(data: bytes) -> dict[str, Tensor]:
    """The tensors of a safetensors file, given as bytes, by name.

    bfloat16, which NumPy does not have, becomes float32, which holds all its values.

    Raises
    ------
    FileFormatError
        The bytes are no safetensors file, or a damaged one, or hold a dtype that NumPy does not have.
    """
    return _load(data, "the data given")


def load_file(filename: Any, device: Any = "cpu") -> dict[str, Tensor]:
    """The tensors of a safetensors file by name; see `load`."""
    on_cpu(device)
    with open(os.fspath(filename), "rb") as file:
        return _load(file.read(), os.fsdecode(filename))


def _load(data: bytes, source: str) -> dict[str, Tensor]:
    deserialize = _package().deserialize
    try:
        found = dict(deserialize(data))
    except Exception as error:  # the package has an exception of its own, which it does not promise to raise
        raise FileFormatError(f"{source} is no safetensors file, or damaged: {error}") from error
    return {name: wrap(_array(source, name, **found[name])) for name in sorted(found)}


def _array(source: str, name: str, dtype: str, shape: list[int], data: Any) -> np.ndarray[Any, Any]:
    if dtype == "BF16":  # the upper half of a float32
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32).reshape(shape)
    if dtype not in _DTYPES:
        raise FileFormatError(f"{source} holds {name!r:.60} as {dtype}, which NumPy does not have: convert it before")
    return np.frombuffer(data, _DTYPES[dtype].newbyteorder("<")).reshape(shape).astype(_DTYPES[dtype])


# ------------------------------------------------------------------------------------------------ modules


def save_model(
    model: Any, filename: str, metadata: dict[str, str] | None = None, force_contiguous: bool = True
) -> None:
    """Write the ``state_dict()`` of a module, tied weights once; the metadata tell by which names they went.

    ``force_contiguous`` is accepted as by safetensors.torch: arrays are always written without gaps.
    """
    tensors = model.state_dict()
    aliases = _aliases(tensors, tensors)
    save_file({k: v for k, v in tensors.items() if k not in aliases}, filename, {**aliases, **(metadata or {})})


def load_model(model: Any, filename: Any, strict: bool = True, device: Any = "cpu") -> tuple[set[str], list[str]]:
    """Load what `save_model` wrote into a module.

    Returns
    -------
    missing, unexpected
        Names that only the module has (tied weights are not missing if one of them is there), and only the file.

    Raises
    ------
    RuntimeError
        There are such names, if ``strict``; or sizes differ. The module is left as it was.
    """
    tensors = load_file(filename, device)
    own = model.state_dict()
    given = {**{name: tensors[kept] for name, kept in _aliases(own, tensors).items() if kept in tensors}, **tensors}
    missing, unexpected = model.load_state_dict(given, strict=strict)
    return set(missing), unexpected


def _aliases(own: Mapping[str, Any], preferred: Mapping[str, Any]) -> dict[str, str]:
    """The names of tensors that are another's memory, and that other's name: the first, or the first preferred one."""
    groups: dict[Any, list[str]] = {}
    for name in sorted(own):
        array = own[name].array
        key = (array.ctypes.data, array.shape, array.strides) if array.size else name
        groups.setdefault(key, []).append(name)
    kept = {id(names): next((n for n in names if n in preferred), names[0]) for names in groups.values()}
    return {name: kept[id(names)] for names in groups.values() for name in names if name != kept[id(names)]}
