"""Findings about `last_change`: in which spellings and in which zone the server writes the times of changes.

The API writes `YYYY-MM-DD HH:MM:SS`, local to the project and without an offset.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Final
from zoneinfo import ZoneInfo

from attrs import define, field

from carecloud_async.check.report import CheckFinding, good, not_known, warning
from carecloud_async.codec.fields import api_names
from carecloud_async.export.reading.times import FIELD

__all__ = [
    "DECIDE",
    "FRESH",
    "SLACK",
    "ChangeTimes",
    "Spelling",
    "says_when_changed",
    "spelling_of",
    "zone_findings",
]

#: A change so shortly before the server's now shows that both are read in the right zone.
FRESH: Final = timedelta(minutes=10)
#: Differences that slow answers, whole seconds and clocks of several servers explain.
SLACK: Final = timedelta(minutes=2)
DECIDE: Final = (
    "to decide it yourself, change a record in CareCloud and run the check again within ten minutes: it compares the "
    "time of that change with the server's clock"
)

_MEANS: Final = "changed_since, state= and changes read and compare these times"


def says_when_changed(into: Any) -> bool:
    """Return whether the records of a model say when they changed."""
    return FIELD in api_names(into).values()


class Spelling(Enum):
    """How a time of change is written; the value is the words for it."""

    LOCAL = "local times without an offset"
    OFFSET = "times with the project's offset"
    UTC = "times in UTC (Z or +00:00)"
    OTHER_OFFSET = "times with another offset than the project's"
    ZERO = "zero dates"
    NUMBER = "numbers"
    TEXT = "texts that are no ISO time"
    NULL = "null"
    EMPTY = "empty texts"
    MISSING = "no such field"

    @property
    def is_readable(self) -> bool:
        """Whether the SDK reads it as a time."""
        return self in {Spelling.LOCAL, Spelling.OFFSET, Spelling.UTC, Spelling.OTHER_OFFSET}


_UNREADABLE: Final = frozenset(one for one in Spelling if not one.is_readable)
_FOREIGN: Final = frozenset({Spelling.UTC, Spelling.OTHER_OFFSET})


def spelling_of(record: Mapping[str, Any], zone: ZoneInfo) -> Spelling:
    """Return how a record says when it changed.

    Args:
        record: the record.
        zone: the project's zone.
    """
    value = record.get(FIELD)
    if not isinstance(value, str):
        if value is None:
            return Spelling.NULL if FIELD in record else Spelling.MISSING
        return Spelling.NUMBER if isinstance(value, int | float) else Spelling.TEXT
    if not value.strip():
        return Spelling.EMPTY
    if value.startswith("0000-00-00"):
        return Spelling.ZERO
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        return Spelling.TEXT
    return _with_offset(time, zone)


def _with_offset(time: datetime, zone: ZoneInfo) -> Spelling:
    if time.tzinfo is None:
        return Spelling.LOCAL
    try:
        expected = time.astimezone(zone).utcoffset()
    except OverflowError:
        return Spelling.OTHER_OFFSET
    if time.utcoffset() == expected:
        return Spelling.OFFSET
    return Spelling.UTC if time.utcoffset() == UTC.utcoffset(None) else Spelling.OTHER_OFFSET


@define
class ChangeTimes:
    """The spellings of the times of all pages, by list.

    Attributes:
        zone: the project's zone.
    """

    zone: ZoneInfo
    _seen: dict[str, Counter[Spelling]] = field(factory=dict, init=False)

    def look(self, name: str, records: Iterable[Mapping[str, Any]]) -> None:
        """Look at the records of a page.

        Args:
            name: the name of a list whose records say when they changed, by their model.
            records: its records.
        """
        counts = self._seen.setdefault(name, Counter())
        counts.update(spelling_of(record, self.zone) for record in records)

    def findings(self) -> list[CheckFinding]:
        """Return in which spellings the times come."""
        seen = {name: counts for name, counts in self._seen.items() if counts}
        if not seen:
            return [not_known("change_times", f"no record with {FIELD} was seen", _MEANS, "run it again")]
        unreadable = {name: counts for name, counts in seen.items() if not _readable(counts)}
        partly = {name: counts for name, counts in seen.items() if 0 < _readable(counts) < counts.total()}
        found = []
        if unreadable:
            found.append(
                warning(
                    "change_times",
                    f"no {FIELD} can be read: {_by_spelling(unreadable, _UNREADABLE)}",
                    f"{_MEANS}: without them nothing shows what changed, and such runs read the whole list",
                    "export whole lists, and report the form of the field (not its values)",
                )
            )
        if partly:
            found.append(
                warning(
                    "change_times",
                    f"some {FIELD} cannot be read: {_by_spelling(partly, _UNREADABLE)}",
                    f"{_MEANS}: a record without a readable time may have changed, and is taken by each run",
                    "nothing needs to be set; report the form of the field (not its values) if it is not null",
                )
            )
        if any(counts.keys() & _FOREIGN for counts in seen.values()):
            found.append(
                warning(
                    "change_times",
                    f"{FIELD} has an offset that is not the project's: {_by_spelling(seen, _FOREIGN)}",
                    f"{_MEANS}: they go by the offset; records that you read have the time as the server wrote it",
                    "convert such times before you compare them with local ones; if timezone= is not the project's, "
                    "correct it",
                )
            )
        return found or [good("change_times", f"every {FIELD} of {len(seen)} lists can be read", _MEANS)]


def zone_findings(newest: datetime | None, *, now: datetime, zone: ZoneInfo) -> list[CheckFinding]:
    """Return whether the times of changes are local to the project: a change of a moment ago shows it.

    A change in the future is the finding of the time zone.

    Args:
        newest: the latest change of a record, read in the project's zone, in UTC; `None` if no time can be read.
        now: the server's clock, in UTC.
        zone: the project's zone.
    """
    if newest is not None and newest > now + SLACK:
        return []
    if newest is not None and newest >= now - FRESH:
        return [good("change_times", f"the latest change fits {zone.key} and the server's clock", _MEANS)]
    local = None if newest is None else newest.astimezone(zone).replace(tzinfo=UTC)
    if local is not None and timedelta() <= now - local + SLACK <= FRESH + SLACK:
        return [
            warning(
                "change_times",
                f"the latest change is of a moment ago if it is written in UTC, not in {zone.key}",
                f"{_MEANS} as {zone.key}: nightly runs would miss the changes of some hours, or read too many",
                f"ask the administrator in which zone {FIELD} is written; {DECIDE}",
            )
        ]
    return [
        not_known(
            "change_times",
            f"no change of the last ten minutes was seen: nothing shows that {FIELD} is written in {zone.key}",
            f"{_MEANS} as {zone.key}",
            DECIDE,
        )
    ]


def _readable(counts: Counter[Spelling]) -> int:
    return sum(number for spelling, number in counts.items() if spelling.is_readable)


def _by_spelling(seen: Mapping[str, Counter[Spelling]], spellings: frozenset[Spelling]) -> str:
    """Return the lists of each spelling."""
    names = {one: [name for name, counts in seen.items() if one in counts] for one in Spelling if one in spellings}
    return "; ".join(f"{one.value} ({', '.join(lists)})" for one, lists in names.items() if lists)
