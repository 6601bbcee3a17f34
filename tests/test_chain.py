"""Algorithm 1: local Jacobians along a graph, their product, and what is had of it without writing it out."""

from __future__ import annotations

import gc
import itertools
import tracemalloc

import numpy as np
import pytest
from examples_of_primitives import EXAMPLES
from kit import close, positive, randn, rng
from test_jacobians import StructureSuite

import tinygrad_jac as tj
from tinygrad_jac import graph
from tinygrad_jac.errors import GradientError, ShapeError
from tinygrad_jac.jacobians import Compose, Diagonal, DiagPlusLowRank, Identity, Kron, Sum, chain
from tinygrad_jac.jacobians.links import Links
from tinygrad_jac.jacobians.rows import Apart, Outer, full
from tinygrad_jac.nn.functional import linear

EXACT = 1e-12


def leaf(array) -> tj.Tensor:
    return tj.tensor(np.asarray(array), requires_grad=True)


def network(*sizes: int, seed: int = 0, dtype=np.float64, paper: bool = False) -> dict[str, tj.Tensor]:
    """Weights and biases: (out, in) as PyTorch has them, or (in, out) as the paper does."""
    draw, params = rng(seed), {}
    for layer, (n, m) in enumerate(itertools.pairwise(sizes), 1):
        W = draw.standard_normal((n, m) if paper else (m, n)) / np.sqrt(n)
        params[f"W{layer}"] = leaf(W.astype(dtype))
        params[f"b{layer}"] = leaf((draw.standard_normal(m) / 2).astype(dtype))
    return params


def run(params, x, activation=tj.relu, paper: bool = False):
    """z of the last layer."""
    layers = len(params) // 2
    for k in range(1, layers + 1):
        W, b = params[f"W{k}"], params[f"b{k}"]
        x = x @ W + b if paper else linear(x, W, b)
        x = activation(x) if k < layers else x
    return x


def whole(output, tensors) -> np.ndarray:
    """J by the VJP rules: one walk back with the identity."""
    m = output.numel()
    seeds = np.eye(m, dtype=output.dtype).reshape(m, *output.shape)
    found = tj.autograd.grad(
        output, list(tensors), seeds, is_grads_batched=True, retain_graph=True, materialize_grads=True
    )
    rows = [np.broadcast_to(c.array, (m, *t.shape)).reshape(m, -1) for c, t in zip(found, tensors)]
    return np.concatenate(rows, axis=1)


# ------------------------------------------------------------------------------------------------ the paper


def test_one_layer_of_four_features_and_three_classes():
    x = randn(4)
    params = network(4, 3, paper=True)
    J = chain(run(params, tj.tensor(x), paper=True), params)
    assert J.shape == (3, 15)
    zero = np.zeros(4)
    written = np.block(
        [
            [x, zero, zero, np.array([1.0, 0, 0])],
            [zero, x, zero, np.array([0, 1.0, 0])],
            [zero, zero, x, np.array([0, 0, 1.0])],
        ]
    )
    assert np.array_equal(J.dense(order="F"), written), "θ = [vec(W); b], vec stacking columns"
    assert np.array_equal(J.dense(), np.concatenate([np.kron(x, np.eye(3)), np.eye(3)], axis=1))


def test_theta_by_stacking_columns():
    """θ = [vec(W); b]: the vector that the columns of dense(order="F") belong to, and its way back."""
    params = network(4, 3, paper=True)
    J = chain(run(params, tj.tensor(randn(4)), paper=True), params)
    arrays = {name: p.array for name, p in params.items()}
    theta = J.flatten(arrays, order="F")
    assert np.array_equal(theta, np.concatenate([arrays["W1"].ravel(order="F"), arrays["b1"]]))
    close(J.dense(order="F") @ theta, J @ J.flatten(arrays), EXACT, "the same product in both orders")
    for name, array in J.split(theta, order="F").items():
        assert np.array_equal(array, arrays[name]), name
    several = {name: np.stack([a, 2 * a]) for name, a in arrays.items()}
    rows = J.flatten(several, order="F")
    assert np.array_equal(rows, np.stack([theta, 2 * theta]))
    assert all(np.array_equal(a, several[name]) for name, a in J.split(rows, order="F").items())


def test_the_weight_may_be_transposed_first():
    """Wᵀx + b, as the paper writes it: W and b are still one layer, and the last layer comes first."""
    x, params = tj.tensor(randn(4)), network(4, 5, 3, paper=True)
    W1, b1, W2, b2 = params.values()
    J = chain(W2.T @ tj.relu(W1.T @ x + b1) + b2, params)
    assert J.layers == [("W2", "b2"), ("W1", "b1")]
    close(J.dense(), chain(run(params, x, paper=True), params).dense(), EXACT, "the same matrix")
    w, b = leaf(randn(4)), leaf(0.5)
    assert chain(w @ x + b, {"w": w, "b": b}).layers == [("w", "b")]
    assert chain(w.reshape(2, 2), {"w": w}).layers == [("w",)]


def test_two_layers():
    x = randn(4)
    params = network(4, 5, 3, paper=True)
    z = run(params, tj.tensor(x), activation=tj.sigmoid, paper=True)
    W1, b1, W2 = (params[name].array for name in ("W1", "b1", "W2"))
    a1 = 1 / (1 + np.exp(-(x @ W1 + b1)))
    last = np.concatenate([np.kron(np.eye(3), a1), np.eye(3)], axis=1)
    first = W2.T @ np.diag(a1 * (1 - a1)) @ np.concatenate([np.kron(np.eye(5), x), np.eye(5)], axis=1)
    J = chain(z, params)
    assert chain(z, {k: params[k] for k in ("W2", "b2")}).dense(order="F").shape == last.shape == (3, 18)
    assert chain(z, {k: params[k] for k in ("W1", "b1")}).dense(order="F").shape == first.shape == (3, 25)
    assert J.shape == (3, 43)
    close(J.dense(order="F"), np.concatenate([last, first], axis=1), EXACT, "the last layer's block comes first")
    assert J.names == ["W2", "b2", "W1", "b1"]
    assert J.layers == [("W2", "b2"), ("W1", "b1")]
    given = chain(z, params, last_layer_first=False)
    assert given.names == list(params)
    close(given.dense(order="F"), np.concatenate([first, last], axis=1), EXACT, "in the order given")

    # Step 8: ∇ℓ = Jᵀ ∇_z ℓ, with Table 1's -(y - ŷ) for softmax and cross-entropy.
    y = np.array([0.0, 1.0, 0.0])
    loss = tj.nn.functional.cross_entropy(z, tj.tensor(y))
    loss.backward(retain_graph=True)
    y_hat = np.exp(z.array) / np.exp(z.array).sum()
    found = J.gradient(-(y - y_hat))
    for name, p in params.items():
        close(found[name], p.grad.array, EXACT, name)
        close(J.split(J.T @ -(y - y_hat))[name], p.grad.array, EXACT, name)


@pytest.mark.parametrize("dtype, tolerance", [(np.float64, EXACT), (np.float32, 1e-5)])
def test_lenet_300_100(dtype, tolerance):
    params = network(784, 100, 300, 10, dtype=dtype)
    z = run(params, tj.tensor(randn(784).astype(dtype)))
    J = chain(z, params)
    assert J.shape == (10, 111_810) == (10, 78_500 + 30_300 + 3_010)
    D = J.dense()
    assert D.dtype == dtype
    close(D, whole(z, [params[name] for name in J.names]), tolerance, "against the VJP rules")
    sizes = {name: block.shape for name, block in J.blocks.items()}
    assert sizes == {
        "W3": (10, 3000),
        "b3": (10, 10),
        "W2": (10, 30000),
        "b2": (10, 300),
        "W1": (10, 78400),
        "b1": (10, 100),
    }
    u = rng(5).standard_normal(10).astype(dtype)
    z.backward(u)
    for name, g in J.gradient(u).items():
        assert g.dtype == dtype
        close(g, params[name].grad.array, tolerance, f"gradient of {name}")


def test_relu_is_a_diagonal_of_zeros_and_ones_that_removes_rows():
    params = network(4, 5, 3)
    J = chain(run(params, tj.tensor(randn(4))), params)
    (relu,) = [link for link in J.links if link.op == "relu"]
    assert type(relu.jacobian) is Diagonal
    assert set(relu.jacobian.d) == {0.0, 1.0}
    off = relu.jacobian.d == 0
    below = chain(run(params, tj.tensor(randn(4))), params).blocks["b1"]
    assert not below[:, off].any()


def test_the_printed_product():
    params = network(4, 5, 3)
    J = chain(run(params, tj.tensor(randn(4))), params)
    assert str(J) == (
        "J of linear (3,) by θ, 3×43 = [ 3×18 by W2, b2 | 3×25 by W1, b1 ]\n"
        "  J_W2 3×15 = linear/weight [kron 3×15]\n"
        "  J_b2 3×3 = linear/bias [identity 3×3]\n"
        "  J_W1 3×20 = linear/x [kron 3×5] · relu/x [diagonal 5×5] · linear/weight [kron 5×20]\n"
        "  J_b1 3×5 = linear/x [kron 3×5] · relu/x [diagonal 5×5] · linear/bias [identity 5×5]"
    )
    assert repr(J) == "<chain of 6 local Jacobians, 3x43: W2, b2, W1, b1 -> (3,)>"
    assert [repr(link) for link in J.links][:2] == ["∂linear/∂x 3×5 kron", "∂linear/∂weight 3×15 kron"]
    ages = [link.node.order for link in J.links]
    assert ages == sorted(ages, reverse=True), "newest first"


def test_the_printed_product_has_no_identities_within():
    params = network(4, 5, 3, paper=True)
    J = chain(run(params, tj.tensor(randn(4)), paper=True), params)
    assert str(J).splitlines()[1:] == [
        "  J_W2 3×15 = matmul/y [kron 3×15]",
        "  J_b2 3×3 = add/y [identity 3×3]",
        "  J_W1 3×20 = matmul/x [kron 3×5] · relu/x [diagonal 5×5] · matmul/y [kron 5×20]",
        "  J_b1 3×5 = matmul/x [kron 3×5] · relu/x [diagonal 5×5] · add/y [identity 5×5]",
    ]
    assert len(J) == 11, "they are links all the same"


# ------------------------------------------------------------------------------------------------ on many graphs


def graph_of(name: str):
    """An output and named parameters: graphs in which samples stay apart, share parameters, or meet."""
    x = tj.tensor(randn(4, 3, seed=1))
    if name == "mlp":
        params = network(3, 5, 2)
        return run(params, x, activation=tj.tanh), params
    if name == "matmul and add":
        params = network(3, 5, 2, paper=True)
        return run(params, x, activation=tj.tanh, paper=True), params
    if name == "one loss for each sample":
        params = network(3, 5, 2)
        return (run(params, x, activation=tj.sigmoid) ** 2).sum(1), params
    if name == "scalar":
        params = network(3, 5, 2)
        return (run(params, x, activation=tj.sigmoid) ** 2).mean(), params
    if name == "reused input":
        w = leaf(randn(3))
        return tj.tanh(x * w) * w + (w * w).sum(), {"w": w}
    if name == "residual":
        params = network(3, 3, 3, 3)
        h = x
        for k in (1, 2, 3):
            h = h + tj.tanh(linear(h, params[f"W{k}"], params[f"b{k}"]))
        return h, params
    if name == "recurrent":
        params = {"U": leaf(randn(2, 3) / 2), "W": leaf(randn(2, 2, seed=2) / 2), "b": leaf(randn(2))}
        xs, h = tj.tensor(randn(4, 6, 3, seed=3)), tj.tensor(np.zeros((4, 2)))
        for t in range(6):
            h = tj.tanh(linear(xs[:, t], params["U"]) + linear(h, params["W"], params["b"]))
        return h, params
    if name == "sequence":
        params = network(3, 5, 2)
        return run(params, tj.tensor(randn(4, 6, 3, seed=4)), activation=tj.tanh), params
    if name == "samples second":
        params = network(3, 2)
        return run(params, tj.tensor(randn(6, 4, 3, seed=4))), params
    if name == "convolution":
        params = {"w": leaf(randn(2, 1, 2, 2)), "b": leaf(randn(2)), "W": leaf(randn(3, 8))}
        images = tj.tensor(randn(4, 1, 3, 3, seed=5))
        a = tj.tanh(tj.nn.functional.conv2d(images, params["w"], params["b"]))
        return linear(a.reshape(4, 8), params["W"]), params
    if name == "batch mean":
        params = network(3, 2)
        h = run(params, x)
        return tj.tanh(h - h.mean(0) / 2), params
    if name == "embedding":
        params = {"table": leaf(randn(5, 3)), "W": leaf(randn(2, 3))}
        rows = params["table"][np.array([0, 2, 2, 4])]
        return linear(tj.tanh(rows), params["W"]), params
    if name == "softmax":
        params = network(3, 4)
        return tj.softmax(run(params, x), 1), params
    if name == "attention":
        params = {k: leaf(randn(3, 3, seed=s)) for s, k in enumerate("qkv")}
        xs = tj.tensor(randn(4, 5, 3, seed=6))
        q, k, v = (linear(xs, params[name]) for name in "qkv")
        return (tj.softmax(q @ k.mT / 3**0.5, -1) @ v).sum(1), params
    if name == "the samples themselves":
        x = leaf(randn(4, 3))
        params = network(3, 2)
        return tj.tanh(linear(x * x, params["W1"])), {"x": x, "W1": params["W1"]}
    if name == "within the graph":
        params = network(3, 5, 2)
        h = tj.tanh(linear(x, params["W1"], params["b1"]))
        return linear(h, params["W2"], params["b2"]), {"h": h, "W1": params["W1"], "W2": params["W2"]}
    if name == "two steps back":
        first, second = leaf(randn(2)), leaf(randn(2, seed=1))
        xs = [first, second]
        for _ in range(5):
            xs.append(tj.sin(xs[-1]) + xs[-2] * 0.5)
        return xs[-1], {"first": first, "second": second}
    if name == "unreached":
        params = network(3, 2)
        return run(params, x), {**params, "other": leaf(randn(2, 2))}
    raise KeyError(name)


GRAPHS = [
    "mlp", "matmul and add", "one loss for each sample", "scalar", "reused input", "residual", "recurrent", "sequence",
    "samples second", "convolution", "batch mean", "embedding", "softmax", "attention", "the samples themselves",
    "within the graph", "two steps back", "unreached",
]  # fmt: skip


@pytest.mark.parametrize("name", GRAPHS)
def test_everything_agrees_with_the_matrix(name):
    output, params = graph_of(name)
    J = chain(output, params)
    D = whole(output, [params[n] for n in J.names])
    m, n = D.shape
    assert J.shape == (m, n)
    close(J.dense(), D, EXACT, "dense")
    close(J.dense("denominator"), D.T, EXACT, "denominator layout")
    start = 0
    for key, block in J.blocks.items():
        close(block, D[:, start : start + block.shape[1]], EXACT, f"block of {key}")
        close(J.product(key).dense(), block, EXACT, f"product of {key}, written out")
        v = rng(1).standard_normal((2, *params[key].shape))
        close(J.product(key).jvp(v).reshape(2, m), v.reshape(2, -1) @ block.T, EXACT, f"product of {key}, applied")
        start += block.shape[1]
    v, u = rng(2).standard_normal(n), rng(3).standard_normal(m)
    close((J @ v).reshape(m), D @ v, EXACT, "J @ v")
    close(J @ np.stack([v, 2 * v], 1), D @ np.stack([v, 2 * v], 1), EXACT, "J @ V")
    close(J @ J.split(v), J @ v, 0, "vectors by name")
    close(J.T @ u, D.T @ u, EXACT, "J.T @ u")
    close(J.T @ u.reshape(output.shape), D.T @ u, EXACT, "J.T @ u, shaped")
    close(J @ J.T, D @ D.T, EXACT, "the kernel")
    close(J.row_norms().reshape(m), np.linalg.norm(D, axis=1), EXACT, "row norms")
    H = rng(4).standard_normal((m, m))
    H = H @ H.T
    close(J.gauss_newton(v, H), D.T @ (H @ (D @ v)), EXACT * 10, "Gauss-Newton")
    close(J.gauss_newton(v), D.T @ (D @ v), EXACT, "Gauss-Newton without a loss")
    by_name = J.gauss_newton(J.split(v), lambda z: 2 * z)
    close(J.flatten(by_name), 2 * D.T @ (D @ v), EXACT, "Gauss-Newton by name, H as a function")


@pytest.mark.parametrize("name", GRAPHS)
def test_the_gradient_is_what_backward_accumulates(name):
    output, params = graph_of(name)
    J = chain(output, params)
    u = rng(7).standard_normal(output.shape)
    found = J.gradient(tj.tensor(u))
    for p in params.values():
        p.retain_grad()
    output.backward(u)
    for key, p in params.items():
        expected = np.zeros(p.shape) if p.grad is None else p.grad.array
        close(found[key], expected, EXACT, key)
    if output.shape == ():
        close(J.flatten(J.gradient()), J.flatten(J.gradient(np.ones(()))), 0, "1 for a scalar")


@pytest.mark.parametrize(
    "name", ["mlp", "sequence", "convolution", "recurrent", "attention", "one loss for each sample"]
)
def test_samples_stay_apart_where_they_do_not_see_each_other(name):
    """They meet at the parameters only, so that the walk serves all of them at once."""
    output, params = graph_of(name)
    links = Links([output.node], [p.node for p in params.values()])
    samples, size = output.shape[0], int(np.prod(output.shape[1:]))
    u = np.ones((size, *output.shape))
    list(links.pull_each(u, samples, size))
    assert links.met
    assert {link.source for link in links.met} <= {p.node for p in params.values()}


def test_where_samples_meet_is_named():
    output, params = graph_of("batch mean")
    links = Links([output.node], [p.node for p in params.values()])
    list(links.pull_each(np.ones((2, 4, 2)), 4, 2))
    assert (links.met[0].op, links.met[0].argument) == ("sub", "y")


def test_rows_of_linear_layers_are_never_multiplied_out():
    output, params = graph_of("mlp")
    links = Links([output.node], [p.node for p in params.values()])
    found = dict(links.pull_each(np.ones((2, 4, 2)), 4, 2))
    for name in ("W1", "W2"):
        (rows,) = found[params[name].node]
        assert isinstance(rows, Outer), name
        assert full(rows).shape == (2, 4, *params[name].shape)


def test_kernel_between_two_batches():
    params = network(3, 5, 2)
    ours = chain(run(params, tj.tensor(randn(4, 3))), params)
    theirs = chain(run(params, tj.tensor(randn(6, 3, seed=8))), params)
    K = ours @ theirs.T
    assert K.shape == (8, 12)
    close(K, ours.dense() @ theirs.dense().T, EXACT, "J @ J'.T")
    close(ours.gram(theirs), (theirs @ ours.T).T, EXACT, "transposed")
    with pytest.raises(ShapeError, match="the parameters differ"):
        ours.gram(chain(run(params, tj.tensor(randn(4, 3))), {"W1": params["W1"]}))


def test_gauss_newton_of_a_loss_is_the_hessian_of_a_model_that_is_linear_in_its_parameters():
    """For softmax regression JᵀHJ is the Hessian itself; H is diag(p) - ppᵀ for each sample, over their number."""
    W, x, labels = leaf(randn(3, 4)), tj.tensor(randn(5, 4, seed=1)), np.array([0, 1, 2, 1, 0])
    J = chain(linear(x, W), {"W": W})

    def loss(W):
        return tj.nn.functional.cross_entropy(linear(x, W), tj.tensor(labels))

    hessian = tj.autograd.functional.hessian(loss, W.detach()).array.reshape(12, 12)
    z = x.array @ W.array.T
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    blocks = (np.einsum("bi,ij->bij", p, np.eye(3)) - np.einsum("bi,bj->bij", p, p)) / 5
    structured = DiagPlusLowRank(p / 5, -p[None] / 5, p[None], axes=(-1,))
    v = rng(2).standard_normal(12)
    for H in (blocks, structured, structured.dense(), structured.jvp, tj.tensor(blocks)):
        close(J.gauss_newton(v, H), hessian @ v, 1e-11, "Gauss-Newton against the Hessian")
    with pytest.raises(ShapeError, match="a matrix for each of 5 samples"):
        J.gauss_newton(v, np.eye(3))
    with pytest.raises(ShapeError, match=r"shape \(12,\)"):
        J.gauss_newton(v[:5])


# ------------------------------------------------------------------------------------------------ the factored form


def test_products_stay_factored():
    params = network(4, 5, 3)
    J = chain(run(params, tj.tensor(randn(4)), activation=tj.tanh), params)
    product = J.product("W1")
    assert isinstance(product, Compose)
    assert product.structure == "kron · diagonal · kron"
    with pytest.raises(KeyError, match="no parameter is named 'W9'"):
        J.product("W9")


def test_several_paths_are_a_sum_between_what_all_pass():
    output, params = graph_of("residual")
    product = chain(output, params).product("W1")
    assert isinstance(product, Compose)
    sums = [f for f in product.factors if isinstance(f, Sum)]
    assert len(sums) == 2, "one for each of the two residual blocks above, not one for each of four paths"
    assert "+" in str(chain(output, params))


def test_what_is_asked_for_itself_and_what_is_not_reached():
    x = leaf(randn(3))
    y = tj.exp(x)
    J = chain(y, {"y": y, "other": leaf(randn(2))})
    assert np.array_equal(J.dense(), np.concatenate([np.eye(3), np.zeros((3, 2))], axis=1))
    assert isinstance(J.product("y"), Identity)
    assert not J.product("other").dense().any()
    assert "J_y     3×3 = I" in str(J)
    assert "J_other 3×2 = 0" in str(J)


@pytest.mark.parametrize("steps", [40, 150])
def test_exponentially_many_paths_cost_what_the_graph_does(steps):
    first = leaf(randn(2))
    a, b = first, tj.sin(first)
    for _ in range(steps):
        a, b = b, tj.sin(b) + a * 0.5
    J = chain(b, {"x": first})
    product = J.product("x")
    close(product.dense(), whole(b, [first]), 1e-11, "dense")
    v = rng(0).standard_normal((1, 2))
    close(product.jvp(v)[0], whole(b, [first]) @ v[0], 1e-11, "jvp")
    assert "along the graph" in str(J)
    assert len(str(J)) < 2000


def test_a_long_sequence_does_not_recurse():
    w = leaf(np.array(0.9))
    h = tj.tensor(np.array(1.0))
    for _ in range(1500):
        h = tj.sin(h * w)
    J = chain(h, {"w": w})
    close(J.dense(), whole(h, [w]), 1e-10, "dense")
    close(J.product("w").dense(), whole(h, [w]), 1e-10, "product")


# ------------------------------------------------------------------------------------------------ what can be given


def test_parameters_as_module_dict_pairs_or_list():
    net = tj.nn.Sequential(tj.nn.Linear(4, 5), tj.nn.ReLU(), tj.nn.Linear(5, 3))
    z = net(tj.tensor(randn(4).astype(np.float32)))
    named = dict(net.named_parameters())
    order = ["2.weight", "2.bias", "0.weight", "0.bias"]
    D = whole(z, [named[n] for n in order])
    for params in (net, named, net.named_parameters(), list(named.items())):
        J = chain(z, params)
        assert J.names == order
        close(J.dense(), D, 1e-6, "dense")
    assert chain(z, net.parameters()).names == ["2", "3", "0", "1"]
    assert chain(z, named["0.bias"]).names == ["0"]


def test_errors_say_what_to_do():
    params = network(4, 3)
    z = run(params, tj.tensor(randn(4)))
    with pytest.raises(GradientError, match="recorded"):
        chain(tj.tensor(randn(3)), params)
    with pytest.raises(GradientError, match="'c' does not require a gradient"):
        chain(z, {**params, "c": tj.tensor(1.0)})
    with pytest.raises(GradientError, match="'c' is no Tensor"):
        chain(z, {"c": 1.0})
    with pytest.raises(ValueError, match="'W1' and 'again' are the same tensor"):
        chain(z, {**params, "again": params["W1"]})
    J = chain(z, params)
    with pytest.raises(ShapeError, match=r"cotangent has shape \(2,\), the output \(3,\)"):
        J.gradient(np.ones(2))
    with pytest.raises(ShapeError, match=r"cotangent has shape \(\)"):
        J.gradient()
    with pytest.raises(ShapeError, match="parameters are"):
        J.flatten({"W1": np.ones((3, 4))})
    with pytest.raises(ShapeError, match=r"parameter 'b1' has shape \(3,\), not \(4,\)"):
        J.flatten({"W1": np.ones((3, 4)), "b1": np.ones(4)})
    z.backward(np.ones(3))
    with pytest.raises(GradientError, match="retain_graph=True"):
        chain(z, params)


def test_a_chain_outlives_backward_and_notices_changes():
    params = network(4, 5, 3)
    z = run(params, tj.tensor(randn(4)))
    J = chain(z, params)
    before = J.dense()
    z.backward(np.ones(3))
    close(J.dense(), before, 0, "after the graph was released")
    with tj.no_grad():
        params["W2"] -= 0.1
    for use in (J.dense, J.row_norms, lambda: J @ np.ones(43), lambda: J.T @ np.ones(3)):
        with pytest.raises(GradientError, match="changed in place"):
            use()


def test_float32_stays_float32():
    params = network(3, 5, 2, dtype=np.float32)
    J = chain(run(params, tj.tensor(randn(4, 3).astype(np.float32))), params)
    assert J.dense().dtype == J.row_norms().dtype == (J @ J.T).dtype == np.float32
    assert (J @ np.ones(J.shape[1], np.float32)).dtype == np.float32
    assert (J.T @ np.ones(8, np.float32)).dtype == np.float32
    assert all(g.dtype == np.float32 for g in J.gradient(np.ones((4, 2))).values())


def test_empty_batch():
    params = network(3, 2)
    J = chain(run(params, tj.tensor(np.zeros((0, 3)))), params)
    assert J.dense().shape == (0, 8)
    assert (J @ J.T).shape == (0, 0)
    assert J.row_norms().shape == (0, 2)
    assert not any(g.any() for g in J.gradient(np.zeros((0, 2))).values())


# ------------------------------------------------------------------------------------------------ all primitives


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_statements_forward_are_rules_backward(name):
    """Of every primitive: pushed along the statements and pulled along the rules, the same matrix; recorded too."""
    output = EXAMPLES[name]()
    leaves = [node for node in graph.nodes_between([output.node]) if node.primitive is None]
    m = output.numel()
    seeds = np.eye(m).reshape(m, *output.shape)
    pulled = graph.walk_back([(output.node, seeds)], leaves, retain_graph=True)
    plain, recorded = (Links([output.node], leaves, recorded=r) for r in (False, True))
    for node in leaves:
        J = pulled[node].reshape(m, -1) if node in pulled else np.zeros((m, node.size))
        v = np.eye(node.size).reshape(node.size, *node.shape)
        for links, tangent in ((plain, v), (recorded, tj.tensor(v))):
            found = links.push({node: tangent}, (node.size,)).get(output.node)
            columns = np.zeros((node.size, m)) if found is None else np.asarray(getattr(found, "array", found))
            close(columns.reshape(node.size, m).T, J, EXACT, f"{name}, by {node!r}")


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_samples_that_a_statement_keeps_apart_are_apart(name):
    output = EXAMPLES[name]()
    for node in graph.nodes_between([output.node]):
        for k, parent in enumerate(node.parents):
            if parent is not None and node.primitive is not None:
                check_samples(node.primitive.statement(node, k))


@pytest.mark.parametrize("suite", StructureSuite.__subclasses__(), ids=lambda suite: suite.__name__)
def test_samples_that_a_structure_keeps_apart_are_apart(suite):
    for J, _ in suite.examples():
        check_samples(J)


def check_samples(J) -> None:
    """`follow` and `vjp_each` against the matrix, for every way to see samples in the output."""
    m, n = J.shape
    if not m or not n or m * n > 20_000:
        return
    D = J.dense()
    u = rng(3).standard_normal((2, *J.out_shape))
    for samples in {s for s in J.out_shape if s > 1} | {2}:
        for stride in {int(np.prod(J.out_shape[k:])) // samples for k in range(len(J.out_shape))} | {1}:
            if not stride or m % (samples * stride):
                continue
            rows = np.arange(m) // stride % samples
            below = J.follow(samples, stride)
            if below is not None:
                columns = np.arange(n) // below % samples
                assert not D[rows[:, None] != columns].any(), f"{J!r} mixes samples ({samples}, {stride})"
            own = rows == np.arange(samples)[:, None]
            expected = np.einsum("lm,sm,mn->lsn", u.reshape(2, m), own.astype(float), D)
            found = full(J.vjp_each(u, samples, stride))
            close(found.reshape(2, samples, n), expected, 1e-11, f"vjp_each of {J!r} ({samples}, {stride})")


@pytest.mark.parametrize(
    "J, samples, stride, below",
    [
        (Kron(Identity(4), randn(3, 2)), 4, 3, 2),
        (Kron(randn(3, 2), Identity(4)), 4, 1, 1),
        (Kron(randn(4, 2), Identity(3)), 4, 3, None),
        (Kron(randn(4, 3, 2), Identity(5)), 4, 15, 10),
        (Identity((12,), (4, 3)), 4, 3, 3),
        (Diagonal(randn(4, 3)), 3, 1, 1),
        (DiagPlusLowRank(randn(4, 3), randn(1, 4, 3), randn(1, 4, 3), axes=(-1,)), 4, 3, 3),
        (DiagPlusLowRank(randn(4, 3), randn(1, 4, 3), randn(1, 4, 3), axes=(-1,)), 3, 1, None),
    ],
)
def test_follow(J, samples, stride, below):
    assert J.follow(samples, stride) == below


def test_apart_rows_written_out():
    c = randn(2, 3, 4)
    rows = Apart(c, 4, 3, 2).full()
    assert rows.shape == (2, 3, 3, 4)
    for b in range(3):
        assert np.array_equal(rows[:, b, b], c[:, b])
        assert not rows[:, b, [k for k in range(3) if k != b]].any()


# ------------------------------------------------------------------------------------------------ size


def kernel_of_lenet(dtype=np.float32):
    params = network(784, 100, 300, 10, dtype=dtype)
    x = tj.tensor(randn(64, 784).astype(dtype))
    return lambda: chain(run(params, x), params)


def test_kernel_of_64_images_takes_a_hundredth_of_the_memory_of_the_jacobian_and_its_contraction():
    """PyTorch's vmap(jacrev) and einsum take 362 MB, of which J is 286; here graph, walk and kernel take 3.5."""
    make = kernel_of_lenet()
    make() @ make().T
    gc.collect()
    tracemalloc.start()
    try:
        J = make()
        K = J @ J.T
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert K.shape == (640, 640)
    assert peak < 3.6e6, f"{peak / 1e6:.2f} MB"


def test_products_with_the_jacobian_of_64_images_do_not_write_it_out():
    J = kernel_of_lenet()()
    v, u = np.ones(J.shape[1], np.float32), np.ones((64, 10), np.float32)
    for use in (lambda: J @ v, lambda: J.T @ u, J.row_norms, lambda: J.gauss_newton(v)):
        use()
        tracemalloc.start()
        try:
            use()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 3.6e6, f"{peak / 1e6:.2f} MB; J would take 286"


# ------------------------------------------------------------------------------------------------ against PyTorch


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.mark.peers
def test_kernel_against_pytorch(torch):
    from torch.func import functional_call, jacrev, vmap

    params = network(20, 12, 8, 3)
    x = randn(6, 20)
    net = torch.nn.Sequential(
        torch.nn.Linear(20, 12), torch.nn.ReLU(), torch.nn.Linear(12, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)
    ).double()
    names = {"0.weight": "W1", "0.bias": "b1", "2.weight": "W2", "2.bias": "b2", "4.weight": "W3", "4.bias": "b3"}
    theirs = {theirs: torch.tensor(params[ours].array) for theirs, ours in names.items()}
    blocks = vmap(jacrev(lambda p, x: functional_call(net, p, (x,))), (None, 0))(theirs, torch.tensor(x))
    J = chain(run(params, tj.tensor(x)), params)
    for name, block in blocks.items():
        close(J.blocks[names[name]], block.numpy().reshape(18, -1), EXACT, name)
    flat = torch.cat([blocks[n].flatten(2) for n in names], dim=2)
    kernel = torch.einsum("naf,mbf->namb", flat, flat).reshape(18, 18).numpy()
    close(J @ J.T, kernel, EXACT, "the kernel")


@pytest.mark.peers
def test_chain_of_a_convolutional_network_against_pytorch(torch):
    w, b, W = positive(2, 1, 2, 2), positive(2), randn(3, 8)
    images = randn(4, 1, 3, 3)
    ours = {"w": leaf(w), "b": leaf(b), "W": leaf(W)}
    a = tj.nn.functional.softplus(tj.nn.functional.conv2d(tj.tensor(images), ours["w"], ours["b"]))
    J = chain(linear(a.flatten(1), ours["W"]), ours)

    def model(w, b, W):
        a = torch.nn.functional.softplus(torch.nn.functional.conv2d(torch.tensor(images), w, b))
        return a.flatten(1) @ W.T

    found = torch.autograd.functional.jacobian(model, tuple(torch.tensor(t) for t in (w, b, W)))
    for name, block in zip(("w", "b", "W"), found):
        close(J.blocks[name], block.numpy().reshape(12, -1), EXACT, name)
