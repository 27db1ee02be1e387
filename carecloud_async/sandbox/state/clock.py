"""The server's clock: a given clock with an offset that tests change."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from zoneinfo import ZoneInfo

TIMESTAMP = "%Y-%m-%d %H:%M:%S"


class SandboxClock:
    """The server's time in seconds since 1970, UTC.

    Args:
        source: Where the time comes from, in seconds since 1970.
    """

    __slots__ = ("_offset", "_source")

    def __init__(self, source: Callable[[], float]) -> None:
        self._source = source
        self._offset = 0.0

    def now(self) -> float:
        """Seconds since 1970."""
        return self._source() + self._offset

    def advance(self, seconds: float) -> None:
        """Move the clock by a number of seconds, backwards if negative."""
        self._offset += seconds

    def set(self, instant: datetime) -> None:
        """Set the clock to an instant, from which it runs on.

        Args:
            instant: An aware datetime.
        """
        if instant.tzinfo is None:
            raise ValueError("the sandbox's clock is set to an aware datetime, so that the instant is certain")
        self._offset = instant.timestamp() - self._source()

    def http_date(self, *, offset: float = 0.0) -> str:
        """The `Date` header of an answer given now, in UTC.

        Args:
            offset: Seconds by which it is ahead of this clock.
        """
        return format_datetime(datetime.fromtimestamp(self.now() + offset, UTC).replace(microsecond=0), usegmt=True)


def local_timestamp(instant: float, *, zone: ZoneInfo) -> str:
    """Write an instant as the API does: local to the project, without an offset.

    Args:
        instant: Seconds since 1970.
        zone: Time zone of the project.

    Returns:
        `YYYY-MM-DD HH:MM:SS`; in autumn's double hour the text is ambiguous, as the API's is.
    """
    return datetime.fromtimestamp(instant, zone).strftime(TIMESTAMP)
