"""The tolerant rules: values that do not fit are mended, and msgspec builds the model of them.

A value that was not meant as it stands becomes what was meant, or `None` with one warning. The rules are here, never on
the models, so that the exact readers do not pay for them.

What msgspec does not build, because it does not know a type or still refuses a value, is built field by field.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, TypeAlias, TypeVar

import attrs
import msgspec

from carecloud_async._base.codec.fields import (
    FieldWarning,
    api_names,
    core_type,
    core_types,
    element_type,
    field_types,
    is_model,
    is_read_model,
    typed_cache,
)
from carecloud_async._base.codec.json_text import REFUSED, Malformed

#: Returns what a value was meant as; `None`, with a warning, if nothing is known to be meant.
Reader: TypeAlias = Callable[[Any, FieldWarning], Any]
#: How a field is mended: its name in the API, the types of values that fit, the length of a text that may fit, what
#: reads all others, the field, and whether null means a default.
_Rule: TypeAlias = tuple[str, tuple[type, ...], int, Reader, FieldWarning, bool]
T = TypeVar("T")

_INTEGER = re.compile(r"[+-]?[0-9]{1,400}(\.0*)?", re.ASCII)
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)
#: Zero dates as MySQL writes them.
_ZERO_DATE = re.compile(r"0000-00-00([T ][0:.]*)?", re.ASCII)

_BOOLEANS: dict[str, bool] = {"true": True, "false": False, "1": True, "0": False}
#: The lengths of a day and of a timestamp as the API writes them.
_DAY, _MOMENT = len("YYYY-MM-DD"), len("YYYY-MM-DD HH:MM:SS")
#: What completes a timestamp of that length.
_REST = {_DAY: " 00:00:00", len("YYYY-MM-DD HH"): ":00:00", len("YYYY-MM-DD HH:MM"): ":00"}


def _reader(parse: Callable[[Any], Any], problem: str) -> Reader:
    """Make the reader of a type: null and blank text are `None`, and so is what `parse` does not know, with a warning.

    Args:
        parse: returns the intended value, or `None`; text comes without the blanks around it.
        problem: the warning.
    """

    def read(value: Any, warning: FieldWarning) -> Any:
        if isinstance(value, str):
            value = value.strip() or None
        meant = None if value is None else parse(value)
        return warning.lost(problem) if meant is None and value is not None else meant

    return read


def read_str(value: Any, warning: FieldWarning) -> Any:
    """Keep text unchanged; write a number in digits, a boolean as `true` or `false`."""
    if value is None or isinstance(value, str):
        return value if value is None else str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value)) if value.is_integer() else format(Decimal(repr(value)), "f")
    return warning.lost("not a text")


def _int(value: Any) -> int | None:
    """Accept whole numbers, also as text or as a float without fraction."""
    if isinstance(value, str):
        return int(value.partition(".")[0]) if _INTEGER.fullmatch(value) else None
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return int(value) if is_number and value == value // 1 else None


def _float(value: Any) -> float | None:
    """Accept finite numbers, also as text."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    try:
        number = float(value) if is_number or (isinstance(value, str) and _NUMBER.fullmatch(value)) else math.nan
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _bool(value: Any) -> bool | None:
    """Accept booleans, 0 and 1, also as text; no other value is True."""
    if isinstance(value, str):
        return _BOOLEANS.get(value.lower())
    return bool(value) if isinstance(value, (int, float)) and value in {0, 1} else None


def _date(value: Any) -> date | None:
    """Accept `YYYY-MM-DD`; a time after it is dropped."""
    if isinstance(value, str):
        value = _converted(value, date) if len(value) == _DAY else _datetime(value)
    return value.date() if isinstance(value, datetime) else value if isinstance(value, date) else None


def _datetime(value: Any) -> datetime | None:
    """Accept `YYYY-MM-DD HH:MM:SS`; a date alone means midnight."""
    if isinstance(value, str):
        return _converted(value + _REST.get(len(value), ""), datetime)
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001  (project-local, as the API is)
    return value if isinstance(value, datetime) else None


def _time(value: Any) -> time | None:
    """Accept `HH:MM:SS`, also without seconds."""
    if isinstance(value, str):
        return _converted(f"{value}:00" if len(value) == len("HH:MM") else value, time)
    return value if isinstance(value, time) else None


def _converted(text: str, kind: type[T]) -> T | None:
    try:
        return msgspec.convert(text, kind)
    except msgspec.ValidationError:
        return None


_read_date, _read_datetime = _reader(_date, "not a date"), _reader(_datetime, "not a date with time")


def read_date(value: Any, warning: FieldWarning) -> Any:
    """Read a date; one of zeros is lost."""
    if type(value) is str and len(value) == _DAY and value[0] != "0" and value[7] == "-":
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    return warning.lost("zero date") if _is_zero_date(value) else _read_date(value, warning)


def read_datetime(value: Any, warning: FieldWarning) -> Any:
    """Read a timestamp; one of zeros is lost, an offset is dropped and the local time kept."""
    if type(value) is str and len(value) == _MOMENT and value[0] != "0" and value[7:17:3] == "- ::":
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            pass
    moment = warning.lost("zero date") if _is_zero_date(value) else _read_datetime(value, warning)
    if moment is None or moment.tzinfo is None:
        return moment
    warning.note("a timestamp with an offset, which is dropped: project-local times have none")
    return moment.replace(tzinfo=None)


def _is_zero_date(value: Any) -> bool:
    return isinstance(value, str) and _ZERO_DATE.fullmatch(value.strip()) is not None


def read_any(value: Any, _warning: FieldWarning) -> Any:
    """Return the value unchanged."""
    return value


#: The reader of each scalar type a model field may have.
SCALARS: dict[Any, Reader] = {
    str: read_str,
    int: _reader(_int, "not a whole number"),
    float: _reader(_float, "not a number"),
    bool: _reader(_bool, "not a boolean"),
    date: read_date,
    datetime: read_datetime,
    time: _reader(_time, "not a time of day"),
    Any: read_any,
    object: read_any,
}


#: The most misfits of a record that are mended one by one, as msgspec names them.
_MOST_NAMED = 3
#: Types whose values no rule changes.
_EXACT = frozenset({str, int, float, bool})


def structure(value: Any, into: Any, *, problem: str = "") -> Any:
    """Build `into` from plain values by the tolerant rules.

    Args:
        value: what JSON gave: dicts, lists, scalars.
        into: an attrs class, a list or tuple of one, or a scalar type.
        problem: msgspec's message about the same value, which may then be changed: the misfit that it names is mended
            by itself, in half the time.

    Returns:
        an instance of `into`.

    Raises:
        Malformed: a field without a default is missing.
    """
    for _ in range(_MOST_NAMED):
        if not problem or not _mend_named(value, into, problem):
            break
        try:
            return msgspec.convert(value, into)
        except REFUSED as error:
            problem = str(error)
    plain = mended(value, into)
    if core_type(into) in SCALARS:
        return plain
    try:
        return msgspec.convert(plain, into)
    except (*REFUSED, TypeError):  # a TypeError for a type that msgspec does not know
        pass
    return _built(plain, into, _warning_of(into))


def _mend_named(value: dict[str, Any], into: Any, problem: str) -> bool:
    """Mend the value that a message of msgspec names; return whether it was changed."""
    place = _place(into, problem)
    if place is None:
        return False
    objects, (name, _, _, read, warning, _) = place
    for step in objects:
        value = value.get(step, {})
    given = value.get(name)
    meant = read(given, warning)
    if meant is given:
        return False
    value[name] = meant
    return True


@functools.lru_cache(maxsize=1024)
def _place(into: Any, problem: str) -> tuple[list[str], _Rule] | None:
    """Return the objects that lead to a misfit, and its field; `None` if the message names no field of an object."""
    *objects, name = problem.rpartition(" - at `$.")[2].removesuffix("`").split(".")
    for step in objects:
        into = core_types(into).get(step) if is_model(into) else None
    rules = _rules(into) if is_model(into) else ()
    return next(((objects, rule) for rule in rules if rule[0] == name), None)


def mended(value: Any, into: Any) -> Any:
    """Return plain values that fit, a model as a dict by the names of its fields; the given ones stay as they are."""
    if type(value) is dict and is_model(into):
        return _mender(into)(value)
    return _reader_of(into)(value, _warning_of(into))


def _warning_of(into: Any) -> FieldWarning:
    return FieldWarning(getattr(into, "__name__", str(into)), "value")


@typed_cache
def _reader_of(hint: Any) -> Reader:
    core = core_type(hint)
    if core in SCALARS:
        return SCALARS[core]
    if is_model(core):
        return _model_reader(core)
    element = element_type(core)
    return _foreign_reader(core) if element is None else _list_reader(element)


def _model_reader(into: Any) -> Reader:
    cls, mend = getattr(into, "__origin__", into), _mender(into)

    def read(value: Any, warning: FieldWarning) -> Any:
        if type(value) is dict:
            return mend(value)
        if isinstance(value, Mapping):
            return mend(dict(value))
        if isinstance(value, cls):
            return value
        if value is not None and value not in ("", [], ()):
            warning.note("not an object, read as an empty one")
        return mend({})

    return read


@typed_cache
def _mender(into: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return the function that mends an object of a model; it returns the same object if nothing is to be done."""
    fields = {name: field for field, name in api_names(into).items()}
    is_renamed = any(name != field for name, field in fields.items())

    def mend(record: dict[str, Any]) -> dict[str, Any]:
        plain = record
        for name, fitting, size, read, warning, has_default in _rules(into):
            value: Any = record.get(name)
            kind = type(value)
            # A text that is shaped like a date or a time is left to msgspec, which reads it in a tenth of the time.
            if kind in fitting or (kind is str and len(value) == size and value[0] != "0" and value[4] == "-"):
                continue
            if value is None and name not in record and read is not _read_id:
                continue  # a field that is missing has its default; only an id has none
            meant = read(value, warning)
            if meant is value and meant is not None:
                continue
            if plain is record:
                plain = record.copy()
            if meant is None and has_default:
                plain.pop(name, None)
            else:
                plain[name] = meant
        return {fields[name]: value for name, value in plain.items() if name in fields} if is_renamed else plain

    return mend


@typed_cache
def _rules(into: Any) -> tuple[_Rule, ...]:
    cls: Any = getattr(into, "__origin__", into)
    attributes, hints = attrs.fields_dict(cls), field_types(into)
    return tuple(_rule(cls, name, attributes[field], hints[field]) for field, name in api_names(into).items())


def _rule(cls: Any, name: str, attribute: attrs.Attribute[Any], hint: Any) -> _Rule:
    core, default, read = core_type(hint), attribute.default, _reader_of(hint)
    if default is attrs.NOTHING and hint is str and is_read_model(cls):
        read = _read_id
    fitting = (*([core] if core in _EXACT else []), *([type(None)] if default is None else []))
    size = {date: _DAY, datetime: _MOMENT}.get(core, -1)
    has_default = default is not None and default is not attrs.NOTHING
    return name, fitting, size, read, FieldWarning(cls.__name__, attribute.name), has_default


def _read_id(value: Any, warning: FieldWarning) -> str:
    """Read an id: a record without one gets an empty id and a warning, so that its page is not lost."""
    text: str | None = SCALARS[str](value, warning)
    if text is None:
        warning.note("missing from a record, read as an empty text")
    return text or ""


def _list_reader(element: Any) -> Reader:
    read_element = _element_reader(element)
    keeps_null = element in {Any, object} or core_type(element) is not element

    def read(value: Any, warning: FieldWarning) -> Any:
        if not isinstance(value, (list, tuple)):
            value = _values(value, warning, objects=is_model(element))
        plain = [read_element(item, warning) for item in value]
        return plain if keeps_null or None not in plain else [item for item in plain if item is not None]

    return read


def _element_reader(element: Any) -> Reader:
    read = _reader_of(element)
    if not is_model(core_type(element)):
        return read
    mend = _mender(core_type(element))

    def read_object(value: Any, warning: FieldWarning) -> Any:
        if type(value) is dict:
            return mend(value)
        if value is None or value == "":
            return None
        if isinstance(value, (str, int, float)):
            return warning.lost("an element that is not an object")
        return read(value, warning)

    return read_object


def _values(value: Any, warning: FieldWarning, *, objects: bool) -> list[Any]:
    """Read a value that is not a list: PHP sends an object for a list with gaps."""
    if isinstance(value, Mapping) and all(isinstance(item, Mapping) == objects for item in value.values()):
        return list(value.values())
    if value is not None and value != "":
        warning.note("not a list, read as an empty one")
    return []


def _built(value: Any, into: Any, warning: FieldWarning) -> Any:
    """Build from mended values what msgspec does not: types that it does not know, and days such as 30 February."""
    core = core_type(into)
    if is_model(core):
        return _instance(core, value) if isinstance(value, dict) else value
    element = element_type(core)
    if element is None:
        return SCALARS.get(core, read_any)(value, warning)
    items = [_built(item, element, warning) for item in value]
    return items if core.__origin__ is list else tuple(items)


def _instance(into: Any, values: dict[str, Any]) -> Any:
    cls, hints = getattr(into, "__origin__", into), field_types(into)
    given = {}
    for attribute in attrs.fields(cls):
        name, is_required = attribute.name, attribute.default is attrs.NOTHING
        if not attribute.init:
            continue
        if name in values:
            value = _built(values[name], hints[name], FieldWarning(cls.__name__, name))
            if value is not None or is_required:
                given[attribute.alias] = value
        elif is_required:
            raise Malformed(f"{cls.__name__}.{name} is missing")
    return cls(**given)


def _foreign_reader(hint: Any) -> Reader:
    """Leave other types (a user's dataclass, a dict) to cattrs, which takes 14 ms to import."""

    def read(value: Any, warning: FieldWarning) -> Any:
        if value is None:
            return None
        try:
            return _converter().structure(value, hint)
        except Exception:  # noqa: BLE001  (a foreign type may raise anything, and must not lose the record)
            return warning.lost("not of the expected type")

    return read


@functools.cache
def _converter() -> Any:
    import cattrs

    return cattrs.Converter(detailed_validation=False)
