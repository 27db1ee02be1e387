"""A bill of a till."""

from carecloud_async.models import BillInput, BillItemInput, PluIdInput
from carecloud_async.workflows import close_bill

ITEM = BillItemInput(
    plu_ids=[PluIdInput(list_code="GLOBAL", code="abc")],
    plu_name="Phone",
    vat_rate=20,
    quantity=1,
    paid_amount=700,
    price=700,
    bill_item_id="1",
    loyalty_off=False,
    purchase_item_type_id="goods",
)
BILL = BillInput(
    bill_id="39475X", payment_time="2026-11-25 10:00:00", currency_id="czk", total_price=700, bill_items=[ITEM]
)
FINAL = close_bill(BILL, purchase_type_id="till", payment_type="S")
