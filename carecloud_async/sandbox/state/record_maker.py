"""Makes the records of a table from the fields of its schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

import attrs

from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.draw import Draw, hex_id
from carecloud_async.sandbox.state.facts import Field, fields_of, known_values
from carecloud_async.sandbox.state.plans import TablePlan, api_plans
from carecloud_async.sandbox.state.texts import text_of
from carecloud_async.sandbox.state.untidy import rules_for, untidied

_DEEPEST: Final = 2
"""Level at which objects hold no further objects; the record is level 0."""


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
        seed: Another seed makes other records.
        refer: Gives the id of a record of another table: name of the table, choices, number of the referring record.
        untidy: Whether some records are as untidy as real ones.
    """

    def __init__(self, *, seed: int, refer: Callable[[str, Draw, int], str], untidy: bool = True) -> None:
        self._seed = seed
        self._refer = refer
        self._untidy = untidy
        self._makers: dict[tuple[str, str, int], dict[str, _Make]] = {}

    def record(self, plan: TablePlan, number: int, *, record_id: str, parent: Mapping[str, str]) -> JsonObject:
        """Make a record.

        Args:
            plan: Its table.
            number: Its number in the table; number 0 is tidy.
            record_id: Its id.
            parent: Name and id of its parent, or nothing.
        """
        source = _Source(plan.name, number, Draw(f"{self._seed}:{plan.name}:{number}:{':'.join(parent.values())}"))
        own = {} if plan.id_field is None else {plan.id_field: record_id}
        made = self._object(plan.schema, source, level=0, given={**parent, **own})
        if "available_points" in made:  # a customer has at most the points that were assigned
            made["available_points"] = min(made["available_points"], made["assigned_points"])
        return untidied(made, number=number, rules=rules_for(_plain_fields(plan))) if self._untidy else made

    def answer(self, schema: str, fields: tuple[Field, ...], *, given: JsonObject, place: str) -> JsonObject:
        """Make the data of an answer that is not a record of a table.

        Args:
            schema: Its schema, or "" if it has only fields.
            fields: Its fields, if it has no schema.
            given: Fields of this name get these values.
            place: The path template, and the text from which the values are computed.
        """
        source = _Source(f"/{place.split('/')[1]}", 0, Draw(f"{self._seed}:{place}"))
        made: JsonObject = {}
        for field in fields or fields_of(schema):
            if "." in field.name:
                continue
            if field.name in given:
                value = given[field.name]
                made[field.name] = str(value) if field.type == "string" else value
            else:
                made[field.name] = field.type == "boolean" or self._value(field, schema, source.table, level=0)(source)
        return made

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
    plain = (one for one in fields_of(plan.schema) if not referred(one.name, schema=plan.schema, table=plan.name))
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
