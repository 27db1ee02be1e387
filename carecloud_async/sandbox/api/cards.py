"""The actions on cards: assign a free card, and ask whether a card is free."""

from __future__ import annotations

from itertools import count
from typing import Final

from carecloud_async.sandbox.api.arguments import arguments
from carecloud_async.sandbox.api.calls import Call
from carecloud_async.sandbox.api.problems import invalid
from carecloud_async.sandbox.json_text import JsonObject
from carecloud_async.sandbox.state.sandbox_state import SandboxState
from carecloud_async.sandbox.state.table import Table

_ACTIVE: Final = 1


def assign_free_card(call: Call) -> JsonObject:
    """`POST /cards/actions/assign-free-card`: one card of a type for each customer.

    Without a number, the first free card is assigned; if none is free, one is created.
    """
    body = arguments(call)
    customer_id, card_type_id, number = body["customer_id"], body["card_type_id"], body.get("card_number")
    cards = call.state.tables.table("/cards")
    of_type = cards.matching("card_type_id", card_type_id)
    if any(card.get("customer_id") == customer_id for _, card in of_type):
        raise invalid("card_type_id", "relation_already_exists")
    free = [one for one, card in of_type if _is_free(card) and number in (None, card.get("card_number"))]
    if number is not None and not free:
        raise invalid("card_number", "not_found")
    card_id = free[0] if free else _new_card(cards, card_type_id)
    cards.update(card_id, {"customer_id": customer_id, "last_change": call.state.now()})
    return {"card_id": card_id}


def validate_free_card(call: Call) -> JsonObject:
    """`POST /cards/actions/validate-free-card`: whether there is a card of this number, active and not assigned."""
    number = arguments(call)["card_number"]
    cards = call.state.tables.table("/cards")
    return {"is_free_to_use": any(_is_free(card) for _, card in cards.matching("card_number", number))}


def holders_of_card(state: SandboxState, number: str) -> list[str]:
    """The ids of the customers who hold a card of this number, by the table of cards or from their creation."""
    cards = state.tables.table("/cards").matching("card_number", number)
    return [
        *(str(card["customer_id"]) for _, card in cards if card.get("customer_id")),
        *state.customers.by_card(number),
    ]


def _is_free(card: JsonObject) -> bool:
    return not card.get("customer_id") and card.get("state") == _ACTIVE


def _new_card(cards: Table, card_type_id: str) -> str:
    numbers = (f"99{place:011d}" for place in count(len(cards)))
    number = next(one for one in numbers if not cards.find("card_number", one))
    card = {"card_type_id": card_type_id, "card_number": number, "customer_id": None, "state": _ACTIVE}
    return cards.insert({**card, "last_change": None})
