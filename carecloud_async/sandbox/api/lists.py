"""Lists, by GET or by POST: their filters, their order, and which records a caller sees."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from functools import cache
from typing import Final

import attrs

from carecloud_async.sandbox.api.arguments import arguments, query_of
from carecloud_async.sandbox.api.calls import Call, InvalidParam, Page, refuse
from carecloud_async.sandbox.api.records import HIDDEN_IDS, check_path, table_of, writer
from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.customers import SOURCE
from carecloud_async.sandbox.state.facts import PAGING, ApiOperation, Field, api_plans, field_names, fields_of, path_to
from carecloud_async.sandbox.state.made_up import hex_id
from carecloud_async.sandbox.state.table import Path, Table, comparable, values_at


@attrs.frozen(kw_only=True)
class Filter:
    """A filter of a list.

    Attributes:
        passes: whether a record passes: the record, the values that were sent, and the time now as the API writes it.
        paths: where a record must have one of the values that were sent; none if the filter compares otherwise.
    """

    passes: Callable[[JsonObject, tuple[str, ...], str], bool]
    paths: tuple[Path, ...] = ()


#: Filters that depend on the time.
VALIDITY: Final = ("is_valid", "valid_only", "valid_now")
_BY_PART: Final = ("name", "title", "note", "text")
_EXACT: Final = ("first_name", "last_name")
#: Fields that filters of another name compare.
_FIELDS: Final = {
    "booking_statuses": "booking_status",
    "country_name": "name",
    "currency_code": "code",
    "currency_name": "name",
    "filled_up": "is_filled_up",
    "priority": "task_priority",
    "referral_code": "code",
    "reservation_state": "actual_state",
    "task_comment_text": "text",
    "visible_for_customer": "visibility_for_customer",
}
#: Fields that `time_from` and `time_to` compare.
_TIMES: Final = ("created_at", "credit_history_record_time", "point_history_record_time")


def filters_for(schema: str, parameters: Iterable[Field]) -> dict[str, Filter]:
    """The filters of a list, by parameter; parameters without a field in the records are left out.

    Args:
        schema: schema of the records.
        parameters: the list's parameters.
    """
    filters = ((parameter.name, _filter(schema, parameter)) for parameter in parameters if parameter.name not in PAGING)
    return {name: made for name, made in filters if made is not None}


def _filter(schema: str, parameter: Field) -> Filter | None:
    name, names = parameter.name, field_names(schema)
    if (schema, name) == ("Customer", SOURCE[0]):
        return _compares(SOURCE, by_part=False)
    if name in _FLAGS:
        fields, holds = _FLAGS[name]
        return _flag(holds) if fields & names else None
    if name.endswith(("_from", "_to")) and parameter.format in ("date", "timestamp"):
        base, _, end = name.rpartition("_")
        times = (*_TIMES, f"valid_{end}") if base in ("time", "create_point_time") else ()
        field = next((known for known in (name, base, *times) if known in names), None)
        return None if field is None else _limit(field, latest=end == "to")
    return _comparison(schema, name)


def _comparison(schema: str, name: str) -> Filter | None:
    # `card_number_list` compares `card_number`, `tag_ids` the `tag_id`, `product_id` one of the `product_ids`.
    for spelling in (name, _FIELDS.get(name, name), name.removesuffix("_list"), name.removesuffix("s"), f"{name}s"):
        path = path_to(schema, spelling)
        if path is not None:
            paths = (path, (HIDDEN_IDS,)) if name == "external_ids" else (path,)
            return _compares(*paths, by_part=spelling.endswith(_BY_PART) and spelling not in _EXACT)
    return None


def _limit(field: str, *, latest: bool) -> Filter:
    def passes(record: JsonObject, values: tuple[str, ...], _now: str) -> bool:
        limit = values[-1].replace("T", " ")
        value = str(record.get(field) or "")[: len(limit)]  # a limit that is a date means the whole day
        return bool(value) and (value <= limit if latest else value >= limit)

    return Filter(passes=passes)


def _compares(*paths: Path, by_part: bool) -> Filter:
    def passes(record: JsonObject, values: tuple[str, ...], _now: str) -> bool:
        texts = [comparable(value) for path in paths for value in values_at(record, path) if value is not None]
        wanted = [comparable(value) for value in values]
        return any(value in text if by_part else value == text for value in wanted for text in texts)

    return Filter(passes=passes, paths=() if by_part else paths)


def _flag(holds: Callable[[JsonObject, str], bool]) -> Filter:
    return Filter(passes=lambda record, values, now: holds(record, now) is (comparable(values[-1]) in ("true", "1")))


def _is_valid(record: JsonObject, now: str) -> bool:
    return str(record.get("valid_from") or "") <= now <= str(record.get("valid_to") or "9999")


#: Filters that are true or false: the fields that make sense of one, and whether a record meets it now.
_FLAGS: Final[Mapping[str, tuple[Set[str], Callable[[JsonObject, str], bool]]]] = {
    **dict.fromkeys(VALIDITY, ({"valid_from", "valid_to"}, _is_valid)),
    "is_applied": ({"applied_date"}, lambda record, _: bool(record.get("applied_date"))),
    "free_only": ({"free_capacity"}, lambda record, _: (record.get("free_capacity") or 0) > 0),
}


_DEFAULT_COUNT: Final = 100


def page(call: Call) -> Page:
    """Return a page: on the customer interface the logged-in customer's records, where records say whose they are.

    Raises:
        RefusalError: 404 or 403 for a parent, 400 for a parameter that is not valid.
    """
    check_path(call)
    sent = arguments(call)
    table = table_of(call, call.api.template)
    if {"count", "offset"} <= {field.name for field in call.api.query}:
        paging = sent if call.api.method == "GET" else query_of(call)
        count, offset, sort_field, is_descending = _window(call, table, paging)
    else:  # all records, or as many as the body of a POST asks for
        asked = sent.get("count")
        count, offset, sort_field, is_descending = asked if isinstance(asked, int) else len(table), 0, None, False
    matching = _found(call, table, _filter_values(call, sent), sort_field)
    numbers = (matching[::-1] if is_descending else matching)[offset : offset + max(count, 1)]
    write = writer(call, table, sent)
    return Page(texts=[write(number) for number in numbers], total_items=len(matching))


def _window(call: Call, table: Table, sent: JsonObject) -> tuple[int, int, str | None, bool]:
    """Read `count`, `offset` and `sort_field` of a list with pages, and whether `sort_direction` is `DESC`.

    Raises:
        RefusalError: 400 if one of them is not valid.
    """
    most, field, direction = call.state.max_count, sent.get("sort_field"), sent.get("sort_direction")
    count, offset = sent.get("count", _DEFAULT_COUNT), sent.get("offset", 0)
    sortable = {field.name for field in fields_of(table.plan.schema) if not fields_of(field.item)}
    wrong = {
        "sort_field": field is not None and field not in sortable,
        "sort_direction": direction not in (None, "ASC", "DESC"),
        "count": count < 1,
        "offset": offset < 0,
    }
    refuse(InvalidParam(name=name, reason="not_allowed_value") for name, is_wrong in wrong.items() if is_wrong)
    return count if most is None else min(count, most), offset, field, direction == "DESC"


def _filter_values(call: Call, sent: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    """The values of each filter that was sent."""
    sent_values = {name: values for name in _filters(call.api) if (values := _values(sent.get(name)))}
    if "external_ids" in sent_values:
        sent_values.pop("external_id", None)  # the older filter is ignored if the newer one is given
    return sent_values


def _search(call: Call, table: Table, values: Mapping[str, tuple[str, ...]]) -> Sequence[int]:
    """The numbers of the records that the caller may see and that pass all filters, oldest first."""
    now, filters, rest = call.state.clock.local_now(), _filters(call.api), dict(values)
    own = _of_parent(call, table)
    limits: list[Iterable[int]] = [] if own is None else [own]
    if call.customer_id is not None and "customer_id" in field_names(table.plan.schema):
        limits.append(table.with_values(("customer_id",), [call.customer_id]))
    for name, wanted in values.items():
        paths = filters[name].paths
        if paths and all(map(table.is_indexed, paths)):
            limits.append({number for path in paths for number in table.with_values(path, wanted)})
            del rest[name]
    numbers: Sequence[int] = sorted(set(limits[0]).intersection(*limits[1:])) if limits else table.numbers()
    for name, wanted in rest.items():
        numbers = [number for number in numbers if filters[name].passes(table.record_at(number), wanted, now)]
    return numbers


@cache
def _filters(api: ApiOperation) -> Mapping[str, Filter]:
    return filters_for(api.result, (*api.query, *api.body))


def _values(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else () if value is None else (str(value),)


def _found(call: Call, table: Table, values: dict[str, tuple[str, ...]], sort_field: str | None) -> Sequence[int]:
    """The numbers of the records of a list, in ascending order."""
    if sort_field is not None and not values and len(_search(call, table, values)) == len(table):
        return table.sorted_by(sort_field)
    moment = call.state.clock.local_now() if any(name in VALIDITY for name in values) else None
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
