"""Which records of a page are written: those not seen before, and those that are wanted."""

from __future__ import annotations

from collections.abc import Callable

import anyio.to_thread

from carecloud_async.export.reading.seen_ids import SeenIds
from carecloud_async.export.reading.source import RawPage

__all__ = ["Deduplicator"]


class Deduplicator:
    """Remembers every record by its id.

    Args:
        seen: the ids.
        step: the last step in them.
        known: how many they are.
        wanted: tells whether a record is to be written; all, if left out.

    Attributes:
        known: how many records were seen, wanted or not.
        step: the last step.
    """

    def __init__(
        self, seen: SeenIds, *, step: int = 0, known: int = 0, wanted: Callable[[bytes], bool] | None = None
    ) -> None:
        self._seen = seen
        self._wanted = wanted
        self.step = step
        self.known = known

    async def sort_out(self, page: RawPage, start: int, *, end: int | None = None) -> list[bytes]:
        """Return the records of a part of a page that are to be written.

        Args:
            page: the page.
            start: the index of its first record to look at.
            end: the index behind the last one.
        """
        part = slice(start, end)
        ids, lines = page.ids[part], page.lines[part]
        self.step += 1
        step = self.step
        new = await anyio.to_thread.run_sync(lambda: self._seen.add(ids, step=step))
        self.known += len(new)
        found = [lines[index] for index in new]
        if self._wanted is not None:
            found = [line for line in found if self._wanted(line)]
        return found
