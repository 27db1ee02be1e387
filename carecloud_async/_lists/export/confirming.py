"""`confirm`: the end of a job whose file has its name, and whose state still has to note that its caller knows it."""

from __future__ import annotations

from typing import Protocol

from carecloud_async._base.runtime.threads import run_in_thread_regardless

__all__ = ["Written", "confirm"]


class Written(Protocol):
    """A file with its state, which is not confirmed yet."""

    @property
    def is_remote(self) -> bool:
        """Whether the state lives in a storage service."""
        ...

    def confirm(self) -> None:
        """Note in the state that the report was received. Blocks."""
        ...

    def close(self) -> None:
        """Close the state."""
        ...


async def confirm(written: Written) -> None:
    """Note in the state that the report was received, and close it.

    Raises:
        ExportError: the disk or the storage refuses.
    """
    try:
        if written.is_remote:
            # The storage service may be slow, and must not hold up the program's event loop.
            await run_in_thread_regardless(written.confirm)
        else:
            # Without awaiting: after a cancellation the caller would repeat a job whose state has moved on.
            written.confirm()
    finally:
        written.close()
