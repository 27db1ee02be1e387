"""Findings about `last_change`: in which spellings and in which zone the server writes the times of changes.

The API writes `YYYY-MM-DD HH:MM:SS`, local to the project and without an offset. What can be read is what exports read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final
from zoneinfo import ZoneInfo

from attrs import define, field

from carecloud_async.check.report import CheckFinding, good, not_known, warning
from carecloud_async.codec.fields import api_names
from carecloud_async.export.reading.times import FIELD, NEVER, NoTime, ZoneFit, read_time

__all__ = ["DECIDE", "ChangeTimes", "Spelling", "says_when_changed", "spelling_of", "zone_findings"]

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
    TEXT = "texts in another form"
    NULL = "null"
    EMPTY = "empty texts"
    MISSING = "no such field"


_FOREIGN: Final = frozenset({Spelling.UTC, Spelling.OTHER_OFFSET})
_TIMES: Final = _FOREIGN | {Spelling.LOCAL, Spelling.OFFSET}
#: Exports read the whole list where these occur: neither the time nor its place in a sort is known.
_UNREADABLE: Final = frozenset({Spelling.NUMBER, Spelling.TEXT})
#: These say nothing: such a record may have changed. A zero date says that it has not.
_BLANK: Final = frozenset({Spelling.NULL, Spelling.EMPTY, Spelling.MISSING})


def spelling_of(record: Mapping[str, Any], zone: ZoneInfo) -> Spelling:
    """Return how a record says when it changed.

    Args:
        record: the record.
        zone: the project's zone.
    """
    value = record.get(FIELD)
    time = read_time(value, zone)
    if time is NoTime.BLANK:
        blank = Spelling.NULL if FIELD in record else Spelling.MISSING
        return Spelling.EMPTY if isinstance(value, str) else blank
    if not isinstance(value, str) or time is NoTime.FOREIGN:
        return Spelling.NUMBER if isinstance(value, int | float) else Spelling.TEXT
    if time == NEVER:
        return Spelling.ZERO
    return _offset_of(datetime.fromisoformat(value), zone)


def _offset_of(time: datetime, zone: ZoneInfo) -> Spelling:
    if time.tzinfo is None:
        return Spelling.LOCAL
    if time.utcoffset() == time.astimezone(zone).utcoffset():
        return Spelling.OFFSET
    return Spelling.UTC if time.utcoffset() == UTC.utcoffset(None) else Spelling.OTHER_OFFSET


@define
class ChangeTimes:
    """The spellings of the times of all pages, by list.

    Attributes:
        zone: the project's zone.
    """

    zone: ZoneInfo
    _seen: dict[str, set[Spelling]] = field(factory=dict, init=False)

    def look(self, name: str, records: Iterable[Mapping[str, Any]]) -> None:
        """Look at the records of a page.

        Args:
            name: the name of a list whose records say when they changed, by their model.
            records: its records.
        """
        self._seen.setdefault(name, set()).update(spelling_of(record, self.zone) for record in records)

    def findings(self) -> list[CheckFinding]:
        """Return in which spellings the times come."""
        seen = {name: spellings for name, spellings in self._seen.items() if spellings}
        if not seen:
            return [not_known("change_times", f"no record with {FIELD} was seen", _MEANS, "run it again")]
        found = []
        unreadable = {name: one for name, one in seen.items() if one & _UNREADABLE or not one & _TIMES}
        if unreadable:
            found.append(
                warning(
                    "change_times",
                    f"{FIELD} is not a time such as 2026-11-24 12:00:00: {_by_spelling(unreadable)}",
                    f"{_MEANS}: a record counts as changed unless it has a time or a zero date, and such runs read the "
                    "whole list",
                    "report the form of the field (not its values); use state= rather than changed_since=, which then "
                    "leaves out records that are as before",
                )
            )
        blank = {name: one & _BLANK for name, one in seen.items() if one & _BLANK and name not in unreadable}
        if blank:
            found.append(
                warning(
                    "change_times",
                    f"some {FIELD} say nothing: {_by_spelling(blank)}",
                    f"{_MEANS}: a record without a time may have changed, and is taken by each run",
                    "use state= rather than changed_since=, which then leaves out records that are as before",
                )
            )
        foreign = {name: one & _FOREIGN for name, one in seen.items() if one & _FOREIGN}
        if foreign:
            found.append(
                warning(
                    "change_times",
                    f"{FIELD} has an offset that is not the project's: {_by_spelling(foreign)}",
                    f"{_MEANS}: they go by the offset; records that you read have the time as the server wrote it",
                    "convert such times before you compare them with local ones; if timezone= is not the project's, "
                    "correct it",
                )
            )
        return found or [good("change_times", f"every {FIELD} of {len(seen)} lists can be read", _MEANS)]


def zone_findings(fit: ZoneFit, zone: ZoneInfo) -> list[CheckFinding]:
    """Return whether the times of changes are local to the project.

    Changes in the future are the finding of the time zone.

    Args:
        fit: what the latest change of all lists shows.
        zone: the project's zone.
    """
    match fit:
        case ZoneFit.AHEAD:
            return []
        case ZoneFit.SHOWN:
            return [good("change_times", f"the latest change fits {zone.key} and the server's clock", _MEANS)]
        case ZoneFit.UTC:
            return [
                warning(
                    "change_times",
                    f"the latest change is of a moment ago if it is written in UTC, not in {zone.key}",
                    f"{_MEANS} as {zone.key}: exports by change begin earlier by the difference, and hand out more",
                    f"ask the administrator in which zone {FIELD} is written; {DECIDE}",
                )
            ]
        case ZoneFit.UNKNOWN:
            return [
                not_known(
                    "change_times",
                    f"no change of the last minutes was seen: nothing shows that {FIELD} is written in {zone.key}",
                    f"{_MEANS} as {zone.key}; until a change shows it, the next mark lies earlier by the distance from "
                    "UTC",
                    DECIDE,
                )
            ]


def _by_spelling(seen: Mapping[str, set[Spelling]]) -> str:
    """Return the lists of each spelling."""
    names = {one: [name for name, spellings in seen.items() if one in spellings] for one in Spelling}
    return "; ".join(f"{one.value} ({', '.join(lists)})" for one, lists in names.items() if lists)
