"""What the tills of `benchmarks.till` and of the simulation sell."""

from __future__ import annotations

from carecloud_async.models import BillItemInput, FinalBillInput

__all__ = ["bill"]


def bill(number: str) -> FinalBillInput:
    """Make a bill of one item.

    Args:
        number: its id in the shop's system.
    """
    item = BillItemInput(
        bill_item_id="1", plu_ids=[], plu_name="Bread", quantity=1.0, price=10.0, paid_amount=10.0, vat_rate=21.0,
        loyalty_off=False, purchase_item_type_id="t",
    )  # fmt: skip
    return FinalBillInput(
        bill_id=number, payment_time="2026-03-02 10:00:00", currency_id="czk", total_price=10.0, bill_items=[item],
        purchase_type_id="p", canceled=False, payment_type="cash",
    )  # fmt: skip
