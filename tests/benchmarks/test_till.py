"""The till of `benchmarks.till`, for half a minute."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.thorough
def test_tills_that_are_killed_lose_and_double_nothing():
    """Two tills on the same customers, killed four times, twice without a network: each sale is there once."""
    command = [sys.executable, "-m", "benchmarks.till", "--minutes", "0.4", "--kills", "4", "--stretches", "2"]
    ended = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=500
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "lost 0, doubled 0, overtaken 0" in ended.stdout
