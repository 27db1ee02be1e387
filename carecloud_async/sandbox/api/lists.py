"""Lists, by GET or by POST: their filters, their order, and which records a caller sees."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

import attrs

from carecloud_async.sandbox.api.arguments import arguments
from carecloud_async.sandbox.api.calls import Call, Page
from carecloud_async.sandbox.api.filters import VALIDITY, Filter, filters_for
from carecloud_async.sandbox.api.problems import invalid
from carecloud_async.sandbox.api.records import check_path, table_of, writer
from carecloud_async.sandbox.state.draw import hex_id
from carecloud_async.sandbox.state.facts import ApiOperation, field_names, fields_of
from carecloud_async.sandbox.state.plans import api_plans
from carecloud_async.sandbox.state.table import Table

_DEFAULT_COUNT: Final = 100
ISO_DATE: Final = re.compile(r"^\d{1,4}-\d{1,2}-\d{1,2}$")
_CZECH_DATE: Final = re.compile(r"^(\d{1,2})\.(\d{1,2})\.(\d{1,4})$")


def page(call: Call) -> Page:
    """Return a page: on the customer interface the logged-in customer's records, where records say whose they are.

    Raises:
        RefusalError: 404 or 403 for a parent, 400 for a parameter that is not valid.
    """
    check_path(call)
    sent = arguments(call)
    table = table_of(call, call.api.template)
    paged = {"count", "offset"} <= {field.name for field in call.api.query}
    window = _window(call, table) if paged else _whole(table, sent.get("count"))
    found = _found(call, table, _filter_values(call, sent), window.sort_field)
    ordered = found[::-1] if window.descending else found
    numbers = ordered[window.offset : window.offset + window.count]
    write = writer(call, table)
    return Page(
        ids=lambda: [table.id_of(number) for number in numbers] if table.plan.id_field is not None else (),
        texts=[write(number) for number in numbers],
        offset=window.offset,
        total_items=len(found),
    )


@attrs.frozen(kw_only=True)
class _Window:
    """A part of a list, and its order.

    Attributes:
        count: Most records wanted.
        offset: Records to skip.
        sort_field: Field to sort by, or `None` for the order in which the records came.
        descending: Whether the order is reversed.
    """

    count: int
    offset: int = 0
    sort_field: str | None = None
    descending: bool = False


def _window(call: Call, table: Table) -> _Window:
    """Read `count`, `offset`, `sort_field` and `sort_direction`.

    Raises:
        RefusalError: 400 if one of them is not valid.
    """
    query, most = call.query, call.state.settings.max_count
    field, direction = query.one("sort_field"), query.one("sort_direction")
    sortable = {one.name for one in fields_of(table.plan.schema) if not fields_of(one.item)}
    for name, value, known in (("sort_field", field, sortable), ("sort_direction", direction, ("ASC", "DESC"))):
        if value is not None and value not in known:
            raise invalid(name, "not_allowed_value", value=value)
    count = query.integer("count", default=_DEFAULT_COUNT, minimum=1)
    return _Window(
        count=count if most is None else min(count, most),
        offset=query.integer("offset", default=0, minimum=0),
        sort_field=field,
        descending=direction == "DESC",
    )


def _whole(table: Table, count: object) -> _Window:
    """A list without pages: all records, or as many as the body of a POST asks for."""
    return _Window(count=max((count if isinstance(count, int) else len(table)) or 1, 1))


def _filter_values(call: Call, sent: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    """The values of each filter that was sent.

    Raises:
        RefusalError: 400 for a list filter without brackets and for a birthdate that is not a date.
    """
    found = {name: values for name in _filters(call.api) if (values := _values(call, sent, name))}
    if "external_ids" in found:
        found.pop("external_id", None)  # the older filter is ignored if the newer one is given
    if "birthdate" in found:
        found["birthdate"] = tuple(map(birthdate, found["birthdate"]))
    return found


def _search(call: Call, table: Table, values: Mapping[str, tuple[str, ...]]) -> Sequence[int]:
    """The numbers of the records that the caller may see and that pass all filters, oldest first."""
    now, filters = call.state.now(), _filters(call.api)
    found: Sequence[int] | None = _of_parent(call, table)
    if call.customer_id is not None and "customer_id" in field_names(table.plan.schema):
        found = _both(found, table.with_values(("customer_id",), [call.customer_id]))
    rest = dict(values)
    for name, wanted in values.items():
        paths = filters[name].paths
        if paths and all(map(table.is_indexed, paths)):
            found = _both(found, sorted({number for path in paths for number in table.with_values(path, wanted)}))
            del rest[name]
    for name, wanted in rest.items():
        numbers = table.numbers() if found is None else found
        found = [number for number in numbers if filters[name].passes(table.record_at(number), wanted, now)]
    return table.numbers() if found is None else found


@cache
def _filters(api: ApiOperation) -> Mapping[str, Filter]:
    return filters_for(api.result, (*api.query, *api.body))


def _values(call: Call, sent: Mapping[str, object], name: str) -> tuple[str, ...]:
    if call.api.method == "POST":
        value = sent.get(name)
        return tuple(map(str, value)) if isinstance(value, list) else () if value is None else (str(value),)
    if next(field for field in call.api.query if field.name == name).many:
        return tuple(call.query.many(name) or ())
    several = tuple(value for key, value in call.query.pairs if key == f"{name}[]")
    one = call.query.one(name)
    return several or (() if one is None else (one,))


def birthdate(text: str) -> str:
    """A day in the form of the records, from a text in that form or in the Czech one.

    Raises:
        RefusalError: 400 if it is not a date.
    """
    if ISO_DATE.match(text):
        return text
    czech = _CZECH_DATE.match(text)
    if czech is None:
        raise invalid("birthdate", "invalid_value_format", value=text)
    day, month, year = czech.groups()
    return f"{year}-{int(month):02}-{int(day):02}"


def _found(call: Call, table: Table, values: dict[str, tuple[str, ...]], sort_field: str | None) -> Sequence[int]:
    """The numbers of the records of a list, in ascending order."""
    if sort_field is not None and not values and len(_search(call, table, values)) == len(table):
        return table.sorted_by(sort_field)
    moment = call.state.now() if any(name in VALIDITY for name in values) else None
    key = (call.api.template, *call.path.values(), call.customer_id, *values.items(), sort_field, moment)
    return table.search(key, lambda: _sorted(table, _search(call, table, values), sort_field))


def _sorted(table: Table, numbers: Sequence[int], field: str | None) -> Sequence[int]:
    return numbers if field is None else sorted(numbers, key=lambda number: table.sort_value(number, field))


def _of_parent(call: Call, table: Table) -> list[int] | None:
    """The numbers of the records that belong to the parent in the path; `None`: all of the table."""
    plan = api_plans().lists[call.api.template]
    if plan.parent_name is None or plan.is_parents_table:
        return None
    parent = call.path[plan.parent_name]
    if plan.parent_path is not None:
        return table.with_values(plan.parent_path, [parent])
    # Records that do not name their parent: a parent has the first one and about an eighth of the others.
    numbers = enumerate(table.numbers())
    return [number for place, number in numbers if place == 0 or hex_id(parent + table.id_of(number))[-1] in "01"]


def _both(some: Sequence[int] | None, others: Sequence[int]) -> Sequence[int]:
    """The numbers that are in both sequences, in ascending order."""
    if some is None:
        return others
    smaller, larger = sorted((some, others), key=len)
    known = set(larger)
    return [one for one in smaller if one in known]
