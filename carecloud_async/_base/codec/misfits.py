"""Reads any record by the tolerant rules: values that do not fit are mended, and msgspec builds the model of them.

The rules are here and in `scalars`, never on the models, so that the exact readers do not pay for them. What msgspec
refuses even then, such as a class with types that it does not know, is built by `tolerant`, with the same result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

import attrs
import msgspec

from carecloud_async._base.codec.field_warnings import FieldWarning
from carecloud_async._base.codec.fields import (
    api_names,
    core_type,
    element_type,
    field_types,
    is_model,
    is_read_model,
    typed_cache,
)
from carecloud_async._base.codec.scalars import SCALARS, Reader, read_any

__all__ = ["mend", "structure"]

#: Types whose values no rule changes.
_EXACT = frozenset({str, int, float, bool})
#: The length of an exact text.
_TEXT_LENGTHS = {date: len("YYYY-MM-DD"), datetime: len("YYYY-MM-DD HH:MM:SS")}


def structure(value: Any, into: Any) -> Any:
    """Build `into` from plain values by the tolerant rules.

    Args:
        value: what JSON gave: dicts, lists, scalars.
        into: an attrs class, a list or tuple of one, or a scalar type.

    Returns:
        an instance of `into`.

    Raises:
        Malformed: a field without a default is missing.
    """
    mended = mend(value, into)
    if core_type(into) in SCALARS:
        return mended
    try:
        return msgspec.convert(mended, into)
    except (TypeError, ValueError, RecursionError):  # a TypeError for a type that msgspec does not know
        pass
    from carecloud_async._base.codec import tolerant  # cattrs takes 14 ms to import: imported on first use

    return tolerant.build(mended, into)


def mend(value: Any, into: Any) -> Any:
    """Apply the tolerant rules to plain values, which stay as they are.

    Args:
        value: see `structure`.
        into: see `structure`.

    Returns:
        plain values; a model is a dict by the names of its fields.
    """
    if type(value) is dict and is_model(into):
        return _mender(into)(value)
    return _reader(into)(value, FieldWarning(getattr(into, "__name__", str(into)), "value"))


@typed_cache
def _reader(hint: Any) -> Reader:
    core = core_type(hint)
    if core in SCALARS:
        return SCALARS[core]
    if is_model(core):
        return _model_reader(core)
    element = element_type(core)
    return read_any if element is None else _list_reader(element)


def _model_reader(into: Any) -> Reader:
    cls: Any = getattr(into, "__origin__", into)

    def read(value: Any, warning: FieldWarning) -> Any:
        if type(value) is dict:
            return _mender(into)(value)
        if isinstance(value, Mapping):
            return _mender(into)(dict(value))
        if isinstance(value, cls):
            return value
        if value is not None and value not in ("", [], ()):
            warning.note("not an object, read as an empty one")
        return _mender(into)({})

    return read


@typed_cache
def _mender(into: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return the function that mends an object of a model; it returns the same object if nothing is to be done."""
    cls: Any = getattr(into, "__origin__", into)
    names, hints = api_names(into), field_types(into)
    plan = tuple((names[field.name], *_rule(cls, field, hints[field.name])) for field in attrs.fields(cls))
    fields = {name: field for field, name in names.items()}
    is_renamed = fields.keys() != names.keys()

    def mended(value: dict[str, Any]) -> dict[str, Any]:
        made, get = value, value.get
        for name, fitting, read, warning, has_default in plan:
            given = get(name)
            if type(given) in fitting or (given is None and read is not _read_id and name not in value):
                continue
            plain = read(given, warning)
            if plain is given and plain is not None:
                continue
            if made is value:
                made = value.copy()
            made[name] = plain
            if plain is None and has_default:
                del made[name]
        return {fields[name]: plain for name, plain in made.items() if name in fields} if is_renamed else made

    return mended


def _rule(cls: Any, field: attrs.Attribute[Any], hint: Any) -> tuple[tuple[type, ...], Reader, FieldWarning, bool]:
    """Return the types of values that fit, what reads the others for which field, and whether null means a default."""
    core, default, read = core_type(hint), field.default, _reader(hint)
    if core in _TEXT_LENGTHS:
        read = _unless_exact(read, _TEXT_LENGTHS[core])
    elif default is attrs.NOTHING and hint is str and is_read_model(cls):
        read = _read_id
    fitting = (*([core] if core in _EXACT else []), *([type(None)] if default is None else []))
    return fitting, read, FieldWarning(cls.__name__, field.name), default is not None and default is not attrs.NOTHING


def _unless_exact(read: Reader, length: int) -> Reader:
    """Leave texts of that length to msgspec, but years that begin with a zero, as zero dates do."""

    def read_others(value: Any, warning: FieldWarning) -> Any:
        is_exact = type(value) is str and len(value) == length and value[0] != "0"
        return value if is_exact else read(value, warning)

    return read_others


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
    read = _reader(element)
    if not is_model(core_type(element)):
        return read

    def read_object(value: Any, warning: FieldWarning) -> Any:
        if type(value) is dict:
            return read(value, warning)
        if value is None or isinstance(value, (str, int, float)):
            return None if value is None or value == "" else warning.lost("an element that is not an object")
        return read(value, warning)

    return read_object


def _values(value: Any, warning: FieldWarning, *, objects: bool) -> list[Any]:
    """Read a value that is not a list: PHP sends an object for a list with gaps."""
    if isinstance(value, Mapping) and all(isinstance(item, Mapping) == objects for item in value.values()):
        return list(value.values())
    if value is not None and value != "":
        warning.note("not a list, read as an empty one")
    return []
