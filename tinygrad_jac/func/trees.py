"""Nested tuples, lists and dicts of tensors, as functions take and return them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


def is_branch(tree: Any) -> bool:
    """Whether something is a tuple, list or dict; everything else is a leaf."""
    return isinstance(tree, (tuple, list, dict))


def map_leaves(function: Callable[..., Any], tree: Any) -> Any:
    """The same nesting, with ``function(leaf)`` in the place of each leaf.

    >>> map_leaves(abs, {"a": [-1, 2], "b": (-3,)})
    {'a': [1, 2], 'b': (3,)}
    """
    if isinstance(tree, dict):
        made = {key: map_leaves(function, branch) for key, branch in tree.items()}
        return made if type(tree) is dict else type(tree)(made)
    if isinstance(tree, (tuple, list)):
        branches = [map_leaves(function, branch) for branch in tree]
        return type(tree)(*branches) if hasattr(tree, "_fields") else type(tree)(branches)
    return function(tree)


def leaves(tree: Any) -> list[Any]:
    """The leaves, in order.

    >>> leaves({"a": [1, 2], "b": (3,)})
    [1, 2, 3]
    """
    found: list[Any] = []
    map_leaves(found.append, tree)
    return found


def with_leaves(tree: Any, new: Sequence[Any]) -> Any:
    """The same nesting, with other leaves."""
    following = iter(new)
    return map_leaves(lambda _: next(following), tree)


def outline(tree: Any) -> Any:
    """The nesting alone, to be compared and to be shown: ``*`` stands for a leaf."""
    if isinstance(tree, dict):
        return {key: outline(branch) for key, branch in tree.items()}
    if isinstance(tree, tuple):
        return tuple(outline(branch) for branch in tree)
    return [outline(branch) for branch in tree] if isinstance(tree, list) else "*"
