"""A bill that the server has: it is the one that was put, or another one with its id."""

import pytest
from outbox_tools import NEXT_DAY, PLACE, bill, put_bill

from carecloud_async.workflows import canceled_bill

pytestmark = pytest.mark.anyio


async def test_a_bill_that_is_there_is_not_sent_again(client, server, clock, outbox):
    """A bill that the server has for days counts as sent; a bill with the same id and another total fails."""
    await put_bill(client, outbox, 1)
    await outbox.flush()
    clock.advance(NEXT_DAY)
    await put_bill(client, outbox, 1)
    assert await outbox.flush()
    clock.advance(NEXT_DAY)
    await outbox.put(client.purchases.send_purchase, bill(1, total=77.0), **PLACE)
    assert not await outbox.flush()
    (failed,) = await outbox.failures()
    assert failed.reasons == ("external_purchase_id: it is taken by another record, which differs in total_price",)
    assert server.bill_ids() == ["1"]


OTHERS = {
    "a cent": ({"total": 10.01}, {}, "total_price"),
    "half a unit": ({"total": 10.5}, {}, "total_price"),
    "a day": ({"payment_time": "2026-03-03 10:00:00"}, {}, "payment_time"),
    "a customer": ({}, {"customer_id": "d"}, "customer_id"),
    "a currency": ({"currency_id": "eur"}, {}, "currency_id"),
    "all": (
        {"total": 99.0, "payment_time": "2026-03-03 10:00:00"},
        {"customer_id": "d"},
        "payment_time, total_price, customer_id",
    ),
}


@pytest.mark.parametrize("what", OTHERS)
async def test_another_bill_with_a_used_id_fails(client, server, clock, outbox, what):
    """A till that begins to count again each day loses no sale: another bill fails, with the fields that differ."""
    fields, named, differ = OTHERS[what]
    await put_bill(client, outbox, 1)
    assert await outbox.flush()
    clock.advance(NEXT_DAY)
    sale = {"customer_id": "c", **PLACE, **named}
    await outbox.put(client.purchases.send_purchase, bill(1, **fields), **sale)
    assert not await outbox.flush()
    (failed,) = await outbox.failures()
    reason = f"external_purchase_id: it is taken by another record, which differs in {differ}"
    assert failed.reasons == (reason,)
    assert server.bill_ids() == ["1"]


SPELLINGS = [
    {"payment_time": "2026-03-02T09:00:00Z"},
    {"total_price": "10,125"},
    {"payment_time": "2026-03-02T10:00:00.000+01:00"},
    {"total_price": 10.129, "currency_id": "CZK", "customer_id": "C"},
    {"total_price": 10.12, "payment_time": "", "customer_id": None, "type_id": None},
]


@pytest.mark.parametrize("shown", SPELLINGS)
@pytest.mark.parametrize("fault", ["cut", None])
async def test_a_bill_is_found_as_the_server_spells_it(client, server, clock, outbox, shown, fault):
    """After a lost answer, and put again a day later, a bill counts as sent though times and totals look otherwise."""
    server.shown, server.faults = shown, [fault]
    for _ in range(2):
        await put_bill(client, outbox, 1, total=10.125)
        assert await outbox.flush()
        clock.advance(NEXT_DAY)
    assert server.bill_ids() == ["1"]


@pytest.mark.parametrize("total", [10.0, -10.0])
async def test_a_cancellation_is_found_with_either_sign(client, server, outbox, total):
    """A cancellation that is there counts as sent, whether its total is shown below zero or not."""
    server.shown, server.faults = {"total_price": total}, ["cut"]
    await outbox.put(client.purchases.send_purchase, canceled_bill(bill(1)), **PLACE)
    assert await outbox.flush()
    assert server.bill_ids() == ["C1"]
