"""What is drawn: every op and edge of the engine's graph, by name, in its module, with what is known of it."""

from __future__ import annotations

import gc
import itertools
import weakref

import networks
import numpy as np
import pytest
from networks import array

import tinygrad_jac as tj
from tinygrad_jac import graph as engine
from tinygrad_jac import nn, viz
from tinygrad_jac.checks.debug import debug_mode
from tinygrad_jac.testing import planted_fault


def leaf(*shape):
    return tj.tensor(array(*shape), requires_grad=True)


def named(g, name, at=0):
    return [v for v in g.to_dict()["vertices"] if v["name"] == name][at]


def kinds(g):
    return [v["kind"] for v in g.to_dict()["vertices"]]


def arrows(g):
    """Edges by the names of what they join, and the argument where it is named."""
    data = g.to_dict()
    names = {v["id"]: v["name"] for v in data["vertices"]}
    return [(names[e["source"]], names[e["target"]], e["argument"] if e["ordered"] else "") for e in data["edges"]]


class TestOpsAndEdges:
    def test_as_many_edges_as_the_engine_has(self):
        model = networks.GPT(blocks=2)
        tokens = tj.tensor(np.arange(12).reshape(2, 6))
        out = model(tokens)
        nodes = engine.nodes_between([out.node])
        edges = viz.graph(out, params=model, repeats=False).to_dict()["edges"]
        assert sum(e["recorded"] for e in edges) == sum(p is not None for n in nodes for p in n.parents)
        assert len(nodes) == sum(
            v["kind"] in ("op", "parameter") for v in viz.graph(out, params=model, repeats=False).to_dict()["vertices"]
        )

    def test_parallel_edges_are_kept(self):
        x = leaf(3)
        g = viz.graph((x * x).sum(), params={"x": x})
        assert arrows(g) == [("x", "mul", ""), ("x", "mul", ""), ("mul", "sum", "")]
        assert g.to_dot().count("n0 -> n1;") == g.to_mermaid().count("n0 --> n1\n") == 2

    def test_arguments_are_named_where_their_order_matters(self):
        a, b = leaf(3), leaf(3)
        params = {"a": a, "b": b}
        assert arrows(viz.graph(a + b, params=params)) == [("a", "add", ""), ("b", "add", "")]
        assert arrows(viz.graph(a - b, params=params)) == [("a", "sub", "x"), ("b", "sub", "y")]
        joined = viz.graph(tj.cat([a, b, a]), params=params)
        assert arrows(joined) == [
            ("a", "concatenate", "xs[0]"),
            ("b", "concatenate", "xs[1]"),
            ("a", "concatenate", "xs[2]"),
        ]
        where = viz.graph(tj.where(tj.tensor([True, False, True]), a, b), params=params)
        assert [name for _, _, name in arrows(where)] == ["condition", "x", "y"]

    def test_shapes_dtypes_and_parameters_of_ops(self):
        x = tj.tensor(np.ones((2, 3)), requires_grad=True)
        op = named(viz.graph((2 * x).sum(dim=1)), "sum")
        assert (op["shape"], op["dtype"], op["detail"]) == ((2,), "float64", "axis=(-1,)")
        assert named(viz.graph(2 * x), "mul")["detail"] == "x=2"
        assert named(viz.graph(x**0.5), "pow")["detail"] == "y=0.5"
        assert named(viz.graph(x[:, 1:]), "slice")["detail"] == "key=(…, :, 1:)"
        assert named(viz.graph(x[tj.tensor([1, 0])]), "index")["detail"] == "at=int64[2]"

    def test_doublings_have_two_to_the_thirty_paths_and_31_boxes(self):
        y = leaf(1)
        for _ in range(30):
            y = y + y
        g = viz.graph(y)
        assert (len(g.drawing.vertices), len(g.drawing.edges)) == (31, 60)

    def test_a_graph_much_deeper_than_the_stack(self):
        y = leaf(1)
        for _ in range(5000):
            y = y.tanh()
        text = viz.graph(y, max_nodes=None, repeats=False).to_dot()
        assert text.count("<b>tanh</b>") == 4999  # and the output's

    def test_the_drawing_keeps_no_array_alive(self):
        x = leaf(1000)
        out = (x * x).exp().sum()
        g = viz.graph(out, jacobians=False, values=True)
        array = weakref.ref(x.node)
        del x, out
        gc.collect()
        assert array() is None
        assert "exp" in g.to_dot()

    def test_released_graphs_are_drawn_too(self):
        w = leaf(3)
        loss = (w * tj.tensor(array(3))).sum()
        before = viz.graph(loss, params={"w": w})
        loss.backward()
        after = viz.graph(loss, params={"w": w})
        assert kinds(before) == ["parameter", "input", "op", "op"]
        assert kinds(after) == ["parameter", "op", "op"]
        assert named(after, "mul")["detail"] == "y=…"
        assert before.to_dict()["totals"]["bytes_saved"] == 12
        assert after.to_dict()["totals"]["bytes_saved"] is None


class TestWhatIsWhat:
    def test_without_names(self):
        x, w = tj.tensor(array(2, 3)), leaf(3)
        assert kinds(viz.graph(x * w * 2)) == ["parameter", "input", "op", "op"]

    def test_inputs_and_constants(self):
        x, w, mask = tj.tensor(array(2, 3)), leaf(3), tj.tensor(array(2, 3))
        g = viz.graph(x * w * mask, params={"w": w}, inputs={"x": x})
        assert [(v["kind"], v["name"]) for v in g.to_dict()["vertices"]] == [
            ("parameter", "w"), ("input", "x"), ("op", "mul"), ("constant", "constant"), ("op", "mul"),
        ]  # fmt: skip

    def test_an_input_is_found_through_its_views(self):
        model, x = nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), tj.tensor(array(3, 2, 2))
        found = named(viz.graph(model(x), params=model, inputs={"image": x}), "image")
        assert (found["kind"], found["shape"]) == ("input", (3, 2, 2)), "as it was given, before it was reshaped"

    def test_an_input_is_saved_however_it_is_drawn(self):
        model, x = nn.Linear(4, 2), tj.tensor(array(3, 4))
        drawings = viz.graph(model, x), viz.graph(model(x)), viz.graph(model(x), params=model, inputs={"x": x})
        assert {g.drawing.saved for g in drawings} == {x.array.nbytes}

    def test_an_input_of_which_the_shape_alone_was_kept(self):
        w, y, other = leaf(3), tj.tensor(array(3)), tj.tensor(array(1))
        assert named(viz.graph(w - y, params={"w": w}, inputs={"y": y}), "y")["kind"] == "input"
        # Two places, or two inputs, that it might be: it is not guessed.
        assert "y" not in [v["name"] for v in viz.graph(w - y + y, inputs={"y": y}).to_dict()["vertices"]]
        assert "z" not in [v["name"] for v in viz.graph(w - y, inputs={"y": y, "z": y * 1}).to_dict()["vertices"]]
        assert "y" not in [v["name"] for v in viz.graph(w + other, inputs={"y": y}).to_dict()["vertices"]]

    def test_one_array_is_one_box(self):
        x, w = tj.tensor(array(3)), leaf(3)
        assert kinds(viz.graph((w * x).exp() * x)) == ["parameter", "input", "op", "op", "op"]
        steps = tj.tensor(array(4, 3))  # of which each row is a view: the steps of a sequence
        assert kinds(viz.graph((w * steps[0]).exp() * steps[3])) == ["parameter", "input", "op", "op", "op"]

    def test_frozen_parameters_and_buffers(self):
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).eval()
        model[0].requires_grad_(False)
        x = leaf(5, 3)
        g = viz.graph(model(x), params=model, inputs={"x": x})
        assert named(g, "0.weight")["kind"] == "parameter"
        assert named(g, "0.weight")["parameters"] == 0  # it is not learnt
        assert not [e for e in g.to_dict()["edges"] if e["source"] == named(g, "0.weight")["id"] and e["recorded"]]

    def test_outputs_have_names(self):
        x = leaf(3)
        loss = (x * x).sum()
        g = viz.graph({"loss": loss, "inner": {"squares": x * x}}, params={"x": x})
        assert [v["output"] for v in g.to_dict()["vertices"]] == [None, None, "loss", "inner.squares"]
        assert viz.graph([loss, x]).to_dict()["vertices"][0]["output"] == "output[1]"
        assert "loss, again" in viz.graph({"loss": loss, "again": loss}).to_dot()

    def test_totals(self):
        totals = viz.graph(networks.GPT(blocks=1), tj.tensor(np.arange(6)[None])).to_dict()["totals"]
        assert totals["parameters"] == sum(p.numel() for p in networks.GPT(blocks=1).parameters())
        x = leaf(100)
        assert viz.graph((x.exp() + 1).tanh()).to_dict()["totals"] == {"parameters": 100, "ops": 3, "bytes_saved": 800}


class Twice(nn.Module):
    """Calls one layer twice, with something between that has no parameters."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x):
        return self.layer(self.layer(x).tanh())


class TestModules:
    def frames(self, g):
        return [(group["path"], group["module"], group["call"]) for group in g.to_dict()["groups"]]

    def test_traced(self):
        g = viz.graph(Twice(), tj.tensor(array(2, 3)))
        assert self.frames(g) == [("", "Twice", 1), ("layer", "Linear", 1), ("layer", "Linear", 2)]
        assert "layer · Linear · call 2 of 2" in g.to_dot()

    def test_inferred(self):
        model = Twice()
        g = viz.graph(model(tj.tensor(array(2, 3))), params=model)
        assert self.frames(g) == [("", "Twice", 1), ("layer", "Linear", 1), ("layer", "Linear", 2)]

    def test_what_is_inferred_is_what_is_recorded_where_parameters_tell(self):
        model, x = networks.GPT(blocks=2), tj.tensor(np.arange(6)[None])
        known, inferred = viz.graph(model, x), viz.graph(model(x), params=model)
        place = {}
        for g in (known, inferred):
            paths = {group["id"]: group["path"] for group in g.to_dict()["groups"]}
            place[g] = [(v["name"], paths[v["group"]]) for v in g.to_dict()["vertices"] if v["kind"] == "op"]
        wrong = [(a, b) for a, b in zip(place[known], place[inferred], strict=True) if not a[1].startswith(b[1])]
        assert wrong == []  # afterwards, an op may be known less closely, but not as part of another module
        assert sum(a == b for a, b in zip(place[known], place[inferred], strict=True)) > 0.8 * len(place[known])

    def test_from_a_dict_of_paths(self):
        params = {"net.0.weight": leaf(3, 2), "net.2.weight": leaf(2, 3)}
        out = (tj.tensor(array(4, 2)) @ params["net.0.weight"].T).tanh() @ params["net.2.weight"].T
        assert [path for path, _, _ in self.frames(viz.graph(out, params=params))] == ["", "net", "net.0", "net.2"]

    def test_recording_ends_well(self):
        model = Twice()
        with pytest.raises(ZeroDivisionError), viz.recording(model):
            1 / 0  # noqa: B018
        assert engine.observers == {}
        assert not model._forward_hooks
        assert not model.layer._forward_pre_hooks

    def test_an_exception_inside_of_a_module_leaves_no_module_open(self):
        model = nn.ModuleDict({"good": nn.Linear(3, 3), "bad": nn.Linear(4, 4)})
        x = leaf(2, 3)
        with viz.recording(model):
            with pytest.raises(tj.ShapeError):
                model["bad"](x)
            out = model["good"](x).tanh()
        assert self.frames(viz.graph(out, params=model)) == [("good", "Linear", 1)]

    def test_a_debug_mode_around_goes_on(self):
        model = Twice()
        with debug_mode() as report, viz.recording(model):
            model(tj.tensor(array(2, 3))).sum().backward()
        assert len(report) == 7

    def test_depth(self):
        model, x = networks.GPT(blocks=2), tj.tensor(np.arange(6)[None])
        g = viz.graph(model, x, depth=1)
        assert [v["name"] for v in g.to_dict()["vertices"] if v["kind"] == "module"] == [
            "tokens · Embedding", "blocks.0 · Block", "blocks.1 · Block", "norm · LayerNorm", "head · Linear",
        ]  # fmt: skip
        block = named(g, "blocks.0 · Block")
        assert block["parameters"] == sum(p.numel() for p in model.blocks[0].parameters())
        layers = 9  # of these, each a single op but for two norms of three; a residual sum each, and attention itself
        assert (block["ops"], block["shape"]) == (layers - 2 + 2 * 3 + 2 + 14, (1, 6, 16))
        (whole,) = [v for v in viz.graph(model, x, depth=0).to_dict()["vertices"] if v["kind"] == "module"]
        assert (whole["ops"], whole["output"]) == (g.drawing.ops, "output")
        assert viz.graph(model, x, depth=9).to_dot() == viz.graph(model, x).to_dot()

    def test_a_tied_parameter_does_not_pull_everything_between_into_its_module(self):
        model = nn.ModuleDict({"embed": nn.Embedding(7, 4), "norm": nn.LayerNorm(4), "head": nn.Linear(4, 7)})
        model["head"].weight = model["embed"].weight
        out = model["head"](model["norm"](model["embed"](tj.tensor([1, 2]))).tanh())
        g = viz.graph(out, params=model)
        groups = {group["id"]: group["path"] for group in g.to_dict()["groups"]}
        inside = {v["name"]: groups.get(v["group"]) for v in g.to_dict()["vertices"] if v["kind"] == "op"}
        assert (inside["mul"], inside["add"], inside["tanh"]) == ("norm", "norm", None)

    def test_parameters_that_two_modules_share_stand_outside(self):
        model = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3))
        model[2].weight = model[0].weight
        g = viz.graph(model, tj.tensor(array(2, 3)), depth=1)
        assert named(g, "0.weight")["kind"] == "parameter"
        assert len([e for e in g.to_dict()["edges"] if e["source"] == named(g, "0.weight")["id"]]) == 2


class TestRepeats:
    def test_twelve_blocks_are_drawn_once(self):
        g = networks.gpt()
        (block,) = [group for group in g.to_dict()["groups"] if group["times"] > 1]
        assert (block["path"], block["last"], block["times"]) == ("blocks.0", "blocks.11", 12)
        assert "blocks.0 … blocks.11 · Block  ×12" in g.to_dot()
        assert len(g.drawing.vertices) == len(networks.gpt(repeats=False, max_nodes=None).drawing.vertices) - 11 * 46

    def test_blocks_that_differ_are_not_rolled_up(self):
        def times(*sizes):
            layers = [nn.Sequential(nn.Linear(a, b), nn.Tanh()) for a, b in itertools.pairwise(sizes)]
            g = viz.graph(nn.Sequential(*layers), tj.tensor(array(2, sizes[0])))
            return [group["times"] for group in g.to_dict()["groups"] if group["times"] > 1]

        assert times(4, 4, 4, 4, 4) == [4]
        assert times(4, 4, 4, 4, 8, 8, 8) == [3]  # the fifth is of another shape, and two are not a row
        assert times(4, 4, 4) == []

    def test_modules_that_differ_are_told_apart_when_they_are_closed_too(self):
        def closed(*layers):
            return [v.title for v in viz.graph(nn.Sequential(*layers), leaf(2, 3), depth=1).drawing.vertices[1:]]

        assert closed(nn.Tanh(), nn.ReLU(), nn.Sigmoid()) == ["0 · Tanh", "1 · ReLU", "output = 2 · Sigmoid"]
        blocks = [nn.Sequential(nn.Linear(3, 3), nn.Tanh() if k < 3 else nn.ReLU()) for k in range(6)]
        assert closed(*blocks) == ["0 … 2 · Sequential  ×3", "output = 3 … 5 · Sequential  ×3"]

    def test_a_period_of_several_modules(self):
        model = nn.Sequential(*(layer for _ in range(5) for layer in (nn.Linear(4, 4), nn.Tanh())))
        g = viz.graph(model, tj.tensor(array(2, 4)))
        assert [group["times"] for group in g.to_dict()["groups"] if group["times"] > 1] == [5]
        assert [v["name"] for v in g.to_dict()["vertices"] if v["kind"] == "op"] == ["linear", "tanh"]

    def test_blocks_that_are_fed_differently_are_not_rolled_up(self):
        layers, x = [nn.Linear(4, 4) for _ in range(6)], leaf(2, 4)
        model = nn.ModuleList(layers)

        def count(feeds):
            y, seen = x, [x]
            with viz.recording(model):
                for k, layer in enumerate(layers):
                    y = layer(seen[feeds[k]])
                    seen.append(y)
                out = tj.stack(seen[1:])
            g = viz.graph(out, params=model, inputs={"x": x})
            return sum(group["path"] != "" for group in g.to_dict()["groups"]), g.drawing.edges

        assert count([0, 1, 2, 3, 4, 5])[0] == 1  # a chain
        assert count([0, 0, 0, 0, 0, 0])[0] == 1  # side by side
        assert count([0, 1, 2, 0, 4, 5])[0] == 2  # two chains of three

    def test_plain_ops_are_rolled_up_on_request_and_when_there_are_many(self):
        def chain(n):
            x = y = leaf(2)
            for _ in range(n):
                y = y * 0.9 + x
            return y

        assert len(viz.graph(chain(20)).drawing.vertices) == 41
        for g in (viz.graph(chain(20), repeats=True), viz.graph(chain(2000))):
            assert [v["name"] for v in g.to_dict()["vertices"]] == ["parameter", "mul", "add"]
        assert viz.graph(chain(20), repeats=True).to_dict()["groups"][0]["times"] == 20

    def test_rows_inside_of_rows(self):
        def block():
            return nn.Sequential(*(layer for _ in range(5) for layer in (nn.Linear(4, 4), nn.Tanh())))

        g = viz.graph(nn.Sequential(*(block() for _ in range(3))), leaf(2, 4))
        assert [group["times"] for group in g.to_dict()["groups"] if group["times"] > 1] == [3, 5]
        assert [v.title for v in g.drawing.vertices] == ["input", "0.0.weight", "0.0.bias", "linear", "output = tanh"]

    def test_the_steps_of_a_loop(self):
        cell = nn.Linear(5, 3)

        def run(x):
            h = start
            for t in range(7):
                h = cell(tj.cat([x[:, t], h], 1)).tanh()
            return h

        start = leaf(1, 3) * 2
        x = leaf(1, 7, 2)
        with viz.recording(cell):
            out = run(x)
        g = viz.graph(out, params=cell, inputs={"x": x})
        (step,) = [group for group in g.to_dict()["groups"] if group["times"] > 1]
        assert step["times"] == 6  # the first step is fed otherwise
        assert [v["detail"] for v in g.to_dict()["vertices"] if v["name"] == "slice"] == ["key=(…, :, 0, :)", "key=…"]

    def test_what_leaves_a_rolled_up_block_is_counted(self):
        cell, x = nn.Linear(3, 3), leaf(3)
        states = [x]
        with viz.recording(cell):
            for _ in range(6):
                states.append(cell(states[-1]))
            out = tj.stack(states[1:])
        g = viz.graph(out, params=cell, inputs={"x": x})
        assert [e["times"] for e in g.to_dict()["edges"] if e["target"] == named(g, "concatenate")["id"]] == [6]

    def test_a_fault_in_a_block_that_is_not_drawn_is_seen(self):
        model = nn.Sequential(*(nn.Sequential(nn.Linear(4, 4), nn.Tanh()) for _ in range(5)))
        model[3][0].weight.data[0, 0] = float("nan")
        with np.errstate(all="ignore"):
            g = viz.graph(model, tj.tensor(array(2, 4)), values=True)
        assert named(g, "linear")["state"] == "NaN"


class TestCutting:
    def random_chain(self, n):
        rng, y = np.random.default_rng(0), leaf(2)
        ops = [tj.sin, tj.cos, tj.tanh, lambda y: y * y, lambda y: y + 1]
        for _ in range(n):
            y = ops[rng.integers(5)](y)
        return y

    def test_the_cut_has_a_mark(self):
        g = viz.graph(self.random_chain(300), max_nodes=30, repeats=False)
        data = g.to_dict()
        (mark,) = [v for v in data["vertices"] if v["kind"] == "omitted"]
        assert len(data["vertices"]) == 30
        assert (mark["name"], mark["detail"], mark["ops"]) == ("… 272 boxes left out", "max_nodes=30", 0)
        assert data["totals"]["ops"] == 300
        assert data["vertices"][0]["kind"] == "parameter"
        assert data["vertices"][-1]["output"] == "output"
        assert "… 272 boxes left out" in g.to_mermaid()

    def test_modules_are_closed_before_anything_is_left_out(self):
        model, x = networks.GPT(blocks=2), tj.tensor(np.arange(6)[None])
        g = viz.graph(model, x, max_nodes=20)
        assert "omitted" not in kinds(g)
        assert "blocks.0 · Block" in [v["name"] for v in g.to_dict()["vertices"]]

    def test_what_was_rolled_up_is_closed_with_its_module(self):
        def inner():
            return nn.Sequential(*(layer for _ in range(5) for layer in (nn.Linear(4, 4), nn.Tanh())))

        model = nn.Sequential(inner(), nn.Linear(4, 2))
        g = viz.graph(model, tj.tensor(array(2, 4)), max_nodes=4)
        assert [v["name"] for v in g.to_dict()["vertices"]] == ["input", "0 · Sequential", "1 · Linear"]
        assert (named(g, "0 · Sequential")["ops"], named(g, "0 · Sequential")["parameters"]) == (10, 100)
        assert len(g.to_dict()["edges"]) == 2
        model = nn.Sequential(nn.Linear(3, 4), *(inner() for _ in range(3)))
        g = viz.graph(model, leaf(3), max_nodes=4)
        assert [v.title for v in g.drawing.vertices] == ["input", "0 · Linear", "output = 1 … 3 · Sequential  ×3"]
        assert g.drawing.vertices[-1].ops == 10

    def test_a_hundred_thousand_nodes_are_a_page(self):
        g = viz.graph(self.random_chain(20_000))
        assert len(g.drawing.vertices) == 500
        assert g.drawing.ops == 20_000


class TestLocalJacobians:
    def test_structure_size_density_and_pattern(self):
        x, w = tj.tensor(array(2, 3)), leaf(3, 2)
        g = viz.graph((x @ w).tanh(), params={"w": w}, jacobians=True)
        product, tanh = (e["jacobian"] for e in g.to_dict()["edges"] if e["recorded"])
        assert (product["shape"], product["structure"], product["density"]) == ([4, 6], "kron", 0.5)
        assert product["glyph"] == ("101010", "010101", "101010", "010101")
        assert (tanh["shape"], tanh["structure"], tanh["density"]) == ([4, 4], "diagonal", 0.25)
        assert "∂ 4×6" in g.to_dot()

    def test_the_pattern_is_that_of_the_matrix(self):
        from tinygrad_jac.viz.reading import local

        rng = np.random.default_rng(0)
        for make in (
            lambda x: x.sum(0), lambda x: tj.softmax(x, -1), lambda x: x[:, 1:], lambda x: x.cumsum(1),
            lambda x: x.reshape(-1) * tj.tensor(rng.integers(0, 2, 35)),
        ):  # fmt: skip
            x = tj.tensor(rng.standard_normal((5, 7)), requires_grad=True)
            node = make(x).node
            J = node.primitive.statement(node, 0)
            dense, found = J.dense() != 0, local(J)
            cells = np.zeros((len(found.glyph), len(found.glyph[0])), bool)
            rows, columns = ((np.arange(size) * count // size) for size, count in zip(dense.shape, cells.shape))
            np.logical_or.at(cells, (rows[:, None], columns), dense)
            assert [[c == "1" for c in row] for row in found.glyph] == cells.tolist()

    def test_large_matrices_are_not_written_down(self):
        w = leaf(300, 400)
        (edge,) = viz.graph(tj.tensor(array(500, 300)) @ w, jacobians=True).to_dict()["edges"][-1:]
        assert edge["jacobian"]["shape"] == [200_000, 120_000]
        assert edge["jacobian"]["structure"] == "kron"

    def test_a_released_graph_has_none(self):
        x = leaf(3)
        loss = (x * x).sum()
        loss.backward()
        with pytest.raises(tj.GradientError, match="retain_graph=True"):
            viz.graph(loss, jacobians=True)


class TestValues:
    def micrograd(self):
        a, b = (tj.tensor(v, requires_grad=True) for v in (-4.0, 2.0))
        c = a + b
        d = a * b + b**3
        return {"a": a, "b": b}, (c - d) * 2 + tj.relu(c) / b

    def test_scalars_as_micrograd_draws_them(self):
        params, out = self.micrograd()
        g = viz.graph(out, params=params, values=True)
        values = {v["name"]: (v["value"], v["gradient"]) for v in g.to_dict()["vertices"]}
        out.backward()
        assert values["a"] == (-4.0, params["a"].grad.item())
        assert values["b"] == (2.0, params["b"].grad.item())
        assert values["pow"] == (8.0, -2.0)
        assert named(g, "add", -1)["value"] == out.item()
        assert "value -4 · grad " in g.to_dot()

    def test_after_backward(self):
        params, out = self.micrograd()
        out.backward()
        g = viz.graph(out, params=params, values=True)
        assert named(g, "a")["gradient"] == params["a"].grad.item()
        assert named(g, "pow")["value"] is None  # its 3 was released
        with viz.recording():
            params, out = self.micrograd()
            out.backward()
        g = viz.graph(out, params=params, values=True)
        assert (named(g, "pow")["value"], named(g, "pow")["gradient"]) == (8.0, -2.0)

    def test_nothing_is_left_behind(self):
        x = leaf(3)
        seen = []
        y = x * x
        y.retain_grad()
        y.register_hook(seen.append)
        loss = y.sum()
        viz.graph(loss, values=True, jacobians=True)
        viz.graph(loss, backward=True)
        assert (x.grad, y.grad, seen) == (None, None, [])
        loss.backward()
        np.testing.assert_array_equal(x.grad.numpy(), 2 * x.detach().numpy())

    def test_nan_and_infinities(self):
        x = tj.tensor([0.0, 1.0], requires_grad=True)
        with np.errstate(all="ignore"):
            g = viz.graph(tj.sqrt(x).sum(), params={"x": x}, values=True)
            h = viz.graph(lambda x: (tj.log(x) * 0).sum(), x, values=True)
        edges = {(a, b): e["state"] for (a, b, _), e in zip(arrows(g), g.to_dict()["edges"], strict=True)}
        assert edges == {("x", "sqrt"): "grad Inf", ("sqrt", "sum"): None}
        assert named(g, "x")["state"] == "grad Inf"
        assert [named(h, name)["state"] for name in ("log", "mul", "sum")] == ["Inf", "NaN", "NaN"]

    def test_nan_after_the_fact_without_a_recording(self):
        x = tj.tensor([0.0, 1.0], requires_grad=True)
        with np.errstate(all="ignore"):
            y = tj.log(x) + 1
            out = (y * 0).sum()
        g = viz.graph(out, params={"x": x}, values=True)
        assert [v["state"] for v in g.to_dict()["vertices"]] == ["grad NaN", "Inf", "Inf", "NaN", "NaN"]
        assert [v.value for v in g.drawing.vertices[:-1]] == [None] * 4
        assert np.isnan(g.drawing.vertices[-1].value)

    def test_dead_edges(self):
        x, w = tj.tensor([[1.0, 2.0]]), tj.tensor([[-1.0], [-1.0]], requires_grad=True)
        g = viz.graph(tj.relu(x @ w).sum(), params={"w": w}, values=True)
        states = {(a, b): e["state"] for (a, b, _), e in zip(arrows(g), g.to_dict()["edges"], strict=True)}
        assert states == {
            ("w", "matmul"): "dead",
            ("input", "matmul"): None,
            ("matmul", "relu"): "dead",
            ("relu", "sum"): None,
        }
        assert "style=dashed" in g.to_dot()
        assert "-.->" in g.to_mermaid()


class TestBackward:
    def test_from_the_output_to_what_receives_a_gradient(self):
        x, w, b = tj.tensor(array(5, 3)), leaf(2, 3), leaf(2)
        loss = nn.functional.linear(x, w, b).tanh().sum()
        g = viz.graph({"loss": loss}, params={"w": w, "b": b}, inputs={"x": x}, backward=True)
        found = [(a, b, e["cotangent"]) for (a, b, _), e in zip(arrows(g), g.to_dict()["edges"], strict=True)]
        assert found == [
            ("∂linear", "w", (2, 3)), ("∂linear", "b", (2,)), ("∂tanh", "∂linear", (5, 2)), ("∂sum", "∂tanh", (5, 2)),
        ]  # fmt: skip
        assert "input" not in kinds(g)
        assert g.to_dict()["backward"]

    def test_a_released_graph_has_no_way_back(self):
        x = leaf(3)
        loss = (x * x).sum()
        loss.backward()
        with pytest.raises(tj.GradientError, match="retain_graph=True"):
            viz.graph(loss, backward=True)


class TestReports:
    def test_verdicts_errors_and_lines(self):
        model, x = nn.Sequential(nn.Linear(3, 2), nn.Tanh()), tj.tensor(array(4, 3).astype(np.float64))
        model.double()
        with planted_fault("tanh", "x", "vjp*1.01"), debug_mode(raise_on_failure=False) as report:
            loss = model(x).sum()
            loss.backward()
        g = viz.graph(loss, params=model, report=report)
        tanh, linear = named(g, "tanh"), named(g, "linear")
        assert (tanh["verdict"], linear["verdict"]) == ("wrong VJP", "ok")
        assert "1.01 times the derivative" in tanh["message"]
        assert tanh["place"].startswith("test_drawing.py:")
        assert tanh["code"] == "loss = model(x).sum()"
        assert tanh["errors"]["vjp"] > 1e-3 > linear["errors"]["vjp"]
        (edge,) = [line for line in g.to_dot().splitlines() if "x: wrong VJP" in line]
        assert "penwidth=3" in edge
        assert "wrong VJP" in g.to_mermaid()


class TestDeterminism:
    def test_equal_graphs_give_equal_bytes(self):
        first = [networks.gpt(jacobians=True), networks.lstm()]
        leaf(3).exp()  # clocks, addresses and counters go on
        with viz.recording():
            (leaf(3) * 2).sum().backward()
        again = [networks.gpt(jacobians=True), networks.lstm()]
        for a, b in zip(first, again, strict=True):
            for write in ("to_dot", "to_mermaid", "to_json", "to_html", "to_svg"):
                assert getattr(a, write)() == getattr(b, write)()

    def test_the_order_of_creation_does_not_count(self):
        def build(reverse):
            a, b = (leaf(3), leaf(3))[:: -1 if reverse else 1]
            halves = [lambda: a.exp(), lambda: b.sin()]
            made = {k: halves[k]() for k in ((1, 0) if reverse else (0, 1))}
            return viz.graph(made[0] - made[1], params={"a": a, "b": b}).to_json()

        assert build(False) == build(True)


class TestThePicture:
    def test_one_is_one(self):
        x = leaf(2)
        assert repr(viz.graph(x)).endswith("; 1 box, 0 edges>")
        assert repr(viz.graph(x * 2)).endswith("; 2 boxes, 1 edge>")

    def test_a_long_name_is_shortened_in_the_middle(self):
        name = "encoder." + 30 * "block." + "weight"
        g = viz.graph(leaf(2) * (x := leaf(2)), params={name: x})
        (vertex,) = [v for v in g.drawing.vertices if v.name == name]
        assert len(vertex.title) == 60
        assert vertex.title.startswith("encoder.block.")
        assert vertex.title.endswith("block.weight")
        assert "…" in vertex.title
        assert name in g.to_json()

    @pytest.mark.optimisation("recurrences")
    def test_a_cell_is_named_as_people_name_it(self):
        g = viz.graph(nn.GRU(2, 3), leaf(4, 1, 2))
        assert named(g, "recurrence")["detail"] == "cell=gru"


class TestErrors:
    @pytest.mark.parametrize(
        "call, error, text",
        [
            (lambda x: viz.graph(tj.ones(3)), tj.GradientError, "output was not recorded"),
            (lambda x: viz.graph({"loss": 3}), TypeError, "loss is of type int"),
            (lambda x: viz.graph([]), ValueError, "got no output"),
            (lambda x: viz.graph(x, x), TypeError, "inputs follow a Module or a function"),
            (lambda x: viz.graph(x, direction="up"), ValueError, "direction is one of TB, BT, LR, RL, not 'up'"),
            (lambda x: viz.graph(x, style="pink"), ValueError, "style is one of light, dark, print, not 'pink'"),
            (lambda x: viz.graph(x, depth=-1), ValueError, "depth is a whole number from 0 on, or None, not -1"),
            (lambda x: viz.graph(x, max_nodes=1), ValueError, "max_nodes is a whole number from 2 on"),
            (lambda x: viz.graph(x, params={"x": 3}), TypeError, "params: x is of type int"),
            (lambda x: viz.graph(x, params=3), TypeError, "params: int is neither a Module nor Tensors"),
            (lambda x: viz.graph(x, inputs=3), TypeError, "inputs: int is neither a Module nor Tensors"),
            (lambda x: viz.graph(x, report=3), TypeError, "report is what a debug_mode gives, not int"),
            (lambda x: viz.graph(x, title=3), TypeError, "title is text, not int"),
            (lambda x: viz.recording(3), TypeError, "takes a Module, or nothing, not int"),
            (lambda x: viz.graph(x).render("a.bmp"), ValueError, "not 'a.bmp'; save"),
            (lambda x: viz.graph(x).save("a.bmp"), ValueError, "does not end in one of .svg, .png, .pdf, .dot"),
        ],
    )
    def test_one_sentence(self, call, error, text):
        with pytest.raises(error, match=text.replace("(", r"\(")):
            call(leaf(3) * 2)
