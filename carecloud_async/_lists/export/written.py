"""`Written`: a file that has its name, while its state does not know yet that the caller has its report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from carecloud_async._base.runtime.threads import run_in_thread_regardless

__all__ = ["Written"]

R = TypeVar("R")


class Written(Generic[R]):
    """A finished file. If it is never confirmed, the next run finds it, and returns its report again.

    Args:
        report: what was written.
        note: notes in the state that the report was received.
        close: closes the state.
        is_remote: whether the state lives in a storage service.

    Attributes:
        report: see above.
    """

    def __init__(
        self,
        report: R,
        *,
        note: Callable[[], None] = lambda: None,
        close: Callable[[], None] = lambda: None,
        is_remote: bool = False,
    ) -> None:
        self.report: R = report
        self._note = note
        self._close = close
        self._is_remote = is_remote

    def confirm(self) -> None:
        """Note in the state that the report was received.

        Blocks: a local state for a few milliseconds, another one as long as its storage service takes.

        Raises:
            ExportError: the disk or the storage refuses.
        """
        self._note()

    def close(self) -> None:
        """Close the state."""
        self._close()

    async def confirmed(self) -> R:
        """Confirm, close, and return the report.

        Raises:
            ExportError: see `confirm`.
        """
        try:
            if self._is_remote:
                # The storage service may be slow, and must not hold up the program's event loop.
                await run_in_thread_regardless(self.confirm)
            else:
                # Without awaiting: after a cancellation the caller would repeat a job whose state has moved on.
                self.confirm()
        finally:
            self.close()
        return self.report
