"""PyTorch's namespaces around the core: what is asked in passing is answered, what is out of scope says so."""

from __future__ import annotations

import copy
import importlib
import importlib.util
import pickle
import subprocess
import sys

import numpy as np
import pytest

import tinygrad_jac as tj
from tinygrad_jac import nn, scope
from tinygrad_jac.errors import GradientError, OutOfScopeError


def value(library, path):
    found = library
    for name in path.split("."):
        found = getattr(found, name)
    return found


# ------------------------------------------------------------------------------------------------ out of scope

OUT_OF_SCOPE = [
    "cuda.synchronize", "cuda.set_device", "cuda.reset_peak_memory_stats", "cuda.Event", "cuda.amp.custom_fwd",
    "accelerator.synchronize", "mps.empty_cache", "backends.opt_einsum", "jit.script", "jit.trace", "compile",
    "compiler.disable", "fx.symbolic_trace", "export.save", "onnx.export", "hub.load", "distributed.init_process_group",
    "multiprocessing.Process", "nn.parallel.DistributedDataParallel", "profiler.profile", "autograd.profiler.profile",
    "utils.tensorboard.SummaryWriter", "utils.checkpoint.checkpoint", "utils.cpp_extension.load", "ao.quantization",
    "quantization.quantize_dynamic", "sparse.mm", "sparse_coo_tensor", "nested.nested_tensor", "fft.fft", "bfloat16",
    "distributions.Normal", "amp.custom_bwd", "utils.data.distributed.DistributedSampler", "autograd.graph.Node",
]  # fmt: skip


@pytest.mark.parametrize("path", OUT_OF_SCOPE)
def test_out_of_scope_says_what_to_do_instead(path):
    module, _, name = path.rpartition(".")
    for way in (lambda: value(tj, path), lambda: exec(f"from tinygrad_jac{'.' * bool(module)}{module} import {name}")):
        with pytest.raises((OutOfScopeError, ImportError), match=f"{path} is out of scope: .{{12}}"):
            way()
    assert not hasattr(value(tj, module) if module else tj, name)


@pytest.mark.peers
@pytest.mark.parametrize("path", [*OUT_OF_SCOPE, *(name.rstrip(".") for name in scope.INSTEAD)])
def test_what_is_out_of_scope_is_a_name_of_pytorchs(path):
    torch = pytest.importorskip("torch")
    found, full = torch, "torch"
    for name in path.replace("Module.", "nn.Module.").split("."):
        full += f".{name}"
        if not hasattr(found, name):  # a module that is not loaded yet, or that stands on what is not installed
            assert importlib.util.find_spec(full), path
            if full == "torch.utils.tensorboard":
                return
            importlib.import_module(full)
        found = getattr(found, name)


def test_every_namespace_can_be_imported_and_asked():
    for name in (*scope.NAMESPACES, *(n[:-1] for n in scope.INSTEAD if n.endswith("."))):
        if not name:
            continue
        module = importlib.import_module(f"tinygrad_jac.{name}")
        assert value(tj, name) is module
        with pytest.raises(AttributeError, match="nonsense"):
            _ = module.nonsense


def test_unknown_names_are_plain_attribute_errors():
    for module, name in ((tj, "nonsense"), (nn, "nonsense"), (tj.utils, "nonsense"), (tj.autograd, "nonsense")):
        with pytest.raises(AttributeError, match=r"has no attribute 'nonsense'") as caught:
            getattr(module, name)
        assert not isinstance(caught.value, OutOfScopeError)
    for line in ("import tinygrad_jac.nonsense", "import tinygrad_jac.nn.nonsense"):
        with pytest.raises(ModuleNotFoundError):
            exec(line)
    with pytest.raises(ImportError, match="cannot import name 'nonsense'"):
        exec("from tinygrad_jac import nonsense")


def test_methods_out_of_scope():
    layer = nn.Linear(1, 1)
    for name in ("cuda", "xpu", "bfloat16", "compile"):
        with pytest.raises(NotImplementedError, match=f"Module.{name} is out of scope"):
            getattr(layer, name)()
        assert not hasattr(layer, name)


# ------------------------------------------------------------------------------------------------ what is answered

ANSWERED = [
    "cuda.is_available()", "cuda.device_count()", "cuda.is_initialized()", "cuda.is_bf16_supported()",
    "cuda.manual_seed(0)", "cuda.manual_seed_all(0)", "cuda.seed()", "cuda.seed_all()", "cuda.empty_cache()",
    "cuda.memory_allocated()", "cuda.max_memory_allocated()", "cuda.memory_reserved()", "cuda.max_memory_reserved()",
    "cuda.get_arch_list()", "cuda.get_rng_state_all()", "cuda.set_rng_state_all([])",
    "accelerator.is_available()", "accelerator.current_accelerator()", "accelerator.device_count()",
    "cpu.is_available()", "cpu.device_count()", "cpu.synchronize()", "mps.is_available()", "mps.device_count()",
    "xpu.is_available()", "xpu.device_count()", "distributed.is_initialized()",
    "backends.cudnn.is_available()", "backends.cudnn.version()", "backends.cudnn.enabled", "backends.cudnn.benchmark",
    "backends.cudnn.deterministic", "backends.cudnn.allow_tf32", "backends.cuda.is_built()",
    "backends.cuda.matmul.allow_tf32", "backends.mps.is_available()", "backends.mps.is_built()",
    "backends.mkldnn.enabled", "version.cuda", "version.hip", "is_autocast_enabled()", "is_anomaly_enabled()",
    "are_deterministic_algorithms_enabled()", "is_deterministic_algorithms_warn_only_enabled()",
    "get_float32_matmul_precision()", "set_default_device('cpu')", "set_default_device(None)", "is_grad_enabled()",
    "amp.GradScaler('cpu', enabled=False).is_enabled()", "amp.GradScaler('cpu', enabled=False).scale(3.0)",
    "amp.GradScaler('cpu', enabled=False).get_scale()", "amp.GradScaler('cpu', enabled=False).state_dict()",
    "device('cuda:1').index", "device('cuda:1').type", "device('cpu').index",
    "str(torch.device('cpu') == 'cpu')", "str(torch.device('mps') == torch.device('mps'))",
    "str(torch.device('cpu') == torch.device('cpu', 0))", "str(torch.device('cuda', 1))",
    "repr(torch.device('cuda', 1))", "repr(torch.device('cpu'))", "repr(torch.device(torch.device('cuda', 2)))",
    "repr(torch.get_default_device())", "utils.data.get_worker_info()",
]  # fmt: skip


@pytest.mark.peers
@pytest.mark.parametrize("question", ANSWERED)
def test_answers_are_pytorchs_on_a_cpu(question):
    torch = pytest.importorskip("torch")
    if torch.version.cuda is not None and question.startswith(("cuda.", "accelerator.", "backends.cud", "version.")):
        pytest.skip("this PyTorch is built for CUDA, which changes its answers on a machine without one too")
    answers = [
        eval(question if question.startswith(("str", "repr")) else f"torch.{question}", {"torch": library})
        for library in (tj, torch)
    ]
    assert answers[0] == answers[1]
    assert type(answers[0]) is type(answers[1])


def test_settings_may_be_written(monkeypatch):
    cudnn = importlib.import_module("tinygrad_jac.backends.cudnn")
    for name in ("enabled", "benchmark", "deterministic", "allow_tf32"):
        before = getattr(cudnn, name)
        monkeypatch.setattr(cudnn, name, not before)
        assert getattr(tj.backends.cudnn, name) is not before
    monkeypatch.setattr(tj.backends.cuda.matmul, "allow_tf32", True)
    assert tj.backends.cuda.matmul.allow_tf32


def test_settings_are_read_back():
    assert tj.get_num_threads() >= 1
    before = tj.get_num_threads()
    try:
        tj.set_num_threads(3)
        assert tj.get_num_threads() == 3
        tj.use_deterministic_algorithms(True, warn_only=True)
        assert tj.are_deterministic_algorithms_enabled()
        assert tj.is_deterministic_algorithms_warn_only_enabled()
        tj.set_float32_matmul_precision("high")
        assert tj.get_float32_matmul_precision() == "high"
        with pytest.warns(UserWarning, match="'low' is not one of highest, high, medium"):
            tj.set_float32_matmul_precision("low")
        assert tj.get_float32_matmul_precision() == "high"
    finally:
        tj.set_num_threads(before)
        tj.use_deterministic_algorithms(False)
        tj.set_float32_matmul_precision("highest")
    with pytest.raises(RuntimeError, match="positive"):
        tj.set_num_threads(0)
    with pytest.raises(TypeError, match="mode must be bool"):
        tj.use_deterministic_algorithms(1)


def test_rooms_of_nn_are_other_names_of_it():
    from tinygrad_jac.nn.modules import Module
    from tinygrad_jac.nn.modules.activation import ReLU
    from tinygrad_jac.nn.modules.linear import Linear

    assert (Module, ReLU, Linear) == (nn.Module, nn.ReLU, nn.Linear)
    for room in (
        "activation",
        "container",
        "dropout",
        "linear",
        "normalization",
        "rnn",
        "sparse",
        "transformer",
        "conv",
    ):
        assert getattr(nn.modules, room).Linear is nn.Linear
    assert not hasattr(nn.modules.linear, "nonsense")


@pytest.mark.peers
def test_rooms_are_pytorchs():
    torch = pytest.importorskip("torch")
    for name in scope.NAMESPACES:
        if name.startswith("nn.modules."):
            assert value(torch, name)


def test_importing_the_package_loads_none_of_it():
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, tinygrad_jac; print(*[m for m in sys.modules if 'tinygrad_jac' in m])"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    for name in ("cuda", "amp", "settings", "nn", "autograd.anomaly"):
        assert f"tinygrad_jac.{name}" not in loaded


# ------------------------------------------------------------------------------------------------ devices


def test_devices_are_named_and_refuse():
    assert copy.deepcopy(tj.device("cuda:1")) == pickle.loads(pickle.dumps(tj.device("cuda:1"))) == tj.device("cuda", 1)
    assert len({tj.device("cpu"), tj.device("cpu"), tj.device("cpu:0")}) == 2
    assert tj.ones(1).device == tj.device("cpu") == tj.get_default_device()
    with tj.device("cpu") as device:
        assert tj.ones(1).device == device
    for refused in (
        lambda: tj.ones(1, device=tj.device("cuda")),
        lambda: tj.ones(1).to(tj.device("cuda", 1)),
        lambda: tj.set_default_device("cuda"),
        lambda: tj.device("mps").__enter__(),
        lambda: nn.Linear(1, 1).to(device="cuda"),
        lambda: nn.Linear(1, 1).to_empty(device="meta"),
        lambda: tj.device(0),
    ):
        with pytest.raises(NotImplementedError, match="computes on the CPU"):
            refused()
    for name in ("gpu", "", "cpu:-1", "cpu:x", "cpu:"):
        with pytest.raises(RuntimeError, match="device string"):
            tj.device(name)


# ------------------------------------------------------------------------------------------------ amp


def test_autocast_switched_off_or_without_effect():
    x = tj.ones(2, 2)
    for make in (
        lambda: tj.autocast("cpu", enabled=False),
        lambda: tj.amp.autocast(device_type="cpu", dtype=tj.float16, enabled=False),
        lambda: tj.cuda.amp.autocast(False),
    ):
        with make():
            assert (x @ x).dtype == np.float32
    with pytest.warns(UserWarning, match="cuda is not available. Disabling autocast"):
        tj.cuda.amp.autocast()
    with pytest.warns(UserWarning, match="target dtype is not supported. Disabling autocast"):
        tj.amp.autocast("cpu", dtype=tj.float32)

    @tj.autocast("cpu", enabled=False)
    def double(x):
        return 2 * x

    assert double(x).tolist() == [[2.0, 2.0], [2.0, 2.0]]
    for dtype in (None, tj.float16):
        with pytest.raises(OutOfScopeError, match=r"amp\.autocast is out of scope"):
            tj.autocast("cpu", dtype=dtype)
    with pytest.raises(ValueError, match="Expected `device_type` of type `str`"):
        tj.autocast(tj.float16)


def test_grad_scaler_scales_by_one():
    with pytest.warns(UserWarning, match="Disabling"):
        scaler = tj.cuda.amp.GradScaler()
    w = nn.Parameter(tj.tensor([1.0]))
    optimizer = tj.optim.SGD([w], lr=0.5)
    scaler.scale((w * w).sum()).backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    scaler.load_state_dict(scaler.state_dict())
    assert w.tolist() == [0.0]
    with pytest.raises(OutOfScopeError, match=r"amp\.GradScaler is out of scope"):
        tj.amp.GradScaler("cpu")


def test_data_parallel_is_the_module():
    inner = nn.Linear(2, 1)
    outer = nn.DataParallel(inner, device_ids=[0])
    x = tj.ones(3, 2)
    assert (outer(x).detach().numpy() == inner(x).detach().numpy()).all()
    assert list(outer.state_dict()) == ["module.weight", "module.bias"]
    assert repr(outer).startswith("DataParallel(\n  (module): Linear")


# ------------------------------------------------------------------------------------------------ autograd


def test_variable_is_a_tensor():
    x = tj.ones(2)
    v = tj.autograd.Variable(x, requires_grad=True)
    assert type(v) is tj.Tensor
    assert v.array is x.array
    assert v.requires_grad
    assert isinstance(x, tj.autograd.Variable)
    assert not isinstance(np.ones(2), tj.autograd.Variable)
    assert not tj.autograd.Variable(v * 2).requires_grad
    with pytest.warns(UserWarning, match="volatile was removed"):
        tj.autograd.Variable(x, volatile=True)


def nan_for_zero(x):
    return (x.sqrt() * 0).sum()


@pytest.mark.filterwarnings("ignore:invalid value")
def test_nan_in_a_backward_are_found():
    x, w = tj.zeros(2, requires_grad=True), tj.ones(2, requires_grad=True)
    with tj.autograd.set_detect_anomaly(True):
        assert tj.is_anomaly_enabled()
        y = nan_for_zero(x * w)
        with pytest.raises(GradientError, match=r"Function 'sqrt' returned nan values .* test_namespaces\.py:\d+"):
            y.backward()
        with pytest.raises(GradientError, match="'sqrt' returned nan"):
            nan_for_zero(x).backward()  # where the NaN reach a leaf at once
    assert x.grad is w.grad is None
    assert not tj.is_anomaly_enabled()
    nan_for_zero(x).backward()
    assert np.isnan(x.grad.numpy()).all()


@pytest.mark.filterwarnings("ignore:invalid value")
def test_the_search_for_nan_is_switched():
    x = tj.zeros(1, requires_grad=True)
    tj.autograd.set_detect_anomaly(True)
    try:
        with tj.autograd.set_detect_anomaly(False):
            nan_for_zero(x).backward()
        with pytest.raises(RuntimeError, match="nan"):
            nan_for_zero(x).backward()
        with tj.autograd.set_detect_anomaly(True, check_nan=False):
            nan_for_zero(x).backward()
        x.grad = None
        ((x + 1) * 3).sum().backward()
        assert x.grad.tolist() == [3.0]
    finally:
        tj.autograd.set_detect_anomaly(False)
    with pytest.warns(UserWarning, match="Anomaly Detection has been enabled"), tj.autograd.detect_anomaly():
        assert tj.is_anomaly_enabled()
    assert not tj.is_anomaly_enabled()


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore:invalid value")
def test_pytorch_finds_the_same_nan():
    torch = pytest.importorskip("torch")
    for library in (tj, torch):
        x = library.zeros(2, requires_grad=True)
        with (
            pytest.raises(RuntimeError, match=r"(?i)sqrt.*returned nan values"),
            library.autograd.set_detect_anomaly(True),
        ):
            nan_for_zero(x).backward()


def test_the_search_for_nan_and_the_debug_mode_do_not_end_each_other():
    x = tj.ones(2, requires_grad=True)
    with tj.debug_mode() as report:
        tj.autograd.set_detect_anomaly(False)
        (x * x).sum().backward()
    assert [row.op for row in report.rows] == ["sum", "mul", "mul"]
    for _ in range(2):
        with tj.debug_mode(checks=["vjp"]) as report, tj.autograd.set_detect_anomaly(True):
            assert tj.is_anomaly_enabled()
            (x * x).sum().backward()
            with pytest.raises(GradientError, match="'sqrt' returned nan"), np.errstate(invalid="ignore"):
                (tj.zeros(1, requires_grad=True).sqrt() * 0).sum().backward()
        assert [row.op for row in report.rows[:3]] == ["sum", "mul", "mul"]
        assert not tj.is_anomaly_enabled()
