"""What holds for every kind of test: unit tests, doctests in the package, and the chapters that nbval runs again."""

from __future__ import annotations

import os
from collections.abc import Iterator

import hypothesis
import matplotlib
import matplotlib.pyplot as plt
import nbval.kernel
import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # as the chapters were stored; the weekly run takes two
matplotlib.use("Agg")  # here and not in the environment: the kernels that re-run the chapters draw inline
# The same examples in every run, few, and no verdict on how long one took on a shared machine.
hypothesis.settings.register_profile("book", derandomize=True, deadline=None, max_examples=30)
hypothesis.settings.load_profile("book")


def _execute(self: nbval.kernel.RunningKernel, source: str, allow_stdin: bool | None = None) -> str:
    """Run a cell with history, where IPython finds the `;` that keeps a cell's last value from being shown."""
    return self.kc.execute(source, store_history=True, allow_stdin=allow_stdin, stop_on_error=False)


nbval.kernel.RunningKernel.execute_cell_input = _execute


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a run in CI that skipped anything: nothing may pass by being skipped."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if os.environ.get("CI") and skipped and exitstatus == pytest.ExitCode.OK:
        reporter.write_line(f"{len(skipped)} skipped: nothing may be skipped in CI", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(autouse=True)
def _alike_and_tidy() -> Iterator[None]:
    """Let torch draw the same numbers in every test, and close what it has drawn."""
    import torch  # it reads the number of threads when it is loaded

    torch.manual_seed(0)
    yield
    plt.close("all")
