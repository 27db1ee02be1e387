"""The server of `benchmarks.held`, which holds writes and answers reads, in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.thorough
def test_what_a_lock_makes_twice_is_told():
    """Writes of five kinds are held for 2 and 25 times the read timeout: each is there once, or twice and told."""
    command = [sys.executable, "-m", "benchmarks.held", "--holds", "2,25", "--numbers", "1"]
    ended = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=500
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "writes held for 25 s" in ended.stdout
