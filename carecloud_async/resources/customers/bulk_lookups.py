"""How bulk writes find customers where a filter alone cannot: by phone, ids in other systems, and numbers of cards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec

from carecloud_async.bulk.compare import value_at
from carecloud_async.bulk.family import FoundRecords, normal_phone
from carecloud_async.errors import BadRequestError

if TYPE_CHECKING:
    from carecloud_async.calls.caller import Caller
    from carecloud_async.listings.listing import Listing
    from carecloud_async.models.cards import Card
    from carecloud_async.resources.customers.customers import Customers

__all__ = [
    "find_by_card_numbers",
    "find_by_external_ids",
    "find_by_phone",
    "find_cards",
    "find_source_holders",
    "property_names",
    "source_holders",
]

#: Records of a page of look-ups.
_PAGE: Final = 1000


async def find_by_external_ids(customers: Customers, keys: Sequence[tuple[str, ...]]) -> FoundRecords:
    """Find customers by one source and their ids there; two requests."""
    return await _records_of(customers, await _source_holders(customers, keys))


async def find_source_holders(customers: Customers, keys: Sequence[tuple[str, ...]]) -> FoundRecords:
    """Find who has ids in one source; one request."""
    holders = await _source_holders(customers, keys)
    return [(key, msgspec.json.encode({"customer_id": customer_id})) for key, customer_id in holders]


async def _source_holders(
    customers: Customers, keys: Sequence[tuple[str, ...]]
) -> Sequence[tuple[tuple[str, ...], str]]:
    """Return who has ids in one source.

    A source record may hold several ids and show one of them. Where a record shows none of the ids that were asked for,
    those without a record are asked for one by one.
    """
    source, caller = keys[0][0], customers._caller
    wanted = {external_id.strip() for _, external_id in keys}
    shown = await source_holders(caller, source, sorted(wanted))
    if len(wanted) == 1:
        (external_id,) = wanted
        return [((source, external_id), customer_id) for _, customer_id in shown]
    holders = [(external_id, customer_id) for external_id, customer_id in shown if external_id in wanted]
    if len(holders) < len(shown):
        for external_id in sorted(wanted - {found for found, _ in holders}):
            alone = await source_holders(caller, source, [external_id])
            holders += [(external_id, customer_id) for _, customer_id in alone]
    return [((source, external_id), customer_id) for external_id, customer_id in holders]


async def source_holders(caller: Caller, source: str, external_ids: Sequence[str]) -> Sequence[tuple[str, str]]:
    """Return the ids in a source that records show, each with its customer."""
    from carecloud_async.resources.customer_settings import CustomerSourceRecords  # few programs ask for it

    records = CustomerSourceRecords(caller).list(customer_source_id=source, external_ids=external_ids, count=_PAGE)
    return [(one.external_id or "", one.customer_id) async for one in records.fresh() if one.customer_id]


async def find_by_phone(customers: Customers, keys: Sequence[tuple[str, ...]]) -> FoundRecords:
    """Find customers by a phone number; two requests if it is written with other characters than digits.

    The API's filter takes digits with the international prefix. Servers that store a number as it was sent may find
    that text only.
    """
    ((given,),) = keys
    found = await _with_phone(customers, digits := normal_phone(given))
    if digits != given.strip():
        with suppress(BadRequestError):  # such a text is no number to this server, so no record has it
            # By id: a record that changed between the two is still one.
            found |= await _with_phone(customers, given.strip())
    return [*found.values()]


async def _with_phone(customers: Customers, phone: str) -> dict[Any, tuple[tuple[str, ...], bytes]]:
    found: dict[Any, tuple[tuple[str, ...], bytes]] = {}
    async for line in customers.list(phone=phone, count=_PAGE).fresh().raw():
        record = msgspec.json.decode(line)
        number = value_at(record, "personal_information.phone")
        found[value_at(record, "customer_id") or line] = ((str(number or ""),), line)
    return found


async def find_by_card_numbers(customers: Customers, keys: Sequence[tuple[str, ...]]) -> FoundRecords:
    """Find customers by the numbers of their cards; two requests."""
    cards = _cards(customers, keys)
    return await _records_of(customers, [((one.card_number or "",), one.customer_id or "") async for one in cards])


async def find_cards(customers: Customers, keys: Sequence[tuple[str, ...]]) -> FoundRecords:
    """Find cards by their numbers."""
    lines = _cards(customers, keys).raw()
    return [((str(msgspec.json.decode(line).get("card_number")),), line) async for line in lines]


def _cards(customers: Customers, keys: Sequence[tuple[str, ...]]) -> Listing[Card]:
    from carecloud_async.resources.cards import Cards  # as above

    return Cards(customers._caller).list(card_number_list=[number.strip() for (number,) in keys], count=_PAGE).fresh()


async def _records_of(customers: Customers, holders: Sequence[tuple[tuple[str, ...], str]]) -> FoundRecords:
    """Return the records of customers, each with the key that it was found by."""
    ids = sorted({customer_id for _, customer_id in holders if customer_id})
    if not ids:
        return []
    found = {}
    async for line in customers.list(customer_ids=ids, count=_PAGE).fresh().raw():
        found[str(msgspec.json.decode(line).get("customer_id"))] = line
    return [(key, found[customer_id]) for key, customer_id in holders if customer_id in found]


async def property_names(customers: Customers) -> Mapping[str, str]:
    """Return the names of the project's properties of customers, by their ids."""
    from carecloud_async.resources.customer_settings import CustomerProperties  # as above

    properties = CustomerProperties(customers._caller).list(count=_PAGE).fresh()
    return {one.property_id: one.name or "" async for one in properties}
