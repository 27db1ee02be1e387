"""The tables of the API, computed from the facts: their lists, the ids of their records, the fields that name them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Final

import attrs

from carecloud_async.sandbox.state.facts import ApiOperation, api_facts, fields_of, path_to

CUSTOMERS: Final = "/customers"
USERS: Final = "/users"
_WITHOUT_ID: Final = frozenset({"CreditHistoryRecord", "PointHistoryRecord", "SegmentRecord"})
"""Schemas of records that have no id of their own; their first id is the customer's or the segment's."""
_REFERENCES: Final = {
    "address_type": "/customer-address-types",
    "booking_item_status": "/booking-statuses",
    "booking_status": "/booking-statuses",
    "consent_id": "/agreements",
    "next_status": "/statuses",
    "parent_group_id": "/segment-groups",
    "previous_status": "/statuses",
}
"""Fields that hold an id of a table, although they are not named after it."""
_TYPES_OF: Final = {
    "Customer": "/customer-types",
    "Purchase": "/purchase-types",
}


@attrs.frozen(kw_only=True)
class TablePlan:
    """A table.

    Attributes:
        name: Path template of its list, such as `/cards` or `/customers/{customer_id}/addresses`; with a name in braces
            there is one table for each parent.
        schema: Schema of its records.
        id_field: The field that holds a record's id, or `None` if records have none.
    """

    name: str
    schema: str
    id_field: str | None

    @property
    def parent_name(self) -> str | None:
        """Name of the parent's id in the path, or `None` for a table without a parent."""
        found = re.search(r"\{([^}]+)\}", self.name)
        return found[1] if found else None


@attrs.frozen(kw_only=True)
class ListPlan:
    """The part of a table that a list shows: the table of the parent, the records of the parent, or all.

    Attributes:
        table: Name of the table.
        parent_name: Name of the parent's id in the path, or `None`.
        parent_path: Where a record holds its parent's id; `None` if it does not.
    """

    table: str
    parent_name: str | None
    parent_path: tuple[str, ...] | None

    @property
    def is_parents_table(self) -> bool:
        """Whether each parent has a table of its own."""
        return "{" in self.table


@attrs.frozen(kw_only=True)
class Plans:
    """All tables.

    Attributes:
        tables: The tables by name.
        lists: What each list shows, by its path template.
        table_of_id: The table whose ids a field of this name holds.
    """

    tables: Mapping[str, TablePlan]
    lists: Mapping[str, ListPlan]
    table_of_id: Mapping[str, str]

    def referred(self, name: str, *, schema: str, table: str) -> str | None:
        """The table whose ids a field holds, or `None`.

        Args:
            name: The field.
            schema: Schema that the field belongs to.
            table: Table of the record that has the field.
        """
        if name == "type_id":
            return _TYPES_OF.get(schema)
        if name == "property_id":
            properties = f"/{table.split('/')[1].removesuffix('s')}-properties"
            return properties if properties in self.tables else None
        known = self.table_of_id.get(name)
        if known is not None or name.startswith("external_"):
            return known
        _, _, rest = name.partition("_")  # `main_store_id` is a `store_id`
        return self.referred(rest, schema="", table=table) if "_" in rest and rest != "type_id" else None

    def named(self, resource: str) -> str:
        """The table of a list, named by its path without the parent's id, such as `customers/addresses`.

        Raises:
            KeyError: No list is called so.
        """
        wanted = resource.strip("/")
        for template, plan in self.lists.items():
            if re.sub(r"/\{[^}]+\}", "", template).strip("/") == wanted:
                return plan.table
        raise KeyError(f"no list is called {wanted!r}; the names are paths such as 'cards' or 'customers/addresses'")


@cache
def api_plans() -> Plans:
    """The tables of the API; computed once in a process."""
    tables: dict[str, TablePlan] = {}
    lists: dict[str, ListPlan] = {}
    # Lists of the same records share a table, which the first list without a parent names.
    shared: dict[tuple[str, str], str] = {}
    for api in sorted(_lists(), key=_is_below):
        names = [(api.key, api.result), (api.template.rpartition("/")[2], api.result)]
        table = api.template
        if api.method == "GET":
            table = next((shared[name] for name in names if name in shared), table)
        if not _is_below(api):
            shared |= dict.fromkeys(names, table)
        parent = api.path_names[0] if api.path_names else None
        lists[api.template] = ListPlan(
            table=table, parent_name=parent, parent_path=path_to(api.result, parent) if parent else None
        )
        if table == api.template:
            tables[table] = TablePlan(name=table, schema=api.result, id_field=_id_field(api))
    return Plans(tables=tables, lists=lists, table_of_id=_references(tables))


def _lists() -> list[ApiOperation]:
    return [api for api in api_facts().operations if api.key]


def _is_below(api: ApiOperation) -> bool:
    """Whether a list is that of a parent, or the answer to an action."""
    return api.method == "POST" or "{" in api.template or "/actions/" in api.template


def _id_field(api: ApiOperation) -> str | None:
    if api.method == "POST" or api.result in _WITHOUT_ID:
        return None
    return next((field.name for field in fields_of(api.result) if field.name.endswith("_id")), None)


def _references(tables: Mapping[str, TablePlan]) -> dict[str, str]:
    """The table that each id belongs to; the name of an id in a path counts before that in a record."""
    found = dict(_REFERENCES)
    for api in api_facts().operations:
        if api.method == "GET" and api.template.endswith("}") and api.template.count("/") == 2:
            found.setdefault(*api.path_records[0])
    for plan in tables.values():
        if plan.id_field not in (None, "type_id", "property_id") and plan.parent_name is None:
            found.setdefault(plan.id_field, plan.name)
    return found
