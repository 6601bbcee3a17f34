"""`vmap`: a function of one sample, turned into one of a batch."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import random
from ..errors import ShapeError
from ..graph import Variable, array_of
from .trees import is_branch, leaves, map_leaves, with_leaves


def vmap(
    func: Callable[..., Any],
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """A function of one sample, as a function of a batch.

    This is a loop in disguise: the function runs once for each sample and the results are stacked. So it takes every
    function, with branches and loops that depend on the data, and it is as fast as the loop. Functions that are written
    for batches to begin with are faster; for the gradients of each sample see `per_sample_grad`, for Jacobians of each
    sample ``jacrev(..., batched=True)``.

    Parameters
    ----------
    func : callable
    in_dims : int, None, or a nesting of them
        Along which axis each positional argument counts samples, None for one that all samples share. One for all, or
        nested as the arguments are. All samples share the keyword arguments, as in PyTorch.
    out_dims : int, None, or a nesting of them
        At which axis the samples are put in the result; None for a result that is the same for all of them.
    randomness : {"error", "different", "same"}
        Whether random numbers may be drawn from the default generator, and whether each sample sees the same.
    chunk_size : int, optional
        Accepted: the samples are taken one by one, so that memory is bounded anyway.

    Returns
    -------
    callable

    Raises
    ------
    ValueError
        On a call: nothing is mapped, sizes differ, a batch is empty, or an argument of ``in_dims`` does not fit.
    RuntimeError
        On a call: the function drew random numbers, and ``randomness`` is "error".

    Examples
    --------
    >>> import tinygrad_jac as tj
    >>> from tinygrad_jac.func import grad, vmap
    >>> vmap(grad(lambda x: (x**3).sum()))(tj.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[ 3., 12.],
            [27., 48.]])
    """
    if randomness not in ("error", "different", "same"):
        raise ValueError(f"randomness is 'error', 'different' or 'same', not {randomness!r}")
    if chunk_size is not None and chunk_size < 1:
        raise ValueError(f"chunk_size must be a positive number of samples, or None, not {chunk_size}")

    @functools.wraps(func)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        # A single dim is for every argument; a list of dims is read as the tuple that PyTorch makes of it.
        dims = spread(tuple(in_dims) if isinstance(in_dims, list) else in_dims, args, "in_dims")
        given = leaves(args)
        samples = _batch_size(given, dims)
        start = random.snapshot()
        results = []
        for i in range(samples):
            if randomness == "same" and i:
                random.restore(start)
            one = [leaf if d is None else leaf[(slice(None),) * (d % leaf.ndim) + (i,)] for leaf, d in zip(given, dims)]
            results.append(func(*with_leaves(args, one), **kwargs))
        if randomness == "error" and random.snapshot() != start:
            raise RuntimeError(
                "vmap: the function drew random numbers; say randomness='different' or 'same', whichever is meant"
            )
        return _stacked(results, out_dims)

    return mapped


def spread(dims: Any, tree: Any, what: str) -> list[Any]:
    """One entry for each leaf, from a nesting of which each leaf may stand for a whole branch."""
    if not is_branch(dims):
        return [dims] * len(leaves(tree))
    fits = type(dims) is type(tree) or (isinstance(dims, (tuple, list)) and isinstance(tree, (tuple, list)))
    if not fits or len(dims) != len(tree) or (isinstance(dims, dict) and dims.keys() != tree.keys()):
        raise ValueError(f"{what} must be nested as what it is about, or end earlier: {dims!r} does not fit")
    pairs = [(dims[k], tree[k]) for k in tree] if isinstance(dims, dict) else zip(dims, tree)
    return [d for some, branch in pairs for d in spread(some, branch, what)]


def _batch_size(given: list[Any], dims: list[Any]) -> int:
    sizes = set()
    for leaf, d in zip(given, dims):
        if d is None:
            continue
        if not isinstance(leaf, (Variable, np.ndarray)):
            raise ValueError(f"vmap: in_dims={d} for a {type(leaf).__name__}, which has no axes: it must be None")
        if not -leaf.ndim <= d < leaf.ndim:  # type: ignore[union-attr]
            raise ValueError(f"vmap: in_dims={d} for an argument of shape {leaf.shape}")  # type: ignore[union-attr]
        sizes.add(leaf.shape[d])  # type: ignore[union-attr]
    if not sizes:
        raise ValueError("vmap: no argument is mapped: give at least one tensor an axis in in_dims")
    if len(sizes) > 1:
        raise ValueError(f"vmap: the arguments have batches of different sizes: {sorted(sizes)}")
    if not (size := sizes.pop()):
        raise ValueError("vmap: the batch is empty, so that the form of the result is not known")
    return int(size)


def _stacked(results: list[Any], out_dims: Any) -> Any:
    first = results[0]
    dims = spread(tuple(out_dims) if isinstance(out_dims, list) else out_dims, first, "out_dims")
    columns = zip(*(leaves(result) for result in results))
    found = []
    for column, d in zip(columns, dims):
        if not isinstance(column[0], (Variable, np.ndarray, np.generic, float, int)):
            raise TypeError(f"vmap: the function must return tensors, not {type(column[0]).__name__}")
        shapes = {np.shape(entry) for entry in column}
        if len(shapes) > 1:
            raise ShapeError(f"vmap: the samples gave results of different shapes: {sorted(shapes)}")
        if d is None:
            if any(not np.array_equal(array_of(entry), array_of(column[0]), equal_nan=True) for entry in column):
                raise ValueError(
                    "vmap: out_dims=None is for a result that is the same for all samples; this one differs"
                )
            found.append(column[0])
            continue
        found.append(np.stack(column, axis=d))
    return with_leaves(map_leaves(lambda leaf: leaf, first), found)
