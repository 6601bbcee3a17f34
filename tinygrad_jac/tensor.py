"""`Tensor`: operators and methods, in PyTorch's names and NumPy's; nothing of calculus."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from . import autograd, dtypes, graph, versions
from .errors import GradientError
from .graph import Leaf, Node, Variable, wrap
from .inplace import apply_in_place
from .primitive import functions, ufuncs
from .printing import tensor_text
from .rules import elementary, indexing, products, reductions, shaping


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

    def __init__(self, *data: Any, requires_grad: bool = False) -> None:
        """``Tensor(data)`` in the default dtype, or ``Tensor(2, 3)`` of that shape; prefer `tensor` and `zeros`."""
        if len(data) == 1 and not isinstance(data[0], int):
            self.array = np.array(_array_of(data[0]), dtype=dtypes.get_default_dtype())
        else:
            self.array = np.zeros(data if data else (0,), dtype=dtypes.get_default_dtype())
        self.node = None
        self.grad = None
        if requires_grad:
            self.requires_grad_()

    # -------------------------------------------------------------------------------------------- what it is

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def ndim(self) -> int:
        return self.array.ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.array.dtype

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size along one axis."""
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> int:
        return self.array.ndim

    def numel(self) -> int:
        return self.array.size

    nelement = numel

    def element_size(self) -> int:
        return self.array.itemsize

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
            self.node = None
        elif self.node is None:
            if self.dtype.kind != "f":
                raise TypeError(
                    f"only floating-point tensors can require gradients, not {self.dtype}: convert it first, as "
                    "with .float()"
                )
            self.node = Leaf(self)
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
        self.array = _array_of(value)
        if isinstance(self.node, Leaf):
            self.node = Leaf(self)

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

    def __bool__(self) -> bool:
        if self.array.size != 1:
            raise ValueError(
                f"the truth of a tensor of {self.array.size} entries is ambiguous: use .any() or .all()"
            )
        return bool(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    def __contains__(self, value: Any) -> bool:
        return bool((self.array == _array_of(value)).any())

    # -------------------------------------------------------------------------------------------- NumPy's protocols

    __array_priority__ = 1000

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        if self.node is not None:
            raise GradientError("a tensor that requires a gradient became an ndarray: detach() it first")
        return np.array(self.array, dtype=dtype, copy=copy)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        run = ufuncs.get(ufunc)
        out = kwargs.pop("out", None)
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

    __add__ = elementary.add.operator
    __sub__ = elementary.subtract.operator
    __mul__ = elementary.multiply.operator
    __truediv__ = elementary.divide.operator
    __pow__ = elementary.power.operator
    __neg__ = elementary.negative.operator
    __abs__ = elementary.absolute.operator

    def __radd__(self, other: Any) -> Any:
        return elementary.add(other, self)

    def __rsub__(self, other: Any) -> Any:
        return elementary.subtract(other, self)

    def __rmul__(self, other: Any) -> Any:
        return elementary.multiply(other, self)

    def __rtruediv__(self, other: Any) -> Any:
        return elementary.divide(other, self)

    def __rpow__(self, other: Any) -> Any:
        return elementary.power(other, self)

    def __floordiv__(self, other: Any) -> Any:
        return elementary.floor_divide(self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return elementary.floor_divide(other, self)

    def __mod__(self, other: Any) -> Any:
        return elementary.remainder(self, other)

    def __matmul__(self, other: Any) -> Any:
        return products.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return products.matmul(other, self)

    def __pos__(self) -> Any:
        return self

    def __invert__(self) -> Any:
        return elementary.bitwise_not(self)

    def __and__(self, other: Any) -> Any:
        return elementary.bitwise_and(self, other)

    def __or__(self, other: Any) -> Any:
        return elementary.bitwise_or(self, other)

    def __xor__(self, other: Any) -> Any:
        return elementary.bitwise_xor(self, other)

    def __eq__(self, other: Any) -> Any:
        return elementary.equal(self, other)

    def __ne__(self, other: Any) -> Any:
        return elementary.not_equal(self, other)

    def __lt__(self, other: Any) -> Any:
        return elementary.less(self, other)

    def __le__(self, other: Any) -> Any:
        return elementary.less_equal(self, other)

    def __gt__(self, other: Any) -> Any:
        return elementary.greater(self, other)

    def __ge__(self, other: Any) -> Any:
        return elementary.greater_equal(self, other)

    def __getitem__(self, index: Any) -> Any:
        return indexing.getitem(self, index)

    # -------------------------------------------------------------------------------------------- in place

    def __iadd__(self, other: Any) -> Any:
        return apply_in_place(self, elementary.add, other)

    def __isub__(self, other: Any) -> Any:
        return apply_in_place(self, elementary.subtract, other)

    def __imul__(self, other: Any) -> Any:
        return apply_in_place(self, elementary.multiply, other)

    def __itruediv__(self, other: Any) -> Any:
        return apply_in_place(self, elementary.divide, other)

    def __ipow__(self, other: Any) -> Any:
        return apply_in_place(self, elementary.power, other)

    # -------------------------------------------------------------------------------------------- methods

    def astype(self, dtype: Any) -> Any:
        """The same values in another dtype; gradients come back in this one."""
        dtype = np.dtype(dtype)
        return self if dtype == self.dtype else shaping.astype(self, dtype)

    def transpose(self, dim0: int, dim1: int) -> Any:
        """Two axes exchanged, as in PyTorch; NumPy's ``transpose`` is `permute`."""
        return shaping.swapaxes(self, dim0, dim1)

    @property
    def T(self) -> Any:
        return shaping.permute(self)

    @property
    def mT(self) -> Any:
        return shaping.swapaxes(self, -1, -2)

    reshape = shaping.reshape
    permute = shaping.permute
    swapaxes = shaping.swapaxes
    sum = reductions.sum
    matmul = products.matmul
    exp = elementary.exp.operator
    log = elementary.log.operator


def _array_of(data: Any) -> np.ndarray[Any, Any]:
    return data.array if isinstance(data, Variable) else np.asarray(data)


graph.Tensor = Tensor
