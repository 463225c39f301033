"""Hypothesis's settings for all the tests, and the fixtures they share."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

# The same cases in every run, and a bounded number of them.
settings.register_profile("convnotes", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("convnotes")


@pytest.fixture
def fresh_process() -> Callable[..., str]:
    """Return a function that runs code in a new Python and returns what it prints.

    The code may import the test modules. Warnings are errors there too.
    """

    def run(code: str, hash_seed: str = "0") -> str:
        return subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            cwd=Path(__file__).parent,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout.strip()

    return run
