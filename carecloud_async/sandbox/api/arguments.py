"""The arguments of a call: its body, or the query of a GET, checked against what the API declares."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Set
from functools import cache
from typing import Any, Final

from carecloud_async.sandbox.api.calls import Call, InvalidParam, invalid, refuse
from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.facts import Field, api_facts, field_names, fields_of, fields_within, known_values

_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
}
#: Read a text of the query as a value of a type.
_READ: Final[dict[str, Callable[[str], Any]]] = {
    "integer": int,
    "boolean": {"true": True, "1": True, "false": False, "0": False}.__getitem__,
}
#: Values of a list parameter that the API takes at most.
_MOST_VALUES: Final = 1000


def arguments(call: Call) -> JsonObject:
    """Return the body, or the query of a GET.

    The body may omit an id that the path or the login gives.

    Raises:
        RefusalError: 400 that names the invalid fields, or a customer that does not exist or is not the caller.
    """
    own = {} if call.customer_id is None else {"customer_id": call.customer_id}
    if call.api.method == "GET":
        given = _with_own(query_of(call), own, {field.name for field in call.api.query})
        missing = [field.name for field in call.api.query if field.required and given.get(field.name) in (None, "")]
        refuse(InvalidParam(name=name, reason="required") for name in missing)
    else:
        sent = call.json() if call.body or call.api.body else {}
        given = _with_own(sent, own, {field.name for field in call.api.body})
        wrapper = call.api.record_field
        if wrapper is not None and isinstance(given.get(wrapper.name), dict):
            given[wrapper.name] = _with_own(given[wrapper.name], own | call.path, field_names(wrapper.item))
        check_body(call.api.body, given)
        if wrapper is not None:
            _check_customer(call, f"{wrapper.name}.customer_id", given[wrapper.name])
    _check_customer(call, "customer_id", given)
    return given


def query_of(call: Call) -> JsonObject:
    """The query as PHP reads it: `name[]=a&name[]=b` is a list, and of another parameter the last value counts.

    Raises:
        RefusalError: 400 for a value of another type than the API declares.
    """
    sent: JsonObject = {}
    for name, value in call.query:
        before = sent.get(name.removesuffix("[]"))
        if not name.endswith("[]"):
            sent[name] = value
        else:
            sent[name[:-2]] = [*before, value] if isinstance(before, list) else [value]
    return sent | {field.name: _read(field, sent[field.name]) for field in call.api.query if field.name in sent}


def _read(field: Field, value: str | list[str]) -> Any:
    """The value of a parameter of the query in its declared type.

    Raises:
        RefusalError: 400 for a value of another type or that is not one of the known ones, for a list that came without
            brackets, or where one value is due, and for more values than the API takes.
    """
    if isinstance(value, list):
        if "[]" not in field.type:
            raise invalid(field.name, "invalid_value_format", message="One value is expected")
        if len(value) > _MOST_VALUES:
            raise invalid(field.name, "not_allowed_value", message="Too many values")
        return value
    if field.many:
        raise invalid(field.name, "invalid_value_format", message="An array is expected")
    try:
        read = _READ[field.type](value) if field.type in _READ else value
    except (KeyError, ValueError):
        raise invalid(field.name, "invalid_value_format", value=value) from None
    if field.enum and read not in field.enum:
        raise invalid(field.name, "not_allowed_value", value=value)
    return read


def sent_record(call: Call, body: JsonObject) -> JsonObject:
    """The record in a body: a field of it, or the body itself."""
    wrapper = call.api.record_field
    record = body if wrapper is None else body.get(wrapper.name)
    return dict(record) if isinstance(record, dict) else {}


def check_body(fields: tuple[Field, ...], body: JsonObject) -> None:
    """Check a body: required fields, types, known values; lists item by item.

    Raises:
        RefusalError: 400 that names every invalid field.
    """
    refuse(_invalid_params(fields, body, prefix=""))


def invalid_params_of_rows(field: Field, rows: list[Any], *, fields: tuple[Field, ...]) -> list[list[InvalidParam]]:
    """Return the invalid parameters of each row of a batch.

    Args:
        field: the field of the body that holds the rows.
        rows: the rows.
        fields: all fields of the body.
    """
    inner = fields_within(field, fields)
    return [
        list(_invalid_params_in(field, row, inner=inner, name=f"{field.name}.{number}"))
        for number, row in enumerate(rows)
    ]


def _with_own(record: JsonObject, own: dict[str, str], names: Set[str]) -> JsonObject:
    return {**{name: value for name, value in own.items() if name in names}, **record}


def _check_customer(call: Call, name: str, record: JsonObject) -> None:
    customer_id = record.get("customer_id")
    if not customer_id:
        return
    if call.customer_id is not None and customer_id != call.customer_id:
        raise invalid(name, "not_belong_to_logged_in_customer", value=str(customer_id))
    if call.api.method != "GET" and customer_id not in call.state.customers:
        raise invalid(name, "not_found", value=str(customer_id))


def _invalid_params(fields: tuple[Field, ...], body: JsonObject, *, prefix: str) -> Iterator[InvalidParam]:
    for field in fields:
        if "." in field.name or field.read_only:
            continue
        value, inner = body.get(field.name), fields_within(field, fields)
        name = prefix + field.name
        if value is None or value == "":
            if field.required:
                yield InvalidParam(name=name, reason="required" if value is None else "empty")
        elif not field.many:
            yield from _invalid_params_in(field, value, inner=inner, name=name)
        elif isinstance(value, list):
            for number, item in enumerate(value):
                yield from _invalid_params_in(field, item, inner=inner, name=f"{name}.{number}")
        else:
            yield InvalidParam(name=name, reason="invalid_value_format")


def _invalid_params_in(field: Field, value: Any, *, inner: tuple[Field, ...], name: str) -> Iterator[InvalidParam]:
    known = known_values(field)
    if not _is_of(field.item, value) or not _matches(field, value):
        yield InvalidParam(name=name, reason="invalid_value_format")
    elif known and value not in known:
        yield InvalidParam(name=name, reason="not_allowed_value", value=str(value))
    elif inner and isinstance(value, dict):
        yield from _invalid_params(inner, value, prefix=f"{name}.")


def _is_of(kind: str, value: Any) -> bool:
    """Whether a value has a type of the description: one of its alternatives, a list of them, or a schema."""
    if "|" in kind:
        return any(_is_of(alternative, value) for alternative in kind.split("|"))
    if kind.endswith("[]"):
        return isinstance(value, list) and all(_is_of(kind.removesuffix("[]"), item) for item in value)
    types = _classes(kind)
    return types is None or (isinstance(value, types) and (bool in types or not isinstance(value, bool)))


@cache
def _classes(kind: str) -> tuple[type, ...] | None:
    """The classes of the values of a type without alternatives; `None`: any."""
    named = api_facts().enums.get(kind)
    return (dict,) if fields_of(kind) else _TYPES.get(kind if named is None else named.type)


def _matches(field: Field, value: Any) -> bool:
    """Whether a text has the form of its field; capital letters count as small ones."""
    return not (field.pattern and isinstance(value, str)) or bool(re.search(field.pattern, value, re.IGNORECASE))
