"""Every format can be read by what reads it, whatever the names; and the command line writes them all."""

from __future__ import annotations

import html.parser
import itertools
import json
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import networks
import numpy as np
import pytest
from networks import array

import tinygrad_jac as tj
from tinygrad_jac import viz
from tinygrad_jac.checks.debug import debug_mode
from tinygrad_jac.commandline import main
from tinygrad_jac.viz.layout import layout
from tinygrad_jac.viz.svg import size_of

SCHEMA = Path(__file__).parents[2] / "docs" / "graph.schema.json"
needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz's program dot")
ids = dict(ids=lambda network: network.__name__)

AWKWARD = [
    'a "quoted" name', "back\\slash \\N \\", "<b>bold</b> & <script>alert(1)</script>", "new\nline\ttab",
    "ünï—cödé 漢字 🙂", "]]> --> %% }} {{ #35; &quot;", "`markdown` **bold** _it_", "end", "nul\0 bell\7 half \ud800",
    "", " ", "@svg@", "style", "subgraph x", "click n0 call alert()", "\u2028 \u202e", "'", "';--", "%d %s {0}",
    "javascript:alert(1)",
]  # fmt: skip


def awkward(**options):
    """A graph in which every text is awkward: parameters, inputs, outputs, modules, the title."""
    names = ["", " ", "\t", *(f"{name}.{k}" for k, name in enumerate(AWKWARD))]
    params = {name: tj.tensor(array(2), requires_grad=True) for name in names}
    x = tj.tensor(array(2))
    out = x
    for p in params.values():
        out = (out * p).tanh()
    return viz.graph({AWKWARD[0]: out}, params=params, inputs={AWKWARD[2]: x}, title=AWKWARD[2], **options)


class TestDot:
    @needs_dot
    def test_awkward_names(self):
        g = awkward()
        run = subprocess.run(["dot", "-Tsvg"], input=g.to_dot().encode(), capture_output=True)
        assert run.returncode == 0, run.stderr
        assert run.stderr == b""
        drawn = ElementTree.fromstring(run.stdout)
        texts = [t.text for t in drawn.iter("{http://www.w3.org/2000/svg}text")]
        for name in ('a "quoted" name.0', "back\\slash \\N \\.1", "ünï—cödé 漢字 🙂.4", "end.7"):
            assert name in [t.replace("\xa0", " ") for t in texts]

    @needs_dot
    @pytest.mark.parametrize("style", ["light", "dark", "print"])
    @pytest.mark.parametrize("direction", ["TB", "BT", "LR", "RL"])
    def test_directions_and_styles(self, direction, style):
        g = viz.graph(networks.Residual(4), tj.tensor(array(2, 4)), direction=direction, style=style, jacobians=True)
        run = subprocess.run(["dot", "-Tsvg"], input=g.to_dot().encode(), capture_output=True)
        assert (run.returncode, run.stderr) == (0, b"")

    def test_print_has_no_colours(self):
        for text in (g := viz.graph(networks.Residual(4), tj.tensor(array(2, 4)), style="print")).to_dot(), g.to_svg():
            for r, gr, b in re.findall(r"#(\w\w)(\w\w)(\w\w)\b", text):
                assert r == gr == b

    def test_roles_differ_in_shape_too(self):
        text = viz.graph(networks.Residual(4), tj.tensor(array(2, 4)), style="print", depth=1).to_dot()
        assert {"ellipse", "box"} <= set(re.findall(r"shape=(\w+)", text))
        assert "peripheries=2" in text


def statements(text):
    """A flowchart in the small part of Mermaid's grammar that is used: what is left over is an error."""
    string = r'"[^"`\n]*"'
    node = rf"n\d+(\({string}\)|\[{string}\]|\[\({string}\)\]|\(\[{string}\]\)|\[\[{string}\]\])"
    grammar = {
        "comment": r"%% .*",
        "head": r"flowchart (TB|BT|LR|RL)",
        "node": node,
        "frame": rf"subgraph g\d+\[{string}\]",
        "end": "end",
        "edge": rf"n\d+ (-->|-\.->|==>)(\|{string}\|)? n\d+",
        "look": r"classDef look\d+ [\w:#,. -]+",
        "class": r"class n\d+(,n\d+)* look\d+",
        "line": r"linkStyle \d+(,\d+)* stroke:#\w{6}",
    }
    found = []
    for line in text.splitlines():
        kinds = [kind for kind, pattern in grammar.items() if re.fullmatch(pattern, line.strip())]
        assert kinds, f"not in the grammar: {line!r}"
        found.append(kinds[0])
    return found


class TestMermaid:
    @pytest.mark.parametrize("network", networks.NETWORKS, **ids)
    def test_the_grammar(self, network):
        g = network()
        found = statements(g.to_mermaid())
        assert found.count("node") == len(g.drawing.vertices)
        assert found.count("edge") == len(g.drawing.edges)
        assert found.count("frame") == found.count("end")
        assert found[:2] == ["comment", "head"]

    def test_awkward_names(self):
        text = awkward(jacobians=True, values=True).to_mermaid()
        statements(text)
        assert "#60;script#62;" in text
        assert "漢字 🙂" in text


class TestJson:
    @pytest.fixture
    def valid(self):
        jsonschema = pytest.importorskip("jsonschema")
        schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
        jsonschema.Draft202012Validator.check_schema(schema)
        return jsonschema.Draft202012Validator(schema).validate

    @pytest.mark.parametrize("network", networks.NETWORKS, **ids)
    def test_the_schema(self, valid, network):
        valid(json.loads(network().to_json()))

    def test_with_everything(self, valid):
        x = tj.tensor([0.0, 1.0], requires_grad=True)
        with debug_mode(raise_on_failure=False) as report, np.errstate(all="ignore"):
            loss = tj.sqrt(x).sum()
            loss.backward(retain_graph=True)
        for options in (
            {"values": True},
            {"backward": True},
            {"jacobians": True},
            {"report": report},
            {"max_nodes": 2},
        ):
            with np.errstate(all="ignore"):
                valid(json.loads(viz.graph(loss, **options).to_json()))
        valid(json.loads(awkward(values=True, jacobians=True).to_json()))
        valid(json.loads(viz.graph(networks.GPT(), tj.tensor(np.arange(6)[None]), depth=1).to_json()))

    def test_ids_refer_to_what_is_there(self):
        data = json.loads(networks.gpt().to_json())
        vertices, groups = ([item["id"] for item in data[kind]] for kind in ("vertices", "groups"))
        assert len({*vertices, *groups}) == len(vertices) + len(groups)
        assert all(e["source"] in vertices and e["target"] in vertices for e in data["edges"])
        assert all(v["group"] in [None, *groups] for v in data["vertices"])
        for k, group in enumerate(data["groups"]):
            assert group["parent"] in [None, *groups[:k]]


def overlap(a, b, slack=0.01):
    return (
        min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0]) > slack
        and min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1]) > slack
    )


def inside(a, b):
    return a[0] >= b[0] and a[1] >= b[1] and a[0] + a[2] <= b[0] + b[2] and a[1] + a[3] <= b[1] + b[3]


class TestTheLayout:
    @pytest.mark.parametrize("direction", ["TB", "LR", "BT"])
    @pytest.mark.parametrize("network", networks.NETWORKS, **ids)
    def test_nothing_overlaps(self, network, direction):
        drawing = network().drawing
        drawing.direction = direction
        found = layout(drawing, size_of, lambda group: 80.0, lambda edge: 20.0)
        page = (0, 0, found.width, found.height)
        boxes, frames = list(found.boxes.items()), list(found.frames.items())
        assert len(boxes) == len(drawing.vertices)
        for k, (vertex, box) in enumerate(boxes):
            assert inside(box, page), vertex.name
            for other, b in boxes[:k]:
                assert not overlap(box, b), (vertex.name, other.name)
            for group, frame in frames:
                held = vertex in list(group.vertices())
                assert inside(box, frame) if held else not overlap(box, frame), (vertex.name, group.title)
        for edge, path in found.paths.items():
            for end, vertex in ((path[0], edge.source), (path[-1], edge.target)):
                x, y, w, h = found.boxes[vertex]
                assert x - 0.1 <= end[0] <= x + w + 0.1
                assert y - 0.1 <= end[1] <= y + h + 0.1
            # Upright at each bend, and straight past every box: no edge runs through one.
            for (x0, y0), (x1, y1) in itertools.pairwise(path):
                if abs(x1 - x0) < 0.1 or abs(y1 - y0) < 0.1:
                    line = (min(x0, x1) - 0.05, min(y0, y1) - 0.05, abs(x1 - x0) + 0.1, abs(y1 - y0) + 0.1)
                    for vertex, box in boxes:
                        if vertex not in (edge.source, edge.target):
                            assert not overlap(line, box, 0.5), (edge.source.name, edge.target.name, vertex.name)

    def test_cycles_between_closed_modules_are_laid_out(self):
        class Twist(networks.nn.Module):
            def __init__(self):
                super().__init__()
                self.a = networks.nn.ModuleList([networks.nn.Linear(3, 3), networks.nn.Linear(3, 3)])
                self.b = networks.nn.Linear(3, 3)

            def forward(self, x):
                return self.a[1](self.b(self.a[0](x)))

        model = Twist()
        params = dict(model.named_parameters())  # without classes: `a` is taken for one call of one module
        g = viz.graph(model(tj.tensor(array(2, 3))), params=params, depth=1)
        assert g.to_svg().count('class="vertex"') == len(g.drawing.vertices)
        assert g.to_html()


class TestSvgAndHtml:
    @pytest.mark.parametrize("network", networks.NETWORKS, **ids)
    def test_svg_is_well_formed(self, network):
        g = network()
        root = ElementTree.fromstring(g.to_svg())
        kinds = [e.get("class") for e in root.iter("{http://www.w3.org/2000/svg}g")]
        assert kinds.count("vertex") == len(g.drawing.vertices)
        assert kinds.count("edge") == len(g.drawing.edges)

    def test_awkward_names(self):
        g = awkward(jacobians=True, values=True)
        ElementTree.fromstring(g.to_svg())
        page = g.to_html()

        tags = []

        class Reader(html.parser.HTMLParser):
            def handle_starttag(self, tag, attrs):
                tags.append(tag)
                assert not {"src", "href", "onclick", "onload"} & {name for name, _ in attrs}

        Reader().feed(page)
        assert tags.count("script") == 2
        assert "alert" not in tags
        (data,) = re.findall(r'<script type="application/json" id="graph">(.*?)</script>', page)
        assert json.loads(data) == json.loads(g.to_json())

    def test_nothing_is_loaded(self):
        page = networks.mlp().to_html()
        addresses = set(re.findall(r"https?://[^\"'\s)]+", page))
        assert addresses == {"http://www.w3.org/2000/svg"}  # the name of a namespace
        assert "default-src 'none'" in page

    def test_notebooks(self):
        g = networks.mlp()
        bundle = g._repr_mimebundle_()
        assert set(bundle) == {"text/html", "image/svg+xml", "text/plain"}
        assert bundle["text/html"].startswith('<iframe srcdoc="&lt;!DOCTYPE html&gt;')
        assert bundle["image/svg+xml"] == g._repr_svg_() == g.to_svg()
        assert bundle["text/plain"] == repr(g)
        assert set(g._repr_mimebundle_(include=["image/svg+xml"])) == {"image/svg+xml"}
        assert set(g._repr_mimebundle_(exclude=["text/html"])) == {"image/svg+xml", "text/plain"}


class TestFiles:
    @needs_dot
    @pytest.mark.parametrize("suffix, start", [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")])
    def test_pictures(self, tmp_path, suffix, start):
        pytest.importorskip("graphviz")
        path = networks.nested().render(tmp_path / f"a picture.{suffix}")
        assert path == tmp_path / f"a picture.{suffix}"
        assert path.read_bytes().startswith(start)
        assert [p.name for p in tmp_path.iterdir()] == [path.name]

    def test_without_the_program(self, tmp_path, monkeypatch, capsys):
        pytest.importorskip("graphviz")
        monkeypatch.setenv("PATH", str(tmp_path))
        g = networks.nested()
        assert g.render(tmp_path / "picture.svg") == tmp_path / "picture.dot"
        assert (tmp_path / "picture.dot").read_text(encoding="utf-8") == g.to_dot()
        said = capsys.readouterr().out
        assert said.count("\n") == 1
        for words in ("picture.dot instead of picture.svg", "apt install", "brew install", "winget install", "conda"):
            assert words in said

    def test_without_the_package(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "graphviz", None)
        with pytest.raises(ImportError, match=r"pip install graphviz\).*apt install graphviz"):
            networks.nested().render(tmp_path / "picture.svg")
        assert not list(tmp_path.iterdir())

    def test_an_svg_file_needs_neither(self, tmp_path, monkeypatch):
        g = networks.nested()
        with monkeypatch.context() as without:
            without.setenv("PATH", str(tmp_path))
            assert g.save(tmp_path / "no program.svg").read_text(encoding="utf-8") == g.to_svg()
        monkeypatch.setitem(sys.modules, "graphviz", None)
        assert g.save(tmp_path / "no package.svg").read_text(encoding="utf-8") == g.to_svg()
        with pytest.raises(ImportError):
            g.save(tmp_path / "no package.png")

    def test_the_suffix_decides(self, tmp_path):
        g = networks.nested()
        written = {"dot": g.to_dot(), "gv": g.to_dot(), "mmd": g.to_mermaid(), "html": g.to_html()}
        for suffix, text in written.items():
            assert g.save(tmp_path / f"drawn.{suffix}").read_text(encoding="utf-8") == text
        assert json.loads(g.save(tmp_path / "drawn.JSON").read_text(encoding="utf-8")) == json.loads(g.to_json())
        g.to_html(tmp_path / "page.html")
        assert (tmp_path / "page.html").read_text(encoding="utf-8") == g.to_html()


FILE = """
import tinygrad_jac as tj
from tinygrad_jac import nn

net = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU())

def make():
    return nn.Sequential(nn.Embedding(5, 2), nn.Linear(2, 2))

def loss(x, w):
    return (x @ w).tanh().sum()

def constant(x):
    return x.detach()

number = 5
"""


class TestCommandLine:
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path, monkeypatch):
        (tmp_path / "made.py").write_text(FILE, encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        return tmp_path

    def test_a_module(self, folder, capsys):
        assert main(["graph", "made.py:net", "--input", "1,2,2", "-o", "net.json"]) == 0
        assert capsys.readouterr().out == (
            "net in made.py: 15 parameters · 3 ops · 28 B saved for the gradient\nwrote net.json\n"
        )
        data = json.loads((folder / "net.json").read_text(encoding="utf-8"))
        assert [v["name"] for v in data["vertices"]] == ["input", "reshape", "1.weight", "1.bias", "linear", "relu"]
        assert data["title"] == "net"

    def test_a_function_and_options(self, folder):
        line = "graph made.py:loss --input 2,3 3,1 -o loss.mmd --direction LR --style print --jacobians --values"
        assert main(line.split()) == 0
        text = (folder / "loss.mmd").read_text(encoding="utf-8")
        assert "flowchart LR" in text
        assert "∂ 2×2" in text
        assert main("graph made.py:loss --input 2,3 3,1 -o loss.dot --backward --max-nodes 4".split()) == 0  # noqa: SIM905
        assert "∂sum" in (folder / "loss.dot").read_text(encoding="utf-8")

    def test_a_function_that_makes_a_module_and_integers(self, folder):
        assert main("graph made.py:make --input 2,3 --dtype int64 --depth 1 -o made.html".split()) == 0  # noqa: SIM905
        assert "0 · Embedding" in (folder / "made.html").read_text(encoding="utf-8")

    @needs_dot
    def test_a_picture(self, folder, capsys):
        pytest.importorskip("graphviz")
        assert main(["graph", "made.py:net", "--input", "1,2,2"]) == 0
        assert (folder / "graph.svg").stat().st_size > 2000
        assert capsys.readouterr().out.endswith("wrote graph.svg\n")

    @pytest.mark.parametrize(
        "line, sentence",
        {
            "made.py:net --input 1,2,2 -o net.bmp": "'net.bmp' should end in one of .svg, .png, .pdf, .dot, .gv, .mmd,",
            "made.py:nothing --input 1": "there is no 'nothing' in made.py; it defines make, loss, constant",
            "nowhere.py:net --input 1": "there is no file 'nowhere.py'",
            "made.py:net --input 1,3 -o a.dot": "the shapes do not fit: linear: ",
            "made.py:loss --input 1,3 -o a.dot": "loss(x, w) cannot be called with 1 tensor",
            "made.py:constant --input 3 -o a.dot": "constant cannot be drawn at these inputs: GradientError: ",
            "made.py:net --input 1,2,2 --dtype int64 int64 -o a.dot": "1 input and 2 dtypes: give one",
            "made.py:net --input 1,2,2 --max-nodes 1 -o a.dot": "--max-nodes is a number from 2 on, not 1",
            "made.py:number --input 1 -o a.dot": "number in made.py is of type int: only a function or a module will",
            "made.py:loss --input 2,3 3,1 --dtype float32 float32 int64 -o a.dot": "2 inputs and 3 dtypes: give one",
            "made.py:net --input 1,2,2 -o missing/net.dot": "missing/net.dot cannot be written: No such file",
        }.items(),
        ids=lambda text: "",
    )
    def test_one_clear_sentence(self, line, sentence, capsys, folder):
        assert main(["graph", *line.split()]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith(f"python -m tinygrad_jac graph: {sentence}")
        assert err.count("\n") == 1
        assert [p.name for p in folder.iterdir()] == ["made.py"]
