"""Converts the texts of an Arrow table to dates and timestamps: all columns of a table together.

Each call of pyarrow releases the interpreter lock, and in a busy process has to wait to get it back. A table has half a
dozen columns of times, some of them in structs and lists: together they take six calls, one by one fifty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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


def read_times(columns: Sequence[Any], kinds: Sequence[Any], zone: tzinfo | None) -> list[Any] | None:
    """Return the columns with their texts read as dates and timestamps, at any depth.

    Args:
        columns: arrays of the staged types.
        kinds: their final types.
        zone: the zone that moments are converted to UTC from, the earlier where an hour repeats; `None` leaves them
            naive.

    Returns:
        the columns; `None` if a text is neither, or of a year that needs care.

    Raises:
        pyarrow.ArrowInvalid: a text is neither.
    """
    import pyarrow as pa

    leaves = [leaf for column, kind in zip(columns, kinds, strict=True) for leaf in _leaves(column, kind)]
    days = _read(_texts(leaves, is_wanted=pa.types.is_date), pa.date32(), unit=1)
    moments = _read(_texts(leaves, is_wanted=pa.types.is_timestamp), pa.timestamp("us"), unit=_DAY)
    if days is None or moments is None:
        return None
    if zone is not None and len(moments):
        moments = _to_utc(moments, zone)
    parts = _cut(leaves, days=days, moments=moments)
    return [_rebuild(column, kind, parts) for column, kind in zip(columns, kinds, strict=True)]


def _leaves(array: Any, kind: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the arrays of text, at any depth, whose final type is a date or a timestamp, each with that type."""
    import pyarrow as pa

    if pa.types.is_struct(kind):
        for index, one in enumerate(kind):
            if _holds_times(one.type):
                yield from _leaves(array.field(index), one.type)
    elif pa.types.is_list(kind):
        if _holds_times(kind):
            yield from _leaves(array.values, kind.value_type)
    elif pa.types.is_temporal(kind):
        yield array, kind


def _texts(leaves: Sequence[tuple[Any, Any]], *, is_wanted: Callable[[Any], bool]) -> list[Any]:
    return [array for array, kind in leaves if is_wanted(kind) and _has_values(array)]


def _has_values(array: Any) -> bool:
    return bool(array.null_count < len(array))


def _read(texts: Sequence[Any], kind: Any, *, unit: int) -> Any | None:
    """Read texts as one array; `None` if a value is of a year that needs care."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not texts:
        return pa.nulls(0, kind)
    found = (texts[0] if len(texts) == 1 else pa.concat_arrays(texts)).cast(kind)
    span = pc.call_function("min_max", [found])
    is_common = _FIRST_DAY * unit <= span["min"].value and span["max"].value < _LAST_DAY * unit
    return found if is_common else None


def _cut(leaves: Sequence[tuple[Any, Any]], *, days: Any, moments: Any) -> Iterator[Any]:
    """Yield the times of each leaf."""
    import pyarrow as pa

    at_day = at_moment = 0
    for array, kind in leaves:
        size = len(array)
        if not _has_values(array):
            yield pa.nulls(size, kind)
        elif pa.types.is_date(kind):
            yield days.slice(at_day, size)
            at_day += size
        else:
            yield moments.slice(at_moment, size)
            at_moment += size


def _rebuild(array: Any, kind: Any, parts: Iterator[Any]) -> Any:
    """Return an array with the next of the parts in place of its texts."""
    import pyarrow as pa

    if not _holds_times(kind):
        return array
    if pa.types.is_struct(kind):
        children = [_rebuild(array.field(index), one.type, parts) for index, one in enumerate(kind)]
        own = 1
    elif pa.types.is_list(kind):
        children = [_rebuild(array.values, kind.value_type, parts)]
        own = 2
    else:
        return next(parts)
    buffers = array.buffers()[:own]
    return pa.Array.from_buffers(kind, len(array), buffers, array.null_count, array.offset, children)


@cache
def _holds_times(kind: Any) -> bool:
    """Return whether a type is one of times or holds one at any depth."""
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return any(_holds_times(one.type) for one in kind)
    return _holds_times(kind.value_type) if pa.types.is_list(kind) else bool(pa.types.is_temporal(kind))


def _to_utc(moments: Any, zone: tzinfo) -> Any:
    """Convert naive moments from a zone to UTC; the earlier where an hour repeats."""
    import pyarrow as pa
    import pyarrow.compute as pc

    utc = pa.timestamp("us", tz="UTC")
    name = getattr(zone, "key", None)
    span = pc.call_function("min_max", [moments])
    if name is not None and span["min"].value >= 0 and span["max"].value < _END_OF_RULES:
        try:
            options = pc.AssumeTimezoneOptions(name, ambiguous="earliest", nonexistent="raise")
            return pc.call_function("assume_timezone", [moments], options).view(utc)
        except pa.ArrowInvalid:
            pass  # an hour that spring leaves out, or a system without a zone database for pyarrow
    converted = [one and one.replace(tzinfo=zone).astimezone(UTC) for one in moments.to_pylist()]
    return pa.array(converted, utc)
