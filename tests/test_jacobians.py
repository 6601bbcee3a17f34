"""Structured Jacobians: one suite that every class inherits, then what is particular to each."""

from __future__ import annotations

import re

import numpy as np
import pytest
from kit import close, randn, rng

import tinygrad_jac as tj
from tinygrad_jac.jacobians import (
    BlockDiag,
    Compose,
    Contraction,
    Dense,
    Diagonal,
    DiagPlusLowRank,
    Identity,
    Jacobian,
    Kron,
    Recurrence,
    Selection,
    Sum,
    Toeplitz,
)

EXACT = 1e-12


class StructureSuite:
    """What holds of every structure. A subclass gives examples and, by hand, the matrix of each."""

    @staticmethod
    def examples() -> list[tuple[Jacobian, np.ndarray]]:
        raise NotImplementedError

    def each(self):
        found = self.examples()
        assert found
        return found

    def test_dense_is_the_matrix_written_by_hand(self):
        for J, matrix in self.each():
            assert J.shape == matrix.shape == (int(np.prod(J.out_shape)), int(np.prod(J.in_shape)))
            close(J.dense(), matrix, EXACT, repr(J))

    @pytest.mark.parametrize("lead", [(), (3,), (2, 1, 3)])
    def test_jvp_and_vjp_are_products_with_the_matrix(self, lead):
        for J, matrix in self.each():
            m, n = J.shape
            v, u = rng(1).standard_normal((*lead, *J.in_shape)), rng(2).standard_normal((*lead, *J.out_shape))
            close(J.jvp(v), (v.reshape((*lead, n)) @ matrix.T).reshape((*lead, *J.out_shape)), EXACT, f"jvp of {J!r}")
            close(J.vjp(u), (u.reshape((*lead, m)) @ matrix).reshape((*lead, *J.in_shape)), EXACT, f"vjp of {J!r}")

    def test_jvp_and_vjp_are_adjoint(self):
        for J, _ in self.each():
            v, u = rng(3).standard_normal(J.in_shape), rng(4).standard_normal(J.out_shape)
            assert np.vdot(u, J.jvp(v)) == pytest.approx(np.vdot(J.vjp(u), v), rel=1e-12, abs=1e-12)

    def test_products_are_linear(self):
        for J, _ in self.each():
            v, w = rng(5).standard_normal(J.in_shape), rng(6).standard_normal(J.in_shape)
            close(J.jvp(2 * v - 3 * w), 2 * J.jvp(v) - 3 * J.jvp(w), EXACT * 10, f"linearity of {J!r}")

    def test_transpose(self):
        for J, matrix in self.each():
            assert (J.T.in_shape, J.T.out_shape) == (J.out_shape, J.in_shape)
            close(J.T.dense(), matrix.T, EXACT, f"transpose of {J!r}")
            close(J.T.T.dense(), matrix, EXACT, f"twice transposed {J!r}")
            u = rng(7).standard_normal(J.out_shape)
            close(J.T.jvp(u), J.vjp(u), EXACT, f"jvp of the transpose of {J!r}")

    def test_matmul_with_arrays(self):
        for J, matrix in self.each():
            m, n = J.shape
            v, V = rng(8).standard_normal(n), rng(9).standard_normal((n, 2))
            close(np.reshape(J @ v.reshape(J.in_shape), m), matrix @ v, EXACT, f"{J!r} @ input")
            if (n, 2) != J.in_shape:
                close(J @ V, matrix @ V, EXACT, f"{J!r} @ matrix")
            u = rng(10).standard_normal(m)
            close(np.reshape(u.reshape(J.out_shape) @ J, n), u @ matrix, EXACT, f"output @ {J!r}")

    def test_wrong_shapes_are_refused_with_the_shapes(self):
        for J, _ in self.each():
            if not J.in_shape:
                continue  # any shape is one of leading axes and a scalar
            with pytest.raises(tj.ShapeError, match="this array has shape"):
                J.jvp(np.zeros((*J.in_shape, 7)))
            with pytest.raises(tj.ShapeError, match="this array has shape"):
                J.vjp(np.zeros((*J.out_shape, 7)))
            with pytest.raises(tj.ShapeError, match="cannot multiply"):
                J @ np.zeros(J.shape[1] + 1)

    @pytest.mark.parametrize(
        "J, shapes",
        [
            (Dense(np.ones((2, 3))), "(3,) or (3, k)"),
            (Dense(np.ones((2, 3))).T, "(2,) or (2, k)"),
            (Dense(np.ones((2, 6)), (2,), (3, 2)), "(3, 2), (6,) or (6, k)"),
        ],
    )
    def test_the_shapes_that_fit_are_named_once(self, J, shapes):
        with pytest.raises(tj.ShapeError, match=rf"array of shape \(5,\): give {re.escape(shapes)}$"):
            J @ np.zeros(5)

    def test_composition_and_sum(self):
        for J, matrix in self.each():
            m, n = J.shape
            left = Dense(rng(11).standard_normal((2, m)), (2,), J.out_shape)
            right = Dense(rng(12).standard_normal((n, 2)), J.in_shape, (2,))
            close((left @ J @ right).dense(), left.matrix @ matrix @ right.matrix, 1e-11, f"product with {J!r}")
            close((J.T @ J).dense(), matrix.T @ matrix, 1e-11, f"JᵀJ of {J!r}")
            close((J + J).dense(), 2 * matrix, EXACT, f"sum of {J!r}")
            v = rng(13).standard_normal(2)
            close((left @ J @ right) @ v, left.matrix @ matrix @ right.matrix @ v, 1e-11, f"product with {J!r}")
            with pytest.raises(tj.ShapeError, match="cannot compose"):
                J @ Identity((*J.in_shape, 9))

    def test_nnz_and_density(self):
        for J, matrix in self.each():
            assert np.count_nonzero(matrix) <= J.nnz <= matrix.size
            assert J.density == pytest.approx(J.nnz / max(matrix.size, 1))

    def test_layouts(self):
        for J, matrix in self.each():
            close(J.dense(layout="denominator"), matrix.T, EXACT, "denominator layout")
            by_columns = J.dense(order="F")
            v = rng(14).standard_normal(J.in_shape)
            close(by_columns @ v.ravel(order="F"), J.jvp(v).ravel(order="F"), EXACT, "vec() stacks columns")
            with pytest.raises(ValueError, match="layout"):
                J.dense(layout="sideways")

    def test_runs_on_tensors(self):
        for J, matrix in self.each():
            v = tj.tensor(rng(15).standard_normal(J.in_shape), requires_grad=True)
            out = J.jvp(v)
            u = rng(16).standard_normal(J.out_shape)
            (g,) = tj.autograd.grad(out, v, u)
            close(g.array.reshape(-1), u.reshape(-1) @ matrix, EXACT, f"the gradient through {J!r}.jvp")

    def test_says_what_it_is(self):
        for J, matrix in self.each():
            assert J.structure
            assert f"{matrix.shape[0]}x{matrix.shape[1]}" in repr(J)


class TestDiagonal(StructureSuite):
    @staticmethod
    def examples():
        d = randn(2, 3)
        return [
            (Diagonal(d), np.diag(d.reshape(-1))),
            (Diagonal(np.array([1.0, 0.0, 1.0])), np.array([[1, 0, 0], [0, 0, 0], [0, 0, 1.0]])),
            (Diagonal(np.array(2.0)), np.array([[2.0]])),
            (Diagonal(np.zeros((0,))), np.zeros((0, 0))),
        ]

    def test_the_relu_of_zeros_and_ones_removes_rows(self):
        J = Diagonal(np.array([1.0, 0.0, 1.0])) @ Dense(np.arange(6.0).reshape(3, 2))
        assert np.array_equal(J.dense(), [[0, 1], [0, 0], [4, 5]])


class TestIdentity(StructureSuite):
    @staticmethod
    def examples():
        return [(Identity(3), np.eye(3)), (Identity((2, 3), (3, 2)), np.eye(6)), (Identity(()), np.eye(1))]

    def test_disappears_from_products(self):
        K = Kron(randn(2, 3), randn(4, 5))
        assert (K @ Identity((3, 5))) is K
        assert (Identity((2, 4)) @ K) is K


class TestSelection(StructureSuite):
    @staticmethod
    def examples():
        picked = np.array([[0, 1, 0], [0, 0, 0], [0, 1, 0], [1, 0, 0.0]])
        return [
            (Selection(np.array([1, -1, 1, 0]), (3,)), picked),
            (Selection.of(np.transpose, (2, 2)), np.eye(4)[[0, 2, 1, 3]]),
            (Selection.broadcast((1, 2), (3, 2)), np.tile(np.eye(2), (3, 1))),
            (Selection(np.array([1, -1, 1, 0]), (3,)).T, picked.T),
            (Selection(np.zeros((0,), dtype=int), (3,)), np.zeros((0, 3))),
        ]

    def test_the_transpose_of_a_broadcast_is_unbroadcast(self):
        u = randn(4, 2, 3)
        J = Selection.broadcast((2, 1), (4, 2, 3))
        close(J.vjp(u), tj.graph.unbroadcast(u, (2, 1)), EXACT, "unbroadcast")

    def test_two_selections_are_one(self):
        J = Selection(np.array([2, -1, 0]), (3,)) @ Selection(np.array([1, 0, -1]), (2,))
        assert type(J) is Selection
        assert J.index.tolist() == [-1, -1, 1]

    def test_a_padded_place_is_zero_whatever_the_input(self):
        assert np.array_equal(Selection(np.array([-1, 0]), (1,)).jvp(np.array([np.inf])), [0, np.inf])


class TestKron(StructureSuite):
    @staticmethod
    def examples():
        a, b = randn(2, 3), randn(4, 2, seed=1)
        stack = randn(2, 2, 3, seed=2)
        blocks = np.zeros((2 * 8, 2 * 6))
        blocks[:8, :6], blocks[8:, 6:] = np.kron(stack[0], b), np.kron(stack[1], b)
        return [
            (Kron(a, b), np.kron(a, b)),
            (Kron(Identity(3), b), np.kron(np.eye(3), b)),
            (Kron(a, Identity(2)), np.kron(a, np.eye(2))),
            (Kron(stack, b), blocks),
            (Kron(Identity(3), np.zeros((2, 0))), np.zeros((6, 0))),
        ]

    def test_products_of_products(self):
        J = Kron(randn(2, 3), Identity(4)) @ Kron(randn(3, 5, seed=1), randn(4, 2, seed=2))
        assert type(J) is Kron

    def test_stacking_columns_exchanges_the_factors(self):
        a, b = randn(2, 3), randn(4, 2, seed=1)
        close(Kron(a, b).dense(order="F"), np.kron(b, a), EXACT, "vec(A X Bᵀ) = (B ⊗ A) vec(X)")


class TestBlockDiag(StructureSuite):
    @staticmethod
    def examples():
        blocks = randn(2, 2, 3)
        matrix = np.zeros((4, 6))
        matrix[:2, :3], matrix[2:, 3:] = blocks
        return [(BlockDiag(blocks), matrix), (BlockDiag(blocks[0]), blocks[0])]


class TestDiagPlusLowRank(StructureSuite):
    @staticmethod
    def examples():
        p = np.array([0.2, 0.3, 0.5])
        u, v, d = randn(2, 2, 3), randn(2, 2, 3, seed=1), randn(2, 3, seed=2)
        rows = np.zeros((6, 6))  # coupled along the last axis: a block for each row
        columns = np.zeros((6, 6))
        for i in range(6):
            for j in range(6):
                low = sum(u[r].flat[i] * v[r].flat[j] for r in range(2))
                rows[i, j] = low * (i // 3 == j // 3) + d.flat[i] * (i == j)
                columns[i, j] = low * (i % 3 == j % 3) + d.flat[i] * (i == j)
        return [
            (DiagPlusLowRank(p, -p[None], p[None], (-1,)), np.diag(p) - np.outer(p, p)),
            (DiagPlusLowRank(d, u, v, (-1,)), rows),
            (DiagPlusLowRank(d, u, v, (-2,)), columns),
        ]


class TestToeplitz(StructureSuite):
    @staticmethod
    def examples():
        # A kernel of two taps on four entries, padded by one on the left: each row is the one before, shifted.
        one = np.array([[3, 0, 0, 0], [2, 3, 0, 0], [0, 2, 3, 0], [0, 0, 2, 3.0]])
        patches = np.array([[[-1, 0, 1, 2], [0, 1, 2, 3]]])
        J = Toeplitz(np.array([[[2.0, 3.0]]]), patches, (1, 1, 4), (1, 1, 4))
        two = Toeplitz(np.array([[[2.0, 3.0]]]), patches, (2, 1, 4), (2, 1, 4))
        return [(J, one), (two, np.kron(np.eye(2), one))]


class TestContraction(StructureSuite):
    @staticmethod
    def examples():
        y = randn(3, 4)
        return [
            (Contraction((["ij", "jk"], "ik"), [None, y], 0, (2, 4), (2, 3)), np.kron(np.eye(2), y.T)),
            (Contraction((["ij"], "i"), [None], 0, (2,), (2, 3)), np.kron(np.eye(2), np.ones((1, 3)))),
            (Contraction((["ij", "k"], "k"), [None, y[0]], 0, (4,), (2, 3)), np.outer(y[0], np.ones(6))),
        ]


class TestRecurrence(StructureSuite):
    @staticmethod
    def examples():
        M = randn(3, 2, 2, seed=1)
        I, O = np.eye(2), np.zeros((2, 2))
        matrix = np.block([[I, O, O], [M[1], I, O], [M[2] @ M[1], M[2], I]])
        two = randn(2, 2, 1, 1, seed=2)  # (times, batch, 1, 1)
        (m, n) = two[1].ravel()
        batch = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [m, 0, 1, 0], [0, n, 0, 1]])
        return [(Recurrence(M), matrix), (Recurrence(two), batch), (Recurrence(randn(1, 3, 3)), np.eye(3))]


class TestDense(StructureSuite):
    @staticmethod
    def examples():
        return [(Dense(randn(2, 3)), randn(2, 3)), (Dense(randn(4, 6), (2, 2), (3, 2)), randn(4, 6))]


class TestCompose(StructureSuite):
    @staticmethod
    def examples():
        d, k = randn(2, 4), np.kron(randn(2, 3), randn(4, 5, seed=1))
        J = Diagonal(d) @ Kron(randn(2, 3), randn(4, 5, seed=1))
        assert type(J) is Compose
        return [(J, d.reshape(-1, 1) * k), (J.T, (d.reshape(-1, 1) * k).T)]

    def test_is_associative(self):
        a, b, c = Diagonal(randn(4)), Dense(randn(4, 3)), Selection(np.array([0, 0, 1]), (2,))
        close(((a @ b) @ c).dense(), (a @ (b @ c)).dense(), EXACT, "associativity")


class TestSum(StructureSuite):
    @staticmethod
    def examples():
        return [(Sum([Diagonal(randn(3)), Dense(randn(3, 3))]), np.diag(randn(3)) + randn(3, 3))]


def test_no_structure_is_without_its_suite():
    suites = {cls.__name__.removeprefix("Test") for cls in StructureSuite.__subclasses__()}
    import tinygrad_jac.jacobians as package

    elsewhere = {
        "Jacobian": "the base",
        "Transposed": "with Selection",
        "AlongGraph": "tests/test_chain.py",
        "Chain": "tests/test_chain.py",
        "chain": "makes a Chain",
        "bordered": "prints one",
    }
    assert set(package.__all__) - set(elsewhere) == suites, "every structure has a suite"


def test_an_array_of_a_jacobian_has_its_dtype():
    J = tj.jacobians.Diagonal(np.ones(2, np.float32))
    assert np.asarray(J).dtype == J.dense().dtype == np.float32
    assert np.asarray(J, dtype=np.float64).dtype == np.float64


def test_the_identity_leaves_every_structure_as_it_is():
    one, two = tj.jacobians.Diagonal(np.arange(3.0)), tj.jacobians.Dense(np.ones((3, 3)))
    identity = tj.jacobians.Identity((3,))
    for J in (one, two, one + two, two.T, (one + two).T):
        assert (identity @ J) is J
        assert (J @ identity) is J


def test_rows_of_a_column_of_outputs():
    from tinygrad_jac.jacobians import chain

    w = tj.tensor(randn(2, 3), requires_grad=True)
    J = chain(w @ tj.tensor(randn(3, 1)), {"w": w}).product("w")
    for rows in (np.array([[1.0, 2.0]]), randn(3, 2), randn(2, 2)):
        close(rows @ J, rows @ J.dense(), 1e-12, "a matrix of m columns")


def test_jacobians_with_nothing_in_them():
    from tinygrad_jac.jacobians import BlockDiag, Dense, Selection, chain

    w = tj.ones(3, 2, dtype=tj.float64, requires_grad=True)
    assert chain(w @ tj.ones(2, 0, dtype=tj.float64), {"w": w}).dense().shape == (0, 6)
    e = tj.zeros(0, 2, dtype=tj.float64, requires_grad=True)
    J = chain(tj.cat([w, e]).sum(1), {"w": w, "e": e})
    close(J @ J.T, 2 * np.eye(3), 1e-12, "gram")
    assert BlockDiag(np.ones((3, 0, 4))).dense().shape == (0, 12)
    assert (Dense(np.ones((2, 0)), in_shape=(1, 0)) @ BlockDiag(np.ones((1, 0, 3)))).dense().shape == (2, 3)
    assert Selection(np.full(2, -1), (0,)).jvp(np.zeros(0, np.float32)).dtype == np.float32
