"""Give a customer a card: the customer's own, a free one or a new one, never another customer's."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Final, TypeGuard

from attrs import frozen

from carecloud_async._base.runtime.secret_text import conceal
from carecloud_async._lists.listings.look_ups import look_up
from carecloud_async.errors import BadRequestError, CareCloudError, ConflictError
from carecloud_async.models.cards import CardInput
from carecloud_async.models.enums import BlockableState
from carecloud_async.models.ids import same_id
from carecloud_async.workflows.safe_writes import found_after, one_write

if TYPE_CHECKING:
    from carecloud_async.client import CareCloud
    from carecloud_async.models.cards import Card

__all__ = ["AssignedCard", "CardOrigin", "assign_card", "assign_card_number"]

_ACTIVE: Final = BlockableState.ACTIVE


class CardOrigin(StrEnum):
    """Where a customer's card came from."""

    HELD = "held"
    """The customer had it already."""
    ASSIGNED = "assigned"
    """It was free."""
    CREATED = "created"
    """It is new."""


@frozen(kw_only=True)
class AssignedCard:
    """The outcome of `assign_card` and `assign_card_number`."""

    card_id: str
    """Id of the card."""
    origin: CardOrigin
    """Whether the customer had it, or it was free, or it is new."""


async def assign_card(client: CareCloud, *, customer_id: str, card_type_id: str) -> AssignedCard:
    """Return the customer's active card of a type, or assign a free one: the API assigns one card a type in this way.

    A blocked card and one whose validity has ended do not count. Where the customer has one of those, the server
    refuses to assign another: give the customer the number of a new card by `assign_card_number`.

    Operations: `GET /cards`, `POST /cards/actions/assign-free-card`.

    Args:
        customer_id: the customer.
        card_type_id: id of the card type.

    Raises:
        BadRequestError: no card of this type is free, or the customer has one that is blocked or expired.
        OutcomeUnknownError: the answer was lost and no card shows up. Call again when the server can no longer be busy
            with the first request, after five minutes if you do not know how long it may take; it looks first.
    """
    async with one_write(client, "cards of", customer_id.casefold(), card_type_id.casefold()):
        card = await _active_card(client, customer_id, card_type_id)
        if card is not None:
            return AssignedCard(card_id=card.card_id, origin=CardOrigin.HELD)
        try:
            card_id = await client.cards.assign_free_card(card_type_id=card_type_id, customer_id=customer_id)
            return AssignedCard(card_id=card_id, origin=CardOrigin.ASSIGNED)
        except CareCloudError as error:
            # Refused, perhaps because another process gave the customer a card at the same moment.
            refused = isinstance(error, BadRequestError)
            search = partial(_active_card, client, customer_id, card_type_id)
            card = await found_after(error, search, refused=refused)
            return AssignedCard(card_id=card.card_id, origin=CardOrigin.HELD if refused else CardOrigin.ASSIGNED)


async def assign_card_number(
    client: CareCloud, *, customer_id: str, card_type_id: str, card_number: str
) -> AssignedCard:
    """Give the customer the card with this number: assign it if it is free, create it if there is none.

    A card that belongs to another customer is never touched. A customer may have other cards of the type, such as a
    lost one that is blocked. Creating a card is possible on the Enterprise API only.

    Tasks of one client take turns for a card. Separate processes cannot: two that find a card free at the same moment
    both assign it, and the later one keeps it; two that find no card both create one. Let one process give out the
    numbers of a type.

    Operations: `GET /cards`, then `PUT /cards/{card_id}` for a card that is free. If there is no card that this client
    can see: `POST /cards/actions/validate-free-card`, then `POST /cards/actions/assign-free-card` or `POST /cards`.

    Args:
        customer_id: the customer.
        card_type_id: id of the card type.
        card_number: the number, for example of a plastic card that was handed out.

    Raises:
        ConflictError: the card belongs to another customer, is of another type, or is blocked; nothing was written.
        InterfaceError: there is no such card, and the client is not an enterprise user's.
        OutcomeUnknownError: the answer was lost and the card is not the customer's. Call again when the server can no
            longer be busy with the first request, as for `assign_card`; it looks first.
    """
    card_number = conceal(card_number)
    async with (
        one_write(client, "cards of", customer_id.casefold(), card_type_id.casefold()),
        one_write(client, "card number", card_number),
    ):
        card = await _by_number(client, card_number)
        if card is not None and card.card_type_id and not same_id(card.card_type_id, card_type_id):
            raise ConflictError("the card is of another type: nothing was assigned")
        if _belongs_to(card, customer_id):
            return AssignedCard(card_id=card.card_id, origin=CardOrigin.HELD)
        if card is not None and card.state == BlockableState.BLOCKED:
            raise ConflictError("the card is not free to use, it is blocked: nothing was assigned")
        # Customers' clients see no cards but their own: the server says whether a card that is not seen is free.
        is_free = card is not None or await client.cards.validate_free_card(card_number=card_number)
        new = CardInput(card_type_id=card_type_id, card_number=card_number, customer_id=customer_id, state=_ACTIVE)
        try:
            card_id = await _assign_or_create(client, card, new, customer_id=customer_id, is_free=is_free)
        except CareCloudError as error:
            # Lost, or refused because another process was quicker: the card says whose it is now.
            refused = isinstance(error, BadRequestError | ConflictError)
            search = partial(_own_card, client, customer_id, card_number)
            card_id = (await found_after(error, search, refused=refused)).card_id
        return AssignedCard(card_id=card_id, origin=CardOrigin.ASSIGNED if is_free else CardOrigin.CREATED)


async def _assign_or_create(
    client: CareCloud, card: Card | None, new: CardInput, *, customer_id: str, is_free: bool
) -> str:
    """Assign the given card, a free one that this client cannot see, or a new one; return its id."""
    if card is not None:
        await client.cards.update(card.card_id, {"customer_id": customer_id}, if_unchanged=card)
        return card.card_id
    if is_free:
        return await client.cards.assign_free_card(
            card_type_id=new.card_type_id, customer_id=customer_id, card_number=new.card_number
        )
    return await client.cards.create(new)


async def _active_card(client: CareCloud, customer_id: str, card_type_id: str) -> Card | None:
    now = datetime.fromtimestamp(client._caller.context.clock.time(), UTC)
    for card in await look_up(client.cards.list(customer_id=customer_id, card_type_id=card_type_id)):
        mine = same_id(card.customer_id, customer_id) and same_id(card.card_type_id, card_type_id)
        expired = card.valid_to is not None and client.project.localize(card.valid_to) < now
        if mine and card.state != BlockableState.BLOCKED and not expired:
            return card
    return None


async def _by_number(client: CareCloud, card_number: str) -> Card | None:
    for card in await look_up(client.cards.list(card_number=card_number)):
        if card.card_number == card_number:
            return card
    return None


async def _own_card(client: CareCloud, customer_id: str, card_number: str) -> Card | None:
    card = await _by_number(client, card_number)
    return card if _belongs_to(card, customer_id) else None


def _belongs_to(card: Card | None, customer_id: str) -> TypeGuard[Card]:
    """Return whether the card is there and the customer's.

    Raises:
        ConflictError: it is another customer's, or the customer's own but blocked.
    """
    if card is None or not card.customer_id:
        return False
    if not same_id(card.customer_id, customer_id):
        raise ConflictError("the card belongs to another customer: nothing was assigned")
    if card.state == BlockableState.BLOCKED:
        raise ConflictError("the customer has this card, and it is blocked: set its state to active first")
    return True
