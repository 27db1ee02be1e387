"""Cards: held, free, new, and never another customer's."""

import pytest
from kit import RefusedError, listed

from carecloud_async import BadRequestError, CareCloudError, ConflictError
from carecloud_async.workflows import AssignedCard, CardOrigin, assign_card, assign_card_number

pytestmark = pytest.mark.anyio

JANE = {"customer_id": "jane", "card_type_id": "plastic"}


def card(card_id, customer_id=None, *, number="1000", kind="plastic", state=1):
    return {"card_id": card_id, "customer_id": customer_id, "card_number": number, "card_type_id": kind, "state": state}


def stock(server, cards, operation):
    """Make `operation` the one by which the card 1000 is given."""
    if operation == "PUT /cards/{}":
        cards.append(card("free"))
    elif operation == "POST /cards/actions/assign-free-card":
        cards.append(card("free"))
        # A customer's client sees none but the customer's own cards.
        server.on("GET /cards", lambda sent: listed("cards", *(c for c in cards if c["customer_id"])))


@pytest.fixture
def cards(server):
    """The cards of the server: a list that a test fills."""
    cards = []

    def assign(sent):
        free = [c for c in cards if not c["customer_id"] and sent.get("card_number") in {None, c["card_number"]}]
        if not free:
            raise RefusedError(400, ("card_number", "not_found"))
        free[0]["customer_id"] = sent["customer_id"]
        return {"card_id": free[0]["card_id"]}

    def create(sent):
        cards.append({"card_id": "new", **sent["card"]})
        return {"card_id": "new"}

    def is_free(sent):
        return {
            "is_free_to_use": any(
                c["card_number"] == sent["card_number"] and not c["customer_id"] and c["state"] for c in cards
            )
        }

    def named():
        return next(c for c in cards if c["card_id"] == server.requests[-1][0].rpartition("/")[2])

    # Filters are dropped: the workflows must look for themselves.
    server.on("GET /cards/{}", lambda sent: named())
    server.on("PUT /cards/{}", lambda sent: named().update(sent["card"]))
    server.on("GET /cards", lambda sent: listed("cards", *cards))
    server.on("POST /cards/actions/assign-free-card", assign)
    server.on("POST /cards/actions/validate-free-card", is_free)
    server.on("POST /cards", create)
    return cards


async def test_a_card_that_is_held_stays(client, server, cards):
    """A customer with an active card of the type gets no second one."""
    cards += [card("johns", "john"), card("blocked", "jane", state=0), card("mine", "jane")]
    assert await assign_card(client, **JANE) == AssignedCard(card_id="mine", origin=CardOrigin.HELD)
    assert not server.sent("POST /cards/actions/assign-free-card")


async def test_a_free_card_is_assigned(client, cards):
    """A customer without a card of the type gets a free one, and has it the next time."""
    cards += [card("johns", "john"), card("other", "jane", kind="digital"), card("free")]
    assert await assign_card(client, **JANE) == AssignedCard(card_id="free", origin=CardOrigin.ASSIGNED)
    assert await assign_card(client, **JANE) == AssignedCard(card_id="free", origin=CardOrigin.HELD)


async def test_no_free_card_is_the_servers_refusal(client, cards):
    """The pool is empty: the server's own reason comes through."""
    with pytest.raises(BadRequestError) as caught:
        await assign_card(client, **JANE)
    assert caught.value.has_reason("not_found")


async def test_a_number_that_is_free_is_assigned(client, server, cards):
    """The card with this number, and no other, becomes the customer's, by a PUT that keeps the rest of it."""
    lost = card("lost", "jane", number="5", state=0)
    cards += [card("other", number="999"), lost, card("free") | {"store_id": "s"}]
    made = await assign_card_number(client, **JANE, card_number="1000")
    assert made == AssignedCard(card_id="free", origin=CardOrigin.ASSIGNED)
    assert cards[0]["customer_id"] is None
    assert server.sent("PUT /cards/free")[0]["card"]["store_id"] == "s"
    again = await assign_card_number(client, **JANE, card_number="1000")
    assert again == AssignedCard(card_id="free", origin=CardOrigin.HELD)


async def test_unknown_number_becomes_a_card(client, server, cards):
    """A new active card of the type with this number is the customer's."""
    cards.append(card("other", "john", number="10001"))
    made = await assign_card_number(client, **JANE, card_number="1000")
    assert made == AssignedCard(card_id="new", origin=CardOrigin.CREATED)
    assert server.sent("POST /cards") == [
        {"card": {"card_type_id": "plastic", "card_number": "1000", "customer_id": "jane", "state": 1}}
    ]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (card("johns", "john"), "another customer"),
        (card("blocked", state=0), "not free"),
        (card("mine", "jane", state=0), "blocked"),
        (card("digital", kind="digital"), "another type"),
    ],
    ids=["another customer's", "blocked", "blocked own", "another type"],
)
async def test_a_card_that_cannot_be_given_is_a_conflict(client, server, cards, given, words):
    """Nothing is written for another customer's card, a blocked one or one of another type."""
    cards.append(given)
    with pytest.raises(ConflictError, match=words):
        await assign_card_number(client, **JANE, card_number="1000")
    assert not any(server.sent(operation) for operation in WRITES)


WRITES = ["POST /cards", "POST /cards/actions/assign-free-card", "PUT /cards/{}"]


@pytest.mark.parametrize("operation", WRITES)
async def test_a_card_that_another_customer_has_after_a_lost_answer(client, server, cards, operation):
    """The lost write may still come, so that the error does not say that nothing was assigned."""
    stock(server, cards, operation)

    def take(sent):
        cards[:] = [card("free", "john")]
        return {"card_id": "free"}

    server.on(operation, take)
    server.lose(operation)
    with pytest.raises(CareCloudError) as caught:
        await assign_card_number(client, **JANE, card_number="1000")
    assert caught.value.may_have_happened
    assert "nothing was assigned" not in str(caught.value)


async def test_a_quicker_till_keeps_its_card(client, server, cards):
    """If another customer got the card between the look and the write, the conflict says so."""
    cards.append(card("free"))

    def read(sent):
        cards[0]["customer_id"] = "john"
        return cards[0]

    server.on("GET /cards/{}", read)
    with pytest.raises(ConflictError, match="another customer"):
        await assign_card_number(client, **JANE, card_number="1000")


async def test_an_expired_card_is_not_held(client, cards):
    """A card whose validity ended in the project's time does not count, one that ends later does."""
    cards += [
        {**card("old", "jane"), "valid_to": "2001-01-01 00:00:00"},
        {**card("zero", "john"), "valid_to": "0000-00-00 00:00:00"},
        card("free"),
    ]
    assert await assign_card(client, **JANE) == AssignedCard(card_id="free", origin=CardOrigin.ASSIGNED)
    cards[2]["valid_to"] = "2999-01-01 00:00:00"
    assert await assign_card(client, **JANE) == AssignedCard(card_id="free", origin=CardOrigin.HELD)


async def test_ids_in_another_case_are_the_same(client, server, cards):
    """A server that writes its ids in capitals has the same customer and type."""
    cards.append({**card("mine", "JANE"), "card_type_id": "PLASTIC"})
    assert (await assign_card(client, **JANE)).origin is CardOrigin.HELD
    assert (await assign_card_number(client, **JANE, card_number="1000")).origin is CardOrigin.HELD


async def test_another_process_is_quicker_with_a_card(client, server, cards):
    """A refused assignment finds the card that another process gave the customer meanwhile."""
    cards.append(card("free"))

    def refuse(sent):
        cards[0]["customer_id"] = "jane"
        raise RefusedError(400, ("card_type_id", "relation_already_exists"))

    server.on("POST /cards/actions/assign-free-card", refuse)
    assert await assign_card(client, **JANE) == AssignedCard(card_id="free", origin=CardOrigin.HELD)
