"""Where exports of the peers go."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from benchmarks.task import Task


@contextmanager
def output_path(task: Task) -> Iterator[str]:
    """Name the task's file, or a new one in a temporary folder, gone afterwards."""
    with TemporaryDirectory() as folder:
        yield task.file or str(Path(folder, f"customers.{task.kind}"))


@contextmanager
def output(task: Task, mode: str) -> Iterator[IO[Any]]:
    """Open that file; the blocking writes are as a script does them."""
    with output_path(task) as path, Path(path).open(mode) as file:
        yield file
