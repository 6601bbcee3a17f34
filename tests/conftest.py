"""Settings that all tests share."""

from __future__ import annotations

import os

import pytest
import without
from hypothesis import HealthCheck, settings

import tinygrad_jac as tj
import tinygrad_jac.nn  # registers the primitives that are loaded when asked for
from tinygrad_jac.primitive import registry as primitive_registry

collect_ignore = ["scripts"]  # programs that test_scripts.py runs, and not modules to look for doctests in

# Generated inputs are the same in every run: a failure is a failure of the code, not of the day.
settings.register_profile(
    "tinygrad_jac",
    derandomize=True,
    deadline=None,
    max_examples=25,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("tinygrad_jac")


LEFT_OUT = without.named(os.environ.get("TINYGRAD_JAC_WITHOUT", ""))
without.leave_out(LEFT_OUT, pytest.MonkeyPatch())


def pytest_runtest_setup(item):
    for mark in item.iter_markers("optimisation"):
        if mark.args[0] in LEFT_OUT:
            pytest.skip(f"a test of the optimisation '{mark.args[0]}', which TINYGRAD_JAC_WITHOUT leaves out")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Where the peers are required, a test that skips because one is missing has failed."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("TINYGRAD_JAC_REQUIRE_PEERS") and item.get_closest_marker("peers"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, but TINYGRAD_JAC_REQUIRE_PEERS is set: {report.longrepr}"


@pytest.fixture(autouse=True)
def _state_restored():
    """No test leaves another grad mode, default dtype or registry behind."""
    registry = dict(primitive_registry)
    yield
    assert tj.is_grad_enabled()
    assert tj.get_default_dtype() == tj.float32
    left = {name for name, p in primitive_registry.items() if registry.get(name) is not p}
    assert not left, f"the test left primitives behind: {left}; remove them with kit.scratch_registry()"
