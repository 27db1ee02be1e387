"""`Tables`: the tables of all lists, made on first use, and `RecordMaker`, which makes their records."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from threading import RLock
from types import MappingProxyType
from typing import Any, Final

import attrs

from carecloud_async.sandbox.constants import APPLICATION_IDS, CUSTOMER_SOURCE_IDS, USER_ID
from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.customers import CONSENT_IDS, ROLE_IDS, STORE_IDS, CustomerStore, api_user
from carecloud_async.sandbox.state.facts import CUSTOMERS, USERS, Field, TablePlan, api_plans, fields_of, known_values
from carecloud_async.sandbox.state.made_up import LANGUAGES, Draw, hex_id, rules_for, text_of, untidied
from carecloud_async.sandbox.state.table import Table

#: Level at which objects hold no further objects; the record is level 0.
_DEEPEST: Final = 2


@attrs.frozen
class _Source:
    """What the values of one record are computed from: its table, its number there, and random choices."""

    table: str
    number: int
    draw: Draw


_Make = Callable[[_Source], Any]


class RecordMaker:
    """Makes records: the same seed, table and number always give the same one.

    Args:
        seed: another seed makes other records.
        refer: gives the id of a record of another table: name of the table, choices, number of the referring record.
        untidy: whether some records are as untidy as real ones.
    """

    def __init__(self, *, seed: int, refer: Callable[[str, Draw, int], str], untidy: bool = True) -> None:
        self._seed = seed
        self._refer = refer
        self._untidy = untidy
        self._makers: dict[tuple[str, str, int], dict[str, _Make]] = {}

    def record(self, plan: TablePlan, number: int, *, record_id: str, parent: Mapping[str, str]) -> JsonObject:
        """Make a record.

        Args:
            plan: its table.
            number: its number in the table; number 0 is tidy.
            record_id: its id.
            parent: name and id of its parent, or nothing.
        """
        source = _Source(plan.name, number, Draw(f"{self._seed}:{plan.name}:{number}:{':'.join(parent.values())}"))
        own = {} if plan.id_field is None else {plan.id_field: record_id}
        made = self._object(plan.schema, source, level=0, given={**parent, **own})
        if "available_points" in made:  # a customer has at most the points that were assigned
            made["available_points"] = min(made["available_points"], made["assigned_points"])
        return untidied(made, number=number, rules=rules_for(_plain_fields(plan))) if self._untidy else made

    def answer(self, schema: str, fields: tuple[Field, ...], *, place: str) -> JsonObject:
        """Make the data of an answer that is not a record of a table.

        Args:
            schema: its schema, or "" if it has only fields.
            fields: its fields, if it has no schema.
            place: the path template, and the text from which the values are computed.
        """
        source = _Source(f"/{place.split('/')[1]}", 0, Draw(f"{self._seed}:{place}"))
        return {
            field.name: field.type == "boolean" or self._value(field, schema, source.table, level=0)(source)
            for field in fields or fields_of(schema)
            if "." not in field.name
        }

    def _object(self, schema: str, source: _Source, *, level: int, given: Mapping[str, str]) -> JsonObject:
        makers = self._makers.get((schema, source.table, level))
        if makers is None:
            makers = self._makers[schema, source.table, level] = {
                field.name: self._value(field, schema, source.table, level=level)
                for field in fields_of(schema)
                if "." not in field.name and (level < _DEEPEST or field.many or not fields_of(field.item))
            }
        return {name: given[name] if name in given else make(source) for name, make in makers.items()}

    def _value(self, field: Field, schema: str, table: str, *, level: int) -> _Make:
        """Return what makes the values of a field, in the records of a table."""
        make = self._item(field, schema, table, level=level)
        if not field.many:
            return make
        if level >= _DEEPEST and fields_of(field.item):
            return lambda _: []
        # The first record of a table shows an item of every list.
        return lambda source: [make(source) for _ in range(source.draw.below(3) if source.number else 1)]

    def _item(self, field: Field, schema: str, table: str, *, level: int) -> _Make:
        kind, name = field.item.split("|")[0].removesuffix("[]"), field.name
        if fields_of(kind):
            return lambda source: self._object(kind, source, level=level + 1, given={})
        known = known_values(field)
        if known and name == "state" and 1 in known:
            return lambda source: 1 if source.draw.below(8) else source.draw.pick(known)
        if known:
            return lambda source: source.draw.pick(known)
        if kind != "string":
            scalar = _BY_NAME.get(name) or _SCALARS.get(kind)
            return (lambda source: scalar(source.draw)) if scalar else lambda _: {}
        referred = api_plans().referred(name, schema=schema, table=table)
        if referred is not None:
            return lambda source: self._refer(referred, source.draw, source.number)
        if name.endswith(("_id", "_ids")) and not name.endswith(("text_id", "external_id")):
            return lambda source: hex_id(f"{self._seed}:{name}:{source.draw.below(1 << 32)}")
        text = text_of(field)
        return lambda source: text(source.draw, source.number)


@cache
def _plain_fields(plan: TablePlan) -> tuple[Field, ...]:
    """The fields of a table's records that hold no id of another record."""
    referred = api_plans().referred
    plain = (field for field in fields_of(plan.schema) if not referred(field.name, schema=plan.schema, table=plan.name))
    return tuple(plain)


_BY_NAME: Final[dict[str, Callable[[Draw], Any]]] = {
    "gps_latitude": lambda draw: 48 + draw.below(30_000) / 10_000,
    "gps_longitude": lambda draw: 12 + draw.below(60_000) / 10_000,
    "vat_rate": lambda draw: draw.pick((0, 12, 21)),
}
_SCALARS: Final[dict[str, Callable[[Draw], Any]]] = {
    "integer": lambda draw: 1 + draw.below(50),
    "number": lambda draw: (100 + draw.below(90_000)) / 100,
    "boolean": lambda draw: draw.below(2) == 1,
    "any": lambda draw: draw.below(100),
}


#: Ids that customers, users and logins of the sandbox name.
_FIRST_IDS: Final[Mapping[str, tuple[str, ...]]] = {
    "/agreements": CONSENT_IDS,
    "/customer-external-applications": APPLICATION_IDS,
    "/customer-sources": CUSTOMER_SOURCE_IDS,
    "/languages": (*LANGUAGES, "pl", "fr", "es", "it", "hu", "uk"),
    "/stores": STORE_IDS,
    "/user-roles": ROLE_IDS,
    USERS: (USER_ID,),
}


class Tables:
    """All tables of a sandbox.

    Args:
        seed: another seed makes other records.
        records: number of records of each table at the start.
        customers: the table of customers.
        timestamp: returns the time of a change as the API writes it.
        untidy: whether some records are as untidy as real ones.
        recorded: records of tables that are not made up, by the table's name.

    Attributes:
        lock: held while a table is made or changed.
        maker: makes records and answers.
        untidy: as the argument.
    """

    def __init__(
        self,
        *,
        seed: int,
        records: int,
        customers: CustomerStore,
        timestamp: Callable[[], str],
        untidy: bool = True,
        recorded: Mapping[str, Sequence[JsonObject]] = MappingProxyType({}),
    ) -> None:
        if records < 0:
            raise ValueError("a sandbox cannot have a negative number of records")
        self.lock: RLock = customers.lock
        self.maker: RecordMaker = RecordMaker(seed=seed, refer=self._refer, untidy=untidy)
        self.untidy: bool = untidy
        self._seed = seed
        self._records = records
        self._customers = customers
        self._timestamp = timestamp
        self._recorded = recorded
        self._tables: dict[tuple[str, str | None], Table] = {(CUSTOMERS, None): customers}

    def table(self, name: str, parent_id: str | None = None) -> Table:
        """A table, made on first use.

        Args:
            name: path template of its list.
            parent_id: id of the parent, for a list below a parent.

        Raises:
            KeyError: there is no such table.
        """
        with self.lock:
            table = self._tables.get((name, parent_id))
            if table is None:
                table = self._tables[name, parent_id] = self._build(api_plans().tables[name], parent_id)
            return table

    def of_parents(self, name: str) -> dict[str, Table]:
        """The tables of a list below a parent that exist so far, by the parent's id."""
        with self.lock:
            return {parent: table for (template, parent), table in self._tables.items() if template == name and parent}

    def exists(self, collection: str, record_id: str) -> bool:
        """Whether the list with this path has a record."""
        return record_id in self.table(api_plans().lists[collection].table)

    def _build(self, plan: TablePlan, parent_id: str | None) -> Table:
        if (plan.parent_name is None) != (parent_id is None):
            raise KeyError(f"{plan.name} needs the id of its parent" if parent_id is None else plan.name)
        parent = {plan.parent_name: parent_id} if plan.parent_name and parent_id else {}
        known = self._known_at_start(plan, parent_id)
        size = self._records if known is None or plan.name == USERS else len(known)
        first = known or ()

        def make(number: int, record_id: str) -> JsonObject:
            if number < len(first):
                return first[number]
            return self.maker.record(plan, number, record_id=record_id, parent=parent)

        @cache
        def id_of(number: int) -> str:
            if number < len(first) and first[number].get(plan.id_field or "") not in (None, ""):
                return str(first[number][plan.id_field or ""])
            return self._id_of(plan, number, parent_id)

        return Table(plan, max(size, len(first)), id_of=id_of, make=make, timestamp=self._timestamp, lock=self.lock)

    def _known_at_start(self, plan: TablePlan, parent_id: str | None) -> list[JsonObject] | None:
        """The first records of a table: the API user, or all that a new parent came with, such as the items of a bill.

        `None` for a table whose records are all made up.
        """
        if parent_id is None:
            own = [api_user(untidy=self.untidy)] if plan.name == USERS else []
            return [*own, *self._recorded.get(plan.name, ())] or None
        parents = self.table(api_plans().lists[plan.name.partition("/{")[0]].table)
        if parent_id not in parents:
            return None
        if parents.known_number(parent_id) < parents.seeded and parents.plan.name not in self._recorded:
            return None
        rows = parents.record(parent_id).get(plan.name.rpartition("/")[2].replace("-", "_"))
        return [row for row in rows if plan.id_field in row] if isinstance(rows, list) else []

    def _id_of(self, plan: TablePlan, number: int, parent_id: str | None) -> str:
        """The id of the record with this number in a table, whether the record exists or not."""
        first = _FIRST_IDS.get(plan.name, ())
        if number < len(first):
            return first[number]
        # The records of some tables have the ids of those of another: a list of recommended products, of products.
        tables = api_plans().tables
        named = api_plans().referred(plan.id_field or "", schema=plan.schema, table=plan.name)
        if named not in (None, plan.name) and named in tables and number < self._records:
            return self._id_of(tables[named], number, None)
        return hex_id(f"{self._seed}:{plan.name}:{parent_id or ''}:{number}")

    def _refer(self, collection: str, draw: Draw, number: int) -> str:
        """The id of a record for a field that refers to its list.

        Args:
            collection: the path of the list that the record is in.
            draw: chooses it.
            number: the number of the record that names it; first records name first records.
        """
        if collection == CUSTOMERS:
            if not self._customers.seeded:
                return hex_id(f"{self._seed}:{CUSTOMERS}:{number}")
            # The first customer, the one of most examples, has a tenth of everything.
            return self._customers.id_of(0 if number % 10 == 0 else draw.below(self._customers.seeded))
        chosen = 0 if number == 0 else draw.below(max(self._records, 1))
        return self._id_of(api_plans().tables[collection], chosen, None)
