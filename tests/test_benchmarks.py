"""The benchmarks' harness: it measures, compares and judges. No time is asserted here, only what is made of times."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.skipif(not (ROOT / "benchmarks").is_dir(), reason="benchmarks/ is not part of a wheel")

# Rows whose ratios are known by construction: the sides measure themselves, except for the one that is timed.
PLANTED = """
from functools import partial
from benchmarks.row import Peer, Row

def number(value):
    return lambda: value

def adds():
    return lambda: sum(range(1000))

def fills(size):
    return lambda: len(b"x" * size) / size

def breaks():
    raise OSError("no such disk")

def own(name, ours, peer):
    return Row(name, "self-measured", partial(number, ours), [Peer("numpy", partial(number, peer), 1.0)], "own")

ROWS = [
    Row("timed", "the sum of 1000 numbers", adds, [Peer("numpy", adds, 1000.0), Peer("no_such_peer", adds, 1.0)]),
    own("fast", 1.0, 2.0),
    own("noisy", 1.4, 1.0),
    own("slow", 1.6, 1.0),
    Row("other", "other work", partial(number, 1.0), [Peer("numpy", partial(number, 2.0), 1e9)]),
    Row("broken", "a side that fails", adds, [Peer("numpy", breaks, 1.0)]),
    Row("bytes", "memory", partial(fills, 2**25), [Peer("numpy", partial(fills, 2**26), 1.0)], "peak"),
]
"""


@pytest.fixture
def benchmarks(tmp_path):
    """Run ``python -m benchmarks`` with the planted rows on its import path."""
    (tmp_path / "planted.py").write_text(PLANTED, encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])

    def run(*arguments):
        command = [sys.executable, "-m", "benchmarks", "--quick", "--threads", "1", "--rows", "planted", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=120
        )

    return run


def test_a_row_is_measured_in_json(benchmarks):
    done = benchmarks("timed", "--json", "--check")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["about"]["threads"] == 1
    assert {"date", "processor", "cores", "system", "python", "versions", "blas", "load"} <= set(found["about"])
    measured, missing = found["comparisons"]
    keys = {"row", "work", "unit", "peer", "ours", "theirs", "ratio", "quiet", "bar", "verdict", "problem"}
    assert set(measured) == set(missing) == keys
    assert (measured["row"], measured["peer"], measured["unit"]) == ("timed", "numpy", "seconds")
    assert len(measured["ours"]) == len(measured["theirs"]) == 3
    assert all(seconds > 0 for steps in measured["ours"] + measured["theirs"] for seconds in steps)
    assert (measured["verdict"], measured["problem"]) == ("ok", None)
    # The other peer is not installed: that is said, and is no failure.
    assert (missing["peer"], missing["verdict"], missing["ratio"]) == ("no_such_peer", "skipped", None)
    assert missing["problem"] == "no_such_peer is not installed"


def test_the_table_and_the_verdicts(benchmarks):
    done = benchmarks("fast", "noisy", "slow")
    assert done.returncode == 0, "without --check no ratio is a failure"
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines() if "|" in line]
    assert lines[0] == ["row", "work", "peer", "ours", "peer's", "ratio", "lowest – highest", "quiet", "bar", "verdict"]
    assert [(line[0], line[5], line[9]) for line in lines[2:]] == [
        ("fast", "0.50", "ok"),
        ("noisy", "1.40", "over"),
        ("slow", "1.60", "too slow"),
    ]
    assert "1 threads on every side" in done.stdout


def test_what_the_sides_take_undisturbed():
    from benchmarks.measuring import Comparison
    from benchmarks.row import Peer, Row

    def nothing():
        return lambda: 0

    peer = Peer("numpy", nothing, 1.0)
    row = Row("a", "b", nothing, [peer])
    disturbed = Comparison(row, peer, ours=[[9.0, 1.0, 1.0], [9.0], [5.0]], theirs=[[2.0], [3.0, 4.0, 2.0], [8.0]])
    assert disturbed.ratio == 0.625, "the median of 0.5, 3 and 0.625, the ratios of the slices' medians"
    assert disturbed.quiet == 0.5, "the shortest of each side, where there are few"
    many = Comparison(row, peer, ours=[[float(k) for k in range(60, 0, -1)]], theirs=[[2.0]])
    assert many.quiet == 2.0, "the fourth shortest of sixty, which one in twenty stay below, / 2"


def test_the_way_back_is_measured_apart(benchmarks):
    (found,) = json.loads(benchmarks("backward-small-ops", "--json").stdout)["comparisons"]
    assert found["peer"] == "tinygrad_jac forward"
    assert found["problem"] is None
    assert 0.3 < found["ratio"] < 10, "400 operations take about as long back as forward"


@pytest.mark.parametrize("name, status", [("fast", 0), ("noisy", 0), ("slow", 1)])
def test_check_fails_where_a_bar_is_missed_by_half(benchmarks, name, status):
    assert benchmarks(name, "--check").returncode == status


def test_sides_that_disagree_are_not_compared(benchmarks):
    done = benchmarks("other")
    assert done.returncode == 1
    assert "numpy computes [2.0, 2.0], tinygrad_jac [1.0, 1.0]: not the same work" in done.stdout


def test_a_side_that_fails_is_named(benchmarks):
    done = benchmarks("broken", "fast")
    assert done.returncode == 1
    assert "broken, numpy: failed: broken, numpy: the process ended with status 1" in done.stdout
    assert "no such disk" in done.stderr, "the process says itself why"
    assert "0.50" in done.stdout, "the other rows are measured all the same"


@pytest.mark.skipif(sys.platform == "win32", reason="no peak memory is to be had there")
def test_peak_memory(benchmarks):
    (found,) = json.loads(benchmarks("bytes", "--json").stdout)["comparisons"]
    assert found["unit"] == "bytes"
    assert 0.4 < found["ratio"] < 0.6
    assert all(n > 0.9 * 2**25 for (n,) in found["ours"])


def test_unknown_names_are_refused(benchmarks):
    done = benchmarks("mpl-64")
    assert done.returncode == 2
    assert "no row is named 'mpl-64'; there are mlp-1, " in done.stderr


def test_the_list_names_all_rows_and_measures_none(benchmarks):
    done = benchmarks("--list")
    assert done.returncode == 0
    names = [line.split()[0] for line in done.stdout.splitlines()]
    assert {"mlp-64", "small-ops", "chain", "jacobian", "cnn", "attention", "adam", "import", "slow"} <= set(names)
    assert "torch (bar 0.85)" in done.stdout


def test_an_import_measures_itself():
    row = pytest.importorskip("benchmarks.row").load_rows()["import"]
    assert row.measure == "own"
    assert row.ours()() > 0


@pytest.mark.parametrize("batch", [1, 16])
def test_the_step_written_by_hand_is_ours(batch):
    mlp = pytest.importorskip("benchmarks.rows.mlp")
    ours, by_hand = mlp.by_library("tinygrad_jac", batch), mlp.by_hand(batch)
    losses = [(ours(), by_hand()) for _ in range(3)]
    assert losses[2][0] < losses[1][0] < losses[0][0], "it learns"
    for mine, other in losses:
        assert mine == pytest.approx(other, rel=1e-5)


@pytest.mark.peers
@pytest.mark.parametrize("name", ["mlp-1", "small-ops", "jacobian", "jacobian-in-out", "attention"])
def test_sides_do_the_same_work(name):
    pytest.importorskip("torch")
    row = pytest.importorskip("benchmarks.row").load_rows()[name]
    ours = row.ours()
    expected = [ours(), ours()]
    for peer in row.peers:
        if importlib.util.find_spec(peer.package) is not None:
            step = peer.start()
            assert [step(), step()] == pytest.approx(expected, rel=row.tolerance), peer.name
