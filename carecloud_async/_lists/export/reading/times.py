"""What the `last_change` of records says: a time in the project's zone, nothing, or something that is no time.

The API writes local times of the project without an offset; an offset that is there is honoured.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import Enum, auto
from zoneinfo import ZoneInfo

from carecloud_async._base.codec.pages import key_decoder
from carecloud_async._base.runtime.threads import run_in_thread

__all__ = [
    "FIELD",
    "ChangeTime",
    "ChangeTimes",
    "NoTime",
    "TimelessRecords",
    "known_times",
    "parse_time",
]

#: The field that says when a record changed.
FIELD = "last_change"

#: A date and at least the minute: a date alone does not say which of two changes of a day came first.
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")

#: The zero date, with or without a time.
_ZERO = re.compile(r"0000-00-00([T ][0:.]*)?Z?")

#: The time of a zero date, which means never: before all others.
_NEVER = datetime.fromisoformat("0001-01-01")

#: The pages whose times are kept: the two ends of a list are compared with each other.
_PAGES = 3

#: Most records without a time that are remembered, because a state is read as a whole. If a list has more, every run
#: hands all of them out.
_MOST = 20_000


class NoTime(Enum):
    """Why a `last_change` is not a time.

    `BLANK`: it is missing, null or empty. `FOREIGN`: it is a number, or text in another form than the API's: neither
    its value nor its place in a sort is known.
    """

    BLANK = auto()
    FOREIGN = auto()


#: A time, naive and in the project's zone unless stated otherwise; or the reason why there is none.
ChangeTime = datetime | NoTime


def parse_time(value: object) -> ChangeTime:
    """Read a `last_change` as it is written: aware if it has an offset, and naive otherwise."""
    if not isinstance(value, str):
        return NoTime.BLANK if value is None else NoTime.FOREIGN
    if _TIME.match(value):
        with contextlib.suppress(ValueError):
            return datetime.fromisoformat(value)
    if _ZERO.fullmatch(value):
        return _NEVER
    return NoTime.FOREIGN if value.strip() else NoTime.BLANK


def known_times(times: Iterable[ChangeTime]) -> list[datetime]:
    """Return those that are times."""
    return [time for time in times if isinstance(time, datetime)]


class ChangeTimes:
    """Reads when records changed: once for each page, in a worker thread.

    Args:
        zone: the project's zone.
    """

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._decoder = key_decoder(FIELD)
        self._read: deque[tuple[list[bytes], list[ChangeTime]]] = deque(maxlen=_PAGES)

    async def read(self, lines: list[bytes]) -> Sequence[ChangeTime]:
        """Return when each record of a page changed; the pages that were read last cost nothing."""
        for page, times in self._read:
            if page is lines:
                return times
        times = await run_in_thread(lambda: [self.of(line) for line in lines])
        self._read.append((lines, times))
        return times

    def of(self, line: bytes) -> ChangeTime:
        """Return when a record changed."""
        try:
            time = parse_time(self._decoder.decode(line).key)
            if isinstance(time, NoTime) or time.tzinfo is None:
                return time
            return time.astimezone(self._zone).replace(tzinfo=None)
        except (ValueError, RecursionError, OverflowError):  # neither text nor a whole number, no record, or year 10000
            return NoTime.FOREIGN


def _digest(line: bytes) -> str:
    return hashlib.blake2b(line, digest_size=8).hexdigest()


class TimelessRecords:
    """The records without a readable `last_change`, by digests of their text, from one run to the next.

    Such a record may have changed, so each run hands it out. A run that keeps a state remembers the text of those that
    it handed out, and hands out only those that are new or different.

    Args:
        known: the digests that the last run found.
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._known = frozenset(known)
        self._found: dict[str | bytes, str] = {}

    def is_new(self, line: bytes) -> bool:
        """Return whether the last run did not hand a record out with this text."""
        return _digest(line) not in self._known

    def remember(self, key: str | bytes, line: bytes) -> None:
        """Remember a record as it was shown first: with this text it is handed out, if it is new."""
        self._found.setdefault(key, _digest(line))

    @property
    def found(self) -> list[str]:
        """The digests that the next run is given; none if there are too many."""
        return sorted({*self._found.values()}) if len(self._found) <= _MOST else []
