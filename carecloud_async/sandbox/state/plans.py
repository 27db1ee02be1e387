"""Work out tables from the facts: the table of each list, the id of its records, the fields that refer to it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Final, Literal

import attrs

from carecloud_async.sandbox.state.facts import ApiOperation, api_facts, fields_of, path_to

CUSTOMERS: Final = "/customers"
USERS: Final = "/users"
_ALIASES: Final = {
    "address_type": "/customer-address-types",
    "booking_item_status": "/booking-statuses",
    "booking_status": "/booking-statuses",
    "consent_id": "/agreements",
    "next_status": "/statuses",
    "parent_group_id": "/segment-groups",
    "previous_status": "/statuses",
}
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
    """The part of a table that a list shows.

    Attributes:
        table: Name of the table.
        scope: `all` records; those of the parent by a `field` of theirs; a `share` of a table whose records say nothing
            of the parent; or the parent's `own` table.
        parent_name: Name of the parent's id in the path, or `None`.
    """

    table: str
    scope: Literal["all", "field", "share", "own"]
    parent_name: str | None = None


class Plans:
    """All tables."""

    def __init__(self) -> None:
        self.tables: dict[str, TablePlan] = {}
        self.lists: dict[str, ListPlan] = {}
        self._known_by: dict[str, str] = dict(_ALIASES)
        self._lay_out()
        self._note_references()

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
        known = self._known_by.get(name)
        if known is not None or name.startswith("external_"):
            return known
        _, _, rest = name.partition("_")
        return self.referred(rest, schema="", table=table) if rest.count("_") and rest != "type_id" else None

    def collection(self, template: str) -> str:
        """The table, or `/customers`, of a collection's path.

        Raises:
            KeyError: No list has this path.
        """
        return template if template == CUSTOMERS else self.lists[template].table

    def named(self, resource: str) -> str:
        """The table of a list, named by its path without the parent's id, such as `customers/addresses`.

        Raises:
            KeyError: No list is called so.
        """
        wanted = resource.strip("/")
        for template, plan in self.lists.items():
            if re.sub(r"/\{[^}]+\}", "", template).strip("/") == wanted:
                return plan.table
        if wanted == "customers":
            raise KeyError("customers have a store of their own: use sandbox.customers")
        raise KeyError(f"no list is called {wanted!r}; the names are paths such as 'cards' or 'customers/addresses'")

    def known_by(self, id_field: str) -> Iterator[TablePlan]:
        """The tables whose records are known by this field."""
        return (plan for plan in self.tables.values() if plan.id_field == id_field)

    def _lay_out(self) -> None:
        lists = [one for one in api_facts().operations if one.key and one.template != CUSTOMERS]
        tops = [one for one in lists if one.method == "GET" and not re.search(r"\{|/actions/", one.template)]
        shown: dict[tuple[str, str], str] = {}
        for one in tops:
            name = shown.setdefault((one.key, one.result), one.template)
            shown.setdefault((_last(one.template), one.result), one.template)
            self._add(one, table=name, scope="all")
        for one in lists:
            if one not in tops:
                self._lay_out_below(one, shown)

    def _lay_out_below(self, one: ApiOperation, shown: Mapping[tuple[str, str], str]) -> None:
        parent = one.path_names[0] if one.path_names else None
        table = None
        if one.method == "GET":
            table = shown.get((one.key, one.result)) or shown.get((_last(one.template), one.result))
        if table is None:
            self._add(one, table=one.template, scope="all" if parent is None else "own")
        elif parent is None:
            self._add(one, table=table, scope="all")
        else:
            known = path_to(one.result, parent) is not None
            self._add(one, table=table, scope="field" if known else "share")

    def _add(self, one: ApiOperation, *, table: str, scope: Literal["all", "field", "share", "own"]) -> None:
        parent = one.path_names[0] if one.path_names else None
        self.lists[one.template] = ListPlan(table=table, scope=scope, parent_name=parent)
        if table == one.template:
            self.tables[table] = TablePlan(name=table, schema=one.result, id_field=self._id_field(one))

    def _id_field(self, one: ApiOperation) -> str | None:
        fields = fields_of(one.result)
        names = {field.name for field in fields}
        read = [other.path_names[-1] for other in api_facts().operations if _reads_one_of(other, one.template)]
        created = [
            other.fields[0].name
            for other in api_facts().operations
            if (other.method, other.template) == ("POST", one.template) and len(other.fields) == 1
        ]
        guesses = [f"{_snake(one.result)}_id", f"{_snake(_last(one.template)).removesuffix('s')}_id"]
        for name in (*read, *created, *guesses):
            if name in names:
                return name
        first = next((field for field in fields if field.name.endswith("_id")), None)
        if first is None or one.method == "POST":
            return None
        top = {other.path_names[-1] for other in api_facts().operations if other.path_names}
        return first.name if read or (first.read_only and first.name not in top) else None

    def _note_references(self) -> None:
        for one in api_facts().operations:
            if one.method == "GET" and one.template.endswith("}") and one.template.count("/") == 2:
                self._known_by.setdefault(one.path_names[0], one.template.rpartition("/")[0])
        for plan in self.tables.values():
            if plan.id_field not in (None, "type_id", "property_id") and plan.parent_name is None:
                self._known_by.setdefault(plan.id_field, plan.name)


@cache
def api_plans() -> Plans:
    """The tables of the API; worked out once in a process."""
    return Plans()


def _reads_one_of(one: ApiOperation, template: str) -> bool:
    return one.template.rpartition("/")[0] == template and one.template.endswith("}")


def _last(template: str) -> str:
    return template.rpartition("/")[2]


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).replace("-", "_").lower()
