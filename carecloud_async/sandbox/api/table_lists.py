"""The lists that are read from tables, by GET or by POST."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final

from carecloud_async.sandbox.api.answers import Page, Window, page_range, window_of
from carecloud_async.sandbox.api.arguments import arguments
from carecloud_async.sandbox.api.calls import Call
from carecloud_async.sandbox.api.table_filters import HIDDEN_IDS, VALIDITY, Filter, filters_for, sort_key, values_at
from carecloud_async.sandbox.api.table_records import check_path, table_of
from carecloud_async.sandbox.json_text import JsonObject, json_bytes
from carecloud_async.sandbox.state.draw import hex_id
from carecloud_async.sandbox.state.facts import ApiOperation, field_names
from carecloud_async.sandbox.state.plans import api_plans
from carecloud_async.sandbox.state.table import Table

_ON_REQUEST: Final = {"include_property_records": "property_records", "purchase_items_extension": "purchase_items"}
"""Parameters of lists, with the field that records show only if they are true."""


def page(call: Call) -> Page:
    """Return a page: on the customer interface the logged-in customer's records, where records say whose they are.

    Raises:
        RefusalError: See `check_path`, `arguments` and `window_of`.
    """
    check_path(call)
    sent = arguments(call)
    table = table_of(call, call.api.template)
    paged = {"count", "offset"} <= {field.name for field in call.api.query}
    if paged:
        sortable = field_names(table.plan.schema)
        window = window_of(call.query, sortable=sortable, sorts=call.state.settings.sorts)
    else:
        count = sent.get("count") if isinstance(sent.get("count"), int) else len(table)
        window = Window(count=max(count or 1, 1), offset=0, sort_field=None, descending=False)
    found = _found(call, table, _filter_values(call, sent), window.sort_field)
    if window.descending:
        found = found[::-1]
    shown = [found[index] for index in page_range(call.state, window, total=len(found), capped=paged)]
    return Page(
        ids=lambda: shown if table.plan.id_field is not None else (),
        texts=[json_bytes(_visible(call, table.record(record_id))) for record_id in shown],
        offset=window.offset,
        total=len(found),
    )


@cache
def _filters(api: ApiOperation) -> Mapping[str, Filter]:
    return filters_for(api.result, (*api.query, *api.body))


def _filter_values(call: Call, sent: JsonObject) -> dict[str, tuple[str, ...]]:
    """The values of each filter that was sent."""
    if not call.state.settings.filters:
        return {}
    found = {name: values for name in _filters(call.api) if (values := _values(call, sent, name))}
    if "external_ids" in found:
        found.pop("external_id", None)  # the older filter is ignored if the newer one is given
    return found


def _values(call: Call, sent: JsonObject, name: str) -> tuple[str, ...]:
    if call.api.method == "POST":
        value = sent.get(name)
        return tuple(map(str, value)) if isinstance(value, list) else () if value is None else (str(value),)
    if next(field for field in call.api.query if field.name == name).many:
        return tuple(call.query.many(name) or ())
    several = tuple(value for key, value in call.query.pairs if key == f"{name}[]")
    one = call.query.one(name)
    return several or (() if one is None else (one,))


def _found(call: Call, table: Table, values: dict[str, tuple[str, ...]], sort_field: str | None) -> list[str]:
    """Ids of the records of a list, in ascending order."""
    settings, random = call.state.settings, call.state.random
    if settings.shuffled:
        ids = _search(call, table, values)
        random.shuffle(ids)
        return ids
    if settings.unstable_ties and sort_field is not None:
        ids = _search(call, table, values)
        random.shuffle(ids)
        return _sorted(table, ids, sort_field)
    moment = call.state.now() if any(name in VALIDITY for name in values) else None
    key = (call.api.template, *call.path.values(), call.customer_id, *values.items(), sort_field, moment)
    return table.searches.get(key, lambda: _sorted(table, _search(call, table, values), sort_field))


def _search(call: Call, table: Table, values: dict[str, tuple[str, ...]]) -> list[str]:
    now, filters = call.state.now(), _filters(call.api)
    found = _of_parent(call, table)
    if call.customer_id is not None and "customer_id" in field_names(table.plan.schema):
        found = _both(found, table.find("customer_id", call.customer_id))
    for name, wanted in values.items():
        field = filters[name].field
        if field is not None:
            found = _both(found, table.find(field, *wanted))
    ids = table.ids() if found is None else found
    for name, wanted in values.items():
        if filters[name].field is None:
            ids = [one for one in ids if filters[name].passes(table.record(one), wanted, now)]
    return ids


def _of_parent(call: Call, table: Table) -> list[str] | None:
    """Ids of the records that belong to the parent in the path; `None`: all of the table."""
    plan = api_plans().lists[call.api.template]
    if plan.parent_name is None or plan.is_parents_table:
        return None
    parent = call.path[plan.parent_name]
    if plan.parent_path is not None:
        path = plan.parent_path
        if len(path) == 1:
            return table.find(path[0], parent)
        return [one for one in table.ids() if parent in values_at(table.record(one), path)]
    # Records that do not name their parent: a parent has the first one and about an eighth of the others.
    return [one for number, one in enumerate(table.ids()) if number == 0 or hex_id(parent + one)[-1] in "01"]


def _both(some: list[str] | None, others: list[str]) -> list[str]:
    """The ids that are in both, in their order."""
    if some is None:
        return others
    smaller, larger = sorted((some, others), key=len)
    known = set(larger)
    return [one for one in smaller if one in known]


def _sorted(table: Table, ids: list[str], field: str | None) -> list[str]:
    if field is None:
        return ids
    if field == table.plan.id_field:
        return sorted(ids)
    return sorted(ids, key=lambda one: sort_key(table.record(one), field))


def _visible(call: Call, record: JsonObject) -> JsonObject:
    optional = ((name, field) for name, field in _ON_REQUEST.items() if name in call.api.query_names)
    hidden = {HIDDEN_IDS, *(field for name, field in optional if not call.query.boolean(name))}
    return {name: value for name, value in record.items() if name not in hidden} if hidden & record.keys() else record
