"""When the records of a page changed."""

from __future__ import annotations

from datetime import datetime

import msgspec

from carecloud_async.export.reading.pages import RawPage, field_decoder
from carecloud_async.export.reading.since import FIELD, parse_last_change
from carecloud_async.runtime.threads import run_in_thread

__all__ = ["ChangeTimes"]


class ChangeTimes:
    """Reads when records changed: once for each page, in a worker thread."""

    def __init__(self) -> None:
        self._decoder = field_decoder(FIELD)
        self._last: tuple[RawPage | None, list[datetime | None]] = (None, [])

    async def read(self, page: RawPage) -> list[datetime | None]:
        """Return when each record of a page changed; the page that was read last costs nothing."""
        if page is not self._last[0]:
            lines = page.lines
            self._last = (page, await run_in_thread(lambda: [self.of(line) for line in lines]))
        return self._last[1]

    def of(self, line: bytes) -> datetime | None:
        """Return when a record changed; `None` if it does not say."""
        try:
            return None if self._decoder is None else parse_last_change(self._decoder.decode(line).value)
        except (msgspec.MsgspecError, RecursionError):
            return None
