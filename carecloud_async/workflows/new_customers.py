"""Create a customer with a card, properties and interests, in steps that can be repeated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import evolve, field, frozen

from carecloud_async._lists.listings.look_ups import look_up
from carecloud_async.errors import CareCloudError
from carecloud_async.models.customer_input import CustomerInput
from carecloud_async.models.customer_records import InterestRecordInput
from carecloud_async.models.ids import same_id
from carecloud_async.workflows.cards import AssignedCard, assign_card, assign_card_number
from carecloud_async.workflows.customers import SourceIds, find_or_create, one_write_of
from carecloud_async.workflows.safe_writes import found_after, one_write

if TYPE_CHECKING:
    from carecloud_async.client import CareCloud
    from carecloud_async.models.property_record import PropertyRecordInput

__all__ = ["CreatedCustomer", "NewCard", "create_customer"]


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
