"""Everyone who takes part: each module here holds one class, `Contender`, that does the works it can."""

from importlib import import_module
from types import TracebackType
from typing import Any, Protocol, Self

from benchmarks.task import Task


class Peer(Protocol):
    """What the child process needs of a contender; its other methods are the works, by the name of their kind.

    Each work takes the task and returns how many records or calls it did.
    """

    def __init__(self, origin: str, base_path: str) -> None: ...

    async def __aenter__(self) -> Self:
        """Connect and log in."""
        ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    async def warm_up(self, task: Task) -> None:
        """Make the first request, unmeasured."""
        ...


def peer_class(name: str) -> type[Any]:
    """Return a contender's class by its module's name."""
    contender: type[Any] = import_module(f"benchmarks.peers.{name}").Contender
    return contender
