"""Random numbers: generators that can be seeded, saved and restored, and functions that fill arrays in place.

The numbers come from NumPy's PCG64. ``numpy.random`` is imported when the first of them is drawn: that takes 11 ms.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from .devices import CPU, on_cpu
from .devices import device as _device
from .graph import Variable, wrap

if TYPE_CHECKING:
    NumpyGenerator = np.random.Generator

_STATE = (("seed", 8), ("state", 16), ("inc", 16), ("has_uint32", 1), ("uinteger", 4))  # little-endian, bytes of each
_lock = threading.Lock()


class Generator:
    """A source of random numbers with a state of its own; what functions take as ``generator=``.

    Drawing from one is safe from several threads, but in which order they draw is not determined: give each thread its
    own where that matters.

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac.random import Generator
    >>> a, b = Generator().manual_seed(7), Generator().manual_seed(7)
    >>> bool((tj.rand(3, generator=a) == tj.rand(3, generator=b)).all())
    True
    """

    __slots__ = ("_numpy", "_seed")

    _numpy: Any
    _seed: int

    def __init__(self, device: Any = "cpu") -> None:
        on_cpu(device)
        self.manual_seed(67280421310721)  # what a new generator of PyTorch's starts from

    def manual_seed(self, seed: int) -> Generator:
        """Start from a seed: the same numbers follow in every run.

        Raises
        ------
        ValueError
            The seed does not fit into 64 bits.
        """
        given = int(seed)
        if not -(2**63) <= given < 2**64:
            raise ValueError(f"a seed is an integer of 64 bits, from -2**63 to 2**64 - 1, not {seed}")
        self._seed = given % 2**64
        self._numpy = None
        return self

    def seed(self) -> int:
        """Start from a seed that the operating system draws; returns it."""
        return self.manual_seed(int.from_bytes(os.urandom(8), "little")).initial_seed()

    def initial_seed(self) -> int:
        """The seed that this generator started from."""
        return self._seed

    @property
    def device(self) -> _device:
        return CPU

    @property
    def numpy(self) -> NumpyGenerator:
        """NumPy's generator, which does the work; drawing from it moves this one on."""
        if self._numpy is None:
            with _lock:
                if self._numpy is None:
                    self._numpy = np.random.Generator(np.random.PCG64(self._seed))
        return self._numpy

    def get_state(self) -> Any:
        """All of the state, as a tensor of 45 bytes."""
        found: Any = self.numpy.bit_generator.state
        values = {"seed": self._seed, **found, **found["state"]}
        data = b"".join(values[name].to_bytes(size, "little") for name, size in _STATE)
        return wrap(np.frombuffer(data, dtype=np.uint8).copy())

    def set_state(self, new_state: Any) -> Generator:
        """Go on from where `get_state` was called, on this generator or another.

        Raises
        ------
        ValueError
            These are not the bytes of a state.
        """
        given = np.asarray(new_state.array if isinstance(new_state, Variable) else new_state)
        total = sum(size for _, size in _STATE)
        if given.dtype != np.uint8 or given.shape != (total,):
            raise ValueError(
                f"a generator's state is a tensor of {total} uint8, as get_state() returns it, not {given.dtype} of "
                f"shape {given.shape}"
            )
        data, values, start = given.tobytes(), {}, 0
        for name, size in _STATE:
            values[name] = int.from_bytes(data[start : start + size], "little")
            start += size
        self.manual_seed(values.pop("seed"))
        state = {"state": values.pop("state"), "inc": values.pop("inc")}
        self.numpy.bit_generator.state = {"bit_generator": "PCG64", "state": state, **values}
        return self

    def __repr__(self) -> str:
        return f"<Generator, seed {self._seed}>"


default_generator = Generator()
default_generator.seed()  # until manual_seed() is called, no two runs are the same


def manual_seed(seed: int) -> Generator:
    """Start the default generator from a seed, so that what follows is the same in every run; returns it."""
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Start the default generator from a seed that the operating system draws; returns it."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed that the default generator started from."""
    return default_generator.initial_seed()


def get_rng_state() -> Any:
    """The state of the default generator, as a tensor of bytes."""
    return default_generator.get_state()


def set_rng_state(new_state: Any) -> None:
    """Go on from where `get_rng_state` was called."""
    default_generator.set_state(new_state)


def snapshot() -> Any:
    """The state of the default generator for `restore`, None as long as nothing was drawn.

    Unlike `get_rng_state` it does not make NumPy's generator, whose module is slow to import.
    """
    return None if default_generator._numpy is None else default_generator.get_state().tolist()


def restore(state: Any) -> None:
    """Go on from where `snapshot` was called."""
    if state is None:
        default_generator.manual_seed(default_generator.initial_seed())
    else:
        default_generator.set_state(np.array(state, dtype=np.uint8))


def numpy_generator(generator: Any = None) -> NumpyGenerator:
    """NumPy's generator behind one of ours; the default one's for None; one of NumPy's is returned as it is.

    Raises
    ------
    TypeError
    """
    if generator is None:
        return default_generator.numpy
    if isinstance(generator, Generator):
        return generator.numpy
    if isinstance(generator, np.random.Generator):
        return generator
    raise TypeError(f"generator must be a tinygrad_jac.Generator, not {type(generator).__name__}")


# ------------------------------------------------------------------------------------------------ filling arrays

# Each writes into the ndarray that it is given, whatever its memory order. NumPy draws float32 and float64; the others
# are cast.


def fill_uniform(array: Any, low: float = 0.0, high: float = 1.0, generator: Any = None) -> None:
    """Fill an array evenly from [low, high).

    Raises
    ------
    TypeError
        The array does not hold floats.
    ValueError
        ``low`` is larger than ``high``.
    """
    _check_floats(array, "uniform")
    if not low <= high:
        raise ValueError(f"uniform numbers need low <= high, not [{low}, {high})")
    source = numpy_generator(generator)
    if array.dtype == np.float16:
        drawn: Any = source.integers(0, 2048, array.shape) / np.float16(2048)  # a float rounded to half may become 1
        drawn = drawn.astype(np.float16)
    else:
        drawn = source.random(array.shape, dtype=array.dtype if array.dtype == np.float32 else np.float64)
    if (low, high) != (0, 1):
        drawn *= high - low
        drawn += low
    array[...] = drawn


def fill_normal(array: Any, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> None:
    """Fill an array from the normal distribution N(mean, std²).

    Raises
    ------
    TypeError
        The array does not hold floats.
    ValueError
        ``std`` is negative.
    """
    _check_floats(array, "normal")
    if not std >= 0:
        raise ValueError(f"normal numbers need std >= 0, not {std}")
    dtype = np.float32 if array.dtype.itemsize <= 4 else np.float64
    drawn = numpy_generator(generator).standard_normal(array.shape, dtype=dtype)
    if (mean, std) != (0, 1):
        drawn *= std
        drawn += mean
    array[...] = drawn


def fill_exponential(array: Any, rate: float = 1.0, generator: Any = None) -> None:
    """Fill an array from the exponential distribution, of mean ``1 / rate``.

    Raises
    ------
    TypeError
        The array does not hold floats.
    ValueError
        ``rate`` is not positive.
    """
    _check_floats(array, "exponential")
    if not rate > 0:
        raise ValueError(f"exponential numbers need a rate > 0, not {rate}")
    array[...] = numpy_generator(generator).standard_exponential(array.shape) / rate


def fill_bernoulli(array: Any, p: Any = 0.5, generator: Any = None) -> None:
    """Fill an array with 1 where an event of probability ``p`` happens (a number, or one for each entry), else 0.

    Raises
    ------
    ValueError
        ``p`` is not within [0, 1].
    """
    p = np.asarray(p)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"a probability is within [0, 1], not {p if p.ndim == 0 else 'as some of those given'}")
    array[...] = numpy_generator(generator).random(array.shape) < p


def fill_integers(array: Any, low: int, high: int, generator: Any = None) -> None:
    """Fill an array with integers, evenly from low to high - 1; it may hold floats.

    Raises
    ------
    ValueError
        There is no integer from ``low`` to ``high - 1``, or the array's dtype does not hold them all.
    """
    if low >= high:
        raise ValueError(f"random integers need low < high, not low={low}, high={high}")
    if array.dtype.kind in "iu" and not np.iinfo(array.dtype).min <= low < high <= np.iinfo(array.dtype).max + 1:
        raise ValueError(f"{array.dtype} does not hold all integers from {low} to {high - 1}")
    array[...] = numpy_generator(generator).integers(low, high, array.shape)


def _check_floats(array: Any, what: str) -> None:
    if array.dtype.kind != "f":
        raise TypeError(f"{what} numbers are floats: they do not fit an array of {array.dtype}")
