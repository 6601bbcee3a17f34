"""Running the examples as their users do: in a process of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"


def start(script, *options, **settings):
    """Run an example: warnings are errors in it, as in the tests, and it leaves processors for other tests."""
    environment = {**os.environ, "PYTHONWARNINGS": "error", "PYTHONIOENCODING": "utf-8", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, str(EXAMPLES / script), *map(str, options)]
    return subprocess.run(command, capture_output=True, encoding="utf-8", env=environment, timeout=300, **settings)


def accuracy_of(run):
    """Its last line, when all went well."""
    assert run.returncode == 0, run.stderr
    found = re.fullmatch(r"test accuracy (\d\.\d{4})", run.stdout.splitlines()[-1])
    assert found, run.stdout
    return float(found[1])


def assert_failed_with(run, text, status=1):
    assert run.returncode == status
    assert "Traceback" not in run.stderr
    assert text in run.stderr
    if status == 1:
        assert len(run.stderr.splitlines()) == 1, run.stderr
