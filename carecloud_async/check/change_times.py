"""Findings about `last_change`: in which spellings and in which zone the server writes the times of changes.

The API writes `YYYY-MM-DD HH:MM:SS`, local to the project and without an offset. What can be read is what exports read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from datetime import UTC, datetime
from enum import Enum
from typing import Final
from zoneinfo import ZoneInfo

from attrs import frozen

from carecloud_async._base.codec.fields import api_names
from carecloud_async._lists.export.reading.times import FIELD, NEVER, NoTime, ZoneFit, parse_time, read_time
from carecloud_async.check.replies import Record
from carecloud_async.check.report import CheckFinding, good, not_known, warning
from carecloud_async.models.base import Model

__all__ = ["DECIDE", "Spelling", "TimeSpellings", "says_when_changed", "spelling_of", "zone_findings"]

DECIDE: Final = (
    "to decide it yourself, change a record in CareCloud and run the check again within ten minutes: it compares the "
    "time of that change with the server's clock"
)

_MEANS: Final = "changed_since, state= and changes read and compare these times"


def says_when_changed(into: type[Model]) -> bool:
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
_ZERO: Final = frozenset({Spelling.ZERO})
_UNREADABLE: Final = frozenset({Spelling.NUMBER, Spelling.TEXT})
_BLANK: Final = frozenset({Spelling.NULL, Spelling.EMPTY, Spelling.MISSING})
_USE_STATE: Final = "use state= rather than changed_since=, which then leaves out records that are as before"


@frozen(kw_only=True)
class _Kind:
    """A finding on lists whose times are not all as the API describes them.

    Attributes:
        spellings: those that it is about.
        only_without_times: whether it is only about lists without a time in any record.
        seen: what was seen.
        meaning: what follows.
        fix: what to do.
    """

    spellings: frozenset[Spelling]
    only_without_times: bool = False
    seen: str
    meaning: str
    fix: str

    def shown(self, spellings: Set[Spelling]) -> Set[Spelling]:
        """Return the spellings of a list that it is about."""
        is_about = not (self.only_without_times and spellings & _TIMES)
        return spellings & self.spellings if is_about else frozenset()


_KINDS: Final = (
    _Kind(
        spellings=_UNREADABLE,
        seen=f"{FIELD} is not a time such as 2026-11-24 12:00:00: {{lists}}",
        meaning="a record counts as changed unless it has a time or a zero date, and such runs read the whole list",
        fix=f"report the form of the field (not its values); {_USE_STATE}",
    ),
    _Kind(
        spellings=_BLANK,
        seen=f"some or all {FIELD} say nothing: {{lists}}",
        meaning="a record without a time may have changed, and is taken by each run",
        fix=_USE_STATE,
    ),
    _Kind(
        spellings=_ZERO,
        only_without_times=True,
        seen=f"no {FIELD} is more than a zero date: {{lists}}",
        meaning="a zero date says that a record never changed, and such runs hand out none of these",
        fix="export these lists whole, or compare them with changes(compare_every=…)",
    ),
    _Kind(
        spellings=_FOREIGN,
        seen=f"{FIELD} has an offset that is not the project's: {{lists}}",
        meaning="they go by the offset; records that you read have the time as the server wrote it",
        fix="convert such times before you compare them with local ones; if timezone= is not the project's, correct it",
    ),
)


def spelling_of(record: Record, zone: ZoneInfo) -> Spelling:
    """Return how a record says when it changed.

    Args:
        zone: the project's zone.
    """
    value = record.get(FIELD)
    written, time = parse_time(value), read_time(value, zone)
    if time is NoTime.BLANK:
        blank = Spelling.NULL if FIELD in record else Spelling.MISSING
        return Spelling.EMPTY if isinstance(value, str) else blank
    if isinstance(written, NoTime) or time is NoTime.FOREIGN:
        return Spelling.NUMBER if isinstance(value, int | float) else Spelling.TEXT
    return Spelling.ZERO if time == NEVER else _offset_of(written, zone)


def _offset_of(time: datetime, zone: ZoneInfo) -> Spelling:
    if time.tzinfo is None:
        return Spelling.LOCAL
    if time.utcoffset() == time.astimezone(zone).utcoffset():
        return Spelling.OFFSET
    return Spelling.UTC if time.utcoffset() == UTC.utcoffset(None) else Spelling.OTHER_OFFSET


class TimeSpellings:
    """The spellings of the times of all pages, by list.

    Args:
        zone: the project's zone.
    """

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone
        self._seen: dict[str, set[Spelling]] = {}

    def look(self, name: str, records: Iterable[Record]) -> None:
        """Look at the records of a page.

        Args:
            name: the name of a list whose records say when they changed, by their model.
        """
        self._seen.setdefault(name, set()).update(spelling_of(record, self.zone) for record in records)

    def findings(self) -> list[CheckFinding]:
        """Return in which spellings the times come."""
        seen = {name: spellings for name, spellings in self._seen.items() if spellings}
        if not seen:
            return [not_known("change_times", f"no record with {FIELD} was seen", _MEANS, "run it again")]
        found = []
        for kind in _KINDS:
            lists = {name: kind.shown(spellings) for name, spellings in seen.items() if kind.shown(spellings)}
            if lists:
                listed = kind.seen.format(lists=_by_spelling(lists))
                found.append(warning("change_times", listed, f"{_MEANS}: {kind.meaning}", kind.fix))
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


def _by_spelling(seen: Mapping[str, Set[Spelling]]) -> str:
    """Return the lists of each spelling."""
    names = {one: [name for name, spellings in seen.items() if one in spellings] for one in Spelling}
    return "; ".join(f"{one.value} ({', '.join(lists)})" for one, lists in names.items() if lists)
