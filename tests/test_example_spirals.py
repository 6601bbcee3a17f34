"""examples/spirals.py, short: it learns, and what it saves is read back."""

from __future__ import annotations

import numpy as np
import pytest
from running import accuracy_of, assert_failed_with, start


def test_spirals(tmp_path):
    pytest.importorskip("matplotlib")
    folder = tmp_path / "pictures" / "of spirals"
    run = start("spirals.py", "--steps", "150", "--seed", "1", "--out", folder)
    assert accuracy_of(run) > 0.9  # a third by guessing, 0.47 with straight lines
    assert run.stderr == ""
    assert run.stdout.count("step ") == 10
    assert (folder / "spirals.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "spirals.png").stat().st_size > 50_000
    with np.load(folder / "spirals.pt", allow_pickle=False) as weights:
        assert weights["layers.0.weight"].shape == (64, 2)
    assert sorted(path.name for path in folder.iterdir()) == ["spirals.png", "spirals.pt"]


def test_a_seed_decides_the_run_and_the_file(tmp_path):
    pytest.importorskip("matplotlib")
    folders = [tmp_path / name for name in ("a", "b", "c")]
    runs = [start("spirals.py", "--steps", "3", "--seed", s, "--out", f) for s, f in zip((3, 3, 4), folders)]
    ends = [run.stdout.splitlines()[-1] for run in runs]
    files = [(folder / "spirals.pt").read_bytes() for folder in folders]
    assert ends[0] == ends[1]
    assert files[0] == files[1] != files[2]


def test_options_that_make_no_sense(tmp_path):
    assert_failed_with(start("spirals.py", "--steps", "0"), "0 is not above 0", 2)
    assert_failed_with(start("spirals.py", "--lr", "-1"), "-1 is not above 0", 2)
    (tmp_path / "file").write_text("")
    assert_failed_with(start("spirals.py", "--out", tmp_path / "file"), "cannot be made: File exists")
