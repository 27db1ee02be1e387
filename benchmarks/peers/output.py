"""Where exports of the peers go: a file in a temporary folder, gone afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any


@contextmanager
def output(mode: str) -> Iterator[IO[Any]]:
    """Open a new file; the blocking writes are as a script does them."""
    with TemporaryDirectory() as folder, Path(folder, "customers.jsonl").open(mode) as file:
        yield file
