"""Customers by their id in another system: find, synchronise, link; a new one with consents, properties and a card."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TYPE_CHECKING, TypedDict

from attrs import evolve, field, frozen

from carecloud_async._lists.listings.look_ups import look_up
from carecloud_async.errors import BadRequestError, CareCloudError, ConflictError
from carecloud_async.models.customer_input import CustomerInput
from carecloud_async.models.customer_records import InterestRecordInput
from carecloud_async.models.customer_source import CustomerSourceInput
from carecloud_async.models.ids import same_id, same_key
from carecloud_async.resources.customers.bulk_lookups import filters_external_ids, may_be_second_id
from carecloud_async.workflows.cards import AssignedCard, assign_card, assign_card_number
from carecloud_async.workflows.safe_writes import found_after, one_write

if TYPE_CHECKING:
    from carecloud_async.client import CareCloud
    from carecloud_async.models.customer_input import CustomerChanges
    from carecloud_async.models.property_record import PropertyRecordInput

__all__ = [
    "CreatedCustomer",
    "NewCard",
    "SyncedCustomer",
    "create_customer",
    "find_customer",
    "link_customer",
    "sync_customer",
]


class SourceIds(TypedDict):
    """The ids of a customer in another system."""

    customer_source_id: str
    external_id: str


@frozen(kw_only=True)
class SyncedCustomer:
    """The outcome of `sync_customer`."""

    customer_id: str
    """Id of the customer."""
    created: bool
    """Whether the customer is new; else the record that was there has been updated."""


async def find_customer(client: CareCloud, *, customer_source_id: str, external_id: str) -> str | None:
    """Return the CareCloud id of the customer with this `external_id` in another system, or `None`.

    A source record may hold several external ids and show only one: the customer is found by any of them.

    Operation: `GET /customer-source-records`.

    Args:
        client: the client, of an enterprise user.
        customer_source_id: id of the system.
        external_id: the customer's id there; upper and lower case differ.

    Raises:
        ConflictError: several customers have this id; merge them in CareCloud first. Or it is taken, and the server
            does not show by whom.
        ConfigurationError: an argument is empty.
    """
    # Servers that know external_ids[] ignore external_id; older ones know external_id alone.
    records = client.customer_source_records.list(
        customer_source_id=customer_source_id, external_ids=[external_id], external_id=external_id
    )
    shown, hidden = dict[str, str](), dict[str, str]()
    for record in await look_up(records):
        if not same_id(record.customer_source_id, customer_source_id):
            continue
        owner = record.customer_id or ""
        if same_key(record.external_id, external_id):
            shown[owner.casefold()] = owner
        elif owner and may_be_second_id(record.external_id or "", external_id):
            hidden[owner.casefold()] = owner
    if "" in shown:
        raise ConflictError("the external id is taken, and the server does not show by whom: nothing was written")
    # Records that show another id hold this one as a second id, unless the server ignores the filter.
    if hidden and await filters_external_ids(client.customer_source_records, customer_source_id):
        shown |= hidden
    if len(shown) > 1:
        raise ConflictError(f"{len(shown)} customers have this external id in the source: merge them in CareCloud")
    return next(iter(shown.values()), None)


async def sync_customer(
    client: CareCloud,
    *,
    customer_source_id: str,
    external_id: str,
    customer: CustomerInput,
    property_records: Sequence[PropertyRecordInput] | None = None,
) -> SyncedCustomer:
    """Bring a customer of another system into CareCloud: update the one with this external id, or create one.

    An update changes the fields that `customer` sets and no others; lists, such as its consents, are replaced whole. A
    customer who is in CareCloud without this external id is never taken over: `link_customer` states that the two are
    the same person.

    Tasks of one client that synchronise the same external id take turns. Separate processes cannot: two that find
    no customer at the same moment both create one. Let one process write a source, or split it by external id.

    Operations: `GET /customer-source-records`, then `GET` and `PUT /customers/{customer_id}`, or `POST /customers`.

    Args:
        client: the client, of an enterprise user.
        customer_source_id: id of the system.
        external_id: the customer's id there.
        customer: the record as the system has it.
        property_records: all values of the project's own properties: they replace those that are there. `None` does
            not send any.

    Raises:
        BadRequestError: the server refused the record; `has_reason("already_exists")` where another customer has the
            e-mail address.
        ConfigurationError: the `agreement` of a customer who has `consents` would change; see `customers.update`.
        ConflictError: several customers have this external id.
        NotFoundError: the external id leads to a customer who is gone.
        OutcomeUnknownError: the answer was lost and no such customer shows up. Call again when the server can no longer
            be busy with the first request, after five minutes if you do not know how long it may take; it looks first.
    """
    ids = SourceIds(customer_source_id=customer_source_id, external_id=external_id)
    async with one_write_of(client, **ids):
        synced = await find_or_create(client, ids, customer, property_records)
        if not synced.created:
            changes: CustomerChanges = {"personal_information": customer.personal_information}
            if property_records is not None:
                changes["property_records"] = property_records
            await client.customers.update(synced.customer_id, changes)
        return synced


async def find_or_create(
    client: CareCloud,
    ids: SourceIds,
    customer: CustomerInput,
    property_records: Sequence[PropertyRecordInput] | None,
) -> SyncedCustomer:
    """Return the customer with this external id, unchanged, or create one; call it within `one_write_of`."""
    customer_id = await find_customer(client, **ids)
    if customer_id is not None:
        return SyncedCustomer(customer_id=customer_id, created=False)
    try:
        customer_id = await client.customers.create(
            customer, customer_source=CustomerSourceInput(**ids), property_records=property_records
        )
        return SyncedCustomer(customer_id=customer_id, created=True)
    except CareCloudError as error:
        # Refused, perhaps because another process created the customer at the same moment.
        refused = isinstance(error, BadRequestError) and error.has_reason("already_exists")
        customer_id = await found_after(error, partial(find_customer, client, **ids), refused=refused)
        return SyncedCustomer(customer_id=customer_id, created=not refused)


async def link_customer(client: CareCloud, *, customer_id: str, customer_source_id: str, external_id: str) -> None:
    """Record that another system knows this customer by `external_id`; if that is recorded already, do nothing.

    Operations: `GET /customer-source-records`, `POST /customers/{customer_id}/customer-source-records`.

    Args:
        client: the client, of an enterprise user.
        customer_id: the customer.
        customer_source_id: id of the system.
        external_id: the customer's id there.

    Raises:
        ConflictError: the external id belongs to another customer; nothing was written.
        OutcomeUnknownError: the answer was lost and no such link shows up. Call again when the server can no longer be
            busy with the first request, as for `sync_customer`; it looks first.
    """
    ids = SourceIds(customer_source_id=customer_source_id, external_id=external_id)
    async with one_write_of(client, **ids):
        if await _is_linked(client, customer_id, ids):
            return
        try:
            await client.customers.customer_source_records(customer_id).create(CustomerSourceInput(**ids))
        except CareCloudError as error:
            refused = isinstance(error, BadRequestError)
            await found_after(error, partial(_is_linked, client, customer_id, ids), refused=refused)


def one_write_of(client: CareCloud, *, customer_source_id: str, external_id: str) -> AbstractAsyncContextManager[None]:
    """Let tasks of a client that look up and write the same external id take turns."""
    return one_write(client, "external id", customer_source_id.casefold(), external_id)


async def _is_linked(client: CareCloud, customer_id: str, ids: SourceIds) -> bool:
    holder = await find_customer(client, **ids)
    if holder is not None and not same_id(holder, customer_id):
        raise ConflictError("the external id belongs to another customer: nothing was linked")
    return holder is not None


@frozen(kw_only=True)
class NewCard:
    """The card of a new customer."""

    card_type_id: str
    """Id of the card type."""
    card_number: str | None = field(default=None, repr=False)
    """Number of a card that was handed out; `None` for any free card of the type."""


@frozen(kw_only=True)
class CreatedCustomer:
    """The outcome of `create_customer`."""

    customer_id: str
    """Id of the customer."""
    created: bool
    """Whether this call created the customer; else a call before it did."""
    card: AssignedCard | None = None
    """The card, if one was wanted."""
    interest_ids: tuple[str, ...] = ()
    """The interests that the customer has, of those that were wanted."""


async def create_customer(
    client: CareCloud,
    *,
    customer_source_id: str,
    external_id: str,
    customer: CustomerInput,
    property_records: Sequence[PropertyRecordInput] | None = None,
    card: NewCard | None = None,
    interest_ids: Sequence[str] = (),
) -> CreatedCustomer:
    """Create a customer with property records, a card and interests; if a step fails, call again with the same values.

    Each step looks before it writes, so a second call continues where the first one stopped, and a third one does
    nothing. The customer is found by the external id. If the customer is there, this function does not change the
    record (`sync_customer` does) and adds only the missing card and interests.

    Operations: `GET /customer-source-records`, `POST /customers`; those of `assign_card` or `assign_card_number`;
    `GET` and `POST /customers/{customer_id}/interest-records`.

    Args:
        client: the client, of an enterprise user.
        customer_source_id: id of the system that the customer comes from.
        external_id: the customer's id there.
        customer: the record.
        property_records: values of the project's own properties; they are written with the record, in one step.
        card: the card that the customer is given.
        interest_ids: ids of the customer's interests (`client.interests.list()`).

    Raises:
        BadRequestError: the server refused a step; `has_reason("already_exists")` where another customer has the
            e-mail address.
        ConflictError: the card belongs to another customer, or several customers have this external id.
        OutcomeUnknownError: an answer was lost and what was written does not show up. Call again when the server can no
            longer be busy with it, as for `sync_customer`.
        CareCloudError: `error.report` is the `CreatedCustomer` with the steps that were taken; `None` if the customer
            was not created.
    """
    ids = SourceIds(customer_source_id=customer_source_id, external_id=external_id)
    async with one_write_of(client, **ids):
        made = await find_or_create(client, ids, customer, property_records)
    done = CreatedCustomer(customer_id=made.customer_id, created=made.created)
    try:
        if card is not None:
            done = evolve(done, card=await _give_card(client, done.customer_id, card))
        for interest_id in interest_ids:
            await _add_interest(client, done.customer_id, interest_id)
            done = evolve(done, interest_ids=(*done.interest_ids, interest_id))
    except CareCloudError as error:
        error.report = done
        raise
    return done


async def _give_card(client: CareCloud, customer_id: str, card: NewCard) -> AssignedCard:
    if card.card_number is None:
        return await assign_card(client, customer_id=customer_id, card_type_id=card.card_type_id)
    return await assign_card_number(
        client, customer_id=customer_id, card_type_id=card.card_type_id, card_number=card.card_number
    )


async def _add_interest(client: CareCloud, customer_id: str, interest_id: str) -> None:
    records = client.customers.interest_records(customer_id)

    async def is_there() -> bool:
        return any(same_id(record.interest_id, interest_id) for record in await look_up(records.list()))

    async with one_write(client, "interest of", customer_id.casefold(), interest_id.casefold()):
        if await is_there():
            return
        try:
            await records.create(InterestRecordInput(interest_id=interest_id, customer_id=customer_id))
        except CareCloudError as error:
            await found_after(error, is_there)
