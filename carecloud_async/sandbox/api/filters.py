"""Filters of lists: combined with AND, the values of one with OR.

A filter compares the field of its name: `name=` and other free texts by part of the text, `…_from=` and `…_to=` as
limits of a timestamp, all others by equality without regard to case. `card_number_list[]` compares `card_number`,
`tag_ids[]` the `tag_id` of any of the `tags`. A parameter without such a field, such as `without_stores`, filters
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from typing import Final

import attrs

from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.customer_store import SOURCE
from carecloud_async.sandbox.state.facts import PAGING, Field, field_names, path_to
from carecloud_async.sandbox.state.table import Path, comparable, values_at


@attrs.frozen(kw_only=True)
class Filter:
    """A filter of a list.

    Attributes:
        passes: Whether a record passes: the record, the values that were sent, and the time now as the API writes it.
        paths: Where a record must have one of the values that were sent; none if the filter compares otherwise.
    """

    passes: Callable[[JsonObject, tuple[str, ...], str], bool]
    paths: tuple[Path, ...] = ()


HIDDEN_IDS: Final = "external_ids"
"""Further external ids of a record, which answers do not show."""
VALIDITY: Final = ("is_valid", "valid_only", "valid_now")
"""Filters that depend on the time."""
_BY_PART: Final = ("name", "title", "note", "text")
_EXACT: Final = ("first_name", "last_name")
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
"""Fields that filters of another name compare."""
_TIMES: Final = ("created_at", "credit_history_record_time", "point_history_record_time")
"""Fields that `time_from` and `time_to` compare."""


def filters_for(schema: str, parameters: Iterable[Field]) -> dict[str, Filter]:
    """The filters of a list, by parameter; parameters without a field in the records are left out.

    Args:
        schema: Schema of the records.
        parameters: The list's parameters.
    """
    found = ((one.name, _filter(schema, one)) for one in parameters if one.name not in PAGING)
    return {name: made for name, made in found if made is not None}


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
        field = next((one for one in (name, base, *times) if one in names), None)
        return None if field is None else _limit(field, latest=end == "to")
    return _comparison(schema, name)


def _comparison(schema: str, name: str) -> Filter | None:
    # `card_number_list` compares `card_number`, `tag_ids` the `tag_id`, `product_id` one of the `product_ids`.
    for one in (name, _FIELDS.get(name, name), name.removesuffix("_list"), name.removesuffix("s"), f"{name}s"):
        path = path_to(schema, one)
        if path is not None:
            paths = (path, (HIDDEN_IDS,)) if name == "external_ids" else (path,)
            return _compares(*paths, by_part=one.endswith(_BY_PART) and one not in _EXACT)
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
        return any(one in text if by_part else one == text for one in wanted for text in texts)

    return Filter(passes=passes, paths=() if by_part else paths)


def _flag(holds: Callable[[JsonObject, str], bool]) -> Filter:
    return Filter(passes=lambda record, values, now: holds(record, now) is (comparable(values[-1]) in ("true", "1")))


def _is_valid(record: JsonObject, now: str) -> bool:
    return str(record.get("valid_from") or "") <= now <= str(record.get("valid_to") or "9999")


_FLAGS: Final[Mapping[str, tuple[Set[str], Callable[[JsonObject, str], bool]]]] = {
    **dict.fromkeys(VALIDITY, ({"valid_from", "valid_to"}, _is_valid)),
    "is_applied": ({"applied_date"}, lambda record, _: bool(record.get("applied_date"))),
    "free_only": ({"free_capacity"}, lambda record, _: (record.get("free_capacity") or 0) > 0),
}
"""Filters that are true or false: the fields that make sense of one, and whether a record meets it now."""
