"""Products: Kronecker products as in the textbooks, every shape of @, linear layers, every form of einsum."""

from __future__ import annotations

import kit
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_jac as tj
from tinygrad_jac.errors import ShapeError
from tinygrad_jac.rules import products as P


def arrays(*shapes):
    return [np.array(kit.randn(*shape, seed=k)) for k, shape in enumerate(shapes)]


def recorded(fn, *values):
    """The last node's statements, one for each argument."""
    out = fn(*(tj.tensor(np.asarray(v, dtype=np.float64), requires_grad=True) for v in values))
    return [out.node.primitive.statement(out.node, k) for k in range(len(values))]


# ------------------------------------------------------------------------------------------------ matmul

MATMULS = [
    ((3, 4), (4, 2)), ((3, 4), (4,)), ((4,), (4, 2)), ((4,), (4,)), ((1, 3), (3, 1)), ((3, 1), (1, 2)), ((1,), (1,)),
    ((2, 3, 4), (4, 2)), ((2, 3, 4), (4,)), ((3, 4), (2, 4, 2)), ((4,), (2, 4, 2)), ((2, 1, 3, 4), (3, 4, 2)),
    ((2, 3, 1), (1, 2)), ((3, 1, 2), (1, 2, 1)), ((0, 4), (4, 2)), ((3, 0), (0, 2)), ((0, 2, 3), (3, 2)),
]  # fmt: skip


@pytest.mark.parametrize("a, b", MATMULS)
def test_matmul_in_all_shapes(a, b):
    x, y = arrays(a, b)
    expected = x @ y
    for fn in (P.matmul, np.matmul, lambda x, y: x @ y):
        np.testing.assert_allclose(fn(tj.tensor(x), tj.tensor(y)).array, expected, rtol=1e-13)
    np.testing.assert_allclose((x @ tj.tensor(y)).array, expected, rtol=1e-13)
    assert not isinstance(P.matmul(x, y), tj.Tensor)
    kit.check(P.matmul, x, y, expect="matmul")


@pytest.mark.peers
@pytest.mark.parametrize("a, b", MATMULS)
def test_matmul_against_torch(a, b):
    torch = pytest.importorskip("torch")
    kit.compare_with_torch(P.matmul, torch.matmul, *arrays(a, b))


@settings(max_examples=15)
@given(st.data())
def test_matmul_of_stacks_that_broadcast(data):
    sides = st.integers(1, 3)
    m, n, p = (data.draw(sides) for _ in range(3))
    stack = data.draw(st.lists(sides, max_size=2))
    shapes = []
    for matrix in ((m, n), (n, p)):
        kept = stack[data.draw(st.integers(0, len(stack))) :]
        shapes.append((*(data.draw(st.sampled_from([1, k])) for k in kept), *matrix))
    x, y = arrays(*shapes)
    kit.check(P.matmul, x, y)
    np.testing.assert_allclose(P.matmul(x, y), x @ y, rtol=1e-13)


def test_the_product_of_a_matrix_with_itself():
    (x,) = arrays((3, 3))
    kit.check(lambda x: P.matmul(x, x), x)
    kit.check(lambda x: P.matmul(x, P.mT(x)), x)


def test_textbook_matrix_times_vector():
    A, x = np.array([[1.0, 2, 3], [4, 5, 6]]), np.array([7.0, 8, 9])
    t = [tj.tensor(v, requires_grad=True) for v in (A, x)]
    by_A, by_x = kit.jacobians(P.matmul(*t), t)
    assert np.array_equal(by_x, A)  # ∂(Ax)/∂x = A
    # ∂(Ax)/∂A is M x (M x N): row i holds xᵀ in block i.
    assert np.array_equal(by_A, [[7, 8, 9, 0, 0, 0], [0, 0, 0, 7, 8, 9]])


def test_textbook_matrix_times_matrix():
    X, Y = np.array([[1.0, 2], [3, 4]]), np.array([[5.0, 6, 7], [8, 9, 10]])
    by_X, by_Y = recorded(P.matmul, X, Y)
    assert np.array_equal(by_X.dense(), np.kron(np.eye(2), Y.T))  # I ⊗ Yᵀ
    assert np.array_equal(by_Y.dense(), np.kron(X, np.eye(3)))  # X ⊗ I
    assert by_X.structure == by_Y.structure == "kron"
    assert (by_X.nnz, by_Y.nnz) == (2 * 6, 4 * 3)
    # Stacking columns instead, vec(XY) = (I ⊗ X) vec(Y) and (Yᵀ ⊗ I) vec(X).
    assert np.array_equal(by_Y.dense(order="F"), np.kron(np.eye(3), X))
    assert np.array_equal(by_X.dense(order="F"), np.kron(Y.T, np.eye(2)))


def test_matmul_gradients_by_hand():
    X, Y = arrays((3, 4), (4, 2))
    x, y = (tj.tensor(v, requires_grad=True) for v in (X, Y))
    g = kit.randn(3, 2, seed=5)
    P.matmul(x, y).backward(g)
    np.testing.assert_allclose(x.grad.array, g @ Y.T)
    np.testing.assert_allclose(y.grad.array, X.T @ g)


@pytest.mark.parametrize(
    "a, b, message",
    [
        ((3, 4), (5, 2), r"\(3, 4\) and \(5, 2\) .* the last size of the first, 4, .* second last .* second, 5"),
        ((3, 4), (5,), r"\(3, 4\) and \(5,\) .* of the first, 4, .* only size of the second, 5"),
        ((3,), (2, 3), r"\(3,\) and \(2, 3\) .* of the first, 3, .* of the second, 2"),
        ((2, 3, 4), (3, 4, 5), r"the stacks \(2,\) and \(3,\) do not broadcast, sizes 2 and 3 disagree"),
        ((), (2, 2), r"\(\) and \(2, 2\) .* each needs an axis"),
    ],
)
def test_matmul_says_which_sizes_disagree(a, b, message):
    with pytest.raises(ShapeError, match=message):
        P.matmul(tj.ones(*a), np.ones(b))


def test_mixed_dtypes():
    x, y = np.ones((2, 3), dtype=np.float32), np.ones((3, 2))
    for fn in (P.matmul, lambda x, y: P.linear(x, P.mT(y)), lambda x, y: P.einsum("ij,jk->ik", x, y)):
        for wanted in (0, 1):  # one a Tensor, one an array
            args = [x, y]
            args[wanted] = t = tj.tensor(args[wanted], requires_grad=True)
            z = fn(*args)
            assert z.dtype == np.float64
            (grad,) = tj.autograd.grad((z**2).sum(), t, create_graph=True)
            assert grad.dtype == t.dtype
            grad.sum().backward()
            assert t.grad.dtype == t.dtype
    i = tj.tensor([[1, 2], [3, 4]])
    assert P.matmul(i, i).dtype == P.linear(i, i).dtype == P.einsum("ij,jk", i, i).dtype == np.int64
    assert P.matmul(i, i).tolist() == [[7, 10], [15, 22]]
    assert P.matmul(tj.ones(2, 2), i.numpy()).dtype == np.float32  # as of elementwise ops: integers do not widen


REFUSED = {
    "x @ y": lambda t, x, y: x @ y,
    "mm": lambda t, x, y: t.mm(x, y),
    "bmm": lambda t, x, y: t.bmm(x[None], y[None]),
    "mv": lambda t, x, y: t.mv(x, y[0]),
    "dot": lambda t, x, y: t.dot(x[0], y[0]),
    "vdot": lambda t, x, y: t.vdot(x[0], y[0]),
    "addmm": lambda t, x, y: t.addmm(x, x, y),
    "linear": lambda t, x, y: t.nn.functional.linear(x, y),
    "linear's bias": lambda t, x, y: t.nn.functional.linear(x, x, y[0]),
    "nn.Linear": lambda t, x, y: t.nn.Linear(2, 2)(t.ones(1, 2).double()),
    "conv1d": lambda t, x, y: t.nn.functional.conv1d(x[None], y[None]),
    "conv1d's bias": lambda t, x, y: t.nn.functional.conv1d(x[None], x[None], y[0, :1]),
    "conv_transpose2d": lambda t, x, y: t.nn.functional.conv_transpose2d(x[None, None], y[None, None]),
    "integers": lambda t, x, y: x @ t.ones(2, 2).long(),
}


@pytest.mark.parametrize("name", REFUSED)
def test_tensors_of_two_dtypes_are_refused(name):
    x, y = tj.ones(2, 2), tj.ones(2, 2, dtype=tj.float64)
    with pytest.raises(TypeError, match=r"expected \w+ and \w+ to have the same dtype, but got"):
        REFUSED[name](tj, x, y)
    assert tj.outer(x[0], y[0]).dtype == tj.kron(x, y).dtype == tj.float64


@pytest.mark.peers
@pytest.mark.parametrize("name", REFUSED)
def test_tensors_of_two_dtypes_are_refused_by_pytorch(name):
    torch = pytest.importorskip("torch")
    with pytest.raises(RuntimeError, match=r"dtype|scalar type|should be the same"):
        REFUSED[name](torch, torch.ones(2, 2), torch.ones(2, 2, dtype=torch.float64))
    torch.outer(torch.ones(2), torch.ones(2).double())


def test_lists_and_other_layouts():
    x = kit.randn(4, 6)
    for y in (x.T, x[::-1, ::2].T, x.astype(">f8").T):
        np.testing.assert_allclose((tj.as_tensor(x.T) @ tj.as_tensor(y.T)[:, :3]).array, x.T @ y.T[:, :3])
    assert (tj.ones(2, 2) @ [[1.0, 2.0], [3.0, 4.0]]).tolist() == [[4, 6], [4, 6]]


# ------------------------------------------------------------------------------------------------ its other names

OTHERS = {
    "mm": ("mm", [(2, 3), (3, 4)]),
    "bmm": ("bmm", [(2, 3, 4), (2, 4, 2)]),
    "mv": ("mv", [(2, 3), (3,)]),
    "dot": ("dot", [(3,), (3,)]),
    "inner": ("inner", [(2, 3), (4, 3)]),
    "inner of stacks": ("inner", [(2, 1, 3), (2, 3)]),
    "vdot": ("vdot", [(3,), (3,)]),
    "outer": ("outer", [(3,), (4,)]),
    "ger": ("ger", [(3,), (4,)]),
    "kron": ("kron", [(2, 3), (2, 2)]),
    "kron of unlike": ("kron", [(2,), (2, 3, 1)]),
    "tensordot": ("tensordot", [(2, 3, 4), (3, 4, 2)]),
    "trace": ("trace", [(3, 4)]),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_products(name):
    function, shapes = OTHERS[name]
    kit.check(getattr(P, function), *arrays(*shapes))


@pytest.mark.peers
@pytest.mark.parametrize("name", [n for n in OTHERS if n != "trace"])
def test_other_products_against_torch(name):
    torch = pytest.importorskip("torch")
    function, shapes = OTHERS[name]
    kit.compare_with_torch(getattr(P, function), getattr(torch, function), *arrays(*shapes))


@pytest.mark.parametrize(
    "function, shapes",
    [
        (np.dot, [(3,), (3,)]), (np.dot, [(2, 3), (3, 4)]), (np.dot, [(2, 3), (3,)]), (np.dot, [(2, 3), (2, 3, 4)]),
        (np.dot, [(), (2, 3)]), (np.inner, [(2, 3), (4, 3)]), (np.inner, [(), (2,)]), (np.vdot, [(2, 3), (2, 3)]),
        (np.outer, [(2, 2), (3,)]), (np.kron, [(2, 3), (4,)]), (np.cross, [(2, 3), (3,)]), (np.trace, [(3, 4, 2)]),
        (np.tensordot, [(2, 3, 4), (3, 4, 2)]), (np.linalg.cross, [(3,), (3,)]), (np.linalg.matmul, [(2, 3), (3, 2)]),
        (np.linalg.outer, [(2,), (3,)]),
    ],
)  # fmt: skip
def test_numpy_functions_on_tensors(function, shapes):
    given = arrays(*shapes)
    found = function(*(tj.tensor(x, requires_grad=True) for x in given))
    np.testing.assert_allclose(found.detach().array, function(*given), rtol=1e-13)


@pytest.mark.parametrize("axes", [0, 1, 2, ([2, 0], [1, 0]), (-1, 1), ([0, 2], [0, 1]), ([], [])])
def test_tensordot(axes):
    x = np.array(kit.randn(2, 3, 2))
    y = np.array(kit.randn(*((3, 2, 2) if axes == 2 else (2, 2, 3)), seed=1))
    np.testing.assert_allclose(P.tensordot(x, y, dims=axes), np.tensordot(x, y, axes), rtol=1e-13)
    kit.check(lambda x, y: P.tensordot(x, y, axes), x, y, expect="einsum")


def test_outer_is_a_kronecker_product():
    x, y = np.array([1.0, 2.0]), np.array([3.0, 4.0, 5.0])
    by_x, by_y = recorded(P.outer, x[:, None], y[None, :])
    assert np.array_equal(by_x.dense(), np.kron(np.eye(2), y[:, None]))
    assert np.array_equal(by_y.dense(), np.kron(x[:, None], np.eye(3)))


@pytest.mark.parametrize("axis", [-1, 0])
def test_cross(axis):
    x, y = arrays((3, 3), (3, 3))
    np.testing.assert_allclose(P.cross(x, y, dim=axis), np.cross(x, y, axis=axis), rtol=1e-13)
    kit.check(lambda x, y: P.cross(x, y, axis), x, y)


@pytest.mark.peers
def test_cross_and_bilinear_against_torch():
    torch = pytest.importorskip("torch")
    kit.compare_with_torch(P.cross, torch.linalg.cross, *arrays((2, 3), (1, 3)))
    bilinear = torch.nn.functional.bilinear
    kit.compare_with_torch(P.bilinear, bilinear, *arrays((2, 5, 3), (2, 5, 4), (2, 3, 4), (2,)))
    kit.compare_with_torch(P.bilinear, bilinear, *arrays((3,), (4,), (2, 3, 4)))


def test_bilinear():
    kit.check(P.bilinear, *arrays((2, 3), (2, 2), (2, 3, 2), (2,)))


def test_errors_of_the_other_products():
    with pytest.raises(ShapeError, match=r"mm: takes arrays of 2 and 2 axes, not shapes \(2,\) and \(2, 2\)"):
        P.mm(tj.ones(2), tj.ones(2, 2))
    with pytest.raises(ShapeError, match=r"bmm: stacks of 1 and 2 matrices"):
        P.bmm(tj.ones(1, 2, 2), tj.ones(2, 2, 2))
    with pytest.raises(ShapeError, match=r"cross: takes three entries along axis -1"):
        P.cross(tj.ones(2), tj.ones(2))
    with pytest.raises(ShapeError, match=r"axes \[-1\] of shape \(2, 3\) and \[-2\] of shape \(2, 2\) differ in size"):
        P.tensordot(tj.ones(2, 3), tj.ones(2, 2), 1)


# ------------------------------------------------------------------------------------------------ linear

LINEAR = [
    ((3, 4), (2, 4)), ((4,), (2, 4)), ((1, 4), (2, 4)), ((2, 3, 4), (5, 4)), ((2, 1, 3, 2), (1, 2)), ((3, 1), (2, 1)),
    ((1,), (2, 1)), ((0, 4), (2, 4)), ((3, 0), (2, 0)),
]  # fmt: skip


@pytest.mark.parametrize("x, w", LINEAR)
def test_linear(x, w):
    given = arrays(x, w, w[:1])
    np.testing.assert_allclose(P.linear(*given), given[0] @ given[1].T + given[2], rtol=1e-13)
    kit.check(P.linear, *given, expect="linear")
    kit.check(lambda x, w: P.linear(x, w), *given[:2], expect="linear")


@pytest.mark.peers
@pytest.mark.parametrize("x, w", LINEAR)
def test_linear_against_torch(x, w):
    torch = pytest.importorskip("torch")
    kit.compare_with_torch(P.linear, torch.nn.functional.linear, *arrays(x, w, w[:1]))
    kit.compare_with_torch(P.linear, torch.nn.functional.linear, *arrays(x, w))
    kit.compare_with_torch(P.linear, torch.nn.functional.linear, *arrays(x, w[1:]))
    # PyTorch fails where there is a bias beside a weight that is a vector, though it documents one.
    kit.compare_with_torch(P.linear, lambda x, w, b: torch.nn.functional.linear(x, w) + b, *arrays(x, w[1:], ()))


def test_textbook_linear_layer():
    x, W, b = np.array([7.0, 8, 9]), np.array([[1.0, 2, 3], [4, 5, 6]]), np.array([1.0, 2])
    by_x, by_W, by_b = recorded(P.linear, x, W, b)
    assert np.array_equal(by_x.dense(), W)
    assert np.array_equal(by_W.dense(), [[7, 8, 9, 0, 0, 0], [0, 0, 0, 7, 8, 9]])  # I ⊗ xᵀ
    assert np.array_equal(by_W.dense(), np.kron(np.eye(2), x[None, :]))
    assert np.array_equal(by_b.dense(), np.eye(2))
    assert "kron" in by_x.structure
    assert "kron" in by_W.structure
    assert by_W.nnz == 6


def test_textbook_linear_layer_of_a_batch():
    X, W = arrays((2, 3), (2, 3))
    by_x, by_W = recorded(lambda x, w: P.linear(x, w), X, W)
    assert np.array_equal(by_x.dense(), np.kron(np.eye(2), W))
    assert by_x.structure == "kron"
    # One sample after the other, each with its I ⊗ xᵀ.
    assert np.array_equal(by_W.dense(), np.vstack([np.kron(np.eye(2), x[None, :]) for x in X]))


def test_linear_says_which_sizes_disagree():
    with pytest.raises(
        ShapeError, match=r"x of shape \(2, 3\) and weight of shape \(5, 4\) .* of x, 3, must equal in, 4"
    ):
        P.linear(tj.ones(2, 3), tj.ones(5, 4))
    with pytest.raises(ShapeError, match=r"weight of shape \(1, 1, 3\) do not fit: the weight is \(out, in\)"):
        P.linear(tj.ones(2, 3), tj.ones(1, 1, 3))
    with pytest.raises(ShapeError, match=r"\(2, 3\) and \(4,\)"):
        P.linear(tj.ones(2, 3), tj.ones(4))
    with pytest.raises(
        ShapeError, match=r"bias of shape \(1,\) does not fit weight of shape \(5, 3\): it must be \(5,\)"
    ):
        P.linear(tj.ones(2, 3), tj.ones(5, 3), tj.ones(1))


def test_the_weights_of_a_stack_take_one_product(monkeypatch):
    """No stack of gradients, one for each matrix of a batch, is built before it is summed."""
    shapes = []
    product = P._product
    monkeypatch.setattr(P, "_product", lambda x, y: shapes.append(product(x, y).shape) or product(x, y))
    for fn, w in [(P.matmul, (4, 5)), (lambda x, w: P.linear(x, w), (5, 4))]:
        x, weight = (tj.tensor(v, requires_grad=True) for v in arrays((10, 3, 4), w))
        z = fn(x, weight)
        shapes.clear()
        z.backward(np.ones(z.shape))
        assert sorted(shapes) == sorted([(30, 4), w])
        shapes.clear()
        tj.autograd.grad(fn(x, weight), [weight], np.ones((6, *z.shape)), is_grads_batched=True)
        assert shapes == [(30, 5), (6, *w)]


# ------------------------------------------------------------------------------------------------ einsum

EINSUMS = [
    ("ij,jk->ik", (2, 3), (3, 4)),
    ("ij,jk", (2, 3), (3, 4)),
    (" i j , j k -> i k ", (2, 3), (3, 4)),
    ("ba,cb", (2, 3), (4, 2)),  # the output is in the order of the alphabet
    ("aB,Ba", (2, 3), (3, 2)),
    ("aB", (2, 3)),  # capitals first
    ("ij->ji", (2, 3)),
    ("ij->j", (2, 3)),
    ("ij->", (2, 3)),
    ("ii", (3, 3)),
    ("ii->i", (3, 3)),
    ("iji->ij", (2, 3, 2)),
    ("iii->i", (2, 2, 2)),
    ("iijj->ij", (2, 2, 3, 3)),
    ("i,j->ij", (2,), (3,)),
    ("i,i->", (3,), (3,)),
    ("i,i->i", (3,), (3,)),
    ("ij,ij->i", (2, 3), (2, 3)),
    ("ij,kj->ik", (2, 3), (4, 3)),
    ("bij,bjk->bik", (2, 2, 3), (2, 3, 4)),
    ("bij,bkj->kib", (2, 2, 3), (2, 4, 3)),
    ("bhqd,bhkd->bhqk", (2, 2, 3, 2), (2, 2, 4, 2)),
    ("iij,jk->ik", (2, 2, 3), (3, 2)),
    ("ij,k->jk", (2, 3), (2,)),  # i is summed in one operand alone
    ("ij,kl->", (2, 3), (2, 2)),
    (",i->i", (), (3,)),
    (",->", (), ()),
    ("...ij,...jk->...ik", (2, 1, 2, 3), (2, 3, 2)),
    ("...i,...i", (2, 3), (2, 3)),
    ("...i->i...", (2, 3)),
    ("i...->...", (2, 3)),
    ("...,...", (2, 1), (3,)),
    ("ij,j->i", (2, 1), (3,)),  # size 1 broadcasts
    ("ij,ij->ij", (2, 1), (1, 3)),
    ("ij,jk,kl->il", (2, 3), (3, 2), (2, 4)),
    ("i,i,i->i", (3,), (3,), (3,)),
    ("i,ij,j", (2,), (2, 3), (3,)),
    ("ijk,ilm,njm,nlk,abc->", (2, 3, 2), (2, 3, 2), (2, 3, 2), (2, 3, 2), (1, 1, 2)),
    ("ij,jk->ik", (0, 3), (3, 2)),
    ("ij,jk->ik", (2, 0), (0, 2)),
]


@pytest.mark.parametrize("case", EINSUMS, ids=lambda case: f"{case[0]} {case[1:]}")
def test_einsum(case):
    equation, *shapes = case
    given = arrays(*shapes)
    expected = np.einsum(equation, *given)
    np.testing.assert_allclose(P.einsum(equation, *given), expected, rtol=1e-12)
    np.testing.assert_allclose(np.einsum(equation, *map(tj.tensor, given)).array, expected, rtol=1e-12)
    kit.check(lambda *xs: P.einsum(equation, *xs), *given)


@pytest.mark.peers
@pytest.mark.parametrize("case", [*EINSUMS, ("...i->i", (2, 3))], ids=lambda case: f"{case[0]} {case[1:]}")
def test_einsum_against_torch(case):
    torch = pytest.importorskip("torch")
    equation, *shapes = case
    kit.compare_with_torch(
        lambda *xs: P.einsum(equation, *xs), lambda *xs: torch.einsum(equation, *xs), *arrays(*shapes)
    )


@settings(max_examples=40)
@given(st.data())
def test_generated_einsums(data):
    """One to three operands over four letters, repeated letters and implicit outputs included."""
    sizes = dict(zip("ijkl", (2, 3, 1, 2)))
    terms = data.draw(st.lists(st.text("ijkl", max_size=3), min_size=1, max_size=3))
    used = sorted(set("".join(terms)))
    output = data.draw(st.permutations(used)) if used else []
    equation = ",".join(terms)
    if data.draw(st.booleans()):
        equation += "->" + "".join(output[: data.draw(st.integers(0, len(output)))])
    given = arrays(*([sizes[c] for c in term] for term in terms))
    np.testing.assert_allclose(P.einsum(equation, *given), np.einsum(equation, *given), rtol=1e-11, atol=1e-13)
    kit.check(lambda *xs: P.einsum(equation, *xs), *given, second=len(terms) < 3)


def test_einsum_of_one_tensor_twice():
    (x,) = arrays((3, 3))
    kit.check(lambda x: P.einsum("ij,kj->ik", x, x), x, expect="einsum")
    kit.check(lambda x: P.einsum("ij,jk,kl->il", x, x, x), x)


def test_einsum_in_its_other_forms():
    x, y = (tj.tensor(v, requires_grad=True) for v in arrays((2, 3), (3, 4)))
    expected = (x @ y).array
    for found in (
        P.einsum(x, [0, 1], y, [1, 2], [0, 2]),
        P.einsum(x, [0, 1], y, [1, 2]),
        P.einsum(x, [..., 7], y, [7, 3], [..., 3]),
        P.einsum("ij,jk->ik", [x, y]),
        np.einsum("ij,jk->ik", x, y, optimize=True),
    ):
        assert found.requires_grad
        np.testing.assert_allclose(found.array, expected, rtol=1e-13)


def test_an_einsum_is_linear_in_each_operand():
    X, Y = arrays((2, 3), (3, 4))
    by_X, by_Y = recorded(lambda x, y: P.einsum("ij,jk->ki", x, y), X, Y)
    assert by_X.structure == by_Y.structure == "contraction"
    swap = np.arange(8).reshape(2, 4).T.reshape(-1)  # rows of X Y in the order of (X Y)ᵀ
    assert np.allclose(by_X.dense(), np.kron(np.eye(2), Y.T)[swap])
    assert np.allclose(by_Y.dense(), np.kron(X, np.eye(4))[swap])


@pytest.mark.optimisation("matrix_products")
def test_einsum_of_matrices_is_a_matrix_product(monkeypatch):
    """Where there is a matrix product in it, the loops of NumPy's einsum are not used."""
    monkeypatch.setattr(np, "einsum", None)
    for equation in ("ij,jk->ik", "bhqd,bhkd->bhqk", "ij,j->i", "ijk,kj->i"):
        sizes = dict(zip("bhqdkij", (2, 2, 3, 4, 3, 2, 3)))
        shapes = [[sizes[c] for c in term] for term in equation.split("->")[0].split(",")]
        out = P.einsum(equation, *(tj.tensor(v, requires_grad=True) for v in arrays(*shapes)))
        assert out.node.name == "einsum"


@pytest.mark.parametrize(
    "equation, shapes, error, message",
    [
        ("ij,jk->ik", [(2, 3), (4, 5)], ShapeError, "'ij,jk->ik': the letter 'j' has sizes 3 and 4 in two operands"),
        ("ii", [(2, 3)], ShapeError, "the letter 'i' has sizes 2 and 3 in one operand"),
        ("ijk->i", [(2, 3)], ShapeError, r"gives operand 0 the subscripts 'ijk', its shape is \(2, 3\)"),
        ("i->i", [(2, 3)], ShapeError, r"gives operand 0 the subscripts 'i', its shape is \(2, 3\)"),
        ("ij,jk->ik", [(2, 3)], ValueError, "is about 2 operands, not 1"),
        ("ij->ik", [(2, 3)], ValueError, "must name letters of the operands, each once"),
        ("ij->ii", [(2, 3)], ValueError, "must name letters of the operands, each once"),
        ("i1->i", [(2, 3)], ValueError, "is not letters for each operand"),
        ("i..j->i", [(2, 3)], ValueError, "is not letters for each operand"),
    ],
)
def test_einsum_says_what_is_wrong(equation, shapes, error, message):
    with pytest.raises(error, match=message):
        P.einsum(equation, *arrays(*shapes))
