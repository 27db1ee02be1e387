"""Give a customer a card: the one the customer has, a free one, or a new one, and never somebody else's."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, TypeGuard

from attrs import frozen

from carecloud_async.errors import BadRequestError, ConflictError, OutcomeUnknownError
from carecloud_async.models.cards import CardInput
from carecloud_async.models.enums import BlockableState
from carecloud_async.workflows.lost_answers import looked_up

if TYPE_CHECKING:
    from carecloud_async.client import CareCloud
    from carecloud_async.models.cards import Card

__all__ = ["AssignedCard", "CardOrigin", "assign_card", "assign_card_number"]


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
    """Return the customer's active card of a type, or assign a free one: the API allows one of a type by this way.

    Operations: `GET /cards`, `POST /cards/actions/assign-free-card`.

    Args:
        client: the client.
        customer_id: the customer.
        card_type_id: id of the card type.

    Raises:
        BadRequestError: no card of this type is free, or the customer has one that is blocked.
        OutcomeUnknownError: the answer was lost and no card shows up yet; call again, it looks first.
    """

    async def held() -> Card | None:
        cards = client.cards.list(customer_id=customer_id, card_type_id=card_type_id).fresh()
        mine = [card async for card in cards if card.customer_id == customer_id and card.card_type_id == card_type_id]
        return next((card for card in mine if card.state != BlockableState.BLOCKED), None)

    card = await held()
    if card is not None:
        return AssignedCard(card_id=card.card_id, origin=CardOrigin.HELD)
    try:
        card_id = await client.cards.assign_free_card(card_type_id=card_type_id, customer_id=customer_id)
    except OutcomeUnknownError:
        card = await looked_up(held())
        if card is None:
            raise
        card_id = card.card_id
    return AssignedCard(card_id=card_id, origin=CardOrigin.ASSIGNED)


async def assign_card_number(
    client: CareCloud, *, customer_id: str, card_type_id: str, card_number: str
) -> AssignedCard:
    """Give the customer the card with this number: assign it if it is free, create it if there is none.

    A card that belongs to somebody else is never touched. Creating one is possible on the Enterprise API only.

    Operations: `GET /cards`, `POST /cards/actions/validate-free-card`, `POST /cards/actions/assign-free-card` or
    `POST /cards`.

    Args:
        client: the client.
        customer_id: the customer.
        card_type_id: id of the card type.
        card_number: the number, for example of a plastic card that was handed out.

    Raises:
        ConflictError: the card belongs to somebody else, is of another type, or is blocked; nothing was written.
        InterfaceError: there is no such card, and the client is not an enterprise user's.
        OutcomeUnknownError: the answer was lost and the card is not the customer's yet; call again, it looks first.
    """
    card = await _by_number(client, card_number)
    if card is not None and card.card_type_id not in {None, card_type_id}:
        raise ConflictError("the card is of another type: nothing was assigned")
    if _is_held(card, customer_id):
        return AssignedCard(card_id=card.card_id, origin=CardOrigin.HELD)
    free = await client.cards.validate_free_card(card_number=card_number)
    if card is not None and not free:
        raise ConflictError("the card is not free to use, it may be blocked: nothing was assigned")
    try:
        if free:
            card_id = await client.cards.assign_free_card(
                card_type_id=card_type_id, customer_id=customer_id, card_number=card_number
            )
        else:
            new = CardInput(
                card_type_id=card_type_id,
                card_number=card_number,
                customer_id=customer_id,
                state=BlockableState.ACTIVE,
            )
            card_id = await client.cards.create(new)
    except (OutcomeUnknownError, BadRequestError):
        # Lost, or refused because another till was quicker: the card says whose it is now.
        card = await looked_up(_by_number(client, card_number))
        if not _is_held(card, customer_id):
            raise
        card_id = card.card_id
    return AssignedCard(card_id=card_id, origin=CardOrigin.ASSIGNED if free else CardOrigin.CREATED)


async def _by_number(client: CareCloud, card_number: str) -> Card | None:
    async for card in client.cards.list(card_number=card_number).fresh():
        if card.card_number == card_number:
            return card
    return None


def _is_held(card: Card | None, customer_id: str) -> TypeGuard[Card]:
    """Return whether the card is there and the customer's.

    Raises:
        ConflictError: it is somebody else's, or the customer's own but blocked.
    """
    if card is None or not card.customer_id:
        return False
    if card.customer_id != customer_id:
        raise ConflictError("the card belongs to somebody else: nothing was assigned")
    if card.state == BlockableState.BLOCKED:
        raise ConflictError("the customer has this card, and it is blocked: set its state to active first")
    return True
