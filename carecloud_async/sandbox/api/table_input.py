"""Validate the bodies of operations on tables against the facts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from carecloud_async.sandbox.api.problems import InvalidParam, bad_request
from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.facts import Field
from carecloud_async.sandbox.state.plans import Plans

_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
}


def check_body(plans: Plans, fields: tuple[Field, ...], body: JsonObject) -> None:
    """Check a body against the facts: required fields, types, known values; lists item by item.

    Raises:
        RefusalError: 400 that names every field at fault.
    """
    faults = list(_faults(plans, fields, body, prefix=""))
    if faults:
        raise bad_request(*faults)


def wrapper_of(plans: Plans, fields: tuple[Field, ...]) -> Field | None:
    """The field of a body that holds the record, or `None` if the body itself is the record."""
    objects = (field for field in fields if not field.many and (plans.fields(field.item) or field.type == "object"))
    return next((field for field in objects if field.required), None)


def rows_of(fields: tuple[Field, ...]) -> Field | None:
    """The field of a batch's body that holds the records."""
    return next((field for field in fields if field.many and field.required and "." not in field.name), None)


def faults_of_rows(plans: Plans, field: Field, rows: list[Any]) -> list[list[InvalidParam]]:
    """What is at fault in each row of a batch.

    Args:
        plans: The tables.
        field: The field of the body that holds the rows.
        rows: The rows.
    """
    named = ((f"{field.name}.{number}", row) for number, row in enumerate(rows))
    return [list(_faults_of_value(plans, field, row, name=name)) for name, row in named]


def read_only_names(plans: Plans, fields: tuple[Field, ...]) -> tuple[str, ...]:
    """Dotted names within a body's record that only the server sets."""
    wrapper = wrapper_of(plans, fields)
    if wrapper is None:
        return ()
    # A few fields are said to be both required and the server's: those may be sent.
    inner = (field for field in plans.fields(wrapper.item) if field.read_only and not field.required)
    return tuple(f"{wrapper.name}.{field.name}" for field in inner)


def _faults(plans: Plans, fields: tuple[Field, ...], body: JsonObject, *, prefix: str) -> Iterator[InvalidParam]:
    for field in fields:
        if "." in field.name or field.read_only:
            continue
        value = body.get(field.name)
        name = prefix + field.name
        if value is None or value == "":
            if field.required:
                yield InvalidParam(name=name, reason="required" if value is None else "empty")
        elif field.many:
            yield from _faults_of_list(plans, field, value, name=name)
        else:
            yield from _faults_of_value(plans, field, value, name=name)


def _faults_of_list(plans: Plans, field: Field, value: Any, *, name: str) -> Iterator[InvalidParam]:
    if not isinstance(value, list):
        yield InvalidParam(name=name, reason="invalid_value_format")
        return
    for number, item in enumerate(value):
        yield from _faults_of_value(plans, field, item, name=f"{name}.{number}")


def _faults_of_value(plans: Plans, field: Field, value: Any, *, name: str) -> Iterator[InvalidParam]:
    inner = plans.fields(field.item)
    known = plans.known_values(field)
    types = (dict,) if inner else _TYPES.get(field.item)
    if types is not None and (not isinstance(value, types) or (isinstance(value, bool) and bool not in types)):
        yield InvalidParam(name=name, reason="invalid_value_format")
    elif known and value not in known:
        yield InvalidParam(name=name, reason="not_allowed_value", value=str(value))
    elif inner and isinstance(value, dict):
        yield from _faults(plans, inner, value, prefix=f"{name}.")
