"""Helpers for tests of code that differentiates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .checks.evaluation import GradcheckError
from .checks.faults import planted_fault as planted_fault
from .checks.gradcheck import gradcheck, gradgradcheck
from .graph import Leaf, Variable, wrap


def assert_gradients(fn: Callable[..., Any], *inputs: Any, second_order: bool = True, **options: Any) -> None:
    """Assert that the first and second derivatives of a function of Tensors are right.

    Parameters
    ----------
    fn : callable
        A function of Tensors, or a module, whose parameters are checked too.
    *inputs : array, Tensor, or anything else
        All that is floating-point, lists of numbers included, is checked, in float64; the rest is passed on.
    second_order : bool
        Whether to check second derivatives.
    **options
        Of `gradcheck`.

    Raises
    ------
    AssertionError
        With the message of `gradcheck`.

    Examples
    --------
    >>> import numpy as np
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac.testing import assert_gradients
    >>> assert_gradients(lambda x, w: np.tanh(x @ w), np.ones((2, 3)), np.ones((3, 2)))
    """
    __tracebackhide__ = True  # pytest shows the caller's line, not this function's
    given = [_checked(a) for a in inputs]
    try:
        gradcheck(fn, given, **options)
        if second_order:
            gradgradcheck(fn, given, **options)
    except GradcheckError as error:
        raise AssertionError(str(error)) from error


def _checked(given: Any) -> Any:
    """A float64 Tensor that requires a gradient, of what can be one."""
    array = given.array if isinstance(given, Variable) else given
    if isinstance(array, (list, float)):
        array = np.asarray(array)
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
        return given
    made: Any = wrap(array.astype(np.float64))
    made.node = Leaf(made)
    return made
