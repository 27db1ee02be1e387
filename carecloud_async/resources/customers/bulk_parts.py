"""Parts of a customer's row in a bulk write, the card and the values of properties: looked at, then written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import msgspec

from carecloud_async.bulk.family import FoundParts, PartResult, settle_seconds
from carecloud_async.calls.caller import Caller
from carecloud_async.errors import ApiError, BadRequestError, CareCloudError, ConflictError

if TYPE_CHECKING:
    from carecloud_async.models import Card, PropertyRecord

__all__ = ["PROPERTY", "check_parts", "source_holders", "write_card", "write_external_id", "write_properties"]

T = TypeVar("T")
#: The property records of a customer, by the ids of their properties.
Held: TypeAlias = "Mapping[str | None, PropertyRecord]"

#: What the columns of properties begin with; the property's id follows.
PROPERTY: Final = "property."
#: How often a part is looked at and written whose answer is lost each time.
_TRIES: Final = 3
#: Longest pause between two looks at such a part (seconds).
_LONGEST_PAUSE: Final = 15.0

_TAKEN: Final = "card_number: the card belongs to another customer"
_HELD: Final = "external_id: another customer of this source has it"
_NO_TYPE: Final = "card_number: a new card needs card_type_id"


def check_parts(customer_id: str | None, parts: Mapping[str, Any], found: FoundParts) -> PartResult:
    """Say what would become of the card and the external id of a row: `changed` names those to be written.

    Args:
        customer_id: the row's customer; `None` for a new one.
        parts: the parts of the row.
        found: the cards that have the row's number, and who has its external id.
    """
    results = []
    if "card_number" in found:
        results.append(_check_card(customer_id, parts, found["card_number"]))
    if "external_id" in found:
        results.append(_check_external_id(customer_id, found["external_id"]))
    return _together(results)


def _check_external_id(customer_id: str | None, found: Sequence[bytes]) -> PartResult:
    holders = [msgspec.json.decode(one)["customer_id"] for one in found]
    if any(customer_id is not None and _is_same(one, customer_id) for one in holders):
        return PartResult()
    return PartResult(conflicts=(_HELD,)) if holders else PartResult(changed=("external_id",))


def _check_card(customer_id: str | None, parts: Mapping[str, Any], found: Sequence[bytes]) -> PartResult:
    holders = [msgspec.json.decode(one).get("customer_id") for one in found]
    if any(customer_id is not None and _is_same(one, customer_id) for one in holders):
        return PartResult()
    if found and all(holders):
        return PartResult(conflicts=(_TAKEN,))
    if not found and not parts.get("card_type_id"):
        return PartResult(refusals=(_NO_TYPE,))
    return PartResult(changed=("card_number",))


async def source_holders(caller: Caller, source: str, external_ids: Sequence[str]) -> Sequence[tuple[str, str]]:
    """Return the ids in a source that records show, each with its customer."""
    from carecloud_async.resources.customer_settings import CustomerSourceRecords  # few programs ask for it

    found = CustomerSourceRecords(caller).list(customer_source_id=source, external_ids=external_ids, count=1000).fresh()
    return [(one.external_id or "", one.customer_id) async for one in found if one.customer_id]


async def write_external_id(
    caller: Caller, customer_id: str, parts: Mapping[str, Any], found: FoundParts
) -> PartResult:
    """Give a known customer the row's id in its source; arguments as for `write_card`."""
    from carecloud_async.models import CustomerSourceInput
    from carecloud_async.resources.customers.records import CustomerSourceRecords

    source, external_id = str(parts.get("customer_source_id") or ""), str(parts.get("external_id") or "").strip()
    if not source or not external_id:
        return PartResult()

    async def look() -> list[str]:
        return [one for _, one in await source_holders(caller, source, [external_id])]

    async def write(holders: list[str]) -> PartResult | None:
        if holders:
            return PartResult(conflicts=(_HELD,))
        record = CustomerSourceInput(customer_source_id=source, external_id=external_id)
        await CustomerSourceRecords(caller, customer_id=customer_id).create(record)
        return None

    return await _write_once(
        caller,
        "external_id",
        await look() if found.get("external_id") else [],
        look=look,
        has_it=lambda holders: any(_is_same(one, customer_id) for one in holders),
        write=write,
    )


async def write_card(caller: Caller, customer_id: str, parts: Mapping[str, Any], found: FoundParts) -> PartResult:
    """Give a customer the card of a row: one that is free, or a new one of `card_type_id`.

    Args:
        caller: makes the calls.
        customer_id: the customer.
        parts: the parts of the row.
        found: what the keys of the parts found a moment ago.
    """
    from carecloud_async.models import CardInput
    from carecloud_async.resources.cards import Cards

    number, card_type, cards = str(parts.get("card_number") or "").strip(), parts.get("card_type_id"), Cards(caller)
    if not number:
        return PartResult()

    async def look() -> list[Card]:
        return [one async for one in cards.list(card_number=number).fresh() if one.card_number == number]

    async def write(known: list[Card]) -> PartResult | None:
        free = next((one for one in known if not one.customer_id), None)
        if free is not None:
            await cards.update(free.card_id, {"customer_id": customer_id}, if_unchanged=free)
        elif known:
            return PartResult(conflicts=(_TAKEN,))
        elif not card_type:
            return PartResult(refusals=(_NO_TYPE,))
        else:
            await cards.create(CardInput(card_number=number, card_type_id=card_type, state=1, customer_id=customer_id))
        return None

    return await _write_once(
        caller,
        "card_number",
        await look() if found.get("card_number") else [],
        look=look,
        has_it=lambda known: any(_is_same(one.customer_id, customer_id) for one in known),
        write=write,
    )


async def write_properties(caller: Caller, customer_id: str, parts: Mapping[str, Any], found: FoundParts) -> PartResult:
    """Set the values of properties: those that the customer has are changed, others are added."""
    del found  # properties have no key
    from carecloud_async.models import PropertyRecordInput
    from carecloud_async.resources.customers.records import CustomerPropertyRecords

    wanted = {
        name.removeprefix(PROPERTY): value
        for name, value in parts.items()
        if name.startswith(PROPERTY) and value is not None
    }
    if not wanted:
        return PartResult()
    records = CustomerPropertyRecords(caller, customer_id=customer_id)

    async def look() -> Held:
        return {one.property_id: one async for one in records.list().fresh()}

    async def write(property_id: str, value: Any, held: Held) -> None:
        record, one = PropertyRecordInput(property_id=property_id, property_value=value), held.get(property_id)
        if one is None:
            await records.create(record)
        else:
            await records.replace(one.property_record_id, record)

    held = await look()
    results = [
        await _write_once(
            caller,
            f"{PROPERTY}{property_id}",
            held,
            look=look,
            has_it=partial(_holds, property_id, value),
            write=partial(write, property_id, value),
        )
        for property_id, value in wanted.items()
    ]
    return _together(results)


def _holds(property_id: str, value: Any, held: Held) -> bool:
    one = held.get(property_id)
    return one is not None and str(one.property_value) == str(value)


def _together(results: Sequence[PartResult]) -> PartResult:
    return PartResult(
        changed=tuple(name for one in results for name in one.changed),
        conflicts=tuple(text for one in results for text in one.conflicts),
        refusals=tuple(text for one in results for text in one.refusals),
    )


async def _write_once(
    caller: Caller,
    name: str,
    known: T,
    *,
    look: Callable[[], Awaitable[T]],
    has_it: Callable[[T], bool],
    write: Callable[[T], Awaitable[PartResult | None]],
) -> PartResult:
    """Write a part of a customer's row; after a lost answer it is sent again only if it certainly did not happen.

    Args:
        caller: makes the calls.
        name: the part, as results name it.
        known: what `look` returned a moment ago.
        look: returns what is there.
        has_it: whether the customer has the part by that.
        write: writes the part, or says why it cannot be written.

    Raises:
        CareCloudError: the server is away or refuses the client.
    """
    for attempt in range(1, _TRIES + 1):
        if has_it(known):
            return PartResult() if attempt == 1 else PartResult(changed=(name,))
        try:
            return await write(known) or PartResult(changed=(name,))
        except (BadRequestError, ConflictError) as error:
            return PartResult(refusals=_reasons(name, error))
        except CareCloudError as error:
            if not error.may_have_happened or attempt == _TRIES:
                raise
        known = await _until_shown(caller, look, has_it)
    raise AssertionError  # pragma: no cover  (the last try returns or raises)


async def _until_shown(caller: Caller, look: Callable[[], Awaitable[T]], is_shown: Callable[[T], bool]) -> T:
    """Look until a write whose answer was lost has shown itself, or certainly did not happen; return what is there."""
    clock, pause = caller.context.clock, 1.0
    settled_at = clock.monotonic() + settle_seconds(caller.options.timeout.read)
    while True:
        now = clock.monotonic()
        found = await look()
        if is_shown(found) or now >= settled_at:
            return found
        await clock.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


def _reasons(name: str, error: CareCloudError) -> tuple[str, ...]:
    params = error.invalid_params if isinstance(error, ApiError) else ()
    return tuple(f"{name}: {one.reason}" for one in params) or (f"{name}: {type(error).__name__}",)


def _is_same(one: str | None, other: str) -> bool:
    return one is not None and one.casefold() == other.casefold()
