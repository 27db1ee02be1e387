"""Converts the texts of an Arrow table to dates and timestamps, also those inside structs and lists."""

from __future__ import annotations

from datetime import UTC, date, datetime, tzinfo
from functools import cache
from typing import Any

__all__ = ["read_times", "staged_type"]

_EPOCH = date(1970, 1, 1)
#: Between these days, counted from 1970, no time zone can shift a time out of Python's range. Other days are read value
#: by value. pyarrow also accepts a year 0, which Python does not.
_FIRST_DAY, _LAST_DAY = ((date(year, 1, 1) - _EPOCH).days for year in (2, 9998))
_DAY = 24 * 60 * 60 * 1_000_000

#: pyarrow knows the clock changes that zone files list, but not the rule for the years from 2037 on (seen with
#: pyarrow 26: every summer time from 2038 on is an hour wrong). In microseconds since 1970.
_END_OF_RULES = int(datetime(2037, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000


def staged_type(kind: Any) -> Any:
    """Return the type to read first: text for timestamps and dates.

    The reader would apply a timestamp's offset, which has no meaning here, and does not read dates. The cast from text
    refuses offsets and reads dates.
    """
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return pa.struct([pa.field(one.name, staged_type(one.type)) for one in kind])
    if pa.types.is_list(kind):
        return pa.list_(staged_type(kind.value_type))
    return pa.string() if pa.types.is_temporal(kind) else kind


def read_times(array: Any, kind: Any, zone: tzinfo | None) -> Any:
    """Return a column with its texts read as dates and timestamps, at any depth.

    Args:
        array: an array of the staged type.
        kind: its final type.
        zone: the zone that moments are converted to UTC from, the earlier where an hour repeats; `None` leaves them
            naive.

    Raises:
        pyarrow.ArrowInvalid: a text is neither, or of a year that needs care.
    """
    import pyarrow as pa

    if not _holds_times(kind):
        return array
    if pa.types.is_struct(kind):
        children = [read_times(array.field(index), one.type, zone) for index, one in enumerate(kind)]
        own = 1  # buffer: which values are null
    elif pa.types.is_list(kind):
        children = [read_times(array.values, kind.value_type, zone)]
        own = 2  # these, and where each list begins
    elif array.null_count == len(array):
        return pa.nulls(len(array), kind)
    else:
        return _read(array, kind, zone)
    return pa.Array.from_buffers(kind, len(array), array.buffers()[:own], array.null_count, array.offset, children)


def _read(texts: Any, kind: Any, zone: tzinfo | None) -> Any:
    """Read texts of which some are not null as dates or timestamps."""
    import pyarrow as pa
    import pyarrow.compute as pc

    is_date = pa.types.is_date(kind)
    times, unit = texts.cast(kind if is_date else pa.timestamp("us")), 1 if is_date else _DAY
    span = pc.call_function("min_max", [times])
    first, last = span["min"].value, span["max"].value
    if first < _FIRST_DAY * unit or last >= _LAST_DAY * unit:
        raise pa.ArrowInvalid("a year that needs care")
    return times if is_date or zone is None else _to_utc(times, zone, has_rules=first >= 0 and last < _END_OF_RULES)


@cache
def _holds_times(kind: Any) -> bool:
    """Return whether a type is one of times or holds one at any depth."""
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return any(_holds_times(one.type) for one in kind)
    return _holds_times(kind.value_type) if pa.types.is_list(kind) else bool(pa.types.is_temporal(kind))


def _to_utc(moments: Any, zone: tzinfo, *, has_rules: bool) -> Any:
    """Convert naive moments from a zone to UTC; the earlier where an hour repeats.

    Args:
        moments: an array of them.
        zone: the zone.
        has_rules: whether pyarrow knows the zone's rules for all of them.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    utc = pa.timestamp("us", tz="UTC")
    name = getattr(zone, "key", None)
    if name is not None and has_rules:
        try:
            options = pc.AssumeTimezoneOptions(name, ambiguous="earliest", nonexistent="raise")
            return pc.call_function("assume_timezone", [moments], options).view(utc)
        except pa.ArrowInvalid:
            pass  # an hour that does not exist when clocks go forward, or a system without a zone database for pyarrow
    converted = [one and one.replace(tzinfo=zone).astimezone(UTC) for one in moments.to_pylist()]
    return pa.array(converted, utc)
