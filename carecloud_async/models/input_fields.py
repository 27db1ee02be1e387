"""The fields of inputs: what may be given in Python, how it is kept, and how plain JSON is read back.

Both go by the field's type. A moment keeps its offset until it is sent, and a `Decimal` all its digits.
"""

from __future__ import annotations

import math
import re
import types
import typing
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timezone
from decimal import Decimal
from os import PathLike
from typing import Any, Final, Protocol, TypeAlias

import attrs

from carecloud_async._base.codec.fields import (
    UNSET,
    Unset,
    api_names,
    element_type,
    field_types,
    is_model,
    meant_field,
    typed_cache,
)
from carecloud_async._base.codec.json_text import json_kind
from carecloud_async._base.codec.write import plain_number
from carecloud_async.errors import ConfigurationError
from carecloud_async.models.read_only import read_only_names


class ReadableFile(Protocol):
    """A file open in binary mode, blocking or asynchronous: `open(path, "rb")`, `anyio.open_file`, FastAPI's upload."""

    def read(self, size: int, /) -> bytes | Awaitable[bytes]:
        """Return at most `size` bytes."""
        ...


#: Bytes, a path, a file open in binary mode, or text that is base64 already.
Upload: TypeAlias = str | bytes | bytearray | memoryview | PathLike[str] | ReadableFile

#: The types of an upload.
UPLOADS: Final[frozenset[Any]] = frozenset(typing.get_args(Upload))

#: Text in one of the two spellings, whose value is the server's to judge: it holds zero dates and the year 985 itself.
_SPELLED: Final = re.compile(r"\d{1,4}-\d{1,2}-\d{1,2}([ T][\d:.]*)?|\d{1,2}\.\d{1,2}\.\d{4}")
#: A moment with an offset, as `to_dict` writes it.
_WITH_OFFSET: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d(:\d\d(\.\d{6})?)?", re.ASCII)

#: A day as people write it, with dots.
_DOTTED_DAY: Final = re.compile(r"(\d{2})\.(\d{2})\.(\d{4})", re.ASCII)

_DAY: Final = "a date, or text like 1985-02-12 or 12.02.1985"
_MOMENT: Final = "a datetime, or text like 2026-11-01 18:30:00 or 01.11.2026"

#: What a value of the row of a field may be, and what an error says is due.
_WANTED: Final[dict[Any, str]] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    date: "a date as 1985-02-12",
    datetime: "a moment as 2026-11-01 18:30:00",
    time: "a time of day as 18:30:00",
}


def by_digits(value: Any) -> Any:
    """Return what a number is compared and added by: the `Decimal` of the digits that a float is written with."""
    return Decimal(repr(value)) if type(value) is float else value


@typed_cache
def keepers(cls: type[Any]) -> Mapping[str, Callable[[Any], Any]]:
    """Return the functions that bring what is given for a field into the form in which it is kept, by the field's name.

    They raise a `ConfigurationError` that names the field, and never the value.
    """
    keep_of = {name: _keeper(hint, f"{cls.__name__}: {name}") for name, hint in field_types(cls).items()}
    return types.MappingProxyType({name: keep for name, keep in keep_of.items() if keep is not None})


def read_input(cls: Any, plain: Any) -> Any:
    """Make an input of the values that its `to_dict` gave.

    Args:
        cls: the input class.
        plain: an object of JSON as Python values, under the API's names.

    Raises:
        ConfigurationError: a name or a value does not fit; the message names the field, never the value.
    """
    return _object(cls, plain, _Place(cls.__name__))


@attrs.frozen
class _Place:
    """Where in the plain values a value is.

    Attributes:
        root: the name of the input class.
        path: the names that lead to the value, such as `bill_items[0].price`.
    """

    root: str
    path: str = ""

    def field(self, name: str) -> _Place:
        return _Place(self.root, f"{self.path}.{name}" if self.path else name)

    def element(self, index: int) -> _Place:
        return _Place(self.root, f"{self.path}[{index}]")

    def error(self, problem: str) -> ConfigurationError:
        return ConfigurationError(f"{self.root}.from_dict(){': ' if self.path else ''}{self.path} {problem}")


def _keeper(hint: Any, where: str) -> Callable[[Any], Any] | None:
    parts = _parts(hint)
    if Any in parts:
        return _keep_any if date in parts else None
    if any(element_type(part) is not None for part in parts):
        return lambda value: _keep_list(value, where)
    if (
        any(is_model(part) or typing.get_origin(part) is not None for part in parts)
        or {*typing.get_args(hint)} >= UPLOADS
    ):
        return None
    if datetime in parts:
        return lambda value: _checked(_keep_moment(value, where), parts, where)
    if date in parts:
        return lambda value: _checked(_keep_day(value, where), parts, where)
    if time in parts:
        return lambda value: _checked(_keep_time(value), parts, where)
    return lambda value: _checked(value, parts, where)


def _checked(value: Any, parts: frozenset[Any], where: str) -> Any:
    """Return the value of a field if it is of one of its types; `None` is null, for the server to judge."""
    if type(value) in parts or value is None or value is UNSET or any(_is_a(value, part) for part in parts):
        return value
    raise ConfigurationError(f"{where} takes {' or '.join(_wanted(parts))}, not {_kind(value)}")


def _kind(value: Any) -> str:
    kind = json_kind(value)
    return f"an object of {type(value).__name__}" if kind == "of an unknown kind" else kind


def _keep_day(value: Any, where: str) -> Any:
    """Keep the day of a datetime, which is a date to Python but not to the API, and the day that a text names."""
    if isinstance(value, datetime):
        return value.date()
    if not isinstance(value, str):
        return value
    return dotted_day(value) or _named(value, date.fromisoformat, f"{where} takes {_DAY}")


def _keep_moment(value: Any, where: str) -> Any:
    """Keep whole seconds, and the offset rather than the zone; a text that names a day alone stays one."""
    if isinstance(value, str):
        day = dotted_day(value)
        value = _named(value, _moment_in, f"{where} takes {_MOMENT}") if day is None else datetime.combine(day, time())
    return _whole_seconds(value) if isinstance(value, datetime) else value


def _keep_time(value: Any) -> Any:
    if isinstance(value, str):
        try:
            parsed = time.fromisoformat(value)
        except ValueError:
            return value
        return parsed if str(parsed) == value else value
    return value.replace(microsecond=0) if isinstance(value, time) else value


def _keep_list(value: Any, where: str) -> Any:
    if type(value) is list:
        return tuple(value)
    if value is None or value is UNSET:
        return value
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise ConfigurationError(f"{where} takes a list, not {_kind(value)}")
    return value


def _keep_any(value: Any) -> Any:
    """Keep a moment with an offset; days and moments without one become their text, as JSON has them."""
    if isinstance(value, str) and _WITH_OFFSET.fullmatch(value):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            return value
    if isinstance(value, datetime):
        return _whole_seconds(value) if value.tzinfo else value.isoformat(sep=" ", timespec="seconds")
    return value.isoformat() if isinstance(value, date) else value


def _named(text: str, read: Callable[[str], Any], problem: str) -> Any:
    """Read a day or moment; text in one of the API's spellings that names none is the server's to judge."""
    try:
        return read(text)
    except ValueError:
        if not text or _SPELLED.fullmatch(text):
            return text
    raise ConfigurationError(problem)  # outside the block: the error's context would quote the value


def _moment_in(text: str) -> Any:
    try:
        date.fromisoformat(text)
    except ValueError:
        return datetime.fromisoformat(text)
    return text


def _whole_seconds(value: datetime) -> datetime:
    value, offset = value.replace(microsecond=0), value.utcoffset()
    return value if offset is None else value.astimezone(timezone(offset))


def _object(cls: Any, plain: Any, place: _Place) -> Any:
    if isinstance(plain, cls):
        return plain
    if not isinstance(plain, Mapping):
        raise place.error(f"takes an object, not {json_kind(plain)}")
    names, types_of = api_names(cls), field_types(cls)
    unknown = next((name for name in plain if name not in names.values()), None)
    if unknown is not None:
        raise place.field(str(unknown)).error(_no_field(str(unknown), cls))
    for field in attrs.fields(cls):
        if field.default is attrs.NOTHING and names[field.name] not in plain:
            raise place.field(names[field.name]).error("is missing, and the API requires it")
    values = {
        field: _value(types_of[field], plain[name], place.field(name)) for field, name in names.items() if name in plain
    }
    return cls(**values)


def _no_field(name: str, cls: Any) -> str:
    if cls.reads is not None and name in read_only_names(cls.reads):
        return "is read-only: leave it out"
    return f"is not a field of {cls.__name__}{meant_field(name, cls)}"


def _value(hint: Any, plain: Any, place: _Place) -> Any:
    parts = _parts(hint)
    if Any in parts or (plain is None and type(None) in parts):
        return plain
    for part in parts - {type(None)}:
        element = element_type(part)
        if element is not None:
            if isinstance(plain, Sequence) and not isinstance(plain, str | bytes):
                return tuple(_value(element, item, place.element(index)) for index, item in enumerate(plain))
        elif is_model(part):
            if isinstance(plain, (Mapping, part)) or len(parts - {type(None)}) == 1:
                return _object(part, plain, place)
        elif part is float and isinstance(plain, str) and _is_long_number(plain):
            return Decimal(plain)
        elif _is_a(plain, part):
            return plain
    raise place.error(f"takes {' or '.join(_wanted(parts))}, not {json_kind(plain)}")


def _parts(hint: Any) -> frozenset[Any]:
    """Return the types that a field takes, without `Unset`; of an upload only those that plain JSON may hold."""
    is_union = typing.get_origin(hint) in {typing.Union, types.UnionType}
    parts = frozenset(typing.get_args(hint) if is_union else (hint,)) - {Unset, Decimal}
    return parts - (UPLOADS - {str}) if parts >= UPLOADS else parts


def _is_a(plain: Any, kind: Any) -> bool:
    if isinstance(plain, bool):
        return kind is bool
    if kind is float:
        if isinstance(plain, Decimal):
            return plain.is_finite()
        return isinstance(plain, int) or (isinstance(plain, float) and math.isfinite(plain))
    return isinstance(plain, kind)


def _is_long_number(plain: str) -> bool:
    """Return whether a text is a number that `to_dict` wrote as text, since a float would lose digits."""
    try:
        number = Decimal(plain)
    except ArithmeticError:
        return False
    return number.is_finite() and isinstance(plain_number(number), str)


def _wanted(parts: frozenset[Any]) -> Iterator[str]:
    temporal = {date, datetime, time} & parts
    for part in temporal or sorted(parts - {type(None)}, key=str):
        yield _WANTED.get(part) or ("a list" if element_type(part) is not None else "an object")


def dotted_day(text: str) -> date | None:
    """Return the day that `DD.MM.YYYY` names, or `None` for any other text."""
    match = _DOTTED_DAY.fullmatch(text)
    if match is None:
        return None
    day, month, year = map(int, match.groups())
    try:
        return date(year, month, day)
    except ValueError:
        return None
