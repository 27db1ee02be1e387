"""The checkout: accepted, sent once, cancelled."""

import pytest
from attrs import evolve
from bills import BILL, FINAL
from every import every
from kit import RefusedError, listed

from carecloud_async import BadRequestError, ConfigurationError, ConflictError, OutcomeUnknownError
from carecloud_async.workflows import (
    Checkout,
    SentPurchase,
    accept_payment,
    cancel_purchase,
    canceled_bill,
    close_bill,
    resend_purchase,
    send_purchase,
)

pytestmark = pytest.mark.anyio

ACCEPT = "POST /purchases/actions/accept-payment"
SEND = "POST /purchases/actions/send-purchase"
CHECKOUT = Checkout(store_id="store", cashdesk_number=1, card_number="1000")


@pytest.fixture
def purchases(server):
    """The purchases of the server."""
    purchases = []

    def send(sent):
        bill = sent["bill"]
        purchases.append(
            {"purchase_id": f"id of {bill['bill_id']}", "store_id": "store", "external_purchase_id": bill["bill_id"]}
        )
        return {"purchase_id": purchases[-1]["purchase_id"]}

    server.on(SEND, send)
    server.on("GET /purchases", lambda sent: listed("purchases", *purchases))
    return purchases


ACCEPTED = {
    "credit_points": 7,
    "credit": 4.2,
    "vouchers": [{"code": "PTV2", "name": "10 %", "discount_percent": 10, "bill_item_id": "1"}],
    "recommended_discounts": [{"discount_code": "gold", "discount_value": 5}],
    "total_credit_points": 93,
}


async def test_what_was_accepted_goes_into_the_final_bill(client, server, purchases):
    """Points, credits, vouchers and discounts of the answer are the recap of the bill that is sent."""
    server.on(ACCEPT, ACCEPTED)
    accepted = await accept_payment(
        client, checkout=CHECKOUT, bill=BILL, payment_type="S", max_points=10, max_credit=5, benefit_codes=["PTV2"]
    )
    assert accepted.total_credit_points == 93
    final = close_bill(BILL, purchase_type_id="till", payment_type="S", accepted=accepted)
    sent = await send_purchase(client, checkout=CHECKOUT, bill=final)
    assert sent == SentPurchase(purchase_id="id of 39475X", bill_id="39475X")
    asked = server.sent(ACCEPT)[0]
    assert (asked["max_points"], asked["max_credit"], asked["benefit_codes"]) == (10, 5, ["PTV2"])
    body = server.sent(SEND)[0]
    assert (body["store_id"], body["cashdesk_number"], body["card_number"]) == ("store", 1, "1000")
    assert "customer_id" not in body
    assert body["bill"] == {
        **asked["bill"],
        "purchase_type_id": "till",
        "payment_type": "S",
        "canceled": False,
        "payment_recap": {
            "credit_points": 7,
            "amount_for_credit": 4.2,
            "vouchers": [{"code": "PTV2", "name": "10 %", "discount_percent": 10, "bill_item_id": "1"}],
            "recommended_discounts": [{"discount_code": "gold", "discount_value": 5, "bill_item_id": ""}],
        },
    }


async def test_a_lost_calculation_is_asked_again_once(client, server):
    """A lost calculation is sent a second time, since it changes nothing, and not a third time."""
    server.on(ACCEPT, ACCEPTED)
    server.lose(ACCEPT)
    assert (await accept_payment(client, checkout=CHECKOUT, bill=BILL, payment_type="S")).credit == 4.2
    server.lose(ACCEPT, times=2)
    with pytest.raises(OutcomeUnknownError):
        await accept_payment(client, checkout=CHECKOUT, bill=BILL, payment_type="S")
    assert len(server.sent(ACCEPT)) == 4


async def test_a_lost_purchase_is_looked_up(client, server, purchases):
    """The purchase with the bill's id is the one that was sent; no second one is made."""
    server.lose(SEND)
    sent = await send_purchase(client, checkout=CHECKOUT, bill=FINAL)
    assert sent == SentPurchase(purchase_id="id of 39475X", bill_id="39475X", was_there=True)
    assert len(purchases) == 1
    asked = server.sent("GET /purchases")[0]
    assert (asked["store_id"], asked["external_purchase_id"]) == ("store", "39475X")


OTHER_DAY = {
    "purchase_id": "1",
    "store_id": "store",
    "external_purchase_id": "39475X",
    "payment_time": "2025-11-25 10:00:00",
    "total_price": 700,
}
SAME = {**OTHER_DAY, "payment_time": "2026-11-25 10:00:00"}


@every("shown", [[], [OTHER_DAY]])
async def test_a_purchase_that_does_not_show_up_is_never_sent_again(server, shown):
    """The server may still be busy with it, whatever else has its id: the caller hears of it, and resends later."""
    server.on(SEND, {"purchase_id": "3"})
    server.on("GET /purchases", listed("purchases", *shown))
    server.lose(SEND)
    sent = len(server.sent(SEND))
    async with server.client() as client:
        with pytest.raises(OutcomeUnknownError) as caught:
            await send_purchase(client, checkout=CHECKOUT, bill=FINAL)
    assert "workflows.resend_purchase" in str(caught.value.fix)
    assert "workflows.resend_purchase" in str(caught.value)
    assert "an outbox (client.outbox)" in str(caught.value)
    assert len(server.sent(SEND)) == sent + 1


JANE = {"customer_id": "jane", "card_number": None}
#: The purchases that the server shows, the place of the bill, and what is found: a purchase, other fields, or nothing.
RESENT = [
    ([{**SAME, "external_purchase_id": "39475"}, {**SAME, "store_id": "elsewhere"}], {}, "nothing"),
    ([OTHER_DAY], {}, ("payment_time",)),
    ([OTHER_DAY, {**SAME, "purchase_id": "2"}], {}, "2"),
    ([{**SAME, "card_number": "2000"}], {}, ("card_number",)),
    ([{**SAME, "customer_id": "john"}], JANE, ("customer_id",)),
    ([{**SAME, "customer_id": "JANE", "card_number": "2000"}], {"customer_id": "jane"}, "1"),
    ([{**SAME, "card_number": ""}], {}, "1"),
    ([{**SAME, "customer_id": "john"}], {"card_number": None}, "1"),
]


@every("shown, place, result", RESENT)
async def test_a_resent_bill_is_sent_unless_it_is_there(server, shown, place, result):
    """A purchase of this bill is returned; another bill with its id, or of another customer, is a conflict."""
    server.on("GET /purchases", listed("purchases", *shown))
    server.on(SEND, {"purchase_id": "sent"})
    bill, sent = {"checkout": evolve(CHECKOUT, **place), "bill": FINAL}, len(server.sent(SEND))
    async with server.client() as client:
        if isinstance(result, tuple):
            with pytest.raises(ConflictError) as caught:
                await resend_purchase(client, **bill)
            assert caught.value.fields == result
        else:
            purchase = await resend_purchase(client, **bill)
            is_there = result != "nothing"
            assert (purchase.purchase_id, purchase.was_there) == (result if is_there else "sent", is_there)
    assert len(server.sent(SEND)) == sent + (result == "nothing")


async def test_a_refused_bill_is_the_servers_refusal(client, server, purchases):
    """A voucher that was used meanwhile is an error with its reason, and nothing is looked up."""

    def refuse(sent):
        raise RefusedError(400, ("bill.payment_recap.vouchers", "voucher_already_used"))

    server.on(SEND, refuse)
    with pytest.raises(BadRequestError) as caught:
        await send_purchase(client, checkout=CHECKOUT, bill=FINAL)
    assert caught.value.has_reason("voucher_already_used")
    assert not server.sent("GET /purchases")


async def test_a_cancellation_is_the_same_bill_under_its_own_id(client, server, purchases):
    """Only the flag, the id and the number differ: nothing is inverted."""
    await send_purchase(client, checkout=CHECKOUT, bill=FINAL)
    cancelled = await cancel_purchase(client, checkout=CHECKOUT, bill=FINAL)
    assert cancelled == SentPurchase(purchase_id="id of C39475X", bill_id="C39475X")
    first, second = server.sent(SEND)
    different = {"canceled": True, "bill_id": "C39475X", "bill_number": "39475X"}
    assert second == {**first, "bill": {**first["bill"], **different}}
    with pytest.raises(ConfigurationError, match="cancellation itself"):
        await cancel_purchase(client, checkout=CHECKOUT, bill=canceled_bill(FINAL))


async def test_a_bill_without_benefits_has_no_recap(client, server, purchases):
    """A bill that was not accepted before is sent as it is, for a customer without a card."""
    checkout = evolve(CHECKOUT, card_number=None, customer_id="jane")
    await send_purchase(client, checkout=checkout, bill=FINAL)
    body = server.sent(SEND)[0]
    assert "payment_recap" not in body["bill"]
    assert (body["customer_id"], "card_number" in body) == ("jane", False)
