"""Converts the texts of an Arrow table to dates and timestamps: all columns of a table together.

Each call of pyarrow releases the interpreter lock, and in a busy process has to wait to get it back. A table has half a
dozen columns of times, some of them in structs and lists: together they take six calls, one by one fifty.

The texts are found at any depth (`_leaves`), read as one array of dates and one of timestamps (`_read`), and put in
their places (`_rebuild`), which passes the leaves in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, tzinfo
from functools import cache
from typing import Any, NamedTuple

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
    days = _read(leaves, pa.date32(), is_wanted=pa.types.is_date, unit=1)
    moments = _read(leaves, pa.timestamp("us"), is_wanted=pa.types.is_timestamp, unit=_DAY, zone=zone)
    if days is None or moments is None:
        return None
    found = days | moments
    times = iter([found.get(place, pa.nulls(len(leaf.texts), leaf.kind)) for place, leaf in enumerate(leaves)])
    return [_rebuild(column, kind, times) for column, kind in zip(columns, kinds, strict=True)]


class _Leaf(NamedTuple):
    """A column of texts, perhaps inside structs and lists, whose final type is a date or a timestamp."""

    texts: Any
    kind: Any

    @property
    def has_values(self) -> bool:
        """Whether a text is not null."""
        return bool(self.texts.null_count < len(self.texts))


def _leaves(array: Any, kind: Any) -> Iterator[_Leaf]:
    """Yield the leaves of a column, in the order of its type."""
    import pyarrow as pa

    if not _holds_times(kind):
        return
    if pa.types.is_struct(kind):
        for index, one in enumerate(kind):
            yield from _leaves(array.field(index), one.type)
    elif pa.types.is_list(kind):
        yield from _leaves(array.values, kind.value_type)
    else:
        yield _Leaf(array, kind)


def _read(
    leaves: Sequence[_Leaf], kind: Any, *, is_wanted: Callable[[Any], bool], unit: int, zone: tzinfo | None = None
) -> dict[int, Any] | None:
    """Read the leaves of dates, or those of timestamps, as one array.

    Args:
        kind: the type to read.
        is_wanted: returns whether a leaf of a type is one of them.
        unit: the length of a day in the numbers of this type.
        zone: see `read_times`.

    Returns:
        the times of each leaf that has some, by its place; `None` if a value is of a year that needs care.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = {place: leaf.texts for place, leaf in enumerate(leaves) if is_wanted(leaf.kind) and leaf.has_values}
    texts = [*wanted.values()]
    if not texts:
        return {}
    times = (texts[0] if len(texts) == 1 else pa.concat_arrays(texts)).cast(kind)
    span = pc.call_function("min_max", [times])
    if span["min"].value < _FIRST_DAY * unit or span["max"].value >= _LAST_DAY * unit:
        return None
    if zone is not None:
        times = _to_utc(times, zone)
    found, begin = {}, 0
    for place, part in wanted.items():
        found[place] = times.slice(begin, len(part))
        begin += len(part)
    return found


def _rebuild(array: Any, kind: Any, times: Iterator[Any]) -> Any:
    """Return an array with the next of the times in place of its texts."""
    import pyarrow as pa

    if not _holds_times(kind):
        return array
    if pa.types.is_struct(kind):
        children = [_rebuild(array.field(index), one.type, times) for index, one in enumerate(kind)]
        own = 1  # buffer: which values are null
    elif pa.types.is_list(kind):
        children = [_rebuild(array.values, kind.value_type, times)]
        own = 2  # these, and where each list begins
    else:
        return next(times)
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
            pass  # an hour that does not exist when clocks go forward, or a system without a zone database for pyarrow
    converted = [one and one.replace(tzinfo=zone).astimezone(UTC) for one in moments.to_pylist()]
    return pa.array(converted, utc)
