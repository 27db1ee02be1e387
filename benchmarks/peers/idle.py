"""An empty contestant: a loop in which nothing happens, for what the machine itself makes a neighbour wait."""

import asyncio
from types import TracebackType
from typing import Self

from benchmarks.task import Task


class Contender:
    """Does nothing."""

    def __init__(self, origin: str, base_path: str) -> None:
        del origin, base_path  # nothing is asked for

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    async def warm_up(self, task: Task) -> None:
        """Do nothing."""

    async def idle(self, task: Task) -> int:
        """Let half a second pass."""
        await asyncio.sleep(0.5)
        return task.done
