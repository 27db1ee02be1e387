"""Check bodies against the fields that the API declares."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from carecloud_async.sandbox.api.problems import InvalidParam, bad_request
from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.facts import Field, fields_of, known_values

_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
}


def check_body(fields: tuple[Field, ...], body: JsonObject) -> None:
    """Check a body: required fields, types, known values; lists item by item.

    Raises:
        RefusalError: 400 that names every field at fault.
    """
    faults = list(_faults(fields, body, prefix=""))
    if faults:
        raise bad_request(*faults)


def wrapper_of(fields: tuple[Field, ...]) -> Field | None:
    """The field of a body that holds the record, or `None` if the body itself is the record."""
    objects = (field for field in fields if not field.many and (fields_of(field.item) or field.type == "object"))
    return next((field for field in objects if field.required), None)


def rows_of(fields: tuple[Field, ...]) -> Field | None:
    """The field of a batch's body that holds the records."""
    return next((field for field in fields if field.many and field.required and "." not in field.name), None)


def faults_of_rows(field: Field, rows: list[Any]) -> list[list[InvalidParam]]:
    """What is at fault in each row of a batch.

    Args:
        field: The field of the body that holds the rows.
        rows: The rows.
    """
    return [list(_faults_of_value(field, row, name=f"{field.name}.{number}")) for number, row in enumerate(rows)]


def _faults(fields: tuple[Field, ...], body: JsonObject, *, prefix: str) -> Iterator[InvalidParam]:
    for field in fields:
        if "." in field.name or field.read_only:
            continue
        value = body.get(field.name)
        name = prefix + field.name
        if value is None or value == "":
            if field.required:
                yield InvalidParam(name=name, reason="required" if value is None else "empty")
        elif not field.many:
            yield from _faults_of_value(field, value, name=name)
        elif isinstance(value, list):
            for number, item in enumerate(value):
                yield from _faults_of_value(field, item, name=f"{name}.{number}")
        else:
            yield InvalidParam(name=name, reason="invalid_value_format")


def _faults_of_value(field: Field, value: Any, *, name: str) -> Iterator[InvalidParam]:
    inner = fields_of(field.item)
    known = known_values(field)
    types = (dict,) if inner else _TYPES.get(field.item)
    if types is not None and (not isinstance(value, types) or (isinstance(value, bool) and bool not in types)):
        yield InvalidParam(name=name, reason="invalid_value_format")
    elif known and value not in known:
        yield InvalidParam(name=name, reason="not_allowed_value", value=str(value))
    elif inner and isinstance(value, dict):
        yield from _faults(inner, value, prefix=f"{name}.")
