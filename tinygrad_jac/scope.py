"""PyTorch's namespaces around the core: what is not here says so, and what is asked in passing is answered.

Two tables say it all. `INSTEAD` has what is out of scope, with what to do instead. `NAMESPACES` has the names that
scripts may use of a namespace that is otherwise out of scope, and what PyTorch built for the CPU alone answers there.
Both work however a script comes to a name: ``torch.cuda.is_available()``, ``import torch.backends.cudnn as cudnn``,
``from torch.utils.tensorboard import SummaryWriter``.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from .errors import OutOfScopeError

_CPU = "tinygrad_jac computes on the CPU; leave it out, or put it under `if cuda.is_available()`, which is False"
_EAGER = "there is nothing to compile, the function runs as it is; leave it out"
_ONE = "tinygrad_jac trains in one process; run the part of the script that is meant for one"
_TIME = "measure with time.perf_counter or cProfile, and see `python -m tinygrad_jac info`"
_GRAPH = "the graph of a result is walked and drawn by tinygrad_jac.debug_mode"
_NUMBERS = "NumPy's dtypes are the ones that there are: use float32, or float16 with half()"
_WEIGHTS = "save the weights with safetensors, which other programs read"
_SPARSE = "tensors are dense; the Jacobians are structured, see tinygrad_jac.jacobians"

# A name, and those below it, that is out of scope: what to do instead. With a dot at its end it is a namespace, which
# can be imported.
INSTEAD = {
    "cuda.": _CPU,
    "cuda.amp.": _CPU,
    "accelerator.": _CPU,
    "mps.": _CPU,
    "xpu.": _CPU,
    "Tensor.cuda": _CPU,
    "Module.cuda": _CPU,
    "Module.xpu": _CPU,
    "amp.": "tensors are computed with in their own dtypes; leave it out, or convert with half()",
    "backends.": "there are no other backends than NumPy; leave it out",
    "jit.": _EAGER,
    "compile": _EAGER,
    "compiler.": _EAGER,
    "Module.compile": _EAGER,
    "fx.": _GRAPH,
    "export.": _WEIGHTS,
    "onnx.": _WEIGHTS,
    "package.": _WEIGHTS,
    "hub.": "nothing is downloaded; get the weights yourself and load them with load_state_dict",
    "utils.model_zoo.": "nothing is downloaded; get the weights yourself and load them with load_state_dict",
    "distributed.": _ONE,
    "multiprocessing.": "use Python's own multiprocessing, with arrays: tensor.numpy()",
    "nn.parallel.": _ONE,
    "profiler.": _TIME,
    "autograd.profiler.": _TIME,
    "autograd.graph.": "saved arrays stay as they are; tensor.register_hook sees gradients, and saves= what is kept",
    "utils.benchmark.": "measure with timeit",
    "utils.checkpoint.": "call the function itself; the gradients are the same",
    "utils.data.distributed.": _ONE,
    "utils.data.DistributedSampler": _ONE,
    "utils.tensorboard.": "keep the numbers in a list and draw them with matplotlib, or use the package tensorboardX",
    "utils.cpp_extension.": "write the op in NumPy and give it a derivative with tinygrad_jac.primitive",
    "library.": "give an op its derivative with tinygrad_jac.primitive or autograd.Function",
    "ao.": _NUMBERS,
    "quantization.": _NUMBERS,
    "bfloat16": _NUMBERS,
    "Tensor.bfloat16": _NUMBERS,
    "Module.bfloat16": _NUMBERS,
    "sparse.": _SPARSE,
    "sparse_coo_tensor": _SPARSE,
    "sparse_csr_tensor": _SPARSE,
    "nested.": "pad the sequences to one length, and mask",
    "masked.": "use where, masked_fill and masked_select",
    "fft.": "use numpy.fft, and give it a derivative with tinygrad_jac.primitive",
    "distributions.": "draw with rand, randn, bernoulli or multinomial, and write the log-density as a formula",
    "futures.": "use concurrent.futures",
    "overrides.": "NumPy's protocols are what other types use: __array_ufunc__, __array_function__",
    "nn.quantized.": _NUMBERS,
    "nn.intrinsic.": _NUMBERS,
}


# ------------------------------------------------------------------------------------------------ what is answered


def _no(*args: Any) -> bool:
    return False


def _zero(*args: Any) -> int:
    return 0


def _nothing(*args: Any, **kwargs: Any) -> None:
    pass


_ABSENT = {"is_available": _no, "device_count": _zero}
_UNBUILT = {"is_available": _no, "is_built": _no}

# What a namespace answers; settings of what does not exist may be read and written. A name that starts with a dot is
# another module, whose names are found there too.
NAMESPACES: dict[str, Any] = {
    "": ".settings",
    "cuda": {
        **_ABSENT, "is_initialized": _no, "is_bf16_supported": _no, "get_arch_list": list, "get_rng_state_all": list,
        **dict.fromkeys(("memory_allocated", "max_memory_allocated", "memory_reserved", "max_memory_reserved"), _zero),
        **dict.fromkeys(
            ("manual_seed", "manual_seed_all", "seed", "seed_all", "empty_cache", "set_rng_state_all"), _nothing
        ),
    },
    "cuda.amp": ".amp",
    "accelerator": {**_ABSENT, "current_accelerator": _nothing},
    "cpu": {"is_available": lambda: True, "device_count": lambda: 1, "synchronize": _nothing},
    "mps": _ABSENT,
    "xpu": _ABSENT,
    "distributed": {"is_available": _no, "is_initialized": _no},
    "backends": {},
    "backends.cudnn": {
        "is_available": _no, "version": _nothing, "enabled": True, "benchmark": False, "deterministic": False,
        "allow_tf32": True,
    },
    "backends.cuda": {"is_built": _no},
    "backends.cuda.matmul": {"allow_tf32": False},
    "backends.mps": _UNBUILT,
    "backends.mkl": _UNBUILT,
    "backends.mkldnn": {**_UNBUILT, "enabled": True},
    "backends.openmp": _UNBUILT,
    "types": {"Device": Any, "Number": (int, float, bool)},
    "version": {"cuda": None, "hip": None},
    "nn.modules": ".nn",
    **{
        f"nn.modules.{room}": ".nn"
        for room in (
            "activation", "adaptive", "batchnorm", "container", "conv", "distance", "dropout", "flatten", "fold",
            "instancenorm", "linear", "loss", "module", "normalization", "padding", "pixelshuffle", "pooling", "rnn",
            "sparse", "transformer", "upsampling",
        )
    },
}  # fmt: skip


# ------------------------------------------------------------------------------------------------ how it is found

_ROOT = __package__


def look_up(module: str, name: str) -> Any:
    """What a ``__getattr__`` of the package's modules answers: a namespace, or else an error that says why not.

    Raises
    ------
    OutOfScopeError
        The name is out of scope.
    AttributeError
        Nobody knows it.
    """
    full = f"{module}.{name}".partition(".")[2]
    if _is_namespace(full):
        return importlib.import_module(f"{_ROOT}.{full}")
    answers = NAMESPACES.get(module.partition(".")[2])
    if isinstance(answers, str) and not name.startswith("_"):
        other = importlib.import_module(answers, _ROOT)
        if name in other.__all__:
            return getattr(other, name)
    if instead_of(full):
        raise refusal(full)
    raise AttributeError(f"{module} has no attribute {name!r}", name=name, obj=sys.modules.get(module))


def instead_of(name: str) -> str:
    """What to do instead of a dotted name, if it or what it belongs to is out of scope; else nothing."""
    while name and name not in INSTEAD and f"{name}." not in INSTEAD:
        name = name.rpartition(".")[0]
    return INSTEAD.get(name) or INSTEAD.get(f"{name}.", "")


def refusal(name: str) -> OutOfScopeError:
    """The error that says so."""
    return OutOfScopeError(f"{name} is out of scope: {instead_of(name)}", name=name.rpartition(".")[2])


class absent:
    """A method of PyTorch's that is out of scope: reading it raises, so that ``hasattr`` is False."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = f"{owner.__name__}.{name}"

    def __get__(self, instance: Any, owner: type) -> Any:
        raise refusal(self.name)


def _is_namespace(name: str) -> bool:
    return name in NAMESPACES or f"{name}." in INSTEAD


class _Namespace(ModuleType):
    """A module without a file: what `NAMESPACES` has for it, and refusals."""

    def __getattr__(self, name: str) -> Any:
        return look_up(self.__name__, name)


class _Finder:
    """Finds the modules that have no file, after Python's own finders; lets ``from … import`` say what is missing."""

    @staticmethod
    def find_spec(fullname: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        root, _, name = fullname.partition(".")
        if root != _ROOT:
            return None
        if _is_namespace(name):
            return ModuleSpec(fullname, _Finder, is_package=True)  # type: ignore[arg-type]
        if instead_of(name):
            raise ImportError(str(refusal(name)), name=fullname)
        return None

    @staticmethod
    def create_module(spec: ModuleSpec) -> ModuleType:
        return _Namespace(spec.name)

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        answers = NAMESPACES.get(module.__name__.partition(".")[2])
        module.__dict__.update(answers if isinstance(answers, dict) else {})


sys.meta_path.append(_Finder)
