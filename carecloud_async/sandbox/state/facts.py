"""The facts of the API, read from `facts.json` on first use, and the tables that follow from them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import attrs

FILE: Final = Path(__file__).with_name("facts.json")
#: Query parameters of paging and order.
PAGING: Final = ("count", "offset", "sort_field", "sort_direction")

#: Whether servers require a field of a body, where the description says the opposite.
REQUIRED: Final[Mapping[tuple[str, str], bool]] = {
    ("postPointsAssign", "partner_id"): False,
    ("postPointsRedemption", "partner_id"): False,
    ("postUserLogin", "user_external_application_id"): True,
    ("postUserLogin", "login"): True,
    ("postUserLogin", "password"): True,
}

#: Query parameters that take several values: their text says so, although their type is a plain string.
SEVERAL: Final[Mapping[str, frozenset[str]]] = {
    "getCardTypes": frozenset({"text_id"}),
    "getCredits": frozenset({"credit_type_id"}),
    "getCustomerExternalApps": frozenset({"text_id"}),
    "getEventTypes": frozenset({"event_group_text_id"}),
    "getProductReservationPrices": frozenset({"reservable_product_id"}),
    "getStamperCards": frozenset({"stamper_campaign_id"}),
    "getStamperStamps": frozenset({"stamper_card_id"}),
    "getSubCustomerVouchers": frozenset({"reward_id"}),
    "getVouchers": frozenset({"reward_id"}),
    "getWalletCredits": frozenset({"credit_type_id"}),
}


@attrs.frozen(kw_only=True)
class Field:
    """A query parameter, or a field of a body, an answer or a schema.

    Attributes:
        name: its name; dotted below an object that has no schema.
        type: `string`, `integer`, `number`, `boolean`, `object`, `any` or a schema; `[]` after it is a list, `|`
            stands between alternatives.
        format: `date`, `timestamp`, `time`, or another format; "" if none.
        required: whether it must be sent.
        read_only: whether only the server sets it.
        nullable: whether the description allows null.
        pattern: regular expression that its texts match; "" if none.
        enum: the known values, or none.
    """

    name: str
    type: str
    format: str = ""
    pattern: str = ""
    required: bool = False
    read_only: bool = False
    nullable: bool = False
    enum: tuple[Any, ...] = ()

    @property
    def item(self) -> str:
        """The type, or the type of an item if it is a list."""
        return self.type.removesuffix("[]")

    @property
    def many(self) -> bool:
        """Whether it is a list only."""
        return self.type.endswith("[]") and "|" not in self.type


_FIELD_NAMES: Final = frozenset(attrs.fields_dict(Field))


@attrs.frozen(kw_only=True, eq=False)
class ApiOperation:
    """One operation.

    Attributes:
        operation_id: the API's name for it.
        method: HTTP verb.
        template: path template below the version.
        interface: `both`, `enterprise` or `customer`.
        authorized: whether the call needs a token.
        status: status of success, the first of several.
        key: name of the list in the answer; "" if the answer is not a list.
        result: schema of the items or of the answer; "" if it has none.
        query: query parameters.
        body: fields of the body.
        fields: fields of an answer without a schema.
    """

    operation_id: str
    method: str
    template: str
    interface: str
    authorized: bool
    status: int
    key: str
    result: str
    query: tuple[Field, ...] = ()
    body: tuple[Field, ...] = ()
    fields: tuple[Field, ...] = ()

    @property
    def name(self) -> str:
        """Verb and template, as faults and counters name it."""
        return f"{self.method} {self.template}"

    @property
    def path_records(self) -> tuple[tuple[str, str], ...]:
        """Names in the path template, in order, each with the path of the list that has such records."""
        names = re.finditer(r"/\{([^}]+)\}", self.template)
        return tuple((name[1], self.template[: name.start()]) for name in names)

    @property
    def path_names(self) -> tuple[str, ...]:
        """Names in the path template, in order."""
        return tuple(name for name, _ in self.path_records)

    @property
    def record_field(self) -> Field | None:
        """The field of the body that holds the record, or `None` if the body itself is the record."""
        objects = (field for field in self.body if not field.many and (fields_of(field.item) or field.type == "object"))
        return next((field for field in objects if field.required), None)

    @property
    def rows_field(self) -> Field | None:
        """The field of a batch's body that holds the records."""
        return next((field for field in self.body if field.many and field.required and "." not in field.name), None)


@attrs.frozen(kw_only=True)
class Facts:
    """All facts.

    Attributes:
        operations: in the order of the API's description.
        schemas: the fields of each schema.
        enums: schemas that are one field, such as an enumeration.
    """

    operations: tuple[ApiOperation, ...]
    schemas: Mapping[str, tuple[Field, ...]]
    enums: Mapping[str, Field]


@cache
def api_facts() -> Facts:
    """The facts of the API; read once in a process."""
    document = json.loads(FILE.read_bytes())
    schemas = {schema["name"]: schema for schema in document["schemas"]}
    return Facts(
        operations=tuple(map(_operation, document["operations"])),
        schemas={
            name: tuple(map(_field, schema["fields"])) for name, schema in schemas.items() if schema.get("fields")
        },
        enums={
            name: _field({"type": "object", **schema}) for name, schema in schemas.items() if not schema.get("fields")
        },
    )


def fields_of(schema: str) -> tuple[Field, ...]:
    """The fields of a schema; none if it has no fields."""
    return api_facts().schemas.get(schema, ())


def fields_within(field: Field, fields: tuple[Field, ...]) -> tuple[Field, ...]:
    """The fields of the object that a field holds, or of its items: those of its schema or those declared below it.

    Args:
        field: the field.
        fields: all fields that are declared with it, with dotted names below it.
    """
    if "object" not in field.item:
        return fields_of(field.item)
    below = f"{field.name}[]." if field.many else f"{field.name}."
    inner = (other for other in fields if other.name.startswith(below))
    return tuple(attrs.evolve(other, name=other.name.removeprefix(below)) for other in inner)


def field_names(schema: str) -> frozenset[str]:
    """The names of a schema's fields."""
    return frozenset(field.name for field in fields_of(schema))


def read_only_names(schema: str) -> frozenset[str]:
    """The names of the fields that only the server sets; a few are also required, and may be sent."""
    return frozenset(field.name for field in fields_of(schema) if field.read_only and not field.required)


def path_to(schema: str, name: str) -> tuple[str, ...] | None:
    """Where a record holds a field: at its first level, or else in one of its objects or lists of objects."""
    fields = fields_of(schema)
    if any(field.name == name for field in fields):
        return (name,)
    return next(((field.name, name) for field in fields if name in field_names(field.item)), None)


def known_values(field: Field) -> tuple[object, ...]:
    """The values that a field may have, or none if any."""
    named = api_facts().enums.get(field.item)
    return field.enum or (named.enum if named else ())


def _operation(entry: Mapping[str, Any]) -> ApiOperation:
    name, answer = entry["operation_id"], entry["answer"]
    return ApiOperation(
        operation_id=name,
        method=entry["verb"],
        template=entry["path"],
        interface=entry.get("interface", "both"),
        authorized=entry.get("authorized", True),
        status=int(answer["statuses"][0]),
        key=answer.get("key", ""),
        result=answer.get("type", ""),
        query=tuple(_query_field(name, _field(field)) for field in entry.get("query", ())),
        body=tuple(_body_field(name, _field(field)) for field in entry.get("body", ())),
        fields=tuple(map(_field, answer.get("fields", ()))),
    )


def _field(entry: Mapping[str, Any]) -> Field:
    known: dict[str, Any] = {name: entry[name] for name in _FIELD_NAMES & entry.keys()}
    return Field(**{**known, "enum": tuple(entry.get("enum", ()))})


def _query_field(operation_id: str, parameter: Field) -> Field:
    """Return a parameter of the query; those of `SEVERAL` take a list too."""
    several = parameter.name in SEVERAL.get(operation_id, ())
    return attrs.evolve(parameter, type="string|string[]") if several else parameter


def _body_field(operation_id: str, field: Field) -> Field:
    """Return a field of a body, required or not as in `REQUIRED`."""
    return attrs.evolve(field, required=REQUIRED.get((operation_id, field.name), field.required))


CUSTOMERS: Final = "/customers"
USERS: Final = "/users"
#: Schemas of records that have no id of their own; their first id is the customer's or the segment's.
_WITHOUT_ID: Final = frozenset({"CreditHistoryRecord", "PointHistoryRecord", "SegmentRecord"})
#: Fields that hold an id of a table, although they are not named after it.
_REFERENCES: Final = {
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
        name: path template of its list, such as `/cards` or `/customers/{customer_id}/addresses`; with a name in braces
            there is one table for each parent.
        schema: schema of its records.
        id_field: the field that holds a record's id, or `None` if records have none.
    """

    name: str
    schema: str
    id_field: str | None

    @property
    def parent_name(self) -> str | None:
        """Name of the parent's id in the path, or `None` for a table without a parent."""
        match = re.search(r"\{([^}]+)\}", self.name)
        return match[1] if match else None


@attrs.frozen(kw_only=True)
class ListPlan:
    """What a list shows: the parent's own table, the records of a shared table that name the parent, or a whole table.

    Attributes:
        table: name of the table.
        parent_name: name of the parent's id in the path, or `None`.
        parent_path: where a record holds its parent's id; `None` if it does not.
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
        tables: the tables by name.
        lists: what each list shows, by its path template.
        table_of_id: the table whose ids a field of this name holds.
    """

    tables: Mapping[str, TablePlan]
    lists: Mapping[str, ListPlan]
    table_of_id: Mapping[str, str]

    def referred(self, name: str, *, schema: str, table: str) -> str | None:
        """The table whose ids a field holds, or `None`.

        Args:
            name: the field.
            schema: schema that the field belongs to.
            table: table of the record that has the field.
        """
        if name == "type_id":
            return _TYPES_OF.get(schema)
        if name == "property_id":
            properties = f"/{table.split('/')[1].removesuffix('s')}-properties"
            return properties if properties in self.tables else None
        known = self.table_of_id.get(name)
        if known is not None or name.startswith("external_"):  # an id of another system
            return known
        _, _, rest = name.partition("_")  # `main_store_id` is a `store_id`
        return self.referred(rest, schema="", table=table) if "_" in rest and rest != "type_id" else None

    def named(self, resource: str) -> str:
        """The table of a list, named by its path without the parent's id, such as `customers/addresses`.

        Raises:
            KeyError: no list is called so.
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
    # Lists of the same records share a table, which has the name of the first top-level list: these come first here.
    # Records are the same if their schema is, and the list's key in the answer or the end of its path.
    table_of_records: dict[tuple[str, str], str] = {}
    for api in sorted(_list_operations(), key=_is_dependent):
        records = [(api.key, api.result), (api.template.rpartition("/")[2], api.result)]
        table = api.template
        if api.method == "GET":
            table = next((table_of_records[name] for name in records if name in table_of_records), table)
        if not _is_dependent(api):
            table_of_records |= dict.fromkeys(records, table)
        parent = api.path_names[0] if api.path_names else None
        lists[api.template] = ListPlan(
            table=table, parent_name=parent, parent_path=path_to(api.result, parent) if parent else None
        )
        if table == api.template:
            tables[table] = TablePlan(name=table, schema=api.result, id_field=_id_field(api))
    return Plans(tables=tables, lists=lists, table_of_id=_references(tables))


def _list_operations() -> list[ApiOperation]:
    return [api for api in api_facts().operations if api.key]


def _is_dependent(api: ApiOperation) -> bool:
    """Whether a list is not a top-level one: it has a parent, or is the answer to an action."""
    return api.method == "POST" or "{" in api.template or "/actions/" in api.template


def _id_field(api: ApiOperation) -> str | None:
    if api.method == "POST" or api.result in _WITHOUT_ID:
        return None
    return next((field.name for field in fields_of(api.result) if field.name.endswith("_id")), None)


def _references(tables: Mapping[str, TablePlan]) -> dict[str, str]:
    """The table of each id, by the id's name. Names in paths take precedence over those in records."""
    table_of = dict(_REFERENCES)
    for api in api_facts().operations:
        if api.method == "GET" and api.template.endswith("}") and api.template.count("/") == 2:
            table_of.setdefault(*api.path_records[0])
    for plan in tables.values():
        if plan.id_field not in (None, "type_id", "property_id") and plan.parent_name is None:
            table_of.setdefault(plan.id_field, plan.name)
    return table_of
