"""Parts of a customer's row in a bulk write that are written after its record.

These are the id in another system of a known customer, the card, and the values of properties.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import attrs
import msgspec

from carecloud_async.bulk.compare import as_decimal, digest, is_same_value, value_at
from carecloud_async.bulk.family import Family, Key
from carecloud_async.bulk.outcome import Outcome, RowResult, refused
from carecloud_async.bulk.parts import PartKind, Parts
from carecloud_async.bulk.rows import Plan
from carecloud_async.models.enums import BlockableState
from carecloud_async.models.ids import same_id
from carecloud_async.resources.cards import Cards
from carecloud_async.resources.customers.bulk_lookups import EXTERNAL_ID, find_source_holders, named_properties
from carecloud_async.resources.customers.records import CustomerPropertyRecords, CustomerSourceRecords

#: What the columns of properties begin with; the property's id follows.
PROPERTY: Final = "property."

_CARD_TAKEN: Final = "card_number: the card belongs to another customer"
_CARD_BLOCKED: Final = "card_number: the card is blocked"
_CARD_WITHOUT_TYPE: Final = "card_number: a new card needs card_type_id"
_ID_TAKEN: Final = "external_id: another customer of this source has it"

_EXTERNAL_ID: Final = attrs.evolve(EXTERNAL_ID, find=find_source_holders)
_CARD_NUMBER: Final = Key(name="card_number", filter="card_number_list", many=True)


class _ExternalIds(PartKind):
    """The id of a known customer in another system; what is looked up are the customers who have it."""

    name: ClassVar[str] = "external_id"
    key: ClassVar[Key] = _EXTERNAL_ID

    def split(self, parts: Mapping[str, Any]) -> list[dict[str, Any]]:
        """See `PartKind.split`."""
        values = {path: parts[path] for path in self.key.paths if parts.get(path)}
        return [values] if len(values) == len(self.key.paths) else []

    def family(self, owner: Family, record_id: str) -> Family:
        """See `PartKind.family`."""
        return CustomerSourceRecords(owner.caller, customer_id=record_id)._as_family()

    def looked_up_in(self, owner: Family, record_id: str) -> Family:
        """See `PartKind.looked_up_in`."""
        return owner

    def decide(
        self, family: Family, record_id: str | None, values: Mapping[str, Any], looked_up: Sequence[bytes]
    ) -> RowResult | Plan:
        """See `PartKind.decide`."""
        if _is_held(looked_up, record_id):
            return RowResult(outcome=Outcome.UNCHANGED)
        if looked_up:
            return RowResult(outcome=Outcome.CONFLICT, reasons=(_ID_TAKEN,))
        return Plan(kind="create", body=dict(values), changed=(self.name,))


class _Cards(PartKind):
    """The customer's card: one that is free, or a new one."""

    name: ClassVar[str] = "card_number"
    key: ClassVar[Key] = _CARD_NUMBER

    def split(self, parts: Mapping[str, Any]) -> list[dict[str, Any]]:
        """See `PartKind.split`."""
        number = str(parts.get("card_number") or "").strip()
        return [{"card_number": number, "card_type_id": parts.get("card_type_id")}] if number else []

    def family(self, owner: Family, record_id: str) -> Family:
        """See `PartKind.family`."""
        return Cards(owner.caller)._as_family()

    def decide(
        self, family: Family, record_id: str | None, values: Mapping[str, Any], looked_up: Sequence[bytes]
    ) -> RowResult | Plan:
        """See `PartKind.decide`."""
        if _is_held(looked_up, record_id):
            return RowResult(outcome=Outcome.UNCHANGED)
        free = next((card for card in looked_up if not msgspec.json.decode(card).get("customer_id")), None)
        if free is not None and same_id(value_at(msgspec.json.decode(free), "state"), BlockableState.BLOCKED.value):
            return RowResult(outcome=Outcome.CONFLICT, reasons=(_CARD_BLOCKED,))
        if free is not None:
            body = family.merge(free, {"customer_id": record_id or "new"}).body
            card_id = family.facts.id_of(msgspec.json.decode(free))
            return Plan(kind="update", body=body, record_id=card_id, changed=(self.name,), is_new=False)
        if looked_up:
            return RowResult(outcome=Outcome.CONFLICT, reasons=(_CARD_TAKEN,))
        if not values.get("card_type_id"):
            return refused(_CARD_WITHOUT_TYPE)
        return Plan(kind="create", body={**values, "state": 1, "customer_id": record_id}, changed=(self.name,))


class _Properties(PartKind):
    """The value of a property; what is looked up are the customer's records of it."""

    name: ClassVar[str] = "property"
    key: ClassVar[Key] = Key(name="property_id")
    of_record: ClassVar[bool] = True

    def split(self, parts: Mapping[str, Any]) -> list[dict[str, Any]]:
        """See `PartKind.split`."""
        named = {name: value for name, value in parts.items() if name.startswith(PROPERTY) and value is not None}
        return [{name: value} for name, value in named.items()]

    def family(self, owner: Family, record_id: str) -> Family:
        """See `PartKind.family`."""
        return CustomerPropertyRecords(owner.caller, customer_id=record_id)._as_family()

    def key_of(self, values: Mapping[str, Any]) -> tuple[str, ...]:
        """See `PartKind.key_of`."""
        return (self.label(values).removeprefix(PROPERTY),)

    def label(self, values: Mapping[str, Any]) -> str:
        """See `PartKind.label`."""
        (name,) = values
        return name

    def decide(
        self, family: Family, record_id: str | None, values: Mapping[str, Any], looked_up: Sequence[bytes]
    ) -> RowResult | Plan:
        """See `PartKind.decide`."""
        ((name, value),) = values.items()
        body = {"property_id": name.removeprefix(PROPERTY), "property_value": value}
        if not looked_up:
            return Plan(kind="create", body=body, changed=(name,))
        if len(looked_up) > 1:
            reason = f"{name}: {len(looked_up)} records have this property"
            return RowResult(outcome=Outcome.CONFLICT, reasons=(reason,))
        record = msgspec.json.decode(looked_up[0])
        if _is_same_property(record.get("property_value"), value):
            return RowResult(outcome=Outcome.UNCHANGED)
        put = {"property_record": body}
        before, record_id = {name: digest(record.get("property_value"))}, family.facts.id_of(record)
        return Plan(kind="update", body=put, record_id=record_id, changed=(name,), base=before, is_new=False)


def _is_same_property(now: Any, value: Any) -> bool:
    """Return whether a property has a value; a number may be a text of the record, in another spelling."""
    is_text_of_number = isinstance(now, str) and isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_same_value(now, value) or (is_text_of_number and as_decimal(now) == as_decimal(value))


def _is_held(lines: Sequence[bytes], customer_id: str | None) -> bool:
    """Return whether one of the records that were found is of a customer."""
    return any(same_id(value_at(msgspec.json.decode(line), "customer_id"), customer_id) for line in lines)


def customer_parts() -> Parts:
    """Return what rows of customers may have that is written after the record."""
    return Parts(
        names=frozenset({"card_number", "card_type_id"}),
        prefixes=(PROPERTY,),
        kinds=(_ExternalIds(), _Cards(), _Properties()),
        unique=(_CARD_NUMBER, _EXTERNAL_ID),
        created=_EXTERNAL_ID,
        fetch_names=named_properties,
    )
