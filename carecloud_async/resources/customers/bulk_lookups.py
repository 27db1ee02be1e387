"""How customers are found where a filter alone cannot: by phone, ids in other systems, and numbers of cards."""

from __future__ import annotations

import unicodedata
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from carecloud_async._lists.listings.look_ups import look_up_page
from carecloud_async.bulk.compare import value_at
from carecloud_async.bulk.family import Family, FoundRecords, Key, normal_phone
from carecloud_async.bulk.pages import PAGE, TakenError, read_some
from carecloud_async.bulk.parts import NamedPart
from carecloud_async.errors import BadRequestError
from carecloud_async.models.ids import same_id

if TYPE_CHECKING:
    from carecloud_async.resources.customer_settings import CustomerSourceRecords

#: A key, and the id of the customer who has it.
Holder: TypeAlias = tuple[tuple[str, ...], str]

_NO_SUCH_ID: Final = "carecloud-async.no-such-external-id"

#: The types of properties whose values are converted, by the API's names. Texts, times (whose form the API leaves open)
#: and the project's own types are sent as the row has them.
_HINTS: Final[Mapping[str, Any]] = {"integer": int, "float": float, "number": float, "boolean": bool, "date": date}


async def find_by_external_ids(customers: Family, keys: Sequence[tuple[str, ...]]) -> FoundRecords:
    """Find customers by one source and their ids there; usually two requests."""
    return await _records_of(customers, lambda: _source_holders(customers, keys))


#: Names a customer by the id in another system.
EXTERNAL_ID: Final = Key(
    name="external_id",
    fields=("customer_source_id", "external_id"),
    ids=1,
    filter="external_ids",
    many=True,
    in_record=False,
    find=find_by_external_ids,
)


async def find_source_holders(customers: Family, keys: Sequence[tuple[str, ...]]) -> FoundRecords:
    """Find who has ids in one source; usually one request."""
    holders = await _source_holders(customers, keys)
    return [(key, msgspec.json.encode({"customer_id": customer_id})) for key, customer_id in holders]


async def _source_holders(customers: Family, keys: Sequence[tuple[str, ...]]) -> Sequence[Holder]:
    """Return who has ids in one source.

    A source record may hold several ids and show one of them. If a record shows another id, and the server does filter
    by the ids, the ids still without a customer are looked up one by one.
    """
    from carecloud_async.resources.customer_settings import CustomerSourceRecords  # few programs ask for it

    source, records = keys[0][0], CustomerSourceRecords(customers.caller)
    wanted = {external_id.strip() for _, external_id in keys}
    shown = await _shown_ids(records, source, sorted(wanted))
    holders = [(external_id, customer_id) for external_id, customer_id in shown if external_id in wanted]
    if len(holders) < len(shown) and await filters_external_ids(records, source):
        for external_id in sorted(wanted - {shown_id for shown_id, _ in holders}):
            alone = shown if len(wanted) == 1 else await _shown_ids(records, source, [external_id])
            holders += [(external_id, owner) for other, owner in alone if may_be_second_id(other, external_id)]
    if not all(customer_id for _, customer_id in holders):
        raise TakenError("it is taken, and its customer is not shown")
    return [((source, external_id), customer_id) for external_id, customer_id in holders]


async def _shown_ids(
    records: CustomerSourceRecords, source: str, external_ids: Sequence[str]
) -> Sequence[tuple[str, str]]:
    """Return the ids in a source that records show, each with its customer; either may be empty."""
    listing = records.list(customer_source_id=source, external_ids=external_ids, count=PAGE).fresh()
    shown = [msgspec.json.decode(line) for line in await read_some(listing, alone=len(external_ids) == 1)]
    # A server that ignores the filter of the source shows the same ids of other systems, which are other customers'.
    own = [record for record in shown if same_id(_text_at(record, "customer_source_id") or source, source)]
    return [(_text_at(record, "external_id").strip(), _text_at(record, "customer_id")) for record in own]


async def find_by_phone(customers: Family, keys: Sequence[tuple[str, ...]]) -> FoundRecords:
    """Find customers by a phone number; two requests if it is written with other characters than digits.

    The API's filter takes digits with the international prefix. Servers that store a number as it was sent may find
    that text only.
    """
    ((given,),) = keys
    records = await _with_phone(customers, digits := normal_phone(given))
    if digits != given.strip():
        with suppress(BadRequestError):  # such a text is no number to this server, so no record has it
            # By id: a record that changed between the two is still one.
            records |= await _with_phone(customers, given.strip())
    return [*records.values()]


async def _with_phone(customers: Family, phone: str) -> dict[Any, tuple[tuple[str, ...], bytes]]:
    records: dict[Any, tuple[tuple[str, ...], bytes]] = {}
    assert customers.list is not None  # noqa: S101
    for line in await read_some(customers.list(phone=phone), alone=True):
        record = msgspec.json.decode(line)
        number = value_at(record, "personal_information.phone")
        records[value_at(record, "customer_id") or line] = ((str(number or ""),), line)
    return records


async def find_by_card_numbers(customers: Family, keys: Sequence[tuple[str, ...]]) -> FoundRecords:
    """Find customers by the numbers of their cards; usually two requests."""
    return await _records_of(customers, lambda: _card_holders(customers, keys))


async def _card_holders(customers: Family, keys: Sequence[tuple[str, ...]]) -> Sequence[Holder]:
    from carecloud_async.resources.cards import Cards  # few programs ask for it

    numbers = [number.strip() for (number,) in keys]
    cards = Cards(customers.caller).list(card_number_list=numbers, count=PAGE).fresh()
    shown = [msgspec.json.decode(line) for line in await read_some(cards, alone=len(keys) == 1)]
    return [((_text_at(card, "card_number"),), owner) for card in shown if (owner := _text_at(card, "customer_id"))]


async def _records_of(customers: Family, find: Callable[[], Awaitable[Sequence[Holder]]]) -> FoundRecords:
    """Return the records of customers, each with the key that it was found by.

    A customer that cannot be read may have been deleted since its key was looked up: the keys are looked up once more.

    Args:
        find: looks the keys up.

    Raises:
        TakenError: there is no such customer for this user; the key is taken all the same.
    """
    for _ in range(2):
        holders = await find()
        records = await _read(customers, sorted({customer_id for _, customer_id in holders}))
        if records is not None:
            return [(key, records[customer_id]) for key, customer_id in holders]
    raise TakenError("it is taken, and its customer cannot be read")


async def _read(customers: Family, ids: Sequence[str]) -> Mapping[str, bytes] | None:
    """Return customers by their ids; `None` if one cannot be read. Those missing from the list are read one by one."""
    assert customers.list is not None  # noqa: S101
    assert customers.get is not None  # noqa: S101
    lines = await read_some(customers.list(customer_ids=ids), alone=len(ids) == 1) if ids else []
    records = {_text_at(msgspec.json.decode(line), "customer_id"): line for line in lines}
    for customer_id in ids:
        record = records.get(customer_id) or await customers.get(customer_id)
        if record is None:
            return None
        records[customer_id] = record
    return records


def _text_at(record: Any, path: str) -> str:
    """Return a field as text; empty without one, or for what is no record."""
    return str(value_at(record, path) or "")


async def named_properties(customers: Family) -> Mapping[str, NamedPart]:
    """Return the project's properties of customers, by their ids."""
    from carecloud_async.resources.customer_settings import CustomerProperties  # few programs ask for it

    properties = CustomerProperties(customers.caller).list(count=PAGE).fresh()
    return {
        named.property_id: NamedPart(name=named.name or "", hint=_HINTS.get((named.data_type or "").strip().casefold()))
        async for named in properties
    }


async def filters_external_ids(records: CustomerSourceRecords, customer_source_id: str) -> bool:
    """Return whether the server shows nothing for an external id that no customer has; one request.

    Only then does a record that shows another id hold the one that was asked for, as a second id.
    """
    listing = records.list(
        customer_source_id=customer_source_id, external_ids=[_NO_SUCH_ID], external_id=_NO_SUCH_ID, count=1
    )
    return not (await look_up_page(listing)).items


def may_be_second_id(shown: str, wanted: str) -> bool:
    """Return whether a record that shows another external id than the one that was asked for may hold that one too.

    Not if they differ only in case or accents: databases find such ids as well, and they are another customer's.
    """
    return _plain(shown) != _plain(wanted)


def _plain(external_id: str) -> str:
    letters = unicodedata.normalize("NFKD", external_id.strip().casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))
