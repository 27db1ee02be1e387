"""Bills for the tests of outboxes."""

from carecloud_async.models import BillItemInput, FinalBillInput

#: Keys of what was sent are kept for a day.
NEXT_DAY = 25 * 3600
STORE = "8bc1ea2ea78f1ee0f5a8ff4f70"
PLACE = {"store_id": STORE, "cashdesk_number": 1}


def bill(number, *, total=10.0, **more):
    """A final bill."""
    item = BillItemInput(
        bill_item_id="1",
        plu_ids=[],
        plu_name="Bread",
        quantity=1.0,
        price=total,
        paid_amount=total,
        vat_rate=21.0,
        loyalty_off=False,
        purchase_item_type_id="t",
    )
    return FinalBillInput(
        **{
            "bill_id": str(number),
            "payment_time": "2026-03-02 10:00:00",
            "currency_id": "czk",
            "total_price": total,
            "bill_items": [item],
            "purchase_type_id": "p",
            "canceled": False,
            "payment_type": "cash",
            **more,
        }
    )


async def put_bill(client, outbox, number=1, *, total=10.0, **more):
    """Put a bill of the customer c."""
    given = {"customer_id": "c", **PLACE, **more}
    return await outbox.put(client.purchases.send_purchase, bill(number, total=total), **given)


async def put_points(client, outbox, customer_id="c", reference="B1", *, amount=5.0):
    """Put points of a customer."""
    given = {"customer_id": customer_id, "amount": amount, "reference": reference}
    return await outbox.put(client.points.assign_points, **given)
