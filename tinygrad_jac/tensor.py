"""`Tensor`: operators and methods, in PyTorch's names and NumPy's; nothing of calculus."""

from __future__ import annotations

import copy
import math
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

from . import autograd, devices, dtypes, graph, random, versions
from .devices import device
from .dtypes import native
from .errors import GradientError, ShapeError
from .graph import Leaf, Node, Variable, array_of, wrap
from .inplace import apply_in_place, in_place, is_recorded, refuse_leaf, set_items
from .modes import mode
from .primitive import functions, ufuncs
from .printing import tensor_text
from .rules import (
    activations,
    arranging,
    elementary,
    extrema,
    indexing,
    joining,
    linalg,
    normalization,
    norms,
    ordering,
    products,
    reductions,
    running,
    selecting,
    shaping,
    special,
)
from .scope import instead_of, refusal
from .spelling import axis_of, sizes_of
from .versions import mark_changed, tick
from .writing import check_writeable


class Size(tuple[int, ...]):
    """A shape: a tuple, also as it is printed, that can count the entries.

    >>> Size([2, 3]).numel()
    6
    """

    __slots__ = ()

    def numel(self) -> int:
        return math.prod(self)


def array_given(data: tuple[Any, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """What ``Tensor(…)`` and the classes named after a dtype make of their arguments: sizes, or data."""
    if len(data) == 1 and not isinstance(data[0], (int, Size)):
        if isinstance(data[0], float):
            raise TypeError(f"a size is an int, not {data[0]}: for a tensor of one number write tensor({data[0]})")
        return np.array(
            [array_of(d) for d in data[0]] if isinstance(data[0], (list, tuple)) else array_of(data[0]), dtype
        )
    return np.zeros(sizes_of(data) if data else (0,), dtype)


def _reversed(function: Any) -> Any:
    """The operator of a right operand: ``2 - x``."""

    def operator(self: Any, other: Any) -> Any:
        return function(other, self)

    return operator


def _converted(dtype: Any) -> Any:
    """The method that converts to a dtype."""

    def method(self: Any, memory_format: Any = None) -> Any:
        return self.astype(dtype)

    method.__doc__ = f"The same values in {dtype}."
    return method


class Tensor(Variable):
    """An array that remembers how it was computed.

    Made by `tensor`, by the creation functions, and by every operation on Tensors. NumPy's functions accept it: they
    run the library's own primitives.

    Attributes
    ----------
    array : ndarray
        The values themselves, shared.
    grad : Tensor or None
        The gradient that `backward` accumulated.
    """

    __slots__ = ()
    __hash__ = object.__hash__

    def __init__(self, *data: Any, requires_grad: bool = False, device: Any = None) -> None:
        """``Tensor(data)`` in the default dtype, or ``Tensor(2, 3)`` of that shape; prefer `tensor` and `zeros`."""
        if device is not None:
            devices.on_cpu(device)
        self.array = array_given(data, dtypes.get_default_dtype())
        self.node = None
        self.grad = None
        if requires_grad:
            self.requires_grad_()

    # -------------------------------------------------------------------------------------------- what it is

    @property
    def shape(self) -> Size:
        return Size(self.array.shape)

    @property
    def ndim(self) -> int:
        return self.array.ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.array.dtype

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size along one axis."""
        return self.shape if dim is None else self.shape[axis_of(dim, self.ndim)]

    def dim(self) -> int:
        return self.array.ndim

    def numel(self) -> int:
        return self.array.size

    nelement = numel

    ndimension = dim

    def element_size(self) -> int:
        return self.array.itemsize

    @property
    def itemsize(self) -> int:
        return self.array.itemsize

    @property
    def nbytes(self) -> int:
        return self.array.nbytes

    def stride(self, dim: int | None = None) -> Any:
        """How many entries apart neighbours along each axis, or along one, lie in memory."""
        strides = tuple(n // self.array.itemsize for n in self.array.strides)
        return strides if dim is None else strides[axis_of(dim, self.ndim)]

    def data_ptr(self) -> int:
        """The address of the first entry."""
        return self.array.__array_interface__["data"][0]

    def is_contiguous(self, memory_format: Any = None) -> bool:
        return self.array.flags.c_contiguous

    def is_floating_point(self) -> bool:
        return self.dtype.kind == "f"

    def is_complex(self) -> bool:
        return self.dtype.kind == "c"

    def is_signed(self) -> bool:
        return self.dtype.kind in "ifc"

    def is_nonzero(self) -> bool:
        return bool(self)

    def is_same_size(self, other: Any) -> bool:
        return self.shape == other.shape

    @property
    def requires_grad(self) -> bool:
        """Whether a gradient reaches this tensor; may be set on leaves."""
        return self.node is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Ask for a gradient of this leaf, or stop asking.

        Raises
        ------
        TypeError
            The dtype is not floating-point.
        GradientError
            Switched off on a tensor that was computed.
        """
        if not requires_grad:
            if self.node is not None and not isinstance(self.node, Leaf):
                raise GradientError("only leaves can stop requiring a gradient: use detach() on a computed tensor")
            if self.node is not None:
                self._hooks = self.node.extras
            self.node = None
        elif self.node is None:
            if self.dtype.kind != "f":
                raise TypeError(
                    f"only floating-point tensors can require gradients, not {self.dtype}: convert it first, as "
                    "with .float()"
                )
            self.node = Leaf(self)
            self.node.extras = getattr(self, "_hooks", None)
        return self

    @property
    def is_leaf(self) -> bool:
        return self.node is None or isinstance(self.node, Leaf)

    @property
    def grad_fn(self) -> Node | None:
        """The node that computed this tensor; None for a leaf."""
        return None if self.is_leaf else self.node

    @property
    def _version(self) -> int:
        return versions.version_of(self.array)

    def __repr__(self) -> str:
        return tensor_text(self)

    def __getattr__(self, name: str) -> Any:
        if instead_of(f"Tensor.{name}"):
            raise refusal(f"Tensor.{name}")
        why = f": {_REFUSED[name]}" if name in _REFUSED else ""
        raise AttributeError(f"a Tensor has no attribute {name!r}{why}", name=name, obj=self)

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("a 0-d tensor has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if not self.ndim:
            raise TypeError("a 0-d tensor cannot be iterated over")
        return (self[i] for i in range(self.shape[0]))

    # -------------------------------------------------------------------------------------------- out of the graph

    def backward(
        self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False, inputs: Any = None
    ) -> None:
        """Add the gradient of this tensor to the ``.grad`` of its leaves; see `tinygrad_jac.autograd.backward`.

        Examples
        --------
        >>> import tinygrad_jac as tj
        >>> x = tj.tensor([3.0], requires_grad=True)
        >>> (x * x).sum().backward()
        >>> x.grad
        tensor([6.])
        """
        autograd.backward(self, gradient, retain_graph, create_graph, inputs)

    def detach(self) -> Tensor:
        """The same memory, without a place in the graph."""
        return wrap(self.array)

    @property
    def data(self) -> Tensor:
        """The same memory, without a place in the graph; assigning replaces the memory."""
        return wrap(self.array)

    @data.setter
    def data(self, value: Any) -> None:
        array = native(np.asarray(array_of(value)))
        if array is self.array:
            return
        if self.node is not None and array.dtype.kind != "f":
            raise TypeError(f"a tensor that requires a gradient holds floats, not {array.dtype}")
        if not self.is_leaf and array.shape != self.array.shape:
            raise ShapeError(f"the data of a computed tensor keep their shape {self.array.shape}, not {array.shape}")
        self.array = array
        self._renew_leaf()

    def _renew_leaf(self) -> None:
        """A leaf of another array is another leaf, with the hooks of the one before."""
        if isinstance(self.node, Leaf):
            extras = self.node.extras
            self.node = Leaf(self)
            self.node.extras = extras

    def __deepcopy__(self, memo: dict[Any, Any]) -> Any:
        made = self._duplicate(memo)
        made.grad = copy.deepcopy(self.grad, memo)
        return made

    def _duplicate(self, memo: dict[Any, Any]) -> Any:
        """A deep copy without the gradient."""
        if not self.is_leaf:
            raise GradientError("only leaves can be deep-copied: detach() a computed tensor first, or clone() it")
        made = memo[id(self)] = self.__copy__()
        made.array = self.array.copy()
        return made

    def __copy__(self) -> Any:
        made = object.__new__(type(self))
        made.array, made.node, made.grad = self.array, self.node, None
        if isinstance(self.node, Leaf):
            made.node = Leaf(made)  # without the hooks, which are about the tensor that was copied
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        if not self.is_leaf:
            raise GradientError("only leaves can be pickled: detach() a computed tensor first")
        return _rebuilt, (type(self), self.array, self.requires_grad)

    def __dlpack__(self, **options: Any) -> Any:
        return self.numpy().__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()

    def numpy(self, *, force: bool = False) -> np.ndarray[Any, Any]:
        """The ndarray itself, not a copy.

        Raises
        ------
        GradientError
            The tensor requires a gradient, which the ndarray could not carry; ``detach()`` it, or pass ``force=True``.
        """
        if self.node is not None and not force:
            raise GradientError("numpy() on a tensor that requires a gradient: use .detach().numpy()")
        return self.array

    def item(self) -> Any:
        """The one entry as a Python number.

        Raises
        ------
        ValueError
            There are several, or none.
        """
        if self.array.size != 1:
            raise ValueError(f"item() needs a tensor of one entry, this one has shape {self.shape}")
        return self.array.item()

    def tolist(self) -> Any:
        return self.array.tolist()

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.dtype.kind not in "iub":
            raise TypeError(f"only integer tensors of one entry can be an index, not {self.dtype}")
        return int(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __bool__(self) -> bool:
        if self.array.size != 1:
            raise ValueError(f"the truth of a tensor of {self.array.size} entries is ambiguous: use .any() or .all()")
        return bool(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec or not self.ndim else str(self)

    def __contains__(self, value: Any) -> bool:
        return bool((self.array == array_of(value)).any())

    # -------------------------------------------------------------------------------------------- NumPy's protocols

    __array_priority__ = 1000

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        if self.node is not None:
            raise GradientError("a tensor that requires a gradient became an ndarray: detach() it first")
        return np.array(self.array, dtype=dtype, copy=copy)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        run = ufuncs.get(ufunc)
        out = kwargs.pop("out", None)
        if method in ("reduce", "accumulate") and out is None and (ufunc, method) in _REDUCED:
            return _REDUCED[ufunc, method](*inputs, **{"axis": 0, **kwargs})
        if run is None or method != "__call__" or kwargs or out is not None:
            what = f"numpy.{ufunc.__name__}" + ("" if method == "__call__" else f".{method}")
            given = [*kwargs, *(["out"] if out is not None else [])]
            raise TypeError(
                f"{what} does not take Tensors{f' with {given}' if given else ''}: use detach().numpy() for a plain "
                "array, or register a derivative with tinygrad_jac.primitive"
            )
        return run(*inputs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        run = functions.get(func)
        if run is None:
            raise TypeError(
                f"numpy.{func.__name__} does not take Tensors: use detach().numpy() for a plain array, or register a "
                "derivative with tinygrad_jac.primitive"
            )
        return run(*args, **kwargs)

    # -------------------------------------------------------------------------------------------- operators

    __add__ = elementary.add_primitive.operator
    __sub__ = elementary.subtract_primitive.operator
    __mul__ = elementary.multiply.operator
    __truediv__ = elementary.divide.operator
    __pow__ = elementary.power.operator
    __neg__ = elementary.negative.operator
    __abs__ = elementary.absolute.operator

    __floordiv__ = elementary.floor_divide
    __mod__ = elementary.remainder.operator
    __matmul__ = products.matmul
    __lshift__ = elementary.bitwise_left_shift
    __rshift__ = elementary.bitwise_right_shift
    __and__ = __rand__ = elementary.bitwise_and
    __or__ = __ror__ = elementary.bitwise_or
    __xor__ = __rxor__ = elementary.bitwise_xor
    __invert__ = elementary.bitwise_not
    __lt__ = elementary.less
    __le__ = elementary.less_equal
    __gt__ = elementary.greater
    __ge__ = elementary.greater_equal

    __radd__ = _reversed(elementary.add_primitive)
    __rsub__ = _reversed(elementary.subtract_primitive)
    __rmul__ = _reversed(elementary.multiply)
    __rtruediv__ = _reversed(elementary.divide)
    __rpow__ = _reversed(elementary.power)
    __rfloordiv__ = _reversed(elementary.floor_divide)
    __rlshift__ = _reversed(elementary.bitwise_left_shift)
    __rrshift__ = _reversed(elementary.bitwise_right_shift)
    __rmod__ = _reversed(elementary.remainder)
    __rmatmul__ = _reversed(products.matmul)

    def __pos__(self) -> Any:
        return self

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __eq__(self, other: Any) -> Any:
        return NotImplemented if other is None or isinstance(other, str) else elementary.equal(self, other)

    def __ne__(self, other: Any) -> Any:
        return NotImplemented if other is None or isinstance(other, str) else elementary.not_equal(self, other)

    def __getitem__(self, index: Any) -> Any:
        return indexing.getitem(self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        set_items(self, indexing.frozen(index), value, indexing.setitem)

    # -------------------------------------------------------------------------------------------- in place

    __iadd__ = in_place(elementary.add_primitive)
    __isub__ = in_place(elementary.subtract_primitive)
    __imul__ = in_place(elementary.multiply)
    __itruediv__ = in_place(elementary.divide)
    __ipow__ = in_place(elementary.power)
    __ifloordiv__ = in_place(elementary.floor_divide)
    __imod__ = in_place(elementary.remainder)
    __ilshift__ = in_place(elementary.bitwise_left_shift)
    __irshift__ = in_place(elementary.bitwise_right_shift)
    __iand__ = in_place(elementary.bitwise_and)
    __ior__ = in_place(elementary.bitwise_or)
    __ixor__ = in_place(elementary.bitwise_xor)

    # -------------------------------------------------------------------------------------------- gradients and hooks

    def register_hook(self, hook: Any) -> Any:
        """Call ``hook(gradient)`` when this tensor's gradient is computed; what it returns, if not None, replaces it.

        Returns
        -------
        Handle
            With a method ``remove``.

        Raises
        ------
        GradientError
            The tensor requires no gradient.
        """
        if self.node is None:
            raise GradientError("a hook on a tensor that requires no gradient would never be called")
        return graph.add_hook(self.node, hook)

    def register_post_accumulate_grad_hook(self, hook: Any) -> Any:
        """Call ``hook(tensor)`` each time that `backward` has added to this leaf's ``.grad``.

        Returns
        -------
        Handle

        Raises
        ------
        GradientError
            The tensor is no leaf that requires a gradient.
        """
        if not isinstance(self.node, Leaf):
            raise GradientError("only leaves that require a gradient accumulate one: see register_hook, retain_grad")
        return graph.add_hook(self.node, hook, "accumulated")

    @property
    def retains_grad(self) -> bool:
        """Whether `retain_grad` was called on this computed tensor."""
        return not self.is_leaf and "retain" in (self.node.extras or {})  # type: ignore[union-attr]

    def retain_grad(self) -> None:
        """Keep the gradient of this computed tensor in ``.grad``, as leaves do.

        Raises
        ------
        GradientError
            The tensor requires no gradient.
        """
        if self.node is None:
            raise GradientError("a tensor that requires no gradient has none to retain: call requires_grad_() first")
        if self.is_leaf:
            return
        owner = weakref.ref(self)

        def keep(gradient: Any) -> None:
            if (tensor := owner()) is not None:
                recorded = gradient.node is not None
                autograd.accumulate(tensor, gradient if recorded else gradient.array.copy())

        self.node.extras = {**(self.node.extras or {}), "retain": keep}

    def detach_(self) -> Tensor:
        """Cut this tensor off from the graph that computed it."""
        self.node = None
        return self

    # -------------------------------------------------------------------------------------------- dtype and device

    @property
    def device(self) -> device:
        return devices.CPU

    # What is asked of tensors elsewhere, answered for those that are here.
    is_cpu = True
    is_cuda = is_mps = is_xpu = is_sparse = is_quantized = is_meta = is_nested = False
    output_nr = 0

    def is_pinned(self) -> Any:
        return False

    def is_shared(self) -> Any:
        return False

    def is_inference(self) -> Any:
        return False

    def share_memory_(self) -> Tensor:
        """The tensor itself: memory that other processes see is not needed by threads, and not available."""
        return self

    def astype(self, dtype: Any) -> Any:
        """The same values in another dtype; gradients come back in this one. The tensor itself if it has that dtype."""
        dtype = np.dtype(dtype)
        return self if dtype == self.dtype else shaping.astype(self, dtype)

    def to(
        self,
        *args: Any,
        dtype: Any = None,
        device: Any = None,
        copy: Any = False,
        non_blocking: Any = False,
        memory_format: Any = None,
    ) -> Any:
        """In another dtype, or in that of another tensor; a device is accepted if it is the CPU."""
        for given in (*args, device):
            if isinstance(given, Variable):
                dtype = given.array.dtype
            elif isinstance(given, (np.dtype, type)):
                dtype = given
            elif given is not None and not isinstance(given, bool):
                devices.on_cpu(given)
        made = self if dtype is None else self.astype(dtype)
        return shaping.clone(made) if copy and made is self else made

    def type(self, dtype: Any = None, non_blocking: Any = False) -> Any:
        """In another dtype; without one, the name that PyTorch has for this dtype."""
        return dtypes.legacy_name(self.dtype) if dtype is None else self.astype(dtypes.of(dtype))

    def type_as(self, other: Any) -> Any:
        return self.astype(other.dtype)

    float = _converted(dtypes.float32)
    double = _converted(dtypes.float64)
    half = _converted(dtypes.float16)
    long = _converted(dtypes.int64)
    int = _converted(dtypes.int32)
    short = _converted(dtypes.int16)
    char = _converted(dtypes.int8)
    byte = _converted(dtypes.uint8)
    bool = _converted(dtypes.bool)

    def cpu(self) -> Tensor:
        return self

    def pin_memory(self, device: Any = None) -> Tensor:
        return self

    # -------------------------------------------------------------------------------------------- functions

    def where(self, condition: Any, other: Any) -> Any:
        """This tensor where the condition holds, else the other."""
        return elementary.where(condition, self, other)

    def polygamma(self, n: Any) -> Any:
        """The derivative of order n of `digamma`."""
        return special.polygamma(n, self)

    def pow(self, exponent: Any) -> Any:
        return elementary.power.operator(self, exponent)

    def equal(self, other: Any) -> Any:
        """Whether shape and all entries are equal."""
        return np.array_equal(self.array, array_of(other))

    def transpose(self, dim0: Any, dim1: Any) -> Any:
        """Two axes exchanged, as in PyTorch; NumPy's ``transpose`` is `permute`."""
        return shaping.swapaxes(self, dim0, dim1)

    def view(self, *shape: Any, size: Any = None, dtype: Any = None) -> Any:
        """`reshape`; given a dtype, the same bytes read as that type, which is not differentiable."""
        shape = shape if size is None else (size,)
        if dtype is None and len(shape) == 1 and isinstance(shape[0], (np.dtype, type)):
            dtype = shape[0]
        return shaping.reshape(self, *shape) if dtype is None else wrap(self.array.view(dtypes.of(dtype)))

    def view_as(self, other: Any) -> Any:
        return shaping.reshape(self, other.shape)

    reshape_as = view_as

    @property
    def T(self) -> Any:
        return shaping.permute(self)

    @property
    def mT(self) -> Any:
        return shaping.swapaxes(self, -1, -2)

    @property
    def H(self) -> Any:
        return shaping.t(self)

    mH = mT

    # -------------------------------------------------------------------------------------------- new tensors like this

    def new_tensor(self, data: Any, *, dtype: Any = None, requires_grad: Any = False, device: Any = None) -> Any:
        """A copy of some data, in this tensor's dtype unless another is named."""
        return self._made(np.array(array_of(data), dtype=dtypes.of(dtype or self.dtype)), requires_grad, device)

    def new_full(
        self, size: Any, fill_value: Any, *, dtype: Any = None, requires_grad: Any = False, device: Any = None
    ) -> Any:
        """One value, repeated, in this tensor's dtype unless another is named."""
        value = np.full(sizes_of((size,)), array_of(fill_value), dtypes.of(dtype or self.dtype))
        return self._made(value, requires_grad, device)

    def new_zeros(self, *size: Any, **options: Any) -> Any:
        return self.new_full(sizes_of(size), 0, **options)

    def new_ones(self, *size: Any, **options: Any) -> Any:
        return self.new_full(sizes_of(size), 1, **options)

    new_empty = new_zeros

    def new(self, *data: Any) -> Any:
        """A tensor of this one's dtype, of some sizes or with some data, as `Tensor` reads them."""
        return wrap(array_given(data, self.dtype))

    def _made(self, array: Any, requires_grad: Any, device: Any) -> Any:
        if device is not None:
            devices.on_cpu(device)
        return wrap(array).requires_grad_() if requires_grad else wrap(array)

    # -------------------------------------------------------------------------------------------- in place

    def add_(self, other: Any, *, alpha: Any = 1) -> Any:
        """``self += alpha * other``."""
        return apply_in_place(self, elementary.add_primitive, other if alpha == 1 else other * alpha)

    def sub_(self, other: Any, *, alpha: Any = 1) -> Any:
        """``self -= alpha * other``."""
        return apply_in_place(self, elementary.subtract_primitive, other if alpha == 1 else other * alpha)

    def div_(self, other: Any, *, rounding_mode: Any = None) -> Any:
        """``self /= other``, rounded on request; see `div`."""
        if rounding_mode is None:
            return apply_in_place(self, elementary.divide, other)
        return apply_in_place(self, elementary.div, other, rounding_mode=rounding_mode)

    subtract_ = sub_
    divide_ = true_divide_ = div_

    def copy_(self, source: Any, non_blocking: Any = False) -> Any:
        """The values of another tensor, broadcast and converted."""
        self[...] = source if isinstance(source, Variable) else array_of(source)
        return self

    def fill_(self, value: Any) -> Any:
        self[...] = value
        return self

    def zero_(self) -> Any:
        return self.fill_(0)

    def uniform_(self, a: Any = 0.0, b: Any = 1.0, *, generator: Any = None) -> Any:
        """Numbers drawn uniformly from [a, b)."""
        return self._filled("uniform_", random.fill_uniform, a, b, generator)

    def normal_(self, mean: Any = 0.0, std: Any = 1.0, *, generator: Any = None) -> Any:
        """Numbers drawn from a normal distribution."""
        return self._filled("normal_", random.fill_normal, mean, std, generator)

    def exponential_(self, lambd: Any = 1.0, *, generator: Any = None) -> Any:
        """Numbers drawn from an exponential distribution of rate ``lambd``."""
        return self._filled("exponential_", random.fill_exponential, lambd, generator)

    def bernoulli_(self, p: Any = 0.5, *, generator: Any = None) -> Any:
        """Ones with probability ``p``, else zeros."""
        return self._filled("bernoulli_", random.fill_bernoulli, p, generator)

    def log_normal_(self, mean: Any = 1.0, std: Any = 2.0, *, generator: Any = None) -> Any:
        """exp of numbers drawn from a normal distribution."""
        return self.normal_(mean, std, generator=generator).exp_()

    def random_(self, start: Any = 0, end: Any = None, *, generator: Any = None) -> Any:
        """Integers drawn evenly from start to end - 1: from 0 on if one is given, all that the dtype holds if none."""
        if end is None and start:
            start, end = 0, start
        if end is None:
            end = 2 ** (np.finfo(self.dtype).nmant + 1) + 1 if self.dtype.kind == "f" else np.iinfo(self.dtype).max
        return self._filled("random_", random.fill_integers, start, end, generator)

    def _filled(self, name: Any, fill: Any, *given: Any) -> Any:
        if is_recorded(self):
            refuse_leaf(self, name)
        check_writeable(self.array)
        fill(self.array, *given)
        mark_changed(self.array, recorded_at=tick() if is_recorded(self) else None)
        if is_recorded(self):
            self.node = None  # what was computed is gone, and its history with it
        return self

    def fill_diagonal_(self, value: Any, wrap: Any = False) -> Any:
        """One value on the diagonal of a matrix.

        Raises
        ------
        ShapeError
            It is no matrix, or a tall one is to be wrapped around.
        """
        if self.ndim != 2 or wrap:
            raise ShapeError(f"fill_diagonal_ takes a matrix, and no wrap=True, not shape {self.shape}")
        return self.masked_fill_(np.eye(*self.shape, dtype=np.bool_), value)

    def apply_(self, function: Any) -> Any:
        """Each entry replaced by what a Python function makes of it; slow, and not differentiable."""
        return self._filled("apply_", _apply, function)

    def map_(self, other: Any, function: Any) -> Any:
        """Each entry replaced by what a Python function makes of it and of another tensor's."""
        return self._filled("map_", _apply, function, np.broadcast_to(array_of(other), self.shape))

    def resize_(self, *sizes: Any, memory_format: Any = None) -> Any:
        """Of another shape: the same entries, in a row, as far as they go, then zeros.

        Raises
        ------
        GradientError
            The tensor requires a gradient.
        """
        if self.node is not None:
            raise GradientError("resize_() of a tensor that requires a gradient: its gradient would not fit; detach it")
        before, self.array = self.array.reshape(-1), np.zeros(sizes_of(sizes), self.dtype)
        count = min(before.size, self.array.size)
        self.array.reshape(-1)[:count] = before[:count]
        return self

    def resize_as_(self, other: Any, memory_format: Any = None) -> Any:
        return self.resize_(other.shape)

    def unsqueeze_(self, dim: Any) -> Any:
        return self._become(self.unsqueeze(dim))

    def transpose_(self, dim0: Any, dim1: Any) -> Any:
        return self._become(self.transpose(dim0, dim1))

    swapaxes_ = swapdims_ = transpose_

    def squeeze_(self, dim: Any = None) -> Any:
        return self._become(self.squeeze(dim))

    def t_(self) -> Any:
        return self._become(self.t())

    def _become(self, other: Any) -> Any:
        """Take over array and node: for changes of shape, which leave the memory as it is."""
        if mode.recording:
            refuse_leaf(self, "a change of shape")
        elif not self.is_leaf:
            raise GradientError(
                f"a change of shape that is not recorded would cut a tensor of shape {self.shape} off from what it was "
                "computed from: do it outside of no_grad(), or detach_() it first"
            )
        is_leaf = self.is_leaf
        self.array = other.array
        if is_leaf:
            self._renew_leaf()
        else:
            self.node = other.node
        return self


def _apply(array: np.ndarray[Any, Any], function: Any, *others: Any) -> None:
    entries = zip(array.reshape(-1).tolist(), *(o.reshape(-1).tolist() for o in others), strict=True)
    array[...] = np.array([function(*e) for e in entries], array.dtype).reshape(array.shape)


_COPY = "a tensor here is an ndarray with a place in a graph: its memory is .numpy(), and data_ptr() its address"
_SPARSE = "there are no sparse tensors: their entries are kept in arrays, zeros and all"
_COMPLEX = "complex numbers are not differentiated here: keep real and imaginary parts in two tensors"
_REFUSED = {
    **dict.fromkeys(("storage", "untyped_storage", "set_", "as_strided", "as_strided_"), _COPY),
    **dict.fromkeys(("to_sparse", "to_sparse_coo", "to_sparse_csr", "coalesce", "sparse_mask"), _SPARSE),
    **dict.fromkeys(("real", "imag", "conj", "angle"), _COMPLEX),
}

# Methods that are functions of the rule book, given the tensor first. A name that ends in an underscore stands for two:
# the function, and the method that writes its result into the tensor's own memory.
_METHODS: dict[Any, str] = {
    elementary: """
        abs=absolute_ absolute_ acos_ acosh_ add addcdiv_ addcmul_ arccos_ arccosh_ arcsin_ arcsinh_ arctan_ arctan2_
        arctanh_ asin_ asinh_ atan_ atan2_ atanh_ bitwise_and_ bitwise_left_shift_ bitwise_not_ bitwise_or_
        bitwise_right_shift_ bitwise_xor_ ceil_ clamp_ clamp_max_ clamp_min_ clip=clamp_ copysign_ cos_ cosh_ deg2rad_
        div divide=div eq_ exp_ exp2_ expm1_ fix_ float_power_ floor_ floor_divide_ fmax fmin fmod_ frac_ gcd_ ge_
        greater_ greater_equal_ gt_ heaviside_ hypot_ isfinite isinf isnan isneginf isposinf isreal lcm_ ldexp_ le_
        lerp_ less_ less_equal_ log_ log10_ log1p_ log2_ logaddexp logaddexp2 logical_and_ logical_not_ logical_or_
        logical_xor_ lt_ maximum minimum mul_ multiply_ nan_to_num_ ne_ neg_ negative_ nextafter_ not_equal_ positive
        rad2deg_ reciprocal_ remainder_ round_ rsqrt_ sgn_ sign_ signbit sin_ sinc_ sinh_ sqrt_ square_ sub subtract
        tan_ tanh_ true_divide=div trunc_ pow=power_
    """,
    special: "digamma_ erf_ erfc_ erfinv_ lgamma_ logit_ xlogy_",
    activations: "hardshrink prelu relu_ sigmoid_",
    normalization: "log_softmax softmax",
    reductions: "all allclose any corrcoef count_nonzero cov isclose mean nanmean nansum std sum var",
    extrema: "amax amin aminmax argmax argmin kthvalue max median min mode nanmedian nanquantile quantile",
    norms: "dist logsumexp norm renorm_",
    running: "cummax cummin cumprod_ cumsum_ diff histc logcumsumexp prod",
    products: "addbmm_ addmm_ addmv_ addr_ baddbmm_ bmm cross dot ger inner kron matmul mm mv outer trace vdot",
    linalg: """
        cholesky=torch_cholesky cholesky_inverse cholesky_solve det inverse logdet matrix_exp matrix_power pinverse qr
        slogdet svd=torch_svd
    """,
    shaping: """
        adjoint broadcast_to clone contiguous expand expand_as flatten moveaxis movedim=moveaxis permute ravel reshape
        squeeze sum_to_size swapaxes swapdims=swapaxes t unflatten unsqueeze
    """,
    joining: """
        chunk dsplit hsplit repeat repeat_interleave split split_with_sizes=split tensor_split tile unbind unfold
        unsafe_chunk=chunk unsafe_split=split vsplit
    """,
    arranging: "diag diag_embed diagflat diagonal flip fliplr flipud roll rot90 tril_ triu_",
    selecting: """
        argwhere gather index_add_ index_copy_ index_fill_ index_put_ index_select masked_fill_ masked_scatter_
        masked_select narrow narrow_copy nonzero put_ scatter_ scatter_add_ scatter_reduce_ select select_scatter
        slice_scatter take take_along_dim
    """,
    indexing: "bincount",
    ordering: "argsort msort sort topk unique unique_consecutive",
}

for _module, _names in _METHODS.items():
    for _entry in _names.split():
        _name, _, _other = _entry.partition("=")
        _function = getattr(_module, (_other or _name).rstrip("_"))
        if _name.rstrip("_") not in vars(Tensor):
            setattr(Tensor, _name.rstrip("_"), getattr(_function, "operator", _function))
        if _entry.endswith("_"):
            setattr(Tensor, f"{_name.rstrip('_')}_", in_place(_function))


def _rebuilt(kind: Any, array: np.ndarray[Any, Any], requires_grad: Any) -> Any:
    """A Tensor from its pickle."""
    made = object.__new__(kind)
    made.array, made.node, made.grad = native(array), None, None
    return made.requires_grad_() if requires_grad else made


# What the reductions of NumPy's ufuncs mean on a Tensor.
_REDUCED: dict[tuple[np.ufunc, str], Any] = {
    (np.add, "reduce"): reductions.sum,
    (np.multiply, "reduce"): running.prod,
    (np.maximum, "reduce"): extrema.amax,
    (np.minimum, "reduce"): extrema.amin,
    (np.logical_and, "reduce"): reductions.all,
    (np.logical_or, "reduce"): reductions.any,
    (np.add, "accumulate"): running.cumsum,
    (np.multiply, "accumulate"): running.cumprod,
}

graph.Tensor = Tensor
