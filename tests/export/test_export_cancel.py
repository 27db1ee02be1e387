"""Exports that are cancelled by `Task.cancel()` or Ctrl-C, at any step: Python lives, and nothing is left locked."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from thorough import is_thorough, variants

CHILD = Path(__file__).with_name("cancel_child.py")


def run(*arguments):
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-W", "error::ResourceWarning", CHILD, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


CASES = [
    ("changed", "text"),
    *variants(("jsonl", "shuffled"), ("csv", "shuffled"), ("parquet", "shuffled"), ("gz", "shuffled")),
    *variants(("csv", "text"), ("arrow", "text")),
]
if hasattr(os, "mkfifo"):
    CASES += [("pipe.csv.gz", "text"), *variants(("pipe.jsonl", "text"), ("pipe.parquet", "text"))]


@pytest.mark.parametrize(("kind", "order"), CASES)
def test_task_cancel_at_any_step(kind, order):
    """Cancelled once and again, an export ends cancelled or done, and the next one to the same file goes on."""
    ends, errors = run("cancel", kind, order, 0, 64, 7 if is_thorough() else 13)
    assert errors == ""
    assert set(ends) <= {"cancelled", "done"}
    assert ends["cancelled"] >= 3


@pytest.mark.parametrize(("kind", "order"), [("changed", "text"), *variants(("csv", "shuffled"))])
def test_ctrl_c_at_any_time(kind, order):
    """Ctrl-C ends an export with KeyboardInterrupt and nothing else."""
    ends, errors = run("ctrl-c", kind, order, 1, 60, 7 if is_thorough() else 12)
    # Raised between a coroutine's creation and its first step, KeyboardInterrupt makes Python warn of the coroutine.
    assert "Exception in thread" not in errors
    assert set(ends) <= {"cancelled", "done"}
    assert ends["cancelled"] >= 3
