"""The engine: recording, the walk back, accumulation, releasing, in-place safety, errors."""

from __future__ import annotations

import copy
import gc
import pickle
import sys
import threading
import time
import tracemalloc
import weakref

import numpy as np
import pytest
from kit import randn, scratch_registry

import tinygrad_jac as tj
from tinygrad_jac import versions
from tinygrad_jac.jacobians import Diagonal


def leaf(*values, dtype=np.float64):
    return tj.tensor(np.array(values, dtype=dtype), requires_grad=True)


class TestRecording:
    def test_only_where_a_differentiable_input_asks_for_it(self):
        x = tj.tensor([1.0, 2.0])
        assert (x * x).node is None
        x.requires_grad_()
        y = x * 2
        assert y.requires_grad
        assert not y.is_leaf
        assert y.grad_fn is y.node
        assert y.node.parents[0] is x.node

    def test_constants_have_no_edge(self):
        x, c = leaf(1.0), tj.tensor([2.0])
        assert (x * c).node.parents == (x.node, None)

    def test_a_node_keeps_what_is_declared_and_nothing_more(self):
        x = leaf(1.0, 2.0)
        y = np.exp(x)
        assert y.node.args == (x.node,)  # the parent stands for the values: a Spec
        assert y.node.out is y.array
        z = x * y
        assert z.node.args[0] is x.array
        assert z.node.args[1] is y.array
        assert z.node.out is None
        big = np.ones(1000)
        held = weakref.ref(big)
        s = leaf(*np.ones(1000)) + big
        del big
        gc.collect()
        assert held() is None, "the sum keeps a constant that no rule reads"
        s.sum().backward()

    def test_dropping_the_tensors_drops_the_graph_at_once(self):
        gc.collect()
        gc.disable()
        try:
            x = leaf(1.0)
            y = np.exp(x) * x
            nodes = [weakref.ref(n) for n in tj.graph.nodes_between([y.node])]
            del x, y
            assert [n() for n in nodes] == [None] * len(nodes)
        finally:
            gc.enable()

    def test_a_rule_that_reads_what_is_not_saved_says_so(self):
        with scratch_registry():
            op = tj.primitive(
                "forgetful", lambda x: x * 2, vjp=lambda g, out, x: g * x, jacobian=lambda out, x: Diagonal(x)
            )
            x = leaf(1.0)
            with pytest.raises(tj.UnsavedError, match=r"'forgetful' for 'x' reads values .* saves="):
                op(x).backward()

    def test_a_missing_rule_is_loud(self):
        with scratch_registry():
            op = tj.primitive(
                "half",
                lambda x, y: x * y,
                saves="y",
                vjp=(lambda g, out, x, y: g * y, None),
                jacobian=(lambda out, x, y: Diagonal(y), None),
            )
            assert op(leaf(1.0), np.array([2.0])).requires_grad
            with pytest.raises(tj.GradientError, match=r"'half' has no VJP rule for 'y'.*register"):
                op(leaf(1.0), leaf(2.0))


class TestModes:
    def test_no_grad_and_its_kin(self):
        x = leaf(1.0)
        with tj.no_grad():
            assert not (x * 2).requires_grad
            with tj.enable_grad():
                assert (x * 2).requires_grad
            assert not (x * 2).requires_grad
        with tj.inference_mode():
            assert not (x * 2).requires_grad
            with tj.inference_mode(False):
                assert (x * 2).requires_grad
        assert (x * 2).requires_grad

    def test_restored_through_exceptions(self):
        with pytest.raises(KeyError), tj.no_grad():
            raise KeyError
        assert tj.is_grad_enabled()

    @pytest.mark.parametrize("decorate", [tj.no_grad, tj.no_grad(), tj.inference_mode(), tj.inference_mode])
    def test_as_decorators(self, decorate):
        @decorate
        def f(x):
            """Doc."""
            assert not tj.is_grad_enabled()
            return x * 2

        assert f.__doc__ == "Doc."
        assert not f(leaf(1.0)).requires_grad
        assert tj.is_grad_enabled()

    def test_a_decorated_generator_switches_while_its_body_runs(self):
        @tj.no_grad()
        def steps():
            for _ in range(2):
                yield tj.is_grad_enabled()

        for inside in steps():
            assert not inside
            assert tj.is_grad_enabled()

    def test_set_grad_enabled_as_call_and_context(self):
        tj.set_grad_enabled(False)
        assert not tj.is_grad_enabled()
        tj.set_grad_enabled(True)
        with tj.set_grad_enabled(False):
            assert not tj.is_grad_enabled()
        assert tj.is_grad_enabled()

        @tj.set_grad_enabled(False)
        def f():
            return tj.is_grad_enabled()

        assert tj.is_grad_enabled()
        assert not f()

    def test_one_object_nests(self):
        mode = tj.no_grad()
        with mode, mode:
            assert not tj.is_grad_enabled()
        assert tj.is_grad_enabled()

    def test_each_thread_has_its_own(self):
        seen = []
        with tj.no_grad():
            thread = threading.Thread(target=lambda: seen.append(tj.is_grad_enabled()))
            thread.start()
            thread.join()
        assert seen == [True]


class TestBackward:
    def test_a_reused_input_receives_the_sum(self):
        x = leaf(3.0)
        (x * x).backward()
        assert x.grad.array == [6.0]
        x.grad = None
        y = x * 2
        (y * y + x * y + x).backward()  # 6x² + x
        assert x.grad.array == [12 * 3 + 1]

    def test_accumulates_over_calls(self):
        x = leaf(1.0, 2.0)
        for _ in range(3):
            (x * x).sum().backward()
        assert x.grad.array.tolist() == [6.0, 12.0]

    def test_a_leaf_is_its_own_gradient(self):
        x = leaf(1.0)
        x.backward()
        assert x.grad.array == [1.0]
        seed = np.array([5.0])
        x.backward(seed)
        assert x.grad.array == [6.0]
        assert seed == [5.0]

    def test_gradients_share_no_memory(self):
        x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
        seed = np.array([1.0, 1.0])
        (x + y).backward(seed)
        arrays = [x.array, y.array, seed, x.grad.array, y.grad.array]
        for i, a in enumerate(arrays):
            for b in arrays[i + 1 :]:
                assert not np.shares_memory(a, b)
        x.grad.array += 1
        assert y.grad.array.tolist() == [1.0, 1.0]

    def test_reshaped_views_are_copied_into_gradients(self):
        x = leaf(1.0, 2.0)
        seed = np.ones((2, 1))
        x.reshape(2, 1).backward(seed)
        assert not np.shares_memory(x.grad.array, seed)

    @pytest.mark.optimisation("cotangents")
    def test_a_transpose_that_a_rule_allocated_is_not_copied_and_one_that_it_lends_is(self):
        lent = np.ones((2, 3))
        with scratch_registry():
            for name, rule, is_copy in [
                ("allocates", lambda g, out, x: (g.T * 2.0).T, False),
                ("lends", lambda g, out, x: lent[:, :], True),
                ("passes_on", lambda g, out, x: g.T.T, True),
            ]:
                made = []

                def spy(g, out, x, rule=rule, made=made):
                    c = rule(g, out, x)
                    made.append(c.__array_interface__["data"][0])
                    return c

                op = tj.primitive(
                    name, lambda x: x * 1.0, vjp=lambda g, out, x: spy(g, out, x), jacobian=lambda out, x: Diagonal(x)
                )
                x = tj.tensor(np.ones((2, 3)), requires_grad=True)
                op(x).backward(np.ones((2, 3)))
                assert (x.grad.array.__array_interface__["data"][0] != made[0]) == is_copy, name
                x.grad.zero_()
        assert lent.all()

    def test_the_graph_is_released_and_says_so(self):
        x = leaf(2.0)
        y = x * x
        y.backward()
        with pytest.raises(tj.GradientError, match=r"'mul' saved were released.*retain_graph=True"):
            y.backward()
        assert x.grad.array == [4.0], "the failed walk changed a gradient"

    def test_a_graph_that_saved_nothing_has_nothing_to_release(self):
        x = leaf(2.0)
        y = x + 1
        y.backward()
        y.backward()
        assert x.grad.array == [2.0]

    def test_retain_graph(self):
        x = leaf(2.0)
        y = x * x
        y.backward(retain_graph=True)
        y.backward()
        assert x.grad.array == [8.0]

    def test_inputs_restricts(self):
        x, w = leaf(2.0), leaf(3.0)
        h = x * w
        (h * h).backward(inputs=[x, h])
        assert x.grad.array == [36.0]
        assert h.grad.array == [12.0]
        assert w.grad is None

    def test_higher_derivatives(self):
        x = leaf(2.0)
        g = x**5
        for expected in (80, 160, 240, 240, 120):
            (g,) = tj.autograd.grad(g, x, create_graph=True)
            assert g.array == pytest.approx(np.array([expected]), rel=1e-14)

    def test_create_graph_through_backward(self):
        x = leaf(2.0)
        (x**3).backward(create_graph=True)
        assert x.grad.requires_grad
        g, x.grad = x.grad, None
        g.backward()
        assert x.grad.array == [12.0]

    def test_many_seeds_in_one_walk(self):
        W = tj.tensor(randn(4, 3), requires_grad=True)
        x = randn(3)
        z = W @ x
        (J,) = tj.autograd.grad(z, W, np.eye(4), is_grads_batched=True)
        expected = np.einsum("ki,j->kij", np.eye(4), x)
        assert np.array_equal(J.array, expected)

    def test_diamonds_are_walked_once(self):
        y = x = leaf(1.0)
        for _ in range(60):
            y = y + y
        assert len(tj.graph.nodes_between([y.node])) == 61
        y.backward()
        assert x.grad.array == [2.0**60]

    def test_a_gradient_has_its_tensors_dtype(self):
        x = tj.tensor([1.0], requires_grad=True)
        w = leaf(2.0)
        (x * w).backward()
        assert x.grad.dtype == np.float32
        assert w.grad.dtype == np.float64

    def test_scalars_are_weak(self):
        x = tj.tensor([1.0], requires_grad=True)
        for y in (2 * x, x * 2.0, x / 3, x**2, 1 - x, 2.0**x):
            assert y.dtype == np.float32

    @pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,)])
    def test_shapes_at_the_edge(self, shape):
        x = tj.tensor(np.ones(shape), requires_grad=True)
        (x * 3).sum().backward()
        assert np.array_equal(x.grad.array, np.full(shape, 3.0))
        assert type(x.grad.array) is np.ndarray

    def test_hooks_of_dead_leaves_are_no_trouble(self):
        x = leaf(1.0)
        y = x * leaf(2.0)  # the second leaf is gone
        gc.collect()
        y.backward()
        assert x.grad.array == [2.0]


class TestGrad:
    def test_intermediate_tensors_can_be_asked_for(self):
        x = leaf(2.0)
        h = x * 3
        y = h * h
        gh, gx = tj.autograd.grad(y, [h, x])
        assert (gh.array, gx.array) == ([12.0], [36.0])
        assert x.grad is None

    def test_what_is_returned_belongs_to_the_caller(self):
        x = leaf(1.0)
        h = x + 1
        seed = np.array([1.0])
        (g,) = tj.autograd.grad(h + 0, h, seed)
        assert not np.shares_memory(g.array, seed)

    def test_unused(self):
        x, w = leaf(1.0), leaf(2.0, 3.0)
        with pytest.raises(
            tj.GradientError, match=r"do not depend on inputs \[1\] \(shapes \[\(2,\)\]\).*allow_unused"
        ):
            tj.autograd.grad(x * 2, [x, w])
        assert tj.autograd.grad(x * 2, [x, w], allow_unused=True)[1] is None
        assert tj.autograd.grad(x * 2, [x, w], materialize_grads=True)[1].array.tolist() == [0.0, 0.0]

    def test_several_outputs(self):
        x = leaf(2.0)
        (g,) = tj.autograd.grad([x * 2, x * x], x, [np.array([1.0]), np.array([10.0])])
        assert g.array == [42.0]


class TestErrors:
    def test_not_a_scalar(self):
        with pytest.raises(tj.GradientError, match=r"shape \(2,\) needs its cotangent: pass gradient="):
            (leaf(1.0, 2.0) * 2).backward()

    def test_nothing_requires_a_gradient(self):
        with pytest.raises(tj.GradientError, match=r"does not require a gradient: create .* requires_grad=True"):
            tj.tensor([1.0]).sum().backward()

    def test_integers(self):
        with pytest.raises(tj.GradientError, match="integers have no gradient"):
            tj.tensor([1]).sum().backward()
        with pytest.raises(TypeError, match="only floating-point tensors can require gradients, not int64"):
            tj.tensor([1], requires_grad=True)

    def test_a_cotangent_of_the_wrong_shape(self):
        with pytest.raises(tj.ShapeError, match=r"cotangent has shape \(3,\), the tensor \(2,\)"):
            (leaf(1.0, 2.0) * 2).backward(np.ones(3))

    def test_shapes_that_do_not_broadcast(self):
        with pytest.raises(tj.ShapeError, match=r"add: shapes \(2,\) and \(3,\) do not broadcast"):
            leaf(1.0, 2.0) + leaf(1.0, 2.0, 3.0)
        with pytest.raises(RuntimeError, match="do not broadcast"):  # as PyTorch's users catch it
            leaf(1.0, 2.0) + np.ones(3)

    def test_a_rule_that_returns_the_wrong_shape(self):
        with scratch_registry():
            op = tj.primitive("bent", lambda x: x * 1, vjp=lambda g, out, x: g[:1], jacobian=lambda out, x: Diagonal(x))
            x = leaf(1.0, 2.0)
            with pytest.raises(tj.GradientError, match=r"rule of 'bent' for 'x' failed .* shape \(2,\) was expected"):
                op(x).backward(np.ones(2))
            assert x.grad is None

    def test_what_is_not_a_tensor(self):
        with pytest.raises(TypeError, match="must be Tensors, not ndarray"):
            tj.autograd.grad(leaf(1.0), np.ones(1))


class TestInPlace:
    def test_the_training_step(self):
        w = leaf(1.0, 2.0)
        (w * w).sum().backward()
        with tj.no_grad():
            w -= 0.5 * w.grad
        assert w.array.tolist() == [0.0, 0.0]
        assert w.is_leaf
        assert w.requires_grad

    @pytest.mark.parametrize("change", ["x += 1", "x *= 2", "x[0] = 5.0", "x /= 2", "x -= x"])
    def test_a_leaf_is_refused_while_recording(self, change):
        x = leaf(1.0, 2.0)
        with pytest.raises(tj.GradientError, match=r"leaf tensor of shape \(2,\).*no_grad"):
            exec(change, {"x": x})
        assert x.array.tolist() == [1.0, 2.0]

    def test_on_what_was_computed_it_is_differentiated(self):
        x = leaf(1.0, 2.0)
        y = x * 1
        y *= x
        y += 1
        y -= 2 * x
        y /= 2
        y[0] = 3 * x[1]
        y.sum().backward()  # (x₁² + 1 - 2x₁)/2 in the second place, 3x₁ in the first
        assert x.grad.array.tolist() == [0.0, 3.0 + 1.0]

    def test_a_saved_array_that_was_changed_is_found(self):
        x = leaf(1.0, 2.0)
        h = x * 2
        y = (h * h).sum()
        h += 1
        with pytest.raises(
            tj.GradientError, match=r"shape \(2,\) that 'mul' saved.*is at version 1, expected version 0"
        ):
            y.backward()
        assert x.grad is None

    @pytest.mark.parametrize("lent", [lambda x: x, lambda x: x[:1], lambda x: (x.shape, x)])
    def test_a_residual_that_shows_an_argument_is_looked_at_too(self, lent):
        with scratch_registry():
            op = tj.primitive(
                "lends", lambda x: (x * 2.0, lent(x)), saves="residual", vjp=lambda g, out, x, *, residual: g * 2.0,
                jacobian=lambda out, x, *, residual: Diagonal(np.full(2, 2.0)),
            )  # fmt: skip
            x = leaf(1.0, 2.0)
            a = x * 1.0
            y = op(a).sum()
            with tj.no_grad():
                a.mul_(3.0)
            with pytest.raises(tj.GradientError, match="'lends' saved for its gradient was changed in place"):
                y.backward()

    def test_also_through_views_and_outside_of_the_graph(self):
        x = leaf(1.0, 2.0)
        h = x * 2
        y = np.exp(h)
        with tj.no_grad():
            y[0] += 1
        with pytest.raises(tj.GradientError, match="'exp' saved"):
            y.sum().backward()
        w = leaf(1.0)
        z = w * w
        with tj.no_grad():
            w -= 1
        with pytest.raises(tj.GradientError, match="'mul' saved"):
            z.backward()

    def test_what_was_not_saved_may_change(self):
        x = leaf(1.0, 2.0)
        h = x * 2
        y = h + 1
        h *= 5
        y.sum().backward()
        assert x.grad.array.tolist() == [2.0, 2.0]

    def test_a_view_of_what_was_rewritten_is_refused_when_used(self):
        x = leaf(1.0, 2.0)
        h = x * 2
        row = h[0]
        h *= 3
        with pytest.raises(tj.GradientError, match="shares its memory with a tensor that was changed in place"):
            row * 2
        h2 = x * 2
        row = h2[0]
        row *= 3
        with pytest.raises(tj.GradientError, match="shares its memory"):
            h2.sum()

    def test_what_was_rewritten_through_a_view_is_refused_when_changed_in_place(self):
        x = leaf(1.0, 2.0)
        for change in (lambda h: h.add_(1), lambda h: h.__setitem__(0, 5.0), lambda h: x.clone().add_(h)):
            h = x * 2
            h[1].mul_(x[0])
            with pytest.raises(tj.GradientError, match="shares its memory"):
                change(h)

    def test_versions_count(self):
        x = tj.tensor([1.0, 2.0])
        assert x._version == 0
        x += 1
        x[0] = 4.0
        assert x._version == 2
        assert x[1:]._version == 2

    def test_what_does_not_fit_changes_nothing(self):
        n = tj.tensor([1, 2])
        with pytest.raises(TypeError, match=r"float.* does not fit a tensor of dtype int64"):
            n += 0.5
        assert n.array.tolist() == [1, 2]
        x = tj.tensor([1.0])
        with pytest.raises(tj.ShapeError, match="it cannot grow"):
            x += tj.ones(3)
        with pytest.raises(ValueError, match="read-only or shared"):
            x.expand(3).__iadd__(1)

    def test_nothing_is_kept_for_arrays_that_are_gone(self):
        gc.collect()
        before = len(versions.changes)
        for _ in range(100):
            t = tj.tensor([1.0])
            t += 1
        del t
        gc.collect()
        assert len(versions.changes) <= before


class TestScale:
    def test_a_chain_of_a_million_ops(self):
        limit = sys.getrecursionlimit()
        x = leaf(1.0)
        y = x
        for _ in range(1_000_000):
            y = y + x
        assert len(repr(y)) < 100
        y.backward()
        assert x.grad.array == [1_000_001.0]
        del y
        assert sys.getrecursionlimit() == limit

    def test_memory_of_a_training_loop_is_flat(self):
        w = tj.tensor(randn(50, 50), requires_grad=True)
        x = tj.tensor(randn(8, 50))

        def step():
            loss = ((x @ w) ** 2).sum()
            loss.backward()
            with tj.no_grad():
                w.__isub__(1e-4 * w.grad)
            w.grad = None

        tracemalloc.start()
        for _ in range(1500):  # until the free lists and caches of the interpreter have their size
            step()
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(1000):
            step()
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        assert grown < 4096, f"1,000 steps left {grown} bytes behind"


class TestNumPyProtocols:
    def test_ufuncs_and_functions_are_the_librarys(self):
        x = leaf(0.5, 1.0)
        for y in (np.sin(x), np.add(x, 1), np.ones(2) * x, np.sum(x), np.exp(x) / 2, 2 / np.sqrt(x)):
            assert isinstance(y, tj.Tensor)
            assert y.requires_grad

    def test_unknown_functions_say_how_to_register(self):
        with pytest.raises(TypeError, match=r"numpy.i0 .*register a derivative"):
            np.i0(leaf(1.0))
        with pytest.raises(TypeError, match=r"numpy.hypot.*out"):
            np.hypot(leaf(1.0), leaf(1.0), out=np.zeros(1))

    def test_an_array_of_a_tracked_tensor_is_refused(self):
        with pytest.raises(tj.GradientError, match="detach"):
            np.asarray(leaf(1.0))
        assert np.asarray(tj.tensor([1.0])).tolist() == [1.0]

    def test_primitives_on_arrays_return_arrays(self):
        assert type(tj.exp(np.ones(2))) is np.ndarray
        assert isinstance(tj.sum(np.ones(2)), np.floating)


class TestRegistration:
    def good(self, **changes):
        given = dict(
            name="trial", forward=lambda x: x * 2, vjp=lambda g, out, x: g * 2, jacobian=lambda out, x: Diagonal(x)
        )
        given.update(changes)
        return tj.primitive(given.pop("name"), given.pop("forward"), **given)

    def test_listing(self):
        names = [p.name for p in tj.primitives()]
        assert names == sorted(names)
        mul = next(p for p in tj.primitives() if p.name == "mul")
        assert (mul.arguments, mul.saves) == (("x", "y"), {"x", "y"})
        assert repr(mul) == "<primitive mul(x, y), saves x y; ∂x diagonal; ∂y diagonal>"
        for p in tj.primitives():
            assert p.arguments
            for k, name in enumerate(p.arguments):
                differentiable = p.vjp[0 if p.variadic else k] is not None
                assert bool(p.structures(k)) == differentiable, f"{p.name}: what is the structure of ∂{name}?"

    def test_what_is_refused(self):
        with scratch_registry():
            self.good()
            with pytest.raises(ValueError, match="'trial' is registered already; pass replace=True"):
                self.good()
            self.good(replace=True)
            for changes, message in [
                (dict(saves="y"), r"saves \['y'\], but its arguments are \('x',\)"),
                (dict(vjp=(None,), jacobian=(None,)), "has no VJP rule"),
                (dict(jacobian=(lambda out, x: x, lambda out, x: x)), "1 rules and 2 statements"),
                (dict(jacobian=lambda out, y: y), "disagree"),
                (dict(vjp=lambda g, out, x, y: g, jacobian=lambda out, x, y: x), "2 rules|but 1 rules"),
                (dict(composition=lambda x: x), "must save all"),
                (dict(residual=lambda out, x: x), "does not save it"),
            ]:
                with pytest.raises(ValueError, match=message):
                    self.good(replace=True, **changes)
            with pytest.raises(TypeError, match="plain functions"):
                self.good(replace=True, vjp=np.exp)

    def test_a_composition_is_differentiated_where_the_fused_rule_cannot_be(self):
        with scratch_registry():
            fused = tj.primitive(
                "fused_cube",
                lambda x: x**3,
                saves="x",
                vjp=lambda g, out, x: np.asarray(g) * 3 * np.asarray(x) ** 2,
                jacobian=lambda out, x: Diagonal(3 * x**2),
                composition=lambda x: x * x * x,
            )
            x = leaf(2.0)
            y = x * 3
            (g,) = tj.autograd.grad(fused(y), x, create_graph=True)
            assert g.array == [3 * 3 * 36]
            assert tj.autograd.grad(g, x)[0].array == [9 * 6 * 6]

    def test_an_argument_computed_from_another_keeps_its_partial_derivative(self):
        with scratch_registry():
            fused = tj.primitive(
                "fused_product",
                lambda x, y: x * y,
                saves="x y",
                vjp=(lambda g, out, x, y: g * y, lambda g, out, x, y: g * x),
                jacobian=(lambda out, x, y: Diagonal(y), lambda out, x, y: Diagonal(x)),
                composition=lambda x, y: x * y,
            )
            x = leaf(2.0)
            (g,) = tj.autograd.grad(fused(x * x, x), x, create_graph=True)
            assert g.array == [12.0]
            assert tj.autograd.grad(g, x)[0].array == [12.0]


class TestSharedMemory:
    """In-place changes where several tensors show one memory: right, or refused."""

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            (lambda y: y.__imul__(y), [6.0, 8.0]),
            (lambda y: y.__imul__(y[0]), [10.0, 3.0]),
            (lambda y: y.div_(y[1]), [0.25, -3 / 16]),
            (lambda y: y.add_(y), [2.0, 2.0]),
        ],
    )
    def test_an_operand_that_is_the_target(self, change, expected):
        x = leaf(3.0, 4.0)
        change(x * 1).sum().backward()
        assert x.grad.array.tolist() == pytest.approx(expected)

    def test_a_tracked_value_into_a_view_of_a_constant_is_refused(self):
        x = leaf(2.0)
        out = tj.zeros(2, 3, dtype=tj.float64)
        with pytest.raises(tj.GradientError, match=r"another tensor or array shows as well.*out\[0, 1\] = v"):
            out[0][1] = x[0] * 5
        row = out[0]
        with pytest.raises(tj.GradientError, match="shows as well"):
            row.add_(x)
        with pytest.raises(tj.GradientError, match="shows as well"):
            out.add_(x)
        assert not out.array.any()
        del row
        out[0, 1] = x[0] * 5
        out[1] = x
        (out.sum() + x.sum()).backward()
        assert x.grad.array.tolist() == [5.0 + 3.0 + 1.0]

    def test_a_root_whose_history_is_stale_is_refused(self):
        x = leaf(1.0, 2.0)
        y = x * 2
        y[0].mul_(3)
        with pytest.raises(tj.GradientError, match="shares its memory"):
            y.backward(np.ones(2))

    @pytest.mark.parametrize("view", [lambda a: a[0], lambda a: a.reshape(4), lambda a: a.T[1]])
    def test_a_view_of_a_leaf_is_refused_and_the_leaf_lives_on(self, view):
        a = tj.tensor(np.ones((2, 2)), requires_grad=True)
        with pytest.raises(tj.GradientError, match="leaf tensor"):
            view(a).mul_(2)
        assert (a.array == 1).all()
        a.sum().backward()
        with tj.no_grad():
            view(a).mul_(2)
        assert (a.array == 2).any()
        a.sum().backward()

    def test_a_change_costs_the_same_however_long_the_chain_before_it(self):
        def seconds_per_step(steps):
            h = leaf(0.5) * 1
            start = time.perf_counter()
            for _ in range(steps):
                h = tj.tanh(h)
                h.neg_()
            return (time.perf_counter() - start) / steps

        # Followed to its end at every step, a chain sixteen times as long takes some ten times as long a step.
        short, long = (min(seconds_per_step(n) for _ in range(3)) for n in (500, 8000))
        assert long < 4 * short

    def test_operands_given_by_name_are_seen(self):
        x, w = leaf(1.0, 2.0), tj.zeros(3, dtype=tj.float64)
        w.index_add_(dim=0, index=tj.tensor([0, 2]), source=x)
        assert w.requires_grad
        (w * w).sum().backward()
        assert x.grad.array.tolist() == [2.0, 4.0]

    def test_what_no_rule_reads_may_change(self):
        x = leaf(1.0, 2.0)
        y = x * 1
        z = y * 2
        y.add_(1)
        (z.sum() + y.sum()).backward()
        assert x.grad.array.tolist() == [3.0, 3.0]
        c = tj.zeros(4, dtype=tj.float64)
        for k in range(1, 4):
            c[k] = c[k - 1] * 0.5 + x[0]
        c[3].backward()
        assert x.grad.array.tolist() == [3.0 + 1.75, 3.0]

    def test_random_filling_cuts_the_history(self):
        x = leaf(1.0, 2.0)
        y = x * 2
        v = y[0:2]
        y.normal_()
        assert not y.requires_grad
        with pytest.raises(tj.GradientError, match="shares its memory"):
            v.sum()

    def test_an_integer_target_takes_no_gradient(self):
        n = tj.tensor([1, 2])
        n[0] = leaf(5.0)[0]
        assert not n.requires_grad
        assert n.array.tolist() == [5, 2]

    def test_other_ops_keep_their_speed_path_while_a_buffer_was_rewritten(self):
        buffer = tj.zeros(2, dtype=tj.float64)
        buffer[0] = leaf(1.0)[0]
        assert versions.rewritten
        x = leaf(1.0)
        (x * x + buffer[0]).backward()
        assert x.grad.array == [2.0]


class TestGradientsBelongToTheirTensors:
    def test_under_create_graph_too(self):
        x, w, seed = leaf(1.0, 2.0), leaf(3.0, 4.0), tj.tensor(np.ones(2))
        (x + w).backward(seed, create_graph=True)
        for a in (w.grad, seed):
            assert not np.shares_memory(x.grad.array, a.array)
        (x + w).sum().backward(create_graph=True)
        x.grad.data.zero_()
        assert w.grad.array.tolist() == [2.0, 2.0]

    def test_create_graph_under_no_grad_records_all_of_it(self):
        x = leaf(1.0, 2.0)
        u = x**3
        y = (u * u).sum()
        with tj.no_grad():
            (g,) = tj.autograd.grad(y, x, create_graph=True)
        assert tj.autograd.grad(g.sum(), x)[0].array.tolist() == [30.0, 480.0]

    def test_hooks_share_nothing_with_the_gradient(self):
        x, g, seen = leaf(1.0, 2.0), tj.tensor(np.full(2, 7.0)), []
        x.register_hook(lambda _: g)
        x.register_hook(seen.append)
        x.sum().backward()
        x.grad.zero_()
        assert g.array.tolist() == [7.0, 7.0]
        assert seen[0].array.tolist() == [7.0, 7.0]

    def test_a_rule_that_returns_what_is_saved(self):
        with scratch_registry():
            op = tj.primitive(
                "lends", lambda x, y: x * y, saves="x",
                vjp=(None, lambda g, out, x, y: x), jacobian=(None, lambda out, x, y: Diagonal(x)),
            )  # fmt: skip
            a, b = tj.tensor([2.0, 3.0]), tj.tensor([1.0, 1.0], requires_grad=True)
            op(a, b).sum().backward()
            b.grad.zero_()
            assert a.array.tolist() == [2.0, 3.0]

    @pytest.mark.parametrize("lent", ["array", "view", "memory", "buffer"])
    def test_a_rule_that_lends_the_same_array_each_time(self, lent):
        kept = np.full((2, 2), 3.0)
        view, buffer = kept.T, bytearray(kept.tobytes())
        lend = {
            "array": lambda: kept,
            "view": lambda: view,
            "memory": lambda: kept.T,
            "buffer": lambda: np.frombuffer(buffer).reshape(2, 2),
        }[lent]
        with scratch_registry():
            op = tj.primitive(
                "lends",
                lambda x: 3 * x,
                vjp=lambda g, out, x: lend(),
                jacobian=lambda out, x: Diagonal(np.full(4, 3.0)),
            )
            for uses in (1, 2, 3):
                x = tj.tensor(np.ones((2, 2)), requires_grad=True)
                y = x * 1.0
                (sum(op(y) for _ in range(uses)) + y[0]).sum().backward()
                op(x).sum().backward()
                assert x.grad.tolist() == [[3.0 * uses + 5.0] * 2, [3.0 * uses + 3.0] * 2]
                x.grad.zero_()
                x.grad = None
                op(x).sum().backward()
                x.grad.zero_()
                assert lend().tolist() == [[3.0, 3.0], [3.0, 3.0]]

    def test_each_reference_counts(self):
        array = np.zeros((2, 3))
        assert versions.alone(array)
        holders = [array]
        assert not versions.alone(array)
        assert versions.alone(array, held=2)
        holders.append(array.T)
        assert not versions.alone(array, held=2)
        view = np.zeros((2, 3)).T
        assert versions.alone(view)
        holders.append(view.base)
        assert not versions.alone(view)
        holders[:] = [view]
        assert not versions.alone(view)
        assert versions.alone(view, held=2)


class TestHooks:
    def test_replace_and_remove(self):
        x = leaf(1.0)
        y = x * 3
        handle = y.register_hook(lambda g: g * 10)
        y.backward(retain_graph=True)
        handle.remove()
        y.backward()
        assert x.grad.array == [33.0]

    @pytest.mark.parametrize("answer", [tj.ones(2), np.ones(3), 1.0])
    def test_what_a_hook_may_not_return(self, answer):
        x = leaf(1.0, 2.0, 3.0)
        x.register_hook(lambda g: answer)
        with pytest.raises(tj.GradientError, match=r"hook on a tensor of shape \(3,\) returned"):
            x.sum().backward()
        assert x.grad is None

    def test_a_constant_has_none(self):
        with pytest.raises(tj.GradientError, match="never be called"):
            tj.ones(1).register_hook(print)

    def test_retain_grad(self):
        x = leaf(1.0, 2.0)
        y = x * 2
        y.retain_grad()
        y.retain_grad()
        y.register_hook(lambda g: g * 10)
        y.mul_(3)
        y.sum().backward()
        assert y.grad.array.tolist() == [1.0, 1.0]
        assert x.grad.array.tolist() == [60.0, 60.0], "the hook belongs to the value before the change, as in PyTorch"
        z = x * 2
        z.retain_grad()
        z.register_hook(lambda g: g * 10)
        z.sum().backward()
        assert z.grad.array.tolist() == [10.0, 10.0]
        with pytest.raises(tj.GradientError, match=r"requires no gradient .* requires_grad_\(\)"):
            tj.ones(2).retain_grad()

    def test_what_is_retained_and_asked_for_is_accumulated_once(self):
        x = leaf(1.0, 2.0)
        y = x * 2
        y.retain_grad()
        (y * y).sum().backward(inputs=[y], retain_graph=True)
        assert y.grad.array.tolist() == [4.0, 8.0]
        (y * y).sum().backward(inputs=[x, y])
        assert y.grad.array.tolist() == [8.0, 16.0]
        assert x.grad.array.tolist() == [8.0, 16.0]

    def test_hooks_stay_with_a_leaf_that_requires_no_gradient_for_a_while(self):
        x, seen, stepped = leaf(1.0), [], []
        x.register_hook(seen.append)
        handle = x.register_post_accumulate_grad_hook(stepped.append)
        x.requires_grad_(False)
        x.requires_grad_(True)
        (x * x).sum().backward()
        assert (len(seen), len(stepped)) == (1, 1)
        handle.remove()
        (x * x).sum().backward()
        assert (len(seen), len(stepped)) == (2, 1)

    def test_a_leaf_that_requires_no_gradient_any_more_gets_none(self):
        x, w, stepped = leaf(1.0), leaf(2.0), []
        x.register_post_accumulate_grad_hook(stepped.append)
        y = (x * w).sum()
        x.requires_grad_(False)
        y.backward()
        assert x.grad is None
        assert not stepped
        assert w.grad.tolist() == [1.0]

    @pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
    def test_a_copy_has_hooks_of_its_own(self, duplicate):
        x, of_x, of_y = leaf(1.0), [], []
        x.register_hook(of_x.append)
        y = duplicate(x)
        y.register_hook(of_y.append)
        x.sum().backward()
        assert (len(of_x), len(of_y)) == (1, 0)
        y.sum().backward()
        assert (len(of_x), len(of_y)) == (1, 1)

    def test_hooks_stay_with_a_leaf_whose_data_are_replaced(self):
        x, seen = leaf(1.0), []
        x.register_hook(seen.append)
        x.data -= 0.1
        x.data = tj.tensor(np.array([2.0]))
        (x * x).sum().backward()
        assert [g.array.tolist() for g in seen] == [[4.0]]
        assert x.grad.array.tolist() == [4.0]


class TestReleasing:
    def test_the_chain_rule_by_hand(self):
        x = leaf(1.0, 2.0)
        y = np.exp(x)
        (g,) = tj.autograd.grad((y * 2).sum(), y)
        y.backward(g)
        assert x.grad.array == pytest.approx(2 * np.exp([1.0, 2.0]))

    def test_below_what_is_asked_for_nothing_needs_to_be_there(self):
        x = leaf(1.0, 2.0)
        y = np.exp(x)
        a, b = (y * 2).sum(), (y * 3).sum()
        a.backward()
        (g,) = tj.autograd.grad(b, y)
        assert g.array.tolist() == [3.0, 3.0]

    def test_residuals_are_dropped(self):
        x = leaf(1.0, 2.0)
        y = tj.logsumexp(x, 0)
        node = y.node
        assert "residual" in node.kwargs
        y.backward()
        assert "residual" not in node.kwargs


class TestCopies:
    @pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))])
    @pytest.mark.parametrize("kind", [lambda: leaf(1.0, 2.0), lambda: tj.nn.Parameter(tj.ones(2)), lambda: tj.ones(2)])
    def test_a_copy_is_a_leaf_of_its_own(self, duplicate, kind):
        x = kind()
        y = duplicate(x)
        assert type(y) is type(x)
        assert y.requires_grad == x.requires_grad
        assert np.shares_memory(x.array, y.array) == (duplicate is copy.copy)
        if y.requires_grad:
            (y * 2).sum().backward()
            assert x.grad is None
            assert y.grad.array.tolist() == [2.0, 2.0]

    def test_what_was_computed_is_refused(self):
        y = leaf(1.0) * 2
        with pytest.raises(tj.GradientError, match="only leaves can be deep-copied"):
            copy.deepcopy(y)
        with pytest.raises(tj.GradientError, match="only leaves can be pickled"):
            pickle.dumps(y)

    def test_unpickled_arrays_have_the_usual_dtype_object(self):
        assert pickle.loads(pickle.dumps(tj.ones(2))).dtype is np.dtype(np.float32)


class TestOperands:
    @pytest.mark.parametrize("wrong", [None, "1", np.array(["2020"], "M8[Y]"), object()])
    def test_what_is_no_number_is_refused(self, wrong):
        with pytest.raises(TypeError, match="'add' takes Tensors, arrays and numbers, not"):
            tj.ones(2) + wrong
        assert (tj.ones(2) == None) is False  # noqa: E711

    def test_reversed_and_in_place_operators(self):
        t = tj.tensor([7, 8])
        assert (5 % t).array.tolist() == [5, 5]
        assert (1 | t).array.tolist() == [7, 9]
        assert (3 & t).array.tolist() == [3, 0]
        assert (1 ^ t).array.tolist() == [6, 9]
        alias = t
        alias //= 2
        alias %= 3
        assert t.array.tolist() == [0, 1]

    def test_arguments_by_name(self):
        x = tj.tensor([2.0])
        assert tj.maximum(input=x, other=tj.ones(1)).item() == 2.0
        assert tj.exp(input=tj.zeros(1)).item() == 1.0
        with pytest.raises(TypeError, match="'maximum' takes"):
            tj.maximum(x, wrong=x)

    def test_numpys_scalars_are_weak(self):
        assert (tj.ones(2) * np.float64(2)).dtype == np.float32
        assert (tj.tensor([1]) * np.float64(2)).dtype == np.float32
        assert (tj.tensor([5]) // 2.0).dtype == np.float32
        assert bool((tj.tensor([0.1]) == np.float64(0.1)).item())

    def test_big_endian_data(self):
        x = tj.tensor(np.array([1.0, 2.0], dtype=">f8"), requires_grad=True)
        assert x.dtype is np.dtype(np.float64)
        (x * x).sum().backward()
        assert x.grad.array.tolist() == [2.0, 4.0]

    def test_changes_of_shape_in_place(self):
        w = leaf(1.0, 2.0)
        with pytest.raises(tj.GradientError, match="leaf"):
            w.unsqueeze_(0)
        with tj.no_grad():
            w.unsqueeze_(0)
        assert w.requires_grad
        assert w.shape == (1, 2)
        (w * w).sum().backward()
        assert w.grad.shape == (1, 2)
        assert (w * 1).t_().shape == (2, 1)


class TestWalkedAgain:
    def test_where_nothing_was_saved_backward_may_run_twice(self):
        x = leaf(1.0, 2.0)
        y = (x * 2.0 + 1.0).sum()
        y.backward()
        y.backward()
        assert x.grad.tolist() == [4.0, 4.0]

    def test_where_something_was_saved_it_is_refused(self):
        x = leaf(1.0, 2.0)
        y = (x * x).sum()
        y.backward()
        with pytest.raises(tj.GradientError, match="released"):
            y.backward()

    def test_next_functions(self):
        x = leaf(1.0)
        y = x * 2.0
        assert (y + x).grad_fn.next_functions == ((y.grad_fn, 0), (x.node, 0))


def test_a_hook_for_the_length_of_a_block():
    x = leaf(1.0)
    seen = []
    with x.register_hook(seen.append) as handle:
        (x * 2.0).sum().backward()
        assert len(seen) == 1
    (x * 2.0).sum().backward()
    assert len(seen) == 1
    handle.remove()  # again: nothing to do


class TestOut:
    def test_a_result_is_written_where_it_is_asked_for(self):
        out = tj.zeros(2, 2)
        x = tj.tensor([[1.0, 2.0], [3.0, 4.0]])
        assert tj.mul(x, 2, out=out) is out
        assert out.tolist() == [[2.0, 4.0], [6.0, 8.0]]
        assert tj.matmul(x, x, out=out) is out
        assert out.tolist() == [[7.0, 10.0], [15.0, 22.0]]
        values, indices = tj.empty(0), tj.empty(0, dtype=tj.int64)
        tj.max(x, dim=1, out=(values, indices))
        assert (values.tolist(), indices.tolist()) == ([2.0, 4.0], [1, 1])

    def test_what_is_refused(self):
        x, out = leaf(1.0, 2.0), tj.zeros(2)
        with pytest.raises(tj.GradientError, match="out= has no gradient"):
            tj.sin(x, out=out)
        with pytest.raises(tj.GradientError, match="out= has no gradient"):
            tj.sin(out, out=x)
        with pytest.raises(tj.ShapeError, match=r"result has shape \(2,\), the tensor \(3,\)"):
            tj.sin(out, out=tj.zeros(3))
        with pytest.raises(TypeError, match="does not fit a tensor of dtype int64"):
            tj.sin(out, out=tj.zeros(2, dtype=tj.int64))
        with pytest.raises(TypeError, match="takes a Tensor, not ndarray"):
            tj.sin(out, out=np.zeros(2))
        assert out.tolist() == [0.0, 0.0]
        with tj.no_grad():
            assert tj.cos(x * 0.0, out=out).tolist() == [1.0, 1.0]

    def test_what_saved_the_memory_notices(self):
        x, out = leaf(1.0, 2.0), tj.ones(2, dtype=tj.float64)
        y = (x * out).sum()
        tj.add(out, 1.0, out=out)
        with pytest.raises(tj.GradientError, match="changed in place"):
            y.backward()


def test_a_generator_without_recording_is_still_a_generator():
    @tj.no_grad()
    def steps():
        try:
            given = yield tj.is_grad_enabled()
            yield given, tj.is_grad_enabled()
        except KeyError:
            yield "caught", tj.is_grad_enabled()
        return "end"

    def through():
        return (yield from steps())

    running = steps()
    assert next(running) is False
    assert running.send(5) == (5, False)
    assert running.throw(KeyError) == ("caught", False)
    assert tj.is_grad_enabled()
    running = through()
    seen = [next(running), running.send(1)]
    with pytest.raises(StopIteration) as end:
        next(running)
    assert (seen, end.value.value) == ([False, (1, False)], "end")
    running = steps()
    next(running)
    running.close()
    assert tj.is_grad_enabled()
