"""Matrices printed with their blocks."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_jac as tj
from tinygrad_jac.errors import ShapeError
from tinygrad_jac.jacobians import Diagonal, chain
from tinygrad_jac.jacobians.printing import bordered


def lines(*expected):
    return "\n".join(expected)


def test_blocks_of_rows_and_columns():
    matrix = np.array([[1.0, 0, 0.25], [0, -20, 0], [0, 0, 3]])
    assert bordered(matrix, rows=(1, 2), columns=(2, 1)) == lines(
        "┌               ┐",
        "│ 1    · ╎ 0.25 │",
        "│ ╌╌╌╌╌╌╌┼╌╌╌╌╌ │",
        "│ ·  -20 ╎    · │",
        "│ ·    · ╎    3 │",
        "└               ┘",
    )


def test_of_a_chain_the_blocks_are_the_parameters_and_vec_stacks_columns():
    W, b = tj.ones(2, 2, requires_grad=True), tj.ones(2, requires_grad=True)
    J = chain(tj.tensor([5.0, 7.0]) @ W + b, {"W": W, "b": b})
    assert bordered(J, order="F") == lines(
        "      W         b",
        "┌                   ┐",
        "│ 5  7  ·  · ╎ 1  · │",
        "│ ·  ·  5  7 ╎ ·  1 │",
        "└                   ┘",
    )
    assert "│ 5  ·  7  · ╎" in bordered(J), "row by row by default"


def test_a_long_title_widens_its_block():
    first, *rest = bordered(np.ones((1, 2)), columns=(1, 1), titles=("weights", "b")).splitlines()
    assert first == "  weights   b"
    assert rest[1] == "│ 1       ╎ 1 │"


def test_large_blocks_are_printed_in_part():
    text = bordered(np.arange(1.0, 61).reshape(2, 30), most=8)
    assert "│  1   2   3   4  …  29  30 │" in text
    assert bordered(np.ones((30, 1)), most=8).count("\n") == 1 + 4 + 1 + 2


def test_digits_zeros_and_empty_matrices():
    text = bordered(Diagonal(np.array([1 / 3, -0.0, np.nan])), digits=2)
    assert text.splitlines()[1:-1] == ["│ 0.33  ·    · │", "│    ·  ·    · │", "│    ·  ·  nan │"]
    for shape in ((0, 0), (2, 0), (0, 2)):
        assert bordered(np.zeros(shape)).startswith("┌")


@pytest.mark.parametrize(
    "matrix, options, message",
    [
        (np.ones(3), {}, r"prints matrices, not an array of shape \(3,\)"),
        (np.ones((2, 3)), {"columns": (2, 2)}, r"blocks of \[2, 2\] columns have 4 together, the matrix has 3"),
        (np.ones((2, 3)), {"rows": (1,)}, r"blocks of \[1\] rows have 1 together, the matrix has 2"),
        (np.ones((2, 3)), {"columns": (-1, 4)}, r"blocks of \[-1, 4\] columns: none can have fewer than 0"),
        (np.ones((2, 3)), {"titles": ("a", "b")}, "there are 1 blocks of columns, but 2 titles"),
    ],
)
def test_blocks_that_do_not_fit(matrix, options, message):
    with pytest.raises(ShapeError, match=message):
        bordered(matrix, **options)


@pytest.mark.parametrize("options", [{"digits": 0}, {"digits": -1}, {"most": 3}, {"most": 0}], ids=str)
def test_too_few_digits_or_entries(options):
    ((name, given),) = options.items()
    with pytest.raises(ValueError, match=rf"^{name} must be at least \d, not {given}$"):
        bordered(np.eye(5), **options)
