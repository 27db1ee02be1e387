"""Parts of a customer's row in a bulk write that are written after its record.

These are the id in another system of a known customer, the card, and the values of properties. Each part is looked at
before it is written, and again after a lost answer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import attrs
import msgspec

from carecloud_async.bulk.compare import is_same_value
from carecloud_async.bulk.family import FoundParts, PartResult, time_to_settle
from carecloud_async.errors import ApiError, BadRequestError, CareCloudError, ConflictError
from carecloud_async.models.ids import same_id
from carecloud_async.resources.customers.bulk_lookups import source_holders
from carecloud_async.resources.customers.records import CustomerPropertyRecords, CustomerSourceRecords

if TYPE_CHECKING:
    from carecloud_async.calls.caller import Caller
    from carecloud_async.models import Card, PropertyRecord
    from carecloud_async.resources.customers.customers import Customers

__all__ = ["PROPERTY", "check_parts", "write_parts"]

T = TypeVar("T")

#: What the columns of properties begin with; the property's id follows.
PROPERTY: Final = "property."
#: How often a part is looked at and written whose answer is lost each time.
_TRIES: Final = 3
#: Longest pause between two looks at such a part (seconds).
_LONGEST_PAUSE: Final = 15.0

_CARD_TAKEN: Final = "card_number: the card belongs to another customer"
_CARD_WITHOUT_TYPE: Final = "card_number: a new card needs card_type_id"
_ID_TAKEN: Final = "external_id: another customer of this source has it"


def check_parts(customer_id: str | None, parts: Mapping[str, Any], found: FoundParts) -> PartResult:
    """Say what would become of the card and the external id of a row: `changed` names those to be written.

    Args:
        customer_id: the row's customer; `None` for a new one.
        parts: the parts of the row.
        found: the cards that have the row's number, and who has its external id.
    """
    holders = {
        name: [msgspec.json.decode(one).get("customer_id") for one in records] for name, records in found.items()
    }
    result = PartResult()
    for name, ids in holders.items():
        if any(same_id(one, customer_id) for one in ids):
            continue
        if name == "external_id":
            checked = PartResult(conflicts=(_ID_TAKEN,)) if ids else PartResult(changed=(name,))
        elif ids and all(ids):
            checked = PartResult(conflicts=(_CARD_TAKEN,))
        elif not ids and not parts.get("card_type_id"):
            checked = PartResult(refusals=(_CARD_WITHOUT_TYPE,))
        else:
            checked = PartResult(changed=(name,))
        result = _joined(result, checked)
    return result


async def write_parts(
    customers: Customers, customer_id: str, parts: Mapping[str, Any], found: FoundParts
) -> PartResult:
    """Write the parts of a row; a conflict or a refusal ends it.

    Args:
        customers: the family.
        customer_id: the row's customer.
        parts: the parts of the row.
        found: the cards that have the row's number, and who has its external id, as of a moment ago.

    Raises:
        CareCloudError: the server is away or refuses the client.
    """
    done = PartResult()
    for write in (_write_external_id, _write_card, _write_properties):
        done = _joined(done, await write(customers._caller, customer_id, parts, found))
        if done.conflicts or done.refusals:
            break
    return done


# What the keys of the parts did not find a moment ago is not looked for again before the first write.


async def _write_external_id(
    caller: Caller, customer_id: str, parts: Mapping[str, Any], found: FoundParts
) -> PartResult:
    source, external_id = _text(parts, "customer_source_id"), _text(parts, "external_id")
    if not source or not external_id:
        return PartResult()
    part = _ExternalId(name="external_id", caller=caller, customer_id=customer_id, source=source, value=external_id)
    return await part.write_once(await part.look() if found.get(part.name) else [])


async def _write_card(caller: Caller, customer_id: str, parts: Mapping[str, Any], found: FoundParts) -> PartResult:
    number, card_type_id = _text(parts, "card_number"), parts.get("card_type_id")
    if not number:
        return PartResult()
    part = _Card(name="card_number", caller=caller, customer_id=customer_id, number=number, card_type_id=card_type_id)
    return await part.write_once(await part.look() if found.get(part.name) else [])


async def _write_properties(caller: Caller, customer_id: str, parts: Mapping[str, Any], _: FoundParts) -> PartResult:
    wanted = [
        _Property(name=name, caller=caller, customer_id=customer_id, value=value)
        for name, value in parts.items()
        if name.startswith(PROPERTY) and value is not None
    ]
    done = PartResult()
    records = await wanted[0].look() if wanted else {}
    for part in wanted:
        done = _joined(done, await part.write_once(records))
    return done


@attrs.frozen(kw_only=True, repr=False)
class _Part(ABC, Generic[T]):
    """A part of a customer's row, and the means to look at it and to write it.

    Attributes:
        name: the part, as results name it.
        caller: makes the calls.
        customer_id: the row's customer.
    """

    name: str
    caller: Caller
    customer_id: str

    @abstractmethod
    async def look(self) -> T:
        """Return what the server has now."""

    @abstractmethod
    def is_written(self, found: T) -> bool:
        """Return whether the customer has the part by what was found."""

    @abstractmethod
    async def write(self, found: T) -> PartResult | None:
        """Write the part, or return why it cannot be written."""

    async def write_once(self, found: T) -> PartResult:
        """Write the part; after a lost answer it is written again only if it certainly was not.

        Args:
            found: what `look` returned a moment ago.
        """
        for attempt in range(1, _TRIES + 1):
            if self.is_written(found):
                return PartResult() if attempt == 1 else PartResult(changed=(self.name,))
            try:
                return await self.write(found) or PartResult(changed=(self.name,))
            except (BadRequestError, ConflictError) as error:
                return PartResult(refusals=self._reasons(error))
            except CareCloudError as error:
                if not error.may_have_happened or attempt == _TRIES:
                    raise
            found = await self._look_until_settled()
        raise AssertionError  # pragma: no cover  (the last try returns or raises)

    async def _look_until_settled(self) -> T:
        """Look until a write whose answer was lost has shown itself, or can no longer happen."""
        clock, pause = self.caller.context.clock, 1.0
        settled_at = clock.monotonic() + time_to_settle(self.caller.options.timeout.read)
        while True:
            now = clock.monotonic()
            found = await self.look()
            if self.is_written(found) or now >= settled_at:
                return found
            await clock.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _reasons(self, error: CareCloudError) -> tuple[str, ...]:
        params = error.invalid_params if isinstance(error, ApiError) else ()
        return tuple(f"{self.name}: {one.reason}" for one in params) or (f"{self.name}: {type(error).__name__}",)


@attrs.frozen(kw_only=True, repr=False)
class _ExternalId(_Part[Sequence[str]]):
    """The customer's id in another system; found are the customers who have it."""

    source: str
    value: str

    async def look(self) -> Sequence[str]:
        return [holder for _, holder in await source_holders(self.caller, self.source, [self.value])]

    def is_written(self, found: Sequence[str]) -> bool:
        return any(same_id(holder, self.customer_id) for holder in found)

    async def write(self, found: Sequence[str]) -> PartResult | None:
        from carecloud_async.models import CustomerSourceInput

        if found:
            return PartResult(conflicts=(_ID_TAKEN,))
        record = CustomerSourceInput(customer_source_id=self.source, external_id=self.value)
        await CustomerSourceRecords(self.caller, customer_id=self.customer_id).create(record)
        return None


@attrs.frozen(kw_only=True, repr=False)
class _Card(_Part["Sequence[Card]"]):
    """The customer's card: one that is free, or a new one; found are the cards with its number."""

    number: str
    card_type_id: str | None

    async def look(self) -> Sequence[Card]:
        from carecloud_async.resources.cards import Cards

        cards = Cards(self.caller).list(card_number=self.number).fresh()
        return [one async for one in cards if one.card_number == self.number]

    def is_written(self, found: Sequence[Card]) -> bool:
        return any(same_id(one.customer_id, self.customer_id) for one in found)

    async def write(self, found: Sequence[Card]) -> PartResult | None:
        from carecloud_async.models import CardInput
        from carecloud_async.resources.cards import Cards

        cards, free = Cards(self.caller), next((one for one in found if not one.customer_id), None)
        if free is not None:
            await cards.update(free.card_id, {"customer_id": self.customer_id}, if_unchanged=free)
        elif found:
            return PartResult(conflicts=(_CARD_TAKEN,))
        elif not self.card_type_id:
            return PartResult(refusals=(_CARD_WITHOUT_TYPE,))
        else:
            new = CardInput(
                card_number=self.number, card_type_id=self.card_type_id, state=1, customer_id=self.customer_id
            )
            await cards.create(new)
        return None


@attrs.frozen(kw_only=True, repr=False)
class _Property(_Part["Mapping[str | None, PropertyRecord]"]):
    """The value of a property; found are all property records of the customer, by the ids of their properties."""

    value: Any

    @property
    def property_id(self) -> str:
        return self.name.removeprefix(PROPERTY)

    async def look(self) -> Mapping[str | None, PropertyRecord]:
        return {one.property_id: one async for one in self._records.list().fresh()}

    def is_written(self, found: Mapping[str | None, PropertyRecord]) -> bool:
        record = found.get(self.property_id)
        return record is not None and is_same_value(record.property_value, self.value)

    async def write(self, found: Mapping[str | None, PropertyRecord]) -> PartResult | None:
        from carecloud_async.models import PropertyRecordInput

        new, old = (
            PropertyRecordInput(property_id=self.property_id, property_value=self.value),
            found.get(self.property_id),
        )
        if old is None:
            await self._records.create(new)
        else:
            await self._records.replace(old.property_record_id, new)
        return None

    @property
    def _records(self) -> CustomerPropertyRecords:
        return CustomerPropertyRecords(self.caller, customer_id=self.customer_id)


def _text(parts: Mapping[str, Any], name: str) -> str:
    return str(parts.get(name) or "").strip()


def _joined(one: PartResult, other: PartResult) -> PartResult:
    return PartResult(
        changed=(*one.changed, *other.changed),
        conflicts=(*one.conflicts, *other.conflicts),
        refusals=(*one.refusals, *other.refusals),
    )
