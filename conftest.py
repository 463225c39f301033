"""What all the tests share: settings, how two workers divide them, kernels, a fixture."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

# Workers share the cores: with more threads each, they would wait for one another's.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same cases in every run, and a bounded number of them.
settings.register_profile("convnotes", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("convnotes")


class Grouped(LoadScopeScheduling):  # type: ignore[misc]
    """Give each worker what shares something slow: a notebook's kernel, a page of the site."""

    def _split_scope(self, nodeid: str) -> str:
        page = re.search(r"test_site\.py::.*\[(\S+\.html)\b", nodeid)
        return page[1] if page else nodeid.split("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Grouped:
    return Grouped(config, log)


def pytest_configure(config: pytest.Config) -> None:
    """Save each notebook the import of torch, where forks are safe; in CI it does all itself."""
    runs_tests = hasattr(config, "workerinput") or not config.option.numprocesses
    quick = sys.platform == "linux" and not os.environ.get("CI")
    if runs_tests and quick and config.getoption("nbval", default=False):
        from tools import kernels

        kernels.use()


@pytest.fixture
def fresh_process() -> Callable[..., str]:
    """Return a function that runs code in a new Python and returns what it prints.

    The code may import the test modules. Warnings are errors there too.
    """

    def run(code: str, hash_seed: str = "0") -> str:
        return subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            cwd=Path(__file__).parent / "tests",
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout.strip()

    return run
