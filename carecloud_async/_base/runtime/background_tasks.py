"""Background tasks that end with their block, and do not wrap the block's own exceptions."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self

import anyio
from anyio.abc import TaskGroup


class BackgroundTasks:
    """A task group for helpers of an `async with` block.

    Leaving the block cancels the running tasks. The block's own exception is never wrapped into an exception group
    (PEP 654), because the tasks return their errors as values.
    """

    def __init__(self) -> None:
        self._group: TaskGroup | None = None
        self._ended = False

    async def __aenter__(self) -> Self:
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        group, self._group = self._group, None
        self._ended = True
        if group is not None:
            group.cancel_scope.cancel()
            await group.__aexit__(None, None, None)

    def start(self, function: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> None:
        """Run a task until it is done or the block ends. It must not raise.

        Once the block ends, no task is started: a task that finishes at that moment may still request the next one.
        """
        if self._group is not None:
            self._group.start_soon(function, *args)
        elif not self._ended:
            raise RuntimeError("the block has not begun")
